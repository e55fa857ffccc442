"""`kgan.models.StyleGANLite` in PyTorch: with the same weights it gives the same pictures.

Gains of activations and sums are in the weights before them; the constants that weights are
multiplied by can be applied to all of them at once (`hold`). With `merged`, for a GPU that small
kernels keep busy with their launching, what kgan computes as a resampling and a convolution is one
convolution, by a kernel that has the resampling's taps in it, of up to four times the work. Images
and features are (batch, channels, height, width) in `channels_last` memory.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

GAIN = math.sqrt(2.0)  # of leaky_relu
HALF = math.sqrt(0.5)  # of a residual sum
_TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8.0


def spread(size: int, gain: float) -> torch.Tensor:
    """Matrix that turns a flat kernel (size²) into itself after the filter [1, 3, 3, 1]."""
    line = torch.zeros(size + 3, size, dtype=torch.float64)
    for i in range(size):
        line[i : i + 4, i] = _TAPS
    return gain * torch.kron(line, line)  # ((size + 3)², size²)


def blur_taps(channels: int, gain: float) -> torch.Tensor:
    """[1, 3, 3, 1] along both axes, of each channel by itself."""
    return (gain * torch.outer(_TAPS, _TAPS)).float().expand(channels, 1, 4, 4).clone()


def activate(x):
    return F.leaky_relu(x, 0.2)


class Scaled(nn.Module):
    """A layer whose weights are multiplied by constants, `gains` by name, when they are used."""

    def __init__(self, **gains):
        super().__init__()
        self.gains, self.held = gains, {}

    def weight(self, name):
        return self.held[name] if name in self.held else getattr(self, name) * self.gains[name]


def hold(network):
    """Makes layers use the products that are given to them instead of multiplying themselves.

    Returns:
        All trainable weights, a leaf of the graph in place of each, and their factors.
    """
    weights, leaves, factors = [], [], []
    for layer in network.modules():
        for name, weight in layer.named_parameters(recurse=False):
            if not weight.requires_grad:
                continue
            gain = getattr(layer, "gains", {}).get(name)
            leaf = weight
            if gain is not None:
                leaf = layer.held[name] = (weight.detach() * gain).requires_grad_()
            weights.append(weight)
            leaves.append(leaf)
            factors.append(1.0 if gain is None else gain)
    return weights, leaves, factors


class Dense(Scaled):
    """`EqualizedDense`; with `activation` also the one that follows."""

    def __init__(self, inputs, outputs, activation=False, multiplier=1.0, bias=0.0):
        gain = GAIN if activation else 1.0
        super().__init__(bias=gain, kernel=gain * multiplier / math.sqrt(inputs))
        self.activation = activation
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.kernel = nn.Parameter(torch.randn(outputs, inputs) / multiplier)

    def forward(self, x):
        x = torch.addmm(self.weight("bias"), x, self.weight("kernel").t())
        return activate(x) if self.activation else x


def make_kernel(outer, side, inner, axes):
    """(outer, side, side, inner), which is what `channels_last` calls contiguous."""
    kernel = nn.Parameter(torch.randn(outer, side, side, inner))
    kernel.axes = axes  # of kgan's kernel (side, side, inputs, outputs)
    return kernel


def spread_kernel(matrix, kernel):
    outer, side, _, inner = kernel.shape
    flat = torch.matmul(matrix, kernel.reshape(outer, side * side, inner))
    return flat.reshape(outer, side + 3, side + 3, inner).permute(0, 3, 1, 2)


class Conv(Scaled):
    """`EqualizedConv2D`, after `Blur2D` or `Downsample2D` and of stride 2 if `down`.

    `scale` is the constant that follows the activation.
    """

    def __init__(
        self, inputs, outputs, side=3, down=False, activation=True, scale=1.0, merged=True
    ):
        gain = scale * (GAIN if activation else 1.0)
        super().__init__(bias=gain)
        self.down, self.activation, self.merged = down, activation, merged
        self.padding = (side // 2) if not down else (2 if side == 3 else 1)
        if activation:
            self.bias = nn.Parameter(torch.zeros(outputs))
        self.kernel = make_kernel(outputs, side, inputs, (3, 0, 1, 2))
        gain /= math.sqrt(side * side * inputs)
        if down and merged:
            self.register_buffer("spread", spread(side, gain).float(), persistent=False)
            return
        self.gains["kernel"] = gain
        if down:
            self.register_buffer("taps", blur_taps(inputs, 1.0), persistent=False)

    def forward(self, x):
        bias = self.weight("bias") if self.activation else None
        if self.down and self.merged:
            x = F.conv2d(x, spread_kernel(self.spread, self.kernel), bias, 2, self.padding)
            return activate(x) if self.activation else x
        kernel, strides, padding = self.weight("kernel").permute(0, 3, 1, 2), 1, self.padding
        if self.down:  # to every second pixel at once before a kernel of side 1
            strides, padding = (2 if kernel.shape[2] == 3 else 1), 0
            x = F.conv2d(x, self.taps, None, 3 - strides, self.padding, groups=x.shape[1])
        x = F.conv2d(x, kernel, bias, strides, padding)
        return activate(x) if self.activation else x


class ModulatedConv(Scaled):
    """`ModulatedConv2D` on styles; if not `rgb` also what follows, noise and activation.

    The squared norms of demodulation are halved, which is the activation's gain.
    """

    def __init__(self, latent_dim, inputs, outputs, side, up=False, rgb=False, merged=True):
        super().__init__(bias=1.0 if rgb else GAIN)
        self.up, self.rgb, self.merged = up, rgb, merged
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = Dense(latent_dim, inputs, bias=1.0)
        gain = 1 / math.sqrt(side * side * inputs)
        if up:
            self.kernel = make_kernel(inputs, side, outputs, (2, 0, 1, 3))
        else:
            self.kernel = make_kernel(outputs, side, inputs, (3, 0, 1, 2))
        if up and merged:
            self.register_buffer("spread", spread(side, 4.0 * gain).float(), persistent=False)
        else:
            self.gains["kernel"] = gain
        if up and not merged:
            self.register_buffer("taps", blur_taps(outputs, 4.0), persistent=False)
        self.register_buffer("epsilon", torch.full((1, 1), 0.5e-8), persistent=False)
        self.half = 0.5 * (gain**2 if up and merged else 1.0)

    def forward(self, x, styles, squares, noise=None):
        x = x * styles[:, :, None, None]  # styles, and their squares, are (batch, inputs)
        if self.up and self.merged:
            x = F.conv_transpose2d(x, spread_kernel(self.spread, self.kernel), None, 2, 2)
            norms = self.kernel.square().sum((1, 2))  # (inputs, outputs)
        elif self.up:
            kernel = self.weight("kernel")
            x = F.conv_transpose2d(x, kernel.permute(0, 3, 1, 2), None, 2)
            x = F.conv2d(x, self.taps, None, 1, 1, groups=x.shape[1])
            norms = kernel.square().sum((1, 2))
        else:
            kernel = self.weight("kernel")
            if self.rgb:
                return F.conv2d(x, kernel.permute(0, 3, 1, 2), self.weight("bias"))
            x = F.conv2d(x, kernel.permute(0, 3, 1, 2), None, 1, 1)
            norms = kernel.square().sum((1, 2)).t()
        scale = torch.rsqrt(torch.addmm(self.epsilon, squares, norms, alpha=self.half))
        x = torch.addcmul(noise, x, scale[:, :, None, None])
        return activate(x + self.weight("bias")[:, None, None])


class Noise(Scaled):
    """`NoiseInjection`: what it adds, already times the gain of the activation."""

    def __init__(self, side):
        super().__init__(strength=GAIN)
        self.constant = nn.Parameter(torch.randn(1, side, side), requires_grad=False)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, noise=None):
        return (self.constant[None] if noise is None else noise) * self.weight("strength")


def channels(side, image_side, width, most):
    return min(most, width * image_side // side)


class Generator(nn.Module):
    def __init__(
        self,
        side=64,
        latent_dim=128,
        width=16,
        max_channels=128,
        mapping_layers=4,
        merged=True,
    ):
        super().__init__()
        self.latent_dim = latent_dim
        self.sides = [4 << i for i in range(int(math.log2(side)) - 1)]
        self.num_styles = 2 * len(self.sides)
        self.mapping = nn.ModuleList(
            Dense(latent_dim, latent_dim, True, 0.01) for _ in range(mapping_layers)
        )
        at = {s: channels(s, side, width, max_channels) for s in self.sides}
        self.constant = nn.Parameter(torch.randn(1, at[4], 4, 4))
        self.constant.axes = (0, 3, 1, 2)
        convs, noises = [], []
        self.style_of = []  # of each convolution; one for RGB shares that of the next one
        for below, here in zip([None, *self.sides], self.sides, strict=False):
            if below is not None:
                convs.append(
                    ModulatedConv(latent_dim, at[below], at[here], 3, up=True, merged=merged)
                )
                noises.append(Noise(here))
                self.style_of.append(self.style_of[-1])
            convs.append(ModulatedConv(latent_dim, at[here], at[here], 3))
            noises.append(Noise(here))
            convs.append(ModulatedConv(latent_dim, at[here], 3, 1, rgb=True))
            last = self.style_of[-1] if self.style_of else -1
            self.style_of += [last + 1, last + 2]
        self.convs, self.noises = nn.ModuleList(convs), nn.ModuleList(noises)
        self.register_buffer("taps", blur_taps(3, 4.0), persistent=False)  # of the RGB images

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        layers = (self.mapping, self.convs, self.noises)
        mapping, convs, noises = (list(layer.parameters()) for layer in layers)
        return [*mapping, self.constant, *convs, *noises]

    def map(self, latents):
        x = latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            x = layer(x)
        return x

    def noise_of(self, batch, draw):
        """Noise of a training step for every layer; `draw` makes normal numbers of a shape."""
        shapes = [(batch, 1, *noise.constant.shape[1:]) for noise in self.noises]
        flat = draw((sum(map(math.prod, shapes)),)).split([math.prod(s) for s in shapes])
        return [part.view(shape) for part, shape in zip(flat, shapes, strict=True)]

    def _affine(self, styles):
        """What the affine maps of all convolutions make of w, and its squares."""
        layers = [conv.affine for conv in self.convs]
        if len(styles) == 1:
            biases, kernels = (
                torch.cat([layer.weight(name) for layer in layers]) for name in ("bias", "kernel")
            )
            scales = torch.addmm(biases, styles[0], kernels.t())
        else:
            scales = torch.cat(
                [layer(styles[i]) for layer, i in zip(layers, self.style_of, strict=True)], 1
            )
        sizes = [len(layer.bias) for layer in layers]
        return zip(scales.split(sizes, 1), scales.square().split(sizes, 1), strict=True)

    def synthesize(self, styles, noise=None):
        """Images of `styles`: one w (batch, latent_dim) for every layer, or one for all."""
        noise = iter(noise or [None] * len(self.noises))
        convs, noises, scales = iter(self.convs), iter(self.noises), self._affine(styles)
        x = self.constant.expand(len(styles[0]), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        images = None
        for side in self.sides:
            if side > 4:
                images = F.conv_transpose2d(images, self.taps, None, 2, 1, groups=3)
                x = next(convs)(x, *next(scales), next(noises)(next(noise)))
            x = next(convs)(x, *next(scales), next(noises)(next(noise)))
            rgb = next(convs)(x, *next(scales))
            images = rgb if images is None else images + rgb
        return images

    def forward(self, latents, noise=None):
        return self.synthesize([self.map(latents)], noise)


class Discriminator(nn.Module):
    of_batch = False  # a score depends on no others than the 4 of its group

    def __init__(self, side=64, width=16, max_channels=128, merged=True):
        super().__init__()
        sides = [side >> k for k in range(int(math.log2(side)) - 1)]
        at = [channels(s, side, width, max_channels) for s in sides]
        convs = [Conv(3, at[0], 1)]
        for above, below in zip(at, at[1:], strict=False):
            convs += [
                Conv(above, below, 1, down=True, activation=False, scale=HALF, merged=merged),
                Conv(above, above),
                Conv(above, below, down=True, scale=HALF, merged=merged),
            ]
        convs.append(Conv(at[-1] + 1, at[-1]))
        self.convs = nn.ModuleList(convs)
        self.dense = Dense(16 * at[-1], at[-1], True)
        self.logits = Dense(at[-1], 1)

    def weights(self):
        """All of them, in the order of `copying.in_order`."""
        return list(self.parameters())

    def forward(self, images):
        first, *blocks, last = self.convs
        x = first(images)
        for skip, one, two in zip(blocks[::3], blocks[1::3], blocks[2::3], strict=True):
            x = skip(x) + two(one(x))
        x = last(torch.cat([x, deviation(x)], 1))
        x = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # as kgan has its features
        return self.logits(self.dense(x))


def deviation(x, group=4):
    """The channel of `MinibatchStddev` for a batch that groups divide."""
    batch, _, height, width = x.shape
    groups = x.permute(0, 2, 3, 1).reshape(batch // group, group, -1)
    variance = groups.var(1, unbiased=False)
    mean = torch.sqrt(variance + 1e-8).mean(1)  # (groups,)
    return mean.repeat_interleave(group)[:, None, None, None].expand(batch, 1, height, width)
