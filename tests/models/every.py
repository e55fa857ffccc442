"""Every class of models in a small configuration, for what all of them must do on many devices."""

import keras
import numpy as np
import tensorflow as tf

from kgan.pipelines import same_everywhere
from models import (
    test_conditional_gan,
    test_cycle_gan,
    test_dcgan,
    test_gan,
    test_pix2pix,
    test_r3gan,
    test_stylegan_lite,
    test_wgan_gp,
)
from models.harness import SHAPE, TWO_REPLICAS, all_variables, floats  # noqa: F401
from models.translation_harness import SHAPE as TRANSLATED
from models.translation_harness import TranslationHarness

HARNESSES = {
    "gan": test_gan.TestGAN,
    "lazy penalty": test_gan.TestSubclassWithLazyPenalty,
    "dcgan": test_dcgan.TestDCGAN,
    "dcgan with r1": test_dcgan.TestDCGANWithR1,
    "wgan-gp": test_wgan_gp.TestWGANGP,
    "conditional": test_conditional_gan.TestConditionalGAN,
    "stylegan-lite": test_stylegan_lite.TestStyleGANLite,
    "stylegan-lite with everything": test_stylegan_lite.TestStyleGANLiteWithEverything,
    "r3gan": test_r3gan.TestR3GAN,
    "pix2pix": test_pix2pix.TestPix2Pix,
    "cyclegan": test_cycle_gan.TestCycleGAN,
}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(1e-3),
    "adam": lambda: keras.optimizers.Adam(1e-4, 0.5),
}
TOLERANCE = {"sgd": 1e-12, "adam": 1e-8}
BATCH = 8


STEPS = 20


def model(name: str, smooth: bool = True, **more):
    """A model as its harness has it; or a smooth one, whose float64 runs can be compared."""
    harness = HARNESSES[name]()
    config = harness.config
    if smooth:
        kept = config if issubclass(HARNESSES[name], TranslationHarness) else {}
        config = {**kept, **harness.smooth_config}
    return harness.kind(shape_of(name), **{**config, **more})


def shape_of(name: str) -> tuple[int, int, int]:
    return TRANSLATED if issubclass(HARNESSES[name], TranslationHarness) else SHAPE


def batches(name: str) -> tf.data.Dataset:
    """Batches for `STEPS` steps, of which the last one is smaller and cut unevenly."""
    harness = HARNESSES[name]()
    images = (STEPS - 1) * BATCH + getattr(harness, "last_batch", 5)
    return same_everywhere(harness.dataset(images))


def trained(
    name: str, optimizer: str, strategy: tf.distribute.Strategy | None = None
) -> dict[str, np.ndarray]:
    """Everything that a training in float64 has moved, and what it has logged.

    Without a strategy it is of one device, and eager.
    """
    with floats("float64"):
        with (strategy or tf.distribute.get_strategy()).scope():
            compiled = model(name)
        make = OPTIMIZERS[optimizer]
        compiled.compile(make(), make(), run_eagerly=strategy is None)
        data = batches(name)
        history = compiled.fit(data, validation_data=data.take(2), verbose=0).history
    state = {f"{i} {v.path}": v.numpy() for i, v in enumerate(all_variables(compiled))}
    return {**state, **{f"log {key}": np.array(value) for key, value in history.items()}}


def assert_close(one: dict[str, np.ndarray], many: dict[str, np.ndarray], tolerance: float) -> None:
    """Two trainings have come to the same but for rounding; what is float32 in both by more."""
    assert [k for k in one if k.startswith("log ")] == [k for k in many if k.startswith("log ")]
    for (key, value), other in zip(one.items(), many.values(), strict=True):
        allowed = 1e-6 if value.dtype == np.float32 else tolerance
        np.testing.assert_allclose(other, value, rtol=0, atol=allowed, err_msg=key)
