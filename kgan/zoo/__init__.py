"""The zoo: pretrained models addressed by name."""

import os
from typing import TYPE_CHECKING, Any

from kgan.checks import PATH, Bound, number, or_none
from kgan.errors import KganError, reason
from kgan.recipe import Recipe
from kgan.zoo import opening, registry

if TYPE_CHECKING:
    from kgan.models.base.adversarial import AdversarialModel
    from kgan.models.base.latent import LatentModel

__all__ = ["info", "load", "names", "sampler", "save"]

_RECIPE = Bound("a kgan.recipe.Recipe", lambda v: isinstance(v, Recipe))


def names() -> list[str]:
    """The names of all presets, of this installation and of `KGAN_ZOO`, sorted.

    Example:

    >>> kgan.zoo.names()
    ['dcgan-celeba', 'dcgan-mnist']
    """
    return registry.names()


def info(source: str | os.PathLike) -> dict:
    """What is known of a preset, without loading it (or TensorFlow).

    Args:
        source: as for `load`. Of a remote preset only the metadata is fetched.

    Returns:
        Dict with `name`, `model` (class name), `dataset`, `image_shape`, `num_classes` (None if
        unconditional), `parameters` (of all networks), `size_bytes`, `licence`, `metrics` and
        `path` (the directory, None while it is remote).

    Raises:
        ValueError: if there is no such preset, or its metadata is damaged.
    """
    path, metadata = opening.read_metadata(source)
    return {
        "name": metadata["name"],
        "model": metadata["model"],
        "dataset": metadata.get("dataset"),
        "image_shape": metadata["image_shape"],
        "num_classes": metadata.get("num_classes"),
        "parameters": sum(metadata["parameters"].values()),
        "size_bytes": sum(file["size"] for file in metadata["files"].values()),
        "licence": metadata.get("licence"),
        "metrics": metadata.get("metrics", []),
        "path": path,
    }


def load(source: str | os.PathLike) -> "LatentModel":
    """Loads a model with its weights, compiled and ready for `sample` and `fit`.

    The generator starts from its moving average, which is what the preset's pictures show. The
    optimizers are those of the recipe, begun anew; but where a learning rate schedule has run out,
    a tenth of its highest rate takes its place. `compile` sets others.

    Args:
        source: a name in `kgan.zoo.names()`, a preset directory, the directory of a run (its
            preset, or of a run that has not ended its newest snapshot or checkpoint), `https://…`
            or `hf://owner/repo`, a repository of the Hugging Face hub, also at a branch, tag or
            commit: `hf://owner/repo@revision`. The last two with `#sha256=…` of its metadata to
            pin it. For private repositories the token is `HF_TOKEN`, or what the hub's own
            `hf auth login` has stored.

    Returns:
        A model of the preset's class.

    Raises:
        ValueError: if there is no such preset, or any file in it is missing or damaged.

    Example:

    ```python
    model = kgan.zoo.load("dcgan-mnist")
    images = model.sample(16, seed=0)
    ```
    """
    from kgan.zoo import saving  # late: it imports TensorFlow

    return saving.load(opening.read(source))


def sampler(source: str | os.PathLike) -> Any:
    """Something that samples as the model of a preset does, at once and without TensorFlow.

    It has `sample`, `iter_samples`, `show`, `render` and `interpolate` of `kgan.models`, and `mix`
    of models with styles; or `translate` of a model that turns pictures into others. Pixels are
    those of the model but for one level in a thousandth of the values. The first time that this
    machine samples a preset it needs TensorFlow, unless the preset comes with kgan and has a graph:
    a stranger's graph is never run.

    Args:
        source: see `load`.

    Returns:
        A `kgan.sampling.Sampling`, or a `kgan.translating.Translating`.

    Raises:
        ValueError: see `load`; for a model with layers that no graph is known for.

    Example:

    ```python
    images = kgan.zoo.sampler("dcgan-celeba").sample(16, seed=0)
    ```
    """
    from kgan.zoo import samplers  # late: it imports ONNX Runtime

    return samplers.of(opening.read(source))


def save(
    model: "AdversarialModel",
    directory: str | os.PathLike,
    recipe: Recipe | None = None,
    seconds: float | None = None,
) -> None:
    """Writes a model as a preset directory, with its card, samples and hashes.

    Args:
        model: one of `kgan.models`, or of a class of your own.
        directory: path that does not exist, is empty, or holds a preset, which is replaced.
        recipe: what trained it; by default described from the model, without its data.
        seconds: time that training took.

    Raises:
        ValueError: if the directory holds something else or cannot be written, which is then as
            it was, or the model has networks that cannot be described by Keras' own layers.

    Warns:
        KganWarning: if others can load it from the web only after raising the limit of size.
    """
    from kgan.zoo import saving, weights  # late: it imports TensorFlow

    PATH.check("directory", directory)
    saving.MODEL.check("model", model)
    or_none(_RECIPE).check("recipe", recipe)
    or_none(number(0, 1e12)).check("seconds", seconds)
    weights.note_size(model)
    try:
        saving.save(model, directory, recipe, seconds)
    except OSError as error:
        raise KganError(
            f"Expected to write a preset to {os.fspath(directory)}. Received: {reason(error)}"
        ) from error
