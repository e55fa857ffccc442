"""`kgan info`."""

import click

from kgan.zoo import results as figures
from kgan.zoo import presets


@click.command()
@click.argument("source", metavar="NAME")
def command(source: str) -> None:
    """Show what is known of the preset NAME (or of a preset directory).

    The protocol of the figures, and more of them, are in its card, README.md in its path.

    \b
    Example:
      kgan info dcgan-celeba
    """
    info = presets.info(source)
    directory, metadata = presets.read(source)
    recipe = presets.read_recipe(directory)
    training, counts = metadata["training"], metadata["parameters"]
    lines = {
        "Name": info["name"],
        "Model": info["model"],
        "Images": "x".join(map(str, info["image_shape"])),
        "Classes": ", ".join(metadata.get("class_names") or [])
        or info["num_classes"]
        or "none (unconditional)",
        "Parameters": f"{info['parameters']:,} (generator {counts['generator']:,}, "
        f"discriminator {counts['discriminator']:,})",
        "Size": f"{info['size_bytes'] / 1e6:.1f} MB",
        "Data": info["dataset"] or "not recorded",
        "Licence": info["licence"] or "not recorded",
        "Images seen": f"{training['images_seen']:,}",
        "Made with": ", ".join(f"{k} {v}" for k, v in metadata["versions"].items()),
        "Path": info["path"],
    }
    for key, value in lines.items():
        click.echo(f"{key + ':':13} {value}")
    summary = figures.summary(metadata.get("metrics") or [])
    if summary:
        click.echo("\nFigures, in brackets those of real images in place of samples:")
    for name, (value, floor) in summary.items():
        beside = "" if floor is None else f" ({figures.number(floor)})"
        click.echo(f"  {name.replace('_', ' '):18} {figures.number(value)}{beside}")
    for text in (recipe.note, recipe.data.note, recipe.data.licence_note):
        if text:
            click.echo(f"\n{text}")
