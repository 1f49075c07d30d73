"""The input that lies over a row of the form while it is edited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

Complete = Callable[[str], Awaitable[str | None]]


class _Names(Suggester):
    """Asks for the first name that begins like what is typed."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return await self._complete(value)


class FieldInput(Input):
    """One line of text; Enter takes it, Escape leaves it."""

    TITLE = "A row"
    HELP = "Write JSON, @FILE, zeros, ones or random[:SEED]. Enter takes it, Escape leaves it as it was."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Take it", id="field.accept", tooltip="Take what is written, and check it"),
        Binding("escape", "leave", "Leave it", id="field.leave", tooltip="Leave the row as it was"),
        Binding("tab", "complete", "Complete", show=False, id="field.complete", tooltip="Take the suggested name"),
    ]

    class Left(Message):
        """The row stays as it was."""

    def __init__(self, value: str, complete: Complete | None, *, id: str) -> None:
        suggester = _Names(complete) if complete is not None else None
        super().__init__(value, suggester=suggester, compact=True, select_on_focus=True, id=id)
        self.cursor_blink = False

    async def _on_key(self, event: Key) -> None:
        # Here, not at the end of the event's way up: keys of a slow line come in bursts, and must keep their order.
        if not event.is_printable and event.key in self._bindings.key_to_bindings:
            event.stop()
            event.prevent_default()
            for binding in self._bindings.get_bindings_for_key(event.key):
                await self.run_action(binding.action)
                return

    def action_leave(self) -> None:
        """Leaves the row as it was."""
        self.post_message(self.Left())

    def action_complete(self) -> None:
        """Takes the suggested name."""
        if self._suggestion:
            self.value = self._suggestion
            self.cursor_position = len(self.value)
