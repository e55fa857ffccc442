"""kgan.graph: what ONNX Runtime makes of a network is what Keras makes of it."""

import io

import h5py
import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers

from kgan import layers as own
from kgan.graph import Graph, NotExpressible, same_padding
from kgan.untrusted.weights import layout


def computed(network, *inputs, is_open=False):
    """What the runtime makes of inputs, by weights in the bytes of an HDF5 file.

    With `is_open`, the graph is of images of any number and sides.
    """
    buffer = io.BytesIO()
    names = {id(v): f"w{i}/x" for i, v in enumerate(network.variables)}
    with h5py.File(buffer, "w", libver="earliest") as file:
        for variable in network.variables:
            file.create_dataset(names[id(variable)], data=np.asarray(variable, "<f4"))
    content = buffer.getvalue()
    graph = Graph(names)
    given = [
        graph.input(
            f"x{i}",
            ("batch", "height", "width", x.shape[-1]) if is_open else x.shape,
            "int32" if x.dtype == np.int32 else "float32",
        )
        for i, x in enumerate(inputs)
    ]
    output = graph.call(network, *given)
    places = {
        name: (s.offset, 4 * int(np.prod(s.shape))) for name, s in layout(content, "").items()
    }
    model = graph.finish({"y": output}, "w.h5", places)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_external_initializers_from_files_in_memory(["w.h5"], [content], [len(content)])
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    result = session.run(None, {f"x{i}": x for i, x in enumerate(inputs)})[0]
    assert is_open or output.shape == result.shape
    return result


def check(outputs, network_inputs, *arrays, is_open=False):
    network = keras.Model(network_inputs, outputs)
    rng = np.random.default_rng(0)
    for variable in network.variables:  # of untrained layers many are 0 or 1
        if variable.dtype == "float32":
            variable.assign(rng.uniform(0.2, 1.0, variable.shape))
    expected = np.asarray(network(list(arrays) if len(arrays) > 1 else arrays[0], training=False))
    result = computed(network, *arrays, is_open=is_open)
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


IMAGES = np.random.default_rng(1).normal(size=(2, 6, 5, 4)).astype("f4")
VECTORS = np.random.default_rng(2).normal(size=(2, 7)).astype("f4")
LABELS = np.array([2, 0], np.int32)


@pytest.mark.parametrize(
    "layer",
    [
        *(layers.Conv2D(3, k, s, p) for k in (1, 3, 4) for s in (1, 2) for p in ("same", "valid")),
        layers.Conv2D(4, 3, padding="same", dilation_rate=2, use_bias=False, activation="relu"),
        layers.Conv2D(4, (2, 3), (2, 1), padding="same", groups=2),
        *(
            layers.Conv2DTranspose(3, k, s, p)
            for k in (1, 2, 3, 4, 5)
            for s in (1, 2, 3)
            for p in ("same", "valid")
        ),
        layers.Conv2DTranspose(3, (2, 5), (3, 2), "same", activation="tanh"),
        layers.BatchNormalization(),
        layers.BatchNormalization(center=False, epsilon=0.1),
        layers.BatchNormalization(scale=False),
        layers.UpSampling2D(2),
        layers.UpSampling2D((3, 2)),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Flatten(),
        layers.Reshape((3, -1)),
        layers.ReLU(),
        layers.ReLU(max_value=0.5),
        layers.ReLU(negative_slope=0.3),
        layers.LeakyReLU(0.2),
        layers.Rescaling(2.0, -1.0),
        layers.Dropout(0.5),
        layers.Dense(3),
        *(
            layers.Activation(name)
            for name in (
                *("linear", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "softplus"),
                *("softsign", "exponential", "softmax", "silu"),
            )
        ),
        own.EqualizedConv2D(3, 3, padding="same"),
        own.EqualizedConv2D(3, 4, strides=2, activation="tanh"),
        own.GroupedConv2D(4, 3, padding="same", groups=2),
        own.PixelNormalization(),
        own.NoiseInjection(seed=0),
        own.Blur2D(2),
        own.Downsample2D(),
        own.Upsample2D(),
        own.LearnedConstant(4, 3, seed=0),
        own.ReflectionPadding2D(3),
        own.InstanceNormalization(),
        layers.GroupNormalization(groups=-1),
        layers.GroupNormalization(groups=-1, center=False, scale=False, epsilon=0.1),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_on_images(layer):
    x = keras.Input(IMAGES.shape[1:])
    check(layer(x), x, IMAGES)


@pytest.mark.parametrize(
    "layer",
    [
        *(layers.Conv2D(3, k, s, p) for k in (1, 3, 4) for s in (1, 2) for p in ("same", "valid")),
        layers.Conv2D(4, (2, 3), (2, 1), padding="same"),
        layers.Conv2D(4, 3, padding="same", dilation_rate=2),
        *(layers.Conv2DTranspose(3, k, 2, p) for k in (1, 3, 4) for p in ("same", "valid")),
        own.ReflectionPadding2D(2),
        own.InstanceNormalization(0.1),
        layers.GroupNormalization(groups=-1),
        layers.BatchNormalization(),
        layers.UpSampling2D(2),
        layers.Dense(3),
        own.EqualizedConv2D(3, 4, strides=2, padding="same"),
    ],
    ids=lambda layer: layer.name,
)
@pytest.mark.parametrize("sides", [(6, 5), (5, 8)])
def test_layers_on_images_of_any_size(layer, sides):
    x = keras.Input((None, None, 4))
    images = np.random.default_rng(0).normal(size=(3, *sides, 4)).astype("f4")
    check(layer(x), x, images, is_open=True)


def test_what_needs_known_sides_is_refused_where_they_are_open():
    x = keras.Input((None, None, 4))
    for layer in (layers.Flatten(), layers.Reshape((-1, 2))):
        with pytest.raises(NotExpressible):
            computed(keras.Model(x, layer(x)), IMAGES, is_open=True)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3, activation="selu"),
        layers.Dense(3, use_bias=False),
        layers.RepeatVector(4),
        layers.BatchNormalization(),
        own.EqualizedDense(5, learning_rate_multiplier=0.01, bias_initializer="ones"),
        own.EqualizedDense(
            5, learning_rate_multiplier=0.5, bias_initializer="ones", scale_bias=True
        ),
        own.PixelNormalization(epsilon=0.1),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_on_vectors(layer):
    x = keras.Input(VECTORS.shape[1:])
    check(layer(x), x, VECTORS)


@pytest.mark.parametrize("upsample", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_modulated_convolutions(size, demodulate, upsample):
    x, w = keras.Input(IMAGES.shape[1:]), keras.Input(VECTORS.shape[1:])
    y = own.ModulatedConv2D(3, size, demodulate, upsample)(x, w)
    check(y, [x, w], IMAGES, VECTORS)


def test_labels():
    x, labels = keras.Input(IMAGES.shape[1:]), keras.Input((), dtype="int32")
    y = own.ConditionalBatchNormalization(3)(x, labels)
    check(y, [x, labels], IMAGES, LABELS)
    z = keras.Input(VECTORS.shape[1:])
    one_hot = layers.CategoryEncoding(3, "one_hot")(labels)
    check(layers.Concatenate()([z, one_hot]), [z, labels], VECTORS, LABELS)
    embedded = layers.Embedding(3, 7)(labels)
    check(layers.Multiply()([z, layers.Flatten()(embedded)]), [z, labels], VECTORS, LABELS)


def test_networks_in_networks_and_layers_called_twice():
    inner = keras.Sequential([keras.Input((7,)), layers.Dense(7, activation="tanh"), layers.ReLU()])
    x = keras.Input((7,))
    twice = layers.Add()([inner(inner(x)), x, inner(x)])
    check(layers.Reshape((7, 1))(twice)[:, 3], x, VECTORS)


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(),
        layers.Lambda(lambda x: x),
        layers.Activation("mish"),
        layers.Conv2DTranspose(2, 3, 2, output_padding=1),
        layers.BatchNormalization(axis=1),
        layers.UpSampling2D(2, interpolation="bicubic"),
        layers.MaxPooling2D(),
    ],
    ids=lambda layer: layer.name,
)
def test_what_cannot_be_expressed_is_named(layer):
    x = keras.Input(IMAGES.shape[1:])
    with pytest.raises(NotExpressible, match="Expected a generator of layers .*Received: "):
        computed(keras.Model(x, layer(x)), IMAGES)


def test_a_layer_that_always_trains_is_refused():
    x = keras.Input(IMAGES.shape[1:])
    for y in (layers.BatchNormalization()(x, training=True), layers.Dropout(0.5)(x, training=True)):
        with pytest.raises(NotExpressible, match="called as in training"):
            computed(keras.Model(x, y), IMAGES)


@pytest.mark.parametrize("side", range(1, 12))
@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 4))
def test_same_padding_is_tensorflows(side, size, stride):
    top, left, bottom, right = same_padding((side, side), (size, size), (stride, stride))
    assert (top, bottom) == (left, right) and 0 <= bottom - top <= 1
    assert (side + top + bottom - size) // stride + 1 == -(-side // stride)
