"""Flat lists in their orders, tensors by number, completion: against naive ones."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import attr, function, identity, meta_graph, node, placeholder, tensor, write_saved_model
from formats.table_writer import write_bundle
from tfexplore.core import lists, orders
from tfexplore.core.complete import Names, key_names, node_names
from tfexplore.core.describe import describe
from tfexplore.core.graph import Graph
from tfexplore.core.natural import natural_key
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.opener import open_model
from tfexplore.core.orders import SIZE, TensorIndex, by_name, by_size
from tfexplore.core.sections import Options, section
from tfexplore.core.subjects import SectionSubject
from tfexplore.errors import Cancelled, NotFoundError, UsageError

NODES = [
    placeholder(b"layer10/x", [2, 3]),
    node(b"layer2/big", b"Const", dtype=attr(type=1), value=attr(tensor=tensor(1, [100], float_val=[1.0]))),
    identity(b"layer2/y", b"layer10/x"),
    node(b"a/split", b"Split", [b"layer2/y", b"layer2/y"], T=attr(type=1), num_split=attr(i=3)),
    node(b"z", b"NoOp"),
    node(b"own", b"NobodyKnows"),
]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    body = function(b"f", [b"p", b"q"], {b"out": b"r:output:0"}, [identity(b"r", b"p")])
    folder = write_saved_model(tmp_path / "model", meta_graph(nodes=NODES, functions=[body]))
    (folder / "variables").mkdir(exist_ok=True)
    values = {b"k10": np.ones(50, np.float32), b"k2": np.ones(3, np.int64), b"k3": np.ones((10, 10), np.float64)}
    write_bundle(folder / "variables" / "variables", values)
    with open_model(str(folder)) as opened:
        yield opened


def labels(found: lists.FlatList) -> list[str]:
    assert found.load() == len(found)
    rows = [found.row(place).label for place in range(len(found))]
    assert [item.label for item in found.page(0, len(found) + 5)] == rows
    return rows


def test_each_list_in_each_order(model: Any) -> None:
    owner = model.meta_graph()
    assert labels(lists.nodes(owner)) == ["a/split", "layer2/big", "layer2/y", "layer10/x", "own", "z"]
    assert labels(lists.nodes(owner, "f")) == ["r"]
    assert labels(lists.ops(owner, sort="name")) == ["Const", "Identity", "NoOp", "NobodyKnows", "Placeholder", "Split"]
    assert labels(lists.tensors(owner)) == [
        "a/split:0", "a/split:1", "a/split:2", "layer2/big:0", "layer2/y:0", "layer10/x:0",
    ]  # fmt: skip
    by_bytes = lists.tensors(owner, sort="size")
    assert labels(by_bytes)[:2] == ["layer2/big:0", "layer10/x:0"]
    assert by_bytes.row(0).columns == ("400 B",)
    assert labels(lists.tensors(owner, "f")) == ["p:0", "q:0", "r:0"]
    assert labels(lists.keys(model.checkpoint, owner)) == ["k2", "k3", "k10"]
    assert labels(lists.keys(model.checkpoint, owner, sort="size")) == ["k3", "k10", "k2"]
    assert lists.variables(owner).load() == 0


def test_ops_are_counted_and_lead_to_their_nodes(tmp_path: Path) -> None:
    nodes = [node(b"n%d" % number, b"NoOp") for number in range(3)] + [placeholder(b"x")]
    with open_model(str(write_saved_model(tmp_path / "ops", meta_graph(nodes=nodes)))) as model:
        found = lists.ops(model.meta_graph())
        assert [(found.row(place).label, found.row(place).note) for place in (0, 1)] == [
            ("NoOp", "3"),
            ("Placeholder", "1"),
        ]
        below = found.row(0).children
        assert below is not None
        assert [item.label for item in below.page(0, 9)] == ["n0", "n1", "n2"]
        detail = describe(found.row(0).subject)
        assert (detail.kind, detail.title) == ("Op", "NoOp")
        facts = {line.label: line.value for line in detail.blocks[0].lines}
        assert facts == {"does": "does nothing; others wait for it", "nodes": "3"}


def test_what_is_not_there(model: Any) -> None:
    with pytest.raises(UsageError, match="nodes are sorted by name"):
        lists.nodes(model.meta_graph(), sort="size")
    with pytest.raises(NotFoundError):
        lists.nodes(model.meta_graph(), "nothing_such")
    with pytest.raises(IndexError):
        lists.nodes(model.meta_graph()).row(6)


def test_every_row_leads_somewhere(model: Any) -> None:
    owner = model.meta_graph()
    for found in (
        lists.nodes(owner),
        lists.ops(owner),
        lists.tensors(owner),
        lists.tensors(owner, "f"),
        lists.keys(model.checkpoint),
    ):
        for place in range(len(found)):
            assert describe(found.row(place).subject).title


@given(st.lists(st.tuples(st.text(alphabet="ab019/", max_size=5), st.integers(0, 3)), max_size=20))
def test_orders(things: list[tuple[str, int]]) -> None:
    names = [name for name, _ in things]
    assert [names[position] for position in by_name(names)] == sorted(names, key=natural_key)
    found = by_size([size for _, size in things], names)
    assert [things[position] for position in found] == sorted(
        things, key=lambda thing: (-thing[1], natural_key(thing[0]))
    )


def test_many_names_stand_in_plain_order_first(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    monkeypatch.setattr("tfexplore.core.lists.NATURAL_LIMIT", 2)
    owner = model.meta_graph()
    for make in (lists.nodes, lists.tensors):
        found = make(owner)
        assert found.sort == found.sorts[0] == "plain"
        assert labels(found) == sorted(labels(found))
        assert labels(found) != labels(make(owner, sort="name"))
        assert sorted(labels(found)) == sorted(labels(make(owner, sort=found.sorts[-1])))
    keys = lists.keys(model.checkpoint, owner)
    assert keys.sorts == ("plain", "name", "size")
    assert labels(keys) == ["k10", "k2", "k3"]
    assert lists.ops(owner).sorts == ("count", "name")


def test_names_and_places(model: Any) -> None:
    owner = model.meta_graph()
    every = [
        *(lists.nodes(owner, sort=sort) for sort in ("name", "plain")),
        *(lists.tensors(owner, sort=sort) for sort in ("name", "plain", "size")),
        *(lists.ops(owner, sort=sort) for sort in ("count", "name")),
        *(lists.keys(model.checkpoint, sort=sort) for sort in ("name", "plain", "size")),
        lists.tensors(owner, "f"),
        lists.nodes_of_op(lists.ops(owner).row(0).subject),  # type: ignore[arg-type]
    ]
    for found in every:
        assert [found.name(place) for place in range(len(found))] == labels(found)
        for place in range(len(found)):
            subject = found.row(place).subject
            at = found.place_of(subject)
            # A node's subject is that of its first tensor.
            assert at is not None
            assert found.row(at).subject == subject
            assert found.what == "tensor" or at == place
        assert found.place_of(SectionSubject("Graph", "")) is None
    assert lists.nodes(owner).place_of(lists.nodes(owner, "f").row(0).subject) is None
    assert lists.tensors(owner).place_of(lists.nodes(owner, "f").row(0).subject) is None
    z = next(item for item in lists.nodes(owner).page(0, 9) if item.label == "z")
    assert lists.tensors(owner).place_of(z.subject) is None  # it puts nothing out


@given(st.lists(st.text(alphabet="ab019/\n\0", max_size=6), max_size=30))
def test_orders_are_the_same_in_parts(names: list[str]) -> None:
    whole = by_name(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "_BUCKETED", -1)
        patch.setattr(orders, "_BUCKETS", 2)
        assert [names[place] for place in by_name(names)] == [names[place] for place in whole]
        patch.setattr(orders, "_MAX_CHARACTERS", -1)
        assert [names[place] for place in by_name(names)] == sorted(names)
    assert [names[place] for place in orders.in_plain_order(names)] == sorted(names)


def test_an_order_can_be_cancelled() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        by_name([str(number) for number in range(5_000)], cancel)


@given(st.lists(st.tuples(st.sampled_from([b"NoOp", b"Const", b"Split", b"What"]), st.integers(0, 3)), max_size=8))
def test_tensors_by_number_are_those_of_the_graph(made: list[tuple[bytes, int]]) -> None:
    raw = [
        node(b"n%d" % place, op, T=attr(type=1), dtype=attr(type=3), num_split=attr(i=count))
        for place, (op, count) in enumerate(made)
    ]
    graph = Graph(raw, OpDefs(), path="m.pb", arguments=[("x", 1, (2,), True)], is_function=True)
    index = TensorIndex(graph)
    assert list(index) == list(graph.iter_tensors())
    assert [graph.output_count(position) for position in range(len(raw))] == [
        len(graph.outputs(position)) for position in range(len(raw))
    ]
    assert sorted(index.by_size()) == list(range(len(index)))


@pytest.mark.parametrize(
    ("name", "sort", "field", "first"),
    [
        ("nodes", "name", "name", "a/split"),
        ("ops", "name", "op", "Const"),
        ("ops", "count", "op", "Const"),
        ("tensors", "size", "name", "layer2/big:0"),
        ("tensors", "name", "name", "a/split:0"),
        ("keys", "size", "name", "k3"),
        ("keys", "name", "name", "k2"),
        ("functions", "count", "name", "f"),
    ],
)
def test_sections_take_an_order(model: Any, name: str, sort: str, field: str, first: str) -> None:
    plain, rows = list(section(model, name)), list(section(model, name, Options(sort=sort)))
    assert rows[0][field] == first
    assert sorted(map(str, plain)) == sorted(map(str, rows))
    assert SIZE == "size"


# -- completion --


def naive(names: list[str], prefix: str) -> list[str]:
    found = []
    for name in names:
        if name.startswith(prefix):
            slash = name.find("/", len(prefix))
            shown = name if slash < 0 or slash == len(name) - 1 else name[: slash + 1]
            if shown not in found:
                found.append(shown)
    return found


name_lists = st.lists(st.text(alphabet="ab/0-", max_size=6), max_size=20)


@given(name_lists, st.text(alphabet="ab/", max_size=3), st.integers(1, 5))
def test_completion_is_as_a_loop_gives_it(names: list[str], prefix: str, limit: int) -> None:
    names = sorted(names)
    found = Names(names).complete(prefix, limit)
    assert len(found) <= limit
    assert all(proposal.startswith(prefix) for proposal in found)
    wanted = naive(names, prefix)
    while len(wanted) == 1 and wanted[0].endswith("/") and wanted != [prefix] and naive(names, wanted[0]):
        if naive(names, wanted[0]) == wanted:
            break
        wanted = naive(names, wanted[0])
    assert found == wanted[:limit]


def test_tensors_are_completed_behind_the_colon(model: Any) -> None:
    graph = model.meta_graph().graph
    names = node_names(graph)
    assert names.complete("") == ["a/", "layer10/", "layer2/", "own", "z"]
    assert names.complete("la") == ["layer10/", "layer2/"]
    assert names.complete("layer2/") == ["layer2/big", "layer2/y"]
    assert names.complete("layer1") == ["layer10/x"]
    assert names.complete("a/split:") == ["a/split:0", "a/split:1", "a/split:2"]
    assert names.complete("a/split:", 2) == ["a/split:0", "a/split:1"]
    assert names.complete("a/split:1") == ["a/split:1"]
    assert [names.complete(odd) for odd in ("a/split:9", "a/split:x", "nothing:0", "z:", ":")] == [[]] * 5
    assert key_names(model.checkpoint).complete("k") == ["k10", "k2", "k3"]
