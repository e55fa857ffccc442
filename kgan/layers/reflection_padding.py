"""Images that go on beyond their border."""

import keras
import tensorflow as tf

from kgan.checks import whole


@keras.saving.register_keras_serializable("kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Lets images go on mirrored at their border, so that convolutions see no black frame.

    The pixels at the border themselves stand there once (Johnson et al. 2016, arXiv:1603.08155,
    supplement; Zhu et al. 2017, arXiv:1703.10593, section 7.2).

    Args:
        padding: int, pixels at each of the four borders; sides must be longer than that.

    Example:

    >>> kgan.layers.ReflectionPadding2D(3)(x)     # (batch, height + 6, width + 6, channels)
    """

    def __init__(self, padding: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.padding = whole(0).check("padding", padding)

    def call(self, inputs):
        """Pads.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, height + 2 padding, width + 2 padding, channels).
        """
        both = (self.padding, self.padding)
        return tf.pad(inputs, ((0, 0), both, both, (0, 0)), "REFLECT")

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        one = [0, self.padding, self.padding, 0]
        return graph.op("Pad", x, graph.constant([*one, *one], "int64"), mode="reflect")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        sides = (None if side is None else side + 2 * self.padding for side in (height, width))
        return (batch, *sides, channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}
