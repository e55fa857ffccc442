"""A checkpoint that `zoo-1` wrote goes on with the code of today; see zoo_1/write.py."""

import json

import numpy as np
import pytest

from models.zoo_1 import write

HASHES = json.loads((write.HERE / "hashes.json").read_text("utf-8"))


@pytest.fixture(params=write.MODELS)
def restored(request):
    """A name, and its model with the checkpoint of that name."""
    model = write.build(request.param)
    model.load_weights(write.HERE / f"{request.param}.weights.h5")
    return request.param, model


def test_checkpoint_is_restored_to_the_bit_and_goes_on_as_it_did(restored):
    name, model = restored
    found = write.variables(model)
    assert list(map(write.digest, found)) == HASHES[name]["checkpoint"]
    write.train(model, 2, 4)
    with np.load(write.HERE / f"{name}-later.npz") as later:
        expected = list(later.values())
    for one, other in zip(write.variables(model), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
