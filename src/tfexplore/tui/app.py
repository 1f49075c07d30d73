"""The explorer's application: it wires the session to the widgets, and nothing else."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import ClassVar, cast

from rich.console import RenderableType
from textual import events, on, work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette, Provider
from textual.screen import Screen
from textual.widgets import Input

from tfexplore.core import text
from tfexplore.core.copied import VALUE, Copy, of_text
from tfexplore.core.settings import Settings, read_settings, settings_path
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.drawing import Difference, Picture
from tfexplore.tui.keys import APP_KEYS, OF_PANES
from tfexplore.tui.look import DARK, LIGHT, SIXTEEN, Look, look_here
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab, Topic
from tfexplore.tui.widgets.bars import HeaderBar, KeyBar, TooSmall
from tfexplore.tui.widgets.model_tree import ModelTree
from tfexplore.tui.widgets.panes import Panes
from tfexplore.tui.widgets.tab_bar import TabBar

INTERRUPTED = 130
# Sentences about the settings that are shown; `--print-config` tells how it is done right.
_MAX_SAID = 3
# Within this time a second Ctrl-C quits.
_SECOND_INTERRUPT = 3.0


def _actions() -> type[Provider]:
    from tfexplore.tui.commands import Actions

    return Actions


class ExplorerApp(App[None], inherit_bindings=False):
    """One model, or the list of a folder's models, in two panes.

    Args:
        path: what is opened.
        as_collection: shows the list of the models in and below the path.
        options: how models are run.
        settings: keys and clipboard.
        look: how it draws.
    """

    CSS_PATH = "tfexplore.tcss"
    TITLE = "tfexplore"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (15, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = APP_KEYS
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_actions}

    def __init__(
        self,
        path: str,
        *,
        as_collection: bool = False,
        options: RunOptions | None = None,
        settings: Settings | None = None,
        look: Look | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.look = look or Look()
        self._said: list[str] = list(self.settings.problems)
        self._wear(self.look)
        self.session = Session(path, Loader(), self._changed, as_collection=as_collection, options=options)
        self.failure: ModelError | None = None
        self._picture = Picture()
        self._interrupted_at = float("-inf")

    def compose(self) -> ComposeResult:
        """Header, two panes, keys."""
        yield HeaderBar(self.session, id="header")
        yield TabBar(self.session, id="tabs")
        yield TooSmall(id="too-small")
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
        self._take_keys()
        self.query_one(ModelTree).focus()
        # After `fg` the terminal shows the shell's lines; Textual draws nothing where the size is the same.
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        self.call_after_refresh(self.open_model)
        for sentence in self._said[:_MAX_SAID]:
            self.notify(sentence, severity="warning", markup=False, timeout=15)

    def _wear(self, look: Look) -> None:
        from tfexplore.tui import themes

        for theme in themes.THEMES:
            self.register_theme(theme)
        known = self.get_theme(look.theme) is not None
        if not known:
            self._said.append(f"There is no theme {text.visible(look.theme[:40])}; Ctrl-P shows those that there are.")
        self.theme = look.theme if known else SIXTEEN if look.colors <= 16 else DARK
        self.no_color = self.no_color or not look.colors
        themes.draw_with(self, look)

    def _take_keys(self) -> None:
        if self.settings.keys:
            from tfexplore.tui.key_table import keymap

            changed, said = keymap(self.settings, settings_path(os.environ))
            self.set_keymap(changed)
            self._said += said

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
        self.panes.go_to(subject)

    # -- manners --

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Panes are changed on the explorer itself, not below a screen that lies over it."""
        if action in OF_PANES:  # an input wants to be written in, and Tab completes what is typed
            return len(self.screen_stack) == 1 and not isinstance(self.focused, Input)
        if action == "leave_model":
            return self.session.can_leave
        if action == "tab":
            return parameters[0] in {tab.value for tab in self.session.tabs}
        return True

    def action_other_pane(self, step: int = 1) -> None:
        """Goes to the other pane, of several to the next."""
        self.panes.other_pane(step)

    def action_help(self) -> None:
        """Shows what has the focus is for, and its keys; once more, closes that again."""
        from tfexplore.tui.help_text import help_content
        from tfexplore.tui.screens.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            self.pop_screen()
        else:
            self.push_screen(HelpScreen(help_content(self.screen)))

    def action_copy(self) -> None:
        """Asks what to copy of what the cursor stands on."""
        from tfexplore.tui.pointing import reader
        from tfexplore.tui.screens.copy import CopyScreen

        read = reader(self)
        if read is not None:
            self.push_screen(CopyScreen(read), self._copy)

    def _copy(self, copied: Copy | None) -> None:
        from tfexplore.tui.clipboard import copy_out

        if copied is not None:
            write = self._driver.write if self._driver is not None else lambda _: None
            said, well = copy_out(copied, self.settings.clipboard, write)
            self.notify(said, severity="information" if well else "error", markup=False, timeout=6)

    def copy_to_clipboard(self, text: str) -> None:
        """Copies what an input or a screen gives, the way that everything is copied here."""
        self._clipboard = text  # for pasting within the explorer
        self._copy(of_text(VALUE, text))

    def action_next_theme(self) -> None:
        """Changes between dark, light and the terminal's own colours."""
        if self.look.colors <= 16:
            self.notify("This terminal has its own colours only.", markup=False, timeout=4)
            return
        themes = (DARK, LIGHT, SIXTEEN)
        self.theme = themes[(themes.index(self.theme) + 1) % 3] if self.theme in themes else DARK

    def action_themes(self) -> None:
        """Asks for a theme by name."""
        self.search_themes()

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
        if isinstance(self.screen, CommandPalette):  # which shows no messages
            self.pop_screen()
        said = "Cancelled. Ctrl-C again quits." if cancelled else "Press q to quit, or Ctrl-C again."
        self.notify(said, markup=False, timeout=_SECOND_INTERRUPT)

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


def run_app(
    path: str, *, as_collection: bool = False, options: RunOptions | None = None, no_color: bool = False
) -> int:
    """Runs the explorer on a path until the person leaves; returns the exit code.

    Args:
        path: what is opened.
        as_collection: shows the list of the models in and below the path.
        options: how models are run.
        no_color: whatever the settings say.

    Raises:
        ModelError: the path cannot be opened.
        Exception: the application crashed.
    """
    settings = read_settings(os.environ)
    if no_color:
        settings = settings._replace(colors="none")
    app = ExplorerApp(path, as_collection=as_collection, options=options, settings=settings, look=look_here(settings))
    # What was imported stays to the end: a search for garbage need not look at it each time.
    gc.freeze()
    app.run()
    if app.crash is not None:
        raise app.crash
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def print_config() -> str:
    """The settings file that changes nothing, with every action and its keys."""
    from tfexplore.tui.key_table import template

    return template(os.environ)
