"""Presets that several verbs draw."""

from pathlib import Path

import pytest

from kgan.recipe import Data, Recipe


def saved(model, directory) -> Path:
    """The directory, with the preset of a model that has not been trained."""
    model.compile()
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="session")
def style_preset(tmp_path_factory) -> Path:
    """An untrained StyleGANLite of three classes, one of which is called as in a spreadsheet."""
    from kgan import zoo
    from kgan.models import StyleGANLite

    directory = tmp_path_factory.mktemp("styles") / "style"
    model = StyleGANLite((16, 16, 3), latent_dim=8, width=4, max_channels=8, num_classes=3)
    model.compile()
    data = Data(source="tfds:none", class_names=["cat", "dog, black", "it's"])
    zoo.save(model, directory, Recipe(name="style", model="StyleGANLite", data=data))
    return directory


@pytest.fixture(scope="session")
def vivid_preset(tmp_path_factory) -> Path:
    """A DCGAN whose images differ from one another, as those of a trained one do."""
    from kgan.models import DCGAN

    directory = tmp_path_factory.mktemp("vivid") / "vivid"
    model = DCGAN((16, 16, 3), latent_dim=8, width=4)
    kernel = model.ema_generator.weights[-2]  # before tanh
    kernel.assign(300 * kernel)
    return saved(model, directory)


@pytest.fixture(scope="session")
def cyclegan_preset(tmp_path_factory) -> Path:
    """An untrained CycleGAN of colors and grays of 20 pixels, which works at 28."""
    from kgan.models import CycleGAN

    directory = tmp_path_factory.mktemp("cyclegan") / "horses"
    model = CycleGAN((20, 20, 3), 1, width=2, residual_blocks=0, translate_size=28, pool_size=0)
    return saved(model, directory)


@pytest.fixture(scope="session")
def pix2pix_preset(tmp_path_factory) -> Path:
    """An untrained Pix2Pix of 32 pixels."""
    from kgan.models import Pix2Pix

    directory = tmp_path_factory.mktemp("pix2pix") / "lines"
    model = Pix2Pix((32, 32, 3), width=2, max_channels=4)
    return saved(model, directory)
