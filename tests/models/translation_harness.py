"""What every class of `TranslationModel`s must pass: name the class and a small configuration."""

import functools

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from models.harness import (
    TWO_REPLICAS,
    all_variables,
    assert_equal,
    floats,
    get_state,
    quick_to_scale,
    set_state,
)

SHAPE = (32, 32, 3)


def pairs(n=16, channels=3):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (n, *SHAPE[:2], c), dtype="uint8") for c in (3, channels)]


class TranslationHarness:
    """Subclass it as `Test…` with `kind` and `config`, of which `smooth_config` is added to where
    one and two replicas are compared: no dropout, which Keras draws for each.

    One traced model is shared; what needs another trace runs eagerly.
    """

    kind: type
    config: dict
    smooth_config: dict

    def dataset(self, n=16):
        return tf.data.Dataset.from_tensor_slices(tuple(pairs(n))).batch(8)

    def model(self, **more):
        run_eagerly = more.pop("run_eagerly", False)
        model = self.kind(SHAPE, **{"ema_half_life": 30, **self.config, **more})
        model.compile(run_eagerly=run_eagerly)
        return model

    def trained(self):
        model, state, _ = _shared(type(self))
        set_state(model, state)
        return model

    def test_it_fits_and_all_networks_move(self):
        model, state, logs = _shared(type(self))
        assert set(logs) == set(self.kind.LOGS) and np.isfinite(list(logs.values())).all()
        assert int(self.trained().images_seen) == 16
        fresh = self.kind(SHAPE, **self.config)
        for v, w in zip(model.trainable_variables, fresh.trainable_variables, strict=True):
            assert np.isfinite(v.numpy()).all() and not np.array_equal(v, w), v.path

    def test_the_same_image_is_translated_to_the_same_pixels(self):
        model, images = self.trained(), pairs(7)[0]
        for direction in model.DIRECTIONS:
            whole = model.translate(images, direction)
            assert whole.shape == (7, *SHAPE) and whole.dtype == np.uint8
            assert not np.array_equal(whole[0], whole[1])
            np.testing.assert_array_equal(model.translate(images[5:6], direction), whole[5:6])

    def test_saved_or_resumed_it_goes_on_to_the_bit(self, tmp_path):
        model = self.trained()
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        assert_equal(model, again)
        checkpoint = kgan.callbacks.Checkpoint(tmp_path / "checkpoints")
        checkpoint.save(model, 1)
        model.fit(self.dataset(), verbose=0)
        expected = get_state(model)
        assert checkpoint.restore(model) == 1
        model.fit(self.dataset(), verbose=0)
        for v, w in zip(all_variables(model), expected, strict=True):
            np.testing.assert_array_equal(v, w, err_msg=v.path)

    @pytest.mark.slow  # base/test_translation.py has it of a small model
    def test_two_replicas_equal_one(self):
        with floats("float64"):
            models = []
            for scope in (tf.distribute.get_strategy().scope(), TWO_REPLICAS.scope()):
                with scope:
                    model = self.kind(SHAPE, **{**self.config, **self.smooth_config})
                    rates = keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)
                    model.compile(*rates, run_eagerly=not models)
                model.fit(self.dataset(21), verbose=0)  # the last batch is cut into 3 and 2
                models.append(model)
        for v, w in zip(*map(all_variables, models), strict=True):
            tolerance = 1e-6 if v.dtype == "float32" else 1e-10
            np.testing.assert_allclose(v, w.numpy(), rtol=0, atol=tolerance, err_msg=v.path)

    def test_a_preset_translates_alike_and_holds_nothing_of_the_training(self, tmp_path):
        model, (a, _) = self.trained(), pairs(3)
        model.save_to_preset(tmp_path / "p")
        again = kgan.zoo.load(tmp_path / "p")
        for direction in model.DIRECTIONS:
            np.testing.assert_array_equal(
                again.translate(a, direction), model.translate(a, direction)
            )
        names = []
        with h5py.File(tmp_path / "p/model.weights.h5") as file:
            file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else 0)
        players = {name.partition("/")[0] for name in names}
        assert players - set(model.networks) <= {"images_seen", "model", "augment"}, players
        again.run_eagerly = True
        again.fit(self.dataset(8), verbose=0)
        assert int(again.images_seen) == 24

    def test_validation_changes_nothing(self):
        model = self.trained()
        before = get_state(model)
        logs = model.evaluate(self.dataset(), return_dict=True, verbose=0)
        assert set(logs) == set(self.kind.LOGS) and np.isfinite(list(logs.values())).all()
        for variable, value in zip(all_variables(model), before, strict=True):
            if variable.name != "images_tested" and variable.path.startswith(model.name):
                np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision_trains(self, policy):
        with floats(policy):
            model = self.model(run_eagerly=True)
            scales = quick_to_scale(model)
            model.fit(self.dataset(8), verbose=0)
        assert all(float(scale) != before for scale, before in scales)
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        assert all(np.isfinite(v.numpy()).all() for v in model.trainable_variables)

    def test_targets_of_other_channels(self):
        model = self.model(target_channels=1, run_eagerly=True)
        a, b = pairs(4, channels=1)
        model.fit(a, b, batch_size=4, verbose=0)
        assert model.translate(a).shape == (4, 32, 32, 1)


@functools.lru_cache(maxsize=1)
def _shared(harness):
    """A model, its state after two steps, and the logs of these."""
    model = harness().model()
    logs = model.fit(harness().dataset(), verbose=0).history
    return model, get_state(model), logs
