"""One run of the Predict tab: what was called with what, how far it is, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.detail import Block, Detail, Line
from tfexplore.core.detail_run import compared_block, inputs_block, outputs_blocks, words_block

if TYPE_CHECKING:
    import threading

    from tfexplore.loader.running import Answer

RUNNING, CANCELLING, DONE, CANCELLED, FAILED, DIED, TIMED_OUT = (
    "running", "cancelling", "done", "cancelled", "failed", "died", "timed out",
)  # fmt: skip


@dataclass(slots=True)
class Run:
    """One run.

    Attributes:
        number: from 1 on.
        call: tells what was called from anything else that can be.
        title: what was called, visible.
        inputs: what was given, by name, as the person wrote it.
        status: one of the words above.
        step: what is being done while it runs.
        answer: what it gave; None before, or where there is none any more.
        problem: why there is none: a sentence.
        last_words: the end of what the child wrote before it died.
        notes: what the child had to say that is no failure.
    """

    number: int
    call: tuple[str, str, int]
    title: str
    inputs: tuple[tuple[str, str], ...]
    status: str = RUNNING
    step: str = ""
    answer: Answer | None = None
    problem: str = ""
    last_words: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in (RUNNING, CANCELLING)

    @property
    def nbytes(self) -> int:
        """What its outputs take."""
        return sum(output.array.nbytes for output in self.answer.outputs) if self.answer is not None else 0

    @property
    def outcome(self) -> str:
        """Latency and outputs, or what is being done, or why it failed, for one line."""
        if not self.is_over:
            return self.step
        if self.answer is None:
            return text.visible(self.problem)
        found = self.answer.latency
        timed = f"{found.first:.1f} ms" + (f", p50 {found.p50:.2f} ms" if found.p50 is not None else "")
        return f"{timed}  {text.plural(len(self.answer.outputs), 'output')}"

    def detail(self, before: Run | None, cancel: threading.Event | None = None) -> Detail:
        """Everything about it; with a run before it, how their outputs differ."""
        blocks: list[Block] = []
        if self.answer is not None:
            if before is not None and before.answer is not None:
                blocks.append(compared_block(before.number, self.answer.outputs, before.answer.outputs))
            blocks += outputs_blocks(
                self.answer.outputs, self.answer.latency, cancel, title="Outputs" if blocks else ""
            )
        elif self.problem:
            blocks.append(Block("", (Line("", text.visible(self.problem)),)))
        elif self.step:
            blocks.append(Block("", (Line("", f"{self.step[:1].upper()}{self.step[1:]} …"),)))
        blocks += words_block(self.last_words)
        if self.notes:
            blocks.append(Block("Notes", tuple(Line("", text.visible(note)) for note in self.notes)))
        blocks += inputs_block(self.inputs)
        return Detail(f"run {self.number}: {self.title}", self.status, tuple(blocks))


NOTHING_RUN = Detail(
    "Nothing run yet",
    "runtime: off",
    (
        Block(
            "",
            (
                Line(
                    "",
                    "Ctrl-R calls the model with what the form holds. TensorFlow is started then, in a process of its "
                    "own and in a sandbox, and stays until the model is left.",
                ),
                Line("", ""),
                Line("", "Enter edits a row, m makes values up, e shows the call as a script."),
            ),
        ),
    ),
)
