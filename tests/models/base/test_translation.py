"""Models of images to images, by a stand-in CycleGAN: four networks, two optimizers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kgan
from kgan.models.base.adversarial import Batch
from kgan.models.base.translation import TranslationModel
from models.harness import TWO_REPLICAS, all_variables, assert_equal, floats

SHAPE = (16, 16, 3)


@keras.saving.register_keras_serializable("tests")
class TinyCycleGAN(TranslationModel):
    """Least squares and cycle losses (Zhu et al. 2017, equations 1 to 3), on tiny networks."""

    PLAYERS = {
        "g_optimizer": ("generator_ab", "generator_ba"),
        "d_optimizer": ("discriminator_a", "discriminator_b"),
    }
    AVERAGED = ("generator_ab", "generator_ba")
    DIRECTIONS = {"a_to_b": "generator_ab", "b_to_a": "generator_ba"}
    LOGS = ("d_loss", "g_loss", "cycle_loss")

    def __init__(self, image_shape=SHAPE, **kwargs):
        super().__init__(image_shape, **kwargs)
        a, b = self.image_shape, self.target_shape
        self.add_networks(
            generator_ab=self._network("generator_ab", a, b[2], "tanh", 1),
            generator_ba=self._network("generator_ba", b, a[2], "tanh", 1),
            discriminator_a=self._network("discriminator_a", a, 1, None, 2),
            discriminator_b=self._network("discriminator_b", b, 1, None, 2),
        )

    def _network(self, name, shape, channels, activation, strides):
        init = map(keras.initializers.GlorotUniform, self.initial_seeds(name))
        images = keras.Input(shape)
        x = layers.Conv2D(4, 3, strides, "same", activation="gelu", kernel_initializer=next(init))(
            images
        )
        x = layers.Dropout(0.0 if self.dtype == "float64" else 0.1)(x)
        x = layers.Conv2D(
            channels, 3, padding="same", activation=activation, kernel_initializer=next(init)
        )(x)  # of a discriminator: a logit for each patch
        return keras.Model(images, x, name=name)

    def default_optimizers(self):
        return keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5)

    def train_step(self, data):
        (a, b), draws = self.begin_step(data)
        g_variables = self.variables_of("g_optimizer")
        with tf.GradientTape() as tape:
            fake_b = self.generator_ab(a.images, training=True)
            fake_a = self.generator_ba(b.images, training=True)
            losses = tf.square(self.discriminator_b(fake_b, training=True) - 1.0) + tf.square(
                self.discriminator_a(fake_a, training=True) - 1.0
            )
            cycle = tf.abs(self.generator_ba(fake_b, training=True) - a.images) + tf.abs(
                self.generator_ab(fake_a, training=True) - b.images
            )
            loss = self.global_mean(losses, draws) + 10.0 * self.global_mean(cycle, draws)
        self.g_optimizer.apply(tape.gradient(loss, g_variables), g_variables)
        self.log(g_loss=losses, cycle_loss=cycle)
        d_variables = self.variables_of("d_optimizer")
        with tf.GradientTape() as tape:
            losses = sum(
                tf.square(judge(real.images, training=True) - 1.0)
                + tf.square(judge(fake, training=True))
                for judge, real, fake in (
                    (self.discriminator_a, a, fake_a),
                    (self.discriminator_b, b, fake_b),
                )
            )
            loss = 0.5 * self.global_mean(losses, draws)
        self.d_optimizer.apply(tape.gradient(loss, d_variables), d_variables)
        self.log(d_loss=losses)
        return self.end_step(draws, Batch(fake_a), Batch(fake_b))


def pairs(n=16):
    a, b = np.random.default_rng(0).integers(0, 256, (2, n, *SHAPE), dtype="uint8")
    return a, b


def dataset(n=16):
    return tf.data.Dataset.from_tensor_slices(pairs(n)).batch(8)


@pytest.fixture(scope="module")
def trained():
    model = TinyCycleGAN(ema_half_life=30)
    model.compile()
    model.logs_of_fit = model.fit(dataset(), verbose=0).history
    return model


def test_it_fits_and_all_four_networks_move(trained):
    assert set(trained.logs_of_fit) == {"d_loss", "g_loss", "cycle_loss"}
    assert np.isfinite(list(trained.logs_of_fit.values())).all()
    fresh = TinyCycleGAN(ema_half_life=30)
    for name, network in trained.networks.items():
        for v, w in zip(network.weights, fresh.networks[name].weights, strict=True):
            assert "bias" in v.path or not np.array_equal(v, w), v.path
    assert int(trained.images_seen) == 16


def test_the_same_image_is_translated_to_the_same_pixels(trained):
    a, _ = pairs(7)
    whole = trained.translate(a)
    assert whole.shape == (7, *SHAPE) and whole.dtype == np.uint8
    np.testing.assert_array_equal(trained.translate(a[5:6], "a-to-b"), whole[5:6])
    np.testing.assert_array_equal(trained.translate(a / np.float32(127.5) - 1), whole)
    assert not np.array_equal(trained.translate(a, "b_to_a"), whole)
    floats_of = trained(a.astype("float32") / 127.5 - 1, direction="a_to_b")
    assert np.abs((np.asarray(floats_of) + 1) * 127.5 - whole).max() <= 0.51


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 8, 8, 3), "uint8"),), r"\(batch, 16, 16, 3\).*Received.*8, 8, 3"),
        ((np.zeros((1, *SHAPE), "int64"),), "dtype uint8.*Received: dtype int64"),
        ((np.full((1, *SHAPE), 9.0),), r"in \[-1, 1\].*Received: a batch in \[9, 9\]"),
        ((np.zeros((1, *SHAPE), "uint8"), "up"), "one of 'a_to_b', 'b_to_a'.*direction='up'"),
    ],
)
def test_what_cannot_be_translated(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        trained.translate(*arguments)


def test_keras_predict_takes_what_fit_takes(trained):
    images = pairs(4)[0]
    floats_of = images.astype("float32") / 127.5 - 1
    expected = trained.translate(images)
    for given in (images, floats_of, tf.data.Dataset.from_tensor_slices(pairs(4)).batch(2)):
        predicted = trained.predict(given, verbose=0)
        difference = np.abs(np.rint((predicted + 1) * 127.5) - expected)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_directions_that_nothing_knows_are_refused():
    with pytest.raises(ValueError, match="DIRECTIONS of Paint with 'a_to_b'.*Received.*'paint'"):

        class Paint(TinyCycleGAN):
            DIRECTIONS = {"paint": "generator_ab"}


def test_data_that_are_no_pairs(trained):
    a, b = pairs(8)
    with pytest.raises(ValueError, match="Expected pairs of images.*Received: one part"):
        trained.fit(a, verbose=0)
    with pytest.raises(ValueError, match="16, 16, 3.*Received.*8, 16, 3"):
        trained.fit(a, b[:, ::2], verbose=0)


def test_saved_with_both_optimizers_it_goes_on_to_the_bit(trained, tmp_path):
    trained.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_equal(trained, again)
    checkpoint = kgan.callbacks.Checkpoint(tmp_path / "checkpoints")
    checkpoint.save(trained, 1)
    other = TinyCycleGAN(ema_half_life=30)
    other.compile()
    assert checkpoint.restore(other) == 1
    assert_equal(trained, other)
    for model in (trained, again, other):
        model.fit(dataset(), verbose=0)
    assert_equal(trained, again)
    assert_equal(trained, other)
    for optimizer in (trained.g_optimizer, trained.d_optimizer):
        assert optimizer.iterations > 0 and np.abs(optimizer.variables[2]).max() > 0


def test_two_replicas_equal_one():
    with floats("float64"):
        models = [TinyCycleGAN()]
        with TWO_REPLICAS.scope():
            models.append(TinyCycleGAN())
            models[1].compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
        models[0].compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01), run_eagerly=True)
        for model in models:
            model.fit(dataset(21), verbose=0)  # the last batch is cut into 3 and 2
    for v, w in zip(*map(all_variables, models), strict=True):
        tolerance = 1e-6 if v.dtype == "float32" else 1e-10
        np.testing.assert_allclose(v, w.numpy(), rtol=0, atol=tolerance, err_msg=v.path)


def test_divergence_names_the_networks(trained):
    model = TinyCycleGAN()
    model.compile(run_eagerly=True)
    model.discriminator_b.weights[0].assign(np.full(model.discriminator_b.weights[0].shape, np.nan))
    with pytest.raises(
        ValueError, match="in the (generator_ab or generator_ba|discriminator_a or)"
    ):
        model.fit(dataset(), verbose=0, callbacks=[kgan.callbacks.TerminateOnDivergence()])


def test_a_preset_keeps_all_networks(trained, tmp_path):
    trained.save_to_preset(tmp_path / "p")
    again = kgan.zoo.load(tmp_path / "p")
    assert type(again) is TinyCycleGAN and not (tmp_path / "p/samples.png").exists()
    a, b = pairs(5)
    for direction, images in (("a_to_b", a), ("b_to_a", b)):
        np.testing.assert_array_equal(
            again.translate(images, direction), trained.translate(images, direction)
        )
    for name in ("discriminator_a", "discriminator_b"):
        for v, w in zip(again.networks[name].weights, trained.networks[name].weights, strict=True):
            np.testing.assert_array_equal(v, w)
    info = kgan.zoo.info(tmp_path / "p")
    parameters = sum(network.count_params() for network in trained.networks.values())
    assert (info["num_classes"], info["parameters"]) == (None, parameters)
    again.run_eagerly = True
    again.fit(dataset(8), verbose=0)
