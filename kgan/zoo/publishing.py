"""Presets for others: a checked copy with the hub's cards and an index, and its way to the hub."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from kgan import files
from kgan.errors import KganError, KganWarning, one_line, printable, reason
from kgan.zoo import download, exchange, gallery, hub, hub_card, metadata, opening, preset, registry
from kgan.zoo.metadata import CARD, METADATA, RECIPE, number_of_samples

_TRIED = 4  # samples
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Found:
    """What there is to publish.

    Attributes:
        places: the directory of each preset by name, and the hash that its metadata must have.
        is_zoo: whether it is a directory of presets.
    """

    places: dict[str, tuple[Path, str | None]]
    is_zoo: bool


@dataclass(frozen=True)
class Prepared:
    """What others get.

    Attributes:
        directory: a preset, or of a zoo a directory of presets with their registry.
        presets: the metadata of each, by name.
        is_zoo: whether it is a directory of presets.
    """

    directory: Path
    presets: dict[str, dict[str, Any]]
    is_zoo: bool

    @property
    def paths(self) -> list[str]:
        """All its files, relative to the directory, with slashes."""
        found = (path for path in self.directory.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.directory).as_posix() for path in found)


@dataclass(frozen=True)
class Destination:
    """A repository of the hub, as it was before anything is uploaded to it.

    Attributes:
        repository: with the branch.
        exists: whether it is there.
        has_branch: whether the branch is.
        private: whether only some see it.
        commit: the newest one, or None.
        paths: its files.
        preset: the metadata of the preset that it is, if it is one.
        pins: of the registry in it, if there is one.
    """

    repository: hub.Repository
    exists: bool = False
    has_branch: bool = False
    private: bool = False
    commit: str | None = None
    paths: frozenset[str] = frozenset()
    preset: dict[str, Any] | None = None
    pins: dict[str, str] = field(default_factory=dict)


def find(source: Path) -> Found:
    """What there is to publish in a directory.

    Args:
        source: the directory of a preset, of a run, or of presets.

    Raises:
        KganError: if there is no preset.
    """
    source = files.expanded(source).absolute()
    files.recover(source)
    if not source.is_dir():
        received = "is a file" if source.exists() else "No such directory"
        raise KganError(
            f"Expected the directory of a preset, or of presets. Received: {source}: {received}"
        )
    run = opening.run_directory(source)
    if run is not None:
        source = opening.newest(run)
        if source is None:
            raise KganError(f"Expected a run that has a preset or a snapshot. Received: {run}")
    if os.path.lexists(source / METADATA):
        return Found({source.name: (source, None)}, False)
    try:
        entries = registry.entries_of(source)
    except OSError as error:
        raise KganError(
            f"Expected a directory that can be read. Received: {source}: {reason(error)}"
        ) from None
    if not entries:
        raise KganError(
            f"Expected a preset ({METADATA} and its files), or a directory of presets. Received: "
            f"{source}, which is neither"
        )
    for name in entries:
        if name.startswith(".") or "\\" in name or name in (gallery.PAGE, registry.REGISTRY):
            raise KganError(
                f"Expected names that a preset of a zoo can have. Received: {printable(name)}"
            )
    return Found({name: (Path(place), pin) for name, (place, pin) in entries.items()}, True)


def prepare(found: Found, out: Path, destination: Destination | None = None) -> Prepared:
    """Checks presets as others will read them, and copies them.

    Each is read, its hashes are checked, its model is loaded and draws samples. The copy has a card
    with the hub's header, and metadata of its own; the weights are the same to the byte. Files that
    a preset's metadata do not list are left out.

    Args:
        found: from `find`.
        out: an empty directory.
        destination: where they are to be uploaded to.

    Raises:
        KganError: if one of them cannot be used.

    Warns:
        KganWarning: of what others would not expect: weights beyond their limit of size, names of
            folders of this machine.
    """
    address = str(destination.repository) if destination else None
    presets = {}
    with click.progressbar(
        found.places.items(), label="Checking", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for name, (place, pin) in bar:
            where = {"zoo": address} if found.is_zoo else {"address": address}
            directory = out / name if found.is_zoo else out
            values = _copy(place, pin, directory, name if found.is_zoo else None, where)
            presets[values["name"]] = values
    if found.is_zoo:
        others = destination.pins if destination else {}
        registry.write(out, others)
        text = hub_card.zoo_header(presets.values()) + gallery.gallery(out)
        more = [f"[{name}]({name}/{CARD})" for name in sorted(others.keys() - presets.keys())]
        if more:
            text += f"\nAlso here: {', '.join(more)}.\n"
        files.write(out / gallery.PAGE, text)
    return Prepared(out, presets, found.is_zoo)


def _copy(place, pin, directory, name, where):
    """Checks a preset, and writes what others get of it, by that name; returns its metadata."""
    from kgan.zoo import saving, weights  # late: they import TensorFlow

    if pin is not None:
        metadata.read(place / METADATA, pin, own=True)
    found = preset.read(place)
    values, recipe = found.metadata, found.recipe
    if name is not None:  # of the registry, by which others get it
        values, recipe = {**values, "name": name}, replace(recipe, name=name)
    model = saving.load(found)
    weights.note_size(model)
    if number_of_samples(values):
        model.sample(_TRIED, seed=0)
    _warn_of_folders(values["name"], recipe)
    directory.mkdir(exist_ok=True)
    preset.copy(found, directory)
    if recipe != found.recipe:
        files.write(directory / RECIPE, recipe.to_toml())
    preset.complete(directory, values, hub_card.header(values, recipe), **where)
    copied = preset.read(directory.absolute())
    if copied.weights_sha256 != found.weights_sha256:
        raise KganError(f"Expected a preset that nobody writes meanwhile. Received: {place}")
    return copied.metadata


def _warn_of_folders(name, recipe):
    parents, parent = [], recipe.parent
    while parent:
        parents.append(parent.get("source", ""))
        parent = parent.get("parent")
    for place in [*recipe.data.places(), *parents]:
        if not os.path.isabs(place) and not place.startswith("~"):
            continue
        what = "a preset that it began from was" if place in parents else "its images were"
        warnings.warn(
            f"The recipe of {name} says where {what}, for all to read: {place}",
            KganWarning,
            stacklevel=4,
        )


def look(target: str, private: bool = False) -> Destination:
    """Looks at the repository that is to be uploaded to, whether it is there or not.

    Args:
        target: `hf://owner/repo` or `hf://owner/repo@branch`.
        private: whether nobody else may see it.

    Raises:
        KganError: if it is none that can be uploaded to; if huggingface_hub is not installed.
    """
    repository = hub.parse(target)
    download.split_url(target)  # which checks HF_ENDPOINT
    if repository.is_commit:
        raise KganError(f"Expected a branch to publish to. Received: the commit of {target}")
    if exchange.is_offline():
        raise KganError(f"Cannot publish to {repository}: KGAN_OFFLINE is set")
    errors = _library().errors
    with _talking(repository):
        api = _api()
        try:
            info = api.model_info(repository.name, revision=repository.revision)
            has_branch = True
        except errors.RevisionNotFoundError:
            info = api.model_info(repository.name)  # the branch begins from what is there
            has_branch = False
        except errors.GatedRepoError:
            raise
        except errors.RepositoryNotFoundError:
            return Destination(repository)
    if private and not info.private:
        raise KganError(
            f"Expected a repository that is private. Received: {repository}, which everyone can "
            "read; change that at the hub, or publish without --private"
        )
    paths = frozenset(sibling.rfilename for sibling in info.siblings or ())
    files_at = hub.Repository(repository.name, info.sha).url if info.sha else repository.url
    return Destination(
        repository,
        True,
        has_branch,
        bool(info.private),
        info.sha,
        paths,
        _read(files_at, METADATA, metadata.check) if METADATA in paths else None,
        _read(files_at, registry.REGISTRY, metadata.check_pins) or {}
        if registry.REGISTRY in paths
        else {},
    )


def _read(url, name, check):
    """A table in a repository; None if it is none of kgan's."""
    try:
        values, _ = download.fetch_json(f"{url}/{name}")
        check(values, name)
    except exchange.Unreachable:
        raise
    except KganError:
        return None
    return values


def upload(
    prepared: Prepared, destination: Destination, private: bool = False, message: str = ""
) -> str:
    """Uploads what was prepared, in one commit, and returns its hash.

    Files in the repository that are not of the same presets stay as they are.

    Args:
        prepared: for this destination.
        destination: from `look`.
        private: whether a repository that is made for it is.
        message: of the commit.

    Raises:
        KganError: if other files would be replaced; if the hub refuses.
    """
    repository = destination.repository
    check_replaceable(prepared, destination)
    library = _library()
    with _talking(repository):
        api = _api()
        if not destination.exists:
            api.create_repo(repository.name, private=private or None)
        if not destination.has_branch and (destination.exists or repository.revision != "main"):
            api.create_branch(repository.name, branch=repository.revision)
        done = api.create_commit(
            repository.name,
            [
                library.CommitOperationAdd(path, str(prepared.directory / path))
                for path in prepared.paths
            ],
            commit_message=message or f"Publish {', '.join(prepared.presets)}"[:200],
            revision=repository.revision,
            parent_commit=destination.commit,
        )
    return done.oid


def check_replaceable(prepared: Prepared, destination: Destination) -> None:
    """Raises KganError if an upload would replace files that are not of the same presets."""
    repository, paths = destination.repository, destination.paths
    if prepared.is_zoo and destination.preset is not None:
        raise KganError(
            f"Expected a repository of presets, or a new one. Received: {repository}, which is the "
            f"preset {destination.preset['name']}"
        )
    if not prepared.is_zoo and destination.pins:
        raise KganError(
            f"Expected the repository of a preset, or a new one. Received: {repository}, which "
            f"has several presets: publish the directory that {', '.join(prepared.presets)} is in"
        )
    if prepared.is_zoo and destination.pins:
        own = {registry.REGISTRY, gallery.PAGE}
        own |= {path for path in paths if path.partition("/")[0] in destination.pins}
    else:
        own = {METADATA, *destination.preset["files"]} if destination.preset else set()
    others = sorted(paths.intersection(prepared.paths) - own)
    if others:
        shown = ", ".join(map(printable, others[:_MOST_SHOWN]))
        raise KganError(
            f"Expected a repository whose files kgan has written, or a new one. Received: "
            f"{repository}, which has other files called {shown}; remove them there, or name "
            "another repository"
        )


def _library():
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise KganError(
            f'Expected huggingface_hub, which uploads: pip install "kgan[hub]". Received: {error}'
        ) from None
    return huggingface_hub


def _api():
    library = _library()
    token = hub.token()
    if token is None:
        raise KganError(
            "a token with write access is needed: set HF_TOKEN, or log in by hf auth login"
        )
    library.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        library.utils.disable_progress_bars()
    return library.HfApi(endpoint=hub.endpoint(), token=token, library_name="kgan")


@contextmanager
def _talking(repository) -> Iterator[None]:
    """Turns what the hub, and the libraries on the way to it, refuse by into one line."""
    try:
        yield
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        said = getattr(error, "server_message", None) or str(error) or type(error).__name__
        wish = (
            "; HF_TOKEN has to be a token with write access to it" if status in (401, 403) else ""
        )
        status = f"HTTP {status}: " if status else ""
        why = hub.without_token(one_line(said))[:300]
        raise KganError(f"Cannot publish to {repository}: {status}{why}{wish}") from None
