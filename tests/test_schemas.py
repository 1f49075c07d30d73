"""The shipped descriptors are the compiled schemas, and the schemas and the op table agree with TensorFlow."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import REPOSITORY
from tfexplore.formats.proto import full, lean

FOLDER = REPOSITORY / "src" / "tfexplore" / "formats" / "proto"
TABLE = REPOSITORY / "src" / "tfexplore" / "core" / "op_table.bin"

# Ours alone: views of TensorFlow's messages that have no message of their own there.
SYNTHETIC = {
    "Entry",  # an entry of any map
    "NodeHead",
    "FunctionHead",
    "ArgAttrEntry",
    "ArgAttrs",
    "CollectionDef.BytesList",
    "NodeEdges",
}
# A view, and what it is a view of: its fields have the names of that message's.
VIEWS = {
    "NodeHead": "NodeDef",
    "NodeEdges": "NodeDef",
    "FunctionHead": "FunctionDef",
    "ArgAttrs": "FunctionDef.ArgAttrs",
}
# Names that lie elsewhere at TensorFlow.
ELSEWHERE = {
    "MetaInfoDef": "MetaGraphDef.MetaInfoDef",
    "ObjectReference": "TrackableObjectGraph.TrackableObject.ObjectReference",
    "SlotVariableReference": "TrackableObjectGraph.TrackableObject.SlotVariableReference",
    "KerasSavedObject": "keras SavedObject",
    "SavedMetadata": "keras SavedMetadata",
}
MODULES = [
    "core.example.example_pb2",
    "core.example.feature_pb2",
    "core.framework.tensor_shape_pb2",
    "core.framework.tensor_pb2",
    "core.framework.attr_value_pb2",
    "core.framework.op_def_pb2",
    "core.framework.versions_pb2",
    "core.framework.node_def_pb2",
    "core.framework.function_pb2",
    "core.framework.graph_pb2",
    "core.framework.variable_pb2",
    "core.framework.tensor_slice_pb2",
    "core.framework.types_pb2",
    "core.util.saved_tensor_slice_pb2",
    "core.framework.full_type_pb2",
    "core.framework.graph_debug_info_pb2",
    "core.framework.resource_handle_pb2",
    "core.protobuf.meta_graph_pb2",
    "core.protobuf.saver_pb2",
    "core.protobuf.saved_model_pb2",
    "core.protobuf.trackable_object_graph_pb2",
    "core.protobuf.saved_object_graph_pb2",
    "core.protobuf.struct_pb2",
    "core.protobuf.tensor_bundle_pb2",
    "core.protobuf.fingerprint_pb2",
    "python.training.checkpoint_state_pb2",
]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.proto")), ids=lambda path: path.stem)
def test_the_shipped_descriptors_are_the_compiled_schemas(source: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    assert script("make_schemas").compile_schema(source) == source.with_suffix(".desc").read_bytes()


def test_there_is_a_schema_for_each_descriptor_and_the_other_way_round() -> None:
    names = sorted(path.stem for path in FOLDER.glob("*.proto"))
    assert names == sorted(path.stem for path in FOLDER.glob("*.desc")) == ["full", "lean"]


def test_the_op_table_is_tensorflows(tf: Any) -> None:
    if not tf.__version__.startswith("2.21."):
        pytest.skip(f"the table is made with TensorFlow 2.21, this is {tf.__version__}")
    ours = lean("OpList").FromString(zlib.decompress(TABLE.read_bytes()))
    made = lean("OpList").FromString(zlib.decompress(script("make_op_table").op_table()))
    assert [op.name for op in ours.op] == [op.name for op in made.op]
    assert [op.name for op, other in zip(ours.op, made.op, strict=True) if op != other] == []
    assert len(ours.op) > 1_000


def messages(file: Any) -> Iterator[Any]:
    """Every message of a file, those inside others too."""
    waiting = list(file.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        yield message
        waiting += message.nested_types


def short_name(message: Any) -> str:
    """The name without the package."""
    name = str(message.full_name)
    return name.removeprefix(message.file.package).lstrip(".")


def tensorflow_messages() -> dict[str, Any]:
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"tensorflow.{name}")
        found.update({short_name(message): message for message in messages(module.DESCRIPTOR)})
    # Keras has a SavedObject of its own.
    keras = importlib.import_module("tensorflow.python.keras.protobuf.saved_metadata_pb2")
    found.update({f"keras {short_name(message)}": message for message in messages(keras.DESCRIPTOR)})
    any_pb2 = importlib.import_module("google.protobuf.any_pb2")
    found["Any"] = any_pb2.DESCRIPTOR.message_types_by_name["Any"]
    return found


def repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def wire_type(field: Any) -> str:
    """How a field is written: `varint`, `32`, `64` or `bytes`."""
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_MESSAGE):
        return "bytes"
    if field.type in (field.TYPE_DOUBLE, field.TYPE_FIXED64, field.TYPE_SFIXED64):
        return "64"
    if field.type in (field.TYPE_FLOAT, field.TYPE_FIXED32, field.TYPE_SFIXED32):
        return "32"
    return "zigzag" if field.type in (field.TYPE_SINT32, field.TYPE_SINT64) else "varint"


def differences(ours: Any, theirs: Any) -> Iterator[str]:
    """Fields of ours that TensorFlow does not have under that number and name, or writes in another way."""
    for field in ours.fields:
        where = f"{short_name(ours)}.{field.name} = {field.number}"
        twin = theirs.fields_by_number.get(field.number)
        if twin is None:
            yield f"{where}: TensorFlow has no such number"
        elif twin.name != field.name:
            yield f"{where}: TensorFlow calls it {twin.name}"
        elif wire_type(twin) != wire_type(field):
            yield f"{where}: {wire_type(field)}, TensorFlow writes {wire_type(twin)}"
        elif repeated(twin) != repeated(field):
            yield f"{where}: repeated on one side only"


@pytest.mark.parametrize(("make", "any_message"), [(lean, "NodeDef"), (full, None)], ids=["lean", "full"])
def test_fields_have_tensorflows_numbers_and_names(tf: Any, make: Any, any_message: str | None) -> None:
    if any_message is None:
        from google.protobuf import descriptor_pb2

        schema = descriptor_pb2.FileDescriptorSet.FromString((FOLDER / "full.desc").read_bytes())
        any_message = schema.file[0].message_type[0].name
    theirs = tensorflow_messages()
    compared, alone, found = 0, set(), []
    for message in messages(make(any_message).DESCRIPTOR.file):
        name = short_name(message)
        twin = theirs.get(VIEWS.get(name) or ELSEWHERE.get(name) or name)
        if name in SYNTHETIC:
            alone.add(name)
        if message.GetOptions().map_entry or name in SYNTHETIC - set(VIEWS):
            continue
        if twin is None:
            found.append(f"{name}: TensorFlow has no such message")
            continue
        compared += 1
        found += differences(message, twin)
    assert found == []
    if make is lean:
        assert alone == SYNTHETIC
    assert compared > (40 if make is lean else 80)


def test_full_has_every_field_and_enum_value_of_tensorflow_and_no_name_that_must_be_utf8(tf: Any) -> None:
    theirs = tensorflow_messages()
    text_messages = [full("SavedModel"), full("CheckpointState")]
    found: list[str] = []
    enums = {}
    for message in messages(text_messages[0].DESCRIPTOR.file):
        name = short_name(message)
        twin = theirs[ELSEWHERE.get(name, name)]
        found += [f"{name}.{field.name}" for field in twin.fields if field.name not in message.fields_by_name]
        for field in message.fields:
            other = twin.fields_by_name[field.name]
            if field.type == field.TYPE_STRING and name != "CheckpointState":
                found.append(f"{name}.{field.name} is a string")
            if field.type == field.TYPE_ENUM:
                enums[field.enum_type.name] = (field.enum_type, other.enum_type)
            elif other.type not in (field.type, field.TYPE_STRING):
                found.append(f"{name}.{field.name} has another type")
            if (field.containing_oneof and field.containing_oneof.name) != (
                other.containing_oneof and other.containing_oneof.name
            ):
                found.append(f"{name}.{field.name} is in another oneof")
            if field.type == field.TYPE_MESSAGE:
                held, expected = short_name(field.message_type), short_name(other.message_type)
                if ELSEWHERE.get(held, held) != expected:
                    found.append(f"{name}.{field.name} holds {held} and not {expected}")
    assert found == []
    assert len(enums) == 7
    for ours, expected in enums.values():
        assert [(value.name, value.number) for value in ours.values] == [
            (value.name, value.number) for value in expected.values
        ]


def test_what_is_read_as_map_entries_is_a_map_at_tensorflow(tf: Any) -> None:
    theirs = tensorflow_messages()
    checked = 0
    for message in messages(lean("NodeDef").DESCRIPTOR.file):
        name = short_name(message)
        twin = theirs.get(VIEWS.get(name) or ELSEWHERE.get(name) or name)
        for field in message.fields:
            if twin is None or field.type != field.TYPE_MESSAGE or short_name(field.message_type) != "Entry":
                continue
            entry = twin.fields_by_number[field.number].message_type
            assert entry.GetOptions().map_entry, f"{name}.{field.name}"
            assert entry.fields_by_name["key"].number == 1
            assert entry.fields_by_name["key"].type == field.TYPE_STRING
            assert wire_type(entry.fields_by_name["value"]) == "bytes"
            checked += 1
    assert checked > 10


def test_threads_that_ask_first_get_one_schema() -> None:
    """In a fresh process, or the schema is there already: messages of two pools do not fit into each other."""
    code = """
import sys, threading
from tfexplore.formats import proto
sys.setswitchinterval(1e-6)
found, barrier = [], threading.Barrier(8)
def ask():
    barrier.wait()
    found.append(proto.lean("AttrValue")(shape=proto.lean("TensorShapeProto")()))
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(len(found) != 8 or len({type(message) for message in found}) != 1)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_what_is_read_as_entries_of_debug_info_is_a_map_at_tensorflow(tf: Any) -> None:
    ours, theirs = lean("GraphDebugInfo").DESCRIPTOR, tensorflow_messages()["GraphDebugInfo"]
    checked = 0
    for field in ours.fields:
        twin = theirs.fields_by_number[field.number]
        if field.type != field.TYPE_MESSAGE:
            continue
        assert twin.message_type.GetOptions().map_entry
        assert twin.message_type.name == field.message_type.name
        for name in ("key", "value"):
            one, other = field.message_type.fields_by_name[name], twin.message_type.fields_by_name[name]
            assert (one.number, wire_type(one)) == (other.number, wire_type(other))
        checked += 1
    assert checked == 4
