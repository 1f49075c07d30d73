"""Copying by keyboard: what the cursor stands on, in every pane; what reaches the terminal is only what can be seen."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from tfexplore.core.copied import Copy
from tfexplore.core.settings import Settings
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.screens.copy import CopyList, CopyScreen
from tfexplore.tui.screens.search import SearchScreen
from tui.driving import RANKER, TRAINING, Driver, explorer
from tui.hostile import write_hostile_model
from tui.predicting import predicting
from tui.test_predict import model  # noqa: F401


class Terminal:
    """What is written besides the screen."""

    def __init__(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written = ""
        for name in ("TMUX", "STY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setattr(driver.app._driver, "write", self.write)
        self.driver = driver

    def write(self, data: str) -> None:
        self.written += data

    @property
    def clipboard(self) -> str | None:
        found = re.findall(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", self.written)
        return base64.b64decode(found[-1]).decode() if found else None

    async def copies(self, *keys: str) -> str:
        """Presses keys, and gives what was copied."""
        self.written = ""
        await self.driver.press(*keys)
        await self.driver.until(lambda: self.clipboard is not None)
        await self.driver.until(lambda: not isinstance(self.driver.app.screen, CopyScreen))
        assert self.clipboard is not None
        return self.clipboard


async def listed(driver: Driver) -> dict[str, str]:
    """What the open menu offers."""
    await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
    pane = driver.app.screen.query_one(CopyList)
    await driver.until(lambda: pane.copies)
    return {one.kind: one.text for one in pane.copies}


def said(driver: Driver) -> str:
    return [one.message for one in driver.app._notifications][-1]


async def test_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.expand("Variables")
        await driver.expand("dense_2")
        await driver.go_to("kernel")
        assert await terminal.copies("y", "y") == "dense_2/kernel"
        assert said(driver) == "Copied by OSC 52: the name dense_2/kernel"
        assert await terminal.copies("y", "enter") == "dense_2/kernel"
        assert await terminal.copies("y", "s") == "[32, 1]"
        assert await terminal.copies("y", "d") == "float32"
        assert (await terminal.copies("y", "p")).endswith("/.ATTRIBUTES/VARIABLE_VALUE")
        python = await terminal.copies("y", "c")
        assert python.startswith("import tensorflow as tf\nvalue = tf.train.load_checkpoint(")
        assert said(driver) == "Copied by OSC 52: Python, 2 lines"
        assert (await terminal.copies("y", "v")).startswith("[[")
        assert await terminal.copies("y", "j", "enter") != "dense_2/kernel"
        assert (await terminal.copies("y", "l")).startswith("▪ kernel  float32 [32, 1]")
        assert driver.tree.has_focus


async def test_nothing_is_copied_by_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        for key in ("escape", "q"):
            await driver.press("y")
            assert "name" in await listed(driver)
            await driver.press(key)
            await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert terminal.clipboard is None
        assert driver.app.return_code is None


async def test_the_details(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.go_to("examples")
        await driver.press("tab")
        lines = {one.line.label: number for number, one in enumerate(driver.detail._drawn) if one.line is not None}
        driver.detail._move(lines["dtype"])
        assert await terminal.copies("y", "y") == "string"
        driver.detail._move(lines["node"] if "node" in lines else lines["tensor"])
        found = driver.detail._line
        assert found is not None
        assert found.subject is not None
        assert await terminal.copies("y", "y") == "serving_default_examples"
        assert "get_tensor_by_name('serving_default_examples:0')" in await terminal.copies("y", "c")


async def test_a_hit_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.press("slash", *"dense_2 kernel")
        await driver.until(lambda: isinstance(driver.app.screen, SearchScreen) and driver.app.screen.finding.hits)
        await driver.until(lambda: not driver.app.screen.finding.running)  # type: ignore[attr-defined]
        name = driver.app.screen.finding.hits[0].name  # type: ignore[attr-defined]
        assert await terminal.copies("ctrl+y", "p") == name
        assert isinstance(driver.app.screen, SearchScreen)


async def test_findings_checkpoints_and_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.press("5")
        await driver.until(lambda: driver.session.safety is not None and driver.session.safety.findings)
        safety = driver.session.safety
        assert safety is not None
        found = safety.findings[0]
        assert await terminal.copies("y", "y") in (found.node, found.op, found.what)
    async with explorer(TRAINING) as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.expand("Checkpoints")
        await driver.press("down")
        await driver.settled()
        assert "load_checkpoint(" in await terminal.copies("y", "c")
    for name in ("one", "two"):
        write_hostile_model(tmp_path / name, [b"x"])
    async with explorer(tmp_path) as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.go_to("one")
        assert await terminal.copies("y", "p") == str(tmp_path / "one")


async def test_the_form_and_the_outputs(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    async with predicting(model) as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.go("x")
        await driver.write("x", "[1, 2, 3]")
        await driver.go("x")
        assert await terminal.copies("y", "v") == "[1, 2, 3]"
        assert await terminal.copies("y", "n") == "x"
        await driver.press("tab")  # the outputs
        assert await terminal.copies("y", "y")


async def test_hostile_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_hostile_model(tmp_path / "model")
    async with explorer(path) as driver:
        terminal = Terminal(driver, monkeypatch)
        await driver.expand("Graph")
        escaped = 0
        for number in range(len(driver.session.outline)):
            driver.tree._move(number)
            if driver.session.subject_at(number) is None:
                continue
            await driver.press("y")
            menu = await listed(driver)
            for line in driver.lines:
                assert line.isprintable()
            name = next(iter(menu.values()))
            copied = await terminal.copies("enter")
            assert copied == name
            assert copied.isprintable() or menu.get("Python") == copied  # of an empty name nothing else can be copied
            assert said(driver).isprintable()
            if "Python literal" in said(driver):
                escaped += 1
                assert copied[0] in "'\"b"
        assert escaped > 5


async def test_without_a_clipboard_a_file_takes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    app = ExplorerApp(str(RANKER), settings=Settings(clipboard="file"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        terminal = Terminal(driver, monkeypatch)
        await driver.press("y", "y")
        path = tmp_path / "tfexplore-clipboard"
        await driver.until(path.exists)
        assert path.read_text() == "ranker"
        assert path.stat().st_mode & 0o777 == 0o600
        await driver.until(lambda: app._notifications)
        assert said(driver) == f"Written to {path} (the settings say so): the name ranker"
        assert terminal.clipboard is None
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")
        monkeypatch.setenv("XDG_CACHE_HOME", str(path))  # a file: nothing can be made below it
        await driver.press("y", "y")
        await driver.until(lambda: len(app._notifications) == 2)
        assert said(driver) == "Not copied: the clipboard's file cannot be written: not a directory"


async def test_what_is_too_long_goes_to_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        driver.app._copy(Copy("line", "x" * 74_001))
        assert (tmp_path / "tfexplore-clipboard").stat().st_size == 74_001
        await driver.until(lambda: driver.app._notifications)
        assert "(terminals take no more than 74,000 bytes)" in said(driver)
        assert terminal.clipboard is None
        driver.app._copy(Copy("line", "x" * 74_000))
        assert terminal.clipboard == "x" * 74_000


async def test_keys_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow line two keys come at once: the second is for the menu, which has not been drawn yet."""
    async with explorer() as driver:
        terminal = Terminal(driver, monkeypatch)
        app: Any = driver.app
        app.simulate_key("y")
        app.simulate_key("p")
        await driver.until(lambda: terminal.clipboard is not None)
        assert terminal.clipboard == str(RANKER)
