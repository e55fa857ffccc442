"""The base class, and the original GAN."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kgan
from kgan.errors import KganWarning
from kgan.models import GAN
from kgan.models.base import latent
from kgan.random import Draws
from kgan.recipe.optimizers import LinearOfImages
from kgan.untrusted.memory import cost
from models.harness import SHAPE, TWO_REPLICAS, CoreHarness, Harness, assert_equal, floats


def small_networks(activation="gelu", num_classes=None):
    keras.utils.set_random_seed(0)
    latents, images = keras.Input((6,)), keras.Input(SHAPE)
    z, x, inputs = latents, layers.Flatten()(images), (latents, images)
    if num_classes:
        labels = keras.Input((), dtype="int32")
        one_hot = layers.CategoryEncoding(num_classes, "one_hot")(labels)
        z, x = (layers.Concatenate()([y, one_hot]) for y in (z, x))
        inputs = [latents, labels], [images, labels]
    z = layers.Dense(32, activation)(z)
    z = layers.Dense(int(np.prod(SHAPE)), "tanh")(z)
    x = layers.Dense(24, activation)(x)
    return (
        keras.Model(inputs[0], layers.Reshape(SHAPE)(z)),
        keras.Model(inputs[1], layers.Dense(1)(x)),
    )


def users(**kwargs):
    return dict(zip(("generator", "discriminator"), small_networks(**kwargs), strict=True))


class Game:
    """The game between `small_networks` in code of its own, on float64 tensors."""

    RATES = {"g": 0.03, "d": 0.05}

    def __init__(self, model):
        self.g = [tf.constant(w) for w in model.generator.get_weights()]
        self.d = [tf.constant(w) for w in model.discriminator.get_weights()]

    def generate(self, z):
        z = tf.cast(z, "float64")
        return tf.tanh(tf.nn.gelu(z @ self.g[0] + self.g[1]) @ self.g[2] + self.g[3])

    def discriminate(self, images):
        return tf.nn.gelu(images @ self.d[0] + self.d[1]) @ self.d[2] + self.d[3]

    def descend(self, name, loss):
        """Moves the weights of "g" or "d" down the slope of `loss()`; returns its value."""
        weights = getattr(self, name)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss()
        pairs = zip(weights, tape.gradient(value, weights), strict=True)
        setattr(self, name, [w - self.RATES[name] * slope for w, slope in pairs])
        return value


def assert_step_is(by_hand, kind, **kwargs):
    """One step of a model is what `by_hand(game, real images)` does, and logs what it returns."""
    images = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), dtype="uint8")
    with floats("float64"):
        model = kind(SHAPE, **users(), **kwargs)
        rates = (keras.optimizers.SGD(Game.RATES[name]) for name in "gd")
        model.compile(*rates, run_eagerly=True)
        game = Game(model)
        logs = model.train_on_batch(images, return_dict=True)
    for name, value in by_hand(game, tf.constant(images.reshape(10, -1) / 127.5 - 1)).items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-10, err_msg=name)
    weights = model.generator.weights + model.discriminator.weights
    for hand, weight in zip(game.g + game.d, weights, strict=True):
        np.testing.assert_allclose(weight, hand, rtol=1e-9, atol=1e-12)


# The strength moves at every step of 8 images, by 8 / 64.
ADAPTIVE = {"name": "AdaptiveAugment", "interval": 1, "ramp_images": 64, "strength": 0.5}


class TestGAN(Harness):
    kind = GAN
    config = {"latent_dim": 8, "width": 40}

    @property
    def smooth_config(self):
        return {**users(), "augment": ADAPTIVE}


@pytest.mark.slow
class TestGANWithUsersNetworks(CoreHarness):
    kind = GAN
    run_eagerly = True
    test_two_replicas_equal_one = None  # the test of the class above is on such networks
    test_preset_keeps_all = Harness.test_preset_keeps_pictures_and_what_training_needs

    @property
    def config(self):
        return {**users(), "augment": ADAPTIVE}

    def test_strength_has_moved_when_it_is_kept(self, trained_model):
        assert trained_model.augment.strength.numpy() != ADAPTIVE["strength"]


class TestGANWithUsersConditionalNetworks(CoreHarness):
    kind = GAN
    run_eagerly = True
    test_two_replicas_equal_one = None  # as below

    @property
    def config(self):
        return {**users(num_classes=3), "num_classes": 3}


@keras.saving.register_keras_serializable("tests")
class LazyR1(GAN):
    penalty_weight = 5.0
    penalty_interval = 2

    def penalty(self, real, fakes, draws):
        return kgan.losses.r1(lambda x: self.discriminate(x, real.labels, draws), real.images)


@pytest.mark.slow
class TestSubclassWithLazyPenalty(CoreHarness):
    """A subclass that overrides `penalty` and nothing else."""

    kind = LazyR1
    run_eagerly = True

    @property
    def config(self):
        return {**users(num_classes=3), "num_classes": 3}

    smooth_config = config

    def test_penalty_is_logged_and_moves_the_discriminator(self, eager_model):
        plain = GAN(SHAPE, **self.config)
        plain.compile(run_eagerly=True)
        logs = [m.train_on_batch(*self.data(8), return_dict=True) for m in (eager_model, plain)]
        assert logs[0]["gradient_penalty"] > 0 and "gradient_penalty" not in logs[1]
        with_penalty, without = (m.discriminator.get_weights()[0] for m in (eager_model, plain))
        assert np.abs(with_penalty - without).max() > 1e-4


def test_r1_is_the_penalty_that_a_subclass_would_write():
    one = GAN(SHAPE, num_classes=3, r1_gamma=10.0, r1_interval=2, **users(num_classes=3))
    other = LazyR1(SHAPE, num_classes=3, **users(num_classes=3))
    other.set_weights(one.get_weights())
    for model in (one, other):
        model.compile(run_eagerly=True)
        for _ in range(3):  # due, not due, due
            logs = model.train_on_batch(*TestSubclassWithLazyPenalty().data(8), return_dict=True)
        assert logs["gradient_penalty"] > 0
    assert_equal(one, other)
    config = one.get_config()
    assert (config["r1_gamma"], config["r1_interval"]) == (10.0, 2)


def test_a_lazy_penalty_of_a_discriminator_with_an_embedding():
    """Whose gradient TensorFlow gives as rows, which no conditional can return."""
    networks = users(num_classes=3)
    images, labels = keras.Input(SHAPE), keras.Input((), dtype="int32")
    features = layers.Dense(4, "gelu")(layers.Flatten()(images))
    logits = layers.Dot(1)([features, layers.Embedding(3, 4)(labels)])
    networks["discriminator"] = keras.Model([images, labels], logits)
    model = GAN(SHAPE, num_classes=3, r1_gamma=10.0, r1_interval=2, **networks)
    model.compile()
    before = networks["discriminator"].get_weights()[-1]
    model.train_on_batch(*TestSubclassWithLazyPenalty().data(8))
    assert np.abs(networks["discriminator"].get_weights()[-1] - before).min() > 0


def test_step_with_r1_and_r2_is_written_out_by_hand():
    def by_hand(game, real):
        z = Draws(0, 0, 10).normal((6,))
        fake = game.generate(z)

        def slope(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                logits = game.discriminate(images)
            return tf.reduce_mean(tf.reduce_sum(tape.gradient(logits, images) ** 2, axis=1))

        def d_loss():
            told = tf.math.softplus(-game.discriminate(real))
            return tf.reduce_mean(told + tf.math.softplus(game.discriminate(fake)))

        def g_loss():
            return tf.reduce_mean(tf.math.softplus(-game.discriminate(game.generate(z))))

        penalty = slope(real) + slope(fake)
        logged = {"d_loss": d_loss(), "gradient_penalty": penalty}
        game.descend("d", lambda: d_loss() + 1.5 * (slope(real) + slope(fake)))
        return {**logged, "g_loss": game.descend("g", g_loss)}

    assert_step_is(by_hand, GAN, r1_gamma=3.0, r1_interval=1, r2=True)


@pytest.mark.parametrize(
    "wrong",
    [{"r1_gamma": -1.0}, {"r1_gamma": np.nan}, {"r1_interval": 0}, {"r2": True}],
)
def test_r1_that_is_refused(wrong):
    with pytest.raises(ValueError, match="Expected r1_.*Received"):
        GAN(SHAPE, width=5, **wrong)


def test_a_class_with_a_penalty_of_its_own_takes_no_r1():
    with pytest.raises(ValueError, match="of a LazyR1, which has a penalty of its own"):
        LazyR1(SHAPE, **users(), r1_gamma=1.0)
    with pytest.raises(ValueError, match="Expected r2=False of a LazyR1"):
        LazyR1(SHAPE, **users(), r2=True)


def test_a_penalty_may_come_from_a_mixin():
    class Mixin:
        penalty = LazyR1.penalty

    class Mixed(Mixin, GAN):
        pass

    model = Mixed(SHAPE, **users())
    assert model.has_penalty
    model.compile(run_eagerly=True)
    logs = model.train_on_batch(np.zeros((4, *SHAPE), "uint8"), return_dict=True)
    assert logs["gradient_penalty"] > 0
    assert not GAN(SHAPE, **users()).has_penalty


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic", "hinge"])
def test_where_a_sign_says_nothing_an_augmentation_that_goes_by_it_is_warned_of(loss):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GAN(SHAPE, **users(), loss=loss, augment="AdaptiveAugment")
        GAN(SHAPE, **users(), loss=loss, augment={"name": "AdaptiveAugment", "ramp_images": 1e15})
    said = [str(w.message) for w in caught if w.category is KganWarning]
    assert ["DiffAugment" in text for text in said] == ([] if loss == "hinge" else [True])


@pytest.mark.parametrize("loss, undecided", [("non_saturating", 0.0), ("least_squares", 0.5)])
def test_an_undecided_discriminator_asks_for_no_augmentation(loss, undecided):
    networks = users()
    last = networks["discriminator"].layers[-1]
    last.kernel.assign(np.zeros(last.kernel.shape))
    augment = {"name": "AdaptiveAugment", "interval": 1, "ramp_images": 8, "strength": 0.5}
    for score, strength in ((undecided - 0.1, 0.0), (undecided + 0.1, 1.0)):
        model = GAN(SHAPE, **networks, loss=loss, augment=augment)
        model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), run_eagerly=True)
        last.bias.assign([score])
        model.train_on_batch(np.zeros((4, *SHAPE), "uint8"))
        assert float(model.augment.strength) == strength


@keras.saving.register_keras_serializable("tests")
class Consistent(GAN):
    """With a penalty of shape (batch, 1), of no gradient: docs/extending.md."""

    penalty_interval = 2
    penalizes_gradient = False

    def penalty(self, real, fakes, draws):
        clean, other = (self.discriminate(x, real.labels, draws) for x in (real.images, 0.0))
        return tf.square(clean - other)

    def discriminate(self, images, labels=None, draws=None):
        return super().discriminate(tf.zeros((4, *SHAPE)) + images, labels, draws)


def test_a_lazy_penalty_may_have_the_shape_of_the_logits_and_differentiate_nothing():
    networks = users()
    images = keras.Input(SHAPE)
    x = layers.Resizing(8, 8)(images)  # which TensorFlow cannot differentiate twice
    networks["discriminator"] = keras.Model(images, layers.Dense(1)(layers.Flatten()(x)))
    model = Consistent(SHAPE, **networks)
    model.compile()
    logs = model.fit(np.full((8, *SHAPE), 9, "uint8"), batch_size=4, verbose=0).history
    assert logs["gradient_penalty"][0] > 0


@pytest.mark.parametrize("name", ["Adam", "ScheduleFreeAdamW"])
def test_weights_that_are_loaded_after_compile_are_trained_on(name):
    optimizer = getattr(keras.optimizers, name, None)
    if optimizer is None:
        pytest.skip(f"Keras {keras.__version__} has no {name}")
    model, trained = (GAN(SHAPE, **users(), seed=seed) for seed in (0, 1))
    for weight in trained.weights:
        weight.assign(weight + 1)
    model.compile(optimizer(1e-6), optimizer(1e-6), run_eagerly=True)
    model.set_weights(trained.get_weights())
    for _ in range(2):
        model.train_on_batch(np.zeros((4, *SHAPE), "uint8"))
    for network in ("generator", "discriminator"):
        pairs = (getattr(m, network).get_weights() for m in (model, trained))
        for now, loaded in zip(*pairs, strict=True):
            np.testing.assert_allclose(now, loaded, atol=1e-5)


def test_numbers_of_numpy_are_taken():
    model = GAN(SHAPE, np.int64(4), width=np.int64(5), seed=np.uint8(3), r1_gamma=np.float32(0.5))
    assert model.get_config()["width"] == 5 and type(model.width) is int


def test_a_rate_that_counts_images_may_be_given_to_several():
    rate = LinearOfImages(1.0, 0.0, 100)
    models = [GAN(SHAPE, **users()) for _ in range(2)]
    for model in models:
        model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    models[0].images_seen.assign(50)
    rates = [float(m.g_optimizer.learning_rate) for m in models]
    np.testing.assert_allclose(rates, [0.5, 1.0], rtol=1e-6)


def test_step_is_the_two_updates_written_out_by_hand():
    """Algorithm 1 in NumPy-like float64 code, with the step's own latents."""

    def by_hand(game, real):
        z = Draws(2 * 4, 0, 10).normal((6,))
        fake = game.generate(z)

        def probability(images):
            return tf.sigmoid(game.discriminate(images))

        def d_loss():
            return tf.reduce_mean(
                -tf.math.log(probability(real)) - tf.math.log(1 - probability(fake))
            )

        def g_loss():
            return tf.reduce_mean(-tf.math.log(probability(game.generate(z))))

        return {"d_loss": game.descend("d", d_loss), "g_loss": game.descend("g", g_loss)}

    assert_step_is(by_hand, GAN, seed=4)


def test_relativistic_step_compares_with_what_the_updated_discriminator_says_of_data():
    def by_hand(game, real):
        z = Draws(0, 0, 10).normal((6,))
        fake = game.generate(z)

        def d_loss():
            return tf.reduce_mean(
                tf.math.softplus(game.discriminate(fake) - game.discriminate(real))
            )

        def g_loss():
            return tf.reduce_mean(
                tf.math.softplus(game.discriminate(real) - game.discriminate(game.generate(z)))
            )

        return {"d_loss": game.descend("d", d_loss), "g_loss": game.descend("g", g_loss)}

    assert_step_is(by_hand, GAN, loss="relativistic")


def test_steps_executed_together_are_the_steps_one_by_one():
    data = tf.data.Dataset.from_tensor_slices(np.zeros((24, *SHAPE), "uint8"))
    one, two = (GAN(SHAPE, **users()) for _ in range(2))
    for model, steps in ((one, 1), (two, 2)):
        model.compile(steps_per_execution=steps)
        model.fit(data.batch(8, drop_remainder=True), epochs=2, verbose=0)
    assert int(two.images_seen) == 48
    assert_equal(one, two)


def test_evaluation_on_two_replicas_is_that_on_one():
    data = TestGAN().dataset(13)  # the last batch is cut into 3 and 2
    with floats("float64"):
        one = GAN(SHAPE, **users())
        one.compile(run_eagerly=True)
        with TWO_REPLICAS.scope():
            two = GAN(SHAPE, **users())
            two.compile()
    expected, logs = (model.evaluate(data, verbose=0, return_dict=True) for model in (one, two))
    for name in ("d_loss", "g_loss", "real_score", "fake_score"):
        np.testing.assert_allclose(logs[name], expected[name], rtol=1e-12, err_msg=name)


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
        model.compile(run_eagerly=True)
    a.train_on_batch(images)
    states = [s.state.numpy() for s in a.seed_generators()]
    a.save_weights(tmp_path / "a.weights.h5")
    b.load_weights(tmp_path / "a.weights.h5")
    for model in (a, b):
        model.train_on_batch(images)
    assert_equal(a, b)
    later = [s.state.numpy() for s in a.seed_generators()]
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
        latents = kgan.latents.sample_latents(3, 0, 16, 8)
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
        received = re.escape(f"Received: image_shape={shape!r}")
        with pytest.raises(ValueError, match=rf"\(height, width, channels\).*{received}"):
            GAN(shape)

    def test_half_life(self):
        with pytest.raises(ValueError, match="a number of images > 0.*Received: ema_half_life=0"):
            GAN(SHAPE, ema_half_life=0)

    def test_classes_without_networks_that_take_them(self):
        with pytest.raises(ValueError, match="ConditionalGAN. Received: num_classes=3"):
            GAN(SHAPE, num_classes=3)
        with pytest.raises(
            ValueError, match=r"from \(batch, any\) and \(batch\) to.*one from \(None, 6\) to"
        ):
            GAN(SHAPE, num_classes=3, **users())
        with pytest.raises(
            ValueError, match=r"from \(batch, any\) to.*one from \(None, 6\) and \(None,\)"
        ):
            GAN(SHAPE, **users(num_classes=3))

    def test_loss(self):
        with pytest.raises(
            ValueError, match="Expected loss to be one of 'minimax'.*Received: loss='hing'"
        ):
            GAN(SHAPE, loss="hing")

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


def test_large_pictures_are_drawn_a_few_at_a_time(monkeypatch):
    """So that a pass takes no more memory; and as ever the same whatever their number is."""
    sixteen, few, one = (GAN(SHAPE, **users()) for _ in range(3))
    expected = sixteen.sample(5, seed=0)
    (found,) = sixteen.passes()
    assert found.shape == (16, *SHAPE)
    for model, share, chunk in ((few, 3, 4), (one, 99, 1)):
        monkeypatch.setattr(latent, "MOST_BYTES", cost(found.function.graph).bytes // share)
        assert np.abs(model.sample(5, seed=0).astype(int) - expected).max() <= 1
        assert model.passes()[0].shape == (chunk, *SHAPE)
        np.testing.assert_array_equal(model.sample(2, seed=0), model.sample(5, seed=0)[:2])
    traced = few._sampling()[0].experimental_get_tracing_count()
    few.sample(20, seed=1)
    few.passes()
    assert few._sampling()[0].experimental_get_tracing_count() == traced
