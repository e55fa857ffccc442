"""CycleGAN: images of one kind into another and back, learned without pairs.

Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
Networks", arXiv:1703.10593.
"""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import layers

from kgan import losses
from kgan.checks import MOST_SIDE, Bound, number, or_none, shape_of_images, whole
from kgan.errors import KganError
from kgan.layers import InstanceNormalization, ReflectionPadding2D
from kgan.models.base.adversarial import Batch, output_dtype
from kgan.models.base.translation import TranslationModel
from kgan.models.dcgan import initializers
from kgan.models.pix2pix import patch_logits
from kgan.random import Draws

HALVINGS = 2  # of the sides inside a generator
LEAST_SIDE = 5  # of images that are translated: 8 with what is mirrored, and 2 after the halvings
LOSS = losses.get("least_squares")  # half of the paper's, for both players


@keras.saving.register_keras_serializable("kgan")
class CycleGAN(TranslationModel):
    """CycleGAN (Zhu et al. 2017): two kinds of images, of which no two need belong together.

    G turns images a into images b, F images b into images a. The discriminators of a and of b tell
    them from real ones. What is turned and turned back is to be what it was: the cycle loss,
    without which any b would do for any a (equations 1 to 4). The networks are convolutions
    throughout, which take images of other sizes than they were trained on.

    Args:
        image_shape: tuple (height, width, channels) of a, sides a multiple of 4 and at least 20.
        target_channels: int, channels of b. None for those of a.
        width: int, channels of all networks next to the image.
        residual_blocks: int, of each generator. None for the paper's: 9 from 256 pixels on, else 6.
        cycle_weight: float, λ of equation 3.
        identity_weight: float, share of the cycle's weight that the identity loss has: a generator
            leaves what is of its kind as it is, colors above all (section 5.2). None for the
            paper's 0.5, or 0 where a and b differ in channels.
        translate_size: int, pixels of the shorter side that `kgan translate` gives pictures if it
            is not asked for others. None for those of `image_shape`.
        pool_size: int, fakes of the past that a discriminator is shown in place of new ones, half
            of the time; 0 for none.
        **kwargs: `ema_half_life`, `augment` and `seed` of
            `kgan.models.base.adversarial.AdversarialModel`.

    Raises:
        ValueError: for other sides, or an identity loss between images of different channels.

    Example:

    ```python
    model = kgan.models.CycleGAN(image_shape=(64, 64, 3), width=32)
    model.compile()
    model.fit(horses, zebras, batch_size=4, epochs=20)       # as many of each
    striped = model.translate(horses[:4], direction="a_to_b")
    ```
    """

    PLAYERS: ClassVar[dict[str, tuple[str, ...]]] = {
        "g_optimizer": ("generator_ab", "generator_ba"),
        "d_optimizer": ("discriminator_a", "discriminator_b"),
    }
    AVERAGED = ("generator_ab", "generator_ba")
    DIRECTIONS: ClassVar[dict[str, str]] = {"a_to_b": "generator_ab", "b_to_a": "generator_ba"}
    PAIRED = "no"
    LOGS = ("d_loss_a", "d_loss_b", "g_loss_ab", "g_loss_ba", "cycle_loss", "identity_loss")
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **TranslationModel.ARGUMENTS,
        "image_shape": Bound(
            "(height, width, channels) with 1 or 3 channels, sides a multiple of 4 from 20 on",
            lambda v: shape_of_images().fits(v) and all(n % 4 == 0 and n >= 20 for n in v[:2]),
        ),
        "width": whole(1, 1 << 14),
        "residual_blocks": or_none(whole(0, 64)),
        "cycle_weight": number(0, 1e9),
        "identity_weight": or_none(number(0, 1e9)),
        "translate_size": or_none(whole(LEAST_SIDE, MOST_SIDE)),
        "pool_size": whole(0, 1 << 14),
    }
    multiple = 1 << HALVINGS
    least_side = LEAST_SIDE
    COMMAND = "cyclegan"
    BATCH_SIZE = 4

    def __init__(
        self,
        image_shape=(64, 64, 3),
        target_channels: int | None = None,
        width: int = 64,
        residual_blocks: int | None = None,
        cycle_weight: float = 10.0,
        identity_weight: float | None = None,
        translate_size: int | None = None,
        pool_size: int = 50,
        **kwargs,
    ):
        super().__init__(
            image_shape,
            target_channels=target_channels,
            width=width,
            residual_blocks=residual_blocks,
            cycle_weight=cycle_weight,
            identity_weight=identity_weight,
            translate_size=translate_size,
            pool_size=pool_size,
            **kwargs,
        )
        if self.identity_weight is None:
            self.identity_weight = 0.5 if self.target_shape == self.image_shape else 0.0
        if self.identity_weight and self.target_shape != self.image_shape:
            raise KganError(
                "Expected identity_weight=0 where a and b differ in channels. Received: "
                f"identity_weight={identity_weight}, {self.image_shape} and {self.target_shape}"
            )
        with self.own_precision():
            self.add_networks(
                **{
                    name: self.build_generator(name, *shapes)
                    for name, shapes in (
                        ("generator_ab", (self.image_shape, self.target_shape)),
                        ("generator_ba", (self.target_shape, self.image_shape)),
                    )
                },
                **{
                    name: self.build_discriminator(name, shape)
                    for name, shape in (
                        ("discriminator_a", self.image_shape),
                        ("discriminator_b", self.target_shape),
                    )
                },
            )
        if pool_size:  # state of the model, for what is resumed to go on with the same fakes
            dtype = self.variable_dtype
            self.pooled = self.add_state("pooled", "int64")
            self.pool_a = self.add_state("pool_a", dtype, (pool_size, *self.image_shape))
            self.pool_b = self.add_state("pool_b", dtype, (pool_size, *self.target_shape))

    @classmethod
    def more_values(cls, arguments: dict) -> int:
        """The pools are of a training: a preset begins with empty ones."""
        height, width, channels = arguments.get("image_shape", (64, 64, 3))
        both = channels + (arguments.get("target_channels") or channels)
        return arguments.get("pool_size", 50) * height * width * both

    # The networks: section 7.2 of the paper.

    def build_generator(self, name: str, takes, gives) -> keras.Model:
        """Two halvings, residual blocks, two doublings: images to images of any sides."""
        init = initializers(self.initial_seeds(name))
        blocks = self.residual_blocks
        if blocks is None:
            blocks = 9 if min(takes[:2]) >= 256 else 6
        images = keras.Input((None, None, takes[2]), name="images")
        x = _rectified(_padded_convolution(images, self.width, 7, init))
        for stage in range(1, HALVINGS + 1):
            filters = self.width << stage
            x = layers.Conv2D(
                filters, 3, 2, padding="same", use_bias=False, kernel_initializer=next(init)
            )(x)
            x = _rectified(x)
        for _ in range(blocks):
            y = _rectified(_padded_convolution(x, filters, 3, init))
            y = instance_normalization(_padded_convolution(y, filters, 3, init))
            x = layers.Add()([x, y])
        for stage in range(HALVINGS - 1, -1, -1):
            x = layers.Conv2DTranspose(
                self.width << stage,
                3,
                2,
                padding="same",
                use_bias=False,
                kernel_initializer=next(init),
            )(x)
            x = _rectified(x)
        x = _padded_convolution(
            x, gives[2], 7, init, use_bias=True, activation="tanh", dtype=output_dtype()
        )
        return keras.Model(images, x, name=name)

    def build_discriminator(self, name: str, shape) -> keras.Model:
        """A PatchGAN: a logit for each patch."""
        init = initializers(self.initial_seeds(name))
        images = keras.Input((None, None, shape[2]), name="images")
        logits = patch_logits(
            images, min(shape[:2]), self.width, 8 * self.width, init, instance_normalization
        )
        return keras.Model(images, logits, name=name)

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam with a learning rate of 2e-4 and beta1 of 0.5 (section 7.1 and the code)."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5), keras.optimizers.Adam(2e-4, beta_1=0.5)

    # One step of training: section 4.

    def train_step(self, data) -> dict:
        """One update of both generators, then one of both discriminators.

        Args:
            data: images (a, b), as many of each, which need not belong together.

        Returns:
            Dict of scalars: of the game `d_loss_a`, `d_loss_b`, `g_loss_ab` and `g_loss_ba`;
            `cycle_loss` and `identity_loss`, of both kinds together, before their weights.
        """
        (a, b), draws = self.begin_step(data)
        fake_a, fake_b = self.update_generators(a.images, b.images, draws)
        shown_a, shown_b = self.exchange(fake_a, fake_b, draws)
        self.update_discriminators((a.images, shown_a), (b.images, shown_b), draws)
        return self.end_step(draws, Batch(fake_a), Batch(fake_b))

    def update_generators(self, a, b, draws: Draws) -> tuple:
        """One step of both generators: equation 3. Returns the fakes of a and of b."""
        variables = self.variables_of("g_optimizer")
        with tf.GradientTape() as tape, draws:
            fakes, logs, loss = self._generator_losses(a, b, draws, training=True)
            loss = self.g_optimizer.scale_loss(loss)
        self.g_optimizer.apply(tape.gradient(loss, variables), variables)
        self.log(**logs)
        return fakes

    def _generator_losses(self, a, b, draws, training):
        """Fakes of a and of b, losses by name, and their weighted sum, this replica's share."""
        g, f = (lambda x, n=n: n(x, training=training) for n in self._generators)
        given = draws if training else None
        fake_b, fake_a = g(a), f(b)
        logs = {  # equation 1, as the paper's least squares: (D - 1)²
            "g_loss_ab": 2.0 * LOSS.generator(None, self.discriminate("b", fake_b, given)),
            "g_loss_ba": 2.0 * LOSS.generator(None, self.discriminate("a", fake_a, given)),
        }
        loss = sum(self.global_mean(value, draws) for value in logs.values())
        cycles = tf.abs(f(fake_b) - a), tf.abs(g(fake_a) - b)  # equation 2
        loss += self.cycle_weight * sum(self.global_mean(x, draws) for x in cycles)
        logs["cycle_loss"] = sum(map(_of_each_image, cycles))
        if self.identity_weight:
            same = tf.abs(f(a) - a), tf.abs(g(b) - b)  # section 5.2
            weight = self.identity_weight * self.cycle_weight
            loss += weight * sum(self.global_mean(x, draws) for x in same)
            logs["identity_loss"] = sum(map(_of_each_image, same))
        return (fake_a, fake_b), logs, loss

    @property
    def _generators(self):
        return self.generator_ab, self.generator_ba

    def discriminate(self, kind: str, images, draws: Draws | None = None):
        """Logits of the discriminator of `"a"` or `"b"`: augmented in training, else plain."""
        training = draws is not None
        if training and self.augment is not None:
            images = self.augment(images, draws=draws)
        network = self.discriminator_a if kind == "a" else self.discriminator_b
        return tf.cast(network(images, training=training), self.variable_dtype)

    def exchange(self, fake_a, fake_b, draws: Draws) -> tuple:
        """What the discriminators are shown: half of the time a past fake, once the pools are full.

        A fake that stands back takes the other's place in the pool (section 4, after Shrivastava et
        al. 2017, arXiv:1612.07828, section 2.3). All replicas hold the same pools.
        """
        if not self.pool_size:
            return fake_a, fake_b
        pools = (self.pool_a, fake_a), (self.pool_b, fake_b)
        shown = [self._exchanged(pool, fakes, draws) for pool, fakes in pools]
        self.pooled.assign(
            tf.minimum(self.pooled + tf.cast(draws.global_batch, tf.int64), self.pool_size)
        )
        return tuple(shown)

    def _exchanged(self, pool, fakes, draws):
        whole = draws.whole()
        fakes = self.gather_replicas(fakes)
        number = tf.shape(fakes)[0]
        full = self.pooled >= self.pool_size
        drawn = tf.cast(whole.uniform((), 0, self.pool_size), tf.int32)  # a place for each fake
        exchanged = full & (whole.uniform(()) < 0.5)
        places = tf.where(full, drawn, tf.cast(self.pooled, tf.int32) + tf.range(number))
        kept = exchanged | ~full
        # The last fake that is put in a place stays there: (places, fakes).
        puts = kept & (places == tf.range(self.pool_size)[:, None])
        last = tf.reduce_max(tf.where(puts, tf.range(number), -1), axis=1)
        past = tf.gather(pool, tf.minimum(places, self.pool_size - 1))
        shown = tf.where(exchanged[:, None, None, None], past, fakes)
        newer = tf.gather(fakes, tf.maximum(last, 0))
        pool.assign(tf.where((last >= 0)[:, None, None, None], newer, pool))
        return shown[draws.offset : draws.offset + draws.local_batch]

    def update_discriminators(self, a: tuple, b: tuple, draws: Draws) -> None:
        """One step of both discriminators; half of the paper's loss (section 7.1).

        Args:
            a, b: real images and fakes, of which no gradient flows into the generators.
            draws: of the step.
        """
        variables = self.variables_of("d_optimizer")
        logits, logs = [], {}
        with tf.GradientTape() as tape:
            for kind, (real, fakes) in (("a", a), ("b", b)):
                logits.append(self.discriminate(kind, real, draws))
                fake_logits = self.discriminate(kind, tf.stop_gradient(fakes), draws)
                logs[f"d_loss_{kind}"] = LOSS.discriminator(logits[-1], fake_logits)
            loss = sum(self.global_mean(value, draws) for value in logs.values())
            loss = self.d_optimizer.scale_loss(loss)
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        self.log(**logs)
        self.adapt_augment(tf.concat(logits, axis=-1) - LOSS.boundary, draws)

    def test_step(self, data) -> dict:
        """The losses on held-out images, of all networks in inference mode, not augmented."""
        a, b = (batch.images for batch in self.unpack(data))
        draws = self.draws(a, self.images_tested, stream=1)
        (fake_a, fake_b), logs, _ = self._generator_losses(a, b, draws, training=False)
        self.images_tested.assign_add(tf.cast(draws.global_batch, tf.int64))
        for kind, real, fakes in (("a", a, fake_a), ("b", b, fake_b)):
            logits = self.discriminate(kind, real), self.discriminate(kind, fakes)
            logs[f"d_loss_{kind}"] = LOSS.discriminator(*logits)
        self.log(**logs)
        return self.logs()


def instance_normalization(x):
    """Of each image and channel by itself, with nothing to learn (Ulyanov et al. 2016)."""
    return InstanceNormalization(1e-5)(x)


def _of_each_image(distances):
    return tf.reduce_mean(distances, axis=(1, 2, 3))


def _rectified(x):
    return layers.ReLU()(instance_normalization(x))


def _padded_convolution(x, filters, size, init, use_bias=False, **more):
    """A convolution that sees the image go on mirrored beyond its border."""
    x = ReflectionPadding2D(size // 2)(x)
    return layers.Conv2D(filters, size, use_bias=use_bias, kernel_initializer=next(init), **more)(x)
