"""A folder with one of every kind of picture, and pictures at random, through the real loader."""

import io
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from kgan.data import check, load

RED, GRAY = (200, 40, 10), (90, 90, 90)
SHAPE = (16, 16, 3)


def _exif(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def _halves(size, first, second):
    """A picture of one color on the left and another on the right."""
    picture = Image.new("RGB", size, second)
    picture.paste(first, (0, 0, size[0] // 2, size[1]))
    return picture


def _palette(clear=None):
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, *RED])
    if clear is not None:
        picture.info["transparency"] = clear
    return picture


def _animation(path, **options):
    frames = [Image.new("RGB", (20, 20), color) for color in (RED, "blue", "green")]
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def _save(picture, **options):
    return lambda path: picture.save(path, **options)


def _plain(mode, color, **options):
    return _save(Image.new(mode, (20, 20), color), **options)


# Name, how it is written, the color that is expected everywhere, and how far off it may be.
KINDS = [
    ("bmp.bmp", _plain("RGB", RED), RED, 0),
    ("bmp-palette.bmp", _save(_palette()), RED, 0),
    ("cmyk.jpg", _plain("CMYK", (55, 215, 245, 0), quality=100), RED, 2),
    ("cmyk.tif", _plain("CMYK", (55, 215, 245, 0)), RED, 0),
    ("deep/er/nested.JPEG", _plain("RGB", RED, quality=100), RED, 2),
    ("exif.jpg", _save(_halves((32, 64), RED, RED), exif=_exif(6), quality=100), RED, 2),
    ("float.tif", _plain("F", 0.353), GRAY, 0),
    ("gif.gif", _save(_palette()), RED, 0),
    ("gif-animated.gif", _animation, RED, 0),
    ("gif-clear.gif", _save(_palette(clear=1)), (255, 255, 255), 0),
    ("gray.jpg", _plain("L", 90, quality=100), GRAY, 1),
    ("gray.png", _plain("L", 90), GRAY, 0),
    ("gray-16.png", _plain("I;16", 90 * 257), GRAY, 0),
    ("gray-16.tif", _plain("I;16", 90 * 257), GRAY, 0),
    ("gray-16-big-endian.tiff", _plain("I;16B", 90 * 257), GRAY, 0),
    ("gray-32.tif", _plain("I", 90 * 257), GRAY, 0),
    ("gray-alpha.png", _plain("LA", (90, 255)), GRAY, 0),
    ("gray-alpha-half.png", _plain("LA", (90, 128)), (172, 172, 172), 0),
    ("gray-clear.png", _plain("L", 90, transparency=90), (255, 255, 255), 0),
    ("huge.jpg", _save(Image.new("RGB", (5000, 4000), RED)), RED, 2),
    ("huge.png", _save(Image.new("RGB", (5000, 4000), RED), compress_level=1), RED, 0),
    ("lab.tif", _plain("LAB", (114, 189, 184)), RED, 5),
    ("lossless.webp", _plain("RGB", RED, lossless=True), RED, 0),
    ("lossy.webp", _plain("RGB", RED, quality=100), RED, 3),
    ("animated.webp", lambda path: _animation(path, lossless=True), RED, 0),
    ("animated.png", _animation, RED, 0),
    ("no-jpeg-at-all.jpg", _plain("RGB", RED, format="PNG"), RED, 0),
    ("one-bit.png", _plain("1", 1), (255, 255, 255), 0),
    ("one-bit.tif", _plain("1", 1, compression="group4"), (255, 255, 255), 0),
    ("one-pixel.png", _save(Image.new("RGB", (1, 1), RED)), RED, 0),
    ("palette.png", _save(_palette()), RED, 0),
    ("palette-clear.png", _plain("P", 0, transparency=0), (255, 255, 255), 0),
    ("progressive.jpg", _plain("RGB", RED, progressive=True, quality=100), RED, 2),
    ("rgba.png", _plain("RGBA", (*RED, 255)), RED, 0),
    ("rgba-clear.png", _plain("RGBA", (*RED, 0)), (255, 255, 255), 0),
    ("rgba-clear.webp", _plain("RGBA", (*RED, 0), lossless=True), (255, 255, 255), 0),
    ("tall.png", _save(Image.new("RGB", (3, 900), RED)), RED, 0),
    ("wide.png", _save(Image.new("RGB", (900, 3), RED)), RED, 0),
    ("tiff-lzw.tif", _plain("RGB", RED, compression="tiff_lzw"), RED, 0),
    ("tiff-jpeg.tif", _plain("YCbCr", (85, 86, 210), compression="jpeg"), RED, 5),
    ("x.jpeg2000-named.jpg", _plain("RGB", RED, format="JPEG2000"), RED, 0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    for name, write, _, _ in KINDS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    (folder / "folder.png").mkdir()
    (folder / "film.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    """Images and report, from memory and from a cache, by the name of the file."""
    order = [name for name, *_ in sorted(KINDS, key=lambda kind: kind[0].split("/"))]

    def by_name(data):
        return dict(zip(order, data.images, strict=True)), data.report

    cache = folder.parent / "kinds.cache"
    return [by_name(load(folder, SHAPE, cache=path)) for path in (None, cache, cache)]


@pytest.mark.parametrize("name, write, expected, tolerance", KINDS, ids=[k[0] for k in KINDS])
def test_every_kind_has_its_color(loaded, name, write, expected, tolerance):
    for images, _ in loaded:
        assert np.abs(images[name].astype(int) - expected).max() <= tolerance


def test_nothing_is_skipped(loaded):
    for _, report in loaded:
        assert report.skipped == {} and report.images == len(KINDS)
        assert report.ignored == {".mp4": 1}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_every_kind_in_every_shape(folder, channels, resize):
    report, images = check(folder, (28, 16, channels), resize, "#102030")
    assert report.skipped == {} and images.shape == (len(KINDS), 28, 16, channels)


MODES = {
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("1", "L", "P", "RGB", "RGBA"),
    "JPEG": ("1", "L", "RGB", "CMYK", "YCbCr"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    # Not YCbCr, which Pillow 12.3 writes and cannot read.
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"),
    "WEBP": ("L", "RGB", "RGBA"),
}
SIDES = st.integers(1, 40) | st.sampled_from([1, 128, 300])


@st.composite
def files(draw):
    """The bytes of a picture, and whether they are whole."""
    format = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[format]))
    size = draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    if mode in ("I", "F"):
        pixels = rng.integers(0, 65536, size[::-1]).astype("int32" if mode == "I" else "float32")
        picture = Image.fromarray(pixels)
    elif mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, size[::-1]).astype("uint16"))
    else:
        depth = len(Image.new(mode, (1, 1)).getbands())
        noise = rng.integers(0, 256, (*size[::-1], depth), np.uint8)
        bands = [Image.fromarray(noise[..., i]) for i in range(depth)]
        picture = bands[0].convert(mode) if depth == 1 else Image.merge(mode, bands)
    file = io.BytesIO()
    orientation = draw(st.integers(1, 8))
    picture.save(file, format, **({} if format in ("BMP", "GIF") else {"exif": _exif(orientation)}))
    data = bytearray(file.getvalue())
    damage = draw(st.sampled_from(["none", "cut", "flip", "flip the head"]))
    if damage == "cut":
        data = data[: draw(st.integers(0, len(data) - 1))]
    elif damage != "none":
        end = len(data) if damage == "flip" else min(64, len(data))
        for bit in draw(st.lists(st.integers(0, 8 * end - 1), min_size=1, max_size=8)):
            data[bit // 8] ^= 1 << bit % 8
    return bytes(data), damage == "none"


@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=timedelta(seconds=10),
)
@given(
    some=st.lists(files(), min_size=1, max_size=4),
    shape=st.sampled_from([(16, 16, 1), (28, 28, 3), (32, 16, 3)]),
    resize=st.sampled_from(["crop", "pad", "stretch"]),
)
def test_any_file_is_decoded_or_skipped(tmp_path_factory, some, shape, resize):
    folder = tmp_path_factory.mktemp("any")
    for i, (data, _) in enumerate(some):
        (folder / f"{i}.png").write_bytes(data)
    report, images = check(folder, shape, resize)
    assert images.shape == (report.images, *shape) and images.dtype == np.uint8
    assert report.images + len(report.skipped) == len(some)
    for i, (_, whole) in enumerate(some):
        reason = report.skipped.get(f"{i}.png")
        assert reason is None or (not whole and reason and reason.isprintable()), reason
