"""Checkpoints: exact, atomic, and with one in reserve."""

import functools
import json
import os
import re
import warnings

import keras
import numpy as np
import pytest

import kgan
from kgan.callbacks import Checkpoint
from kgan.errors import KganError, KganWarning
from kgan.models import DCGAN, GAN, ConditionalGAN
from kgan.models.base import keras_files, pair

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 1), dtype="uint8")


def new_model(kind=DCGAN):
    model = kind((16, 16, 1), latent_dim=4, width=5)
    model.compile()
    return model


def fit(model, directory, epochs):
    checkpoint = Checkpoint(directory)
    first = checkpoint.restore(model)
    model.fit(
        IMAGES,
        batch_size=8,
        epochs=epochs,
        initial_epoch=first,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoint],
    )
    return first


def everything(model):
    variables = [v for v in model.variables if "seed_generator" not in v.path]
    return [
        v.numpy() for v in variables + model.g_optimizer.variables + model.d_optimizer.variables
    ]


def test_resumed_training_equals_uninterrupted_to_the_bit(tmp_path):
    """GAN, whose dropout is the hardest to resume; the harness has all classes."""
    whole, first, second = (new_model(GAN) for _ in range(3))
    assert fit(whole, tmp_path / "a", epochs=4) == 0
    assert fit(first, tmp_path / "b", epochs=2) == 0
    assert fit(second, tmp_path / "b", epochs=4) == 2
    for a, b in zip(everything(whole), everything(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [GAN, ConditionalGAN])  # of the latter labels are looked at before
def test_order_and_flips_go_on_too(kind, tmp_path):
    more = {"num_classes": 2} if kind is ConditionalGAN else {}
    source = (IMAGES, np.arange(len(IMAGES)) % 2) if more else IMAGES

    def train(directory, *epochs):
        """Some calls of `fit`, each until an epoch, in one process."""
        model = kind((16, 16, 1), latent_dim=4, width=5, **more)
        model.compile()
        checkpoint = Checkpoint(directory)
        first = checkpoint.restore(model)
        data = kgan.data.dataset(source, (16, 16, 1), 8, flip=True).map(lambda *batch: batch)
        next(iter(data))  # a look counts for nothing
        for last in epochs:
            model.fit(data, epochs=last, initial_epoch=first, verbose=0, callbacks=[checkpoint])
            first = last
        return everything(model)

    whole = train(tmp_path / "a", 3)
    train(tmp_path / "b", 1)
    resumed = train(tmp_path / "b", 2, 3)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_after_fit_goes_on_in_another_order():
    data = kgan.data.dataset(IMAGES, (16, 16, 1), 8)
    seen = []

    class Seen(GAN):
        def unpack(self, data):
            seen.append(data.numpy())
            return super().unpack(data)

    model = Seen((16, 16, 1), latent_dim=4, width=5)
    model.compile(run_eagerly=True)
    for _ in range(2):
        model.fit(data, verbose=0)
    assert len(seen) == 6
    assert not np.array_equal(np.concatenate(seen[:3]), np.concatenate(seen[3:]))


def test_the_last_two_are_kept_and_nothing_else(tmp_path):
    fit(new_model(), tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "images-000000072.json",
        "images-000000072.weights.h5",
        "images-000000096.json",
        "images-000000096.weights.h5",
    ]


@pytest.mark.parametrize("damage", ["truncate", "flip", "no hash"])
def test_a_damaged_newest_one_is_passed_over(damage, tmp_path):
    fit(new_model(), tmp_path, epochs=3)
    newest = tmp_path / "images-000000072.weights.h5"
    content = bytearray(newest.read_bytes())
    if damage == "truncate":
        newest.write_bytes(content[: len(content) // 3])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    else:
        (tmp_path / "images-000000072.json").write_text("{")
    model = new_model()
    with pytest.warns(KganWarning, match="images-000000072.weights.h5 is damaged"):
        assert Checkpoint(tmp_path).restore(model) == 2
    assert int(model.images_seen.numpy()) == 48


def test_whatever_is_left_of_what_a_newest_one_says_the_one_before_is_restored(
    tmp_path, monkeypatch
):
    model, loaded = new_model(), []
    of_images(tmp_path, 24, 48, model=model)
    monkeypatch.setattr(keras_files, "load_weights", lambda model, content: loaded.append(content))
    path = tmp_path / "images-000000048.json"
    content = path.read_bytes()
    state = json.loads(content)
    nothing = b"", b"null", b"[]", b"3", b'"text"', b"{}", b"\xff\xfe", b"\0" * 99, b"[" * 99_999
    changed = [
        {**state, **change}
        for change in (
            *({"epoch": epoch} for epoch in (None, "2", -1, 1.5, True, [])),
            *({"sha256": digest} for digest in (None, 3, "", state["sha256"][:-1])),
            *({"rates_asked": rates} for rates in (3, [], {"g_optimizer": "x"})),
            *({"rates_asked": {"g_optimizer": rate}} for rate in (None, {}, {"name": 3}, [])),
            *({"notes": notes} for notes in (None, [], "text")),
        )
    ]
    lacking = [{k: v for k, v in state.items() if k != key} for key in ("epoch", "sha256")]
    texts = [json.dumps(values).encode() for values in (*changed, *lacking)]
    cuts = [content[:end] for end in range(0, len(content), 7)]
    for damaged in (*nothing, *texts, *cuts):
        path.write_bytes(damaged)
        with pytest.warns(KganWarning, match="images-000000048.weights.h5 is damaged"):
            assert Checkpoint(tmp_path).restore(model) == 24, damaged
    path.write_bytes(content)
    assert Checkpoint(tmp_path).restore(model) == 48
    older, newer = ((tmp_path / f"images-{n:09d}.weights.h5").read_bytes() for n in (24, 48))
    assert {*loaded[:-1]} == {older} and loaded[-1] == newer


def test_what_was_found_damaged_is_removed_once_another_is_written(tmp_path):
    """Else it would be the one in reserve, or the newest again."""
    of_images(tmp_path, 24, 48, keep=3)
    (tmp_path / "images-000000048.weights.h5").write_bytes(b"")
    checkpoint, model = Checkpoint(tmp_path), new_model()
    with pytest.warns(KganWarning, match="images-000000048.weights.h5 is damaged"):
        checkpoint.restore(model)
    assert (tmp_path / "images-000000048.json").exists()
    model.images_seen.assign(32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", KganWarning)
        checkpoint.save(model, 32)
        assert restored(tmp_path) == 32
    assert {path.name[7:16] for path in tmp_path.iterdir()} == {"000000024", "000000032"}


def test_notes_go_with_the_checkpoint(tmp_path):
    model, checkpoint = new_model(), Checkpoint(tmp_path)
    for count, notes in ((24, {"log": "a", "n": [1, None]}), (48, {"log": "b"})):
        model.images_seen.assign(count)
        checkpoint.notes.clear()
        checkpoint.notes.update(notes)
        checkpoint.save(model, count)
    again = Checkpoint(tmp_path)
    kept = again.notes  # others hold it
    again.restore(model)
    assert kept == {"log": "b"}
    (tmp_path / "images-000000048.weights.h5").write_bytes(b"")
    with pytest.warns(KganWarning, match="damaged"):
        again.restore(model)
    assert kept == {"log": "a", "n": [1, None]}


@pytest.mark.parametrize("prefix", [".partial-0123abcd-", "partial-"])  # of kgan before; of 0.1
def test_a_torn_write_is_not_a_checkpoint(tmp_path, prefix):
    fit(new_model(), tmp_path, epochs=1)
    (tmp_path / f"{prefix}images-000000048.weights.h5").write_bytes(b"torn")
    os.utime(tmp_path / f"{prefix}images-000000048.weights.h5", (0, 0))
    (tmp_path / "images-000000048.weights.h5").write_bytes(b"no hash was written yet")
    model = new_model()
    assert Checkpoint(tmp_path).restore(model) == 1
    Checkpoint(tmp_path).save(model, 1)
    # The rest that has no hash is gone as well.
    names = [f"images-000000024{suffix}" for suffix in (".json", ".weights.h5")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def of_images(directory, *counts, keep=2, model=None):
    """Checkpoints of a model that has seen so many images."""
    model = model or new_model()
    checkpoint = Checkpoint(directory, keep)
    for count in counts:
        model.images_seen.assign(count)
        checkpoint.save(model, count)
    return {
        path.name.removesuffix(".json").removeprefix("images-") for path in directory.glob("*.json")
    }


def restored(directory):
    model = new_model()
    Checkpoint(directory).restore(model)
    return int(model.images_seen.numpy())


def test_the_newest_is_the_one_of_most_images_however_it_is_written(tmp_path):
    assert of_images(tmp_path, 999_999_999, 1_000_000_000) == {"999999999", "1000000000"}
    assert restored(tmp_path) == 1_000_000_000
    for path in tmp_path.glob("images-*"):  # as another version may write the number
        path.rename(tmp_path / path.name.replace("images-1", "images-0001"))
    (tmp_path / "images-notes.json").write_text("{}")
    assert restored(tmp_path) == 1_000_000_000


@pytest.mark.parametrize("keep", [1, 2])
def test_what_was_just_written_is_kept_beside_newer_ones(tmp_path, keep):
    of_images(tmp_path, 64, 128)
    with pytest.warns(KganWarning, match="images-000000128.weights.h5, of more images than the 8"):
        left = of_images(tmp_path, 8, keep=keep)
    assert left == ({"000000008"} if keep == 1 else {"000000008", "000000128"})
    assert len(list(tmp_path.iterdir())) == 2 * keep


def optimizers(rate):
    return keras.optimizers.Adam(rate), keras.optimizers.Adam(rate)


def compiled(g, d, **more):
    model = GAN((16, 16, 1), latent_dim=4, width=5, **more)
    model.compile(g, d, run_eagerly=True)
    return model


def schedule(steps=100):
    return keras.optimizers.schedules.CosineDecay(1e-3, steps)


def state_of(optimizer):
    return [v.numpy() for v in optimizer.variables if not v.path.endswith("/learning_rate")]


ASKED = {
    "the same rate": (1e-3, 1e-3, None),
    "another rate": (
        1e-3,
        5e-4,
        "rate of 0.0005, as is asked for now.*asked for 0.001, and 0.0002",
    ),
    "a schedule": (1e-3, schedule(), r"CosineDecay\(.*asked for 0.001\.$"),
    "no schedule": (schedule(), 1e-3, r"rate of 0.001.* asked for CosineDecay\("),
    "the same schedule": (schedule(), schedule(), None),
    "another schedule": (schedule(), schedule(200), "decay_steps=200.*decay_steps=100"),
}


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("case", ASKED)
def test_rates_that_are_asked_for_hold_and_state_is_restored(case, policy, tmp_path):
    if policy != "float32" and case not in ("another rate", "a schedule", "no schedule"):
        return
    then, now, message = ASKED[case]
    before = compiled(*optimizers(then), dtype=policy)
    before.train_on_batch(IMAGES[:4])
    if then == 1e-3:
        before.g_optimizer.learning_rate = 2e-4  # as a callback changes it
    Checkpoint(tmp_path).save(before, 1)
    after = compiled(*optimizers(now), dtype=policy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Checkpoint(tmp_path).restore(after)
    lines = [str(w.message) for w in caught if w.category is KganWarning]
    assert not [w for w in caught if "Skipping" in str(w.message)]
    if message is None:
        assert lines == []
    else:
        assert re.search(message, lines[0]) and [line[0] for line in lines] == ["g", "d"]
    for name in ("g_optimizer", "d_optimizer"):
        pairs = zip(state_of(getattr(before, name)), state_of(getattr(after, name)), strict=True)
        for v, w in pairs:
            np.testing.assert_array_equal(v, w)
    if not isinstance(now, float):
        assert after.g_optimizer.iterations == 1
    elif case == "the same rate":
        assert float(after.g_optimizer.learning_rate) == np.float32(2e-4)
    else:
        assert float(after.g_optimizer.learning_rate) == np.float32(now)
    assert float(after.d_optimizer.learning_rate) == float(optimizers(now)[0].learning_rate) or (
        not isinstance(now, float)
    )
    after.train_on_batch(IMAGES[:4])


@pytest.mark.parametrize("now", [1e-3, schedule()], ids=["rate", "schedule"])
def test_optimizers_that_accumulate_are_restored(now, tmp_path):
    def model(rate):
        return compiled(*(keras.optimizers.Adam(rate, gradient_accumulation_steps=2) for _ in "gd"))

    before, after = model(1e-3), model(now)
    for _ in range(3):
        before.train_on_batch(IMAGES[:4])
    Checkpoint(tmp_path).save(before, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KganWarning)  # another rate than before
        Checkpoint(tmp_path).restore(after)
    assert int(after.d_optimizer.iterations) == 1 and int(after.d_optimizer._iterations) == 3
    for name in ("g_optimizer", "d_optimizer"):
        pairs = zip(state_of(getattr(before, name)), state_of(getattr(after, name)), strict=True)
        for v, w in pairs:
            np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize("now", [1e-3, schedule()], ids=["rate", "schedule"])
@pytest.mark.parametrize("policies", [("float32", "mixed_float16"), ("mixed_float16", "float32")])
def test_state_goes_on_in_another_precision(policies, now, tmp_path):
    before = compiled(*optimizers(1e-3), dtype=policies[0])
    before.train_on_batch(IMAGES[:4])
    Checkpoint(tmp_path).save(before, 1)
    after = compiled(*optimizers(now), dtype=policies[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Skipping")
        warnings.simplefilter("ignore", KganWarning)  # another rate than before
        Checkpoint(tmp_path).restore(after)
    for name in ("g_optimizer", "d_optimizer"):
        both = [pair.inner(getattr(model, name)) for model in (before, after)]
        assert int(both[1].iterations) == 1
        for v, w in zip(*map(state_of, both), strict=True):
            np.testing.assert_array_equal(v, w)
    after.train_on_batch(IMAGES[:4])


ADAM, SGD = keras.optimizers.Adam, keras.optimizers.SGD
OTHER_STATE = {
    "averages": (ADAM, {}, {"use_ema": True}, "model variables moving average and momentums"),
    "maxima": (ADAM, {"amsgrad": True}, {}, "velocity hats, .* Received: one that keeps momentums"),
    "sums": (ADAM, {}, {"gradient_accumulation_steps": 2}, "keeps accumulated gradients and"),
    "momentum": (SGD, {}, {"momentum": 0.9}, "to keep nothing, .* that keeps momentums$"),
    "as many of another kind": (
        *(ADAM, {"gradient_accumulation_steps": 2}, {"use_ema": True}),
        "keep accumulated gradients .* keeps model variables moving average",
    ),
}


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("case", OTHER_STATE)
def test_state_of_other_options_is_refused_and_nothing_is_loaded(case, says, tmp_path):
    kind, then, now, message = OTHER_STATE[case]
    before = compiled(*(kind(1e-3, **then) for _ in "gd"))
    before.train_on_batch(IMAGES[:4])
    Checkpoint(tmp_path).save(before, 1)
    after = compiled(*(kind(1e-3, **now) for _ in "gd"))
    start = everything(after)
    if not says:  # as kgan 0.1 wrote them
        if case == "as many of another kind":
            return  # nothing tells
        (path,) = tmp_path.glob("*.json")
        state = json.loads(path.read_text())
        del state["states"]
        path.write_text(json.dumps(state))
        with pytest.raises(KganError, match="its [gd]_optimizer has .* variables, where"):
            Checkpoint(tmp_path).restore(after)
        return
    with pytest.raises(KganError, match=message):
        Checkpoint(tmp_path).restore(after)
    for v, w in zip(start, everything(after), strict=True):
        np.testing.assert_array_equal(v, w)


def test_state_of_other_layers_is_refused(tmp_path):
    """Frozen ones have none."""
    before = compiled(*optimizers(1e-3))
    before.train_on_batch(IMAGES[:4])
    Checkpoint(tmp_path).save(before, 1)
    after = compiled(*optimizers(1e-3))
    after.discriminator.layers[-1].trainable = False
    after.compile(*optimizers(1e-3))
    with pytest.raises(KganError, match="d_optimizer moved 6 weights where .* to move 4;"):
        Checkpoint(tmp_path).restore(after)


def test_a_checkpoint_that_does_not_say_what_was_asked_for(tmp_path):
    """Of before: the rates in force are taken for it."""
    before = compiled(*optimizers(1e-3))
    Checkpoint(tmp_path).save(before, 1)
    (path,) = tmp_path.glob("*.json")
    state = json.loads(path.read_text())
    del state["rates_asked"]
    path.write_text(json.dumps(state))
    with warnings.catch_warnings():
        warnings.simplefilter("error", KganWarning)
        Checkpoint(tmp_path).restore(compiled(*optimizers(1e-3)))
    after = compiled(*optimizers(5e-4))
    with pytest.warns(KganWarning, match="rate of 0.0005.*asked for 0.001"):
        Checkpoint(tmp_path).restore(after)
    assert float(after.g_optimizer.learning_rate) == np.float32(5e-4)


@pytest.mark.skipif(
    not pair.KERAS_KNOWS_SEVERAL, reason="callbacks of Keras before 3.15 know of one optimizer"
)
def test_a_rate_that_a_callback_has_changed_survives_to_the_bit(tmp_path):
    def train(model, directory, epochs):
        halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        checkpoint = Checkpoint(directory)
        first = checkpoint.restore(model)
        data = kgan.data.dataset(IMAGES, (16, 16, 1), 8, shuffle=False)
        callbacks = [halve, checkpoint]
        model.fit(data, epochs=epochs, initial_epoch=first, verbose=0, callbacks=callbacks)

    whole, first, second = (compiled(*optimizers(1e-3)) for _ in range(3))
    train(whole, tmp_path / "a", 2)
    train(first, tmp_path / "b", 1)
    train(second, tmp_path / "b", 2)
    assert float(second.g_optimizer.learning_rate) == np.float32(2.5e-4)
    for a, b in zip(everything(whole), everything(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_none_whole_is_an_error_not_a_fresh_start(tmp_path):
    fit(new_model(), tmp_path, epochs=2)
    for path in tmp_path.glob("*.h5"):
        path.write_bytes(b"")
    with (
        pytest.warns(KganWarning, match="images-000000024.weights.h5 is damaged"),
        pytest.raises(ValueError, match=r"No checkpoint in .* is whole: .*images-000000024.json"),
    ):
        Checkpoint(tmp_path).restore(new_model())


@pytest.mark.parametrize("now", [keras.optimizers.Lion, keras.optimizers.AdamW])
def test_state_of_another_kind_of_optimizer_is_refused(now, tmp_path):
    """Lion's has as many variables as SGD's; AdamW's means what Adam's does."""
    then = keras.optimizers.Adam
    if now is keras.optimizers.Lion:
        then = functools.partial(keras.optimizers.SGD, momentum=0.9)
    Checkpoint(tmp_path).save(compiled(then(), then()), 1)
    after = compiled(then(), now())
    if now is keras.optimizers.AdamW:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KganWarning)  # another rate by default
            assert Checkpoint(tmp_path).restore(after) == 1
        return
    before = [v.numpy() for v in after.weights]
    with pytest.raises(ValueError, match=r"Expected SGD for d_optimizer, .*\. Received: Lion"):
        Checkpoint(tmp_path).restore(after)
    for v, w in zip(before, after.weights, strict=True):
        np.testing.assert_array_equal(v, w.numpy())


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="Received: a model that is not compiled"):
        Checkpoint(tmp_path).save(DCGAN((16, 16, 1), latent_dim=4, width=5), 1)
    fit(new_model(), tmp_path, epochs=1)
    with pytest.raises(ValueError, match="Received: a model that is not compiled"):
        Checkpoint(tmp_path).restore(DCGAN((16, 16, 1), latent_dim=4, width=5))
    other = DCGAN((16, 16, 1), latent_dim=4, width=6)
    other.compile()
    with pytest.raises(ValueError, match="this model. Received: .*images-000000024.weights.h5: "):
        Checkpoint(tmp_path).restore(other)
    with pytest.raises(ValueError, match="keep to be an int >= 1. Received: keep=0"):
        Checkpoint(tmp_path, keep=0)


@pytest.mark.parametrize("place", ["file", "file/below", "closed"])
def test_where_nothing_can_be_written_is_said_before_training(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # root may write anywhere
    model = new_model()
    with pytest.raises(KganError, match=f"can be written to. Received: .*{place}: "):
        model.fit(IMAGES, batch_size=8, verbose=0, callbacks=[Checkpoint(tmp_path / place)])
    assert int(model.images_seen) == 0
