"""A preset as files: read once, written whole or not at all. Imports no TensorFlow."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgan import recipe as recipes
from kgan.checks import MOST_SIDE, or_none, whole
from kgan.errors import KganError, printable, short
from kgan.files import expanded, recover, replacing_directory, sha256
from kgan.recipe import Recipe
from kgan.untrusted.text import MOST_TOML, parse_json, parse_toml
from kgan.untrusted.text import check as check_text
from kgan.zoo import download, metadata, registry
from kgan.zoo.card import card
from kgan.zoo.metadata import (
    CARD,
    CONFIG,
    LICENCE,
    METADATA,
    PICTURES,
    RECIPE,
    WEIGHTS,
)

_KEPT = (CONFIG, RECIPE, WEIGHTS)  # and graphs: what is parsed


@dataclass(frozen=True)
class Preset:
    """A preset whose files have the hashes in its metadata; each of them was read once.

    Attributes:
        directory: where it is.
        metadata: see `kgan.zoo.metadata`.
        content: the bytes of `config.json`, `recipe.toml`, the weights and the graphs that were
            hashed.
        source: what it was asked for by.
        trusted: whether its metadata are pinned by the registry of this installation.
    """

    directory: Path
    metadata: dict[str, Any]
    content: dict[str, bytes] = field(repr=False)
    source: str
    trusted: bool = False

    @property
    def graphs(self) -> dict[str, bytes]:
        """Its graphs by their names, if they may be run; see `kgan.zoo.sampler`."""
        found = {name: value for name, value in self.content.items() if metadata.is_graph(name)}
        return found if self.trusted else {}

    @property
    def config(self) -> dict[str, Any]:
        """The class and the arguments of its model, as `config.json` has them.

        Raises:
            KganError: if they are no JSON, or of another format than the metadata.
        """
        where = self.directory / CONFIG
        try:
            config = parse_json(self.content[CONFIG], str(where))
        except KganError as error:
            raise KganError(f"Damaged preset: {error}") from None
        metadata.check_format(config, where)
        if config["format"] != self.metadata["format"]:
            raise KganError(
                f"Damaged preset: expected format {self.metadata['format']}, as in {METADATA}. "
                f"Received: format {config['format']} in {where}"
            )
        return config

    @property
    def translate_size(self) -> int | None:
        """Pixels of the shorter side that its model says pictures are to have which it translates.

        Raises:
            KganError: if that is no size; see `config`.
        """
        arguments = self.config.get("config")
        said = arguments.get("translate_size") if isinstance(arguments, dict) else None
        where = str(self.directory / CONFIG)
        return or_none(whole(1, MOST_SIDE)).check("translate_size", said, where)

    @property
    def recipe(self) -> Recipe:
        """What it was trained by.

        Raises:
            KganError: if it is no recipe.
        """
        where = str(self.directory / RECIPE)
        return recipes.from_dict(parse_toml(self.content[RECIPE], where), where)

    @property
    def weights_sha256(self) -> str:
        """The hash of its weights."""
        return self.metadata["files"][WEIGHTS]["sha256"]

    @property
    def lineage(self) -> dict[str, Any]:
        """What a recipe says of this preset as its `parent`."""
        table = {
            "name": self.metadata["name"],
            "source": self.source,
            "images_seen": self.metadata["training"]["images_seen"],
            "weights_sha256": self.weights_sha256,
        }
        own = self.recipe.parent
        return {**table, "parent": own} if own else table


def read(source: str | os.PathLike) -> Preset:
    """Reads a preset, fetched if need be, and checks the hashes of all its files.

    Args:
        source: see `kgan.zoo.registry.resolve`.

    Raises:
        KganError: if it is missing, damaged or of a newer format.

    Example:

    >>> read("dcgan-mnist").recipe.model
    'DCGAN'
    """
    place, pin = registry.resolve(source)
    if not download.is_url(place):
        trusted = pin is not None and Path(place).parent == registry.builtin_directory()
        return _read(Path(place), pin, source, registry.is_own(place), trusted)
    directory = download.fetch_preset(place, pin, hashes=False)  # they are checked here
    try:
        return _read(directory, directory.name, source)
    except KganError:  # it was whole once
        directory = download.fetch_preset(place, pin)
        return _read(directory, directory.name, source)


def _read(directory, pin, source, own=False, trusted=False):
    values = metadata.read(directory / METADATA, pin, own)
    files, needed = values["files"], metadata.required(values)
    content = {}
    for name in (*needed, *sorted(files.keys() - set(needed))):
        try:
            content[name] = _read_file(directory / name, files.get(name))
        except OSError as error:
            raise KganError(f"Incomplete preset: {error}") from None
    kept = {name: content[name] for name in content if _is_kept(name)}
    return Preset(directory, values, kept, os.fspath(source), trusted)


def read_metadata(source: str | os.PathLike) -> tuple[str | None, dict[str, Any]]:
    """The directory (None while it is remote) and the metadata of a preset, no other file read.

    Args:
        source: see `kgan.zoo.registry.resolve`.

    Raises:
        KganError: if there is no such preset, or its metadata are damaged.
    """
    place, pin = registry.resolve(source)
    if not download.is_url(place):
        return place, metadata.read(Path(place) / METADATA, pin, own=registry.is_own(place))
    address = f"{place}/{METADATA}"
    return None, metadata.check(download.fetch_json(address, pin)[0], address)


@contextmanager
def writing(directory: str | os.PathLike) -> Iterator[Path]:
    """A temporary directory that takes the place of `directory` once the block has succeeded.

    Raises:
        KganError: if `directory` holds something that is not a preset.

    Example:

    ```python
    with writing("my-zoo/copy") as partial:
        copy(read("my-zoo/dcgan-mnist"), partial)
    ```
    """
    directory = expanded(directory)
    check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with replacing_directory(directory) as partial:
        yield partial


def check_replaceable(directory: Path) -> None:
    """Raises KganError if writing a preset there would destroy anything but a preset of kgan's."""
    recover(directory)
    if directory.exists() and not directory.is_dir():
        raise KganError(f"Expected a directory to write a preset to. Received: file {directory}")
    others = set(os.listdir(directory)) if directory.is_dir() else set()
    why = ""
    if METADATA in others:
        try:
            values = metadata.read(directory / METADATA, own=True)
            others -= {METADATA, *values["files"]}
        except KganError as error:  # whatever it is of, it is not of a preset
            why = f" ({error})"
    if others:
        shown = ", ".join(map(printable, sorted(others)[:5]))
        raise KganError(
            "Expected an empty or new directory, or a preset to replace. Received: "
            f"{directory}, which holds other files: {shown}{why}"
        )


def copy(found: Preset, directory: Path) -> None:
    """Copies a preset's files, and nothing that its metadata do not list, into a directory.

    Args:
        found: as it was read.
        directory: that exists; see `writing`.
    """
    for name in (METADATA, *found.metadata["files"]):
        shutil.copyfile(found.directory / name, directory / name)


def check_recipe(recipe: Recipe) -> None:
    """Looks whether a recipe can stand in a preset, before it is trained rather than afterwards.

    Raises:
        KganError: for names that no preset may have (empty, with control characters, too long),
            for more text than a preset may hold, and for values that TOML has not.
    """
    where = "the recipe"
    data = recipe.data
    for name in data.class_names:
        try:
            metadata.check_part({"class_names": [name]}, where)
        except KganError:
            raise KganError(
                "Expected names of classes on one line, of at most 1,000 characters, none of them "
                "control or bidirectional characters, which no preset can hold. Received: "
                f"{short(name)}; rename its folder"
            ) from None
    try:
        metadata.check_part(
            {
                "name": recipe.name,
                "dataset": data.shown_title or None,
                "licence": data.licence or None,
            },
            where,
        )
        check_text(json.loads(json.dumps(recipe.as_dict(), default=_plain)), where)
    except KganError as error:
        raise KganError(
            f"{error}. No preset can hold it: rename what is called so, or change the recipe"
        ) from None
    content = recipe.to_toml().encode()
    if len(content) > MOST_TOML:
        raise KganError(
            f"Expected a recipe of at most {MOST_TOML:,} bytes, which is what a preset can hold. "
            f"Received: {len(content):,}, with {len(data.class_names):,} class names; fewer or "
            "shorter names and notes make it smaller"
        )
    recipes.from_dict(parse_toml(content, where), where)


def _plain(value):
    """Refuses a value that JSON and TOML have not."""
    raise KganError(
        "Expected numbers, text, lists and tables in the recipe. Received: "
        f"{type(value).__name__} {short(value)}"
    )


def complete(
    directory: Path,
    values: dict[str, Any],
    header: str = "",
    address: str | None = None,
    zoo: str | None = None,
) -> None:
    """Writes what describes a preset's other files: card, licence, and metadata with all hashes.

    Args:
        directory: of the preset, with its recipe in it.
        values: the metadata; their `format` is that of the weights, which are left as they are.
        header: what stands above the card.
        address, zoo: see `kgan.zoo.card.card`.
    """
    recipe = recipes.read(directory / RECIPE)
    pictures = [name for name in PICTURES if (directory / name).is_file()]
    text = card(values, recipe, pictures, address, zoo)
    (directory / CARD).write_text(header + text, "utf-8")
    if recipe.data.licence_note:
        (directory / LICENCE).write_text(recipe.data.licence_note + "\n", "utf-8")
    metadata.write(directory, values)


def _is_kept(name):
    return name in _KEPT or metadata.is_graph(name)


def _read_file(path, expected) -> bytes | None:
    """Checks a file; returns its bytes if they are to be parsed."""
    if expected is None:
        raise KganError(f"Incomplete preset: {path} is missing")
    metadata.check_file(path)
    size = path.stat().st_size
    if size != expected["size"]:
        raise KganError(
            f"Damaged preset: {path} has {size:,} bytes, expected {expected['size']:,}. Get the "
            "preset again"
        )
    content = None
    if _is_kept(path.name):
        with open(path, "rb") as file:
            content = file.read(size)
        received = hashlib.sha256(content).hexdigest()
    else:
        received = sha256(path)
    if received != expected["sha256"]:
        raise KganError(
            f"Damaged preset: {path} has SHA-256 {received[:12]}…, expected "
            f"{expected['sha256'][:12]}…. Get the preset again"
        )
    return content
