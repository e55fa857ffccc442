"""What a file says of what made it: read, checked, and turned into the command that does so again.

Whoever has written a file has written this too: nothing in it is believed before it is checked.
"""

import os
import shlex
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from kgan.checks import SHA256, Bound, or_none, whole
from kgan.cli import drawing, mix, sample, translate, walk
from kgan.cli.labels import labels_text
from kgan.cli.models import import_models
from kgan.errors import KganError, one_line
from kgan.images import provenance_text
from kgan.untrusted.text import MOST_JSON, parse_json
from kgan.zoo import opening, registry
from kgan.zoo.metadata import METADATA, WEIGHTS

# That make pictures with a preset.
VERBS = {"sample": sample, "walk": walk, "mix": mix, "translate": translate}

_SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8", "WEBP": b"RIFF"}  # what kgan writes
_MOST_DECODED = 1 << 26  # pixels, to see whether a picture is whole
_MOST_FACTS = 64
_LINE = Bound(
    "a line of text", lambda v: isinstance(v, str) and v.isprintable() and 0 < len(v) <= 1000
)
_ALWAYS = {
    "class": _LINE,
    "kgan": _LINE,
    "images_seen": whole(0),
    "model": or_none(_LINE),
    "weights_sha256": or_none(SHA256),
}
_NEEDED = ("class", "kgan", "images_seen")


@dataclass(frozen=True)
class Found:
    """A file, and what it says of itself.

    Attributes:
        path: of the file.
        format: "PNG", "GIF", "WEBP" or "npz"; None of what kgan does not write.
        size: (width, height) of a picture.
        facts: that kgan wrote, checked; None if it did not make the file.
    """

    path: Path
    format: str | None = None
    size: tuple[int, int] | None = None
    facts: dict[str, Any] | None = None

    @property
    def verb_name(self) -> str | None:
        """The verb that made it; None if it is none of those that draw pictures of a preset."""
        return _verb(self.facts)

    @property
    def verb(self) -> ModuleType | None:
        """What draws it; None if no command that this kgan has does."""
        name = self.verb_name
        if name is None or not self.facts.get("model") or not self.facts.get("weights_sha256"):
            return None
        known = {*_ALWAYS, "verb", *VERBS[name].FIELDS}
        return VERBS[name] if self.facts.keys() <= known else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the command that makes it takes beside options, as `--help` calls it."""
        return getattr(self.verb, "INPUTS", ())


@dataclass(frozen=True)
class Origin:
    """The preset that a picture says it is of, as far as there is one.

    Attributes:
        source: what commands take for it; None if there is none, or its name cannot be shown.
        metadata: of it; None if there is none.
        is_same: whether its weights are those that the picture was made with.
        where: words for the place.
    """

    source: str | None = None
    metadata: dict[str, Any] | None = None
    is_same: bool = False
    where: str = ""

    @property
    def state(self) -> str:
        """One word for its weights."""
        if self.metadata is None:
            return "unknown"
        return "same" if self.is_same else "other"


def read(path: Path) -> Found:
    """What a file says of itself.

    Raises:
        KganError: if it is no file, is damaged, or says of itself what kgan never does.
    """
    try:
        if not path.is_file():  # a pipe would keep us waiting
            what = "is no regular file" if path.exists() else "No such file"
            raise KganError(f"Expected a picture. Received: {path}: {what}")
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise KganError(f"Expected a picture. Received: {path}: {error.strerror}") from None
    if path.suffix.lower() == ".npz":
        return Found(path, "npz", facts=_facts(_text_of_array(path), path))
    for form, signature in _SIGNATURES.items():
        if head.startswith(signature) and (form != "WEBP" or head.endswith(b"WEBP")):
            size, text = _text_of_picture(path, form)
            return Found(path, form, size, _facts(text, path))
    return Found(path)


def origin(found: Found, asked: str | None, import_file: Path | None = None) -> Origin:
    """The preset of a picture that was made with one.

    It is looked for among the registries, beside the picture, and by its name here; one with
    other weights is taken only if there is none with the same.

    Args:
        found: whose `facts` name a preset.
        asked: a source that is to be taken instead.
        import_file: of the user's own model.

    Raises:
        KganError: if what was asked for is no preset.
    """
    name, weights = found.facts["model"], found.facts["weights_sha256"]
    if asked is not None:
        return _at(asked, weights, asked, import_file)
    places = []
    if registry.find(name) is not None:
        places.append((name, "the registry"))
    for folder in (str(found.path.parent), name if name == os.path.basename(name) else None):
        if folder is not None and Path(folder, METADATA).is_file():
            text = folder if os.path.dirname(folder) else os.path.join(os.curdir, folder)
            places.append((text, text))
    others = []
    for source, where in places:
        try:
            others.append(_at(source, weights, where, import_file))
        except KganError:  # what is there is damaged: as if it were not
            continue
        if others[-1].is_same:
            return others[-1]
    if (named := registry.with_weights(weights)) is not None:  # whatever it is called there
        # An earlier registry may have another of that name, a damaged one.
        with suppress(KganError):
            there = _at(named, weights, "the registry", import_file)
            if there.is_same:
                return there
    return others[0] if others else Origin()


def command(found: Found, preset: Origin, import_file: Path | None) -> tuple[str, str]:
    """The command line that makes a file again, for a shell, and where the file then is.

    Args:
        found: with a `verb`.
        preset: see `origin`.
        import_file: of the user's own model.

    Raises:
        KganError: if the preset does not have the labels.
    """
    facts, verb = found.facts, found.verb
    suffix = ".npz" if found.format == "npz" else f".{found.format.lower()}"
    out, where = verb.place(facts, suffix)
    options = verb.arguments(facts)
    labels = labels_in(facts, preset)
    if labels is not None:
        options += ["--labels", labels]
    if import_file is not None:
        options += ["--import", str(import_file)]
    options += ["--out", out]
    name = facts["model"]
    plain = name == os.path.basename(name) and name not in (".", "..")
    source = preset.source or (name if plain else "PRESET")
    named = [source, *found.inputs]
    parts = [*options, "--", *named] if source.startswith("-") else [*named, *options]
    return shlex.join(["kgan", found.verb_name, *parts]), where


def labels_in(facts: dict[str, Any], preset: Origin) -> str | None:
    """The labels of checked facts as the command line takes them; None if there are none.

    Raises:
        KganError: if the preset does not have them.
    """
    classes = facts.get("classes") or drawing.classes_in(facts)
    return None if classes is None else labels_text(classes, preset.metadata)


def _text_of_picture(path, form):
    """The size of a picture, and the JSON in it."""
    try:
        with drawing.large_pictures(), Image.open(path, formats=[form]) as picture:
            if picture.width * picture.height <= _MOST_DECODED:
                picture.load()
                return picture.size, provenance_text(picture)
            return picture.size, provenance_text(picture, whole=False)
    except MemoryError:
        raise
    except Image.UnidentifiedImageError:
        why = "it is cut off, or damaged"
    except Exception as error:  # of decoders, which raise what they like
        why = str(error)
    raise KganError(f"Expected a {form} that can be read. Received: {path}: {why}")


def _text_of_array(path):
    """The JSON in an .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sample.PROVENANCE not in archive.namelist():
                return None
            with archive.open(sample.PROVENANCE) as file:
                return file.read(MOST_JSON + 1).decode()
    except Exception as error:  # of whichever of its decoders, or it is encrypted
        raise KganError(f"Expected an .npz that can be read. Received: {path}: {error}") from None


def _facts(text, path):
    """Checks what a file says; None if it says nothing."""
    if text is None:
        return None
    where = f"the kgan metadata of {path}"
    if len(text) > MOST_JSON:
        raise KganError(f"Expected at most {MOST_JSON:,} bytes. Received: more in {where}")
    facts = parse_json(text.encode(errors="replace"), where)
    if len(facts) > _MOST_FACTS:
        raise KganError(f"Expected at most {_MOST_FACTS} facts. Received: {len(facts)} in {where}")
    if not facts.keys() & set(_NEEDED):  # latents that somebody saved with notes of their own
        return None
    for key, bound in _ALWAYS.items():
        if key in facts or key in _NEEDED:
            bound.check(key, facts.get(key), where)
    name = _verb(facts)
    if name is None:
        return facts
    verb = VERBS[name]
    for key in facts.keys() & verb.FIELDS.keys() | verb.NEEDED:
        verb.FIELDS[key].check(key, facts.get(key), where)
    if ("scale" in facts) != ("resample" in facts) or not verb.is_consistent(facts):
        raise KganError(f"Expected facts that belong together. Received: others in {where}")
    return facts


def _verb(facts):
    """The name of the verb that made a file; None if it is none of those that draw."""
    named = facts.get("verb")
    if named is None and facts.keys() >= sample.NEEDED and "stops" not in facts:
        return "sample"  # by a kgan before
    return named if isinstance(named, str) and named in VERBS else None


def _at(source, weights, where, import_file):
    if opening.must_be_built(source):
        import_models(import_file)
    metadata = opening.read_metadata(source)[1]
    same = metadata["files"].get(WEIGHTS, {}).get("sha256") == weights
    return Origin(source if source.isprintable() else None, metadata, same, one_line(where))
