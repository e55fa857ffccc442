"""Conditional GAN: images of the class that is asked for.

Sources: Mirza & Osindero 2014, "Conditional Generative Adversarial Nets", arXiv:1411.1784, for the
idea; Miyato & Koyama 2018, "cGANs with Projection Discriminator", arXiv:1802.05637, for the
default, on the spectrally normalised discriminator of Miyato et al. 2018, "Spectral Normalization
for Generative Adversarial Networks", arXiv:1802.05957.
"""

from collections.abc import Iterator
from typing import ClassVar

import keras
from keras import layers

from kgan.checks import Bound, one_of, or_none, shape_of_images, whole
from kgan.layers import (
    ConditionalBatchNormalization,
    LeakyReLU,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
)
from kgan.models import dcgan
from kgan.models.base.adversarial import output_dtype
from kgan.models.base.latent import label_input, one_hot
from kgan.models.gan import GAN


def projection_generator(
    image_shape, latent_dim: int, num_classes: int, width: int, seeds: Iterator[int]
) -> keras.Model:
    """DCGAN's generator, with batch normalisation that is conditional on the class."""
    latents, labels = keras.Input((latent_dim,), name="latents"), label_input()

    def normalize(x):
        return ConditionalBatchNormalization(num_classes)(x, labels)

    images = dcgan.upsample(latents, image_shape, width, dcgan.initializers(seeds), normalize)
    return keras.Model([latents, labels], images, name="generator")


def projection_discriminator(
    image_shape, num_classes: int, width: int, seeds: Iterator[int], normalized: bool
) -> keras.Model:
    """A linear output of the features, plus their product with a vector of the class.

    f(x, y) = ψ(φ(x)) + yᵀ V φ(x): equation 3 of Miyato & Koyama, with spectral normalisation of
    every layer if `normalized`.
    """
    images, labels = keras.Input(image_shape, name="images"), label_input()
    parts = _spectral_parts if normalized else _plain_parts
    features, linear, vectors = parts(images, labels, num_classes, width, seeds)
    projection = layers.Dot(axes=1, dtype=output_dtype())([features, vectors])
    logits = layers.Add(dtype=output_dtype())([linear, projection])
    return keras.Model([images, labels], logits, name="discriminator")


def _spectral_parts(images, labels, num_classes, width, seeds):
    """φ(x), ψ(φ(x)) and V y: φ halves the side as DCGAN does, with a second convolution at each."""

    def convolve(x, filters, kernel_size, strides):
        init = keras.initializers.GlorotUniform(next(seeds))
        x = SpectralConv2D(
            filters, kernel_size, strides, "same", kernel_initializer=init, seed=next(seeds)
        )(x)
        return LeakyReLU(negative_slope=0.1)(x)

    x = images
    for stage in range(dcgan.stages_of(images.shape[1])[1]):
        x = convolve(x, width * 2**stage, 4, 2)  # (batch, side / 2**stage, …, filters)
        x = convolve(x, width * 2**stage, 3, 1)
    # The sum over all places: of the mean, under spectral normalisation, little would be left.
    places = x.shape[1] * x.shape[2]
    x = layers.GlobalAveragePooling2D(dtype=output_dtype())(x)  # (batch, filters)
    features = layers.Rescaling(places, dtype=output_dtype(), name="features")(x)
    init = keras.initializers.GlorotUniform(next(seeds))
    linear = SpectralDense(
        1, kernel_initializer=init, seed=next(seeds), dtype=output_dtype(), name="logits"
    )(features)
    init = keras.initializers.GlorotUniform(next(seeds))
    vectors = SpectralEmbedding(
        num_classes,
        features.shape[-1],
        embeddings_initializer=init,
        seed=next(seeds),
        dtype=output_dtype(),
    )(labels)
    return features, linear, vectors


def _plain_parts(images, labels, num_classes, width, seeds):
    """The same with φ of DCGAN's discriminator, and without any normalisation."""
    init = dcgan.initializers(seeds)
    features = dcgan.downsample(images, width, init)
    linear = dcgan.linear_output(features, init)
    vectors = layers.Embedding(
        num_classes,
        features.shape[-1],
        embeddings_initializer=next(init),
        dtype=output_dtype(),
    )(labels)
    return features, linear, vectors


def concat_generator(
    image_shape, latent_dim: int, num_classes: int, width: int, seeds: Iterator[int]
) -> keras.Model:
    """DCGAN's generator on the latent and the class, one-hot, side by side."""
    latents, labels = keras.Input((latent_dim,), name="latents"), label_input()
    x = layers.Concatenate()([latents, one_hot(labels, num_classes)])
    images = dcgan.upsample(x, image_shape, width, dcgan.initializers(seeds))
    return keras.Model([latents, labels], images, name="generator")


def concat_discriminator(
    image_shape, num_classes: int, width: int, seeds: Iterator[int], normalized: bool
) -> keras.Model:
    """DCGAN's discriminator on the image and a plane for every class, 1 for the one it is."""
    images, labels = keras.Input(image_shape, name="images"), label_input()
    planes = layers.RepeatVector(image_shape[0] * image_shape[1])(one_hot(labels, num_classes))
    planes = layers.Reshape((*image_shape[:2], num_classes))(planes)
    x = layers.Concatenate()([images, planes])  # (batch, side, side, channels + num_classes)
    init = dcgan.initializers(seeds)
    normalize = dcgan.batch_normalization if normalized else None
    logits = dcgan.linear_output(dcgan.downsample(x, width, init, normalize), init)
    return keras.Model([images, labels], logits, name="discriminator")


@keras.saving.register_keras_serializable("kgan")
class ConditionalGAN(GAN):
    """Conditional GAN: both players are told the class (Mirza & Osindero 2014).

    By default it is told as in Miyato & Koyama 2018: the generator's batch normalisation scales
    and shifts by class, the discriminator adds the projection of its features on a vector of the
    class; it is spectrally normalised and plays by the hinge loss. The fakes' classes are drawn
    uniformly.

    Args:
        image_shape: tuple (side, side, channels), side among 16, 28, 32, 56, 64, 112 and 128.
        num_classes: int; labels are ints from 0 to num_classes - 1.
        latent_dim: int, dimensions of the latent.
        width: int, channels next to the image; they double with every halving of the side.
        conditioning: `"projection"`, or `"concat"` for the form of 2014: the class, one-hot,
            beside the input of both networks, which are DCGAN's.
        loss: name of a loss in `kgan.losses`. None for the hinge loss with projection, the
            non-saturating one with concatenation.
        r1_gamma: float, weight γ of R1; see `kgan.models.GAN`. With it the discriminator is
            DCGAN's without any normalisation, in whose place R1 keeps its slope in check.
        r1_interval, r2, ema_half_life, augment, seed: see `kgan.models.GAN`.

    Raises:
        ValueError: for another side, number of channels or conditioning.

    Example:

    ```python
    model = kgan.models.ConditionalGAN(image_shape=(28, 28, 1), num_classes=10)
    model.compile()
    model.fit(kgan.data.dataset("tfds:mnist", image_shape=(28, 28, 1)), epochs=20)
    sevens = model.sample(16, seed=0, labels=7)
    ```
    """

    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **GAN.ARGUMENTS,
        "image_shape": shape_of_images(dcgan.SIDES),
        "num_classes": whole(1, 100_000),
        "latent_dim": whole(1, 1 << 14),
        "conditioning": one_of("projection", "concat"),
        "loss": or_none(GAN.ARGUMENTS["loss"]),
    }
    COMMAND = "cgan"

    share_fakes = False

    def __init__(
        self,
        image_shape=(28, 28, 1),
        num_classes: int = 10,
        latent_dim: int = 128,
        width: int = 64,
        conditioning: str = "projection",
        loss: str | None = None,
        r1_gamma: float = 0.0,
        **kwargs,
    ):
        default = "hinge" if conditioning == "projection" else "non_saturating"
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            num_classes=num_classes,
            width=width,
            conditioning=conditioning,
            loss=default if loss is None else loss,
            r1_gamma=r1_gamma,
            **kwargs,
        )

    def build_generator(self) -> keras.Model:
        """Latents (batch, latent_dim) and labels (batch,) to images in [-1, 1]."""
        build = projection_generator if self.conditioning == "projection" else concat_generator
        seeds = self.initial_seeds("generator")
        return build(self.image_shape, self.latent_dim, self.num_classes, self.width, seeds)

    def build_discriminator(self) -> keras.Model:
        """Images in [-1, 1] and labels (batch,) to logits (batch, 1)."""
        projection = self.conditioning == "projection"
        build = projection_discriminator if projection else concat_discriminator
        seeds = self.initial_seeds("discriminator")
        return build(self.image_shape, self.num_classes, self.width, seeds, not self.r1_gamma)

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam 2e-4 with betas 0 and 0.9 (Miyato & Koyama, section 6); DCGAN's for concat."""
        betas = (0.0, 0.9) if self.conditioning == "projection" else (0.5, 0.999)
        return keras.optimizers.Adam(2e-4, *betas), keras.optimizers.Adam(2e-4, *betas)
