"""Resampling with the [1, 3, 3, 1] filter, which neither aliases nor makes checkerboards.

Source: Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", arXiv:1904.11486, and
Karras et al. 2019, arXiv:1812.04948, section 2.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import whole

_TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0
# Of a pixel and its neighbours, the taps that meet each of the 2x2 pixels that come of it when
# zeros are put between: (3, 3, 1, 4). Twice as fast to train by as a transposed convolution of
# every channel, which LiteRT has not.
_HALVES = 2.0 * np.array([[_TAPS[3], _TAPS[1], 0.0], [0.0, _TAPS[2], _TAPS[0]]])
_PHASES = np.einsum("pi,qj->ijpq", _HALVES, _HALVES).reshape(3, 3, 1, 4)


def smooth(x, padding: tuple[int, int], stride: int = 1, gain: float = 1.0):
    """Filters every channel of x with [1, 3, 3, 1] in both directions, zeros around.

    Args:
        x: float tensor (batch, height, width, channels).
        padding: zeros before and after, in both directions.
        stride: int, of the output.
        gain: float, of a constant input.
    """
    if stride > 1 and x.dtype.size < 4:
        return _smooth_by_matrices(x, padding, stride, gain)
    x = tf.pad(x, [[0, 0], padding, padding, [0, 0]])
    return tf.nn.depthwise_conv2d(x, _kernel(x, gain), [1, stride, stride, 1], "VALID")


def _smooth_by_matrices(x, padding, stride, gain):
    """The same by products: in bfloat16 TensorFlow's gradient of the other is ten times slower."""
    _, height, width, channels = x.shape
    rows, columns = (
        tf.constant(_matrix(side, padding, stride) * math.sqrt(gain), x.dtype)
        for side in (height, width)
    )
    x = tf.matmul(rows, tf.reshape(x, (-1, height, width * channels)))
    return tf.matmul(columns, tf.reshape(x, (-1, rows.shape[0], width, channels)))


def _matrix(side, padding, stride):
    """(new side, side): the taps of each new pixel."""
    before, after = padding
    filtered = np.zeros(((side + before + after - 4) // stride + 1, before + side + after))
    for row, taps in enumerate(filtered):
        taps[row * stride : row * stride + 4] = _TAPS
    return filtered[:, before : before + side]


def express_smooth(graph, x, channels: int, pads: list[int], stride: int = 1, gain: float = 1.0):
    """What `smooth` computes, in a `kgan.graph.Graph`."""
    kernel = express_kernel(graph, channels, gain)
    return graph.convolution(x, kernel, (stride, stride), pads, group=channels)


def express_kernel(graph, channels: int, gain: float) -> str:
    """The filter for every channel, (4, 4, 1, channels)."""
    taps = graph.constant(np.outer(_TAPS, _TAPS)[:, :, None, None] * gain)
    return graph.op("Expand", taps, graph.constant([1, 1, 1, channels], "int64"))


def _kernel(x, gain):
    taps = tf.constant(np.outer(_TAPS, _TAPS)[:, :, None, None] * gain, x.dtype)
    return tf.tile(taps, (1, 1, x.shape[-1], 1))  # (4, 4, channels, 1)


@keras.saving.register_keras_serializable("kgan")
class Blur2D(keras.layers.Layer):
    """Low-pass filter [1, 3, 3, 1] in both directions, in front of a strided convolution.

    Args:
        padding: int, zeros on all four sides; 2 makes a 3x3 convolution of stride 2 with
            `padding="valid"` halve an even side exactly.

    Example:

    >>> x = kgan.layers.Blur2D(2)(x)
    >>> x = keras.layers.Conv2D(64, 3, strides=2, padding="valid")(x)
    """

    def __init__(self, padding: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.padding = whole(0).check("padding", padding)

    def call(self, inputs):
        """Filters.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, height + 2 padding - 3, width + 2 padding - 3, channels).
        """
        return smooth(inputs, (self.padding, self.padding))

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return express_smooth(graph, x, x.shape[-1], [self.padding] * 4)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        more = 2 * self.padding - 3
        sides = (side if side is None else side + more for side in (height, width))
        return (batch, *sides, channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("kgan")
class Downsample2D(keras.layers.Layer):
    """Halves both sides after the [1, 3, 3, 1] filter.

    Example:

    >>> kgan.layers.Downsample2D()(x)     # (batch, height / 2, width / 2, channels)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        """Filters, and keeps every other pixel of each side.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, height // 2, width // 2, channels).
        """
        return smooth(inputs, (1, 1), stride=2)

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return express_smooth(graph, x, x.shape[-1], [1] * 4, stride=2)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(side and side // 2 for side in (height, width)), channels)


@keras.saving.register_keras_serializable("kgan")
class Upsample2D(keras.layers.Layer):
    """Doubles both sides: zeros between the pixels, then the [1, 3, 3, 1] filter.

    It is the transpose of `Downsample2D`, times 4, and equals linear interpolation.

    Example:

    >>> kgan.layers.Upsample2D()(x)       # (batch, 2 height, 2 width, channels)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        """Spreads the pixels and filters.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, 2 height, 2 width, channels).
        """
        _, height, width, channels = inputs.shape
        kernels = tf.tile(tf.constant(_PHASES, inputs.dtype), (1, 1, channels, 1))
        x = tf.nn.depthwise_conv2d(inputs, kernels, [1, 1, 1, 1], "SAME")
        # The last axis is (channels, 2, 2): the new rows and columns take their places.
        x = tf.transpose(tf.reshape(x, (-1, width, channels, 2, 2)), (0, 3, 1, 4, 2))
        return tf.reshape(x, (-1, 2 * height, 2 * width, channels))

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        channels = x.shape[-1]
        # (4, 4, outputs of a group, channels)
        kernel = express_kernel(graph, channels, 4.0)
        return graph.transposed_convolution(x, kernel, (2, 2), [1] * 4, group=channels)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(side and 2 * side for side in (height, width)), channels)
