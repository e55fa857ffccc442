"""Whether a file shows what its facts say: it is made again, and compared."""

import io
import math
import zipfile
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from PIL import Image

from kgan import images
from kgan.cli import drawing, sample, walk
from kgan.cli.provenance import Found
from kgan.errors import KganError
from kgan.sampling import Sampling

MOST_OFF = 0.001  # share of the values that may be off, by one level: another machine or engine

# So much farther from what is drawn may be what a lossy file shows that was made elsewhere.
# Measured: GIFs with another palette 1.03 times and 4.3 levels, WebPs by another method 1.05, 3.5.
_MORE_LOSS = 1.25  # times that of a frame encoded here, on average...
_MORE_OF_BLOCKS = 8  # ...and levels of the mean of a block of as many pixels a side
_BLOCK = 8
_STRIP = 256  # rows that are compared at a time

SAME = "drawn again, it is the same"
CLOSE = "drawn again, it is the same but for the loss of its format"


@dataclass(frozen=True)
class Verdict:
    """Whether a file is what is drawn again, and words for it."""

    is_same: bool
    words: str


def compare(found: Found, verb: ModuleType, model: Sampling) -> Verdict:
    """Draws a file again and compares.

    Animations are encoded again and compared as they show. If a lossy one is not the same, which
    a single level of a drawn value can bring about, it is compared with what is drawn, from which
    it may hardly be farther than what is encoded here.

    Args:
        found: with facts.
        verb: what draws it.
        model: of the preset.

    Raises:
        KganError: if the model cannot draw it, or the file cannot be read.
    """
    try:
        with drawing.large_pictures():
            return _compare(found, verb, model)
    except (KganError, MemoryError):
        raise
    except Exception as error:  # of decoders, which raise what they like
        raise KganError(
            f"Expected a file that can be read. Received: {found.path}: {error}"
        ) from None


def _compare(found, verb, model):
    facts = found.facts
    if found.format == "npz":
        return _verdict(_of_arrays(found.path, facts, model))
    size = verb.size(facts, model.image_shape)
    if found.size != size:
        return _verdict(f"it is {_by(found.size)}, not {_by(size)}")
    if verb is not walk or "frame" in facts:
        again = io.BytesIO(images.png(verb.draw(model, facts), None))
        return _verdict(_of_pictures(found, again))
    with _open(found) as shown:
        if getattr(shown, "n_frames", 1) > facts["frames"]:
            return _verdict(f"it has more than {facts['frames']:,} frames")
    suffix = f".{found.format.lower()}"
    with drawing.progress(facts["frames"], "Walking again", "frames") as advance:
        frames = walk.Frames(model, facts, advance)
        again = io.BytesIO(images.animation(frames, suffix, None, 1000 / facts["fps"]))
    different = _of_pictures(found, again)
    if different and found.format != "PNG" and _is_close(found, again, walk.Frames(model, facts)):
        return Verdict(True, CLOSE)
    return _verdict(different)


def _verdict(different):
    return Verdict(different is None, different or SAME)


def _of_pictures(found, again):
    off = values = 0
    with _open(found) as shown, Image.open(again) as drawn:
        counts = [getattr(picture, "n_frames", 1) for picture in (shown, drawn)]
        if counts[0] != counts[1]:
            return f"it stores {counts[0]:,} frames, not {counts[1]:,}"
        for frame in range(counts[0]):
            for picture in (shown, drawn):
                picture.seek(frame)
                picture.load()  # which tells how long it is shown
            times = [picture.info.get("duration") for picture in (shown, drawn)]
            if times[0] != times[1]:
                return f"frame {frame:,} is shown for {times[0]} milliseconds, not {times[1]}"
            for top in range(0, shown.height, _STRIP):
                box = (0, top, shown.width, min(top + _STRIP, shown.height))
                apart = np.abs(_pixels(shown.crop(box)) - _pixels(drawn.crop(box)))
                if apart.max() > 1:
                    return f"values are up to {apart.max()} levels apart"
                off += np.count_nonzero(apart)
                values += apart[..., :3].size
    return _too_many(off, values)


def _is_close(found, again, frames):
    """Whether a lossy animation shows drawn frames hardly worse than one that is encoded here."""
    *starts, end = images.frame_times(
        len(frames), f".{found.format.lower()}", 1000 / found.facts["fps"]
    )
    with _open(found) as shown, Image.open(again) as encoded:
        for frame, *both in zip(
            frames, *(_at(p, starts, end) for p in (shown, encoded)), strict=True
        ):
            if both[0] is None:
                return False
            loss, least = (shown[..., :3] - frame.astype(np.int16) for shown in both)
            if not least.any() and loss.any() or (both[0][..., 3] < 255).any():
                return False
            if np.abs(loss).mean() > _MORE_LOSS * np.abs(least).mean():
                return False
            if (np.abs(_blocks(loss)) > np.abs(_blocks(least)) + _MORE_OF_BLOCKS).any():
                return False
    return True


def _at(picture, starts, end):
    """What an animation shows at times that ascend; None once it has ended, or if it goes on."""
    count, frame, until = getattr(picture, "n_frames", 1), -1, 0
    for start in starts:
        while until <= start and frame + 1 < count:
            frame += 1
            picture.seek(frame)
            pixels = _pixels(picture)
            until += picture.info.get("duration", 0)
        over = until <= start or until > end or (start == starts[-1] and frame + 1 < count)
        yield None if over else pixels


def _pixels(picture):
    return np.asarray(picture.convert("RGBA"), np.int16)


def _blocks(values):
    """Means of blocks; zeros are added to those at the edges."""
    height, width, channels = values.shape
    padded = np.pad(values, [(0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0)])
    cut = padded.reshape(len(padded) // _BLOCK, _BLOCK, -1, _BLOCK, channels)
    return cut.mean((1, 3))


def _of_arrays(path, facts, model):
    shape = (facts["n"], *model.image_shape)
    off = 0
    with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            return f"its images are of NumPy's format {version}"
        stored = np.lib.format.read_array_header_1_0(file)
        if stored != (shape, False, np.dtype(np.uint8)):
            return f"it holds {stored[2]} of shape {stored[0]}, not uint8 of shape {shape}"
        if archive.getinfo("images.npy").file_size < math.prod(shape):
            return "it is cut off"
        with drawing.progress(facts["n"], "Sampling again", "images") as advance:
            for batch in sample.draw_array(model, facts):
                content = file.read(batch.size)
                if len(content) < batch.size:
                    return "it is cut off"
                stored = np.frombuffer(content, np.uint8).reshape(batch.shape)
                apart = np.abs(stored.astype(np.int16) - batch)
                if apart.max() > 1:
                    return f"values are up to {apart.max()} levels apart"
                off += np.count_nonzero(apart)
                advance(len(batch))
    return _too_many(off, math.prod(shape))


def _too_many(off, values):
    if off > MOST_OFF * values:
        return f"{off:,} of {values:,} values are one level apart"
    return None


def _open(found):
    return Image.open(found.path, formats=[found.format])


def _by(size):
    return f"{size[0]:,}x{size[1]:,}"
