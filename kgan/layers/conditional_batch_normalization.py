"""Conditional batch normalisation."""

import keras
import tensorflow as tf

from kgan.checks import number, whole
from kgan.layers.batch_normalization import BatchNormalization


@keras.saving.register_keras_serializable("kgan")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalisation whose scale and offset are looked up by class.

    The way in which a generator learns of the class it is to draw (Dumoulin et al. 2017,
    arXiv:1610.07629, section 2.2; Miyato & Koyama 2018, arXiv:1802.05637, section 4). Statistics
    are those of the global batch, over all classes.

    Args:
        num_classes: int.
        momentum: float, of the moving statistics that are used in inference.
        epsilon: float, added to the variance.

    Example:

    >>> layer = kgan.layers.ConditionalBatchNormalization(num_classes=10)
    >>> y = layer(x, labels)      # (batch, height, width, channels), int (batch,)
    """

    def __init__(self, num_classes: int, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = whole(1).check("num_classes", num_classes)
        self.momentum = number(0, 1).check("momentum", momentum)
        self.epsilon = number(0, 1).check("epsilon", epsilon)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self.normalization = BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            center=False,
            scale=False,
            synchronized=replicas > 1,
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape, labels_shape):
        self.normalization.build(inputs_shape)
        shape = (self.num_classes, inputs_shape[-1])
        self.scales = self.add_weight(shape=shape, initializer="ones", name="scales")
        self.offsets = self.add_weight(shape=shape, initializer="zeros", name="offsets")
        self.built = True

    def call(self, inputs, labels, training=False):
        """Normalises a batch, then scales and moves each example as its class asks.

        Args:
            inputs: float tensor (batch, ..., channels).
            labels: int tensor (batch,).
            training: bool, whether to normalise by this batch's statistics, or the moving ones.

        Returns:
            Float tensor of the shape of `inputs`.
        """
        x = self.normalization(inputs, training=training)
        # A product, not a lookup: its gradient is dense and can be differentiated again.
        chosen = tf.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
        broadcast = (-1, *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
        scale = tf.reshape(tf.matmul(chosen, self.scales), broadcast)
        return x * scale + tf.reshape(tf.matmul(chosen, self.offsets), broadcast)

    def express(self, graph, x, labels) -> str:
        """What `call` computes in inference, in a `kgan.graph.Graph`."""
        n, channels = x.shape[0], x.shape[-1]
        y, sides = graph.normalization(self.normalization, x), [1] * (len(x.shape) - 2)
        scale, offset = (
            graph.reshape(graph.op("Gather", graph.weight(w), labels), (n, *sides, channels))
            for w in (self.scales, self.offsets)
        )
        return graph.op("Add", graph.op("Mul", y, scale), offset)

    def compute_output_shape(self, inputs_shape, labels_shape):
        return inputs_shape

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(num_classes=self.num_classes, momentum=self.momentum, epsilon=self.epsilon)
        return config
