"""Names split at `/`, as a view over one sorted list: a scope is a range found by bisection.

No tree of objects is built, so a million names cost what the list costs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tfexplore.core.natural import natural_key

# Above this many children of one scope plain order serves: a natural sort of a million takes seconds.
NATURAL_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class ScopeEntry:
    """One child of a scope.

    Attributes:
        name: its part of the name; several parts where each scope between has only one child (`a/b`).
        lo, hi: the range of everything at and below it in the sorted list.
        leaves: positions of the names that end here; more than one where names repeat.
        below: the range of what lies below it; empty for a mere leaf.
    """

    name: str
    lo: int
    hi: int
    leaves: range
    below: range
    depth: int  # where the names below go on, as an index into each name


def children(names: Sequence[str], lo: int, hi: int, depth: int) -> list[ScopeEntry]:
    """The children of a scope, in natural order.

    Args:
        names: all names, sorted.
        lo, hi: the scope's range in `names`.
        depth: the length of the scope's prefix with its last `/`; 0 for the root.
    """
    entries: list[ScopeEntry] = []
    order: dict[str, int] = {}
    position = lo
    while position < hi:
        name = names[position]
        slash = name.find("/", depth)
        if slash < 0:
            end = bisect_right(names, name, position, hi)
            order[name[depth:]] = len(entries)
            entries.append(ScopeEntry(name[depth:], position, end, range(position, end), range(0), 0))
            position = end
            continue
        prefix = name[: slash + 1]
        end = bisect_left(names, name[:slash] + "0", position, hi)  # "0" follows "/" in ASCII
        below = range(position, end)
        leaf = order.get(name[depth:slash])
        if leaf is not None:  # a name that is also a scope: one row
            old = entries[leaf]
            entries[leaf] = ScopeEntry(old.name, old.lo, old.hi, old.leaves, below, len(prefix))
        else:
            deeper = _common_scope(names[position], names[end - 1], len(prefix))
            entries.append(
                ScopeEntry(prefix[depth:-1] + deeper, position, end, range(0), below, len(prefix) + len(deeper))
            )
        position = end
    if len(entries) <= NATURAL_LIMIT:
        entries.sort(key=lambda entry: natural_key(entry.name))
    return entries


def _common_scope(first: str, last: str, start: int) -> str:
    """`/b/c` where all names between `first` and `last` go on with `b/c/` at `start`, else nothing."""
    limit = min(len(first), len(last))
    end = start
    cut = start
    while end < limit and first[end] == last[end]:
        if first[end] == "/":
            cut = end + 1
        end += 1
    return "" if cut == start else "/" + first[start : cut - 1]
