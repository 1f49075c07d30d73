"""Reads what is left of a damaged SavedModel, MetaGraphDef or GraphDef.

protobuf refuses a whole message for one bad byte. Here a container is walked field by field: what is whole is
kept, what is not is named, and behind a break the next place is found from which fields follow again.
A damaged node, function or object keeps its place, so that counts and the ids of objects stay right.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfexplore.errors import CorruptError
from tfexplore.formats import parts, wire
from tfexplore.formats.framing import CONTAINERS, LENGTH, Field, Framing, TooManyPartsError, fields, place_of
from tfexplore.formats.proto import DecodeError, lean

# Ends the bytes of a part that is cut off, so that no decoder takes them for whole: no tag looks like this.
CUT = b"\x07\x07\x07\x07"
MAX_SENTENCES = 20
_MAX_DEPTH = 8
_RECOGNISED = ("MetaGraphDef", "FunctionDefLibrary", "SavedObjectGraph")
# Maps whose values are names, which nobody decodes: of a damaged one nothing is kept.
_TEXTS = ("FunctionDef.ret", "FunctionDef.control_ret", "MetaInfoDef.function_aliases")
# Bytes that are merged into a message at once, and are copied for that.
_CHUNK = 16 << 20
# Larger containers are looked through part by part only around a break.
_SMALL = 4 << 20
# Of more nodes than this only what breaks the framing is noticed when a file is opened: the others cost 1 ms for 2,000.
_MAX_CHECKED = 4096


def salvage(
    message_class: Any,
    data: bytes,
    *,
    path: str,
    what: str,
    offset: int | None = 0,
    cancel: threading.Event | None = None,
) -> tuple[Any, tuple[CorruptError, ...]]:
    """Decodes `data` as one message, or as much of it as can be read.

    A part whose content is damaged is kept as it is where its place counts (`GraphDef.node`,
    `FunctionDefLibrary.function`, `FunctionDef.node_def`: bytes that cannot be decoded; `SavedObjectGraph.nodes`:
    an empty object), else left out. Nothing is searched where protobuf accepts the message and
    it holds only what TensorFlow's message has.

    Args:
        message_class: a class of a container that `proto.lean` gave.
        data: the serialized message.
        path: the file it came from, for the errors.
        what: what it is, for the error ("SavedModel").
        offset: where `data` begins in the file; None where that is not known, because it is a part of what this
            function gave.
        cancel: ends the work early.

    Returns:
        The message, and an error for each part that is damaged, at most 21.

    Raises:
        CorruptError: nothing of it can be read, or it has so many parts that they take many times its size in memory.
        Cancelled: `cancel` was set.
    """
    try:
        return _salvage(message_class, data, path=path, what=what, offset=offset, cancel=cancel)
    except TooManyPartsError:
        raise parts.too_many(what, len(data), path=path) from None


def _salvage(
    message_class: Any, data: bytes, *, path: str, what: str, offset: int | None, cancel: threading.Event | None
) -> tuple[Any, tuple[CorruptError, ...]]:
    plain = None
    name = message_class.DESCRIPTOR.name
    framing = Framing(data, cancel)
    clean = framing.is_clean(name, 0, len(data))
    if not clean:
        framing = Framing(data, cancel)
        framing.weigh(name, 0, len(data))
    try:
        plain = message_class.FromString(data)
    except DecodeError:
        pass
    else:
        if clean and not _is_odd(plain):
            return plain, ()
    kept = data
    if offset is None:  # a part of a file that was read before, and may have been cut off here
        kept = kept.removesuffix(CUT).removesuffix(CUT)
    cut = len(kept) < len(data)
    walk = _Walk(kept, path, offset, cancel)
    message = message_class()
    walk.container(message, 0, len(kept), cut=cut, depth=0)
    if cut:
        walk.tell_cut(name)
    if plain is not None and not walk.damage:
        return plain, ()
    if not message.ListFields():
        return wire.decode(message_class, data, path=path, what=what, offset=offset), walk.sentences()
    return message, walk.sentences()


def _is_odd(message: Any) -> bool:
    """Whether a message that protobuf accepts holds what belongs to another field: a wrong length or tag does that.

    What is not its own begins a text with a tag, mostly 0x0a, which no name does.
    """
    name = message.DESCRIPTOR.name
    if name == "SavedModel":
        return not message.meta_graphs or any(map(_is_odd, message.meta_graphs))
    if name == "MetaGraphDef":
        keys = (entry.key for part in (message.collection_def, message.signature_def) for entry in part)
        return (
            not message.HasField("graph_def")
            or message.saver_def.filename_tensor_name.startswith(b"\n")
            or any(key.startswith(b"\n") for key in keys)
            or not all(part.filename for part in message.asset_file_def)
            or _is_odd(message.graph_def)
        )
    if name == "GraphDef":
        return _holds_others(message.node)
    return name == "FunctionDef" and _holds_others(message.node_def)


def _holds_others(nodes: Sequence[bytes]) -> bool:
    """Whether a node holds those behind it, which a length does that became larger: its last name is then a node."""
    if len(nodes) > _MAX_CHECKED:
        return False
    head = lean("NodeHead").FromString
    for node in nodes:
        try:
            if head(node).name.startswith(b"\n"):
                return True
        except DecodeError:
            continue
    return False


def damaged_nodes(nodes: Sequence[bytes]) -> list[int]:
    """Positions of the nodes whose bytes are no NodeDef as far as name and op go."""
    head = lean("NodeHead").FromString
    found = []
    for position, node in enumerate(nodes):
        try:
            head(node)
        except DecodeError:
            found.append(position)
    return found


def _cut_off(part: bytes) -> bytes:
    """The bytes of a part of which the end is missing, so that none takes them for whole."""
    marked = part + CUT
    try:
        lean("Entry").FromString(marked)
    except DecodeError:
        return marked
    return marked + CUT  # the first one filled up a field that lacked just so many bytes


class _Framed(NamedTuple):
    """Where the content of a field lies.

    Attributes:
        whole: whether tag and length are as they should be.
        lost: whether its end is not known, so that only the next field's place tells.
    """

    start: int
    stop: int
    whole: bool
    lost: bool = False


class _Walk:
    """One walk through damaged bytes; `damage` holds what was found, `more` how much else."""

    def __init__(self, data: bytes, path: str, offset: int | None, cancel: threading.Event | None) -> None:
        self.data = data
        self._view = memoryview(data)
        self._path = path
        self._offset = offset
        self._framing = Framing(data, cancel)
        self.damage: list[CorruptError] = []
        self._more = 0

    def sentences(self) -> tuple[CorruptError, ...]:
        """What was found, in the order of the file."""
        more = (CorruptError(f"{self._more:,} more parts are damaged", path=self._path),) if self._more else ()
        return (*self.damage, *more)

    def _tell(self, position: int, sentence: str) -> None:
        if len(self.damage) >= MAX_SENTENCES:
            self._more += 1
            return
        at = None if self._offset is None else self._offset + position
        self.damage.append(CorruptError(sentence, path=self._path, offset=at))

    def tell_cut(self, name: str) -> None:
        """Says that the end of a part is missing, where nothing else about it was said."""
        if not self.damage:
            self._tell(len(self.data), f"the end of a {name} is missing")

    # -- one container --

    def container(self, message: Any, start: int, end: int, *, cut: bool, depth: int) -> None:
        """Puts what is whole of [start, end) into `message`; `cut` tells that the container itself goes on."""
        name = message.DESCRIPTOR.name
        framing = self._framing
        place = place_of(name)
        position = kept = start
        previous = -1  # the last part, not yet suspected of a wrong length
        careful = end - start <= _SMALL or place is None or place[1].message

        while position < end and not framing.exhausted:
            framing.check()
            if not careful and place is not None:
                passed, last, _ = framing.run(place, position, end)
                if last >= 0:
                    position, previous = passed, last
                    if position - kept >= _CHUNK:
                        self._keep(message, kept, previous)
                        kept = previous
                    if not framing.goes_on(name, position, end):
                        # What cannot be read here may come from the last part's length.
                        position = previous
            if position >= end:
                break
            found = self._is_field(name, position, end)
            if found is None:
                tagged = self._mistagged(name, position, end)
                if tagged is None and previous >= kept and place is not None:
                    framed = self._suspect(name, place[1], previous, end)
                    if framed is not None:
                        self._keep(message, kept, previous)
                        self._part(message, place[1], previous, framed, cut=False, depth=depth)
                        position = kept = framed.stop
                        previous = -1
                        continue
                self._keep(message, kept, position)
                if tagged is not None:
                    field, framed = tagged
                    self._tell(position, f"{field.name} has a damaged tag")
                    self._part(message, field, position, framed, cut=cut, depth=depth)
                    kept = framed.stop
                else:
                    kept = self._broken(message, name, position, end, cut=cut)
                position = kept
                previous = -1
                continue
            field, begin, stop = found
            if field.wire_type != LENGTH:
                framing.step()
                position = stop
                continue
            field, framed = self._frame(name, field, position, begin, stop, end, cut=cut)
            if framed.whole and self._is_whole(message, field, framed):
                previous = position if field.place else -1
                position = framed.stop
                continue
            self._keep(message, kept, position)
            self._part(message, field, position, framed, cut=cut, depth=depth)
            position = kept = framed.stop
            previous = -1
        self._keep(message, kept, end)

    def _is_field(self, name: str, position: int, end: int) -> tuple[Field, int, int] | None:
        """The field that begins here, and where its content begins and stops; None where there is none.

        What has a length may claim more than is left.
        """
        found = self._framing.field(position, end)
        field = fields(name).get(found[0]) if found is not None else None
        if found is None or field is None or (field.wire_type != LENGTH and found[2] > end):
            return None
        return field, found[1], found[2]

    def _keep(self, message: Any, start: int, end: int) -> None:
        """Takes over bytes that hold whole fields of `message`."""
        if start >= end:
            return
        self._framing.weigh(message.DESCRIPTOR.name, start, end)
        try:
            message.MergeFromString(self._view[start:end])
        except DecodeError:
            self._tell(start, f"{message.DESCRIPTOR.name}: {end - start:,} bytes cannot be read")

    # -- where a field ends --

    def _frame(
        self, name: str, field: Field, position: int, start: int, stop: int, end: int, *, cut: bool
    ) -> tuple[Field, _Framed]:
        """Where the field's content really lies, and which field it is."""
        framing = self._framing
        kind = field.type
        if stop <= end:
            doubted = not field.known or (name == "MetaGraphDef" and kind != "GraphDef")
            if doubted or not framing.looks_like(kind, start, stop):
                other = self._retyped(name, start, stop)
                if other is not None and other != field:
                    self._tell(position, f"{other.name} is marked as {field.name}")
                    return other, _Framed(start, stop, False)
            if not kind or (not field.place and framing.goes_on(name, stop, end)):
                return field, _Framed(start, stop, True)
            inside = framing.natural_end(kind, start, stop)
            if field.place:
                if inside == stop:
                    return field, _Framed(start, stop, True)
                # A longer one may hold the parts behind it; an odd content between whole fields is its own affair.
                swollen = framing.looks_like(kind, *self._content(inside, end)) and framing.goes_on(name, inside, end)
                if not swollen and framing.goes_on(name, stop, end):
                    return field, _Framed(start, stop, True)
            elif inside == stop and framing.goes_on(name, stop, end, least=1):
                return field, _Framed(start, stop, True)
            else:
                farther = framing.natural_end(kind, start, end)
                if farther != stop and framing.goes_on(name, farther, end):
                    inside = farther
                elif inside == stop:
                    return field, _Framed(start, stop, True)
            if inside > start and framing.goes_on(name, inside, end):
                self._tell(position, self._wrong_length(field, stop - start, inside - start))
                return field, _Framed(start, inside, False)
        found = framing.reframed(name, kind, position, end) if kind else None
        too_long = f"{field.name} claims {stop - start:,} bytes where {max(end - start, 0):,} are left"
        if found is not None and not (cut and found[1] == end):
            at_end = stop > end and found[1] == end
            wrong = too_long if at_end else self._wrong_length(field, stop - start, found[1] - found[0])
            self._tell(position, wrong)
            return field, _Framed(*found, False)
        after = framing.next_chain(name, position + 1, end, cut=cut)
        if stop <= end and (stop == end or (field.place and after >= stop)):
            return field, _Framed(start, stop, True)
        self._tell(position, too_long if stop > end else f"{field.name} has a wrong length or content")
        if field.type in CONTAINERS and (cut or framing.looks_like(field.type, start, end)):
            return field, _Framed(min(start, end), end, False, lost=True)
        return field, _Framed(min(start, after), after, False, lost=True)

    def _content(self, position: int, end: int) -> tuple[int, int]:
        """What the field that begins here holds; nothing that looks like anything where there is none."""
        found = self._framing.field(position, end)
        return (end - 1, end) if found is None or found[2] > end else found[1:]

    def _wrong_length(self, field: Field, claimed: int, found: int) -> str:
        return f"{field.name} claims {claimed:,} bytes where its content has {found:,}"

    def _retyped(self, name: str, start: int, stop: int) -> Field | None:
        """The field of this container that such a content belongs to, where its own tag says another."""
        for field in self._candidates(name):
            if start < stop and self._framing.looks_like(field.type, start, stop):
                if self._framing.natural_end(field.type, start, stop) == stop:
                    return field
        return None

    def _candidates(self, name: str) -> list[Field]:
        """Fields whose content is known well enough to be told without the tag, the surest first."""
        known = fields(name).values()
        sure = [field for field in known if field.place or field.type == "GraphDef"]
        return sure + [field for field in known if field.type in _RECOGNISED]

    def _suspect(self, name: str, field: Field, position: int, end: int) -> _Framed | None:
        """The part before what cannot be read, where its length is what is wrong."""
        found = self._framing.field(position, end)
        if found is None:
            return None
        _, start, stop = found
        farther = self._framing.natural_end(field.type, start, end)
        if farther in (stop, start) or not self._framing.goes_on(name, farther, end):
            return None
        self._tell(position, self._wrong_length(field, stop - start, farther - start))
        return _Framed(start, farther, False)

    # -- what is damaged --

    def _mistagged(self, name: str, position: int, end: int) -> tuple[Field, _Framed] | None:
        """The field whose tag is damaged here: its content tells which it is."""
        framing = self._framing
        for field in self._candidates(name):
            # A tag that became longer, or a number before it that did, takes a byte of what follows.
            for begin in (position + 1, position, position + 2):
                length = framing.varint(begin, end) if begin < end else None
                if length is None:
                    continue
                start, stop = length[1], length[1] + length[0]
                if stop > end or start == stop or not framing.looks_like(field.type, start, stop):
                    continue
                if framing.natural_end(field.type, start, stop) == stop and framing.goes_on(name, stop, end):
                    return field, _Framed(start, stop, False)
        return None

    def _broken(self, message: Any, name: str, position: int, end: int, *, cut: bool) -> int:
        """Gets over a place where no field of the container begins; where to go on."""
        framing = self._framing
        found = framing.field(position, end)
        newest = max(field.number for field in fields(name).values())
        if found is not None and found[0] >> 3 > newest and framing.goes_on(name, found[2], end):
            return found[2]  # a field of a newer TensorFlow
        after = framing.next_chain(name, position + 1, end, cut=cut)
        self._tell(position, f"{name}: {after - position:,} bytes cannot be read")
        place = place_of(name)
        if place is not None and after < end and self.data[after] == place[0]:
            self._append_damaged(message, place[1], position, after)
        return after

    def _is_whole(self, message: Any, field: Field, framed: _Framed) -> bool:
        """Whether a field can be taken over as it is."""
        if field.type == "Entry":
            return self._framing.looks_like("Entry", framed.start, framed.stop)
        if not field.message:
            return True
        try:
            part = lean(field.type).FromString(self._view[framed.start : framed.stop])
        except DecodeError:
            return False
        if field.type not in CONTAINERS:
            return True
        return self._framing.is_clean(field.type, framed.start, framed.stop) and not _is_odd(part)

    def _part(self, message: Any, field: Field, position: int, framed: _Framed, *, cut: bool, depth: int) -> None:
        """Puts in what can be had of one field."""
        start, stop, _, lost = framed
        if field.type == "Entry":
            if framed.whole:
                self._tell(position, f"{field.name} has an entry that cannot be read")
            self._entry(message, field, start, stop)
        elif field.message and field.type in CONTAINERS and depth < _MAX_DEPTH:
            if field.repeated:
                inner = getattr(message, field.attribute).add()
            elif message.HasField(field.attribute):
                self._tell(position, f"{field.name} occurs twice")
                return
            else:
                inner = getattr(message, field.attribute)
                inner.SetInParent()
            self.container(inner, start, stop, cut=cut or lost, depth=depth + 1)
        elif field.message:
            self._atom(message, field, position, start, stop)
        elif field.place and lost:
            self._append_damaged(message, field, start, stop)
        elif field.place:
            getattr(message, field.attribute).append(self.data[start:stop])
        elif field.type:  # a container that stays bytes
            setattr(message, field.attribute, self.data[start:stop])

    def _atom(self, message: Any, field: Field, position: int, start: int, stop: int) -> None:
        """A message that is read whole or not at all."""
        target = getattr(message, field.attribute)
        try:
            part = lean(field.type).FromString(self._view[start:stop])
        except DecodeError:
            part = None
        if part is None:
            self._tell(position, f"{field.name} cannot be read")
        if field.repeated and (part is not None or field.place):
            target.add().CopyFrom(part or lean(field.type)())
        elif part is not None:
            target.CopyFrom(part)

    def _append_damaged(self, message: Any, field: Field, start: int, stop: int) -> None:
        """A part in its place that nobody takes for a whole one."""
        target = getattr(message, field.attribute)
        if field.message:
            target.add()
        else:
            target.append(_cut_off(self.data[start:stop]))

    def _entry(self, message: Any, field: Field, start: int, stop: int) -> None:
        """An entry of a map: where its key can be read, it stays, with a value that cannot."""
        found = self._framing.field(start, stop)
        if found is None or found[0] != 0x0A or found[2] > stop:
            return
        value = self._framing.field(found[2], stop)
        begins = value is not None and value[0] == 0x12
        whole = begins and value is not None and value[2] == stop
        if whole or field.name not in _TEXTS:
            rest = self.data[value[1] : stop] if begins and value is not None else b""
            key = self.data[found[1] : found[2]]
            getattr(message, field.attribute).add(key=key, value=rest if whole else _cut_off(rest))
