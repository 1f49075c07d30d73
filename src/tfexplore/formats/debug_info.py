"""`debug/saved_model_debug_info.pb`: where in the source each node was defined (GraphDebugInfo).

Source: tensorflow/core/framework/graph_debug_info.proto. A name is `node@function`; of a main graph's node `node` or
`node@`. Two generations: `traces` holds whole stacks by name; `name_to_trace_id` leads to `traces_by_id`, whose frames
lie in `frames_by_id`. Where both know a name, `traces` counts, as in TensorFlow's own LoadTracesFromDebugInfo.

The file may be larger than the model, so only the places of its entries are kept, and a stack is read when it is
asked for.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

from tfexplore.errors import Cancelled, CorruptError, ModelError
from tfexplore.formats.fields import MAX_FIELD, Source, iter_fields
from tfexplore.formats.proto import DecodeError, lean

FILE_NAME = "debug/saved_model_debug_info.pb"
# Names, stacks and frames whose places are kept, about 130 bytes each; and frames and characters of one stack.
MAX_ENTRIES = 1_000_000
MAX_FRAMES = 1_000
MAX_STACK = 4 << 20


class Frame(NamedTuple):
    """One frame of a stack, strings as stored; `file` is None where its index leads nowhere."""

    file: bytes | None
    line: int
    function: bytes
    code: bytes


class DebugInfo:
    """Where the entries of one GraphDebugInfo lie.

    Args:
        source: the serialized message; only read here.
        cancel: ends the reading early.

    Attributes:
        damaged: a sentence for what cannot be read; names that come before it are known.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """

    def __init__(self, source: Source, cancel: threading.Event | None = None) -> None:
        self.path = source.path
        self.damaged: tuple[str, ...] = ()
        self._files = array("Q")
        # Places of entries, as (start << 20 | length). By hash: the names themselves may take more than there is room.
        self._traces: dict[int, int] = {}
        self._ids: dict[int, int] = {}
        self._traces_by_id: dict[int, int] = {}
        self._frames_by_id: dict[int, int] = {}
        bad: list[int] = []
        try:
            self._index(source, cancel, bad)
        except ModelError as error:
            self.damaged = (str(error),)
        if bad:
            what = f"{len(bad):,} entries of the GraphDebugInfo cannot be read, the first"
            self.damaged += (str(CorruptError(what, path=self.path, offset=bad[0])),)

    def _index(self, source: Source, cancel: threading.Event | None, bad: list[int]) -> None:
        fields = lean("GraphDebugInfo").DESCRIPTOR.fields_by_name
        number_of_files = fields["files"].number
        named = {
            fields["traces"].number: (self._traces, lean("GraphDebugInfo.TracesEntry").FromString),
            fields["name_to_trace_id"].number: (self._ids, lean("GraphDebugInfo.NameToTraceIdEntry").FromString),
        }
        numbered = {
            fields["traces_by_id"].number: (self._traces_by_id, lean("GraphDebugInfo.TracesByIdEntry").FromString),
            fields["frames_by_id"].number: (self._frames_by_id, lean("GraphDebugInfo.FramesByIdEntry").FromString),
        }
        count = 0
        for field in iter_fields(source, "GraphDebugInfo", cancel):
            count += 1
            if count > MAX_ENTRIES:
                raise CorruptError(f"only the first {MAX_ENTRIES:,} entries of the GraphDebugInfo are read",
                                   path=self.path, offset=field.start)  # fmt: skip
            if field.length >= MAX_FIELD or field.data is None:
                bad.append(field.start)
                if field.number == number_of_files:
                    self._files.append(field.start << 20)  # without a name: the others keep their numbers
                continue
            place = field.start << 20 | field.length
            if field.number == number_of_files:
                self._files.append(place)
                continue
            try:
                if field.number in named:
                    places, decode = named[field.number]
                    places[hash(decode(field.data).key)] = place
                elif field.number in numbered:
                    places, decode = numbered[field.number]
                    places[decode(field.data).key] = place
            except DecodeError:
                bad.append(field.start)

    def __len__(self) -> int:
        """How many names have a stack."""
        return len(self._traces.keys() | self._ids.keys())

    def trace(self, source: Source, name: bytes, cancel: threading.Event | None = None) -> tuple[Frame, ...] | None:
        """The stack of a name, in stored order (outermost first), at most `MAX_FRAMES` and `MAX_STACK` bytes of it.

        Args:
            source: the same bytes that this was made from.
            name: `node@function`.
            cancel: ends the reading early.

        Returns:
            None where the name has no stack, or it cannot be read; frames that cannot be read are left out.

        Raises:
            CorruptError: the file became shorter.
            Cancelled: `cancel` was set meanwhile.
        """
        stack = self._named(source, self._traces, "TracesEntry", name)
        if stack is not None:
            return self._frames(source, stack.value, cancel)
        found = self._named(source, self._ids, "NameToTraceIdEntry", name)
        if found is None:
            return None
        stack = _entry(source, self._traces_by_id.get(found.value), "TracesByIdEntry")
        return None if stack is None else self._frames(source, stack.value, cancel)

    def _named(self, source: Source, places: dict[int, int], kind: str, name: bytes) -> Any | None:
        entry = _entry(source, places.get(hash(name)), kind)
        return entry if entry is not None and entry.key == name else None

    def _frames(self, source: Source, stack: Any, cancel: threading.Event | None) -> tuple[Frame, ...]:
        """Frames by id come first, then those that the stack holds itself, as TensorFlow has it."""
        found: list[Frame] = []
        names: dict[int, bytes | None] = {}
        left = MAX_STACK
        for message in self._messages(source, stack):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            index = message.file_index
            if index not in names:
                names[index] = self._file(source, index)
            frame = Frame(names[index], message.line, message.func, message.code)
            left -= len(frame.file or b"") + len(frame.function) + len(frame.code)
            if left < 0:
                break
            found.append(frame)
        return tuple(found)

    def _messages(self, source: Source, stack: Any) -> Iterator[Any]:
        """The messages of the frames, each read once: a recursion has the same one many times."""
        entries: dict[int, Any] = {}
        count = 0
        for frame_id in stack.frame_id[:MAX_FRAMES]:
            if frame_id not in entries:
                entries[frame_id] = _entry(source, self._frames_by_id.get(frame_id), "FramesByIdEntry")
            entry = entries[frame_id]
            if entry is not None:
                count += 1
                yield entry.value
        yield from stack.file_line_cols[: MAX_FRAMES - count]

    def _file(self, source: Source, index: int) -> bytes | None:
        if not 0 <= index < len(self._files):
            return None
        place = self._files[index]
        return source.pread(place >> 20, place & (MAX_FIELD - 1))


def _entry(source: Source, place: int | None, kind: str) -> Any | None:
    if place is None:
        return None
    try:
        return lean(f"GraphDebugInfo.{kind}").FromString(source.pread(place >> 20, place & (MAX_FIELD - 1)))
    except DecodeError:  # the file changed meanwhile
        return None
