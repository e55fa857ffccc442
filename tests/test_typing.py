"""What `mypy --strict` sees in a user's file."""

import importlib
import inspect
import operator
import re

import pytest

import kgan

USERS = """\
import kgan

model = kgan.zoo.load("dcgan-mnist")
images = model.sample(16, seed=0)
photos = kgan.data.load("photos", image_shape=(64, 64, 3))
gan = kgan.models.DCGAN(image_shape=(64, 64, 3), latent_dim=128)
gan.compile()
gan.fit(photos.dataset(), callbacks=[kgan.callbacks.SampleGrid("grids")])
gan.save_to_preset("my-gan")
loaded = kgan.models.StyleGANLite.from_preset("stylegan-lite-celeba")
"""
WRONG = """\
import kgan

kgan.zoo.load(3)
kgan.modells
kgan.data.lod("photos")
kgan.metrics.extractr("digits")
kgan.zoo.load("dcgan-mnist").sample("sixteen")
"""
MODULES = [name for name in kgan.__all__ if name != "__version__"]


def public_names():
    for name in MODULES:
        module = importlib.import_module(f"kgan.{name}")
        own = [
            n for n, v in vars(module).items() if getattr(v, "__module__", None) == f"kgan.{name}"
        ]
        yield f"kgan.{name}"
        for public in getattr(module, "__all__", own):
            if not public.startswith("_"):
                yield f"kgan.{name}.{public}"


@pytest.fixture(scope="module")
def mypy(run_python, tmp_path_factory):
    """Runs `mypy --strict` on code, with one cache for all; gives its exit code and its lines."""
    directory = tmp_path_factory.mktemp("mypy")

    def run(code):
        (directory / "users.py").write_text(code)
        options = ("--strict", "--no-error-summary", "--cache-dir=cache")
        done = run_python("-m", "mypy", *options, "users.py", cwd=directory)
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.splitlines()

    return run


def revealed(mypy, code, names):
    """The types of `names` after `code`, which must be without errors."""
    code += "".join(f"reveal_type({name})\n" for name in names)
    exit_code, lines = mypy(code)
    assert exit_code == 0, "\n".join(lines)
    return dict(zip(names, re.findall(r'Revealed type is "(.*)"', "\n".join(lines)), strict=True))


def test_models_and_images_are_seen_as_what_they_are(mypy):
    types = revealed(mypy, USERS, ["model", "images", "photos", "gan", "loaded"])
    assert types["model"].startswith("kgan.models.")
    assert types["images"].startswith("numpy.ndarray[")
    assert types["photos"] == "kgan.data.images.ImageSet"
    assert types["gan"] == "kgan.models.dcgan.DCGAN"
    assert types["loaded"] == "kgan.models.stylegan_lite.StyleGANLite"


def test_no_public_name_is_anything_whatever(mypy):
    types = revealed(mypy, "import kgan\n", list(public_names()))
    assert [name for name, kind in types.items() if kind == "Any"] == []


def test_no_public_function_is_without_hints():
    """`mypy --strict` would refuse to call it."""
    functions = {
        name: operator.attrgetter(name.removeprefix("kgan."))(kgan) for name in public_names()
    }
    untyped = [n for n, f in functions.items() if inspect.isfunction(f) and not f.__annotations__]
    assert untyped == []


def test_what_is_misspelled_or_wrong_is_an_error(mypy):
    exit_code, lines = mypy(WRONG)
    assert exit_code == 1
    found = [int(line.split(":")[1]) for line in lines if ": error:" in line]
    assert found == [3, 4, 5, 6, 7], "\n".join(lines)
