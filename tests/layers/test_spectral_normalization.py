"""Spectral normalisation against NumPy's singular values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.harness import TWO_REPLICAS

from kgan.layers import SpectralConv2D, SpectralDense, SpectralEmbedding
from layers.harness import LayerHarness, normal


class SpectralHarness(LayerHarness):
    plain: type  # Keras' own layer

    def stored(self, layer):
        return layer.trainable_weights[0].numpy()

    def matrix(self, layer):
        kernel = self.stored(layer)
        return kernel.reshape(-1, kernel.shape[-1])

    def converged(self, **more):
        layer = self.layer(**more)
        layer.singular_vector.assign(np.linalg.svd(self.matrix(layer))[2][0])
        return layer

    def test_value_is_that_of_keras_with_the_kernel_over_its_singular_value(self):
        layer, plain = self.converged(), self.plain(**self._plain_config(), dtype="float64")
        self.call(plain, *self.inputs)
        sigma = np.linalg.svd(self.matrix(layer))[1][0]
        plain.set_weights([self.stored(layer) / sigma, *layer.get_weights()[1:-1]])
        np.testing.assert_allclose(
            self.call(layer, *self.inputs), self.call(plain, *self.inputs), rtol=1e-11, atol=1e-13
        )

    def _plain_config(self):
        return {k: v for k, v in self.config.items() if k != "seed"}

    def test_one_power_iteration_in_a_training_call_and_none_in_inference(self):
        layer = self.layer()
        matrix, vector = self.matrix(layer), layer.singular_vector.numpy()
        before = [w.numpy() for w in layer.weights]
        self.call(layer, *self.inputs)
        for v, w in zip(before, layer.weights, strict=True):
            np.testing.assert_array_equal(v, w.numpy())
        self.call(layer, *self.inputs, training=True)
        expected = matrix.T @ matrix @ vector
        np.testing.assert_allclose(
            layer.singular_vector.numpy(), expected / np.linalg.norm(expected), rtol=1e-12
        )
        for v, w in zip(before[:-1], layer.weights[:-1], strict=True):
            np.testing.assert_array_equal(v, w.numpy())

    def test_iterations_converge_to_the_singular_value(self):
        layer = self.layer()
        for _ in range(150):
            self.call(layer, *self.inputs, training=True)
        normalized = np.asarray(self.normalized(layer)).reshape(self.matrix(layer).shape)
        np.testing.assert_allclose(np.linalg.norm(normalized, 2), 1, rtol=1e-10)

    def normalized(self, layer):
        return layer.kernel

    def test_gradient_flows_through_the_singular_value(self):
        """Against finite differences of loss(W / svd(W)), which know nothing of u and v."""
        layer = self.converged()
        function, _ = self.differentiable(layer)
        with tf.GradientTape() as tape:
            value = function()
        gradient = tf.convert_to_tensor(tape.gradient(value, layer.trainable_weights[0].value))
        direction, step, stored = normal(*gradient.shape, seed=9), 1e-5, self.stored(layer)
        sides = []
        for sign in (1, -1):
            layer.trainable_weights[0].assign(stored + sign * step * direction)
            matrix = self.matrix(layer)
            layer.singular_vector.assign(np.linalg.svd(matrix)[2][0])
            sides.append(function().numpy())
        slope = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-7)

    @pytest.mark.parametrize("training", [False, True])
    def test_replicas_are_one_device(self, training):
        one = self.layer()
        with TWO_REPLICAS.scope():
            two = self.layer()
        expected = self.call(one, *self.inputs, training=training)

        @tf.function
        def run():
            return TWO_REPLICAS.run(lambda: self.call(two, *self.inputs, training=training))

        for y in TWO_REPLICAS.experimental_local_results(run()):
            np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
        for v, w in zip(one.weights, two.weights, strict=True):
            for copy in TWO_REPLICAS.experimental_local_results(w.value):
                np.testing.assert_allclose(copy, v.numpy(), rtol=1e-12)

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_large_kernels_do_not_overflow(self, policy):
        layer = self.layer(policy)
        layer.trainable_weights[0].assign(100 * self.stored(layer))
        for _ in range(20):
            y = self.call(layer, *self.inputs, training=True)
        normalized = tf.cast(self.normalized(layer), "float32")
        norm = np.linalg.norm(np.reshape(normalized, self.matrix(layer).shape), 2)
        assert np.isfinite(tf.cast(y, "float32")).all() and abs(norm - 1) < 0.01


class TestSpectralDense(SpectralHarness):
    kind, plain = SpectralDense, keras.layers.Dense
    config = {"units": 4, "activation": "tanh", "seed": 3}
    inputs = (normal(5, 6),)


class TestSpectralConv2D(SpectralHarness):
    kind, plain = SpectralConv2D, keras.layers.Conv2D
    config = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "seed": 3}


class TestSpectralEmbedding(SpectralHarness):
    kind, plain = SpectralEmbedding, keras.layers.Embedding
    config = {"input_dim": 6, "output_dim": 4, "seed": 3}
    inputs = (np.array([2, 0, 5, 2]),)

    def normalized(self, layer):
        return layer.embeddings

    def differentiable(self, layer):
        """A projection discriminator: products with features."""
        features = tf.Variable(normal(4, 4))

        def function():
            return tf.reduce_sum(tf.sin(features * layer(tf.constant(self.inputs[0]))))

        return function, [features]


def test_no_bias():
    layer = SpectralDense(4, use_bias=False, dtype="float64")
    layer(normal(5, 6))
    assert [w.name for w in layer.weights] == ["kernel", "singular_vector"]


def test_vector_starts_from_the_seed():
    layers = [SpectralDense(4, seed=s) for s in (1, 1, 2)]
    for layer in layers:
        layer.build((None, 6))
    a, b, c = (layer.singular_vector.numpy() for layer in layers)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_kernel_of_zeros_gives_zeros_and_learns():
    layer = SpectralDense(2, kernel_initializer="zeros", seed=1)
    inputs = np.ones((1, 3), "float32")
    for _ in range(2):
        np.testing.assert_array_equal(layer(inputs, training=True), np.zeros((1, 2)))
    layer._kernel.assign(np.eye(3, 2))
    for _ in range(20):
        outputs = layer(inputs, training=True)
    np.testing.assert_allclose(outputs, np.ones((1, 2)), rtol=1e-5)
