"""How good a preset is, by a protocol that its figures carry with them."""

import os
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

import kgan
from kgan import data, download, gallery, images, presets
from kgan.errors import KganError, KganWarning
from kgan.metrics import extractor as find_extractor
from kgan.metrics import frechet_distance, nearest_neighbours
from kgan.metrics.measuring import (
    METRICS,
    MOST_SLICED,
    Described,
    check_metrics,
    describe,
    measure,
)
from kgan.models import preset
from kgan.random import sample_labels
from kgan.recipe import Recipe

_EXTRACTORS = {"tfds:mnist": "digits", "tfds:fashion_mnist": "fashion", "celeba/train": "faces"}
_BATCH = 256  # images at a time; no figure depends on it
_NEIGHBOURS = 8  # samples whose nearest training images are looked for
_USUAL = 1000  # held-out images that say what distance is usual


def evaluate(
    source: str | os.PathLike,
    data_source: str | None = None,
    split: str = "test",
    number: int = 10_000,
    metrics: Sequence[str] = tuple(METRICS),
    extractor: str | None = None,
    seed: int = 0,
    truncation: float | None = None,
    data_dir: str | os.PathLike | None = None,
) -> list[dict[str, Any]]:
    """Measures samples of a preset against held-out real images.

    The floor is the same metric of as many other real images, the last of those that the model was
    trained on, in place of the samples: what a perfect generator would get.

    Args:
        source: name or directory of a preset.
        data_source: held-out images: `"tfds:<name>"` or a folder. By default what the preset's
            recipe names.
        split: of TFDS. Of a folder that the recipe names and that ends in `train`, the folder
            beside it.
        number: int, how many real and generated images; fewer if there are fewer real ones.
        metrics: names among `kgan.metrics.METRICS`.
        extractor: see `kgan.metrics.extractor`. By default that of the recipe's data, or
            `"random"`.
        seed: int, of the samples.
        truncation: of models that have it; the protocol says so.
        data_dir: see `kgan.data.load`.

    Returns:
        Results: tables with `metric`, `value`, its `deviation` over subsets where it has one, its
        `floor` or None, `class` where it is of one class only, and the protocol: `extractor` with
        its version and hash, `real_images`, `generated_images`, `data`, `split`, `resize`, `seed`,
        `truncation`, `weights_sha256`. Beside the metrics asked for there are, of a conditional
        model whose classes the extractor knows, `label_accuracy`; of labelled data and an extractor
        that knows classes, `class_shares` of the samples, and in `real` of the real images; and
        where the training images are at hand `nearest_training_image`: the distances in features
        of the first 8 samples to the nearest of them; its floor is the median of held-out images.

    Raises:
        ValueError: for data, metrics or extractors that cannot be used.

    Example:

    ```python
    for result in evaluate("dcgan-mnist"):
        print(result["metric"], result["value"], result["floor"])
    ```
    """
    start = time.monotonic()
    check_metrics(metrics)
    directory, metadata = presets.read(source)
    recipe = presets.read_recipe(directory)
    model = kgan.zoo.load(source)
    network = find_extractor(extractor or extractor_of(recipe))
    place = _held_out(recipe, data_source, split)
    held_out = _load(recipe, model, *place, data_dir)
    trained_on = _trained_on(recipe, model, data_dir)
    number = min(number, len(held_out))
    seen = place[0] == recipe.data.source and place[1] in (None, recipe.data.split)
    if seen:
        warnings.warn(
            f"The model was trained on these images: {' '.join(filter(None, place))}. Figures of "
            "held-out ones say how good it is.",
            KganWarning,
            stacklevel=2,
        )
    keep = "sliced_wasserstein" in metrics
    labels = None
    if model.num_classes is not None:
        labels = sample_labels(seed, 0, number, model.num_classes)
    options = {} if truncation is None else {"truncation": truncation}

    def features(label, batches, length, **more):
        with click.progressbar(
            length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            return describe(_advance(batches, bar), network, **more)

    batches = _batches(held_out.images[:number])
    real_labels = None if held_out.labels is None else held_out.labels[:number]
    real = features("Real images", batches, number, keep_images=keep, labels=real_labels)
    samples = model.iter_samples(number, seed, _BATCH, **options)
    fake = features("Samples", samples, number, keep_images=keep, labels=labels)
    floor = training = None
    if trained_on is not None:
        batches = _batches(trained_on.images)
        training = features("Training images", batches, len(trained_on)).features
        if len(training) >= (2 if seen else 1) * number:  # or they would be the same images
            floor = Described(training[-number:], trained_on.images[-number:][:MOST_SLICED])

    results = _measure(real, fake, floor, metrics)
    if network.num_classes is not None and real_labels is not None:
        results.append(_shares(real, fake, network))
    if labels is not None and real_labels is not None:
        results += _of_classes(real, fake, network, model.num_classes, recipe.data.class_names)
    if training is not None and not seen:
        results.append(_nearest(training, real, fake))
    protocol = {
        "extractor": network.name,
        "extractor_version": network.version,
        "extractor_sha256": network.sha256,
        "resize": network.resize,
        "real_images": number,
        "generated_images": number,
        "data": place[0],
        "split": place[1],
        "floor_images": None if floor is None else f"the last {number:,} of training",
        "seed": seed,
        "truncation": truncation,
        "weights_sha256": metadata["files"][presets.WEIGHTS]["sha256"],
        "kgan": kgan.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    return [{**result, **protocol} for result in results]


def extractor_of(recipe: Recipe) -> str:
    """The name of the extractor that knows a recipe's data best."""
    return _EXTRACTORS.get(recipe.data.source, "random")


def load_held_out(
    recipe: Recipe, model, data_dir: str | os.PathLike | None = None
) -> data.ImageSet:
    """The images to measure a model of a recipe against, which it is not trained on.

    Raises:
        ValueError: if the recipe's data has no such images.
    """
    return _load(recipe, model, *_held_out(recipe, None, "test"), data_dir)


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
    place, _ = presets.resolve(source)
    if download.is_url(place):
        raise KganError(f"Expected a preset directory to write figures into. Received: {source}")
    directory, metadata = presets.read(source)
    with presets.writing(directory) as partial:
        shutil.copytree(directory, partial, dirs_exist_ok=True)
        _save_neighbours(source, results, partial, data_dir)
        presets.write_metadata(partial, {**metadata, "metrics": results})
    if (directory.parent / presets.REGISTRY).is_file():
        presets.write_registry(directory.parent)
        gallery.write_gallery(directory.parent)


def _save_neighbours(source, results, directory, data_dir):
    recipe = presets.read_recipe(directory)
    nearest = [r for r in results if r["metric"] == "nearest_training_image"]
    # A licence with a note of its own restricts something: then no image of the data is shown.
    if not nearest or recipe.data.licence_note:
        return
    model = kgan.zoo.load(source)
    indices, seed = nearest[0]["training_images"], nearest[0]["seed"]
    samples = model.sample(len(indices), seed=seed)
    trained_on = _trained_on(recipe, model, data_dir).images[indices]
    sheet = images.grid(np.concatenate([samples, trained_on]), columns=len(indices))
    facts = preset.provenance(model, recipe.name, nearest[0]["weights_sha256"], seed=seed)
    images.save_png(sheet, directory / presets.NEIGHBOURS, {**facts, "rows": "samples, training"})


def _measure(real, fake, floor, metrics):
    floors = {} if floor is None else measure(real, floor, metrics)
    return [
        {
            "metric": name,
            "value": value,
            **({} if deviation is None else {"deviation": deviation}),
            "floor": floors[name][0] if floors else None,
        }
        for name, (value, deviation) in measure(real, fake, metrics).items()
    ]


def _held_out(recipe: Recipe, source: str | None, split: str) -> tuple[str, str | None]:
    """Source and split of the images to measure against."""
    if source is None and not recipe.data.source:
        raise KganError(
            "Expected --data with a folder of images or tfds:NAME, since the preset's recipe names "
            "no data. Received: none"
        )
    if (source or recipe.data.source).startswith("tfds:"):
        return source or recipe.data.source, split
    if source is None:
        folder = Path(recipe.data.source)
        if folder.name != "train":
            raise KganError(
                "Expected --data with a folder of images that the model has not seen. Received: "
                f"none, and {recipe.data.source} has no folder of such images beside it"
            )
        source = str(folder.with_name(split))
    return source, None


def _load(recipe, model, source, split, data_dir):
    shape, how = model.image_shape, recipe.data
    labels = None if source.startswith("tfds:") else how.labels or None
    return data.load(source, shape, split or "train", data_dir, how.fit, how.background, labels)


def _trained_on(recipe, model, data_dir):
    """The images that the model was trained on, or None if they are not here."""
    if not recipe.data.source:
        return None
    try:
        return _load(recipe, model, recipe.data.source, recipe.data.split, data_dir)
    except (KganError, OSError):
        return None


def _batches(images):
    return (np.asarray(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH))


def _advance(batches, bar):
    for batch in batches:
        yield batch
        bar.update(len(batch))


def _of_classes(real, fake, network, num_classes, names):
    """Whether samples are what was asked for, and the Fréchet distance of each class."""
    results = []
    if network.num_classes == num_classes:
        right = [float(np.mean(network.labels(x.features) == x.labels)) for x in (fake, real)]
        results.append({"metric": "label_accuracy", "value": right[0], "floor": right[1]})
    for label in np.intersect1d(real.labels, fake.labels).tolist():
        sides = [x.features[x.labels == label] for x in (real, fake)]
        if min(map(len, sides)) > 1:
            results.append(
                {
                    "metric": "frechet_distance",
                    "class": names[label] if label < len(names) else str(label),
                    "value": frechet_distance(*sides),
                    "floor": None,
                }
            )
    return results


def _shares(real, fake, network):
    """How much of the samples, and of the real images, each class is, by the classifier."""
    shares = [
        (np.bincount(network.labels(x.features), minlength=network.num_classes) / len(x.features))
        for x in (fake, real)
    ]
    return {
        "metric": "class_shares",
        "value": shares[0].round(4).tolist(),
        "real": shares[1].round(4).tolist(),
        "floor": None,
    }


def _nearest(training, real, fake):
    """How near to training images the first samples are, and usual held-out images."""
    nearest, indices = nearest_neighbours(fake.features[:_NEIGHBOURS], training)
    usual, _ = nearest_neighbours(real.features[:_USUAL], training)
    return {
        "metric": "nearest_training_image",
        "value": nearest[:, 0].tolist(),
        "training_images": indices[:, 0].tolist(),
        "floor": float(np.median(usual)),
    }
