"""The explorer's application: it wires the session to the widgets, and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import events, on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, Static

from tfexplore.core import text
from tfexplore.core.subjects import FoundSubject, Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab, Topic
from tfexplore.tui.widgets.bars import HeaderBar, KeyBar
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.model_tree import ModelTree
from tfexplore.tui.widgets.predict_tab import PredictTab
from tfexplore.tui.widgets.safety_list import SafetyList
from tfexplore.tui.widgets.tab_bar import KEYS, NAMES, TabBar

INTERRUPTED = 130
# From the last move of the cursor to the reading of the details.
_DEBOUNCE = 0.08
# Within this time a second Ctrl-C quits.
_SECOND_INTERRUPT = 3.0


class ExplorerApp(App[None]):
    """One model, or the list of a folder's models, in two panes."""

    CSS_PATH = "tfexplore.tcss"
    TITLE = "tfexplore"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (15, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, because the screen's own Tab is bound without a place in the line of keys.
        Binding("tab", "other_pane", "Other pane", priority=True, id="app.pane", tooltip="Go to the other pane"),
        Binding(
            "shift+tab",
            "other_pane(-1)",
            "Pane before",
            show=False,
            priority=True,
            id="app.pane_before",
            tooltip="Go to the pane before",
        ),
        *(
            Binding(
                ",".join(keys),
                f"tab('{tab.value}')",
                NAMES[tab],
                show=False,
                id=f"app.tab_{tab.value}",
                tooltip=f"The tab {NAMES[tab]}",
            )
            for tab, keys in KEYS.items()
        ),
        Binding("slash", "search", "Search", id="app.search", tooltip="Search the model's names as you type"),
        Binding("v", "values", "Values", id="app.values", tooltip="The values of a variable, key or constant"),
        Binding("escape", "cancel", "Cancel", show=False, id="app.cancel", tooltip="Cancel what is being read"),
        Binding("f1,question_mark", "help", "Help", id="app.help", tooltip="Every key of the focused pane"),
        Binding(
            "ctrl+z",
            "suspend_process",
            "Suspend",
            show=False,
            id="app.suspend",
            tooltip="Back to the shell; fg returns",
        ),
        Binding("q", "quit", "Quit", id="app.quit", tooltip="Close the model and leave"),
        Binding("ctrl+q", "quit", "Quit", show=False, id="app.quit_too", tooltip="Close the model and leave"),
        Binding(
            "ctrl+c",
            "interrupt",
            "Interrupt",
            show=False,
            priority=True,
            id="app.interrupt",
            tooltip="Cancel what runs; twice: quit",
        ),
    ]

    def __init__(self, path: str, *, as_collection: bool = False, options: RunOptions | None = None) -> None:
        super().__init__()
        self.session = Session(path, Loader(), self._changed, as_collection=as_collection, options=options)
        self.failure: ModelError | None = None
        self._debounce: Timer | None = None
        self._interrupted_at = float("-inf")

    def compose(self) -> ComposeResult:
        """Header, two panes, keys."""
        yield HeaderBar(self.session, id="header")
        yield TabBar(self.session, id="tabs")
        yield Static("tfexplore needs 60 columns and 15 rows.", id="too-small", markup=False)
        with Container(id="panes"):
            yield ModelTree(self.session, id="tree")
            yield SafetyList(self.session, id="safety")
            yield DetailPane(self.session, id="detail")
            yield PredictTab(self.session, id="predict")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Opens the model after the first frame."""
        self.query_one(ModelTree).focus()
        # After `fg` the terminal shows the shell's lines; Textual draws nothing where the size is the same.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.call_after_refresh(self.open_model)

    @work(description="opening the model")
    async def open_model(self) -> None:
        """Opens the path; where it cannot be read the explorer ends and the command says why."""
        try:
            await self.session.open()
            if not self.session.in_list:  # the list has its details read as it is drawn
                self.complete_model()
                await self.session.read_detail()
        except Cancelled:
            if not len(self.session.outline):  # nothing to look at
                self.exit(return_code=INTERRUPTED)
        except ModelError as error:
            self.failure = error
            self.exit(return_code=3)

    @work(description="reading the rest of a large model")
    async def complete_model(self) -> None:
        """Reads what a large model left out for its first screen."""
        try:
            await self.session.complete()
        except Cancelled:
            return

    def _changed(self, topic: Topic) -> None:
        """Draws what has changed in the session."""
        if not self.is_running or not self.screen_stack:
            return
        base = self.screen_stack[0]
        if topic is Topic.HEADER:
            base.query_one(HeaderBar).refresh()
            if base.query_one(TabBar).display != (len(self.session.tabs) > 1):
                self._arrange()
            return
        if topic is Topic.LIST:
            self._arrange()
            base.query_one(HeaderBar).refresh()
            self._cursor_moved()
        if topic is Topic.TAB:
            self._arrange()
            base.query_one(TabBar).refresh()
            return
        if topic is Topic.PREDICT:
            base.query_one(PredictTab).update()
            return
        if topic is Topic.SAFETY:
            base.query_one(SafetyList).update_lines()
            self.refresh_bindings()
            return
        pane = base.query_one(DetailPane) if topic is Topic.DETAIL else base.query_one(ModelTree)
        pane.update_lines()
        if topic is not Topic.ROWS:
            pane.show_cursor()

    def _arrange(self) -> None:
        """Gives the list of models, or the model's tab, its room and its keys."""
        base = self.screen_stack[0]
        base.query_one("#panes").set_class(self.session.in_list, "-list")
        base.query_one(TabBar).display = len(self.session.tabs) > 1
        base.query_one(TabBar).refresh()
        tab, focused = self.session.tab, base.focused
        for kind, shown in (
            (ModelTree, tab is Tab.EXPLORE),
            (SafetyList, tab is Tab.SAFETY),
            (DetailPane, tab is not Tab.PREDICT),
        ):
            base.query_one(kind).display = shown
        base.query_one(PredictTab).adapt()
        if focused is None or not focused.display:
            self._focus_left()
        self.refresh_bindings()

    @property
    def _left(self) -> LineView:
        """The pane whose cursor the details follow."""
        return self.screen_stack[0].query_one(SafetyList if self.session.tab is Tab.SAFETY else ModelTree)

    def _focus_left(self) -> None:
        """Goes to the pane that the shown tab is worked in first."""
        if self.session.tab is Tab.PREDICT:
            self.screen_stack[0].query_one(PredictTab).focus_first()
        else:
            self._left.focus()

    # -- the list of models --

    @on(ModelTree.OpenRequested)
    def _model_chosen(self, message: ModelTree.OpenRequested) -> None:
        self.enter_model(message)

    @work(exclusive=True, group="enter", description="opening a model of the list")
    async def enter_model(self, message: ModelTree.OpenRequested) -> None:
        """Opens a model of the list; where it cannot be read, says why and stays."""
        try:
            await self.session.enter(message.subject)
        except Cancelled:
            pass
        except ModelError as error:
            at = self.session.subject_at(self.session.cursor)
            # Where the cursor still stands on it, its details say it, and a message would lie over them.
            if not isinstance(at, FoundSubject) or at.path != message.subject.path:
                self.notify(text.visible(str(error)), severity="error", markup=False, timeout=10)
        if self.session.entered is message.subject:
            self._arrange()
            self.query_one(ModelTree).update_lines()
            self.complete_model()
            self.show_row()

    @on(ModelTree.LeaveRequested)
    def _leave_requested(self) -> None:
        if not self.session.back():
            self.action_leave_model()

    @on(ModelTree.SearchRequested)
    def _search_requested(self) -> None:
        self.open_model()

    def action_leave_model(self) -> None:
        """Goes back to the list of models."""
        if self.session.leave():
            self.query_one(ModelTree).focus()

    # -- tabs --

    def action_tab(self, name: str) -> None:
        """Goes to a tab."""
        if not self.session.show_tab(Tab(name)):
            return
        self._focus_left()
        if self.session.tab is Tab.SAFETY:
            self.scan()
        if self.session.tab is not Tab.PREDICT:
            self.show_row()

    @on(TabBar.Chosen)
    def _tab_chosen(self, message: TabBar.Chosen) -> None:
        self.action_tab(message.tab.value)

    @on(SafetyList.ScanRequested)
    @work(exclusive=True, group="scan", description="scanning the model")
    async def scan(self) -> None:
        """Looks for what the model could do to this machine."""
        safety = self.session.safety
        if safety is not None:
            await safety.scan()
            if self.session.safety is safety:
                self.show_row()

    @on(SafetyList.NodeRequested)
    @work(exclusive=True, group="detail", description="looking for a node")
    async def show_finding(self) -> None:
        """Shows the node that the finding under the cursor is about."""
        if self._debounce is not None:  # its details are the place to come back to
            self._debounce.stop()
        await self.session.read_pointed_at()
        subject = await self.session.node_of_finding()
        if subject is None:
            self.notify("No pane leads to it: its details tell what is known.", markup=False, timeout=4)
            return
        self.query_one(DetailPane).focus()
        await self.session.follow(subject)

    # -- search --

    def action_search(self) -> None:
        """Searches the model's names; what is chosen is shown in the details."""
        from tfexplore.tui.screens.search import SearchScreen

        finding = self.session.finding(self._search_changed)
        if finding is not None:
            self.push_screen(SearchScreen(finding), self._chosen)

    def _search_changed(self) -> None:
        from tfexplore.tui.screens.search import SearchScreen

        if isinstance(self.screen, SearchScreen):
            self.screen.draw()

    def _chosen(self, subject: Subject | None) -> None:
        if subject is None:
            return
        if self.session.tab is Tab.PREDICT:
            self.action_tab(Tab.EXPLORE.value)
        self.query_one(DetailPane).focus()
        self.follow(DetailPane.FollowRequested(subject))

    # -- values --

    @work(exclusive=True, group="values", description="opening the values")
    async def action_values(self) -> None:
        """Shows the values of what the focused pane stands on."""
        from tfexplore.tui.screens.values import open_values

        subject = self.session.subject_at(self.session.cursor)
        if isinstance(self.focused, DetailPane) and self.session.shown is not None:
            subject = self.session.shown.subject
        if subject is not None:
            await open_values(self, self.session.loader, subject)

    # -- the tree --

    @on(ModelTree.CursorMoved)
    @on(SafetyList.CursorMoved)
    def _cursor_moved(self) -> None:
        if self._debounce is not None:
            self._debounce.stop()
        self._debounce = self.set_timer(_DEBOUNCE, self.show_row)

    @work(exclusive=True, group="detail", description="reading a detail")
    async def show_row(self) -> None:
        """Shows the details of what the cursor stands on."""
        await self.session.read_pointed_at()

    @on(ModelTree.ExpandRequested)
    def _expand_requested(self, message: ModelTree.ExpandRequested) -> None:
        self.expand(message)

    @work(description="opening a branch")
    async def expand(self, message: ModelTree.ExpandRequested) -> None:
        """Opens a branch of the tree."""
        try:
            await self.session.expand(message.node)
        except Cancelled:
            return

    @on(ModelTree.CollapseRequested)
    def _collapse_requested(self, message: ModelTree.CollapseRequested) -> None:
        self.session.collapse(message.node)

    @on(ModelTree.RowsSeen)
    def _rows_seen(self, message: ModelTree.RowsSeen) -> None:
        self.read_rows(message.start, message.count)

    @work(description="reading rows")
    async def read_rows(self, start: int, count: int) -> None:
        """Reads rows that are on the screen."""
        unread = self.session.subject_at(self.session.cursor) is None
        try:
            await self.session.read_rows(start, count)
        except Cancelled:
            return
        if unread:  # the cursor was faster than the pages
            self._cursor_moved()

    @on(ModelTree.LeafEntered)
    def _leaf_entered(self) -> None:
        self.query_one(DetailPane).focus()

    # -- the detail pane --

    @on(DetailPane.FollowRequested)
    def _follow_requested(self, message: DetailPane.FollowRequested) -> None:
        self.follow(message)

    @work(exclusive=True, group="detail", description="following a line")
    async def follow(self, message: DetailPane.FollowRequested) -> None:
        """Shows what a line of the details names."""
        await self.session.follow(message.subject)

    @on(DetailPane.BackRequested)
    def _back_requested(self) -> None:
        if not self.session.back():
            self._left.focus()

    # -- manners --

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Panes are changed on the explorer itself, not below a screen that lies over it."""
        # Within an input Tab completes what is typed.
        return len(self.screen_stack) == 1 and not isinstance(self.focused, Input) if action == "other_pane" else True

    def action_other_pane(self, step: int = 1) -> None:
        """Goes to the other pane, of several to the next."""
        if self.session.tab is Tab.PREDICT:
            self.query_one(PredictTab).focus_next(self.focused, step)
            return
        (self._left if isinstance(self.focused, DetailPane) else self.query_one(DetailPane)).focus()

    def action_help(self) -> None:
        """Shows what the focused pane is for, and every key."""
        from tfexplore.tui.screens.help import HelpScreen, help_content

        pane = self.focused
        in_list = isinstance(pane, ModelTree) and self.session.in_list
        purpose = (
            ModelTree.HELP_IN_LIST
            if in_list
            else (pane.HELP if pane is not None else None) or "Look into a model by keyboard."
        )
        titles = ((ModelTree, "The tree"), (DetailPane, "The details"), (SafetyList, "Safety"))
        title = next((title for kind, title in titles if type(pane) is kind), getattr(pane, "TITLE", "Help"))
        self.push_screen(HelpScreen(help_content(title, purpose, self.screen.active_bindings.items())))

    def action_cancel(self) -> None:
        """Cancels what is being read."""
        self.session.cancel()

    def action_interrupt(self) -> None:
        """Cancels what runs, else says how to quit; a second one in a row quits."""
        import time

        now = time.monotonic()
        if now - self._interrupted_at < _SECOND_INTERRUPT:
            self.exit(return_code=INTERRUPTED)
            return
        self._interrupted_at = now
        cancelled = self.session.cancel()
        said = "Cancelled. Ctrl-C again quits." if cancelled else "Press q to quit, or Ctrl-C again."
        self.notify(said, markup=False, timeout=_SECOND_INTERRUPT)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette's entries."""
        yield SystemCommand("Help", "Every key of the focused pane", self.action_help)
        yield SystemCommand("Cancel", "Cancel what is being read", self.action_cancel)
        if self.session.can_leave:
            yield SystemCommand("Models", "Back to the list of models", self.action_leave_model)
        for tab in self.session.tabs:
            go = partial(self.action_tab, tab.value)
            yield SystemCommand(f"Tab {NAMES[tab]}", f"Key {KEYS[tab][0]} or {KEYS[tab][1]}", go)
        yield from self.query_one(PredictTab).commands()
        yield from super().get_system_commands(screen)

    async def on_unmount(self, event: events.Unmount) -> None:
        """Leaves nothing open, and no process."""
        self.session.close()
        await self.session.ended()

    def _handle_exception(self, error: Exception) -> None:
        # Textual would print a traceback; `run_app` hands the error on, to be logged once the terminal is back.
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    @property
    def crash(self) -> Exception | None:
        """The exception that ended the application, if one did."""
        return self._exception


def run_app(path: str, *, as_collection: bool = False, options: RunOptions | None = None) -> int:
    """Runs the explorer on a path until the person leaves; returns the exit code.

    Args:
        path: what is opened.
        as_collection: shows the list of the models in and below the path.
        options: how models are run.

    Raises:
        ModelError: the path cannot be opened.
        Exception: the application crashed.
    """
    app = ExplorerApp(path, as_collection=as_collection, options=options)
    # What was imported stays to the end: a search for garbage need not look at it each time.
    gc.freeze()
    app.run()
    if app.crash is not None:
        raise app.crash
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
