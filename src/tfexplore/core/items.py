"""Items with paged children: the rows of the tree, made when a page is asked for."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from tfexplore.core import scopes, text
from tfexplore.core.shapes import Shape
from tfexplore.core.subjects import ScopeSubject, Subject

Cancel = threading.Event | None


class Children(Protocol):
    """What lies below an item, in pages."""

    def load(self, cancel: Cancel = None) -> int:
        """Finds the children, if that has not been done, and tells how many there are; may take time.

        Raises:
            ModelError: they cannot be read.
            Cancelled: `cancel` was set.
        """

    def page(self, start: int, stop: int, cancel: Cancel = None) -> list[Item]:
        """Children `start` to `stop`, fewer where there are fewer; raises as `load` does."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the tree.

    Attributes:
        kind: what decides its glyph: `model`, `section`, `meta_graph`, `signature`, `input`, `feature`, `output`,
            `scope`, `variable`, `frozen` (a variable that is not trainable), `node`, `tensor`, `op`, `function`,
            `object`, `asset`, `file`, `key`, `checkpoint`, `folder`, `found` (a model of a collection), `note`.
        label: the name as stored; not yet made visible.
        subject: what the detail pane describes.
        children: what lies below; None for a leaf.
        dtype: DataType number, or None.
        shape: meaningful where `has_shape`.
        note: a few words of ours behind the name (`12 nodes`, `latest`).
        columns: facts in columns at the right of the row, the most wanted first; each as wide as in other rows.
    """

    kind: str
    label: str
    subject: Subject
    children: Children | None = None
    dtype: int | None = None
    shape: Shape = None
    has_shape: bool = False
    note: str = ""
    columns: tuple[str, ...] = ()


class Listed:
    """Children found all at once as references, made into items page by page.

    Args:
        find: finds the references, once.
        make: makes one reference into an item.
        place: the place of the reference that a name leads to or through; None where none does.
    """

    def __init__(
        self,
        find: Callable[[Cancel], Sequence[Any]],
        make: Callable[[Any], Item],
        place: Callable[[Sequence[Any], str], int | None] | None = None,
    ) -> None:
        self._find = find
        self._make = make
        self._place = place
        self._found: Sequence[Any] | None = None
        self._lock = threading.Lock()

    def load(self, cancel: Cancel = None) -> int:
        """See `Children`."""
        with self._lock:
            if self._found is None:
                self._found = self._find(cancel)
            return len(self._found)

    def page(self, start: int, stop: int, cancel: Cancel = None) -> list[Item]:
        """See `Children`."""
        self.load(cancel)
        assert self._found is not None
        return [self._make(found) for found in self._found[start:stop]]

    def place_of(self, name: str, cancel: Cancel = None) -> int | None:
        """See the function of that name."""
        self.load(cancel)
        assert self._found is not None
        return self._place(self._found, name) if self._place is not None else None


class Deferred:
    """Children whose source has to be read first.

    Args:
        build: reads it, once, and gives the children proper.
    """

    def __init__(self, build: Callable[[Cancel], Children]) -> None:
        self._build = build
        self._built: Children | None = None
        self._lock = threading.Lock()

    def _children(self, cancel: Cancel) -> Children:
        with self._lock:
            if self._built is None:
                self._built = self._build(cancel)
            return self._built

    def load(self, cancel: Cancel = None) -> int:
        """See `Children`."""
        return self._children(cancel).load(cancel)

    def page(self, start: int, stop: int, cancel: Cancel = None) -> list[Item]:
        """See `Children`."""
        return self._children(cancel).page(start, stop, cancel)

    def place_of(self, name: str, cancel: Cancel = None) -> int | None:
        """See the function of that name."""
        return place_of(self._children(cancel), name, cancel)


def place_of(children: Children, name: str, cancel: Cancel = None) -> int | None:
    """The place of the child that is called so, or below which it is found; None where nothing tells.

    Raises:
        ModelError: they cannot be read.
        Cancelled: `cancel` was set.
    """
    return children.place_of(name, cancel) if isinstance(children, Listed | Deferred) else None


def fixed(items: Sequence[Item]) -> Children:
    """Children that are known already."""
    return Listed(lambda _: items, lambda item: item)


class Scoped:
    """Things with `/` in their names, shown by scope.

    Args:
        names: the sorted names.
        what: one of them in words, for the scope's count (`node`).
        leaf: makes the item of the thing at a position, under a label, with what lies below it.
        sizes: gives parameters and bytes of the thing at each position, if they have any; asked when the
            first scope is shown.
    """

    def __init__(
        self,
        names: Sequence[str],
        what: str,
        leaf: Callable[[int, str, Children | None], Item],
        sizes: Callable[[], Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        self._names = names
        self._what = what
        self._leaf = leaf
        self._sizes = sizes

    @cached_property
    def _totals(self) -> tuple[list[int], list[int]] | None:
        """Running sums over all positions, so that a scope's total is one subtraction."""
        if self._sizes is None:
            return None
        parameters, nbytes = [0], [0]
        for size in self._sizes():
            parameters.append(parameters[-1] + size[0])
            nbytes.append(nbytes[-1] + size[1])
        return parameters, nbytes

    def root(self) -> Children:
        """The first level."""
        return self._children(0, len(self._names), 0)

    def _children(self, lo: int, hi: int, depth: int) -> Children:
        return Listed(lambda cancel: self._rows(lo, hi, depth), self._item, self._place)

    def _place(self, rows: Sequence[tuple[scopes.ScopeEntry, int | None]], name: str) -> int | None:
        position = bisect_left(self._names, name)
        if position == len(self._names) or self._names[position] != name:
            return None
        for place, (entry, leaf) in enumerate(rows):
            if leaf == position or (position in entry.below and leaf in (None, entry.lo)):
                return place
        return None

    def _rows(self, lo: int, hi: int, depth: int) -> list[tuple[scopes.ScopeEntry, int | None]]:
        rows: list[tuple[scopes.ScopeEntry, int | None]] = []
        for entry in scopes.children(self._names, lo, hi, depth):
            if not entry.leaves:
                rows.append((entry, None))
            rows.extend((entry, position) for position in entry.leaves)
        return rows

    def _item(self, row: tuple[scopes.ScopeEntry, int | None]) -> Item:
        entry, position = row
        below = None
        # Of several things with one name the first carries the scope.
        if len(entry.below) and position in (None, entry.lo):
            below = self._children(entry.below.start, entry.below.stop, entry.depth)
        if position is not None:
            return self._leaf(position, entry.name, below)
        count = len(entry.below)
        parameters = nbytes = None
        note = f"{count:,}"
        if self._totals is not None:
            parameters, nbytes = (total[entry.hi] - total[entry.lo] for total in self._totals)
            note = f"{count:,} · {text.short_count(parameters)} · {text.size(nbytes)}"
        subject = ScopeSubject(self._names[entry.lo][: entry.depth - 1], self._what, count, parameters, nbytes)
        return Item("scope", entry.name, subject, below, note=note)
