"""`kgan info`."""

from pathlib import Path
from typing import Any

import click

from kgan.cli.models import import_models, import_option, opened
from kgan.cli.names import PresetName
from kgan.errors import say
from kgan.zoo import results
from kgan.zoo.card import ancestry
from kgan.zoo.preset import Preset


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@import_option
def command(source: str, import_file: Path | None) -> None:
    """Show what is known of the preset NAME (or of a preset directory).

    The protocol of the figures, and more of them, are in its card, README.md in its path. With
    --import the arguments of a model of your own are checked against its class.

    \b
    Example:
      kgan info dcgan-celeba
    """
    found = opened(source, import_file)
    if import_file is not None:
        import_models(import_file)
        from kgan.zoo import saving

        saving.described(found)
    for key, value in lines_of(found).items():
        say(f"{key + ':':13} {value}")
    summary = results.summary(found.metadata.get("metrics") or [])
    if summary:
        say("\nFigures, in brackets those of real images in place of samples:")
    for name, (value, floor) in summary.items():
        beside = "" if floor is None else f" ({results.number(floor)})"
        say(f"  {name.replace('_', ' '):18} {results.number(value)}{beside}")
    for text in notes_of(found):
        say(f"\n{text}")


def lines_of(found: Preset) -> dict[str, Any]:
    """What is known of a preset, by the words for it."""
    metadata, recipe = found.metadata, found.recipe
    training, counts = metadata["training"], metadata["parameters"]
    size = sum(file["size"] for file in metadata["files"].values())
    return {
        "Name": metadata["name"],
        "Model": metadata["model"],
        "Images": "x".join(map(str, metadata["image_shape"])),
        **({"Translates at": f"{found.translate_size} px"} if found.translate_size else {}),
        "Classes": ", ".join(metadata.get("class_names") or [])
        or metadata.get("num_classes")
        or "none (unconditional)",
        "Parameters": f"{sum(counts.values()):,} ("
        + ", ".join(f"{player} {count:,}" for player, count in counts.items())
        + ")",
        "Size": f"{size / 1e6:.1f} MB",
        "Data": metadata.get("dataset") or "not recorded",
        "Licence": metadata.get("licence") or "not recorded",
        "Images seen": f"{training['images_seen']:,}",
        **({"Fine-tuned": f"from {ancestry(recipe.parent)}"} if recipe.parent else {}),
        "Made with": ", ".join(f"{k} {v}" for k, v in metadata["versions"].items()),
        "Path": found.directory,
    }


def notes_of(found: Preset) -> list[str]:
    """What its recipe says in sentences."""
    recipe = found.recipe
    texts = (recipe.note, recipe.data.note, recipe.data.licence_note)
    return [text for text in texts if text]
