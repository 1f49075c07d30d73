"""The tree pane."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from tfexplore.tui.labels import row_label
from tfexplore.tui.outline import Node
from tfexplore.tui.session import Session
from tfexplore.tui.widgets.line_view import LineView


class ModelTree(LineView):
    """The model's tree, by keyboard."""

    HELP = "The model as a tree. Branches are read when they are opened."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter,space", "act", "Open", id="tree.act", tooltip="Open or close a branch; on a leaf, go to its details"
        ),
        Binding("right", "open_branch", "Open branch", show=False, id="tree.open"),
        Binding("left", "close_branch", "Close branch", show=False, id="tree.close"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "row--fold",
        "row--mark-plain",
        "row--mark-out",
        "row--name",
        "row--section",
        "row--note",
        "row--facts",
        "row--problem",
    }

    class CursorMoved(Message):
        """The cursor stands on another row."""

    class RowsSeen(Message):
        """Rows are on the screen whose pages have not been read."""

        def __init__(self, start: int, count: int) -> None:
            super().__init__()
            self.start = start
            self.count = count

    class ExpandRequested(Message):
        """A branch is to be opened."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    class CollapseRequested(Message):
        """A branch is to be closed."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    class LeafEntered(Message):
        """Enter was pressed on a leaf."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self.border_title = "Model"
        self._asking = False

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.session.outline)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.session.cursor

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        if self.session.move_to(line):
            self.post_message(self.CursorMoved())

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        row = self.session.outline.row(line)
        if row is None:
            return []
        if row.node is None or row.node.item is None:
            self._ask_for_rows()
            return [Segment("  " * min(row.parent.depth + 1, 20) + "  …", self.piece_style("row--facts"))]
        node = row.node
        label = row_label(
            row.node.item,
            depth=node.depth,
            expanded=node.expanded,
            is_branch=node.is_branch,
            cells=cells,
            problem=node.problem,
        )
        return [Segment(piece, self.piece_style(f"row--{style}")) for piece, style in label.pieces]

    def _ask_for_rows(self) -> None:
        """Tells once a frame, after it, that rows are missing."""
        if not self._asking:
            self._asking = True
            self.call_after_refresh(self._tell_rows_seen)

    def _tell_rows_seen(self) -> None:
        self._asking = False
        # To the application itself: what is called after a refresh runs as the screen, and a message of the
        # screen's does not bubble past it.
        self.app.post_message(self.RowsSeen(self.scroll_offset.y, max(1, self.scrollable_content_region.height)))

    def _node(self) -> Node | None:
        row = self.session.row_at_cursor()
        return row.node if row is not None else None

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Opens or closes a branch; on a leaf, goes to its details."""
        node = self._node()
        if node is None:
            return
        if not node.is_branch:
            self.post_message(self.LeafEntered())
        elif node.expanded:
            self.post_message(self.CollapseRequested(node))
        else:
            self.post_message(self.ExpandRequested(node))

    def action_open_branch(self) -> None:
        """Opens a branch; in an open one, goes to its first child."""
        node = self._node()
        if node is None or not node.is_branch:
            return
        if node.expanded:
            if node.total:
                self._move(self.cursor_line + 1)
        else:
            self.post_message(self.ExpandRequested(node))

    def action_close_branch(self) -> None:
        """Closes a branch; elsewhere, goes to the row above in the tree."""
        row = self.session.row_at_cursor()
        if row is None:
            return
        if row.node is not None and row.node.expanded:
            self.post_message(self.CollapseRequested(row.node))
            return
        number = self.session.outline.number(row.parent)
        if row.parent.parent is not None and number is not None:
            self._move(number)
