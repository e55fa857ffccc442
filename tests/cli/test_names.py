"""Names of presets, completed in a shell as click's scripts ask for them."""

import shutil
import socket

import click
import pytest

import kgan
from kgan.cli import VERBS, main
from kgan.cli.names import PresetName
from kgan.zoo import registry

ZOO = registry.builtin_directory()


@pytest.fixture
def complete(run_kgan, tmp_path):
    """The lines that the shell gets for a command line whose last word is to be completed."""

    def complete(line, shell="bash", **env):
        words = line.split(" ")
        number = words[-1] if shell == "fish" else len(words) - 1
        env = {"KGAN_CACHE": str(tmp_path / "cache"), **env}
        done = run_kgan(
            _KGAN_COMPLETE=f"{shell}_complete", COMP_WORDS=line, COMP_CWORD=str(number), **env
        )
        assert done.stderr == "" and done.returncode == 0
        return done.stdout.splitlines()

    return complete


def of(name):
    """A preset by that name, as far as a registry looks."""
    return lambda folder: shutil.copytree(ZOO / "gan-mnist", folder / name)


def test_every_verb_with_a_name_completes_it():
    kinds = {}
    for verb in VERBS:
        command = main.get_command(click.Context(main), verb)
        for option in command.params:
            if option.metavar in ("NAME", "PRESET", "[WHAT]"):
                kinds[verb, option.name] = type(option.type)
    assert {("sample", "source"), ("train", "source"), ("train", "parent")} <= set(kinds)
    assert set(kinds.values()) == {PresetName}


def test_bash(complete):
    found = complete("kgan sample dcgan-")
    names = [name for name in kgan.zoo.names() if name.startswith("dcgan-")]
    assert len(names) > 1
    # The folders come first: in bash they take the place of what stands before them.
    assert found == ["dir,dcgan-", *(f"plain,{name}" for name in names)]


def test_zsh_and_fish(complete):
    assert complete("kgan info gan-m", "zsh") == ["dir", "gan-m", "_", "plain", "gan-mnist", "_"]
    assert complete("kgan info gan-m", "fish") == ["dir,gan-m", "plain,gan-mnist"]


def test_after_options_that_are_wrong_or_not_ended(complete):
    assert complete("kgan sample --seed x --truncation 9 gan-m")[1:] == ["plain,gan-mnist"]
    assert complete("kgan sample -n 4 'gan-m")[1:] == ["plain,gan-mnist"]


def test_train_takes_models_and_files_too(complete):
    presets = ["plain,stylegan-lite-celeba", "plain,stylegan-lite-tinyhero"]
    assert complete("kgan train stylegan") == ["file,stylegan", *presets, "plain,stylegan-lite"]
    assert complete("kgan train --from stylegan")[1:] == presets


def test_registries_of_this_machine(complete, tmp_path):
    of("my-own")(tmp_path / "zoo")
    assert complete("kgan sample my", KGAN_ZOO=str(tmp_path / "zoo"))[1:] == ["plain,my-own"]


def test_names_that_a_shell_would_take_apart_are_left_out(complete, tmp_path):
    for name in ("gan two", "gan$(id)", "gan;ls", "gan`ls`", "gan'", "gan*", "gan&", "gan-ä"):
        of(name)(tmp_path / "zoo")
    found = complete("kgan sample gan", KGAN_ZOO=str(tmp_path / "zoo"), PYTHONUTF8="1")
    assert found == ["dir,gan", "plain,gan-mnist", "plain,gan-ä"]


@pytest.mark.parametrize(
    "place", ["nowhere", "file", "torn", "https://x.invalid/zoo", "hf://owner/repo", "a:b:c"]
)
def test_registries_that_cannot_be_read(complete, tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    of("gan-torn")(tmp_path / "torn")
    (tmp_path / "torn/registry.json").write_text('{"gan-torn": ')
    assert complete("kgan sample gan", KGAN_ZOO=place)[1:] == ["plain,gan-mnist"]


def test_nothing_is_fetched(complete):
    """A network that hangs would hang the shell."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"http://127.0.0.1:{server.getsockname()[1]}/zoo"
        for pin in ("", f"#sha256={'a' * 64}"):
            found = complete("kgan sample gan", KGAN_ZOO=place + pin)
            assert found[1:] == ["plain,gan-mnist"]
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_imports_no_tensorflow(run_python, tmp_path):
    code = """if True:
        import sys
        from kgan.cli import main
        try:
            main(prog_name="kgan")
        except SystemExit:
            loaded = {"tensorflow", "keras", "onnxruntime"} & set(sys.modules)
            assert not loaded, loaded
            print("done")
    """
    asked = {"_KGAN_COMPLETE": "bash_complete", "COMP_WORDS": "kgan sample g", "COMP_CWORD": "2"}
    done = run_python("-c", code, cwd=tmp_path, **asked)
    assert done.stdout.splitlines() == ["dir,g", "plain,gan-mnist", "done"], done.stderr
