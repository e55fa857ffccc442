"""What is written of a model: files of Keras', and what serves its pictures."""

import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan.models import GAN, ConditionalGAN
from models.base.test_keras import CONDITIONAL, new_model
from models.base.test_translation import TinyCycleGAN


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

    def test_what_keras_offers_beside(self, model, tmp_path):
        model.save(str(tmp_path / "directory"), zipped=False)
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=1)
        assert (tmp_path / "directory" / "config.json").is_file()
        assert (tmp_path / "m.weights.json").is_file()
