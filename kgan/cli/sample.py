"""`kgan sample`."""

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import click
import numpy as np

import kgan
from kgan import images, presets
from kgan.cli.quiet import import_tensorflow

MOST_IN_A_GRID = 1024


@click.command()
@click.argument("source", metavar="NAME")
@click.option("-n", "number", type=click.IntRange(1), default=16, show_default=True, help="Images.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same images; the first 4 of 100 are the 4 of 4.",
)
@click.option("--out", type=click.Path(path_type=Path), help="PNG, .npz or directory to write.")
@click.option("--separate", is_flag=True, help="A PNG for each image instead of one grid.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at a time."
)
def command(
    source: str, number: int, seed: int, out: Path | None, separate: bool, batch_size: int
) -> None:
    """Generate images with the preset NAME (or a preset directory), and print where they are.

    \b
    Examples:
      kgan sample dcgan-celeba -n 16
      kgan sample dcgan-mnist -n 100 --seed 7 --out digits.png
      kgan sample dcgan-celeba -n 50000 --out faces.npz
      kgan sample dcgan-celeba -n 200 --separate --out faces/
    """
    directory, metadata = presets.read(source)
    name = Path(metadata["name"]).name  # of a stranger's preset: a file name, not a path
    in_a_grid = not separate and (out is None or out.suffix != ".npz")
    if in_a_grid and number > MOST_IN_A_GRID:
        raise click.UsageError(
            f"Expected at most {MOST_IN_A_GRID} images in one picture. Received: -n {number}; "
            "use --separate, or --out FILE.npz"
        )
    out = _output(out, name, separate)
    import_tensorflow()
    model = kgan.zoo.load(source)
    from kgan.models.preset import provenance

    facts = provenance(
        model, name, presets.sha256(directory / presets.WEIGHTS), seed=seed, n=number
    )
    with click.progressbar(
        length=number, label="Sampling", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def batches():
            for batch in model.iter_samples(number, seed, batch_size):
                yield batch
                bar.update(len(batch))

        if separate:
            _save_separate(batches(), out, {**facts, "n": 1}, digits=len(str(number - 1)))
        elif out.suffix == ".npz":
            _save_npz(batches(), out, (number, *model.image_shape))
        else:
            grid = images.grid(np.concatenate(list(batches())))
            images.save_png(grid, out, facts)
    click.echo(out)


def _output(out: Path | None, name: str, separate: bool) -> Path:
    """Where to write, seen to be possible before any work is done."""
    if separate:
        out = out or Path(f"{name}-samples")
        if out.suffix or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise click.UsageError(
                f"Expected a new or empty directory for --separate. Received: --out {out}"
            )
    else:
        out = out or Path(f"{name}.png")
        if out.is_dir() or not out.suffix:
            out = out / f"{name}.png"
        if out.suffix not in (".png", ".npz"):
            raise click.UsageError(f"Expected --out with .png or .npz. Received: --out {out}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise click.ClickException(
            f"Expected an output path that can be written. Received: --out {out}: {error.strerror}"
        ) from None
    return out


def _save_separate(batches, out, facts, digits):
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        index = 0
        for batch in batches:
            for image in batch:
                path = partial / f"seed{facts['seed']}-{index:0{digits}d}.png"
                images.save_png(image, path, {**facts, "index": index})
                index += 1
        out.mkdir(exist_ok=True)
        for path in sorted(partial.iterdir()):
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save_npz(batches, out, shape):
    """An .npz with the array `images`, written as it is made: it never sits in memory whole."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    try:
        with (
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("images.npy", "w", force_zip64=True) as file,
        ):
            np.lib.format.write_array_header_1_0(file, header)
            for batch in batches:
                file.write(batch.tobytes())
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
