"""What callbacks have in common that draw the same pictures again and again."""

import os

from kgan import workers
from kgan.callbacks.periodic import Periodic
from kgan.checks import PATH, SEED, or_none, whole
from kgan.files import expanded


class Pictures(Periodic):
    """Calls `act` for a model not yet trained, then every N epochs or images.

    Args:
        directory: path for the files; made if need be.
        every_epochs, every_images: the schedule of `Periodic`; by default every epoch.
        rows, columns: int, size of the grid; None for the model's own.
        seed: int, of the latents.

    Raises:
        ValueError: for a grid without images, or both schedules at once.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        every_epochs: int | None,
        every_images: int | None,
        rows: int | None,
        columns: int | None,
        seed: int,
    ):
        if every_epochs is None and every_images is None:
            every_epochs = 1
        super().__init__(every_epochs, every_images)
        self.directory = expanded(PATH.check("directory", directory))
        self.rows = or_none(whole(1)).check("rows", rows)
        self.columns = or_none(whole(1)).check("columns", columns)
        self.seed = SEED.check("seed", seed)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if workers.is_chief(self.model.distribute_strategy):
            self.directory.mkdir(parents=True, exist_ok=True)
        if self.model.images_seen.numpy() == 0:
            self.call_act(0)
