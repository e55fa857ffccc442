"""A GAN of two networks of your own, on MNIST: minutes on a CPU, grids in `grids/`.

python examples/own_networks.py
"""

import keras
from keras import layers

import kgan


def generator(latent_dim: int = 64) -> keras.Model:
    """Latents to 28x28 images in [-1, 1]."""
    latents = keras.Input((latent_dim,))
    x = layers.Dense(7 * 7 * 64, "relu")(latents)
    x = layers.Reshape((7, 7, 64))(x)
    x = layers.Conv2DTranspose(32, 4, 2, "same", activation="relu")(x)
    images = layers.Conv2DTranspose(1, 4, 2, "same", activation="tanh")(x)
    return keras.Model(latents, images)


def discriminator() -> keras.Model:
    """28x28 images to logits, without a sigmoid."""
    images = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 4, 2, "same", activation="leaky_relu")(images)
    x = layers.Conv2D(64, 4, 2, "same", activation="leaky_relu")(x)
    return keras.Model(images, layers.Dense(1)(layers.Flatten()(x)))


def main(source="tfds:mnist", epochs: int = 3) -> kgan.models.GAN:
    """Trains, and goes on from the last checkpoint when it is run again."""
    model = kgan.models.GAN((28, 28, 1), generator=generator(), discriminator=discriminator())
    model.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
    checkpoint = kgan.callbacks.Checkpoint("checkpoints")
    model.fit(
        kgan.data.dataset(source, image_shape=(28, 28, 1)),
        epochs=epochs,
        initial_epoch=checkpoint.restore(model),
        callbacks=[checkpoint, kgan.callbacks.SampleGrid("grids")],
    )
    model.save_to_preset("own-networks")  # kgan sample ./own-networks
    return model


if __name__ == "__main__":
    main()
