"""Photographs that were dropped into the page, and what models make of them."""

import secrets
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from kgan import images, latent_files
from kgan.cli import drawing, translate
from kgan.cli.labels import labels_text
from kgan.cli.project import Search
from kgan.cli.quiet import import_tensorflow
from kgan.data.reading import read_picture
from kgan.data.resize import Rule
from kgan.errors import KganError
from kgan.files import plain_name, sha256
from kgan.translating import Translating
from kgan.zoo.preset import Preset

MOST_BYTES = 64 << 20  # of a photograph
STARTS = 4
_MOST_KEPT = 32

_Thing = TypeVar("_Thing")


class Shelf(Generic[_Thing]):
    """The newest things that were put on it, each under a word that nobody guesses.

    Args:
        what: words for one of them, for errors.
        clear: is called with one that makes room.
    """

    def __init__(self, what: str, clear: Callable[[_Thing], None] = lambda thing: None):
        self._what = what
        self._clear = clear
        self._things: OrderedDict[str, _Thing] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, thing: _Thing) -> str:
        """Returns the word; the oldest thing makes room for more than a few."""
        word = secrets.token_urlsafe(16)
        with self._lock:
            self._things[word] = thing
            if len(self._things) > _MOST_KEPT:
                self._clear(self._things.popitem(last=False)[1])
        return word

    def __getitem__(self, word: str) -> _Thing:
        with self._lock:
            found = self._things.get(word)
        if found is None:
            raise KganError(f"Expected {self._what}. Received: none of that name any more")
        return found


class Photo(NamedTuple):
    """A photograph that can be read.

    Attributes:
        path: of the file, by no name of its own.
        name: that it had.
        stop: whether the search for its latents is to end.
    """

    path: Path
    name: str
    stop: threading.Event


class Made(NamedTuple):
    """What a model has made of a photograph.

    Attributes:
        png: the file, which says what made it.
        npz: the file of latents; None if there are none.
        name: of these files, without suffix.
        command: that makes them.
        python: that makes the pixels.
        error: mean squared, of pixels in [-1, 1]; None of a translation.
    """

    png: bytes
    npz: bytes | None
    name: str
    command: str
    python: str
    error: float | None


def received(content: bytes, name: str, folder: Path) -> Photo:
    """Keeps a file that was sent, once it is seen to be a picture.

    Args:
        content: of the file.
        name: that it has, a stranger's text.
        folder: to keep it in.

    Raises:
        KganError: if it is none that can be read.
    """
    photo = Photo(folder / secrets.token_urlsafe(16), plain_name(name, "photo"), threading.Event())
    photo.path.write_bytes(content)
    try:
        # To the least of sizes, but decoded: a file that is cut off is found out here.
        _named(photo, lambda path: read_picture(path, Rule.checked((4, 4, 3))))
    except KganError:
        photo.path.unlink()
        raise
    return photo


def _named(photo: Photo, read: Callable[[Path], Any]) -> Any:
    """What is read of a photograph, with its own name in errors."""
    try:
        return read(photo.path)
    except KganError as error:
        raise KganError(str(error).replace(str(photo.path), photo.name)) from None


def suits(preset: Preset) -> bool:
    """Whether a model of latents may draw something like a photograph: it does so in color."""
    return preset.metadata["image_shape"][2] == 3


def projected(
    preset: Preset,
    source: str,
    photo: Photo,
    box: list[float] | None,
    label: int | None,
    steps: int,
    folder: Path,
    told: Callable[[int, int], None],
) -> Made:
    """What a preset draws that is closest to a photograph, by `kgan project`.

    Args:
        preset, source: that draws, and what the command line calls it.
        photo: is searched for until its `stop` is set.
        box: part of it, in fractions; None for the center.
        label: of a conditional model; None for the best of all.
        steps: of the search.
        folder: for files on the way.
        told: is called with the steps that are done, and all.
    """
    shape, background = preset.metadata["image_shape"], preset.recipe.data.background
    rule = Rule.checked(shape, "crop", background, box)
    picture = _named(photo, lambda path: read_picture(path, rule))

    def progress(done, total):
        told(done, total)
        return photo.stop.is_set()

    import_tensorflow()
    labels = None if label is None else [label]
    search = Search(preset, rule, labels, steps, STARTS, seed=0)
    result = search.run(picture, progress)
    facts = result.facts
    arguments = ["kgan", "project", source, photo.name, "--steps", str(steps)]
    arguments += [] if box is None else ["--box", ",".join(map(str, box))]
    arguments += [] if label is None else ["--label", labels_text([label], preset.metadata)]
    options = f", {steps}"
    if "extractor" in facts:
        options += f", kgan.metrics.extractor({facts['extractor']!r})"
    if label is not None:
        options += f", labels=[{label}]"
    python = [
        *_reading(photo, rule),
        f"model = kgan.zoo.load({source!r})",
        f"found = model.project(photo[None]{options}, starts={STARTS}, seed=0)",
        'image = found["images"][0]',
        "",
    ]
    place = latent_files.save(folder / f"{secrets.token_urlsafe(16)}.npz", facts, **result.arrays)
    npz = place.read_bytes()
    place.unlink()
    return Made(
        images.png(result.beside, result.facts_beside),
        npz,
        f"{drawing.name_of(preset)}-projection",
        shlex.join(arguments),
        "\n".join(python),
        facts["error"],
    )


def translated(
    preset: Preset, model: Translating, source: str, photo: Photo, direction: str
) -> Made:
    """A photograph as a preset translates it, by `kgan translate`.

    Args:
        preset, model, source: that translates, and what the command line calls it.
        photo: to be translated.
        direction: such as "a_to_b".
    """
    direction = model.known_direction(direction)
    fit = translate.Fit.of(preset, model, direction, None, None)
    image = _named(photo, fit.read)
    made = model.translate(image[None], direction)[0]
    facts = translate.facts_of(preset, direction, fit, side_by_side=False)
    rule = fit.rule
    if fit.size is not None:  # of whatever proportions
        rule = rule._replace(image_shape=image.shape, resize="stretch")
    python = [
        *_reading(photo, rule),
        f"sampler = kgan.zoo.sampler({source!r})",
        f"image = sampler.translate(photo[None], {direction!r})[0]",
        "",
    ]
    options = translate.arguments(facts)
    return Made(
        images.png(made, {**facts, "input_sha256": sha256(photo.path)}),
        None,
        f"{Path(photo.name).stem}-{drawing.name_of(preset)}",
        shlex.join(["kgan", "translate", source, photo.name, *options]),
        "\n".join(python),
        None,
    )


def _reading(photo, rule):
    """The lines of Python that read a photograph by a rule."""
    shape = tuple(rule.image_shape)
    made = f"Rule.checked({shape}, {rule.resize!r}, {rule.background!r}, {rule.box})"
    return [
        "import kgan",
        "from kgan.data.reading import read_picture",
        "from kgan.data.resize import Rule",
        "",
        f"photo = read_picture({photo.name!r}, {made})",
    ]
