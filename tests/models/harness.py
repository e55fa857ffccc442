"""What every GAN class must pass: name the class and a small configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.random import sample_labels

SHAPE = (16, 16, 3)


class CoreHarness:
    """The least that every variant of a class must pass; `Harness` is the whole.

    Subclass it as `Test…` with `kind`, and `config` for the constructor.

    `smooth_config` is one in which float64 runs on one and on two replicas can be compared: no
    dropout, which Keras draws for each replica. Batches are of 8 images; `last_batch` is the size
    of the last one in that comparison.
    """

    kind: type
    config: dict
    smooth_config: dict
    last_batch = 5  # cut into 3 and 2
    indifferent = ()  # weights on which the loss does not depend

    def images(self, n=24):
        return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")

    def labels(self, n=24):
        return np.random.default_rng(1).integers(0, self.config["num_classes"], n)

    def data(self, n=24, images=None):
        """Images, and labels if the model is conditional: the arguments of `fit`."""
        images = self.images(n) if images is None else images
        return (images, self.labels(n)) if self.config.get("num_classes") else (images,)

    def dataset(self, n=24):
        data = self.data(n)
        return tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else data[0]).batch(8)

    def model(self, **more):
        model = self.kind(image_shape=SHAPE, **{**self.config, **more})
        model.compile()
        return model

    def trained(self, steps=3, **more):
        model = self.model(**more)
        model.fit(*self.data(8 * steps), batch_size=8, verbose=0, shuffle=False)
        return model

    def test_networks_are_functional_models_of_the_right_shapes(self):
        model = self.model()
        assert model.generator.output_shape == (None, *SHAPE)
        assert model.discriminator.output_shape == (None, 1)
        labels = np.zeros(2, "int32") if model.num_classes else None
        assert model(np.zeros((2, model.latent_dim), "float32"), labels).shape == (2, *SHAPE)
        for network in (model.generator, model.discriminator, model.ema_generator):
            assert type(network).__name__ == "Functional"

    def test_fit_is_finite_and_moves_both_networks(self):
        model = self.model()
        before = [w.numpy() for w in model.trainable_variables]
        logs = model.fit(*self.data(), batch_size=8, epochs=2, verbose=0).history
        assert {"d_loss", "g_loss", "real_score", "fake_score"} <= set(logs)
        assert all(np.isfinite(v).all() for v in logs.values())
        for old, new in zip(before, model.trainable_variables, strict=True):
            assert np.isfinite(new.numpy()).all()
            if new.path not in self.indifferent:
                assert not np.array_equal(old, new.numpy()), new.path

    def test_conditional_models_need_labels_that_are_classes(self):
        classes = self.config.get("num_classes")
        model = self.model()
        if not classes:
            with pytest.raises(ValueError, match="unconditional. Received: labels=0"):
                model.sample(2, labels=0)
            return
        images, labels = self.data(8)
        for wrong in (None, labels + classes, labels - classes, np.eye(classes)[labels]):
            with pytest.raises(ValueError, match="Expected integer labels.*Received"):
                model.fit(images, wrong, batch_size=8, verbose=0)
            with pytest.raises(ValueError, match="Expected integer labels.*Received"):
                data = images if wrong is None else (images, wrong)
                model.fit(tf.data.Dataset.from_tensor_slices(data).batch(4), verbose=0)
        for wrong in (classes, -1, [0], [0, 0, 0], 0.5, "a"):
            with pytest.raises(ValueError, match="Expected labels.*Received"):
                model.sample(2, labels=wrong)

    def test_samples_of_a_class_differ_from_those_of_another(self):
        if not self.config.get("num_classes"):
            return
        model = self.model()
        model.compile(keras.optimizers.Adam(0.03), keras.optimizers.Adam(0.03))
        model.fit(*self.data(), batch_size=8, epochs=3, verbose=0)
        zeros, ones = model.sample(20, seed=1, labels=0), model.sample(20, seed=1, labels=1)
        assert all(not np.array_equal(a, b) for a, b in zip(zeros, ones, strict=True))
        labels = [i % 2 for i in range(20)]
        mixed = model.sample(20, seed=1, labels=labels, batch_size=7)
        np.testing.assert_array_equal(
            mixed, np.where(np.reshape(labels, (-1, 1, 1, 1)), ones, zeros)
        )
        uniform = sample_labels(1, 0, 20, model.num_classes)
        np.testing.assert_array_equal(
            model.sample(20, seed=1), model.sample(20, seed=1, labels=uniform)
        )

    def test_saved_model_samples_the_same_pixels_and_goes_on_to_the_bit(self, tmp_path):
        model = self.trained()
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(again.sample(20, seed=1), model.sample(20, seed=1))
        self.assert_equal(model, again)
        for m in (model, again):
            m.fit(*self.data(), batch_size=8, verbose=0, shuffle=False)
        self.assert_equal(model, again)

    def test_two_replicas_equal_one(self):
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        try:
            one = self._distributed(tf.distribute.OneDeviceStrategy("CPU:0"))
            two = self._distributed(TWO_REPLICAS)
        finally:
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        assert (
            int(one.images_seen.numpy())
            == int(two.images_seen.numpy())
            == 2 * (16 + self.last_batch)
        )
        for v, w in zip(_weights(one), _weights(two), strict=True):
            np.testing.assert_allclose(v, w, rtol=0, atol=1e-9)

    def _distributed(self, strategy):
        with strategy.scope():
            model = self.kind(image_shape=SHAPE, **self.smooth_config)
            model.compile(
                g_optimizer=keras.optimizers.SGD(0.01), d_optimizer=keras.optimizers.SGD(0.01)
            )
        data = self.dataset(16 + self.last_batch)
        model.fit(data, epochs=2, verbose=0)
        model.evaluate(data, verbose=0)
        return model

    def assert_equal(self, a, b, but=None):
        for v, w in zip(a.variables, b.variables, strict=True):
            if v.name != but and "seed_generator" not in v.path:
                np.testing.assert_array_equal(v.numpy(), w.numpy(), err_msg=v.path)
        for name in ("g_optimizer", "d_optimizer"):
            pairs = zip(getattr(a, name).variables, getattr(b, name).variables, strict=True)
            for v, w in pairs:
                np.testing.assert_array_equal(v.numpy(), w.numpy(), err_msg=v.path)


class Harness(CoreHarness):
    """What every GAN class must pass."""

    def test_average_moves_as_its_half_life_says(self):
        model = self.model(ema_half_life=30)
        expected = [w.numpy().astype(np.float64) for w in model.ema_generator.weights]
        for start in range(0, 24, 8):
            model.train_on_batch(*(x[start : start + 8] for x in self.data()))
            keep = 0.5 ** (8 / 30)
            expected = [
                keep * e + (1 - keep) * w.numpy()
                for e, w in zip(expected, model.generator.weights, strict=True)
            ]
        for e, w in zip(expected, model.ema_generator.weights, strict=True):
            np.testing.assert_allclose(w.numpy(), e, rtol=1e-5, atol=1e-6)

    def test_without_average_the_generator_itself_is_sampled(self):
        model = self.trained(ema_half_life=None)
        assert model.ema_generator is model.generator

    def test_generator_wins_against_a_frozen_discriminator(self):
        model = self.model()
        model.compile(
            g_optimizer=keras.optimizers.Adam(2e-3), d_optimizer=keras.optimizers.SGD(0.0)
        )
        losses = self._losses(model, "g_loss")
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05

    def test_discriminator_wins_against_a_frozen_generator(self):
        model = self.model()
        model.compile(
            g_optimizer=keras.optimizers.SGD(0.0), d_optimizer=keras.optimizers.Adam(2e-3)
        )
        losses = self._losses(model, "d_loss")
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05

    def _losses(self, model, name):
        history = []
        for _ in range(40):
            model.reset_metrics()
            history.append(model.train_on_batch(*self.data(8), return_dict=True)[name])
        return history

    def test_same_images_as_uint8_and_as_floats(self):
        images = self.images(8)
        a, b = self.model(), self.model()
        a.train_on_batch(*self.data(8, images))
        b.train_on_batch(*self.data(8, images.astype("float32") / 127.5 - 1))
        for v, w in zip(a.trainable_variables, b.trainable_variables, strict=True):
            np.testing.assert_allclose(v, w, atol=1e-5)

    def test_labels_are_ignored_by_unconditional_models(self):
        if self.config.get("num_classes"):
            return
        images = self.images()
        a, b = self.model(), self.model()
        a.fit(images, batch_size=8, verbose=0, shuffle=False)
        b.fit(tf.data.Dataset.from_tensor_slices((images, np.zeros(24))).batch(8), verbose=0)
        self.assert_equal(a, b)

    def test_validation_changes_nothing(self):
        a, b = self.model(), self.model()
        data = self.dataset()
        a.fit(data, epochs=2, verbose=0)
        logs = b.fit(data, epochs=2, validation_data=data, verbose=0).history
        assert {"val_d_loss", "val_g_loss"} <= set(logs)
        self.assert_equal(a, b, but="images_tested")

    def test_preset_keeps_pictures_and_what_training_needs(self, tmp_path):
        model = self.trained()
        model.save_to_preset(tmp_path / "p")
        again = self.kind.from_preset(tmp_path / "p")
        for key in model.get_config().keys() - {"name", "generator", "discriminator"}:
            assert again.get_config()[key] == model.get_config()[key]
        np.testing.assert_array_equal(again.sample(20, seed=1), model.sample(20, seed=1))
        assert int(again.images_seen) == 24
        for v, w in zip(again.discriminator.weights, model.discriminator.weights, strict=True):
            np.testing.assert_array_equal(v, w)
        for v, w in zip(again.generator.weights, model.ema_generator.weights, strict=True):
            np.testing.assert_array_equal(v, w)
        for name in ("g_optimizer", "d_optimizer"):
            a, b = getattr(again, name).get_config(), getattr(model, name).get_config()
            assert type(getattr(again, name)) is type(getattr(model, name))
            assert a["learning_rate"] == b["learning_rate"]
        for (name, v), w in zip(
            model.preset_state().items(), again.preset_state().values(), strict=True
        ):
            np.testing.assert_array_equal(v, w, err_msg=name)
        again.fit(*self.data(), batch_size=8, verbose=0)

    def test_mixed_precision_trains(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = self.trained(steps=1)
        finally:
            keras.config.set_dtype_policy("float32")
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        labels = np.zeros(1, "int32") if model.num_classes else None
        assert model.discriminate(np.zeros((1, *SHAPE), "float32"), labels).dtype == "float32"
        assert all(np.isfinite(v.numpy()).all() for v in model.trainable_variables)


def _weights(model):
    networks = (model.generator, model.discriminator, model.ema_generator)
    return [np.asarray(w) for network in networks for w in network.weights]


# One for the whole process: TensorFlow mixes up the collectives of several (issue 62790 there).
TWO_REPLICAS = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
