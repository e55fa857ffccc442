"""`kgan.models.ConditionalGAN` in PyTorch: by projection, as Miyato & Koyama 2018 have it."""

import dcgan
import torch
from torch import nn
from torch.nn import functional as F


class ConditionalNorm(nn.Module):
    """Batch normalisation whose scale and offset are those of the class."""

    def __init__(self, channels, num_classes):
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(num_classes, channels))
        self.scales = nn.Parameter(torch.ones(num_classes, channels))
        self.offsets.axes = self.scales.axes = (0, 1)
        self.norm = dcgan.BatchNorm(channels, affine=False)

    def forward(self, x, labels):
        scale, offset = (
            F.embedding(labels, weights)[:, :, None, None]
            for weights in (self.scales, self.offsets)
        )
        return torch.addcmul(offset.to(x.dtype), self.norm(x), scale.to(x.dtype))


class Generator(dcgan.Generator):
    def __init__(self, side=28, latent_dim=128, width=64, channels=1, num_classes=10):
        self.num_classes = num_classes
        super().__init__(side, latent_dim, width, channels)

    def norm(self, channels):
        return ConditionalNorm(channels, self.num_classes)


class Spectral(nn.Module):
    """A weight divided by its largest singular value: Miyato et al. 2018, algorithm 1."""

    def __init__(self, *shape, inputs=None, bias=None):
        super().__init__()
        self.bias = None if bias is None else nn.Parameter(torch.zeros(bias))
        self.kernel = nn.Parameter(nn.init.xavier_uniform_(torch.empty(shape)))
        if len(shape) == 4:  # (outputs, height, width, inputs), as kgan has (h, w, inputs, outputs)
            self.kernel.axes = (3, 0, 1, 2)
        elif inputs is not None:  # an embedding: (classes, features)
            self.kernel.axes = (0, 1)
        self.outputs_last = inputs is not None
        size = shape[1] if self.outputs_last else shape[0]
        self.vector = nn.Parameter(torch.randn(size), requires_grad=False)

    def forward(self):
        with torch.autocast(self.kernel.device.type, enabled=False):
            matrix = self.kernel if self.outputs_last else self.kernel.flatten(1).t()
            with torch.no_grad():
                if self.training:
                    vector = matrix.t().mv(matrix.mv(self.vector))
                    self.vector.copy_(vector / vector.norm().clamp_min(1e-6))
                right = F.normalize(self.vector, dim=0)
                left = F.normalize(matrix.mv(right), dim=0)
            return self.kernel / left.dot(matrix.mv(right))


class Discriminator(nn.Module):
    of_batch = True  # in so far as every pass takes a step of the power iteration

    def __init__(self, side=28, width=64, channels=1, num_classes=10):
        super().__init__()
        base = 7 if side % 7 == 0 else 4
        layers = []
        for stage in range((side // base).bit_length() - 1):
            filters = width << stage
            layers += [
                Spectral(filters, 4, 4, channels, bias=filters),
                Spectral(filters, 3, 3, filters, bias=filters),
            ]
            channels = filters
        self.convs = nn.ModuleList(layers)
        self.logits = Spectral(1, channels, bias=1)
        self.vectors = Spectral(num_classes, channels, inputs=num_classes)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        return [*self.logits.parameters(), *self.convs.parameters(), *self.vectors.parameters()]

    def forward(self, images, labels):
        x = images
        for k, layer in enumerate(self.convs):
            stride = 2 if k % 2 == 0 else 1
            x = F.conv2d(x, layer().permute(0, 3, 1, 2), layer.bias, stride, 1)
            x = F.leaky_relu(x, 0.1)
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            features = x.sum((2, 3))
            vectors = F.embedding(labels, self.vectors())
            linear = F.linear(features, self.logits(), self.logits.bias)
            return linear + (features * vectors).sum(1, keepdim=True)
