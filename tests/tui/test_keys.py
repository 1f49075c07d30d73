"""Every key has a name, words and one meaning; the settings change them, and help, footer and keys follow."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from textual.actions import parse
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget

from tfexplore.core.settings import NO_KEY, Settings, parse_settings, settings_path
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.key_table import Entry, keymap, normal_keys, table, template
from tfexplore.tui.screens.help import HelpScreen
from tfexplore.tui.widgets.line_view import LineView
from tui.driving import DONE, RANKER, Driver, until


def test_every_binding_has_an_id_a_name_and_a_tooltip() -> None:
    entries = table()
    assert len(entries) > 40
    for entry in entries:
        binding = entry.binding
        assert binding.id, (entry.owner, binding)
        assert "." in binding.id
        assert binding.description, binding
        assert binding.tooltip, binding
        assert len(binding.tooltip) < 90, binding
        assert not binding.tooltip.endswith(".")
        for key in binding.key.split(","):
            assert normal_keys(key.strip()) == ([key.strip()], []), binding
    assert [name for name, count in Counter(entry.binding.id for entry in entries).items() if count > 1] == []


def test_every_bound_action_exists() -> None:
    for entry in table():
        action = entry.binding.action.partition("(")[0]
        if action.startswith("app."):
            assert hasattr(ExplorerApp, f"action_{action[4:]}"), entry
            continue
        for user in entry.users:
            assert any(hasattr(user, name) for name in (f"action_{action}", f"_action_{action}")), entry


def test_every_pane_and_screen_says_what_it_is_for() -> None:
    users = {user for entry in table() for user in entry.users if not issubclass(user, App) and user is not LineView}
    for user in users:
        assert getattr(user, "TITLE", None), user
        assert getattr(user, "HELP", None) or any(issubclass(user, one) for one in (LineView,)), user


# Each acts only where the other cannot: `check_action` sees to it.
MEANT = {frozenset({"list.back", "list.leave"}), frozenset({"tree.out", "tree.leave"})}


def test_no_key_means_two_things_in_one_pane() -> None:
    users: dict[type[Any], list[Entry]] = {}
    for entry in table():
        for user in entry.users:
            users.setdefault(user, []).append(entry)
    for user, entries in users.items():
        keys: dict[str, list[Entry]] = {}
        for entry in entries:
            for key in entry.binding.key.split(","):
                keys.setdefault(key.strip(), []).append(entry)
        for key, bound in keys.items():
            # A pane may take a key of the class that it inherits from.
            ids = frozenset(str(one.binding.id) for one in bound if one.owner is bound[0].owner)
            assert len(ids) == 1 or ids in MEANT, (user, key, ids)


def test_panes_leave_the_applications_keys_alone() -> None:
    """A pane may not take what is said to work everywhere, but for a key that an input needs."""
    ours = {key.strip() for entry in table() if issubclass(entry.owner, App) for key in entry.binding.key.split(",")}
    for entry in table():
        if issubclass(entry.owner, (App, Screen)) or entry.owner.__name__ == "FieldInput":
            continue
        assert issubclass(entry.owner, Widget)
        taken = ours & {key.strip() for key in entry.binding.key.split(",")}
        assert not taken, (entry.owner, taken)


@pytest.mark.parametrize(
    ("written", "keys", "wrong"),
    [
        ("a", ["a"], []),
        ("G,?", ["G", "question_mark"], []),
        ("ctrl+r, F5 ,space", ["ctrl+r", "f5", "space"], []),
        ("/,[,'", ["slash", "left_square_bracket", "apostrophe"], []),
        ("alt+shift+x", ["alt+shift+x"], []),
        ("+", ["plus"], []),
        ("strg+r", [], ["strg+r"]),
        ("pgdn,up", ["up"], ["pgdn"]),
        ("", [], []),
    ],
)
def test_keys_are_read(written: str, keys: list[str], wrong: list[str]) -> None:
    assert normal_keys(written) == (keys, wrong)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tree.akt = x", "no action is called tree.akt; is it tree.act?"),
        ("nothing = x", "no action is called nothing; `tfexplore --print-config` lists all"),
        ("tree.act = strg+r", "'strg+r' is no key; keys are written like ctrl+r, f5, ?, space"),
        ("tree.act = j", "line.down and tree.act have the same key, j: one of them is out of reach"),
        ("tree.act = q", "app.quit and tree.act have the same key, q: one of them is out of reach"),
        ("app.quit = k", "app.quit and line.up have the same key, k: one of them is out of reach"),
        ("app.quit = f1", "app.help and app.quit have the same key, f1: one of them is out of reach"),
    ],
)
def test_what_cannot_be_done_is_said(line: str, said: str) -> None:
    _, problems = keymap(parse_settings(f"[keys]\n{line}", "there"), "there")
    assert f"there, line 2: {said}" in problems
    assert all(one.startswith("there, line 2: ") for one in problems)


def test_a_swap_is_no_conflict() -> None:
    changed, problems = keymap(parse_settings("[keys]\nline.up = j\nline.down = k\napp.quit = none", ""), "")
    assert problems == ()
    assert changed == {"line.up": "j", "line.down": "k", "app.quit": NO_KEY}


def test_the_template_changes_nothing_and_names_everything() -> None:
    written = template({"XDG_CONFIG_HOME": "/c"})
    assert parse_settings(written, "") == Settings()
    opened = "\n".join(line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in written.split("\n"))
    found = parse_settings(opened, "")
    assert found.problems == ()
    assert set(found.keys) == {entry.binding.id for entry in table()}
    changed, problems = keymap(found, "")
    assert problems == ()
    for entry in table():
        assert changed[str(entry.binding.id)].split(",") == [key.strip() for key in entry.binding.key.split(",")]


async def test_changed_keys_work_and_are_shown() -> None:
    written = "[keys]\nline.down = z, down\napp.quit = ctrl+x\napp.search = none\napp.tab_safety = 6\ntree.akt = b"
    app = ExplorerApp(str(RANKER), settings=parse_settings(written, "there"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.session.model is not None and driver.title is not None)
        (told,) = app._notifications
        assert told.message == f"{settings_path(os.environ)}, line 6: no action is called tree.akt; is it tree.act?"
        await driver.press("z")
        assert app.session.cursor == 1
        await driver.press("down")
        assert app.session.cursor == 2
        await driver.press("j")
        assert app.session.cursor == 2
        await driver.press("slash", "q")
        assert app.is_running
        assert app.return_code is None
        assert len(app.screen_stack) == 1
        assert "^x Quit" in driver.lines[-1]
        assert "Search" not in driver.lines[-1]
        assert "6 Safety" in driver.lines[1]
        await driver.press("f1")
        await driver.until(lambda: isinstance(app.screen, HelpScreen))
        listed = app.screen._content.plain  # type: ignore[attr-defined]
        assert "z, ↓" in listed
        assert "ctrl+x" in listed
        assert "Search the model's names" not in listed
        await driver.press("escape")
        await driver.press("6")
        await until(pilot, lambda: app.session.tab.value == "safety")
        await driver.press("ctrl+x")
        await until(pilot, lambda: app.return_code == 0)


async def test_the_line_of_keys_can_be_clicked() -> None:
    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        await driver.pilot.pause()
        for words, happened in (
            ("Other pane", lambda: driver.detail.has_focus),
            ("Help", lambda: isinstance(app.screen, HelpScreen)),
        ):
            at = driver.lines[-1].index(words)
            await pilot.click(offset=(at, 39))
            await driver.until(happened)
        await driver.press("f1")
        await driver.until(lambda: len(app.screen_stack) == 1)
        await pilot.click(offset=(driver.lines[1].index("Safety"), 1))
        await driver.until(lambda: app.session.tab.value == "safety")
        await pilot.click(offset=(driver.lines[-1].index("Quit"), 39))
        await until(pilot, lambda: app.return_code == 0)


async def test_the_palette_does_what_another_pane_can() -> None:
    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        await driver.press("tab")
        assert driver.detail.has_focus
        await driver.press("ctrl+p", *"close branch")
        await driver.until(lambda: "Close branch · The tree" in driver.text)
        await driver.press("enter")
        await driver.until(lambda: driver.tree.has_focus)
        assert len(app.screen_stack) == 1


async def test_every_modal_screen_has_help() -> None:
    from tfexplore.tui.screens.copy import CopyScreen
    from tfexplore.tui.screens.script import ScriptScreen
    from tfexplore.tui.screens.search import SearchScreen
    from tfexplore.tui.screens.trust import TrustScreen

    async def nothing() -> list[Any]:
        return []

    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        finding = app.session.finding(lambda: None)
        assert finding is not None
        screens: list[Screen[Any]] = [
            CopyScreen(nothing),
            ScriptScreen([("curl", "x")]),
            SearchScreen(finding),
            TrustScreen("it writes"),
        ]
        for screen in screens:
            app.push_screen(screen)
            await driver.until(lambda: app.screen is screen)  # noqa: B023
            await pilot.pause()
            await driver.press("f1")
            await driver.until(lambda: isinstance(app.screen, HelpScreen))
            listed = app.screen._content.plain  # type: ignore[attr-defined]
            assert type(screen).HELP in listed
            for binding in type(screen).BINDINGS:
                if screen.check_action(binding.action, ()):
                    assert binding.tooltip in " ".join(listed.split()), (screen, binding)
            assert "ctrl+c" in listed
            await driver.press("f1")
            await driver.until(lambda: app.screen is screen)  # noqa: B023
            screen.dismiss(None)
            await driver.until(lambda: len(app.screen_stack) == 1)


def test_every_action_was_done_by_a_test(whole_run: None) -> None:
    """Each binding's action, with its parameters, by one of the classes that have it: pressed, not called."""
    waiting = []
    for entry in table():
        _, name, parameters = parse(entry.binding.action)
        if entry.binding.action.startswith("app."):
            users: tuple[type[Any], ...] = (ExplorerApp,)
        else:
            users = entry.users
        if not any((user, name, tuple(parameters)) in DONE for user in users):
            waiting.append(f"{entry.binding.id}: {entry.binding.action} of {entry.owner.__name__}")
    assert waiting == []
