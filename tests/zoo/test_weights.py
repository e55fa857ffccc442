"""kgan.zoo.weights: format 2 names weights by what they are, and equal weights are equal files."""

import hashlib
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from models.test_gan import SHAPE, small_networks
from untrusted import hostile

import kgan
from kgan.errors import KganError
from kgan.models import DCGAN, GAN, StyleGANLite
from kgan.untrusted.weights import layout, values
from kgan.zoo import preset, saving, weights
from kgan.zoo.metadata import WEIGHTS

SHAPES = {
    "generator/dense/kernel": (8, 128),
    **{f"generator/batch_normalization/{name}": (8,) for name in ("beta", "gamma")},
    **{f"generator/batch_normalization/moving_{name}": (8,) for name in ("mean", "variance")},
}


def contents(path: Path) -> dict[str, np.ndarray]:
    """All datasets of a file."""
    with h5py.File(path) as file:
        return {name: file[name][()] for name in hostile.datasets(file)}


def model_of(augment=None, averages=None, **networks):
    """What `named` asks of a model, of any players."""
    return SimpleNamespace(
        networks=networks, averages=averages or {}, augment=augment, preset_state=dict
    )


def named(network) -> list[str]:
    """Names of a network's weights, without that of the player."""
    return [name.removeprefix("player/") for name in weights.named(model_of(player=network))]


def test_datasets_are_named_by_player_layer_and_variable(tiny_preset):
    found = contents(tiny_preset / WEIGHTS)
    assert {name: found[name].shape for name in SHAPES} == SHAPES
    assert found["state/images_seen"].dtype == "<i8" and found["state/images_seen"].shape == ()
    assert {x.dtype.str for name, x in found.items() if name[:6] != "state/"} == {"<f4"}
    assert {name.partition("/")[0] for name in found} == {"generator", "discriminator", "state"}


def test_nested_networks_state_and_augmentation_have_names_too(tmp_path):
    model = StyleGANLite(SHAPE, 4, 4, 8, mapping_layers=2, augment="AdaptiveAugment")
    names = set(weights.named(model))
    assert {
        "generator/mapping/equalized_dense/kernel",
        "generator/mapping/equalized_dense_1/kernel",
        "generator/synthesis/learned_constant/constant",
        "generator/synthesis/modulated_conv2d_1/equalized_dense/bias",
        "discriminator/equalized_conv2d/kernel",
        "augment/strength",
        "state/w_mean",
    } <= names


def test_names_do_not_depend_on_what_was_built_before():
    def build():
        x = keras.Input((4,))
        inner = keras.Sequential([layers.Dense(3), layers.Dense(3)])
        return keras.Model(x, layers.Dense(2)(layers.Dense(3, name="chosen")(inner(x))))

    first = named(build())
    assert first == named(build()) == named(build())
    assert first == [
        *("sequential/dense/kernel", "sequential/dense/bias"),
        *("sequential/dense_1/kernel", "sequential/dense_1/bias"),
        *("chosen/kernel", "chosen/bias", "dense/kernel", "dense/bias"),
    ]


def test_layers_in_layers_are_named_by_both():
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.SpectralNormalization(layers.Conv2D(3, 3)),
            kgan.layers.SpectralConv2D(3, 3),
            layers.Conv2D(3, 3),
        ]
    )
    names = named(network)
    assert len(names) == len(network.weights) == len(set(names))
    assert names[:3] == [
        "spectral_normalization/conv2d/kernel",
        "spectral_normalization/conv2d/bias",
        "spectral_normalization/vector_u",
    ]


def test_variables_without_a_name_of_their_own_are_numbered():
    class Mine(layers.Layer):
        def build(self, shape):
            self.a, self.b = self.add_weight(shape=(1,)), self.add_weight(shape=(2,))
            self.c, self.d = (self.add_weight(shape=(n,), name="twice") for n in (3, 4))

        def call(self, x):
            return x

    network = keras.Sequential([keras.Input((2,)), Mine(), Mine()])
    each = ("variable", "variable_1", "twice", "twice_1")
    assert named(network) == [f"{mine}/{name}" for mine in ("mine", "mine_1") for name in each]


def test_names_that_no_file_could_hold_are_written_otherwise(tmp_path):
    x = keras.Input((2,))
    y = layers.Dense(2, name="a>b")(layers.Dense(2, name=".")(x))
    model = model_of(player=keras.Model(x, layers.Dense(2, name="a.b")(y)))
    (tmp_path / "x.h5").write_bytes(weights.content(model))
    kernels = [name for name in contents(tmp_path / "x.h5") if name.endswith("kernel")]
    assert sorted(kernels) == ["player/_/kernel", "player/a_b/kernel", "player/a_b_1/kernel"]


def test_a_layer_of_two_networks_is_stored_once(tmp_path):
    shared = layers.Dense(2, name="shared")
    one, other = (
        keras.Sequential([keras.Input((2,)), shared, layers.Dense(n, name="own")]) for n in (1, 2)
    )
    names = list(weights.named(model_of(one=one, other=other)))
    kernels = ["one/shared/kernel", "one/own/kernel", "other/own/kernel"]
    assert [name for name in names if name.endswith("kernel")] == kernels


def test_weights_of_no_layer_are_refused():
    class Own(keras.Model):
        @property
        def weights(self):
            return [keras.Variable([1.0])]

    with pytest.raises(KganError, match="Expected networks all of .*Received: player, with others"):
        weights.named(model_of(player=Own()))


@pytest.mark.parametrize("players", [("generator_ab", "generator_ba", "discriminator_a", "d_b")])
def test_any_players_are_written_and_read_back(players, tmp_path):
    def build():
        networks = {n: keras.Sequential([keras.Input((2,)), layers.Dense(2)]) for n in players}
        averages = {n: keras.models.clone_model(networks[n]) for n in players[:2]}
        return model_of(averages=averages, **networks)

    model, other = build(), build()
    content = weights.content(model)
    assert {name.partition("/")[0] for name in layout(content, "x")} == set(players)
    read = preset.Preset(tmp_path, {"format": 2}, {WEIGHTS: content}, "a test")
    weights.assign(other, read, layout(content, "x"))
    for name in players:
        expected = model.averages.get(name, model.networks[name]).get_weights()
        for network in (other.networks[name], other.averages.get(name, other.networks[name])):
            assert all(map(np.array_equal, network.get_weights(), expected))


def build_and_write(path: Path) -> str:
    """Writes an untrained model; the hash of its file."""
    generator, discriminator = small_networks()
    for index, network in enumerate((generator, discriminator)):
        rng = np.random.default_rng(index)
        network.set_weights([rng.normal(size=v.shape) for v in network.weights])
    model = GAN(SHAPE, generator=generator, discriminator=discriminator)
    path.write_bytes(weights.content(model))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_equal_weights_are_equal_files(tmp_path, run_python):
    """Whatever Keras has counted before, at any time, in any process."""
    first = build_and_write(tmp_path / "1.h5")
    second = build_and_write(tmp_path / "2.h5")
    time.sleep(1.1)  # the HDF5 library can write the time, in seconds
    assert first == second == build_and_write(tmp_path / "3.h5")
    tests = str(Path(__file__).parents[1])
    code = (
        f"import sys; sys.path.insert(0, {tests!r})\n"
        "import keras, pathlib\n"
        "from zoo.test_weights import build_and_write\n"
        "print(build_and_write(pathlib.Path('4.h5')))"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert done.stdout.split()[-1] == first, done.stderr


def test_other_weights_are_another_file():
    one, other = (weights.content(DCGAN((16, 16, 3), 4, width=2, seed=n)) for n in (0, 1))
    assert one != other


def test_the_stored_generator_is_the_averaged_one(tmp_path):
    model = DCGAN((16, 16, 3), latent_dim=4, width=2)
    for variable in model.ema_generator.weights:
        variable.assign(variable + 1)
    (tmp_path / "x.h5").write_bytes(weights.content(model))
    found = contents(tmp_path / "x.h5")["generator/dense/kernel"]
    np.testing.assert_array_equal(found, model.ema_generator.weights[0])
    assert not np.array_equal(found, model.generator.weights[0])


def test_format_2_is_read_without_the_hdf5_library_or_another_file(tiny_preset, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("not to be called")

    expected = kgan.zoo.load(tiny_preset).sample(2, seed=0)
    found = preset.read(tiny_preset)
    monkeypatch.setattr(h5py, "File", fail)
    monkeypatch.setattr("builtins.open", fail)
    np.testing.assert_array_equal(saving.load(found).sample(2, seed=0), expected)


def replaced(name, array):
    """Changes a dataset; None removes it."""

    def change(file):
        if name in file:
            del file[name]
        if array is not None:
            file[name] = array

    return change


KERNEL = "generator/dense/kernel"


@pytest.mark.parametrize(
    "name, array, message",
    [
        (KERNEL, None, "Expected float32 of shape (8, 128) at K. Received: nothing"),
        ("state/images_seen", None, "Expected int64 of shape () at K. Received: nothing"),
        ("generator/dense/bias", np.zeros(8, "f4"), "Expected nothing at K. Received: float32"),
        ("x", np.zeros(8, "f4"), "Expected nothing at K. Received: float32 of shape (8,)"),
        ("state/step", np.int64(7), "Expected nothing at K. Received: int64 of shape ()"),
        (KERNEL, np.zeros((128, 8), "f4"), "float32 of shape (8, 128) at K. Received: float32 of"),
        (KERNEL, np.zeros((8, 128), "f8"), "float32 of shape (8, 128) at K. Received: float64"),
        (KERNEL, np.zeros((8, 128), "f2"), "float32 of shape (8, 128) at K. Received: float16"),
        (KERNEL, np.zeros((8, 128), "i4"), "float32 of shape (8, 128) at K. Received: int32"),
        ("state/images_seen", np.int32(7), "Expected int64 of shape () at K. Received: int32"),
        ("state/images_seen", np.float32(7), "int64 of shape () at K. Received: float32"),
        (KERNEL, np.zeros((8, 1 << 14), "f4"), "(8, 128) at K. Received: float32 of shape (8, 16"),
        (KERNEL, np.zeros((8, 128), ">f4"), "expected weights as Keras writes them"),
    ],
)
def test_datasets_that_are_not_those_of_the_model_are_named(
    tiny_preset, tmp_path, name, array, message
):
    directory = Path(shutil.copytree(tiny_preset, tmp_path / "p"))
    hostile.rewrite_weights(directory, replaced(name, array))
    with pytest.raises(KganError, match="Damaged preset") as caught:
        kgan.zoo.load(directory)
    assert message.replace("at K.", f"at {name}.") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_preset_that_does_not_fit_changes_nothing(tiny_preset, tmp_path):
    model = kgan.zoo.load(tiny_preset)
    before = [v.numpy().copy() for v in model.weights]
    directory = Path(shutil.copytree(tiny_preset, tmp_path / "p"))
    hostile.rewrite_weights(directory, replaced("state/images_seen", np.int64([7])))
    hostile.rewrite_weights(directory, replaced(KERNEL, np.ones((8, 128), "f4")))
    with pytest.raises(KganError, match="at state/images_seen"):
        saving.load_weights(model, preset.read(directory))
    assert all(map(np.array_equal, model.weights, before))


def test_both_formats_hold_the_same_values(tiny_preset, tmp_path):
    old = Path(shutil.copytree(tiny_preset, tmp_path / "old"))
    hostile.to_format_1(old)
    assert preset.read(old).metadata["format"] == 1
    one, two = kgan.zoo.load(old), kgan.zoo.load(tiny_preset)
    assert all(map(np.array_equal, one.weights, two.weights))
    one.save_to_preset(tmp_path / "again")
    files = [(directory / WEIGHTS).read_bytes() for directory in (tiny_preset, tmp_path / "again")]
    assert files[0] == files[1] and preset.read(tmp_path / "again").metadata["format"] == 2


def test_values_are_read_where_they_lie(tiny_preset):
    content = (tiny_preset / WEIGHTS).read_bytes()
    kernel = values(content, layout(content, "x")[KERNEL])
    assert not kernel.flags.owndata and not kernel.flags.writeable
    np.testing.assert_array_equal(kernel, contents(tiny_preset / WEIGHTS)[KERNEL])
