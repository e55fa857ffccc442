"""kgan.checks: values that several places share."""

import pytest

from kgan.checks import WHOLE, check_box
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
