"""The one rule by which a picture of any size and kind becomes an array of one shape."""

import math
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, Self

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageColor

from kgan.checks import WHOLE, check_box, one_of, shape_of_images
from kgan.errors import KganError

RESIZES = ("crop", "pad", "stretch")
# JPEGs are decoded at 1/2, 1/4 or 1/8 of their size as long as this many times the target is left.
# What comes out then is within 12 levels of the full decode, and within 1 on average.
_DRAFT = 4
# Of pictures that take more bytes than this, one is decoded at a time.
LARGE = 1 << 27

_one_at_a_time = threading.Lock()
_SHADES = np.rint(np.arange(65536) / 257).astype(np.uint8)  # 16 bits to 8
_TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Where a box of the turned picture lies before the turn.
_UNTURNED = {
    2: lambda left, top, right, bottom: (1 - right, top, 1 - left, bottom),
    3: lambda left, top, right, bottom: (1 - right, 1 - bottom, 1 - left, 1 - top),
    4: lambda left, top, right, bottom: (left, 1 - bottom, right, 1 - top),
    5: lambda left, top, right, bottom: (top, left, bottom, right),
    6: lambda left, top, right, bottom: (top, 1 - right, bottom, 1 - left),
    7: lambda left, top, right, bottom: (1 - bottom, 1 - right, 1 - top, 1 - left),
    8: lambda left, top, right, bottom: (1 - bottom, left, 1 - top, right),
}


class Rule(NamedTuple):
    """How pictures become images of one shape.

    Attributes:
        image_shape: (height, width, channels), 1 or 3 channels.
        resize: `"crop"` to the shape's proportions at the center; `"pad"` with bars of the
            background; or `"stretch"`.
        background: a color by name, such as `"white"`, or as `"#rrggbb"`.
        box: (left, top, right, bottom) of the part of each picture to be taken, in fractions of
            its width and height, as it is turned. None for all of it.
    """

    image_shape: tuple[int, int, int]
    resize: str
    background: str
    box: tuple[float, float, float, float] | None

    @classmethod
    def checked(
        cls,
        image_shape: Sequence[int],
        resize: str = "crop",
        background: str = "white",
        box: Sequence[float] | None = None,
    ) -> Self:
        """A rule; raises KganError if there is none such."""
        shape_of_images().check("image_shape", image_shape)
        one_of(*RESIZES).check("resize", resize)
        shape = tuple(map(int, image_shape))  # of NumPy too
        rule = cls(shape, resize, background, None if box is None else check_box(box))
        try:
            _ = rule.color
        except (ValueError, AttributeError, TypeError):
            raise KganError(
                "Expected background to be a color such as 'white' or '#ff8000'. Received: "
                f"{background!r}"
            ) from None
        return rule

    @property
    def color(self) -> tuple[int, int, int]:
        """The background as (red, green, blue)."""
        return ImageColor.getrgb(self.background)[:3]


def resize_image(picture: Image.Image, rule: Rule) -> np.ndarray:
    """Makes any picture that Pillow opens an array of one shape.

    It is turned as EXIF says, what is transparent is put over the background, and it is resized
    with antialiasing. Of an animation the first frame is taken. 16-bit shades are divided by 257.
    Pictures of 32-bit integers are taken for 8-bit if no value is above 255, else for 16-bit;
    floats for [0, 1] if no value is above 1, else as integers. LAB is converted to sRGB; other
    color profiles are ignored, as CMYK's is.

    Args:
        picture: of any size and mode. One that has not been loaded yet is: a JPEG much larger than
            the target at reduced size, which changes its pixels by a level or two.
        rule: what it becomes.

    Returns:
        uint8 array of the rule's shape.

    Raises:
        ValueError: for numbers that are no shades (below 0, above 65535, NaN); and whatever
            Pillow raises for a broken file.
    """
    height, width, channels = image_shape = rule.image_shape
    left, top, right, bottom = box = rule.box or WHOLE
    mode = "L" if channels == 1 else "RGB"
    side = math.ceil(_DRAFT * max(height, width) / min(right - left, bottom - top))
    drafted = picture.draft(None, (side, side))
    with _one_at_a_time if bytes_taken(picture, image_shape) > LARGE else nullcontext():
        picture.load()
        orientation = _orientation(picture)
        turn = _TURNS.get(orientation)
        picture = _convert(picture, mode, rule.color)
        # A draft's last column and row may stand for a part of one: its true size is a fraction.
        size = drafted[1][2:] if drafted else picture.size
        if size != picture.size:
            if turn is not None:
                left, top, right, bottom = box = _UNTURNED[orientation](left, top, right, bottom)
                if orientation >= 5:  # it lies on its side
                    height, width = width, height
        elif turn is not None:
            picture, turn = picture.transpose(turn), None
            size = picture.size
        picture = _resize(picture, size, (width, height), rule.resize, box)
    if turn is not None:
        picture = picture.transpose(turn)
    height, width, _ = image_shape
    if picture.size != (width, height):
        padded = Image.new("RGB", (width, height), rule.color).convert(mode)
        padded.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        picture = padded
    return np.asarray(picture, np.uint8).reshape(image_shape)


def bytes_taken(picture: Image.Image, image_shape: tuple[int, int, int]) -> int:
    """Most bytes of memory that `resize_image` takes for a picture of a known size."""
    ready = picture.mode == ("L" if image_shape[2] == 1 else "RGB")
    ready = ready and not picture.has_transparency_data
    # Pillow has 4 bytes a pixel in all modes of color. Turning makes a second picture, conversion
    # a third.
    return picture.width * picture.height * (8 if ready else 12)


def _orientation(picture):
    try:
        return picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # metadata may be anything; the picture is shown as it is, as viewers do
        return None


def _convert(picture, mode, color):
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        values, clear = np.asarray(picture), picture.info.get("transparency")
        picture = Image.fromarray(_SHADES[values])
        if clear is not None:
            picture.putalpha(Image.fromarray(np.uint8(255) * (values != clear)))
    elif picture.mode in ("I", "F"):
        picture = Image.fromarray(_to_8_bits(np.asarray(picture)))
    elif picture.mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture,
            ImageCms.createProfile("LAB"),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    elif picture.mode == "La":  # Pillow converts it to nothing but
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        flat = Image.new("RGB", picture.size, color)
        flat.paste(picture, mask=picture)
        picture = flat
    return picture if picture.mode == mode else picture.convert(mode)


def _to_8_bits(values):
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= 65535:
        raise KganError(f"Expected shades from 0 to 65535. Received: {low:g} to {high:g}")
    if values.dtype.kind == "f" and high <= 1:
        values = values * np.float32(255)
    elif high > 255:
        values = values / np.float32(257)
    return np.rint(values).astype(np.uint8)


def _resize(picture, size, target, how, box):
    """A picture, whose true size is `size`, at the target's size, or within it to be padded."""
    left, top = box[0] * size[0], box[1] * size[1]
    width, height = (box[2] - box[0]) * size[0], (box[3] - box[1]) * size[1]
    if how == "crop":
        scale = min(width / target[0], height / target[1])
        left += (width - target[0] * scale) / 2
        top += (height - target[1] * scale) / 2
        width, height = target[0] * scale, target[1] * scale
    elif how == "pad":
        scale = max(width / target[0], height / target[1])
        target = max(1, round(width / scale)), max(1, round(height / scale))
    if picture.size == target and box == WHOLE:
        return picture
    # Rounding may take an edge out of the picture, which Pillow refuses.
    edges = (left, top, left + width, top + height)
    edges = [min(max(0.0, edge), end) for edge, end in zip(edges, 2 * picture.size, strict=True)]
    return picture.resize(target, Image.Resampling.LANCZOS, box=edges)
