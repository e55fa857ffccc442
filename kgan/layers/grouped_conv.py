"""Grouped convolution, as fast as it can be on a CPU."""

import keras
import tensorflow as tf

from kgan.layers.convolution import Conv2D


@keras.saving.register_keras_serializable("kgan")
class GroupedConv2D(Conv2D):
    """`keras.layers.Conv2D` with `groups`, without the detour that Keras takes.

    Keras compiles a grouped convolution by XLA, since TensorFlow once had none on CPUs; its
    gradients are then some 60 times slower. Here each group is a convolution. Source: Xie et al.
    2017, "Aggregated Residual Transformations for Deep Neural Networks", arXiv:1611.05431, section
    3.3.

    Args:
        *args, **kwargs: those of `keras.layers.Conv2D`.

    Example:

    >>> kgan.layers.GroupedConv2D(64, 3, padding="same", groups=4)(x)
    """

    def convolution_op(self, inputs, kernel):
        # TensorFlow's own has gradients on a CPU in float32 alone, and where there is oneDNN.
        outputs = [
            tf.nn.conv2d(x, k, self.strides, self.padding.upper(), dilations=self.dilation_rate)
            for x, k in zip(
                tf.split(inputs, self.groups, axis=3),
                tf.split(kernel, self.groups, axis=3),
                strict=True,
            )
        ]
        return outputs[0] if self.groups == 1 else tf.concat(outputs, axis=3)
