"""Walks through the latent space during fit."""

import numpy as np
import pytest
from frames import frames_of

from kgan import images as pictures
from kgan.callbacks import LatentWalk
from kgan.latents import walk_latents
from kgan.models import DCGAN, ConditionalGAN


@pytest.fixture(scope="module")
def model():
    model = DCGAN((16, 16, 1), latent_dim=4, width=2, ema_half_life=10)
    for generator in (model.generator, model.ema_generator):
        last = generator.weights[-2]  # the kernel before tanh
        last.assign(500 * last)  # untrained images are nearly gray
    model.compile(run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def conditional():
    model = ConditionalGAN((16, 16, 1), num_classes=3, latent_dim=4, width=4)
    last = model.ema_generator.weights[-2]  # the kernel before tanh
    last.assign(5000 * last)  # untrained images are nearly gray
    return model


def _walked(model, directory, **options):
    """The frames and the provenance of one walk of an untrained model."""
    callback = LatentWalk(directory, **options)
    callback.set_model(model)
    callback.on_train_begin()
    (path,) = directory.iterdir()
    return frames_of(path, "L"), pictures.read_provenance(path)


def test_walks_of_the_averaged_generator_through_the_same_latents(model, tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype="uint8")
    options = {"rows": 2, "columns": 3, "seed": 5, "stops": 3, "steps": 4}
    callback = LatentWalk(tmp_path / "walks", every_images=8, format="png", **options)
    model.fit(data, batch_size=8, verbose=0, callbacks=[callback])
    files = sorted((tmp_path / "walks").iterdir())
    assert [f.name for f in files] == [f"walk-{n:09d}.png" for n in (0, 8, 16)]
    before, frames = frames_of(files[0], "L"), frames_of(files[-1], "L")
    assert frames.shape == (12, 2 * 18 + 2, 3 * 18 + 2)
    assert not np.array_equal(before, frames)
    expected = pictures.grid(model.sample(6, seed=5), columns=3)[..., 0]
    np.testing.assert_array_equal(frames[0], expected)
    latents = walk_latents(5, walkers=6, stops=3, steps=4, latent_dim=4)
    for frame, z in zip(frames, latents, strict=True):
        floats = np.asarray(model(z), np.float64)
        levels = np.rint((floats + 1) * 127.5).astype("uint8")
        shown = pictures.grid(levels, columns=3)[..., 0]
        assert np.abs(frame.astype(int) - shown).max() <= 1  # another batch size rounds otherwise
    said = pictures.read_provenance(files[-1])
    assert said["images_seen"] == 16 and said["seed"] == 5 and said["class"] == "DCGAN"
    assert (said["stops"], said["steps"]) == (3, 4)


def test_last_frame_joins_the_first(conditional, tmp_path):
    frames, _ = _walked(conditional, tmp_path, stops=2, steps=12, format="png")
    assert len(frames) == 24
    steps = np.abs(frames - np.roll(frames, -1, axis=0).astype(float)).mean((1, 2))
    assert 0 < steps[-1] <= 1.5 * steps[:-1].max()
    far = np.abs(frames[0] - frames[12].astype(float)).mean()
    assert steps[-1] < far / 3


def test_webp_by_default(conditional, tmp_path):
    frames, said = _walked(conditional, tmp_path, stops=2, steps=2)
    assert [p.suffix for p in tmp_path.iterdir()] == [".webp"]
    assert frames.shape == (4, 3 * 18 + 2, 4 * 18 + 2)
    assert said["class"] == "ConditionalGAN"


def test_gif(conditional, tmp_path):
    frames, said = _walked(conditional, tmp_path, stops=2, steps=2, format="gif")
    exact, _ = _walked(conditional, tmp_path / "png", stops=2, steps=2, format="png")
    np.testing.assert_array_equal(frames, exact)
    assert said["class"] == "ConditionalGAN"


def test_a_class_for_every_row(conditional, tmp_path):
    frames, said = _walked(conditional, tmp_path, columns=2, stops=2, steps=2, format="png")
    assert said["labels"] == [0, 0, 1, 1, 2, 2]
    samples = conditional.sample(6, seed=0, labels=said["labels"])
    np.testing.assert_array_equal(frames[0], pictures.grid(samples, 2)[..., 0])


@pytest.mark.parametrize(
    "labels, same", [(2, [2, 2, 2, 2]), (np.array([0, 1, 2, 0]), [0, 1, 2, 0])]
)
def test_fixed_labels(conditional, tmp_path, labels, same):
    options = {"rows": 2, "columns": 2, "stops": 2, "steps": 2, "format": "png"}
    frames, said = _walked(conditional, tmp_path, labels=labels, **options)
    assert said["labels"] == (labels if isinstance(labels, int) else same)
    samples = conditional.sample(4, seed=0, labels=same)
    np.testing.assert_array_equal(frames[0], pictures.grid(samples, 2)[..., 0])


def test_does_not_change_training(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype="uint8")
    results = []
    for callbacks in ([], [LatentWalk(tmp_path / "w", every_images=8, stops=2, steps=2)]):
        model = DCGAN((16, 16, 1), latent_dim=2, width=2)
        model.compile(run_eagerly=True)
        model.fit(data, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        results.append([w.numpy() for w in model.weights])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"rows": 0}, "rows to be an int >= 1, or None. Received: rows=0"),
        ({"stops": 1}, "stops to be an int >= 2. Received: stops=1"),
        ({"steps": 0}, "steps to be an int >= 1. Received: steps=0"),
        ({"format": "mp4"}, "one of 'png', 'webp', 'gif'. Received: format='mp4'"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        LatentWalk(tmp_path, **wrong)


def test_labels_that_are_no_classes_are_refused(conditional, tmp_path):
    with pytest.raises(ValueError, match="Expected labels.*Received: labels=3"):
        _walked(conditional, tmp_path, labels=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 3}, "labels"),
        ({"labels": [0, 1]}, "labels"),
        ({"columns": 1200}, "pixels a side"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_training(conditional, options, message, tmp_path):
    conditional.compile(run_eagerly=True)
    data = (np.zeros((8, 16, 16, 1), "uint8"), np.zeros(8, "int32"))
    conditional.images_seen.assign(4)  # an untrained one is walked through at once
    callback = LatentWalk(tmp_path / "walks", every_images=1000, **options)
    with pytest.raises(ValueError, match=message):
        conditional.fit(*data, batch_size=4, verbose=0, callbacks=[callback])
    assert int(conditional.images_seen) == 4


def test_labels_of_an_unconditional_model_are_refused_before_training(model, tmp_path):
    callback = LatentWalk(tmp_path / "walks", every_images=1000, labels=0)
    callback.set_model(model)
    with pytest.raises(ValueError, match="labels"):
        callback.on_train_begin()
