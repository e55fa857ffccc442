"""kgan.data.tfds: names of data sets, and which examples a split has."""

import socket
from types import SimpleNamespace

import pytest

import kgan
from kgan.data import tfds
from kgan.errors import KganError, KganWarning

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


@pytest.mark.parametrize(
    "name", ["no_such", "", "a b", "../x", "mnist:9.9.9", "mnist:x", "mnist/no", "glue", "\x1b[2J"]
)
def test_errors_of_tfds_are_one_line(name, tmp_path):
    with pytest.raises(KganError, match="Expected a TFDS dataset") as refused:
        tfds.builder(name, tmp_path)
    assert str(refused.value).isprintable() and "Received: tfds:" in str(refused.value)


@pytest.mark.parametrize("split", ["train[:0]", "train[10:5]"])
def test_a_split_of_nothing(data_dir, split):
    with pytest.raises(KganError, match=r"a split with images. Received: tfds:mnist#train"):
        kgan.data.load("tfds:mnist", (28, 28, 1), split, data_dir=data_dir)


def test_what_is_not_prepared_without_a_network_is_said_at_once(tmp_path, monkeypatch):
    def unknown(*args):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    builder = tfds.builder("mnist", tmp_path)
    with pytest.raises(KganError, match="tfds:mnist in .*or to be able to.*Name or service not"):
        tfds.prepare(builder)
    monkeypatch.setenv("KGAN_OFFLINE", "1")
    with pytest.raises(KganError, match="KGAN_OFFLINE is set"):
        tfds.prepare(builder)


def test_a_directory_that_is_not_there_is_said_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "typo"))
    with pytest.warns(KganWarning, match="^KGAN_DATA_DIR names .*typo, which is not there"):
        tfds.builder("mnist")
    monkeypatch.setenv("KGAN_DATA_DIR", "")  # as if it were not set, rather than here
    assert tfds.builder("mnist").data_dir_root != "."


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
