"""Train one of the feature extractors that kgan ships.

python examples/train_extractor.py digits --out digits.weights.h5

MNIST and Fashion-MNIST are read from TFDS, the faces from `celeba/train` and `celeba/more`, the
heroes from `tinyhero` and pictures from `emoji`, `openmoji` and `horse2zebra` in KGAN_DATA_DIR.
"""

from collections.abc import Callable, Iterator
from functools import partial

import click
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image, ImageFilter

import kgan
from kgan.files import sha256
from kgan.metrics import extractors

FACES = ["celeba/train", "celeba/more"]
# CelebA's other usual crop, in which the face fills the picture: left, top, right, bottom as
# fractions of the 178x218 pixels.
FACES_BOX = [15 / 178, 40 / 218, 163 / 178, 188 / 218]
PICTURES = [
    "emoji/train/noto",
    "emoji/train/twitter",
    "openmoji/train/outline",
    "openmoji/train/color",
    "horse2zebra/trainA",
    "horse2zebra/trainB",
]
HELD_OUT = "0.png"  # what the file names of held-out heroes end in; 92 of 912 characters


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


def squares(images: np.ndarray, rng: np.random.Generator, side: int = 48) -> tf.Tensor:
    """A random square of each image, as `side` pixels, perhaps mirrored.

    Args:
        images: uint8 array (images, height, width, 3).

    Returns:
        float tensor (images, side, side, 3) in [-1, 1].
    """
    count = len(images)
    extent = rng.uniform(0.5, 1.0, (count, 1))  # of the images' side
    start = rng.random((count, 2)) * (1.0 - extent)
    boxes = np.concatenate([start, start + extent], axis=1)  # top, left, bottom, right
    flips = rng.random(count) < 0.5
    boxes[flips] = boxes[flips][:, [0, 3, 2, 1]]
    return tf.image.crop_and_resize(scaled(images), boxes, np.arange(count), (side, side))


def windows(images: np.ndarray, rng: np.random.Generator, side: int = 48) -> np.ndarray:
    """A random square of `side` pixels of each image, as it is."""
    count, height, width = images.shape[:3]
    top = rng.integers(0, height - side + 1, (count, 1))
    left = rng.integers(0, width - side + 1, (count, 1))
    rows = (top + np.arange(side))[:, :, None]  # (images, side, 1)
    columns = (left + np.arange(side))[:, None, :]  # (images, 1, side)
    return scaled(images[np.arange(count)[:, None, None], rows, columns])


def view(
    images: np.ndarray, rng: np.random.Generator, part: Callable = squares, colors: float = 0.4
) -> tf.Tensor:
    """A part of each image in other colors.

    Args:
        images: uint8 array (images, 64, 64, 3).
        part: `squares`, or `windows` for pixels to stay as sharp as they are, and left left.
        colors: by how much brightness, contrast and saturation change at most.

    Returns:
        float tensor (images, 48, 48, 3).
    """
    x = part(images, rng)
    more, less = 1.0 + colors, 1.0 - colors
    brightness = rng.uniform(-colors, colors, (len(images), 1, 1, 1)).astype(np.float32)
    contrast, saturation = rng.uniform(less, more, (2, len(images), 1, 1, 1)).astype(np.float32)
    gray = tf.reduce_mean(x, axis=3, keepdims=True)
    x = gray + (x - gray) * saturation
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * contrast + brightness


def smooth(rng: np.random.Generator, count: int, side: int, channels: int) -> np.ndarray:
    """Random fields that change slowly over an image: (count, side, side, channels)."""
    coarse = rng.normal(size=(count, 6, 6, channels)).astype(np.float32)
    return tf.image.resize(coarse, (side, side), "bicubic").numpy()


def blotted(images: np.ndarray, rng: np.random.Generator, pixel_art: bool = False) -> np.ndarray:
    """Each image, with the next one in its place within blots that cover about half of it."""
    count, side = images.shape[:2]
    edge = np.exp(rng.uniform(1.0, 4.0, (count, 1, 1, 1)))  # from soft to hard
    share = 1.0 / (1.0 + np.exp(-edge * smooth(rng, count, side, 1)))
    if pixel_art:
        share = np.rint(share)
    mixed = images + share * (np.roll(images, 1, axis=0).astype(np.float32) - images)
    return np.rint(mixed).astype(np.uint8)


def molten(images: np.ndarray, rng: np.random.Generator, pixel_art: bool = False) -> np.ndarray:
    """Each image, with its parts moved by one to four pixels, neighbours alike."""
    count, side = images.shape[:2]
    extent = np.exp(rng.uniform(0.0, np.log(4.0), (count, 1, 1, 1)))
    places = np.stack(np.mgrid[:side, :side], axis=2) + extent * smooth(rng, count, side, 2)
    places = np.clip(places, 0, side - 1.001)  # (images, side, side, row and column)
    if pixel_art:
        places = np.floor(places)
    corner = places.astype(int)
    result = 0.0
    for step in np.ndindex(2, 2):  # the four pixels around each place
        row, column = np.moveaxis(corner + step, 3, 0)
        weight = np.prod(1.0 - np.abs(places - corner - step), axis=3, keepdims=True)
        result = result + weight * images[np.arange(count)[:, None, None], row, column]
    return np.rint(result).astype(np.uint8)


def broken(images: np.ndarray, rng: np.random.Generator, pixel_art: bool = False) -> np.ndarray:
    """Half of the images blotted, the others molten: uint8 array of the images' shape.

    Pixels of pixel art stay whole, or blur alone would tell what is broken.
    """
    first, second = np.array_split(images, 2)
    return np.concatenate([blotted(first, rng, pixel_art), molten(second, rng, pixel_art)])


def blurred(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image, by a Gaussian of 0.4 to 2 pixels."""
    radii = np.exp(rng.uniform(np.log(0.4), np.log(2.0), len(images)))
    blurs = map(ImageFilter.GaussianBlur, radii.tolist())
    return np.stack(
        [np.asarray(Image.fromarray(x).filter(blur)) for x, blur in zip(images, blurs, strict=True)]
    )


def noisy(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image, with normal noise of 3 to 24 levels."""
    levels = np.exp(rng.uniform(np.log(3.0), np.log(24.0), (len(images), 1, 1, 1)))
    noise = levels * rng.normal(size=images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def bled(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image, whose colors run over its lines: blurred by 2 to 6 pixels, its light is not."""
    result = []
    for image, radius in zip(images, rng.uniform(2.0, 6.0, len(images)).tolist(), strict=True):
        light, *colors = Image.fromarray(image).convert("YCbCr").split()
        colors = [color.filter(ImageFilter.GaussianBlur(radius)) for color in colors]
        result.append(np.asarray(Image.merge("YCbCr", [light, *colors]).convert("RGB")))
    return np.stack(result)


def blended(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image, through which the next one shows: 0.2 to 0.5 of it."""
    share = rng.uniform(0.2, 0.5, (len(images), 1, 1, 1))
    mixed = images + share * (np.roll(images, 1, axis=0).astype(np.float32) - images)
    return np.rint(mixed).astype(np.uint8)


def spoiled(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a network that paints gets wrong, each in a part of the images."""
    faults = (blotted, molten, blurred, noisy, bled, blended)
    parts = zip(faults, np.array_split(images, len(faults)), strict=True)
    return np.concatenate([spoil(part, rng) for spoil, part in parts])


def contrastive_loss(first, second, negatives=None, temperature: float = 0.2):
    """SimCLR's NT-Xent: of all views in the batch, which is of the same image?

    Chen et al. 2020, arXiv:2002.05709, equation 1. Broken images are among what each view is told
    from, so that features know whether an image holds together: negative data augmentation, Sinha
    et al. 2021, arXiv:2102.05113, section 4.2.

    Args:
        first, second: float tensors (images, dimensions), of two views of each image.
        negatives: float tensor (negatives, dimensions), of views that are like none; or None.
    """
    z = tf.math.l2_normalize(tf.concat([first, second], axis=0), axis=1)
    count = tf.shape(first)[0]
    similarity = tf.matmul(z, z, transpose_b=True) / temperature  # (2 images, 2 images)
    similarity = tf.linalg.set_diag(
        similarity, tf.fill((2 * count,), tf.cast(-np.inf, z.dtype))
    )  # not itself
    if negatives is not None:
        others = tf.math.l2_normalize(negatives, axis=1)
        others = tf.matmul(z, others, transpose_b=True) / temperature  # (2 images, negatives)
        similarity = tf.concat([similarity, others], axis=1)
    partner = tf.math.mod(tf.range(2 * count) + count, 2 * count)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partner, logits=similarity)
    )


def train_encoder(
    encoder: keras.Model,
    images: np.ndarray,
    epochs: int,
    see: Callable = view,
    spoil: Callable = broken,
    labels: np.ndarray | None = None,
    batch_size: int = 200,
) -> None:
    """Learns features that two views of one image share, and no other image or broken one has.

    Args:
        encoder: from images to features; with labels, to the logits of their classes, which it
            learns to tell at the same time from its layer "features".
        images: uint8 array (images, 64, 64, 3).
        epochs: passes over the images.
        see: gives a view of images, `spoil` broken ones: functions of images and a generator.
        labels: int array (images,), or None.
        batch_size: images a step; each is seen in two views and a broken one.
    """
    rng = np.random.Generator(np.random.Philox(0))
    outputs = [encoder.get_layer("features").output, encoder.output]
    both = keras.Model(encoder.inputs, outputs)
    projection = keras.Sequential([layers.Dense(128, activation="relu"), layers.Dense(64)])
    projection.build(outputs[0].shape)
    intact = layers.Dense(1)  # the logit of whether an image holds together
    intact.build(outputs[0].shape)
    steps = epochs * (len(images) // batch_size)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(2e-3, steps), weight_decay=1e-3
    )
    networks = (encoder, projection, intact)
    variables = [variable for network in networks for variable in network.trainable_variables]
    optimizer.build(variables)

    @tf.function
    def update(views, classes):
        with tf.GradientTape() as tape:
            features, logits = both(views, training=True)
            first, second, negatives = tf.split(projection(features), 3)
            loss = contrastive_loss(first, second, negatives)
            margin = tf.repeat([1.0, 1.0, -1.0], batch_size) * intact(features)[:, 0]
            loss += tf.reduce_mean(tf.nn.softplus(-margin))
            if classes is not None:
                right = keras.losses.sparse_categorical_crossentropy(
                    tf.tile(classes, [2]), logits[: 2 * batch_size], from_logits=True
                )
                loss += tf.reduce_mean(right)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for step, chosen in enumerate(batches(len(images), batch_size, epochs, rng)):
        batch = images[chosen]
        seen = (batch, batch, spoil(batch, rng))
        views = tf.concat([see(x, rng) for x in seen], axis=0)
        loss = update(views, None if labels is None else labels[chosen])
        if step % 20 == 0:
            click.echo(f"{step}/{steps} loss {loss:.3f}")


def train_faces(epochs: int) -> keras.Model:
    """Tells faces from each other, and from broken ones."""
    images = kgan.data.load(FACES, (64, 64, 3), box=FACES_BOX).images
    encoder = extractors.build_encoder()
    train_encoder(encoder, images, epochs)
    return encoder


def train_pictures(epochs: int) -> keras.Model:
    """Tells drawings and photographs from each other, and from badly painted ones."""
    images = kgan.data.load(PICTURES, (64, 64, 3)).images
    encoder = extractors.build_encoder()
    see = partial(view, part=windows, colors=0.2)
    train_encoder(encoder, images, epochs, see, spoiled)
    return encoder


def train_heroes(epochs: int) -> keras.Model:
    """Tells figures from each other and from broken ones, and from where they are seen.

    Prints the accuracy on the characters that are held out.
    """

    def load(held_out):
        return kgan.data.load(
            "tinyhero",
            (64, 64, 3),
            background="white",
            labels="folders",
            only=lambda name: name.endswith(HELD_OUT) == held_out,
        )

    train, test = load(held_out=False), load(held_out=True)
    encoder = extractors.build_encoder(num_classes=4)
    see, spoil = partial(view, part=windows), partial(broken, pixel_art=True)
    train_encoder(encoder, train.images, epochs, see, spoil, train.labels)
    views = np.argmax(encoder.predict(scaled(test.images), verbose=0), axis=1)
    accuracy = np.mean(views == test.labels)
    click.echo(f"held-out accuracy {accuracy:.2%} on {len(test)} images")
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
    "faces": (extractors.build_encoder, lambda: train_faces(epochs=8)),
    "pictures": (extractors.build_encoder, lambda: train_pictures(epochs=5)),
    "heroes": (lambda: extractors.build_encoder(num_classes=4), lambda: train_heroes(epochs=40)),
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
