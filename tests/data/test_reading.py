"""kgan.data.reading: pictures of files, and the memory that they take."""

import errno
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import kgan.data.reading
from data.pictures import write_images
from kgan.data.folder import check, load_folder
from kgan.data.reading import allocate, picture_size, read_picture, shape_of_pictures
from kgan.data.resize import Rule
from kgan.errors import KganError, KganWarning
from kgan.files import sha256

SHAPE = (16, 16, 3)
RULE = Rule.checked(SHAPE)


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


def test_filters_of_warnings_are_left_alone(tmp_path):
    # They belong to the whole process: threads that change them would silence it for good.
    write_images(tmp_path, 40)
    before = list(warnings.filters)
    for _ in range(10):
        load_folder(tmp_path, RULE)
        assert warnings.filters == before


def test_array_that_does_not_fit_in_memory_goes_to_a_file(monkeypatch):
    monkeypatch.setattr(kgan.data.reading, "free_memory", lambda: 100)
    array = allocate((3, *SHAPE))
    array[:] = 7
    assert isinstance(array, np.memmap) and array.sum() == 7 * 3 * 16 * 16 * 3


def test_array_that_fits_nowhere_is_refused(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kgan.data.reading, "free_memory", lambda: 100)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(KganError, match="2,304 bytes of memory, or in .*Received: No space left"):
        allocate((3, *SHAPE))


def test_array_that_fits_stays_in_memory():
    assert not isinstance(allocate((3, *SHAPE)), np.memmap)


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
    write_images(tmp_path / "first", 1)
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
        write_images(tmp_path / "photos/a", 3)
        write_images(tmp_path / "photos/b", 60)
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
