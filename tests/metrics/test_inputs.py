"""What every metric on features refuses."""

import numpy as np
import pytest

from kgan import metrics
from kgan.errors import KganError

FEATURES = np.random.default_rng(0).normal(size=(50, 4))
METRICS = [
    metrics.frechet_distance,
    lambda real, fake: metrics.kernel_distance(real, fake, subset_size=10),
    metrics.precision_recall,
    metrics.density_coverage,
    metrics.nearest_neighbours,
]
NAMES = ["frechet", "kernel", "precision", "density", "neighbours"]
each_metric = pytest.mark.parametrize("metric", METRICS, ids=NAMES)


@each_metric
@pytest.mark.parametrize("value, said", [(np.nan, "1 NaN and 0 inf"), (np.inf, "0 NaN and 1 inf")])
def test_values_that_are_not_finite(metric, value, said):
    broken = FEATURES.copy()
    broken[7, 2] = value
    with pytest.raises(KganError, match=f"finite features. Received: {said}.*in image 7"):
        metric(FEATURES, broken)
    with pytest.raises(KganError, match=said):
        metric(broken, FEATURES)


@each_metric
@pytest.mark.parametrize(
    "broken", [FEATURES[0], FEATURES[None], FEATURES[:, :0], FEATURES.astype(str), FEATURES * 1j]
)
def test_what_is_no_array_of_features(metric, broken):
    with pytest.raises(KganError, match="shape .images, features.. Received: shape"):
        metric(FEATURES, broken)


@each_metric
def test_different_numbers_of_features(metric):
    with pytest.raises(KganError, match="the same features. Received: 4 in .*, 3 in "):
        metric(FEATURES, FEATURES[:, :3])


@each_metric
def test_no_images(metric):
    with pytest.raises(KganError, match="Expected at least"):
        metric(FEATURES[:0], FEATURES[:0])


@each_metric
def test_float32_is_computed_in_float64(metric):
    features = FEATURES.astype(np.float32)
    received = metric(features, features[::-1] * 2)
    expected = metric(features.astype(np.float64), features[::-1].astype(np.float64) * 2)
    np.testing.assert_array_equal(received, expected)


@each_metric
def test_the_same_twice_to_the_last_digit(metric):
    other = FEATURES + 0.1
    np.testing.assert_array_equal(metric(FEATURES, other), metric(FEATURES, other))


def test_metrics_need_neither_tensorflow_nor_scipy(run_python, tmp_path):
    code = (
        "import sys, kgan; print(kgan.metrics.frechet_distance([[0], [2]], [[0], [2]]))\n"
        "assert not {'tensorflow', 'keras', 'scipy', 'torch'} & set(sys.modules)"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("0.0\n", "")
