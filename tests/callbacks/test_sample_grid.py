"""Sample grids during fit."""

import base64
import inspect
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from models.base.test_translation import TinyCycleGAN
from PIL import Image

from kgan import images as pictures
from kgan.callbacks import CollapseWarning, GenerativeMetrics, LatentWalk, SampleGrid
from kgan.errors import KganError
from kgan.models import DCGAN, ConditionalGAN, Pix2Pix


@pytest.fixture(scope="module")
def model():
    model = DCGAN((16, 16, 1), latent_dim=2, width=2, ema_half_life=10)
    model.compile()
    return model


@pytest.mark.parametrize("kind", [SampleGrid, LatentWalk])
def test_a_tilde_is_the_home_directory(kind, tmp_path, monkeypatch):
    """And NumPy's ints are ints: facts are written as JSON."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model = DCGAN((16, 16, 1), latent_dim=2, width=2)
    model.compile()
    data = np.zeros((8, 16, 16, 1), "uint8")
    callback = kind("~/grids", rows=np.int64(1), columns=2, seed=np.int64(5))
    model.fit(data, batch_size=8, verbose=0, callbacks=[callback])
    assert len(list((tmp_path / "home/grids").iterdir())) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_grids_of_the_averaged_generator_at_the_same_latents(model, tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 1), dtype="uint8")
    callback = SampleGrid(tmp_path / "grids", every_images=16, rows=2, columns=3, seed=5)
    model.fit(data, batch_size=8, verbose=0, callbacks=[callback])
    files = sorted((tmp_path / "grids").iterdir())
    assert [f.name for f in files] == [f"images-{n:09d}.png" for n in (0, 16, 32)]
    last = np.asarray(Image.open(files[-1]))
    assert last.shape == (2 * 18 + 2, 3 * 18 + 2)
    expected = pictures.grid(model.sample(6, seed=5), columns=3)[..., 0]
    np.testing.assert_array_equal(last, expected)
    assert not np.array_equal(np.asarray(Image.open(files[0])), last)
    said = pictures.read_provenance(files[-1])
    assert said["images_seen"] == 32 and said["seed"] == 5 and said["class"] == "DCGAN"


def test_every_epoch_by_default(model, tmp_path):
    data = np.zeros((8, 16, 16, 1), "uint8")
    model.fit(data, batch_size=8, epochs=2, verbose=0, callbacks=[SampleGrid(tmp_path / "g")])
    assert len(list((tmp_path / "g").iterdir())) == 2


def test_tensorboard_gets_the_same_files_when_asked(model, tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype="uint8")
    first = int(model.images_seen.numpy())
    logs = tmp_path / "logs"
    callback = SampleGrid(tmp_path / "g", every_images=8, rows=2, columns=3, tensorboard=logs)
    model.fit(data, batch_size=8, verbose=0, callbacks=[callback])
    (events,) = logs.iterdir()
    values = {
        event.step: event.summary.value[0]
        for event in map(
            tf.compat.v1.Event.FromString,
            (record.numpy() for record in tf.data.TFRecordDataset(str(events))),
        )
        if event.summary.value
    }
    assert sorted(values) == [first + 8, first + 16]
    for step, value in values.items():
        assert (value.tag, value.metadata.plugin_data.plugin_name) == ("samples", "images")
        width, height, png = tf.make_ndarray(value.tensor)
        assert (width, height) == (b"56", b"38")
        assert png == (tmp_path / f"g/images-{step:09d}.png").read_bytes()


@pytest.mark.parametrize("shell", [None, object()], ids=["no shell", "terminal"])
def test_nothing_is_shown_in_a_terminal(model, tmp_path, monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", None)  # whose import would raise
    data = np.zeros((8, 16, 16, 1), "uint8")
    model.fit(data, batch_size=8, verbose=0, callbacks=[SampleGrid(tmp_path / "g")])
    assert list((tmp_path / "g").iterdir())


def test_ipython_is_not_imported_to_know(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)  # its import would raise
    data = np.zeros((8, 16, 16, 1), "uint8")
    model.fit(data, batch_size=8, verbose=0, callbacks=[SampleGrid(tmp_path / "g")])


CELLS = (
    """
    import numpy as np
    import kgan
    model = kgan.models.DCGAN((16, 16, 3), latent_dim=2, width=2)
    model.compile()
    data = np.zeros((16, 16, 16, 3), "uint8")
    grids = kgan.callbacks.SampleGrid("grids", every_images=8, rows=2, columns=3)
    history = model.fit(data, batch_size=8, verbose=2, callbacks=[grids])
    """,
    "history = model.fit(data, batch_size=8, verbose=0, callbacks=[grids])",
    "model.show(6, seed=0, columns=3)",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook, what its kernel sent for each cell, and the directory that it ran in."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    directory = tmp_path_factory.mktemp("notebook")
    cells = [nbformat.v4.new_code_cell(inspect.cleandoc(text)) for text in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    sent = [[] for _ in cells]

    class Client(nbclient.NotebookClient):
        def process_message(self, message, cell, index):
            sent[index].append(message)
            return super().process_message(message, cell, index)

    where = {"metadata": {"path": str(directory)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(directory))
        Client(notebook, timeout=200, resources=where).execute()
    return notebook, sent, directory


class TestInAKernel:
    """A notebook, run by Jupyter's own client."""

    SIZE = (3 * 18 * 8 + 16, 2 * 18 * 8 + 16)  # enlarged 8 times

    @staticmethod
    def png(output):
        return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))

    @pytest.mark.slow
    def test_one_display_is_updated(self, executed):
        _, sent, directory = executed
        files = sorted(path.name for path in (directory / "grids").iterdir())
        assert files == [f"images-{n:09d}.png" for n in (0, 8, 16, 24, 32)]
        ids = []
        for messages, grids in ((sent[0], files[:3]), (sent[1], files[3:])):
            shown = [m for m in messages if m["msg_type"].endswith("display_data")]
            kinds = [m["msg_type"] for m in shown]
            assert kinds == ["display_data"] + ["update_display_data"] * (len(grids) - 1)
            assert len({m["content"]["transient"]["display_id"] for m in shown}) == 1
            ids.append(shown[0]["content"]["transient"]["display_id"])
            for message, name in zip(shown, grids, strict=True):
                picture = self.png(message["content"])
                assert picture.size == self.SIZE
                said = pictures.read_provenance(directory / "grids" / name)
                assert json.loads(picture.text["kgan"]) == said
        assert ids[0] != ids[1]  # every cell has its own

    def test_the_cell_ends_with_the_last_grid(self, executed):
        notebook, _, _ = executed
        for cell, seen in zip(notebook.cells[:2], (16, 32), strict=True):
            (shown,) = [o for o in cell.outputs if o.output_type == "display_data"]
            assert json.loads(self.png(shown).text["kgan"])["images_seen"] == seen

    def test_show_gives_a_picture_that_displays(self, executed):
        notebook, _, _ = executed
        (shown,) = notebook.cells[2].outputs
        assert shown.output_type == "execute_result"
        assert self.png(shown).size == self.SIZE


def test_does_not_change_training(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype="uint8")
    results = []
    grids = SampleGrid(tmp_path / "g", every_images=8, tensorboard=tmp_path / "logs")
    for callbacks in ([], [grids]):
        model = DCGAN((16, 16, 1), latent_dim=2, width=2)
        model.compile()
        model.fit(data, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        results.append([w.numpy() for w in model.weights])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_empty_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match="rows to be an int >= 1, or None. Received: rows=0"):
        SampleGrid(tmp_path, rows=0)


def test_a_row_for_every_class(tmp_path):
    model = ConditionalGAN((16, 16, 1), num_classes=3, latent_dim=2, width=2)
    model.compile()
    callback = SampleGrid(tmp_path, columns=2)
    callback.set_model(model)
    callback.on_train_begin()
    path = tmp_path / "images-000000000.png"
    samples = model.sample(6, seed=0, labels=[0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pictures.grid(samples, 2)[..., 0])
    assert pictures.read_provenance(path)["labels"] == [0, 0, 1, 1, 2, 2]


def _held_out(shape, target_channels=3, counts=(20, 12)):
    rng = np.random.default_rng(0)
    return tuple(
        rng.integers(0, 256, (count, *shape[:2], channels), dtype="uint8")
        for count, channels in zip(counts, (shape[2], target_channels), strict=True)
    )


def _drawn(model, tmp_path, **options):
    callback = SampleGrid(tmp_path, **options)
    callback.set_model(model)
    callback.on_train_begin()
    path = tmp_path / "images-000000000.png"
    return np.asarray(Image.open(path)), pictures.read_provenance(path)


def test_of_pairs_it_shows_input_output_and_truth(tmp_path):
    a, b = _held_out((32, 32, 1), counts=(20, 20))
    model = Pix2Pix((32, 32, 1), target_channels=3, width=2, max_channels=4)
    sheet, said = _drawn(model, tmp_path, rows=2, columns=2, held_out=(a, b))
    some = [0, 5, 10, 15]
    gray = a[some].repeat(3, axis=3)
    shown = np.stack([gray, model.translate(a[some]), b[some]], axis=1).reshape(12, 32, 32, 3)
    np.testing.assert_array_equal(sheet, pictures.grid(shown, columns=6))
    assert said["shown"] == "a, a_to_b, b" and said["class"] == "Pix2Pix"


def test_of_domains_it_shows_both_ways_and_back(tmp_path):
    a, b = _held_out((16, 16, 3), counts=(20, 3))
    model = TinyCycleGAN()
    sheet, said = _drawn(model, tmp_path, held_out=(a, b))
    assert sheet.shape == (2 * 18 + 2, 12 * 18 + 2, 3)  # three examples, two a row
    some, shown = a[[0, 6, 13]], []
    for images, ways in ((some, ("a_to_b", "b_to_a")), (b, ("b_to_a", "a_to_b"))):
        made = model.translate(images, ways[0])
        shown += [images, made, model.translate(made, ways[1])]
    shown = np.stack(shown, axis=1).reshape(18, 16, 16, 3)
    np.testing.assert_array_equal(sheet, pictures.grid(shown, columns=12))
    assert said["shown"] == "a, a_to_b, a_to_b_to_a, b, b_to_a, b_to_a_to_b"


def test_pictures_that_do_not_fit_the_model_are_refused(model, tmp_path):
    a, b = _held_out((16, 16, 3))
    for grids, of, said in (
        ({}, TinyCycleGAN(), r"held_out=\(a, b\) with a model that translates.*: none"),
        ({"held_out": (a, b)}, model, "Received: held_out, and a DCGAN"),
        ({"held_out": (a[:, :8], b)}, TinyCycleGAN(), "images of shape"),
    ):
        with pytest.raises(KganError, match=said):
            _drawn(of, tmp_path, **grids)


@pytest.mark.parametrize(
    "callback",
    [
        CollapseWarning(),
        LatentWalk("walks"),
        GenerativeMetrics(np.zeros((4, 16, 16, 3), "uint8"), metrics=["kernel_distance"]),
    ],
)
def test_callbacks_that_sample_refuse_a_model_that_translates(callback):
    callback.set_model(TinyCycleGAN())
    with pytest.raises(KganError, match="with a model that samples. Received: a TinyCycleGAN"):
        callback.on_train_begin()
