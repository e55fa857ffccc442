"""Hundreds of hostile presets: each loads, or is refused in one line.

    python tests/benchmarks/fuzz_presets.py --presets 500 --seed 0

Every preset is a sound one of one of six, changed by one to three of the mutations in
`tests/untrusted/hostile.py`; of two in three the hashes are made right again, so that the parsers
are reached. After these come large ones, near the limit of size, with all that makes memory of
weights. They are loaded and sampled from, one after the other, by a child process that has done so
with a sound one before (TensorFlow alone takes seconds); a child that dies or does not answer in
time counts against the preset at hand, and the next one starts afresh.

Memory is bounded twice. RLIMIT_AS stops the child when its address space has grown by 2 GB over
what it was after that first sample, which it does not survive. And the peaks of the resident memory
during each load and during one sample (VmHWM, reset by writing to /proc/self/clear_refs) may be
1 GB above what it was then. TensorFlow keeps what it has had: a child that has kept much makes room
for another, so that no peak hides in what is there already.

What may happen: the preset loads and can be sampled from; or KganError, with a message of one line,
and nothing is left in the directory for temporary files. Anything else is a fault, and so is any
use of a registered object of the user's own, a change of any file outside the preset, or a
traceback from `kgan info`. Exits 1 if there is one. Linux only.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from untrusted import hostile

LIMIT = 60  # seconds to load
MOST_GROWTH = 1 << 30  # bytes
MOST_ADDRESSES = 1 << 31
MOST_KEPT = 1 << 27  # bytes that a child may have kept


def main() -> None:
    """Runs the presets; exits 1 if one of them was neither loaded nor refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="MUTATION", help="the one that changes them all")
    parser.add_argument("--bases", type=Path, help="directory of sound presets to begin with")
    parser.add_argument("--keep", type=Path, help="where to put presets that are faults")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return serve()
    with tempfile.TemporaryDirectory(prefix="kgan-fuzz-") as scratch:
        chosen = [m for m in hostile.MUTATIONS if args.only in (None, m.__name__)]
        faults = fuzz(args.presets, args.seed, Path(scratch), args.bases, args.keep, chosen)
    sys.exit(bool(faults))


def fuzz(count: int, seed: int, scratch: Path, bases, keep, mutations) -> list[dict]:
    """Loads `count` mutated presets, prints a table, returns what is neither loaded nor refused."""
    child, results, large = Child(scratch), [], []
    if bases is None:
        bases = scratch / "bases"
        child.ask(make=str(bases), large=str(scratch / "large"))
        child.process.kill()
        child, large = Child(scratch), list(hostile.LARGE)
    names = sorted(path.name for path in bases.iterdir())
    # The more a description says, the more there is to change in it.
    weights = [(bases / name / hostile.TEXT[0]).stat().st_size ** 0.5 for name in names]
    child.ask(warm=str(bases / names[0]))
    for index in range(count + len(large)):
        rng = random.Random(f"{seed}/{index}")
        place = scratch / "presets"
        shutil.rmtree(place, ignore_errors=True)
        if index < count:
            shutil.copytree(bases, place)
            directory = place / rng.choices(names, weights)[0]
            how, rehashed = mutate(directory, rng, mutations)
        else:
            directory, how, rehashed = place / "large", [large[index - count].__name__], True
            large[index - count](scratch / "large", directory, rng)
            hostile.rehash(directory)
        before = snapshot(scratch, directory)
        result = child.ask(load=str(directory))
        if snapshot(scratch, directory) != before:
            result.update(outcome="fault", detail="changed a file outside the preset")
        result.update(index=index, how=how, rehashed=rehashed, base=directory.name)
        if result["outcome"] == "fault":
            print(json.dumps(result), file=sys.stderr)
            if keep:
                shutil.copytree(directory, keep / str(index), symlinks=True)
        if result.get("kept", 0) > MOST_KEPT:
            child.process.kill()
            child.process.wait()
        if child.process.poll() is not None:
            child = Child(scratch)
            child.ask(warm=str(bases / names[0]))
        results.append(result)
    child.process.kill()
    report(results)
    return [r for r in results if r["outcome"] == "fault"]


def mutate(directory: Path, rng: random.Random, chosen) -> tuple[list[str], bool]:
    """Changes a preset; returns how, and whether its hashes are right again."""
    how = []
    mutations = rng.choices(chosen, k=rng.choice((1, 1, 1, 2, 3)))
    if hostile.replace_file in mutations:  # by a pipe, from which nothing else could read
        mutations = [m for m in mutations if m is not hostile.replace_file]
        mutations.append(hostile.replace_file)
    for mutation in mutations:
        try:
            mutation(directory, rng)
        except Exception as error:  # nothing to change any more, after the ones before
            if not how:
                raise
            how.append(f"({mutation.__name__}: {type(error).__name__})")
        else:
            how.append(mutation.__name__)
    rehashed = rng.random() < 2 / 3
    if rehashed:
        hostile.rehash(directory)
    return how, rehashed


def snapshot(scratch: Path, but: Path) -> dict:
    """Sizes and times of all files beside a preset, those of temporary directories included."""
    return {
        path: (info.st_size, info.st_mtime_ns)
        for path in sorted(scratch.rglob("*"))
        if but not in path.parents and path.name != "child.log"
        for info in [path.lstat()]
        if not path.is_dir()
    }


def report(results: list[dict]) -> None:
    """Prints the table."""
    kinds = {"loaded": "loaded", "refused": "refused by KganError", "fault": "anything else"}
    print(f"{'':22}{'all':>6}{'with hashes recomputed':>25}")
    for kind, name in kinds.items():
        those = [r for r in results if r["outcome"] == kind]
        print(f"{name:22}{len(those):6}{sum(r['rehashed'] for r in those):25}")
    print(f"{'all':22}{len(results):6}{sum(r['rehashed'] for r in results):25}")
    reasons = Counter(r["reason"] for r in results if r["outcome"] == "refused")
    print("\nRefused by: " + ", ".join(f"{name} {n}" for name, n in reasons.most_common()))
    slowest = max(results, key=lambda r: r["seconds"])
    print(
        f"Slowest: {slowest['seconds']:.1f} s (preset {slowest['index']}, "
        f"{' + '.join(slowest['how'])})\n\nLargest growth of resident memory, MB:"
    )
    print(f"{'preset':>8}{'load':>8}{'sample':>8}  outcome, how")
    for result in sorted(results, key=lambda r: -max(r["growth"]))[:10]:
        growth = "".join(f"{size / 1e6:8.0f}" for size in result["growth"])
        print(f"{result['index']:8}{growth}  {result['outcome']}, {' + '.join(result['how'])}")


class Child:
    """A process that loads presets, and may die of one."""

    def __init__(self, scratch: Path):
        temporary = scratch / "tmp"
        temporary.mkdir(exist_ok=True)
        log = open(scratch / "child.log", "ab")  # noqa: SIM115  (the child's, as long as it lives)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=temporary,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(temporary)},
        )
        log.close()

    def ask(self, **request) -> dict:
        """The answer, or what became of the process."""
        start = time.monotonic()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            limit = LIMIT if "load" in request else 10 * LIMIT
            if select.select([self.process.stdout], [], [], limit)[0]:
                answer = self.process.stdout.readline()
                if answer:
                    return json.loads(answer)
                detail = f"died with {self.process.wait()}"
            else:
                detail = f"no answer in {limit} s"
        except BrokenPipeError:
            detail = "died before"
        self.process.kill()
        self.process.wait()
        seconds = time.monotonic() - start
        return {"outcome": "fault", "detail": detail, "growth": [0, 0], "seconds": seconds}


# In the child.


def serve() -> None:
    """Answers requests, a line of JSON each, until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from click.testing import CliRunner

    import kgan.models  # noqa: F401
    from kgan.cli import main as cli

    used = register_evil()
    runner, usual = CliRunner(), 0
    for line in sys.stdin:
        request = json.loads(line)
        result = {}
        if "make" in request:
            make_bases(Path(request["make"]))
            make_large(Path(request["large"]))
        elif "warm" in request:
            load(request["warm"], usual)
            runner.invoke(cli, ["info", request["warm"]])
            usual, most = memory("VmRSS"), memory("VmSize") + MOST_ADDRESSES
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        else:
            result = load(request["load"], usual)
            said = runner.invoke(cli, ["info", request["load"]])
            lines = said.output.strip().splitlines()
            if said.exit_code and (said.exit_code != 1 or len(lines) != 1):
                result.update(outcome="fault", detail=f"kgan info said {lines[-1:]}")
            if used:
                result.update(outcome="fault", detail=f"used {used}")
                used.clear()
        print(json.dumps(result), file=answers, flush=True)


def load(directory: str, usual: int) -> dict:
    """Loads a preset, and samples from it; what happened, in how much time and memory."""
    import keras

    import kgan
    from kgan.errors import KganError

    start, growth = time.monotonic(), [0, 0]
    result = {"outcome": "loaded", "reason": ""}
    try:
        with peak(growth, 0, usual):
            model = kgan.zoo.load(directory)
        with peak(growth, 1, usual):
            images = model.sample(1, seed=0)
        if images.shape != (1, *model.image_shape):
            result.update(outcome="fault", detail="samples of another shape")
    except BaseException as error:
        message = str(error)
        result.update(outcome="refused", detail=message, reason=where_from(error))
        if type(error) is not KganError or len(message.splitlines()) != 1:
            result.update(outcome="fault", detail=f"{type(error).__name__}: {message}")
        elif growth[1]:
            result.update(
                outcome="fault", detail=f"loaded, and could not be sampled from: {message}"
            )
    if max(growth) > MOST_GROWTH:
        result.update(outcome="fault", detail=f"took {max(growth) / 1e6:.0f} MB")
    model = images = None
    keras.backend.clear_session()
    gc.collect()
    kept = memory("VmRSS") - usual
    return {**result, "growth": growth, "kept": kept, "seconds": time.monotonic() - start}


@contextlib.contextmanager
def peak(growth: list[int], index: int, usual: int) -> Iterator[None]:
    """Notes how much more resident memory there was inside than usually, at most."""
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    try:
        yield
    finally:
        growth[index] = memory("VmHWM") - usual


def where_from(error: BaseException) -> str:
    """The module of kgan that raised an error."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename).stem


def memory(key: str) -> int:
    """Bytes that the system says of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise LookupError(key)


def register_evil() -> list[str]:
    """Registers what a preset must not reach; returns a list of its uses, empty so far."""
    import keras

    used = []

    @keras.saving.register_keras_serializable("evil", "Evil")
    class Evil(keras.layers.Layer):
        def __init__(self, *args, **kwargs):
            used.append("Evil")
            super().__init__()

        def call(self, x):
            return x

    return used


def make_bases(directory: Path) -> None:
    """Six sound presets, one of them of networks of many layers, one of format 1."""
    from kgan import models

    shape = (16, 16, 3)
    for model in (
        models.DCGAN(shape, latent_dim=4, width=4),
        models.GAN(shape, **networks()),
        models.WGANGP(shape, latent_dim=4, width=2),
        models.ConditionalGAN(shape, num_classes=3, latent_dim=4, width=2),
        models.StyleGANLite(shape, 8, 4, 8, mapping_layers=2, augment="AdaptiveAugment"),
    ):
        model.compile()
        model.save_to_preset(directory / type(model).__name__.lower())
    shutil.copytree(directory / "styleganlite", directory / "old")
    hostile.to_format_1(directory / "old")


def make_large(directory: Path) -> None:
    """A sound preset of 90 MB of weights, half of them of the generator."""
    import keras
    from keras import layers

    from kgan import models

    z, images = keras.Input((4,)), keras.Input((16, 16, 3))
    x = layers.Dense(768, "tanh")(layers.Dense(3000, "relu")(layers.Dense(3000, "relu")(z)))
    y = layers.Dense(3000, "relu")(layers.Dense(3000, "relu")(layers.Flatten()(images)))
    model = models.GAN(
        (16, 16, 3),
        generator=keras.Model(z, layers.Reshape((16, 16, 3))(x)),
        discriminator=keras.Model(images, layers.Dense(1)(y)),
    )
    model.compile()
    model.save_to_preset(directory / "2")
    shutil.copytree(directory / "2", directory / "1")
    hostile.to_format_1(directory / "1")


def networks() -> dict:
    """A generator and a discriminator of all sorts of layers."""
    import keras
    from keras import layers

    import kgan.layers

    z = keras.Input((4,))
    x = layers.Dense(64, "gelu", kernel_initializer=keras.initializers.Orthogonal(seed=1))(z)
    x = layers.BatchNormalization()(layers.Reshape((4, 4, 4))(x))
    x = layers.PReLU(shared_axes=[1, 2])(layers.UpSampling2D()(x))
    x = layers.Conv2DTranspose(4, 4, 2, "same", activation=layers.LeakyReLU(0.2))(x)
    block = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.ReLU()])
    x = layers.Add()([block(x), block(block(x))])
    images = keras.Input((16, 16, 3))
    y = kgan.layers.SpectralConv2D(4, 3, 2)(layers.ZeroPadding2D(1)(images))
    y = kgan.layers.MinibatchStddev()(kgan.layers.Blur2D(2)(layers.Dropout(0.1, seed=1)(y)))
    y = layers.SpectralNormalization(layers.Conv2D(3, 3, kernel_regularizer="l2"))(y)
    y = layers.Concatenate()([y, layers.Rescaling([0.5, 1.0, 2.0], offset=0.1)(y)])
    y = layers.Dense(1)(layers.GlobalAveragePooling2D()(y))
    return {
        "generator": keras.Model(z, layers.Conv2D(3, 3, padding="same", activation="tanh")(x)),
        "discriminator": keras.Model(images, y),
    }


if __name__ == "__main__":
    main()
