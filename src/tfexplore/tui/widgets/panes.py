"""The panes below the tabs: what a person works in, and who reads what they show."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.timer import Timer

from tfexplore.core import text
from tfexplore.core.subjects import FoundSubject, Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab, Topic
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.finetune_tab import FinetuneTab
from tfexplore.tui.widgets.flat_list import FlatListView
from tfexplore.tui.widgets.going import Going
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.model_tree import ModelTree
from tfexplore.tui.widgets.predict_tab import PredictTab
from tfexplore.tui.widgets.safety_list import SafetyList
from tfexplore.tui.widgets.walking import Walking

# From the last move of the cursor to the reading of the details.
_DEBOUNCE = 0.08


class Panes(Going, Walking):
    """The tree or the findings with the details beside them, or a tab of its own panes."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self._debounce: Timer | None = None

    def compose(self) -> ComposeResult:
        """All of them; those of other tabs are hidden."""
        yield ModelTree(self.session, id="tree")
        yield FlatListView(self.session, id="lists")
        yield SafetyList(self.session, id="safety")
        yield DetailPane(self.session, id="detail")
        yield PredictTab(self.session, id="predict")
        yield FinetuneTab(self.session, id="finetune")

    def draw(self, topic: Topic) -> None:
        """Draws what has changed in the session."""
        if topic is Topic.PREDICT:
            self.query_one(PredictTab).update()
        elif topic is Topic.FINETUNE:
            self.query_one(FinetuneTab).update()
        elif topic is Topic.SAFETY:
            self.query_one(SafetyList).update_lines()
            self.app.refresh_bindings()
        elif topic is Topic.FLAT:
            self._draw_lists()
        elif topic is Topic.FLAT_ROWS:
            self.query_one(FlatListView).refresh()
        else:
            pane = self.query_one(DetailPane) if topic is Topic.DETAIL else self.query_one(ModelTree)
            pane.update_lines()
            if topic is not Topic.ROWS:
                pane.show_cursor()
            if topic is Topic.DETAIL:
                self.update_keys()

    def _draw_lists(self) -> None:
        """Shows the lists in the tree's place, or the tree again; the new one of the two has the focus of the other."""
        lists, tree = self.query_one(FlatListView), self.query_one(ModelTree)
        shown = self.session.lists is not None and self.session.tab is Tab.EXPLORE
        if lists.display is not shown:
            focused = self.screen.focused in (lists, tree)
            self.adapt()
            if focused:
                self._left.focus()
        if shown:
            lists.update_lines()
            lists.show_cursor()

    def adapt(self) -> None:
        """Gives the list of models, or the model's tab, its room."""
        self.set_class(self.session.in_list, "-list")
        tab, focused = self.session.tab, self.screen.focused
        for kind, shown in (
            (ModelTree, tab is Tab.EXPLORE and self.session.lists is None),
            (FlatListView, tab is Tab.EXPLORE and self.session.lists is not None),
            (SafetyList, tab is Tab.SAFETY),
            (DetailPane, tab not in (Tab.PREDICT, Tab.FINETUNE)),
        ):
            self.query_one(kind).display = shown
        self.query_one(PredictTab).adapt()
        self.query_one(FinetuneTab).adapt()
        if focused is None or not focused.display:
            self.focus_left()

    @property
    def _left(self) -> LineView:
        """The pane whose cursor the details follow."""
        if self.session.tab is Tab.SAFETY:
            return self.query_one(SafetyList)
        return self.query_one(ModelTree if self.session.lists is None else FlatListView)

    def focus_left(self) -> None:
        """Goes to the pane that the shown tab is worked in first."""
        if self.session.tab is Tab.PREDICT:
            self.query_one(PredictTab).focus_first()
        elif self.session.tab is Tab.FINETUNE:
            self.query_one(FinetuneTab).focus_first()
        else:
            self._left.focus()

    def other_pane(self, step: int) -> None:
        """Goes to the other pane, of several to the next."""
        if self.session.tab is Tab.PREDICT:
            self.query_one(PredictTab).focus_next(self.screen.focused, step)
            return
        if self.session.tab is Tab.FINETUNE:
            self.query_one(FinetuneTab).focus_next(self.screen.focused, step)
            return
        (self._left if isinstance(self.screen.focused, DetailPane) else self.query_one(DetailPane)).focus()

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
                self.app.notify(text.visible(str(error)), severity="error", markup=False, timeout=10)
        if self.session.entered is message.subject:
            self.adapt()
            self.app.refresh_bindings()
            self.query_one(ModelTree).update_lines()
            self.complete_model()
            self.show_row()

    @work(description="reading the rest of a large model")
    async def complete_model(self) -> None:
        """Reads what a large model left out for its first screen, and what its first details will need."""
        model = self.session.model
        try:
            await self.session.complete()
            if model is not None:
                await self.session.loader.prepare(model)
        except Cancelled:
            return

    # -- safety --

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
        self.keep_details()  # they are the place to come back to
        await self.session.read_pointed_at()
        subject = await self.session.node_of_finding()
        if subject is None:
            self.app.notify("No pane leads to it: its details tell what is known.", markup=False, timeout=4)
            return
        self.query_one(DetailPane).focus()
        await self.session.follow(subject)

    # -- the tree --

    def keep_details(self) -> None:
        """See `Going`."""
        if self._debounce is not None:
            self._debounce.stop()

    @on(ModelTree.CursorMoved)
    @on(SafetyList.CursorMoved)
    @on(FlatListView.CursorMoved)
    def cursor_moved(self) -> None:
        """See `Going`."""
        self.keep_details()
        self._debounce = self.set_timer(_DEBOUNCE, self.show_row)

    @work(exclusive=True, group="detail", description="reading a detail")
    async def show_row(self) -> None:
        """Shows the details of what the cursor stands on."""
        await self.session.read_pointed_at()

    @on(ModelTree.ExpandRequested)
    def _expand_requested(self, message: ModelTree.ExpandRequested) -> None:
        self.open_branch(message)

    @work(description="opening a branch")
    async def open_branch(self, message: ModelTree.ExpandRequested) -> None:
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
            self.cursor_moved()

    @on(ModelTree.LeafEntered)
    @on(FlatListView.RowEntered)
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
        await self.go_along()

    @on(DetailPane.BackRequested)
    def _back_requested(self) -> None:
        if self.session.back():
            self.went_back()
            self.read_shown()
        else:
            self._left.focus()

    @work(exclusive=True, group="detail", description="reading a detail again")
    async def read_shown(self) -> None:
        """Reads what is shown, where the way back led to something whose detail was let go."""
        await self.session.read_detail()

    # -- values --

    @on(ModelTree.ValuesRequested)
    def _values_of_row(self, message: ModelTree.ValuesRequested) -> None:
        self.show_values(message.subject)

    @on(DetailPane.ValuesRequested)
    def _values_of_detail(self, message: DetailPane.ValuesRequested) -> None:
        self.show_values(*message.subjects)

    @work(exclusive=True, group="values", description="opening the values")
    async def show_values(self, *subjects: Subject) -> None:
        """Shows the values of the first of these things that has any."""
        from tfexplore.tui.screens.values import open_values

        await open_values(self.app, self.session.loader, *subjects)
