"""What Keras does for a model with one optimizer and one loss, for two players.

Compiling, checking data, sampling, saving: everything about a GAN but the game itself.
"""

from typing import Self

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras
import numpy as np
import tensorflow as tf

from kgan.models.base import inputs
from kgan.recipe import optimizers
from kgan.random import sample_labels, sample_latents

# Images are sampled in chunks of this many, the last one padded: the rounding of a convolution
# depends on the size of its batch, so only a fixed size gives image i the same pixels always.
SAMPLE_CHUNK = 16


class TwoPlayerModel(keras.Model):
    """A generator and a discriminator in one `keras.Model`; `kgan.models.GAN` is the game.

    A subclass sets `generator`, `discriminator`, `ema_generator`, `image_shape`, `latent_dim`,
    `num_classes`, `images_seen` and `built` in its constructor, and defines `default_optimizers`,
    `train_step`, `test_step` and `get_config`.
    """

    LOGS = ("d_loss", "g_loss", "real_score", "fake_score")
    SAMPLE_OPTIONS = ()  # what `sample` takes besides, as numbers that `call` gets

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._means = {name: keras.metrics.Mean(name) for name in self.LOGS}
        self._sample_chunk = None

    # Compiling: two optimizers, both built at once.

    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs) -> None:
        """Prepares the model for `fit`.

        Args:
            g_optimizer: Keras optimizer (or its name) of the generator, whose learning rate may be
                a schedule over steps. None for the paper's.
            d_optimizer: the same for the discriminator.
            **kwargs: Keras' own arguments: `run_eagerly`, `steps_per_execution`, `jit_compile`.

        Raises:
            ValueError: if one optimizer is given for both networks.
        """
        # Left to itself Keras would make an rmsprop.
        super().compile(optimizer=None, **kwargs)
        defaults = self.default_optimizers()
        g_optimizer = keras.optimizers.get(g_optimizer or defaults[0])
        d_optimizer = keras.optimizers.get(d_optimizer or defaults[1])
        if g_optimizer is d_optimizer:
            raise ValueError(
                "Expected an optimizer for each network, since each keeps its own state. "
                "Received: the same object as g_optimizer and as d_optimizer"
            )
        if self.dtype_policy.name == "mixed_float16":
            g_optimizer = optimizers.with_loss_scale(g_optimizer)
            d_optimizer = optimizers.with_loss_scale(d_optimizer)
        # State loaded into an optimizer that is not built yet would be lost in silence.
        g_optimizer.build(self.generator.trainable_variables)
        d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer

    def get_compile_config(self) -> dict:
        if not self.compiled:
            return {}
        config = {
            name: value
            for name, value in super().get_compile_config().items()
            if name in ("run_eagerly", "steps_per_execution", "jit_compile")
        }
        for name in ("g_optimizer", "d_optimizer"):
            config[name] = keras.optimizers.serialize(getattr(self, name))
        return config

    def compile_from_config(self, config: dict) -> None:
        config = dict(config)
        for name in ("g_optimizer", "d_optimizer"):
            config[name] = keras.optimizers.deserialize(config[name])
        self.compile(**config)

    # Logs.

    def log(self, **values) -> dict:
        """Adds values of any shape to the running means of that name in `LOGS`; returns these."""
        for name, value in values.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in values}

    def logs(self) -> dict:
        """All running means, by name."""
        return {name: mean.result() for name, mean in self._means.items()}

    @property
    def metrics(self) -> list:
        return list(self._means.values())

    # Data that cannot be trained on is refused before training begins.

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit` on `images` or `(images, labels)`: uint8, or floats in [-1, 1]."""
        x = self._check_data(x, y)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # Keras would warn that it cannot
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate` on `images` or `(images, labels)`: uint8, or floats in [-1, 1]."""
        return super().evaluate(self._check_data(x, y), y, *args, **kwargs)

    def train_on_batch(self, x, y=None, *args, **kwargs):
        """`keras.Model.train_on_batch` on images that are uint8, or floats in [-1, 1]."""
        return super().train_on_batch(self._check_data(x, y), y, *args, **kwargs)

    def test_on_batch(self, x, y=None, *args, **kwargs):
        """`keras.Model.test_on_batch` on images that are uint8, or floats in [-1, 1]."""
        return super().test_on_batch(self._check_data(x, y), y, *args, **kwargs)

    def _check_data(self, x, y):
        return inputs.check_data(x, self.image_shape, y, self.num_classes)

    # Pictures.

    def call(self, latents, labels=None, training=False):
        """Images in [-1, 1] of the averaged generator, float (batch, height, width, channels)."""
        return self.ema_generator(with_labels(latents, labels), training=False)

    def iter_samples(
        self, n: int, seed: int | None = None, batch_size: int = 64, labels=None, **options
    ):
        """`sample`, as an iterator over arrays of `batch_size` images (the last may be smaller)."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        inputs.check_int("n", n, 0)
        inputs.check_int("seed", seed, 0)
        inputs.check_int("batch_size", batch_size, 1)
        labels = inputs.check_sample_labels(labels, n, self.num_classes)
        pending = np.empty((0, *self.image_shape), np.uint8)
        for start in range(0, n, SAMPLE_CHUNK):
            stop = min(start + SAMPLE_CHUNK, n)
            latents = sample_latents(seed, start, stop, self.latent_dim)
            classes = None
            if labels is not None:
                classes = labels[start:stop]
            elif self.num_classes is not None:
                classes = sample_labels(seed, start, stop, self.num_classes)
            images = self.render(latents, classes, **options)
            pending = np.concatenate([pending, images])
            while len(pending) >= batch_size or (len(pending) and stop == n):
                yield pending[:batch_size]
                pending = pending[batch_size:]

    def sample(
        self, n: int, seed: int | None = None, batch_size: int = 64, labels=None, **options
    ) -> np.ndarray:
        """Generates images with the averaged generator.

        Args:
            n: int, number of images.
            seed: int >= 0. The same seed gives the same images, and image i does not depend on `n`
                or on `batch_size`. None for different ones at every call.
            batch_size: int, images copied into the result at a time.
            labels: of a conditional model: the class of all images as an int, or of each as a
                sequence of n ints. None for classes drawn uniformly, by the seed.
            **options: `truncation` of models that have it.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for a negative or fractional argument, or labels that are not classes of
                the model.

        Example:

        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)
        """
        inputs.check_int("n", n, 0)
        images = np.empty((n, *self.image_shape), np.uint8)
        filled = 0
        for batch in self.iter_samples(n, seed, batch_size, labels, **options):
            images[filled : filled + len(batch)] = batch
            filled += len(batch)
        return images

    def render(self, latents, labels=None, **options) -> np.ndarray:
        """Images of given latents by the averaged generator, as `sample` gives them of its own.

        Args:
            latents: float array (n, latent_dim), such as `kgan.random.sample_latents` gives.
            labels: of a conditional model: the class of all images as an int, or of each as a
                sequence of n ints.
            **options: `truncation` of models that have it.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for latents of another shape, or labels that are not classes of the model.

        Example:

        >>> latents = kgan.random.sample_latents(0, 0, 16, model.latent_dim)
        >>> np.array_equal(model.render(latents), model.sample(16, seed=0))
        True
        """
        latents = np.asarray(latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(
                f"Expected latents (n, {self.latent_dim}). Received: shape {latents.shape}"
            )
        if labels is None and self.num_classes is not None:
            raise ValueError(
                "Expected labels beside the latents, since the model is conditional. Received: "
                "labels=None"
            )
        n = len(latents)
        labels = inputs.check_sample_labels(labels, n, self.num_classes)
        options = inputs.check_options(options, self.SAMPLE_OPTIONS, type(self).__name__)
        if self._sample_chunk is None:
            self._sample_chunk = tf.function(self.__call__)
        images = np.empty((n, *self.image_shape), np.uint8)
        for start in range(0, n, SAMPLE_CHUNK):
            stop = min(start + SAMPLE_CHUNK, n)
            padding = (0, start + SAMPLE_CHUNK - stop)
            chunk = [tf.constant(np.pad(latents[start:stop], (padding, (0, 0))))]
            if labels is not None:
                chunk.append(tf.constant(np.pad(labels[start:stop], padding), tf.int32))
            rendered = self._sample_chunk(*chunk, **options).numpy()[: stop - start]
            images[start:stop] = to_uint8(rendered)
        return images

    def grid_labels(self, rows: int, columns: int) -> list[int] | None:
        """Labels for a grid with a row for every class, in turn; None if unconditional."""
        if self.num_classes is None:
            return None
        return [row % self.num_classes for row in range(rows) for _ in range(columns)]

    # Saving.

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        config = dict(config)
        for name in ("generator", "discriminator"):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)

    def save_to_preset(self, directory) -> None:
        """Writes a preset: what is needed to sample and to train on, without optimizer state.

        Args:
            directory: path of a directory that does not exist, is empty or holds a preset, which
                is replaced.

        Raises:
            ValueError: if the directory holds something else, or the model has networks that
                cannot be described by Keras' own layers.
        """
        from kgan import zoo

        zoo.save(self, directory)

    @classmethod
    def from_preset(cls, source) -> Self:
        """Loads a preset, ready for `sample` and `fit`; see `kgan.zoo.load`.

        Args:
            source: a preset directory, or a name in `kgan.zoo.names()`.

        Raises:
            ValueError: if there is no such preset, a file in it is damaged, or it holds a model
                of another class than this one.
        """
        from kgan import zoo

        model = zoo.load(source)
        if not isinstance(model, cls):
            raise ValueError(
                f"Expected a preset of a {cls.__name__}. Received: {str(source)!r}, which holds "
                f"a {type(model).__name__}"
            )
        return model


def with_labels(x, labels):
    """The input of a network: x alone, or with labels if there are any."""
    return x if labels is None else [x, labels]


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to uint8 in [0, 255], rounded to the nearest level."""
    return np.clip(np.rint((images.astype(np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)
