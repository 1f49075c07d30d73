"""Which rows of the tree are open: a view over paged children, without a widget and without a row for each child.

A branch keeps the pages that were looked at and the children that are open; the row of a
cursor is counted, not stored, so a branch with a million children costs what its pages cost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tfexplore.core.items import Item

PAGE = 250
# Pages of one branch that are kept; those far from what is on the screen go first.
_MAX_PAGES = 40


class Node:
    """One row of the outline that has been read.

    Attributes:
        item: what it shows; None only for the root, which is no row.
        index: its place among its parent's children.
        total: how many children it has; None before they have been counted.
        expanded: whether its children are rows.
        problem: why its children cannot be read, if so.
    """

    __slots__ = ("depth", "expanded", "index", "item", "open", "pages", "parent", "problem", "total", "visible")

    def __init__(self, item: Item | None, parent: Node | None, index: int) -> None:
        self.item = item
        self.parent = parent
        self.index = index
        self.depth: int = -1 if parent is None else parent.depth + 1
        self.total: int | None = None
        self.expanded = False
        self.problem: str | None = None
        self.pages: dict[int, list[Node]] = {}
        self.open: list[Node] = []  # expanded children, by index
        self.visible = 0  # rows below this one

    @property
    def is_branch(self) -> bool:
        """Whether anything lies below it."""
        return self.item is not None and self.item.children is not None

    def child(self, index: int) -> Node | None:
        """The child at a place, where its page has been read."""
        page = self.pages.get(index // PAGE)
        place = index % PAGE
        return page[place] if page is not None and place < len(page) else None

    def has_page(self, page: int) -> bool:
        """Whether a page has been read."""
        return page in self.pages

    def keep_page(self, page: int, items: Sequence[Item]) -> None:
        """Keeps a page of children; drops one that lies far away where there are many."""
        start = page * PAGE
        self.pages[page] = [Node(item, self, start + place) for place, item in enumerate(items)]
        if len(self.pages) > _MAX_PAGES:
            busy = {node.index // PAGE for node in self.open}
            spare = [number for number in self.pages if number not in busy and number != page]
            if spare:
                del self.pages[max(spare, key=lambda number: abs(number - page))]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a node, or a place whose page has not been read yet (`node` is None)."""

    parent: Node
    index: int
    node: Node | None


class Outline:
    """The open rows below a root.

    Args:
        items: the first level.
    """

    def __init__(self, items: Sequence[Item] = ()) -> None:
        self.root = Node(None, None, 0)
        self.root.total = len(items)
        self.root.expanded = True
        self.root.visible = len(items)
        for page in range(0, len(items), PAGE):
            self.root.pages[page // PAGE] = [
                Node(item, self.root, page + place) for place, item in enumerate(items[page : page + PAGE])
            ]

    def __len__(self) -> int:
        return self.root.visible

    def refresh(self, items: Sequence[Item]) -> None:
        """Puts newer items in the place of the first level's; what is open below them stays open."""
        root = self.root
        before: dict[tuple[str, str], list[Node]] = {}
        for page in sorted(root.pages):
            for node in root.pages[page]:
                if node.item is not None:
                    before.setdefault((node.item.kind, node.item.label), []).append(node)
        nodes: list[Node] = []
        for index, item in enumerate(items):
            same = before.get((item.kind, item.label))
            node = same.pop(0) if same else Node(item, root, index)
            node.index = index
            # Rows that have been read belong to the children that gave them.
            read = node.item is not None and bool(node.pages)
            node.item = replace(item, children=node.item.children) if read and node.item is not None else item
            nodes.append(node)
        root.total = len(nodes)
        root.open = [node for node in nodes if node.expanded]
        root.visible = len(nodes) + sum(node.visible for node in root.open)
        root.pages = {start // PAGE: nodes[start : start + PAGE] for start in range(0, len(nodes), PAGE)}

    # -- what is open --

    def expand(self, node: Node, total: int) -> None:
        """Opens a branch that has `total` children."""
        node.total = total
        if node.expanded:
            return
        node.expanded = True
        node.visible = total + sum(child.visible for child in node.open)
        parent = node.parent
        if parent is not None:
            parent.open.insert(bisect_left([child.index for child in parent.open], node.index), node)
        self._grow(node, node.visible)

    def collapse(self, node: Node) -> None:
        """Closes a branch; what was open below it stays so for the next time."""
        if not node.expanded or node.parent is None:
            return
        node.expanded = False
        node.parent.open.remove(node)
        self._grow(node, -node.visible)
        node.visible = 0

    def _grow(self, node: Node, rows: int) -> None:
        """Adds rows to every open branch above a node."""
        above = node.parent
        while above is not None and above.expanded:
            above.visible += rows
            above = above.parent

    # -- rows --

    def row(self, number: int) -> Row | None:
        """The row at a place, counted from 0; None past the end."""
        if not 0 <= number < len(self):
            return None
        node = self.root
        while True:
            below = None
            for child in node.open:
                if number <= child.index:
                    break
                if number <= child.index + child.visible:
                    below = child
                    break
                number -= child.visible
            if below is None:
                return Row(node, number, node.child(number))
            number -= below.index + 1
            node = below

    def rows(self, start: int, count: int) -> Iterator[Row]:
        """Up to `count` rows from `start` on."""
        for number in range(start, min(start + count, len(self))):
            row = self.row(number)
            if row is not None:
                yield row

    def number(self, node: Node) -> int | None:
        """The row of a node; None where a branch above it is closed."""
        number = -1
        while node.parent is not None:
            parent = node.parent
            if not parent.expanded:
                return None
            number += 1 + node.index + sum(child.visible for child in parent.open if child.index < node.index)
            node = parent
        return number
