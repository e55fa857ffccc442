"""What needs a GPU: `pytest -m gpu`, on a machine that has one or more."""

import numpy as np
import pytest
import tensorflow as tf
from models import every
from models.harness import floats

from kgan.models.base.pair import inner

GPUS = tf.config.list_physical_devices("GPU")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPUS, reason="Expected a GPU. Received: none"),
]
of_every_class = pytest.mark.parametrize("name", every.HARNESSES)


def fitted(name, **arguments):
    model = every.model(name, smooth=False)
    model.compile(**arguments)
    logs = model.fit(every.batches(name).take(4), verbose=0).history
    assert np.isfinite(list(logs.values())).all()
    assert int(model.images_seen.numpy()) == 4 * every.BATCH
    return model


@of_every_class
def test_it_trains_and_draws_on_the_gpu(name):
    model = fitted(name)
    for variable in model.trainable_variables:
        assert "GPU" in variable.value.device, variable.path
    for average in model.averages.values():
        given = [np.zeros((2, *x.shape[1:]), x.dtype) for x in average.inputs]
        assert "GPU" in average(given, training=False).device


@of_every_class
def test_float16_is_finite_and_its_loss_scale_moves(name):
    with floats("mixed_float16"):
        model = every.model(name, smooth=False)
        model.compile()
        scales = []
        for optimizer in (model.g_optimizer, model.d_optimizer):
            optimizer.dynamic_scale.assign(2.0**40)  # too large: it must come down
            scales.append(optimizer.dynamic_scale)
        model.fit(every.batches(name).take(16), verbose=0)
    assert all(scale.numpy() < 2.0**40 for scale in scales)
    for variable in model.trainable_variables:
        assert variable.dtype == "float32" and np.isfinite(variable.numpy()).all(), variable.path
    assert inner(model.g_optimizer) is not model.g_optimizer


@pytest.mark.skipif(len(GPUS) < 2, reason="Expected two GPUs. Received: fewer")
@pytest.mark.parametrize("optimizer", every.OPTIMIZERS)
@of_every_class
def test_all_gpus_equal_one(name, optimizer):
    gpus = tf.config.list_logical_devices("GPU")
    strategy = tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    one = every.trained(name, optimizer)
    every.assert_close(one, every.trained(name, optimizer, strategy), 1e-8)


def test_the_command_line_takes_only_the_memory_that_it_needs(run_python, tmp_path):
    code = (
        "from kgan.cli.quiet import import_tensorflow\n"
        "import_tensorflow()\n"
        "import tensorflow as tf\n"
        "gpus = tf.config.list_physical_devices('GPU')\n"
        "assert gpus and all(map(tf.config.experimental.get_memory_growth, gpus))\n"
    )
    assert run_python("-c", code, cwd=tmp_path).returncode == 0
