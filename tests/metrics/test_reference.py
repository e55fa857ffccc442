"""kgan's metrics, and the pinned values, against other people's programs.

Needs the extra `test-reference`; nothing is downloaded: torch-fidelity's functions take features.
"""

import pytest

from kgan.metrics import frechet_distance, kernel_distance, precision_recall
from kgan.metrics.sliced_wasserstein import wasserstein
from metrics import references

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")

try:
    import torchvision  # noqa: F401
except ImportError:
    pytest.skip("needs torchvision", allow_module_level=True)
except RuntimeError:
    # A torchvision built for GPUs cannot load its operators beside a torch built for CPUs.
    # torch-fidelity imports it, but what is tested here uses none of them: two names are enough.
    for name in ("nms", "qnms"):
        signature = "(Tensor boxes, Tensor scores, float threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", signature)

pytest.importorskip("torch_fidelity")
from torch_fidelity import metric_fid, metric_kid, metric_prc  # noqa: E402

pytestmark = [
    pytest.mark.parametrize("case", references.FRECHET),
    pytest.mark.filterwarnings("ignore:Expected more images than features"),
]


def _tensors(case):
    return (torch.from_numpy(features).double() for features in references.pair(case))


def test_frechet_distance(case):
    real, fake = (metric_fid.fid_features_to_statistics(features) for features in _tensors(case))
    (expected,) = metric_fid.fid_statistics_to_metric(real, fake, verbose=False).values()
    assert frechet_distance(*references.pair(case)) == pytest.approx(expected, rel=1e-6)
    assert references.FRECHET[case] == pytest.approx(expected, rel=1e-6)


def test_kernel_distance(case):
    size = references.SUBSET_SIZE[case]
    expected = metric_kid.kid_features_to_metric(
        *_tensors(case), kid_subsets=10, kid_subset_size=size, rng_seed=7, verbose=False
    )
    expected = (
        expected["kernel_inception_distance_mean"],
        expected["kernel_inception_distance_std"],
    )
    received = kernel_distance(*references.pair(case), subsets=10, subset_size=size, seed=7)
    assert received == pytest.approx(expected, rel=1e-6)
    assert references.KERNEL_DISTANCE[case] == pytest.approx(expected, rel=1e-6)


def test_precision_recall(case):
    real, fake = _tensors(case)
    # Generated features first, since torch-fidelity 0.4.
    expected = metric_prc.prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    expected = (expected["precision"], expected["recall"])
    assert precision_recall(*references.pair(case)) == pytest.approx(expected, rel=1e-6)
    assert references.PRECISION_RECALL[case] == pytest.approx(expected, rel=1e-6)


def test_wasserstein_in_one_dimension(case):
    real, fake = references.pair(case)
    fake = fake[: len(real)]
    real = real[: len(fake)]
    expected = [
        stats.wasserstein_distance(*columns) for columns in zip(real.T, fake.T, strict=True)
    ]
    assert wasserstein(real.T, fake.T).tolist() == pytest.approx(expected, rel=1e-6)
