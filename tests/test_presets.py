"""kgan.presets: preset directories as files."""

import json
import os
import shutil
from pathlib import Path

import pytest

from kgan import presets
from kgan.errors import KganError
from kgan.recipe import Data, Recipe

FILES = ("config.json", "model.weights.h5", "recipe.toml", "README.md", "samples.png")
METADATA = {
    "format": 1,
    "name": "faces",
    "model": "DCGAN",
    "dataset": "CelebA, aligned faces",
    "licence": "CelebA: non-commercial research only",
    "image_shape": [64, 64, 3],
    "num_classes": None,
    "parameters": {"generator": 1234567, "discriminator": 7654321},
    "versions": {"kgan": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0"},
    "training": {"images_seen": 640000, "seconds": 5400, "hardware": "2 cores of x", "seed": 0},
    "metrics": [],
}
RECIPE = Recipe(
    name="faces",
    model="DCGAN",
    data=Data("celeba/train", licence_note="Research only, says CelebA.", note="Cropped."),
    note="With a moving average.",
)


def _make_preset(directory, recipe=RECIPE, metadata=METADATA) -> Path:
    """A preset whose files are right, though there is no model in them."""
    directory.mkdir(parents=True)
    for name in ("config.json", "model.weights.h5", "samples.png"):
        (directory / name).write_text(f"{name} of {directory.name}")
    (directory / "recipe.toml").write_text(recipe.to_toml())
    presets.write_metadata(directory, metadata)
    return directory


def _flip_byte(path, position=-2):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def _change_metadata(directory, **values):
    path = directory / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def preset(tmp_path) -> Path:
    return _make_preset(tmp_path / "faces")


@pytest.fixture
def zoo(tmp_path, monkeypatch) -> Path:
    """A registry with the presets `faces` and `digits`, listed in KGAN_ZOO."""
    for name in ("faces", "digits"):
        _make_preset(tmp_path / "zoo" / name, metadata={**METADATA, "name": name})
    monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
    return tmp_path / "zoo"


class TestResolve:
    def test_directory_is_itself(self, preset):
        assert presets.resolve(preset) == (str(preset), None)

    def test_name_is_found_in_a_registry(self, zoo):
        assert presets.resolve("digits") == (str(zoo / "digits"), None)

    def test_names_are_those_of_all_registries(self, zoo, tmp_path, monkeypatch):
        _make_preset(tmp_path / "more" / "cars")
        monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([str(zoo), str(tmp_path / "more")]))
        assert {"cars", "digits", "faces"} <= set(presets.names())

    def test_earlier_registry_wins(self, zoo, tmp_path, monkeypatch):
        _make_preset(tmp_path / "more" / "digits")
        monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([str(tmp_path / "more"), str(zoo)]))
        assert presets.resolve("digits")[0] == str(tmp_path / "more" / "digits")

    def test_unknown_name_suggests_the_nearest(self, zoo):
        with pytest.raises(KganError, match="Received: 'digit'; did you mean .*digits"):
            presets.resolve("digit")

    def test_unknown_name_like_no_other_lists_them_all(self, zoo):
        with pytest.raises(KganError, match="Received: 'qqqq'; kgan has .*digits, faces"):
            presets.resolve("qqqq")

    def test_unknown_name_without_any_preset_is_one_sentence(self, monkeypatch, tmp_path):
        monkeypatch.delenv("KGAN_ZOO", raising=False)
        monkeypatch.setattr(presets, "builtin_directory", lambda: tmp_path)  # an empty one
        with pytest.raises(KganError, match=r"Received: 'qqqq'; .*\w$"):
            presets.resolve("qqqq")

    def test_directory_that_is_no_preset_is_refused(self, tmp_path):
        with pytest.raises(KganError, match="a preset: .*Received: .*, which has no metadata"):
            presets.resolve(tmp_path)


class TestRead:
    def test_sound_preset_is_read(self, preset):
        directory, metadata = presets.read(preset)
        assert directory == preset and metadata["training"]["images_seen"] == 640000

    @pytest.mark.parametrize("name", [*FILES, "LICENSE"])
    def test_flipped_byte_is_found_in_every_file(self, preset, name):
        _flip_byte(preset / name)
        with pytest.raises(KganError, match=f"Damaged preset: .*{name} has SHA-256"):
            presets.read(preset)

    @pytest.mark.parametrize("name", [*FILES, "LICENSE"])
    def test_missing_file_is_named(self, preset, name):
        (preset / name).unlink()
        with pytest.raises(KganError, match=f"Incomplete preset: .*{name} is missing"):
            presets.read(preset)

    @pytest.mark.parametrize("name", FILES)
    def test_file_without_a_hash_is_not_trusted(self, preset, name):
        files = json.loads((preset / "metadata.json").read_text())["files"]
        del files[name]
        _change_metadata(preset, files=files)
        with pytest.raises(KganError, match=name):
            presets.read(preset)

    def test_pinned_metadata_is_read_as_it_was(self, zoo):
        presets.write_registry(zoo)
        assert presets.read("faces")[0] == zoo / "faces"

    def test_changed_metadata_is_refused_if_pinned(self, zoo):
        presets.write_registry(zoo)
        _change_metadata(zoo / "faces", licence="CC0")
        with pytest.raises(KganError, match="Damaged preset: .*metadata.json.*registry expects"):
            presets.read("faces")

    def test_newer_format_is_refused(self, preset):
        _change_metadata(preset, format=2)
        with pytest.raises(KganError, match="preset of format 1. Received: format 2 .*newer kgan"):
            presets.read(preset)

    @pytest.mark.parametrize("text", ["{", "", "[1, 2]", "\x00"])
    def test_metadata_that_is_no_json_table_is_refused(self, preset, text):
        (preset / "metadata.json").write_text(text)
        with pytest.raises(KganError, match="Damaged preset: .*metadata.json"):
            presets.read(preset)

    @pytest.mark.parametrize("key", ["files", "parameters"])
    def test_metadata_without_what_info_needs_is_refused(self, preset, key):
        metadata = json.loads((preset / "metadata.json").read_text())
        del metadata[key]
        (preset / "metadata.json").write_text(json.dumps(metadata))
        with pytest.raises(KganError, match="metadata.json"):
            presets.info(preset)


class TestInfo:
    def test_says_what_the_design_promises(self, preset):
        size = sum(path.stat().st_size for path in preset.iterdir())
        assert presets.info(preset) == {
            "name": "faces",
            "model": "DCGAN",
            "dataset": "CelebA, aligned faces",
            "image_shape": [64, 64, 3],
            "num_classes": None,
            "parameters": 1234567 + 7654321,
            "size_bytes": size - (preset / "metadata.json").stat().st_size,
            "licence": "CelebA: non-commercial research only",
            "metrics": [],
            "path": str(preset),
        }


class TestWriting:
    def test_new_preset_takes_its_place_when_the_block_ends(self, tmp_path):
        with presets.writing(tmp_path / "new") as partial:
            (partial / "x").touch()
            assert not (tmp_path / "new").exists()
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]

    def test_preset_is_replaced_whole(self, preset):
        with presets.writing(preset) as partial:
            (partial / "x").touch()
            assert presets.read(preset)  # the old one is there until the end
        assert [path.name for path in preset.iterdir()] == ["x"]

    def test_nothing_else_is_left_beside_it(self, preset):
        with presets.writing(preset) as partial:
            (partial / "x").touch()
        assert list(preset.parent.iterdir()) == [preset]

    def test_failure_leaves_the_old_preset_alone(self, preset):
        with pytest.raises(RuntimeError), presets.writing(preset) as partial:
            (partial / "x").touch()
            raise RuntimeError
        assert list(preset.parent.iterdir()) == [preset] and presets.read(preset)

    def test_failure_leaves_nothing_of_a_new_preset(self, tmp_path):
        with pytest.raises(RuntimeError), presets.writing(tmp_path / "new") as partial:
            (partial / "x").touch()
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []

    def test_directory_with_other_files_is_refused(self, tmp_path):
        (tmp_path / "thesis.tex").touch()
        with pytest.raises(KganError, match="which holds other files"), presets.writing(tmp_path):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_file_is_refused(self, tmp_path):
        (tmp_path / "x").touch()
        with pytest.raises(KganError, match="Expected a directory.*file"):
            presets.check_replaceable(tmp_path / "x")


class TestCard:
    @pytest.mark.parametrize(
        "text",
        [
            "# faces\n",
            "- Data: CelebA, aligned faces\n",
            "- Licence: CelebA: non-commercial research only\n",
            "\nResearch only, says CelebA.\n",
            "\nCropped.\n",
            "\nWith a moving average.\n",
            "- Images seen: 640,000\n",
            "- Time: 1.50 h on 2 cores of x\n",
            "generator 1,234,567 parameters, discriminator 7,654,321",
            "64x64 images with 3 channels",
            "- kgan 0.1.0, Keras 3.15.1, TensorFlow 2.21.0\n",
        ],
    )
    def test_card_says(self, text):
        assert text in presets.card(METADATA, RECIPE)

    def test_licence_of_the_weights_lies_beside_them(self, preset):
        assert (preset / "LICENSE").read_text() == "Research only, says CelebA.\n"

    def test_no_licence_is_made_up(self, tmp_path):
        preset = _make_preset(tmp_path / "x", Recipe(name="x", model="DCGAN"))
        assert not (preset / "LICENSE").exists()


def test_moved_preset_is_still_sound(tiny_preset, tmp_path):
    shutil.copytree(tiny_preset, tmp_path / "elsewhere")
    assert presets.read(tmp_path / "elsewhere")[1] == presets.read(tiny_preset)[1]
