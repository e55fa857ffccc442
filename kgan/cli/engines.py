"""What draws the pictures of a preset on the command line: a sampler, or its model."""

from pathlib import Path

import click

from kgan.cli.models import import_models
from kgan.sampling import Sampling
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
        KganError: if the preset's model cannot be built, or ONNX Runtime is asked for and has no
            graph of it.
    """
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
