"""kgan.untrusted.weights: weights without the HDF5 library."""

import random
from struct import pack

import h5py
import numpy as np
import pytest

from kgan.errors import KganError
from kgan.untrusted import weights
from kgan.zoo.metadata import WEIGHTS
from untrusted import hostile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def layout(path):
    return weights.layout(path.read_bytes(), str(path))


def _refused(path, message=""):
    with pytest.raises(KganError, match=f"as Keras writes them. Received: .*{message}"):
        layout(path)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u4", "u8"])
def test_numbers_read_as_written(path, dtype):
    expected = np.arange(6).reshape(2, 3).astype(dtype)
    with h5py.File(path, "w") as file:
        file["a/b/c"] = expected
        file["scalar"] = np.asarray(7, dtype)
    stored = layout(path)
    assert set(stored) == {"a/b/c", "scalar"} and stored["a/b/c"].dtype == expected.dtype
    np.testing.assert_array_equal(weights.values(path.read_bytes(), stored["a/b/c"]), expected)
    assert weights.values(path.read_bytes(), stored["scalar"]) == 7


def test_group_of_thousands_reads_as_written(path):
    with h5py.File(path, "w") as file:
        for index in range(3000):  # a tree of two levels
            file[f"g/{index}"] = np.float32(index)
    stored = layout(path)
    assert all(
        weights.values(path.read_bytes(), stored[f"g/{index}"]) == index for index in range(3000)
    )


def test_weights_of_a_preset_are_the_librarys(tiny_preset):
    path = tiny_preset / WEIGHTS
    stored = layout(path)
    with h5py.File(path) as file:
        assert sorted(stored) == hostile.datasets(file)
        for name, dataset in stored.items():
            np.testing.assert_array_equal(
                weights.values(path.read_bytes(), dataset), file[name][()]
            )


def test_bfloat16_is_two_bytes(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3, "V2")
    assert layout(path)["x"].dtype == "V2"


@pytest.mark.parametrize("dtype", ["?", ">f4", "c8", "S3", h5py.string_dtype(), h5py.ref_dtype])
def test_other_types_are_refused(path, dtype):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (3,), dtype)
    _refused(path)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (3,)},
        {"compression": "gzip"},
        {"fletcher32": True},
        {"maxshape": (None,)},
        {"external": [("/etc/passwd", 0, 12)]},
    ],
    ids=str,
)
def test_other_storage_is_refused(path, options):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (3,), "f4", **options)
    _refused(path)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 20), (3,)])
def test_values_that_were_never_written_are_refused(path, shape):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape, "f4")
    _refused(path)


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/x"), h5py.SoftLink("/"), h5py.ExternalLink("/etc/passwd", "/")]
)
def test_links_are_refused(path, link):
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
        file["link"] = link
    _refused(path)


def test_circle_of_groups_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = file["/"]
    _refused(path, "a link")


def test_virtual_dataset_is_refused(path):
    with h5py.File(path, "w") as file:
        virtual = h5py.VirtualLayout((3,), "f4")
        virtual[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
        file.create_virtual_dataset("x", virtual)
    _refused(path)


def test_newer_layout_is_refused(path):
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.zeros(3)
    _refused(path, "another version")


def test_deep_groups_are_refused(path):
    with h5py.File(path, "w") as file:
        file["/".join("x" * 100)] = np.zeros(3)
    _refused(path, "a link")


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", bytes(1000), b"x" * 1000])
def test_other_files_are_refused(path, content):
    path.write_bytes(content)
    _refused(path)


def test_values_shared_by_datasets_are_not_multiplied(path):
    with h5py.File(path, "w") as file:
        for name in "abcd":
            file[name] = np.zeros(10_000)
    content = path.read_bytes()
    offsets = [dataset.offset for dataset in layout(path).values()]
    for offset in offsets[1:]:  # all four datasets with the values of the first
        content = content.replace(pack("<Q", offset), pack("<Q", offsets[0]))
    path.write_bytes(content[: offsets[0] + 80_000])
    _refused(path)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_headers_are_read_or_refused(tiny_preset, tmp_path, seed):
    rng, content = random.Random(seed), (tiny_preset / WEIGHTS).read_bytes()
    for _ in range(100):
        (tmp_path / WEIGHTS).write_bytes(content)
        hostile.flip_headers(tmp_path, rng)
        try:
            for stored in layout(tmp_path / WEIGHTS).values():
                weights.values((tmp_path / WEIGHTS).read_bytes(), stored)
        except KganError:
            pass
