"""The least code that trains each model: what `speed.py fit` measures kgan against.

Each function takes a kgan model, borrows its networks, and returns a function of a batch (a tuple
of images, and labels) that does one step and returns the losses.
"""

import keras
import tensorflow as tf


class _Players:
    """Networks, optimizers and the moving average, as every loop needs them."""

    def __init__(self, model, batch_size):
        self.generator, self.discriminator = model.generator, model.discriminator
        self.average = keras.models.clone_model(self.generator)
        self.average.set_weights(self.generator.get_weights())
        self.g_optimizer, self.d_optimizer = model.default_optimizers()
        self.g_optimizer.build(self.generator.trainable_variables)
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.augment = diff_augment if model.augment else lambda x: x
        self.latents = (batch_size, getattr(model, "latent_dim", None))
        self.keep = (
            None if model.ema_half_life is None else 0.5 ** (batch_size / model.ema_half_life)
        )

    def judge(self, images, labels=None):
        images = self.augment(images)
        inputs = images if labels is None else [images, labels]
        return self.discriminator(inputs, training=True)

    def update_d(self, tape, loss):
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)

    def update_g(self, tape, loss):
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(loss, variables), variables)

    def update_g_through(self, fake, tape, gradient):
        """By the gradient of fakes that were made under a tape."""
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(fake, variables, gradient), variables)

    def update_average(self):
        if self.keep is None:
            return
        for a, w in zip(self.average.weights, self.generator.weights, strict=True):
            a.assign(w + self.keep * (a - w))


def _scale(images):
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def _told_apart(real_logits, fake_logits):
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    real = cross_entropy(tf.ones_like(real_logits), real_logits)
    return tf.reduce_mean(real + cross_entropy(tf.zeros_like(fake_logits), fake_logits))


def _taken_for_real(logits):
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    return tf.reduce_mean(cross_entropy(tf.ones_like(logits), logits))


def dcgan(model, batch_size):
    players = _Players(model, batch_size)

    @tf.function
    def step(images):
        real = _scale(images)
        with tf.GradientTape() as g_tape:
            fake = players.generator(tf.random.normal(players.latents), training=True)
        with tf.GradientTape() as d_tape:
            real_logits, fake_logits = players.judge(real), players.judge(fake)
            d_loss = _told_apart(real_logits, fake_logits)
        players.update_d(d_tape, d_loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = players.judge(fake)
            g_loss = _taken_for_real(fake_logits)
        players.update_g_through(fake, g_tape, tape.gradient(g_loss, fake))
        players.update_average()
        return d_loss, g_loss

    return step


def wgan_gp(model, batch_size):
    players = _Players(model, batch_size)
    size = batch_size // model.critic_steps
    latents = (size, model.latent_dim)

    @tf.function
    def step(images):
        for i in range(model.critic_steps):
            real = _scale(images[i * size : (i + 1) * size])
            fake = players.generator(tf.random.normal(latents), training=True)
            with tf.GradientTape() as tape:
                distance = tf.reduce_mean(players.judge(fake) - players.judge(real))
                mixed = fake + tf.random.uniform((size, 1, 1, 1)) * (real - fake)
                with tf.GradientTape() as inner:
                    inner.watch(mixed)
                    score = players.judge(mixed)
                squared = tf.reduce_sum(tf.square(inner.gradient(score, mixed)), (1, 2, 3))
                penalty = tf.reduce_mean(tf.square(tf.sqrt(tf.maximum(squared, 1e-12)) - 1))
                d_loss = distance + 10.0 * penalty
            players.update_d(tape, d_loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in players.generator.trainable_variables])
            fake = players.generator(tf.random.normal(latents), training=True)
            g_loss = -tf.reduce_mean(players.judge(fake))
        players.update_g(tape, g_loss)
        players.update_average()
        return d_loss, g_loss

    return step


def conditional_gan(model, batch_size):
    players = _Players(model, batch_size)

    def forge():
        labels = tf.random.uniform((batch_size,), 0, model.num_classes, tf.int32)
        return players.generator([tf.random.normal(players.latents), labels], training=True), labels

    @tf.function
    def step(images, labels):
        real = _scale(images)
        fake, fake_labels = forge()
        with tf.GradientTape() as tape:
            real_logits = players.judge(real, tf.cast(labels, tf.int32))
            fake_logits = players.judge(fake, fake_labels)
            d_loss = tf.reduce_mean(tf.nn.relu(1 - real_logits) + tf.nn.relu(1 + fake_logits))
        players.update_d(tape, d_loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in players.generator.trainable_variables])
            fake, fake_labels = forge()
            g_loss = -tf.reduce_mean(players.judge(fake, fake_labels))
        players.update_g(tape, g_loss)
        players.update_average()
        return d_loss, g_loss

    return step


def stylegan_lite(model, batch_size, r1=True):
    players = _Players(model, batch_size)
    mapping = players.generator.get_layer("mapping")
    synthesis = players.generator.get_layer("synthesis")
    num_styles = synthesis.input_shape[1]
    mean = tf.Variable(tf.zeros(model.latent_dim))

    def forge():
        first, second = (mapping(tf.random.normal(players.latents)) for _ in range(2))
        mean.assign(tf.reduce_mean(first, 0) + 0.998 * (mean - tf.reduce_mean(first, 0)))
        crossover = tf.floor(tf.random.uniform((batch_size, 1), 1, num_styles))
        mixed = tf.random.uniform((batch_size, 1)) < model.style_mixing
        mixed &= tf.range(num_styles, dtype=tf.float32)[None] >= crossover
        styles = tf.where(mixed[:, :, None], second[:, None], first[:, None])
        return synthesis(styles, training=True)

    def step(images, regularize):
        real, fake = _scale(images), forge()
        with tf.GradientTape() as tape:
            d_loss = tf.reduce_mean(
                tf.nn.softplus(-players.judge(real)) + tf.nn.softplus(players.judge(fake))
            )
            if regularize:
                with tf.GradientTape() as inner:
                    inner.watch(real)
                    score = players.judge(real)
                squared = tf.reduce_sum(tf.square(inner.gradient(score, real)), (1, 2, 3))
                d_loss += model.r1_interval * model.r1_gamma / 2 * tf.reduce_mean(squared)
        players.update_d(tape, d_loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in players.generator.trainable_variables])
            g_loss = tf.reduce_mean(tf.nn.softplus(-players.judge(forge())))
        players.update_g(tape, g_loss)
        players.update_average()
        return d_loss, g_loss

    plain = tf.function(lambda images: step(images, False))
    regularized = tf.function(lambda images: step(images, True))
    steps = iter(range(2**62))
    return lambda images: (
        regularized(images) if r1 and next(steps) % model.r1_interval == 0 else plain(images)
    )


def r3gan(model, batch_size):
    players = _Players(model, batch_size)

    def squared_gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = players.judge(images)
        return tf.reduce_sum(tf.square(tape.gradient(score, images)), (1, 2, 3))

    @tf.function
    def step(images):
        real = _scale(images)
        fake = players.generator(tf.random.normal(players.latents), training=True)
        with tf.GradientTape() as tape:
            d_loss = tf.reduce_mean(tf.nn.softplus(players.judge(fake) - players.judge(real)))
            penalty = squared_gradient(real) + squared_gradient(fake)
            loss = d_loss + model.gamma / 2 * tf.reduce_mean(penalty)
        players.update_d(tape, loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in players.generator.trainable_variables])
            fake = players.generator(tf.random.normal(players.latents), training=True)
            real_logits = players.judge(real)
            g_loss = tf.reduce_mean(tf.nn.softplus(real_logits - players.judge(fake)))
        players.update_g(tape, g_loss)
        players.update_average()
        return d_loss, g_loss

    return step


def pix2pix(model, batch_size):
    players = _Players(model, batch_size)

    @tf.function
    def step(a, b):
        a, b = _scale(a), _scale(b)
        with tf.GradientTape() as g_tape:
            fake = players.generator(a, training=True)
        with tf.GradientTape() as d_tape:
            real_logits = players.discriminator([a, b], training=True)
            fake_logits = players.discriminator([a, fake], training=True)
            d_loss = 0.5 * _told_apart(real_logits, fake_logits)
        players.update_d(d_tape, d_loss)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = players.discriminator([a, fake], training=True)
            g_loss = _taken_for_real(fake_logits)
            g_loss += model.l1_weight * tf.reduce_mean(tf.abs(b - fake))
        players.update_g_through(fake, g_tape, tape.gradient(g_loss, fake))
        players.update_average()
        return d_loss, g_loss

    return step


def cycle_gan(model, batch_size):
    networks = g, f = model.generator_ab, model.generator_ba
    d_a, d_b = model.discriminator_a, model.discriminator_b
    g_variables = [v for network in networks for v in network.trainable_variables]
    d_variables = [v for network in (d_a, d_b) for v in network.trainable_variables]
    averages = [tf.Variable(v) for v in g_variables]
    g_optimizer, d_optimizer = model.default_optimizers()
    g_optimizer.build(g_variables)
    d_optimizer.build(d_variables)
    keep = 0.5 ** (batch_size / model.ema_half_life)
    pools = [tf.Variable(tf.zeros((model.pool_size, *model.image_shape))) for _ in range(2)]

    def distance(x, y):
        return tf.reduce_mean(tf.abs(x - y))

    def exchanged(pool, fakes):
        places = tf.random.uniform((batch_size,), 0, model.pool_size, tf.int32)
        past = tf.random.uniform((batch_size, 1, 1, 1)) < 0.5
        shown = tf.where(past, tf.gather(pool, places), fakes)
        pool.scatter_update(tf.IndexedSlices(fakes, places))
        return shown

    @tf.function
    def step(a, b):
        a, b = _scale(a), _scale(b)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in g_variables])
            fake_b, fake_a = g(a, training=True), f(b, training=True)
            fakes = (d_a, fake_a), (d_b, fake_b)
            g_loss = sum(tf.reduce_mean(tf.square(d(x, training=True) - 1)) for d, x in fakes)
            there_and_back = (f(fake_b, training=True), a), (g(fake_a, training=True), b)
            g_loss += model.cycle_weight * sum(distance(*both) for both in there_and_back)
            same = (f(a, training=True), a), (g(b, training=True), b)
            weight = model.identity_weight * model.cycle_weight
            g_loss += weight * sum(distance(*both) for both in same)
        g_optimizer.apply(tape.gradient(g_loss, g_variables), g_variables)
        shown = [
            exchanged(pool, fakes) for pool, fakes in zip(pools, (fake_a, fake_b), strict=True)
        ]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in d_variables])
            d_loss = 0.0
            for d, real, fake in ((d_a, a, shown[0]), (d_b, b, shown[1])):
                d_loss += 0.5 * tf.reduce_mean(tf.square(d(real, training=True) - 1))
                d_loss += 0.5 * tf.reduce_mean(tf.square(d(fake, training=True)))
        d_optimizer.apply(tape.gradient(d_loss, d_variables), d_variables)
        for average, variable in zip(averages, g_variables, strict=True):
            average.assign(variable + keep * (average - variable))
        return d_loss, g_loss

    return step


def diff_augment(images):
    """DiffAugment with ordinary random numbers: brightness, saturation, contrast, shift, cutout."""
    batch, side = tf.shape(images)[0], images.shape[1]
    images += tf.random.uniform((batch, 1, 1, 1), -0.5, 0.5)
    gray = tf.reduce_mean(images, 3, keepdims=True)
    images = gray + (images - gray) * tf.random.uniform((batch, 1, 1, 1), 0, 2)
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    images = mean + (images - mean) * tf.random.uniform((batch, 1, 1, 1), 0.5, 1.5)
    places = tf.range(side)

    def shift():
        by = tf.random.uniform((batch, 1, 1), -(side // 8), side // 8 + 1, tf.int32)
        return tf.cast(places[None, :, None] - places[None, None, :] == by, tf.float32)

    def cut():
        start = tf.random.uniform((batch, 1), 0, side + 1, tf.int32) - side // 4
        return (places >= start) & (places < start + side // 2)

    images = tf.einsum("bij,bjwc->biwc", shift(), images)
    images = tf.einsum("bij,bhjc->bhic", shift(), images)
    inside = cut()[:, :, None, None] & cut()[:, None, :, None]
    return tf.where(inside, 0.0, images)


LOOPS = {
    "gan": dcgan,  # the same step
    "dcgan": dcgan,
    "wgan-gp": wgan_gp,
    "cgan": conditional_gan,
    "stylegan-lite": stylegan_lite,
    "r3gan": r3gan,
    "pix2pix": pix2pix,
    "cyclegan": cycle_gan,
}
