"""`kgan translate`."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from kgan import images
from kgan.checks import FLAG, MOST_SIDE, SHA256, WHOLE, Bound, check_box, one_of, whole
from kgan.cli import drawing
from kgan.cli.engines import engine_option, translated_by
from kgan.cli.models import import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import (
    ExpandedPath,
    check_other,
    check_writable,
    in_directory,
    is_called_a_file,
    say_written,
)
from kgan.cli.train import parse_box
from kgan.data.listing import find_images
from kgan.data.reading import picture_size, read_picture
from kgan.data.resize import Rule
from kgan.errors import KganError, say
from kgan.files import plain_name, sha256
from kgan.images import COMPOSITE
from kgan.translating import Translating, chunk_of
from kgan.zoo.preset import Preset

FULL = "full"
SHOWS = {
    False: "a picture that was given, as the model translates it",
    True: "left: a picture that was given; right: as the model translates it",
}
INPUTS = ("PICTURE",)  # what its command takes beside options, which no file holds
FIELDS = {
    "direction": Bound(
        "words such as a-to-b",
        lambda v: isinstance(v, str) and bool(re.fullmatch(r"[\w-]{1,40}", v)),
    ),
    "input_sha256": SHA256,
    "size": Bound(f"{FULL!r} or pixels", lambda v: v == FULL or whole(1, MOST_SIDE).fits(v)),
    "box": Bound("a box", lambda v: _is_box(v)),
    "side_by_side": FLAG,
    "shows": one_of(*SHOWS.values()),
    "digital_source_type": one_of(COMPOSITE),
}
NEEDED = {"direction", "input_sha256"}


class _Size(click.ParamType):
    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        if value == FULL:
            return value
        try:
            return whole(1, MOST_SIDE).check("--size", int(value))
        except ValueError:
            self.fail(f"Expected {FULL}, or pixels up to {MOST_SIDE:,}. Received: {value}")


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.argument("given", metavar="PICTURE|FOLDER", type=ExpandedPath(exists=True))
@click.option(
    "--direction", default="a-to-b", show_default=True, help="Of models of both ways also b-to-a."
)
@click.option(
    "--size",
    type=_Size(),
    metavar="N|full",
    help="Of models that take any size: pixels of the shorter side, or full for the picture's own. "
    "[default: what the preset works at]",
)
@click.option(
    "--box",
    metavar="L,T,R,B",
    help="Part of each picture to take: left, top, right, bottom in fractions of it. [default: "
    "all; of U-Nets the recipe's]",
)
@click.option("--out", type=ExpandedPath(), help="PNG, or directory to write to.")
@click.option("--side-by-side", is_flag=True, help="What is given at the left, beside it.")
@engine_option
@import_option
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    given: Path,
    direction: str,
    size: str | int | None,
    box: str | None,
    out: Path | None,
    side_by_side: bool,
    engine: str,
    import_file: Path | None,
) -> None:
    """Translate a picture, or all in a folder, with the preset NAME (or a preset directory).

    Of a folder, pictures keep their names, as PNG. What cannot be read gets a line, the others are
    translated, and the exit code is 1. Models that are convolutions throughout (CycleGAN) keep the
    proportions; U-Nets (Pix2Pix) take the part that their recipe says, as a rule the center.

    \b
    Examples:
      kgan translate pix2pix-openmoji drawing.png
      kgan translate runs/my-cyclegan zebras/ --direction b-to-a --out horses/
      kgan translate runs/my-cyclegan horse.jpg --size full --side-by-side
    """
    found = opened(source, import_file)
    box = None if box is None else parse_box(box)
    name = drawing.name_of(found)
    files = _files_of_folder(given, out, name) if given.is_dir() else [_file(given, out, name)]
    model = translated_by(found, engine, import_file)
    direction = model.known_direction(direction)
    fit = Fit.of(found, model, direction, size, box)
    facts = facts_of(found, direction, fit, side_by_side)
    bad = 0

    def refuse(error: KganError) -> None:
        nonlocal bad
        if not given.is_dir():
            raise error
        bad += 1
        say(f"Left out: {error}", err=True)
        advance(1)

    with drawing.progress(len(files), "Translating", "pictures") as advance:
        for file, image, translated in _translated(model, direction, files, fit, refuse):
            picture = _beside(image, translated) if side_by_side else translated
            file.target.parent.mkdir(parents=True, exist_ok=True)
            images.save_png(picture, file.target, {**facts, "input_sha256": sha256(file.path)})
            advance(1)
    if not given.is_dir():
        say_written(files[0].target)
        return
    if bad < len(files):
        say(files[0].folder)
    if bad:
        say(f"{bad:,} of {len(files):,} pictures could not be translated", err=True)
        ctx.exit(1)


class _File(NamedTuple):
    """A picture, where its translation goes, and the folder that it is in."""

    path: Path
    target: Path
    folder: Path


def facts_of(found: Preset, direction: str, fit: "Fit", side_by_side: bool) -> dict[str, Any]:
    """What a translation says of what made it, but for the hash of what was given."""
    box = fit.rule.box
    return drawing.facts_of(
        found,
        "translate",
        *(None, None, 1, None),
        direction=direction.replace("_", "-"),
        **({} if fit.size is None else {"size": fit.size}),
        **({} if box is None else {"box": box}),
        **({"side_by_side": True} if side_by_side else {}),
        shows=SHOWS[side_by_side],
        digital_source_type=COMPOSITE,
    )


class Fit(NamedTuple):
    """How pictures become what a model translates.

    Attributes:
        rule: of pictures that have one size.
        check: raises KganError for sides (height, width) that cannot be translated.
        size: pixels of the shorter side, or `FULL`; None if all sides are the rule's.
    """

    rule: Rule
    check: Callable[[int, int], None]
    size: str | int | None

    @classmethod
    def of(
        cls,
        preset: Preset,
        model: Translating,
        direction: str,
        size: str | int | None,
        box: list[float] | None,
    ) -> "Fit":
        height, width, channels = model.shapes(direction)[0]
        data = preset.recipe.data
        if model.multiple is None and box is None:
            box = data.box or None
        rule = Rule.checked((height, width, channels), data.resize, data.background, box)
        if model.multiple is None:
            if size not in (None, min(height, width)):
                raise click.UsageError(
                    f"Expected no --size: {model.kind} translates {width}x{height} alone. "
                    f"Received: --size {size}"
                )
            size = None
        elif size is None:
            size = preset.translate_size or min(height, width)
        return cls(rule, lambda *sides: model.check_size(*sides, direction), size)

    def read(self, path: Path) -> np.ndarray:
        """A picture as it is to be translated; raises KganError if that cannot be."""
        if self.size is None:
            return read_picture(path, self.rule)
        left, top, right, bottom = self.rule.box or WHOLE
        width, height = picture_size(path)
        width, height = width * (right - left), height * (bottom - top)
        scale = 1 if self.size == FULL else self.size / min(width, height)
        sides = max(1, round(height * scale)), max(1, round(width * scale))
        try:
            self.check(*sides)
        except KganError as error:
            raise KganError(f"{error}; {path}") from None
        shape = (*sides, self.rule.image_shape[2])
        return read_picture(path, self.rule._replace(image_shape=shape, resize="stretch"))


def _file(path: Path, out: Path | None, name: str) -> _File:
    """A picture that was named; raises UsageError if its translation would take its place."""
    target = in_directory(out or Path(f"{path.stem}-{name}.png"), f"{path.stem}.png", ".png")
    check_other(target, path, "the picture")
    check_writable(target)
    return _File(path, target, target.parent)


def _files_of_folder(folder: Path, out: Path | None, name: str) -> list[_File]:
    """The pictures in a folder; raises UsageError for a place that is not theirs alone."""
    out = out or Path(f"{plain_name(folder.resolve().name, 'pictures')}-{name}")
    if is_called_a_file(out) or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise click.UsageError(
            f"Expected a new or empty directory for a folder of pictures. Received: --out {out}"
        )
    if out.resolve().is_relative_to(folder.resolve()):
        raise click.UsageError(
            f"Expected --out with a directory outside of the pictures'. Received: --out {out}"
        )
    listing = find_images(folder)
    for place, why in listing.closed.items():
        say(f"Left out: {place}: {why}", err=True)
    for suffix, number in listing.unread.items():
        say(f"Left out: {number:,} of {suffix}, which kgan does not read", err=True)
    check_writable(out)
    names = [Path(file.name) for file in listing.files]
    short = [path.with_suffix(".png") for path in names]
    long = [path.with_name(f"{path.name}.png") for path in names]
    wanted = Counter(str(path).lower() for path in (*short, *long))
    return [
        _File(folder / path, out / (one if wanted[str(one).lower()] == 1 else other), out)
        for path, one, other in zip(names, short, long, strict=True)
    ]


def _translated(
    model: Translating,
    direction: str,
    files: list[_File],
    fit: Fit,
    refuse: Callable[[KganError], None],
) -> Iterator[tuple[_File, np.ndarray, np.ndarray]]:
    """Files with what was read of them and its translation, of no more than a chunk in memory."""
    waiting: list[tuple[_File, np.ndarray]] = []

    def done():
        if waiting:
            made = model.translate(np.stack([image for _, image in waiting]), direction)
            for (file, image), translated in zip(waiting, made, strict=True):
                yield file, image, translated
            waiting.clear()

    for file in files:
        try:
            image = fit.read(file.path)
        except KganError as error:
            refuse(error)
            continue
        if waiting and waiting[0][1].shape != image.shape:
            yield from done()
        waiting.append((file, image))
        if len(waiting) == chunk_of(*image.shape[:2]):
            yield from done()
    yield from done()


def _beside(image, translated):
    """Two pictures in one, of as many channels as the one that has more."""
    both = [
        np.broadcast_to(x, (*x.shape[:2], max(image.shape[2], translated.shape[2])))
        for x in (image, translated)
    ]
    return images.grid(np.stack(both), columns=2)


def is_consistent(facts: dict[str, Any]) -> bool:
    """Whether facts, each of which is right, go together."""
    return True


def arguments(facts: dict[str, Any]) -> list[str]:
    """The options that translate a picture by these facts, but for the path."""
    options = ["--direction", facts["direction"]]
    if "size" in facts:
        options += ["--size", str(facts["size"])]
    if "box" in facts:
        options += ["--box", ",".join(map(str, facts["box"]))]
    return [*options, "--side-by-side"] if facts.get("side_by_side") else options


def place(facts: dict[str, Any], suffix: str) -> tuple[str, str]:
    """What --out is to be for a file of these facts, and where the file then is."""
    return f"again{suffix}", f"again{suffix}"


def _is_box(value):
    try:
        return value is not None and check_box(value) is not None
    except KganError:
        return False
