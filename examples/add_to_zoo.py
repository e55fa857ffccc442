"""Put a trained model into a zoo of your own, with figures, registry and gallery.

python examples/add_to_zoo.py runs/dcgan-mnist/preset my-zoo

After `export KGAN_ZOO=my-zoo`, `kgan list` shows it, and `kgan.zoo.load` takes its name.
"""

from pathlib import Path

import click

from kgan.files import plain_name
from kgan.runs import evaluate as evaluation
from kgan.zoo import registry, saving
from kgan.zoo.preset import complete, copy, read, writing
from kgan.zoo.results import text


@click.command()
@click.argument("preset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("zoo", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="Of the model in the zoo. [default: the preset's own]")
def main(preset: Path, zoo: Path, name: str | None) -> None:
    """Measures PRESET against real images and copies it into the directory ZOO."""
    found = read(preset)  # checks the hash of every file
    name = plain_name(name or found.metadata["name"], "preset")  # a stranger may have named it
    metadata, target = {**found.metadata, "name": name}, zoo / name
    results = evaluation.evaluate(preset)
    with writing(target) as partial:
        copy(found, partial)
        saving.save_graphs(saving.load(found), partial, found.metadata["format"])
        complete(partial, metadata)
    registry.write(zoo)
    evaluation.update_card(target, results)  # which also writes the registry anew, and the gallery
    click.echo(text(results))
    click.echo(target)


if __name__ == "__main__":
    main()
