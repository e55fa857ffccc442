"""The directory of a run: one recipe, and one process at a time."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

from kgan import recipe as recipes
from kgan.checks import whole
from kgan.errors import KganError, KganWarning, printable, reason, say
from kgan.files import clear, partials, write
from kgan.recipe import Recipe
from kgan.zoo import metadata, opening, preset
from kgan.zoo.metadata import METADATA, NEIGHBOURS, RECIPE, TRANSLATIONS

LOCK = ".lock"
VERSIONS = "versions.json"
THREADS, REPLICAS = "threads", "replicas"  # in it
DATA = "data.json"
_NAMES = 5  # of files, in one line
_MOST_THREADS = whole(1, 4096)


def check(directory: Path, resume: bool) -> bool:
    """Looks, without writing, whether a run can begin in a directory, or go on.

    Returns:
        Whether there is one that goes on.

    Raises:
        KganError: if it holds anything and `resume` is False, or something other than a run, or
            another process is training in it.
    """
    if not directory.is_dir():
        if directory.exists():
            raise KganError(f"Expected a directory for the run. Received: {directory}, a file")
        return False
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
    return bool(occupied)


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
        preset.check_replaceable(directory)
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


@contextmanager
def keeping_figures(directory: Path) -> Iterator[None]:
    """A context in which a preset is written anew: figures of the same weights stay in its card.

    Args:
        directory: of the preset; it need not be there.
    """
    try:
        before = preset.read(directory)
    except KganError:
        before = None
    names = [] if before is None else [NEIGHBOURS, TRANSLATIONS]
    pictures = {x: (directory / x).read_bytes() for x in names if x in before.metadata["files"]}
    yield
    if before is None or not before.metadata.get("metrics"):
        return
    after = preset.read(directory)
    if after.weights_sha256 == before.weights_sha256 and not after.metadata.get("metrics"):
        with preset.writing(directory) as partial:
            preset.copy(after, partial)
            for name, content in pictures.items():
                (partial / name).write_bytes(content)
            preset.complete(partial, {**after.metadata, "metrics": before.metadata["metrics"]})


def _is_torn(directory):
    if not directory.is_dir() or directory.is_symlink():
        return False
    try:
        metadata.read(directory / METADATA, own=True)
    except KganError:
        return not metadata.is_of_another_format(directory / METADATA) and all(
            metadata.is_known(path.name) and path.is_file() and not path.is_symlink()
            for path in directory.iterdir()
        )
    return False


def check_data(directory: Path, sums: dict[str, str], override: bool) -> None:
    """Looks, without writing, whether a run is about to go on with the images that it had before.

    Args:
        directory: of the run, which need not exist yet.
        sums: what the images are read from now; see `kgan.data.ImageSet`.
        override: whether others are welcome.

    Raises:
        KganError: if it had others, saying which files differ.
    """
    before = _data(directory)
    if before not in (None, sums) and not override:
        raise KganError(
            f"Expected the images that the run in {directory} is trained on (--override goes on "
            f"with others). Received: {_differences(before, sums)}"
        )


def note_data(directory: Path, sums: dict[str, str], begun: bool) -> None:
    """Writes down which files a run is trained on, if they are others than before.

    Args:
        directory: of the run.
        sums: see `check_data`.
        begun: whether the run goes on; then a line on stderr tells of it.
    """
    before = _data(directory)
    if before == sums:
        return
    if before is not None:
        say(f"The run goes on with other images: {_differences(before, sums)}", err=True)
    elif begun:
        say(
            f"{DATA} did not tell what the run was trained on up to now: it does from now on, and "
            "a change of the images will be noticed",
            err=True,
        )
    table = {"sha256": _digest(sums), "files": sums}
    write(directory / DATA, json.dumps(table, indent=0) + "\n")


def _data(directory):
    """The files that a run was trained on last; None if that is not known."""
    table = _json(directory / DATA)
    try:
        return table["files"] if table["sha256"] == _digest(table["files"]) else None
    except (TypeError, KeyError, AttributeError):
        return None


def _digest(sums):
    """One fingerprint of many, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(sums):
        digest.update(f"{sums[name]}  {name}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _differences(before, now):
    """Which files differ, in one line."""
    names = {
        "added": now.keys() - before.keys(),
        "removed": before.keys() - now.keys(),
        "changed": {name for name in now.keys() & before.keys() if now[name] != before[name]},
    }
    parts = [
        f"{len(those):,} {'file' if len(those) == 1 else 'files'} {what} ("
        + ", ".join(map(printable, sorted(those)[:_NAMES]))
        + (", …)" if len(those) > _NAMES else ")")
        for what, those in names.items()
        if those
    ]
    return ", ".join(parts)


def note_versions(directory: Path, images_seen: int, versions: dict[str, Any]) -> None:
    """Writes down what trains on from `images_seen` images, if it is something else than before.

    Args:
        directory: of the run.
        images_seen: by its model.
        versions: of the code, by name, and the number of `THREADS`.
    """
    noted = _noted(directory)
    if noted and {k: v for k, v in noted[-1].items() if k != "images_seen"} == versions:
        return
    noted.append({"images_seen": images_seen, **versions})
    write(directory / VERSIONS, json.dumps(noted, indent=2) + "\n")


def threads_of(directory: Path) -> int | None:
    """With how many threads a run was trained last; None if that is not known."""
    noted = _noted(directory)
    threads = noted[-1].get(THREADS) if noted else None
    return threads if _MOST_THREADS.fits(threads) else None


def _noted(directory):
    """What is written down of a run; nothing if the note is lost, which must not stop the run."""
    noted = _json(directory / VERSIONS)
    if isinstance(noted, list) and all(isinstance(note, dict) for note in noted):
        return noted
    return []


def _json(path):
    """What a file of the run says; None if it is not there or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
