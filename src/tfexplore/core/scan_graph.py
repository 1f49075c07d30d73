"""One graph as the scan sees it: the nodes that matter, what they call, the graphs in its constants.

One pass over all nodes, whatever they are named and wherever in an attribute a function or a graph stands.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.op_defs import is_tensorflows
from tfexplore.core.risky_ops import LOOPS, MAX_ELEMENTS, RISKS, SIZED
from tfexplore.errors import Cancelled, CorruptError, ModelError
from tfexplore.formats import dtypes, tensor_proto
from tfexplore.formats.graph_def import Node, decode_node
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.table_block import read_varint

_CHECK_EVERY = 1024
# Attributes repeat (types, shapes): those that hold nothing are looked at once. So many, of at most so many bytes.
_MAX_PLAIN, _MAX_PLAIN_BYTES = 4096, 512
# NameAttrLists may hold others; protobuf itself reads no more levels.
_MAX_DEPTH = 40
# Kinds of attributes in which a function or a graph may stand.
# Tags of AttrValue (attr_value.proto): i, b and type; list; shape; and of a list's shapes.
_VARINTS = frozenset((0x18, 0x28, 0x30))
_LIST, _SHAPE, _LIST_SHAPE = 0x0A, 0x3A, 0x3A
_HOLDING = frozenset(("func", "s", "tensor", "list"))
# No graph with a node in it is shorter.
_LEAST_GRAPH = 8


class Call(NamedTuple):
    """A node that names a function.

    Attributes:
        graph: the function whose body the node is in; None for the main graph.
        position: the node's; -1 where no node, but the function `graph` itself names the other.
        attr: in which attribute; empty where the op itself is the function's name.
        function: the function that is named.
    """

    graph: str | None
    position: int
    attr: str
    function: str


class Body:
    """The nodes of a main graph, or of a function.

    Args:
        raw_nodes: serialized NodeDefs, in file order.
        function: the function's name; None for the main graph.
        arguments: the function's input arguments, in order.
        returns: what it returns, in order, as `node:arg:index`.
        attrs: the function's own attributes that are strings.
    """

    def __init__(
        self,
        raw_nodes: Sequence[bytes],
        function: str | None = None,
        arguments: Sequence[str] = (),
        returns: Sequence[str] = (),
        attrs: Mapping[str, str] | None = None,
    ) -> None:
        self.raw_nodes = raw_nodes
        self.function = function
        self.arguments = {name: place for place, name in enumerate(arguments)}
        self.returns = returns
        self.attrs = attrs or {}

    @cached_property
    def places(self) -> dict[str, int]:
        """The position of each node by name; of several with one name the first."""
        head = lean("NodeHead").FromString
        found: dict[str, int] = {}
        for position, raw in enumerate(self.raw_nodes):
            try:
                found.setdefault(text.decode(head(raw).name), position)
            except DecodeError:
                continue
        return found

    @property
    def is_open(self) -> bool:
        """Whether names have been looked up here."""
        return "places" in self.__dict__

    def node(self, position: int) -> Node | None:
        """One node; None for a damaged one."""
        try:
            return decode_node(self.raw_nodes[position], path="")
        except CorruptError:
            return None

    def find(self, name: str) -> Node | None:
        """The node of that name; None where there is none, or it is damaged."""
        position = self.places.get(name)
        return None if position is None else self.node(position)


def function_body(raw: bytes, name: str, path: str) -> Body:
    """The body of a serialized FunctionDef; of a damaged one what can be read."""
    try:
        message = lean("FunctionDef").FromString(raw)
    except DecodeError:
        from tfexplore.formats.salvage import salvage

        try:
            message, _ = salvage(lean("FunctionDef"), raw, path=path, what="FunctionDef", offset=None)
        except ModelError:
            return Body((), name)
    returned = {entry.key: entry.value for entry in message.ret}
    return Body(
        message.node_def,
        name,
        [text.decode(argument.name) for argument in message.signature.input_arg],
        [text.decode(returned.get(argument.name, b"")) for argument in message.signature.output_arg],
        _string_attrs(message.attr),
    )


def _string_attrs(entries: Iterable[Any]) -> dict[str, str]:
    found = {}
    for entry in entries:
        try:
            value = lean("AttrValue").FromString(entry.value)
        except DecodeError:
            continue
        if value.WhichOneof("value") == "s":
            found[text.decode(entry.key)] = text.decode(value.s)
    return found


class Marks:
    """What the pass over one graph found.

    Attributes:
        nodes: positions of nodes whose op the table of risky ops has, or TensorFlow does not have.
        sized: positions of nodes that make a tensor of a shape that they are given.
        calls: the functions that nodes name.
        graphs: positions of nodes with a graph in a constant, or in another string of an attribute.
        claims: positions of nodes with a constant of more elements than any tensor has, and how many.
        loops: positions of loops.
        damaged: how many nodes cannot be read.
        num_nodes: how many there are.
    """

    def __init__(self) -> None:
        self.nodes = array("I")
        self.sized = array("I")
        self.calls: list[Call] = []
        self.graphs = array("I")
        self.claims: list[tuple[int, int]] = []
        self.loops = array("I")
        self.damaged = 0
        self.num_nodes = 0


_PLAIN, _MARKED, _SIZED, _LOOP, _FUNCTION = range(5)


class Marker:
    """Passes over the graphs of one library.

    Args:
        functions: names of the functions there.
        step: called with how many more nodes were looked at.
        cancel: ends the work early.
    """

    def __init__(
        self, functions: Container[str], step: Callable[[int], None], cancel: threading.Event | None = None
    ) -> None:
        self._functions = functions
        self._step = step
        self._cancel = cancel
        self._ops: dict[bytes, tuple[int, str]] = {}
        self._plain: set[bytes] = set()
        self._names: dict[str, str] = {}

    def marks(self, body: Body, *, names: bool = False) -> Marks:
        """Looks at every node of a graph.

        Args:
            names: whether its names will be looked up, so that they are best noted at once.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        found = Marks()
        decode = lean("NodeDef").FromString
        plain, ops = self._plain, self._ops
        found.num_nodes = len(body.raw_nodes)
        places: dict[str, int] = {}
        for position, raw in enumerate(body.raw_nodes):
            if position % _CHECK_EVERY == 0:
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled
                self._step(min(_CHECK_EVERY, found.num_nodes - position))
            try:
                message = decode(raw)
            except DecodeError:
                found.damaged += 1
                continue
            if names:
                places.setdefault(text.decode(message.name), position)
            kind, op = ops.get(message.op) or self._classify(message.op)
            if kind == _MARKED:
                found.nodes.append(position)
            elif kind == _SIZED:
                found.sized.append(position)
            elif kind == _LOOP:
                found.loops.append(position)
            elif kind == _FUNCTION:
                found.calls.append(Call(body.function, position, "", op))
            for entry in message.attr:
                value = entry.value
                if value not in plain and not _is_plain(value):
                    self._attr(body.function, position, entry.key, value, found)
        if names:
            body.places = places
        return found

    def _classify(self, raw: bytes) -> tuple[int, str]:
        op = text.decode(raw)
        kind = _PLAIN
        if op in self._functions:
            kind = _FUNCTION
        elif op in RISKS or not is_tensorflows(op):
            kind = _MARKED
        elif op in SIZED:
            kind = _SIZED
        elif op in LOOPS or op == "LoopCond":
            kind = _LOOP
        self._ops[raw] = kind, op
        return kind, op

    def _attr(self, graph: str | None, position: int, key: bytes, raw: bytes, found: Marks) -> None:
        try:
            plain = self._value(graph, position, text.decode(key), lean("AttrValue").FromString(raw), found)
        except DecodeError:
            found.damaged += 1
            return
        if plain and len(raw) <= _MAX_PLAIN_BYTES and len(self._plain) < _MAX_PLAIN:
            self._plain.add(raw)

    def _call(self, graph: str | None, position: int, attr: str, function: str, found: Marks) -> None:
        # Many nodes call the same functions: a name is kept once.
        names = self._names
        found.calls.append(Call(graph, position, names.setdefault(attr, attr), names.setdefault(function, function)))

    def _value(self, graph: str | None, position: int, key: str, value: Any, found: Marks) -> bool:
        """Looks at one attribute; whether its bytes mean nothing to the scan, whatever attribute has them."""
        plain = True
        pending = [(value, 0)]
        while pending:
            value, depth = pending.pop()
            kind = value.WhichOneof("value")
            if kind not in _HOLDING:
                continue
            lists = value.list
            for function in (value.func,) if kind == "func" else lists.func if kind == "list" else ():
                plain = False
                self._call(graph, position, key, text.decode(function.name), found)
                if depth == _MAX_DEPTH:
                    found.damaged += 1
                else:
                    pending += [(lean("AttrValue").FromString(entry.value), depth + 1) for entry in function.attr]
            for part in (value.s,) if kind == "s" else lists.s if kind == "list" else ():
                if text.decode(part) in self._functions:
                    plain = False
                    if not key.startswith("_") and key != "api_implements":
                        self._call(graph, position, key, text.decode(part), found)
                elif is_graph(part):
                    plain = False
                    found.graphs.append(position)
            for part in (value.tensor,) if kind == "tensor" else lists.tensor if kind == "list" else ():
                plain = self._tensor(position, part, found) and plain
        return plain

    def _tensor(self, position: int, raw: bytes, found: Marks) -> bool:
        message = lean("TensorProto").FromString(raw)
        elements = math.prod(dim.size for dim in message.tensor_shape.dim[: tensor_proto.MAX_DIMS])
        if elements > MAX_ELEMENTS:
            found.claims.append((position, elements))
            return False
        if message.dtype % dtypes.REF == dtypes.STRING and any(map(is_graph, tensor_strings(message))):
            found.graphs.append(position)
            return False
        return True


def _is_plain(raw: bytes) -> bool:
    """Whether an AttrValue is a number, a bool, a dtype, a shape or a list of shapes and nothing else, by its bytes.

    Four of five attributes are, and decoding them all takes half of a scan. False proves nothing.
    """
    size = len(raw)
    if size < 2:
        return not raw
    tag = raw[0]
    if tag in _VARINTS:
        return size == 2 and raw[1] < 0x80
    # One field of under 128 bytes that is all there is: no other can follow it and count.
    if raw[1] != size - 2 or raw[1] >= 0x80:
        return False
    if tag != _LIST:
        return tag == _SHAPE
    at = 2
    while at + 1 < size and raw[at] == _LIST_SHAPE and raw[at + 1] < 0x80:
        at += 2 + raw[at + 1]
    return at == size


def tensor_strings(message: Any) -> Iterator[bytes]:
    """The stored elements of a string tensor, one by one; none of what is no such tensor."""
    content = message.tensor_content
    if not content:
        yield from message.string_val
        return
    elements = math.prod(dim.size for dim in message.tensor_shape.dim[: tensor_proto.MAX_DIMS])
    if not 0 < elements <= len(content):  # each takes a byte for its length
        return
    try:
        # In raw form all lengths come first. They are read twice, since a list of them may be large.
        start = 0
        for _ in range(elements):
            _, start = read_varint(content, start, len(content), 32, _no_length)
        at = 0
        for _ in range(elements):
            length, at = read_varint(content, at, len(content), 32, _no_length)
            yield content[start : start + length]
            start += length
    except ModelError:
        return


def _no_length(what: str, offset: int) -> ModelError:
    return CorruptError(what, offset=offset)


def is_graph(raw: bytes) -> bool:
    """Whether bytes are a GraphDef with a node, or a function with one, whose op TensorFlow has."""
    if len(raw) < _LEAST_GRAPH:
        return False
    try:
        message = lean("GraphDef").FromString(raw)
    except DecodeError:
        return False
    if any(map(_is_node, message.node)):
        return True
    decode = lean("FunctionHead").FromString
    for function in message.library.function:
        try:
            if any(map(_is_node, decode(function).node_def)):
                return True
        except DecodeError:
            continue
    return False


def _is_node(raw: bytes) -> bool:
    try:
        head = lean("NodeHead").FromString(raw)
    except DecodeError:
        return False
    return bool(head.name) and is_tensorflows(text.decode(head.op))


def graphs_in(node: Node) -> Iterator[bytes]:
    """The serialized GraphDefs that stand in a node's attributes."""
    for name in node.raw_attrs:
        value = node.attr(name)
        if value is None:
            continue
        kind = value.WhichOneof("value")
        strings: list[bytes] = [value.s] if kind == "s" else list(value.list.s) if kind == "list" else []
        tensors = [value.tensor] if kind == "tensor" else value.list.tensor if kind == "list" else ()
        for raw in tensors:
            try:
                message = lean("TensorProto").FromString(raw)
            except DecodeError:
                continue
            if message.dtype % dtypes.REF == dtypes.STRING:
                strings.extend(tensor_strings(message))
        yield from filter(is_graph, strings)
