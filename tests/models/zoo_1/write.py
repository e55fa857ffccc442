"""Tiny checkpoints as `zoo-1` (CHANGELOG.md) writes them, and where it goes from there.

They were written with a checkout of that commit on PYTHONPATH:

    python tests/models/zoo_1/write.py

`tests/models/test_zoo_1.py` restores them with the code of today.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SHAPE = (16, 16, 3)
BATCH = 8
# Every kind of state there is: moments, averages, dropout, spectral norms, ADA, path lengths.
MODELS = {
    "gan": ("GAN", {"width": 10, "latent_dim": 8}),
    "dcgan": (
        "DCGAN",
        {"width": 4, "latent_dim": 8, "r1_gamma": 1.0, "r1_interval": 2, "augment": "DiffAugment"},
    ),
    "wgan-gp": ("WGANGP", {"width": 4, "latent_dim": 8, "critic_steps": 2}),
    "cgan": ("ConditionalGAN", {"width": 4, "latent_dim": 8, "num_classes": 3}),
    "stylegan-lite": (
        "StyleGANLite",
        {
            "width": 4,
            "max_channels": 8,
            "latent_dim": 8,
            "num_classes": 3,
            "path_length_weight": 2.0,
            "augment": "AdaptiveAugment",
        },
    ),
}


def build(name: str):
    """The compiled model of a name, untrained; it runs eagerly, which spares the tracing."""
    import kgan

    kind, arguments = MODELS[name]
    model = getattr(kgan.models, kind)(image_shape=SHAPE, ema_half_life=30, **arguments)
    model.compile(run_eagerly=True)
    return model


def train(model, first: int, last: int) -> None:
    """The steps `first` to `last` of a training."""
    for step in range(first, last):
        random = np.random.default_rng(step)
        images = random.integers(0, 256, (BATCH, *SHAPE), dtype="uint8")
        model.train_on_batch(images, random.integers(0, 3, BATCH) if model.num_classes else None)


def variables(model) -> list[np.ndarray]:
    """All values that training depends on, in an order of their own."""
    values = []
    for name in ("generator", "discriminator", "ema_generator", "augment"):
        values += [] if getattr(model, name) is None else getattr(model, name).weights
    for name in ("images_seen", "images_tested", "diverged", "w_mean", "path_length_mean"):
        values += [getattr(model, name)] if hasattr(model, name) else []
    values += [*model.g_optimizer.variables, *model.d_optimizer.variables]
    return [value.numpy() for value in values]


def digest(values: np.ndarray) -> str:
    """The SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def main() -> None:
    """Writes a checkpoint after two steps of each model, and the variables two steps later."""
    hashes = {}
    for name in MODELS:
        model = build(name)
        train(model, 0, 2)
        model.save_weights(HERE / f"{name}.weights.h5")
        hashes[name] = {"checkpoint": list(map(digest, variables(model)))}
        train(model, 2, 4)
        after = variables(model)
        np.savez_compressed(HERE / f"{name}-later.npz", *after)
    (HERE / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
