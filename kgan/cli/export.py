"""`kgan export`."""

from pathlib import Path

import click

from kgan.cli.models import import_models, import_option, opened
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath, check_writable, in_directory, is_called_a_file, say_written
from kgan.errors import KganError, printable
from kgan.files import EXPORTS, plain_name
from kgan.translating import Translating


@click.command()
@click.argument("source", metavar="NAME", type=PresetName())
@click.option(
    "--format",
    type=click.Choice(list(EXPORTS)),
    default="onnx",
    show_default=True,
    help="For ONNX Runtime and others, for phones and small machines, or for TensorFlow.",
)
@click.option(
    "--out", type=ExpandedPath(), help="File to write, or directory for it; of saved_model its own."
)
@click.option("--direction", help="Of models that translate both ways: a-to-b (default) or b-to-a.")
@import_option
def command(
    source: str, format: str, out: Path | None, direction: str | None, import_file: Path | None
) -> None:
    """Write the generator of the preset NAME (or of a directory) for use without kgan.

    It holds its weights and says what made it. Inputs are latents (of any number of images), for
    conditional models labels and for StyleGAN truncation; the output is images, floats in [-1, 1].
    Of translation models both are images.

    \b
    Examples:
      kgan export dcgan-celeba
      kgan export cgan-mnist --format litert --out digits.tflite
      kgan export stylegan-lite-celeba --format saved_model --out served
      kgan export runs/my-cyclegan --direction b-to-a
    """
    found = opened(source, import_file)
    name, ending = plain_name(found.metadata["name"], "generator"), EXPORTS[format]
    if direction is not None:
        name = f"{name}-{plain_name(direction, 'direction')}"
    if ending:
        out = in_directory(out or Path(), name + ending, ending)
    else:
        out = out or Path(f"{name}-saved-model")
        if is_called_a_file(out):
            raise click.UsageError(
                f"Expected --out with a directory for --format {format}. Received: --out {out}"
            )
    check_writable(out)
    import_models(import_file)
    from kgan.models.base import exporting  # late: they import TensorFlow
    from kgan.zoo import saving

    exporting.check_place(out, format)
    model = saving.load(found)
    if direction is not None and not isinstance(model, Translating):
        raise KganError(
            "Expected no --direction for a model that draws pictures of latents. "
            f"Received: --direction {printable(direction)}"
        )
    model.export(out, format=format, **({} if direction is None else {"direction": direction}))
    say_written(out)
