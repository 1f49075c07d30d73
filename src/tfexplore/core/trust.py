"""Whether a model may be run: one with findings of level `high` only if the person trusts it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tfexplore.core import text
from tfexplore.core.model import Model
from tfexplore.core.risky_ops import HIGH
from tfexplore.core.scan import scan
from tfexplore.core.scan_finding import SAVE, Finding


def distrusted(model: Model, cancel: threading.Event | None = None) -> list[Finding]:
    """The findings for which a model needs trust: those of level `high`, saving apart, which no run does.

    Raises:
        Cancelled: `cancel` was set.
    """
    return [finding for finding in scan(model, cancel=cancel) if finding.level == HIGH and finding.phase != SAVE]


def sentence(findings: Sequence[Finding]) -> str:
    """Why it is not run: how many findings, the first of them with its literal argument."""
    first = findings[0]
    literal = next((value for argument in first.arguments for value in argument.values or ()), None)
    named = text.visible(first.what) if first.op is None else f"{text.label(first.op)} {text.visible(first.what)}"
    with_literal = f' ("{text.shorten(text.visible(literal), 60)}")' if literal is not None else ""
    count = text.plural(len(findings), "finding")
    return f"the scan has {count} of level high: {named}{with_literal}"
