"""What every GAN shares, whatever its networks turn into what.

A model declares its networks once, in `PLAYERS`. Compiling, saving, averaging, random states and
the watch for divergence go by this declaration, and know of no latents, labels or papers.
"""

import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import numpy as np
import tensorflow as tf

from kgan import augment as augmentation
from kgan.checks import (
    FLAG,
    Bound,
    number,
    one_of,
    or_none,
    shape_of_images,
    whole,
)
from kgan.errors import KganError
from kgan.models.base.fitting import Fitting
from kgan.models.base.fused import approach, fuse
from kgan.models.base.networks import (
    check_logits,
    check_pictures,
    check_precision,
    copied,
    described,
)
from kgan.models.base.pair import OPTIMIZERS, OptimizerPair, inner, sum_first
from kgan.models.base.saving import Saving
from kgan.random import Draws
from kgan.recipe import Origin, optimizers

EMA_RAMP = 0.05  # of the images seen: the longest half-life of the moving average

_COMPILE = {  # of Keras' own arguments
    **dict.fromkeys(("run_eagerly", "auto_scale_loss"), FLAG),
    "jit_compile": Bound("True, False or 'auto'", lambda v: FLAG.fits(v) or one_of("auto").fits(v)),
    "steps_per_execution": whole(1),
}
_NO_METRICS = "see kgan.metrics, and kgan.callbacks.GenerativeMetrics for metrics during training"
_NO_ARGUMENTS = {  # of Keras' compile, and what to do instead
    "optimizer": "each player has its own, g_optimizer and d_optimizer",
    "loss": "a GAN's is chosen when it is made, as in GAN(loss='hinge')",
    "loss_weights": "the losses of players are not added",
    "metrics": _NO_METRICS,
    "weighted_metrics": _NO_METRICS,
}


class Batch(NamedTuple):
    """Images, real or generated.

    Attributes:
        images: float tensor (batch, height, width, channels) in [-1, 1].
        labels: int32 tensor (batch,), or None without classes.
        tape: `tf.GradientTape` under which a generator made the images; None of real ones.
    """

    images: tf.Tensor
    labels: tf.Tensor | None = None
    tape: tf.GradientTape | None = None


class AdversarialModel(Fitting, Saving):
    """The base of all models: networks that play against each other, with two optimizers.

    `kgan.models.base.latent.LatentModel` turns latents into images,
    `kgan.models.base.translation.TranslationModel` images into images. A subclass of these
    declares its networks in `PLAYERS`, makes them at the end of its constructor (by `add_networks`,
    inside `own_precision`), and defines `default_optimizers`, `train_step` and `test_step`.

    Attributes:
        PLAYERS: names of the networks by the optimizer that moves them: those of `"g_optimizer"`,
            then those of `"d_optimizer"`. A network is the attribute of its name.
        AVERAGED: names of the networks that have a moving average, which is the attribute
            `ema_<name>`.
        LOGS: names of the running means that `log` fills.
        TEST_LOGS: names of what `test_step` returns, where they are not `LOGS`.
        ARGUMENTS: bounds of the constructor's arguments, which a stranger's preset has to keep
            too. An argument becomes an attribute, and is part of the configuration.
        COMMAND: name on the command line. By default the class name, as in `MyGAN`: `my-gan`.
        BATCH_SIZE: images a step on the command line.
        COUNTS_IMAGES: names of the arguments that count images of a whole training; they follow
            its length on the command line.
        COUNTS_FIRST_IMAGES: names of those that count its first images, or 0. They follow its
            length where a recipe has them.

    Args:
        image_shape: tuple (height, width, channels), with 1 or 3 channels.
        seed: int, of the initial weights and all randomness in training.
        ema_half_life: number of images after which a moving average has forgotten half of what it
            was; early on at most 5% of the images seen. None switches it off.
        augment: `kgan.augment.DiffAugment` or `AdaptiveAugment`, its description, or None.
        **kwargs: other arguments of `ARGUMENTS`, and Keras' own: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: for an argument out of its bounds.
    """

    PLAYERS: ClassVar[dict[str, tuple[str, ...]]]
    AVERAGED: ClassVar[tuple[str, ...]] = ()
    LOGS: ClassVar[tuple[str, ...]] = ()
    TEST_LOGS: ClassVar[tuple[str, ...]] = ()
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        "image_shape": shape_of_images(),
        "seed": whole(0, 2**53),
        "ema_half_life": or_none(
            Bound("a number of images > 0", lambda v: number(0, 1e15).fits(v) and v > 0)
        ),
        "augment": or_none(
            Bound(
                "an augmentation, or its name and arguments",
                augmentation.is_description,
            )
        ),
    }
    COMMAND: ClassVar[str] = ""
    BATCH_SIZE: ClassVar[int] = 64
    COUNTS_IMAGES: ClassVar[tuple[str, ...]] = ()
    COUNTS_FIRST_IMAGES: ClassVar[tuple[str, ...]] = ()

    watches_divergence = False
    ema_ramp: float | None = EMA_RAMP  # None where training begins from trained networks

    def __init__(
        self,
        image_shape,
        seed: int = 0,
        ema_half_life: float | None = 10_000,
        augment=None,
        **kwargs,
    ):
        arguments = {
            "image_shape": image_shape,
            "seed": seed,
            "ema_half_life": ema_half_life,
            "augment": augment,
        }
        # What a subclass decides itself is no argument of its own, but still one of its parent.
        known = _all_arguments(type(self))
        arguments |= {name: kwargs.pop(name) for name in list(kwargs) if name in known}
        super().__init__(**kwargs)
        for name, value in arguments.items():
            known[name].check(name, value)
            if name not in ("image_shape", "augment"):
                # Keras' layers take no numbers of NumPy's.
                value = value.item() if isinstance(value, np.generic) else value
                setattr(self, _attribute(name), value)
        self.image_shape = tuple(map(int, image_shape))  # Keras' layers take no NumPy's
        self.augment = augmentation.get(augment)
        self._brought: tuple[str, ...] = ()
        self._means = {name: keras.metrics.Mean(name) for name in self.LOGS}
        # The counters from which all randomness is drawn are weights, so that they are saved.
        self.images_seen = self.add_state("images_seen", "int64")
        self.images_tested = self.add_state("images_tested", "int64")
        self.diverged = self.add_state("diverged", "int64", shape=(3,))

    def get_config(self) -> dict:
        config = super().get_config()
        for name in self.ARGUMENTS:
            config[name] = getattr(self, _attribute(name))
        config["image_shape"] = list(self.image_shape)
        config["augment"] = augmentation.to_config(self.augment)
        for name in self._brought:
            config[name] = described(name, getattr(self, name))
        if self.origin is not None:
            config["origin"] = self.origin.to_config()
        if self.ema_ramp is None:
            config["ema_ramp"] = None
        if frozen := self._frozen():
            config["frozen"] = frozen
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        config = dict(config)
        origin, frozen = config.pop("origin", None), config.pop("frozen", {})
        ema_ramp = config.pop("ema_ramp", cls.ema_ramp)
        if isinstance(config.get("augment"), dict):
            config["augment"] = augmentation.get(config["augment"])
        for names in cls.PLAYERS.values():
            for name in names:
                if isinstance(config.get(name), dict):
                    config[name] = keras.saving.deserialize_keras_object(
                        config[name], custom_objects=custom_objects
                    )
        model = cls(**config)
        model.ema_ramp = ema_ramp
        for name, places in frozen.items():
            for place, layer in enumerate(getattr(model, name)._flatten_layers()):
                layer.trainable = place not in places  # of a network before those of its layers
        if origin is not None:
            model.origin = Origin.from_config(origin)
        return model

    def _frozen(self) -> dict[str, list[int]]:
        """Which layers of each network are not trainable, by their places, where there are any."""
        frozen = {
            name: [
                place
                for place, layer in enumerate(network._flatten_layers())
                if not layer._trainable
            ]
            for name, network in self.networks.items()
        }
        return {name: places for name, places in frozen.items() if places}

    def add_state(self, name: str, dtype: str = "float32", shape: tuple[int, ...] = ()):
        """A weight that starts at 0 and that the step sets, alike on all replicas."""
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    # Players.

    @property
    def networks(self) -> Mapping[str, keras.Model]:
        """All networks by name, in the order of `PLAYERS`."""
        names = itertools.chain(*self.PLAYERS.values())
        return _read_only({name: getattr(self, name) for name in names})

    @property
    def averages(self) -> Mapping[str, keras.Model]:
        """What pictures are made with: the moving average of each network in `AVERAGED`.

        Without an average it is the network itself.
        """
        return _read_only({name: getattr(self, f"ema_{name}") for name in self.AVERAGED})

    def add_networks(self, brought: tuple[str, ...] = (), **networks: keras.Model) -> None:
        """Makes the networks players, and their moving averages beside them.

        Args:
            brought: names of those that the user has made, which the configuration describes.
            **networks: `keras.Model`s by the names in `PLAYERS`.
        """
        self._brought = tuple(brought)
        for names in self.PLAYERS.values():
            for name in names:
                check_precision(name, networks[name], self.dtype_policy.name)
                setattr(self, name, networks[name])
        for name in self.PLAYERS["d_optimizer"]:
            check_logits(name, networks[name])
        for name in self.AVERAGED:
            average = networks[name]
            check_pictures(name, average)
            if self.ema_half_life is not None:
                average = copied(name, average)
                average.trainable = False
            setattr(self, f"ema_{name}", average)
        self.reset_ema()
        self.built = True

    @contextmanager
    def own_precision(self) -> Iterator[None]:
        """Networks made inside compute as the model's `dtype` says.

        Example:

        ```python
        with self.own_precision():
            generator = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256)])
        ```
        """
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.dtype_policy)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)

    def initial_seeds(self, name: str, part: int = 0) -> Iterator[int]:
        """Seeds of a network's initial weights: others for each network, and for each `part`."""
        place = list(itertools.chain(*self.PLAYERS.values())).index(name)
        return itertools.count(1000 * self.seed + 1_000_003 * place + 100 * part)

    def updates(self, optimizer: str, images: int, batch_size: int) -> int:
        """How many updates an optimizer has made once so many images have been seen.

        Args:
            optimizer: `"g_optimizer"` or `"d_optimizer"`.
            images: int.
            batch_size: int, images a step.
        """
        return images // batch_size

    @classmethod
    def command(cls) -> str:
        """The name on the command line."""
        words = re.findall(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+", cls.__name__)
        return vars(cls).get("COMMAND") or "-".join(words).lower()

    # Compiling: two optimizers, both built at once.

    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs) -> None:
        """Prepares the model for `fit`.

        `optimizer` is then both optimizers, for callbacks that change or log learning rates.

        Args:
            g_optimizer: Keras optimizer (or its name) of the generator, whose learning rate may be
                a schedule over steps. None for the paper's.
            d_optimizer: the same for the discriminator.
            **kwargs: Keras' own arguments: `run_eagerly`, `steps_per_execution`, `jit_compile`,
                `auto_scale_loss`.

        Raises:
            ValueError: if one optimizer is given for both players, or a loss or metrics.
        """
        for name, instead in _NO_ARGUMENTS.items():
            if kwargs.pop(name, None) is not None:
                raise KganError(f"Expected no {name} in compile(): {instead}. Received: {name}")
        for name, bound in _COMPILE.items():
            if name in kwargs:
                bound.check(name, kwargs[name])
        self._check_execution(**kwargs)
        with self.distribute_strategy.scope():  # of which the variables of optimizers are to be
            self._take_optimizers((g_optimizer, d_optimizer), kwargs)
        self.optimizer = OptimizerPair(**{name: getattr(self, name) for name in OPTIMIZERS})
        # Callbacks may change them: checkpoints tell by these what was asked for.
        self.rates_asked = {name: optimizers.rate_of(getattr(self, name)) for name in OPTIMIZERS}

    def _take_optimizers(self, given: tuple, options: dict) -> None:
        made = [
            optimizers.checked(name, default if optimizer is None else optimizer)
            for name, optimizer, default in zip(
                OPTIMIZERS, given, self.default_optimizers(), strict=True
            )
        ]
        if made[0] is made[1]:
            raise KganError(
                "Expected an optimizer for each network, since each keeps its own state. "
                "Received: the same object as g_optimizer and as d_optimizer"
            )
        # Left to itself Keras would make an rmsprop.
        super().compile(optimizer=None, **options)
        for name, optimizer in zip(OPTIMIZERS, made, strict=True):
            optimizer = _of_this_scope(optimizer)
            scaled = options.get("auto_scale_loss", True)
            if scaled and self.dtype_policy.name == "mixed_float16":
                optimizer = _with_loss_scale(optimizer)
            self._check_accumulation(name, optimizer)
            # State loaded into an optimizer that is not built yet would be lost in silence.
            optimizer.build(self.variables_of(name))
            fuse(optimizer)
            sum_first(optimizer)
            optimizers.bind(optimizer, self.images_seen)
            setattr(self, name, optimizer)

    def _check_execution(self, jit_compile="auto", steps_per_execution=1, **others) -> None:
        """Refuses what TensorFlow cannot do on several devices, and would say in a stack of C++."""
        devices = self.distribute_strategy.num_replicas_in_sync
        if devices == 1:
            return
        for wrong, received, why in (
            (jit_compile is True, "jit_compile=True", "XLA compiles for one device"),
            (
                steps_per_execution > 1,
                f"steps_per_execution={steps_per_execution}",
                "TensorFlow cannot loop over steps on several",
            ),
        ):
            if wrong:
                raise KganError(
                    f"Expected {received.partition('=')[0]} to be left out under a strategy of "
                    f"{devices} devices: {why}. Received: {received}"
                )

    def _check_accumulation(self, name, optimizer) -> None:
        """Refuses accumulated gradients on several devices, where Keras fails in TensorFlow."""
        steps = inner(optimizer).gradient_accumulation_steps
        devices = self.distribute_strategy.num_replicas_in_sync
        if steps and devices > 1:
            raise KganError(
                f"Expected {name} without gradient_accumulation_steps under a strategy of "
                f"{devices} devices, on which Keras cannot. Received: "
                f"gradient_accumulation_steps={steps}"
            )

    def variables_of(self, optimizer: str) -> list:
        """The trainable variables that an optimizer moves."""
        names = self.PLAYERS[optimizer]
        return [v for name in names for v in getattr(self, name).trainable_variables]

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """The paper's optimizers, of the generator and of the discriminator."""
        raise NotImplementedError(f"{type(self).__name__} does not define default_optimizers()")

    def get_compile_config(self) -> dict:
        if not self.compiled:
            return {}
        config = {
            name: value
            for name, value in super().get_compile_config().items()
            if name in ("run_eagerly", "steps_per_execution", "jit_compile")
        }
        for name in OPTIMIZERS:
            config[name] = keras.optimizers.serialize(getattr(self, name))
        scaled = any(inner(getattr(self, name)) is not getattr(self, name) for name in OPTIMIZERS)
        if self.dtype_policy.name == "mixed_float16" and not scaled:
            config["auto_scale_loss"] = False  # as asked for
        return config

    def compile_from_config(self, config: dict) -> None:
        # Not by keras.optimizers, which does not know all of Keras' own: Lamb is not among them.
        made = {name: keras.saving.deserialize_keras_object(config[name]) for name in OPTIMIZERS}
        self.compile(**{**config, **made})

    # Logs.

    def log(self, **values) -> dict:
        """Adds values of any shape to the running means of that name; returns these.

        What it returns is of this replica's images; `logs` is of those of all.
        """
        for name, value in values.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in values}

    def logs(self, *names: str) -> dict:
        """Running means by name, all or those of some names, over the images of all replicas."""
        means = [self._means[name] for name in names or self._means]
        sums = [tf.identity(part) for mean in means for part in (mean.total, mean.count)]
        sums = self.sum_replicas(tf.stack(sums))
        values = tf.math.divide_no_nan(sums[::2], sums[1::2])
        return dict(zip(names or self._means, tf.unstack(values, len(means)), strict=True))

    @property
    def metrics(self) -> list:
        return list(self._means.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order."""
        return list(self.TEST_LOGS or self.LOGS)

    # What a training step begins and ends with.

    def begin_step(self, data) -> tuple[Any, Draws]:
        """The real images of a training step, as `unpack` gives them, and its randomness."""
        real = self.unpack(data)
        draws = self.draws(keras.tree.flatten(data)[0], self.images_seen)
        self.seed_layers(draws)
        return real, draws

    def end_step(self, draws: Draws, *fakes: Batch) -> dict:
        """Moves the averages, counts the images, returns the logs."""
        self.update_ema(draws.global_batch)
        self.images_seen.assign_add(tf.cast(draws.global_batch, tf.int64))
        if self.watches_divergence:
            self.note_divergence(*fakes)
        return self.logs()

    def unpack(self, data) -> Any:
        """The parts of a batch: images as floats in [-1, 1], labels as int32."""
        raise NotImplementedError(f"{type(self).__name__} does not define unpack()")

    def scaled(self, images):
        """Images as floats in [-1, 1]; uint8 is scaled here, on the device."""
        scaled = tf.cast(images, self.variable_dtype)
        return scaled / 127.5 - 1.0 if images.dtype == tf.uint8 else scaled

    # Randomness.

    def draws(self, images, counter, stream: int = 0) -> Draws:
        """This step's randomness, drawn for the global batch of which `images` is a slice."""
        local = images.shape[0] or tf.shape(images)[0]
        seed = 2 * self.seed + stream
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return Draws(seed, counter, local)
        # The last batch of a data set need not be cut evenly: ask every replica for its share.
        index = replicas.replica_id_in_sync_group
        share = tf.one_hot(index, replicas.num_replicas_in_sync, dtype=tf.float32)
        shares = replicas.all_reduce("SUM", share * tf.cast(local, tf.float32))
        shares = tf.cast(tf.round(shares), tf.int32)
        offset = tf.cumsum(shares, exclusive=True)[index]
        return Draws(seed, counter, local, tf.reduce_sum(shares), offset)

    def seed_layers(self, draws: Draws) -> None:
        """Sets the state of dropout and the like from the counter: Keras does not save it."""
        first_image = tf.cast(draws.counter, tf.int64) + tf.cast(draws.offset, tf.int64)
        for index, generator in enumerate(self.seed_generators()):
            state = tf.stack([tf.constant(self.seed * 256 + index, tf.int64), first_image * 256])
            generator.state.assign(tf.cast(state, generator.state.dtype))

    def seed_generators(self) -> list:
        """The random states of dropout and the like inside the networks, in a fixed order."""
        return [
            generator
            for network in self.networks.values()
            for layer in network._flatten_layers()
            for generator in layer._seed_generators
        ]

    # Averages over the global batch.

    def global_mean(self, per_example, draws: Draws):
        """The share of this replica in the mean over the global batch (gradients are summed).

        Args:
            per_example: float tensor (batch, …), such as a loss for each patch of an image.
            draws: of the step.
        """
        count = tf.cast(draws.global_batch, per_example.dtype)
        places = math.prod(per_example.shape[1:])
        if places > 1:
            count *= places
        return tf.math.divide_no_nan(tf.reduce_sum(per_example), count)

    def sum_replicas(self, value):
        """The sum of a tensor over all replicas, on each of them."""
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return value
        return replicas.all_reduce("SUM", value)

    def gather_replicas(self, rows):
        """The rows of a tensor on all replicas, in their order, on each of them."""
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return rows
        return replicas.all_gather(rows, axis=0)

    def adapt_augment(self, real_logits, draws: Draws) -> None:
        """Tells an augmentation that adapts how the discriminator takes real images.

        Args:
            real_logits: its logits, of any shape; above 0 where it takes images for real.
            draws: of the step.
        """
        if isinstance(self.augment, augmentation.AdaptiveAugment):
            mean_sign = self.sum_replicas(self.global_mean(tf.sign(real_logits), draws))
            self.augment.adapt(mean_sign, draws.global_batch)

    def lazy_gradients(
        self, function, interval: int, optimizer, variables, images: Any = 1
    ) -> tuple:
        """Gradients of a penalty that is computed every `interval` steps only.

        A penalty that is so much heavier and so much rarer does the same at a fraction of the
        cost (Karras et al. 2020, arXiv:1912.04958, section 3.1).

        Args:
            function: of no arguments, gives the penalty's part of the loss, and values to report.
            interval: int; 1 for every step.
            optimizer, variables: of the network whose penalty it is.
            images: int or int32 scalar tensor, how many the penalty is of on this replica; of none
                it is not computed.

        Returns:
            The values (none of them if the penalty was not due), and a gradient for each variable.
        """

        def due():
            with tf.GradientTape() as tape:
                loss, values = function()
                loss = optimizer.scale_loss(interval * loss)
            gradients = tape.gradient(loss, variables)
            pairs = zip(gradients, zeros(), strict=True)
            # Of an embedding's rows TensorFlow gives those alone that were looked up.
            return tf.reshape(values, (-1,)), [
                zero if g is None else tf.convert_to_tensor(g) for g, zero in pairs
            ]

        def not_due():
            return tf.zeros((0,), self.variable_dtype), zeros()

        def zeros():
            return [tf.zeros(v.shape, v.dtype) for v in variables]

        if interval == 1:
            return due()
        # Only gradients leave the conditional: an optimizer inside would fail under a strategy.
        is_due = (optimizer.iterations % interval == 0) & (images > 0)
        return tf.cond(is_due, due, not_due)

    # Moving averages.

    def update_ema(self, batch) -> None:
        """Moves the averages of weights and normalisation statistics towards their networks.

        The weight of the past halves every `ema_half_life` images: 0.5 ** (batch / half-life).
        Early on it halves every `EMA_RAMP` times the images seen so far, if that is sooner: the
        average forgets the untrained generator, which it starts from (Karras et al. 2020,
        arXiv:2006.06676, in the official code; at the first step it is the generator itself).
        """
        if self.ema_half_life is None:
            return

        @functools.cache
        def share(dtype):
            half_life = tf.cast(self.half_life(), dtype)
            if self.ema_ramp is not None:
                seen = tf.cast(self.images_seen, dtype)  # before this step
                half_life = tf.minimum(half_life, self.ema_ramp * seen)
            return 1.0 - 0.5 ** (tf.cast(batch, dtype) / half_life)

        for name, average_of in self.averages.items():
            pairs = zip(average_of.weights, getattr(self, name).weights, strict=True)
            for average, value in pairs:
                if keras.backend.is_float_dtype(average.dtype):
                    approach(average, value, share(average.dtype))
                else:  # what a layer counts has no mean
                    average.assign(value)

    def half_life(self):
        """The half-life of this step's average in images: a number, or a scalar tensor."""
        return self.ema_half_life

    def reset_ema(self) -> None:
        """Sets the moving averages to the networks as they are."""
        for name, average in self.averages.items():
            if average is not getattr(self, name):
                copy_weights(getattr(self, name), average)

    # Divergence.

    def note_divergence(self, *fakes: Batch) -> None:
        """Records after how many images fakes, discriminators and generators were not finite.

        Only `diverged` is written, on the device; `kgan.callbacks.TerminateOnDivergence` asks for
        it and reads it. A gradient that is not finite shows in the weights of the same step.

        Args:
            *fakes: images made before the generators were updated: if these are not finite, it is
                a generator that has diverged, and a discriminator has it from there.
        """
        sums = [tf.add_n([tf.cast(tf.reduce_sum(fake.images), tf.float32) for fake in fakes])]
        for optimizer in reversed(OPTIMIZERS):  # in the order of a step
            weights = [tf.cast(tf.reduce_sum(w), tf.float32) for w in self.variables_of(optimizer)]
            prefix = optimizer[:2]  # of the losses' names: d_loss; all others are a generator's
            losses = [
                tf.cast(mean.total, tf.float32)
                for name, mean in self._means.items()
                if "loss" in name and name.startswith("d_") == (prefix == "d_")
            ]
            sums.append(tf.add_n([*weights, *losses]))
        bad = self.sum_replicas(tf.cast(~tf.math.is_finite(tf.stack(sums)), tf.float32)) > 0
        first = bad & (self.diverged == 0)
        self.diverged.assign(tf.where(first, self.images_seen, self.diverged))

    # What it shows.

    def check_held_out(self, held_out: tuple[Any, Any] | None) -> None:
        """Raises KganError if `grid_pictures` could not show these."""

    def grid_pictures(
        self,
        rows: int | None = None,
        columns: int | None = None,
        seed: int = 0,
        held_out: tuple[Any, Any] | None = None,
    ) -> tuple[Any, int, dict]:
        """What `kgan.callbacks.SampleGrid` shows, which has these arguments.

        Returns:
            uint8 images, how many of them stand in a row, and what they depend on.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define grid_pictures()")

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.summary`, with the networks under the names of their attributes."""
        averages = {f"ema_{name}": network for name, network in self.averages.items()}
        shown = {**averages, **self.networks}
        names = {attribute: network.name for attribute, network in shown.items()}
        try:
            for attribute, network in shown.items():
                network.name = attribute
            super().summary(*args, **kwargs)
        finally:
            for attribute, network in shown.items():
                network.name = names[attribute]


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Gives a network the weights of another, of which one at a time is in memory once more."""
    for weight, value in zip(target.weights, source.weights, strict=True):
        weight.assign(value.numpy())


def output_dtype() -> str:
    """Of the last layer of a network: losses and pixels need full precision under any policy."""
    return keras.config.dtype_policy().variable_dtype


def add_gradients(gradients: list, more: list) -> list:
    """Sums by variable; a loss that does not depend on a variable has None for it."""
    return [m if g is None else g + m for g, m in zip(gradients, more, strict=True)]


def _read_only(networks: dict[str, keras.Model]) -> Mapping[str, keras.Model]:
    """A view that Keras does not save as one more container of networks."""
    return MappingProxyType(networks)


def _all_arguments(kind: type) -> dict[str, Bound]:
    """The bounds of a class's arguments, and of those that it decides for its parents."""
    found = {}
    for base in reversed(kind.__mro__):
        found |= getattr(base, "ARGUMENTS", {})
    return found


def _attribute(argument: str) -> str:
    """The attribute that holds an argument."""
    return "loss_name" if argument == "loss" else argument  # Keras has a `loss` of its own


def _of_this_scope(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer, or its like if it was made outside of the strategy's scope.

    What it counts would otherwise be counted once by each replica.
    """
    if optimizer._distribution_strategy is tf.distribute.get_strategy():
        return optimizer
    return type(optimizer).from_config(optimizer.get_config())


def _with_loss_scale(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Wraps an optimizer for mixed_float16, as Keras does with its own one."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)
