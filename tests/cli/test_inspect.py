"""`kgan inspect`."""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, PngImagePlugin

import kgan
from kgan import images
from kgan.callbacks import SampleGrid
from kgan.cli import main
from kgan.images import grid, read_provenance
from kgan.zoo import detecting

WEIGHTS = "0123456789abcdef" * 4
FACTS = {
    **{"model": "vivid", "weights_sha256": WEIGHTS, "class": "DCGAN", "images_seen": 0},
    **{"kgan": "0.1.0", "seed": 0, "n": 4},
}


@pytest.fixture(autouse=True)
def world(vivid_preset, style_preset, tmp_path, monkeypatch):
    """An empty directory, and a registry with two presets."""
    monkeypatch.chdir(tmp_path)
    places = os.pathsep.join(str(preset.parent) for preset in (vivid_preset, style_preset))
    monkeypatch.setenv("KGAN_ZOO", places)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def inspect(*arguments):
    return run("inspect", *arguments)


def printed_command(text):
    """The command that is printed, as a shell takes it apart."""
    (line,) = re.findall(r"^  (kgan .*)$", text, re.M)
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\0")[:-1] == shlex.split(line)
    return shlex.split(line)[1:]


def drawn(*arguments):
    """Runs a verb; the path of what it has made."""
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return Path(done.stdout.strip())


@pytest.mark.parametrize(
    "arguments, file",
    [
        (["sample", "vivid", "-n", 6, "--columns", 2, "--scale", 3, "--batch-size", 4], ""),
        (["sample", "vivid", "-n", 2, "--scale", 2, "--resample", "nearest"], ""),
        (["sample", "vivid", "-n", 12, "--separate", "--out", "x"], "seed0-11.png"),
        (["sample", "vivid", "-n", 40, "--seed", 2**64 - 1, "--out", "x.npz"], ""),
        (["sample", "style", "--labels", '"dog, black",it\'s', "-n", 4], ""),
        (["sample", "style", "--labels", "cat,cat", "-n", 4, "--truncation", 0.3], ""),
        (
            ["sample", "style", "--labels", "0-2", "-n", 6, "--separate", "--out", "x"],
            "seed0-3.png",
        ),
        (["sample", "style", "--labels", "2,0", "-n", 6, "--out", "x.npz"], ""),
        (["walk", "vivid", "--seeds", "1-3", "--frames", 5], ""),
        (["walk", "vivid", "--frames", 5, "--fps", 12.5, "--out", "x.gif"], ""),
        (["walk", "vivid", "--frames", 5, "-n", 3, "--columns", 2, "--out", "x.png"], ""),
        (["walk", "vivid", "--frames", 5, "-n", 2, "--out", "x"], "frame-00003.png"),
        (["walk", "style", "--frames", 4, "--labels", "0-2", "-n", 6, "--truncation", 1.2], ""),
        (["mix", "style", "--rows", "0,4", "--cols", "1-3", "--layers", "middle"], ""),
        (["mix", "style", "--rows", 0, "--cols", 1, "--labels", "it's", "--scale", 2], ""),
    ],
)
def test_the_printed_command_makes_the_same_file(arguments, file):
    """Byte for byte, and `--verify` says so."""
    path = drawn(*arguments) / file
    done = inspect(path, "--verify")
    assert done.exit_code == 0, done.output
    assert "verified: drawn again, it is the same" in done.stdout
    assert "as in the registry" in done.stdout
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    command = printed_command(done.stdout)
    again = drawn(*command)
    if file:
        again = again / Path(re.search(r"^as (.*)$", done.stdout, re.M)[1]).name
    if path.suffix != ".npz":  # which has times in it
        first, second = (read_provenance(p) for p in (Path("..") / path, again))
        assert first == second
        assert again.read_bytes() == (Path("..") / path).read_bytes()
    else:
        with np.load(Path("..") / path) as first, np.load(again) as second:
            for name in first.files:
                np.testing.assert_array_equal(first[name], second[name])


def test_samples_of_presets(vivid_preset, style_preset):
    """Also those that a kgan before wrote, which do not say their columns."""
    for preset in (vivid_preset, style_preset):
        assert inspect(preset / "samples.png", "--verify").exit_code == 0
        with Image.open(preset / "samples.png") as picture:
            pixels = np.asarray(picture)
        facts = read_provenance(preset / "samples.png")
        del facts["columns"]
        images.save_png(pixels, "old.png", facts)
        assert inspect("old.png", "--verify").exit_code == 0


DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(
    "name", re.findall(r"\(images/(.*?)\)", (DOCS / "pictures.md").read_text("utf-8"))
)
def test_pictures_of_the_docs(name, monkeypatch):
    """Each is small, and of a preset that is shipped; `kgan inspect docs/images --verify`."""
    monkeypatch.delenv("KGAN_ZOO")
    assert (DOCS / "images" / name).stat().st_size <= 300_000
    done = inspect(DOCS / "images" / name)
    assert "as in the registry" in done.stdout and printed_command(done.stdout)


def test_pictures_larger_than_pillow_likes(monkeypatch):
    path = drawn("sample", "vivid", "-n", 9, "--scale", 6, "--out", "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert inspect(path, "--verify").exit_code == 0
    assert Image.MAX_IMAGE_PIXELS == 100


class TestWhatIsNotTheSame:
    @staticmethod
    def changed(change, suffix="png"):
        """A picture, of which `change` has made another that says the same of itself."""
        path = drawn("sample", "vivid", "-n", 9, "--out", "x.png")
        with Image.open(path) as picture:
            pixels = np.asarray(picture).copy()
        images.save_png(change(pixels), path, read_provenance(path))
        return path

    @pytest.mark.parametrize(
        "by, share, code", [(1, 0.0005, 0), (1, 0.002, 1), (2, 0.0001, 1), (100, 0.0001, 1)]
    )
    def test_levels(self, by, share, code):
        def change(pixels):
            values = np.linspace(0, pixels.size - 1, max(1, int(share * pixels.size)), dtype=int)
            chosen = pixels.reshape(-1)
            chosen[values] = np.where(
                chosen[values] > 127, chosen[values] - by, chosen[values] + by
            )
            return pixels

        done = inspect(self.changed(change), "--verify")
        assert done.exit_code == code
        assert ("different: " if code else "verified: ") in done.stdout

    def test_size(self):
        done = inspect(self.changed(lambda pixels: pixels[1:]), "--verify")
        assert done.exit_code == 1 and "different: it is 56x55, not 56x56" in done.stdout

    def test_transparency(self):
        path = drawn("sample", "vivid", "-n", 4, "--out", "x.png")
        with Image.open(path) as picture:
            picture.putalpha(0)
            info = PngImagePlugin.PngInfo()
            info.add_itxt("kgan", picture.text["kgan"])
            picture.save("clear.png", pnginfo=info)
        assert inspect("clear.png", "--verify").exit_code == 1

    def test_facts(self):
        path = drawn("sample", "vivid", "-n", 4, "--out", "x.png")
        facts = {**read_provenance(path), "seed": 1}
        with Image.open(path) as picture:
            images.save_png(np.asarray(picture), path, facts)
        assert inspect(path, "--verify").exit_code == 1

    def test_frames(self):
        path = drawn("walk", "vivid", "--frames", 6, "--out", "x.gif")
        frames = [np.full((16, 16, 3), 40 * i, np.uint8) for i in range(6)]
        for some, why in ((frames, "levels apart"), (frames[:3], "stores 3 frames, not 6")):
            images.save_animation(some, "y.gif", read_provenance(path), 1000 / 24)
            done = inspect("y.gif", "--verify")
            assert done.exit_code == 1 and why in done.stdout
        images.save_animation([*frames, *frames], "y.gif", read_provenance(path), 1000 / 24)
        assert "has more than 6 frames" in inspect("y.gif", "--verify").stdout

    @pytest.mark.parametrize("suffix", ["gif", "webp"])
    @pytest.mark.parametrize("kind, code", [("engine", 0), ("block", 1), ("dark", 1), ("time", 1)])
    def test_lossy_formats(self, suffix, kind, code):
        """A level that another engine has drawn shows as many, but as well as before."""
        path = drawn(
            "walk", "vivid", "--frames", 12, "-n", 6, "--columns", 3, "--out", f"x.{suffix}"
        )
        facts = read_provenance(path)
        sampler = kgan.zoo.sampler("vivid")
        frames = [grid(six, 3) for six in sampler.interpolate([0, 7, 12], frames=12, images=6)]
        for frame in frames:
            if kind == "engine":
                frame[::7, ::5, 1] ^= 1
            elif kind == "block":
                frame[20:28, 4:12] ^= 64
            elif kind == "dark":
                frame[:] = frame // 2
        milliseconds = 1000 / 12 if kind == "time" else 1000 / 24
        images.save_animation(frames, path, facts, milliseconds)
        done = inspect(path, "--verify")
        assert done.exit_code == code, done.stdout
        assert ("the same but for the loss of its format" in done.stdout) == (code == 0)

    def test_another_engine(self):
        path = drawn("walk", "vivid", "--frames", 3, "--engine", "keras", "--out", "x.gif")
        assert inspect(path, "--verify", "--engine", "onnx").exit_code == 0

    @pytest.mark.parametrize("images_of", [lambda x: x[:3], lambda x: x ^ 64, lambda x: x / 255])
    def test_arrays(self, images_of):
        path = drawn("sample", "vivid", "-n", 4, "--out", "x.npz")
        with np.load(path) as arrays:
            np.savez("y.npz", images=images_of(arrays["images"]))
            with zipfile.ZipFile("y.npz", "a") as archive:
                archive.writestr("kgan.json", arrays["kgan.json"])
        done = inspect("y.npz", "--verify")
        assert done.exit_code == 1 and "different: " in done.stdout


class TestWeights:
    @pytest.fixture
    def other(self, tmp_path, vivid_preset, monkeypatch):
        """A preset of the same name with other weights, in place of the one in the registry."""
        path = drawn("sample", "vivid", "-n", 4, "--out", "x.png")
        model = kgan.zoo.load(vivid_preset)
        model.ema_generator.weights[0].assign_add(model.ema_generator.weights[0])
        kgan.zoo.save(model, tmp_path / "zoo/vivid", kgan.zoo.opening.read(vivid_preset).recipe)
        monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
        return path

    def test_registry_now_has_others(self, other, vivid_preset):
        done = inspect(other)
        assert done.exit_code == 0
        assert "but the registry now has others" in done.stdout
        assert "With the preset that has these weights, this makes it again" in done.stdout
        done = inspect(other, "--verify")
        assert done.exit_code == 1
        assert "not drawn again: the registry has other weights; --preset says" in done.stdout
        done = inspect(other, "--verify", "--preset", vivid_preset)
        assert done.exit_code == 0
        assert printed_command(done.stdout)[:2] == ["sample", str(vivid_preset)]

    def test_unknown_preset(self, monkeypatch, vivid_preset):
        path = drawn("sample", "vivid", "-n", 4, "--out", "x.png")
        monkeypatch.delenv("KGAN_ZOO")
        done = inspect(path, "--verify")
        assert done.exit_code == 1
        assert "of a preset that is not known here" in done.stdout
        assert "not drawn again: the preset is not known here; --preset" in done.stdout
        assert printed_command(done.stdout)[:2] == ["sample", "vivid"]
        assert inspect(path, "--verify", "--preset", vivid_preset).exit_code == 0
        done = inspect(path, "--preset", "nowhere")
        assert done.exit_code == 1 and len(done.output.splitlines()) == 1

    def test_a_registry_that_calls_it_otherwise(self, monkeypatch, vivid_preset, tmp_path):
        shutil.copytree(vivid_preset, tmp_path / "zoo/portraits")
        monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
        drawn("sample", "portraits", "--out", "x.png")
        assert printed_command(inspect("x.png").stdout)[:2] == ["sample", "portraits"]

    def test_preset_beside_the_picture(self, monkeypatch, vivid_preset):
        monkeypatch.delenv("KGAN_ZOO")
        shutil.copytree(vivid_preset, "mine")
        done = inspect("mine/samples.png", "--verify")
        assert done.exit_code == 0 and "as in ./mine" in done.stdout
        assert printed_command(done.stdout)[:2] == ["sample", "./mine"]

    def test_model_in_training(self, vivid_preset):
        callback = SampleGrid("grids", rows=2, columns=2)
        callback.set_model(kgan.zoo.load(vivid_preset))
        callback.on_train_begin()
        (path,) = Path("grids").iterdir()
        done = inspect(path)
        assert done.exit_code == 0 and "a model in training (DCGAN, 0 images seen)" in done.stdout
        assert "no preset was saved of it" in done.stdout and "makes it again" not in done.stdout
        assert inspect(path, "--verify").exit_code == 1

    @pytest.mark.parametrize(
        "more", [{"rows": "samples, training"}, {"verb": "project"}, {"verb": "sample", "new": 1}]
    )
    def test_pictures_that_no_command_makes(self, more):
        save(json.dumps({**FACTS, **more}))
        done = inspect("x.png")
        assert done.exit_code == 0 and "no command that makes such a picture" in done.stdout


def test_numbers_are_shown_as_they_were_given():
    more = ("--frames", 3, "--labels", 0, "--fps", 12.5, "--truncation", 0.7, "--scale", 2)
    drawn("walk", "style", *more, "--out", "x.webp")
    command = inspect("x.webp").stdout.split("kgan walk style ")[1]
    assert "--fps 12.5 " in command and "--truncation 0.7 --scale 2 " in command


class TestFolders:
    def test_a_line_each(self):
        drawn("sample", "vivid", "-n", 3, "--separate", "--out", "all/deep")
        drawn("walk", "vivid", "--frames", 3, "--out", "all/walk.webp")
        Image.new("RGB", (4, 4)).save("all/photo.jpg")
        Path("all/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        Path("all/notes.txt").touch()
        done = inspect("all", "--verify")
        assert done.exit_code == 1, done.output  # one is broken
        *lines, last = done.stdout.splitlines()
        names = ("broken.png", "photo.jpg", "walk.webp", *(f"deep/seed0-{i}.png" for i in range(3)))
        assert [line.partition(":")[0] for line in lines] == [f"all/{name}" for name in names]
        assert lines[0].startswith("all/broken.png: Expected a PNG that can be read.")
        assert lines[1] == "all/photo.jpg: no kgan metadata"
        assert all("; kgan " in line and "; verified: " in line for line in lines[2:])
        assert last == "4 of 6 made by kgan, 4 drawn again and the same, 0 not; 1 cannot be read"

    def test_json(self):
        drawn("sample", "vivid", "-n", 2, "--separate", "--out", "all")
        Image.new("RGB", (4, 4)).save("all/x.png")
        found = json.loads(inspect("all", "--json", "--verify").stdout)
        assert [entry["verified"] for entry in found] == [True, True, None]
        assert found[2]["kgan"] is None and found[0]["kgan"]["n"] == 1
        entry = json.loads(inspect("all/seed0-1.png", "--json").stdout)
        assert (entry["weights"], entry["preset"]) == ("same", "vivid")
        assert entry["command"].startswith("kgan sample vivid --seed 0 -n 2")
        assert entry["makes"] == "again-0-1/seed0-1.png"
        for entry in found[:2]:  # each has a new directory
            assert run(*shlex.split(entry["command"])[1:]).exit_code == 0
            assert Path(entry["makes"]).is_file()

    def test_nothing_of_kgan(self):
        Path("all").mkdir()
        assert inspect("all").exit_code == 1
        assert "Received: all, which has none" in inspect("all").stderr
        Image.new("RGB", (4, 4)).save("all/x.png")
        done = inspect("all")
        assert (done.exit_code, done.stdout) == (
            1,
            "all/x.png: no kgan metadata\n0 of 1 made by kgan\n",
        )

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_a_folder_without_pictures_breaks_off_no_list(self, options):
        Path("none").mkdir()
        Image.new("L", (2, 2)).save("x.png")
        result = inspect("x.png", "none", *options)
        assert result.exit_code == 1 and result.stdout == ""
        assert "Received: none, which has none" in result.stderr

    def test_links_and_pipes_hold_nothing_up(self):
        path = drawn("sample", "vivid", "-n", 1, "--out", "all/x.png")
        os.symlink("..", "all/up")
        os.symlink(path.name, "all/y.png")
        os.symlink("z.png", "all/z.png")
        os.mkfifo("all/pipe.png")
        done = inspect("all")
        assert done.exit_code == 1 and "2 of 4 made by kgan; 2 cannot be read" in done.stdout
        assert "pipe.png: is no regular file" in done.stdout


def save(text, path="x.png"):
    """A picture with a text of anyone's in the place of kgan's."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("kgan", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)


def chunk(kind, content):
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png(*chunks, width=8, height=8):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compress(bytes(height * (1 + 3 * width)))
    ends = (chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join((head, *chunks, *ends))


HOSTILE = {
    "no JSON": "{",
    "a list": "[1]",
    "null": "null",
    "levels": "[" * 100_000 + "]" * 100_000,
    "levels of a table": '{"a":' * 60 + "1" + "}" * 60,
    "a key twice": '{"seed": 1, "seed": 2}',
    "NaN": json.dumps({**FACTS, "truncation": float("nan")}),
    "digits": json.dumps(FACTS).replace('"seed": 0', f'"seed": {"9" * 5000}'),
    "escapes": json.dumps({**FACTS, "model": "\x1b[2Jvivid"}),
    "lines": json.dumps({**FACTS, "model": "vivid\n\n  kgan sample evil"}),
    "a name of another type": json.dumps({**FACTS, "model": ["vivid"]}),
    "a hash of another": json.dumps({**FACTS, "weights_sha256": "../../x"}),
    "no class": json.dumps({k: v for k, v in FACTS.items() if k != "class"}),
    "many facts": json.dumps({**FACTS, **{f"x{i}": 0 for i in range(100)}}),
    "a negative seed": json.dumps({**FACTS, "seed": -1}),
    "no image": json.dumps({**FACTS, "n": 0}),
    "a flag": json.dumps({**FACTS, "n": True}),
    "a scale without how": json.dumps({**FACTS, "scale": 2}),
    "labels of others": json.dumps({**FACTS, "labels": [0]}),
    "truncation": json.dumps({**FACTS, "truncation": 9}),
    "a walk without seeds": json.dumps({**FACTS, "verb": "walk"}),
    "a mix without rows": json.dumps({**FACTS, "verb": "mix"}),
}


class TestHostileFiles:
    """One clear line, nothing run, nothing that a terminal would obey."""

    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    def test_texts(self, text):
        save(text)
        done = inspect("x.png", "--verify")
        assert done.exit_code == 1 and done.stdout == ""
        assert re.fullmatch(r"Error: Expected [^\n]*\n", done.stderr), done.stderr
        assert done.stderr[:-1].isprintable() and len(done.stderr) < 1000
        assert inspect(".").output.count("\n") == 2

    @pytest.mark.parametrize(
        "name",
        [
            *("x; touch pwned", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a b"),
            *("--help", "-n", "../../etc", "https://example.invalid/x", "hf://a/b", "|cat", "~"),
        ],
    )
    def test_names(self, name, monkeypatch):
        save(json.dumps({**FACTS, "model": name, "note\n  kgan evil": "a\n  kgan evil\n"}))
        save(json.dumps({**FACTS, "model": name}), "y.png")
        assert "\n  kgan" not in inspect("x.png").stdout
        done = inspect("y.png", "--verify")
        assert done.exit_code == 1 and "not known here" in done.stdout
        command = printed_command(done.stdout)
        plain = "/" not in name
        assert command[0] == "sample" and (name if plain else "PRESET") in command
        if name.startswith("-"):
            assert command[-2:] == ["--", name]
        assert not Path("pwned").exists()
        monkeypatch.chdir("/")
        assert inspect(Path(os.environ["PWD"]) / "nothing").exit_code == 1

    def test_values_that_are_long(self):
        save(json.dumps({**FACTS, "note": "x" * 100_000, "k" * 1000: [0] * 10_000}))
        assert max(map(len, inspect("x.png").stdout.splitlines())) < 1300

    def test_much_text(self):
        bomb = b"kgan\0\1\0\0\0" + zlib.compress(b" " * (1 << 24))
        Path("bomb.png").write_bytes(png(chunk(b"iTXt", bomb)))
        Path("long.png").write_bytes(png(chunk(b"tEXt", b"kgan\0" + b"[" * (5 << 20))))
        for name in ("bomb.png", "long.png"):
            done = inspect(name)
            assert done.exit_code == 1 and len(done.output.splitlines()) == 1

    @pytest.mark.parametrize("side", [20_000, 100_000, 2**31 - 1])
    def test_many_pixels(self, side):
        facts = {**FACTS, "weights_sha256": kgan.zoo.opening.read("vivid").weights_sha256}
        text = chunk(b"tEXt", b"kgan\0" + json.dumps(facts).encode())
        content = png(text).replace(struct.pack(">II", 8, 8), struct.pack(">II", side, side))
        head = content[12:29]
        content = content.replace(content[29:33], struct.pack(">I", zlib.crc32(head)))
        Path("x.png").write_bytes(content)
        done = inspect("x.png", "--verify")
        assert done.exit_code == 1 and len(done.stderr.splitlines()) <= 1
        assert done.stderr or "different: it is 20,000x20,000, not 38x38" in done.stdout

    @pytest.mark.parametrize("suffix", ["png", "gif", "webp", "npz"])
    def test_cut_off(self, suffix):
        verb = ["sample", "vivid"] if suffix == "npz" else ["walk", "vivid", "--frames", 3]
        content = drawn(*verb, "--out", f"x.{suffix}").read_bytes()
        for share in (0.01, 0.1, 0.5):
            Path(f"x.{suffix}").write_bytes(content[: int(share * len(content))])
            done = inspect(f"x.{suffix}")
            assert done.exit_code == 1 and len(done.output.splitlines()) == 1

    def test_archives(self):
        with zipfile.ZipFile("x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("kgan.json", b" " * (1 << 26))
        assert "Expected at most 4,194,304 bytes" in inspect("x.npz").stderr
        facts = {**FACTS, "verb": "sample", "n": 10**12, "model": "vivid"}
        found = kgan.zoo.opening.read("vivid")
        facts["weights_sha256"] = found.weights_sha256
        with zipfile.ZipFile("y.npz", "w") as archive:
            with archive.open("images.npy", "w") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 16, 16, 3)}
                np.lib.format.write_array_header_1_0(file, header)
            archive.writestr("kgan.json", json.dumps(facts))
        done = inspect("y.npz", "--verify")
        assert done.exit_code == 1 and "different: it is cut off" in done.stdout

    def test_latents_with_notes_of_ones_own(self):
        for facts in ({}, {"seed": 0}):
            kgan.latent_files.save("z.npz", facts, latents=np.zeros((1, 4), "float32"))
            done = inspect("z.npz")
            assert (done.exit_code, done.output) == (1, "z.npz: no kgan metadata\n")

    def test_no_files(self):
        os.mkfifo("pipe")
        os.symlink("loop", "loop")
        for name in ("pipe", "loop", "nothing", "/dev/zero", "a\x1b[2J"):
            done = inspect(name)
            assert done.exit_code == 1 and re.fullmatch(r"Error: Expected .*\n", done.stderr)
            assert "\x1b" not in done.stderr

    def test_names_of_files(self):
        name = "a\n  kgan evil\x1b[2J.png"
        save(json.dumps(FACTS), name)
        for text in (inspect(name).stdout, inspect(".").stdout):
            assert "\n  kgan evil" not in text and "\x1b" not in text

    @pytest.mark.parametrize("name", ["photo.jpg", "notes.txt", "no suffix", "empty.png"])
    def test_files_of_others(self, name):
        Path(name).write_bytes(b"" if name == "empty.png" else b"\xff\xd8\xff\xe0 of others")
        done = inspect(name)
        assert (done.exit_code, done.output) == (1, f"{name}: no kgan metadata\n")


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "Missing argument"),
        (["x.png", "--engine", "torch"], 2, "'torch' is not one of"),
        (["x.png", "--nope"], 2, "No such option"),
        (["nothing.png"], 1, "Received: nothing.png: No such file"),
    ],
)
def test_bad_input(arguments, code, message):
    done = inspect(*arguments)
    assert done.exit_code == code
    assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr) and done.stdout == ""


@pytest.mark.parametrize(
    "options", [["--verify"], ["--json"], ["--preset", "vivid"], ["--engine", "keras", "--json"]]
)
def test_options_that_judging_has_no_use_for_are_refused(options):
    done = inspect("x.png", "--detect", "vivid", *options)
    assert done.exit_code == 2
    refused = re.search("Expected --detect without (.*)\\.", done.stderr)[1].split(" and ")
    assert sorted(refused) == sorted(option for option in options if option.startswith("--"))


def test_no_tensorflow(run_kgan, tmp_path):
    save(json.dumps(FACTS), tmp_path / "x.png")
    (tmp_path / "tensorflow.py").write_text("raise ImportError('TensorFlow was imported')")
    done = run_kgan(
        "inspect", "x.png", PYTHONPATH=f"{tmp_path}{os.pathsep}{Path(kgan.__file__).parent.parent}"
    )
    assert done.returncode == 0, done.stderr


def test_detectors_take_pictures_one_by_one(monkeypatch):
    """Sheets, frames and latents are named; what is in a folder beside them is looked at."""
    drawn("sample", "vivid", "-n", 2, "--out", "all/sheet.png")
    drawn("sample", "vivid", "-n", 1, "--out", "all/framed.png")
    drawn("sample", "vivid", "-n", 1, "--out", "all/images.npz")
    drawn("mix", "style", "--rows", 0, "--cols", 1, "--out", "all/mix.png")
    drawn("walk", "vivid", "--frames", 3, "--seeds", "0,1", "--out", "all/walk")
    drawn("walk", "vivid", "--frames", 3, "--seeds", "0,1", "-n", 2, "--out", "all/walks")
    project = {**FACTS, "verb": "project"}
    del project["n"]
    save(json.dumps(project), "all/projected.png")
    (alone,) = Path(drawn("sample", "vivid", "-n", 1, "--separate", "--out", "all/one")).iterdir()
    looked_at = []

    def detect(source, paths):
        looked_at.extend(paths)
        return detecting.Detection(None, [])

    monkeypatch.setattr(detecting, "detect", detect)
    monkeypatch.setattr(detecting, "lines", lambda found: [])
    done = inspect("all", "--detect", "vivid")
    frames = sorted(Path("all/walk").iterdir())
    assert done.exit_code == 1 and looked_at == [alone, *frames] and len(frames) == 3
    for name in ("sheet", "framed", "mix", "projected", "walks/frame-00000"):
        assert f"Received: all/{name}.png, a sheet of kgan's" in done.stderr
    assert "images.npz" not in done.output
