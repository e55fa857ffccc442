"""Frames of a picture file, as arrays."""

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image


def frames_of(file: Path | IO[bytes], mode: str) -> np.ndarray:
    """All frames in a mode of Pillow's: uint8 (frames, height, width[, channels])."""
    with Image.open(file) as picture:
        frames = []
        for i in range(picture.n_frames):
            picture.seek(i)
            frames.append(np.asarray(picture.convert(mode)))
    return np.stack(frames)
