"""kgan.checks: values that several places share."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.checks import SEED, WHOLE, as_array, check_box, or_none
from kgan.errors import KganError


def test_no_box_is_all_of_the_picture():
    assert check_box(None) == WHOLE == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("box", [[0, 0.25, 1, 0.5], (0.1, 0.2, 0.3, 0.4), [0, 0, 1, 1]])
def test_box_comes_back_as_floats(box):
    checked = check_box(box)
    assert checked == tuple(box) and all(type(number) is float for number in checked)


@pytest.mark.parametrize(
    "box",
    [
        *([], [0, 0, 1], [0, 0, 1, 1, 1], "0,0,1,1", 0.5, {"left": 0}, [0, 0, "1", 1]),
        *([0, 0, True, 1], [0.5, 0, 0.5, 1], [0.6, 0, 0.5, 1], [0, 0.6, 1, 0.5], [-0.1, 0, 1, 1]),
        *([0, 0, 1, 1.001], [float("nan"), 0, 1, 1]),
    ],
    ids=str,
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(KganError, match=r"^Expected box = \[left, top, .*Received: .*"):
        check_box(box)


def test_pixels_get_a_hint():
    with pytest.raises(KganError, match=r"\[15, 40, 163, 188\]; divide pixels by"):
        check_box([15, 40, 163, 188])


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_ints_are_pythons(kind):
    assert type(or_none(SEED).check("seed", kind(3))) is int


def test_bfloat16_is_a_number():
    """Of models in mixed_bfloat16; NumPy has no kind for it."""
    array = as_array("real", tf.constant([1.5, 2.0], tf.bfloat16), "numbers")
    assert array.dtype == np.float32 and array.tolist() == [1.5, 2.0]
    with pytest.raises(KganError, match="dtype bfloat16"):
        as_array("labels", tf.constant([1.5], tf.bfloat16), "ints", "iu")
