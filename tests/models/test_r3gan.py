"""R3GAN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import KganError
from kgan.models import R3GAN
from kgan.models.r3gan import SIDES
from kgan.random import Draws
from kgan.recipe.optimizers import CosineOfImages
from models.harness import CoreHarness, Harness, floats
from models.test_gan import Game, small_networks


class TestR3GAN(Harness):
    kind = R3GAN
    config = {"latent_dim": 8, "width": 4, "max_channels": 8, "decay_images": 30}
    smooth_config = config
    half_life = staticmethod(lambda seen: 15 * (1 - np.cos(np.pi * min(seen / 30, 1))))


class TestConditionalR3GAN(CoreHarness):
    kind = R3GAN
    config = {"latent_dim": 8, "width": 4, "max_channels": 8, "num_classes": 3}
    run_eagerly = True
    test_two_replicas_equal_one = None  # its layers are those of the class above


@pytest.mark.parametrize("side", SIDES)
def test_every_side(side):
    model = R3GAN((side, side, 1), 4, width=1, max_channels=2, ema_half_life=None)
    assert model(np.zeros((1, 4), "float32")).shape == (1, side, side, 1)
    assert model.discriminator.output_shape == (None, 1)


@pytest.mark.parametrize("shape", [(48, 48, 3), (14, 14, 1), (64, 32, 3), (512, 512, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=rf"a side among 16, .*Received: image_shape=\({shape[0]}"):
        R3GAN(shape)


def test_no_layer_normalises_and_blocks_begin_as_the_identity():
    model = R3GAN((16, 16, 3), 8, width=8, max_channels=16, blocks=2)
    for network in model.networks.values():
        assert not [n for n in network.layers if "Normalization" in type(n).__name__]
        adds = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
        assert len(adds) == 2 * 3  # blocks in each of the stages of 4, 8 and 16 pixels
        inside = keras.Model(network.inputs, [x for add in adds for x in add.input])
        shape = (2, *network.input_shape[1:])
        outputs = inside(np.random.default_rng(0).normal(size=shape).astype("float32"))
        for identity, branch in zip(outputs[::2], outputs[1::2], strict=True):
            assert np.abs(branch).max() == 0 < np.abs(identity).max()


def test_of_classes_logits_begin_as_small_as_without():
    """The official code has 1 / √64 as the gain of the discriminator's embedding."""
    sizes, images = [], np.random.default_rng(0).normal(size=(64, 16, 16, 1)).astype("float32")
    for number in (None, 64):
        model = R3GAN((16, 16, 1), 4, width=16, max_channels=16, num_classes=number)
        inputs = images if number is None else [images, np.arange(64)]
        sizes.append(np.sqrt(np.mean(np.square(model.discriminator(inputs)))))
    kernel = max(model.discriminator.weights, key=lambda w: w.shape == (64, 64))
    assert np.std(kernel) == pytest.approx(1 / 64, rel=0.05)  # of N(0, gain² / classes)
    assert 0.05 < sizes[1] / sizes[0] < 1


def test_signals_keep_their_size_through_many_blocks():
    """Fixup: with branches as they begin inside, and a last layer of their size, no explosion."""
    model = R3GAN((16, 16, 3), 8, width=32, max_channels=32, blocks=8)
    kernels = [w.numpy() for w in model.generator.trainable_weights if w.name == "kernel"]
    gain = np.sqrt(2 / 1.04) * 24**-0.25
    grouped = [k for k in kernels if k.shape[:2] == (3, 3)]
    assert len(grouped) == 24 and {k.shape for k in grouped} == {(3, 3, 16, 64)}
    np.testing.assert_allclose(np.std(grouped), gain / np.sqrt(3 * 3 * 16), rtol=0.01)


def test_step_is_the_papers_written_out_by_hand():
    """Equation 2 with R1 and R2 at half of γ, then the generator's turn with new fakes."""

    class Small(R3GAN):
        def build_generator(self):
            return small_networks()[0]

        def build_discriminator(self):
            return small_networks()[1]

    images = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype="uint8")
    with floats("float64"):
        model = Small((16, 16, 3), latent_dim=6, gamma=3.0, final_gamma=1.0, decay_images=100)
        rates = (keras.optimizers.SGD(Game.RATES[name]) for name in "gd")
        model.compile(*rates, run_eagerly=True)
        game = Game(model)
        model.images_seen.assign(50)  # half of the way: γ = 2
        logs = model.train_on_batch(images, return_dict=True)
    real = tf.constant(images.reshape(10, -1) / 127.5 - 1)
    draws = Draws(0, 50, 10)
    fake = game.generate(draws.normal((6,)))
    penalties = []

    def squared_slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = game.discriminate(x)
        return tf.reduce_sum(tf.square(tape.gradient(scores, x)), axis=1)

    def d_loss():
        penalties.append(tf.reduce_mean(squared_slope(real) + squared_slope(fake)))
        difference = game.discriminate(real) - game.discriminate(fake)
        losses.append(tf.reduce_mean(tf.math.softplus(-difference)))
        return losses[-1] + 2.0 / 2 * penalties[-1]

    losses = []
    game.descend("d", d_loss)
    z = draws.normal((6,))
    g_loss = game.descend(
        "g",
        lambda: tf.reduce_mean(
            tf.math.softplus(game.discriminate(real) - game.discriminate(game.generate(z)))
        ),
    )
    for name, value in (
        ("d_loss", losses[0]),
        ("gradient_penalty", penalties[0]),
        ("g_loss", g_loss),
    ):
        np.testing.assert_allclose(logs[name], value, rtol=1e-9, err_msg=name)
    weights = model.generator.weights + model.discriminator.weights
    for hand, weight in zip(game.g + game.d, weights, strict=True):
        np.testing.assert_allclose(weight, hand, rtol=1e-9, atol=1e-12)


def test_rate_gamma_and_half_life_follow_the_images_seen():
    model = R3GAN(
        (16, 16, 1), 4, width=1, max_channels=2, gamma=2, final_gamma=0.5, decay_images=80
    )
    model.compile()
    for seen, share in ((0, 1.0), (40, 0.5), (80, 0.0), (200, 0.0)):
        model.images_seen.assign(seen)
        np.testing.assert_allclose(2 * model.penalty_weight, 0.5 + 1.5 * share, rtol=1e-5)
        np.testing.assert_allclose(model.half_life(), 500_000 * (1 - share), rtol=1e-5, atol=0.1)
        for optimizer in (model.g_optimizer, model.d_optimizer):
            np.testing.assert_allclose(
                float(optimizer.learning_rate), 5e-5 + 1.5e-4 * share, rtol=1e-5
            )


def test_fakes_are_of_the_classes_of_the_images_that_they_are_compared_with():
    class Recording(R3GAN):
        def update_discriminator(self, real, fakes, draws):
            np.testing.assert_array_equal(real.labels, fakes.labels)
            super().update_discriminator(real, fakes, draws)

        def discriminate(self, images, labels=None, draws=None):
            told.append(labels)
            return super().discriminate(images, labels, draws)

    model, told = Recording((16, 16, 1), 4, 3, width=1, max_channels=2), []
    model.compile(run_eagerly=True)
    data = np.zeros((4, 16, 16, 1), "uint8"), np.array([2, 0, 1, 2])
    model.train_on_batch(*data)
    told.clear()
    model.test_on_batch(*data)
    assert len(told) == 2  # in validation too
    for labels in told:
        np.testing.assert_array_equal(labels, data[1])


@pytest.mark.parametrize("width, groups", [(28, 2), (10, 1), (50, 5), (48, 6)])
def test_any_width_has_groups_of_channels_that_come_out_even(width, groups):
    model = R3GAN((16, 16, 1), 4, width=width, max_channels=width)
    found = {layer.groups for layer in model.generator.layers if hasattr(layer, "groups")}
    assert max(found) == groups and 2 * width % groups == 0


def test_a_loss_is_refused():
    with pytest.raises(KganError, match="no loss beside R3GAN's own. Received: loss='hinge'"):
        R3GAN((16, 16, 1), loss="hinge")


def test_cosines_go_on_where_a_saved_model_or_its_preset_was(tmp_path):
    model = R3GAN((16, 16, 1), 4, width=1, max_channels=2, decay_images=8)
    model.compile(run_eagerly=True)
    images = np.zeros((4, 16, 16, 1), "uint8")
    model.train_on_batch(images)
    model.save(tmp_path / "m.keras")
    model.save_to_preset(tmp_path / "p")
    for again in (
        keras.saving.load_model(tmp_path / "m.keras"),
        R3GAN.from_preset(tmp_path / "p"),
    ):
        assert type(again.g_optimizer._learning_rate) is CosineOfImages
        np.testing.assert_allclose(float(again.g_optimizer.learning_rate), 1.25e-4, rtol=1e-5)
        again.run_eagerly = True
        again.train_on_batch(images)
        np.testing.assert_allclose(float(again.d_optimizer.learning_rate), 5e-5, rtol=1e-5)
