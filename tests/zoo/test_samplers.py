"""kgan.zoo.sampler: pictures without TensorFlow, by graphs that are trusted."""

import shutil

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers
from untrusted import hostile

import kgan
from kgan.errors import KganError
from kgan.graph import NotExpressible
from kgan.models import (
    DCGAN,
    GAN,
    R3GAN,
    ConditionalGAN,
    CycleGAN,
    Pix2Pix,
    StyleGANLite,
)
from kgan.sampling import StyleSampling
from kgan.translating import Translating
from kgan.zoo import preset, registry, weights
from kgan.zoo.metadata import WEIGHTS

SHAPE = (16, 16, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


def close(one, other):
    """Within one level in a thousandth of the values, as the two engines round."""
    difference = np.abs(one.astype(int) - other)
    return difference.max() <= 1 and np.mean(difference > 0) <= 1e-3


@pytest.mark.parametrize("name", [n for n in registry.names() if n != "stylegan-lite-celeba"])
def test_presets_of_the_zoo(name):
    model, sampler = kgan.zoo.load(name), kgan.zoo.sampler(name)
    assert sampler.image_shape == model.image_shape
    if isinstance(model, Translating):
        given = np.random.default_rng(0).integers(0, 256, (3, *model.image_shape), "uint8")
        for direction in model.DIRECTIONS:
            made = (one.translate(given, direction) for one in (sampler, model))
            assert close(*made)
        return
    options = {"labels": [i % model.num_classes for i in range(20)]} if model.num_classes else {}
    assert close(sampler.sample(20, seed=1, **options), model.sample(20, seed=1, **options))
    assert sampler.latent_dim == model.latent_dim


def test_styles():
    model = kgan.zoo.load("stylegan-lite-celeba")
    sampler = kgan.zoo.sampler("stylegan-lite-celeba")
    assert isinstance(sampler, StyleSampling) and isinstance(model, StyleSampling)
    assert close(sampler.sample(3, seed=1), model.sample(3, seed=1))
    assert close(*(s.sample(3, seed=1, truncation=0.4) for s in (sampler, model)))
    assert not close(sampler.sample(3, seed=1, truncation=0.4), sampler.sample(3, seed=1))
    mixed = sampler.mix([0, 1], [2, 3], "coarse", truncation=0.8)
    assert close(mixed, model.mix([0, 1], [2, 3], "coarse", truncation=0.8))
    own = np.stack([sampler.sample(1, seed=seed, truncation=0.8)[0] for seed in (0, 1)])
    assert close(sampler.mix([0, 1], [0, 1], truncation=0.8)[[0, 1], [0, 1]], own)
    frames = sampler.interpolate([4, 5], frames=4, images=2)
    assert close(frames, model.interpolate([4, 5], frames=4, images=2))
    assert close(frames[0], sampler.sample(2, seed=4))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GAN(SHAPE, latent_dim=4, width=5),
        lambda: ConditionalGAN(SHAPE, num_classes=3, latent_dim=4, width=4, conditioning="concat"),
        lambda: R3GAN(SHAPE, latent_dim=4, width=4, max_channels=16),
        lambda: R3GAN(SHAPE, latent_dim=4, num_classes=3, width=4, max_channels=16),
        lambda: StyleGANLite(SHAPE, latent_dim=4, width=4, num_classes=3),
    ],
)
def test_every_class(make, tmp_path):
    model = make()
    model.images_seen.assign(1)
    for network in (model.generator, model.ema_generator):
        for variable in network.weights:
            if len(variable.shape) > 1:  # kernels
                variable.assign(np.random.default_rng(0).normal(0, 0.5, variable.shape))
    kgan.zoo.save(model, tmp_path / "preset")
    loaded, sampler = kgan.zoo.load(tmp_path / "preset"), kgan.zoo.sampler(tmp_path / "preset")
    assert loaded.sample(8, seed=0).std() > 5
    assert close(sampler.sample(20, seed=0), loaded.sample(20, seed=0))


def _vivid(model):
    """A model whose pictures differ, and depend on the statistics of normalisation."""
    model.images_seen.assign(1)
    rng = np.random.default_rng(0)
    for network in (*model.networks.values(), *model.averages.values()):
        for variable in network.weights:
            kernel = len(variable.shape) > 1
            variable.assign(
                rng.normal(0, 0.3, variable.shape)
                if kernel
                else rng.uniform(0.3, 1, variable.shape)
            )
    return model


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    """A directory, the model in it, and its sampler, by class."""
    found = {}
    for make in (
        lambda: CycleGAN((20, 24, 3), 1, width=4, residual_blocks=1),
        lambda: Pix2Pix((32, 32, 1), 3, width=4, max_channels=16),
    ):
        model = _vivid(make())
        place = tmp_path_factory.mktemp("translators") / "preset"
        kgan.zoo.save(model, place)
        found[type(model)] = place, kgan.zoo.load(place), kgan.zoo.sampler(place)
    return found


class TestTranslators:
    @pytest.mark.parametrize("sides", [(20, 24), (5, 7), (61, 38), (33, 104)])
    @pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
    def test_of_any_size(self, translators, sides, direction):
        _, model, sampler = translators[CycleGAN]
        channels = 3 if direction == "a_to_b" else 1
        images = np.random.default_rng(0).integers(0, 256, (41, *sides, channels), np.uint8)
        translated = sampler.translate(images, direction)
        assert translated.shape == (41, *sides, 4 - channels) and translated.std() > 5
        expected = model.translate(images, direction)
        np.testing.assert_array_equal(model.translate(images[3:], direction), expected[3:])
        np.testing.assert_array_equal(sampler.translate(images[3:], direction), translated[3:])
        assert close(translated, expected)

    def test_of_one_size(self, translators):
        _, model, sampler = translators[Pix2Pix]
        images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), np.uint8)
        translated = sampler.translate(images)
        assert translated.shape == (6, 32, 32, 3) and translated.std() > 5
        assert close(translated, model.translate(images))

    @pytest.mark.parametrize("kind", [CycleGAN, Pix2Pix])
    def test_they_say_the_same_of_themselves(self, translators, kind):
        _, model, sampler = translators[kind]
        assert isinstance(sampler, Translating) and isinstance(model, Translating)
        for name in ("kind", "directions", "image_shape", "target_shape", "multiple", "least_side"):
            assert getattr(sampler, name) == getattr(model, name), name
        for thing in (model, sampler):
            with pytest.raises(KganError, match="images of .*Received"):
                thing.translate(np.zeros((1, 3, 3, model.image_shape[2]), np.uint8))
            with pytest.raises(KganError, match="one of 'a_to_b'.*direction='b-to-c'"):
                thing.translate(np.zeros((1, *model.image_shape), np.uint8), "b-to-c")

    def test_a_graph_for_each_direction_is_called_after_its_network(self, translators):
        graphs = {
            kind: sorted(path.name for path in place.glob("*.onnx"))
            for kind, (place, _, _) in translators.items()
        }
        assert graphs == {
            CycleGAN: ["generator_ab.onnx", "generator_ba.onnx"],
            Pix2Pix: ["generator.onnx"],
        }
        files = preset.read(translators[CycleGAN][0]).metadata["files"]
        assert files.keys() >= set(graphs[CycleGAN])

    def test_they_need_no_tensorflow_and_no_graph_of_a_stranger_is_run(
        self, translators, cache, run_without_tensorflow, tmp_path
    ):
        place = shutil.copytree(translators[CycleGAN][0], tmp_path / "stranger")
        for path in place.glob("*.onnx"):
            path.write_bytes(b"not to be run")
        hostile.rewrite(place, lambda values: None)
        images = np.zeros((1, 9, 9, 3), np.uint8)
        expected = kgan.zoo.sampler(place).translate(images)
        code = (
            "import numpy, kgan\n"
            f"s = kgan.zoo.sampler({str(place)!r})\n"
            "numpy.save('x.npy', s.translate(numpy.zeros((1, 9, 9, 3), numpy.uint8)))\n"
            "assert s.directions == ('a_to_b', 'b_to_a')\n"
        )
        done = run_without_tensorflow(code, cwd=tmp_path, KGAN_CACHE=str(cache.parent))
        assert done.returncode == 0, done.stderr
        np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)

    def test_memory_is_asked_for_before_it_is_taken(self, translators, monkeypatch):
        _, model, sampler = translators[CycleGAN]
        monkeypatch.setattr("kgan.translating.free_memory", lambda: 1 << 20)
        for thing in (model, sampler):
            with pytest.raises(
                KganError, match=r"of these proportions \d+x\d+ do\. Received: 400x"
            ):
                thing.translate(np.zeros((1, 200, 400, 3), np.uint8))

    def test_a_stranger_says_no_size_that_memory_has_not(self, translators, tmp_path, monkeypatch):
        """The size that `kgan translate` takes if it is asked for none is tried out on loading."""
        place = shutil.copytree(translators[CycleGAN][0], tmp_path / "stranger")
        monkeypatch.setattr("kgan.zoo.saving.most_memory", lambda size: 50e6)
        kgan.zoo.load(place)
        hostile.rewrite(place, lambda config: config["config"].update(translate_size=4096))
        with pytest.raises(KganError, match="at most 50 MB.* Received: a pass through"):
            kgan.zoo.sampler(place)

    def test_exported(self, translators, tmp_path):
        _, model, _ = translators[CycleGAN]
        model.export(tmp_path / "x.onnx", format="onnx", direction="b-to-a")
        session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
        images = np.random.default_rng(0).uniform(-1, 1, (2, 24, 32, 1)).astype(np.float32)
        (translated,) = session.run(["translated"], {"images": images})
        expected = np.asarray(model(images, direction="b_to_a"))
        np.testing.assert_allclose(translated, expected, atol=1e-4)


def test_a_graph_is_made_once_and_then_needs_no_tensorflow(
    tiny_preset, cache, run_without_tensorflow, tmp_path
):
    pictures = kgan.zoo.sampler(tiny_preset).sample(4, seed=0)
    (made,) = cache.iterdir()
    assert made.stat().st_size < 20_000  # the weights are where they were
    code = (
        "import numpy, kgan\n"
        f"s = kgan.zoo.sampler({str(tiny_preset)!r})\n"
        "numpy.save('x.npy', s.sample(4, seed=0))\n"
    )
    done = run_without_tensorflow(code, cwd=tmp_path, KGAN_CACHE=str(cache.parent))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), pictures)


class TestStrangers:
    def test_a_graph_of_a_stranger_is_not_run(self, tiny_preset, tmp_path, monkeypatch):
        place = shutil.copytree(tiny_preset, tmp_path / "stranger")
        (place / "generator.onnx").write_bytes(b"not to be run")
        hostile.rewrite(place, lambda values: None)  # its metadata list what is there
        given = []
        real = onnxruntime.InferenceSession

        def session(graph, *args, **kwargs):
            given.append(graph)
            return real(graph, *args, **kwargs)

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        found = preset.read(place)
        assert found.graphs == {}
        kgan.zoo.sampler(place).sample(1, seed=0)
        assert len(given) == 1 and b"not to be run" not in given[0]

    def test_a_pin_of_a_registry_of_the_users_is_no_trust(self, tiny_preset, tmp_path, monkeypatch):
        shutil.copytree(tiny_preset, tmp_path / "zoo" / "mine")
        registry.write(tmp_path / "zoo")
        monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
        assert not preset.read("mine").trusted and preset.read("dcgan-mnist").trusted

    def test_other_weights_have_another_graph(self, tiny_preset, tmp_path, cache):
        one = kgan.zoo.sampler(tiny_preset).sample(2, seed=0)
        place = shutil.copytree(tiny_preset, tmp_path / "other")
        model = kgan.zoo.load(place)
        kernel = model.ema_generator.weights[0]
        kernel.assign(kernel + 1)
        kgan.zoo.save(model, place)
        other = kgan.zoo.sampler(place).sample(2, seed=0)
        assert len(list(cache.iterdir())) == 2 and not np.array_equal(one, other)

    def test_a_damaged_note_is_made_again(self, tiny_preset, cache):
        pictures = kgan.zoo.sampler(tiny_preset).sample(2, seed=0)
        (made,) = cache.iterdir()
        made.write_bytes(made.read_bytes()[:-100])
        np.testing.assert_array_equal(kgan.zoo.sampler(tiny_preset).sample(2, seed=0), pictures)


def test_marking_variables_of_format_1_leaves_them_alone():
    found = preset.read("dcgan-mnist")
    assert found.metadata["format"] == 1
    model = kgan.zoo.load("dcgan-mnist")
    before = [v.numpy() for v in model.weights]
    graph = weights.graphs_of(model, found.content[WEIGHTS], 1)["generator"]
    assert all(map(np.array_equal, before, model.weights)) and len(graph) < 10_000


@pytest.mark.parametrize("kind", [DCGAN, StyleGANLite])
def test_a_class_that_makes_images_in_its_own_way_has_no_graph(kind, tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Inverted(kind):
        def call(self, latents, labels=None, training=False):
            return -super().call(latents, labels, training)

    kgan.zoo.save(Inverted(SHAPE, latent_dim=4, width=4), tmp_path / "preset")
    with pytest.raises(NotExpressible, match=r"Inverted with a call\(\) of its own"):
        kgan.zoo.sampler(tmp_path / "preset")


def test_the_graph_of_a_class_of_ones_own_is_of_the_code_that_there_is(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Scaled(DCGAN):
        factor = 1.0

        def build_generator(self):
            network = super().build_generator()
            output = layers.Rescaling(self.factor)(network.output)
            return keras.Model(network.input, output)

    model = Scaled(SHAPE, latent_dim=4, width=4)
    kgan.zoo.save(model, tmp_path / "preset")
    for Scaled.factor in (1.0, -1.0):
        expected = kgan.zoo.load(tmp_path / "preset").sample(4, seed=0)
        difference = kgan.zoo.sampler(tmp_path / "preset").sample(4, seed=0) - expected.astype(int)
        assert np.abs(difference).max() <= 1


def test_a_model_without_a_graph_says_so(tmp_path):
    z = keras.Input((4,))
    y = layers.LayerNormalization()(layers.Reshape((2, 2, 1))(layers.Dense(4)(z)))
    x = keras.Input((2, 2, 1))
    model = GAN(
        (2, 2, 1),
        generator=keras.Model(z, y),
        discriminator=keras.Model(x, layers.Dense(1)(layers.Flatten()(x))),
    )
    kgan.zoo.save(model, tmp_path / "preset")
    with pytest.raises(NotExpressible, match="Received: LayerNormalization .*zoo.load samples"):
        kgan.zoo.sampler(tmp_path / "preset")
    assert issubclass(NotExpressible, KganError)
