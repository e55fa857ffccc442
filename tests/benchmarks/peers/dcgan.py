"""`kgan.models.DCGAN` in PyTorch, and WGANGP's networks; sources: Radford et al. 2015, section 3.

Images and features are (batch, channels, height, width) in `channels_last` memory; kernels are
stored as what that calls contiguous.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def normal(*shape, he_inputs=None):
    """N(0, 0.02), or He's initial weights as Keras draws them: no further out than 2 deviations."""
    weights = torch.empty(shape)
    if he_inputs is None:
        return nn.Parameter(0.02 * nn.init.normal_(weights))
    # Cut off there, a deviation of 1 becomes one of 0.87962566.
    scale = (2 / he_inputs) ** 0.5 / 0.87962566
    return nn.Parameter(scale * nn.init.trunc_normal_(weights, a=-2.0, b=2.0))


class BatchNorm(nn.Module):
    """PyTorch's running variance is n / (n - 1) times Keras'; n is at least 1,024 here."""

    def __init__(self, channels, affine=True):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(channels)) if affine else None
        self.gamma = nn.Parameter(torch.ones(channels)) if affine else None
        self.moving_mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.moving_variance = nn.Parameter(torch.ones(channels), requires_grad=False)

    def forward(self, x):
        return F.batch_norm(
            x,
            self.moving_mean,
            self.moving_variance,
            self.gamma,
            self.beta,
            self.training,
            momentum=0.1,
            eps=1e-5,
        )


def convolve(x, kernel, bias=None):
    """Kernel 4, stride 2, and the side rounded up: of 7 with 1 zero before and 2 after."""
    if x.shape[-1] % 2:
        x = F.pad(x, (0, 1, 0, 1))
    return F.conv2d(x, kernel.permute(0, 3, 1, 2), bias, 2, 1)


class Generator(nn.Module):
    def __init__(self, side=64, latent_dim=64, width=40, channels=3):
        super().__init__()
        self.latent_dim = latent_dim
        self.base = 7 if side % 7 == 0 else 4
        stages = (side // self.base).bit_length() - 1
        filters = [width << (stages - 1 - k) for k in range(stages)]
        self.norms = nn.ModuleList(map(self.norm, filters))
        self.bias = nn.Parameter(torch.zeros(channels))
        ends = zip(filters, [*filters[1:], channels], strict=True)
        self.kernels = nn.ParameterList(normal(above, 4, 4, below) for above, below in ends)
        self.dense = normal(self.base**2 * filters[0], latent_dim)

    def norm(self, channels):
        return BatchNorm(channels)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        *kernels, last = self.kernels
        return [*self.norms.parameters(), *kernels, self.bias, last, self.dense]

    def forward(self, latents, *labels):
        x = F.linear(latents, self.dense).view(len(latents), self.base, self.base, -1)
        x = x.permute(0, 3, 1, 2)
        for norm, weights in zip(self.norms, self.kernels, strict=True):
            bias = self.bias if weights is self.kernels[-1] else None
            x = F.relu(norm(x, *labels))
            x = F.conv_transpose2d(x, weights.permute(0, 3, 1, 2), bias, 2, 1)
        return torch.tanh(x)


class Discriminator(nn.Module):
    """`normalized` as the paper has it; without under R1, and as WGANGP's critic."""

    def __init__(self, side=64, width=40, initializer="dcgan", channels=3, normalized=False):
        super().__init__()
        stages = math.ceil(math.log2(side / 4))
        filters = [channels, *(width << k for k in range(stages))]

        def made(*shape):
            return normal(*shape, he_inputs=math.prod(shape[1:]) if initializer == "he" else None)

        self.of_batch = normalized  # whether a score depends on the others of its batch
        biased = filters[1:2] if normalized else filters[1:]
        self.norms = nn.ModuleList(map(BatchNorm, filters[2:] if normalized else []))
        self.biases = nn.ParameterList(torch.zeros(n) for n in biased)
        self.kernels = nn.ParameterList(
            made(below, 4, 4, above) for above, below in zip(filters, filters[1:], strict=False)
        )
        features = 16 * filters[-1]
        self.bias = nn.Parameter(torch.zeros(1))
        self.logits = made(1, features)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        found = list(self.norms.parameters())
        for stage, kernel in enumerate(self.kernels):
            found += [*self.biases[stage : stage + 1], kernel]
        return [*found, self.bias, self.logits]

    def forward(self, images):
        x = images
        for stage, kernel in enumerate(self.kernels):
            x = convolve(x, kernel, self.biases[stage] if stage < len(self.biases) else None)
            if stage and self.of_batch:
                x = self.norms[stage - 1](x)
            x = F.leaky_relu(x, 0.2)
        x = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # as kgan has its features
        return F.linear(x, self.logits, self.bias)
