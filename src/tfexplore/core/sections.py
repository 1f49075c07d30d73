"""The sections of `show`: rows of plain data, made one by one from the model's indexes.

Each row has the field names that the JSON output keeps for good. Names are `str` that hold
the stored bytes (see `text.decode`); shapes are lists with None, or None for an unknown rank.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.checkpoint import OBJECT_GRAPH_KEY, Checkpoint
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.natural import natural_key
from tfexplore.core.objects import VARIABLE_VALUE
from tfexplore.core.shapes import Shape
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.core.summary import summary, timestamp
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.feature_ops import Feature
    from tfexplore.core.feature_spec import InputSpec
    from tfexplore.core.files import File
    from tfexplore.core.graph import Graph, Tensor

Row = dict[str, Any]


class Options(NamedTuple):
    """What narrows a section.

    Attributes:
        tag_set: which MetaGraph; None for the `serve` one, else the first.
        function: a FunctionDef's name in place of the main graph (nodes, ops, tensors).
        match: only rows whose name this finds.
        attrs: nodes with their attributes.
    """

    tag_set: tuple[str, ...] | None = None
    function: str | None = None
    match: re.Pattern[str] | None = None
    attrs: bool = False
    cancel: threading.Event | None = None


class Section:
    """A section: references in order, and how to make one into a row. Counting needs no rows."""

    def __init__(self, refs: Iterable[Any], row: Callable[[Any], Row]) -> None:
        self.refs = refs
        self.row = row

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, self.refs)


def shape_list(shape: Shape) -> list[int | None] | None:
    """A shape as JSON has it."""
    return None if shape is None else list(shape)


def section(model: Model, name: str, options: Options | None = None) -> Section:
    """A section of a model by name.

    Raises:
        UsageError: there is no such section, tag-set or function.
        ModelError: what the section needs cannot be read.
    """
    options = options or Options()
    if model.kind == COLLECTION:
        return _found(model, name)
    if name == "summary":
        return Section([None], lambda _: summary(model, options.tag_set, cancel=options.cancel))
    if name == "keys":
        return _keys(model.checkpoint, options) if model.checkpoint is not None else Section([], dict)
    if name == "checkpoints":
        return _checkpoints(model)
    if name == "objects":
        return _objects(model, options)
    if name == "files":
        return _files(model, options)
    if name == "variables" and not model.meta_graphs:
        return _checkpoint_variables(model.checkpoint, options) if model.checkpoint is not None else Section([], dict)
    build = _OF_META_GRAPH.get(name)
    if build is None:
        raise UsageError(f"there is no section {text.visible(name)!r}; choose from: {', '.join(SECTIONS)}")
    return build(model.meta_graph(options.tag_set), options)


def _found(model: Model, name: str) -> Section:
    """The models of a folder, as its summary; of other sections it has none."""
    if name != "summary":
        from tfexplore.core.collection import several

        raise UsageError(several(model))
    return Section(
        model.found,
        lambda found: {
            "path": found.path,
            "kind": found.kind,
            "version": found.version,
            "bytes": found.nbytes,
            "modified": timestamp(found.modified),
        },
    )


def _named(items: Iterable[Any], options: Options, name: Callable[[Any], str]) -> Iterable[Any]:
    if options.match is None:
        return items
    search = options.match.search
    return (item for item in items if search(name(item)))


# -- signatures, variables, assets --


def _info(info: TensorInfo) -> Row:
    row: Row = {
        "name": info.name,
        "tensor": info.tensor,
        "dtype": dtypes.name(info.dtype),
        "shape": shape_list(info.shape),
    }
    if info.sparse is not None:
        row["sparse"] = dict(zip(("values", "indices", "dense_shape"), info.sparse, strict=True))
    if info.components is not None:
        row["components"] = list(info.components)
    return row


def _default(raw: bytes, path: str) -> Row:
    from tfexplore.core.attrs import plain_tensor

    return plain_tensor(raw, path)


def _signatures(meta_graph: MetaGraph, options: Options) -> Section:
    def row(signature: Signature) -> Row:
        return {
            "name": signature.name,
            "method_name": signature.method_name,
            "inputs": [_info(info) for info in signature.inputs],
            "outputs": [_info(info) for info in signature.outputs],
            "defaults": {name: _default(raw, meta_graph.path) for name, raw in signature.defaults.items()},
        }

    return Section(_named(meta_graph.signatures, options, lambda signature: signature.name), row)


def _variables(meta_graph: MetaGraph, options: Options) -> Section:
    found = sorted(meta_graph.variables, key=lambda variable: natural_key(variable.name))
    return Section(
        _named(found, options, lambda variable: variable.name),
        lambda variable: {
            "name": variable.name,
            "dtype": dtypes.name(variable.dtype),
            "shape": shape_list(variable.shape),
            "trainable": variable.trainable,
            "used": meta_graph.is_used(variable),
            "key": variable.key,
            "bytes": variable.nbytes,
        },
    )


def _assets(meta_graph: MetaGraph, options: Options) -> Section:
    return Section(
        _named(meta_graph.assets, options, lambda asset: asset.name),
        lambda asset: {"name": asset.name, "tensor": asset.tensor, "bytes": asset.nbytes},
    )


# -- features --


def _features(meta_graph: MetaGraph, options: Options) -> Section:
    from tfexplore.core.feature_spec import default_of, feature_specs

    def row(ref: tuple[InputSpec, Feature | str]) -> Row:
        spec, feature = ref
        owner = {"signature": spec.signature, "input": spec.input}
        if spec.call is not None:
            owner["call"] = spec.call
        if isinstance(feature, str):
            nothing = dict.fromkeys(("feature", "part", "kind", "dtype", "shape", "default", "required"))
            return {**owner, **nothing, "problem": feature}
        return {
            **owner,
            "feature": feature.name,
            "part": feature.part,
            "kind": feature.kind,
            "dtype": dtypes.name(feature.dtype),
            "shape": shape_list(feature.shape),
            "default": default_of(feature),
            "required": feature.required,
        }

    found = feature_specs(meta_graph, options.cancel)
    refs: list[tuple[InputSpec, Feature | str]] = []
    for spec in found:
        refs += [(spec, feature) for feature in spec.features]
        refs += [(spec, problem) for problem in spec.problems]
    return Section(_named(refs, options, lambda ref: ref[1] if isinstance(ref[1], str) else ref[1].name), row)


# -- graphs --


def _graph(meta_graph: MetaGraph, options: Options) -> Graph:
    if options.function is None:
        graph = meta_graph.graph
    else:
        function = meta_graph.functions.get(options.function)
        if function is None:
            raise UsageError(
                f"{meta_graph.path}: there is no function {text.label(options.function)}; "
                "`show PATH functions` lists them"
            )
        graph = function.graph
    graph.load(options.cancel)
    return graph


def _nodes(meta_graph: MetaGraph, options: Options) -> Section:
    from tfexplore.core import attrs as attr_values

    graph = _graph(meta_graph, options)
    names = graph.names

    def row(position: int) -> Row:
        try:
            node = graph.node(position)
        except ModelError as error:
            return {
                "name": names[position],
                "op": graph.ops[position],
                "inputs": [],
                "device": "",
                **({"attrs": {}} if options.attrs else {}),
                "problem": str(error),
            }
        found: Row = {"name": node.name, "op": node.op, "inputs": list(node.inputs), "device": node.device}
        if options.attrs:
            values = ((name, node.attr(name)) for name in sorted(node.raw_attrs))
            found["attrs"] = {
                name: {"problem": "damaged"} if value is None else attr_values.plain(value, path=meta_graph.path)
                for name, value in values
            }
        return found

    return Section(_named(range(len(graph)), options, names.__getitem__), row)


def _ops(meta_graph: MetaGraph, options: Options) -> Section:
    counts = _graph(meta_graph, options).op_counts()
    return Section(_named(counts, options, lambda item: item[0]), lambda item: {"op": item[0], "count": item[1]})


def _tensors(meta_graph: MetaGraph, options: Options) -> Section:
    graph = _graph(meta_graph, options)

    def row(tensor: Tensor) -> Row:
        found: Row = {
            "name": tensor.name,
            "op": tensor.op,
            "dtype": dtypes.name(tensor.dtype),
            "shape": shape_list(tensor.shape),
        }
        if tensor.arg is not None:
            found["arg"] = tensor.arg
        return found

    return Section(_named(graph.iter_tensors(options.cancel), options, lambda tensor: tensor.name), row)


def _functions(meta_graph: MetaGraph, options: Options) -> Section:
    functions = meta_graph.functions

    def row(name: str) -> Row:
        function = functions.get(name)
        assert function is not None

        def arguments(found: Sequence[Any]) -> list[Row]:
            return [
                {"name": argument.name, "dtype": dtypes.name(argument.dtype), "shape": shape_list(argument.shape)}
                for argument in found
            ]

        return {
            "name": name,
            "inputs": arguments(function.inputs),
            "outputs": arguments(function.outputs),
            "nodes": len(function.graph),
            **({"problem": "; ".join(function.damage)} if function.damage else {}),
        }

    return Section(_named(sorted(functions.names, key=natural_key), options, lambda name: name), row)


# -- objects --


def _objects(model: Model, options: Options) -> Section:
    if model.meta_graphs:
        objects = model.meta_graph(options.tag_set).objects
    else:
        objects = model.checkpoint.objects if model.checkpoint is not None else None
    if objects is None:
        return Section([], dict)

    def row(node_id: int) -> Row:
        found = objects.object(node_id)
        slots = [
            {"slot": slot.name, "variable": objects.place(slot.original), "value": objects.place(slot.slot)}
            for slot in found.slots
        ]
        return {"path": objects.place(node_id), "kind": found.kind, "children": len(found.children), "slots": slots}

    return Section(_named(objects.everything, options, objects.place), row)


# -- files --


def _files(model: Model, options: Options) -> Section:
    from tfexplore.core.files import list_files
    from tfexplore.core.tree_files import problem_of

    folder = model.meta_graphs[0].sidecars.folder if model.meta_graphs else None
    if folder is None:
        raise UsageError(f"{model.path}: a {model.kind_name} has no list of files; a SavedModel has")
    sidecars = model.meta_graphs[0].sidecars

    def row(file: File) -> Row:
        problem = problem_of(sidecars, file, options.cancel)
        found: Row = {"name": file.name, "bytes": file.nbytes, "what": file.what}
        return {**found, "problem": problem} if problem else found

    return Section(_named(list_files(folder, options.cancel), options, lambda file: file.name), row)


# -- checkpoints --


_DOUBTFUL = "its entry lies in a block of the index that is damaged: name, dtype, shape and place may be wrong"


def key_row(checkpoint: Checkpoint, key: str) -> Row:
    """The row of one checkpoint key; a damaged entry has a `problem` in place of facts, a doubtful one beside them."""
    try:
        stored = checkpoint.stored(key)
    except ModelError as error:
        nothing = dict.fromkeys(("dtype", "shape", "bytes", "shard", "offset"))
        return {"name": key, **nothing, "problem": str(error)}
    is_sliced = len(stored.parts) != 1 or bool(stored.parts[0][0])
    row: Row = {
        "name": key,
        "dtype": dtypes.name(stored.dtype),
        "shape": list(stored.shape),
        "bytes": stored.nbytes,
        "shard": None if is_sliced else stored.parts[0][1],
        "offset": None if is_sliced else stored.parts[0][2],
    }
    if is_sliced:
        row["slices"] = [
            {"slice": spec, "shard": shard, "offset": offset, "bytes": nbytes}
            for spec, shard, offset, nbytes in stored.parts
        ]
    if checkpoint.is_doubtful(key):
        row["problem"] = _DOUBTFUL
    return row


def _keys(checkpoint: Checkpoint, options: Options) -> Section:
    def names() -> Iterator[str]:
        # By batches: names that are written need not be kept.
        for batch in checkpoint.iter_batches(options.cancel):
            yield from batch.keys

    found = checkpoint.keys if checkpoint.loaded else names()
    return Section(_named(found, options, lambda key: key), lambda key: key_row(checkpoint, key))


def _checkpoint_variables(checkpoint: Checkpoint, options: Options) -> Section:
    """The variables of a checkpoint: what objects keep as VARIABLE_VALUE, or every key of one saved by names."""
    try:
        objects = checkpoint.objects
    except ModelError:  # a note says so
        objects = None
    if objects is None:
        named = [(key, key) for key in checkpoint.keys if key != OBJECT_GRAPH_KEY]
    else:
        named = [
            (text.decode(part.full_name) or text.decode(part.checkpoint_key), text.decode(part.checkpoint_key))
            for node_id in range(len(objects))
            for part in objects.message(node_id).attributes
            if text.decode(part.name) == VARIABLE_VALUE
        ]
    named.sort(key=lambda item: natural_key(item[0]))

    def row(item: tuple[str, str]) -> Row:
        facts = key_row(checkpoint, item[1]) if checkpoint.has(item[1]) else {}
        found: Row = {
            "name": item[0],
            "dtype": facts.get("dtype"),
            "shape": facts.get("shape"),
            "trainable": None,
            "used": None,
            "key": item[1] if facts else None,
            "bytes": facts.get("bytes"),
        }
        return {**found, "problem": facts["problem"]} if "problem" in facts else found

    return Section(_named(named, options, lambda item: item[0]), row)


def _checkpoints(model: Model) -> Section:
    if model.meta_graphs:
        raise UsageError(f"{model.path}: a {model.kind_name} has no list of checkpoints; a training directory has")
    return Section(
        model.checkpoints,
        lambda info: {
            "prefix": os.path.basename(info.prefix),
            "step": info.step,
            "saved_at": timestamp(info.saved_at),
            "latest": info.latest,
            "keys": info.keys,
            "bytes": info.nbytes,
            "shards": info.shards,
            "missing_shards": list(info.missing_shards),
            **({"problem": info.problem} if info.problem else {}),
        },
    )


_OF_META_GRAPH: dict[str, Callable[[MetaGraph, Options], Section]] = {
    "signatures": _signatures,
    "features": _features,
    "variables": _variables,
    "nodes": _nodes,
    "ops": _ops,
    "tensors": _tensors,
    "functions": _functions,
    "assets": _assets,
}
SECTIONS = (
    "summary",
    "signatures",
    "features",
    "variables",
    "keys",
    "nodes",
    "ops",
    "tensors",
    "functions",
    "objects",
    "assets",
    "files",
    "checkpoints",
)
