"""The details of nodes, tensors and ops: what is cut leads on, what was inferred is marked."""

from __future__ import annotations

from core.saved_model_writer import (
    attr,
    function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    placeholder,
    signature,
)  # fmt: skip
from tfexplore.core.describe import describe
from tfexplore.core.detail import MAX_LINES, Detail, Line
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    OpSubject,
    RestSubject,
    Subject,
    TensorInfoSubject,
    TensorSubject,
)

MANY = 1_500


def of(*nodes: bytes, functions: list[bytes] | None = None, **more: object) -> MetaGraph:
    message = meta_graph(nodes=nodes, functions=functions or [], **more)  # type: ignore[arg-type]
    return MetaGraph(message, path="m", folder=None, checkpoint=None)


def named(owner: MetaGraph, name: str) -> NodeSubject:
    position = owner.graph.find(name)
    assert position is not None
    return NodeSubject(owner, owner.graph, None, position)


def lines(detail: Detail, title: str) -> list[Line]:
    return [line for block in detail.blocks if block.title == title for line in block.lines]


def everything(subject: Subject, title: str) -> list[Line]:
    """The lines of a block, and those that it leads on to, page by page."""
    listed = lines(describe(subject), title)
    for _ in range(100):
        rest = listed[-1].subject
        if not isinstance(rest, RestSubject):
            return listed
        listed = listed[:-1] + lines(describe(rest), title)
    raise AssertionError("the pages do not end")


def test_what_a_block_leaves_out_is_one_line_away() -> None:
    names = [b"c%04d" % number for number in range(MANY)]
    owner = of(
        placeholder(b"x"),
        *(identity(name, b"x") for name in names),
        node(b"sum", b"AddN", [*names, b"^x"], T=attr(type=1), N=attr(i=MANY)),
    )
    x, total = named(owner, "x"), named(owner, "sum")
    short = lines(describe(x), "used by")
    assert len(short) == MAX_LINES + 1
    assert short[-1].value == f"… {MANY + 1 - MAX_LINES:,} more"
    uses = everything(x, "used by")
    assert [line.value.split()[0] for line in uses] == [*(name.decode() for name in names), "sum"]
    assert uses[-1].label == "control"
    inputs = everything(total, "inputs")
    assert [line.value.split()[0] for line in inputs] == [*(name.decode() for name in names), "x"]
    assert [line.label for line in inputs[:-1]] == [str(number) for number in range(MANY)]
    identities = OpSubject(owner, owner.graph, None, "Identity")
    assert [line.value for line in everything(identities, "nodes")] == [name.decode() for name in names]


def test_arguments_and_callers_that_are_cut() -> None:
    arguments = [b"a%04d" % number for number in range(MANY)]
    calls = [node(b"call%04d" % number, b"f", [b"x"] * 3) for number in range(MANY)]
    owner = of(placeholder(b"x"), *calls, functions=[function(b"f", arguments, {name: name for name in arguments})])
    subject = FunctionSubject(owner, "f")
    for title in ("inputs", "outputs"):
        assert [line.label for line in everything(subject, title)] == [name.decode() for name in arguments]
    assert [line.value.split()[0] for line in everything(subject, "called by")] == [
        f"call{number:04d}" for number in range(MANY)
    ]


def test_control_edges_have_blocks_of_their_own() -> None:
    owner = of(
        placeholder(b"x"),
        node(b"init", b"NoOp"),
        node(b"y", b"Identity", [b"x", b"^init"], T=attr(type=1)),
        node(b"after", b"NoOp", [b"^y"]),
        identity(b"z", b"y"),
    )
    detail = describe(named(owner, "y"))
    assert [(line.label, line.value) for line in lines(detail, "inputs")] == [("0", "x  float32 [?, 3]")]
    assert [line.value for line in lines(detail, "control inputs")] == ["init  NoOp"]
    assert [line.value.split()[0] for line in lines(detail, "used by")] == ["z"]
    assert [line.value.split()[0] for line in lines(detail, "control outputs")] == ["after"]
    assert lines(describe(named(owner, "init")), "used by")[0].value == "no node of this graph takes its value"


def test_each_output_leads_to_who_takes_it() -> None:
    owner = of(
        placeholder(b"x"),
        node(b"axis", b"Const", dtype=attr(type=3)),
        node(b"split", b"Split", [b"axis", b"x"], T=attr(type=1), num_split=attr(i=3)),
        identity(b"first", b"split"),
        identity(b"second", b"split:1"),
    )
    subjects = [line.subject for line in lines(describe(named(owner, "split")), "outputs")]
    assert len(subjects) == 3
    users = []
    for number, subject in enumerate(subjects):
        assert isinstance(subject, TensorSubject)
        assert subject.number == number
        detail = describe(subject)
        assert detail.title == f"split:{number}"
        users.append([line.value.split()[0] for line in lines(detail, "used by")])
    assert users == [["first"], ["second"], ["no"]]


def test_what_a_function_or_a_signature_gives_is_a_use() -> None:
    owner = of(
        placeholder(b"x"),
        identity(b"y", b"x"),
        functions=[function(b"f", [b"a"], {b"b": b"i:output:0"}, [identity(b"i", b"a")])],
        signatures={b"serve": signature({b"in": info(b"x:0")}, {b"out": info(b"y:0")})},
    )
    use = lines(describe(named(owner, "y")), "used by")[0]
    assert isinstance(use.subject, TensorInfoSubject)
    assert use.value == "output out of the signature serve"
    body = owner.functions.get("f")
    assert body is not None
    inside = lines(describe(NodeSubject(owner, body.graph, "f", 0)), "used by")[0]
    assert isinstance(inside.subject, ArgumentSubject)
    assert (inside.label, inside.value) == ("returned as", "b")


def test_attributes_that_name_a_function_lead_to_it() -> None:
    owner = of(
        placeholder(b"x"),
        node(b"call", b"PartitionedCall", [b"x"], f=attr(func=function_name(b"f")), g=attr(func=function_name(b"no"))),
        functions=[function(b"f", [b"x"], {b"y": b"x"})],
    )
    found = {line.label: line.subject for line in lines(describe(named(owner, "call")), "attributes")}
    assert found["f"] == FunctionSubject(owner, "f")
    assert found["g"] is None


def test_inferred_shapes_are_marked_and_never_hide_stored_ones() -> None:
    owner = of(placeholder(b"x", [2, 3]), identity(b"y", b"x"), identity(b"z", b"y"))
    graph = owner.graph
    before = describe(named(owner, "y"))
    assert ("shape", "not stored") in {(line.label, line.value) for line in before.lines()}
    graph.inferred = {"y": [(None, 257)], "x": [(9, 9)]}
    after = {line.label: line.value for line in describe(named(owner, "y")).lines()}
    assert after["shape"] == "[?, 257]  inferred"
    assert {line.label: line.value for line in describe(named(owner, "x")).lines()}["shape"] == "[2, 3]"
    assert lines(describe(named(owner, "z")), "inputs")[0].value == "y  float32 [?, 257]  inferred"
    assert {line.label: line.value for line in describe(named(owner, "z")).lines()}["shape"] == "not stored"
    position = graph.find("y")
    assert position is not None
    # Wherever only stored shapes count, it is still not one.
    assert not graph.output(position, 0).shape_stored
