"""The base class of every GAN, and the original one.

Source: Goodfellow et al. 2014, "Generative Adversarial Networks", arXiv:1406.2661.
"""

import itertools
from typing import NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan import augment as augmentation
from kgan import losses
from kgan.models import inputs
from kgan.models.differentiable import check_twice_differentiable
from kgan.models.two_player import TwoPlayerModel, with_labels
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


class Examples(NamedTuple):
    """What the discriminator is shown.

    Attributes:
        images: float tensor (batch, height, width, channels) in [-1, 1].
        labels: int32 tensor (batch,), or None for an unconditional model.
        tape: `tf.GradientTape` under which the generator made the images; None of real ones.
    """

    images: tf.Tensor
    labels: tf.Tensor | None = None
    tape: tf.GradientTape | None = None


@keras.saving.register_keras_serializable("kgan")
class GAN(TwoPlayerModel):
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
        ema_half_life: number of images after which the moving average of the generator, which
            is what is sampled, has forgotten half of what it was. None switches it off.
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

    share_fakes = True
    # Of `penalty`: its weight in D's loss, and the number of steps between two times that it is
    # computed (with a weight that is as many times larger).
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
        ema_half_life: float | None = 10_000,
        augment=None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
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
            self.latent_dim = self._check_generator(generator, latent_dim)
        if discriminator is None:
            if width % 5:
                raise ValueError(f"Expected width to be a multiple of 5. Received: width={width}")
            discriminator = build_discriminator(self.image_shape, width, 1_000_003 + 1000 * seed)
        else:
            self._check_discriminator(discriminator)
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
        self._seed_generators_inside = _seed_generators(self.generator, self.discriminator)
        self.built = True

    @property
    def _has_penalty(self):
        return type(self).penalty is not GAN.penalty

    def add_state(self, name: str, dtype: str = "float32", shape: tuple[int, ...] = ()):
        """A weight that starts at 0 and that the step sets, alike on all replicas."""
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def preset_state(self) -> dict:
        """What presets hold beside the networks, for training to go on from there."""
        return {"images_seen": self.images_seen}

    def _check_generator(self, generator, latent_dim):
        received = ([tuple(x.shape) for x in generator.inputs], generator.output_shape)
        labels = [] if self.num_classes is None else [(None,)]
        if (
            received[0][1:] != labels
            or len(received[0][0]) != 2
            or received[1][1:] != self.image_shape
        ):
            also = "" if self.num_classes is None else " and labels (batch,)"
            raise ValueError(
                f"Expected a generator from (batch, latent_dim){also} to (batch, "
                f"*{self.image_shape}). Received: one from {received[0]} to {received[1]}"
            )
        if latent_dim not in (None, received[0][0][1]):
            raise ValueError(
                f"Expected latent_dim={received[0][0][1]}, as the generator has it. Received: "
                f"latent_dim={latent_dim}"
            )
        return received[0][0][1]

    def _check_discriminator(self, discriminator):
        received = ([tuple(x.shape) for x in discriminator.inputs], discriminator.output_shape)
        labels = [] if self.num_classes is None else [(None,)]
        if (
            received[0][1:] != labels
            or received[0][0][1:] != self.image_shape
            or received[1][1:] != (1,)
        ):
            also = "" if self.num_classes is None else " and labels (batch,)"
            raise ValueError(
                f"Expected a discriminator from (batch, *{self.image_shape}){also} to logits "
                f"(batch, 1). Received: one from {received[0]} to {received[1]}"
            )

    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs) -> None:
        super().compile(g_optimizer, d_optimizer, **kwargs)
        if self._has_penalty:
            check_twice_differentiable(
                self.discriminate,
                self.discriminator.trainable_variables,
                self.image_shape,
                self.num_classes,
            )

    compile.__doc__ = TwoPlayerModel.compile.__doc__

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
        return self.end_step(draws)

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
        """What D's loss gets besides: a value per example, times `penalty_weight`. None here.

        It is logged as `gradient_penalty`, without the weight.

        Example:

        ```python
        def penalty(self, real, fakes, draws):
            return kgan.losses.r1(lambda x: self.discriminate(x, real.labels, draws), real.images)
        ```
        """
        return None

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
            gradients = [g + m for g, m in zip(gradients, more, strict=True)]
            self.log(gradient_penalty=values)
        self.d_optimizer.apply(gradients, variables)
        if isinstance(self.augment, augmentation.AdaptiveAugment):
            self.augment.adapt(
                self.sum_replicas(self.global_mean(tf.sign(real_logits), draws)),
                draws.global_batch,
            )

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

    # What the steps of all GANs are made of.

    def begin_step(self, data) -> tuple[Examples, Draws]:
        """The real examples of a training step, and its randomness."""
        real = self.unpack(data)
        draws = self.draws(real.images, self.images_seen)
        self.seed_layers(draws)
        return real, draws

    def end_step(self, draws: Draws) -> dict:
        """Moves the average, counts the images, returns the logs."""
        self.update_ema(draws.global_batch)
        self.images_seen.assign_add(tf.cast(draws.global_batch, tf.int64))
        return self.logs()

    def unpack(self, data) -> Examples:
        """Images as floats in [-1, 1] (uint8 is scaled here, on the device), and labels."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs.check_static(images.shape, images.dtype, self.image_shape)
        dtype = self.variable_dtype
        scaled = tf.cast(images, dtype)
        if images.dtype == tf.uint8:
            scaled = scaled / 127.5 - 1.0
        if self.num_classes is None:
            return Examples(scaled)
        inputs.check_labels(labels, self.num_classes)
        return Examples(scaled, tf.reshape(tf.cast(labels, tf.int32), (-1,)))

    def draws(self, images, counter, stream: int = 0) -> Draws:
        """This step's randomness, drawn for the global batch of which `images` is a slice."""
        local = images.shape[0] or tf.shape(images)[0]
        seed = 2 * self.seed + stream
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return Draws(seed, counter, local)
        # The last batch of a data set need not be cut evenly: ask every replica for its share.
        index = replicas.replica_id_in_sync_group
        share = tf.one_hot(index, replicas.num_replicas_in_sync, dtype=tf.float32)
        shares = replicas.all_reduce("SUM", share * tf.cast(local, tf.float32))
        shares = tf.cast(tf.round(shares), tf.int32)
        offset = tf.cumsum(shares, exclusive=True)[index]
        return Draws(seed, counter, local, tf.reduce_sum(shares), offset)

    def seed_layers(self, draws: Draws) -> None:
        """Sets the state of dropout and the like from the counter: Keras does not save it."""
        first_image = tf.cast(draws.counter, tf.int64) + tf.cast(draws.offset, tf.int64)
        for index, generator in enumerate(self._seed_generators_inside):
            state = tf.stack([tf.constant(self.seed * 256 + index, tf.int64), first_image * 256])
            generator.state.assign(tf.cast(state, generator.state.dtype))

    def lazy_gradients(self, function, interval: int, optimizer, variables) -> tuple:
        """Gradients of a penalty that is computed every `interval` steps only.

        A penalty that is so much heavier and so much rarer does the same at a fraction of the
        cost (Karras et al. 2020, arXiv:1912.04958, section 3.1).

        Args:
            function: of no arguments, gives the penalty's part of the loss, and values to report.
            interval: int; 1 for every step.
            optimizer, variables: of the network whose penalty it is.

        Returns:
            The values (none of them if the penalty was not due), and a gradient for each variable.
        """

        def due():
            with tf.GradientTape() as tape:
                loss, values = function()
                loss = optimizer.scale_loss(interval * loss)
            gradients = tape.gradient(loss, variables)
            pairs = zip(gradients, zeros(), strict=True)
            return values, [zero if g is None else g for g, zero in pairs]

        def not_due():
            return tf.zeros((0,), self.variable_dtype), zeros()

        def zeros():
            return [tf.zeros(v.shape, v.dtype) for v in variables]

        if interval == 1:
            return due()
        # Only gradients leave the conditional: an optimizer inside would fail under a strategy.
        return tf.cond(optimizer.iterations % interval == 0, due, not_due)

    def global_mean(self, per_example, draws: Draws):
        """The share of this replica in the mean over the global batch (gradients are summed)."""
        count = tf.cast(draws.global_batch, per_example.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(per_example), count)

    def sum_replicas(self, value):
        """The sum of a tensor over all replicas, on each of them."""
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return value
        return replicas.all_reduce("SUM", value)

    def update_ema(self, batch) -> None:
        """Moves the average of weights and normalisation statistics towards the generator.

        The weight of the past halves every `ema_half_life` images: 0.5 ** (batch / half-life).
        """
        if self.ema_half_life is None:
            return
        for average, value in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            keep = 0.5 ** (tf.cast(batch, average.dtype) / self.ema_half_life)
            average.assign(value + keep * (average - value))

    def reset_ema(self) -> None:
        """Sets the moving average to the generator as it is."""
        self.ema_generator.set_weights(self.generator.get_weights())

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            image_shape=list(self.image_shape),
            latent_dim=self.latent_dim,
            num_classes=self.num_classes,
            width=self.width,
            loss=self.loss_name,
            ema_half_life=self.ema_half_life,
            augment=augmentation.describe(self.augment),
            seed=self.seed,
        )
        for name, users in zip(("generator", "discriminator"), self._users_networks, strict=True):
            if users:
                config[name] = keras.saving.serialize_keras_object(getattr(self, name))
        return config


def _seed_generators(*networks) -> list:
    """The random states of dropout and the like inside the networks, in a fixed order."""
    return [
        generator
        for network in networks
        for layer in network._flatten_layers()
        for generator in layer._seed_generators
    ]
