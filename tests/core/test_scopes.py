"""Scopes as ranges of a sorted list, against a tree built name by name."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import write_bundle
from tfexplore.core import scopes
from tfexplore.core.items import Item
from tfexplore.core.natural import natural_key
from tfexplore.core.opener import open_model
from tfexplore.core.tree import root_items

Rows = list[tuple[str, int, "Rows"]]  # (shown name, how many things end here, what lies below)


@dataclass
class Scope:
    """One scope of the tree built name by name."""

    leaves: int = 0
    below: dict[str, Scope] = field(default_factory=dict)


def naive(names: list[str]) -> Rows:
    """The rows that `children` should give, level by level."""
    root = Scope()
    for name in names:
        scope = root
        for part in name.split("/"):
            scope = scope.below.setdefault(part, Scope())
        scope.leaves += 1
    return _rows(root)


def _rows(scope: Scope) -> Rows:
    found: Rows = []
    for name, below in scope.below.items():
        # A mere scope with one mere scope in it is one row.
        while not below.leaves and len(below.below) == 1:
            part, only = next(iter(below.below.items()))
            if not only.below:
                break
            if only.leaves:
                break
            name, below = f"{name}/{part}", only
        found.append((name, below.leaves, _rows(below)))
    return sorted(found, key=lambda row: natural_key(row[0]))


def shown(names: list[str], lo: int, hi: int, depth: int) -> Rows:
    found: Rows = []
    for entry in scopes.children(names, lo, hi, depth):
        assert lo <= entry.lo < hi
        assert all(names[position][depth:] == entry.name for position in entry.leaves)
        below = (
            shown(names, entry.below.start, entry.below.stop, entry.depth)
            if len(entry.below)
            else []
        )  # fmt: skip
        found.append((entry.name, len(entry.leaves), below))
    return found


parts = st.sampled_from(["a", "b", "a-", "a0", "", "layer2", "layer10", "é", "日", "\x1b", "."])
name_lists = st.lists(st.lists(parts, min_size=1, max_size=5).map("/".join), max_size=25)


@given(name_lists)
def test_every_level_is_as_in_a_tree(names: list[str]) -> None:
    names = sorted(names)
    assert shown(names, 0, len(names), 0) == naive(names)


@given(st.lists(st.text(alphabet="ab/", max_size=7), max_size=30))
def test_short_names_with_many_slashes(names: list[str]) -> None:
    names = sorted(names)
    assert shown(names, 0, len(names), 0) == naive(names)


def count(rows: Rows) -> int:
    return sum(leaves + count(below) for _, leaves, below in rows)


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6), max_size=20))
def test_no_name_is_lost_or_shown_twice(names: list[str]) -> None:
    names = sorted(names)
    assert count(shown(names, 0, len(names), 0)) == len(names)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], []),
        (["a"], [("a", 1, [])]),
        (["a", "a"], [("a", 2, [])]),
        (["a", "a-b", "a/b"], [("a", 1, [("b", 1, [])]), ("a-b", 1, [])]),
        (["a/b/c", "a/b/d"], [("a/b", 0, [("c", 1, []), ("d", 1, [])])]),
        (["a//b"], [("a/", 0, [("b", 1, [])])]),
        (["/"], [("", 0, [("", 1, [])])]),
        (["l/10", "l/2"], [("l", 0, [("2", 1, []), ("10", 1, [])])]),
        ([""], [("", 1, [])]),
    ],
)
def test_examples(names: list[str], wanted: Rows) -> None:
    assert shown(sorted(names), 0, len(names), 0) == wanted


def test_above_the_limit_plain_order_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "NATURAL_LIMIT", 2)
    names = sorted(["l10", "l2", "l3"])
    assert [entry.name for entry in scopes.children(names, 0, 3, 0)] == ["l10", "l2", "l3"]


def test_a_deep_name_needs_no_deep_recursion() -> None:
    name = "/".join("ab" * 20_000)
    entries = scopes.children([name, name], 0, 2, 0)
    assert len(entries) == 1
    assert entries[0].below == range(2)


def test_keys_that_are_not_utf8_stand_under_their_own_scope(tmp_path: object) -> None:
    # In the order of their bytes \x80 comes before é; as str the surrogate escape comes after it.
    keys = [b"a/x", b"\x80/x", b"\x80/y", "é/x".encode(), "é/y".encode(), "\ufffd/x".encode(), b"\xff/x", b"\xff/y"]
    write_bundle(f"{tmp_path}/m", {key: np.zeros(1, np.float32) for key in keys})
    with open_model(f"{tmp_path}/m") as model:
        section = next(item for item in root_items(model) if item.label == "Keys")
        found = []

        def walk(item: Item, above: tuple[str, ...]) -> None:
            if item.kind == "key":
                found.append(("/".join([*above, item.label]), item.subject.key))
            if item.children is not None:
                rows = item.children.page(0, item.children.load())
                assert len({row.label for row in rows}) == len(rows)
                for row in rows:
                    walk(row, above if item is section else (*above, item.label))

        walk(section, ())
    assert sorted(label for label, _ in found) == sorted(key.decode("utf-8", "surrogateescape") for key in keys)
    assert all(label == key for label, key in found)
