"""kgan.data.images: sets of images, and the streams of batches made from them."""

import dataclasses
import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kgan.data import ImageSet, check, dataset, load
from kgan.errors import KganError, KganWarning

# Prints the hash of a stream, for comparison with the same one of another process.
STREAM_HASH = """
import dataclasses
import hashlib
import numpy as np
from kgan.data import ImageSet

images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), np.uint8)
batches = ImageSet(images).stream(8, flip=True, seed=5).take(5).as_numpy_iterator()
print(hashlib.sha256(np.concatenate(list(batches)).tobytes()).hexdigest())
"""


def _numbered(n, labels=False):
    """Images that tell their index (rows 0 and 1) and whether they were mirrored (the corner)."""
    images = np.zeros((n, 4, 4, 1), np.uint8)
    images[:, 0] = (np.arange(n) // 256)[:, None, None]
    images[:, 1] = (np.arange(n) % 256)[:, None, None]
    images[:, 3, 0] = 255
    return ImageSet(images, np.arange(n) % 10 if labels else None)


def _indices(images):
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 1, 0, 0]


def _mirrored(images):
    return images[:, 3, 3, 0] == 255


def _epoch(batches):
    return np.concatenate(list(batches.as_numpy_iterator()))


def _take(batches, n):
    return list(itertools.islice(batches.as_numpy_iterator(), n))


class TestDataset:
    def test_batches_are_uint8_of_a_known_shape(self):
        spec = _numbered(20).dataset(8).element_spec
        assert (spec.dtype, spec.shape.as_list()) == (tf.uint8, [8, 4, 4, 1])

    def test_every_image_comes_once_an_epoch(self):
        batches = _numbered(320).dataset(64)
        for _ in range(2):
            assert sorted(_indices(_epoch(batches))) == list(range(320))

    def test_last_partial_batch_is_left_out_when_shuffled(self):
        batches = _numbered(20).dataset(8)
        assert len(batches) == 2 and len(_epoch(batches)) == 16

    def test_order_is_kept_to_the_last_image_when_not_shuffled(self):
        batches = _numbered(20).dataset(8, shuffle=False)
        assert len(batches) == 3 and _indices(_epoch(batches)).tolist() == list(range(20))

    def test_epochs_differ(self):
        batches = _numbered(64).dataset(8)
        assert (_epoch(batches) != _epoch(batches)).any()

    def test_same_seed_gives_the_same_epochs(self):
        first, second = (_numbered(64).dataset(8, flip=True, seed=3) for _ in range(2))
        for _ in range(2):
            np.testing.assert_array_equal(_epoch(first), _epoch(second))

    def test_another_seed_gives_another_order(self):
        first, second = (_epoch(_numbered(64).dataset(8, seed=seed)) for seed in (0, 1))
        assert (first != second).any()

    def test_about_half_of_the_images_are_mirrored(self):
        share = _mirrored(_epoch(_numbered(640).dataset(64, flip=True))).mean()
        assert 0.42 < share < 0.58  # 4 standard deviations

    def test_no_image_is_mirrored_unless_asked(self):
        assert not _mirrored(_epoch(_numbered(64).dataset(8))).any()

    def test_labels_follow_their_images(self):
        batches = _numbered(64, labels=True).dataset(8, flip=True)
        for images, labels in batches.as_numpy_iterator():
            np.testing.assert_array_equal(labels, _indices(images) % 10)

    def test_batch_larger_than_the_data_is_refused(self):
        with pytest.raises(KganError, match="one batch of 8 images. Received: 5 images"):
            _numbered(5).dataset(8)

    def test_two_passes_at_once_do_not_disturb_each_other(self):
        batches = _numbered(6400).dataset(64)
        with ThreadPoolExecutor(2) as pool:
            for images in pool.map(lambda _: _epoch(batches), range(30)):
                assert len(np.unique(_indices(images))) == 6400

    def test_the_images_themselves_are_not_mirrored(self):
        data = _numbered(64)
        _epoch(data.dataset(8, flip=True))
        assert not _mirrored(data.images).any()


class TestStream:
    @pytest.mark.parametrize("start", [1, 2, 5])
    def test_starting_later_gives_the_rest_of_the_stream(self, start):
        data = _numbered(20)  # two steps an epoch
        whole = _take(data.stream(8, flip=True, seed=3), 7)
        rest = _take(data.stream(8, flip=True, seed=3, start_step=start), 7 - start)
        np.testing.assert_array_equal(rest, whole[start:])

    def test_another_process_gets_the_same_batches(self, run_python, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), np.uint8)
        batches = _take(ImageSet(images).stream(8, flip=True, seed=5), 5)
        here = hashlib.sha256(np.concatenate(batches).tobytes()).hexdigest()
        assert run_python("-c", STREAM_HASH, cwd=tmp_path).stdout.strip() == here

    def test_first_epoch_is_that_of_the_dataset(self):
        data = _numbered(64)
        np.testing.assert_array_equal(
            np.concatenate(_take(data.stream(8, True, 3), 8)),
            _epoch(data.dataset(8, flip=True, seed=3)),
        )

    def test_labels_follow_their_images(self):
        for images, labels in _take(_numbered(64, labels=True).stream(8), 20):
            np.testing.assert_array_equal(labels, _indices(images) % 10)

    def test_batch_larger_than_the_data_is_refused(self):
        with pytest.raises(KganError, match="one batch of 8 images. Received: 5 images"):
            _numbered(5).stream(8)


class TestArrays:
    def test_stack_of_gray_images_gets_a_channel(self):
        stack = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
        np.testing.assert_array_equal(load(stack, (16, 16, 1)).images, stack[..., None])

    def test_images_of_another_size_are_resized(self):
        stack = np.full((5, 40, 30, 1), 9, np.uint8)
        images = load(stack, (16, 16, 3)).images
        np.testing.assert_array_equal(images, np.full((5, 16, 16, 3), 9))

    @pytest.mark.parametrize(
        "array, received",
        [
            (np.zeros((5, 16, 16, 3), np.float32), r"float32 of shape \(5, 16, 16, 3\)"),
            (np.zeros((5, 16, 16, 4), np.uint8), r"uint8 of shape \(5, 16, 16, 4\)"),
            (np.zeros((16, 16), np.uint8), r"uint8 of shape \(16, 16\)"),
        ],
    )
    def test_array_that_holds_no_images_is_refused(self, array, received):
        with pytest.raises(KganError, match=f"Expected a uint8 array.*Received: {received}"):
            load(array, (16, 16, 3))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (np.array(list("abcd")), "Received: <U1 .*; of names, np.unique"),
            (np.linspace(0, 2.9, 4), r"Received: float64 of shape \(4,\)$"),
            (np.full(4, np.nan), "Received: float64"),
            (np.eye(4, dtype=int), r"\(4, 4\); of one-hot labels, labels.argmax\(1\)"),
            (np.arange(4) - 1, "the least of which is -1"),
            (np.array(3), r"Received: int64 of shape \(\)"),
            (np.arange(4).reshape(2, 2), "one-hot"),
        ],
    )
    def test_labels_that_are_no_classes(self, labels, message):
        images = np.zeros((4, 8, 8, 1), "uint8")
        with pytest.raises(ValueError, match=f"Expected integer labels.*{message}"):
            load((images, labels), (8, 8, 1))

    @pytest.mark.parametrize("labels", [[0, 1, 2, 3], np.arange(4, dtype="uint8")[:, None]])
    def test_labels_of_every_kind_of_integer(self, labels):
        found = load((np.zeros((4, 8, 8, 1), "uint8"), labels), (8, 8, 1)).labels
        assert found.dtype == np.int64 and found.tolist() == [0, 1, 2, 3]

    def test_labels_of_a_tuple_are_kept(self):
        images = np.zeros((3, 16, 16, 3), np.uint8)
        assert load((images, [4, 5, 6]), (16, 16, 3)).labels.tolist() == [4, 5, 6]

    def test_wrong_number_of_labels_is_refused(self):
        images = np.zeros((3, 16, 16, 3), np.uint8)
        with pytest.raises(KganError, match="a label for each image. Received: 2 labels and 3"):
            load((images, [4, 5]), (16, 16, 3))

    def test_what_is_no_source_is_refused(self):
        with pytest.raises(KganError, match="uint8 array. Received: list"):
            load([1, 2, 3], (16, 16, 3))

    @pytest.mark.parametrize(
        "low, high, hint",
        [
            (0.0, 1.0, r"\(images \* 255\).round\(\).astype\('uint8'\) converts"),
            (-1.0, 1.0, r"\(\(images \+ 1\) \* 127.5\).round\(\).astype\('uint8'\) converts"),
            (0.0, 255.0, r"; images.round\(\).astype\('uint8'\) converts"),
            (-2.1, 2.6, r"in \[-2.1, 2.6\]; undo what they were scaled by"),
        ],
    )
    def test_floats_get_the_hint_of_their_range(self, low, high, hint):
        images = np.linspace(low, high, 4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8, 1)
        with pytest.raises(KganError, match=f"Received: float32 .*{hint}"):
            load(images, (8, 8, 1))


class TestFit:
    """What `resize` was called before."""

    PIXELS = np.zeros((4, 20, 40, 3), np.uint8)

    def test_load(self):
        expected = load(self.PIXELS, (16, 16, 3), resize="pad").images
        assert (expected[:, 0] == 255).all()
        with pytest.warns(KganWarning, match="^fit= is now resize=;") as caught:
            images = load(self.PIXELS, (16, 16, 3), fit="pad").images
        np.testing.assert_array_equal(images, expected)
        assert len(caught) == 1 and caught[0].filename == __file__

    def test_dataset(self):
        with pytest.warns(KganWarning, match="^fit= is now resize=;") as caught:
            batches = dataset(self.PIXELS, (16, 16, 3), 4, fit="pad")
        assert (next(iter(batches))[:, 0].numpy() == 255).all() and len(caught) == 1

    def test_check(self, tmp_path):
        Image.fromarray(self.PIXELS[0]).save(tmp_path / "x.png")
        with pytest.warns(KganWarning, match="^fit= is now resize=;") as caught:
            report, images = check(tmp_path, (16, 16, 3), fit="pad")
        assert (images[:, 0] == 255).all() and len(caught) == 1
        with pytest.warns(KganWarning, match=r"^\.fit is now \.resize;") as caught:
            assert report.fit == report.resize == "pad"
        assert len(caught) == 1


class TestReadyDataset:
    def test_right_one_is_passed_through(self):
        ready = tf.data.Dataset.from_tensor_slices(np.zeros((8, 16, 16, 3), np.uint8)).batch(4)
        assert dataset(ready, (16, 16, 3)) is ready

    def test_wrong_size_is_refused(self):
        ready = tf.data.Dataset.from_tensor_slices(np.zeros((8, 20, 20, 3), np.uint8)).batch(4)
        with pytest.raises(ValueError, match=r"shape \(batch, 16, 16, 3\).*\(None, 20, 20, 3\)"):
            dataset(ready, (16, 16, 3))

    def test_one_without_batches_is_refused(self):
        ready = tf.data.Dataset.from_tensor_slices(np.zeros((8, 16, 16, 3), np.uint8))
        with pytest.raises(ValueError, match="must be batched"):
            dataset(ready, (16, 16, 3))

    @pytest.mark.parametrize(
        "low, high, labels, message",
        [
            (-1.0, 1.0, False, None),
            (-1.0, 1.0, True, None),
            (0.0, 1.0, True, r"floats? .*\[-1, 1\].*images \* 2 - 1 converts"),
            (0.0, 255.0, False, "images / 127.5 - 1 converts"),
            (0.0, 1.1, False, r"np.clip\(images, 0, 1\) \* 2 - 1 converts"),
            (0.0, 65535.0, False, "images / 32767.5 - 1 converts"),
            (-2.1, 2.6, False, r"\(images \* std \+ mean\) \* 2 - 1 converts"),
            (-0.4, 2.8, False, r"\(images \* std \+ mean\) \* 2 - 1 converts"),
            (-1.1, 1.1, False, r"np.clip\(images, -1, 1\) converts"),
            (-9.0, 262.0, False, r"np.clip\(images, 0, 255\) / 127.5 - 1"),
            (-123.7, 151.0, False, r"\(images \+ mean\) / 127.5 - 1 converts"),
        ],
    )
    def test_floats_are_looked_at(self, low, high, labels, message):
        images = np.linspace(low, high, 8 * 16 * 16 * 3, dtype=np.float32).reshape(8, 16, 16, 3)
        ready = tf.data.Dataset.from_tensor_slices((images, np.arange(8)) if labels else images)
        ready = ready.shuffle(8).batch(8)
        if message is None:
            assert dataset(ready, (16, 16, 3)) is ready
        else:
            with pytest.raises(KganError, match=message):
                dataset(ready, (16, 16, 3))

    def test_batches_of_unknown_shape_are_looked_at_in_training(self):
        ready = tf.data.Dataset.from_generator(lambda: iter([]), output_types=tf.uint8)
        assert dataset(ready, (16, 16, 3)) is ready

    def test_wrong_type_is_refused(self):
        ready = tf.data.Dataset.from_tensor_slices(np.zeros((8, 16, 16, 3), np.int32)).batch(4)
        with pytest.raises(KganError, match="Received: dtype int32"):
            dataset(ready, (16, 16, 3))

    def test_tables_of_examples_are_refused(self):
        ready = tf.data.Dataset.from_tensors({"image": np.zeros((8, 16, 16, 3), np.uint8)})
        with pytest.raises(KganError, match="as_supervised=True"):
            dataset(ready, (16, 16, 3))


class TestFolders:
    def test_relative_folder_is_found_in_the_data_directory(self, tmp_path, monkeypatch):
        (tmp_path / "photos").mkdir()
        Image.new("RGB", (16, 16), "red").save(tmp_path / "photos" / "x.png")
        monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
        assert load("photos", (16, 16, 3)).images[0, 0, 0].tolist() == [255, 0, 0]

    def test_folder_here_goes_before_the_data_directory(self, tmp_path, monkeypatch):
        for place, color in (("here", "red"), ("data", "blue")):
            (tmp_path / place / "photos").mkdir(parents=True)
            Image.new("RGB", (16, 16), color).save(tmp_path / place / "photos" / "x.png")
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "data"))
        assert load("photos", (16, 16, 3)).images[0, 0, 0].tolist() == [255, 0, 0]

    @pytest.mark.data
    def test_celeba_is_its_central_square(self, data_dir):
        folder = data_dir / "celeba" / "test"
        faces = load(folder, (64, 64, 3)).images
        files = sorted(folder.glob("*.jpg"))
        with Image.open(files[0]) as picture:  # 89 wide, 109 high
            square = picture.crop((0, 10, 89, 99)).resize((64, 64), Image.Resampling.LANCZOS)
        assert len(faces) == len(files) == 1000
        # The crop of a box may take in half a kernel from beyond its edge.
        assert np.abs(faces[0, 4:-4].astype(int) - np.asarray(square)[4:-4]).max() <= 1


class TestLists:
    def test_folders_and_arrays_of_boxes(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
        pixels = np.zeros((16, 32, 3), np.uint8)
        pixels[:, 16:] = 200
        for name in ("b/1", "a/2"):
            (tmp_path / name).parent.mkdir()
            Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        images = load(["b", "a"], (16, 16, 3), box=[0.5, 0, 1, 1])
        assert len(images) == 2 and images.images.min() > 150
        assert images.report.folder == f"{tmp_path / 'b'}, {tmp_path / 'a'}"
        assert "within 50.0% to 100.0% of the width and 0.0% to 100.0% of" in images.report.text()
        of_array = load(pixels[None], (16, 16, 3), box=[0.5, 0, 1, 1]).images
        np.testing.assert_array_equal(of_array[0], images.images[0])

    def test_classes_of_all_folders(self, tmp_path):
        for name in ("x/cat/1", "y/ant/2", "y/cat/3"):
            (tmp_path / name).parent.mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
        images = load([tmp_path / "x", tmp_path / "y"], (8, 8, 1), labels="folders")
        assert images.class_names == ["ant", "cat"] and images.labels.tolist() == [1, 0, 1]

    def test_classes_of_folders_that_differ(self, tmp_path, monkeypatch):
        for name in ("a/cat", "a/dog", "b/ant", "b/dog"):
            (tmp_path / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / name / "x.png")
        found = load([tmp_path / "a", tmp_path / "b"], (8, 8, 1), labels="folders")
        assert found.class_names == ["ant", "cat", "dog"] and found.labels.tolist() == [1, 2, 0, 2]

    def test_classes_of_data_sets_are_joined_by_name(self, monkeypatch):
        parts = {
            "one": ImageSet(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 1]), ["cat", "dog"]),
            "two": ImageSet(np.ones((2, 8, 8, 1), np.uint8), np.array([0, 1]), ["dog", "cat"]),
            "more": ImageSet(np.ones((1, 8, 8, 1), np.uint8), np.array([0]), ["ant"]),
            "numbers": ImageSet(np.ones((1, 8, 8, 1), np.uint8), np.array([0])),
        }
        monkeypatch.setattr(
            "kgan.data.images._from_tfds", lambda name, *_: dataclasses.replace(parts[name])
        )
        found = load(["tfds:one", "tfds:two", "tfds:more"], (8, 8, 1))
        assert found.class_names == ["cat", "dog", "ant"]
        assert found.labels.tolist() == [0, 1, 1, 1, 0, 2]
        assert load(["tfds:one", "tfds:numbers"], (8, 8, 1)).labels is None
        assert load(["tfds:numbers", "tfds:numbers"], (8, 8, 1)).labels.tolist() == [0, 0]

    def test_skipped_files_are_named_with_their_folder(self, tmp_path):
        for name in "ab":
            (tmp_path / name).mkdir()
            for i in range(20):
                Image.new("L", (8, 8), i).save(tmp_path / name / f"{i}.png")
        (tmp_path / "b/7.png").write_bytes(b"")
        with pytest.warns(KganWarning, match=r"1 of 40 image files .*b/7\.png \(empty file\)"):
            images = load([tmp_path / "a", tmp_path / "b"], (8, 8, 1))
        assert len(images) == 39

    @pytest.mark.parametrize("source", [[], [1], [np.zeros((1, 8, 8), np.uint8)]], ids=str)
    def test_lists_of_something_else_are_refused(self, source):
        with pytest.raises(KganError, match="Expected 'tfds:<name>', .*Received: list of"):
            load(source, (8, 8, 1))

    @pytest.mark.data
    def test_data_sets_of_tfds(self, data_dir):
        one, two = (
            load(f"tfds:mnist#test[{part}]", (28, 28, 1), data_dir=data_dir)
            for part in (":30", "30:50")
        )
        both = load(["tfds:mnist#test[:30]", "tfds:mnist"], (28, 28, 1), "test[30:50]", data_dir)
        np.testing.assert_array_equal(both.images, np.concatenate([one.images, two.images]))
        np.testing.assert_array_equal(both.labels, np.concatenate([one.labels, two.labels]))
        assert both.class_names == list("0123456789")
        (name,) = one.sums
        assert name.startswith("mnist/3.0.1/") and len(one.sums[name]) == 64
        assert both.sums == {f"{i}/{name}": one.sums[name] for i in (1, 2)}

    @pytest.mark.data
    def test_boxes_of_tfds(self, data_dir):
        whole = load("tfds:mnist", (28, 28, 1), "test[:20]", data_dir).images
        box = (1 / 7, 1 / 7, 6 / 7, 6 / 7)
        images = load("tfds:mnist", (20, 20, 1), "test[:20]", data_dir, box=box).images
        np.testing.assert_array_equal(images, whole[:, 4:24, 4:24])


class TestTFDS:
    @pytest.fixture(autouse=True)
    def _directory(self, monkeypatch, data_dir):
        monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))

    @pytest.mark.data
    @pytest.mark.slow
    def test_mnist_is_read_whole(self):
        mnist = load("tfds:mnist", (28, 28, 1))
        assert mnist.images.shape == (60_000, 28, 28, 1)
        assert mnist.class_names == list("0123456789")
        # The digits' counts as published.
        counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert np.bincount(mnist.labels).tolist() == counts

    @pytest.mark.data
    def test_images_are_those_that_tfds_gives(self, data_dir):
        import tensorflow_datasets as tfds

        mnist = load("tfds:mnist", (28, 28, 1), split="test[:20]")
        root = data_dir / "tensorflow_datasets"
        expected = tfds.load("mnist", split="test[:20]", data_dir=root, as_supervised=True)
        images, labels = next(expected.batch(20).as_numpy_iterator())
        np.testing.assert_array_equal(mnist.images, images)
        np.testing.assert_array_equal(mnist.labels, labels)

    @pytest.mark.data
    def test_digits_are_resized_to_color(self):
        digits = load("tfds:mnist", (32, 32, 3), split="test[:20]").images
        assert digits.shape == (20, 32, 32, 3)
        np.testing.assert_array_equal(digits[..., 0], digits[..., 2])

    @pytest.mark.data
    def test_unknown_name_is_refused(self):
        with pytest.raises(KganError, match="a TFDS dataset. Received: tfds:mnistt: .*not found"):
            load("tfds:mnistt", (28, 28, 1))

    @pytest.mark.data
    @pytest.mark.parametrize("failure", ["ConnectionError", "DownloadError"])
    def test_data_that_cannot_be_downloaded_is_said_to_be_missing(
        self, failure, monkeypatch, tmp_path
    ):
        import requests
        import tensorflow_datasets as tfds

        def download(*args, **kwargs):
            raise {
                "ConnectionError": requests.exceptions.ConnectionError("no route to host"),
                "DownloadError": tfds.core.download.DownloadError("no route to host"),
            }[failure]

        monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", download)
        monkeypatch.setattr("kgan.data.tfds._check_network", lambda: None)
        with pytest.raises(KganError, match=f"tfds:mnist in {tmp_path} .*TFDS_DATA_DIR.*no route"):
            load("tfds:mnist", (28, 28, 1), data_dir=tmp_path)

    @pytest.mark.data
    def test_unknown_split_is_refused(self):
        with pytest.raises(ValueError, match="'nope'.*'train', 'test'"):
            load("tfds:mnist", (28, 28, 1), split="nope")


def test_shuffled_batches_have_a_static_size():
    images = ImageSet(np.zeros((10, 4, 4, 1), "uint8"), np.arange(10))
    for batches in (images.dataset(4), images.stream(4)):
        assert [spec.shape[0] for spec in batches.element_spec] == [4, 4]
    assert images.dataset(4, shuffle=False).element_spec[0].shape[0] is None
