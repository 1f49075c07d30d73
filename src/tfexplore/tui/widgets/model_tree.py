"""The tree pane."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tfexplore.core.subjects import FoundSubject, Subject
from tfexplore.tui.labels import row_label
from tfexplore.tui.outline import Node
from tfexplore.tui.session import Session
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.place_title import place_pieces


class ModelTree(LineView):
    """The model's tree, by keyboard."""

    TITLE = "The tree"
    HELP = "The model as a tree. Branches are read when they are opened."
    HELP_IN_LIST = (
        "The models found in this folder and up to four levels below; of a serving base directory the newest version "
        "first. Nothing is opened before you choose it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter,space",
            "act",
            "Open",
            id="tree.act",
            tooltip="Open or close a branch; on a leaf, go to its details; in a list, open the model",
        ),
        Binding(
            "t",
            "lists",
            "Lists",
            id="tree.lists",
            tooltip="Flat lists of all nodes, ops, tensors, variables, keys; in a function, of its own",
        ),
        Binding(
            "e",
            "enter_function",
            "Into function",
            show=False,
            id="tree.enter",
            tooltip="Show the graph of the function under the cursor, or that its node calls",
        ),
        # Of two actions with one key the first that there is counts.
        Binding("backspace,u", "leave_function", "Out", id="tree.out", tooltip="Out of the function that was entered"),
        Binding("v", "values", "Values", id="tree.values", tooltip="The values of a variable, a key or a constant"),
        Binding("backspace,u", "leave", "Models", id="tree.leave", tooltip="Back to the list of models"),
        Binding("r", "search_again", "Search again", id="tree.search", tooltip="Look for models once more"),
        Binding(
            "right",
            "open_branch",
            "Open branch",
            show=False,
            id="tree.open",
            tooltip="Open a branch; in an open one, go to its first row",
        ),
        Binding(
            "left",
            "close_branch",
            "Close branch",
            show=False,
            id="tree.close",
            tooltip="Close a branch; elsewhere, go to the row above it in the tree",
        ),
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

    class OpenRequested(Message):
        """A model of the list is to be opened."""

        def __init__(self, subject: FoundSubject) -> None:
            super().__init__()
            self.subject = subject

    class ValuesRequested(Message):
        """The values of a row are wanted."""

        def __init__(self, subject: Subject) -> None:
            super().__init__()
            self.subject = subject

    class LeaveRequested(Message):
        """The person wants to go back to the list of models."""

    class ListsRequested(Message):
        """The flat lists are to be shown."""

    class EnterFunctionRequested(Message):
        """The function under the cursor is to be entered."""

    class LeaveFunctionRequested(Message):
        """The function that was entered last is to be left."""

    class SearchRequested(Message):
        """The list is to be made anew."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self._asking = False

    @property
    def help_now(self) -> str:
        """What it is for, as it is now."""
        return self.HELP_IN_LIST if self.session.in_list else self.HELP

    @property
    def subject_here(self) -> Subject | None:
        """See `LineView`."""
        return self.session.subject_at(self.cursor_line)

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

    def update_lines(self) -> None:
        """See `LineView`."""
        path = self.session.function_path
        title = [("Models" if self.session.in_list else "Model", "")]
        self.border_title = Content.assemble(*(place_pieces(path, max(8, self.size.width - 6)) if path else title))
        super().update_lines()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the list, and the one that leads back to it, are there only where they do something."""
        if action == "leave":
            return self.session.can_leave
        if action == "leave_function":
            return bool(self.session.function_path)
        if action in ("lists", "enter_function"):
            return self.session.model is not None and not self.session.in_list
        if action == "values":
            return not self.session.in_list
        if action == "search_again":
            listing = self.session.listing
            return self.session.in_list and listing is not None and not listing.searching
        return True

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
        # To the panes themselves: what is called after a refresh runs as the screen, and a message of the
        # screen's does not bubble past it.
        assert isinstance(self.parent, Widget)
        self.parent.post_message(self.RowsSeen(self.scroll_offset.y, max(1, self.scrollable_content_region.height)))

    def _node(self) -> Node | None:
        row = self.session.row_at_cursor()
        return row.node if row is not None else None

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Opens or closes a branch; on a leaf, goes to its details."""
        node = self._node()
        if node is None or self._open_model(node):
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
        if node is None or self._open_model(node) or not node.is_branch:
            return
        if node.expanded:
            if node.total:
                self._move(self.cursor_line + 1)
        else:
            self.post_message(self.ExpandRequested(node))

    def _open_model(self, node: Node) -> bool:
        """Asks for the model of a list's row; tells whether it is one."""
        subject = node.item.subject if node.item is not None else None
        if not isinstance(subject, FoundSubject):
            return False
        self.post_message(self.OpenRequested(subject))
        return True

    def action_values(self) -> None:
        """Asks for the values of the row."""
        subject = self.session.subject_at(self.cursor_line)
        if subject is not None:
            self.post_message(self.ValuesRequested(subject))

    def action_leave(self) -> None:
        """Goes back to the list of models."""
        self.post_message(self.LeaveRequested())

    def action_lists(self) -> None:
        """Shows the flat lists."""
        self.post_message(self.ListsRequested())

    def action_enter_function(self) -> None:
        """Shows the graph of the function under the cursor."""
        self.post_message(self.EnterFunctionRequested())

    def action_leave_function(self) -> None:
        """Shows what was shown before the function was entered."""
        self.post_message(self.LeaveFunctionRequested())

    def action_search_again(self) -> None:
        """Looks for models once more."""
        self.post_message(self.SearchRequested())

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
