"""The training steps of kgan's models in PyTorch: losses, penalties, Adam, moving average."""

import copy

import torch
from stylegan_lite import hold
from torch.nn import functional as F

EMA_RAMP = 0.05
LOSSES = {  # of D by scores of real and of fake images, and of G
    "non_saturating": (
        lambda real, fake: F.softplus(-real) + F.softplus(fake),
        lambda fake: F.softplus(-fake),
    ),
    "hinge": (lambda real, fake: F.relu(1 - real) + F.relu(1 + fake), torch.neg),
    "wasserstein": (lambda real, fake: fake - real, torch.neg),
}


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
        fake: function that makes a batch of images in training, under gradient; or (images,
            labels), which the discriminator takes.
        augment: function of images, or None.
        loss: a name in `LOSSES`.
        r1_gamma, r1_interval: of R1, computed by `step(penalize=True)`.
        mix: function of a number that draws as many values in [0, 1], for the gradient penalty of
            WGAN-GP; None for none.
        critic_steps: updates of D for one of G, each on its part of the batch.
        rates: learning rate, β1, β2 and ε of Adam of G, and of D.
        share_fakes: whether both updates of a step see the same.
        ema_half_life: in images; None for no average.
        autocast: dtype of convolutions and products, None for that of the weights.
        compiled: whether `torch.compile` makes the networks, but where it cannot: it knows no
            second order.
    """

    def __init__(
        self,
        generator,
        discriminator,
        fake,
        augment=None,
        loss="non_saturating",
        r1_gamma=0.0,
        r1_interval=16,
        mix=None,
        critic_steps=1,
        rates=((2.5e-3, 0.0, 0.99, 1e-8),) * 2,
        share_fakes=False,
        ema_half_life=10_000,
        autocast=None,
        compiled=False,
    ):
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.fake, self.augment = fake, augment or (lambda images: images)
        self.d_loss, self.g_loss = LOSSES[loss]
        self.r1_gamma, self.r1_interval, self.mix = r1_gamma, r1_interval, mix
        self.critic_steps, self.share_fakes = critic_steps, share_fakes
        self.ema_half_life, self.autocast = ema_half_life, autocast
        self.players = [hold(network) for network in (generator, discriminator)]
        self.judge = torch.compile(discriminator) if compiled else discriminator
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

    def step(self, real, penalize=False):
        """The updates of D, and one of G. Returns D's and G's loss and D's mean scores.

        Args:
            real: float tensor (batch, channels, height, width) in [-1, 1], or (images, labels).
            penalize: whether R1 is due, as it is at the first and every `r1_interval`-th step.
        """
        for index in range(self.critic_steps):
            part = tuple(x[index :: self.critic_steps] for x in _both(real))
            d_loss, real_logits, fake_logits, fakes = self._critic_step(part, penalize)
        # Of D's weights no gradient is asked for, and so none is computed.
        for leaf in self.players[1][1]:
            leaf.requires_grad_(False)
        with self._precision():
            if not self.share_fakes:
                fakes = self._fakes()
            g_loss = self.g_loss(self._logits(*fakes)).mean()
        self._update(0, g_loss)
        for leaf in self.players[1][1]:
            leaf.requires_grad_(True)
        if self.ema_half_life is not None:
            self._average()
        return d_loss, g_loss, real_logits.mean(), fake_logits.mean()

    def _critic_step(self, real, penalize):
        with self._precision():
            with torch.set_grad_enabled(self.share_fakes):
                fakes = self._fakes()
            detached = (fakes[0].detach(), *fakes[1:])
            if self.discriminator.of_batch:
                real_logits, fake_logits = self._logits(*real), self._logits(*detached)
            else:  # both halves can go through it as one
                both = (torch.cat(halves) for halves in zip(real, detached, strict=True))
                real_logits, fake_logits = self._logits(*both).chunk(2)
            d_loss = self.d_loss(real_logits, fake_logits).mean()
            loss = d_loss
            if penalize and self.r1_gamma:
                loss = (
                    loss
                    + self.r1_interval * self.r1_gamma / 2 * self.squared_gradient(*real).mean()
                )
            if self.mix is not None:
                mix = self.mix(len(real[0]))[:, None, None, None]
                between = detached[0] + mix * (real[0] - detached[0])
                lengths = self.squared_gradient(between, *real[1:]).clamp_min(1e-12).sqrt()
                loss = loss + 10.0 * (lengths - 1).square().mean()
        self._update(1, loss)
        return d_loss, real_logits, fake_logits, fakes

    def squared_gradient(self, images, *labels):
        images = images.detach().requires_grad_()
        logits = _full(self.discriminator(self.augment(images), *labels))
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return gradient.square().sum((1, 2, 3))

    def _logits(self, images, *labels):
        return _full(self.judge(self.augment(images), *labels))

    def _fakes(self):
        return _both(self.fake())

    def _precision(self):
        kind = self.players[0][0][0].device.type
        return torch.autocast(kind, self.autocast, enabled=self.autocast is not None)

    def _update(self, which, loss):
        weights, leaves, factors = self.players[which]
        gradients = list(torch.autograd.grad(loss, leaves))
        held = [i for i, leaf in enumerate(leaves) if leaf is not weights[i]]
        if held:
            scaled = torch._foreach_mul([gradients[i] for i in held], [factors[i] for i in held])
            for i, gradient in zip(held, scaled, strict=True):
                gradients[i] = gradient
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.contiguous()  # fused Adam goes by places in memory
        self.optimizers[which].step()
        if held:
            with torch.no_grad():
                products = torch._foreach_mul(
                    [weights[i] for i in held], [factors[i] for i in held]
                )
                torch._foreach_copy_([leaves[i] for i in held], products)

    @torch.no_grad()
    def _average(self):
        averages, weights = list(self.average.parameters()), list(self.generator.parameters())
        keep = self.settings[2]
        if keep.device.type == "cpu":
            torch._foreach_lerp_(averages, weights, 1 - float(keep))
            return
        difference = torch._foreach_sub(averages, weights)  # by a tensor, which a graph reads
        torch._foreach_mul_(difference, keep)
        torch._foreach_add_(difference, weights)
        torch._foreach_copy_(averages, difference)


def _both(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def _full(logits):
    """Losses need full precision."""
    return logits if logits.dtype == torch.float64 else logits.float()


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
