"""The sections of `show`: rows of plain data, made one by one from the model's indexes.

Each row has the field names that the JSON output keeps for good. Names are `str` that hold
the stored bytes (see `text.decode`); shapes are lists with None, or None for an unknown rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.core import sections_stored, text
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.narrowing import Options, Row, Section, narrowed
from tfexplore.core.natural import natural_key
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
    from tfexplore.core.query import Facts
    from tfexplore.core.variables import Variable


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
        return sections_stored.keys(model.checkpoint, options) if model.checkpoint is not None else Section([], dict)
    if name == "checkpoints":
        return sections_stored.checkpoints(model)
    if name == "objects":
        return _objects(model, options)
    if name == "files":
        return _files(model, options)
    if name == "variables" and not model.meta_graphs:
        if model.checkpoint is None:
            return Section([], dict)
        return sections_stored.checkpoint_variables(model.checkpoint, options)
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

    return Section(narrowed(meta_graph.signatures, options, lambda signature: signature.name), row)


def _variables(meta_graph: MetaGraph, options: Options) -> Section:
    def facts(variable: Variable) -> Facts:
        from tfexplore.core.query import Facts, Value

        return Facts(values=lambda: (Value(variable.dtype, variable.shape),))

    found = sorted(meta_graph.variables, key=lambda variable: natural_key(variable.name))
    return Section(
        narrowed(found, options, lambda variable: variable.name, facts, size=lambda variable: variable.nbytes),
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
        narrowed(meta_graph.assets, options, lambda asset: asset.name, size=lambda asset: asset.nbytes),
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
    return Section(narrowed(refs, options, lambda ref: ref[1] if isinstance(ref[1], str) else ref[1].name), row)


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

    def facts(position: int) -> Facts:
        from tfexplore.core.search import node_facts

        return node_facts(graph, position)

    return Section(narrowed(range(len(graph)), options, names.__getitem__, facts), row)


def _ops(meta_graph: MetaGraph, options: Options) -> Section:
    counts = _graph(meta_graph, options).op_counts()
    found = narrowed(counts, options, lambda item: item[0], size=lambda item: item[1])
    return Section(found, lambda item: {"op": item[0], "count": item[1]})


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

    def facts(tensor: Tensor) -> Facts:
        from tfexplore.core.search import tensor_facts

        return tensor_facts(graph, tensor)

    # Sorted as an index, never as a list of tensors.
    found = _sorted_tensors(graph, options) if options.sort else graph.iter_tensors(options.cancel)
    return Section(narrowed(found, options, lambda tensor: tensor.name, facts, sorts=False), row)


def _sorted_tensors(graph: Graph, options: Options) -> Iterator[Tensor]:
    from tfexplore.core import orders

    index = orders.TensorIndex(graph, orders.by_name(graph.names, options.cancel), options.cancel)
    numbers = range(len(index)) if options.sort == orders.NAME else index.by_size(options.cancel)
    return map(index.tensor, numbers)


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

    def size(name: str) -> int:
        function = functions.get(name)
        return 0 if function is None else len(function.graph)

    return Section(narrowed(sorted(functions.names, key=natural_key), options, lambda name: name, size=size), row)


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

    return Section(narrowed(objects.everything, options, objects.place), row)


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

    found = narrowed(list_files(folder, options.cancel), options, lambda file: file.name, size=lambda file: file.nbytes)
    return Section(found, row)


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
