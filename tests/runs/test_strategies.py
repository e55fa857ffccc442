"""The devices that a run trains on."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import tensorflow as tf
from models.harness import TWO_REPLICAS

from kgan import zoo
from kgan.errors import KganError
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
    (tmp_path / "images").mkdir()
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


def free_addresses(number):
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)
        ]
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def test_workers_wait_for_one_another():
    addresses = free_addresses(3)
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(strategies._meet, addresses, own) for own in (1, 0)]
        time.sleep(0.3)
        assert not any(each.done() for each in waiting)
        waiting.append(threads.submit(strategies._meet, addresses, 2))
        assert [each.result(timeout=20) for each in waiting] == [None] * 3
    socket.create_server(("127.0.0.1", int(addresses[0].partition(":")[2]))).close()  # free again


@pytest.mark.parametrize(("own", "missing"), [(0, 1), (1, 0)])
def test_a_worker_that_does_not_come_is_named(monkeypatch, own, missing, capsys):
    monkeypatch.setattr(strategies, "PATIENCE", 1.0)
    monkeypatch.setattr(strategies, "_TOLD_AFTER", 0.1)
    addresses = free_addresses(2)
    with pytest.raises(KganError, match=f"within 1 s. Received: nothing from {addresses[missing]}"):
        strategies._meet(addresses, own)
    assert capsys.readouterr().err == f"Waiting for other workers: {addresses[missing]}\n"


def test_an_address_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(KganError, match=f"Expected to listen at {address}, as TF_CONFIG says"):
            strategies._meet([address, "127.0.0.1:1"], 0)
