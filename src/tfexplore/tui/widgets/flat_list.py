"""The flat lists, in the tree's place: a million rows cost what is on the screen."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.subjects import OpSubject, Subject
from tfexplore.tui.labels import list_label
from tfexplore.tui.lists import Lists
from tfexplore.tui.session import Session
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.model_tree import ModelTree
from tfexplore.tui.widgets.place_title import place_pieces

# Cells: a shorter path tells nothing, a longer op leaves no room for anything else.
_LEAST_PATH = 8
_MAX_OP = 24
_OTHERS = "not bold $text-muted"


class FlatListView(LineView):
    """All nodes, ops, tensors, variables or keys, one line each."""

    HELP = (
        "All nodes, ops with their counts, tensors, variables or checkpoint keys, of the model or of one function. "
        "Of an op Enter shows its nodes, of anything else the details."
    )
    TITLE = "The lists"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "act", "Open", id="list.act", tooltip="Of an op, show its nodes; else the details"),
        Binding("t", "tree", "Tree", id="list.tree", tooltip="Back to the tree"),
        Binding("right,greater_than_sign", "step(1)", "Next list", id="list.next", tooltip="Go to the next list"),
        Binding(
            "left,less_than_sign",
            "step(-1)",
            "List before",
            show=False,
            id="list.before",
            tooltip="Go to the list before",
        ),
        Binding("s", "sort", "Sort", id="list.sort", tooltip="Sort by name, size or count, in turn"),
        Binding(
            "e",
            "enter_function",
            "Into function",
            show=False,
            id="list.enter",
            tooltip="Show the graph of the function that the node calls, or whose lists these are",
        ),
        # Of two actions with one key the first that there is counts.
        Binding("backspace,u", "back", "Back", id="list.back", tooltip="Back to the ops, or out of the function"),
        Binding("backspace,u", "leave", "Models", id="list.leave", tooltip="Back to the list of models"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "row--fold",
        "row--mark-plain",
        "row--name",
        "row--note",
        "row--facts",
        "row--problem",
    }

    class CursorMoved(Message):
        """The cursor stands on another row."""

    class RowsSeen(Message):
        """Rows are on the screen that have not been read, or the list itself has not."""

        def __init__(self, start: int, count: int) -> None:
            super().__init__()
            self.start = start
            self.count = count

    class TreeRequested(Message):
        """The tree is to be shown again."""

    class StepRequested(Message):
        """Another list is to be shown."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class SortRequested(Message):
        """The rows are to be sorted by something else."""

    class OpRequested(Message):
        """The nodes of the op under the cursor are to be shown."""

    class RowEntered(Message):
        """Enter was pressed on a row that has details only."""

    class BackRequested(Message):
        """The person wants to go back to the ops, or out of the function."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self._asking = False

    @property
    def _lists(self) -> Lists | None:
        return self.session.lists

    @property
    def subject_here(self) -> Subject | None:
        """What the cursor's line stands for; None where it has not been read."""
        return self._lists.subject if self._lists is not None else None

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        lists = self._lists
        return len(lists.rows) if lists is not None and lists.rows is not None else 0

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self._lists.cursor if self._lists is not None else 0

    def move_cursor(self, line: int) -> None:
        """See `LineView`; draws two lines where nothing scrolls."""
        lists, before, top = self._lists, self.cursor_line, self.scroll_offset.y
        if lists is None or not lists.move_to(line):
            return
        self.show_cursor()
        if self.scroll_offset.y == top:
            self.refresh_line(before)
            self.refresh_line(line)
        else:
            self.refresh()
        self.post_message(self.CursorMoved())

    def update_lines(self) -> None:
        """See `LineView`."""
        lists = self._lists
        if lists is not None:
            cells = max(8, self.size.width - 4)
            # Content, never str: Textual reads a str as markup, and a name may look like it.
            self.border_title = Content.assemble(*_title(self.session, lists, cells))
            self.border_subtitle = Content(lists.order) if lists.order else None
            if lists.rows is None and not lists.problem and not lists.reading:
                self._ask_for_rows()
        super().update_lines()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there only where they do something."""
        lists = self._lists
        if lists is None:
            return False
        if action == "back":
            return lists.op is not None or bool(self.session.function_path)
        if action == "leave":
            return self.session.can_leave
        return lists.can_sort if action == "sort" else True

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        lists = self._lists
        if lists is None or lists.rows is None:
            return []
        item = lists.row(line)
        if item is None:
            self._ask_for_rows()
        label = list_label(lists.rows.what, lists.rows.name(line), item, cells - 1, one_op=lists.op is not None)
        return [Segment(piece, self.piece_style(f"row--{style}")) for piece, style in label.pieces]

    def draw_blank(self, y: int, cells: int) -> list[Segment]:
        """See `LineView`: why there are no rows."""
        lists = self._lists
        if lists is None or self.line_count:
            return []
        said = lists.problem or (f"reading {lists.name} …" if lists.reading else "")
        lines = Content(said).wrap(max(1, cells - 2)) if said else []
        return [Segment(" " + lines[y].plain, self.piece_style("row--note"))] if y < len(lines) else []

    def _ask_for_rows(self) -> None:
        """Tells once a frame, after it, that rows are missing."""
        if not self._asking:
            self._asking = True
            self.call_after_refresh(self._tell_rows_seen)

    def _tell_rows_seen(self) -> None:
        self._asking = False
        # To the panes themselves: what is called after a refresh runs as the screen, whose messages do not reach them.
        assert isinstance(self.parent, Widget)
        self.parent.post_message(self.RowsSeen(self.scroll_offset.y, max(1, self.scrollable_content_region.height)))

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Of an op, shows its nodes; else goes to the details."""
        if self._lists is not None and self.line_count:
            op = isinstance(self.subject_here, OpSubject)
            self.post_message(self.OpRequested() if op else self.RowEntered())

    def action_tree(self) -> None:
        """Goes back to the tree."""
        self.post_message(self.TreeRequested())

    def action_step(self, by: int) -> None:
        """Goes to another list."""
        self.post_message(self.StepRequested(by))

    def action_sort(self) -> None:
        """Sorts by something else."""
        self.post_message(self.SortRequested())

    def action_enter_function(self) -> None:
        """Shows the graph of the function that the node calls."""
        self.post_message(ModelTree.EnterFunctionRequested())

    def action_back(self) -> None:
        """Goes back to the ops, or out of the function."""
        self.post_message(self.BackRequested())

    def action_leave(self) -> None:
        """Goes back to the list of models."""
        self.post_message(ModelTree.LeaveRequested())


_Pieces = list[tuple[str, str]]


def _title(session: Session, lists: Lists, cells: int) -> _Pieces:
    """The lists that there are, the one that is shown marked by more than its colour; before them where one is.

    What does not fit goes: first the way here, then the other lists' counts, then the other lists.
    """
    path = session.function_path
    function = lists.owner.function
    if function is not None and (not path or path[-1] != function):
        path = [*path, function]  # the lists of the function that the tree's cursor stands in
    names = _names(lists, lists.names, True)
    room = cells - _width(names) - 2
    if path and room >= _LEAST_PATH:
        return [*place_pieces(path, room), ("  ", ""), *names]
    for fewer in (names, _names(lists, lists.names, False)):
        if _width(fewer) <= cells:
            return fewer
    return _names(lists, (lists.name,), True)


def _names(lists: Lists, shown: tuple[str, ...], counted: bool) -> _Pieces:
    pieces: _Pieces = []
    for name in shown:
        pieces += [(" │ ", _OTHERS)] if pieces else []
        here = name == lists.name
        count = f" {lists.counts[name]:,}" if name in lists.counts and (counted or here) else ""
        pieces.append((f"[{name}{count}]" if here else f"{name}{count}", "bold $accent" if here else _OTHERS))
        if here and lists.op is not None:
            count = f" {len(lists.rows):,}" if lists.rows is not None else ""
            pieces.append((f" ▸ {text.shorten(text.label(lists.op), _MAX_OP)}{count}", "bold $accent"))
    return pieces


def _width(pieces: _Pieces) -> int:
    return sum(text.width(piece[0]) for piece in pieces)
