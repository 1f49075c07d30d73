"""AttrValues: as plain data for JSON and as one readable line."""

from __future__ import annotations

from typing import Any

from tfexplore.core import shapes, text
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes, tensor_proto

# Elements of a list or a tensor that are shown before the rest is counted.
MAX_ELEMENTS = 16
_MAX_LINE = 400


def plain(value: Any, *, path: str = "") -> Any:
    """An AttrValue as JSON-ready data.

    A type is its name, a shape a list, a function `{"func": name}`, a tensor
    `{"dtype", "shape", "values"}` with `values` left out where they are many or unreadable.
    """
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "list":
        return _plain_list(value.list, path)
    return _plain_one(kind, getattr(value, kind), path)


def _plain_one(kind: str, part: Any, path: str) -> Any:
    if kind in ("s", "placeholder"):
        return text.decode(part)
    if kind == "type":
        return dtypes.name(part)
    if kind == "shape":
        shape = shapes.from_proto(part)
        return None if shape is None else list(shape)
    if kind == "tensor":
        return plain_tensor(part, path)
    if kind == "func":
        return {"func": text.decode(part.name)}
    return part


def _plain_list(parts: Any, path: str) -> list[Any]:
    for field in ("s", "i", "f", "b", "type", "shape", "tensor", "func"):
        found = getattr(parts, field)
        if found:
            return [_plain_one(field, part, path) for part in found]
    return []


def plain_tensor(raw: bytes, path: str) -> dict[str, Any]:
    """A serialized TensorProto as `{"dtype", "shape", "values"}`; `values` only where they are few."""
    from tfexplore.core.values import to_plain

    try:
        message = tensor_proto.decode_tensor(raw, path=path)
    except ModelError as error:
        return {"problem": str(error)}
    shape = tensor_proto.dims(message)
    found: dict[str, Any] = {"dtype": dtypes.name(message.dtype), "shape": None if shape is None else list(shape)}
    if (shapes.num_elements(shape) or 0) <= MAX_ELEMENTS:
        try:
            found["values"] = to_plain(tensor_proto.to_array(message, path=path))
        except ModelError as error:
            found["problem"] = str(error)
    return found


def line(value: Any, *, path: str = "") -> str:
    """An AttrValue as one line of visible text; what was cut is said."""
    found = _line(value, path)
    return found if len(found) <= _MAX_LINE else f"{found[:_MAX_LINE]}{text.ELLIPSIS} ({len(found):,} characters)"


def _line(value: Any, path: str) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return "(not set)"
    if kind != "list":
        return _line_one(kind, getattr(value, kind), path)
    for field in ("s", "i", "f", "b", "type", "shape", "tensor", "func"):
        parts = getattr(value.list, field)
        if parts:
            shown = ", ".join(_line_one(field, part, path) for part in parts[:MAX_ELEMENTS])
            rest = len(parts) - MAX_ELEMENTS
            return f"[{shown}{f', … {rest:,} more' if rest > 0 else ''}]"
    return "[]"


def _line_one(kind: str, part: Any, path: str) -> str:
    if kind in ("s", "placeholder"):
        # A longer string is cut before it is made visible: it may be a nested graph of megabytes.
        return f'"{text.visible(text.decode(part[: _MAX_LINE + 8]))}"' + (
            f" ({len(part):,} bytes)" if len(part) > _MAX_LINE else ""
        )
    if kind == "type":
        return dtypes.name(part)
    if kind == "shape":
        return shapes.format_shape(shapes.from_proto(part))
    if kind == "func":
        return text.label(text.decode(part.name))
    if kind == "tensor":
        return _line_tensor(part, path)
    if kind == "b":
        return "true" if part else "false"
    return f"{part:.9g}" if kind == "f" else str(part)


def _line_tensor(raw: bytes, path: str) -> str:
    from tfexplore.core.values import format_flat

    try:
        message = tensor_proto.decode_tensor(raw, path=path)
    except ModelError as error:
        return f"(damaged: {text.visible(error.what)})"
    shape = tensor_proto.dims(message)
    head = f"{dtypes.name(message.dtype)} {shapes.format_shape(shape)}"
    elements = shapes.num_elements(shape)
    if elements is None or elements > 2**16:
        return head
    try:
        return f"{head} {format_flat(tensor_proto.to_array(message, path=path), MAX_ELEMENTS)}"
    except ModelError as error:
        return f"{head} ({text.visible(error.what)})"
