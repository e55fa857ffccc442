"""Batch normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.harness import TWO_REPLICAS

from kgan.layers import BatchNormalization
from layers.harness import LayerHarness, normal

CONFIG = {"momentum": 0.7, "epsilon": 0.01}


def both(dtype="float32", config=CONFIG, channels=3):
    """kgan's layer, and Keras' of the same weights in float64."""
    layers = (
        BatchNormalization(**config, dtype=dtype),
        keras.layers.BatchNormalization(**config, dtype="float64"),
    )
    for layer in layers:
        layer.build((None, None, None, channels))
        for i, weight in enumerate(layer.weights):
            weight.assign(np.abs(normal(channels, seed=i)))
    return layers


def operations(function):
    graph = tf.function(function).get_concrete_function().graph
    return {operation.type for operation in graph.get_operations()}


class TestBatchNormalization(LayerHarness):
    kind = BatchNormalization
    config = CONFIG
    training = {"training": True}


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("mixed_bfloat16", 0.02)])
@pytest.mark.parametrize("more", [{}, {"scale": False}, {"center": False}])
def test_one_operation_computes_what_keras_does(dtype, rtol, more):
    layer, plain = both(dtype, {**CONFIG, **more})
    x = tf.constant(2 + 3 * normal(5, 6, 4, 3), "float32")
    dy = normal(5, 6, 4, 3, seed=7)
    results = []
    for one in (layer, plain):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = one(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, "float64") * dy)
        gradients = tape.gradient(loss, [x, *one.trainable_variables])
        results.append([y, *gradients, one.moving_mean.value, one.moving_variance.value])
    for value, expected in zip(*results, strict=True):
        expected = np.asarray(tf.cast(expected, "float64"))
        atol = rtol * np.abs(expected).max()
        np.testing.assert_allclose(tf.cast(value, "float64"), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_half_precision_go_keras_way(dtype):
    layer, plain = BatchNormalization(dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)
    x = tf.constant(normal(5, 6, 4, 3), dtype)
    for one in (layer, plain):
        one(x, training=True)
    np.testing.assert_array_equal(layer(x, training=True), plain(x, training=True))


def test_it_is_one_operation():
    layer, _ = both()
    found = operations(lambda: layer(tf.ones((2, 4, 4, 3)), training=True))
    assert "FusedBatchNormV3" in found and "SquaredDifference" not in found


@pytest.mark.parametrize("training", [False, None])
def test_inference_is_keras(training):
    layer, plain = both()
    x = normal(5, 6, 4, 3)
    np.testing.assert_allclose(layer(x, training=training), plain(x), rtol=1e-5, atol=1e-6)


def test_frozen_it_uses_moving_statistics():
    layer, plain = both()
    layer.trainable = False
    x = normal(5, 6, 4, 3)
    np.testing.assert_allclose(layer(x, training=True), plain(x), rtol=1e-5, atol=1e-6)


def test_the_second_order_is_right():
    """By central differences of the squared gradient, which Keras' own way misses by far."""
    layer, _ = both()
    x = tf.Variable(normal(4, 3, 3, 3), dtype="float32")
    direction = tf.constant(normal(4, 3, 3, 3, seed=5), "float32")
    weights = tf.constant(normal(4, 3, 3, 3, seed=6), "float32")

    def squared():
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum(weights * tf.square(layer(x, training=True)))
        return tf.reduce_sum(tf.square(inner.gradient(loss, x)))

    variables = [x, *layer.trainable_variables]
    with tf.GradientTape() as outer:
        value = squared()
    found = outer.gradient(value, variables)
    for variable, gradient in zip(variables, found, strict=True):
        along = direction if variable is x else tf.constant(normal(3, seed=8), "float32")
        before, step = tf.identity(variable), 1e-2
        ends = []
        for sign in (1, -1):
            variable.assign(before + sign * step * along)
            ends.append(float(squared()))
        variable.assign(before)
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(tf.reduce_sum(gradient * along), slope, rtol=5e-3)


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 3), (2, 3, 4, 5, 3)])
def test_what_are_no_images_goes_keras_way(shape):
    layer, plain = BatchNormalization(**CONFIG), keras.layers.BatchNormalization(**CONFIG)
    x = normal(*shape).astype("float32")
    np.testing.assert_allclose(layer(x, training=True), plain(x, training=True), rtol=1e-6)


def test_replicas_share_their_statistics():
    x = normal(8, 4, 4, 3).astype("float32")
    with TWO_REPLICAS.scope():
        layer = BatchNormalization(**CONFIG, synchronized=True)
        layer.build(x.shape)

    @tf.function
    def run(data):
        return TWO_REPLICAS.run(lambda part: layer(part, training=True), args=(data,))

    dataset = TWO_REPLICAS.experimental_distribute_dataset(
        tf.data.Dataset.from_tensors(x).unbatch().batch(8)
    )
    y = np.concatenate(TWO_REPLICAS.experimental_local_results(run(next(iter(dataset)))))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=0.02)
