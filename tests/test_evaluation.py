"""Evaluation of presets: the figures, their protocol, and the preset's card."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import data, evaluation, presets
from kgan.errors import KganWarning
from kgan.images import grid
from kgan.metrics import extractor, frechet_distance, nearest_neighbours
from kgan.models import ConditionalGAN
from kgan.random import sample_labels
from kgan.recipe import Data, Recipe


def write_images(folder, n, seed, classes=None):
    rng = np.random.default_rng(seed)
    for i in range(n):
        place = folder / classes[i % len(classes)] if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype="uint8"))
        picture.save(place / f"{i:03d}.png")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A data directory with photos/train, 60 images, and photos/test, 40."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "photos/train", 60, seed=0)
    write_images(root / "photos/test", 40, seed=1)
    return root


@pytest.fixture(scope="module")
def trained(tiny_preset, tmp_path_factory):
    """The tiny preset, as if it had been trained on photos/train."""
    directory = tmp_path_factory.mktemp("trained") / "tiny"
    recipe = presets.read_recipe(tiny_preset)
    recipe.data = Data("photos/train")
    kgan.zoo.save(kgan.zoo.load(tiny_preset), directory, recipe)
    return directory


@pytest.fixture(scope="module")
def results(trained, photos):
    return evaluation.evaluate(trained, data_dir=photos)


def named(results, metric):
    (result,) = (r for r in results if r["metric"] == metric)
    return result


def test_figures_are_those_of_the_metrics(results, trained, photos):
    features = extractor("random").features
    load = lambda part: data.load(photos / "photos" / part, (16, 16, 3)).images  # noqa: E731
    real, training = features(load("test")), features(load("train"))
    fake = features(kgan.zoo.load(trained).sample(40, seed=0))
    frechet = named(results, "frechet_distance")
    assert frechet["value"] == frechet_distance(real, fake)
    assert frechet["floor"] == frechet_distance(real, training[-40:])
    nearest = named(results, "nearest_training_image")
    distances, indices = nearest_neighbours(fake[:8], training)
    assert nearest["value"] == distances[:, 0].tolist()
    assert nearest["training_images"] == indices[:, 0].tolist()
    assert nearest["floor"] == np.median(nearest_neighbours(real, training)[0])


def test_every_result_carries_its_protocol(results, trained):
    names = {result["metric"] for result in results}
    assert names == {
        *("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"),
        *("sliced_wasserstein_16", "nearest_training_image"),
    }
    for result in results:
        assert result["extractor"] == "random" and len(result["extractor_sha256"]) == 64
        assert result["real_images"] == result["generated_images"] == 40
        assert result["data"] == "photos/test" and result["seed"] == 0
        assert result["weights_sha256"] == presets.sha256(trained / presets.WEIGHTS)
        assert result["floor"] is not None and result["truncation"] is None
    json.dumps(results, allow_nan=False)


def test_twice_the_same_to_the_last_digit(results, trained, photos, monkeypatch):
    monkeypatch.setattr(evaluation, "_BATCH", 7)
    again = evaluation.evaluate(trained, data_dir=photos)
    for result in (*results, *again):
        result.pop("seconds", None)
    assert again == results


def test_without_training_images_there_is_no_floor(trained, photos, tmp_path):
    shutil.copytree(photos / "photos/test", tmp_path / "photos/test")
    results = evaluation.evaluate(trained, data_dir=tmp_path, metrics=["frechet_distance"])
    assert [r["metric"] for r in results] == ["frechet_distance"]
    assert results[0]["floor"] is None and results[0]["floor_images"] is None


def test_images_of_training_are_no_floor_for_themselves(trained, photos):
    options = {"data_source": "photos/train", "data_dir": photos, "metrics": ["frechet_distance"]}
    with pytest.warns(KganWarning, match="trained on these images: photos/train"):
        (all_of_them,) = evaluation.evaluate(trained, **options)
        (half,) = evaluation.evaluate(trained, number=30, **options)
    assert all_of_them["floor"] is None
    features = extractor("random").features
    images = features(data.load(photos / "photos/train", (16, 16, 3)).images)
    assert half["floor"] == frechet_distance(images[:30], images[30:])


def test_classes(photos, tmp_path):
    for part, seed in (("train", 0), ("test", 1)):
        write_images(tmp_path / "pets" / part, 60, seed, classes=["cats", "dogs"])
    model = ConditionalGAN((16, 16, 3), num_classes=2, latent_dim=2, width=2)
    model.compile()
    names = ["cats", "dogs"]
    source = Data("pets/train", labels="folders", class_names=names)
    recipe = Recipe("pets", "ConditionalGAN", 0, data=source)
    kgan.zoo.save(model, tmp_path / "preset", recipe)
    results = evaluation.evaluate(
        tmp_path / "preset", metrics=["frechet_distance"], data_dir=tmp_path
    )
    by_class = {r["class"]: r["value"] for r in results if "class" in r}
    features = extractor("random").features
    fakes = features(model.sample(60, seed=0))
    labels = sample_labels(0, 0, 60, 2)
    for number, name in enumerate(names):
        real = features(data.load(tmp_path / "pets/test" / name, (16, 16, 3)).images)
        assert by_class[name] == frechet_distance(real, fakes[labels == number])


def test_a_classifier_says_what_classes_samples_are_of(tmp_path):
    digits = [str(digit) for digit in range(10)]
    write_images(tmp_path / "digits/train", 20, seed=0, classes=digits)
    write_images(tmp_path / "digits/test", 30, seed=1, classes=digits)
    model = ConditionalGAN((28, 28, 1), num_classes=10, latent_dim=2, width=2)
    model.compile()
    source = Data("digits/train", labels="folders", class_names=digits)
    kgan.zoo.save(model, tmp_path / "preset", Recipe("d", "ConditionalGAN", 0, data=source))
    results = evaluation.evaluate(
        tmp_path / "preset",
        metrics=["kernel_distance"],
        extractor="digits",
        data_dir=tmp_path,
    )
    network = extractor("digits")
    held_out = data.load(tmp_path / "digits/test", (28, 28, 1), labels="folders")
    said = [
        network.labels(network.features(x)) for x in (model.sample(30, seed=0), held_out.images)
    ]
    asked = [sample_labels(0, 0, 30, 10), held_out.labels]
    shares = named(results, "class_shares")
    for key, labels in zip(("value", "real"), said, strict=True):
        counts = [sum(int(label) == digit for label in labels) for digit in range(10)]
        np.testing.assert_allclose(shares[key], np.array(counts) / 30, atol=1e-4)
    accuracy = named(results, "label_accuracy")
    for key, labels, truth in zip(("value", "floor"), said, asked, strict=True):
        assert accuracy[key] == sum(a == b for a, b in zip(labels, truth, strict=True)) / 30


@pytest.mark.parametrize("source", [lambda path: path.name, str], ids=["name", "directory"])
def test_card_and_metadata_get_the_figures(results, trained, photos, tmp_path, source):
    directory = tmp_path / "zoo" / "tiny"
    shutil.copytree(trained, directory)
    presets.write_registry(tmp_path / "zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
        evaluation.update_card(source(directory), results, photos)
        assert kgan.zoo.info("tiny")["metrics"] == results
        before = kgan.zoo.load(trained).sample(2, seed=0)
        np.testing.assert_array_equal(kgan.zoo.load("tiny").sample(2, seed=0), before)
    card = (directory / "README.md").read_text()
    assert "(neighbours.png)" in card
    sheet = np.asarray(Image.open(directory / "neighbours.png"))
    nearest = named(results, "nearest_training_image")["training_images"]
    trained_on = data.load(photos / "photos/train", (16, 16, 3)).images[nearest]
    pictures = np.concatenate([kgan.zoo.load(trained).sample(8, seed=0), trained_on])
    np.testing.assert_array_equal(sheet, grid(pictures, columns=8))
    value = named(results, "frechet_distance")["value"]
    assert f"| frechet distance | {value:.4g} |" in card
    assert "40 samples of seed 0 against the first 40 images of photos/test" in card


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metrics": ["fid"]}, "Expected metrics among"),
        ({"extractor": "digits"}, "28x28x1"),
        ({"data_source": "nowhere"}, "does not exist"),
        ({"truncation": 0.5}, "truncation"),
        ({"number": 2}, "Expected at least"),
    ],
)
def test_refusals(trained, photos, options, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(trained, data_dir=photos, **options)


def test_a_preset_that_names_no_data_needs_some(tiny_preset):
    with pytest.raises(ValueError, match="Expected --data"):
        evaluation.evaluate(tiny_preset)


def test_images_that_may_not_be_shown_are_not(results, trained, photos, tmp_path):
    model, recipe = kgan.zoo.load(trained), presets.read_recipe(trained)
    recipe.data.licence_note = "Not to be shown."
    kgan.zoo.save(model, tmp_path / "p", recipe)
    evaluation.update_card(tmp_path / "p", results, photos)
    assert not (tmp_path / "p/neighbours.png").exists()
    assert "neighbours" not in (tmp_path / "p/README.md").read_text()
