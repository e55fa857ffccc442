"""Lists of seeds on the command line, there and back."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgan.cli.seeds import MOST_SEEDS, Seeds, seeds_text

SEEDS = st.lists(st.integers(0, 30) | st.integers(0, 2**64 - 1), min_size=1, max_size=40)


@given(SEEDS)
def test_what_is_written_is_read_as_the_same_seeds(seeds):
    assert Seeds().convert(seeds_text(seeds), None, None) == seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", [7]),
        ("0-3", [0, 1, 2, 3]),
        (" 0 - 2 , 9,5 ", [0, 1, 2, 9, 5]),
        ("4,4", [4, 4]),
        (f"{2**64 - 1}", [2**64 - 1]),
        (f"1-{MOST_SEEDS}", list(range(1, MOST_SEEDS + 1))),
    ],
)
def test_texts(text, seeds):
    assert Seeds().convert(text, None, None) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "a", "1,", "3-1", "-1", "1-2-3", "1.5", f"{2**64}", "0-18446744073709551616"]
)
def test_what_are_no_seeds(text):
    with pytest.raises(click.BadParameter, match="Expected seeds, such as 0-5,9. Received: "):
        Seeds().convert(text, None, None)


@pytest.mark.parametrize("text", [f"0-{MOST_SEEDS}", f"0-{2**64 - 1}", "0-599,0-599"])
def test_more_than_any_verb_takes(text):
    with pytest.raises(click.BadParameter, match="Expected at most 1,000 seeds. Received: "):
        Seeds().convert(text, None, None)
