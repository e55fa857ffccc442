"""kgan.zoo.saving: what is refused, and what comes along. (The round trip is in the harness.)"""

import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from models.harness import TWO_REPLICAS
from models.test_gan import SHAPE, small_networks
from PIL import Image
from untrusted import hostile
from untrusted.hostile import rewrite, rewrite_weights

import kgan
from kgan.errors import KganError
from kgan.models import DCGAN, GAN, WGANGP
from kgan.recipe import Recipe
from kgan.untrusted import memory
from kgan.zoo import saving
from kgan.zoo.metadata import METADATA, RECIPE, SAMPLES, WEIGHTS
from kgan.zoo.preset import read
from kgan.zoo.saving import load_weights


@pytest.fixture
def preset(tiny_preset, tmp_path):
    return Path(shutil.copytree(tiny_preset, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def old_preset(tiny_preset, tmp_path_factory):
    """The same of format 1."""
    directory = tmp_path_factory.mktemp("old") / "tiny"
    shutil.copytree(tiny_preset, directory)
    hostile.to_format_1(directory)
    return directory


@pytest.fixture(params=[1, 2])
def either(request, tiny_preset, old_preset, tmp_path):
    """A preset of either format."""
    source = old_preset if request.param == 1 else tiny_preset
    return Path(shutil.copytree(source, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def users_preset(tmp_path_factory):
    """A preset of networks that a user brought."""
    directory = tmp_path_factory.mktemp("users") / "users"
    generator, discriminator = small_networks()
    model = GAN(SHAPE, generator=generator, discriminator=discriminator)
    model.compile()
    model.save_to_preset(directory)
    return directory


def test_weights_hold_one_generator_and_no_optimizer(either):
    values = []
    with h5py.File(either / WEIGHTS) as file:
        file.visititems(
            lambda name, item: values.append((name, item.size)) if hasattr(item, "size") else None
        )
    model = DCGAN((16, 16, 3), latent_dim=8, width=4)
    networks = model.ema_generator.count_params() + model.discriminator.count_params()
    assert sum(size for _, size in values) == networks + 1  # and images_seen
    assert not [name for name, _ in values if "optimizer" in name]


def test_one_model_takes_the_weights_of_preset_after_preset(either, tmp_path):
    other = DCGAN((16, 16, 3), latent_dim=8, width=4, seed=5)
    other.compile()
    other.fit(np.zeros((8, 16, 16, 3), "uint8"), batch_size=8, verbose=0)
    other.save_to_preset(tmp_path / "other")
    model = kgan.zoo.load(either)
    for path in (tmp_path / "other", either):
        load_weights(model, read(path))
        expected = kgan.zoo.load(path)
        np.testing.assert_array_equal(model.sample(8, seed=0), expected.sample(8, seed=0))
        for name in ("generator", "discriminator"):
            pairs = zip(
                getattr(model, name).get_weights(),
                getattr(expected, name).get_weights(),
                strict=True,
            )
            assert all(np.array_equal(a, b) for a, b in pairs)
        assert int(model.images_seen.numpy()) == int(expected.images_seen.numpy())
    wider = DCGAN((16, 16, 3), latent_dim=8, width=8)
    with pytest.raises(ValueError, match="does not fit the model"):
        load_weights(wider, read(either))


@pytest.mark.parametrize("place", [".", "../here"])
def test_the_directory_one_is_in_is_not_taken_away(preset, place, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(KganError, match=f"than the one you are in.* Received: {place}"):
        kgan.zoo.save(kgan.zoo.load(preset), place)


def test_class_of_from_preset_must_fit(preset):
    assert isinstance(GAN.from_preset(preset), DCGAN)

    class Other(GAN):
        pass

    with pytest.raises(ValueError, match="Expected a preset of a Other.*holds a DCGAN"):
        Other.from_preset(preset)


def test_unknown_class_is_refused(preset):
    rewrite(preset, lambda config: config.update({"class": "os.system"}))
    with pytest.raises(ValueError, match=r"one of the classes.*Received: class 'os.system'"):
        kgan.zoo.load(preset)


def test_weights_of_another_shape_are_refused(preset):
    rewrite(preset, lambda config: config["config"].update(width=8))
    with pytest.raises(ValueError, match="does not fit the model"):
        kgan.zoo.load(preset)


@pytest.mark.parametrize(
    "layer", [layers.Lambda(lambda x: x), layers.Activation("relu", name="inner")]
)
def test_networks_with_code_in_them_are_refused(layer, tmp_path):
    generator, discriminator = small_networks()
    images = keras.Input(SHAPE)
    wrapped = keras.Model(images, discriminator(layer(images)))
    model = GAN(SHAPE, generator=generator, discriminator=wrapped)
    model.compile()
    if isinstance(layer, layers.Lambda):
        with pytest.raises(ValueError, match="Received: Lambda in the model's discriminator"):
            model.save_to_preset(tmp_path / "p")
        assert not (tmp_path / "p").exists()
    else:
        model.save_to_preset(tmp_path / "p")
        again = kgan.zoo.load(tmp_path / "p")
        x = np.ones((1, *SHAPE), "float32")
        np.testing.assert_array_equal(again.discriminator(x), model.discriminator(x))


def test_untrusted_layers_are_allow_listed(users_preset, tmp_path):
    shutil.copytree(users_preset, tmp_path / "p")

    def poison(config):
        layer = config["config"]["generator"]["config"]["layers"][1]
        layer["class_name"] = "TFSMLayer"

    rewrite(tmp_path / "p", poison)
    with pytest.raises(ValueError, match="Received: TFSMLayer"):
        kgan.zoo.load(tmp_path / "p")


def test_subclassed_networks_are_refused_when_saving(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Mine(keras.Model):
        input_shape, output_shape = (None, *SHAPE), (None, 1)

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(1)
            self(keras.Input(SHAPE))

        def call(self, x):
            return self.dense(layers.Flatten()(x))

    model = GAN(SHAPE, width=40, discriminator=Mine())
    model.compile()
    with pytest.raises(ValueError, match=r"functional or sequential.*Received: Mine"):
        model.save_to_preset(tmp_path / "p")


def test_a_preset_remembers_optimizers_and_schedules(tmp_path):
    model = DCGAN((16, 16, 3), latent_dim=4, width=4)
    schedule = keras.optimizers.schedules.CosineDecay(3e-4, 500)
    model.compile(
        keras.optimizers.Adam(schedule, beta_1=0.25), keras.optimizers.RMSprop(1e-3, rho=0.8)
    )
    model.save_to_preset(tmp_path / "p")
    again = kgan.zoo.load(tmp_path / "p")
    assert again.g_optimizer.beta_1 == 0.25 and again.d_optimizer.rho == 0.8
    np.testing.assert_allclose(float(again.g_optimizer._learning_rate(250)), 1.5e-4, rtol=1e-6)
    np.testing.assert_allclose(float(again.d_optimizer.learning_rate), 1e-3, rtol=1e-6)


@pytest.mark.parametrize("kind, updates", [(DCGAN, 1), (WGANGP, 4)])
def test_a_schedule_that_has_run_out_is_not_begun_again(kind, updates, tmp_path):
    more = {} if updates == 1 else {"critic_steps": updates}
    model = kind((16, 16, 3), latent_dim=4, width=4, **more)
    adam = keras.optimizers.Adam
    schedules = [keras.optimizers.schedules.CosineDecay(3e-4, n) for n in (50, 50 * updates)]
    model.compile(*(adam(schedule, beta_1=0.25) for schedule in schedules))
    for steps, rate in ((25, 3e-4), (50, 3e-5)):
        model.images_seen.assign(64 * steps)  # recipes are of batches of 64 unless they say so
        model.save_to_preset(tmp_path / "p")
        again = kgan.zoo.load(tmp_path / "p")
        for optimizer in (again.g_optimizer, again.d_optimizer):
            np.testing.assert_allclose(float(optimizer.learning_rate), rate, rtol=1e-6)
            assert optimizer.beta_1 == 0.25


def test_a_preset_loads_and_trains_inside_a_strategy(preset):
    with TWO_REPLICAS.scope():
        model = kgan.zoo.load(preset)
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype="uint8")
    model.fit(kgan.data.dataset(images, (16, 16, 3), batch_size=8), epochs=2, verbose=0)
    assert int(model.images_seen.numpy()) == 2 * 16
    assert model.sample(3, seed=0).shape == (3, 16, 16, 3)


# What is hostile: each refused in one line of KganError, nothing left behind.


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    """The temporary directory of this test alone: others run beside it."""
    directory = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def refused(directory, message):
    """Checks that a preset is refused, in one line, and that nothing of it is left."""
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", scratch)  # other processes use the usual one
        with pytest.raises(KganError, match=message) as caught:
            kgan.zoo.load(directory)
        assert os.listdir(scratch) == []
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update({"class": "Model"}), "one of the classes.*'Model'"),
        (lambda c: c.update({"class": ["DCGAN"]}), "one of the classes"),
        (lambda c: c.update({"class": "WGANGP"}), "expected model 'WGANGP'.*Received: 'DCGAN'"),
        (lambda c: c.update(format=3), "of format 1 or 2. Received: format 3 in .*config.json"),
        (lambda c: c.update(format=1), "expected format 2, as in .*Received: format 1 in .*config"),
        (lambda c: c.pop("config"), "table of arguments"),
        (lambda c: c.update(config=[]), "table of arguments"),
        (lambda c: c["config"].update(depth=3), "arguments of DCGAN among .*Received: 'depth'"),
        (lambda c: c["config"].update(image_shape=[17, 17, 3]), "a side among"),
        (lambda c: c["config"].update(num_classes=3), "networks that take labels.*num_classes=3"),
        (lambda c: c["config"].update(seed=1 << 54), "Expected seed to be an int"),
        (lambda c: c["config"].update(augment="Mirrors"), "an augmentation named one of"),
        (lambda c: c["config"].update(loss="mine"), "loss"),
        (lambda c: c["config"].update(width=1 << 14), "does not fit the model in config.json"),
        (lambda c: c["config"].update(latent_dim=1 << 14), "does not fit the model in config.json"),
        (lambda c: c["config"].update(width=8), "does not fit the model in config.json"),
    ],
)
def test_descriptions_that_fit_nothing_are_refused(preset, change, message):
    rewrite(preset, change)
    refused(preset, message)


@pytest.mark.parametrize("key, value", [("image_shape", [16, 16, 1]), ("num_classes", 2)])
def test_metadata_of_another_model_are_refused(preset, key, value):
    rewrite(preset, lambda metadata: metadata.update({key: value}), METADATA)
    refused(preset, f"expected {key} .*as in config.json. Received")


def test_parameters_of_another_model_are_refused(preset):
    rewrite(preset, lambda m: m["parameters"].update(generator=7), METADATA)
    refused(preset, "expected parameters .*as in config.json. Received")


def test_users_class_is_known_once_it_is_registered(tmp_path):
    class Mine(GAN):
        pass

    with pytest.raises(KganError, match="register_keras_serializable.*Received: Mine"):
        Mine(SHAPE, width=5).save_to_preset(tmp_path / "p")
    registered = keras.saving.register_keras_serializable("test_preset")(Mine)
    registered(SHAPE, width=5).save_to_preset(tmp_path / "p")
    assert type(kgan.zoo.load(tmp_path / "p")) is Mine


def test_registered_objects_are_out_of_reach(users_preset, tmp_path):
    used = []

    @keras.saving.register_keras_serializable("test_preset", "Reached")
    class Reached(layers.Dense):
        def __init__(self, *args, **kwargs):
            used.append(1)
            super().__init__(*args, **kwargs)

    shutil.copytree(users_preset, tmp_path / "p")
    network = ["config", "generator", "config", "layers", 1]

    def poison(config):
        layer = config
        for key in network:
            layer = layer[key]
        layer["registered_name"] = "test_preset>Reached"

    rewrite(tmp_path / "p", poison)
    refused(tmp_path / "p", "Received: Dense")
    assert not used


def test_variables_are_counted_before_they_have_memory(users_preset, tmp_path, monkeypatch):
    shutil.copytree(users_preset, tmp_path / "p")

    def widen(config):
        for layer in config["config"]["generator"]["config"]["layers"][1:3]:
            layer["config"]["units"] = 1 << 20

    rewrite(tmp_path / "p", widen)
    made = []
    monkeypatch.setattr(tf, "zeros", lambda shape, *_: made.append(shape) or np.zeros(shape))
    refused(tmp_path / "p", r"does not fit the model.*Expected weights for .*\(6, 1048576\)")
    assert not made


def test_outputs_that_fit_no_memory_are_refused(users_preset, tmp_path):
    x = keras.Input(SHAPE)
    y = layers.GlobalAveragePooling2D()(layers.UpSampling2D(128)(x))
    model = GAN(SHAPE, width=5, discriminator=keras.Model(x, layers.Dense(1)(y)))
    model.save_to_preset(tmp_path / "p")
    refused(tmp_path / "p", "values for an image. Received: up_sampling2d")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("change", hostile.GREEDY, ids=lambda f: f.__name__)
def test_what_takes_too_much_to_sample_from_is_refused(users_preset, change, seed, tmp_path):
    """Before it takes it; what loads, in less memory than that, makes pictures."""
    shutil.copytree(users_preset, tmp_path / "p")
    hostile.describe_greedy(tmp_path / "p", random.Random(seed), change)
    hostile.rehash(tmp_path / "p")
    loads_or_is_refused(tmp_path / "p", "at most .* MB of memory|multiplications|images of shape")


def loads_or_is_refused(preset, message):
    try:
        model = kgan.zoo.load(preset)
    except KganError as error:
        assert re.search(message, str(error)) and str(error).isprintable()
    else:
        (found,) = model.passes()
        assert memory.cost(found.function.graph).bytes < saving.most_memory(0)
        assert model.sample(1, seed=0).shape == (1, *SHAPE)


@pytest.fixture(scope="module")
def nested_preset(tmp_path_factory):
    """A preset of a generator with a network in it, one of whose calls is the last layer."""
    directory = tmp_path_factory.mktemp("nested") / "nested"
    generator, discriminator = small_networks()
    inner = keras.Sequential([keras.Input(SHAPE), layers.ReLU()], name="inner")
    generator = keras.Model(generator.inputs, inner(generator.outputs[0]))
    GAN(SHAPE, generator=generator, discriminator=discriminator).save_to_preset(directory)
    return directory


ODD = [[None], [], [[None]], [True], 0, 1.5, "x", {}]


@pytest.mark.parametrize(
    "kwargs",
    [
        *({"mask": odd} for odd in [*ODD, True]),
        *({"training": odd} for odd in ODD),
        *({"initial_state": odd} for odd in (None, [None])),
    ],
    ids=str,
)
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_calls_that_no_layer_takes_are_refused(nested_preset, kwargs, player, tmp_path):
    preset = Path(shutil.copytree(nested_preset, tmp_path / "p"))

    def change(config):
        *_, last = config["config"][player]["config"]["layers"]
        last["inbound_nodes"][0]["kwargs"].update(kwargs)

    rewrite(preset, change)
    refused(preset, "that a preset can describe|can be built")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", hostile.ODD, ids=lambda f: f.__name__)
def test_what_loads_can_be_sampled_from(nested_preset, change, seed, tmp_path):
    preset = Path(shutil.copytree(nested_preset, tmp_path / "p"))
    hostile.describe_greedy(preset, random.Random(seed), change)
    hostile.rehash(preset)
    loads_or_is_refused(preset, "calls on tensors|can be built|Damaged preset|takes at most")


def test_labels_that_an_embedding_lacks_are_found(tmp_path, monkeypatch):
    latents, labels = keras.Input((6,)), keras.Input((), dtype="int32")
    images = keras.Input(SHAPE)
    z = layers.Multiply()([latents, layers.Embedding(2, 6)(labels)])
    generator = keras.Model(
        [latents, labels], layers.Reshape(SHAPE)(layers.Dense(math.prod(SHAPE))(z))
    )
    logits = layers.Concatenate()([layers.Flatten()(images), layers.Embedding(3, 2)(labels)])
    discriminator = keras.Model([images, labels], layers.Dense(1)(logits))
    model = GAN(SHAPE, generator=generator, discriminator=discriminator, num_classes=3)
    with pytest.raises(Exception, match="indices"):
        model.sample(1, labels=2)
    monkeypatch.setattr(GAN, "preview", lambda self: None)
    model.save_to_preset(tmp_path / "p")
    refused(tmp_path / "p", "can be built.*indices")


def needed(monkeypatch, preset):
    """The most bytes that a preset is counted with, to the variable, but for its description."""
    monkeypatch.setattr(saving, "_OF_JSON", 0)
    monkeypatch.setattr(saving, "_MOST_SLOTS", 1 << 40)
    counted = []
    real = saving._Memory.check

    def check(self, size, what):
        real(self, size, what)
        counted.append(self.most - self.left + size)

    monkeypatch.setattr(saving._Memory, "check", check)
    kgan.zoo.load(preset)
    monkeypatch.undo()
    return max(counted)


def test_bytes_of_weights_and_slots_are_counted_before_they_are_taken(
    users_preset, tmp_path, monkeypatch
):
    preset = Path(shutil.copytree(users_preset, tmp_path / "p"))
    usual = needed(monkeypatch, preset)
    weights = sum(8 * w.size for w in kgan.zoo.load(preset).get_weights())

    def widen(config):
        for name in ("generator", "discriminator"):
            hostile.wide(config["config"][name], None)

    rewrite(preset, widen)
    assert needed(monkeypatch, preset) > 1.3 * usual
    text = (preset / RECIPE).read_text().partition("[g_optimizer]")[0]
    adam = 'name = "Adam"\namsgrad = true\nuse_ema = true'
    (preset / RECIPE).write_text(f"{text}[g_optimizer]\n{adam}\n[d_optimizer]\n{adam}\n")
    hostile.rehash(preset)
    slots = needed(monkeypatch, preset)
    assert slots > 2 * weights  # which the averages are among
    monkeypatch.setattr(saving, "_OF_JSON", 0)
    monkeypatch.setattr(saving, "most_memory", lambda size: usual)
    refused(preset, "at most .* MB of memory; KGAN_MOST_WEIGHTS, in MB, allows eight times as much")
    monkeypatch.setattr(saving, "most_memory", lambda size: slots)
    kgan.zoo.load(preset)


@pytest.mark.parametrize("mutation", hostile._WEIGHTS, ids=lambda m: m.__name__[1:])
def test_weights_that_are_not_those_of_the_model_are_refused(either, mutation):
    def change(file):
        name = [name for name in hostile.datasets(file) if name.startswith("generator")][-2]
        parent, values = file[name].parent, file[name][()]
        del file[name]
        mutation(parent, name.rpartition("/")[2], values, random.Random(0))

    rewrite_weights(either, change)
    if mutation is hostile._odd_values:
        refused(either, "expected finite weights. Received: NaN or infinity")
    else:
        refused(either, "does not fit the model|as Keras writes them")


def test_floats_of_another_size_are_read_in_format_1(old_preset, tmp_path):
    preset = Path(shutil.copytree(old_preset, tmp_path / "p"))
    expected = kgan.zoo.load(preset)

    def widen(file):
        for name in hostile.datasets(file):
            values = file[name][()]
            if values.dtype == "float32":
                del file[name]
                file[name] = values.astype("float64")

    rewrite_weights(preset, widen)
    again = kgan.zoo.load(preset)
    for v, w in zip(again.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(v, w)


def test_all_weights_are_read_though_none_is_drawn(users_preset, tmp_path):
    """Neither those of batch normalisation, nor spectral vectors, nor stored noise is zero."""
    model = kgan.models.StyleGANLite(SHAPE, 4, 4, 8, augment="AdaptiveAugment")
    rng = np.random.default_rng(0)
    for weight in [*model.ema_generator.weights, *model.discriminator.weights]:
        weight.assign(rng.normal(size=weight.shape))
    model.save_to_preset(tmp_path / "p")
    again = kgan.zoo.load(tmp_path / "p")
    for name in ("ema_generator", "discriminator"):
        pairs = zip(getattr(again, name).weights, getattr(model, name).weights, strict=True)
        for v, w in pairs:
            np.testing.assert_array_equal(v, w, err_msg=v.path)


@pytest.mark.parametrize(
    "line",
    [
        'name = "LossScaleOptimizer"',
        'name = "MultiOptimizer"',
        'name = "Optimizer"',
        'name = "Adam"\nbeta_1 = "0.5"',
        'name = "Adam"\nlearning_rate = {class_name = "Mine", config = {}}',
        'name = "Muon"\nexclude_layers = ["(a+)+$"]',
    ],
)
def test_odd_optimizers_are_refused(preset, line):
    with open(preset / RECIPE, "a") as file:
        text = (preset / RECIPE).read_text()
        file.seek(0), file.truncate()
        file.write(text.partition("[g_optimizer]")[0] + f"\n[g_optimizer]\n{line}\n")
    hostile.rehash(preset)
    refused(preset, "in a recipe.*Received")


def test_command_line_refuses_in_one_line(preset, run_kgan):
    rewrite(preset, lambda config: config["config"].update(width=1 << 14))
    done = run_kgan("sample", preset, "-n", "4")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Damaged preset") and done.stderr.count("\n") == 1


def test_twelve_mutated_presets_load_or_are_refused(
    tiny_preset, users_preset, old_preset, tmp_path
):
    """The short form of tests/benchmarks/fuzz_presets.py; each in a process with limits."""
    bases = {"tiny": tiny_preset, "users": users_preset, "old": old_preset}
    for name, preset in bases.items():
        shutil.copytree(preset, tmp_path / "bases" / name)
    script = Path(hostile.__file__).parents[1] / "benchmarks" / "fuzz_presets.py"
    done = subprocess.run(
        [sys.executable, script, "--presets", "12", "--bases", tmp_path / "bases"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("player", ["generator", "discriminator", "ema_generator"])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, player, value):
    model = kgan.models.GAN((16, 16, 1), latent_dim=4, width=5)
    model.compile()
    weight = getattr(model, player).weights[-1]
    weight.assign(weight + value)
    if player == "generator":
        model.reset_ema()
    if player != "discriminator" and np.isnan(value):
        with pytest.raises(KganError, match="whose images are finite. Received: NaN or infinity"):
            model.sample(1, seed=0)
    with pytest.raises(KganError, match="finite weights to save|whose images are finite"):
        model.save_to_preset(tmp_path / "p")
    assert not (tmp_path / "p").exists()


@keras.saving.register_keras_serializable("tests")
class Odd(kgan.models.GAN):
    """Its argument may be anything, and its configuration need not be true."""

    def __init__(self, image_shape=(16, 16, 1), odd=None, told=True, **kwargs):
        super().__init__(image_shape, **{"latent_dim": 4, "width": 5, **kwargs})
        self.odd, self.told = odd, told
        if odd == 7:
            raise TypeError("seven")

    def get_config(self):
        return {**super().get_config(), "odd": self.odd if self.told else 7, "told": self.told}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"odd": object()}, "arguments of plain values"),
        ({"odd": float("nan")}, "NaN is no number"),
        ({"odd": "\x1b[2J"}, "without control characters"),
        ({"odd": "\u2067"}, "without control characters"),
        ({"odd": "x" * (1 << 22)}, "at most 4,194,304 bytes"),
        ({"odd": {"class_name": "Dense"}}, "plain values for odd"),
        ({"told": False}, r"its own get_config\(\) describes. Received: TypeError: seven"),
    ],
)
def test_a_model_that_no_preset_can_hold_is_found_before(arguments, message):
    saving.check(Odd(), Recipe("a", "Odd"))
    with pytest.raises(KganError, match=message):
        saving.check(Odd(**arguments), Recipe("a", "Odd"))


@pytest.mark.parametrize("trained_in", ["float32", "mixed_bfloat16"])
def test_card_shows_what_loads_whatever_precision_the_training_had(trained_in, tmp_path):
    model = DCGAN(image_shape=(28, 28, 1), width=8, dtype=trained_in)
    kgan.zoo.save(model, tmp_path / "made")
    loaded = kgan.zoo.load(tmp_path / "made")
    assert loaded.dtype_policy.name == "float32"
    shown = np.asarray(Image.open(tmp_path / "made" / SAMPLES))
    pictures, columns, _ = loaded.preview()
    np.testing.assert_array_equal(shown, kgan.images.grid(pictures, columns).squeeze())
