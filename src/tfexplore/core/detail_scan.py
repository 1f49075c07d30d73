"""The detail of what a scan found: what it does, when, on which way, with which arguments, and the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import Block, Detail, Line, block, fact
from tfexplore.core.items import Cancel
from tfexplore.core.model import Model
from tfexplore.core.scan_finding import CALL, LOAD, SAVE, UNREACHED, Finding
from tfexplore.core.subjects import FindingSubject, FunctionSubject, NodeSubject, Subject

WHEN = {
    LOAD: "when it is loaded",
    CALL: "when it is called",
    SAVE: "when it is saved",
    UNREACHED: "only where it is fetched by name",
}
LEVELS = {
    "high": "high: it runs only where you say that you trust it (--trust)",
    "medium": "medium: look at it before you run the model for somebody else",
    "note": "note: nothing that models of your own would not do",
}


def node_of(model: Model, finding: Finding) -> NodeSubject | None:
    """The node that a finding is about; None where it is about no node, or no pane leads to it."""
    if finding.node is None or finding.nested:
        return None
    owner = next((one for one in model.meta_graphs if one.tags == finding.tag_set), None)
    if owner is None:
        return None
    graph = owner.graph
    if finding.function is not None:
        function = owner.functions.get(finding.function)
        if function is None:
            return None
        graph = function.graph
    position = graph.find(finding.node)
    return None if position is None else NodeSubject(owner, graph, finding.function, position)


def finding(subject: FindingSubject, cancel: Cancel) -> Detail:
    """One finding of a scan."""
    found, model = subject.finding, subject.model
    lines = [Line("level", LEVELS[found.level]), Line("does", text.visible(found.what))]
    lines.append(Line("class", text.visible(found.kind)))
    if found.node is not None:
        lines.append(Line("when", WHEN[found.phase]))
        lines.append(fact("node", found.node, node_of(model, found)))
    if len(model.meta_graphs) > 1 and found.tag_set:
        lines.append(fact("tag-set", ",".join(found.tag_set)))
    blocks = (
        Block("", tuple(lines)),
        *block("arguments", _arguments(found)),
        *block("the way there", _way(model, found)),
    )
    return Detail(text.label(found.op or found.kind), "Finding", blocks)


def _arguments(found: Finding) -> Iterator[Line]:
    for argument in found.arguments:
        if argument.values is None:
            yield Line(text.visible(argument.name), "(no constant: known only when it runs)")
        for value in argument.values or ():
            yield Line(text.visible(argument.name), f'"{text.visible(value)}"')


def _way(model: Model, found: Finding) -> Iterator[Line]:
    owner = next((one for one in model.meta_graphs if one.tags == found.tag_set), None)
    for step in found.path:
        what, _, name = step.partition(" ")
        leads: Subject | None = None
        if owner is not None and what == "function" and owner.functions.get(name) is not None:
            leads = FunctionSubject(owner, name)
        yield Line("", text.visible(step), leads)


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {FindingSubject: finding}
