"""The page of all presets in a zoo directory."""

import json
import shutil

import pytest

import kgan
from kgan.zoo import gallery, preset, registry

PROTOCOL = {
    "extractor": "random",
    "extractor_version": None,
    "extractor_sha256": 64 * "0",
    "resize": "none",
    "real_images": 4,
    "generated_images": 4,
    "data": "faces/test",
    "split": None,
    "floor_images": None,
    "seed": 0,
    "truncation": None,
}
FIGURES = [
    {"metric": "frechet_distance", "value": 1.25, "floor": 0.5, **PROTOCOL},
    {"metric": "recall", "value": 0.75, "floor": 0.875, **PROTOCOL},
]


@pytest.fixture
def zoo(tiny_preset, tmp_path):
    """Two presets of the same data, and one that says less of itself."""
    for name, dataset, figures in (
        ("b", "Faces", FIGURES),
        ("a", "Faces", FIGURES),
        ("c", None, []),
    ):
        directory = shutil.copytree(tiny_preset, tmp_path / "zoo" / name)
        metadata = json.loads((directory / "metadata.json").read_text())
        changes = {"name": name, "dataset": dataset, "metrics": figures, "licence": None}
        preset.complete(directory, {**metadata, **changes})
    return tmp_path / "zoo"


def rows(page):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ")
    ]


def test_one_table_with_a_row_of_real_images_for_each_data_set(zoo):
    header, *table = rows(gallery.gallery(zoo))
    assert [row[0] for row in table] == [
        "[c](#c)",
        "*Faces: real images*",
        "[a](#a)",
        "[b](#b)",
    ]
    column = header.index("frechet distance")
    assert [row[column] for row in table] == ["", "0.5", "1.25", "1.25"]
    column = header.index("recall")
    assert [row[column] for row in table] == ["", "0.875", "0.75", "0.75"]
    assert all(len(row) == len(header) for row in table)


def test_presets_of_another_protocol_stand_below_a_floor_of_their_own(zoo):
    metadata = json.loads((zoo / "a" / "metadata.json").read_text())
    now = {"real_images": 4000, "places": "even places of 8,000 training pictures"}
    metrics = [{**figure, **now, "floor": 0.25, "value": 0.3} for figure in FIGURES]
    preset.complete(zoo / "a", {**metadata, "metrics": metrics})
    header, *table = rows(gallery.gallery(zoo))
    column = header.index("frechet distance")
    assert [(row[0], row[column]) for row in table[1:]] == [
        ("*Faces: real images*", "0.5"),
        ("[b](#b)", "1.25"),
        ("*Faces: real images*", "0.25"),
        ("[a](#a)", "0.3"),
    ]


def test_every_picture_and_card_is_there(zoo):
    page = gallery.gallery(zoo)
    for name in "abc":
        for path in (f"{name}/samples.png", f"{name}/README.md"):
            assert f"]({path})" in page and (zoo / path).is_file()


def test_a_directory_here_is_no_name_of_the_zoo(zoo, monkeypatch):
    (zoo / "a").rename(zoo / "dcgan-mnist")
    expected = gallery.gallery(zoo)
    monkeypatch.chdir(zoo)
    assert gallery.gallery(".") == expected
    assert "MNIST" not in expected.replace("dcgan-mnist", "")
    info = kgan.zoo.info("./dcgan-mnist")
    assert info["name"] == "a" and info["path"] == str(zoo / "dcgan-mnist")


def test_a_page_of_someone_else_is_left_alone(zoo):
    gallery.write_gallery(zoo)
    assert (zoo / "README.md").read_text() == gallery.gallery(zoo)
    shutil.rmtree(zoo / "c")
    gallery.write_gallery(zoo)  # one of its own is replaced
    assert "(#c)" not in (zoo / "README.md").read_text()
    (zoo / "README.md").write_text("# My zoo\n")
    gallery.write_gallery(zoo)
    assert (zoo / "README.md").read_text() == "# My zoo\n"


def test_the_gallery_of_the_zoo_is_up_to_date():
    zoo = registry.builtin_directory()
    page = (zoo / "README.md").read_text("utf-8")
    assert page == gallery.gallery(zoo)
    assert all(f"(#{name})" in page for name in kgan.zoo.names())
