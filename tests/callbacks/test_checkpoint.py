"""Checkpoints: exact, atomic, and with one in reserve."""

import numpy as np
import pytest

from kgan.callbacks import Checkpoint
from kgan.errors import KganWarning
from kgan.models import DCGAN, GAN

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 1), dtype="uint8")


def new_model(kind=DCGAN):
    model = kind((16, 16, 1), latent_dim=4, width=5)
    model.compile()
    return model


def fit(model, directory, epochs):
    checkpoint = Checkpoint(directory)
    first = checkpoint.restore(model)
    model.fit(
        IMAGES,
        batch_size=8,
        epochs=epochs,
        initial_epoch=first,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoint],
    )
    return first


def everything(model):
    variables = [v for v in model.variables if "seed_generator" not in v.path]
    return [
        v.numpy() for v in variables + model.g_optimizer.variables + model.d_optimizer.variables
    ]


def test_resumed_training_equals_uninterrupted_to_the_bit(tmp_path):
    """GAN, whose dropout is the hardest to resume; the harness has all classes."""
    whole, first, second = (new_model(GAN) for _ in range(3))
    assert fit(whole, tmp_path / "a", epochs=4) == 0
    assert fit(first, tmp_path / "b", epochs=2) == 0
    assert fit(second, tmp_path / "b", epochs=4) == 2
    for a, b in zip(everything(whole), everything(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_last_two_are_kept_and_nothing_else(tmp_path):
    fit(new_model(), tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "images-000000072.json",
        "images-000000072.weights.h5",
        "images-000000096.json",
        "images-000000096.weights.h5",
    ]


@pytest.mark.parametrize("damage", ["truncate", "flip", "no hash"])
def test_a_damaged_newest_one_is_passed_over(damage, tmp_path):
    fit(new_model(), tmp_path, epochs=3)
    newest = tmp_path / "images-000000072.weights.h5"
    content = bytearray(newest.read_bytes())
    if damage == "truncate":
        newest.write_bytes(content[: len(content) // 3])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    else:
        (tmp_path / "images-000000072.json").write_text("{")
    model = new_model()
    with pytest.warns(KganWarning, match="images-000000072.weights.h5 is damaged"):
        assert Checkpoint(tmp_path).restore(model) == 2
    assert int(model.images_seen.numpy()) == 48


@pytest.mark.parametrize("prefix", [".partial-0123abcd-", "partial-"])  # kgan 0.1's: the second
def test_a_torn_write_is_not_a_checkpoint(tmp_path, prefix):
    fit(new_model(), tmp_path, epochs=1)
    (tmp_path / f"{prefix}images-000000048.weights.h5").write_bytes(b"torn")
    (tmp_path / "images-000000048.weights.h5").write_bytes(b"no hash was written yet")
    model = new_model()
    assert Checkpoint(tmp_path).restore(model) == 1
    Checkpoint(tmp_path).save(model, 1)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_none_whole_is_an_error_not_a_fresh_start(tmp_path):
    fit(new_model(), tmp_path, epochs=2)
    for path in tmp_path.glob("*.h5"):
        path.write_bytes(b"")
    with (
        pytest.warns(KganWarning, match="images-000000024.weights.h5 is damaged"),
        pytest.raises(ValueError, match="No checkpoint in .* is whole"),
    ):
        Checkpoint(tmp_path).restore(new_model())


def test_refusals(tmp_path):
    fit(new_model(), tmp_path, epochs=1)
    with pytest.raises(ValueError, match="Received: a model that is not compiled"):
        Checkpoint(tmp_path).restore(DCGAN((16, 16, 1), latent_dim=4, width=5))
    other = DCGAN((16, 16, 1), latent_dim=4, width=6)
    other.compile()
    with pytest.raises(ValueError, match="this model. Received: .*images-000000024.weights.h5: "):
        Checkpoint(tmp_path).restore(other)
    with pytest.raises(ValueError, match="keep >= 1. Received: 0"):
        Checkpoint(tmp_path, keep=0)
