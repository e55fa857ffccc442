"""pix2pix: images into images, learned from pairs.

Source: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
arXiv:1611.07004.
"""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import layers

from kgan import losses
from kgan.checks import Bound, number, shape_of_images, whole
from kgan.layers import Conv2D, Conv2DTranspose, LeakyReLU
from kgan.models.base.adversarial import Batch, output_dtype
from kgan.models.base.translation import TranslationModel
from kgan.models.dcgan import batch_normalization, initializers
from kgan.random import Draws

SIDES = (32, 64, 128, 256)
DROPOUT_STAGES = 3  # of the decoder, the innermost
PATCHES = (16, 34, 70)  # pixels that one logit sees, by strided convolutions but the first: 0, 1, 2
LOSS = losses.get("non_saturating")


@keras.saving.register_keras_serializable("kgan")
class Pix2Pix(TranslationModel):
    """pix2pix (Isola et al. 2017): a U-Net paints, a PatchGAN compares with what it was given.

    The generator G turns an image a into an image b. The discriminator D sees a beside b, the real
    one or G's, and judges each patch. G is to be taken for real, and to be near the real b in L1,
    which draws what is certain; D sees to what is not (equations 1 to 4). G's noise is dropout, in
    training alone: the same image gives the same pixels.

    Args:
        image_shape: tuple (side, side, channels) of a, side among 32, 64, 128 and 256.
        target_channels: int, channels of b. None for those of a.
        width: int, channels of both networks next to the image; they double with every halving.
        max_channels: int, the most that a stage has.
        l1_weight: float, λ of equation 4.
        dropout: float, share of features that G drops in the innermost three stages of its way up.
        **kwargs: `ema_half_life`, `augment` (of a and b alike) and `seed` of
            `kgan.models.base.adversarial.AdversarialModel`.

    Raises:
        ValueError: for another side or number of channels.

    Example:

    ```python
    model = kgan.models.Pix2Pix(image_shape=(64, 64, 1), target_channels=3)
    model.compile()
    model.fit(outlines, pictures, batch_size=16, epochs=20)   # (n, 64, 64, 1), (n, 64, 64, 3)
    painted = model.translate(outlines[:4])                   # (4, 64, 64, 3) uint8
    ```
    """

    PLAYERS: ClassVar[dict[str, tuple[str, ...]]] = {
        "g_optimizer": ("generator",),
        "d_optimizer": ("discriminator",),
    }
    AVERAGED = ("generator",)
    LOGS = ("d_loss", "g_loss", "l1_loss", "real_score", "fake_score")
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **TranslationModel.ARGUMENTS,
        "image_shape": shape_of_images(SIDES),
        **dict.fromkeys(("width", "max_channels"), whole(1, 1 << 14)),
        "l1_weight": number(0, 1e9),
        "dropout": number(0, 0.99),
    }
    COMMAND = "pix2pix"
    BATCH_SIZE = 16

    def __init__(
        self,
        image_shape=(64, 64, 3),
        target_channels: int | None = None,
        width: int = 64,
        max_channels: int = 512,
        l1_weight: float = 100.0,
        dropout: float = 0.5,
        **kwargs,
    ):
        super().__init__(
            image_shape,
            target_channels=target_channels,
            width=width,
            max_channels=max_channels,
            l1_weight=l1_weight,
            dropout=dropout,
            **kwargs,
        )
        with self.own_precision():
            self.add_networks(
                generator=self.build_generator(), discriminator=self.build_discriminator()
            )

    # The networks: section 6.1 of the paper.

    def build_generator(self) -> keras.Model:
        """A U-Net: a down to 1 x 1 and up to b, each stage up beside the stage down of its side."""
        init = initializers(self.initial_seeds("generator"))
        seeds = self.initial_seeds("generator", part=1)
        side = self.image_shape[0]
        stages = [min(self.max_channels, self.width << k) for k in range(side.bit_length() - 1)]
        x = images = keras.Input(self.image_shape, name="images")
        skipped = []
        for stage, filters in enumerate(stages):  # (batch, side / 2**(stage + 1), …, filters)
            # Of the one value of a channel at 1 x 1 normalisation would leave nothing.
            normalized = 0 < stage < len(stages) - 1
            x = _convolution(x, filters, init, 2, use_bias=not normalized)
            x = LeakyReLU(0.2)(batch_normalization(x) if normalized else x)
            skipped.append(x)
        for stage, filters in enumerate(reversed(stages[:-1])):
            x = Conv2DTranspose(
                filters, 4, 2, padding="same", use_bias=False, kernel_initializer=next(init)
            )(x)
            x = batch_normalization(x)
            if stage < DROPOUT_STAGES:
                x = layers.Dropout(self.dropout, seed=next(seeds))(x)
            x = layers.Concatenate()([layers.ReLU()(x), skipped[-2 - stage]])
        painted = Conv2DTranspose(
            self.target_shape[2],
            4,
            2,
            padding="same",
            activation="tanh",
            kernel_initializer=next(init),
            dtype=output_dtype(),
        )(x)
        return keras.Model(images, painted, name="generator")

    def build_discriminator(self) -> keras.Model:
        """A PatchGAN of a and b: a logit for each patch."""
        init = initializers(self.initial_seeds("discriminator"))
        a = keras.Input(self.image_shape, name="images")
        b = keras.Input(self.target_shape, name="targets")
        x = layers.Concatenate()([a, b])
        logits = patch_logits(
            x, self.image_shape[0], self.width, self.max_channels, init, batch_normalization
        )
        return keras.Model([a, b], logits, name="discriminator")

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam with a learning rate of 2e-4 and beta1 of 0.5 (section 3.3)."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5), keras.optimizers.Adam(2e-4, beta_1=0.5)

    # One step of training: section 3.3.

    def train_step(self, data) -> dict:
        """One update of D, then one of G by the same fakes.

        Args:
            data: pairs (a, b) of images.

        Returns:
            Dict of scalars: `d_loss` and `g_loss`, of the game alone; `l1_loss`, before its weight;
            and D's mean logits `real_score`, `fake_score`.
        """
        (a, b), draws = self.begin_step(data)
        fakes = self.generate_batch(a, draws)
        self.update_discriminator(a, b, fakes, draws)
        self.update_generator(a, b, fakes, draws)
        return self.end_step(draws, fakes)

    def generate_batch(self, a: Batch, draws: Draws) -> Batch:
        """G's images of a, in training, under the tape of their making."""
        with tf.GradientTape() as tape, draws:
            images = self.generator(a.images, training=True)
        return Batch(images, tape=tape)

    def discriminate(self, a, b, draws: Draws | None = None):
        """D's logits (batch, …), one a patch: in training augmented, else (no draws) plain."""
        training = draws is not None
        if training and self.augment is not None:
            a, b = (self.augment(x, d) for x, d in zip((a, b), draws.twins(), strict=True))
        logits = self.discriminator([a, b], training=training)
        return tf.cast(logits, self.variable_dtype)

    def update_discriminator(self, a: Batch, b: Batch, fakes: Batch, draws: Draws) -> None:
        """One step of D; half of its loss, which slows it down beside G (section 3.3)."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(a.images, b.images, draws)
            fake_logits = self.discriminate(a.images, tf.stop_gradient(fakes.images), draws)
            losses = LOSS.discriminator(real_logits, fake_logits)
            loss = self.d_optimizer.scale_loss(0.5 * self.global_mean(losses, draws))
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        self.log(d_loss=losses, real_score=real_logits)
        self.adapt_augment(real_logits, draws)

    def update_generator(self, a: Batch, b: Batch, fakes: Batch, draws: Draws) -> None:
        """One step of G: equation 4."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes.images)
            fake_logits = self.discriminate(a.images, fakes.images, draws)
            losses = LOSS.generator(None, fake_logits)
            distance = tf.abs(b.images - fakes.images)  # equation 3
            loss = self.global_mean(losses, draws)
            loss += self.l1_weight * self.global_mean(distance, draws)
            loss = self.g_optimizer.scale_loss(loss)
        outer = tape.gradient(loss, fakes.images)
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(fakes.tape.gradient(fakes.images, variables, outer), variables)
        self.log(g_loss=losses, l1_loss=distance, fake_score=fake_logits)

    def test_step(self, data) -> dict:
        """The losses on held-out pairs, of both networks in inference mode, not augmented."""
        a, b = self.unpack(data)
        draws = self.draws(a.images, self.images_tested, stream=1)
        fakes = self.generator(a.images, training=False)
        real_logits = self.discriminate(a.images, b.images)
        fake_logits = self.discriminate(a.images, fakes)
        self.images_tested.assign_add(tf.cast(draws.global_batch, tf.int64))
        self.log(
            d_loss=LOSS.discriminator(real_logits, fake_logits),
            g_loss=LOSS.generator(None, fake_logits),
            l1_loss=tf.abs(b.images - fakes),
            real_score=real_logits,
            fake_score=fake_logits,
        )
        return self.logs()


def patch_logits(x, side: int, width: int, max_channels: int, init, normalize):
    """A PatchGAN's logits (section 6.1.2): each of a patch, of 70 pixels, or of 34 or 16 that fit.

    Args:
        x: float tensor (batch, height, width, channels).
        side: int, the smaller of the sides that patches are to fit.
        width: int, channels of the first stage; they double with every halving.
        max_channels: int, the most that a stage has.
        init: iterator of initializers.
        normalize: function applied before each rectifier but the first.
    """
    strided = 1 + max(i for i, patch in enumerate(PATCHES) if patch < side)
    for stage in range(strided + 1):
        filters = min(max_channels, width << stage)
        strides = 2 if stage < strided else 1
        x = _convolution(x, filters, init, strides, use_bias=stage == 0)
        x = LeakyReLU(0.2)(normalize(x) if stage else x)
    return _convolution(x, 1, init, 1, dtype=output_dtype(), name="logits")


def _convolution(x, filters, init, strides, **more):
    return Conv2D(filters, 4, strides, padding="same", kernel_initializer=next(init), **more)(x)
