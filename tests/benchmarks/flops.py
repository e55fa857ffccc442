"""Floating point operations of a training step, counted from the layers of kgan's networks.

Those of convolutions and products by a kernel, a multiplication and an addition each; what lies
between them is time, not work.
"""

import math

import keras

from kgan.models import R3GAN, WGANGP, ConditionalGAN, CycleGAN, Pix2Pix, StyleGANLite


def of_network(network: keras.Model, shape: tuple[int, ...] | None = None) -> tuple[int, int]:
    """Operations of a forward pass of one example: of all layers, and of the first that has any.

    Args:
        network: functional model.
        shape: of its input, where the network does not say.
    """
    if shape is not None:
        network = keras.models.clone_model(network, input_tensors=keras.Input(shape))
    counts = []
    for layer in network._flatten_layers(include_self=False):
        kernel = next((w for w in layer._trainable_variables if w.name == "kernel"), None)
        if kernel is None:
            continue
        places = 1
        if len(kernel.shape) == 4:
            up = isinstance(layer, keras.layers.Conv2DTranspose) or getattr(
                layer, "upsample", False
            )
            tensor = layer.input if up else layer.output
            tensor = tensor[0] if isinstance(tensor, list) else tensor
            places = math.prod(tensor.shape[1:3])
        counts.append(2 * math.prod(kernel.shape) * places)
    return sum(counts), counts[0]


def of_step(model) -> float:
    """Operations of a step of training, an image of the batch.

    A gradient by a layer's input costs what the layer does, one by its kernel the same; of images
    that are data there is none. A penalty's pass is forward and back to the image, and twice as
    much to differentiate that by the kernels.
    """
    if isinstance(model, CycleGAN):
        shape = model.image_shape
        g, g_first = of_network(model.generator_ab, shape)
        d, d_first = of_network(model.discriminator_a, shape)
        fresh, back = 3 * g - g_first, 3 * g
        identity = 2 * fresh if model.identity_weight else 0
        return 2 * fresh + 2 * back + identity + 2 * (2 * d) + 4 * (3 * d - d_first)
    g, g_first = of_network(model.generator)
    d, d_first = of_network(model.discriminator)
    g_update = 3 * g - g_first + 2 * d  # through D, of whose kernels it asks nothing
    d_update, penalty = 2 * (3 * d - d_first), 4 * d
    if isinstance(model, WGANGP):
        return g + d_update + penalty + g_update / model.critic_steps
    if isinstance(model, R3GAN):
        return g + d_update + 2 * penalty + g_update + d  # G's loss looks at the real ones too
    if isinstance(model, Pix2Pix):
        return d_update + g_update
    once_more = g if isinstance(model, ConditionalGAN | StyleGANLite) else 0  # fakes of D's own
    lazy = penalty / model.r1_interval if model.r1_gamma else 0
    return d_update + g_update + once_more + lazy
