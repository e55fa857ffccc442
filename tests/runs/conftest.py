"""A folder of squares and a run that ended, which the tests of this folder read."""

import numpy as np
import pytest
from PIL import Image

from kgan.runs import train as training
from runs.squares import recipe


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """44 images in batches of 8: an epoch ends amid the run, and leaves a remainder."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for i in range(44):
        pixels = np.zeros((16, 16), "uint8")
        top, left = random.integers(0, 10, 2)
        pixels[top : top + 6, left : left + 6] = 255
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="session")
def uninterrupted(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    preset = training.train(recipe(folder), run)
    assert preset == run / "preset"
    return run
