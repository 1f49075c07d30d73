"""From what the child sent, or how it ended, to the errors that people see."""

from __future__ import annotations

from typing import Any

from tfexplore.errors import ChildDied, RunFailed, RuntimeFailed, SandboxMissing, TensorFlowMissing, TimedOut
from tfexplore.runtime.process import INSTALL, Ended
from tfexplore.runtime.records import Progress

_LONGEST = 4000
# Lines of a stack trace of native code, which says nothing to people.
_TRACE = ("@ ", "*** ")


def of_end(how: Ended | None, last_words: str, stopping: str | None, timeout: float | None) -> RuntimeFailed:
    """The child has ended.

    Args:
        how: None where that is not known.
        stopping: `cancelled` or `timed_out` where we stopped it.
    """
    if stopping is not None:
        return _stopped(stopping, timeout, last_words)
    if how is None:
        return ChildDied("the process that runs TensorFlow cannot be ended", kind="died", last_words=last_words)
    said = _said(how.last_words)
    if how.kind == "no_sandbox":
        return SandboxMissing(how.sentence, kind=how.kind)
    if how.kind == "not_started":
        return TensorFlowMissing(how.sentence, kind=how.kind, hint=said, last_words=how.last_words)
    return ChildDied(how.sentence, kind=how.kind, hint=said, last_words=how.last_words)


def of_answer(header: dict[str, Any], last_words: str, stopping: str | None, timeout: float | None) -> RuntimeFailed:
    """The child has sent a failure."""
    if stopping is not None:
        return _stopped(stopping, timeout, last_words)
    kind, message = str(header.get("kind"))[:100], str(header.get("message"))[:_LONGEST]
    detail = header.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    hint = detail.get("hint")
    found: type[RuntimeFailed] = RunFailed
    if kind == "tensorflow_missing":
        found, hint = TensorFlowMissing, INSTALL
    elif kind == "import_failed":
        found = TensorFlowMissing
    hint = hint[:_LONGEST] if isinstance(hint, str) else None
    return found(message, kind=kind, hint=hint, detail=detail, last_words=last_words)


def _stopped(stopping: str, timeout: float | None, last_words: str) -> RuntimeFailed:
    if stopping == "timed_out" and timeout is not None:
        what = f"it was stopped after {timeout:g} s"
        return TimedOut(what, kind="timed_out", hint="--timeout allows more", last_words=last_words)
    return RuntimeFailed("cancelled", kind="cancelled", last_words=last_words)


def _said(words: str) -> str | None:
    lines = [line.strip() for line in words.splitlines()]
    lines = [line for line in lines if line and not line.startswith(_TRACE)]
    return f"its last words: {lines[-1][:300]}" if lines else None


def progress(header: dict[str, Any]) -> Progress:
    """The child has sent how far it is."""
    done, total = header.get("done"), header.get("total")
    return Progress(
        str(header.get("what"))[:_LONGEST],
        done if type(done) is int else 0,
        total if type(total) is int else None,
        figures(header.get("figures")),
        None if header.get("changes") is None else changes(header["changes"]),
    )


def figures(sent: Any) -> tuple[tuple[int, float, float, float], ...]:
    """The figures of steps that the child has sent, those that are what they should be."""
    rows = [row for row in sent if isinstance(row, list) and len(row) == 4] if isinstance(sent, list) else []
    return tuple(
        (row[0], float(row[1]), float(row[2]), float(row[3]))
        for row in rows
        if type(row[0]) is int and all(_is_number(one) for one in row[1:])
    )


def changes(sent: Any) -> tuple[tuple[str, float], ...]:
    """The changes of variables that the child has sent, those that are what they should be."""
    rows = [row for row in sent if isinstance(row, list) and len(row) == 2] if isinstance(sent, list) else []
    return tuple((row[0], float(row[1])) for row in rows if isinstance(row[0], str) and _is_number(row[1]))


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1 << 63)
