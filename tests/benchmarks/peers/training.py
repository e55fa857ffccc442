"""The training step of `kgan.models.GAN` in PyTorch: losses, lazy R1, Adam, moving average."""

import copy

import torch
from stylegan_lite import hold
from torch.nn import functional as F

EMA_RAMP = 0.05


class DiffAugment:
    """Translation and cutout of `kgan.augment.DiffAugment`, both as one choice of pixels."""

    def __init__(self, transforms=("translation", "cutout")):
        self.transforms = tuple(transforms)

    def __call__(self, images, draw):
        """`draw` makes uniform numbers in [0, 1) of a shape."""
        batch, channels, side, _ = images.shape
        random = draw((4, batch, 1))
        place = torch.arange(side, device=images.device)
        source, cut = place.expand(2, batch, side), None
        if "translation" in self.transforms:
            reach = max(1, round(side / 8))
            source = source - (random[:2] * (2 * reach + 1)).floor().long() + reach
        if "cutout" in self.transforms:
            length = round(side / 2)
            start = (random[2:] * (side + 1 - length % 2)).floor() - length // 2
            cut = (place >= start) & (place < start + length)  # (2, batch, side)
        inside = (source >= 0) & (source < side)
        kept = inside[0][:, :, None] & inside[1][:, None, :]  # (batch, side, side)
        if cut is not None:
            kept = kept & ~(cut[0][:, :, None] & cut[1][:, None, :])
        rows, columns = source.clamp(0, side - 1)
        index = (rows[:, :, None] * side + columns[:, None, :]).view(batch, side * side, 1)
        pixels = images.permute(0, 2, 3, 1).reshape(batch, side * side, channels)
        pixels = pixels.gather(1, index.expand(-1, -1, channels))
        pixels = pixels * kept.view(batch, side * side, 1)
        return pixels.view(batch, side, side, channels).permute(0, 3, 1, 2)


class Game:
    """A generator and a discriminator that train each other.

    Args:
        generator, discriminator: peers.
        fake: function that makes a batch of images in training, under gradient.
        augment: function of images, or None.
        rates: learning rate, β1, β2 and ε of Adam of G, and of D.
        share_fakes: whether both updates of a step see the same.
    """

    def __init__(
        self,
        generator,
        discriminator,
        fake,
        augment=None,
        r1_gamma=0.0,
        r1_interval=16,
        rates=((2.5e-3, 0.0, 0.99, 1e-8),) * 2,
        share_fakes=False,
        ema_half_life=10_000,
    ):
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.fake, self.augment = fake, augment or (lambda images: images)
        self.r1_gamma, self.r1_interval = r1_gamma, r1_interval
        self.share_fakes, self.ema_half_life = share_fakes, ema_half_life
        self.players = [hold(network) for network in (generator, discriminator)]
        device = self.players[0][0][0].device
        # Both rates and the share of the past in the average: a tensor, so that a graph of the step
        # can be replayed with other values.
        self.settings = torch.zeros(3, device=device)
        self.settings[:2] = torch.tensor([rate for rate, *_ in rates])
        self.optimizers = [
            torch.optim.Adam(
                weights,
                lr=self.settings[which] if device.type == "cuda" else rate,
                betas=(beta_1, beta_2),
                eps=epsilon,
                fused=True,
                capturable=device.type == "cuda",
            )
            for which, ((weights, _, _), (rate, beta_1, beta_2, epsilon)) in enumerate(
                zip(self.players, rates, strict=True)
            )
        ]

    def set_rates(self, *rates):
        """Learning rates of G and of D, where these are no `settings`."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def keep(self, seen, batch):
        """The share of the past in the moving average after `seen` images: for `settings[2]`."""
        half_life = min(self.ema_half_life, EMA_RAMP * seen)
        return 0.5 ** (batch / half_life) if half_life else 0.0

    def step(self, real, penalize):
        """One update of each network. Returns D's and G's loss and D's mean scores.

        Args:
            real: float tensor (batch, channels, height, width) in [-1, 1].
            penalize: whether R1 is due, as it is at the first and every `r1_interval`-th step.
        """
        if self.share_fakes:
            fakes = self.fake()
        else:
            with torch.no_grad():
                fakes = self.fake()
        # Nothing in D looks beyond a group of 4 images: both halves can go through it as one.
        images = self.augment(torch.cat([real, fakes.detach()]))
        real_logits, fake_logits = self.discriminator(images).float().chunk(2)
        d_loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
        loss = d_loss
        if penalize and self.r1_gamma:
            loss = loss + self.r1_interval * self.r1_gamma / 2 * self.r1(real).mean()
        self._update(1, loss)
        if not self.share_fakes:
            fakes = self.fake()
        # Of D's weights no gradient is asked for, and so none is computed.
        g_loss = F.softplus(-self.discriminator(self.augment(fakes)).float()).mean()
        self._update(0, g_loss)
        self._average()
        return d_loss, g_loss, real_logits.mean(), fake_logits.mean()

    def r1(self, real):
        real = real.detach().requires_grad_()
        logits = self.discriminator(self.augment(real)).float()
        (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        return gradient.square().sum((1, 2, 3))

    def _update(self, which, loss):
        weights, leaves, factors = self.players[which]
        gradients = torch._foreach_mul(torch.autograd.grad(loss, leaves), factors)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.contiguous()  # fused Adam goes by places in memory
        self.optimizers[which].step()
        with torch.no_grad():
            held = [i for i, leaf in enumerate(leaves) if leaf is not weights[i]]
            if held:
                products = torch._foreach_mul(
                    [weights[i] for i in held], [factors[i] for i in held]
                )
                torch._foreach_copy_([leaves[i] for i in held], products)

    @torch.no_grad()
    def _average(self):
        averages, weights = list(self.average.parameters()), list(self.generator.parameters())
        difference = torch._foreach_sub(averages, weights)
        torch._foreach_mul_(difference, self.settings[2])
        torch._foreach_add_(difference, weights)
        torch._foreach_copy_(averages, difference)


def mixed_styles(generator, batch, style_mixing, normal, uniform):
    """A w for every layer, in a share of images of two latents: `StyleGANLite.generate`."""
    if not style_mixing:
        return [generator.map(normal((batch, generator.latent_dim)))]
    count = generator.num_styles
    both = generator.map(normal((2 * batch, generator.latent_dim)))
    first, second = both.chunk(2)
    random = uniform((2, batch, 1))
    crossover = (1 + random[0] * (count - 1)).floor()
    crossover = torch.where(random[1] < style_mixing, crossover, float(count))
    return [torch.where(i >= crossover, second, first) for i in range(count)]
