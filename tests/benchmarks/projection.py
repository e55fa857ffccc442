"""How close projection comes to held-out faces, and to what a model itself has drawn, as a table.

python tests/benchmarks/projection.py dcgan-celeba stylegan-lite-celeba
python tests/benchmarks/projection.py dcgan-celeba stylegan-lite-celeba \
    --photo portrait.jpg 0.2,0.1,0.8,0.7 --sheet sheet.png

The faces are 8 of the 1,000 in celeba/test, at even spaces, framed as the preset's recipe says: no
preset has been trained on them. The samples are 8 of seed 1000. The data is looked for in
KGAN_DATA_DIR.
"""

import time
from pathlib import Path

import click
import numpy as np

import kgan
from kgan import images
from kgan.cli.train import parse_box
from kgan.data import parts
from kgan.data.reading import read_picture
from kgan.data.resize import Rule
from kgan.metrics.extractors import extractor
from kgan.zoo import preset

FACES, SEED = 8, 1000
SHOWN = {
    "shows": "first row: photographs that were given; rows below: pictures of the models",
    "digital_source_type": "compositeWithTrainedAlgorithmicMedia",
}


def squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The mean squared difference of the pixels of uint8 images, as in [-1, 1]: (images,)."""
    difference = (one.astype(np.float32) - other) / 127.5
    return np.square(difference).mean((1, 2, 3))


def row(name: str, what: str, model, pictures: np.ndarray, features, **options):
    """A line of the table, and the images that were found."""
    begun = time.monotonic()
    found = model.project(pictures, features=features, **options)
    seconds = (time.monotonic() - begun) / len(pictures)
    samples = model.sample(64, seed=SEED + 1)
    random = np.mean([squared(samples, picture) for picture in pictures])
    wanted, drawn = (features.features(x) for x in (pictures, samples))
    apart = np.square(wanted[:, None] - drawn).mean()
    error, nearness = found["error"], found["feature_error"].mean() / apart
    line = (
        f"| `{name}` | {what} | {random:.3f} | {error.mean():.4f} | {error.min():.4f} to "
        f"{error.max():.4f} | {nearness:.3f} | {seconds:.0f} |"
    )
    return line, found["images"]


@click.command(help=__doc__.splitlines()[0])
@click.argument("names", nargs=-1, required=True)
@click.option("--steps", type=int, default=300)
@click.option("--starts", type=int, default=4)
@click.option("--photo", "photos", type=(Path, str), multiple=True, help="File, and a box of it.")
@click.option("--sheet", type=Path, help="PNG of the photos, or of faces and samples.")
def main(names, steps, starts, photos, sheet) -> None:
    """Prints the table, and draws the sheet: pictures, below each what a model makes of it."""
    features, options = extractor("faces"), {"steps": steps, "starts": starts}
    shape = features.input_shape
    if photos:
        framed = [read_picture(p, Rule.checked(shape, box=parse_box(b))) for p, b in photos]
        rows = [np.stack(framed)]
    else:
        rows = []
        print("| model | pictures | random | error | least to most | features | s a picture |")
        print("|---|---|---|---|---|---|---|")
    for name in names:
        model = kgan.zoo.load(name)
        if photos:
            rows.append(model.project(rows[0], features=features, **options)["images"])
            continue
        faces = parts.load_held_out(preset.read(name).recipe.data, shape).images
        faces = faces[:: len(faces) // FACES][:FACES]
        line, closest = row(name, "held-out faces", model, faces, features, **options)
        rows += [faces, closest]
        print(line, flush=True)
        own = model.sample(FACES, seed=SEED)
        line, closest = row(name, "its own samples", model, own, features, **options)
        rows += [own, closest]
        print(line, flush=True)
    if sheet:
        pictures = images.enlarge(np.concatenate(rows), 2, "lanczos")
        found = preset.read(names[0])
        seen = found.metadata["training"]["images_seen"]
        made = images.provenance(found.metadata["model"], seen, names[0], found.weights_sha256)
        facts = {**made, **SHOWN}
        images.save_png(images.grid(pictures, columns=len(rows[0]), gap=4), sheet, facts)


if __name__ == "__main__":
    main()
