"""R3GAN: a relativistic loss, two gradient penalties, and nothing that theory does not need.

Source: Huang, Gokaslan, Kuleshov & Tompkin 2024, "The GAN is dead; long live the GAN! A modern
baseline GAN", arXiv:2501.05441; numbers that it leaves out are those of its official code.
"""

import functools
import math
from collections.abc import Iterator
from typing import ClassVar

import keras
import tensorflow as tf
from keras import layers

from kgan import losses
from kgan.checks import Bound, number, shape_of_images, whole
from kgan.errors import KganError
from kgan.layers import Downsample2D, GroupedConv2D, LeakyReLU, LearnedConstant, Upsample2D
from kgan.models.base.adversarial import output_dtype
from kgan.models.base.latent import LatentModel, label_input, one_hot
from kgan.models.dcgan import stages_of
from kgan.models.gan import GAN
from kgan.recipe.optimizers import CosineOfImages, half_cosine

SIDES = (16, 28, 32, 56, 64, 112, 128, 224, 256)
SLOPE = 0.2  # of the leaky rectifier
GROUP = 16  # channels that a grouped convolution mixes
EMBEDDING = 64  # dimensions in which a class is told


class _Network:
    """The parts that both networks are made of, `blocks` residual blocks in each."""

    def __init__(self, seeds: Iterator[int], blocks: int):
        self.seeds = seeds
        # Fixup: the sum over all blocks keeps its variance (appendix, "Fix-up initialization").
        self.gain = math.sqrt(2 / (1 + SLOPE**2)) * blocks**-0.25

    def linear(self, kind, *args, gain=1.0, use_bias=False, **kwargs):
        """A layer whose weights begin as N(0, gain² / inputs)."""
        normal = (gain**2, "fan_in", "untruncated_normal", next(self.seeds)) if gain else ()
        init = keras.initializers.VarianceScaling(*normal) if gain else "zeros"
        name = "depthwise_initializer" if kind is layers.DepthwiseConv2D else "kernel_initializer"
        return kind(*args, use_bias=use_bias, **{name: init}, **kwargs)

    def block(self, x):
        """Figure 3, right: 1x1 up, grouped 3x3, 1x1 down to 0, beside the identity."""
        y, channels, biased = x, x.shape[-1], {"gain": self.gain, "use_bias": True}
        most = 2 * channels // GROUP
        groups = max((n for n in range(1, most + 1) if not 2 * channels % n), default=1)
        for convolve in (
            self.linear(layers.Conv2D, 2 * channels, 1, **biased),
            self.linear(GroupedConv2D, 2 * channels, 3, padding="same", groups=groups, **biased),
        ):
            y = LeakyReLU(negative_slope=SLOPE)(convolve(y))  # (batch, …, 2 * channels)
        return layers.Add()([x, self.linear(layers.Conv2D, channels, 1, gain=0.0)(y)])

    def project(self, x, channels):
        """A 1x1 convolution, where the number of channels changes."""
        return x if x.shape[-1] == channels else self.linear(layers.Conv2D, channels, 1)(x)


@keras.saving.register_keras_serializable("kgan")
class R3GAN(GAN):
    """R3GAN (Huang et al. 2024): the relativistic loss with R1 and R2, on ResNeXt-like networks.

    The discriminator compares each image with a fake (equation 2); its gradient is held small at
    both (equations 4 and 5), on every step. Nothing is normalised; stages are resampled bilinearly.
    Learning rate, γ and half-life of the average go along cosines of the images seen.

    Args:
        image_shape: tuple (side, side, channels), side 4 or 7 times 2^n, from 16 to 256.
        latent_dim: int, dimensions of the latent.
        num_classes: int, number of classes of a conditional model. None for an unconditional one.
        width: int, channels next to the image; they double with every halving of the side.
        max_channels: int, the most that a stage has; officially 768.
        blocks: int, residual blocks a stage.
        gamma: float, weight γ of R1 + R2 at first; officially 2 for faces, 0.05 for CIFAR-10.
        final_gamma: float, γ at the end.
        decay_images: int, images after which rate, γ and half-life have reached their ends.
        ema_half_life: number of images that the half-life of the average grows to.
        **kwargs: `augment` and `seed` of `kgan.models.GAN`.

    Raises:
        ValueError: for another side or number of channels.

    Example:

    ```python
    model = kgan.models.R3GAN(image_shape=(28, 28, 1), gamma=1.0, final_gamma=0.1)
    model.compile()
    model.fit(kgan.data.dataset("tfds:fashion_mnist", image_shape=(28, 28, 1)), epochs=20)
    ```
    """

    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **LatentModel.ARGUMENTS,
        "image_shape": shape_of_images(SIDES),
        **dict.fromkeys(("latent_dim", "width", "max_channels"), whole(1, 1 << 14)),
        **dict.fromkeys(("gamma", "final_gamma"), number(0, 1e9)),
        "blocks": whole(1, 64),
        "decay_images": whole(1, 2**53),
    }
    COMMAND = "r3gan"
    COUNTS_IMAGES = ("decay_images",)

    share_fakes = False

    def __init__(
        self,
        image_shape=(64, 64, 3),
        latent_dim: int = 64,
        num_classes: int | None = None,
        width: int = 32,
        max_channels: int = 256,
        blocks: int = 1,
        gamma: float = 2.0,
        final_gamma: float = 0.2,
        decay_images: int = 20_000_000,
        ema_half_life: float | None = 500_000,
        **kwargs,
    ):
        if "loss" in kwargs:
            received = f"Received: loss={kwargs['loss']!r}"
            raise KganError(f"Expected no loss beside R3GAN's own. {received}")
        arguments = {"num_classes": num_classes, "width": width, "max_channels": max_channels}
        arguments |= {"blocks": blocks, "gamma": gamma, "final_gamma": final_gamma}
        arguments |= {"decay_images": decay_images, "ema_half_life": ema_half_life}
        super().__init__(image_shape, latent_dim, loss="relativistic", **arguments, **kwargs)

    def _stages(self) -> list[int]:
        """Channels of the stages, from the lowest resolution up."""
        doublings = range(stages_of(self.image_shape[0])[1], -1, -1)
        return [min(self.max_channels, self.width << k) for k in doublings]

    def build_generator(self) -> keras.Model:
        """Latents (batch, latent_dim), and labels, to images."""
        stages = self._stages()
        make = _Network(self.initial_seeds("generator"), self.blocks * len(stages))
        side = stages_of(self.image_shape[0])[0]
        x = latents = network_inputs = keras.Input((self.latent_dim,), name="latents")
        if self.num_classes is not None:
            labels = label_input()
            told = make.linear(layers.Dense, EMBEDDING)(one_hot(labels, self.num_classes))
            x, network_inputs = layers.Concatenate()([latents, told]), [latents, labels]
        x = layers.Reshape((1, 1, stages[0]))(make.linear(layers.Dense, stages[0])(x))
        x = layers.Multiply()([x, LearnedConstant(side, stages[0], next(make.seeds))(latents)])
        for stage, channels in enumerate(stages):  # (batch, side * 2**stage, …, channels)
            if stage:
                x = Upsample2D()(make.project(x, channels))
            for _ in range(self.blocks):
                x = make.block(x)
        to_image = make.linear(layers.Conv2D, self.image_shape[2], 1, dtype=output_dtype())
        return keras.Model(network_inputs, to_image(x), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Images, and labels, to logits (batch, 1)."""
        stages = self._stages()[::-1]
        make = _Network(self.initial_seeds("discriminator"), self.blocks * len(stages))
        images = network_inputs = keras.Input(self.image_shape, name="images")
        x = make.linear(layers.Conv2D, stages[0], 1)(images)
        for stage, channels in enumerate(stages):  # (batch, side / 2**stage, …, channels)
            if stage:
                x = make.project(Downsample2D()(x), channels)
            for _ in range(self.blocks):
                x = make.block(x)
        gain = math.sqrt(x.shape[-1])  # an output has the inputs of one channel, not of all
        x = make.linear(layers.DepthwiseConv2D, x.shape[1], gain=gain)(x)
        outputs = 1 if self.num_classes is None else EMBEDDING
        logits = make.linear(layers.Dense, outputs, dtype=output_dtype(), name="logits")
        x = logits(layers.Flatten()(x))
        if self.num_classes is not None:
            labels = label_input()
            embed = make.linear(layers.Dense, EMBEDDING, gain=EMBEDDING**-0.5)
            wanted = embed(one_hot(labels, self.num_classes))
            x, network_inputs = layers.Dot(1, dtype=output_dtype())([x, wanted]), [images, labels]
        return keras.Model(network_inputs, x, name="discriminator")

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam (0, 0.99) with 2e-4 to 5e-5; Keras has no schedule for the paper's second beta."""
        rates = (CosineOfImages(2e-4, 5e-5, self.decay_images) for _ in range(2))
        return tuple(keras.optimizers.Adam(rate, 0.0, 0.99, epsilon=1e-8) for rate in rates)

    def penalty(self, real, fakes, draws):
        """R1 + R2: ‖∇ D(x)‖² + ‖∇ D(G(z))‖² (equations 4 and 5)."""
        discriminate = functools.partial(self.discriminate, labels=real.labels, draws=draws)
        return losses.r1(discriminate, real.images) + losses.r2(discriminate, fakes.images)

    @property
    def penalty_weight(self):
        """γ / 2 after the images seen so far."""
        return 0.5 * half_cosine(self.gamma, self.final_gamma, self._share())

    def half_life(self):
        """Grows to `ema_half_life`, as the weights come to rest."""
        return half_cosine(0.0, self.ema_half_life, self._share())

    def _share(self):
        return tf.cast(self.images_seen, self.variable_dtype) / self.decay_images
