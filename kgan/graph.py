"""Networks as ONNX graphs, which other runtimes than TensorFlow compute.

The graph of a preset holds no weights: its initializers point into the file of these, to the bytes
of the dataset; that of an export holds them. A layer of kgan's says in `express(graph, *inputs)`
what it computes in inference; what Keras' layers compute is said here. Values are as in Keras,
channels last: the transposes around convolutions, which ONNX defines channels first, and those of
their kernels are folded by the runtime when it loads the graph. Source: "Open Neural Network
Exchange: Operator Schemas", opset 17.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from kgan.errors import KganError

OPSET, IR_VERSION = 17, 8
_NUMBERS = {"float32": "FLOAT", "int32": "INT32", "int64": "INT64", "bool": "BOOL"}

_CHANNELS_FIRST, _CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


class NotExpressible(KganError):
    """A network has a layer that no graph is known for."""

    def __init__(self, what: str):
        super().__init__(
            f"Expected a generator of layers that can be expressed as a graph. Received: {what}; "
            "kgan.zoo.load samples it"
        )
        self.what = what


class Value(NamedTuple):
    """What an operation of a graph puts out.

    Attributes:
        name: in the graph.
        shape: with the size of the batch, or a name for one that is open; sides may be open too.
    """

    name: str
    shape: tuple[int | str | None, ...]


class Graph:
    """A graph that is being written.

    Args:
        weights: name of the dataset in the file of weights, by the `id` of the variable. None for
            a graph that will hold its weights.

    Attributes:
        notes: texts by name, for the metadata.
    """

    def __init__(self, weights: dict[int, str] | None = None):
        self._holds_weights = weights is None
        self._weights = dict(weights or {})
        self._nodes = []
        self._inputs = []
        self._constants = {}  # initializers, by their bytes
        self.used = {}  # variables by the names of their datasets
        self.notes: dict[str, str] = {}

    def input(self, name: str, shape: tuple[int | str, ...], dtype: str = "float32") -> Value:
        """Declares an input of the graph."""
        if dtype not in _NUMBERS:
            raise NotExpressible(f"{name} of {dtype}")
        self._inputs.append((name, shape, dtype))
        return Value(name, shape)

    def constant(self, array: Any, dtype: str = "float32") -> str:
        """A small array that stands in the graph itself."""
        array = np.asarray(array, dtype)
        key = (array.tobytes(), array.shape, dtype)
        name, _ = self._constants.setdefault(key, (f"constant_{len(self._constants)}", array))
        return name

    def weight(self, variable: keras.Variable) -> str:
        """The values of a variable."""
        if not isinstance(variable, keras.Variable):
            raise NotExpressible("a weight that is computed from another")
        name = self._weights.get(id(variable))
        if name is None and self._holds_weights:  # paths of different layers may be alike
            name = self._weights[id(variable)] = f"{len(self._weights)}/{variable.path}"
        if name is None:
            raise NotExpressible(variable.path)
        self.used[name] = variable
        return name

    def value(self, name: str, shape: tuple[int | str, ...]) -> Value:
        """What an operation puts out, with its shape, for a layer to be called on."""
        return Value(name, shape)

    def op(self, kind: str, *inputs: str | Value, **attributes: Any) -> str:
        """The first output of an operation, whose kind and attributes are ONNX's."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        names = [x.name if isinstance(x, Value) else x for x in inputs]
        self._nodes.append((kind, names, name, attributes))
        return name

    def call(self, layer: Any, *inputs: Value, shape: tuple[int | str, ...] | None = None) -> Value:
        """A layer applied to values; a network is a layer too.

        Args:
            layer: built.
            *inputs: what it takes.
            shape: of its output; by default what a layer of one input says.

        Raises:
            NotExpressible: if the layer is of a kind that is not known.
        """
        if hasattr(layer, "express"):
            name = layer.express(self, *inputs)
        elif hasattr(layer, "inputs") and hasattr(layer, "outputs"):
            return self._network(layer, inputs)
        elif type(layer) in _KERAS:
            name = _KERAS[type(layer)](self, layer, *inputs)
        else:
            raise NotExpressible(f"{type(layer).__name__} {layer.name}")
        return Value(name, shape or _output_shape(layer, inputs[0]))

    def convolution(
        self,
        x: Value | str,
        kernel: str,
        strides: Iterable[int] = (1, 1),
        pads: Iterable[int] | None = (0, 0, 0, 0),
        **attributes: Any,
    ) -> str:
        """A convolution of values channels last.

        Args:
            x: (batch, height, width, channels).
            kernel: as Keras has it, (height, width, inputs, outputs).
            strides: vertical and horizontal.
            pads: zeros above, at the left, below and at the right. None for those of `"same"`, by
                sides that are open.
            **attributes: `group` and `dilations` of ONNX's Conv.
        """
        x = self.op("Transpose", x, perm=_CHANNELS_FIRST)
        kernel = self.op("Transpose", kernel, perm=(3, 2, 0, 1))
        padding = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": list(pads)}
        x = self.op("Conv", x, kernel, strides=list(strides), **padding, **attributes)
        return self.op("Transpose", x, perm=_CHANNELS_LAST)

    def transposed_convolution(
        self,
        x: Value | str,
        kernel: str,
        strides: Iterable[int],
        pads: Iterable[int] = (0, 0, 0, 0),
        **attributes: Any,
    ) -> str:
        """The transpose of `convolution`, by a kernel (height, width, outputs, inputs)."""
        x = self.op("Transpose", x, perm=_CHANNELS_FIRST)
        kernel = self.op("Transpose", kernel, perm=(3, 2, 0, 1))
        x = self.op(
            "ConvTranspose", x, kernel, strides=list(strides), pads=list(pads), **attributes
        )
        return self.op("Transpose", x, perm=_CHANNELS_LAST)

    def normalization(self, layer: keras.layers.BatchNormalization, x: Value) -> str:
        """Batch normalisation by the moving statistics, of values (batch, …, channels)."""
        variance = self.op("Add", self.weight(layer.moving_variance), self.constant(layer.epsilon))
        scale = self.op("Reciprocal", self.op("Sqrt", variance))
        if layer.scale:
            scale = self.op("Mul", self.weight(layer.gamma), scale)
        # What has the shape (channels,) is folded when the graph is loaded.
        offset = self.op("Neg", self.op("Mul", self.weight(layer.moving_mean), scale))
        if layer.center:
            offset = self.op("Add", self.weight(layer.beta), offset)
        return self.op("Add", self.op("Mul", x, scale), offset)

    def standardized(self, x: Value | str, epsilon: float) -> str:
        """Each channel of each image by its own mean and variance, of (batch, height, width, …)."""

        def mean(x):  # of rows first: the runtime adds up one by one, which loses digits
            return self.op("ReduceMean", self.op("ReduceMean", x, axes=[2]), axes=[1])

        x = self.op("Sub", x, mean(x))
        variance = self.op("Add", mean(self.op("Mul", x, x)), self.constant(epsilon))
        return self.op("Div", x, self.op("Sqrt", variance))

    def reshape(self, x: Value | str, shape: Iterable[int | str]) -> str:
        """The same values in another shape, in which one side may be -1, or open."""
        sides = [side if isinstance(side, int) else -1 for side in shape]
        if sides.count(-1) > 1:
            raise NotExpressible("a shape of which more than one side is open")
        return self.op("Reshape", x, self.constant(sides, "int64"))

    def repeat(self, row: str, sides: int, x: Value) -> str:
        """A value of one row, (1, …), as many times as `x` has rows.

        Args:
            row: what is repeated.
            sides: how many dimensions follow its first.
            x: (batch, …).
        """
        if not isinstance(x.shape[0], str):
            return self.op("Expand", row, self.constant([x.shape[0], *[1] * sides], "int64"))
        batch = self.op("Shape", x, start=0, end=1)
        times = self.op("Concat", batch, self.constant([1] * sides, "int64"), axis=0)
        return self.op("Expand", row, times)

    def like(self, layer: Any, x: Value, kernel: str) -> str:
        """What a dense layer or a convolution of Keras' does, by another kernel than it holds."""
        dense = isinstance(layer, layers.Dense)
        return (_with_dense_kernel if dense else _with_convolution_kernel)(self, layer, x, kernel)

    def inherited(self, layer: Any, x: Value) -> str:
        """What the class of Keras' does that a layer's class is derived from."""
        kind = next(kind for kind in type(layer).__mro__ if kind in _KERAS)
        return _KERAS[kind](self, layer, x)

    def activation(self, function: Callable | None, x: Value | str) -> str:
        """An activation of Keras' or kgan's."""
        if function is None:
            return x.name if isinstance(x, Value) else x
        if hasattr(function, "express"):
            return function.express(self, x)
        name = getattr(function, "__name__", type(function).__name__)
        if isinstance(function, keras.layers.Layer) or name not in _ACTIVATIONS:
            raise NotExpressible(f"activation {name}")
        return _ACTIVATIONS[name](self, x)

    def finish(
        self,
        outputs: dict[str, Value],
        file: str | None = None,
        offsets: dict[str, tuple[int, int]] | None = None,
        notes: dict[str, str] | None = None,
    ) -> bytes:
        """The graph as a file.

        Args:
            outputs: by the names that they are to have.
            file: name of the file of weights, if the graph does not hold them.
            offsets: of each dataset of the weights its first byte in the file and its length.
            notes: more texts by name, for the metadata.
        """
        from onnx import TensorProto, helper, numpy_helper  # late: only what writes graphs has it

        def declared(name, shape, dtype="float32"):
            return helper.make_tensor_value_info(name, getattr(TensorProto, _NUMBERS[dtype]), shape)

        def weight(name, variable):
            if file is None:
                return numpy_helper.from_array(variable.numpy().astype("<f4"), name)
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=tuple(variable.shape))
            tensor.data_location = TensorProto.EXTERNAL
            offset, length = offsets[name]
            for key, value in (("location", file), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            return tensor

        nodes = [
            *self._nodes,
            *(("Identity", [value.name], name, {}) for name, value in outputs.items()),
        ]
        graph = helper.make_graph(
            [
                helper.make_node(kind, inputs, [name], name=name, **attributes)
                for kind, inputs, name, attributes in nodes
            ],
            "kgan",
            [declared(*given) for given in self._inputs],
            [declared(name, value.shape) for name, value in outputs.items()],
            [
                *(numpy_helper.from_array(array, name) for name, array in self._constants.values()),
                *(weight(*pair) for pair in self.used.items()),
            ],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="kgan",
        )
        helper.set_model_props(model, {**self.notes, **(notes or {})})
        return model.SerializeToString(deterministic=True)

    def _network(self, network, inputs):
        """A functional network, whose nodes are visited from its outputs backwards."""
        known = {id(x): value for x, value in zip(network.inputs, inputs, strict=True)}
        waiting = list(network.outputs)
        while waiting:
            tensor = waiting[-1]
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            missing = [x for x in node.input_tensors if id(x) not in known]
            if id(tensor) in known or missing:
                waiting.pop() if id(tensor) in known else waiting.extend(missing)
                continue
            if not node.input_tensors:  # an input of another network
                raise NotExpressible(operation.name)
            known[id(tensor)] = self._visit(operation, node, known)
            waiting.pop()
        (output,) = network.outputs
        return known[id(output)]

    def _visit(self, operation, node, known):
        if len(node.output_tensors) != 1:
            raise NotExpressible(operation.name)
        arguments = node.arguments
        if arguments.kwargs.get("training"):
            raise NotExpressible(f"{operation.name}, called as in training")
        given = [known[id(x)] for x in node.input_tensors]
        shape = (given[0].shape[0], *node.output_tensors[0].shape[1:])
        if type(operation).__name__ == "GetItem":
            return Value(_get_item(self, given[0], arguments.args[1]), shape)
        return self.call(operation, *given, shape=shape)


def _get_item(graph, x, key):
    """`x[:, i]`, of any number of axes; nothing else is needed."""
    key = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    axes = [(axis, k) for axis, k in enumerate(key) if k != slice(None)]
    if any(not isinstance(k, int) for _, k in axes) or not axes:
        raise NotExpressible("GetItem")
    name = x.name
    for axis, index in reversed(axes):
        name = graph.op("Gather", name, graph.constant(index, "int64"), axis=axis)
    return name


def _output_shape(layer, x):
    batch, *sides = x.shape
    known = (side if isinstance(side, int) else None for side in sides)
    return (batch, *layer.compute_output_shape((None, *known))[1:])


def same_padding(sides: Iterable[int], kernel_size, strides, dilations=(1, 1)) -> list[int]:
    """Zeros above, at the left, below and at the right, by which TensorFlow pads `"same"`."""
    before, after = [], []
    for side, size, stride, dilation in zip(sides, kernel_size, strides, dilations, strict=True):
        reach = (size - 1) * dilation + 1
        total = max((-(-side // stride) - 1) * stride + reach - side, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


# Keras' layers. Each function takes the graph, the layer and its inputs.


def _dense(graph, layer, x):
    return _with_dense_kernel(graph, layer, x, graph.weight(layer.kernel))


def _with_dense_kernel(graph, layer, x, kernel):
    y = graph.op("MatMul", x, kernel)
    if layer.use_bias:
        y = graph.op("Add", y, graph.weight(layer.bias))
    return graph.activation(layer.activation, y)


def _convolution(graph, layer, x):
    return _with_convolution_kernel(graph, layer, x, graph.weight(layer.kernel))


def _with_convolution_kernel(graph, layer, x, kernel):
    _expect(layer, layer.data_format == "channels_last" and layer.padding in ("same", "valid"))
    pads = [0, 0, 0, 0]
    if layer.padding == "same":
        sides = (1, 1) if max(layer.strides) == 1 else x.shape[1:3]  # of strides alone they matter
        if all(isinstance(side, int) for side in sides):
            pads = same_padding(sides, layer.kernel_size, layer.strides, layer.dilation_rate)
        else:
            _expect(layer, max(layer.dilation_rate) == 1)
            pads = None
    y = graph.convolution(
        x, kernel, layer.strides, pads, group=layer.groups, dilations=list(layer.dilation_rate)
    )
    if layer.use_bias:
        y = graph.op("Add", y, graph.weight(layer.bias))
    return graph.activation(layer.activation, y)


def _transposed_convolution(graph, layer, x):
    plain = layer.output_padding is None and tuple(layer.dilation_rate) == (1, 1)
    _expect(layer, plain and layer.data_format == "channels_last")
    more = [0, 0]  # rows and columns that no pixel reaches
    pads = [0, 0, 0, 0]
    if layer.padding == "same":  # as many pixels as before, times the stride
        left = [
            size - stride for size, stride in zip(layer.kernel_size, layer.strides, strict=True)
        ]
        more = [max(-n, 0) for n in left]
        left = [max(n, 0) for n in left]
        pads = [*(n // 2 for n in left), *(n - n // 2 for n in left)]
    else:
        more = [
            max(stride - size, 0)
            for size, stride in zip(layer.kernel_size, layer.strides, strict=True)
        ]
    y = graph.transposed_convolution(
        x, graph.weight(layer.kernel), layer.strides, pads, output_padding=more
    )
    if layer.use_bias:
        y = graph.op("Add", y, graph.weight(layer.bias))
    return graph.activation(layer.activation, y)


def _batch_normalization(graph, layer, x):
    _expect(layer, layer.axis in (-1, len(x.shape) - 1))
    return graph.normalization(layer, x)


def _group_normalization(graph, layer, x):
    _expect(layer, layer.groups == x.shape[-1] and layer.axis in (-1, 3) and len(x.shape) == 4)
    y = graph.standardized(x, layer.epsilon)
    if layer.scale:
        y = graph.op("Mul", y, graph.weight(layer.gamma))
    return graph.op("Add", y, graph.weight(layer.beta)) if layer.center else y


def _embedding(graph, layer, x):
    return graph.op("Gather", graph.weight(layer.embeddings), x, axis=0)


def _activation(graph, layer, x):
    return graph.activation(layer.activation, x)


def _relu(graph, layer, x):
    _expect(layer, not layer.threshold)
    y = graph.op("Relu", x)
    if layer.negative_slope:
        y = graph.op("LeakyRelu", x, alpha=float(layer.negative_slope))
    if layer.max_value is not None:
        y = graph.op("Min", y, graph.constant(layer.max_value))
    return y


def _leaky_relu(graph, layer, x):
    return graph.op("LeakyRelu", x, alpha=float(layer.negative_slope))


def _reshape(graph, layer, x):
    return graph.reshape(x, _output_shape(layer, x))


def _up_sampling(graph, layer, x):
    _expect(layer, layer.data_format == "channels_last")
    how = {
        "nearest": {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    }
    _expect(layer, layer.interpolation in how)
    x = graph.op("Transpose", x, perm=_CHANNELS_FIRST)
    scales = graph.constant([1, 1, *layer.size])
    x = graph.op("Resize", x, "", scales, **how[layer.interpolation])
    return graph.op("Transpose", x, perm=_CHANNELS_LAST)


def _rescaling(graph, layer, x):
    x = graph.op("Mul", x, graph.constant(layer.scale))
    return graph.op("Add", x, graph.constant(layer.offset)) if np.any(layer.offset) else x


def _identity(graph, layer, x):
    return x.name


def _chained(kind):
    def express(graph, layer, *inputs):
        name = inputs[0].name
        for x in inputs[1:]:
            name = graph.op(kind, name, x)
        return name

    return express


def _concatenate(graph, layer, *inputs):
    return graph.op("Concat", *inputs, axis=layer.axis)


def _repeat_vector(graph, layer, x):
    x = graph.reshape(x, (x.shape[0], 1, x.shape[1]))
    return graph.op("Expand", x, graph.constant([1, layer.n, 1], "int64"))


def _one_hot(graph, layer, x):
    _expect(layer, layer.output_mode == "one_hot")
    x = graph.op("Cast", x, to=7)  # of int32 the runtime has no OneHot; 7 is int64
    depth, ends = graph.constant([layer.num_tokens], "int64"), graph.constant([0, 1])
    return graph.op("OneHot", x, depth, ends, axis=-1)


_KERAS = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.BatchNormalization: _batch_normalization,
    layers.GroupNormalization: _group_normalization,
    layers.Embedding: _embedding,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.Flatten: _reshape,
    layers.Reshape: _reshape,
    layers.UpSampling2D: _up_sampling,
    layers.Rescaling: _rescaling,
    layers.Add: _chained("Add"),
    layers.Multiply: _chained("Mul"),
    layers.Concatenate: _concatenate,
    layers.RepeatVector: _repeat_vector,
    layers.CategoryEncoding: _one_hot,
    layers.Dropout: _identity,
    layers.Identity: _identity,
    layers.GaussianNoise: _identity,
}


def _simple(kind, **attributes):
    return lambda graph, x: graph.op(kind, x, **attributes)


def _silu(graph, x):
    return graph.op("Mul", x, graph.op("Sigmoid", x))


_ACTIVATIONS = {
    "linear": lambda graph, x: x.name if isinstance(x, Value) else x,
    "relu": _simple("Relu"),
    "leaky_relu": _simple("LeakyRelu", alpha=0.2),
    "tanh": _simple("Tanh"),
    "sigmoid": _simple("Sigmoid"),
    "elu": _simple("Elu"),
    "selu": _simple("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "softplus": _simple("Softplus"),
    "softsign": _simple("Softsign"),
    "exponential": _simple("Exp"),
    "softmax": _simple("Softmax", axis=-1),
    "silu": _silu,
}


def _expect(layer, fits):
    if not fits:
        raise NotExpressible(f"{type(layer).__name__} {layer.name}, as it is set")
