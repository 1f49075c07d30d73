"""Looks at everything of a model that may be damaged, and says how it went."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.describe import describe
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import NOT_SCANNED
from tfexplore.core.scan import scan
from tfexplore.core.sections import SECTIONS, Options, section
from tfexplore.core.tree import root_items
from tfexplore.errors import ModelError, TfexploreError, UsageError

MAX_ITEMS = 150
MAX_PAGE = 30
MAX_ROWS = 60
_VALUE_LIMIT = 64 << 20


class Looked(NamedTuple):
    """How a look went.

    Attributes:
        verdict: `refused` (one sentence of ours), `told` (opened, and something is said to be damaged) or `clean`.
        wrong: what must not be: an exception that is not ours, raw control characters, a wrong value called good.
    """

    verdict: str
    wrong: str = ""


def values(model: Model) -> dict[str, Any]:
    """The values of all checkpoint keys as lists, of those that count as verified."""
    found = {}
    checkpoint = model.checkpoint
    for key in checkpoint.keys[:MAX_ROWS] if checkpoint is not None else ():
        assert checkpoint is not None
        try:
            value = checkpoint.read(key, limit=_VALUE_LIMIT)
        except ModelError:
            continue
        if value.checksum == "good":
            found[key] = (value.dtype, value.array.tolist())
    return found


def look(path: str, whole: dict[str, Any] | None = None) -> Looked:
    """Opens a model, walks its tree, reads its sections and its values, scans it.

    Args:
        whole: `values` of the model before it was damaged.
    """
    try:
        model = open_model(path)
    except TfexploreError as error:
        return Looked("refused", "" if text.visible(str(error)) else "an error without a sentence")
    with model:
        told = _walk(model)
        told |= _sections(model)
        told |= any(finding.kind == NOT_SCANNED for finding in scan(model))
        read = values(model)
        if whole is not None:
            for key, value in read.items():
                if repr(value) != repr(whole.get(key)):
                    return Looked("told", f"the value of {key!r} is wrong and called good")
            told |= len(read) < len(whole)
        told |= bool(model.notes)
    return Looked("told" if told else "clean")


def _walk(model: Model) -> bool:
    """Walks the tree; tells whether anything was said to be damaged."""
    told = False
    pending = deque(root_items(model))
    visited = 0
    while pending and visited < MAX_ITEMS:
        visited += 1
        item = pending.popleft()
        told |= item.kind == "note" or "damaged" in item.note
        _printable(text.label(item.label), item.note)
        try:
            detail = describe(item.subject)
            for block in detail.blocks:
                _printable(block.title)
                told |= block.title == "problems"
                for line in block.lines:
                    _printable(line.label, line.value)
                    told |= line.value.startswith("BAD")
            if item.children is not None:
                item.children.load()
                pending.extend(item.children.page(0, MAX_PAGE))
        except ModelError:
            told = True
    return told


def _printable(*parts: str) -> None:
    for part in parts:
        if not part.isprintable():
            raise AssertionError(f"raw characters on the screen: {part[:80]!r}")


def _sections(model: Model) -> bool:
    told = False
    for name in SECTIONS:
        try:
            found = section(model, name, Options(attrs=True))
            for number, ref in enumerate(found.refs):
                if number >= MAX_ROWS:
                    break
                told |= "problem" in found.row(ref)
        except UsageError:
            continue
        except ModelError:
            told = True
    return told
