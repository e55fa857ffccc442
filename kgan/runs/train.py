"""Runs: a recipe trained in a directory of its own, from which it can be resumed exactly."""

import os
import signal
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras

from kgan import layers
from kgan import recipe as recipes
from kgan.callbacks import Checkpoint, CollapseWarning, SampleGrid, TerminateOnDivergence
from kgan.data import parts
from kgan.data.folder import sample
from kgan.errors import KganError, KganWarning
from kgan.files import expanded
from kgan.images import grid, save_png
from kgan.metrics import extractors
from kgan.models.base.adversarial import AdversarialModel
from kgan.recipe import Recipe, optimizers
from kgan.runs import directory as run_directory
from kgan.runs import evaluate as evaluation
from kgan.runs import selection
from kgan.runs.callbacks import Curves, ProgressLine, RunLog, Snapshots, StopAt
from kgan.untrusted.networks import check_arguments
from kgan.zoo import saving, weights
from kgan.zoo.metadata import CURVES, RECIPE
from kgan.zoo.preset import check_recipe, check_replaceable
from kgan.zoo.versions import versions


def build(recipe: Recipe) -> AdversarialModel:
    """The compiled model of a recipe, untrained.

    Raises:
        ValueError: if the recipe names no model of kgan, and no class of the user's own that has
            been imported; or arguments that the model does not take.
    """
    kind = saving.kinds().get(recipe.model)
    if kind is None:
        raise KganError(
            f"Expected a model among {', '.join(saving.kinds())}; a class of your own is to be "
            f"imported first (--import FILE). Received: model = {recipe.model!r}"
        )
    arguments = dict(recipe.arguments)
    if arguments.get("ema_half_life") is False:  # TOML has no null
        arguments["ema_half_life"] = None
    check_arguments(arguments, kind, layers.__all__, "the recipe")
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
    override: bool = False,
    cache: str | os.PathLike | None = None,
) -> Path:
    """Trains a recipe in a run directory, or goes on with it.

    The directory gets the resolved `recipe.toml`, `log.csv`, `curves.png` (its curves, if
    matplotlib is there: the extra `kgan[plots]`), `grids/`, `snapshots/` (a preset
    beside every grid), `checkpoints/`, and at the end `preset/`: the best snapshot by the metric
    that the recipe selects by, or the last state. Resumed after its end, a run trains nothing: all
    its snapshots are measured, by the kernel distance if the recipe selects by nothing, and the
    best becomes the preset.
    `data.png` shows 64 of the images as the model sees them, and `data.txt` what was found in a
    folder, which is also printed before training begins.
    Killed at any moment and resumed, a run ends with the same weights, bit for bit on the same
    machine, as one that was never interrupted.

    Args:
        recipe: what to train.
        directory: of the run.
        resume: whether to go on with a run that is there.
        data_dir: where relative folders and TFDS datasets are looked for.
        epochs: passes over the data, in place of the recipe's number of images.
        override: whether to go on with another recipe than the run was started with, whose
            place it takes.
        cache: path of a file for a folder's decoded images; see `kgan.data.load`.

    Returns:
        The directory of the finished preset.

    Raises:
        ValueError: if the directory holds anything and `resume` is False, or a run of another
            recipe, or another process trains in it; for what `kgan.data.load` and the model
            refuse; if training diverges; if nothing can be written any more.
        KeyboardInterrupt: after saving, when interrupted by Ctrl-C or SIGTERM.
    """
    directory = expanded(directory)
    run_directory.check(directory, resume)
    check_replaceable(directory / "preset")
    if resume:
        _keep_classes(recipe, directory)
    keras.utils.set_random_seed(recipe.seed)
    model = build(recipe)
    extractors.check_name(evaluation.extractor_of(recipe))
    images = parts.load_training(recipe.data, model.image_shape, data_dir, cache)
    images.check_batch(recipe.batch_size)
    if model.num_classes is not None:
        model = _with_classes(model, images, recipe)
    check_recipe(recipe)
    if epochs is not None:
        recipe.images = epochs * (len(images) // recipe.batch_size) * recipe.batch_size
    if recipe.images < recipe.batch_size:
        raise KganError(
            f"Expected at least one batch of {recipe.batch_size} images. Received: images = "
            f"{recipe.images}"
        )
    judge = None
    if recipe.select:
        judge = selection.judge(recipe, images, model.image_shape, data_dir)
    with run_directory.locked(directory):
        run_directory.claim(directory, recipe, override)
        _show(directory, images)
        return _go_on(recipe, directory, model, images, judge, data_dir)


def _go_on(recipe, directory, model, images, judge, data_dir) -> Path:
    """Trains from the last checkpoint, if there is one, to the end."""
    checkpoint = Checkpoint(directory / "checkpoints")
    begun = checkpoint.restore(model)
    # Every batch of the stream is full, so that the count of images tells the step.
    step = int(model.images_seen.numpy()) // recipe.batch_size
    last = -(-recipe.images // recipe.batch_size)
    if step < last:
        run_directory.note_versions(directory, step * recipe.batch_size, versions())
    elif (directory / "preset").is_dir():
        sys.stderr.write("The run has ended: its snapshots are measured\n")
        if judge is None:
            shape = model.image_shape
            judge = selection.judge(recipe, images, shape, data_dir, selection.METRICS[0])
    if not begun:
        checkpoint.save(model, 0)  # to go back to, should the first one be damaged
    log = RunLog(directory / "log.csv")
    snapshots = Snapshots(directory / "snapshots", recipe, log, judge)
    if step < last:
        weights.note_size(model)
        steps_per_checkpoint = max(1, recipe.checkpoint_images // recipe.batch_size)
        with _signals() as received:
            model.fit(
                images.stream(recipe.batch_size, recipe.data.flip, recipe.seed, start_step=step),
                steps_per_epoch=steps_per_checkpoint,
                epochs=-(-(last - step) // steps_per_checkpoint),
                verbose=0,
                shuffle=False,  # the stream has shuffled already
                callbacks=[
                    TerminateOnDivergence(),
                    StopAt(last * recipe.batch_size, recipe.batch_size, received),
                    checkpoint,
                    *([judge] if judge else []),
                    log,
                    SampleGrid(directory / "grids", every_images=recipe.grid_images),
                    snapshots,
                    Curves(directory, recipe),
                    CollapseWarning(every_images=recipe.grid_images),
                    ProgressLine(last * recipe.batch_size, recipe.batch_size),
                ],
            )
        if received:
            raise Interrupted(received[0])
    curves = directory / CURVES
    if judge:
        snapshots.add(model)
        found = selection.measured(snapshots.directory, judge)
        selection.keep_best(found, directory / "preset", curves)
    else:
        saving.save(model, directory / "preset", recipe, log.seconds(), curves)
    return directory / "preset"


def _with_classes(model, images, recipe) -> AdversarialModel:
    """The model for as many classes as the data has, unless the recipe says how many."""
    if images.labels is None:
        raise KganError(
            f"Expected labelled images, since a {recipe.model} is conditional. Received: "
            f"{', '.join(recipe.data.sources())} without labels; --labels folders takes a folder's "
            "from the names of its sub-folders"
        )
    new = not recipe.data.class_names
    if new:
        recipe.data.class_names = list(images.class_names or [])
    parts.check_classes(recipe.data, images)
    # A class may have no images, or none in this split.
    classes = max(len(images.class_names or []), int(images.labels.max()) + 1)
    asked = recipe.arguments.get("num_classes", classes)
    if classes > asked:
        raise KganError(
            f"Expected num_classes of at least {classes}, the classes that there are. "
            f"Received: num_classes = {asked}"
        )
    if asked > classes and new and images.class_names:  # of other data, which --data has replaced
        warnings.warn(
            f"The model gets {classes} classes, which there are, in place of {asked}",
            KganWarning,
            stacklevel=3,
        )
    elif "num_classes" in recipe.arguments:
        return model
    recipe.arguments["num_classes"] = classes
    return build(recipe)


def _keep_classes(recipe, directory):
    """A run that goes on has the classes that it began with: no folder's coming changes them."""
    path = directory / RECIPE
    if recipe.data.class_names or not path.exists():
        return
    begun = recipes.read(path)
    if begun.data.class_names and "num_classes" in begun.arguments:
        recipe.data.class_names = begun.data.class_names
        recipe.arguments["num_classes"] = begun.arguments["num_classes"]


def _show(directory, images):
    """Prints what was found in the data; writes that and a sheet of it into the run directory."""
    if images.report is not None:
        sys.stderr.write(images.report.text(most=10) + "\n")
        (directory / "data.txt").write_text(images.report.text() + "\n", "utf-8")
    some = images.images[sample(len(images))]
    save_png(grid(some), directory / "data.png", None)


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by a signal, and everything is saved."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


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
