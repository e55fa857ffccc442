"""A process that works for as long as each line of its input says, and answers with its rate.

A line has seconds and images, of which at least as many are to pass.

`turns.Contestant` starts it with a specification in JSON: `engine`, a key of `ENGINES`, and what
that function takes. It answers with a line of JSON when it is ready, and after each turn.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kgan.cli.quiet import import_tensorflow

# Of each class: the side and the batch size of its recipe, and other arguments that differ there.
SIZES = {
    "gan": (28, 64, {}),
    "dcgan": (64, 64, {}),
    "wgan-gp": (28, 5 * 64, {}),
    "cgan": (28, 64, {}),
    "stylegan-lite": (64, 32, {}),
    "r3gan": (28, 64, {"gamma": 1.0, "final_gamma": 0.1}),
    "pix2pix": (64, 16, {"width": 32, "max_channels": 88}),
    "cyclegan": (64, 4, {"width": 16, "residual_blocks": 8}),
}
MATRIX = 4096  # side of the matrices whose product gives the peak

Work = Callable[[int], None]  # does so many steps


def pictures(side: int, number: int = 2048) -> np.ndarray:
    """Noise: what is in a picture takes no time. It is faint, or the GAN of 2014 would diverge."""
    shape = (number, side, side, 1 if side == 28 else 3)
    return np.random.default_rng(0).integers(96, 160, shape, dtype="uint8")


def _model(name, side, batch, precision, replicas=1, average=True, **arguments):
    """A compiled model, its batches, and how many images these have."""
    import kgan

    kinds = {kind.command(): kind for kind in map(kgan.models.__dict__.get, kgan.models.__all__)}
    own_side, own_batch, own = SIZES[name]
    side, batch = side or own_side, batch or own_batch
    images = pictures(side)
    arguments = {**own, **{key: v for key, v in arguments.items() if v is not None}}
    if not average:
        arguments["ema_half_life"] = None
    with _strategy(replicas).scope():
        model = kinds[name](images.shape[1:], dtype=precision, **arguments)
        model.compile()
    if isinstance(model, kgan.models.Pix2Pix | kgan.models.CycleGAN):
        data = kgan.data.pairs(
            images, images[::-1], image_shape=images.shape[1:], batch_size=batch
        ).repeat()
    else:
        labels = None if model.num_classes is None else np.arange(len(images)) % model.num_classes
        data = kgan.data.ImageSet(images, labels).stream(batch)
    return model, data, batch


def _strategy(replicas):
    import tensorflow as tf

    if replicas == 1:
        return tf.distribute.get_strategy()
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    tf.config.set_logical_device_configuration(cpu, parts)
    return tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)])


def fit(
    model: str,
    side: int | None = None,
    batch: int | None = None,
    precision: str = "float32",
    pipeline: str = "kgan.data",
    **arguments,
):
    """`model.fit`, with the callbacks that every step of `kgan train` meets.

    Args:
        pipeline: "kgan.data", "own", for one of plain `tf.data`, or "autotuned".
    """
    import flops
    import keras
    import tensorflow as tf

    from kgan.callbacks import TerminateOnDivergence

    built, data, batch = _model(model, side, batch, precision, **arguments)
    if pipeline != "kgan.data":
        data = tf.data.Dataset.from_tensor_slices(pictures(built.image_shape[0]))
        data = data.repeat().batch(batch, drop_remainder=True)
    if pipeline == "autotuned":
        options = tf.data.Options()
        options.autotune.enabled = True
        data = data.with_options(options)
    log = Path(tempfile.mkdtemp()) / "log.csv"
    callbacks = [TerminateOnDivergence(), keras.callbacks.CSVLogger(log)]

    def work(steps):
        built.fit(data, steps_per_epoch=steps, verbose=0, callbacks=callbacks)

    return work, batch, {"batch": batch, "flops": flops.of_step(built)}


def bare(
    model: str,
    side: int | None = None,
    batch: int | None = None,
    precision: str = "float32",
    **arguments,
):
    """The loop of `bare_loops.py` on the same networks and batches."""
    import bare_loops

    built, data, batch = _model(model, side, batch, precision, **arguments)
    step = bare_loops.LOOPS[model](built, batch)

    def work(steps):
        for data_of_step in data.take(steps):
            losses = step(*data_of_step) if isinstance(data_of_step, tuple) else step(data_of_step)
        [float(loss) for loss in losses]

    return work, batch, {"batch": batch}


def torch(
    model: str,
    side: int | None = None,
    batch: int | None = None,
    precision: str = "float32",
    width: int | None = None,
    compiled: bool = False,
):
    """The peer in PyTorch; mixed_bfloat16 is its autocast."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import players

    own_side, own_batch, _ = SIZES[model]
    side, batch = side or own_side, batch or own_batch
    width = width or {"stylegan-lite": 32}.get(model, 64)
    images = pictures(side)
    game = players.game(
        model, side, images.shape[-1], width, batch, precision == "mixed_bfloat16", compiled
    )
    return players.trained(game, images, batch), batch, {"batch": batch}


def peak(framework: str, precision: str = "float32"):
    """Operations a second of a product of large matrices."""
    dtype = {"float32": "float32", "mixed_bfloat16": "bfloat16"}[precision]
    if framework == "torch":
        import torch

        a = torch.ones(MATRIX, MATRIX, dtype=getattr(torch, dtype))
        multiply = a.matmul
    else:
        import tensorflow as tf

        a = tf.ones((MATRIX, MATRIX), dtype)
        product = tf.function(lambda a, b: tf.matmul(a, b))

        def multiply(b):
            return product(a, b).device  # waits in no other way on a CPU

    def work(steps):
        for _ in range(steps):
            multiply(a)

    return work, 2 * MATRIX**3, {}


def sampling(model: str, graph: bool = False):
    """Pictures of a preset, through Keras or through its graph."""
    import kgan

    source = kgan.zoo.sampler(model) if graph else kgan.zoo.load(model)

    def work(steps):
        for _ in source.iter_samples(100 * steps, seed=0):
            pass

    return work, 100, {}


ENGINES = {"fit": fit, "bare": bare, "torch": torch, "peak": peak, "sampling": sampling}


def main() -> None:
    """Builds, warms up, and takes turns until its input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    specification = json.loads(sys.argv[1])
    engine = specification.pop("engine")
    if "torch" not in (engine, specification.get("framework")) and not specification.get("graph"):
        import_tensorflow(begin=False)
    work, images, facts = ENGINES[engine](**specification)
    for steps in (2, 2, 4):  # traces, compiles, measures
        start = time.perf_counter()
        work(steps)
        step = (time.perf_counter() - start) / steps
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        for_seconds, for_images = map(float, line.split())
        steps = max(1, math.ceil(max(for_seconds / step, for_images / images)))
        start = time.perf_counter()
        work(steps)
        seconds = time.perf_counter() - start
        step = seconds / steps
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"rate": images * steps / seconds, "peak_mb": memory}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
