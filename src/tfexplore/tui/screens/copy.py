"""What to copy of the thing under the cursor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tfexplore.core import text
from tfexplore.core.copied import DTYPE, KINDS, LINE, NAME, PATH, PYTHON, SHAPE, VALUE, Copy
from tfexplore.tui.help_text import keys_of
from tfexplore.tui.widgets.line_view import LineView

# Each kind by its first letter, but for Python: p is the path.
KEYS = {NAME: "n", PATH: "p", SHAPE: "s", DTYPE: "d", VALUE: "v", PYTHON: "c", LINE: "l"}
_WIDEST = max(map(len, KINDS))


class CopyList(LineView):
    """One line each: key, kind, and how it begins."""

    TITLE = "Copy"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "copy--key",
        "copy--kind",
        "copy--text",
    }

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.copies: Sequence[Copy] = ()
        self._line = 0

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.copies)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self._line

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self._line = line
        self.show_cursor()
        self.refresh()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        copied = self.copies[line]
        key = next(iter(keys_of(self.app, f"copy.{copied.kind.lower()}", KEYS[copied.kind])), " ")
        lead = f" {key}  "
        kind = f"{copied.kind:<{_WIDEST}}  "
        room = max(1, cells - text.width(lead) - text.width(kind))
        # Of Python the last line says what it fetches.
        shown = copied.text[: 4 * room] if copied.kind != PYTHON else copied.text.rpartition("\n")[2][: 4 * room]
        shown = text.visible(shown) if not shown.isprintable() else shown
        shown = shown if text.width(shown) <= room else text.take(shown, room - 1) + text.ELLIPSIS
        return [
            Segment(lead, self.piece_style("copy--key")),
            Segment(kind, self.piece_style("copy--kind")),
            Segment(shown, self.piece_style("copy--text")),
        ]

    def act(self) -> None:
        """See `LineView`."""
        screen = self.screen
        if isinstance(screen, CopyScreen):
            screen.action_take()


class CopyScreen(ModalScreen[Copy | None]):
    """Dismissed with what was chosen.

    Args:
        read: gives what can be copied, the first of it what `y` and Enter take.
    """

    TITLE = "Copy"
    HELP = (
        "What can be copied of the thing under the cursor. It goes to the terminal's clipboard, or to a file where "
        "the terminal has none. What holds characters that cannot be seen is copied as a Python literal."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "take", "Copy", id="copy.take", tooltip="Copy what the cursor is on; at first the name"),
        *(
            Binding(
                key,
                f"take('{kind}')",
                kind.capitalize(),
                show=False,
                id=f"copy.{kind.lower()}",
                tooltip=f"Copy the {kind}" if kind != PYTHON else "Copy the Python that fetches it",
            )
            for kind, key in KEYS.items()
        ),
        Binding("escape,q", "leave", "Close", id="copy.close", tooltip="Copy nothing"),
    ]

    def __init__(self, read: Callable[[], Awaitable[Sequence[Copy]]]) -> None:
        super().__init__()
        self._read = read
        self._wanted: str | None = None  # was asked for before it was read: on a slow line keys come in bursts

    def compose(self) -> ComposeResult:
        """A short list."""
        with Vertical(id="copy"):
            yield CopyList(id="copies")

    def on_mount(self) -> None:
        """Reads what there is."""
        self.query_one(CopyList).focus()
        self.read()

    @work(description="reading what can be copied")
    async def read(self) -> None:
        """Reads what there is; does what was asked for meanwhile."""
        copies = await self._read()
        pane = self.query_one(CopyList)
        pane.copies = copies
        pane.styles.height = max(1, len(copies)) + 2
        pane.border_title = "Copy" if copies else "There is nothing to copy"
        pane.update_lines()
        if self._wanted is not None:
            self.action_take(self._wanted)

    def action_take(self, kind: str = "") -> None:
        """Copies what the cursor is on, or one kind of thing."""
        pane = self.query(CopyList)
        copies = pane.first().copies if pane else ()
        if not copies:
            self._wanted = kind
            return
        at = pane.first().cursor_line
        chosen = next((one for one in copies if one.kind == kind), None) if kind else copies[at]
        if chosen is not None:
            self.dismiss(chosen)

    def action_leave(self) -> None:
        """Copies nothing."""
        self.dismiss(None)
