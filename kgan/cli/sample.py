"""`kgan sample`."""

import json
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource

from kgan import images, latent_files
from kgan.checks import SEED, list_of, whole
from kgan.cli import drawing
from kgan.cli.engines import drawn_by, engine_option
from kgan.cli.labels import parse_labels
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
from kgan.errors import KganError
from kgan.files import aside, clear, replacing, sha256
from kgan.latent_files import PROVENANCE
from kgan.latents import sample_labels, sample_latents
from kgan.sampling import Sampling, StyleSampling

SUFFIXES = (".png", ".npz")
FIELDS = {
    **drawing.FIELDS,
    "seed": SEED,
    "n": whole(1),
    "index": whole(0),
    "columns": whole(1, drawing.MOST_IN_A_GRID),
    "classes": list_of(whole(0), 1 << 20),
}
NEEDED = {"seed", "n"}


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.option(
    "-n",
    "number",
    type=click.IntRange(1),
    help="Images in all. [default: 16; with --labels 8 of each]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same images; the first 4 of 100 are the 4 of 4.",
)
@click.option(
    "--latents",
    type=ExpandedPath(exists=True, dir_okay=False),
    help="An .npz with latents or styles, such as kgan project writes: its images are drawn, with "
    "its labels, in place of those of a seed.",
)
@drawing.labels_option
@drawing.truncation_option
@click.option("--out", type=ExpandedPath(), help="PNG, .npz or directory to write.")
@click.option("--separate", is_flag=True, help="A PNG for each image instead of one grid.")
@click.option(
    "--columns",
    type=click.IntRange(1, drawing.MOST_IN_A_GRID),
    help="Images a row of the grid. [default: as many as rows; of several --labels a row for each]",
)
@drawing.scale_option
@drawing.resample_option
@click.option(
    "--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at a time."
)
@engine_option
@import_option
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    number: int | None,
    seed: int,
    latents: Path | None,
    labels: str | None,
    truncation: float | None,
    out: Path | None,
    separate: bool,
    columns: int | None,
    scale: int,
    resample: str | None,
    batch_size: int,
    engine: str,
    import_file: Path | None,
) -> None:
    """Generate images with the preset NAME (or a preset directory), and print where they are.

    \b
    Examples:
      kgan sample dcgan-celeba -n 16
      kgan sample dcgan-mnist -n 100 --seed 7 --out digits.png
      kgan sample dcgan-celeba -n 4 --scale 4
      kgan sample dcgan-celeba -n 50000 --out faces.npz
      kgan sample dcgan-celeba -n 200 --separate --out faces/
      kgan sample runs/my-cgan/preset --labels 0-9
      kgan sample stylegan-lite-celeba --latents stylegan-lite-celeba-projection.npz
    """
    found = opened(source, import_file)
    classes = None if labels is None else parse_labels(labels, found.metadata)
    given = None if latents is None else _given(latents, ctx)
    if given is None:
        number = number or (16 if classes is None else 8 * len(classes))
        dealt = drawing.dealt(classes, number)
    else:
        number = len(given.get("latents", given.get("styles")))
        dealt = given["labels"].tolist() if "labels" in given else None
    name = drawing.name_of(found)
    out = _output(out, name, separate)
    as_array = not separate and out.suffix.lower() == ".npz"
    in_a_grid = not separate and not as_array
    if as_array and (scale > 1 or resample):
        raise click.UsageError(
            f"Expected --scale with pictures. Received: --out {out}, which holds the images as "
            "they are made"
        )
    if resample and scale == 1:
        raise click.UsageError(f"Expected --resample with --scale. Received: --resample {resample}")
    if columns and not in_a_grid:
        raise click.UsageError("Expected --columns with a grid in one PNG. Received: no grid")
    if in_a_grid:
        what = f"-n {number}" if given is None else f"{number:,} in {latents}"
        drawing.check_number(number, what, "; use --separate, or --out FILE.npz")
    drawing.check_pixels(found.metadata["image_shape"], number if in_a_grid else 1, scale)
    if latents is not None:
        check_other(out, latents, "the latents")
    check_writable(out)
    model = drawn_by(found, engine, import_file)
    if given is None:
        verb, drawn_from = "sample", {"seed": seed}
    else:
        verb, drawn_from = "sample --latents", {"latents_sha256": sha256(latents)}
    facts = drawing.facts_of(
        found, verb, dealt, truncation, scale, resample, n=number, **drawn_from
    )
    with drawing.progress(number, "Sampling", "images") as advance:

        def batches():
            drawn = _of_file(model, given, facts) if given else _batches(model, facts, batch_size)
            for batch in drawn:
                yield drawing.enlarged(batch, facts)
                advance(len(batch))

        if separate:
            _save_separate(batches(), out, facts, digits=len(str(number - 1)))
        elif as_array:
            if model.num_classes is not None and given is None and dealt is None:
                dealt = sample_labels(seed, 0, number, model.num_classes)
            shape = (number, *model.image_shape)
            _save_npz(batches(), out, shape, dealt, _of_array(facts, classes))
        else:
            columns = min(columns or _columns(number, classes), number)
            grid = images.grid(np.concatenate(list(batches())), columns, gap=2 * scale)
            images.save_png(grid, out, {**facts, "columns": columns})
    say_written(out)


def draw(model: Sampling, facts: dict[str, Any]) -> np.ndarray:
    """The picture that facts tell of, as the command draws it."""
    if "index" not in facts:
        pictures = np.concatenate(list(_batches(model, facts)))
        return drawing.sheet(pictures, columns_of(facts), facts)
    seed, index = facts["seed"], facts["index"]
    labels = facts.get("labels")
    if labels is None and model.num_classes is not None:
        labels = sample_labels(seed, index, index + 1, model.num_classes)
    latents = sample_latents(seed, index, index + 1, model.latent_dim)
    return drawing.enlarged(model.render(latents, labels, **drawing.options_of(facts)), facts)[0]


def draw_array(model: Sampling, facts: dict[str, Any]) -> Iterator[np.ndarray]:
    """The images that facts of an .npz tell of, in batches."""
    classes, number = facts.get("classes"), facts["n"]
    if classes is None:
        return _batches(model, facts)
    return _batches(model, {**facts, "labels": np.repeat(classes, number // len(classes))})


def is_consistent(facts: dict[str, Any]) -> bool:
    """Whether facts, each of which is right, go together."""
    number = facts["n"]
    if facts.get("columns", 1) > number or ("index" in facts and number != 1):
        return False
    labels, classes = facts.get("labels"), facts.get("classes", [0])
    return (labels is None or len(labels) == number) and number % len(classes) == 0


def size(facts: dict[str, Any], image_shape: Sequence[int]) -> tuple[int, int]:
    """Width and height of what `draw` gives."""
    if "index" in facts:
        return drawing.picture_size(image_shape, facts)
    return drawing.sheet_size(image_shape, facts["n"], columns_of(facts), facts)


def columns_of(facts: dict[str, Any]) -> int:
    """Images a row; of pictures by a kgan before, which do not say it, the default."""
    return facts.get("columns") or _columns(facts["n"], drawing.classes_in(facts))


def arguments(facts: dict[str, Any]) -> list[str]:
    """The options that draw a picture of these facts, but for labels and the path."""
    if "index" in facts:
        number = {"n": facts["index"] + 1}
    else:
        number = {"n": facts["n"]}
        columns = facts.get("columns")
        if columns != _columns(facts["n"], drawing.classes_in(facts)):
            number["columns"] = columns
    flags = ["--separate"] if "index" in facts else []
    return [*drawing.arguments(facts, seed=facts["seed"], **number), *flags]


def place(facts: dict[str, Any], suffix: str) -> tuple[str, str]:
    """What --out is to be for a file of these facts, and where the file then is."""
    if "index" in facts:
        out = f"again-{facts['seed']}-{facts['index']}"  # of its own: it has to be new
        return out, f"{out}/seed{facts['seed']}-{facts['index']}.png"
    return f"again{suffix}", f"again{suffix}"


def _columns(number, classes):
    if classes is None or len(classes) == 1:
        return math.ceil(math.sqrt(number))
    return number // len(classes)


def _batches(model, facts, batch_size=64):
    options = drawing.options_of(facts)
    return model.iter_samples(facts["n"], facts["seed"], batch_size, facts.get("labels"), **options)


def _given(path, ctx):
    """What a file of latents holds; raises UsageError for options in whose place it stands."""
    styles = "styles" in (arrays := latent_files.read(path)[0])
    # Styles are what w has come to after truncation.
    wrong = ("number", "seed", "labels", "batch_size", *(["truncation"] if styles else []))
    for option in ctx.command.params:
        if (
            option.name in wrong
            and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
        ):
            why = "images and labels are those of the file"
            if option.name == "truncation":
                why = "the file's styles are what truncation has made"
            raise click.UsageError(
                f"Expected --latents without {option.opts[0]}: {why}. Received: "
                f"{option.opts[0]} {ctx.params[option.name]}"
            )
    return arrays


def _of_file(model, given, facts):
    """The images of a file of latents, a chunk at a time."""
    kind, labels = ("styles" if "styles" in given else "latents"), given.get("labels")
    if kind == "styles" and not isinstance(model, StyleSampling):
        raise KganError(f"Expected latents: {model.kind} has no styles. Received: a file of styles")
    points, chunk = given[kind], model.sample_chunk
    for start in range(0, len(points), chunk):
        rows = points[start : start + chunk]
        if kind == "styles":
            yield model.render_styles(rows)
        else:
            classes = None if labels is None else labels[start : start + chunk]
            yield model.render(rows, classes, **drawing.options_of(facts))


def _of_array(facts, classes):
    """The facts of an .npz, which has the labels as an array."""
    facts = {key: value for key, value in facts.items() if key != "labels"}
    return facts if classes is None else {**facts, "classes": classes}


def _output(out: Path | None, name: str, separate: bool) -> Path:
    """Where to write, seen to be possible before any work is done."""
    if separate:
        out = out or Path(f"{name}-samples")
        clear(out)
        if is_called_a_file(out) or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise click.UsageError(
                f"Expected a new or empty directory for --separate. Received: --out {out}"
            )
    else:
        out = in_directory(out or Path(f"{name}.png"), f"{name}.png", *SUFFIXES)
    return out


def _save_separate(batches, out, facts, digits):
    labels = facts.get("labels")
    prefix = f"seed{facts['seed']}" if "seed" in facts else "latents"
    # Within a directory that is there: it may be on another disk than what it is in.
    with aside(out / "pictures" if out.is_dir() else out) as room:
        partial = room / "pictures"
        partial.mkdir()
        for index, image in enumerate(image for batch in batches for image in batch):
            label = {} if labels is None else {"labels": [labels[index]]}
            content = images.png(image, {**facts, "n": 1, "index": index, **label})
            (partial / f"{prefix}-{index:0{digits}d}.png").write_bytes(content)
        if not out.exists():
            os.replace(partial, out)
            return
        moved = []
        try:
            for path in sorted(partial.iterdir()):
                moved.append(out / path.name)
                os.replace(path, out / path.name)
            moved.clear()
        finally:
            for path in moved:  # an interrupt leaves the directory as it was
                path.unlink(missing_ok=True)


def _save_npz(batches, out, shape, labels, facts):
    """An .npz with `images`, written as they are made (they never sit in memory whole), `labels`
    of a conditional model, and what made them as JSON."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with replacing(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for batch in batches:
                file.write(batch.tobytes())
        if labels is not None:
            with archive.open("labels.npy", "w") as file:
                np.save(file, np.asarray(labels, np.int64))
        archive.writestr(PROVENANCE, json.dumps(facts))
