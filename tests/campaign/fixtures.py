"""The small models that a campaign damages, and which of their files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core import saved_model_writer as writer
from formats.table_writer import Partition, strings, write_bundle
from formats.v1_writer import write_v1
from tfexplore.formats.fingerprint import fingerprint64
from tfexplore.formats.proto import lean

KEY = b"%s/.ATTRIBUTES/VARIABLE_VALUE"


class Target(NamedTuple):
    """A file that is damaged.

    Attributes:
        write: writes the whole model into a folder.
        file: what is damaged, relative to it.
        opened: what is then opened, relative to it.
        mutations: the kinds of damage.
        values: whether values that count as good must be those of the whole model, where the bytes are damaged as such.
    """

    write: Callable[[Path], None]
    file: str
    opened: str
    mutations: tuple[str, ...]
    values: bool = False


def _message() -> writer.Any:
    kind = writer.attr(type=1)
    handle = {"dtype": kind, "shape": writer.attr(shape=writer.shape([2]))}
    nodes = [
        writer.placeholder(b"x"),
        writer.node(b"v", b"VarHandleOp", **handle),
        writer.node(b"w", b"VarHandleOp", **handle),
        writer.node(b"c", b"Const", dtype=kind, value=writer.attr(tensor=writer.tensor(1, [2], float_val=[1, 2]))),
        writer.node(b"call", b"PartitionedCall", [b"x", b"v", b"w"], f=writer.attr(func=writer.function_name(b"f"))),
        writer.identity(b"y", b"call"),
    ]
    twice = [writer.identity(b"j", b"x"), writer.identity(b"k", b"j:output:0")]
    functions = [
        writer.function(b"f", [b"x", b"v", b"w"], {b"out": b"i:output:0"}, [writer.identity(b"i", b"x")]),
        writer.function(b"g", [b"x"], {b"out": b"k:output:0"}, twice),
    ]
    objects = writer.object_graph(
        [writer.user_object([(b"v", 1), (b"w", 2)]), *(writer.variable_object(name, [2]) for name in (b"v", b"w"))],
        {b"f": writer.concrete_function([1, 2])},
    )
    signatures = {b"serving_default": writer.signature({b"x": writer.info(b"x:0")}, {b"y": writer.info(b"y:0")})}
    return writer.meta_graph(
        nodes=nodes, functions=functions, objects=objects, signatures=signatures, assets=[b"words.txt"]
    )


def write_saved_model(folder: Path) -> None:
    """A SavedModel with variables, functions, objects, a signature and an asset."""
    writer.write_saved_model(folder, _message())
    (folder / "variables").mkdir(exist_ok=True)
    graph = writer.trackable_graph([([(b"v", 1), (b"w", 2)], None), ([], KEY % b"v"), ([], KEY % b"w")])
    write_bundle(
        folder / "variables" / "variables",
        {
            b"_CHECKPOINTABLE_OBJECT_GRAPH": strings(graph).reshape(()),
            KEY % b"v": np.float32([1, 2]),
            KEY % b"w": np.float32([3, 4]),
        },
    )
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "words.txt").write_bytes(b"a\nb\n")


def write_text_saved_model(folder: Path) -> None:
    """A SavedModel in text form: the text graph with tags and a signature."""
    folder.mkdir(parents=True, exist_ok=True)
    info = 'name: "%s:0" dtype: DT_FLOAT tensor_shape { unknown_rank: true }'
    text = f"""saved_model_schema_version: 1
meta_graphs {{
  meta_info_def {{ tags: "serve" tensorflow_version: "2.21.0" }}
  graph_def {{ {GRAPH_TEXT} }}
  signature_def {{
    key: "serving_default"
    value {{
      inputs {{ key: "x" value {{ {info % "x"} }} }}
      outputs {{ key: "y" value {{ {info % "y"} }} }}
      method_name: "tensorflow/serving/predict"
    }}
  }}
}}
"""
    (folder / "saved_model.pbtxt").write_text(text)


def write_sidecars(folder: Path) -> None:
    """A SavedModel with a fingerprint, debug info and Keras metadata."""
    write_saved_model(folder)
    index = folder / "variables" / "variables.index"
    hashed = lean("FingerprintDef")(checkpoint_hash=fingerprint64(str(index)), saved_model_checksum=7, uuid=b"abc")
    (folder / "fingerprint.pb").write_bytes(hashed.SerializeToString())
    debug = lean("GraphDebugInfo")(files=[b"model.py"])
    for name in (b"i@f", b"x@"):
        debug.traces.add(key=name).value.file_line_cols.add(file_index=0, line=3, func=b"call", code=b"return x")
    (folder / "debug").mkdir(exist_ok=True)
    (folder / "debug" / "saved_model_debug_info.pb").write_bytes(debug.SerializeToString())
    keras = lean("SavedMetadata")()
    keras.nodes.add(node_id=0, node_path=b"root", identifier=b"_tf_keras_model", metadata=b'{"class_name": "M"}')
    (folder / "keras_metadata.pb").write_bytes(keras.SerializeToString())


TENSORS = {
    b"b/flags": np.array([True, False]),
    b"f32": np.arange(6, dtype=np.float32).reshape(2, 3),
    b"i64": np.array([-1, 1 << 40]),
    b"p": Partition(np.arange(8.0).reshape(4, 2), [[(0, 3), (0, None)], [(3, 1), (0, None)]]),
    b"text": strings(b"ab", b"", b"c" * 130),
    b"z": np.zeros((), np.float16),
}


def write_checkpoint(folder: Path) -> None:
    """A checkpoint of two shards with a partitioned variable and strings, in several blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / "c", TENSORS, shards=2, block_size=90, restart_interval=4)


def write_snappy_checkpoint(folder: Path) -> None:
    """The same in one block, compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / "c", TENSORS, shards=2, snappy=True)


def write_training_directory(folder: Path) -> None:
    """A `checkpoint` file and the checkpoint that it names."""
    write_checkpoint(folder)
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "c"\nall_model_checkpoint_paths: "c"\nall_model_checkpoint_timestamps: 1.5\n'
    )


def write_v1_checkpoint(folder: Path) -> None:
    """A V1 checkpoint with a sliced tensor, in several blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    write_v1(folder / "c", TENSORS, block_size=90, restart_interval=4)


GRAPH_TEXT = """node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node {
  name: "c"  # a comment
  op: "Const"
  attr { key: "dtype" value { type: DT_STRING } }
  attr { key: "value" value { tensor { dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: "a" string_val: 'b' } } }
}
node { name: "y" op: "Identity" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
library { function { signature { name: "f" } node_def { name: "n" op: "NoOp" } } }
versions { producer: 1882 }
"""  # noqa: E501


def write_text_graph(folder: Path) -> None:
    """A GraphDef in text form."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.pbtxt").write_text(GRAPH_TEXT)


def _graph() -> bytes:
    message = _message().graph_def
    # A GraphDef keeps no values of variables, which is worth a note.
    kept = [node for node in message.node if b"VarHandleOp" not in node and b"call" not in node]
    del message.node[:]
    message.node.extend(kept)
    return bytes(message.SerializeToString())


def write_graph(folder: Path) -> None:
    """A GraphDef in binary form."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.pb").write_bytes(_graph())


def write_packed_graph(folder: Path) -> None:
    """The same packed with gzip."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.pb.gz").write_bytes(gzip.compress(_graph(), mtime=0))


BYTES = ("truncate", "flip", "scramble")
TABLE = (*BYTES, "edit entry", "edit block", "edit handles")
TARGETS: dict[str, Target] = {
    "saved_model.pb": Target(write_saved_model, "saved_model.pb", "", (*BYTES, "edit protobuf")),
    "saved_model.pbtxt": Target(write_text_saved_model, "saved_model.pbtxt", "", (*BYTES, "edit text")),
    "fingerprint.pb": Target(write_sidecars, "fingerprint.pb", "", (*BYTES, "edit protobuf")),
    "debug info": Target(write_sidecars, "debug/saved_model_debug_info.pb", "", (*BYTES, "edit protobuf")),
    "keras_metadata.pb": Target(write_sidecars, "keras_metadata.pb", "", (*BYTES, "edit protobuf")),
    "variables.index": Target(write_saved_model, "variables/variables.index", "", TABLE, True),
    "object graph": Target(write_saved_model, "variables/variables.data-00000-of-00001", "", BYTES, True),
    "index": Target(write_checkpoint, "c.index", "c", TABLE, True),
    "snappy index": Target(write_snappy_checkpoint, "c.index", "c", ("truncate", "flip"), True),
    "data": Target(write_checkpoint, "c.data-00000-of-00002", "c", ("truncate", "flip", "flip bit"), True),
    "V1 checkpoint": Target(write_v1_checkpoint, "c", "c", (*TABLE, "edit protobuf"), True),
    "graph.pb": Target(write_graph, "graph.pb", "graph.pb", (*BYTES, "edit protobuf")),
    "graph.pbtxt": Target(write_text_graph, "graph.pbtxt", "graph.pbtxt", (*BYTES, "edit text")),
    "graph.pb.gz": Target(write_packed_graph, "graph.pb.gz", "graph.pb.gz", ("truncate", "flip")),
    "checkpoint": Target(write_training_directory, "checkpoint", "", (*BYTES, "edit text")),
}
