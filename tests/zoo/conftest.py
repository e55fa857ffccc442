"""Fixtures: a preset without a model, and a registry of two."""

from pathlib import Path

import pytest

from zoo.sound import METADATA, make_preset


@pytest.fixture
def faces(tmp_path) -> Path:
    return make_preset(tmp_path / "faces")


@pytest.fixture
def zoo(tmp_path, monkeypatch) -> Path:
    """A registry with the presets `faces` and `digits`, listed in KGAN_ZOO."""
    for name in ("faces", "digits"):
        make_preset(tmp_path / "zoo" / name, metadata={**METADATA, "name": name})
    monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
    return tmp_path / "zoo"
