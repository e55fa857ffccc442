"""The card of a preset, in Markdown. Imports no TensorFlow."""

from collections.abc import Collection
from typing import Any

from kgan.recipe import PRECISIONS, Recipe
from kgan.zoo import results
from kgan.zoo.metadata import (
    CURVES,
    NEIGHBOURS,
    RECIPE,
    SAMPLES,
    TRANSLATIONS,
    number_of_samples,
)


def card(
    metadata: dict[str, Any],
    recipe: Recipe,
    pictures: Collection[str] = (),
    address: str | None = None,
    zoo: str | None = None,
) -> str:
    """The model card, in Markdown, from the metadata and the recipe.

    Args:
        metadata: see `kgan.zoo.metadata.check`.
        recipe: of the preset.
        pictures: names of the pictures that are there, beside the samples.
        address: by which others load it, if not by its name.
        zoo: the registry that has to be in `KGAN_ZOO` for it to be found by its name.
    """
    name, training = metadata["name"], metadata["training"]
    source = address or name
    height, width, channels = metadata["image_shape"]
    samples = number_of_samples(metadata)
    first, *others = (f"{player} {count:,}" for player, count in metadata["parameters"].items())
    lines = [f"# {name}", ""]
    if samples:
        lines += [f"![Samples of {name}]({SAMPLES})", "", f"{samples} samples, uncurated, seed 0."]
        lines += [""]
    does = "generates" if samples else "translates"  # what needs pictures makes others of them
    lines += [
        f"A {metadata['model']} that {does} {height}x{width} images with {channels} channel"
        f"{'s' if channels > 1 else ''}: {', '.join([f'{first} parameters', *others])}.",
    ]
    if recipe.parent:
        lines += ["", f"Fine-tuned from {ancestry(recipe.parent)}."]
    if recipe.note:
        lines += ["", recipe.note]
    if metadata.get("metrics"):
        lines += ["", "## Figures", "", *results.markdown(metadata["metrics"])]
        paired = metadata["metrics"][0].get("paired")
        options = f" --paired {paired}" if paired in ("names", "halves", "no") else ""
        lines += ["", f"Measured by `kgan evaluate {source}{options}`."]
    if NEIGHBOURS in pictures:
        lines += ["", f"![Samples and their nearest training images]({NEIGHBOURS})", ""]
        nearest = [r for r in metadata["metrics"] if r.get("metric") == "nearest_training_image"]
        seed = nearest[0].get("seed", 0) if nearest else 0
        lines += [f"The first 8 samples of seed {seed}, and below each the nearest training image."]
    if TRANSLATIONS in pictures:
        lines += ["", f"![Pictures, and what the model makes of them]({TRANSLATIONS})", ""]
        lines += [
            "Held-out pictures at even spaces, below them what the model makes of them, and of "
            "pairs, below that, the true ones."
        ]
    lines += ["", "## Use", ""]
    if zoo:
        lines += [f"With `KGAN_ZOO={zoo}` in the environment:", ""]
    command = f"sample {source} -n 16       " if samples else f"translate {source} photo.jpg"
    lines += ["```", f"kgan {command} # or the path of this directory"]
    if any(result.get("direction") == "b_to_a" for result in metadata.get("metrics", [])):
        lines += [f"kgan {command} --direction b-to-a"]
    lines += ["```", ""]
    lines += ["```python", "import kgan", "", f'model = kgan.zoo.load("{source}")']
    made = "model.sample(16, seed=0)" if samples else "model.translate(photos)"
    lines += [f"images = {made}"]
    lines += [
        "```",
        "",
        "## Data and licence",
        "",
        f"- Data: {metadata.get('dataset') or 'not recorded'}",
        f"- Licence: {metadata.get('licence') or 'not recorded'}",
    ]
    if recipe.data.note:
        lines += ["", recipe.data.note]
    if recipe.data.licence_note:
        lines += ["", recipe.data.licence_note]
    if recipe.data.limits:
        lines += ["", "## Intended use and limits", "", recipe.data.limits]
    lines += ["", "## Training", "", f"- Images seen: {training['images_seen']:,}"]
    if training.get("seconds"):
        lines.append(f"- Time: {training['seconds'] / 3600:.2f} h on {training['hardware']}")
    selected = training.get("selected")
    if selected and selected.get("snapshots"):
        metric = selected["metric"].replace("_", " ")
        against = "on held-out images"
        if "places" in selected:
            against = (
                f"to {selected['images']:,} pictures at {selected['places']}, seed "
                f"{selected['seed']}"
            )
        lines.append(
            f"- The best of {selected['snapshots']} snapshots by {metric} "
            f"({selected['value']:.4g}) {against}, in {recipe.images:,} images of training"
        )
    versions = metadata["versions"]
    commit = f" (commit {versions['commit']})" if "commit" in versions else ""
    lines += [
        f"- Batch size {recipe.batch_size}, seed {recipe.seed}{_precision(recipe)}",
        f"- kgan {versions['kgan']}{commit}, Keras {versions['keras']}, "
        f"TensorFlow {versions['tensorflow']}",
        "",
        f"Train it again with `kgan train {source}`, from [{RECIPE}]({RECIPE}).",
        "",
    ]
    if CURVES in pictures:
        lines += [f"![Losses and scores against images seen]({CURVES})", ""]
    return "\n".join(lines)


def _precision(recipe):
    return "" if recipe.precision == PRECISIONS[0] else f", in {recipe.precision}"


def ancestry(parent: dict[str, Any]) -> str:
    """A preset's parents as words, the nearest first.

    Args:
        parent: see `kgan.recipe.Recipe`.
    """
    found = []
    while parent:
        found.append(
            f"{parent['name']} ({parent['images_seen']:,} images seen, weights "
            f"{parent['weights_sha256'][:12]}…)"
        )
        parent = parent.get("parent")
    return ", itself from ".join(found)
