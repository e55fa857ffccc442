"""What a model does with several devices, beside what each class's own test of them shows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.models import GAN
from models import every
from models.harness import TWO_REPLICAS, all_variables, floats

SHAPE = (8, 8, 1)


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")


def small_gans(**arguments):
    """A model on one device, and the same one on two."""
    models = []
    with floats("float64"):
        for strategy in (tf.distribute.get_strategy(), TWO_REPLICAS):
            with strategy.scope():
                z, x = keras.Input((4,)), keras.Input(SHAPE)
                init = keras.initializers.GlorotUniform(1)
                pixels = keras.layers.Dense(64, "tanh", kernel_initializer=init)(z)
                flat = keras.layers.Flatten()(x)
                g = keras.Model(z, keras.layers.Reshape(SHAPE)(pixels))
                d = keras.Model(x, keras.layers.Dense(1, kernel_initializer=init)(flat))
                model = GAN(SHAPE, generator=g, discriminator=d, **arguments)
            model.compile(run_eagerly=True)
            models.append(model)
    return models


def assert_alike(one, two, tolerance=1e-12):
    for v, w in zip(all_variables(one), all_variables(two), strict=True):
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=0, atol=tolerance, err_msg=v.path)


@pytest.mark.parametrize("n", [8, 5, 1])
def test_a_batch_of_any_size_is_that_of_one_device(n):
    models = small_gans()
    logs = [model.train_on_batch(images(n), return_dict=True) for model in models]
    assert logs[0] == pytest.approx(logs[1], rel=1e-12)
    logs = [model.test_on_batch(images(n), return_dict=True) for model in models]
    assert logs[0] == pytest.approx(logs[1], rel=1e-12)
    assert int(models[1].images_seen.numpy()) == int(models[1].images_tested.numpy()) == n
    assert_alike(*models)


def test_logs_of_each_batch_are_of_all_images():
    logs = [[], []]
    data = tf.data.Dataset.from_tensor_slices(images(13)).batch(8)  # the last one is cut unevenly
    for model, mine in zip(small_gans(), logs, strict=True):
        noted = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, mine=mine: mine.append(dict(logs))
        )
        model.fit(data, verbose=0, callbacks=[noted])
    for one, two in zip(*logs, strict=True):
        assert {k: float(v) for k, v in one.items()} == pytest.approx(
            {k: float(v) for k, v in two.items()}, rel=1e-12
        )


def test_no_batch_is_lost_before_training():
    one, two = small_gans()
    for model in (one, two):
        model.fit(iter([images(8), images(8)]), verbose=0)
        assert int(model.images_seen.numpy()) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jit_compile": True}, "jit_compile to be left out.* 2 devices.*Received: jit_compile=T"),
        ({"steps_per_execution": 4}, "steps_per_execution to be left.*steps_per_execution=4"),
    ],
)
def test_what_tensorflow_cannot_do_on_several_devices_is_refused(arguments, message):
    one, two = small_gans()
    one.compile(**arguments)
    with pytest.raises(ValueError, match=message):
        two.compile(**arguments)
    two.compile(jit_compile="auto", steps_per_execution=1)
    assert not two.jit_compile


@pytest.mark.slow
@pytest.mark.parametrize("name", every.HARNESSES)
def test_every_class_takes_batches_smaller_than_the_devices_are_many(name):
    harness = every.HARNESSES[name]()
    data = every.batches(name).take(1)
    data = data.concatenate(harness.dataset(getattr(harness, "smallest_batch", 1)))
    models = []
    with floats("float64"):
        for strategy in (tf.distribute.get_strategy(), TWO_REPLICAS):
            with strategy.scope():
                model = every.model(name)
            model.compile(*(every.OPTIMIZERS["sgd"]() for _ in range(2)), run_eagerly=True)
            model.fit(data, validation_data=data, verbose=0)
            models.append(model)
    for v, w in zip(*map(all_variables, models), strict=True):
        tolerance = 1e-6 if v.dtype == "float32" else 1e-12
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=0, atol=tolerance, err_msg=v.path)
