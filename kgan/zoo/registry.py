"""Names of presets, and where they are. Imports no TensorFlow."""

import difflib
import functools
import json
import os
import re
import time
import urllib.parse
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import kgan
from kgan import files
from kgan.errors import KganError, KganWarning, printable, reason
from kgan.files import expanded, recover, sha256
from kgan.zoo import download, exchange, hub
from kgan.zoo.metadata import (
    CONFIG,
    METADATA,
    RECIPE,
    WEIGHTS,
    check_file,
    check_pins,
    read_json,
)
from kgan.zoo.metadata import read as read_metadata

REGISTRY = "registry.json"
_FORGIVEN = 60  # seconds until a server that failed is asked again


def builtin_directory() -> Path:
    """Where the presets of this installation are: in the package, or beside it in a checkout."""
    package = Path(kgan.__file__).parent
    installed = package / "zoo" / "presets"
    return installed if installed.is_dir() else package.parent / "zoo"


def registries() -> list[str]:
    """The directories and URLs that names are looked up in, first to last.

    Those in `KGAN_ZOO` are separated by `os.pathsep`; the colons inside a URL do not count.
    """
    # A URL has a colon after its scheme, and may have one before a port; one before a password
    # belongs to it too, so that it is refused as a whole.
    host = rf"[^/{os.pathsep}]*"
    entry = rf"(?:\w+://(?:{host}:{host}@)?{host}(?::\d+)?)?[^{os.pathsep}]*"
    extra = re.findall(entry, os.environ.get("KGAN_ZOO", ""))
    return [str(builtin_directory()), *map(os.path.expanduser, filter(None, extra))]


def names() -> list[str]:
    """The names of all presets in the registries, sorted.

    A registry that cannot be read is left out, with a `KganWarning`.
    """
    return sorted({name for registry in registries() for name in _entries(registry)})


def find(name: str) -> tuple[str, str | None] | None:
    """The directory or URL of a name, and its pin; None if it is in no registry.

    The registries are asked in their order, and no further than need be.
    """
    if name != os.path.basename(name):  # a path: a name has no directory
        return None
    for registry in registries():
        found = _entries(registry).get(name)
        if found is not None:
            _warn_of_shadow(name, found[0], registry)
            return found
    return None


def with_weights(sha256: str) -> str | None:
    """The name by which the registries of this machine have a preset with these weights, or None.

    Args:
        sha256: of the file of its weights.
    """
    for registry in registries():
        if download.is_url(registry):
            continue
        for name, (place, _) in _entries(registry).items():
            with suppress(KganError, OSError):  # one that is damaged has none
                if read_metadata(Path(place) / METADATA)["files"][WEIGHTS]["sha256"] == sha256:
                    return name
    return None


def resolve(source: str | os.PathLike) -> tuple[str, str | None]:
    """The directory or URL of a preset, and the hash its metadata must have (None if not pinned).

    Args:
        source: a name in the registries, a directory, `https://…` or
            `hf://owner/repo[@revision]`, the last two with `#sha256=…` if pinned.

    Raises:
        KganError: if there is none of them; near matches among the names are suggested.

    Example:

    >>> resolve("my-zoo/dcgan-mnist")
    ('/home/me/my-zoo/dcgan-mnist', None)
    """
    text = os.fspath(source)
    if download.is_url(text):
        return download.split_url(text)
    found = find(text)
    if found is not None:
        return found
    directory = expanded(text)
    recover(directory)
    if (directory / METADATA).is_file():
        return str(directory.absolute()), None  # which no name of a registry is
    if (directory / METADATA).is_symlink():
        check_file(directory / METADATA)  # which says what it leads to
    if directory.exists():
        raise KganError(
            f"Expected a preset: a directory with {METADATA}, {CONFIG} and {WEIGHTS}. "
            f"Received: {text}, which has no {METADATA}"
        )
    known = names()
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
    all_of_them = ", ".join(known) or "no presets here"
    hint = f"did you mean {' or '.join(near)}?" if near else f"kgan has {all_of_them}"
    missing = "".join(
        f"; not looked up in {_failures[registry].why}"
        for registry in registries()
        if registry in _failures
    )
    if exchange.is_offline():
        missing += "; KGAN_OFFLINE is set: of other machines only what is in the cache is known"
    raise KganError(
        f"Expected the name or the directory of a preset. Received: {text!r}; {hint}{missing}"
    )


def is_own(place: str) -> bool:
    """Whether a place is a directory of the user's, which is in no registry and not of the web."""
    folders = {Path(entry).resolve() for entry in registries() if not download.is_url(entry)}
    return not download.is_url(place) and Path(place).resolve().parent not in folders


def write(directory: str | os.PathLike, others: dict[str, str] | None = None) -> None:
    """Pins the metadata of every preset in a registry directory.

    Args:
        directory: with the presets.
        others: pins of presets that are elsewhere of the same registry.
    """
    directory = expanded(directory)
    found = sorted(directory.glob(f"*/{METADATA}"))
    pins = {**(others or {}), **{path.parent.name: sha256(path) for path in found}}
    files.write(directory / REGISTRY, json.dumps(pins, indent=2) + "\n")


@dataclass(frozen=True)
class _Failure:
    """Why a registry could not be read, when that was found, and what the cache has of it."""

    why: str
    time: float
    entries: dict[str, tuple[str, str | None]]


_failures: dict[str, _Failure] = {}  # by registry
_warned: set[str] = set()  # each registry once


def _entries(registry: str) -> dict[str, tuple[str, str | None]]:
    """name -> (directory or URL, pinned hash of its metadata).

    Of a server that cannot be reached these are what the cache has; else none, on failure.
    """
    known = _failures.get(registry)
    remote = download.is_url(registry)
    if remote and known and time.monotonic() - known.time < _FORGIVEN:
        return known.entries
    try:
        entries = _remote_entries(registry) if remote else entries_of(Path(registry))
    except (KganError, OSError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        named = "" if registry == str(builtin_directory()) else "; KGAN_ZOO names it"
        where = printable(download.shown(registry))
        why = f"the registry {where}: {printable(why)}{named}"
        entries = _cached_entries(registry) if isinstance(error, exchange.Unreachable) else {}
        _failures[registry] = _Failure(why, time.monotonic(), entries)
        if registry not in _warned:
            _warned.add(registry)
            what = "Used only what the cache has of" if entries else "Left out"
            warnings.warn(f"{what} {why}", KganWarning, stacklevel=3)
        return entries
    _failures.pop(registry, None)
    return entries


def _remote_entries(registry):
    url, pin = download.split_url(registry)
    if exchange.is_offline():
        if pin is not None:
            raise KganError("KGAN_OFFLINE is set, and its pin cannot be checked")
        if not hub.is_fixed(url):
            _warn_once(
                f"KGAN_OFFLINE is set: used only what the cache has of {printable(registry)}"
            )
        return download.cached_presets(url)
    pins, _ = download.fetch_json(f"{url}/{REGISTRY}", pin)
    check_pins(pins, f"{url}/{REGISTRY}")
    return {
        name: (f"{url}/{urllib.parse.quote(name, safe='')}", pin)
        for name, pin in pins.items()
        if _is_name(name)
    }


def _cached_entries(registry):
    url, pin = download.split_url(registry)
    return {} if pin is not None else download.cached_presets(url)


def entries_of(registry: Path) -> dict[str, tuple[str, str | None]]:
    """name -> (directory, pinned hash of its metadata) of the presets in a registry directory.

    Raises:
        KganError: if the directory is a preset itself, or what pins them is damaged.
        OSError: if it cannot be read.
    """
    if (registry / METADATA).is_file():
        raise KganError(f"it is a preset, and {registry.parent} the registry that it is in")
    present = [name for name in sorted(os.listdir(registry)) if _is_name(name)]
    pins = read_json(registry / REGISTRY) if (registry / REGISTRY).is_file() else {}
    check_pins(pins, registry / REGISTRY)
    return {
        name: (str(registry / name), pins.get(name))
        for name in present
        if os.path.isfile(registry / name / METADATA)
    }


def _is_name(text):
    return text.isprintable() and text not in (".", "..")


def _warn_of_shadow(name, place, registry):
    """Warns of a folder of a preset or a run here that has the name of another preset."""
    folder = Path(name)
    if not any((folder / file).is_file() for file in (METADATA, RECIPE)):
        return
    if download.is_url(place) or not folder.samefile(place):
        _warn_once(
            f"{name} is the preset of the registry {printable(registry)}; the folder of that name "
            f"is ./{name}"
        )


@functools.cache
def _warn_once(message):
    warnings.warn(message, KganWarning, stacklevel=4)
