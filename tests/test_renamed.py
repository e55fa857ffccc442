"""kgan._renamed: old names work, and warn once of the new ones."""

import inspect

import pytest

from kgan._renamed import renamed_argument, renamed_attribute, renamed_option
from kgan.errors import KganError, KganWarning


@renamed_argument(fit="resize")
def _load(source, resize="crop"):
    return source, resize


def test_old_keyword_warns_once_where_it_is_used():
    with pytest.warns(KganWarning) as caught:
        assert _load("photos", fit="pad") == ("photos", "pad")
    (warning,) = caught
    assert str(warning.message) == "fit= is now resize=; the old name goes in the next version"
    assert warning.filename == __file__


@pytest.mark.filterwarnings("error")
def test_new_keyword_and_positions_do_not_warn():
    assert _load("photos", "pad") == _load("photos", resize="pad") == ("photos", "pad")
    assert _load("photos") == ("photos", "crop")
    assert list(inspect.signature(_load).parameters) == ["source", "resize"]


def test_both_keywords_are_refused():
    with pytest.raises(KganError, match="Expected resize=. Received: resize= and its old name"):
        _load("photos", fit="pad", resize="pad")


def test_old_attribute_warns_once():
    class Report:
        resize = "pad"
        fit = renamed_attribute("fit", "resize")

    with pytest.warns(KganWarning, match=r"^\.fit is now \.resize;") as caught:
        assert Report().fit == "pad"
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize(
    "args, expected",
    [
        (["--fit", "pad", "x"], ["--resize", "pad", "x"]),
        (["x", "--fit=pad"], ["x", "--resize=pad"]),
    ],
)
def test_old_option_warns_once(args, expected):
    with pytest.warns(KganWarning, match="^--fit is now --resize;") as caught:
        assert renamed_option(args, "--fit", "--resize") == expected
    assert len(caught) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("args", [[], ["--fitted"], ["fit", "--resize", "pad"]])
def test_other_arguments_are_left_alone(args):
    assert renamed_option(args, "--fit", "--resize") == args
