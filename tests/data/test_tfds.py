"""kgan.data.tfds: names of data sets, and which examples a split has."""

from types import SimpleNamespace

import pytest

from kgan.data import tfds
from kgan.errors import KganError

# What of a builder is looked at.
SPLITS = {name: SimpleNamespace(num_examples=n) for name, n in (("train", 60), ("test", 10))}
MNIST = SimpleNamespace(name="mnist", info=SimpleNamespace(splits=SPLITS))


def test_names_are_text_that_begins_with_tfds():
    assert tfds.is_name("tfds:mnist") and not tfds.is_name("mnist") and not tfds.is_name(None)


def test_a_split_in_the_name_goes_before_another():
    assert tfds.split_name("tfds:mnist", "train") == ("mnist", "train")
    assert tfds.split_name("tfds:a/b:1.0#test[:5]", "train") == ("a/b:1.0", "test[:5]")


@pytest.mark.parametrize(
    "split, expected",
    [
        ("train", [("train", 0, 60)]),
        ("train[:50]", [("train", 0, 50)]),
        ("train[:0]", [("train", 0, 0)]),
        ("train[-10:]", [("train", 50, 60)]),
        ("train[50%:]+test", [("train", 30, 60), ("test", 0, 10)]),
    ],
)
def test_ranges_of_a_split(split, expected):
    assert tfds.ranges(MNIST, split) == expected


@pytest.mark.parametrize("split", ["validation", "train[a:]"])
def test_no_such_split(split):
    with pytest.raises(KganError, match="a split of tfds:mnist, which has train, test. Received"):
        tfds.ranges(MNIST, split)


def test_the_files_of_a_split_are_those_of_its_parts_by_version():
    splits = {
        name: SimpleNamespace(
            num_examples=10,
            filepaths=[f"/there/x/1.0.0/x-{name}.tfrecord-0000{i}-of-00002" for i in range(2)],
        )
        for name in ("train", "test")
    }
    found = SimpleNamespace(name="x", info=SimpleNamespace(splits=splits, full_name="x/1.0.0"))
    assert tfds.files(found, "test[:5]+test[7:]") == {
        f"x/1.0.0/x-test.tfrecord-0000{i}-of-00002": path
        for i, path in enumerate(splits["test"].filepaths)
    }
    assert len(tfds.files(found, "train+test[:3]")) == 4
