"""The base class, and the original GAN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kgan
from kgan.models import GAN
from kgan.models.steps import seed_generators
from kgan.random import Draws
from models.harness import SHAPE, Harness


def small_networks(activation="gelu"):
    keras.utils.set_random_seed(0)
    latents = keras.Input((6,))
    x = layers.Dense(32, activation)(latents)
    x = layers.Dense(int(np.prod(SHAPE)), "tanh")(x)
    generator = keras.Model(latents, layers.Reshape(SHAPE)(x))
    images = keras.Input(SHAPE)
    x = layers.Dense(24, activation)(layers.Flatten()(images))
    return generator, keras.Model(images, layers.Dense(1)(x))


class TestGAN(Harness):
    kind = GAN
    config = {"latent_dim": 8, "width": 40}

    @property
    def smooth_config(self):
        generator, discriminator = small_networks()
        return {
            "generator": generator,
            "discriminator": discriminator,
            "augment": {"name": "DiffAugment"},
        }


class TestGANWithUsersNetworks(Harness):
    kind = GAN

    @property
    def config(self):
        generator, discriminator = small_networks()
        return {"generator": generator, "discriminator": discriminator}

    smooth_config = config


def test_step_is_the_two_updates_written_out_by_hand():
    """Algorithm 1 in NumPy-like float64 code, with the step's own latents."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        generator, discriminator = small_networks()
        model = GAN(SHAPE, generator=generator, discriminator=discriminator, seed=4)
        g_rate, d_rate = 0.03, 0.05
        model.compile(
            g_optimizer=keras.optimizers.SGD(g_rate), d_optimizer=keras.optimizers.SGD(d_rate)
        )
        images = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), dtype="uint8")
        g = [tf.constant(w) for w in generator.get_weights()]
        d = [tf.constant(w) for w in discriminator.get_weights()]
        z = Draws(2 * 4, 0, 10).normal((6,))
        logs = model.train_on_batch(images, return_dict=True)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")

    real = tf.constant(images.reshape(10, -1) / 127.5 - 1)
    z = tf.cast(z, "float64")

    def generate(g):
        return tf.tanh(tf.nn.gelu(z @ g[0] + g[1]) @ g[2] + g[3])

    def discriminate(x, d):
        return tf.nn.gelu(x @ d[0] + d[1]) @ d[2] + d[3]

    fake = generate(g)
    with tf.GradientTape() as tape:
        tape.watch(d)
        d_loss = tf.reduce_mean(
            -tf.math.log(tf.sigmoid(discriminate(real, d)))
            - tf.math.log(1 - tf.sigmoid(discriminate(fake, d)))
        )
    d = [w - d_rate * dw for w, dw in zip(d, tape.gradient(d_loss, d), strict=True)]
    with tf.GradientTape() as tape:
        tape.watch(g)
        g_loss = tf.reduce_mean(-tf.math.log(tf.sigmoid(discriminate(generate(g), d))))
    g = [w - g_rate * dw for w, dw in zip(g, tape.gradient(g_loss, g), strict=True)]

    np.testing.assert_allclose(logs["d_loss"], d_loss, rtol=1e-10)
    np.testing.assert_allclose(logs["g_loss"], g_loss, rtol=1e-10)
    for hand, weight in zip(g + d, generator.weights + discriminator.weights, strict=True):
        np.testing.assert_allclose(weight, hand, rtol=1e-9, atol=1e-12)


def test_augmentation_is_seen_by_both_players_in_both_updates():
    class Counting(kgan.augment.DiffAugment):
        seen = 0

        def call(self, images, draws):
            Counting.seen += 1
            return super().call(images, draws)

    generator, discriminator = small_networks()
    model = GAN(SHAPE, generator=generator, discriminator=discriminator, augment=Counting())
    model.compile(run_eagerly=True)
    images = np.zeros((4, *SHAPE), "uint8")
    model.train_on_batch(images)
    assert Counting.seen == 3  # real and fake for D, fake for G
    model.test_on_batch(images)
    assert Counting.seen == 3


def test_paper_networks():
    model = GAN()
    assert model.generator.count_params() == 101 * 1200 + 1201 * 1200 + 1201 * 784
    assert model.discriminator.count_params() == 785 * 1200 + 241 * 1200 + 241
    model.compile()
    assert type(model.g_optimizer) is keras.optimizers.SGD


def test_dropout_differs_by_step_and_resumes_where_it_was(tmp_path):
    """Keras saves no state of dropout: kgan sets it from the image counter."""
    images = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype="uint8")
    a, b = (GAN(SHAPE, latent_dim=8, width=40) for _ in range(2))
    for model in (a, b):
        model.compile()
    a.train_on_batch(images)
    states = [s.state.numpy() for s in seed_generators(a.generator, a.discriminator)]
    a.save_weights(tmp_path / "a.weights.h5")
    b.load_weights(tmp_path / "a.weights.h5")
    for model in (a, b):
        model.train_on_batch(images)
    TestGAN().assert_equal(a, b)
    later = [s.state.numpy() for s in seed_generators(a.generator, a.discriminator)]
    assert len(states) == 2
    assert not any(np.array_equal(x, y) for x, y in zip(states, later, strict=True))


class TestSample:
    model = None

    @pytest.fixture(autouse=True)
    def _model(self):
        if TestSample.model is None:
            TestSample.model = kgan.models.DCGAN((16, 16, 3), latent_dim=8, width=8)

    def test_pixels_depend_on_neither_batch_size_nor_number(self):
        whole = self.model.sample(70, seed=3)
        assert whole.dtype == np.uint8 and whole.shape == (70, 16, 16, 3)
        assert len(np.unique(whole.reshape(70, -1), axis=0)) == 70
        for batch_size in (1, 7, 64):
            np.testing.assert_array_equal(
                self.model.sample(70, seed=3, batch_size=batch_size), whole
            )
        np.testing.assert_array_equal(self.model.sample(4, seed=3), whole[:4])

    def test_batches_have_the_size_asked_for(self):
        sizes = [len(b) for b in self.model.iter_samples(70, seed=0, batch_size=32)]
        assert sizes == [32, 32, 6]

    def test_is_the_averaged_generator_rounded_to_the_nearest_level(self):
        latents = kgan.random.sample_latents(3, 0, 16, 8)
        floats = self.model(latents).numpy().astype(np.float64)
        expected = np.floor((floats + 1) * 127.5 + 0.5)
        assert np.abs(self.model.sample(16, seed=3) - expected).max() <= 1e-9

    def test_without_seed_differs_each_time(self):
        assert not np.array_equal(self.model.sample(2), self.model.sample(2))

    def test_no_images(self):
        assert self.model.sample(0, seed=0).shape == (0, 16, 16, 3)

    @pytest.mark.parametrize("arguments", [(-1,), (1.5,), (True,), (1, -1), (1, 0, 0)])
    def test_bad_arguments(self, arguments):
        with pytest.raises(ValueError, match="Expected .* to be an int >= .*Received"):
            self.model.sample(*arguments)


class TestRefusals:
    def test_networks_that_do_not_fit(self):
        generator, discriminator = small_networks()
        with pytest.raises(ValueError, match=r"Expected a generator from.*Received: one from"):
            GAN((8, 8, 3), generator=generator)
        with pytest.raises(ValueError, match=r"Expected a discriminator from.*Received"):
            GAN((8, 8, 3), discriminator=discriminator)
        with pytest.raises(ValueError, match="latent_dim=6.*Received: latent_dim=5"):
            GAN(SHAPE, latent_dim=5, generator=generator)

    @pytest.mark.parametrize("shape", [(16, 16), (16, 16, 2), 16, (0, 16, 3), ("a", 1, 1)])
    def test_image_shapes(self, shape):
        with pytest.raises(ValueError, match="Expected .*Received"):
            GAN(shape)

    def test_half_life(self):
        with pytest.raises(ValueError, match="ema_half_life > 0.*Received: 0"):
            GAN(SHAPE, ema_half_life=0)

    def test_one_optimizer_for_two_networks(self):
        adam = keras.optimizers.Adam()
        with pytest.raises(ValueError, match="an optimizer for each network"):
            GAN(SHAPE, width=40).compile(adam, adam)


def test_schedules_drive_both_optimizers():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.0])
    model = GAN(SHAPE, latent_dim=4, width=40)
    model.compile(keras.optimizers.SGD(schedule), keras.optimizers.SGD(schedule))
    images = np.zeros((4, *SHAPE), "uint8")
    for _ in range(2):
        model.train_on_batch(images)
    before = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(images)  # the third step's rate is 0
    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_float16_losses_are_scaled():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = GAN(SHAPE, latent_dim=4, width=40)
        model.compile()
        model.train_on_batch(np.zeros((4, *SHAPE), "uint8"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.g_optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(model.d_optimizer, keras.optimizers.LossScaleOptimizer)
