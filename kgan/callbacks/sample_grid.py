"""Grids of pictures while training runs."""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from kgan import images
from kgan.callbacks.pictures import Pictures
from kgan.checks import PATH, or_none
from kgan.errors import KganError, short
from kgan.files import expanded


class SampleGrid(Pictures):
    """Saves a grid of samples of the same latents, so that progress can be seen.

    Files are named by the images the model has seen, `images-000120000.png`, and drawn by the
    averaged generator, which is what `sample` and saved models give. Of a conditional model every
    row shows a class. In Jupyter the newest grid is shown, too, in the output of `fit`.

    Of a translation model it shows `held_out` pictures: what is given, what is made of it, and what
    is true. A model that translates both ways, for which there need be no truth, shows in its place
    what comes of translating back, and then the same the other way round.

    Args:
        directory: path for the PNG files; made if need be.
        every_epochs: int; by default every epoch.
        every_images: int, images seen between two grids, instead of epochs.
        rows, columns: int, size of the grid. By default 8 x 8; a conditional model's grid has a
            row for each class, up to 16. Of a translation model columns are examples, each of three
            pictures or six: by default 8 x 2.
        seed: int, of the latents.
        held_out: of a translation model: images (a, b) that it is not trained on, uint8 arrays
            (images, height, width, channels); as many as the grid holds are taken at even spaces.
        tensorboard: path of a log directory, for the grids to be found among the images of
            TensorBoard too, as "samples", each at the step of as many images as were seen.

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
        columns: int | None = None,
        seed: int = 0,
        tensorboard: str | os.PathLike | None = None,
        held_out: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        super().__init__(directory, every_epochs, every_images, rows, columns, seed)
        if held_out is not None:
            self._check_pictures(held_out)
        self.held_out = held_out
        self.tensorboard = or_none(PATH).check("tensorboard", tensorboard)
        self._writer = None
        self._display = None

    def on_train_begin(self, logs=None):
        self._display = None  # of the notebook's cell that trained before
        self.model.check_held_out(self.held_out)
        super().on_train_begin(logs)

    def act(self, images_seen: int) -> None:
        pictures, columns, facts = self.model.grid_pictures(
            self.rows, self.columns, self.seed, self.held_out
        )
        sheet = images.grid(pictures, columns)
        path = self.directory / f"images-{images_seen:09d}.png"
        provenance = images.provenance(type(self.model).__name__, images_seen, **facts)
        images.save_png(sheet, path, provenance)
        if _in_notebook():
            self._show(images.png(images.sheet(pictures, columns), provenance))
        if self.tensorboard is not None:
            self._summarize(images_seen, sheet, path)

    @staticmethod
    def _check_pictures(held_out):
        is_pair = isinstance(held_out, tuple | list) and len(held_out) == 2
        if not is_pair or not all(
            isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 4 and len(x)
            for x in held_out
        ):
            raise KganError(
                "Expected held_out to be two uint8 arrays (images, height, width, channels), of a "
                f"and of b. Received: {short(held_out)}"
            )

    def _show(self, png: bytes) -> None:
        from IPython.display import Image, display  # late: it need not be installed

        if self._display is None:
            self._display = display(Image(png), display_id=True)
        else:
            self._display.update(Image(png))

    def _summarize(self, images_seen: int, sheet, path: Path) -> None:
        # As tf.summary.image does, which needs the tensorboard package, and compresses anew.
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(expanded(self.tensorboard)))
        metadata = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_BLOB_SEQUENCE")
        metadata.plugin_data.plugin_name = "images"
        height, width, _ = sheet.shape
        values = [str(width).encode(), str(height).encode(), path.read_bytes()]
        with self._writer.as_default():
            tf.summary.write("samples", tf.constant(values), images_seen, metadata)
        self._writer.flush()


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. IPython is not imported to know it."""
    find_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return getattr(find_shell(), "kernel", None) is not None
