"""TEMPORARY shim: the coming interface of models, on the present classes."""

from kgan.checks import Bound, number, or_none, shape_of_images, whole


def _is_augment(value):
    table = value if isinstance(value, dict) else {"name": value}
    return isinstance(table.get("name"), str) and all(
        isinstance(item, str)
        or (isinstance(item, list) and all(isinstance(name, str) for name in item))
        if key in ("name", "transforms")
        else key in ("target", "interval", "ramp_images", "strength") and type(item) in (int, float)
        for key, item in table.items()
    )


_NAME = Bound("a name", lambda v: isinstance(v, str))
_COMMON = {
    "image_shape": shape_of_images(),
    "latent_dim": or_none(whole(1, 1 << 14)),
    "width": whole(1, 1 << 14),
    "ema_half_life": or_none(number(0, 1e15)),
    "augment": or_none(Bound("an augmentation's name, or a table of its arguments", _is_augment)),
    "loss": or_none(_NAME),
    "r1_gamma": or_none(number(0, 1e9)),
    "r1_interval": whole(1, 1 << 20),
    "num_classes": or_none(whole(1, 100_000)),
    "seed": whole(0, 1 << 53),
}
ARGUMENTS = {
    "GAN": _COMMON,
    "DCGAN": {**_COMMON, "initializer": _NAME},
    "WGANGP": {**_COMMON, "critic_steps": whole(1, 1000), "penalty_weight": number(0, 1e9)},
    "ConditionalGAN": {**_COMMON, "conditioning": _NAME},
    "StyleGANLite": {
        **_COMMON,
        "discriminator_width": or_none(whole(1, 1 << 14)),
        "max_channels": whole(1, 1 << 14),
        "mapping_layers": whole(1, 64),
        "style_mixing": number(0, 1),
        "path_length_weight": number(0, 1e9),
    },
}


def networks(self):
    return {name: getattr(self, name) for names in self.PLAYERS.values() for name in names}


def averages(self):
    return {name: getattr(self, f"ema_{name}") for name in self.AVERAGED}


def updates_per_step(self):
    return {"g_optimizer": 1, "d_optimizer": getattr(self, "critic_steps", 1)}


def preview(self):
    rows = min(self.num_classes or 8, 16)
    labels = self.grid_labels(rows, 8)
    facts = {"n": 8 * rows, "seed": 0, **({} if labels is None else {"labels": labels})}
    return self.sample(8 * rows, seed=0, labels=labels), 8, facts


def install(base, kinds):
    base.PLAYERS = {"g_optimizer": ("generator",), "d_optimizer": ("discriminator",)}
    base.AVERAGED = ("generator",)
    base.networks, base.averages = property(networks), property(averages)
    base.updates_per_step = property(updates_per_step)
    base.preview = preview
    for kind in kinds:
        kind.ARGUMENTS = ARGUMENTS[kind.__name__]
