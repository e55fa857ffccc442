"""Pictures that the tests of this folder read."""

import numpy as np
from PIL import Image


def write_images(folder, n):
    """PNGs 000.png, 001.png, ... of one shade each: the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (16, 16), (i, i, i)).save(folder / f"{i:03d}.png")


def write_truncated_jpeg(path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])
