"""Hostile presets: what `tests/zoo/test_saving.py` and the fuzzer change in sound ones.

Every function of `MUTATIONS` changes a preset directory, as a `random.Random` says; `rehash` then
makes its hashes right again, so that what reads the files is reached.
"""

import json
import math
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import kgan
from kgan.files import sha256
from kgan.zoo.metadata import CARD, CONFIG, METADATA, RECIPE, SAMPLES, WEIGHTS

TEXT = (CONFIG, METADATA, RECIPE, CARD)
FILES = (*TEXT, WEIGHTS, SAMPLES)

# An object of the user's own that a preset must not reach: `tests/benchmarks/fuzz_presets.py`.
EVIL = "evil>Evil"


def rehash(directory: Path) -> None:
    """Makes the hashes and sizes in the metadata those of the files, if they can be told."""
    path = directory / METADATA
    if not path.is_file():  # a pipe, or a device without end
        return
    try:
        metadata = json.loads(path.read_text())
        for name in metadata["files"]:
            file = directory / name
            if file.is_file():
                metadata["files"][name] = {
                    "sha256": sha256(file),
                    "size": file.stat().st_size,
                }
        path.write_text(json.dumps(metadata))
    except (KeyError, TypeError, ValueError, OSError, RecursionError, AttributeError):
        pass  # the mutation was of the metadata itself


def rewrite(directory: Path, change: Callable, name: str = CONFIG) -> None:
    """Changes a JSON file in place by a function of its values, and mends the hashes."""
    path = directory / name
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    rehash(directory)


def rewrite_weights(directory: Path, change: Callable) -> None:
    """Changes the weights by a function of the open file, and mends the hashes."""
    with h5py.File(directory / WEIGHTS, "r+") as file:
        change(file)
    rehash(directory)


def to_format_1(directory: Path) -> None:
    """Rewrites a preset as kgan 0.1 would have written it."""
    from kgan.zoo import weights  # late: it imports TensorFlow

    weights.Contents(kgan.zoo.load(directory)).save_weights(directory / WEIGHTS)
    rewrite(directory, lambda config: config.update(format=1))
    rewrite(directory, lambda metadata: metadata.update(format=1), METADATA)
    rewrite(directory, lambda metadata: metadata.pop("samples"), METADATA)


def datasets(file: h5py.File) -> list[str]:
    """The names of all datasets, sorted."""
    names = []
    file.visititems(lambda name, x: names.append(name) if isinstance(x, h5py.Dataset) else None)
    return sorted(names)


def nested(levels: int, inner="0") -> str:
    """Lists in lists, as text of JSON or TOML."""
    return "[" * levels + inner + "]" * levels


# Any file.


def flip_bits(directory, rng):
    path = directory / rng.choice(FILES)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(directory, rng):
    path = directory / rng.choice(FILES)
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def grow(directory, rng):
    path = directory / rng.choice(FILES)
    with open(path, "ab") as file:
        file.write(rng.choice((b"\0", b" ", b"\n", b"x")) * rng.choice((1, 1 << 10, 5 << 20)))


def swap_files(directory, rng):
    """With another preset beside it."""
    other = rng.choice([p for p in sorted(directory.parent.iterdir()) if p.name != directory.name])
    for name in rng.sample(FILES, rng.choice((1, 1, 2))):
        shutil.copyfile(other / name, directory / name)


def replace_file(directory, rng):
    path = directory / rng.choice(FILES)
    content = path.read_bytes()
    path.unlink()
    how = rng.choice(("missing", "directory", "link", "inner link", "pipe", "loop", "device"))
    if how == "directory":
        path.mkdir()
    elif how == "link":
        target = directory.parent / f"{directory.name}-elsewhere"
        target.write_bytes(content)
        path.symlink_to(target)
    elif how == "inner link":
        path.symlink_to(SAMPLES)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "device":
        path.symlink_to("/dev/zero")


def name_files(directory, rng):
    """Odd names, sizes and hashes in the list of files."""
    path = directory / METADATA
    metadata = json.loads(path.read_text())
    files = metadata["files"]
    old = rng.choice(sorted(files))
    new = rng.choice(
        (
            "/etc/passwd",
            "../config.json",
            "a/b",
            "..",
            "",
            ".hidden",
            "CONFIG.JSON",
            "metadata.json",
        )
    )
    how = rng.randrange(4)
    if how == 0:
        files[new] = files[old]
    elif how == 1:
        files[old]["size"] = rng.choice((-1, 0, 2**40, 2**70, 1e300, "1", None))
    elif how == 2:
        files[old]["sha256"] = rng.choice(("", "0" * 64, 7, None, "G" * 64, ["a"]))
    else:
        files.update({f"file-{i}": {"sha256": "0" * 64, "size": 1} for i in range(50)})
    path.write_text(json.dumps(metadata))


# JSON.

_ODD = [
    *(None, True, False, -1, 0, 1, 3, 7, 2**20, 2**31, 2**63, 2**70, 10**300, 0.5, -1e300, 1e300),
    *(math.nan, math.inf, "", "x", "1", "../../etc/passwd", "\x1b[31m", "\u202e", "\ud800"),
    *("x" * 100_000, "a\nb", EVIL, "Lambda", "float16", "int8", "exec", [], {}, [[]], [None] * 50),
    *([0] * 10_000, {"x": {"y": 1}}, [2**31] * 4, {"class_name": "__lambda__", "config": {}}),
    {"class_name": "Evil", "module": None, "registered_name": EVIL, "config": {}},
    {"class_name": "function", "module": "builtins", "config": EVIL, "registered_name": EVIL},
    {"class_name": "Popen", "module": "subprocess", "config": {"args": "true"}},
]


def _places(values):
    """Every (container, key) in nested values."""
    found, left = [], [values]
    while left:
        value = left.pop()
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            found.append((value, key))
            if isinstance(value[key], (dict, list)):
                left.append(value[key])
    return found


def mutate_json(directory, rng):
    path = directory / rng.choice((CONFIG, CONFIG, METADATA))
    values = json.loads(path.read_text())
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = _places(values)
        if not places:
            break
        container, key = rng.choice(places)
        how = rng.randrange(4)
        if how == 0 and isinstance(container, list):
            container.insert(key, container[key])
        elif how == 0:
            del container[key]
        elif how == 1:
            other, index = rng.choice(places)
            container[key] = json.loads(json.dumps(other[index]))
        else:
            container[key] = rng.choice(_ODD)
    path.write_text(json.dumps(values))


def mutate_json_text(directory, rng):
    path = directory / rng.choice((CONFIG, METADATA))
    text = path.read_text()
    number = rng.choice(re.findall(r"\b\d+\b", text))
    path.write_text(
        rng.choice(
            (
                lambda: text.replace("{", '{"format": 1, ', 1),  # a key twice
                lambda: text.replace(number, nested(rng.choice((50, 500, 100_000)), number), 1),
                lambda: text.replace(number, "9" * rng.choice((30, 3000, 100_000)), 1),
                lambda: text.replace(
                    number, rng.choice(("NaN", "-Infinity", "1e999", "0x1", "")), 1
                ),
                lambda: text.replace("}", "", 1),
                lambda: text + text,
                lambda: "\ufeff" + text,
                lambda: '{"a":' * 50_000,
                lambda: text.replace(" ", " " * (1 + 10_000_000 // (text.count(" ") + 1))),
            )
        )()
    )


# TOML.


def mutate_toml(directory, rng):
    path = directory / RECIPE
    lines = path.read_text().splitlines()
    index = rng.randrange(len(lines))
    key, _, value = lines[index].partition(" = ")
    odd = rng.choice(
        [
            *(
                "-1",
                "0",
                "true",
                "1e308",
                "nan",
                "inf",
                "9" * 50,
                "0x" + "f" * 5000,
                '"\\u001b[31m"',
            ),
            *("1979-05-27", "[]", "{}", nested(60), nested(50_000), '["a"]', "2.5", '"../x"'),
            *('{name = "Adam"}', '{class_name = "Evil", registered_name = "evil>Evil"}', '"exec"'),
            *('"LossScaleOptimizer"', '"MultiOptimizer"', '"Optimizer"', "[[1], [2]]", f'"{EVIL}"'),
        ]
    )
    lines[index : index + 1] = rng.choice(
        (
            lambda: [],
            lambda: [lines[index]] * 2,
            lambda: [f"{key} = {odd}"],
            lambda: [f"{key} = {odd}"],
            lambda: [f"{key} = {odd}"],
            lambda: [lines[index], ".".join("a" * 50_000) + " = 1"],
            lambda: [lines[index], f"odd = {odd}"],
            lambda: [lines[index], "[g_optimizer]", f'name = "Adam"\nbeta_1 = {odd}'],
            lambda: [lines[index], "[arguments]", f"width = {odd}"],
            lambda: [lines[index][: len(lines[index]) // 2]],
        )
    )()
    path.write_text("\n".join(lines) + "\n")


# Weights.


def mutate_weights(directory, rng):
    with h5py.File(directory / WEIGHTS, "r+") as file:
        name = rng.choice(datasets(file))
        values = file[name][()]
        parent, leaf = file[name].parent, name.rpartition("/")[2]
        del file[name]
        rng.choice(_WEIGHTS)(parent, leaf, values, rng)


def _soft_link(parent, name, values, rng):
    target = rng.choice((".", "/", "/nowhere", f"{parent.name}/{name}"))
    parent[name] = h5py.SoftLink(target)


def _external_link(parent, name, values, rng):
    parent[name] = h5py.ExternalLink(rng.choice(("/etc/passwd", "../x.h5", "samples.png")), "/")


def _hard_link(parent, name, values, rng):
    parent[name] = parent.file["/"] if rng.random() < 0.5 else parent


def _external_storage(parent, name, values, rng):
    files = [("/etc/passwd", 0, max(1, values.nbytes))]
    parent.create_dataset(name, values.shape or (1,), values.dtype, external=files)


def _virtual(parent, name, values, rng):
    shape = values.shape or (1,)
    layout = h5py.VirtualLayout(shape, values.dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape)
    parent.create_virtual_dataset(name, layout)


def _bomb(parent, name, values, rng):
    """A gigabyte of zeros, and more, in a few bytes."""
    shape = rng.choice(((1 << 28,), (1 << 40,), (1 << 20, 1 << 20)))
    compression = rng.choice((None, "gzip"))
    chunks = tuple(min(n, 1 << 10) for n in shape) if compression else None
    parent.create_dataset(name, shape, "f4", chunks=chunks, compression=compression)


def _filtered(parent, name, values, rng):
    values = np.atleast_1d(values)
    option = rng.choice(({"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}))
    parent.create_dataset(name, data=values, chunks=values.shape, **option)


def _other_shape(parent, name, values, rng):
    parent[name] = rng.choice((values.ravel()[:-1], values[None], np.append(values.ravel(), 0)))


def _other_dtype(parent, name, values, rng):
    parent[name] = values.astype(rng.choice(("f8", "f2", "i4", "u1", "?", ">f4", "c8", "S4")))


def _objects(parent, name, values, rng):
    kind = rng.choice(
        (h5py.string_dtype(), h5py.vlen_dtype("f4"), h5py.ref_dtype, h5py.opaque_dtype("M8[s]"))
    )
    parent.create_dataset(name, values.shape, kind)


def _group(parent, name, values, rng):
    parent.create_group(name)


def _renamed(parent, name, values, rng):
    parent[rng.choice((name + "0", "é", "a.b", "x" * 1000, "..", "\x1b[31m"))] = values


def _more(parent, name, values, rng):
    parent[name] = values
    for index in range(rng.choice((1, 300))):
        parent[f"more-{index}"] = np.zeros(4, "f4")


def _deep(parent, name, values, rng):
    parent["/".join(["x"] * rng.choice((10, 200)))] = values


def _missing(parent, name, values, rng):
    pass


def _odd_values(parent, name, values, rng):
    parent[name] = np.full_like(
        values, rng.choice((0, 1, -1)) if values.dtype.kind == "i" else np.nan
    )


_WEIGHTS = (
    *(
        _soft_link,
        _external_link,
        _hard_link,
        _external_storage,
        _virtual,
        _bomb,
        _filtered,
        _group,
    ),
    *(_other_shape, _other_dtype, _objects, _renamed, _more, _deep, _missing, _odd_values),
)


def flip_headers(directory, rng):
    """Of the weights' file, leaving the weights alone: what the HDF5 library would crash on."""
    path = directory / WEIGHTS
    content = bytearray(path.read_bytes())
    values = set()
    with h5py.File(path) as file:
        for name in datasets(file):
            start = file[name].id.get_offset()
            values.update(range(start, start + file[name].nbytes))
    # Most of a header is zeros or ones that say "nothing".
    places = [i for i, byte in enumerate(content) if i not in values and byte not in (0, 255)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        content[rng.choice(places)] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    path.write_bytes(content)


# The model.


def _layers(values):
    """Every table in nested values that describes a layer."""
    return [
        container[key]
        for container, key in [([values], 0), *_places(values)]
        if isinstance(container[key], dict)
        and "class_name" in container[key]
        and isinstance(container[key].get("config"), dict)
        and "name" in container[key]["config"]
    ]


def describe_evil(directory, rng):
    """Layers, objects and functions that no preset may have, in place of those there are."""
    path = directory / CONFIG
    values = json.loads(path.read_text())
    layer = rng.choice(_layers(values) or [values["config"]])
    config = layer.get("config", layer)
    code = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}
    function = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    odd = rng.choice(
        [
            {"class_name": "Lambda", "module": "keras.layers", "registered_name": None},
            {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp"}},
            {"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {}},
            {"class_name": "Evil", "module": "evil", "registered_name": EVIL, "config": {}},
            {"class_name": "Dense", "module": "keras.layers", "registered_name": EVIL},
            {"class_name": "get_file", "module": "keras.utils", "registered_name": None},
            {"class_name": "Model", "module": "os", "registered_name": None},
            {"class_name": "Functional", "module": "builtins", "registered_name": "Functional"},
            {"compile_config": {"optimizer": {"class_name": "Evil", "registered_name": EVIL}}},
            {"build_config": {"input_shape": [None, 2**31, 2**31]}},
            {"shared_object_id": {"class_name": "Evil", "registered_name": EVIL, "config": {}}},
            {"inbound_nodes": [{"args": [code], "kwargs": {}}]},
            {"inbound_nodes": [{"args": [EVIL], "kwargs": {"training": EVIL}}]},
            {"inbound_nodes": [[["x", 0, 0, {"y": EVIL}]]]},
            *(
                {"config": {**config, key: value}}
                for key in (
                    "activation",
                    "kernel_initializer",
                    "kernel_regularizer",
                    "dtype",
                    "seed",
                )
                for value in (
                    code,
                    EVIL,
                    {**function, "config": EVIL},
                    {**function, "module": "keras.utils", "config": "get_file"},
                    {"class_name": "Evil", "module": "evil", "registered_name": EVIL, "config": {}},
                    {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": []},
                    {"class_name": "__numpy__", "config": {"value": 1, "dtype": "O"}},
                )
            ),
        ]
    )
    layer.update(odd)
    path.write_text(json.dumps(values))


def describe_bomb(directory, rng):
    """Sizes of a model that would take memory or time without end."""
    path = directory / CONFIG
    values = json.loads(path.read_text())
    arguments = values["config"]
    huge = rng.choice((2**10, 2**16, 2**20, 2**31, 2**40, 10**30))
    networks = [name for name in ("generator", "discriminator") if name in arguments]
    if networks and rng.random() < 0.8:
        network = arguments[rng.choice(networks)]
        rng.choice((_widen, _repeat, _nest, _call_often))(network, huge, rng)
    else:
        names = ("width", "latent_dim", "max_channels", "mapping_layers", "num_classes", "seed")
        arguments[rng.choice(names)] = huge
        if rng.random() < 0.2:
            arguments["image_shape"] = [huge, huge, 3]
    path.write_text(json.dumps(values))


def _widen(network, huge, rng):
    for layer in rng.sample(_layers(network), 1):
        numbers = [k for k, v in layer["config"].items() if isinstance(v, (int, list)) and v]
        for key in rng.sample(numbers, min(2, len(numbers))):
            value = layer["config"][key]
            layer["config"][key] = [huge] * len(value) if isinstance(value, list) else huge


def _repeat(network, huge, rng):
    layers = network["config"]["layers"]
    layer = rng.choice(layers)
    copies = [{**layer, "name": f"copy-{i}"} for i in range(min(huge, 3000))]
    network["config"]["layers"] = layers + copies


def _nest(network, huge, rng):
    """Networks in networks, each called twice: 2^levels calls."""
    for level in range(rng.choice((3, 6, 30))):
        inner = json.loads(json.dumps(network))
        inner["name"] = inner["config"]["name"] = f"inner-{level}"
        tensor = {"class_name": "__keras_tensor__"}
        call = {
            "args": [{**tensor, "config": {"shape": [None, 4], "dtype": "float32"}}],
            "kwargs": {},
        }
        call["args"][0]["config"]["keras_history"] = ["input", 0, 0]
        inner["inbound_nodes"] = [call, call]
        network["config"]["layers"] = [network["config"]["layers"][0], inner]


def _call_often(network, huge, rng):
    layer = rng.choice(network["config"]["layers"])
    layer["inbound_nodes"] = (layer.get("inbound_nodes") or [{"args": [], "kwargs": {}}]) * min(
        huge, 5000
    )


# What loads in no time, and then takes memory, takes time, or cannot be called. Each of these
# changes the description of a functional network, whose weights go on fitting it.


class Graph:
    """A functional network's description, to which layers without weights are added.

    Attributes:
        last: what its output is, as an argument of calls.
        shape: of the output, without the batch.
    """

    def __init__(self, network: dict, shape):
        self.config = network["config"]
        self.shape = shape
        self.last = self.config["output_layers"]
        while isinstance(self.last[0], list):
            self.last = self.last[0]

    def call(self, kind: str, *taken, **config) -> list:
        """Adds a layer; returns what it puts out. Without `taken` it is called on the last."""
        name = f"{kind.lower()}_{len(self.config['layers'])}"
        args = [_tensor(history) for history in taken or [self.last]]
        self.config["layers"].append(
            {
                "module": "keras.layers",
                "class_name": kind,
                "registered_name": None,
                "config": {"name": name, **config},
                "name": name,
                "inbound_nodes": [{"args": [args] if len(args) > 1 else args, "kwargs": {}}],
            }
        )
        self.last = [name, 0, 0]
        return self.last

    def end(self) -> None:
        """Makes the last layer the output."""
        self.config["output_layers"] = [self.last]


def _tensor(history):
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _balloon(graph, factor):
    """Larger, and small again."""
    graph.call("UpSampling2D", size=factor, interpolation="bilinear")
    return graph.call("AveragePooling2D", pool_size=factor)


def branches(graph, rng):
    """Many large tensors, none of which need wait for another."""
    start, factor = graph.last, int(1600 / graph.shape[0])
    ends = []
    for _ in range(rng.choice((20, 100, 160))):
        graph.last = start
        ends.append(_balloon(graph, factor))
    graph.call("Add", *ends)


def chain(graph, rng):
    """One after the other, which takes as much as one of them."""
    for _ in range(rng.choice((1, 4))):
        _balloon(graph, int(800 / graph.shape[0]))


def hoard(graph, rng):
    """Many large tensors that all are needed at the end."""
    start, factor = graph.last, int(1600 / graph.shape[0])
    ends = []
    for _ in range(rng.choice((20, 100))):
        ends.append(graph.call("UpSampling2D", start, size=factor, interpolation="bilinear"))
    graph.call("Maximum", *ends)
    graph.call("AveragePooling2D", pool_size=factor)


def broadcast(graph, rng):
    """A scale of more values than the layer's description says that it puts out."""
    count = rng.choice((50, 500, 5000))
    graph.call("Reshape", target_shape=[1, 1, math.prod(graph.shape)])
    graph.call("Rescaling", scale=[[[1.0]]] * count, offset=[[[0.0]] * count])
    graph.call("GlobalAveragePooling2D")
    graph.call("Reshape", target_shape=list(graph.shape))


def doubled(graph, rng):
    """Batches of twice the size, again and again."""
    for _ in range(rng.choice((1, 8, 20))):
        graph.call("Concatenate", graph.last, graph.last, axis=rng.choice((0, -4)))


def outer_product(graph, rng):
    """All values by all values."""
    flat = graph.call("Reshape", target_shape=[math.prod(graph.shape), 1])
    for _ in range(rng.choice((1, 8))):
        graph.call("Dot", flat, flat, axes=2)
        graph.call("MaxPooling1D", pool_size=1)
    graph.call("Dot", graph.last, flat, axes=[2, 1])
    graph.call("Reshape", target_shape=list(graph.shape))


def slow(graph, rng):
    """Hours of windows, in little memory."""
    factor = int(1600 / graph.shape[0])
    graph.call("UpSampling2D", size=factor)
    for _ in range(rng.choice((1, 20, 200))):
        pool = rng.choice(("AveragePooling2D", "MaxPooling2D"))
        graph.call(pool, pool_size=511, strides=1, padding="same")
    graph.call("AveragePooling2D", pool_size=factor)


GREEDY = (branches, chain, hoard, broadcast, doubled, outer_product, slow)


def wide(network, rng):
    """Numbers of twice the bytes."""
    for layer in _layers(network):
        layer["config"]["dtype"] = "float64"


def half(network, rng):
    """Numbers of half the bytes, which processors do not compute with."""
    for layer in _layers(network):
        layer["config"]["dtype"] = rng.choice(("float16", "bfloat16", "mixed_float16"))


def call_oddly(network, rng):
    """Arguments of calls that no layer takes, or that are no use to it."""
    called = [layer for layer in _layers(network) if layer.get("inbound_nodes")]
    layer = rng.choice(
        [layer for layer in called if "layers" in layer["config"] and rng.random() < 0.7] or called
    )
    call = rng.choice(layer["inbound_nodes"])
    odd = rng.choice(([None], [], [[None]], 0, 1.5, True, [True], "x", {}, None, [0, [None]]))
    tensor = call["args"][0] if call["args"] else odd
    if rng.random() < 0.7:
        key = rng.choice(("mask", "mask", "mask", "training", "initial_state", "inputs", "x"))
        call["kwargs"][key] = rng.choice((odd, odd, odd, tensor, [tensor, None]))
    else:
        call["args"] = rng.choice(([odd], [*call["args"], odd], [[*call["args"]]], [tensor] * 2))


def take_oddly(network, rng):
    """Inputs that are not what a model gives a network."""
    inputs = [layer for layer in _layers(network) if layer["class_name"] == "InputLayer"]
    layer = rng.choice(inputs)
    key, values = rng.choice(
        (
            ("sparse", (True, 1, "x", None)),
            ("ragged", (True, 1, "x", None)),
            ("optional", (True, "x", None)),
            ("dtype", ("bool", "uint8", "int64", "float16", "float64", "bfloat16", "string")),
            ("batch_shape", ([7, 4], [None, None], [None], [None, 4, 1], [0, 4], [16, 4], [1, 4])),
            ("input_tensor", (True, [1], None)),
        )
    )
    layer["config"][key] = rng.choice(values)


def set_oddly(network, rng):
    """Values that a layer is made with, and may not be called with."""
    layers = _layers(network)
    key, values = rng.choice(
        (
            ("data_format", ("channels_first", "x", 7)),
            ("axis", (0, -4, 1, 3, [1, 2], [0], 99, "x", None)),
            ("strides", ([1, 2], 3, [2**20, 2**20], 0, -1, [2, 1, 1])),
            ("dilation_rate", ([2, 3], 64, 4096, 2**20, 0, -1)),
            ("groups", (2, 4, 0, -1, 64)),
            ("padding", ("valid", "causal", "same", 7, [[1, 2], [3, 4]], -1)),
            ("size", ([64, 64], 0, -1, [1, 2**20])),
            ("interpolation", ("bilinear", "lanczos5", "x")),
            ("trainable", ("x", [], 7, None)),
            ("depth_multiplier", (2, 64, 0)),
            ("output_padding", (1, [1, 0], 64, -1)),
            ("target_shape", ([-1], [-1, -1], [0], [2**20], [4, 4, 4, 1])),
            ("pool_size", (0, -1, 2**20, [1, 2])),
            ("activation", ("softmax", "log_softmax", "celu")),
        )
    )
    rng.shuffle(layers)
    for layer in layers:
        if key in layer["config"]:
            layer["config"][key] = rng.choice(values)
            break


ODD = (call_oddly, take_oddly, set_oddly, half, wide)


def describe_greedy(directory, rng, change=None):
    """One of `GREEDY` or `ODD`, to a network if there is one; else larger pictures."""
    values = json.loads((directory / CONFIG).read_text())
    arguments = values["config"]
    change = change or rng.choice((*GREEDY, *ODD, *ODD))
    network = arguments.get("generator")
    if not network or "output_layers" not in network["config"]:
        arguments["image_shape"] = rng.choice(([4096, 4096, 3], [512, 512, 3], [16, 4096, 1]))
    elif change in GREEDY:
        graph = Graph(network, arguments["image_shape"])
        change(graph, rng)
        graph.end()
    else:
        change(rng.choice((network, network, arguments.get("discriminator") or network)), rng)
    (directory / CONFIG).write_text(json.dumps(values))


def choose_optimizer(directory, rng):
    """Optimizers that keep as much as they can."""
    path = directory / RECIPE
    table = rng.choice(
        (
            'name = "Adam"\namsgrad = true\nuse_ema = true\ngradient_accumulation_steps = 2',
            'name = "RMSprop"\ncentered = true\nmomentum = 0.5\nuse_ema = true',
            'name = "Ftrl"\nuse_ema = true\ngradient_accumulation_steps = 4',
            'name = "ScheduleFreeAdamW"',
            'name = "Muon"',
        )
    )
    text = path.read_text().partition("[g_optimizer]")[0]
    path.write_text(f"{text}\n[g_optimizer]\n{table}\n\n[d_optimizer]\n{table}\n")


def other_class(directory, rng):
    path = directory / CONFIG
    values = json.loads(path.read_text())
    values["class"] = rng.choice(
        ("GAN", "DCGAN", "WGANGP", "ConditionalGAN", "StyleGANLite", "os.system", "Model", EVIL, 7)
    )
    values["format"] = rng.choice((1, 2, 2, 3, None, "2"))
    path.write_text(json.dumps(values))


MUTATIONS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(flip_bits, truncate, grow, swap_files, replace_file, name_files),
    *(mutate_json, mutate_json, mutate_json, mutate_json_text, mutate_toml, mutate_toml),
    *(mutate_weights, mutate_weights, flip_headers, flip_headers, describe_evil, describe_evil),
    *(describe_bomb, describe_bomb, describe_greedy, describe_greedy, describe_greedy),
    *(choose_optimizer, other_class),
)


# Presets of nearly as many weights as there may be, which the fuzzer makes: of formats 1 and 2.


def large_as_it_is(bases, directory, rng):
    shutil.copytree(bases / rng.choice("12"), directory)


def large_with_slots(bases, directory, rng):
    large_as_it_is(bases, directory, rng)
    choose_optimizer(directory, rng)


def widen_networks(directory, rng):
    values = json.loads((directory / CONFIG).read_text())
    for name in ("generator", "discriminator"):
        wide(values["config"][name], rng)
    (directory / CONFIG).write_text(json.dumps(values))


def large_and_wide(bases, directory, rng):
    """Twice the bytes of what is stored."""
    large_as_it_is(bases, directory, rng)
    widen_networks(directory, rng)


def large_wide_and_with_slots(bases, directory, rng):
    large_and_wide(bases, directory, rng)
    choose_optimizer(directory, rng)


def large_stored_in_half(bases, directory, rng):
    """Four times the bytes, and the slots for them: as format 1 may be stored."""
    shutil.copytree(bases / "1", directory)
    with h5py.File(directory / WEIGHTS) as old, h5py.File(directory / "new", "w") as new:
        for name in datasets(old):
            values = old[name][()]
            new[name] = values.astype("f2") if values.dtype.kind == "f" else values
    os.replace(directory / "new", directory / WEIGHTS)
    widen_networks(directory, rng)


def large_description(bases, directory, rng):
    """As much of JSON as there may be, of what takes the most memory."""
    large_with_slots(bases, directory, rng)
    values = json.loads((directory / CONFIG).read_text())
    values["config"]["augment"] = [[{}] * 16] * ((4 << 20) // 70)
    (directory / CONFIG).write_text(json.dumps(values))


LARGE = (
    *(large_as_it_is, large_as_it_is, large_with_slots, large_with_slots, large_with_slots),
    *(large_and_wide, large_wide_and_with_slots, large_stored_in_half, large_description),
)
