"""Feature extractors: the networks in whose features sets of images are compared.

A distance between images means no more than the features it is taken in, so every extractor has a
name, a version and a hash, for results to quote. The small networks `digits`, `fashion`, `faces`,
`heroes` and `pictures` are shipped with their weights, which `examples/train_extractor.py` trains.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.errors import KganError, short
from kgan.files import sha256
from kgan.latents import sample_latents
from kgan.metrics.inputs import as_features, check_same_features

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
VIEWS = ("back", "left", "front", "right")  # tinyhero's folders 0 to 3

_WEIGHTS = Path(__file__).parent / "weights"
_SHA256 = {
    "digits": "c9a9bc5f7255111872697fe3912ae0409504deb19d23078d6644ce414848fdbd",
    "fashion": "a2842205ae7be185634134a0e66be2ab15295f8608e08110ec1dac2ab6d00518",
    "faces": "db18caaba3511b2fc6068965efb67125c004e4b624458a873d49b429f97cdc86",
    "pictures": "e1675a87e77885ca8388358b2f98ad5a07286fecaa8dbb9d9726263b8850509b",
    "heroes": "57b734de06006932f10efe584fa72f7f55d89884e31080fb7e8c99a751be8890",
}
_INCEPTION = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
_CHUNK = 64  # images that a network sees at once, always


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that turns images into features, and what a result has to say of it.

    Made by `extractor`. Images run in chunks of a fixed size, the last one padded, so that an
    image's features do not depend on how many images come with it.

    Attributes:
        name: str.
        version: str, raised whenever the network changes; None for a model of the user's.
        sha256: str, of the file of weights; where there is none, of the weights themselves.
        network: function from a chunk of uint8 images (chunk, height, width, channels) to
            features (chunk, features).
        input_shape: (height, width, channels) of the images it takes, None where any will do;
            None if it takes images of any size, gray or RGB.
        resize: str, how the network resizes images.
        class_names: tuple of str, or None unless it is a classifier.
        head: kernel (features, classes) and bias (classes,) of a classifier's last layer.
    """

    name: str
    version: str | None
    sha256: str
    network: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    input_shape: tuple[int | None, int | None, int | None] | None = None
    resize: str = "none"
    class_names: tuple[str, ...] | None = None
    head: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @property
    def num_classes(self) -> int | None:
        """How many classes there are, or None unless it is a classifier."""
        return None if self.class_names is None else len(self.class_names)

    def features(self, images: np.ndarray) -> np.ndarray:
        """The features of images.

        Args:
            images: uint8 array (images, height, width, channels).

        Returns:
            float32 array (images, features).

        Raises:
            KganError: if the images are not what the network takes.
        """
        self._check(images)
        starts = range(0, len(images), _CHUNK)
        return np.concatenate([self._chunk(images[start : start + _CHUNK]) for start in starts])

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """The features of images in [-1, 1], as `model.project` differentiates them.

        Args:
            images: float tensor (batch, height, width, channels), of what the network takes.

        Returns:
            Tensor (batch, features), of which TensorFlow knows the gradient; `inception`, which is
            none of its networks, has no such features.
        """
        return self.network((images + 1.0) * 127.5)

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether it takes images of a shape (height, width, channels)."""
        if self.input_shape is None:
            return shape[2] in (1, 3)
        return all(own in (None, given) for own, given in zip(self.input_shape, shape, strict=True))

    def labels(self, features: np.ndarray) -> np.ndarray:
        """The most probable class by features (images, features): int64 array (images,).

        Raises:
            KganError: unless it is a classifier.
        """
        if self.head is None:
            names = ", ".join(repr(name) for name in _CLASSIFIERS)
            raise KganError(
                f"Expected a classifier ({names}). Received: the extractor {self.name!r}"
            )
        kernel, bias = self.head
        features = as_features(features, "features")
        check_same_features(len(kernel), features.shape[1], (repr(self.name), "features"))
        return np.argmax(features @ kernel + bias, axis=1)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """The most probable class of each image: int64 array (images,).

        Args:
            images: uint8 array (images, height, width, channels).

        Raises:
            KganError: unless it is a classifier, and of such images.
        """
        return self.labels(self.features(images))

    def _chunk(self, images):
        chunk = np.zeros((_CHUNK, *images.shape[1:]), np.uint8)
        chunk[: len(images)] = images
        features = self.network(chunk)
        shape = getattr(features, "shape", None)
        if shape is None or len(shape) != 2 or shape[0] != _CHUNK:
            raise KganError(
                f"Expected {self.name!r} to return features of shape (batch, features). "
                f"Received: {type(features).__name__ if shape is None else tuple(shape)} for "
                f"{_CHUNK} images"
            )
        return np.asarray(features, np.float32)[: len(images)]

    def _check(self, images):
        is_array = isinstance(images, np.ndarray)
        shape = images.shape if is_array else ()
        received = f"{images.dtype} of shape {shape}" if is_array else short(images)
        if not is_array or images.dtype != np.uint8 or len(shape) != 4:
            raise KganError(
                "Expected a uint8 array of images (images, height, width, channels). Received: "
                f"{received}"
            )
        if not len(images):
            raise KganError(f"Expected at least one image. Received: {received}")
        if self.takes(shape[1:]):
            return
        if self.input_shape is None:
            raise KganError(f"Expected images with 1 or 3 channels. Received: {received}")
        expected = "x".join("any" if e is None else str(e) for e in self.input_shape)
        raise KganError(
            f"Expected images of {expected} for the extractor {self.name!r} ('random' takes any). "
            f"Received: {received}"
        )


def extractor(source: str | keras.Model) -> Extractor:
    """The feature extractor of a name, or made of a Keras model.

    Args:
        source: `"digits"` or `"fashion"`, classifiers of 28x28 gray images; `"faces"`, of 64x64
            RGB images; `"heroes"`, a classifier of the view of pixel-art characters, 64x64 RGB on
            white; `"pictures"`, of emoji, line drawings and photographs, best at 64 pixels;
            `"random"`, an untrained network for images of any kind; `"inception"`, the published
            network of the FID, by torch-fidelity (`pip install 'kgan[fid]'`), which downloads it
            on first use. The last three take any size, and gray images as RGB ones.
            Or a built `keras.Model` from images (batch, height, width, channels) of floats in
            [-1, 1], as for kgan's own networks, to features (batch, features). It runs in
            inference mode.

    Raises:
        KganError: if there is no such extractor, its weights are damaged, what it needs is not
            installed, or a model is none of images.

    Example:

    >>> images = kgan.zoo.load("dcgan-mnist").sample(100, seed=0)
    >>> digits = extractor("digits")
    >>> digits.features(images).shape, digits.classify(images)[:4]
    """
    if isinstance(source, keras.Model):
        return _of_model(source)
    check_name(source)
    return _EXTRACTORS[source]()


def check_name(source: str) -> None:
    """Raises KganError unless there is an extractor of that name. Nothing is loaded."""
    if not isinstance(source, str) or source not in _EXTRACTORS:
        names = ", ".join(repr(name) for name in _EXTRACTORS)
        raise KganError(f"Expected {names} or a keras.Model. Received: {short(source)}")


def _block(x, filters: int, stride: int = 1):
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _residual_block(x, filters: int):
    y = _block(x, filters)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros")(y)
    return layers.ReLU()(x + y)


def build_classifier(num_classes: int = 10) -> keras.Model:
    """A small residual network for 28x28 gray images (He et al. 2015, arXiv:1512.03385).

    Returns:
        `keras.Model` from images (batch, 28, 28, 1) in [-1, 1] to logits (batch, num_classes).
        Its layer "features" gives (batch, 128), of which the logits are an affine function.
    """
    images = keras.Input((28, 28, 1))
    x = _block(images, 32, stride=2)  # (batch, 14, 14, 32)
    x = _residual_block(x, 32)
    x = _block(x, 64, stride=2)  # (batch, 7, 7, 64)
    x = _residual_block(x, 64)
    x = _block(x, 128, stride=2)  # (batch, 4, 4, 128)
    x = _residual_block(x, 128)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(images, layers.Dense(num_classes, name="logits")(x))


def build_encoder(num_classes: int | None = None) -> keras.Model:
    """The network of `faces`, `heroes` and `pictures`, for RGB images of any size.

    Args:
        num_classes: int for a classifier, or None.

    Returns:
        `keras.Model` from images (batch, height, width, 3) in [-1, 1] to features (batch, 128),
        which its layer "features" gives; of a classifier to logits (batch, num_classes), an affine
        function of these.
    """
    images = keras.Input((None, None, 3))  # of 64x64:
    x = _block(images, 24, stride=2)  # (batch, 32, 32, 24)
    x = _block(x, 48, stride=2)  # (batch, 16, 16, 48)
    x = _residual_block(x, 48)
    x = _block(x, 96, stride=2)  # (batch, 8, 8, 96)
    x = _residual_block(x, 96)
    x = _block(x, 128, stride=2)  # (batch, 4, 4, 128)
    x = _residual_block(x, 128)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if num_classes is not None:
        x = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(images, x)


def build_random() -> keras.Model:
    """VGG-16 (Simonyan & Zisserman 2014, arXiv:1409.1556) with random weights.

    Features of random weights tell sets of images apart in domains for which none were trained
    (Naeem et al. 2020, arXiv:2002.09797, section 4, R64). The network has its thirteen
    convolutions at a quarter of the channels, an average over places instead of the hidden dense
    layers, so that images may have any size, and 64 outputs. Weights are normal with variance
    2 / inputs, which keeps the scale from layer to layer (He et al. 2015, arXiv:1502.01852,
    equation 10).

    Returns:
        `keras.Model` from images (batch, height, width, 3) in [-1, 1] to features (batch, 64).
    """
    images = x = keras.Input((None, None, 3))
    for filters, convolutions in ((16, 2), (32, 2), (64, 3), (128, 3), (128, 3)):
        for _ in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", use_bias=False)(x)
        x = layers.MaxPooling2D(padding="same")(x)  # "same": 28 pixels are halved five times too
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, layers.Dense(64, use_bias=False)(x))
    for i, kernel in enumerate(model.weights):
        *inputs, _ = kernel.shape
        normal = sample_latents(0, i, i + 1, int(np.prod(kernel.shape)))
        # In half precision, where a cosine in whose last bit machines differ is the same.
        values = np.float16(normal * np.sqrt(2 / np.prod(inputs)))
        kernel.assign(values.reshape(kernel.shape))
    return model


def _classifier(name):
    class_names, build, input_shape = _CLASSIFIERS[name]
    with _float32():
        model = build(len(class_names))
    digest = _load(model, name)
    kernel, bias = (w.numpy().astype(np.float64) for w in model.get_layer("logits").weights)
    features = keras.Model(model.inputs, model.get_layer("features").output)
    return Extractor(
        name=name,
        version="1",
        sha256=digest,
        network=_run(features),
        input_shape=input_shape,
        class_names=class_names,
        head=(kernel, bias),
    )


def _encoder(name, version, input_shape=None):
    with _float32():
        model = build_encoder()
    digest = _load(model, name)
    run = _run(model)
    return Extractor(
        name=name,
        version=version,
        sha256=digest,
        network=run if input_shape else _of_rgb(run),
        input_shape=input_shape,
    )


def _random():
    with _float32():
        model = build_random()
    return Extractor(
        name="random",
        version="1",
        sha256=_hash(model.get_weights()),
        network=_of_rgb(_run(model)),
    )


def _inception():
    try:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise KganError(
            "Expected torch-fidelity for the extractor 'inception': pip install 'kgan[fid]'. "
            f"Received: {error}"
        ) from None
    try:
        model = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    # URLError is an OSError; a file that is cut off or another's may be any of the others.
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / _INCEPTION.rpartition("/")[2]
        raise KganError(
            "Expected the weights of the extractor 'inception', which torch-fidelity downloads on "
            f"first use, from {_INCEPTION} to {place} (TORCH_HOME names another place); without a "
            f"network, put the file there. Received: {' '.join(str(error).split())[:200]}"
        ) from None

    def run(images):
        images = np.repeat(images, 3 // images.shape[3], axis=3)
        channels_first = np.ascontiguousarray(np.moveaxis(images, 3, 1))
        with torch.no_grad():
            (features,) = model(torch.from_numpy(channels_first))
        return features.numpy()

    return Extractor(
        name="inception",
        version="2015-12-05",  # the date that its weights were published under
        sha256=_hash(value.numpy() for value in model.state_dict().values()),
        network=run,
        resize="bilinear to 299x299 as TensorFlow 1 did, without antialiasing",
    )


# The names of the classes, what builds the network, and the shape of the images.
_CLASSIFIERS = {
    "digits": (DIGITS, build_classifier, (28, 28, 1)),
    "fashion": (CLOTHES, build_classifier, (28, 28, 1)),
    "heroes": (VIEWS, build_encoder, (64, 64, 3)),
}
_EXTRACTORS = {
    **{name: partial(_classifier, name) for name in _CLASSIFIERS},
    "faces": partial(_encoder, "faces", "2", (64, 64, 3)),
    "pictures": partial(_encoder, "pictures", "1"),
    "inception": _inception,
    "random": _random,
}


def _of_model(model):
    expected = (
        "Expected a built keras.Model from images (batch, height, width, channels) to features "
        "(batch, features). Received: "
    )
    if not model.built:
        raise KganError(f"{expected}{model.name}, which is not built")
    # A subclassed model does not say what it takes.
    input_shape, output_shape = (
        getattr(model, f"{end}_shape", None) for end in ("input", "output")
    )
    for shape, rank in ((input_shape, 4), (output_shape, 2)):
        if shape is not None and (not isinstance(shape, tuple) or len(shape) != rank):
            raise KganError(f"{expected}{model.name}, from {input_shape} to {output_shape}")
    return Extractor(
        name=model.name,
        version=None,
        sha256=_hash(model.get_weights()),
        network=_run(model),
        input_shape=(None, None, None) if input_shape is None else input_shape[1:],
    )


def _run(model):
    @tf.function
    def run(images):
        return model(tf.cast(images, tf.float32) / 127.5 - 1.0, training=False)

    return run


def _of_rgb(run):
    """The same of gray images, too."""
    return lambda images: run(tf.repeat(images, 3 // images.shape[3], axis=3))


def _load(model: keras.Model, name: str) -> str:
    """Fills a model with the weights that kgan ships, and returns their hash."""
    path = _WEIGHTS / f"{name}.weights.h5"
    received = sha256(path) if path.is_file() else "no file"
    if received != _SHA256[name]:
        raise KganError(
            f"Expected the weights of the extractor {name!r}, with SHA-256 {_SHA256[name][:12]}…. "
            f"Received: {received[:12]} in {path}; install kgan again"
        )
    model.load_weights(path)
    return received


def _hash(arrays: Iterable[np.ndarray]) -> str:
    """The SHA-256 of arrays: of their types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextmanager
def _float32() -> Iterator[None]:
    """Within it layers compute in float32, whatever precision the model is trained in."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
