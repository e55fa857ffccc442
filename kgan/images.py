"""Pictures on disk: grids, and PNG files that say what made them."""

import json
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

_KEY = "kgan"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    "Iptc4xmpExt:DigitalSourceType="
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
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


def save_png(image: np.ndarray, path: str | os.PathLike, provenance: dict | None) -> Path:
    """Writes a PNG that says what made it, whole or not at all.

    Args:
        image: uint8 array (height, width, channels), 1 or 3 channels.
        path: of the file.
        provenance: what made it, as plain values: model, seed, kgan's version, ...; kept as JSON
            in the text chunk "kgan", beside the IPTC digital source type. None for a picture that
            no model made.
    """
    path = Path(path)
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "kgan")
    if provenance is not None:
        info.add_itxt(_KEY, json.dumps(provenance))
        info.add_itxt("XML:com.adobe.xmp", _XMP)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        picture.save(partial, format="PNG", pnginfo=info)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_provenance(path: str | os.PathLike) -> dict | None:
    """What `save_png` wrote about a file, or None if kgan did not make it."""
    with Image.open(path) as picture:
        picture.load()  # text chunks may follow the pixels
        text = getattr(picture, "text", {}).get(_KEY)
    return None if text is None else json.loads(text)
