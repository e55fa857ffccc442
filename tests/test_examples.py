"""The scripts in examples/ run."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import kgan
from models.harness import Harness

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


def test_fine_tune(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype="uint8")
        Image.fromarray(pixels).save(f"photos/{i}.png")
    load("fine_tune").main("photos", epochs=1, batch_size=4)
    before = int(kgan.zoo.load("dcgan-celeba").images_seen.numpy())
    assert int(kgan.zoo.load("fine-tuned").images_seen.numpy()) == before + 4


class TestMyGAN(Harness):
    """A researcher's class passes what kgan's own do."""

    kind = load("my_gan").LeastSquaresR1

    @property
    def config(self):
        keras.utils.set_random_seed(0)  # its networks leave their seeds to Keras
        return {}

    smooth_config = config


def test_my_gan_is_as_short_as_it_says():
    assert len((EXAMPLES / "my_gan.py").read_text().splitlines()) <= 30
