"""kgan.zoo.metadata: what `metadata.json` may say."""

import json

import pytest

import kgan
from kgan.errors import KganError
from kgan.zoo import metadata, preset
from kgan.zoo.metadata import MOST_FILES
from zoo.sound import METADATA, SELECTED, change_metadata, make_preset


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
        *(("parameters", v) for v in ([], {}, None, 3)),
        *(("parameters", {name: 1}) for name in ("", "a b", "../x", "é", "x" * 41, "1a", "__a__")),
        *(("parameters", {name: 1}) for name in ("a\n# b", "\x1b[31m", "\u202e", "a, b 7", "A")),
        ("parameters", {f"player_{i}": 1 for i in range(17)}),
        ("parameters", {"generator": 1.5}),
        ("parameters", {"generator": None}),
        *(("samples", v) for v in (-1, 2**40, True, "64", [64], 1.5)),
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
        *(("format", v) for v in (0, 3, -1, True, 1.0, 2.0, "2", None, [2])),
        ("format", float("nan")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_odd_metadata_are_refused_in_a_line(faces, key, value):
    change_metadata(faces, **{key: value})
    for read in (preset.read, kgan.zoo.info):
        with pytest.raises(KganError, match="metadata.json") as caught:
            read(faces)
        message = str(caught.value)
        assert message.isprintable() and len(message) < 1000


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/b", "a\\b", "..", ".", "", ".x", "CONFIG.JSON", "metadata.json"],
)
def test_odd_names_of_files_are_refused(faces, name):
    files = json.loads((faces / "metadata.json").read_text())["files"]
    change_metadata(faces, files={**files, name: files["config.json"]})
    with pytest.raises(KganError, match="expected files to be plain file names"):
        preset.read(faces)


@pytest.mark.parametrize("changes", [{"size": -1}, {"size": "1"}, {"sha256": "0"}])
def test_odd_sizes_and_hashes_are_refused(faces, changes):
    files = json.loads((faces / "metadata.json").read_text())["files"]
    files["config.json"].update(changes)
    change_metadata(faces, files=files)
    with pytest.raises(KganError, match="expected files to be plain file names"):
        preset.read(faces)


def test_many_files_are_refused(faces):
    files = {f"x{i}": {"size": 0, "sha256": "0" * 64} for i in range(MOST_FILES + 1)}
    change_metadata(faces, files=files)
    with pytest.raises(KganError, match=f"at most {MOST_FILES}"):
        preset.read(faces)


@pytest.mark.parametrize("value", ["-1", "many", "1e9"])
def test_odd_limit_is_refused(faces, monkeypatch, value):
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", value)
    with pytest.raises(KganError, match="KGAN_MOST_WEIGHTS to be a number of MB"):
        preset.read(faces)


def test_an_empty_limit_is_none_of_ones_own(faces, monkeypatch):
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", "")
    assert preset.read(faces)


def test_only_what_can_be_loaded_is_written(tmp_path):
    with pytest.raises(KganError, match="expected licence to be one line"):
        make_preset(tmp_path / "x", metadata={**METADATA, "licence": "two\nlines"})


def test_newer_format_is_refused(faces):
    change_metadata(faces, format=3)
    with pytest.raises(KganError, match="of format 1 or 2. Received: format 3 .*newer kgan"):
        preset.read(faces)


@pytest.mark.parametrize("number", [1, 2])
def test_both_formats_are_read(faces, number):
    change_metadata(faces, format=number)
    assert preset.read(faces).metadata["format"] == number


def test_parameters_are_those_of_any_players(faces):
    parameters = {"generator_ab": 3, "generator_ba": 4, "discriminator_a": 5, "d2": 6}
    preset.complete(faces, {**METADATA, "parameters": parameters})
    assert kgan.zoo.info(faces)["parameters"] == 18
    said = (faces / "README.md").read_text()
    assert ": generator_ab 3 parameters, generator_ba 4, discriminator_a 5, d2 6." in said


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", "\x00"])
def test_metadata_that_is_no_json_table_is_refused(faces, text):
    (faces / "metadata.json").write_text(text)
    with pytest.raises(KganError, match="Damaged preset: .*metadata.json"):
        preset.read(faces)


@pytest.mark.parametrize("key", ["files", "parameters"])
def test_metadata_without_what_info_needs_is_refused(faces, key):
    metadata = json.loads((faces / "metadata.json").read_text())
    del metadata[key]
    (faces / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(KganError, match="metadata.json"):
        kgan.zoo.info(faces)


def test_memory_follows_the_limit_of_weights_and_their_size(monkeypatch):
    usual = 8 * 96 << 20
    assert metadata.most_memory(0) == metadata.most_memory(96 << 20) == usual
    assert metadata.most_memory(500 << 20) == 8 * 500 << 20  # in a directory of one's own
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", "200")
    assert metadata.most_memory(0) == 8 * 200 << 20
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", "0")
    assert metadata.most_memory(0) == usual
