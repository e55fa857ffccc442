"""What draws the pictures of a preset on the command line: a sampler, or its model."""

from pathlib import Path

import click

from kgan.cli.models import import_models
from kgan.errors import KganError
from kgan.sampling import Sampling
from kgan.translating import Translating
from kgan.zoo.preset import Preset

engine_option = click.option(
    "--engine",
    type=click.Choice(["auto", "onnx", "keras"]),
    default="auto",
    show_default=True,
    help="What computes: ONNX Runtime, at once, or Keras; auto is the first where it can.",
)


def drawn_by(preset: Preset, engine: str, import_file: Path | None) -> Sampling:
    """What draws the pictures of a preset of latents.

    Args:
        preset: as it was read.
        engine: one of the option's.
        import_file: of the user's own model, which only Keras draws.

    Raises:
        KganError: if the preset's model cannot be built or makes pictures of pictures, or ONNX
            Runtime is asked for and has no graph of it.
    """
    model = computed_by(preset, engine, import_file)
    check_sampling(model, preset)
    return model


def check_sampling(model, preset: Preset) -> None:
    """Raises KganError unless a preset's model makes pictures of latents."""
    if not isinstance(model, Sampling):
        raise KganError(
            "Expected a model that makes pictures of latents. Received: "
            f"{preset.metadata['name']}, a {preset.metadata['model']}; kgan translate takes it"
        )


def translated_by(preset: Preset, engine: str, import_file: Path | None) -> Translating:
    """What translates with a preset of pictures; see `drawn_by`."""
    model = computed_by(preset, engine, import_file)
    if not isinstance(model, Translating):
        raise KganError(
            "Expected a model that translates pictures. Received: "
            f"{preset.metadata['name']}, a {preset.metadata['model']}; kgan sample draws it"
        )
    return model


def computed_by(preset: Preset, engine: str, import_file: Path | None) -> Sampling | Translating:
    """What computes the pictures of a preset, whichever of the two its model makes."""
    from kgan.zoo import samplers  # late: it imports ONNX Runtime

    if engine != "keras" and import_file is None:
        ready = samplers.ready(preset)
        if ready is not None:
            return ready
    import_models(import_file)
    from kgan.zoo import saving  # late: it imports TensorFlow

    model = saving.load(preset)
    if engine == "keras":
        return model
    from kgan.graph import NotExpressible

    try:
        return samplers.of(preset, model)
    except NotExpressible:
        if engine == "onnx":
            raise
        return model
