"""`kgan walk`."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from kgan import images
from kgan.checks import SEED, list_of, number, whole
from kgan.cli import drawing
from kgan.cli.bounded import Bounded
from kgan.cli.engines import drawn_by, engine_option
from kgan.cli.labels import parse_labels
from kgan.cli.models import import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_writable, is_called_a_file, say_written
from kgan.cli.seeds import MOST_SEEDS, Seeds, seeds_text
from kgan.files import replacing_directory
from kgan.sampling import Sampling

MOST_FRAMES = 100_000
FPS = number(0.1, 60)  # browsers slow down what is faster
FIELDS = {
    **drawing.FIELDS,
    "seeds": list_of(SEED, MOST_SEEDS),
    "frames": whole(2, MOST_FRAMES),
    "fps": FPS,
    "n": whole(1, drawing.MOST_IN_A_GRID),
    "columns": whole(1, drawing.MOST_IN_A_GRID),
    "frame": whole(0, MOST_FRAMES - 1),
}
NEEDED = {"seeds", "frames", "n", "columns"}


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.option(
    "--seeds",
    type=Seeds(),
    default="0,7,12",
    show_default=True,
    help="At least two, such as 0-5,9: the walk leads from the images of each to those of the "
    "next, and back to the first.",
)
@click.option(
    "--frames",
    type=click.IntRange(2, MOST_FRAMES),
    default=60,
    show_default=True,
    help="In all, at least as many as seeds.",
)
@click.option(
    "--fps", type=Bounded(FPS), default=24, show_default=True, help="Frames a second; GIF to 50."
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    help="Images side by side, each on a way of its own. [default: 1; with --labels 1 of each]",
)
@click.option(
    "--columns",
    type=click.IntRange(1, drawing.MOST_IN_A_GRID),
    help="Images a row. [default: all in one row; of several --labels a row for each]",
)
@drawing.labels_option
@drawing.truncation_option
@click.option(
    "--out",
    type=ExpandedPath(),
    help="File that ends in .webp, .gif or .png, or directory for a PNG of each frame. "
    "[default: NAME-walk.webp]",
)
@drawing.scale_option
@drawing.resample_option
@engine_option
@import_option
def command(
    source: str,
    seeds: list[int],
    frames: int,
    fps: float,
    count: int | None,
    columns: int | None,
    labels: str | None,
    truncation: float | None,
    out: Path | None,
    scale: int,
    resample: str | None,
    engine: str,
    import_file: Path | None,
) -> None:
    """Animate a walk through the latent space of the preset NAME (or of a preset directory).

    An animation without end: each image turns into the next along an arc of the latent space, with
    StyleGAN along a straight line between styles. WebP is lossy and small, PNG (APNG) keeps every
    pixel, GIF has 256 colors and is played everywhere. Of PNGs in a directory, ffmpeg makes what
    else there is: ffmpeg -framerate 24 -i walk/frame-%05d.png walk.mp4

    \b
    Examples:
      kgan walk dcgan-celeba
      kgan walk dcgan-celeba --seeds 0-5,9 --frames 240 -n 4 --out faces.webp
      kgan walk cgan-fashion-mnist --labels 0-9 --columns 5 --out clothes.gif
      kgan walk stylegan-lite-celeba --truncation 0.7 --scale 4 --out frames/
    """
    found = opened(source, import_file)
    classes = None if labels is None else parse_labels(labels, found.metadata)
    count = count or (1 if classes is None else len(classes))
    dealt = drawing.dealt(classes, count)
    if not 2 <= len(seeds) <= frames:
        raise click.UsageError(
            f"Expected at least two --seeds, and as many --frames. Received: {len(seeds)} seeds, "
            f"--frames {frames}"
        )
    out = _output(out, f"{drawing.name_of(found)}-walk.webp")
    is_file = out.suffix.lower() in images.ANIMATION_SUFFIXES and not out.is_dir()
    if is_file and out.suffix.lower() == ".gif" and 1000 / fps < images.FASTEST_GIF:
        raise click.UsageError(
            f"Expected --fps of at most {1000 / images.FASTEST_GIF:g} with GIF: what is faster, "
            f"players slow down to 10. Received: --fps {fps:g}"
        )
    drawing.check_number(count, f"-n {count}")
    shape = found.metadata["image_shape"]
    drawing.check_pixels(shape, count, scale)
    walk = {"seeds": seeds, "frames": frames, "fps": fps, "n": count}
    walk["columns"] = min(columns or _columns(count, classes), count)
    facts = drawing.facts_of(found, "walk", dealt, truncation, scale, resample, **walk)
    if is_file:
        images.check_animation(*size(facts, shape), frames, out.suffix.lower())
    check_writable(out)
    model = drawn_by(found, engine, import_file)
    with drawing.progress(frames, "Walking", "frames") as advance:
        drawn = Frames(model, facts, advance)
        if is_file:
            images.save_animation(drawn, out, facts, 1000 / fps)
        else:
            _save_frames(drawn, out, {key: facts[key] for key in facts if key != "fps"})
    say_written(out)


class Frames:
    """The frames of a walk that facts tell of, drawn as they are asked for.

    Args:
        model: that draws.
        facts: of the picture.
        advance: is called with 1 whenever one is done.
    """

    def __init__(
        self,
        model: Sampling,
        facts: dict[str, Any],
        advance: Callable[[int], None] = lambda count: None,
    ):
        self._model = model
        self._facts = facts
        self._advance = advance

    def __len__(self) -> int:
        return self._facts["frames"]

    def __iter__(self) -> Iterator[np.ndarray]:
        facts = self._facts
        options = {**drawing.options_of(facts), "labels": facts.get("labels")}
        way = self._model.iter_interpolation(facts["seeds"], facts["frames"], facts["n"], **options)
        for pictures in way:
            if facts["n"] == 1:  # no frame around it
                yield drawing.enlarged(pictures, facts)[0]
            else:
                yield drawing.sheet(pictures, facts["columns"], facts)
            self._advance(1)


def draw(model: Sampling, facts: dict[str, Any]) -> np.ndarray:
    """The frame that facts tell of, as the command draws it."""
    return next(itertools.islice(Frames(model, facts), facts["frame"], None))


def is_consistent(facts: dict[str, Any]) -> bool:
    """Whether facts, each of which is right, go together."""
    number, frames = facts["n"], facts["frames"]
    shown = facts["frame"] < frames if "frame" in facts else "fps" in facts
    enough = 2 <= len(facts["seeds"]) <= frames and facts["columns"] <= number
    return shown and enough and len(facts.get("labels", range(number))) == number


def size(facts: dict[str, Any], image_shape: Sequence[int]) -> tuple[int, int]:
    """Width and height of the frames."""
    if facts["n"] == 1:
        return drawing.picture_size(image_shape, facts)
    return drawing.sheet_size(image_shape, facts["n"], facts["columns"], facts)


def arguments(facts: dict[str, Any]) -> list[str]:
    """The options that draw a picture of these facts, but for labels and the path."""
    columns = facts["columns"]
    if columns == _columns(facts["n"], drawing.classes_in(facts)):
        columns = None
    seeds = seeds_text(facts["seeds"])
    more = {"frames": facts["frames"], "fps": facts.get("fps"), "n": facts["n"]}
    return drawing.arguments(facts, seeds=seeds, **more, columns=columns)


def place(facts: dict[str, Any], suffix: str) -> tuple[str, str]:
    """What --out is to be for a file of these facts, and where the file then is."""
    if "frame" in facts:
        return "again", f"again/{_name(facts['frame'])}"
    return f"again{suffix}", f"again{suffix}"


def _columns(count, classes):
    return count // len(classes) if classes and len(classes) < count else count


def _output(out: Path | None, name: str) -> Path:
    """The file or directory to write, seen to be possible before any work is done."""
    out = out or Path(name)
    if out.is_dir():
        if out.resolve() in (here := Path.cwd(), *here.parents):  # which is to be replaced
            raise click.UsageError(
                f"Expected a directory that you are not in. Received: --out {out}"
            )
        if all(map(_is_frame, out.iterdir())):
            return out
    elif out.suffix.lower() in images.ANIMATION_SUFFIXES or not (
        out.exists() or is_called_a_file(out)
    ):
        return out
    raise click.UsageError(
        f"Expected a file that ends in {', '.join(images.ANIMATION_SUFFIXES)}, or a directory, "
        f"new, empty or of frames. Received: --out {out}"
    )


def _is_frame(path):
    """Whether a file is one that kgan has made of a walk: others' may be called like it."""
    if re.fullmatch(r"frame-\d+\.png", path.name) is None:
        return False
    try:
        with drawing.large_pictures(), Image.open(path, formats=["PNG"]) as picture:
            return images.provenance_text(picture, whole=False) is not None
    except Exception:  # of decoders, which raise what they like
        return False


def _save_frames(frames, out, facts):
    with replacing_directory(out.resolve()) as partial:
        for index, frame in enumerate(frames):
            content = images.png(frame, {**facts, "frame": index})
            (partial / _name(index)).write_bytes(content)


def _name(frame):
    return f"frame-{frame:05d}.png"
