"""Learning rate schedules as recipes hold them, fitted to a training of another length."""

from typing import Any

# The arguments of Keras' schedules, and of `OfImages`, that count steps or images, and those that
# are rates. All others are factors, or rates of decay over so many steps.
IMAGES = ("decay_images", "hold_images")
LENGTHS = ("decay_steps", "first_decay_steps", "warmup_steps", "boundaries", *IMAGES)
RATES = (
    "initial_learning_rate",
    "warmup_target",
    "end_learning_rate",
    "final_learning_rate",
    "values",
)


def stretched(table: dict[str, Any], updates: float = 1.0, images: float = 1.0) -> dict[str, Any]:
    """An optimizer's table whose schedule, if it has one, takes another time.

    Args:
        table: see `kgan.recipe.optimizers.from_table`.
        updates: how many times as many updates there will be.
        images: how many times as many images, for a schedule that counts these.

    Example:

    >>> rate = {"name": "CosineDecay", "initial_learning_rate": 1e-3, "decay_steps": 100}
    >>> stretched({"name": "Adam", "learning_rate": rate}, updates=0.5)["learning_rate"]
    {'name': 'CosineDecay', 'initial_learning_rate': 0.001, 'decay_steps': 50}
    """

    def longer(key, value):
        new = round(value * (images if key in IMAGES else updates))
        return max(1, new) if value else value  # 0, which is none, stays 0

    return _changed(table, LENGTHS, longer)


def lowered(table: dict[str, Any], factor: float) -> dict[str, Any]:
    """An optimizer's table all rates of whose schedule, if it has one, are multiplied.

    Args:
        table: see `kgan.recipe.optimizers.from_table`.
        factor: float.
    """
    return _changed(table, RATES, lambda key, rate: float(f"{rate * factor:.6g}"))


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The arguments of a schedule that differ, with the old and the new value."""
    old, new = (table.get("learning_rate") for table in (before, after))
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return []
    return [(key, old[key], new[key]) for key in new if old[key] != new[key]]


def _changed(table, keys, change):
    schedule = table.get("learning_rate")
    if not isinstance(schedule, dict):
        return dict(table)
    schedule = dict(schedule)
    for key in keys:
        value = schedule.get(key)
        if isinstance(value, list):
            schedule[key] = [change(key, item) for item in value]
        elif type(value) in (int, float):
            schedule[key] = change(key, value)
    return {**table, "learning_rate": schedule}
