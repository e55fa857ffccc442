"""What stands above a card for the hub: its header in YAML. Imports no TensorFlow."""

import json
import re
from collections.abc import Iterable
from typing import Any

from kgan.recipe import Recipe
from kgan.zoo import results
from kgan.zoo.metadata import LICENCE, number_of_samples

# https://huggingface.co/docs/hub/repositories-licenses, of those that images and weights come under
_LICENCES = {
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "gpl-2.0", "gpl-3.0", "lgpl-3.0"),
    *("agpl-3.0", "mpl-2.0", "unlicense", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0"),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0"),
    *("cc-by-nc-sa-4.0", "openrail", "creativeml-openrail-m", "odbl", "pddl"),
}
_OTHER = "other"


def header(metadata: dict[str, Any], recipe: Recipe) -> str:
    """The header of a preset's card.

    Args:
        metadata: see `kgan.zoo.metadata.check`.
        recipe: of the preset.
    """
    task = _task(metadata)
    figures = results.summary(metadata.get("metrics") or [])
    values = {
        **_licence(metadata.get("licence")),
        **_common([metadata["model"]]),
        "pipeline_tag": task,
        "datasets": _datasets(recipe),
        "metrics": list(figures),
    }
    if values.get("license") == _OTHER and recipe.data.licence_note:
        values["license_link"] = LICENCE
    if figures:
        values["model-index"] = [_index(metadata, recipe, task, figures)]
    return _yaml_block(values)


def zoo_header(all_metadata: Iterable[dict[str, Any]]) -> str:
    """The header of the page of several presets."""
    all_metadata = list(all_metadata)
    licences = {metadata.get("licence") for metadata in all_metadata}
    tasks = {_task(metadata) for metadata in all_metadata}
    several = len(licences) > 1
    return _yaml_block(
        {
            **({"license": _OTHER} if several else _licence(*licences)),
            **({"license_name": "see-each-model"} if several else {}),
            **_common(sorted({metadata["model"] for metadata in all_metadata})),
            **({"pipeline_tag": tasks.pop()} if len(tasks) == 1 else {}),
        }
    )


def _common(models):
    tags = ["kgan", "keras", "gan", *(re.sub(r"[^\w-]", "-", model).lower() for model in models)]
    return {"library_name": "kgan", "tags": list(dict.fromkeys(tags))}


def _task(metadata):
    drawn = number_of_samples(metadata)
    return "unconditional-image-generation" if drawn else "image-to-image"


def _licence(text):
    """A licence as the hub calls it, and if it knows none such, as `other` with its name."""
    if not text:
        return {}
    plain = re.sub(r"\s*\(.*", "", text).strip().lower().replace(" ", "-")
    if plain in _LICENCES:
        return {"license": plain}
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:80] or "not-named"
    return {"license": _OTHER, "license_name": name}


def _datasets(recipe):
    """The names of TFDS data sets; a folder of someone's is no data set of the hub's."""
    places = [*recipe.data.sources(), *recipe.data.targets()]
    found = (re.fullmatch(r"tfds:(\w[\w-]*)(#.*)?", place) for place in places)
    return list(dict.fromkeys(match[1] for match in found if match))


def _index(metadata, recipe, task, figures):
    """The figures as the hub's leaderboards take them."""
    of = {result["metric"]: result for result in reversed(metadata["metrics"])}
    measured = []
    for name, (value, _) in figures.items():
        extractor = " ".join(
            str(of[name].get(key) or "") for key in ("extractor", "extractor_version")
        ).strip()
        shown = name.replace("_", " ").replace("frechet", "Fréchet").capitalize()
        shown += f", features: {extractor}" if extractor else ""
        measured.append({"type": name, "value": value, "name": shown})
    title = metadata.get("dataset") or "not recorded"
    kind = (_datasets(recipe) or ["images"])[0]
    return {
        "name": metadata["name"],
        "results": [
            {
                "task": {"type": task},
                "dataset": {"type": kind, "name": title},
                "metrics": measured,
            }
        ],
    }


def _yaml_block(values):
    kept = {key: value for key, value in values.items() if value not in ([], None)}
    return "\n".join(["---", *_lines(kept), "---", "", ""])


def _lines(table):
    """A table as YAML: keys of ours, and what JSON and YAML write alike."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list):
            yield f"{key}:"
            for item in value:
                lines = [*_lines(item)] if isinstance(item, dict) else [_scalar(item)]
                yield from (f"{'  ' if n else '- '}{line}" for n, line in enumerate(lines))
        else:
            yield f"{key}: {_scalar(value)}"


def _scalar(value):
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    # What has an exponent and no point, YAML 1.1 takes for a text.
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
