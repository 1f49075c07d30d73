"""The keys that walk through a graph, for the tree and the details alike."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container

from tfexplore.core import text
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError, TfexploreError
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab
from tfexplore.tui.walk import NOT_STORED, graph_of, node_of
from tfexplore.tui.widgets.detail_pane import DetailPane

# The titles of the blocks that `i` and `o` go to, the first there is.
_BLOCKS = {
    "inputs": ("inputs", "passed by", "control inputs"),
    "outputs": ("outputs", "used by", "given to", "control outputs", "called by", "captured by"),
}
_NOTHING = {"inputs": "Nothing goes in here.", "outputs": "Nothing comes out here."}


class Walking(Container):
    """The panes' base: what the details show is the place from which one walks."""

    TITLE = "The panes"
    HELP = "What the details show is the place from which one walks."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "go_to_block('inputs')", "In", id="walk.inputs", tooltip="Go to the inputs in the details"),
        Binding(
            "o",
            "go_to_block('outputs')",
            "Out",
            id="walk.outputs",
            tooltip="Go to the outputs in the details, or to who uses them",
        ),
        Binding("h", "neighbourhood", "Map", id="walk.around", tooltip="Draw the node between its neighbours"),
        Binding("S", "infer_shapes", "Shapes", id="walk.infer", tooltip="Let the runtime infer missing shapes"),
        Binding(
            "p",
            "path",
            "Path",
            show=False,
            id="walk.path",
            tooltip="Begin a path at this node; on another one, show the way between both",
        ),
        Binding(
            "left_square_bracket", "step(-1)", "Back in history", show=False, id="walk.before", tooltip="Shown before"
        ),
        Binding(
            "right_square_bracket",
            "step(1)",
            "Forward in history",
            show=False,
            id="walk.after",
            tooltip="Forward again in what was shown",
        ),
        Binding("m", "mark", "Mark", show=False, id="walk.mark", tooltip="Mark what the details show under a letter"),
        Binding("apostrophe", "marks", "Marks", show=False, id="walk.marks", tooltip="Go to a mark"),
    ]
    session: Session
    _lacked_shapes = False

    def update_keys(self) -> None:
        """Shows the key that infers shapes where one is missing in the details, and only there."""
        lacks = self._lacks_shapes()
        if lacks != self._lacked_shapes:
            self._lacked_shapes = lacks
            self.app.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys are there where a model is looked at."""
        if action in ("go_to_block", "neighbourhood", "infer_shapes", "path", "step", "mark", "marks"):
            session = self.session
            if session.model is None or session.in_list or session.tab in (Tab.PREDICT, Tab.FINETUNE):
                return False
            return self._lacks_shapes() if action == "infer_shapes" else True
        return super().check_action(action, parameters)

    def _lacks_shapes(self) -> bool:
        shown = self.session.shown
        if shown is None or shown.detail is None or graph_of(shown.subject) is None:
            return False
        return any(NOT_STORED in line.value for line in shown.detail.lines())

    async def _settle(self) -> Subject | None:
        """What the details show, once they have caught up with the cursor of the pane that is worked in."""
        if not isinstance(self.screen.focused, DetailPane):
            await self.session.read_pointed_at()
        shown = self.session.shown
        return shown.subject if shown is not None else None

    def _show(self, subject: Subject) -> None:
        """Shows something else in the details, from which one comes back."""
        self.query_one(DetailPane).focus()
        self.query_one(DetailPane).post_message(DetailPane.FollowRequested(subject))

    def _say(self, sentence: str) -> None:
        if sentence:
            self.app.notify(sentence, markup=False, timeout=4)

    @work(exclusive=True, group="detail", description="going to a block of the details")
    async def action_go_to_block(self, which: str) -> None:
        """Goes to the inputs or the outputs in the details."""
        await self._settle()
        pane = self.query_one(DetailPane)
        if pane.go_to_block(_BLOCKS[which]):
            pane.focus()
        else:
            self._say(_NOTHING[which])

    @work(exclusive=True, group="detail", description="drawing neighbours")
    async def action_neighbourhood(self) -> None:
        """Draws the node between its neighbours; what is chosen there is shown in the details."""
        from tfexplore.tui.screens.neighbourhood import NeighbourhoodScreen

        node = node_of(await self._settle())
        if node is None:
            self._say("Neighbours are those of a node: go to one.")
            return

        def chosen(subject: Subject | None) -> None:
            if subject is not None:
                self._show(subject)

        self.app.push_screen(NeighbourhoodScreen(self.session.loader, node), chosen)

    @work(exclusive=True, group="detail", description="looking for a path")
    async def action_path(self) -> None:
        """Begins a path, or shows it."""
        subject = await self._settle()
        try:
            path, sentence = self.session.walk.path_end(subject)
        except ModelError as error:
            path, sentence = None, text.visible(str(error))
        self._say(sentence)
        if path is not None:
            self._show(path)

    @work(exclusive=True, group="detail", description="walking the history")
    async def action_step(self, by: int) -> None:
        """Goes back or forward in what was shown."""
        if not await self.session.step(by):
            self._say("Nothing was shown before this." if by < 0 else "Nothing was shown after this.")

    # -- marks --

    @work(exclusive=True, group="detail", description="marking")
    async def action_mark(self) -> None:
        """Asks for a letter, and marks what the details show."""
        from tfexplore.tui.screens.marks import MarksScreen

        subject = await self._settle()
        shown, marks = self.session.shown, self.session.walk.marks
        if subject is None or shown is None or shown.detail is None:
            return
        detail = shown.detail
        place = graph_of(subject)
        inside = f" in {text.label(place[2])}" if place is not None and place[2] is not None else ""

        def named(letter: str | None) -> None:
            if letter is not None and marks.set(letter, subject, detail.title, detail.kind + inside):
                self._say(f"Marked {text.shorten(detail.title, 40)} as {letter}: ' goes there.")

        self.app.push_screen(MarksScreen(marks, detail.title), named)

    def action_marks(self) -> None:
        """Shows the marks to choose from."""
        from tfexplore.tui.screens.marks import MarksScreen

        marks = self.session.walk.marks

        def chosen(letter: str | None) -> None:
            mark = marks.get(letter) if letter is not None else None
            if mark is not None:
                self._show(mark.subject)

        self.app.push_screen(MarksScreen(marks, None), chosen)

    # -- shapes --

    @work(exclusive=True, group="infer", description="inferring shapes")
    async def action_infer_shapes(self) -> None:
        """Lets the runtime infer the shapes of the graph that is looked at."""
        try:
            self._say(await self.session.infer_shapes(self._ask))
        except Cancelled:
            self._say("No shapes: asking the runtime was cancelled.")
        except TfexploreError as error:
            self.app.notify(text.visible(str(error)), severity="error", markup=False, timeout=10)
        self.app.refresh_bindings()

    async def _ask(self, found: str) -> bool:
        """Whether the person trusts the model."""
        from tfexplore.tui.screens.trust import TrustScreen

        trusted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answered(answer: bool | None) -> None:
            if not trusted.done():
                trusted.set_result(bool(answer))

        self.app.push_screen(TrustScreen(found), answered)
        return await trusted
