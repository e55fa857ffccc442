"""Files of Keras' own formats, made and read in memory.

HDF5 ends the process, sooner or later, if the disk that it writes to is full. So Keras writes to
memory, and what it has written goes to the disk as plain bytes.
"""

import io
import os
from typing import Any

import keras

from kgan.errors import KganError, reason
from kgan.files import write


class _InMemory(io.BytesIO):
    """A file that Keras takes for one of the format that its name says."""

    def __init__(self, name: str, content: bytes = b""):
        super().__init__(content)
        self._name = name

    def __str__(self) -> str:
        return self._name


def weights(model: keras.Model) -> bytes:
    """What `keras.Model.save_weights` writes to a file `.weights.h5`."""
    file = _InMemory("model.weights.h5")
    keras.Model.save_weights(model, file)
    return file.getvalue()


def load_weights(model: keras.Model, content: bytes) -> None:
    """Does what `keras.Model.load_weights` does with a file `.weights.h5`.

    Raises:
        ValueError: if it is of another model.
    """
    keras.Model.load_weights(model, _InMemory("model.weights.h5", content))


def archive(model: keras.Model, **options: Any) -> bytes:
    """What `keras.Model.save`, of these options, writes to a file `.keras`."""
    file = _InMemory("model.keras")
    keras.Model.save(model, file, **options)
    return file.getvalue()


def write_over(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file that the user has named.

    Raises:
        KganError: if it cannot be written.
    """
    try:
        write(path, content)
    except OSError as error:
        raise KganError(f"Expected to write {path}. Received: {reason(error)}") from error
