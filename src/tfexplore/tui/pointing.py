"""What the focused pane's cursor stands on, and what of it can be copied."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tfexplore.core.copied import Copy
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.tui.screens.search import SearchScreen
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.predict_tab import PredictTab

if TYPE_CHECKING:
    from tfexplore.tui.app import ExplorerApp

Read = Callable[[], Awaitable[Sequence[Copy]]]


def reader(app: ExplorerApp) -> Read | None:
    """Gives, later, what can be copied of what the cursor stands on now; None where there is no cursor."""
    screen, focused = app.screen, app.focused
    if isinstance(screen, SearchScreen):
        finding = screen.finding

        async def of_hit() -> Sequence[Copy]:
            return await _copies(app, await finding.subject(), (), first=False)

        return of_hit
    if not isinstance(focused, LineView):
        return None
    subject: Subject | None = focused.subject_here
    lines = tuple(focused.copies_here())
    in_predict = any(isinstance(one, PredictTab) for one in focused.ancestors)
    if subject is None and not in_predict and not isinstance(focused, DetailPane):
        subject = app.session.pointed_at  # a list on the left: the details follow its cursor
    # A line of the details that leads nowhere is what is meant; else what it leads to.
    first = isinstance(focused, DetailPane) and not focused.leads_on

    async def of_line() -> Sequence[Copy]:
        return await _copies(app, subject, lines, first=first)

    return of_line


async def _copies(app: ExplorerApp, subject: Subject | None, lines: Sequence[Copy], *, first: bool) -> Sequence[Copy]:
    found: Sequence[Copy] = ()
    if subject is not None:
        from tfexplore.core.copying import copies

        try:
            found = await app.session.loader.tasks.run(lambda context: copies(subject, context.cancel))
        except (Cancelled, ModelError):
            found = ()
    kinds = {one.kind for one in (lines if first else found)}
    before, after = (lines, found) if first else (found, lines)
    return (*before, *(one for one in after if one.kind not in kinds))
