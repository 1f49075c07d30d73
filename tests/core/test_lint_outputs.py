"""Inputs that name an output that is not there: the linter against TensorFlow, and where nobody can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.linting import NODES, body, found, named, write
from core.saved_model_writer import (
    attr,
    function,
    identity,
    meta_graph,
    node,
    placeholder,
    tensor,
    write_saved_model,
)
from tfexplore.formats.proto import lean


def test_a_function_that_an_op_of_nobody_names_is_missed(tmp_path: Path) -> None:
    calls = [node(b"w%d" % number, b"Zap", f=named(name)) for number, name in enumerate((b"g", b"h", b""))]
    sentences = found(write(tmp_path / "m", {"nodes": [*NODES, *calls]}))
    assert sentences[0] == "1 call of a function that the library does not have: w1 calls h"
    assert len(sentences) == 2


def test_where_outputs_are_not_known_nothing_is_missed(tmp_path: Path) -> None:
    """An op that nobody describes, an attribute that is missing, damaged or of another type."""
    nodes = [
        *NODES,
        node(b"zap", b"Zap"),
        node(b"s1", b"Split"),
        node(b"s2", b"Split", num_split=attr(type=1)),
        node(b"s3", b"Split", num_split=b"\x08"),
        node(b"s4", b"Split", num_split=attr(i=-1)),
        node(b"t", b"IdentityN", T=attr(i=1)),
        node(b"w", b"AddN", [b"%s%s" % (name, b":7") for name in (b"zap", b"s1", b"s2", b"s3", b"s4", b"t")]),
    ]
    (sentence,) = found(write(tmp_path / "m", {"nodes": nodes}))
    assert sentence.endswith("own list of ops: Zap")


def test_a_function_by_default_may_be_none(tmp_path: Path) -> None:
    graph = meta_graph(nodes=[node(b"w", b"Zap", f=named(b""), g=named(b""))])
    op = graph.meta_info_def.stripped_op_list.op.add(name=b"Zap")
    for name in (b"f", b"g"):
        op.attr.add(name=name, type=b"func")
    op.attr[1].default_value.func.name = b""
    sentences = found(write_saved_model(tmp_path / "m", graph))
    assert sentences[0] == '1 call of a function that the library does not have: w calls ""'
    assert len(sentences) == 2


SPELLED = [
    b"x", b"x:0", b"x:00", b"x:1", b"n", b"n:0", b"^n", b"^x", b"s", b"s:1", b"s:2", b"t:1", b"t:2", b"e", b"e:0",
    b"gone", b"^gone", b"x:99999999999999999999",
]  # fmt: skip


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("first", [True, False])
def test_tensorflow_takes_no_input_that_the_linter_misses(tf: Any, tmp_path: Path, spelled: bytes, first: bool) -> None:
    floats, none = attr(list=lean("AttrValue.ListValue")(type=[1, 1])), attr(list=lean("AttrValue.ListValue")())
    nodes = [
        placeholder(b"x"),
        node(b"n"),
        node(b"axis", b"Const", value=attr(tensor=tensor(3, [], int_val=[0])), dtype=attr(type=3)),
        node(b"s", b"Split", [b"axis", b"x"], T=attr(type=1), num_split=attr(i=2)),
        node(b"t", b"IdentityN", [b"x", b"x"], T=floats),
        node(b"e", b"PartitionedCall", Tin=none, Tout=none, f=named(b"f")),
    ]
    user = node(b"w", b"NoOp", [spelled]) if spelled[:1] == b"^" else identity(b"w", spelled)
    nodes.insert(0 if first else len(nodes), user)
    graph = meta_graph(nodes=nodes, functions=[function(b"f", ())])
    definition = tf.compat.v1.GraphDef.FromString(graph.graph_def.SerializeToString())
    try:
        with tf.Graph().as_default():
            tf.graph_util.import_graph_def(definition, name="")
        refused = False
    except ValueError:
        refused = True
    assert bool(found(write_saved_model(tmp_path / "m", graph))) == refused


INSIDE = [
    b"x",
    b"i:output:0",
    b"i:output:1",
    b"i:out:0",
    b"s:output:1",
    b"s:output:2",
    b"^i",
    b"gone:output:0",
    b"n:x:0",
]


@pytest.mark.parametrize("spelled", INSIDE)
def test_tensorflow_takes_no_input_in_a_function_that_the_linter_misses(
    tf: Any, tmp_path: Path, spelled: bytes
) -> None:
    from tensorflow.core.framework import function_pb2  # type: ignore[import-untyped]
    from tensorflow.python.framework.function_def_to_graph import (  # type: ignore[import-untyped]
        function_def_to_graph_def,
    )

    axis = node(b"axis", b"Const", value=attr(tensor=tensor(3, [], int_val=[0])), dtype=attr(type=3))
    split = node(b"s", b"Split", [b"axis:output:0", b"x"], T=attr(type=1), num_split=attr(i=2))
    user = node(b"w", b"NoOp", [spelled]) if spelled[:1] == b"^" else identity(b"w", spelled)
    made = body(b"k", node(b"n"), axis, split, user)
    try:
        function_def_to_graph_def(function_pb2.FunctionDef.FromString(made))
        refused = False
    except KeyError:
        refused = True
    assert bool(found(write_saved_model(tmp_path / "m", meta_graph(functions=[made])))) == refused
