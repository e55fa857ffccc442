"""What is kept of a GAN: files of Keras', presets, exports and graphs."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf

from kgan import images, workers
from kgan.checks import PATH
from kgan.errors import KganError
from kgan.graph import NotExpressible
from kgan.models.base import exporting, keras_files
from kgan.recipe import Origin


class Pass(NamedTuple):
    """A function that a model makes pictures by.

    Attributes:
        function: as it was traced.
        example: the tensors that it takes.
        shape: what it is to give.
    """

    function: Any
    example: list[tf.Tensor]
    shape: tuple[int, ...]


class Saving(keras.Model):
    """What `AdversarialModel` writes, and how its pictures are made again from that."""

    origin: Origin | None = None  # the preset that it was loaded from

    def save(self, filepath, overwrite: bool = True, zipped=None, **kwargs: Any) -> None:
        """`keras.Model.save`; what stands there stays until the new file is whole.

        Args:
            filepath: path that ends in `.keras`, or with `zipped=False` of a directory.
            overwrite, zipped: see `keras.Model.save`.
            **kwargs: see `keras.Model.save`.

        Raises:
            ValueError: for another path, or if it cannot be written.
        """
        path = os.fspath(PATH.check("filepath", filepath))
        if "://" in path or zipped is False:
            super().save(path, overwrite, zipped, **kwargs)
            return
        if not path.endswith(".keras"):
            raise KganError(
                "Expected a path that ends in .keras; save_to_preset(directory) writes a preset, "
                f"export(directory) a SavedModel to serve. Received: {path}"
            )
        if not overwrite and os.path.exists(path):  # Keras asks
            super().save(path, overwrite, zipped, **kwargs)
            return
        self._write(path, keras_files.archive(self, **kwargs))

    def save_weights(self, filepath, overwrite: bool = True, max_shard_size=None) -> None:
        """`keras.Model.save_weights`; what stands there stays until the new file is whole."""
        path = os.fspath(PATH.check("filepath", filepath))
        if "://" in path or max_shard_size is not None or not path.endswith(".weights.h5"):
            super().save_weights(path, overwrite, max_shard_size)
            return
        if not overwrite and os.path.exists(path):  # Keras asks
            super().save_weights(path, overwrite)
            return
        self._write(path, keras_files.weights(self))

    def _write(self, path: str, content: bytes) -> None:
        if workers.is_chief(self.distribute_strategy):  # all have made it: losses are of all
            keras_files.write_over(path, content)

    def export(
        self,
        filepath,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature=None,
        **kwargs: Any,
    ) -> None:
        """Writes what makes the pictures, the averaged generator, for use without kgan.

        The file holds its weights and says what made it. It takes inputs by name, `latents` and
        what else `call` does, of as many images as one likes, and gives `images`, floats in
        [-1, 1].

        Args:
            filepath: path of a file that ends in `.onnx` or `.tflite`, which is replaced, or of a
                directory that does not exist, is empty or holds an export.
            format: `"onnx"`, `"litert"`, or `"tf_saved_model"`, also `"saved_model"`.
            verbose: bool, whether to say where it is.
            input_signature: types of the inputs, as `keras.Model.export` has them, that fix the
                size of the batch.
            **kwargs: attributes of LiteRT's converter, such as `optimizations`.

        Raises:
            ValueError: for another format, ending or input, if something else stands there, or
                if the format has no operation that the networks need.

        Example:

        ```python
        model.export("served")
        images = tf.saved_model.load("served").serve(latents)
        ```
        """
        exporting.export(
            self.exported(), filepath, format, verbose, input_signature=input_signature, **kwargs
        )

    def exported(self) -> exporting.Exported:
        """What `export` writes: by default the first averaged network."""
        network = next(iter(self.averages.values()))
        names = [f"input_{i}" if i else "input" for i, _ in enumerate(network.inputs)]
        return exporting.of_network(network, names, self.provenance())

    def provenance(self) -> dict[str, Any]:
        """What is to be said of what the model makes, as `kgan.images.provenance` has it.

        A preset is named if the model has not been trained on since it was loaded from it.
        """
        seen, more = int(self.images_seen.numpy()), {}
        if self.origin is None:
            return images.provenance(type(self).__name__, seen)
        lineage, data = self.origin.lineage, self.origin.recipe.data
        if lineage["images_seen"] == seen:
            more = {"name": lineage["name"], "weights_sha256": lineage["weights_sha256"]}
        for name in ("licence", "licence_note", "class_names"):
            if getattr(data, name):
                more[name] = getattr(data, name)
        return images.provenance(type(self).__name__, seen, **more)

    def save_to_preset(self, directory: str | os.PathLike) -> None:
        """Writes a preset: what is needed to draw and to train on, without optimizer state.

        Args:
            directory: path of a directory that does not exist, is empty or holds a preset, which
                is replaced.

        Raises:
            ValueError: if the directory holds something else, or the model has networks that
                cannot be described by Keras' own layers.
        """
        from kgan import zoo

        zoo.save(self, directory)

    @classmethod
    def from_preset(cls, source: str | os.PathLike) -> Self:
        """Loads a preset, ready to draw and for `fit`; see `kgan.zoo.load`.

        Args:
            source: a preset directory, or a name in `kgan.zoo.names()`.

        Raises:
            ValueError: if there is no such preset, a file in it is damaged, or it holds a model
                of another class than this one.
        """
        from kgan import zoo

        model = zoo.load(source)
        if not isinstance(model, cls):
            raise KganError(
                f"Expected a preset of a {cls.__name__}. Received: {str(source)!r}, which holds "
                f"a {type(model).__name__}"
            )
        return model

    def preset_state(self) -> dict:
        """What presets hold beside the networks, for training to go on from there."""
        return {"images_seen": self.images_seen}

    @classmethod
    def more_values(cls, arguments: dict[str, Any]) -> int:
        """How many values a model keeps that no preset holds, beside counters and means.

        Args:
            arguments: of its constructor, within their bounds.
        """
        return 0

    def passes(self) -> list[Pass]:
        """How it makes pictures, for a preset to be tried out before it is trusted to make any."""
        return []

    def expressions(self) -> dict[str, Callable]:
        """How it makes pictures: by averaged network what writes it in a `kgan.graph.Graph`.

        Each returns outputs by name, or raises `kgan.graph.NotExpressible` if no graph is known.
        """
        return {next(iter(self.AVERAGED), "generator"): self.express}

    def express(self, graph) -> dict:
        """How it makes pictures, in a `kgan.graph.Graph`: its outputs by name.

        Raises:
            kgan.graph.NotExpressible: if no graph is known for it.
        """
        raise NotExpressible(f"a {type(self).__name__}")

    def check_call(self, kind: type) -> None:
        """Raises NotExpressible if images are made otherwise than by `call` of a class."""
        if type(self).call is not kind.call:
            raise NotExpressible(f"{type(self).__name__} with a call() of its own")

    def preview(self) -> tuple[Any, int, dict] | None:
        """Pictures for a card, their number a row, and what to draw them again with.

        None if the model cannot draw without being given pictures.
        """
        return None
