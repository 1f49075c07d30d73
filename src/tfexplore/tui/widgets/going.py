"""Where one goes: to lists, into functions, to anything by its name; and the left that goes along."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container

from tfexplore.core import text
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.flat_list import FlatListView
from tfexplore.tui.widgets.model_tree import ModelTree


class Going(Container):
    """The panes' base: what the left shows, and the ways to what has a name."""

    TITLE = "The panes"
    HELP = "The model on the left, as a tree or as lists; the details beside it."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "colon", "jump", "Go to", id="app.jump", tooltip="Go to a node, tensor, variable, key or function by name"
        ),
        Binding(
            "n", "hit(1)", "Next hit", show=False, id="app.next_hit", tooltip="Go to the next hit of the last search"
        ),
        # The tree and the lists have these keys themselves: here they are for the details.
        Binding("t", "lists", "Lists", show=False, id="app.lists", tooltip="Flat lists on the left, or the tree again"),
        Binding(
            "e",
            "enter_function",
            "Into function",
            show=False,
            id="app.enter",
            tooltip="Show the graph of the function that the details are of, or that its node calls",
        ),
        Binding("N", "hit(-1)", "Hit before", show=False, id="app.hit_before", tooltip="Go to the hit before"),
    ]

    session: Session

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Names are gone to where a model is looked at."""
        if action in ("lists", "enter_function") and self.session.tab is not Tab.EXPLORE:
            return False
        if action in ("jump", "hit", "lists", "enter_function"):
            return self.session.model is not None and not self.session.in_list
        return super().check_action(action, parameters)

    def cursor_moved(self) -> None:
        """Has the details follow the cursor of the left, a moment later."""
        raise NotImplementedError

    def keep_details(self) -> None:
        """Has them stay as they are."""
        raise NotImplementedError

    def focus_left(self) -> None:
        """Goes to the pane that the shown tab is worked in first."""
        raise NotImplementedError

    # -- functions --

    @on(ModelTree.EnterFunctionRequested)
    def _enter_function_requested(self) -> None:
        self.enter_function()

    def action_enter_function(self) -> None:
        """Shows the graph of the function that the details are of, or that its node calls."""
        shown = self.session.shown
        self.enter_function(shown.subject if shown is not None else None)

    @work(exclusive=True, group="left", description="entering a function")
    async def enter_function(self, subject: Subject | None = None) -> None:
        """Shows the graph of the function of a subject, or of the one under the cursor of the left."""
        try:
            if not await self.session.enter_under_cursor(subject):
                said = "No function here: e goes into one that is listed, or that a node calls, as a loop its body."
                self.app.notify(said, markup=False, timeout=4)
                return
        except Cancelled:
            return
        except ModelError as error:
            self.app.notify(text.visible(str(error)), severity="error", markup=False, timeout=10)
        self.focus_left()
        self._place_changed()

    @on(ModelTree.LeaveFunctionRequested)
    def _leave_function_requested(self) -> None:
        self.session.leave_function()
        self._place_changed()

    def _place_changed(self) -> None:
        """After another graph, or another list, came to the left."""
        self.app.refresh_bindings()
        self.cursor_moved()

    # -- the flat lists --

    @on(ModelTree.ListsRequested)
    @work(exclusive=True, group="left", description="showing the flat lists")
    async def show_lists(self) -> None:
        """Shows the flat lists in the tree's place."""
        if not await self.session.show_lists():
            self.app.notify("There are no lists: this model has neither a graph nor keys.", markup=False, timeout=4)
        self._place_changed()

    def action_lists(self) -> None:
        """Shows the flat lists on the left, or the tree again."""
        self.focus_left()
        self.post_message(ModelTree.ListsRequested() if self.session.lists is None else FlatListView.TreeRequested())

    @on(FlatListView.TreeRequested)
    def _tree_requested(self) -> None:
        self.session.show_tree()
        self._place_changed()

    @on(FlatListView.StepRequested)
    @work(exclusive=True, group="left", description="reading a list")
    async def step_list(self, message: FlatListView.StepRequested) -> None:
        """Goes to another list."""
        if self.session.lists is not None:
            await self.session.lists.step(message.by)
            self._place_changed()

    @on(FlatListView.SortRequested)
    @work(exclusive=True, group="left", description="sorting a list")
    async def sort_list(self) -> None:
        """Sorts the list by something else."""
        if self.session.lists is not None:
            await self.session.lists.sort_next()
            self._place_changed()

    @on(FlatListView.OpRequested)
    @work(exclusive=True, group="left", description="reading the nodes of an op")
    async def open_op(self) -> None:
        """Shows the nodes of the op under the cursor."""
        try:
            if self.session.lists is not None and await self.session.lists.open_op():
                self._place_changed()
        except Cancelled:
            return

    @on(FlatListView.BackRequested)
    def _list_back_requested(self) -> None:
        if self.session.lists is None or not self.session.lists.back():
            self.session.leave_function()
        self._place_changed()

    @on(FlatListView.RowsSeen)
    @work(description="reading rows of a list")
    async def read_list_rows(self, message: FlatListView.RowsSeen) -> None:
        """Reads rows of the list that are on the screen."""
        lists = self.session.lists
        if lists is None:
            return
        unread = lists.subject is None
        try:
            await lists.open()
            await lists.read_rows(message.start, message.count)
        except Cancelled:
            return
        at, shown = lists.subject, self.session.shown
        # The cursor was faster than the pages; whoever went there by name has the details already.
        if unread and at is not None and (shown is None or shown.subject != at):
            self.cursor_moved()

    # -- going somewhere by name --

    @work(exclusive=True, group="detail", description="going to what was found")
    async def go_to(self, subject: Subject, output: int | None = None, *, focus: bool = True) -> None:
        """Shows the details of something, and puts the cursor on the left on it where it stands there.

        Args:
            output: of a node, the output whose line of the details the cursor goes to.
            focus: whether the details get the focus.
        """
        self.keep_details()
        if self.session.tab is not Tab.EXPLORE:
            self.session.show_tab(Tab.EXPLORE)
            self.focus_left()
        if focus:
            self.query_one(DetailPane).focus()
        await self.session.follow(subject)
        if output is not None:
            self.query_one(DetailPane).go_to_line("outputs", output)
        try:
            await self.session.reveal(subject)
        except Cancelled:
            return
        self.app.refresh_bindings()

    def action_jump(self) -> None:
        """Asks for a name, and goes to what is called so."""
        from tfexplore.core.jump import Target
        from tfexplore.tui.screens.jump import JumpScreen

        def chosen(target: Target | None) -> None:
            if target is not None:
                self.go_to(target.subject, target.output)

        jumping = self.session.jumping()
        if jumping is not None:
            self.app.push_screen(JumpScreen(jumping), chosen)

    @work(exclusive=True, group="hit", description="going to a hit")
    async def action_hit(self, by: int) -> None:
        """Goes to the next hit of the last search, or the one before."""
        finding = self.session.last_finding
        if finding is None or not finding.step(by):
            said = (
                "Nothing has been searched for."
                if finding is None or not finding.query
                else "The search found nothing."
            )
            self.app.notify(f"{said} / searches.", markup=False, timeout=4)
            return
        subject = await finding.subject()
        if subject is not None:
            self.app.clear_notifications()  # where the hit before was
            self.app.notify(text.visible(finding.place), markup=False, timeout=2)
            self.go_to(subject, focus=False)

    # -- the left goes along --

    @work(exclusive=True, group="left", description="going back out of a function")
    async def went_back(self) -> None:
        """Keeps the left in the graph of what the details show again."""
        await self.go_along()

    async def go_along(self) -> None:
        """Keeps the left in the graph of what the details show."""
        shown = self.session.shown
        try:
            if shown is not None and self.session.tab is Tab.EXPLORE and await self.session.accompany(shown.subject):
                self.app.refresh_bindings()
        except (Cancelled, ModelError):  # the details say why
            return
