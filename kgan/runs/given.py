"""The images that an evaluation of samples has at hand, and which of them serve what."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import numpy as np

from kgan import data
from kgan.data import parts, tfds
from kgan.data.listing import class_name, find_folder, in_class_folders
from kgan.data.reading import allocate
from kgan.errors import KganError, KganWarning
from kgan.latents import sample_labels
from kgan.metrics import protocol
from kgan.metrics.protocol import Publication, evenly


class Given(NamedTuple):
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
    def of(cls, source, split, training, held_out, places, names, left_out) -> "Given":
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


def of_recipe(recipe, model, most, data_dir) -> Given:
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
    names, left_out = class_names_of(model, how), []
    training, held_out = (of_model(part, names, left_out) for part in (training, held_out))
    counts = [0 if part is None else len(part) for part in (training, held_out)]
    places = protocol.publication(*counts, most)
    name = ", ".join(how.sources())
    split = "held-out" if places.real.held_out else "training"
    return Given.of(name, split, training, held_out, places, names, left_out)


def of_other_data(recipe, model, source, split, most, data_dir, box) -> Given:
    """Other images, which the model was not trained on, or else they are warned of."""
    is_tfds = tfds.is_name(source)
    if split is not None and not is_tfds:
        raise KganError(f"Expected split with data of TFDS. Received: {split!r} of {source}")
    if is_tfds:
        source, split = tfds.source_and_split(source, split, "test")
    how, shape = recipe.data, model.image_shape
    box = box_of_others(how, box)
    names, left_out = class_names_of(model, how), []
    labels = None
    if how.labels and not is_tfds and in_class_folders(find_folder(source, data_dir)):
        labels = how.labels
    others = data.load(
        source, shape, split or "train", data_dir, how.resize, how.background, labels, box=box
    )
    if labels is not None:
        parts.name_classes(others, how)
    others = of_model(others, names, left_out)
    training = None
    trained_on = [_place(place, how.split, data_dir) for place in how.sources() if place]
    if _place(source, split, data_dir) in trained_on:
        warnings.warn(
            f"The model was trained on these images: {' '.join(filter(None, (source, split)))}. "
            "Figures of held-out ones say how good it is.",
            KganWarning,
            stacklevel=3,
        )
    elif how.source:
        try:
            training = of_model(parts.load_training(how, shape, data_dir), names, [])
        except (KganError, OSError):  # not here: then there is no floor
            training = None
    places = protocol.others(0 if training is None else len(training), len(others), most)
    return Given.of(source, split, training, others, places, names, left_out)


def box_of_others(how, box: str | Sequence[float] | None) -> Sequence[float] | None:
    """The part of other pictures than a recipe's that is cut out; warns if it may be another.

    Args:
        how: the recipe's data.
        box: see `kgan.runs.evaluate.evaluate`.

    Raises:
        KganError: if the recipe's is asked for, and it has none.
    """
    if box == "recipe":
        if not how.box:
            raise KganError(
                "Expected box='recipe' with a preset whose recipe has a box. Received: one without"
            )
        return how.box
    if box is None and how.box:
        warnings.warn(
            "The model knows one part of the pictures that it was trained on; of these the center "
            "is taken. If they are framed like those, --box recipe takes the same part of them.",
            KganWarning,
            stacklevel=4,
        )
    return box


def _place(source, split, data_dir):
    """Where the images of a source are, however that is written."""
    if tfds.is_name(source):
        return tfds.split_name(source, split)
    return find_folder(source, data_dir).resolve()


def class_names_of(model, how) -> list[str]:
    """The names of a model's classes; one that has none is called by its number."""
    names = [class_name(name) for name in how.class_names]
    return [*names, *map(str, range(len(names), model.num_classes or 0))][: model.num_classes or 0]


def of_model(found, names, left_out) -> data.ImageSet | None:
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
