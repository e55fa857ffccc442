"""Presets whose files are right, though there is no model in them."""

import json
from pathlib import Path

from kgan.recipe import Data, Recipe
from kgan.zoo import preset

FILES = ("config.json", "model.weights.h5", "recipe.toml", "README.md", "samples.png")
METADATA = {
    "format": 1,
    "name": "faces",
    "model": "DCGAN",
    "dataset": "CelebA, aligned faces",
    "licence": "CelebA: non-commercial research only",
    "image_shape": [64, 64, 3],
    "num_classes": None,
    "parameters": {"generator": 1234567, "discriminator": 7654321},
    "versions": {"kgan": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0"},
    "training": {"images_seen": 640000, "seconds": 5400, "hardware": "2 cores of x", "seed": 0},
    "metrics": [],
}
SELECTED = {
    "metric": "kernel_distance",
    "value": 0.00226,
    "extractor_sha256": 64 * "a",
    "seed": 1000,
    "images": 4000,
    "places": "odd places of 8,000 training pictures",
}
RECIPE = Recipe(
    name="faces",
    model="DCGAN",
    data=Data("celeba/train", licence_note="Research only, says CelebA.", note="Cropped."),
    note="With a moving average.",
)


def make_preset(directory, recipe=RECIPE, metadata=METADATA) -> Path:
    """A preset whose files are right, though there is no model in them."""
    directory.mkdir(parents=True)
    for name in ("model.weights.h5", "samples.png"):
        (directory / name).write_text(f"{name} of {directory.name}")
    config = {"format": metadata["format"], "class": metadata["model"], "of": directory.name}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "recipe.toml").write_text(recipe.to_toml())
    preset.complete(directory, metadata)
    return directory


def flip_byte(path, position=-2):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def change_metadata(directory, **values):
    path = directory / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
