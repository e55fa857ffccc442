"""Data that cannot be trained on is refused before or at the first batch, with advice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.models import DCGAN

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def model():
    model = DCGAN(SHAPE, latent_dim=4, width=4)
    model.compile(run_eagerly=True)  # quicker than a graph for every form
    return model


def uint8(n=4, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype="uint8")


def dataset(images):
    return tf.data.Dataset.from_tensor_slices(images).batch(2)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return len(self.images) // 2

    def __getitem__(self, i):
        return (self.images[2 * i : 2 * i + 2],)


def generator(images):
    return ((images[i : i + 2],) for i in range(0, len(images), 2))


FORMS = {"array": lambda x: x, "dataset": dataset, "sequence": Sequence, "generator": generator}

REFUSED = {
    "wrong side": (uint8(shape=(32, 32, 3)), r"shape \(batch, 16, 16, 3\).*Received.*32, 32, 3"),
    "wrong channels": (uint8(shape=(16, 16, 1)), r"Received.*16, 16, 1"),
    "int64": (uint8().astype("int64"), r"dtype uint8.*Received: dtype int64.*astype"),
    "floats in [0, 255]": (uint8().astype("float32"), r"\[-1, 1\].*Received.*images / 127.5 - 1"),
    "floats in [0, 1]": (uint8() / np.float32(255), r"some of them below 0.*images \* 2 - 1"),
    "standardised floats": (uint8() / np.float32(64) - 2, r"Received: a batch in \[-2"),
    "not a number": (np.full((4, *SHAPE), np.nan, "float32"), r"Received: a batch in \[nan"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(model, case, form):
    images, message = REFUSED[case]
    before = int(model.images_seen.numpy())
    with pytest.raises(ValueError, match=message):
        model.fit(FORMS[form](images), batch_size=2 if form == "array" else None, verbose=0)
    assert int(model.images_seen.numpy()) == before


@pytest.mark.parametrize("form", FORMS)
def test_accepted_with_no_batch_lost(model, form):
    before = int(model.images_seen.numpy())
    floats = uint8(6).astype("float32") / 127.5 - 1
    model.fit(FORMS[form](floats), batch_size=2 if form == "array" else None, verbose=0)
    assert int(model.images_seen.numpy()) == before + 6


def test_unbatched_dataset(model):
    with pytest.raises(ValueError, match="must be batched"):
        model.fit(tf.data.Dataset.from_tensor_slices(uint8()), verbose=0)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
def test_other_methods_refuse_as_well(model, method):
    with pytest.raises(ValueError, match=r"images / 127.5 - 1"):
        getattr(model, method)(uint8().astype("float32"))


def test_dataset_of_dicts(model):
    dicts = tf.data.Dataset.from_tensor_slices({"image": uint8()}).batch(2)
    with pytest.raises(ValueError, match=r"\(images, labels\).*Received.*image.*as_supervised"):
        model.fit(dicts, verbose=0)


def test_uncompiled_model_says_so():
    with pytest.raises(ValueError, match="compile"):
        DCGAN(SHAPE, latent_dim=4, width=4).fit(uint8(), verbose=0)
