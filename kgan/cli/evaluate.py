"""`kgan evaluate`."""

import json
from pathlib import Path

import click

from kgan import figures
from kgan.cli.quiet import import_tensorflow

METRICS = (
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
    "density_coverage",
    "sliced_wasserstein",
)


@click.command()
@click.argument("source", metavar="NAME")
@click.option("--data", help="Held-out images: tfds:NAME or a folder. [default: the recipe's]")
@click.option("--split", default="test", show_default=True, help="Of TFDS.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where TFDS data and relative folders are. [default: KGAN_DATA_DIR, TFDS_DATA_DIR]",
)
@click.option(
    "--images",
    type=click.IntRange(2),
    default=10_000,
    show_default=True,
    help="Real and generated.",
)
@click.option(
    "--metrics",
    default=",".join(METRICS),
    help="Some of these, separated by commas. [default: all: " + ", ".join(METRICS) + "]",
)
@click.option(
    "--extractor",
    help="Of features: digits, fashion, faces, random or inception. [default: by the data]",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--truncation", type=float, help="Of StyleGAN; the protocol says so.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for all figures.")
@click.option("--update-card", is_flag=True, help="Write the figures into the preset.")
def command(
    source: str,
    data: str | None,
    split: str,
    data_dir: Path | None,
    images: int,
    metrics: str,
    extractor: str | None,
    seed: int,
    truncation: float | None,
    json_path: Path | None,
    update_card: bool,
) -> None:
    """Measure samples of the preset NAME (or a preset directory) against held-out real images.

    The floor is the same metric of other real images in place of the samples.

    \b
    Examples:
      kgan evaluate dcgan-mnist
      kgan evaluate runs/faces/preset --data photos/test --metrics frechet_distance
      kgan evaluate runs/faces/preset --update-card --json figures.json
    """
    if json_path is not None and not json_path.parent.is_dir():
        raise click.UsageError(f"Expected --json in a folder that exists. Received: {json_path}")
    import_tensorflow()
    from kgan import evaluation

    results = evaluation.evaluate(
        source,
        data,
        split,
        images,
        [name.strip() for name in metrics.split(",")],
        extractor,
        seed,
        truncation,
        data_dir,
    )
    if json_path is not None:
        json_path.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    if update_card:
        evaluation.update_card(source, results, data_dir)
    click.echo(figures.text(results))
