"""The graphs that this machine has made, by which it samples presets that no registry pins."""

import hashlib
from contextlib import suppress
from pathlib import Path

from kgan.files import write
from kgan.zoo import download

_VERSION = 1  # of the graphs that are made: another makes them anew
_DIGEST = 32  # bytes, of SHA-256


def note(config: str, weights: str, graph: bytes) -> None:
    """Keeps a graph that was made from a checked model.

    Args:
        config, weights: SHA-256 of files of its preset.
        graph: of its averaged generator.
    """
    path = place(config, weights)
    with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, hashlib.sha256(graph).digest() + graph)


def made(config: str, weights: str) -> bytes | None:
    """The graph that was kept of a preset; None if there is none that is whole."""
    with suppress(OSError):
        content = place(config, weights).read_bytes()
        digest, graph = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(graph).digest() == digest:
            return graph
    return None


def directory() -> Path:
    """Where they are."""
    return download.cache_directory() / "graphs"


def place(config: str, weights: str) -> Path:
    """Where the graph of a preset is, by the hashes of its files, if this machine has made it."""
    key = hashlib.sha256(f"{_VERSION} {config} {weights}".encode()).hexdigest()
    return directory() / f"{key}.onnx"
