"""How good a preset is, by a protocol that its figures carry with them."""

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np

import kgan
from kgan import data, images
from kgan.data import parts, tfds
from kgan.data.folder import (
    allocate,
    class_name,
    find_folder,
    in_class_folders,
    shape_of_pictures,
)
from kgan.errors import KganError, KganWarning, short
from kgan.latents import sample_labels
from kgan.metrics import extractor as find_extractor
from kgan.metrics import frechet_distance, nearest_neighbours, precision_recall, protocol
from kgan.metrics.measuring import (
    FEWEST_FRECHET,
    METRICS,
    MOST_SLICED,
    FeatureSet,
    check_metrics,
    measure,
)
from kgan.metrics.protocol import Publication, evenly
from kgan.models.base.translation import TranslationModel
from kgan.runs import evaluate_translation as translation
from kgan.runs.extraction import (
    BATCH,
    EXTRACTORS,
    FRECHET,
    affordable,
    extract,
    extractor_of,
    facts_of,
    in_batches,
)
from kgan.sampling import check_options
from kgan.zoo import download, gallery, opening, preset, registry, saving
from kgan.zoo.metadata import METADATA, NEIGHBOURS

_NEIGHBOURS = 8  # samples whose nearest training images are looked for


def evaluate(
    source: str | os.PathLike,
    data_source: str | None = None,
    split: str | None = None,
    number: int = protocol.MOST,
    metrics: Sequence[str] | None = None,
    extractor: str | keras.Model | None = None,
    seeds: Sequence[int] = protocol.SEEDS,
    truncation: float | None = None,
    data_dir: str | os.PathLike | None = None,
    target: str | None = None,
    paired: str | None = None,
) -> list[dict[str, Any]]:
    """Measures samples of a preset against real images.

    Of a preset that translates it measures translations:
    `kgan.runs.evaluate_translation.evaluate` says how.

    Which these are, `kgan.metrics.protocol` says: held-out images where there are at least 5,000
    of them, otherwise training images at even places. The floor is the same metric of as many
    other real images in place of the samples: what a perfect generator would get. Where fewer
    images are held out, they serve recall and nearness.

    Args:
        source: name or directory of a preset.
        data_source: other images to measure against, which then count as held out:
            `"tfds:<name>"` or a folder. By default the preset's recipe says what there is. The
            floor is of training images at even spaces, or None if there are too few of them here
            or the model was trained on `data_source`.
        split: of a `data_source` of TFDS; by default `"test"`.
        number: int, real and generated images at most; by the extractor `faces` never more than
            4,000.
        metrics: names among `kgan.metrics.METRICS`. By default all, but for the Fréchet distance
            where there are fewer than 250 images.
        extractor: see `kgan.metrics.extractor`. By default that of the recipe's data, or
            `"random"`.
        seeds: ints; so many samples are drawn of each.
        truncation: of models that have it; the protocol says so.
        data_dir: see `kgan.data.load`.
        target, paired: of a preset that translates.

    Returns:
        Results: tables with `metric`, `value` (the mean over seeds), `spread` (the largest less
        the smallest), `values` (of each seed), its `deviation` over subsets where it has one, its
        `floor` or None, `class` where it is of one class only, and the protocol: `extractor` with
        its version and hash, `real_images`, `generated_images`, `floor_images`, `data`, `split`,
        `places` and `floor_places` (which images they were), `resize`, `seeds`, `truncation`,
        `weights_sha256`, and `left_out`, which says what is missing and why, or None. Beside the
        metrics asked for there are:

        - `label_accuracy`, of a conditional model whose classes the extractor knows;
        - `class_shares` of the samples, and in `real` of the real images, of labelled data and an
          extractor that knows classes;
        - `nearness`, where training images and held-out ones are at hand: the median distance in
          features of 1,000 samples to the nearest training image, divided by that of held-out
          images; below its `least` samples are nearer to training images than they should be;
        - `nearest_training_image`, where training images are at hand: the distances of the first
          8 samples of the first seed to the nearest of them; its floor is the median of held-out
          images, or None.

    Raises:
        ValueError: for data, metrics, seeds or extractors that cannot be used.

    Example:

    ```python
    for result in evaluate("dcgan-mnist"):
        print(result["metric"], result["value"], result["floor"])
    ```
    """
    start = time.monotonic()
    evaluated = opening.read(source)
    kind, _ = saving.described(evaluated)
    if issubclass(kind, TranslationModel):
        for name, value, usual in (
            ("split", split, None),
            ("truncation", truncation, None),
            ("seeds", tuple(seeds), protocol.SEEDS),
        ):
            if value != usual:
                raise KganError(
                    f"Expected {name} with a preset that samples. Received: {name}={short(value)}, "
                    f"and a {kind.__name__}, which translates"
                )
        return translation.evaluate(
            evaluated, data_source, target, paired, number, metrics, extractor, data_dir
        )
    for name, value in (("target", target), ("paired", paired)):
        if value is not None:
            raise KganError(
                f"Expected {name} with a preset that translates. Received: {name}={short(value)}, "
                f"and a {kind.__name__}"
            )
    check_metrics(METRICS if metrics is None else metrics)
    if not seeds or len(set(seeds)) < len(seeds):
        raise KganError(f"Expected seeds, each of them once. Received: {list(seeds)}")
    recipe, model = evaluated.recipe, saving.load(evaluated)
    options: dict[str, Any] = {} if truncation is None else {"truncation": truncation}
    if options:
        check_options(options, model.SAMPLE_OPTIONS, type(model).__name__)
    network = find_extractor(extractor_of(recipe) if extractor is None else extractor)
    most = protocol.most_images(network.name, number)
    if data_source is None:
        if split is not None:
            raise KganError(f"Expected split with other data. Received: {split!r}, and no data")
        given = _own_data(recipe, model, most, data_dir)
    else:
        given = _other_data(recipe, model, data_source, split, most, data_dir)
    number = len(given.places.real.indices)
    metrics, left_out = _affordable(metrics, number)
    sets = _Sets(given, network, keep_images="sliced_wasserstein" in metrics)
    comparisons = [_main(sets, metrics), *_recall(sets, metrics)]
    labels = None
    if model.num_classes is not None:
        labels = [given.labels(seed, number) for seed in seeds]
    if network.num_classes is not None and sets.real.labels is not None:
        comparisons.append(_shares(sets))
    if labels is not None and sets.real.labels is not None:
        comparisons += _accuracy(sets, given)
        if FRECHET in metrics:
            rows, too_few = _classes(sets, labels, given)
            comparisons += rows
            if too_few:
                left_out.append(
                    f"the Fréchet distance of {', '.join(too_few)}, of fewer than "
                    f"{FEWEST_FRECHET} images each"
                )
    usual = sets.usual_distance()
    comparisons += _nearness(sets, usual)

    figures: list[list[dict]] = [[] for _ in comparisons]
    nearest = []
    for seed in seeds:
        count = max(comparison.samples for comparison in comparisons)
        if given.absent:
            options["labels"] = given.labels(seed, count)
        batches = model.iter_samples(count, seed, BATCH, **options)
        samples = sets.extract(f"Samples of seed {seed}", batches, count, sets.keep_images)
        if labels is not None:
            samples = samples._replace(labels=labels[len(figures[0])])
        for found, comparison in zip(figures, comparisons, strict=True):
            found.append(comparison.figures(_first(samples, comparison.samples)))
        if sets.training is not None and not nearest:
            nearest.append(_nearest(sets, samples, usual, seed))
    results = [
        row
        for found, comparison in zip(figures, comparisons, strict=True)
        for row in _rows(found, comparison)
    ]
    facts = {
        **facts_of(network),
        "real_images": number,
        "generated_images": number,
        "floor_images": None if sets.floor is None else number,
        "data": given.source,
        "split": given.split,
        "places": given.places.real.text,
        "floor_places": None if sets.floor is None else given.places.floor.text,
        "seeds": list(seeds),
        "truncation": truncation,
        "left_out": "; ".join([*given.left_out, *left_out]) or None,
        "weights_sha256": evaluated.weights_sha256,
        "kgan": kgan.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    return [{**result, **facts, **result} for result in [*results, *nearest]]


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
        metrics: see `evaluate`.
        extractor: see `kgan.metrics.extractor`. By default that of the real images' data set, or
            `"random"`.
        side: int, to make all images square; by default they become as those of `source` are, if
            these are all of one size.
        data_dir: see `kgan.data.load`.

    Returns:
        Results as from `evaluate`, without seeds; `samples` names the folder, `image_shape` says
        what the images became.

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
    is_tfds, folder = tfds.is_name(against), find_folder(source, data_dir)
    if split is not None and not is_tfds:
        raise KganError(f"Expected split with data of TFDS. Received: {split!r} of {against}")
    if (folder / METADATA).is_file():
        raise KganError(
            "Expected a folder of images to compare with another. Received: the preset "
            f"{source}; --data compares samples of a preset with a folder"
        )
    default = EXTRACTORS.get(os.fspath(against), "random")
    network = find_extractor(default if extractor is None else extractor)
    shape = shape_of_pictures(folder, side)
    if network.input_shape is not None:
        shape = (*shape[:2], network.input_shape[2] or shape[2])
    fake, real = (
        data.load(place, shape, split or "test", data_dir) for place in (os.fspath(source), against)
    )
    number = min(protocol.most_images(network.name, number), len(fake), len(real))
    places = protocol.against(len(real), number)
    metrics, left_out = _affordable(metrics, number)
    if places.floor is None:
        left_out.append("the floor, for which real images have to be twice as many")
    keep = "sliced_wasserstein" in metrics

    def features(images, indices, label):
        batches = (np.asarray(images[i]) for i in np.split(indices, range(BATCH, number, BATCH)))
        return extract(label, batches, number, network, keep)

    wanted = features(real.images, places.real.indices, "Real images")
    floor = places.floor and features(real.images, places.floor.indices, "Floor")
    comparison = _Comparison(lambda images: measure(wanted, images, metrics), number, floor, {})
    samples = features(fake.images, evenly(range(len(fake)), number), "Images")
    facts = {
        **facts_of(network),
        "image_shape": list(shape),
        "samples": os.fspath(source),
        "real_images": number,
        "generated_images": number,
        "floor_images": None if floor is None else number,
        "data": os.fspath(against),
        "split": (split or "test") if is_tfds else None,
        "places": places.real.text,
        "floor_places": None if floor is None else places.floor.text,
        "seeds": None,
        "truncation": None,
        "left_out": "; ".join(left_out) or None,
        "kgan": kgan.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    return [{**row, **facts} for row in _rows([comparison.figures(samples)], comparison)]


def _affordable(metrics, number) -> tuple[list[str], list[str]]:
    """The metrics that were asked for, or all that so many images allow; and what is left out.

    Raises:
        KganError: if one that was asked for takes more images.
    """
    metrics, left_out = affordable(METRICS, number) if metrics is None else (metrics, [])
    check_metrics(metrics, number)
    return metrics, left_out


def update_card(
    source: str | os.PathLike,
    results: list[dict[str, Any]],
    data_dir: str | os.PathLike | None = None,
) -> None:
    """Writes results into the metadata and the card of a preset, in place of those there are.

    If the training images are at hand and their licence lets them be shown, the card also gets the
    first samples with the training images that are nearest to them. In a zoo with a registry, that
    and the gallery are written anew.

    Args:
        source: name or directory of a preset.
        results: see `evaluate`.
        data_dir: see `kgan.data.load`.

    Raises:
        ValueError: if the preset is not in a directory of this machine.
    """
    found = preset.read(_own_directory(source))
    directory = found.directory
    with preset.writing(directory) as partial:
        preset.copy(found, partial)
        _save_neighbours(found, results, partial, data_dir)
        preset.complete(partial, {**found.metadata, "metrics": results})
    if (directory.parent / registry.REGISTRY).is_file():
        registry.write(directory.parent)
        gallery.write_gallery(directory.parent)


def check_card(source: str | os.PathLike) -> None:
    """Raises KganError if `update_card` could not write: before hours of measuring, not after."""
    place = _own_directory(source)
    if not os.access(place.resolve().parent, os.W_OK):
        raise KganError(
            "Expected a preset in a directory that can be written, to write figures into. "
            f"Received: {place}"
        )


def _own_directory(source) -> Path:
    """The directory of a preset, or of the newest one of a run, on this machine."""
    run = opening.run_directory(source)
    place = registry.resolve(source)[0] if run is None else opening.newest(run)
    if place is None or download.is_url(str(place)):
        raise KganError(f"Expected a preset directory to write figures into. Received: {source}")
    return Path(place)


def _save_neighbours(found, results, directory, data_dir):
    recipe = found.recipe
    nearest = [r for r in results if r["metric"] == "nearest_training_image"]
    # A licence with a note of its own restricts something: then no image of the data is shown.
    if not nearest or recipe.data.licence_note:
        return
    model = saving.load(found)
    indices, seed = nearest[0]["training_images"], nearest[0]["seed"]
    samples = model.sample(len(indices), seed=seed)
    training = parts.load_training(recipe.data, model.image_shape, data_dir)
    trained_on = _of_model(training, _class_names(model, recipe.data), []).images[indices]
    sheet = images.grid(np.concatenate([samples, trained_on]), columns=len(indices))
    kind, seen = type(model).__name__, int(model.images_seen.numpy())
    facts = images.provenance(kind, seen, recipe.name, nearest[0]["weights_sha256"], seed=seed)
    images.save_png(sheet, directory / NEIGHBOURS, {**facts, "rows": "samples, training"})


class _Given(NamedTuple):
    """The images at hand: those trained on or None, those not or None, and what they serve.

    Attributes:
        names: of the model's classes, by number; none of an unconditional model.
        absent: numbers of the classes of which there are no images to compare with.
        left_out: what is not compared, and why.
    """

    source: str
    split: str | None
    training: data.ImageSet | None
    held_out: data.ImageSet | None
    places: Publication
    names: list[str]
    absent: list[int]
    left_out: list[str]

    @classmethod
    def of(cls, source, split, training, held_out, places, names, left_out) -> "_Given":
        """What is given by images of the model's classes; warns of what is left out."""
        real, other = (held_out, training) if places.real.held_out else (training, held_out)
        absent = _absent(real, names)
        if absent:
            left_out.append(
                f"{_listed(names, absent)}, of which there are no real images: no samples are "
                "drawn of them"
            )
            places = places._replace(floor=_without(absent, places.floor, training, held_out))
        elif names and real.labels is None and not left_out:
            left_out.append(f"figures by class, since the images of {source} have no classes")
        if places.recall is not None and _absent(other, names):
            left_out.append(
                f"{_listed(names, _absent(other, names))} among the held-out images, which have "
                "none of them"
            )
        if left_out:
            warnings.warn(f"Left out: {'; '.join(left_out)}", KganWarning, stacklevel=4)
        return cls(source, split, training, held_out, places, names, absent, left_out)

    def labels(self, seed: int, number: int) -> np.ndarray:
        """The classes of the samples of a seed, drawn of those that there are real images of."""
        present = np.delete(np.arange(len(self.names)), self.absent)
        return present[sample_labels(seed, 0, number, len(present))]


def _without(absent, floor, training, held_out):
    """The places of a floor without images of the absent classes; None if too few are left."""
    images = None if floor is None else held_out if floor.held_out else training
    if images is None or images.labels is None:
        return floor
    if not np.isin(images.labels[floor.indices], absent).any():
        return floor
    left = np.flatnonzero(~np.isin(images.labels, absent))
    number = len(floor.indices)
    if len(left) < number:
        return None
    of = f"even spaces of {len(left):,} pictures of the classes that are there"
    return floor._replace(indices=evenly(left, number), text=of)


def _own_data(recipe, model, most, data_dir) -> _Given:
    """The images that the preset's recipe names."""
    how, training, reason = recipe.data, None, None
    if not how.source:
        raise KganError(
            "Expected --data with a folder of images or tfds:NAME, since the preset's recipe names "
            "no data. Received: none"
        )
    try:
        training = parts.load_training(how, model.image_shape, data_dir)
    except (KganError, OSError) as error:
        reason = error
    if training is not None and len(training.class_names or ()) == model.num_classes:
        how = replace(how, class_names=how.class_names or list(training.class_names))
    held_out = parts.load_held_out(how, model.image_shape, data_dir)
    if training is None and (held_out is None or len(held_out) < protocol.LARGE):
        raise KganError(
            "Expected the images that the model was trained on, half of which its figures "
            f"compare with; --data names others. Received: {reason}"
        )
    names, left_out = _class_names(model, how), []
    training, held_out = (_of_model(part, names, left_out) for part in (training, held_out))
    counts = [0 if part is None else len(part) for part in (training, held_out)]
    places = protocol.publication(*counts, most)
    name = ", ".join(how.sources())
    split = "held-out" if places.real.held_out else "training"
    return _Given.of(name, split, training, held_out, places, names, left_out)


def _other_data(recipe, model, source, split, most, data_dir) -> _Given:
    """Other images, which the model was not trained on, or else they are warned of."""
    is_tfds = tfds.is_name(source)
    if split is not None and not is_tfds:
        raise KganError(f"Expected split with data of TFDS. Received: {split!r} of {source}")
    if is_tfds:
        split = split or "test"
    how, shape = recipe.data, model.image_shape
    names, left_out = _class_names(model, how), []
    labels = None
    if how.labels and not is_tfds and in_class_folders(find_folder(source, data_dir)):
        labels = how.labels
    others = data.load(
        source, shape, split or "train", data_dir, how.resize, how.background, labels
    )
    if labels is not None:
        parts.name_classes(others, how)
    others = _of_model(others, names, left_out)
    training = None
    if source in how.sources() and split in (None, how.split):
        warnings.warn(
            f"The model was trained on these images: {' '.join(filter(None, (source, split)))}. "
            "Figures of held-out ones say how good it is.",
            KganWarning,
            stacklevel=3,
        )
    elif how.source:
        try:
            training = _of_model(parts.load_training(how, shape, data_dir), names, [])
        except (KganError, OSError):  # not here: then there is no floor
            training = None
    places = protocol.others(0 if training is None else len(training), len(others), most)
    return _Given.of(source, split, training, others, places, names, left_out)


def _class_names(model, how) -> list[str]:
    """The names of a model's classes; one that has none is called by its number."""
    names = [class_name(name) for name in how.class_names]
    return [*names, *map(str, range(len(names), model.num_classes or 0))][: model.num_classes or 0]


def _of_model(found, names, left_out) -> data.ImageSet | None:
    """Images with the numbers of a model's classes, found by name, without those of other classes.

    Args:
        found: images, or None.
        names: of the model's classes.
        left_out: list that what is left out is added to.
    """
    if found is None or found.labels is None or not names:
        return found
    found.number_classes(names)
    known = found.labels < len(names)
    if known.all():
        return found
    own = found.class_names or [str(n) for n in range(found.labels.max() + 1)]
    others = _listed(own, np.unique(found.labels[~known]))
    if not known.any():  # they were sorted by something else
        left_out.append(
            f"figures by class, since the images are of {others} and the model's classes are "
            f"{_listed(names, range(len(names)))}"
        )
        return data.ImageSet(found.images, report=found.report)
    left_out.append(f"the images of {others}, which are no classes of the model")
    kept = allocate((int(known.sum()), *found.images.shape[1:]))
    np.compress(known, found.images, axis=0, out=kept)
    return data.ImageSet(kept, found.labels[known], found.class_names, found.report)


def _absent(found, names) -> list[int]:
    """The numbers of the classes that images with labels are not of."""
    if found is None or found.labels is None or not names:
        return []
    return np.flatnonzero(np.bincount(found.labels, minlength=len(names)) == 0).tolist()


def _listed(names, numbers) -> str:
    names = [names[number] for number in numbers]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


class _Sets:
    """The images at hand in features, each set of them taken once.

    Attributes:
        places: which of them serve what.
        network: the extractor.
        training: features of all training images, or None.
        held_out: features of all held-out images, or None.
        real, floor: `FeatureSet`, what samples are compared with, and what takes their place or
            None.
    """

    def __init__(self, given: _Given, network, keep_images: bool):
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


class _Comparison(NamedTuple):
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


def _main(sets, metrics) -> _Comparison:
    """The metrics that were asked for."""
    apart = sets.places.recall is not None  # then recall is compared with other images

    def figures(samples):
        found = measure(sets.real, samples, metrics)
        return {name: figure for name, figure in found.items() if name != "recall" or not apart}

    return _Comparison(figures, len(sets.real.features), sets.floor, {})


def _recall(sets, metrics) -> list[_Comparison]:
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
    return [_Comparison(figures, len(held_out), floor, facts)]


def _shares(sets) -> _Comparison:
    """How much of the samples, and of the real images, each class is, by the classifier."""
    network = sets.network

    def shares(images):
        counts = np.bincount(network.labels(images.features), minlength=network.num_classes)
        return (counts / len(images.features)).round(4).tolist()

    facts = {"real": shares(sets.real), "floor_images": None, "floor_places": None}
    return _Comparison(
        lambda samples: {"class_shares": (shares(samples), None)},
        len(sets.real.features),
        None,
        facts,
    )


def _accuracy(sets, given) -> list[_Comparison]:
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
    return [_Comparison(figures, number, sets.real, facts)]


def _classes(sets, labels, given) -> tuple[list[_Comparison], list[str]]:
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
        rows.append(_Comparison(figures, len(sets.real.features), floor, facts))
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


def _nearness(sets, usual) -> list[_Comparison]:
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
    return [_Comparison(figures, protocol.NEARNESS_SAMPLES, None, facts)]


def _nearest(sets, samples, usual, seed) -> dict:
    """The training images that the first samples of a seed are nearest to."""
    first = samples.features[:_NEIGHBOURS]
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


def _rows(found: list[dict], comparison: _Comparison) -> list[dict]:
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


def _first(samples: FeatureSet, number: int) -> FeatureSet:
    """The first samples; labels are those of as many as the main comparison takes."""
    kept = None if samples.images is None else samples.images[:number]
    labels = None if samples.labels is None else samples.labels[:number]
    return FeatureSet(samples.features[:number], kept, labels)
