"""What the verbs have in common that draw pictures of a preset."""

import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
from PIL import Image

from kgan import images
from kgan.checks import TRUNCATION, Bound, list_of, one_of, whole
from kgan.cli.bounded import Bounded
from kgan.files import plain_name
from kgan.images import RESAMPLINGS
from kgan.recipe import Recipe
from kgan.zoo.preset import Preset

MOST_IN_A_GRID = 1024
MOST_PIXELS = 1 << 28  # of one picture
MOST_SCALE = 64

# What pictures of each of the verbs may say of how they were made.
FIELDS: dict[str, Bound] = {
    "labels": list_of(whole(0), MOST_IN_A_GRID),
    "truncation": TRUNCATION,
    "scale": whole(1, MOST_SCALE),
    "resample": one_of(*RESAMPLINGS),
}

labels_option = click.option(
    "--labels",
    help="Of a conditional model: classes by name or number, such as Sneaker,Coat, 7 or 0-9; a "
    "row for each. Names with commas in quotes. [default: drawn at random]",
)
truncation_option = click.option(
    "--truncation", type=Bounded(TRUNCATION), help="Of StyleGAN: below 1 less varied, but cleaner."
)
scale_option = click.option(
    "--scale",
    type=click.IntRange(1, MOST_SCALE),
    default=1,
    show_default=True,
    help="Times that pictures are enlarged.",
)
resample_option = click.option(
    "--resample",
    type=click.Choice(RESAMPLINGS),
    help="How --scale does it. [default: nearest if the recipe says pixel art, else lanczos]",
)


def name_of(preset: Preset) -> str:
    """What files of a preset are called."""
    return plain_name(preset.metadata["name"], "samples")


def facts_of(
    preset: Preset,
    verb: str,
    labels: Sequence[int] | None,
    truncation: float | None,
    scale: int,
    resample: str | None,
    **more: Any,
) -> dict[str, Any]:
    """What a picture says of what made it; the verbs draw by it, and so does `kgan inspect`.

    Args:
        preset: that draws.
        verb: of the command line.
        labels, truncation, scale, resample: of the options; `labels` one for each image.
        **more: what else the verb goes by.
    """
    facts = {"verb": verb, **more}
    if labels is not None:
        facts["labels"] = list(labels)
    if truncation is not None:
        facts["truncation"] = truncation
    if scale > 1:
        facts["scale"] = scale
        facts["resample"] = resample or ("nearest" if is_pixel_art(preset.recipe) else "lanczos")
    seen = preset.metadata["training"]["images_seen"]
    kind, hashed = preset.metadata["model"], preset.weights_sha256
    return images.provenance(kind, seen, name_of(preset), hashed, **facts)


def classes_in(facts: dict[str, Any]) -> list[int] | None:
    """The fewest classes that the labels of facts can be dealt from; None if there are none.

    Example:

    >>> classes_in({"labels": [1, 1, 3, 3]})
    [1, 3]
    """
    labels = facts.get("labels")
    if labels is None:
        return None
    number = len(labels)
    for count in range(1, number):
        if number % count == 0:
            each = number // count
            if all(labels[i] == labels[i - i % each] for i in range(number)):
                return labels[::each]
    return labels


def options_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The options of `Sampling.sample` that facts name, but for labels."""
    return {"truncation": facts["truncation"]} if "truncation" in facts else {}


def arguments(facts: dict[str, Any], **more: Any) -> list[str]:
    """Options of the command line that say what facts do, but for labels.

    Args:
        facts: of a picture.
        **more: further options by their names.
    """
    shared = {name: facts.get(name) for name in ("truncation", "scale", "resample")}
    given = {name: value for name, value in {**more, **shared}.items() if value is not None}
    return [
        part
        for name, value in given.items()
        for part in (f"-{name}" if len(name) == 1 else f"--{name}", _shown(value))
    ]


def _shown(value):
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def enlarged(pictures: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
    """Images as large as facts have them."""
    if facts.get("scale", 1) == 1:
        return pictures
    return images.enlarge(pictures, facts["scale"], facts["resample"])


def sheet(pictures: np.ndarray, columns: int, facts: dict[str, Any]) -> np.ndarray:
    """A grid of images as large as facts have them."""
    return images.grid(enlarged(pictures, facts), columns, gap=2 * facts.get("scale", 1))


def picture_size(image_shape: Sequence[int], facts: dict[str, Any]) -> tuple[int, int]:
    """Width and height of one image, as large as facts have it."""
    height, width, _ = image_shape
    return width * facts.get("scale", 1), height * facts.get("scale", 1)


def sheet_size(
    image_shape: Sequence[int], number: int, columns: int, facts: dict[str, Any]
) -> tuple[int, int]:
    """Width and height of what `sheet` gives."""
    gap, (width, height) = 2 * facts.get("scale", 1), picture_size(image_shape, facts)
    rows = math.ceil(number / columns)
    return columns * (width + gap) + gap, rows * (height + gap) + gap


def check_number(number: int, what: str, instead: str = "") -> None:
    """Raises UsageError if a picture cannot hold as many images.

    Args:
        number: of images.
        what: the option that asks for them.
        instead: the way out.
    """
    if number > MOST_IN_A_GRID:
        raise click.UsageError(
            f"Expected at most {MOST_IN_A_GRID} images in one picture. Received: {what}{instead}"
        )


def check_pixels(image_shape: Sequence[int], number: int, scale: int) -> None:
    """Raises UsageError if as many images make too large a picture."""
    height, width, _ = image_shape
    pixels = height * width * scale**2 * number
    if pixels > MOST_PIXELS:
        raise click.UsageError(
            f"Expected at most {MOST_PIXELS:,} pixels in one picture. Received: --scale {scale}, "
            f"for {pixels:,}"
        )


def dealt(classes: Sequence[int] | None, number: int) -> list[int] | None:
    """The label of each image: as many of each class, in their order; None if there are none.

    Raises:
        UsageError: if they cannot be as many.
    """
    if classes is None:
        return None
    if number % len(classes):
        raise click.UsageError(
            f"Expected -n to be a multiple of {len(classes)}, the number of --labels. Received: "
            f"-n {number}"
        )
    return [c for c in classes for _ in range(number // len(classes))]


@contextmanager
def progress(number: int, label: str, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, with the time left and the rate.

    Yields:
        What is to be called with how many more are done.
    """
    with click.progressbar(
        length=number,
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        item_show_func=lambda rate: rate,
    ) as bar:
        begun, done = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = done / max(time.monotonic() - begun, 1e-9)
            bar.update(count, f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s")

        yield advance


def is_pixel_art(recipe: Recipe) -> bool:
    """Whether a recipe says that its pictures are pixel art, whose pixels are to be seen."""
    said = f"{recipe.data.title} {recipe.data.note} {recipe.note}".lower()
    return recipe.data.extractor == "heroes" or re.search(r"pixel[ -]?art", said) is not None


@contextmanager
def large_pictures() -> Iterator[None]:
    """Lets Pillow open what kgan draws, which may be larger than Pillow likes of strangers."""
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = most
