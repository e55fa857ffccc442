"""Recipes: all that is needed to train a model again, in one TOML file."""

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kgan.checks import check_box, whole
from kgan.errors import KganError, short
from kgan.untrusted.text import MOST_TOML, parse_toml, read_bytes

FORMAT = 1
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")  # Keras' policies
MOST_PARENTS = 32  # in a lineage
PAIRED = ("names", "halves", "no")  # how images a and b belong together


@dataclass
class Data:
    """What a recipe trains on.

    Attributes:
        source: `"tfds:<name>"` or a folder of images, absolute or relative to the data directory;
            or a list of these.
        split: TFDS split; not used for folders.
        box: [left, top, right, bottom] of the part of each picture that is cut out before it is
            resized, in fractions of its width and height. Empty for all of it.
        held_out: pictures that are never trained on: a source, or a list of sources, where
            `"tfds:<name>"` means its split `test` and `"tfds:<name>#<split>"` another; or
            `{"names": "*0.png"}`, the files of `source` whose name matches; or `{"share": 0.1}`,
            files chosen by the hash of their path in the folder, without the folder of the class.
            Empty for the split `test`, or for the folder `test` beside a folder `train`, if any.
        extractor: in whose features figures are computed; see `kgan.metrics.extractor`. Empty for
            the one that knows the source, if any, or `"random"`.
        classes: with `labels = "folders"`: the class that is shown, by name of the sub-folder.
        flip: whether images are mirrored left to right at random.
        resize, background: how images of another size become images of this one; see
            `kgan.data.load`.
        labels: `"folders"` for labels from the names of sub-folders.
        title, licence, note: what cards say of the data.
        limits: what cards say of the intended use of a model of it, and of its limits.
        class_names: of the labels 0, 1, …; written by `kgan train` from the data.
        licence_note: what a data set's licence asks of those who use the weights; also written
            as LICENSE beside them.
        target: of models that turn images a into images b: what b is, as `source` is what a is.
            Empty for pictures of two halves, the left one a.
        held_out_target: of b, where `held_out` is a source or a list of a. What is held out by
            names and shares is so on both sides.
        paired: `"names"`, `"halves"` or `"no"`; see `kgan.data.load_pairs`. Empty without
            a target; for models of images b `kgan train` fills it in.
        show: whether cards may show pictures of the data in spite of a `licence_note`.
    """

    source: str | list[str] = ""
    split: str = "train"
    flip: bool = False
    title: str = ""
    licence: str = ""
    licence_note: str = ""
    note: str = ""
    class_names: list[str] = field(default_factory=list)
    resize: str = "crop"
    background: str = "white"
    labels: str = ""
    limits: str = ""
    extractor: str = ""
    box: list[float] = field(default_factory=list)
    held_out: str | list[str] | dict[str, Any] = ""
    classes: dict[str, str] = field(default_factory=dict)
    target: str | list[str] = ""
    held_out_target: str | list[str] = ""
    paired: str = ""
    show: bool = False

    def __post_init__(self):
        _check_kinds(self, {f.name: f.type for f in fields(Data) if f.type in (str, bool)})
        _check_kinds(self, {"class_names": list, "box": list, "classes": dict})
        for name, values in (
            ("class_names", self.class_names),
            ("classes", [*self.classes, *self.classes.values()]),
        ):
            if not all(isinstance(value, str) and value for value in values):
                _refuse(name, "names in text", getattr(self, name))
        if len(set(self.classes.values())) < len(self.classes):
            _refuse("classes", "another name for each folder", self.classes)
        if self.classes and not self.labels:
            _refuse("classes", 'beside labels = "folders"', "no labels")
        if not _is_source(self.source):
            _refuse("source", "text, or a list of texts", self.source)
        if self.box:
            check_box(self.box)
        _check_held_out(self.held_out)
        self._check_target()

    def _check_target(self):
        for name in ("target", "held_out_target"):
            if not _is_source(getattr(self, name)):
                _refuse(name, "text, or a list of texts", getattr(self, name))
        if self.paired not in ("", *PAIRED):
            _refuse("paired", f"one of {', '.join(PAIRED)}", self.paired)
        if self.target and self.paired == "halves":
            _refuse("target", 'left out beside paired = "halves"', self.target)
        if not self.target and self.paired in ("names", "no"):
            _refuse("target", f'given beside paired = "{self.paired}"', "none")
        of_sources = bool(self.held_out) and not isinstance(self.held_out, dict)
        if bool(self.held_out_target) != (of_sources and bool(self.target)):
            _refuse(
                "held_out_target",
                "given where target is and held_out is a source, and nowhere else",
                self.held_out_target or "none",
            )
        if self.labels and (self.target or self.paired):
            _refuse("labels", "left out beside target and paired", self.labels)

    def sources(self) -> list[str]:
        """The data sets and folders to train on; of images a and b, those of a."""
        return self.source if isinstance(self.source, list) else [self.source]

    def targets(self) -> list[str]:
        """The data sets and folders of images b, if there are any."""
        return self.target if isinstance(self.target, list) else [self.target][: bool(self.target)]

    @property
    def shown_title(self) -> str:
        """The title, or what else names the data."""
        return self.title or ", ".join([*self.sources(), *self.targets()])

    def places(self) -> list[str]:
        """All data sets and folders that are named, to train on and held out."""
        held_out = [] if isinstance(self.held_out, dict) else self.held_out
        named = [self.sources(), self.targets(), held_out, self.held_out_target]
        return [p for some in named for p in ([some] if isinstance(some, str) else some) if p]


def _check_held_out(value):
    if not isinstance(value, dict):
        if not _is_source(value):
            _refuse("held_out", "a source, a list of sources, or a table", value)
    elif value.keys() == {"names"}:
        if not (isinstance(value["names"], str) and value["names"]):
            _refuse("names of held_out", 'a pattern such as "*0.png"', value["names"])
    elif value.keys() == {"share"}:
        if type(value["share"]) not in (int, float) or not 0 < value["share"] < 1:
            _refuse("share of held_out", "a number between 0 and 1", value["share"])
    else:
        _refuse("held_out", '{names = "*0.png"} or {share = 0.1}', value)


def _is_source(value):
    """Whether a value names sources, or none."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) and item for item in value)
    return isinstance(value, str)


def _check_kinds(table, kinds):
    for name, kind in kinds.items():
        if not isinstance(getattr(table, name), kind):
            _refuse(name, f"a {kind.__name__}", getattr(table, name))


def _refuse(name, expected, received):
    raise KganError(f"Expected {name} in a recipe to be {expected}. Received: {short(received)}")


@dataclass
class Recipe:
    """All that is needed to train a model again.

    Attributes:
        name: of the preset that it makes.
        model: class name in `kgan.models`.
        arguments: of the model's constructor, but for `seed`.
        data: see `Data`.
        g_optimizer, d_optimizer: tables such as `{"name": "Adam", "learning_rate": 2e-4}`; a
            learning rate may be a table of a schedule. Empty for the paper's.
        images: number of real images shown to the discriminator in all. 0 for a length that
            `kgan train` chooses by the data.
        batch_size: real images a step.
        checkpoint_images: images between two checkpoints, each with a line in the log.
        grid_images: images between two sample grids, each with a snapshot that can be loaded; early
            on there are more grids.
        select: the metric by which the best snapshot becomes the preset: `"kernel_distance"` or
            `"frechet_distance"`. Empty for the last state.
        seed: of weights, data order and all other randomness.
        freeze_d: how many layers with weights of each discriminator stay as they are, counted from
            the image (FreezeD: Mo et al. 2020, arXiv:2002.10964).
        precision: what networks compute in, one of `PRECISIONS`; weights, losses, averages and
            the last layers are of float32 in any case.
        parent: the preset from whose weights training begins, `{"name": …, "source": …,
            "images_seen": …, "weights_sha256": …}`, with its own `"parent"` if it has one. Empty
            for none.
        note: what the card says about how the model differs from its paper.
    """

    name: str
    model: str
    images: int = 0
    batch_size: int = 64
    checkpoint_images: int = 20_000
    grid_images: int = 100_000
    select: str = ""
    seed: int = 0
    freeze_d: int = 0
    precision: str = "float32"
    note: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    g_optimizer: dict[str, Any] = field(default_factory=dict)
    d_optimizer: dict[str, Any] = field(default_factory=dict)
    parent: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name, low in (
            ("images", 0),
            ("batch_size", 1),
            ("checkpoint_images", 1),
            ("grid_images", 1),
            ("seed", 0),
            ("freeze_d", 0),
        ):
            bound, value = whole(low), getattr(self, name)
            if not bound.fits(value):
                _refuse(name, bound.expected, value)
        _check_kinds(self, dict.fromkeys(("name", "model", "note", "select"), str))
        _check_kinds(self, dict.fromkeys(("arguments", "g_optimizer", "d_optimizer"), dict))
        _check_kinds(self, {"parent": dict})
        if self.precision not in PRECISIONS:
            _refuse("precision", f"one of {', '.join(PRECISIONS)}", self.precision)
        if self.parent:
            check_lineage(self.parent)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested plain values."""
        return {"format": FORMAT, **asdict(self)}

    def to_toml(self) -> str:
        """The recipe as the text of a TOML file."""
        values = self.as_dict()
        for name in ("resize", "background", "show"):  # which a kgan of before would not know
            if values["data"][name] == getattr(Data, name):
                del values["data"][name]
        if not self.freeze_d:
            del values["freeze_d"]
        if self.precision == PRECISIONS[0]:
            del values["precision"]
        return to_toml(values)


@dataclass(frozen=True)
class Origin:
    """The preset that a model was loaded from, for its licence never to be lost.

    Attributes:
        recipe: of the preset.
        lineage: what a recipe says of it as its `parent`.
    """

    recipe: Recipe
    lineage: dict[str, Any]

    def to_config(self) -> dict[str, Any]:
        """Plain values, for the configuration of a model."""
        return {"recipe": self.recipe.to_toml(), "lineage": self.lineage}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Origin":
        """The inverse of `to_config`.

        Raises:
            KganError: if the values are of no origin.
        """
        if not isinstance(config, dict) or not isinstance(config.get("recipe"), str):
            raise KganError(f"Expected the origin of a model. Received: {short(config)}")
        lineage = config.get("lineage")
        check_lineage(lineage if isinstance(lineage, dict) else {})
        return cls(from_toml(config["recipe"], "a model's origin"), lineage)

    def bequeath(self, data: Data) -> Data:
        """The data of further training, with all that use of the preset's weights asks for.

        Args:
            data: of the further training. What it says of its own licence stays, beside that of
                the preset; class names are the preset's.
        """
        mine = self.recipe.data
        texts = {
            name: _joined(getattr(mine, name), getattr(data, name), between)
            for name, between in (("licence", "; "), ("licence_note", "\n\n"), ("limits", "\n\n"))
        }
        return replace(data, **texts, class_names=data.class_names or mine.class_names)


def _joined(inherited, own, between):
    """Both texts, but one alone if the other is in it."""
    if inherited in own:
        return own
    return inherited if own in inherited else f"{inherited}{between}{own}"


def check_lineage(parent: dict[str, Any]) -> None:
    """Raises KganError unless a table says which preset a model was trained on from.

    Args:
        parent: see `Recipe`.
    """
    for depth in range(MOST_PARENTS + 1):
        known = all(
            fits(parent.get(key))
            for key, fits in (
                ("name", _is_line),
                ("source", _is_line),
                ("images_seen", whole(0).fits),
                ("weights_sha256", lambda v: _is_line(v) and re.fullmatch("[0-9a-f]{64}", v)),
            )
        )
        unknown = parent.keys() - {"name", "source", "images_seen", "weights_sha256", "parent"}
        if not known or unknown or depth == MOST_PARENTS:
            _refuse(
                "parent",
                "a table of name, source, images_seen, weights_sha256, and parent if it has one",
                parent,
            )
        parent = parent.get("parent", {})
        if not isinstance(parent, dict):
            _refuse("parent", "a table", parent)
        if not parent:
            return


def _is_line(value):
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def from_dict(values: dict[str, Any], where: str) -> Recipe:
    """A recipe from nested plain values; `where` names the source in errors."""
    values = dict(values)
    received = values.pop("format", None)
    if received != FORMAT:
        raise KganError(
            f"Expected a recipe with format = {FORMAT}. Received: format "
            f"{short(received)} in {where}; a newer kgan may read it"
        )
    if isinstance(values.get("data"), dict):
        values["data"] = _renamed(values["data"], where)
    for kind, table in ((Recipe, values), (Data, values.get("data", {}))):
        known = {f.name for f in fields(kind)}
        if not isinstance(table, dict) or set(table) - known:
            received = sorted(set(table) - known) if isinstance(table, dict) else table
            raise KganError(
                f"Expected a recipe with the keys {sorted(known)}. Received: "
                f"{short(received)} in {where}"
            )
    try:
        return Recipe(**{**values, "data": Data(**values.get("data", {}))})
    except TypeError as error:
        raise KganError(f"Incomplete recipe in {where}: {error}") from None


def _renamed(data, where):
    """The table `[data]` with `resize` for `fit`, which it was called in kgan 0.1."""
    if "fit" not in data:
        return data
    if "resize" in data:
        raise KganError(
            "Expected resize in [data] of a recipe. Received: resize, and fit, its old name, in "
            f"{where}"
        )
    return {"resize" if key == "fit" else key: value for key, value in data.items()}


def read(path: Path) -> Recipe:
    """Reads a recipe from a TOML file.

    Raises:
        KganError: if it cannot be read, is no TOML, or has unknown or missing keys.
    """
    content = read_bytes(Path(path), MOST_TOML, "a recipe in TOML")
    return from_dict(parse_toml(content, str(path)), str(path))


def from_toml(text: str, where: str = "a string") -> Recipe:
    """A recipe from TOML; `where` names the source in errors."""
    return from_dict(parse_toml(text.encode(), where), where)


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """Nested plain values as TOML; entries that are None or empty are left out."""
    lines, tables = [], []
    for key, value in table.items():
        if value is None or value in ("", {}, []):
            continue
        if not re.fullmatch(r"[\w-]+", key, re.ASCII):
            key = json.dumps(key, ensure_ascii=False)
        if isinstance(value, dict):
            body = to_toml(value, f"{prefix}{key}.")
            if body:
                tables.append(f"\n[{prefix}{key}]\n{body}" if not body.startswith("\n[") else body)
        else:
            # JSON's strings, numbers, booleans and lists of them are TOML as well.
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(lines + tables)
