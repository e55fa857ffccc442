"""What evaluations have in common: the extractor, and features with a bar."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import click
import numpy as np

from kgan.data import tfds
from kgan.metrics import Extractor
from kgan.metrics.measuring import (
    FEWEST,
    FeatureSet,
    check_metrics,
    extract_features,
    misshapen,
    too_few,
)
from kgan.metrics.sliced_wasserstein import SMALLEST
from kgan.recipe import Recipe

BATCH = 256  # images at a time; no figure depends on it
FRECHET = "frechet_distance"
EXTRACTORS = {
    "tfds:mnist": "digits",
    "tfds:fashion_mnist": "fashion",
    "celeba/train": "faces",
    "emoji/train/noto": "pictures",
    "emoji/train/twitter": "pictures",
    "openmoji/train/outline": "pictures",
    "openmoji/train/color": "pictures",
    "horse2zebra/trainA": "pictures",
    "horse2zebra/trainB": "pictures",
}


def extractor_of(recipe: Recipe) -> str:
    """The name of the extractor that knows a recipe's data best."""
    known = set(map(known_extractor, (*recipe.data.sources(), *recipe.data.targets())))
    return recipe.data.extractor or (known.pop() if len(known) == 1 else None) or "random"


def known_extractor(source: str | os.PathLike) -> str | None:
    """The name of the extractor of a data set, wherever it lies and whatever split it is of."""
    if tfds.is_name(source):
        return EXTRACTORS.get(f"tfds:{tfds.split_name(source, '')[0].partition(':')[0]}")
    place = "/" + Path(os.path.normpath(source)).as_posix()
    found = (name for known, name in EXTRACTORS.items() if place.endswith(f"/{known}"))
    return next(found, None)


def facts_of(network: Extractor) -> dict[str, Any]:
    """What a result says of the extractor of its features."""
    return {
        "extractor": network.name,
        "extractor_version": network.version,
        "extractor_sha256": network.sha256,
        "resize": network.resize,
    }


def affordable(
    names: Iterable[str], number: int, image_shape: tuple[int, int, int]
) -> tuple[list[str], list[str]]:
    """Those metrics that so many images of that shape allow, and what is left out."""
    allowed, left_out = [], []
    for name in names:
        title = "the " + name.replace("_", " ").replace("frechet", "Fréchet")
        if too_few(name, number):
            left_out.append(f"{title}, of fewer than {FEWEST[name]} images")
        elif misshapen(name, image_shape):
            left_out.append(f"{title}, of images that are no squares of {SMALLEST} pixels or more")
        else:
            allowed.append(name)
    return allowed, left_out


def asked_or_affordable(
    asked: Sequence[str] | None, known: Iterable[str], number: int, image_shape: tuple
) -> tuple[list[str], list[str]]:
    """The metrics that were asked for, or all that the images allow; and what is left out.

    Args:
        asked: names, or None.
        known: names of all.
        number: int, real and generated images.
        image_shape: (height, width, channels) of each.

    Raises:
        KganError: if one that was asked for takes other images, or all do.
    """
    if asked is None:
        names, left_out = affordable(known, number, image_shape)
    else:
        names, left_out = list(asked), []
    check_metrics(names or list(known), number, image_shape)
    return names, left_out


def extract(
    label: str, batches: Iterable[np.ndarray], length: int, network: Extractor, keep_images=False
) -> FeatureSet:
    """Features of batches of images, with a bar on a terminal."""
    with bar(label, length) as shown:
        return extract_features(advance(batches, shown), network, keep_images)


def bar(label: str, length: int):
    """A progress bar, on a terminal."""
    return click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def in_batches(images) -> Iterator[np.ndarray]:
    """Images in batches, read one by one."""
    return (np.asarray(images[i : i + BATCH]) for i in range(0, len(images), BATCH))


def advance(batches: Iterable[np.ndarray], shown) -> Iterator[np.ndarray]:
    """The batches, by each of which the bar gets longer."""
    for batch in batches:
        yield batch
        shown.update(len(batch))
