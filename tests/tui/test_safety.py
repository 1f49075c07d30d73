"""The Safety tab: the scan by keyboard, its findings, the way to their nodes, and what belongs to one model only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.opening import bundle, small_model
from core.saved_model_writer import attr, info, meta_graph, node, placeholder, signature, tensor, write_saved_model
from tfexplore.core import scan as scan_module
from tfexplore.core.subjects import FindingSubject, NodeSubject
from tfexplore.errors import CorruptError
from tfexplore.formats.table import check_cancel
from tfexplore.tui.topics import Tab
from tfexplore.tui.widgets.safety_list import SafetyList
from tui.driving import Driver, explorer


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    """A model that writes a file with a hostile name when it is called, and reads one that its caller names."""
    name = tensor(7, [], string_val=[b"/tmp/x\x1b]0;[/]"])
    nodes = [
        placeholder(b"x"),
        node(b"name", b"Const", dtype=attr(type=7), value=attr(tensor=name)),
        node(b"path", b"Placeholder", dtype=attr(type=7)),
        node(b"read", b"ReadFile", [b"path"]),
        node(b"write", b"WriteFile", [b"name", b"read"]),
        node(b"y", b"Identity", [b"x", b"^write"], T=attr(type=1)),
    ]
    inputs = {b"x": info(b"x:0"), b"path": info(b"path:0", 7, [])}
    signatures = {b"serving_default": signature(inputs, {b"y": info(b"y:0")})}
    return write_saved_model(tmp_path / "writer", meta_graph(nodes=nodes, signatures=signatures))


def safety_list(driver: Driver) -> SafetyList:
    return driver.app.query_one(SafetyList)


async def scanned(driver: Driver) -> None:
    await driver.press("5")
    await driver.until(lambda: driver.session.safety is not None and driver.session.safety.state == "done")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_findings_by_keyboard(writer: Path, size: tuple[int, int]) -> None:
    async with explorer(writer, size) as driver:
        assert driver.session.safety is None  # nothing is scanned before somebody asks
        await scanned(driver)
        assert driver.session.tab is Tab.SAFETY
        assert safety_list(driver).has_focus
        safety = driver.session.safety
        assert safety is not None
        assert [(found.level, found.op) for found in safety.findings] == [("high", "WriteFile"), ("medium", "ReadFile")]
        await driver.until(lambda: driver.title == "WriteFile")
        assert "1 high, 1 medium" in driver.text
        assert "\\x1b]0;[/]" in driver.text
        assert "\x1b" not in driver.text
        await driver.press("down")
        await driver.until(lambda: driver.title == "ReadFile")
        await driver.press("up", "enter")
        await driver.until(lambda: driver.title == "write")
        assert driver.session.shown is not None
        assert isinstance(driver.session.shown.subject, NodeSubject)
        assert driver.detail.has_focus
        await driver.press("backspace")
        assert isinstance(driver.session.shown.subject, FindingSubject)
        await driver.press("backspace")
        assert safety_list(driver).has_focus


async def test_back_to_the_tree_its_cursor_is_where_it_was(writer: Path) -> None:
    async with explorer(writer) as driver:
        await driver.go_to("Graph")
        at = driver.session.cursor
        await scanned(driver)
        await driver.press("f2")
        assert driver.session.tab is Tab.EXPLORE
        await driver.until(lambda: driver.title == "Graph")
        assert driver.session.cursor == at
        assert driver.tree.has_focus
        safety = driver.session.safety
        await driver.press("f6")
        assert driver.session.safety is safety  # not scanned twice


async def test_a_model_without_findings_says_so(tmp_path: Path) -> None:
    async with explorer(small_model(tmp_path / "m")) as driver:
        await scanned(driver)
        await driver.until(lambda: "Nothing found" in driver.text)


async def test_what_holds_no_graph_has_no_such_tab(tmp_path: Path) -> None:
    bundle(tmp_path / "c", b"w")
    async with explorer(tmp_path / "c") as driver:
        await driver.press("5")
        assert driver.session.tab is Tab.EXPLORE
        assert "Safety" not in driver.text


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A scan that finds something and then goes on until it is cancelled or this is set."""
    go_on = threading.Event()
    scan = scan_module.scan

    def slow(model: Any, *, cancel: Any, progress: Any) -> Iterator[Any]:
        progress(1, 2)
        while not go_on.wait(0.002):
            check_cancel(cancel)
        yield from scan(model, cancel=cancel, progress=progress)

    monkeypatch.setattr(scan_module, "scan", slow)
    yield go_on
    go_on.set()


async def test_a_scan_can_be_cancelled_and_begun_anew(writer: Path, held: threading.Event) -> None:
    async with explorer(writer) as driver:
        await driver.press("5")
        safety = driver.session.safety
        assert safety is not None
        await driver.until(lambda: "scanning 50 %" in safety.sentence)
        await driver.press("escape")
        await driver.until(lambda: safety.state == "cancelled")
        await driver.until(lambda: "r scans again" in driver.text)
        held.set()
        await driver.press("r")
        await driver.until(lambda: safety.state == "done")
        assert len(safety.findings) == 2


async def test_a_scan_that_fails_says_why(writer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: Any, **_: Any) -> Iterator[Any]:
        raise CorruptError("it is broken", path="saved_model.pb")

    monkeypatch.setattr(scan_module, "scan", broken)
    async with explorer(writer) as driver:
        await driver.press("5")
        await driver.until(lambda: "not scanned: saved_model.pb: it is broken" in driver.text)


async def test_another_model_has_findings_of_its_own(writer: Path) -> None:
    small_model(writer.parent / "other")
    async with explorer(writer.parent) as driver:
        await driver.go_to("writer")
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None and driver.title is not None)
        await scanned(driver)
        await driver.press("1", "backspace")
        await driver.until(lambda: driver.session.entered is None)
        assert driver.session.safety is None
        assert "Safety" not in driver.text
