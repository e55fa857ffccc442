"""LeakyReLU, differentiated by what it gives."""

import keras
import tensorflow as tf

from kgan.checks import number


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """x where it is positive, elsewhere `slope` times x.

    The sign of a result is its argument's, so that the gradient needs no more than the result.
    TensorFlow's own keeps the argument, and could thus never compute a convolution, its bias and
    the rectifier in one operation while it trains.

    Args:
        x: float tensor of any shape.
        slope: positive, or 0.

    Returns:
        Tensor of the same shape and dtype.
    """

    @tf.custom_gradient
    def rectify(x):
        y = tf.nn.leaky_relu(x, slope)
        # The slope of the slope is 0. TensorFlow would carry these zeros back through the argument,
        # the very one that is not kept ("remapper failed"), wherever a penalty needs them.
        signs = tf.stop_gradient(y)
        return y, lambda dy: tf.raw_ops.LeakyReluGrad(gradients=dy, features=signs, alpha=slope)

    return rectify(tf.convert_to_tensor(x))


@keras.saving.register_keras_serializable("kgan")
class LeakyReLU(keras.layers.LeakyReLU):
    """`keras.layers.LeakyReLU`, faster to train after a convolution on a processor.

    Args:
        negative_slope: float from 0 to 1; what negative inputs are multiplied by.
        **kwargs: those of every Keras layer.

    Raises:
        ValueError: for another slope.

    Example:

    >>> kgan.layers.LeakyReLU(0.2)(x)   # of any shape
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs):
        super().__init__(number(0, 1).check("negative_slope", negative_slope), **kwargs)

    def call(self, inputs):
        """Multiplies negative inputs by the slope.

        Args:
            inputs: float tensor (batch, …), of any shape.

        Returns:
            Float tensor of the same shape.
        """
        return leaky_relu(inputs, self.negative_slope)

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return graph.inherited(self, x)
