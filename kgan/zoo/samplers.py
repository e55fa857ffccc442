"""Samplers: presets drawn from by ONNX Runtime, where TensorFlow need not be.

A stranger's graph never reaches the runtime: one is run if the registry inside this installation
pins it, or if this machine has made it from the checked model.
"""

import numpy as np
import onnxruntime

from kgan.checks import cores
from kgan.sampling import Sampling, StyleSampling
from kgan.translating import Translating
from kgan.zoo import graphs
from kgan.zoo.metadata import CONFIG, WEIGHTS
from kgan.zoo.preset import Preset

_MOST_PASSES = 8  # side by side: each takes memory of its own
_MORE_BYTES = 2  # times what a pass takes by TensorFlow: transposes around each convolution


def of(preset: Preset, model=None) -> Sampling | Translating:
    """The sampler of a preset; see `kgan.zoo.sampler`.

    Args:
        preset: as it was read.
        model: that it holds, if it has been loaded; else it is, where no graph is at hand.
    """
    return ready(preset) or _sampler(preset, _made(preset, model))


def ready(preset: Preset) -> Sampling | Translating | None:
    """The sampler of a preset whose graphs are at hand, which needs no TensorFlow; else None."""
    found = preset.graphs or graphs.made(*_hashes(preset))
    return _sampler(preset, found) if found else None


def _sampler(preset, found):
    weights = preset.content[WEIGHTS]
    session = _session(next(iter(found.values())), weights)
    inputs = {given.name for given in session.get_inputs()}
    if "images" in inputs:
        return _Translator(preset, [_session(graph, weights, cores()) for graph in found.values()])
    return (_StyleSampler if "styles" in inputs else _Sampler)(preset, session)


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


class _Translator(Translating):
    """Translations by graphs, one for each direction.

    A pass is of one picture where these are large: it has all cores, which change no pixel.
    """

    def __init__(self, preset: Preset, sessions: list[onnxruntime.InferenceSession]):
        self.image_shape = self.target_shape = tuple(preset.metadata["image_shape"])
        self._kind = preset.metadata["model"]
        self._sessions, self._bytes = {}, {}
        for session in sessions:
            notes = session.get_modelmeta().custom_metadata_map
            direction = notes["direction"]
            self._sessions[direction] = session
            if direction == "a_to_b":
                *_, channels = session.get_outputs()[0].shape
                self.target_shape = (*self.image_shape[:2], channels)
            if "multiple" in notes:
                self.multiple, self.least_side = int(notes["multiple"]), int(notes["least_side"])
                self._bytes[direction] = _MORE_BYTES * int(notes["bytes_a_pixel"])

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple(self._sessions)

    def bytes_a_pixel(self, direction) -> float:
        return self._bytes[direction]

    def translate_chunk(self, images, direction) -> np.ndarray:
        options = onnxruntime.RunOptions()
        if len(images) == 1:  # they are large: the next one asks for the memory that is free
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return self._sessions[direction].run(["translated"], {"images": images}, options)[0]


def _session(graph, weights, threads=1):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = threads
    options.add_external_initializers_from_files_in_memory([WEIGHTS], [weights], [len(weights)])
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _made(preset, model):
    from kgan.zoo import saving, weights  # late: they import TensorFlow

    model = saving.load(preset) if model is None else model
    found = weights.graphs_of(model, preset.content[WEIGHTS], preset.metadata["format"])
    if saving.is_kgans(type(model)):
        graphs.note(*_hashes(preset), found)
    return found


def _hashes(preset):
    return (preset.metadata["files"][name]["sha256"] for name in (CONFIG, WEIGHTS))
