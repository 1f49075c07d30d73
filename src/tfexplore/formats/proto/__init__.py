"""Our own schemas of TensorFlow's messages, in a private descriptor pool.

Generated `_pb2` files would register in protobuf's default pool, which clashes with
TensorFlow's own where both live in one process. The .proto files beside this one say
what is decoded; `scripts/make_schemas.py` compiles them to the .desc files read here.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["DecodeError", "full", "lean"]


_lock = threading.RLock()


def _pool(schema: str) -> Any:
    # Of two threads that ask first both would make one, and the messages of one pool do not fit into the other's.
    with _lock:
        return _make_pool(schema)


@cache
def _make_pool(schema: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    with open(os.path.join(os.path.dirname(__file__), f"{schema}.desc"), "rb") as file:
        descriptor_set = file.read()
    # A FileDescriptorSet of one file is that file behind one tag and a length: no need for descriptor_pb2 (8 ms).
    length = shift = 0
    position = 1
    while True:
        byte = descriptor_set[position]
        length |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            break
    pool.AddSerializedFile(descriptor_set[position : position + length])
    return pool


@cache
def lean(name: str) -> Any:
    """The class of a message of lean.proto, for instance `lean("NodeDef")`."""
    return message_factory.GetMessageClass(_pool("lean").FindMessageTypeByName(f"tfexplore.lean.{name}"))


@cache
def full(name: str) -> Any:
    """The class of a message of full.proto, whose fields have TensorFlow's names for text format."""
    return message_factory.GetMessageClass(_pool("full").FindMessageTypeByName(f"tfexplore.full.{name}"))
