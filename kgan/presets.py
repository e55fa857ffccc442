"""Preset directories as files: names, hashes, metadata and cards. Imports no TensorFlow."""

import difflib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kgan
from kgan import download
from kgan import recipe as recipes
from kgan.errors import KganError

FORMAT = 1
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
RECIPE, CARD, SAMPLES, LICENCE = "recipe.toml", "README.md", "samples.png", "LICENSE"
REQUIRED = (CONFIG, WEIGHTS, RECIPE, CARD, SAMPLES)
REGISTRY = "registry.json"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def builtin_directory() -> Path:
    """Where the presets of this installation are: in the package, or beside it in a checkout."""
    package = Path(kgan.__file__).parent
    installed = package / "zoo" / "presets"
    return installed if installed.is_dir() else package.parent / "zoo"


def registries() -> list[str]:
    """The directories and URLs that names are looked up in, first to last.

    Those in `KGAN_ZOO` are separated by `os.pathsep`; the colons inside a URL do not count.
    """
    separator = re.escape(os.pathsep) + r"(?!//|\d+(?:[/:]|$))"
    extra = re.split(separator, os.environ.get("KGAN_ZOO", ""))
    return [str(builtin_directory()), *(entry for entry in extra if entry)]


def names() -> list[str]:
    """The names of all presets in the registries, sorted."""
    return sorted(_entries())


def _entries() -> dict[str, tuple[str, str | None]]:
    """name -> (directory or URL, pinned hash of its metadata); an earlier registry wins."""
    entries = {}
    for registry in reversed(registries()):
        if download.is_url(registry):
            url, pin = download.split_url(registry)
            pins, _ = download.fetch_json(f"{url}/{REGISTRY}", pin)
            entries.update({name: (f"{url}/{name}", pin) for name, pin in pins.items()})
            continue
        registry = Path(registry)
        pins = _read_json(registry / REGISTRY) if (registry / REGISTRY).is_file() else {}
        for metadata in sorted(registry.glob(f"*/{METADATA}")):
            name = metadata.parent.name
            entries[name] = (str(metadata.parent), pins.get(name))
    return entries


def resolve(source: str | os.PathLike) -> tuple[str, str | None]:
    """The directory or URL of a preset, and the hash its metadata must have (None if not pinned).

    Args:
        source: a name in the registries, a directory, `https://…` or `hf://owner/repo`, the last
            two with `#sha256=…` if pinned.

    Raises:
        KganError: if there is none of them; near matches among the names are suggested.
    """
    text = os.fspath(source)
    if download.is_url(text):
        return download.split_url(text)
    entries = _entries()
    if text in entries:
        return entries[text]
    directory = Path(text)
    if (directory / METADATA).is_file():
        return text, None
    if directory.exists():
        raise KganError(
            f"Expected a preset: a directory with {METADATA}, {CONFIG} and {WEIGHTS}. "
            f"Received: {text}, which has no {METADATA}"
        )
    near = difflib.get_close_matches(text, entries, n=3, cutoff=0.4)
    known = ", ".join(sorted(entries)) or "no presets here"
    hint = f"did you mean {' or '.join(near)}?" if near else f"kgan has {known}"
    raise KganError(f"Expected the name or the directory of a preset. Received: {text!r}; {hint}")


def read(source: str | os.PathLike) -> tuple[Path, dict]:
    """The directory and the metadata of a preset, fetched if need be, all hashes checked.

    Args:
        source: see `resolve`.

    Raises:
        KganError: if it is missing, damaged or of a newer format.
    """
    place, pin = resolve(source)
    if download.is_url(place):
        directory, pin = download.fetch_preset(place, pin, METADATA), None
    else:
        directory = Path(place)
    metadata = _read_metadata(directory / METADATA, pin)
    files = metadata.get("files", {})
    for name in (*REQUIRED, *(set(files) - set(REQUIRED))):
        _check_file(directory / name, files.get(name))
    return directory, metadata


def _read_metadata(path, pin):
    if pin is not None and sha256(path) != pin:
        raise KganError(
            f"Damaged preset: {path} has SHA-256 {sha256(path)[:12]}…, the registry expects "
            f"{pin[:12]}…. Install kgan again, or remove the changed entry"
        )
    return _check_format(_read_json(path), path)


def _check_format(metadata, where):
    if metadata.get("format") != FORMAT:
        raise KganError(
            f"Expected a preset of format {FORMAT}. Received: format "
            f"{metadata.get('format')!r} in {where}; a newer kgan may read it"
        )
    missing = {"name", "model", "image_shape", "parameters", "training", "files"} - set(metadata)
    if missing:
        raise KganError(f"Damaged preset: {where} has no {', '.join(sorted(missing))}")
    return metadata


def _check_file(path, expected):
    if expected is None or not path.is_file():
        raise KganError(f"Incomplete preset: {path} is missing")
    received = sha256(path)
    if received != expected["sha256"]:
        raise KganError(
            f"Damaged preset: {path} has SHA-256 {received[:12]}…, expected "
            f"{expected['sha256'][:12]}…. Get the preset again"
        )


def _read_json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise KganError(f"Damaged preset: {path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise KganError(f"Damaged preset: expected a table in {path}. Received: {values!r}")
    return values


def read_config(directory: Path) -> dict:
    """The checked `config.json` of a preset."""
    return _read_json(directory / CONFIG)


def read_recipe(directory: Path) -> recipes.Recipe:
    """The recipe of a preset."""
    return recipes.read(directory / RECIPE)


def info(source: str | os.PathLike) -> dict:
    """What is known of a preset without loading it; see `kgan.zoo.info`."""
    place, pin = resolve(source)
    if download.is_url(place):
        path, address = None, f"{place}/{METADATA}"
        metadata = _check_format(download.fetch_json(address, pin)[0], address)
    else:
        path = place
        metadata = _read_metadata(Path(place) / METADATA, pin)
    keys = ("name", "model", "dataset", "image_shape", "num_classes")
    return {
        **{key: metadata.get(key) for key in keys},
        "parameters": sum(metadata["parameters"].values()),
        "size_bytes": sum(file["size"] for file in metadata["files"].values()),
        "licence": metadata.get("licence"),
        "metrics": metadata.get("metrics", []),
        "path": path,
    }


@contextmanager
def writing(directory: str | os.PathLike) -> Iterator[Path]:
    """A temporary directory that takes the place of `directory` once the block has succeeded.

    Raises:
        KganError: if `directory` holds something that is not a preset.
    """
    directory = Path(directory)
    check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        partial.chmod(0o755)
        yield partial
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
            os.replace(directory, old)
            os.replace(partial, directory)
            shutil.rmtree(old)
        else:
            os.replace(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_replaceable(directory: Path) -> None:
    """Raises KganError if writing a preset there would destroy anything but a preset."""
    if directory.exists() and not directory.is_dir():
        raise KganError(f"Expected a directory to write a preset to. Received: file {directory}")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / METADATA).is_file():
        raise KganError(
            "Expected an empty or new directory, or a preset to replace. Received: "
            f"{directory}, which holds other files"
        )


def write_metadata(directory: Path, metadata: dict) -> None:
    """Writes the card, and the metadata with the hashes of all files beside it."""
    recipe = read_recipe(directory)
    (directory / CARD).write_text(card(metadata, recipe), "utf-8")
    if recipe.data.licence_note:
        (directory / LICENCE).write_text(recipe.data.licence_note + "\n", "utf-8")
    files = sorted(path for path in directory.iterdir() if path.name != METADATA)
    metadata = {
        **metadata,
        "files": {
            path.name: {"sha256": sha256(path), "size": path.stat().st_size} for path in files
        },
    }
    (directory / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", "utf-8")


def write_registry(directory: Path) -> None:
    """Pins the metadata of every preset in a registry directory."""
    pins = {
        path.parent.name: sha256(path) for path in sorted(Path(directory).glob(f"*/{METADATA}"))
    }
    (Path(directory) / REGISTRY).write_text(json.dumps(pins, indent=2) + "\n", "utf-8")


def card(metadata: dict, recipe: recipes.Recipe) -> str:
    """The model card, in Markdown, from the metadata and the recipe."""
    name, training = metadata["name"], metadata["training"]
    height, width, channels = metadata["image_shape"]
    counts = metadata["parameters"]
    lines = [
        f"# {name}",
        "",
        f"![Samples of {name}]({SAMPLES})",
        "",
        "64 samples, uncurated, seed 0.",
        "",
        f"A {metadata['model']} that generates {height}x{width} images with {channels} channel"
        f"{'s' if channels > 1 else ''}: generator {counts['generator']:,} parameters, "
        f"discriminator {counts['discriminator']:,}.",
    ]
    if recipe.note:
        lines += ["", recipe.note]
    lines += [
        "",
        "## Use",
        "",
        "```",
        f"kgan sample {name} -n 16        # or the path of this directory",
        "```",
        "",
        "```python",
        "import kgan",
        "",
        f'model = kgan.zoo.load("{name}")',
        "images = model.sample(16, seed=0)",
        "```",
        "",
        "## Data and licence",
        "",
        f"- Data: {metadata.get('dataset') or 'not recorded'}",
        f"- Licence: {metadata.get('licence') or 'not recorded'}",
    ]
    if recipe.data.note:
        lines += ["", recipe.data.note]
    if recipe.data.licence_note:
        lines += ["", recipe.data.licence_note]
    lines += ["", "## Training", "", f"- Images seen: {training['images_seen']:,}"]
    if training.get("seconds"):
        lines.append(f"- Time: {training['seconds'] / 3600:.2f} h on {training['hardware']}")
    versions = metadata["versions"]
    lines += [
        f"- Batch size {recipe.batch_size}, seed {recipe.seed}",
        f"- kgan {versions['kgan']}, Keras {versions['keras']}, "
        f"TensorFlow {versions['tensorflow']}",
        "",
        f"Train it again with `kgan train {name}`, from [{RECIPE}]({RECIPE}).",
        "",
    ]
    return "\n".join(lines)
