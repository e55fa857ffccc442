"""What a source names: a preset, or the newest state of a run. Imports no TensorFlow by itself."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgan import recipe as recipes
from kgan.checks import PATH
from kgan.errors import KganError
from kgan.files import clear, expanded, images_in_name
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
    made = building.of_checkpoint(run / CHECKPOINTS, recipes.read(run / RECIPE))
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


def _preset_place(source):
    """Where the preset is that a source names; None if it is a run's newest checkpoint."""
    run = run_directory(source)
    return source if run is None else newest(run)


def run_directory(source: str | os.PathLike) -> Path | None:
    """The run directory that a source names; None if it names something else."""
    text = os.fspath(PATH.check("source", source))
    directory = expanded(text)
    if download.is_url(text) or not (directory / CHECKPOINTS).is_dir() or registry.find(text):
        return None
    is_run = (directory / RECIPE).is_file() and not (directory / METADATA).exists()
    return directory if is_run else None


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
        values = metadata.read(run / PRESET / METADATA)
        asked, made = (recipes.read(place / RECIPE) for place in (run, run / PRESET))
    except KganError:
        return False
    training = values["training"]
    chosen = (training.get("selected") or {}).get("snapshots")  # it need not be the last
    return bool(asked.images == made.images and (chosen or training["images_seen"] >= made.images))


def _seen(path):
    """The images that a preset has seen by its metadata; -1 if there is none that is whole."""
    try:
        return metadata.read(path)["training"]["images_seen"]
    except KganError:
        return -1
