"""Messages that are decoded only if they do not take many times their size in memory."""

from __future__ import annotations

import threading
from typing import Any

from tfexplore.errors import CorruptError
from tfexplore.formats import wire
from tfexplore.formats.framing import LIGHT, Framing, TooManyPartsError


def too_many(what: str, nbytes: int, *, path: str) -> CorruptError:
    """The sentence about a message of hardly anything but empty parts."""
    return CorruptError(
        f"the {what} has over a million parts of hardly any bytes ({nbytes:,} bytes in all), "
        "which take many times that in memory",
        path=path,
        hint="no writer of TensorFlow makes such a file: ask where it comes from",
    )


def check_parts(
    kind: str, data: bytes, *, path: str, what: str | None = None, cancel: threading.Event | None = None
) -> None:
    """Counts the parts of a serialized message, where it is large, before it is decoded.

    Args:
        kind: the message's name in lean.proto.
        data: the message.
        path: the file it came from, for the error.
        what: what it is, for the error; its name where that is not given.

    Raises:
        CorruptError: it has so many that decoding it would take many times its size.
        Cancelled: `cancel` was set.
    """
    if len(data) <= LIGHT:
        return
    try:
        Framing(data, cancel).weigh(kind, 0, len(data))
    except TooManyPartsError:
        raise too_many(what or kind, len(data), path=path) from None


def decode(message_class: Any, data: bytes, *, path: str, what: str, offset: int | None = 0) -> Any:
    """As `wire.decode`, for a message that may have any number of parts.

    Raises:
        CorruptError: it is no such message, or has too many parts.
    """
    check_parts(message_class.DESCRIPTOR.name, data, path=path, what=what)
    return wire.decode(message_class, data, path=path, what=what, offset=offset)
