"""SavedModels, MetaGraphDefs and GraphDefs in text format, turned into what they are in binary form.

One pass, in linear time and without recursion. protobuf's own parser in Python reads 2 MB/s, wants the whole text
in memory and stops at the first thing it does not like; passing over unknown fields takes it quadratic time.
The tests hold this reader against it and against TensorFlow.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from tfexplore.errors import CorruptError
from tfexplore.formats import parts
from tfexplore.formats.text_fields import VARINTS, Field, FieldError, Message, PackedField, message, shown, varint
from tfexplore.formats.text_root import Root
from tfexplore.formats.text_skip import skip_braces, skip_field, skip_garbage, skip_list, skip_value
from tfexplore.formats.text_source import BEHIND, TextSource

# Messages whose fields stand for themselves: what cannot be read in one of them hides only that one field.
_CONTAINERS = frozenset(
    (
        "SavedModel",
        "MetaGraphDef",
        "MetaGraphDef.MetaInfoDef",
        "OpList",
        "GraphDef",
        "FunctionDefLibrary",
        "FunctionDef",
    )
)
# What may be counted or pointed at by position, so that a damaged one keeps its place.
_PLACED = frozenset((("GraphDef", "node"), ("FunctionDefLibrary", "function"), ("FunctionDef", "node_def")))
_NO_TAG = b"\xff"  # begins no field: there is no wire type 7
_NO_MESSAGE = b"\x01" + _NO_TAG
# No message within another field of a container has a field of these names: where one stands
# as far left as the container's other fields, a brace before it is missing.
_LANDMARKS = frozenset(
    b"node node_def function library versions meta_graphs meta_info_def graph_def saver_def collection_def"
    b" signature_def asset_file_def object_graph_def".split()
)
_MAX_DEPTH = 100  # protobuf's own limit for the binary form
_MAX_BYTES = 2**31 - 1  # protobuf refuses messages of 2 GiB and more
_MAX_DAMAGE = 100
# Messages that are read: an empty one has two bytes in binary form, the least of a writer's (a `dim`) has four.
_MIN_MESSAGES, _BYTES_PER_MESSAGE = 1_000_000, 3
_HOPELESS = 1000  # so many damaged places before anything good: it is something else
_MAX_DAMAGED_IN_A_ROW = 10_000

# A field as printers write it, up to its value or its opening brace, or a closing brace.
_USUAL = re.compile(
    rb"\s*(?:(\w+)(?:\s*:\s*(?:\"([^\"\\\n]*)\"(?=\s*[\w}>])|([\w.+-]+)(?=[\s}>]))|\s*(?::\s*)?([{<]))|([}>]))"
)
_NUMBERS = re.compile(rb"\s*([\w.+-]+)\s*,")  # an element of a list, and that another follows
_NAME = re.compile(rb"[A-Za-z_]\w*")
_BEFORE_BRACE = re.compile(rb"([ \t]*)(\w+)[ \t]*:?[ \t]*")
_CLOSING = {b"{": b"}", b"<": b">"}


class TextMessage(NamedTuple):
    """A message that was text.

    Attributes:
        data: the message in binary form, without what is damaged. A damaged node or function
            keeps its place as bytes that are no NodeDef or FunctionDef.
        damage: a sentence for each place that cannot be read, with its line; the first 100, and how many more.
    """

    data: bytes
    damage: tuple[CorruptError, ...]


def read_text(
    chunks: Iterable[bytes],
    root: Root,
    *,
    path: str,
    cancel: threading.Event | None = None,
    advance: Callable[[int], None] | None = None,
) -> TextMessage:
    """Reads a message in text format.

    Args:
        chunks: the text in pieces of any size.
        root: what it is, see `text_root`.
        path: the file, for errors.
        cancel: looked at for every 64 KiB of text.
        advance: is told how many bytes of text have been read, as they are.

    Raises:
        CorruptError: nothing of it can be read as such a message, it is larger than protobuf allows, or it has
            more messages than any model.
        Cancelled: `cancel` was set meanwhile.
    """
    reader = _Reader(TextSource(chunks, cancel, advance), message(root), path)
    reader.read()
    damage = reader.damage
    if damage and not reader.out:
        raise CorruptError(f"it is no {root} in text format: {damage[0].what}", path=path)
    if reader.num_damaged > len(damage):
        more = reader.num_damaged - len(damage)
        damage.append(CorruptError(f"{more:,} more places in the text cannot be read", path=path))
    if len(reader.out) > _MAX_BYTES:
        raise CorruptError(f"the {root} takes {len(reader.out):,} bytes, protobuf allows {_MAX_BYTES:,}", path=path)
    return TextMessage(bytes(reader.out), tuple(damage))


class _Frame(NamedTuple):
    """A message that is open.

    Attributes:
        message: what it is.
        start: where its bytes begin in what is written.
        closing: the bracket that ends it.
        field: the field that it is in the message around it; None for the root.
        listed: whether it is an element of a list, `name: [{...}, {...}]`.
        column: how far the field's name is indented; -1 where that says nothing.
    """

    message: Message
    start: int
    closing: bytes
    field: Field | None
    listed: bool
    column: int


class _Reader:
    """Attributes: out, the root's bytes; damage and num_damaged, the sentences and how many there would be."""

    def __init__(self, source: TextSource, root: Message, path: str) -> None:
        self._source = source
        self._path = path
        self._frame = _Frame(root, 0, b"", None, False, -1)
        self._seen = 0  # the bits of the open message's fields that must not come again
        self._around: list[tuple[_Frame, int]] = []
        self._num_messages = 0
        # The field of the open message that is being read, and what of it is at the position if it cannot be.
        self._current: Field | None = None
        self._next: Literal["nothing", "name", "value", "rest of a list", "garbage"] = "garbage"
        self.out = bytearray()
        self.damage: list[CorruptError] = []
        self.num_damaged = 0

    def read(self) -> None:
        """Reads the whole text, or up to where nothing can be made of it any more."""
        more = True
        size = in_a_row = 0  # what is written so far, and the damaged places since that became more
        while more:
            self._current, self._next = None, "garbage"
            self._read_usual()
            if self._num_messages > _MIN_MESSAGES + len(self.out) // _BYTES_PER_MESSAGE:
                raise parts.too_many(f"text, up to line {self._source.line:,},", len(self.out), path=self._path)
            try:
                more = self._read_any()
            except FieldError as error:
                self._recover(str(error))
                if self.num_damaged >= _HOPELESS and not self.out:
                    return
                in_a_row = in_a_row + 1 if len(self.out) == size else 0
                size = len(self.out)
                if in_a_row >= _MAX_DAMAGED_IN_A_ROW:
                    line = self._source.line
                    what = f"{in_a_row:,} places in a row cannot be read, and from here on nothing is"
                    self.damage[_MAX_DAMAGE - 1 :] = [CorruptError(f"line {line:,}: {what}", path=self._path)]
                    self._leave(None)
                    self._close_down_to(0)
                    return
        if self._around:
            self._report("the text ends before its braces are closed, so that what follows is missing")
            self._leave(None)
            self._close_down_to(0)

    # ---- one field ----

    def _read_usual(self) -> None:
        """Reads fields until one comes that is not spelled as printers do; the reader's inner loop."""
        source, around, out, match_usual = self._source, self._around, self.out, _USUAL.match
        text, pos = source.text, source.pos
        frame, seen = self._frame, self._seen
        fields = frame.message.fields
        closed = 0
        while (match := match_usual(text, pos)) is not None:
            kind = match.lastindex
            if kind == 5:
                if frame.listed or match[5] != frame.closing:
                    break
                _enclose(out, frame)
                closed += 1
                frame, seen = around.pop()
                fields = frame.message.fields
                pos = match.end()
                continue
            field = fields.get(match[1])
            if field is None or seen & field.bit:
                break
            if kind == 4:
                if not field.is_message or len(around) >= _MAX_DEPTH:
                    break
                around.append((frame, seen | field.bit))
                column = source.column(match.start(1)) if frame.message.name in _CONTAINERS else -1
                frame = _Frame(field.message, len(out), _CLOSING[match[4]], field, False, column)
                seen, fields = 0, frame.message.fields
            elif kind == 3:
                written = field.known.get(match[3])
                if written is None:
                    try:
                        written = field.scalar(match[3])
                    except FieldError:
                        break
                if written:
                    seen |= field.bit
                    out += written
            else:
                if not field.is_bytes:
                    break
                value = match[2]
                size = len(value)
                if size or field.presence:
                    seen |= field.bit
                    out += field.tag
                    out += VARINTS[size] if size < 1024 else varint(size)
                    out += value
            pos = match.end()
        source.pos = pos
        self._frame, self._seen = frame, seen
        self._num_messages += closed

    def _read_any(self) -> bool:
        """Reads one field, or what ends a message, in any spelling; False where the text ends."""
        source = self._source
        char = source.peek()
        if char in (b",", b";"):
            source.pos += 1
        elif char in (b"}", b">"):
            if char != self._frame.closing:
                raise FieldError(f"{shown(char)} closes nothing that is open")
            source.pos += 1
            self._close()
        elif char:
            self._read_field(char)
        return char != b""

    def _read_field(self, char: bytes) -> None:
        source, frame = self._source, self._frame
        column = -1
        if char == b"[" and frame.message.name == "Any":
            field: Field = PackedField(source.type_url())
        else:
            name = source.word()
            start = source.pos - len(name)
            known = frame.message.fields.get(name)
            if known is None or self._seen & known.bit:
                source.pos = start
                self._current = known
                self._next = "name" if _NAME.fullmatch(name) is not None else "garbage"
                if known is None:
                    raise FieldError(f"{frame.message.name} has no field named {shown(name)}")
                raise FieldError(f"{known.name!r} is there twice, or beside one that excludes it")
            self._current = field = known
            if frame.message.name in _CONTAINERS:
                column = source.column(start)
        self._next = "value"
        char = source.peek()
        if char == b":":
            source.pos += 1
            char = source.peek()
        elif not field.is_message:
            raise FieldError(f"expected ':' after {field.name!r}")
        if char == b"[" and field.repeated:
            source.pos += 1
            self._read_list(field, column)
        elif field.is_message:
            self._open(field, listed=False, column=column)
        else:
            self._read_scalar(field, "nothing")

    def _read_scalar(self, field: Field, after: Literal["nothing", "rest of a list"]) -> None:
        source = self._source
        char = source.peek()
        quoted = char in (b'"', b"'")
        if field.is_bytes != quoted and char:
            raise FieldError(f"expected {'a string' if field.is_bytes else 'a number or a name'}, found {shown(char)}")
        if quoted:
            self._next = after
            value = source.string()
            if not value and not field.presence:
                return
            self.out += field.tag
            self.out += varint(len(value))
            self.out += value
        else:
            word = source.word()
            if word == b"-":
                word += source.word()
            self._next = after
            written = field.scalar(word)
            if not written:
                return
            self.out += written
        self._seen |= field.bit

    def _read_list(self, field: Field, column: int) -> None:
        """The elements after `[`; of messages, up to the first one's opening brace."""
        source = self._source
        self._next = "rest of a list"
        if source.peek() == b"]":
            source.pos += 1
            return
        if field.is_message:
            self._open(field, listed=True, column=column)
            return
        while True:
            if not field.is_bytes:
                text, pos = source.text, source.pos
                while (match := _NUMBERS.match(text, pos)) is not None:
                    written = field.known.get(match[1])
                    self.out += written if written is not None else field.scalar(match[1])
                    pos = match.end()
                source.pos = pos
            self._read_scalar(field, "rest of a list")
            if self._list_ends():
                return

    def _list_ends(self) -> bool:
        """Goes past what follows an element of a list; False where another element does."""
        source = self._source
        char = source.peek()
        if char not in (b",", b"]"):
            raise FieldError(f"expected ',' or ']' in a list, found {shown(char)}")
        source.pos += 1
        return char == b"]"

    def _open(self, field: Field, *, listed: bool, column: int) -> None:
        source = self._source
        char = source.peek()
        closing = _CLOSING.get(char)
        if closing is None:
            raise FieldError(f"expected '{{' after {field.name!r}, found {shown(char)}")
        if len(self._around) >= _MAX_DEPTH:
            raise FieldError(f"messages lie more than {_MAX_DEPTH} deep in each other")
        source.pos += 1
        self._around.append((self._frame, self._seen | field.bit))
        self._frame, self._seen = _Frame(field.message, len(self.out), closing, field, listed, column), 0

    def _close(self) -> None:
        """Ends the open message, and goes on to the next one in its list."""
        frame = self._frame
        _enclose(self.out, frame)
        self._num_messages += 1
        self._frame, self._seen = self._around.pop()
        if frame.listed and frame.field is not None:
            self._current, self._next = frame.field, "rest of a list"
            if not self._list_ends():
                self._open(frame.field, listed=True, column=frame.column)

    # ---- what cannot be read ----

    def _report(self, what: str) -> None:
        self.num_damaged += 1
        if self.num_damaged <= _MAX_DAMAGE:
            self.damage.append(CorruptError(f"line {self._source.line:,}: {what}", path=self._path))

    def _recover(self, what: str) -> None:
        """Leaves the field that cannot be read out, and goes to where the next one begins."""
        self._report(what)
        source = self._source
        opened, column = self._leave(self._current)
        landmarks = self._landmarks(column)

        def is_landmark() -> bool:
            return self._resync(landmarks)

        if opened:
            skip_braces(source, opened, is_landmark if landmarks else None)
        elif self._next == "name":
            skip_field(source, is_landmark)
        elif self._next == "value":
            skip_value(source)
        elif self._next == "rest of a list":
            skip_list(source)
        elif self._next == "garbage":
            skip_garbage(source)

    def _leave(self, field: Field | None) -> tuple[int, int]:
        """Drops what is open within the innermost container: the field of it in which the position is, or `field`.

        Returns:
            How many braces were open in it, and how far its name is indented.
        """
        opened, column = 0, -1
        while self._frame.message.name not in _CONTAINERS:
            opened += 1
            _, start, _, field, _, column = self._frame
            del self.out[start:]
            self._frame, self._seen = self._around.pop()
        place = (self._frame.message.name, field.name if field is not None else "")
        if field is not None and place in _PLACED:
            self.out += field.tag + _NO_MESSAGE
        elif place == ("FunctionDef", "signature"):
            # Without it a function has no name: it is damaged as a whole.
            self.out += _NO_TAG
        return opened, column

    def _landmarks(self, column: int) -> dict[int, int]:
        """How deep the open containers lie, by how far their fields are indented."""
        found = {column: len(self._around)} if column >= 0 else {}
        inner = self._frame
        for depth in range(len(self._around) - 1, -1, -1):
            if inner.column >= 0:
                found.setdefault(inner.column, depth)
            inner = self._around[depth][0]
        return found

    def _resync(self, landmarks: dict[int, int]) -> bool:
        """Whether the brace at the position is that of a field of an open container; then goes back to its name."""
        source = self._source
        if source.text[source.pos - 1 : source.pos] in (b"{", b"<"):
            return False
        head = source.text[max(source.pos - BEHIND, 0) : source.pos]
        match = _BEFORE_BRACE.fullmatch(head, head.rfind(b"\n") + 1)
        depth = landmarks.get(len(match[1])) if match is not None else None
        if match is None or match[2] not in _LANDMARKS or depth is None:
            return False
        frame = self._frame if depth == len(self._around) else self._around[depth][0]
        if match[2] not in frame.message.fields:
            return False
        source.pos -= len(head) - match.start(2)
        self._close_down_to(depth)
        return True

    def _close_down_to(self, depth: int) -> None:
        """Ends the open messages that lie deeper, as they are."""
        while len(self._around) > depth:
            _enclose(self.out, self._frame)
            self._frame, self._seen = self._around.pop()


def _enclose(out: bytearray, frame: _Frame) -> None:
    """Makes the end of `out`, from the frame's start, a field of the message around it."""
    start, field = frame.start, frame.field
    assert field is not None
    size = len(out) - start
    out[start:start] = field.tag + (VARINTS[size] if size < 1024 else varint(size))
