"""Images decoded once, in a file of their own."""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kgan.errors import KganError
from kgan.files import clear, replacing

# head, images, JSON, length of the JSON, SHA-256 of the JSON
_HEAD = b"kgan images 1\n".ljust(4096, b"\0")
_TAIL = 8 + 32
_STORED = {"resize": "fit"}  # names in files, as kgan 0.1 wrote them: caches outlive versions


class Stale(Exception):
    """A cache that cannot be used, and why; it may be written again."""


class Writer:
    """Writes a cache, image by image; see `writing`."""

    def __init__(self, file, image_shape: tuple[int, int, int]):
        self._file = file
        self._shape = image_shape
        self._sums = []  # of each time `append` is called, the number of images and their checksum
        file.write(_HEAD)

    def append(self, images: np.ndarray) -> None:
        """Adds uint8 images (n, height, width, channels)."""
        if len(images):
            self._file.write(images)
            self._sums.append([len(images), zlib.crc32(images)])

    def finish(self, key: dict[str, Any], facts: dict[str, Any]) -> None:
        """Ends the file with what it was made from, and what was found in making it."""
        key = {_STORED.get(name, name): value for name, value in key.items()}
        table = {"key": key, "facts": facts, "shape": self._shape, "sums": self._sums}
        text = json.dumps(table).encode()
        self._file.write(text + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest())


@contextmanager
def writing(path: Path, image_shape: tuple[int, int, int], images: int) -> Iterator[Writer]:
    """A `Writer` of a cache that appears whole, once the block has ended, or not at all.

    Args:
        path: of the cache; its folder is made if need be.
        image_shape: (height, width, channels).
        images: number of images that are to come, at most.

    Raises:
        KganError: if there is no room for them, or the file cannot be written.
    """
    needed = images * int(np.prod(image_shape))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(path.parent)  # of what holds the space that is needed
        free = shutil.disk_usage(path.parent).free
        if free < needed:
            raise KganError(
                f"Expected {needed:,} bytes of free disk for the cache {path}. Received: {free:,}"
            )
        with replacing(path) as partial, open(partial, "wb") as file:
            yield Writer(file, image_shape)
    except OSError as error:
        raise KganError(
            f"Expected a cache that can be written. Received: {path}: {error.strerror or error}"
        ) from None


def read(path: Path, key: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """The images of a cache, mapped into memory, and the facts kept with them.

    Args:
        path: of the cache.
        key: what it must have been made from.

    Raises:
        FileNotFoundError: if there is none.
        Stale: if it is torn, damaged or made from something else.
        KganError: if it is something else than a cache, which must not be overwritten.
    """
    if path.is_dir():
        raise KganError(f"Expected a file as cache. Received: the folder {path}")
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(len(_HEAD)) != _HEAD[:size]:
            raise KganError(
                f"Expected a new file for the cache, or one that this kgan wrote. Received: {path}"
            )
        if size < len(_HEAD) + _TAIL:
            raise Stale("it is cut off")
        file.seek(-_TAIL, os.SEEK_END)
        length = int.from_bytes(file.read(8), "little")
        digest = file.read()
        if length > size - len(_HEAD) - _TAIL:
            raise Stale("it is cut off")
        file.seek(-_TAIL - length, os.SEEK_END)
        text = file.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise Stale("it is cut off or damaged")
    table = json.loads(text)
    for name, value in key.items():
        if table["key"].get(_STORED.get(name, name)) != value:
            raise Stale(f"its {name} is another")
    counts, sums = zip(*table["sums"], strict=True) if table["sums"] else ((), ())
    shape = (sum(counts), *table["shape"])
    if len(_HEAD) + int(np.prod(shape)) + length + _TAIL != size:
        raise Stale("it is cut off or damaged")
    if 0 in shape:  # nothing cannot be mapped
        return np.empty(shape, np.uint8), table["facts"]
    images = np.memmap(path, np.uint8, "r", offset=len(_HEAD), shape=shape)
    ends = np.cumsum(counts)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda n, end: zlib.crc32(images[end - n : end]), counts, ends)
        if tuple(found) != sums:
            raise Stale("its images are damaged")
    return images, table["facts"]
