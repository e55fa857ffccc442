"""What every GAN class must pass: name the class and a small configuration."""

import functools
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.latents import sample_labels, sample_latents

SHAPE = (16, 16, 3)


class CoreHarness:
    """The least that every variant of a class must pass; `Harness` is the whole.

    Subclass it as `Test…` with `kind`, and `config` for the constructor.

    `smooth_config` is one in which float64 runs on one and on two replicas can be compared: no
    dropout, which Keras draws for each replica. Batches are of 8 images; `last_batch` is the size
    of the last one in that comparison.

    Nearly all the time goes into tracing the step, so that one model is shared, by `new_model` and
    `trained_model`: set to the state of that name before every test. It is trained on `dataset`s
    only, which need one trace; what needs another runs eagerly if it can. So does all of a
    variant with `run_eagerly`, but for the comparison of replicas.
    """

    kind: type
    config: dict
    smooth_config: dict
    last_batch = 5  # cut into 3 and 2
    smallest_batch = 1
    half_life = staticmethod(lambda seen: 30)  # after so many images
    indifferent = ()  # weights on which the loss does not depend
    run_eagerly = False

    def images(self, n=24):
        return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")

    def labels(self, n=24):
        return np.random.default_rng(1).integers(0, self.config["num_classes"], n)

    def data(self, n=24, images=None):
        """Images, and labels if the model is conditional: the arguments of `fit`."""
        images = self.images(n) if images is None else images
        return (images, self.labels(n)) if self.config.get("num_classes") else (images,)

    def dataset(self, n=24):
        data = self.data(n)
        return tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else data[0]).batch(8)

    def model(self, run_eagerly=None, **more):
        model = self.kind(image_shape=SHAPE, **{"ema_half_life": 30, **self.config, **more})
        model.compile(
            *map(_of_a_settable_rate, model.default_optimizers()),
            run_eagerly=self.run_eagerly if run_eagerly is None else run_eagerly,
        )
        return model

    @pytest.fixture
    def new_model(self):
        model, new, *_ = _shared(type(self))
        set_state(model, new)
        return model

    @pytest.fixture
    def trained_model(self):
        model, _, trained, _ = _shared(type(self))
        set_state(model, trained)
        return model

    @pytest.fixture
    def eager_model(self):
        model, new = _shared_eager(type(self))
        set_state(model, new)
        return model

    def test_two_replicas_equal_one(self):
        with floats("float64"):
            one = self._fitted(run_eagerly=True)
            with TWO_REPLICAS.scope():
                two = self._fitted()
        images = 16 + self.last_batch
        assert int(one.images_seen.numpy()) == int(two.images_seen.numpy()) == images
        for v, w in zip(all_variables(one), all_variables(two), strict=True):
            tolerance = 1e-6 if v.dtype == "float32" else 1e-9
            np.testing.assert_allclose(v, w.numpy(), rtol=0, atol=tolerance, err_msg=v.path)

    def _fitted(self, run_eagerly=False):
        model = self.kind(image_shape=SHAPE, **self.smooth_config)
        rates = keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01)
        model.compile(*rates, run_eagerly=run_eagerly)
        model.fit(self.dataset(16 + self.last_batch), verbose=0)
        return model

    def test_networks_are_functional_models_of_the_right_shapes(self, new_model):
        model = new_model
        assert model.generator.output_shape == (None, *SHAPE)
        assert model.discriminator.output_shape == (None, 1)
        labels = np.zeros(2, "int32") if model.num_classes else None
        assert model(np.zeros((2, model.latent_dim), "float32"), labels).shape == (2, *SHAPE)
        for network in (model.generator, model.discriminator, model.ema_generator):
            assert type(network).__name__ == "Functional"

    def test_fit_is_finite_and_moves_both_networks(self):
        model, new, trained, logs = _shared(type(self))
        assert {"d_loss", "g_loss", "real_score", "fake_score"} <= set(logs)
        assert all(np.isfinite(v).all() for v in logs.values())
        trainable = {v.path for v in model.trainable_variables}
        for variable, old, now in zip(all_variables(model), new, trained, strict=True):
            assert np.isfinite(now).all(), variable.path
            if variable.path in trainable and variable.path not in self.indifferent:
                assert not np.array_equal(old, now), variable.path

    def test_last_batch_may_be_smaller(self, eager_model):
        eager_model.fit(self.dataset(8 + self.smallest_batch), verbose=0)
        assert int(eager_model.images_seen) == 8 + self.smallest_batch
        assert all(np.isfinite(v).all() for v in get_state(eager_model))

    def test_conditional_models_need_labels_that_are_classes(self, new_model):
        classes, model = self.config.get("num_classes"), new_model
        if not classes:
            with pytest.raises(ValueError, match="unconditional. Received: labels=0"):
                model.sample(2, labels=0)
            return
        images, labels = self.data(8)
        for wrong in (None, labels + classes, labels - classes, np.eye(classes)[labels]):
            with pytest.raises(ValueError, match="Expected integer labels.*Received"):
                model.fit(images, wrong, batch_size=8, verbose=0)
            with pytest.raises(ValueError, match="Expected integer labels.*Received"):
                data = images if wrong is None else (images, wrong)
                model.fit(tf.data.Dataset.from_tensor_slices(data).batch(4), verbose=0)
        for wrong in (classes, -1, [0], [0, 0, 0], 0.5, "a"):
            with pytest.raises(ValueError, match="Expected labels.*Received"):
                model.sample(2, labels=wrong)

    def test_samples_of_a_class_differ_from_those_of_another(self, trained_model):
        if not self.config.get("num_classes"):
            return
        model = trained_model
        model.g_optimizer.learning_rate = 0.03
        for _ in range(4):  # classes may be alike at first
            zeros, ones = (model.sample(20, seed=1, labels=label) for label in (0, 1))
            if (differ := np.any(zeros != ones, axis=(1, 2, 3))).all():
                break
            model.fit(self.dataset(16), verbose=0)
        assert differ.all()
        labels = [i % 2 for i in range(20)]
        mixed = model.sample(20, seed=1, labels=labels, batch_size=7)
        np.testing.assert_array_equal(
            mixed, np.where(np.reshape(labels, (-1, 1, 1, 1)), ones, zeros)
        )
        uniform = sample_labels(1, 0, 20, model.num_classes)
        np.testing.assert_array_equal(
            model.sample(20, seed=1), model.sample(20, seed=1, labels=uniform)
        )

    def test_pixels_depend_on_neither_batch_size_nor_number(self, trained_model):
        whole = trained_model.sample(20, seed=3)
        for batch_size in (1, 7, 20):
            np.testing.assert_array_equal(
                trained_model.sample(20, seed=3, batch_size=batch_size), whole
            )
        np.testing.assert_array_equal(trained_model.sample(4, seed=3), whole[:4])

    def test_given_latents_are_rendered_as_sampled_ones(self, trained_model):
        model = trained_model
        latents = sample_latents(3, 0, 20, model.latent_dim)
        classes = model.num_classes and sample_labels(3, 0, 20, model.num_classes)
        np.testing.assert_array_equal(model.render(latents, classes), model.sample(20, seed=3))
        with pytest.raises(ValueError, match=r"Expected latents \(n, .*Received: shape \(20,"):
            model.render(latents[:, 1:], classes)
        if model.num_classes:
            with pytest.raises(ValueError, match="is conditional. Received: labels=None"):
                model.render(latents)

    def test_saved_model_samples_the_same_pixels_and_goes_on_to_the_bit(
        self, eager_model, tmp_path
    ):
        eager_model.fit(self.dataset(8), verbose=0)
        eager_model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        assert again.run_eagerly and settings(again) == settings(eager_model)
        np.testing.assert_array_equal(again.sample(20, seed=1), eager_model.sample(20, seed=1))
        assert_equal(eager_model, again)
        for model in (eager_model, again):
            model.fit(self.dataset(8), verbose=0)
        assert_equal(eager_model, again)

    def test_checkpoint_goes_on_to_the_bit(self, trained_model, tmp_path):
        """As `kgan.callbacks.Checkpoint` saves and restores: weights, of a compiled model."""
        trained_model.save_weights(tmp_path / "c.weights.h5")
        again = self.model()
        again.load_weights(tmp_path / "c.weights.h5")
        assert_equal(trained_model, again)
        for model in (trained_model, again):
            model.fit(self.dataset(16), verbose=0)
        assert_equal(trained_model, again)


class Harness(CoreHarness):
    """What every GAN class must pass."""

    @pytest.mark.parametrize("seen", [0, 592])
    def test_average_moves_as_its_half_life_says(self, new_model, seen):
        """Half-lives of 30 images, but of 5% of those seen in the first 600."""
        model, counts = new_model, [seen]
        model.images_seen.assign(seen)
        expected = [w.numpy().astype(np.float64) for w in model.ema_generator.weights]

        def move(batch, logs):
            half_life = min(self.half_life(counts[-1]), 0.05 * counts[-1])
            keep = 0.5 ** (8 / half_life) if half_life else 0.0
            expected[:] = [
                keep * e + (1 - keep) * w.numpy()
                for e, w in zip(expected, model.generator.weights, strict=True)
            ]
            counts.append(counts[-1] + 8)

        callback = keras.callbacks.LambdaCallback(on_train_batch_end=move)
        model.fit(self.dataset(), callbacks=[callback], verbose=0)
        assert counts[-1] == seen + 24 == int(model.images_seen.numpy())
        for e, w in zip(expected, model.ema_generator.weights, strict=True):
            np.testing.assert_allclose(w.numpy(), e, rtol=1e-5, atol=1e-6)

    def test_without_average_the_generator_itself_is_sampled(self):
        model = self.model(ema_half_life=None, run_eagerly=True)
        assert model.ema_generator is model.generator
        before = model.sample(2, seed=0)
        model.fit(self.dataset(8), verbose=0)
        assert not np.array_equal(model.sample(2, seed=0), before)

    def test_generator_wins_against_a_frozen_discriminator(self, new_model):
        losses = self._losses(new_model, "g_loss", frozen="d_optimizer")
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05

    def test_discriminator_wins_against_a_frozen_generator(self, new_model):
        losses = self._losses(new_model, "d_loss", frozen="g_optimizer")
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05

    def _losses(self, model, name, frozen):
        for optimizer in (model.g_optimizer, model.d_optimizer):
            if isinstance(optimizer, keras.optimizers.Adam):
                optimizer.learning_rate = 0.01
        getattr(model, frozen).learning_rate = 0.0
        network = model.generator if frozen == "g_optimizer" else model.discriminator
        before = [w.numpy() for w in network.trainable_variables]
        history = model.fit(self.dataset(8), epochs=25, verbose=0).history
        for v, w in zip(before, network.trainable_variables, strict=True):
            np.testing.assert_array_equal(v, w)
        return history[name]

    def test_same_images_as_uint8_and_as_floats(self, eager_model):
        images, states = self.images(8), []
        start = get_state(eager_model)
        for same in (images, images.astype("float32") / 127.5 - 1):
            set_state(eager_model, start)
            eager_model.train_on_batch(*self.data(8, same))
            states.append([v.numpy() for v in eager_model.trainable_variables])
        for v, w in zip(*states, strict=True):
            np.testing.assert_allclose(v, w, atol=1e-5)

    def test_labels_are_ignored_by_unconditional_models(self, eager_model):
        if self.config.get("num_classes"):
            return
        states, start = [], get_state(eager_model)
        for data in (self.images(8), (self.images(8), np.zeros(8))):
            set_state(eager_model, start)
            eager_model.fit(tf.data.Dataset.from_tensor_slices(data).batch(8), verbose=0)
            states.append(get_state(eager_model))
        for v, w in zip(*states, strict=True):
            np.testing.assert_array_equal(v, w)

    def test_validation_changes_nothing(self, new_model):
        data, start = self.dataset(), get_state(new_model)
        new_model.fit(data, epochs=2, verbose=0)
        expected = get_state(new_model)
        set_state(new_model, start)
        logs = new_model.fit(data, epochs=2, validation_data=data, verbose=0).history
        assert {"val_d_loss", "val_g_loss"} <= set(logs)
        for variable, value in zip(all_variables(new_model), expected, strict=True):
            if variable.name != "images_tested":
                np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)

    def test_preset_keeps_pictures_and_what_training_needs(self, trained_model, tmp_path):
        model = trained_model
        model.save_to_preset(tmp_path / "p")
        again = self.kind.from_preset(tmp_path / "p")
        assert {**settings(again), "name": None} == {**settings(model), "name": None}
        for labels in (None, 1) if model.num_classes else (None,):
            pictures = model.sample(20, seed=1, labels=labels)
            np.testing.assert_array_equal(again.sample(20, seed=1, labels=labels), pictures)
        assert int(again.images_seen) == 24
        for v, w in zip(again.discriminator.weights, model.discriminator.weights, strict=True):
            np.testing.assert_array_equal(v, w)
        for v, w in zip(again.generator.weights, model.ema_generator.weights, strict=True):
            np.testing.assert_array_equal(v, w)
        if model.augment is not None:
            for v, w in zip(again.augment.weights, model.augment.weights, strict=True):
                np.testing.assert_array_equal(v, w)
        for name in ("g_optimizer", "d_optimizer"):
            a, b = getattr(again, name).get_config(), getattr(model, name).get_config()
            assert type(getattr(again, name)) is type(getattr(model, name))
            assert a["learning_rate"] == b["learning_rate"]
        for (name, v), w in zip(
            model.preset_state().items(), again.preset_state().values(), strict=True
        ):
            np.testing.assert_array_equal(v, w, err_msg=name)
        again.run_eagerly = True
        again.fit(self.dataset(8), verbose=0)
        assert int(again.images_seen) == 32

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision_trains(self, policy):
        with floats(policy):
            model = self.model(run_eagerly=True)
            scales = quick_to_scale(model)
            model.fit(self.dataset(8), verbose=0)
        assert all(float(scale) != before for scale, before in scales)
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        labels = np.zeros(1, "int32") if model.num_classes else None
        assert model.discriminate(np.zeros((1, *SHAPE), "float32"), labels).dtype == "float32"
        assert all(np.isfinite(v.numpy()).all() for v in model.trainable_variables)


def _of_a_settable_rate(optimizer):
    """The paper's optimizer; where its rate is a schedule, which none can set, as it begins."""
    config = optimizer.get_config()
    if isinstance(config["learning_rate"], dict):
        config["learning_rate"] = float(optimizer.learning_rate)
    return type(optimizer).from_config(config)


def quick_to_scale(model):
    """The scales of losses, if there are any, set to move at once; and what they are now."""
    optimizers = [model.g_optimizer, model.d_optimizer]
    scaling = [o for o in optimizers if isinstance(o, keras.optimizers.LossScaleOptimizer)]
    assert len(scaling) == (2 if model.dtype_policy.name == "mixed_float16" else 0)
    for optimizer in scaling:
        optimizer.dynamic_growth_steps = 1
    return [(o.dynamic_scale, float(o.dynamic_scale)) for o in scaling]


@contextmanager
def floats(policy):
    """Networks made inside compute in "float64", or by a mixed policy."""
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx("float64" if policy == "float64" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


@functools.lru_cache(maxsize=1)
def _shared(harness):
    """A model, its state when it was new and after three steps, and the logs of these."""
    model = harness().model()
    new = get_state(model)
    logs = model.fit(harness().dataset(), verbose=0).history
    return model, new, get_state(model), logs


@functools.lru_cache(maxsize=1)
def _shared_eager(harness):
    model = harness().model(run_eagerly=True)
    return model, get_state(model)


def settings(model) -> dict:
    """The arguments of its constructor but for the networks."""
    others = ("generator", "discriminator", "origin")
    return {k: v for k, v in model.get_config().items() if k not in others}


def all_variables(model) -> list:
    """Everything that training changes: networks, counters, both optimizers.

    But for the states of dropout, which every step sets.
    """
    variables = [v for v in model.variables if "seed_generator" not in v.path]
    return [*variables, *model.g_optimizer.variables, *model.d_optimizer.variables]


def get_state(model) -> list[np.ndarray]:
    return [v.numpy() for v in all_variables(model)]


def set_state(model, values) -> None:
    for variable, value in zip(all_variables(model), values, strict=True):
        variable.assign(value)


def assert_equal(a, b) -> None:
    """Two models are in the same state, to the bit."""
    for v, w in zip(all_variables(a), all_variables(b), strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy(), err_msg=v.path)


# One for the whole process: TensorFlow mixes up the collectives of several (issue 62790 there).
TWO_REPLICAS = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
