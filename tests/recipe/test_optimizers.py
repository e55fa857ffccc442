"""Optimizers as tables of recipes."""

import re

import keras
import numpy as np
import pytest

from kgan.errors import KganError
from kgan.recipe import optimizers
from kgan.recipe.optimizers import CosineOfImages

TABLES = [
    {"name": "Adam", "learning_rate": 2e-4, "beta_1": 0.5},
    {"name": "SGD", "learning_rate": 0.1, "momentum": 0.5},
    {
        "name": "AdamW",
        "learning_rate": {
            "name": "PiecewiseConstantDecay",
            "boundaries": [10, 20],
            "values": [0.1, 0.2, 0.3],
        },
    },
    {
        "name": "Adam",
        "learning_rate": {
            "name": "PolynomialDecay",
            "initial_learning_rate": 2e-4,
            "decay_steps": 100,
            "end_learning_rate": 0.0,
            "power": 1.0,
            "cycle": False,
        },
    },
]


@pytest.mark.parametrize("table", TABLES)
def test_table_to_optimizer_and_back(table):
    optimizer = optimizers.from_table(table)
    assert optimizers.to_table(optimizer) == table


def test_schedule_is_followed():
    optimizer = optimizers.from_table(TABLES[3])
    np.testing.assert_allclose(float(optimizer._learning_rate(50)), 1e-4, rtol=1e-6)


def test_nothing_means_the_papers():
    assert optimizers.from_table({}) is None
    assert optimizers.from_table(None) is None


COSINE = {"name": "CosineDecay", "initial_learning_rate": 1e-3, "decay_steps": 100}
WARMED_UP = {
    "name": "CosineDecay",
    "initial_learning_rate": 0.0,
    "decay_steps": 90,
    "warmup_target": 2e-3,
    "warmup_steps": 10,
}


@pytest.mark.parametrize(
    "schedule, updates, rate",
    [
        (TABLES[3]["learning_rate"], 99, 2e-5),
        (COSINE, 100, 1e-4),
        (COSINE, 1_000_000, 1e-4),
        (COSINE, 81, 1e-4),  # cos² of 0.405 π: 0.086
        (WARMED_UP, 100, 2e-4),
    ],
)
def test_a_schedule_that_has_run_out_becomes_a_tenth(schedule, updates, rate):
    table = {"name": "Adam", "beta_1": 0.0, "learning_rate": schedule}
    received = optimizers.to_table(optimizers.for_fine_tuning(table, updates, 0))
    assert received.pop("learning_rate") == pytest.approx(rate, rel=1e-6)
    assert received == {"name": "Adam", "beta_1": 0.0}


@pytest.mark.parametrize(
    "schedule, updates",
    [
        (COSINE, 0),
        (COSINE, 79),  # cos² of 0.395 π: 0.105
        (WARMED_UP, 80),
        (TABLES[2]["learning_rate"], 30),
        (2e-4, 10_000),
    ],
)
def test_other_rates_are_begun_again(schedule, updates):
    table = {"name": "Adam", "learning_rate": schedule}
    again = optimizers.for_fine_tuning(table, updates, 0)
    expected = optimizers.to_table(optimizers.from_table(table))
    assert optimizers.to_table(again) == expected


def test_trained_on_with_the_papers():
    assert optimizers.for_fine_tuning({}, 100, 6400) is None
    assert optimizers.for_fine_tuning(None, 100, 6400) is None


# The last class that there is: Keras 3.10 has no ScheduleFreeAdamW.
LAST = "ScheduleFreeAdamW" if hasattr(keras.optimizers, "ScheduleFreeAdamW") else "SGD"
CLASS = f"{LAST} in a recipe. Received: "
SCHEDULE = "LinearOfImages in a recipe. Received: "


def number(name, received):
    return f"Expected {name} in a recipe to be a number. Received: {received}"


@pytest.mark.parametrize(
    "table, message",
    [
        ({"name": "Adm"}, CLASS + "'Adm'"),
        ({"name": "deserialize"}, CLASS + "'deserialize'"),
        ({"learning_rate": 1.0}, CLASS + "None"),
        ({"name": ["Adam"]}, CLASS + "['Adam']"),
        ({"name": "Optimizer"}, CLASS + "'Optimizer'"),
        (
            {"name": "LossScaleOptimizer", "inner_optimizer": {"name": "Adam"}},
            CLASS + "'LossScaleOptimizer'",
        ),
        ({"name": "MultiOptimizer"}, CLASS + "'MultiOptimizer'"),
        ({"name": "Adam", "learning_rate": {"name": "Adam"}}, SCHEDULE + "'Adam'"),
        (
            {"name": "Adam", "learning_rate": {"name": {"name": "CosineDecay"}}},
            SCHEDULE + "{'name': 'CosineDecay'}",
        ),
        ({"name": "Adam", "beta": 1}, "Adam in a recipe: Argument(s) not recognized: {'beta': 1}"),
        (
            {"name": "Adam", "gradient_accumulation_steps": -1},
            "Adam in a recipe: `gradient_accumulation_steps` must be an integer >= 2",
        ),
        ({"name": "Adam", "beta_1": "0.5"}, number("beta_1 of Adam", "'0.5'")),
        (
            {"name": "Adam", "epsilon": {"class_name": "Mine", "config": {}}},
            number("epsilon of Adam", "{'class_name': 'Mine', 'config': {}}"),
        ),
        (
            {"name": "Adam", "learning_rate": {"name": "CosineDecay", "decay_steps": "x"}},
            number("decay_steps of CosineDecay", "'x'"),
        ),
        (
            {"name": "Muon", "exclude_layers": ["(a+)+$"]},
            number("exclude_layers of Muon", "['(a+)+$']"),
        ),
        ({"name": "SGD", "momentum": [0.5] * 10_000}, number("momentum of SGD", "[0.5, 0.5, ")),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_refused(table, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        optimizers.from_table(table)
    assert len(str(raised.value)) < 300


def test_optimizers_that_a_preset_cannot_describe_are_refused():
    class Mine(keras.optimizers.SGD):
        pass

    with pytest.raises(ValueError, match="Keras' own.*Received.*Mine"):
        optimizers.to_table(Mine())
    with pytest.raises(ValueError, match="exclude_layers of Muon .* a number. Received"):
        optimizers.to_table(keras.optimizers.Muon(exclude_layers=["x"]))


def _decay(**arguments):
    return keras.optimizers.schedules.CosineDecay(**{"decay_steps": 100, **arguments})


@pytest.mark.parametrize(
    "optimizer, message",
    [
        *(
            (
                (lambda rate=rate: keras.optimizers.Adam(rate)),
                "learning_rate of g_optimizer to be a",
            )
            for rate in (-1e-3, float("nan"), float("inf"), 1e30, 101.0)
        ),
        (
            lambda: keras.optimizers.Adam(_decay(initial_learning_rate=-0.1)),
            "initial_learning_rate",
        ),
        (lambda: keras.optimizers.SGD(_decay(initial_learning_rate=float("nan"))), "initial"),
        (lambda: keras.optimizers.SGD(CosineOfImages(1e-3, -1e-3, 100)), "final_learning_rate"),
        (lambda: keras.optimizers.SGD(CosineOfImages(1e-3, 1e-3, 0)), "initial of g_optimizer"),
        (lambda: keras.optimizers.Adam(1e-3, beta_1=1.5), "beta_1 of g_optimizer"),
        (lambda: keras.optimizers.Adam(1e-3, beta_2=float("nan")), "beta_2 of g_optimizer"),
        (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(-1.0)), "learning_rate"),
        *((lambda value=value: value, "a Keras optimizer or the name") for value in ("no", 3, [])),
    ],
)
def test_numbers_no_training_goes_on_with(optimizer, message):
    with pytest.raises(KganError, match=f"Expected .*{message}.*Received: "):
        optimizers.checked("g_optimizer", optimizer())


def test_sound_optimizers_come_back():
    for optimizer in (
        "adam",
        "adafactor",  # whose `beta_2_decay` is below 0
        keras.optimizers.SGD(0.0),
        keras.optimizers.Adam(_decay(initial_learning_rate=0.1)),
    ):
        assert isinstance(optimizers.checked("g_optimizer", optimizer), keras.optimizers.Optimizer)
