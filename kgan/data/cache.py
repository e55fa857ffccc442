"""Images decoded once, in a file of their own."""

import hashlib
import json
import os
import shutil
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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


class Stored(np.lib.mixins.NDArrayOperatorsMixin):
    """The images of a cache as an array that is read from the file as it is indexed.

    Not mapped: a mapped file that somebody cuts off ends the process with SIGBUS. Whatever is done
    with it but indexing reads all of it into memory.

    Attributes:
        failure: the error, once the file was found to be cut off or changed: TensorFlow's
            pipelines pass on no more than its text.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, file, path: Path, shape: tuple[int, ...], sums: list[list[int]]):
        self.shape = shape
        self.failure: KganError | None = None
        self._file = file
        self._path = path
        self._sums = sums
        self._places = np.arange(shape[0])
        self._one_at_a_time = threading.Lock()
        self._seen = None  # of the file, when its images were whole

    def check(self) -> None:
        """Raises Stale unless the images are those that were written."""
        status = self._status()
        counts, sums = zip(*self._sums, strict=True)
        with ThreadPoolExecutor() as pool:
            found = pool.map(self._sum, np.cumsum(counts) - counts, counts)
            if tuple(found) != sums:
                raise Stale("its images are damaged")
        self._seen = status

    def __del__(self):
        self._file.close()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        rest = ()
        if isinstance(index, tuple) and index and isinstance(index[0], slice):
            index, rest = index[0], index[1:]
        elif isinstance(index, tuple):
            return np.asarray(self)[index]
        places = self._places[index]
        images = np.empty((np.size(places), *self.shape[1:]), np.uint8)
        try:
            for image, place in zip(images, np.ravel(places), strict=True):
                self._fill(image, int(place))
            if self._status() != self._seen:
                self.check()
        except (Stale, OSError) as error:
            self.failure = KganError(
                f"Expected nobody to change the cache {self._path} while it is in use. Received: "
                f"{error}; the next start makes it anew"
            )
            raise self.failure from None
        images = images.reshape(*np.shape(places), *self.shape[1:])
        return images[:, *rest] if rest else images

    def __setitem__(self, index, value):
        raise ValueError("The images of a cache are read-only")

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if copy is False:
            raise ValueError("The images of a cache are read, which makes a copy")
        return self[:].astype(dtype or np.uint8, copy=False)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        arrays = [np.asarray(one) if isinstance(one, Stored) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getattr__(self, name):  # as an array has it
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'Stored' object has no attribute {name!r}")
        return getattr(self[:0] if name in ("ndim", "itemsize") else np.asarray(self), name)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape))

    def _sum(self, start, count):
        images = np.empty((count, *self.shape[1:]), np.uint8)
        self._fill(images, int(start))
        return zlib.crc32(images)

    def _fill(self, images, start):
        """Reads contiguous images, from the one at `start` on."""
        place = len(_HEAD) + start * int(np.prod(self.shape[1:]))
        rest = memoryview(images).cast("B")
        with self._one_at_a_time:
            self._file.seek(place)
            while rest:
                read = self._file.readinto(rest)
                if not read:
                    raise Stale("it is cut off")
                rest = rest[read:]

    def _status(self):
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns


def read(path: Path, key: dict[str, Any]) -> tuple[np.ndarray | Stored, dict[str, Any]]:
    """The images of a cache and the facts kept with them.

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
    with ExitStack() as stack:
        file = stack.enter_context(open(path, "rb", buffering=0))
        table = _table(file, path, key)
        shape = (sum(count for count, _ in table["sums"]), *table["shape"])
        if 0 in shape:
            return np.empty(shape, np.uint8), table["facts"]
        images = Stored(file, path, shape, table["sums"])
        images.check()
        stack.pop_all()  # it stays open, so that it may be deleted or replaced
    return images, table["facts"]


def _table(file, path, key):
    """What a cache says of itself, seen to be whole and made from `key`."""
    size = os.fstat(file.fileno()).st_size
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
    images = sum(count for count, _ in table["sums"]) * int(np.prod(table["shape"]))
    if len(_HEAD) + images + length + _TAIL != size:
        raise Stale("it is cut off or damaged")
    return table
