"""Presets: what is refused, and what comes along. (The round trip is in the harness.)"""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import kgan
from kgan import presets
from kgan.models import DCGAN, GAN
from models.harness import TWO_REPLICAS
from models.test_gan import SHAPE, small_networks


@pytest.fixture
def preset(tmp_path):
    model = DCGAN((16, 16, 3), latent_dim=4, width=4)
    model.compile()
    model.save_to_preset(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_weights_hold_one_generator_and_no_optimizer(preset):
    values = []
    with h5py.File(preset / presets.WEIGHTS) as file:
        file.visititems(
            lambda name, item: values.append((name, item.size)) if hasattr(item, "size") else None
        )
    model = DCGAN((16, 16, 3), latent_dim=4, width=4)
    networks = model.ema_generator.count_params() + model.discriminator.count_params()
    assert sum(size for _, size in values) == networks + 1  # and images_seen
    assert not [name for name, _ in values if "optimizer" in name]


def test_class_of_from_preset_must_fit(preset):
    assert isinstance(GAN.from_preset(preset), DCGAN)

    class Other(GAN):
        pass

    with pytest.raises(ValueError, match="Expected a preset of a Other.*holds a DCGAN"):
        Other.from_preset(preset)


def test_unknown_class_is_refused(preset):
    _rewrite(preset, lambda config: config.update({"class": "os.system"}))
    with pytest.raises(ValueError, match=r"one of the classes.*Received: class 'os.system'"):
        kgan.zoo.load(preset)


def test_weights_of_another_shape_are_refused(preset):
    _rewrite(preset, lambda config: config["config"].update(width=8))
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


def test_layers_from_strangers_are_allow_listed(tmp_path):
    generator, discriminator = small_networks()
    model = GAN(SHAPE, generator=generator, discriminator=discriminator)
    model.compile()
    model.save_to_preset(tmp_path / "p")

    def poison(config):
        layer = config["config"]["generator"]["config"]["layers"][1]
        layer["class_name"] = "TFSMLayer"

    _rewrite(tmp_path / "p", poison)
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


def test_a_preset_loads_and_trains_inside_a_strategy(preset):
    with TWO_REPLICAS.scope():
        model = kgan.zoo.load(preset)
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype="uint8")
    model.fit(kgan.data.dataset(images, (16, 16, 3), batch_size=8), epochs=2, verbose=0)
    assert int(model.images_seen.numpy()) == 2 * 16
    assert model.sample(3, seed=0).shape == (3, 16, 16, 3)


def _rewrite(directory, change):
    """Changes config.json and mends the hashes, as a stranger would."""
    path = directory / presets.CONFIG
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    metadata = json.loads((directory / presets.METADATA).read_text())
    metadata["files"][presets.CONFIG] = {
        "sha256": presets.sha256(path),
        "size": path.stat().st_size,
    }
    (directory / presets.METADATA).write_text(json.dumps(metadata))
