"""`kgan sample`."""

import os
import re
import sys
import zipfile
from pathlib import Path

import click
import numpy as np

import kgan
from kgan import images
from kgan.checks import TRUNCATION
from kgan.cli.bounded import Bounded
from kgan.cli.engines import drawn_by, engine_option
from kgan.cli.labels import parse_labels
from kgan.cli.models import import_option
from kgan.cli.paths import ExpandedPath, check_writable, in_directory, is_called_a_file
from kgan.errors import say
from kgan.files import aside, plain_name, replacing
from kgan.images import RESAMPLINGS
from kgan.recipe import Recipe
from kgan.zoo import opening

MOST_IN_A_GRID = 1024
SUFFIXES = (".png", ".npz")
MOST_PIXELS = 1 << 28  # of one picture


@click.command()
@click.argument("source", metavar="NAME")
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
    "--labels",
    help="Of a conditional model: classes by name or number, such as Sneaker,Coat, 7 or 0-9; a "
    "row for each. Names with commas in quotes. [default: drawn at random]",
)
@click.option(
    "--truncation", type=Bounded(TRUNCATION), help="Of StyleGAN: below 1 less varied, but cleaner."
)
@click.option("--out", type=ExpandedPath(), help="PNG, .npz or directory to write.")
@click.option("--separate", is_flag=True, help="A PNG for each image instead of one grid.")
@click.option(
    "--scale",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Times that pictures are enlarged.",
)
@click.option(
    "--resample",
    type=click.Choice(RESAMPLINGS),
    help="How --scale does it. [default: nearest if the recipe says pixel art, else lanczos]",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at a time."
)
@engine_option
@import_option
def command(
    source: str,
    number: int | None,
    seed: int,
    labels: str | None,
    truncation: float | None,
    out: Path | None,
    separate: bool,
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
    """
    found = opening.read(source)
    metadata = found.metadata
    classes = None if labels is None else parse_labels(labels, metadata)
    number = number or (16 if classes is None else 8 * len(classes))
    if classes is not None and number % len(classes):
        raise click.UsageError(
            f"Expected -n to be a multiple of {len(classes)}, the number of --labels. Received: "
            f"-n {number}"
        )
    name = plain_name(metadata["name"], "samples")
    out = _output(out, name, separate)
    as_array = not separate and out.suffix.lower() == ".npz"
    in_a_grid = not separate and not as_array
    if as_array and (scale > 1 or resample):
        raise click.UsageError(
            f"Expected --scale with pictures. Received: --out {out}, which holds the images as "
            "they are made"
        )
    if in_a_grid and number > MOST_IN_A_GRID:
        raise click.UsageError(
            f"Expected at most {MOST_IN_A_GRID} images in one picture. Received: -n {number}; "
            "use --separate, or --out FILE.npz"
        )
    height, width, _ = metadata["image_shape"]
    pixels = height * width * scale**2 * (number if in_a_grid else 1)
    if pixels > MOST_PIXELS:
        raise click.UsageError(
            f"Expected at most {MOST_PIXELS:,} pixels in one picture. Received: --scale {scale}, "
            f"for {pixels:,}"
        )
    check_writable(out)
    model = drawn_by(found, engine, import_file)
    options = {}
    if classes is not None:
        options["labels"] = [c for c in classes for _ in range(number // len(classes))]
    if truncation is not None:
        options["truncation"] = truncation
    enlarged = {}
    if scale > 1:
        resample = resample or ("nearest" if _is_pixel_art(found.recipe) else "lanczos")
        enlarged = {"scale": scale, "resample": resample}
    made_by = {"seed": seed, "n": number, **options, **enlarged}
    seen = metadata["training"]["images_seen"]
    facts = images.provenance(metadata["model"], seen, name, found.weights_sha256, **made_by)
    with click.progressbar(
        length=number, label="Sampling", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def batches():
            for batch in model.iter_samples(number, seed, batch_size, **options):
                yield images.enlarge(batch, **enlarged) if enlarged else batch
                bar.update(len(batch))

        if separate:
            _save_separate(batches(), out, {**facts, "n": 1}, digits=len(str(number - 1)))
        elif as_array:
            wanted = options.get("labels")
            if model.num_classes is not None and wanted is None:
                wanted = kgan.latents.sample_labels(seed, 0, number, model.num_classes)
            _save_npz(batches(), out, (number, *model.image_shape), wanted)
        else:
            columns = None if classes is None or len(classes) == 1 else number // len(classes)
            grid = images.grid(np.concatenate(list(batches())), columns, gap=2 * scale)
            images.save_png(grid, out, facts)
    say(out)


def _is_pixel_art(recipe: Recipe) -> bool:
    """Whether a recipe says that its pictures are pixel art, whose pixels are to be seen."""
    said = f"{recipe.data.title} {recipe.data.note} {recipe.note}".lower()
    return recipe.data.extractor == "heroes" or re.search(r"pixel[ -]?art", said) is not None


def _output(out: Path | None, name: str, separate: bool) -> Path:
    """Where to write, seen to be possible before any work is done."""
    if separate:
        out = out or Path(f"{name}-samples")
        if is_called_a_file(out) or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise click.UsageError(
                f"Expected a new or empty directory for --separate. Received: --out {out}"
            )
    else:
        out = in_directory(out or Path(f"{name}.png"), f"{name}.png", *SUFFIXES)
    return out


def _save_separate(batches, out, facts, digits):
    labels = facts.pop("labels", None)
    with aside(out) as room:
        partial = room / out.name
        partial.mkdir()
        for index, image in enumerate(image for batch in batches for image in batch):
            label = {} if labels is None else {"labels": [labels[index]]}
            content = images.png(image, {**facts, "index": index, **label})
            (partial / f"seed{facts['seed']}-{index:0{digits}d}.png").write_bytes(content)
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


def _save_npz(batches, out, shape, labels=None):
    """An .npz with `images`, written as they are made (they never sit in memory whole), and
    `labels` of a conditional model."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with replacing(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for batch in batches:
                file.write(batch.tobytes())
        if labels is not None:
            with archive.open("labels.npy", "w") as file:
                np.save(file, np.asarray(labels, np.int64))
