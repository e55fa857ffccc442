"""kgan.runs.threads: a run keeps its number of threads, on which the last bits depend."""

import pytest

from kgan.runs import threads


@pytest.fixture
def machine(monkeypatch):
    """TensorFlow's setting on a machine of four cores, which tests must not change."""

    class Machine:
        asked, begun = 0, False

        def get_intra_op_parallelism_threads(self):
            return self.asked

        def set_intra_op_parallelism_threads(self, number):
            if self.begun:
                raise RuntimeError
            self.asked = number

    machine = Machine()
    monkeypatch.setattr(threads.tf.config, "threading", machine)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    return machine


def kept(before):
    threads.use(before)
    return threads.told(before)


@pytest.mark.parametrize("before", [None, 4])
def test_the_machines_own_are_not_told(machine, capsys, before):
    assert kept(before) == 4
    assert capsys.readouterr().err == ""


def test_those_of_the_run_are_kept_and_told(machine, capsys):
    assert kept(1) == machine.asked == 1
    said = capsys.readouterr().err
    assert said.startswith("The run keeps its 1 thread, where this machine has 4: with TF_NUM_")


@pytest.mark.parametrize("how", ["by the environment", "in Python", "begun"])
def test_what_the_user_has_set_holds(machine, capsys, monkeypatch, how):
    if how == "by the environment":
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    elif how == "in Python":
        machine.asked = 3
    else:
        machine.begun = True
    here = 4 if how == "begun" else 3
    assert kept(2) == here
    assert kept(None) == here  # a run that begins
    said = capsys.readouterr().err
    assert said == f"The run goes on with {here} threads in place of 2, to slightly other weights\n"


@pytest.mark.parametrize("value", ["", "x", "-1", "0"])
def test_what_tensorflow_does_not_take_is_nothing(machine, monkeypatch, value):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", value)
    assert kept(2) == 2


def test_the_command_line_leaves_them_to_be_set(run_python, tmp_path):
    """Its TensorFlow begins once it is known which run goes on."""
    code = (
        "from kgan.cli.models import import_models; import_models(None, begin=False); "
        "from kgan.cli.quiet import import_tensorflow; from kgan.runs import threads; "
        "threads.use(3); import_tensorflow(); print(threads.told(3))"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr
