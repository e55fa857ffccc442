"""Normalisation of each image by itself."""

import keras
import tensorflow as tf

from kgan.checks import number

# TensorFlow adds up one by one, which loses digits; of more pixels, rows come first. It takes 20%
# longer.
_FEW = 1 << 14


@keras.saving.register_keras_serializable("kgan")
class InstanceNormalization(keras.layers.Layer):
    """Gives each channel of each image a mean of 0 and a variance of 1 (Ulyanov et al. 2016).

    Source: arXiv:1607.08022, without scale and offset. Of large images the means are exact, unlike
    those of `keras.layers.GroupNormalization`.

    Args:
        epsilon: float, added to the variance.

    Example:

    >>> kgan.layers.InstanceNormalization()(x)     # (batch, height, width, channels)
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.epsilon = number(0, 1).check("epsilon", epsilon)

    def call(self, inputs):
        """Normalises over height and width.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor of the shape of `inputs`.
        """
        x = tf.cast(inputs, self.variable_dtype)  # float16 holds neither squares nor epsilon
        x -= _mean(x)
        return tf.cast(x * tf.math.rsqrt(_mean(tf.square(x)) + self.epsilon), inputs.dtype)

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return graph.standardized(x, self.epsilon)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "epsilon": self.epsilon}


def _mean(x):
    sides = x.shape[1:3]
    if sides.is_fully_defined() and sides.num_elements() <= _FEW:
        return tf.reduce_mean(x, axis=(1, 2), keepdims=True)
    return tf.reduce_mean(tf.reduce_mean(x, axis=2, keepdims=True), axis=1, keepdims=True)
