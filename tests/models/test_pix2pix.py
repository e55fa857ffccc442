"""pix2pix: the class harness, the paper's networks, and its losses by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kgan.models import Pix2Pix
from kgan.models.base.adversarial import Batch
from models.harness import floats
from models.translation_harness import SHAPE, TranslationHarness, pairs


class TestPix2Pix(TranslationHarness):
    kind = Pix2Pix
    config = {"width": 4, "max_channels": 8, "augment": "DiffAugment"}
    smooth_config = {"dropout": 0.0}


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


@pytest.mark.parametrize(("side", "depth"), [(32, 5), (64, 6), (256, 8)])
def test_networks_are_the_papers(side, depth):
    """Section 6.1: C64-C128-C256-C512-C512-… and back; no normalisation at 1 x 1."""
    model = Pix2Pix((side, side, 3), ema_half_life=None)
    down = [layer.filters for layer in layers_of(model.generator, layers.Conv2D)]
    up = [layer.filters for layer in layers_of(model.generator, layers.Conv2DTranspose)]
    down = down[:depth]
    assert down == [64, 128, 256, 512, 512, 512, 512, 512][:depth]
    assert up == [*down[-2::-1], 3]
    assert len(layers_of(model.generator, layers.Concatenate)) == depth - 1
    assert len(layers_of(model.generator, layers.Dropout)) == 3
    for layer in layers_of(model.generator, layers.BatchNormalization):
        assert layer.input.shape[1] > 1
    assert len(layers_of(model.generator, layers.BatchNormalization)) == depth - 2 + depth - 1


@pytest.mark.parametrize(("side", "patch"), [(32, 16), (64, 34), (128, 70), (256, 70)])
def test_a_logit_sees_a_patch_that_fits(side, patch):
    """By the gradient of one logit in the middle, of a network without normalisation."""
    model = Pix2Pix((side, side, 1), width=2, ema_half_life=None)
    images = tf.Variable(np.random.default_rng(0).normal(size=(1, side, side, 1)), dtype="float32")
    with tf.GradientTape() as tape:
        logits = images
        for layer in layers_of(model.discriminator, layers.Conv2D):
            kernel = tf.ones((4, 4, logits.shape[-1], layer.filters))
            logits = tf.nn.conv2d(logits, kernel, layer.strides[0], "SAME")
        middle = logits.shape[1] // 2
        loss = logits[0, middle, middle, 0]
    rows = np.flatnonzero(np.abs(tape.gradient(loss, images)).sum((0, 2, 3)))
    assert rows[-1] - rows[0] + 1 == patch
    assert model.discriminator.output_shape[1:] == logits.shape[1:]


class Linear(Pix2Pix):
    """G(a) = w·a + c and D(a, b) = u·a + v·b + t, whose gradients are found by hand."""

    def build_generator(self):
        images = keras.Input(self.image_shape)
        return keras.Model(images, layers.Conv2D(1, 1, name="g")(images))

    def build_discriminator(self):
        a, b = keras.Input(self.image_shape), keras.Input(self.target_shape)
        return keras.Model([a, b], layers.Conv2D(1, 1)(layers.Concatenate()([a, b])))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_losses_and_gradients_are_those_found_by_hand():
    """SGD at a rate of 1 takes the gradient off: equations 1 to 4, half of D's loss."""
    a, b = (x[..., :1] / 127.5 - 1.0 for x in pairs(6))
    with floats("float64"):
        model = Linear((32, 32, 1), ema_half_life=None, l1_weight=3.0)
        model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), run_eagerly=True)
        model.generator.set_weights([np.full((1, 1, 1, 1), 0.7), np.array([0.1])])
        model.discriminator.set_weights([np.array([[[[0.4], [-0.9]]]]), np.array([0.2])])
        logs = model.train_on_batch(a, b, return_dict=True)
        ((w, c),) = [model.generator.get_weights()]
        (uv, t) = model.discriminator.get_weights()
    fake = 0.7 * a + 0.1
    real_logits, fake_logits = (0.4 * a - 0.9 * y + 0.2 for y in (b, fake))
    d_loss = np.log1p(np.exp(-real_logits)) + np.log1p(np.exp(fake_logits))
    np.testing.assert_allclose(logs["d_loss"], d_loss.mean(), atol=1e-6)
    by_real, by_fake = 0.5 * -sigmoid(-real_logits), 0.5 * sigmoid(fake_logits)
    u = 0.4 - np.mean(by_real * a + by_fake * a)
    v = -0.9 - np.mean(by_real * b + by_fake * fake)
    bias = 0.2 - np.mean(by_real + by_fake)
    np.testing.assert_allclose(uv.ravel(), [u, v], rtol=1e-10)
    np.testing.assert_allclose(t, [bias], rtol=1e-10)
    fake_logits = u * a + v * fake + bias  # by the discriminator as it is now
    np.testing.assert_allclose(logs["g_loss"], np.log1p(np.exp(-fake_logits)).mean(), atol=1e-6)
    np.testing.assert_allclose(logs["l1_loss"], np.abs(b - fake).mean(), atol=1e-6)
    outer = -sigmoid(-fake_logits) * v + 3.0 * np.sign(fake - b)
    np.testing.assert_allclose(w.ravel(), [0.7 - np.mean(outer * a)], rtol=1e-10)
    np.testing.assert_allclose(c, [0.1 - np.mean(outer)], rtol=1e-10)


def test_a_and_b_are_augmented_alike():
    """What D is shown of equal images is equal, and is not what they were."""
    model = Pix2Pix(SHAPE, width=2, augment="DiffAugment")
    images = tf.constant(pairs(8)[0] / np.float32(127.5) - 1)
    shown = []
    model.discriminator = lambda x, training: shown.extend(x) or tf.zeros((8, 1))
    model.discriminate(images, images, model.draws(images, model.images_seen))
    np.testing.assert_array_equal(*shown)
    assert not np.array_equal(shown[0], images)
    draws = model.draws(images, model.images_seen)
    once, twice = (model.discriminate(images, images, draws) for _ in range(2))
    assert once.shape == twice.shape and not np.array_equal(shown[2], shown[4])


def test_dropout_is_of_training_alone_and_resumes():
    model = Pix2Pix(SHAPE, width=4, max_channels=8)
    a = tf.constant(pairs(2)[0] / np.float32(127.5) - 1)
    draws = model.draws(a, model.images_seen)
    made = []
    for _ in range(2):
        model.seed_layers(draws)
        made.append(model.generate_batch(Batch(a), draws).images.numpy())
    np.testing.assert_array_equal(*made)
    assert not np.array_equal(model.generator(a, training=False), made[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (48, 48, 3)}, r"square, of a side among 32, 64, 128, 256.*48"),
        ({"image_shape": (64, 32, 3)}, "square"),
        ({"target_channels": 4}, "target_channels to be 1 or 3.*4"),
        ({"dropout": 1.0}, "dropout"),
        ({"l1_weight": -1}, "l1_weight"),
    ],
)
def test_arguments_out_of_their_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        Pix2Pix(**arguments)
