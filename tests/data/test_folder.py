"""kgan.data.folder: the pictures of folders, their labels, and what is said of them."""

import os
import re
import struct
import unicodedata
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

import kgan.data.folder
import kgan.data.reading
from data.pictures import write_images, write_truncated_jpeg
from kgan.data.folder import check, load_folder
from kgan.data.resize import Rule
from kgan.errors import KganError, KganWarning

SHAPE = (16, 16, 3)
RULE = Rule.checked(SHAPE)


def test_images_come_in_the_order_of_their_names(tmp_path):
    write_images(tmp_path, 30)
    images = load_folder(tmp_path, RULE)[0]
    expected = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None, None], (30, *SHAPE))
    np.testing.assert_array_equal(images, expected)


def test_one_truncated_jpeg_among_many_is_named_in_a_warning(tmp_path):
    write_images(tmp_path, 39)
    write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.warns(KganWarning, match=r"Skipped: 1 of 40 .*bad\.jpg \(OSError"):
        load_folder(tmp_path, RULE)


def test_one_truncated_jpeg_among_many_is_left_out(tmp_path):
    write_images(tmp_path, 39)
    write_truncated_jpeg(tmp_path / "020.jpg")  # sorts before 020.png
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = load_folder(tmp_path, RULE)[0]
    assert images[:, 0, 0, 0].tolist() == list(range(39))


def test_truncated_jpeg_among_text_files_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.raises(KganError, match=r"1 of 1 image files cannot be decoded.*bad\.jpg"):
        load_folder(tmp_path, RULE)


def test_skipped_files_leave_no_gap_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(kgan.data.reading, "free_memory", lambda: 100)
    write_images(tmp_path, 39)
    (tmp_path / "010x.png").touch()
    with pytest.warns(KganWarning, match="Skipped: 1 of 40 image files"):
        images = load_folder(tmp_path, RULE)[0]
    assert isinstance(images, np.memmap)  # and not a copy in memory
    assert images[:, 0, 0, 0].tolist() == list(range(39))


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
    "truncated": (r"OSError: image file is truncated.*", write_truncated_jpeg),
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
        write_images(tmp_path, 3)
        reason, write = BROKEN[kind]
        write(tmp_path / "001x.png")
        report, images = check(tmp_path, SHAPE)
        assert images[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert (report.files, report.images, list(report.skipped)) == (4, 3, ["001x.png"])
        assert re.fullmatch(reason, report.skipped["001x.png"])

    def test_all_at_once_in_training(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kgan.data.folder, "MOST_UNREADABLE", 1)
        write_images(tmp_path, 3)
        for kind, (_, write) in BROKEN.items():
            write(tmp_path / f"{kind}.png")
        _fifo(tmp_path / "pipe.png")
        with pytest.warns(KganWarning, match=r"Skipped: .* of 12 image files"):
            images, _, report = load_folder(tmp_path, RULE)
        locked = os.getuid() == 0  # root may read everything
        assert len(images) == report.images == 3 + locked
        assert len(report.skipped) == len(BROKEN) - locked

    def test_more_than_a_twentieth_stops_the_run(self, tmp_path):
        write_images(tmp_path, 18)
        (tmp_path / "x.png").touch()
        message = r"at most 5% unreadable files. Received: 1 of 19 .*x\.png \(empty file\)$"
        with pytest.raises(KganError, match=message):
            load_folder(tmp_path, RULE)

    def test_a_twentieth_does_not(self, tmp_path):
        write_images(tmp_path, 19)
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
        write_images(tmp_path, 2)
        (tmp_path / "private").mkdir()
        scandir = os.scandir

        def guarded(path):
            if path.endswith("private"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", guarded)
        report, _ = check(tmp_path, SHAPE)
        assert report.images == 2 and report.skipped == {"private": "Permission denied"}


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
        write_images(tmp_path, 1)
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
        write_images(tmp_path / "cat", 30)
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
            write_images(tmp_path / folder / name, 2)
        _, labels, report = load_folder(
            [tmp_path / "mac", tmp_path / "linux"], RULE, labels="folders"
        )
        assert report.classes == {unicodedata.normalize("NFC", "café"): 4}


class TestLabels:
    @pytest.fixture
    def pets(self, tmp_path):
        write_images(tmp_path / "dog", 3)
        write_images(tmp_path / "cat/black", 2)
        write_images(tmp_path / "cat/red", 1)
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
        write_images(tmp_path, 127)
        _, images = check(tmp_path, SHAPE)
        assert images[:, 0, 0, 0].tolist() == list(range(0, 127, 2))

    @pytest.mark.parametrize("in_memory", [True, False])
    def test_says_where_the_images_are(self, tmp_path, monkeypatch, in_memory):
        if not in_memory:
            monkeypatch.setattr(kgan.data.reading, "free_memory", lambda: 100)
        write_images(tmp_path, 5)
        images, _, report = load_folder(tmp_path, RULE)
        sizes = (images.nbytes, 0) if in_memory else (0, images.nbytes)
        assert (report.memory, report.file) == sizes
