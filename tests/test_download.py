"""Presets over HTTP, from a server on this machine."""

import functools
import http.server
import json
import shutil
import threading

import numpy as np
import pytest

import kgan
from kgan import download, presets


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path, tiny_preset, monkeypatch):
    """(the directory being served, its URL), with the tiny preset as `tiny` in a registry."""
    root = tmp_path / "served"
    shutil.copytree(tiny_preset, root / "tiny")
    presets.write_registry(root)
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    handler = functools.partial(_Quiet, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_load_from_url_once_then_from_the_cache(served, tiny_preset, tmp_path):
    root, url = served
    model = kgan.zoo.load(f"{url}/tiny")
    expected = kgan.zoo.load(tiny_preset).sample(4, seed=0)
    np.testing.assert_array_equal(model.sample(4, seed=0), expected)
    (root / "tiny" / presets.WEIGHTS).unlink()
    assert kgan.zoo.load(f"{url}/tiny").sample(1, seed=0).shape == (1, 16, 16, 3)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_registry_url(served, monkeypatch):
    _, url = served
    monkeypatch.setenv("KGAN_ZOO", f"{url}:/nowhere")
    assert presets.registries()[1:] == [url, "/nowhere"]
    assert "tiny" in kgan.zoo.names()
    info = kgan.zoo.info("tiny")
    assert info["path"] is None and info["model"] == "DCGAN"
    assert kgan.zoo.load("tiny").latent_dim == 8


def test_pin(served):
    root, url = served
    right = presets.sha256(root / "tiny" / presets.METADATA)
    kgan.zoo.load(f"{url}/tiny#sha256={right}")
    with pytest.raises(ValueError, match="Damaged preset.*expected 000000"):
        kgan.zoo.load(f"{url}/tiny#sha256={'0' * 64}")
    with pytest.raises(ValueError, match="Expected #sha256="):
        kgan.zoo.load(f"{url}/tiny#sha256=12")


@pytest.mark.parametrize("how", ["changed", "longer", "missing"])
def test_bad_files_are_refused_and_leave_nothing(served, how, tmp_path):
    root, url = served
    weights = root / "tiny" / presets.WEIGHTS
    content = weights.read_bytes()
    if how == "missing":
        weights.unlink()
    else:
        weights.write_bytes(content[:-1] + b"x" if how == "changed" else content + b"x")
    expected = {"changed": "has SHA-256", "longer": "is larger than", "missing": "Cannot get"}
    with pytest.raises(ValueError, match=expected[how]):
        kgan.zoo.load(f"{url}/tiny")
    assert not list((tmp_path / "cache").iterdir())


def test_files_cannot_be_written_elsewhere(served):
    root, url = served
    path = root / "tiny" / presets.METADATA
    metadata = json.loads(path.read_text())
    metadata["files"]["../evil"] = metadata["files"].pop(presets.CARD)
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="plain file names"):
        kgan.zoo.load(f"{url}/tiny")


def test_addresses():
    base = "https://huggingface.co/someone/faces/resolve/main"
    assert download.split_url("hf://someone/faces") == (base, None)
    for wrong in ("http://example.org/x", "ftp://example.org"):
        with pytest.raises(ValueError, match="Expected https"):
            download.split_url(wrong)
