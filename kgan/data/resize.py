"""The one rule by which a picture of any size and kind becomes an array of one shape."""

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple, Self

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageColor
from PIL.TiffImagePlugin import BITSPERSAMPLE

from kgan.checks import WHOLE, check_box, one_of, shape_of_images
from kgan.errors import KganError

RESIZES = ("crop", "pad", "stretch")
# JPEGs are decoded at 1/2, 1/4 or 1/8 of their size as long as this many times the target is left.
# What comes out then is within 12 levels of the full decode, and within 1 on average.
_DRAFT = 4
# Of pictures that take more bytes than this, one is decoded at a time.
LARGE = 1 << 27
_BLOCK = 512  # pixels a side: NumPy's copies of a whole picture would take several times its memory
# Lanczos takes 48 bytes for each pixel of a side; a side longer than twice this is reduced before,
# so that twice as many are the most.
_LONG = 1 << 18

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
        half: 0 for the left half of each picture, 1 for the right one; the box is then of this.
            None for the whole.
    """

    image_shape: tuple[int, int, int]
    resize: str
    background: str
    box: tuple[float, float, float, float] | None
    half: int | None = None

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
    whole = picture.size
    # A draft's pixels may belong to both halves.
    drafted = picture.draft(None, (side, side)) if rule.half is None else None
    with _one_at_a_time if bytes_taken(picture, whole, image_shape) > LARGE else nullcontext():
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
        if rule.half is not None:
            picture = _half(picture, rule.half)
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


def bytes_taken(
    picture: Image.Image, whole: tuple[int, int], image_shape: tuple[int, int, int]
) -> int:
    """Most bytes of memory that `resize_image` takes for a picture of a known size.

    Args:
        picture: as it is decoded: of a JPEG, perhaps a draft.
        whole: its (width, height) in the file.
        image_shape: what it becomes.
    """
    ready = picture.mode == ("L" if image_shape[2] == 1 else "RGB")
    ready = ready and not picture.has_transparency_data
    width, height = picture.size
    # Pillow has 4 bytes a pixel in all modes of color, and a pointer to each row. Turning makes a
    # second picture, conversion a third.
    one = height * (4 * width + 8)
    loading, kept = (math.ceil(n * math.prod(whole)) for n in _decoder_bytes(picture))
    # Between its two passes a picture has the new width and the old height, unless it is very tall.
    between = 0 if height > 100 * width else 4 * image_shape[1] * height
    resizing = between + 48 * min(width + height, 4 * _LONG)
    return max(one + loading, one * (2 if ready else 3) + kept) + resizing


def _decoder_bytes(picture):
    """Bytes a pixel that decoders take beside the picture: in decoding, and until it is closed.

    Measured, with what they have of the file itself.
    """
    bands = len(picture.getbands())
    if picture.format == "JPEG" and "progressive" in picture.info:
        return 2 * bands, 0  # all its coefficients, of whatever size it is decoded at
    if picture.format == "TIFF":  # a strip, before and after decompression, may be all of it
        return 2 * sum(picture.tag_v2.get(BITSPERSAMPLE, (1,))) / 8, 0
    if picture.format == "JPEG2000":  # numbers of 32 bits, and those of the file
        return 6 * bands, 0
    if picture.format in ("WEBP", "AVIF"):  # the canvases of an animation, or planes of 16 bits
        return 12 + bands, 8 + bands
    return 0, 0


def _orientation(picture):
    try:
        return picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # metadata may be anything; the picture is shown as it is, as viewers do
        return None


def turned_size(picture: Image.Image, whole: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of a picture that is turned as EXIF says.

    Args:
        picture: opened, perhaps as a draft.
        whole: its (width, height) in the file.
    """
    if picture.format == "TIFF":  # Pillow gives the size of the turned one before it is turned
        return whole
    lies = (_orientation(picture) or 1) in range(5, 9)
    return whole[::-1] if lies else whole


def _half(picture, half):
    """Cut out before it is resized: a filter would see over the edge."""
    width, height = picture.size
    if width % 2:
        raise KganError(f"Expected two halves, of an even width. Received: {width}x{height}")
    return picture.crop((half * width // 2, 0, (half + 1) * width // 2, height))


def _convert(picture, mode, color):
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        picture = _from_16_bits(picture)
    elif picture.mode in ("I", "F"):
        picture = _shaded(picture, _to_8_bits(picture))
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


def _from_16_bits(picture):
    shades = _shaded(picture, lambda values: _SHADES[values])
    clear = picture.info.get("transparency")
    if clear is not None:
        shades.putalpha(_shaded(picture, lambda values: np.uint8(255) * (values != clear)))
    return shades


def _to_8_bits(picture):
    """What makes the numbers of a picture shades."""
    ranges = [(values.min(), values.max()) for _, values in _blocks(picture)]
    low, high = np.min(ranges), np.max(ranges)  # NaN, if any is
    if not 0 <= low <= high <= 65535:
        raise KganError(f"Expected shades from 0 to 65535. Received: {low:g} to {high:g}")

    def shade(values):
        if values.dtype.kind == "f" and high <= 1:
            values = values * np.float32(255)
        elif high > 255:
            values = values / np.float32(257)
        return np.rint(values).astype(np.uint8)

    return shade


def _shaded(picture: Image.Image, shade: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """The gray picture of one in which there are other numbers than shades."""
    made = Image.new("L", picture.size)
    for place, values in _blocks(picture):
        made.paste(Image.fromarray(shade(values)), place)
    return made


def _blocks(picture: Image.Image) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """The places (left, top) and the values of the blocks of a picture."""
    width, height = picture.size
    # Of a strip as many pixels as of any other.
    wide, tall = (max(_BLOCK, _BLOCK**2 // side) for side in (height, width))
    for left, top in itertools.product(range(0, width, wide), range(0, height, tall)):
        box = (left, top, min(left + wide, width), min(top + tall, height))
        yield (left, top), np.asarray(picture.crop(box))


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
    gap = max(1.0, _LONG / max(target))
    return picture.resize(target, Image.Resampling.LANCZOS, box=edges, reducing_gap=gap)
