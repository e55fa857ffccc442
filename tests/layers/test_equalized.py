"""Equalised learning rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers import EqualizedConv2D, EqualizedDense
from layers.harness import LayerHarness, normal


class EqualizedHarness(LayerHarness):
    plain: type  # Keras' own layer
    fan_in: int

    def test_value_is_that_of_keras_with_the_kernel_scaled(self):
        layer, plain = self.layer(), self.plain(**self._plain_config(), dtype="float64")
        self.call(plain, *self.inputs)
        kernel, bias = layer.get_weights()
        plain.set_weights([kernel * 0.5 / np.sqrt(self.fan_in), bias])
        np.testing.assert_allclose(
            self.call(layer, *self.inputs), self.call(plain, *self.inputs), rtol=1e-12, atol=1e-14
        )

    def _plain_config(self):
        return {k: v for k, v in self.config.items() if k != "learning_rate_multiplier"}

    def test_multiplier_is_of_the_learning_rate_alone(self):
        def kernel(multiplier, steps):
            config = {**self.config, "learning_rate_multiplier": multiplier, "seed": 3}
            layer = self.kind(**config, dtype="float64")
            self.call(layer, *self.inputs)
            adam = keras.optimizers.Adam(0.1, epsilon=0.0)
            for _ in range(steps):
                adam.apply([normal(*layer._kernel.shape)], [layer._kernel])
            return np.asarray(layer.kernel)

        np.testing.assert_allclose(kernel(0.01, 0), kernel(1.0, 0), rtol=1e-12)
        for multiplier in (0.01, 1.0):  # Adam's first step is its learning rate, in float32
            moved = np.abs(kernel(multiplier, 1) - kernel(multiplier, 0))
            np.testing.assert_allclose(moved, 0.1 * multiplier / np.sqrt(self.fan_in), rtol=1e-5)

    def test_initial_kernel_is_the_seeds(self):
        layers = [self.kind(**{**self.config, "seed": s}) for s in (1, 1, 2)]
        for layer in layers:
            self.call(layer, *self.inputs)
        a, b, c = (np.asarray(layer.kernel) for layer in layers)
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    @pytest.mark.parametrize("multiplier", [0, -1.0])
    def test_bad_multiplier(self, multiplier):
        message = f"multiplier to be a number .*Received: learning_rate_multiplier={multiplier}$"
        with pytest.raises(ValueError, match=message):
            self.kind(**{**self.config, "learning_rate_multiplier": multiplier})


class TestEqualizedDense(EqualizedHarness):
    kind, plain = EqualizedDense, keras.layers.Dense
    config = {"units": 4, "learning_rate_multiplier": 0.5, "activation": "tanh"}
    inputs = (normal(5, 6),)
    fan_in = 6


class TestEqualizedConv2D(EqualizedHarness):
    kind, plain = EqualizedConv2D, keras.layers.Conv2D
    config = {
        "filters": 4,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same",
        "learning_rate_multiplier": 0.5,
    }
    fan_in = 3 * 3 * 3


def test_outputs_of_unit_variance_for_inputs_of_unit_variance():
    """2000 x 500 values of variance 1, four standard errors of which are 2.5%."""
    layer = EqualizedDense(500, seed=0, learning_rate_multiplier=0.01, dtype="float64")
    assert abs(np.var(layer(normal(2000, 100))) - 1) < 0.025


def test_a_bias_that_learns_as_slowly():
    options = {"bias_initializer": "ones", "activation": "tanh", "seed": 0, "dtype": "float64"}
    x, multiplier = normal(5, 6), 0.01
    layers = [
        EqualizedDense(4, learning_rate_multiplier=multiplier, scale_bias=scale, **options)
        for scale in (False, True)
    ]
    before = [np.arctanh(layer(x)) for layer in layers]
    np.testing.assert_allclose(before[0] - before[1], 1 - multiplier, rtol=1e-9)
    with tf.GradientTape(persistent=True) as tape:
        sums = [tf.reduce_sum(layer(x)) for layer in layers]
    same = [tape.gradient(s, layer.bias.value) for s, layer in zip(sums, layers, strict=True)]
    slope = [tf.reduce_sum(1 - layer(x) ** 2, 0) for layer in layers]
    np.testing.assert_allclose(same[0], slope[0], rtol=1e-9)
    np.testing.assert_allclose(same[1], multiplier * slope[1], rtol=1e-9)
    assert EqualizedDense.from_config(layers[1].get_config()).scale_bias


def test_no_bias():
    layer = EqualizedDense(4, use_bias=False, dtype="float64")
    x = normal(5, 6)
    expected = x @ layer(tf.eye(6, dtype="float64"))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12, atol=1e-14)
    assert len(layer.weights) == 1
