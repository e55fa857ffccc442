"""Whether a file shows what its facts say: it is made again, and compared."""

import io
import math
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from kgan import images
from kgan.cli import drawing, sample, walk
from kgan.cli.provenance import Found
from kgan.errors import KganError
from kgan.sampling import Sampling

MOST_OFF = 0.001  # share of the values that may be off, by one level: another machine or engine


def difference(found: Found, verb: ModuleType, model: Sampling) -> str | None:
    """In what a file differs from what is drawn again; None if it does not.

    Files of a format that loses something are encoded again and compared as they show.

    Args:
        found: with facts.
        verb: what draws it.
        model: of the preset.

    Raises:
        KganError: if the model cannot draw it, or the file cannot be read.
    """
    facts = found.facts
    try:
        if found.format == "npz":
            return _of_arrays(found.path, facts, model)
        size = verb.size(facts, model.image_shape)
        if found.size != size:
            return f"it is {_by(found.size)}, not {_by(size)}"
        if verb is walk and "frame" not in facts:
            with _open(found.path, found.format) as shown:
                if getattr(shown, "n_frames", 1) > facts["frames"]:
                    return f"it has more than {facts['frames']:,} frames"
            with drawing.progress(facts["frames"], "Walking again", "frames") as advance:
                frames, suffix = walk.Frames(model, facts, advance), f".{found.format.lower()}"
                again = images.animation(frames, suffix, None, 1000 / facts["fps"])
        else:
            again = images.png(verb.draw(model, facts), None)
        return _of_pictures(found.path, found.format, io.BytesIO(again))
    except (KganError, MemoryError):
        raise
    except Exception as error:  # of decoders, which raise what they like
        raise KganError(
            f"Expected a file that can be read. Received: {found.path}: {error}"
        ) from None


def _of_pictures(path, form, again):
    off = values = 0
    with _open(path, form) as shown, Image.open(again) as drawn:
        counts = [getattr(picture, "n_frames", 1) for picture in (shown, drawn)]
        if counts[0] != counts[1]:
            return f"it stores {counts[0]:,} frames, not {counts[1]:,}"
        for frame in range(counts[0]):
            pixels, times = [], []
            for picture in (shown, drawn):
                picture.seek(frame)
                pixels.append(np.asarray(picture.convert("RGBA"), np.int16))
                times.append(picture.info.get("duration"))
            if times[0] != times[1]:
                return f"frame {frame:,} is shown for {times[0]} milliseconds, not {times[1]}"
            apart = np.abs(pixels[0] - pixels[1])
            if apart.max() > 1:
                return f"values are up to {apart.max()} levels apart"
            off += np.count_nonzero(apart)
            values += apart[..., :3].size
    return _too_many(off, values)


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


def _open(path: Path, form):
    return Image.open(path, formats=[form])


def _by(size):
    return f"{size[0]:,}x{size[1]:,}"
