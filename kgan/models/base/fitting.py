"""Keras' loops on a GAN's data: what cannot be trained on is refused before, or at the batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kgan import workers
from kgan.checks import Below0
from kgan.models.base import inputs
from kgan.models.base.pair import OPTIMIZERS, check_callbacks, take_weights_of_now
from kgan.pipelines import begin_at, epochs_of_fit, few_images, own_pipelines


class Fitting(keras.Model):
    """What `AdversarialModel` does between a call of `fit` or the like and its steps."""

    _below0: tuple[Below0, ...] | None = None  # whether single batches have had floats < 0

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.fit` on what the class documents: uint8, or floats in [-1, 1].

        x may be (images, labels) as well, a generator may give images alone. There are no weights
        of samples and classes.
        """
        call = inputs.named(super().fit, (x, y, *args), kwargs)
        check_callbacks(call.get("callbacks"), getattr(self, "optimizer", None))
        self._prepare(call)
        if isinstance(call["x"], (tf.data.Dataset, Iterator)):
            call.setdefault("shuffle", False)  # Keras would warn that it cannot
        if call.get("validation_data") is not None:
            held_out = inputs.parts(call["validation_data"])
            steps = call.get("validation_steps")
            x, y = inputs.split(*held_out)
            x = inputs.check_data(x, y, self, ahead=True, steps=steps)
            call["validation_data"] = x if y is None else (x, y)
        whole_epochs = call.get("steps_per_epoch") is None
        first = call.get("initial_epoch", 0) if whole_epochs else 0
        call["callbacks"] = _with_own(
            self, call.get("callbacks"), call["x"] if whole_epochs else None
        )
        with epochs_of_fit(call["x"], first), self._own_way(self.is_enough):
            history = super().fit(**call)
        if history.epoch and not history.history:  # Keras only warns
            raise inputs.no_data(call["x"])
        return history

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.evaluate` on data as for `fit`."""
        call = inputs.named(super().evaluate, (x, y, *args), kwargs)
        if not call.get("_use_cached_eval_dataset"):  # `fit` has them checked
            self._prepare(call)
        with self._own_way():
            return super().evaluate(**call)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.train_on_batch` on a batch as for `fit`."""
        call = inputs.named(super().train_on_batch, (x, y, *args), kwargs)
        return super().train_on_batch(**self._look(call))

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.test_on_batch` on a batch as for `fit`."""
        call = inputs.named(super().test_on_batch, (x, y, *args), kwargs)
        return super().test_on_batch(**self._look(call))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None) -> None:
        """Nothing: all is built. For Keras to try it under a strategy would cost a batch."""

    def make_train_function(self, *args: Any, **kwargs: Any) -> None:
        """Keras' own, before a `fit` or a batch."""
        for name in OPTIMIZERS:
            take_weights_of_now(getattr(self, name))
        super().make_train_function(*args, **kwargs)

    def _make_function(self, step_function: Callable) -> Callable:
        if workers.count(self.distribute_strategy) == 1:
            return super()._make_function(step_function)

        def step(data):  # between workers Keras reduces logs by their first axis
            return {name: tf.reshape(value, (1,)) for name, value in step_function(data).items()}

        return super()._make_function(step)

    def is_enough(self, images):
        """Whether a batch of so many images, an int or a tensor, has some for every device.

        A model whose step takes several of each device defines it anew.
        """
        return images >= self.distribute_strategy.num_replicas_in_sync

    @contextmanager
    def _own_way(self, is_enough=None) -> Iterator[None]:
        """Keras' loops on kgan's pipelines, with kgan's errors."""
        strategy = self.distribute_strategy
        pipelines = own_pipelines(strategy, is_enough)
        with workers.own_errors(strategy), inputs.own_errors(self), pipelines:
            yield

    def _prepare(self, call: dict) -> None:
        """Checks x and y of a call of `fit` or `evaluate`, and puts what Keras takes in place."""
        x, y = inputs.split(call["x"], call["y"])
        call.update(x=inputs.check_data(x, y, self), y=y)

    def _look(self, call: dict) -> dict:
        """The same of a call with one batch; what floats hold shows over several of these."""
        x, y = inputs.split(call["x"], call["y"])
        if self._below0 is None:
            self._below0 = tuple(Below0() for _ in self.data_shapes)
        x = inputs.some_of(x) if hasattr(x, "shape") else x
        inputs.look(self, x, y, self._below0)
        x, y = (part if part is None else self._dealt(part) for part in (x, y))
        return {**call, "x": x, "y": y}

    def _dealt(self, part):
        """A part of a batch, cut among replicas as `fit` cuts it."""
        strategy = self.distribute_strategy
        replicas = strategy.num_replicas_in_sync
        if replicas == 1:
            return part
        if len(part) < replicas:
            raise few_images(len(part), replicas)
        rows = [tf.constant(some) for some in np.array_split(part, replicas)]
        return strategy.experimental_distribute_values_from_function(
            lambda own: rows[int(own.replica_id_in_sync_group)]
        )

    @property
    def data_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Shapes (height, width, channels) of the parts of a batch that are images."""
        return (self.image_shape,)

    def check_batch(self, first, second=None) -> bool:
        """Refuses a batch that cannot be trained on.

        Args:
            first, second: its parts, as values or, of a pipeline, only as their types.

        Returns:
            Whether the types told everything, and the values need not be looked at.

        Raises:
            ValueError: saying what was received, what is expected and how to convert.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define check_batch()")


class _Finalize(keras.callbacks.Callback):
    """Ends a training as Keras does with one optimizer: with `use_ema` the averages hold."""

    def on_train_end(self, logs=None):
        for name in OPTIMIZERS:
            optimizer = getattr(self.model, name)
            if optimizer.iterations.numpy():  # else there is no average yet
                optimizer.finalize_variable_values(self.model.variables_of(name))


class _GoingOn(keras.callbacks.Callback):
    """Orders of epochs go on from where one such as BackupAndRestore lets a training go on."""

    def __init__(self, dataset):
        super().__init__()
        self._dataset = dataset

    def on_train_begin(self, logs=None):
        if self.model._initial_epoch:
            begin_at(self._dataset, self.model._initial_epoch)


def _with_own(model, callbacks, dataset):
    """Keras' callbacks, in whichever form, between those that every `fit` has.

    Weights become final before others, of which one may restore those of an earlier epoch; where
    to go on is known after them.
    """
    first, last = _Finalize(), [_GoingOn(dataset)]
    if workers.count(model.distribute_strategy) > 1:
        last.append(workers.SameEnd())
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        return [first, *keras.tree.flatten([] if callbacks is None else callbacks), *last]
    for callback in (first, *last):
        callback.set_model(model)
    own = (_Finalize, _GoingOn, workers.SameEnd)  # which may be there, of a `fit` before
    given = [callback for callback in callbacks.callbacks if not isinstance(callback, own)]
    callbacks.callbacks[:] = [first, *given, *last]
    return callbacks
