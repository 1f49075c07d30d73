"""Writes small SavedModels from lean messages, good or bad on purpose, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfexplore.formats.proto import lean

# A NodeDef whose head can be read and whose attribute cannot: field 5 holds a tag without its number.
DAMAGED_ATTR = b"\x2a\x01\x08"
# No protobuf message at all: a length that runs past the end.
DAMAGED = b"\x0a\x7f\x00"


def shape(sizes: Sequence[int | None]) -> Any:
    message = lean("TensorShapeProto")()
    for size in sizes:
        message.dim.add(size=-1 if size is None else size)
    return message


def attr(**value: Any) -> bytes:
    """A serialized AttrValue: `attr(i=3)`, `attr(type=1)`, `attr(s=b"x")`, `attr(shape=shape([2]))`."""
    return bytes(lean("AttrValue")(**value).SerializeToString())


def function_name(name: bytes) -> Any:
    """A NameAttrList, for `attr(func=…)`."""
    return lean("NameAttrList")(name=name)


def node(name: bytes, op: bytes = b"NoOp", inputs: Iterable[bytes] = (), device: bytes = b"", **attrs: bytes) -> bytes:
    """A serialized NodeDef; attributes are serialized AttrValues."""
    message = lean("NodeDef")(name=name, op=op, input=list(inputs), device=device)
    for key, value in attrs.items():
        message.attr.add(key=key.encode(), value=value)
    return bytes(message.SerializeToString())


def placeholder(name: bytes, sizes: Sequence[int | None] = (None, 3)) -> bytes:
    return node(name, b"Placeholder", dtype=attr(type=1), shape=attr(shape=shape(sizes)))


def identity(name: bytes, source: bytes) -> bytes:
    return node(name, b"Identity", [source], T=attr(type=1))


def function(
    name: bytes,
    inputs: Iterable[bytes] = (b"x",),
    outputs: Mapping[bytes, bytes] | None = None,
    nodes: Iterable[bytes] = (),
) -> bytes:
    """A serialized FunctionDef with float32 arguments; `outputs` maps each to the tensor that it returns."""
    message = lean("FunctionDef")(node_def=list(nodes))
    message.signature.name = name
    for argument in inputs:
        message.signature.input_arg.add(name=argument, type=1)
    for argument, source in (outputs or {}).items():
        message.signature.output_arg.add(name=argument, type=1)
        message.ret.add(key=argument, value=source)
    return bytes(message.SerializeToString())


def info(tensor: bytes, dtype: int = 1, sizes: Sequence[int | None] = (None, 3)) -> bytes:
    """A serialized TensorInfo."""
    return bytes(lean("TensorInfo")(name=tensor, dtype=dtype, tensor_shape=shape(sizes)).SerializeToString())


def signature(
    inputs: Mapping[bytes, bytes], outputs: Mapping[bytes, bytes], defaults: Mapping[bytes, bytes] | None = None
) -> bytes:
    """A serialized SignatureDef of serialized TensorInfos, with serialized TensorProtos as defaults."""
    message = lean("SignatureDef")(method_name=b"tensorflow/serving/predict")
    for field, entries in (("inputs", inputs), ("outputs", outputs), ("defaults", defaults or {})):
        for key, value in entries.items():
            getattr(message, field).add(key=key, value=value)
    return bytes(message.SerializeToString())


def tensor(dtype: int, sizes: Sequence[int], **values: Any) -> bytes:
    """A serialized TensorProto."""
    return bytes(lean("TensorProto")(dtype=dtype, tensor_shape=shape(sizes), **values).SerializeToString())


def children(refs: Iterable[tuple[bytes, int]]) -> list[Any]:
    return [lean("ObjectReference")(local_name=name, node_id=node_id) for name, node_id in refs]


def variable_object(name: bytes, sizes: Sequence[int], refs: Iterable[tuple[bytes, int]] = ()) -> Any:
    """A SavedObject that is a trainable float32 variable."""
    message = lean("SavedObject")(children=children(refs))
    message.variable.name = name
    message.variable.dtype = 1
    message.variable.trainable = True
    message.variable.shape.CopyFrom(shape(sizes))
    return message


def user_object(refs: Iterable[tuple[bytes, int]]) -> Any:
    message = lean("SavedObject")(children=children(refs))
    message.user_object.identifier = b"_generic_user_object"
    return message


def object_graph(objects: Iterable[Any], concrete: Mapping[bytes, bytes] | None = None) -> bytes:
    """A serialized SavedObjectGraph; `concrete` are serialized SavedConcreteFunctions by name."""
    message = lean("SavedObjectGraph")(nodes=list(objects))
    for key, value in (concrete or {}).items():
        message.concrete_functions.add(key=key, value=value)
    return bytes(message.SerializeToString())


def concrete_function(bound: Iterable[int]) -> bytes:
    return bytes(lean("SavedConcreteFunction")(bound_inputs=list(bound)).SerializeToString())


def trackable_graph(objects: Iterable[tuple[Iterable[tuple[bytes, int]], bytes | None]]) -> bytes:
    """A serialized TrackableObjectGraph, of (children, key of the object's VARIABLE_VALUE or None)."""
    message = lean("TrackableObjectGraph")()
    for refs, key in objects:
        added = message.nodes.add(children=children(refs))
        if key is not None:
            added.attributes.add(name=b"VARIABLE_VALUE", full_name=key.partition(b"/.ATTR")[0], checkpoint_key=key)
    return bytes(message.SerializeToString())


def meta_graph(
    *,
    tags: Iterable[bytes] = (b"serve",),
    nodes: Iterable[bytes] = (),
    functions: Iterable[bytes] = (),
    signatures: Mapping[bytes, bytes] | None = None,
    objects: bytes = b"",
    assets: Iterable[bytes] = (),
    collections: Mapping[bytes, bytes] | None = None,
) -> Any:
    """A MetaGraphDef."""
    message = lean("MetaGraphDef")(object_graph_def=objects)
    message.meta_info_def.tags.extend(tags)
    message.meta_info_def.tensorflow_version = b"2.21.0"
    message.graph_def.node.extend(nodes)
    message.graph_def.library.function.extend(functions)
    for key, value in (signatures or {}).items():
        message.signature_def.add(key=key, value=value)
    for name in assets:
        message.asset_file_def.add(filename=name)
    for key, value in (collections or {}).items():
        message.collection_def.add(key=key, value=value)
    return message


def write_saved_model(folder: Path, *meta_graphs: Any) -> Path:
    """Writes `saved_model.pb` into `folder`, which it makes and returns."""
    folder.mkdir(parents=True, exist_ok=True)
    message = lean("SavedModel")(saved_model_schema_version=1, meta_graphs=list(meta_graphs))
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder
