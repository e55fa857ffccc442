"""Go on from pretrained faces with a folder of your own images.

python examples/fine_tune.py PHOTOS
"""

import sys

import kgan


def main(folder: str, epochs: int = 10, batch_size: int = 64) -> None:
    """Writes a grid an epoch to `grids/`, and at the end the preset `fine-tuned`."""
    model = kgan.zoo.load("dcgan-celeba")
    dataset = kgan.data.dataset(folder, model.image_shape, batch_size=batch_size, flip=True)
    model.fit(dataset, epochs=epochs, callbacks=[kgan.callbacks.SampleGrid("grids")])
    model.save_to_preset("fine-tuned")


if __name__ == "__main__":
    main(sys.argv[1])
