"""Selection: the snapshots of a run measured, the best of them made its preset."""

import shutil
import time
import warnings
from pathlib import Path
from typing import Any

from kgan.callbacks.generative_metrics import GenerativeMetrics
from kgan.data import ImageSet, parts
from kgan.errors import KganError, KganWarning, say
from kgan.files import images_in_name
from kgan.metrics import protocol
from kgan.recipe import Recipe
from kgan.runs.callbacks import clock
from kgan.runs.extraction import extractor_of
from kgan.zoo import opening, preset, saving
from kgan.zoo.metadata import CURVES

METRICS = ("kernel_distance", "frechet_distance")  # to select by: the smaller the better


class Judge(GenerativeMetrics):
    """Measures a model against the real pictures that the protocol selects by.

    Args:
        recipe: of the run.
        training: the images that it trains on.
        held_out: int, how many images its data holds out.
        metric: one of `METRICS`, or "" for the recipe's.

    Raises:
        KganError: if there is no such metric to select by, or too few images for it.
    """

    def __init__(self, recipe: Recipe, training: ImageSet, held_out: int, metric: str = ""):
        self.metric = metric or recipe.select
        if self.metric not in METRICS:
            raise KganError(
                f"Expected select in a recipe to be one of {', '.join(METRICS)}. Received: "
                f"{self.metric!r}"
            )
        extractor = extractor_of(recipe)
        most = protocol.most_images(extractor)
        places = protocol.selection(len(training), held_out, most)
        super().__init__(
            training.images[places.indices],
            extractor,
            (self.metric,),
            images=len(places.indices),
            every_images=recipe.grid_images,
            seed=protocol.SELECTION_SEED,
        )
        self._facts = {
            "metric": self.metric,
            "extractor_sha256": self.extractor.sha256,
            "seed": self.seed,
            "images": self.images,
            "places": places.text,
        }
        self.notes: dict[str, Any] = {}  # of a run's `Checkpoint`, with which values go on

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        last = self.notes.get("selected")
        if self._has_given(last):
            self.values = {f"val_{self.metric}": last["value"]}

    def act(self, images_seen: int) -> None:
        super().act(images_seen)
        self.notes["selected"] = self.selected(self.values[f"val_{self.metric}"])

    def value(self, model) -> float:
        """What a model gets: the smaller the better."""
        return self.measure(model)[self.metric]

    def selected(self, value: float) -> dict[str, Any]:
        """A value as the metadata of a snapshot hold it, with all that it depends on."""
        return {**self._facts, "value": value}

    def has_measured(self, metadata: dict) -> bool:
        """Whether the value in the metadata of a snapshot compares with this judge's."""
        return self._has_given(metadata["training"].get("selected"))

    def _has_given(self, selected):
        return (
            isinstance(selected, dict)
            and type(selected.get("value")) in (int, float)
            and all(selected.get(key) == fact for key, fact in self._facts.items())
        )


def judge(recipe: Recipe, training: ImageSet, image_shape, data_dir=None, metric="") -> Judge:
    """The `Judge` of a run's snapshots.

    Args:
        recipe, training, metric: see `Judge`.
        image_shape: (height, width, channels) of the model.
        data_dir: see `kgan.data.load`.

    Raises:
        KganError: see `Judge`; if the held-out part that the recipe names is not there.
    """
    held_out = parts.load_held_out(recipe.data, image_shape, data_dir)
    return Judge(recipe, training, 0 if held_out is None else len(held_out), metric)


def measured(directory: Path, judge: Judge) -> list[tuple[Path, dict]]:
    """Directories and metadata of all whole snapshots, those without a value measured now.

    A value is written into its snapshot at once: a run that is killed goes on from there. Progress
    is told on stderr. If the snapshot that became the run's preset is damaged, it is the preset.

    Args:
        directory: of the snapshots.
        judge: what measures them.

    Warns:
        KganWarning: for each snapshot that is damaged, which is left out; for each whose value
            could not be written into it.
    """
    whole, damaged = [], set()
    for path in sorted(directory.glob("images-*"), key=images_in_name):
        try:
            whole.append((path, preset.read(path).metadata))
        except KganError as error:
            _skip(path, error)
            damaged.add(images_in_name(path))
    ready = [(path, metadata) for path, metadata in whole if judge.has_measured(metadata)]
    waiting = [snapshot for snapshot in whole if snapshot not in ready]
    ready += _copy_of(damaged, directory.parent / opening.PRESET, judge)
    loader, start = _Loader(), time.monotonic()
    for done, (path, metadata) in enumerate(waiting, 1):
        try:
            value = judge.value(loader.load(path))
        except KganError as error:
            _skip(path, error)
            continue
        metadata["training"]["selected"] = judge.selected(value)
        _write_value(path, metadata)
        ready.append((path, metadata))
        each = (time.monotonic() - start) / done
        say(
            f"Snapshot {done} of {len(waiting)}, {path.name}: {judge.metric.replace('_', ' ')} "
            f"{value:.4g}  {each:.0f} s each  {clock(each * (len(waiting) - done))} left",
            err=True,
        )
    return sorted(ready, key=lambda snapshot: snapshot[1]["training"]["images_seen"])


def _copy_of(damaged, place, judge):
    """The preset and its metadata, if it is what a damaged snapshot was; both in a list."""
    try:
        metadata = preset.read(place).metadata
    except KganError:
        return []
    is_copy = metadata["training"]["images_seen"] in damaged and judge.has_measured(metadata)
    return [(place, metadata)] if is_copy else []


def _write_value(path, metadata):
    try:
        with preset.writing(path) as partial:
            preset.copy(preset.read(path), partial)
            preset.complete(partial, metadata)
    except KganError as error:  # such as a note that somebody has put there
        warnings.warn(
            f"The value of the snapshot {path} is not kept: {error}", KganWarning, stacklevel=3
        )


def keep_best(found: list[tuple[Path, dict]], directory: Path, curves: Path) -> None:
    """Copies the best snapshot to a preset, whose metadata say how it was chosen.

    Args:
        found: see `measured`.
        directory: of the preset.
        curves: picture of the whole training for its card, if there is such a file.

    Raises:
        KganError: if no snapshot is whole.
    """
    if not found:
        raise KganError(
            f"Expected a snapshot to select. Received: none that is whole beside {directory}"
        )
    best, metadata = min(found, key=lambda snapshot: snapshot[1]["training"]["selected"]["value"])
    metadata["training"]["selected"]["snapshots"] = len(found)
    with preset.writing(directory) as partial:
        preset.copy(preset.read(best), partial)
        if curves.is_file():
            shutil.copyfile(curves, partial / CURVES)
        preset.complete(partial, metadata)


class _Loader:
    """Snapshots of a run, loaded one after the other into one model."""

    def __init__(self):
        self._config = self._model = None

    def load(self, path: Path):
        """The model of a snapshot, until the next one is loaded."""
        found = preset.read(path)
        if found.config == self._config:
            saving.load_weights(self._model, found)
        else:
            self._model = saving.load(found)
            self._config = found.config
        return self._model


def _skip(path, error):
    warnings.warn(f"The snapshot {path} is left out: {error}", KganWarning, stacklevel=3)
