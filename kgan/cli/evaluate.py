"""`kgan evaluate`."""

import json
from pathlib import Path

import click
from click.core import ParameterSource

from kgan.checks import TRUNCATION
from kgan.cli.bounded import Bounded
from kgan.cli.models import import_models, import_option
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_writable
from kgan.cli.train import parse_box
from kgan.errors import say
from kgan.files import write
from kgan.recipe import PAIRED
from kgan.zoo.results import text

METRICS = (
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
    "density_coverage",
    "sliced_wasserstein",
)
OF_TRANSLATIONS = (
    "mean_absolute_error",
    "psnr",
    "ssim",
    "frechet_distance",
    "kernel_distance",
    "cycle_error",
)


def _seeds(context, parameter, value: str) -> list[int]:
    seeds = [part.strip() for part in value.split(",")]
    # isdecimal() alone lets digits of other scripts pass.
    if not all(seed.isascii() and seed.isdecimal() and int(seed) < 2**64 for seed in seeds):
        raise click.BadParameter(f"Expected numbers such as 0,1,2. Received: {value}")
    return list(map(int, seeds))


def _check_options(context: click.Context, against: str | None) -> None:
    """Raises UsageError for an option of samples where none are drawn, or the other way round."""
    wrong = ("data", "target", "paired", "box", "seeds", "truncation", "update_card", "import_file")
    if against is None:
        wrong = ("size",)
    for option in context.command.params:
        source = context.get_parameter_source(option.name)
        if option.name in wrong and source is ParameterSource.COMMANDLINE:
            beside = "with" if against is None else "without"
            raise click.UsageError(
                f"Expected {option.opts[0]} {beside} --against, which compares folders of images."
            )


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.option("--data", help="Other images: tfds:NAME or a folder. [default: the recipe's]")
@click.option("--target", help="With --data: of pictures to translate, the others' domain.")
@click.option(
    "--paired",
    type=click.Choice(PAIRED),
    help="How pictures and targets belong together. [default: as the recipe says]",
)
@click.option(
    "--against", help="Compare NAME, a folder of images, with this folder or tfds:NAME; no model."
)
@click.option("--size", type=click.IntRange(1), help="With --against: side that images get.")
@click.option("--split", help="Of --data or --against tfds:NAME. [default: test]")
@click.option(
    "--box",
    metavar="L,T,R,B",
    help="Part of each picture of --data to cut out: left, top, right, bottom in fractions of it; "
    "or 'recipe' for the recipe's. [default: the center]",
)
@click.option(
    "--data-dir",
    type=ExpandedPath(file_okay=False),
    help="Where TFDS data and relative folders are. [default: KGAN_DATA_DIR, TFDS_DATA_DIR]",
)
@click.option(
    "--images",
    type=click.IntRange(2, 10_000),
    default=10_000,
    show_default=True,
    help="Real and generated, at most; of faces 4,000.",
)
@click.option(
    "--metrics",
    help="Some of these, separated by commas. [default: all: "
    + ", ".join(METRICS)
    + "; of translations "
    + ", ".join(OF_TRANSLATIONS)
    + "]",
)
@click.option(
    "--extractor",
    help="Of features: digits, fashion, faces, heroes, pictures, random or inception. [default: by "
    "the data]",
)
@click.option(
    "--seeds",
    callback=_seeds,
    default="0,1,2",
    show_default=True,
    help="Of the samples; figures are means over them.",
)
@click.option("--truncation", type=Bounded(TRUNCATION), help="Of StyleGAN; the protocol says so.")
@click.option("--json", "json_path", type=ExpandedPath(), help="File for all figures.")
@click.option("--update-card", is_flag=True, help="Write the figures into the preset.")
@import_option
@click.pass_context
def command(
    context: click.Context,
    source: str,
    data: str | None,
    target: str | None,
    paired: str | None,
    against: str | None,
    size: int | None,
    split: str | None,
    box: str | None,
    data_dir: Path | None,
    images: int,
    metrics: str | None,
    extractor: str | None,
    seeds: list[int],
    truncation: float | None,
    json_path: Path | None,
    update_card: bool,
    import_file: Path | None,
) -> None:
    """Measure samples of the preset NAME (or a preset directory) against real images.

    These are held-out ones where there are 5,000 of them. Otherwise every other training image is
    taken, and held-out ones serve recall and nearness: whether samples lie nearer to training
    images than those do. The floor is the same metric of other real images in place of the
    samples. What the images do not allow is left out: the Fréchet distance takes 250 of them, the
    sliced Wasserstein distance squares.

    Of a preset that translates: held-out pairs are translated and compared with the true pictures;
    pictures of two domains are compared with those of the domain that they are turned into. Beside
    stand the same figures of the pictures as they were, and of the nearest training pair.

    \b
    Examples:
      kgan evaluate dcgan-mnist
      kgan evaluate runs/faces/preset --data photos/test --metrics frechet_distance
      kgan evaluate runs/sketches/preset --data lines/test --target drawings/test
      kgan evaluate samples/ --against photos/test --size 64 --extractor inception
      kgan evaluate runs/faces/preset --update-card --json figures.json
    """
    if json_path is not None and (not json_path.parent.is_dir() or json_path.is_dir()):
        raise click.UsageError(
            f"Expected --json with a file, in a folder that exists. Received: {json_path}"
        )
    _check_options(context, against)
    part = box if box in (None, "recipe") else parse_box(box)
    import_models(import_file)
    from kgan.runs import evaluate as evaluation
    from kgan.runs.compare import compare

    if json_path is not None:
        check_writable(json_path, "--json")
    if update_card:
        source = str(evaluation.card_directory(source))
    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    if against is not None:
        results = compare(source, against, split, images, names, extractor, size, data_dir)
    else:
        results = evaluation.evaluate(
            *(source, data, split, images, names, extractor, seeds, truncation, data_dir),
            target=target,
            paired=paired,
            box=part,
        )
    say(text(results))  # first, for whatever comes after may fail
    if json_path is not None:
        write(json_path, json.dumps(results, indent=2) + "\n")
    if update_card:
        evaluation.update_card(source, results, data_dir)
