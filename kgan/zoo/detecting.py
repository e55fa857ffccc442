"""How detectors take a picture: for a real one, or for one that a preset has generated.

There are two for a preset. Its own discriminator, which comes with it; and a linear classifier of
the features that its domain's extractor gives, beside the spectrum of the picture, in which
generators leave traces. `examples/train_detector.py` trains the classifier, puts the threshold of
both where as many real pictures as samples are taken wrongly, and measures how often that happens.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import numpy as np
import tensorflow as tf
from PIL import Image

from kgan.data.reading import read_picture
from kgan.data.resize import Rule
from kgan.errors import KganError, printable
from kgan.layers import MinibatchStddev
from kgan.metrics import Extractor, extractor
from kgan.models.base.latent import LatentModel
from kgan.zoo import opening, saving
from kgan.zoo.preset import Preset

DIRECTORY = Path(__file__).parent / "detectors"
KINDS = ("discriminator", "classifier")
_CHUNK = 16  # pictures that a discriminator sees at once
_SOME = 1024  # pictures whose spectra are in memory at once
_WORTH = (
    "A detector knows the model that it was trained on, and of others what the table says: next to",
    "nothing of generators that are not in it. JPEG, resizing and cropping change what it goes by.",
    "A score is no proof, of one picture least of all. What a picture says of itself comes first",
    "(kgan inspect FILE); that it says nothing means nothing.",
)


@dataclass(frozen=True)
class Detector:
    """The detectors of a preset, and how often they were found to be wrong.

    Attributes:
        preset: its name.
        weights_sha256: of the preset.
        extractor: name of the features.
        extractor_sha256: of its weights.
        kernel, bias: of the classifier: above 0, a picture is taken for a generated one.
        threshold: of the discriminator's scores: above it, it is.
        real, generated: int, pictures that the classifier was trained on.
        thresholds: int, real and generated pictures each that the thresholds are from.
        seed: of the samples that it was trained on; of those of the thresholds it is one more, and
            of those that the rates are of, two.
        rates: of pictures of each kind, what they are (`pictures`), how many (`images`), and the
            share of them that each detector, by its name, takes wrongly.
    """

    preset: str
    weights_sha256: str
    extractor: str
    extractor_sha256: str
    kernel: list[float] = dataclasses.field(repr=False)
    bias: float
    threshold: float
    real: int
    generated: int
    thresholds: int
    seed: int
    rates: list[dict[str, Any]]

    def to_json(self) -> str:
        """The file that `find` reads."""
        lines = (f'"{k}": {json.dumps(v)}' for k, v in dataclasses.asdict(self).items())
        return "{\n" + ",\n".join(lines) + "\n}\n"


@dataclass(frozen=True)
class Taken:
    """How a file is taken.

    Attributes:
        path: of the file.
        scores: of each detector, by its name; above 0 it takes the picture for a generated one.
        is_resized: whether the picture had another size than the model's.
        problem: why the file cannot be read; then there are no scores.
    """

    path: str
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    is_resized: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class Detection:
    """What `detect` finds."""

    detector: Detector
    files: list[Taken]


def detect(source: str | os.PathLike, paths: Sequence[str | os.PathLike]) -> Detection:
    """How the detectors of a preset take pictures.

    Args:
        source: of a preset that has detectors; see `kgan.zoo.load`.
        paths: of pictures, which are made as large as the model's, as `kgan.data` does it.

    Raises:
        KganError: if there are no detectors for the preset's weights.

    Example:

    >>> print("\\n".join(lines(detect("dcgan-celeba", ["face.png"]))))
    """
    preset = opening.read(source)
    detector = find(preset)
    network = extractor(detector.extractor)
    if network.sha256 != detector.extractor_sha256:
        raise _missing(preset, f"that of {detector.preset} is of another {network.name!r} network")
    model = saving.load(preset)
    data = preset.recipe.data
    rule = Rule.checked(model.image_shape, data.resize, data.background, data.box or None)
    files, images = [], []
    for path in paths:
        try:
            image, is_resized = _read(path, rule)
        except KganError as error:
            files.append(Taken(os.fspath(path), problem=str(error)))
        else:
            files.append(Taken(os.fspath(path), is_resized=is_resized))
            images.append(image)
    if images:
        scores = iter(_scores(detector, model, network, np.stack(images)))
        files = [f if f.problem else dataclasses.replace(f, scores=next(scores)) for f in files]
    return Detection(detector, files)


def find(preset: Preset) -> Detector:
    """The detectors of a preset's weights.

    Raises:
        KganError: if none were trained, which says of what there are.
    """
    known = [read(path) for path in sorted(DIRECTORY.glob("*.json"))]
    for detector in known:
        if detector.weights_sha256 == preset.weights_sha256:
            return detector
    names = [detector.preset for detector in known]
    if preset.metadata["name"] in names:
        raise _missing(preset, "that of its name is of other weights")
    raise _missing(preset, f"there are those of {', '.join(names) or 'no preset'}")


def read(path: Path) -> Detector:
    """The detectors in a file of kgan's own."""
    return Detector(**json.loads(path.read_text("utf-8")))


def _missing(preset, what):
    return KganError(
        f"Expected a preset with a detector. Received: {printable(preset.source)}; {what}; "
        "examples/train_detector.py trains them"
    )


def _read(path, rule):
    """A picture as an image of the model's, and whether it had another size."""
    image = read_picture(path, rule)
    height, width, _ = rule.image_shape
    with Image.open(path) as picture:
        if picture.size != (width, height):
            return image, True
    if rule.box is not None:  # of photographs; a sample is cut out already
        image = read_picture(path, rule._replace(box=None))
    return image, False


def _scores(detector, model, network, images):
    judged = discriminator_scores(model, images) - detector.threshold
    classified = features(images, network) @ np.array(detector.kernel) + detector.bias
    for scores in zip(judged, classified, strict=True):
        yield dict(zip(KINDS, map(float, scores), strict=True))


def discriminator_scores(model: LatentModel, images: np.ndarray) -> np.ndarray:
    """How far a model's discriminator takes images for generated ones: its logits, negative.

    Of a conditional model those of the class count in which an image looks most real.

    Args:
        model: of any class of latents.
        images: uint8 array (images, height, width, channels).

    Returns:
        float32 array (images,).
    """
    # A layer that looks at a group of images is to see but the one: as many copies of it.
    judges = model.discriminator.layers
    copies = max((j.group_size for j in judges if isinstance(j, MinibatchStddev)), default=1)
    classes = [None] if model.num_classes is None else range(model.num_classes)

    @tf.function
    def judge(images, labels):
        return model.discriminate(model.scaled(images), labels)[::copies, 0]

    found = np.empty(len(images), np.float32)
    for start in range(0, len(images), _CHUNK):
        some = images[start : start + _CHUNK]
        chunk = np.zeros((_CHUNK, *some.shape[1:]), np.uint8)
        chunk[: len(some)] = some
        chunk = tf.constant(chunk.repeat(copies, axis=0))
        logits = [
            judge(chunk, None if label is None else tf.fill((len(chunk),), label))
            for label in classes
        ]
        found[start : start + _CHUNK] = -np.max(logits, axis=0)[: len(some)]
    return found


def features(images: np.ndarray, network: Extractor) -> np.ndarray:
    """What the classifier goes by: the extractor's features, and the spectrum of each image.

    Args:
        images: uint8 array (images, height, width, channels).
        network: that takes such images.

    Returns:
        float64 array (images, features).
    """
    starts = range(0, len(images), _SOME)
    spectra = np.concatenate([spectrum(images[start : start + _SOME]) for start in starts])
    return np.concatenate([network.features(images), spectra], axis=1)


def spectrum(images: np.ndarray) -> np.ndarray:
    """The mean logarithm of the power at each whole frequency, whatever its direction.

    Generators do not reproduce it: they make images large by convolutions (Durall et al. 2020,
    arXiv:2003.01826).

    Args:
        images: uint8 array (images, height, width, channels).

    Returns:
        float64 array (images, frequencies), without the constant part.
    """
    gray = images.mean(axis=3) / 255
    power = np.abs(np.fft.fft2(gray)) ** 2
    height, width = gray.shape[1:]
    vertical, horizontal = np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width)
    frequency = np.rint(np.hypot(vertical[:, None], horizontal)).astype(int)
    logs = np.log(power + 1e-3)  # what rounding to 256 levels adds
    return np.stack([logs[:, frequency == f].mean(1) for f in range(1, frequency.max() + 1)], 1)


def lines(detection: Detection) -> list[str]:
    """Detection for people: of each file, how often that is wrong, and what it is worth."""
    taken = [_line(file) for file in detection.files if file.problem is None]
    return [*taken, "", *table(detection.detector), "", *_WORTH] if taken else []


def _line(file):
    verdicts = (
        f"{'generated' if score > 0 else 'real'} by the {kind} ({score:+.2f})"
        for kind, score in file.scores.items()
    )
    resized = " (resized)" if file.is_resized else ""
    return f"{printable(file.path)}{resized}: {', '.join(verdicts)}"


def table(detector: Detector) -> list[str]:
    """How often detectors were found to be wrong, in lines."""
    rows = [("Taken wrongly", *KINDS, "images")]
    rows += [
        (row["pictures"], *(f"{row[kind]:.1%}" for kind in KINDS), f"{row['images']:,}")
        for row in detector.rates
    ]
    first = max(len(row[0]) for row in rows)
    return [f"{row[0]:{first}}  {row[1]:>13}  {row[2]:>10}  {row[3]:>6}" for row in rows]
