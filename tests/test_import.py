"""What importing kgan costs, and what it refuses to be imported on."""

import time

import pytest

HEAVY = {"click", "h5py", "keras", "numpy", "PIL", "tensorflow", "tensorflow_datasets"}


def _imported(run_python, tmp_path, code, **env):
    """The top-level modules that a piece of code leaves imported, and what it printed."""
    code += "\nimport sys; print('MODULES', *{name.split('.')[0] for name in sys.modules})"
    done = run_python("-c", code, cwd=tmp_path, **env)
    printed, _, modules = done.stdout.rpartition("MODULES")
    return set(modules.split()), printed + done.stderr


def test_import_prints_nothing(run_python, tmp_path):
    assert _imported(run_python, tmp_path, "import kgan")[1] == ""


def test_import_brings_in_nothing_heavy(run_python, tmp_path):
    modules, _ = _imported(run_python, tmp_path, "import kgan")
    assert "kgan" in modules and not modules & HEAVY


def test_latents_need_numpy_alone(run_python, tmp_path):
    modules, _ = _imported(run_python, tmp_path, "import kgan.latents")
    assert modules & HEAVY == {"numpy"}


def test_submodules_are_listed_before_they_are_imported(run_python, tmp_path):
    code = "import kgan; assert {'models', 'zoo', 'data'} <= set(dir(kgan)), dir(kgan)"
    modules, printed = _imported(run_python, tmp_path, code)
    assert printed == "" and not modules & HEAVY


def test_zoo_is_listed_without_tensorflow(run_python, tmp_path):
    modules, _ = _imported(run_python, tmp_path, "import kgan; kgan.zoo.names()")
    assert "kgan" in modules and not modules & {"keras", "tensorflow"}


def test_unknown_attribute_is_named():
    import kgan

    with pytest.raises(AttributeError, match="'kgan' has no attribute 'modells'"):
        _ = kgan.modells


def test_another_keras_backend_is_refused_in_one_line(run_python, tmp_path):
    done = run_python("-c", "import kgan.models", cwd=tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: kgan runs on Keras' TensorFlow backend only. Received: KERAS_BACKEND='jax'; "
        "unset it or set KERAS_BACKEND=tensorflow."
    )


def test_help_answers_in_under_half_a_second(run_kgan):
    def seconds():
        start = time.perf_counter()
        assert run_kgan("--help").returncode == 0
        return time.perf_counter() - start

    assert any(seconds() < 0.5 for _ in range(10))  # however busy the machine is


@pytest.mark.parametrize("arguments", [["list"], ["info", "tiny"]])
def test_list_and_info_do_without_tensorflow(run_python, tmp_path, tiny_preset, arguments):
    code = f"from kgan.cli import main; main({arguments!r}, standalone_mode=False)"
    zoo = str(tiny_preset.parent)
    modules, printed = _imported(run_python, tmp_path, code, KGAN_ZOO=zoo)
    assert "tiny" in printed and not modules & {"keras", "tensorflow"}
