"""What evaluations have in common: the extractor, and features with a bar."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import click
import numpy as np

from kgan.metrics import Extractor
from kgan.metrics.measuring import (
    FEWEST_FRECHET,
    FeatureSet,
    check_metrics,
    extract_features,
)
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
    known = {EXTRACTORS.get(source) for source in (*recipe.data.sources(), *recipe.data.targets())}
    return recipe.data.extractor or (known.pop() if len(known) == 1 else None) or "random"


def facts_of(network: Extractor) -> dict[str, Any]:
    """What a result says of the extractor of its features."""
    return {
        "extractor": network.name,
        "extractor_version": network.version,
        "extractor_sha256": network.sha256,
        "resize": network.resize,
    }


def affordable(names: Iterable[str], number: int) -> tuple[list[str], list[str]]:
    """Those metrics that so many images allow, and what is left out."""
    names = list(names)
    if number >= FEWEST_FRECHET or FRECHET not in names:
        return names, []
    names.remove(FRECHET)
    return names, [f"the Fréchet distance, of fewer than {FEWEST_FRECHET} images"]


def asked_or_affordable(
    asked: Sequence[str] | None, known: Iterable[str], number: int
) -> tuple[list[str], list[str]]:
    """The metrics that were asked for, or all that so many images allow; and what is left out.

    Raises:
        KganError: if one that was asked for takes more images.
    """
    names, left_out = affordable(known, number) if asked is None else (list(asked), [])
    check_metrics(names, number)
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
