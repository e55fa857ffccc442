"""Every N epochs, or every N images over the model's whole life."""

import numpy as np
import pytest

from kgan.callbacks import Periodic
from kgan.models import DCGAN


class Recorder(Periodic):
    def __init__(self, **when):
        super().__init__(**when)
        self.seen = []

    def act(self, images_seen):
        self.seen.append(images_seen)


def fit(callback, model=None, epochs=2):
    if model is None:
        model = DCGAN((16, 16, 1), latent_dim=2, width=2)
        model.compile()
    images = np.zeros((28, 16, 16, 1), "uint8")
    model.fit(images, batch_size=8, epochs=epochs, verbose=0, callbacks=[callback])
    return model


def test_every_two_epochs():
    callback = Recorder(every_epochs=2)
    fit(callback, epochs=5)
    assert callback.seen == [56, 112]


def test_every_20_images_with_partial_batches():
    """Batches end at 8, 16, 24, 28, 36, 44, 52, 56: the first past each multiple of 20."""
    callback = Recorder(every_images=20)
    fit(callback)
    assert callback.seen == [24, 44]


def test_images_are_counted_across_fits():
    model = fit(Recorder(every_images=1000))
    callback = Recorder(every_images=60)
    fit(callback, model)
    assert callback.seen == [64]


@pytest.mark.parametrize("when", [{}, {"every_epochs": 0}, {"every_epochs": 1, "every_images": 1}])
def test_exactly_one_schedule(when):
    with pytest.raises(ValueError, match="not both. Received|every_epochs=0"):
        Recorder(**when)
