"""What an extractor tells apart, as a table in Markdown; `random` stands beside it.

python tests/benchmarks/extractors.py faces --sheet faults.png

Half of the real images, those at even places, stay as they are. Those at odd places get a fault.
The floor is the distance between both halves without one. The table says how many floors a Fréchet
distance is, and by how many deviations a distance lies above the floor: for the Fréchet distance of
20 random halves of the real images, for the kernel distance of 10 subsets of 1,000. A kernel
distance is 0 on average where there is no fault, so that multiples of its floor would mean nothing.

The data is looked for in KGAN_DATA_DIR.
"""

import io
from collections.abc import Callable

import click
import numpy as np
import tensorflow as tf
from PIL import Image, ImageFilter

from kgan import data
from kgan import images as pictures
from kgan.metrics import Extractor, extractor, frechet_distance, kernel_distance

FACES = ["celeba/train", "celeba/more"]
FACES_BOX = [15 / 178, 40 / 218, 163 / 178, 188 / 218]
IMAGES = 4000  # in each half
SPLITS, SUBSETS = 20, 10


def noisy(images: np.ndarray, deviation: float) -> np.ndarray:
    """With normal noise of `deviation` levels in each value."""
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, radius: float) -> np.ndarray:
    """By a Gaussian whose deviation is `radius` pixels."""
    blur = ImageFilter.GaussianBlur(radius)
    shape = images.shape[1:]
    flat = images[..., 0] if shape[2] == 1 else images
    return np.stack(
        [np.asarray(Image.fromarray(image).filter(blur)).reshape(shape) for image in flat]
    )


def patches_of(images: np.ndarray, side: int) -> np.ndarray:
    """(images, patches, side, side, channels), row by row."""
    count, height, width, channels = images.shape
    parts = images.reshape(count, height // side, side, width // side, side, channels)
    return parts.swapaxes(2, 3).reshape(count, -1, side, side, channels)


def joined(patches: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The images of `shape` whose patches these are."""
    count, height, width, channels = shape
    side = patches.shape[2]
    parts = patches.reshape(count, height // side, width // side, side, side, channels)
    return parts.swapaxes(2, 3).reshape(shape)


def shuffled_patches(images: np.ndarray, patches: int = 16) -> np.ndarray:
    """`patches` of the sixteen of each image change places with each other."""
    rng = np.random.default_rng(0)
    parts = patches_of(images, images.shape[1] // 4)
    chosen = rng.permuted(np.tile(np.arange(16), (len(images), 1)), axis=1)[:, :patches]
    rows = np.arange(len(images))[:, None]
    result = parts.copy()
    result[rows, chosen] = parts[rows, np.roll(chosen, 1, axis=1)]
    return joined(result, images.shape)


def shifted_patches(images: np.ndarray, pixels: int, patches: int = 4) -> np.ndarray:
    """`patches` of the sixteen of each image show what lies `pixels` beside, above or below."""
    rng = np.random.default_rng(0)
    side = images.shape[1] // 4
    result = patches_of(images, side)
    shifts = [(0, pixels), (0, -pixels), (pixels, 0), (-pixels, 0)]
    moved = np.stack(
        [patches_of(np.roll(images, shift, axis=(1, 2)), side) for shift in shifts]
    )  # (4, images, 16, side, side, channels)
    chosen = rng.permuted(np.tile(np.arange(16), (len(images), 1)), axis=1)[:, :patches]
    rows = np.arange(len(images))[:, None]
    result[rows, chosen] = moved[rng.integers(0, 4, chosen.shape), rows, chosen]
    return joined(result, images.shape)


def warped(images: np.ndarray, pixels: float) -> np.ndarray:
    """Molten: each part of an image moves by about `pixels`, parts side by side alike."""
    count, height, width = images.shape[:3]
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, pixels, (count, height // 8 + 1, width // 8 + 1, 2)).astype(np.float32)
    flow = tf.image.resize(coarse, (height, width), "bicubic").numpy()
    y = np.clip(np.arange(height, dtype=np.float32)[:, None] + flow[..., 0], 0, height - 1)
    x = np.clip(np.arange(width, dtype=np.float32) + flow[..., 1], 0, width - 1)
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, right = (y - top)[..., None], (x - left)[..., None]
    each = np.arange(count)[:, None, None]
    above = images[each, top, left] * (1 - right) + images[each, top, left + 1] * right
    below = images[each, top + 1, left] * (1 - right) + images[each, top + 1, left + 1] * right
    return np.rint(above * (1 - down) + below * down).astype(np.uint8)


def half_a_pixel(images: np.ndarray) -> np.ndarray:
    """Whole, but interpolated as in `warped`: what is farther than this is molten."""
    x = images.astype(np.float32)
    x = (x + np.roll(x, -1, axis=1)) / 2
    return np.rint((x + np.roll(x, -1, axis=2)) / 2).astype(np.uint8)


def patched(images: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """With the part in a box (left, top, right, bottom; in fractions) of the next image."""
    height, width = images.shape[1:3]
    left, top, right, bottom = np.rint(np.multiply(box, [width, height, width, height])).astype(int)
    result = images.copy()
    result[:, top:bottom, left:right] = np.roll(images, 1, axis=0)[:, top:bottom, left:right]
    return result


def repeated(images: np.ndarray, distinct: int) -> np.ndarray:
    """Only `distinct` of them, again and again."""
    chosen = np.random.default_rng(0).permutation(len(images))[:distinct]
    return images[np.resize(chosen, len(images))]


def without(images: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Others of the images in place of the missing ones: a bool array (images,)."""
    others = np.random.default_rng(0).permutation(np.flatnonzero(~missing))
    result = images.copy()
    result[missing] = images[np.resize(others, missing.sum())]
    return result


def mixed(images: np.ndarray, others: np.ndarray, every: int = 1) -> np.ndarray:
    """With other images in place of every so many."""
    result = images.copy()
    places = range(0, len(images), every)
    result[places] = others[spaced(len(others), len(places))]
    return result


def spaced(count: int, most: int) -> np.ndarray:
    """`most` indices of `count`, at even spaces."""
    return np.linspace(0, count - 1, most).astype(int)


def halves(count: int, most: int) -> np.ndarray:
    """Indices at even and at odd places of those at even spaces: (2, `most` or fewer)."""
    length = min(count // 2, most)
    return spaced(count, 2 * length).reshape(length, 2).T


COMMON = {
    "noise, 4 levels": lambda x: noisy(x, 4),
    "noise, 8 levels": lambda x: noisy(x, 8),
    "noise, 16 levels": lambda x: noisy(x, 16),
    "blur, 0.5 pixels": lambda x: blurred(x, 0.5),
    "blur, 1 pixel": lambda x: blurred(x, 1),
    "4 of 16 patches shifted by 1 pixel": lambda x: shifted_patches(x, 1),
    "4 of 16 patches shifted by 2 pixels": lambda x: shifted_patches(x, 2),
    "4 of 16 patches shifted by 4 pixels": lambda x: shifted_patches(x, 4),
    "2 of 16 patches swapped": lambda x: shuffled_patches(x, 2),
    "all of it moved by half a pixel": half_a_pixel,
    "molten, by 1 pixel": lambda x: warped(x, 1),
    "molten, by 2 pixels": lambda x: warped(x, 2),
    "upper half of another": lambda x: patched(x, (0, 0, 1, 0.5)),
    "a quarter of another": lambda x: patched(x, (0, 0, 0.5, 0.5)),
    "1 in 20, again and again": lambda x: repeated(x, len(x) // 20),
}


def gray(source: str, other: str, most: int):
    test = data.load(source, (28, 28, 1), split="test")
    chosen = halves(len(test), most)
    foreign = data.load(other, (28, 28, 1), split="test").images
    labels, name = test.labels[chosen[1]], other.removeprefix("tfds:")
    return test.images[chosen], {
        f"no {test.class_names[9]}": lambda x: without(x, labels == 9),
        f"{name}, 1 in 20": lambda x: mixed(x, foreign, 20),
        f"{name}": lambda x: mixed(x, foreign),
    }


def faces(most: int, source: str | list[str] = FACES):
    images = data.load(source, (64, 64, 3), box=FACES_BOX).images
    emoji = data.load("emoji/test", (64, 64, 3)).images

    def dark(x):
        brightness = x.mean((1, 2, 3))
        return brightness < np.quantile(brightness, 0.25)

    return images[halves(len(images), most)], {
        "one eye of another": lambda x: patched(x, (0.25, 0.38, 0.48, 0.58)),
        "no dark ones": lambda x: without(x, dark(x)),
        "emoji, 1 in 20": lambda x: mixed(x, emoji, 20),
        "emoji": lambda x: mixed(x, emoji),
    }


def heroes(most: int):
    """Of the 820 characters in training; a half has other characters, in all four views."""
    images = data.load(
        "tinyhero",
        (64, 64, 3),
        background="white",
        labels="folders",
        only=lambda name: not name.endswith("0.png"),
    ).images
    views = images.reshape(4, -1, 64, 64, 3)  # the same characters in each view
    chosen = halves(views.shape[1], most // 4)  # (2, characters)
    count = chosen.shape[1]
    real = np.stack([np.concatenate(views[:, characters]) for characters in chosen])
    emoji = data.load("emoji/test", (64, 64, 3)).images

    def of_another_view(x):
        result = x.copy()
        result[:, :32] = np.roll(x, count, axis=0)[:, :32]
        return result

    return real, {
        "upper half of another view": of_another_view,
        "no view from behind": lambda x: without(x, np.arange(len(x)) < count),
        "red, green and blue changed round": lambda x: x[..., [1, 2, 0]],
        "emoji, 1 in 20": lambda x: mixed(x, emoji, 20),
        "emoji": lambda x: mixed(x, emoji),
    }


def compressed(images: np.ndarray, quality: int) -> np.ndarray:
    """As a JPEG of that quality shows them."""
    result = np.empty_like(images)
    for i, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        result[i] = np.asarray(Image.open(file))
    return result


def shifted_colors(images: np.ndarray, levels: int) -> np.ndarray:
    """Redder by so many levels, and as much less blue."""
    shifted = images + np.array([levels, 0, -levels])
    return np.clip(shifted, 0, 255).astype(np.uint8)


def checkered(images: np.ndarray, levels: int) -> np.ndarray:
    """With the checkerboard of transposed convolutions, in which pixels differ by 2 `levels`."""
    signs = np.indices(images.shape[1:3]).sum(axis=0) % 2 * 2 - 1
    return np.clip(images + levels * signs[..., None], 0, 255).astype(np.uint8)


def translations(real: str, held_out: str, given: str, most: int):
    """The domain that pictures are translated into, beside the one that they are of."""
    images, others, sources = (
        data.load(folder, (64, 64, 3)).images for folder in (real, held_out, given)
    )
    return images[halves(len(images), most)], {
        "JPEG of quality 75": lambda x: compressed(x, 75),
        "JPEG of quality 30": lambda x: compressed(x, 30),
        "checkerboard, 4 levels": lambda x: checkered(x, 4),
        "8 levels redder, less blue": lambda x: shifted_colors(x, 8),
        "24 levels redder, less blue": lambda x: shifted_colors(x, 24),
        "red, green and blue changed round": lambda x: x[..., [1, 2, 0]],
        "gray": lambda x: np.repeat(x.mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3),
        "half of it the source": lambda x: x // 2 + mixed(x, sources) // 2,
        "the source, 1 in 20": lambda x: mixed(x, sources, 20),
        "the source": lambda x: mixed(x, sources),
        "held out, again and again": lambda x: mixed(x, others),
    }


KINDS = {
    "pictures:twitter": lambda most: translations(
        "emoji/train/twitter", "emoji/test/twitter", "emoji/train/noto", most
    ),
    "pictures:openmoji": lambda most: translations(
        "openmoji/train/color", "openmoji/test/color", "openmoji/train/outline", most
    ),
    "pictures:zebras": lambda most: translations(
        "horse2zebra/trainB", "horse2zebra/testB", "horse2zebra/trainA", most
    ),
    "digits": lambda most: gray("tfds:mnist", "tfds:fashion_mnist", most),
    "fashion": lambda most: gray("tfds:fashion_mnist", "tfds:mnist", most),
    "faces": faces,
    "heroes": heroes,
}


def find_faults(
    name: str, most: int = IMAGES
) -> tuple[np.ndarray, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """The real images of an extractor, and what may be wrong with the second half of them.

    Args:
        name: of the extractor, with a set of its data behind a colon if there are several.
        most: int, how many images a half has at most.

    Returns:
        uint8 array (2, images, height, width, channels), and functions of the second half that
        return an array of its shape, by what they do.
    """
    real, special = KINDS[name](most)
    return real, {**COMMON, **special}


def kernel(real, fake):
    # No larger than half of the images, or subsets would hardly differ.
    size = min(1000, len(real) // 2)
    return kernel_distance(real, fake, subsets=SUBSETS, subset_size=size)


class Ruler:
    """Distances from the first half of the real images, by what they are without a fault.

    Args:
        network: `Extractor`.
        real: uint8 array (2, images, height, width, channels).
    """

    def __init__(self, network: Extractor, real: np.ndarray):
        self.network = network
        self.features, other = (network.features(half) for half in real)
        self.floor = frechet_distance(self.features, other)
        self.kernel_floor, self.kernel_deviation = kernel(self.features, other)
        both, rng = np.concatenate([self.features, other]), np.random.default_rng(0)
        splits = [np.split(rng.permutation(len(both)), 2) for _ in range(SPLITS)]
        self.deviation = np.std([frechet_distance(both[a], both[b]) for a, b in splits])

    def measure(self, images: np.ndarray) -> tuple[float, float, float]:
        """Fréchet distance in floors, and Fréchet and kernel distance above it in deviations."""
        features = self.network.features(images)
        frechet = frechet_distance(self.features, features)
        distance, _ = kernel(self.features, features)
        return (
            frechet / self.floor,
            (frechet - self.floor) / self.deviation,
            (distance - self.kernel_floor) / self.kernel_deviation,
        )


def print_table(networks: list[Extractor], real: np.ndarray, faults: dict) -> None:
    rulers = [Ruler(network, real) for network in networks]
    heads = ["Fréchet, floors", "deviations", "kernel, deviations"]
    columns = [f"{network.name}: {head}" for network in networks for head in heads]
    print("|".join(["", f" {len(real[0]):,} images ", *(f" {head} " for head in columns), ""]))
    print("|---" + "|---:" * len(columns) + "|")
    for fault, spoil in faults.items():
        images = spoil(real[1])
        figures = [figure for ruler in rulers for figure in ruler.measure(images)]
        cells = [f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}" for figure in figures]
        print("| " + " | ".join([fault, *cells]) + " |", flush=True)
    for network, ruler in zip(networks, rulers, strict=True):
        print(
            f"\n`{network.name}` (version {network.version}, {network.sha256[:12]}): floor "
            f"{ruler.floor:.4g}, deviation {ruler.deviation:.2g}; kernel distance "
            f"{ruler.kernel_floor:.2g}, deviation {ruler.kernel_deviation:.2g}"
        )


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(KINDS))
@click.option("--images", default=IMAGES, help="In each half, at most.", show_default=True)
@click.option("--sheet", type=click.Path(dir_okay=False), help="PNG of each fault, a row each.")
def main(name: str, images: int, sheet: str | None) -> None:
    real, faults = find_faults(name, images)
    if sheet:
        shown = spaced(len(real[1]), 14)
        rows = [spoil(real[1])[shown] for spoil in (lambda x: x, *faults.values())]
        pictures.save_png(pictures.grid(np.concatenate(rows), columns=len(shown)), sheet, None)
    print_table([extractor(name.partition(":")[0]), extractor("random")], real, faults)


if __name__ == "__main__":
    main()
