"""Data that cannot be trained on is refused before training or at the batch, with advice."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kgan.models import DCGAN, GAN, ConditionalGAN
from kgan.models.base import inputs
from models.harness import TWO_REPLICAS

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def model():
    model = GAN(SHAPE, latent_dim=4, width=5)
    model.compile(run_eagerly=True)  # quicker than a graph for every form
    return model


@pytest.fixture(scope="module")
def conditional():
    def network(shape, *ends):
        x, label = keras.Input(shape), keras.Input((), dtype="int32")
        both = layers.Concatenate()([layers.Flatten()(x), layers.Embedding(3, 2)(label)])
        for end in ends:
            both = end(both)
        return keras.Model([x, label], both)

    generator = network((4,), layers.Dense(768, "tanh"), layers.Reshape(SHAPE))
    discriminator = network(SHAPE, layers.Dense(1))
    model = GAN(SHAPE, None, generator, discriminator, num_classes=3)
    model.compile(run_eagerly=True)
    return model


def uint8(n=4, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype="uint8")


def dataset(images):
    return tf.data.Dataset.from_tensor_slices(images).batch(2)


class Sequence(keras.utils.PyDataset):
    def __init__(self, *parts, size=2, **kwargs):
        super().__init__(**kwargs)
        self.parts, self.size = parts, size

    def __len__(self):
        return len(self.parts[0]) // self.size

    def __getitem__(self, i):
        return tuple(part[self.size * i : self.size * (i + 1)] for part in self.parts)


class Loader:
    """As torch's: lists of batches, again and again."""

    def __init__(self, *parts, size=2):
        self.batches = Sequence(*parts, size=size)

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return (list(self.batches[i]) for i in range(len(self)))


def generator(*parts, size=2):
    return (Sequence(*parts, size=size)[i] for i in range(len(parts[0]) // size))


FORMS = {
    "array": lambda x: x,
    "dataset": dataset,
    "sequence": Sequence,
    "generator": generator,
    "loader": Loader,
}

REFUSED = {
    "wrong side": (uint8(shape=(32, 32, 3)), r"shape \(batch, 16, 16, 3\).*Received.*32, 32, 3"),
    "wrong channels": (uint8(shape=(16, 16, 1)), r"Received.*16, 16, 1"),
    "int64": (uint8().astype("int64"), r"dtype uint8.*Received: dtype int64.*astype"),
    "floats in [0, 255]": (uint8().astype("float32"), r"\[-1, 1\].*Received.*images / 127.5 - 1"),
    "floats in [0, 1]": (uint8() / np.float32(255), r"some of them below 0.*images \* 2 - 1"),
    "standardised floats": (uint8() / np.float32(64) - 2, r"Received: a batch in \[-2"),
    "channels first": (
        np.moveaxis(uint8(), -1, 1),
        r"\(batch, 16, 16, 3\).*3, 16, 16\).*moveaxis\(images, 1, -1\)",
    ),
    "normalised floats": (
        (uint8() / np.float32(255) - 0.45) / np.float32(0.2),
        "normalised by a mean and a deviation",
    ),
    "not a number": (np.full((4, *SHAPE), np.nan, "float32"), r"Received: a batch in \[nan"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(model, case, form):
    images, message = REFUSED[case]
    before = int(model.images_seen.numpy())
    with pytest.raises(ValueError, match=message):
        model.fit(FORMS[form](images), batch_size=2 if form == "array" else None, verbose=0)
    assert int(model.images_seen.numpy()) == before


@pytest.mark.parametrize("form", FORMS)
def test_accepted_with_no_batch_lost(model, form):
    before = int(model.images_seen.numpy())
    floats = uint8(6).astype("float32") / 127.5 - 1
    model.fit(FORMS[form](floats), batch_size=2 if form == "array" else None, verbose=0)
    assert int(model.images_seen.numpy()) == before + 6


def test_unbatched_dataset(model):
    with pytest.raises(ValueError, match="must be batched"):
        model.fit(tf.data.Dataset.from_tensor_slices(uint8()), verbose=0)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
def test_other_methods_refuse_as_well(model, method):
    with pytest.raises(ValueError, match=r"images / 127.5 - 1"):
        getattr(model, method)(uint8().astype("float32"))


# What is wrong of the fourth of five batches of 4, and what is said of it.
LATE = {
    "label": lambda x, y: (x, np.where(np.arange(20) == 13, 7, y)),
    "range": lambda x, y: (np.where(_thirteenth(x), 2.5, x).astype("float32"), y),
    "not a number": lambda x, y: (np.where(_thirteenth(x), np.nan, x).astype("float32"), y),
}
SAID = {
    "label": "Expected integer labels .* from 0 to 2. Received: labels from 0 to 7$",
    "range": r"in \[-1, 1\].*Received: a batch in \[-.*, 2.5\]",
    "not a number": "some are not finite",
}


def _thirteenth(x):
    return np.arange(len(x)).reshape(-1, 1, 1, 1) == 13


def labelled(n=20):
    return uint8(n).astype("float32") / 127.5 - 1, np.arange(n) % 3


LATE_FORMS = {
    "dataset": lambda *parts: tf.data.Dataset.from_tensor_slices(parts).batch(4),
    "sequence": lambda *parts: Sequence(*parts, size=4),
    "threads": lambda *parts: Sequence(*parts, size=4, workers=2),
    "generator": lambda *parts: generator(*parts, size=4),
    "loader": lambda *parts: Loader(*parts, size=4),
}


def state(model):
    return [v.numpy() for v in model.variables if "seed_generator" not in v.path]


class Before(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        self.state = state(self.model)


@pytest.mark.parametrize("form", LATE_FORMS)
@pytest.mark.parametrize("case", LATE)
def test_a_late_batch_is_refused_before_its_step(conditional, case, form):
    if case != "label" and form not in ("dataset", "loader"):
        return  # what is said does not depend on the form
    data = LATE_FORMS[form](*LATE[case](*labelled()))
    before, seen = Before(), int(conditional.images_seen)
    with pytest.raises(ValueError, match=SAID[case]):
        conditional.fit(data, shuffle=False, verbose=0, callbacks=[before])
    assert int(conditional.images_seen) == seen + 12
    for v, w in zip(before.state, state(conditional), strict=True):
        np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_execution": 2},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        pytest.param({}, id="two replicas"),
    ],
)
def test_a_late_batch_is_refused_however_steps_are_run(options):
    with nullcontext() if options else TWO_REPLICAS.scope():
        model = GAN(SHAPE, latent_dim=4, width=5)
        model.compile(**options)
    images, _ = LATE["range"](*labelled())
    with pytest.raises(ValueError, match=SAID["range"]):
        model.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0)
    assert int(model.images_seen.numpy()) == 12


@pytest.mark.parametrize("kind", ["array", *LATE_FORMS])
def test_validation_data_is_checked_before_training(conditional, kind):
    images, labels = LATE["label"](*labelled())
    given = (images, labels) if kind == "array" else LATE_FORMS[kind](images, labels)
    seen = int(conditional.images_seen)
    with pytest.raises(ValueError, match=SAID["label"]):
        conditional.fit(*labelled(4), validation_data=given, epochs=2, verbose=0)
    # A generator's batches cannot be had twice: those after the first are checked in their turn.
    assert int(conditional.images_seen) == seen + (4 if kind == "generator" else 0)


def test_an_endless_validation_is_not_looked_at_to_the_end(conditional):
    endless = tf.data.Dataset.from_tensor_slices(labelled()).batch(4).repeat()
    logs = conditional.fit(
        *labelled(4), validation_data=endless, validation_steps=2, verbose=0
    ).history
    assert "val_d_loss" in logs


def batches_of(shape, *batches):
    """A data set that says no more than this of the shape of its batches."""
    return tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=tf.TensorSpec(shape, "uint8")
    )


@pytest.mark.parametrize("shape", [None, (None, None, None, None), (None, 16, None, 3)])
def test_shapes_that_the_graph_does_not_know(shape):
    model = GAN(SHAPE, latent_dim=4, width=5)
    model.compile(run_eagerly=shape is not None)  # one in a graph is enough
    model.fit(batches_of(shape, uint8(4), uint8(2)), verbose=0)
    assert int(model.images_seen) == 6


@pytest.mark.parametrize(
    "wrong", [uint8(6, (8, 8, 3)), np.moveaxis(uint8(6), -1, 1), uint8(6)[..., 0]]
)
def test_shapes_that_turn_out_to_be_wrong(model, wrong):
    with pytest.raises(ValueError, match=r"Expected images of shape \(batch, 16, 16, 3\)"):
        model.fit(batches_of(None, uint8(2), wrong), verbose=0)


class TestValuesBelow0:
    """White pictures have none, pictures in [0, 1] neither: the first 256 tell."""

    white = np.ones((1, *SHAPE), "float32")

    def test_white_ones_first(self, model):
        images = np.concatenate([np.repeat(self.white, 40, 0), -self.white])
        for data in (images, tf.data.Dataset.from_tensor_slices(images).batch(20)):
            model.fit(data, batch_size=41 if data is images else None, verbose=0)

    @pytest.mark.parametrize("form", FORMS)
    def test_256_without(self, model, form):
        images = np.concatenate([np.repeat(self.white, 256, 0), -self.white, -self.white])
        seen = int(model.images_seen)
        with pytest.raises(ValueError, match=r"some of them below 0.*images \* 2 - 1"):
            model.fit(FORMS[form](images), verbose=0)
        assert int(model.images_seen) == seen

    @pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
    def test_one_by_one(self, method):
        model = GAN(SHAPE, latent_dim=4, width=5)
        model.compile(run_eagerly=True)
        batch = np.repeat(self.white, 100, 0)
        getattr(model, method)(batch)
        getattr(model, method)(batch)
        with pytest.raises(ValueError, match="some of them below 0"):
            getattr(model, method)(batch)
        getattr(model, method)(-self.white)
        getattr(model, method)(batch)


@pytest.mark.parametrize(
    "data",
    [
        lambda x, y: ((x, y),),
        lambda x, y: ([x, y],),
        lambda x, y: (tf.constant(x), tf.constant(y)),
        lambda x, y: ([batch, labels] for batch, labels in generator(x, y)),
        lambda x, y: (zip([x], [y], strict=True),),
        lambda x, y: (Loader(x, y),),
    ],
)
def test_images_and_labels_in_every_form(conditional, data):
    seen = int(conditional.images_seen)
    given = data(*labelled(6))
    given = (given,) if hasattr(given, "__next__") else given
    conditional.fit(*given, batch_size=6 if hasattr(given[0], "shape") else None, verbose=0)
    assert int(conditional.images_seen) == seen + 6


def test_a_generator_of_bare_arrays(model):
    seen = int(model.images_seen)
    model.fit((uint8(2) for _ in range(3)), verbose=0)
    assert int(model.images_seen) == seen + 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "Received: None"),
        ("photos", "Received: 'photos'"),
        (list(uint8()), "Received: a list; np.stack makes one array"),
        ({"image": uint8()}, r"Received: a dict; fit\(data\['image'\]"),
        (({"image": uint8()} for _ in range(2)), "Received: one of {'image'.*as_supervised"),
        (Loader(uint8(0)), "Received: Loader without a batch"),
        (tf.data.Dataset.from_tensors(tf.ragged.constant([[1], [2, 3]])), "all of one size"),
    ],
)
def test_what_are_no_images(model, data, message):
    with pytest.raises(ValueError, match=message):
        model.fit(data, verbose=0)


@pytest.mark.parametrize("labels", [np.array(list("abcd")), np.array(["a"] * 4, object)])
def test_labels_that_are_no_numbers(conditional, labels):
    with pytest.raises(ValueError, match="Expected integer labels.*Received: (str|object)"):
        conditional.fit(uint8(), labels, verbose=0)


class TestWeights:
    weights = np.zeros(4, "float32")

    @pytest.mark.parametrize("name", ["sample_weight", "class_weight"])
    @pytest.mark.parametrize("method", ["fit", "train_on_batch", "evaluate", "test_on_batch"])
    def test_as_arguments(self, conditional, method, name):
        if name == "class_weight" and method in ("evaluate", "test_on_batch"):
            return  # Keras has none there
        with pytest.raises(ValueError, match=f"Expected no {name}"):
            getattr(conditional, method)(*labelled(4), **{name: self.weights})

    def test_by_place(self, conditional):
        with pytest.raises(ValueError, match="Expected no sample_weight"):
            conditional.train_on_batch(*labelled(4), self.weights)

    @pytest.mark.parametrize("form", ["dataset", "sequence", "generator", "loader"])
    def test_as_a_third_part(self, conditional, form):
        data = LATE_FORMS[form](*labelled(4), self.weights)
        with pytest.raises(ValueError, match="Expected no sample_weight, the third part"):
            conditional.fit(data, verbose=0)

    def test_of_validation_data(self, conditional):
        with pytest.raises(ValueError, match="Expected no sample_weight, the third part"):
            conditional.fit(*labelled(4), validation_data=(*labelled(4), self.weights))


def test_dataset_of_dicts(model):
    dicts = tf.data.Dataset.from_tensor_slices({"image": uint8()}).batch(2)
    with pytest.raises(ValueError, match=r"\(images, labels\).*Received.*image.*as_supervised"):
        model.fit(dicts, verbose=0)


def test_uncompiled_model_says_so():
    with pytest.raises(ValueError, match="compile"):
        GAN(SHAPE, latent_dim=4, width=5).fit(uint8(), verbose=0)


def test_an_unconditional_model_takes_floats_beside_any_labels():
    images = np.linspace(-1, 1, 8 * 256, dtype="float32").reshape(8, 16, 16, 1)
    model = DCGAN(image_shape=(16, 16, 1), latent_dim=4, width=4)
    model.compile()
    for labels in (np.full(8, -5), np.linspace(0, 1, 8), np.array(list("abcdefgh"))):
        model.fit(tf.data.Dataset.from_tensor_slices((images, labels)).batch(4), verbose=0)
    assert int(model.images_seen) == 24


def test_no_python_runs_in_the_pipeline():
    """An iterator that is deleted waits for it, and holds the lock that it waits for."""
    images = np.zeros((8, 16, 16, 1), "float32") - 0.5
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(8, int))).batch(4)
    rules = ConditionalGAN(image_shape=(16, 16, 1), latent_dim=4, width=4, num_classes=3)
    graph = inputs.check_data(batches, None, rules)._map_func.function.graph
    operations = {operation.type for operation in graph.get_operations()}
    assert "Assert" in operations and "PyFunc" not in operations


@pytest.mark.parametrize(
    "nothing",
    [
        {"x": uint8(0)},
        {"x": tf.data.Dataset.from_tensor_slices(uint8(0)).batch(4)},
        {"x": tf.data.Dataset.from_tensor_slices(uint8()).filter(lambda image: False).batch(4)},
        {"x": tf.data.Dataset.from_tensor_slices(uint8()).batch(99, drop_remainder=True)},
        {"x": tf.data.Dataset.from_tensor_slices(uint8()).batch(4).take(0)},
        {"x": iter(())},
        {"x": uint8(), "epochs": 0},
        {"x": uint8(), "steps_per_epoch": 0},
    ],
)
def test_a_fit_of_nothing(model, nothing):
    before = int(model.images_seen.numpy())
    with pytest.raises(ValueError, match="Expected (at least one image|.* int >= 1).*Received: "):
        model.fit(**nothing, verbose=0)
    assert int(model.images_seen.numpy()) == before


def test_a_run_that_is_at_its_end_has_nothing_to_do(model):
    """As of `initial_epoch=checkpoint.restore(model)`."""
    assert model.fit(uint8(), epochs=3, initial_epoch=3, verbose=0).epoch == []


def test_a_batch_of_no_image_amid_others_is_left_out():
    def batches():
        for size in (8, 0, 8):
            yield np.zeros((size, 16, 16, 1), "uint8")

    spec = tf.TensorSpec((None, 16, 16, 1), tf.uint8)
    model = DCGAN((16, 16, 1), latent_dim=2, width=2)
    model.compile()
    model.fit(tf.data.Dataset.from_generator(batches, output_signature=spec), verbose=0)
    assert int(model.images_seen) == 16


def test_shapes_of_numpy():
    model = DCGAN(tuple(np.array([16, 16, 1])), latent_dim=2, width=2)
    assert model.image_shape == (16, 16, 1) and type(model.image_shape[0]) is int
