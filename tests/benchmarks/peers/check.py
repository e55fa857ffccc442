"""That the peers are what kgan trains: the same pictures, scores, gradients and steps.

python tests/benchmarks/peers/check.py       # with torch beside kgan's own requirements
"""

import os
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import conditional_gan
import copying
import dcgan
import keras
import numpy as np
import stylegan_lite
import tensorflow as tf
import torch
import training

import kgan
from kgan.models.base.latent import with_labels

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


def check(model, generator, discriminator, sgd, **rules):
    """Prints the differences of a kgan model, not compiled, and its peers.

    Args:
        model, generator, discriminator: of the same sizes.
        sgd: whether the steps are plain ones, whose results are the same to the last digits. Under
            Adam a weight whose gradient is next to nothing goes by its sign, and PyTorch counts ε
            in another place: pictures part after some steps.
        **rules: of `training.Game`.
    """
    name = type(model).__name__
    print(name, model.image_shape, "by SGD" if sgd else "by Adam")
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
    critic_steps = rules.get("critic_steps", 1)
    real = rng.integers(0, 256, (3, critic_steps * BATCH, *model.image_shape), dtype="uint8")
    latents = rng.normal(size=(20, BATCH, model.latent_dim))
    mixes = rng.uniform(size=(20, BATCH))
    classes = rng.integers(0, model.num_classes or 1, (20, BATCH))
    labelled = model.num_classes is not None
    told = [torch.from_numpy(classes[0])] if labelled else []

    with torch.no_grad():
        z = torch.from_numpy(latents[0])
        ours = model.generator([latents[0], classes[0]] if labelled else latents[0])
        compare("pictures", ours, last(generator.eval()(z, *told)), 1e-6)
        floats = real[0, :BATCH] / 127.5 - 1.0
        ours = model.discriminate(
            tf.constant(floats), tf.constant(classes[0]) if labelled else None
        )
        compare("scores", ours, discriminator.eval()(first(floats), *told), 1e-6)

    # Steps with the same latents and classes; noise is the stored one in both.
    training_mode = name != "StyleGANLite"
    generator.train(training_mode)
    discriminator.train()
    given = iter(zip(latents, classes, strict=True))

    def forge():
        z, labels = map(torch.from_numpy, next(given))
        return (generator(z, labels), labels) if labelled else generator(z)

    at = {"latents": iter(latents), "classes": iter(classes), "mixes": iter(mixes)}
    generate_batch = model.generate_batch
    model.generate_batch = lambda draws: generate_batch(
        draws, tf.constant(next(at["classes"])) if labelled else None
    )
    model.generate = lambda labels, draws: model.generator(
        with_labels(tf.constant(next(at["latents"])), labels), training=training_mode
    )
    if "mix" in rules:
        theirs = iter(mixes)
        rules["mix"] = lambda number: torch.from_numpy(next(theirs))
        model.penalty = lambda real, fakes, draws: kgan.losses.gradient_penalty(
            lambda x: model.discriminate(x, None, draws),
            real.images,
            tf.stop_gradient(fakes.images),
            tf.constant(next(at["mixes"])[:, None, None, None]),
        )
    game = training.Game(
        generator,
        discriminator,
        forge,
        loss=model.loss_name,
        r1_gamma=model.r1_gamma,
        r1_interval=model.r1_interval,
        ema_half_life=model.ema_half_life,
        share_fakes=model.share_fakes and critic_steps == 1,
        rates=(numbers, numbers),
        **rules,
    )
    if sgd:
        game.optimizers = [torch.optim.SGD(weights, rate) for weights, _, _ in game.players]
    game.settings = game.settings.double()
    for k in range(len(real)):
        for metric in model.metrics:
            metric.reset_state()
        labels = np.resize(classes[-1], len(real[k]))
        logs = model.train_step((tf.constant(real[k]), tf.constant(labels)))
        game.settings[2] = game.keep(k * len(real[k]), len(real[k]))
        images = first(real[k] / 127.5 - 1.0)
        pictures = (images, torch.from_numpy(labels)) if labelled else images
        losses = game.step(pictures, penalize=k % model.r1_interval == 0)
        names = ("d_loss", "g_loss", "real_score")
        for what, loss in zip(names, losses, strict=False) if critic_steps == 1 else ():
            compare(f"step {k}, {what}", logs[what], loss, tolerance)
    trained = (("G", model.generator, generator), ("D", model.discriminator, discriminator))
    for what, network, peer in trained if sgd else ():
        for weight, parameter in zip(
            copying.in_order(network.weights), peer.weights(), strict=True
        ):
            value = np.transpose(weight.numpy(), copying.axes(parameter))
            error = np.abs(value - parameter.detach().numpy()).max() / np.abs(value).max()
            assert error < (1e-1 if "variance" in weight.path else 1e-6), (weight.path, error)
        print(f"  weights of {what}: the same")
    ours = model.ema_generator([latents[0], classes[0]] if labelled else latents[0])
    compare("the average's pictures", ours, last(game.average(z, *told)), 1e-2)
    copying.from_peer(generator, model.generator, [p.numpy() for p in game.average.weights()])
    ours = model.generator([latents[0], classes[0]] if labelled else latents[0])
    compare("brought back", ours, last(game.average(z, *told)), 1e-6)


def cases():
    """Models of kgan, their peers and the rules of their games."""
    small = {"width": 8, "latent_dim": 16}
    for merged in (False, True):
        styled = kgan.models.StyleGANLite(
            (16, 16, 3),
            **small,
            max_channels=24,
            mapping_layers=2,
            style_mixing=0.0,
            r1_gamma=0.1,
            r1_interval=2,
            discriminator_width=12,
            ema_half_life=100,
        )
        generator = stylegan_lite.Generator(16, 16, 8, 24, 2, merged)
        yield styled, generator, stylegan_lite.Discriminator(16, 12, 36, merged), {}
    penalised = kgan.models.DCGAN(
        (16, 16, 3), **small, r1_gamma=0.5, r1_interval=2, initializer="he"
    )
    yield penalised, dcgan.Generator(16, 16, 8), dcgan.Discriminator(16, 8), {}
    for side, channels in ((16, 3), (28, 1)):
        model = kgan.models.DCGAN((side, side, channels), **small)
        discriminator = dcgan.Discriminator(side, 8, channels=channels, normalized=True)
        yield model, dcgan.Generator(side, 16, 8, channels), discriminator, {}
    critic = kgan.models.WGANGP((28, 28, 1), **small)
    rules = {"critic_steps": 5, "mix": None}
    yield critic, dcgan.Generator(28, 16, 8, 1), dcgan.Discriminator(28, 8, channels=1), rules
    told = kgan.models.ConditionalGAN((28, 28, 1), **small)
    generator = conditional_gan.Generator(28, 16, 8)
    yield told, generator, conditional_gan.Discriminator(28, 8), {}


def main() -> None:
    """Checks all."""
    keras.config.set_floatx("float64")
    for sgd in (True, False):
        for model, generator, discriminator, rules in cases():
            check(model, generator, discriminator, sgd, **rules)


if __name__ == "__main__":
    main()
