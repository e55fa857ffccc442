"""Optimizers as recipes hold them: tables of plain values."""

import copy
import json
import math

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import Bound, number
from kgan.errors import KganError, short
from kgan.recipe.schedules import RATES

_OPTIMIZERS = {
    name: getattr(keras.optimizers, name)
    for name in (
        *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion"),
        *("Muon", "Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW"),
    )
    if hasattr(keras.optimizers, name)  # ScheduleFreeAdamW is younger than the oldest Keras here
}
_RATE = number(0, 100)  # 0 holds a player still
_MOMENTS = ("beta_1", "beta_2")  # Adafactor's `beta_2_decay` is an exponent
_MOMENT = Bound("a number from 0 to below 1", lambda v: number(0, 1).fits(v) and v < 1)
_MOST_PIECES = 1000  # of a piecewise constant schedule


def half_cosine(start, stop, share):
    """From `start` to `stop` along half a cosine.

    Args:
        start, stop: numbers.
        share: float tensor, the share of the way; beyond 1 it stays at `stop`.

    Returns:
        Float tensor.
    """
    return stop + (start - stop) * 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(share, 1.0)))


class OfImages(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that follows the images seen.

    Keras' schedules count steps, whose size they do not know. This one counts the images that the
    model has seen for which it is compiled; on its own it takes what it is called with for them.

    Args:
        initial_learning_rate: float.
        final_learning_rate: float.
        decay_images: int, images from one to the other.
    """

    def __init__(self, initial_learning_rate: float, final_learning_rate: float, decay_images: int):
        self.initial_learning_rate = initial_learning_rate
        self.final_learning_rate = final_learning_rate
        self.decay_images = decay_images
        self.images_seen = None

    def __call__(self, step):
        images = step if self.images_seen is None else self.images_seen
        return self.rate(tf.cast(images, tf.float32))

    def rate(self, images):
        """The rate after so many images, a float tensor."""
        raise NotImplementedError(f"{type(self).__name__} does not define rate()")

    def get_config(self) -> dict:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "final_learning_rate": self.final_learning_rate,
            "decay_images": self.decay_images,
        }


@keras.saving.register_keras_serializable("kgan")
class CosineOfImages(OfImages):
    """A learning rate that goes along half a cosine of the images seen.

    Args:
        initial_learning_rate, final_learning_rate, decay_images: see `OfImages`.

    Example:

    ```python
    rate = CosineOfImages(2e-4, 5e-5, decay_images=1_000_000)
    model.compile(g_optimizer=keras.optimizers.Adam(rate), d_optimizer=keras.optimizers.Adam(rate))
    ```
    """

    def rate(self, images):
        share = images / self.decay_images
        return half_cosine(self.initial_learning_rate, self.final_learning_rate, share)


@keras.saving.register_keras_serializable("kgan")
class LinearOfImages(OfImages):
    """A learning rate that stays, and then goes straight to another: as CycleGAN's.

    Args:
        initial_learning_rate, final_learning_rate, decay_images: see `OfImages`.
        hold_images: int, images before the decay begins.

    Example:

    ```python
    rate = LinearOfImages(2e-4, 0.0, hold_images=100_000, decay_images=100_000)
    model.compile(g_optimizer=keras.optimizers.Adam(rate), d_optimizer=keras.optimizers.Adam(rate))
    ```
    """

    def __init__(
        self,
        initial_learning_rate: float,
        final_learning_rate: float,
        decay_images: int,
        hold_images: int = 0,
    ):
        super().__init__(initial_learning_rate, final_learning_rate, decay_images)
        self.hold_images = hold_images

    def rate(self, images):
        share = tf.clip_by_value((images - self.hold_images) / self.decay_images, 0.0, 1.0)
        start, stop = self.initial_learning_rate, self.final_learning_rate
        return start + (stop - start) * share

    def get_config(self) -> dict:
        return {**super().get_config(), "hold_images": self.hold_images}


_SCHEDULES = {
    **{
        name: getattr(keras.optimizers.schedules, name)
        for name in (
            *("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay"),
            *("PiecewiseConstantDecay", "PolynomialDecay"),
        )
    },
    "CosineOfImages": CosineOfImages,
    "LinearOfImages": LinearOfImages,
}


def bind(optimizer: keras.optimizers.Optimizer, images_seen) -> None:
    """Tells a schedule that counts images which those are.

    The optimizer gets a copy of it, for other models may have been given the same.

    Args:
        optimizer: of a model.
        images_seen: the variable in which the model counts them.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(inner._learning_rate, OfImages):
        inner._learning_rate = copy.copy(inner._learning_rate)
        inner._learning_rate.images_seen = images_seen


def rate_of(optimizer: keras.optimizers.Optimizer) -> float | dict:
    """An optimizer's learning rate as it is now; of a schedule what it is, in plain values."""
    rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return float(keras.ops.convert_to_numpy(rate))
    try:
        config = rate.get_config()
    except NotImplementedError:  # a user's, which need not have one
        config = {}
    return json.loads(json.dumps({"name": type(rate).__name__, **config}, default=str))


def checked(name: str, optimizer) -> keras.optimizers.Optimizer:
    """An optimizer of Keras, whose numbers a training can go on with.

    Args:
        name: of the argument, for the error.
        optimizer: the optimizer, its name, or its configuration.

    Raises:
        KganError: if it is none, or its rate or a moment is out of bounds.
    """
    try:
        optimizer = keras.optimizers.get(optimizer)
    except Exception as error:  # Keras' own, of several lines
        raise KganError(
            f"Expected {name} to be a Keras optimizer or the name of one. Received: "
            f"{short(optimizer)}: {error}"
        ) from None
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = rate_of(optimizer)
    if isinstance(rate, dict):
        values = {key: value for key, value in rate.items() if key in RATES}
        values["initial"] = float(inner._learning_rate(0))
    else:
        values = {"learning_rate": rate}
    for key, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                _RATE.check(f"{key} of {name}", item)
    for key, value in vars(inner).items():
        if key in _MOMENTS and value is not None:
            _MOMENT.check(f"{key} of {name}", value)
    return optimizer


def from_table(table: dict | None) -> keras.optimizers.Optimizer | None:
    """An optimizer from a recipe's table.

    Args:
        table: such as `{"name": "Adam", "learning_rate": 2e-4, "beta_1": 0.5}`, in which the
            learning rate may be a table of a schedule: `{"name": "CosineDecay", ...}`. None or
            empty for None, the paper's.

    Raises:
        KganError: if Keras has no such optimizer or schedule, or does not take the arguments.
    """
    if not table:
        return None
    config = dict(table)
    if isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = _construct(_SCHEDULES, config["learning_rate"])
    return _construct(_OPTIMIZERS, config)


def for_fine_tuning(
    table: dict | None, updates: int, images: int
) -> keras.optimizers.Optimizer | None:
    """An optimizer from a recipe's table, for a model that has been trained by that recipe.

    A new optimizer begins a schedule again. One that has run out began at rates that would undo
    what it has led to: a tenth of its highest rate takes its place, constant.

    Args:
        table: see `from_table`.
        updates: int, how many the model has seen. A schedule has run out if it gives them less
            than a tenth of its highest rate.
        images: int, how many the model has seen, which some schedules count.

    Raises:
        KganError: see `from_table`.
    """
    optimizer = from_table(table)
    schedule = optimizer and optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return optimizer
    low = 0.1 * float(schedule(getattr(schedule, "warmup_steps", 0)))
    now = schedule(images if isinstance(schedule, OfImages) else updates)
    return from_table({**table, "learning_rate": low}) if now < low else optimizer


def active_share(table: dict | None, updates: int, images: int) -> float:
    """The share of a training after which its rate stays below a hundredth of its highest.

    Args:
        table: see `from_table`.
        updates, images: how many there will be.

    Raises:
        KganError: see `from_table`.
    """
    optimizer = from_table(table)
    schedule = optimizer and optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return 1.0
    length = images if isinstance(schedule, OfImages) else updates
    rates = np.array([float(schedule(length * k // 100)) for k in range(100)])
    return float(np.flatnonzero(rates >= 0.01 * rates.max())[-1] + 1) / 100


def to_table(optimizer: keras.optimizers.Optimizer) -> dict:
    """The inverse of `from_table`; values at Keras' defaults are left out.

    Raises:
        KganError: if it is not one of Keras' own optimizers and schedules.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    config = _table(_OPTIMIZERS, optimizer)
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        config["learning_rate"] = _table(_SCHEDULES, schedule)
    elif "learning_rate" in config:  # a float32 variable: 2e-4 comes back as 0.00019999999
        config["learning_rate"] = float(str(np.float32(config["learning_rate"])))
    return config


def _construct(known, table):
    config = dict(table)
    name = config.pop("name", None)
    if not isinstance(name, str) or name not in known:
        raise KganError(f"Expected one of {', '.join(known)} in a recipe. Received: {short(name)}")
    _check_values(name, config)
    try:
        return known[name](**config)
    except Exception as error:  # Keras checks some values, and computes with others
        reason = " ".join(str(error).split())[:300]
        raise KganError(f"{name} in a recipe: {reason}. Received: {short(table)}") from None


def _check_values(name, config):
    """Raises KganError unless all are numbers, null, lists of numbers, or schedules."""
    plain = int | float | None | keras.optimizers.schedules.LearningRateSchedule
    for key, value in config.items():
        items = value if isinstance(value, list) and len(value) <= _MOST_PIECES else [value]
        if not all(isinstance(item, plain) for item in items):
            raise KganError(
                f"Expected {key} of {name} in a recipe to be a number. Received: {short(value)}"
            )


def _table(known, thing):
    kind = type(thing)
    if known.get(kind.__name__) is not kind:
        raise KganError(
            "Expected an optimizer and a schedule of Keras' own, which a preset can describe. "
            f"Received: {kind.__module__}.{kind.__name__}"
        )
    config = {k: v for k, v in thing.get_config().items() if v is not None and k != "name"}
    if isinstance(thing, keras.optimizers.Optimizer):
        defaults = kind().get_config()
        config = {
            key: value
            for key, value in config.items()
            if key == "learning_rate" or value != defaults.get(key)
        }
    _check_values(kind.__name__, {k: v for k, v in config.items() if k != "learning_rate"})
    return {"name": kind.__name__, **config}
