"""The Fréchet distance, and the statistics behind it."""

import numpy as np
import pytest

from kgan.errors import KganError, KganWarning
from kgan.metrics import Statistics, frechet_distance
from metrics import references

few = pytest.mark.filterwarnings("ignore:Expected more images than features")


def _statistics(features, sizes=()):
    statistics = Statistics()
    for batch in np.split(features, np.cumsum(sizes)) if sizes else [features]:
        statistics.update(batch)
    return statistics


class TestStatistics:
    @pytest.mark.parametrize("offset", [0.0, 1e6])
    def test_equal_those_of_numpy(self, offset):
        # Over several blocks and a rest, in uneven batches, one of them empty.
        features = np.random.default_rng(0).normal(size=(5000, 6)) + offset
        statistics = _statistics(features, sizes=[1, 3000, 0, 24, 1500])
        assert statistics.count == 5000
        np.testing.assert_allclose(statistics.mean, features.mean(axis=0), rtol=1e-12, atol=1e-14)
        expected = np.cov(features - offset, rowvar=False)
        # A number near 1e6 is only known to 1e-10.
        np.testing.assert_allclose(statistics.covariance, expected, atol=1e-9 if offset else 1e-13)

    @pytest.mark.parametrize("sizes", [[1], [1000, 1000], [64] * 45, [1024], [2047, 1, 1]])
    def test_do_not_depend_on_batches_to_the_last_digit(self, sizes):
        features = np.random.default_rng(1).normal(size=(3000, 5)).astype(np.float32)
        whole, parts = _statistics(features), _statistics(features, sizes)
        np.testing.assert_array_equal(whole.mean, parts.mean)
        np.testing.assert_array_equal(whole.covariance, parts.covariance)

    def test_may_be_looked_at_in_between(self):
        features = np.random.default_rng(2).normal(size=(3000, 5))
        statistics = _statistics(features[:1500])
        np.testing.assert_array_equal(
            statistics.covariance, _statistics(features[:1500]).covariance
        )
        statistics.update(features[1500:])
        np.testing.assert_array_equal(statistics.covariance, _statistics(features).covariance)

    def test_do_not_change_with_the_batch_they_were_given(self):
        features = np.ones((10, 2))
        statistics = _statistics(features)
        features[:] = 7
        assert statistics.mean.tolist() == [1, 1]

    def test_refuse_too_few_images(self):
        with pytest.raises(KganError, match="at least 1 images for a mean. Received: 0"):
            _ = Statistics().mean
        with pytest.raises(KganError, match="at least 2 images for a covariance. Received: 1"):
            _ = _statistics(np.ones((1, 2))).covariance

    def test_refuse_other_features(self):
        statistics = _statistics(np.ones((2, 3)))
        with pytest.raises(KganError, match="batches of 3 features, as before. Received: 4"):
            statistics.update(np.ones((2, 4)))


class TestFrechetDistance:
    @few
    @pytest.mark.parametrize("case", references.FRECHET)
    def test_equals_what_the_reference_computes(self, case):
        expected = references.FRECHET[case]
        assert frechet_distance(*references.pair(case)) == pytest.approx(expected, rel=1e-9)

    def test_is_that_of_diagonal_gaussians(self):
        # Corners of a box: mean and covariance are exact.
        corners = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3)
        unit = corners * np.sqrt(7 / 8)  # covariance 1, divided by images - 1
        distance = frechet_distance(unit * [1, 2, 3], unit * [1, 5, 3] + [4, 0, 0])
        assert distance == pytest.approx(4**2 + (5 - 2) ** 2)

    @few
    @pytest.mark.parametrize("case", references.FRECHET)
    def test_of_a_set_to_itself_is_0(self, case):
        real, _ = references.pair(case)
        assert frechet_distance(real, real) == pytest.approx(0, abs=1e-10)

    @few
    @pytest.mark.parametrize("case", references.FRECHET)
    def test_is_symmetric_and_does_not_see_order(self, case):
        real, fake = references.pair(case)
        distance = frechet_distance(real, fake)
        assert frechet_distance(fake, real) == pytest.approx(distance, rel=1e-9)
        assert frechet_distance(real[::-1], fake[::-1]) == pytest.approx(distance, rel=1e-9)

    def test_takes_statistics_for_an_array(self):
        real, fake = references.pair("random")
        distance = frechet_distance(real, fake)
        assert frechet_distance(_statistics(real, [7, 200]), fake) == distance
        assert frechet_distance(_statistics(real), _statistics(fake, [100])) == distance

    def test_of_a_generator_that_makes_one_image(self):
        # No covariance at all on one side: the trace of the other is left.
        real, _ = references.pair("random")
        fake = np.tile(real.mean(axis=0), (50, 1))
        assert frechet_distance(real, fake) == pytest.approx(real.var(axis=0, ddof=1).sum())

    def test_warns_of_fewer_images_than_features(self):
        real, fake = np.random.default_rng(0).normal(size=(2, 40, 20))
        with pytest.warns(KganWarning, match="singular.*Received: 20 fake images of 20 features"):
            frechet_distance(real, fake[:20])

    def test_refuses_what_it_cannot_compare(self):
        real, fake = references.pair("random")
        with pytest.raises(KganError, match="Received: 16 in real, 15 in fake"):
            frechet_distance(real, fake[:, 1:])
        with pytest.raises(KganError, match="at least 2 images for a covariance. Received: 1 fake"):
            frechet_distance(real, fake[:1])
        with pytest.raises(KganError, match="Received: 0 real"):
            frechet_distance(Statistics(), fake)
