"""The graphs that this machine has made, by which it samples presets that no registry pins."""

import base64
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from kgan.files import write
from kgan.zoo import download

_VERSION = 3  # of the graphs that are made: another makes them anew
_DIGEST = 32  # bytes, of SHA-256


def note(config: str, weights: str, graphs: dict[str, bytes]) -> None:
    """Keeps graphs that were made from a checked model, in one file: all of them, or none.

    Args:
        config, weights: SHA-256 of files of its preset.
        graphs: of its averaged networks, by name.
    """
    path = place(config, weights)
    texts = {name: base64.b64encode(graph).decode() for name, graph in graphs.items()}
    content = json.dumps(texts).encode()
    with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, hashlib.sha256(content).digest() + content)


def made(config: str, weights: str) -> dict[str, bytes]:
    """The graphs that were kept of a preset; none if there is no file that is whole."""
    with suppress(OSError):
        noted = place(config, weights).read_bytes()
        digest, content = noted[:_DIGEST], noted[_DIGEST:]
        if hashlib.sha256(content).digest() == digest:
            return {name: base64.b64decode(text) for name, text in json.loads(content).items()}
    return {}


def directory() -> Path:
    """Where they are."""
    return download.cache_directory() / "graphs"


def place(config: str, weights: str) -> Path:
    """Where the graphs of a preset are, by the hashes of its files, if they have been made."""
    key = hashlib.sha256(f"{_VERSION} {config} {weights}".encode()).hexdigest()
    return directory() / f"{key}.onnx"
