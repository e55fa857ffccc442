"""A disk without room: every writer says so in one line, and what was there stays as it was."""

import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from untrusted import hostile

import kgan
from kgan import files, images
from kgan.callbacks import Checkpoint, SampleGrid
from kgan.data import cache
from kgan.errors import KganError
from kgan.models import DCGAN
from kgan.runs.callbacks import RunLog


@contextmanager
def room_for(size):
    """Lets no file grow beyond so many bytes: the write that would is refused by the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def model():
    model = DCGAN((16, 16, 3), latent_dim=4, width=2)
    model.compile()
    return model


def checkpoint(model, place):
    Checkpoint(place).save(model, int(model.images_seen.numpy()))


def preset(model, place):
    kgan.zoo.save(model, place / "preset")


def archive(model, place):
    model.save(place / "model.keras")


def weights(model, place):
    model.save_weights(place / "model.weights.h5")


def picture(model, place):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    images.save_png(noise, place / "picture.png", None)


def animation(model, place):
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    images.save_animation(noise, place / "picture.webp", None)


def grid(model, place):
    callback = SampleGrid(place)
    callback.set_model(model)
    callback.act(int(model.images_seen.numpy()))


def log(model, place):
    callback = RunLog(place / "log.csv")
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, {f"loss_{i}": i / 3 for i in range(100)})


def image_cache(model, place):
    with cache.writing(place / "cache", (16, 16, 3), 100) as writer:
        for _ in range(10):
            writer.append(np.zeros((10, 16, 16, 3), np.uint8))
        writer.finish({}, {})


WRITERS = [checkpoint, preset, archive, weights, picture, animation, grid, log, image_cache]


def state(place):
    return {
        path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_what_stands_there_stays_and_nothing_is_left(model, tmp_path, write):
    model.images_seen.assign(0)
    write(model, tmp_path)
    before = state(tmp_path)
    largest = max(map(len, before.values()))
    model.images_seen.assign(64)
    for size in (0, 1, largest // 3, largest - 1):
        with room_for(size), pytest.raises((KganError, OSError)) as raised:
            write(model, tmp_path)
        assert "File too large" in str(raised.value) and "\n" not in str(raised.value)
        assert state(tmp_path) == before and not files.partials(tmp_path)
    write(model, tmp_path)  # there is room again
    assert state(tmp_path).keys() >= before.keys()


@pytest.mark.parametrize("there", [False, True])
def test_a_checkpoint_says_whether_there_is_one_to_go_back_to(model, tmp_path, there):
    if there:
        model.images_seen.assign(0)
        checkpoint(model, tmp_path)
    model.images_seen.assign(64)
    hint = "The last one is whole" if there else "There is none yet"
    with room_for(1000), pytest.raises(KganError, match=f"File too large. {hint}: make room, and "):
        checkpoint(model, tmp_path)


@pytest.mark.parametrize("call", range(1, 8))
def test_any_write_that_fails_costs_no_checkpoint(model, tmp_path, monkeypatch, call):
    """Of a preset and a checkpoint, the n-th file that is opened for writing cannot be written."""
    model.images_seen.assign(0)
    preset(model, tmp_path)
    checkpoint(model, tmp_path / "checkpoints")
    before, real, calls = state(tmp_path), Path.open, []

    def failing(self, mode="r", *args, **kwargs):
        if "w" in mode and self.is_relative_to(tmp_path):  # the cache may fail as it likes
            calls.append(self)
            if len(calls) == call:
                raise OSError(28, "No space left on device", str(self))
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", failing)
    model.images_seen.assign(64)
    failed = []
    for write, place in ((preset, tmp_path), (checkpoint, tmp_path / "checkpoints")):
        try:
            write(model, place)
        except (KganError, OSError) as error:
            failed.append(error)
    monkeypatch.undo()
    assert len(failed) == (len(calls) >= call) == 1
    kgan.zoo.load(tmp_path / "preset")
    assert Checkpoint(tmp_path / "checkpoints").restore(model) in (0, 64)
    left = state(tmp_path).keys() - before.keys()
    assert not files.partials(tmp_path) and len(left) in (0, 2), left


class TestWithoutTemporaryFolder:
    @pytest.fixture(autouse=True)
    def _full(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TMPDIR", os.fspath(tmp_path / "missing"))
        monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path / "missing"))

    def test_presets_of_both_formats_are_loaded_and_drawn_from(self, tiny_preset, tmp_path):
        old = shutil.copytree(tiny_preset, tmp_path / "old")
        hostile.to_format_1(old)
        for place in (tiny_preset, old):
            assert len(kgan.zoo.load(place).sample(1)) == 1

    def test_a_preset_is_saved(self, model, tmp_path):
        kgan.zoo.save(model, tmp_path / "preset")
        assert kgan.zoo.load(tmp_path / "preset").sample(1).shape == (1, 16, 16, 3)
