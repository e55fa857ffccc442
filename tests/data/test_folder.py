"""kgan.data.folder: folders of images, with all that lies about in them."""

import errno
import os
import re
import struct
import sys
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import kgan.data.folder
from kgan.data.folder import (
    allocate,
    check,
    find_images,
    load_folder,
    picture_size,
    reaches,
    read_picture,
    shape_of_pictures,
)
from kgan.data.resize import Rule
from kgan.errors import KganError, KganWarning
from kgan.files import sha256

SHAPE = (16, 16, 3)
RULE = Rule.checked(SHAPE)


def _write_images(folder, n):
    """PNGs 000.png, 001.png, ... of one shade each: the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (16, 16), (i, i, i)).save(folder / f"{i:03d}.png")


def _names(folder):
    return [Path(file.name).as_posix() for file in find_images(folder).files]


def _write_truncated_jpeg(path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])


def test_folders_are_searched_recursively_in_sorted_order(tmp_path):
    for name in ("b/2.png", "a/1.JPG", "c.webp", "a/0/x.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["a/0/x.jpeg", "a/1.JPG", "b/2.png", "c.webp"]


def test_hidden_and_other_files_are_ignored(tmp_path):
    for name in ("x.png", ".hidden.png", "._x.png", "notes.txt", "Thumbs.db", "png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert _names(tmp_path) == ["x.png"]


def test_hidden_folders_are_ignored(tmp_path):
    for name in ("x.png", ".thumbnails/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["x.png"]


def test_folder_below_a_hidden_one_is_read(tmp_path):
    _write_images(tmp_path / ".cache" / "photos", 1)
    assert _names(tmp_path / ".cache" / "photos") == ["000.png"]


def test_images_come_in_the_order_of_their_names(tmp_path):
    _write_images(tmp_path, 30)
    images = load_folder(tmp_path, RULE)[0]
    expected = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None, None], (30, *SHAPE))
    np.testing.assert_array_equal(images, expected)


def test_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert load_folder(tmp_path, RULE)[0][0, 0, 0].tolist() == [255, 0, 0]


def test_photo_is_turned_as_its_camera_was_held(tmp_path):
    picture = Image.new("RGB", (32, 32), "red")
    picture.paste("blue", (0, 0, 16, 32))  # the left half
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be shown turned by 90 degrees clockwise
    picture.save(tmp_path / "x.jpg", exif=exif)
    top, bottom = load_folder(tmp_path, RULE)[0][0, [3, 12], 8].astype(int)
    assert top[2] > 200 > bottom[2] and bottom[0] > 200 > top[0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_of_the_picture_as_it_is_turned(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (20, 10)).save(path := tmp_path / f"x.{suffix}", exif=exif)
    size = (20, 10) if orientation < 5 else (10, 20)
    assert picture_size(path) == size
    assert shape_of_pictures(tmp_path) == (*size[::-1], 3)
    report, _ = check(tmp_path, SHAPE)
    assert {tuple(shape) for shape in report.sizes} == {size}


def test_one_picture_is_read_as_in_a_folder(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    shades = np.arange(32 * 20, dtype=np.uint16).reshape(32, 20) * 100
    Image.fromarray(shades).save(tmp_path / "x.png", exif=exif)
    images, _, _ = load_folder(tmp_path, RULE)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", RULE), images[0])


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0"])
def test_one_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(KganError, match=r"Expected a picture .*x\.png: ") as error:
        read_picture(tmp_path / "x.png", RULE)
    assert str(error.value).isprintable()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(KganError, match=r"folder of images.*nowhere, which does not exist"):
        find_images(tmp_path / "nowhere")


def test_file_instead_of_a_folder_is_named(tmp_path):
    (tmp_path / "x.png").touch()
    with pytest.raises(KganError, match=r"folder of images.*the file .*x\.png"):
        find_images(tmp_path / "x.png")


def test_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(KganError, match=r"\.jpg.*which is empty"):
        find_images(tmp_path)


def test_folder_of_text_files_is_refused(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text")
    with pytest.raises(KganError, match="which holds 2 other files"):
        find_images(tmp_path)


def test_one_truncated_jpeg_among_many_is_named_in_a_warning(tmp_path):
    _write_images(tmp_path, 39)
    _write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.warns(KganWarning, match=r"Skipped: 1 of 40 .*bad\.jpg \(OSError"):
        load_folder(tmp_path, RULE)


def test_one_truncated_jpeg_among_many_is_left_out(tmp_path):
    _write_images(tmp_path, 39)
    _write_truncated_jpeg(tmp_path / "020.jpg")  # sorts before 020.png
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = load_folder(tmp_path, RULE)[0]
    assert images[:, 0, 0, 0].tolist() == list(range(39))


def test_filters_of_warnings_are_left_alone(tmp_path):
    # They belong to the whole process: threads that change them would silence it for good.
    _write_images(tmp_path, 40)
    before = list(warnings.filters)
    for _ in range(10):
        load_folder(tmp_path, RULE)
        assert warnings.filters == before


def test_truncated_jpeg_among_text_files_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    _write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.raises(KganError, match=r"1 of 1 image files cannot be decoded.*bad\.jpg"):
        load_folder(tmp_path, RULE)


def test_array_that_does_not_fit_in_memory_goes_to_a_file(monkeypatch):
    monkeypatch.setattr(kgan.data.folder, "free_memory", lambda: 100)
    array = allocate((3, *SHAPE))
    array[:] = 7
    assert isinstance(array, np.memmap) and array.sum() == 7 * 3 * 16 * 16 * 3


def test_array_that_fits_nowhere_is_refused(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kgan.data.folder, "free_memory", lambda: 100)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(KganError, match="2,304 bytes of memory, or in .*Received: No space left"):
        allocate((3, *SHAPE))


def test_skipped_files_leave_no_gap_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(kgan.data.folder, "free_memory", lambda: 100)
    _write_images(tmp_path, 39)
    (tmp_path / "010x.png").touch()
    with pytest.warns(KganWarning, match="Skipped: 1 of 40 image files"):
        images = load_folder(tmp_path, RULE)[0]
    assert isinstance(images, np.memmap)  # and not a copy in memory
    assert images[:, 0, 0, 0].tolist() == list(range(39))


def test_array_that_fits_stays_in_memory():
    assert not isinstance(allocate((3, *SHAPE)), np.memmap)


def _fifo(path):
    os.mkfifo(path)


def _circle(path):
    path.symlink_to(path.name)


def _dangling(path):
    path.symlink_to("nowhere.png")


def _bomb(path):
    Image.new("1", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)  # IHDR's width and height
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


def _locked(path):
    Image.new("L", (8, 8)).save(path)
    path.chmod(0)


BROKEN = {
    "empty": ("empty file", lambda path: path.touch()),
    "text": (
        "no picture, or of an unknown format",
        lambda path: path.write_text("Dear diary,"),
    ),
    "postscript": (  # Pillow would start Ghostscript
        "no picture, or of an unknown format",
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n"),
    ),
    "truncated": (r"OSError: image file is truncated.*", _write_truncated_jpeg),
    "circle": ("Too many levels of symbolic links", _circle),
    "dangling": ("No such file or directory", _dangling),
    "bomb": (r"DecompressionBombError: .*900000000 pixels.*", _bomb),
    "locked": ("Permission denied", _locked),
    "negative": (
        "Expected shades from 0 to 65535. Received: -7 to -7",
        lambda path: Image.new("I", (8, 8), -7).save(path, "TIFF"),
    ),
}


class TestBroken:
    """What cannot be read is skipped with its reason, and nothing else is."""

    @pytest.mark.parametrize("kind", BROKEN)
    def test_is_skipped_with_its_reason(self, tmp_path, kind):
        if kind == "locked" and os.getuid() == 0:
            pytest.skip("root may read everything")
        _write_images(tmp_path, 3)
        reason, write = BROKEN[kind]
        write(tmp_path / "001x.png")
        report, images = check(tmp_path, SHAPE)
        assert images[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert (report.files, report.images, list(report.skipped)) == (4, 3, ["001x.png"])
        assert re.fullmatch(reason, report.skipped["001x.png"])

    def test_all_at_once_in_training(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kgan.data.folder, "MOST_UNREADABLE", 1)
        _write_images(tmp_path, 3)
        for kind, (_, write) in BROKEN.items():
            write(tmp_path / f"{kind}.png")
        _fifo(tmp_path / "pipe.png")
        with pytest.warns(KganWarning, match=r"Skipped: .* of 12 image files"):
            images, _, report = load_folder(tmp_path, RULE)
        locked = os.getuid() == 0  # root may read everything
        assert len(images) == report.images == 3 + locked
        assert len(report.skipped) == len(BROKEN) - locked

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        _write_images(tmp_path, 1)
        _fifo(tmp_path / "x.png")
        (tmp_path / "y.png").symlink_to("x.png")
        assert _names(tmp_path) == ["000.png"]

    def test_more_than_a_twentieth_stops_the_run(self, tmp_path):
        _write_images(tmp_path, 18)
        (tmp_path / "x.png").touch()
        message = r"at most 5% unreadable files. Received: 1 of 19 .*x\.png \(empty file\)$"
        with pytest.raises(KganError, match=message):
            load_folder(tmp_path, RULE)

    def test_a_twentieth_does_not(self, tmp_path):
        _write_images(tmp_path, 19)
        (tmp_path / "x.png").touch()
        with pytest.warns(KganWarning, match="Skipped: 1 of 20 image files"):
            assert len(load_folder(tmp_path, RULE)[0]) == 19

    @pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
    def test_names_that_are_not_utf8(self, tmp_path):
        folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
        os.mkdir(folder)
        Image.new("L", (8, 8), 7).save(os.fsdecode(os.path.join(folder, b"gr\xfcn.png")))
        with open(os.path.join(folder, b"leer\xff.png"), "wb"):
            pass
        report, images = check(os.fsdecode(folder), SHAPE)
        assert (images == 7).all() and report.skipped == {r"leer\xff.png": "empty file"}
        report, _ = check(tmp_path, SHAPE, labels="folders")
        assert report.classes == {r"caf\xe9": 1}
        report.text().encode()

    def test_folder_that_may_not_be_opened(self, tmp_path, monkeypatch):
        _write_images(tmp_path, 2)
        (tmp_path / "private").mkdir()
        scandir = os.scandir

        def guarded(path):
            if path.endswith("private"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", guarded)
        report, _ = check(tmp_path, SHAPE)
        assert report.images == 2 and report.skipped == {"private": "Permission denied"}


class TestLinks:
    def test_linked_folder_is_read(self, tmp_path):
        _write_images(tmp_path / "elsewhere", 2)
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a").symlink_to("../elsewhere")
        assert _names(tmp_path / "photos") == ["a/000.png", "a/001.png"]

    def test_linked_file_is_read(self, tmp_path):
        _write_images(tmp_path / "elsewhere", 1)
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/a.png").symlink_to("../elsewhere/000.png")
        assert len(check(tmp_path / "photos", SHAPE)[1]) == 1

    def test_circles_are_entered_once(self, tmp_path):
        _write_images(tmp_path / "a/b", 1)
        (tmp_path / "a/b/up").symlink_to("../..")
        (tmp_path / "a/again").symlink_to("b")
        (tmp_path / "0").symlink_to("a/b")  # a link sorts first, but the folder has the name
        assert _names(tmp_path) == ["a/b/000.png"]


class TestPicturesLeftOut:
    @pytest.mark.parametrize(
        "suffix, kind",
        [
            *((s, "JPEG") for s in (".jpg", ".JPG", ".jpe", ".jfif", ".Jpeg")),
            *((".avif", "AVIF"), (".jp2", "JPEG2000"), (".j2k", "JPEG2000"), (".apng", "PNG")),
            *((".dib", "DIB"), (".TIF", "TIFF"), (".WEBP", "WEBP")),
        ],
    )
    def test_what_pillow_decodes_is_read(self, tmp_path, suffix, kind):
        Image.new("RGB", (16, 16), "red").save(tmp_path / f"a{suffix}", format=kind)
        report, images = check(tmp_path, SHAPE)
        assert report.images == 1 and not report.ignored and images[0, 8, 8, 0] > 250

    def test_other_pictures_are_counted_and_said(self, tmp_path):
        _write_images(tmp_path, 1)
        (tmp_path / "a.heic").touch()
        (tmp_path / "notes.txt").write_text("GIF is a format")
        for name in ("b", "c.jpg_large", "d.jpg_large"):
            Image.new("L", (8, 8)).save(tmp_path / name, format="JPEG")
        with pytest.warns(KganWarning, match="4 files that look like pictures .*jpg_large 2"):
            _, _, report = load_folder(tmp_path, RULE)
        assert report.unread == {".jpg_large": 2, ".heic": 1, "without suffix": 1}
        assert sum(report.ignored.values()) == 5
        assert "Unread:   of these look like pictures: .jpg_large 2" in report.text()

    def test_folder_of_nothing_else_is_refused_with_the_reason(self, tmp_path):
        (tmp_path / "a.HEIC").touch()
        with pytest.raises(KganError, match="1 other files, among them 1 files that look like"):
            load_folder(tmp_path, RULE)

    def test_class_folder_that_ends_up_empty_is_said(self, tmp_path):
        _write_images(tmp_path / "cat", 30)
        (tmp_path / "owl").mkdir()
        (tmp_path / "owl/a.heic").touch()
        (tmp_path / "dog").mkdir()
        (tmp_path / "dog/broken.png").touch()
        with pytest.warns(KganWarning, match="No picture .* in the folders of dog, owl"):
            _, labels, report = load_folder(tmp_path, RULE, labels="folders")
        assert report.empty == ["dog", "owl"] and report.classes == {"cat": 30, "dog": 0}
        assert "Empty:    no picture that can be read in dog, owl" in report.text()
        assert load_folder(tmp_path, RULE)[2].empty == []  # without labels they are no classes

    def test_a_class_is_one_however_its_name_is_composed(self, tmp_path):
        """macOS writes é as e and an accent."""
        for folder, form in (("mac", "NFD"), ("linux", "NFC")):
            name = unicodedata.normalize(form, "café")
            _write_images(tmp_path / folder / name, 2)
        _, labels, report = load_folder(
            [tmp_path / "mac", tmp_path / "linux"], RULE, labels="folders"
        )
        assert report.classes == {unicodedata.normalize("NFC", "café"): 4}


class TestLabels:
    @pytest.fixture
    def pets(self, tmp_path):
        _write_images(tmp_path / "dog", 3)
        _write_images(tmp_path / "cat/black", 2)
        _write_images(tmp_path / "cat/red", 1)
        return tmp_path

    def test_are_numbered_in_the_order_of_the_folders(self, pets):
        _, labels, report = load_folder(pets, RULE, labels="folders")
        assert labels.tolist() == [0, 0, 0, 1, 1, 1] and labels.dtype == np.int64
        assert report.classes == {"cat": 3, "dog": 3}

    def test_skip_what_is_skipped(self, pets, monkeypatch):
        monkeypatch.setattr(kgan.data.folder, "MOST_UNREADABLE", 1)
        (pets / "cat/x.png").touch()
        (pets / "bird").mkdir()
        (pets / "bird/x.png").touch()
        (pets / "empty").mkdir()
        with pytest.warns(KganWarning, match="Skipped: 2 of 8 image files"):
            images, labels, report = load_folder(pets, RULE, labels="folders")
        assert labels.tolist() == [1, 1, 1, 2, 2, 2] and len(images) == 6
        assert report.classes == {"bird": 0, "cat": 3, "dog": 3}

    def test_image_without_a_class_is_named(self, pets):
        Image.new("L", (8, 8)).save(pets / "stray.png")
        with pytest.raises(KganError, match=r"named after its class. Received: .*stray\.png$"):
            load_folder(pets, RULE, labels="folders")

    def test_no_labels_unless_asked(self, pets):
        _, labels, report = load_folder(pets, RULE)
        assert labels is None and report.classes is None

    def test_unknown_kind_is_refused(self, pets):
        with pytest.raises(KganError, match=r"labels to be None or one of .*Received: 'files'"):
            load_folder(pets, RULE, labels="files")


class TestReport:
    def test_counts_what_is_there(self, tmp_path):
        Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
        Image.new("RGB", (50, 40), "red").save(tmp_path / "b.jpg", quality=95)
        Image.new("L", (60, 70), 3).save(tmp_path / "c.png")
        Image.new("L", (10, 30), 3).save(tmp_path / "d.bmp")
        (tmp_path / "e.png").touch()
        (tmp_path / "notes.TXT").touch()
        (tmp_path / "README").touch()
        report, images = check(tmp_path, SHAPE)
        assert len(images) == report.images == 4
        assert report.sizes == [[10, 30], [50, 40], [60, 70]]
        assert report.enlarged == 1
        assert report.formats == {"PNG": 2, "JPEG": 1, "BMP": 1}
        assert report.modes == {"RGB": 2, "L": 2}
        assert report.copies == 1  # the two gray ones are equal at 16x16
        assert report.ignored == {".txt": 1, "without suffix": 1}
        assert report.memory == 4 * 16 * 16 * 3

    def test_sheet_holds_64_images_evenly_spaced(self, tmp_path):
        _write_images(tmp_path, 127)
        _, images = check(tmp_path, SHAPE)
        assert images[:, 0, 0, 0].tolist() == list(range(0, 127, 2))

    @pytest.mark.parametrize("in_memory", [True, False])
    def test_says_where_the_images_are(self, tmp_path, monkeypatch, in_memory):
        if not in_memory:
            monkeypatch.setattr(kgan.data.folder, "free_memory", lambda: 100)
        _write_images(tmp_path, 5)
        images, _, report = load_folder(tmp_path, RULE)
        sizes = (images.nbytes, 0) if in_memory else (0, images.nbytes)
        assert (report.memory, report.file) == sizes


MEASURE = r"""
import ctypes, os, re, sys
from pathlib import Path
from kgan.data.folder import load_folder
from kgan.data.resize import Rule

rule = Rule.checked((64, 64, 3), sys.argv[1])
give_back = getattr(ctypes.CDLL(None), "malloc_trim", id)

def status(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

load_folder(Path(sys.argv[2]), rule)  # for what a first picture brings in
give_back(0)
for folder in sys.argv[3:]:
    if not os.fork():  # none is read into memory that another has freed
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = status("VmRSS")
        _, _, report = load_folder(Path(folder), rule)
        taken = status("VmHWM") - before
        print(Path(folder).name, taken, report.memory + report.reading, flush=True)
        os._exit(0)
    os.wait()
"""


def _measured(run_python, tmp_path, folders, resize="crop"):
    """Bytes that loading takes and bytes that the report announces, by name of the folder."""
    _write_images(tmp_path / "first", 1)
    done = run_python("-c", MEASURE, resize, tmp_path / "first", *folders, cwd=tmp_path)
    lines = [line.split() for line in done.stdout.splitlines()]
    found = {name: (int(taken), int(announced)) for name, taken, announced in lines}
    assert len(found) == len(folders), done.stderr
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_what_the_report_says(run_python, tmp_path):
    """Of many pictures, of large ones, and of each kind of which a decoder takes more."""
    few = {"compress_level": 1}
    large = Image.effect_noise((80, 60), 64).resize((1600, 1200))
    color = Image.merge("RGB", [large] * 3)
    clear = Image.merge("RGBA", [large] * 4)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    deep = Image.fromarray(np.asarray(large, np.int32) * 257)
    kinds = {
        "turned.png": (Image.new("RGB", (5000, 4000)), {**few, "exif": turned}),
        "la.png": (Image.new("LA", (3000, 2000)), few),
        "16-bit.png": (deep.convert("I;16"), {**few, "transparency": 5}),
        "i.tif": (deep, {}),
        "f.tif": (deep.convert("F"), {}),
        "strip.tif": (clear, {"compression": "tiff_adobe_deflate", "strip_size": 1 << 30}),
        "progressive.jpg": (color, {"progressive": True, "subsampling": 0}),
        "plain.webp": (color, {"lossless": True, "method": 0, "quality": 0}),
        "clear.webp": (clear, {"method": 0}),
        "plain.jp2": (color, {}),
        "clear.jp2": (clear, {}),
        "clear.avif": (clear, {"speed": 10, "subsampling": "4:4:4"}),
    }
    for name, (picture, options) in kinds.items():
        if Path(name).suffix in (".jp2", ".avif") and Path(name).suffix not in Image.EXTENSION:
            continue  # this Pillow cannot
        (tmp_path / "of" / name).mkdir(parents=True)
        picture.save(tmp_path / "of" / name / name, **options)
    many = tmp_path / "of/many"
    many.mkdir()
    for i in range(1500):
        Image.new("RGB", (90, 110), (i % 256, 0, 0)).save(many / f"{i}.bmp")
    folders = sorted((tmp_path / "of").iterdir())
    for name, (taken, announced) in _measured(run_python, tmp_path, folders).items():
        assert taken <= announced + (8 << 20), name  # and the allocator's own
        assert announced <= 4 * taken + (16 << 20), name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("resize", ["pad", "stretch"])
def test_strips_take_no_more_than_other_pictures(run_python, tmp_path, resize):
    """Lanczos by itself takes 48 bytes for each pixel of a side."""
    sizes = {"tall": (1, 4_000_000), "wide": (4_000_000, 1)}
    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", size).save(tmp_path / name / "x.png", compress_level=1)
    folders = [tmp_path / name for name in sizes]
    for name, (taken, announced) in _measured(run_python, tmp_path, folders, resize).items():
        assert taken <= min(announced, 96 << 20), name


class TestSums:
    """The SHA-256 of the files, by which a run knows what it is trained on."""

    @pytest.fixture
    def photos(self, tmp_path):
        _write_images(tmp_path / "photos/a", 3)
        _write_images(tmp_path / "photos/b", 60)
        (tmp_path / "photos/a/broken.png").write_bytes(b"\x89PNG")
        return tmp_path / "photos"

    @staticmethod
    def sums(*folders, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KganWarning)
            return load_folder(folders, RULE, **options)[2].sums

    def test_are_of_all_image_files_by_name(self, photos):
        files = [path for path in photos.rglob("*") if path.is_file()]
        expected = {path.relative_to(photos).as_posix(): sha256(path) for path in files}
        assert len(expected) == 64 and self.sums(photos) == expected

    def test_large_files_are_summed_whole(self, tmp_path):
        Image.effect_noise((400, 400), 99).convert("RGB").save(tmp_path / "x.bmp")
        assert self.sums(tmp_path) == {"x.bmp": sha256(tmp_path / "x.bmp")}

    @pytest.mark.parametrize("change", ["time", "place", "order", "others"])
    def test_do_not_change(self, photos, change):
        before = self.sums(photos)
        if change == "time":
            for path in photos.rglob("*"):
                os.utime(path, (1, 1))
        elif change == "place":
            photos = photos.rename(photos.with_name("Bilder ü"))
        elif change == "order":
            for path in sorted(photos.rglob("*.png"), reverse=True):
                content = path.read_bytes()
                path.unlink()
                path.write_bytes(content)
        else:
            for name in ("Thumbs.db", ".hidden.png", "notes.txt", ".git/x.png", "a/desktop.ini"):
                (photos / name).parent.mkdir(exist_ok=True)
                (photos / name).write_bytes(b"x")
        assert self.sums(photos) == before

    @pytest.mark.parametrize("change", ["bytes", "name", "repaired", "end"])
    def test_change(self, photos, change):
        before = self.sums(photos)
        some = min((photos / "b").iterdir())
        if change == "bytes":  # of the same size, at the same time
            times, content = some.stat(), bytearray(some.read_bytes())
            content[-20] ^= 1
            some.write_bytes(content)
            os.utime(some, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif change == "name":
            some.rename(some.with_name("zz.png"))
        elif change == "repaired":
            (photos / "a/broken.png").write_bytes(some.read_bytes())
        else:
            with open(some, "ab") as file:
                file.write(b"x")
        assert self.sums(photos) != before

    def test_are_of_the_files_wanted_only(self, photos):
        sums = self.sums(photos, only=lambda path: path.startswith("b/"))
        assert len(sums) == 60

    def test_of_several_folders_go_by_their_order(self, photos):
        both = self.sums(photos / "b", photos / "a")
        assert both == {
            **{f"1/{name}": value for name, value in self.sums(photos / "b").items()},
            **{f"2/{path.name}": sha256(path) for path in (photos / "a").iterdir()},
        }

    def test_a_file_that_cannot_be_opened_has_none(self, photos):
        (photos / "a/broken.png").unlink()
        (photos / "a/broken.png").symlink_to("nothing.png")
        assert self.sums(photos)["a/broken.png"] == ""


class TestRunsAmongImages:
    @pytest.mark.parametrize("marks", [("recipe.toml", ".lock"), ("recipe.toml", "checkpoints/x")])
    @pytest.mark.parametrize("place", ["", "runs/faces"])
    def test_are_refused(self, tmp_path, marks, place):
        _write_images(tmp_path / place / "grids", 1)
        _write_images(tmp_path, 1)
        for name in marks:
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with pytest.raises(KganError, match=f"apart from the runs of .* with the run .*{place}"):
            load_folder(tmp_path, RULE)
        assert len(load_folder(tmp_path / place / "grids", RULE)[0]) == 1

    @pytest.mark.parametrize(
        "directory, reached",
        [
            *(("photos/run", True), ("photos/a/b/run", True), ("photos", True), (".", True)),
            *(("photos/../photos/run", True), ("link/run", True), ("a/link/run", True)),
            *(("photos-2/run", False), ("run", False), ("photos/.runs/x", False)),
            *(("linked", True), ("linked/run", True)),
        ],
    )
    def test_are_looked_for_through_links(self, tmp_path, directory, reached):
        (tmp_path / "photos/a").mkdir(parents=True)
        (tmp_path / "a").mkdir()
        (tmp_path / "linked").mkdir()
        (tmp_path / "link").symlink_to("photos")
        (tmp_path / "a/link").symlink_to("../photos/a")
        (tmp_path / "photos/inner").symlink_to(tmp_path / "linked")
        assert reaches(tmp_path / "photos", tmp_path / directory) is reached
