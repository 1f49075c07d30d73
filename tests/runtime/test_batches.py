"""The order of rows: every row once an epoch, the same for the same seed, and taken up again at any place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.runtime.child.batches import Batches, order

seeds = st.none() | st.integers(0, 2**63)


def test_an_order_that_never_changes() -> None:
    assert order(8, 7, 0).tolist() == [6, 3, 4, 0, 2, 7, 5, 1]
    assert order(8, 7, 1).tolist() == [1, 3, 2, 7, 4, 5, 0, 6]
    assert order(4, None, 3).tolist() == [0, 1, 2, 3]


@given(st.integers(1, 40), seeds, st.integers(0, 1_000))
def test_an_epoch_has_every_row_once(rows: int, seed: int | None, epoch: int) -> None:
    found = order(rows, seed, epoch)
    assert found.dtype == np.int64
    assert sorted(found.tolist()) == list(range(rows))


@given(st.integers(1, 12), st.integers(1, 15), seeds, st.booleans(), st.integers(0, 8))
def test_going_on_is_as_if_never_stopped(rows: int, size: int, seed: int | None, drop: bool, before: int) -> None:
    if drop and size > rows:
        return
    whole = Batches(rows, size, seed, drop_short=drop)
    for _ in range(before):
        whole.next()
    again = Batches(rows, size, seed, drop_short=drop, place=whole.place)
    for _ in range(6):
        assert whole.epoch == again.epoch
        assert whole.next().tolist() == again.next().tolist()
        assert whole.place == again.place


@given(st.integers(1, 12), st.integers(1, 15), seeds)
def test_short_batches_are_kept(rows: int, size: int, seed: int | None) -> None:
    batches = Batches(rows, size, seed)
    epochs = [[batches.next().tolist() for _ in range(-(-rows // size))] for _ in range(3)]
    for epoch, parts in enumerate(epochs):
        assert list(itertools.chain(*parts)) == order(rows, seed, epoch).tolist()
        assert all(len(part) == size for part in parts[:-1])
    assert batches.place == 3 * rows


@given(st.integers(1, 12), st.integers(1, 12), seeds)
def test_short_batches_are_dropped(rows: int, size: int, seed: int | None) -> None:
    if size > rows:
        with pytest.raises(ValueError, match="never full"):
            Batches(rows, size, seed, drop_short=True)
        return
    batches = Batches(rows, size, seed, drop_short=True)
    for epoch in range(3):
        for part in range(rows // size):
            assert batches.next().tolist() == order(rows, seed, epoch)[part * size : (part + 1) * size].tolist()


@pytest.mark.parametrize("bad", [(0, 1), (1, 0), (1, 1, -1)])
def test_numbers_out_of_range(bad: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no batches of"):
        Batches(*bad)
