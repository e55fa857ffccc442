"""Images a second of `fit` against a bare `tf.function` loop that does the same work.

Both train the same networks with the same algorithm, optimizers, moving average and augmentation,
on the same uint8 batches; they take turns, so that a busy machine slows both. Run it alone:

    python tests/benchmarks/throughput.py gan --steps 400
    python tests/benchmarks/throughput.py dcgan --side 64 --width 40 --augment
    python tests/benchmarks/throughput.py dcgan --side 28 --width 64 --steps 200
    python tests/benchmarks/throughput.py wgan-gp --steps 30
    python tests/benchmarks/throughput.py cgan --steps 60
    python tests/benchmarks/throughput.py stylegan-lite --steps 16
    python tests/benchmarks/throughput.py stylegan-lite --steps 16 --r1-cost
    python tests/benchmarks/throughput.py pix2pix --width 32
    python tests/benchmarks/throughput.py cyclegan --width 16 --steps 60
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import bare_loops
import numpy as np

import kgan
from kgan.models.base.translation import TranslationModel

# Class, bare loop, and the side and batch size of its recipe.
MODELS = {
    "gan": (kgan.models.GAN, bare_loops.dcgan, 28, 64),  # the same step
    "dcgan": (kgan.models.DCGAN, bare_loops.dcgan, 64, 64),
    "wgan-gp": (kgan.models.WGANGP, bare_loops.wgan_gp, 28, 5 * 64),
    "cgan": (kgan.models.ConditionalGAN, bare_loops.conditional_gan, 28, 64),
    "stylegan-lite": (kgan.models.StyleGANLite, bare_loops.stylegan_lite, 64, 32),
    "pix2pix": (kgan.models.Pix2Pix, bare_loops.pix2pix, 64, 16),
    "cyclegan": (kgan.models.CycleGAN, bare_loops.cycle_gan, 64, 4),
}
# Beside these, what the recipes of translating presets have.
ARGUMENTS = {
    "pix2pix": {"max_channels": 88, "ema_half_life": 10_000},
    "cyclegan": {"residual_blocks": 8, "ema_half_life": 5_000},
}


def main() -> None:
    """Prints every round's rates and their ratio, summarised in two ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--side", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, default=40, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--augment", action="store_true", help="DiffAugment")
    parser.add_argument(
        "--r1-cost", action="store_true", help="against a bare loop without R1, of stylegan-lite"
    )
    args = parser.parse_args()
    kind, bare_loop, side, batch_size = MODELS[args.model]
    side, batch_size = args.side or side, args.batch_size or batch_size

    shape = (side, side, 1 if side == 28 else 3)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size * args.steps, *shape), dtype="uint8")
    arguments = {
        "augment": "DiffAugment" if args.augment else None,
        **ARGUMENTS.get(args.model, {}),
    }
    if args.width:
        arguments["width"] = args.width

    def new_model():
        model = kind(shape, **arguments)
        model.compile()
        return model

    model = new_model()
    if isinstance(model, TranslationModel):
        targets = rng.integers(0, 256, images.shape, dtype="uint8")
        dataset = kgan.data.pairs(images, targets, image_shape=shape, batch_size=batch_size)
    else:
        labels = None if model.num_classes is None else np.arange(len(images)) % model.num_classes
        dataset = kgan.data.ImageSet(images, labels).dataset(batch_size)
    options = {"r1": False} if args.r1_cost else {}
    step = bare_loop(new_model(), batch_size, **options)

    def run_kgan():
        model.fit(dataset, verbose=0)

    def run_bare():
        for batch in dataset:
            losses = step(*batch) if isinstance(batch, tuple) else step(batch)
        [float(loss) for loss in losses]

    rates = {"kgan": [], "bare": []}
    for round_ in range(args.rounds + 1):
        for name, run in (("kgan", run_kgan), ("bare", run_bare)):
            start = time.perf_counter()
            run()
            if round_:  # the first round traces
                rates[name].append(len(images) / (time.perf_counter() - start))
    ratios = [k / b for k, b in zip(rates["kgan"], rates["bare"], strict=True)]
    print(f"{args.model}, {side} px, batch {batch_size}, {arguments}")
    for name, values in rates.items():
        each = " ".join(f"{value:.0f}" for value in values)
        print(f"{name:5} {statistics.median(values):7.1f} images/s, median of {each}")
    # Two summaries: where they differ, the machine's own speed changed between the turns.
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = statistics.median(rates["kgan"]) / statistics.median(rates["bare"])
    print(f"ratio of the medians {medians:.3f}")
    print(f"median of the ratios {middle:.3f} (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
