"""Noise inside a network."""

import keras
import tensorflow as tf

from kgan.checks import SEED, or_none
from kgan.random import Draws


@keras.saving.register_keras_serializable("kgan")
class NoiseInjection(keras.layers.Layer):
    """Adds one channel of Gaussian noise to all channels, as strongly as it learns to.

    It gives a generator its stochastic detail (Karras et al. 2019, arXiv:1812.04948, section
    3.2). In training every image gets noise of its own at every step: from the step's
    `kgan.random.Draws` inside a kgan model, so that runs can be resumed and replicas differ,
    otherwise from TensorFlow's global generator. In inference the noise is a stored constant:
    the same latent gives the same image.

    Args:
        seed: int, of the stored noise.

    Example:

    >>> kgan.layers.NoiseInjection(seed=0)(x, training=True)
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.seed = or_none(SEED).check("seed", seed)

    def build(self, input_shape):
        _, height, width, _ = input_shape
        self.strength = self.add_weight(shape=(), initializer="zeros", name="strength")
        self.constant = self.add_weight(
            shape=(height, width, 1),
            initializer=keras.initializers.RandomNormal(0, 1, self.seed),
            trainable=False,
            name="constant",
        )
        self.built = True

    def call(self, inputs, training=False):
        """Adds the noise.

        Args:
            inputs: float tensor (batch, height, width, channels).
            training: bool, whether each image gets noise of its own, or the stored constant.

        Returns:
            Float tensor of the shape of `inputs`.
        """
        noise = self.constant
        if training:
            _, *shape = self.constant.shape
            shape = (inputs.shape[1], *shape)
            draws = Draws.current()
            if draws is None:
                noise = tf.random.normal((tf.shape(inputs)[0], *shape), dtype=inputs.dtype)
            else:
                noise = draws.normal(shape, dtype=inputs.dtype)
        return inputs + self.strength * noise

    def express(self, graph, x) -> str:
        """What `call` computes in inference, in a `kgan.graph.Graph`."""
        noise = graph.op("Mul", graph.weight(self.strength), graph.weight(self.constant))
        return graph.op("Add", x, noise)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}
