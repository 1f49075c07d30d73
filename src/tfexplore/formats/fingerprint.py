"""`fingerprint.pb`: hashes of a SavedModel's parts (FingerprintDef), which TensorFlow writes but does not enforce.

Source: tensorflow/core/protobuf/fingerprint.proto and tensorflow/cc/saved_model/fingerprinting.h. `checkpoint_hash` is
FarmHash's Fingerprint64 of the bytes of `variables.index`, 0 where there is none. `saved_model_checksum` is that of the
bytes of `saved_model.pb` in files of version 1; those of version 4 (TensorFlow 2.21) hash something else.
"""

from __future__ import annotations

from typing import NamedTuple

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats import wire
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.proto import lean
from tfexplore.formats.table_block import read_varint

FILE_NAME = "fingerprint.pb"
HASHES = (
    "saved_model_checksum",
    "graph_def_program_hash",
    "signature_def_hash",
    "saved_object_graph_hash",
    "checkpoint_hash",
)
_CHECKPOINT_HASH = 5
_FIXED = {1: 8, 5: 4}
# Five hashes, a version and a UUID take under 150 bytes.
MAX_BYTES = 1 << 16
# FarmHash has no way to hash a file piece by piece: a larger one is not checked.
MAX_HASHED = 1 << 27


class Fingerprint(NamedTuple):
    """What `fingerprint.pb` says.

    Attributes:
        hashes: 64-bit numbers by the names in `HASHES`; 0 where none is stored.
        uuid: tells two exports of equal content apart; empty in older files.
        producer: the version of the code that wrote it.
    """

    hashes: dict[str, int]
    uuid: bytes
    producer: int


def read_fingerprint(path: str) -> Fingerprint:
    """Reads `fingerprint.pb`.

    Raises:
        NotFoundError, RefusedFileError: it cannot be opened.
        CorruptError: it is empty, too large or no FingerprintDef.
    """
    with RandomAccessFile(path) as file:
        data = file.read_all(MAX_BYTES)
    if not data:
        raise CorruptError("the file is empty (0 bytes), expected a FingerprintDef", path=path)
    message = wire.decode(lean("FingerprintDef"), data, path=path, what="FingerprintDef")
    return Fingerprint({name: getattr(message, name) for name in HASHES}, message.uuid, message.version.producer)


def fingerprint64(path: str) -> int | None:
    """FarmHash's Fingerprint64 of a file's bytes; None where it has more than `MAX_HASHED`.

    Raises:
        NotFoundError, RefusedFileError: it cannot be opened.
        CorruptError: it became shorter meanwhile.
    """
    with RandomAccessFile(path) as file:
        if file.size > MAX_HASHED:
            return None
        data = file.read_all(MAX_HASHED)
    import farmhash

    found: int = farmhash.Fingerprint64(data)
    return found


def with_checkpoint_hash(data: bytes, checkpoint_hash: int, *, path: str) -> bytes:
    """A serialized FingerprintDef with another `checkpoint_hash`; all its other bytes stay, unknown fields too.

    Args:
        path: the file that holds `data`, for errors.

    Raises:
        CorruptError: it is no FingerprintDef.
    """
    from tfexplore.formats.table_writer import encode_varint

    def fail(what: str, at: int) -> ModelError:
        return CorruptError(f"no readable FingerprintDef: {what}", path=path, offset=at)

    field = encode_varint(_CHECKPOINT_HASH << 3) + encode_varint(checkpoint_hash)
    parts: list[bytes] = []
    position = 0
    place: int | None = None  # where the field goes that is not there yet
    found = False
    while position < len(data):
        start = position
        tag, position = read_varint(data, position, len(data), 32, fail)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            _, position = read_varint(data, position, len(data), 64, fail)
        elif wire_type == 2:
            length, position = read_varint(data, position, len(data), 64, fail)
            position += length
        elif wire_type in _FIXED:
            position += _FIXED[wire_type]
        else:
            raise fail(f"a field has the wire type {wire_type}", start)
        if not number or position > len(data):
            raise fail("a field runs past the end", start)
        if number == _CHECKPOINT_HASH and wire_type == 0:
            parts.append(field)
            found = True
            continue
        if number > _CHECKPOINT_HASH and place is None:
            place = len(parts)
        parts.append(data[start:position])
    if not found:
        parts.insert(len(parts) if place is None else place, field)
    return b"".join(parts)
