"""Figures of samples, and of the real images that stand beside them."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import numpy as np

from kgan.data.listing import class_name
from kgan.errors import KganWarning
from kgan.metrics import frechet_distance, nearest_neighbours, precision_recall, protocol
from kgan.metrics.measuring import FEWEST_FRECHET, MOST_SLICED, FeatureSet, measure
from kgan.metrics.protocol import evenly
from kgan.runs.extraction import FRECHET, extract, in_batches
from kgan.runs.given import Given

NEIGHBOURS = 8  # samples whose nearest training images are looked for


class Sets:
    """The images at hand in features, each set of them taken once.

    Attributes:
        places: which of them serve what.
        network: the extractor.
        training: features of all training images, or None.
        held_out: features of all held-out images, or None.
        real, floor: `FeatureSet`, what samples are compared with, and what takes their place or
            None.
    """

    def __init__(self, given: Given, network, keep_images: bool):
        self.places, self.network, self.keep_images = given.places, network, keep_images
        self._given = given
        self.training, self.held_out = (
            None
            if part is None
            else self.extract(label, in_batches(part.images), len(part)).features
            for label, part in (
                ("Training images", given.training),
                ("Held-out images", given.held_out),
            )
        )
        self.real = self._take(given.places.real)
        self.floor = None if given.places.floor is None else self._take(given.places.floor)

    def extract(self, label, batches, length, keep_images=False) -> FeatureSet:
        """Features of batches of images, with a bar on a terminal."""
        return extract(label, batches, length, self.network, keep_images)

    def usual_distance(self) -> float | None:
        """The median distance of held-out images to the nearest training image, if both are here.

        Warns:
            KganWarning: if it is 0, since then it tells nothing.
        """
        if self.training is None or self.held_out is None:
            return None
        indices = protocol.nearness_held_out(len(self.held_out))
        distances, _ = nearest_neighbours(self.held_out[indices], self.training)
        usual = float(np.median(distances))
        if usual == 0:
            warnings.warn(
                "Expected held-out images that are not trained on. Received: the same images, for "
                "the most part; nearness to training images tells nothing",
                KganWarning,
                stacklevel=3,
            )
        return usual

    def features_at(self, places) -> np.ndarray:
        """Features of the images at some places."""
        return (self.held_out if places.held_out else self.training)[places.indices]

    def _take(self, places) -> FeatureSet:
        """What there is to compare of the images at some places."""
        images = self._given.held_out if places.held_out else self._given.training
        labels = None if images.labels is None else images.labels[places.indices]
        kept = None
        if self.keep_images:
            kept = np.asarray(images.images[evenly(places.indices, MOST_SLICED)])
        return FeatureSet(self.features_at(places), kept, labels)


class Comparison(NamedTuple):
    """Figures of samples, and of the real images in place of them.

    Attributes:
        figures: from `FeatureSet` to values by metric, each with its deviation or None.
        samples: int, how many are compared.
        floor: what takes their place, or None.
        facts: what the results say beside the protocol, or otherwise than it.
    """

    figures: Callable[[FeatureSet], dict[str, tuple[Any, float | None]]]
    samples: int
    floor: FeatureSet | None
    facts: dict[str, Any]


def main(sets, metrics) -> Comparison:
    """The metrics that were asked for."""
    apart = sets.places.recall is not None  # then recall is compared with other images

    def figures(samples):
        found = measure(sets.real, samples, metrics)
        return {name: figure for name, figure in found.items() if name != "recall" or not apart}

    return Comparison(figures, len(sets.real.features), sets.floor, {})


def recall(sets, metrics) -> list[Comparison]:
    """Recall of the held-out images, where these are too few for all else."""
    places = sets.places
    if places.recall is None or "precision_recall" not in metrics:
        return []
    held_out = sets.features_at(places.recall)
    floor = FeatureSet(sets.features_at(places.recall_floor))

    def figures(samples):
        return {"recall": (precision_recall(held_out, samples.features)[1], None)}

    facts = {
        "real_images": len(held_out),
        "generated_images": len(held_out),
        "floor_images": len(held_out),
        "split": "held-out",
        "places": places.recall.text,
        "floor_places": places.recall_floor.text,
    }
    return [Comparison(figures, len(held_out), floor, facts)]


def shares_of_classes(sets) -> Comparison:
    """How much of the samples, and of the real images, each class is, by the classifier."""
    network = sets.network

    def shares(images):
        counts = np.bincount(network.labels(images.features), minlength=network.num_classes)
        return (counts / len(images.features)).round(4).tolist()

    facts = {"real": shares(sets.real), "floor_images": None, "floor_places": None}
    return Comparison(
        lambda samples: {"class_shares": (shares(samples), None)},
        len(sets.real.features),
        None,
        facts,
    )


def accuracy(sets, given) -> list[Comparison]:
    """Whether samples are of the class that was asked for; the floor is of the real images."""
    known = [class_name(name) for name in sets.network.class_names or ()]
    drawn = np.delete(given.names, given.absent).tolist()
    if not set(drawn) <= set(known):
        return []
    numbers = np.array([known.index(name) if name in known else -1 for name in given.names])

    def figures(images):
        right = sets.network.labels(images.features) == numbers[images.labels]
        return {"label_accuracy": (float(np.mean(right)), None)}

    number = len(sets.real.features)
    facts = {"floor_images": number, "floor_places": sets.places.real.text}
    return [Comparison(figures, number, sets.real, facts)]


def by_class(sets, labels, given) -> tuple[list[Comparison], list[str]]:
    """The Fréchet distance of each class, and the classes of too few images for one."""
    floor = None if sets.floor is None or sets.floor.labels is None else sets.floor
    sides = [sets.real.labels, *labels, *([] if floor is None else [floor.labels])]
    rows, too_few = [], []
    for label, name in enumerate(given.names):
        if label in given.absent:
            continue
        number = min(int(np.count_nonzero(side == label)) for side in sides)
        if number < FEWEST_FRECHET:
            too_few.append(name)
            continue
        facts = {
            "class": name,
            "real_images": number,
            "generated_images": number,
            "floor_images": None if floor is None else number,
        }
        figures = _ClassFigures(label, number, sets.real)
        rows.append(Comparison(figures, len(sets.real.features), floor, facts))
    return rows, too_few


class _ClassFigures:
    """The Fréchet distance of a class, of equally many images on every side."""

    def __init__(self, label: int, number: int, real: FeatureSet):
        self.label, self.number = label, number
        self.real = self._of_class(real)

    def __call__(self, samples: FeatureSet) -> dict:
        return {FRECHET: (frechet_distance(self.real, self._of_class(samples)), None)}

    def _of_class(self, images):
        return images.features[evenly(np.flatnonzero(images.labels == self.label), self.number)]


def nearness(sets, usual) -> list[Comparison]:
    """How near samples are to training images, by how near held-out images are."""
    if not usual:
        return []

    def figures(samples):
        distances, _ = nearest_neighbours(samples.features, sets.training)
        return {"nearness": (float(np.median(distances)) / usual, None)}

    indices = protocol.nearness_held_out(len(sets.held_out))
    facts = {
        "least": protocol.LEAST_NEARNESS,
        "real_images": len(indices),
        "generated_images": protocol.NEARNESS_SAMPLES,
        "floor_images": None,
        "split": "held-out",
        "places": f"even spaces of {len(sets.held_out):,} held-out pictures",
        "floor_places": None,
    }
    return [Comparison(figures, protocol.NEARNESS_SAMPLES, None, facts)]


def nearest_training_images(sets, samples, usual, seed) -> dict:
    """The training images that the first samples of a seed are nearest to."""
    first = samples.features[:NEIGHBOURS]
    distances, indices = nearest_neighbours(first, sets.training)
    return {
        "metric": "nearest_training_image",
        "value": distances[:, 0].tolist(),
        "training_images": indices[:, 0].tolist(),
        "floor": usual,
        "generated_images": len(first),
        "floor_images": None,
        "floor_places": None,
        "seed": seed,
    }


def rows_of(found: list[dict], comparison: Comparison) -> list[dict]:
    """Results of a comparison: means over seeds, beside what real images get."""
    floors = {} if comparison.floor is None else comparison.figures(comparison.floor)
    rows = []
    for name in found[0]:
        values, deviations = zip(*(figures[name] for figures in found), strict=True)
        row = {
            "metric": name,
            "value": np.mean(values, axis=0).tolist(),
            "spread": np.ptp(values, axis=0).tolist(),
            "values": list(values),
            "floor": floors[name][0] if floors else None,
        }
        if deviations[0] is not None:
            row["deviation"] = float(np.mean(deviations))
        rows.append({**row, **comparison.facts})
    return rows


def first(samples: FeatureSet, number: int) -> FeatureSet:
    """The first samples; labels are those of as many as the main comparison takes."""
    kept = None if samples.images is None else samples.images[:number]
    labels = None if samples.labels is None else samples.labels[:number]
    return FeatureSet(samples.features[:number], kept, labels)
