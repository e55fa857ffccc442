"""Which precision a recipe is trained in fastest, found by a short measurement."""

import time
from dataclasses import replace

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import numpy as np
import tensorflow as tf

from kgan import workers
from kgan.errors import say
from kgan.models.base.adversarial import AdversarialModel
from kgan.pipelines import same_everywhere
from kgan.recipe import Recipe
from kgan.zoo import building

AUTO = "auto"
WORTH = 1.1  # times the speed of float32: below it nothing is given up for speed
ROUNDS, SECONDS = 3, 1.5  # of each candidate's turns


def fastest(recipe: Recipe, batch: tuple, strategy: tf.distribute.Strategy) -> str:
    """The precision in which steps take least time, unless float32 is nearly as fast; says so.

    Each candidate trains a model of its own for a few seconds, in turns. mixed_float16 is one on
    GPUs alone: processors compute it by detours.

    Args:
        recipe: what is to be trained.
        batch: of its data, as `fit` takes it.
        strategy: of the devices to train on, whose chief decides.

    Returns:
        One of `kgan.recipe.PRECISIONS`.
    """
    candidates = ["float32", "mixed_bfloat16"]
    if tf.config.list_physical_devices("GPU"):
        candidates.append("mixed_float16")
    chief = workers.is_chief(strategy)
    if chief:
        say(f"--precision auto: measuring the speed of {', '.join(candidates)}", err=True)
    with strategy.scope():
        models = [building.build(replace(recipe, precision=name)) for name in candidates]
    steps = [_steps(model, batch) for model in models]
    steps = workers.from_chief(strategy, lambda: steps)
    turns = [
        [_rate(*some, batch) for some in zip(models, steps, strict=True)] for _ in range(ROUNDS)
    ]
    rates = np.median(turns, axis=0) * recipe.batch_size
    best = int(np.argmax(rates))
    best = workers.from_chief(strategy, lambda: best if rates[best] >= WORTH * rates[0] else 0)
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in zip(candidates, rates, strict=True))
    if chief:
        say(f"--precision auto: {candidates[best]} (images/s: {told})", err=True)
    return candidates[best]


def _steps(model: AdversarialModel, batch) -> int:
    """Steps that take `SECONDS`, once the first have traced the step."""
    _rate(model, 2, batch)
    return max(1, round(SECONDS * _rate(model, 3, batch)))


def _rate(model: AdversarialModel, steps: int, batch) -> float:
    """Steps a second."""
    dataset = same_everywhere(tf.data.Dataset.from_tensors(batch).repeat(steps))
    begun = time.perf_counter()
    model.fit(dataset, verbose=0)
    return steps / (time.perf_counter() - begun)
