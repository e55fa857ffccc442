"""The encoder of the extractor `faces` in PyTorch, for figures where there is no TensorFlow."""

import h5py
import numpy as np
import torch
from torch.nn import functional as F


class Encoder:
    """Features (images, 128) of uint8 images (images, height, width, 3)."""

    def __init__(self, path, device):
        self.kernels, self.shifts = [], []
        with h5py.File(path) as file:
            for i in range(10):
                name = f"_{i}" if i else ""
                kernel = file[f"layers/conv2d{name}/vars/0"][:].astype(np.float32)
                norm = file[f"layers/batch_normalization{name}/vars"]
                gamma, beta, mean, variance = (norm[str(k)][:].astype(np.float32) for k in range(4))
                scale = gamma / np.sqrt(variance + 1e-3)
                folded = np.transpose(kernel * scale, (3, 2, 0, 1)).copy()
                self.kernels.append(torch.from_numpy(folded).to(device))
                self.shifts.append(torch.from_numpy(beta - mean * scale).to(device))

    @torch.no_grad()
    def __call__(self, images):
        x = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        convs = zip(self.kernels, self.shifts, strict=True)

        def conv(x, stride):
            kernel, shift = next(convs)
            if stride == 2:  # as TensorFlow pads an even side
                return F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, shift, 2)
            return F.conv2d(x, kernel, shift, 1, 1)

        x = F.relu(conv(x, 2))
        for _ in range(3):
            x = F.relu(conv(x, 2))
            x = F.relu(x + conv(F.relu(conv(x, 1)), 1))
        return x.mean((2, 3))


def frechet(one, other):
    """The Fréchet distance of (mean, covariance) to (mean, covariance), float64 arrays."""
    (mean, covariance), (mean_2, covariance_2) = one, other
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    values = np.linalg.eigvalsh(root @ covariance_2 @ root)
    traces = np.trace(covariance) + np.trace(covariance_2)
    difference = mean - mean_2
    return float(difference @ difference + traces - 2 * np.sqrt(np.maximum(values, 0)).sum())


def moments(features):
    """The mean and covariance of features (images, features)."""
    features = np.asarray(features, np.float64)
    return features.mean(0), np.cov(features, rowvar=False)


def kernel_distance(one, other):
    """The unbiased squared discrepancy under (xᵀy / features + 1)³ of all images at once."""

    def within(x):
        k = (x @ x.T / x.shape[1] + 1) ** 3
        return (k.sum() - k.diagonal().sum()) / (len(x) * (len(x) - 1))

    one, other = one.double(), other.double()
    return float(within(one) + within(other) - 2 * ((one @ other.T / one.shape[1] + 1) ** 3).mean())
