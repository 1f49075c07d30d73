"""Walking through one model's graphs: marks, the first end of a path, the shapes that were inferred. No widgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    OpSubject,
    PathSubject,
    Subject,
    TensorInfoSubject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.errors import Cancelled, ModelError
from tfexplore.formats.graph_def import split_input
from tfexplore.runtime.records import Event, Progress
from tfexplore.tui.marks import Marks

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.tui.predict import Ask, Predict

# Graphs whose inferred shapes are kept, and shapes of all of them together.
_MAX_GRAPHS = 32
_MAX_SHAPES = 400_000
NOT_STORED = "not stored"


class Walk:
    """What one remembers while walking through a model.

    Attributes:
        marks: places to go back to.
        first: where a path begins; None where none was begun.
    """

    def __init__(self) -> None:
        self.marks = Marks()
        self.first: NodeSubject | None = None
        self._asking: asyncio.Task[bool] | None = None
        self._cancelled = False
        self._inferred: list[Graph] = []  # least recently asked for first

    # -- paths --

    def path_end(self, subject: Subject | None) -> tuple[PathSubject | None, str]:
        """Takes an end of a path: the path once there are two, and a sentence for the person.

        Raises:
            ModelError: the graph cannot be read.
        """
        end = node_of(subject)
        if end is None:
            return None, "A path leads from node to node: go to one."
        first, name = self.first, _name(end)
        if first is None or first == end:
            self.first = end
            return None, f"The path begins at {name}. On another node the same key shows the way."
        if first.graph is not end.graph:
            self.first = end
            return None, f"{_name(first)} lies in another graph, which no edge leaves. The path begins at {name} now."
        self.first = None
        return PathSubject(end.meta_graph, end.graph, end.function, first.position, end.position), ""

    # -- shapes --

    async def infer(self, predict: Predict, subject: Subject, ask: Ask, say: Callable[[str], None]) -> str:
        """Lets the runtime infer the shapes of a subject's graph; a sentence where it did not.

        Args:
            ask: shows a sentence about what makes the model risky, and tells whether the person trusts it.
            say: told in a few words what is going on, empty when nothing is.

        Raises:
            Cancelled: it was cancelled.
            TfexploreError: they cannot be inferred.
        """
        place = graph_of(subject)
        if place is None:
            return "Shapes are inferred of a graph: go to a node or a function."
        if self._asking is not None:
            return "Shapes are being inferred: Escape cancels that."
        meta_graph, graph, function = place

        def happened(event: Event) -> None:
            if isinstance(event, Progress):
                say(f"shapes: {text.visible(event.what)} (Escape cancels)")

        async def run() -> bool:
            runner = await predict.lend(meta_graph, ask)
            if runner is None:
                return False
            self._keep(graph, await runner.infer_shapes(function, happened))
            return True

        say("shapes: asking the runtime (Escape cancels)")
        self._cancelled = False
        self._asking = asyncio.get_running_loop().create_task(run())
        try:
            done = await self._asking
        except asyncio.CancelledError:
            if self._cancelled:
                raise Cancelled from None
            raise
        finally:
            self._asking = None
            say("")
        return "" if done else "The model is not trusted, so the runtime was not asked."

    def cancel(self) -> bool:
        """Cancels asking the runtime; tells whether it was being asked."""
        if self._asking is None:
            return False
        self._cancelled = True
        self._asking.cancel()
        return True

    def _keep(self, graph: Graph, shapes: dict[str, tuple[tuple[int | None, ...] | None, ...]]) -> None:
        graph.inferred = shapes
        self._inferred = [one for one in self._inferred if one is not graph]
        self._inferred.append(graph)
        while len(self._inferred) > 1 and (
            len(self._inferred) > _MAX_GRAPHS or sum(len(one.inferred) for one in self._inferred) > _MAX_SHAPES
        ):
            self._inferred.pop(0).inferred = {}


def node_of(subject: Subject | None) -> NodeSubject | None:
    """The node that a subject is or stands for; None where there is none.

    Raises:
        ModelError: the graph cannot be read.
    """
    if isinstance(subject, NodeSubject):
        return subject
    if isinstance(subject, TensorSubject):
        return NodeSubject(subject.meta_graph, subject.graph, subject.function, subject.position)
    name = None
    if isinstance(subject, TensorInfoSubject):
        name = split_input(subject.info.tensor)[0] if subject.info.tensor is not None else None
    elif isinstance(subject, VariableSubject):
        name = subject.meta_graph.node_of(subject.variable)
    if name is None or not isinstance(subject, TensorInfoSubject | VariableSubject):
        return None
    graph = subject.meta_graph.graph
    position = graph.find(name)
    return None if position is None else NodeSubject(subject.meta_graph, graph, None, position)


def graph_of(subject: Subject | None) -> tuple[MetaGraph, Graph, str | None] | None:
    """The graph that a subject lies in or is, and the function whose body it is; None where there is none."""
    if isinstance(subject, NodeSubject | TensorSubject | OpSubject | PathSubject):
        return subject.meta_graph, subject.graph, subject.function
    if isinstance(subject, FunctionSubject | ArgumentSubject):
        name = subject.name if isinstance(subject, FunctionSubject) else subject.function
        try:
            function = subject.meta_graph.functions.get(name)
        except ModelError:
            return None
        return None if function is None else (subject.meta_graph, function.graph, name)
    return None


def _name(node: NodeSubject) -> str:
    return text.shorten(text.label(node.graph.names[node.position]), 40)
