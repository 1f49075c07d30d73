"""The scan: each class of op in made graphs, by phase and way; the risky models of the corpus."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.saved_model_writer import (
    DAMAGED,
    DAMAGED_ATTR,
    attr,
    children,
    concrete_function,
    function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    tensor,
    user_object,
    write_saved_model,
)
from tfexplore import demo
from tfexplore.core import risky_ops
from tfexplore.core.op_defs import is_tensorflows
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import HIGH, MEDIUM, NOTE, RISKS
from tfexplore.core.scan import MAX_FINDINGS, scan
from tfexplore.core.scan_finding import Finding
from tfexplore.errors import Cancelled, ModelError, TfexploreError
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


# -- the table --


# Ops of other builds, or of other versions, of TensorFlow.
UNREGISTERED = ("LMDBReaderV2", "TRTEngineOp", "RemoteFusedGraphExecute")


def test_the_ops_of_the_table_are_tensorflows_and_their_inputs_stand_where_it_says() -> None:
    from tfexplore.core.op_defs import OpDefs

    op_defs = OpDefs()
    for name, risk in RISKS.items():
        if not is_tensorflows(name):
            assert name.startswith("Experimental") or name in UNREGISTERED, name
            continue
        definition = op_defs.find(name)
        assert definition is not None
        inputs = [argument.name.decode() for argument in definition.input_arg]
        for argument, place in risk.inputs:
            assert inputs[place] == argument, name
            assert not any(arg.number_attr or arg.type_list_attr for arg in definition.input_arg[:place]), name


def test_the_attributes_of_the_table_are_tensorflows(tf: Any) -> None:
    from tensorflow.python.framework import op_def_registry

    for name, risk in RISKS.items():
        definition = op_def_registry.get(name)
        if definition is not None:
            assert set(risk.attrs) <= {found.name for found in definition.attr}, name


def test_levels_are_ordered() -> None:
    assert risky_ops.highest([NOTE, HIGH, MEDIUM]) == HIGH
    assert risky_ops.highest([]) is None
    assert risky_ops.at_least(HIGH, MEDIUM)
    assert not risky_ops.at_least(NOTE, MEDIUM)
    assert [risky_ops.lowered(level) for level in (HIGH, MEDIUM, NOTE)] == [MEDIUM, NOTE, NOTE]


SPECIAL = {risky_ops.FILE_STREAM, risky_ops.DESCRIPTORS, risky_ops.ADDRESSED}


@pytest.mark.parametrize("op", sorted(name for name, risk in RISKS.items() if risk.rule not in SPECIAL))
def test_each_op_of_the_table_is_found_with_its_literal_arguments(tmp_path: Path, op: str) -> None:
    risk = RISKS[op]
    last = max((place for _, place in risk.inputs), default=-1)
    places = {place: name for name, place in risk.inputs}
    inputs = [f"c{place}:output:0".encode() if place in places else b"x" for place in range(last + 1)]
    constants = [const(f"c{place}".encode(), f"/tmp/{name}".encode()) for place, name in places.items()]
    attrs = {name: attr(s=f"/tmp/{name}".encode()) for name in risk.attrs}
    finding = one(called(tmp_path, *constants, node(b"bad", op.encode(), inputs, **attrs)))
    assert (finding.op, finding.level, finding.kind, finding.phase) == (op, risk.level, risk.kind, "call")
    assert finding.path == ("signature serving_default", "node call", "function f", "node bad")
    assert (finding.node, finding.function, finding.tag_set) == ("bad", "f", ("serve",))
    expected = {name: (f"/tmp/{name}",) for name in (*places.values(), *risk.attrs)}
    assert {argument.name: argument.values for argument in finding.arguments} == expected


@pytest.mark.parametrize(
    ("op", "attrs", "level", "kind"),
    [
        (b"PrintV2", {"output_stream": attr(s=b"file:///tmp/x")}, HIGH, "writes files"),
        (b"PrintV2", {"output_stream": attr(s=b"stderr")}, None, None),
        (b"PrintV2", {}, None, None),
        (b"DebugIdentity", {"debug_urls": attr(list={"s": [b"grpc://h:1"]})}, HIGH, "network"),
        (b"DebugIdentityV2", {"debug_urls": attr(list={"s": [b"", b"file:///tmp/x"]})}, HIGH, "writes files"),
        (b"DebugNanCount", {"debug_urls": attr(list={"s": [b"memcbk:///x"]})}, MEDIUM, "network"),
        (b"DebugIdentityV3", {}, NOTE, "network"),
        (b"DecodeProtoV2", {"descriptor_source": attr(s=b"/tmp/descriptors")}, HIGH, "reads files"),
        (b"DecodeProtoV2", {"descriptor_source": attr(s=b"local://")}, None, None),
        (b"EncodeProto", {"descriptor_source": attr(s=b"bytes://\x0a\x00")}, None, None),
        (b"FixedUnigramCandidateSampler", {"vocab_file": attr(s=b"")}, None, None),
        (b"FixedUnigramCandidateSampler", {"vocab_file": attr(s=b"v.txt")}, HIGH, "reads files"),
    ],
)
def test_attributes_decide(
    tmp_path: Path, op: bytes, attrs: Mapping[str, bytes], level: str | None, kind: str | None
) -> None:
    findings = called(tmp_path, node(b"n", op, [b"x"], **attrs))
    if level is None:
        assert findings == []
    else:
        assert (one(findings).level, one(findings).kind) == (level, kind)


def test_a_cache_in_memory_is_silent_and_one_in_a_file_is_not(tmp_path: Path) -> None:
    cache = node(b"cache", b"CacheDatasetV2", [b"x", b"name:output:0", b"x"])
    assert called(tmp_path / "a", const(b"name", b""), cache) == []
    finding = one(called(tmp_path / "b", const(b"name", b"/tmp/cache"), cache))
    assert (finding.level, finding.arguments[0].values) == (HIGH, ("/tmp/cache",))


def test_an_empty_name_for_one_caller_hides_no_other(tmp_path: Path) -> None:
    cache = function(b"g", [b"name"], {}, [node(b"cache", b"CacheDataset", [b"x", b"name"])])
    nodes = [const(b"empty", b""), call(b"first", b"g", b"empty:output:0")]
    others = [const(b"full", b"/tmp/c"), call(b"second", b"g", b"full:output:0")]

    def model(name: str, *more: bytes) -> list[Finding]:
        graph = meta_graph(
            nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
            functions=[bodies(*nodes, *more), cache],
            signatures=serving(),
        )
        return found(tmp_path / name, graph)

    assert model("a") == []
    assert one(model("b", *others)).arguments[0].values == ("", "/tmp/c")


@pytest.mark.parametrize(
    ("nodes", "level", "values"),
    [
        ([const(b"p", b"/etc/passwd")], HIGH, ("/etc/passwd",)),
        ([const(b"q", b"/etc/passwd"), node(b"p", b"Identity", [b"q:output:0"])], HIGH, ("/etc/passwd",)),
        (
            [
                *(const(b"a", b"/etc"), const(b"b", b"passwd")),
                node(b"p", b"StringJoin", [b"a:output:0", b"b:output:0"], separator=attr(s=b"/")),
            ],
            HIGH,
            ("/etc/passwd",),
        ),
        ([const(b"p", b"a", b"b")], HIGH, ("a", "b")),
        ([identity(b"p", b"x")], MEDIUM, None),
        ([node(b"p", b"StringLower", [b"x"])], MEDIUM, None),
        ([node(b"p", b"Identity", [b"p:output:0"])], MEDIUM, None),
        ([], MEDIUM, None),
    ],
)
def test_a_read_is_judged_by_who_names_the_file(
    tmp_path: Path, nodes: list[bytes], level: str, values: tuple[str, ...] | None
) -> None:
    finding = one(called(tmp_path, *nodes, node(b"r", b"ReadFile", [b"p:output:0"])))
    assert (finding.level, finding.arguments[0].values) == (level, values)


def test_a_path_with_a_scheme_is_read_over_the_network(tmp_path: Path) -> None:
    finding = one(called(tmp_path, const(b"p", b"gs://bucket/x"), node(b"r", b"ReadFile", [b"p:output:0"])))
    assert finding.what == "reads a file, over the network"


def test_an_argument_is_followed_to_the_constant_of_the_caller(tmp_path: Path) -> None:
    inner = bodies(node(b"r", b"ReadFile", [b"name"]), name=b"inner", inputs=[b"other", b"name"])
    graph = meta_graph(
        nodes=[placeholder(b"x"), const(b"p", b"/etc/hosts"), call(b"call", b"f", b"x", b"p")],
        functions=[bodies(call(b"c", b"inner", b"x", b"p"), inputs=[b"x", b"p"]), inner],
        signatures=serving(),
    )
    finding = one(found(tmp_path, graph))
    assert (finding.level, finding.arguments[0].values) == (HIGH, ("/etc/hosts",))
    assert finding.path[-3:] == ("function f", "function inner", "node r")


def test_the_files_of_a_dataset_are_followed_from_its_elements(tmp_path: Path) -> None:
    """`tf.data.TextLineDataset(["/etc/hosts"])` is a dataset for each element of another."""
    types = attr(list={"type": [STRING]})
    nodes = [
        const(b"files", b"/etc/hosts", b"/etc/passwd"),
        const(b"packed", b"GZIP"),
        node(b"slices", b"TensorSliceDataset", [b"files:output:0"]),
        node(b"again", b"RepeatDataset", [b"slices:handle:0", b"x"]),
        node(b"all", b"FlatMapDataset", [b"again:handle:0", b"packed:output:0"], f=func(b"g"), Targuments=types),
    ]
    body = function(b"g", [b"file", b"how"], {}, [node(b"lines", b"TextLineDataset", [b"file", b"how"])])
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")], functions=[bodies(*nodes), body], signatures=serving()
    )
    finding = one(found(tmp_path, graph))
    assert (finding.level, finding.arguments[0].values) == (HIGH, ("/etc/hosts", "/etc/passwd"))
    assert finding.path[-3:] == ("node all", "function g", "node lines")


# -- ways and phases --


@pytest.mark.parametrize(
    ("caller", "step"),
    [
        (node(b"c", b"If", [b"x", b"x"], then_branch=func(b"safe"), else_branch=func(b"g")), "node c (else_branch)"),
        (node(b"c", b"While", [b"x"], cond=func(b"safe"), body=func(b"g")), "node c (body)"),
        (node(b"c", b"Case", [b"x"], branches=attr(list={"func": [function_name(b"g")]})), "node c (branches)"),
        (node(b"c", b"MapDataset", [b"x"], f=func(b"g")), "node c"),
        (node(b"c", b"VendorOp", [b"x"], anything=attr(s=b"g")), "node c (anything)"),
        (node(b"c", b"g", [b"x"]), "node c"),
        (
            node(
                b"c",
                b"PartitionedCall",
                [b"x"],
                f=attr(
                    func=lean("NameAttrList")(
                        name=b"safe", attr=[lean("Entry")(key=b"inner", value=attr(func=function_name(b"g")))]
                    )
                ),
            ),
            None,
        ),
    ],
)
def test_functions_are_found_through_every_attribute(tmp_path: Path, caller: bytes, step: str | None) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[bodies(caller), bodies(*write(), name=b"g"), bodies(identity(b"i", b"x"), name=b"safe")],
        signatures=serving(),
    )
    finding = next(finding for finding in found(tmp_path, graph) if finding.op == "WriteFile")
    between = () if step is None else (step,)
    assert finding.path == (
        *("signature serving_default", "node call", "function f"),
        *(*between, "function g", "node w"),
    )
    assert (finding.phase, finding.level) == ("call", HIGH)


def test_an_attribute_that_only_looks_like_a_functions_name_calls_nothing(tmp_path: Path) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[
            bodies(node(b"n", b"Identity", [b"x"], _class=attr(s=b"g"), api_implements=attr(s=b"g"))),
            bodies(*write(), name=b"g"),
        ],
        signatures=serving(),
    )
    assert one(found(tmp_path, graph)).phase == "unreached"


def with_attr(serialized: bytes, **attrs: bytes) -> bytes:
    message = lean("FunctionDef").FromString(serialized)
    for key, value in attrs.items():
        message.attr.add(key=key.encode(), value=value)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("key", ["api_implements", "backward_function_name", "gradient", "registered"])
def test_functions_that_stand_in_for_others_are_reached(tmp_path: Path, key: str) -> None:
    plain, bad = bodies(identity(b"i", b"x")), bodies(*write(), name=b"g")
    if key == "api_implements":
        plain, bad = (with_attr(part, api_implements=attr(s=b"same")) for part in (plain, bad))
    elif key == "backward_function_name":
        plain = with_attr(plain, backward_function_name=attr(s=b"g"))
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")], functions=[plain, bad], signatures=serving()
    )
    if key == "gradient":
        pair = lean("Entry")(key=b"f", value=b"g")  # GradientDef: function_name = 1, gradient_func = 2
        graph.graph_def.library.gradient.append(pair.SerializeToString())
    elif key == "registered":
        pair = lean("Entry")(key=b"g", value=b"SomeOp")  # RegisteredGradient: gradient_func = 1, registered_op_type = 2
        graph.graph_def.library.registered_gradients.append(pair.SerializeToString())
    finding = one(found(tmp_path, graph))
    assert (finding.phase, finding.level) == ("call", HIGH)


def test_the_main_graph_is_reached_by_inputs_and_control_inputs_but_not_behind_what_is_fed(tmp_path: Path) -> None:
    nodes = [
        const(b"path", b"/tmp/x"),
        placeholder(b"p"),
        node(b"behind", b"WriteFile", [b"path", b"p"]),
        node(b"x", b"Identity", [b"p", b"^behind"]),
        node(b"reached", b"WriteFile", [b"path", b"x"]),
        node(b"y", b"Identity", [b"x", b"^reached"]),
        node(b"beside", b"WriteFile", [b"path", b"x"]),
    ]
    graph = meta_graph(nodes=nodes, signatures=serving(b"y:0"))
    phases = {finding.node: (finding.phase, finding.level, finding.path[0]) for finding in found(tmp_path, graph)}
    assert phases == {
        "behind": ("unreached", MEDIUM, "main graph"),
        "reached": ("call", HIGH, "signature serving_default"),
        "beside": ("unreached", MEDIUM, "main graph"),
    }


def collection(*names: bytes) -> bytes:
    message = lean("CollectionDef")()
    message.node_list.value.extend(names)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("entry", ["saved_model_main_op", "legacy_init_op", "__saved_model_init_op", "init_op"])
def test_init_ops_run_at_load(tmp_path: Path, entry: str) -> None:
    nodes = [const(b"path", b"/tmp/x"), node(b"w", b"WriteFile", [b"path", b"path"]), node(b"init", b"NoOp", [b"^w"])]
    signatures = serving(b"x:0")
    collections = {}
    if entry.startswith("__"):
        signatures[entry.encode()] = signature({}, {b"op": info(b"init")})
    else:
        collections = {entry.encode(): collection(b"init")}
    graph = meta_graph(nodes=[placeholder(b"x"), *nodes], signatures=signatures, collections=collections)
    finding = one(found(tmp_path, graph))
    assert finding.phase == ("call" if entry == "init_op" else "load")  # that one is run by who trains on
    assert finding.path[0].endswith("init")
    assert finding.level == HIGH


def function_object(*names: bytes) -> Any:
    message = lean("SavedObject")()
    message.function.concrete_functions.extend(names)
    return message


def resource(refs: Iterable[tuple[bytes, int]]) -> Any:
    message = lean("SavedObject")(children=children(refs))
    message.resource.SetInParent()
    return message


@pytest.mark.parametrize("name", [b"_initialize", b"_create_resource", b"_destroy_resource", b"other"])
def test_functions_of_objects(tmp_path: Path, name: bytes) -> None:
    objects = object_graph(
        [user_object([(b"r", 1)]), resource([(name, 2)]), function_object(b"g")], {b"g": concrete_function([])}
    )
    graph = meta_graph(functions=[bodies(*write(), name=b"g")], objects=objects)
    finding = one(found(tmp_path, graph))
    assert finding.phase == ("call" if name == b"other" else "load")
    assert finding.path == (f"object r.{name.decode()}", "function g", "node w")


def test_functions_that_save_and_restore_an_object(tmp_path: Path) -> None:
    owner = user_object([(b"save", 1), (b"restore", 2)])
    owner.saveable_objects.add(key=b"x", value=b"\x10\x01\x18\x02")
    objects = object_graph([owner, function_object(b"g"), function_object(b"h")])
    graph = meta_graph(
        functions=[bodies(*write(), name=b"g"), bodies(*write(), name=b"h")],
        objects=objects,
    )
    assert {finding.function: finding.phase for finding in found(tmp_path, graph)} == {"g": "save", "h": "load"}


def test_a_function_that_nothing_names_is_unreached(tmp_path: Path) -> None:
    graph = meta_graph(nodes=[placeholder(b"x")], functions=[bodies(*write(), name=b"g")], signatures=serving(b"x:0"))
    finding = one(found(tmp_path, graph))
    assert (finding.phase, finding.level, finding.path) == ("unreached", MEDIUM, ("function g", "node w"))


def test_functions_in_a_circle_are_looked_at(tmp_path: Path) -> None:
    functions = [bodies(call(b"c", b"h", b"x"), *write(), name=b"g"), bodies(call(b"c", b"g", b"x"), name=b"h")]
    finding = one(found(tmp_path, meta_graph(functions=functions, signatures=serving())))
    assert finding.phase == "unreached"


def test_a_long_chain_of_calls_is_cut_in_the_middle_of_the_way(tmp_path: Path) -> None:
    length = 3000
    functions = [
        bodies(call(b"c", f"f{place + 1}".encode(), b"x"), name=f"f{place}".encode()) for place in range(length)
    ]
    functions.append(bodies(*write(), name=f"f{length}".encode()))
    graph = meta_graph(nodes=[placeholder(b"x"), call(b"call", b"f0", b"x")], functions=functions, signatures=serving())
    finding = one(found(tmp_path, graph))
    assert finding.path[:2] == ("signature serving_default", "…")
    assert finding.path[-2:] == (f"function f{length}", "node w")
    assert len(finding.path) < 50


# -- savers --


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


def test_saving_and_restoring_as_every_export_does_is_silent(tmp_path: Path) -> None:
    assert found(tmp_path, saved(saver_functions())) == []


def test_a_saver_with_a_name_of_its_own_is_found(tmp_path: Path) -> None:
    findings = {finding.op: finding for finding in found(tmp_path, saved(saver_functions(b"fixed:output:0")))}
    assert {op: (finding.phase, finding.level) for op, finding in findings.items()} == {
        "SaveV2": ("save", HIGH),
        "MergeV2Checkpoints": ("save", HIGH),
        "RestoreV2": ("load", HIGH),
    }
    assert findings["SaveV2"].path[0] == "saving, to_save:0"
    assert findings["RestoreV2"].path[0] == "restoring, to_restore"


def test_a_saver_that_a_signature_calls_is_found(tmp_path: Path) -> None:
    findings = found(tmp_path, saved(saver_functions(), served=b"to_save:0"))
    assert {(finding.op, finding.phase) for finding in findings} == {
        ("SaveV2", "call"),
        ("MergeV2Checkpoints", "call"),
    }


def test_a_saver_that_writes_something_else_too_is_found(tmp_path: Path) -> None:
    functions = saver_functions()
    message = lean("FunctionDef").FromString(functions[0])
    message.node_def.extend(write(path=b"path"))
    finding = one(found(tmp_path, saved([message.SerializeToString(), functions[1]])))
    assert (finding.op, finding.phase, finding.level) == ("WriteFile", "save", HIGH)


def tf1_saver(scope: bytes, filename: bytes = b"model") -> list[bytes]:
    def named(last: bytes) -> bytes:
        return scope + b"/" + last

    return [
        const(named(b"filename/input"), filename),
        node(named(b"filename"), b"PlaceholderWithDefault", [named(b"filename/input")]),
        node(named(b"Const"), b"PlaceholderWithDefault", [named(b"filename")]),
        const(named(b"names"), b"v"),
        node(named(b"SaveV2"), b"SaveV2", [named(b"Const"), named(b"names"), named(b"names"), b"x"]),
        node(named(b"save"), b"Identity", [named(b"Const"), b"^" + named(b"SaveV2")]),
        node(named(b"RestoreV2"), b"RestoreV2", [named(b"Const"), named(b"names"), named(b"names")]),
        node(named(b"restore_all"), b"NoOp", [b"^" + named(b"RestoreV2")]),
    ]


def test_the_savers_of_tensorflow_1_and_those_left_over_are_silent(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), *tf1_saver(b"save"), *tf1_saver(b"save_1"), node(b"y", b"Identity", [b"x"])]
    graph = with_saver(
        meta_graph(nodes=nodes, signatures=serving(b"y:0")), b"save_1/Const:0", b"save_1/save:0", b"save_1/restore_all"
    )
    assert found(tmp_path / "a", graph) == []
    graph = with_saver(
        meta_graph(nodes=nodes, signatures=serving(b"save/save:0")), b"save/Const:0", b"save/save:0", b""
    )
    assert [(finding.op, finding.phase) for finding in found(tmp_path / "b", graph)] == [("SaveV2", "call")]


# -- assets and files --


def with_asset(graph: Any, name: bytes, asset_tensor: bytes) -> Any:
    added = graph.asset_file_def.add(filename=name)
    added.tensor_info.name = asset_tensor
    return graph


def table(source: bytes) -> bytes:
    return node(b"table", b"InitializeTableFromTextFileV2", [b"x", source])


def test_a_table_that_is_filled_from_an_asset_is_a_note(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), const(b"asset", b"/old/place/vocab.txt"), table(b"asset")]
    graph = with_asset(meta_graph(nodes=nodes, signatures=serving(b"table:0")), b"vocab.txt", b"asset:0")
    finding = one(found(tmp_path / "a", graph))
    assert (finding.level, finding.arguments[0].values) == (NOTE, ("assets/vocab.txt",))
    finding = one(found(tmp_path / "b", meta_graph(nodes=nodes, signatures=serving(b"table:0"))))
    assert (finding.level, finding.arguments[0].values) == (HIGH, ("/old/place/vocab.txt",))


def test_an_asset_that_an_object_binds_is_a_note(tmp_path: Path) -> None:
    asset = lean("SavedObject")()
    asset.asset.asset_file_def_index = 0
    objects = object_graph(
        [user_object([(b"t", 1), (b"a", 3)]), resource([(b"_initialize", 2)]), function_object(b"g"), asset],
        {b"g": concrete_function([3])},
    )
    body = function(b"g", [b"name"], {}, [table(b"name")])
    graph = with_asset(meta_graph(functions=[body], objects=objects), b"vocab.txt", b"gone:0")
    finding = one(found(tmp_path, graph))
    assert (finding.level, finding.phase, finding.arguments[0].values) == (NOTE, "load", ("assets/vocab.txt",))


@pytest.mark.parametrize("name", [b"../../etc/passwd", b"/etc/passwd", b"a/../../x"])
def test_an_asset_that_leads_out_is_found(tmp_path: Path, name: bytes) -> None:
    graph = with_asset(meta_graph(nodes=[placeholder(b"x"), table(b"x")], signatures=serving(b"x:0")), name, b"x:0")
    finding = found(tmp_path, graph)[0]
    assert (finding.level, finding.kind, finding.phase) == (HIGH, "reads outside the model", "load")
    assert finding.arguments[0].values == (name.decode(),)


def test_an_asset_that_is_a_link_out_of_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    graph = with_asset(meta_graph(nodes=[placeholder(b"x")]), b"vocab", b"x:0")
    folder = write_saved_model(tmp_path / "model", graph)
    (folder / "assets").mkdir()
    (folder / "assets" / "vocab").symlink_to(tmp_path / "secret")
    with open_model(str(folder)) as model:
        assert one(list(scan(model))).level == MEDIUM
    # A store that keeps every file behind a link says nothing about the model.
    (folder / "saved_model.pb").rename(tmp_path / "blob")
    (folder / "saved_model.pb").symlink_to(tmp_path / "blob")
    with open_model(str(folder)) as model:
        assert one(list(scan(model))).level == NOTE


@pytest.mark.parametrize(
    ("stored", "level"), [("ckpt-1", None), ("/nowhere/else/ckpt-1", NOTE), ("../ckpt-1", MEDIUM), ("OTHER", MEDIUM)]
)
def test_a_checkpoint_file_that_leads_out_is_found(tmp_path: Path, stored: str, level: str | None) -> None:
    from core.opening import bundle

    bundle(tmp_path / "run" / "ckpt-1")
    bundle(tmp_path / "other" / "ckpt-1")
    stored = stored.replace("OTHER", str(tmp_path / "other" / "ckpt-1"))
    (tmp_path / "run" / "checkpoint").write_text(f'model_checkpoint_path: "{stored}"\n')
    with open_model(str(tmp_path / "run")) as model:
        assert [finding.level for finding in scan(model)] == ([] if level is None else [level])


# -- other code, and the end of the process --


def graph_def(*nodes: bytes, functions: Iterable[bytes] = ()) -> bytes:
    message = lean("GraphDef")(node=list(nodes))
    message.library.function.extend(functions)
    return bytes(message.SerializeToString())


WRITES = [const(b"path", b"/tmp/nested"), node(b"w", b"WriteFile", [b"path", b"path"])]


def test_a_graph_in_a_constant_is_scanned_as_called_where_something_runs_it(tmp_path: Path) -> None:
    nested = graph_def(call(b"c", b"g", b"x"), functions=[bodies(*write(), name=b"g")])
    findings = called(tmp_path, const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"]))
    assert [(finding.op, finding.phase, finding.level) for finding in findings] == [
        ("DatasetFromGraph", "call", HIGH),
        ("WriteFile", "call", HIGH),
    ]
    assert findings[1].nested
    assert findings[1].path == (
        *("signature serving_default", "node call", "function f", "node d", "graph in graph"),
        *("node c", "function g", "node w"),
    )
    assert findings[1].arguments[0].values == ("/tmp/out",)


@pytest.mark.parametrize("raw_form", [False, True])
def test_a_graph_in_a_constant_that_nothing_runs_is_a_note(tmp_path: Path, raw_form: bool) -> None:
    nested = graph_def(*WRITES)
    if raw_form:  # a varint length for each, then their bytes
        size = bytes([len(nested) & 0x7F | 0x80, len(nested) >> 7])
        value = tensor(STRING, (2,), tensor_content=b"\x01" + size + b"?" + nested)
        held = node(b"graph", b"Const", dtype=attr(type=STRING), value=attr(tensor=value))
    else:
        held = const(b"graph", b"something else", nested)
    findings = called(tmp_path, held)
    assert [(finding.op, finding.phase, finding.level) for finding in findings] == [
        ("Const", "call", NOTE),
        ("WriteFile", "unreached", MEDIUM),
    ]


def test_a_graph_that_another_graphs_node_runs_is_no_note(tmp_path: Path) -> None:
    """The constant lies in the main graph, which is looked at first."""
    graph = meta_graph(
        nodes=[placeholder(b"x"), const(b"graph", graph_def(*WRITES)), call(b"call", b"f", b"graph")],
        functions=[bodies(node(b"d", b"DatasetFromGraph", [b"x"]))],
        signatures=serving(),
    )
    assert [(finding.op, finding.phase) for finding in found(tmp_path, graph)] == [
        ("DatasetFromGraph", "call"),
        ("WriteFile", "call"),
    ]


def test_graphs_in_graphs_are_followed_so_far_and_then_named(tmp_path: Path) -> None:
    nested = graph_def(*WRITES)
    for _ in range(10):
        nested = graph_def(const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph"]))
    findings = called(tmp_path, const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"]))
    assert [finding.op for finding in findings] == ["DatasetFromGraph"] * 5 + [None]
    assert (findings[-1].level, findings[-1].kind) == (MEDIUM, "not scanned")


def test_an_attribute_with_a_graph_is_looked_into(tmp_path: Path) -> None:
    segment = node(b"trt", b"TRTEngineOp", [b"x"], serialized_segment=attr(s=graph_def(*WRITES)))
    assert {finding.op for finding in called(tmp_path, segment)} == {"TRTEngineOp", "WriteFile"}


@pytest.mark.parametrize("text_value", [b"a", b"plain words in a vocabulary", b"\x0a\x03CPU\x10\x01", b"\x0a" * 40])
def test_other_strings_are_no_graphs(tmp_path: Path, text_value: bytes) -> None:
    assert called(tmp_path, const(b"c", text_value, b"second")) == []


def test_foreign_ops_are_named_once_for_each_phase(tmp_path: Path) -> None:
    findings = called(tmp_path, *(node(f"v{place}".encode(), b"VendorOp", [b"x"]) for place in range(5)))
    assert (one(findings).level, one(findings).node) == (MEDIUM, "v0")


def truth(name: bytes, value: bool) -> bytes:
    return node(name, b"Const", dtype=attr(type=BOOL), value=attr(tensor=tensor(BOOL, (), bool_val=[value])))


@pytest.mark.parametrize("value", [True, False])
def test_a_loop_that_never_ends(tmp_path: Path, value: bool) -> None:
    condition = function(b"cond", [b"x"], {b"y": b"i:output:0"}, [truth(b"t", value), identity(b"i", b"t:output:0")])
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[
            bodies(node(b"loop", b"While", [b"x"], cond=func(b"cond"), body=func(b"g"))),
            condition,
            bodies(identity(b"i", b"x"), name=b"g"),
        ],
        signatures=serving(),
    )
    findings = found(tmp_path, graph)
    assert [(finding.op, finding.level) for finding in findings] == ([("While", HIGH)] if value else [])


def test_a_loop_of_tensorflow_1_that_never_ends(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), truth(b"t", True), node(b"loop", b"LoopCond", [b"t"])]
    assert one(found(tmp_path, meta_graph(nodes=nodes, signatures=serving(b"loop:0")))).op == "LoopCond"


def test_a_constant_that_claims_more_than_there_is(tmp_path: Path) -> None:
    value = tensor(1, (10**9, 10**9), float_val=[0.0])
    finding = one(called(tmp_path, node(b"c", b"Const", dtype=attr(type=1), value=attr(tensor=value))))
    assert (finding.level, finding.what) == (HIGH, "a constant that claims 1,000,000,000,000,000,000 elements")


def test_a_tensor_that_is_made_larger_than_there_is(tmp_path: Path) -> None:
    fill = node(b"fill", b"Fill", [b"shape:output:0", b"x"])
    assert called(tmp_path / "a", number(b"shape", 1000, 1000), fill) == []
    assert one(called(tmp_path / "b", number(b"shape", 1_000_000, 1_000_000), fill)).level == HIGH


# -- what cannot be read, and bounds --


def test_what_cannot_be_read_is_a_finding_and_the_rest_is_scanned(tmp_path: Path) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), DAMAGED, call(b"call", b"f", b"x")],
        functions=[bodies(DAMAGED_ATTR, *write()), b"\x0a\x7f"],
        signatures=serving(),
    )
    findings = found(tmp_path, graph)
    assert [finding.level for finding in findings if finding.kind == "not scanned"].count(MEDIUM) >= 3
    assert [finding.op for finding in findings if finding.kind != "not scanned"] == ["WriteFile"]


def test_a_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), *WRITES, *(identity(f"i{place}".encode(), b"x") for place in range(50))]
    folder = write_saved_model(tmp_path, meta_graph(nodes=nodes))
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-300])
    with open_model(str(folder)) as model:
        findings = list(scan(model))
    assert findings[0].kind == "not scanned"
    assert any(finding.op == "WriteFile" for finding in findings)


def test_a_lone_graph_is_run_by_name(tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(graph_def(placeholder(b"x"), *WRITES))
    with open_model(str(tmp_path / "graph.pb")) as model:
        finding = one(list(scan(model)))
    assert (finding.phase, finding.path) == ("call", ("main graph", "node w"))


def test_each_metagraph_is_scanned(tmp_path: Path) -> None:
    graphs = [meta_graph(tags=[tag], nodes=[placeholder(b"x"), *WRITES]) for tag in (b"serve", b"train")]
    assert [finding.tag_set for finding in found(tmp_path, *graphs)] == [("serve",), ("train",)]


def test_very_many_findings_are_counted(tmp_path: Path) -> None:
    nodes = [node(f"a{place}".encode(), b"Abort") for place in range(MAX_FINDINGS + 5)]
    findings = found(tmp_path, meta_graph(nodes=nodes))
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[-1].level, findings[-1].what) == (HIGH, "5 more findings are not listed")


def test_progress_and_cancel(tmp_path: Path) -> None:
    nodes = [identity(f"i{place}".encode(), b"x") for place in range(5000)]
    folder = write_saved_model(tmp_path, meta_graph(nodes=nodes, functions=[bodies(*nodes[:100])]))
    told: list[tuple[int, int]] = []
    with open_model(str(folder)) as model:
        list(scan(model, progress=lambda done, total: told.append((done, total))))
        assert told[-1] == (5100, 5100)
        assert told == sorted(told)
        cancel = threading.Event()

        def stop(*_: int) -> None:
            cancel.set()

        with pytest.raises(Cancelled):
            list(scan(model, cancel=cancel, progress=stop))


def test_names_are_data(tmp_path: Path) -> None:
    finding = one(called(tmp_path, node(b"\x1b[31m\xff", b"Abort")))
    assert finding.node == "\x1b[31m\udcff"


def mutants() -> Iterable[bytes]:
    nested = graph_def(*WRITES)
    condition = function(b"cond", [b"x"], {b"y": b"t:output:0"}, [truth(b"t", True)])
    nodes = [
        *(const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"])),
        *(node(b"loop", b"While", [b"x"], cond=func(b"cond"), body=func(b"f")), *write()),
    ]
    graph = with_asset(saved([*saver_functions(), bodies(*nodes), condition], served=b"to_save:0"), b"v", b"x:0")
    graph.object_graph_def = object_graph(
        [user_object([(b"r", 1)]), resource([(b"_initialize", 2)]), function_object(b"f")],
        {b"f": concrete_function([0])},
    )
    whole = lean("SavedModel")(saved_model_schema_version=1, meta_graphs=[graph]).SerializeToString()
    generator = random.Random(20260)
    yield whole
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(data))
            data[place] = generator.choice(
                (data[place] ^ 1 << generator.randrange(8), 0, 255, generator.randrange(256))
            )
        yield bytes(data[: generator.choice((len(data), generator.randrange(len(data))))])


def test_a_damaged_model_gives_findings_or_our_own_errors(tmp_path: Path) -> None:
    looked = 0
    for data in mutants():
        (tmp_path / "saved_model.pb").write_bytes(data)
        answers = []
        for _ in range(2):
            try:
                with open_model(str(tmp_path)) as model:
                    answers.append(list(scan(model)))
            except ModelError as error:
                answers.append([str(error)])  # type: ignore[list-item]
        assert answers[0] == answers[1]
        looked += bool(answers[0]) and isinstance(answers[0][0], Finding)
    assert looked > 200


def test_the_demo_model_is_silent(tmp_path: Path) -> None:
    with open_model(DEMO) as model:
        assert [finding for finding in scan(model) if finding.level != NOTE] == []


def test_nothing_of_tensorflow_is_imported() -> None:
    program = """
import sys
from tfexplore.core.opener import open_model
from tfexplore.core.scan import scan
with open_model(sys.argv[1]) as model:
    list(scan(model))
assert not {"tensorflow", "keras", "numpy", "asyncio"} & set(sys.modules), sorted(sys.modules)
"""
    source = str(Path(demo.__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": source}
    subprocess.run([sys.executable, "-c", program, DEMO], check=True, timeout=60, env=environment)


# -- the corpus --

# Model: (op, phase, the way's beginning and end, one argument); each must be found, and nothing else above a note.
RISKY: dict[str, list[tuple[str, str, str, str, str | None]]] = {
    "risky/abort": [("Abort", "call", "signature serving_default", "node Abort", "bye")],
    "risky/alloc": [("Fill", "call", "signature serving_default", "node Fill", None)],
    "risky/call_write": [
        ("WriteFile", "call", "signature serving_default", "node WriteFile", "/tmp/tfexplore-canary/call_write")
    ],
    "risky/cond_write": [
        ("WriteFile", "call", "signature serving_default", "node cond/WriteFile", "/tmp/tfexplore-canary/cond_write")
    ],
    "risky/dbg_grpc": [
        ("DebugIdentity", "call", "signature serving_default", "node DebugIdentity", "grpc://127.0.0.1:45991")
    ],
    "risky/dstfr": [
        (
            "DatasetToTFRecord",
            "call",
            "signature serving_default",
            "node DatasetToTFRecord",
            "/tmp/tfexplore-canary/tfrec",
        )
    ],
    "risky/load_write": [("WriteFile", "load", "init op NoOp", "node WriteFile", "/tmp/tfexplore-canary/load_write")],
    "risky/print_write": [
        ("PrintV2", "call", "signature serving_default", "node PrintV2", "file:///tmp/tfexplore-canary/print_write")
    ],
    "risky/read_file": [
        ("ReadFile", "call", "signature serving_default", "node ReadFile", "/tmp/tfexplore-canary/secret"),
        ("MatchingFiles", "call", "signature serving_default", "node MatchingFiles", "/tmp/tfexplore-canary/*"),
        ("ImmutableConst", "call", "signature serving_default", "node ImmutableConst", "/tmp/tfexplore-canary/secret"),
    ],
    "risky/restore": [
        ("RestoreV2", "call", "signature serving_default", "node RestoreV2", "/tmp/tfexplore-canary/obj/ckpt-1")
    ],
    "risky/save_write": [
        ("SaveV2", "call", "signature serving_default", "node SaveV2", "/tmp/tfexplore-canary/savev2")
    ],
    "risky/summary": [
        (
            *("CreateSummaryFileWriter", "call", "signature serving_default", "node CreateSummaryFileWriter"),
            "/tmp/tfexplore-canary/summ",
        )
    ],
    "risky/table": [],
    "risky/while_write": [
        ("WriteFile", "call", "signature serving_default", "node while/WriteFile", "/tmp/tfexplore-canary/while_write")
    ],
    "mal-graph_py_func/py_func.pb": [
        ("PyFunc", "call", "main graph", "node py", "pyfunc_0"),
        ("EagerPyFunc", "call", "main graph", "node eager", "pyfunc_1"),
        ("MatchingFiles", "call", "main graph", "node ls", None),
        ("VendorPrivateOp", "call", "main graph", "node custom", None),
    ],
    "mal-sm_file_ops": [
        ("WriteFile", "call", "signature serving_default", "node WriteFile", "/tmp/corpus-canary/called.txt"),
        ("ReadFile", "call", "signature serving_default", "node ReadFile", "/tmp/corpus-canary/input.txt"),
    ],
    "mal-sm_init_op_writes": [
        ("WriteFile", "load", "saved_model_main_op init", "node WriteFile", "/tmp/corpus-canary/loaded.txt")
    ],
}


def test_every_risky_model_has_a_row(corpus: Path) -> None:
    hostile = corpus / "hostile"
    names = {f"risky/{path.name}" for path in (hostile / "risky").iterdir()}
    names |= {path.name for path in hostile.glob("mal-*")}
    assert names == {name.removesuffix("/py_func.pb") for name in RISKY}


@pytest.mark.parametrize("name", RISKY)
def test_the_risky_models_are_found(corpus: Path, name: str) -> None:
    with open_model(str(corpus / "hostile" / name)) as model:
        findings = list(scan(model))
    for op, phase, begin, end, value in RISKY[name]:
        matching = [
            finding
            for finding in findings
            if (finding.op, finding.phase, finding.path[0], finding.path[-1]) == (op, phase, begin, end)
        ]
        finding = one(matching)
        assert finding.level == (HIGH if op not in ("VendorPrivateOp",) and (value or op == "Fill") else MEDIUM)
        values = {found for argument in finding.arguments for found in argument.values or ()}
        assert value is None or value in values
    ops = {row[0] for row in RISKY[name]}
    assert {finding.op for finding in findings if finding.level != NOTE} == ops


def test_the_table_of_the_corpus_is_filled_from_its_own_asset_at_load(corpus: Path) -> None:
    with open_model(str(corpus / "hostile" / "risky" / "table")) as model:
        finding = one(list(scan(model)))
    assert (finding.op, finding.level, finding.phase) == ("InitializeTableFromTextFileV2", NOTE, "load")
    assert finding.arguments[0].values == ("assets/secret",)


# Real exports that do reach out, each looked at: what is found above a note, and no more.
KNOWN = {
    "tfdf-adult_rf": {
        "SimpleMLCreateModelResource",
        "SimpleMLLoadModelFromPathWithHandle",
        "SimpleMLInferenceOpWithHandle",
    },
    "tf-trt_2shards": {"TRTEngineOp"},
}


def test_real_exports_are_silent(corpus: Path) -> None:
    looked = 0
    for file in sorted((corpus / "models").rglob("saved_model.pb*")):
        name = file.relative_to(corpus / "models").parts[0]
        try:
            model = open_model(str(file.parent))
        except TfexploreError:
            continue
        with model:
            assert {finding.op for finding in scan(model) if finding.level != NOTE} == KNOWN.get(name, set()), file
        looked += 1
    assert looked > 30
