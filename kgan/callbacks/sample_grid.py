"""Grids of samples while training runs."""

import os
from pathlib import Path

import kgan
from kgan import images
from kgan.callbacks.periodic import Periodic


class SampleGrid(Periodic):
    """Saves a grid of samples of the same latents, so that progress can be seen.

    Files are named by the images the model has seen, `images-000120000.png`, and drawn by the
    averaged generator, which is what `sample` and saved models give. Of a conditional model every
    row shows a class.

    Args:
        directory: path for the PNG files; made if need be.
        every_epochs: int; by default every epoch.
        every_images: int, images seen between two grids, instead of epochs.
        rows, columns: int, size of the grid. By default 8 x 8; a conditional model's grid has a
            row for each class, up to 16.
        seed: int, of the latents.

    Raises:
        ValueError: for a grid without images, or both schedules at once.

    Example:

    ```python
    model.fit(dataset, callbacks=[kgan.callbacks.SampleGrid("grids", every_images=50_000)])
    ```
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        every_epochs: int | None = None,
        every_images: int | None = None,
        rows: int | None = None,
        columns: int = 8,
        seed: int = 0,
    ):
        if every_epochs is None and every_images is None:
            every_epochs = 1
        super().__init__(every_epochs, every_images)
        if (rows is not None and rows < 1) or columns < 1:
            raise ValueError(f"Expected rows, columns >= 1. Received: {rows}, {columns}")
        self.directory = Path(directory)
        self.rows = rows
        self.columns = columns
        self.seed = seed

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.model.images_seen.numpy() == 0:
            self.act(0)

    def act(self, images_seen: int) -> None:
        rows = self.rows or min(self.model.num_classes or 8, 16)
        labels = self.model.grid_labels(rows, self.columns)
        samples = self.model.sample(rows * self.columns, seed=self.seed, labels=labels)
        images.save_png(
            images.grid(samples, self.columns),
            self.directory / f"images-{images_seen:09d}.png",
            {
                "class": type(self.model).__name__,
                "images_seen": images_seen,
                "seed": self.seed,
                **({} if labels is None else {"labels": labels}),
                "kgan": kgan.__version__,
            },
        )
