"""Whether a discriminator can be differentiated twice, as a penalty on its gradient needs it."""

import warnings

import tensorflow as tf

from kgan.errors import KganWarning

# The gradient does not depend on what passes through these, be it reachable or not.
_CONSTANT = {"StopGradient", "ZerosLike", "OnesLike", "Sign", "Floor", "Round", "Rint", "Ceil"}


def check_twice_differentiable(discriminate, weights: list, image_shape, num_classes=None) -> None:
    """Raises ValueError unless ∇D(x) can be differentiated by every weight it depends on.

    TensorFlow has operations whose gradient has no gradient: some raise, others (bilinear
    resizing) return nothing, and a penalty would leave the weights beyond them alone in silence.
    Batch, layer and group normalisation get a warning: Keras' are exact to the first order only.
    Nothing is computed here. The graph of ∇D(x) is built, and searched for weights from which it
    can be reached but that get no gradient.

    Args:
        discriminate: function of images (batch, height, width, channels), and of labels (batch,)
            if there are any, to logits (batch, 1).
        weights: the discriminator's trainable Keras variables.
        image_shape: (height, width, channels).
        num_classes: int, of a conditional model.
    """
    if not weights:
        return
    found = {}
    # Of a weight that is mirrored on replicas any copy will do.
    copies = [getattr(weight.value, "_primary", weight.value) for weight in weights]

    @tf.function(autograph=False)  # which would turn a LookupError into one of its own
    def trace(images, *labels):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(images)
                logits = discriminate(images, *labels)
            found["gradient"] = inner.gradient(logits, images)
            squared = tf.reduce_sum(tf.square(found["gradient"]))
        found["second"] = outer.gradient(squared, copies)

    signature = [tf.TensorSpec((2, *image_shape), weights[0].dtype)]
    if num_classes is not None:
        signature.append(tf.TensorSpec((2,), tf.int32))
    try:
        graph = trace.get_concrete_function(*signature).graph
    except LookupError as error:  # "No gradient defined for operation ..."
        raise ValueError(_message(str(error).splitlines()[0])) from None
    operations = _operations_behind(found["gradient"])
    handles = {id(inside): outside for outside, inside in graph.captures}
    reached = {
        id(handles.get(id(source)))
        for operation in operations
        for source in operation.inputs
        if source.dtype == tf.resource
    }
    for weight, gradient in zip(weights, found["second"], strict=True):
        copies = getattr(weight._value, "values", (weight._value,))  # one a replica
        if gradient is None and any(id(copy.handle) in reached for copy in copies):
            raise ValueError(_message(f"no gradient of the gradient for {weight.path}"))
    if any(_is_variance(operation) for operation in operations):
        warnings.warn(
            "The discriminator normalises by tf.nn.moments, which holds the mean fixed in the "
            "variance: a penalty on the gradient is trained on an approximate gradient (the fewer "
            "the values under one mean, the rougher: 17% off with 4 of them, 0.005% with "
            "thousands). keras.layers.RMSNormalization is exact.",
            KganWarning,
            stacklevel=2,
        )


def _message(received):
    return (
        "Expected a discriminator that TensorFlow can differentiate twice, since a penalty on its "
        "gradient is trained (bilinear resizing cannot; kgan.layers has resampling that can). "
        f"Received: {received}"
    )


def _operations_behind(tensor) -> set:
    """The operations that a tensor of floats is computed by."""
    seen, left = set(), [tensor.op]
    while left:
        operation = left.pop()
        if operation in seen or operation.type in _CONSTANT:
            continue
        seen.add(operation)
        # Integers are shapes, booleans comparisons.
        left.extend(source.op for source in operation.inputs if source.dtype.is_floating)
    return seen


def _is_variance(operation) -> bool:
    """Whether it is (x - mean)² as tf.nn.moments has it, right to the first order only."""
    return operation.type == "SquaredDifference" and any(
        source.op.type == "StopGradient" for source in operation.inputs
    )
