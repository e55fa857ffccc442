"""What makes the pictures of a model, as a file that runs without kgan.

Values are what `model(…)` gives: floats in [-1, 1], channels last. Inputs and output have names,
and the size of the batch is open.
"""

import inspect
import json
import logging
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, zip_longest
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import FLAG, PATH, one_of, or_none, whole
from kgan.errors import KganError, printable, say, short, silent_stderr
from kgan.files import EXPORTS, expanded, recover, replacing, replacing_directory
from kgan.graph import Graph, NotExpressible, Value

FORMAT = one_of(*EXPORTS)
NOTES = "kgan.json"  # what a SavedModel says of itself
_OF_A_SAVED_MODEL = {
    *("saved_model.pb", "fingerprint.pb", NOTES, "assets", "variables"),
    *("variables/variables.index", "variables/variables.data-00000-of-00001"),
}
_MOST_BYTES = (1 << 31) - (1 << 20)  # of a file of Protocol Buffers, or of FlatBuffers
_BATCH = "batch"
_DESCRIPTION = 10  # where the fields of a LiteRT model tell the place of its description


class Exported(NamedTuple):
    """What is exported of a model.

    Attributes:
        function: of the inputs by name, gives floats in [-1, 1].
        inputs: their types, in their order; what is no scalar has the batch as its first dimension.
        options: names of the inputs, the last ones, that `function` does without.
        output: name of what it gives.
        express: writes the same in a graph, given a size of the batch, or a name for it; returns
            outputs by name.
        notes: what is to be said of the file: what made it.
    """

    function: Callable
    inputs: dict[str, tf.TensorSpec]
    options: tuple[str, ...]
    output: str
    express: Callable[[Graph, int | str], dict[str, Value]]
    notes: dict[str, Any]


def of_network(network: keras.Model, names: Iterable[str], notes: dict[str, Any]) -> Exported:
    """What is exported of a model whose pictures one of its networks makes.

    Args:
        network: in inference.
        names: of its inputs.
        notes: see `Exported`.
    """
    inputs = {
        name: tf.TensorSpec(x.shape, x.dtype, name)
        for name, x in zip(names, network.inputs, strict=True)
    }

    def function(*given):
        given = [x for x in given if x is not None]
        return network(given[0] if len(given) == 1 else given, training=False)

    output = "translated" if "images" in inputs else "images"  # a graph has no two of a name

    # It takes all inputs by name, or one list of them: all but the first may be missing.
    parameter = inspect.Parameter
    function.__signature__ = inspect.Signature(
        parameter(name, parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in zip_longest(inputs, [parameter.empty])
    )

    def express(graph, batch):
        given = [graph.input(n, (batch, *x.shape[1:]), x.dtype.name) for n, x in inputs.items()]
        return {output: graph.call(network, *given)}

    return Exported(function, inputs, (), output, express, notes)


def export(
    exported: Exported,
    filepath: str | os.PathLike,
    format: str = "tf_saved_model",
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    """Writes what is exported of a model, whole or not at all.

    Args:
        exported: of the model.
        filepath, format, verbose, input_signature: see `AdversarialModel.export`.
        **options: attributes of LiteRT's converter.

    Raises:
        KganError: for another format, ending or input, if something else than an export stands
            there, or the networks have what the format has not.
    """
    or_none(FLAG).check("verbose", verbose)
    format = "saved_model" if format == "tf_saved_model" else FORMAT.check("format", format)
    remote = format == "saved_model" and "://" in os.fspath(PATH.check("filepath", filepath))
    if not remote:
        check_place(filepath, format)
    if options and format != "litert":
        raise KganError(
            f"Expected no more arguments for format={format!r}, whose files are of one kind. "
            f"Received: {', '.join(f'{name}={short(value)}' for name, value in options.items())}"
        )
    exported = exported._replace(inputs=_with_batch(exported.inputs, input_signature))
    path = expanded(filepath)
    if remote:
        _save(exported, os.fspath(filepath))
    elif format == "saved_model":
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_directory(path) as partial:
            _save(exported, str(partial))
    else:
        with replacing(path) as partial:
            content = _onnx(exported) if format == "onnx" else _litert(exported, options)
            partial.write_bytes(content)
    if verbose:
        say(f"Exported to {os.fspath(filepath)}")


def check_place(filepath: str | os.PathLike, format: str) -> None:
    """Looks whether an export may be written to a path, before any work is done.

    Args:
        filepath: of the file or, for a SavedModel, of the directory.
        format: one of `kgan.files.EXPORTS`.

    Raises:
        KganError: for the ending of another format, or a directory that holds anything but an
            export of kgan's.
    """
    path, ending = expanded(PATH.check("filepath", filepath)), EXPORTS[format]
    if ending:
        if path.suffix.lower() != ending:
            raise KganError(
                f"Expected a path that ends in {ending}, for {format}. Received: {path}"
            )
        return
    if path.suffix.lower() in filter(None, EXPORTS.values()) or path.name in ("", ".."):
        raise KganError(
            f"Expected the path of a directory to make or to replace, for {format}. Received: "
            f"{path}"
        )
    recover(path)
    if path.exists() and not path.is_dir():
        raise KganError(f"Expected a directory to export to. Received: file {path}")
    ours = _OF_A_SAVED_MODEL if (path / NOTES).is_file() else ()
    others = (p.relative_to(path).as_posix() for p in path.rglob("*"))
    shown = ", ".join(map(printable, islice((p for p in others if p not in ours), 5)))
    if shown:
        raise KganError(
            "Expected an empty or new directory, or an export of kgan's to replace. Received: "
            f"{path}, which holds other files: {shown}"
        )


def _with_batch(inputs, input_signature):
    """The types of the inputs, with the batch that Keras' `input_signature` asks for."""
    if input_signature is None:
        return inputs
    with suppress(AttributeError, IndexError, TypeError, ValueError):  # of whatever is given
        asked = keras.tree.flatten(input_signature)
        batch = or_none(whole(1)).check("batch", tuple(asked[0].shape)[0])
        fixed = {
            name: tf.TensorSpec([batch, *x.shape[1:]] if x.shape.rank else [], x.dtype, name)
            for name, x in inputs.items()
        }
        if len(asked) <= len(fixed) and all(map(_is_like, asked, fixed.values())):
            return fixed
    expected = ", ".join(f"{x.dtype.name} {tuple(x.shape)} {n}" for n, x in inputs.items())
    raise KganError(
        f"Expected input_signature of {expected}, with one size of the batch. Received: "
        f"{short(input_signature)}"
    )


def _is_like(given, spec):
    dtype = tf.as_dtype(getattr(given, "dtype", None) or spec.dtype)
    return tuple(given.shape) == tuple(spec.shape) and dtype == spec.dtype


def _onnx(exported):
    (batch,) = {spec.shape[0] for spec in exported.inputs.values() if spec.shape.rank}
    graph = Graph()
    try:
        outputs = exported.express(graph, batch or _BATCH)
    except NotExpressible as error:
        raise KganError(
            "Expected a generator of layers that can be expressed as an ONNX graph. Received: "
            f"{error.what}; litert and saved_model are formats that may hold it"
        ) from None
    _check_size(graph.used.values())
    return graph.finish(outputs, notes={"kgan": json.dumps(exported.notes)})


def _check_size(variables):
    size = sum(int(np.prod(v.shape)) * 4 for v in variables)
    if size > _MOST_BYTES:
        raise KganError(
            "Expected at most 2 GB of weights, which is what one file holds; saved_model is a "
            f"format for more. Received: {size / 1e9:.1f} GB"
        )


def _module(exported):
    """A module with the function as `serve`, and a signature: all inputs and the output by name."""
    module = tf.Module()
    module.serve = tf.function(exported.function)

    def named(*given):
        return {exported.output: module.serve(**dict(zip(exported.inputs, given, strict=True)))}

    signature = tf.function(named, input_signature=[*exported.inputs.values()])
    module.weights = list(signature.get_concrete_function().variables)
    return module, signature


def _save(exported, directory):
    """Writes a SavedModel, of which `serve` may be called in several ways."""
    module, signature = _module(exported)
    needed = {n: x for n, x in exported.inputs.items() if n not in exported.options}
    if exported.options:
        module.serve.get_concrete_function(**needed)
    if len(needed) > 1:  # in a list, as Keras' own networks take them
        module.serve.get_concrete_function([*needed.values()])
    with _quiet():
        tf.saved_model.save(module, directory, {"serving_default": signature, "serve": signature})
    with tf.io.gfile.GFile(f"{directory}/{NOTES}", "w") as file:
        file.write(json.dumps(exported.notes, indent=2) + "\n")


def _litert(exported, options):
    if not hasattr(tf, "lite"):
        raise KganError(
            "Expected a TensorFlow with tf.lite, which converts; pip install tensorflow==2.21.* "
            f"gets one. Received: TensorFlow {tf.__version__}"
        )
    module, signature = _module(exported)
    traced = signature.get_concrete_function()
    _check_size(traced.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    for name, value in options.items():
        if not hasattr(converter, name):
            raise KganError(
                "Expected options that are attributes of tf.lite.TFLiteConverter. Received: "
                f"{name}={short(value)}"
            )
        setattr(converter, name, value)
    try:
        with _quiet():
            content = converter.convert()
    except Exception as error:  # of several kinds; their texts are pages long
        raise KganError(
            "Expected a generator of operations that LiteRT has, in float32 (as of a model loaded "
            "from a preset); saved_model is a format that takes any. Received: "
            f"{_operations(error)}"
        ) from error
    return _described(content, json.dumps(exported.notes))


def _operations(error):
    """What an error of the converter is about: the operations that LiteRT has not."""
    for line in str(error).split("\n"):
        if line.startswith(("TF Select ops:", "Custom ops:")):
            return line
    return short(str(error))


def _described(content, text):
    """A LiteRT model with a description of its own, in place of its converter's.

    It comes last in the file, and the table of the model is pointed to it: to write all of the
    tables anew in Python would lose how buffers are aligned. Source: "FlatBuffers Internals".
    """
    content = bytearray(content)
    (table,) = struct.unpack_from("<I", content)
    (fields,) = struct.unpack_from("<i", content, table)
    (place,) = struct.unpack_from("<H", content, table - fields + _DESCRIPTION)
    content += bytes(-len(content) % 4)
    struct.pack_into("<I", content, table + place, len(content) - table - place)
    said = text.encode()
    return bytes(content + struct.pack("<I", len(said)) + said + b"\0")


@contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow's savers and converters without what they say in passing."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with silent_stderr():
            yield
    finally:
        logger.setLevel(before)
