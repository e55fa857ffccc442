"""Optimizers as recipes hold them: tables of plain values."""

import keras
import numpy as np

from kgan.errors import KganError, short

_OPTIMIZERS = {
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion"),
    *("Muon", "Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW"),
}
_SCHEDULES = {
    *("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay"),
    *("PiecewiseConstantDecay", "PolynomialDecay"),
}
_MOST_PIECES = 1000  # of a piecewise constant schedule


def with_loss_scale(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Wraps an optimizer for mixed_float16, as Keras does with its own one."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


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
        config["learning_rate"] = _construct(
            keras.optimizers.schedules, _SCHEDULES, config["learning_rate"]
        )
    return _construct(keras.optimizers, _OPTIMIZERS, config)


def to_train_on(table: dict | None, updates: int) -> keras.optimizers.Optimizer | None:
    """An optimizer from a recipe's table, for a model that has been trained by that recipe.

    A new optimizer begins a schedule again. One that has run out began at rates that would undo
    what it has led to: a tenth of its highest rate takes its place, constant.

    Args:
        table: see `from_table`.
        updates: int, how many the model has seen. A schedule has run out if it gives them less
            than a tenth of its highest rate.

    Raises:
        KganError: see `from_table`.
    """
    optimizer = from_table(table)
    schedule = optimizer and optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return optimizer
    low = 0.1 * float(schedule(getattr(schedule, "warmup_steps", 0)))
    return from_table({**table, "learning_rate": low}) if schedule(updates) < low else optimizer


def to_table(optimizer: keras.optimizers.Optimizer) -> dict:
    """The inverse of `from_table`; values at Keras' defaults are left out.

    Raises:
        KganError: if it is not one of Keras' own optimizers and schedules.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    config = _table(keras.optimizers, _OPTIMIZERS, optimizer)
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        config["learning_rate"] = _table(keras.optimizers.schedules, _SCHEDULES, schedule)
    elif "learning_rate" in config:  # a float32 variable: 2e-4 comes back as 0.00019999999
        config["learning_rate"] = float(str(np.float32(config["learning_rate"])))
    return config


def _construct(module, known, table):
    config = dict(table)
    name = config.pop("name", None)
    if not isinstance(name, str) or name not in known:
        raise KganError(
            f"Expected a class of {module.__name__} in a recipe. Received: {short(name)}"
        )
    _check_values(name, config)
    try:
        return getattr(module, name)(**config)
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


def _table(module, known, thing):
    kind = type(thing)
    if getattr(module, kind.__name__, None) is not kind or kind.__name__ not in known:
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
