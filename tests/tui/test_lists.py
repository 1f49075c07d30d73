"""The flat lists in the tree's place: every key, what is kept, what is said where there is nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.saved_model_writer import (
    attr,
    function,
    function_name,
    identity,
    meta_graph,
    node,
    placeholder,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore.core import lists as core_lists
from tfexplore.core import text
from tfexplore.core.items import Item
from tfexplore.core.subjects import NodeSubject, NoteSubject, OpSubject
from tfexplore.errors import ModelError
from tfexplore.formats.table import check_cancel
from tfexplore.tui.topics import Tab
from tfexplore.tui.widgets.flat_list import FlatListView
from tui.driving import TRAINING, Driver, explorer, pane_lines
from tui.hostile import KEYS, NAMES, write_hostile_bundle, write_hostile_model

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["wide", "narrow"])


def view(driver: Driver) -> FlatListView:
    return driver.app.screen_stack[0].query_one(FlatListView)


def lists(driver: Driver) -> Any:
    assert driver.session.lists is not None
    return driver.session.lists


def title(driver: Driver) -> str:
    """The lists' title, without its styles."""
    content = view(driver)._border_title
    assert content is not None
    return content.plain


def names(driver: Driver) -> list[str]:
    rows = lists(driver).rows
    return [rows.name(place) for place in range(len(rows))]


async def read(driver: Driver) -> None:
    """Waits until the list's row under the cursor has been read, and its detail."""

    def done() -> bool:
        found, shown = driver.session.lists, driver.session.shown
        if found is None or found.rows is None or shown is None or shown.detail is None:
            return False
        return not len(found.rows) or (found.subject is not None and shown.subject == found.subject)

    await driver.until(done)
    await driver.pilot.pause()


async def shown(driver: Driver, name: str = "nodes") -> None:
    """Opens the lists and goes to one."""
    if driver.session.lists is None:
        await driver.press("t")
        await driver.until(lambda: driver.session.lists is not None)
    await read(driver)
    while lists(driver).name != name:
        before = lists(driver).name
        await driver.press("right")
        await driver.until(lambda: lists(driver).name != before)  # noqa: B023
        await read(driver)


def model(folder: Path, **more: Any) -> Path:
    body = function(b"inner", [b"p"], {b"out": b"r:output:0"}, [identity(b"r", b"p"), identity(b"q", b"r:output:0")])
    nodes = [placeholder(b"layer10/x", [2, 3]), identity(b"layer2/y", b"layer10/x"), node(b"z", b"NoOp")]
    nodes += [node(b"a/split", b"Split", [b"z", b"z"], T=attr(type=1), num_split=attr(i=3))]
    return write_saved_model(folder / "model", meta_graph(nodes=nodes, functions=[body], **more))


@SIZES
async def test_t_shows_the_lists_and_the_tree_again(size: tuple[int, int]) -> None:
    async with explorer(size=size) as driver:
        await driver.press("down", "down")
        await driver.settled()
        await driver.press("t")
        await driver.until(lambda: view(driver).has_focus)
        assert not driver.tree.display
        await read(driver)
        assert lists(driver).name == "nodes"
        assert "[nodes " in title(driver)
        for other in ("ops", "tensors", "variables", "keys"):
            assert f"│ {other}" in title(driver)
        assert str(view(driver).border_subtitle) == "by name"
        assert isinstance(driver.session.pointed_at, NodeSubject)
        await driver.press("down", "down", "down")
        await read(driver)
        assert driver.title == names(driver)[3]
        row = pane_lines(view(driver))[3]
        assert row.startswith("● ")
        item = lists(driver).row(3)
        assert row.split()[1:] == [item.label, "int64", "[]", item.note]
        await driver.press("t")
        await driver.until(lambda: driver.tree.has_focus)
        assert driver.session.lists is None
        assert driver.session.cursor == 2
        await driver.settled()
        await driver.press("t")
        await driver.until(lambda: view(driver).has_focus)
        assert lists(driver).cursor == 3
        await read(driver)


async def test_keys_go_from_list_to_list() -> None:
    async with explorer() as driver:
        await shown(driver)
        every = ["nodes", "ops", "tensors", "variables", "keys"]
        for keys, order in (("right", every[1:] + every[:1]), ("greater_than_sign", every[1:] + every[:1])):
            for name in order:
                await driver.press(keys)
                await driver.until(lambda: lists(driver).name == name)  # noqa: B023
                await read(driver)
                count = len(lists(driver).rows)
                assert f"[{name} {count:,}]" in title(driver)
        for keys in ("left", "less_than_sign"):
            before = lists(driver).name
            await driver.press(keys)
            await driver.until(lambda: lists(driver).name != before)  # noqa: B023
            await read(driver)
            assert lists(driver).name == every[every.index(before) - 1]


async def test_s_sorts_and_the_cursor_stays_on_its_row() -> None:
    async with explorer() as driver:
        await shown(driver, "variables")
        await driver.press("end")
        await read(driver)
        at, by_name = lists(driver).subject, names(driver)
        await driver.press("s")
        await driver.until(lambda: lists(driver).order == "by size")
        await read(driver)
        assert lists(driver).subject == at
        sizes = [lists(driver).rows.row(place).subject.variable.nbytes for place in range(len(by_name))]
        assert sizes == sorted(sizes, reverse=True)
        assert str(view(driver).border_subtitle) == "by size"
        await driver.press("s")
        await driver.until(lambda: lists(driver).order == "by name")
        await read(driver)
        assert names(driver) == by_name
        await shown(driver, "nodes")  # one order only
        await driver.press("s")
        assert lists(driver).order == "by name"
        assert not lists(driver).can_sort


async def test_an_op_opens_its_nodes_and_backspace_returns() -> None:
    async with explorer() as driver:
        await shown(driver, "ops")
        await driver.press("down")
        await read(driver)
        op = lists(driver).subject
        assert isinstance(op, OpSubject)
        count = int(lists(driver).row(1).note.replace(",", ""))
        await driver.press("enter")
        await driver.until(lambda: lists(driver).op == op.op)
        await read(driver)
        assert len(lists(driver).rows) == count
        assert f"[ops {len(op.graph.op_counts())}] ▸ {op.op} {count}" in title(driver)
        subject = lists(driver).subject
        assert isinstance(subject, NodeSubject)
        assert op.graph.ops[subject.position] == op.op
        await driver.press("enter")
        await driver.until(lambda: driver.detail.has_focus)
        await driver.press("backspace")  # nothing to go back to in the details
        await driver.until(lambda: view(driver).has_focus)
        await driver.press("backspace")
        await driver.until(lambda: lists(driver).op is None)
        assert lists(driver).cursor == 1
        await read(driver)
        assert lists(driver).subject == op


@pytest.mark.parametrize("key", ["enter", "space"])
async def test_enter_and_space_go_to_the_details(key: str) -> None:
    async with explorer() as driver:
        for name in ("nodes", "tensors", "variables", "keys"):
            await shown(driver, name)
            await driver.press(key)
            await driver.until(lambda: driver.detail.has_focus)
            assert driver.session.shown is not None
            assert driver.session.shown.subject == lists(driver).subject
            await driver.press("tab")
            await driver.until(lambda: view(driver).has_focus)


async def test_clicks_and_moves() -> None:
    async with explorer(size=(80, 24)) as driver:
        await shown(driver, "keys")
        last = len(lists(driver).rows) - 1
        page = view(driver).scrollable_content_region.height - 1
        assert last > page
        for key, expected in (("end", last), ("k", last - 1), ("home", 0), ("pagedown", page), ("g", 0), ("G", last)):
            await driver.press(key)
            assert lists(driver).cursor == expected
            top = view(driver).scroll_offset.y
            assert top <= expected <= top + page
        await driver.press("home")
        await driver.pilot.click(FlatListView, offset=(6, 3))
        assert lists(driver).cursor == 2
        await read(driver)
        await driver.pilot.click(FlatListView, offset=(6, 3))
        await driver.until(lambda: driver.detail.has_focus)


async def test_a_function_has_lists_of_its_own(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await driver.expand("Functions")
        await driver.go_to("inner")
        await driver.press("t")
        await read(driver)
        assert names(driver) == ["q", "r"]
        assert lists(driver).names == ("nodes", "ops", "tensors")
        assert "inner  [nodes 2]" in title(driver)
        assert driver.session.function_path == []  # looked at, not entered
        await shown(driver, "tensors")
        assert names(driver) == ["p:0", "q:0", "r:0"]
        await driver.press("t")
        await driver.until(lambda: driver.tree.has_focus)
        await driver.press("home")
        await driver.settled()
        await driver.press("t")
        await read(driver)
        assert names(driver) == ["a/split", "layer2/y", "layer10/x", "z"]


async def test_a_function_is_entered_from_the_tree_and_left(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await driver.press("e")  # no function: it says so
        await driver.until(lambda: "No function here" in driver.text)
        await driver.expand("Functions")
        await driver.expand("inner")
        await driver.press("down")
        await driver.settled()
        at = driver.session.cursor
        await driver.press("e")
        await driver.until(lambda: driver.session.function_path == ["inner"])
        assert driver.labels() == ["inner", "p", "out", "Nodes", "q", "r"]
        assert "─ main ▸ inner ─" in driver.text
        await driver.settled()
        assert driver.title == "inner"
        await driver.press("t")
        await read(driver)
        assert names(driver) == ["q", "r"]
        await driver.press("backspace")  # out of the function: lists stay lists
        await driver.until(lambda: driver.session.function_path == [])
        assert driver.tree.has_focus
        assert driver.session.cursor == at
        await driver.press("u")  # nothing to leave any more
        assert driver.session.function_path == []


async def test_a_function_is_entered_from_the_node_that_calls_it(tmp_path: Path) -> None:
    bodies = [function(name, [b"p"], {b"out": b"r:output:0"}, [identity(b"r", b"p")]) for name in (b"test", b"work")]
    functions = {name: attr(func=function_name(called)) for name, called in (("cond", b"test"), ("body", b"work"))}
    nodes = [placeholder(b"x"), node(b"loop", b"While", [b"x"], **functions)]
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, functions=bodies))
    async with explorer(path) as driver:
        await driver.expand("Graph")
        await driver.go_to("loop")
        await driver.press("e")
        await driver.until(lambda: driver.session.function_path == ["work"])
        await driver.press("backspace")
        await driver.until(lambda: driver.session.function_path == [])
        await shown(driver)
        assert names(driver) == ["loop", "x"]
        await driver.press("e")
        await driver.until(lambda: driver.session.function_path == ["work"])
        await read(driver)
        assert names(driver) == ["r"]
        await driver.press("e")  # a node that calls nothing, in a function that is shown already
        await driver.until(lambda: "No function here" in driver.text)
        assert driver.session.function_path == ["work"]


async def test_the_keys_work_from_the_details_as_well(tmp_path: Path) -> None:
    bodies = [function(b"work", [b"p"], {b"out": b"r:output:0"}, [identity(b"r", b"p")])]
    call = node(b"call", b"PartitionedCall", [b"x"], f=attr(func=function_name(b"work")))
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=[placeholder(b"x"), call], functions=bodies))
    async with explorer(path) as driver:
        await driver.expand("Graph")
        await driver.go_to("call")
        await driver.press("tab")
        assert driver.detail.has_focus
        await driver.press("t")
        await driver.until(lambda: view(driver).has_focus)
        await read(driver)
        await driver.press("tab", "t")
        await driver.until(lambda: driver.tree.has_focus)
        await driver.settled()
        assert driver.title == "call"
        await driver.press("tab", "e")
        await driver.until(lambda: driver.session.function_path == ["work"])
        await driver.until(lambda: driver.tree.has_focus)
        await driver.settled()
        assert driver.title == "work"


async def test_lists_stay_lists_on_the_way_into_a_function_and_out(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await shown(driver, "ops")
        await driver.press("down")
        await read(driver)
        owner = driver.session.model.meta_graphs[0]
        await driver.session.enter_function(owner, "inner")
        await read(driver)
        assert names(driver) == ["q", "r"]
        assert view(driver).has_focus
        assert "main ▸" in driver.text
        await driver.press("backspace")
        await driver.until(lambda: driver.session.function_path == [])
        assert lists(driver).name == "ops"
        assert lists(driver).cursor == 1
        await read(driver)


async def test_only_lists_that_exist_are_offered(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await shown(driver)
        assert lists(driver).names == ("nodes", "ops", "tensors", "variables")
        await shown(driver, "variables")
        assert "No variables: all values are constants" in " ".join(pane_lines(view(driver)))
        await driver.press("enter", "down", "s", "end")
        assert lists(driver).subject is None
    async with explorer(TRAINING) as driver:
        await shown(driver, "keys")
        assert lists(driver).names == ("keys",)
        await driver.press("right")  # round to itself
        await read(driver)
        assert len(lists(driver).rows) > 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Lists are not made before this is set."""
    go_on, original = threading.Event(), core_lists.flat_list

    def waiting(*arguments: Any, cancel: Any = None, **options: Any) -> Any:
        while not go_on.wait(0.002):
            check_cancel(cancel)
        return original(*arguments, cancel=cancel, **options)

    monkeypatch.setattr(core_lists, "flat_list", waiting)
    return go_on


async def test_reading_is_said_and_can_be_cancelled(held: threading.Event) -> None:
    async with explorer() as driver:
        await driver.press("t")
        await driver.until(lambda: "reading nodes" in driver.text)
        await driver.press("escape")
        await driver.until(lambda: "Reading was cancelled" in driver.text)
        assert driver.session.status == ""
        held.set()
        await driver.press("right")
        await driver.until(lambda: lists(driver).rows is not None)
        assert lists(driver).name == "ops"
        await driver.press("left")
        await driver.until(lambda: lists(driver).name == "nodes")
        await read(driver)


async def test_a_newer_list_makes_an_older_one_stale(held: threading.Event) -> None:
    async with explorer() as driver:
        await driver.press("t")
        await driver.until(lambda: driver.session.lists is not None)
        await driver.press("right", "right", "left")
        held.set()
        await driver.until(lambda: lists(driver).rows is not None)
        assert lists(driver).name == "ops"
        assert lists(driver).rows.what == "op"


async def test_a_list_that_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ModelError("bad \x1b[31m", path="there")

    async with explorer() as driver:
        monkeypatch.setattr(core_lists, "flat_list", broken)
        await driver.press("t")
        await driver.until(lambda: r"there: bad \x1b[31m" in driver.text)
        assert lists(driver).rows is None


async def test_rows_that_cannot_be_read_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ModelError("bad \x1b[31m", path="there")

    async with explorer() as driver:
        monkeypatch.setattr(core_lists, "node_item", broken)
        await shown(driver)
        item = lists(driver).row(0)
        assert isinstance(item.subject, NoteSubject)
        assert "cannot be read" in pane_lines(view(driver))[0]
        assert names(driver)[0] in pane_lines(view(driver))[0]


class Counted:
    """A list of a million whose rows are counted as they are made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, name: str, *_: Any, **__: Any) -> core_lists.FlatList:
        def make(position: int) -> Item:
            self.made += 1
            return Item("node", f"n{position}", NoteSubject(str(position)), note="Op")

        def find(subject: Any) -> int | None:
            return int(subject.sentence)

        return core_lists.FlatList("node", range(1_000_000), make, lambda position: f"n{position}", find)


async def test_a_million_rows_open_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    async with explorer() as driver:
        monkeypatch.setattr(core_lists, "flat_list", counted)
        await shown(driver)
        assert "[nodes 1,000,000]" in title(driver)
        assert 0 < counted.made <= 300
        await driver.press("end")
        await read(driver)
        assert "n999999" in pane_lines(view(driver))[-1]
        for _ in range(60):
            await driver.press("pageup")
        await read(driver)
        lists(driver).move_to(500_000)
        view(driver).update_lines()
        view(driver).show_cursor()
        await read(driver)
        assert "n500000" in driver.text
        assert counted.made < 10_000
        assert len(lists(driver)._pages) <= 30


async def test_rows_that_arrive_leave_the_view_where_it_was_scrolled_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        monkeypatch.setattr(core_lists, "flat_list", Counted())
        await shown(driver)
        view(driver).scroll_to(y=5_000, animate=False)
        await driver.until(lambda: lists(driver).row(5_001) is not None)
        await driver.until(lambda: "n5001" in driver.text)
        assert view(driver).scroll_offset.y == 5_000
        assert lists(driver).cursor == 0


async def test_a_move_draws_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    async with explorer() as driver:
        await shown(driver)
        original = view(driver).draw_line

        def draw(line: int, cells: int) -> Any:
            drawn.append(line)
            return original(line, cells)

        monkeypatch.setattr(view(driver), "draw_line", draw)
        drawn.clear()
        await driver.press("down")
        await driver.until(lambda: drawn)
        await driver.pilot.pause()
        assert set(drawn) == {0, 1}


async def test_other_tabs_hide_the_lists() -> None:
    async with explorer() as driver:
        await shown(driver)
        for key, tab in (("5", Tab.SAFETY), ("2", Tab.PREDICT)):
            await driver.press(key)
            await driver.until(lambda: driver.session.tab is tab)  # noqa: B023
            assert not view(driver).display
            assert not driver.tree.display
            await driver.press("1")
            await driver.until(lambda: driver.session.tab is Tab.EXPLORE)
            assert view(driver).display
            assert view(driver).has_focus
            assert not driver.tree.display


async def test_the_lists_are_dropped_with_the_model(tmp_path: Path) -> None:
    for number in range(2):
        model(tmp_path / str(number))
    async with explorer(tmp_path) as driver:
        await driver.until(lambda: driver.session.in_list)
        await driver.press("t")  # no lists of a list
        assert driver.session.lists is None
        row = next(row for row in driver.rows() if row.node.item.kind == "found")
        driver.tree._move(driver.session.outline.number(row.node))
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None)
        await driver.settled()
        await shown(driver)
        kept = driver.session._kept
        assert kept
        await driver.press("backspace")
        await driver.until(lambda: driver.session.in_list)
        assert driver.session.lists is None
        assert not kept
        assert driver.tree.has_focus


@SIZES
@pytest.mark.parametrize("what", ["model", "bundle"])
async def test_hostile_names_are_visible_in_every_list(tmp_path: Path, what: str, size: tuple[int, int]) -> None:
    path = write_hostile_model(tmp_path / "m") if what == "model" else write_hostile_bundle(tmp_path / "m")
    async with explorer(path, size) as driver:
        await shown(driver, "nodes" if what == "model" else "keys")
        for name in lists(driver).names:
            await shown(driver, name)
            for place in range(min(len(lists(driver).rows), 60)):
                view(driver)._move(place)
                await driver.until(lambda: lists(driver).row(place) is not None)  # noqa: B023
                y = place - view(driver).scroll_offset.y
                strip = view(driver).render_line(y)
                assert strip.text.isprintable()
                assert strip.cell_length == view(driver).scrollable_content_region.width
                wanted = text.label(names(driver)[place])
                if text.width(wanted) < 16:
                    assert wanted in strip.text
                else:
                    assert wanted[-3:] in strip.text
            await driver.pilot.pause()
            assert all(line.isprintable() for line in driver.lines)
        assert driver.app.crash is None
        assert len(KEYS if what == "bundle" else NAMES) > 20


async def test_keys_have_their_sizes(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"w%d" % number: np.zeros(2**number, np.float64) for number in range(8)})
    async with explorer(tmp_path / "c.index") as driver:
        await shown(driver, "keys")
        assert pane_lines(view(driver))[7].split()[-2:] == ["1.0", "KiB"]
        await driver.press("s")
        await driver.until(lambda: lists(driver).order == "by size")
        await read(driver)
        assert names(driver)[0] == "w7"
        assert lists(driver).cursor == 7  # still on w0
