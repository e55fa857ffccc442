"""Images a second of `fit` against a bare `tf.function` loop that does the same work.

Both train the same networks with the same algorithm, optimizers, moving average and augmentation,
on the same uint8 batches; they take turns, so that a busy machine slows both. Run it alone:

    python tests/benchmarks/throughput.py --side 64 --width 40
    python tests/benchmarks/throughput.py --side 28 --width 64 --no-augment
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kgan


def bare_loop(model, batch_size):
    """The least code that trains these two networks: DCGAN with an averaged generator."""
    generator, discriminator = model.generator, model.discriminator
    average = keras.models.clone_model(generator)
    average.set_weights(generator.get_weights())
    g_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
    d_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    augment = bare_augment if model.augment else lambda x: x
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    keep = 0.5 ** (batch_size / model.ema_half_life)

    @tf.function
    def step(images):
        real = tf.cast(images, tf.float32) / 127.5 - 1.0
        latents = tf.random.normal((batch_size, model.latent_dim))
        with tf.GradientTape() as g_tape:
            fake = generator(latents, training=True)
        with tf.GradientTape() as d_tape:
            real_logits = discriminator(augment(real), training=True)
            fake_logits = discriminator(augment(fake), training=True)
            d_loss = tf.reduce_mean(
                cross_entropy(tf.ones_like(real_logits), real_logits)
                + cross_entropy(tf.zeros_like(fake_logits), fake_logits)
            )
        variables = discriminator.trainable_variables
        d_optimizer.apply(d_tape.gradient(d_loss, variables), variables)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = discriminator(augment(fake), training=True)
            g_loss = tf.reduce_mean(cross_entropy(tf.ones_like(fake_logits), fake_logits))
        variables = generator.trainable_variables
        gradient = tape.gradient(g_loss, fake)
        g_optimizer.apply(g_tape.gradient(fake, variables, gradient), variables)
        for a, w in zip(average.weights, generator.weights, strict=True):
            a.assign(w + keep * (a - w))
        return d_loss, g_loss

    return step


def bare_augment(images):
    """DiffAugment with ordinary random numbers: brightness, saturation, contrast, shift, cutout."""
    batch, side = tf.shape(images)[0], images.shape[1]
    images += tf.random.uniform((batch, 1, 1, 1), -0.5, 0.5)
    gray = tf.reduce_mean(images, 3, keepdims=True)
    images = gray + (images - gray) * tf.random.uniform((batch, 1, 1, 1), 0, 2)
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    images = mean + (images - mean) * tf.random.uniform((batch, 1, 1, 1), 0.5, 1.5)
    places = tf.range(side)

    def shift():
        by = tf.random.uniform((batch, 1, 1), -(side // 8), side // 8 + 1, tf.int32)
        return tf.cast(places[None, :, None] - places[None, None, :] == by, tf.float32)

    def cut():
        start = tf.random.uniform((batch, 1), 0, side + 1, tf.int32) - side // 4
        return (places >= start) & (places < start + side // 2)

    images = tf.einsum("bij,bjwc->biwc", shift(), images)
    images = tf.einsum("bij,bhjc->bhic", shift(), images)
    inside = cut()[:, :, None, None] & cut()[:, None, :, None]
    return tf.where(inside, 0.0, images)


def main() -> None:
    """Prints every round's rates and their ratio, summarised in two ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--width", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-augment", action="store_true")
    args = parser.parse_args()

    channels = 1 if args.side == 28 else 3
    shape = (args.side, args.side, channels)
    images = np.random.default_rng(0).integers(
        0, 256, (args.batch_size * args.steps, *shape), dtype="uint8"
    )
    augment = None if args.no_augment else "DiffAugment"

    def new_model():
        model = kgan.models.DCGAN(shape, width=args.width, augment=augment)
        model.compile()
        return model

    model = new_model()
    dataset = kgan.data.ImageSet(images).dataset(args.batch_size)
    step = bare_loop(new_model(), args.batch_size)

    def run_kgan():
        model.fit(dataset, verbose=0)

    def run_bare():
        for batch in dataset:
            losses = step(batch)
        [float(loss) for loss in losses]

    rates = {"kgan": [], "bare": []}
    for round_ in range(args.rounds + 1):
        for name, run in (("kgan", run_kgan), ("bare", run_bare)):
            start = time.perf_counter()
            run()
            if round_:  # the first round traces
                rates[name].append(len(images) / (time.perf_counter() - start))
    ratios = [k / b for k, b in zip(rates["kgan"], rates["bare"], strict=True)]
    print(f"{args.side} px, width {args.width}, batch {args.batch_size}, augment {augment}")
    for name, values in rates.items():
        each = " ".join(f"{value:.0f}" for value in values)
        print(f"{name:5} {statistics.median(values):7.1f} images/s, median of {each}")
    # Two summaries: where they differ, the machine's own speed changed between the turns.
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = statistics.median(rates["kgan"]) / statistics.median(rates["bare"])
    print(f"ratio of the medians {medians:.3f}")
    print(f"median of the ratios {middle:.3f} (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
