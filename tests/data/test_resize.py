"""kgan.data.resize: every picture becomes a square one by one rule."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from kgan.data.resize import RESIZES, Rule, resize_image
from kgan.errors import KganError


def resized(picture, image_shape, *how, **more):
    return resize_image(picture, Rule.checked(image_shape, *how, **more))


def _noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def _smooth(height, width):
    """A picture without detail finer than a tenth of its height."""
    coarse = Image.fromarray(_noise(10, 8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def test_landscape_keeps_its_central_columns():
    pixels = _noise(20, 50)
    np.testing.assert_array_equal(resized(Image.fromarray(pixels), (20, 20, 3)), pixels[:, 15:35])


def test_portrait_keeps_its_central_rows():
    pixels = _noise(50, 20)
    np.testing.assert_array_equal(resized(Image.fromarray(pixels), (20, 20, 3)), pixels[15:35])


@pytest.mark.parametrize("channels", [1, 3])
def test_image_of_the_right_size_is_left_alone(channels):
    pixels = _noise(16, 16, channels)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    np.testing.assert_array_equal(resized(picture, (16, 16, channels)), pixels)


def test_downscaling_is_antialiased():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = resized(Image.fromarray(checkerboard), (16, 16, 1))
    assert np.abs(small.astype(int) - 127.5).max() < 8  # nearest or bilinear would give 0 or 255


def test_gray_becomes_three_equal_channels():
    pixels = _noise(16, 16, 1)
    rgb = resized(Image.fromarray(pixels[..., 0]), (16, 16, 3))
    np.testing.assert_array_equal(rgb, np.repeat(pixels, 3, axis=-1))


def test_rgb_becomes_its_luma():
    pixels = _noise(16, 16)
    luma = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    gray = resized(Image.fromarray(pixels), (16, 16, 1))[..., 0]
    assert np.abs(gray - luma).max() <= 1


def test_full_and_half_size_give_nearly_the_same_picture():
    # CelebA is published at 178x218, and the copy that the zoo was trained on is half that.
    full = _smooth(218, 178)
    half = full.resize((89, 109), Image.Resampling.BOX)
    pictures = [resized(picture, (64, 64, 3)).astype(int) for picture in (full, half)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 4


def test_full_size_of_celeba_is_cropped_to_its_central_178_rows():
    full = _smooth(218, 178)
    square = full.crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.LANCZOS)
    difference = resized(full, (64, 64, 3)).astype(int) - np.asarray(square)
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize("side", [28, 56, 112])
def test_squares_of_every_size_fit(side):
    # In floating point (w - side * (w / side)) / 2 can fall below 0.
    for width in range(1, 260):
        resized(Image.new("L", (width, width)), (side, side, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pillow_is_taken(mode, channels):
    picture = Image.new(mode, (30, 20))
    assert resized(picture, (16, 16, channels)).shape == (16, 16, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_gray_keeps_its_shades(channels):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, "PNG")
    image = resized(Image.open(file), (16, 16, channels))[..., 0]
    assert np.abs(image - ramp / 257.0).max() <= 1


class TestColors:
    """Each kind of picture, one color in and the color that is expected out."""

    @pytest.mark.parametrize(
        "mode, color, expected",
        [
            ("1", 1, (255, 255, 255)),
            ("L", 100, (100, 100, 100)),
            ("LA", (100, 255), (100, 100, 100)),
            ("La", (100, 255), (100, 100, 100)),
            ("RGB", (200, 100, 50), (200, 100, 50)),
            ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
            ("RGBa", (200, 100, 50, 255), (200, 100, 50)),
            ("RGBX", (200, 100, 50, 0), (200, 100, 50)),
            ("CMYK", (55, 155, 205, 0), (200, 100, 50)),
            ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
            ("YCbCr", (76, 85, 255), (254, 0, 0)),
            ("HSV", (0, 255, 255), (255, 0, 0)),
            ("LAB", (138, 209, 198), (255, 0, 0)),  # red at D50: L 54.3%, a 80.8, b 69.9
            ("LAB", (255, 128, 128), (255, 255, 255)),
            ("I;16", 25700, (100, 100, 100)),
            ("I", 25700, (100, 100, 100)),
            ("I", 100, (100, 100, 100)),
            ("F", 100.4, (100, 100, 100)),
            ("F", 0.5, (128, 128, 128)),
            ("F", 25700, (100, 100, 100)),
        ],
    )
    def test_color(self, mode, color, expected):
        picture = Image.new(mode, (20, 16), color)
        image = resized(picture, (16, 16, 3))
        assert np.abs(image.astype(int) - expected).max() <= (
            5 if mode == "LAB" else 0
        )  # whole steps of a and b

    @pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
    @pytest.mark.parametrize(
        "background, expected", [("white", 255), ("black", 0), ("#646464", 100)]
    )
    @pytest.mark.parametrize("channels", [1, 3])
    def test_what_is_transparent_is_put_over_the_background(
        self, mode, background, expected, channels
    ):
        picture = Image.new(mode, (16, 16))
        assert (resized(picture, (16, 16, channels), background=background) == expected).all()

    def test_half_transparent_red_over_white(self):
        picture = Image.new("RGBA", (16, 16), (255, 0, 0, 128))
        assert resized(picture, (16, 16, 3))[0, 0].tolist() == [255, 127, 127]

    def test_transparent_color_of_a_palette(self):
        picture = Image.new("P", (16, 16), 1)
        picture.putpalette([255, 0, 0, 0, 255, 0])
        picture.putpixel((0, 0), 0)
        picture.info["transparency"] = 1
        image = resized(picture, (16, 16, 3), background="blue")
        assert image[0, 0].tolist() == [255, 0, 0] and image[5, 5].tolist() == [0, 0, 255]

    @pytest.mark.parametrize("mode, clear", [("L", 7), ("RGB", (7, 7, 7)), ("I;16", 7)])
    def test_transparent_shade_of_a_png(self, mode, clear):
        file = io.BytesIO()
        picture = Image.new(mode, (16, 16), clear)
        picture.save(file, "PNG", transparency=clear)
        assert (resized(Image.open(file), (16, 16, 3)) == 255).all()

    @pytest.mark.parametrize("mode, value", [("I", -1), ("I", 70000), ("F", -0.5), ("F", np.nan)])
    def test_numbers_that_are_no_shades_are_refused(self, mode, value):
        with pytest.raises(KganError, match="shades from 0 to 65535. Received: "):
            resized(Image.new(mode, (16, 16), value), (16, 16, 3))

    def test_lab_of_a_tiff(self):
        file = io.BytesIO()
        Image.new("LAB", (16, 16), (138, 209, 198)).save(file, "TIFF")
        assert np.abs(resized(Image.open(file), (16, 16, 3)) - [255, 0, 0]).max() <= 5

    def test_big_endian_16_bit(self):
        file = io.BytesIO()
        Image.new("I;16B", (16, 16), 25700).save(file, "TIFF")
        assert (resized(Image.open(file), (16, 16, 1)) == 100).all()


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("resize", RESIZES)
    @pytest.mark.parametrize("shape", [(16, 16, 3), (24, 16, 3)])
    def test_equals_pillows_own(self, orientation, resize, shape):
        picture = _turned(_smooth(41, 30), orientation, "PNG")
        upright = ImageOps.exif_transpose(picture)
        assert upright.size == ((41, 30) if orientation >= 5 else (30, 41))
        upright = Image.fromarray(np.asarray(upright))
        np.testing.assert_array_equal(
            resized(picture, shape, resize), resized(upright, shape, resize)
        )

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("resize", RESIZES)
    def test_of_a_jpeg_decoded_at_reduced_size(self, orientation, resize):
        # Sides that 8 does not divide, and a target that is no square.
        picture = _turned(_smooth(1203, 997), orientation, "JPEG")
        upright = Image.fromarray(np.asarray(ImageOps.exif_transpose(picture.copy())))
        picture = _turned(_smooth(1203, 997), orientation, "JPEG")
        image = resized(picture, (28, 16, 3), resize)
        assert picture.width < 200
        difference = np.abs(image.astype(int) - resized(upright, (28, 16, 3), resize))
        assert difference.max() <= 2

    def test_metadata_that_cannot_be_read_are_passed_over(self):
        file = io.BytesIO()
        _smooth(16, 16).save(file, "PNG", exif=b"Exif\0\0nonsense" + bytes(range(200)))
        np.testing.assert_array_equal(
            resized(Image.open(file), (16, 16, 3)), np.asarray(_smooth(16, 16))
        )


def _turned(picture, orientation, format):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    picture.save(file, format, exif=exif)
    return Image.open(file)


class TestReducedDecoding:
    """A large JPEG is decoded at reduced size: within 12 levels of the full one, 1 on average."""

    @pytest.mark.parametrize("side, quality", [(1100, 95), (1500, 75), (2050, 85)])
    @pytest.mark.parametrize("picture", ["photo", "noise", "lines"])
    def test_is_close_to_the_full_one(self, side, quality, picture):
        file = io.BytesIO()
        _detailed(picture, side).save(file, "JPEG", quality=quality)
        opened = Image.open(file)
        image = resized(opened, (64, 64, 3)).astype(int)
        assert opened.width <= side // 2  # it was decoded at reduced size
        full = Image.fromarray(np.asarray(Image.open(file)))
        difference = np.abs(image - resized(full, (64, 64, 3)))
        assert difference.max() <= 12 and difference.mean() <= 1

    def test_pictures_of_less_than_8_times_the_target_are_decoded_in_full(self):
        file = io.BytesIO()
        _detailed("noise", 511).save(file, "JPEG")
        full = Image.fromarray(np.asarray(Image.open(file)))
        np.testing.assert_array_equal(
            resized(Image.open(file), (64, 64, 3)), resized(full, (64, 64, 3))
        )


def _detailed(kind, side):
    rng = np.random.default_rng(0)
    if kind == "noise":
        return Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
    if kind == "lines":
        picture = Image.new("RGB", (side, side), "white")
        for _ in range(60):
            ends, color = rng.integers(0, side, 4).tolist(), tuple(rng.integers(0, 256, 3).tolist())
            ImageDraw.Draw(picture).line(ends, color, int(rng.integers(1, 9)))
        return picture
    # The spectrum of photographs falls with frequency.
    frequency = np.fft.fftfreq(side)
    radius = np.maximum(np.hypot(*np.meshgrid(frequency, frequency)), 1 / side)[..., None]
    spectrum = np.fft.fft2(rng.normal(size=(side, side, 3)), axes=(0, 1)) / radius
    values = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return Image.fromarray((values / values.std() * 60 + 128).clip(0, 255).astype(np.uint8))


class TestResizes:
    def test_wide_picture_gets_bars_above_and_below(self):
        image = resized(Image.new("RGB", (40, 20), "red"), (16, 16, 3), "pad", "blue")
        assert (image[4:12] == (255, 0, 0)).all()
        assert (image[:4] == (0, 0, 255)).all() and (image[12:] == (0, 0, 255)).all()

    def test_tall_picture_gets_bars_at_its_sides(self):
        image = resized(Image.new("RGB", (20, 40), "red"), (16, 16, 3), "pad")
        assert (image[:, 4:12] == (255, 0, 0)).all()
        assert (image[:, :4] == 255).all() and (image[:, 12:] == 255).all()

    def test_bars_of_a_gray_image_have_the_luma_of_the_background(self):
        image = resized(Image.new("RGB", (40, 20), "black"), (16, 16, 1), "pad", "red")
        assert (image[:4] == 76).all() and (image[4:12] == 0).all()

    def test_stretched_picture_shows_all_of_it(self):
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, 20:] = 255
        image = resized(Image.fromarray(pixels), (20, 20, 3), "stretch")
        assert (image[:, :8] < 8).all() and (image[:, 12:] > 247).all()

    @pytest.mark.parametrize("resize", RESIZES)
    @pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 1), (17, 16), (3000, 2999)])
    @pytest.mark.parametrize("shape", [(16, 16, 3), (28, 28, 1)])
    def test_every_size_fits(self, resize, size, shape):
        image = resized(Image.new("RGB", size, (9, 9, 9)), shape, resize, "#090909")
        np.testing.assert_array_equal(image, np.full(shape, 9))

    def test_unknown_way_is_refused(self):
        with pytest.raises(
            KganError, match="resize to be one of 'crop', .*Received: resize='zoom'"
        ):
            resized(Image.new("L", (4, 4)), (16, 16, 1), "zoom")

    @pytest.mark.parametrize("shape", [(16, 16), (16, 16, 2), (0, 16, 3), (16.0, 16, 3), None])
    def test_unknown_shape_is_refused(self, shape):
        with pytest.raises(KganError, match="image_shape to be .height, width, .*Received: "):
            Rule.checked(shape)

    @pytest.mark.parametrize("background", ["whitish", "", 3, None])
    def test_unknown_background_is_refused(self, background):
        with pytest.raises(KganError, match="background to be a color such as .*Received: "):
            resized(Image.new("L", (4, 4)), (16, 16, 1), background=background)


class TestBoxes:
    BOX = (0.25, 0.5, 0.75, 0.75)  # of 40x80: columns 10 to 30, rows 40 to 60

    def test_the_part_is_cut_out_before_it_is_resized(self):
        pixels = _noise(80, 40)
        part = pixels[40:60, 10:30]
        received = resized(Image.fromarray(pixels), (20, 20, 3), box=self.BOX)
        np.testing.assert_array_equal(received, part)

    def test_what_is_cut_out_is_resized_as_pillow_resizes_that_box(self):
        picture = Image.fromarray(_noise(80, 40))

        def by_pillow(size, *edges):  # left, top, right, bottom in pixels
            return np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box=edges))

        images = {
            resize: resized(picture, (7, 9, 3), resize, "red", self.BOX) for resize in RESIZES
        }
        np.testing.assert_array_equal(images["stretch"], by_pillow((9, 7), 10, 40, 30, 60))
        rows = 20 * 7 / 9  # of the 20, in the target's proportions
        edges = (10, 50 - rows / 2, 30, 50 + rows / 2)
        np.testing.assert_array_equal(images["crop"], by_pillow((9, 7), *edges))
        np.testing.assert_array_equal(images["pad"][:, 1:8], by_pillow((7, 7), 10, 40, 30, 60))
        assert (images["pad"][:, [0, 8]] == [255, 0, 0]).all()

    def test_a_box_of_all_is_no_box(self):
        picture = Image.fromarray(_noise(50, 31))
        received = resized(picture, (16, 16, 3), box=(0, 0, 1, 1))
        np.testing.assert_array_equal(received, resized(picture, (16, 16, 3)))
        pixels = _noise(16, 16)
        received = resized(Image.fromarray(pixels), (16, 16, 3), box=[0, 0, 1, 1])
        np.testing.assert_array_equal(received, pixels)

    def test_of_the_size_of_the_target_is_still_cut(self):
        pixels = _noise(16, 16)
        received = resized(Image.fromarray(pixels), (16, 16, 3), box=(0.5, 0.5, 1, 1))
        assert not np.array_equal(received, pixels)

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("size, format", [((60, 41), "PNG"), ((1203, 997), "JPEG")])
    def test_lies_in_the_picture_as_it_is_turned(self, orientation, size, format):
        box = (0.1, 0.3, 0.8, 0.9)
        picture = _turned(_smooth(*size), orientation, format)
        upright = Image.fromarray(np.asarray(ImageOps.exif_transpose(picture)))
        picture = _turned(_smooth(*size), orientation, format)
        received = resized(picture, (24, 16, 3), box=box)
        assert (picture.width < 300) and (format == "PNG" or picture.width > 150)
        difference = np.abs(received.astype(int) - resized(upright, (24, 16, 3), box=box))
        assert difference.max() <= (2 if format == "JPEG" else 0)

    def test_reduced_decoding_keeps_the_detail_of_a_small_part(self):
        file = io.BytesIO()
        _detailed("noise", 800).save(file, "JPEG", quality=95)
        box = (0.4, 0.4, 0.5, 0.5)  # 80 pixels: too few to be decoded at half size
        received = resized(Image.open(file), (16, 16, 3), box=box)
        whole = Image.open(file)
        whole.load()
        np.testing.assert_array_equal(received, resized(whole, (16, 16, 3), box=box))

    @pytest.mark.parametrize("resize", RESIZES)
    @pytest.mark.parametrize("size", [(1, 1), (3, 2), (89, 109), (178, 218), (1000, 7)])
    def test_every_size_and_edge(self, resize, size):
        random = np.random.default_rng(0)
        picture = Image.fromarray(_noise(size[1], size[0]))
        for _ in range(20):
            left, right = sorted(random.random(2))
            top, bottom = sorted(random.random(2))
            for box in ((left, top, right, bottom), (left, 0, 1, bottom), (0, top, 1, 1)):
                assert resized(picture, (16, 12, 3), resize, box=box).shape == (16, 12, 3)


# CelebA's other usual crop, in fractions of 178x218.
FACE = (15 / 178, 40 / 218, 163 / 178, 188 / 218)


def test_the_box_of_faces_is_the_same_at_full_and_half_size():
    """A made folder of 178x218 pictures, and its half-size copies, as in the zoo."""
    differences = []
    for seed in range(8):
        coarse = np.random.default_rng(seed).integers(0, 256, (28, 23, 3), np.uint8)
        full = Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC)
        half = full.resize((89, 109), Image.Resampling.LANCZOS)
        images = [resized(picture, (64, 64, 3), box=FACE) for picture in (full, half)]
        differences.append(np.abs(images[0].astype(int) - images[1]).mean())
    assert np.mean(differences) <= 2
    # And it is that box: 148 wide from column 15 and row 40.
    expected = full.resize((64, 64), Image.Resampling.LANCZOS, box=(15, 40, 163, 188))
    assert np.abs(resized(full, (64, 64, 3), box=FACE).astype(int) - expected).max() <= 1
