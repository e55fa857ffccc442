"""A model to a preset directory and back."""

import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import h5py
import keras
import numpy as np
import tensorflow as tf

import kgan
import kgan.models
from kgan import images
from kgan.untrusted import weights as hdf5
from kgan.zoo import presets
from kgan.errors import KganError, short
from kgan.files import sha256
from kgan.recipe import optimizers
from kgan.untrusted.networks import NETWORKS, check_arguments, check_values
from kgan.recipe import Recipe, from_dict
from kgan.zoo.versions import versions

# Values that a model may have beside those that its preset holds: counters, means, states of seeds;
# a class of the user's own may have more networks.
_MORE_VALUES = 10_000
_MORE_VALUES_OF_USERS = 1 << 26


class _Contents(keras.Model):
    """What of a model goes into `model.weights.h5`: no optimizers, one generator."""

    def __init__(self, model):
        super().__init__()
        self.generator = model.ema_generator
        self.discriminator = model.discriminator
        if model.augment is not None and model.augment.weights:  # how strong it has become
            self.augment = model.augment
        for name, weight in model.preset_state().items():
            setattr(self, name, weight)
        self.built = True


def save_preset(
    model,
    directory: str | os.PathLike,
    recipe: Recipe | None = None,
    seconds: float | None = None,
    curves: Path | None = None,
    selected: dict | None = None,
) -> None:
    """Writes a model as a preset directory; see `kgan.zoo.save`.

    `curves` is a picture of its training for the card, if there is such a file; `selected` says
    by which metric of which value a snapshot is to be chosen.
    """
    directory = Path(directory)
    presets.check_replaceable(directory)
    recipe = recipe or describe(model, directory.name)
    config = _config(model)
    with presets.writing(directory) as partial:
        (partial / presets.CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (partial / presets.RECIPE).write_text(recipe.to_toml(), "utf-8")
        _Contents(model).save_weights(partial / presets.WEIGHTS)
        rows = min(model.num_classes or 8, 16)
        labels = model.grid_labels(rows, 8)
        images.save_png(
            images.grid(model.sample(8 * rows, seed=0, labels=labels), columns=8),
            partial / presets.SAMPLES,
            provenance(
                model,
                recipe.name,
                sha256(partial / presets.WEIGHTS),
                seed=0,
                n=8 * rows,
                **({} if labels is None else {"labels": labels}),
            ),
        )
        if curves is not None and curves.is_file():
            shutil.copyfile(curves, partial / presets.CURVES)
        metadata = {
            "format": presets.FORMAT,
            "name": recipe.name,
            **_facts(model),
            "dataset": recipe.data.title or ", ".join(recipe.data.sources()) or None,
            "licence": recipe.data.licence or None,
            "class_names": recipe.data.class_names or None,
            "versions": versions(),
            "training": {
                "images_seen": int(model.images_seen.numpy()),
                "seconds": seconds and round(seconds),
                "hardware": f"{os.cpu_count()} cores of {platform.machine()}",
                "seed": model.seed,
                **({} if selected is None else {"selected": selected}),
            },
            "metrics": [],
        }
        presets.write_metadata(partial, metadata)


def load_preset(source: str | os.PathLike):
    """The model of a preset, compiled to be trained on; see `kgan.zoo.load`."""
    directory, metadata = presets.read(source)
    where, weights = directory / presets.CONFIG, directory / presets.WEIGHTS
    kind, arguments = _described(presets.read_config(directory), where)
    _check_same(metadata, {"model": kind.__name__}, directory)
    recipe = presets.read_recipe(directory)
    stored = hdf5.layout(weights)
    count = sum(math.prod(dataset.shape) for dataset in stored.values())
    own = kind.__module__.startswith("kgan.")
    with _refusing(directory):
        # There are two generators at most, and one is stored.
        most = 2 * count + (_MORE_VALUES if own else _MORE_VALUES_OF_USERS)
        with _variables_within(most, zeros=own, where=weights):
            model = kind.from_config(arguments)
        for network in (model.generator, model.discriminator):
            check_values(network, where)
        _load_weights(_Contents(model), weights, stored)
        _check_same(metadata, _facts(model), directory)
        if model.ema_generator is not model.generator:
            model.generator.set_weights(model.ema_generator.get_weights())
        steps = int(model.images_seen.numpy()) // recipe.batch_size
        critic_updates = model.updates("d_optimizer", steps * recipe.batch_size, recipe.batch_size)
        model.compile(
            g_optimizer=optimizers.to_train_on(recipe.g_optimizer, steps),
            d_optimizer=optimizers.to_train_on(recipe.d_optimizer, critic_updates),
        )
    return model


def load_weights(model, source: str | os.PathLike) -> None:
    """Gives a model the weights of another preset of the same class and arguments.

    Unlike a model built anew, of which TensorFlow keeps some memory after it is gone, this takes
    none, and nothing is traced again.

    Args:
        model: from `load_preset`.
        source: such as a later snapshot of the same run.

    Raises:
        KganError: if the preset is missing or damaged, or its weights are of another model.
    """
    directory, _ = presets.read(source)
    weights = directory / presets.WEIGHTS
    with _refusing(directory):
        _load_weights(_Contents(model), weights, hdf5.layout(weights))
        if model.ema_generator is not model.generator:
            model.generator.set_weights(model.ema_generator.get_weights())


def _described(config, where) -> tuple[type, dict]:
    """The class and the arguments that a config.json names, once they are known to be sound."""
    kinds = _kinds()
    name = config.get("class")
    if not isinstance(name, str) or name not in kinds:
        raise KganError(
            f"Expected a preset of one of the classes {sorted(kinds)}. Received: class "
            f"{short(name)} in {where}; a class of your own is to be imported first"
        )
    arguments = config.get("config")
    check_arguments(arguments, kinds[name], str(where))
    return kinds[name], arguments


def _kinds() -> dict[str, type]:
    """All GANs that are registered with Keras, by name: kgan's, and those that users imported."""
    kinds = [kind for kind in _subclasses(kgan.models.GAN) if _is_registered(kind)]
    kinds.sort(key=lambda kind: kind.__module__.startswith("kgan."))  # a name of kgan's is kgan's
    return {kind.__name__: kind for kind in kinds}


def _is_registered(kind):
    return keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is kind


@contextmanager
def _refusing(directory: Path) -> Iterator[None]:
    """Turns whatever Keras and TensorFlow make of a stranger's description into one line."""
    try:
        yield
    except KganError:
        raise
    except Exception as error:
        # Keras puts the whole description in front of what is wrong with it.
        reason = str(error).rpartition("Exception encountered: ")[2]
        raise KganError(
            f"Damaged preset: expected a model that can be built. Received: {directory}: "
            f"{type(error).__name__}: {' '.join(reason.split())[:300]}"
        ) from error


@contextmanager
def _variables_within(most: int, zeros: bool, where: Path) -> Iterator[None]:
    """Refuses variables of more than `most` values in all, before there is memory for them.

    With `zeros`, weights are not drawn, since they will be read.
    """
    left = most

    def create(next_creator, **kwargs):
        nonlocal left
        value = kwargs["initial_value"]
        if callable(value):
            with tf.Graph().as_default():  # where a tensor is a shape and a dtype
                tensor = value()
            shape, dtype = tuple(tensor.shape), tensor.dtype
            if zeros and shape and dtype.is_floating:
                kwargs["initial_value"] = lambda: tf.zeros(shape, dtype)
        else:
            shape = np.shape(value)
        left -= math.prod(shape)
        if left < 0:
            raise KganError(
                f"Damaged preset: {where} does not fit the model in {presets.CONFIG}. Expected "
                f"weights for a variable of shape {shape} and those before it. Received: too few"
            )
        return next_creator(**kwargs)

    with tf.variable_creator_scope(create):
        yield


def _load_weights(contents, path, stored):
    """Reads weights into a model, if they are exactly those that it has."""
    with tempfile.TemporaryDirectory(prefix="kgan-") as scratch:
        # Keras reads what it has written itself, with other values in it.
        clean = Path(scratch) / presets.WEIGHTS
        contents.save_weights(clean)
        with h5py.File(clean, "r+") as file:
            datasets = {}
            file.visititems(
                lambda name, item: (
                    datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
                )
            )
            for name in sorted(datasets.keys() | stored.keys()):
                expected, received = (_type_of(x.get(name)) for x in (datasets, stored))
                if expected[1:] != received[1:]:
                    raise KganError(
                        f"Damaged preset: {path} does not fit the model in {presets.CONFIG}. "
                        f"Expected {expected[0]} at {name}. Received: {received[0]}"
                    )
                datasets[name][...] = hdf5.values(path, stored[name])
        contents.load_weights(clean)


def _type_of(dataset):
    """How to name it in an error, its shape, and its dtype; floats are all alike."""
    if dataset is None:
        return "nothing", None, None
    kind = "f" if dataset.dtype.kind == "f" else dataset.dtype
    return f"{dataset.dtype} of shape {dataset.shape}", dataset.shape, kind


def _check_same(metadata, facts, directory):
    """Raises KganError if a preset's metadata tell of another model than there is in it."""
    for key, value in facts.items():
        if metadata.get(key) != value:
            raise KganError(
                f"Damaged preset: expected {key} {short(value)} in {presets.METADATA}, as in "
                f"{presets.CONFIG}. Received: {short(metadata.get(key))} in {directory}"
            )


def _facts(model) -> dict:
    """What the metadata say of the model itself."""
    return {
        "model": type(model).__name__,
        "image_shape": list(model.image_shape),
        "num_classes": model.num_classes,
        "parameters": {name: getattr(model, name).count_params() for name in NETWORKS},
    }


def describe(model, name: str) -> Recipe:
    """A recipe for a model that was trained from Python: its arguments and optimizers."""
    config = _config(model)["config"]
    networks = {key for key in NETWORKS if key in config}
    return from_dict(
        {
            "format": 1,
            "name": name,
            "model": type(model).__name__,
            "images": int(model.images_seen.numpy()),
            "seed": model.seed,
            "arguments": {
                # TOML has no null, and what is left out takes its default: false says "off".
                k: False if k == "ema_half_life" and v is None else v
                for k, v in config.items()
                if k not in networks | {"seed"}
            },
            **{
                key: optimizers.to_table(getattr(model, key))
                for key in ("g_optimizer", "d_optimizer")
                if model.compiled
            },
        },
        where="the model",
    )


def provenance(model, name: str, weights_sha256: str, **more) -> dict:
    """What a picture says about what made it."""
    return {
        "model": name,
        "class": type(model).__name__,
        "weights_sha256": weights_sha256,
        "images_seen": int(model.images_seen.numpy()),
        "kgan": kgan.__version__,
        **more,
    }


def _config(model) -> dict:
    config = model.get_config()
    for name in ("name", "trainable", "dtype"):
        config.pop(name, None)
    config = json.loads(json.dumps(config, default=_plain))
    if not _is_registered(type(model)):
        raise KganError(
            "Expected a class with @keras.saving.register_keras_serializable, which a preset can "
            f"name. Received: {type(model).__name__}"
        )
    check_arguments(config, type(model), "the model")
    return {"format": presets.FORMAT, "class": type(model).__name__, "config": config}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else list(value)


def _subclasses(kind):
    yield kind
    for subclass in kind.__subclasses__():
        yield from _subclasses(subclass)
