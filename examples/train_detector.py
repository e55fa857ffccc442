"""Train the detectors of `kgan inspect --detect`, and measure how often they are wrong.

python examples/train_detector.py

Of every preset that is named, by default all of this installation, whose recipe has images at hand
(in KGAN_DATA_DIR) and holds some out. Presets of the same images are each other's strangers: what
detectors of the one make of samples of the other is measured, too. It takes some minutes for each.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

import kgan
from kgan.data import parts
from kgan.errors import KganError
from kgan.files import plain_name, write
from kgan.metrics import Extractor, extractor
from kgan.metrics.protocol import evenly
from kgan.models.base.latent import LatentModel
from kgan.runs.extraction import extractor_of
from kgan.zoo import detecting, opening, saving
from kgan.zoo.detecting import KINDS, Detector
from kgan.zoo.preset import Preset

TRAINED = 4000  # real pictures, and as many samples
MEASURED = 1000  # at most, for the thresholds and as many others for the rates
PENALTY = 1e-3
SEED = 2000  # of no samples that the zoo's pictures and figures are of
PAGE = Path(__file__).parent.parent / "docs" / "detection.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"


@dataclass
class Domain:
    """Real images, in the parts that detectors need.

    Attributes:
        training, thresholds, measured: uint8 arrays; the last two are held out.
        network: the extractor of such images.
    """

    training: np.ndarray
    thresholds: np.ndarray
    measured: np.ndarray
    network: Extractor


def domain_of(preset: Preset) -> Domain | None:
    """The images of a preset's recipe; None if they hold nothing out."""
    recipe, shape = preset.recipe, tuple(preset.metadata["image_shape"])
    held_out = parts.load_held_out(recipe.data, shape)
    if held_out is None:
        return None
    training = parts.load_training(recipe.data, shape).images
    held_out = held_out.images[evenly(range(len(held_out)), 2 * MEASURED)]
    return Domain(
        training=training[evenly(range(len(training)), TRAINED)],
        thresholds=held_out[::2],
        measured=held_out[1::2],
        network=extractor(extractor_of(recipe)),
    )


def fit(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, float]:
    """Logistic regression on features, by Newton's method: the kernel and the bias.

    Args:
        real, generated: float arrays (images, features).
    """
    x = np.concatenate([real, generated])
    y = np.repeat([0.0, 1.0], [len(real), len(generated)])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    penalty = np.full(x.shape[1], PENALTY * len(x))
    penalty[-1] = 0.0  # of the bias
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        share = 1.0 / (1.0 + np.exp(-x @ weights))
        gradient = x.T @ (share - y) + penalty * weights
        curvature = (x.T * (share * (1.0 - share))) @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    kernel = weights[:-1] / scale
    return kernel, float(weights[-1] - kernel @ mean)


def threshold(real: np.ndarray, generated: np.ndarray) -> float:
    """The score above which as large a share of the real is as of the generated below."""
    scores = np.sort(np.concatenate([real, generated]))
    middles = (scores[1:] + scores[:-1]) / 2
    alarms = 1.0 - np.searchsorted(np.sort(real), middles) / len(real)
    missed = np.searchsorted(np.sort(generated), middles) / len(generated)
    return float(middles[np.argmin(np.abs(alarms - missed))])


def as_jpeg(images: np.ndarray) -> np.ndarray:
    """Images that were saved as JPEG of quality 75."""

    def one(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=75)
        return Image.open(file)

    return changed(images, one)


def resized(images: np.ndarray) -> np.ndarray:
    """Images that were made smaller by a quarter, and large again."""
    height, width = images.shape[1:3]

    def one(image):
        small = image.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS)
        return small.resize((width, height), Image.Resampling.LANCZOS)

    return changed(images, one)


def changed(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Images after a change to each picture."""
    pictures = (
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images
    )
    return np.stack([np.asarray(change(p)).reshape(images.shape[1:]) for p in pictures])


CHANGES = {"as JPEG of quality 75": as_jpeg, "resized to 3/4 and back": resized}


def train(
    preset: Preset, domain: Domain, samples: dict[str, np.ndarray], seed: int = SEED
) -> Detector:
    """The detectors of a preset.

    Args:
        preset: of latents.
        domain: the images that it was trained on.
        samples: of the preset and of others of the same images, by their names, for the rates.
        seed: of the samples; see `kgan.zoo.detecting.Detector`.
    """
    name, model = preset.metadata["name"], saving.load(preset)
    sampler = kgan.zoo.sampler(preset.source)
    generated = sampler.sample(len(domain.training), seed)
    kernel, bias = fit(
        *(detecting.features(images, domain.network) for images in (domain.training, generated))
    )
    kernel = np.array([float(f"{value:.6g}") for value in kernel])  # what is stored is measured

    def scores(images):
        return {
            "discriminator": detecting.discriminator_scores(model, images),
            "classifier": detecting.features(images, domain.network) @ kernel + bias,
        }

    sides = [scores(domain.thresholds), scores(sampler.sample(len(domain.thresholds), seed + 1))]
    above = {kind: threshold(*(side[kind] for side in sides)) for kind in KINDS}

    def rates(pictures, images, are_real):
        taken = {kind: values > above[kind] for kind, values in scores(images).items()}
        wrong = {kind: float(np.mean(found == are_real)) for kind, found in taken.items()}
        return {"pictures": pictures, "images": len(images), **wrong}

    own = samples[name]
    others = [(f"by {other}", samples[other], False) for other in samples if other != name]
    measured = [("real, held out", domain.measured, True), (f"by {name}", own, False), *others]
    for how, change in CHANGES.items():
        measured.append((f"real, {how}", change(domain.measured), True))
        measured.append((f"by {name}, {how}", change(own), False))
    return Detector(
        preset=name,
        weights_sha256=preset.weights_sha256,
        extractor=domain.network.name,
        extractor_sha256=domain.network.sha256,
        kernel=kernel.tolist(),
        bias=bias - above["classifier"],
        threshold=above["discriminator"],
        real=len(domain.training),
        generated=len(generated),
        thresholds=len(domain.thresholds),
        seed=seed,
        rates=[rates(*row) for row in measured],
    )


def groups(sources: list[str]) -> list[list[Preset]]:
    """The presets of latents among some, those of the same images together."""
    found = {}
    for source in sources:
        preset = opening.read(source)
        if issubclass(saving.described(preset)[0], LatentModel):
            shape = tuple(preset.metadata["image_shape"])
            found.setdefault((*preset.recipe.data.sources(), shape), []).append(preset)
    return list(found.values())


def write_page(directory: Path, page: Path) -> None:
    """Writes the rates of all detectors into the docs."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = []
    for path in sorted(directory.glob("*.json")):
        detector = detecting.read(path)
        text += ["", f"`{detector.preset}`: the classifier by `{detector.extractor}`, trained on "]
        text[-1] += f"{detector.real:,} real images and {detector.generated:,} samples; thresholds "
        text[-1] += f"by {detector.thresholds:,} of each."
        text += ["", "```", *detecting.table(detector), "```"]
    write(page, before + BEGIN + "\n".join([*text[1:], ""]) + END + after)


@click.command()
@click.argument("sources", nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=detecting.DIRECTORY,
    help="Where kgan looks for them, by default.",
)
@click.option("--seed", default=SEED, show_default=True)
def main(sources: tuple[str, ...], out: Path, seed: int) -> None:
    """Trains the detectors of the presets SOURCES, and writes them with their rates."""
    for presets in groups(list(sources) or kgan.zoo.names()):
        try:
            domain = domain_of(presets[0])
        except KganError as error:
            domain = None
            click.echo(error, err=True)
        if domain is None:
            click.echo(f"No held-out images of {', '.join(p.source for p in presets)}", err=True)
            continue
        samples = {
            preset.metadata["name"]: kgan.zoo.sampler(preset.source).sample(MEASURED, seed + 2)
            for preset in presets
        }
        for preset in presets:
            detector = train(preset, domain, samples, seed)
            out.mkdir(parents=True, exist_ok=True)
            name = plain_name(detector.preset, "preset")  # a stranger may have named it
            write(out / f"{name}.json", detector.to_json())
            click.echo("\n".join(detecting.table(detector)))
    if out == detecting.DIRECTORY:
        write_page(out, PAGE)


if __name__ == "__main__":
    main()
