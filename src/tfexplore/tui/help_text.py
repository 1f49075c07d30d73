"""What F1 says: what a pane or a screen is for, and its keys as they are now, then those that work everywhere."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.settings import NO_KEY
from tfexplore.tui.look import UNICODE

# The help's box, with its border and padding.
WIDE = 92
_PURPOSE = "Look into a model by keyboard."
# The keys of a modal screen hide the application's, but for these.
_ARROWS = ("up", "down", "left", "right")
_ALWAYS = ("app.help", "app.interrupt", "app.quit_too")


def muted(node: DOMNode) -> str:
    """The style of what is secondary: without colours of one's own it is dim."""
    return "dim" if node.app.native_ansi_color else "$text-muted"


def key_name(app: App[Any], key: str) -> str:
    """A key as people write it."""
    shown = app.get_key_display(Binding(key, "", ""))
    if not shown.isascii() and getattr(getattr(app, "look", None), "glyphs", UNICODE) != UNICODE:
        return key
    return shown


def key_word(app: App[Any], key: str) -> str:
    """A key in words, for text that is read: `ctrl+r`, `enter`, `?`."""
    modifiers, _, base = key.rpartition("+")
    shown = key_name(app, base)
    shown = shown if len(shown) == 1 and (base in _ARROWS or shown.isascii()) else base
    return f"{modifiers}+{shown}" if modifiers else shown


def keys_of(app: App[Any], binding_id: str | None, default: str) -> list[str]:
    """The keys of a binding as people write them, the settings seen to."""
    changed = app._keymap.get(binding_id) if binding_id else None
    return [key_word(app, key.strip()) for key in (changed or default).split(",") if key.strip() != NO_KEY]


def first_key(app: App[Any], binding_id: str, default: str) -> str:
    """The first key of a binding; a dash where it has none."""
    return next(iter(keys_of(app, binding_id, default)), "-")


def title_of(node: DOMNode) -> str:
    """What a pane or a screen is called."""
    title = getattr(type(node), "TITLE", None) or getattr(node, "border_title", None)
    if title:
        return Content.from_markup(title).plain if isinstance(title, str) and "[" in title else str(title)
    words = "".join(f" {one.lower()}" if one.isupper() else one for one in type(node).__name__).strip()
    return words.removesuffix(" screen").capitalize()


def purpose_of(node: DOMNode | None) -> str:
    """What a pane or a screen is for; for a widget of Textual's, what the screen around it is for."""
    for one in node.ancestors_with_self if node is not None else ():
        found = getattr(one, "help_now", None) or getattr(one, "HELP", None)
        if found and type(one).__module__.startswith("tfexplore."):
            return str(found)
    return _PURPOSE


def help_content(screen: Screen[Any]) -> Content:
    """The help for what has the focus on a screen."""
    app = screen.app
    focused: DOMNode = screen.focused if screen.focused is not None else screen
    named = next((one for one in focused.ancestors_with_self if type(one).__module__.startswith("tfexplore.")), focused)
    lines = [
        Content.assemble((title_of(named) if not isinstance(named, App) else "tfexplore", "bold $accent")),
        Content(purpose_of(focused)),
    ]
    groups: dict[str, dict[str, tuple[list[str], str]]] = {}
    # What the line of keys shows comes first; how the cursor moves last: it is the same everywhere.
    active = sorted(screen.active_bindings.values(), key=lambda one: _rank(one.binding))
    if not any(isinstance(one.node, App) for one in active):
        for _, binding in app._bindings:
            if binding.id in _ALWAYS:
                changed = keys_of(app, binding.id, binding.key)
                active += [ActiveBinding(app, binding, True)] if changed else []
    for one in active:
        binding = one.binding
        if not binding.description or binding.action.startswith("screen.") or binding.key == NO_KEY:
            continue
        if not binding.id:
            continue  # Textual's own: the editing keys of an input
        rows = groups.setdefault(_group(one.node, focused), {})
        keys, _ = rows.setdefault(binding.action, ([], binding.tooltip or binding.description))
        name = key_word(app, binding.key)
        if name not in keys:
            keys.append(name)
    return Content("\n").join([*lines, *_rows(groups, muted(screen), min(WIDE, app.size.width * 95 // 100) - 8)])


def _group(node: DOMNode, focused: DOMNode) -> str:
    if isinstance(node, App):
        return "Everywhere"
    if node is focused or isinstance(node, Screen):
        return "Here"
    return "In this tab" if isinstance(node, Widget) else "Everywhere"


def _rank(binding: Binding) -> tuple[bool, bool]:
    return (binding.id or "").startswith("line."), not binding.show


def _rows(groups: dict[str, dict[str, tuple[list[str], str]]], secondary: str, cells: int) -> Iterable[Content]:
    every = [", ".join(keys) for rows in groups.values() for keys, _ in rows.values()]
    widest = min(max(map(text.width, every), default=0), 26)
    for group in sorted(groups, key=("Here", "In this tab", "Everywhere").index):
        yield Content("")
        yield Content.assemble((group, secondary))
        for keys, tooltip in groups[group].values():
            names = ", ".join(keys)
            names += " " * (widest - text.width(names))
            first, *rest = textwrap.wrap(tooltip, max(20, cells - widest - 2)) or [""]
            yield Content.assemble((names, "bold"), "  ", first)
            for more in rest:
                yield Content(" " * (widest + 2) + more)
