"""A small run: squares, a recipe of them, and what a checkpoint holds."""

import h5py

from kgan import recipe as recipes

RECIPE = {
    "format": 1,
    "name": "squares",
    "model": "DCGAN",
    "images": 160,
    "batch_size": 8,
    "checkpoint_images": 16,
    "grid_images": 64,
    "arguments": {
        "image_shape": [16, 16, 1],
        "latent_dim": 4,
        "width": 4,
        "augment": {"name": "DiffAugment", "transforms": ["translation"]},
    },
    "data": {"flip": True},
    "g_optimizer": {
        "name": "Adam",
        "beta_1": 0.5,
        "learning_rate": {
            "name": "CosineDecay",
            "initial_learning_rate": 1e-3,
            "decay_steps": 20,
        },
    },
}


def recipe(folder, **changes):
    recipe = recipes.from_dict({**RECIPE, **changes}, "a test")
    recipe.data.source = str(folder)
    return recipe


def weights(run):
    newest = max((run / "checkpoints").glob("images-*.h5"))
    return newest.name, h5_values(newest)


def h5_values(path):
    values = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                values.update({name: item[()].tobytes()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return values
