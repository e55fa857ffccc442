"""Files: their hashes, and writes that happen whole or not at all."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

# Endings of exported models by format; a SavedModel is a directory.
EXPORTS = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}

_PREFIX = ".partial-"
_TOKEN = 8  # characters that tell the partial files of one path apart
_LONGEST_NAME = 255  # bytes, on the file systems of Linux, macOS and Windows
_ABANDONED = 86400  # seconds, of what cannot tell whether a process still writes it
_NEW, _OLD = "new", "old"
_DESCRIPTORS = ("/dev", "/dev/fd", "/proc/self/fd")  # what is there may lead to a regular file
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a write, which names no file


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path in which a leading `~` is the home directory, as in a shell."""
    return Path(os.path.expanduser(path))


def write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes a file whole or not at all, as `replacing` does.

    Args:
        path: the file to write.
        content: all of it. What other libraries make is made in memory, and written here: on a
            disk that is full, some of them end the process.

    Raises:
        OSError: see `replacing`.

    Example:

    ```python
    write("scores.json", json.dumps(scores))
    ```
    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Writes a file whole or not at all: aside first, then in one step over its path.

    A device, a pipe, or a descriptor such as /dev/stdout is written to, and stays what it is.

    The content is on the disk before it takes its place, and the place before this returns: a loss
    of power, too, leaves one file or the other.

    Args:
        path: the file to write. What stands there is untouched until the block has succeeded.

    Yields:
        A path of the same name in a hidden directory beside, for the block to write to. It is gone
        afterwards, whether the block succeeds or not; after a kill, with the next write beside it.

    Raises:
        OSError: if the directory does not exist, `path` is a directory, or the write fails.

    Example:

    ```python
    with replacing("log.csv") as partial:
        partial.write_text(table, "utf-8")
    ```
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory() as room:
            yield (partial := Path(room, path.name))
            with open(path, "ab") as stream:
                stream.write(partial.read_bytes())
        return
    _check(path)
    with aside(path) as room:
        partial = room / path.name
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)


@contextmanager
def replacing_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Writes a directory whole or not at all, as `replacing` does a file.

    No system puts a directory in the place of another in one step. One that was taken away by a
    process that was killed before the next step is put back by `recover`.

    Args:
        path: the directory to write, or a link to it, which stays. What stands there is removed
            once the block has succeeded.

    Yields:
        An empty directory on the same disk, for the block to fill.

    Raises:
        OSError: if a write fails; what stands there is as it was.
    """
    path = Path(os.path.realpath(path))
    with aside(path) as room:
        new, old = room / _NEW, room / _OLD / path.name
        new.mkdir()
        old.parent.mkdir()
        yield new
        for directory, _, names in os.walk(new, topdown=False):
            for name in names:
                _flush(Path(directory, name))
            _flush(Path(directory))
        try:
            with suppress(FileNotFoundError):
                os.replace(path, old)
            os.replace(new, path)
        finally:  # an interrupt between the two must not cost what was there
            _put_back(room)
        _flush(path.parent)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A hidden directory beside a path, for what is to take its place; removed afterwards.

    It is held until then, and what others have left beside it is cleared.

    Raises:
        OSError: if none can be made there.
    """
    clear(Path(os.path.abspath(path)).parent)
    with ExitStack() as held:
        while True:
            whole = Path(os.path.abspath(path))  # "." has no name
            room = whole.with_name(_PREFIX + os.urandom(_TOKEN // 2).hex() + _end(whole.name))
            room.mkdir()
            with suppress(FileNotFoundError):
                held.enter_context(hold(room, wait=True))
                if room.exists():
                    break  # else another process has cleared it before it was held
        try:
            yield room
        except OSError as error:  # is to name what the user has named
            if str(error.filename or "").startswith(str(room)) or (
                error.filename is None and error.errno in _NO_ROOM
            ):
                error.filename = os.fspath(path)
            raise
        finally:
            shutil.rmtree(room, ignore_errors=True)


def recover(path: str | os.PathLike[str]) -> None:
    """Puts a directory back that a process took away to replace it, and was killed.

    Args:
        path: the directory. If anything is there, nothing is done.
    """
    path = Path(os.path.realpath(path))
    if not os.path.lexists(path):
        clear(path.parent)


def partials(directory: str | os.PathLike[str]) -> list[Path]:
    """What writers of a directory's files are writing at this moment, or have left, killed."""
    pattern = re.escape(_PREFIX) + f"[0-9a-f]{{{_TOKEN}}}-.*"
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [Path(directory, n) for n in sorted(names) if re.fullmatch(pattern, n, re.DOTALL)]


def clear(directory: str | os.PathLike[str]) -> None:
    """Removes what writers of a directory's files have left that were killed.

    Directories that these had taken away to replace them are put back. What a living process is
    writing stays, and so does what cannot be removed.
    """
    for partial in partials(directory):
        with suppress(OSError):
            abandoned = time.time() - partial.lstat().st_mtime > _ABANDONED
            if not partial.is_dir() or partial.is_symlink():  # of a kgan before, which held nothing
                if abandoned:
                    partial.unlink()
                continue
            with hold(partial) as held:
                if (held or held is None and abandoned) and _is_ours(partial):
                    _put_back(partial)
                    shutil.rmtree(partial)


@contextmanager
def hold(directory: Path, wait: bool = False) -> Iterator[bool | None]:
    """Holds a directory while the block runs; a process that ends lets go, however it does.

    Args:
        directory: that is there.
        wait: whether to wait for another process that holds it.

    Yields:
        Whether it is held: False if another process does, None where there are no such locks.
    """
    if fcntl is None:
        yield None
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        except OSError:
            held = None
        yield held
    finally:
        os.close(descriptor)


def size(directory: str | os.PathLike[str]) -> int:
    """The bytes of all files in a directory and below it; links count for nothing."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # of another process, and gone
                path = Path(place, name)
                total += 0 if path.is_symlink() else path.lstat().st_size
    return total


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


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a device, a pipe or a name of a descriptor: nothing can take its place."""
    path = Path(os.path.abspath(path))
    if os.fspath(path.parent) in _DESCRIPTORS:
        return path.exists()
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_ours(room):
    """Whether a directory holds nothing but what `replacing` and its like put there."""
    end = room.name[len(_PREFIX) + _TOKEN :]
    return all(name in (_NEW, _OLD) or _end(name).endswith(end[1:]) for name in os.listdir(room))


def _put_back(room):
    """Puts back what was taken away to be replaced, if nothing has come in its place."""
    with suppress(FileNotFoundError):
        for old in (room / _OLD).iterdir():
            path = room.with_name(old.name)
            if not os.path.lexists(path):
                os.replace(old, path)


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


def _flush(path):
    """Waits until a file, or the names in a directory, are on the disk."""
    directory = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if directory else os.O_RDWR)
    except OSError:
        if directory:  # Windows opens no directories
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not directory:  # of which not all file systems can tell
            raise
    finally:
        os.close(descriptor)
