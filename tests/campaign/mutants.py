"""Damage, of every kind and repeatable: number `n` of a mutation is the same bytes whoever asks, whenever.

Exhaustive ones have one mutant for each byte; the others take a seed and have any number.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import NamedTuple

from formats.table_writer import MAGIC, TableWriter, encode_block, masked, varint

# What a name, a path or a text may be made of at its worst.
HOSTILE = (b"", b"\x00", b"\xff\xfe\x80", b"\x1b[2J\x1b]0;x\x07", b"a\nb\r\tc", "\u202e\u200b\ufeff".encode(), b"[/]",
           b"../" * 40, b"/dev/zero", b"x" * 10_000, b"%s%n", b"^", b":0", b"a:b:99999999999999999999")  # fmt: skip
EXTREMES = (0, 1, 2, 127, 128, 255, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63,
            (1 << 64) - 1, (1 << 64) - 5)  # fmt: skip

Make = Callable[[bytes, int, int], bytes]


class Mutation(NamedTuple):
    """A kind of damage.

    Attributes:
        make: gives mutant `n` of some bytes for a seed.
        exhaustive: there are as many mutants as bytes; the seed means nothing.
    """

    make: Make
    exhaustive: bool = False


def _random(seed: int, number: int) -> random.Random:
    return random.Random(seed * 1_000_003 + number)


def truncate(data: bytes, number: int, _: int) -> bytes:
    """Cut before byte `number`."""
    return data[:number]


def flip(data: bytes, number: int, _: int) -> bytes:
    """One byte turned over: a bit of it, or all, by turns."""
    mask = (0x01, 0xFF, 0x80, 0x10)[number % 4]
    return data[:number] + bytes((data[number] ^ mask,)) + data[number + 1 :]


def flip_bit(data: bytes, number: int, seed: int) -> bytes:
    """One bit anywhere."""
    rng = _random(seed, number)
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def scramble(data: bytes, number: int, seed: int) -> bytes:
    """Bytes changed, taken out, put in and moved about, in a few places."""
    rng = _random(seed, number)
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found) + 1)
        size = min(rng.choice((1, 1, 2, 4, 8, 64, 512)), len(found) - at)
        kind = rng.randrange(4)
        if kind == 0:
            found[at : at + size] = rng.randbytes(size)
        elif kind == 1:
            del found[at : at + size]
        elif kind == 2:
            found[at:at] = rng.choice((rng.randbytes(rng.randint(1, 40)), *HOSTILE))
        else:
            part = found[at : at + size]
            to = rng.randrange(len(found) + 1)
            found[to : to + size] = part
    return bytes(found)


# -- protobufs --


class _Field(NamedTuple):
    number: int
    wire_type: int
    value: int | bytes


def _fields(data: bytes) -> list[_Field] | None:
    """The fields of a message; None where the bytes are none."""
    found: list[_Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _read_varint(data, at)
            number, wire_type = tag >> 3, tag & 7
            if not number or wire_type not in (0, 1, 2, 5):
                return None
            if wire_type == 0:
                value, at = _read_varint(data, at)
                found.append(_Field(number, wire_type, value))
                continue
            size = {1: 8, 5: 4}.get(wire_type)
            if size is None:
                size, at = _read_varint(data, at)
            if at + size > len(data):
                return None
            found.append(_Field(number, wire_type, data[at : at + size]))
            at += size
    except IndexError:
        return None
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 128:
            return value, at


def _serialized(fields: list[_Field]) -> bytes:
    out = bytearray()
    for field in fields:
        out += varint(field.number << 3 | field.wire_type)
        if isinstance(field.value, int):
            out += varint(field.value % (1 << 64))
        else:
            out += (varint(len(field.value)) if field.wire_type == 2 else b"") + field.value
    return bytes(out)


def edit_protobuf(data: bytes, number: int, seed: int) -> bytes:
    """One to three edits that respect the structure: every length is right again."""
    rng = _random(seed, number)
    for _ in range(rng.randint(1, 3)):
        data = _edited(data, rng, 0)
    return data


def _edited(data: bytes, rng: random.Random, depth: int) -> bytes:
    fields = _fields(data)
    if not fields:
        return rng.choice((*HOSTILE, rng.randbytes(rng.randint(0, 30)), data + b"\x00", data * 2))
    place = rng.randrange(len(fields))
    field = fields[place]
    inside = isinstance(field.value, bytes) and field.wire_type == 2
    if inside and depth < 12 and rng.random() < 0.8:
        assert isinstance(field.value, bytes)
        fields[place] = field._replace(value=_edited(field.value, rng, depth + 1))
        return _serialized(fields)
    kind = rng.randrange(9)
    if kind == 0:
        del fields[place]
    elif kind == 1:
        fields[place:place] = [field] * rng.choice((1, 2, 300))
    elif kind == 2:
        other = rng.randrange(len(fields))
        fields[place], fields[other] = fields[other], field
    elif kind == 3:
        fields[place] = field._replace(number=rng.choice((1, 2, 3, 4, 5, 7, 15, 16, 1000)))
    elif kind == 4:
        fields[place] = _Field(field.number, 0, rng.choice(EXTREMES))
    elif kind == 5 and inside:
        nested = field.value
        assert isinstance(nested, bytes)
        for _ in range(rng.choice((2, 50, 200))):
            nested = _serialized([_Field(field.number, 2, nested)])
        fields[place] = field._replace(value=nested)
    elif isinstance(field.value, int):
        fields[place] = field._replace(value=rng.choice(EXTREMES))
    elif field.wire_type == 2:
        fields[place] = field._replace(value=rng.choice((*HOSTILE, rng.randbytes(rng.randint(1, 60)))))
    else:
        fields[place] = field._replace(value=rng.randbytes(len(field.value)))
    return _serialized(fields)


# -- tables: their checksums are right again --


class _Block(NamedTuple):
    offset: int
    size: int


def _table_blocks(data: bytes) -> tuple[list[_Block], list[tuple[bytes, bytes]]]:
    """Data blocks of a good table, and the entries of its index block."""
    at = len(data) - 48
    numbers = []
    for _ in range(4):
        number, at = _read_varint(data, at)
        numbers.append(number)
    entries = block_entries(data[numbers[2] : numbers[2] + numbers[3]])
    blocks = []
    for _, handle in entries:
        offset, place = _read_varint(handle, 0)
        blocks.append(_Block(offset, _read_varint(handle, place)[0]))
    return blocks, entries


def block_entries(block: bytes) -> list[tuple[bytes, bytes]]:
    """The entries of a good block."""
    end = len(block) - 4 - 4 * struct.unpack_from("<I", block, len(block) - 4)[0]
    found = []
    at, key = 0, b""
    while at < end:
        shared, at = _read_varint(block, at)
        suffix, at = _read_varint(block, at)
        size, at = _read_varint(block, at)
        key = key[:shared] + block[at : at + suffix]
        at += suffix
        found.append((key, block[at : at + size]))
        at += size
    return found


def edit_entry(data: bytes, number: int, seed: int) -> bytes:
    """A table whose entries were edited as protobufs or names, written anew with right checksums."""
    rng = _random(seed, number)
    blocks, _ = _table_blocks(data)
    entries = [entry for block in blocks for entry in block_entries(data[block.offset : block.offset + block.size])]
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(entries))
        key, value = entries[place]
        if rng.random() < 0.85:
            entries[place] = (key, _edited(value, rng, 0))
        else:
            entries[place] = (rng.choice((*HOSTILE, key + b"x", key[:-1])), value)
    writer = TableWriter()
    step = rng.choice((1, 3, 100))
    if rng.random() < 0.9:
        entries.sort()
    for start in range(0, len(entries), step):
        writer.block(entries[start : start + step], rng.choice((1, 2, 16)))
    return writer.finish()


def edit_block(data: bytes, number: int, seed: int) -> bytes:
    """A byte or a number changed within a block, the block's checksum made right again."""
    rng = _random(seed, number)
    blocks, _ = _table_blocks(data)
    block = rng.choice(blocks)
    found = bytearray(data)
    for _ in range(rng.randint(1, 2)):
        at = block.offset + rng.randrange(block.size)
        if rng.random() < 0.3 and block.size >= 4:
            at = min(at, block.offset + block.size - 4)
            found[at : at + 4] = struct.pack("<I", rng.choice(EXTREMES) & 0xFFFFFFFF)
        else:
            found[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, found[at] ^ 1 << rng.randrange(8)))
    import google_crc32c

    end = block.offset + block.size + 1
    found[end : end + 4] = struct.pack("<I", masked(google_crc32c.value(bytes(found[block.offset : end]))))
    return bytes(found)


def edit_handles(data: bytes, number: int, seed: int) -> bytes:
    """Handles of blocks, or the footer, that point elsewhere."""
    rng = _random(seed, number)
    _, entries = _table_blocks(data)
    body = bytearray(data[:-48])
    entries = [
        (key, varint(rng.choice((*EXTREMES[:11], len(data)))) + varint(rng.choice((0, 1, 5, len(data), 1 << 31))))
        if rng.random() < 0.4
        else (key, handle)
        for key, handle in entries
    ]
    writer = TableWriter(data=body)
    index = writer.raw_block(encode_block(entries, 1), 0)
    footer = varint(rng.choice((0, len(body)))) + varint(rng.choice((8, 0))) + index
    if rng.random() < 0.2:
        footer = varint(0) + varint(0) + varint(rng.choice(EXTREMES[:12])) + varint(rng.choice(EXTREMES[:12]))
    return bytes(writer.data) + footer[:40].ljust(40, b"\x00") + MAGIC


# -- text --


def edit_text(data: bytes, number: int, seed: int) -> bytes:
    """Tokens of a text changed, doubled, moved or put in where they do not belong."""
    rng = _random(seed, number)
    tokens = data.replace(b"{", b" { ").replace(b"}", b" } ").replace(b":", b" : ").split(b" ")
    odd = (b"{", b"}", b'"', b"'", b"<", b">", b"[", b"]", b"#", b"node", b"attr {", b"key :", b"-1", b"1e999", b"\\x",
           b"9" * 400, b'"' + b"z" * 5000 + b'"', b"nan", b"\xff", b"\x00", b"odd_field: 1", b"{" * 150)  # fmt: skip
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(tokens))
        kind = rng.randrange(4)
        if kind == 0:
            tokens[place] = rng.choice(odd)
        elif kind == 1:
            del tokens[place : place + rng.choice((1, 1, 5))]
            tokens = tokens or [b""]
        elif kind == 2:
            tokens[place:place] = [rng.choice(odd)]
        else:
            tokens[place:place] = tokens[rng.randrange(len(tokens)) :][: rng.randint(1, 20)]
    return b" ".join(tokens)


MUTATIONS: dict[str, Mutation] = {
    "truncate": Mutation(truncate, True),
    "flip": Mutation(flip, True),
    "flip bit": Mutation(flip_bit),
    "scramble": Mutation(scramble),
    "edit protobuf": Mutation(edit_protobuf),
    "edit entry": Mutation(edit_entry),
    "edit block": Mutation(edit_block),
    "edit handles": Mutation(edit_handles),
    "edit text": Mutation(edit_text),
}

# Those that know nothing of checksums: no checksum is right again by more than chance.
BLIND = ("truncate", "flip", "flip bit", "scramble")
