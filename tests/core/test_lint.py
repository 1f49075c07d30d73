"""The linter: made models with one defect each get one sentence, good ones none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import (
    DAMAGED,
    attr,
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
    trackable_graph,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import strings, write_bundle
from tfexplore import demo
from tfexplore.core.cycles import cycles
from tfexplore.core.describe import describe
from tfexplore.core.graph_lint import Flaws, GraphLint, Tally
from tfexplore.core.lint import lint
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.core.subjects import NoteSubject, ObjectSubject
from tfexplore.core.tree import root_items
from tfexplore.core.tree_files import note_item
from tfexplore.errors import Cancelled
from tfexplore.formats.fingerprint import fingerprint64
from tfexplore.formats.proto import lean

KEY = b"%s/.ATTRIBUTES/VARIABLE_VALUE"


def named(function: bytes) -> bytes:
    """An attribute that names a function."""
    return attr(func=function_name(function))


def call(name: bytes, target: bytes, *inputs: bytes) -> bytes:
    return node(name, b"PartitionedCall", inputs, f=named(target), Tin=attr(), Tout=attr())


def body(name: bytes, *nodes: bytes, returns: bytes = b"i:output:0") -> bytes:
    return function(name, [b"x"], {b"out": returns}, [identity(b"i", b"x"), *nodes])


def loop() -> list[bytes]:
    """A loop of TensorFlow 1, whose way back is legal."""
    return [
        node(b"enter", b"Enter", [b"x"]),
        node(b"merge", b"Merge", [b"enter", b"next"]),
        node(b"next", b"NextIteration", [b"merge"]),
    ]


def parts() -> dict[str, Any]:
    """A good model, in which some nodes stand before what they take, and a function has a loop."""
    return {
        "nodes": [
            identity(b"z", b"y:0"), placeholder(b"x"), identity(b"y", b"x"), node(b"n", inputs=[b"^x"]), *loop(),
            call(b"c", b"f", b"x"),
        ],
        "functions": [
            body(b"f", call(b"d", b"g", b"i:output:0"), *loop()[:1], node(b"late", inputs=[b"^last"]), node(b"last")),
            body(b"g", *loop(), returns=b"x"),
        ],
        "signatures": {b"one": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})},
        "objects": object_graph(
            [user_object([(b"v", 1)]), variable_object(b"v", [2])], {b"f": concrete_function([1])}
        ),
        "assets": [b"words.txt"],
    }  # fmt: skip


def write(
    folder: Path, replaced: dict[str, Any], stored: np.ndarray | None = None, *, child: int = 1, key: bytes = KEY % b"v"
) -> Path:
    write_saved_model(folder, meta_graph(**{**parts(), **replaced}))
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("a\n")
    (folder / "variables").mkdir()
    graph = trackable_graph([([(b"v", child)], None), ([], KEY % b"v")])
    write_bundle(
        folder / "variables" / "variables",
        {
            key: np.ones(2, np.float32) if stored is None else stored,
            b"_CHECKPOINTABLE_OBJECT_GRAPH": strings(graph).reshape(()),
        },
    )
    write_fingerprint(folder, 0)
    return folder


def write_fingerprint(folder: Path, change: int) -> None:
    made = fingerprint64(str(folder / "variables" / "variables.index"))
    assert made is not None
    message = lean("FingerprintDef")(checkpoint_hash=made ^ change)
    (folder / "fingerprint.pb").write_bytes(message.SerializeToString())


def found(folder: Path) -> list[str]:
    with open_model(str(folder)) as model:
        return lint(model.meta_graphs[0])


def test_a_good_model_has_no_note(tmp_path: Path) -> None:
    assert found(write(tmp_path / "m", {})) == []


SPLIT = node(b"s", b"Split", T=attr(type=1), num_split=attr(i=2))
NODES = parts()["nodes"]
FUNCTIONS = parts()["functions"]
GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "input": (
        {"nodes": [*NODES, identity(b"w", b"gone:1")]},
        "1 input of the main graph names no node: w takes gone",
    ),
    "control input": (
        {"nodes": [*NODES, node(b"w", inputs=[b"^gone", b"^gone2", b"^g3", b"^g4"])]},
        "4 inputs of the main graph name no node: w takes gone, w takes gone2, w takes g3 and 1 more",
    ),
    "cycle": (
        {"nodes": [*NODES, identity(b"a", b"c2"), identity(b"b", b"a"), identity(b"c2", b"b"), identity(b"e", b"c2")]},
        "3 nodes of the main graph lie on a cycle, so cannot run: a, b, c2",
    ),
    "itself": (
        {"nodes": [*NODES, identity(b"a", b"a")]},
        "1 node of the main graph lies on a cycle, so cannot run: a",
    ),
    "two cycles": (
        {"nodes": [*NODES, identity(b"a", b"a"), node(b"b", b"Const", [b"^k"]), identity(b"k", b"b")]},
        "3 nodes of the main graph lie on 2 cycles, so cannot run: a, b, k",
    ),
    "output of a node": (
        {"nodes": [*NODES, node(b"w", b"AddN", [b"x:0", b"x:3", b"y:1"])]},
        "2 inputs of the main graph name outputs that their nodes do not have: w takes x:3, w takes y:1",
    ),
    "output of a later node": (
        {"nodes": [*NODES, identity(b"w", b"w2:1"), identity(b"w2", b"x")]},
        "1 input of the main graph names an output that its node does not have: w takes w2:1",
    ),
    "output named as in a function": (
        {"nodes": [*NODES, identity(b"w", b"y:output:0")]},
        "1 input of the main graph names an output that its node does not have: w takes y:output:0",
    ),
    "value of an operation": (
        {"nodes": [*NODES, identity(b"w", b"n"), identity(b"w2", b"n:0"), node(b"w3", inputs=[b"^n"])]},
        "2 inputs of the main graph name outputs that their nodes do not have: w takes n, w2 takes n:0",
    ),
    "output that an attribute decides": (
        {"nodes": [*NODES, SPLIT, *(identity(b"w%d" % number, b"s:%d" % number) for number in range(4))]},
        "2 inputs of the main graph name outputs that their nodes do not have: w2 takes s:2, w3 takes s:3",
    ),
    "output of a call": (
        {"nodes": [*NODES, identity(b"w", b"c")]},
        "1 input of the main graph names an output that its node does not have: w takes c",
    ),
    "output in a function": (
        {"functions": [*FUNCTIONS, body(b"k", identity(b"w", b"i:output:9"), identity(b"w2", b"i:out:0"))]},
        "2 inputs in functions name outputs that their nodes do not have: k: w takes i:output:9, k: w2 takes i:out:0",
    ),
    "output that an attribute decides in a function": (
        {"functions": [*FUNCTIONS, body(
            b"k", SPLIT, *(identity(b"w%d" % number, b"s:output:%d" % number) for number in range(3))
        )]},
        "1 input in functions names an output that its node does not have: k: w2 takes s:output:2",
    ),
    "output of a function that is an op": (
        {"functions": [*FUNCTIONS, body(
            b"k", node(b"w", b"f", [b"x"]), identity(b"w2", b"w:out:0"), identity(b"w3", b"w:output:0")
        )]},
        "1 input in functions names an output that its node does not have: k: w3 takes w:output:0",
    ),
    "returned output": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"i:nope:0")]},
        "1 input in functions names an output that its node does not have: k: it returns i:nope:0",
    ),
    "returned argument": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"nope")]},
        "1 input in functions names neither node nor argument: k: it returns nope",
    ),
    "call of nothing": (
        {"nodes": [*NODES, call(b"w", b"", b"x")]},
        '1 call of a function that the library does not have: w calls ""',
    ),
    "duplicate": (
        {"nodes": [*NODES, placeholder(b"x"), placeholder(b"x")]},
        "1 name of the main graph occurs more than once: x",
    ),
    "damaged node": (
        {"nodes": [*NODES, DAMAGED, node(b"w", inputs=[b"it"])]},
        "1 node of the main graph cannot be read: node 8",
    ),
    "call": (
        {"nodes": [*NODES, call(b"w", b"h", b"x")]},
        "1 call of a function that the library does not have: w calls h",
    ),
    "calls": (
        {"nodes": [*NODES, call(b"w", b"h")], "functions": [*FUNCTIONS, body(b"k", call(b"w", b"h"))]},
        "2 calls of a function that the library does not have: w calls h, k: w calls h",
    ),
    "unknown op": (
        {"nodes": [*NODES, node(b"w", b"Zap"), node(b"w2", b"Zap")]},
        "1 op is known neither to TensorFlow 2.21 for CPUs nor to the model's own list of ops: Zap",
    ),
    "unknown op in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"w", b"Zap"), node(b"w2", b"Zap2"))]},
        "2 ops are known neither to TensorFlow 2.21 for CPUs nor to the model's own list of ops: Zap, Zap2",
    ),
    "input in a function": (
        {"functions": [*FUNCTIONS, body(b"k", identity(b"w", b"gone:output:0"))]},
        "1 input in functions names neither node nor argument: k: w takes gone",
    ),
    "returned": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"gone:output:0")]},
        "1 input in functions names neither node nor argument: k: it returns gone:output:0",
    ),
    "duplicate in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"i"))]},
        "1 name in functions occurs more than once: k: i",
    ),
    "node like an argument": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"x"))]},
        "1 name in functions occurs more than once: k: x",
    ),
    "cycle in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"a", inputs=[b"^b"]), node(b"b", inputs=[b"^a"]))]},
        "2 nodes in functions lie on a cycle, so cannot run: k: a, k: b",
    ),
    "signature": (
        {"signatures": {b"one": signature({b"x": info(b"gone:0")}, {b"y": info(b"y:0")})}},
        "1 tensor that signatures name is not in the graph: one: x is gone:0",
    ),
    "output": (
        {"signatures": {b"one": signature({b"x": info(b"x:0")}, {b"y": info(b"y:1")})}},
        "1 tensor that signatures name is not in the graph: one: y is y:1",
    ),
    "reference": (
        {"objects": object_graph([user_object([(b"v", 1), (b"w", 9)]), variable_object(b"v", [2])])},
        "1 reference of the object graph leads to objects that do not exist: w of root to object 9",
    ),
    "no value": (
        {"objects": object_graph(
            [user_object([(b"v", 1), (b"w", 2)]), variable_object(b"v", [2]), variable_object(b"w", [2])]
        )},
        "1 variable has no value in the checkpoint: w",
    ),
    "shape": (
        {"objects": object_graph([user_object([(b"v", 1)]), variable_object(b"v", [3])])},
        "1 variable differs from what the checkpoint holds: v is float32 [3], its key float32 [2]",
    ),
    "asset": ({"assets": [b"words.txt", b"gone.txt"]}, "1 asset is missing: gone.txt"),
    "asset outside": ({"assets": [b"words.txt", b"../x"]}, "1 asset name leads out of the assets folder: ../x"),
}  # fmt: skip


@pytest.mark.parametrize("defect", GRAPHS)
def test_one_defect_gets_one_sentence(tmp_path: Path, defect: str) -> None:
    replaced, sentence = GRAPHS[defect]
    assert found(write(tmp_path / "m", replaced)) == [sentence]


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


def test_ops_of_the_model_s_own_list_are_foreign(tmp_path: Path) -> None:
    graph = meta_graph(nodes=[placeholder(b"x"), node(b"w", b"Zap")])
    for op in (b"Zap", b"Placeholder"):
        graph.meta_info_def.stripped_op_list.op.add(name=op)
    (sentence,) = found(write_saved_model(tmp_path / "m", graph))
    assert sentence.startswith("1 op is not among those of TensorFlow 2.21 for CPUs")
    assert sentence.endswith(": Zap")


CHECKPOINTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "dtype": (
        lambda folder: write(folder, {}, np.ones(2, np.int32)),
        "1 variable differs from what the checkpoint holds: v is float32 [2], its key int32 [2]",
    ),
    "rank": (
        lambda folder: write(folder, {}, np.ones((2, 1), np.float32)),
        "1 variable differs from what the checkpoint holds: v is float32 [2], its key float32 [2, 1]",
    ),
    "key": (
        lambda folder: write(folder, {}, key=b"another"),
        "1 variable has no value in the checkpoint: v",
    ),
}


@pytest.mark.parametrize("defect", CHECKPOINTS)
def test_one_misfit_of_the_checkpoint_gets_one_sentence(tmp_path: Path, defect: str) -> None:
    make, sentence = CHECKPOINTS[defect]
    assert found(make(tmp_path / "m")) == [sentence]


def test_references_that_lead_nowhere_are_named_by_their_objects(tmp_path: Path) -> None:
    objects = [
        user_object([(b"v", 1), (b"a", 2)]),
        variable_object(b"v", [2]),
        user_object([(b"b", 3), (b"", -1)]),
        user_object([(b"w%d" % number, 9_000 + number) for number in range(4)]),
        user_object([(b"x", 77)]),
    ]
    folder = write(tmp_path / "m", {"objects": object_graph(objects)})
    assert found(folder) == [
        "6 references of the object graph lead to objects that do not exist: "
        '"" of a to object -1, w0 of a.b to object 9,000, w1 of a.b to object 9,001 and 3 more'
    ]
    with open_model(str(folder)) as model:
        graph = model.meta_graphs[0].objects
        assert graph is not None
        blocks = {block.title: block.lines for block in describe(ObjectSubject(graph, 3)).blocks}
        assert [(line.label, line.value, line.subject) for line in blocks["attributes that lead nowhere"]] == [
            (f"w{number}", f"object 9,00{number}, which does not exist", None) for number in range(4)
        ]
        assert "attributes that lead nowhere" not in {block.title for block in describe(ObjectSubject(graph, 0)).blocks}


def test_references_of_the_checkpoint_s_object_graph(tmp_path: Path) -> None:
    assert found(write(tmp_path / "m", {}, child=7)) == [
        "1 variable has no value in the checkpoint: v",
        "1 reference of the checkpoint's object graph leads to objects that do not exist: v of root to object 7",
    ]


def test_a_fingerprint_of_other_variables(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {})
    write_fingerprint(folder, 1)
    (sentence,) = found(folder)
    assert "does not match variables.index" in sentence
    (folder / "fingerprint.pb").write_bytes(b"\x08")
    (sentence,) = found(folder)
    assert "fingerprint cannot be read" in sentence


def test_a_function_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    # Its head can be read; its field 5, an attribute, cannot.
    bad = body(b"bad") + b"\x2a\x01\x08"
    folder = write(tmp_path / "m", {"functions": [*FUNCTIONS, bad, body(b"k", node(b"i"))]})
    assert found(folder) == [
        "1 function cannot be read: bad",
        "1 name in functions occurs more than once: k: i",
    ]


# -- variables of TensorFlow 1 --


def v1_variable(name: bytes) -> bytes:
    return node(name, b"VarHandleOp", dtype=attr(type=1), shape=attr(shape=lean("TensorShapeProto")()))


def collection(**value: list[bytes]) -> bytes:
    message = lean("CollectionDef")()
    for kind, names in value.items():
        getattr(message, kind).value.extend(names)
    return bytes(message.SerializeToString())


def test_variables_that_loading_makes_need_no_value(tmp_path: Path) -> None:
    local = lean("VariableDef")(variable_name=b"local:0").SerializeToString()
    graph = meta_graph(
        nodes=[
            *(v1_variable(name) for name in (b"kept", b"local", b"made", b"gone")),
            node(b"assign", b"AssignVariableOp", [b"made"]),
            node(b"init", inputs=[b"^assign", b"^init2"]),
            node(b"init2", inputs=[b"^assign"]),
        ],
        collections={
            b"local_variables": collection(bytes_list=[local]),
            b"saved_model_main_op": collection(node_list=[b"init"]),
        },
    )
    folder = write_saved_model(tmp_path / "m", graph)
    (folder / "variables").mkdir()
    write_bundle(folder / "variables" / "variables", {b"kept": np.ones((), np.float32)})
    assert found(folder) == ["1 variable has no value in the checkpoint: gone"]


# -- cycles --


def reachable(size: int, edges: list[tuple[int, int]]) -> list[set[int]]:
    ways: list[set[int]] = [{target for source, target in edges if source == number} for number in range(size)]
    for _ in range(size):
        for number in range(size):
            ways[number] = ways[number].union(*(ways[other] for other in ways[number]))
    return ways


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=24))
def test_cycles_are_the_nodes_that_reach_themselves(size: int, pairs: list[tuple[int, int]]) -> None:
    edges = [(source % size, target % size) for source, target in pairs]
    ways = reachable(size, edges)
    parts = cycles(size, [number for edge in edges for number in edge])
    on_cycle = {number for number in range(size) if number in ways[number]}
    assert sorted(number for part in parts for number in part) == sorted(on_cycle)
    for part in parts:
        for number in on_cycle:
            assert (number in part) == (part[0] in ways[number] and number in ways[part[0]])


def test_long_cycles_and_chains_need_no_recursion() -> None:
    size = 50_000
    ring = [number for place in range(size) for number in (place, (place + 1) % size)]
    assert [len(part) for part in cycles(size, ring)] == [size]
    assert cycles(size, ring[:-2]) == []


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), max_size=24),
    st.permutations(range(8)),
    st.booleans(),
)
def test_in_any_order_the_same_cycles_and_missing_inputs_are_found(
    pairs: list[tuple[int, int]], order: list[int], twice: bool
) -> None:
    """Of nodes 0 to 7; 8 and 9 are not there."""
    nodes = [
        node(b"n%d" % number, b"NoOp", [b"^n%d" % source for target, source in pairs if target == number])
        for number in order
    ]
    flaws = Flaws()
    GraphLint(OpDefs().find, lambda name: True, None).look(nodes + nodes[:1] * twice, flaws)
    ways = reachable(8, [(source, target) for target, source in pairs if source < 8])
    on_cycle = [number for number in range(8) if number in ways[number]]
    missing = [target for target, source in pairs if source >= 8]
    assert flaws.on_cycles.count == len(on_cycle)
    assert flaws.cycles == len(
        {
            frozenset(other for other in on_cycle if other in ways[number] and number in ways[other])
            for number in on_cycle
        }
    )
    assert flaws.missing.count == len(missing) + twice * missing.count(order[0])
    assert (flaws.duplicates.count, flaws.outputs.count) == (twice, 0)


# -- where it is shown --


def test_the_summary_s_notes_and_the_tree_s_heading_say_the_same(tmp_path: Path) -> None:
    replaced, sentence = GRAPHS["input"]
    with open_model(str(write(tmp_path / "m", replaced))) as model:
        assert sentence in next(iter(section(model, "summary")))["notes"]
        heading = next(item for item in root_items(model) if item.label == "Notes")
        assert heading.children is not None
        assert heading.children.load() == 1
        assert [item.label for item in heading.children.page(0, 9)] == [sentence]


def test_a_row_s_note_names_the_model_s_own_file_without_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {"nodes": [*NODES, DAMAGED]})
    (folder / "fingerprint.pb").write_bytes(b"\x08")
    index = folder / "variables" / "variables.index"
    index.write_bytes(index.read_bytes()[:-1])
    with open_model(str(folder)) as model:
        items = root_items(model)
        heading = next(item for item in items if item.label == "Notes")
        assert heading.children is not None
        rows = [item for item in items if item.kind == "note"] + heading.children.page(0, 9)
        whole = ["".join(line.value for line in describe(item.subject).lines()) for item in rows]
    assert [row.label for row in rows if row.label.startswith("saved_model.pb: 1 of 9 nodes")]
    assert [
        row.label for row in rows if row.label.startswith("the variables cannot be read: variables/variables.index: ")
    ]
    assert [row.label for row in rows if row.label.startswith("the fingerprint cannot be read: fingerprint.pb: ")]
    assert not [row.label for row in rows if str(folder) in row.label]
    assert [sentence.replace(f"{folder}/", "") for sentence in whole] == [row.label for row in rows]
    assert sum(str(folder) in sentence for sentence in whole) == 3


@pytest.mark.parametrize(
    ("sentence", "folders", "label"),
    [
        ("/a/m/x.pb: no", ["/a/m"], "x.pb: no"),
        ("/a/m/x.pb: no", ["/a/m/"], "x.pb: no"),
        ("/x.pb: no", ["/"], "x.pb: no"),
        ("/b/x.pb: no", ["/a/m", "/b"], "x.pb: no"),
        ("m/v/x.index: no", ["m"], "v/x.index: no"),
        ("it cannot be read: m/x.pb: no", ["m"], "it cannot be read: x.pb: no"),
        ("1 input names no node: w takes m/x", ["m"], "1 input names no node: w takes m/x"),
        ("/a/model/x.pb: no", ["/a/m"], "/a/model/x.pb: no"),
        ("/x.pb: no", [""], "/x.pb: no"),
    ],
)
def test_only_a_folder_of_the_model_s_is_left_out(sentence: str, folders: list[str], label: str) -> None:
    item = note_item(sentence, folders)
    assert item.label == label
    assert item.subject == NoteSubject(sentence)


def test_the_tree_and_the_model_s_details_do_not_lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfexplore.core import lint as module

    def never(*_: object) -> list[str]:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(module, "lint", never)
    with open_model(str(write(tmp_path / "m", {}))) as model:
        for item in root_items(model):
            assert describe(item.subject).blocks


def test_a_good_model_s_heading_says_that_nothing_was_found() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        heading = next(item for item in root_items(model) if item.label == "Notes")
        assert heading.children is not None
        assert [item.label for item in heading.children.page(0, 9)] == ["nothing found"]


def test_linting_can_be_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with open_model(str(write(tmp_path / "m", {}))) as model, pytest.raises(Cancelled):
        lint(model.meta_graphs[0], cancel)


def test_sentences_are_short_whatever_the_names(tmp_path: Path) -> None:
    nodes = [node(b"n" * 100_000 + b"%d" % place, inputs=[b"\x1b" * 100_000]) for place in range(20)]
    (sentence,) = found(write_saved_model(tmp_path / "m", meta_graph(nodes=nodes)))
    assert len(sentence) < 1000
    assert "17 more" in sentence


def test_a_tally_counts_more_than_it_names() -> None:
    tally = Tally()
    for name in "abcde":
        tally.add(name)
    assert (tally.count, str(tally)) == (5, "a, b, c and 2 more")


# Each was looked at: the files, ops and variables are indeed not there.
KNOWN = {
    "serving-half_plus_two_config": "asset",
    "serving-half_plus_two_empty_config": "asset",
    "tf-trt_2shards": "TRTEngineOp",
    "tfdf-adult_rf": "SimpleML",
    "tfx-bench_tfma_saved_model": "total_4",
    "tfx-chicago_taxi_tfma": "total_4",
}


def test_the_corpus_s_good_models_are_silent(corpus: Path) -> None:
    silent = 0
    told: dict[str, list[str]] = {}
    for path in sorted((corpus / "models").rglob("saved_model.pb")):
        with open_model(str(path)) as model:
            for meta in model.meta_graphs:
                sentences = lint(meta)
                silent += not sentences
                if sentences:
                    told.setdefault(path.relative_to(corpus / "models").parts[0], []).extend(sentences)
    assert {name: len(sentences) for name, sentences in told.items()} == dict.fromkeys(KNOWN, 1)
    assert all(word in told[name][0] for name, word in KNOWN.items())
    assert silent > 35
