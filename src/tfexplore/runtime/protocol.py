"""The child's protocol, as this side sees it: the one source is `child/frames.py`, which the child reads as well."""

from __future__ import annotations

from tfexplore.runtime.child.frames import (
    ITEM_SIZES,
    MAX_BODY,
    MAX_HEADER,
    MAX_RANK,
    PREFIX,
    STRING,
    VERSION,
    Buffer,
    Frame,
    FrameError,
    Tensor,
    decode,
    decode_prefix,
    elements,
    encode,
    pack_strings,
    unpack_strings,
)

__all__ = [
    "ITEM_SIZES",
    "MAX_BODY",
    "MAX_HEADER",
    "MAX_RANK",
    "PREFIX",
    "STRING",
    "VERSION",
    "Buffer",
    "Frame",
    "FrameError",
    "Tensor",
    "decode",
    "decode_prefix",
    "elements",
    "encode",
    "pack_strings",
    "unpack_strings",
]
