"""A learned picture."""

import keras
import tensorflow as tf

from kgan.checks import SEED, or_none, whole


@keras.saving.register_keras_serializable("kgan")
class LearnedConstant(keras.layers.Layer):
    """A learned map of features, the same for every row of what it is called on.

    Generators start from it (Karras et al. 2019, arXiv:1812.04948, section 2).

    Args:
        side: int, height and width in pixels.
        channels: int.
        seed: int, of the initial values, N(0, 1).

    Example:

    >>> x = kgan.layers.LearnedConstant(4, 128)(latents)     # (batch, 4, 4, 128)
    """

    def __init__(self, side: int, channels: int, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.side = whole(1).check("side", side)
        self.channels = whole(1).check("channels", channels)
        self.seed = or_none(SEED).check("seed", seed)

    def build(self, input_shape):
        self.constant = self.add_weight(
            shape=(1, self.side, self.side, self.channels),
            initializer=keras.initializers.RandomNormal(0, 1, self.seed),
            name="constant",
        )
        self.built = True

    def call(self, inputs):
        """Repeats the map.

        Args:
            inputs: tensor (batch, …), of which only the size of the batch matters.

        Returns:
            Float tensor (batch, side, side, channels).
        """
        return tf.tile(self.constant, (tf.shape(inputs)[0], 1, 1, 1))

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return graph.repeat(graph.weight(self.constant), 3, x)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.side, self.side, self.channels)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(side=self.side, channels=self.channels, seed=self.seed)
        return config
