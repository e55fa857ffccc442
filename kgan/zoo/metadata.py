"""`metadata.json` of a preset: its fields, and what each of them may be. Imports no TensorFlow."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from kgan.checks import SHA256, Bound, free_memory, or_none, shape_of_images, whole
from kgan.errors import KganError, short
from kgan.files import sha256
from kgan.untrusted import text

FORMAT = 2  # of what is written
FORMATS = (1, 2)  # of what is read
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
RECIPE, CARD, SAMPLES, LICENCE = "recipe.toml", "README.md", "samples.png", "LICENSE"
NEIGHBOURS, TRANSLATIONS, CURVES = "neighbours.png", "translations.png", "curves.png"
PICTURES = (NEIGHBOURS, TRANSLATIONS, CURVES)  # which a card shows where they are there
_NAMES = {CONFIG, WEIGHTS, METADATA, RECIPE, CARD, SAMPLES, LICENCE, *PICTURES}
_GRAPHS = ".onnx"

MOST_FILES = 32
_MOST_PLAYERS = 16
_MOST_BYTES = {
    CONFIG: text.MOST_JSON,
    RECIPE: text.MOST_TOML,
    CARD: 1 << 20,
    LICENCE: 1 << 20,
}
_MOST_GRAPH = 1 << 20
_MOST_OTHER = 1 << 25
# With optimizers that keep all they can, a model takes 8 times the size of its weights: 0.8 GB.
_MOST_WEIGHTS = 96  # MB


def graph_file(player: str) -> str:
    """What the graph of an averaged network is called."""
    return player + _GRAPHS


def is_graph(name: str) -> bool:
    """Whether a file of a preset is a graph, by its name."""
    return name.endswith(_GRAPHS)


def is_known(name: str) -> bool:
    """Whether kgan writes files of that name into presets."""
    return name in _NAMES or is_graph(name)


def number_of_samples(metadata: dict[str, Any]) -> int:
    """How many samples the preset's picture shows; 0 if there is none.

    A model that needs pictures to make pictures of has none; format 1 has no such model.
    """
    return metadata.get("samples", 64) or 0


def required(metadata: dict[str, Any]) -> tuple[str, ...]:
    """The files that a preset must have."""
    return (CONFIG, WEIGHTS, RECIPE, CARD, *([SAMPLES] if number_of_samples(metadata) else []))


def read(path: Path, pin: str | None = None, own: bool = False) -> dict[str, Any]:
    """The metadata in a file, checked.

    Args:
        path: of the file.
        pin: hash that it must have.
        own: see `check`.

    Raises:
        KganError: see `check`; if it cannot be read, or has another hash.
    """
    return check(read_json(path, pin), path, own)


def write(directory: Path, metadata: dict[str, Any]) -> None:
    """Writes the metadata of a preset, with the hashes of all files beside them."""
    files = sorted(path for path in directory.iterdir() if path.name != METADATA)
    metadata = {
        **metadata,
        "files": {
            path.name: {"sha256": sha256(path), "size": path.stat().st_size} for path in files
        },
    }
    _check_fields(metadata, directory)
    text.check(metadata, str(directory))
    (directory / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", "utf-8")


def check(metadata: dict[str, Any], where: str | os.PathLike, own: bool = False) -> dict[str, Any]:
    """Returns metadata if they are what `write` writes, of files that may be read.

    Args:
        metadata: as a file has them.
        where: named in errors.
        own: whether it is a directory that the user has named, whose weights may take half of the
            free memory, rather than something of a registry or of the web.

    Raises:
        KganError: if they are of another format, name too large a file, or anything in them that
            is printed, computed with or taken for a file is not what it should be.
    """
    check_format(metadata, where)
    _check_fields(metadata, where)
    for name, file in metadata["files"].items():
        most = most_bytes(name, own)
        if file["size"] > most:
            hint = "; KGAN_MOST_WEIGHTS, in MB, allows more" if name == WEIGHTS else ""
            raise KganError(
                f"Expected at most {most:,} bytes of {name}. Received: {file['size']:,} in "
                f"{where}{hint}"
            )
    return metadata


def check_part(values: dict[str, Any], where: str) -> None:
    """Raises KganError unless values can stand in the metadata of a preset, as far as they go."""
    for key in _FIELDS.keys() & values.keys():
        _FIELDS[key].check(key, values[key], where)
    text.check(values, where)


def check_format(values: dict[str, Any], where: str | os.PathLike) -> None:
    """Raises KganError unless the values of a file are of a format that this kgan reads."""
    received = values.get("format")
    if type(received) is not int or received not in FORMATS:
        raise KganError(
            f"Expected a preset of format {' or '.join(map(str, FORMATS))}. Received: format "
            f"{short(received)} in {where}; a newer kgan may read it"
        )


def is_of_another_format(path: Path) -> bool:
    """Whether a file is whole, and of a kgan that writes another format than this one reads."""
    try:
        received = read_json(path).get("format")
    except KganError:
        return False
    return type(received) is int and received not in FORMATS


def check_pins(pins: dict[str, Any], where: str | os.PathLike) -> None:
    """Raises KganError unless a registry holds names of presets, and hashes of their metadata."""
    for name, pin in pins.items():
        if not (_is_line(name) and os.path.basename(name) == name and _is_hash(pin)):
            raise KganError(
                f"Damaged registry: expected names and SHA-256. Received: {short(name)}: "
                f"{short(pin)} in {where}"
            )


def check_file(path: Path) -> None:
    """Raises KganError unless there is a file, or a link to one.

    Links are what a hub's cache is made of. Nothing is lost by following one: what is read is
    bounded, and has the hash that the metadata name.
    """
    if path.is_file():
        return
    received = "is missing"
    if path.is_symlink() and not path.exists():
        received = "is a link to nothing"
    elif path.exists():
        received = "is a directory" if path.is_dir() else "is no regular file"
    raise KganError(f"Incomplete preset: {path} {received}")


def read_json(path: Path, pin: str | None = None) -> dict[str, Any]:
    """The table in a small file of a preset or a registry; `pin` is the hash that it must have.

    Raises:
        KganError: if it cannot be read, has another hash, or is no table of plain values.
    """
    try:
        content = text.read_bytes(path, text.MOST_JSON)
        received = hashlib.sha256(content).hexdigest()
        if pin not in (None, received):
            raise KganError(
                f"{path} has SHA-256 {received[:12]}…, the registry expects {pin[:12]}…. Install "
                "kgan again, or remove the changed entry"
            )
        return text.parse_json(content, str(path))
    except KganError as error:
        raise KganError(f"Damaged preset: {error}") from None


def _check_fields(metadata, where, keys=None):
    for key in keys or _FIELDS:
        bound = _FIELDS[key]
        if not bound.fits(metadata.get(key)):
            raise KganError(
                f"Damaged preset: expected {key} to be {bound.expected}. Received: "
                f"{short(metadata.get(key))} in {where}"
            )


def most_bytes(name: str, own: bool = False) -> int:
    """The most bytes that a file of a preset may have; `own`: see `check`."""
    if name != WEIGHTS:
        return _MOST_GRAPH if is_graph(name) else _MOST_BYTES.get(name, _MOST_OTHER)
    most = os.environ.get("KGAN_MOST_WEIGHTS") or str(_MOST_WEIGHTS)
    if not re.fullmatch("[0-9]{1,6}", most):
        raise KganError(f"Expected KGAN_MOST_WEIGHTS to be a number of MB. Received: {most!r}")
    return max(int(most) << 20, free_memory() // 2 if own else 0)


def most_memory(size: int) -> int:
    """The most bytes that a preset may take in memory, whatever it holds.

    Args:
        size: bytes of its weights, if they are more than those of others may be.
    """
    return 8 * max(_MOST_WEIGHTS << 20, most_bytes(WEIGHTS), size)


def _is_line(value):
    return isinstance(value, str) and 0 < len(value) <= 1000 and not re.search(r"[\t\n]", value)


def _is_lines(value):
    return isinstance(value, list) and all(map(_is_line, value))


_is_hash = SHA256.fits
_is_count = whole(0).fits


def _are_parameters(value):
    return (
        isinstance(value, dict)
        and 0 < len(value) <= _MOST_PLAYERS
        and all(re.fullmatch(r"[a-z]\w{0,39}", name, re.ASCII) for name in value)
        and all(map(_is_count, value.values()))
    )


def _are_versions(value):
    return (
        isinstance(value, dict)
        and {"kgan", "keras", "tensorflow"} <= value.keys()
        and all(_is_line(line) for pair in value.items() for line in pair)
    )


def _is_training(value):
    return (
        isinstance(value, dict)
        and _is_count(value.get("images_seen"))
        and isinstance(value.get("seconds"), int | float | None)
        and _is_line(value.get("hardware"))
        and _is_selected(value.get("selected"))
    )


def _is_selected(value):
    """By which metric of which value a snapshot is to be chosen; before 0.2, nothing else."""
    if value is None:
        return True
    new = {
        "extractor_sha256": _is_hash,
        "seed": _is_count,
        "images": _is_count,
        "places": _is_line,
    }
    return (
        isinstance(value, dict)
        and _is_line(value.get("metric"))
        and type(value.get("value")) in (int, float)
        and _is_count(value.get("snapshots", 0))
        and (new.keys().isdisjoint(value) or all(fits(value.get(key)) for key, fits in new.items()))
    )


def _are_metrics(value):
    return isinstance(value, list) and all(isinstance(result, dict) for result in value)


def _are_files(value):
    # Two that differ in case would be one on some systems.
    return (
        isinstance(value, dict)
        and len({name.lower() for name in value}) == len(value) <= MOST_FILES
        and all(re.fullmatch(r"\w[\w.-]{0,99}", name, re.ASCII) for name in value)
        and METADATA not in value
        and all(
            isinstance(file, dict) and _is_hash(file.get("sha256")) and _is_count(file.get("size"))
            for file in value.values()
        )
    )


_LINE = Bound("one line of text", _is_line)
_FIELDS = {
    "name": _LINE,
    "model": _LINE,
    "dataset": or_none(_LINE),
    "licence": or_none(_LINE),
    "image_shape": shape_of_images(),
    "num_classes": or_none(whole(1, 100_000)),
    "class_names": or_none(Bound("a list of lines of text", _is_lines)),
    "parameters": Bound(f"counts by the names of 1 to {_MOST_PLAYERS} networks", _are_parameters),
    "samples": or_none(whole(0, 10_000)),
    "versions": Bound("a table of kgan, keras and tensorflow", _are_versions),
    "training": Bound("a table with images_seen, seconds and hardware", _is_training),
    "metrics": or_none(Bound("a list of tables", _are_metrics)),
    "files": Bound(
        f"plain file names, at most {MOST_FILES}, each with its sha256 and size", _are_files
    ),
}
