"""What downloads and samplers keep on this machine. Imports no TensorFlow."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kgan import files
from kgan.errors import KganError
from kgan.zoo import download, graphs, hub
from kgan.zoo.metadata import CONFIG, METADATA, WEIGHTS, read_json

_SHA256 = "[0-9a-f]{64}"
_LEAST_OF_HASH = 6  # characters by which an entry can be named


@dataclass(frozen=True)
class Entry:
    """A preset in the cache.

    Attributes:
        name: as its metadata have it; empty if they are damaged.
        path: its directory, which is called by the hash of its metadata.
        size: bytes.
        sources: the addresses that it was got from, the last at the end.
        last_used: seconds since 1970.
        graph: where its graphs are, if this machine has made them.
    """

    name: str
    path: Path
    size: int
    sources: tuple[str, ...]
    last_used: float
    graph: Path | None

    def is_called(self, text: str) -> bool:
        """Whether a name, an address or the beginning of a hash means this entry."""
        by_hash = len(text) >= _LEAST_OF_HASH and self.path.name.startswith(text)
        return by_hash or text == self.name or text in self.sources


def entries() -> list[Entry]:
    """The presets in the cache, the last used at the end.

    What killed processes have left there is removed.
    """
    files.clear(download.cache_directory())
    try:
        paths = [path for path in download.cache_directory().iterdir() if _is_entry(path)]
    except OSError:
        return []
    return sorted((_entry(path) for path in paths), key=lambda entry: entry.last_used)


def graph_files() -> list[Path]:
    """The graphs that this machine has made."""
    directory = graphs.directory()
    if directory.is_symlink():  # leads out of the cache
        return []
    try:
        paths = sorted(directory.iterdir())
    except OSError:
        return []
    return [path for path in paths if re.fullmatch(rf"{_SHA256}\.onnx", path.name)]


def downloads() -> list[Path]:
    """What processes are downloading at this moment."""
    return files.partials(download.cache_directory())


def remove(entry: Entry) -> None:
    """Removes a preset and its graphs; who reads it at this moment gets it anew.

    Raises:
        OSError: if the cache cannot be written.
    """
    # Taken away in one step: nobody finds half of it.
    with (
        files.aside(entry.path) as room,
        files.hold(entry.path.parent, wait=True),
        suppress(FileNotFoundError),
    ):
        os.replace(entry.path, room / entry.path.name)
    if entry.graph is not None:
        entry.graph.unlink(missing_ok=True)


def remove_graphs() -> None:
    """Removes all graphs that this machine has made.

    Raises:
        OSError: if the cache cannot be written.
    """
    for path in graph_files():
        path.unlink(missing_ok=True)


def _is_entry(path):
    """Whether it is what `download` puts there, and nothing that is only called so."""
    return (
        re.fullmatch(_SHA256, path.name) is not None
        and not path.is_symlink()
        and any((path / name).is_file() for name in (METADATA, download.ORIGIN))
    )


def _entry(path):
    name, graph = "", None
    with suppress(KganError, KeyError, TypeError, ValueError):
        values = read_json(path / METADATA)
        name = str(values["name"])
        place = graphs.place(*(values["files"][f]["sha256"] for f in (CONFIG, WEIGHTS)))
        graph = place if place.is_file() and not graphs.directory().is_symlink() else None
    noted = path / download.ORIGIN  # written with each use
    last = (noted if noted.is_file() else path).stat().st_mtime
    sources = tuple(hub.shown(origin.url) for origin in download.origins(path))
    return Entry(name, path, files.size(path), sources, last, graph)
