"""The values of one tensor: facts, axes, grid, the exact value under the cursor, and a panel beside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Container
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from tfexplore.core import pictures, text
from tfexplore.core.subjects import Subject, VariableSubject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.tui.labels import is_ascii
from tfexplore.tui.ramp import Ramp
from tfexplore.tui.value_panel import Kind, Panel
from tfexplore.tui.values import Values
from tfexplore.tui.widgets.bars import KeyBar
from tfexplore.tui.widgets.value_grid import ValueGrid

if TYPE_CHECKING:
    from tfexplore.core.tensor_source import TensorSource

SLICE = "slice"
# For so many seconds the first values are waited for before the screen is drawn.
_PATIENCE = 0.03


class _Line(Widget):
    """One line of text."""

    def __init__(self, screen: ValuesScreen, *, id: str) -> None:
        super().__init__(id=id)
        self._of = screen


class _Facts(_Line):
    """Name, dtype, shape, size, checksum."""

    def render(self) -> Content:
        values, cells = self._of.values, self.size.width
        checksum = f"checksum {values.checksum}"
        facts = f"  {values.facts}  "
        room = max(8, cells - text.width(facts) - text.width(checksum))
        name = text.shorten(text.label(values.name), room)
        style = {"good": "$success", "bad": "bold $error"}.get(values.checksum, "$text-muted")
        facts = text.take(facts, max(0, cells - text.width(name) - text.width(checksum)))
        return Content.assemble((name, "bold"), (facts, "$text-muted"), (checksum, style))


class _Axes(_Line):
    """Which axes are rows and columns, where the others stand."""

    def render(self) -> Content:
        values, cells = self._of.values, self.size.width
        view = values.view
        parts: list[tuple[str, str]] = [(view.spec, "bold $accent"), ("   ", "")]
        if view.rows is None:
            parts.append(("a scalar", "$text-muted"))
        elif view.is_folded:
            parts.append((f"axis {view.rows} ({text.count(view.counts[view.rows])}) from line to line", "$text-muted"))
        else:
            columns = view.columns or 0
            parts.append((f"rows axis {view.rows} ({text.count(view.counts[view.rows])})", "$text-muted"))
            parts.append((f"  columns axis {columns} ({text.count(view.counts[columns])})", "$text-muted"))
        axis = values.stepped_axis
        if axis is not None:
            last = view.starts[axis] + view.counts[axis] - 1
            parts.append(("   [ ]", "bold $accent"))
            parts.append((f" axis {axis} at {view.index[axis]:,} of {view.starts[axis]:,} to {last:,}", "$text-muted"))
            if len(view.others) > 1:
                parts.append(("  a next axis", "$text-muted"))
        shown: list[tuple[str, str]] = []
        for said, style in parts:
            cells -= text.width(said)
            if cells < 0 and shown:  # half a hint helps nobody
                break
            shown.append((text.shorten(said, max(1, self.size.width)), style))
        return Content.assemble(*shown)


class _Exact(_Line):
    """The exact value under the cursor, or what went wrong."""

    def render(self) -> Content:
        values, cells = self._of.values, self.size.width
        if values.problem:
            return Content.assemble((text.shorten(values.problem, cells), "$error"))
        place = values.place
        if place is None:
            return Content("")
        where = f"[{', '.join(map(str, place))}]"
        bad = "  checksum bad" if values.checksum == "bad" else ""
        room = max(1, cells - text.width(where) - 3 - text.width(bad))
        written = values.exact or values.reason or text.ELLIPSIS
        if text.width(written) > room:
            written = text.take(written, room - 1) + text.ELLIPSIS
        return Content.assemble((where, "$text-muted"), " = ", (written, "bold"), (bad, "bold $error"))


class PanelView(Widget):
    """What the panel shows, drawn."""

    def __init__(self, screen: ValuesScreen, *, id: str) -> None:
        super().__init__(id=id)
        self._of = screen
        self._rows: list[pictures.Row] = []

    def on_resize(self) -> None:
        """Takes the room that there is."""
        size = self.content_size
        self._of.panel.resize(size.width, size.height)
        self._of.draw()

    def update_rows(self) -> None:
        """Draws anew."""
        panel = self._of.panel
        self.border_title = panel.title
        self._rows = panel.rows()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        row = self._rows[y] if y < len(self._rows) else []
        ramp = self._of.ramp
        return (
            Strip([Segment(run.text, ramp.style(run.fg, run.bg)) for run in row])
            .adjust_cell_length(self.content_size.width)
            .apply_style(self.rich_style)
        )


class ValuesScreen(ModalScreen[None]):
    """Over the panes: what was looked at stays."""

    TITLE = "Values"
    HELP = ValueGrid.HELP
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "ask('slice')", "Slice", id="values.slice", tooltip="Look at a part: 0, :, 3:10, :"),
        Binding("g", "ask('go to')", "Go to", id="values.go_to", tooltip="Go to an index: 3, 5"),
        Binding("x", "panel('statistics')", "Statistics", id="values.statistics", tooltip="Of the whole tensor"),
        Binding("H", "panel('histogram')", "Histogram", id="values.histogram", tooltip="Of the whole tensor"),
        Binding(
            "p",
            "panel('picture')",
            "Picture",
            id="values.picture",
            tooltip="Filters, then the matrix by its means, then by its farthest values, then none",
        ),
        Binding("escape", "escape", "Back", id="values.close", tooltip="Cancel what is being read, else go back"),
        Binding("e", "heat", "Heat", id="values.heat", tooltip="Colours behind the numbers, or none"),
        Binding("t", "transpose", "Transpose", id="values.transpose", tooltip="Change rows and columns"),
        Binding("r", "turn('rows')", "Rows", id="values.rows", tooltip="The next axis as the rows"),
        Binding("c", "turn('columns')", "Columns", id="values.columns", tooltip="The next axis as the columns"),
        Binding("right_square_bracket", "step(1)", "Step", show=False, id="values.next", tooltip="The next index"),
        Binding(
            "left_square_bracket", "step(-1)", "Step back", show=False, id="values.before", tooltip="The index before"
        ),
        Binding("a", "axis", "Next axis", show=False, id="values.axis", tooltip="Step along another axis"),
        Binding("enter", "panel('value')", "Whole value", show=False, id="values.value", tooltip="One value in full"),
        Binding("number_sign", "hex", "Hex", show=False, id="values.hex", tooltip="The exact value in hexadecimal too"),
        Binding("y", "copy", "Copy", show=False, id="values.copy", tooltip="Copy the exact value"),
        Binding("v,q,backspace", "leave", "Leave", show=False, id="values.leave", tooltip="Back to where you were"),
        Binding("ctrl+z", "app.suspend_process", "Suspend", show=False, id="values.suspend", tooltip="To the shell"),
        Binding("ctrl+q", "app.quit", "Quit", show=False, id="values.quit", tooltip="Leave the explorer"),
    ]

    def __init__(self, source: TensorSource, loader: Loader, name: str = "") -> None:
        super().__init__()
        self.values = Values(source, loader, self.draw, name)
        self.panel = Panel(self.values, self.draw)
        self.ramp = Ramp(*[Color(0, 0, 0)] * 5)
        self.asking = ""

    def compose(self) -> ComposeResult:
        """Facts, axes, grid and panel, the exact value, keys."""
        yield _Facts(self, id="value-facts")
        yield _Axes(self, id="value-axes")
        with Container(id="value-panes"):
            yield ValueGrid(self.values, id="value-grid")
        yield _Exact(self, id="value-exact")
        yield KeyBar(id="value-keys")

    def on_mount(self) -> None:
        """Takes the theme's colours."""
        self._take_theme()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._take_theme())
        self.query_one(ValueGrid).focus()

    def on_unmount(self) -> None:
        """Leaves nothing behind: the signal would hold the screen, and with it the tensor."""
        self.app.theme_changed_signal.unsubscribe(self)

    def _take_theme(self) -> None:
        colours = self.app.get_css_variables()
        grid = self.query_one(ValueGrid)
        names = ("background", "accent", "primary", "foreground", "error")
        self.ramp = grid.ramp = Ramp(*[Color.parse(colours[name]) for name in names])
        few = self.app.no_color or self.app.console.color_system in (None, "standard")
        self.panel.mode = pictures.ASCII if is_ascii() else pictures.SHADE if few else pictures.HALF
        self.draw()

    def draw(self) -> None:
        """Draws what has changed."""
        if not self.is_running or not self.query(ValueGrid):  # before its first frame, or gone
            return
        self.query_one(ValueGrid).update_cells()
        self._draw_lines()
        view = self._panel_view()
        if view is not None:
            view.display = self.panel.kind is not Kind.NONE
            view.set_class(self.panel.kind in (Kind.PICTURE, Kind.HISTOGRAM), "-picture")
            view.update_rows()
            if self.panel.is_wanting:
                self.load_panel()

    def _panel_view(self) -> PanelView | None:
        """What the panel is drawn in, made when it is needed first; None before."""
        found = self.query(PanelView)
        if not found and self.panel.kind is not Kind.NONE:
            # What it draws is read once it has its room.
            self.query_one("#value-panes").mount(PanelView(self, id="value-panel"))
        return found.first() if found else None

    def _draw_lines(self) -> None:
        for line in self.query(_Line):
            line.refresh()

    @on(ValueGrid.PagesWanted)
    @work(group="pages", description="reading values")
    async def read_pages(self) -> None:
        """Reads the values that are on the screen; the newest call that has something to read ends those before."""
        await self.values.read_wanted()

    @on(ValueGrid.Moved)
    def _moved(self) -> None:
        self.query_one(_Exact).refresh()
        view = self._panel_view()
        if self.panel.kind is Kind.VALUE and view is not None:
            view.update_rows()
        elif self.panel.kind is Kind.PICTURE and self.panel.is_wanting:
            self.load_panel()

    @work(exclusive=True, group="panel", description="reading a tensor for its panel")
    async def load_panel(self) -> None:
        """Reads what the panel shows."""
        await self.panel.load()

    # -- keys --

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there where they do something."""
        view = self.values.view
        if action == "step":
            return self.values.stepped_axis is not None
        if action == "axis":
            return len(view.others) > 1
        if action == "turn":
            return len(view.shape) > 1 and not (len(view.shape) == 2 and view.columns is not None)
        if action == "transpose":
            return view.columns is not None
        if action == "heat":
            return not self.values.is_text
        if action == "panel" and parameters and parameters[0] != "value":
            return not self.values.is_text or parameters[0] == "statistics"
        return True

    def action_ask(self, what: str) -> None:
        """Asks for a slice or an index, in the line of the exact value."""
        if self.asking:
            return
        self.asking = what
        exact = self.query_one(_Exact)
        field = Input(
            self.values.view.spec[1:-1] if what == SLICE else "",
            placeholder="0, :, 3:10, :" if what == SLICE else "an index like 3, 5",
            compact=True,
            select_on_focus=True,
            id="value-input",
        )
        field.cursor_blink = False
        exact.display = False
        self.mount(field, after=exact)
        field.focus()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        done = self.values.slice(event.value) if self.asking == SLICE else self.values.go_to(event.value)
        self._stop_asking()
        if done:
            self.refresh_bindings()

    def _stop_asking(self) -> None:
        self.asking = ""
        self.query_one(_Exact).display = True
        self.query_one(ValueGrid).focus()
        self.query(Input).remove()

    def action_step(self, by: int) -> None:
        """Moves along the axis that steps."""
        self.values.step(by)

    def action_axis(self) -> None:
        """Lets another axis step."""
        self.values.next_axis()

    def action_turn(self, which: str) -> None:
        """Takes the next axis as rows or columns."""
        self.values.turn(which)
        self.refresh_bindings()

    def action_transpose(self) -> None:
        """Changes rows and columns."""
        self.values.transpose()

    def action_heat(self) -> None:
        """Puts colours behind the numbers, or takes them away."""
        self.values.is_hot = not self.values.is_hot
        self.draw()

    def action_hex(self) -> None:
        """Shows the exact value in hexadecimal too."""
        self.values.is_hex = not self.values.is_hex
        self.draw()

    def action_panel(self, kind: str) -> None:
        """Shows something beside the grid, or takes it away."""
        self.panel.cancel()
        self.panel.toggle(Kind(kind))

    def action_copy(self) -> None:
        """Copies the exact value."""
        found = self.values.exact
        if found:
            self.app.copy_to_clipboard(found)

    def action_escape(self) -> None:
        """Stops asking, cancels what is being read, or goes back."""
        if self.asking:
            self._stop_asking()
        elif self.values.problem:
            self.values.problem = ""
            self.draw()
        elif not self.panel.cancel():
            self.action_leave()

    def action_leave(self) -> None:
        """Goes back; nothing is read any more."""
        self.panel.cancel()
        self.values.cancel()
        self.dismiss()


async def open_source(app: App[None], loader: Loader, source: TensorSource, name: str = "") -> None:
    """Shows the values of a tensor, under its own name or another."""
    screen = ValuesScreen(source, loader, name)
    # The first page is nearly always there at once: then nothing has to be drawn twice.
    screen.values.resize(app.size.width, app.size.height)
    screen.values.want_screen()
    reading = asyncio.ensure_future(screen.values.read_wanted())
    done, _ = await asyncio.wait({reading}, timeout=_PATIENCE)
    for task in done:
        task.result()  # what nobody expected is not to be lost
    await app.push_screen(screen)


async def open_values(app: App[None], loader: Loader, *subjects: Subject) -> None:
    """Shows the values of the first of these things that has any; where none has, or they cannot be read, says so."""

    def job(_: object) -> tuple[TensorSource, Subject] | None:
        from tfexplore.core.tensor_source import source_of

        for subject in subjects:
            source = source_of(subject)
            if source is not None:
                return source, subject
        return None

    try:
        found = await loader.tasks.run(job, channel="values source")
    except Cancelled:
        return
    except ModelError as error:
        app.notify(text.visible(str(error)), severity="error", markup=False, timeout=10)
        return
    if found is None:
        app.notify("It has no values: variables, checkpoint keys and constants have.", markup=False, timeout=4)
        return
    source, subject = found
    await open_source(app, loader, source, subject.variable.name if isinstance(subject, VariableSubject) else "")
