"""What Keras offers for every model: works here too, or is refused by name."""

import warnings

import keras
import numpy as np
import pytest

import kgan
from kgan.models import DCGAN, GAN, WGANGP, ConditionalGAN
from kgan.models.base import pair
from models.base.test_translation import TinyCycleGAN

SHAPE = (16, 16, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype="uint8")
CONDITIONAL = {"num_classes": 3}


def new_model(kind=GAN, *optimizers, **more):
    config = {"width": 5 if kind is GAN else 4, **more}
    model = kind(SHAPE, latent_dim=4, **config)
    model.compile(*optimizers, run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def model():
    return new_model()


def fit(model, *callbacks, **more):
    data = kgan.data.dataset(IMAGES, SHAPE, batch_size=4)
    return model.fit(data, verbose=0, callbacks=list(callbacks), **more).history


class TestCompile:
    @pytest.mark.parametrize(
        "argument", ["optimizer", "loss", "loss_weights", "metrics", "weighted_metrics"]
    )
    def test_what_a_gan_has_not(self, model, argument):
        with pytest.raises(ValueError, match=rf"Expected no {argument} in compile\(\): "):
            model.compile(**{argument: ["hinge"]})

    def test_loss_scaling_can_be_left_out(self, tmp_path):
        model = GAN(SHAPE, latent_dim=4, width=5, dtype="mixed_float16")
        model.compile(auto_scale_loss=False)
        assert isinstance(model.g_optimizer, keras.optimizers.SGD)
        model.g_optimizer.iterations.assign(7)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert isinstance(loaded.g_optimizer, keras.optimizers.SGD)
        assert int(loaded.g_optimizer.iterations) == 7

    def test_averages_of_optimizers_are_taken_at_the_end(self):
        averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
        model = new_model(GAN, averaging, keras.optimizers.SGD(0.1))
        fit(model)
        for v, w in zip(
            model.generator.trainable_variables,
            averaging._model_variables_moving_average,
            strict=True,
        ):
            np.testing.assert_array_equal(v, w)

    @pytest.mark.parametrize("form", ["list", "CallbackList"])
    def test_averages_of_optimizers_are_there_before_callbacks_end(self, form):
        """Of which EarlyStopping restores weights of before."""
        seen = {}
        model = new_model(GAN, keras.optimizers.SGD(0.1, use_ema=True), keras.optimizers.SGD(0.1))

        class Restoring(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                seen.setdefault("best", model.get_weights())

            def on_train_end(self, logs=None):
                seen["last"] = model.generator.get_weights()
                model.set_weights(seen["best"])

        callbacks = [Restoring()]
        if form == "CallbackList":
            callbacks = keras.callbacks.CallbackList(callbacks, add_history=True, model=model)
        for _ in range(2):
            seen.clear()
            model.fit(IMAGES, batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
            averages = model.g_optimizer._model_variables_moving_average
            last = [w for w in seen["last"] if w.ndim]  # but for what counts
            trained = {v.shape: v.numpy() for v in averages}
            assert any(np.array_equal(w, trained.get(w.shape)) for w in last)
            for v, w in zip(model.get_weights(), seen["best"], strict=True):
                np.testing.assert_array_equal(v, w)

    def test_without_a_step_there_is_no_average_to_take(self):
        model = new_model(GAN, keras.optimizers.SGD(0.1, use_ema=True), keras.optimizers.SGD(0.1))
        before = model.get_weights()
        model.fit(IMAGES, epochs=1, initial_epoch=1, verbose=0)
        for v, w in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(v, w)


several = pytest.mark.skipif(
    not pair.KERAS_KNOWS_SEVERAL, reason="callbacks of Keras before 3.15 know of one optimizer"
)


def rates(model):
    return [float(model.g_optimizer.learning_rate), float(model.d_optimizer.learning_rate)]


class TestLearningRates:
    """`model.optimizer` stands for both."""

    @pytest.fixture(params=["float32", "mixed_float16"])
    def model(self, request):
        optimizers = keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.25)
        return new_model(GAN, *optimizers, dtype=request.param)

    @several
    def test_scheduler(self, model):
        halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        logs = fit(model, halve, epochs=2)
        assert rates(model) == [0.125, 0.0625]
        assert logs["learning_rate_g_optimizer"] == [0.25, 0.125]
        assert logs["learning_rate_d_optimizer"] == [0.125, 0.0625]

    @several
    def test_plateau(self, model):
        plateau = keras.callbacks.ReduceLROnPlateau(
            "g_loss", factor=0.5, patience=1, mode="min", min_delta=1e9
        )
        fit(model, plateau, epochs=2)
        assert rates(model) == [0.25, 0.125]

    def test_loggers(self, model):
        assert float(model.optimizer.learning_rate) == 0.5
        assert model.optimizer.learning_rate.numpy() == 0.5
        fit(model)
        assert int(model.optimizer.iterations) == 2
        model.optimizer.learning_rate = 0.125
        assert rates(model) == [0.125, 0.125]

    @several
    def test_a_schedule_says_that_it_cannot_be_set(self):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        model = new_model(GAN, keras.optimizers.SGD(schedule), keras.optimizers.SGD(0.1))
        with pytest.raises(TypeError, match="LearningRateSchedule"):
            fit(model, keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate))
        assert int(model.images_seen) == 0

    def test_weights_files_are_as_without(self, tmp_path):
        model = new_model()
        variables = len(model.variables)
        model.save_weights(tmp_path / "with.weights.h5")
        model.optimizer = None
        model.save_weights(tmp_path / "without.weights.h5")
        assert len(model.variables) == variables
        sizes = [path.stat().st_size for path in tmp_path.iterdir()]
        assert sizes[0] == sizes[1]


class TestCallbacks:
    @pytest.mark.parametrize(
        ("callback", "message"),
        [
            (keras.callbacks.TerminateOnNaN(), "kgan.callbacks.TerminateOnDivergence"),
            (keras.callbacks.SwapEMAWeights(), "ema_half_life.*Received: SwapEMAWeights"),
            (keras.callbacks.ModelCheckpoint("m.h5"), "ends in .keras. Received: m.h5"),
        ],
    )
    def test_those_that_would_do_nothing(self, model, callback, message):
        for callbacks in ([callback], [[callback]], keras.callbacks.CallbackList([callback])):
            with pytest.raises(ValueError, match=message):
                model.fit(IMAGES, callbacks=callbacks, verbose=0)

    @pytest.mark.parametrize(
        "callback",
        [
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate),
            keras.callbacks.ReduceLROnPlateau("g_loss"),
        ],
    )
    def test_those_of_one_optimizer_are_refused(self, model, callback, monkeypatch):
        monkeypatch.setattr(pair, "KERAS_KNOWS_SEVERAL", False)
        with pytest.raises(ValueError, match=f"3.15 or newer for {type(callback).__name__}"):
            model.fit(IMAGES, callbacks=[callback], verbose=0)

    @several
    def test_swapped_weights_of_an_optimizer_that_averages(self):
        averaging = keras.optimizers.SGD(0.1, use_ema=True)
        model = new_model(GAN, averaging, keras.optimizers.SGD(0.1))
        fit(
            model,
            keras.callbacks.SwapEMAWeights(),
            validation_data=kgan.data.dataset(IMAGES, SHAPE, 8),
        )

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_backup_and_restore_goes_on_to_the_bit(self, shuffle, tmp_path):
        def backup():
            return keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)

        whole, first, second = (new_model() for _ in range(3))
        for model, *options in ((whole, 2), (first, 1, backup()), (second, 2, backup())):
            epochs, *callbacks = options
            data = kgan.data.dataset(IMAGES, SHAPE, batch_size=4, shuffle=shuffle)
            model.fit(data, epochs=epochs, verbose=0, callbacks=callbacks)
        assert int(second.images_seen) == 16
        for v, w in zip(whole.trainable_variables, second.trainable_variables, strict=True):
            np.testing.assert_array_equal(v, w)
        for name in ("g_optimizer", "d_optimizer"):
            pairs = zip(
                getattr(whole, name).variables, getattr(second, name).variables, strict=True
            )
            for v, w in pairs:
                np.testing.assert_array_equal(v, w)

    def test_others_work(self, model, tmp_path):
        logs = fit(
            model,
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / "m.keras"),
            keras.callbacks.EarlyStopping("g_loss", mode="min", restore_best_weights=True),
        )
        assert (tmp_path / "m.keras").is_file() and set(logs) <= set(
            (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
        )


POLICIES = {"mixed_float16": "float16", "float64": "float64"}


class TestDtype:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_networks_are_built_by_it_and_loaded_by_it(self, policy, tmp_path):
        model = new_model(DCGAN, dtype=policy)
        model.train_on_batch(IMAGES)
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        for one in (model, again):
            assert one.dtype_policy.name == policy
            for network in (*one.networks.values(), *one.averages.values()):
                assert POLICIES[policy] in {layer.compute_dtype for layer in network.layers[1:]}
        assert keras.config.dtype_policy().name == "float32"
        np.testing.assert_array_equal(again.sample(2, seed=0), model.sample(2, seed=0))

    def test_a_policy_of_all_is_kept_when_it_has_changed(self, tmp_path):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            new_model().save(tmp_path / "m.keras")
        finally:
            keras.config.set_dtype_policy("float32")
        again = keras.saving.load_model(tmp_path / "m.keras")
        assert again.generator.layers[1].compute_dtype == "float16"
        assert isinstance(again.g_optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize(
    ("kind", "config"),
    [(GAN, {"r1_gamma": 1.0}), (WGANGP, {"critic_steps": 2}), (ConditionalGAN, CONDITIONAL)],
)
def test_names_and_values_of_evaluate_agree(kind, config):
    model = new_model(kind, **config)
    labels = (np.zeros(8, int),) if model.num_classes else ()
    data = kgan.data.dataset((IMAGES, labels[0]) if labels else IMAGES, SHAPE, 8, shuffle=False)
    names = model.metrics_names
    tested = model.images_tested.numpy()
    values = model.evaluate(data, verbose=0)
    model.images_tested.assign(tested)  # for the same latents
    assert dict(zip(names, values, strict=True)) == model.evaluate(
        data, verbose=0, return_dict=True
    )


@pytest.mark.parametrize("kind", [DCGAN, TinyCycleGAN])
def test_summary_tells_networks_apart(kind):
    model = new_model() if kind is DCGAN else kind()
    before = [network.name for network in model.networks.values()]
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    for name in (*model.networks, *[f"ema_{name}" for name in model.averages]):
        assert f"{name} (" in "".join(lines).replace("…", ""), name
    assert [network.name for network in model.networks.values()] == before


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error", kgan.errors.KganWarning)
        fit(new_model())
