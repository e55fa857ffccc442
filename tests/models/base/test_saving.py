"""What is written of a model: files of Keras', and what serves its pictures."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan.models import GAN, ConditionalGAN
from models.base.test_keras import CONDITIONAL, IMAGES, new_model
from models.base.test_translation import TinyCycleGAN

OPTIMIZERS = ("Adadelta", "Adagrad", "Lamb", "Lion", "Muon", "Nadam", "ScheduleFreeAdamW")


@pytest.fixture(scope="module")
def model():
    return new_model()


class TestExport:
    @pytest.mark.parametrize(
        ("kind", "config"),
        [(GAN, {}), (ConditionalGAN, CONDITIONAL)],
    )
    def test_of_the_averaged_generator(self, kind, config, tmp_path):
        model = new_model(kind, **config)
        weights = model.ema_generator.get_weights()
        model.ema_generator.set_weights([2 * w for w in weights])  # no longer the generator's
        model.export(tmp_path / "served", verbose=False)
        latents = kgan.latents.sample_latents(0, 0, 3, 4)
        given = [latents, np.arange(3, dtype="int32")] if config else latents
        served = tf.saved_model.load(tmp_path / "served")
        expected = model(*given) if config else model(given)
        np.testing.assert_allclose(served.serve(given), expected, atol=1e-6)

    def test_of_each_direction(self, tmp_path):
        model = TinyCycleGAN()
        images = np.zeros((2, 16, 16, 3), "float32")
        for direction in ("a_to_b", "b-to-a"):
            model.export(tmp_path / direction, direction=direction, verbose=False)
            served = tf.saved_model.load(tmp_path / direction)
            expected = model(images, direction=direction.replace("-", "_"))
            np.testing.assert_allclose(served.serve(images), expected, atol=1e-6)
        with pytest.raises(ValueError, match="Received: direction='up'"):
            model.export(tmp_path / "up", direction="up")


class TestSaving:
    @pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.tf", "m"])
    def test_other_kinds_of_file(self, model, name, tmp_path):
        (tmp_path / name).write_text("an earlier one")
        with pytest.raises(ValueError, match="Expected a path that ends in .keras"):
            model.save(tmp_path / name)
        assert (tmp_path / name).read_text() == "an earlier one"

    @pytest.mark.parametrize(
        ("method", "name"), [("save", "m.keras"), ("save_weights", "m.weights.h5")]
    )
    def test_failing_on_the_way(self, model, method, name, tmp_path, monkeypatch):
        path = tmp_path / name
        path.write_text("an earlier one")
        monkeypatch.setattr(
            type(model.d_optimizer), "save_own_variables", lambda *_: {}["no space is left"]
        )
        with pytest.raises(KeyError, match="no space is left"):
            getattr(model, method)(path)
        assert path.read_text() == "an earlier one"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("method", "name"), [("save", "m.keras"), ("save_weights", "m.weights.h5")]
    )
    def test_nowhere(self, model, method, name, tmp_path):
        with pytest.raises(ValueError, match="Expected to write .*Received: No such file"):
            getattr(model, method)(tmp_path / "absent" / name)

    @pytest.mark.parametrize("way", ["file", "copy"])
    @pytest.mark.parametrize("frozen", ["generator", "layers"])
    def test_frozen_layers_stay_frozen_and_state_stays(self, way, frozen, tmp_path):
        model = new_model()
        if frozen == "generator":
            model.generator.trainable = False
        else:
            model.discriminator.layers[-1].trainable = False
        model.compile(run_eagerly=True)
        model.train_on_batch(IMAGES[:4])
        if way == "copy":
            loaded = copy.deepcopy(model)
        else:
            model.save(tmp_path / "m.keras")
            loaded = keras.saving.load_model(tmp_path / "m.keras")
        for name in model.networks:
            flags = [
                [layer.trainable for layer in getattr(one, name)._flatten_layers()]
                for one in (model, loaded)
            ]
            assert flags[0] == flags[1]
        assert int(loaded.d_optimizer.iterations) == 1
        assert len(loaded.g_optimizer.variables) == len(model.g_optimizer.variables)

    def test_a_preset_is_there_to_be_trained(self, tmp_path):
        model = new_model()
        model.generator.trainable = False
        model.compile()
        model.save_to_preset(tmp_path / "preset")
        assert kgan.zoo.load(tmp_path / "preset").generator.trainable_variables

    def test_averages_of_a_fine_tuned_model_go_on_as_they_were(self, tmp_path):
        model = new_model()
        model.ema_ramp = None  # as of a preset that began from another
        model.save(tmp_path / "m.keras")
        assert keras.saving.load_model(tmp_path / "m.keras").ema_ramp is None
        assert keras.models.clone_model(new_model()).ema_ramp is not None

    @pytest.mark.parametrize(
        "name", [name for name in OPTIMIZERS if hasattr(keras.optimizers, name)]
    )
    def test_all_optimizers_of_keras_are_read_again(self, name, tmp_path):
        kind = getattr(keras.optimizers, name)
        model = new_model(GAN, kind(1e-3), keras.optimizers.SGD())
        model.save(tmp_path / "m.keras")
        assert type(keras.saving.load_model(tmp_path / "m.keras").g_optimizer) is kind

    def test_what_keras_offers_beside(self, model, tmp_path):
        model.save(str(tmp_path / "directory"), zipped=False)
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=1)
        assert (tmp_path / "directory" / "config.json").is_file()
        assert (tmp_path / "m.weights.json").is_file()
