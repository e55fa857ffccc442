"""Checkpoints from which training goes on as if it had never stopped."""

import errno
import hashlib
import json
import math
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from kgan import workers
from kgan.checks import PATH, number, whole
from kgan.errors import KganError, KganWarning, reason, short
from kgan.files import clear, expanded, images_in_name, write
from kgan.models.base import keras_files
from kgan.models.base.pair import inner
from kgan.recipe.optimizers import rate_of
from kgan.untrusted.text import MOST_JSON, read_bytes


class Checkpoint(keras.callbacks.Callback):
    """Saves everything that training needs at the end of each epoch, whole or not at all.

    A checkpoint holds both networks, the moving average, both optimizers' state and the counters
    from which all randomness is drawn. The last two are kept, by the images that they have seen; a
    newest one that was torn by a crash is passed over for the one before it, and removed when the
    next one is written.

    Of several processes that train together all call it, and the chief writes.

    What is restored is state: moments, counters, and a learning rate that has been changed since
    the model was compiled. Another rate than was asked for then holds, with a warning.

    Args:
        directory: path; made if need be.
        keep: int, number of checkpoints kept.

    Attributes:
        notes: dict of plain values that go with each checkpoint; `restore` fills it with those of
            the checkpoint that it has loaded.

    Example:

    ```python
    checkpoint = kgan.callbacks.Checkpoint("run/checkpoints")
    first = checkpoint.restore(model)        # 0 the first time
    model.fit(dataset, epochs=20, initial_epoch=first, callbacks=[checkpoint])
    ```
    """

    def __init__(self, directory: str | os.PathLike, keep: int = 2):
        super().__init__()
        self.directory = expanded(PATH.check("directory", directory))
        self.keep = whole(1).check("keep", keep)
        self.notes: dict[str, Any] = {}
        self._damaged: list[Path] = []
        self._made = False
        self._warned = False

    def on_train_begin(self, logs=None):
        _check_compiled(self.model)
        if workers.is_chief(self.model.distribute_strategy):
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.directory):
                    pass
            except OSError as error:  # now, not after an epoch
                raise KganError(
                    f"Expected a directory for checkpoints that can be written to. Received: "
                    f"{self.directory}: {reason(error)}"
                ) from error

    def on_epoch_end(self, epoch, logs=None):
        self.save(self.model, epoch + 1)

    def save(self, model: keras.Model, epoch: int) -> None:
        """Saves a checkpoint now; `epoch` is what `restore` will return.

        Raises:
            ValueError: if the model is not compiled, or it cannot be written; the ones before are
                as they were.
        """
        whole(0).check("epoch", epoch)
        _check_compiled(model)
        content = keras_files.weights(model)  # on all workers: means of losses are of all of them
        if not workers.is_chief(model.distribute_strategy):
            return
        try:
            self._save(model, epoch, content)
        except OSError as error:
            self._remove_torn()  # they may hold the space that is missing
            hint = (
                "The last one is whole: make room, and go on from there"
                if self._saved()
                else "There is none yet: make room, and begin again"
            )
            raise KganError(
                f"Expected to write a checkpoint to {self.directory}. Received: {reason(error)}. "
                f"{hint}"
            ) from error

    def _save(self, model, epoch, content):
        if self._made and not self.directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the directory has been removed")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._made = True
        self._remove_torn()
        images_seen = int(model.images_seen.numpy())
        weights = self.directory / f"images-{images_seen:09d}.weights.h5"
        write(weights, content)
        state = {
            "epoch": epoch,
            "images_seen": images_seen,
            "sha256": hashlib.sha256(content).hexdigest(),
            "rates_asked": model.rates_asked,
            "optimizers": _kinds_of_optimizers(model),
            "states": _states_of_optimizers(model),
            "notes": self.notes,
        }
        # Only a checkpoint with this file counts: it is written last.
        write(_state_path(weights), json.dumps(state))
        self._remove_damaged(weights)
        others = [saved for saved in self._saved() if saved != weights]
        for old in others[self.keep - 1 :]:
            _state_path(old).unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        if others and images_in_name(others[0]) > images_seen:
            self._warn_of_newer(others[0], images_seen)

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into a compiled model.

        Returns:
            The epoch to go on with; 0 if there is no checkpoint. Several processes that train
            together read the same directory.

        Raises:
            ValueError: if the model is not compiled, the checkpoint is of another model, of other
                kinds of optimizers or of other options of theirs, or there are checkpoints and none
                is whole.
        """
        _check_compiled(model)
        strategy = model.distribute_strategy
        with workers.together(strategy):
            restored = self._restore(model)
        workers.check_same(strategy, "checkpoint", restored[1])
        return restored[0]

    def _restore(self, model):
        """The epoch to go on with, and which checkpoint was loaded."""
        saved = self._saved()
        for weights in saved:
            found = _read(weights)
            if found is None:
                self._damaged.append(weights)
                warnings.warn(
                    f"Checkpoint {weights.name} is damaged; trying the one before.",
                    KganWarning,
                    stacklevel=3,
                )
                continue
            state, content = found
            _check_optimizers(model, state.get("optimizers", {}), weights)
            _check_states(model, state.get("states", {}), weights)
            try:
                with _other_ways_to_load(model, state.get("states", {})):
                    keras_files.load_weights(model, content)
            except ValueError as error:
                first, *more = filter(None, str(error).splitlines())
                if first.startswith("A total of"):  # objects, of which one is an example
                    first = more[0]
                raise KganError(
                    f"Expected a checkpoint of this model. Received: {weights}: {first}"
                ) from None
            _keep_what_is_asked(model, state.get("rates_asked"))
            self.notes.clear()
            self.notes.update(state.get("notes", {}))
            return state["epoch"], state["sha256"]
        if saved:
            raise KganError(
                f"No checkpoint in {self.directory} is whole: start anew elsewhere, or here once "
                f"{', '.join(_state_path(weights).name for weights in saved)} are removed"
            )
        return 0, ""

    def _remove_damaged(self, written):
        """Removes what `restore` has found damaged: another one has been written since."""
        for weights in self._damaged:
            if weights != written:
                _state_path(weights).unlink(missing_ok=True)
                weights.unlink(missing_ok=True)
        self._damaged.clear()

    def _remove_torn(self):
        """Removes what killed processes have left; those of kgan 0.1 named it without the dot."""
        clear(self.directory)
        whole = self._saved()
        for path in self.directory.glob("*.weights.h5"):
            unfinished = images_in_name(path) >= 0 and path not in whole
            if unfinished or path.name.startswith("partial-"):
                path.unlink(missing_ok=True)

    def _saved(self):
        """Weight files of checkpoints, newest first."""
        states = [
            path for path in self.directory.glob("images-*.json") if images_in_name(path) >= 0
        ]
        states.sort(key=lambda path: (images_in_name(path), path.name), reverse=True)
        return [state.with_name(f"{state.stem}.weights.h5") for state in states]

    def _warn_of_newer(self, newer, images_seen):
        if self._warned:
            return
        self._warned = True
        warnings.warn(
            f"{self.directory} holds {newer.name}, of more images than the {images_seen:,} that "
            "the model has seen: restore() will take it. Train on from it, or elsewhere.",
            KganWarning,
            stacklevel=4,
        )


def _check_compiled(model):
    if not getattr(model, "compiled", False):
        what = "a model" if isinstance(model, keras.Model) else short(model)
        raise KganError(
            "Expected a compiled model, whose optimizers' state is part of a checkpoint. "
            f"Received: {what} that is not compiled"
        )


def _kinds_of_optimizers(model):
    """Of each optimizer the names of its class and of those that this is made of."""
    kinds = {name: type(inner(getattr(model, name))).__mro__ for name in model.rates_asked}
    of_keras = keras.optimizers.Optimizer
    return {
        name: [kind.__name__ for kind in classes[: classes.index(of_keras)]]
        for name, classes in kinds.items()
    }


def _check_optimizers(model, then, weights):
    """Raises KganError if a checkpoint is of optimizers whose state means something else.

    Keras tells optimizers apart by the number of their variables: what Lion has for its momentum
    would be SGD's. A class takes the state of one that it is made of, as AdamW does Adam's.
    """
    for name, now in _kinds_of_optimizers(model).items():
        was = then.get(name, now)
        if was[0] not in now and now[0] not in was:
            raise KganError(
                f"Expected {was[0]} for {name}, as in the checkpoint {weights}, or another "
                f"directory, to begin anew. Received: {now[0]}"
            )


def _states_of_optimizers(model):
    """Of each optimizer what it keeps of the weights that it moves, and the shapes of these.

    What is kept follows from options such as `amsgrad` and `use_ema`. `scale` counts the variables
    that are of a scaling of losses, and saved before those of the optimizer itself.
    """
    states = {}
    for name in model.rates_asked:
        optimizer = getattr(model, name)
        kept = {
            key.strip("_").replace("_", " "): sum(isinstance(v, keras.Variable) for v in values)
            for key, values in vars(inner(optimizer)).items()
            if isinstance(values, list) and key not in ("_variables", "_trainable_variables")
        }
        states[name] = {
            "kept": {key: number for key, number in sorted(kept.items()) if number},
            "weights": [list(v.shape) for v in inner(optimizer)._trainable_variables],
            "scale": len(optimizer.variables) - len(inner(optimizer).variables),
        }
    return states


def _check_states(model, then, weights):
    """Raises KganError if a checkpoint has other state than the optimizers that are to take it.

    Keras leaves an optimizer as new whose variables are of another number; of the same number, sums
    of gradients could be taken for averages of weights.
    """
    for name, now in _states_of_optimizers(model).items():
        was = then.get(name, now)
        if was["weights"] != now["weights"]:
            raise KganError(
                f"Expected a checkpoint of this model. Received: {weights}: {name} moved "
                f"{len(was['weights'])} weights where this one's is to move {len(now['weights'])}; "
                "networks, or which of their layers are trainable, are not the same"
            )
        if was["kept"] != now["kept"]:
            both = [" and ".join(state["kept"]) or "nothing" for state in (was, now)]
            raise KganError(
                f"Expected {name} to keep {both[0]}, as in the checkpoint {weights}, or another "
                f"directory, to begin anew. Received: one that keeps {both[1]}"
            )


@contextmanager
def _other_ways_to_load(model, then):
    """Lets optimizers take state that is theirs but for what does not matter.

    Those with a schedule take the state of ones with a learning rate, and vice versa: a rate is a
    variable, a schedule is not. Those that scale losses, for mixed_float16, take the state of ones
    that do not, and vice versa. By the number of variables Keras tells optimizers apart, and would
    leave moments and counters as they are.

    Args:
        model: compiled.
        then: the states of the checkpoint; empty of one that does not say.
    """

    def scaling_of(optimizer):
        return optimizer.variables[: len(optimizer.variables) - len(inner(optimizer).variables)]

    def loader(name, optimizer, scale, inside=False):
        load, own = optimizer.load_own_variables, scaling_of(optimizer)
        rate = model.rates_asked[name]
        iterations = inner(optimizer)._iterations  # under accumulation `iterations` is no variable
        place = [v is iterations for v in inner(optimizer).variables].index(True) + 1  # of the rate

        def load_any(store):
            values = [store[str(i)] for i in range(len(store.keys()))]
            if inside and not values:
                return  # of a checkpoint without scaling: the one around it has taken them
            scaling, values = values[:scale], values[scale:]
            if len(own) != scale:
                scaling = [v.numpy() for v in own]
            missing = len(inner(optimizer).variables) - len(values)
            if missing == 1 and not isinstance(rate, dict):
                values.insert(place, rate)
            elif missing == -1 and isinstance(rate, dict):
                del values[place]
            elif missing:
                raise ValueError(
                    f"its {name} has {len(values)} variables, where this one's has "
                    f"{len(values) + missing}: options, or layers that are trainable, are others"
                )
            load({str(i): value for i, value in enumerate(scaling + values)})

        return load_any

    changed = {}
    for name in model.rates_asked:
        optimizer = getattr(model, name)  # one that scales losses is saved with one inside
        scale = then.get(name, {}).get("scale", len(scaling_of(optimizer)))
        changed[inner(optimizer)] = loader(name, inner(optimizer), 0, inside=True)
        changed[optimizer] = loader(name, optimizer, scale)
    for optimizer, load in changed.items():
        vars(optimizer)["load_own_variables"] = load
    try:
        yield
    finally:
        for optimizer in changed:
            del vars(optimizer)["load_own_variables"]


def _keep_what_is_asked(model, asked_then):
    """Sets the rates that are asked for now, where others were; says so.

    Args:
        model: restored.
        asked_then: what the model of the checkpoint was compiled with; None of a checkpoint that
            does not say, whose rates in force are taken for it.
    """
    for name, now in model.rates_asked.items():
        optimizer = getattr(model, name)
        in_force = rate_of(optimizer)
        then = (asked_then or {}).get(name, in_force)
        if now == then:
            continue
        if not isinstance(now, dict):
            optimizer.learning_rate = now
        was = _words(then)
        if not isinstance(then, dict) and not isinstance(now, dict) and in_force != then:
            was += f", and {in_force:g} in force"
        warnings.warn(
            f"{name} goes on with a learning rate of {_words(now)}, as is asked for now; the "
            f"checkpoint was asked for {was}.",
            KganWarning,
            stacklevel=4,
        )


def _words(rate):
    """A rate, or a schedule, in a line."""
    if not isinstance(rate, dict):
        return f"{rate:g}"
    given = {key: value for key, value in rate.items() if key != "name" and value is not None}
    return f"{rate['name']}({', '.join(f'{key}={value}' for key, value in given.items())})"


def _read(weights):
    """What is written beside the weights of a checkpoint, and these; None if either is damaged."""
    try:
        state = json.loads(read_bytes(_state_path(weights), MOST_JSON))
        content = weights.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        is_whole = isinstance(state, dict) and state.get("sha256") == digest
    except (OSError, ValueError, RecursionError):
        return None
    is_whole = (
        is_whole
        and whole(0).fits(state.get("epoch"))
        and _are_rates(state.get("rates_asked"))
        and _are_kinds(state.get("optimizers", {}))
        and _are_states(state.get("states", {}))
        and isinstance(state.get("notes", {}), dict)
    )
    return (state, content) if is_whole else None


def _are_rates(value):
    return value is None or (
        isinstance(value, dict)
        and all(
            isinstance(rate.get("name"), str)
            if isinstance(rate, dict)
            else number(-math.inf, math.inf).fits(rate)
            for rate in value.values()
        )
    )


def _are_kinds(value):
    return isinstance(value, dict) and all(
        isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        for names in value.values()
    )


def _are_states(value):
    return isinstance(value, dict) and all(
        isinstance(state, dict)
        and isinstance(state.get("kept"), dict)
        and isinstance(state.get("weights"), list)
        and whole(0).fits(state.get("scale"))
        for state in value.values()
    )


def _state_path(weights):
    return weights.with_name(weights.name.removesuffix(".weights.h5") + ".json")
