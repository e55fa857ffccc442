"""Models as recipes describe them: untrained, with a parent's weights, or a run's."""

import tempfile
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras

from kgan import layers
from kgan.callbacks import Checkpoint
from kgan.errors import KganError, reason
from kgan.models.base.adversarial import AdversarialModel
from kgan.recipe import PRECISIONS, Recipe, optimizers
from kgan.untrusted.networks import check_arguments
from kgan.zoo import preset, saving
from kgan.zoo.preset import Preset


def build(recipe: Recipe) -> AdversarialModel:
    """The compiled model of a recipe, untrained.

    Raises:
        ValueError: if the recipe names no model of kgan, and no class of the user's own that has
            been imported; or arguments that the model does not take.
    """
    kind = kind_of(recipe)
    arguments = dict(recipe.arguments)
    if arguments.get("ema_half_life") is False:  # TOML has no null
        arguments["ema_half_life"] = None
    check_arguments(arguments, kind, layers.__all__, "the recipe")
    if recipe.precision != PRECISIONS[0]:
        arguments["dtype"] = recipe.precision
    try:
        model = kind(**arguments, seed=recipe.seed)
    except TypeError as error:
        raise KganError(f"{recipe.model}: {error}. Received: {recipe.arguments}") from None
    if recipe.freeze_d:
        _freeze(model, recipe.freeze_d)
    if recipe.parent:
        model.ema_ramp = None  # the average starts from a trained generator
    model.compile(
        g_optimizer=optimizers.from_table(recipe.g_optimizer),
        d_optimizer=optimizers.from_table(recipe.d_optimizer),
    )
    return model


def kind_of(recipe: Recipe) -> type[AdversarialModel]:
    """The class that a recipe names.

    Raises:
        KganError: if there is none of that name.
    """
    kind = saving.kinds().get(recipe.model)
    if kind is None:
        raise KganError(
            f"Expected a model among {', '.join(saving.kinds())}; a class of your own is to be "
            f"imported first (--import FILE). Received: model = {recipe.model!r}"
        )
    return kind


def begin_from(model: AdversarialModel, parent: Preset) -> None:
    """Gives an untrained model a parent's weights; images are counted from 0.

    The averaged generators of the parent become both the generators and their averages. The
    augmentation is the recipe's, and begins as the recipe says: how strong the parent's had become
    was for other images.

    Args:
        model: of a recipe, compiled.
        parent: of the same class, with networks of the same shapes.

    Raises:
        KganError: if the parent's networks are others.
    """
    try:
        saving.load_weights(model, parent, augmentation=False)
    except KganError as error:
        raise KganError(
            f"Expected a model with the networks of {parent.source}; without a recipe of its own, "
            f"--from takes the parent's. Received: another one: {error}"
        ) from None
    model.images_seen.assign(0)


def of_checkpoint(directory: Path, recipe: Recipe) -> Preset:
    """The newest of a run's checkpoints as a preset, which is written nowhere.

    Args:
        directory: of the checkpoints, in which another process may be writing.
        recipe: of the run.

    Raises:
        KganError: if no checkpoint is whole, or it is of another model than the recipe's.
    """
    model = build(recipe)
    Checkpoint(directory).restore(model)
    try:
        with tempfile.TemporaryDirectory() as place:
            saving.save(model, Path(place) / "preset", recipe)
            return preset.read(Path(place) / "preset")
    except OSError as error:
        raise KganError(
            "Expected room for a preset in the folder of temporary files. Received: "
            f"{reason(error)}; TMPDIR names another folder"
        ) from error


def _freeze(model, number):
    """Keeps the first layers with weights of each discriminator from training."""
    for name in model.PLAYERS["d_optimizer"]:
        found = [layer for layer in _layers(model.networks[name]) if layer.weights]
        if number >= len(found):
            raise KganError(
                f"Expected fewer frozen layers than the {len(found)} with weights that {name} has. "
                f"Received: freeze_d = {number}"
            )
        for layer in found[:number]:
            layer.trainable = False


def _layers(network):
    """The layers of a network from its inputs on, those of networks inside it in their place."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
