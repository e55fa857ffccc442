"""Convolutions that halve and double sides, as fast in half precision as they can be."""

import keras
import tensorflow as tf

# Of the larger pictures: the sides up to which, and the channels from which the products below win.
_SIDE, _CHANNELS = 16, 32


class _Halving:
    """Mixed into a convolution of Keras': how it is differentiated by its kernel.

    In half precision a processor takes up to five times as long for TensorFlow's gradient as for
    the products that it amounts to, if the kernel is 4x4 and the stride 2, as in most GANs, and
    the pictures are small.
    """

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return graph.inherited(self, x)

    def _by_products(self, pictures, *operands) -> bool:
        """Whether these are used, for the shape of the larger pictures."""
        _, height, width, channels = pictures
        small = all(s is not None and s <= _SIDE for s in (height, width))
        return (
            all(tf.as_dtype(x.dtype).size == 2 for x in operands)
            and (small and channels >= _CHANNELS and self.data_format == "channels_last")
            and (self.kernel_size == (4, 4) and self.strides == (2, 2) and self.padding == "same")
            and getattr(self, "groups", 1) == 1
            and not tf.config.list_physical_devices("GPU")
        )


@keras.saving.register_keras_serializable("kgan")
class Conv2D(_Halving, keras.layers.Conv2D):
    """`keras.layers.Conv2D`, faster to train in bfloat16 where it halves the sides.

    Args:
        *args, **kwargs: those of `keras.layers.Conv2D`.

    Example:

    >>> kgan.layers.Conv2D(64, 4, strides=2, padding="same")(x)   # (batch, height, width, channels)
    """

    def call(self, inputs):
        """Convolves, adds the bias, applies the activation.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, new height, new width, filters).
        """
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        x, kernel = tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel)
        if self._by_products(x.shape, x, kernel):
            return _halve(x, kernel)
        return super().convolution_op(x, kernel)


@keras.saving.register_keras_serializable("kgan")
class Conv2DTranspose(_Halving, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, faster to train in bfloat16 where it doubles the sides.

    Args:
        *args, **kwargs: those of `keras.layers.Conv2DTranspose`.

    Example:

    >>> kgan.layers.Conv2DTranspose(64, 4, strides=2, padding="same")(x)   # twice the sides
    """

    def call(self, inputs):
        """Convolves, adds the bias, applies the activation.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, new height, new width, filters).
        """
        x, kernel = tf.convert_to_tensor(inputs), tf.convert_to_tensor(self.kernel)
        shape = self.compute_output_shape(x.shape)
        if self.output_padding is not None or not self._by_products(shape, x, kernel):
            return super().call(inputs)
        y = _double(x, kernel, shape[1:3])
        if self.use_bias:
            y += self.bias
        return y if self.activation is None else self.activation(y)


@tf.custom_gradient
def _halve(x, kernel):
    """(batch, ⌈height / 2⌉, ⌈width / 2⌉, outputs) of (batch, height, width, inputs)."""
    sides = x.shape[1:3]

    def gradient(dy):
        return _double(dy, kernel, sides), _kernel_gradient(x, dy)

    return tf.nn.conv2d(x, kernel, 2, "SAME"), gradient


def _double(x, kernel, sides):
    """The transpose: (batch, *sides, inputs) of (batch, …, …, outputs)."""

    @tf.custom_gradient
    def double(x, kernel):
        def gradient(dy):
            return _halve(dy, kernel), _kernel_gradient(dy, x)

        shape = (tf.shape(x)[0], *sides, kernel.shape[2])
        return tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME"), gradient

    return double(x, kernel)


def _kernel_gradient(larger, smaller):
    """Σ larger(2p + k) · smaller(p) over places p, for every place k of the 4x4 kernel.

    Args:
        larger: (batch, height, width, inputs).
        smaller: (batch, ⌈height / 2⌉, ⌈width / 2⌉, outputs).

    Returns:
        (4, 4, inputs, outputs).
    """
    (height, width, outputs), (*sides, inputs) = smaller.shape[1:], larger.shape[1:]
    # Blocks of 2x2 pixels as channels: of a kernel's place, two bits say which block it meets.
    padding = [
        (1, 2 * small + 1 - side) for small, side in zip((height, width), sides, strict=True)
    ]
    blocks = tf.nn.space_to_depth(tf.pad(larger, [(0, 0), *padding, (0, 0)]), 2)
    smaller = tf.reshape(smaller, (-1, outputs))
    products = [
        tf.matmul(
            tf.reshape(blocks[:, row : row + height, column : column + width], (-1, 4 * inputs)),
            smaller,
            transpose_a=True,
        )
        for row in (0, 1)
        for column in (0, 1)
    ]
    # (block row, block column, row in it, column in it, inputs, outputs)
    gradient = tf.reshape(tf.stack(products), (2, 2, 2, 2, inputs, outputs))
    return tf.reshape(tf.transpose(gradient, (0, 2, 1, 3, 4, 5)), (4, 4, inputs, outputs))
