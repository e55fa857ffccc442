"""Equalised learning rates."""

import keras
import numpy as np

from kgan.checks import FLAG, SEED, number, or_none
from kgan.layers.reparametrized import Reparametrized


class _Equalized(Reparametrized):
    """Mixed into a Keras layer: weights N(0, 1), scaled by the He constant whenever used."""

    def __init__(self, *args, learning_rate_multiplier: float = 1.0, seed: int | None = None, **kw):
        number(1e-9, 1e9).check("learning_rate_multiplier", learning_rate_multiplier)
        or_none(SEED).check("seed", seed)
        # Optimizers that normalise by the gradient's size move a weight of N(0, 1) as far in one
        # step as any other; the multiplier makes it smaller steps from equally larger weights.
        kw.setdefault(
            "kernel_initializer",
            keras.initializers.RandomNormal(0, 1 / learning_rate_multiplier, seed),
        )
        super().__init__(*args, **kw)
        self.learning_rate_multiplier = learning_rate_multiplier

    @property
    def kernel(self):
        return self._kernel * self._gain

    @property
    def _gain(self):
        fan_in = np.prod(self._kernel.shape[:-1])
        return float(self.learning_rate_multiplier / np.sqrt(fan_in))

    def express(self, graph, x) -> str:
        """What `call` computes, in a `kgan.graph.Graph`."""
        return graph.like(self, x, self._express_kernel(graph))

    def _express_kernel(self, graph):
        return graph.op("Mul", graph.weight(self._kernel), graph.constant(self._gain))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }


@keras.saving.register_keras_serializable("kgan")
class EqualizedDense(_Equalized, keras.layers.Dense):
    """`keras.layers.Dense` with an equalised learning rate.

    The kernel is stored as N(0, 1) and divided by √fan_in when it is used, so that under Adam
    all layers learn at the same relative speed (Karras et al. 2018, arXiv:1710.10196, section
    4.1).

    Args:
        units: int, and every other argument of `keras.layers.Dense`.
        learning_rate_multiplier: float, how fast the kernel learns relative to other layers; it
            does not change what the layer computes at first.
        scale_bias: bool, whether the bias learns as slowly, as in the official code of StyleGAN2.
        seed: int, of the initial kernel.

    Example:

    >>> kgan.layers.EqualizedDense(512, learning_rate_multiplier=0.01, scale_bias=True)(latents)
    """

    def __init__(self, *args, scale_bias: bool = False, **kwargs):
        FLAG.check("scale_bias", scale_bias)
        super().__init__(*args, **kwargs)
        self.scale_bias = scale_bias

    def call(self, inputs, training=None):
        """Multiplies by the scaled kernel, adds the bias, applies the activation.

        Args:
            inputs: float tensor (batch, ..., features).
            training: bool or None, as Keras' layer takes it; it changes nothing.

        Returns:
            Float tensor (batch, ..., units).
        """
        if not (self.scale_bias and self.use_bias):
            return super().call(inputs, training=training)
        x = keras.ops.matmul(inputs, self.kernel) + self.bias * self.learning_rate_multiplier
        return x if self.activation is None else self.activation(x)

    def express(self, graph, x) -> str:
        if not (self.scale_bias and self.use_bias):
            return super().express(graph, x)
        scale = graph.constant(float(self.learning_rate_multiplier))
        bias = graph.op("Mul", graph.weight(self.bias), scale)
        y = graph.op("Add", graph.op("MatMul", x, self._express_kernel(graph)), bias)
        return graph.activation(self.activation, y)

    def get_config(self) -> dict:
        return {**super().get_config(), "scale_bias": self.scale_bias}


@keras.saving.register_keras_serializable("kgan")
class EqualizedConv2D(_Equalized, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with an equalised learning rate; see `EqualizedDense`.

    Args:
        filters, kernel_size: ints, and every other argument of `keras.layers.Conv2D`.
        learning_rate_multiplier, seed: as for `EqualizedDense`.

    Example:

    >>> kgan.layers.EqualizedConv2D(64, 3, padding="same")(images)
    """

    def call(self, inputs):
        """Convolves with the scaled kernel, adds the bias, applies the activation.

        Args:
            inputs: float tensor (batch, height, width, channels).

        Returns:
            Float tensor (batch, new height, new width, filters), of the sides that `padding` and
            `strides` give.
        """
        gain = getattr(self.activation, "gain", None)
        if gain is None:
            return super().call(inputs)
        # gain · LeakyReLU(x) = LeakyReLU(gain · x): scaling the weights saves a pass over images.
        x = self.convolution_op(inputs, self.kernel * gain)
        if self.use_bias:
            x += self.bias * gain
        return self.activation.unscaled(x)
