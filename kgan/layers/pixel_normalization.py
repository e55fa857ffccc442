"""Pixelwise feature vector normalisation."""

import keras
import tensorflow as tf

from kgan.checks import number


@keras.saving.register_keras_serializable("kgan")
class PixelNormalization(keras.layers.Layer):
    """Divides every feature vector by its root mean square.

    Karras et al. 2018 (arXiv:1710.10196), section 4.2; on latents it puts them on a sphere.

    Args:
        epsilon: float, added to the mean square.

    Example:

    >>> kgan.layers.PixelNormalization()(latents)      # any shape (..., channels)
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=1)
        self.epsilon = number(0, 1).check("epsilon", epsilon)

    def call(self, inputs):
        """Normalises over the last axis.

        Args:
            inputs: float tensor (..., channels).

        Returns:
            Float tensor of the shape of `inputs`.
        """
        x = tf.cast(inputs, self.variable_dtype)  # float16 holds neither squares nor epsilon
        mean_square = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        return tf.cast(x * tf.math.rsqrt(mean_square + self.epsilon), inputs.dtype)

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        mean_square = graph.op("ReduceMean", graph.op("Mul", x, x), axes=[-1], keepdims=1)
        norm = graph.op("Sqrt", graph.op("Add", mean_square, graph.constant(self.epsilon)))
        return graph.op("Div", x, norm)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "epsilon": self.epsilon}
