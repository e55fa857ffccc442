"""Checkpoints from which training goes on as if it had never stopped."""

import errno
import json
import os
import warnings
from pathlib import Path

import keras

from kgan.errors import KganError, KganWarning, reason
from kgan.files import sha256


class Checkpoint(keras.callbacks.Callback):
    """Saves everything that training needs at the end of each epoch, whole or not at all.

    A checkpoint holds both networks, the moving average, both optimizers' state and the counters
    from which all randomness is drawn. The last two are kept; a newest one that was torn by a
    crash is passed over for the one before it.

    Args:
        directory: path; made if need be.
        keep: int, number of checkpoints kept.

    Example:

    ```python
    checkpoint = kgan.callbacks.Checkpoint("run/checkpoints")
    first = checkpoint.restore(model)        # 0 the first time
    model.fit(dataset, epochs=20, initial_epoch=first, callbacks=[checkpoint])
    ```
    """

    def __init__(self, directory: str | os.PathLike, keep: int = 2):
        super().__init__()
        if keep < 1:
            raise ValueError(f"Expected keep >= 1. Received: {keep}")
        self.directory = Path(directory)
        self.keep = keep
        self._made = False

    def on_epoch_end(self, epoch, logs=None):
        self.save(self.model, epoch + 1)

    def save(self, model: keras.Model, epoch: int) -> None:
        """Saves a checkpoint now; `epoch` is what `restore` will return.

        Raises:
            ValueError: if it cannot be written; the ones before are as they were.
        """
        try:
            self._save(model, epoch)
        except OSError as error:
            for torn in self.directory.glob("partial-*"):  # they may hold the space that is missing
                torn.unlink(missing_ok=True)
            raise KganError(
                f"Expected to write a checkpoint to {self.directory}. Received: "
                f"{reason(error)}. The last one is whole: make room, and go on from there"
            ) from error

    def _save(self, model, epoch):
        if self._made and not self.directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the directory has been removed")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._made = True
        for torn in self.directory.glob("partial-*"):  # left by a process that was killed
            torn.unlink(missing_ok=True)
        images_seen = int(model.images_seen.numpy())
        weights = self.directory / f"images-{images_seen:09d}.weights.h5"
        partial = self.directory / f"partial-{weights.name}"
        model.save_weights(partial)
        _flush(partial)
        os.replace(partial, weights)
        state = {"epoch": epoch, "images_seen": images_seen, "sha256": sha256(weights)}
        # Only a checkpoint with this file counts: it is written last.
        partial = self.directory / f"partial-{images_seen:09d}.json"
        partial.write_text(json.dumps(state), "utf-8")
        _flush(partial)
        os.replace(partial, _state_path(weights))
        for old in self._saved()[self.keep :]:
            _state_path(old).unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into a compiled model.

        Returns:
            The epoch to go on with; 0 if there is no checkpoint.

        Raises:
            ValueError: if the model is not compiled, the checkpoint is of another model, or there
                are checkpoints and none is whole.
        """
        if not model.compiled:
            raise KganError(
                "Expected a compiled model, so that its optimizers' state can be restored. "
                "Received: a model that is not compiled"
            )
        saved = self._saved()
        for weights in saved:
            try:
                state = json.loads(_state_path(weights).read_text("utf-8"))
                whole = sha256(weights) == state["sha256"]
            except (OSError, ValueError, KeyError):
                whole = False
            if not whole:
                warnings.warn(
                    f"Checkpoint {weights.name} is damaged; trying the one before.",
                    KganWarning,
                    stacklevel=2,
                )
                continue
            try:
                model.load_weights(weights)
            except ValueError as error:
                raise KganError(
                    f"Expected a checkpoint of this model. Received: {weights}: "
                    f"{str(error).splitlines()[0]}"
                ) from None
            return state["epoch"]
        if saved:
            raise KganError(f"No checkpoint in {self.directory} is whole; start anew elsewhere")
        return 0

    def _saved(self):
        """Weight files of checkpoints, newest first."""
        states = sorted(self.directory.glob("images-*.json"), reverse=True)
        return [state.with_name(f"{state.stem}.weights.h5") for state in states]


def _state_path(weights):
    return weights.with_name(weights.name.removesuffix(".weights.h5") + ".json")


def _flush(path):
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
