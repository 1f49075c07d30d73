"""What the fields of a container look like on the wire, to find one's way again after damage.

A container is a message that holds what a person looks for: SavedModel, MetaGraphDef, GraphDef, …
Writers put fields in rising order of their numbers, which shows where a message ends whose length is wrong.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import NamedTuple

from tfexplore.errors import Cancelled
from tfexplore.formats.proto import lean

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_TYPE_MESSAGE = 11
_WIRE_TYPES = {1: FIXED64, 2: FIXED32, 6: FIXED64, 7: FIXED32, 9: 2, 11: 2, 12: 2, 15: FIXED32, 16: FIXED64}

CONTAINERS = frozenset(("SavedModel", "MetaGraphDef", "MetaInfoDef", "OpList", "GraphDef", "FunctionDefLibrary")) | {
    "FunctionDef",
    "SavedObjectGraph",
    "TrackableObjectGraph",
}
# Whose fields are looked at also where protobuf accepts the whole.
CHECKED = frozenset(
    ("SavedModel", "MetaGraphDef", "MetaInfoDef", "GraphDef", "FunctionDefLibrary", "VersionDef", "SaverDef")
)
# Messages that lean.proto keeps as bytes.
_HIDDEN = {
    "GraphDef.node": "NodeDef",
    "FunctionDefLibrary.function": "FunctionDef",
    "FunctionDef.node_def": "NodeDef",
    "MetaGraphDef.object_graph_def": "SavedObjectGraph",
}
# Parts that are known by their position, or counted: a damaged one keeps its place.
_PLACES = frozenset(("GraphDef.node", "FunctionDefLibrary.function", "FunctionDef.node_def")) | {
    "SavedObjectGraph.nodes",
    "TrackableObjectGraph.nodes",
}
# Fields of TensorFlow's messages that lean.proto leaves out, by number, with their wire types.
_LEFT_OUT = {"GraphDef": {3: VARINT, 5: LENGTH}, "MetaInfoDef": {3: LENGTH}, "NodeDef": {7: LENGTH}} | {
    "SavedObject": {14: LENGTH}
}
# So many fields in a row are no accident; fewer count where they fill a whole container to its end.
_CHAIN = 3
_MAX_LOOKS = 6
# Steps of looking around in one file, about a microsecond each.
_MAX_STEPS = 3_000_000
_CHECK_EVERY = 4096
# Tags that NodeDefs and FunctionDefs begin with, by far the most 0x0a.
_FIRST = frozenset((0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A))
_RUN = 16 << 20
# Parts are nodes, functions, messages and elements of lists. An empty one is two bytes in the file and a hundred in
# memory; the least that TensorFlow writes many of, an element of a list in an object graph, has seven bytes.
_MIN_PARTS, _BYTES_PER_PART = 1_000_000, 8
LIGHT = 2 * _MIN_PARTS
# Fields that are no parts: beyond a million, so many come with a part. No message has more numbers and names.
_MIN_PLAIN, _PLAIN_PER_PART = 1_000_000, 16
# Nodes and functions of more bytes than this are looked into as well.
_HEAVY = 1 << 20
_MAX_DEPTH = 8
# A function is listed by name, with what belongs to it.
_WEIGHTS = {"FunctionDefLibrary": 4}


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        name: with its message: `GraphDef.node`.
        type: of the message it holds, also where lean.proto has bytes; empty for any other.
        message: whether lean.proto has it as a message.
        place: whether a damaged one keeps its place.
        known: whether lean.proto has it.
    """

    name: str
    number: int
    wire_type: int
    type: str
    message: bool
    repeated: bool
    place: bool
    known: bool = True

    @property
    def attribute(self) -> str:
        """The name without the message."""
        return self.name.partition(".")[2]


@cache
def fields(type_name: str) -> dict[int, Field]:
    """The fields of a message by tag (number << 3 | wire type), as TensorFlow's own has them."""
    found = {}
    for field in lean(type_name).DESCRIPTOR.fields:
        name = f"{type_name}.{field.name}"
        message = field.type == _TYPE_MESSAGE
        kind = field.message_type.full_name.partition(".lean.")[2] if message else _HIDDEN.get(name, "")
        wire_type = _WIRE_TYPES.get(field.type, VARINT)
        known = Field(name, field.number, wire_type, kind, message, field.is_repeated, name in _PLACES)
        found[field.number << 3 | wire_type] = known
        if field.is_repeated and wire_type != LENGTH:
            found[field.number << 3 | LENGTH] = known._replace(wire_type=LENGTH)
    for number, wire_type in _LEFT_OUT.get(type_name, {}).items():
        name = f"{type_name}.field {number}"
        found[number << 3 | wire_type] = Field(name, number, wire_type, "", False, False, False, False)
    return found


@cache
def place_of(type_name: str) -> tuple[int, Field] | None:
    """Tag and field of the parts that keep their place in that container; None where it has none."""
    return next(((tag, field) for tag, field in fields(type_name).items() if field.place), None)


@cache
def _first_bytes(type_name: str) -> re.Pattern[bytes]:
    """Finds a byte that may begin a field that is known by its content, or any where no field is."""
    table = fields(type_name)
    known = [tag for tag, field in table.items() if field.type] if type_name != "MetaInfoDef" else table
    tags = {tag & 0x7F | (0x80 if tag > 0x7F else 0) for tag in known}
    return re.compile(b"[" + b"".join(b"\\x%02x" % tag for tag in sorted(tags)) + b"]")


class TooManyPartsError(Exception):
    """There are more parts than any model has, so that decoding them takes far more memory than their bytes."""


class Framing:
    """Reads lengths and judges what stands at a position of `data`; raises nothing on damage.

    The work of all calls together is bounded: when it is used up, nothing is found any more (`exhausted`).
    So is the number of parts that `is_clean` and `weigh` come across: beyond it they raise TooManyPartsError.
    """

    def __init__(self, data: bytes, cancel: threading.Event | None) -> None:
        self.data = data
        self._parts_left = _MIN_PARTS + len(data) // _BYTES_PER_PART
        self._plain_left = _MIN_PLAIN
        self._cancel = cancel
        self._steps = _MAX_STEPS
        self._check_at = _MAX_STEPS

    @property
    def exhausted(self) -> bool:
        """Whether no more is looked for."""
        return self._steps <= 0

    def step(self) -> bool:
        """Uses up one step of the work; whether there are more."""
        self._steps -= 1
        if self._steps < self._check_at:
            self._check_at -= _CHECK_EVERY
            self.check()
        return self._steps > 0

    def check(self) -> None:
        """Raises:
        Cancelled: the work was cancelled.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def varint(self, position: int, end: int) -> tuple[int, int] | None:
        """A number and where it ends; None where it runs past `end` or is too long."""
        value = shift = 0
        while position < end and shift < 70:
            byte = self.data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        return None

    def field(self, position: int, end: int) -> tuple[int, int, int] | None:
        """Tag, begin and end of what a field holds; the end may lie past `end`. None where it is no field."""
        tag = self.varint(position, end)
        if tag is None or tag[0] < 8 or tag[0] >= 1 << 32:
            return None
        value, start = tag
        wire_type = value & 7
        if wire_type == LENGTH:
            length = self.varint(start, end)
            return None if length is None else (value, length[1], length[1] + length[0])
        if wire_type == VARINT:
            number = self.varint(start, end)
            return None if number is None else (value, start, number[1])
        if wire_type in (FIXED32, FIXED64):
            return value, start, start + (4 if wire_type == FIXED32 else 8)
        return None

    def run(self, place: tuple[int, Field], position: int, end: int) -> tuple[int, int, int]:
        """Steps over nodes or functions, at most 16 MiB; where it stopped, the last one's place or -1, how many.

        Raises:
            TooManyPartsError: a large one has more parts than any model has.
        """
        data = self.data
        tag = place[0]
        limit = position + _RUN
        previous = -1
        count = 0
        while position + 1 < end and data[position] == tag and position < limit:
            length = data[position + 1]
            start = position + 2
            if length >= 0x80:
                found = self.varint(position + 1, end)
                if found is None:
                    break
                length, start = found
            stop = start + length
            if stop > end or (length and data[start] not in _FIRST):
                break
            if length > _HEAVY:
                self.weigh(place[1].type, start, stop)
            previous, position = position, stop
            count += 1
        return position, previous, count

    def _count(self, parts: int) -> None:
        self._parts_left -= parts
        self._plain_left += _PLAIN_PER_PART * parts
        if self._parts_left < 0:
            raise TooManyPartsError

    def _count_plain(self) -> None:
        self._plain_left -= 1
        if self._plain_left < 0:
            raise TooManyPartsError
        if self._plain_left % _CHECK_EVERY == 0:
            self.check()

    def weigh(self, kind: str, position: int, end: int, depth: int = 0) -> None:
        """Counts the parts of a message that nobody has looked through, as far as it can be read.

        A small one cannot have too many, since each has two bytes at least.

        Raises:
            TooManyPartsError: there are more than any model has.
            Cancelled: the work was cancelled.
        """
        if len(self.data) <= LIGHT:
            return
        table = fields(kind)
        place = place_of(kind)
        weight = _WEIGHTS.get(kind, 1)
        while position < end:
            if place is not None and not place[1].message:
                self.check()
                position, _, count = self.run(place, position, end)
                self._count(weight * count)
                if count:
                    continue
            found = self.field(position, end)
            if found is None or found[2] > end:
                return
            field = table.get(found[0])
            if field is not None and (field.message or (field.repeated and field.wire_type == LENGTH)):
                self._count(weight)
                if field.message and field.type != "Entry" and depth < _MAX_DEPTH:
                    self.weigh(field.type, found[1], found[2], depth + 1)
            else:
                self._count_plain()
            position = found[2]

    def is_clean(self, kind: str, position: int, end: int) -> bool:
        """Whether a container that protobuf accepts holds nothing else than TensorFlow's message does.

        A wrong length or tag leaves fields there that no writer writes.

        Raises:
            TooManyPartsError: there are more than any model has.
        """
        table = fields(kind)
        place = place_of(kind)
        weight = _WEIGHTS.get(kind, 1)
        last = 0
        while position < end and self.step():
            if place is not None and not place[1].message:
                self.check()
                position, _, count = self.run(place, position, end)
                self._count(weight * count)
                if count:
                    continue
            found = self.field(position, end)
            field = table.get(found[0]) if found is not None else None
            # GraphDef.debug_info (5) lies in a file of its own; one byte makes it of a node.
            if found is None or field is None or found[2] > end or (kind == "GraphDef" and not field.known):
                return False
            if field.number == last and not field.repeated:
                return False
            last = field.number
            self._count(1)
            if field.message and field.type in CHECKED:
                if not self.is_clean(field.type, found[1], found[2]):
                    return False
            elif field.message and field.type != "Entry":
                self.weigh(field.type, found[1], found[2])
            position = found[2]
        return position >= end

    def looks_like(self, kind: str, start: int, end: int, depth: int = 0) -> bool:
        """Whether the content [start, end) begins as a message of that type does; an empty one may be any."""
        if not kind or start == end:
            return True
        if kind == "NodeDef":
            return self._begins_with(start, end, (0x0A, 0x12))
        if kind == "Entry":
            key = self.field(start, end)
            if key is None or key[0] not in (0x0A, 0x12) or key[2] > end:
                return False
            value = key if key[0] == 0x12 or key[2] == end else self.field(key[2], end)
            return value is not None and value[2] == end
        found = self.field(start, end)
        if found is None or found[2] > end:
            return False
        field = fields(kind).get(found[0])
        if field is None or (kind == "FunctionDef" and found[0] != 0x0A):
            return False
        return depth >= _MAX_LOOKS or self.looks_like(field.type, found[1], found[2], depth + 1)

    def _begins_with(self, start: int, end: int, tags: tuple[int, ...]) -> bool:
        for tag in tags:
            found = self.field(start, end)
            if found is None or found[0] != tag or found[1] == found[2] or found[2] > end:
                return False
            start = found[2]
        return True

    def goes_on(self, kind: str, position: int, end: int, least: int = _CHAIN) -> bool:
        """Whether at least so many fields of a container of that type follow, or it ends exactly here."""
        return position == end or self._chain(kind, position, end, least=least)

    def _chain(self, kind: str, position: int, end: int, *, cut: bool = False, least: int = _CHAIN) -> bool:
        table = fields(kind)
        last = 0
        for _ in range(least):
            found = self.field(position, end) if self.step() else None
            if found is None or found[2] > end:
                return False
            field = table.get(found[0])
            if field is None or (field.place and found[1] == found[2] and not field.message):
                return False
            if field.number == last and not field.repeated:
                return False
            last = field.number
            if not self.looks_like(field.type, found[1], found[2]):
                return False
            position = found[2]
            if position == end:
                return not cut
        return True

    def natural_end(self, kind: str, position: int, end: int) -> int:
        """Where a message of that type that begins here stops being one; at most `end`."""
        table = fields(kind)
        last = 0
        while position < end:
            found = self.field(position, end) if self.step() else None
            if found is None or found[2] > end:
                break
            field = table.get(found[0])
            if field is None or field.number < last or (field.number == last and not field.repeated):
                break
            if field.type and not self.looks_like(field.type, found[1], found[2]):
                break
            last = field.number
            position = found[2]
        return position

    def next_chain(self, kind: str, position: int, end: int, *, cut: bool) -> int:
        """The next position from which fields of a container of that type follow; `end` where there is none.

        Where the container is cut off it proves nothing that they fill it to its end.
        """
        search = _first_bytes(kind).search
        while self.step():
            found = search(self.data, position, end)
            if found is None:
                break
            if self._chain(kind, found.start(), end, cut=cut):
                return found.start()
            position = found.start() + 1
        return end

    def reframed(self, parent: str, kind: str, position: int, end: int) -> tuple[int, int] | None:
        """Begin and end of a message of that type whose tag stands at `position`, by its content, not its length."""
        for start in range(position + 2, min(position + 7, end)):
            if self.looks_like(kind, start, end) or kind == "Entry":
                stop = self.natural_end(kind, start, end)
                if stop > start and self.goes_on(parent, stop, end):
                    return start, stop
        return None
