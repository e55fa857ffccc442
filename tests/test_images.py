"""kgan.images: grids, and PNG files that say what made them."""

import weakref
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageSequence, PngImagePlugin

from kgan.images import (
    animation,
    check_animation,
    enlarge,
    grid,
    read_provenance,
    save_animation,
    save_png,
)

FACTS = {"model": "dcgan-mnist", "seed": 3, "labels": [1, 2], "kgan": "0.1.0", "note": "é ☺"}


def _images(n, height, width, channels):
    return np.random.default_rng(0).integers(0, 255, (n, height, width, channels), np.uint8)


@pytest.mark.parametrize(
    "n, columns, gap, layout", [(7, None, 2, (3, 3)), (5, 4, 1, (2, 4)), (1, None, 3, (1, 1))]
)
def test_grid_equals_pasting_one_by_one(n, columns, gap, layout):
    images = _images(n, 5, 4, 3)
    rows, across = layout
    sheet = Image.new("RGB", (across * (4 + gap) + gap, rows * (5 + gap) + gap), "white")
    for i in range(n):
        row, column = divmod(i, across)
        sheet.paste(Image.fromarray(images[i]), (gap + column * (4 + gap), gap + row * (5 + gap)))
    np.testing.assert_array_equal(grid(images, columns, gap), np.asarray(sheet))


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_png_holds_the_pixels(tmp_path, channels, mode):
    image = _images(1, 6, 5, channels)[0]
    with Image.open(save_png(image, tmp_path / "x.png", FACTS)) as picture:
        assert (picture.format, picture.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(picture).reshape(image.shape), image)


def test_png_says_that_a_model_made_it(tmp_path):
    with Image.open(save_png(_images(1, 4, 4, 3)[0], tmp_path / "x.png", FACTS)) as picture:
        xmp = ElementTree.fromstring(picture.text["XML:com.adobe.xmp"])
    (description,) = xmp.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    term = description.get(
        "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType",
    )
    assert term == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_provenance_may_name_another_source_type(tmp_path, suffix):
    kind = "compositeWithTrainedAlgorithmicMedia"
    facts = {**FACTS, "digital_source_type": kind}
    path = save_animation(_smooth_frames(3), tmp_path / f"x.{suffix}", facts)
    content = path.read_bytes()
    assert f"digitalsourcetype/{kind}".encode() in content
    assert b"digitalsourcetype/trained" not in content


def test_provenance_reads_back_as_written(tmp_path):
    save_png(_images(1, 4, 4, 3)[0], tmp_path / "x.png", FACTS)
    assert read_provenance(tmp_path / "x.png") == FACTS


def test_png_that_no_model_made_does_not_say_so(tmp_path):
    save_png(_images(1, 4, 4, 3)[0], tmp_path / "x.png", None)
    assert read_provenance(tmp_path / "x.png") is None
    with Image.open(tmp_path / "x.png") as picture:
        assert list(picture.text) == ["Software"]


def test_foreign_png_has_no_provenance(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "something else")
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png", pnginfo=info)
    assert read_provenance(tmp_path / "x.png") is None


def test_foreign_jpeg_has_no_provenance(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.jpg")
    assert read_provenance(tmp_path / "x.jpg") is None


def test_failed_write_leaves_nothing_behind(tmp_path):
    # A directory with content cannot be replaced by a file.
    (tmp_path / "x.png" / "content").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="x.png"):
        save_png(_images(1, 4, 4, 3)[0], tmp_path / "x.png", FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_failed_write_leaves_the_old_file_alone(tmp_path):
    save_png(_images(1, 4, 4, 3)[0], tmp_path / "x.png", FACTS)
    before = (tmp_path / "x.png").read_bytes()
    with pytest.raises(TypeError):
        save_png(_images(1, 4, 4, 5)[0], tmp_path / "x.png", FACTS)
    assert (tmp_path / "x.png").read_bytes() == before


def _smooth_frames(channels):
    """Eight frames of a slope that moves, which lossy compression changes little."""
    slope = np.linspace(0, 180, 24)[None, :, None] * np.ones((20, 1, channels))
    return [(slope + 8 * i).astype(np.uint8) for i in range(8)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix, most", [("png", 0), ("webp", 6), ("gif", 0)])
def test_animation_holds_the_frames(tmp_path, channels, suffix, most):
    frames = _smooth_frames(channels)
    path = save_animation(frames, tmp_path / f"x.{suffix}", FACTS, milliseconds=80)
    assert [p.name for p in tmp_path.iterdir()] == [f"x.{suffix}"]
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (8, (24, 20), 0)
        for i, frame in enumerate(frames):
            picture.seek(i)
            shown = np.asarray(picture.convert("RGB")).astype(int)
            assert picture.info["duration"] == 80
            assert np.abs(shown - frame).max() <= most


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_animation_says_that_a_model_made_it(tmp_path, suffix):
    path = save_animation(_smooth_frames(3), tmp_path / f"x.{suffix}", FACTS)
    assert read_provenance(path) == FACTS
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in path.read_bytes()
    path = save_animation(_smooth_frames(3), tmp_path / f"y.{suffix}", None)
    assert read_provenance(path) is None
    assert b"trainedAlgorithmicMedia" not in path.read_bytes()


def test_foreign_webp_has_no_provenance(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a holiday"
    Image.new("RGB", (4, 4)).save(tmp_path / "x.webp", exif=exif)
    assert read_provenance(tmp_path / "x.webp") is None


@pytest.mark.parametrize("comment", [b"a holiday", b'{"kgan": 1', b"\xff\x00", b""])
def test_foreign_gif_has_no_provenance(tmp_path, comment):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.gif", comment=comment)
    assert read_provenance(tmp_path / "x.gif") is None


def _shown(path):
    with Image.open(path) as picture:
        return [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(picture)]


def test_gif_keeps_every_gray(tmp_path):
    frames = [np.roll(np.arange(256, dtype=np.uint8), i).reshape(16, 16, 1) for i in range(5)]
    shown = _shown(save_animation(frames, tmp_path / "x.gif", FACTS))
    np.testing.assert_array_equal(shown, np.repeat(frames, 3, axis=-1))


@pytest.mark.parametrize("colors", [2, 256])
def test_gif_keeps_as_many_colors_as_it_has_room_for(tmp_path, colors):
    random = np.random.default_rng(1)
    palette = random.permutation(1 << 12)[:colors]
    palette = np.stack([palette >> 8, palette >> 4 & 15, palette & 15], axis=1).astype(np.uint8)
    picked = random.integers(0, colors, (6, 20, 20))
    picked.flat[:colors] = np.arange(colors)  # next to each other, all of them
    shown = _shown(save_animation(list(palette[picked]), tmp_path / "x.gif", FACTS))
    np.testing.assert_array_equal(shown, palette[picked])


def test_gif_of_more_colors_is_close(tmp_path):
    """Frames like photographs, of thousands of colors, beside those of Pillow by itself."""
    random = np.random.default_rng(2)
    waves = np.linspace(0, 6, 48)
    frames = []
    for _ in range(6):
        a, b, c = random.uniform(0, 6, 3)
        red = np.sin(waves[:, None] + a) * np.cos(waves[None] + b)
        skin = np.stack([red, 0.8 * red + 0.1 * np.sin(waves + c), 0.6 * red], axis=-1)
        frames.append(((skin + 1.2) * 105).astype(np.uint8))
    shown = _shown(save_animation(frames, tmp_path / "x.gif", FACTS))
    apart = np.abs(shown - np.array(frames, int))
    assert apart.mean() < 4
    blocks = np.array(frames, int) - shown
    blocks = blocks.reshape(6, 12, 4, 12, 4, 3).mean((2, 4))
    assert np.abs(blocks).mean() < 1.5  # what the eye sees from afar


@pytest.mark.parametrize(
    "suffix, milliseconds, times",
    [
        ("gif", 1000 / 24, [40, 40, 40, 50]),
        ("gif", 20, [20] * 4),
        ("gif", 1000 / 30, [30, 40, 30, 30]),
        ("webp", 1000 / 24, [42, 41, 42, 42]),
        ("png", 1000 / 60, [17, 16, 17, 17]),
    ],
)
def test_times_make_up_for_their_rounding(tmp_path, suffix, milliseconds, times):
    frames = _smooth_frames(3)[::2]
    with Image.open(save_animation(frames, tmp_path / f"x.{suffix}", FACTS, milliseconds)) as shown:
        received = []
        for frame in ImageSequence.Iterator(shown):
            frame.load()
            received.append(frame.info["duration"])
    assert received == times


def test_gif_of_too_many_frames_a_second_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="milliseconds to be a number from 20 to 60000. Received: m.*=16.6"
    ):
        save_animation(_smooth_frames(1), tmp_path / "x.gif", FACTS, 1000 / 60)
    assert not list(tmp_path.iterdir())


def test_gif_that_stands_still_for_longer_than_it_can():
    still, other = np.zeros((2, 2, 1), np.uint8), np.ones((2, 2, 1), np.uint8)
    animation([still] * 10 + [other] * 10, ".gif", None, 60_000)
    with pytest.raises(ValueError, match="at most 655 seconds.*Received: .* for 660 seconds"):
        animation([other, *[still] * 11], ".gif", None, 60_000)


def test_grid_of_no_images():
    with pytest.raises(ValueError, match="at least one image. Received: .*0, 8, 8, 3"):
        grid(np.zeros((0, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("suffix, side", [(".webp", 16_384), (".gif", 65_536)])
def test_sides_that_a_format_has_not(suffix, side):
    check_animation(side - 1, 1, 2, suffix)
    with pytest.raises(ValueError, match=f"{side - 1:,} pixels a side.*Received: {side:,}x1"):
        check_animation(side, 1, 2, suffix)


def test_frames_that_do_not_fit_into_memory():
    check_animation(1000, 1000, 10**9, ".webp")
    for suffix in (".gif", ".png"):
        with pytest.raises(ValueError, match="fits into the free memory.*1,000,000,000 frames"):
            check_animation(1000, 1000, 10**9, suffix)


def test_webp_takes_frames_one_by_one(tmp_path):
    class Frames:
        """Counts those that are alive."""

        alive = most = 0

        def __len__(self):
            return 50

        def __iter__(self):
            for i in range(50):
                frame = np.full((8, 8, 3), 5 * i, np.uint8)
                self.alive += 1
                self.most = max(self.alive, self.most)
                weakref.finalize(frame, self._die)
                yield frame
                del frame

        def _die(self):
            self.alive -= 1

    frames = Frames()
    shown = _shown(save_animation(frames, tmp_path / "x.webp", FACTS))
    assert len(shown) == 50 and frames.most <= 4
    assert [round(frame.mean() / 5) for frame in shown] == list(range(50))


@pytest.mark.parametrize("frames, name", [([], "x.png"), (_smooth_frames(1), "x.mp4")])
def test_animation_without_frames_or_of_another_format_is_refused(tmp_path, frames, name):
    message = rf"ends in .png, .webp or .gif. Received: {len(frames)} frames, .*{name}"
    with pytest.raises(ValueError, match=message):
        save_animation(frames, tmp_path / name, FACTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [1, 3])
def test_enlarged_pixels(channels):
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, channels), np.uint8)
    nearest = enlarge(images, 3, "nearest")
    assert nearest.shape == (2, 15, 12, channels) and nearest.dtype == np.uint8
    np.testing.assert_array_equal(nearest[:, 1::3, 1::3], images)
    smooth = enlarge(images, 3, "lanczos")
    assert smooth.shape == nearest.shape and (smooth != nearest).any()
    flat = np.full((1, 4, 4, channels), 77, np.uint8)
    assert (enlarge(flat, 4, "lanczos") == 77).all()


def test_suffix_in_capitals_and_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    frames = [np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)]
    for name in ("x.PNG", "x.WebP"):
        save_animation(frames, f"~/{name}", {"seed": 1})
        assert read_provenance(f"~/{name}") == {"seed": 1} and (tmp_path / name).is_file()
