"""Batch normalisation, as fast as it can be."""

import keras
import tensorflow as tf

_FUSED = ("bfloat16", "float16", "float32")  # what the operation takes, all with float32 statistics


@keras.saving.register_keras_serializable("kgan")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of images by the one operation that TensorFlow has for it.

    Keras composes it of seven, which took most of the time of a DCGAN that is not convolutions.
    Its gradient can be differentiated again, exactly, which Keras' cannot. Where the operation
    does not serve (statistics of several replicas, weights that are not float32), Keras' way is
    gone. Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1.

    Args:
        *args, **kwargs: those of `keras.layers.BatchNormalization`.

    Example:

    >>> kgan.layers.BatchNormalization()(x, training=True)     # (batch, height, width, channels)
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def call(self, inputs, training=None, mask=None):
        """Normalises by the statistics of the batch in training, by the moving ones otherwise.

        Args:
            inputs: float tensor (batch, ..., channels).
            training: bool.
            mask: see Keras.

        Returns:
            Float tensor of the shape of `inputs`.
        """
        x, channels = tf.convert_to_tensor(inputs), self.moving_mean.shape[0]
        fused = (
            (training and self.trainable)
            and (x.shape.rank == 4 and self.axis in (-1, 3) and x.dtype.name in _FUSED)
            and self.variable_dtype == "float32"
            and (mask is None and not self.synchronized)
            and not getattr(self, "renorm", False)  # Keras 3.10 has none
        )
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        scale = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones((channels,))
        offset = tf.convert_to_tensor(self.beta) if self.center else tf.zeros((channels,))
        y, mean, variance = _normalized(x, scale, offset, self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return y

    def express(self, graph, x) -> str:
        """What `call` computes in inference, in a `kgan.graph.Graph`."""
        return graph.inherited(self, x)


def _normalized(x, scale, offset, epsilon):
    """Images normalised by their own mean and variance, and these two."""

    @tf.custom_gradient
    def normalize(x, scale, offset):
        made = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
        )
        pixels = tf.cast(tf.size(x) // tf.shape(x)[3], tf.float32)
        unbiased = pixels / tf.maximum(pixels - 1.0, 1.0)  # as the operation gives it
        saved = made.reserve_space_1, made.reserve_space_2, made.reserve_space_3

        def gradient(dy, *_):  # the moving statistics have none
            return _gradients(dy, x, scale, saved, epsilon)

        return (made.y, made.batch_mean, made.batch_variance / unbiased), gradient

    return normalize(x, scale, offset)


def _gradients(dy, x, scale, saved, epsilon):
    """The gradients of a loss by images, scale and offset, given that by what was made of them."""

    @tf.custom_gradient
    def gradients(dy, x, scale):
        made = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=dy,
            x=x,
            scale=scale,
            reserve_space_1=saved[0],
            reserve_space_2=saved[1],
            reserve_space_3=saved[2],
            epsilon=epsilon,
        )

        def gradient(*outer):  # of second order: the operation has no gradient of its own
            with tf.GradientTape() as tape:
                tape.watch((dy, x, scale))
                written_out = _written_out(dy, x, scale, epsilon)
            return tape.gradient(written_out, (dy, x, scale), outer)

        return (made.x_backprop, made.scale_backprop, made.offset_backprop), gradient

    return gradients(dy, x, scale)


def _written_out(dy, x, scale, epsilon):
    """The gradients as algorithm 1 and the chain rule give them."""
    dtype, axes = x.dtype, (0, 1, 2)
    dy, x = tf.cast(dy, tf.float32), tf.cast(x, tf.float32)
    centered = x - tf.reduce_mean(x, axes)
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), axes) + epsilon)
    normal = centered * inverse
    d_scale, d_offset = tf.reduce_sum(dy * normal, axes), tf.reduce_sum(dy, axes)
    along = tf.reduce_mean(dy, axes) + normal * tf.reduce_mean(dy * normal, axes)
    return tf.cast(scale * inverse * (dy - along), dtype), d_scale, d_offset
