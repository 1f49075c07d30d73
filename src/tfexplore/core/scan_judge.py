"""Whether one node is a finding: by its op, its attributes and where its path comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tfexplore.core import text
from tfexplore.core.risky_ops import (
    ADDRESSED,
    DESCRIPTORS,
    FILE_STREAM,
    FILLED,
    HIGH,
    MAX_ELEMENTS,
    MEDIUM,
    NAMED,
    NETWORK,
    NOTE,
    OUTSIDE,
    READS,
    SAVER,
    SIZED,
    STOPS,
    WRITES,
    Risk,
)
from tfexplore.core.scan_finding import UNREACHED, Argument
from tfexplore.core.scan_graph import Body
from tfexplore.core.scan_reach import Root
from tfexplore.core.scan_values import ASSET, CONST, INPUT, Origins, Source, is_always_true, iter_strings, leads_out
from tfexplore.core.scan_values import SAVER as SAVERS
from tfexplore.formats.graph_def import Node

# Schemes of paths that stay on the machine.
_LOCAL = ("file", "ram")
_OWN_DESCRIPTORS = ("local://", "bytes://")


class Verdict(NamedTuple):
    """Why a node is a finding."""

    level: str
    kind: str
    what: str
    arguments: tuple[Argument, ...] = ()


class Judge:
    """Judges nodes of one graph and its functions.

    Args:
        body: gives the body of a function, or the main graph for None.
        origins: follows their values back.
    """

    def __init__(self, body: Callable[[str | None], Body | None], origins: Origins) -> None:
        self._body = body
        self._origins = origins

    def risk(self, body: Body, node: Node, risk: Risk, root: Root) -> Verdict | None:
        """What a node of the table does; None where it does nothing beyond the model."""
        inputs = _data(node)
        sources: list[Source] = []
        arguments: list[Argument] = []
        for name, place in risk.inputs:
            found = self._origins.of(body.function, inputs[place]) if place < len(inputs) else ()
            sources.extend(found)
            arguments.append(Argument(name, _literals(found)))
        for name in risk.attrs:
            strings = tuple(iter_strings(node.attr(name)))
            if strings:
                sources.append(Source(CONST, strings))
                arguments.append(Argument(name, strings))
        verdict = Verdict(risk.level, risk.kind, _words(risk, sources), tuple(arguments))
        if risk.rule == FILLED:
            return None if _is_empty(sources) else verdict
        if risk.rule == SAVER:
            return self._of_saver(verdict, sources, root)
        if risk.rule == NAMED:
            return _of_reader(verdict, sources)
        strings = tuple(string for source in sources for string in source.strings)
        if risk.rule == FILE_STREAM:
            return verdict if any(string.startswith("file://") for string in strings) else None
        if risk.rule == DESCRIPTORS:
            return verdict if any(string and not string.startswith(_OWN_DESCRIPTORS) for string in strings) else None
        return _of_debugger(verdict, strings) if risk.rule == ADDRESSED else verdict

    def _of_saver(self, verdict: Verdict, sources: list[Source], root: Root) -> Verdict | None:
        # A function that nobody calls is what an earlier export has left of its saver.
        given = (SAVERS, INPUT) if root.is_saver or root.phase == UNREACHED else (SAVERS,) if root.whole else ()
        if sources and all(source.kind in given for source in sources):
            if root.is_saver or not any(leads_out(part) for source in sources for part in source.strings):
                return None
        return _of_reader(verdict, sources) if verdict.kind == READS else verdict

    def sized(self, body: Body, node: Node) -> Verdict | None:
        """A finding where the node makes a tensor that no memory holds."""
        inputs, place = _data(node), SIZED[node.op]
        elements = self._origins.elements(body.function, inputs[place]) if place < len(inputs) else 1
        if elements <= MAX_ELEMENTS:
            return None
        return Verdict(HIGH, STOPS, f"asks for a tensor of {text.count(elements)} elements, or a multiple of that")

    def never_ends(self, body: Body, node: Node) -> bool:
        """Whether a loop's condition is the constant true."""
        if node.op == "LoopCond":
            return bool(node.inputs) and is_always_true(body, node.inputs[0])
        value = node.attr("cond")
        condition = self._body(text.decode(value.func.name)) if value is not None else None
        return condition is not None and bool(condition.returns) and is_always_true(condition, condition.returns[0])

    def constants(self, body: Body, node: Node) -> list[tuple[str | None, int]]:
        """The Const nodes that a node's first input comes from, as (graph, position)."""
        inputs = _data(node)[:1]
        found = [source.at for name in inputs for source in self._origins.of(body.function, name)]
        return [at for at in found if at is not None]


def _data(node: Node) -> list[str]:
    return [name for name in node.inputs if not name.startswith("^")]


def _literals(sources: Iterable[Source]) -> tuple[str, ...] | None:
    found: list[str] = []
    for source in sources:
        found += (f"assets/{name}" for name in source.strings) if source.kind == ASSET else source.strings
    return tuple(dict.fromkeys(found)) or None


def _is_empty(sources: list[Source]) -> bool:
    return bool(sources) and all(source.kind == CONST and not any(source.strings) for source in sources)


def _words(risk: Risk, sources: list[Source]) -> str:
    """What an op does; of a file with a scheme also that it is reached over the network."""
    does = risk.does
    for source in sources if risk.kind in (READS, WRITES) else ():
        for string in source.strings:
            scheme, found, _ = string.partition("://")
            if found and scheme.isalnum() and scheme not in _LOCAL:
                return f"{does}, over the network"
    return does


def _of_reader(verdict: Verdict, sources: list[Source]) -> Verdict | None:
    """A file that is read: by who names it."""
    if not sources or _is_empty(sources):
        return None if not verdict.arguments or sources else verdict._replace(level=MEDIUM)
    assets = [name for source in sources if source.kind == ASSET for name in source.strings]
    if any(map(leads_out, assets)):
        return verdict._replace(kind=OUTSIDE, what=f"{verdict.what} that an asset's name leads to")
    if any(source.kind in (CONST, SAVERS) and any(source.strings) for source in sources):
        return verdict
    if all(source.kind == ASSET for source in sources):
        return verdict._replace(level=NOTE, what=f"{verdict.what} of the model's own assets")
    by = "that an input names" if all(source.kind == INPUT for source in sources) else "whose name is computed"
    return verdict._replace(level=MEDIUM, what=f"{verdict.what} {by}")


def _of_debugger(verdict: Verdict, addresses: tuple[str, ...]) -> Verdict | None:
    if any(address.startswith("grpc://") for address in addresses):
        return verdict._replace(kind=NETWORK)
    if any(address.startswith("file://") for address in addresses):
        return verdict._replace(kind=WRITES, what="writes tensors to files")
    if any(addresses):
        return verdict._replace(level=MEDIUM, what="hands tensors to a debugger")
    return verdict._replace(level=NOTE, what="hands tensors to a debugger, of which it names none")
