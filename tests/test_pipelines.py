"""What `fit` sets of the pipelines that it trains on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.base.test_inputs import Loader, Sequence, dataset, generator, uint8

import kgan
from kgan import pipelines
from kgan.models import GAN

FLOATS = np.float32(uint8()) / 127.5 - 1.0
FORMS = {
    "array": lambda: FLOATS,
    "dataset": lambda: dataset(FLOATS),
    "of unknown shape": lambda: dataset(FLOATS).map(
        lambda x: tf.compat.v1.placeholder_with_default(x, None)
    ),
    "sequence": lambda: Sequence(FLOATS),
    "generator": lambda: generator(FLOATS),
    "loader": lambda: Loader(FLOATS),
}


@pytest.fixture
def received(monkeypatch):
    """The data sets that Keras has given to the strategy."""
    kind, found = type(tf.distribute.get_strategy()), []
    distribute = kind.experimental_distribute_dataset

    def record(self, dataset, *args, **kwargs):
        found.append(dataset)
        return distribute(self, dataset, *args, **kwargs)

    monkeypatch.setattr(kind, "experimental_distribute_dataset", record)
    return found


@pytest.fixture(scope="module")
def model():
    model = GAN((16, 16, 3), latent_dim=4, width=5)
    model.compile(run_eagerly=True)
    return model


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_tuned_beside_the_training(model, received, form):
    model.fit(FORMS[form](), batch_size=None if form != "array" else 2, verbose=0)
    assert [dataset.options().autotune.enabled for dataset in received] == [False]
    assert "experimental_distribute_dataset" not in vars(tf.distribute.get_strategy())


def test_validation_and_evaluation_likewise(model, received):
    model.fit(FLOATS, validation_data=dataset(FLOATS), verbose=0)
    model.evaluate(FLOATS, verbose=0)
    assert [dataset.options().autotune.enabled for dataset in received] == [False] * 3


def test_so_is_the_validation_of_a_fit_that_evaluates_meanwhile(model, received):
    evaluate = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.evaluate(FLOATS, verbose=0)
    )
    model.fit(FLOATS, validation_data=dataset(FLOATS), callbacks=[evaluate], verbose=0)
    assert [dataset.options().autotune.enabled for dataset in received] == [False] * 3


@pytest.mark.parametrize("enabled", [True, False])
def test_options_of_the_users_are_kept(model, received, enabled):
    options = tf.data.Options()
    options.autotune.enabled, options.threading.max_intra_op_parallelism = enabled, 3
    model.fit(dataset(FLOATS).with_options(options), verbose=0)
    assert received[0].options() == options


def test_other_options_of_the_users_are_kept(model, received):
    options = tf.data.Options()
    options.deterministic = False
    model.fit(dataset(FLOATS).with_options(options), verbose=0)
    assert received[0].options().deterministic is False
    assert received[0].options().autotune.enabled is False


def test_other_trainings_are_as_they_were(model, received):
    model.fit(FLOATS, verbose=0)
    tf.distribute.get_strategy().experimental_distribute_dataset(dataset(FLOATS))
    assert received[-1].options().autotune.enabled is None


@pytest.mark.parametrize(("processes", "replicas"), [(2, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("kind", ["stream", "dataset"])
def test_slices_of_all_processes_are_the_batch(kind, processes, replicas):
    images = kgan.data.load(uint8(21), image_shape=(16, 16, 3))
    batches = images.stream(8) if kind == "stream" else images.dataset(8, shuffle=False)
    slices = []
    for index in range(processes):
        own = tf.distribute.InputContext(processes, index, processes * replicas)
        slices.append(pipelines._slices(batches, own))
        assert slices[-1].options().autotune.enabled is False
        endless = slices[-1].cardinality() == tf.data.INFINITE_CARDINALITY
        assert endless == (kind == "stream")
    found = [list(some.take(3 * replicas).as_numpy_iterator()) for some in slices]
    for step, batch in enumerate(batches.take(3).as_numpy_iterator()):
        rows = [some[step * replicas : (step + 1) * replicas] for some in found]
        np.testing.assert_array_equal(np.concatenate(sum(rows, [])), batch)


def test_what_is_made_of_a_pipeline_of_kgans_is_dealt_out_too():
    mine = kgan.data.dataset(uint8(16), image_shape=(16, 16, 3), batch_size=4)
    for made in (mine, mine.take(2), mine.map(lambda x: x), mine.repeat(), mine.prefetch(1)):
        assert pipelines._is_same_everywhere(made)
    assert not pipelines._is_same_everywhere(dataset(FLOATS))
