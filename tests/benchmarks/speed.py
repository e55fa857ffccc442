"""How fast kgan is. Each command prints a table in Markdown, and writes JSON to --out.

python tests/benchmarks/speed.py fit                      # of every class, against the bare loop
python tests/benchmarks/speed.py peers                    # against PyTorch, and the matrix peak
python tests/benchmarks/speed.py precisions dcgan         # of each precision
python tests/benchmarks/speed.py cost dcgan               # by resolution, width, batch, replicas
python tests/benchmarks/speed.py pipelines dcgan          # 20 calls of fit on a user's own data
python tests/benchmarks/speed.py sampling dcgan-celeba    # by Keras and by the graph
python tests/benchmarks/speed.py checkouts dcgan OLD NEW  # of two versions of kgan
python tests/benchmarks/speed.py profile dcgan            # where the time of a step goes
python tests/benchmarks/speed.py table speed.json         # what --out has written

Contestants take turns, each in a process of its own with its framework's default threads; rates are
medians over turns, with their quartiles. Nothing else should work on the machine.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import click
import profiles
from contestants import SIZES
from turns import Contestant, markdown, take_turns, write

PRECISIONS = ("float32", "mixed_bfloat16")
PEERS = ("dcgan", "wgan-gp", "cgan", "stylegan-lite")
COLUMNS = {  # of tables: key in a row, format
    **{"model": "", "precision": "", "side": "d", "width": "d", "batch": "d", "name": ""},
    **{"rate": ".1f", "low": ".1f", "high": ".1f", "ratio": ".3f", "share_of_peak": ".2f"},
    **{"slow": "d", "peak_mb": ".0f", "ms": ".2f", "calls": ".1f"},
}


@click.group(help=__doc__)
def main() -> None:
    """Nothing is shared by the commands."""


def measured(rounds: int | None = 5) -> Callable:
    """Of commands that are given `sizes`, one for each precision, and return rows to report.

    Args:
        rounds: by default, of the `turns` that it is given; None for none.
    """

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(precisions, side, width, batch, out, **arguments):
            what = {"side": side, "width": width, "batch": batch}
            sizes = [{"precision": precision, **what} for precision in precisions]
            if rounds:
                arguments["turns"] = {key: arguments.pop(key) for key in ("rounds", "seconds")}
            report(command.__name__, command(sizes=sizes, **arguments), out)

        of_turns = (
            click.option("--seconds", default=5.0, show_default=True, help="Of a turn."),
            click.option("--rounds", default=rounds, show_default=True, help="Turns of each."),
        )
        for option in (
            click.option("--out", type=click.Path(dir_okay=False), help="JSON file to write."),
            *(of_turns if rounds else ()),
            click.option("--batch", type=int, help="Default: the recipe's."),
            click.option("--width", type=int, help="Default: the recipe's."),
            click.option("--side", type=int, help="Default: the recipe's."),
            click.option(
                "--precision",
                "precisions",
                type=click.Choice(PRECISIONS),
                multiple=True,
                default=PRECISIONS[:1],
                show_default=True,
            ),
        ):
            run = option(run)
        return run

    return decorate


def report(command: str, rows: list[dict], out: str | None) -> None:
    """Prints the table, and writes the file."""
    click.echo(as_table(rows))
    write(out, command, rows)


def as_table(rows: list[dict]) -> str:
    """The columns in which rows have something."""
    return markdown(rows, {k: v for k, v in COLUMNS.items() if any(k in row for row in rows)})


def with_ratios(rows: list[dict], base: float) -> list[dict]:
    """Rows with their rates as shares of another."""
    return [{**row, "ratio": row["rate"] / base} for row in rows]


@main.command()
@click.argument("models", nargs=-1, type=click.Choice(list(SIZES)))
@measured()
def fit(models, sizes, turns) -> list[dict]:
    """Every class in `fit` with callbacks, with and without the average, and in the bare loop."""
    rows = []
    for what in ({"model": model, **size} for model in models or SIZES for size in sizes):
        contestants = [
            Contestant("bare loop", engine="bare", **what),
            Contestant("fit", engine="fit", **what),
            Contestant("fit, no average", engine="fit", average=False, **what),
        ]
        bare, whole, plain = take_turns(contestants, **turns)
        click.echo(
            f"{what['model']}, {what['precision']}: fit and callbacks add "
            f"{100 * (bare['rate'] / whole['rate'] - 1):.1f}% to the bare step, "
            f"the average adds {100 * (plain['rate'] / whole['rate'] - 1):.1f}%"
        )
        rows += with_ratios([bare, whole, plain], bare["rate"])
    return rows


@main.command()
@click.argument("models", nargs=-1, type=click.Choice(PEERS))
@measured()
def peers(models, sizes, turns) -> list[dict]:
    """Against PyTorch, whose better rate is 1, and as a share of the machine's matrix peak."""
    rows = []
    for size in sizes:
        products = [
            Contestant(name, engine="peak", framework=name, precision=size["precision"])
            for name in ("tensorflow", "torch")
        ]
        peak = max(row["rate"] for row in take_turns(products, **turns))
        click.echo(f"matrix peak in {size['precision']}: {peak / 1e9:.0f} GFLOP/s")
        for model in models or PEERS:
            contestants = [
                Contestant("kgan", engine="fit", model=model, **size),
                Contestant("torch", engine="torch", model=model, **size),
                Contestant("torch.compile", engine="torch", compiled=True, model=model, **size),
            ]
            found = take_turns(contestants, **turns)
            for row in found:
                row["share_of_peak"] = row["rate"] * found[0]["flops"] / peak
            rows += with_ratios(found, max(row["rate"] for row in found[1:]))
    return rows


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Choice(list(SIZES)))
@measured()
def precisions(models, sizes, turns) -> list[dict]:
    """`fit` in every precision that is named; the first is 1."""
    rows = []
    for model in models:
        contestants = [Contestant("kgan", engine="fit", model=model, **size) for size in sizes]
        found = take_turns(contestants, **turns)
        rows += with_ratios(found, found[0]["rate"])
    return rows


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Choice(list(SIZES)))
@click.option("--sides", default="32,64,128", show_default=True)
@click.option("--widths", default="16,32,64", show_default=True)
@click.option("--batches", default="16,32,64,128", show_default=True)
@click.option("--replicas", default="1,2", show_default=True, help="On logical CPUs.")
@measured(rounds=3)
def cost(models, sizes, turns, **series) -> list[dict]:
    """Images a second by side, width, batch and replicas, one of them at a time."""
    rows = []
    for what in ({"model": model, **size} for model in models for size in sizes):
        for option, values in series.items():
            key = {"sides": "side", "widths": "width", "batches": "batch"}.get(option, option)
            contestants = [
                Contestant(f"{key} {value}", engine="fit", **{**what, key: int(value)})
                for value in filter(None, values.split(","))
            ]
            found = take_turns(contestants, **turns)
            rows += with_ratios(found, found[0]["rate"]) if found else []
    return rows


@main.command()
@click.argument("model", type=click.Choice(list(SIZES)))
@click.option("--autotuned", is_flag=True, help="As the user's options say.")
@measured(rounds=20)
def pipelines(model, sizes, turns, autotuned) -> list[dict]:
    """Calls of `fit` on a user's own pipeline, of which none may be a slow one."""
    rows = []
    for size in sizes:
        contestants = [
            Contestant(pipeline, engine="fit", pipeline=pipeline, model=model, **size)
            for pipeline in ("kgan.data", "autotuned" if autotuned else "own")
        ]
        found = take_turns(contestants, **turns)
        for row in found:
            row["slow"] = sum(rate < 0.75 * max(row["rates"]) for rate in row["rates"])
        rows += with_ratios(found, found[0]["rate"])
    return rows


@main.command()
@click.argument("model", type=click.Choice(list(SIZES)))
@click.argument("paths", nargs=2, type=click.Path(exists=True, file_okay=False))
@measured()
def checkouts(model, paths, sizes, turns) -> list[dict]:
    """`fit` by two checkouts of kgan."""
    rows = []
    for size in sizes:
        contestants = [Contestant(path, path, engine="fit", model=model, **size) for path in paths]
        found = take_turns(contestants, **turns)
        rows += with_ratios(found, found[0]["rate"])
    return rows


@main.command()
@click.argument("model", type=click.Choice(list(SIZES)))
@click.option("--steps", default=20, show_default=True)
@click.option("--most", default=20, show_default=True, help="Kinds of operations to show.")
@measured(rounds=None)
def profile(model, sizes, steps, most) -> list[dict]:
    """Milliseconds of a step of `fit` by kind of operation, summed over threads."""
    found = [profiles.by_operation(steps, model=model, **size)[:most] for size in sizes]
    return [row for rows in found for row in rows]


@main.command()
@click.argument("presets", nargs=-1, required=True)
@click.option("-n", "number", default=10_000, show_default=True, help="Images by each.")
@click.option("--rounds", default=5, show_default=True, help="Parts in which they are drawn.")
@click.option("--out", type=click.Path(dir_okay=False), help="JSON file to write.")
def sampling(presets, number, rounds, out) -> None:
    """Images a second of presets, drawn by Keras and by ONNX Runtime from the graph."""
    rows = []
    for preset in presets:
        contestants = [
            Contestant(name, engine="sampling", model=preset, graph=graph)
            for name, graph in (("Keras", False), ("ONNX Runtime", True))
        ]
        found = take_turns(contestants, rounds, images=number // rounds)
        rows += with_ratios(found, found[0]["rate"])
    report("sampling", rows, out)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
def table(files) -> None:
    """Prints what --out has written as tables again."""
    for file in files:
        found = json.loads(Path(file).read_text())
        of = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
        click.echo(f"`speed.py {found['command']}` ({of})\n\n{as_table(found['rows'])}\n")


if __name__ == "__main__":
    main()
