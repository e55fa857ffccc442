"""kgan.untrusted.memory: what a pass takes is known before it is taken."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from kgan import models
from kgan.untrusted.memory import cost, rough

MB = 1 << 20


def of(network):
    spec = tf.TensorSpec((1, *network.input_shape[1:]))
    return cost(tf.function(network).get_concrete_function(spec).graph)


def network(function, shape=(64, 64, 16)):
    x = keras.Input(shape)
    return keras.Model(x, function(x))


def balloon(x):  # 64 MB
    return layers.AveragePooling2D(16)(layers.UpSampling2D(16, interpolation="bilinear")(x))


def chain(x):
    for _ in range(8):
        x = balloon(x)
    return x


def test_what_comes_one_after_the_other_takes_no_more_than_the_most_of_it():
    one, eight = of(network(balloon)).bytes, of(network(chain)).bytes
    assert 64 * MB < one <= eight < 1.3 * one


@pytest.mark.parametrize(
    "function",
    [
        lambda x: layers.Add()([balloon(x) for _ in range(8)]),
        lambda x: balloon(layers.Concatenate()([balloon(x) for _ in range(8)])),
    ],
)
def test_branches_may_all_be_in_memory_at_once(function):
    assert of(network(function)).bytes > 8 * 64 * MB


def skip(x):
    large = layers.UpSampling2D(16, interpolation="bilinear")(x)
    again = layers.UpSampling2D(16, interpolation="bilinear")(chain(x))
    return layers.AveragePooling2D(16)(layers.Add()([large, again]))


def test_what_is_needed_again_stays_in_memory():
    assert of(network(skip)).bytes > 3 * 64 * MB


@pytest.mark.parametrize(
    "function, least",
    [
        (lambda x: layers.Conv2D(16, 3, padding="same", dilation_rate=1024)(x), 1 << 28),
        (lambda x: layers.Rescaling([[[1.0]]] * 64)(layers.Reshape((1, 1, 1 << 16))(x)), 1 << 24),
        (lambda x: layers.Concatenate(axis=0)([x] * 100), 100 << 18),
        (lambda x: layers.SeparableConv2D(1, 1, depth_multiplier=100)(x), 100 << 18),
        (lambda x: layers.Conv2DTranspose(16, 31, padding="same", dtype="float64")(x), 1 << 28),
        (lambda x: layers.Conv2D(16, 3, groups=4)(x), 1 << 18),
        (lambda x: layers.Flatten()(layers.Dot(3)([x, x])), 1 << 18),
    ],
    ids=["dilated", "broadcast", "batches", "depthwise", "transposed", "by XLA", "products"],
)
def test_what_layers_do_inside_is_seen(function, least):
    assert of(network(function)).bytes >= least


def test_windows_are_work():
    pool = {"strides": 1, "padding": "same"}
    small, large = (
        of(network(lambda x, n=n: layers.AveragePooling2D(n, **pool)(x))) for n in (3, 30)
    )
    assert large.bytes == small.bytes and large.work > 50 * small.work
    one, wide = (
        of(network(lambda x, t=t: layers.Conv2D(16, 3, dtype=t)(x))) for t in ("float32", "float64")
    )
    assert wide.work > 5 * one.work


def test_shapes_that_are_not_known_are_told():
    x = keras.Input((None, None, 3))
    function = tf.function(keras.Model(x, layers.UpSampling2D()(x)))
    assert cost(function.get_concrete_function(tf.TensorSpec((1, 8, 8, 3))).graph).known
    assert not cost(function.get_concrete_function(tf.TensorSpec((1, None, 8, 3))).graph).known
    assert rough(keras.Model(x, layers.UpSampling2D()(x)), 1) == float("inf")


@pytest.mark.parametrize(
    "model",
    [
        lambda: models.DCGAN((32, 32, 3), latent_dim=8, width=4),
        lambda: models.GAN((32, 32, 3), latent_dim=1, width=5),
        lambda: models.WGANGP((28, 28, 1), width=8),
        lambda: models.ConditionalGAN((28, 28, 1), num_classes=3, width=4),
        lambda: models.StyleGANLite((32, 32, 3), 8, 4, 8),
        lambda: models.R3GAN((32, 32, 3), latent_dim=8, width=8),
    ],
    ids=["DCGAN", "GAN", "WGANGP", "ConditionalGAN", "StyleGANLite", "R3GAN"],
)
def test_the_rough_bound_is_one(model):
    model = model()
    (found,) = model.passes()
    assert cost(found.function.graph).bytes <= rough(model.ema_generator, found.shape[0])
    assert found.function(*found.example).shape == found.shape
