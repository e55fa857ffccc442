"""DCGAN: deep convolutional GAN.

Source: Radford, Metz & Chintala 2015, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", arXiv:1511.06434.
"""

import math
from collections.abc import Iterator
from typing import ClassVar

import keras
import tensorflow as tf
from keras import layers

from kgan.checks import Bound, one_of, shape_of_images, whole
from kgan.layers import BatchNormalization, Conv2D, Conv2DTranspose, LeakyReLU
from kgan.models.base.adversarial import output_dtype
from kgan.models.gan import GAN

SIDES = (16, 28, 32, 56, 64, 112, 128)


def stages_of(side: int) -> tuple[int, int]:
    """The side at the bottom and the number of doublings from there: 64 -> (4, 4), 28 -> (7, 2)."""
    base = 7 if side % 7 == 0 else 4
    return base, (side // base).bit_length() - 1


def halvings(side: int) -> int:
    """How often a discriminator halves the side, rounded up, to 4: 64 -> 4, 28 -> 14, 7, 4 -> 3."""
    return math.ceil(math.log2(side / 4))


def batch_normalization(x):
    # Statistics of the global batch. On a single replica the same are computed more cheaply.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=replicas > 1)(x)


def initializers(
    seeds: Iterator[int], name: str = "dcgan"
) -> Iterator[keras.initializers.Initializer]:
    """The paper's N(0, 0.02), or He's N(0, 2 / inputs), each with a seed of its own."""
    if name == "he":
        return (keras.initializers.HeNormal(seed=seed) for seed in seeds)
    return (keras.initializers.RandomNormal(stddev=0.02, seed=seed) for seed in seeds)


def upsample(latents, image_shape, width: int, init, normalize=batch_normalization):
    """Project the latent, then double the side with strided transposed convolutions.

    Args:
        latents: float tensor (batch, latent_dim).
        image_shape: (side, side, channels).
        width: int, channels next to the image.
        init: iterator of initializers.
        normalize: function applied before each rectifier.

    Returns:
        Images (batch, side, side, channels) in [-1, 1].
    """
    side, _, channels = image_shape
    base, stages = stages_of(side)
    filters = width * 2 ** (stages - 1)
    x = layers.Dense(base * base * filters, use_bias=False, kernel_initializer=next(init))(latents)
    x = layers.Reshape((base, base, filters))(x)
    x = layers.ReLU()(normalize(x))
    for stage in range(1, stages):  # (batch, base * 2**stage, base * 2**stage, filters)
        filters = width * 2 ** (stages - 1 - stage)
        x = Conv2DTranspose(
            filters, 4, 2, padding="same", use_bias=False, kernel_initializer=next(init)
        )(x)
        x = layers.ReLU()(normalize(x))
    return Conv2DTranspose(
        channels,
        4,
        2,
        padding="same",
        activation="tanh",
        kernel_initializer=next(init),
        dtype=output_dtype(),
    )(x)


def downsample(images, width: int, init, normalize=None):
    """Halve the side with strided convolutions down to 4.

    Args:
        images: float tensor (batch, side, side, channels).
        width: int, channels next to the image.
        init: iterator of initializers.
        normalize: function applied before each rectifier but the first (section 3 of the paper).

    Returns:
        Features (batch, 4 * 4 * filters).
    """
    x = images
    for stage in range(halvings(images.shape[1])):  # (batch, side / 2**stage, …, filters)
        normalized = stage > 0 and normalize is not None
        x = Conv2D(
            width * 2**stage,
            4,
            2,
            padding="same",
            use_bias=not normalized,
            kernel_initializer=next(init),
        )(x)
        x = LeakyReLU(negative_slope=0.2)(normalize(x) if normalized else x)
    return layers.Flatten()(x)


def linear_output(features, init):
    """Logits (batch, 1) of features."""
    return layers.Dense(1, kernel_initializer=next(init), dtype=output_dtype(), name="logits")(
        features
    )


@keras.saving.register_keras_serializable("kgan")
class DCGAN(GAN):
    """Deep convolutional GAN (Radford et al. 2015): the original game between two conv nets.

    Strided convolutions instead of pooling, batch normalisation in both networks (not at G's
    output or D's input), ReLU in G, LeakyReLU of slope 0.2 in D, weights from N(0, 0.02). Kernels
    are 4 x 4, a multiple of the stride, which spares the 5 x 5 kernels' checkerboards.

    Args:
        image_shape: tuple (side, side, channels), side among 16, 28, 32, 56, 64, 112 and 128.
        latent_dim: int, dimensions of the latent.
        width: int, channels next to the image; they double with every halving of the side.
        r1_gamma: float, weight γ of R1; see `kgan.models.GAN`. With it D has no batch
            normalisation, under which no image has a gradient of its own to penalise.
        initializer: initial weights of D: `"dcgan"` for the paper's N(0, 0.02), `"he"` for
            N(0, 2 / inputs) (He et al. 2015, arXiv:1502.01852, equation 10), under which signals
            keep their size from layer to layer where nothing normalises them.
        **kwargs: `loss`, `r1_interval`, `r2`, `ema_half_life`, `augment` and `seed` of
            `kgan.models.GAN`.

    Raises:
        ValueError: for another side, number of channels or initializer.

    Example:

    ```python
    model = kgan.models.DCGAN(image_shape=(64, 64, 3), latent_dim=128, width=64)
    model.compile()
    model.fit(kgan.data.dataset("photos", image_shape=(64, 64, 3)), epochs=20)
    ```
    """

    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **GAN.ARGUMENTS,
        "image_shape": shape_of_images(SIDES),
        "latent_dim": whole(1, 1 << 14),
        "initializer": one_of("dcgan", "he"),
    }
    COMMAND = "dcgan"

    def __init__(
        self,
        image_shape=(64, 64, 3),
        latent_dim: int = 128,
        width: int = 64,
        r1_gamma: float = 0.0,
        initializer: str = "dcgan",
        **kwargs,
    ):
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            width=width,
            r1_gamma=r1_gamma,
            initializer=initializer,
            **kwargs,
        )

    def build_generator(self) -> keras.Model:
        """Latents (batch, latent_dim) to images in [-1, 1]."""
        latents = keras.Input((self.latent_dim,), name="latents")
        init = initializers(self.initial_seeds("generator"))
        images = upsample(latents, self.image_shape, self.width, init)
        return keras.Model(latents, images, name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images in [-1, 1] to logits (batch, 1)."""
        images = keras.Input(self.image_shape, name="images")
        init = initializers(self.initial_seeds("discriminator"), self.initializer)
        normalize = None if self.r1_gamma else batch_normalization
        features = downsample(images, self.width, init, normalize)
        return keras.Model(images, linear_output(features, init), name="discriminator")

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam with a learning rate of 2e-4 and beta1 of 0.5 (section 4 of the paper)."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5), keras.optimizers.Adam(2e-4, beta_1=0.5)
