"""The original GAN, and the game that most others play by other rules.

Source: Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661.
"""

import warnings
from typing import ClassVar

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan import losses
from kgan._renamed import warn
from kgan.augment import AdaptiveAugment
from kgan.checks import FLAG, Bound, number, one_of, whole
from kgan.errors import KganError, KganWarning
from kgan.models.base.adversarial import Batch, add_gradients, output_dtype
from kgan.models.base.differentiable import check_twice_differentiable
from kgan.models.base.latent import LatentModel, with_labels
from kgan.models.base.networks import check_network
from kgan.random import Draws

R1_INTERVAL = 16  # steps


@keras.saving.register_keras_serializable("kgan")
class GAN(LatentModel):
    """Generative adversarial networks: a generator and a discriminator that train each other.

    The discriminator D learns to tell real images from generated ones, the generator G to make D
    take its own for real (Goodfellow et al. 2014, algorithm 1). With no networks given, they are
    the paper's fully connected ones; any two Keras models take their place.

    The GANs of other papers are subclasses, which override `build_generator` and
    `build_discriminator`, and `train_step` or the part of it in which their paper differs:
    `generate`, `discriminate`, `penalty`, `update_discriminator`, `update_generator`.

    Args:
        image_shape: tuple (height, width, channels), with 1 or 3 channels.
        latent_dim: int, dimensions of the latent z ~ N(0, I). Taken from `generator` if given.
        generator: `keras.Model` from latents (batch, latent_dim) to images (batch, height, width,
            channels) in [-1, 1]. None for the paper's network.
        discriminator: `keras.Model` from images to logits, without a sigmoid: (batch, 1), or of
            any shape (batch, …) with a logit for each patch of an image. None for the paper's
            network.
        num_classes: int, for networks that take labels, int (batch,), as a second input. None
            for an unconditional model.
        width: int, hidden units of the paper's networks, a multiple of 5 (for maxout in fives).
        loss: name of an adversarial loss in `kgan.losses`.
        r1_gamma: float, weight γ of R1, a penalty on D's gradient at real images (Mescheder et al.
            2018, arXiv:1801.04406); 0 for none.
        r1_interval: int, steps between two computations of R1.
        r2: bool, whether D's gradient at generated images is penalised too, by the same γ and as
            often: R1 + R2, as in R3GAN (Huang et al. 2024, arXiv:2501.05441). R1 alone leaves D
            as steep as it likes where no data are, and a young generator's images all are there.
        ema_half_life: number of images after which the moving average of the generator, which
            is what is sampled, has forgotten half of what it was; early on at most 5% of the
            images seen. None switches it off.
        augment: `kgan.augment.DiffAugment` or `AdaptiveAugment`, its description, or None.
        seed: int, of the initial weights and all randomness in training.

    Example:

    ```python
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype="uint8")
    model = kgan.models.GAN(image_shape=(28, 28, 1))
    model.compile()
    model.fit(images, batch_size=32)
    fakes = model.sample(16, seed=0)      # (16, 28, 28, 1) uint8
    ```
    """

    PLAYERS: ClassVar[dict[str, tuple[str, ...]]] = {
        "g_optimizer": ("generator",),
        "d_optimizer": ("discriminator",),
    }
    LOGS = ("d_loss", "g_loss", "real_score", "fake_score")
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **LatentModel.ARGUMENTS,
        "width": whole(1, 1 << 14),
        "loss": one_of(*losses.LOSSES),
        "r1_gamma": number(0, 1e9),
        "r1_interval": whole(1, 1 << 20),
        "r2": FLAG,
    }
    COMMAND = "gan"

    share_fakes = True  # whether both updates of a step see the same
    # Of a subclass's `penalty`: its weight in D's loss, and the number of steps between two times
    # that it is computed (with a weight that is as many times larger).
    penalty_weight = 1.0
    penalty_interval = 1
    # Whether it differentiates D, which then has to be differentiable twice.
    penalizes_gradient = True
    has_own_penalty = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.has_own_penalty = cls.penalty is not GAN.penalty

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim: int | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        num_classes: int | None = None,
        width: int = 1200,
        loss: str = "non_saturating",
        r1_gamma: float = 0.0,
        r1_interval: int = R1_INTERVAL,
        r2: bool = False,
        **kwargs,
    ):
        if latent_dim is None and generator is None:
            latent_dim = 100
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            num_classes=num_classes,
            width=width,
            loss=loss,
            r1_gamma=r1_gamma,
            r1_interval=r1_interval,
            r2=r2,
            **kwargs,
        )
        self.adversarial_loss = losses.get(loss)
        adapts = isinstance(self.augment, AdaptiveAugment) and not self.augment.is_held
        if adapts and not self.adversarial_loss.signed:
            warnings.warn(
                f"AdaptiveAugment finds its strength by the sign of D's outputs for data, which "
                f"says nothing under the loss {loss!r}, where only differences count: DiffAugment "
                "is of a fixed strength, and so is this with ramp_images=1e15",
                KganWarning,
                stacklevel=2,
            )
        if not self.has_own_penalty:
            self.penalty_weight, self.penalty_interval = r1_gamma / 2, r1_interval
        else:
            r1 = [("r1_gamma", r1_gamma, 0), ("r1_interval", r1_interval, R1_INTERVAL)]
            r1 += [("r2", r2, False)]
            for name, value, none in r1:
                if value != none:
                    raise KganError(
                        f"Expected {name}={none} of a {type(self).__name__}, which has a penalty "
                        f"of its own. Received: {name}={value!r}"
                    )
        if r2 and not self.has_penalty:
            raise KganError(
                f"Expected r1_gamma above 0, the weight of R1 and R2. Received: r1_gamma={r1_gamma}"
            )
        if self.has_penalty:
            self._means["gradient_penalty"] = keras.metrics.Mean("gradient_penalty")
        brought = {"generator": generator, "discriminator": discriminator}
        brought = {name: network for name, network in brought.items() if network is not None}
        self._check_brought(**brought)
        with self.own_precision():
            networks = {
                "generator": generator or self.build_generator(),
                "discriminator": discriminator or self.build_discriminator(),
            }
        self._check_classes([n for name, n in networks.items() if name not in brought])
        self.add_networks(tuple(brought), **networks)

    def _check_brought(self, generator=None, discriminator=None):
        """Refuses networks of the user that do not fit; takes `latent_dim` from the generator."""
        labels = [] if self.num_classes is None else [()]
        if generator is not None:
            shapes = [(None,), *labels]
            received = check_network("generator", generator, shapes, self.image_shape)
            (_, latent_dim), *_ = received
            if self.latent_dim not in (None, latent_dim):
                raise KganError(
                    f"Expected latent_dim={latent_dim}, as the generator has it. Received: "
                    f"latent_dim={self.latent_dim}"
                )
            self.latent_dim = latent_dim
        if discriminator is not None:
            shapes = [self.image_shape, *labels]
            check_network("discriminator", discriminator, shapes, (...,))

    def _check_classes(self, built):
        """Refuses classes that a network is not told."""
        if self.num_classes is not None and any(len(network.inputs) < 2 for network in built):
            raise KganError(
                "Expected two networks that take labels beside num_classes; without them see "
                f"kgan.models.ConditionalGAN. Received: num_classes={self.num_classes}"
            )

    @property
    def has_penalty(self) -> bool:
        """Whether D's loss has a penalty."""
        return self.has_own_penalty or self.r1_gamma > 0

    # The networks of 2014.

    def build_generator(self) -> keras.Model:
        """Two hidden layers of rectifiers: latents (batch, latent_dim) to images in [-1, 1]."""
        latents = keras.Input((self.latent_dim,), name="latents")
        init = self._glorot("generator")
        x = latents
        for _ in range(2):
            x = layers.Dense(self.width, "relu", kernel_initializer=next(init))(x)
        # The paper's output is a sigmoid on pixels in [0, 1]: half of tanh on pixels in [-1, 1].
        x = layers.Dense(
            int(np.prod(self.image_shape)),
            "tanh",
            kernel_initializer=next(init),
            dtype=output_dtype(),
        )(x)
        return keras.Model(latents, layers.Reshape(self.image_shape)(x), name="generator")

    def build_discriminator(self) -> keras.Model:
        """Two hidden maxout layers with dropout: images in [-1, 1] to logits (batch, 1)."""
        if self.width % 5:
            raise KganError(
                f"Expected width to be a multiple of 5, for maxout in fives. Received: {self.width}"
            )
        seeds = self.initial_seeds("discriminator")
        images = keras.Input(self.image_shape, name="images")
        x = layers.Flatten()(images)
        for _ in range(2):
            init = keras.initializers.GlorotUniform(next(seeds))
            x = layers.Dense(self.width, kernel_initializer=init)(x)  # (batch, width)
            x = layers.Reshape((self.width // 5, 5))(x)
            x = layers.MaxPooling1D(5, data_format="channels_first")(x)  # (batch, width // 5, 1)
            x = layers.Dropout(0.5, seed=next(seeds))(layers.Flatten()(x))
        init = keras.initializers.GlorotUniform(next(seeds))
        logits = layers.Dense(1, kernel_initializer=init, dtype=output_dtype(), name="logits")(x)
        return keras.Model(images, logits, name="discriminator")

    def _glorot(self, name):
        return map(keras.initializers.GlorotUniform, self.initial_seeds(name))

    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs) -> None:
        super().compile(g_optimizer, d_optimizer, **kwargs)
        if self.has_penalty and self.penalizes_gradient:
            # In training, as the penalty is; on replicas, which can't be told apart here, it is
            # looked at as in inference.
            alone = self.distribute_strategy.num_replicas_in_sync == 1
            draws = Draws(self.seed, 0, 2) if alone else None
            check_twice_differentiable(
                lambda images, labels=None: self.discriminate(images, labels, draws),
                self.discriminator.trainable_variables,
                self.image_shape,
                self.num_classes,
            )

    compile.__doc__ = LatentModel.compile.__doc__

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """The paper's optimizers of G and of D. 2014: SGD with momentum."""
        return keras.optimizers.SGD(0.1, momentum=0.5), keras.optimizers.SGD(0.1, momentum=0.5)

    # One step of training.

    def train_step(self, data) -> dict:
        """One update of each network: algorithm 1 of the paper, with k = 1.

        With `share_fakes` the generated images are made once and shown to both updates: D sees
        them as data, then G's gradient flows through the updated D.

        Args:
            data: `images` or `(images, labels)`; unconditional models ignore labels.

        Returns:
            Dict of scalars: `d_loss`, `g_loss` (both without penalties), and D's mean logits
            `real_score`, `fake_score`.
        """
        real, draws = self.begin_step(data)
        labels = self._labels_to_fake(real)
        fakes = self.generate_batch(draws, labels)
        self.update_discriminator(real, fakes, draws)
        if not self.share_fakes:
            fakes = self.generate_batch(draws, labels)
        self.update_generator(real, fakes, draws)
        return self.end_step(draws, fakes)

    def _labels_to_fake(self, real: Batch):
        """The classes of the data, where an image is compared with a fake; else None."""
        return real.labels if self.adversarial_loss.relativistic else None

    def generate_batch(self, draws: Draws, labels=None) -> Batch:
        """Generated images under the tape of their making.

        Args:
            draws: of the step.
            labels: int32 tensor (batch,), of a conditional model. None for classes drawn uniformly.
        """
        if labels is None and self.num_classes is not None:
            labels = draws.labels(self.num_classes)
        with tf.GradientTape() as tape, draws:
            # A generator of the user's may end in half precision.
            images = tf.cast(self.generate(labels, draws), self.variable_dtype)
        return Batch(images, labels, tape)

    def forge(self, draws: Draws) -> Batch:
        """`generate_batch` by its old name."""
        warn("forge()", "generate_batch()", stacklevel=3)
        return self.generate_batch(draws)

    def generate(self, labels, draws: Draws):
        """G's images (batch, height, width, channels) in training, of latents z ~ N(0, I)."""
        latents = draws.normal((self.latent_dim,))
        return self.generator(with_labels(latents, labels), training=True)

    def discriminate(self, images, labels=None, draws: Draws | None = None):
        """D's logits (batch, 1): in training of augmented images, else (no draws) of plain ones."""
        training = draws is not None
        if training and self.augment is not None:
            images = self.augment(images, draws=draws)
        logits = self.discriminator(with_labels(images, labels), training=training)
        return tf.cast(logits, self.variable_dtype)  # losses need full precision

    def penalty(self, real: Batch, fakes: Batch, draws: Draws):
        """The penalty added to D's loss: a value per example, before `penalty_weight`.

        Here R1 on real images, and with `r2` R2 on generated ones, through the augmentation, with
        a weight of `r1_gamma` / 2. A subclass may define another. It is logged as
        `gradient_penalty`.

        Example:

        ```python
        def penalty(self, real, fakes, draws):
            return kgan.losses.r2(lambda x: self.discriminate(x, fakes.labels, draws), fakes.images)
        ```
        """
        penalty = losses.r1(lambda x: self.discriminate(x, real.labels, draws), real.images)
        if self.r2:
            penalty += losses.r2(lambda x: self.discriminate(x, fakes.labels, draws), fakes.images)
        return penalty

    def update_discriminator(self, real: Batch, fakes: Batch, draws: Draws) -> None:
        """One step of D on real and generated images."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(real.images, real.labels, draws)
            fake_logits = self.discriminate(tf.stop_gradient(fakes.images), fakes.labels, draws)
            losses = self.adversarial_loss.discriminator(real_logits, fake_logits)
            loss = self.d_optimizer.scale_loss(self.global_mean(losses, draws))
        gradients = tape.gradient(loss, variables)
        self.log(d_loss=losses, real_score=real_logits)
        if self.has_penalty:

            def weighted():
                values = self.penalty(real, fakes, draws)
                return self.penalty_weight * self.global_mean(values, draws), values

            values, more = self.lazy_gradients(
                weighted, self.penalty_interval, self.d_optimizer, variables
            )
            gradients = add_gradients(gradients, more)
            self.log(gradient_penalty=values)
        self.d_optimizer.apply(gradients, variables)
        self.adapt_augment(real_logits - self.adversarial_loss.boundary, draws)

    def update_generator(self, real: Batch, fakes: Batch, draws: Draws) -> None:
        """One step of G on images that it has made under their tape."""
        gradients = self.generator_gradients(real, fakes, draws)
        self.g_optimizer.apply(gradients, self.generator.trainable_variables)

    def generator_gradients(self, real: Batch, fakes: Batch, draws: Draws) -> list:
        """The gradients of G's loss by its trainable variables."""
        real_logits = None
        if self.adversarial_loss.relativistic:
            real_logits = self.discriminate(real.images, real.labels, draws)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes.images)
            fake_logits = self.discriminate(fakes.images, fakes.labels, draws)
            losses = self.adversarial_loss.generator(real_logits, fake_logits)
            loss = self.g_optimizer.scale_loss(self.global_mean(losses, draws))
        self.log(g_loss=losses, fake_score=fake_logits)
        outer = tape.gradient(loss, fakes.images)
        return fakes.tape.gradient(fakes.images, self.generator.trainable_variables, outer)

    def test_step(self, data) -> dict:
        """The losses on held-out images, of both networks in inference mode, not augmented."""
        real = self.unpack(data)
        draws = self.draws(real.images, self.images_tested, stream=1)
        labels = self._labels_to_fake(real)
        if labels is None and self.num_classes is not None:
            labels = draws.labels(self.num_classes)
        latents = draws.normal((self.latent_dim,))
        fakes = self.generator(with_labels(latents, labels), training=False)
        fakes = tf.cast(fakes, self.variable_dtype)
        real_logits = self.discriminate(real.images, real.labels)
        fake_logits = self.discriminate(fakes, labels)
        self.images_tested.assign_add(tf.cast(draws.global_batch, tf.int64))
        self.log(
            d_loss=self.adversarial_loss.discriminator(real_logits, fake_logits),
            g_loss=self.adversarial_loss.generator(real_logits, fake_logits),
            real_score=real_logits,
            fake_score=fake_logits,
        )
        return self.logs(*GAN.LOGS)
