"""Evaluation of presets that translate: the figures, what stands beside them, and what is said."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan.errors import KganError, KganWarning
from kgan.images import read_provenance
from kgan.metrics import extractor, kernel_distance, mean_absolute_error, protocol, psnr, ssim
from kgan.models import CycleGAN, Pix2Pix
from kgan.recipe import Data, Recipe
from kgan.runs import evaluate as evaluation
from kgan.runs.evaluate_translation import METRICS, nearest_in_pixels, with_channels
from kgan.zoo import gallery, preset
from kgan.zoo.results import markdown, text

SIDE = 32


def _write(folder, images):
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i:02d}.png")


def _pictures(seed, count, channels=3):
    shape = (count, SIDE, SIDE, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Arrays by part, and the data directory that has them as folders.

    The inputs of the six held-out pairs are nearly those of training pairs 11, 10, ….
    """
    root = tmp_path_factory.mktemp("data")
    found = {"a/train": _pictures(0, 12, 1), "b/train": _pictures(1, 12)}
    found |= {"a/test": found["a/train"][:5:-1] // 2 * 2, "b/test": _pictures(2, 6)}
    found |= {"c/train": _pictures(3, 8), "c/test": _pictures(4, 2)}
    for name, images in found.items():
        _write(root / name, images)
    return found, root


@pytest.fixture(scope="module")
def tiny():
    """A small network as extractor: twelve numbers of an image."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(12, 4, 4, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="tiny")


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    """The preset of an untrained Pix2Pix of gray pictures into colored ones."""
    model = Pix2Pix((SIDE, SIDE, 1), target_channels=3, width=2, max_channels=2)
    data = Data("a/train", target="b/train", paired="names")
    return _saved(model, data, tmp_path_factory)


@pytest.fixture(scope="module")
def turner(tmp_path_factory):
    """That of an untrained CycleGAN between b and c."""
    model = CycleGAN((SIDE, SIDE, 3), width=2, residual_blocks=0)
    data = Data("b/train", target="c/train", paired="no")
    return _saved(model, data, tmp_path_factory)


def _saved(model, data, tmp_path_factory):
    model.compile()
    directory = tmp_path_factory.mktemp("presets") / "tiny"
    kgan.zoo.save(model, directory, Recipe("tiny", type(model).__name__, data=data))
    return directory


@pytest.fixture(scope="module")
def painted(painter, world, tiny):
    return evaluation.evaluate(painter, data_dir=world[1], extractor=tiny)


@pytest.fixture(scope="module")
def turned(turner, world, tiny):
    return evaluation.evaluate(turner, data_dir=world[1], extractor=tiny)


def _named(results, metric, direction="a_to_b"):
    (result,) = (r for r in results if (r["metric"], r["direction"]) == (metric, direction))
    return result


def test_of_pairs_figures_are_those_of_the_metrics(painted, painter, world, tiny):
    found, _ = world
    inputs, truth = found["a/test"], found["b/test"]
    made = kgan.zoo.load(painter).translate(inputs)
    nearest = found["b/train"][:5:-1]
    gray = inputs.repeat(3, axis=3)
    assert [r["metric"] for r in painted] == [
        *("mean_absolute_error", "psnr", "ssim", "kernel_distance")
    ]
    for name, metric in (
        ("mean_absolute_error", mean_absolute_error),
        ("psnr", psnr),
        ("ssim", ssim),
    ):
        result = _named(painted, name)
        assert result["value"] == metric(truth, made)
        assert result["baselines"] == {
            "input": metric(truth, gray),
            "nearest": metric(truth, nearest),
        }
        assert result["floor"] is None and result["floor_images"] is None
    features = extractor(tiny).features
    result, real = _named(painted, "kernel_distance"), features(truth)
    distances = {
        name: kernel_distance(real, features(images), subset_size=3)[0]
        for name, images in (
            *(("value", made), ("input", gray), ("nearest", nearest)),
            ("floor", found["b/train"][::2]),
        )
    }
    assert {"value": result["value"], "floor": result["floor"], **result["baselines"]} == distances
    assert result["deviation"] > 0


def test_of_pairs_results_say_what_they_are_of(painted, painter):
    result = _named(painted, "kernel_distance")
    assert result["inputs"] == result["places"] == "even spaces of 6 held-out pictures"
    assert result["floor_places"] == "even spaces of 12 training pictures"
    assert [result[f"{of}_images"] for of in ("real", "generated", "floor")] == [6, 6, 6]
    assert (result["data"], result["split"]) == ("a/train and b/train", "held-out")
    assert (result["extractor"], result["seeds"], result["resize"]) == ("tiny", None, "none")
    assert result["weights_sha256"] == preset.read(painter).weights_sha256
    assert result["left_out"] == "the Fréchet distance, of fewer than 250 images"


def test_of_domains_halves_of_the_training_pictures_are_compared_with(turned, turner, world, tiny):
    found, _ = world
    model, features = kgan.zoo.load(turner), extractor(tiny).features
    assert {r["metric"] for r in turned} == {"kernel_distance", "cycle_error"}
    for direction, back, inputs, targets, number in (
        ("a_to_b", "b_to_a", found["b/train"], found["c/train"], 4),
        ("b_to_a", "a_to_b", found["c/train"], found["b/train"], 6),
    ):
        inputs = inputs[np.arange(number) * len(inputs) // number]
        made = model.translate(inputs, direction)
        result = _named(turned, "kernel_distance", direction)
        real = features(targets[::2])
        for key, images in (("value", made), ("floor", targets[1::2])):
            fake = features(images)
            assert result[key] == kernel_distance(real, fake, subset_size=number // 2)[0]
        fake = features(inputs)
        expected = kernel_distance(real, fake, subset_size=number // 2)[0]
        assert result["baselines"] == {"input": expected}
        assert result["places"] == f"even places of {2 * number} training pictures"
        cycle = _named(turned, "cycle_error", direction)
        assert cycle["value"] == mean_absolute_error(inputs, model.translate(made, back))
        assert cycle["baselines"] == {} and cycle["floor"] is None


def test_what_was_trained_on_domains_may_be_judged_on_pairs(turner, world, tiny):
    found, root = world
    with pytest.warns(KganWarning, match="no picture of the same name"):
        results = evaluation.evaluate(
            turner, data_dir=root, extractor=tiny, paired="names", metrics=["mean_absolute_error"]
        )
    model, pairs = kgan.zoo.load(turner), (found["b/test"][:2], found["c/test"])
    for direction, (inputs, truth) in (("a_to_b", pairs), ("b_to_a", pairs[::-1])):
        result = _named(results, "mean_absolute_error", direction)
        assert result["value"] == mean_absolute_error(truth, model.translate(inputs, direction))
        assert result["real_images"] == 2 and set(result["baselines"]) == {"input", "nearest"}


def test_paired_says_of_other_pictures_what_they_are(world, tiny, tmp_path):
    """And nothing of those that were trained on, which may be of another kind, or not be named."""
    root = world[1]
    for name, data in (("alone", Data()), ("halves", Data("a/halves", paired="halves"))):
        model = Pix2Pix((SIDE, SIDE, 1), target_channels=3, width=2, max_channels=2)
        model.compile()
        kgan.zoo.save(model, tmp_path / name, Recipe(name, "Pix2Pix", data=data))
        (ssim_of,) = evaluation.evaluate(
            tmp_path / name,
            str(root / "a/test"),
            target=str(root / "b/test"),
            paired="names",
            data_dir=root,
            extractor=tiny,
            metrics=["ssim"],
        )
        assert ssim_of["real_images"] == 6 and ssim_of["paired"] is None


def test_halves_of_other_pictures(painter, world, tiny, tmp_path):
    found, root = world
    gray = found["a/test"].repeat(3, axis=3)
    _write(tmp_path / "halves", np.concatenate([gray, found["b/test"]], axis=2))
    halves = str(tmp_path / "halves")
    (result,) = evaluation.evaluate(
        painter, halves, data_dir=root, extractor=tiny, metrics=["ssim"]
    )
    made = kgan.zoo.load(painter).translate(found["a/test"])
    assert result["value"] == ssim(found["b/test"], made) and result["data"] == halves


def test_without_the_training_pictures_there_is_no_floor(painter, world, tiny, tmp_path):
    found, _ = world
    for name in ("a/test", "b/test"):
        _write(tmp_path / name, found[name])
    options = {"data_dir": tmp_path, "extractor": tiny}
    results = evaluation.evaluate(painter, "a/test", target="b/test", **options)
    result = _named(results, "kernel_distance")
    assert result["floor"] is None and set(result["baselines"]) == {"input"}
    assert result["data"] == "a/test and b/test"
    assert result["left_out"].startswith("the floor and what else needs training pictures (")


def test_text_and_markdown(painted, turned):
    lines = text(painted).splitlines()
    assert lines[0].split("  ")[-2:] == ["input itself", "nearest pair"]
    assert lines[1].startswith("mean absolute error, a to b")
    assert lines[6] == (
        "A to b: translations of 6 pictures at even spaces of 6 held-out pictures against 6 "
        "pictures at even spaces of 6 held-out pictures, of a/train and b/train. Floor: 6 pictures "
        "at even spaces of 12 training pictures in their place."
    )
    assert "Errors in levels, 0 to 255, PSNR in decibels." in lines
    assert len(markdown(turned)[0].split("|")) == 6  # no column of pairs
    assert "Nearest pair" not in text(turned)


def test_figures_go_into_the_card(painter, painted, world):
    evaluation.update_card(painter, painted, world[1])
    assert preset.read(painter).metadata["metrics"] == painted
    card = (painter / "README.md").read_text()
    assert "| mean absolute error, a to b |" in card
    assert "`kgan evaluate tiny`" in card and "--direction" not in card


def _tiles(sheet, rows, columns):
    """The pictures of a sheet as rows of arrays, by its documented layout."""
    step = SIDE + 2
    assert sheet.shape[:2] == (rows * step + 2, columns * step + 2)
    return [
        [sheet[2 + r * step :, 2 + c * step :][:SIDE, :SIDE] for c in range(columns)]
        for r in range(rows)
    ]


def _copied(directory, tmp_path, data=None):
    shutil.copytree(directory, tmp_path / "zoo/tiny")
    if data is not None:
        found = preset.read(directory)
        recipe = replace(found.recipe, data=replace(found.recipe.data, **data))
        kgan.zoo.save(kgan.zoo.load(directory), tmp_path / "zoo/tiny", recipe)
    return tmp_path / "zoo/tiny"


@pytest.mark.parametrize("data", [None, {"licence_note": "Name the artists.", "show": True}])
def test_a_card_shows_pairs_translations_and_the_truth(painter, painted, world, tmp_path, data):
    found, root = world
    place = _copied(painter, tmp_path, data)
    evaluation.update_card(place, painted, root)
    sheet = np.asarray(Image.open(place / "translations.png"))
    rows = _tiles(sheet, 3, 6)
    inputs = found["a/test"].repeat(3, axis=3)
    expected = inputs, kgan.zoo.load(place).translate(found["a/test"]), found["b/test"]
    for row, pictures in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, pictures)
    assert "(translations.png)" in (place / "README.md").read_text()
    assert "translations.png" in preset.read(place).metadata["files"]
    assert "(tiny/translations.png)" in gallery.gallery(place.parent)
    assert read_provenance(place / "translations.png")["model"] == "tiny"


def test_a_card_shows_domains_both_ways(turner, turned, world, tmp_path):
    found, root = world
    place = _copied(turner, tmp_path)
    evaluation.update_card(place, turned, root)
    rows = _tiles(np.asarray(Image.open(place / "translations.png")), 4, 2)
    b, c = found["b/test"][protocol.evenly(range(6), 2)], found["c/test"]
    model = kgan.zoo.load(place)
    expected = b, model.translate(b, "a_to_b"), c, model.translate(c, "b_to_a")
    for row, pictures in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, pictures)


def test_a_card_of_domains_that_are_judged_on_pairs_shows_the_truth(turner, world, tiny, tmp_path):
    found, root = world
    place = _copied(turner, tmp_path)
    with pytest.warns(KganWarning, match="no picture of the same name"):
        results = evaluation.evaluate(
            place, data_dir=root, extractor=tiny, paired="names", metrics=["mean_absolute_error"]
        )
        evaluation.update_card(place, results, root)
    rows = _tiles(np.asarray(Image.open(place / "translations.png")), 6, 2)
    b, c = found["b/test"][:2], found["c/test"]
    model = kgan.zoo.load(place)
    expected = b, model.translate(b, "a_to_b"), c, c, model.translate(c, "b_to_a"), b
    for row, pictures in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, pictures)
    card = (place / "README.md").read_text()
    assert "`kgan evaluate tiny --paired names`" in card
    assert "kgan translate tiny photo.jpg --direction b-to-a" in card


def test_without_the_pictures_the_figures_are_written(painter, painted, tmp_path):
    place = _copied(painter, tmp_path, {})
    evaluation.update_card(place, painted, tmp_path / "elsewhere")
    assert preset.read(place).metadata["metrics"] == painted
    assert not (place / "translations.png").exists()


def test_pictures_that_may_not_be_shown_are_not(painter, painted, world, tmp_path):
    place = _copied(painter, tmp_path, {"licence_note": "Not to be shown."})
    evaluation.update_card(place, painted, world[1])
    assert not (place / "translations.png").exists()
    assert "translations.png" not in (place / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"metrics": ["precision_recall"]},
            "metrics among mean_absolute_error, .*precision_recall",
        ),
        ({"metrics": ["cycle_error"]}, "of a Pix2Pix. Received: 'cycle_error'"),
        ({"metrics": []}, "metrics among"),
        ({"metrics": ["frechet_distance"]}, "at least 250 real"),
        ({"seeds": [3]}, "seeds with a preset that samples. Received: seeds=\\(3,\\)"),
        ({"truncation": 0.7}, "truncation with a preset that samples"),
        ({"split": "test"}, "split with a preset that samples"),
        ({"paired": "no", "metrics": ["ssim"]}, "Expected pairs for ssim"),
        ({"paired": "perhaps"}, "paired in a recipe to be one of"),
        ({"target": "b/test"}, "--target with --data"),
        ({"data_source": "a/none", "target": "b/test"}, "a/none"),
    ],
)
def test_what_cannot_be_measured_is_refused(painter, world, tiny, options, said):
    with pytest.raises(KganError, match=said):
        evaluation.evaluate(painter, data_dir=world[1], extractor=tiny, **options)


def test_what_samples_has_no_target(tiny_preset):
    with pytest.raises(KganError, match="target with a preset that translates.*and a DCGAN"):
        evaluation.evaluate(tiny_preset, target="b/test")


def test_nearest_pictures_are_found_across_batches():
    reference = _pictures(5, 300)[:, :4, :4]
    images = reference[[299, 0, 256, 17]] // 2 * 2
    assert nearest_in_pixels(images, reference).tolist() == [299, 0, 256, 17]


def test_channels_are_made_alike():
    colors = _pictures(6, 2)
    gray = with_channels(colors, 1)
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in colors]
    np.testing.assert_array_equal(gray[..., 0], expected)
    np.testing.assert_array_equal(with_channels(gray, 3), gray.repeat(3, axis=3))
    assert with_channels(colors, 3) is colors


def test_the_command_line_knows_the_metrics():
    from kgan.cli.evaluate import OF_TRANSLATIONS

    assert OF_TRANSLATIONS == METRICS
