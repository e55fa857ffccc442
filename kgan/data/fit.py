"""The one rule by which an image of any size becomes a square one."""

import numpy as np
from PIL import Image


def fit_image(picture: Image.Image, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Center-crops a picture to the target's proportions and resizes it with antialiasing.

    Args:
        picture: of any size and mode.
        image_shape: (height, width, channels), 1 or 3 channels.

    Returns:
        uint8 array of that shape.
    """
    height, width, channels = image_shape
    mode = "L" if channels == 1 else "RGB"
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        shades = np.asarray(picture).astype(np.float32) / 257.0
        picture = Image.fromarray(np.rint(shades).astype(np.uint8))
    if picture.mode != mode:
        picture = picture.convert(mode)
    if picture.size != (width, height):
        scale = min(picture.width / width, picture.height / height)
        # Rounding may take what should be 0 below it, which Pillow refuses.
        left = max(0.0, (picture.width - width * scale) / 2)
        top = max(0.0, (picture.height - height * scale) / 2)
        box = (left, top, left + width * scale, top + height * scale)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.asarray(picture, np.uint8).reshape(image_shape)
