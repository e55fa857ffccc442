"""Preset directories as files: names, hashes, metadata and cards. Imports no TensorFlow."""

import difflib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import kgan
from kgan.zoo import download
from kgan.zoo import results as figures
from kgan.untrusted import text as plain
from kgan import recipe as recipes
from kgan.errors import KganError, short
from kgan.files import sha256

FORMAT = 1
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
RECIPE, CARD, SAMPLES, LICENCE = "recipe.toml", "README.md", "samples.png", "LICENSE"
NEIGHBOURS, CURVES = "neighbours.png", "curves.png"
REQUIRED = (CONFIG, WEIGHTS, RECIPE, CARD, SAMPLES)
REGISTRY = "registry.json"

MOST_FILES = 32
_MOST_BYTES = {CONFIG: plain.MOST_JSON, RECIPE: plain.MOST_TOML, CARD: 1 << 20, LICENCE: 1 << 20}
_MOST_OTHER = 1 << 25
# With optimizers that keep all they can, a model takes 8 times the size of its weights: 0.8 GB.
_MOST_WEIGHTS = 96  # MB


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
            _check_pins(pins, f"{url}/{REGISTRY}")
            entries.update({name: (f"{url}/{name}", pin) for name, pin in pins.items()})
            continue
        registry = Path(registry)
        pins = _read_json(registry / REGISTRY) if (registry / REGISTRY).is_file() else {}
        _check_pins(pins, registry / REGISTRY)
        for metadata in sorted(registry.glob(f"*/{METADATA}")):
            name = metadata.parent.name
            if name.isprintable():
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
        directory = download.fetch_preset(place, pin, METADATA, check_metadata)
        pin = directory.name
    else:
        directory = Path(place)
    metadata = _read_metadata(directory / METADATA, pin)
    files = metadata["files"]
    for name in (*REQUIRED, *(set(files) - set(REQUIRED))):
        try:
            _check_file(directory / name, files.get(name))
        except OSError as error:
            raise KganError(f"Incomplete preset: {error}") from None
    return directory, metadata


def _read_metadata(path, pin):
    _check_inside(path)
    return check_metadata(_read_json(path, pin), path)


def check_metadata(metadata: dict, where: str | os.PathLike) -> dict:
    """Returns the metadata of a preset if it is what `write_metadata` writes, of files to be read.

    Raises:
        KganError: if it is of another format, names too large a file, or anything in it that is
            printed, computed with or taken for a file is not what it should be.
    """
    _check_format(metadata, where)
    _check_fields(metadata, where)
    for name, file in metadata["files"].items():
        most = _most_bytes(name)
        if file["size"] > most:
            hint = "; KGAN_MOST_WEIGHTS, in MB, allows more" if name == WEIGHTS else ""
            raise KganError(
                f"Expected at most {most:,} bytes of {name}. Received: {file['size']:,} in "
                f"{where}{hint}"
            )
    return metadata


def _check_format(values, where):
    if values.get("format") != FORMAT:
        raise KganError(
            f"Expected a preset of format {FORMAT}. Received: format "
            f"{short(values.get('format'))} in {where}; a newer kgan may read it"
        )


def _check_fields(metadata, where):
    for key, (expected, fits) in _FIELDS.items():
        if not fits(metadata.get(key)):
            raise KganError(
                f"Damaged preset: expected {key} to be {expected}. Received: "
                f"{short(metadata.get(key))} in {where}"
            )


def _is_line(value):
    return isinstance(value, str) and 0 < len(value) <= 1000 and not re.search(r"[\t\n]", value)


def _is_lines(value):
    return value is None or (isinstance(value, list) and all(map(_is_line, value)))


def _is_count(value, low=0, high=2**53):
    return type(value) is int and low <= value <= high


def _is_shape(value):
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(_is_count(n, 1, 4096) for n in value)
        and value[2] in (1, 3)
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


def _is_hash(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _most_bytes(name):
    if name != WEIGHTS:
        return _MOST_BYTES.get(name, _MOST_OTHER)
    text = os.environ.get("KGAN_MOST_WEIGHTS", str(_MOST_WEIGHTS))
    if not re.fullmatch("[0-9]{1,6}", text):
        raise KganError(f"Expected KGAN_MOST_WEIGHTS to be a number of MB. Received: {text!r}")
    return int(text) << 20


_LINE, _LINE_OR_NULL = "one line of text", "one line of text, or null"
_FIELDS = {
    "name": (_LINE, _is_line),
    "model": (_LINE, _is_line),
    "dataset": (_LINE_OR_NULL, lambda v: v is None or _is_line(v)),
    "licence": (_LINE_OR_NULL, lambda v: v is None or _is_line(v)),
    "image_shape": ("[height, width, 1 or 3], of at most 4096 pixels a side", _is_shape),
    "num_classes": (
        "an int from 1 to 100,000, or null",
        lambda v: v is None or _is_count(v, 1, 100_000),
    ),
    "class_names": ("a list of lines of text, or null", _is_lines),
    "parameters": (
        "counts of generator and discriminator",
        lambda v: (
            isinstance(v, dict)
            and v.keys() == {"generator", "discriminator"}
            and all(map(_is_count, v.values()))
        ),
    ),
    "versions": (
        "a table of kgan, keras and tensorflow",
        lambda v: (
            isinstance(v, dict)
            and {"kgan", "keras", "tensorflow"} <= v.keys()
            and all(_is_line(line) for pair in v.items() for line in pair)
        ),
    ),
    "training": ("a table with images_seen, seconds and hardware", _is_training),
    "metrics": (
        "a list of tables, or null",
        lambda v: v is None or (isinstance(v, list) and all(isinstance(m, dict) for m in v)),
    ),
    "files": (
        f"plain file names, at most {MOST_FILES}, each with its sha256 and size",
        _are_files,
    ),
}


def _check_pins(pins, where):
    for name, pin in pins.items():
        if not (_is_line(name) and os.path.basename(name) == name and _is_hash(pin)):
            raise KganError(
                f"Damaged registry: expected names and SHA-256. Received: {short(name)}: "
                f"{short(pin)} in {where}"
            )


def _check_inside(path):
    """Raises KganError for a link to a place outside the preset's directory."""
    if path.resolve().parent != path.parent.resolve():
        raise KganError(f"Damaged preset: expected a file. Received: {path}, a link elsewhere")


def _check_file(path, expected):
    if expected is None or not path.is_file():
        raise KganError(f"Incomplete preset: {path} is missing")
    _check_inside(path)
    size = path.stat().st_size
    if size != expected["size"]:
        raise KganError(
            f"Damaged preset: {path} has {size:,} bytes, expected {expected['size']:,}. Get the "
            "preset again"
        )
    received = sha256(path)
    if received != expected["sha256"]:
        raise KganError(
            f"Damaged preset: {path} has SHA-256 {received[:12]}…, expected "
            f"{expected['sha256'][:12]}…. Get the preset again"
        )


def _read_json(path: Path, pin: str | None = None) -> dict:
    try:
        content = plain.read_bytes(path, plain.MOST_JSON)
        received = hashlib.sha256(content).hexdigest()
        if pin not in (None, received):
            raise KganError(
                f"{path} has SHA-256 {received[:12]}…, the registry expects {pin[:12]}…. Install "
                "kgan again, or remove the changed entry"
            )
        return plain.parse_json(content, str(path))
    except KganError as error:
        raise KganError(f"Damaged preset: {error}") from None


def read_config(directory: Path) -> dict:
    """The `config.json` of a preset."""
    config = _read_json(directory / CONFIG)
    _check_format(config, directory / CONFIG)
    return config


def read_recipe(directory: Path) -> recipes.Recipe:
    """The recipe of a preset."""
    return recipes.read(directory / RECIPE)


def info(source: str | os.PathLike) -> dict:
    """What is known of a preset without loading it; see `kgan.zoo.info`."""
    place, pin = resolve(source)
    if download.is_url(place):
        path, address = None, f"{place}/{METADATA}"
        metadata = check_metadata(download.fetch_json(address, pin)[0], address)
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
    pictures = [name for name in (NEIGHBOURS, CURVES) if (directory / name).is_file()]
    (directory / CARD).write_text(card(metadata, recipe, pictures), "utf-8")
    if recipe.data.licence_note:
        (directory / LICENCE).write_text(recipe.data.licence_note + "\n", "utf-8")
    files = sorted(path for path in directory.iterdir() if path.name != METADATA)
    metadata = {
        **metadata,
        "files": {
            path.name: {"sha256": sha256(path), "size": path.stat().st_size} for path in files
        },
    }
    _check_fields(metadata, directory)
    plain.check(metadata, str(directory))
    (directory / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", "utf-8")


def write_registry(directory: Path) -> None:
    """Pins the metadata of every preset in a registry directory."""
    pins = {
        path.parent.name: sha256(path) for path in sorted(Path(directory).glob(f"*/{METADATA}"))
    }
    (Path(directory) / REGISTRY).write_text(json.dumps(pins, indent=2) + "\n", "utf-8")


def card(metadata: dict, recipe: recipes.Recipe, pictures: Collection[str] = ()) -> str:
    """The model card, in Markdown, from the metadata and the recipe.

    Args:
        metadata: see `check_metadata`.
        recipe: of the preset.
        pictures: names of the pictures that are there, beside the samples.
    """
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
    if metadata.get("metrics"):
        lines += ["", "## Figures", "", *figures.markdown(metadata["metrics"])]
        lines += ["", f"Measured by `kgan evaluate {name}`."]
    if NEIGHBOURS in pictures:
        lines += ["", f"![Samples and their nearest training images]({NEIGHBOURS})", ""]
        nearest = [r for r in metadata["metrics"] if r.get("metric") == "nearest_training_image"]
        seed = nearest[0].get("seed", 0) if nearest else 0
        lines += [f"The first 8 samples of seed {seed}, and below each the nearest training image."]
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
    if recipe.data.limits:
        lines += ["", "## Intended use and limits", "", recipe.data.limits]
    lines += ["", "## Training", "", f"- Images seen: {training['images_seen']:,}"]
    if training.get("seconds"):
        lines.append(f"- Time: {training['seconds'] / 3600:.2f} h on {training['hardware']}")
    selected = training.get("selected")
    if selected and selected.get("snapshots"):
        metric = selected["metric"].replace("_", " ")
        against = "on held-out images"
        if "places" in selected:
            against = (
                f"to {selected['images']:,} pictures at {selected['places']}, seed "
                f"{selected['seed']}"
            )
        lines.append(
            f"- The best of {selected['snapshots']} snapshots by {metric} "
            f"({selected['value']:.4g}) {against}, in {recipe.images:,} images of training"
        )
    versions = metadata["versions"]
    commit = f" (commit {versions['commit']})" if "commit" in versions else ""
    lines += [
        f"- Batch size {recipe.batch_size}, seed {recipe.seed}",
        f"- kgan {versions['kgan']}{commit}, Keras {versions['keras']}, "
        f"TensorFlow {versions['tensorflow']}",
        "",
        f"Train it again with `kgan train {name}`, from [{RECIPE}]({RECIPE}).",
        "",
    ]
    if CURVES in pictures:
        lines += [f"![Losses and scores against images seen]({CURVES})", ""]
    return "\n".join(lines)
