"""`kgan train`."""

import logging
import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import click

from kgan import recipe as recipes
from kgan.checks import check_box
from kgan.cli.models import (
    import_models,
    import_option,
    imported_names,
    model_class,
    model_names,
    opened,
)
from kgan.cli.names import PresetName
from kgan.cli.paths import ExpandedPath
from kgan.cli.quiet import import_tensorflow
from kgan.cli.renamed import RenamedCommand
from kgan.data.folder import LABELS
from kgan.data.listing import find_folder
from kgan.data.resize import RESIZES
from kgan.errors import KganError, say
from kgan.files import expanded, plain_name
from kgan.recipe import Data, Origin, Recipe
from kgan.recipe.schedules import lowered
from kgan.runs import directory as run_directory
from kgan.zoo import opening, registry
from kgan.zoo.preset import Preset
from kgan.zoo.preset import read as read_preset


@click.command(
    cls=RenamedCommand, epilog=f"Models: {', '.join(model_names())} (cgan: labelled data)."
)
@click.argument(
    "source",
    metavar="[WHAT]",
    required=False,
    type=PresetName(model_names(), paths="file"),
)
@click.option(
    "--from",
    "parent",
    metavar="PRESET",
    type=PresetName(),
    help="Begin from the weights of a preset. Without WHAT its recipe is trained.",
)
@click.option(
    "--freeze-d",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the first N layers with weights of the discriminator as they are, counted from the "
    "image (FreezeD).",
)
@click.option("--data", help="Folder of images or tfds:NAME, in place of the recipe's.")
@click.option(
    "--target",
    help="Folder of what those in --data are to become, for pix2pix (pictures of the same names "
    "belong together) and cyclegan. Without it the pictures in --data have two halves, and the "
    "left one is to become the right one.",
)
@click.option(
    "--data-dir",
    type=ExpandedPath(exists=True, file_okay=False),
    help="Where TFDS data and relative folders are. [default: KGAN_DATA_DIR, TFDS_DATA_DIR]",
)
@click.option(
    "--held-out",
    metavar="SHARE|FOLDER",
    help="Images that are never trained on, for `kgan evaluate`: a share of --data such as 0.1, a "
    "folder, or tfds:NAME.",
)
@click.option("--held-out-target", metavar="FOLDER", help="The same for --target, of a folder.")
@click.option("--size", type=click.IntRange(1), help="Side of the images in pixels.")
@click.option("--channels", type=click.Choice(["1", "3"]), help="1 for gray, 3 for color.")
@click.option(
    "--target-channels",
    type=click.Choice(["1", "3"]),
    help="The same for --target. [default: as --channels]",
)
@click.option(
    "--resize",
    type=click.Choice(RESIZES),
    help="How images of other proportions are resized. [default: crop, at the center]",
)
@click.option(
    "--box",
    metavar="L,T,R,B",
    help="Part of each picture to cut out: left, top, right, bottom in fractions of it; or "
    "'recipe' for the recipe's, which --data drops.",
)
@click.option("--background", help="Color of pad's bars, and under transparency. [default: white]")
@click.option(
    "--labels", type=click.Choice(LABELS), help="Classes from the names of sub-folders of --data."
)
@click.option(
    "--cache",
    type=ExpandedPath(),
    help="File for a folder's decoded images: for sets larger than memory, and to decode once.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option(
    "--images",
    type=click.IntRange(1),
    help="Images to see in all. [default: the recipe's, else 200 epochs, at least 200,000 and at "
    "most 1,000,000]",
)
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.")
@click.option("--flip/--no-flip", default=None, help="Mirror images at random.")
@click.option("--augment/--no-augment", default=None, help="DiffAugment, for small data sets.")
@click.option("--seed", type=click.IntRange(0, 2**31), help="Of weights and all randomness.")
@click.option(
    "--precision",
    type=click.Choice([*recipes.PRECISIONS, "auto"]),
    help="What networks compute in; auto takes the fastest, by a short measurement when the "
    "training begins. [default: the recipe's, else float32]",
)
@click.option("--checkpoint-images", type=click.IntRange(1), help="Images between checkpoints.")
@click.option("--grid-images", type=click.IntRange(1), help="Images between sample grids.")
@click.option("--out", type=ExpandedPath(), help="Run directory. [default: runs/<name>]")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in --out; once it has ended, measure its snapshots and take the best.",
)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "one", "mirrored", "multiworker"]),
    default="auto",
    show_default=True,
    help="Devices: one, all GPUs (mirrored), or those of all processes that TF_CONFIG names "
    "(multiworker). auto: all GPUs if there are two or more, else one device.",
)
@import_option
@click.option("--override", is_flag=True, help="Resume with another recipe or other images.")
def command(
    source: str | None,
    parent: str | None,
    freeze_d: int | None,
    data: str | None,
    target: str | None,
    data_dir: Path | None,
    held_out: str | None,
    held_out_target: str | None,
    size: int | None,
    channels: str | None,
    target_channels: str | None,
    resize: str | None,
    box: str | None,
    background: str | None,
    labels: str | None,
    cache: Path | None,
    epochs: int | None,
    images: int | None,
    batch_size: int | None,
    flip: bool | None,
    augment: bool | None,
    seed: int | None,
    precision: str | None,
    checkpoint_images: int | None,
    grid_images: int | None,
    out: Path | None,
    resume: bool,
    strategy: str,
    import_file: Path | None,
    override: bool,
) -> None:
    """Train WHAT: a name from `kgan list`, a recipe.toml, a model by one of the names below, or
    the directory of a run that is to go on.

    The run directory gets the recipe, a sheet of the images, log.csv, sample grids, checkpoints,
    snapshots of the model, and at the end, or when stopped with Ctrl-C, a preset. `kgan sample`
    and `kgan.zoo.load` take the run directory, at any time.

    \b
    Examples:
      kgan train dcgan --data ./photos --size 64 --flip --epochs 50
      kgan train cgan --data tfds:fashion_mnist --size 28 --channels 1
      kgan train cgan --data ./pets --labels folders --size 64 --cache pets.cache
      kgan train dcgan --data ./photos --held-out 0.1
      kgan train dcgan-celeba --data ./img_align_celeba --box recipe
      kgan train dcgan-mnist --out runs/digits
      kgan train runs/digits
      kgan train --from dcgan-celeba --data ./portraits --images 200000
      kgan train --import my_gan.py my-gan --data ./photos --size 28
      kgan train pix2pix --data ./outlines --target ./pictures --size 64
      kgan train cyclegan --data ./horses --target ./zebras --size 64 --flip
    """
    if epochs is not None and images is not None:
        raise click.UsageError("Expected --epochs or --images, not both.")
    if source is None and parent is None:
        raise click.UsageError("Expected WHAT to train, or --from PRESET. Received: neither.")
    if target is not None and data is None:
        raise click.UsageError("Expected --target beside --data. Received: --target alone.")
    if held_out_target is not None and held_out is None:
        raise click.UsageError(
            "Expected --held-out-target beside --held-out. Received: --held-out-target alone."
        )
    if source is not None and parent is None and data is None and source.lower() in model_names():
        raise click.UsageError(_no_data(source))
    begun = None if source is None else opening.run_directory(source)
    if begun is not None:
        if out is not None and out.resolve() != begun.resolve():
            raise click.UsageError(f"Expected no --out beside a run. Received: --out {out}")
        if not (begun / opening.CHECKPOINTS).is_dir():
            again = shlex.join(["kgan", "train", "--from", str(begun), "--data"])
            raise click.UsageError(
                "Expected a run with checkpoints, from which it goes on. Received: "
                f"{begun}, which has none; {again} … begins another from its weights"
            )
        out, resume = begun, True
    begin_from = None if parent is None else opened(parent, import_file, begin=False)
    recipe = _recipe(source, begin_from, import_file)
    recipes_box = recipe.data.box
    if data is not None:
        kept, recipe.select = recipe.data, ""  # held-out images were the recipe's data too
        recipe.data = Data(
            data,
            flip=kept.flip,
            resize=kept.resize,
            background=kept.background,
            target=target or "",
        )
        if parent is None and source in registry.names():
            say(
                f"{source} is trained anew, on {data}; to begin from its weights: "
                + shlex.join(["kgan", "train", "--from", source, "--data", data]),
                err=True,
            )
    if held_out is not None:
        recipe.data = replace(
            recipe.data, held_out=_held_out(held_out), held_out_target=held_out_target or ""
        )
    if begin_from is not None:
        _inherit(recipe, begin_from)
    if box is not None:
        recipe.data.box = recipes_box if box == "recipe" else parse_box(box)
    if not recipe.data.source:
        raise click.UsageError(_no_data(source))
    shape = recipe.arguments.get("image_shape", (64, 64, 3))
    if not isinstance(shape, (list, tuple)) or len(shape) != 3:
        raise KganError(
            f"Expected image_shape = [height, width, channels] in a recipe. Received: {shape!r}"
        )
    height, width, depth = shape
    asked = [size or height, size or width, int(channels or depth)]
    if begin_from is not None and asked != list(shape):
        raise click.UsageError(
            f"Expected images of {'x'.join(map(str, shape))}, as {parent} makes them: leave --size "
            f"and --channels out, or train without --from. Received: {'x'.join(map(str, asked))}"
        )
    recipe.arguments["image_shape"] = asked
    if target_channels is not None:
        recipe.arguments["target_channels"] = int(target_channels)
    if augment is not None:
        recipe.arguments["augment"] = "DiffAugment"
        if not augment:
            del recipe.arguments["augment"]
    how = {"flip": flip, "resize": resize, "background": background, "labels": labels}
    asked = {name: value for name, value in how.items() if value is not None}
    recipe.data = replace(recipe.data, **asked)
    for name, value in (
        ("seed", seed),
        ("freeze_d", freeze_d),
        ("checkpoint_images", checkpoint_images),
        ("grid_images", grid_images),
    ):
        if value is not None:
            setattr(recipe, name, value)
    if recipe.freeze_d and not recipe.parent:
        raise click.UsageError("Expected --freeze-d beside --from PRESET. Received: no --from.")
    out = out or Path("runs") / plain_name(recipe.name, recipe.model.lower())

    import_models(import_file, begin=False)
    from kgan.runs import threads

    threads.use(run_directory.threads_of(out))
    import_tensorflow(begin=strategy != "multiworker")  # whose processes begin together
    from kgan.runs import strategies
    from kgan.runs import train as training
    from kgan.zoo.building import kind_of

    if source is None:
        for name in kind_of(recipe).COUNTS_FIRST_IMAGES:  # which its parent has behind it
            recipe.arguments.pop(name, None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces its cache of fonts

    devices = strategies.make(strategy)
    try:
        preset = training.train(
            recipe,
            out,
            resume,
            data_dir,
            epochs,
            override,
            cache,
            images,
            batch_size,
            precision,
            devices,
        )
    except training.Interrupted:
        kept = {"--import": import_file, "--data-dir": data_dir, "--cache": cache}
        if strategy != "auto":
            kept["--strategy"] = strategy
        more = [str(word) for pair in kept.items() if pair[1] is not None for word in pair]
        # With its directory, for a name alone may be that of a preset.
        place = out if out.name != str(out) else os.path.join(os.curdir, out)
        again = shlex.join(["kgan", "train", *more, str(place)])
        say(f"Saved. Go on with: {again}", err=True)
        raise
    say(preset)


def _no_data(source):
    return f"Expected --data with a folder of images or tfds:NAME, to train {source} on."


def _held_out(text: str) -> str | dict[str, float]:
    """The recipe's `held_out` of an option: a share of the images, or where others are."""
    share = re.fullmatch(r"([0-9]*\.?[0-9]+)(\s*%)?", text.strip())
    if share is None or find_folder(text).is_dir():
        return text
    return {"share": float(share[1]) / (100 if share[2] else 1)}


def parse_box(text: str) -> list[float]:
    """The box of an option such as `0.1,0.2,0.9,0.9`."""
    try:
        return list(check_box([float(number) for number in text.split(",")]))
    except ValueError:  # KganError is one
        raise click.UsageError(
            "Expected --box with left, top, right and bottom in fractions of the picture, such as "
            f"0.1,0.2,0.9,0.9. Received: {text}"
        ) from None


def _recipe(source: str | None, parent: Preset | None, import_file: Path | None) -> Recipe:
    """The recipe of a file, a run or a preset; of a model with its defaults; or of a parent."""
    if source is None:
        return _gentler(parent.recipe)
    if source.lower().endswith(".toml"):
        return recipes.read(expanded(source))
    if (run := opening.run_directory(source)) is not None:
        return opening.recipe_of(run)
    if import_file is not None or source.lower() in model_names():
        import_models(import_file, begin=False)
        if kind := model_class(source):
            recipe = Recipe(
                name=f"my-{source.lower().removeprefix('my-')}",
                model=kind.__name__,
                batch_size=kind.BATCH_SIZE,
            )
            if parent is not None and parent.recipe.model == recipe.model:
                counts = (*kind.COUNTS_IMAGES, *kind.COUNTS_FIRST_IMAGES)  # of its own training
                recipe.arguments = {  # for its weights to fit
                    key: v for key, v in parent.recipe.arguments.items() if key not in counts
                }
            return recipe
    try:
        return read_preset(source).recipe
    except KganError as error:
        known = ", ".join(model_names() + (imported_names() if import_file else []))
        raise KganError(f"{error}; or a recipe.toml, or one of {known}") from None


def _gentler(recipe: Recipe) -> Recipe:
    """A parent's recipe, for its weights to be trained on from: its schedules begin at a tenth."""
    gentle = {name: lowered(getattr(recipe, name), 0.1) for name in ("g_optimizer", "d_optimizer")}
    name = f"{recipe.name}-tuned" if recipe.name.startswith("my-") else f"my-{recipe.name}"
    return replace(recipe, name=name, note="", freeze_d=0, **gentle)  # the note is of its training


def _inherit(recipe: Recipe, parent: Preset) -> None:
    """Writes into a recipe which preset it begins from, and what use of that asks for.

    Raises:
        KganError: if it is a recipe of another model or of other classes.
    """
    facts = parent.metadata
    shape = tuple(recipe.arguments.get("image_shape", facts["image_shape"]))
    if (recipe.model, shape) != (facts["model"], tuple(facts["image_shape"])):
        raise KganError(
            f"Expected a recipe of a {facts['model']} of {'x'.join(map(str, facts['image_shape']))}"
            f", as {parent.source} is one; without WHAT its own is trained. Received: one of a "
            f"{recipe.model} of {'x'.join(map(str, shape))}"
        )
    recipe.parent = parent.lineage
    recipe.data = Origin(parent.recipe, parent.lineage).bequeath(recipe.data)
    recipe.arguments["image_shape"] = list(shape)
    if facts.get("num_classes") is not None:
        recipe.arguments["num_classes"] = facts["num_classes"]
        recipe.data.class_names = list(facts.get("class_names") or [])
