"""kgan.latent_files: what is written is read, and nothing else is."""

import io
import json
import zipfile

import numpy as np
import pytest

from kgan import latent_files
from kgan.errors import KganError

FACTS = {"model": "tiny", "seed": 0}
Z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 6, 4)).astype(np.float32)


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            name = name.replace("__", ".")
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "arrays",
    [{"latents": Z}, {"styles": W}, {"latents": Z, "labels": np.arange(3)}],
    ids=lambda arrays: "+".join(arrays),
)
def test_what_is_saved_is_read(tmp_path, arrays):
    path = latent_files.save(tmp_path / "x.npz", FACTS, **arrays)
    read, facts = latent_files.read(path)
    assert facts == FACTS and read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_numpy_reads_it_and_is_read(tmp_path):
    with np.load(latent_files.save(tmp_path / "x.npz", FACTS, latents=Z)) as file:
        np.testing.assert_array_equal(file["latents"], Z)
        assert json.loads(file["kgan.json"]) == FACTS
    np.savez_compressed(tmp_path / "y.npz", latents=Z.astype(np.float64))
    read, facts = latent_files.read(tmp_path / "y.npz")
    assert facts is None and read["latents"].dtype == np.float32


def test_equal_latents_give_equal_files(tmp_path):
    path = latent_files.save(tmp_path / "x.npz", FACTS, latents=Z)
    with zipfile.ZipFile(path) as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}
    assert latent_files.save(tmp_path / "y.npz", FACTS, latents=Z).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"latents": Z, "styles": W},
        {"labels": np.arange(3)},
        {"latents": Z[0]},
        {"latents": Z[:0]},
        {"latents": W},
        {"styles": Z},
        {"latents": Z * np.nan},
        {"latents": np.full((3, 4), 1e300)},
        {"latents": np.zeros((3, 4), int)},
        {"latents": "text"},
        {"latents": [[1.0], [1.0, 2.0]]},
        {"latents": Z, "labels": np.arange(2)},
        {"latents": Z, "labels": -np.arange(3)},
        {"latents": Z, "labels": np.zeros(3)},
        {"latents": Z, "labels": np.full(3, 2**64 - 1, np.uint64)},
        {"latents": Z, "labels": 1},
    ],
)
def test_other_arrays_are_refused_in_both_ways(tmp_path, arrays):
    with pytest.raises(KganError, match="Expected .* Received"):
        latent_files.save(tmp_path / "x.npz", FACTS, **arrays)
    assert not list(tmp_path.iterdir())
    if not any(isinstance(array, list) for array in arrays.values()):
        np.savez(tmp_path / "x.npz", **arrays)
        with pytest.raises(KganError, match=r"x\.npz"):
            latent_files.read(tmp_path / "x.npz")


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(KganError, match=r"ends in \.npz"):
        latent_files.save(tmp_path / "x.png", FACTS, latents=Z)


def _of_header(shape, dtype="<f4", content=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    "members",
    [
        {"latents__npy": _npy(Z), "more__npy": _npy(Z)},
        {"latents__npy": _npy(Z), "kgan__json": b"[]"},
        {"latents__npy": _npy(Z), "kgan__json": b'{"a": NaN}'},
        {"latents__npy": _npy(Z), "kgan__json": b'{"a": "\\u202e"}'},
        {"latents__npy": b""},
        {"latents__npy": _npy(Z)[:-1]},
        {"latents__npy": b"no array"},
        {"latents__npy": _of_header((1 << 40, 1 << 10))},
        {"latents__npy": _of_header((1 << 62, 1 << 62))},
        {"latents__npy": _of_header((-1, 4))},
        {"latents__npy": _of_header((1, 1), "|O", b"cos\nsystem\n")},
        {"latents__npy": _of_header("(" * 500)},
    ],
)
def test_what_strangers_write_is_refused_in_one_line(tmp_path, members):
    path = _archive(tmp_path / "x.npz", **members)
    with pytest.raises(KganError, match="Expected .* Received") as error:
        latent_files.read(path)
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "x.npz", latents=np.array([{}], object))
    with pytest.raises(KganError, match="Expected an array in latents.npy"):
        latent_files.read(tmp_path / "x.npz")


def test_names_are_there_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("latents.npy", _npy(Z))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("latents.npy", _npy(Z))
    with pytest.raises(KganError, match="a name twice"):
        latent_files.read(tmp_path / "x.npz")


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(latent_files, "MOST_BYTES", 1000)
    path = _archive(tmp_path / "x.npz", latents__npy=bytes(100_000))
    with pytest.raises(KganError, match="at most 1,000 bytes"):
        latent_files.read(path)


def test_a_bomb_that_understates_its_size_is_cut_off(tmp_path):
    content = bytearray(_archive(tmp_path / "x.npz", latents__npy=bytes(100_000)).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(signature) + offset
        content[start : start + 4] = (10).to_bytes(4, "little")
    (tmp_path / "y.npz").write_bytes(content)
    with pytest.raises(KganError, match="Expected an .npz that is whole|Expected an array"):
        latent_files.read(tmp_path / "y.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(40)])
def test_files_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(KganError, match=r"Expected an \.npz with latents or styles"):
        latent_files.read(tmp_path / "x.npz")


def test_missing_files_and_directories_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.npz"):
        with pytest.raises(KganError, match=r"Expected an \.npz with latents or styles"):
            latent_files.read(path)
