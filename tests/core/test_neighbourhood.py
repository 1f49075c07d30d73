"""The picture of a node and its neighbours: golden text, and that it keeps its width whatever the names are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import attr, identity, node, placeholder
from tfexplore.core import text
from tfexplore.core.graph import Graph
from tfexplore.core.neighbourhood import MIN_WIDTH, grown, neighbours, picture, picture_of_two
from tfexplore.core.op_defs import OpDefs

NODES = (
    placeholder(b"x"),
    placeholder(b"dense/kernel", [3, 4]),
    node(b"dense/MatMul", b"MatMul", [b"x", b"dense/kernel", b"^init", b"gone:1"], T=attr(type=1)),
    node(b"init", b"NoOp"),
    identity(b"relu", b"dense/MatMul"),
    node(b"sum", b"AddN", [b"dense/MatMul", b"dense/MatMul"], T=attr(type=1), N=attr(i=2)),
)


BESIDE = """\
x  Placeholder ─────────────────── float32 [?, 3] ┐ ┌──────────────┐ ┌ float32 not stored ─ relu  Identity
dense/kernel  Placeholder ──────── float32 [3, 4] ┤ │ dense/MatMul │ ├ float32 not stored ─ sum  AddN
init  NoOp ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ control ┼─┤ MatMul       ├─┴ float32 not stored ─ sum  AddN
gone:1  missing ─────────────────────── not known ┘ └──────────────┘
"""
STACKED = """\
 ┌─ float32 [?, 3] ── x  Placeholder
 ├─ float32 [3, 4] ── dense/kernel  Placeholder
 ├┄ control ┄┄┄┄┄┄┄┄┄ init  NoOp
 ├─ not known ─────── gone:1  missing
┌┴─────────────┐
│ dense/MatMul │
│ MatMul       │
└┬─────────────┘
 ├─ float32 not stored ── relu  Identity
 ├─ float32 not stored ── sum  AddN
 └─ float32 not stored ── sum  AddN
"""


def graph(*raw: bytes) -> Graph:
    return Graph(raw, OpDefs(), path="m.pb")


def drawn(found: Graph, name: str, width: int, **options: int | bool) -> list[str]:
    position = found.find(name)
    assert position is not None
    limit = int(options.get("limit", 12))
    rows = picture(neighbours(found, position, limit=limit), width, ascii_only=bool(options.get("ascii_only")))
    return [row.text for row in rows]


def test_beside_the_node_where_there_is_room() -> None:
    assert drawn(graph(*NODES), "dense/MatMul", 120) == BESIDE.splitlines()


def test_above_and_below_it_else() -> None:
    assert drawn(graph(*NODES), "dense/MatMul", 60) == STACKED.splitlines()


def test_what_is_cut_is_said() -> None:
    found = graph(placeholder(b"x"), *(identity(b"use%d" % number, b"x") for number in range(30)))
    for width in (60, 120):
        rows = drawn(found, "x", width, limit=3)
        assert any("… 27 more" in row for row in rows)
        assert any("nothing goes in" in row for row in rows)
        assert sum("use" in row for row in rows) == 3
    assert any("nobody takes it" in row for row in drawn(found, "use1", 60))


def test_edges_are_named_by_their_lines() -> None:
    found = neighbours(graph(*NODES), 2)
    assert [edge.node for edge in found.producers] == [0, 1, 3, None]
    assert [edge.node for edge in found.consumers] == [4, 5, 5]
    for width in (50, 110):
        rows = picture(found, width)
        assert [row.left for row in rows if row.left is not None] == [0, 1, 2, 3]
        assert [row.right for row in rows if row.right is not None] == [0, 1, 2]


def test_ascii() -> None:
    for width in (60, 120):
        assert all(row.isascii() for row in drawn(graph(*NODES), "dense/MatMul", width, ascii_only=True))


LONG = b"n" * 300
odd_names = st.sampled_from(
    [b"a", b"\x1b[31m", b"a\nb", b"\xff" * 9, "日本語".encode() * 9, LONG, b"[/]", b"e\xcc\x81"]
)


@given(odd_names, odd_names, st.integers(0, 140), st.integers(0, 4), st.integers(0, 4))
def test_it_keeps_its_width_whatever_the_names_are(
    first: bytes, second: bytes, width: int, producers: int, consumers: int
) -> None:
    sources = [b"%d/" % number + first for number in range(producers)]
    nodes = [
        *map(placeholder, sources),
        node(
            second,
            b"AddN",
            [b"%d/" % number + first for number in range(producers)],
            T=attr(type=1),
            N=attr(i=producers),
        ),
        *(identity(b"use%d" % number + first, second) for number in range(consumers)),
    ]
    for limit in (2, 12):
        rows = picture(neighbours(graph(*nodes), producers, limit=limit), width)
        for row in rows:
            assert text.width(row.text) <= max(width, MIN_WIDTH)
            assert row.text.isprintable()


TWO = """\
 ┌── float32 [?, 3] ── x  Placeholder
 ├── float32 [3, 4] ── dense/kernel  Placeholder
 ├── control ┄┄ init  NoOp
 ├── not known ── gone:1  missing
┌┴─────────────┐
│ dense/MatMul │
│ MatMul       │
└┬─────────────┘
 ├─┬ float32 not stored ── relu  Identity
 │ └─ float32 not stored ── last  Identity
 ├── float32 not stored ── sum  AddN
 └── float32 not stored ── sum  AddN
"""
OF_RELU = """\
   ┌─ float32 [?, 3] ── x  Placeholder
   ├─ float32 [3, 4] ── dense/kernel  Placeholder
   ├─ control ┄┄ init  NoOp
   ├─ not known ── gone:1  missing
 ┌─┴ float32 not stored ── dense/MatMul  MatMul
┌┴─────────┐
│ relu     │
│ Identity │
└┬─────────┘
 └── float32 not stored ── last  Identity
"""


def two_levels(found: Graph, name: str, width: int) -> list[str]:
    position = found.find(name)
    assert position is not None
    rows = picture_of_two(grown(found, neighbours(found, position)), width)
    return [row.text for row in rows]


def test_two_levels() -> None:
    found = graph(*NODES, identity(b"last", b"relu"))
    assert two_levels(found, "dense/MatMul", 120) == TWO.splitlines()
    assert two_levels(found, "relu", 80) == OF_RELU.splitlines()


def test_rows_of_two_levels_say_which_edge_they_are() -> None:
    found = graph(*NODES, identity(b"last", b"relu"))
    position = found.find("relu")
    assert position is not None
    around = grown(found, neighbours(found, position))
    rows = picture_of_two(around, 80)
    for row in rows:
        edges = around.producers if row.left is not None else around.consumers
        number = row.left if row.left is not None else row.right
        if number is None:
            continue
        edge = edges[number] if row.further is None else edges[number].further[row.further]
        assert text.label(edge.name) in row.text
    assert sum(row.further is not None for row in rows) == 4


@given(st.lists(st.text(max_size=60).filter(bool), min_size=1, max_size=20, unique=True), st.integers(1, 130))
def test_two_levels_keep_their_width(names: list[str], width: int) -> None:
    encoded = [name.encode() for name in names if "\x00" not in name] or [b"x"]
    found = graph(
        placeholder(b"start"),
        *(identity(name, b"start") for name in encoded),
        node(b"end", b"AddN", encoded, T=attr(type=1), N=attr(i=len(encoded))),
        identity(b"after", b"end"),
    )
    for name in ("end", "start", "after"):
        for line in two_levels(found, name, width):
            assert text.width(line) <= max(width, MIN_WIDTH), line
            assert line.isprintable()
