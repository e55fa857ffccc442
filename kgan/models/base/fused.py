"""Adam, and moving averages, by TensorFlow's one operation for each variable."""

import functools

import keras
import tensorflow as tf

from kgan.models.base.pair import inner


def fuse(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets Keras' Adam update each variable by one operation, not by the dozen that it is made of.

    Each of these goes through all weights: up to a twentieth of a DCGAN's time. The arithmetic is
    Keras' own (Kingma & Ba 2015, arXiv:1412.6980, the order of section 2's last paragraph). Other
    optimizers, subclasses of users and those of several replicas stay as they are.

    Args:
        optimizer: built; one that scales losses may be around it.
    """
    adam = inner(optimizer)
    if type(adam) is keras.optimizers.Adam and not adam.amsgrad and _one_replica():
        adam.update_step = functools.partial(_update, adam)


def _update(adam, gradient, variable, learning_rate):
    dtype = variable.dtype
    step = tf.cast(adam.iterations + 1, dtype)
    index = adam._get_variable_index(variable)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=adam._momentums[index].value.handle,
        v=adam._velocities[index].value.handle,
        # Of the float32 that Keras takes a number for, so that N replicas equal one in float64 too.
        beta1_power=tf.pow(tf.cast(adam.beta_1, dtype), step),
        beta2_power=tf.pow(tf.cast(adam.beta_2, dtype), step),
        lr=tf.cast(learning_rate, dtype),
        beta1=tf.constant(adam.beta_1, dtype),
        beta2=tf.constant(adam.beta_2, dtype),
        epsilon=tf.constant(adam.epsilon, dtype),
        grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
    )


def approach(average: keras.Variable, value: keras.Variable, share: tf.Tensor) -> None:
    """Moves an average towards a value by a share of what is between them.

    In place: to assign a new tensor takes memory anew in every step.

    Args:
        average, value: of the same shape and dtype.
        share: scalar of that dtype, from 0 to 1.
    """
    gap = average.value - value.value
    if _one_replica():
        tf.raw_ops.ResourceApplyGradientDescent(var=average.value.handle, alpha=share, delta=gap)
    else:
        average.assign_sub(share * gap)


def _one_replica():
    return tf.distribute.get_strategy().num_replicas_in_sync == 1
