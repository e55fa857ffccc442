"""The sliced Wasserstein distance, and its pyramid."""

import numpy as np
import pytest

from kgan.errors import KganError
from kgan.metrics import sliced_wasserstein
from kgan.metrics.sliced_wasserstein import laplacian_pyramid, wasserstein


def _images(seed, images=40, side=28, channels=1):
    """Noise under a gradient, so that levels and places differ."""
    noise = np.random.RandomState(seed).randint(0, 128, (images, side, side, channels))
    return (noise + np.arange(side)[:, None, None] * 4 % 128).astype(np.uint8)


@pytest.mark.parametrize(
    "side, sides",
    [
        (16, [16]),
        (28, [28, 14]),
        (32, [32, 16]),
        (56, [56, 28, 14]),
        (64, [64, 32, 16]),
        (45, [45]),
    ],
)
def test_levels_go_down_to_16_or_14(side, sides):
    images = _images(0, 3, side)
    assert list(sliced_wasserstein(images, images, projections=2)) == sides


@pytest.mark.parametrize("channels", [1, 3])
def test_identical_sets_give_0(channels):
    images = _images(0, channels=channels)
    assert sliced_wasserstein(images, images, 16) == {28: 0, 14: 0}


def test_order_moves_it_by_the_choice_of_patches_only():
    real, fake = _images(0, 200), _images(1, 200)
    fake[:, 10:18] = 255
    distances = sliced_wasserstein(real, fake, 32)
    alike = np.random.default_rng(0).permutation(200)
    other = np.random.default_rng(1).permutation(200)
    assert sliced_wasserstein(real[alike], fake[other], 32) == pytest.approx(distances, rel=0.03)


def test_brightness_and_contrast_are_normalised_away():
    # Doubling is exact in uint8, and so is an offset.
    images = _images(0) // 4
    distances = sliced_wasserstein(images, 2 * images + 50, 16)
    assert distances == pytest.approx({28: 0, 14: 0}, abs=1e-12)


def test_noise_is_seen_most_at_the_finest_level():
    smooth = np.repeat(np.repeat(_images(0, side=16), 4, axis=1), 4, axis=2)  # 64 pixels
    noise = np.random.RandomState(0).choice([0, 60], smooth.shape).astype(np.uint8)
    distances = sliced_wasserstein(smooth, smooth // 2 + noise, 32)
    assert distances[64] > 2 * max(distances[32], distances[16])


def test_generator_that_makes_one_color():
    distances = sliced_wasserstein(_images(0), np.full_like(_images(0), 128), 16)
    assert all(np.isfinite(list(distances.values()))) and min(distances.values()) > 0.3


def test_values_and_seed():
    real, fake = _images(0), _images(1)
    fake[:, 10:18] = 255
    first, second, other = (sliced_wasserstein(real, fake, 16, seed=seed) for seed in (3, 3, 4))
    assert first == second != other
    assert first == pytest.approx({28: 0.10771589053723127, 14: 0.3588392080903362}, rel=1e-9)


def test_one_level_by_hand():
    # At side 16 the pyramid is the image: patch by patch, and direction by direction.
    real, fake = _images(0, 5, 16, 3), _images(1, 5, 16, 3) // 2
    generator = np.random.RandomState(9)
    rows, columns = generator.randint(10, size=(2, 5, 128))
    directions = generator.normal(size=(4, 3 * 7 * 7))
    sets = []
    for images in (real, fake):
        patches = [
            images[i, y : y + 7, x : x + 7].astype(np.float64)
            for i in range(5)
            for y, x in zip(rows[i], columns[i], strict=True)
        ]
        patches = np.array(patches)  # (patches, 7, 7, channels)
        patches = (patches - patches.mean(axis=(0, 1, 2))) / patches.std(axis=(0, 1, 2))
        sets.append(patches.transpose(0, 3, 1, 2).reshape(len(patches), -1))
    costs = []
    for direction in directions:
        ends = [sorted(patches @ direction / np.linalg.norm(direction)) for patches in sets]
        costs.append(np.abs(np.subtract(*ends)).mean())
    expected = {16: np.mean(costs)}
    assert sliced_wasserstein(real, fake, 4, seed=9) == pytest.approx(expected, rel=1e-10)


class TestWasserstein:
    def test_is_the_cheapest_of_all_ways_to_pair(self):
        import itertools

        real, fake = np.random.default_rng(0).normal(size=(2, 6))
        costs = [np.abs(real - fake[list(p)]).mean() for p in itertools.permutations(range(6))]
        assert wasserstein(real, fake) == pytest.approx(min(costs))

    def test_of_a_shift_is_the_shift(self):
        real = np.random.default_rng(0).normal(size=(3, 50))
        assert wasserstein(real, real[:, ::-1] + 2) == pytest.approx([2, 2, 2])


class TestPyramid:
    def test_of_one_color_is_that_color(self):
        pyramid = laplacian_pyramid(np.full((1, 32, 32, 1), 7.0), 3)
        assert [level.shape[1] for level in pyramid] == [32, 16, 8]
        assert [np.ptp(level) for level in pyramid] == [0, 0, 0]
        assert [level.mean() for level in pyramid] == [0, 0, 7]

    def test_of_one_bright_pixel(self):
        image = np.zeros((1, 16, 16, 1))
        image[0, 8, 8] = 256
        finest, smaller = laplacian_pyramid(image, 2)
        # Halved: the outer product of [1, 6, 1] / 16 with itself, every second tap of the kernel.
        taps = np.array([1, 6, 1])
        np.testing.assert_allclose(smaller[0, 3:6, 3:6, 0], np.outer(taps, taps))
        assert np.count_nonzero(smaller) == 9
        # Enlarged again, in the middle: (1 + 36 + 1)² / 64 of the 256.
        assert finest[0, 8, 8, 0] == pytest.approx(256 - 38**2 / 64)


class TestRefused:
    def test_what_is_no_image(self):
        images = _images(0)
        for broken in (images / 255, images[0], images[:, :20], images[:, :12, :12]):
            with pytest.raises(KganError, match="uint8 images of shape .* 14 or more. Received"):
                sliced_wasserstein(images, broken)

    def test_sets_that_do_not_match(self):
        images = _images(0)
        for other in (images[:-1], _images(0, channels=3), _images(0, side=32)):
            with pytest.raises(KganError, match="as many fake images as real ones.*Received"):
                sliced_wasserstein(images, other)

    def test_nothing(self):
        with pytest.raises(KganError, match="at least 1 images of each kind. Received: 0 real"):
            sliced_wasserstein(_images(0)[:0], _images(0)[:0])
        with pytest.raises(KganError, match="projections=0"):
            sliced_wasserstein(_images(0), _images(0), projections=0)
