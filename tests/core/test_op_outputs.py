"""Outputs of nodes, from their OpDefs."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import attr, node
from tfexplore.core import op_defs
from tfexplore.core.graph import MAX_LISTED_OUTPUTS, Graph
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.output_args import OutputArg, iter_outputs, output_args
from tfexplore.formats.graph_def import decode_node
from tfexplore.formats.proto import lean


def outputs(raw: bytes, op_defs: OpDefs | None = None) -> tuple[OutputArg, ...] | None:
    found = decode_node(raw, path="m.pb")
    op_def = (op_defs or OpDefs()).find(found.op)
    assert op_def is not None
    return output_args(found, op_def)


def listed(**fields: Any) -> bytes:
    return attr(list=lean("AttrValue").ListValue(**fields))


def test_one_output_of_the_attribute_s_dtype() -> None:
    assert outputs(node(b"m", b"MatMul", T=attr(type=2))) == (OutputArg("product", 1, (2,)),)
    assert outputs(node(b"n", b"NoOp")) == ()


def test_as_many_outputs_as_a_number_says() -> None:
    found = outputs(node(b"s", b"Split", T=attr(type=1), num_split=attr(i=3)))
    assert found == (OutputArg("output", 3, (1,)),)
    assert list(iter_outputs(found)) == [("output", 0, 1), ("output", 1, 1), ("output", 2, 1)]


def test_outputs_of_a_list_of_dtypes() -> None:
    found = outputs(node(b"i", b"IdentityN", T=listed(type=[1, 9])))
    assert found is not None
    assert list(iter_outputs(found)) == [("output", 0, 1), ("output", 1, 9)]
    assert list(iter_outputs(outputs(node(b"i", b"IdentityN", T=listed())) or ())) == []


def test_references_are_their_own_dtypes() -> None:
    assert outputs(node(b"v", b"VariableV2", dtype=attr(type=1))) == (OutputArg("ref", 1, (101,)),)
    assert outputs(node(b"v", b"VariableV2", dtype=attr(type=101))) == (OutputArg("ref", 1, (101,)),)


def test_a_default_stands_in_for_a_missing_attribute() -> None:
    assert outputs(node(b"s", b"Shape", T=attr(type=1))) == (OutputArg("output", 1, (3,)),)


def test_not_known_where_the_attributes_do_not_tell() -> None:
    assert outputs(node(b"m", b"MatMul")) is None
    assert outputs(node(b"m", b"MatMul", T=attr(i=1))) is None
    assert outputs(node(b"s", b"Split", T=attr(type=1), num_split=attr(i=-1))) is None
    assert outputs(node(b"s", b"Split", T=attr(type=1), num_split=b"\x08")) is None
    assert outputs(node(b"i", b"IdentityN", T=attr(type=1))) is None
    assert OpDefs().find("NobodyKnowsThisOp") is None


def test_every_op_of_the_table_is_found_by_its_name() -> None:
    """The table is searched by halves, in the bytes of its OpDefs."""
    packed = (Path(op_defs.__file__).parent / "op_table.bin").read_bytes()
    table = lean("OpList").FromString(zlib.decompress(packed)).op
    assert len(table) > 1500
    for op in table:
        name = op.name.decode()
        assert OpDefs().find(name) == op
        assert op_defs.is_tensorflows(name)
        assert not op_defs.is_tensorflows(name + "\0")
    assert [op_defs.is_tensorflows(name) for name in ("", "AA", "zzz", "\udcff")] == [False] * 4


def test_own_functions_come_before_own_ops_before_shipped_ones() -> None:
    own = lean("OpDef")(name=b"MatMul", output_arg=[lean("OpDef").ArgDef(name=b"mine", type=3)])
    function = lean("OpDef")(name=b"MatMul", output_arg=[lean("OpDef").ArgDef(name=b"called", type=7)])
    op_defs = OpDefs([own])
    assert outputs(node(b"m", b"MatMul"), op_defs) == (OutputArg("mine", 1, (3,)),)
    calling = OpDefs([own], {"MatMul": function})
    assert outputs(node(b"m", b"MatMul"), calling) == (OutputArg("called", 1, (7,)),)


HUGE = node(b"s", b"Split", T=attr(type=1), num_split=attr(i=2**62))


def test_a_huge_number_of_outputs_is_counted_and_only_some_are_listed() -> None:
    assert outputs(HUGE) == (OutputArg("output", 2**62, (1,)),)
    graph = Graph([HUGE], OpDefs(), path="m.pb")
    assert graph.num_outputs(graph.node(0)) == 2**62
    found = graph.outputs(0)
    assert len(found) == MAX_LISTED_OUTPUTS
    assert found[-1].name == f"s:{MAX_LISTED_OUTPUTS - 1}"


def test_many_inputs_from_a_node_of_many_outputs_take_no_time() -> None:
    """A file of 50 KB must not ask for a hundred million records."""
    code = """
from core.saved_model_writer import attr, node
from tfexplore.core.graph import Graph
from tfexplore.core.op_defs import OpDefs
huge = node(b"s", b"Split", T=attr(type=1), num_split=attr(i=2**62))
user = node(b"u", b"AddN", [b"s:%d" % number for number in range(3000)], T=attr(type=1), N=attr(i=3000))
graph = Graph([huge, user], OpDefs(), path="m.pb")
inputs = graph.inputs(graph.node(1))
assert [found.producer for found in inputs] == [0] * 3000
assert inputs[7].tensor.name == "s:7"
"""
    assert peak_memory(code) < 256 * MEGABYTE
