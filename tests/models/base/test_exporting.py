"""Exports: each format in its own runtime against the model."""

import re

import keras
import numpy as np
import pytest
import runtimes
import tensorflow as tf
from keras import layers

import kgan
from kgan.models import DCGAN, GAN, R3GAN, WGANGP, ConditionalGAN, CycleGAN, StyleGANLite
from models.base.test_translation import TinyCycleGAN

ENDINGS = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
MODELS = {
    "GAN": lambda: GAN((16, 16, 3), latent_dim=4, width=5),
    "DCGAN": lambda: DCGAN((16, 16, 3), latent_dim=4, width=4),
    "WGANGP": lambda: WGANGP((16, 16, 3), latent_dim=4, width=4),
    "ConditionalGAN": lambda: ConditionalGAN((16, 16, 3), num_classes=3, latent_dim=4, width=4),
    "StyleGANLite": lambda: StyleGANLite((16, 16, 3), latent_dim=4, width=2, num_classes=3),
    "R3GAN": lambda: R3GAN((16, 16, 3), latent_dim=4, width=4, max_channels=16),
}


def inputs_of(model, n=5):
    inputs = {"latents": kgan.latents.sample_latents(0, 0, n, model.latent_dim)}
    if model.num_classes is not None:
        inputs["labels"] = np.arange(n, dtype=np.int32) % model.num_classes
    if "truncation" in model.SAMPLE_OPTIONS:
        inputs["truncation"] = np.array(0.7, np.float32)
    return inputs


def close(one, other):
    return one.dtype == np.float32 and np.allclose(one, other, atol=1e-5 * np.abs(other).max())


def generator(*inner):
    """A user's, with layers in the middle."""
    x = latents = keras.Input((4,))
    for layer in (layers.Dense(16 * 16 * 3), *inner, layers.Reshape((16, 16, 3))):
        x = layer(x)
    return keras.Model(latents, layers.Activation("tanh")(x))


def gan_of(*inner):
    x = images = keras.Input((16, 16, 3))
    discriminator = keras.Model(images, layers.Dense(1)(layers.Flatten()(x)))
    return GAN((16, 16, 3), latent_dim=4, generator=generator(*inner), discriminator=discriminator)


@pytest.fixture(scope="module")
def tiny():
    return MODELS["DCGAN"]()


@pytest.fixture(scope="module")
def made():
    """Models whose pictures are no plain gray, by the names of their classes."""
    models = {name: make() for name, make in MODELS.items()}
    for model in models.values():
        rng = np.random.default_rng(0)
        for variable in model.ema_generator.weights:
            if len(variable.shape) > 1:  # kernels
                variable.assign(rng.normal(0, 0.5, variable.shape))
    models["StyleGANLite"].w_mean.assign([1.0, 0.5, -0.5, 2.0])
    return models


@pytest.fixture(scope="module")
def served(made, tmp_path_factory, run_python):
    """What a process without kgan makes of a SavedModel of each."""
    paths = []
    for name, model in made.items():
        paths.append(tmp_path_factory.mktemp(name))
        model.export(paths[-1] / "served")
        np.savez(paths[-1] / "inputs.npz", **inputs_of(model))
    return dict(zip(made, runtimes.saved_models(paths, run_python), strict=True)), paths


@pytest.mark.parametrize("name", MODELS)
class TestEveryClass:
    def expected(self, made, name, n=5):
        images = made[name](**inputs_of(made[name], n)).numpy()
        assert images.std() > 0.05
        return images

    def test_onnx(self, made, name, tmp_path):
        made[name].export(tmp_path / "x.onnx", format="onnx")
        for n in (5, 1):
            result = runtimes.onnx(tmp_path / "x.onnx", inputs_of(made[name], n))
            assert close(result, self.expected(made, name, n))

    def test_litert(self, made, name, tmp_path, capfd):
        made[name].export(tmp_path / "x.tflite", format="litert")
        assert capfd.readouterr() == ("", "")
        for n in (5, 1):
            result = runtimes.litert(tmp_path / "x.tflite", inputs_of(made[name], n))
            assert close(result, self.expected(made, name, n))

    def test_saved_model(self, made, name, served):
        assert close(served[0][name], self.expected(made, name))


@pytest.mark.slow
def test_saved_models_are_called_as_models_are(served, made):
    _, paths = served
    path = next(p for p in paths if p.name.startswith("StyleGANLite"))
    model, module = made["StyleGANLite"], tf.saved_model.load(path / "served")
    inputs = inputs_of(model)
    latents, labels = inputs["latents"], inputs["labels"]
    expected = model(latents, labels).numpy()
    for result in (module.serve(latents, labels), module.serve([latents, labels])):
        assert close(result.numpy(), expected)
    truncated = module.serve(latents, labels, truncation=0.7).numpy()
    assert close(truncated, model(**inputs).numpy()) and not close(truncated, expected)
    assert sorted(module.signatures) == ["serve", "serving_default"]


def test_graphs_say_what_they_take(made, tmp_path):
    made["StyleGANLite"].export(tmp_path / "x.onnx", format="onnx")
    session = runtimes.onnx_session(tmp_path / "x.onnx")
    assert [(x.name, x.shape, x.type) for x in session.get_inputs()] == [
        ("latents", ["batch", 4], "tensor(float)"),
        ("labels", ["batch"], "tensor(int32)"),
        ("truncation", [], "tensor(float)"),
    ]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [("images", ["batch", 16, 16, 3])]


@pytest.mark.parametrize("format", ENDINGS)
class TestEveryFormat:
    def test_says_what_made_it_and_is_replaced(self, tiny_preset, format, tmp_path, capfd):
        model = kgan.zoo.load(tiny_preset)
        path = tmp_path / f"x{ENDINGS[format]}"
        model.export(path, format=format)
        wanted = {
            "model": "tiny",
            "weights_sha256": kgan.files.sha256(tiny_preset / "model.weights.h5"),
            "class": "DCGAN",
            "images_seen": 0,
            "kgan": kgan.__version__,
        }
        assert runtimes.notes(path) == wanted
        model.images_seen.assign(8)  # it is that preset no more
        model.origin.recipe.data.licence = "CC0"
        assert capfd.readouterr() == ("", "")
        model.export(path, format=format, verbose=True)
        assert capfd.readouterr() == (f"Exported to {path}\n", "")
        assert runtimes.notes(path) == {
            **{key: wanted[key] for key in ("class", "kgan")},
            "images_seen": 8,
            "licence": "CC0",
        }
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", ["onnx", "saved_model"])
def test_failing_on_the_way_leaves_what_was_there(tiny, format, tmp_path, monkeypatch):
    path = tmp_path / f"x{ENDINGS[format]}"
    if format == "saved_model":
        path.mkdir()
    before = path / "kgan.json" if format == "saved_model" else path
    before.write_text("an earlier one")
    monkeypatch.setattr("os.fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny.export(path, format=format)
    assert before.read_text() == "an earlier one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_batch_may_be_fixed(tiny, format, tmp_path):
    path = tmp_path / f"x{ENDINGS[format]}"
    tiny.export(path, format=format, input_signature=[tf.TensorSpec([2, 4])])
    if format == "onnx":
        assert runtimes.onnx_session(path).get_inputs()[0].shape == [2, 4]
    else:
        assert runtimes.litert(path, inputs_of(tiny, 2)).shape == (2, 16, 16, 3)


class TestPlaces:
    @pytest.mark.parametrize(
        ("format", "name", "message"),
        [
            ("onnx", "x", r"ends in \.onnx"),
            ("onnx", "x.tflite", r"ends in \.onnx"),
            ("litert", "x.onnx", r"ends in \.tflite"),
            ("saved_model", "x.onnx", "Expected the path of a directory"),
            ("tf_saved_model", "x.tflite", "Expected the path of a directory"),
        ],
    )
    def test_endings_are_those_of_the_format(self, tiny, format, name, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            tiny.export(tmp_path / name, format=format)
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize("other", ["photo.png", "served/x", "variables/mine.txt"])
    def test_no_other_files_are_lost(self, tiny, other, tmp_path):
        for name in ("kgan.json", "variables/variables.index", other):
            (tmp_path / "x" / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / "x" / name).write_text("mine")
        with pytest.raises(ValueError, match=f"which holds other files: .*{re.escape(other)}"):
            tiny.export(tmp_path / "x")
        assert (tmp_path / "x" / other).read_text() == "mine"

    def test_a_saved_model_of_others_is_not_replaced(self, tiny, tmp_path):
        tf.saved_model.save(tf.Module(), str(tmp_path / "x"))
        with pytest.raises(ValueError, match="an export of kgan's to replace"):
            tiny.export(tmp_path / "x")
        assert (tmp_path / "x/saved_model.pb").exists()

    def test_a_file_is_no_directory(self, tiny, tmp_path):
        (tmp_path / "x").write_text("mine")
        with pytest.raises(ValueError, match="Received: file"):
            tiny.export(tmp_path / "x")

    def test_a_directory_that_is_missing_is_said(self, tiny, tmp_path):
        with pytest.raises(FileNotFoundError):
            tiny.export(tmp_path / "no/x.onnx", format="onnx")


class TestWhatAFormatHasNot:
    def test_a_layer_that_onnx_has_not_is_named(self, tmp_path):
        model = gan_of(layers.LayerNormalization())
        with pytest.raises(ValueError, match="Received: LayerNormalization .*; litert and saved"):
            model.export(tmp_path / "x.onnx", format="onnx")
        assert not any(tmp_path.iterdir())

    def test_an_operation_that_litert_has_not_is_named(self, tmp_path, capfd):
        model = gan_of(layers.Lambda(tf.math.bessel_i0e, output_shape=lambda shape: shape))
        with pytest.raises(ValueError, match="Received: .*BesselI0e"):
            model.export(tmp_path / "x.tflite", format="litert")
        assert not any(tmp_path.iterdir())
        assert capfd.readouterr() == ("", "")

    def test_a_call_of_ones_own_is_exported_by_tensorflow_alone(self, tmp_path):
        class Inverted(DCGAN):
            def call(self, latents, labels=None, training=False):
                return -super().call(latents, labels)

        model = Inverted((16, 16, 3), latent_dim=4, width=4)
        with pytest.raises(ValueError, match=r"Inverted with a call\(\) of its own"):
            model.export(tmp_path / "x.onnx", format="onnx")
        model.export(tmp_path / "served")
        inputs = inputs_of(model)
        served = tf.saved_model.load(tmp_path / "served")
        assert close(served.serve(**inputs).numpy(), model(**inputs).numpy())

    def test_more_than_a_file_holds(self, tiny, tmp_path, monkeypatch):
        monkeypatch.setattr("kgan.models.base.exporting._MOST_BYTES", 1000)
        for format in ("onnx", "litert"):
            with pytest.raises(ValueError, match="Expected at most 2 GB of weights"):
                tiny.export(tmp_path / f"x{ENDINGS[format]}", format=format)

    def test_a_tensorflow_without_a_converter(self, tiny, tmp_path, monkeypatch):
        monkeypatch.delattr(tf, "lite")
        with pytest.raises(ValueError, match="pip install tensorflow==2.21"):
            tiny.export(tmp_path / "x.tflite", format="litert")

    @pytest.mark.parametrize("format", ENDINGS)
    def test_options_are_never_ignored(self, tiny, format, tmp_path):
        with pytest.raises(ValueError, match="Received: opset_version=18"):
            tiny.export(tmp_path / f"x{ENDINGS[format]}", format=format, opset_version=18)


def test_options_of_the_converter(tmp_path):
    model, path = gan_of(layers.Dense(32), layers.Dense(16 * 16 * 3)), tmp_path / "x.tflite"
    model.export(path, format="litert", optimizations=[tf.lite.Optimize.DEFAULT])
    assert path.stat().st_size < 2 * model.ema_generator.count_params()  # of 8 bits each


class TestTranslation:
    def test_litert(self, tmp_path):
        model = TinyCycleGAN()
        images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
        model.export(tmp_path / "x.tflite", format="litert", direction="b-to-a")
        result = runtimes.litert(tmp_path / "x.tflite", {"images": images})
        assert close(result, model(images, direction="b_to_a").numpy())

    def test_sides_that_are_open_stay_open(self, tmp_path):
        model = CycleGAN((20, 20, 3), width=2, residual_blocks=1, pool_size=0)
        images = np.random.default_rng(0).uniform(-1, 1, (3, 28, 24, 3)).astype(np.float32)
        for format, ending in ENDINGS.items():
            model.export(tmp_path / f"x{ending}", format=format)
        served = tf.saved_model.load(tmp_path / f"x{ENDINGS['saved_model']}")
        made = [
            runtimes.onnx(tmp_path / f"x{ENDINGS['onnx']}", {"images": images}),
            runtimes.litert(tmp_path / f"x{ENDINGS['litert']}", {"images": images}),
            served.serve(images).numpy(),
        ]
        assert all(close(result, model(images).numpy()) for result in made)

    def test_onnx(self, tmp_path):
        with pytest.raises(ValueError, match="Received: activation gelu"):
            TinyCycleGAN().export(tmp_path / "x.onnx", format="onnx")
