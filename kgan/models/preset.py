"""A model to a preset directory and back."""

import json
import os
import platform
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras
import numpy as np
import tensorflow as tf

import kgan
from kgan import images, presets
from kgan.errors import KganError
from kgan.models import optimizers
from kgan.recipe import Recipe, from_dict

# Layers that networks of strangers may be made of: they compute, and do nothing else.
ALLOWED_LAYERS = {
    *("InputLayer", "Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "SeparableConv2D"),
    *("DepthwiseConv2D", "Embedding", "Flatten", "Reshape", "Permute", "Activation", "ReLU"),
    *("LeakyReLU", "PReLU", "ELU", "Softmax", "BatchNormalization", "LayerNormalization"),
    *(
        "GroupNormalization",
        "UnitNormalization",
        "RMSNormalization",
        "SpectralNormalization",
        "Dropout",
    ),
    *("SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Add", "Subtract", "Multiply"),
    *("Average", "Maximum", "Minimum", "Concatenate", "Dot", "UpSampling2D", "ZeroPadding2D"),
    *("Cropping2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling2D", "Identity", "Rescaling"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling2D"),
}
_NETWORKS = ("generator", "discriminator")


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
) -> None:
    """Writes a model as a preset directory; see `kgan.zoo.save`."""
    directory = Path(directory)
    presets.check_replaceable(directory)
    recipe = recipe or describe(model, directory.name)
    config = _config(model)
    with presets.writing(directory) as partial:
        _write_json(partial / presets.CONFIG, config)
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
                presets.sha256(partial / presets.WEIGHTS),
                seed=0,
                n=8 * rows,
                **({} if labels is None else {"labels": labels}),
            ),
        )
        metadata = {
            "format": presets.FORMAT,
            "name": recipe.name,
            "model": type(model).__name__,
            "dataset": recipe.data.title or recipe.data.source or None,
            "licence": recipe.data.licence or None,
            "image_shape": list(model.image_shape),
            "num_classes": model.num_classes,
            "class_names": recipe.data.class_names or None,
            "parameters": {name: getattr(model, name).count_params() for name in _NETWORKS},
            "versions": {
                "kgan": kgan.__version__,
                "keras": keras.__version__,
                "tensorflow": tf.__version__,
            },
            "training": {
                "images_seen": int(model.images_seen.numpy()),
                "seconds": seconds and round(seconds),
                "hardware": f"{os.cpu_count()} cores of {platform.machine()}",
                "seed": model.seed,
            },
            "metrics": [],
        }
        presets.write_metadata(partial, metadata)


def load_preset(source: str | os.PathLike):
    """The model of a preset, compiled with its recipe's optimizers; see `kgan.zoo.load`."""
    directory, _ = presets.read(source)
    config = presets.read_config(directory)
    kinds = {kind.__name__: kind for kind in _subclasses(kgan.models.GAN)}
    if config.get("class") not in kinds:
        raise KganError(
            f"Expected a preset of one of the classes {sorted(kinds)}. Received: class "
            f"{config.get('class')!r} in {directory / presets.CONFIG}"
        )
    arguments = dict(config["config"])
    for name in _NETWORKS:
        if name in arguments:
            _check_network(arguments[name], directory / presets.CONFIG)
    recipe = presets.read_recipe(directory)
    model = kinds[config["class"]].from_config(arguments)
    try:
        _Contents(model).load_weights(directory / presets.WEIGHTS)
    except (OSError, KeyError, ValueError) as error:
        raise KganError(
            f"Damaged preset: {directory / presets.WEIGHTS} does not fit the model in "
            f"{presets.CONFIG}: {str(error).splitlines()[0]}"
        ) from None
    if model.ema_generator is not model.generator:
        model.generator.set_weights(model.ema_generator.get_weights())
    model.compile(
        g_optimizer=optimizers.from_table(recipe.g_optimizer),
        d_optimizer=optimizers.from_table(recipe.d_optimizer),
    )
    return model


def describe(model, name: str) -> Recipe:
    """A recipe for a model that was trained from Python: its arguments and optimizers."""
    config = _config(model)["config"]
    networks = {key for key in _NETWORKS if key in config}
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
    for name in _NETWORKS:
        if name in config:
            _check_network(config[name], f"the model's {name}")
    return {"format": presets.FORMAT, "class": type(model).__name__, "config": config}


def _check_network(network, where) -> None:
    """Raises KganError unless a serialized network is a graph of allow-listed Keras layers."""
    layers = network.get("config", {}).get("layers") if isinstance(network, dict) else None
    if not isinstance(layers, list):
        raise KganError(
            "Expected networks that are functional or sequential Keras models, which a preset can "
            f"describe without code. Received: {_class_name(network)} in {where}"
        )
    for layer in layers:
        if _class_name(layer) in ("Functional", "Sequential"):
            _check_network(layer, where)
        elif not _allowed(layer):
            raise KganError(
                "Expected networks of kgan.layers and of the Keras layers "
                f"{', '.join(sorted(ALLOWED_LAYERS))}. Received: {_class_name(layer)} in {where}"
            )


def _allowed(layer) -> bool:
    name = _class_name(layer)
    if layer.get("module") == "keras.layers":
        return name in ALLOWED_LAYERS
    # Keras looks a registered name up before any module.
    return name in kgan.layers.__all__ and layer.get("registered_name") == f"kgan>{name}"


def _class_name(serialized):
    return serialized.get("class_name") if isinstance(serialized, dict) else type(serialized)


def _subclasses(kind):
    yield kind
    for subclass in kind.__subclasses__():
        yield from _subclasses(subclass)


def _write_json(path, values):
    def plain(value):
        return value.item() if isinstance(value, np.generic) else list(value)

    path.write_text(json.dumps(values, indent=2, default=plain) + "\n", "utf-8")
