"""Which pictures publish, which select, and which are the floor."""

import numpy as np
import pytest

from kgan.errors import KganError
from kgan.metrics import protocol


def test_evenly_takes_places_at_even_spaces_in_order():
    assert protocol.evenly(range(10), 4).tolist() == [0, 2, 5, 7]
    assert protocol.evenly(np.array([3, 5, 9]), 3).tolist() == [3, 5, 9]
    assert protocol.evenly(range(3), 7).tolist() == [0, 1, 2]
    assert protocol.evenly(range(0), 2).tolist() == protocol.evenly(range(5), 0).tolist() == []
    gaps = np.diff(protocol.evenly(range(20_979), 4_000))
    assert set(gaps.tolist()) == {5, 6}


def test_faces_are_never_more_than_4000():
    assert protocol.most_images("faces") == 4_000
    assert protocol.most_images("faces", 100_000) == 4_000
    assert protocol.most_images("faces", 500) == 500
    assert protocol.most_images("random") == protocol.most_images("digits") == 10_000


def test_from_5000_held_out_pictures_on_they_publish():
    found = protocol.publication(60_000, 10_000, 10_000)
    assert found.real.held_out and not found.floor.held_out
    assert found.real.indices.tolist() == list(range(10_000))
    assert found.floor.indices.tolist() == list(range(0, 60_000, 6))
    assert found.recall is None and found.recall_floor is None
    chosen = protocol.selection(60_000, 10_000, 10_000)
    assert not chosen.held_out and chosen.indices.tolist() == list(range(0, 60_000, 6))
    assert protocol.publication(60_000, 5_000, 10_000).real.held_out
    assert not protocol.publication(60_000, 4_999, 10_000).real.held_out


def test_of_more_held_out_pictures_than_are_measured_some_at_even_spaces():
    found = protocol.publication(162_770, 19_962, 4_000)
    assert len(found.real.indices) == len(found.floor.indices) == 4_000
    assert found.real.indices[[0, -1]].tolist() == [0, 3_999 * 19_962 // 4_000]
    assert set(np.diff(found.floor.indices).tolist()) == {40, 41}
    few = protocol.publication(3_000, 6_000, 10_000)
    assert len(few.real.indices) == len(few.floor.indices) == 3_000


@pytest.mark.parametrize("training", [8_000, 20_979, 4, 5, 501])
@pytest.mark.parametrize("held_out", [0, 1_000, 3_000])
@pytest.mark.parametrize("most", [4_000, 10_000])
def test_otherwise_even_places_publish_and_odd_ones_select(training, held_out, most):
    found = protocol.publication(training, held_out, most)
    number = min(most, training // 2)
    for places, parity in ((found.real, 0), (found.floor, 1)):
        assert not places.held_out
        assert len(np.unique(places.indices)) == len(places.indices) == number
        assert set((places.indices % 2).tolist()) == {parity}
        assert places.indices.max() < training
    chosen = protocol.selection(training, held_out, most)
    assert chosen.indices.tolist() == found.floor.indices.tolist()
    assert not set(chosen.indices) & set(found.real.indices)
    if number > 10:  # not the first of the half: they reach to its end
        assert found.real.indices.max() > 0.9 * training
    recall = min(held_out, 1_000, number)
    if recall > 3:
        assert found.recall.held_out and not found.recall_floor.held_out
        assert len(found.recall.indices) == len(found.recall_floor.indices) == recall
        assert set((found.recall_floor.indices % 2).tolist()) == {1}
    else:
        assert found.recall is None and found.recall_floor is None


def test_without_the_training_pictures():
    found = protocol.publication(0, 6_000, 10_000)
    assert len(found.real.indices) == 6_000 and found.floor is None
    for take in (protocol.publication, protocol.selection):
        with pytest.raises(KganError, match="at least 4 training pictures.*Received: 3"):
            take(3, 100, 10_000)


def test_others_have_a_floor_of_as_many_training_pictures_if_there_are():
    found = protocol.others(100, 40, 30)
    assert len(found.real.indices) == len(found.floor.indices) == 30
    assert protocol.others(29, 40, 30).floor is None
