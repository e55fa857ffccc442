"""Pictures on disk: grids, and files, still or animated, that say what made them."""

import io
import itertools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from kgan import __version__
from kgan.checks import free_memory, number
from kgan.errors import KganError
from kgan.files import expanded, write

ANIMATION_SUFFIXES = (".png", ".webp", ".gif")
RESAMPLINGS = ("nearest", "lanczos")
SCREEN = 640  # pixels: about the width of a notebook's cell

FASTEST_GIF = 20  # milliseconds a frame: what is shorter is played at a tenth of a second

# IPTC's digital source types: of what a model has made, and of that beside what it was given.
GENERATED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"

_KEY = "kgan"
_GIF_BEGIN, _GIF_END = f'{{"{_KEY}": ', "}"  # of the comment
_GRAYS = bytes(level for level in range(256) for _ in range(3))
_LOOKED_AT = 1 << 16  # pixels, to choose the colors of a GIF by
_MOST_SIDES = {".webp": 16_383, ".gif": 65_535}
_MOST_STILL = 655_350  # milliseconds that a frame of a GIF lasts
_HELD = 8  # bytes a pixel of an animation, while Pillow makes a GIF or PNG of it
_DESCRIPTION, _SOFTWARE = ExifTags.Base.ImageDescription, ExifTags.Base.Software
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    "Iptc4xmpExt:DigitalSourceType="
    '"http://cv.iptc.org/newscodes/digitalsourcetype/{}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


class Frames(Protocol):
    """Pictures of an animation: how many, and one after the other."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Lays images out in rows on white.

    Args:
        images: uint8 array (n, height, width, channels).
        columns: images a row; by default as nearly square as n allows.
        gap: pixels between images and around them.

    Returns:
        uint8 array (rows * (height + gap) + gap, columns * (width + gap) + gap, channels).

    Raises:
        KganError: for no images.
    """
    n, height, width, channels = images.shape
    if n == 0:
        raise KganError(f"Expected at least one image. Received: an array of shape {images.shape}")
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8
    )
    for i, image in enumerate(images):
        top, left = (gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap))
        sheet[top : top + height, left : left + width] = image
    return sheet


def enlarge(images: np.ndarray, scale: int, resample: str) -> np.ndarray:
    """Images `scale` times as large: 64 pixels are a stamp on a screen.

    Args:
        images: uint8 array (n, height, width, channels), 1 or 3 channels.
        scale: int >= 1.
        resample: one of `RESAMPLINGS`: `"nearest"`, which keeps pixels as they are, or
            `"lanczos"`, which is smooth.

    Returns:
        uint8 array (n, height * scale, width * scale, channels).
    """
    if resample == "nearest":
        return images.repeat(scale, axis=1).repeat(scale, axis=2)
    _, height, width, channels = images.shape
    size = (width * scale, height * scale)
    return np.stack(
        [
            np.asarray(_picture(image).resize(size, Image.Resampling.LANCZOS)).reshape(
                *size[::-1], channels
            )
            for image in images
        ]
    )


def sheet(
    images: np.ndarray,
    columns: int | None = None,
    scale: int | None = None,
    resample: str = "lanczos",
) -> np.ndarray:
    """A grid of images that are large enough to see.

    Args:
        images: uint8 array (n, height, width, channels), 1 or 3 channels.
        columns: see `grid`.
        scale: int, times that images are enlarged. By default as often as keeps the grid within
            `SCREEN` pixels, up to 8 times.
        resample: see `enlarge`.

    Returns:
        uint8 array (height, width, channels).
    """
    if scale is None:
        sides = grid(images, columns).shape[:2]
        scale = min(max(SCREEN // max(sides), 1), 8)
    return grid(enlarge(images, scale, resample), columns, gap=2 * scale)


def shown(*sheet_of, **options) -> Image.Image:
    """`sheet`, as a picture of Pillow's, which a notebook displays."""
    return _picture(sheet(*sheet_of, **options))


def save_png(image: np.ndarray, path: str | os.PathLike, provenance: dict | None) -> Path:
    """Writes a PNG that says what made it, whole or not at all.

    Args:
        image: uint8 array (height, width, channels), 1 or 3 channels.
        path: of the file.
        provenance: what made it, as plain values: model, seed, kgan's version, ...; kept as JSON
            in the text chunk "kgan", beside the IPTC digital source type, which is its
            `digital_source_type` or else "trainedAlgorithmicMedia". None for a picture that no
            model made.
    """
    path = expanded(path)
    write(path, png(image, provenance))
    return path


def png(image: np.ndarray, provenance: dict | None) -> bytes:
    """The file that `save_png` writes."""
    return _encoded(_picture(image), "PNG", pnginfo=_png_info(provenance))


def save_animation(
    frames: Frames,
    path: str | os.PathLike,
    provenance: dict | None,
    milliseconds: float = 60,
) -> Path:
    """Writes an animation without end that says what made it, whole or not at all.

    Args:
        frames: uint8 arrays (height, width, channels), 1 or 3 channels; a list, or anything that
            has a length and is iterated over once. A frame that equals the one before, or in WebP
            nearly, is not stored: that one lasts longer.
        path: of the file; its suffix says the format. ".png" keeps every pixel; ".webp" is lossy,
            and in color several times smaller; ".gif" has 256 colors, for all frames the same. Of
            these, WebP alone is encoded frame by frame as they come.
        provenance: as in `save_png`. WebP, which has no text chunks, keeps it in EXIF, as the
            description of the picture, GIF in a comment.
        milliseconds: time that a frame is shown; GIF has hundredths of a second, and at least 20
            milliseconds. What is no whole number of them is made up for by the next frames.

    Raises:
        KganError: for another suffix, no frames, too short a time, frames that do not fit into
            the free memory, or a GIF that stands still for more than 655 seconds.
    """
    path = expanded(path)
    suffix = path.suffix.lower()
    if suffix not in ANIMATION_SUFFIXES or not len(frames):
        *others, last = ANIMATION_SUFFIXES
        raise KganError(
            f"Expected frames, and a file that ends in {', '.join(others)} or {last}. "
            f"Received: {len(frames)} frames, {path}"
        )
    write(path, animation(frames, suffix, provenance, milliseconds))
    return path


def animation(frames: Frames, suffix: str, provenance: dict | None, milliseconds: float) -> bytes:
    """The file that `save_animation` writes; `suffix` is one of `ANIMATION_SUFFIXES`."""
    least = FASTEST_GIF if suffix == ".gif" else 1
    number(least, 60_000).check("milliseconds", milliseconds)
    ends = frame_times(len(frames), suffix, milliseconds)
    options = {
        "save_all": True,
        "loop": 0,
        "duration": [stop - start for start, stop in itertools.pairwise(ends)],
    }
    one_by_one = iter(frames)
    first = next(one_by_one)
    height, width, _ = first.shape
    check_animation(width, height, len(frames), suffix)
    if suffix == ".webp":
        return _webp(first, _Following(one_by_one, len(frames) - 1), provenance, options)
    held = [first, *one_by_one]
    if suffix == ".gif":
        return _gif(held, provenance, options)
    first, *others = map(_picture, held)
    return _encoded(first, "PNG", pnginfo=_png_info(provenance), append_images=others, **options)


def frame_times(count: int, suffix: str, milliseconds: float) -> list[int]:
    """When each frame of an animation begins, in milliseconds, and when the last one ends."""
    unit = 10 if suffix == ".gif" else 1
    return [round(i * milliseconds / unit) * unit for i in range(count + 1)]


def check_animation(width: int, height: int, count: int, suffix: str) -> None:
    """Raises KganError if no animation can be made of as many frames of that size."""
    most = _MOST_SIDES.get(suffix, max(height, width))
    if max(height, width) > most:
        raise KganError(
            f"Expected at most {most:,} pixels a side, which is what {suffix} takes. Received: "
            f"{width:,}x{height:,}"
        )
    if suffix != ".webp" and _HELD * height * width * count > free_memory():
        raise KganError(
            f"Expected a {suffix} that fits into the free memory while it is made. Received: "
            f"{count:,} frames of {width:,}x{height:,}; .webp is made frame by frame"
        )


class _Following:
    """Pictures after the first, as Pillow reads them off a file: one at a time.

    Pillow lists what it is to append; of an animation among it, it asks for frame after frame.
    """

    def __init__(self, frames: Iterator[np.ndarray], count: int):
        self.n_frames = count
        self._frames = frames

    def seek(self, frame: int) -> None:
        self._picture = _picture(next(self._frames))

    def __getattr__(self, name):
        return getattr(self._picture, name)


def _webp(first, others, provenance, options):
    exif = Image.Exif()
    exif[_SOFTWARE] = "kgan"
    if provenance is not None:
        exif[_DESCRIPTION] = json.dumps(provenance)
        options["xmp"] = _xmp(provenance).encode()
    options["append_images"] = [others] if others.n_frames else []
    return _encoded(_picture(first), "WEBP", exif=exif, quality=90, method=4, **options)


def _gif(frames, provenance, options):
    palette, indices = _indexed(frames)
    still = longest = options["duration"][0]
    pairs = itertools.pairwise(indices)
    for (before, index), time in zip(pairs, options["duration"][1:], strict=True):
        still = still + time if np.array_equal(before, index) else time
        longest = max(longest, still)
    if longest > _MOST_STILL:
        raise KganError(
            f"Expected a .gif that stands still for at most {_MOST_STILL / 1000:.0f} seconds, "
            f"which is what it takes. Received: equal frames for {longest / 1000:,.0f} seconds"
        )
    pictures = []
    for index in indices:
        picture = Image.fromarray(index)
        picture.putpalette(palette)  # which makes "P" of "L"
        pictures.append(picture)
    if provenance is not None:
        options["comment"] = f"{_GIF_BEGIN}{json.dumps(provenance)}{_GIF_END}"
    first, *others = pictures
    content = _encoded(first, "GIF", palette=palette, append_images=others, **options)
    if provenance is None:
        return content
    # Pillow writes no XMP. Behind it, bytes that lead every reader of blocks to its end.
    trailer = bytes([1, *range(255, -1, -1), 0])
    return (
        content[:-1] + b"!\xff\x0bXMP DataXMP" + _xmp(provenance).encode() + trailer + content[-1:]
    )


def _indexed(frames):
    """The palette of frames, as bytes of RGB, and their pixels as indices into it.

    Up to 256 colors are kept as they are. Of more, the median cut's are taken, moved to the means
    of the pixels next to them; what these are off is diffused.
    """
    if frames[0].shape[-1] == 1:
        return _GRAYS, [frame[..., 0] for frame in frames]
    colors = np.empty(0, np.uint32)
    for frame in frames:
        colors = np.union1d(colors, _packed(frame))
        if len(colors) > 256:
            break
    else:
        palette = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1)
        return palette.astype(np.uint8).tobytes(), [
            np.searchsorted(colors, _packed(frame)).astype(np.uint8) for frame in frames
        ]
    step = -(-len(frames) * frames[0][..., 0].size // _LOOKED_AT)
    some = [frame.reshape(-1, 3)[i % step :: step] for i, frame in enumerate(frames)]
    cut = Image.fromarray(np.concatenate(some)[None]).quantize(256, kmeans=3)
    # Pillow takes a palette that has a color twice for another.
    chosen = np.unique(np.reshape(cut.getpalette(), (-1, 3)), axis=0).astype(np.uint8).tobytes()
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen)
    return chosen, [np.asarray(_picture(frame).quantize(palette=palette)) for frame in frames]


def _packed(image):
    red, green, blue = np.moveaxis(image.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _png_info(provenance):
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "kgan")
    if provenance is not None:
        info.add_itxt(_KEY, json.dumps(provenance))
        info.add_itxt("XML:com.adobe.xmp", _xmp(provenance))
    return info


def _xmp(provenance):
    return _XMP.format(provenance.get("digital_source_type", GENERATED))


def _encoded(picture, format, **options) -> bytes:
    # In memory: of a disk that is full Pillow says "encoder error -2".
    file = io.BytesIO()
    picture.save(file, format=format, **options)
    return file.getvalue()


def provenance(
    kind: str,
    images_seen: int,
    name: str | None = None,
    weights_sha256: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a picture says about what made it.

    Args:
        kind: class of the model, one of `kgan.models`.
        images_seen: by the model.
        name: of its preset; None for a model in training.
        weights_sha256: hash of the preset's weights; None for a model in training.
        **more: what else the picture depends on, such as the seed, as plain values.
    """
    preset = {} if name is None else {"model": name, "weights_sha256": weights_sha256}
    return {
        **preset,
        "class": kind,
        "images_seen": images_seen,
        "kgan": __version__,
        **more,
    }


def read_provenance(path: str | os.PathLike) -> dict | None:
    """What `save_png` or `save_animation` wrote about a file, or None if kgan did not make it."""
    with Image.open(expanded(path)) as picture:
        text = provenance_text(picture)
    return None if text is None else json.loads(text)


def provenance_text(picture: Image.Image, whole: bool = True) -> str | None:
    """The JSON that kgan wrote about a picture that is open; None if it did not make it.

    Args:
        picture: as Pillow opened it.
        whole: whether to decode a PNG, which may have texts of others' behind its pixels.
    """
    if picture.format == "WEBP":
        exif = picture.getexif()
        text = exif.get(_DESCRIPTION) if exif.get(_SOFTWARE) == "kgan" else None
    elif picture.format == "GIF":
        comment = picture.info.get("comment", b"").decode("ascii", "replace")
        if not (comment.startswith(_GIF_BEGIN) and comment.endswith(_GIF_END)):
            return None
        text = comment[len(_GIF_BEGIN) : -len(_GIF_END)]
    elif picture.format == "PNG":
        text = picture.info.get(_KEY)
        if text is None and whole:
            text = picture.text.get(_KEY)
    else:
        return None
    return text if isinstance(text, str) else None
