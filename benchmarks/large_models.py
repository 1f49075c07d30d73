"""A checkpoint of a million keys, a SavedModel of a million nodes and a graph as text, kept in `benchmarks/.cache`.

Made without TensorFlow, in seconds. Names have four levels as Keras and TensorFlow 1 make them; values are small.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from models import CACHE

COUNT = 1_000_000
KEYS, NODES, TEXT = "million-keys", "million-nodes", "text-graph"
TEXT_COUNT = 50_000

_SUFFIXES = (b"kernel", b"bias", b"gamma", b"beta", b"moving_mean", b"moving_variance", b"m", b"v", b"alpha", b"scale")
_BLOCK = 262_144
_INTERVAL = 16
_FLOAT = 1
_PIECE = 10_000


def checkpoint() -> Path:
    """The prefix of the checkpoint, made where it is missing: 34 MB of index, 8 MB of values."""
    folder = _cached(KEYS, _write_checkpoint)
    return folder / "ckpt"


def saved_model() -> Path:
    """The folder of the SavedModel, made where it is missing: 125 MB."""
    return _cached(NODES, _write_saved_model)


def text_graph() -> Path:
    """The GraphDef in text format, made where it is missing: 50,000 nodes, 19 MB, as protobuf's printer indents it."""
    return _cached(TEXT, _write_text_graph) / "graph.pbtxt"


def _cached(name: str, write: Callable[[Path], None]) -> Path:
    target = CACHE / name
    if not target.is_dir():
        print(f"making {name} (once) ...", file=sys.stderr, flush=True)
        CACHE.mkdir(exist_ok=True)
        # Hundreds of megabytes that no commit may take in, whatever the repository's own list says.
        (CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
        made = Path(tempfile.mkdtemp(dir=CACHE, prefix="making-"))
        write(made)
        os.rename(made, target)
    return target


def _name(number: int) -> bytes:
    return b"model/block_%04d/layer_%02d/%s" % (number // 1000, number // 10 % 100, _SUFFIXES[number % 10])


def varint(number: int) -> bytes:
    """A number as protobuf and tables write it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


# -- the checkpoint --


def _write_checkpoint(folder: Path) -> None:
    import google_crc32c

    def masked(data: bytes) -> int:
        crc = google_crc32c.value(data)
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    values = struct.pack("<2f", 1.0, 2.0)
    crc = b"\x35" + struct.pack("<I", masked(values))
    shape = field(2, field(2, b"\x08\x01") + field(2, b"\x08\x02"))

    def entries() -> Iterator[tuple[bytes, bytes]]:
        yield b"", b"\x08\x01\x1a\x02\x08\x01"
        for name, offset in zip(sorted(map(_name, range(COUNT))), range(0, 8 * COUNT, 8), strict=True):
            place = b"\x20" + varint(offset) if offset else b""
            yield name, b"\x08\x01" + shape + place + b"\x28\x08" + crc

    with open(folder / "ckpt.data-00000-of-00001", "wb") as data:
        data.write(values * COUNT)
    with open(folder / "ckpt.index", "wb") as index:
        position = 0
        handles: list[tuple[bytes, bytes]] = []

        def put(block: bytes) -> bytes:
            nonlocal position
            body = block + b"\x00"
            index.write(body + struct.pack("<I", masked(body)))
            handle = varint(position) + varint(len(block))
            position += len(body) + 4
            return handle

        pending: list[tuple[bytes, bytes]] = []
        size = 0
        for entry in entries():
            pending.append(entry)
            size += len(entry[0]) // 4 + len(entry[1])
            if size >= _BLOCK:
                handles.append((pending[-1][0], put(block(pending, _INTERVAL))))
                pending, size = [], 0
        if pending:
            handles.append((pending[-1][0], put(block(pending, _INTERVAL))))
        footer = put(block([], 1)) + put(block(handles, 1))
        index.write(footer.ljust(40, b"\x00") + bytes.fromhex("57fb808b247547db"))


def block(entries: list[tuple[bytes, bytes]], interval: int) -> bytes:
    """A block of a table."""
    out = bytearray()
    restarts = [] if entries else [0]
    before = b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


# -- the SavedModel --


def _write_saved_model(folder: Path) -> None:
    dtype = field(5, field(1, b"T") + field(2, b"\x30\x01"))
    shape = field(1, field(7, field(2, b"\x08" + b"\xff" * 9 + b"\x01") + field(2, b"\x08\x80\x01")))
    shapes = field(5, field(1, b"_output_shapes") + field(2, shape))
    nodes = []
    for number in range(COUNT):
        if number % _PIECE == 0:  # a placeholder now and then, or the graph would be one chain
            rest = field(2, b"Placeholder") + field(5, field(1, b"dtype") + field(2, b"\x30\x01"))
        else:
            op = (b"Relu", b"Identity", b"Tanh")[number % 3]
            rest = field(2, op) + field(3, _name(number - 1)) + dtype + shapes
        nodes.append(field(1, field(1, _name(number)) + rest))
    tags = field(1, field(4, b"serve") + field(5, b"2.21.0"))
    meta_graph = tags + field(2, b"".join(nodes))
    (folder / "saved_model.pb").write_bytes(b"\x08\x01" + field(2, meta_graph))


# -- the graph as text --

_TEXT_NODE = """node {{
  name: "{name}"
  op: "{op}"
{inputs}  attr {{
    key: "T"
    value {{
      type: DT_FLOAT
    }}
  }}
  attr {{
    key: "_output_shapes"
    value {{
      list {{
        shape {{
          dim {{
            size: -1
          }}
          dim {{
            size: 128
          }}
        }}
      }}
    }}
  }}
}}
"""


def _write_text_graph(folder: Path) -> None:
    with open(folder / "graph.pbtxt", "w", encoding="ascii") as file:
        for number in range(TEXT_COUNT):
            name = _name(number).decode("ascii")
            inputs = f'  input: "{_name(number - 1).decode("ascii")}"\n' if number % _PIECE else ""
            op = ("Relu", "Identity", "Tanh")[number % 3] if inputs else "Placeholder"
            file.write(_TEXT_NODE.format(name=name, op=op, inputs=inputs))


if __name__ == "__main__":
    print(checkpoint(), saved_model(), text_graph(), sep="\n")
