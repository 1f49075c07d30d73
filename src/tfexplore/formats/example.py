"""The features of a serialized tf.train.Example: tensorflow/core/example/example.proto and feature.proto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfexplore.errors import UnsupportedError
from tfexplore.formats import parts, wire
from tfexplore.formats.proto import lean

# Of an Example, whose least entries take many times their size in memory, and of a feature, whose values of one byte
# take eight.
MAX_EXAMPLE, MAX_FEATURE = 16 << 20, 8 << 20
BYTES, FLOAT, INT64 = "bytes_list", "float_list", "int64_list"


def features(raw: bytes, *, path: str, offset: int | None = None) -> dict[bytes, bytes]:
    """The serialized Features of an Example by name; of several with one name the last, as TensorFlow's parser has it.

    Args:
        raw: the Example.
        path: the file it came from, for the error.
        offset: where it begins there.

    Raises:
        CorruptError: it is no Example.
        UnsupportedError: it has over 16 MiB.
    """
    if len(raw) > MAX_EXAMPLE:
        raise UnsupportedError(
            f"an Example has {len(raw):,} bytes, more than the {MAX_EXAMPLE:,} that are read", path=path, offset=offset
        )
    message = parts.decode(lean("Example"), raw, path=path, what="Example", offset=offset)
    return {entry.key: entry.value for entry in message.features.feature}


def values(raw: bytes, *, path: str, offset: int | None = None) -> tuple[str | None, Sequence[Any]]:
    """The values of a serialized Feature, and their kind: `bytes_list`, `float_list`, `int64_list`; None for none.

    Raises:
        CorruptError: it is no Feature.
        UnsupportedError: it has over 8 MiB.
    """
    if len(raw) > MAX_FEATURE:
        raise UnsupportedError(
            f"a feature has {len(raw):,} bytes, more than the {MAX_FEATURE:,} that are read", path=path, offset=offset
        )
    message = wire.decode(lean("Feature"), raw, path=path, what="Feature", offset=offset)
    kind = message.WhichOneof("kind")
    return kind, () if kind is None else getattr(message, kind).value
