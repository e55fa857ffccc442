"""kgan.zoo.versions: which code ran."""

import re
import shutil
import subprocess
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import kgan
from kgan.zoo import versions


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository that kgan seems to be imported from, and a function that runs git in it."""
    if shutil.which("git") is None:
        pytest.skip("Expected git")
    (tmp_path / "kgan").mkdir()
    (tmp_path / "kgan/__init__.py").write_text("")

    def git(*args):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(kgan, "__file__", str(tmp_path / "kgan/__init__.py"))
    versions.commit.cache_clear()
    yield tmp_path, git
    versions.commit.cache_clear()


def test_commit_of_a_checkout_and_whether_it_was_changed(checkout, monkeypatch):
    folder, git = checkout
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("tag", "-m", "v1", "v1")  # a tag must not take the place of the hash
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as hooks set it
    found = versions.versions()
    monkeypatch.delenv("GIT_DIR")
    assert found["commit"] == git("rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", found["commit"])
    (folder / "kgan/__init__.py").write_text("changed = True\n")
    versions.commit.cache_clear()
    assert versions.commit() == found["commit"] + "-dirty"


def test_an_installed_kgan_has_no_commit(checkout):
    """Also where the folder around it is somebody's repository."""
    folder, git = checkout
    expected = {
        "kgan": kgan.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    assert versions.versions() == expected
    (folder / ".git").mkdir()  # no repository
    versions.commit.cache_clear()
    assert versions.commit() is None


def test_this_checkout_or_installation():
    root = Path(kgan.__file__).parents[1]
    assert ("commit" in versions.versions()) == (root / ".git").exists()
