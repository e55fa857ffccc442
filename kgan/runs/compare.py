"""A folder of images against real ones, whatever made them."""

import os
import time
from collections.abc import Sequence
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np

import kgan
from kgan import data
from kgan.checks import whole
from kgan.data import tfds
from kgan.data.listing import find_folder
from kgan.data.reading import shape_of_pictures
from kgan.errors import KganError
from kgan.metrics import extractor as find_extractor
from kgan.metrics import protocol
from kgan.metrics.measuring import METRICS, check_metrics, measure
from kgan.metrics.protocol import evenly
from kgan.runs.extraction import BATCH, asked_or_affordable, extract, facts_of, known_extractor
from kgan.runs.figures import Comparison, rows_of
from kgan.zoo.metadata import METADATA


def compare(
    source: str | os.PathLike,
    against: str | os.PathLike,
    split: str | None = None,
    number: int = protocol.MOST,
    metrics: Sequence[str] | None = None,
    extractor: str | keras.Model | None = None,
    side: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> list[dict[str, Any]]:
    """Measures the images of a folder, whatever made them, against real ones; no model is needed.

    Both become images of one shape, cropped at the center to its proportions. As many are compared
    as there are in the smaller set; the floor, of other real images in place of the folder's, is
    there if the real ones are twice as many.

    Args:
        source: folder of the images that are measured.
        against: the real images: a folder, or `"tfds:<name>"`.
        split: of TFDS; by default `"test"`.
        number: int, images a side at most.
        metrics: see `kgan.runs.evaluate.evaluate`.
        extractor: see `kgan.metrics.extractor`. By default that of the real images' data set, or
            `"random"`.
        side: int, to make all images square; by default they become as those of `source` are, if
            these are all of one size.
        data_dir: see `kgan.data.load`.

    Returns:
        Results as from `kgan.runs.evaluate.evaluate`, without seeds; `samples` names the folder,
        `image_shape` says what the images became.

    Raises:
        ValueError: for folders, metrics or extractors that cannot be used.

    Example:

    ```python
    for result in compare("samples", "photos", extractor="inception"):
        print(result["metric"], result["value"], result["floor"])
    ```
    """
    start = time.monotonic()
    check_metrics(METRICS if metrics is None else metrics)
    whole(2, protocol.MOST).check("number", number)
    is_tfds, folder = tfds.is_name(against), find_folder(source, data_dir)
    if split is not None and not is_tfds:
        raise KganError(f"Expected split with data of TFDS. Received: {split!r} of {against}")
    if (folder / METADATA).is_file():
        raise KganError(
            "Expected a folder of images to compare with another. Received: the preset "
            f"{source}; --data compares samples of a preset with a folder"
        )
    against = os.fspath(against)
    if is_tfds:
        against, split = tfds.source_and_split(against, split, "test")
    default = known_extractor(against) or "random"
    network = find_extractor(default if extractor is None else extractor)
    shape = shape_of_pictures(folder, side)
    if network.input_shape is not None:
        shape = (*shape[:2], network.input_shape[2] or shape[2])
    fake, real = (
        data.load(place, shape, split or "test", data_dir) for place in (os.fspath(source), against)
    )
    number = min(protocol.most_images(network.name, number), len(fake), len(real))
    places = protocol.against(len(real), number)
    metrics, left_out = asked_or_affordable(metrics, METRICS, number, shape)
    if places.floor is None:
        left_out.append("the floor, for which real images have to be twice as many")
    keep = "sliced_wasserstein" in metrics

    def features(images, indices, label):
        batches = (np.asarray(images[i]) for i in np.split(indices, range(BATCH, number, BATCH)))
        return extract(label, batches, number, network, keep)

    wanted = features(real.images, places.real.indices, "Real images")
    floor = places.floor and features(real.images, places.floor.indices, "Floor")
    comparison = Comparison(lambda images: measure(wanted, images, metrics), number, floor, {})
    samples = features(fake.images, evenly(range(len(fake)), number), "Images")
    facts = {
        **facts_of(network),
        "image_shape": list(shape),
        "samples": os.fspath(source),
        "real_images": number,
        "generated_images": number,
        "floor_images": None if floor is None else number,
        "data": against,
        "split": split,
        "places": places.real.text,
        "floor_places": None if floor is None else places.floor.text,
        "seeds": None,
        "truncation": None,
        "left_out": "; ".join(left_out) or None,
        "kgan": kgan.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    return [{**row, **facts} for row in rows_of([comparison.figures(samples)], comparison)]
