"""That the peers are what kgan trains: the same pictures, scores, gradients and steps.

python tests/benchmarks/peers/check.py       # with torch beside kgan's own requirements
"""

import os
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import copying
import dcgan
import keras
import numpy as np
import stylegan_lite
import tensorflow as tf
import torch
import training

import kgan

BATCH = 8


def compare(what, ours, theirs, tolerance):
    """Prints by how much a peer's values differ from kgan's, as a share of their largest."""
    theirs = theirs.detach().numpy() if torch.is_tensor(theirs) else np.asarray(theirs)
    ours = np.asarray(ours)
    error = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    print(f"  {what}: {error:.1e}")
    assert error < tolerance, what


def last(images):
    """Channels last."""
    return images.permute(0, 2, 3, 1)


def first(images):
    return torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2)


def check(model, generator, discriminator, sgd):
    """Prints the differences of a kgan model, not compiled, and its peers.

    Args:
        model, generator, discriminator: of the same sizes.
        sgd: whether the steps are plain ones, whose results are the same to the last digits. Under
            Adam a weight whose gradient is next to nothing goes by its sign, and PyTorch counts ε
            in another place: pictures part after some steps.
    """
    name = type(model).__name__
    print(name, "by SGD" if sgd else "by Adam")
    rate = 1e-3 if sgd else 2.5e-4
    numbers = (rate, 0.0, 0.99, 1e-8)
    kind = partial(keras.optimizers.SGD, rate) if sgd else partial(keras.optimizers.Adam, *numbers)
    model.compile(kind(), kind())
    tolerance = 1e-6 if sgd else 1e-3
    rng = np.random.default_rng(0)
    for network in (model.generator, model.discriminator):
        for weight in network.weights:  # also those that begin at 0
            if not weight.path.endswith("moving_variance"):
                weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    model.reset_ema()
    generator, discriminator = generator.double(), discriminator.double()
    copying.to_peer(model.generator, generator)
    copying.to_peer(model.discriminator, discriminator)
    side = model.image_shape[0]
    real = rng.integers(0, 256, (5, BATCH, side, side, 3), dtype="uint8")
    latents = rng.normal(size=(10, BATCH, model.latent_dim))

    with torch.no_grad():
        z = torch.from_numpy(latents[0])
        compare("pictures", model.generator(latents[0]), last(generator.eval()(z)), 1e-6)
        floats = real[0] / 127.5 - 1.0
        ours = model.discriminate(tf.constant(floats))
        compare("scores", ours, discriminator(first(floats)), 1e-6)

    # Steps with the same latents; noise is the stored one in both.
    counter = {"kgan": iter(latents), "peer": iter(latents)}
    training_mode = name == "DCGAN"
    generator.train(training_mode)
    model.generate = lambda labels, draws: model.generator(
        tf.constant(next(counter["kgan"])), training=training_mode
    )
    game = training.Game(
        generator,
        discriminator,
        lambda: generator(torch.from_numpy(next(counter["peer"]))),
        r1_gamma=model.r1_gamma,
        r1_interval=model.r1_interval,
        ema_half_life=model.ema_half_life,
        share_fakes=model.share_fakes,
        rates=(numbers, numbers),
    )
    if sgd:
        game.optimizers = [torch.optim.SGD(weights, rate) for weights, _, _ in game.players]
    game.settings = game.settings.double()
    for k in range(3):
        for metric in model.metrics:
            metric.reset_state()
        logs = model.train_step(tf.constant(real[k]))
        game.settings[2] = game.keep(k * BATCH, BATCH)
        images = first(real[k] / 127.5 - 1.0)
        losses = game.step(images, penalize=k % model.r1_interval == 0)
        names = ("d_loss", "g_loss", "real_score")
        for what, loss in zip(names, losses, strict=False):
            compare(f"step {k}, {what}", logs[what], loss, tolerance)
    trained = (("G", model.generator, generator), ("D", model.discriminator, discriminator))
    for what, network, peer in trained if sgd else ():
        for weight, parameter in zip(
            copying.in_order(network.weights), peer.weights(), strict=True
        ):
            value = np.transpose(weight.numpy(), copying.axes(parameter))
            error = np.abs(value - parameter.detach().numpy()).max() / np.abs(value).max()
            assert error < (1e-2 if "variance" in weight.path else 1e-6), (weight.path, error)
        print(f"  weights of {what}: the same")
    images = model.ema_generator(latents[0])
    compare("the average's pictures", images, last(game.average(z)), 1e-2)
    copying.from_peer(generator, model.generator, [p.numpy() for p in game.average.weights()])
    compare("brought back", model.generator(latents[0]), last(game.average(z)), 1e-6)


def main() -> None:
    """Checks both."""
    keras.config.set_floatx("float64")
    shape = (16, 16, 3)
    for sgd in (True, False):
        model = kgan.models.StyleGANLite(
            shape,
            width=8,
            max_channels=24,
            latent_dim=16,
            mapping_layers=2,
            style_mixing=0.0,
            r1_gamma=0.1,
            r1_interval=2,
            discriminator_width=12,
            ema_half_life=100,
        )
        generator = stylegan_lite.Generator(16, 16, 8, 24, 2)
        check(model, generator, stylegan_lite.Discriminator(16, 12, 36), sgd)
        model = kgan.models.DCGAN(
            shape, width=8, latent_dim=16, r1_gamma=0.5, r1_interval=2, initializer="he"
        )
        check(model, dcgan.Generator(16, 16, 8), dcgan.Discriminator(16, 8), sgd)


if __name__ == "__main__":
    main()
