"""Every key of the explorer, from the bindings themselves: for the settings, and for what checks them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, KEY_TO_UNICODE_NAME, Keys, _character_to_key
from textual.screen import Screen

from tfexplore import tui
from tfexplore.core import text
from tfexplore.core.settings import NO_KEY, Settings, settings_path

_MODIFIERS = ("ctrl+", "shift+", "alt+", "meta+", "super+", "hyper+")


class Entry(NamedTuple):
    """One binding.

    Attributes:
        owner: the class that has it.
        binding: its keys still together.
        users: the classes that can have the focus, or stand around what has it, with this binding.
    """

    owner: type[DOMNode]
    binding: Binding
    users: tuple[type[DOMNode], ...]


@cache
def table() -> tuple[Entry, ...]:
    """All bindings of the package, by module and class; imports every pane and screen."""
    for module in pkgutil.walk_packages(tui.__path__, f"{tui.__name__}."):
        importlib.import_module(module.name)
    classes = [one for one in _below(DOMNode) if one.__module__.startswith(f"{tui.__name__}.")]
    classes.sort(key=lambda one: (not issubclass(one, App), issubclass(one, Screen), one.__module__, one.__name__))
    found = []
    for owner in classes:
        for written in owner.__dict__.get("BINDINGS", ()):
            binding = written if isinstance(written, Binding) else Binding(*written)
            users = tuple(one for one in classes if issubclass(one, owner))
            found.append(Entry(owner, binding, users))
    return tuple(found)


def _below(owner: type[DOMNode]) -> Iterator[type[DOMNode]]:
    """All classes that inherit, each once."""
    seen = {owner}
    pending = [owner]
    while pending:
        for one in pending.pop().__subclasses__():
            if one not in seen:
                seen.add(one)
                pending.append(one)
                yield one


def normal_keys(written: str) -> tuple[list[str], list[str]]:
    """The keys of a list such as `up,k,?` as Textual names them, and the words that are no keys."""
    keys, wrong = [], []
    for word in filter(None, (part.strip() for part in written.split(","))):
        rest, modifiers = word, ""
        while (modifier := next((one for one in _MODIFIERS if rest.lower().startswith(one)), "")) and rest != modifier:
            rest, modifiers = rest[len(modifier) :], modifiers + modifier
        if len(rest) == 1 and rest.isprintable():
            keys.append(modifiers + _character_to_key(rest))
        elif _is_key(rest.lower()):
            keys.append(modifiers + rest.lower())
        else:
            wrong.append(word)
    return keys, wrong


def _is_key(name: str) -> bool:
    if name in {key.value for key in Keys} or name in KEY_TO_UNICODE_NAME or name in KEY_NAME_REPLACEMENTS.values():
        return True
    try:
        return bool(unicodedata.lookup(name.replace("_", " ").upper()))
    except KeyError:
        return False


def keymap(settings: Settings, path: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The keys that the settings change, by binding id, and a sentence for each part that cannot be done."""
    if not settings.keys:
        return {}, ()
    entries = {entry.binding.id: entry for entry in table() if entry.binding.id}
    changed: dict[str, str] = {}
    said: list[str] = []
    for name, written in settings.keys.items():
        at = f"{text.visible(path)}, line {settings.lines.get(name, 0)}"
        if name not in entries:
            near = difflib.get_close_matches(name, [one for one in entries if one], 1)
            hint = f"; is it {near[0]}?" if near else "; `tfexplore --print-config` lists all"
            said.append(f"{at}: no action is called {text.visible(name[:60])}{hint}")
            continue
        if written.lower() in ("", NO_KEY):
            changed[name] = NO_KEY
            continue
        keys, wrong = normal_keys(written)
        if wrong:
            said.append(f"{at}: {text.visible(wrong[0][:40])!r} is no key; keys are written like ctrl+r, f5, ?, space")
        if keys:
            changed[name] = ",".join(keys)
    said += _conflicts(changed, settings.lines, path)
    return changed, tuple(said)


def _conflicts(changed: Mapping[str, str], lines: Mapping[str, int], path: str) -> Iterator[str]:
    """A sentence for each pair of actions that a changed key brings together in one pane."""
    where: dict[tuple[str, type[DOMNode]], list[Entry]] = {}
    for entry in table():
        written = changed.get(entry.binding.id or "", entry.binding.key)
        for key in normal_keys(written)[0] if written != NO_KEY else ():
            for user in entry.users:
                where.setdefault((key, user), []).append(entry)
    told: set[tuple[str, str, str]] = set()
    apps = {user for _, user in where if issubclass(user, App)}
    for (key, user), entries in where.items():
        # A pane's key hides the application's; a screen that lies over the panes hides them all, as it should.
        around = [] if issubclass(user, (App, Screen)) else [one for app in apps for one in where.get((key, app), ())]
        for first, second in ((first, second) for first in entries for second in (*entries, *around)):
            one, other = sorted((str(first.binding.id), str(second.binding.id)))
            mine = [name for name in (one, other) if name in changed]
            as_ever = key in normal_keys(first.binding.key)[0] and key in normal_keys(second.binding.key)[0]
            if one == other or (key, one, other) in told or not mine or as_ever:
                continue
            told.add((key, one, other))
            at = f"{text.visible(path)}, line {max(lines.get(name, 0) for name in mine)}"
            yield f"{at}: {one} and {other} have the same key, {key}: one of them is out of reach"


def template(environ: Mapping[str, str]) -> str:
    """A settings file that changes nothing: every setting and every key as a comment, with what it does."""
    lines = [
        f"# {text.visible(settings_path(environ))}",
        "# Take a line's # away and change it. Several keys are separated by commas; none takes the keys away.",
        "",
        "[look]",
        "# auto, dark, light, or any theme of the command palette",
        "#theme = auto",
        "# auto, none, 16, 256, true; NO_COLOR and --no-color mean none",
        "#colors = auto",
        "# auto, unicode, ascii",
        "#glyphs = auto",
        "",
        "[copy]",
        "# auto, osc52, file",
        "#clipboard = auto",
        "",
        "[keys]",
    ]
    group = ""
    for entry in table():
        binding = entry.binding
        begins = (binding.id or "").partition(".")[0]
        if begins != group:
            lines.append("")
            group = begins
        lines += [f"# {binding.tooltip or binding.description}", f"#{binding.id} = {binding.key}"]
    return "\n".join(lines)
