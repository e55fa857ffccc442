"""A page of small presets and a run."""

from pathlib import Path

import numpy as np
import pytest

from kgan import images
from kgan.files import write
from kgan.recipe import Recipe

LOG = (
    "images_seen,seconds,d_loss,g_loss,val_kernel_distance\r\n"
    "64,1.5,1.25,0.5,0.2\r\n128,3.0,inf,0.25,0.1\r\n192,4.5,1.0"  # the last is half a line
)


@pytest.fixture
def run(tmp_path) -> Path:
    """The directory of a run of 256 images, after 128, as far as the page looks at it."""
    directory = tmp_path / "runs/x"
    write_run(directory)
    return directory


def write_run(directory: Path) -> None:
    for folder in ("checkpoints", "grids"):
        (directory / folder).mkdir(parents=True)
    write(directory / "recipe.toml", Recipe(name="x", model="DCGAN", images=256).to_toml())
    write(directory / "log.csv", LOG.encode())
    for seen in (0, 64, 128):
        grid = np.full((8, 8, 3), seen, np.uint8)
        images.save_png(grid, directory / f"grids/images-{seen:09d}.png", {"images_seen": seen})
