"""What the detail pane shows of a subject: titled blocks of lines, ready to be drawn as text.

Every string here is visible already (see `text.visible`); lines that lead somewhere carry a subject.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfexplore.core import shapes, text
from tfexplore.core.subjects import Subject
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.graph import Tensor

# Inputs, outputs, uses and the like that are listed before the rest is counted.
MAX_LINES = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a label of ours (may be empty), a value, and what the line leads to.

    `columns` tells that the value is one line of a table: cut where it is too wide, never wrapped.
    """

    label: str
    value: str
    subject: Subject | None = None
    columns: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Lines under a title; the first block of a detail has none."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything about one subject.

    Attributes:
        title: its name, visible.
        kind: what it is, in words (`Variable`).
        summary: dtype and shape or the like, for one line.
    """

    title: str
    kind: str
    blocks: tuple[Block, ...]

    def lines(self) -> Iterable[Line]:
        """All lines of all blocks."""
        for block in self.blocks:
            yield from block.lines


def fact(label: str, value: Any, subject: Subject | None = None) -> Line:
    """A line whose label and value are made visible."""
    return Line(text.visible(label), "-" if value is None else text.label(str(value)), subject)


def block(title: str, lines: Iterable[Line], total: int | None = None, rest: Subject | None = None) -> list[Block]:
    """A block, or nothing where it has no lines; what was cut is said, and leads to `rest`."""
    found: list[Line] = []
    count = 0
    for line in lines:
        count += 1
        if count <= MAX_LINES:
            found.append(line)
        elif total is not None:
            break
    count = total if total is not None else count
    if count > MAX_LINES:
        found.append(Line("", f"… {count - MAX_LINES:,} more", rest))
    return [Block(title, tuple(found))] if found else []


def tensor_text(dtype_name: str, shape: shapes.Shape, stored: bool) -> str:
    """`float32 [?, 10]`; says where the shape is not stored."""
    return f"{dtype_name} {shapes.format_shape(shape) if stored else '(shape not stored)'}"


def shape_text(tensor: Tensor) -> str:
    """A tensor's shape, stored or inferred, or that it is not stored."""
    if tensor.inferred:
        return f"{shapes.format_shape(tensor.shape)}  inferred"
    return shapes.format_shape(tensor.shape) if tensor.shape_stored else "not stored"


def tensor_facts(tensor: Tensor) -> str:
    """`float32 [?, 10]` of a tensor; says where the shape is inferred, or not stored."""
    if tensor.inferred:
        return f"{dtypes.name(tensor.dtype)} {shape_text(tensor)}"
    return tensor_text(dtypes.name(tensor.dtype), tensor.shape, tensor.shape_stored)


def attr_lines(raw_attrs: dict[str, Any], path: str, hidden: Iterable[str] = ()) -> Iterable[Line]:
    """Attributes by name, readable."""
    from tfexplore.core import attrs

    skip = set(hidden)
    for name in sorted(raw_attrs):
        if name not in skip:
            value = raw_attrs[name]
            yield Line(text.label(name), "(damaged)" if value is None else attrs.line(value, path=path))
