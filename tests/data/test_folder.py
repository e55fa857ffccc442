"""kgan.data.folder: folders of images, with all that lies about in them."""

import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image

import kgan.data.folder
from kgan.data.folder import allocate, find_images, load_folder
from kgan.errors import KganError, KganWarning

SHAPE = (16, 16, 3)


def _write_images(folder, n):
    """PNGs 000.png, 001.png, ... of one shade each: the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (16, 16), (i, i, i)).save(folder / f"{i:03d}.png")


def _write_truncated_jpeg(path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])


def test_folders_are_searched_recursively_in_sorted_order(tmp_path):
    for name in ("b/2.png", "a/1.JPG", "c.webp", "a/0/x.jpeg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a/0/x.jpeg", "a/1.JPG", "b/2.png", "c.webp"]


def test_hidden_and_other_files_are_ignored(tmp_path):
    for name in ("x.png", ".hidden.png", "._x.png", "notes.txt", "Thumbs.db", "png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == [tmp_path / "x.png"]


def test_hidden_folders_are_ignored(tmp_path):
    for name in ("x.png", ".thumbnails/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path) == [tmp_path / "x.png"]


def test_folder_below_a_hidden_one_is_read(tmp_path):
    _write_images(tmp_path / ".cache" / "photos", 1)
    assert find_images(tmp_path / ".cache" / "photos")


def test_images_come_in_the_order_of_their_names(tmp_path):
    _write_images(tmp_path, 30)
    images = load_folder(tmp_path, SHAPE)
    expected = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None, None], (30, *SHAPE))
    np.testing.assert_array_equal(images, expected)


def test_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert load_folder(tmp_path, SHAPE)[0, 0, 0].tolist() == [255, 0, 0]


def test_photo_is_turned_as_its_camera_was_held(tmp_path):
    picture = Image.new("RGB", (32, 32), "red")
    picture.paste("blue", (0, 0, 16, 32))  # the left half
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be shown turned by 90 degrees clockwise
    picture.save(tmp_path / "x.jpg", exif=exif)
    top, bottom = load_folder(tmp_path, SHAPE)[0, [3, 12], 8].astype(int)
    assert top[2] > 200 > bottom[2] and bottom[0] > 200 > top[0]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(KganError, match=r"folder of images.*nowhere, which does not exist"):
        find_images(tmp_path / "nowhere")


def test_file_instead_of_a_folder_is_named(tmp_path):
    (tmp_path / "x.png").touch()
    with pytest.raises(KganError, match=r"folder of images.*the file .*x\.png"):
        find_images(tmp_path / "x.png")


def test_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(KganError, match=r"\.jpg.*which is empty"):
        find_images(tmp_path)


def test_folder_of_text_files_is_refused(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text")
    with pytest.raises(KganError, match="which holds 2 other files"):
        find_images(tmp_path)


def test_one_truncated_jpeg_among_many_is_named_in_a_warning(tmp_path):
    _write_images(tmp_path, 39)
    _write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.warns(KganWarning, match=r"Skipped: 1 of 40 .*bad\.jpg \(OSError"):
        load_folder(tmp_path, SHAPE)


def test_one_truncated_jpeg_among_many_is_left_out(tmp_path):
    _write_images(tmp_path, 39)
    _write_truncated_jpeg(tmp_path / "020.jpg")  # sorts before 020.png
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = load_folder(tmp_path, SHAPE)
    assert images[:, 0, 0, 0].tolist() == list(range(39))


def test_filters_of_warnings_are_left_alone(tmp_path):
    # They belong to the whole process: threads that change them would silence it for good.
    _write_images(tmp_path, 40)
    before = list(warnings.filters)
    for _ in range(10):
        load_folder(tmp_path, SHAPE)
        assert warnings.filters == before


def test_truncated_jpeg_among_text_files_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    _write_truncated_jpeg(tmp_path / "bad.jpg")
    with pytest.raises(KganError, match=r"1 of 1 image files cannot be decoded.*bad\.jpg"):
        load_folder(tmp_path, SHAPE)


def test_array_that_does_not_fit_in_memory_goes_to_a_file(monkeypatch):
    monkeypatch.setattr(kgan.data.folder, "_free_memory", lambda: 100)
    array = allocate((3, *SHAPE))
    array[:] = 7
    assert isinstance(array, np.memmap) and array.sum() == 7 * 3 * 16 * 16 * 3


def test_array_that_fits_stays_in_memory():
    assert not isinstance(allocate((3, *SHAPE)), np.memmap)
