"""The weights of a model in `model.weights.h5`, in both formats.

Format 2 names datasets by player, layer and variable, as in
`generator/mapping/equalized_dense_1/kernel`: equal weights give equal files, in any process. All
are contiguous and little-endian, floats of 32 bits, integers of 64. In format 1, which is only
read, Keras names them.
"""

import io
import math
import re
import warnings

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import h5py
import keras
import numpy as np
import tensorflow as tf

from kgan.errors import KganError, KganWarning
from kgan.graph import Graph
from kgan.models.base import keras_files
from kgan.models.base.adversarial import copy_weights
from kgan.untrusted.weights import Stored, layout, values
from kgan.zoo.metadata import CONFIG, WEIGHTS, most_bytes
from kgan.zoo.preset import Preset


def content(model) -> bytes:
    """The file of what a preset holds of a model: see `named`."""
    buffer = io.BytesIO()  # HDF5 does not survive a disk that is full
    with h5py.File(buffer, "w", libver="earliest", track_order=False) as file:
        for name, variable in sorted(named(model).items()):
            array = keras.ops.convert_to_numpy(variable).astype(_stored_dtype(variable))
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise KganError(
                    f"Expected finite weights to save. Received: NaN or infinity in {name}, as of "
                    "a training that has diverged"
                )
            file.create_dataset(name, data=array, track_times=False)
    return buffer.getvalue()


def graphs_of(model, content: bytes, file_format: int) -> dict[str, bytes]:
    """The averaged generators as ONNX graphs, whose weights are those in the preset's file.

    Args:
        model: with `expressions`.
        content: of the file of its weights.
        file_format: of the preset.

    Returns:
        Graphs by the names of the networks.

    Raises:
        kgan.graph.NotExpressible: if a layer is of a kind that no graph is known for.
    """
    variables = named(model) if file_format > 1 else _named_in_format_1(model)
    stored = layout(content, WEIGHTS)
    names = {
        id(variable): name
        for name, variable in variables.items()
        if stored[name].dtype == np.dtype("<f4")
    }
    graphs = {}
    for player, express in model.expressions().items():
        written = Graph(names)
        outputs = express(written)
        places = {n: (stored[n].offset, 4 * math.prod(stored[n].shape)) for n in written.used}
        graphs[player] = written.finish(outputs, WEIGHTS, places)
    return graphs


def note_size(model) -> None:
    """Says so if a preset of a model will be over the limit of size that others have.

    Warns:
        KganWarning: with what the limit must be raised to.
    """
    variables = named(model).values()
    size = sum(math.prod(v.shape) * _stored_dtype(v).itemsize for v in variables)
    size += 4096 * len(variables)  # what HDF5 adds for each of them, at most
    if size > most_bytes(WEIGHTS):
        warnings.warn(
            f"A preset of this model has {size / 1e6:,.0f} MB of weights: it loads from its "
            "directory, but from a URL, a hub or a registry only for those who set "
            f"KGAN_MOST_WEIGHTS={-(-size // (1 << 20))}",
            KganWarning,
            stacklevel=2,
        )


def assign(model, preset: Preset, stored: dict[str, Stored], augmentation: bool = True) -> None:
    """Gives a model the weights of a preset, if they are exactly those that it has.

    Averaged networks are stored once, and both the network and its average start from that.

    Args:
        model: built as the preset says.
        preset: as it was read.
        stored: `kgan.untrusted.weights.layout` of its weights.
        augmentation: False leaves the augmentation as it is, whatever the preset has.

    Raises:
        KganError: if a dataset is missing, is too much, or is of another shape or type.
    """
    if not augmentation:
        stored = {name: data for name, data in stored.items() if not name.startswith("augment/")}
    assign_format = _assign_format_1 if preset.metadata["format"] == 1 else _assign
    assign_format(model, preset, stored, augmentation)
    for name, average in model.averages.items():
        if average is not model.networks[name]:
            copy_weights(average, model.networks[name])


def named(model, augmentation: bool = True) -> dict[str, keras.Variable]:
    """The variables that a preset holds of a model, by the names of their datasets.

    The weights of each network (of its average, if it has one), of the augmentation, and the
    model's `preset_state`. The states of random layers are none of them: the step sets these.

    Raises:
        KganError: if a network has weights that none of its layers has.

    Example:

    >>> [name for name in named(kgan.models.DCGAN()) if name.startswith("generator/dense")]
    ['generator/dense/kernel']
    """
    found, seen = {}, set()
    for player, network in _stored_networks(model).items():
        _name(network, player, found, seen)
        if not all(id(variable) in seen for variable in network.weights):
            raise KganError(
                "Expected networks all of whose weights belong to their layers. Received: "
                f"{player}, with others"
            )
    if model.augment is not None and augmentation:
        _name(model.augment, "augment", found, seen)
    found.update({f"state/{name}": variable for name, variable in model.preset_state().items()})
    return found


def _stored_networks(model):
    return {**model.networks, **model.averages}


def _name(layer, path, found, seen):
    """Adds the variables of a layer, and of those inside it, that are not yet in `found`.

    A wrapper refers to variables of the layer in it, and a layer may be in two networks: what a
    variable is called says the first and innermost layer that has it.
    """
    inner = layer.layers if isinstance(layer, keras.Model) else layer._layers
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    labels = _labels([*inner, *own])
    for child, label in zip(inner, labels, strict=False):
        _name(child, f"{path}/{label}", found, seen)
    for variable, label in zip(own, labels[len(inner) :], strict=True):
        if id(variable) not in seen:
            seen.add(id(variable))
            found[f"{path}/{label}"] = variable


def _labels(things) -> list[str]:
    """A label for each variable or layer: the name that it was given, or its class and number.

    Keras numbers what has no name by a counter of the process; here the first has no number, the
    second is number 1.
    """
    labels = {}
    for thing in things:
        label = re.sub(r"[^\w-]", "_", thing.name, flags=re.ASCII)
        kind = _snake_case(type(thing).__name__)
        if re.fullmatch(rf"{kind}_\d+", label):
            label = kind
        number = 0
        while (numbered := f"{label}_{number}" if number else label) in labels:
            number += 1
        labels[numbered] = thing
    return list(labels)


def _snake_case(name):
    """The name of a class as Keras writes it in the names of its objects."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _stored_dtype(variable):
    return np.dtype("<f4" if tf.as_dtype(variable.dtype).is_floating else "<i8")


def _assign(model, preset, stored, augmentation):
    variables = named(model, augmentation)
    expected = {name: (_stored_dtype(v).name, tuple(v.shape)) for name, v in variables.items()}
    received = {name: (dataset.dtype.name, dataset.shape) for name, dataset in stored.items()}
    _check_fit(expected, received, preset)
    for name, variable in variables.items():
        array = values(preset.content[WEIGHTS], stored[name])
        variable.assign(array.astype(tf.as_dtype(variable.dtype).as_numpy_dtype))


def _check_fit(expected, received, preset):
    """Raises KganError unless two tables of (dtype, shape) by name are equal."""
    for name in sorted(expected.keys() | received.keys()):
        if expected.get(name) != received.get(name):
            wanted, found = (
                f"{table[name][0]} of shape {table[name][1]}" if name in table else "nothing"
                for table in (expected, received)
            )
            raise KganError(
                f"Damaged preset: {preset.directory / WEIGHTS} does not fit the model in {CONFIG}. "
                f"Expected {wanted} at {name}. Received: {found}"
            )


class Contents(keras.Model):
    """What format 1 holds of a model, as a model that Keras saves."""

    def __init__(self, model, augmentation=True):
        super().__init__()
        for name, network in _stored_networks(model).items():
            setattr(self, name, network)
        # How strong the augmentation has become.
        if model.augment is not None and model.augment.weights and augmentation:
            self.augment = model.augment
        for name, weight in model.preset_state().items():
            setattr(self, name, weight)
        self.built = True


def _assign_format_1(model, preset, stored, augmentation):
    contents = Contents(model, augmentation)
    # Keras reads what it has written itself, with other values in it.
    clean = io.BytesIO(keras_files.weights(contents))
    with h5py.File(clean, "r+") as file:
        datasets = {}
        file.visititems(
            lambda name, item: (
                datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
            )
        )
        _check_fit(*({n: _type_of(x) for n, x in t.items()} for t in (datasets, stored)), preset)
        for name, dataset in datasets.items():
            dataset[...] = values(preset.content[WEIGHTS], stored[name])
    keras_files.load_weights(contents, clean.getvalue())


def _named_in_format_1(model):
    """The variables by the names of their datasets, which Keras gives: each is marked by a number.

    The model is then as it was.
    """
    variables = list(named(model).values())
    kept = [variable.numpy() for variable in variables]
    try:
        for number, variable in enumerate(variables):
            variable.assign(np.full(variable.shape, number))
        marked = io.BytesIO(keras_files.weights(Contents(model)))
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.size:
            found[name] = variables[int(item[()].flat[0])]

    with h5py.File(marked) as file:
        file.visititems(visit)
    return found


def _type_of(dataset):
    """The dtype and the shape of a dataset of format 1, where floats of any size are alike."""
    return "float" if dataset.dtype.kind == "f" else dataset.dtype.name, dataset.shape
