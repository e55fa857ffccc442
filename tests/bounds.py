"""Tests kgan with the lowest versions that pyproject.toml declares, or with the newest there are.

python tests/bounds.py lowest|newest [PYTEST'S ARGUMENTS]

In a fresh virtual environment, with each dependency in the version that its `>=` names (what they
need themselves is as new as they allow) it runs the quick tests but for those below, or what
arguments name. It prints what was installed, and ends as pytest does.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What is held in a way that pip does not find: newer ones need protobuf 6, which TensorFlow before
# 2.20 does not take, and do not say so.
HELD = {"tensorflow-metadata": "1.17.3"}
# Tests that say nothing of versions, or only of one.
LEFT_OUT = {
    "tests/test_typing.py": "mypy reads the types of the versions that kgan is developed with",
    "tests/test_notebooks.py": "of files",
    "tests/test_site.py": "of files",
    "tests/test_layout.py": "of files",
}


def declared() -> dict[str, str | None]:
    """The dependencies, and the lowest version of each; None where there is no bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = {}
    for text in project["dependencies"]:
        name, _, version = text.partition(">=")
        if not re.fullmatch(r"[\w-]+", name) or (version and not re.fullmatch(r"[\d.]+", version)):
            raise ValueError(f"Expected a dependency NAME or NAME>=VERSION. Received: {text!r}")
        found[name] = version or None
    return found


def constraints(which: str) -> list[str]:
    """What pip is held to."""
    if which == "newest":
        return []
    versions = {**declared(), **HELD}
    return [f"{name}=={version}" for name, version in versions.items() if version]


def main(which: str, arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as directory:
        environment = Path(directory, "env")
        venv.create(environment, with_pip=True)
        held = Path(directory, "constraints.txt")
        held.write_text("\n".join(constraints(which)))
        binaries = environment / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [binaries / "pip", "install", "-q", "-c", held, f"{ROOT}[test]"]
        subprocess.run([*map(str, pip)], check=True)
        print(f"{which}, Python {sys.version.split()[0]}:", *installed(environment), sep="\n  ")
        sys.stdout.flush()
        if not arguments:
            arguments = ["-q", "-rf", *(f"--ignore={path}" for path in LEFT_OUT)]
        tests = [binaries / "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run([*map(str, tests)], cwd=ROOT).returncode


def installed(environment: Path) -> list[str]:
    """The dependencies as they are in a virtual environment, such as `keras 3.15.1`."""
    places = [str(path) for path in environment.glob("lib*/**/site-packages")]
    names = {normal(name) for name in {**declared(), **HELD}}
    found = {normal(d.name): d.version for d in distributions(path=places)}
    return [f"{name} {found[name]}" for name in sorted(names & found.keys())]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("lowest", "newest"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
