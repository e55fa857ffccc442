"""Runs: a recipe trained in a directory of its own, from which it can be resumed exactly."""

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import tensorflow as tf

from kgan import workers
from kgan.callbacks import Checkpoint, CollapseWarning, TerminateOnDivergence
from kgan.checks import whole
from kgan.data import parts, tfds
from kgan.data.folder import sample
from kgan.errors import KganError, KganWarning, say
from kgan.files import expanded, write
from kgan.images import save_png
from kgan.metrics import extractors
from kgan.models.base.pair import OPTIMIZERS
from kgan.models.base.translation import TranslationModel
from kgan.recipe import Origin, Recipe, optimizers
from kgan.recipe.schedules import changes, stretched
from kgan.runs import directory as run_directory
from kgan.runs import selection, strategies, threads
from kgan.runs.callbacks import Curves, Grids, Progress, RunLog, Snapshots, StopAt
from kgan.runs.extraction import extractor_of
from kgan.runs.precision import AUTO, fastest
from kgan.zoo import building, opening, saving, weights
from kgan.zoo.metadata import CURVES
from kgan.zoo.preset import Preset
from kgan.zoo.versions import versions

# Of a training whose recipe does not say how long it is.
EPOCHS = 200
LEAST_IMAGES, MOST_IMAGES = 200_000, 1_000_000
LEAST_ACTIVE = 0.9  # of a training: the part in which its learning rate is to be of use


def train(
    recipe: Recipe,
    directory: str | os.PathLike,
    resume: bool = False,
    data_dir: str | os.PathLike | None = None,
    epochs: int | None = None,
    override: bool = False,
    cache: str | os.PathLike | None = None,
    images: int | None = None,
    batch_size: int | None = None,
    precision: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> Path:
    """Trains a recipe in a run directory, or goes on with it.

    The directory gets the resolved `recipe.toml`, `log.csv`, `curves.png` (its curves, if
    matplotlib is there: the extra `kgan[plots]`), `grids/` (the first after 1,000 images, then
    after twice as many each time, and every `grid_images`), `snapshots/` (a preset every
    `grid_images`), `checkpoints/`, and at the end `preset/`: the best snapshot by the metric
    that the recipe selects by, or the last state. Resumed after its end, a run trains nothing: all
    its snapshots are measured, by the kernel distance if the recipe selects by nothing, and the
    best becomes the preset. A run that is interrupted leaves a preset too, of what it has come to.
    `data.png` shows 64 of the images as the model sees them, and `data.txt` what was found in a
    folder, which is also printed before training begins.
    Killed at any moment and resumed, a run ends with the same weights, bit for bit on the same
    machine, as one that was never interrupted. It keeps its number of threads, which its
    `versions.json` tells with the versions.

    Args:
        recipe: what to train. One of 0 images is trained for `EPOCHS` passes over the data, but
            at least `LEAST_IMAGES` and at most `MOST_IMAGES`. One with a parent begins from its
            weights.
        directory: of the run.
        resume: whether to go on with a run that is there.
        data_dir: where relative folders and TFDS datasets are looked for.
        epochs: passes over the data, in place of the recipe's number of images. Schedules of
            learning rates, and what else of the model counts images, follow.
        override: whether to go on with another recipe or other images than the run was started
            with, whose place they take.
        cache: path of a file for a folder's decoded images; see `kgan.data.load`.
        images, batch_size: in place of the recipe's, as `epochs`.
        precision: in place of the recipe's; `"auto"` for the fastest by a short measurement, of
            which a run that goes on keeps the answer.
        strategy: of the devices to train on, to which each batch is dealt out; see
            `kgan.runs.strategies`. Of several processes all call this alike.

    Returns:
        The directory of the finished preset.

    Raises:
        ValueError: if the directory holds anything and `resume` is False, or a run of another
            recipe or other images, or another process trains in it, or not all processes of the
            strategy see it, or one of them is lost, or its pictures would be found among the
            images; for what `kgan.data.load` and the model refuse; if training
            diverges; if nothing can be written any more.
        KeyboardInterrupt: after saving, when interrupted by Ctrl-C or SIGTERM.
    """
    strategy = strategy or tf.distribute.get_strategy()
    directory = expanded(directory)
    with workers.own_errors(strategy):
        begun = workers.from_chief(strategy, lambda: run_directory.check(directory, resume))
        strategies.check_shared(directory, strategy)
        with workers.together(strategy):
            parts.check_outside(recipe.data, directory, data_dir)
            run_directory.check_place(directory / opening.PRESET)
            if resume:
                _keep_classes(recipe, directory)
        begun_by = run_directory.recipe_in(directory) if resume else None
        _inherit(recipe, begun_by)
        if precision == AUTO and begun_by is not None:
            precision = begun_by.precision
        if precision not in (None, AUTO):
            recipe = replace(recipe, precision=precision)
        threads.use(run_directory.threads_of(directory))  # first: TensorFlow begins with the model
        keras.utils.set_random_seed(whole(0, 2**32 - 1).check("seed", recipe.seed))
        as_read = recipe.as_dict()
        _take_kinds(recipe)
        workers.check_same(strategy, "recipe", recipe.to_toml())
        model = _build(recipe, strategy)
        with workers.together(strategy):
            saving.check(model, recipe)  # before pictures are read, which may take long
            extractors.check_name(extractor_of(recipe))
            channels = _target_channels(model)
            data = parts.load_training(recipe.data, model.image_shape, data_dir, cache, channels)
            data.check_batch(batch_size or recipe.batch_size)
            if getattr(model, "num_classes", None) is not None:
                _take_classes(data, recipe)
            run_directory.check_data(directory, data.sums, override)
            saving.check(model, recipe)  # now with the names of classes
            _take_length(recipe, directory, len(data), images, epochs, batch_size)
        workers.check_same(strategy, "recipe and images", f"{recipe.to_toml()}{data.sums}")
        if precision == AUTO:
            batch = next(iter(data.stream(recipe.batch_size, seed=recipe.seed)))
            recipe.precision = fastest(recipe, batch, strategy)
        if recipe.as_dict() != as_read:
            model = _build(recipe, strategy)
        judge = None
        if recipe.select:
            with workers.together(strategy):
                judge = selection.judge(recipe, data, model.image_shape, data_dir)
        if not workers.is_chief(strategy):
            return _go_on(recipe, directory, model, data, judge, data_dir)
        _tell_idle(recipe, model)
        with run_directory.locked(directory):
            run_directory.claim(directory, recipe, override)
            run_directory.note_data(directory, data.sums, begun)
            _show(directory, data)
            return _go_on(recipe, directory, model, data, judge, data_dir)


def _build(recipe, strategy):
    with strategy.scope():
        return building.build(recipe)


def _go_on(recipe, directory, model, data, judge, data_dir) -> Path:
    """Trains from the last checkpoint, if there is one, to the end."""
    strategy = model.distribute_strategy
    chief = workers.is_chief(strategy)
    preset = directory / opening.PRESET
    checkpoint = Checkpoint(directory / opening.CHECKPOINTS)
    begun = bool(checkpoint.restore(model) or checkpoint.notes)  # after 0 epochs: notes alone
    checkpoint.notes["recipe"] = recipe.to_toml()
    # Every batch of the stream is full, so that the count of images tells the step.
    seen = int(model.images_seen.numpy())
    step = seen // recipe.batch_size
    last = -(-recipe.images // recipe.batch_size)
    log = RunLog(directory / "log.csv", checkpoint.notes)
    if chief:
        if step < last:
            _note(directory, step * recipe.batch_size, strategy)
        if not begun and log.path.exists():
            warnings.warn(
                f"No checkpoint is in {checkpoint.directory}, though {log.path} tells of some: "
                "training begins anew",
                KganWarning,
                stacklevel=3,
            )
        log.go_on(seen)
        if (
            step >= last
            and opening.has_ended(directory)
            and not isinstance(model, TranslationModel)
        ):
            say("The run has ended: its snapshots are measured", err=True)
            if judge is None:
                shape, metric = model.image_shape, selection.METRICS[0]
                judge = selection.judge(recipe, data, shape, data_dir, metric)
    if judge:
        judge.notes = checkpoint.notes
    curves = Curves(directory, recipe)
    snapshots = Snapshots(directory / opening.SNAPSHOTS, recipe, log, judge)

    def save(*more):
        run_directory.make_way(preset)
        saving.save(model, preset, recipe, log.seconds(), *more)

    def finish():
        if step >= last:
            curves.act(seen)  # it may have been killed before it drew them
        found = []
        if judge:
            snapshots.add(model)
            found = selection.measured(snapshots.directory, judge)
            if not found:
                warnings.warn(
                    f"No snapshot in {snapshots.directory} is whole: the last state becomes the "
                    "preset",
                    KganWarning,
                    stacklevel=4,
                )
        with run_directory.keeping_figures(preset):
            if found:
                run_directory.make_way(preset)
                selection.keep_best(found, preset, directory / CURVES)
            else:
                save(directory / CURVES)

    if step < last:
        say(strategies.described(strategy), err=True)
        steps_per_checkpoint = max(1, recipe.checkpoint_images // recipe.batch_size)
        progress = Progress(last * recipe.batch_size, recipe.batch_size)
        with collected_signals() as received, progress, _own_errors(data):
            if not begun:
                if recipe.parent:
                    building.begin_from(model, _parent(recipe))
                checkpoint.save(model, 0)  # to go back to, should the first one be damaged
            stop = StopAt(last * recipe.batch_size, recipe.batch_size, received)
            callbacks = [TerminateOnDivergence(), stop, *([judge] if judge else []), checkpoint]
            if chief:
                weights.note_size(model)
                noting = keras.callbacks.LambdaCallback(on_epoch_end=log.note)
                watches = _watches(directory, recipe, model, data, data_dir)
                callbacks.insert(-1, noting)
                callbacks += [log, *watches, snapshots, curves, progress]
            model.fit(
                data.stream(recipe.batch_size, recipe.data.flip, recipe.seed, start_step=step),
                steps_per_epoch=steps_per_checkpoint,
                epochs=-(-(last - step) // steps_per_checkpoint),
                verbose=0,
                shuffle=False,  # the stream has shuffled already
                callbacks=callbacks,
            )
        if stop.interrupted:
            workers.from_chief(strategy, save)
            raise Interrupted((*received, signal.SIGINT)[0])
    workers.from_chief(strategy, finish)
    return preset


def _note(directory, images_seen, strategy):
    """Writes down what trains on from so many images."""
    noted = {**versions(), run_directory.THREADS: threads.told(run_directory.threads_of(directory))}
    if strategy.num_replicas_in_sync > 1:
        noted[run_directory.REPLICAS] = strategy.num_replicas_in_sync
    run_directory.note_versions(directory, images_seen, noted)


def _watches(directory, recipe, model, data, data_dir) -> list:
    """What draws grids and looks at pictures while training runs."""
    place, every = directory / "grids", {"every_images": recipe.grid_images}
    if not isinstance(model, TranslationModel):
        return [Grids(place, **every), CollapseWarning(**every)]
    shape, channels = model.image_shape, _target_channels(model)
    shown = parts.load_held_out(recipe.data, shape, data_dir, channels) or data
    some = tuple(side[sample(len(side))] for side in (shown.images, shown.targets))
    return [Grids(place, held_out=some, **every)]


@contextmanager
def _own_errors(data):
    """Raises what kgan said of images that cannot be read; TensorFlow makes an error of its own."""
    try:
        yield
    except tf.errors.OpError:
        if data.failure is None:
            raise
        raise data.failure from None


def _target_channels(model) -> int | None:
    return model.target_shape[2] if isinstance(model, TranslationModel) else None


def _take_kinds(recipe) -> None:
    """Writes into the recipe how images of two kinds belong together, if it says nothing.

    Raises:
        KganError: if the model and the data are not of one or of two kinds alike.
    """
    data, name, kind = recipe.data, recipe.model, building.kind_of(recipe)
    if not issubclass(kind, TranslationModel):
        if data.paired or data.target:
            raise KganError(
                f"Expected images of one kind, since a {name} makes images of latents: a target is "
                f"for models such as Pix2Pix and CycleGAN. Received: target = {data.target!r}, "
                f"paired = {data.paired!r}"
            )
        return
    if not data.target and any(map(tfds.is_name, data.sources())):
        raise KganError(
            f"Expected images of two kinds for a {name}: --data A --target B, or in --data alone "
            f"a folder of pictures whose left halves are a. Received: {', '.join(data.sources())}"
        )
    paired = data.paired or (kind.PAIRED if data.target else "halves")
    recipe.data = replace(data, paired=paired)
    if paired == "no" and kind.PAIRED != "no":
        raise KganError(
            f"Expected pairs of images, from which a {name} learns. Received: paired = 'no'; a "
            "CycleGAN needs none"
        )
    if recipe.select:
        raise KganError(
            f"Expected no select in a recipe of a {name}, whose snapshots are not measured. "
            f"Received: {recipe.select!r}"
        )


def _take_classes(data, recipe) -> None:
    """Writes into the recipe how many classes the data has and their names, if it says nothing."""
    if data.labels is None:
        raise KganError(
            f"Expected labelled images, since a {recipe.model} is conditional. Received: "
            f"{', '.join(recipe.data.sources())} without labels; --labels folders takes a folder's "
            "from the names of its sub-folders"
        )
    new = not recipe.data.class_names
    if new:
        recipe.data.class_names = list(data.class_names or [])
    parts.check_classes(recipe.data, data)
    # A class may have no images, or none in this split.
    classes = max(len(data.class_names or []), int(data.labels.max()) + 1)
    asked = recipe.arguments.get("num_classes", classes)
    if classes > asked:
        raise KganError(
            f"Expected num_classes of at least {classes}, the classes that there are. "
            f"Received: num_classes = {asked}"
        )
    if asked > classes and new and data.class_names:  # of other data, which --data has replaced
        warnings.warn(
            f"The model gets {classes} classes, which there are, in place of {asked}",
            KganWarning,
            stacklevel=3,
        )
        asked = classes
    recipe.arguments["num_classes"] = asked


def _keep_classes(recipe, directory) -> None:
    """A run that goes on has the classes that it began with: no folder's coming changes them."""
    begun = run_directory.recipe_in(directory)
    if begun is None or recipe.data.class_names:
        return
    if begun.data.class_names and "num_classes" in begun.arguments:
        recipe.data.class_names = begun.data.class_names
        recipe.arguments["num_classes"] = begun.arguments["num_classes"]


def _inherit(recipe, begun_by) -> None:
    """The licences and limits of what weights have learned from before stay, whatever comes now.

    Args:
        recipe: that is to be trained.
        begun_by: that of the run that goes on, if one does.
    """
    if begun_by is not None:
        if recipe.parent or begun_by.data.places() != recipe.data.places():
            recipe.data = Origin(begun_by, {}).bequeath(recipe.data)
    elif recipe.parent:
        recipe.data = Origin(_parent(recipe).recipe, recipe.parent).bequeath(recipe.data)


def _take_length(recipe, directory, available, images, epochs, batch_size) -> None:
    """Writes the length of the training into the recipe; what counts images or steps follows."""
    before = recipe.images, recipe.batch_size
    recipe.batch_size = batch_size or recipe.batch_size
    if epochs is not None:
        images = epochs * (available // recipe.batch_size) * recipe.batch_size
    if images is None and not recipe.images:
        begun = run_directory.recipe_in(directory)  # whose data may have grown since
        by_data = min(max(EPOCHS * available, LEAST_IMAGES), MOST_IMAGES)
        images = begun.images if begun else by_data
    recipe.images = recipe.images if images is None else images
    whole(1, 2**53).check("images", recipe.images)
    if recipe.images < recipe.batch_size:
        raise KganError(
            f"Expected at least one batch of {recipe.batch_size} images. Received: images = "
            f"{recipe.images}"
        )
    if (recipe.images, recipe.batch_size) != before:
        _stretch(recipe, *before)


def _stretch(recipe, images, batch_size) -> None:
    """Fits what counts images or steps to another length than the recipe was written for."""
    kind = building.kind_of(recipe)
    if not images:
        for name in kind.COUNTS_IMAGES:
            recipe.arguments.setdefault(name, recipe.images)
        return
    for name in (*kind.COUNTS_IMAGES, *kind.COUNTS_FIRST_IMAGES):
        if count := recipe.arguments.get(name):
            recipe.arguments[name] = max(1, round(count * recipe.images / images))
    ratio = recipe.images / images
    updates = ratio * batch_size / recipe.batch_size
    for name in OPTIMIZERS:
        before = getattr(recipe, name)
        after = stretched(before, updates, ratio)
        setattr(recipe, name, after)
        for key, old, new in changes(before, after):
            say(
                f"The learning rate of {name} follows the {recipe.images:,} images: {key} {new} in "
                f"place of {old}",
                err=True,
            )


def _tell_idle(recipe, model) -> None:
    """Says so if a learning rate is next to nothing for a good part of the training."""
    for name in OPTIMIZERS:
        updates = model.updates(name, recipe.images, recipe.batch_size)
        share = optimizers.active_share(getattr(recipe, name), updates, recipe.images)
        if share < LEAST_ACTIVE:
            say(
                f"The learning rate of {name} is below a hundredth of its highest from "
                f"{share * recipe.images:,.0f} of {recipe.images:,} images on",
                err=True,
            )


def _parent(recipe) -> Preset:
    """The preset that a recipe begins from, seen to be the one that was meant."""
    parent = opening.read(recipe.parent["source"])
    if parent.weights_sha256 != recipe.parent["weights_sha256"]:
        raise KganError(
            f"Expected the weights {recipe.parent['weights_sha256'][:12]}… of "
            f"{recipe.parent['source']}, which the recipe begins from. Received: "
            f"{parent.weights_sha256[:12]}…"
        )
    return parent


def _show(directory, data):
    """Prints what was found in the data; writes that and a sheet of it into the run directory."""
    if data.report is not None:
        say(data.report.text(most=10), err=True)
        write(directory / "data.txt", data.report.text() + "\n")
    save_png(data.sheet(), directory / "data.png", None)


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by a signal, and everything is saved."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM for what ends in its own time; a second one is taken at its word.

    Yields:
        Those that have come.
    """
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
