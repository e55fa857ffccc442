"""The devices that a run trains on."""

import json

import numpy as np
import pytest
import tensorflow as tf
from models.harness import TWO_REPLICAS

from kgan import zoo
from kgan.images import save_png
from kgan.recipe import Data, Recipe
from kgan.runs import strategies
from kgan.runs.train import train


def test_without_gpus_auto_is_one_device():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("Expected a machine without GPUs")
    for name in ("auto", "one"):
        assert strategies.make(name) is tf.distribute.get_strategy()
    assert strategies.described(strategies.make("auto")) == "Training on 1 CPU"
    assert strategies.described(TWO_REPLICAS) == "Training on 2 CPUs"


def test_mirrored_takes_all_devices_of_a_kind():
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    assert strategies.make("mirrored").num_replicas_in_sync == len(
        tf.config.list_logical_devices(kind)
    )


@pytest.mark.slow
def test_a_run_on_two_devices_is_that_on_one(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(24):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype="uint8")
        save_png(pixels, tmp_path / f"images/{index}.png", None)
    recipe = Recipe(
        name="tiny",
        model="DCGAN",
        arguments={"image_shape": [16, 16, 3], "latent_dim": 4, "width": 2},
        data=Data("images"),
        images=40,
        batch_size=8,
        checkpoint_images=16,
        grid_images=16,
    )
    places = []
    for strategy in (None, TWO_REPLICAS):
        out = tmp_path / ("one" if strategy is None else "two")
        places.append(train(recipe, out, data_dir=tmp_path, strategy=strategy))
    noted = [json.loads((tmp_path / name / "versions.json").read_text()) for name in ("one", "two")]
    assert "replicas" not in noted[0][0] and noted[1][0]["replicas"] == 2
    one, two = map(zoo.load, places)
    for v, w in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(v.numpy(), w.numpy(), atol=1e-5, err_msg=v.path)
