"""A node with what it takes and who takes what it gives, drawn with box characters.

Beside the node where there is room, producers on its left; else above and below it:

     ┌─ float32 [?, 3] ── x  Placeholder
     ├─ float32 [3, 4] ── w  ReadVariableOp
    ┌┴─────────────┐
    │ dense/MatMul │
    │ MatMul       │
    └┬─────────────┘
     └─ float32 [?, 4] ── relu  Relu
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.detail import shape_text
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import threading

    from tfexplore.core.graph import Graph, Tensor
    from tfexplore.formats.graph_def import Node

MIN_WIDTH = 24
# From so many cells on the edges lie beside the node.
WIDE = 96
# Edges of each side that are drawn before the rest is counted.
MAX_EDGES = 12
# Edges beyond each neighbour.
MAX_FURTHER = 4
_MAX_EDGE = 28
_MAX_BOX = 36
_ROOM_FOR_OP = 32
_CONTROL = "control"


class Edge(NamedTuple):
    """One edge of the picture.

    Attributes:
        node: the position of the node at its other end; None where there is none (an argument, a missing node).
        name, op: of that node, as stored; the op is empty where there is none.
        carries: what flows along it, visible: dtype and shape.
        argument: whether the other end is an argument of the function.
        further: the edges beyond the node at the other end, on the same side; see `grown`.
        more: how many of those were left out.
    """

    node: int | None
    name: str
    op: str
    carries: str
    argument: bool = False
    further: tuple[Edge, ...] = ()
    more: int = 0


class Neighbours(NamedTuple):
    """A node between its edges; those that were left out are counted."""

    position: int
    name: str
    op: str
    producers: tuple[Edge, ...]
    consumers: tuple[Edge, ...]
    more_producers: int
    more_consumers: int


class Row(NamedTuple):
    """A line of the picture.

    Attributes:
        text: visible, at most as wide as was asked for.
        left, right: the edges that end in this line, as numbers in `producers` and `consumers`.
        further: which of the edges beyond that one it is; None for the edge itself.
        box: the cells that the box takes, from and to; None where the whole line is one edge's, or no box is beside.
    """

    text: str
    left: int | None = None
    right: int | None = None
    further: int | None = None
    box: tuple[int, int] | None = None


def neighbours(
    graph: Graph, position: int, *, limit: int = MAX_EDGES, cancel: threading.Event | None = None
) -> Neighbours:
    """What a node is connected to; at most `limit` edges of each side.

    Raises:
        CorruptError: the node is damaged.
        Cancelled: `cancel` was set.
    """
    graph.load(cancel)
    node = graph.node(position)
    producers, more_producers = _producers(graph, node, limit, cancel)
    consumers, more_consumers = _consumers(graph, position, limit, cancel)
    return Neighbours(position, node.name, node.op, producers, consumers, more_producers, more_consumers)


def _producers(graph: Graph, node: Node, limit: int, cancel: threading.Event | None) -> tuple[tuple[Edge, ...], int]:
    """The edges that go in, and how many more there are."""
    producers = []
    for found in graph.inputs(node, limit, cancel):
        carries = _CONTROL if found.control else _carries(found.tensor)
        if found.producer is not None:
            name, op = graph.names[found.producer], graph.ops[found.producer]
        else:
            name, op = found.name.removeprefix("^"), ""
        producers.append(Edge(found.producer, name, op, carries, found.argument))
    return tuple(producers), len(node.inputs) - len(producers)


def _consumers(graph: Graph, position: int, limit: int, cancel: threading.Event | None) -> tuple[tuple[Edge, ...], int]:
    """The edges that go out, likewise."""
    graph.load_edges(cancel, of=position)
    consumers = []
    for use in graph.consumers(position, limit):
        carries = _CONTROL if use.control else _carries(graph.resolve(use.name).tensor)
        consumers.append(Edge(use.node, graph.names[use.node], graph.ops[use.node], carries))
    return tuple(consumers), graph.num_consumers(position) - len(consumers)


def grown(graph: Graph, found: Neighbours, cancel: threading.Event | None = None) -> Neighbours:
    """The same with what lies beyond each neighbour: the producers of its producers, the consumers of its consumers.

    Raises:
        Cancelled: `cancel` was set.
    """

    def beyond(edge: Edge, producers: bool) -> Edge:
        node = graph.readable_node(edge.node) if edge.node is not None else None
        if node is None or edge.node is None:
            return edge
        if producers:
            further, more = _producers(graph, node, MAX_FURTHER, cancel)
        else:
            further, more = _consumers(graph, edge.node, MAX_FURTHER, cancel)
        return edge._replace(further=further, more=more)

    return found._replace(
        producers=tuple(beyond(edge, True) for edge in found.producers),
        consumers=tuple(beyond(edge, False) for edge in found.consumers),
    )


def _carries(tensor: Tensor | None) -> str:
    if tensor is None:
        return "not known"
    return f"{dtypes.name(tensor.dtype)} {shape_text(tensor)}"


def picture(found: Neighbours, width: int, *, ascii_only: bool = False) -> list[Row]:
    """The picture in lines of at most `width` cells, or of `MIN_WIDTH`; long names lose their middle.

    Args:
        ascii_only: with `+`, `-` and `|` in place of box characters.
    """
    rows = _beside(found, width) if width >= WIDE else _stacked(found, max(width, MIN_WIDTH))
    return [row._replace(text=row.text.translate(_ASCII)) for row in rows] if ascii_only else rows


def _stacked(found: Neighbours, width: int) -> list[Row]:
    rows: list[Row] = []
    inputs = _lines(found.producers, found.more_producers, width, "nothing goes in")
    for number, (line, edge) in enumerate(inputs):
        mark = " " if not found.producers else "┌" if not number else "├"
        rows.append(Row(f" {mark}{line}", left=edge))
    rows += _joined_box(found, width)
    outputs = _lines(found.consumers, found.more_consumers, width, "nobody takes it")
    for number, (line, edge) in enumerate(outputs):
        mark = " " if not found.consumers else "└" if number == len(outputs) - 1 else "├"
        rows.append(Row(f" {mark}{line}", right=edge))
    return rows


def picture_of_two(found: Neighbours, width: int, *, ascii_only: bool = False) -> list[Row]:
    """The picture with two levels of each side, one edge a line: what is further away stands further in.

    Args:
        found: as `grown` gives it.
    """
    width = max(width, MIN_WIDTH)
    rows: list[Row] = []
    for number, edge in enumerate(found.producers):
        trunk = " " if not number else "│"
        beyond = [Row(f" {trunk} {line}", left=number, further=at) for at, line in _further(edge, width, "┌", "├")]
        mark = "┌" if not number else "├"
        rows += beyond
        rows.append(Row(f" {mark}─{'┴' if beyond else '─'} {_whole(edge, width)}", left=number))
    if found.more_producers:
        rows.append(Row(f" ├── … {found.more_producers:,} more"))
    if not found.producers:
        rows.append(Row("  nothing goes in"))
    rows += _joined_box(found, width)
    last = len(found.consumers) - 1
    for number, edge in enumerate(found.consumers):
        at_end = number == last and not found.more_consumers
        lines = [*_further(edge, width, "├", "└")]
        rows.append(Row(f" {'└' if at_end else '├'}─{'┬' if lines else '─'} {_whole(edge, width)}", right=number))
        trunk = " " if at_end else "│"
        rows += [Row(f" {trunk} {line}", right=number, further=at) for at, line in lines]
    if found.more_consumers:
        rows.append(Row(f" └── … {found.more_consumers:,} more"))
    if not found.consumers:
        rows.append(Row("  nobody takes it"))
    return [row._replace(text=row.text.translate(_ASCII)) for row in rows] if ascii_only else rows


def _further(edge: Edge, width: int, first: str, last: str) -> list[tuple[int | None, str]]:
    """The lines of the edges beyond an edge; the first of a producer's has a corner, the last of a consumer's."""
    found: list[tuple[int | None, str]] = [(at, f"─ {_whole(one, width - 2)}") for at, one in enumerate(edge.further)]
    if edge.more > 0:
        found.append((None, f"─ … {edge.more:,} more"))
    marks = ["├"] * len(found)
    if found and first == "┌":
        marks[0] = first
    elif found:
        marks[-1] = last
    return [(at, mark + line) for mark, (at, line) in zip(marks, found, strict=True)]


def _whole(edge: Edge, width: int) -> str:
    """What flows along an edge and the node at its other end."""
    flows = text.shorten(edge.carries, min(_MAX_EDGE, max(8, width // 3)))
    line = _line(edge) * 2
    return f"{flows} {line} {_end(edge, width - text.width(flows) - 9)}"


def _joined_box(found: Neighbours, width: int) -> list[Row]:
    box = _box(found, width)
    if found.producers:
        box[0] = f"{box[0][0]}┴{box[0][2:]}"
    if found.consumers:
        box[-1] = f"{box[-1][0]}┬{box[-1][2:]}"
    return [Row(line) for line in box]


def _lines(edges: Sequence[Edge], more: int, width: int, nothing: str) -> list[tuple[str, int | None]]:
    """The edges of one side, one below the other, without the mark at their beginning."""
    carries = max((text.width(edge.carries) for edge in edges), default=0)
    carries = min(carries, _MAX_EDGE, max(8, width // 3))
    lines: list[tuple[str, int | None]] = []
    for number, edge in enumerate(edges):
        line = _line(edge)
        flows = text.shorten(edge.carries, carries)
        filler = line * (carries - text.width(flows) + 2)
        lines.append((f"{line} {flows} {filler} {_end(edge, width - carries - 8)}", number))
    if more > 0:
        lines.append((f"─ … {more:,} more", None))
    return lines or [(nothing, None)]


def _beside(found: Neighbours, width: int) -> list[Row]:
    box = _box(found, min(_MAX_BOX, max(10, width // 3)))
    box_width = text.width(box[0])
    side = (width - box_width - 4) // 2
    left = _side(found.producers, found.more_producers, side, "nothing goes in", left=True)
    right = _side(found.consumers, found.more_consumers, side, "nobody takes it", left=False)
    height = max(len(left), len(right), len(box))
    rows = []
    tops = [(height - len(part)) // 2 for part in (left, box, right)]
    # The line in which the edges of a side meet the box: one of its inner lines, for the frame has no room.
    middle = tops[1] + len(box) // 2
    for line in range(height):
        before, number_left = _at(left, line - tops[0], side)
        after, number_right = _at(right, line - tops[2], 0)
        inside = box[line - tops[1]] if 0 <= line - tops[1] < len(box) else " " * box_width
        if line == middle:
            inside = ("┤" if found.producers else "│") + inside[1:-1] + ("├" if found.consumers else "│")
        joint_left = _joint(line, tops[0], len(found.producers), middle, left=True)
        joint_right = _joint(line, tops[2], len(found.consumers), middle, left=False)
        whole = f"{before}{joint_left}{inside}{joint_right}{after}".rstrip()
        rows.append(Row(whole, number_left, number_right, box=(side + 2, side + 2 + box_width)))
    return rows


def _at(lines: Sequence[tuple[str, int | None]], place: int, width: int) -> tuple[str, int | None]:
    return lines[place] if 0 <= place < len(lines) else (" " * width, None)


def _box(found: Neighbours, width: int) -> list[str]:
    inside = width - 4
    lines = [text.shorten(text.label(found.name), inside), text.shorten(text.label(found.op), inside)]
    inside = max(map(text.width, lines))
    middle = [f"│ {line}{' ' * (inside - text.width(line))} │" for line in lines]
    return [f"┌{'─' * (inside + 2)}┐", *middle, f"└{'─' * (inside + 2)}┘"]


def _side(edges: Sequence[Edge], more: int, width: int, nothing: str, *, left: bool) -> list[tuple[str, int | None]]:
    """The lines beside the box, each `width` wide on its left: an edge, what was cut, or that there is nothing."""
    lines: list[tuple[str, int | None]] = []
    carries = max((text.width(edge.carries) for edge in edges), default=0)
    carries = min(carries, _MAX_EDGE, max(8, width // 2))
    for number, edge in enumerate(edges):
        lines.append((_edge(edge, carries, width, left), number))
    if more > 0:
        lines.append((_placed(f"… {more:,} more", width, left), None))
    return lines or [(_placed(nothing, width, left), None)]


def _edge(edge: Edge, carries: int, width: int, left: bool) -> str:
    flows = text.shorten(edge.carries, carries)
    room = width - carries - 4
    end = _end(edge, room)
    spare = carries - text.width(flows) + 1
    if left:
        return f"{end} {_line(edge) * (room - text.width(end) + spare)} {flows} "
    return f" {flows} {_line(edge) * spare} {end}"


def _line(edge: Edge) -> str:
    return "┄" if edge.carries == _CONTROL else "─"


def _end(edge: Edge, room: int) -> str:
    """The node at the other end: its name and op, of which the name is cut last."""
    name = text.label(edge.name)
    what = text.label(edge.op) if edge.op else "argument" if edge.argument else "missing"
    if text.width(name) + text.width(what) + 2 > room:
        what = text.shorten(what, room // 4) if room >= _ROOM_FOR_OP else ""
    if not what:
        return text.shorten(name, room)
    return f"{text.shorten(name, room - text.width(what) - 2)}  {what}"


def _placed(words: str, width: int, left: bool) -> str:
    words = text.shorten(words, width - 2)
    return f"{' ' * (width - text.width(words) - 1)}{words} " if left else f" {words}"


def _joint(line: int, top: int, count: int, middle: int, *, left: bool) -> str:
    """The two cells between an edge and the box: the bar that gathers the edges of a side."""
    if not count:
        return "  "
    first, last = min(top, middle), max(top + count - 1, middle)
    if not first <= line <= last:
        return "  "
    has_edge = top <= line < top + count
    up, down = line > first, line < last
    if left:
        bar = _LEFT[(has_edge, line == middle, up, down)]
        return bar + ("─" if line == middle else " ")
    bar = _RIGHT[(has_edge, line == middle, up, down)]
    return ("─" if line == middle else " ") + bar


# By: an edge in this line, the box in this line, the bar goes up, it goes down.
_SHAPES = {
    (True, True, True, True): "┼┼", (True, True, True, False): "┴┴", (True, True, False, True): "┬┬",
    (True, True, False, False): "──", (True, False, True, True): "┤├", (True, False, True, False): "┘└",
    (True, False, False, True): "┐┌", (False, True, True, True): "├┤", (False, True, True, False): "└┘",
    (False, True, False, True): "┌┐", (False, False, True, True): "││",
}  # fmt: skip
_LEFT = {key: bars[0] for key, bars in _SHAPES.items()}
_RIGHT = {key: bars[1] for key, bars in _SHAPES.items()}
_ASCII = str.maketrans("┌┐└┘├┤┬┴┼─│┄…", "+++++++++-|~.")
