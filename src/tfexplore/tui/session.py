"""The state of the explorer: what is open, where the cursor stands, what the detail pane shows. No widgets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.detail import Block, Detail, Line
from tfexplore.core.subjects import ModelSubject, Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader, Progress
from tfexplore.tui.outline import PAGE, Node, Outline, Row

if TYPE_CHECKING:
    from tfexplore.core.model import Model

# From asking for a detail to saying so, in seconds.
_SLOW = 0.3
_OPENED_FIRST = ("section", "signature")


class Topic(Enum):
    """What has changed, told to whoever draws it."""

    HEADER = "header"
    ROWS = "rows"
    CURSOR = "cursor"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the detail pane shows: a subject, its detail once it is read, and the line of the cursor."""

    subject: Subject
    detail: Detail | None = None
    line: int = 0


class Session:
    """One opened path.

    Args:
        path: what the person gave.
        loader: reads for it; closed with the session.
        tell: called in the event loop after a change.

    Attributes:
        model: None until it is open.
        outline: the tree's rows.
        cursor: the row of the tree's cursor.
        status: a few words about what is going on, empty when nothing is.
        trail: what Backspace goes back to, oldest first.
    """

    def __init__(self, path: str, loader: Loader, tell: Callable[[Topic], None]) -> None:
        self.path = path
        self.loader = loader
        self._tell = tell
        self.model: Model | None = None
        self.outline = Outline()
        self.cursor = 0
        self.status = ""
        self.shown: Shown | None = None
        self.trail: list[Shown] = []
        self._loading: set[tuple[int, int]] = set()
        self._facts: list[str] = []

    # -- opening --

    async def open(self) -> None:
        """Opens the path and reads the tree's first level.

        Raises:
            ModelError: it cannot be read.
            Cancelled: it was cancelled.
        """
        self._say("opening")
        try:
            model = await self.loader.open(self.path, self._progress)
            self.model = model
            roots = await self.loader.roots(model)
        finally:
            self._say("")
        self._facts = _facts(model)
        self.outline = Outline(roots.items)
        self.cursor = 0
        self._tell(Topic.ROWS)
        self.start_detail(self.subject_at(0) or ModelSubject(model))
        await self._open_first(self.outline.root)
        self._tell(Topic.HEADER)

    async def complete(self) -> None:
        """Reads what a large model left out for its first screen, then shows totals in the rows that had none.

        Raises:
            Cancelled: it was cancelled: the rows stay as they are.
        """
        model = self.model
        if model is None or model.loaded:
            return
        try:
            await self.loader.complete(model, self._progress)
            roots = await self.loader.roots(model)
        finally:
            self._say("")
        if self.model is not model:
            return
        at = self.row_at_cursor()
        self._facts = _facts(model)
        self.outline.refresh(roots.items)
        self._keep_cursor(at)
        self._tell(Topic.ROWS)
        self._tell(Topic.HEADER)

    async def _open_first(self, parent: Node) -> None:
        """Opens the signatures and the first of them: what most people look for."""
        for index in range(min(parent.total or 0, PAGE)):
            node = parent.child(index)
            if node is not None and node.item is not None and node.item.kind in _OPENED_FIRST:
                if node.item.kind == "section" and node.item.label != "Signatures":
                    continue
                await self.expand(node)
                await self._open_first(node)
                return

    def _progress(self, progress: Progress) -> None:
        share = f" {100 * progress.done // progress.total} %" if progress.total else ""
        self._say(progress.what + share)

    def _say(self, status: str) -> None:
        self.status = status
        self._tell(Topic.HEADER)

    @property
    def title(self) -> str:
        """The model's name, visible."""
        return text.label(os.path.basename(os.path.abspath(self.path)))

    @property
    def facts(self) -> str:
        """What the header says of the model: kind, tag-set, how much it holds."""
        return " · ".join(self._facts)

    # -- the tree --

    def row_at_cursor(self) -> Row | None:
        """The row under the cursor."""
        return self.outline.row(self.cursor)

    def subject_at(self, number: int) -> Subject | None:
        """What a row stands for; None where it has not been read yet."""
        row = self.outline.row(number)
        return row.node.item.subject if row is not None and row.node is not None and row.node.item else None

    def move_to(self, number: int) -> bool:
        """Moves the tree's cursor; tells whether it moved."""
        number = max(0, min(number, len(self.outline) - 1))
        if number == self.cursor:
            return False
        self.cursor = number
        self._tell(Topic.CURSOR)
        return True

    async def expand(self, node: Node) -> None:
        """Opens a branch; where its children cannot be read, its row says why.

        Raises:
            Cancelled: it was cancelled.
        """
        if not node.is_branch or node.expanded or node.item is None or node.item.children is None:
            return
        key = (id(node), -1)
        if key in self._loading:
            return
        self._loading.add(key)
        at = self.row_at_cursor()
        self._say(f"reading {text.label(node.item.label)}")
        try:
            page = await self.loader.page(node.item.children, 0, PAGE)
        except ModelError as error:
            node.problem = text.visible(str(error))
            return
        finally:
            self._loading.discard(key)
            self._say("")
            self._tell(Topic.ROWS)
        if not node.has_page(0):
            node.keep_page(0, page.items)
        self.outline.expand(node, page.total)
        self._keep_cursor(at)
        self._tell(Topic.ROWS)

    def collapse(self, node: Node) -> None:
        """Closes a branch; a cursor below it goes to its row."""
        at = self.row_at_cursor()
        self.outline.collapse(node)
        if at is not None:
            above: Node | None = at.parent
            while above is not None and above is not node:
                above = above.parent
            if above is node:
                self.cursor = self.outline.number(node) or 0
                self._tell(Topic.CURSOR)
            else:
                self._keep_cursor(at)
        self._tell(Topic.ROWS)

    def _keep_cursor(self, at: Row | None) -> None:
        """Keeps the cursor on what it stood on when rows appear or go above it."""
        if at is None or at.node is None:
            return
        number = self.outline.number(at.node)
        if number is not None and number != self.cursor:
            self.cursor = number
            self._tell(Topic.CURSOR)

    async def read_rows(self, start: int, count: int) -> None:
        """Reads the pages of rows that are on the screen and have not been read yet.

        Raises:
            Cancelled: it was cancelled.
        """
        wanted: dict[tuple[int, int], tuple[Node, int]] = {}
        for row in self.outline.rows(start, count):
            if row.node is None:
                page = row.index // PAGE
                wanted.setdefault((id(row.parent), page), (row.parent, page))
        todo = [(key, *found) for key, found in wanted.items() if key not in self._loading]
        await asyncio.gather(*(self._read_page(key, parent, page) for key, parent, page in todo))

    async def _read_page(self, key: tuple[int, int], parent: Node, page: int) -> None:
        if parent.item is None or parent.item.children is None:
            return
        self._loading.add(key)
        try:
            found = await self.loader.page(parent.item.children, page * PAGE, PAGE)
        except ModelError as error:
            parent.problem = text.visible(str(error))
            return
        finally:
            self._loading.discard(key)
        parent.keep_page(page, found.items)
        self._tell(Topic.ROWS)

    # -- the detail pane --

    def start_detail(self, subject: Subject) -> None:
        """Shows a subject of the tree: nothing to go back to."""
        self.trail.clear()
        self.shown = Shown(subject)

    async def read_detail(self) -> None:
        """Reads the detail of what is shown, where that has not been done; a newer call makes an older one stale."""
        shown = self.shown
        if shown is None or shown.detail is not None:
            return
        loop = asyncio.get_running_loop()
        # Most details are there at once; a word about each would only flicker.
        slow = loop.call_later(_SLOW, self._say, "reading the details (Escape cancels)")
        try:
            detail = await self.loader.detail(shown.subject)
        except Cancelled:
            if self.shown is not shown:
                return
            detail = _message(
                "cancelled", "Reading the details was cancelled. Go to another row and back to read them."
            )
        except ModelError as error:
            detail = _message("cannot be shown", text.visible(str(error)))
        finally:
            slow.cancel()
            if loop.time() >= slow.when():
                self._say("")
        if self.shown is shown:
            self.shown = Shown(shown.subject, detail, shown.line)
            self._tell(Topic.DETAIL)

    def move_line(self, line: int) -> None:
        """Moves the detail pane's cursor."""
        if self.shown is not None:
            self.shown = Shown(self.shown.subject, self.shown.detail, line)

    async def follow(self, subject: Subject) -> None:
        """Goes from the shown subject to another; `back` returns."""
        if self.shown is not None:
            self.trail.append(self.shown)
        self.shown = Shown(subject)
        await self.read_detail()

    def back(self) -> bool:
        """Goes back to what was shown before; tells whether there was anything."""
        if not self.trail:
            return False
        self.shown = self.trail.pop()
        self._tell(Topic.DETAIL)
        return True

    # -- ending --

    def cancel(self) -> bool:
        """Cancels what is being read; tells whether anything was."""
        return self.loader.tasks.cancel_all() > 0

    def close(self) -> None:
        """Cancels what runs and closes the model's files."""
        self.loader.close()
        if self.model is not None:
            self.model.close()


def _message(title: str, sentence: str) -> Detail:
    return Detail(title, "Note", (Block("", (Line("", sentence),)),))


def _facts(model: Model) -> list[str]:
    """Kind, tag-set, variables and sizes; what they need the tree's first level has read already."""
    parts = [model.kind_name]
    if len(model.meta_graphs) == 1:
        meta_graph = model.meta_graphs[0]
        parts.append(text.visible(",".join(meta_graph.tags)) or "(no tags)")
        try:
            parameters = sum(variable.parameters for variable in meta_graph.counted_variables)
            used, stored = len(meta_graph.counted_variables), len(meta_graph.variables)
            counted = text.plural(stored, "variable") if used == stored else f"{used:,} of {stored:,} variables used"
            parts.append(f"{counted}, {text.short_count(parameters)} parameters")
        except ModelError:  # the tree says so in the heading's place
            parts.append("variables cannot be read")
    elif model.meta_graphs:
        parts.append(text.plural(len(model.meta_graphs), "MetaGraph"))
    elif model.checkpoint is not None and model.checkpoint.bundle.loaded:
        parts.append(text.plural(len(model.checkpoint.keys), "key"))
    if model.checkpoint_files:
        parts.append(text.plural(len(model.checkpoint_files), "checkpoint"))
    if model.meta_graphs:
        parts.append(text.size(model.file_bytes))
    return parts
