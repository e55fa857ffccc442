"""What every metric on features refuses."""

import functools
import inspect

import numpy as np
import pytest

from kgan import metrics
from kgan.errors import KganError

FEATURES = np.random.default_rng(0).normal(size=(50, 4))
OPTIONS = {"kernel_distance": {"subset_size": 10}}


def of_features():
    """The public metrics that take two sets of features, by name."""
    for name in metrics.__all__:
        function = getattr(metrics, name)
        if inspect.isfunction(function):
            first_two = list(inspect.signature(function).parameters)[:2]
            if first_two in (["real", "fake"], ["features", "reference"]):
                yield name, functools.partial(function, **OPTIONS.get(name, {}))


METRICS = dict(of_features())
LEAST = {
    "frechet_distance": "2 images for a covariance",
    "kernel_distance": r"10 images \(subset_size\) in each set",
    "precision_recall": "4 images for neighbours=3",
    "density_coverage": "6 images for neighbours=5",
    "nearest_neighbours": "1 images for neighbours=1",
}
each_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


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


@pytest.mark.parametrize("name", METRICS)
def test_no_images(name):
    message = f"Expected at least {LEAST[name]}. Received: 0 (real|reference)$"
    with pytest.raises(KganError, match=message):
        METRICS[name](FEATURES[:0], FEATURES[:0])


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
