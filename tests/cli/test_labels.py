"""kgan.cli.labels: a class is known by its name."""

import unicodedata

import click
import pytest

from kgan.cli.labels import labels_text, parse_labels
from kgan.errors import KganError

FOLDERS = ["1", "10", "11", "2", "3"]  # in the order of a listing
LETTERS = ["A", "B", "a", "b"]
COMMAS = ["cat", "cat, black", "dog", '5" disc', "a-c", " x"]


def parse(text, names, count=None):
    return parse_labels(
        text, {"name": "m", "num_classes": count or len(names), "class_names": names}
    )


@pytest.mark.parametrize(
    "names, text, classes",
    [
        (FOLDERS, "1", [0]),
        (FOLDERS, "1-1", [0]),
        (FOLDERS, "1-3", [0, 3, 4]),
        (FOLDERS, "2 - 11", [3, 4, 1, 2]),  # those that there are, in their order
        (FOLDERS, "11,1", [2, 0]),
        (["01", "02", "03"], "1", [0]),
        (["01", "02", "03"], "02-03", [1, 2]),
        (["1990s", "2", "x"], "2", [1]),
        (LETTERS, "A", [0]),
        (LETTERS, "a", [2]),
        (LETTERS, "a,A,b", [2, 0, 3]),
        (LETTERS, "1", [1]),
        (["Coat", "Bag"], "coat", [0]),
        (["Straße", "x"], "STRASSE", [0]),
        ([unicodedata.normalize("NFD", "Café")], unicodedata.normalize("NFC", "café"), [0]),
        (COMMAS, "cat, black", [1]),
        (COMMAS, '"cat, black",dog', [1, 2]),
        (COMMAS, 'dog, "cat, black"', [2, 1]),
        (COMMAS, '5" disc,cat', [3, 0]),
        (COMMAS, "a-c", [4]),
        (COMMAS, " x", [5]),
        (COMMAS, "x", None),  # that is no name
        (COMMAS, "0-2", [0, 1, 2]),
        (["a", "b", "a,b"], "a,b", [2]),
        (["a", "b", "a,b"], '"a",b', [0, 1]),
        (["1-3", "1", "2", "3"], "1-3", [0]),
        (["1-3", "1", "2", "3"], "1-2", [1, 2]),
        ([], "0-2,1", [0, 1, 2, 1]),
    ],
)
def test_names(names, text, classes):
    if classes is None:
        with pytest.raises(click.UsageError):
            parse(text, names)
    else:
        assert parse(text, names, 3 if not names else None) == classes


@pytest.mark.parametrize(
    "names, text, message",
    [
        (FOLDERS, "4", "among 1, 10, 11, 2, 3. Received: --labels 4$"),
        (FOLDERS, "0", "Expected --labels among"),
        (FOLDERS, "1-4", "Received: --labels 1-4"),
        (FOLDERS, "3-1", "Received: --labels 3-1"),
        (["1", "cat"], "0", "among 1, cat"),
        (["cat", "Cat", "dog"], "CAT", "did you mean cat or Cat"),
        (["sneaker", "coat"], "sneeker,coat", "of which sneeker is none; did you mean sneaker"),
        (COMMAS, "dog,cat black", '"cat, black"'),
        (COMMAS, '"dog', "from 0 to 5 or among"),
        (["x", "x"], "x", "did you mean x or x"),
        (["a"], "a,", "Received: --labels a,"),
        (["a"], "\u0661", "from 0 to 0"),
        ([f"n{i}" for i in range(100)], "q", "n39 and 60 more"),
    ],
)
def test_what_names_no_class_is_refused_with_the_list(names, text, message):
    with pytest.raises(click.UsageError, match=message):
        parse(text, names)


@pytest.mark.parametrize("names", [FOLDERS, LETTERS, COMMAS, ["0", "x", "1", "0"], ["a", "\u00ad"]])
def test_text_of_classes_means_them(names):
    """Of every class, of all, of some twice; of classes that share a name there is none."""
    metadata = {"name": "m", "num_classes": len(names), "class_names": names}
    everyone = [*range(len(names))]
    for classes in (*([place] for place in everyone), everyone, everyone[::-1], [0, 0], [1, 0, 1]):
        if any(names.count(names[place]) > 1 for place in classes):
            continue
        text = labels_text(classes, metadata)
        assert text.isprintable() and parse_labels(text, metadata) == classes


def test_text_of_classes_of_an_unknown_preset():
    assert labels_text([3], None) == "3"
    assert labels_text([3, 4, 5], None) == "3-5"
    assert labels_text([5, 3], None) == "5,3"


@pytest.mark.parametrize("metadata", [{"num_classes": 2}, {"num_classes": None}])
def test_classes_that_a_preset_has_not(metadata):
    with pytest.raises(KganError, match=r"Expected labels that m has. Received: \[1, 2\]"):
        labels_text([1, 2], {"name": "m", "class_names": None, **metadata})
