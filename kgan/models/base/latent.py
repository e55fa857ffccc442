"""Models that turn latents into images: what sampling needs."""

from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.checks import FUNCTION, SEED, Bound, or_none, whole
from kgan.errors import KganError
from kgan.latents import sample_latents
from kgan.models.base import inputs, projection
from kgan.models.base.adversarial import AdversarialModel, Batch
from kgan.models.base.exporting import Exported
from kgan.models.base.saving import Pass
from kgan.sampling import Sampling, checked_labels
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
        return self.express_images(graph, self.sample_chunk)

    def express_images(self, graph, batch: int | str) -> dict:
        """`call` in a `kgan.graph.Graph`: what `export` writes.

        Args:
            graph: to be written to.
            batch: size of the batch, or a name for one that is open.

        Raises:
            kgan.graph.NotExpressible: see `express`.
        """
        self.check_call(LatentModel)
        return {"images": graph.call(self.ema_generator, *self.express_inputs(graph, batch))}

    def express_inputs(self, graph, batch: int | str) -> list:
        """The inputs of a graph for latents and, of a conditional model, for labels."""
        latents = graph.input("latents", (batch, self.latent_dim))
        if self.num_classes is None:
            return [latents]
        return [latents, graph.input("labels", (batch,), "int32")]

    def exported(self) -> Exported:
        inputs = {"latents": tf.TensorSpec([None, self.latent_dim], tf.float32, "latents")}
        if self.num_classes is not None:
            inputs["labels"] = tf.TensorSpec([None], tf.int32, "labels")
        options = {name: tf.TensorSpec([], tf.float32, name) for name in self.SAMPLE_OPTIONS}

        def function(latents, labels=None, **options):
            return self(latents, labels, **options)

        return Exported(
            function,
            {**inputs, **options},
            (*options,),
            "images",
            self.express_images,
            self.provenance(),
        )

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

    # Projection.

    def project(
        self,
        images,
        steps: int = 300,
        features: Callable[[tf.Tensor], tf.Tensor] | None = None,
        labels=None,
        starts: int = 4,
        seed: int = 0,
        progress: Callable[[int, int], bool | None] | None = None,
    ) -> dict[str, np.ndarray]:
        """Finds the latents, or of models with styles these, whose pictures are closest to images.

        Adam descends the distance of the pictures at several scales, and of their features if there
        are any: each divided by what it is for random samples, so that neither dominates.

        Args:
            images: array (n, height, width, channels): uint8, or floats in [-1, 1]. What is in them
                is not aligned: of faces, for one, eyes have to be where they are in the images that
                the model was trained on.
            steps: int, of Adam.
            features: a differentiable function from images in [-1, 1] to (batch, features), in
                which they are compared too: `kgan.metrics.extractor("faces")`, or a Keras model.
            labels: the class of all images as an int, or of each as a sequence of n ints
                (conditional models only). None to try all classes, and keep the closest.
            starts: int, points from which the search for each image begins; the best one is kept.
            seed: int >= 0. The same one finds the same; images do not depend on one another.
            progress: a function that is told steps done and steps in all from time to time. If it
                returns True the search ends, with the best so far.

        Returns:
            Dict of arrays, a row for each image: `images` uint8, which `render` draws of `latents`
            (n, latent_dim), or `render_styles` of `styles` (n, layers, latent_dim); `labels` of
            conditional models; `error`, the mean squared difference of pixels in [-1, 1]; `loss`,
            what was descended, 1 for a random sample; and `feature_error`, the mean squared
            difference of features.

        Raises:
            ValueError: for other images, features that cannot be differentiated, labels that are
                not classes of the model, or numbers below 1.

        Example:

        ```python
        found = model.project(photos, features=kgan.metrics.extractor("faces"))
        again = model.render(found["latents"])
        ```
        """
        images = inputs.floats_of(images, self.image_shape)
        n = whole(1).check("the number of images", len(images))
        whole(1).check("steps", steps)
        whole(1, 1024).check("starts", starts)
        SEED.check("seed", seed)
        for name, function in (("features", features), ("progress", progress)):
            or_none(FUNCTION).check(name, function)
        labels = checked_labels(labels, n, self.num_classes)
        classes = [None] if self.num_classes is None else range(self.num_classes)
        tried = [classes] * n if labels is None else [[label] for label in labels]
        found = projection.find(self, images, tried, steps, starts, features, seed, progress)
        labels = None if self.num_classes is None else np.array([one.label for one in found])
        result = self.draw_found(np.stack([one.point for one in found]), labels)
        difference = result["images"] / np.float32(127.5) - 1.0 - images
        result["error"] = np.square(difference).mean((1, 2, 3))
        result["loss"] = np.array([one.loss for one in found], np.float32)
        if features is not None:
            result["feature_error"] = np.array([one.feature_error for one in found], np.float32)
        return result if labels is None else {**result, "labels": labels}

    def projection_space(self, label: int | None, starts: int, seed: int) -> projection.Space:
        """Where `project` looks for what is drawn with a label: among latents."""
        return projection.Space(sample_latents(seed, 0, starts, self.latent_dim))

    def draw_points(self, points: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Images in [-1, 1] of points of that space, which can be differentiated."""
        return self(points, labels)

    def draw_found(self, points: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
        """`images` of points that were found, and what they are called."""
        return {"images": self.render(points, labels), "latents": points}

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
