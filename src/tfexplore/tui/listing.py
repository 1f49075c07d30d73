"""The list of models of a folder: what was found, what of it the person has closed, and where the cursor stands."""

from __future__ import annotations

from dataclasses import replace

from tfexplore.core import text
from tfexplore.core.collection import Found
from tfexplore.core.collection_tree import collection_items
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.subjects import FoundSubject
from tfexplore.errors import ModelError
from tfexplore.tui.outline import PAGE, Node, Outline

# Folders are shown open until so many rows are.
_OPEN_ROWS = 1000
# A list this long is drawn anew only when it has grown by a tenth: its rows are made each time.
_LONG = 500


class Listing:
    """What is known of a folder of models; outlives the models that are opened from it.

    Attributes:
        found: in the order of the search.
        model: the collection; None while the search runs.
        at: the row of the cursor, as `row_key` tells it; None before there was one.
    """

    def __init__(self, path: str, at: str | None = None) -> None:
        self.path = path
        self.found: list[Found] = []
        self.model: Model | None = None
        self.at = at
        self._problems: dict[str, ModelError] = {}
        self._closed: set[str] = set()
        self._subjects: dict[str, FoundSubject] = {}
        self._drawn = 0

    @property
    def searching(self) -> bool:
        """Whether more may be found."""
        return self.model is None

    def add(self, batch: list[Found]) -> None:
        """Takes what the search has found."""
        self.found += batch

    def end(self, model: Model | None = None) -> None:
        """Takes the outcome of the search; without one it was cancelled, and what was found stays."""
        if model is None:
            note = "the search was cancelled: what lies further on is not listed; r searches again"
            model = Model(self.path, COLLECTION, found=self.found, notes=[note])
        self.model = model
        self.found = list(model.found)

    def refuse(self, found: Found, error: ModelError) -> None:
        """Keeps why a model could not be opened."""
        self._problems[found.path] = error

    def keep_closed(self, node: Node, closed: bool) -> None:
        """Keeps whether the person has closed a folder."""
        key = row_key(node)
        if key is not None:
            (self._closed.add if closed else self._closed.discard)(key)

    def wants_drawing(self) -> bool:
        """Whether what was found since the last outline is enough for a new one."""
        return len(self.found) - self._drawn >= (1 if self._drawn < _LONG else self._drawn // 10)

    def outline(self) -> tuple[Outline, int]:
        """The rows as they are now, and which of them has the cursor: the first model, if none had it."""
        self._drawn = len(self.found)
        notes = self.model.notes if self.model is not None else ()

        def problem(found: Found) -> str | None:
            error = self._problems.get(found.path)
            return None if error is None else str(error)

        items = collection_items(self.path, self.found, notes, searching=self.searching, problem=problem)
        outline = Outline(items)
        nodes = [node for page in outline.root.pages.values() for node in page]
        for node in nodes:  # grows meanwhile
            self._settle(node)
            item = node.item
            if item is None or item.children is None or len(outline) >= _OPEN_ROWS or row_key(node) in self._closed:
                continue
            total = item.children.load()
            node.keep_page(0, item.children.page(0, PAGE))
            outline.expand(node, total)
            nodes += node.pages[0]
        return outline, self._cursor(outline, nodes)

    def _settle(self, node: Node) -> None:
        """An unchanged model keeps its subject, so that its details need not be read anew."""
        item = node.item
        if item is None or not isinstance(item.subject, FoundSubject):
            return
        subject = item.subject
        kept = self._subjects.get(subject.path)
        if kept == subject:
            node.item = replace(item, subject=kept)
        else:
            self._subjects[subject.path] = subject
        error = self._problems.get(subject.found.path)
        if error is not None:
            node.problem = text.visible(error.what)

    def _cursor(self, outline: Outline, nodes: list[Node]) -> int:
        if self.at is not None:
            chosen = next((node for node in nodes if row_key(node) == self.at), None)
        else:
            shown = (node for node in nodes if node.item is not None and node.item.kind == "found")
            numbers = [number for node in shown if (number := outline.number(node)) is not None]
            return min(numbers, default=0)
        return (outline.number(chosen) or 0) if chosen is not None else 0


def row_key(node: Node | None) -> str | None:
    """What tells a row of a list from all others, however often the list is made anew."""
    if node is None or node.item is None:
        return None
    path = getattr(node.item.subject, "path", None)
    return f"{node.item.kind} {node.item.label if path is None else path}"
