"""Checks of values that several places share. Imports no TensorFlow."""

from collections.abc import Sequence
from numbers import Real

from kgan import plain
from kgan.errors import KganError

WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box that is all of a picture


def check_box(box: Sequence[float] | None) -> tuple[float, float, float, float]:
    """Returns a box of a picture as (left, top, right, bottom); all of it if there is none.

    Args:
        box: four numbers in fractions of the width and height, or None.

    Raises:
        KganError: unless the box has an inside, which lies in the picture.

    Example:

    >>> check_box([0.25, 0, 0.75, 1])
    (0.25, 0.0, 0.75, 1.0)
    """
    if box is None:
        return WHOLE
    are_numbers = (
        isinstance(box, list | tuple)
        and len(box) == 4
        and all(isinstance(number, Real) and type(number) is not bool for number in box)
    )
    if are_numbers and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1:
        return tuple(map(float, box))
    hint = "; divide pixels by the width and height" if are_numbers and max(box) > 1 else ""
    raise KganError(
        "Expected box = [left, top, right, bottom] in fractions of the picture, from 0 to 1, left "
        f"before right and top before bottom. Received: {plain.short(box)}{hint}"
    )
