"""Who calls a function, and which input of the calling node arrives at which argument.

Of If, While, Case and plain calls the inputs are the arguments, in order. Functions of data sets get an element first,
and last what the node captured. Which attributes name functions is told by OpDefs; of an op that nobody knows all are
looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from tfexplore.core import text
from tfexplore.core.joins import CALLS
from tfexplore.core.op_defs import output_counts
from tfexplore.errors import Cancelled
from tfexplore.formats.graph_def import Node, called_functions
from tfexplore.formats.proto import lean

if TYPE_CHECKING:
    from tfexplore.core.functions import Function
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

_CHECK_EVERY = 256
# Calls that are kept of one MetaGraph; real models have some thousands.
_MAX_CALLS = 200_000
# What the inputs that a node captured for its function are called in OpDefs.
_CAPTURED = (b"other_arguments", b"captured_inputs", b"captured_tensors")
_LOOPS = ("While", "StatelessWhile")


class Call(NamedTuple):
    """A node that names a function.

    Attributes:
        function: whose body holds the node; None for the main graph.
        position: of the node.
        attr: the attribute that names it; empty where the node's op is the function.
    """

    function: str | None
    position: int
    attr: str


_known: WeakKeyDictionary[MetaGraph, dict[str, list[Call]]] = WeakKeyDictionary()


def callers(owner: MetaGraph, function: str, cancel: threading.Event | None = None) -> list[Call]:
    """The nodes that call a function, the main graph's first; all are found on the first question.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    found = _known.get(owner)
    if found is None:
        found = {}
        for number, (name, call) in enumerate(_iter_calls(owner, cancel)):
            if number == _MAX_CALLS:
                break
            listed = found.setdefault(name, [])
            if call not in listed[-1:]:
                listed.append(call)
        _known[owner] = found
    return found.get(function, [])


def graph_of(owner: MetaGraph, function: str | None) -> Graph | None:
    """The main graph, or the body of a function; None where there is no such function."""
    if function is None:
        return owner.graph
    found = owner.functions.get(function)
    return None if found is None else found.graph


def _iter_calls(owner: MetaGraph, cancel: threading.Event | None) -> Iterator[tuple[str, Call]]:
    attrs_of: dict[str, tuple[str, ...] | None] = {}
    for function in (None, *owner.functions.names):
        graph = graph_of(owner, function)
        if graph is None:
            continue
        graph.load(cancel)
        for position, op in enumerate(graph.ops):
            if position % _CHECK_EVERY == 0 and cancel is not None and cancel.is_set():
                raise Cancelled
            if op not in attrs_of:
                attrs_of[op] = _function_attrs(owner, op)
            if owner.functions.get(op) is not None:
                yield op, Call(function, position, "")
            attrs = attrs_of[op]
            if attrs == ():
                continue
            node = graph.node_or_blank(position)
            for attr in tuple(node.raw_attrs) if attrs is None else attrs:
                for name in called_functions(node, (attr,)):
                    yield name, Call(function, position, attr)


def _function_attrs(owner: MetaGraph, op: str) -> tuple[str, ...] | None:
    """The attributes of an op that name functions; None where nobody knows the op."""
    op_def = owner.op_defs.find(op)
    if op_def is None:
        return None
    return tuple(text.decode(attr.name) for attr in op_def.attr if attr.type in (b"func", b"list(func)"))


def first_input(owner: MetaGraph, node: Node, attr: str, callee: Function) -> tuple[int, int] | None:
    """Which inputs of a calling node arrive at a function: (number of an input, number of the argument it arrives at).

    From there on both go up together. None where it is not known.
    """
    if not attr:
        return 0, 0
    if node.op in CALLS:
        return CALLS[node.op][1], 0
    op_def = owner.op_defs.find(node.op)
    if op_def is None:
        return None
    counts = _input_counts(node, op_def)
    own = (f"{attr}_other_arguments".encode(), f"{attr}_other_args".encode())
    before, lists = 0, []
    for arg, count in zip(op_def.input_arg, counts, strict=True):
        if count is None:
            return None
        if arg.type_list_attr:
            lists.append((arg.name, before, count))
        before += count
    wanted = len(callee.inputs)
    for name, start, count in lists:
        if name in own and count <= wanted:
            return start, wanted - count
    for _, start, count in lists:
        # All arguments, or those of an element with what was captured right behind them.
        if wanted == count or wanted == before - start:
            return start, 0
    for name, start, count in lists:
        if name in _CAPTURED and count <= wanted:
            return start, wanted - count
    return None


def _input_counts(node: Node, op_def: object) -> tuple[int | None, ...]:
    """How many inputs each input argument of a node has."""
    as_outputs = lean("OpDef")()
    as_outputs.output_arg.extend(op_def.input_arg)  # type: ignore[attr-defined]
    as_outputs.attr.extend(op_def.attr)  # type: ignore[attr-defined]
    return output_counts(as_outputs, {text.encode(name): raw for name, raw in node.raw_attrs.items()})


class Passed(NamedTuple):
    """What a call passes to one argument: input `slot` of the node, spelled as the node does."""

    call: Call
    slot: int
    name: str


def passed(
    owner: MetaGraph, function: str, number: int, limit: int, cancel: threading.Event | None = None
) -> Iterator[Passed]:
    """What the first `limit` callers pass to argument `number` of a function.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    callee = owner.functions.get(function)
    for call in callers(owner, function, cancel)[:limit] if callee is not None else ():
        graph = graph_of(owner, call.function)
        if graph is None or callee is None:
            continue
        node = graph.node_or_blank(call.position)
        found = first_input(owner, node, call.attr, callee)
        if found is None:
            continue
        slot = found[0] + number - found[1]
        inputs = [name for name in node.inputs if not name.startswith("^")]
        if slot >= found[0] and 0 <= slot < len(inputs):
            yield Passed(call, slot, inputs[slot])


def argument_at(owner: MetaGraph, node: Node, attr: str, callee: Function, slot: int) -> int | None:
    """The number of the argument at which input `slot` of a calling node arrives; None where it is not known."""
    found = first_input(owner, node, attr, callee)
    if found is None or slot < found[0]:
        return None
    number = slot - found[0] + found[1]
    return number if number < len(callee.inputs) else None


def gives(op: str, attr: str) -> bool:
    """Whether the outputs of the called function are those of the calling node, in order."""
    return not attr or (op in CALLS and attr != "cond")


def is_body(op: str, attr: str) -> bool:
    """Whether the function is the body of a loop: its outputs come back as its arguments."""
    return op in _LOOPS and attr == "body"
