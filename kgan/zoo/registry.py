"""Names of presets, and where they are. Imports no TensorFlow."""

import difflib
import json
import os
import re
from pathlib import Path

import kgan
from kgan.errors import KganError
from kgan.files import expanded, replacing, sha256
from kgan.zoo import download
from kgan.zoo.metadata import CONFIG, METADATA, WEIGHTS, check_file, check_pins, read_json

REGISTRY = "registry.json"


def builtin_directory() -> Path:
    """Where the presets of this installation are: in the package, or beside it in a checkout."""
    package = Path(kgan.__file__).parent
    installed = package / "zoo" / "presets"
    return installed if installed.is_dir() else package.parent / "zoo"


def registries() -> list[str]:
    """The directories and URLs that names are looked up in, first to last.

    Those in `KGAN_ZOO` are separated by `os.pathsep`; the colons inside a URL do not count.
    """
    # A URL has a colon after its scheme, and may have one before a port.
    entry = rf"(?:\w+://[^/{os.pathsep}]*(?::\d+)?)?[^{os.pathsep}]*"
    extra = re.findall(entry, os.environ.get("KGAN_ZOO", ""))
    return [str(builtin_directory()), *map(os.path.expanduser, filter(None, extra))]


def names() -> list[str]:
    """The names of all presets in the registries, sorted."""
    return sorted(_entries())


def resolve(source: str | os.PathLike) -> tuple[str, str | None]:
    """The directory or URL of a preset, and the hash its metadata must have (None if not pinned).

    Args:
        source: a name in the registries, a directory, `https://…` or `hf://owner/repo`, the last
            two with `#sha256=…` if pinned.

    Raises:
        KganError: if there is none of them; near matches among the names are suggested.

    Example:

    >>> resolve("my-zoo/dcgan-mnist")
    ('my-zoo/dcgan-mnist', None)
    """
    text = os.fspath(source)
    if download.is_url(text):
        return download.split_url(text)
    entries = _entries()
    if text in entries:
        return entries[text]
    directory = expanded(text)
    if (directory / METADATA).is_file():
        return str(directory), None
    if (directory / METADATA).is_symlink():
        check_file(directory / METADATA)  # which says what it leads to
    if directory.exists():
        raise KganError(
            f"Expected a preset: a directory with {METADATA}, {CONFIG} and {WEIGHTS}. "
            f"Received: {text}, which has no {METADATA}"
        )
    near = difflib.get_close_matches(text, entries, n=3, cutoff=0.4)
    known = ", ".join(sorted(entries)) or "no presets here"
    hint = f"did you mean {' or '.join(near)}?" if near else f"kgan has {known}"
    raise KganError(f"Expected the name or the directory of a preset. Received: {text!r}; {hint}")


def is_own(place: str) -> bool:
    """Whether a place is a directory of the user's, which is in no registry and not of the web."""
    folders = {Path(entry).resolve() for entry in registries() if not download.is_url(entry)}
    return not download.is_url(place) and Path(place).resolve().parent not in folders


def write(directory: str | os.PathLike) -> None:
    """Pins the metadata of every preset in a registry directory."""
    directory = expanded(directory)
    found = sorted(directory.glob(f"*/{METADATA}"))
    pins = {path.parent.name: sha256(path) for path in found}
    with replacing(directory / REGISTRY) as partial:
        partial.write_text(json.dumps(pins, indent=2) + "\n", "utf-8")


def _entries() -> dict[str, tuple[str, str | None]]:
    """name -> (directory or URL, pinned hash of its metadata); an earlier registry wins."""
    entries = {}
    for registry in reversed(registries()):
        if download.is_url(registry):
            url, pin = download.split_url(registry)
            pins, _ = download.fetch_json(f"{url}/{REGISTRY}", pin)
            check_pins(pins, f"{url}/{REGISTRY}")
            entries.update({name: (f"{url}/{name}", pin) for name, pin in pins.items()})
            continue
        registry = Path(registry)
        pins = read_json(registry / REGISTRY) if (registry / REGISTRY).is_file() else {}
        check_pins(pins, registry / REGISTRY)
        for metadata in sorted(registry.glob(f"*/{METADATA}")):
            name = metadata.parent.name
            if name.isprintable():
                entries[name] = (str(metadata.parent), pins.get(name))
    return entries
