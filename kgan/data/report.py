"""What is in a folder of images, and what a model will see of it."""

from dataclasses import dataclass, field, replace

from kgan._renamed import renamed_attribute
from kgan.errors import printable

SHEET = 64  # images on a contact sheet


@dataclass
class Report:
    """What reading a folder of images found.

    Attributes:
        folder: path, as text, or several.
        image_shape, resize, background: as what and how the images were read.
        files: number of image files; those that are not skipped are images.
        base: folder that the names of skipped files are relative to.
        box: the part of each picture that was taken, in fractions, or None for all of it.
        sizes: (width, height) of the smallest picture, the median and the largest, by area.
        enlarged: number of pictures smaller than `image_shape`.
        formats, modes: numbers of pictures by file format and by Pillow's mode.
        copies: number of images that equal an earlier one.
        classes: numbers of images by class name, in the order of the labels; None without labels.
        skipped: files that could not be decoded, and folders that could not be opened: reasons by
            name.
        ignored: numbers of files that are not read, by suffix.
        unread: those of them that look like pictures.
        empty: names of class folders in which there is no picture that can be read.
        memory: bytes of memory that hold the images.
        reading: bytes that reading took beyond these, at most.
        file: bytes of the file that holds the images instead, of the cache or a temporary one.
        cache: path of the cache, or None.
        sums: SHA-256 of each image file, skipped or not, by its name in the folder; of several
            folders the names begin with `1/`, `2/` and so on. "" of one that could not be opened.
        names: of the images, in their order, as in `sums`.
        shapes: (width, height) of the pictures that they were, as these are turned.
    """

    folder: str
    image_shape: tuple[int, int, int]
    resize: str
    background: str
    files: int
    base: str = ""
    box: tuple[float, float, float, float] | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    enlarged: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    classes: dict[str, int] | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    memory: int = 0
    reading: int = 0
    file: int = 0
    cache: str | None = None
    sums: dict[str, str] = field(default_factory=dict, repr=False)
    names: list[str] = field(default_factory=list, repr=False)
    shapes: list[tuple[int, int]] = field(default_factory=list, repr=False)

    fit = renamed_attribute("fit", "resize")

    @property
    def images(self) -> int:
        """Number of images that were read."""
        return self.files - len(self.skipped)

    def text(self, most: int | None = None) -> str:
        """The report in about ten lines, and one for each skipped file, up to `most`."""
        height, width, channels = self.image_shape
        how = _RESIZED[self.resize]
        box = f" within {_percent(self.box)}" if self.box else ""
        lines = [
            ("Images", f"{self.images:,} of {self.files:,} image files in {self.folder}"),
            ("Become", f"{width}x{height}x{channels}, {how}{box}, over {self.background}"),
        ]
        if self.sizes:
            small, median, large = ("x".join(map(str, size)) for size in self.sizes)
            enlarged = f"; {self.enlarged:,} enlarged" if self.enlarged else ""
            lines.append(("Sizes", f"smallest {small}, median {median}, largest {large}{enlarged}"))
            lines.append(("Formats", _counts(self.formats)))
            lines.append(("Modes", _counts(self.modes)))
        if self.copies:
            lines.append(("Copies", f"{self.copies:,} equal to an earlier image"))
        if self.classes is not None:
            lines.append(("Classes", f"{len(self.classes)}: {_counts(self.classes, 20)}"))
        if self.empty:
            lines.append(("Empty", f"no picture that can be read in {', '.join(self.empty)}"))
        if self.ignored:
            number = sum(self.ignored.values())
            lines.append(("Ignored", f"{number:,} other files: {_counts(self.ignored)}"))
        if self.unread:
            lines.append(("Unread", f"of these look like pictures: {_counts(self.unread)}"))
        if self.cache:
            lines.append(("Cache", f"{_bytes(self.file)} in {self.cache}"))
        elif self.file:
            lines.append(("Disk", f"{_bytes(self.file)} in a temporary file, for lack of memory"))
        if self.memory or self.reading:
            lines.append(
                ("Memory", f"{_bytes(self.memory)}, and up to {_bytes(self.reading)} in reading")
            )
        share = f" ({len(self.skipped) / self.files:.2%})" if self.skipped else ""
        lines.append(("Skipped", f"{len(self.skipped):,}{share}"))
        shown = list(self.skipped.items())[:most]
        lines += [("", f"{name}: {reason}") for name, reason in shown]
        if len(shown) < len(self.skipped):
            lines.append(("", f"and {len(self.skipped) - len(shown):,} more"))
        return "\n".join(
            f"{name + ':' if name else '':10}{printable(value)}" for name, value in lines
        )


@dataclass
class PairReport:
    """What reading pictures of two kinds, a and b, found.

    Attributes:
        paired: `"names"`, `"halves"` or `"no"`.
        source, target: what was found of a and of b.
        pairs: number of whole pairs; 0 of pictures that are not paired.
        alone: names of files that have no partner, by the folders that they are in.
        unequal: pairs that are left out, since they cannot be cropped alike: sizes by name.
    """

    paired: str
    source: Report
    target: Report
    pairs: int = 0
    alone: dict[str, list[str]] = field(default_factory=dict)
    unequal: dict[str, str] = field(default_factory=dict)

    @property
    def sums(self) -> dict[str, str]:
        """SHA-256 of each image file; of two folders see `sums_of_both`."""
        if self.paired == "halves":
            return self.source.sums
        return sums_of_both(self.source.sums, self.target.sums)

    def text(self, most: int | None = None) -> str:
        """The reports of both, and what was paired; up to `most` names of unpaired files each."""
        if self.paired == "halves":
            first = f"Pairs:    {self.pairs:,} of two halves, the left one a"
            channels = self.target.image_shape[2]
            if channels != self.source.image_shape[2]:
                first += f"; b of {channels} channel{'s' if channels > 1 else ''}"
            both = {
                of: getattr(self.source, of) + getattr(self.target, of) for of in ("memory", "file")
            }
            return f"{first}\n{replace(self.source, **both).text(most)}"
        if self.paired == "no":
            lines = [f"Kinds:    {self.source.images:,} of a and {self.target.images:,} of b"]
        else:
            lines = [f"Pairs:    {self.pairs:,} by file name"]
        for folder, names in self.alone.items():
            lines.append(f"Alone:    {_named(names, most)} in {folder}")
        if self.unequal:
            names = [f"{name} {sizes}" for name, sizes in self.unequal.items()]
            lines.append(f"Unequal:  {_named(names, most)}")
        lines = list(map(printable, lines))
        return "\n".join([*lines, "", "a", self.source.text(most), "", "b", self.target.text(most)])


def _named(names, most):
    shown = ", ".join(names[:most]) + (", …" if most is not None and names[most:] else "")
    return f"{len(names):,} ({shown})"


def sums_of_both(source: dict[str, str], target: dict[str, str]) -> dict[str, str]:
    """SHA-256 of files of a and of b: the names of those of a begin with `a/`, of b with `b/`."""
    return {
        f"{kind}/{name}": value
        for kind, sums in (("a", source), ("b", target))
        for name, value in sums.items()
    }


_RESIZED = {"crop": "cropped at the center", "pad": "padded", "stretch": "stretched"}


def _percent(box):
    left, top, right, bottom = box
    return f"{left:.1%} to {right:.1%} of the width and {top:.1%} to {bottom:.1%} of the height"


def _counts(numbers, most=10):
    ordered = list(numbers.items())
    shown = ", ".join(f"{name} {number:,}" for name, number in ordered[:most])
    return shown + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _bytes(number):
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.1f} kB"
