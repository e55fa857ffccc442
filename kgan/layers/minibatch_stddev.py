"""Minibatch standard deviation."""

import keras
import tensorflow as tf

from kgan.checks import whole


@keras.saving.register_keras_serializable("kgan")
class MinibatchStddev(keras.layers.Layer):
    """Appends a channel that says how much the images of a group differ from one another.

    It lets a discriminator see that a generator has lost variety (Karras et al. 2018,
    arXiv:1710.10196, section 3): the standard deviation over the group of every feature at every
    place, averaged to one number. Groups are contiguous, so that a batch cut among replicas at
    multiples of the group size is what it would be on one device; the last may be smaller.

    Args:
        group_size: int, images in a group.

    Example:

    >>> kgan.layers.MinibatchStddev(4)(x)     # (batch, height, width, channels + 1)
    """

    def __init__(self, group_size: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.group_size = whole(1).check("group_size", group_size)

    def call(self, inputs):
        """Appends the channel.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, height, width, channels + 1); the last channel holds one number an
            image, the same for all images of a group.
        """
        _, height, width, channels = inputs.shape
        batch = tf.shape(inputs)[0]
        features = tf.cast(inputs, self.variable_dtype)  # float16 holds neither squares nor 1e-8
        features = tf.reshape(features, (-1, height * width * channels))
        # The mean over a group as a product with a matrix of shares, for any size of batch.
        group = tf.range(batch) // self.group_size
        same = tf.cast(group[:, None] == group[None, :], features.dtype)  # (batch, batch)
        share = same / tf.reduce_sum(same, axis=1, keepdims=True)
        centered = features - tf.matmul(share, features)
        variance = tf.matmul(share, tf.square(centered))
        stddev = tf.reduce_mean(tf.sqrt(variance + 1e-8), axis=1)  # (batch,)
        stddev = tf.cast(stddev, inputs.dtype)
        channel = tf.broadcast_to(stddev[:, None, None, None], (batch, height, width, 1))
        return tf.concat([inputs, channel], axis=3)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict:
        return {**super().get_config(), "group_size": self.group_size}
