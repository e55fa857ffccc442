"""`kgan project`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from kgan import images, latent_files
from kgan.cli import drawing
from kgan.cli.engines import check_sampling
from kgan.cli.labels import parse_labels
from kgan.cli.models import import_models, import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_other, check_writable, in_directory, say_written
from kgan.cli.train import parse_box
from kgan.data.reading import read_picture
from kgan.data.resize import Rule
from kgan.errors import KganError, say
from kgan.zoo.preset import Preset

SHOWS = "left: a photograph that was given; right: the picture of the model closest to it"


@dataclass(frozen=True)
class Projection:
    """What a search has found.

    Attributes:
        facts: that the file of latents says.
        arrays: the latents or styles by that name, and the labels if there are any.
        beside: uint8 picture (height, width, channels): what was given, and what was found.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    beside: np.ndarray

    @property
    def facts_beside(self) -> dict[str, Any]:
        """The facts that the picture says, of which one half is of no model."""
        return {**self.facts, "shows": SHOWS, "digital_source_type": images.COMPOSITE}


class Search:
    """A search for the latents of a picture.

    Args:
        found: the preset that is to draw it.
        rule: by which the picture is read.
        labels: the class, alone in a list; None to try all.
        steps, starts, seed: see `kgan.models.base.latent.LatentModel.project`.

    Attributes:
        steps: int, in all.
    """

    def __init__(
        self,
        found: Preset,
        rule: Rule,
        labels: Sequence[int] | None,
        steps: int,
        starts: int,
        seed: int,
    ):
        self._found, self._rule, self._labels = found, rule, labels
        self._steps, self._starts, self._seed = steps, starts, seed
        tried = found.metadata.get("num_classes") or 1
        self.steps = steps * (tried if labels is None else 1)

    def run(self, picture: np.ndarray, progress: Callable[[int, int], bool | None]) -> Projection:
        """Loads the model, for which TensorFlow is imported, and searches.

        Args:
            picture: uint8 array (height, width, channels), as the rule reads it.
            progress: is told the steps that are done, and all; the search ends if it returns True.
        """
        # Late: they import TensorFlow.
        from kgan.metrics.extractors import extractor
        from kgan.runs.extraction import extractor_of
        from kgan.zoo import saving

        found, metadata = self._found, self._found.metadata
        model = saving.load(found)
        check_sampling(model, found)
        features, domain = None, extractor_of(found.recipe)
        if domain not in ("random", "inception"):  # of no domain, and not of TensorFlow
            features = extractor(domain)
        if features is not None and not features.takes(self._rule.image_shape):
            features = None
        stopped_after = None

        def told(done, total):
            nonlocal stopped_after
            stop = bool(progress(done, total))
            if stop:
                stopped_after = done
            return stop

        result = model.project(
            picture[None],
            self._steps,
            features,
            self._labels,
            starts=self._starts,
            seed=self._seed,
            progress=told,
        )
        facts = images.provenance(
            metadata["model"],
            metadata["training"]["images_seen"],
            drawing.name_of(found),
            found.weights_sha256,
            verb="project",
            steps=self._steps,
            stopped_after=stopped_after,
            starts=self._starts,
            seed=self._seed,
            box=self._rule.box,
            labels=result["labels"].tolist() if "labels" in result else None,
            extractor=None if features is None else features.name,
            error=float(result["error"][0]),
            loss=float(result["loss"][0]),
        )
        facts = {key: value for key, value in facts.items() if value is not None}
        kind = "styles" if "styles" in result else "latents"
        arrays = {key: result[key] for key in (kind, "labels") if key in result}
        both = np.concatenate([picture[None], result["images"]])
        return Projection(facts, arrays, images.grid(both, columns=2))


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.argument("photo", type=ExpandedPath(exists=True, dir_okay=False))
@click.option("--steps", type=click.IntRange(1, 1_000_000), default=300, show_default=True)
@click.option(
    "--starts",
    type=click.IntRange(1, 1024),
    default=4,
    show_default=True,
    help="Points from which the search begins; the best is kept.",
)
@click.option(
    "--box",
    metavar="L,T,R,B",
    help="Part of the photo to take: left, top, right, bottom in fractions of it. [default: its "
    "center, as large as the proportions allow]",
)
@click.option(
    "--label", help="Of a conditional model: a class, by name or number. [default: the best of all]"
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--out", type=ExpandedPath(), help="PNG or directory; the .npz is put beside it.")
@import_option
def command(
    source: str,
    photo: Path,
    steps: int,
    starts: int,
    box: str | None,
    label: str | None,
    seed: int,
    out: Path | None,
    import_file: Path | None,
) -> None:
    """Find what the preset NAME draws that is closest to the picture PHOTO.

    Writes both side by side, and the latents beside it as .npz, which `kgan sample --latents`
    draws. Nothing is aligned: see to it with --box that the photo is framed as the pictures that
    the model was trained on. Ctrl-C ends the search, and what is best by then is written.

    \b
    Examples:
      kgan project stylegan-lite-celeba photo.jpg
      kgan project dcgan-celeba photo.jpg --box 0.2,0.1,0.8,0.7 --steps 1000 --out me.png
      kgan sample stylegan-lite-celeba --latents stylegan-lite-celeba-projection.npz
    """
    found = opened(source, import_file)
    metadata = found.metadata
    from kgan.zoo import samplers  # late: it imports ONNX Runtime

    graphs = samplers.ready(found)
    if graphs is not None:  # they tell at once what the model takes
        check_sampling(graphs, found)
    labels = None if label is None else parse_labels(label, metadata)
    if labels is not None and len(labels) > 1:
        raise click.UsageError(f"Expected --label with one class. Received: --label {label}")
    box = None if box is None else parse_box(box)
    rule = Rule.checked(metadata["image_shape"], "crop", found.recipe.data.background, box)
    picture = read_picture(photo, rule)
    name = drawing.name_of(found)
    out = in_directory(out or Path(f"{name}-projection.png"), f"{name}-projection.png", ".png")
    beside = out.with_suffix(".npz")
    check_other(out, photo, "the photo")
    _check_replaceable(beside)
    for path in (out, beside):
        check_writable(path)
    import_models(import_file)
    from kgan.runs.train import Interrupted, collected_signals  # late: it imports TensorFlow

    height, width, _ = rule.image_shape
    part = "center" if box is None else "box"
    say(
        f"Nothing was aligned: the {part} of the photo was made {width}x{height} pixels; "
        "--box frames it as the model's pictures are",
        err=True,
    )
    search = Search(found, rule, labels, steps, starts, seed)
    with collected_signals() as received, drawing.progress(search.steps, "Steps", "steps") as show:
        made = 0

        def progress(done, total):
            nonlocal made
            show(done - made)
            made = done
            return bool(received)

        result = search.run(picture, progress)
    facts = result.facts
    images.save_png(result.beside, out, result.facts_beside)
    latent_files.save(beside, facts, **result.arrays)
    if received:
        say(f"Stopped after {made:,} of {search.steps:,} steps: this is the best so far", err=True)
    say(f"Mean squared error {facts['error']:.4f} of pixels in [-1, 1]", err=True)
    say_written(out)
    say_written(beside)
    if received:
        raise Interrupted(received[0])


def _check_replaceable(beside):
    """Raises UsageError if the place of the latents, which nobody named, is taken by other data."""
    if not os.path.lexists(beside):
        return
    try:
        latent_files.read(beside)
    except KganError:
        raise click.UsageError(
            "Expected --out with a name under which .npz holds nothing but latents, for they are "
            f"put beside the picture. Received: {beside}, which is there already"
        ) from None
