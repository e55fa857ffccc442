"""Trains many configurations of the peers side by side on one GPU, and measures each as it goes.

    python explore.py PLAN.json FACES OUT --seconds 500

PLAN is a list of tables: `name`, `model` ("stylegan" or "dcgan"), `images` to train on, and what
differs from `DEFAULTS`. FACES is a folder of AVIF mosaics of 16 x 16 faces, 000.avif and so on, the
first of which have to be there; training begins when the last is, and ends in time. Every
configuration has a stream and a thread of its own, and replays a CUDA graph of 16 steps; all draw
from one array of images on the GPU. OUT gets results.json, with figures along the way by the
extractor `faces` against even places of the training set, and the averaged generators at the end
in half precision.
"""

import argparse
import json
import math
import threading
import time
import traceback
from pathlib import Path

import dcgan
import extractor
import numpy as np
import stylegan_lite
import torch
import training
from PIL import Image

DEFAULTS = {
    "batch": 16,
    "latent_dim": 128,
    "width": 24,
    "max_channels": 160,
    "d_width": None,
    "mapping_layers": 4,
    "gamma": 0.1,
    "interval": 16,
    "half_life": 10_000,
    "mixing": 0.0,
    "augment": ["translation", "cutout"],
    "rate": 2.5e-3,
    "d_rate": None,
    "betas": [0.0, 0.99],
    "epsilon": 1e-8,
    "tail": 0.25,  # share of the training in which the rate falls along half a cosine to 0
    "initializer": "dcgan",
    "seed": 0,
    "figures": 8,  # how often
}
STEPS = 16  # a graph
SAMPLES = 4000


def load_faces(folder, count, device):
    """uint8 (count, 64, 64, 3), zeros in place of mosaics to come; how many are there."""
    faces = torch.zeros((count, 64, 64, 3), dtype=torch.uint8, device=device)
    known = fill(folder, faces, set())
    return faces, min(256 * len(known), count)


def fill(folder, faces, known):
    """Puts mosaics that are not known yet in their places, which their names say."""
    for path in sorted(set(Path(folder).glob("*.avif")) - known):
        start = 256 * int(path.stem)
        mosaic = torch.from_numpy(read_mosaic(path)[: len(faces) - start])
        faces[start : start + 256] = mosaic.to(faces.device)
        known.add(path)
    return known


def read_mosaic(path):
    mosaic = np.asarray(Image.open(path).convert("RGB"))
    return mosaic.reshape(16, 64, 16, 64, 3).swapaxes(1, 2).reshape(-1, 64, 64, 3)


def evenly(first, total, number):
    """`kgan.metrics.protocol.evenly` of the even or odd places."""
    places = np.arange(first, total, 2)
    return places[np.arange(number) * len(places) // number]


class Judge:
    """Figures of samples against real pictures at even places."""

    def __init__(self, weights, device):
        self.encoder, self.floor = extractor.Encoder(weights, device), None
        self.device = device

    def look(self, faces):
        """Takes half of the real pictures for the others' measure."""
        number = min(SAMPLES, len(faces) // 2)
        even, odd = (
            torch.cat(
                [self.encoder(part) for part in faces[evenly(k, len(faces), number)].split(500)]
            )
            for k in (0, 1)
        )
        self.even = even.cpu()
        self.real = extractor.moments(self.even)
        self.floor = extractor.frechet(self.real, extractor.moments(odd.cpu()))

    def latents(self, dimensions):
        numbers = torch.Generator(self.device).manual_seed(1)
        return torch.randn(SAMPLES, dimensions, generator=numbers, device=self.device)

    @torch.no_grad()
    def features(self, generator, latents):
        """Features of samples: launches alone, for a graph."""
        features = []
        for part in latents.split(500):
            images = (generator(part).clamp(-1, 1) + 1) * 127.5
            features.append(self.encoder(images.round().permute(0, 2, 3, 1)))
        return torch.cat(features)

    def __call__(self, features):
        """The Fréchet distance in floors, and the kernel distance."""
        features = features.cpu()
        distance = extractor.frechet(self.real, extractor.moments(features))
        return distance / self.floor, extractor.kernel_distance(self.even, features)


class Run(threading.Thread):
    """One configuration."""

    def __init__(self, table, faces, judge, device):
        super().__init__(daemon=True)
        self.table = config = {**DEFAULTS, **table}
        self.faces, self.judge, self.device = faces, judge, device
        self.cuda = device.type == "cuda"
        self.stream = torch.cuda.Stream() if self.cuda else None
        self.numbers = torch.Generator(device).manual_seed(config["seed"])
        self.shuffler = torch.Generator().manual_seed(config["seed"] + 1)
        self.game = self._game(config)
        self.batch = config["batch"]
        self.order = torch.zeros(len(faces), dtype=torch.long, device=device)
        self.shuffle(config.get("available", len(faces)))
        self.cursor = torch.zeros((), dtype=torch.long, device=device)
        self.sums = torch.zeros(4, device=device)
        self.latents = judge.latents(config["latent_dim"]) if config["figures"] else None
        # Settings go to the GPU within the graph: every launch costs all others time.
        self.host = torch.zeros(3, pin_memory=self.cuda)
        self.seen, self.rows, self.rate = 0, [], 0.0
        self.deadline, self.error, self.seconds = None, None, 0.0

    def _game(self, config):
        torch.manual_seed(config["seed"])
        width = config["width"]
        d_width = config["d_width"] or width
        if config["model"] == "stylegan":
            most = config["max_channels"]
            sizes = (64, config["latent_dim"], width, most, config["mapping_layers"])
            generator = stylegan_lite.Generator(*sizes)
            discriminator = stylegan_lite.Discriminator(64, d_width, most * d_width // width)
        else:
            generator = dcgan.Generator(64, config["latent_dim"], width)
            discriminator = dcgan.Discriminator(64, d_width, config["initializer"])
        generator, discriminator = generator.to(self.device), discriminator.to(self.device)
        augment = None
        if config["augment"]:
            transform = training.DiffAugment(config["augment"])

            def augment(images):
                return transform(images, self.uniform)

        adam = (*config["betas"], config["epsilon"])
        self.peaks = (config["rate"], config["d_rate"] or config["rate"])
        return training.Game(
            generator,
            discriminator,
            self._fake_stylegan if config["model"] == "stylegan" else self._fake_dcgan,
            augment,
            config["gamma"],
            config["interval"],
            [(rate, *adam) for rate in self.peaks],
            config["model"] == "dcgan",
            config["half_life"],
        )

    def shuffle(self, faces):
        """A new order of the first faces, again and again if there are fewer than places."""
        times = -(-len(self.order) // faces)
        orders = [torch.randperm(faces, generator=self.shuffler) for _ in range(times)]
        self.order.copy_(torch.cat(orders)[: len(self.order)])

    def normal(self, shape):
        return torch.randn(shape, generator=self.numbers, device=self.device)

    def uniform(self, shape):
        return torch.rand(shape, generator=self.numbers, device=self.device)

    def _fake_stylegan(self):
        generator, batch = self.game.generator, self.batch
        mixing = self.table["mixing"]
        styles = training.mixed_styles(generator, batch, mixing, self.normal, self.uniform)
        return generator.synthesize(styles, generator.noise_of(batch, self.normal))

    def _fake_dcgan(self):
        return self.game.generator(self.normal((self.batch, self.table["latent_dim"])))

    def steps(self):
        """A graph's worth of training: real pictures for all steps at once, then each step."""
        if self.cuda:
            self.game.settings.copy_(self.host, non_blocking=True)
        count = STEPS * self.batch
        places = torch.arange(count, device=self.device) + self.cursor
        rows = self.order[places.remainder(len(self.order))]
        pictures = self.faces[rows].float() / 127.5 - 1.0
        flipped = self.uniform((count, 1, 1, 1)) < 0.5
        pictures = torch.where(flipped, pictures.flip(2), pictures).permute(0, 3, 1, 2)
        self.cursor.add_(count)
        for k, real in enumerate(pictures.split(self.batch)):
            values = self.game.step(real, k % self.table["interval"] == 0)
            if k == 0:
                self.sums.add_(torch.stack([value.detach() for value in values]))

    def _settings(self):
        left = 1.0 - self.seen / self.table["images"]
        share = min(max(left / self.table["tail"], 0.0), 1.0)
        factor = 0.5 * (1.0 - math.cos(math.pi * share))
        rates = [peak * factor for peak in self.peaks]
        keep = self.game.keep(self.seen + STEPS * self.batch // 2, self.batch)
        if self.cuda:
            self.host[:] = torch.tensor([*rates, keep])
        else:
            self.game.set_rates(*rates)
            self.game.settings[2] = keep

    def _advance(self, work):
        if self.seen // len(self.order) > (self.seen - STEPS * self.batch) // len(self.order):
            self.shuffle(len(self.order))
        self._settings()
        work()
        self.seen += STEPS * self.batch

    def prepare(self):
        """The first 16 steps, and a graph of the next."""
        self.work = self.steps
        if not self.cuda:
            return
        torch.cuda.synchronize()  # weights and pictures come from another stream
        with torch.cuda.stream(self.stream):
            self._advance(self.steps)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.numbers)
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.steps()
        self.work = self.graph.replay
        if self.latents is not None:
            self.figures = torch.cuda.CUDAGraph()
            torch.backends.cudnn.benchmark = False
            with torch.cuda.stream(self.stream):
                self.judge.features(self.game.average, self.latents[:500])
            torch.cuda.synchronize()
            with torch.cuda.graph(self.figures, stream=self.stream):
                self.features = self.judge.features(self.game.average, self.latents)
            torch.backends.cudnn.benchmark = True

    def run(self):
        try:
            if self.cuda:
                with torch.cuda.stream(self.stream):
                    self._train()
            else:
                self._train()
        except Exception:
            self.error = traceback.format_exc()
            print(self.table["name"], self.error, flush=True)

    def _train(self):
        started = time.time()
        count = 0
        figures = self.table["figures"]
        due = [(k + 1) / figures for k in range(figures)]
        events = []
        while self.seen < self.table["images"] and time.time() < self.deadline:
            self._advance(self.work)
            count += 1
            if self.cuda:  # not too far ahead of the GPU
                events.append(self.stream.record_event())
                if len(events) > 3:
                    events.pop(0).synchronize()
            if due and self.seen >= due[0] * self.table["images"]:
                self.seconds += time.time() - started
                while due and self.seen >= due[0] * self.table["images"]:
                    due.pop(0)
                self._note(count)
                count, started = 0, time.time()
        if self.cuda:
            self.stream.synchronize()
        self.seconds += time.time() - started
        if count:
            self._note(count)

    def _note(self, count):
        names = ("d_loss", "g_loss", "real_score", "fake_score")
        means = (self.sums / count).tolist()
        self.sums.zero_()
        if self.latents is None:
            return
        if self.cuda:
            self.figures.replay()
        else:
            self.features = self.judge.features(self.game.average, self.latents)
        floors, kernel = self.judge(self.features)
        row = {"images": self.seen, "floors": floors, "kernel": kernel}
        self.rows.append({**row, **dict(zip(names, means, strict=True))})

    def arrays(self):
        """The averaged generator's weights, in half precision."""
        return [w.detach().cpu().numpy().astype(np.float16) for w in self.game.average.weights()]


def speeds(groups, faces, judge, device, seconds=5):
    """Prints images a second of groups of configurations, those of a group side by side."""
    for tables in groups:
        started = time.time()
        runs = prepared({"figures": 0, "images": 10**9}, tables, faces, judge, device)
        print(f"{time.time() - started:.1f} s to prepare {len(runs)}", flush=True)
        for run in runs:
            run.deadline = time.time() + seconds
            run.start()
        for run in runs:
            run.join()
        rates = [(run.table["name"], round(run.seen / run.seconds)) for run in runs]
        print("images/s", rates, "together", sum(rate for _, rate in rates), flush=True)
        if device.type == "cuda":
            print(f"  {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


def prepared(more, tables, faces, judge, device):
    """The runs of a plan, ready to start."""
    runs = []
    torch.backends.cudnn.benchmark = True  # of the shapes of a step; there are few of them
    for table in tables:
        runs.append(Run({**table, **more}, faces, judge, device))
        runs[-1].prepare()
    torch.backends.cudnn.benchmark = False
    return runs


def fit_to_time(runs, seconds, left):
    """Changes the length of trainings not marked as `fixed` so that all end in time.

    Args:
        runs: all.
        seconds: since they began.
        left: seconds that they have.
    """

    def work(run, images):  # launches, in those of a StyleGAN's step
        return images / run.batch * (1.0 if run.table["model"] == "stylegan" else 0.2)

    speed = sum(work(run, run.seen) for run in runs) / seconds
    free = [run for run in runs if not run.table.get("fixed") and run.is_alive()]
    others = sum(work(run, run.table["images"]) for run in runs if run not in free)
    wanted = sum(work(run, run.table["images"]) for run in free)
    factor = min(max((0.95 * speed * (seconds + left) - others) / wanted, 0.05), 1.7)
    print(f"{speed:.0f} steps/s, lengths times {factor:.2f}", flush=True)
    for run in free:
        run.table["images"] = max(int(run.table["images"] * factor), run.seen)


def main() -> None:
    """Reads the plan, trains, writes what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--extractor", type=Path, default="kgan/metrics/weights/faces.weights.h5")
    parser.add_argument("--count", type=int, default=20_979, help="faces that there will be")
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--speeds", action="store_true", help="only images/s, of lists of tables")
    args = parser.parse_args()
    started = time.time()
    device = torch.device(args.device)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    faces, available = load_faces(args.faces, args.count, device)
    judge = Judge(args.extractor, device)
    plan = json.loads(args.plan.read_text())
    if args.speeds:
        speeds(plan, faces[:available], judge, device)
        return
    runs = prepared({"available": available}, plan, faces, judge, device)
    print(f"prepared in {time.time() - started:.1f} s", flush=True)
    known = set()
    while len(known) < math.ceil(args.count / 256):
        fill(args.faces, faces, known)
        time.sleep(0.2)
    judge.look(faces)
    print(f"{len(faces)} faces, floor {judge.floor:.4f}, {time.time() - started:.1f} s", flush=True)
    begun = time.time()
    for run in runs:
        run.shuffle(len(faces))
        run.deadline = started + args.seconds
        run.start()
    args.out.mkdir(parents=True, exist_ok=True)
    length = args.seconds - (begun - started)
    adjustments = [0.1 * length, 0.5 * length]
    while any(run.is_alive() for run in runs):
        time.sleep(min(10, args.seconds / 10))
        seconds = time.time() - begun
        if adjustments and seconds > adjustments[0]:
            adjustments.pop(0)
            fit_to_time(runs, seconds, length - seconds)
        print(f"{seconds:.0f} s", *(f"{run.seen // 1000}k" for run in runs), flush=True)
        write_results(runs, args.out)
    for r in runs:
        shown = [f"{row['floors']:.1f}" for row in r.rows]
        last = {k: round(v, 4) for k, v in r.rows[-1].items()} if r.rows else {}
        print(r.table["name"], r.seen, f"{r.seconds:.0f} s", *shown, last, flush=True)
    write_weights(runs, args.out)
    (args.out / "done").touch()
    print(f"{time.time() - started:.0f} s in all", flush=True)


def write_results(runs, out):
    results = [
        {"table": r.table, "rows": r.rows, "seconds": r.seconds, "error": r.error} for r in runs
    ]
    (out / "results.json").write_text(json.dumps(results))


def write_weights(runs, out, most=56 << 20):
    """The averaged generators, the best first, in files of 15 MiB, as long as there is room."""
    size, part, packed, total = 0, 0, {}, 0
    ended = [r for r in runs if r.rows]
    for r in sorted(ended, key=lambda r: (not r.table.get("wanted"), r.rows[-1]["floors"])):
        arrays = r.arrays()
        total += sum(array.nbytes for array in arrays)
        if total > most:
            break
        for i, array in enumerate(arrays):
            if size + array.nbytes > 15 << 20:
                np.savez(out / f"weights-{part}.npz", **packed)
                size, part, packed = 0, part + 1, {}
            packed[f"{r.table['name']}/{i}"] = array
            size += array.nbytes
    np.savez(out / f"weights-{part}.npz", **packed)


if __name__ == "__main__":
    main()
