"""Evaluation of presets: the figures, their protocol, and the preset's card."""

import dataclasses
import json
import shutil
from typing import ClassVar

import keras
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import data
from kgan.errors import KganError, KganWarning
from kgan.files import sha256
from kgan.images import grid
from kgan.latents import sample_labels
from kgan.metrics import (
    extractor,
    frechet_distance,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
    protocol,
)
from kgan.metrics.measuring import METRICS
from kgan.models import GAN, ConditionalGAN
from kgan.recipe import Data, Recipe
from kgan.runs import evaluate as evaluation
from kgan.runs import extraction, given
from kgan.zoo import preset, registry
from kgan.zoo.metadata import WEIGHTS
from kgan.zoo.results import text

SHAPE = (16, 16, 3)
SHAPE_1 = (16, 16, 1)


def write_images(folder, n, seed, classes=None, shape=SHAPE):
    rng = np.random.default_rng(seed)
    for i in range(n):
        place = folder / classes[i % len(classes)] if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, shape, dtype="uint8").squeeze()
        Image.fromarray(picture).save(place / f"{i:04d}.png")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A data directory with photos/train, 521 images, and photos/test, 40."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "photos/train", 521, seed=0)
    write_images(root / "photos/test", 40, seed=1)
    return root


@pytest.fixture(scope="module")
def trained(tiny_preset, tmp_path_factory):
    """The tiny preset, as if it had been trained on photos/train."""
    directory = tmp_path_factory.mktemp("trained") / "tiny"
    recipe = preset.read(tiny_preset).recipe
    recipe.data = Data("photos/train")
    kgan.zoo.save(kgan.zoo.load(tiny_preset), directory, recipe)
    return directory


@pytest.fixture(scope="module")
def tiny():
    """A small network as extractor: twelve numbers of an image."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(12, 4, 4, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="tiny")


@pytest.fixture(scope="module")
def network(tiny):
    return extractor(tiny)


@pytest.fixture(scope="module")
def results(trained, photos, tiny):
    return evaluation.evaluate(trained, data_dir=photos, extractor=tiny)


@pytest.fixture(scope="module")
def features(photos, network):
    """Features of the images that are trained on, and of the held-out ones."""
    return [
        network.features(data.load(photos / "photos" / part, SHAPE).images)
        for part in ("train", "test")
    ]


@pytest.fixture(scope="module")
def samples(trained, network):
    """Features of 1,000 samples by seed."""
    model = kgan.zoo.load(trained)
    return {seed: network.features(model.sample(1000, seed=seed)) for seed in (0, 1, 2, 3)}


def named(results, metric):
    (result,) = (r for r in results if r["metric"] == metric and "class" not in r)
    return result


def test_figures_are_those_of_the_metrics(results, features, samples):
    training, held_out = features
    samples = [samples[seed] for seed in (0, 1, 2)]
    even, odd = training[0:520:2], training[1:521:2]
    expected = {
        "frechet_distance": (lambda fake: frechet_distance(even, fake[:260]), odd),
        "precision": (lambda fake: precision_recall(even, fake[:260])[0], odd),
        # Of the 40 held-out images, by as many samples.
        "recall": (
            lambda fake: precision_recall(held_out, fake[:40])[1],
            odd[[i * 260 // 40 for i in range(40)]],
        ),
    }
    for metric, (of, floor) in expected.items():
        result, values = named(results, metric), [of(fake) for fake in samples]
        assert result["values"] == values, metric
        assert result["value"] == pytest.approx(sum(values) / 3, rel=1e-12)
        assert result["spread"] == max(values) - min(values)
        assert result["floor"] == of(floor)
    kernel = named(results, "kernel_distance")
    pairs = [kernel_distance(even, fake[:260], subset_size=130) for fake in samples]
    assert kernel["values"] == [value for value, _ in pairs]
    assert kernel["deviation"] == np.mean([deviation for _, deviation in pairs])
    assert kernel["floor"] == kernel_distance(even, odd, subset_size=130)[0]


def test_nearness_is_that_of_samples_by_that_of_held_out_images(results, features, samples):
    training, held_out = features

    def median(images):
        return np.median(
            [np.sqrt(np.square(training - image).sum(axis=1).min()) for image in images]
        )

    nearness = named(results, "nearness")
    expected = [median(samples[seed]) / median(held_out) for seed in (0, 1, 2)]
    np.testing.assert_allclose(nearness["values"], expected, rtol=1e-4)
    assert nearness["least"] == 0.97 and nearness["floor"] is None
    assert (nearness["real_images"], nearness["generated_images"]) == (40, 1000)
    nearest = named(results, "nearest_training_image")
    distances, indices = nearest_neighbours(samples[0][:8], training)
    assert nearest["value"] == distances[:, 0].tolist() and nearest["seed"] == 0
    assert nearest["training_images"] == indices[:, 0].tolist()
    assert nearest["floor"] == np.median(nearest_neighbours(held_out, training)[0])


def test_every_result_carries_its_protocol(results, trained, network):
    names = {result["metric"] for result in results}
    assert names == {
        *("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"),
        *("sliced_wasserstein_16", "nearest_training_image", "nearness"),
    }
    for result in results:
        assert result["extractor"] == "tiny" and result["extractor_sha256"] == network.sha256
        assert result["extractor_version"] is None and result["resize"] == "none"
        assert result["data"] == "photos/train" and result["seeds"] == [0, 1, 2]
        assert result["weights_sha256"] == sha256(trained / WEIGHTS)
        assert result["truncation"] is None and result["left_out"] is None
    frechet, recall = (named(results, name) for name in ("frechet_distance", "recall"))
    counts = ("real_images", "generated_images", "floor_images")
    assert [frechet[name] for name in counts] == [260] * 3
    assert [recall[name] for name in counts] == [40] * 3
    assert frechet["places"] == "even places of 521 training pictures"
    assert frechet["floor_places"] == "odd places of 521 training pictures"
    assert recall["places"] == "even spaces of 40 held-out pictures"
    assert (frechet["split"], recall["split"]) == ("training", "held-out")
    json.dumps(results, allow_nan=False)


@pytest.mark.slow
def test_twice_the_same_to_the_last_digit(trained, photos, monkeypatch):
    options = {"metrics": ["kernel_distance"], "seeds": [0], "number": 30, "data_dir": photos}
    first = evaluation.evaluate(trained, **options)
    for module in (evaluation, extraction):
        monkeypatch.setattr(module, "BATCH", 7)
    again = evaluation.evaluate(trained, **options)
    for result in (*first, *again):
        result.pop("seconds")
    assert again == first


def test_many_held_out_images_are_what_is_compared_with(
    trained, photos, features, samples, tiny, monkeypatch
):
    monkeypatch.setattr(protocol, "LARGE", 40)
    training, held_out = features
    metrics = ["kernel_distance", "precision_recall"]
    options = {"metrics": metrics, "seeds": [3], "extractor": tiny}
    results = evaluation.evaluate(trained, data_dir=photos, **options)
    fake = samples[3][:40]
    floor = training[[i * 521 // 40 for i in range(40)]]
    kernel, recall = (named(results, name) for name in ("kernel_distance", "recall"))
    assert kernel["value"] == kernel_distance(held_out, fake, subset_size=20)[0]
    assert kernel["floor"] == kernel_distance(held_out, floor, subset_size=20)[0]
    assert recall["value"] == precision_recall(held_out, fake)[1]
    assert recall["floor"] == precision_recall(held_out, floor)[1]
    assert kernel["places"] == recall["places"] == "even spaces of 40 held-out pictures"
    assert kernel["seeds"] == [3] and kernel["spread"] == 0.0
    assert kernel["floor_images"] == kernel["real_images"] == 40


def test_the_frechet_distance_begins_at_250_images(trained, photos, tiny, monkeypatch):
    two = {name: METRICS[name] for name in ("frechet_distance", "precision_recall")}
    monkeypatch.setattr(evaluation, "METRICS", two)
    options = {"data_dir": photos, "seeds": [0], "extractor": tiny}
    with pytest.raises(ValueError, match="^Expected at least 250 .*Received: 249$"):
        evaluation.evaluate(trained, number=249, metrics=["frechet_distance"], **options)
    default = evaluation.evaluate(trained, number=249, **options)
    assert "frechet_distance" not in {result["metric"] for result in default}
    reason = "the Fréchet distance, of fewer than 250 images"
    assert default[0]["left_out"] == reason and reason in text(default)
    found = evaluation.evaluate(trained, number=250, metrics=["frechet_distance"], **options)
    assert named(found, "frechet_distance")["real_images"] == 250


class Memory:
    """In place of a model: it returns images that it was given."""

    SAMPLE_OPTIONS: ClassVar[dict] = {}

    def __init__(self, images):
        self.images = images
        self.image_shape, self.num_classes = images.shape[1:], None

    def iter_samples(self, n, seed, batch_size):
        yield self.images[np.arange(n) % len(self.images)]


def test_a_model_that_repeats_training_images(trained, photos, tiny, monkeypatch):
    """Its figures are the floor's, for they are of the same images; nearness betrays it."""
    images = data.load(photos / "photos/train", SHAPE).images
    monkeypatch.setattr(evaluation.saving, "load", lambda preset: Memory(images[1::2]))
    metrics = ["frechet_distance", "precision_recall", "density_coverage"]
    results = evaluation.evaluate(trained, data_dir=photos, metrics=metrics, extractor=tiny)
    for result in results:
        if "spread" in result and result["metric"] not in ("nearness", "recall"):
            assert result["spread"] == 0.0
            # Where an image stands in a batch may change the last bits of its features.
            assert result["value"] == pytest.approx(result["floor"], rel=1e-6)
    assert named(results, "nearness")["value"] < 1e-4
    assert "below 0.97" in text(results)


def test_the_training_images_have_to_be_here(trained, photos, tiny, tmp_path, monkeypatch):
    shutil.copytree(photos / "photos/test", tmp_path / "photos/test")
    options = {
        "data_dir": tmp_path,
        "metrics": ["kernel_distance"],
        "seeds": [0],
        "extractor": tiny,
    }
    with pytest.raises(ValueError, match="^Expected the images that the model was trained on"):
        evaluation.evaluate(trained, **options)
    monkeypatch.setattr(protocol, "LARGE", 40)  # then only their floor is missing
    (result,) = evaluation.evaluate(trained, **options)
    assert result["floor"] is None and result["floor_images"] is None
    assert result["real_images"] == 40


def test_data_without_a_held_out_part(trained, photos, tiny, tmp_path):
    shutil.copytree(photos / "photos/train", tmp_path / "photos/train")
    options = {"metrics": ["precision_recall"], "seeds": [0], "extractor": tiny}
    results = evaluation.evaluate(trained, data_dir=tmp_path, **options)
    recall = named(results, "recall")
    assert recall["places"] == "even places of 521 training pictures"
    assert recall["real_images"] == 260 and recall["floor"] is not None
    assert named(results, "nearest_training_image")["floor"] is None
    assert "nearness" not in {result["metric"] for result in results}


def test_held_out_images_that_are_trained_on_tell_nothing_of_nearness(
    trained, photos, tiny, tmp_path
):
    for part in ("train", "test"):
        shutil.copytree(photos / "photos/train", tmp_path / "photos" / part)
    with pytest.warns(KganWarning, match="held-out images that are not trained on"):
        options = {"metrics": ["precision_recall"], "seeds": [0], "extractor": tiny}
        results = evaluation.evaluate(trained, data_dir=tmp_path, **options)
    assert "nearness" not in {result["metric"] for result in results}


def test_other_data(trained, photos, features, samples, tiny):
    training, held_out = features
    options = {
        "data_dir": photos,
        "metrics": ["kernel_distance"],
        "seeds": [0],
        "extractor": tiny,
    }
    results = evaluation.evaluate(trained, "photos/test", number=30, **options)
    kernel = named(results, "kernel_distance")
    fake = samples[0][:30]
    real = held_out[[i * 40 // 30 for i in range(30)]]
    floor = training[[i * 521 // 30 for i in range(30)]]
    assert kernel["value"] == kernel_distance(real, fake, subset_size=15)[0]
    assert kernel["floor"] == kernel_distance(real, floor, subset_size=15)[0]
    assert kernel["places"] == "even spaces of 40 pictures" and kernel["data"] == "photos/test"
    assert named(results, "nearness")["real_images"] == 40
    with pytest.warns(KganWarning, match="trained on these images: photos/train"):
        (seen,) = evaluation.evaluate(trained, "photos/train", **options)
    assert seen["floor"] is None and seen["real_images"] == 521
    for spelling in ("photos/train/", photos / "photos" / "train"):
        with pytest.warns(KganWarning, match="trained on these images"):
            (same,) = evaluation.evaluate(trained, str(spelling), **options)
        assert same["floor"] is None and same["value"] == seen["value"]


def test_a_part_of_other_pictures(trained, photos, tiny, tmp_path):
    wide, boxed = tmp_path / "wide", tmp_path / "boxed"
    wide.mkdir()
    for path in (photos / "photos/test").iterdir():
        picture = Image.new("RGB", (32, 16))
        picture.paste(Image.open(path), (0, 0))
        picture.save(wide / path.name)
    recipe = preset.read(trained).recipe
    recipe.data = Data("photos/train", box=[0.0, 0.0, 0.5, 1.0])
    kgan.zoo.save(kgan.zoo.load(trained), boxed, recipe)
    options = {"metrics": ["kernel_distance"], "seeds": [0], "extractor": tiny}

    def value(source, place, **box):
        results = evaluation.evaluate(source, str(place), data_dir=photos, **options, **box)
        return named(results, "kernel_distance")["value"]

    expected = value(trained, "photos/test")
    assert value(boxed, wide, box="recipe") == expected
    assert value(trained, wide, box=[0.0, 0.0, 0.5, 1.0]) == expected
    with pytest.warns(KganWarning, match="--box recipe takes the same part"):
        assert value(boxed, wide) != expected


def test_splits_of_other_data(tiny_preset, data_dir, monkeypatch, tiny, tmp_path):
    monkeypatch.setenv("KGAN_DATA_DIR", str(data_dir))
    recipe = preset.read(tiny_preset).recipe
    recipe.data = Data("tfds:mnist", split="train[:300]")
    model = GAN((28, 28, 1), latent_dim=2, width=5)
    model.compile()
    kgan.zoo.save(model, tmp_path / "digits", recipe)
    options = {"metrics": ["kernel_distance"], "seeds": [0], "extractor": "random", "number": 50}

    def measured(source, split=None):
        (row,) = (
            row
            for row in evaluation.evaluate(tmp_path / "digits", source, split, **options)
            if row["metric"] == "kernel_distance"
        )
        return row

    other = measured("tfds:mnist#test[:200]")
    assert (other["data"], other["split"]) == ("tfds:mnist", "test[:200]")
    assert other["value"] == measured("tfds:mnist", "test[:200]")["value"] and other["floor"]
    with pytest.warns(KganWarning, match=r"trained on these images: tfds:mnist train\[:300\]"):
        assert measured("tfds:mnist#train[:300]")["floor"] is None
    with pytest.raises(ValueError, match="Expected one split. Received: tfds:mnist#test and split"):
        measured("tfds:mnist#test", "train")


@pytest.mark.parametrize(
    ("shape", "images", "left_out"),
    [
        ((16, 24), 300, ["the sliced wasserstein, of images that are no squares of 14 pixels"]),
        ((12, 12), 300, ["the sliced wasserstein, of images that are no squares"]),
        ((16, 16), 10, ["the Fréchet distance, of fewer than 250", "density coverage, of fewer"]),
    ],
)
def test_what_the_images_do_not_allow_is_left_out(shape, images, left_out, tmp_path):
    write_images(tmp_path / "photos", images, seed=0, shape=(*shape, 3))
    model = GAN((*shape, 3), latent_dim=2, width=5)
    model.compile()
    kgan.zoo.save(model, tmp_path / "p", Recipe("p", "GAN", data=Data(str(tmp_path / "photos"))))
    options = {"seeds": [0], "extractor": "random"}
    result = evaluation.evaluate(tmp_path / "p", **options)[0]
    assert all(reason in result["left_out"] for reason in left_out)
    metric = "density_coverage" if images == 10 else "sliced_wasserstein"
    with pytest.raises(ValueError, match=f"^Expected .* for the {metric}"):
        evaluation.evaluate(tmp_path / "p", metrics=[metric], **options)


@pytest.mark.parametrize("number", [0, 1, 2.5, 10_001])
def test_numbers_of_images_that_are_none(trained, number):
    with pytest.raises(ValueError, match="Expected number to be .*Received"):
        evaluation.evaluate(trained, number=number)


def test_classes(tiny, network, tmp_path):
    names = ["cats", "dogs"]
    write_images(tmp_path / "pets/train", 1100, seed=0, classes=names)
    model = ConditionalGAN(SHAPE, num_classes=2, latent_dim=2, width=2)
    model.compile()
    source = Data("pets/train", labels="folders", class_names=names)
    recipe = Recipe("pets", "ConditionalGAN", 0, data=source)
    kgan.zoo.save(model, tmp_path / "preset", recipe)
    options = {
        "metrics": ["frechet_distance"],
        "data_dir": tmp_path,
        "seeds": [0, 1],
        "extractor": tiny,
    }
    results = evaluation.evaluate(tmp_path / "preset", **options)
    by_class = {r["class"]: r for r in results if "class" in r}
    labels = [sample_labels(seed, 0, 550, 2) for seed in (0, 1)]
    fakes = [network.features(model.sample(550, seed=seed)) for seed in (0, 1)]
    for label, name in enumerate(names):
        images = network.features(data.load(tmp_path / "pets/train" / name, SHAPE).images)
        # 550 images of a class: half of the even places are its, half of the odd ones.
        number = min(275, *(int(np.sum(of_seed == label)) for of_seed in labels))
        real, floor = (
            images[start::2][[i * 275 // number for i in range(number)]] for start in (0, 1)
        )
        sides = [fake[of_seed == label] for fake, of_seed in zip(fakes, labels, strict=True)]
        values = [
            frechet_distance(real, side[[i * len(side) // number for i in range(number)]])
            for side in sides
        ]
        result = by_class[name]
        assert result["values"] == values and result["spread"] == max(values) - min(values)
        assert result["floor"] == frechet_distance(real, floor)
        assert result["real_images"] == result["generated_images"] == number
    results = evaluation.evaluate(tmp_path / "preset", number=400, **options)
    assert not [r for r in results if "class" in r]
    assert results[0]["left_out"].startswith(
        "the Fréchet distance of cats, dogs, of fewer than 250"
    )


def of_digits(directory, number, classes, seeds):
    """An untrained model of classes of digits, and what the classifier of digits says of it."""
    write_images(directory / "digits", number, seed=0, classes=classes, shape=(28, 28))
    model = ConditionalGAN((28, 28, 1), num_classes=len(classes), latent_dim=2, width=2)
    model.compile()
    source = Data("digits", labels="folders", class_names=classes)
    kgan.zoo.save(model, directory / "preset", Recipe("d", "ConditionalGAN", 0, data=source))
    results = evaluation.evaluate(
        directory / "preset",
        metrics=["kernel_distance"],
        extractor="digits",
        seeds=seeds,
        data_dir=directory,
    )
    return model, results


class TestClassesAreNames:
    """Real images of a class are compared with samples of that class, whatever their numbers."""

    NAMES = ("ant", "bee", "cat")

    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory):
        root = tmp_path_factory.mktemp("named")
        write_images(root / "pets/train", 30, seed=0, classes=cls.NAMES, shape=(16, 16))
        model = ConditionalGAN((16, 16, 1), num_classes=3, latent_dim=2, width=2)
        model.compile()
        source = Data("pets/train", labels="folders", class_names=list(cls.NAMES))
        kgan.zoo.save(model, root / "named", Recipe("pets", "ConditionalGAN", 0, data=source))
        write_images(root / "no-bee", 1400, seed=1, classes=["ant", "cat"], shape=(16, 16))
        write_images(
            root / "more", 40, seed=1, classes=["ant", "bee", "cat", "dog"], shape=(16, 16)
        )
        write_images(root / "flat", 40, seed=1, shape=(16, 16))
        write_images(root / "years", 40, seed=1, classes=["2020", "2021"], shape=(16, 16))
        return root

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((16, 16, 1))
        x = keras.layers.Conv2D(12, 4, 4, activation="relu")(inputs)
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="tiny")

    def evaluate(self, root, network, data, **options):
        options = {"metrics": ["kernel_distance"], "seeds": [0], **options}
        return evaluation.evaluate(
            root / "named", data, extractor=network, data_dir=root, **options
        )

    def test_a_folder_without_a_class(self, root, network):
        with pytest.warns(KganWarning, match="^Left out: bee, of which there are no real images"):
            results = self.evaluate(root, network, "no-bee", metrics=["frechet_distance"])
        by_class = {r["class"]: r for r in results if "class" in r}
        assert set(by_class) == {"ant", "cat"}
        assert results[0]["left_out"].startswith("bee, of which there are no real images: no sam")
        json.dumps(results, allow_nan=False)
        model, tiny = kgan.zoo.load(root / "named"), extractor(network)
        # Samples are of the classes that there are.
        labels = np.array([0, 2])[sample_labels(0, 0, 1400, 2)]
        samples = tiny.features(model.sample(1400, seed=0, labels=labels))
        real = tiny.features(data.load(root / "no-bee/cat", (16, 16, 1)).images)
        fake = samples[labels == 2]
        number = min(700, len(fake))
        sides = (x[[i * len(x) // number for i in range(number)]] for x in (real, fake))
        assert by_class["cat"]["value"] == frechet_distance(*sides)

    def test_a_folder_with_another_class(self, root, network):
        with pytest.warns(
            KganWarning, match="the images of dog, which are no classes of the model"
        ):
            result, *_ = self.evaluate(root, network, "more")
        assert result["real_images"] == 30 and "dog" in result["left_out"]

    @pytest.mark.parametrize(
        "folder, reason",
        [
            ("flat", "figures by class, since the images of flat have no classes"),
            (
                "years",
                "figures by class, since the images are of 2020, 2021 and the model's classes are "
                "ant, bee, cat",
            ),
        ],
    )
    def test_a_folder_without_classes(self, root, network, folder, reason):
        with pytest.warns(KganWarning, match=reason):
            result, *_ = self.evaluate(root, network, folder)
        assert result["left_out"].endswith(reason) and result["real_images"] == 40

    def test_the_floor_is_of_the_same_classes(self, root, network):
        write_images(root / "few", 20, seed=5, classes=["ant", "cat"], shape=(16, 16))
        with pytest.warns(KganWarning, match="bee"):
            result, *_ = self.evaluate(root, network, "few")
        tiny = extractor(network)
        real, floor = (
            tiny.features(data.load([root / place / c for c in ("ant", "cat")], SHAPE_1).images)
            for place in ("few", "pets/train")
        )
        expected = kernel_distance(real, floor, subset_size=10)[0]
        assert result["floor"] == pytest.approx(expected, rel=1e-6)
        assert result["floor_places"] == (
            "even spaces of 20 pictures of the classes that are there"
        )

    def test_a_model_without_names_has_numbers(self, root, network, monkeypatch):
        sets = {
            names: data.ImageSet(
                np.zeros((40, 16, 16, 1), np.uint8), np.arange(40) % 3, list(names)
            )
            for names in ("012", "210", "xyz")
        }
        for names, order in (("012", [0, 1, 2]), ("210", [2, 1, 0]), ("xyz", None)):
            found = dataclasses.replace(sets[names])
            left_out = []
            matched = given.of_model(found, ["0", "1", "2"], left_out)
            if order is None:
                assert matched.labels is None and "of x, y, z" in left_out[0]
            else:
                assert matched.labels[:3].tolist() == order and not left_out

    def test_own_data_without_a_class(self, root, network, tmp_path):
        for name in ("ant", "cat"):
            for part in ("train", "test"):
                place = tmp_path / "pets" / part / name
                shutil.copytree(root / "pets/train" / name, place)
                for i, path in enumerate(sorted(place.iterdir())):
                    if (i % 4 == 0) == (part == "train"):
                        path.unlink()
        with pytest.warns(KganWarning, match="^Left out: bee, of which.*; bee among the held-out"):
            results = evaluation.evaluate(
                root / "named",
                extractor=network,
                data_dir=tmp_path,
                metrics=["precision_recall"],
                seeds=[0],
            )
        assert all("bee" in result["left_out"] for result in results)
        precision = named(results, "precision")
        assert precision["places"].startswith("even places of")
        assert precision["floor_places"].startswith("odd places of")

    def test_a_classifier_knows_classes_by_name(self, tmp_path):
        names = ["7", "3"]  # not in the order of the network's
        model, results = of_digits(tmp_path, 40, names, seeds=[0])
        said = extractor("digits").classify(model.sample(20, seed=0))
        asked = np.array([7, 3])[sample_labels(0, 0, 20, 2)]
        assert named(results, "label_accuracy")["value"] == np.mean(said == asked)


def test_a_classifier_says_what_classes_samples_are_of(tmp_path):
    digits = [str(digit) for digit in range(10)]
    model, results = of_digits(tmp_path, 60, digits, seeds=[0, 1])
    network = extractor("digits")
    real = data.load(tmp_path / "digits", (28, 28, 1), labels="folders")
    truth = real.labels[0::2]
    said = [
        network.classify(images)
        for images in (model.sample(30, seed=0), model.sample(30, seed=1), real.images[0::2])
    ]
    shares = named(results, "class_shares")
    counts = [[sum(int(label) == digit for label in of) / 30 for digit in range(10)] for of in said]
    np.testing.assert_allclose(shares["value"], np.mean(counts[:2], axis=0), atol=1e-4)
    np.testing.assert_allclose(shares["real"], counts[2], atol=1e-4)
    accuracy = named(results, "label_accuracy")
    right = [np.mean(said[seed] == sample_labels(seed, 0, 30, 10)).item() for seed in (0, 1)]
    assert accuracy["values"] == right and accuracy["value"] == np.mean(right)
    assert accuracy["floor"] == np.mean(said[2] == truth)


@pytest.mark.parametrize("source", [lambda path: path.name, str], ids=["name", "directory"])
def test_card_and_metadata_get_the_figures(results, trained, photos, tmp_path, source):
    directory = tmp_path / "zoo" / "tiny"
    shutil.copytree(trained, directory)
    registry.write(tmp_path / "zoo")
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
    trained_on = data.load(photos / "photos/train", SHAPE).images[nearest]
    pictures = np.concatenate([kgan.zoo.load(trained).sample(8, seed=0), trained_on])
    np.testing.assert_array_equal(sheet, grid(pictures, columns=8))
    value = named(results, "frechet_distance")["value"]
    assert f"| frechet distance | {value:.4g} |" in card
    against = "260 pictures at even places of 521 training pictures, of photos/train."
    assert f"260 samples of each of the seeds 0, 1, 2 against {against}" in card


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metrics": ["fid"]}, "Expected metrics among"),
        ({"extractor": "digits"}, "28x28x1"),
        ({"data_source": "nowhere"}, "does not exist"),
        ({"truncation": 0.5}, "truncation"),
        ({"number": 2, "metrics": ["precision_recall"]}, "Expected at least"),
        ({"seeds": []}, "Expected seeds"),
        ({"seeds": [1, 1]}, "Expected seeds"),
        ({"split": "test"}, "Expected split with other data"),
        ({"box": "recipe"}, "Expected box with other data"),
        ({"split": "test", "data_source": "photos/test"}, "Expected split with data of TFDS"),
    ],
)
def test_refusals(trained, photos, options, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(trained, data_dir=photos, **options)


def test_a_preset_that_names_no_data_needs_some(tiny_preset):
    with pytest.raises(ValueError, match="Expected --data"):
        evaluation.evaluate(tiny_preset)


def test_neighbours_are_shown_of_the_samples_that_were_measured(
    results, trained, photos, tmp_path, monkeypatch
):
    shutil.copytree(trained, tmp_path / "p")
    kind, asked = type(kgan.zoo.load(trained)), []
    sample = kind.sample

    def recorded(self, n, seed=None, **options):
        asked.append(options)
        return sample(self, n, seed=seed)

    monkeypatch.setattr(kind, "sample", recorded)
    told = {"truncation": 0.5, "labels": 8 * [0]}
    evaluation.update_card(tmp_path / "p", [{**row, **told} for row in results], photos)
    assert asked == [told] and (tmp_path / "p/neighbours.png").is_file()


def test_figures_of_other_weights_are_refused(results, tiny_preset, tmp_path, photos):
    shutil.copytree(tiny_preset, tmp_path / "p")
    before = (tmp_path / "p/metadata.json").read_text()
    with pytest.raises(KganError, match="Expected figures of the weights in"):
        evaluation.update_card(
            tmp_path / "p", [{**r, "weights_sha256": 64 * "0"} for r in results], photos
        )
    assert (tmp_path / "p/metadata.json").read_text() == before


def test_images_that_may_not_be_shown_are_not(results, trained, photos, tmp_path):
    model, recipe = kgan.zoo.load(trained), preset.read(trained).recipe
    recipe.data.licence_note = "Not to be shown."
    kgan.zoo.save(model, tmp_path / "p", recipe)
    evaluation.update_card(tmp_path / "p", results, photos)
    assert not (tmp_path / "p/neighbours.png").exists()
    assert "neighbours" not in (tmp_path / "p/README.md").read_text()


@pytest.mark.parametrize(
    "source, extractor, expected",
    [
        ("celeba/train", "", "faces"),
        ("celeba/train", "random", "random"),
        ("photos", "", "random"),
        (["celeba/train", "celeba/more"], "", "random"),
        (["celeba/train", "celeba/more"], "faces", "faces"),
        (["tfds:mnist", "celeba/train"], "", "random"),
        (["tfds:mnist"], "", "digits"),
        ("tfds:mnist:3.0.1#train[:100]", "", "digits"),
        ("celeba/train/", "", "faces"),
        ("/data/celeba/train", "", "faces"),
        ("/data/my-celeba/train", "", "random"),
    ],
)
def test_the_extractor_of_a_recipe(source, extractor, expected):
    recipe = Recipe("a", "GAN", data=Data(source=source, extractor=extractor))
    assert evaluation.extractor_of(recipe) == expected
