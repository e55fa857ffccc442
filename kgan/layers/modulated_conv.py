"""Modulated convolution."""

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import FLAG, SEED, Bound, or_none, whole
from kgan.layers.equalized import EqualizedDense
from kgan.layers.resampling import express_smooth, smooth

_KERNEL_SIZE = Bound("1, 3 or 5", lambda v: whole(1, 5).fits(v) and v % 2 == 1)


@keras.saving.register_keras_serializable("kgan")
class ModulatedConv2D(keras.layers.Layer):
    """A convolution whose input channels are scaled by a style, for each image by its own.

    Karras et al. 2020 (arXiv:1912.04958), section 2.2: an affine map of the latent w gives a
    scale s for every input channel (equation 1); demodulation divides every output channel by
    the norm of its scaled kernel, which keeps activations at unit variance (equation 3). Scaling
    the input and the output around one shared convolution computes the same as a kernel for
    every image, at a fraction of the cost. The learning rate is equalised.

    Args:
        filters: int, output channels.
        kernel_size: 1, 3 or 5.
        demodulate: bool; off for layers that output images.
        upsample: bool, whether to double the side: a transposed convolution, smoothed by the
            [1, 3, 3, 1] filter.
        seed: int, of the initial kernels.

    Example:

    >>> layer = kgan.layers.ModulatedConv2D(64, 3, upsample=True)
    >>> y = layer(x, w)       # (batch, 2 height, 2 width, 64) from (batch, latent_dim) styles
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        demodulate: bool = True,
        upsample: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        whole(1).check("filters", filters)
        _KERNEL_SIZE.check("kernel_size", kernel_size)
        FLAG.check("demodulate", demodulate)
        FLAG.check("upsample", upsample)
        or_none(SEED).check("seed", seed)
        self.filters = filters
        self.kernel_size = kernel_size
        self.demodulate = demodulate
        self.upsample = upsample
        self.seed = seed

    def build(self, inputs_shape, styles_shape):
        channels = inputs_shape[-1]
        self.affine = EqualizedDense(
            channels,
            bias_initializer="ones",
            seed=None if self.seed is None else self.seed + 500_000,
            dtype=self.dtype_policy,
        )
        self.affine.build(styles_shape)
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=keras.initializers.RandomNormal(0, 1, self.seed),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.gain = float(1 / np.sqrt(self.kernel_size**2 * channels))
        self.built = True

    def call(self, inputs, styles):
        """Convolves each image with the kernel that its style scales.

        Args:
            inputs: float tensor (batch, height, width, channels).
            styles: float tensor (batch, features), what the affine map makes scales of.

        Returns:
            Float tensor (batch, height, width, filters); twice the sides if `upsample`.
        """
        styles = self.affine(styles)  # (batch, channels)
        kernel = tf.convert_to_tensor(self.kernel) * self.gain
        x = inputs * styles[:, None, None, :]
        x = self._upsampling(x, kernel) if self.upsample else tf.nn.conv2d(x, kernel, 1, "SAME")
        if self.demodulate:
            # The squared norm of image b's kernel for filter f: Σ_c s[b, c]² Σ_ij k[i, j, c, f]².
            # float16 holds neither squares nor 1e-8.
            scales, kernel = (tf.cast(y, self.variable_dtype) for y in (styles, kernel))
            energy = tf.matmul(tf.square(scales), tf.reduce_sum(tf.square(kernel), axis=(0, 1)))
            x *= tf.cast(tf.math.rsqrt(energy + 1e-8), x.dtype)[:, None, None, :]
        return x + self.bias

    def _upsampling(self, x, kernel):
        batch, (height, width) = tf.shape(x)[0], x.shape[1:3]
        more = self.kernel_size - 2  # than twice the side, until the filter cuts it off
        x = tf.nn.conv2d_transpose(
            x,
            tf.transpose(kernel, (0, 1, 3, 2)),
            (batch, 2 * height + more, 2 * width + more, self.filters),
            strides=2,
            padding="VALID",
        )
        # Zeros between the pixels hold three quarters of the plane: the filter's gain is 4.
        padding = (5 - self.kernel_size) // 2
        return smooth(x, (padding, padding), gain=4.0)

    def express(self, graph, x, styles) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        n, height, width, channels = x.shape
        styles = graph.call(self.affine, styles)  # (batch, channels)
        kernel = graph.op("Mul", graph.weight(self.kernel), graph.constant(self.gain))
        y = graph.op("Mul", x, graph.reshape(styles, (n, 1, 1, channels)))
        if self.upsample:
            # ONNX, as Keras, keeps the channels that come out before those that go in.
            swapped = graph.op("Transpose", kernel, perm=(0, 1, 3, 2))
            y = graph.transposed_convolution(y, swapped, (2, 2))
            padding = (5 - self.kernel_size) // 2
            y = express_smooth(graph, y, self.filters, [padding] * 4, gain=4.0)
        else:
            y = graph.convolution(y, kernel, pads=[self.kernel_size // 2] * 4)
        if self.demodulate:
            norms = graph.op(
                "ReduceSum",
                graph.op("Mul", kernel, kernel),
                graph.constant([0, 1], "int64"),
                keepdims=0,
            )
            energy = graph.op("MatMul", graph.op("Mul", styles, styles), norms)
            norm = graph.op("Sqrt", graph.op("Add", energy, graph.constant(1e-8)))
            y = graph.op("Div", y, graph.reshape(norm, (n, 1, 1, self.filters)))
        return graph.op("Add", y, graph.weight(self.bias))

    def compute_output_shape(self, inputs_shape, styles_shape):
        batch, height, width, _ = inputs_shape
        factor = 2 if self.upsample else 1
        return (batch, factor * height, factor * width, self.filters)

    def get_config(self) -> dict:
        config = super().get_config()
        for name in ("filters", "kernel_size", "demodulate", "upsample", "seed"):
            config[name] = getattr(self, name)
        return config
