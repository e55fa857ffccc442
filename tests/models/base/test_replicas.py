"""What a model does with several devices, beside what each class's own test of them shows."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.models import GAN
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


@pytest.mark.parametrize("n", [8, 5, 2])
def test_a_batch_of_any_size_is_that_of_one_device(n):
    models = small_gans()
    for method in ("train_on_batch", "test_on_batch"):
        logs = [getattr(model, method)(images(n), return_dict=True) for model in models]
        # Of Keras 3.10 they are arrays.
        logs = [{name: float(value) for name, value in one.items()} for one in logs]
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


def test_accumulation_which_keras_cannot_on_several_devices_is_refused():
    one, two = small_gans()
    for model, allowed in ((one, True), (two, False)):
        made = [keras.optimizers.Adam(gradient_accumulation_steps=2) for _ in range(2)]
        with nullcontext() if allowed else pytest.raises(ValueError, match="accum.*2 devices"):
            model.compile(*made)


@pytest.mark.parametrize("clipped", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_gradients_are_clipped_as_on_one_device(clipped):
    models = small_gans()
    for model in models:
        with model.distribute_strategy.scope():
            made = [keras.optimizers.SGD(1.0, **{clipped: 0.01}) for _ in range(2)]
        model.compile(*made, run_eagerly=True)
        model.train_on_batch(images(5))
    assert_alike(*models)


@pytest.mark.parametrize("eager", [True, False])
def test_an_overflow_on_any_device_is_seen_by_all(eager):
    with floats("mixed_float16"), TWO_REPLICAS.scope():
        model = GAN(SHAPE, latent_dim=2, width=5)
    model.compile()
    optimizer, variables = model.d_optimizer, model.discriminator.trainable_variables
    before, scale = [v.numpy() for v in variables], float(optimizer.dynamic_scale.numpy())

    def step(overflowing):
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradient = tf.where(index == overflowing, np.inf, 1.0)
        optimizer.apply([tf.fill(v.shape, gradient) for v in variables], variables)

    run = TWO_REPLICAS.run if eager else tf.function(TWO_REPLICAS.run)
    for overflowing in range(2):
        run(step, (tf.constant(overflowing),))
        assert float(optimizer.dynamic_scale.numpy()) == scale / 2 ** (overflowing + 1)
        for v, value in zip(variables, before, strict=True):
            np.testing.assert_array_equal(v.numpy(), value)
    run(step, (tf.constant(2),))
    for v, value in zip(variables, before, strict=True):
        assert np.isfinite(v.numpy()).all()
        assert (v.numpy() != value).all()


def test_a_batch_that_leaves_a_device_without_an_image_is_left_out(recwarn):
    one, two = small_gans()
    arguments = {"batch_size": 4, "shuffle": False, "epochs": 2, "verbose": 0}
    one.fit(images(8), **arguments)
    two.fit(images(9), validation_data=images(5), **arguments)
    assert int(two.images_seen.numpy()) == 16
    for v, w in zip(one.trainable_variables, two.trainable_variables, strict=True):
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=0, atol=1e-12, err_msg=v.path)
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_batches_of_fewer_images_than_devices_are_refused(call):
    _, two = small_gans()
    batches = tf.data.Dataset.from_tensors(images(1)).repeat(3)
    with pytest.raises(ValueError, match="at least 2 images, one for each device. Received: 1"):
        getattr(two, call)(images(1) if "batch" in call else batches)
