"""Pictures on disk: grids, and files, still or animated, that say what made them."""

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from kgan import __version__
from kgan.errors import KganError
from kgan.files import expanded, write

ANIMATION_SUFFIXES = (".png", ".webp")
RESAMPLINGS = ("nearest", "lanczos")

_KEY = "kgan"
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


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Lays images out in rows on white.

    Args:
        images: uint8 array (n, height, width, channels).
        columns: images a row; by default as nearly square as n allows.
        gap: pixels between images and around them.

    Returns:
        uint8 array (rows * (height + gap) + gap, columns * (width + gap) + gap, channels).
    """
    n, height, width, channels = images.shape
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
    frames: Sequence[np.ndarray],
    path: str | os.PathLike,
    provenance: dict | None,
    milliseconds: int = 60,
) -> Path:
    """Writes an animation without end that says what made it, whole or not at all.

    Args:
        frames: uint8 arrays (height, width, channels), 1 or 3 channels. A frame that equals the
            one before, or in WebP nearly, is not stored: that one lasts longer.
        path: of the file; its suffix says the format. ".png" keeps every pixel; ".webp" is lossy,
            and in color several times smaller.
        provenance: as in `save_png`. WebP, which has no text chunks, keeps it in EXIF, as the
            description of the picture.
        milliseconds: int, time that a frame is shown.

    Raises:
        KganError: for another suffix, or no frames.
    """
    path = expanded(path)
    if path.suffix.lower() not in ANIMATION_SUFFIXES or not len(frames):
        raise KganError(
            f"Expected frames, and a file that ends in {' or '.join(ANIMATION_SUFFIXES)}. "
            f"Received: {len(frames)} frames, {path}"
        )
    first, *others = (_picture(frame) for frame in frames)
    options = {"save_all": True, "append_images": others, "duration": milliseconds, "loop": 0}
    if path.suffix.lower() == ".png":
        write(path, _encoded(first, "PNG", pnginfo=_png_info(provenance), **options))
        return path
    exif = Image.Exif()
    exif[_SOFTWARE] = "kgan"
    if provenance is not None:
        exif[_DESCRIPTION] = json.dumps(provenance)
        options["xmp"] = _xmp(provenance).encode()
    write(path, _encoded(first, "WEBP", exif=exif, quality=90, method=4, **options))
    return path


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
    return _XMP.format(provenance.get("digital_source_type", "trainedAlgorithmicMedia"))


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
        picture.load()  # text chunks may follow the pixels
        text = getattr(picture, "text", {}).get(_KEY)
        if picture.format == "WEBP" and picture.getexif().get(_SOFTWARE) == "kgan":
            text = picture.getexif().get(_DESCRIPTION)
    return None if text is None else json.loads(text)
