"""The explorer's application: it wires the session to the widgets, and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import partial
from typing import ClassVar, cast

from rich.console import RenderableType
from textual import events, on, work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input, Static

from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.drawing import Difference, Picture
from tfexplore.tui.keys import APP_KEYS
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab, Topic
from tfexplore.tui.widgets.bars import HeaderBar, KeyBar
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.finetune_tab import FinetuneTab
from tfexplore.tui.widgets.model_tree import ModelTree
from tfexplore.tui.widgets.panes import Panes
from tfexplore.tui.widgets.predict_tab import PredictTab
from tfexplore.tui.widgets.safety_list import SafetyList
from tfexplore.tui.widgets.tab_bar import KEYS, NAMES, TabBar

INTERRUPTED = 130
# Within this time a second Ctrl-C quits.
_SECOND_INTERRUPT = 3.0


class ExplorerApp(App[None]):
    """One model, or the list of a folder's models, in two panes."""

    CSS_PATH = "tfexplore.tcss"
    TITLE = "tfexplore"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (15, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = APP_KEYS

    def __init__(self, path: str, *, as_collection: bool = False, options: RunOptions | None = None) -> None:
        super().__init__()
        self.session = Session(path, Loader(), self._changed, as_collection=as_collection, options=options)
        self.failure: ModelError | None = None
        self._picture = Picture()
        self._interrupted_at = float("-inf")

    def compose(self) -> ComposeResult:
        """Header, two panes, keys."""
        yield HeaderBar(self.session, id="header")
        yield TabBar(self.session, id="tabs")
        yield Static("tfexplore needs 60 columns and 15 rows.", id="too-small", markup=False)
        yield Panes(self.session, id="panes")
        yield KeyBar(id="keys")

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        # What Textual draws goes to the terminal as the difference to what it shows.
        if isinstance(renderable, (LayoutUpdate, ChopsUpdate)):
            difference = Difference(renderable, self._picture, (self.size.width, self.size.height))
            renderable = cast("RenderableType", difference)
        super()._display(screen, renderable)

    def action_redraw(self) -> None:
        """Draws the whole screen anew, whatever another program may have written over it."""
        self._picture.forget()
        self.screen.refresh(layout=True)

    def on_mount(self) -> None:
        """Opens the model after the first frame."""
        self.query_one(ModelTree).focus()
        # After `fg` the terminal shows the shell's lines; Textual draws nothing where the size is the same.
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        self.call_after_refresh(self.open_model)

    @work(description="opening the model")
    async def open_model(self) -> None:
        """Opens the path; where it cannot be read the explorer ends and the command says why."""
        try:
            await self.session.open()
            if not self.session.in_list:  # the list has its details read as it is drawn
                self.panes.complete_model()
                await self.session.read_detail()
        except Cancelled:
            if not len(self.session.outline):  # nothing to look at
                self.exit(return_code=INTERRUPTED)
        except ModelError as error:
            self.failure = error
            self.exit(return_code=3)

    @property
    def panes(self) -> Panes:
        """What lies between the tabs and the keys."""
        return self.screen_stack[0].query_one(Panes)

    def _changed(self, topic: Topic) -> None:
        """Draws what has changed in the session."""
        if not self.is_running or not self.screen_stack:
            return
        base, panes = self.screen_stack[0], self.panes
        tabs = base.query_one(TabBar)
        if topic in (Topic.HEADER, Topic.LIST):
            base.query_one(HeaderBar).refresh()
        if topic in (Topic.TAB, Topic.LIST) or tabs.display != (len(self.session.tabs) > 1):
            tabs.display = len(self.session.tabs) > 1
            tabs.refresh()
            panes.adapt()
            self.refresh_bindings()
        if topic is Topic.LIST:
            panes.cursor_moved()
        if topic not in (Topic.HEADER, Topic.TAB):
            panes.draw(topic)

    # -- the list of models --

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
        self.panes.focus_left()
        if self.session.tab is Tab.SAFETY:
            self.panes.scan()
        if self.session.tab not in (Tab.PREDICT, Tab.FINETUNE):
            self.panes.show_row()

    @on(TabBar.Chosen)
    def _tab_chosen(self, message: TabBar.Chosen) -> None:
        self.action_tab(message.tab.value)

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
        if self.session.tab in (Tab.PREDICT, Tab.FINETUNE):
            self.action_tab(Tab.EXPLORE.value)
        self.query_one(DetailPane).focus()
        self.panes.follow(DetailPane.FollowRequested(subject))

    # -- manners --

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Panes are changed on the explorer itself, not below a screen that lies over it."""
        # Within an input Tab completes what is typed.
        return len(self.screen_stack) == 1 and not isinstance(self.focused, Input) if action == "other_pane" else True

    def action_other_pane(self, step: int = 1) -> None:
        """Goes to the other pane, of several to the next."""
        self.panes.other_pane(step)

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
        yield from self.query_one(FinetuneTab).commands()
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
