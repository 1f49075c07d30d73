"""What TensorFlow's own parse of saved_model.pb says: tags, signatures, objects, captures, assets."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from oracle.sheet import Sheet, Tally
from tfexplore.core import sections
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import Model
from tfexplore.core.objects import ObjectGraph


def compare_meta_graph(sheet: Sheet, model: Model, ours: MetaGraph, theirs: Any, path: str, tf: Any) -> None:
    """All of a MetaGraph but its graphs and variables.

    Args:
        theirs: the MetaGraphDef as TensorFlow parsed it.
        path: the SavedModel's folder.
    """
    compare_messages(sheet, model, ours, theirs, tf)
    _compare_assets(sheet["assets"], ours, theirs, path)


def compare_messages(sheet: Sheet, model: Model, ours: MetaGraph, theirs: Any, tf: Any) -> None:
    """What of that a lone file tells, too: all but the assets."""
    info = theirs.meta_info_def
    sheet["tags"].same("tags", list(ours.tags), list(info.tags))
    sheet["tags"].same("TensorFlow's version", ours.tensorflow_version, info.tensorflow_version)
    sheet["tags"].same_mapping("alias of function", ours.function_aliases, dict(info.function_aliases))
    _compare_signatures(sheet["signatures"], model, ours, theirs, tf)
    _compare_objects(sheet["objects"], ours.objects, theirs)


def rows(model: Model, ours: MetaGraph, name: str, function: str | None = None) -> list[dict[str, Any]]:
    """The rows that `show` prints of a section."""
    return list(sections.section(model, name, sections.Options(tag_set=ours.tags, function=function)))


def shape_of(message: Any) -> list[int | None] | None:
    """A TensorShapeProto of TensorFlow's, as the rows have shapes."""
    return None if message.unknown_rank else [None if dim.size == -1 else dim.size for dim in message.dim]


# -- signatures --


def _parts(info: Any) -> list[str]:
    """The tensors of a composite TensorInfo, in order."""
    if info.WhichOneof("encoding") == "composite_tensor":
        return [name for part in info.composite_tensor.components for name in _parts(part)]
    return [info.name]


def _info_row(name: str, info: Any, tf: Any) -> dict[str, Any]:
    encoding = info.WhichOneof("encoding")
    row = {
        "name": name,
        "tensor": None if encoding in ("coo_sparse", "composite_tensor") else info.name,
        # A composite one has no dtype of its own where the writer gave none.
        "dtype": tf.dtypes.as_dtype(info.dtype).name if info.dtype else "invalid",
        "shape": shape_of(info.tensor_shape),
    }
    if encoding == "coo_sparse":
        coo = info.coo_sparse
        row["sparse"] = {
            "values": coo.values_tensor_name,
            "indices": coo.indices_tensor_name,
            "dense_shape": coo.dense_shape_tensor_name,
        }
    if encoding == "composite_tensor":
        row["components"] = _parts(info)
    return row


def _compare_signatures(tally: Tally, model: Model, ours: MetaGraph, theirs: Any, tf: Any) -> None:
    from tensorflow.core.framework import tensor_pb2

    found = {row["name"]: row for row in rows(model, ours, "signatures")}
    tally.same("names of signatures", sorted(found), sorted(theirs.signature_def))
    tally.same("signatures are listed once", len(found), len(ours.signatures))
    raw_defaults = {signature.name: signature.defaults for signature in ours.signatures}
    for name, signature in theirs.signature_def.items():
        row = found.get(name)
        if row is None:
            continue
        where = f"signature {name!r}"
        tally.same(f"method of {where}", row["method_name"], signature.method_name)
        for side in ("inputs", "outputs"):
            tally.same_mapping(
                f"{side} of {where}",
                {info["name"]: info for info in row[side]},
                {key: _info_row(key, info, tf) for key, info in getattr(signature, side).items()},
            )
        tally.same_mapping(
            f"defaults of {where}",
            {key: tensor_pb2.TensorProto.FromString(raw) for key, raw in raw_defaults[name].items()},
            dict(signature.defaults),
        )


# -- objects --


def _compare_objects(tally: Tally, ours: ObjectGraph | None, theirs: Any) -> None:
    if not theirs.HasField("object_graph_def"):
        tally.same("object graph", ours, None)
        return
    graph = theirs.object_graph_def
    if not tally.holds("object graph", ours is not None, "we have none") or ours is None:
        return
    tally.same("objects", len(ours), len(graph.nodes))
    for node_id, message in enumerate(graph.nodes):
        if node_id >= len(ours):
            break
        found = ours.object(node_id)
        where = f"object {node_id}"
        tally.same(f"kind of {where}", found.kind, message.WhichOneof("kind") or "none")
        tally.same(
            f"children of {where}", list(found.children), [(part.local_name, part.node_id) for part in message.children]
        )
        tally.same(
            f"slots of {where}",
            [(slot.name, slot.original, slot.slot) for slot in found.slots],
            [
                (slot.slot_name, slot.original_variable_node_id, slot.slot_variable_node_id)
                for slot in message.slot_variables
            ],
        )
    paths = _paths(graph)
    tally.same("reached objects", sorted(ours.walk), sorted(paths))
    for node_id in range(len(graph.nodes)):
        tally.same(f"path of object {node_id}", ours.path(node_id), paths.get(node_id))
    tally.same_mapping(
        "captures of function",
        ours.concrete_functions,
        {name: tuple(function.bound_inputs) for name, function in graph.concrete_functions.items()},
    )


def _paths(graph: Any) -> dict[int, str]:
    """The first shortest way from the root to each object."""
    found = {0: "root"} if graph.nodes else {}
    queue = deque(found)
    while queue:
        node_id = queue.popleft()
        for child in graph.nodes[node_id].children:
            if child.node_id not in found:
                found[child.node_id] = f"{found[node_id]}.{child.local_name}" if node_id else child.local_name
                queue.append(child.node_id)
    return found


# -- assets --


def _compare_assets(tally: Tally, ours: MetaGraph, theirs: Any, path: str) -> None:
    from tensorflow.python.saved_model import loader_impl

    tensors = loader_impl.get_asset_tensors(path, theirs)
    found = {asset.tensor or "": os.fsencode(asset.path or "") for asset in ours.assets}
    tally.same_mapping("file of asset tensor", found, tensors)
    tally.same("assets are listed once", len(ours.assets), len(found))
    for asset in ours.assets:
        file = tensors.get(asset.tensor or "", b"")
        size = os.stat(file).st_size if os.path.isfile(file) else None
        tally.same(f"size of asset {asset.name!r}", asset.nbytes, size)
