"""Weights of kgan's networks, and of their peers in PyTorch, as each other's."""

import re

import numpy as np
import torch

_AXES = {4: (3, 0, 1, 2), 3: (2, 0, 1), 2: (1, 0), 1: (0,), 0: ()}


def in_order(weights):
    """Keras' weights by the kinds and numbers of their layers, before those of layers within."""

    def natural(name):
        return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]

    def key(weight):
        layer, *within = weight.path.split("/")
        return natural(layer), len(within), weight.path

    return sorted(weights, key=key)


def axes(parameter):
    """The axes of kgan's weight in the order of its peer's."""
    return getattr(parameter, "axes", _AXES[parameter.ndim])


@torch.no_grad()
def to_peer(network, peer) -> None:
    """Gives a peer the weights of a Keras network."""
    for weight, parameter in zip(in_order(network.weights), peer.weights(), strict=True):
        parameter.copy_(torch.tensor(np.transpose(weight.numpy(), axes(parameter))))


def from_peer(peer, network, arrays=None) -> None:
    """Gives a Keras network the weights of its peer, or `arrays` in the order of these."""
    parameters = peer.weights()
    arrays = [p.detach().numpy() for p in parameters] if arrays is None else arrays
    for weight, parameter, array in zip(in_order(network.weights), parameters, arrays, strict=True):
        weight.assign(np.transpose(array, np.argsort(axes(parameter))))
