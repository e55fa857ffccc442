"""The base class of every GAN, and the original one.

Source: Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661.
"""

import itertools

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan import augment as augmentation
from kgan import losses
from kgan.models.base import inputs
from kgan.models.base.differentiable import check_twice_differentiable
from kgan.models.base.steps import Examples, SteppingModel, add_gradients
from kgan.models.base.two_player import with_labels
from kgan.random import Draws


def output_dtype() -> str:
    """Of the last layer of a network: losses and pixels need full precision under any policy."""
    return keras.config.dtype_policy().variable_dtype


def label_input() -> keras.KerasTensor:
    """The labels that a network of a conditional model takes: int (batch,)."""
    return keras.Input((), dtype="int32", name="labels")


def one_hot(labels, num_classes: int):
    """Labels (batch,) as vectors (batch, num_classes)."""
    return layers.CategoryEncoding(num_classes, "one_hot")(labels)


def build_generator(image_shape, latent_dim: int, width: int, seed: int) -> keras.Model:
    """Two hidden layers of rectifiers: latents (batch, latent_dim) to images in [-1, 1]."""
    seeds = itertools.count(seed)
    latents = keras.Input((latent_dim,), name="latents")
    x = latents
    for _ in range(2):
        init = keras.initializers.GlorotUniform(next(seeds))
        x = layers.Dense(width, "relu", kernel_initializer=init)(x)  # (batch, width)
    init = keras.initializers.GlorotUniform(next(seeds))
    # The paper's output is a sigmoid on pixels in [0, 1]: half of tanh on pixels in [-1, 1].
    x = layers.Dense(
        int(np.prod(image_shape)), "tanh", kernel_initializer=init, dtype=output_dtype()
    )(x)
    return keras.Model(latents, layers.Reshape(image_shape)(x), name="generator")


def build_discriminator(image_shape, width: int, seed: int) -> keras.Model:
    """Two hidden maxout layers with dropout: images in [-1, 1] to logits (batch, 1)."""
    seeds = itertools.count(seed)
    images = keras.Input(image_shape, name="images")
    x = layers.Flatten()(images)
    for _ in range(2):
        init = keras.initializers.GlorotUniform(next(seeds))
        x = layers.Dense(width, kernel_initializer=init)(x)  # (batch, width)
        x = layers.Reshape((width // 5, 5))(x)
        x = layers.MaxPooling1D(5, data_format="channels_first")(x)  # (batch, width // 5, 1)
        x = layers.Dropout(0.5, seed=next(seeds))(layers.Flatten()(x))
    init = keras.initializers.GlorotUniform(next(seeds))
    logits = layers.Dense(1, kernel_initializer=init, dtype=output_dtype(), name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


@keras.saving.register_keras_serializable("kgan")
class GAN(SteppingModel):
    """Generative adversarial networks: a generator and a discriminator that train each other.

    The discriminator D learns to tell real images from generated ones, the generator G to make D
    take its own for real (Goodfellow et al. 2014, algorithm 1). With no networks given, they are
    the paper's fully connected ones; any two Keras models take their place.

    Every other GAN of kgan is a subclass that overrides `train_step`, or the part of it in which
    its paper differs: `generate`, `discriminate`, `penalty`, `update_discriminator`,
    `update_generator`.

    Args:
        image_shape: tuple (height, width, channels), with 1 or 3 channels.
        latent_dim: int, dimensions of the latent z ~ N(0, I). Taken from `generator` if given.
        generator: `keras.Model` from latents (batch, latent_dim) to images (batch, height, width,
            channels) in [-1, 1]. None for the paper's network.
        discriminator: `keras.Model` from images to logits (batch, 1), without a sigmoid. None for
            the paper's network.
        num_classes: int, for networks that take labels, int (batch,), as a second input. None
            for an unconditional model.
        width: int, hidden units of the paper's networks, a multiple of 5 (for maxout in fives).
        loss: name of an adversarial loss in `kgan.losses`.
        r1_gamma: float, weight γ of R1, a penalty on D's gradient at real images (Mescheder et al.
            2018, arXiv:1801.04406); 0 for none.
        r1_interval: int, steps between two computations of R1.
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

    share_fakes = True  # whether both updates of a step see the same
    # Of a subclass's `penalty`: its weight in D's loss, and the number of steps between two times
    # that it is computed (with a weight that is as many times larger).
    penalty_weight = 1.0
    penalty_interval = 1

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
        r1_interval: int = 16,
        ema_half_life: float | None = 10_000,
        augment=None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not r1_gamma >= 0:
            raise ValueError(f"Expected r1_gamma >= 0. Received: r1_gamma={r1_gamma!r}")
        inputs.check_int("r1_interval", r1_interval, 1)
        self.r1_gamma, self.r1_interval = r1_gamma, r1_interval
        if type(self).penalty is GAN.penalty:
            self.penalty_weight, self.penalty_interval = r1_gamma / 2, r1_interval
        elif r1_gamma:
            raise ValueError(
                f"Expected r1_gamma=0 of a {type(self).__name__}, which has a penalty of its own. "
                f"Received: r1_gamma={r1_gamma!r}"
            )
        if self._has_penalty:
            self._means["gradient_penalty"] = keras.metrics.Mean("gradient_penalty")
        if ema_half_life is not None and not ema_half_life > 0:
            raise ValueError(
                f"Expected ema_half_life > 0 images, or None. Received: {ema_half_life!r}"
            )
        self.image_shape = inputs.check_image_shape(image_shape)
        inputs.check_int("width", width, 1)
        inputs.check_int("seed", seed, 0)
        if num_classes is not None:
            inputs.check_int("num_classes", num_classes, 1)
        self.num_classes = num_classes
        self.width = width
        self.loss_name = loss
        self.ema_half_life = ema_half_life
        self.seed = seed
        self._adversarial_loss = losses.get(loss)
        self._users_networks = (generator is not None, discriminator is not None)
        if num_classes is not None and not all(self._users_networks):
            raise ValueError(
                "Expected two networks that take labels beside num_classes; without them see "
                f"kgan.models.ConditionalGAN. Received: num_classes={num_classes}"
            )

        if generator is None:
            self.latent_dim = 100 if latent_dim is None else latent_dim
            inputs.check_int("latent_dim", self.latent_dim, 1)
            generator = build_generator(self.image_shape, self.latent_dim, width, 1000 * seed)
        else:
            self.latent_dim = inputs.check_generator(
                generator, latent_dim, self.image_shape, num_classes
            )
        if discriminator is None:
            if width % 5:
                raise ValueError(f"Expected width to be a multiple of 5. Received: width={width}")
            discriminator = build_discriminator(self.image_shape, width, 1_000_003 + 1000 * seed)
        else:
            inputs.check_discriminator(discriminator, self.image_shape, num_classes)
        self.generator = generator
        self.discriminator = discriminator
        self.augment = augmentation.get(augment)
        self.ema_generator = generator
        if ema_half_life is not None:
            self.ema_generator = keras.models.clone_model(generator)
            self.ema_generator.trainable = False
            self.reset_ema()

        # The counters from which all randomness is drawn are weights, so that they are saved.
        self.images_seen = self.add_state("images_seen", "int64")
        self.images_tested = self.add_state("images_tested", "int64")
        self.diverged = self.add_state("diverged", "int64", shape=(3,))
        self.built = True

    @property
    def _has_penalty(self):
        return type(self).penalty is not GAN.penalty or self.r1_gamma > 0

    def preset_state(self) -> dict:
        """What presets hold beside the networks, for training to go on from there."""
        return {"images_seen": self.images_seen}

    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs) -> None:
        super().compile(g_optimizer, d_optimizer, **kwargs)
        if self._has_penalty:
            check_twice_differentiable(
                self.discriminate,
                self.discriminator.trainable_variables,
                self.image_shape,
                self.num_classes,
            )

    compile.__doc__ = SteppingModel.compile.__doc__

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
        fakes = self.forge(draws)
        self.update_discriminator(real, fakes, draws)
        if not self.share_fakes:
            fakes = self.forge(draws)
        self.update_generator(real, fakes, draws)
        return self.end_step(draws, fakes)

    def forge(self, draws: Draws) -> Examples:
        """Generated images, of uniformly drawn classes if the model is conditional."""
        labels = None if self.num_classes is None else draws.labels(self.num_classes)
        with tf.GradientTape() as tape, draws:
            images = self.generate(labels, draws)
        return Examples(images, labels, tape)

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

    def penalty(self, real: Examples, fakes: Examples, draws: Draws):
        """What D's loss gets besides: a value per example, times `penalty_weight`.

        Here R1 on real images, through the augmentation, if there is an `r1_gamma`. A subclass may
        have another. It is logged as `gradient_penalty`, without the weight.

        Example:

        ```python
        def penalty(self, real, fakes, draws):
            return kgan.losses.r2(lambda x: self.discriminate(x, fakes.labels, draws), fakes.images)
        ```
        """
        return losses.r1(lambda x: self.discriminate(x, real.labels, draws), real.images)

    def update_discriminator(self, real: Examples, fakes: Examples, draws: Draws) -> None:
        """One step of D on real and generated images."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(real.images, real.labels, draws)
            fake_logits = self.discriminate(tf.stop_gradient(fakes.images), fakes.labels, draws)
            losses = self._adversarial_loss.discriminator(real_logits, fake_logits)
            loss = self.d_optimizer.scale_loss(self.global_mean(losses, draws))
        gradients = tape.gradient(loss, variables)
        self.log(d_loss=losses, real_score=real_logits)
        if self._has_penalty:

            def weighted():
                values = self.penalty(real, fakes, draws)
                return self.penalty_weight * self.global_mean(values, draws), values

            values, more = self.lazy_gradients(
                weighted, self.penalty_interval, self.d_optimizer, variables
            )
            gradients = add_gradients(gradients, more)
            self.log(gradient_penalty=values)
        self.d_optimizer.apply(gradients, variables)
        if isinstance(self.augment, augmentation.AdaptiveAugment):
            mean_sign = self.sum_replicas(self.global_mean(tf.sign(real_logits), draws))
            self.augment.adapt(mean_sign, draws.global_batch)

    def update_generator(self, real: Examples, fakes: Examples, draws: Draws) -> None:
        """One step of G on images that it has made under their tape."""
        gradients = self.generator_gradients(real, fakes, draws)
        self.g_optimizer.apply(gradients, self.generator.trainable_variables)

    def generator_gradients(self, real: Examples, fakes: Examples, draws: Draws) -> list:
        """The gradients of G's loss by its trainable variables."""
        real_logits = None
        if self._adversarial_loss.relativistic:
            real_logits = self.discriminate(real.images, real.labels, draws)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes.images)
            fake_logits = self.discriminate(fakes.images, fakes.labels, draws)
            losses = self._adversarial_loss.generator(real_logits, fake_logits)
            loss = self.g_optimizer.scale_loss(self.global_mean(losses, draws))
        self.log(g_loss=losses, fake_score=fake_logits)
        outer = tape.gradient(loss, fakes.images)
        return fakes.tape.gradient(fakes.images, self.generator.trainable_variables, outer)

    def test_step(self, data) -> dict:
        """The losses on held-out images, of both networks in inference mode, not augmented."""
        real = self.unpack(data)
        draws = self.draws(real.images, self.images_tested, stream=1)
        labels = None if self.num_classes is None else draws.labels(self.num_classes)
        latents = draws.normal((self.latent_dim,))
        fakes = self.generator(with_labels(latents, labels), training=False)
        real_logits = self.discriminate(real.images, real.labels)
        fake_logits = self.discriminate(fakes, labels)
        self.images_tested.assign_add(tf.cast(draws.global_batch, tf.int64))
        return self.log(
            d_loss=self._adversarial_loss.discriminator(real_logits, fake_logits),
            g_loss=self._adversarial_loss.generator(real_logits, fake_logits),
            real_score=real_logits,
            fake_score=fake_logits,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            image_shape=list(self.image_shape),
            latent_dim=self.latent_dim,
            num_classes=self.num_classes,
            width=self.width,
            loss=self.loss_name,
            r1_gamma=self.r1_gamma,
            r1_interval=self.r1_interval,
            ema_half_life=self.ema_half_life,
            augment=augmentation.to_config(self.augment),
            seed=self.seed,
        )
        for name, users in zip(("generator", "discriminator"), self._users_networks, strict=True):
            if users:
                config[name] = keras.saving.serialize_keras_object(getattr(self, name))
        return config
