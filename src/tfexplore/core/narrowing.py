"""What narrows and orders the rows of a section: `--match`, `--search` and `--sort`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.errors import UsageError

if TYPE_CHECKING:
    from tfexplore.core.pattern import Pattern
    from tfexplore.core.query import Facts, Query

Row = dict[str, Any]


class Options(NamedTuple):
    """What narrows a section.

    Attributes:
        tag_set: which MetaGraph; None for the `serve` one, else the first.
        function: a FunctionDef's name in place of the main graph (nodes, ops, tensors).
        match: only rows whose name this finds; it looks at visible text.
        attrs: nodes with their attributes.
        search: only rows that this accepts.
        sort: one of `SORTS` of the section; None for its usual order.
    """

    tag_set: tuple[str, ...] | None = None
    function: str | None = None
    match: Pattern | None = None
    attrs: bool = False
    cancel: threading.Event | None = None
    search: Query | None = None
    sort: str | None = None


class Section:
    """A section: references in order, and how to make one into a row. Counting needs no rows."""

    def __init__(self, refs: Iterable[Any], row: Callable[[Any], Row]) -> None:
        self.refs = refs
        self.row = row

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, self.refs)


def narrowed(
    items: Iterable[Any],
    options: Options,
    name: Callable[[Any], str],
    facts: Callable[[Any], Facts] | None = None,
    *,
    size: Callable[[Any], int | None] | None = None,
    sorts: bool = True,
) -> Iterable[Any]:
    """The items that fit, sorted as asked for.

    Args:
        facts: what the filters of a search look at; without them it has no filters.
        size: what `--sort size` and `--sort count` sort by, the largest first.
        sorts: whether this is to sort them.
    """
    if options.match is not None or options.search is not None:
        items = _fitting(items, options, name, facts)
    if options.sort is None or not sorts:
        return items
    from tfexplore.core import orders

    found = list(items)
    names = [name(item) for item in found]
    if options.sort == orders.NAME or size is None:
        order = orders.by_name(names)
    else:
        order = orders.by_size([size(item) or 0 for item in found], names)
    return [found[position] for position in order]


def _fitting(
    items: Iterable[Any], options: Options, name: Callable[[Any], str], facts: Callable[[Any], Facts] | None
) -> Iterable[Any]:
    from tfexplore.core.query import Query
    from tfexplore.core.search import matching

    query = options.search or Query()
    if query.has_filters and facts is None:
        raise UsageError("op:, dtype:, shape: and attr: go with nodes and tensors, and in part with variables and keys")
    if options.match is not None:
        query = query._replace(patterns=(*query.patterns, options.match))
    return matching(items, query, name, facts if query.has_filters else None)


# What `--sort` takes.
SORTS: dict[str, tuple[str, ...]] = {
    "signatures": ("name",),
    "variables": ("name", "size"),
    "keys": ("name", "size"),
    "nodes": ("name",),
    "ops": ("name", "count"),
    "tensors": ("name", "size"),
    "functions": ("name", "count"),
    "objects": ("name",),
    "assets": ("name", "size"),
    "files": ("name", "size"),
}
