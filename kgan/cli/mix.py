"""`kgan mix`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from kgan import images
from kgan.checks import SEED, list_of, one_of
from kgan.cli import drawing
from kgan.cli.engines import drawn_by, engine_option
from kgan.cli.labels import parse_labels
from kgan.cli.models import import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_writable, in_directory, say_written
from kgan.cli.seeds import MOST_SEEDS, Seeds, seeds_text
from kgan.errors import KganError
from kgan.latents import sample_labels, sample_latents
from kgan.sampling import LAYERS, Sampling, StyleSampling

FIELDS = {
    **drawing.FIELDS,
    "rows": list_of(SEED, MOST_SEEDS),
    "cols": list_of(SEED, MOST_SEEDS),
    "layers": one_of(*LAYERS),
}
NEEDED = {"rows", "cols", "layers"}


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.option(
    "--rows",
    type=Seeds(),
    default="0-5",
    show_default=True,
    help="Seeds, such as 0-5,9, of the images in the first column: a row is one of them...",
)
@click.option(
    "--cols",
    type=Seeds(),
    default="6-9",
    show_default=True,
    help="...with styles of an image in the first row.",
)
@click.option(
    "--layers",
    type=click.Choice(LAYERS),
    default="coarse",
    show_default=True,
    help="Which styles those are: coarse (pose, shape), middle or fine (color, detail).",
)
@click.option(
    "--labels",
    help="Of a conditional model: the class of all images, by name or number. [default: that of "
    "the first row]",
)
@drawing.truncation_option
@click.option("--out", type=ExpandedPath(), help="PNG to write. [default: NAME-mix.png]")
@drawing.scale_option
@drawing.resample_option
@engine_option
@import_option
def command(
    source: str,
    rows: list[int],
    cols: list[int],
    layers: str,
    labels: str | None,
    truncation: float | None,
    out: Path | None,
    scale: int,
    resample: str | None,
    engine: str,
    import_file: Path | None,
) -> None:
    """Mix the styles of images of the preset NAME (or of a preset directory), a StyleGAN.

    The first column and the first row show images of a seed each. The others are the image of
    their row, but for the styles of some layers, which they have of that of their column (Karras
    et al. 2019, figure 3).

    \b
    Examples:
      kgan mix stylegan-lite-celeba
      kgan mix stylegan-lite-celeba --rows 0-5 --cols 6-9 --layers fine --out mix.png
    """
    found = opened(source, import_file)
    classes = None if labels is None else parse_labels(labels, found.metadata)
    if classes is not None and len(classes) != 1:
        raise click.UsageError(
            f"Expected --labels with one class, of all images. Received: --labels {labels}"
        )
    name = f"{drawing.name_of(found)}-mix.png"
    out = in_directory(out or Path(name), name, ".png")
    number = (1 + len(rows)) * (1 + len(cols))
    drawing.check_number(number, f"{number} by --rows and --cols")
    drawing.check_pixels(found.metadata["image_shape"], number, scale)
    check_writable(out)
    model = drawn_by(found, engine, import_file)
    facts = drawing.facts_of(
        found,
        "mix",
        classes,
        truncation,
        scale,
        resample,
        **{"rows": rows, "cols": cols, "layers": layers},
    )
    with drawing.progress(number, "Mixing", "images") as advance:
        picture = draw(model, facts, advance)
    images.save_png(picture, out, facts)
    say_written(out)


def draw(
    model: Sampling,
    facts: dict[str, Any],
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """The picture that facts tell of, as the command draws it.

    Raises:
        KganError: if the model has no styles.
    """
    if not isinstance(model, StyleSampling):
        raise KganError(
            "Expected a model that draws by styles, such as a StyleGANLite. Received: "
            f"{facts['model']}, a {model.kind}"
        )
    rows, cols = facts["rows"], facts["cols"]
    label = facts["labels"][0] if "labels" in facts else None
    if label is None and model.num_classes is not None:
        label = int(sample_labels(rows[0], 0, 1, model.num_classes)[0])
    options = drawing.options_of(facts)
    seeds = [*rows, *cols]
    latents = np.concatenate([sample_latents(seed, 0, 1, model.latent_dim) for seed in seeds])
    sources = model.render(latents, label, **options)
    corner = np.full((1, *model.image_shape), 255, np.uint8)
    pictures = [corner, sources[len(rows) :]]
    advance(1 + len(seeds))
    together = max(1, model.sample_chunk // len(cols))  # rows that fill a chunk
    for begin in range(0, len(rows), together):
        some = rows[begin : begin + together]
        for row, mixed in enumerate(model.mix(some, cols, facts["layers"], label, **options)):
            pictures += [sources[begin + row : begin + row + 1], mixed]
        advance(len(some) * len(cols))
    return drawing.sheet(np.concatenate(pictures), 1 + len(cols), facts)


def is_consistent(facts: dict[str, Any]) -> bool:
    """Whether facts, each of which is right, go together."""
    return len(facts.get("labels", [0])) == 1


def size(facts: dict[str, Any], image_shape: Sequence[int]) -> tuple[int, int]:
    """Width and height of what `draw` gives."""
    rows, columns = 1 + len(facts["rows"]), 1 + len(facts["cols"])
    return drawing.sheet_size(image_shape, rows * columns, columns, facts)


def arguments(facts: dict[str, Any]) -> list[str]:
    """The options that draw a picture of these facts, but for labels and the path."""
    rows, cols = seeds_text(facts["rows"]), seeds_text(facts["cols"])
    return drawing.arguments(facts, rows=rows, cols=cols, layers=facts["layers"])


def place(facts: dict[str, Any], suffix: str) -> tuple[str, str]:
    """What --out is to be for a file of these facts, and where the file then is."""
    return "again.png", "again.png"
