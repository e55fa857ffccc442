"""What a pass through a network takes, read off its traced graph before anything is computed."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

# They give what they were given: no memory of their own. Variables have theirs already.
_VIEWS = {"Identity", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "EnsureShape"}
_FREE = {"Placeholder", "ReadVariableOp"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LANES = 16  # channels that a processor takes at a time, even if there are fewer
_SLOW = 8  # times as long takes what is neither of 32 bits nor bfloat16
_MOST_OPERATIONS = 4000  # of more, the order in which they run is not looked at
_FEW_BYTES = 1 << 28  # nor if all of them together give no more
_TRIFLE = 0.02  # of the largest tensor: as many of the smallest as come to this are just added


class Cost(NamedTuple):
    """Of one pass.

    Attributes:
        bytes: that its tensors take at the worst moment, whatever the order of the operations; a
            bound from above.
        work: its multiplications, weighted by how long they take.
        known: whether all shapes are known.
    """

    bytes: int
    work: int
    known: bool


def rough(network: keras.Model, images: int) -> float:
    """Bytes that no pass through a network of kgan's own layers takes; `cost` says how many less.

    Four times what all layers put out, or infinite if the shape of something is not known.

    Args:
        network: functional, or another one, of which nothing is known: 0.
        images: in the pass.
    """
    return (
        4
        * images
        * sum(
            (math.inf if None in tensor.shape[1:] else math.prod(tensor.shape[1:]))
            * tf.as_dtype(tensor.dtype).size
            for layer in network._flatten_layers()
            for node in layer._inbound_nodes
            for tensor in node.output_tensors
        )
    )


def cost(graph: tf.Graph, few: int = _FEW_BYTES) -> Cost:
    """What a pass takes; see `Cost`.

    Args:
        graph: of a function that was traced for a batch of known size.
        few: bytes up to which all tensors together are taken for the bound.

    Example:

    >>> function = tf.function(network).get_concrete_function(tf.TensorSpec((16, 8)))
    >>> cost(function.graph).known
    True
    """
    operations = graph.get_operations()
    bodies = [_body(graph, operation) for operation in operations]
    inner = [body and cost(body, few) for body in bodies]
    more = [of.bytes if of else _workspace(op) for op, of in zip(operations, inner, strict=True)]
    return Cost(
        _peak(operations, graph.outputs, more, few),
        sum(of.work if of else _work(op) for op, of in zip(operations, inner, strict=True)),
        all(of.known for of in inner if of)
        and all(x.shape.is_fully_defined() for op in operations for x in op.outputs),
    )


def _body(graph, operation):
    """The graph of the function that an operation calls, such as what XLA compiles."""
    if operation.type not in _CALLS:
        return None
    return graph._get_function(operation.get_attr("f").name).graph


def _peak(operations, outputs, more, few):
    """The most bytes that are alive together, with `more` that each operation takes for itself.

    Two tensors may be alive together unless all users of one have to be done before the other is
    made. The largest of those that are alive at some moment may be alive with each of them: so its
    bytes and those of all smaller ones that may be alive with it are a bound.
    """
    number = {operation: i for i, operation in enumerate(operations)}
    made, sizes, users, same = [], [], [], {}  # by tensor: what makes it, bytes, what takes it

    def add(i, size):
        made.append(i)
        sizes.append(size)
        users.append([i])

    for i, operation in enumerate(operations):
        add(i, more[i])
        for tensor in operation.inputs:
            users[same[id(tensor)]].append(i)
        for tensor in operation.outputs:
            if operation.type in _VIEWS:
                same[id(tensor)] = same[id(operation.inputs[0])]
            else:
                same[id(tensor)] = len(made)
                add(i, 0 if operation.type in _FREE else _bytes(tensor))
    if len(operations) > _MOST_OPERATIONS or sum(sizes) <= few:
        return sum(sizes)
    before = np.zeros((len(operations), len(operations)), bool)  # [i, j]: j runs before i
    for i, operation in enumerate(operations):
        for tensor in operation.inputs:
            j = number[tensor.op]
            before[i] |= before[j]
            before[i, j] = True
    kept = {same[id(tensor)] for tensor in outputs}
    order = np.argsort(sizes, kind="stable")
    sizes = np.array(sizes, np.int64)[order]
    first = int(np.searchsorted(np.cumsum(sizes), sizes[-1] * _TRIFLE))
    order, trifles, sizes = order[first:], sizes[:first].sum(), sizes[first:]
    before = before[np.array(made)[order]]
    gone = np.array(  # [t, u]: t is no more when u is made
        [before[:, users[t]].all(axis=1) & (t not in kept) for t in order]
    )
    together = np.tril(~(gone | gone.T)) @ sizes  # with those that are not larger
    return int(trifles + together.max())


def _size(tensor):
    """The number of a tensor's values; 0 if it is not known."""
    return math.prod(tensor.shape) if tensor.shape.is_fully_defined() else 0


def _bytes(tensor):
    return _size(tensor) * tensor.dtype.size if tensor.dtype not in (tf.resource, tf.variant) else 0


def _workspace(operation):
    """Bytes that an operation takes for itself.

    Where oneDNN has no transposed convolution, TensorFlow writes all products of an image down.
    """
    if operation.type != "Conv2DBackpropInput":
        return 0
    _, kernel, images = operation.inputs
    if not (kernel.shape.is_fully_defined() and images.shape.is_fully_defined()):
        return 0
    places = math.prod(images.shape[1:-1])
    return places * math.prod(kernel.shape[:-1]) * kernel.dtype.size


def _work(operation):
    """The multiplications of an operation, as 32-bit ones of full lanes."""
    kind, operands = operation.type, operation.inputs
    if kind in ("Conv2D", "Conv2DBackpropInput"):
        *sides, taken, given = operands[1].shape
        at = operation.outputs[0] if kind == "Conv2D" else operands[2]
        work = _size(at) // given * math.prod(sides) * max(taken, _LANES) * max(given, _LANES)
    elif kind in ("DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput"):
        at = operation.outputs[0] if kind == "DepthwiseConv2dNative" else operands[2]
        work = _size(at) * math.prod(operands[1].shape[:2])
    elif kind in ("MaxPool", "AvgPool"):
        work = _size(operation.outputs[0]) * math.prod(operation.get_attr("ksize"))
    elif kind in ("MatMul", "BatchMatMulV2", "BatchMatMulV3"):
        work = _size(operation.outputs[0]) * max(operands[0].shape[-2:])
    else:
        return sum(map(_size, operation.outputs))
    slow = operation.outputs[0].dtype not in (tf.float32, tf.bfloat16)
    return work * (_SLOW if slow else 1)
