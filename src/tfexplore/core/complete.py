"""Names to jump to, by how they begin: found by bisection, whole scopes at a step."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.graph import Graph

_MAX_DEPTH = 1_000


class Names:
    """Names that can be completed.

    Args:
        names: sorted.
        outputs: how many outputs the thing at a position has, for `node:0`; None where things have none.
    """

    def __init__(self, names: Sequence[str], outputs: Callable[[int], int] | None = None) -> None:
        self._names = names
        self._outputs = outputs

    def complete(self, prefix: str, limit: int = 20) -> list[str]:
        """At most `limit` ways to go on: names that begin so, and scopes (with a `/` at their end) for what is below.

        A scope that is the only way to go on is entered. Behind a node's name and a colon the numbers of its outputs
        follow.
        """
        enough = max(limit, 2)  # whether a way is the only one shows with the second
        found = self._next(prefix, enough)
        for _ in range(_MAX_DEPTH):
            if len(found) != 1 or not found[0].endswith("/") or found[0] == prefix:
                break
            below = self._next(found[0], enough)
            if not below:
                break
            found = below
        return found[:limit] or self._numbered(prefix, limit)

    def _next(self, prefix: str, limit: int) -> list[str]:
        names, found = self._names, list[str]()
        position = bisect_left(names, prefix)
        while position < len(names) and len(found) < limit:
            name = names[position]
            if not name.startswith(prefix):
                break
            slash = name.find("/", len(prefix))
            if slash < 0 or slash == len(name) - 1:
                found.append(name)
                position = bisect_right(names, name, position)
                continue
            if found[-1:] != [name[: slash + 1]]:  # a name may end with the slash
                found.append(name[: slash + 1])
            position = bisect_left(names, name[:slash] + "0", position)  # "0" follows "/" in ASCII
        return found

    def _numbered(self, prefix: str, limit: int) -> list[str]:
        node, colon, digits = prefix.rpartition(":")
        if self._outputs is None or not colon or (digits and not (digits.isascii() and digits.isdigit())):
            return []
        position = bisect_left(self._names, node)
        if position == len(self._names) or self._names[position] != node:
            return []
        found = []
        for number in range(self._outputs(position)):
            if str(number).startswith(digits):
                found.append(f"{node}:{number}")
                if len(found) == limit:
                    break
        return found


def node_names(graph: Graph) -> Names:
    """The nodes of a loaded graph, and their tensors."""
    return Names(graph.sorted_names, lambda place: graph.output_count(graph.order[place]))


def key_names(checkpoint: Checkpoint) -> Names:
    """The keys of a checkpoint whose names have been read."""
    keys = checkpoint.keys
    # Bundles sort by bytes, which differs from `str` order only where a key is not ASCII.
    return Names(keys if all(map(str.isascii, keys)) else sorted(keys))
