"""Runs: a recipe trained in a directory of its own, from which it can be resumed exactly."""

import csv
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras

import kgan
from kgan import data, recipe as recipes
from kgan.callbacks import Checkpoint, Periodic, SampleGrid
from kgan.errors import KganError
from kgan.models import GAN, optimizers, preset
from kgan.models.allowed import check_arguments
from kgan.presets import RECIPE
from kgan.recipe import Recipe


def build(recipe: Recipe) -> GAN:
    """The compiled model of a recipe, untrained.

    Raises:
        ValueError: if the recipe names no model of kgan, or arguments that it does not take.
    """
    kind = getattr(kgan.models, recipe.model, None)
    if not (isinstance(kind, type) and issubclass(kind, GAN)):
        raise KganError(
            f"Expected a model among {kgan.models.__all__}. Received: model = {recipe.model!r}"
        )
    arguments = dict(recipe.arguments)
    if arguments.get("ema_half_life") is False:  # TOML has no null
        arguments["ema_half_life"] = None
    check_arguments(arguments, kind, "the recipe")
    try:
        model = kind(**arguments, seed=recipe.seed)
    except TypeError as error:
        raise KganError(f"{recipe.model}: {error}. Received: {recipe.arguments}") from None
    model.compile(
        g_optimizer=optimizers.from_table(recipe.g_optimizer),
        d_optimizer=optimizers.from_table(recipe.d_optimizer),
    )
    return model


def train(
    recipe: Recipe,
    directory: str | os.PathLike,
    resume: bool = False,
    data_dir: str | os.PathLike | None = None,
    epochs: int | None = None,
) -> Path:
    """Trains a recipe in a run directory, or goes on with it.

    The directory gets the resolved `recipe.toml`, `log.csv`, `grids/`, `snapshots/` (a preset
    beside every grid, so that the best can be chosen), `checkpoints/`, and at the end `preset/`.
    Killed at any moment and resumed, a run ends with the same weights, bit for bit on the same
    machine, as one that was never interrupted.

    Args:
        recipe: what to train.
        directory: of the run.
        resume: whether to go on with a run that is there.
        data_dir: where relative folders and TFDS datasets are looked for.
        epochs: passes over the data, in place of the recipe's number of images.

    Returns:
        The directory of the finished preset.

    Raises:
        ValueError: if the directory holds anything and `resume` is False, or a run of another
            recipe; or for what `kgan.data.load` and the model refuse.
        KeyboardInterrupt: after saving, when interrupted by Ctrl-C or SIGTERM.
    """
    directory = Path(directory)
    if directory.is_dir() and any(directory.iterdir()) and not resume:
        raise KganError(
            f"Expected a new directory for the run. Received: {directory}, which is not empty; "
            "add --resume to go on with the run in it, or choose another --out"
        )
    keras.utils.set_random_seed(recipe.seed)
    model = build(recipe)
    images = data.load(recipe.data.source, model.image_shape, recipe.data.split, data_dir)
    images.check_batch(recipe.batch_size)
    if model.num_classes is not None:
        model = _with_classes(model, images, recipe)
    if epochs is not None:
        recipe.images = epochs * (len(images) // recipe.batch_size) * recipe.batch_size
    if recipe.images < recipe.batch_size:
        raise KganError(
            f"Expected at least one batch of {recipe.batch_size} images. Received: images = "
            f"{recipe.images}"
        )
    _claim(directory, recipe, resume)

    checkpoint = Checkpoint(directory / "checkpoints")
    checkpoint.restore(model)
    # Every batch of the stream is full, so that the count of images tells the step.
    step = int(model.images_seen.numpy()) // recipe.batch_size
    last = -(-recipe.images // recipe.batch_size)
    log = RunLog(directory / "log.csv")
    if step < last:
        steps_per_checkpoint = max(1, recipe.checkpoint_images // recipe.batch_size)
        with _signals() as received:
            model.fit(
                images.stream(recipe.batch_size, recipe.data.flip, recipe.seed, start_step=step),
                steps_per_epoch=steps_per_checkpoint,
                epochs=-(-(last - step) // steps_per_checkpoint),
                verbose=0,
                shuffle=False,  # the stream has shuffled already
                callbacks=[
                    StopAt(last * recipe.batch_size, recipe.batch_size, received),
                    checkpoint,
                    log,
                    SampleGrid(directory / "grids", every_images=recipe.grid_images),
                    Snapshots(directory / "snapshots", recipe, log),
                    ProgressLine(last * recipe.batch_size, recipe.batch_size),
                ],
            )
        if received:
            raise Interrupted(received[0])
    preset.save_preset(model, directory / "preset", recipe, log.seconds())
    return directory / "preset"


def _with_classes(model, images, recipe) -> GAN:
    """The model for as many classes as the data has, unless the recipe says how many."""
    if images.labels is None:
        raise KganError(
            f"Expected labelled images, since a {recipe.model} is conditional. Received: "
            f"{recipe.data.source} without labels"
        )
    if not recipe.data.class_names:
        recipe.data.class_names = list(images.class_names or [])
    if "num_classes" in recipe.arguments:
        return model
    recipe.arguments["num_classes"] = int(images.labels.max()) + 1
    return build(recipe)


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by a signal, and everything is saved."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def _claim(directory, recipe, resume):
    """Writes the recipe into a new run directory, or checks that it is the one that is there."""
    path = directory / RECIPE
    if not path.exists():
        if directory.is_dir() and any(directory.iterdir()):
            raise KganError(f"Expected a run to resume in {directory}. Received: no {RECIPE}")
        directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"partial-{RECIPE}")
        partial.write_text(recipe.to_toml(), "utf-8")
        os.replace(partial, path)
        return
    there, here = recipes.read(path).as_dict(), recipes.from_toml(recipe.to_toml()).as_dict()
    changed = [
        f"{key}: {there[key]!r} there, {here[key]!r} now" for key in here if here[key] != there[key]
    ]
    if changed:
        raise KganError(
            f"Expected the recipe that the run in {directory} was started with. Received: "
            + "; ".join(changed)
        )


@contextmanager
def _signals():
    """Collects Ctrl-C and SIGTERM for `StopAt`; a second one is taken at its word."""
    received = []

    def stop(number, frame):
        received.append(number)
        signal.signal(number, before[number])

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # only the main thread may handle signals
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopAt(keras.callbacks.Callback):
    """Stops once a number of images have been seen, or a signal has been received."""

    def __init__(self, images: int, batch_size: int, signals: list[int]):
        super().__init__()
        self.signals = signals
        self.images = images
        self.batch_size = batch_size

    def on_train_begin(self, logs=None):
        self._left = (self.images - int(self.model.images_seen.numpy())) // self.batch_size

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left <= 0 or self.signals:
            self.model.stop_training = True


class RunLog(keras.callbacks.Callback):
    """A line in `log.csv` for every checkpoint: images seen, seconds of training, all logs."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        # A killed run may have logged more than it saved: that part is done again.
        seen = int(self.model.images_seen.numpy())
        self._rows = [row for row in self._read() if int(row["images_seen"]) <= seen]
        self._before = float(self._rows[-1]["seconds"]) if self._rows else 0.0
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "images_seen": int(self.model.images_seen.numpy()),
            "seconds": f"{self.seconds():.1f}",
            **{name: f"{float(value):.6g}" for name, value in (logs or {}).items()},
        }
        self._rows.append(row)
        partial = self.path.with_name(f"partial-{self.path.name}")
        with open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
            writer.writerows(self._rows)
        os.replace(partial, self.path)

    def seconds(self) -> float:
        """Time spent in training so far, over all sessions."""
        if hasattr(self, "_start"):
            return self._before + time.monotonic() - self._start
        rows = self._read()
        return float(rows[-1]["seconds"]) if rows else 0.0

    def _read(self):
        if not self.path.exists():
            return []
        with open(self.path, newline="") as file:
            return list(csv.DictReader(file))


class Snapshots(Periodic):
    """A preset beside every sample grid: the best pictures need not be the last."""

    def __init__(self, directory: Path, recipe: Recipe, log: RunLog):
        super().__init__(every_images=recipe.grid_images)
        self.directory = directory
        self.recipe = recipe
        self.log = log

    def act(self, images_seen: int) -> None:
        path = self.directory / f"images-{images_seen:09d}"
        preset.save_preset(self.model, path, self.recipe, self.log.seconds())


class ProgressLine(keras.callbacks.Callback):
    """One line of images, losses, rate and time left; without a terminal, one a checkpoint."""

    def __init__(self, images: int, batch_size: int):
        super().__init__()
        self.images = images
        self.batch_size = batch_size
        self._terminal = sys.stderr.isatty()

    def on_train_begin(self, logs=None):
        self._first = self._seen = int(self.model.images_seen.numpy())
        self._start = self._shown = time.monotonic()
        self._traced = False
        if self._seen:
            sys.stderr.write(f"Going on from {self._seen:,} images\n")

    def on_train_batch_end(self, batch, logs=None):
        self._seen += self.batch_size
        if not self._traced:  # tracing is not training
            self._traced = True
            self._first, self._start = self._seen, time.monotonic()
        elif self._terminal and time.monotonic() - self._shown > 0.5:
            self._show(logs, "")

    def on_epoch_end(self, epoch, logs=None):
        self._show(logs, "" if self._terminal else "\n")

    def on_train_end(self, logs=None):
        if self._terminal:
            sys.stderr.write("\n")

    def _show(self, logs, end):
        self._shown = time.monotonic()
        elapsed = max(self._shown - self._start, 1e-9)
        rate = (self._seen - self._first) / elapsed
        left = (self.images - self._seen) / rate if rate else 0
        losses = "  ".join(f"{name} {float(value):.3f}" for name, value in (logs or {}).items())
        line = (
            f"{self._seen:,} of {self.images:,} images  {losses}  {rate:.0f} images/s  "
            f"{_clock(left)} left"
        )
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            line = f"\r{line[:width]:<{width}}"
        sys.stderr.write(line + end)
        sys.stderr.flush()


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
