"""Walks through the latent space while training runs."""

import os
from collections.abc import Sequence

import numpy as np

from kgan import images
from kgan.callbacks.periodic import check_latent
from kgan.callbacks.pictures import Pictures
from kgan.checks import as_array, one_of, whole
from kgan.errors import KganError, short
from kgan.latents import walk_latents
from kgan.sampling import checked_labels


class LatentWalk(Pictures):
    """Saves an animation of images that turn into one another, always through the same latents.

    A grid of walkers goes from stop to stop along arcs of the latent space, and back to the start
    (`kgan.latents.walk_latents`). Where a generator has learned, images change smoothly all the
    way; sudden jumps, or walks on which nothing changes, show what it has not. Files are named by
    the images the model has seen, `walk-000120000.webp`, and drawn by the averaged generator. Of a
    conditional model every row shows a class, which stays the same.

    Args:
        directory: path for the files; made if need be.
        every_epochs: int; by default every epoch.
        every_images: int, images seen between two walks, instead of epochs.
        rows, columns: int, size of the grid. By default 4 x 4; a conditional model's grid has a
            row for each class, up to 16.
        seed: int, of the latents.
        stops: int >= 2, latents that each walker passes.
        steps: int >= 1, frames from one stop to the next.
        labels: of a conditional model: the class of all walkers as an int, or of each as a
            sequence of `rows * columns` ints, instead of a class for each row.
        format: "webp"; "png", which keeps every pixel and is in color several times larger; or
            "gif", which keeps 256 colors.

    Raises:
        ValueError: for a grid without images, a walk without frames, another format, or both
            schedules at once.

    Example:

    ```python
    model.fit(dataset, callbacks=[kgan.callbacks.LatentWalk("walks", every_images=100_000)])
    ```
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        every_epochs: int | None = None,
        every_images: int | None = None,
        rows: int | None = None,
        columns: int = 4,
        seed: int = 0,
        stops: int = 4,
        steps: int = 16,
        labels: int | Sequence[int] | None = None,
        format: str = "webp",
    ):
        super().__init__(directory, every_epochs, every_images, rows, columns, seed)
        whole(1).check("columns", columns)
        self.stops = whole(2).check("stops", stops)
        self.steps = whole(1).check("steps", steps)
        one_of(*(suffix[1:] for suffix in images.ANIMATION_SUFFIXES)).check("format", format)
        if labels is not None:
            expected = "a class of the model, or one for each walker"
            if not (as_array("labels", labels, expected, "iu") >= 0).all():
                raise KganError(f"Expected labels to be {expected}. Received: {short(labels)}")
        self.labels = labels
        self.format = format

    def on_train_begin(self, logs=None):
        check_latent(self, self.model)
        labels, walk = self._walk()
        walkers = walk.shape[1]
        checked_labels(labels, walkers, self.model.num_classes)
        height, width, _ = self.model.image_shape
        rows = walkers // self.columns
        size = (width * self.columns, height * rows)
        images.check_animation(*size, len(walk), f".{self.format}")
        super().on_train_begin(logs)

    def _walk(self):
        """Labels, and latents (frames, walkers, latent_dim)."""
        rows = self.rows or min(self.model.num_classes or 4, 16)
        labels = self.model.grid_labels(rows, self.columns)
        if self.labels is not None:
            labels = np.asarray(self.labels).tolist()
        return labels, walk_latents(
            self.seed, rows * self.columns, self.stops, self.steps, self.model.latent_dim
        )

    def act(self, images_seen: int) -> None:
        labels, walk = self._walk()
        frames = [images.grid(self.model.render(latents, labels), self.columns) for latents in walk]
        facts = {"seed": self.seed, **({} if labels is None else {"labels": labels})}
        facts |= {"stops": self.stops, "steps": self.steps}
        images.save_animation(
            frames,
            self.directory / f"walk-{images_seen:09d}.{self.format}",
            images.provenance(type(self.model).__name__, images_seen, **facts),
        )
