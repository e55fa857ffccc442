"""`kgan train`."""

import logging
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from kgan import recipe as recipes
from kgan.checks import check_box
from kgan.cli.models import (
    import_models,
    import_option,
    imported_names,
    model_class,
    model_names,
)
from kgan.cli.paths import ExpandedPath
from kgan.cli.renamed import RenamedCommand
from kgan.data.folder import LABELS
from kgan.data.resize import RESIZES
from kgan.errors import KganError
from kgan.files import expanded
from kgan.recipe import Data, Recipe
from kgan.zoo.preset import read as read_preset

DEFAULT_IMAGES = 1_000_000


@click.command(
    cls=RenamedCommand, epilog=f"Models: {', '.join(model_names())} (cgan: labelled data)."
)
@click.argument("source", metavar="WHAT")
@click.option("--data", help="Folder of images or tfds:NAME, in place of the recipe's.")
@click.option(
    "--data-dir",
    type=ExpandedPath(exists=True, file_okay=False),
    help="Where TFDS data and relative folders are. [default: KGAN_DATA_DIR, TFDS_DATA_DIR]",
)
@click.option(
    "--held-out",
    metavar="SHARE|FOLDER",
    help="Images that are never trained on, for `kgan evaluate`: a share of --data such as 0.1, a "
    "folder, or tfds:NAME.",
)
@click.option("--size", type=click.IntRange(1), help="Side of the images in pixels.")
@click.option("--channels", type=click.Choice(["1", "3"]), help="1 for gray, 3 for color.")
@click.option(
    "--resize",
    type=click.Choice(RESIZES),
    help="How images of other proportions are resized. [default: crop, at the center]",
)
@click.option(
    "--box",
    metavar="L,T,R,B",
    help="Part of each picture to cut out: left, top, right, bottom in fractions of it; or "
    "'recipe' for the recipe's, which --data drops.",
)
@click.option("--background", help="Color of pad's bars, and under transparency. [default: white]")
@click.option(
    "--labels", type=click.Choice(LABELS), help="Classes from the names of sub-folders of --data."
)
@click.option(
    "--cache",
    type=ExpandedPath(),
    help="File for a folder's decoded images: for sets larger than memory, and to decode once.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--images", type=click.IntRange(1), help="Images to see in all.")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.")
@click.option("--flip/--no-flip", default=None, help="Mirror images at random.")
@click.option("--augment/--no-augment", default=None, help="DiffAugment, for small data sets.")
@click.option("--seed", type=click.IntRange(0, 2**31), help="Of weights and all randomness.")
@click.option("--checkpoint-images", type=click.IntRange(1), help="Images between checkpoints.")
@click.option("--grid-images", type=click.IntRange(1), help="Images between sample grids.")
@click.option("--out", type=ExpandedPath(), help="Run directory. [default: runs/<name>]")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in --out; once it has ended, measure its snapshots and take the best.",
)
@import_option
@click.option("--override", is_flag=True, help="Resume with another recipe than it began with.")
def command(
    source: str,
    data: str | None,
    data_dir: Path | None,
    held_out: str | None,
    size: int | None,
    channels: str | None,
    resize: str | None,
    box: str | None,
    background: str | None,
    labels: str | None,
    cache: Path | None,
    epochs: int | None,
    images: int | None,
    batch_size: int | None,
    flip: bool | None,
    augment: bool | None,
    seed: int | None,
    checkpoint_images: int | None,
    grid_images: int | None,
    out: Path | None,
    resume: bool,
    import_file: Path | None,
    override: bool,
) -> None:
    """Train WHAT: a name from `kgan list`, a recipe.toml, or a model by one of the names below.

    The run directory gets the recipe, a sheet of the images, log.csv, sample grids, checkpoints, a
    snapshot of the model beside every grid, and at the end a preset that `kgan sample` and
    `kgan.zoo.load` take.

    \b
    Examples:
      kgan train dcgan --data ./photos --size 64 --flip --epochs 50
      kgan train cgan --data tfds:fashion_mnist --size 28 --channels 1
      kgan train cgan --data ./pets --labels folders --size 64 --cache pets.cache
      kgan train dcgan --data ./photos --held-out 0.1
      kgan train dcgan-celeba --data ./img_align_celeba --box recipe
      kgan train dcgan-mnist --out runs/digits
      kgan train dcgan-mnist --out runs/digits --resume
      kgan train --import my_gan.py my-gan --data ./photos --size 28
    """
    if epochs is not None and images is not None:
        raise click.UsageError("Expected --epochs or --images, not both.")
    if data is None and source.lower() in model_names():
        raise click.UsageError(_no_data(source))
    recipe = _recipe(source, import_file)
    recipes_box = recipe.data.box
    if data is not None:
        kept, recipe.select = recipe.data, ""  # held-out images were the recipe's data too
        recipe.data = Data(data, flip=kept.flip, resize=kept.resize, background=kept.background)
    if held_out is not None:
        recipe.data = replace(recipe.data, held_out=_held_out(held_out))
    if box is not None:
        recipe.data.box = recipes_box if box == "recipe" else parse_box(box)
    if not recipe.data.source:
        raise click.UsageError(_no_data(source))
    shape = recipe.arguments.get("image_shape", (64, 64, 3))
    if not isinstance(shape, (list, tuple)) or len(shape) != 3:
        raise KganError(
            f"Expected image_shape = [height, width, channels] in a recipe. Received: {shape!r}"
        )
    height, _, depth = shape
    recipe.arguments["image_shape"] = [size or height, size or height, int(channels or depth)]
    if augment is not None:
        recipe.arguments["augment"] = "DiffAugment"
        if not augment:
            del recipe.arguments["augment"]
    for name, value in (
        ("flip", flip),
        ("resize", resize),
        ("background", background),
        ("labels", labels),
    ):
        if value is not None:
            setattr(recipe.data, name, value)
    for name, value in (
        ("images", images),
        ("batch_size", batch_size),
        ("seed", seed),
        ("checkpoint_images", checkpoint_images),
        ("grid_images", grid_images),
    ):
        if value is not None:
            setattr(recipe, name, value)
    out = out or Path("runs") / recipe.name

    import_models(import_file)
    from kgan.runs import train as training

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces its cache of fonts

    try:
        preset = training.train(recipe, out, resume, data_dir, epochs, override, cache)
    except training.Interrupted:
        again = shlex.join(arg for arg in sys.argv[1:] if arg != "--resume")
        click.echo(f"Saved. Go on with: kgan {again} --resume", err=True)
        raise
    click.echo(preset)


def _no_data(source):
    return f"Expected --data with a folder of images or tfds:NAME, to train {source} on."


def _held_out(text: str) -> str | dict[str, float]:
    """The recipe's `held_out` of an option: a share of the images, or where others are."""
    share = re.fullmatch(r"([0-9]*\.?[0-9]+)(\s*%)?", text.strip())
    if share is None:
        return text
    return {"share": float(share[1]) / (100 if share[2] else 1)}


def parse_box(text: str) -> list[float]:
    """The box of an option such as `0.1,0.2,0.9,0.9`."""
    try:
        return list(check_box([float(number) for number in text.split(",")]))
    except ValueError:  # KganError is one
        raise click.UsageError(
            "Expected --box with left, top, right and bottom in fractions of the picture, such as "
            f"0.1,0.2,0.9,0.9. Received: {text}"
        ) from None


def _recipe(source: str, import_file: Path | None) -> Recipe:
    """The recipe of a file, of a preset, or of a model with its defaults."""
    if source.lower().endswith(".toml"):
        return recipes.read(expanded(source))
    if import_file is not None or source.lower() in model_names():
        import_models(import_file)
        if kind := model_class(source):
            return Recipe(
                name=f"my-{source.lower().removeprefix('my-')}",
                model=kind.__name__,
                images=DEFAULT_IMAGES,
                batch_size=kind.BATCH_SIZE,
            )
    try:
        return read_preset(source).recipe
    except KganError as error:
        known = ", ".join(model_names() + (imported_names() if import_file else []))
        raise KganError(f"{error}; or a recipe.toml, or one of {known}") from None
