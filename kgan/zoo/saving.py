"""A model to a preset and back."""

import json
import math
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np
import tensorflow as tf

from kgan import images, layers, models, workers  # noqa: F401  (the classes of `models` get registered)
from kgan.checks import Bound
from kgan.errors import KganError, printable, short
from kgan.files import expanded, sha256
from kgan.graph import NotExpressible
from kgan.models.base.adversarial import AdversarialModel
from kgan.models.base.latent import SAMPLE_CHUNK
from kgan.recipe import PRECISIONS, Origin, Recipe, from_dict, optimizers
from kgan.untrusted import memory
from kgan.untrusted.networks import check_arguments, check_values
from kgan.untrusted.text import MOST_JSON, parse_json
from kgan.untrusted.weights import layout
from kgan.zoo import graphs, weights
from kgan.zoo.card import card
from kgan.zoo.metadata import (
    CONFIG,
    CURVES,
    FORMAT,
    METADATA,
    RECIPE,
    SAMPLES,
    WEIGHTS,
    check_part,
    graph_file,
    is_graph,
    most_memory,
)
from kgan.zoo.preset import Preset, check_recipe, check_replaceable, complete, writing
from kgan.zoo.versions import versions

MODEL = Bound("a model of kgan", lambda v: isinstance(v, AdversarialModel))
# Values that a model may have beside those that its preset holds: counters, means, states of seeds;
# a class of the user's own may have more networks.
_MORE_VALUES = 10_000
_MORE_VALUES_OF_USERS = 1 << 26
_OF_JSON = 50  # bytes in memory for one of text
_MOST_SLOTS = 6  # variables that an optimizer keeps for one, with averages and sums
_MOST_WORK = 1 << 41  # multiplications of a pass: a minute, on few cores


def save(
    model,
    directory: str | os.PathLike,
    recipe: Recipe | None = None,
    seconds: float | None = None,
    curves: Path | None = None,
    selected: dict[str, Any] | None = None,
) -> None:
    """Writes a model as a preset directory; of several processes that train it the chief does.

    Args:
        model, directory, recipe, seconds: see `kgan.zoo.save`.
        curves: a picture of its training for the card, if there is such a file.
        selected: by which metric of which value a snapshot is to be chosen.

    Raises:
        KganError: see `kgan.zoo.save`.
    """
    if not workers.is_chief(model.distribute_strategy):
        return
    directory = expanded(directory)
    is_here = directory.is_dir() and os.path.samefile(directory, os.curdir)
    if is_here and not (directory / METADATA).exists():  # a preset is replaced all the same
        raise KganError(
            "Expected another directory than the one you are in, for it is replaced as a whole. "
            f"Received: {directory}"
        )
    check_replaceable(directory)
    recipe, config, metadata = _contents(model, recipe or recipe_of(model, directory.name))
    with writing(directory) as partial:
        (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (partial / RECIPE).write_text(recipe.to_toml(), "utf-8")
        (partial / WEIGHTS).write_bytes(weights.content(model))
        save_graphs(model, partial)
        samples = save_samples(_as_loaded(model, config), recipe.name, partial)
        if curves is not None and curves.is_file():
            shutil.copyfile(curves, partial / CURVES)
        metadata["samples"] = samples
        metadata["training"]["seconds"] = seconds and round(seconds)
        if selected is not None:
            metadata["training"]["selected"] = selected
        complete(partial, metadata)


def check(model, recipe: Recipe) -> None:
    """Looks whether a preset can hold all of a model but its weights, before it is trained.

    What `save` writes is read again: recipe, names, arguments and networks, metadata, card.

    Args:
        model: as it would be saved.
        recipe: what it is trained by.

    Raises:
        KganError: saying what cannot be written or read again, and the way out.
    """
    _, config, _ = _contents(model, recipe)
    for name, network in model.networks.items():
        check_values(network, f"the model's {name}")
    if not is_kgans(type(model)):  # whose arguments may be anything
        try:
            type(model).from_config(config["config"])
        except Exception as error:
            raise KganError(
                f"Expected a {type(model).__name__} that its own get_config() describes. Received: "
                f"{type(error).__name__}: {error}"
            ) from error


def _contents(model, recipe) -> tuple[Recipe, dict[str, Any], dict[str, Any]]:
    """The recipe, the configuration and the metadata of a preset, which can be read again."""
    recipe = _with_origin(model, recipe)
    check_recipe(recipe)
    config = _config(model)
    values = {
        "format": FORMAT,
        "name": recipe.name,
        **_facts(model),
        "dataset": recipe.data.shown_title or None,
        "licence": recipe.data.licence or None,
        "class_names": recipe.data.class_names or None,
        "versions": versions(),
        "training": {
            "images_seen": int(model.images_seen.numpy()),
            "seconds": None,
            "hardware": f"{os.cpu_count()} cores of {platform.machine()}",
            "seed": model.seed,
        },
        "metrics": [],
    }
    check_part(values, "the model")
    card(values, recipe)
    return recipe, config, values


def save_graphs(model, directory: Path, file_format: int = FORMAT) -> None:
    """Writes the graphs by which samplers draw, if there are any; this machine takes note of them.

    Args:
        model: that the preset holds.
        directory: of the preset; its metadata are to be written after this.
        file_format: of its weights.
    """
    content = (directory / WEIGHTS).read_bytes()
    for path in directory.iterdir():
        if is_graph(path.name):
            path.unlink()
    try:
        made = weights.graphs_of(model, content, file_format)
    except NotExpressible:
        return
    for player, graph in made.items():
        (directory / graph_file(player)).write_bytes(graph)
    if is_kgans(type(model)):
        graphs.note(sha256(directory / CONFIG), sha256(directory / WEIGHTS), made)


def _as_loaded(model, config):
    """What loads from a model's preset: its pictures are those that the card is to show.

    A model that was trained in half precision loads in that of Keras, and draws other last bits.
    """
    if model.dtype_policy.name == keras.config.dtype_policy().name:
        return model
    loaded, held = type(model).from_config(config["config"]), weights.named(model)
    for name, variable in weights.named(loaded).items():
        variable.assign(held[name])
    return loaded


def save_samples(model, name: str, directory: Path) -> int:
    """Draws samples.png, if the model can draw without being given pictures.

    Args:
        model: as it loads from the preset.
        name: of the preset.
        directory: of the preset, in which its weights are.

    Returns:
        How many pictures were drawn.
    """
    preview = model.preview()
    if preview is None:
        return 0
    pictures, columns, facts = preview
    kind, seen = type(model).__name__, int(model.images_seen.numpy())
    facts = {**facts, "columns": columns}
    made_by = images.provenance(kind, seen, name, sha256(directory / WEIGHTS), **facts)
    images.save_png(images.grid(pictures, columns), directory / SAMPLES, made_by)
    return len(pictures)


def load(preset: Preset):
    """The model of a preset, compiled to be trained on; see `kgan.zoo.load`.

    Args:
        preset: from `kgan.zoo.preset.read`.

    Raises:
        KganError: if it describes no model that can be built, or its weights are of another one.
    """
    where = preset.directory / CONFIG
    kind, arguments = described(preset)
    recipe = preset.recipe
    stored = layout(preset.content[WEIGHTS], str(preset.directory / WEIGHTS))
    own = kind.__module__.startswith("kgan.")
    most = kind.more_values(arguments) + (_MORE_VALUES if own else _MORE_VALUES_OF_USERS)
    for name, dataset in stored.items():
        # Of averaged networks there are two, and one is stored.
        copies = 2 if name.partition("/")[0] in kind.AVERAGED else 1
        most += copies * math.prod(dataset.shape)
    left = _Memory(preset)
    with _refusing(preset.directory):
        with _variables_within(left, most, zeros=own):
            model = kind.from_config(arguments)
        for network in model.networks.values():
            check_values(network, str(where))
        sizes = [math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in model.variables]
        left.check(2 * max(sizes), "copies of a variable while it is read")
        weights.assign(model, preset, stored)
        _check_same(preset, _facts(model))
        model.origin = Origin(recipe, preset.lineage)
        if recipe.parent:
            model.ema_ramp = None
        seen = int(model.images_seen.numpy())
        with _slots_within(left, _MOST_SLOTS * sum(sizes)):
            model.compile(
                **{
                    name: optimizers.for_fine_tuning(
                        getattr(recipe, name), model.updates(name, seen, recipe.batch_size), seen
                    )
                    for name in model.PLAYERS
                }
            )
        _try_out(model, left, described=any(arguments.get(name) for name in model.networks))
    return model


def load_weights(model, preset: Preset, augmentation: bool = True) -> None:
    """Gives a model the weights of another preset of the same class and arguments.

    Unlike a model built anew, of which TensorFlow keeps some memory after it is gone, this takes
    none, and nothing is traced again.

    Args:
        model: from `load`.
        preset: such as a later snapshot of the same run.
        augmentation: False leaves the augmentation as it is, whatever the preset has.

    Raises:
        KganError: if the weights are of another model.
    """
    with _refusing(preset.directory):
        stored = layout(preset.content[WEIGHTS], str(preset.directory / WEIGHTS))
        weights.assign(model, preset, stored, augmentation)


def recipe_of(model, name: str) -> Recipe:
    """A recipe for a model that was trained from Python: its arguments and optimizers.

    Args:
        model: of any class.
        name: of the recipe.

    Raises:
        KganError: if an optimizer is none of Keras' own.
    """
    if model.origin is not None and not _trained_on(model):
        return replace(model.origin.recipe, name=name)
    arguments, precision = _config(model)["config"], model.dtype_policy.name
    for key in [*model.networks, "seed"]:
        arguments.pop(key, None)
    return from_dict(
        {
            "format": 1,
            "name": name,
            "model": type(model).__name__,
            "images": int(model.images_seen.numpy()),
            "seed": model.seed,
            "precision": precision if precision in PRECISIONS else PRECISIONS[0],
            "arguments": {
                # TOML has no null, and what is left out takes its default: false says "off".
                k: False if k == "ema_half_life" and v is None else v
                for k, v in arguments.items()
            },
            **{
                key: optimizers.to_table(getattr(model, key))
                for key in model.PLAYERS
                if model.compiled
            },
        },
        where="the model",
    )


def _with_origin(model, recipe):
    """The recipe, with the licence, classes and lineage of the preset that a model is from."""
    if model.origin is None:
        return recipe
    recipe = replace(recipe, data=model.origin.bequeath(recipe.data))
    if _trained_on(model) and not recipe.parent:
        recipe.parent = model.origin.lineage
    return recipe


def _trained_on(model):
    """Whether a model has seen images since it was loaded."""
    return int(model.images_seen.numpy()) != model.origin.lineage["images_seen"]


def described(preset: Preset) -> tuple[type[AdversarialModel], dict]:
    """The class and the arguments that a preset names, once they are known to be sound.

    Raises:
        KganError: if there is no such class, or it does not take the arguments.
    """
    config, where = preset.config, preset.directory / CONFIG
    known = kinds()
    name = config.get("class")
    if not isinstance(name, str) or name not in known:
        raise KganError(
            f"Expected a preset of one of the classes {sorted(known)}. Received: class "
            f"{short(name)} in {where}; a class of your own is to be imported first "
            "(--import FILE)"
        )
    _check_same(preset, {"model": name})
    arguments = config.get("config")
    check_arguments(arguments, known[name], layers.__all__, str(where))
    return known[name], arguments


def is_kgans(kind: type[AdversarialModel]) -> bool:
    """Whether a class of models is kgan's. The code of others may change, and what it draws."""
    return kind.__module__.startswith("kgan.")


def kinds() -> dict[str, type[AdversarialModel]]:
    """All models that are registered with Keras, by name: kgan's, and those that users imported."""
    found = [kind for kind in _subclasses(AdversarialModel) if _is_registered(kind)]
    found.sort(key=is_kgans)  # a name of kgan's is kgan's
    return {kind.__name__: kind for kind in found}


def check_registered(kind: type[AdversarialModel]) -> None:
    """Raises KganError unless a class is registered with Keras."""
    if not _is_registered(kind):
        raise KganError(
            "Expected a class with @keras.saving.register_keras_serializable, which a preset can "
            f"name. Received: {kind.__name__}"
        )


def _is_registered(kind):
    return keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is kind


@contextmanager
def _refusing(directory: Path) -> Iterator[None]:
    """Turns whatever Keras and TensorFlow make of an untrusted description into one line."""
    try:
        yield
    except KganError:
        raise
    except Exception as error:
        # Keras puts the whole description in front of what is wrong with it.
        reason = str(error).rpartition("Exception encountered: ")[2]
        reason = re.sub("\x1b\\[[0-9]*m", "", reason).strip()  # what it sets in bold
        if 'File "' in reason:  # TensorFlow, where the operation was made
            reason = reason.rpartition("\n\n")[2]
        raise KganError(
            f"Damaged preset: expected a model that can be built. Received: {directory}: "
            f"{type(error).__name__}: {printable(' '.join(reason.split())[:300])}"
        ) from error


class _Memory:
    """What a preset may still take of the memory, asked for before it is taken."""

    def __init__(self, preset: Preset):
        size = len(preset.content[WEIGHTS])
        self.where = preset.directory
        self.most = self.left = most_memory(size)
        self.take(size + _OF_JSON * len(preset.content[CONFIG]), "files")

    def check(self, size: float, what: str) -> None:
        """Raises KganError unless there are `size` bytes left."""
        if size > self.left:
            raise KganError(
                f"Expected a preset that takes at most {self.most / 1e6:,.0f} MB of memory; "
                f"KGAN_MOST_WEIGHTS, in MB, allows eight times as much. Received: {what} of "
                f"{size / 1e6:,.0f} MB beside {(self.most - self.left) / 1e6:,.0f} MB, in "
                f"{self.where}"
            )

    def take(self, size: int, what: str) -> None:
        """The same, and they are not left any more."""
        self.check(size, what)
        self.left -= size


@contextmanager
def _variables_within(
    left: _Memory, values: float = math.inf, zeros: bool = False
) -> Iterator[None]:
    """Refuses variables of more bytes or values than there may be, before they have memory.

    With `zeros`, weights are not drawn, since they will be read.
    """
    values_left = values
    scratch = tf.Graph()  # where a tensor is a shape and a dtype

    def create(next_creator, **kwargs):
        nonlocal values_left
        value = kwargs["initial_value"]
        if callable(value):
            with scratch.as_default():
                tensor = value()
            shape, dtype = tuple(tensor.shape), tensor.dtype
            if zeros and shape and dtype.is_floating:
                kwargs["initial_value"] = lambda: tf.zeros(shape, dtype)
        else:
            shape, dtype = np.shape(value), tf.as_dtype(kwargs.get("dtype") or "int64")
        values_left -= math.prod(shape)
        if values_left < 0:
            raise KganError(
                f"Damaged preset: {left.where / WEIGHTS} does not fit the model in {CONFIG}. "
                f"Expected weights for a variable of shape {shape} and those before it. Received: "
                "too few"
            )
        left.take(math.prod(shape) * dtype.size, f"variables, the last of shape {shape}")
        return next_creator(**kwargs)

    with tf.variable_creator_scope(create):
        yield


def _slots_within(left, most):
    """Refuses the variables of optimizers likewise; they are not looked at if there is plenty."""
    if 2 * most > left.left:
        return _variables_within(left)
    left.take(most, "variables of optimizers")
    return nullcontext()


def _try_out(model, left, described):
    """Refuses a model that takes too much to make pictures, or that cannot make any.

    Networks that the preset describes may be of any kind: they make a few.
    """
    if not described:
        roughly = sum(memory.rough(network, SAMPLE_CHUNK) for network in model.averages.values())
        if roughly <= left.left:
            return
    for function, example, shape in model.passes():
        cost = memory.cost(function.graph)
        left.check(cost.bytes if cost.known else math.inf, "a pass through its networks")
        if cost.work > _MOST_WORK:
            raise KganError(
                f"Expected networks of at most {_MOST_WORK:.0e} multiplications for a few images. "
                f"Received: {cost.work:.0e} in {left.where}"
            )
        if described and (received := function(*example).shape) != shape:
            raise KganError(
                f"Expected images of shape {shape}. Received: {received} in {left.where}"
            )


def _check_same(preset, facts):
    """Raises KganError if a preset's metadata tell of another model than there is in it."""
    for key, value in facts.items():
        if preset.metadata.get(key) != value:
            raise KganError(
                f"Damaged preset: expected {key} {short(value)} in {METADATA}, as in {CONFIG}. "
                f"Received: {short(preset.metadata.get(key))} in {preset.directory}"
            )


def _facts(model) -> dict:
    """What the metadata say of the model itself."""
    return {
        "model": type(model).__name__,
        "image_shape": list(model.image_shape),
        "num_classes": getattr(model, "num_classes", None),
        "parameters": {name: network.count_params() for name, network in model.networks.items()},
    }


def _config(model) -> dict:
    config = model.get_config()
    for name in ("name", "trainable", "dtype", "origin", "frozen", "ema_ramp"):
        config.pop(name, None)
    try:
        content = json.dumps(config, default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise KganError(
            "Expected arguments of plain values, which a preset can hold. Received: "
            f"{short(config)}: {error}"
        ) from None
    config = parse_json(content, f"the arguments of {type(model).__name__}")
    if len(content) > MOST_JSON:
        raise KganError(
            f"Expected arguments and networks whose description takes at most {MOST_JSON:,} bytes. "
            f"Received: {len(content):,}"
        )
    check_registered(type(model))
    check_arguments(config, type(model), layers.__all__, "the model")
    return {"format": FORMAT, "class": type(model).__name__, "config": config}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else list(value)


def _subclasses(kind):
    yield kind
    for subclass in kind.__subclasses__():
        yield from _subclasses(subclass)
