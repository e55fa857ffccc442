"""Convolutions that halve and double sides."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers import Conv2D, Conv2DTranspose, SpectralConv2D
from layers.harness import LayerHarness, normal

CONFIG = {"filters": 34, "kernel_size": 4, "strides": 2, "padding": "same"}
KINDS = pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])


class TestConv2D(LayerHarness):
    kind = Conv2D
    config = {**CONFIG, "filters": 2}


class TestConv2DTranspose(LayerHarness):
    kind = Conv2DTranspose
    config = {**CONFIG, "filters": 2}


def operations(layer, x):
    """Names of the operations that compute the layer's gradients."""

    def step(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(x))
        return tape.gradient(y, layer.trainable_variables)

    graph = tf.function(step).get_concrete_function(x).graph
    return {operation.type for operation in graph.get_operations()}


def of_both_orders(layer, x):
    """Gradients of a loss, and of the sum of squares of its gradient by x."""
    variables = [w.value for w in layer.trainable_variables]
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.cast(layer(x), "float32")
            loss = tf.reduce_sum(tf.square(y) * normal(*y.shape, seed=7).astype("float32"))
        first = inner.gradient(loss, [x, *variables])
        penalty = tf.reduce_sum(tf.square(first[0]))
    return [y, *first, *outer.gradient(penalty, [x, layer.kernel.value])]


@KINDS
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("side, use_bias", [(6, True), (2, False), (7, True), (1, False)])
def test_products_give_the_gradients_of_keras(kind, policy, side, use_bias):
    config = {**CONFIG, "use_bias": use_bias}
    parent = kind.__mro__[2]
    assert parent.__module__.startswith("keras")
    layer, exact = kind(**config, dtype=policy), parent(**config)
    x = tf.constant(normal(3, side, side + 1, 32), "float32")
    results = []
    for one in (layer, exact):
        one.build(x.shape)
        for i, weight in enumerate(one.trainable_variables):
            weight.assign(0.1 * normal(*weight.shape, seed=i))
        results.append(of_both_orders(one, x))
    assert "Conv2DBackpropFilter" not in operations(layer, x)
    for found, expected in zip(*results, strict=True):
        atol = 0.03 * np.abs(expected).max()
        np.testing.assert_allclose(tf.cast(found, "float32"), expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "kind, more, x",
    [
        (Conv2D, {}, normal(1, 8, 8, 31)),
        (Conv2D, {}, normal(1, 18, 8, 32)),
        (Conv2DTranspose, {}, normal(1, 4, 9, 3)),
        (Conv2D, {"kernel_size": 3}, normal(1, 8, 8, 32)),
        (Conv2D, {"strides": 1}, normal(1, 8, 8, 32)),
        (Conv2D, {"padding": "valid"}, normal(1, 8, 8, 32)),
        (Conv2D, {"strides": 1, "dilation_rate": 2}, normal(1, 8, 8, 32)),
        (Conv2DTranspose, {"filters": 31}, normal(1, 4, 4, 3)),
        (Conv2DTranspose, {"kernel_size": 5}, normal(1, 4, 4, 3)),
        (Conv2DTranspose, {"padding": "valid"}, normal(1, 4, 4, 3)),
        (Conv2DTranspose, {"output_padding": 1}, normal(1, 4, 4, 3)),
    ],
)
def test_others_go_keras_way(kind, more, x):
    config = {**CONFIG, **more, "dtype": "mixed_bfloat16"}
    layer, plain = kind(**config), kind.__mro__[2](**config)
    y = layer(x)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(tf.cast(y, "float32"), tf.cast(plain(x), "float32"))
    assert "Conv2DBackpropFilter" in operations(layer, tf.constant(x))


def test_float32_goes_keras_way():
    x = tf.constant(normal(1, 8, 8, 32), "float32")
    assert "Conv2DBackpropFilter" in operations(Conv2D(**CONFIG), x)


def test_activations_and_unknown_batches():
    images = keras.Input((8, 8, 32))
    config = {**CONFIG, "activation": "relu", "dtype": "mixed_bfloat16"}
    y = Conv2DTranspose(**config)(Conv2D(**config)(images))
    model = keras.Model(images, y)
    assert model.output_shape == (None, 8, 8, 34)
    assert np.min(tf.cast(model(normal(5, 8, 8, 32)), "float32")) == 0


def test_spectral_convolutions_have_them():
    layer = SpectralConv2D(**CONFIG, dtype="mixed_bfloat16")
    x = tf.constant(normal(3, 8, 8, 32), "float32")
    assert "Conv2DBackpropFilter" not in operations(layer, x)
