"""kgan.translating: what is common to all engines."""

import numpy as np
import pytest

from kgan import translating
from kgan.errors import KganError
from kgan.translating import MOST_PIXELS, TRANSLATE_CHUNK, Translating


class Negative(Translating):
    """Negatives; of a pass it notes the shape, and the last pixel of the first image."""

    directions = ("a_to_b", "b_to_a")

    def __init__(self, multiple=4, channels=3):
        self.image_shape, self.target_shape = (16, 12, 3), (16, 12, channels)
        self.multiple, self.least_side = multiple, 5
        self.passes = []

    def bytes_a_pixel(self, direction):
        return 100

    def translate_chunk(self, images, direction):
        assert images.dtype == np.float32 and np.abs(images).max() <= 1
        self.passes.append(images.copy())
        return -images[..., : self.shapes(direction)[1][2]]


def pictures(n, height, width):
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(16, 12), (13, 22), (5, 7), (8, 5)])
def test_any_size_is_mirrored_to_a_multiple_and_cut_again(height, width):
    model, images = Negative(), pictures(6, height, width)
    translated = model.translate(images)
    np.testing.assert_array_equal(translated, 255 - images)
    tall, wide = -(-height // 4) * 4, -(-width // 4) * 4
    assert [x.shape for x in model.passes] == [(TRANSLATE_CHUNK, tall, wide, 3)] * 2
    inner = images[:4].astype(np.float32) / 127.5 - 1
    added = [(0, 0), (0, tall - height), (0, wide - width), (0, 0)]
    np.testing.assert_array_equal(model.passes[0], np.pad(inner, added, "reflect"))
    np.testing.assert_array_equal(model.translate(images[4:]), translated[4:])
    np.testing.assert_array_equal(model.translate(images / np.float32(127.5) - 1), translated)


def test_large_pictures_are_translated_one_by_one():
    model, side = Negative(), int(MOST_PIXELS**0.5)
    model.translate(pictures(2, side, side))
    model.translate(pictures(2, side + 4, side))
    assert [len(x) for x in model.passes] == [4, 1, 1]


def test_channels_of_each_direction():
    model = Negative(channels=1)
    assert model.translate(pictures(2, 9, 9)).shape == (2, 9, 9, 1)
    assert model.translate(pictures(2, 9, 9)[:0]).shape == (0, 9, 9, 1)
    with pytest.raises(KganError, match=r"Expected images of shape \(batch, 16, 12, 1\)"):
        model.translate(pictures(2, 16, 12), "b-to-a")


def test_pictures_that_do_not_fit_into_memory_are_refused_with_a_size_that_does(monkeypatch):
    model = Negative()
    monkeypatch.setattr(translating, "free_memory", lambda: 100 * 400 * 500)
    assert model.translate(pictures(1, 400, 500)).shape == (1, 400, 500, 3)
    with pytest.raises(KganError, match=r"600x300 do\. Received: 1,000x500, which take 0\.1 GB"):
        model.translate(pictures(1, 500, 1000))
    assert len(model.passes) == 1
    model.translate(pictures(1, 300, 600))


@pytest.mark.parametrize(
    ("images", "direction", "message"),
    [
        (pictures(1, 4, 9), "a_to_b", "at least 5 pixels a side.* Received: 9x4"),
        (pictures(1, 9, 4), "a_to_b", "at least 5 pixels a side.* Received: 4x9"),
        (pictures(1, 0, 9), "a_to_b", "at least 5 pixels"),
        (pictures(1, 9, 9)[0], "a_to_b", r"shape \(batch, 16, 12, 3\).*shape \(9, 9, 3\)"),
        (pictures(1, 9, 9)[..., :1], "a_to_b", r"shape \(batch, 16, 12, 3\)"),
        (pictures(1, 9, 9) / 1.0, "a_to_b", "images / 127.5 - 1"),
        (pictures(1, 9, 9), "a_to_c", "one of 'a_to_b', 'b_to_a'.* Received: .*'a_to_c'"),
        (pictures(1, 9, 9), 3, "Expected direction to be text"),
        (pictures(1, 9, 9), "c-to-b", "direction='c-to-b'"),
    ],
)
def test_what_cannot_be_translated(images, direction, message):
    with pytest.raises(KganError, match=message):
        Negative().translate(images, direction)


def test_other_sizes_than_a_networks_only_one():
    model = Negative(multiple=None)
    np.testing.assert_array_equal(model.translate(pictures(1, 16, 12)), 255 - pictures(1, 16, 12))
    with pytest.raises(KganError, match=r"\(batch, 16, 12, 3\), the one size.*`kgan translate`"):
        model.translate(pictures(1, 12, 16))
