"""Which variable stands behind a node: the join node - object - variable in a TensorFlow 2 export.

A concrete function receives the variables it captured as its last arguments, in the order of
`bound_inputs`. From there they are followed through calls, branches and loops into the functions
below. In the main graph the calls of concrete functions tell which VarHandleOp is which; those that
none of them takes are told by the call that restores them, from the keys that it reads.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.errors import ModelError
from tfexplore.formats.graph_def import Node, called_functions, split_input

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

# op: (attributes that name functions, how many inputs come before the functions' arguments)
CALLS: dict[str, tuple[tuple[str, ...], int]] = {
    "PartitionedCall": (("f",), 0),
    "StatefulPartitionedCall": (("f",), 0),
    "If": (("then_branch", "else_branch"), 1),
    "StatelessIf": (("then_branch", "else_branch"), 1),
    "While": (("cond", "body"), 0),
    "StatelessWhile": (("cond", "body"), 0),
    "Case": (("branches",), 1),
    "StatelessCase": (("branches",), 1),
}
_FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# What may lie between a restored value and its assignment.
_PASSED_ON = ("Identity", "Reshape", "Cast")
_MAX_PASSED_ON = 8


def restored_arguments(graph: Graph) -> dict[str, str]:
    """The checkpoint key that a function's body assigns to each argument: RestoreV2 -> Identity -> AssignVariableOp."""
    found: dict[str, str] = {}
    keys_of: dict[int, list[str]] = {}
    if "RestoreV2" not in graph.ops:
        return found
    for position in graph.nodes_by_op("AssignVariableOp"):
        inputs = graph.node_or_blank(position).inputs
        source = _restored_output(graph, inputs[1]) if len(inputs) > 1 else None
        if source is None:
            continue
        restore, index = source
        if restore not in keys_of:
            keys_of[restore] = _restored_keys(graph, restore)
        if index < len(keys_of[restore]):
            found.setdefault(inputs[0], keys_of[restore][index])
    return found


def _restored_output(graph: Graph, name: str) -> tuple[int, int] | None:
    """The RestoreV2 node behind an input, and which of its outputs."""
    for _ in range(_MAX_PASSED_ON):
        # Not `graph.resolve`: which output it is matters here, not what is known of it.
        node, output, control = split_input(name)
        position = None if control else graph.find(node)
        if position is None:
            return None
        if graph.ops[position] == "RestoreV2":
            index = output.rpartition(":")[2] or "0"
            return (position, int(index)) if index.isdecimal() and len(index) <= 9 else None
        inputs = graph.node_or_blank(position).inputs
        if graph.ops[position] not in _PASSED_ON or not inputs:
            return None
        name = inputs[0]
    return None


def _restored_keys(graph: Graph, restore: int) -> list[str]:
    inputs = graph.node_or_blank(restore).inputs
    return graph.const_strings(inputs[1]) if len(inputs) > 1 else []


class Joins:
    """The join of one MetaGraph; nothing is computed before it is asked for."""

    def __init__(self, meta_graph: MetaGraph) -> None:
        self._meta_graph = meta_graph
        self._restored: dict[str, dict[str, str]] = {}

    @cached_property
    def _variable_ids(self) -> set[int]:
        saved = self._meta_graph.objects
        if saved is None:
            return set()
        return {node_id for node_id in range(len(saved)) if saved.message(node_id).WhichOneof("kind") == "variable"}

    @cached_property
    def main_nodes(self) -> dict[str, int]:
        """Object ids of variables by the name of their node in the main graph.

        What calls bind to their captures comes first, then what the restoring call assigns. Names of
        variables repeat (Keras 3 stores each variable twice): they only tell where nothing restores.
        """
        saved, graph = self._meta_graph.objects, self._meta_graph.graph
        found: dict[str, int] = {}
        if saved is None:
            return found
        restored: dict[str, str] = {}
        for position, op in enumerate(graph.ops):
            if op in CALLS:
                node = graph.node_or_blank(position)
                sources = [name for name in node.inputs if not name.startswith("^")]
                for function in called_functions(node, CALLS[op][0]):
                    bound = saved.concrete_functions.get(function, ())
                    if len(bound) <= len(sources):
                        self._pair(sources[len(sources) - len(bound) :], bound, found)
                    if op in _FUNCTION_CALLS:
                        self._add_restored(function, sources, restored)
        if restored:
            self._add_by_key(restored, found)
        else:
            self._add_by_shared_name(found)
        return found

    def _add_restored(self, name: str, sources: list[str], restored: dict[str, str]) -> None:
        """The keys that a called function restores its inputs from, by the nodes that they are."""
        function = self._meta_graph.functions.get(name)
        if function is None:
            return
        try:
            if name not in self._restored:
                self._restored[name] = restored_arguments(function.graph)
            keys = self._restored[name]
        except ModelError:  # a damaged function tells nothing
            return
        if not keys:
            return
        for argument, source in zip(function.inputs, sources, strict=False):
            if argument.name in keys:
                restored.setdefault(split_input(source)[0], keys[argument.name])

    def _add_by_key(self, restored: dict[str, str], found: dict[str, int]) -> None:
        graph = self._meta_graph.graph
        by_key: dict[str, int] = {}
        for variable in self._meta_graph.variables:
            if variable.key is not None and variable.object_id is not None:
                by_key.setdefault(variable.key, variable.object_id)
        for name, key in restored.items():
            if name not in found and key in by_key:
                position = graph.find(name)
                if position is not None and graph.ops[position] == "VarHandleOp":
                    found[name] = by_key[key]

    def _pair(self, sources: list[str], bound: tuple[int, ...], found: dict[str, int]) -> None:
        graph = self._meta_graph.graph
        for source, node_id in zip(sources, bound, strict=True):
            name = split_input(source)[0]
            if node_id in self._variable_ids and name not in found:
                position = graph.find(name)
                if position is not None and graph.ops[position] == "VarHandleOp":
                    found[name] = node_id

    def _add_by_shared_name(self, found: dict[str, int]) -> None:
        """A VarHandleOp that no call names is told by its shared_name, where only one variable has that name."""
        saved, graph = self._meta_graph.objects, self._meta_graph.graph
        assert saved is not None
        known = set(found.values())
        by_name: dict[str, list[int]] = {}
        for node_id in sorted(self._variable_ids):
            by_name.setdefault(text.decode(saved.message(node_id).variable.name), []).append(node_id)
        for position in graph.nodes_by_op("VarHandleOp"):
            name = graph.names[position]
            if name in found:
                continue
            value = graph.node_or_blank(position).attr("shared_name")
            ids = by_name.get(text.decode(value.s) if value is not None else name, [])
            if len(ids) == 1 and ids[0] not in known:
                found[name] = ids[0]

    @cached_property
    def arguments(self) -> dict[tuple[str, str], frozenset[int]]:
        """Object ids of the variables that may arrive at a function's argument, by (function, argument)."""
        saved, functions = self._meta_graph.objects, self._meta_graph.functions
        found: dict[tuple[str, str], set[int]] = {}
        queue: deque[str] = deque()
        for name, bound in saved.concrete_functions.items() if saved is not None else ():
            function = functions.get(name)
            if function is None or len(bound) > len(function.inputs):
                continue
            for argument, node_id in zip(function.inputs[len(function.inputs) - len(bound) :], bound, strict=True):
                if node_id in self._variable_ids:
                    found.setdefault((name, argument.name), set()).add(node_id)
            queue.append(name)
        calls: dict[str, list[tuple[list[str], list[str]]]] = {}
        while queue:
            name = queue.popleft()
            if name not in calls:
                calls[name] = list(self._calls(name))
            for targets, sources in calls[name]:
                for target in targets:
                    if self._pass_on(name, target, sources, found):
                        queue.append(target)
        return {key: frozenset(ids) for key, ids in found.items()}

    def _calls(self, name: str) -> Any:
        function = self._meta_graph.functions.get(name)
        if function is None:
            return
        graph = function.graph
        for position, op in enumerate(graph.ops):
            if op in CALLS:
                attrs, skipped = CALLS[op]
                node = graph.node_or_blank(position)
                sources = [source for source in node.inputs if not source.startswith("^")]
                yield called_functions(node, attrs), sources[skipped:]

    def _pass_on(self, caller: str, target: str, sources: list[str], found: dict[tuple[str, str], set[int]]) -> bool:
        """Hands the caller's variables to the function it calls; True where that told something new."""
        function = self._meta_graph.functions.get(target)
        if function is None or len(function.inputs) != len(sources):
            return False
        news = False
        for source, argument in zip(sources, function.inputs, strict=True):
            ids = found.get((caller, source))
            if ids:
                known = found.setdefault((target, argument.name), set())
                if not ids <= known:
                    known |= ids
                    news = True
        return news

    def variables_of(self, function: str | None, node: Node) -> frozenset[int]:
        """Object ids of the variables that a node is or takes as an input.

        Args:
            function: the function whose body holds the node; None for the main graph.
        """
        if function is None:
            names = [node.name, *(split_input(name)[0] for name in node.inputs)]
            return frozenset(self.main_nodes[name] for name in names if name in self.main_nodes)
        found: set[int] = set()
        for name in node.inputs:
            found |= self.arguments.get((function, name), frozenset())
        return frozenset(found)
