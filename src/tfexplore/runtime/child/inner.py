"""Finds tensors to fetch: of the main graph, or inside a function that a signature calls.

A function's body is copied into the main graph where it is called, outside of loops and branches; what it captured
(variables, tables) are the call's own inputs, so the copy reads the same ones. Tensors are named as in the FunctionDef:
`dense/MatMul:0`, or `dense/MatMul:product:0` as its own edges say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Optional

import tensorflow as tf

from .loading import InSession
from .serve import Refused
from .signatures import parts

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
MAX_DEPTH = 64
PREFIX = "tfexplore_inlined"


def fetched(
    graph: InSession, body: Optional[str], names: Sequence[str], signature: Optional[str]
) -> list[tuple[str, Any]]:
    """The tensors of these names.

    Args:
        body: the FunctionDef they are in; None for the main graph.
        signature: which the function is called from; None for any call of the main graph.

    Raises:
        Refused: there is no such tensor or function, or it is only reached through a loop or branch.
    """
    if body is None:
        return [(name, _main(graph, name)) for name in names]
    library = graph.library
    if not library:
        library.update({one.signature.name: one for one in graph.session.graph.as_graph_def().library.function})
    if body not in library:
        raise Refused("missing_tensor", f"there is no function {body}", tensor=names[0])
    way = _way(graph, library, body, signature)
    if way is None:
        called = "this model" if signature is None else f"the signature {signature}"
        raise Refused("missing_tensor", f"{called} does not call {body} outside of loops and branches", tensor=names[0])
    key = tuple(way)
    if key not in graph.copies:
        graph.copies[key] = _inline(graph, library, way)
    flat, copied = graph.copies[key]
    return [(name, _inside(library[body], flat, copied, name)) for name in names]


def _main(graph: InSession, name: str) -> Any:
    try:
        return graph.session.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError):
        raise Refused("missing_tensor", f"the graph has no tensor {name}", tensor=name) from None


def _way(graph: InSession, library: dict[str, Any], body: str, signature: Optional[str]) -> Optional[list[str]]:
    """The nodes to go through from the main graph into a function: the shortest chain of calls."""
    starts = graph.session.graph.get_operations()
    if signature is not None:
        if signature not in graph.signatures:
            raise Refused("no_signature", f"there is no signature {signature}")
        ends = [_main(graph, name).op for _, name, _ in parts(graph.signatures[signature].outputs)]
        starts = _before(ends)
    waiting: deque[tuple[str, list[str]]] = deque()
    for op in starts:
        if op.type in CALLS and not op.name.startswith(PREFIX):
            waiting.append((op.get_attr("f").name, [op.name]))
        elif op.type in library:
            waiting.append((op.type, [op.name]))
    seen: set[str] = set()
    while waiting:
        name, way = waiting.popleft()
        if name == body:
            return way
        if name in seen or name not in library or len(way) == MAX_DEPTH:
            continue
        seen.add(name)
        for node in library[name].node_def:
            called = _called(node, library)
            if called is not None:
                waiting.append((called, [*way, node.name]))
    return None


def _called(node: Any, library: dict[str, Any]) -> Optional[str]:
    if node.op in CALLS:
        return str(node.attr["f"].func.name)
    return str(node.op) if node.op in library else None


def _before(ends: Sequence[Any]) -> list[Any]:
    """The operations that these depend on, and they themselves."""
    seen, waiting = set(ends), list(ends)
    while waiting:
        op = waiting.pop()
        for other in [tensor.op for tensor in op.inputs] + list(op.control_inputs):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return list(seen)


def _inline(graph: InSession, library: dict[str, Any], way: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Copies the bodies along a chain of calls; what the last one's tensors are called, and which they are."""
    from tensorflow.python.framework import function_def_to_graph

    op = graph.session.graph.get_operation_by_name(way[0])
    inputs = list(op.inputs)
    name = op.get_attr("f").name if op.type in CALLS else op.type
    flat: dict[str, str] = {}
    copied: dict[str, Any] = {}
    for step in [*way[1:], None]:
        definition = library[name]
        copy, flat = function_def_to_graph.function_def_to_graph_def(definition)
        for node in copy.node:
            node.attr.pop("_class", None)  # where it lies; that names nodes of the caller
        arguments = [arg.name for arg in definition.signature.input_arg]
        wanted = [f"{node.name}:{at}" for node in copy.node for at in range(_outputs(node, flat))]
        found = tf.graph_util.import_graph_def(
            copy,
            input_map={f"{argument}:0": tensor for argument, tensor in zip(arguments, inputs)},
            return_elements=wanted,
            name=PREFIX,
        )
        copied = dict(zip(wanted, found))
        copied.update({f"{argument}:0": tensor for argument, tensor in zip(arguments, inputs)})
        if step is not None:
            call = next(node for node in copy.node if node.name == step)
            inputs = [copied[one if ":" in one else f"{one}:0"] for one in call.input if not one.startswith("^")]
            name = _called(call, library) or ""
    return flat, copied


def _outputs(node: Any, flat: dict[str, str]) -> int:
    """How many outputs a node of a copied body has: as many as the names of its tensors tell."""
    return sum(
        1 for one in set(flat.values()) if one.rpartition(":")[0] == node.name and one.rpartition(":")[2].isdigit()
    )


def _inside(definition: Any, flat: dict[str, str], copied: dict[str, Any], name: str) -> Any:
    wanted = flat.get(name) or flat.get(f"{name}:0") or (name if ":" in name else f"{name}:0")
    if wanted not in copied:
        raise Refused("missing_tensor", f"{definition.signature.name} has no tensor {name}", tensor=name)
    return copied[wanted]
