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
    seen: set[tuple[DOMNode, str]] = set()
    for node in (*nodes[:-1], *others, app):
        if not (_is_ours(node) or node is app):
            continue
        for binding in _bindings(node):
            if (
                binding.action.partition("(")[0] in _LEFT_OUT
                or (node, binding.action) in seen
                or not binding.description
            ):
                continue
            seen.add((node, binding.action))
            if _can(app, binding, node):
                keys = ", ".join(keys_of(app, binding.id, binding.key))
                where = title_of(node) if node is not app else ""
                name = f"{binding.description} · {where}" if where else binding.description
                yield Command(name, f"{binding.tooltip or binding.description}  ({keys})", node, binding)


def _bindings(node: DOMNode) -> Iterator[Binding]:
    for _, binding in node._bindings:
        yield binding


def _can(app: App[Any], binding: Binding, node: DOMNode) -> bool:
    return app._check_action_state(binding.action, node) is True


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
