"""The command palette's entries: every action that there is a key for, where it can be done now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from textual.app import App
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.markup import escape
from textual.screen import Screen
from textual.widget import Widget

from tfexplore.tui.help_text import keys_of, title_of
from tfexplore.tui.keys import OF_PANES

# Found by nobody who looks for something to do: they move a cursor, or only open the palette.
_LEFT_OUT = ("command_palette", "move", "page", "interrupt")


class Command(NamedTuple):
    """One action.

    Attributes:
        name: what is searched and shown: `Open · tree`.
        about: its tooltip and its keys.
        node: whose action it is.
    """

    name: str
    about: str
    node: DOMNode
    binding: Binding


def commands(screen: Screen[Any]) -> Iterator[Command]:
    """The actions of the focused pane first, then those around it, of the other panes, and of the application."""
    app: App[Any] = screen.app
    focused = screen.focused
    nodes: list[DOMNode] = list(focused.ancestors_with_self) if focused is not None else [screen, app]
    others = [one for one in screen.query(Widget) if one not in nodes and _is_ours(one) and _is_shown(one)]
    for node in (*nodes[:-1], *others, app):
        if not (_is_ours(node) or node is app):
            continue
        for binding, keys in _bindings(node):
            if node is not focused and str(binding.id).startswith("line."):
                continue
            if binding.action.partition("(")[0] not in _LEFT_OUT and _can(app, binding, node):
                names = ", ".join(keys_of(app, binding.id, keys))
                name = binding.description if node is app else f"{binding.description} · {title_of(node)}"
                yield Command(name, f"{binding.tooltip or binding.description}  ({names})", node, binding)


def _bindings(node: DOMNode) -> Iterator[tuple[Binding, str]]:
    """Each action that has a name of ours, once, with its keys; those that every list has come last."""
    found: dict[str, tuple[Binding, list[str]]] = {}
    for key, binding in node._bindings:
        if binding.id and binding.description:
            found.setdefault(binding.action, (binding, []))[1].append(key)
    for binding, keys in sorted(found.values(), key=lambda one: (str(one[0].id).startswith("line."), not one[0].show)):
        yield binding, ",".join(keys)


def _can(app: App[Any], binding: Binding, node: DOMNode) -> bool:
    # The palette itself, which lies over the panes, is what holds these up.
    return binding.action.partition("(")[0] in OF_PANES or app._check_action_state(binding.action, node) is True


def _is_ours(node: DOMNode) -> bool:
    return type(node).__module__.startswith("tfexplore.")


def _is_shown(widget: Widget) -> bool:
    return all(one.display for one in widget.ancestors_with_self if isinstance(one, Widget))


async def perform(command: Command) -> None:
    """Does it; an action of another pane is done there."""
    node = command.node
    if isinstance(node, Widget) and node.focusable and not isinstance(node, Screen):
        node.focus()
    await node.app.run_action(command.binding.action, node)


class Actions(Provider):
    """All actions, as the palette wants them."""

    async def discover(self) -> Hits:
        """See `Provider`."""
        for command in commands(self.screen):
            yield DiscoveryHit(
                Content(command.name), partial(perform, command), text=command.name, help=escape(command.about)
            )

    async def search(self, query: str) -> Hits:
        """See `Provider`."""
        matcher = self.matcher(query)
        for command in commands(self.screen):
            score = max(matcher.match(command.name), matcher.match(command.about) * 0.5)
            if score > 0:
                shown = matcher.highlight(escape(command.name))
                yield Hit(score, shown, partial(perform, command), text=command.name, help=escape(command.about))
