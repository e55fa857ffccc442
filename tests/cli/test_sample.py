"""`kgan sample`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click.testing
import keras
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan.cli import main
from kgan.files import sha256
from kgan.images import enlarge, grid, read_provenance
from kgan.recipe import Data
from kgan.zoo import preset


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def nine(tiny_preset):
    """Nine images of seed 3, from Python."""
    return kgan.zoo.sampler(tiny_preset).sample(9, seed=3)


@pytest.fixture(scope="module")
def sampled(run_python, tiny_preset, tmp_path_factory):
    """`kgan sample tiny -n 4 --seed 3` in a process of its own, and the directory it ran in."""
    cwd = tmp_path_factory.mktemp("sampled")
    arguments = ("-m", "kgan.cli", "sample", "tiny", "-n", 4, "--seed", 3)
    return run_python(*arguments, cwd=cwd, KGAN_ZOO=str(tiny_preset.parent)), cwd


@pytest.fixture
def sample(tiny_preset, tmp_path, monkeypatch):
    """Runs `kgan sample *args` in this process, in an empty directory beside no other files."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("KGAN_ZOO", str(tiny_preset.parent))
    return lambda *args: click.testing.CliRunner().invoke(main, ["sample", *map(str, args)])


class TestProcess:
    def test_path_is_printed_and_nothing_else(self, sampled):
        done, _ = sampled
        assert (done.returncode, done.stdout, done.stderr) == (0, "tiny.png\n", "")

    def test_picture_is_the_only_file(self, sampled):
        _, cwd = sampled
        assert [path.name for path in cwd.iterdir()] == ["tiny.png"]

    def test_picture_is_a_square_grid(self, sampled):
        _, cwd = sampled
        assert _pixels(cwd / "tiny.png").shape == (2 * 18 + 2, 2 * 18 + 2, 3)

    def test_pixels_are_those_of_python(self, sampled, nine):
        _, cwd = sampled
        np.testing.assert_array_equal(_pixels(cwd / "tiny.png"), grid(nine[:4]))

    def test_picture_says_what_made_it(self, sampled, tiny_preset):
        _, cwd = sampled
        facts = read_provenance(cwd / "tiny.png")
        wanted = {
            "model": "tiny",
            "class": "DCGAN",
            "seed": 3,
            "n": 4,
            "kgan": kgan.__version__,
            "weights_sha256": sha256(tiny_preset / "model.weights.h5"),
        }
        assert wanted.items() <= facts.items()


class TestOutput:
    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    def test_pixels_do_not_depend_on_batch_size(self, sample, nine, batch_size):
        done = sample("tiny", "-n", 9, "--seed", 3, "--batch-size", batch_size)
        assert done.exit_code == 0, done.output
        np.testing.assert_array_equal(_pixels("tiny.png"), grid(nine))

    def test_npz_holds_the_images(self, sample, nine):
        done = sample("tiny", "-n", 9, "--seed", 3, "--batch-size", 4, "--out", "x.npz")
        assert done.stdout == "x.npz\n"
        with np.load("x.npz") as file:
            np.testing.assert_array_equal(file["images"], nine)

    def test_separate_writes_an_image_a_file(self, sample, nine, tmp_path):
        done = sample("tiny", "-n", 9, "--seed", 3, "--separate", "--out", "new/faces")
        assert done.stdout == "new/faces\n"
        files = sorted((tmp_path / "here/new/faces").iterdir())
        assert [path.name for path in files] == [f"seed3-{i}.png" for i in range(9)]
        np.testing.assert_array_equal([_pixels(path) for path in files], nine)

    def test_separate_files_say_which_image_they_are(self, sample):
        sample("tiny", "-n", 2, "--separate")
        assert read_provenance("tiny-samples/seed0-1.png")["index"] == 1

    @pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no devices are files here")
    def test_a_device_is_written_to_and_not_named(self, sample):
        done = sample("tiny", "-n", 1, "--out", "/dev/null")
        assert (done.exit_code, done.stdout) == (0, "")

    def test_ctrl_c_amid_the_import_of_a_module_in_c_is_one(self, sample, monkeypatch):
        def interrupted(*_):
            raise ImportError("initialization failed") from KeyboardInterrupt()

        monkeypatch.setattr("kgan.zoo.samplers.ready", interrupted)
        done = sample("tiny", "-n", 1)
        assert done.exit_code == 130 and "Interrupted" in done.stderr

    def test_directory_gets_a_picture_named_after_the_model(self, sample, tmp_path):
        (tmp_path / "here/pictures").mkdir()
        assert sample("tiny", "-n", 1, "--out", "pictures").stdout == "pictures/tiny.png\n"
        assert _pixels("pictures/tiny.png").shape == (20, 20, 3)

    def test_preset_directory_is_taken_like_a_name(self, sample, tiny_preset, nine):
        sample(tiny_preset, "-n", 9, "--seed", 3)
        np.testing.assert_array_equal(_pixels("tiny.png"), grid(nine))

    def test_old_picture_is_replaced(self, sample, tmp_path):
        (tmp_path / "here/x.png").write_text("old")
        sample("tiny", "-n", 1, "--out", "x.png")
        assert _pixels("x.png").shape == (20, 20, 3)

    @pytest.mark.parametrize("resample", ["nearest", "lanczos"])
    def test_scale_enlarges_each_image(self, sample, nine, resample):
        options = ("-n", 9, "--seed", 3, "--scale", 3, "--resample", resample)
        assert sample("tiny", *options).exit_code == 0
        sheet = grid(enlarge(nine, 3, resample), gap=6)
        np.testing.assert_array_equal(_pixels("tiny.png"), sheet)
        plain = grid(nine)
        assert sheet.shape == (3 * plain.shape[0], 3 * plain.shape[1], 3)
        facts = read_provenance("tiny.png")
        assert (facts["scale"], facts["resample"], facts["n"]) == (3, resample, 9)

    def test_columns(self, sample, nine):
        assert sample("tiny", "-n", 9, "--seed", 3, "--columns", 5).exit_code == 0
        np.testing.assert_array_equal(_pixels("tiny.png"), grid(nine, 5))
        assert sample("tiny", "-n", 1, "--scale", 64, "--columns", 1024).exit_code == 0
        assert _pixels("tiny.png").shape == (64 * 20, 64 * 20, 3)

    def test_scale_of_separate_files(self, sample, nine):
        sample("tiny", "-n", 2, "--seed", 3, "--scale", 2, "--separate", "--out", "v1.0")
        image = enlarge(nine[:1], 2, "lanczos")[0]
        np.testing.assert_array_equal(_pixels("v1.0/seed3-0.png"), image)

    @pytest.mark.parametrize(
        "data",
        [{"extractor": "heroes"}, {"title": "Pixel art of ships"}, {"note": "It is pixel-art."}],
    )
    def test_pixel_art_keeps_its_pixels(self, sample, tiny_preset, tmp_path, data):
        recipe = preset.read(tiny_preset).recipe
        recipe.data = Data("sprites", **data)
        kgan.zoo.save(kgan.zoo.load(tiny_preset), tmp_path / "sprites", recipe)
        sample(tmp_path / "sprites", "-n", 1, "--scale", 4, "--out", "x.png")
        picture = _pixels("x.png")[8:-8, 8:-8]
        np.testing.assert_array_equal(picture, picture[::4, ::4].repeat(4, 0).repeat(4, 1))
        assert read_provenance("x.png")["resample"] == "nearest"

    def test_scale_of_one_changes_nothing(self, sample):
        sample("tiny", "-n", 1, "--out", "a.png")
        sample("tiny", "-n", 1, "--scale", 1, "--out", "b.PNG")
        assert Path("a.png").read_bytes() == Path("b.PNG").read_bytes()

    @pytest.mark.parametrize("name", ["v1.0", "v1.1", "link"])
    def test_separate_files_in_a_directory_with_a_dot(self, sample, name):
        Path("v1.1").mkdir()
        Path("link").symlink_to("v1.1")
        assert sample("tiny", "-n", 2, "--separate", "--out", name).exit_code == 0
        assert len(list(Path(name).iterdir())) == 2
        assert Path(name).stat().st_mode & 0o777 == 0o755

    def test_separate_files_on_another_disk(self, sample):
        if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(".").st_dev:
            pytest.skip("there is one disk here")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
            Path("link").symlink_to(place)
            done = sample("tiny", "-n", 2, "--seed", 3, "--separate", "--out", "link")
            assert done.exit_code == 0, done.output
            assert sorted(os.listdir(place)) == ["seed3-0.png", "seed3-1.png"]

    def test_separate_files_here(self, sample, nine):
        done = sample("tiny", "-n", 2, "--seed", 3, "--separate", "--out", ".")
        assert done.exit_code == 0, done.output
        assert sorted(os.listdir()) == ["seed3-0.png", "seed3-1.png"]
        np.testing.assert_array_equal(_pixels("seed3-1.png"), nine[1])

    def test_interrupt_leaves_an_empty_directory_empty(self, sample, monkeypatch):
        Path("empty").mkdir()
        replace = os.replace

        def interrupted(source, target):
            if str(target).endswith("seed0-1.png") and "empty" in str(target.parent):
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr(os, "replace", interrupted)
        assert sample("tiny", "-n", 3, "--separate", "--out", "empty").exit_code == 130
        assert [path.name for path in Path().rglob("*")] == ["empty"]

    def test_preset_cannot_choose_where_to_write(self, sample, tiny_preset, tmp_path):
        evil = shutil.copytree(tiny_preset, tmp_path / "evil")
        metadata = json.loads((evil / "metadata.json").read_text())
        (evil / "metadata.json").write_text(json.dumps({**metadata, "name": "../stolen"}))
        sample(evil, "-n", 1)
        assert not (tmp_path / "stolen.png").exists()


@pytest.mark.parametrize(
    "options, number",
    [
        (["--out", "x.npz"], signal.SIGTERM),
        (["--separate", "--out", "x"], signal.SIGINT),
    ],
)
def test_a_signal_leaves_what_was_there(interruptible, tiny_preset, tmp_path, options, number):
    if "x.npz" in options:
        (tmp_path / "x.npz").write_text("of before")
    command = [sys.executable, "-m", "kgan.cli", "sample", str(tiny_preset), "-n", "1000000"]
    process = interruptible(
        [*command, *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        # Once images are written; an interrupt while TensorFlow traces may get lost in it.
        while time.monotonic() < deadline:
            if len(list(tmp_path.glob(".partial-*/*/*.png"))) > 20:
                break
            if any(path.stat().st_size > 10_000 for path in tmp_path.glob(".partial-*/x.npz")):
                break
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(number)
        out, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 128 + number and not out
    assert said.strip() == "Interrupted"
    if "x.npz" in options:
        assert (tmp_path / "x.npz").read_text() == "of before"
        (tmp_path / "x.npz").unlink()
    assert not list(tmp_path.iterdir())


class TestBadInput:
    """One line on stderr, the right exit code, and nothing written."""

    @pytest.mark.parametrize(
        "arguments, code, message",
        [
            (["tinny"], 1, r"Received: 'tinny'; did you mean tiny\?"),
            (["."], 1, r"Expected a preset: .*Received: \., which has no metadata\.json"),
            ([], 2, "Missing argument 'NAME'"),
            (["tiny", "-n", "0"], 2, "'-n': 0 is not in the range x>=1"),
            (["tiny", "-n", "4.5"], 2, "'4.5' is not a valid integer"),
            (["tiny", "--seed", "-1"], 2, "-1 is not in the range"),
            (["tiny", "--batch-size", "0"], 2, "0 is not in the range x>=1"),
            (["tiny", "--nope"], 2, "No such option:? '?--nope"),
            (["tiny", "-n", "1025"], 2, r"at most 1024 images.*Received: -n 1025.*--separate"),
            (["tiny", "-n", "1025", "--out", "new/x.png"], 2, "at most 1024 images"),
            (["tiny", "--out", "x.npz", "--scale", "2"], 2, "Expected --scale with pictures"),
            (["tiny", "--resample", "nearest"], 2, "Expected --resample with --scale"),
            (["tiny", "-n", "1000", "--scale", "64"], 2, "at most 268,435,456 pixels"),
            (["tiny", "--scale", "0"], 2, "0 is not in the range"),
            (["tiny", "--columns", "0"], 2, "0 is not in the range"),
            (["tiny", "--columns", "2", "--separate"], 2, "--columns with a grid"),
            (["tiny", "--columns", "2", "--out", "x.npz"], 2, "--columns with a grid"),
            (["tiny", "--separate", "--out", "x.PNG"], 2, "new or empty directory"),
            (["tiny", "--out", "x.jpg"], 2, r"\.png or \.npz. Received: --out x\.jpg"),
            (["tiny", "--out", "/proc/x.png"], 1, "that can be written. Received: --out /proc/x"),
        ],
    )
    def test_is_refused(self, sample, tmp_path, arguments, code, message):
        done = sample(*arguments)
        assert done.exit_code == code
        assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
        assert done.stdout == "" and os.listdir(tmp_path / "here") == []

    @pytest.mark.parametrize("out", [["file/x.png"], ["file/x", "--separate"]])
    def test_output_below_a_file_is_refused(self, sample, tmp_path, out):
        (tmp_path / "here/file").write_text("text")
        done = sample("tiny", "--out", *out)
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: .*written. Received: --out file/x.*: .*\n", done.stderr)

    def test_separate_into_a_full_directory_is_refused(self, sample, tmp_path):
        (tmp_path / "here/full").mkdir()
        (tmp_path / "here/full/file").touch()
        done = sample("tiny", "--separate", "--out", "full")
        assert done.exit_code == 2
        assert re.fullmatch(r"Error: .*empty directory.*--out full.*\n", done.stderr)
        assert os.listdir(tmp_path / "here/full") == ["file"]

    def test_corrupted_weights_are_refused(self, sample, tiny_preset, tmp_path):
        directory = shutil.copytree(tiny_preset, tmp_path / "damaged")
        weights = bytearray((directory / "model.weights.h5").read_bytes())
        weights[len(weights) // 2] ^= 1
        (directory / "model.weights.h5").write_bytes(weights)
        done = sample(directory)
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: Damaged preset: .*model\.weights\.h5 has.*\n", done.stderr)
        assert os.listdir(tmp_path / "here") == []

    def test_another_keras_backend_is_refused(self, run_kgan, tiny_preset, tmp_path):
        done = run_kgan("sample", tiny_preset, "--engine", "keras", KERAS_BACKEND="jax")
        assert done.returncode == 1
        assert re.fullmatch(r"Error: kgan runs on .*KERAS_BACKEND='jax'.*\n", done.stderr)
        assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def conditional_preset(tmp_path_factory):
    """An untrained conditional model of three classes, two of whose names hold a dash or slash."""
    from kgan.models import ConditionalGAN
    from kgan.recipe import Data, Recipe

    directory = tmp_path_factory.mktemp("conditional") / "clothes"
    model = ConditionalGAN((16, 16, 1), num_classes=3, latent_dim=8, width=4)
    model.compile()
    for weight in model.ema_generator.weights:
        if weight.name == "offsets":  # classes look different
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    names = ["T-shirt/top", "Coat", "0-1"]
    data = Data(source="tfds:none", class_names=names)
    kgan.zoo.save(model, directory, Recipe(name="clothes", model="ConditionalGAN", data=data))
    return directory


class TestLabels:
    @pytest.fixture
    def clothes(self, conditional_preset, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return lambda *args: click.testing.CliRunner().invoke(
            main, ["sample", str(conditional_preset), *map(str, args)]
        )

    def test_a_row_for_each_class(self, clothes, conditional_preset):
        assert clothes("--labels", "0-2").output == "clothes.png\n"
        labels = np.repeat([0, 1, 2], 8)
        images = kgan.zoo.load(conditional_preset).sample(24, seed=0, labels=labels)
        np.testing.assert_array_equal(_pixels("clothes.png"), grid(images, 8)[..., 0])
        assert read_provenance("clothes.png")["labels"] == labels.tolist()

    @pytest.mark.parametrize(
        "text, classes",
        [("coat", [1]), ("T-shirt/top, 1", [0, 1]), ("0-1", [2]), ("1-2,0", [1, 2, 0])],
    )
    def test_names_come_before_numbers(self, clothes, text, classes):
        assert clothes("--labels", text, "-n", 2 * len(classes)).exit_code == 0
        assert read_provenance("clothes.png")["labels"] == np.repeat(classes, 2).tolist()

    def test_files_of_their_own_say_their_label(self, clothes):
        assert clothes("--labels", "2,0", "-n", 2, "--separate", "--out", "files").exit_code == 0
        paths = sorted(Path("files").iterdir())
        assert [read_provenance(path)["labels"] for path in paths] == [[2], [0]]

    def test_npz_holds_labels(self, clothes, conditional_preset):
        assert clothes("-n", 5, "--out", "x.npz").exit_code == 0
        with np.load("x.npz") as arrays:
            images, labels = arrays["images"], arrays["labels"]
        model = kgan.zoo.load(conditional_preset)
        np.testing.assert_array_equal(images, model.sample(5, seed=0, labels=labels))
        np.testing.assert_array_equal(images, model.sample(5, seed=0))

    @pytest.mark.parametrize("text", ["3", "0-3", "2-1", "", "Shoe", "-1", "1.5"])
    def test_unknown_classes(self, clothes, text):
        result = clothes("--labels", text)
        assert result.exit_code == 2 and len(result.output.splitlines()) == 1
        assert "from 0 to 2 or among T-shirt/top, Coat, 0-1. Received: --labels" in result.output

    def test_number_that_cannot_be_dealt_to_the_rows(self, clothes):
        result = clothes("--labels", "0-2", "-n", 16)
        assert result.exit_code == 2 and "multiple of 3" in result.output

    def test_unconditional_preset(self, sample):
        result = sample("tiny", "--labels", "0")
        assert result.exit_code == 2 and "tiny is unconditional. Received" in result.output

    def test_truncation_where_there_is_none(self, sample):
        result = sample("tiny", "--truncation", "0.5")
        assert result.exit_code == 1
        assert "Expected no truncation: DCGAN has none. Received: truncation=0.5" in result.output


def test_truncation(tmp_path, monkeypatch):
    """At 0 all images are the one of the mean w."""
    monkeypatch.chdir(tmp_path)
    model = kgan.models.StyleGANLite((16, 16, 3), latent_dim=8, width=4, max_channels=8)
    model.compile()
    model.save_to_preset("style")
    arguments = ["sample", "./style", "-n", "3", "--truncation", "0", "--out", "x.npz"]
    assert click.testing.CliRunner().invoke(main, arguments).exit_code == 0
    with np.load("x.npz") as arrays:
        images = arrays["images"]
    assert (images == images[:1]).all()
    assert not (images == model.sample(3, seed=0)).all()


MAIN = "from kgan.cli import main\nmain()\n"


class TestEngines:
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("dcgan-celeba", ("-n", 16)),
            ("cgan-mnist", ("--labels", 7, "-n", 3)),
            ("stylegan-lite-celeba", ("-n", 5, "--truncation", 0.7)),
        ],
    )
    def test_samples_where_tensorflow_and_keras_cannot_be_imported(
        self, run_without_tensorflow, tmp_path, monkeypatch, name, options
    ):
        (tmp_path / "cache").mkdir()
        arguments = ("sample", name, "--seed", 4, *options)
        cache = str(tmp_path / "cache")
        done = run_without_tensorflow(MAIN, *arguments, cwd=tmp_path, KGAN_CACHE=cache)
        assert (done.returncode, done.stderr) == (0, "")
        assert os.listdir(cache) == []  # the graph came with kgan
        by_keras = [*map(str, arguments), "--engine", "keras", "--out", "keras.png"]
        monkeypatch.chdir(tmp_path)
        assert click.testing.CliRunner().invoke(main, by_keras).exit_code == 0
        one, other = _pixels(tmp_path / f"{name}.png"), _pixels(tmp_path / "keras.png")
        difference = np.abs(one.astype(int) - other)
        assert difference.max() <= 1 and (difference > 0).mean() <= 1e-3
        assert one.std() > 10
        assert read_provenance(tmp_path / f"{name}.png") == read_provenance(tmp_path / "keras.png")

    def test_networks_that_no_graph_is_known_for(self, tmp_path, monkeypatch):
        """Keras draws them, unless the other engine is asked for."""
        monkeypatch.chdir(tmp_path)
        generator = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(16 * 16),
                keras.layers.Reshape((16, 16, 1)),
                keras.layers.AveragePooling2D(3, 1, "same"),
            ]
        )
        discriminator = keras.Sequential(
            [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
        )
        model = kgan.models.GAN((16, 16, 1), generator=generator, discriminator=discriminator)
        model.compile()
        model.save_to_preset("pooled")
        run = click.testing.CliRunner().invoke
        assert not Path("pooled/generator.onnx").exists()
        assert run(main, ["sample", "./pooled", "-n", "2"]).exit_code == 0
        np.testing.assert_array_equal(_pixels("pooled.png"), grid(model.sample(2, 0)).squeeze())
        refused = run(main, ["sample", "./pooled", "--engine", "onnx", "--out", "x.png"])
        assert refused.exit_code == 1 and not Path("x.png").exists()
        assert re.fullmatch(
            r"Error: Expected a generator of layers that can be expressed as a graph. Received: "
            r"AveragePooling2D average_pooling2d.*; kgan.zoo.load samples it\n",
            refused.output,
        )

    def test_a_preset_of_ones_own_is_drawn_without_tensorflow_at_once(
        self, run_without_tensorflow, tiny_preset, tmp_path, monkeypatch
    ):
        """`save_to_preset` notes the graph that it makes."""
        cache = str(tmp_path / "cache")
        monkeypatch.setenv("KGAN_CACHE", cache)
        kgan.zoo.load(tiny_preset).save_to_preset(tmp_path / "mine")
        done = run_without_tensorflow(MAIN, "sample", "./mine", cwd=tmp_path, KGAN_CACHE=cache)
        assert (done.returncode, done.stdout) == (0, "mine.png\n")
