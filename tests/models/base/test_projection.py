"""`model.project`: what a model draws is found again, and what is found is what it draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan.errors import KganError
from kgan.latents import sample_latents
from kgan.metrics import extractor
from kgan.models.base import projection

SHAPE = (16, 16, 3)


def _model(kind, **options):
    """An untrained model whose samples differ."""
    model = kind(SHAPE, latent_dim=8, width=4, **options)
    if kind is not kgan.models.StyleGANLite:
        for weight in model.ema_generator.weights:
            weight.assign(weight * 10.0 if len(weight.shape) > 1 else weight)
    return model


@pytest.fixture(scope="module")
def plain():
    return _model(kgan.models.DCGAN)


@pytest.fixture(scope="module")
def conditional():
    return _model(kgan.models.ConditionalGAN, num_classes=3)


@pytest.fixture(scope="module")
def found(plain):
    return plain.project(plain.sample(2, seed=5), steps=100)


def _apart(one, other):
    return np.square((one.astype(np.float32) - other) / 127.5).mean((-3, -2, -1))


def _random(model, images):
    """The mean squared difference of random samples from images."""
    return _apart(model.sample(64, seed=9)[:, None], images[None]).mean()


class TestFound:
    def test_own_samples_are_found_again(self, plain, found):
        images = plain.sample(2, seed=5)
        np.testing.assert_allclose(found["error"], _apart(found["images"], images), rtol=1e-4)
        assert (found["error"] < 0.02 * _random(plain, images)).all()
        assert (found["loss"] < 0.1).all()

    def test_latents_draw_them_and_are_as_long_as_they_should_be(self, plain, found):
        assert set(found) == {"images", "latents", "error", "loss"}
        assert found["latents"].shape == (2, 8) and found["latents"].dtype == np.float32
        np.testing.assert_array_equal(plain.render(found["latents"]), found["images"])
        lengths = np.linalg.norm(found["latents"], axis=1)
        drawn = np.linalg.norm(sample_latents(5, 0, 2, 8), axis=1)
        np.testing.assert_allclose(lengths, drawn, rtol=0.2)

    def test_images_do_not_depend_on_one_another(self, plain, found):
        alone = plain.project(plain.sample(2, seed=5)[1:], steps=100)
        for name, rows in alone.items():
            np.testing.assert_array_equal(rows[0], found[name][1])

    def test_floats_are_images_too(self, plain):
        image = plain.sample(1, seed=5)
        one = plain.project(image, steps=3, starts=1)
        other = plain.project(image / 127.5 - 1.0, steps=3, starts=1)
        np.testing.assert_allclose(one["latents"], other["latents"], atol=1e-3)

    def test_the_seed_and_the_starts_matter(self, plain):
        image = plain.sample(1, seed=5)
        losses = [
            plain.project(image, 5, seed=seed, starts=starts)["loss"][0]
            for seed, starts in ((0, 1), (1, 1), (1, 3))
        ]
        assert losses[0] != losses[1] and losses[2] <= losses[1]


class TestLabels:
    def test_the_best_is_found(self, conditional):
        images = conditional.sample(2, seed=4, labels=[2, 0])
        each = [conditional.project(images, 20, labels=label, starts=2) for label in range(3)]
        best = conditional.project(images, 20, starts=2)
        losses = np.stack([one["loss"] for one in each])
        np.testing.assert_array_equal(best["labels"], losses.argmin(0))
        np.testing.assert_array_equal(best["loss"], losses.min(0))
        again = conditional.render(best["latents"], best["labels"])
        np.testing.assert_array_equal(again, best["images"])

    def test_one_for_each_image(self, conditional):
        images = conditional.sample(2, seed=4, labels=[2, 0])
        found = conditional.project(images, 2, labels=[1, 2])
        assert found["labels"].tolist() == [1, 2]


def test_styles_are_found_again():
    model = _model(kgan.models.StyleGANLite, num_classes=2)
    images = model.sample(1, seed=5, labels=1)
    found = model.project(images, steps=100, labels=1)
    assert found["styles"].shape == (1, 6, 8) and "latents" not in found
    np.testing.assert_array_equal(model.render_styles(found["styles"]), found["images"])
    assert found["error"][0] < 0.2 * _random(model, images)


class TestFeatures:
    def test_they_are_approached(self, plain):
        inputs = keras.Input(SHAPE)
        features = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        images = plain.sample(1, seed=5)
        found = plain.project(images, 40, features=features)
        apart = features(found["images"] / 127.5 - 1.0) - features(images / 127.5 - 1.0)
        np.testing.assert_allclose(
            found["feature_error"], np.square(apart).mean(1), rtol=0.05, atol=1e-6
        )

    def test_of_kgans_extractors(self):
        digits, any_kind = extractor("digits"), extractor("random")
        gray = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
        for found in (digits, any_kind):
            given = projection.check_features(found, tf.constant(gray / np.float32(127.5) - 1))
            np.testing.assert_allclose(given, found.features(gray), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize(
        "features",
        [
            lambda images: images,
            lambda images: images.numpy().mean((1, 2)),
            lambda images: tf.reduce_mean(images, axis=(0, 1)),
            lambda images: tf.stop_gradient(tf.reduce_mean(images, axis=(1, 2))),
            lambda images: None,
            extractor,
        ],
    )
    def test_others_are_refused(self, plain, features):
        with pytest.raises(KganError, match=r"Expected features that take images of 16x16x3"):
            plain.project(plain.sample(1, seed=5), 3, features=features)

    def test_of_another_size_are_refused(self, plain):
        with pytest.raises(KganError, match=r"Expected features that take images of 16x16x3"):
            plain.project(plain.sample(1, seed=5), 3, features=extractor("digits"))


class TestProgress:
    def test_it_is_told(self, plain):
        told = []
        plain.project(plain.sample(2, seed=5), 25, progress=lambda *steps: told.append(steps))
        assert told == [(done, 50) for done in (10, 20, 25, 35, 45, 50)]

    def test_it_ends_the_search(self, plain):
        images = plain.sample(2, seed=5)
        found = plain.project(images, 100, progress=lambda done, total: done >= 20)
        assert (found["error"] < _random(plain, images)).all()

    def test_every_label_is_told_of(self, conditional):
        told = []
        images = conditional.sample(1, seed=4)
        conditional.project(images, 5, progress=lambda *steps: told.append(steps))
        assert told == [(5, 15), (10, 15), (15, 15)]


def test_a_generator_of_nothing_finite_is_refused():
    model = _model(kgan.models.DCGAN)
    images = model.sample(1, seed=5)
    model.ema_generator.weights[0].assign_add(np.nan)
    with pytest.raises(KganError, match="finite"):
        model.project(images, 2)
