"""PNG pictures of the plain kind: eight bits a channel, not interlaced, gray or RGB, with or without alpha.

PNG (Portable Network Graphics) Specification, W3C: chunks (5), filters (9). Enough to feed a picture
as numbers; a model that decodes by itself gets the file's bytes.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from tfexplore.errors import ChecksumError, CorruptError, NotAModelError, UnsupportedError

MAGIC = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
# Undoing the filters takes up to a microsecond a byte.
_MAX_PIXELS = 4 << 20


class Picture(NamedTuple):
    """Rows of pixels, `height * width * channels` bytes; channels are gray, gray and alpha, RGB, or RGBA."""

    height: int
    width: int
    channels: int
    pixels: bytes


def decode(data: bytes, *, path: str) -> Picture:
    """The picture in a PNG file.

    Raises:
        NotAModelError: it is no PNG file.
        CorruptError, ChecksumError: it is damaged or cut off.
        UnsupportedError: a palette, 16 bits, interlacing, or over 4 MiB of pixels.
    """
    if not data.startswith(MAGIC):
        raise NotAModelError("this is no PNG file", path=path)
    position = len(MAGIC)
    head: tuple[int, ...] | None = None
    packed = bytearray()
    while True:
        if position + 12 > len(data):
            raise CorruptError("the PNG file ends within a chunk", path=path, offset=position)
        length, kind = struct.unpack_from(">I4s", data, position)
        if length > len(data) - position - 12:
            raise CorruptError(
                f"a chunk claims {length:,} bytes where {len(data) - position - 12:,} are left",
                path=path,
                offset=position,
            )
        body = data[position + 8 : position + 8 + length]
        (stored,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(kind + body) != stored:
            raise ChecksumError("a chunk of the PNG file does not match its checksum", path=path, offset=position)
        if kind == b"IHDR" and head is None and length == 13:
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        elif kind == b"IEND":
            break
        position += 12 + length
    if head is None:
        raise CorruptError("the PNG file has no IHDR chunk of 13 bytes", path=path, offset=len(MAGIC))
    return _picture(head, bytes(packed), path)


def _picture(head: tuple[int, ...], packed: bytes, path: str) -> Picture:
    width, height, bits, color, _, _, interlaced = head
    channels = _CHANNELS.get(color)
    if channels is None or bits != 8 or interlaced:
        raise UnsupportedError(
            "a PNG file with a palette, interlaced, or not of eight bits a channel",
            path=path,
            hint="save it as plain 8-bit RGB, or as .npy",
        )
    row = width * channels
    if not width or not height or row * height > _MAX_PIXELS:
        raise UnsupportedError(
            f"a picture of {width:,} × {height:,} pixels (at most {_MAX_PIXELS:,} bytes are decoded here)",
            path=path,
            hint="save it as .npy",
        )
    wanted = (row + 1) * height
    try:
        raw = zlib.decompressobj().decompress(packed, wanted)
    except zlib.error as error:
        raise CorruptError("the pixels of the PNG file cannot be unpacked", path=path) from error
    if len(raw) < wanted:
        raise CorruptError(f"the PNG file holds {len(raw):,} bytes of pixels where {wanted:,} are needed", path=path)
    pixels = bytearray()
    before = bytes(row)
    for number in range(height):
        start = number * (row + 1)
        line = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + row]), before, channels, path)
        pixels += line
        before = bytes(line)
    return Picture(height, width, channels, bytes(pixels))


def _unfiltered(kind: int, line: bytearray, before: bytes, step: int, path: str) -> bytearray:
    if kind > 4:
        raise CorruptError(f"a row of the PNG file has the filter {kind}, of which there are 0 to 4", path=path)
    if kind == 2:
        return bytearray((value + up) & 255 for value, up in zip(line, before, strict=True))
    if kind:
        for place in range(len(line)):
            left = line[place - step] if place >= step else 0
            up = before[place]
            if kind == 1:
                guess = left
            elif kind == 3:
                guess = (left + up) >> 1
            else:
                guess = _paeth(left, up, before[place - step] if place >= step else 0)
            line[place] = (line[place] + guess) & 255
    return line


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    to_left, to_up, to_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def encode_rgb(height: int, width: int) -> bytes:
    """A black RGB picture as a PNG file."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((3 * width + 1) * height))
    return MAGIC + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
