"""Schedules fitted to a training of another length."""

import numpy as np
import pytest

from kgan.recipe import optimizers
from kgan.recipe.schedules import LENGTHS, RATES, changes, lowered, stretched

SCHEDULES = [
    {"name": "CosineDecay", "initial_learning_rate": 1e-3, "decay_steps": 100, "alpha": 0.1},
    {
        "name": "CosineDecay",
        "initial_learning_rate": 0.0,
        "warmup_target": 1e-3,
        "warmup_steps": 20,
        "decay_steps": 80,
    },
    {"name": "CosineDecayRestarts", "initial_learning_rate": 1e-3, "first_decay_steps": 40},
    {
        "name": "ExponentialDecay",
        "initial_learning_rate": 1e-3,
        "decay_steps": 50,
        "decay_rate": 0.5,
    },
    {
        "name": "InverseTimeDecay",
        "initial_learning_rate": 1e-3,
        "decay_steps": 50,
        "decay_rate": 0.5,
    },
    {"name": "PiecewiseConstantDecay", "boundaries": [30, 60], "values": [1e-3, 5e-4, 1e-4]},
    {
        "name": "PolynomialDecay",
        "initial_learning_rate": 1e-3,
        "end_learning_rate": 1e-4,
        "decay_steps": 100,
    },
    {
        "name": "CosineOfImages",
        "initial_learning_rate": 1e-3,
        "final_learning_rate": 1e-4,
        "decay_images": 100,
    },
    {
        "name": "LinearOfImages",
        "initial_learning_rate": 1e-3,
        "final_learning_rate": 1e-4,
        "hold_images": 40,
        "decay_images": 60,
    },
]


def rates(table, steps):
    schedule = optimizers.from_table(table)._learning_rate
    return np.array([float(schedule(step)) for step in steps])


def table(schedule):
    return {"name": "Adam", "beta_1": 0.5, "learning_rate": schedule}


def test_every_schedule_of_recipes_is_here():
    assert {schedule["name"] for schedule in SCHEDULES} == set(optimizers._SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["name"])
@pytest.mark.parametrize("factor", [0.5, 3])
def test_stretched_is_the_same_curve_over_another_length(schedule, factor):
    """Compared with Keras' own curve, at the same shares of the way."""
    after = stretched(table(schedule), updates=factor, images=factor)
    shares = np.arange(0, 110, 10)
    np.testing.assert_allclose(
        rates(after, shares * factor), rates(table(schedule), shares), rtol=1e-5
    )
    assert after["beta_1"] == 0.5


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["name"])
def test_lowered_is_the_same_curve_at_a_tenth(schedule):
    steps = np.arange(0, 110, 10)
    after = lowered(table(schedule), 0.1)
    np.testing.assert_allclose(
        rates(after, steps), 0.1 * rates(table(schedule), steps), rtol=1e-5, atol=1e-12
    )


def test_a_linear_rate_stays_and_then_falls():
    """CycleGAN's: constant for half of the training, then along a line to 0."""
    half = {"hold_images": 50, "decay_images": 50, "final_learning_rate": 0.0}
    received = rates(table({**SCHEDULES[-1], **half}), [0, 50, 60, 75, 100, 150])
    np.testing.assert_allclose(received, [1e-3, 1e-3, 8e-4, 5e-4, 0, 0], atol=1e-9)


def test_a_constant_rate_stays():
    constant = {"name": "SGD", "learning_rate": 0.1}
    assert stretched(constant, 2.0, 2.0) == lowered(constant, 0.1) == constant


def test_nothing_is_written_into_what_is_given():
    before = table({"name": "PiecewiseConstantDecay", "boundaries": [3], "values": [1e-3, 0.0]})
    copy = table({"name": "PiecewiseConstantDecay", "boundaries": [3], "values": [1e-3, 0.0]})
    lowered(stretched(before, 2.0), 0.1)
    assert before == copy


def test_no_length_is_0():
    short = stretched(table(SCHEDULES[0]), updates=1e-6)
    assert short["learning_rate"]["decay_steps"] == 1


def test_no_steps_at_first_stay_none():
    rate = {"name": "LinearOfImages", "hold_images": 0, "decay_images": 10}
    made = stretched({"learning_rate": rate}, images=5.0)["learning_rate"]
    assert made == {**rate, "decay_images": 50}


def test_steps_and_images_are_told_apart():
    assert stretched(table(SCHEDULES[0]), 2.0, 5.0)["learning_rate"]["decay_steps"] == 200
    after = stretched(table(SCHEDULES[-1]), 2.0, 5.0)["learning_rate"]
    assert (after["hold_images"], after["decay_images"]) == (200, 300)


def test_changes_name_what_differs():
    before = table(SCHEDULES[0])
    assert changes(before, stretched(before, 2.0)) == [("decay_steps", 100, 200)]
    assert changes(before, before) == changes({}, {}) == []


def test_names_are_arguments_of_schedules():
    taken = {key for schedule in SCHEDULES for key in schedule}
    assert set(LENGTHS) | set(RATES) <= taken


@pytest.mark.parametrize(
    "schedule, share",
    [
        (SCHEDULES[0], 1.0),  # down to a tenth
        ({**SCHEDULES[0], "alpha": 0.0, "decay_steps": 50}, 0.47),  # (1 + cos 0.94 π) / 2 = 0.009
        ({"name": "PiecewiseConstantDecay", "boundaries": [29], "values": [1e-3, 1e-6]}, 0.3),
        (1e-3, 1.0),
    ],
)
def test_active_share(schedule, share):
    assert optimizers.active_share(table(schedule), 100, 100) == pytest.approx(share, abs=0.011)
