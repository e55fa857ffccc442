"""Features, and the values of the metrics on them that test_reference.py finds by other means."""

import numpy as np


def pair(case: str) -> tuple[np.ndarray, np.ndarray]:
    """Real and fake features; of a generator whose stream NumPy has promised not to change."""
    generator = np.random.RandomState(5)
    if case == "random":
        return generator.normal(size=(300, 16)), 1.2 * generator.normal(size=(250, 16)) + 0.1
    # As of a network: clusters in few dimensions, many exact zeros, far from centred; float32.
    centres = 3 * generator.normal(size=(5, 6))
    mixing = generator.normal(size=(6, 32))
    sets = []
    for images, clusters in ((400, 5), (300, 4)):
        hidden = centres[generator.randint(clusters, size=images)]
        hidden = hidden + generator.normal(size=hidden.shape)
        sets.append(np.maximum(hidden @ mixing + 1, 0).astype(np.float32))
    if case == "singular":  # fewer images than features, and two features that never change
        sets = [features[:25] for features in sets]
        for features in sets:
            features[:, :2] = 0
    return tuple(sets)


# Images a subset; of 10 subsets, seed 7.
SUBSET_SIZE = {"random": 100, "structured": 200, "singular": 20}

# Each as torch-fidelity 0.4.0 has it, to 1e-6: test_reference.py.
FRECHET = {
    "random": 1.314800148290466,
    "structured": 42.19741156216969,
    "singular": 89.92422391476873,
}
KERNEL_DISTANCE = {
    "random": (0.06285094268405204, 0.039085296751933014),
    "structured": (754.4206381898414, 401.7402146360613),
    "singular": (-711.8800719621274, 387.3933293642252),
}
PRECISION_RECALL = {"random": (0.556, 0.93), "structured": (0.9, 0.7375), "singular": (0.96, 0.8)}
