"""`kgan project`."""

from pathlib import Path

import click
import numpy as np

from kgan import images, latent_files
from kgan.cli import drawing
from kgan.cli.engines import check_sampling
from kgan.cli.labels import parse_labels
from kgan.cli.models import import_models, import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_writable, in_directory
from kgan.cli.train import parse_box
from kgan.data.folder import read_picture
from kgan.data.resize import Rule
from kgan.errors import say

SHOWS = "left: a photograph that was given; right: the picture of the model closest to it"


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
    metadata, recipe = found.metadata, found.recipe
    labels = None if label is None else parse_labels(label, metadata)
    if labels is not None and len(labels) > 1:
        raise click.UsageError(f"Expected --label with one class. Received: --label {label}")
    box = None if box is None else parse_box(box)
    rule = Rule.checked(metadata["image_shape"], "crop", recipe.data.background, box)
    picture = read_picture(photo, rule)
    name = drawing.name_of(found)
    out = in_directory(out or Path(f"{name}-projection.png"), f"{name}-projection.png", ".png")
    beside = out.with_suffix(".npz")
    for path in (out, beside):
        check_writable(path)
    import_models(import_file)
    # Late: they import TensorFlow.
    from kgan.metrics.extractors import extractor
    from kgan.runs.extraction import extractor_of
    from kgan.runs.train import Interrupted, collected_signals
    from kgan.zoo import saving

    height, width, _ = rule.image_shape
    part = "center" if box is None else "box"
    say(
        f"Nothing was aligned: the {part} of the photo was made {width}x{height} pixels; "
        "--box frames it as the model's pictures are",
        err=True,
    )
    model = saving.load(found)
    check_sampling(model, found)
    features, domain = None, extractor_of(recipe)
    if domain not in ("random", "inception"):  # of no domain, and not of TensorFlow
        features = extractor(domain)
    if features is not None and features.input_shape != rule.image_shape:
        features = None
    tried = model.num_classes if model.num_classes and labels is None else 1
    with collected_signals() as received, drawing.progress(steps * tried, "Steps", "steps") as show:
        made = 0

        def progress(done, total):
            nonlocal made
            show(done - made)
            made = done
            return bool(received)

        result = model.project(
            picture[None], steps, features, labels, starts=starts, seed=seed, progress=progress
        )
    kind = "styles" if "styles" in result else "latents"
    facts = images.provenance(
        metadata["model"],
        metadata["training"]["images_seen"],
        name,
        found.weights_sha256,
        verb="project",
        steps=steps,
        stopped_after=made if received else None,
        starts=starts,
        seed=seed,
        box=box,
        labels=result["labels"].tolist() if "labels" in result else None,
        extractor=None if features is None else features.name,
        error=float(result["error"][0]),
        loss=float(result["loss"][0]),
    )
    facts = {key: value for key, value in facts.items() if value is not None}
    both = np.concatenate([picture[None], result["images"]])
    composite = {"shows": SHOWS, "digital_source_type": images.COMPOSITE}
    images.save_png(images.grid(both, columns=2), out, {**facts, **composite})
    arrays = {key: result[key] for key in (kind, "labels") if key in result}
    latent_files.save(beside, facts, **arrays)
    if received:
        say(f"Stopped after {made:,} of {steps * tried:,} steps: this is the best so far", err=True)
    say(f"Mean squared error {facts['error']:.4f} of pixels in [-1, 1]", err=True)
    say(out)
    say(beside)
    if received:
        raise Interrupted(received[0])
