"""kgan.data.pairs and domains: pictures of two kinds."""

import itertools
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kgan.data import PairSet, check_pairs, domains, load, load_pairs, pairs
from kgan.errors import KganError, KganWarning

SHAPE = (8, 8, 3)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    return tmp_path


def picture(shade, size=(8, 8), mode="RGB"):
    """Of one shade, but for a white pixel in its upper left corner."""
    image = Image.new("L", size, shade).convert(mode)
    image.putpixel((0, 0), 255 if mode == "L" else (255,) * len(mode))
    return image


def write(folder, shades, suffix=".png", **more):
    """A picture of each shade, named after it; in b they are brighter by 100."""
    for shade in shades:
        path = folder / f"{shade:02d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(shade + 100 * (folder.parts[0] == "b"), **more).save(path)


def shades(images):
    return images[:, -1, 3, 0].tolist()


def both(here, n=10, **more):
    for name in ("a", "b"):
        write(Path(name), range(n), **more)


def said(caught):
    return [str(one.message) for one in caught if issubclass(one.category, KganWarning)]


class TestByName:
    def test_names_pair_whatever_the_suffix_and_the_order_of_the_folders(self, here):
        for name in ("x", "x-1", "x.1", "deep/x"):
            for folder, suffix in (("a", ".png"), ("b", ".bmp" if "-" in name else ".png")):
                path = here / folder / f"{name}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(len(name) + 100 * (folder == "b")).save(path)
        data = load_pairs("a", "b", image_shape=SHAPE)
        assert [b - a for a, b in zip(shades(data.images), shades(data.targets), strict=True)] == [
            100
        ] * 4
        assert sorted(data.names) == ["deep/x.png", "x-1.png", "x.1.png", "x.png"]
        assert data.paired == "names" and len(data) == 4

    def test_composed_and_decomposed_names_are_one(self, here):
        for folder, form in (("a", "NFC"), ("b", "NFD")):
            (here / folder).mkdir()
            picture(7).save(here / folder / f"{unicodedata.normalize(form, 'é')}.png")
        assert len(load_pairs("a", "b", image_shape=SHAPE)) == 1

    def test_unpaired_names_are_counted_and_named_in_one_line(self, here):
        both(here)
        for i in range(7):
            picture(1).save(here / "a" / f"alone{i}.png")
        picture(1).save(here / "b/other.png")
        with pytest.warns(KganWarning) as caught:
            data = load_pairs("a", "b", image_shape=SHAPE)
        (line,) = said(caught)
        names = ", ".join(f"alone{i}.png" for i in range(5))
        assert line.endswith(f": 7 ({names}, …) in a and 1 (other.png) in b")
        assert len(data) == 10 and "other.png" not in data.names
        assert "Alone:    7 (alone0.png, alone1.png, …) in a\n" in data.report.text(2)
        assert not any("alone" in name for name in data.sums)  # nothing is trained on them

    def test_sums_are_of_both_sides(self, here):
        both(here, 2)
        sums = load_pairs("a", "b", image_shape=SHAPE).sums
        assert list(sums) == ["a/00.png", "a/01.png", "b/00.png", "b/01.png"]

    def test_channels_of_each_side_and_transparency_as_white(self, here):
        both(here, 2)
        Image.new("RGBA", (8, 8), (5, 5, 5, 0)).save(here / "b/00.png")  # alpha on one side
        data = load_pairs("a", "b", image_shape=(8, 8, 1), target_channels=3)
        assert data.images.shape == (2, 8, 8, 1) and data.targets.shape == (2, 8, 8, 3)
        assert (data.targets[0] == 255).all() and shades(data.images) == [0, 1]
        black = load_pairs("a", "b", image_shape=SHAPE, background="black")
        assert not black.targets[0].any()

    def test_other_sizes_of_the_same_proportions_are_cropped_alike(self, here):
        (here / "a").mkdir()
        (here / "b").mkdir()
        wide = np.zeros((30, 90, 3), np.uint8)
        wide[:, 30:60] = 200  # of the middle square all, of the rest nothing
        Image.fromarray(wide).save(here / "a/1.png")
        Image.fromarray(wide).resize((61, 20)).save(here / "b/1.png")  # a pixel is lost
        data = load_pairs("a", "b", image_shape=SHAPE)
        assert min(side[:, :, 1:-1].min() for side in (data.images, data.targets)) > 190

    def test_other_proportions_are_skipped_and_named_unless_stretched(self, here):
        both(here, 40)
        picture(3, (8, 12)).save(here / "b/03.png")
        with pytest.warns(KganWarning, match=r"different proportions: 1 \(03.png, 8x8 and 8x12\)$"):
            data = load_pairs("a", "b", image_shape=SHAPE)
        assert len(data) == 39 and 3 not in shades(data.images)
        assert len(load_pairs("a", "b", image_shape=SHAPE, resize="stretch")) == 40
        for i in range(3):
            picture(i, (12, 8)).save(here / f"b/{i:02d}.png")
        with pytest.raises(KganError, match="'stretch' makes others equal. Received: 4 "):
            load_pairs("a", "b", image_shape=SHAPE)

    def test_of_a_broken_file_the_partner_goes_too(self, here):
        both(here, 40)
        (here / "a/05.png").write_bytes(b"no picture")
        (here / "b/07.png").write_bytes(b"")
        with pytest.warns(KganWarning, match="cannot be decoded"):
            data = load_pairs("a", "b", image_shape=SHAPE)
        assert shades(data.images) == [i for i in range(40) if i not in (5, 7)]
        assert shades(data.targets) == [100 + i for i in range(40) if i not in (5, 7)]

    def test_from_caches_as_from_folders(self, here):
        both(here)
        for _ in range(2):
            data = load_pairs("a", "b", image_shape=SHAPE, cache="some.cache")
            assert shades(data.images[:]) == list(range(10)) and data.names[1] == "01.png"
            assert shades(data.targets[:]) == list(range(100, 110))
        assert (here / "some.cache").is_file() and (here / "some.cache.b").is_file()

    def test_folders_of_lists_pair_in_their_order(self, here):
        for folder, n in (("a/1", 2), ("a/2", 3), ("b/1", 2), ("b/2", 3)):
            write(Path(folder), range(n))
        data = load_pairs(["a/1", "a/2"], ["b/1", "b/2"], image_shape=SHAPE)
        assert shades(data.images) == [0, 1, 0, 1, 2]
        assert shades(data.targets) == [100, 101, 100, 101, 102]
        with pytest.raises(KganError, match="a folder of b for each folder of a.*2 and 1"):
            load_pairs(["a/1", "a/2"], "b/1", image_shape=SHAPE)


class TestHalves:
    @pytest.fixture
    def facades(self, here):
        (here / "facades").mkdir()
        for i in range(30):
            whole = Image.new("RGB", (16, 8))
            whole.paste(picture(i), (0, 0))
            whole.paste(picture(100 + i), (8, 0))
            whole.save(here / f"facades/{i:02d}.png")
        return here / "facades"

    def test_the_left_one_is_a(self, facades):
        data = load_pairs("facades", image_shape=(8, 8, 1), target_channels=3)
        assert (data.paired, data.images.shape[3], data.targets.shape[3]) == ("halves", 1, 3)
        assert shades(data.images) == list(range(30))
        assert shades(data.targets) == list(range(100, 130))
        assert list(data.sums) == [f"{i:02d}.png" for i in range(30)]

    def test_halves_are_of_their_own_file_whatever_others_are_called(self, facades):
        whole = Image.new("RGB", (16, 8), (77,) * 3)
        whole.save(facades / "03.jpg")
        Image.new("RGB", (8, 8), (78,) * 3).save(facades / "04.bmp")  # of other proportions
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data = load_pairs("facades", image_shape=SHAPE)
        found = dict(
            zip(
                data.names, zip(shades(data.images), shades(data.targets), strict=True), strict=True
            )
        )
        assert found["03.png"] == (3, 103) and found["03.jpg"] == (77, 77)
        assert found["04.png"] == (4, 104) and found["04.bmp"] == (78, 78)
        report, _ = check_pairs("facades", image_shape=SHAPE)
        assert report.pairs == 32 and not report.unequal

    def test_from_caches_as_from_the_folder(self, facades):
        for _ in range(2):
            data = load_pairs("facades", image_shape=SHAPE, cache="some.cache")
            assert shades(data.images[:]) == list(range(30))
            assert shades(data.targets[:]) == list(range(100, 130))
        with pytest.warns(KganWarning, match="its box is another"):  # of halves, and now of all
            whole = load("facades", SHAPE, cache="some.cache")
        assert len(whole) == 30

    def test_no_half_shows_in_the_other_even_of_large_jpegs(self, here):
        (here / "x").mkdir()
        whole = np.zeros((300, 600, 3), np.uint8)
        whole[:, 300:] = 255
        Image.fromarray(whole).save(here / "x/1.jpg", quality=100, subsampling=0)
        data = load_pairs("x", image_shape=SHAPE)
        assert data.images.max() < 8 and data.targets.min() > 247

    def test_a_box_is_of_each_half(self, here):
        (here / "x").mkdir()
        whole = np.arange(16, dtype=np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
        Image.fromarray(whole).save(here / "x/1.png")
        data = load_pairs("x", image_shape=(4, 4, 1), box=[0.5, 0.5, 1, 1])
        assert data.images[0, 0, :, 0].tolist() == [4, 5, 6, 7]
        assert data.targets[0, 0, :, 0].tolist() == [12, 13, 14, 15]

    def test_turned_as_exif_says_before_it_is_cut(self, here):
        (here / "x").mkdir()
        tall = np.zeros((16, 8, 3), np.uint8)
        tall[8:] = 255
        exif = Image.Exif()
        exif[0x112] = 6  # turned by a quarter, clockwise: what is below comes to the left
        Image.fromarray(tall).save(here / "x/1.png", exif=exif)
        data = load_pairs("x", image_shape=SHAPE)
        assert (data.images == 255).all() and not data.targets.any()

    def test_odd_widths_are_skipped_with_one_line(self, facades):
        picture(1, (17, 8)).save(facades / "01.png")
        with pytest.warns(KganWarning) as caught:
            data = load_pairs("facades", image_shape=SHAPE)
        (line,) = said(caught)
        assert "01.png (Expected two halves, of an even width. Received: 17x8)" in line
        assert len(data) == 29 and 1 not in shades(data.images)
        picture(2, (17, 8)).save(facades / "02.png")
        with pytest.raises(KganError, match="2 of 30 image files cannot be decoded"):
            load_pairs("facades", image_shape=SHAPE)

    def test_of_an_array(self):
        whole = np.arange(2 * 8 * 16, dtype=np.uint8).reshape(2, 8, 16, 1)
        data = load_pairs(whole, image_shape=(8, 8, 1))
        assert (data.images == whole[:, :, :8]).all() and (data.targets == whole[:, :, 8:]).all()


def numbered(n, offset=0):
    """Images that tell their number, and whether they were mirrored (the corner)."""
    images = np.zeros((n, 4, 4, 1), np.uint8)
    images[:, 0] = (offset + np.arange(n))[:, None, None]
    images[:, 3, 0] = 255
    return images


def numbers(images):
    return images[:, 0, 0, 0].astype(int)


def mirrored(images):
    return images[:, 3, 3, 0] == 255


def take(batches, n):
    return list(itertools.islice(batches.as_numpy_iterator(), n))


class TestOrder:
    paired = PairSet(numbered(20), numbered(20, 100))
    unpaired = PairSet(numbered(7), numbered(20, 100), "no")

    def test_pairs_stay_together_and_are_mirrored_together(self):
        batches = take(self.paired.stream(8, flip=True, seed=3), 10)
        a, b = (np.concatenate(side) for side in zip(*batches, strict=True))
        assert (numbers(b) - numbers(a) == 100).all()
        assert (mirrored(a) == mirrored(b)).all() and 20 < mirrored(a).sum() < 60

    def test_domains_are_shuffled_and_mirrored_by_themselves(self):
        data = PairSet(numbered(20), numbered(20, 100), "no")
        batches = take(data.stream(10, flip=True, seed=3), 20)
        a, b = (np.concatenate(side) for side in zip(*batches, strict=True))
        assert (numbers(b) - numbers(a) == 100).mean() < 0.2
        assert 0.3 < (mirrored(a) == mirrored(b)).mean() < 0.7

    def test_an_epoch_is_the_longer_and_the_shorter_goes_round_in_another_order(self):
        epoch = take(self.unpaired.dataset(4, seed=1), 99)
        assert len(epoch) == 5 and len(self.unpaired) == 20
        a, b = (np.concatenate(side) for side in zip(*epoch, strict=True))
        assert sorted(numbers(b)) == list(range(100, 120))
        rounds = [numbers(a)[i : i + 7].tolist() for i in (0, 7)]
        assert all(sorted(one) == list(range(7)) for one in rounds) and rounds[0] != rounds[1]
        assert len(set(numbers(a)[14:])) == 6

    def test_unshuffled_both_are_in_order_to_the_last_partial_batch(self):
        epoch = take(self.unpaired.dataset(6, shuffle=False), 99)
        a, b = (np.concatenate(side) for side in zip(*epoch, strict=True))
        assert numbers(a).tolist() == [i % 7 for i in range(20)]
        assert numbers(b).tolist() == list(range(100, 120))

    @pytest.mark.parametrize("data", [paired, unpaired], ids=["paired", "unpaired"])
    def test_a_batch_is_a_function_of_seed_and_step(self, data):
        whole = take(data.stream(4, flip=True, seed=5), 12)
        for start in (1, 4, 5, 11):  # amid epochs and rounds
            again = take(data.stream(4, flip=True, seed=5, start_step=start), 12 - start)
            for one, other in zip(whole[start:], again, strict=True):
                assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
        other = take(data.stream(4, flip=True, seed=6), 1)
        assert not np.array_equal(whole[0][1], other[0][1])

    def test_types_are_known(self):
        a, b = PairSet(numbered(8), np.zeros((8, 4, 4, 3), np.uint8)).dataset(4).element_spec
        assert (a.dtype, a.shape.as_list()) == (tf.uint8, [4, 4, 4, 1])
        assert (b.dtype, b.shape.as_list()) == (tf.uint8, [4, 4, 4, 3])


def test_pairs_and_domains_are_datasets_for_fit(here):
    both(here)
    a, b = next(pairs("a", "b", image_shape=SHAPE, batch_size=5).as_numpy_iterator())
    assert a.shape == b.shape == (5, *SHAPE)
    assert (b[:, -1, 3] - a[:, -1, 3] == 100).all()
    arrays = numbered(9), numbered(5)
    a, b = next(domains(*arrays, image_shape=(4, 4, 1), target_channels=3).as_numpy_iterator())
    assert a.shape == (4, 4, 4, 1) and b.shape == (4, 4, 4, 3)


class TestCheckPairs:
    def test_pairs_side_by_side(self, here):
        both(here)
        picture(1).save(here / "a/alone.png")
        picture(3, (8, 12)).save(here / "b/03.png")
        report, sheet = check_pairs("a", "b", image_shape=SHAPE)
        assert (report.pairs, report.alone) == (9, {"a": ["alone.png"]})
        assert "Unequal:  1 (03.png 8x8 and 8x12)" in report.text()
        assert sheet.shape == (2 + 3 * 10, 2 + 8 * 10, 3)  # 18 images in rows of 8
        assert sheet[8, 2 + 3, 0] == 0 and sheet[8, 12 + 3, 0] == 100

    def test_kinds_that_are_not_paired(self, here):
        both(here, 6)
        report, sheet = check_pairs("a", "b", paired="no", image_shape=SHAPE)
        assert report.text().startswith("Kinds:    6 of a and 6 of b\n")
        row = sheet[8, 5::10, 0].tolist()
        assert row == [0, 1, 2, 3, 100, 101, 102, 103]

    def test_nothing_but_broken_files_is_reported(self, here):
        both(here, 2)
        for path in (here / "b").iterdir():
            path.write_bytes(b"")
        report, sheet = check_pairs("a", "b", image_shape=SHAPE)
        assert report.pairs == 0 and sheet is None and "00.png: empty file" in report.text()


class TestRefused:
    """One line each, before anything is decoded."""

    def refused(self, *args, **more):
        with pytest.raises(KganError) as error, warnings.catch_warnings():
            warnings.simplefilter("error")
            load_pairs(*args, **{"image_shape": SHAPE, **more})
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_no_pairs(self, here):
        both(here, 2)
        for i in range(2):
            (here / f"b/{i:02d}.png").rename(here / f"b/{i}.png")
        assert "Received: 2 (00.png, 01.png) in a and 2 (0.png, 1.png) in b" in self.refused(
            "a", "b"
        )

    @pytest.mark.parametrize("paired", ["names", "no"])
    def test_an_empty_folder(self, here, paired):
        both(here, 2)
        (here / "none").mkdir()
        assert "none, which is empty" in self.refused("a", "none", paired=paired)
        assert "absent, which does not exist" in self.refused("absent", "b", paired=paired)

    def test_a_name_that_stands_for_two(self, here):
        both(here, 2)
        picture(1).save(here / "b/01.bmp")
        assert "b/01.bmp and b/01.png" in self.refused("a", "b")

    @pytest.mark.parametrize("paired", ["names", "no"])
    def test_one_folder_in_the_other(self, here, paired):
        both(here, 2)
        (here / "b").rename(here / "a/b")
        assert "a and a/b" in self.refused("a", "a/b", paired=paired)
        assert "a twice" in self.refused("a", "a", paired=paired)

    @pytest.mark.parametrize(
        "more, message",
        [
            ({"paired": "yes"}, "one of 'names', 'halves', 'no'"),
            ({"paired": "halves"}, "paired='halves' and both"),
            ({"target_channels": 4}, "target_channels"),
            ({"image_shape": (8, 8)}, "image_shape"),
            ({"resize": "squash"}, "resize"),
            ({"cache": 3}, "cache"),
        ],
    )
    def test_arguments(self, here, more, message):
        both(here, 2)
        assert message in self.refused("a", "b", **more)

    def test_without_b(self, here):
        both(here, 2)
        for paired in ("names", "no"):
            assert "and a alone" in self.refused("a", paired=paired)

    @pytest.mark.parametrize(
        "a, b, message",
        [
            (numbered(3), numbered(4), "3 and 4"),
            (numbered(3), "b", "one of each"),
            ("a", numbered(3), "one of each"),
            (numbered(3), np.zeros((3, 4, 8, 1), np.uint8), "of the same proportions"),
            (np.zeros((3, 4, 7, 1), np.uint8), None, "even width"),
            ("tfds:mnist", "b", "Received: 'tfds:mnist'"),
            ("a", [], "Received: []"),
            (None, "b", "Received: None"),
            (numbered(3) / 255, numbered(3), "uint8"),
            (np.zeros(3, np.uint8), np.zeros(3, np.uint8), "of shape (3,)"),
            (numbered(3), numbered(3)[:0], "at least one image"),
            ((numbered(3), [1, 2, 3]), numbered(3), "one of each"),
        ],
    )
    def test_kinds_of_sources(self, here, a, b, message):
        both(here, 2)
        assert message in self.refused(a, b)

    def test_batches_larger_than_the_shorter(self):
        with pytest.raises(KganError, match="one batch of 8 images. Received: 3"):
            PairSet(numbered(3), numbered(20), "no").stream(8)
        with pytest.raises(KganError, match="domains"):
            pairs("a", "b", image_shape=SHAPE, paired="no")
