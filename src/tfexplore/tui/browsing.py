"""The tree of the explorer: which branches are open, where the cursor stands, which rows have been read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.subjects import Subject
from tfexplore.errors import ModelError
from tfexplore.loader import Loader
from tfexplore.tui.details import Details
from tfexplore.tui.listing import Listing, row_key
from tfexplore.tui.outline import PAGE, Node, Outline, Row
from tfexplore.tui.topics import Topic

if TYPE_CHECKING:
    from tfexplore.core.model import Model


class Browsing(Details):
    """The rows of one model, or of a list of models, and the details of what the cursor stands on.

    Attributes:
        model: None until it is open; while the list is shown, the collection.
        listing: the list of models; None where the path is a model.
        outline: the tree's rows.
        cursor: the row of the tree's cursor.
    """

    def __init__(self, loader: Loader, tell: Callable[[Topic], None]) -> None:
        super().__init__(loader, tell)
        self.model: Model | None = None
        self.listing: Listing | None = None
        self.outline = Outline()
        self.cursor = 0
        self._loading: set[tuple[int, int]] = set()

    @property
    def in_list(self) -> bool:
        """Whether the list of models is what is shown."""
        return False

    async def complete(self) -> None:
        """Reads what a large model left out for its first screen.

        Raises:
            Cancelled: it was cancelled.
        """

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
        if self.listing is not None and self.in_list:
            row = self.row_at_cursor()
            self.listing.at = row_key(row.node) if row is not None else None
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
        at, outline = self.row_at_cursor(), self.outline
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
        if outline is not self.outline:  # something else is shown by now
            return
        if not node.has_page(0):
            node.keep_page(0, page.items)
        if self.listing is not None and self.in_list:
            self.listing.keep_closed(node, False)
        self.outline.expand(node, page.total)
        self._keep_cursor(at)
        self._tell(Topic.ROWS)
        if self.model is not None and self.model.loaded:  # reading this branch may have read what was left out
            await self.complete()

    def collapse(self, node: Node) -> None:
        """Closes a branch; a cursor below it goes to its row."""
        at = self.row_at_cursor()
        self.outline.collapse(node)
        if self.listing is not None and self.in_list:
            self.listing.keep_closed(node, True)
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
