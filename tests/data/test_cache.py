"""kgan.data.cache: images decoded once, in a file that is whole or not there."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import kgan.data.cache
import kgan.data.reading
from kgan.data import load
from kgan.data.folder import load_folder
from kgan.data.resize import Rule
from kgan.errors import KganError, KganWarning
from kgan.files import replacing

SHAPE = (16, 16, 3)
RULE = Rule.checked(SHAPE)


@pytest.fixture
def folder(tmp_path):
    """40 images in two classes, one of them unreadable."""
    for i in range(39):
        path = tmp_path / "photos" / ("even" if i % 2 == 0 else "odd") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (i, i, i)).save(path)
    (tmp_path / "photos/odd/00.png").touch()
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "here" / "photos.cache"


@pytest.fixture
def decoded(monkeypatch):
    """The pictures that are decoded from now on."""
    pictures = []
    resize = kgan.data.reading.resize_image
    monkeypatch.setattr(
        kgan.data.reading, "resize_image", lambda *args: pictures.append(args[0]) or resize(*args)
    )
    return pictures


pytestmark = pytest.mark.filterwarnings("ignore:Skipped:kgan.errors.KganWarning")


EMPTY = hashlib.sha256().hexdigest()


def _read(folder, cache, **options):
    return load_folder(folder, RULE, cache=cache, **{"labels": "folders", **options})


class TestReuse:
    def test_gives_the_same_without_decoding(self, folder, cache, decoded):
        plain = load_folder(folder, RULE, labels="folders")
        first = _read(folder, cache)
        assert len(decoded) == 2 * 39
        second = _read(folder, cache)
        assert len(decoded) == 2 * 39
        for images, labels, report in (first, second):
            np.testing.assert_array_equal(images, plain[0])
            np.testing.assert_array_equal(labels, plain[1])
            assert report.skipped == plain[2].skipped == {"odd/00.png": "empty file"}
            assert report.classes == plain[2].classes == {"even": 20, "odd": 19}
            assert (report.sizes, report.modes) == (plain[2].sizes, plain[2].modes)
            assert report.sums == plain[2].sums and report.sums["odd/00.png"] == EMPTY
            assert (report.memory, report.file) == (0, cache.stat().st_size)

    def test_is_on_disk_and_may_not_be_changed(self, folder, cache):
        images = _read(folder, cache)[0]
        assert isinstance(images, kgan.data.cache.Stored)
        with pytest.raises(ValueError, match="read-only"):
            images[0] = 0

    def test_does_not_depend_on_labels(self, folder, cache, decoded):
        assert _read(folder, cache, labels=None)[1] is None
        assert _read(folder, cache)[1].tolist() == [0] * 20 + [1] * 19
        assert len(decoded) == 39

    def test_goes_with_a_folder_that_was_moved(self, folder, cache, decoded):
        _read(folder, cache)
        folder.rename(folder.with_name("moved"))
        report = _read(folder.with_name("moved"), cache)[2]
        assert len(decoded) == 39 and report.folder.endswith("moved")

    def test_batches_are_those_from_memory(self, folder, cache):
        def batches(**options):
            data = load(folder, SHAPE, labels="folders", **options)
            return list(data.dataset(8, flip=True).as_numpy_iterator())

        for _ in range(2):
            for (images, labels), expected in zip(batches(cache=cache), batches(), strict=True):
                np.testing.assert_array_equal(images, expected[0])
                np.testing.assert_array_equal(labels, expected[1])

    def test_of_a_box_or_of_some_files_is_used_again(self, folder, cache, decoded):
        rule = Rule.checked(SHAPE, box=(0.1, 0.2, 0.9, 1))
        options = {"labels": "folders", "only": lambda path: path.startswith("even/")}
        expected = load_folder(folder, rule, **options)
        decoded.clear()
        for _ in range(2):
            images, labels, report = load_folder(folder, rule, cache=cache, **options)
            np.testing.assert_array_equal(images, expected[0])
            np.testing.assert_array_equal(labels, expected[1])
            assert report.box == rule.box and report.images == 20
        assert len(decoded) == 20

    def test_options_are_kept_by_the_names_of_kgan_0_1(self, folder, cache):
        """So that caches of before are used, and kgan 0.1 reads those of now."""
        _read(folder, cache)
        end = cache.read_bytes()
        length = int.from_bytes(end[-40:-32], "little")
        table = json.loads(end[-40 - length : -40])
        assert set(table["key"]) == {"image_shape", "fit", "background", "box", "list of files"}
        assert table["key"]["fit"] == table["facts"]["report"]["fit"] == "crop"
        assert not {"resize", "sums"} & set(table["facts"]["report"])
        sums = _read(folder, cache)[2].sums
        del table["facts"]["sums"]  # which kgan 0.1 did not write
        text = json.dumps(table).encode()
        end = end[: -40 - length] + text + len(text).to_bytes(8, "little")
        cache.write_bytes(end + hashlib.sha256(text).digest())
        assert _read(folder, cache)[2].sums == sums

    def test_of_several_folders(self, folder, cache, decoded):
        even, odd = folder / "even", folder / "odd"
        expected = load_folder([odd, even], RULE)[0]
        decoded.clear()
        for _ in range(2):
            images, _, report = load_folder([odd, even], RULE, cache=cache)
            np.testing.assert_array_equal(images, expected)
            assert list(report.skipped) == [str(odd / "00.png")]
        assert len(decoded) == 39
        with pytest.warns(KganWarning, match="anew: its list of files is another"):
            images = load_folder([even, odd], RULE, cache=cache)[0]
        np.testing.assert_array_equal(images, np.concatenate([expected[19:], expected[:19]]))

    def test_written_in_several_parts(self, tmp_path, cache):
        images = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), np.uint8)
        with kgan.data.cache.writing(cache, SHAPE, 10) as writer:
            for start, stop in ((0, 4), (4, 4), (4, 5), (5, 10)):
                writer.append(images[start:stop])
            writer.finish({"a": 1}, {"b": 2})
        found, facts = kgan.data.cache.read(cache, {"a": 1})
        np.testing.assert_array_equal(found, images)
        assert facts == {"b": 2}


def _touch(folder, cache):
    os.utime(folder / "even/00.png", ns=(0, 1))


def _add(folder, cache):
    Image.new("RGB", (20, 20)).save(folder / "odd/new.png")


def _rename(folder, cache):
    (folder / "odd/01.png").rename(folder / "odd/02.png")


def _cut(end):
    def cut(folder, cache):
        os.truncate(cache, end if end >= 0 else cache.stat().st_size + end)

    return cut


def _flip(place):
    def flip(folder, cache):
        data = bytearray(cache.read_bytes())
        data[place] ^= 1
        cache.write_bytes(data)

    return flip


def _grow(folder, cache):
    with open(cache, "ab") as file:
        file.write(bytes(99))


class TestStale:
    @pytest.mark.parametrize(
        "change, reason",
        [
            (_touch, "its list of files is another"),
            (_add, "its list of files is another"),
            (_rename, "its list of files is another"),
            (_cut(0), "it is cut off"),
            (_cut(10), "it is cut off"),
            (_cut(4096), "it is cut off"),
            (_cut(20_000), "it is cut off"),
            (_cut(-1), "it is cut off"),
            (_flip(5000), "its images are damaged"),
            (_flip(-1), "it is cut off or damaged"),
            (_flip(-100), "it is cut off or damaged"),
            (_flip(-34), "it is cut off"),
            (_grow, "it is cut off"),
        ],
    )
    def test_is_made_anew_with_one_warning(self, folder, cache, change, reason):
        before = _read(folder, cache)[0].copy()
        change(folder, cache)
        with pytest.warns(KganWarning) as caught:
            images = _read(folder, cache)[0]
        made = [str(w.message) for w in caught if "Making the cache" in str(w.message)]
        assert len(made) == 1 and made[0].startswith(f"Making the cache {cache} anew: {reason}")
        np.testing.assert_array_equal(images, load_folder(folder, RULE)[0])
        if change is not _rename:
            np.testing.assert_array_equal(images[:20], before[:20])
        assert os.listdir(cache.parent) == [cache.name]

    @pytest.mark.parametrize(
        "options",
        [
            *({"resize": "pad"}, {"background": "black"}, {"image_shape": (28, 28, 1)}),
            {"box": [0.1, 0.2, 0.9, 1]},
        ],
        ids=str,
    )
    def test_other_options(self, folder, cache, options):
        _read(folder, cache)
        rule = Rule.checked(**{"image_shape": SHAPE, **options})
        with pytest.warns(
            KganWarning, match="anew: its (resize|background|image_shape|box) is another"
        ):
            images = load_folder(folder, rule, cache=cache)[0]
        np.testing.assert_array_equal(images, load_folder(folder, rule)[0])

    @pytest.mark.parametrize("content", [b"Dear diary,\n", b"x", bytes(9000)])
    def test_a_file_that_is_something_else_is_left_alone(self, folder, cache, content):
        cache.parent.mkdir()
        cache.write_bytes(content)
        with pytest.raises(KganError, match=r"a new file for the cache.*Received: .*\.cache"):
            _read(folder, cache)
        assert cache.read_bytes() == content

    def test_a_folder_is_refused(self, folder, tmp_path):
        with pytest.raises(KganError, match="a file as cache. Received: the folder"):
            _read(folder, tmp_path)

    def test_every_truncation_is_noticed(self, folder, cache):
        _read(folder, cache)
        data = cache.read_bytes()
        images, key = [], None
        for end in np.random.default_rng(0).integers(0, len(data), 60):
            cache.write_bytes(data[:end])
            with pytest.raises(kgan.data.cache.Stale, match="it is cut off"):
                images, key = kgan.data.cache.read(cache, {})
        assert (images, key) == ([], None)


def _overwrite(folder, cache):
    with open(cache, "r+b") as file:
        file.seek(4096)
        file.write(bytes(1000))


class TestInUse:
    """Of a mapped file, what is cut off ends the process with SIGBUS."""

    @pytest.mark.parametrize("change", [_cut(0), _cut(4096), _cut(9000), _overwrite, _flip(9000)])
    def test_what_is_cut_off_or_changed_is_an_error(self, folder, cache, change):
        images = _read(folder, cache)[0]
        last = images[-1]
        change(folder, cache)
        with pytest.raises(KganError, match="nobody to change .*(cut off|damaged); the next start"):
            images[:]
        with pytest.warns(KganWarning, match="Making the cache .* anew"):
            np.testing.assert_array_equal(_read(folder, cache)[0][-1], last)

    @pytest.mark.parametrize("change", ["unlink", "touch"])
    def test_what_is_deleted_or_touched_serves_on(self, folder, cache, change):
        images = _read(folder, cache)[0]
        expected = np.array(images)
        getattr(cache, change)()
        np.testing.assert_array_equal(images, expected)

    def test_another_cache_in_its_place_is_not_read(self, folder, cache):
        images = _read(folder, cache)[0]
        expected = np.array(images)
        with pytest.warns(KganWarning, match="anew"):
            load_folder(folder, Rule.checked((28, 28, 1)), cache=cache)
        np.testing.assert_array_equal(images, expected)

    def test_is_an_array_to_whoever_uses_it(self, folder, cache):
        images = _read(folder, cache)[0]
        array = np.array(images)
        for index in (
            *(3, -1, slice(2, 30, 3), slice(None, None, -1), [5, 1, 5], np.array([[1, 2], [3, 4]])),
            *(np.arange(39) % 2 == 0, (0, 1), (slice(4, 9), slice(2, 5), ..., 0), [], slice(9, 2)),
            *(([1, 2], 3), None, ..., (..., 0)),
        ):
            np.testing.assert_array_equal(images[index], array[index], str(index))
        with pytest.raises(IndexError):
            images[39]
        assert (len(images), images.shape, images.dtype) == (39, (39, *SHAPE), np.uint8)
        assert (images.ndim, images.nbytes, images.mean()) == (4, array.nbytes, array.mean())
        np.testing.assert_array_equal(images / 2, array / 2)
        assert [image.tolist() for image in images] == array.tolist()


CUT = """
import os, sys
from kgan.cli import main
from kgan.cli.quiet import import_tensorflow
import_tensorflow()
from kgan.runs import train as training

class Cut(training.RunLog):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if epoch == 1:
            os.truncate("x.cache", 4096)

training.RunLog = Cut
main(sys.argv[1:], prog_name="kgan")
"""


@pytest.mark.slow
def test_a_run_whose_cache_is_cut_off_ends_with_one_line(run_python, folder, tmp_path):
    options = "dcgan --data photos --size 16 --cache x.cache --out run --images 320 --batch-size 8"
    command = [*options.split(), "--checkpoint-images", "32"]
    done = run_python("-c", CUT, "train", *command, cwd=tmp_path)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[-1].startswith("Error: Expected nobody to change the cache x.cache while")
    assert "Traceback" not in done.stderr


class TestWriting:
    def test_a_full_disk_leaves_nothing(self, folder, cache, monkeypatch):
        def full(self, images):
            self._file.write(bytes(1000))
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(kgan.data.cache.Writer, "append", full)
        with pytest.raises(KganError, match=r"can be written. Received: .*No space left on device"):
            _read(folder, cache)
        assert os.listdir(cache.parent) == []

    def test_too_little_room_is_seen_before_any_work(self, folder, cache, decoded, monkeypatch):
        usage = shutil.disk_usage("/")._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(KganError, match=r"30,720 bytes of free disk .*Received: 1,000"):
            _read(folder, cache)
        assert decoded == [] and os.listdir(cache.parent) == []

    def test_too_many_unreadable_files_leave_nothing(self, folder, cache):
        (folder / "odd/02.png").touch()
        (folder / "odd/04.png").touch()
        with pytest.raises(KganError, match="3 of 42 image files"):
            _read(folder, cache)
        assert os.listdir(cache.parent) == []

    def test_the_old_one_is_kept_until_the_new_one_is_whole(self, folder, cache, monkeypatch):
        _read(folder, cache)
        before = cache.read_bytes()
        _add(folder, cache)

        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(kgan.data.cache.Writer, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt), pytest.warns(KganWarning, match="anew"):
            _read(folder, cache)
        assert cache.read_bytes() == before and os.listdir(cache.parent) == [cache.name]

    @pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="must be allowed to mount")
    def test_a_disk_that_is_really_full(self, folder, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("may not mount")
        try:
            # What is free is enough when it begins, and is not when it ends.
            (disk / "ballast").write_bytes(bytes(32_768))
            message = r"cache that can be written. Received: .*No space left on device"
            with pytest.raises(KganError, match=message):
                load_folder(folder, RULE, cache=disk / "x.cache")
            assert os.listdir(disk) == ["ballast"]
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(
        self, folder, cache
    ):
        cache.parent.mkdir()
        left = cache.with_name(f".partial-0123abcd-{cache.name}")
        left.mkdir()
        (left / cache.name).write_bytes(b"half")
        with replacing(cache) as living:
            living.touch()
            _read(folder, cache)
            assert set(os.listdir(cache.parent)) == {living.parent.name, cache.name}


SLOW = """
import sys, time
from pathlib import Path
import kgan.data.reading as reading
from kgan.cli import main

resize = reading.resize_image
def slowly(*args):
    if not Path("started").exists():
        Path("started").touch()
    time.sleep(0.05)
    return resize(*args)
reading.resize_image = slowly
main(sys.argv[1:], prog_name="kgan")
"""


@pytest.mark.parametrize("verb", ["data check", "train"])
def test_ctrl_c_while_reading(interruptible, folder, tmp_path, verb):
    options = {
        "data check": "photos --size 16 --out sheet.png",
        "train": "dcgan --data photos --size 16 --cache x.cache --out run",
    }
    command = [*verb.split(), *options[verb].split()]
    process = interruptible(
        [sys.executable, "-c", SLOW, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Interrupted" in said and "Traceback" not in said
    assert sorted(os.listdir(tmp_path)) == ["photos", "started"]
