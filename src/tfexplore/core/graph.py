"""The index of one graph: nodes, ops with counts, tensors, producers and consumers.

A graph keeps its nodes as the bytes they came in; the index holds names and op types,
and one node is decoded when somebody looks at it.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from tfexplore.core import shapes, text
from tfexplore.core.edges import Consumer, Edges, raw_inputs
from tfexplore.core.op_defs import OpDefs, output_counts
from tfexplore.core.output_args import OutputArg, iter_outputs, output_args
from tfexplore.core.shapes import Shape
from tfexplore.errors import Cancelled, CorruptError, ModelError
from tfexplore.formats import tensor_proto
from tfexplore.formats.graph_def import Node, decode_node, split_input
from tfexplore.formats.proto import DecodeError, lean

_CHECK_EVERY = 4096
_RECENT = 256
DAMAGED = "(damaged)"
# A node may claim any number of outputs; more than this are counted but not listed.
MAX_LISTED_OUTPUTS = 100_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output of a node, or one argument of a function.

    Attributes:
        name: `node:0`, as `tf.Tensor.name` has it.
        arg: in a function, the name its nodes use: `node:output:0`, or the argument's own name.
        node: position of the producer in its graph; None for an argument.
        shape: None where the rank is unknown; see `shape_stored`.
        shape_stored: whether the file says anything about the shape.
        inferred: whether the shape is what the runtime inferred, where nothing is stored.
    """

    name: str
    op: str
    arg: str | None
    node: int | None
    dtype: int
    shape: Shape
    shape_stored: bool
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a node: what the NodeDef says, and the producer where it exists.

    Attributes:
        producer: position of the producing node; None for a function's argument or a missing node.
        tensor: what arrives; None for a control input or where it is not known.
    """

    name: str
    control: bool
    producer: int | None
    argument: bool
    tensor: Tensor | None


_Stored = Sequence[tuple[Shape, bool]]


class _Producer(NamedTuple):
    """What a node puts out: itself (None where it is damaged), its output arguments, the stored shapes."""

    node: Node | None
    args: tuple[OutputArg, ...]
    stored: _Stored


class Graph:
    """The main graph of a MetaGraph or GraphDef, or the body of a function.

    Args:
        raw_nodes: serialized NodeDefs, in file order.
        op_defs: where OpDefs are looked up.
        path: the file, for errors.
        arguments: a function's input arguments as (name, dtype, shape, shape_stored).
        is_function: whether inputs are written as `node:arg:index`.

    Attributes:
        damaged: positions of the nodes whose bytes are no NodeDef; None before `load`.
        inferred: the shapes of nodes' outputs as the runtime inferred them, by node name; empty before it was asked.
    """

    def __init__(
        self,
        raw_nodes: Sequence[bytes],
        op_defs: OpDefs,
        *,
        path: str,
        arguments: Sequence[tuple[str, int, Shape, bool]] = (),
        is_function: bool = False,
    ) -> None:
        self._raw = raw_nodes
        self._op_defs = op_defs
        self._path = path
        self._arguments = {argument[0]: argument for argument in arguments}
        self.is_function = is_function
        self._recent: dict[int, _Producer] = {}
        self._settled: dict[str, int | None] = {}
        self.damaged: list[int] | None = None
        self.inferred: Mapping[str, Sequence[Shape]] = {}

    def __len__(self) -> int:
        return len(self._raw)

    def load(self, cancel: threading.Event | None = None) -> None:
        """Reads names and op types of all nodes, if that has not been done.

        A node whose bytes are no NodeDef keeps its place, under a name of ours and the op `(damaged)`.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        if "_heads" in self.__dict__:
            return
        head = lean("NodeHead").FromString
        damaged: list[int] = []
        names: list[str] = []
        ops: list[str] = []
        interned: dict[bytes, str] = {}
        for position, raw in enumerate(self._raw):
            if position % _CHECK_EVERY == 0:
                _check(cancel)
            try:
                message = head(raw)
            except DecodeError:
                damaged.append(position)
                names.append(f"(damaged node {position})")
                ops.append(DAMAGED)
                continue
            names.append(message.name.decode("utf-8", "surrogateescape"))
            raw_op = message.op
            op = interned.get(raw_op)
            if op is None:
                op = interned[raw_op] = text.decode(raw_op)
            ops.append(op)
        self.damaged = damaged
        self.__dict__["_heads"] = (names, ops)

    @cached_property
    def _heads(self) -> tuple[list[str], list[str]]:
        self.load()
        heads: tuple[list[str], list[str]] = self.__dict__["_heads"]
        return heads

    @property
    def names(self) -> list[str]:
        """The nodes' names in file order; a name may occur twice in a damaged graph."""
        return self._heads[0]

    @property
    def ops(self) -> list[str]:
        """The nodes' op types in file order."""
        return self._heads[1]

    @cached_property
    def order(self) -> Sequence[int]:
        """Positions of the nodes, sorted by name."""
        return array("I", sorted(range(len(self)), key=self.names.__getitem__))

    @cached_property
    def sorted_names(self) -> list[str]:
        """The names in the order that `order` gives."""
        names = self.names
        return [names[position] for position in self.order]

    def find(self, name: str) -> int | None:
        """The position of the (first) node of that name, or None."""
        place = bisect_left(self.sorted_names, name)
        if place < len(self) and self.sorted_names[place] == name:
            return self.order[place]
        return None

    def node(self, position: int) -> Node:
        """The decoded node at a position in file order.

        Raises:
            CorruptError: its bytes are no NodeDef.
        """
        return decode_node(self._raw[position], path=self._path)

    def readable_node(self, position: int) -> Node | None:
        """As `node`, but None for a damaged one: it hides no other."""
        try:
            return self.node(position)
        except CorruptError:
            return None

    def node_or_blank(self, position: int) -> Node:
        """As `node`, but a damaged one has its name and op only."""
        return self.readable_node(position) or Node(self.names[position], self.ops[position], (), "", {})

    def const_strings(self, name: str) -> list[str]:
        """The strings of the Const node that an input of that spelling names; nothing where it is none."""
        position = self.resolve(name).producer
        value = self.node_or_blank(position).attr("value") if position is not None else None
        if value is None or value.WhichOneof("value") != "tensor":
            return []
        try:
            message = tensor_proto.decode_tensor(value.tensor, path="")
            return [text.decode(part) for part in tensor_proto.strings(message, path="")]
        except ModelError:
            return []

    def nodes_by_op(self, op: str) -> list[int]:
        """Positions of all nodes of that op type, in file order."""
        return [position for position, found in enumerate(self.ops) if found == op]

    def op_counts(self) -> list[tuple[str, int]]:
        """Each op type and how many nodes have it, most frequent first, then by name."""
        return sorted(Counter(self.ops).items(), key=lambda item: (-item[1], item[0]))

    # -- tensors --

    def output_args(self, node: Node) -> tuple[OutputArg, ...] | None:
        """The node's output arguments, or None where its op is unknown or its attributes do not tell."""
        op_def = self._op_defs.find(node.op)
        return None if op_def is None else output_args(node, op_def)

    def outputs(self, position: int) -> list[Tensor]:
        """The node's outputs; empty where its op puts out nothing, nobody knows it, or the node is damaged."""
        node, args, stored = self._producer(position)
        if node is None:
            return []
        numbered = islice(enumerate(iter_outputs(args)), MAX_LISTED_OUTPUTS)
        return [self._output(position, node, stored, number, *found) for number, found in numbered]

    def _output(
        self, position: int, node: Node, stored: _Stored, number: int, arg: str, index: int, dtype: int
    ) -> Tensor:
        shape, known = stored[number] if number < len(stored) else (None, False)
        full = f"{node.name}:{arg}:{index}" if self.is_function else None
        told = () if known else self.inferred.get(node.name, ())
        inferred = number < len(told)
        shape = told[number] if inferred else shape
        return Tensor(f"{node.name}:{number}", node.op, full, position, dtype, shape, known, inferred)

    def output(self, position: int, number: int) -> Tensor:
        """One output of a node, found by arithmetic; of dtype 0 where nothing tells what it is."""
        node, args, stored = self._producer(position)
        index = number
        for arg in args if node is not None else ():
            if node is not None and index < arg.count:
                return self._output(position, node, stored, number, arg.name, index, arg.dtype(index))
            index -= arg.count
        return Tensor(f"{self.names[position]}:{number}", self.ops[position], None, position, 0, None, False)

    def output_count(self, position: int) -> int:
        """How many outputs a node has, at most `MAX_LISTED_OUTPUTS`; not decoded where its op alone tells.

        `outputs` lists as many, except of a damaged node: there nothing tells what they are.
        """
        op = self.ops[position]
        if op not in self._settled:
            op_def = self._op_defs.find(op)
            counts = () if op_def is None else output_counts(op_def)
            self._settled[op] = None if None in counts else len(counts)
        settled = self._settled[op]
        return len(self.outputs(position)) if settled is None else settled

    @property
    def argument_names(self) -> list[str]:
        """The names of a function's arguments, in order."""
        return list(self._arguments)

    def num_outputs(self, node: Node) -> int | None:
        """How many outputs the node has; None where that is not known."""
        args = self.output_args(node)
        return None if args is None else sum(arg.count for arg in args)

    def argument(self, name: str) -> Tensor | None:
        """A function's argument as a tensor, or None."""
        found = self._arguments.get(name)
        if found is None:
            return None
        return Tensor(f"{name}:0", "_Arg", name, None, found[1], found[2], found[3])

    def iter_tensors(self, cancel: threading.Event | None = None) -> Iterator[Tensor]:
        """All tensors: a function's arguments first, then each node's outputs in file order.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        for name in self._arguments:
            tensor = self.argument(name)
            if tensor is not None:
                yield tensor
        for position in range(len(self)):
            if position % _CHECK_EVERY == 0:
                _check(cancel)
            yield from self.outputs(position)

    # -- edges --

    def inputs(self, node: Node, limit: int | None = None, cancel: threading.Event | None = None) -> list[Input]:
        """What arrives at a node, in the order of the NodeDef; the first `limit` of it.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        found = []
        for name in node.inputs[:limit]:
            _check(cancel)
            found.append(self.resolve(name))
        return found

    def resolve(self, name: str) -> Input:
        """What an input of that spelling refers to in this graph."""
        source, output, control = split_input(name)
        argument = self.argument(source) if self.is_function else None
        if argument is not None:
            return Input(name, control, None, True, None if control else argument)
        producer = self.find(source)
        if producer is None or control:
            return Input(name, control, producer, False, None)
        return Input(name, False, producer, False, self._tensor_at(producer, output))

    def _producer(self, position: int) -> _Producer:
        """What a node puts out; kept for a while, since one node often feeds many inputs of another."""
        found = self._recent.get(position)
        if found is None:
            node = self.readable_node(position)
            args = self.output_args(node) if node is not None else None
            found = _Producer(node, args or (), _stored_shapes(node) if node is not None and args else ())
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            self._recent[position] = found
        return found

    def _tensor_at(self, producer: int, output: str) -> Tensor | None:
        """The output that follows the colon: `1`, or `sum:0` in a function; nothing is output 0."""
        name, _, digits = output.rpartition(":")
        if not (digits or "0").isdecimal() or len(digits) > 18:
            return None
        wanted = int(digits or "0")
        node, args, stored = self._producer(producer)
        if node is None:
            return None
        # By arithmetic, never by listing: a node may claim any number of outputs.
        before = 0
        for arg in args:
            index = wanted if name else wanted - before
            if index < arg.count and name in ("", arg.name):
                return self._output(producer, node, stored, before + index, arg.name, index, arg.dtype(index))
            before += arg.count
        return None

    @cached_property
    def _edges(self) -> Edges:
        return Edges(self.names, self._raw, self._arguments)

    def load_edges(self, cancel: threading.Event | None = None, *, of: int | None = None) -> None:
        """Finds who uses what, if that has not been done: seconds for a million nodes.

        Args:
            of: a node: of a large graph only who uses this one is found, in a tenth of the time.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        self._edges.load(cancel, of)

    def edges(self, cancel: threading.Event | None = None) -> tuple[array[int], array[int]]:
        """All uses in compressed rows; see `Edges.rows`."""
        return self._edges.rows(cancel)

    def consumers(self, position: int, limit: int | None = None, start: int = 0) -> list[Consumer]:
        """Who uses the node's outputs, control edges included, in file order; `limit` uses from number `start` on."""
        return self._edges.consumers(position, limit, start)

    def num_consumers(self, position: int) -> int:
        """How many uses `consumers` would list."""
        return self._edges.num_consumers(position)

    def argument_consumers(self, argument: str, cancel: threading.Event | None = None) -> list[Consumer]:
        """Which nodes use a function's argument.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        found = []
        for position, serialized in enumerate(self._raw):
            if position % _CHECK_EVERY == 0:
                _check(cancel)
            for slot, raw in enumerate(raw_inputs(serialized)):
                name = text.decode(raw)
                if split_input(name)[0] == argument:
                    found.append(Consumer(position, slot, name, name.startswith("^")))
        return found


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled


def _stored_shapes(node: Node) -> _Stored:
    """What the node itself says about its outputs' shapes, as (shape, stored)."""
    value = node.attr("_output_shapes")
    if value is not None and value.WhichOneof("value") == "list":
        return [(shapes.from_proto(shape), True) for shape in value.list.shape]
    if node.op == "Const":
        value = node.attr("value")
        if value is not None and value.WhichOneof("value") == "tensor":
            return [_const_shape(value)]
    if node.op in ("Placeholder", "PlaceholderWithDefault", "Variable", "VariableV2", "TemporaryVariable"):
        value = node.attr("shape")
        if value is not None and value.WhichOneof("value") == "shape":
            return [(shapes.from_proto(value.shape), True)]
    return []


def _const_shape(value: Any) -> tuple[Shape, bool]:
    try:
        return tensor_proto.dims(tensor_proto.decode_tensor(value.tensor, path="")), True
    except CorruptError:
        return None, False
