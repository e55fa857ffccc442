"""kgan.data.fit: every picture becomes a square one by one rule."""

import io

import numpy as np
import pytest
from PIL import Image

from kgan.data.fit import fit_image


def _noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def _smooth(height, width):
    """A picture without detail finer than a tenth of its height."""
    coarse = Image.fromarray(_noise(10, 8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def test_landscape_keeps_its_central_columns():
    pixels = _noise(20, 50)
    np.testing.assert_array_equal(fit_image(Image.fromarray(pixels), (20, 20, 3)), pixels[:, 15:35])


def test_portrait_keeps_its_central_rows():
    pixels = _noise(50, 20)
    np.testing.assert_array_equal(fit_image(Image.fromarray(pixels), (20, 20, 3)), pixels[15:35])


@pytest.mark.parametrize("channels", [1, 3])
def test_image_of_the_right_size_is_left_alone(channels):
    pixels = _noise(16, 16, channels)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    np.testing.assert_array_equal(fit_image(picture, (16, 16, channels)), pixels)


def test_downscaling_is_antialiased():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = fit_image(Image.fromarray(checkerboard), (16, 16, 1))
    assert np.abs(small.astype(int) - 127.5).max() < 8  # nearest or bilinear would give 0 or 255


def test_gray_becomes_three_equal_channels():
    pixels = _noise(16, 16, 1)
    rgb = fit_image(Image.fromarray(pixels[..., 0]), (16, 16, 3))
    np.testing.assert_array_equal(rgb, np.repeat(pixels, 3, axis=-1))


def test_rgb_becomes_its_luma():
    pixels = _noise(16, 16)
    luma = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    gray = fit_image(Image.fromarray(pixels), (16, 16, 1))[..., 0]
    assert np.abs(gray - luma).max() <= 1


def test_full_and_half_size_give_nearly_the_same_picture():
    # CelebA is published at 178x218, and the copy that the zoo was trained on is half that.
    full = _smooth(218, 178)
    half = full.resize((89, 109), Image.Resampling.BOX)
    pictures = [fit_image(picture, (64, 64, 3)).astype(int) for picture in (full, half)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 4


def test_full_size_of_celeba_is_cropped_to_its_central_178_rows():
    full = _smooth(218, 178)
    square = full.crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.LANCZOS)
    difference = fit_image(full, (64, 64, 3)).astype(int) - np.asarray(square)
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize("side", [28, 56, 112])
def test_squares_of_every_size_fit(side):
    # In floating point (w - side * (w / side)) / 2 can fall below 0.
    for width in range(1, 260):
        fit_image(Image.new("L", (width, width)), (side, side, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pillow_is_taken(mode, channels):
    picture = Image.new(mode, (30, 20))
    assert fit_image(picture, (16, 16, channels)).shape == (16, 16, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_gray_keeps_its_shades(channels):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, "PNG")
    fitted = fit_image(Image.open(file), (16, 16, channels))[..., 0]
    assert np.abs(fitted - ramp / 257.0).max() <= 1
