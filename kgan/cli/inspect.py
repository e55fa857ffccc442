"""`kgan inspect`."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from kgan.cli import provenance
from kgan.cli.detect import detect, detect_option
from kgan.cli.engines import drawn_by, engine_option
from kgan.cli.models import import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath
from kgan.cli.provenance import Found, Origin
from kgan.cli.seeds import seeds_text
from kgan.cli.verifying import compare
from kgan.errors import KganError, one_line, say
from kgan.sampling import Sampling

_NONE = "no kgan metadata"
_SAID = ("model", "class", "images_seen", "weights_sha256", "kgan", "verb")  # in lines of their own
_NAMES = {"n": "Images", "fps": "Frames/s"}  # of facts, for people
_PICTURES = (  # what is looked at in a folder
    *(".png", ".apng", ".webp", ".gif", ".npz", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    *(".avif", ".jp2"),
)


@click.command()
@click.argument("paths", metavar="FILE|FOLDER...", nargs=-1, required=True, type=ExpandedPath())
@click.option(
    "--verify",
    is_flag=True,
    help="Draw it again and compare: the same pixels, or at most one level off in a thousandth.",
)
@click.option(
    "--preset",
    type=PresetName(),
    help="What drew it, if no registry has that: a preset directory, a run or a URL.",
)
@detect_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@engine_option
@import_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    verify: bool,
    preset: str | None,
    judge: str | None,
    as_json: bool,
    engine: str,
    import_file: Path | None,
) -> None:
    """Show what made a picture (PNG, WebP, GIF) or an .npz, and the command that does so again.

    That is what kgan has written into it, which anyone can change or remove: --verify alone shows
    that the picture is what it says. Of a folder, pictures in it and below are shown, a line each.

    The exit code is 0 if kgan has made any of them; 1 if none, if any file cannot be read, or if
    with --verify one differs from what it says, or none can be drawn again.

    \b
    Examples:
      kgan inspect dcgan-celeba.png
      kgan inspect faces/ --verify
      kgan inspect walk.webp --json
      kgan inspect photo.png --detect dcgan-celeba
    """
    if judge is not None:
        named = ("verify", "as_json", "preset", "engine", "import_file")
        others = [
            parameter.opts[0]
            for parameter in ctx.command.params
            if parameter.name in named
            and ctx.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT
        ]
        if others:
            raise click.UsageError(f"Expected --detect without {' and '.join(others)}.")
        ctx.exit(detect(judge, list(_files(paths, set(_PICTURES) - {".npz"}))))
    presets = _Presets(preset, engine, import_file)
    alone = len(paths) == 1 and not paths[0].is_dir()
    seen = []
    for path in list(_files(paths)):  # all of them, before anything of a list is printed
        result = _inspected(path, presets, verify)
        if alone and result.problem is not None:
            raise KganError(result.problem)
        if as_json:
            text = json.dumps(result.as_dict())
            say(text if alone else f"{',' if seen else '['} {text}")
        else:
            say(result.text() if alone else result.line())
        seen.append(result.outcome)
    if not alone:
        say("]" if as_json else _summary(seen, verify))
    ctx.exit(_exit_code(seen, verify))


class _Presets:
    """The presets of pictures, each looked for and loaded once."""

    def __init__(self, asked: str | None, engine: str, import_file: Path | None):
        self.import_file = import_file
        self._asked = asked
        self._engine = engine
        self._origins: dict[tuple[str, ...], Origin] = {}
        self._model: tuple[str, Sampling] | None = None  # one: they are large

    def origin(self, found: Found) -> Origin:
        facts = found.facts
        key = (facts["model"], facts["weights_sha256"], str(found.path.parent))
        if key not in self._origins:
            self._origins[key] = provenance.origin(found, self._asked, self.import_file)
        return self._origins[key]

    def model(self, source: str) -> Sampling:
        if self._model is None or self._model[0] != source:
            loaded = drawn_by(opened(source, self.import_file), self._engine, self.import_file)
            self._model = (source, loaded)
        return self._model[1]


@dataclass
class _Result:
    """What is found of a file.

    Attributes:
        path: of the file.
        found: what it says; None if there is a problem.
        origin: the preset that drew it; None if none did.
        command: that makes it again; None if none does.
        again: where the file of the command is.
        verified: whether it was drawn again and is the same; None if that was not tried.
        why: words for that, or why it cannot be.
        problem: why it cannot be read.
    """

    path: Path
    found: Found | None = None
    origin: Origin | None = None
    command: str | None = None
    again: str | None = None
    verified: bool | None = None
    why: str | None = None
    problem: str | None = None

    @property
    def facts(self) -> dict[str, Any] | None:
        return self.found.facts if self.found else None

    @property
    def outcome(self) -> str:
        """One word for it."""
        if self.problem is not None:
            return "damaged"
        if self.facts is None:
            return "none"
        return {True: "same", False: "different", None: "made"}[self.verified]

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": os.fspath(self.path),
            "format": self.found and self.found.format,
            "kgan": self.facts,
            "preset": self.origin and self.origin.source,
            "weights": self.origin and self.origin.state,
            "command": self.command,
            "makes": self.again,
            "verified": self.verified,
            "reason": self.problem or self.why,
        }

    def line(self) -> str:
        """It on one line."""
        if self.problem is not None:
            return f"{self._name()}: {self.problem}"
        if self.facts is None:
            return f"{self._name()}: {_NONE}"
        parts = [self._made_by()]
        if self.origin:
            parts.append(self._weights())
        if self.command:
            parts.append(self.command)
        if self.verified is not None or self.why:
            parts.append(self._verified())
        return f"{self._name()}: {'; '.join(parts)}"

    def text(self) -> str:
        """It on lines for a person."""
        if self.facts is None:
            return f"{self._name()}: {_NONE}"
        facts = self.facts
        size = "" if self.found.size is None else ", {}x{}".format(*self.found.size)
        lines = {
            "File": f"{self._name()} ({self.found.format}{size})",
            "Model": self._made_by(),
            "Weights": self._weights().removeprefix("weights ") if self.origin else "not recorded",
            "Made by": f"kgan {facts['kgan']}"
            + (f", kgan {self.found.verb_name}" if self.found.verb_name else ""),
            **{
                _NAMES.get(key, one_line(key).replace("_", " ").capitalize()): self._shown(
                    key, value
                )
                for key, value in facts.items()
                if key not in _SAID
            },
        }
        shown = [f"{key + ':':13} {value}" for key, value in lines.items()]
        if self.command:
            known = self.origin.is_same
            given = "This" if known else "With the preset that has these weights, this"
            shown += ["", f"{given} makes it again:", f"  {self.command}"]
            if os.sep in self.again:
                shown += [f"as {self.again}"]
        if self.verified is not None or self.why:
            shown += ["", self._verified()]
        return "\n".join(shown)

    def _name(self):
        return str(self.path).replace(
            "\n", "\\n"
        )  # of its characters that alone `say` lets through

    def _made_by(self):
        facts = self.facts
        seen = f"{facts['class']}, {facts['images_seen']:,} images seen"
        name = facts.get("model")
        return f"{name} ({seen})" if name else f"a model in training ({seen})"

    def _weights(self):
        short_hash = f"{self.facts['weights_sha256'][:12]}…"
        if self.origin.metadata is None:
            return f"weights {short_hash} of a preset that is not known here"
        if self.origin.is_same:
            return f"weights {short_hash} as in {self.origin.where}"
        return f"weights {short_hash}, but {self.origin.where} now has others"

    def _verified(self):
        words = {True: "verified", False: "different", None: "not drawn again"}[self.verified]
        return f"{words}: {self.why}"

    def _shown(self, key, value):
        if self.command is not None:  # all of them are checked
            if key in ("seeds", "rows", "cols"):
                value = seeds_text(value)
            elif key in ("labels", "classes"):
                value = provenance.labels_in(self.facts, self.origin)
        text = f"{value:g}" if isinstance(value, float) else one_line(str(value))
        return text if len(text) <= 200 else f"{text[:199]}…"


def _inspected(path: Path, presets: _Presets, verify: bool) -> _Result:
    """What is found of a file."""
    result = _Result(path)
    try:
        found = result.found = provenance.read(path)
    except KganError as error:
        result.problem = str(error)
        return result
    facts = found.facts
    if facts is None:
        return result
    if not (facts.get("model") and facts.get("weights_sha256")):
        result.why = "no preset was saved of it, so that no command draws it"
        return result
    origin = result.origin = presets.origin(found)
    if found.verb is None:
        result.why = "this kgan has no command that makes such a picture alone"
        return result
    try:
        result.command, result.again = provenance.command(found, origin, presets.import_file)
        if verify:
            _verify(result, presets)
    except KganError as error:
        result.why = str(error)
    return result


def _verify(result: _Result, presets: _Presets) -> None:
    """Draws it again and compares."""
    origin = result.origin
    if result.found.inputs:
        result.why = "that takes the picture that was given, which is not in it"
    elif origin.metadata is None:
        result.why = "the preset is not known here; --preset says where it is"
    elif not origin.is_same:
        result.why = f"{origin.where} has other weights; --preset says where these are"
    elif origin.source is None:
        result.why = "the name of the preset cannot be shown"
    else:
        model = presets.model(origin.source)
        verdict = compare(result.found, result.found.verb, model)
        result.verified, result.why = verdict.is_same, verdict.words


def _files(paths: Sequence[Path], suffixes: Collection[str] = _PICTURES) -> Iterator[Path]:
    """The files that were named, and those with a suffix of pictures in the folders that were."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        any_of_them = False
        for folder, folders, names in os.walk(path, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                    any_of_them = True
                    yield Path(folder, name)
        if not any_of_them:
            raise KganError(f"Expected a folder with pictures. Received: {path}, which has none")


def _refuse(error):
    raise error


def _summary(seen: list[str], verify: bool) -> str:
    counts = {outcome: seen.count(outcome) for outcome in ("made", "same", "different")}
    made = sum(counts.values())
    parts = [f"{made:,} of {len(seen):,} made by kgan"]
    if verify:
        parts += [f"{counts['same']:,} drawn again and the same", f"{counts['different']:,} not"]
    damaged = seen.count("damaged")
    return ", ".join(parts) + (f"; {damaged:,} cannot be read" if damaged else "")


def _exit_code(seen: list[str], verify: bool) -> int:
    if "damaged" in seen:
        return 1
    if verify:
        return 0 if "same" in seen and "different" not in seen else 1
    return 0 if "made" in seen else 1
