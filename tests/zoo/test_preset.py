"""kgan.zoo.preset: presets as files."""

import json
import os
import shutil

import pytest
from untrusted import hostile

import kgan
from kgan.errors import KganError
from kgan.recipe import Data, Recipe
from kgan.zoo import preset
from kgan.zoo.metadata import CARD, WEIGHTS
from zoo.sound import FILES, RECIPE, change_metadata, flip_byte


def test_sound_preset_is_read(faces):
    found = preset.read(faces)
    assert found.directory == faces and found.metadata["training"]["images_seen"] == 640000
    assert found.recipe == RECIPE
    assert found.content == {
        name: (faces / name).read_bytes()
        for name in ("config.json", "model.weights.h5", "recipe.toml")
    }


@pytest.mark.parametrize("name", [*FILES, "LICENSE"])
def test_flipped_byte_is_found_in_every_file(faces, name):
    flip_byte(faces / name)
    with pytest.raises(KganError, match=f"Damaged preset: .*{name} has SHA-256"):
        preset.read(faces)


@pytest.mark.parametrize("name", [*FILES, "LICENSE"])
def test_missing_file_is_named(faces, name):
    (faces / name).unlink()
    with pytest.raises(KganError, match=f"Incomplete preset: .*{name} is missing"):
        preset.read(faces)


@pytest.mark.parametrize("name", FILES)
def test_file_without_a_hash_is_not_trusted(faces, name):
    files = json.loads((faces / "metadata.json").read_text())["files"]
    del files[name]
    change_metadata(faces, files=files)
    with pytest.raises(KganError, match=name):
        preset.read(faces)


@pytest.mark.parametrize("name", ["config.json", "recipe.toml", "samples.png"])
def test_large_file_is_refused_before_it_is_read(faces, name):
    os.truncate(faces / name, 1 << 26)
    hostile.rehash(faces)
    with pytest.raises(KganError, match=f"Expected at most .* bytes of {name}. Received: 67,1"):
        preset.read(faces)


def test_large_weights_are_refused_unless_asked_for(faces, monkeypatch):
    os.truncate(faces / WEIGHTS, 97 << 20)
    hostile.rehash(faces)
    monkeypatch.setenv("KGAN_ZOO", str(faces.parent))
    with pytest.raises(KganError, match="at most 100,663,296 .*KGAN_MOST_WEIGHTS, in MB"):
        preset.read("faces")
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", "97")
    assert preset.read("faces")


def test_large_weights_of_a_directory_may_take_half_of_the_memory(faces, monkeypatch):
    os.truncate(faces / WEIGHTS, 97 << 20)
    hostile.rehash(faces)
    assert preset.read(faces) and kgan.zoo.info(faces)["size_bytes"] > 97 << 20
    monkeypatch.setattr(preset.metadata, "free_memory", lambda: 193 << 20)
    with pytest.raises(KganError, match="at most 101,187,584 bytes of model.weights.h5"):
        preset.read(faces)
    monkeypatch.setattr(preset.metadata, "free_memory", lambda: 0)  # never less than of others
    os.truncate(faces / WEIGHTS, 96 << 20)
    hostile.rehash(faces)
    assert preset.read(faces)


def test_other_size_is_damage(faces):
    with open(faces / CARD, "a") as file:
        file.write("!")
    with pytest.raises(KganError, match="Damaged preset: .*README.md has .* bytes, expected"):
        preset.read(faces)


@pytest.mark.parametrize("name", [*FILES, "metadata.json"])
def test_link_to_a_file_is_followed(faces, name):
    """As in a hub's cache; its content has to have the hash all the same."""
    (faces / name).rename(faces.parent / "elsewhere")
    (faces / name).symlink_to("../elsewhere")
    assert preset.read(faces).recipe == RECIPE
    if name != "metadata.json":
        flip_byte(faces.parent / "elsewhere")
        with pytest.raises(KganError, match=f"Damaged preset: .*{name} has SHA-256"):
            preset.read(faces)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "make, received",
    [
        (os.mkdir, "is a directory"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.symlink_to("/"), "is a directory"),
        (lambda path: path.symlink_to("../nowhere"), "is a link to nothing"),
        (lambda path: path.symlink_to(path), "is a link to nothing"),
    ],
)
def test_what_is_no_file_is_named(faces, name, make, received):
    (faces / name).unlink()
    make(faces / name)
    with pytest.raises(KganError, match=f"Incomplete preset: .*{name} {received}"):
        preset.read(faces)


def test_metadata_that_are_no_file_are_no_preset(faces):
    (faces / "metadata.json").unlink()
    os.mkfifo(faces / "metadata.json")
    with pytest.raises(KganError, match="which has no metadata.json"):
        preset.read(faces)


def test_metadata_that_are_a_link_to_nothing_are_named(faces):
    """As in a hub's cache of which a part has not been fetched."""
    (faces / "metadata.json").unlink()
    (faces / "metadata.json").symlink_to("../../blobs/none")
    with pytest.raises(KganError, match="Incomplete preset: .*metadata.json is a link to nothing"):
        preset.read(faces)


def test_says_what_the_design_promises(faces):
    size = sum(path.stat().st_size for path in faces.iterdir())
    assert kgan.zoo.info(faces) == {
        "name": "faces",
        "model": "DCGAN",
        "dataset": "CelebA, aligned faces",
        "image_shape": [64, 64, 3],
        "num_classes": None,
        "parameters": 1234567 + 7654321,
        "size_bytes": size - (faces / "metadata.json").stat().st_size,
        "licence": "CelebA: non-commercial research only",
        "metrics": [],
        "path": str(faces),
    }


def test_new_preset_takes_its_place_when_the_block_ends(tmp_path):
    with preset.writing(tmp_path / "new") as partial:
        (partial / "x").touch()
        assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]


def test_preset_is_replaced_whole(faces):
    with preset.writing(faces) as partial:
        (partial / "x").touch()
        assert preset.read(faces)  # the old one is there until the end
    assert [path.name for path in faces.iterdir()] == ["x"]


def test_nothing_else_is_left_beside_it(faces):
    with preset.writing(faces) as partial:
        (partial / "x").touch()
    assert list(faces.parent.iterdir()) == [faces]


def test_failure_leaves_the_old_preset_alone(faces):
    with pytest.raises(RuntimeError), preset.writing(faces) as partial:
        (partial / "x").touch()
        raise RuntimeError
    assert list(faces.parent.iterdir()) == [faces] and preset.read(faces)


def test_failure_leaves_nothing_of_a_new_preset(tmp_path):
    with pytest.raises(RuntimeError), preset.writing(tmp_path / "new") as partial:
        (partial / "x").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_interrupt_between_the_old_and_the_new_keeps_the_old(faces, monkeypatch):
    replace = os.replace

    def interrupted(source, target):
        if target == faces and os.path.exists(os.path.join(source, "x")):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), preset.writing(faces) as partial:
        (partial / "x").touch()
    assert list(faces.parent.iterdir()) == [faces] and preset.read(faces)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"class_names": ["cat", "a\nb"]}, "names of classes on one line.*; rename its folder$"),
        ({"class_names": ["x" * 1001]}, "names of classes on one line.*; rename its folder$"),
        ({"class_names": ["cat", "\x1b[31mred"]}, "names of classes.*red'; rename"),
        ({"class_names": ["\u202ecat"]}, "bidirectional.*; rename its folder"),
        ({"class_names": ["\ud800"]}, "names of classes"),
        ({"class_names": [f"{i:05d}{'x' * 200}" for i in range(2000)]}, "262,144 bytes.* 2,000"),
        ({"title": "a\tb"}, "dataset to be"),
        ({"note": "\x07"}, "control characters.*change the recipe"),
        ({"note": "\u2066"}, "control characters"),
        ({"limits": "\ud800"}, "control characters"),
        ({"note": "x" * 300_000}, "262,144 bytes"),
        ({"classes": {"\x1b[2J": "cat"}, "labels": "folders"}, "control characters"),
    ],
)
def test_what_no_preset_can_hold_is_refused_before(change, message):
    with pytest.raises(KganError, match=message):
        preset.check_recipe(Recipe("a", "GAN", data=Data("x", **change)))
    preset.check_recipe(Recipe("a", "GAN", data=Data("x", class_names=["日本", "a, b", "-"])))
    with pytest.raises(KganError, match="Expected name to be"):
        preset.check_recipe(Recipe("", "GAN"))


@pytest.mark.parametrize(
    "arguments", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}, {"x": 1 << 70}, {"x": b"1"}]
)
def test_values_that_toml_has_not_are_refused_before(arguments):
    with pytest.raises(KganError, match=r"^Expected .*Received: .*in the recipe|of 71|set|bytes"):
        preset.check_recipe(Recipe("a", "GAN", arguments=arguments))


def test_home_is_understood(faces, monkeypatch):
    monkeypatch.setenv("HOME", str(faces.parent))
    assert preset.read("~/faces").directory == faces
    monkeypatch.setenv("KGAN_ZOO", "~")
    assert preset.read("faces").directory == faces
    with preset.writing("~/new") as partial:
        (partial / "x").touch()
    assert (faces.parent / "new" / "x").exists()


def test_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(KganError, match="which holds other files"), preset.writing(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "content", ["{}", "not JSON", '{"name": "a model of another library", "files": {}}']
)
def test_metadata_of_something_else_are_no_licence_to_delete(tmp_path, content):
    """Other programs call files metadata.json too."""
    (tmp_path / "metadata.json").write_text(content)
    (tmp_path / "thesis.tex").write_text("years")
    said = r"other files: metadata\.json, thesis\.tex"
    with pytest.raises(KganError, match=said), preset.writing(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years"
    assert (tmp_path / "metadata.json").read_text() == content


def test_files_beside_those_of_a_preset_are_kept(tiny_preset, tmp_path):
    place = shutil.copytree(tiny_preset, tmp_path / "p")
    with preset.writing(place) as partial:  # what kgan wrote may be replaced
        preset.copy(preset.read(tiny_preset), partial)
    (place / "notes.txt").write_text("mine")
    (place / "more").mkdir()
    with pytest.raises(KganError, match=r"other files: more, notes\.txt$"):
        kgan.zoo.load(place).save_to_preset(place)
    assert (place / "notes.txt").read_text() == "mine"


def test_a_copy_holds_what_is_listed_and_no_more(tiny_preset, tmp_path):
    """Least of all what a link leads to."""
    place = shutil.copytree(tiny_preset, tmp_path / "p")
    (tmp_path / "secret").write_text("password")
    (place / "x.txt").symlink_to(tmp_path / "secret")
    (tmp_path / "copy").mkdir()
    preset.copy(preset.read(place), tmp_path / "copy")
    assert sorted(os.listdir(tmp_path / "copy")) == sorted(os.listdir(tiny_preset))
    assert preset.read(tmp_path / "copy").metadata == preset.read(tiny_preset).metadata


def test_file_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(KganError, match="Expected a directory.*file"):
        preset.check_replaceable(tmp_path / "x")


def test_moved_preset_is_still_sound(tiny_preset, tmp_path):
    shutil.copytree(tiny_preset, tmp_path / "elsewhere")
    assert preset.read(tmp_path / "elsewhere").metadata == preset.read(tiny_preset).metadata


def test_samples_may_be_missing_where_there_are_none(faces):
    """Of a model that makes pictures of pictures."""
    (faces / "samples.png").unlink()
    metadata = json.loads((faces / "metadata.json").read_text())
    preset.complete(faces, {**metadata, "format": 2, "samples": 0})
    assert "samples.png" not in preset.read(faces).metadata["files"]
    preset.complete(faces, {**metadata, "format": 2, "samples": 64})
    with pytest.raises(KganError, match="samples.png is missing"):
        preset.read(faces)


@pytest.mark.parametrize("values, message", [("{", "Expected JSON"), ('{"format": 3}', "format 3")])
def test_config_is_parsed_when_it_is_asked_for(faces, values, message):
    (faces / "config.json").write_text(values)
    hostile.rehash(faces)
    found = preset.read(faces)
    with pytest.raises(KganError, match=f"{message}.*config.json"):
        _ = found.config


def test_config_of_another_format_than_the_metadata_is_refused(faces):
    (faces / "config.json").write_text('{"format": 2}')
    hostile.rehash(faces)
    with pytest.raises(KganError, match="expected format 1, as in metadata.json. Received: format"):
        _ = preset.read(faces).config


@pytest.mark.parametrize("number", [1, 2])
def test_metadata_written_again_keep_their_format(faces, number):
    weights = (faces / "model.weights.h5").read_bytes()
    change_metadata(faces, format=number)
    found = preset.read(faces)
    with preset.writing(faces) as partial:
        shutil.copytree(faces, partial, dirs_exist_ok=True)
        preset.complete(partial, {**found.metadata, "licence": "CC0"})
    again = preset.read(faces)
    assert (again.metadata["format"], again.metadata["licence"]) == (number, "CC0")
    assert again.content["model.weights.h5"] == weights
