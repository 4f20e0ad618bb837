"""Labelled rows: selections share their blocks, and people stay apart."""

from dataclasses import replace

import numpy as np

from edgeemo.compress.labels.dataset import Ragged


def test_targets_can_be_replaced(rows):
    other = rows.take(np.arange(6)).with_dimensions(np.zeros((6, 3)))
    assert len(other) == 6 and other.dimensions.sum() == 0 and rows.dimensions.sum() > 0
    assert np.array_equal(other.features[5], rows.features[5])


def test_selections_of_ragged_arrays_share_their_block():
    arrays = [np.arange(2 * n, dtype=np.float16).reshape(n, 2) for n in (3, 1, 4)]
    ragged = Ragged.of(arrays)
    chosen = ragged.take(np.array([2, 0]))
    assert chosen.values is ragged.values and len(chosen) == 2
    assert np.array_equal(chosen[0], arrays[2]) and np.array_equal(chosen[1], arrays[0])


def test_a_mixture_belongs_to_both_people(rows):
    groups = sorted(set(rows.column("group")))
    one, other = groups[:2]
    mixed = replace(rows, partner=np.full(len(rows), other))
    assert len(mixed.of_groups({one})) == 0
    both = mixed.of_groups({one, other})
    assert set(both.column("group")) == {one, other}
    plain = mixed.of_groups({one, other}, augmented=False)
    assert set(plain.copy) == {0} and 0 < len(plain) < len(both)
