"""Details of edges: what a block left out, and the way between two nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from tfexplore.core import detail_function, detail_node, text
from tfexplore.core.detail import Block, Detail, Line, tensor_facts
from tfexplore.core.detail_function import CALLED_BY
from tfexplore.core.detail_node import INPUTS, OUTPUTS, USED_BY
from tfexplore.core.items import Cancel
from tfexplore.core.paths import shortest_path
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    OpSubject,
    PathSubject,
    RestSubject,
)
from tfexplore.formats.graph_def import split_input

# Lines of one page of what a block left out.
_PAGE = 1000
# Nodes of a way that are listed.
_MAX_WAY = 5000


def rest(subject: RestSubject, cancel: Cancel) -> Detail:
    """A page of the lines that a block left out, and the way to the next one."""
    lines = [*islice(_lines(subject, _PAGE + 1, cancel), _PAGE + 1)]
    if len(lines) > _PAGE:
        more = RestSubject(subject.of, subject.block, subject.start + _PAGE)
        lines[-1] = Line("", "… and more", more)
    title = f"{_name(subject)}: {subject.block} from {subject.start + 1:,} on"
    back = Line("of", _name(subject), subject.of)
    return Detail(title, "List", (Block("", (back,)), Block(subject.block, tuple(lines))))


def _name(subject: RestSubject) -> str:
    of = subject.of
    if isinstance(of, NodeSubject):
        return text.label(of.graph.names[of.position])
    if isinstance(of, OpSubject):
        return text.label(of.op)
    return text.label(of.name if isinstance(of, FunctionSubject) else of.argument.name)


def _lines(subject: RestSubject, count: int, cancel: Cancel) -> Iterator[Line]:
    of, start = subject.of, subject.start
    if isinstance(of, NodeSubject) and subject.block == INPUTS:
        found = of.graph.node(of.position)
        yield from (line for line, _ in detail_node.input_lines(of, found, start, count, cancel))
    elif isinstance(of, NodeSubject) and subject.block == USED_BY:
        of.graph.load_edges(cancel, of=of.position)
        uses = of.graph.consumers(of.position, count, start)
        yield from detail_node.use_lines(of.meta_graph, of.graph, of.function, uses)
    elif isinstance(of, NodeSubject) and subject.block == OUTPUTS:
        yield from islice(detail_node.output_lines(of, of.graph.outputs(of.position)), start, start + count)
    elif isinstance(of, OpSubject):
        yield from detail_node.nodes_of_op(of, start, count)
    elif isinstance(of, ArgumentSubject):
        yield from detail_function.argument_uses(of, start, count, cancel)
    elif isinstance(of, FunctionSubject) and subject.block == CALLED_BY:
        yield from detail_function.caller_lines(of, start, count, cancel)
    elif isinstance(of, FunctionSubject):
        yield from detail_function.argument_lines(of, subject.block == INPUTS, start, count, cancel)


def path(subject: PathSubject, cancel: Cancel) -> Detail:
    """The shortest way between two nodes, node by node with what flows from each to the next."""
    graph, owner = subject.graph, subject.meta_graph
    graph.load(cancel)
    ends = [subject.first, subject.second]
    names = [text.label(graph.names[position]) for position in ends]
    nodes = [NodeSubject(owner, graph, subject.function, position) for position in ends]
    lines = [Line("from", names[0], nodes[0]), Line("to", names[1], nodes[1])]
    title = f"{names[0]} … {names[1]}"
    found = shortest_path(graph, subject.first, subject.second, cancel)
    if found is None:
        lines.append(Line("", "Neither leads to the other: there is no way along edges in either direction."))
        return Detail(title, "Path", (Block("", tuple(lines)),))
    way, forward = found
    if not forward:
        lines.append(Line("", "The way leads from the second to the first: only that is one along edges."))
    lines.append(Line("edges", f"{len(way) - 1:,}"))
    return Detail(title, "Path", (Block("", tuple(lines)), Block("way", tuple(_way_lines(subject, way)))))


def _way_lines(subject: PathSubject, way: list[int]) -> Iterator[Line]:
    graph = subject.graph
    for number, position in enumerate(way[:_MAX_WAY]):
        value = f"{text.label(graph.names[position])}  {text.label(graph.ops[position])}"
        if number + 1 < len(way):
            value += f"  {_carried(subject, position, way[number + 1])}"
        yield Line(str(number), value, NodeSubject(subject.meta_graph, graph, subject.function, position))
    if len(way) > _MAX_WAY:
        yield Line("", f"… {len(way) - _MAX_WAY:,} more")


def _carried(subject: PathSubject, producer: int, consumer: int) -> str:
    """What flows along an edge of the way; a tensor rather than control."""
    graph = subject.graph
    wanted = graph.names[producer]
    for name in graph.node_or_blank(consumer).inputs:
        if split_input(name)[0] == wanted and not name.startswith("^"):
            tensor = graph.resolve(name).tensor
            return "→ not known" if tensor is None else f"→ {tensor_facts(tensor)}"
    return "→ control"


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {RestSubject: rest, PathSubject: path}
