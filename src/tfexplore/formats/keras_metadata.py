"""`keras_metadata.pb`: what Keras 2 knows of the objects of a SavedModel (SavedMetadata, one JSON text an object).

Source: tensorflow/python/keras/protobuf/saved_metadata.proto. The node ids are those of the SavedObjectGraph.
"""

from __future__ import annotations

import json
import threading
from typing import Any, NamedTuple

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats.fields import iter_fields
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.proto import DecodeError, lean

FILE_NAME = "keras_metadata.pb"
# More than this is not read: bytes of the file and of one object's JSON, objects, sentences about damaged ones.
MAX_BYTES = 1 << 27
MAX_JSON = 1 << 22
MAX_OBJECTS = 50_000
MAX_DAMAGED = 20
_MAX_TEXT = 500
_MAX_DIGITS = 18


class KerasObject(NamedTuple):
    """One Keras object.

    Attributes:
        node_id: its place in the SavedObjectGraph.
        path: the way to it from the root, as Keras writes it (`root.layer-0`), as stored.
        identifier: `_tf_keras_layer` and the like, as stored.
        class_name, name, dtype: from the JSON; empty where it does not tell.
        shape: the shape of its input or build, sizes or None; None where nothing tells.
        trainable: None where nothing tells.
        problem: why the JSON cannot be read; empty where it can.
    """

    node_id: int
    path: bytes
    identifier: bytes
    class_name: str = ""
    name: str = ""
    dtype: str = ""
    shape: tuple[int | None, ...] | None = None
    trainable: bool | None = None
    problem: str = ""


class KerasMetadata(NamedTuple):
    """What the file holds: the objects that can be read, in stored order, and a sentence for each part that cannot."""

    objects: tuple[KerasObject, ...]
    damaged: tuple[str, ...]


def read_keras_metadata(path: str, cancel: threading.Event | None = None) -> KerasMetadata:
    """Reads `keras_metadata.pb`, object by object.

    Raises:
        NotFoundError, RefusedFileError: it cannot be opened.
        Cancelled: `cancel` was set meanwhile.
    """
    decode = lean("KerasSavedObject").FromString
    objects: list[KerasObject] = []
    damaged: list[str] = []

    def bad(what: str, offset: int) -> None:
        if len(damaged) < MAX_DAMAGED:
            damaged.append(str(CorruptError(what, path=path, offset=offset)))

    with RandomAccessFile(path) as file:
        try:
            for field in iter_fields(file, "SavedMetadata", cancel):
                if field.number != 1:
                    continue
                if len(objects) == MAX_OBJECTS or field.start > MAX_BYTES:
                    bad(f"only the first {len(objects):,} objects are read", field.start)
                    break
                if field.length > MAX_JSON:
                    bad(f"an object of {field.length:,} bytes is not read", field.start)
                    continue
                try:
                    data = field.data if field.data is not None else file.pread(field.start, field.length)
                    objects.append(_object(decode(data)))
                except DecodeError:
                    bad("an object is no Keras SavedObject", field.start)
        except ModelError as error:
            damaged.append(str(error))
    return KerasMetadata(tuple(objects), tuple(damaged))


def _object(message: Any) -> KerasObject:
    found = KerasObject(message.node_id, _cut(message.node_path), _cut(message.identifier))
    if not message.metadata:
        return found
    try:
        # A number of a million digits takes Python minutes.
        facts = json.loads(message.metadata, parse_int=_integer)
    except RecursionError:
        return found._replace(problem="its JSON nests too deep")
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are such
        return found._replace(problem="its JSON cannot be read")
    if not isinstance(facts, dict):
        return found._replace(problem="its JSON is no object")
    trainable = facts.get("trainable")
    return found._replace(
        class_name=_text(facts.get("class_name")),
        name=_text(facts.get("name")),
        dtype=_dtype(facts.get("dtype")),
        shape=_shape(facts),
        trainable=trainable if isinstance(trainable, bool) else None,
    )


def _cut(raw: bytes) -> bytes:
    return raw if len(raw) <= _MAX_TEXT else raw[:_MAX_TEXT] + "…".encode()


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    cut = value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"
    return cut.encode("utf-8", "replace").decode("utf-8")  # JSON may hold lone surrogates


def _dtype(value: Any) -> str:
    """A dtype is its name, or a policy: `{"class_name": "Policy", "config": {"name": "mixed_float16"}}`."""
    if isinstance(value, dict):
        config = value.get("config")
        return _text(config.get("name")) if isinstance(config, dict) else ""
    return _text(value)


def _shape(facts: dict[str, Any]) -> tuple[int | None, ...] | None:
    for name in ("shape", "batch_input_shape", "build_input_shape"):
        value = facts.get(name)
        if isinstance(value, dict):  # {"class_name": "TensorShape", "items": [null, 10]}
            value = value.get("items")
        if isinstance(value, list) and len(value) <= 64 and all(type(size) is int or size is None for size in value):
            return tuple(value)
    return None
