"""Which nodes of a graph lead back to themselves, in linear time and without recursion."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import accumulate
from typing import Any

_CHECK_EVERY = 4096


def cycles(size: int, edges: Any, check: Callable[[], None] = lambda: None) -> list[list[int]]:
    """The strongly connected parts of a graph in which something leads back to itself, in linear time.

    Args:
        size: how many nodes, numbered from 0.
        edges: source and target of each edge, one after the other.
        check: called now and then; raises to end the work.
    """
    starts, targets = _rows(size, edges)
    waiting = array("I", bytes(4 * size))
    left = 0  # how many wait
    for place in range(1, len(edges), 2):
        left += not waiting[edges[place]]
        waiting[edges[place]] += 1
    check()
    # What can run is taken away first: of a good graph nothing is left.
    ready = list({edges[place] for place in range(0, len(edges), 2) if not waiting[edges[place]]})
    while ready:
        number = ready.pop()
        for place in range(starts[number], starts[number + 1]):
            target = targets[place]
            waiting[target] -= 1
            if not waiting[target]:
                left -= 1
                ready.append(target)
    check()
    return _connected(size, starts, targets, waiting, check) if left else []


def _rows(size: int, edges: Any) -> tuple[Any, Any]:
    """Targets in compressed rows: those of node n are `targets[starts[n]:starts[n + 1]]`."""
    starts = array("I", bytes(4 * (size + 2)))
    for place in range(0, len(edges), 2):
        starts[edges[place] + 2] += 1
    starts = array("I", accumulate(starts))
    targets = array("I", bytes(2 * len(edges)))
    for place in range(0, len(edges), 2):
        source = edges[place]
        targets[starts[source + 1]] = edges[place + 1]
        starts[source + 1] += 1
    return starts, targets


def _connected(size: int, starts: Any, targets: Any, waiting: Any, check: Callable[[], None]) -> list[list[int]]:
    """Tarjan's algorithm without recursion, over the nodes that still wait."""
    found: list[list[int]] = []
    order = array("I", bytes(4 * size))  # when a node was met, from 1 on
    low = array("I", bytes(4 * size))
    following = array("I", starts[:size])
    on_stack = bytearray(size)
    stack: list[int] = []
    clock = 0
    for root in range(size):
        if order[root] or not waiting[root]:
            continue
        path = [root]
        while path:
            number = path[-1]
            if not order[number]:
                clock += 1
                if clock % _CHECK_EVERY == 0:
                    check()
                order[number] = low[number] = clock
                stack.append(number)
                on_stack[number] = 1
            place = following[number]
            if place < starts[number + 1]:
                following[number] = place + 1
                target = targets[place]
                if not order[target]:
                    path.append(target)
                elif on_stack[target]:
                    low[number] = min(low[number], order[target])
                continue
            path.pop()
            if path:
                low[path[-1]] = min(low[path[-1]], low[number])
            if low[number] == order[number]:
                part: list[int] = []
                while not part or part[-1] != number:
                    part.append(stack.pop())
                    on_stack[part[-1]] = 0
                if len(part) > 1 or number in targets[starts[number] : starts[number + 1]]:
                    found.append(sorted(part))
    return found
