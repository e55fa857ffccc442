"""How good a preset is that turns images into images, beside what it is to be better than."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np
from PIL import Image

import kgan
from kgan.checks import one_of, whole
from kgan.data import parts
from kgan.errors import KganError, short
from kgan.images import grid, provenance, save_png
from kgan.metrics import extractor as find_extractor
from kgan.metrics import mean_absolute_error, nearest_neighbours, protocol, ssim
from kgan.metrics.measuring import FeatureSet, check_metrics, measure
from kgan.metrics.paired import bounded_psnr
from kgan.recipe import Data
from kgan.runs.extraction import (
    advance,
    affordable,
    bar,
    extract,
    extractor_of,
    facts_of,
    in_batches,
)
from kgan.runs.given import box_of_others
from kgan.zoo import saving
from kgan.zoo.preset import Preset

# Of pictures whose truth is known, the true ones first.
PAIRED: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mean_absolute_error": mean_absolute_error,
    "psnr": bounded_psnr,
    "ssim": ssim,
}
DISTANCES = ("frechet_distance", "kernel_distance")
CYCLE = "cycle_error"
METRICS = (*PAIRED, *DISTANCES, CYCLE)
SHOWN = 8  # pictures of a direction in a card


class Sets(NamedTuple):
    """The pictures that serve the figures of one direction, all as the model sees them.

    Attributes:
        inputs: what is translated.
        real: as many of the target domain; of pairs the true ones.
        floor: as many others in place of the translations, or None.
        nearest: of pairs, the targets of the training pairs whose inputs are nearest to `inputs` in
            pixels; else None.
        facts: what results say of all these.
    """

    inputs: np.ndarray
    real: np.ndarray
    floor: np.ndarray | None
    nearest: np.ndarray | None
    facts: dict[str, Any]


def evaluate(
    evaluated: Preset,
    source: str | None = None,
    target: str | None = None,
    paired: str | None = None,
    number: int = protocol.MOST,
    metrics: Sequence[str] | None = None,
    extractor: str | keras.Model | None = None,
    data_dir: str | os.PathLike | None = None,
    box: str | Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Measures the translations of a preset.

    Of pairs, the held-out ones are translated and compared with the true pictures, one by one and
    as a domain. Of domains, the pictures of one are translated and compared with those of the other
    that `kgan.metrics.protocol` says: half of the training pictures, or held-out ones where there
    are at least 5,000. There are as many of each. Beside each figure stand

    - the floor, where there is one: of as many other real pictures of the target domain in place of
      the translations (of pairs, training pictures);
    - `input`: of the pictures as they are;
    - `nearest`, of pairs: of the target of the training pair whose input is nearest in pixels.

    Args:
        evaluated: the preset.
        source, target: other pictures than those of its recipe, of a and of b, which then count as
            held out.
        paired: `"names"`, `"halves"` or `"no"`, in place of the recipe's: a CycleGAN, trained on
            pictures that are not paired, may be judged on pairs.
        number: int, pictures a side at most.
        metrics: names among `METRICS`; by default all that there are pictures for.
        extractor, data_dir, box: see `kgan.runs.evaluate.evaluate`.

    Returns:
        Results: tables with `metric`, `direction`, `value`, its `deviation` over subsets where it
        has one, `floor` or None, `baselines` by name, and the protocol, as from
        `kgan.runs.evaluate.evaluate`; `inputs` says which pictures were translated, `paired` how
        they were paired, if not as the recipe says.

        - `mean_absolute_error`, `ssim` and `psnr`: see `kgan.metrics`; but finite, since a picture
          that is exactly the true one counts as if one value of it were a level off;
        - `frechet_distance`, `kernel_distance`, in features of the target domain;
        - `cycle_error`, of models of both directions: the mean absolute error of what is translated
          back.

    Raises:
        KganError: for data, metrics or extractors that cannot be used.
    """
    start = time.monotonic()
    whole(1, protocol.MOST).check("number", number)
    recipe = evaluated.recipe
    names = _known(metrics, saving.described(evaluated)[0])
    model = saving.load(evaluated)
    network = find_extractor(extractor_of(recipe) if extractor is None else extractor)
    training, held_out, left_out = _load(recipe.data, model, source, target, paired, data_dir, box)
    directions = {
        direction: _sets(direction, training, held_out, protocol.most_images(network.name, number))
        for direction in model.DIRECTIONS
    }
    number = min(len(sets.real) for sets in directions.values())
    is_paired = _is_paired(held_out)
    if metrics is None:
        names, missing = affordable(names, number, model.image_shape)
        left_out += missing
        if not is_paired:
            names = [name for name in names if name not in PAIRED]
    if not is_paired and (wrong := PAIRED.keys() & set(names)):
        raise KganError(
            f"Expected pairs for {', '.join(sorted(wrong))}, whose truth is known: paired='names' "
            "with folders of the same file names. Received: held-out pictures that are not paired"
        )
    if distances := [name for name in names if name in DISTANCES]:
        check_metrics(distances, number)
    rows = []
    for direction, sets in directions.items():
        rows += _measure(model, direction, sets, names, network)
    facts = {
        **facts_of(network),
        "data": " and ".join(filter(None, [source, target])) if source else _named(recipe.data),
        "paired": paired if source is None else None,
        "seeds": None,
        "truncation": None,
        "left_out": "; ".join(left_out) or None,
        "weights_sha256": evaluated.weights_sha256,
        "kgan": kgan.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    return [{**row, **facts} for row in rows]


def save_sheet(
    evaluated: Preset,
    path: Path,
    data_dir: str | os.PathLike | None = None,
    paired: str | None = None,
) -> None:
    """Draws held-out pictures, below them their translations, below these, of pairs, the true ones.

    Args:
        evaluated: the preset; nothing is drawn if its data have no held-out part.
        path: of the PNG.
        data_dir: see `kgan.data.load`.
        paired: see `evaluate`.

    Raises:
        KganError: if the held-out pictures are not at hand.
    """
    model, recipe = saving.load(evaluated), evaluated.recipe
    shapes = {"image_shape": model.image_shape, "target_channels": model.target_channels}
    how = replace(recipe.data, paired=paired or recipe.data.paired)
    held_out = parts.load_held_out(how, data_dir=data_dir, **shapes)
    if held_out is None:
        return
    columns = min(SHOWN, len(held_out.images), len(held_out.targets))
    rows = []
    for direction in model.DIRECTIONS:
        inputs, truth = (
            _at(side, protocol.evenly(range(len(side)), columns))
            for side in _sides(held_out, direction)
        )
        rows += [inputs, model.translate(inputs, direction)]
        rows += [truth] if _is_paired(held_out) else []
    channels = max(row.shape[3] for row in rows)
    sheet = grid(np.concatenate([with_channels(row, channels) for row in rows]), columns)
    kind, seen = type(model).__name__, int(model.images_seen.numpy())
    facts = provenance(kind, seen, recipe.name, evaluated.weights_sha256)
    save_png(sheet, path, {**facts, "rows": "pictures, translations, true ones of pairs"})


def _known(metrics, kind) -> list[str]:
    """The names of the metrics that were asked for, or of all that models of a class can have."""
    back = "b_to_a" in kind.DIRECTIONS
    there = [name for name in METRICS if name != CYCLE or back]
    if metrics is None:
        return there
    names = metrics if isinstance(metrics, list | tuple) and metrics else [metrics]
    for name in names:
        if not one_of(*there).fits(name):
            raise KganError(
                f"Expected metrics among {', '.join(there)}, in a list, of a "
                f"{kind.__name__}. Received: {short(name)}"
            )
    return list(names)


def _load(how: Data, model, source, target, paired, data_dir, box):
    """Pictures that were trained on, or None, and that were not, or None; and what is left out."""
    # Of other pictures `paired` says nothing of those that were trained on.
    asked = paired if source is None else None
    own = replace(how, paired=asked or how.paired or _usual(model, how.target))
    shapes = {"image_shape": model.image_shape, "target_channels": model.target_channels}
    left_out, training = [], None
    if source is None and target is not None:
        raise KganError(
            "Expected --target with --data, the pictures to translate. Received: target = "
            f"{short(target)} alone"
        )
    if source is None and not how.source:
        raise KganError(
            "Expected --data and --target with pictures to translate and of the target domain, "
            "since the preset's recipe names no data. Received: none"
        )
    if source is None and box is not None:
        raise KganError(f"Expected box with other data. Received: {short(box)}, and no data")
    if how.source:
        try:
            training = parts.load_training(own, data_dir=data_dir, **shapes)
        except (KganError, OSError) as error:
            left_out.append(f"the floor and what else needs training pictures ({error})")
    if source is None:
        return training, parts.load_held_out(own, data_dir=data_dir, **shapes), left_out
    usual = how.paired if target and how.paired != "halves" else ""
    others = Data(source, target=target or "", paired=paired or usual or _usual(model, target))
    box = list(box_of_others(how, box) or [])
    others = replace(others, resize=how.resize, background=how.background, box=box)
    return training, parts.load_training(others, data_dir=data_dir, **shapes), left_out


def _usual(model, target) -> str:
    """How pictures belong together where nothing says it."""
    return type(model).PAIRED if target else "halves"


def _is_paired(found) -> bool:
    return found is not None and found.paired != "no"


def _named(how: Data) -> str:
    return " and ".join(", ".join(side) for side in (how.sources(), how.targets()) if side)


def _sets(direction: str, training, held_out, most: int) -> Sets:
    """The pictures of a direction."""
    if _is_paired(held_out):
        return _of_pairs(direction, training, held_out, most)
    trained, others = (_sides(part, direction) for part in (training, held_out))
    counts = [len(part[1]) for part in (trained, others)]
    # Held-out pictures are translated where there are enough, as they are compared with.
    inputs, of = others[0], "held-out"
    if counts[1] < protocol.LARGE:
        inputs, of = trained[0], "training"
        if not len(inputs):
            raise KganError(
                "Expected the pictures that the model was trained on, half of which translations "
                f"are compared with, or {protocol.LARGE:,} held-out ones. Received: "
                f"{counts[1]:,} held-out ones"
            )
    places = protocol.publication(*counts, min(most, len(inputs)))
    number = len(places.real.indices)
    real, floor = (
        None if place is None else _at((trained, others)[place.held_out][1], place.indices)
        for place in (places.real, places.floor)
    )
    facts = {
        "real_images": number,
        "generated_images": number,
        "floor_images": None if floor is None else number,
        "split": "held-out" if places.real.held_out else "training",
        "places": places.real.text,
        "floor_places": None if floor is None else places.floor.text,
        "inputs": f"even spaces of {len(inputs):,} {of} pictures",
    }
    return Sets(_at(inputs, protocol.evenly(range(len(inputs)), number)), real, floor, None, facts)


def _of_pairs(direction, training, held_out, most) -> Sets:
    inputs, truth = _sides(held_out, direction)
    places = protocol.evenly(range(len(inputs)), most)
    inputs, truth = _at(inputs, places), _at(truth, places)
    text = f"even spaces of {len(held_out.images):,} held-out pictures"
    given, targets = _sides(training, direction)
    floor = nearest = None
    if len(targets) >= len(places):
        chosen = protocol.of_training(len(targets), len(places))
        floor = _at(targets, chosen.indices)
    if _is_paired(training):
        nearest = _at(targets, nearest_in_pixels(inputs, given))
    facts = {
        "real_images": len(places),
        "generated_images": len(places),
        "floor_images": None if floor is None else len(places),
        "split": "held-out",
        "places": text,
        "floor_places": None if floor is None else chosen.text,
        "inputs": text,
    }
    return Sets(inputs, truth, floor, nearest, facts)


def _sides(found, direction):
    """What a direction takes and what it gives, of some pictures or of none."""
    if found is None:
        return (), ()
    sides = found.images, found.targets
    return sides if direction == "a_to_b" else sides[::-1]


def _at(images, places) -> np.ndarray:
    return np.asarray(images[places])


def nearest_in_pixels(images: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Which images of a reference set are nearest to each image, by the distance of their pixels.

    Args:
        images: uint8 array (images, height, width, channels).
        reference: uint8 array (reference images, height, width, channels), or one of a cache.

    Returns:
        int64 array (images,).
    """
    flat = images.reshape(len(images), -1)
    least, nearest = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    start = 0
    with bar("Nearest training pictures", len(reference)) as shown:
        for batch in advance(in_batches(reference), shown):
            distances, indices = nearest_neighbours(flat, batch.reshape(len(batch), -1))
            nearer = distances[:, 0] < least
            least[nearer] = distances[nearer, 0]
            nearest[nearer] = start + indices[nearer, 0]
            start += len(batch)
    return nearest


def _measure(model, direction, sets: Sets, names, network) -> list[dict]:
    """The results of one direction."""
    made = _translated(model, sets.inputs, direction)
    channels = sets.real.shape[3]
    compared = {"value": made, "input": with_channels(sets.inputs, channels)}
    if sets.nearest is not None:
        compared["nearest"] = sets.nearest
    found: dict[str, dict[str, tuple[float, float | None]]] = {}
    for name in filter(PAIRED.__contains__, names):
        found[name] = {
            what: (PAIRED[name](sets.real, images), None) for what, images in compared.items()
        }
    if distances := [name for name in names if name in DISTANCES]:
        if sets.floor is not None:
            compared["floor"] = sets.floor
        real = _features("Real pictures", sets.real, network)
        for what, images in compared.items():
            label = _LABELS[what]
            for name, figure in measure(real, _features(label, images, network), distances).items():
                found.setdefault(name, {})[what] = figure
    if CYCLE in names:
        back = _translated(model, made, "b_to_a" if direction == "a_to_b" else "a_to_b")
        found[CYCLE] = {"value": (mean_absolute_error(sets.inputs, back), None)}
    return [_row(name, direction, found[name], sets.facts) for name in names]


_LABELS = {
    "value": "Translations",
    "input": "Inputs",
    "nearest": "Targets of nearest inputs",
    "floor": "Floor",
}


def _row(name, direction, figures, facts) -> dict:
    value, deviation = figures["value"]
    row = {
        "metric": name,
        "direction": direction,
        "value": value,
        "floor": figures.get("floor", (None,))[0],
        "baselines": {what: figures[what][0] for what in ("input", "nearest") if what in figures},
    }
    if deviation is not None:
        row["deviation"] = deviation
    if name in DISTANCES:
        return {**row, **facts}
    return {**row, **facts, "floor_images": None, "floor_places": None}


def _features(label, images, network) -> FeatureSet:
    return extract(label, in_batches(images), len(images), network)


def _translated(model, images, direction) -> np.ndarray:
    label = f"Translations {direction.replace('_', ' ')}"
    with bar(label, len(images)) as shown:
        batches = advance(in_batches(images), shown)
        return np.concatenate([model.translate(batch, direction) for batch in batches])


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Gray images in colors, or colors in gray, for domains of different channels to compare."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return images.repeat(3, axis=3)
    return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[
        ..., None
    ]
