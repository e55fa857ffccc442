"""Photographs that are dropped into the page."""

import io
import shlex
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kgan import latent_files
from kgan.cli import main
from kgan.cli.project import Projection
from kgan.cli.ui import photos
from kgan.cli.ui.entries import Entries
from kgan.errors import KganError
from kgan.images import read_provenance


@pytest.fixture
def picture():
    """A PNG of 40x30 pixels."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def opened(directory):
    return Entries([str(directory)]).open(0)


class TestReceived:
    def test_a_picture_is_kept_under_no_name_of_its_own(self, picture, tmp_path):
        photo = photos.received(picture, "../../my photo.png", tmp_path)
        assert photo.path.parent == tmp_path and photo.path.read_bytes() == picture
        assert "/" not in photo.name and photo.name.endswith("photo.png")

    @pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "text", "cut"])
    def test_others_are_refused_by_their_name_and_not_kept(self, content, picture, tmp_path):
        content = picture[:900] if content is None else content
        with pytest.raises(KganError) as caught:
            photos.received(content, "notes.txt", tmp_path)
        assert "Received: notes.txt: " in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_bomb_is_refused(self, tmp_path):
        file = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(file, "PNG")
        with pytest.raises(KganError, match=r"Received: bomb\.png: "):
            photos.received(file.getvalue(), "bomb.png", tmp_path)


class TestShelf:
    def test_words_are_not_guessed_and_the_oldest_goes(self):
        cleared = []
        shelf = photos.Shelf("a thing", cleared.append)
        words = [shelf.put(number) for number in range(40)]
        assert len(set(words)) == 40 and min(map(len, words)) > 20
        assert shelf[words[-1]] == 39 and cleared == [*range(8)]
        with pytest.raises(KganError, match="Expected a thing. Received: none of that name"):
            shelf[words[0]]


@pytest.mark.parametrize("direction", ["a_to_b", "b-to-a"])
def test_a_translation_is_that_of_the_command(
    cyclegan_preset, picture, direction, tmp_path, monkeypatch
):
    if direction == "b-to-a":
        gray = io.BytesIO()
        Image.open(io.BytesIO(picture)).convert("L").save(gray, "PNG")
        picture = gray.getvalue()
    source = str(cyclegan_preset)
    photo = photos.received(picture, "photo.png", tmp_path)
    made = photos.translated(*opened(source), source, photo, direction)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(picture)
    done = CliRunner().invoke(main, shlex.split(made.command)[1:])
    assert done.exit_code == 0, done.output
    (tmp_path / "here.png").write_bytes(made.png)
    with Image.open("here.png") as here, Image.open(done.stdout.strip()) as there:
        np.testing.assert_array_equal(np.asarray(here), np.asarray(there))
        drawn = np.asarray(here)
    assert read_provenance("here.png") == read_provenance(done.stdout.strip())
    names = {}
    exec(made.python, names)
    np.testing.assert_array_equal(names["image"].squeeze(), drawn)


def test_a_fixed_size_is_cut_as_the_recipe_says(pix2pix_preset, picture, tmp_path, monkeypatch):
    source = str(pix2pix_preset)
    photo = photos.received(picture, "photo.png", tmp_path)
    made = photos.translated(*opened(source), source, photo, "a_to_b")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(picture)
    names = {}
    exec(made.python, names)
    np.testing.assert_array_equal(names["image"], np.asarray(Image.open(io.BytesIO(made.png))))


def test_a_projection_is_that_of_the_command(vivid_preset, picture, tmp_path, monkeypatch):
    source = str(vivid_preset)
    photo = photos.received(picture, "photo.png", tmp_path)
    told = []
    made = photos.projected(
        *(opened(source).preset, source, photo, [0.2, 0.1, 0.8, 0.9], None, 3, tmp_path),
        lambda done, total: told.append((done, total)),
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(picture)
    done = CliRunner().invoke(main, shlex.split(made.command)[1:])
    assert done.exit_code == 0, done.output
    png, npz = done.stdout.split()
    (tmp_path / "here.png").write_bytes(made.png)
    (tmp_path / "here.npz").write_bytes(made.npz)
    assert read_provenance("here.png") == read_provenance(png)
    np.testing.assert_array_equal(np.asarray(Image.open("here.png")), np.asarray(Image.open(png)))
    here, there = latent_files.read("here.npz"), latent_files.read(npz)
    np.testing.assert_array_equal(here[0]["latents"], there[0]["latents"])
    assert told[-1] == (3, 3) and made.error == here[1]["error"]
    names = {}
    exec(made.python, names)
    np.testing.assert_array_equal(names["image"], np.asarray(Image.open(png))[2:18, 20:36])


def test_a_class_is_told_by_its_name(style_preset, picture, tmp_path, monkeypatch):
    facts = {"verb": "project", "error": 0.1}
    styles = {"styles": np.zeros((1, 6, 8), np.float32)}
    found = Projection(facts, styles, np.zeros((20, 38, 3), np.uint8))
    monkeypatch.setattr(photos.Search, "run", lambda self, picture, progress: found)
    source = str(style_preset)
    photo = photos.received(picture, "photo.png", tmp_path)
    preset = opened(source).preset
    made = photos.projected(preset, source, photo, None, 2, 1, tmp_path, lambda done, total: None)
    assert shlex.split(made.command)[-2:] == ["--label", "it's"]
    assert "labels=[2]" in made.python


def test_a_projection_ends_when_it_is_stopped(vivid_preset, picture, tmp_path):
    source = str(vivid_preset)
    photo = photos.received(picture, "photo.png", tmp_path)
    begun = threading.Event()

    def told(done, total):
        begun.set()
        photo.stop.set()

    made = photos.projected(
        opened(source).preset, source, photo, None, None, 10_000, tmp_path, told
    )
    (tmp_path / "here.png").write_bytes(made.png)
    assert begun.is_set() and read_provenance(tmp_path / "here.png")["stopped_after"] < 10_000
