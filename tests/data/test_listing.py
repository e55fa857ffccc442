"""kgan.data.listing: what is in folders, with all that lies about in them."""

import os
from pathlib import Path

import pytest

from data.pictures import write_images
from kgan.data.folder import check, load_folder
from kgan.data.listing import find_images, reaches
from kgan.data.resize import Rule
from kgan.errors import KganError

SHAPE = (16, 16, 3)
RULE = Rule.checked(SHAPE)


def _names(folder):
    return [Path(file.name).as_posix() for file in find_images(folder).files]


def test_folders_are_searched_recursively_in_sorted_order(tmp_path):
    for name in ("b/2.png", "a/1.JPG", "c.webp", "a/0/x.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["a/0/x.jpeg", "a/1.JPG", "b/2.png", "c.webp"]


def test_hidden_and_other_files_are_ignored(tmp_path):
    for name in ("x.png", ".hidden.png", "._x.png", "notes.txt", "Thumbs.db", "png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert _names(tmp_path) == ["x.png"]


def test_hidden_folders_are_ignored(tmp_path):
    for name in ("x.png", ".thumbnails/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["x.png"]


def test_folder_below_a_hidden_one_is_read(tmp_path):
    write_images(tmp_path / ".cache" / "photos", 1)
    assert _names(tmp_path / ".cache" / "photos") == ["000.png"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(KganError, match=r"folder of images.*nowhere, which does not exist"):
        find_images(tmp_path / "nowhere")


def test_file_instead_of_a_folder_is_named(tmp_path):
    (tmp_path / "x.png").touch()
    with pytest.raises(KganError, match=r"folder of images.*the file .*x\.png"):
        find_images(tmp_path / "x.png")


def test_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(KganError, match=r"\.jpg.*which is empty"):
        find_images(tmp_path)


def test_folder_of_text_files_is_refused(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text")
    with pytest.raises(KganError, match="which holds 2 other files"):
        find_images(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    write_images(tmp_path, 1)
    os.mkfifo(tmp_path / "x.png")
    (tmp_path / "y.png").symlink_to("x.png")
    assert _names(tmp_path) == ["000.png"]


class TestLinks:
    def test_linked_folder_is_read(self, tmp_path):
        write_images(tmp_path / "elsewhere", 2)
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a").symlink_to("../elsewhere")
        assert _names(tmp_path / "photos") == ["a/000.png", "a/001.png"]

    def test_linked_file_is_read(self, tmp_path):
        write_images(tmp_path / "elsewhere", 1)
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a.png").symlink_to("../elsewhere/000.png")
        assert len(check(tmp_path / "photos", SHAPE)[1]) == 1

    def test_circles_are_entered_once(self, tmp_path):
        write_images(tmp_path / "a/b", 1)
        (tmp_path / "a/b/up").symlink_to("../..")
        (tmp_path / "a/again").symlink_to("b")
        (tmp_path / "0").symlink_to("a/b")  # a link sorts first, but the folder has the name
        assert _names(tmp_path) == ["a/b/000.png"]


class TestRunsAmongImages:
    @pytest.mark.parametrize("marks", [("recipe.toml", ".lock"), ("recipe.toml", "checkpoints/x")])
    @pytest.mark.parametrize("place", ["", "runs/faces"])
    def test_are_refused(self, tmp_path, marks, place):
        write_images(tmp_path / place / "grids", 1)
        write_images(tmp_path, 1)
        for name in marks:
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with pytest.raises(KganError, match=f"apart from the runs of .* with the run .*{place}"):
            load_folder(tmp_path, RULE)
        assert len(load_folder(tmp_path / place / "grids", RULE)[0]) == 1

    @pytest.mark.parametrize(
        "directory, reached",
        [
            *(("photos/run", True), ("photos/a/b/run", True), ("photos", True), (".", True)),
            *(("photos/../photos/run", True), ("link/run", True), ("a/link/run", True)),
            *(("photos-2/run", False), ("run", False), ("photos/.runs/x", False)),
            *(("linked", True), ("linked/run", True)),
        ],
    )
    def test_are_looked_for_through_links(self, tmp_path, directory, reached):
        (tmp_path / "photos/a").mkdir(parents=True)
        (tmp_path / "a").mkdir()
        (tmp_path / "linked").mkdir()
        (tmp_path / "link").symlink_to("photos")
        (tmp_path / "a/link").symlink_to("../photos/a")
        (tmp_path / "photos/inner").symlink_to(tmp_path / "linked")
        assert reaches(tmp_path / "photos", tmp_path / directory) is reached
