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
from kgan.models import inputs
from kgan.models.two_player import TwoPlayerModel
from kgan.random import Draws


def output_dtype() -> str:
    """Of the last layer of a network: losses and pixels need full precision under any policy."""
    return keras.config.dtype_policy().variable_dtype


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
class GAN(TwoPlayerModel):
    """Generative adversarial networks: a generator and a discriminator that train each other.

    The discriminator D learns to tell real images from generated ones, the generator G to make D
    take its own for real (Goodfellow et al. 2014, algorithm 1). With no networks given, they are
    the paper's fully connected ones; any two Keras models take their place.

    Every other GAN of kgan is a subclass that overrides `train_step`, or the part of it in which
    its paper differs.

    Args:
        image_shape: tuple (height, width, channels), with 1 or 3 channels.
        latent_dim: int, dimensions of the latent z ~ N(0, I). Taken from `generator` if given.
        generator: `keras.Model` from latents (batch, latent_dim) to images (batch, height, width,
            channels) in [-1, 1]. None for the paper's network.
        discriminator: `keras.Model` from images to logits (batch, 1), without a sigmoid. None for
            the paper's network.
        width: int, hidden units of the paper's networks, a multiple of 5 (for maxout in fives).
        loss: name of an adversarial loss in `kgan.losses`.
        ema_half_life: number of images after which the moving average of the generator, which
            is what is sampled, has forgotten half of what it was. None switches it off.
        augment: `kgan.augment.DiffAugment`, its description, or None.
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

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim: int | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        width: int = 1200,
        loss: str = "non_saturating",
        ema_half_life: float | None = 10_000,
        augment=None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if ema_half_life is not None and not ema_half_life > 0:
            raise ValueError(
                f"Expected ema_half_life > 0 images, or None. Received: {ema_half_life!r}"
            )
        self.image_shape = inputs.check_image_shape(image_shape)
        inputs.check_int("width", width, 1)
        inputs.check_int("seed", seed, 0)
        self.num_classes = None
        self.width = width
        self.loss_name = loss
        self.ema_half_life = ema_half_life
        self.seed = seed
        self._adversarial_loss = losses.get(loss)
        self._users_networks = (generator is not None, discriminator is not None)

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
        self.images_seen = self._counter("images_seen")
        self.images_tested = self._counter("images_tested")
        self._seed_generators_inside = _seed_generators(self.generator, self.discriminator)
        self.built = True

    def _counter(self, name):
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def _check_generator(self, generator, latent_dim):
        received = (generator.input_shape, generator.output_shape)
        if len(received[0]) != 2 or received[1][1:] != self.image_shape:
            raise ValueError(
                f"Expected a generator from (batch, latent_dim) to (batch, *{self.image_shape}). "
                f"Received: one from {received[0]} to {received[1]}"
            )
        if latent_dim not in (None, received[0][1]):
            raise ValueError(
                f"Expected latent_dim={received[0][1]}, as the generator has it. Received: "
                f"latent_dim={latent_dim}"
            )
        return received[0][1]

    def _check_discriminator(self, discriminator):
        received = (discriminator.input_shape, discriminator.output_shape)
        if received[0][1:] != self.image_shape or received[1][1:] != (1,):
            raise ValueError(
                f"Expected a discriminator from (batch, *{self.image_shape}) to logits "
                f"(batch, 1). Received: one from {received[0]} to {received[1]}"
            )

    def default_optimizer(self) -> keras.optimizers.Optimizer:
        """The paper's optimizer, a new one for each network. 2014: SGD with momentum."""
        return keras.optimizers.SGD(0.1, momentum=0.5)

    # One step of training.

    def train_step(self, data) -> dict:
        """One update of each network: algorithm 1 of the paper, with k = 1.

        The generated images are made once and shown to both updates: D sees them as data, then
        G's gradient flows through the updated D.

        Args:
            data: `images` or `(images, labels)`; labels are ignored.

        Returns:
            Dict of scalars: `d_loss`, `g_loss`, and D's mean logits `real_score`, `fake_score`.
        """
        images, _ = self.unpack(data)
        draws = self.draws(images, self.images_seen)
        self.seed_layers(draws)
        with tf.GradientTape() as tape:
            fakes = self.generator(draws.normal((self.latent_dim,)), training=True)
        d_loss, real_logits = self.update_discriminator(images, fakes, draws)
        g_loss, fake_logits = self.update_generator(real_logits, fakes, tape, draws)
        self.update_ema(draws.global_batch)
        self.images_seen.assign_add(tf.cast(draws.global_batch, tf.int64))
        return self.update_logs(
            d_loss=d_loss, g_loss=g_loss, real_score=real_logits, fake_score=fake_logits
        )

    def update_discriminator(self, images, fakes, draws):
        """One step of D on real and generated images; returns its losses and real logits."""
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(images, draws)
            fake_logits = self.discriminate(tf.stop_gradient(fakes), draws)
            losses = self._adversarial_loss.discriminator(real_logits, fake_logits)
            loss = self.d_optimizer.scale_loss(self.global_mean(losses, draws))
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        return losses, real_logits

    def update_generator(self, real_logits, fakes, generator_tape, draws):
        """One step of G on images it made under `generator_tape`; returns losses and logits."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes)
            fake_logits = self.discriminate(fakes, draws)
            losses = self._adversarial_loss.generator(real_logits, fake_logits)
            loss = self.g_optimizer.scale_loss(self.global_mean(losses, draws))
        variables = self.generator.trainable_variables
        gradients = generator_tape.gradient(fakes, variables, tape.gradient(loss, fakes))
        self.g_optimizer.apply(gradients, variables)
        return losses, fake_logits

    def discriminate(self, images, draws: Draws | None):
        """D's logits (batch, 1): in training of augmented images, else (no draws) of plain ones."""
        training = draws is not None
        if training and self.augment is not None:
            images = self.augment(images, draws=draws)
        logits = self.discriminator(images, training=training)
        return tf.cast(logits, self.variable_dtype)  # losses need full precision

    def test_step(self, data) -> dict:
        """The losses on held-out images, of both networks in inference mode, not augmented."""
        images, _ = self.unpack(data)
        draws = self.draws(images, self.images_tested, stream=1)
        fakes = self.generator(draws.normal((self.latent_dim,)), training=False)
        real_logits = self.discriminate(images, draws=None)
        fake_logits = self.discriminate(fakes, draws=None)
        self.images_tested.assign_add(tf.cast(draws.global_batch, tf.int64))
        return self.update_logs(
            d_loss=self._adversarial_loss.discriminator(real_logits, fake_logits),
            g_loss=self._adversarial_loss.generator(real_logits, fake_logits),
            real_score=real_logits,
            fake_score=fake_logits,
        )

    # What the steps of all GANs are made of.

    def unpack(self, data):
        """Images as floats in [-1, 1] (uint8 is scaled here, on the device), and labels or None."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs.check_static(images.shape, images.dtype, self.image_shape)
        dtype = self.variable_dtype
        if images.dtype == tf.uint8:
            return tf.cast(images, dtype) / 127.5 - 1.0, labels
        return tf.cast(images, dtype), labels

    def draws(self, images, counter, stream: int = 0) -> Draws:
        """This step's randomness, drawn for the global batch of which `images` is a slice."""
        local = tf.shape(images)[0]
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

    def global_mean(self, per_example, draws: Draws):
        """The share of this replica in the mean over the global batch (gradients are summed)."""
        return tf.reduce_sum(per_example) / tf.cast(draws.global_batch, per_example.dtype)

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
