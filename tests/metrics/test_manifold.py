"""Precision and recall, density and coverage, nearest neighbours."""

import numpy as np
import pytest

from kgan.errors import KganError
from kgan.metrics import density_coverage, manifold, nearest_neighbours, precision_recall
from metrics import references

CASES = list(references.PRECISION_RECALL)
each_case = pytest.mark.parametrize("case", CASES)


def _distances(x, y):
    """Euclidean, from differences; (rows of x, rows of y)."""
    differences = x[:, None].astype(np.float64) - y[None].astype(np.float64)
    return np.sqrt(np.square(differences).sum(axis=-1))


def _radii(features, k):
    """Distance of each row to its k-th neighbour."""
    return np.array(
        [np.sort(np.delete(d, i))[k - 1] for i, d in enumerate(_distances(*[features] * 2))]
    )


@pytest.fixture(params=[2**23, 1000], ids=["one block", "many blocks"], autouse=True)
def _block(request, monkeypatch):
    monkeypatch.setattr(manifold, "_BLOCK", request.param)


@each_case
def test_precision_recall_equals_what_the_reference_computes(case):
    expected = references.PRECISION_RECALL[case]
    assert precision_recall(*references.pair(case)) == pytest.approx(expected, rel=1e-9)


@each_case
@pytest.mark.parametrize("k", [1, 4])
def test_precision_recall_by_brute_force(case, k):
    real, fake = references.pair(case)
    distances = _distances(real, fake)
    precision = (distances <= _radii(real, k)[:, None]).any(axis=0).mean()
    recall = (distances <= _radii(fake, k)[None]).any(axis=1).mean()
    assert precision_recall(real, fake, k) == (precision, recall)


@each_case
@pytest.mark.parametrize("k", [1, 5])
def test_density_coverage_by_brute_force(case, k):
    real, fake = references.pair(case)
    inside = _distances(real, fake) <= _radii(real, k)[:, None]  # (real balls, fakes)
    expected = (inside.sum() / (k * len(fake)), inside.any(axis=1).mean())
    assert density_coverage(real, fake, k) == pytest.approx(expected, rel=1e-12)


@each_case
def test_identical_sets_in_any_order_give_1(case):
    real, _ = references.pair(case)
    shuffled = np.random.default_rng(0).permutation(real)
    assert precision_recall(real, shuffled) == (1, 1)
    # Of the k-th neighbours on the edge too: (k + 1) / k.
    assert density_coverage(real, shuffled) == (1.2, 1)


@each_case
def test_order_does_not_matter(case):
    real, fake = references.pair(case)
    generator = np.random.default_rng(1)
    shuffled = generator.permutation(real), generator.permutation(fake)
    assert precision_recall(*shuffled) == precision_recall(real, fake)
    assert density_coverage(*shuffled) == density_coverage(real, fake)


def test_copies_count_as_inside_though_radii_are_0():
    # 20 real images, five times each, far from the origin: all that matters is ties.
    real = np.repeat(np.random.default_rng(0).normal(size=(20, 8)) + 1e3, 5, axis=0)
    assert precision_recall(real, real[::-1], 3) == (1, 1)
    assert density_coverage(real, real[::5], 3)[1] == 1
    assert precision_recall(real, real + 0.01, 3)[0] == 0


def test_two_samples_of_one_distribution_have_density_1():
    real, fake = np.random.default_rng(0).normal(size=(2, 2000, 8))
    density, coverage = density_coverage(real, fake)
    assert density == pytest.approx(1, abs=0.05)
    # 1 - C(N, k) / C(2N, k) is about 1 - 2^-k: Naeem et al. 2020, equation 9.
    assert coverage == pytest.approx(1 - 2**-5, abs=0.02)


@each_case
def test_nearest_neighbours_by_brute_force(case):
    real, fake = references.pair(case)
    distances, indices = nearest_neighbours(fake, real, 3)
    expected = _distances(fake, real)
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :3], rtol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(expected, indices, 1), distances, rtol=1e-12)


def test_nearest_neighbour_of_a_copy_is_at_distance_0():
    training = np.random.default_rng(0).normal(size=(500, 32)).astype(np.float32) + 100
    distances, indices = nearest_neighbours(training[[41, 7]], training)
    assert distances.tolist() == [[0], [0]] and indices.tolist() == [[41], [7]]


def test_too_few_images_are_refused():
    real, fake = references.pair("random")
    for metric in (precision_recall, density_coverage):
        with pytest.raises(KganError, match="least 4 images for neighbours=3. Received: 3 fake"):
            metric(real, fake[:3], neighbours=3)
        with pytest.raises(KganError, match="neighbours=0"):
            metric(real, fake, neighbours=0)
    with pytest.raises(KganError, match="least 4 images for neighbours=4. Received: 3 reference"):
        nearest_neighbours(real, fake[:3], 4)
    with pytest.raises(KganError, match="neighbours=0"):
        nearest_neighbours(real, fake, 0)
