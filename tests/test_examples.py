"""The scripts in examples/ run."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from models.harness import Harness
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.zoo import detecting, opening
from kgan.zoo.metadata import read_json
from kgan.zoo.preset import complete

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_networks_trains_goes_on_and_can_be_sampled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (128, 28, 28, 1), dtype="uint8")
    load("own_networks").main(images, epochs=1)
    model = load("own_networks").main(images, epochs=2)
    assert int(model.images_seen.numpy()) == 256
    assert kgan.zoo.load("own-networks").sample(1, seed=0).shape == (1, 28, 28, 1)
    assert len(list(Path("grids").iterdir())) == 3  # untrained, and after each epoch


@pytest.mark.slow
def test_fine_tune(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype="uint8")
        Image.fromarray(pixels).save(f"photos/{i}.png")
    load("fine_tune").main("photos", epochs=1, batch_size=4)
    before = int(kgan.zoo.load("dcgan-celeba").images_seen.numpy())
    assert int(kgan.zoo.load("fine-tuned").images_seen.numpy()) == before + 4


class TestTrainDetector:
    example = load("train_detector")

    def test_logistic_regression_is_at_its_optimum(self):
        rng = np.random.default_rng(0)
        real, generated = rng.normal(0, 1, (300, 2)), rng.normal([1, 0], [1, 5], (200, 2))
        kernel, bias = self.example.fit(real, generated)
        x, y = np.concatenate([real, generated]), np.repeat([0, 1], [300, 200])
        error = 1 / (1 + np.exp(-x @ kernel - bias)) - y
        assert abs(error.sum()) < 1e-6
        scale = x.std(axis=0)
        np.testing.assert_allclose(
            x.T @ error / scale, -500 * self.example.PENALTY * kernel * scale, rtol=1e-4
        )
        assert kernel[0] > 10 * abs(kernel[1])

    def test_threshold_has_as_many_wrong_on_either_side(self):
        rng = np.random.default_rng(0)
        real, generated = rng.normal(0, 1, 5000), rng.normal(2, 3, 1000)
        found = self.example.threshold(real, generated)
        assert np.mean(real > found) == pytest.approx(np.mean(generated <= found), abs=2e-3)

    def test_trains_measures_and_writes(self, tiny_preset, tmp_path, monkeypatch):
        rng = np.random.default_rng(0)
        (tmp_path / "photos").mkdir()
        for i in range(60):
            flat = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (16, 16, 3))
            Image.fromarray(flat).save(tmp_path / f"photos/{i:02d}.png")
        zoo = tmp_path / "zoo"
        presets = [shutil.copytree(tiny_preset, zoo / name) for name in ("one", "two")]
        for directory in presets:
            recipe = recipes.read(directory / "recipe.toml")
            recipe.data = recipes.Data(str(tmp_path / "photos"), held_out={"names": "*5.png"})
            (directory / "recipe.toml").write_text(recipe.to_toml())
            named = {**read_json(directory / "metadata.json"), "name": directory.name}
            complete(directory, named)
        for name, number in (("TRAINED", 48), ("MEASURED", 20)):
            monkeypatch.setattr(self.example, name, number)
        arguments = [*map(str, presets), "--out", str(tmp_path / "detectors")]
        done = CliRunner().invoke(self.example.main, arguments, catch_exceptions=False)
        assert done.exit_code == 0 and done.output.count("Taken wrongly") == 2
        monkeypatch.setattr(detecting, "DIRECTORY", tmp_path / "detectors")
        found = detecting.find(opening.read(presets[0]))
        assert (found.real, found.generated, found.thresholds) == (48, 48, 3)
        rates = {row["pictures"]: row for row in found.rates}
        changes = [f", {how}" for how in self.example.CHANGES]
        assert set(rates) == {
            *("real, held out", "by one", "by two"),
            *(f"real{change}" for change in changes),
            *(f"by one{change}" for change in changes),
        }
        assert rates["by one"] == {**rates["by two"], "pictures": "by one"}  # the same weights
        assert rates["real, held out"]["classifier"] == rates["by one"]["classifier"] == 0
        (tmp_path / "page.md").write_text(
            f"Before\n{self.example.BEGIN}of before\n{self.example.END}End"
        )
        for _ in range(2):
            self.example.write_page(tmp_path / "detectors", tmp_path / "page.md")
        before, *_, after = (tmp_path / "page.md").read_text().splitlines()
        assert (before, after) == ("Before", "End")
        text = (tmp_path / "page.md").read_text()
        assert "of before" not in text and text.count("`one`") == text.count("`two`") == 1


class TestTrainExtractor:
    example = load("train_extractor")

    def test_contrastive_loss_is_that_of_each_pair(self):
        views = np.random.default_rng(0).normal(size=(2, 4, 3))
        z = (views / np.linalg.norm(views, axis=2, keepdims=True)).reshape(8, 3)
        losses = []
        for i in range(8):
            similar = np.exp([z[i] @ z[j] / 0.5 for j in range(8)])
            losses.append(-np.log(similar[(i + 4) % 8] / (similar.sum() - similar[i])))
        received = self.example.contrastive_loss(*views, temperature=0.5)
        np.testing.assert_allclose(received, np.mean(losses), rtol=1e-9)

    def test_contrastive_loss_tells_views_from_broken_images_too(self):
        """As if these were more images, none of which is anybody's partner."""
        views = np.random.default_rng(0).normal(size=(3, 4, 3))
        z = (views / np.linalg.norm(views, axis=2, keepdims=True)).reshape(12, 3)
        losses = []
        for i in range(8):
            similar = np.exp([z[i] @ z[j] / 0.5 for j in range(12)])
            losses.append(-np.log(similar[(i + 4) % 8] / (similar.sum() - similar[i])))
        received = self.example.contrastive_loss(*views, temperature=0.5)
        np.testing.assert_allclose(received, np.mean(losses), rtol=1e-9)

    def test_blots_show_the_next_image(self):
        images = np.repeat([10, 200, 90], 64 * 64 * 3).reshape(3, 64, 64, 3).astype(np.uint8)
        blotted = self.example.blotted(images, np.random.default_rng(0)).astype(int)
        for image, (own, other) in zip(blotted, [(10, 90), (200, 10), (90, 200)], strict=True):
            share = (image - own) / (other - own)
            assert share.min() < 0.2 and share.max() > 0.8
            assert 0.2 < share.mean() < 0.8

    def test_molten_images_show_what_was_nearby(self):
        rows = np.broadcast_to(4 * np.arange(64)[:, None, None], (50, 64, 64, 3)).astype(np.uint8)
        molten = self.example.molten(rows, np.random.default_rng(0)).astype(int)
        moved = np.abs(molten - rows).mean((1, 2, 3)) / 4  # pixels, of each image
        assert 0.2 < moved.min() < 1 < moved.max() < 5
        # Neighbours move alike.
        assert np.abs(np.diff(molten, axis=2)).mean() < 4

    def test_spoiled_images_are_each_spoiled_somehow(self):
        rng = np.random.default_rng(0)
        images = np.repeat(rng.integers(0, 256, (24, 8, 8, 3), np.uint8).repeat(8, 1), 8, 2)
        spoiled = self.example.spoiled(images, rng)
        assert spoiled.dtype == np.uint8 and spoiled.shape == images.shape
        assert (np.abs(spoiled.astype(int) - images).mean((1, 2, 3)) > 1).all()

    def test_colors_bleed_and_light_does_not(self):
        images = np.zeros((3, 64, 64, 3), np.uint8)
        images[:, :, :32] = 255, 0, 0
        bled = self.example.bled(images // 2 + 60, np.random.default_rng(0)).astype(int)
        light = np.array([0.299, 0.587, 0.114])
        np.testing.assert_allclose(bled @ light, (images // 2 + 60) @ light, atol=3)
        saturation = np.ptp(bled, axis=3)
        assert (saturation[:, :, 33] > 30).all() and (saturation[:, :, 60] < 5).all()

    def test_windows_are_parts_of_the_image_as_it_is(self):
        images = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
        windows = self.example.windows(images, np.random.default_rng(0), side=61)
        for image, window in zip(self.example.scaled(images), windows, strict=True):
            places = [image[y : y + 61, x : x + 61] for y in range(4) for x in range(4)]
            assert any(np.array_equal(window, place) for place in places)

    def test_shifted_images_are_the_same_somewhere_else(self):
        image = np.zeros((200, 9, 9, 1), np.uint8)
        image[:, 4, 4] = 7
        shifted = self.example.shifted(image, np.random.default_rng(0), most=2)
        counts = (shifted[..., 0] == 7).sum(axis=0)
        assert counts[2:7, 2:7].sum() == counts.sum() == 200  # none is lost
        assert (counts[2:7, 2:7] > 0).all()

    def test_views_are_squares_of_the_image(self):
        """Of an image of one color nothing is left but the color, whatever the square."""
        gray = np.full((50, 64, 64, 3), 128, np.uint8)
        views = self.example.view(gray, np.random.default_rng(0)).numpy()
        assert views.shape == (50, 48, 48, 3)
        np.testing.assert_allclose(np.ptp(views, axis=(1, 2, 3)), 0, atol=1e-5)
        assert 0.2 < np.ptp(views) <= 0.8 + 1e-5  # brightness


@pytest.mark.slow
class TestMyGAN(Harness):
    """A researcher's class passes what kgan's own do."""

    kind = load("my_gan").LeastSquaresR1

    @property
    def config(self):
        keras.utils.set_random_seed(0)  # its networks leave their seeds to Keras
        return {}

    smooth_config = config


class TestMyGANIsWhatItSays:
    """docs/extending.md: "examples/my_gan.py, least squares with R1 in 30 lines"."""

    def test_lines(self):
        page = (EXAMPLES.parent / "docs/extending.md").read_text("utf-8")
        said = re.search(r"/my_gan\.py\), least squares with R1 in (\d+) lines", page)
        assert int(said[1]) == len((EXAMPLES / "my_gan.py").read_text("utf-8").splitlines())

    def test_least_squares(self):
        assert TestMyGAN.kind().get_config()["loss"] == "least_squares"

    def test_r1(self):
        """5 ‖∇D(x)‖² of each real image, by hand: D is Dense(256, "leaky_relu"), Dense(1)."""
        model = TestMyGAN.kind()
        images = np.random.default_rng(0).uniform(-1, 1, (3, 28, 28, 1)).astype("float32")
        first, bias, last, _ = (w.numpy().astype("float64") for w in model.discriminator.weights)
        before = images.reshape(3, -1) @ first + bias
        gradients = (np.where(before > 0, 1.0, 0.2) * last[:, 0]) @ first.T
        real = SimpleNamespace(images=tf.constant(images), labels=None)
        received = model.penalty(real, None, None)
        np.testing.assert_allclose(received, 5 * (gradients**2).sum(axis=1), rtol=1e-4)


def test_add_to_zoo(tiny_preset, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype="uint8")
    for i, pixels in enumerate(images):
        folder = tmp_path / ("test" if i < 8 else "train")
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    preset = shutil.copytree(tiny_preset, tmp_path / "run" / "preset")
    recipe = recipes.read(preset / "recipe.toml")
    recipe.data.source = str(tmp_path / "train")
    (preset / "recipe.toml").write_text(recipe.to_toml())
    complete(preset, read_json(preset / "metadata.json"))
    done = CliRunner().invoke(
        load("add_to_zoo").main, [str(preset), str(tmp_path / "zoo"), "--name", "mine"]
    )
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
    figures = {figure["metric"] for figure in kgan.zoo.info("mine")["metrics"]}
    assert {"kernel_distance", "recall", "nearness"} <= figures
    assert "(#mine)" in (tmp_path / "zoo" / "README.md").read_text()
    assert kgan.zoo.load("mine").sample(1, seed=0).shape == (1, 16, 16, 3)
