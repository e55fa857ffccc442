"""What every layer must pass: name the class, a configuration and inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

MIXED = 0.03  # of the largest value: bfloat16 keeps 8 bits, a layer rounds a few times


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check_gradients(function, variables, step=1e-5, rtol=1e-6, atol=1e-8):
    """Each gradient of a float64 scalar, along a random direction, by central differences."""
    with tf.GradientTape() as tape:
        value = function()
    gradients = tape.gradient(value, variables)
    for i, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
        assert gradient is not None, variable.name
        direction = normal(*variable.shape, seed=100 + i)
        at = variable.numpy()
        variable.assign(at + step * direction)
        above = function().numpy()
        variable.assign(at - step * direction)
        below = function().numpy()
        variable.assign(at)
        slope = np.sum(tf.convert_to_tensor(gradient) * direction)
        np.testing.assert_allclose(
            slope, (above - below) / (2 * step), rtol=rtol, atol=atol, err_msg=variable.name
        )


def penalty(function, points):
    """Sum of squares of the gradient at the points."""
    with tf.GradientTape() as tape:
        value = function()
    return sum(tf.reduce_sum(tf.square(g)) for g in tape.gradient(value, points))


class LayerHarness:
    """What every layer must pass: subclass it as `Test…` with `kind`, `config` and `inputs`."""

    kind: type
    config: dict = {}
    training: dict = {}  # what a call takes when it is differentiated
    inputs = (normal(5, 6, 4, 3),)  # integers are labels

    def layer(self, dtype="float64", seed=1, **more):
        """Built, with weights drawn at random."""
        layer = self.kind(**{**self.config, **more}, dtype=dtype)
        self.call(layer, *self.inputs)
        for i, weight in enumerate(layer.trainable_weights):
            weight.assign(normal(*weight.shape, seed=1000 * seed + i))
        return layer

    def call(self, layer, *inputs, **kwargs):
        inputs = [tf.constant(x, self._dtype(x, layer.compute_dtype)) for x in inputs]
        return layer(*inputs, **kwargs)

    def differentiable(self, layer):
        """A scalar function of float64 variables that bends everywhere, and the variables."""
        inputs = [tf.Variable(x) for x in self.inputs]
        points = [x for x in inputs if x.dtype.is_floating]

        def function():
            y = layer(*[tf.convert_to_tensor(x) for x in inputs], **self.training)
            return tf.reduce_sum(tf.sin(y + normal(*y.shape, seed=7)))

        return function, points

    def model(self, seed):
        layer = self.layer("float32", seed=seed)
        inputs = [keras.Input(x.shape[1:], dtype=self._dtype(x)) for x in self.inputs]
        model = keras.Model(inputs, layer(*inputs))
        self.predict(model, training=True)  # moves what training moves
        return model

    def predict(self, model, **kwargs):
        return model([tf.constant(x, self._dtype(x)) for x in self.inputs], **kwargs)

    @staticmethod
    def _dtype(x, floats="float32"):
        return floats if x.dtype.kind == "f" else "int32"

    def test_gradients(self):
        layer = self.layer()
        function, points = self.differentiable(layer)
        check_gradients(function, points + [w.value for w in layer.trainable_weights])

    def test_gradients_of_the_squared_gradient(self):
        layer = self.layer()
        function, points = self.differentiable(layer)
        variables = points + [w.value for w in layer.trainable_weights]
        check_gradients(lambda: penalty(function, points), variables)

    def test_saved_model_is_equal_to_the_bit(self, tmp_path):
        model = self.model(seed=1)
        model.save(tmp_path / "m.keras")
        self._assert_equal(keras.saving.load_model(tmp_path / "m.keras"), model)

    def test_saved_weights_are_equal_to_the_bit(self, tmp_path):
        model, other = self.model(seed=1), self.model(seed=2)
        model.save_weights(tmp_path / "m.weights.h5")
        other.load_weights(tmp_path / "m.weights.h5")
        self._assert_equal(other, model)

    def _assert_equal(self, again, model):
        for w, v in zip(again.weights, model.weights, strict=True):
            np.testing.assert_array_equal(w.numpy(), v.numpy(), err_msg=v.path)
        np.testing.assert_array_equal(self.predict(again), self.predict(model))

    def test_config_is_the_whole_layer(self):
        layer = self.layer()
        again = self.kind.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert set(self.config) <= set(layer.get_config())
        expected = self.call(layer, *self.inputs)
        self.call(again, *self.inputs)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(self.call(again, *self.inputs), expected)

    def test_shape_is_known_before_the_call(self):
        assert self.model(1).output_shape[1:] == self.predict(self.model(1)).shape[1:]

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision(self, policy):
        layer, exact = self.layer(policy), self.layer("float32")
        assert {w.dtype for w in layer.weights} <= {"float32"}
        for kwargs in ({}, self.training):
            y = self.call(layer, *self.inputs, **kwargs)
            assert y.dtype == layer.compute_dtype
            expected = self.call(exact, *self.inputs, **kwargs).numpy()
            atol = MIXED * np.abs(expected).max()
            np.testing.assert_allclose(tf.cast(y, "float32"), expected, rtol=0, atol=atol)
