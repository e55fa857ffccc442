"""Whatever a public function is given, what it refuses it refuses in one line of its own.

A row of the table is a call that is right, and for each argument a kind of values that are wrong.
"""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.base.test_translation import TinyCycleGAN
from PIL import Image

from kgan import (
    augment,
    callbacks,
    data,
    latents,
    layers,
    losses,
    metrics,
    models,
    random,
    zoo,
)
from kgan.errors import KganError

NAN, INF = float("nan"), float("inf")
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
FLOATS = IMAGES[:4] / np.float32(127.5) - 1
FEATURES = np.random.default_rng(1).normal(size=(12, 4))
LABELS = np.arange(8) % 3

# Wrong values by what is wanted.
NO_NUMBER = ("3", [3], {}, True, NAN, b"3", object())
COUNT = (0, -1, 1.5, None, *NO_NUMBER)  # an int >= 1
KERAS = (0, -1)  # Keras' own arguments, by whose own errors it refuses them
OLD_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15)  # it takes some of them
COUNT_OR_NONE = tuple(value for value in COUNT if value is not None)
COUNT_0 = COUNT[1:]  # an int >= 0
SEED = (*COUNT_0, 2**64)
SEEDS = (None, 3, "0,1", [], {}, True, object(), [None], ["0"], [-1], [1.5], [2**64], [True], [NAN])
SEED_OR_NONE = tuple(value for value in SEED if value is not None)
REAL = (None, INF, -INF, 1e300, *NO_NUMBER)
FLAG = (None, "yes", 2, [True], NAN)
TEXT = (None, 3, 1.5, True, [], {}, object(), "no such thing")
TEXT_OR_NONE = TEXT[1:]
PATH = (None, 3, 1.5, True, [], {}, object(), "a\0b", "")
SHAPE = (
    *(None, 16, "16x16", (), (16, 16), (16, 16, 3, 1), (0, 16, 3), (-16, 16, 3), (16.0, 16, 3)),
    *((16, 16, 2), (16, 16, None), (True, 16, 3), ("16", 16, 3), (10**9, 16, 3), (NAN, 16, 3), {}),
)
NO_ARRAY = (None, 3, "text", True, [], {}, object(), [[1], [1, 2]], np.array(["a"]))
FEATURE = (*NO_ARRAY, FEATURES[0], FEATURES[None], FEATURES[:, :0], FEATURES * NAN, FEATURES * INF)
NO_IMAGES = (*NO_ARRAY, IMAGES[0], IMAGES[..., None], IMAGES.astype(str), IMAGES.astype(object))
LABEL = (
    *(3, -1, 1.7, NAN, True, "1", "cat", b"1", {}, object(), [0] * 3, [0, 1, 2, 3], [0.0] * 4),
    *([1.7] * 4, [True] * 4, ["0"] * 4, [None] * 4, [[0]] * 4, [-1] * 4, [NAN] * 4, 10**30),
)
CALLBACK = {"every_images": COUNT_OR_NONE, "every_epochs": COUNT_OR_NONE}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What rows need that is made once."""
    place = tmp_path_factory.mktemp("world")
    plain = models.GAN((16, 16, 3), latent_dim=4, width=5)
    plain.compile(run_eagerly=True)  # tracing would take most of the time
    conditional = models.StyleGANLite((16, 16, 3), latent_dim=4, width=2, num_classes=3)
    conditional.compile(run_eagerly=True)
    return {
        "pair": TinyCycleGAN(),
        "open": models.CycleGAN((20, 20, 3), width=2, residual_blocks=0, pool_size=0),
        "plain": plain,
        "conditional": conditional,
        "place": place,
    }


def _table():
    """(name, function of the world, right arguments, wrong values by argument)."""

    def of(name, method, right, **wrong):
        return f"{name}.{method}", (lambda world: getattr(world[name], method)), right, wrong

    def row(function, right=(), **wrong):
        name = f"{function.__module__}.{function.__qualname__}".removeprefix("kgan.")
        return name, (lambda world: function), dict(right), wrong

    yield row(
        latents.sample_latents,
        {"seed": 0, "start": 0, "stop": 4, "latent_dim": 4},
        seed=SEED,
        start=COUNT_0,
        stop=COUNT_0,
        latent_dim=COUNT,
    )
    yield row(
        latents.sample_labels,
        {"seed": 0, "start": 0, "stop": 4, "num_classes": 3},
        seed=SEED,
        start=COUNT_0,
        stop=COUNT_0,
        num_classes=COUNT,
    )
    yield row(
        latents.slerp,
        {"start": [1.0, 0], "stop": [0.0, 1], "t": 0.5},
        start=(*NO_ARRAY, [0.0, 0], [NAN, 1]),
        stop=(*NO_ARRAY, [1.0, 0, 0], [INF, 1]),
        t=(*REAL, -0.1, 1.1),
    )
    yield row(
        latents.walk_latents,
        {"seed": 0, "walkers": 2, "stops": 2, "steps": 2, "latent_dim": 4},
        seed=SEED,
        walkers=COUNT,
        stops=(1, *COUNT),
        steps=COUNT,
        latent_dim=COUNT,
    )

    yield row(losses.get, {"name": "hinge"}, name=TEXT)
    yield row(
        losses.gradient_penalty,
        {"critic": _critic, "real_images": FLOATS, "fake_images": FLOATS},
        critic=(None, 3, "text", lambda x: None, lambda x: 3),
        real_images=(*NO_IMAGES, FLOATS[:3]),
        fake_images=(*NO_IMAGES, IMAGES),
        mix=(3, "text", [], NAN, object()),
    )
    for penalty in (losses.r1, losses.r2):
        name = "real_images" if penalty is losses.r1 else "fake_images"
        yield row(
            penalty,
            {"discriminator": _critic, name: FLOATS},
            discriminator=(None, 3, "text", lambda x: None),
            **{name: (*NO_IMAGES, IMAGES)},
        )

    transforms = (None, 3, "no such", [], ["color", "color"], [None], {}, True, NAN, object())
    yield row(augment.DiffAugment, transforms=transforms)
    yield row(
        augment.AdaptiveAugment,
        transforms=transforms,
        target=(*REAL, 2),
        interval=COUNT,
        ramp_images=REAL,
        strength=(*REAL, -0.1),
    )
    yield row(
        augment.get,
        {"augment": "DiffAugment"},
        augment=(
            3,
            "no such",
            {},
            {"name": None},
            {"name": "DiffAugment", "transforms": 3},
            {"name": "DiffAugment", "no": 1},
            [],
            True,
            object(),
            NAN,
        ),
    )
    for kind in (augment.DiffAugment, augment.AdaptiveAugment):
        yield (
            f"{kind.__name__}()",
            (lambda world, k=kind: k()),
            {"images": FLOATS, "draws": 0},
            {"images": NO_IMAGES, "draws": (None, "text", 1.5, NAN, [], True, -1)},
        )
    yield row(random.Draws, {"seed": 0, "counter": 0, "local_batch": 4}, seed=COUNT_0)

    of_all = {
        "image_shape": SHAPE,
        "width": COUNT_OR_NONE,
        "seed": COUNT_0,
        "ema_half_life": (0, *[v for v in REAL if v is not None], -1),
        "augment": (
            3,
            "no",
            [],
            {},
            True,
            {"name": 3},
            {"name": "DiffAugment", "x": 1},
            {"name": "DiffAugment", "transforms": ["no"]},
            NAN,
        ),
        "dtype": (3, "no"),
    }
    for kind in (
        models.GAN,
        models.DCGAN,
        models.WGANGP,
        models.ConditionalGAN,
        models.StyleGANLite,
        models.R3GAN,
    ):
        right = {"image_shape": (16, 16, 3), "latent_dim": 4, "width": 5}
        wrong = {**of_all, "latent_dim": COUNT_OR_NONE}
        if kind is models.ConditionalGAN:
            right["num_classes"] = 3
        if "num_classes" in kind.ARGUMENTS and kind is not models.GAN:
            wrong["num_classes"] = COUNT_OR_NONE
        if kind is models.GAN:
            wrong["generator"] = wrong["discriminator"] = (3, "text", [], _critic)
            wrong["loss"] = TEXT
        for name in set(kind.ARGUMENTS) - {*wrong, "num_classes"}:
            wrong[name] = ("text no", [], {}, object(), -1, NAN)
        yield row(kind, right, **wrong)

    for kind in (models.Pix2Pix, models.CycleGAN):
        wrong = {name: ("text no", [], {}, object(), -1, NAN) for name in kind.ARGUMENTS}
        yield row(kind, {"image_shape": (32, 32, 3), "width": 2}, **{**wrong, **of_all})

    for name in ("g_optimizer", "d_optimizer"):
        yield of(
            "plain",
            "compile",
            {"run_eagerly": True},
            **{
                name: (
                    3,
                    "no such",
                    [],
                    {},
                    True,
                    object(),
                    *(_Optimizer(value) for value in (-1e-3, NAN, INF, 1e30)),
                )
            },
        )
    yield of(
        "plain",
        "compile",
        {"run_eagerly": True},
        optimizer=("adam",),
        loss=("mse",),
        metrics=(["mae"],),
        steps_per_execution=(0, -1, 1.5, "no"),
        jit_compile=("no",),
        run_eagerly=("no", 3),
    )
    yield of(
        "plain",
        "fit",
        {"x": IMAGES, "batch_size": 4, "verbose": 0},
        x=(
            *NO_IMAGES,
            IMAGES[:0],
            IMAGES[:, :8],
            FLOATS * NAN,
            (),
            _empty(),
            _infinite(0),
            iter(()),
            FLOATS.astype(complex),
            IMAGES.astype(bool),
            IMAGES.astype("int64"),
        ),
        epochs=(*COUNT,),
        batch_size=COUNT_OR_NONE,
        steps_per_epoch=COUNT_OR_NONE,
        initial_epoch=COUNT_0,
        callbacks=(3, "text", [3], [None], object()),
        validation_data=(3, "text", IMAGES[:0], IMAGES[0], FLOATS * NAN),
        verbose=("no", [], NAN, object()),
        sample_weight=(np.ones(8),),
        validation_split=(-0.1, 1.0, NAN, "no", INF),
        validation_freq=(0, -1, "no", NAN),
        validation_steps=COUNT_OR_NONE,
    )
    yield of(
        "conditional",
        "fit",
        {"x": IMAGES, "y": LABELS, "batch_size": 4, "verbose": 0},
        y=(
            None,
            3,
            "text",
            LABELS[:3],
            LABELS + 0.5,
            LABELS.astype(float),
            LABELS > 0,
            LABELS + 9,
            LABELS - 1,
            LABELS.astype(str),
            np.eye(3)[LABELS],
            list("cat"),
            [],
            LABELS * NAN,
            LABELS.astype(object),
        ),
    )
    yield of(
        "plain",
        "evaluate",
        {"x": IMAGES, "batch_size": 4, "verbose": 0},
        x=(*NO_IMAGES, IMAGES[:0], FLOATS * NAN, _empty()),
        batch_size=COUNT_OR_NONE,
        steps=COUNT_OR_NONE,
    )
    yield of("plain", "train_on_batch", {"x": IMAGES}, x=(*NO_IMAGES, IMAGES[:0], FLOATS * NAN))
    yield of(
        "conditional",
        "train_on_batch",
        {"x": IMAGES, "y": LABELS},
        y=(None, 3, "text", LABELS[:3], LABELS + 0.5, LABELS > 0, LABELS + 9, LABELS * NAN),
    )
    yield of("plain", "test_on_batch", {"x": IMAGES}, x=(*NO_IMAGES, IMAGES[:0], FLOATS * NAN))
    for method in ("sample", "iter_samples"):
        yield of(
            "conditional",
            method,
            {"n": 4, "seed": 0},
            n=COUNT_0,
            seed=SEED_OR_NONE,
            batch_size=COUNT,
            labels=LABEL,
            truncation=[v for v in REAL if v is not None],
            no_such=(1,),
        )
        yield of("plain", method, {"n": 4, "seed": 0}, labels=(0, [0] * 4), truncation=(0.5, NAN))
    for method in ("interpolate", "iter_interpolation"):
        yield of(
            "conditional",
            method,
            {"seeds": [0, 1], "frames": 4, "images": 2},
            seeds=SEEDS + ([0],),
            frames=(1, *COUNT),
            images=COUNT,
            labels=LABEL,
            truncation=[v for v in REAL if v is not None],
            no_such=(1,),
        )
        yield of("plain", method, {"seeds": [0, 1], "frames": 2}, labels=(0,), truncation=(0.5,))
    yield of(
        "conditional",
        "mix",
        {"rows": [0, 1], "columns": [2, 3]},
        rows=SEEDS,
        columns=SEEDS,
        layers=TEXT,
        labels=LABEL,
        truncation=[v for v in REAL if v is not None],
    )
    yield of(
        "conditional",
        "render",
        {"latents": np.zeros((4, 4)), "labels": 0},
        latents=(
            *NO_ARRAY,
            np.zeros(4),
            np.zeros((4, 3)),
            np.full((4, 4), NAN),
            np.full((4, 4), INF),
            np.full((4, 4), 1e300),
            np.zeros((4, 4), bool),
        ),
        labels=(None, *LABEL),
        truncation=[v for v in REAL if v is not None],
    )
    yield of(
        "conditional",
        "render_styles",
        {"styles": np.zeros((4, 6, 4))},
        styles=(
            *NO_ARRAY,
            np.zeros((6, 4)),
            np.zeros((4, 5, 4)),
            np.zeros((4, 6, 3)),
            np.full((4, 6, 4), NAN),
            np.full((4, 6, 4), 1e300),
        ),
    )
    yield of(
        "plain",
        "project",
        {"images": IMAGES[:1], "steps": 1, "starts": 1},
        images=(*NO_IMAGES, IMAGES[:0], FLOATS * NAN, FLOATS * 100, IMAGES[:, :8]),
        steps=COUNT,
        starts=(*COUNT, 10**6),
        seed=SEED,
        labels=(0, [0]),
        features=(3, "faces", True, [], {}, lambda images: None, lambda images: images),
        progress=(3, "text", True, []),
    )
    yield of(
        "conditional",
        "project",
        {"images": IMAGES[:1], "steps": 1, "starts": 1, "labels": 0},
        labels=LABEL,
    )
    for name in ("plain", "conditional"):
        yield of(name, "save", {"filepath": "m.keras"}, filepath=(*PATH, "m.txt"))
        yield of(name, "save_to_preset", {"directory": "p"}, directory=PATH)
        yield of(name, "save_weights", {"filepath": "m.weights.h5"}, filepath=PATH)
    yield of(
        "plain",
        "export",
        {"filepath": "m.onnx", "format": "onnx"},
        filepath=(*PATH, "m", "m.tflite"),
        format=(*TEXT, "torch", "litert", "saved_model", "tf_saved_model"),
        verbose=("yes", 2, [True], NAN),
        input_signature=(3, "text", True, [], {}, object(), [tf.TensorSpec([None, 5])]),
        opset_version=(17, None),
        no_such=(1,),
    )
    yield of(
        "pair",
        "export",
        {"filepath": "m", "direction": "b_to_a"},
        filepath=(*PATH, "m.onnx"),
        direction=TEXT,
    )
    yield of("plain", "from_preset", {"source": "dcgan-mnist"}, source=(*PATH, "no-such"))

    yield of(
        "pair",
        "translate",
        {"images": IMAGES},
        images=(*NO_IMAGES, FLOATS * NAN, FLOATS * INF, FLOATS * 100, IMAGES[:, :8]),
        direction=TEXT,
    )
    yield of(
        "open",
        "translate",
        {"images": IMAGES[:, :9], "direction": "b-to-a"},
        images=(
            *(*NO_IMAGES, FLOATS * NAN, FLOATS * 100, IMAGES[:, :4], IMAGES[:, :, :1]),
            *(IMAGES[..., :1], np.moveaxis(IMAGES, -1, 1), IMAGES[:, :0]),
            np.broadcast_to(IMAGES[:1, :1, :1], (1, 1 << 20, 1 << 20, 3)),
        ),
        direction=(*TEXT, "a-b", "B_TO_A"),
    )

    right = {"source": IMAGES, "image_shape": (16, 16, 3)}
    source = (
        None,
        3,
        1.5,
        True,
        {},
        object(),
        [],
        [3],
        [None],
        (),
        (IMAGES,),
        (IMAGES, 1, 2),
        "no such folder",
        "",
        "a\0b",
        "tfds:",
        "tfds:no_such_data",
        IMAGES[:0],
        IMAGES[0, 0],
        IMAGES[..., :2],
        FLOATS,
        FLOATS * NAN,
        (IMAGES, LABELS[:3]),
        (IMAGES, LABELS + 0.7),
        (IMAGES, LABELS - 1),
        (IMAGES, ["a"] * 8),
        (IMAGES, None),
        (IMAGES, LABELS * NAN),
        (IMAGES, 3),
        (None, LABELS),
        (IMAGES, [[0], [1, 2]]),
        (IMAGES, [10**30] * 8),
        IMAGES.astype(object),
        [IMAGES],
    )
    options = {
        "image_shape": SHAPE,
        "resize": TEXT,
        "background": TEXT,
        "labels": TEXT_OR_NONE,
        "box": ("text", 3, [1], [NAN] * 4, [0, 0, 0, 0], [True] * 4, {}, object(), [0, 0, 2, 2]),
        "only": (3, "text", True),
    }
    yield row(
        data.load,
        right,
        source=source,
        data_dir=(3, [], True),
        split=(3, [], None),
        cache=(3, [], True, ""),
        **options,
    )
    yield row(
        data.dataset,
        {**right, "batch_size": 4},
        source=source,
        batch_size=(*COUNT, 10**9),
        seed=SEED,
        shuffle=FLAG,
        flip=FLAG,
        **options,
    )
    yield row(data.check, {"folder": _Later(_photos), "image_shape": (16, 16, 3)}, folder=PATH)
    of_two = {name: values for name, values in options.items() if name != "labels"}
    of_two |= {"target_channels": (0, 2, 4, 3.0, True, "3", NAN, [], object())}
    two = {"a": IMAGES, "b": IMAGES, "image_shape": (16, 16, 3)}
    sources = {"a": source, "b": [value for value in source if value is not None]}
    order = {"batch_size": (*COUNT, 10**9), "seed": SEED, "shuffle": FLAG, "flip": FLAG}
    paired = (*TEXT_OR_NONE, "halves")
    yield row(data.load_pairs, two, **sources, **of_two, paired=paired, cache=(3, [], True, ""))
    yield row(data.pairs, {**two, "batch_size": 4}, **sources, **of_two, **order, paired=paired)
    yield row(data.domains, two, **sources, **of_two, **order, split=(3, [], None))
    ready_pairs = data.PairSet(IMAGES, IMAGES)
    yield (
        "PairSet.stream",
        (lambda world: ready_pairs.stream),
        {"batch_size": 4},
        {"batch_size": (*COUNT, 9), "seed": SEED, "flip": FLAG, "start_step": COUNT_0},
    )
    yield row(
        data.check_pairs,
        {"a": _Later(_photos), "image_shape": (16, 16, 3)},
        a=PATH,
        b=(*PATH[1:], "photos"),
        target_channels=of_two["target_channels"],
        paired=paired[:-1],
    )
    ready = data.ImageSet(IMAGES, LABELS)
    for method in ("dataset", "stream"):
        more = {"start_step": COUNT_0} if method == "stream" else {"shuffle": FLAG}
        yield (
            f"ImageSet.{method}",
            (lambda world, m=method: getattr(ready, m)),
            {"batch_size": 4},
            {"batch_size": (*COUNT, 9), "seed": SEED, "flip": FLAG, **more},
        )

    for metric in (
        metrics.frechet_distance,
        metrics.kernel_distance,
        metrics.precision_recall,
        metrics.density_coverage,
    ):
        right = {"real": FEATURES, "fake": FEATURES}
        wrong = {"real": FEATURE, "fake": (*FEATURE, FEATURES[:, :3])}
        if metric is metrics.kernel_distance:
            right["subset_size"] = 4
            wrong |= {"subsets": COUNT, "subset_size": (1, *COUNT), "seed": (*COUNT_0, 2**32)}
        elif metric is not metrics.frechet_distance:
            wrong["neighbours"] = (*COUNT, 10**9)
        yield row(metric, right, **wrong)
    yield row(
        metrics.nearest_neighbours,
        {"features": FEATURES, "reference": FEATURES},
        features=FEATURE,
        reference=FEATURE,
        neighbours=(*COUNT, 10**9),
    )
    yield (
        "Statistics.update",
        (lambda world: metrics.Statistics().update),
        {"features": FEATURES},
        {"features": FEATURE},
    )
    yield row(
        metrics.sliced_wasserstein,
        {"real_images": IMAGES, "fake_images": IMAGES},
        real_images=(*NO_IMAGES, FLOATS, IMAGES[:0], IMAGES[:, :8]),
        fake_images=NO_IMAGES,
        projections=COUNT,
        seed=(*COUNT_0, 2**32),
    )
    for metric in (metrics.mean_absolute_error, metrics.psnr, metrics.ssim):
        images = (*NO_IMAGES, IMAGES[:0], IMAGES[:4], IMAGES.astype(int), FLOATS * 2, FLOATS * NAN)
        yield row(
            metric,
            {"real_images": IMAGES, "fake_images": IMAGES},
            real_images=images,
            fake_images=images,
        )
    yield row(metrics.extractor, {"source": "digits"}, source=TEXT)
    digits = _Once(lambda: metrics.extractor("digits"))
    gray = np.zeros((4, 28, 28, 1), np.uint8)
    for method in ("features", "classify"):
        yield (
            f"Extractor.{method}",
            (lambda world, m=method: getattr(digits(), m)),
            {"images": gray},
            {"images": (*NO_IMAGES, gray[:0], gray / 255, IMAGES)},
        )
    yield (
        "Extractor.labels",
        (lambda world: digits().labels),
        {"features": digits.later(lambda d: d.features(gray))},
        {"features": FEATURE},
    )

    grids = {"rows": COUNT_OR_NONE, "columns": COUNT, "seed": SEED, "directory": PATH, **CALLBACK}
    yield row(
        callbacks.SampleGrid,
        {"directory": "grids", "held_out": (IMAGES, IMAGES)},
        tensorboard=(3, [], True),
        held_out=(3, "photos", IMAGES, (IMAGES,), (IMAGES, FLOATS), (IMAGES, IMAGES[:0])),
        **{**grids, "columns": COUNT_OR_NONE},
    )
    yield row(
        callbacks.LatentWalk,
        {"directory": "walks"},
        **grids,
        stops=(1, *COUNT),
        steps=COUNT,
        format=TEXT,
        labels=(-1, 1.7, "1", NAN, {}, object(), True, [0.5] * 16),
    )
    yield row(callbacks.Checkpoint, {"directory": "saved"}, directory=PATH, keep=COUNT)
    yield row(callbacks.CollapseWarning, patience=COUNT, **CALLBACK)
    yield row(callbacks.Periodic, {"every_epochs": 1}, every_epochs=COUNT)
    yield row(
        callbacks.GenerativeMetrics,
        {"data": IMAGES, "metrics": ["kernel_distance"]},
        extractor=TEXT,
        metrics=(None, 3, [], "kernel", ["no"], [3], True, object(), {}),
        images=(1, *COUNT),
        seed=SEED,
        split=(3, None, []),
        data_dir=(3, [], True),
        data=(None, 3, object(), {}, True, []),
        **CALLBACK,
    )
    saved = callbacks.Checkpoint("saved")
    yield (
        "Checkpoint.restore",
        (lambda world: lambda model: saved.restore(world["plain"] if model == "plain" else model)),
        {"model": "plain"},
        {"model": (None, 3, "text")},
    )
    yield (
        "Checkpoint.save",
        (lambda world: lambda epoch: saved.save(world["plain"], epoch)),
        {"epoch": 1},
        {"epoch": COUNT_0},
    )

    number = (*NO_NUMBER, -1, None)
    for kind, right, wrong in (
        (
            layers.ConditionalBatchNormalization,
            {"num_classes": 3},
            {"num_classes": COUNT, "momentum": (*number, 2), "epsilon": number},
        ),
        (
            layers.EqualizedDense,
            {"units": 3},
            {
                "units": KERAS,
                "learning_rate_multiplier": (*number, 0),
                "scale_bias": ("yes", 2),
                "seed": (-1, "no", 1.5, []),
            },
        ),
        (
            layers.EqualizedConv2D,
            {"filters": 3, "kernel_size": 3},
            {"filters": KERAS, "kernel_size": KERAS, "learning_rate_multiplier": number},
        ),
        (
            layers.Conv2D,
            {"filters": 4, "kernel_size": 4},
            {"filters": KERAS, "kernel_size": KERAS, "strides": KERAS},
        ),
        (
            layers.Conv2DTranspose,
            {"filters": 4, "kernel_size": 4},
            {"filters": KERAS, "kernel_size": KERAS, "strides": KERAS},
        ),
        (
            layers.GroupedConv2D,
            {"filters": 4, "kernel_size": 3, "groups": 2},
            {"filters": KERAS, "kernel_size": KERAS, "groups": KERAS},
        ),
        (
            layers.LearnedConstant,
            {"side": 4, "channels": 3},
            {"side": COUNT, "channels": COUNT, "seed": (-1, "no", 1.5, [])},
        ),
        (layers.LeakyReLU, {}, {"negative_slope": (*number, 1.5)}),
        (layers.MinibatchStddev, {}, {"group_size": COUNT}),
        (
            layers.ModulatedConv2D,
            {"filters": 3, "kernel_size": 3},
            {"filters": COUNT, "kernel_size": (2, *COUNT), "seed": (-1, "no", 1.5, [])},
        ),
        (layers.NoiseInjection, {}, {"seed": (-1, "no", 1.5, [])}),
        (layers.PixelNormalization, {}, {"epsilon": number}),
        (layers.InstanceNormalization, {}, {"epsilon": number}),
        (layers.Blur2D, {}, {"padding": COUNT_0}),
        (layers.ReflectionPadding2D, {}, {"padding": COUNT_0}),
        (layers.SpectralDense, {"units": 3}, {"units": KERAS, "seed": (-1, "no", 1.5, [])}),
        (
            layers.SpectralConv2D,
            {"filters": 3, "kernel_size": 3},
            {"filters": KERAS, "kernel_size": KERAS},
        ),
        (
            layers.SpectralEmbedding,
            {"input_dim": 3, "output_dim": 3},
            {"input_dim": KERAS, "output_dim": KERAS},
        ),
    ):
        yield row(kind, right, **wrong)
    for kind, right in (
        (layers.BatchNormalization, {}),
        (layers.Downsample2D, {}),
        (layers.Upsample2D, {}),
        (layers.Blur2D, {}),
        (layers.PixelNormalization, {}),
        (layers.NoiseInjection, {}),
        (layers.MinibatchStddev, {"group_size": 4}),
        (layers.GroupedConv2D, {"filters": 3, "kernel_size": 3}),
        (layers.EqualizedConv2D, {"filters": 3, "kernel_size": 3}),
    ):
        yield (
            f"layers.inputs.{kind.__name__}",
            (lambda world, k=kind, r=right: k(**r)),
            {"inputs": FLOATS},
            {"inputs": (None, 3, "text")},
        )

    yield row(zoo.info, {"source": "dcgan-mnist"}, source=(*PATH, "no-such"))
    for open_preset in (zoo.load, zoo.sampler):
        wrong = (*PATH, "no-such", ["dcgan-mnist"])
        yield row(open_preset, {"source": "dcgan-mnist"}, source=wrong)
    yield (
        "zoo.save",
        (lambda world: lambda **k: zoo.save(**{"model": world["plain"], **k})),
        {"directory": "saved"},
        {
            "model": (None, 3, "text", keras.Sequential()),
            "directory": PATH,
            "recipe": (3, "text", {}, "x.toml"),
            "seconds": ("1", -1, NAN, INF, [], True),
        },
    )


def _critic(images):
    return tf.reduce_mean(images, axis=(1, 2, 3))[:, None]


class _Optimizer:
    """Stands for an optimizer of a learning rate, made when the row is called."""

    def __init__(self, rate):
        self.rate = rate

    def __repr__(self):
        return f"Adam({self.rate})"

    def __call__(self):
        return keras.optimizers.Adam(self.rate)


class _Once:
    def __init__(self, make):
        self.make, self.made = make, None

    def __call__(self):
        if self.made is None:
            self.made = self.make()
        return self.made

    def later(self, use):
        return _Later(lambda: use(self()))


class _Later:
    def __init__(self, make):
        self.make = make

    def __call__(self):
        return self.make()


def _photos():
    """A folder of one picture, in the working directory."""
    os.makedirs("photos", exist_ok=True)
    Image.fromarray(IMAGES[0]).save("photos/0.png")
    return "photos"


def _empty():
    return tf.data.Dataset.from_tensor_slices(IMAGES[:0]).batch(4)


def _infinite(n):
    return (IMAGES for _ in range(n))


def _made(value):
    return value() if isinstance(value, (_Optimizer, _Later)) else value


def _try(world, function, right, **wrong):
    """The error of a call; None if it went through."""
    call = {name: _made(value) for name, value in {**right, **wrong}.items()}
    try:
        result = function(world)(**call)
        if hasattr(result, "__next__"):
            list(result)
    except BaseException as error:
        return error
    return None


def _is_refusal(error, keras_own=False):
    text = str(error)
    return (keras_own and type(error) is ValueError) or (
        isinstance(error, KganError)
        and "Expected" in text
        and "Received" in text
        and text.isprintable()
        and len(text) < 1500
    )


ROWS = list(_table())


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_is_refused_is_refused_in_one_line(world, row, monkeypatch, tmp_path):
    name, function, right, wrong = row
    monkeypatch.chdir(tmp_path)
    assert _try(world, function, right) is None
    found = []
    for argument, values in wrong.items():
        keras_own = argument == "dtype" or values is KERAS or name.startswith("layers.inputs")
        for value in values:
            error = _try(world, function, right, **{argument: value})
            if values is KERAS and OLD_KERAS and error is None:
                continue
            if not _is_refusal(error, keras_own):
                found.append((argument, value, error))
    assert not found


def test_every_public_name_has_a_row():
    named = {part for row in ROWS for part in row[0].removesuffix("()").split(".")}
    made_by_others = {"METRICS", "Report", "Extractor", "Statistics", "ImageSet", "names"}
    made_by_others |= {"PairReport"}
    for module in (callbacks, data, layers, metrics, models, zoo):
        for name in set(module.__all__) - made_by_others - {"TerminateOnDivergence"}:
            assert name in named, f"{module.__name__}.{name}"
