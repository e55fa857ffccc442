"""Pictures that the page asks for, with the command and the Python that make them."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgan import images
from kgan.checks import SEED, TRUNCATION, Bound, one_of, or_none, whole
from kgan.cli import drawing, provenance, walk
from kgan.cli.provenance import Found, Origin
from kgan.errors import KganError
from kgan.latents import sample_labels, sample_latents
from kgan.recipe import Recipe
from kgan.sampling import LAYERS, Sampling, StyleSampling
from kgan.zoo.preset import Preset

STEPS = 31  # of a walk from start to end: its frames, with both ends, fill two passes of 16
FPS = 24
TRUNCATIONS = [step / 20 for step in range(31)]
MOST_ON_A_WALL = 64
_SMALL = 32  # pixels a side, up to which they are to be seen
_MOST_SCALE = 16

# What the page may ask for, by the verb that makes it.
_ASKED: dict[str, dict[str, Bound]] = {
    "sample": {"seed": SEED},
    "walk": {"start": SEED, "end": SEED, "frame": or_none(whole(0, STEPS))},
    "mix": {"start": SEED, "end": SEED, "layers": one_of(*LAYERS)},
}
_SHARED: dict[str, Bound] = {
    "label": or_none(whole(0)),
    "truncation": or_none(TRUNCATION),
    "scale": or_none(whole(1, _MOST_SCALE)),
}


def facts_of(preset: Preset, asked: dict[str, Any]) -> dict[str, Any]:
    """What a picture says of what made it, which is what it is drawn by.

    Args:
        preset: that draws.
        asked: `verb`, and what it needs: of "sample" a `seed`; of "walk" the seeds `start` and
            `end`, and a `frame` up to `STEPS`, None for the whole animation; of "mix" `start`,
            `end` and `layers`. Besides `label`, `truncation` and `scale`, or None.

    Raises:
        KganError: for anything else.
    """
    verb = one_of(*_ASKED).check("verb", asked.get("verb"))
    known = {**_ASKED[verb], **_SHARED}
    others = sorted(asked.keys() - known.keys() - {"verb"})
    if others:
        raise KganError(f"Expected {', '.join(known)}. Received: {', '.join(others)}")
    values = {name: bound.check(name, asked.get(name)) for name, bound in known.items()}
    more: dict[str, Any]
    if verb == "sample":
        more = {"seed": values["seed"], "n": 1, "index": 0}
    elif verb == "walk":
        more = {"seeds": [values["start"], values["end"]], "frames": 2 * STEPS, "n": 1}
        more |= {"columns": 1}
        more |= {"fps": FPS} if values["frame"] is None else {"frame": values["frame"]}
    else:
        more = {"rows": [values["start"]], "cols": [values["end"]], "layers": values["layers"]}
    labels = None if values["label"] is None else [values["label"]]
    scale = values["scale"] or 1
    resample = "nearest" if shows_pixels(preset.metadata["image_shape"], preset.recipe) else None
    return drawing.facts_of(preset, verb, labels, values["truncation"], scale, resample, **more)


def shows_pixels(image_shape: Sequence[int], recipe: Recipe) -> bool:
    """Whether pictures are enlarged pixel by pixel: where these are few, or pixel art."""
    return max(image_shape[:2]) <= _SMALL or drawing.is_pixel_art(recipe)


def is_animation(facts: dict[str, Any]) -> bool:
    """Whether facts are of an animation."""
    return "fps" in facts


def file_of(model: Sampling, facts: dict[str, Any]) -> bytes:
    """The PNG, or WebP of an animation, that the command of these facts writes."""
    if is_animation(facts):
        frames = walk.Frames(model, facts)
        return images.animation(frames, ".webp", facts, 1000 / facts["fps"])
    return images.png(provenance.VERBS[facts["verb"]].draw(model, facts), facts)


def command_of(preset: Preset, source: str, facts: dict[str, Any]) -> str:
    """The command line that makes a picture, and below it, of several files, which one it is.

    Args:
        preset: that draws it.
        source: what the command line calls that.
        facts: of the picture.
    """
    origin = Origin(source, preset.metadata, is_same=True)
    form = "WEBP" if is_animation(facts) else "PNG"
    command, where = provenance.command(Found(Path(), form, facts=facts), origin, None)
    return f"{command}\n# {where}" if os.sep in where else command


def python_of(source: str, facts: dict[str, Any]) -> str:
    """The Python that makes the pixels of a picture, of a mix those at the lower right."""
    options = ""
    if "labels" in facts:
        options += f", labels={facts['labels'][0]}"
    if "truncation" in facts:
        options += f", truncation={facts['truncation']}"
    if facts["verb"] == "sample":
        made = f"image = sampler.sample(1, seed={facts['seed']}{options})[0]"
    elif facts["verb"] == "mix":
        mixed = f"{facts['rows']}, {facts['cols']}, {facts['layers']!r}"
        made = f"image = sampler.mix({mixed}{options})[0, 0]"
    else:
        way = f"sampler.interpolate({facts['seeds']}, frames={facts['frames']}{options})"
        made = f"images = {way}[:, 0]"
        if not is_animation(facts):
            made = f"image = {way}[{facts['frame']}, 0]"
    lines = ["import kgan", "", f"sampler = kgan.zoo.sampler({source!r})", made]
    if "scale" in facts:
        given = "images" if is_animation(facts) else "image[None]"
        enlarged = f"kgan.images.enlarge({given}, {facts['scale']}, {facts['resample']!r})"
        lines[0] = "import kgan.images"
        lines += [f"images = {enlarged}" if is_animation(facts) else f"image = {enlarged}[0]"]
    return "\n".join([*lines, ""])


def wall(
    model: Sampling, first: int, number: int, label: int | None, truncation: float | None
) -> np.ndarray:
    """The first image of each of some seeds.

    Args:
        model: that draws.
        first: seed.
        number: of seeds, up to `MOST_ON_A_WALL`.
        label: of all; None for the seeds' own.
        truncation: None for none.

    Returns:
        uint8 array (number, height, width, channels).
    """
    whole(1, MOST_ON_A_WALL).check("number", number)
    SEED.check("first", first)
    seeds = range(first, min(first + number, 2**64))
    latents = np.concatenate([sample_latents(seed, 0, 1, model.latent_dim) for seed in seeds])
    labels: Any = label
    if label is None and model.num_classes is not None:
        drawn = [sample_labels(seed, 0, 1, model.num_classes) for seed in seeds]
        labels = np.concatenate(drawn)
    return model.render(latents, labels, truncation=truncation)


def way(
    model: Sampling, start: int, end: int, label: int | None, truncation: float | None
) -> np.ndarray:
    """The images of a walk from one seed to another: uint8 (STEPS + 1, height, width, channels)."""
    frames = model.iter_interpolation([start, end], 2 * STEPS, 1, label, truncation=truncation)
    return np.concatenate(list(itertools.islice(frames, STEPS + 1)))


def truncated(model: StyleSampling, seed: int, label: int | None) -> np.ndarray:
    """The image of a seed at each of `TRUNCATIONS`: uint8 (number, height, width, channels).

    Truncation moves styles along a line, so that those at 0 and at 1 give all of them, in as many
    passes as pictures need; to ask for each alone would take one for each.
    """
    latents = sample_latents(seed, 0, 1, model.latent_dim)
    labels = None
    if model.num_classes is not None:
        drawn = sample_labels(seed, 0, 1, model.num_classes)
        labels = drawn if label is None else np.full(1, label)
    mean, own = (model.points(latents, labels, truncation=t) for t in (0.0, 1.0))
    share = np.reshape(TRUNCATIONS, (-1, 1, 1))
    return model.draw((mean + share * (own - mean)).astype(np.float32), None)


def mixes(
    model: StyleSampling, start: int, end: int, label: int | None, truncation: float | None
) -> np.ndarray:
    """An image with styles of another in each of `LAYERS`: uint8 (3, height, width, channels)."""
    made = [model.mix([start], [end], layers, label, truncation=truncation) for layers in LAYERS]
    return np.concatenate([matrix[0] for matrix in made])


def strip(preset: Preset, pictures: np.ndarray) -> bytes:
    """Images one below the other as a PNG, which the page cuts up."""
    metadata = preset.metadata
    facts = images.provenance(
        metadata["model"],
        metadata["training"]["images_seen"],
        drawing.name_of(preset),
        preset.weights_sha256,
    )
    return images.png(pictures.reshape(-1, *pictures.shape[2:]), facts)
