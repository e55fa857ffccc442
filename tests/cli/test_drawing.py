"""What the verbs have in common that draw pictures."""

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgan.cli import drawing


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 4))
def test_the_fewest_classes_deal_the_same_labels(classes, each):
    labels = drawing.dealt(classes, each * len(classes))
    found = drawing.classes_in({"labels": labels})
    assert drawing.dealt(found, len(labels)) == labels
    assert len(found) <= len(classes)


def test_without_labels_there_are_none():
    assert drawing.classes_in({}) is None and drawing.dealt(None, 5) is None


def test_labels_that_cannot_be_dealt():
    with pytest.raises(click.UsageError, match="multiple of 3, the number of --labels.*-n 7"):
        drawing.dealt([0, 1, 2], 7)


@pytest.mark.parametrize("number", [1, 5, 6])
@pytest.mark.parametrize("facts", [{}, {"scale": 3, "resample": "nearest"}])
def test_sizes_are_those_of_what_is_drawn(number, facts):
    pictures = np.zeros((number, 4, 6, 3), np.uint8)
    width, height = drawing.sheet_size((4, 6, 3), number, 3, facts)
    assert drawing.sheet(pictures, 3, facts).shape == (height, width, 3)
    width, height = drawing.picture_size((4, 6, 3), facts)
    assert drawing.enlarged(pictures, facts).shape == (number, height, width, 3)
