"""The kernel distance."""

import numpy as np
import pytest

from kgan.errors import KganError
from kgan.metrics import kernel_distance
from metrics import references


@pytest.mark.parametrize("case", references.KERNEL_DISTANCE)
def test_equals_what_the_reference_computes(case):
    size = references.SUBSET_SIZE[case]
    received = kernel_distance(*references.pair(case), subsets=10, subset_size=size, seed=7)
    assert received == pytest.approx(references.KERNEL_DISTANCE[case], rel=1e-9)


def test_equals_the_sums_over_pairs():
    # Binkowski et al. 2018, equation 4, term by term.
    real, fake = np.random.default_rng(0).normal(size=(2, 12, 5))

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    pairs = [(i, j) for i in range(12) for j in range(12)]
    expected = (
        sum(kernel(real[i], real[j]) for i, j in pairs if i != j) / (12 * 11)
        + sum(kernel(fake[i], fake[j]) for i, j in pairs if i != j) / (12 * 11)
        - 2 * sum(kernel(real[i], fake[j]) for i, j in pairs) / 12**2
    )
    # Every subset is the whole set.
    mean, deviation = kernel_distance(real, fake, subsets=3, subset_size=12)
    assert mean == pytest.approx(expected, rel=1e-12)
    assert deviation == pytest.approx(0, abs=1e-12)


def test_of_two_halves_is_0_within_its_deviation():
    real, fake = np.random.default_rng(0).normal(size=(2, 4000, 16))
    mean, deviation = kernel_distance(real, fake, subsets=40, subset_size=100)
    # The 40 subsets share few images: the mean is off by some deviation / sqrt(40).
    assert abs(mean) < 3 * deviation / np.sqrt(40)
    assert kernel_distance(real, 1.2 * fake, subsets=40, subset_size=100)[0] > deviation


def test_subsets_follow_the_seed():
    real, fake = references.pair("random")
    distances = [kernel_distance(real, fake, 5, 50, seed=seed) for seed in (0, 0, 1)]
    assert distances[0] == distances[1] != distances[2]


def test_order_does_not_matter_beyond_the_choice_of_subsets():
    real, fake = references.pair("structured")
    fake = np.concatenate([fake, fake[:100]])
    distances = [
        kernel_distance(*pair, subsets=1, subset_size=400)[0]
        for pair in ((real, fake), (real[::-1], fake[::-1]))
    ]
    assert distances[0] == pytest.approx(distances[1], rel=1e-10)


def test_too_few_images_are_refused():
    real, fake = references.pair("random")
    with pytest.raises(KganError, match="least 1000 images .subset_size. in .*Received: 300 real"):
        kernel_distance(real, fake)
    with pytest.raises(KganError, match="subsets to be an int >= 1. Received: subsets=0"):
        kernel_distance(real, fake, subsets=0)
    with pytest.raises(KganError, match="Received: subset_size=1"):
        kernel_distance(real, fake, subset_size=1)
