"""Each file of a preset is opened and hashed once, by `kgan.zoo.load` and by `kgan sample`."""

import hashlib
import io
import os
from collections import Counter
from pathlib import Path

import pytest

import kgan
from kgan.cli import main
from kgan.files import sha256


@pytest.fixture
def counted(tiny_preset, monkeypatch):
    """How often each of a preset's files is opened, and how often each content is hashed."""
    opened, hashed = Counter(), Counter()
    real_open, real_sha256, real_digest = io.open, hashlib.sha256, hashlib.file_digest

    def counting_open(file, *args, **kwargs):
        if isinstance(file, (str, os.PathLike)) and Path(file).parent == tiny_preset:
            opened[Path(file).name] += 1
        return real_open(file, *args, **kwargs)

    def counting(function):
        def count(*args, **kwargs):
            digest = function(*args, **kwargs)
            hashed[digest.hexdigest()] += 1
            return digest

        return count

    monkeypatch.setattr("builtins.open", counting_open)
    monkeypatch.setattr(io, "open", counting_open)
    monkeypatch.setattr(hashlib, "sha256", counting(real_sha256))
    monkeypatch.setattr(hashlib, "file_digest", counting(real_digest))
    return opened, hashed


def check(counted, directory):
    opened, hashed = (dict(counter) for counter in counted)  # before the files are read here
    files = list(directory.iterdir())
    assert opened == {path.name: 1 for path in files}
    hashed = {path.name: hashed.get(sha256(path)) for path in files}
    assert hashed == opened


def test_load_reads_and_hashes_each_file_once(tiny_preset, counted):
    kgan.zoo.load(tiny_preset)
    check(counted, tiny_preset)


def test_sample_reads_and_hashes_each_file_once(tiny_preset, counted, tmp_path):
    out = str(tmp_path / "x.png")
    main(["sample", str(tiny_preset), "-n", "2", "--out", out], standalone_mode=False)
    check(counted, tiny_preset)
