"""What a model could do to the machine that loads or calls it: files, network, other code, the end of the process.

Every node of every graph is looked at, in functions and in graphs that lie in constants; `risky_ops` has the
table and what the levels mean. Nothing of the model is run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tfexplore.core import scan_files, text
from tfexplore.core.risky_ops import (
    CODE,
    HIGH,
    MEDIUM,
    NOT_SCANNED,
    NOTE,
    RISKS,
    STOPS,
    UNREGISTERED,
    highest,
    lowered,
)
from tfexplore.core.scan_finding import UNREACHED, Finding, not_scanned
from tfexplore.core.scan_graph import Body, Call, Marker, Marks, function_body, graphs_in
from tfexplore.core.scan_judge import Judge, Verdict
from tfexplore.core.scan_reach import Reach, Root, roots
from tfexplore.core.scan_values import FUNCTION_CALLS, Origins, leads_out
from tfexplore.errors import Cancelled
from tfexplore.formats.graph_def import Node, split_input
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model

_Cancel = threading.Event | None
Progress = Callable[[int, int], None]

MAX_FINDINGS = 10_000
# So many more are looked at, to tell how bad they are.
_MAX_COUNTED = 1000
_MAX_NESTED, _MAX_NESTED_BYTES = 4, 16 << 20
_KEPT_BODIES = 64
# TensorFlow may put one function in another's place where both have the same of it (implementation_selector.cc).
_ALIKE = "api_implements"


def scan(model: Model, *, cancel: _Cancel = None, progress: Progress | None = None) -> Iterator[Finding]:
    """The findings of all MetaGraphs of a model, and of the files beside them; what runs at load comes first.

    Args:
        cancel: ends the work early.
        progress: told how many nodes were looked at, of how many.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    left: list[str] = []
    for number, finding in enumerate(_scan(model, cancel, progress)):
        if number < MAX_FINDINGS:
            yield finding
        else:
            left.append(finding.level)
            if len(left) >= _MAX_COUNTED:
                break
    if left:
        level = highest(left) or MEDIUM
        at_least = "at least " if len(left) >= _MAX_COUNTED else ""
        yield Finding(level, None, NOT_SCANNED, f"{at_least}{len(left):,} more findings are not listed", UNREACHED, ())


def _scan(model: Model, cancel: _Cancel, progress: Progress | None) -> Iterator[Finding]:
    for sentence in model.unread:
        yield not_scanned(sentence)
    yield from scan_files.findings(model)
    total = sum(len(found.raw_nodes) + found.functions.num_nodes for found in model.meta_graphs)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, max(done, total))

    budget = Budget()
    for meta_graph in model.meta_graphs:
        for sentence in meta_graph.damage:
            if sentence not in model.unread:
                yield not_scanned(sentence, tag_set=meta_graph.tags)
        for finding in GraphScan.of_meta_graph(meta_graph, budget, step, cancel).findings():
            yield finding._replace(tag_set=meta_graph.tags)


class Budget:
    """Bytes of graphs in constants that are still looked at."""

    def __init__(self) -> None:
        self._left = _MAX_NESTED_BYTES

    def take(self, nbytes: int) -> bool:
        """Whether so many bytes may be looked at."""
        if nbytes > self._left:
            return False
        self._left -= nbytes
        return True


class GraphScan:
    """The scan of one graph with its functions: of a MetaGraph, or of a GraphDef that lies in a constant.

    Args:
        main: the main graph.
        functions: serialized FunctionDefs by name.
        entries: where it is entered; the rest is taken for unreached.
        gradients: functions with those that are their gradients.
        meta_graph: what it belongs to; None for one in a constant.
        path: the file, for errors.
    """

    def __init__(
        self,
        main: Body,
        functions: dict[str, bytes],
        entries: Sequence[Root],
        gradients: Sequence[tuple[str, str]],
        meta_graph: MetaGraph | None,
        *,
        path: str,
        budget: Budget,
        step: Callable[[int], None],
        cancel: _Cancel,
        depth: int = 0,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._main = main
        self._functions = functions
        self._entries = entries
        self._gradients = gradients
        self._meta_graph = meta_graph
        self._path = path
        self._budget = budget
        self._step = step
        self._cancel = cancel
        self._depth = depth
        self._prefix = prefix
        self._bodies: OrderedDict[str, Body] = OrderedDict()
        self._ways: dict[str | None, tuple[str, ...]] = {}
        self._seen_graphs: set[tuple[str | None, int]] = set()
        self._foreign: set[tuple[str, str]] = set()

    @classmethod
    def of_meta_graph(
        cls, meta_graph: MetaGraph, budget: Budget, step: Callable[[int], None], cancel: _Cancel
    ) -> GraphScan:
        """The scan of a MetaGraph."""
        functions = {}
        for name in meta_graph.functions.names:
            function = meta_graph.functions.get(name)
            if function is not None:
                functions[name] = function.serialized
        return cls(
            Body(meta_graph.raw_nodes),
            functions,
            list(roots(meta_graph)),
            meta_graph.gradients,
            meta_graph,
            path=meta_graph.path,
            budget=budget,
            step=step,
            cancel=cancel,
        )

    def body(self, function: str | None) -> Body | None:
        """The body of a function; None: the main graph."""
        if function is None:
            return self._main
        found = self._bodies.get(function)
        if found is None:
            raw = self._functions.get(function)
            if raw is None:
                return None
            found = self._bodies[function] = function_body(raw, function, self._path)
            if len(self._bodies) > _KEPT_BODIES:
                self._bodies.popitem(last=False)
        else:
            self._bodies.move_to_end(function)
        return found

    def findings(self) -> Iterator[Finding]:
        """What was found; of the main graph first, then function by function in the order in which they are reached.

        Raises:
            Cancelled: the work was cancelled.
        """
        marker = Marker(self._functions, self._step, self._cancel)
        main_marks = marker.marks(self._main, names=any(entry.targets for entry in self._entries))
        calls: dict[str | None, list[Call]] = {None: main_marks.calls}
        alike: dict[str, list[str]] = {}
        marked: dict[str, Marks] = {}
        for name in self._functions:
            body = self.body(name)
            assert body is not None
            marks = marker.marks(body)
            calls[name] = marks.calls
            for attr, value in body.attrs.items():
                if attr == _ALIKE:
                    alike.setdefault(value, []).append(name)
                elif value in self._functions:
                    calls[name].append(Call(name, -1, attr, value))
            if marks.nodes or marks.sized or marks.graphs or marks.claims or marks.loops or marks.damaged:
                marked[name] = marks
        for function, gradient in self._gradients:
            calls.setdefault(function, []).append(Call(function, -1, "gradient", gradient))
        for names in alike.values():
            for place, name in enumerate(names if len(names) > 1 else ()):
                calls[name].append(Call(name, -1, _ALIKE, names[place - 1]))
        self._reach = Reach(self._main, calls, self._entries, self._cancel)
        self._judge = Judge(self.body, self._origins())
        order: list[tuple[str | None, Marks]] = [(None, main_marks)]
        order += ((name, marked[name]) for name in self._reach.functions if name in marked)
        # Graphs in constants come last: by then it is known which of them a node runs.
        for look in (self._of_nodes, self._of_graphs):
            for graph, found in order:
                held = self.body(graph)
                if held is not None:
                    yield from look(held, found)

    def _origins(self) -> Origins:
        meta_graph = self._meta_graph
        if meta_graph is None:
            return Origins(self.body, self._reach.callers, assets={}, savers=self._savers)
        assets = {
            split_input(asset.tensor)[0]: asset.name
            for asset in meta_graph.assets
            if asset.tensor and not leads_out(asset.name)
        }
        return Origins(
            self.body,
            self._reach.callers,
            assets=assets,
            savers=self._savers,
            objects=meta_graph.objects,
            asset_names=[asset.name for asset in meta_graph.assets],
        )

    def _savers(self) -> set[str]:
        """Nodes that a saver's filename is fed to: that of the SaverDef, and of savers that were there before.

        TensorFlow 1 leaves a scope behind for each: `save/filename` or `save/Const` beside `save/restore_all`.
        """
        found = set()
        if self._meta_graph is not None and self._meta_graph.saver.filename:
            found.add(split_input(self._meta_graph.saver.filename)[0])
        head = lean("NodeHead").FromString
        for raw in self._main.raw_nodes:
            try:
                name = text.decode(head(raw).name)
            except DecodeError:
                continue
            scope, _, last = name.rpartition("/")
            if last in ("restore_all", "restore_shard"):
                found |= {f"{scope}/filename", f"{scope}/Const"}
        return found

    # -- what one graph holds --

    def _of_nodes(self, body: Body, marks: Marks) -> Iterator[Finding]:
        function = body.function
        # Of a MetaGraph's main graph `damage` says it.
        if marks.damaged and (function is not None or self._meta_graph is None):
            where = "a main graph" if function is None else f"function {function}"
            total = text.plural(marks.num_nodes, "node")
            _, way = self._where(function, 0)
            yield not_scanned(f"parts of {marks.damaged:,} of {total} of {where} cannot be read", self._prefix + way)
        for position in marks.nodes:
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled
            node = body.node(position)
            if node is not None:
                yield from self._of_node(body, position, node)
        for position in marks.sized:
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled
            node = body.node(position)
            verdict = self._judge.sized(body, node) if node is not None else None
            if node is not None and verdict is not None:
                yield self._finding(body, position, node, verdict)
        for position in marks.loops:
            node = body.node(position)
            if node is not None and self._judge.never_ends(body, node):
                what = "a loop whose condition is always true: it never ends"
                yield self._finding(body, position, node, Verdict(HIGH, STOPS, what))
        for position, elements in marks.claims:
            node = body.node(position)
            if node is not None:
                what = f"a constant that claims {text.count(elements)} elements"
                yield self._finding(body, position, node, Verdict(HIGH, STOPS, what))

    def _of_graphs(self, body: Body, marks: Marks) -> Iterator[Finding]:
        for position in dict.fromkeys(marks.graphs):
            node = body.node(position)
            if node is not None and (body.function, position) not in self._seen_graphs:
                what = "holds a graph, which nothing here is seen to run"
                yield self._finding(body, position, node, Verdict(NOTE, CODE, what))
                yield from self._nested(body, position, node, Root(UNREACHED, ""))

    def _of_node(self, body: Body, position: int, node: Node) -> Iterator[Finding]:
        root, _ = self._where(body.function, position)
        op = node.op
        risk = RISKS.get(op)
        if risk is None:
            # One is enough: a model with a foreign op has hundreds of them.
            if (op, root.phase) not in self._foreign:
                self._foreign.add((op, root.phase))
                yield self._finding(body, position, node, Verdict(MEDIUM, CODE, UNREGISTERED.does))
            return
        verdict = self._judge.risk(body, node, risk, root)
        if verdict is not None:
            yield self._finding(body, position, node, verdict)
        if op in ("DatasetFromGraph", "ExperimentalDatasetFromGraph"):
            for graph, place in self._judge.constants(body, node):
                holder = self.body(graph)
                held = holder.node(place) if holder is not None else None
                if holder is not None and held is not None and (graph, place) not in self._seen_graphs:
                    yield from self._nested(holder, place, held, root, way=self._path_of(body, position, node))

    def _where(self, function: str | None, position: int) -> tuple[Root, tuple[str, ...]]:
        """From where a node is reached, and the way to its graph."""
        if function is None:
            root = self._reach.root_of(position) if len(self._main.raw_nodes) else Root(UNREACHED, "main graph")
            return root, (root.label,) if root.label else ()
        root = self._reach.functions[function].root
        way = self._ways.get(function)
        if way is None:
            way = self._ways[function] = self._reach.way(function, self._caller_name)
        return root, way

    def _caller_name(self, caller: Call) -> str:
        body = self.body(caller.graph)
        node = body.node(caller.position) if body is not None else None
        if node is None:
            return "node (damaged)"
        if node.op in FUNCTION_CALLS and caller.graph is not None:
            return ""
        return f"node {node.name}" if caller.attr in ("", "f") else f"node {node.name} ({caller.attr})"

    def _path_of(self, body: Body, position: int, node: Node) -> tuple[str, ...]:
        return (*self._prefix, *self._where(body.function, position)[1], f"node {node.name}")

    def _finding(self, body: Body, position: int, node: Node, verdict: Verdict) -> Finding:
        root, _ = self._where(body.function, position)
        return Finding(
            lowered(verdict.level) if root.phase == UNREACHED else verdict.level,
            node.op,
            verdict.kind,
            verdict.what,
            root.phase,
            self._path_of(body, position, node),
            node.name,
            body.function,
            self._depth > 0,
            arguments=verdict.arguments,
        )

    # -- graphs in constants --

    def _nested(
        self, body: Body, position: int, node: Node, root: Root, way: tuple[str, ...] | None = None
    ) -> Iterator[Finding]:
        self._seen_graphs.add((body.function, position))
        path = (*(way or self._path_of(body, position, node)), f"graph in {node.name}")
        for raw in graphs_in(node):
            if self._depth >= _MAX_NESTED or not self._budget.take(len(raw)):
                yield not_scanned("graphs in constants lie too deep, or are too large, to look into all of them", path)
                return
            message = lean("GraphDef").FromString(raw)
            functions: dict[str, bytes] = {}
            damaged = 0
            for serialized in message.library.function:
                try:
                    name = text.decode(lean("FunctionHead").FromString(serialized).signature.name)
                except DecodeError:
                    damaged += 1
                    continue
                functions.setdefault(name, serialized)
            if damaged:
                yield not_scanned(f"{text.plural(damaged, 'function')} of a graph in a constant cannot be read", path)
            entered = () if root.phase == UNREACHED else (Root(root.phase, "", whole=True),)
            inner = GraphScan(
                Body(message.node),
                functions,
                entered,
                (),
                None,
                path=self._path,
                budget=self._budget,
                step=self._step,
                cancel=self._cancel,
                depth=self._depth + 1,
                prefix=path,
            )
            yield from inner.findings()
