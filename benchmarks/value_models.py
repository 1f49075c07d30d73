"""Checkpoints of large tensors, made without TensorFlow in a temporary folder."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import programs
from large_models import block, field, varint
from measure import run


def written(folder: Path, tensors: int, elements: int) -> Path:
    """Has so many float32 tensors of so many elements written, normally distributed; returns the prefix.

    By another process: what this one takes of memory hides what its children take.
    """
    folder.mkdir()
    command = [sys.executable, __file__, str(folder), str(tensors), str(elements)]
    run(command, programs.environment(), silent=True)
    return folder / "ckpt"


def _write(folder: Path, tensors: int, elements: int) -> None:
    import google_crc32c
    import numpy as np

    def masked(crc: int) -> int:
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    generator = np.random.default_rng(0)
    piece = generator.standard_normal(min(elements, 1 << 24), np.float32)
    shape = field(2, field(2, b"\x08" + varint(elements)))
    entries = [(b"", b"\x08\x01\x1a\x02\x08\x01")]
    with open(folder / "ckpt.data-00000-of-00001", "wb") as data:
        for number in range(tensors):
            offset, crc, left = data.tell(), 0, elements
            while left:
                part = np.roll(piece, number)[:left].view(np.uint8)
                crc = google_crc32c.extend(crc, part)
                data.write(part.data)
                left -= part.size // 4
            place = b"\x20" + varint(offset) if offset else b""
            size = b"\x28" + varint(4 * elements)
            checksum = b"\x35" + struct.pack("<I", masked(crc))
            entries.append((b"tensor_%04d" % number, b"\x08\x01" + shape + place + size + checksum))
    index = bytearray()

    def put(contents: bytes) -> bytes:
        handle = varint(len(index)) + varint(len(contents))
        body = contents + b"\x00"
        index.extend(body + struct.pack("<I", masked(google_crc32c.value(body))))
        return handle

    handle = put(block(entries, 16))
    footer = put(block([], 1)) + put(block([(entries[-1][0], handle)], 1))
    (folder / "ckpt.index").write_bytes(bytes(index) + footer.ljust(40, b"\x00") + bytes.fromhex("57fb808b247547db"))


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
