"""The scan: each op of the table by its attributes and by who names its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.saved_model_writer import (
    attr,
    function,
    identity,
    meta_graph,
    node,
    placeholder,
)
from core.scanning import STRING, bodies, call, called, const, found, func, one, serving
from tfexplore.core import risky_ops
from tfexplore.core.op_defs import is_tensorflows
from tfexplore.core.risky_ops import HIGH, MEDIUM, NOTE, RISKS
from tfexplore.core.scan_finding import Finding

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
