"""The kernel distance: Binkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401)."""

import numpy as np

from kgan.checks import whole
from kgan.metrics.inputs import SEED, as_pair, check_images


def kernel_distance(
    real, fake, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The squared maximum mean discrepancy between two sets of images, over random subsets.

    The kernel is k(x, y) = (xᵀy / features + 1)³, the estimator unbiased: section 4 of Binkowski
    et al. 2018 (arXiv:1801.01401), and equation 4 there; KID where the features are those of
    Inception. Unlike the Fréchet distance it is meaningful for few images, and its expectation
    does not depend on how many there are. For sets of one distribution it is 0 on average, and
    slightly negative as often as not.

    Args:
        real: array (real images, features) of numbers.
        fake: array (fake images, features) of numbers.
        subsets: how many times to draw images of both sets.
        subset_size: images drawn of each set, each at most once a subset.
        seed: int, of the draws. Images are drawn by their place in the array: another order gives
            other subsets. A subset as large as the set depends on no order.

    Returns:
        The mean over subsets, and their standard deviation (that of one subset, not of the mean).

    Raises:
        KganError: if an array does not have two axes or holds NaN or infinity, the numbers of
            features differ, a set has fewer images than a subset, or `subsets` or `subset_size`
            is too small.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 5_000, 16))
    >>> mean, deviation = kgan.metrics.kernel_distance(real, 1.1 * fake)
    """
    whole(1).check("subsets", subsets)
    whole(2).check("subset_size", subset_size)
    SEED.check("seed", seed)
    real, fake = as_pair(real, fake)
    check_images(subset_size, "(subset_size) in each set", real=len(real), fake=len(fake))
    # The subsets that torch-fidelity draws from this seed, of a generator that NumPy has promised
    # not to change: figures of the two can be compared to the last digits.
    generator = np.random.RandomState(seed)
    distances = [
        squared_discrepancy(
            real[generator.choice(len(real), subset_size, replace=False)],
            fake[generator.choice(len(fake), subset_size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances))


def squared_discrepancy(real: np.ndarray, fake: np.ndarray) -> float:
    """Binkowski et al. 2018, equation 4, on float64 arrays (images, features)."""
    within = sum(
        # Pairs of different images only: what makes the estimate unbiased.
        (kernel.sum() - kernel.trace()) / (len(kernel) * (len(kernel) - 1))
        for kernel in (_kernel(real, real), _kernel(fake, fake))
    )
    return within - 2 * _kernel(real, fake).mean()


def _kernel(x, y):
    base = x @ y.T / x.shape[1] + 1.0
    return base * base * base  # ten times faster than base**3
