"""The peers by the names of kgan's models, as they train by default."""

from collections.abc import Callable
from typing import Any

import conditional_gan
import dcgan
import numpy as np
import stylegan_lite
import torch
import training

LATENT_DIM = 128
ADAM = {"dcgan": (2e-4, 0.5, 0.999), "wgan-gp": (1e-4, 0.0, 0.9), "cgan": (2e-4, 0.0, 0.9)}
NAMES = (*ADAM, "stylegan-lite")


def networks(name: str, side: int, channels: int, width: int) -> tuple[Any, Any]:
    """Generator and discriminator of the class with that command."""
    if name == "stylegan-lite":
        generator = stylegan_lite.Generator(side, LATENT_DIM, width, merged=False)
        return generator, stylegan_lite.Discriminator(side, width, merged=False)
    if name == "cgan":
        generator = conditional_gan.Generator(side, LATENT_DIM, width, channels)
        return generator, conditional_gan.Discriminator(side, width, channels)
    generator = dcgan.Generator(side, LATENT_DIM, width, channels)
    init = {"dcgan": "dcgan", "wgan-gp": "he"}[name]
    return generator, dcgan.Discriminator(side, width, init, channels, normalized=name == "dcgan")


def game(
    name: str, side: int, channels: int, width: int, batch: int, bfloat16: bool, compiled: bool
) -> training.Game:
    """A game that draws its own latents, labels, styles and noise."""
    generator, discriminator = networks(name, side, channels, width)
    generator.train()
    discriminator.train()
    shared: dict[str, Any] = {
        "autocast": torch.bfloat16 if bfloat16 else None,
        "compiled": compiled,
        "share_fakes": name == "dcgan",
    }
    made = torch.compile(generator) if compiled else generator
    if name == "stylegan-lite":
        rates = [(2.5e-3 * k, 0.0, 0.99**k, 1e-8) for k in (1.0, 16 / 17)]
        synthesize = torch.compile(generator.synthesize) if compiled else generator.synthesize

        def styled():
            styles = training.mixed_styles(generator, batch, 0.9, torch.randn, torch.rand)
            return synthesize(styles, generator.noise_of(batch, torch.randn))

        return training.Game(
            generator,
            discriminator,
            styled,
            r1_gamma=0.0002 * side**2 / 64,
            rates=rates,
            ema_half_life=20_000,
            **shared,
        )
    critic_steps = 5 if name == "wgan-gp" else 1
    size = batch // critic_steps

    def fake():
        latents = torch.randn(size, LATENT_DIM)
        if name != "cgan":
            return made(latents)
        labels = torch.randint(discriminator.vectors.kernel.shape[0], (size,))
        return made(latents, labels), labels

    return training.Game(
        generator,
        discriminator,
        fake,
        loss={"wgan-gp": "wasserstein", "cgan": "hinge"}.get(name, "non_saturating"),
        mix=torch.rand if name == "wgan-gp" else None,
        critic_steps=critic_steps,
        rates=((*ADAM[name], 1e-7),) * 2,
        **shared,
    )


def trained(game: training.Game, images: np.ndarray, batch: int) -> Callable[[int], None]:
    """A function of a number of steps, which trains on uint8 images, channels last."""
    pictures = torch.from_numpy(images)
    labelled = hasattr(game.discriminator, "vectors")
    seen = 0

    def train(steps: int) -> None:
        nonlocal seen
        for _ in range(steps):
            chosen = pictures[torch.randint(len(pictures), (batch,))]
            real = chosen.permute(0, 3, 1, 2).float() / 127.5 - 1.0  # channels_last
            game.settings[2] = game.keep(seen, batch)
            labels = (torch.randint(10, (batch,)),) if labelled else ()
            game.step((real, *labels), penalize=(seen // batch) % game.r1_interval == 0)
            seen += batch

    return train
