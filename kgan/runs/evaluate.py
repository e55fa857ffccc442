"""How good a preset is, by a protocol that its figures carry with them."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np

import kgan
from kgan import images
from kgan.checks import whole
from kgan.data import parts
from kgan.errors import KganError, short
from kgan.metrics import extractor as find_extractor
from kgan.metrics import protocol
from kgan.metrics.measuring import FEWEST_FRECHET, METRICS, check_metrics
from kgan.models.base.translation import TranslationModel
from kgan.runs import evaluate_translation as translation
from kgan.runs import given as at_hand
from kgan.runs.extraction import BATCH, FRECHET, asked_or_affordable, extractor_of, facts_of
from kgan.runs.figures import (
    Sets,
    accuracy,
    by_class,
    first,
    main,
    nearest_training_images,
    nearness,
    recall,
    rows_of,
    shares_of_classes,
)
from kgan.sampling import check_options
from kgan.zoo import download, gallery, opening, preset, registry, saving
from kgan.zoo.metadata import NEIGHBOURS, TRANSLATIONS


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
    box: str | Sequence[float] | None = None,
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
        number: int, real and generated images at most, up to 10,000; by the extractor `faces`
            never more than 4,000.
        metrics: names among `kgan.metrics.METRICS`. By default all that the images allow: the
            Fréchet distance takes 250 of them, the sliced Wasserstein distance squares.
        extractor: see `kgan.metrics.extractor`. By default that of the recipe's data, or
            `"random"`.
        seeds: ints; so many samples are drawn of each.
        truncation: of models that have it; the protocol says so.
        data_dir: see `kgan.data.load`.
        target, paired: of a preset that translates.
        box: the part of each of the other images that is cut out: left, top, right and bottom as
            fractions, or `"recipe"` for the recipe's. By default the center.

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
            evaluated, data_source, target, paired, number, metrics, extractor, data_dir, box
        )
    for name, value in (("target", target), ("paired", paired)):
        if value is not None:
            raise KganError(
                f"Expected {name} with a preset that translates. Received: {name}={short(value)}, "
                f"and a {kind.__name__}"
            )
    check_metrics(METRICS if metrics is None else metrics)
    whole(2, protocol.MOST).check("number", number)
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
        if box is not None:
            raise KganError(f"Expected box with other data. Received: {short(box)}, and no data")
        given = at_hand.of_recipe(recipe, model, most, data_dir)
    else:
        given = at_hand.of_other_data(recipe, model, data_source, split, most, data_dir, box)
    number = len(given.places.real.indices)
    metrics, left_out = asked_or_affordable(metrics, METRICS, number, model.image_shape)
    sets = Sets(given, network, keep_images="sliced_wasserstein" in metrics)
    comparisons = [main(sets, metrics), *recall(sets, metrics)]
    labels = None
    if model.num_classes is not None:
        labels = [given.labels(seed, number) for seed in seeds]
    if network.num_classes is not None and sets.real.labels is not None:
        comparisons.append(shares_of_classes(sets))
    if labels is not None and sets.real.labels is not None:
        comparisons += accuracy(sets, given)
        if FRECHET in metrics:
            rows, too_few = by_class(sets, labels, given)
            comparisons += rows
            if too_few:
                left_out.append(
                    f"the Fréchet distance of {', '.join(too_few)}, of fewer than "
                    f"{FEWEST_FRECHET} images each"
                )
    usual = sets.usual_distance()
    comparisons += nearness(sets, usual)

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
            found.append(comparison.figures(first(samples, comparison.samples)))
        if sets.training is not None and not nearest:
            row = nearest_training_images(sets, samples, usual, seed)
            if given.absent:  # so these are not the labels that a seed gives
                row["labels"] = options["labels"][: row["generated_images"]].tolist()
            nearest.append(row)
    results = [
        row
        for found, comparison in zip(figures, comparisons, strict=True)
        for row in rows_of(found, comparison)
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


def update_card(
    source: str | os.PathLike,
    results: list[dict[str, Any]],
    data_dir: str | os.PathLike | None = None,
) -> None:
    """Writes results into the metadata and the card of a preset, in place of those there are.

    If the images are at hand and their licence lets them be shown, the card also gets the first
    samples with the training images that are nearest to them, or, of a preset that translates,
    held-out pictures and what becomes of them. In a zoo with a registry, that and the gallery are
    written anew.

    Args:
        source: name or directory of a preset.
        results: see `evaluate`.
        data_dir: see `kgan.data.load`.

    Raises:
        KganError: if the preset is not in a directory of this machine, or has other weights than
            those that were measured.
    """
    found = preset.read(_own_directory(source))
    directory, measured = found.directory, results[0]["weights_sha256"]
    if measured != found.weights_sha256:
        raise KganError(
            f"Expected figures of the weights in {directory}, {found.weights_sha256[:12]}…. "
            f"Received: figures of {measured[:12]}…"
        )
    with preset.writing(directory) as partial:
        preset.copy(found, partial)
        _save_pictures(found, results, partial, data_dir)
        preset.complete(partial, {**found.metadata, "metrics": results})
    if (directory.parent / registry.REGISTRY).is_file():
        registry.write(directory.parent)
        gallery.write_gallery(directory.parent)


def card_directory(source: str | os.PathLike) -> Path:
    """The directory of the preset that `source` is now, whose card `update_card` can write.

    A run gets newer presets while the one is measured, so both functions are to get this directory.

    Raises:
        KganError: if it is none of this machine, or cannot be written: before hours of measuring,
            not after.
    """
    place = _own_directory(source)
    if not os.access(place.resolve().parent, os.W_OK):
        raise KganError(
            "Expected a preset in a directory that can be written, to write figures into. "
            f"Received: {place}"
        )
    return place


def _own_directory(source) -> Path:
    """The directory of a preset, or of the newest one of a run, on this machine."""
    run = opening.run_directory(source)
    place = registry.resolve(source)[0] if run is None else opening.newest(run)
    if place is None or download.is_url(str(place)):
        raise KganError(f"Expected a preset directory to write figures into. Received: {source}")
    return Path(place).absolute()  # which no name of a registry is


def _save_pictures(found, results, directory, data_dir):
    data = found.recipe.data
    # A licence with a note of its own restricts something: then no image of the data is shown.
    if data.licence_note and not data.show:
        return
    if issubclass(saving.described(found)[0], TranslationModel):
        with suppress(KganError, OSError):  # figures may be of other pictures than the recipe's
            paired = results[0].get("paired")
            translation.save_sheet(found, directory / TRANSLATIONS, data_dir, paired)
    elif nearest := [r for r in results if r["metric"] == "nearest_training_image"]:
        _save_neighbours(found, nearest, directory, data_dir)


def _save_neighbours(found, nearest, directory, data_dir):
    recipe, model = found.recipe, saving.load(found)
    indices, seed = nearest[0]["training_images"], nearest[0]["seed"]
    options = {name: nearest[0].get(name) for name in ("truncation", "labels")}
    options = {name: value for name, value in options.items() if value is not None}
    samples = model.sample(len(indices), seed=seed, **options)
    training = parts.load_training(recipe.data, model.image_shape, data_dir)
    names = at_hand.class_names_of(model, recipe.data)
    trained_on = at_hand.of_model(training, names, []).images[indices]
    sheet = images.grid(np.concatenate([samples, trained_on]), columns=len(indices))
    kind, seen = type(model).__name__, int(model.images_seen.numpy())
    facts = images.provenance(kind, seen, recipe.name, nearest[0]["weights_sha256"], seed=seed)
    images.save_png(sheet, directory / NEIGHBOURS, {**facts, "rows": "samples, training"})
