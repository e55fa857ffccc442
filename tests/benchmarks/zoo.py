"""What the presets of the zoo are worth, beyond `kgan evaluate`.

python tests/benchmarks/zoo.py classify cgan-mnist        # a classifier of samples, on real images
python tests/benchmarks/zoo.py baseline dcgan-mnist --out ~/runs/plain-mnist
python tests/benchmarks/zoo.py raw RUN                    # the generator without its average
python tests/benchmarks/zoo.py finish SNAPSHOT --images 384000 --out ~/runs/finished
python tests/benchmarks/zoo.py sheet dcgan-celeba --seed 100 --out sheets
python tests/benchmarks/zoo.py faces dcgan-celeba         # in how many a detector finds a face
python tests/benchmarks/zoo.py people pix2pix-openmoji    # figures of pairs with and without people
python tests/benchmarks/zoo.py graphs zoo                 # makes the graphs of all presets anew
python tests/benchmarks/zoo.py enter RUN RECIPE zoo       # a run's preset becomes one of the zoo

The data is looked for in KGAN_DATA_DIR.
"""

import dataclasses
import json
from pathlib import Path

import click
import keras
import numpy as np

import kgan
from kgan import images
from kgan.callbacks import Checkpoint
from kgan.data import parts
from kgan.latents import sample_labels
from kgan.metrics import extractors
from kgan.recipe import optimizers
from kgan.runs import evaluate as evaluation
from kgan.runs import train as runs
from kgan.runs.evaluate_translation import nearest_in_pixels, with_channels
from kgan.zoo import building, preset, registry, saving
from kgan.zoo.gallery import write_gallery
from kgan.zoo.metadata import METADATA, RECIPE
from kgan.zoo.results import text


@click.group(help=__doc__)
def main():
    keras.utils.set_random_seed(0)


def load(name):
    found = preset.read(name)
    return found.recipe, found.metadata, saving.load(found)


def held_out(recipe, model):
    found = parts.load_held_out(recipe.data, model.image_shape)
    if found is None:
        raise click.ClickException(f"Expected held-out images of {recipe.data.source}.")
    return found


def batches(array, size=256):
    return (array[i : i + size] for i in range(0, len(array), size))


@main.command()
@click.argument("name")
@click.option("--samples", default=60_000)
@click.option("--epochs", default=8)
def classify(name, samples, epochs):
    """Accuracy on real test images of a classifier that has seen samples alone.

    Ravuri & Vinyals 2019, arXiv:1905.10887: the classification accuracy score.
    """
    recipe, _, model = load(name)
    labels = sample_labels(0, 0, samples, model.num_classes)
    fakes = model.sample(samples, seed=0)
    test = held_out(recipe, model)
    classifier = extractors.build_classifier()
    steps = epochs * (samples // 128)
    classifier.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(2e-3, steps), weight_decay=0.02
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def scaled(pixels):
        return pixels.astype(np.float32) / 127.5 - 1.0

    classifier.fit(scaled(fakes), labels, batch_size=128, epochs=epochs, verbose=0)
    _, accuracy = classifier.evaluate(scaled(test.images), test.labels, batch_size=500, verbose=0)
    click.echo(f"{name}: {accuracy:.2%} of {len(test):,} real test images, by {samples:,} samples")


@main.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--images", "number", type=int, help="By default as many as the preset has seen.")
@click.option("--seed", type=int, help="The preset's recipe, of another seed.")
@click.option("--without", multiple=True, help="An argument to leave out of the preset's recipe.")
def baseline(name, out, number, seed, without):
    """Trains the plain DCGAN of a preset's data: BCE, Adam 2e-4, no average, no augmentation.

    With --seed or --without it is the preset's own recipe but for that.
    """
    found = preset.read(name)
    recipe = found.recipe
    recipe.images = number or found.metadata["training"]["images_seen"]
    recipe.name = f"{name}-{'-'.join(('without', *without)) if without else 'seed'}"
    for argument in without:
        del recipe.arguments[argument]
    if seed is not None:
        recipe.seed = seed
    elif not without:
        recipe.name = f"{name}-plain"
        kept = ("image_shape", "latent_dim", "width")
        recipe.arguments = {key: recipe.arguments[key] for key in kept}
        recipe.arguments["ema_half_life"] = False
        recipe.g_optimizer = recipe.d_optimizer = {}  # the paper's
        recipe.note = "The plain recipe: what the zoo's are compared with."
    train_and_measure(recipe, out)


def train_and_measure(recipe, out):
    preset = runs.train(recipe, out, resume=out.exists())
    results = evaluation.evaluate(preset)
    evaluation.update_card(preset, results)
    (out / "figures.json").write_text(json.dumps(results, indent=2))


@main.command()
@click.argument("snapshot", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", "number", type=int, required=True, help="At which the run ends.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def finish(snapshot, number, out):
    """What a run of constant learning rate would have led to, had the rate fallen to zero sooner.

    From a snapshot on, along a cosine. A snapshot holds no optimizers and of the generators the
    average, from which it goes on: the result is near that of a shorter run, not the same.
    """
    model = kgan.zoo.load(snapshot)
    recipe = preset.read(snapshot).recipe
    steps = (number - int(model.images_seen.numpy())) // recipe.batch_size
    for table in (recipe.g_optimizer, recipe.d_optimizer):
        highest = table["learning_rate"]["warmup_target"]
        table["learning_rate"] = {
            "name": "CosineDecay",
            "initial_learning_rate": highest,
            "decay_steps": steps,
        }
    recipe.name, recipe.images = f"{recipe.name}-finished", number
    if not out.exists():
        model.compile(*map(optimizers.from_table, (recipe.g_optimizer, recipe.d_optimizer)))
        Checkpoint(out / "checkpoints").save(model, 0)
        (out / RECIPE).write_text(recipe.to_toml(), "utf-8")
    train_and_measure(recipe, out)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def raw(run):
    """Measures the last state of a run without the moving average of its generator."""
    recipe = kgan.recipe.read(run / "recipe.toml")
    model = building.build(recipe)
    Checkpoint(run / "checkpoints").restore(model)
    averaged = run / "averaged"
    kgan.zoo.save(model, averaged, recipe)
    model.reset_ema()
    kgan.zoo.save(model, run / "raw", recipe)
    for path in (averaged, run / "raw"):
        click.echo(f"{path.name}\n{text(evaluation.evaluate(path))}\n")


@main.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=100, help="Of the samples, of the real images and of their order.")
@click.option("-n", "number", default=16, help="Of samples, and of real images.")
def sheet(name, out, seed, number):
    """A sheet of samples among as many real test images, and a key to be opened afterwards."""
    recipe, metadata, model = load(name)
    rng = np.random.default_rng(seed)
    real = held_out(recipe, model).images
    real = real[rng.choice(len(real), number, replace=False)]
    order = rng.permutation(2 * number)
    both = np.concatenate([model.sample(number, seed=seed), real])[order]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{metadata['name']}-{number}-{seed}.png"
    large = images.enlarge(both, 3, "nearest")
    images.save_png(images.grid(large, columns=8, gap=6), path, None)
    key = ["fake" if index < number else "real" for index in order]
    path.with_suffix(".json").write_text(json.dumps(key))
    click.echo(path)


@main.command()
@click.argument("name")
@click.option("-n", "number", default=1000, help="Of samples, and of real images.")
def faces(name, number):
    """In how many samples a face detector is sure of a face, and in how many real test images.

    MTCNN (Zhang et al. 2016, arXiv:1604.02878; pip install ".[test-faces]"), surer than 0.99.
    """
    from mtcnn import MTCNN

    recipe, _, model = load(name)
    detector = MTCNN()

    def share(pictures):
        found = (detector.detect_faces(picture) for picture in pictures)
        return np.mean([any(face["confidence"] > 0.99 for face in faces) for faces in found])

    real = share(held_out(recipe, model).images[:number])
    samples = share(model.sample(number, seed=0))
    click.echo(
        f"{name}: a face in {samples:.1%} of samples, in {real:.1%} of real images; "
        f"ratio {samples / real:.3f}"
    )


@main.command()
@click.argument("name")
def people(name):
    """Errors of translated emoji with people, whose skin no drawing tells, and of all others.

    People are what has a skin: an emoji that there is in more than one, by the names of the files.
    """
    recipe, _, model = load(name)
    shapes = {"image_shape": model.image_shape, "target_channels": model.target_channels}
    found = parts.load_held_out(recipe.data, **shapes)
    training = parts.load_training(recipe.data, **shapes)
    skins = {f"1f3f{digit}" for digit in "bcdef"}  # Unicode's modifiers

    def points(name):
        return Path(name).stem.split("-")

    names = [points(name) for name in [*found.names, *training.names]]
    skinned = {tuple(p for p in name if p not in skins) for name in names if skins & {*name}}
    with_skin = np.array(
        [tuple(p for p in points(name) if p not in skins) in skinned for name in found.names]
    )
    for who, chosen in (("people", with_skin), ("others", ~with_skin)):
        given, truth = found.images[chosen], found.targets[chosen]
        near = training.targets[nearest_in_pixels(given, training.images)]
        for what, pictures in (
            ("translations", model.translate(given)),
            ("input itself", with_channels(given, truth.shape[3])),
            ("nearest pair", near),
        ):
            click.echo(
                f"{len(truth)} {who}, {what}: mean absolute error "
                f"{kgan.metrics.mean_absolute_error(truth, pictures):.2f}, "
                f"SSIM {kgan.metrics.ssim(truth, pictures):.3f}"
            )


@main.command()
@click.argument("zoo", type=click.Path(exists=True, file_okay=False, path_type=Path))
def graphs(zoo):
    """By which samplers draw, after a change of what `kgan.graph` writes; weights stay."""
    for place in sorted(path.parent for path in zoo.glob(f"*/{METADATA}")):
        found = preset.read(place)
        with preset.writing(place) as partial:
            preset.copy(found, partial)
            saving.save_graphs(saving.load(found), partial, found.metadata["format"])
            preset.complete(partial, found.metadata)
    registry.write(zoo)
    write_gallery(zoo)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("zoo", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--hardware", help="That it was trained on, if not on this machine.")
def enter(run, recipe, zoo, hardware):
    """Copies a run's preset into the zoo, with the texts of a recipe; then measure it there.

    What a preset is selected by may be told after the training too: `kgan train RUN --resume`.
    """
    found, texts = preset.read(run / "preset"), kgan.recipe.read(recipe)
    made = dataclasses.replace(found.recipe, name=texts.name, note=texts.note, select=texts.select)
    for name in ("title", "licence", "licence_note", "show", "note", "limits"):
        setattr(made.data, name, getattr(texts.data, name))
    training = found.metadata["training"]
    training = {**training, "hardware": hardware or training["hardware"]}
    with preset.writing(zoo / texts.name) as partial:
        preset.copy(found, partial)
        (partial / RECIPE).write_text(made.to_toml(), "utf-8")
        model = saving.load(found)
        saving.save_graphs(model, partial)
        saving.save_samples(model, texts.name, partial)
        values = {**found.metadata, "name": texts.name, "training": training, "metrics": []}
        preset.complete(partial, values)
    registry.write(zoo)
    write_gallery(zoo)


if __name__ == "__main__":
    main()
