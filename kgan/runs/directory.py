"""The directory of a run: one recipe, and one process at a time."""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

from kgan import recipe as recipes
from kgan.errors import KganError, KganWarning, reason
from kgan.files import clear, partials, write
from kgan.recipe import Recipe
from kgan.zoo import metadata, opening
from kgan.zoo.metadata import METADATA, RECIPE
from kgan.zoo.preset import check_replaceable

LOCK = ".lock"
VERSIONS = "versions.json"


def check(directory: Path, resume: bool) -> None:
    """Looks, without writing, whether a run can begin in a directory, or go on.

    Raises:
        KganError: if it holds anything and `resume` is False, or something other than a run, or
            another process is training in it.
    """
    if not directory.is_dir():
        return
    occupied = set(os.listdir(directory)) - {LOCK}
    occupied -= {path.name for path in partials(directory)}  # of one killed before it had a recipe
    if occupied and not resume:
        raise KganError(
            f"Expected a new directory for the run. Received: {directory}, which is not empty; "
            "add --resume to go on with the run in it, or choose another --out"
        )
    if occupied and occupied.isdisjoint((RECIPE, opening.CHECKPOINTS)):
        raise KganError(f"Expected a run to resume in {directory}. Received: no {RECIPE}")
    if LOCK in os.listdir(directory):
        with locked(directory):
            pass


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps other processes out of a run directory, which is made if need be.

    The system lifts the lock when the process ends, however it does.

    Raises:
        KganError: if another process has it, or whatever is written in the block cannot be.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / LOCK, "a") as file:
            _lock(file, directory)
            for place in (directory, *directory.glob("*/")):
                clear(place)
            yield
    except BrokenPipeError:  # of the terminal, not of the directory
        raise
    except OSError as error:
        raise KganError(
            f"Expected to write to the run directory {directory}. Received: {reason(error)}. Its "
            "last checkpoint is whole if it is still there: make room, and go on with --resume"
        ) from error


def _lock(file, directory):
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise KganError(
            f"Expected a run directory of this process's own. Received: {directory}, in which "
            "another process is training"
        ) from None


def recipe_in(directory: Path) -> Recipe | None:
    """The recipe that a run was started with; None if there is no run, or nothing tells of it."""
    try:
        return opening.recipe_of(directory)
    except KganError:
        return None


def claim(directory: Path, recipe: Recipe, override: bool) -> None:
    """Writes the recipe into a new run directory, or checks that it is the one that is there.

    One that is damaged there is written again.

    Args:
        directory: of the run.
        recipe: to be trained in it.
        override: whether the recipe takes the place of another.

    Raises:
        KganError: if there is another one, naming the fields that differ.

    Warns:
        KganWarning: if it is damaged.
    """
    path, begun = directory / RECIPE, recipe_in(directory)
    is_whole = _holds(path, begun)
    if begun is not None:
        there, here = begun.as_dict(), recipes.from_toml(recipe.to_toml()).as_dict()
        changed = [
            f"{key}: {there[key]!r} there, {here[key]!r} now"
            for key in here
            if here[key] != there[key]
        ]
        if changed and not override:
            raise KganError(
                f"Expected the recipe that the run in {directory} was started with (--override "
                f"goes on with another). Received: {'; '.join(changed)}"
            )
        if not changed and is_whole:
            return
    if not is_whole and (path.exists() or (directory / opening.CHECKPOINTS).exists()):
        warnings.warn(f"{path} is damaged: it is written again", KganWarning, stacklevel=3)
    write(path, recipe.to_toml())


def _holds(path, recipe):
    """Whether a file holds a recipe, as far as it goes."""
    try:
        return recipe is not None and recipes.read(path) == recipe
    except KganError:
        return False


def check_place(directory: Path) -> bool:
    """Looks, without writing, whether a preset of the run can be written to a place in it.

    Returns:
        Whether what is left of a damaged one is in the way: files of the names that a preset has
        and nothing else, whose metadata tell nothing any more.

    Raises:
        KganError: if anything else is.
    """
    try:
        check_replaceable(directory)
    except KganError:
        if not _is_torn(directory):
            raise
        return True
    return False


def make_way(directory: Path) -> None:
    """Removes what is left of a damaged preset of the run's, before another takes its place.

    Raises:
        KganError: see `check_place`.

    Warns:
        KganWarning: if there was one.
    """
    if check_place(directory):
        warnings.warn(f"The damaged {directory} is replaced", KganWarning, stacklevel=3)
        shutil.rmtree(directory)


def _is_torn(directory):
    if not directory.is_dir() or directory.is_symlink():
        return False
    try:
        metadata.read(directory / METADATA, own=True)
    except KganError:
        return all(
            path.name in metadata.NAMES and path.is_file() and not path.is_symlink()
            for path in directory.iterdir()
        )
    return False


def note_versions(directory: Path, images_seen: int, versions: dict[str, str]) -> None:
    """Writes down which code trains on from `images_seen` images, if it is another than before."""
    path = directory / VERSIONS
    try:
        noted = json.loads(path.read_text("utf-8"))
        last = {k: v for k, v in noted[-1].items() if k != "images_seen"} if noted else None
    except (FileNotFoundError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        noted, last = [], None  # a note that is lost must not stop a run
    if last == versions:
        return
    noted = noted if isinstance(noted, list) else []
    noted.append({"images_seen": images_seen, **versions})
    write(path, json.dumps(noted, indent=2) + "\n")
