"""Going to a thing by its name: what the names are, how one goes on, what it stands for, which comes near."""

from __future__ import annotations

import difflib
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.complete import Names, key_names, node_names
from tfexplore.core.natural import natural_key
from tfexplore.core.rows import argument_subject
from tfexplore.core.subjects import (
    FunctionSubject,
    KeySubject,
    NodeSubject,
    SignatureSubject,
    Subject,
    VariableSubject,
)
from tfexplore.errors import ModelError, NotFoundError
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model

SCOPE = "scope"
# Names around a place in a list that are looked at for the nearest, and of how long a name.
_NEAR = 20
_LOOKED_AT = 200


class Candidate(NamedTuple):
    """A way to go on: a name of a kind (as items have it), or a scope, whose name ends with `/`."""

    kind: str
    name: str


class Target(NamedTuple):
    """What a name stands for.

    Attributes:
        output: which output of the node, where the name says so.
    """

    subject: Subject
    output: int | None = None


class _Source(NamedTuple):
    """Things of one kind: their sorted names, and what a name stands for."""

    kind: str
    sorted: Sequence[str]
    names: Names
    find: Callable[[str], Target | None]


class Jump:
    """The names that one can go to: of the function that is looked at, of the main graph, of the checkpoint.

    Args:
        model: an open one.
        inside: the function that is looked at, and its MetaGraph; its nodes come first.
        cancel: ends the reading of names.

    Raises:
        ModelError: a part cannot be read.
        Cancelled: `cancel` was set.
    """

    def __init__(
        self, model: Model, inside: tuple[MetaGraph, str] | None = None, cancel: threading.Event | None = None
    ) -> None:
        self._sources: list[_Source] = []
        owner = inside[0] if inside is not None else model.meta_graphs[0] if model.meta_graphs else None
        if inside is not None:
            function = inside[0].functions.get(inside[1])
            if function is not None:
                self._add_graph(inside[0], function.graph, inside[1], cancel)
        self._owner = owner
        if owner is not None:
            self._add_graph(owner, owner.graph, None, cancel)
            variables = {variable.name: variable for variable in reversed(owner.variables)}
            self._add("variable", variables, lambda name: VariableSubject(owner, variables[name]))
            signatures = {signature.name: signature for signature in owner.signatures}
            self._add("signature", signatures, lambda name: SignatureSubject(owner, signatures[name]))
            self._add("function", owner.functions.names, lambda name: FunctionSubject(owner, name))
        checkpoint = model.checkpoint
        if checkpoint is not None:
            checkpoint.bundle.load(cancel)
            check_cancel(cancel)
            names = checkpoint.keys
            names = names if all(map(str.isascii, names)) else sorted(names)
            find = partial(_listed, names, lambda name: KeySubject(checkpoint, name, owner))
            self._sources.append(_Source("key", names, key_names(checkpoint), find))

    def _add(self, kind: str, names: Iterable[str], make: Callable[[str], Subject]) -> None:
        found = sorted(names)
        self._sources.append(_Source(kind, found, Names(found), partial(_listed, found, make)))

    def _add_graph(self, owner: MetaGraph, graph: Graph, function: str | None, cancel: threading.Event | None) -> None:
        graph.load(cancel)
        check_cancel(cancel)
        if function is not None:
            arguments = sorted(graph.argument_names)

            def argument(name: str) -> Target | None:
                subject = argument_subject(owner, function, name.removesuffix(":0"))
                return Target(subject) if subject is not None else None

            self._sources.append(_Source("input", arguments, Names(arguments), argument))
        self._sources.append(
            _Source("node", graph.sorted_names, node_names(graph), partial(_in_graph, owner, graph, function))
        )

    def complete(self, prefix: str, limit: int = 50) -> list[Candidate]:
        """At most `limit` ways to go on, of each kind; names that are whole and equal to the prefix first."""
        found: dict[Candidate, None] = {}
        for source in self._sources:
            for name in source.names.complete(prefix, limit):
                kind = source.kind
                if name.endswith("/") or ":" in name:  # a name may look like a scope, or like a tensor's
                    target = source.find(name)
                    kind = SCOPE if target is None else kind if target.output is None else "tensor"
                found[Candidate(kind, name)] = None
        ways = sorted(found, key=lambda way: (way.name != prefix, natural_key(way.name)))
        return ways[:limit]

    def find(self, name: str, kind: str | None = None, cancel: threading.Event | None = None) -> Target:
        """What a name stands for: `dense/MatMul:0` for an output of the node, a node before a variable of its name.

        What is not found elsewhere may be a node of any function: of Keras models most are.

        Args:
            kind: of the candidate that was chosen; None for any.
            cancel: ends the search in functions.

        Raises:
            NotFoundError: nothing is called so; the nearest name is told.
            Cancelled: `cancel` was set.
        """
        for source in self._sources:
            if kind is None or (("node" if kind == "tensor" else kind) == source.kind):
                found = source.find(name)
                if found is not None:
                    return found
        found = self._in_functions(name, cancel)
        if found is not None:
            return found
        shown = text.shorten(text.label(name), 80)
        if any(source.names.complete(name, 1) for source in self._sources) and name:
            raise NotFoundError(f"{shown} is only how names begin: Tab goes on, ↑ and ↓ choose")
        near = self._nearest(name)
        if near is None:
            hint = "/ searches within names"
        else:
            hint = f"the nearest is {text.shorten(text.label(near.name), 80)} ({near.kind}); / searches within names"
        raise NotFoundError(f"nothing is called {shown}; {hint}")

    def _in_functions(self, name: str, cancel: threading.Event | None) -> Target | None:
        """A node of that name in the first function that has one."""
        owner = self._owner
        if owner is None or not name:
            return None
        for function in sorted(owner.functions.names, key=natural_key):
            check_cancel(cancel)
            found = owner.functions.get(function)
            try:
                target = _in_graph(owner, found.graph, function, name) if found is not None else None
            except ModelError:  # a note says so
                continue
            if target is not None:
                return target
        return None

    def _nearest(self, name: str) -> Candidate | None:
        node, output = _split(name)
        wanted = node if output is not None else name
        pool: dict[str, str] = {}
        for source in self._sources:
            # Before and behind where it would stand, and where the scopes above it begin.
            ends = [len(wanted), wanted.rfind("/") + 1, wanted.find("/") + 1, 0]
            for end in ends:
                place = bisect_left(source.sorted, wanted[:end])
                for near in source.sorted[max(0, place - _NEAR) : place + _NEAR]:
                    if len(near) <= _LOOKED_AT:
                        pool.setdefault(near, source.kind)
        found = difflib.get_close_matches(wanted[:_LOOKED_AT], list(pool), 1)
        return Candidate(pool[found[0]], found[0]) if found else None


def _in_graph(owner: MetaGraph, graph: Graph, function: str | None, name: str) -> Target | None:
    """A node, or an output of one, by name."""
    name = name.removeprefix("^")
    position = graph.find(name)
    if position is not None:
        return Target(NodeSubject(owner, graph, function, position))
    node, output = _split(name)
    position = graph.find(node) if output is not None else None
    if position is None or output is None or output >= graph.output_count(position):
        return None
    return Target(NodeSubject(owner, graph, function, position), output)


def _listed(names: Sequence[str], make: Callable[[str], Subject], name: str) -> Target | None:
    place = bisect_left(names, name)
    return Target(make(name)) if place < len(names) and names[place] == name else None


def _split(name: str) -> tuple[str, int | None]:
    """The node and the number of the output of `node:0`, or of `node:output:0` as functions have it."""
    node, colon, digits = name.rpartition(":")
    if not colon or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return name, None
    return node, int(digits)
