"""kgan.models.base.keras_files: what Keras writes to files, made in memory."""

import keras
import numpy as np
import pytest

from kgan.errors import KganError
from kgan.models import DCGAN
from kgan.models.base import keras_files


def model_of(seed):
    model = DCGAN((16, 16, 1), latent_dim=4, width=2, seed=seed)
    model.compile()
    return model


def equal(one, other):
    return all(map(np.array_equal, one.weights, other.weights))


def test_keras_reads_the_weights(tmp_path):
    model, other = model_of(0), model_of(1)
    (tmp_path / "model.weights.h5").write_bytes(keras_files.weights(model))
    assert not equal(model, other)
    keras.Model.load_weights(other, tmp_path / "model.weights.h5")
    assert equal(model, other)


def test_the_weights_of_keras_are_read(tmp_path):
    model, other = model_of(0), model_of(1)
    keras.Model.save_weights(model, tmp_path / "model.weights.h5")
    keras_files.load_weights(other, (tmp_path / "model.weights.h5").read_bytes())
    assert equal(model, other)


def test_keras_loads_the_archive(tmp_path):
    model = model_of(0)
    (tmp_path / "model.keras").write_bytes(keras_files.archive(model))
    assert equal(keras.saving.load_model(tmp_path / "model.keras"), model)


def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(KganError, match="Expected to write .*missing/x. Received: No such file"):
        keras_files.write_over(tmp_path / "missing" / "x", b"")
