"""kgan.zoo.presets: preset directories as files."""

import json
import os
import shutil
from pathlib import Path

import pytest
import strangers

from kgan.zoo import presets
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
SELECTED = {
    "metric": "kernel_distance",
    "value": 0.00226,
    "extractor_sha256": 64 * "a",
    "seed": 1000,
    "images": 4000,
    "places": "odd places of 8,000 training pictures",
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

    def test_colons_of_urls_do_not_separate_registries(self, monkeypatch):
        given = ["https://host:8000/zoo", "2024/zoo", "hf://owner/repo#sha256=ab", "/zoo"]
        given += ["http://host", "http://host:80"]
        monkeypatch.setenv("KGAN_ZOO", "::" + ":".join(given))
        monkeypatch.setattr(presets.os, "pathsep", ":")
        assert presets.registries()[1:] == given

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


class TestStrangers:
    """What a stranger may have put into a preset, with the right hashes."""

    @pytest.mark.parametrize(
        "key, value",
        [
            *(("name", v) for v in (None, "", 7, "two\nlines", "\x1b[31m", "\ud800", "x" * 5000)),
            *(("model", v) for v in (None, ["GAN"], "\u202eNAG")),
            *(("licence", v) for v in ("free\n\nName: other", {"a": 1}, True)),
            ("dataset", "\x07"),
            *(("image_shape", v) for v in ("64", [64, 64], [64, 64, 2], [0, 1, 3], [1e9, 1, 1])),
            *(("image_shape", v) for v in ([2**40, 1, 1], [True, 1, 1], {}, None)),
            *(("num_classes", v) for v in (0, -1, 2**40, "10", 1.5, True)),
            *(("class_names", v) for v in ("abc", [1], [["a"]], ["a\nb"], {})),
            *(("parameters", v) for v in ([], {"generator": 1}, 3)),
            ("parameters", {"generator": "1", "discriminator": 2}),
            ("parameters", {"generator": -1, "discriminator": 2**70}),
            *(("versions", v) for v in (None, [], {"kgan": "1"})),
            ("versions", {"kgan": "1", "keras": "3", "tensorflow": [2]}),
            *(("training", v) for v in (None, {}, {"images_seen": "many"})),
            ("training", {"images_seen": 1, "seconds": "1", "hardware": "x"}),
            ("training", {"images_seen": 1, "seconds": None, "hardware": "x\ny"}),
            *(
                ("training", {"images_seen": 1, "hardware": "x", "selected": selected})
                for selected in (
                    "x",
                    {"metric": "a\nb", "value": 1.0},
                    {"metric": "a"},
                    {"metric": "a", "value": True},
                    {"metric": "a", "value": 1.0, "places": "odd"},  # all of them, or none
                    *(
                        {**SELECTED, key: value}
                        for key, value in (
                            ("extractor_sha256", "a"),
                            ("seed", -1),
                            ("images", 1.5),
                            ("places", "odd\neven"),
                            ("places", None),
                            ("snapshots", "3"),
                        )
                    ),
                )
            ),
            *(("metrics", v) for v in ("x", [1], {"a": 1})),
            *(("files", v) for v in ([], "x", {"config.json": 1}, {"config.json": {}})),
            ("format", True + 1),
            ("format", float("nan")),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_odd_metadata_are_refused_in_a_line(self, preset, key, value):
        _change_metadata(preset, **{key: value})
        for read in (presets.read, presets.info):
            with pytest.raises(KganError, match="metadata.json") as caught:
                read(preset)
            message = str(caught.value)
            assert message.isprintable() and len(message) < 1000

    @pytest.mark.parametrize(
        "name",
        ["/etc/passwd", "../x", "a/b", "a\\b", "..", ".", "", ".x", "CONFIG.JSON", "metadata.json"],
    )
    def test_odd_names_of_files_are_refused(self, preset, name):
        files = json.loads((preset / "metadata.json").read_text())["files"]
        _change_metadata(preset, files={**files, name: files["config.json"]})
        with pytest.raises(KganError, match="expected files to be plain file names"):
            presets.read(preset)

    @pytest.mark.parametrize("changes", [{"size": -1}, {"size": "1"}, {"sha256": "0"}])
    def test_odd_sizes_and_hashes_are_refused(self, preset, changes):
        files = json.loads((preset / "metadata.json").read_text())["files"]
        files["config.json"].update(changes)
        _change_metadata(preset, files=files)
        with pytest.raises(KganError, match="expected files to be plain file names"):
            presets.read(preset)

    def test_many_files_are_refused(self, preset):
        files = {f"x{i}": {"size": 0, "sha256": "0" * 64} for i in range(presets.MOST_FILES + 1)}
        _change_metadata(preset, files=files)
        with pytest.raises(KganError, match=f"at most {presets.MOST_FILES}"):
            presets.read(preset)

    @pytest.mark.parametrize("name", ["config.json", "recipe.toml", "samples.png"])
    def test_large_file_is_refused_before_it_is_read(self, preset, name):
        os.truncate(preset / name, 1 << 26)
        strangers.rehash(preset)
        with pytest.raises(KganError, match=f"Expected at most .* bytes of {name}. Received: 67,1"):
            presets.read(preset)

    def test_large_weights_are_refused_unless_asked_for(self, preset, monkeypatch):
        os.truncate(preset / presets.WEIGHTS, 97 << 20)
        strangers.rehash(preset)
        with pytest.raises(KganError, match="at most 100,663,296 .*KGAN_MOST_WEIGHTS, in MB"):
            presets.read(preset)
        monkeypatch.setenv("KGAN_MOST_WEIGHTS", "97")
        assert presets.read(preset)

    @pytest.mark.parametrize("value", ["", "-1", "many", "1e9"])
    def test_odd_limit_is_refused(self, preset, monkeypatch, value):
        monkeypatch.setenv("KGAN_MOST_WEIGHTS", value)
        with pytest.raises(KganError, match="KGAN_MOST_WEIGHTS to be a number of MB"):
            presets.read(preset)

    def test_other_size_is_damage(self, preset):
        with open(preset / presets.CARD, "a") as file:
            file.write("!")
        with pytest.raises(KganError, match="Damaged preset: .*README.md has .* bytes, expected"):
            presets.read(preset)

    @pytest.mark.parametrize("name", [*FILES, "metadata.json"])
    def test_link_out_of_the_directory_is_refused(self, preset, name):
        (preset / name).rename(preset.parent / "elsewhere")
        (preset / name).symlink_to(preset.parent / "elsewhere")
        with pytest.raises(KganError, match=f"Received: .*{name}, a link elsewhere"):
            presets.read(preset)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
    def test_what_is_no_file_is_missing(self, preset, name, make):
        (preset / name).unlink()
        make(preset / name)
        with pytest.raises(KganError, match=f"Incomplete preset: .*{name} is missing"):
            presets.read(preset)

    def test_metadata_that_are_no_file_are_no_preset(self, preset):
        (preset / "metadata.json").unlink()
        os.mkfifo(preset / "metadata.json")
        with pytest.raises(KganError, match="which has no metadata.json"):
            presets.read(preset)

    @pytest.mark.parametrize(
        "pins", [{"a/b": "0" * 64}, {"a": "0"}, {"a": 7}, {"\x1b": "0" * 64}, {"..\n": None}, []]
    )
    def test_odd_registry_is_refused(self, zoo, pins):
        (zoo / "registry.json").write_text(json.dumps(pins))
        with pytest.raises(KganError, match="Damaged.*registry.json"):
            presets.names()

    def test_only_what_can_be_loaded_is_written(self, tmp_path):
        with pytest.raises(KganError, match="expected licence to be one line"):
            _make_preset(tmp_path / "x", metadata={**METADATA, "licence": "two\nlines"})


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

    @pytest.mark.parametrize(
        "selected, text",
        [
            (
                {**SELECTED, "snapshots": 24},
                "- The best of 24 snapshots by kernel distance (0.00226) to 4,000 pictures at odd "
                "places of 8,000 training pictures, seed 1000, in 768,000 images of training\n",
            ),
            (  # as kgan 0.1 wrote it
                {"metric": "kernel_distance", "value": 0.00226, "snapshots": 24},
                "- The best of 24 snapshots by kernel distance (0.00226) on held-out images, in "
                "768,000 images of training\n",
            ),
        ],
    )
    def test_how_the_snapshot_was_selected(self, preset, selected, text):
        metadata = {**METADATA, "training": {**METADATA["training"], "selected": selected}}
        recipe = Recipe(name="faces", model="DCGAN", images=768_000)
        assert text in presets.card(metadata, recipe)
        presets.write_metadata(preset, metadata)
        assert presets.read(preset)[1]["training"]["selected"] == selected

    def test_a_snapshot_that_was_measured_but_not_selected_says_nothing(self):
        metadata = {**METADATA, "training": {**METADATA["training"], "selected": SELECTED}}
        assert "snapshots" not in presets.card(metadata, RECIPE)

    def test_licence_of_the_weights_lies_beside_them(self, preset):
        assert (preset / "LICENSE").read_text() == "Research only, says CelebA.\n"

    def test_no_licence_is_made_up(self, tmp_path):
        preset = _make_preset(tmp_path / "x", Recipe(name="x", model="DCGAN"))
        assert not (preset / "LICENSE").exists()


def test_moved_preset_is_still_sound(tiny_preset, tmp_path):
    shutil.copytree(tiny_preset, tmp_path / "elsewhere")
    assert presets.read(tmp_path / "elsewhere")[1] == presets.read(tiny_preset)[1]
