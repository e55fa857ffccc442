"""kgan.data.parts: what is trained on, and what is held out."""

import hashlib
import itertools
import os
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from kgan.data import PairSet, load, parts
from kgan.errors import KganError, KganWarning
from kgan.recipe import Data

SHAPE = (8, 8, 1)


def write(folder, shades, suffix=".png"):
    """A picture of each shade, named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    for shade in shades:
        Image.new("L", (8, 8), shade).save(folder / f"{shade}{suffix}")


def shades(images):
    return images.images[:, 0, 0, 0].tolist()


def training(**data):
    return parts.load_training(Data(**data), SHAPE)


def held_out(**data):
    return parts.load_held_out(Data(**data), SHAPE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    return tmp_path


@pytest.fixture
def views(here):
    """30 characters, each seen from two sides; the second side is brighter by 100."""
    write(here / "hero/front", range(30))
    write(here / "hero/back", range(30))
    for shade in range(30):
        Image.new("L", (8, 8), 100 + shade).save(here / f"hero/back/{shade}.png")
    return here


class TestNamedSources:
    def test_a_list_is_read_folder_by_folder(self, here):
        write(here / "b", (3, 2))
        write(here / "a", (9, 8))
        write(here / "test", (5,))
        data = {"source": ["b", "a"], "held_out": "test"}
        assert shades(training(**data)) == [2, 3, 8, 9]
        assert shades(held_out(**data)) == [5]

    def test_several_are_held_out(self, here):
        for name, shade in (("a", 1), ("b", 2), ("c", 3)):
            write(here / name, (shade,))
        assert shades(held_out(source="a", held_out=["c", "b"])) == [3, 2]

    def test_the_same_file_is_refused(self, here):
        write(here / "all/x", (1, 2, 3))
        with pytest.raises(KganError, match=r"x/1\.png, held out.*the same, and 2 more pairs"):
            training(source="all", held_out="all/x")
        os.symlink(here / "all/x/2.png", here / "all/link.png")
        (here / "other").mkdir()
        os.symlink(here / "all/x/2.png", here / "other/a.png")
        with pytest.raises(KganError, match=r"other/a\.png, held out"):
            training(source="all", held_out="other")

    def test_the_same_bytes_are_refused(self, here):
        write(here / "train", (1, 2, 3))
        write(here / "test", (4, 5))
        data = {"source": "train", "held_out": "test"}
        assert shades(training(**data)) == [1, 2, 3]
        shutil.copyfile(here / "train/2.png", here / "test/copy.png")
        with pytest.raises(
            KganError,
            match=r"^Expected held-out pictures that are not trained on. Received: "
            r"test/copy\.png, held out, and train/2\.png, trained on, are the same$",
        ):
            training(**data)

    def test_of_a_folder_that_nobody_named_the_same_bytes_are_told(self, here):
        write(here / "train", (1, 2))
        write(here / "test", (3,))
        assert shades(training(source="train")) == [1, 2]
        shutil.copyfile(here / "train/2.png", here / "test/copy.png")
        with pytest.warns(KganWarning, match=r"test/copy\.png, held out.*for its folder test"):
            assert shades(training(source="train")) == [1, 2]

    @pytest.mark.parametrize("content", [None, "labels.csv"])
    def test_a_folder_without_pictures_that_nobody_named_holds_nothing_out(self, here, content):
        write(here / "train", (1, 2))
        (here / "test").mkdir()
        if content:
            (here / "test" / content).write_text("1,2")
        assert shades(training(source="train")) == [1, 2]
        assert parts.held_out_sources(Data("train")) is None

    def test_files_that_differ_at_their_end_are_others(self, here):
        write(here / "train", (1,))
        (here / "test").mkdir()
        for name, end in (("train/1.png", b"a" * 5000 + b"b"), ("test/1.png", b"a" * 5000 + b"c")):
            Image.new("L", (8, 8), 1).save(here / name)
            with open(here / name, "ab") as file:
                file.write(end)
        assert shades(training(source="train", held_out="test")) == [1]

    def test_an_absent_one_is_refused_before_anything_is_decoded(self, here, monkeypatch):
        write(here / "train", (1,))
        monkeypatch.setattr(parts, "load", None)
        with pytest.raises(KganError, match="Received: nowhere, which does not exist"):
            training(source="train", held_out="nowhere")

    def test_folders_that_lie_in_one_another_are_refused(self, here):
        write(here / "a/b", (1,))
        for source in (["a", "a/b"], ["a/b", "a"], ["a", "a"]):
            with pytest.raises(KganError, match="Expected folders that share no images. Received"):
                training(source=source)

    def test_a_folder_named_train_has_one_beside_it(self, here):
        write(here / "x/train", (1,))
        assert held_out(source="x/train") is None
        write(here / "x/test", (2,))
        assert shades(held_out(source="x/train")) == [2]
        assert held_out(source="x/test") is None
        assert held_out(source=["x/train"]) is None

    @pytest.mark.data
    def test_tfds(self, data_dir, monkeypatch):
        monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
        whole = load("tfds:mnist", (28, 28, 1), "test[:300]").images
        for source, expected in (
            ("tfds:mnist", ["tfds:mnist#test"]),
            ("tfds:mnist#train", ["tfds:mnist#test"]),
            ("tfds:mnist#test[:10]", None),
        ):
            assert parts.held_out_sources(Data(source)) == expected
        data = Data("tfds:mnist#test[:200]", held_out="tfds:mnist#test[200:300]")
        images = parts.load_training(data, (28, 28, 1)).images
        np.testing.assert_array_equal(images, whole[:200])
        images = parts.load_held_out(data, (28, 28, 1)).images
        np.testing.assert_array_equal(images, whole[200:])
        data = Data("tfds:mnist", split="train+test[:20]", held_out="tfds:mnist")
        with pytest.raises(KganError, match=r"mnist#test, held out.*which share 20$"):
            parts.load_training(data, (28, 28, 1))


class TestRules:
    def test_names(self, views):
        data = {"source": "hero", "held_out": {"names": "*0.png"}}
        assert sorted(shades(held_out(**data))) == [0, 10, 20, 100, 110, 120]
        assert sorted(shades(training(**data)) + shades(held_out(**data))) == [
            *range(30),
            *range(100, 130),
        ]

    def test_names_are_those_of_files(self, here):
        write(here / "x/0.png", (1,), suffix=".bmp")  # a folder's
        write(here / "x", (10,))
        assert shades(training(source="x", held_out={"names": "*0.png"})) == [1]

    def test_a_share_is_chosen_by_the_path(self, views):
        def chosen(path):
            number = int(hashlib.sha256(path.encode()).hexdigest()[:16], 16)
            return number / 2**64 < 0.3

        data = {"source": "hero", "held_out": {"share": 0.3}}
        expected = [100 + n for n in range(30) if chosen(f"back/{n}.png")]
        expected += [n for n in range(30) if chosen(f"front/{n}.png")]
        assert sorted(shades(held_out(**data))) == sorted(expected)
        assert len(training(**data)) == 60 - len(expected)
        assert 8 < len(expected) < 28

    def test_with_classes_what_is_called_the_same_stays_together(self, views):
        data = {"source": "hero", "held_out": {"share": 0.3}, "labels": "folders"}
        out = held_out(**data)
        back, front = (sorted(np.array(shades(out))[out.labels == label]) for label in (0, 1))
        assert back == [100 + shade for shade in front] and 3 < len(front) < 15
        share = set(range(30)) - {s for s in shades(training(**data)) if s < 100}
        assert share == set(front)

    def test_moved_folders_hold_out_the_same(self, views):
        data = {"held_out": {"share": 0.3}}
        before = shades(held_out(source="hero", **data))
        os.rename(views / "hero", views / "heroes")
        write(views / "more", (77,))
        assert shades(held_out(source="heroes", **data)) == before
        assert shades(held_out(source=["heroes", "more"], **data))[: len(before)] == before

    @pytest.mark.parametrize("names, received", [("*.jpg", "none of 60"), ("*", "all of 60")])
    def test_all_or_nothing_is_refused(self, views, names, received):
        with pytest.raises(
            KganError, match=f"take some of the files of 'hero'. Received: {received}"
        ):
            training(source="hero", held_out={"names": names})

    def test_copies_on_both_sides_are_refused(self, views):
        shutil.copyfile(views / "hero/front/10.png", views / "hero/front/copy.png")
        with pytest.raises(KganError, match=r"10\.png, held out, and .*copy\.png, trained on"):
            training(source="hero", held_out={"names": "*0.png"})

    def test_empty_files_are_no_copies(self, views):
        for name in ("10.png", "11.png"):
            (views / "hero/front" / name).write_bytes(b"")
        with pytest.warns(KganWarning, match="Skipped"):
            assert len(training(source="hero", held_out={"names": "*0.png"})) == 53

    def test_data_sets_have_no_files(self):
        with pytest.raises(KganError, match="Expected folders to hold out .*'tfds:mnist'"):
            training(source="tfds:mnist", held_out={"share": 0.5})


class TestTwoKinds:
    """What is held out is so on both sides."""

    @pytest.fixture
    def kinds(self, here):
        """20 outlines and pictures of the same names, these brighter by 100, as other files."""
        write(here / "a", range(20))
        for shade in range(20):
            (here / "b").mkdir(exist_ok=True)
            Image.new("L", (8, 8), 100 + shade).save(here / f"b/{shade}.bmp")
        return {"source": "a", "target": "b"}

    @pytest.mark.parametrize("paired", ["names", "no"])
    @pytest.mark.parametrize("rule", [{"names": "*1.*"}, {"share": 0.3}], ids=str)
    def test_rules(self, kinds, paired, rule):
        data = {**kinds, "paired": paired, "held_out": rule}
        one, other = training(**data), held_out(**data)
        assert isinstance(one, PairSet) and one.paired == other.paired == paired
        assert sorted(shades(one) + shades(other)) == list(range(20)) and shades(other)
        targets = [[x - 100 for x in part.targets[:, 0, 0, 0].tolist()] for part in (one, other)]
        assert sorted(targets[0] + targets[1]) == list(range(20))
        if paired == "names" or "names" in rule:
            assert targets == [shades(one), shades(other)]

    def test_a_pair_is_where_its_first_half_is(self, kinds):
        """`*.png` names files of a alone: their partners in b go with them."""
        data = {**kinds, "paired": "names", "held_out": {"names": "1?.png"}}
        assert held_out(**data).targets[:, 0, 0, 0].tolist() == list(range(110, 120))
        assert len(training(**data)) == 10

    def test_folders(self, kinds, here):
        write(here / "test/a", (50, 51))
        write(here / "test/b", (50, 51, 52))
        named = {"held_out": "test/a", "held_out_target": "test/b"}
        data = {**kinds, **named, "paired": "no"}
        assert (len(training(**data)), len(held_out(**data))) == (20, 3)
        data["paired"] = "names"
        with pytest.warns(KganWarning, match=r"1 \(52.png\) in test/b"):
            assert shades(held_out(**data)) == [50, 51]
        assert held_out(**kinds, paired="names") is None

    def test_folders_named_train_have_others_beside_them(self, here):
        for place, kind, shade in itertools.product(("train", "test"), "ab", (1, 2)):
            write(here / kind / place, (shade + 10 * (place == "test") + 20 * (kind == "b"),))
        data = {"source": "a/train", "target": "b/train", "paired": "no"}
        assert (shades(held_out(**data)), len(training(**data))) == ([11, 12], 2)
        shutil.rmtree(here / "b/test")
        assert held_out(**data) is None

    @pytest.mark.parametrize("paired", ["names", "no"])
    @pytest.mark.parametrize("side", ["a", "b"])
    def test_copies_on_either_side_are_refused(self, kinds, here, side, paired):
        for place in "ab":
            write(here / f"test/{place}", (50,))
        (source,) = (here / side).glob("7.*")
        shutil.copyfile(source, here / f"test/{side}/51{source.suffix}")
        shutil.copyfile(here / "test/a/50.png", here / f"test/{'ab'.replace(side, '')}/51.png")
        named = {"held_out": "test/a", "held_out_target": "test/b"}
        with pytest.raises(KganError, match=rf"{side}/51.*, held out, and {side}/7.*are the same$"):
            training(**kinds, **named, paired=paired)
        for path in (here / side).glob("3.*"):
            shutil.copyfile(source, path)
        with pytest.raises(KganError, match="held out, and"):
            training(**kinds, held_out={"names": "3.*"}, paired=paired)

    def test_halves(self, here):
        write(here / "train", range(10))
        write(here / "test", (50,))
        assert shades(held_out(source="train", paired="halves")) == [50]
        data = {"source": "train", "paired": "halves", "held_out": {"names": "3.png"}}
        assert (len(training(**data)), shades(held_out(**data))) == (9, [3])

    def test_pictures_are_not_written_into_either(self, kinds, here):
        data = Data(**kinds, paired="no")
        for place in "ab":
            with pytest.raises(KganError, match="a run directory apart from the images"):
                parts.check_outside(data, here / place / "run")
        parts.check_outside(data, here / "run")


class TestClasses:
    def test_are_shown_by_other_names(self, views):
        data = {"source": "hero", "labels": "folders", "held_out": {"names": "*0.png"}}
        images = training(**data, classes={"front": "from the front"})
        assert images.class_names == ["back", "from the front"]
        assert [shade < 100 for shade in shades(images)] == images.labels.astype(bool).tolist()

    def test_held_out_ones_are_numbered_by_their_names(self, here):
        for name, shade in (("a", 1), ("b", 2), ("c", 3)):
            write(here / "train" / name, (shade, shade + 10))
        write(here / "test/c", (30,))
        write(here / "test/b", (20,))
        names = training(source="train", labels="folders").class_names
        out = held_out(source="train", labels="folders", class_names=names)
        assert dict(zip(shades(out), out.labels.tolist(), strict=True)) == {20: 1, 30: 2}
        assert out.class_names == names

    def test_without_a_folder_are_refused(self, views):
        data = {"source": "hero", "labels": "folders", "classes": {"front": "f", "left": "l"}}
        with pytest.raises(
            KganError, match="sub-folders of the source: back, front. Received: left"
        ):
            training(**data)
        data["source"] = "tfds:mnist"
        with pytest.raises(KganError, match=r"Expected folders to take \[data.classes\] from"):
            training(**data)


class TestClassesAreNames:
    """A recipe's classes keep their numbers, whatever folders there are."""

    @pytest.fixture
    def pets(self, here):
        for shade, name in enumerate(("ant", "bee", "cat")):
            write(here / "pets" / name, [10 * shade + n for n in range(3)])
        return here

    def load(self, **data):
        return training(source="pets", labels="folders", **data)

    def test_numbers_are_the_recipes(self, pets):
        found = self.load(class_names=["cat", "ant", "bee"])
        assert found.class_names == ["cat", "ant", "bee"]
        assert found.labels.tolist() == [1] * 3 + [2] * 3 + [0] * 3

    def test_a_folder_that_is_gone(self, pets):
        shutil.rmtree(pets / "pets/bee")
        names = ["ant", "bee", "cat"]
        found = self.load(class_names=names)
        assert found.labels.tolist() == [0] * 3 + [2] * 3
        with pytest.raises(KganError, match="classes, ant, bee, cat, .*: no pictures of bee. A"):
            parts.check_classes(Data(class_names=names), found)

    def test_a_folder_that_has_come(self, pets):
        names = ["ant", "cat"]
        found = self.load(class_names=names)
        assert found.class_names == ["ant", "cat", "bee"]
        with pytest.raises(KganError, match="Received: pictures of bee, which the recipe does not"):
            parts.check_classes(Data(class_names=names), found)

    def test_a_folder_that_is_called_otherwise(self, pets):
        (pets / "pets/bee").rename(pets / "pets/Bee")
        names = ["ant", "bee", "cat"]
        message = "no pictures of bee and pictures of Bee"
        with pytest.raises(KganError, match=message):
            parts.check_classes(Data(class_names=names), self.load(class_names=names))
        found = self.load(class_names=names, classes={"Bee": "bee"})
        parts.check_classes(Data(class_names=names), found)
        assert sorted(found.labels.tolist()) == [0] * 3 + [1] * 3 + [2] * 3

    def test_a_class_whose_pictures_are_all_held_out(self, pets):
        shutil.rmtree(pets / "pets/bee")
        write(pets / "pets/bee", [77])
        data = {"class_names": ["ant", "bee", "cat"], "held_out": {"names": "77.png"}}
        with pytest.raises(KganError, match="no pictures of bee"):
            parts.check_classes(Data(**data), self.load(**data))

    def test_names_may_be_composed_otherwise(self, pets):
        (pets / "pets/bee").rename(pets / "pets" / unicodedata.normalize("NFD", "é"))
        names = ["ant", unicodedata.normalize("NFC", "é"), "cat"]
        found = self.load(class_names=names)
        parts.check_classes(Data(class_names=names), found)
        assert found.class_names == names

    def test_two_folders_of_one_class_are_refused(self, pets):
        with pytest.raises(KganError, match="another name for each class.*cat"):
            self.load(classes={"bee": "cat"})

    def test_a_held_out_folder_without_a_class(self, pets):
        write(pets / "test/cat", [99])
        write(pets / "test/ant", [98])
        found = held_out(
            source="pets", labels="folders", held_out="test", class_names=["ant", "bee", "cat"]
        )
        assert found.labels.tolist() == [0, 2] and found.class_names == ["ant", "bee", "cat"]

    def test_a_held_out_folder_without_classes_has_no_labels(self, pets):
        write(pets / "test", [99])
        data = {"source": "pets", "labels": "folders", "held_out": "test"}
        assert held_out(**data, class_names=["ant", "bee", "cat"]).labels is None
