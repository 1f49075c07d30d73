"""Small models for the tests of the scan, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.saved_model_writer import (
    attr,
    children,
    function,
    function_name,
    info,
    meta_graph,
    node,
    placeholder,
    signature,
    tensor,
    write_saved_model,
)
from tfexplore import demo
from tfexplore.core.opener import open_model
from tfexplore.core.scan import scan
from tfexplore.core.scan_finding import Finding
from tfexplore.formats.proto import lean

STRING, INT32, BOOL = 7, 3, 10
DEMO = str(Path(demo.__file__).parent / "ranker")


def const(name: bytes, *values: bytes, inputs: Iterable[bytes] = ()) -> bytes:
    """A Const of strings; of one a scalar."""
    sizes = () if len(values) == 1 else (len(values),)
    value = tensor(STRING, sizes, string_val=list(values))
    return node(name, b"Const", inputs, dtype=attr(type=STRING), value=attr(tensor=value))


def number(name: bytes, *values: int) -> bytes:
    sizes = () if len(values) == 1 else (len(values),)
    return node(name, b"Const", dtype=attr(type=INT32), value=attr(tensor=tensor(INT32, sizes, int_val=list(values))))


def func(name: bytes) -> bytes:
    return attr(func=function_name(name))


def call(name: bytes, target: bytes, *inputs: bytes) -> bytes:
    return node(name, b"StatefulPartitionedCall", inputs, f=func(target))


def bodies(*nodes: bytes, name: bytes = b"f", inputs: Iterable[bytes] = (b"x",)) -> bytes:
    return function(name, inputs, {}, nodes)


def serving(target: bytes = b"call:0") -> dict[bytes, bytes]:
    return {b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(target)})}


def found(folder: Path, *graphs: Any) -> list[Finding]:
    with open_model(str(write_saved_model(folder, *graphs))) as model:
        return list(scan(model))


def called(folder: Path, *nodes: bytes) -> list[Finding]:
    """What is found where a signature calls a function of these nodes, which has one argument, `x`."""
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")], functions=[bodies(*nodes)], signatures=serving()
    )
    return found(folder, graph)


def one(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def write(name: bytes = b"w", path: bytes = b"path") -> list[bytes]:
    return [const(b"path", b"/tmp/out"), node(name, b"WriteFile", [path + b":output:0", b"x"])]


def function_object(*names: bytes) -> Any:
    message = lean("SavedObject")()
    message.function.concrete_functions.extend(names)
    return message


def resource(refs: Iterable[tuple[bytes, int]]) -> Any:
    message = lean("SavedObject")(children=children(refs))
    message.resource.SetInParent()
    return message


def saver_functions(prefix: bytes = b"file_prefix") -> list[bytes]:
    save = [
        const(b"part", b"_temp/part"),
        number(b"zero", 0),
        node(b"join", b"StringJoin", [prefix, b"part:output:0"]),
        node(b"sharded", b"ShardedFilename", [b"join:output:0", b"zero:output:0", b"zero:output:0"]),
        node(b"SaveV2", b"SaveV2", [b"sharded:filename:0", b"part:output:0", b"part:output:0"]),
        node(b"pack", b"Pack", [b"sharded:filename:0", b"^SaveV2"]),
        node(b"merge", b"MergeV2Checkpoints", [b"pack:output:0", prefix]),
    ]
    restore = [node(b"RestoreV2", b"RestoreV2", [prefix, prefix, prefix])]
    own = [const(b"fixed", b"/tmp/fixed")] if prefix.startswith(b"fixed") else []
    return [
        function(b"save", [b"file_prefix"], {}, [*own, *save]),
        function(b"restore", [b"file_prefix"], {}, [*own, *restore]),
    ]


def with_saver(graph: Any, filename: bytes, save: bytes, restore: bytes) -> Any:
    graph.saver_def.filename_tensor_name = filename
    graph.saver_def.save_tensor_name = save
    graph.saver_def.restore_op_name = restore
    return graph


def saved(functions: list[bytes], *, served: bytes = b"x:0") -> Any:
    nodes = [
        placeholder(b"x"),
        placeholder(b"filename", ()),
        call(b"to_save", b"save", b"filename"),
        call(b"to_restore", b"restore", b"filename"),
    ]
    graph = meta_graph(nodes=nodes, functions=functions, signatures=serving(served))
    return with_saver(graph, b"filename:0", b"to_save:0", b"to_restore")


def with_asset(graph: Any, name: bytes, asset_tensor: bytes) -> Any:
    added = graph.asset_file_def.add(filename=name)
    added.tensor_info.name = asset_tensor
    return graph


def graph_def(*nodes: bytes, functions: Iterable[bytes] = ()) -> bytes:
    message = lean("GraphDef")(node=list(nodes))
    message.library.function.extend(functions)
    return bytes(message.SerializeToString())


def truth(name: bytes, value: bool) -> bytes:
    return node(name, b"Const", dtype=attr(type=BOOL), value=attr(tensor=tensor(BOOL, (), bool_val=[value])))


# The nodes of a graph that writes a file.
WRITES = [const(b"path", b"/tmp/nested"), node(b"w", b"WriteFile", [b"path", b"path"])]
