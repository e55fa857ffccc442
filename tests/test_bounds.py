"""The command that tests the bounds of dependencies reads them as pip does."""

import tomllib

import bounds
from packaging.requirements import Requirement


def test_each_dependency_is_held_to_its_lower_bound():
    project = tomllib.loads((bounds.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = map(Requirement, project["dependencies"])
    expected = {r.name: str(r.specifier).removeprefix(">=") or None for r in declared}
    assert bounds.declared() == expected
    assert "numpy==2" in bounds.constraints("lowest")
    assert bounds.constraints("newest") == []


def test_what_is_left_out_is_there():
    assert all((bounds.ROOT / path).is_file() for path in bounds.LEFT_OUT)
