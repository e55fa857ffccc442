"""docs/extending.md runs as printed."""

import inspect
import re
import shlex
import sys
import types
from pathlib import Path

import click.testing
import numpy as np
import pytest
from PIL import Image

from kgan.cli import main
from kgan.models import GAN

PAGE = (Path(__file__).parent.parent / "docs/extending.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
FILES = {named[1]: text for _, text in BLOCKS if (named := re.match(r"# (\S+\.py)\n", text))}


def class_of_the_page():
    """The test class that the page prints, for which it imports `my_gan`."""
    with pytest.MonkeyPatch.context() as patch:
        module = types.ModuleType("my_gan")
        patch.setitem(sys.modules, "my_gan", module)
        exec(FILES["my_gan.py"], vars(module))
        names = {"__name__": __name__}
        exec(FILES["tests/models/test_my_gan.py"], names)
    return names["TestMyGAN"]


TestMyGAN = class_of_the_page()


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder in which all blocks have been run in turn; what commands printed."""
    cwd = tmp_path_factory.mktemp("extending")
    (cwd / "photos").mkdir()
    (cwd / "my_gan.py").write_text(FILES["my_gan.py"])
    rng = np.random.default_rng(0)
    for i in range(64):
        pixels = rng.integers(0, 256, (28, 28, 3), np.uint8)
        Image.fromarray(pixels).save(cwd / f"photos/{i:02d}.png")
    printed, names = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.syspath_prepend(cwd)
        for name in ("KGAN_ZOO", "KGAN_DATA_DIR"):
            patch.delenv(name, raising=False)
        for kind, text in BLOCKS:
            if text in FILES.values():
                continue
            if kind == "python":
                exec(compile(text, "docs/extending.md", "exec"), names)
            elif kind == "toml":
                (cwd / "quiet.toml").write_text(text)
            else:
                for line in text.splitlines():
                    kgan, *arguments = shlex.split(line)
                    assert kgan == "kgan"
                    result = click.testing.CliRunner().invoke(main, arguments)
                    assert result.exit_code == 0, f"{line}\n{result.output}"
                    printed[arguments[0], arguments[-1]] = result.stdout
    yield cwd, printed, names
    sys.modules.pop("my_gan", None)


def test_kinds_of_blocks_are_those_that_are_run():
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "toml"}
    assert PAGE.count("```") == 2 * len(BLOCKS)


@pytest.mark.slow
def test_python_makes_what_it_says(followed):
    cwd, _, names = followed
    assert names["images"].shape == (16, 28, 28, 1)
    assert (cwd / "whole.keras").is_file()
    assert names["negatives"].shape == (4, 16, 16, 3)


def test_commands_make_what_they_say(followed):
    cwd, printed, _ = followed
    assert printed["train", "20"] == printed["train", "--override"] == "runs/my-gan/preset\n"
    assert re.search("^Images seen: +1,600$", printed["info", "runs/my-gan/preset"], re.M)
    with Image.open(cwd / "samples.png") as picture:
        assert picture.size == (4 * 30 + 2, 4 * 30 + 2)
    assert "precision" in printed["evaluate", "precision_recall"]
    assert "noise = 0.02" in (cwd / "runs/quiet/preset/recipe.toml").read_text()


def test_table_has_the_signatures_that_there_are(followed):
    found = re.findall(r"^\| `(\w+)(\(.*?\))` \|", PAGE, re.M)
    assert len(found) == 9
    for name, printed in found:
        parameters = inspect.signature(getattr(GAN, name)).parameters.values()
        bare = [p.replace(annotation=p.empty) for p in parameters]
        assert printed == f"({', '.join(map(str, bare))})"
