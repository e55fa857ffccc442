"""StyleGAN, lite."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.augment import gaussian_blur
from kgan.layers import ModulatedConv2D, NoiseInjection
from kgan.models import DCGAN, StyleGANLite
from kgan.models.stylegan_lite import SIDES
from kgan.random import Draws
from models.harness import SHAPE, TWO_REPLICAS, CoreHarness, Harness, floats, get_state, set_state
from models.test_gan import ADAPTIVE

TINY = {"latent_dim": 8, "width": 4, "max_channels": 8, "mapping_layers": 1}


class TestStyleGANLite(Harness):
    kind = StyleGANLite
    config = {**TINY, "r1_interval": 2}
    smooth_config = {**TINY, "r1_interval": 1}
    last_batch = 8  # groups of the minibatch's deviation would be cut


@pytest.mark.slow  # tracing StyleGAN takes long
class TestStyleGANLiteWithEverything(CoreHarness):
    kind = StyleGANLite
    config = {**TINY, "num_classes": 3, "path_length_weight": 2.0, "augment": ADAPTIVE}
    smooth_config = {**config, "r1_interval": 1}
    last_batch = 8
    run_eagerly = True
    test_preset_keeps_all = Harness.test_preset_keeps_pictures_and_what_training_needs

    def test_what_is_kept_has_moved(self, trained_model):
        assert trained_model.augment.strength.numpy() != 0.5
        assert trained_model.path_length_mean.numpy() > 0
        assert trained_model.w_mean.numpy().any()


def test_networks_that_take_classes():
    model = StyleGANLite(SHAPE, **TINY, num_classes=3)
    model.compile(run_eagerly=True)
    zeros, ones = (model.sample(3, seed=0, labels=label) for label in (0, 1))
    assert np.any(zeros != ones, axis=(1, 2, 3)).all()
    logits = [model.discriminate(tf.zeros((1, *SHAPE)), tf.constant([y])) for y in range(3)]
    assert len(np.unique(logits)) == 3
    logs = model.train_on_batch(images(), np.arange(8) % 3, return_dict=True)
    assert np.isfinite(list(logs.values())).all()


def test_what_the_discriminator_sees_is_blurred_less_and_less():
    model = StyleGANLite(SHAPE, **TINY, blur_images=100)
    real = images() / np.float32(127.5) - 1
    for seen, sigma in ((0, 1.0), (25, 0.75), (100, 0.0), (200, 0.0)):  # side 16: σ from 1 to 0
        model.images_seen.assign(seen)
        blurred = gaussian_blur(tf.constant(real), sigma)
        np.testing.assert_allclose(
            model.discriminate(real, draws=Draws(0, 0, 8)), model.discriminator(blurred), rtol=1e-5
        )
        # Outside of training all is as sharp as it is.
        np.testing.assert_array_equal(model.discriminate(real), model.discriminator(real))


def images(n=8):
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")


def latents(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 8)).astype("float32")


def make_noisy(network):
    for layer in network.layers:
        if isinstance(layer, NoiseInjection):
            layer.strength.assign(0.3)
    return sum(isinstance(layer, NoiseInjection) for layer in network.layers)


def sgd_model(kind=StyleGANLite, g_rate=0.05, d_rate=0.05, **more):
    model = kind(SHAPE, **{**TINY, "r1_interval": 1, **more})
    model.compile(keras.optimizers.SGD(g_rate), keras.optimizers.SGD(d_rate), run_eagerly=True)
    return model


class TestPictures:
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        model = StyleGANLite(SHAPE, **TINY)
        make_noisy(model.synthesis)
        model.w_mean.assign(latents(1)[0])
        return model

    def test_whole_is_mapping_then_synthesis(self, model):
        w = model.mapping(latents(3))
        assert w.shape == (3, 8)
        styles = keras.ops.repeat(w[:, None], model.synthesis.input_shape[1], axis=1)
        expected = model.synthesis(styles)
        np.testing.assert_allclose(model(latents(3)), expected, atol=1e-6)
        np.testing.assert_allclose(model.ema_generator(latents(3)), expected, atol=1e-6)

    def test_truncation_by_1_is_none(self, model):
        plain = model.sample(20, seed=0).astype(int)
        assert np.abs(model.sample(20, seed=0, truncation=1) - plain).max() <= 1
        np.testing.assert_array_equal(model.sample(20, seed=0, truncation=None), plain)

    def test_truncation_by_0_is_the_picture_of_the_mean(self, model):
        sampled = model.sample(20, seed=0, truncation=0)
        assert (sampled == sampled[0]).all()
        mean = np.broadcast_to(model.w_mean.numpy(), (1, model.synthesis.input_shape[1], 8))
        expected = (model.synthesis(mean)[0] + 1) * 127.5
        assert np.abs(sampled[0] - np.clip(expected, 0, 255)).max() <= 0.51

    def test_truncation_moves_w_towards_its_mean(self, model):
        mean, w = model.w_mean.numpy(), model.mapping(latents(2)).numpy()
        styles = np.repeat((mean + 0.7 * (w - mean))[:, None], model.synthesis.input_shape[1], 1)
        np.testing.assert_allclose(
            model(latents(2), truncation=0.7), model.synthesis(styles), atol=1e-5
        )

    @pytest.mark.parametrize("wrong", ["x", np.nan, np.inf, [0.5]])
    def test_truncation_that_is_no_number_is_refused(self, model, wrong):
        with pytest.raises(
            ValueError, match="Expected truncation to be a number from 0 to 2. Received"
        ):
            model.sample(1, truncation=wrong)

    def test_others_have_no_truncation(self, model):
        with pytest.raises(ValueError, match="DCGAN has none. Received: truncation=0.5"):
            DCGAN(SHAPE, latent_dim=4, width=2).sample(1, truncation=0.5)
        with pytest.raises(ValueError, match="StyleGANLite has none. Received: temperature=1"):
            model.sample(1, temperature=1)

    def test_styles_mixed_at_any_layer_make_a_third_picture(self, model):
        num_styles = model.synthesis.input_shape[1]
        assert num_styles == 6  # 2 log2(16) - 2
        a, b = np.repeat(model.mapping(latents(2)).numpy()[:, None], num_styles, axis=1)
        mixed = np.stack([np.concatenate([a[:k], b[k:]]) for k in range(num_styles + 1)])
        pictures = model.synthesis(mixed).numpy()
        for i, j in np.ndindex(num_styles + 1, num_styles + 1):
            assert i == j or np.abs(pictures[i] - pictures[j]).max() > 1e-3, (i, j)

    def test_noise_is_constant_at_inference_and_drawn_in_training(self, model):
        network = model.ema_generator
        np.testing.assert_array_equal(network(latents(2)), network(latents(2)))

        def trained_with(counter):
            with Draws(0, counter, 2):
                return network(latents(2), training=True).numpy()

        np.testing.assert_array_equal(trained_with(1), trained_with(1))
        assert np.abs(trained_with(1) - trained_with(2)).max() > 0.01
        same = np.repeat(latents(1), 2, axis=0)
        with Draws(0, 0, 2):
            one, other = network(same, training=True).numpy()
        assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side(side, channels):
    shape = (side, side, channels)
    model = StyleGANLite(shape, 4, width=1, max_channels=4, mapping_layers=1, ema_half_life=None)
    made = model(tf.zeros((1, 4)))
    assert made.shape == (1, *shape)
    assert model.discriminate(made).shape == (1, 1)
    assert model.synthesis.input_shape == (None, 2 * (side.bit_length() - 1) - 2, 4)


@pytest.mark.parametrize("shape", [(28, 28, 3), (8, 8, 3), (512, 512, 3), (32, 16, 3), (32, 32, 4)])
def test_other_shapes_are_refused(shape):
    received = re.escape(f"Received: image_shape={shape}")
    with pytest.raises(ValueError, match=f"a side among 16, 32, 64, 128, 256. {received}"):
        StyleGANLite(shape)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("r1_gamma", -1.0),
        ("r1_interval", 0),
        ("style_mixing", 1.5),
        ("style_mixing", np.nan),
        ("path_length_weight", -1),
        ("mapping_layers", 0),
        ("max_channels", 2.5),
    ],
)
def test_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected {name} .*Received"):
        StyleGANLite(SHAPE, **{**TINY, name: value})


def test_r1_gamma_follows_the_side():
    """0.0002 side² / batch, at the heuristic's batch of 64 (Karras et al. 2020a)."""
    np.testing.assert_allclose(StyleGANLite((64, 64, 1), **TINY).r1_gamma, 0.0002 * 64**2 / 64)
    assert StyleGANLite(SHAPE, **TINY, r1_gamma=3.0).penalty_weight == 1.5


def test_networks_with_lazy_penalties_learn_as_much_more_slowly():
    model = StyleGANLite(SHAPE, **TINY)
    for weight, interval, g_share, d_share in (
        (0.0, 16, 1, 16 / 17),
        (2.0, 16, 4 / 5, 16 / 17),
        (0.0, 1, 1, 1),
        (0.0, 4, 1, 4 / 5),
    ):
        model.path_length_weight, model.r1_interval = weight, interval
        for optimizer, share in zip(model.default_optimizers(), (g_share, d_share), strict=True):
            config = optimizer.get_config()
            assert type(optimizer) is keras.optimizers.Adam and config["beta_1"] == 0
            np.testing.assert_allclose(config["learning_rate"], 2.5e-3 * share, rtol=1e-6)
            np.testing.assert_allclose(config["beta_2"], 0.99**share, rtol=1e-12)


@pytest.mark.parametrize("slow_biases", [False, True])
def test_mapping_learns_100_times_more_slowly(slow_biases):
    model = StyleGANLite(SHAPE, **TINY, ema_half_life=None, slow_biases=slow_biases)
    model.compile(run_eagerly=True)
    mapping = model.mapping.layers[-1]
    affine = next(x.affine for x in model.synthesis.layers if isinstance(x, ModulatedConv2D))
    assert affine.learning_rate_multiplier == 1
    before = [np.array(layer.kernel) for layer in (mapping, affine)]
    model.train_on_batch(images())
    moved, reference = (
        np.abs(np.array(layer.kernel) - old).max()
        for layer, old in zip((mapping, affine), before, strict=True)
    )
    np.testing.assert_allclose(moved, 0.01 * reference, rtol=0.01)
    bias = np.abs(np.array(mapping.bias)).max() * (0.01 if slow_biases else 1)
    np.testing.assert_allclose(bias, 2.5e-3 * (0.01 if slow_biases else 1), rtol=0.02)
    again = StyleGANLite.from_config(model.get_config())
    assert again.mapping.layers[-1].scale_bias is slow_biases


def test_training_mixes_the_styles_of_two_latents_from_a_random_layer_on():
    model = StyleGANLite(SHAPE, **TINY)
    assert model.style_mixing == 0.9
    for share in (0.0, 0.5, 1.0):
        model.style_mixing = share
        styles = model._training_styles(None, Draws(0, 0, 400)).numpy()
        draws = Draws(0, 0, 400)
        first, second = (model.generator.get_layer("mapping")(draws.normal((8,))) for _ in "12")
        is_first = np.isclose(styles, np.array(first)[:, None], atol=1e-6).all(axis=2)
        is_second = np.isclose(styles, np.array(second)[:, None], atol=1e-6).all(axis=2)
        np.testing.assert_array_equal(is_first, ~is_second)
        crossover = is_first.sum(axis=1)
        np.testing.assert_array_equal(is_first, np.arange(6) < crossover[:, None])
        assert abs(np.mean(crossover < 6) - share) < 0.1
        assert share == 0 or set(crossover) >= {1, 2, 3, 4, 5}


def test_w_mean_moves_to_the_mean_of_w_by_2_in_1000():
    model = sgd_model(g_rate=0.0)
    noises = make_noisy(model.generator.get_layer("synthesis"))
    expected, mapping = np.zeros(8), model.generator.get_layer("mapping")
    for step in range(3):
        draws = Draws(0, 8 * step, 8)
        for _ in range(2):  # fakes for D, then others for G
            w = mapping(draws.normal((8,)))
            expected = 0.998 * expected + 0.002 * np.mean(w, axis=0)
            draws.normal((8,)), draws.uniform((1,)), draws.uniform((1,))  # of mixing
            for _ in range(noises):
                draws.normal((1,))
        model.train_on_batch(images())
        np.testing.assert_allclose(model.w_mean, expected, rtol=1e-4, atol=1e-6)


def test_r1_is_computed_and_logged_on_due_steps_only_and_as_much_heavier():
    """Every update of D by hand, from `discriminate` and the step's own fakes."""
    with floats("float64"):
        model = sgd_model(r1_interval=2, r1_gamma=30.0)
        real = tf.constant(images() / 127.5 - 1)
        start, logged = get_state(model), []
        weights = model.discriminator.trainable_variables
        for step in range(2):
            state = get_state(model)
            fakes = model.generate_batch(Draws(0, 8 * step, 8)).images
            with tf.GradientTape() as tape:
                with tf.GradientTape() as inner:
                    inner.watch(real)
                    logits = model.discriminate(real)
                slope = inner.gradient(logits, real)
                r1 = tf.reduce_mean(tf.reduce_sum(slope**2, axis=(1, 2, 3)))
                loss = tf.reduce_mean(
                    tf.math.softplus(-logits) + tf.math.softplus(model.discriminate(fakes))
                )
                if step == 0:
                    loss += 2 * 30.0 / 2 * r1
                    logged.append(r1)
            slopes = tape.gradient(loss, weights)
            expected = [w - 0.05 * s for w, s in zip(weights, slopes, strict=True)]
            set_state(model, state)
            model.train_on_batch(images())
            for weight, hand in zip(weights, expected, strict=True):
                np.testing.assert_allclose(weight, hand, rtol=1e-9, atol=1e-12)
        set_state(model, start)
        two = tf.data.Dataset.from_tensor_slices(images()).batch(8).repeat(2)
        logs = model.fit(two, verbose=0).history
    np.testing.assert_allclose(logs["gradient_penalty"], [np.mean(logged)], rtol=1e-9)


def test_path_lengths_are_those_of_the_jacobian():
    """‖Jᵀ y‖ by finite differences in every coordinate of every style."""
    with floats("float64"):
        model = StyleGANLite(SHAPE, **{**TINY, "latent_dim": 2})
        lengths = model._path_lengths(Draws(0, 0, 2))
        draws = Draws(0, 0, 2)
        styles = model._training_styles(None, draws).numpy()
        y = tf.cast(draws.normal(SHAPE), "float64") / 16

        def projected(styles):
            return tf.reduce_sum(model.synthesis(styles) * y, axis=(1, 2, 3)).numpy()

        slopes = np.zeros_like(styles)
        for layer, i in np.ndindex(styles.shape[1:]):
            step = np.zeros_like(styles)
            step[:, layer, i] = 1e-5
            slopes[:, layer, i] = (projected(styles + step) - projected(styles - step)) / 2e-5
    expected = np.sqrt(np.mean(np.sum(slopes**2, axis=2), axis=1))
    np.testing.assert_allclose(lengths, expected, rtol=1e-6)


def test_path_lengths_have_full_precision_under_a_mixed_policy():
    with floats("mixed_bfloat16"):
        model = StyleGANLite(SHAPE, **TINY)
    assert model._path_lengths(Draws(0, 0, 2)).dtype == tf.float32


def test_logits_and_the_mean_of_w_have_full_precision_under_a_mixed_policy():
    w = {}
    for policy in ("float32", "mixed_bfloat16"):
        with floats(policy):
            model = StyleGANLite(SHAPE, **TINY, num_classes=3)
        assert model.discriminator.compute_dtype in ("float32", "bfloat16")
        assert model.discriminator.output.dtype == "float32"
        w[policy] = model.projection_space(0, 2, 0)
        styles = model.styles_chunk(latents(2), np.zeros(2, "int32"))
        assert styles.dtype == np.float32
    means = [space.mean for space in w.values()]
    np.testing.assert_allclose(*means, atol=0.02 * np.abs(means[0]).max())


class Every2nd(StyleGANLite):
    PATH_LENGTH_INTERVAL = 2

    def _path_lengths(self, draws):
        self.measured = super()._path_lengths(draws)
        return self.measured


def test_path_length_moves_the_generator_and_its_mean_on_due_steps_only():
    model, mean = sgd_model(Every2nd, path_length_weight=2.0), 0.0
    for step in range(3):
        model.measured, start = None, get_state(model)
        model.train_on_batch(images())
        assert (model.measured is None) == (step == 1)
        if step != 1:
            assert model.measured.shape == (4,)  # half of the batch
            mean += 0.01 * (np.mean(model.measured) - mean)
        np.testing.assert_allclose(model.path_length_mean, mean, rtol=1e-6)
        if step < 2:
            after = get_state(model)
            moved = model.generator.get_weights()
            set_state(model, start)
            model.path_length_weight = 0.0
            model.train_on_batch(images())
            model.path_length_weight = 2.0
            without = model.generator.get_weights()
            same = all(np.array_equal(v, w) for v, w in zip(moved, without, strict=True))
            assert same == (step == 1)
            set_state(model, after)


def test_a_discriminator_of_another_width():
    """It is that of a model so wide, up to as many times more channels; G is as it was."""
    model = StyleGANLite((64, 64, 3), 16, width=4, max_channels=16, discriminator_width=8)
    plain = StyleGANLite((64, 64, 3), 16, width=4, max_channels=16)
    wide = StyleGANLite((64, 64, 3), 16, width=8, max_channels=32)
    shapes = [
        [w.shape for w in network.weights] for network in (model.discriminator, wide.discriminator)
    ]
    assert shapes[0] == shapes[1] != [w.shape for w in plain.discriminator.weights]
    for v, w in zip(model.generator.weights, plain.generator.weights, strict=True):
        np.testing.assert_array_equal(v, w)
    again = StyleGANLite.from_config(model.get_config())
    assert [w.shape for w in again.discriminator.weights] == shapes[0]
    assert plain.get_config()["discriminator_width"] is None
    with pytest.raises(ValueError, match="discriminator_width.*Received"):
        StyleGANLite((64, 64, 3), discriminator_width=0)


@pytest.mark.parametrize(
    ("count", "replicas"), [(1, 1), (3, 1), pytest.param(3, 2, marks=pytest.mark.slow)]
)
def test_path_lengths_of_a_batch_without_an_image_for_them(count, replicas):
    """Half of the batch is for them: of one image none, of three one, on one of two replicas."""
    strategy = TWO_REPLICAS if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = StyleGANLite(SHAPE, **TINY, path_length_weight=2.0)
        model.compile(run_eagerly=replicas == 1)
    model.fit(images()[:count], batch_size=count, verbose=0)
    assert np.isfinite(model.generator.get_weights()[0]).all()
    assert (model.path_length_mean.numpy() > 0) == (count == 3)
