"""Files: their hashes, and writes that happen whole or not at all."""

import errno
import glob
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".partial-"
_TOKEN = 8  # characters that tell the partial files of one path apart
_LONGEST_NAME = 255  # bytes, on the file systems of Linux, macOS and Windows


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path in which a leading `~` is the home directory, as in a shell."""
    return Path(os.path.expanduser(path))


@contextmanager
def replacing(path: str | os.PathLike[str], *, flush: bool = False) -> Iterator[Path]:
    """Writes a file whole or not at all: beside its path first, then in one step over it.

    Args:
        path: the file to write. What stands there is untouched until the block has succeeded.
        flush: bool, whether the content is on the disk before the file takes its place, and the
            place before this returns: then a loss of power, too, leaves one file or the other.

    Yields:
        A path in the same directory, for the block to write to. It ends as `path` does, for
        writers that go by the suffix; whether the block succeeds or not, it is gone afterwards.

    Raises:
        OSError: if the directory does not exist, `path` is a directory, or the write fails.

    Example:

    ```python
    with replacing("log.csv") as partial:
        partial.write_text(table, "utf-8")
    ```
    """
    path = Path(path)
    _check(path)
    partial = path.with_name(_PREFIX + os.urandom(_TOKEN // 2).hex() + _end(path.name))
    try:
        yield partial
        if flush:
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
        if flush:
            _flush_directory(path.parent)
    finally:
        with suppress(OSError):  # most often it is in its place
            partial.unlink()


def partials(directory: str | os.PathLike[str], name: str | None = None) -> list[Path]:
    """What `replacing` has left of processes that were killed, or is writing at this moment.

    Args:
        directory: the directory to look in.
        name: the file that was to be written; by default any.
    """
    end = "*" if name is None else glob.escape(_end(name))
    return sorted(Path(directory).glob(_PREFIX + "?" * _TOKEN + end))


def plain_name(text: str, otherwise: str) -> str:
    """The last part of a text of a stranger's, as the name of a file; never a path.

    Args:
        text: such as the name of a preset.
        otherwise: what takes its place if nothing is left of it.

    Example:

    >>> plain_name("../../x", "samples")
    'x'
    """
    name = re.split(r"[/\\]", text)[-1].strip(". ")
    return name if name.isprintable() and name else otherwise


def images_in_name(path: str | os.PathLike[str]) -> int:
    """The number in a name such as `images-000120000.png`; -1 of another name.

    Names sort otherwise, once a number has more digits than they were made for.
    """
    found = re.fullmatch(r"images-(\d+)(\.[a-z0-9.]+)?", Path(path).name, re.ASCII)
    return int(found[1]) if found else -1


def _end(name):
    """What follows the token: the name, of a long one only as many last bytes as have room."""
    room = _LONGEST_NAME - len(_PREFIX) - _TOKEN - 1
    return "-" + os.fsencode(name)[-room:].decode(errors="ignore")


def _check(path):
    """Raises, before any work is done, what the system would say of another path afterwards."""
    if not path.parent.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    if not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def _flush_directory(directory):
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
