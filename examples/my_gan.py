"""A GAN of your own in one class, here least squares with R1, on two networks of your own."""

import keras
from keras import layers

import kgan


@keras.saving.register_keras_serializable("my_gan")
class LeastSquaresR1(kgan.models.GAN):
    def __init__(self, image_shape=(28, 28, 1), loss="least_squares", **kwargs):
        z, x = keras.Input((64,)), keras.Input(image_shape)
        y = layers.Dense(x.shape[1] * x.shape[2] * x.shape[3], "tanh")(layers.Dense(256, "relu")(z))
        logits = layers.Dense(1)(layers.Dense(256, "leaky_relu")(layers.Flatten()(x)))
        kwargs.setdefault("generator", keras.Model(z, layers.Reshape(image_shape)(y)))
        kwargs.setdefault("discriminator", keras.Model(x, logits))
        super().__init__(image_shape, loss=loss, **kwargs)

    def default_optimizers(self):
        return keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5)

    def penalty(self, real, fakes, draws):
        return 5.0 * kgan.losses.r1(lambda x: self.discriminate(x, real.labels, draws), real.images)


if __name__ == "__main__":
    model = LeastSquaresR1()
    model.compile()
    data = kgan.data.dataset("tfds:mnist", image_shape=(28, 28, 1))
    model.fit(data, epochs=5, callbacks=[kgan.callbacks.SampleGrid("grids")])
