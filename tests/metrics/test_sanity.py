"""What is done to real digits moves the metrics that should see it."""

import numpy as np
import pytest

from kgan.metrics import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
    sliced_wasserstein,
)

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def sets(data_dir):
    """1,000 real digits, and what generators of different faults might make: uint8 by name."""
    from kgan.data import load

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(data_dir))
        digits = load("tfds:mnist", (28, 28, 1), split="test[:6000]")
    others, labels = digits.images[1000:], digits.labels[1000:]
    good = others[:1000].astype(np.float64)
    noise = np.random.RandomState(0).normal(0, 40, good.shape)
    padded = np.pad(good, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)]
    fakes = {
        "good": good,
        "noise": np.clip(good + noise, 0, 255),
        "blur": np.mean(shifts, axis=0),
        "dropped modes": others[labels < 3][:1000],
        "truncated": good.mean(axis=0) + 0.6 * (good - good.mean(axis=0)),
    }
    assert all(len(images) == 1000 for images in fakes.values())
    return {"real": digits.images[:1000]} | {
        name: np.round(images).astype(np.uint8) for name, images in fakes.items()
    }


@pytest.fixture(scope="module")
def features(sets):
    """A random layer of 32 units with ReLU, by name of the set."""
    weights = np.random.RandomState(1).normal(size=(784, 32)) / 28
    return {
        name: np.maximum(images.reshape(len(images), -1) / 255 @ weights, 0)
        for name, images in sets.items()
    }


FAULTS = ["noise", "blur", "dropped modes", "truncated"]


@pytest.mark.parametrize("fault", FAULTS)
def test_frechet_distance_sees_every_fault(features, fault):
    floor = frechet_distance(features["real"], features["good"])
    assert frechet_distance(features["real"], features[fault]) > 3 * floor


@pytest.mark.parametrize("fault", FAULTS)
def test_kernel_distance_sees_every_fault(features, fault):
    floor, deviation = kernel_distance(features["real"], features["good"], 20, 200)
    assert abs(floor) < deviation
    assert kernel_distance(features["real"], features[fault], 20, 200)[0] > 3 * deviation


def test_precision_sees_noise_and_recall_the_loss_of_variety(features):
    results = {
        name: precision_recall(features["real"], features[name]) for name in ["good", *FAULTS]
    }
    precision, recall = results["good"]
    assert results["noise"][0] < precision - 0.1
    assert results["dropped modes"][0] > precision - 0.05  # each of its images is real
    assert results["truncated"][0] > precision
    for fault in ("blur", "dropped modes", "truncated"):
        assert results[fault][1] < recall - 0.2


def test_density_sees_noise_and_coverage_dropped_modes(features):
    results = {
        name: density_coverage(features["real"], features[name]) for name in ["good", *FAULTS]
    }
    density, coverage = results["good"]
    assert results["noise"][0] < density - 0.2
    assert results["truncated"][0] > 2 * density
    assert results["dropped modes"][1] < coverage - 0.2
    assert results["noise"][1] < coverage - 0.1


@pytest.mark.slow
def test_sliced_wasserstein_sees_noise_and_blur_at_the_finest_level(sets):
    distances = {
        name: sliced_wasserstein(sets["real"][:500], sets[name][:500], projections=64)
        for name in ["good", *FAULTS]
    }
    floor = distances["good"]
    for fault in ("noise", "blur"):
        assert distances[fault][28] > 4 * floor[28]
        assert distances[fault][28] > 2 * distances[fault][14]
    for fault in ("dropped modes", "truncated"):
        assert distances[fault][14] > 2 * floor[14]
