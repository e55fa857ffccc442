"""Feature extractors: what they know, and that nothing but the image counts."""

import re
import sys
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from benchmarks import extractors as benchmark
from keras import layers

import kgan
from kgan.data import load
from kgan.errors import KganError
from kgan.metrics import extractors
from kgan.metrics.extractors import extractor


def noise(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def user_model(shape=(16, 16, 3), **kwargs):
    """Mean and standard deviation of each channel, which are easily computed otherwise."""
    images = keras.Input(shape)
    mean = keras.ops.mean(images, axis=(1, 2))
    std = keras.ops.std(images, axis=(1, 2))
    return keras.Model(images, layers.Concatenate()([mean, std]), **kwargs)


SHAPES = {
    "digits": (28, 28, 1),
    "fashion": (28, 28, 1),
    "faces": (64, 64, 3),
    "heroes": (64, 64, 3),
    "pictures": (40, 64, 1),
    "random": (28, 28, 1),
}


@pytest.mark.parametrize("name", SHAPES)
class TestShipped:
    def test_features_are_finite_float32_and_differ(self, name):
        features = extractor(name).features(noise(3, SHAPES[name]))
        assert features.dtype == np.float32
        assert features.shape == (3, 64 if name == "random" else 128)
        assert np.isfinite(features).all()
        assert not np.array_equal(features[0], features[1])

    def test_an_image_has_the_same_features_whatever_comes_with_it(self, name):
        network = extractor(name)
        images = noise(150, SHAPES[name])
        whole = network.features(images)
        one_by_one = [network.features(images[i : i + 1])[0] for i in (0, 64, 149)]
        np.testing.assert_array_equal(one_by_one, whole[[0, 64, 149]])
        order = np.random.default_rng(1).permutation(150)
        np.testing.assert_array_equal(network.features(images[order]), whole[order])
        np.testing.assert_array_equal(network.features(images[37:107]), whole[37:107])

    @pytest.mark.slow
    def test_another_one_is_the_same(self, name):
        images = noise(2, SHAPES[name])
        first, second = extractor(name), extractor(name)
        assert first.sha256 == second.sha256 and len(first.sha256) == 64
        np.testing.assert_array_equal(first.features(images), second.features(images))

    @pytest.mark.slow
    def test_the_users_precision_does_not_matter(self, name):
        images = noise(2, SHAPES[name])
        expected = extractor(name).features(images)
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            received = extractor(name).features(images)
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
        finally:
            keras.config.set_dtype_policy("float32")
        np.testing.assert_array_equal(received, expected)


class TestClassifiers:
    @pytest.mark.data
    @pytest.mark.parametrize(
        ("name", "source", "least"),
        [("digits", "tfds:mnist", 0.99), ("fashion", "tfds:fashion_mnist", 0.905)],
    )
    def test_they_are_right(self, name, source, least, data_dir):
        """Quickly: of the first 2,000 test images."""
        test = load(source, (28, 28, 1), split="test[:2000]", data_dir=data_dir)
        network = extractor(name)
        labels = network.classify(test.images)
        assert np.issubdtype(labels.dtype, np.integer)
        assert np.mean(labels == test.labels) >= least
        assert list(network.class_names) == test.class_names
        assert network.num_classes == 10

    @pytest.mark.data
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "source", "least"),
        [("digits", "tfds:mnist", 0.992), ("fashion", "tfds:fashion_mnist", 0.92)],
    )
    def test_they_are_as_right_as_they_say(self, name, source, least, data_dir):
        test = load(source, (28, 28, 1), split="test", data_dir=data_dir)
        assert np.mean(extractor(name).classify(test.images) == test.labels) >= least

    @pytest.mark.data
    def test_heroes_knows_from_where_characters_are_seen(self, data_dir):
        """Of the 92 characters that it was not trained on."""
        test = load(
            data_dir / "tinyhero",
            (64, 64, 3),
            background="white",
            labels="folders",
            only=lambda name: name.endswith("0.png"),
        )
        network = extractor("heroes")
        assert len(test) == 4 * 92
        assert np.mean(network.classify(test.images) == test.labels) >= 0.98
        assert network.class_names == ("back", "left", "front", "right")
        assert network.num_classes == 4

    @pytest.mark.parametrize(
        ("name", "build"),
        [
            ("digits", extractors.build_classifier),
            ("heroes", lambda: extractors.build_encoder(num_classes=4)),
        ],
    )
    def test_classes_follow_from_features(self, name, build):
        network = extractor(name)
        images = noise(5, network.input_shape)
        model = build()
        model.load_weights(extractors._WEIGHTS / f"{name}.weights.h5")
        expected = np.argmax(model(images / 127.5 - 1), axis=1)
        np.testing.assert_array_equal(network.classify(images), expected)
        np.testing.assert_array_equal(network.labels(network.features(images)), expected)

    def test_others_do_not_classify(self):
        with pytest.raises(KganError, match="classifier .*'heroes'.*Received.*'random'"):
            extractor("random").classify(noise(1, (16, 16, 3)))
        assert extractor("random").num_classes is None


class TestWeights:
    def test_they_are_small(self):
        sizes = {path.name: path.stat().st_size for path in extractors._WEIGHTS.glob("*.h5")}
        assert sizes and max(sizes.values()) < 2_000_000

    def test_they_are_those_of_extractors(self):
        names = {path.name.removesuffix(".weights.h5") for path in extractors._WEIGHTS.glob("*.h5")}
        assert names == set(extractors._EXTRACTORS) - {"inception", "random"}  # these have none

    def test_damaged_ones_are_refused(self, tmp_path, monkeypatch):
        content = bytearray((extractors._WEIGHTS / "digits.weights.h5").read_bytes())
        content[-100] ^= 1
        (tmp_path / "digits.weights.h5").write_bytes(content)
        monkeypatch.setattr(extractors, "_WEIGHTS", tmp_path)
        with pytest.raises(KganError, match="'digits', with SHA-256.*Received.*install kgan again"):
            extractor("digits")

    def test_missing_ones_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(extractors, "_WEIGHTS", tmp_path)
        with pytest.raises(KganError, match="Received: no file in"):
            extractor("faces")


class TestRandom:
    def test_weights_are_those_of_all_times(self):
        model = extractors.build_random()
        bits = np.random.Philox(key=np.array([0, 0], np.uint64)).random_raw(432)  # 3 * 3 * 3 * 16
        u, v = bits[0] / 2**64, bits[216] / 2**64
        normal = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)
        first = model.weights[0].numpy()
        assert first[0, 0, 0, 0] == np.float16(normal * np.sqrt(2 / 27))
        assert extractor("random").sha256 == (
            "31554e3f3020a3097143504aeff55e89207f44452ce7b942890a003097c2c6cb"
        )

    def test_features_are_those_of_all_times(self):
        ramp = np.arange(28 * 28).reshape(1, 28, 28, 1).astype(np.uint8)
        features = extractor("random").features(ramp)[0, :4]
        expected = [-0.3526642, 0.25326976, 0.39061967, -0.26240584]
        np.testing.assert_allclose(features, expected, rtol=1e-4)

    def test_any_size_and_gray_as_rgb(self):
        network = extractor("random")
        gray = noise(2, (13, 40, 1))
        rgb = np.repeat(gray, 3, axis=3)
        np.testing.assert_array_equal(network.features(gray), network.features(rgb))


class TestUsersModel:
    def test_its_features(self):
        images = noise(70, (16, 16, 3))
        network = extractor(user_model(name="colors"))
        scaled = images / 127.5 - 1.0
        expected = np.concatenate([scaled.mean((1, 2)), scaled.std((1, 2))], axis=1)
        np.testing.assert_allclose(network.features(images), expected, atol=1e-5)
        assert (network.name, network.version) == ("colors", None)
        assert network.input_shape == (16, 16, 3)

    def test_it_runs_in_inference_mode(self):
        images = keras.Input((None, None, 1))
        x = layers.Dropout(0.9)(layers.GlobalAveragePooling2D()(images))
        network = extractor(keras.Model(images, x))
        white = np.full((3, 8, 8, 1), 255, np.uint8)
        np.testing.assert_array_equal(network.features(white), np.ones((3, 1)))

    def test_hash_is_of_its_weights(self):
        def model(seed):
            images = keras.Input((8, 8, 1))
            init = keras.initializers.GlorotUniform(seed)
            return keras.Model(images, layers.Dense(3, kernel_initializer=init)(images[:, 0, :, 0]))

        hashes = [extractor(model(seed)).sha256 for seed in (0, 0, 1)]
        assert hashes[0] == hashes[1] != hashes[2]

    def test_a_subclassed_one(self):
        class Mean(keras.Model):
            def call(self, images):
                return tf.reduce_mean(images, axis=(1, 2))

        model = Mean()
        model(np.zeros((1, 8, 8, 3), np.float32))
        assert extractor(model).features(noise(2, (9, 9, 3))).shape == (2, 3)

    def test_one_that_is_not_built_is_refused(self):
        with pytest.raises(KganError, match="built keras.Model.*Received: .*not built"):
            extractor(keras.Sequential([layers.Flatten(), layers.Dense(3)]))

    def test_one_that_gives_no_features_is_refused(self):
        images = keras.Input((8, 8, 3))
        with pytest.raises(KganError, match=r"Received: .*\(None, 8, 8, 4\)"):
            extractor(keras.Model(images, layers.Conv2D(4, 3, padding="same")(images)))

    def test_one_that_takes_no_images_is_refused(self):
        latents = keras.Input((8,))
        with pytest.raises(KganError, match=r"Received: .*from \(None, 8\)"):
            extractor(keras.Model(latents, layers.Dense(3)(latents)))

    def test_a_subclassed_one_that_gives_no_features_is_refused(self):
        class Same(keras.Model):
            def call(self, images):
                return images

        model = Same()
        model(np.zeros((1, 8, 8, 3), np.float32))
        with pytest.raises(
            KganError, match=r"shape \(batch, features\). Received: \(64, 8, 8, 3\)"
        ):
            extractor(model).features(noise(2, (8, 8, 3)))


class TestImages:
    @pytest.mark.parametrize(
        ("name", "shape", "expected"),
        [
            ("digits", (28, 28, 3), "28x28x1.*'digits'"),
            ("digits", (32, 32, 1), "28x28x1"),
            ("faces", (64, 64, 1), "64x64x3"),
            ("faces", (32, 32, 3), "64x64x3"),
            ("random", (16, 16, 2), "1 or 3 channels"),
        ],
    )
    def test_other_shapes_are_refused(self, name, shape, expected):
        with pytest.raises(KganError, match=f"Expected images.*{expected}.*Received: uint8"):
            extractor(name).features(noise(2, shape))

    @pytest.mark.parametrize(
        "images, received",
        [
            (np.zeros((2, 16, 16, 3), np.float32), "float32 of shape (2, 16, 16, 3)"),
            (np.zeros((16, 16, 3), np.uint8), "uint8 of shape (16, 16, 3)"),
            ([[0, 1]], "[[0, 1]]"),
        ],
    )
    def test_no_images_are_refused(self, images, received):
        message = f"(images, height, width, channels). Received: {received}"
        with pytest.raises(KganError, match=re.escape(message)):
            extractor("random").features(images)

    def test_none_at_all_are_refused(self):
        with pytest.raises(KganError, match="at least one image"):
            extractor("random").features(np.zeros((0, 16, 16, 3), np.uint8))

    def test_a_users_models_shape_counts(self):
        with pytest.raises(
            KganError, match=r"Expected images of 16x16x3.*Received: .*\(2, 16, 16, 1\)"
        ):
            extractor(user_model()).features(noise(2, (16, 16, 1)))


@pytest.mark.parametrize("source", ["digit", None, 3])
def test_unknown_names_are_refused(source):
    with pytest.raises(KganError, match=f"'digits'.*keras.Model. Received: {source!r}"):
        extractor(source)


class StandIn:
    """What kgan uses of torch-fidelity's network: means of the channels instead of features."""

    def __init__(self, name, features_list):
        assert features_list == ["2048"]

    def state_dict(self):
        return {"weight": SimpleNamespace(numpy=lambda: np.ones(3, np.float32))}

    def __call__(self, images):
        assert images.dtype == np.uint8 and images.shape[1] == 3
        means = images.mean((2, 3))
        return (SimpleNamespace(numpy=lambda: means, shape=means.shape),)


class TestInception:
    @pytest.fixture
    def stand_in(self, monkeypatch):
        class NoGrad:
            def __enter__(self):
                pass

            def __exit__(self, *error):
                pass

        torch = ModuleType("torch")
        torch.no_grad = NoGrad
        torch.from_numpy = lambda array: array
        torch.hub = SimpleNamespace(get_dir=lambda: "/home/me/.cache/torch/hub")
        module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
        module.FeatureExtractorInceptionV3 = StandIn
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    def test_it_gets_channels_first(self, stand_in):
        images = noise(70, (20, 24, 3))
        features = extractor("inception").features(images)
        np.testing.assert_allclose(features, images.mean((1, 2)), rtol=1e-6)

    def test_gray_becomes_rgb(self, stand_in):
        images = noise(2, (20, 24, 1))
        features = extractor("inception").features(images)
        np.testing.assert_allclose(features, np.repeat(images.mean((1, 2)), 3, axis=1), rtol=1e-6)

    @pytest.mark.parametrize(
        "error",
        [OSError("<urlopen error no route>"), RuntimeError("invalid hash value\n(no route)")],
    )
    def test_no_network_is_said_and_where_the_weights_belong(self, stand_in, monkeypatch, error):
        def fails(*args):
            raise error

        monkeypatch.setattr(stand_in, "FeatureExtractorInceptionV3", fails)
        with pytest.raises(
            KganError, match="downloads on first use.* Received: .*no route"
        ) as said:
            extractor("inception")
        place = "/home/me/.cache/torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth"
        assert place in str(said.value) and "\n" not in str(said.value)

    def test_without_torch_fidelity_what_to_install_is_said(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch_fidelity", None)
        with pytest.raises(KganError, match=r"pip install 'kgan\[fid\]'"):
            extractor("inception")


def frechet(real, fake):
    """Fréchet distance of two Gaussians, by eigenvalues of symmetric matrices alone."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.linalg.eigvalsh(root @ second @ root)
    shift = real.mean(0) - fake.mean(0)
    traces = np.trace(first) + np.trace(second)
    return shift @ shift + traces - 2 * np.sqrt(np.maximum(cross, 0)).sum()


# How many floors a fault is away at least, of `faces` and of `heroes`. What lies above one floor is
# half of what was measured. `faces` does not see shifted patches among so few images.
FAULTS = {
    "noise, 16 levels": (2.4, 7.5),
    "blur, 1 pixel": (5, 6.5),
    "4 of 16 patches shifted by 4 pixels": (None, 4),
    "2 of 16 patches swapped": (2.3, 11),
    "molten, by 2 pixels": (4.5, 13),
    "upper half of another": (3, 1.25),
    "a quarter of another": (2.6, 3.8),
    "1 in 20, again and again": (5, 5.5),
    "one eye of another": (1.8, None),
    "upper half of another view": (None, 9.5),
    "no dark ones": (1.4, None),
    "no view from behind": (None, 7),
    "red, green and blue changed round": (None, 15),
    "emoji": (20, 100),
}


@pytest.fixture(scope="module")
def floors(data_dir):
    """The Fréchet distance of images with a fault to others, by that without the fault.

    Of 500 test faces each, and of 400 of the heroes that `heroes` was trained on.
    """
    real, faults, networks, references, results = {}, {}, {}, {}, {}
    for name, (images, special) in {
        "faces": benchmark.faces(500, "celeba/test"),
        "heroes": benchmark.heroes(400),
    }.items():
        real[name] = images
        faults[name] = {"nothing": lambda x: x, **benchmark.COMMON, **special}
        networks[name] = extractor(name)
        references[name] = networks[name].features(images[0])

    def distance(name, fault):
        if (name, fault) not in results:
            features = networks[name].features(faults[name][fault](real[name][1]))
            results[name, fault] = frechet(references[name], features)
        return results[name, fault]

    return lambda name, fault: distance(name, fault) / distance(name, "nothing")


@pytest.fixture(scope="module")
def emoji_floors(data_dir):
    """The same of 400 test emoji of Twitter's design, the source of which are Noto's."""
    twitter, noto = "emoji/test/twitter", "emoji/test/noto"
    real, faults = benchmark.translations(twitter, twitter, noto, 200)
    faults = {**benchmark.COMMON, **faults}
    network = extractor("pictures")
    reference, other = map(network.features, real)
    floor = frechet(reference, other)
    return lambda fault: frechet(reference, network.features(faults[fault](real[1]))) / floor


@pytest.mark.slow
@pytest.mark.data
class TestTheySeeFaults:
    """`python tests/benchmarks/extractors.py` says how well, of more images."""

    @pytest.mark.parametrize(
        ("name", "fault", "least"),
        [
            (name, fault, least)
            for fault, both in FAULTS.items()
            for name, least in zip(("faces", "heroes"), both, strict=True)
            if least is not None
        ],
    )
    def test_faults_are_far(self, floors, name, fault, least):
        assert floors(name, fault) > least

    @pytest.mark.parametrize("name", ["faces", "heroes"])
    @pytest.mark.parametrize(
        "faults",
        [
            [f"noise, {levels} levels" for levels in (4, 8, 16)],
            ["blur, 0.5 pixels", "blur, 1 pixel"],
            ["all of it moved by half a pixel", "molten, by 2 pixels"],
            [f"4 of 16 patches shifted by {pixels}" for pixels in ("2 pixels", "4 pixels")],
        ],
        ids=["noise", "blur", "molten", "shifted"],
    )
    def test_the_worse_the_farther(self, floors, name, faults):
        values = [floors(name, fault) for fault in faults]
        assert values == sorted(values)

    @pytest.mark.parametrize(
        ("fault", "least"),
        [
            ("noise, 16 levels", 6),
            ("24 levels redder, less blue", 12),
            ("half of it the source", 2.9),
            ("the source", 1.8),
        ],
    )
    def test_pictures_sees_what_is_badly_painted(self, emoji_floors, fault, least):
        assert emoji_floors(fault) > least

    @pytest.mark.slow
    def test_generators(self, data_dir):
        """The zoo's, and the same with its weights more and more disturbed.

        Against the faces that it was trained for, whole ones.
        """
        network = extractor("faces")
        faces = load(data_dir / "celeba" / "test", (64, 64, 3)).images
        reference, other = network.features(faces[::2]), network.features(faces[1::2])

        def distance(model):
            return frechet(reference, network.features(model.sample(len(other), seed=0)))

        model = kgan.zoo.load("dcgan-celeba")
        kernels = [w for w in model.ema_generator.weights if "kernel" in w.path]
        trained = [kernel.numpy() for kernel in kernels]
        distances = [distance(model)]
        for amount in (0.1, 0.3):
            rng = np.random.default_rng(0)
            for kernel, w in zip(kernels, trained, strict=True):
                kernel.assign(w + amount * w.std() * rng.normal(size=w.shape))
            distances.append(distance(model))
        assert 2 * frechet(reference, other) < distances[0] < distances[1] < distances[2] / 1.5
