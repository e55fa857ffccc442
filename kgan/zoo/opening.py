"""What a source names: a preset, or the newest state of a run. Imports no TensorFlow by itself."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgan import recipe as recipes
from kgan.checks import PATH
from kgan.errors import KganError
from kgan.files import clear, expanded, images_in_name
from kgan.recipe import Recipe
from kgan.untrusted.text import MOST_JSON, parse_json, read_bytes
from kgan.zoo import download, metadata, preset, registry
from kgan.zoo.metadata import METADATA, RECIPE
from kgan.zoo.preset import Preset

CHECKPOINTS, SNAPSHOTS, PRESET = "checkpoints", "snapshots", "preset"  # in a run directory


def read(source: str | os.PathLike) -> Preset:
    """The preset that a source names, read and checked.

    Of a run directory that is the preset of a run that has ended; else the newest snapshot, or
    what the newest checkpoint holds, if that has seen more images.

    Args:
        source: see `kgan.zoo.load`.

    Raises:
        KganError: see `kgan.zoo.preset.read`; if a run has saved nothing yet.
    """
    place = _preset_place(source)
    if place is not None:
        return preset.read(place)
    from kgan.zoo import building  # late: it imports TensorFlow

    run = run_directory(source)
    made = building.of_checkpoint(run / CHECKPOINTS, recipe_of(run))
    return replace(made, directory=run, source=os.fspath(source))


def read_metadata(source: str | os.PathLike) -> tuple[str | None, dict[str, Any]]:
    """The directory (None while it is remote) and the metadata of what a source names.

    Args:
        source: see `read`. Of a remote preset no other file is fetched.

    Raises:
        KganError: see `read`.
    """
    place = _preset_place(source)
    if place is not None:
        return preset.read_metadata(place)
    made = read(source)
    return str(made.directory), made.metadata


def must_be_built(source: str | os.PathLike) -> bool:
    """Whether `read` imports TensorFlow, for there is a run's checkpoint in place of a preset.

    Raises:
        KganError: if a run has saved nothing yet.
    """
    return _preset_place(source) is None


def _preset_place(source):
    """Where the preset is that a source names; None if it is a run's newest checkpoint."""
    run = run_directory(source)
    return source if run is None else newest(run)


def run_directory(source: str | os.PathLike) -> Path | None:
    """The run directory that a source names; None if it names something else."""
    text = os.fspath(PATH.check("source", source))
    directory = expanded(text)
    # Checkpoints may have been removed when the training had ended.
    parts = any((directory / name).is_dir() for name in (CHECKPOINTS, SNAPSHOTS, PRESET))
    if download.is_url(text) or not parts or registry.find(text):
        return None
    if (directory / METADATA).exists():
        return None
    is_run = (directory / RECIPE).is_file() or _noted_recipe(directory) is not None
    return directory if is_run else None


def recipe_of(run: Path) -> Recipe:
    """The recipe of a run; if the file is damaged, what the newest checkpoint says of it.

    Raises:
        KganError: if both are damaged, or the run is of before, whose checkpoints do not say it.
    """
    path, noted = run / RECIPE, _noted_recipe(run)
    try:
        found, text = recipes.read(path), path.read_text("utf-8", "replace")
        if noted is None or text == noted or not noted.startswith(text):  # else it is cut off
            return found
    except KganError as error:
        if noted is None:
            raise KganError(
                f"{error}; kgan train RECIPE --out {run} --resume, with the recipe that the run "
                "began with, writes it again"
            ) from None
    return recipes.from_toml(noted, f"a checkpoint of {run}")


def _noted_recipe(run):
    """The recipe in TOML that goes with the newest checkpoint that has one; None if none has."""
    states = (run / CHECKPOINTS).glob("images-*.json")
    for path in sorted(states, key=images_in_name, reverse=True):
        try:
            text = parse_json(read_bytes(path, MOST_JSON), str(path))["notes"]["recipe"]
            recipes.from_toml(text)
            return text
        except (KganError, KeyError, TypeError, AttributeError):  # torn, or of before
            continue
    return None


def newest(run: Path) -> Path | None:
    """The directory of the newest preset in a run; None if a checkpoint has seen more images.

    Raises:
        KganError: if there is none of them.
    """
    for place in (run, run / SNAPSHOTS):
        clear(place)
    if has_ended(run):
        return run / PRESET
    found = {_seen(path / METADATA): path for path in (run / SNAPSHOTS).glob("images-*")}
    found[_seen(run / PRESET / METADATA)] = run / PRESET
    states = (run / CHECKPOINTS).glob("images-*.json")
    checkpoint = max((images_in_name(path) for path in states), default=-1)
    most = max(found)
    if most == checkpoint == -1:
        raise KganError(f"Expected a run that has saved something. Received: {run}")
    return found[most] if most >= checkpoint else None


def has_ended(run: Path) -> bool:
    """Whether a run has its preset; one that was stopped leaves a preset too, of fewer images."""
    try:
        values = metadata.read(run / PRESET / METADATA, own=True)
        asked, made = recipe_of(run), recipes.read(run / PRESET / RECIPE)
    except KganError:
        return False
    training = values["training"]
    chosen = (training.get("selected") or {}).get("snapshots")  # it need not be the last
    return bool(asked.images == made.images and (chosen or training["images_seen"] >= made.images))


def _seen(path):
    """The images that a preset has seen by its metadata; -1 if there is none that is whole."""
    try:
        return metadata.read(path, own=True)["training"]["images_seen"]
    except KganError:
        return -1
