"""Randomness is the same however the work is cut."""

import itertools
import threading

import numpy as np
import pytest
import tensorflow as tf

import kgan.latents
import kgan.random
from kgan.errors import KganWarning
from kgan.random import Draws


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_replicas_hold_the_rows_that_one_device_would_draw(kind):
    whole = getattr(Draws(1, 2, 7), kind)((3,))
    first = getattr(Draws(1, 2, 4, global_batch=7, offset=0), kind)((3,))
    second = getattr(Draws(1, 2, 3, global_batch=7, offset=4), kind)((3,))
    np.testing.assert_array_equal(tf.concat([first, second], 0), whole)


def test_draws_differ_by_call_step_and_seed():
    draws = Draws(1, 2, 4)
    values = [
        draws.normal((3,)),
        draws.normal((3,)),
        Draws(1, 3, 4).normal((3,)),
        Draws(2, 2, 4).normal((3,)),
    ]
    assert len({v.numpy().tobytes() for v in values}) == 4
    np.testing.assert_array_equal(Draws(1, 2, 4).normal((3,)), values[0])


def parts_of(draws, n):
    """For each part: the rows of this replica, and two draws of it after one of the whole."""
    draws.normal((2,))
    images = tf.range(draws.offset, draws.offset + draws.local_batch)
    parts = []
    for i in range(n):
        rows, part = draws.part(i, n)
        parts.append((images[rows].numpy(), part.normal((3,)).numpy(), part.labels(100).numpy()))
    return parts


# Batches, how they are cut among replicas (the first holds all), and parts.
CUTS = [(11, [6, 5], 3), (12, [6, 6], 3), (10, [7, 2, 1], 4), (5, [3, 2], 5), (9, [4, 5, 0], 2)]


@pytest.mark.parametrize(("batch", "cut", "n"), CUTS)
def test_parts_are_equal_disjoint_and_leave_over_the_remainder(batch, cut, n):
    parts = parts_of(Draws(1, 2, batch), n)
    rows = np.concatenate([p[0] for p in parts])
    assert {len(p[0]) for p in parts} == {batch // n}
    np.testing.assert_array_equal(np.sort(rows), np.arange(batch - batch % n))
    assert all(len(p[1]) == len(p[2]) == batch // n for p in parts)


@pytest.mark.parametrize("as_tensors", [False, True])
@pytest.mark.parametrize(("batch", "cut", "n"), CUTS)
def test_parts_on_replicas_hold_the_rows_and_numbers_of_one_device(batch, cut, n, as_tensors):
    number = tf.constant if as_tensors else int
    offsets = [sum(cut[:i]) for i in range(len(cut))]
    replicas = [
        parts_of(Draws(1, 2, number(size), number(batch), number(offset)), n)
        for size, offset in zip(cut, offsets, strict=True)
    ]
    for i, part in enumerate(parts_of(Draws(1, 2, batch), n)):
        for j, whole in enumerate(part):
            np.testing.assert_array_equal(np.concatenate([r[i][j] for r in replicas]), whole)


def test_numbers_of_parts_differ_from_one_another_and_from_the_whole():
    draws = Draws(1, 2, 8)
    values = [draws.part(i, 2)[1].normal((3,)) for i in (0, 1, 0)]
    values.append(draws.normal((3,))[:4])
    assert len({v.numpy().tobytes() for v in values}) == 4


def test_current_draws_nest():
    outer, inner = Draws(1, 2, 4), Draws(1, 3, 4)
    assert Draws.current() is None
    with outer:
        for draws in (inner, outer, outer.part(0, 2)[1]):
            with draws:
                assert Draws.current() is draws
            assert Draws.current() is outer
    assert Draws.current() is None


def test_current_draws_end_with_an_error():
    with pytest.raises(KeyError), Draws(1, 2, 4):
        raise KeyError
    assert Draws.current() is None


def test_current_draws_are_the_threads_own():
    """Replicas are traced in threads."""
    seen = []
    with Draws(1, 2, 4):
        thread = threading.Thread(target=lambda: seen.append(Draws.current()))
        thread.start()
        thread.join()
    assert seen == [None]


@pytest.mark.parametrize("name", ["sample_labels", "sample_latents", "slerp", "walk_latents"])
def test_names_that_moved_to_latents_warn_once(name):
    with pytest.warns(KganWarning) as caught:
        moved = getattr(kgan.random, name)
    assert moved is getattr(kgan.latents, name)
    (warning,) = caught
    assert str(warning.message).startswith(f"kgan.random.{name} is now kgan.latents.{name};")
    assert warning.filename == __file__


def test_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="'kgan.random' has no attribute 'sample_latent'"):
        _ = kgan.random.sample_latent


def test_seeds_beyond_32_bits_are_others():
    values = [Draws(seed, 0, 4).normal((3,)) for seed in (0, 2**32, 2**40, 2**46)]
    for one, other in itertools.combinations(values, 2):
        assert not np.isclose(one, other).any()
