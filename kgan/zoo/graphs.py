"""The graphs that this machine has made, by which it samples presets that no registry pins."""

import hashlib
from contextlib import suppress
from pathlib import Path

from kgan.files import write
from kgan.zoo import download

_VERSION = b"1"  # of the graphs that are made: another makes them anew
_DIGEST = 32  # bytes, of SHA-256


def note(config: bytes, weights: bytes, graph: bytes) -> None:
    """Keeps a graph that was made from a checked model.

    Args:
        config, weights: files of its preset.
        graph: of its averaged generator.
    """
    path = _place(config, weights)
    with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, hashlib.sha256(graph).digest() + graph)


def made(config: bytes, weights: bytes) -> bytes | None:
    """The graph of a preset that this machine has made; None if there is none that is whole."""
    with suppress(OSError):
        content = _place(config, weights).read_bytes()
        digest, graph = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(graph).digest() == digest:
            return graph
    return None


def directory() -> Path:
    """Where they are."""
    return download.cache_directory() / "graphs"


def place(config_sha256: str, weights_sha256: str) -> Path:
    """Where the graph of a preset is, by the hashes of its files, if this machine has made it."""
    digest = hashlib.sha256(_VERSION)
    for received in (config_sha256, weights_sha256):
        digest.update(bytes.fromhex(received))
    return directory() / f"{digest.hexdigest()}.onnx"


def _place(config: bytes, weights: bytes) -> Path:
    return place(hashlib.sha256(config).hexdigest(), hashlib.sha256(weights).hexdigest())
