"""Models that turn latents into images: what sampling needs."""

import math
from collections.abc import Iterator
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.checks import SEED, Bound, as_array, free_memory, or_none, whole
from kgan.errors import KganError
from kgan.latents import sample_labels, sample_latents
from kgan.models.base import inputs
from kgan.models.base.adversarial import AdversarialModel, Batch, Pass
from kgan.untrusted import memory

# Images are sampled in chunks of this many, the last one padded: the rounding of a convolution
# depends on the size of its batch, so only a fixed size gives image i the same pixels always. Of
# models that would take more memory for as many, a chunk is a half, a quarter, ...
SAMPLE_CHUNK = 16
MOST_BYTES = 1 << 28


class LatentModel(AdversarialModel):
    """The base of models whose generator turns latents z ~ N(0, I) into images.

    A subclass has a player `generator`, with a moving average, and sets `latent_dim` and
    `num_classes`.

    Args:
        latent_dim: int, dimensions of the latent.
        num_classes: int, if the networks take labels, int (batch,), as a second input. None for
            an unconditional model.
        **kwargs: see `kgan.models.base.adversarial.AdversarialModel`.
    """

    AVERAGED = ("generator",)
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **AdversarialModel.ARGUMENTS,
        "latent_dim": or_none(whole(1, 1 << 14)),
        "num_classes": or_none(whole(1, 100_000)),
    }
    SAMPLE_OPTIONS: ClassVar[dict[str, Bound]] = {}  # numbers that `sample` takes, and `call` gets

    def __init__(self, *, latent_dim: int | None, num_classes: int | None = None, **kwargs):
        super().__init__(latent_dim=latent_dim, num_classes=num_classes, **kwargs)
        self._sampler = None

    # Data: images, or images and labels.

    def check_batch(self, first, second=None) -> bool:
        told = inputs.check_image_part(first, self.image_shape)
        if self.num_classes is None:
            return told
        inputs.check_labels(second, self.num_classes)
        return False

    def unpack(self, data) -> Batch:
        """Images as floats in [-1, 1], and the labels of a conditional model."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs.check_image_type(images, self.image_shape)
        if self.num_classes is None:
            return Batch(self.scaled(images))
        inputs.check_labels(labels, self.num_classes)
        return Batch(self.scaled(images), tf.reshape(tf.cast(labels, tf.int32), (-1,)))

    # Pictures.

    def call(self, latents, labels=None, training=False):
        """Images in [-1, 1] of the averaged generator, float (batch, height, width, channels)."""
        return self.ema_generator(with_labels(latents, labels), training=False)

    def iter_samples(
        self, n: int, seed: int | None = None, batch_size: int = 64, labels=None, **options
    ) -> Iterator[np.ndarray]:
        """`sample`, as an iterator over arrays of `batch_size` images (the last may be smaller)."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        whole(0).check("n", n)
        SEED.check("seed", seed)
        whole(1).check("batch_size", batch_size)
        inputs.check_options(options, self.SAMPLE_OPTIONS, type(self).__name__)
        labels = inputs.check_sample_labels(labels, n, self.num_classes)
        pending = np.empty((0, *self.image_shape), np.uint8)
        _, chunk = self._sampling()
        for start in range(0, n, chunk):
            stop = min(start + chunk, n)
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
            labels: the class of all images as an int, or of each as a sequence of n ints
                (conditional models only). None for classes drawn uniformly, by the seed.
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
        size = whole(0).check("n", n) * math.prod(self.image_shape)
        if size > free_memory():
            raise KganError(
                f"Expected images that fit into the free memory. Received: n={n:,}, of {size:,} "
                "bytes; iter_samples gives them in batches"
            )
        images = np.empty((n, *self.image_shape), np.uint8)
        filled = 0
        for batch in self.iter_samples(n, seed, batch_size, labels, **options):
            images[filled : filled + len(batch)] = batch
            filled += len(batch)
        return images

    def render(self, latents, labels=None, **options) -> np.ndarray:
        """Images of given latents by the averaged generator, as `sample` gives them of its own.

        Args:
            latents: float array (n, latent_dim), such as `kgan.latents.sample_latents` gives.
            labels: the class of all images as an int, or of each as a sequence of n ints
                (conditional models only).
            **options: `truncation` of models that have it.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for latents of another shape, or labels that are not classes of the model.

        Example:

        >>> latents = kgan.latents.sample_latents(0, 0, 16, model.latent_dim)
        >>> np.array_equal(model.render(latents), model.sample(16, seed=0))
        True
        """
        expected = f"an array (n, {self.latent_dim}) of finite numbers"
        latents = as_array("latents", latents, expected)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise KganError(
                f"Expected latents (n, {self.latent_dim}). Received: shape {latents.shape}"
            )
        with np.errstate(over="ignore"):
            latents = latents.astype(np.float32)
        if not np.isfinite(latents).all():
            raise KganError(f"Expected latents to be {expected}. Received: NaN or infinity")
        if labels is None and self.num_classes is not None:
            raise KganError(
                "Expected labels beside the latents, since the model is conditional. Received: "
                "labels=None"
            )
        n = len(latents)
        labels = inputs.check_sample_labels(labels, n, self.num_classes)
        options = inputs.check_options(options, self.SAMPLE_OPTIONS, type(self).__name__)
        function, chunk = self._sampling()
        images = np.empty((n, *self.image_shape), np.uint8)
        for start in range(0, n, chunk):
            stop = min(start + chunk, n)
            classes = None if labels is None else labels[start:stop]
            given = _chunk(latents[start:stop], classes, chunk)
            rendered = function(*given, **options).numpy()[: stop - start]
            images[start:stop] = to_uint8(rendered)
        return images

    def _sampling(self):
        """The function that samples, and how many images it does at a time."""
        if self._sampler is None:
            function, chunk = tf.function(self.__call__), SAMPLE_CHUNK
            if memory.rough(self.ema_generator, chunk) > MOST_BYTES:
                traced = function.get_concrete_function(*self._example(chunk))
                needed = memory.cost(traced.graph).bytes / chunk
                while chunk > 1 and chunk * needed > MOST_BYTES:
                    chunk //= 2
            self._sampler = function, chunk
        return self._sampler

    def _example(self, chunk):
        """What the function that samples is called with; the last label is among the labels."""
        labels = None
        if self.num_classes is not None:
            labels = (-1 - np.arange(chunk)) % self.num_classes
        return _chunk(sample_latents(0, 0, chunk, self.latent_dim), labels, chunk)

    def passes(self) -> list[Pass]:
        function, chunk = self._sampling()
        example = self._example(chunk)
        traced = function.get_concrete_function(*example)
        return [Pass(traced, example, (chunk, *self.image_shape))]

    def preview(self) -> tuple[np.ndarray, int, dict]:
        """64 samples of seed 0; of a conditional model, 8 of each of the first 16 classes."""
        rows, columns = min(self.num_classes or 8, 16), 8
        labels = self.grid_labels(rows, columns)
        facts = {"seed": 0, "n": rows * columns, **({} if labels is None else {"labels": labels})}
        return self.sample(rows * columns, seed=0, labels=labels), columns, facts

    def grid_labels(self, rows: int, columns: int) -> list[int] | None:
        """Labels for a grid with a row for every class, in turn; None if unconditional."""
        if self.num_classes is None:
            return None
        return [row % self.num_classes for row in range(rows) for _ in range(columns)]


def label_input() -> keras.KerasTensor:
    """The labels that a network of a conditional model takes: int (batch,)."""
    return keras.Input((), dtype="int32", name="labels")


def one_hot(labels, num_classes: int):
    """Labels (batch,) as vectors (batch, num_classes)."""
    return layers.CategoryEncoding(num_classes, "one_hot")(labels)


def with_labels(x, labels):
    """The input of a network: x alone, or with labels if there are any."""
    return x if labels is None else [x, labels]


def _chunk(latents, labels, size):
    """Latents, and labels if there are any, as tensors of a fixed size."""
    padding = (0, size - len(latents))
    tensors = [tf.constant(np.pad(latents, (padding, (0, 0))))]
    if labels is not None:
        tensors.append(tf.constant(np.pad(labels, padding), tf.int32))
    return tensors


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to uint8 in [0, 255], rounded to the nearest level.

    Raises:
        KganError: if a generator gave NaN or infinity, of which pictures would be black.
    """
    if not np.isfinite(images).all():
        raise KganError(
            "Expected a generator whose images are finite. Received: NaN or infinity, of weights "
            "that are damaged or whose training has diverged"
        )
    return np.clip(np.rint((images.astype(np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)
