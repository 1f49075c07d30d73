"""The rows of the tree, counted and never stored, against a model that simply lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfexplore.core.items import Item
from tfexplore.tui.outline import _MAX_PAGES, PAGE, Node, Outline

MILLION = 1_000_000


@dataclass(frozen=True)
class Named:
    """As much of an Item as an outline looks at."""

    label: str
    children: object | None = True
    kind: str = "section"


def items(count: int, prefix: str = "") -> list[Item]:
    return [cast(Item, Named(f"{prefix}{number}")) for number in range(count)]


def page_items(node: Node, page: int) -> list[Item]:
    assert node.total is not None
    return items(max(0, min(PAGE, node.total - page * PAGE)), f"{page}:")


def listed(node: Node) -> list[tuple[Node, int]]:
    """Every open row below a node, as (parent, index): the naive model."""
    rows: list[tuple[Node, int]] = []
    for index in range(node.total or 0):
        rows.append((node, index))
        child = node.child(index)
        if child is not None and child.expanded:
            rows += listed(child)
    return rows


def check(outline: Outline) -> list[tuple[Node, int]]:
    expected = listed(outline.root)
    assert len(outline) == len(expected)
    assert outline.row(-1) is None
    assert outline.row(len(expected)) is None
    for number, (row, (parent, index)) in enumerate(zip(outline.rows(0, len(expected) + 5), expected, strict=True)):
        assert row.parent is parent
        assert row.index == index
        assert row.node is parent.child(index)
        if row.node is not None:
            assert outline.number(row.node) == number
            assert row.node.depth == parent.depth + 1
    return expected


steps = st.lists(
    st.tuples(
        st.sampled_from(["toggle", "toggle", "collapse", "page"]),
        st.integers(0, 10_000),
        st.sampled_from([0, 1, 2, 3, 20, PAGE - 1, PAGE, PAGE + 1, 600]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150)
@given(first=st.integers(0, 30) | st.just(PAGE + 3), steps=steps)
def test_rows_are_those_of_the_naive_model(first: int, steps: list[tuple[str, int, int]]) -> None:
    outline = Outline(items(first))
    open_nodes: list[Node] = []
    rows = check(outline)
    for action, place, total in steps:
        if not rows or len(rows) > 4_000:
            break
        parent, index = rows[place % len(rows)]
        node = parent.child(index)
        if action == "collapse" and open_nodes:
            node = open_nodes[place % len(open_nodes)]  # also one whose row is hidden
            outline.collapse(node)
        elif node is None or action == "page":
            if parent is not outline.root and not parent.has_page(index // PAGE):
                parent.keep_page(index // PAGE, page_items(parent, index // PAGE))
        elif node.expanded:
            outline.collapse(node)
        else:
            outline.expand(node, node.total if node.total is not None else total)
            open_nodes.append(node)
        rows = check(outline)
    for node in open_nodes:
        number = outline.number(node)
        assert number is None or ((row := outline.row(number)) is not None and row.node is node)


def test_an_empty_outline() -> None:
    outline = Outline()
    assert len(outline) == 0
    assert outline.row(0) is None
    assert list(outline.rows(0, 10)) == []


def test_what_was_open_below_a_closed_branch_is_open_again() -> None:
    outline = Outline(items(3))
    first = outline.root.child(0)
    assert first is not None
    outline.expand(first, 2)
    first.keep_page(0, items(2))
    below = first.child(1)
    assert below is not None
    outline.expand(below, 4)
    assert len(outline) == 3 + 2 + 4
    outline.collapse(first)
    assert len(outline) == 3
    assert outline.number(below) is None
    outline.expand(first, 2)
    assert len(check(outline)) == 9
    assert outline.number(below) == 2


def test_expanding_twice_and_collapsing_twice_changes_nothing() -> None:
    outline = Outline(items(2))
    node = outline.root.child(1)
    assert node is not None
    outline.expand(node, 5)
    outline.expand(node, 5)
    assert len(outline) == 7
    outline.collapse(node)
    outline.collapse(node)
    assert len(outline) == 2
    outline.collapse(outline.root)
    assert len(outline) == 2


def million() -> tuple[Outline, Node]:
    outline = Outline(items(3))
    node = outline.root.child(1)
    assert node is not None
    node.keep_page(0, items(PAGE))
    outline.expand(node, MILLION)
    return outline, node


def kept(node: Node) -> int:
    return sum(len(page) for page in node.pages.values())


def test_a_million_children_cost_what_their_pages_cost() -> None:
    outline, node = million()
    assert len(outline) == MILLION + 3
    assert kept(node) == PAGE
    for number in (2, 300, 500_000, MILLION + 1):
        row = outline.row(number)
        assert row is not None
        assert (row.parent, row.index) == (node, number - 2)
    last = outline.row(MILLION + 2)
    assert last is not None
    assert last.node is outline.root.child(2)
    for page in range(0, MILLION // PAGE, 7):
        node.keep_page(page, items(PAGE))
    assert kept(node) <= _MAX_PAGES * PAGE
    assert len(outline) == MILLION + 3


def test_pages_with_open_children_are_kept() -> None:
    outline, node = million()
    child = node.child(9)
    assert child is not None
    outline.expand(child, 3)
    for page in range(1, 200):
        node.keep_page(page, items(PAGE))
    assert node.child(9) is child
    assert outline.number(child) == 2 + 9
    after = outline.row(2 + 9 + 3 + 1)
    assert after is not None
    assert (after.parent, after.index) == (node, 10)


def test_the_newest_page_is_never_the_one_that_goes() -> None:
    _, node = million()
    for page in (*range(60), 3_999, 0, 2_000):
        node.keep_page(page, items(PAGE))
        assert node.has_page(page)


@pytest.mark.parametrize("spot", [0, PAGE, 2 * PAGE - 1, MILLION - 1])
def test_open_children_far_apart_are_counted(spot: int) -> None:
    outline, node = million()
    node.keep_page(spot // PAGE, items(PAGE))
    child = node.child(spot)
    assert child is not None
    outline.expand(child, MILLION)
    assert len(outline) == 2 * MILLION + 3
    assert outline.number(child) == 2 + spot
    inside = outline.row(2 + spot + 1 + 777_777)
    assert inside is not None
    assert (inside.parent, inside.index) == (child, 777_777)
    last: Any = outline.row(2 * MILLION + 2)
    assert last.node is outline.root.child(2)


def test_newer_roots_keep_what_is_open() -> None:
    outline = Outline(items(5))
    node = outline.root.child(3)
    assert node is not None
    node.keep_page(0, items(4, "below "))
    outline.expand(node, 4)
    outline.refresh([*items(1, "note "), *items(5)])
    check(outline)
    assert outline.number(node) == 4
    assert node.expanded
    assert len(outline) == 10
    assert [row.node.item.label for row in outline.rows(0, 3) if row.node and row.node.item] == ["note 0", "0", "1"]
