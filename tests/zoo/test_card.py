"""kgan.zoo.card: what cards say."""

import pytest

from kgan.recipe import Recipe
from kgan.zoo import preset
from kgan.zoo.card import card
from zoo.sound import METADATA, RECIPE, SELECTED, make_preset


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
def test_card_says(text):
    assert text in card(METADATA, RECIPE)


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
def test_how_the_snapshot_was_selected(faces, selected, text):
    metadata = {**METADATA, "training": {**METADATA["training"], "selected": selected}}
    recipe = Recipe(name="faces", model="DCGAN", images=768_000)
    assert text in card(metadata, recipe)
    preset.complete(faces, metadata)
    assert preset.read(faces).metadata["training"]["selected"] == selected


def test_a_snapshot_that_was_measured_but_not_selected_says_nothing():
    metadata = {**METADATA, "training": {**METADATA["training"], "selected": SELECTED}}
    assert "snapshots" not in card(metadata, RECIPE)


def test_samples_are_counted():
    assert "\n64 samples, uncurated, seed 0.\n" in card(METADATA, RECIPE)  # of format 1
    assert "\n80 samples, uncurated, seed 0.\n" in card({**METADATA, "samples": 80}, RECIPE)


def test_card_without_samples_shows_none_and_promises_none():
    text = card({**METADATA, "samples": 0}, RECIPE)
    assert "sample" not in text and 'kgan.zoo.load("faces")' in text
    assert "A DCGAN that translates 64x64 images with 3 channels: " in text
    assert "\nkgan translate faces photo.jpg # " in text and "model.translate(" in text


def test_licence_of_the_weights_lies_beside_them(faces):
    assert (faces / "LICENSE").read_text() == "Research only, says CelebA.\n"


def test_no_licence_is_made_up(tmp_path):
    faces = make_preset(tmp_path / "x", Recipe(name="x", model="DCGAN"))
    assert not (faces / "LICENSE").exists()
