"""LeakyReLU, differentiated by what it gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers import LeakyReLU
from layers.harness import LayerHarness, normal

# Among them what a rectifier could take for another sign: zeros, and numbers that vanish times 0.2.
EDGES = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, np.inf, -np.inf])


class TestLeakyReLU(LayerHarness):
    kind = LeakyReLU
    config = {"negative_slope": 0.2}


def of_both_orders(layer, x, dy):
    """Values, gradients, and gradients by both of the sum of the gradients' cubes."""
    with tf.GradientTape() as outer:
        outer.watch([x, dy])
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
        first = inner.gradient(y, x, dy)
        penalty = tf.reduce_sum(first**3)
    second = outer.gradient(penalty, [x, dy], unconnected_gradients="zero")
    return [tf.cast(value, "float64").numpy() for value in (y, first, *second)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("slope", [0.2, 0.0, 1.0])
def test_all_is_bit_for_bit_keras(dtype, slope):
    x = tf.cast(np.concatenate([EDGES, normal(1000)]), dtype)
    dy = tf.cast(normal(*x.shape, seed=1), dtype)
    own, keras_own = (kind(slope, dtype=dtype) for kind in (LeakyReLU, keras.layers.LeakyReLU))
    for value, expected in zip(
        of_both_orders(own, x, dy), of_both_orders(keras_own, x, dy), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def gradients_features(function, *arguments):
    """The operations that all the LeakyReluGrads of a function's graph take signs from."""
    graph = tf.function(function).get_concrete_function(*arguments).graph

    def source(tensor):
        while tensor.op.type in ("Identity", "IdentityN", "StopGradient"):
            tensor = tensor.op.inputs[tensor.value_index]
        return tensor.op.type

    grads = [op for op in graph.get_operations() if op.type == "LeakyReluGrad"]
    return [source(grad.inputs[1]) for grad in grads]


def test_its_gradient_keeps_nothing_but_its_result():
    """So that a convolution, its bias and the rectifier can be one operation of TensorFlow's."""
    layer = LeakyReLU(0.2)

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x + 1.0)
        return tape.gradient(y, x)

    assert gradients_features(step, tf.ones((2, 3))) == ["LeakyRelu"]


def test_nor_does_a_penalty_on_its_gradient():
    """Else TensorFlow fuses nothing in the whole step, and says "remapper failed"."""
    layer = LeakyReLU(0.2)

    def step(x, weight):
        with tf.GradientTape() as outer:
            outer.watch(weight)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(layer(x @ weight) @ weight)
            penalty = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return outer.gradient(penalty, weight)

    assert set(gradients_features(step, tf.ones((2, 3)), tf.ones((3, 3)))) == {"LeakyRelu"}
