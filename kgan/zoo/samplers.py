"""Samplers: presets drawn from by ONNX Runtime, where TensorFlow need not be.

A stranger's graph never reaches the runtime: one is run if the registry inside this installation
pins it, or if this machine has made it from the checked model.
"""

import numpy as np
import onnxruntime

from kgan.checks import cores
from kgan.sampling import Sampling, StyleSampling
from kgan.zoo import graphs
from kgan.zoo.metadata import CONFIG, WEIGHTS
from kgan.zoo.preset import Preset

_MOST_PASSES = 8  # side by side: each takes memory of its own


def of(preset: Preset, model=None) -> Sampling:
    """The sampler of a preset; see `kgan.zoo.sampler`.

    Args:
        preset: as it was read.
        model: that it holds, if it has been loaded; else it is, where no graph is at hand.
    """
    return ready(preset) or _sampler(preset, _made(preset, model))


def ready(preset: Preset) -> Sampling | None:
    """The sampler of a preset whose graph is at hand, which needs no TensorFlow; else None."""
    graph = preset.graph or graphs.made(*_hashes(preset))
    return None if graph is None else _sampler(preset, graph)


def _sampler(preset, graph):
    session = _session(graph, preset.content[WEIGHTS])
    has_styles = any(given.name == "styles" for given in session.get_inputs())
    return (_StyleSampler if has_styles else _Sampler)(preset, session)


class _Sampler(Sampling):
    """Samples of a graph.

    A pass has one thread, and passes are computed side by side: the runtime's transposed
    convolutions gain nothing from a second thread, and pixels depend on no number of cores.
    """

    chunks_at_once = min(cores(), _MOST_PASSES)

    def __init__(self, preset: Preset, session: onnxruntime.InferenceSession):
        self.image_shape = tuple(preset.metadata["image_shape"])
        self.num_classes = preset.metadata.get("num_classes")
        self._session = session
        self._inputs = {given.name: given for given in session.get_inputs()}
        self._chunk, self.latent_dim = self._inputs["latents"].shape
        self._kind = preset.metadata["model"]

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def sample_chunk(self) -> int:
        return self._chunk

    def draw_chunk(self, latents, labels, **options) -> np.ndarray:
        return self._run("images", latents, labels, **options)

    def _run(self, output, latents, labels=None, **more):
        feed = {"latents": latents, **more}
        if labels is not None:
            feed["labels"] = labels.astype(np.int32)
        return self._session.run([output], feed)[0]


class _StyleSampler(StyleSampling, _Sampler):
    """Samples of a graph that takes styles in place of latents, too."""

    @property
    def styles_shape(self) -> tuple[int, int]:
        return tuple(self._inputs["styles"].shape[1:])

    def draw_chunk(self, latents, labels, **options) -> np.ndarray:
        return self._run("images", latents, labels, **self._feed(None, **options))

    def styles_chunk(self, latents, labels, **options) -> np.ndarray:
        return self._run("styles_out", latents, labels, **self._feed(None, **options))

    def draw_styles_chunk(self, styles) -> np.ndarray:
        latents = np.zeros((self._chunk, self.latent_dim), np.float32)
        labels = None if self.num_classes is None else np.zeros(self._chunk, np.int32)
        return self._run("images", latents, labels, **self._feed(styles.astype(np.float32)))

    def _feed(self, styles, truncation=1.0):
        given = styles is not None
        if not given:
            styles = np.zeros(self._inputs["styles"].shape, np.float32)
        return {
            "styles": styles,
            "given": np.array(given),
            "truncation": np.array(truncation, np.float32),
        }


def _session(graph, weights):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1
    options.add_external_initializers_from_files_in_memory([WEIGHTS], [weights], [len(weights)])
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _made(preset, model):
    from kgan.zoo import saving, weights  # late: they import TensorFlow

    model = saving.load(preset) if model is None else model
    graph = weights.graph_of(model, preset.content[WEIGHTS], preset.metadata["format"])
    graphs.note(*_hashes(preset), graph)
    return graph


def _hashes(preset):
    return (preset.metadata["files"][name]["sha256"] for name in (CONFIG, WEIGHTS))
