"""Metrics during fit, where Keras' own callbacks find them."""

import csv

import keras
import numpy as np
import pytest

from kgan.callbacks import GenerativeMetrics
from kgan.metrics import extractor, kernel_distance
from kgan.models import DCGAN, GAN

SHAPE = (16, 16, 1)


def some_images(n=16):
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")


def new_model():
    model = DCGAN(SHAPE, latent_dim=2, width=2)
    model.compile()
    return model


def watch(**options):
    return GenerativeMetrics(some_images(40), metrics=["kernel_distance"], images=40, **options)


def test_another_model_gets_figures_of_its_own():
    callback, logs = watch(every_epochs=5), [{}, {}]
    for seed in range(2):
        model = DCGAN(SHAPE, latent_dim=2, width=2, seed=seed)
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_end(0, logs[seed])
        assert logs[seed] == {"val_kernel_distance": callback.measure(model)["kernel_distance"]}
    assert logs[0] != logs[1]


def test_callbacks_after_it_find_the_values(tmp_path):
    model = new_model()
    logs = tmp_path / "log.csv"
    callbacks = [
        watch(every_epochs=2),
        keras.callbacks.CSVLogger(logs),
        keras.callbacks.EarlyStopping("val_kernel_distance", mode="max", baseline=1e9, patience=3),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor="val_kernel_distance", save_best_only=True, mode="min"
        ),
    ]
    # Of some orders so small a generator dies, and every value is the same.
    options = {"epochs": 9, "batch_size": 8, "shuffle": False, "verbose": 0}
    history = model.fit(some_images(), callbacks=callbacks, **options)
    values = history.history["val_kernel_distance"]
    assert len(values) == 3  # stopped: the baseline was never reached
    assert values[1] != values[0]
    assert values[2] == values[1]  # of the epoch before
    rows = list(csv.DictReader(logs.read_text().splitlines()))
    assert [float(row["val_kernel_distance"]) for row in rows] == values
    assert (tmp_path / "best.keras").exists()


def test_values_are_those_of_the_samples():
    model, callback = new_model(), watch(seed=3)
    model.fit(some_images(), batch_size=8, verbose=0, callbacks=[callback])
    features = extractor("random").features
    sides = features(some_images(40)), features(model.sample(40, seed=3))
    expected, _ = kernel_distance(*sides, subset_size=20)
    assert callback.values == {"val_kernel_distance": expected}


def test_every_so_many_images():
    class Counting(GenerativeMetrics):
        seen = ()

        def act(self, images_seen):
            self.seen = (*self.seen, images_seen)
            super().act(images_seen)

    callback = Counting(some_images(40), metrics=["kernel_distance"], images=40, every_images=24)
    new_model().fit(some_images(), epochs=4, batch_size=8, verbose=0, callbacks=[callback])
    assert callback.seen == (16, 24, 48)  # the first epoch's end, and the schedule


def test_does_not_change_training():
    results = []
    for callbacks in ([], [watch()]):
        model = new_model()
        model.fit(some_images(), batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        results.append([w.numpy() for w in model.weights])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metrics": ["fid"]}, "Expected metrics among frechet_distance.*Received: 'fid'"),
        ({"extractor": "vgg"}, "Received: 'vgg'"),
        ({"every_epochs": 1, "every_images": 1}, "not both"),
        ({"images": 249}, "Expected at least 250 .*Received: 249"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        GenerativeMetrics(some_images(), **options)


def test_an_extractor_of_other_channels_is_named():
    callback = GenerativeMetrics(some_images(), "digits", metrics=["kernel_distance"])
    with pytest.raises(ValueError, match="28x28x1"):
        new_model().fit(some_images(), batch_size=8, verbose=0, callbacks=[callback])


def test_too_few_images_are_refused_before_training():
    model = new_model()
    callback = GenerativeMetrics(some_images(249))
    with pytest.raises(ValueError, match="Expected at least 250 .*Received: 249"):
        model.fit(some_images(), batch_size=8, verbose=0, callbacks=[callback])
    assert int(model.images_seen.numpy()) == 0


@pytest.mark.parametrize(
    ("shape", "metric", "received"),
    [((16, 16), "density_coverage", "5"), ((16, 24), "sliced_wasserstein", "16x24")],
)
def test_what_images_do_not_allow_is_refused_before_training(shape, metric, received):
    model = GAN((*shape, 1), latent_dim=4, width=5)
    model.compile()
    images = np.zeros((5, *shape, 1), "uint8")
    callback = GenerativeMetrics(images, metrics=[metric])
    with pytest.raises(ValueError, match=f"Expected .*{metric}.*Received: {received}$"):
        model.fit(images, batch_size=4, verbose=0, callbacks=[callback])
    assert int(model.images_seen.numpy()) == 0


def test_fewer_than_all_are_taken_at_even_spaces():
    model, images = new_model(), some_images(100)
    callback = GenerativeMetrics(images, metrics=["kernel_distance"], images=40)
    value = callback.measure(model)["kernel_distance"]
    features = extractor("random").features
    real = features(images[[i * 100 // 40 for i in range(40)]])
    assert value == kernel_distance(real, features(model.sample(40, seed=0)), subset_size=20)[0]
