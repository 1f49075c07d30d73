"""The place of the Predict tab: its panes are made when it is first shown, and go with their model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container
from textual.widget import Widget

from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab

if TYPE_CHECKING:
    from tfexplore.tui.widgets.predict_pane import PredictPane


class PredictTab(Container):
    """Holds the panes of the model that is open."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self.pane: PredictPane | None = None

    def adapt(self) -> None:
        """Shows the panes, or takes them away, as the session has it."""
        predict = self.session.predict
        self.display = self.session.tab is Tab.PREDICT
        if self.pane is not None and self.pane.predict is not predict:
            self.pane.remove()
            self.pane = None
        if predict is not None and self.pane is None:
            from tfexplore.tui.widgets.predict_pane import PredictPane

            self.pane = PredictPane(predict)
            self.mount(self.pane)

    def update(self) -> None:
        """Draws what has changed."""
        if self.pane is not None:
            self.pane.update()

    def focus_first(self) -> None:
        """Goes to the pane that is worked in first."""
        if self.pane is not None:
            self.pane.focus_first()

    def focus_next(self, focused: Widget | None, step: int) -> None:
        """Goes to the next pane."""
        if self.pane is not None:
            self.pane.focus_next(focused, step)
