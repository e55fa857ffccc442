"""What callbacks have in common that draw samples of the same latents again and again."""

import os
from pathlib import Path

from kgan import images
from kgan.callbacks.periodic import Periodic
from kgan.checks import PATH, SEED, or_none, whole


class Pictures(Periodic):
    """Calls `draw` for a model not yet trained, then every N epochs or images.

    Args:
        directory: path for the files; made if need be.
        every_epochs, every_images: the schedule of `Periodic`; by default every epoch.
        rows, columns: int, size of the grid. By default `DEFAULT_ROWS`; for a conditional model a
            row for each class, up to 16.
        seed: int, of the latents.

    Raises:
        ValueError: for a grid without images, or both schedules at once.
    """

    DEFAULT_ROWS: int

    def __init__(
        self,
        directory: str | os.PathLike,
        every_epochs: int | None,
        every_images: int | None,
        rows: int | None,
        columns: int,
        seed: int,
    ):
        if every_epochs is None and every_images is None:
            every_epochs = 1
        super().__init__(every_epochs, every_images)
        or_none(whole(1)).check("rows", rows)
        whole(1).check("columns", columns)
        SEED.check("seed", seed)
        self.directory = Path(PATH.check("directory", directory))
        self.rows = rows
        self.columns = columns
        self.seed = seed

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.model.images_seen.numpy() == 0:
            self.act(0)

    def act(self, images_seen: int) -> None:
        rows = self.rows or min(self.model.num_classes or self.DEFAULT_ROWS, 16)
        self.draw(images_seen, rows, self.model.grid_labels(rows, self.columns))

    def draw(self, images_seen: int, rows: int, labels: list[int] | None) -> None:
        """Draws `rows * self.columns` samples; of a conditional model, of these labels."""
        raise NotImplementedError(f"{type(self).__name__} does not define draw()")

    def provenance(self, images_seen: int, labels, **more) -> dict:
        """What a picture says about what made it."""
        labels = {} if labels is None else {"labels": labels}
        return images.provenance(
            type(self.model).__name__, images_seen, seed=self.seed, **labels, **more
        )
