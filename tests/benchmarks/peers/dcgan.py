"""`kgan.models.DCGAN` in PyTorch, of sides that are powers of 2."""

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

    def __init__(self, channels):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(channels))
        self.gamma = nn.Parameter(torch.ones(channels))
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


class Generator(nn.Module):
    def __init__(self, side=64, latent_dim=64, width=40):
        super().__init__()
        self.latent_dim = latent_dim
        stages = side.bit_length() - 3
        filters = [width << (stages - 1 - k) for k in range(stages)]
        self.norms = nn.ModuleList(map(BatchNorm, filters))
        self.bias = nn.Parameter(torch.zeros(3))
        ends = zip(filters, [*filters[1:], 3], strict=True)
        self.kernels = nn.ParameterList(normal(above, 4, 4, below) for above, below in ends)
        self.dense = normal(16 * filters[0], latent_dim)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        *kernels, last = self.kernels
        return [*self.norms.parameters(), *kernels, self.bias, last, self.dense]

    def forward(self, latents):
        x = F.linear(latents, self.dense).view(len(latents), 4, 4, -1).permute(0, 3, 1, 2)
        for norm, weights in zip(self.norms, self.kernels, strict=True):
            bias = self.bias if weights is self.kernels[-1] else None
            x = F.conv_transpose2d(F.relu(norm(x)), weights.permute(0, 3, 1, 2), bias, 2, 1)
        return torch.tanh(x)


class Discriminator(nn.Module):
    """With R1, hence without batch normalisation."""

    def __init__(self, side=64, width=40, initializer="dcgan"):
        super().__init__()
        filters = [3, *(width << k for k in range(side.bit_length() - 3))]

        def made(*shape):
            return normal(*shape, he_inputs=math.prod(shape[1:]) if initializer == "he" else None)

        self.biases = nn.ParameterList(torch.zeros(n) for n in filters[1:])
        self.kernels = nn.ParameterList(
            made(below, 4, 4, above) for above, below in zip(filters, filters[1:], strict=False)
        )
        features = 16 * filters[-1]
        self.bias = nn.Parameter(torch.zeros(1))
        self.logits = made(1, features)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        pairs = zip([*self.biases, self.bias], [*self.kernels, self.logits], strict=True)
        return [weight for pair in pairs for weight in pair]

    def forward(self, images):
        x = images
        for weights, bias in zip(self.kernels, self.biases, strict=True):
            x = F.leaky_relu(F.conv2d(x, weights.permute(0, 3, 1, 2), bias, 2, 1), 0.2)
        return F.linear(x.permute(0, 2, 3, 1).reshape(len(x), -1), self.logits, self.bias)
