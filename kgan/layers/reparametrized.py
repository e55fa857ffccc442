"""Layers that compute with a function of their kernel."""

import keras


class Reparametrized:
    """Mixed into a Keras layer whose `kernel` is a function of the weight that is stored.

    Keras' dense layers, convolutions and embeddings save what `kernel` gives, and nothing else
    that a subclass has: here the weights themselves are saved, all of them.
    """

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)
