"""The shortest way along edges from one node of a graph to another."""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING

from tfexplore.errors import Cancelled

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph

_CHECK_EVERY = 4096
_NOWHERE = 0xFFFFFFFF


def shortest_path(
    graph: Graph, first: int, second: int, cancel: threading.Event | None = None
) -> tuple[list[int], bool] | None:
    """The nodes of a shortest way, both ends included, from producer to consumer; control edges count.

    Returns:
        The positions, and whether it leads from `first` to `second`; False where it leads the other way.
        None where there is none in either direction.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    starts, targets = graph.edges(cancel)
    found = _search(starts, targets, first, second, cancel)
    if found is not None:
        return found, True
    found = _search(starts, targets, second, first, cancel)
    return None if found is None else (found, False)


def _search(
    starts: array[int], targets: array[int], first: int, second: int, cancel: threading.Event | None
) -> list[int] | None:
    """Breadth first: round by round what the nodes of the last round lead to."""
    if first == second:
        return [first]
    parents = array("I", [_NOWHERE]) * (len(starts) - 1)
    parents[first] = first
    this_round = [first]
    count = 0
    while this_round:
        next_round: list[int] = []
        for position in this_round:
            count += 1
            if count % _CHECK_EVERY == 0 and cancel is not None and cancel.is_set():
                raise Cancelled
            for target in targets[2 * starts[position] : 2 * starts[position + 1] : 2]:
                if parents[target] == _NOWHERE:
                    parents[target] = position
                    next_round.append(target)
        if parents[second] != _NOWHERE:
            return _way(parents, first, second)
        this_round = next_round
    return None


def _way(parents: array[int], first: int, second: int) -> list[int]:
    way = [second]
    while way[-1] != first:
        way.append(parents[way[-1]])
    return way[::-1]
