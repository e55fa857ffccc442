"""Train one of the feature extractors that kgan ships.

python examples/train_extractor.py digits --out digits.weights.h5

MNIST and Fashion-MNIST are read from TFDS, the faces from `celeba/train` in KGAN_DATA_DIR.
"""

from collections.abc import Callable, Iterator

import click
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import kgan
from kgan.metrics import extractors
from kgan.presets import sha256


def scaled(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 127.5 - 1.0


def shifted(images: np.ndarray, rng: np.random.Generator, most: int = 2) -> np.ndarray:
    """Moves each image by up to `most` pixels along both axes; what enters is black."""
    count, side = images.shape[:2]
    top, left = rng.integers(0, 2 * most + 1, (2, count, 1))
    rows = (top + np.arange(side))[:, :, None]  # (images, side, 1)
    columns = (left + np.arange(side))[:, None, :]  # (images, 1, side)
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    return padded[np.arange(count)[:, None, None], rows, columns]


def mirrored(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrors each image left to right, with probability 1/2."""
    flips = rng.random(len(images)) < 0.5
    return np.where(flips[:, None, None, None], images[:, :, ::-1], images)


def batches(
    count: int, batch_size: int, epochs: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The indices of each batch, in another order each epoch."""
    for _ in range(epochs):
        order = rng.permutation(count)
        yield from np.split(order[: count - count % batch_size], count // batch_size)


def train_classifier(source: str, epochs: int, flip: bool, batch_size: int = 128) -> keras.Model:
    """Classifies the first 50,000 training images; prints the accuracy on the test images."""
    train = kgan.data.load(source, (28, 28, 1), split="train[:50000]")
    test = kgan.data.load(source, (28, 28, 1), split="test")
    rng = np.random.Generator(np.random.Philox(0))
    model = extractors.build_classifier()
    steps = epochs * (len(train) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    for step, chosen in enumerate(batches(len(train), batch_size, epochs, rng)):
        images = shifted(train.images[chosen], rng)
        if flip:
            images = mirrored(images, rng)
        loss, _ = model.train_on_batch(scaled(images), train.labels[chosen])
        if step % 100 == 0:
            click.echo(f"{step}/{steps} loss {loss:.3f}")
    _, accuracy = model.evaluate(scaled(test.images), test.labels, batch_size=500, verbose=0)
    click.echo(f"test accuracy {accuracy:.2%} on {len(test)} images")
    return model


def view(images: np.ndarray, rng: np.random.Generator, side: int = 48) -> tf.Tensor:
    """A random square of each image, as `side` pixels, perhaps mirrored, in other colors.

    Args:
        images: uint8 array (images, 64, 64, 3).

    Returns:
        float tensor (images, side, side, 3).
    """
    count = len(images)
    extent = rng.uniform(0.5, 1.0, (count, 1))  # of the images' side
    start = rng.random((count, 2)) * (1.0 - extent)
    boxes = np.concatenate([start, start + extent], axis=1)  # top, left, bottom, right
    flips = rng.random(count) < 0.5
    boxes[flips] = boxes[flips][:, [0, 3, 2, 1]]
    x = tf.image.crop_and_resize(scaled(images), boxes, np.arange(count), (side, side))
    brightness = rng.uniform(-0.4, 0.4, (count, 1, 1, 1)).astype(np.float32)
    contrast, saturation = rng.uniform(0.6, 1.4, (2, count, 1, 1, 1)).astype(np.float32)
    gray = tf.reduce_mean(x, axis=3, keepdims=True)
    x = gray + (x - gray) * saturation
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * contrast + brightness


def contrastive_loss(first, second, temperature: float = 0.2):
    """SimCLR's NT-Xent: of all views in the batch, which is of the same image?

    Chen et al. 2020, arXiv:2002.05709, equation 1.

    Args:
        first, second: float tensors (images, dimensions), of two views of each image.
    """
    z = tf.math.l2_normalize(tf.concat([first, second], axis=0), axis=1)
    count = tf.shape(first)[0]
    similarity = tf.matmul(z, z, transpose_b=True) / temperature  # (2 images, 2 images)
    similarity = tf.linalg.set_diag(
        similarity, tf.fill((2 * count,), tf.cast(-np.inf, z.dtype))
    )  # not itself
    partner = tf.math.mod(tf.range(2 * count) + count, 2 * count)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partner, logits=similarity)
    )


def train_encoder(epochs: int, batch_size: int = 200) -> keras.Model:
    """Learns features of faces that two views of one face share, and others do not."""
    images = kgan.data.load("celeba/train", (64, 64, 3)).images
    rng = np.random.Generator(np.random.Philox(0))
    encoder = extractors.build_encoder()
    projection = keras.Sequential([layers.Dense(128, activation="relu"), layers.Dense(64)])
    projection.build(encoder.output_shape)
    steps = epochs * (len(images) // batch_size)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(2e-3, steps), weight_decay=1e-3
    )
    variables = encoder.trainable_variables + projection.trainable_variables
    optimizer.build(variables)

    @tf.function
    def update(views):
        with tf.GradientTape() as tape:
            z = projection(encoder(views, training=True))
            loss = contrastive_loss(*tf.split(z, 2))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for step, chosen in enumerate(batches(len(images), batch_size, epochs, rng)):
        loss = update(tf.concat([view(images[chosen], rng) for _ in range(2)], axis=0))
        if step % 20 == 0:
            click.echo(f"{step}/{steps} loss {loss:.3f}")
    return encoder


def save_half(model: keras.Model, build: Callable[[], keras.Model], path: str) -> None:
    """Writes the weights alone, in half precision, which is precise enough for them."""
    keras.config.set_dtype_policy("float16")
    half = build()
    half.set_weights([weight.astype(np.float16) for weight in model.get_weights()])
    half.save_weights(path)


# What makes the network, and what trains it.
RECIPES = {
    "digits": (
        extractors.build_classifier,
        lambda: train_classifier("tfds:mnist", epochs=8, flip=False),
    ),
    "fashion": (
        extractors.build_classifier,
        lambda: train_classifier("tfds:fashion_mnist", epochs=14, flip=True),
    ),
    "faces": (extractors.build_encoder, lambda: train_encoder(epochs=12)),
}


@click.command()
@click.argument("name", type=click.Choice(RECIPES))
@click.option("--out", type=click.Path(dir_okay=False), help="Default: NAME.weights.h5")
def main(name: str, out: str | None) -> None:
    """Trains the extractor NAME, and writes its weights with their SHA-256."""
    keras.utils.set_random_seed(0)
    path = out or f"{name}.weights.h5"
    build, train = RECIPES[name]
    save_half(train(), build, path)
    click.echo(f"{path} SHA-256 {sha256(path)}")


if __name__ == "__main__":
    main()
