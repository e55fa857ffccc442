"""Optimizers as recipes hold them: tables of plain values."""

import keras
import numpy as np

from kgan.errors import KganError


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
            keras.optimizers.schedules,
            keras.optimizers.schedules.LearningRateSchedule,
            config["learning_rate"],
        )
    return _construct(keras.optimizers, keras.optimizers.Optimizer, config)


def to_table(optimizer: keras.optimizers.Optimizer) -> dict:
    """The inverse of `from_table`; values at Keras' defaults are left out.

    Raises:
        KganError: if it is not one of Keras' own optimizers and schedules.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    config = _table(keras.optimizers, optimizer)
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        config["learning_rate"] = _table(keras.optimizers.schedules, schedule)
    elif "learning_rate" in config:  # a float32 variable: 2e-4 comes back as 0.00019999999
        config["learning_rate"] = float(str(np.float32(config["learning_rate"])))
    return config


def _construct(module, base, table):
    config = dict(table)
    name = config.pop("name", None)
    kind = getattr(module, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise KganError(f"Expected a class of {module.__name__} in a recipe. Received: {table!r}")
    try:
        return kind(**config)
    except (TypeError, ValueError) as error:
        raise KganError(f"{name} in a recipe: {error}. Received: {table!r}") from None


def _table(module, thing):
    kind = type(thing)
    if getattr(module, kind.__name__, None) is not kind:
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
    return {"name": kind.__name__, **config}
