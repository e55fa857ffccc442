"""Models that turn latents into images: what sampling needs."""

from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.checks import Bound, or_none, whole
from kgan.errors import KganError
from kgan.graph import NotExpressible
from kgan.latents import sample_latents
from kgan.models.base import inputs
from kgan.models.base.adversarial import AdversarialModel, Batch, Pass
from kgan.sampling import Sampling
from kgan.untrusted import memory

# Images are sampled in chunks of this many, the last one padded: the rounding of a convolution
# depends on the size of its batch, so only a fixed size gives image i the same pixels always. Of
# models that would take more memory for as many, a chunk is a half, a quarter, ...
SAMPLE_CHUNK = 16
MOST_BYTES = 1 << 28


class LatentModel(Sampling, AdversarialModel):
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

    @property
    def sample_chunk(self) -> int:
        return self._sampling()[1]

    def express(self, graph) -> dict:
        """What `kgan.zoo.sampler` computes, in a `kgan.graph.Graph`: its outputs by name.

        Raises:
            kgan.graph.NotExpressible: if a layer is of a kind that no graph is known for, or a
                subclass has a `call` of its own.
        """
        self.check_call(LatentModel)
        latents = graph.input("latents", (self.sample_chunk, self.latent_dim))
        return {"images": graph.call(self.ema_generator, latents, *self.express_labels(graph))}

    def check_call(self, kind: type) -> None:
        """Raises NotExpressible if images are made otherwise than by `call` of a class."""
        if type(self).call is not kind.call:
            raise NotExpressible(f"{type(self).__name__} with a call() of its own")

    def express_labels(self, graph) -> list:
        """The input of a graph for labels, in a list; none of an unconditional model."""
        if self.num_classes is None:
            return []
        return [graph.input("labels", (self.sample_chunk,), "int32")]

    def draw_chunk(self, latents, labels, **options) -> np.ndarray:
        function, _ = self._sampling()
        tensors = [tf.constant(latents)]
        if labels is not None:
            tensors.append(tf.constant(labels, tf.int32))
        options = {name: tf.constant(value, tf.float32) for name, value in options.items()}
        return function(*tensors, **options).numpy()

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
        latents = tf.constant(sample_latents(0, 0, chunk, self.latent_dim))
        return [latents] if labels is None else [latents, tf.constant(labels, tf.int32)]

    def passes(self) -> list[Pass]:
        function, chunk = self._sampling()
        example = self._example(chunk)
        traced = function.get_concrete_function(*example)
        return [Pass(traced, example, (chunk, *self.image_shape))]

    def preview(self) -> tuple[np.ndarray, int, dict]:
        """64 samples of seed 0; of a conditional model, 8 of each of the first 16 classes."""
        pictures, columns, facts = self.grid_pictures()
        return pictures, columns, {"seed": 0, "n": len(pictures), **facts}

    def check_held_out(self, held_out) -> None:
        if held_out is not None:
            raise KganError(
                "Expected held_out with a model that translates. Received: held_out, and a "
                f"{type(self).__name__}, which samples"
            )

    def grid_pictures(
        self,
        rows: int | None = None,
        columns: int | None = None,
        seed: int = 0,
        held_out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, int, dict]:
        """Samples; of a conditional model a row for each class, up to 16."""
        rows, columns = rows or min(self.num_classes or 8, 16), columns or 8
        labels = self.grid_labels(rows, columns)
        facts = {"seed": seed, **({} if labels is None else {"labels": labels})}
        return self.sample(rows * columns, seed=seed, labels=labels), columns, facts

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
