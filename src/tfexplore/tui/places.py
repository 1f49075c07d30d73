"""The way into functions: what the tree shows on each step of it, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.errors import ModelError
from tfexplore.loader import Loader
from tfexplore.tui.browsing import Browsing
from tfexplore.tui.outline import PAGE, Outline
from tfexplore.tui.topics import Topic

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph

# A function may call itself: the path could go on for ever.
MAX_DEPTH = 100


class _Outside(NamedTuple):
    """What the tree showed before a function was entered."""

    outline: Outline
    cursor: int


class _Inside(NamedTuple):
    """A function that has been entered."""

    meta_graph: MetaGraph
    name: str
    outside: _Outside


class Places(Browsing):
    """A model's tree, or that of a function that was entered."""

    def __init__(self, loader: Loader, tell: Callable[[Topic], None]) -> None:
        super().__init__(loader, tell)
        self._inside: list[_Inside] = []

    @property
    def function_path(self) -> list[str]:
        """The functions that were entered, the outermost first; as stored, not yet made visible."""
        return [step.name for step in self._inside]

    @property
    def inside(self) -> tuple[MetaGraph, str] | None:
        """The function whose graph the tree shows; None for the whole model."""
        return (self._inside[-1].meta_graph, self._inside[-1].name) if self._inside else None

    async def enter_function(self, meta_graph: MetaGraph, name: str) -> bool:
        """Shows the graph of a function in the tree's place; `leave_function` returns.

        Tells whether it was entered: not again where it is shown already. The details stay as they are.

        Raises:
            ModelError: there is no such function, or it cannot be read.
            Cancelled: it was cancelled.
        """
        model = self.model
        if model is None or self.in_list or self.inside == (meta_graph, name):
            return False
        if len(self._inside) >= MAX_DEPTH:
            raise ModelError(
                f"the path of functions ends after {MAX_DEPTH} steps; Backspace in the tree goes back", path=model.path
            )
        before = self.outline
        self._say(f"reading {text.label(name)}")
        try:
            roots = await self.loader.function_roots(meta_graph, name)
        finally:
            self._say("")
        if self.model is not model or self.outline is not before:  # something else is shown by now
            return False
        self._inside.append(_Inside(meta_graph, name, _Outside(self.outline, self.cursor)))
        self.outline, self.cursor = Outline(roots.items), 0
        for index in range(min(roots.total, PAGE)):
            node = self.outline.root.child(index)
            if node is not None and node.item is not None and node.item.kind == "section":
                await self.expand(node)
        self._tell(Topic.ROWS)
        self._tell(Topic.CURSOR)
        return True

    def leave_function(self) -> bool:
        """Goes back to what the tree showed before the last function was entered; tells whether one had been."""
        if not self._inside:
            return False
        self.outline, self.cursor = self._inside.pop().outside
        self._tell(Topic.ROWS)
        self._tell(Topic.CURSOR)
        return True

    @property
    def _model_outline(self) -> Outline:
        """The rows of the whole model, below every function that was entered."""
        return self._inside[0].outside.outline if self._inside else self.outline

    def _forget_places(self) -> None:
        self._inside.clear()
