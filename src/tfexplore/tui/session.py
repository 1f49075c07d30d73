"""The state of the explorer: what is open, where the cursor stands, what the detail pane shows. No widgets."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.model import COLLECTION, SAVED_MODEL
from tfexplore.core.subjects import FoundSubject, ModelSubject, Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import ENTER, OPEN, Loader, Page, Progress
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.header_facts import header_facts
from tfexplore.tui.listing import Listing
from tfexplore.tui.outline import PAGE, Node, Outline
from tfexplore.tui.places import Places
from tfexplore.tui.topics import Tab, Topic
from tfexplore.tui.walk import Walk

if TYPE_CHECKING:
    from tfexplore.core.collection import Found
    from tfexplore.core.model import Model
    from tfexplore.tui.finding import Finding
    from tfexplore.tui.finetune import Finetune
    from tfexplore.tui.jumping import Jumping
    from tfexplore.tui.predict import Ask, Predict
    from tfexplore.tui.safety import Safety

# From leaving a model to giving its memory back, in seconds: the list is drawn first.
_COLLECT_AFTER = 0.1
_OPENED_FIRST = ("section", "signature")


class Session(Places):
    """One opened path: a model, or a folder's list of models and the one that was opened from it.

    Args:
        path: what the person gave.
        loader: reads for it; closed with the session.
        tell: called in the event loop after a change.
        as_collection: shows the models in and below `path`, even where that is a model itself or there are none.
        options: how models are run.

    Attributes:
        entered: the model that was opened from the list; None while the list itself is shown.
        tab: which tab is shown.
        predict: calls of the model; None before their tab was opened.
        finetune: tuning of the model; None before its tab was opened.
        safety: the scan of the model; None before its tab was opened.
        walk: marks and what else one remembers on the way through the model.
    """

    def __init__(
        self,
        path: str,
        loader: Loader,
        tell: Callable[[Topic], None],
        *,
        as_collection: bool = False,
        options: RunOptions | None = None,
    ) -> None:
        super().__init__(loader, tell)
        self.path = path
        self.as_collection = as_collection
        self.entered: FoundSubject | None = None
        self.entering: FoundSubject | None = None
        self.tab = Tab.EXPLORE
        self.predict: Predict | None = None
        self.finetune: Finetune | None = None
        self.safety: Safety | None = None
        self.walk = Walk()
        self._finding: Finding | None = None
        self._options = options or RunOptions()
        self._left: list[Predict | Finetune] = []  # whose children may not have ended yet
        self._facts: list[str] = []
        self._totals = True  # whether the headings show what a large model leaves out at first

    # -- opening --

    async def open(self) -> None:
        """Opens the path and reads the tree's first level; the list of a folder fills while it is searched.

        Raises:
            ModelError: it cannot be read.
            Cancelled: it was cancelled, and there is nothing to show.
        """
        if self.as_collection or self.listing is not None:
            at = self.listing.at if self.listing is not None else None
            self.listing = Listing(self.path, at)
            self._draw_list()
        self._say("opening" if self.listing is None else "looking for models")
        try:
            model = await self.loader.open(
                self.path, self._searching, on_found=self._found, as_collection=self.listing is not None
            )
        except Cancelled:
            if self.listing is None:
                raise
            self.listing.end()
        else:
            if model.kind != COLLECTION:
                self.model = model
                await self._show(model, await self.loader.roots(model))
                return
            self.listing = self.listing or Listing(self.path)
            self.listing.end(model)
        finally:
            if self.entered is None and self.entering is None:
                self._say("")
        if self.in_list:
            self._draw_list()

    async def _show(self, model: Model, roots: Page) -> None:
        """Shows a model that is open."""
        self._forget_tabs()
        self._totals = model.loaded
        self._facts = header_facts(model)
        self.outline = Outline(roots.items)
        self.cursor = 0
        self._tell(Topic.ROWS)
        self.start_detail(self.subject_at(0) or ModelSubject(model))
        await self._open_first(self.outline.root)
        self._tell(Topic.HEADER)

    async def complete(self) -> None:
        """Reads what a large model left out for its first screen, then shows totals in the rows that had none.

        Raises:
            Cancelled: it was cancelled: the rows stay as they are.
        """
        model = self.model
        if model is None or self._totals:
            return
        try:
            if not model.loaded:
                await self.loader.complete(model, self._progress)
            roots = await self.loader.roots(model)
        finally:
            self._say("")
        if self.model is not model:
            return
        self._totals = True
        at = self.row_at_cursor()
        self._facts = header_facts(model)
        self._model_outline.refresh(roots.items)
        self._keep_cursor(at)
        self._tell(Topic.ROWS)
        self._tell(Topic.HEADER)

    async def _open_first(self, parent: Node) -> None:
        """Opens the signatures and the first of them: what most people look for."""
        for index in range(min(parent.total or 0, PAGE)):
            node = parent.child(index)
            if node is not None and node.item is not None and node.item.kind in _OPENED_FIRST:
                if node.item.kind == "section" and node.item.label != "Signatures":
                    continue
                await self.expand(node)
                await self._open_first(node)
                return

    def _progress(self, progress: Progress) -> None:
        share = f" {100 * progress.done // progress.total} %" if progress.total else ""
        self._say(progress.what + share)

    def _searching(self, progress: Progress) -> None:
        if self.entered is None and self.entering is None:
            self._say(progress.what)

    # -- the list of models --

    @property
    def in_list(self) -> bool:
        """Whether the list of models is what is shown."""
        return self.listing is not None and self.entered is None

    @property
    def can_leave(self) -> bool:
        """Whether there is a list to go back to."""
        return self.entered is not None

    def _found(self, batch: list[Found]) -> None:
        if self.listing is None:
            self.listing = Listing(self.path)
        self.listing.add(batch)
        if self.in_list and self.listing.wants_drawing():
            self._draw_list()

    def _draw_list(self) -> None:
        """Makes the rows of the list anew; the cursor stays on what it stood on."""
        listing = self.listing
        assert listing is not None
        self.model = listing.model
        self.outline, self.cursor = listing.outline()
        held = f"with {text.plural(len(listing.found), 'model')}" if listing.found else "without models"
        self._facts = [f"folder {held} so far" if listing.searching else f"folder {held}"]
        self._tell(Topic.LIST)

    async def enter(self, subject: FoundSubject) -> None:
        """Opens a model of the list in the list's place; `leave` returns.

        Raises:
            ModelError: it cannot be read; its row and its details say so from now on.
            Cancelled: it was cancelled, and the list is still there.
        """
        listing = self.listing
        if listing is None or not self.in_list:
            return
        self.entering = subject
        self._say(f"opening {text.label(os.path.basename(subject.path))} (Escape cancels)")
        model: Model | None = None
        roots: Page | None = None
        try:
            model = await self.loader.open(subject.path, self._progress, channel=ENTER)
            roots = await self.loader.roots(model)
        except ModelError as error:
            listing.refuse(subject.found, error)
            if self.in_list:
                self._draw_list()
            raise
        finally:
            if model is not None and roots is None:
                model.close()
            if self.entering is subject:
                self.entering = None
                self._say("")
        listing.at = f"found {subject.path}"
        self.entered, self.model = subject, model
        await self._show(model, roots)

    def leave(self) -> bool:
        """Goes back to the list, its cursor where it was; tells whether there was one to go to."""
        if self.entered is None:
            return False
        # The search may still run: it belongs to the list.
        self.loader.tasks.cancel_all(but=OPEN)
        if self.model is not None:
            self.model.close()
        self.entered = None
        self._forget_tabs()
        self.trail.clear()
        self.shown = None
        self._say("")
        self._draw_list()
        # Models hold rows that hold models; Python looks for such circles only after many new objects.
        asyncio.get_running_loop().call_later(_COLLECT_AFTER, gc.collect)
        return True

    @property
    def title(self) -> str:
        """The model's name, visible; behind that of the folder from whose list it was opened."""
        name = text.label(os.path.basename(os.path.abspath(self.path)) or os.sep)
        if self.entered is None or self.entered.found.path == ".":
            return name
        return f"{name} › {text.visible(self.entered.found.path)}"

    @property
    def facts(self) -> str:
        """What the header says of the model: kind, tag-set, how much it holds."""
        return " · ".join(self._facts)

    # -- tabs --

    @property
    def tabs(self) -> tuple[Tab, ...]:
        """The tabs that the model has: one without a graph can only be looked at."""
        if self.model is None or not self.model.meta_graphs:
            return (Tab.EXPLORE,)
        # Only a SavedModel has functions with gradients.
        return tuple(tab for tab in Tab if tab is not Tab.FINETUNE or self.model.kind == SAVED_MODEL)

    def show_tab(self, tab: Tab) -> bool:
        """Goes to a tab; tells whether it was another one, and there is such a one."""
        if tab is self.tab or tab not in self.tabs:
            return False
        assert self.model is not None
        self.tab = tab
        if tab is Tab.PREDICT:
            self._runs(self.model)
        if tab is Tab.FINETUNE and self.finetune is None:
            from tfexplore.tui.finetune import Finetune

            self.finetune = Finetune(self.model, self.loader, self._options, lambda: self._tell(Topic.FINETUNE))
        if tab is Tab.SAFETY and self.safety is None:
            from tfexplore.tui.safety import Safety

            self.safety = Safety(self.model, self.loader, lambda: self._tell(Topic.SAFETY))
        self._tell(Topic.TAB)
        return True

    def _runs(self, model: Model) -> Predict:
        """The calls of the model, which have its runtime."""
        if self.predict is None:
            from tfexplore.tui.predict import Predict

            self.predict = Predict(model, self.loader, self._options, lambda: self._tell(Topic.PREDICT))
        return self.predict

    async def infer_shapes(self, ask: Ask) -> str:
        """Lets the runtime infer the shapes of the graph that is looked at; a sentence where it did not.

        Args:
            ask: as for `Predict.start`.

        Raises:
            Cancelled: it was cancelled.
            TfexploreError: they cannot be inferred.
        """
        walk, shown, model = self.walk, self.shown, self.model
        if shown is None or model is None or self.in_list:
            return "There is no graph to infer shapes of."
        sentence = await walk.infer(self._runs(model), shown.subject, ask, self._say)
        if not sentence and self.walk is walk:
            await self.read_again()
        return sentence

    def _forget_tabs(self) -> None:
        self._forget_places()
        self.walk.cancel()
        self.walk = Walk()
        self.history.clear()
        self.safety = self._finding = None
        self._end_children()
        self.predict = self.finetune = None
        if self.tab is not Tab.EXPLORE:
            self.tab = Tab.EXPLORE
            self._tell(Topic.TAB)

    def _end_children(self) -> None:
        for one in (self.predict, self.finetune):
            if one is not None:
                one.close()
                self._left.append(one)

    async def node_of_finding(self) -> Subject | None:
        """The node of the finding under the cursor; None where no pane leads to it, or its graph cannot be read."""
        from tfexplore.core.detail_scan import node_of

        if self.model is None or self.safety is None or self.safety.cursor >= len(self.safety.findings):
            return None
        model, finding = self.model, self.safety.findings[self.safety.cursor]
        try:
            return await self.loader.tasks.run(lambda _: node_of(model, finding))
        except (Cancelled, ModelError):
            return None

    async def read_pointed_at(self) -> None:
        """Shows the details of what the cursor of the shown tab stands on."""
        subject = self.pointed_at
        if subject is not None and (self.trail or self.shown is None or self.shown.subject != subject):
            self.start_detail(subject)
        await self.read_detail()

    def finding(self, tell: Callable[[], None]) -> Finding | None:
        """The search of the model, as it was left; None where there is none, or only a list of models."""
        if self.model is None or self.in_list:
            return None
        if self._finding is None or self._finding.model is not self.model:
            from tfexplore.tui.finding import Finding

            self._finding = Finding(self.model, self.loader, tell)
        return self._finding

    @property
    def last_finding(self) -> Finding | None:
        """The search of the model, as it was left; None where nothing has been searched for."""
        finding = self._finding
        return finding if finding is not None and finding.model is self.model else None

    def jumping(self) -> Jumping | None:
        """A prompt for names of the model; None where there is none, or only a list of models."""
        if self.model is None or self.in_list:
            return None
        from tfexplore.tui.jumping import Jumping

        return Jumping(self.model, self.loader, self.inside)

    @property
    def pointed_at(self) -> Subject | None:
        """What the cursor of the shown tab stands on."""
        if self.tab is Tab.SAFETY and self.safety is not None:
            return self.safety.subject
        return self.lists.subject if self.lists is not None else self.subject_at(self.cursor)

    # -- ending --

    def cancel(self) -> bool:
        """Cancels what the person waits for; tells whether there was anything.

        A search goes on behind a model that is being opened, or was opened, from its list.
        """
        tasks = self.loader.tasks
        if self.walk.cancel():
            return True
        if self.predict is not None and self.tab is Tab.PREDICT and self.predict.cancel():
            return True
        if self.finetune is not None and self.tab is Tab.FINETUNE and self.finetune.cancel():
            return True
        if self.entering is not None or self.entered is not None:
            return tasks.cancel_all(but=OPEN) > 0
        if self.listing is not None and self.listing.searching:
            return tasks.cancel(OPEN)
        return tasks.cancel_all() > 0

    def close(self) -> None:
        """Cancels what runs and closes the model's files."""
        self.loader.close()
        self._end_children()
        if self.model is not None:
            self.model.close()

    async def ended(self) -> None:
        """Waits, once it has been closed, until no child is left."""
        for one in self._left:
            await one.ended()
