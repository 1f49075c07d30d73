"""The summary of a model: what it is, how large, what it takes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Any

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import META_GRAPH, Model
from tfexplore.core.natural import natural_key
from tfexplore.core.objects import VARIABLE_VALUE
from tfexplore.errors import ModelError


def timestamp(seconds: float | None) -> str | None:
    """UTC time as `2024-05-01T12:00:00Z`; None where it is unknown or out of range."""
    if seconds is None:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def summary(
    model: Model,
    tag_set: tuple[str, ...] | None = None,
    *,
    linted: bool = True,
    cancel: threading.Event | None = None,
) -> dict[str, Any]:
    """The facts of `show PATH summary`, with the field names of the JSON output.

    Args:
        tag_set: which MetaGraph; see `Model.meta_graph`.
        linted: whether the notes hold what `lint` finds, which takes time that grows with the graph.
        cancel: ends the linting early.

    Raises:
        UsageError: there is no such tag-set.
        ModelError: a part that the summary needs cannot be read.
        Cancelled: `cancel` was set meanwhile.
    """
    if not model.meta_graphs:
        return _of_checkpoint(model, linted, cancel)
    meta_graph = model.meta_graph(tag_set)
    sizes = [
        (variable.name, *size)
        for variable, size in zip(meta_graph.variables, meta_graph.sizes, strict=True)
        if meta_graph.is_used(variable) is not False
    ]
    return {
        "writer": meta_graph.tensorflow_version or None,
        "tag_sets": [list(found.tags) for found in model.meta_graphs],
        "signatures": len(meta_graph.signatures),
        "variables": len(meta_graph.variables),
        "parameters": sum(size[1] for size in sizes),
        "bytes": sum(size[2] for size in sizes),
        "nodes": len(meta_graph.raw_nodes),
        "functions": len(meta_graph.functions),
        "function_nodes": meta_graph.functions.num_nodes,
        "scopes": _scopes(sizes),
        "notes": [*notes(model, meta_graph), *(_lint(meta_graph, cancel) if linted else ())],
    }


def _lint(meta_graph: MetaGraph, cancel: threading.Event | None) -> list[str]:
    from tfexplore.core.lint import lint

    return lint(meta_graph, cancel)


def notes(model: Model, meta_graph: MetaGraph | None) -> list[str]:
    """Sentences about what is missing, damaged or easily misread."""
    found = damage(model, meta_graph)
    if meta_graph is not None:
        if model.checkpoint is None and not model.notes and meta_graph.variables:
            found.append(without_values(model, meta_graph))
        unused = len(meta_graph.variables) - len(meta_graph.counted_variables)
        if unused:
            found.append(f"{text.plural(unused, 'variable')} of {len(meta_graph.variables):,} used by no function")
    return found


def without_values(model: Model, meta_graph: MetaGraph) -> str:
    """Why there are no values of the variables that a graph has."""
    if meta_graph.is_lone_graph:
        return "a GraphDef keeps no values of its variables: they lie in a checkpoint"
    if model.kind == META_GRAPH:
        name = os.path.splitext(os.path.basename(meta_graph.path))[0]
        return f"no checkpoint lies beside the MetaGraph ({name}.index is missing), so no values can be shown"
    return "variables/variables.index is missing, so no values can be shown"


def damage(model: Model, meta_graph: MetaGraph | None) -> list[str]:
    """Sentences about what cannot be read, or not be believed."""
    found = list(model.notes)
    if meta_graph is not None:
        found.extend(meta_graph.damage)
    if model.checkpoint is not None:
        found.extend(object_graph_notes(model.checkpoint))
    return found


def object_graph_notes(checkpoint: Checkpoint) -> list[str]:
    """What is wrong with the object graph that a checkpoint keeps."""
    try:
        objects = checkpoint.objects
    except ModelError as error:
        return [f"the checkpoint's object graph cannot be read: {error}"]
    found = [] if objects is None else [f"of the checkpoint, {sentence}" for sentence in objects.damaged]
    if objects is not None and checkpoint.objects_checksum == "bad":
        found.append("the checkpoint's object graph does not match its checksum: names and keys may be wrong")
    return found


def _scopes(sizes: Iterable[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """Parameters and bytes by the first part of the name."""
    found: dict[str, list[int]] = {}
    for name, parameters, nbytes in sizes:
        total = found.setdefault(name.partition("/")[0], [0, 0])
        total[0] += parameters
        total[1] += nbytes
    return [
        {"name": name, "parameters": found[name][0], "bytes": found[name][1]} for name in sorted(found, key=natural_key)
    ]


def _of_checkpoint(model: Model, linted: bool, cancel: threading.Event | None) -> dict[str, Any]:
    checkpoint = model.checkpoint
    sizes, damaged = ([], 0) if checkpoint is None else _values(checkpoint, cancel)
    found = notes(model, None)
    if damaged:
        found.append(f"{text.plural(damaged, 'key')} with a damaged entry")
    if linted and checkpoint is not None:
        from tfexplore.core.value_lint import value_notes

        found.extend(value_notes(checkpoint, cancel))
    return {
        "writer": None,
        "tag_sets": [],
        "signatures": 0,
        "variables": len(sizes),
        "parameters": sum(size[1] for size in sizes),
        "bytes": sum(size[2] for size in sizes),
        "nodes": 0,
        "functions": 0,
        "keys": 0 if checkpoint is None else len(checkpoint.keys),
        "step": None if checkpoint is None else checkpoint.step,
        "checkpoints": len(model.checkpoint_files) or 1,
        "scopes": _scopes(sizes),
        "notes": found,
    }


def _values(checkpoint: Checkpoint, cancel: threading.Event | None) -> tuple[list[tuple[str, int, int]], int]:
    """(key, elements, bytes) of each value of a variable, and how many entries are damaged."""
    only: set[str] | None = None
    try:
        objects = checkpoint.objects
    except ModelError:
        objects = None
    if objects is not None:
        only = {
            text.decode(part.checkpoint_key)
            for node_id in range(len(objects))
            for part in objects.message(node_id).attributes
            if text.decode(part.name) == VARIABLE_VALUE
        }
    sizes = []
    damaged = 0
    for batch in checkpoint.iter_batches(cancel):
        for key, head, nbytes in zip(batch.keys, batch.heads, batch.sizes, strict=True):
            if only is not None and key not in only:
                continue
            if head is not None:
                sizes.append((key, head.elements, nbytes))
                continue
            try:
                stored = checkpoint.stored(key)
            except ModelError:
                damaged += 1
                continue
            sizes.append((key, stored.elements or 0, stored.nbytes))
    return sizes, damaged
