"""Details of what lies beside `saved_model.pb`, and what it tells of nodes and objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import MAX_LINES, Block, Detail, Line, block, fact
from tfexplore.core.items import Cancel
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.shapes import format_shape
from tfexplore.core.sidecars import Check, Sidecars
from tfexplore.core.subjects import FileSubject, ObjectSubject, Subject
from tfexplore.errors import ModelError
from tfexplore.formats import debug_info, fingerprint, keras_metadata
from tfexplore.formats.keras_metadata import KerasObject


def file(subject: FileSubject, cancel: Cancel) -> Detail:
    """A file: what it is, its size, and what it says where it says something of its own."""
    found, owner = subject.file, subject.meta_graph
    lines = [
        fact("what", found.what),
        fact("bytes", None if found.nbytes is None else f"{found.nbytes:,}"),
        fact("path", found.path),
    ]
    if found.problem:
        lines.append(fact("problem", found.problem))
    blocks = [Block("", tuple(lines))]
    if found.name == fingerprint.FILE_NAME:
        blocks += _fingerprint(owner.sidecars)
    elif found.name == keras_metadata.FILE_NAME:
        blocks += _keras(owner, cancel)
    elif found.name == debug_info.FILE_NAME:
        blocks += _debug_info(owner.sidecars, cancel)
    return Detail(text.label(found.name), "File", tuple(blocks))


def _sentences(found: Iterable[str]) -> Iterable[Line]:
    return (Line("", text.visible(sentence)) for sentence in found)


# -- fingerprint --


def _fingerprint(sidecars: Sidecars) -> list[Block]:
    found = sidecars.fingerprint
    if found is None:
        return block("problem", _sentences([sidecars.fingerprint_problem] if sidecars.fingerprint_problem else ()))
    # TensorFlow prints decimal numbers; logs of serving systems hold hexadecimal ones.
    lines = [fact(name, f"{value} (0x{value:016x})") for name, value in found.hashes.items()]
    if found.uuid:
        lines.append(fact("uuid", text.decode(found.uuid)))
    lines.append(fact("version", found.producer))
    checks = [
        fact("checkpoint_hash", _check(sidecars.checkpoint_check, "variables.index")),
        fact("saved_model_checksum", _check(sidecars.saved_model_check, "saved_model.pb")),
    ]
    return [Block("fingerprint", tuple(lines)), Block("checked", tuple(checks))]


def _check(check: Check, name: str) -> str:
    if check.matches is None:
        return f"not checked: {check.why}"
    return f"{'matches' if check.matches else 'does not match'} {name}"


# -- Keras --


def _keras(owner: MetaGraph, cancel: Cancel) -> list[Block]:
    found = owner.sidecars.keras(cancel)
    rows = (
        Line(text.label(text.decode(each.path)), _keras_row(each), _object(owner, each.node_id))
        for each in found.objects[: MAX_LINES + 1]
    )
    return [
        *block("problems", _sentences(found.damaged)),
        *block(f"{text.plural(len(found.objects), 'Keras object')}", rows, len(found.objects)),
    ]


def _keras_row(found: KerasObject) -> str:
    parts = [str(found.node_id), text.visible(found.class_name or text.decode(found.identifier))]
    if found.name:
        parts.append(text.visible(found.name))
    if found.dtype:
        parts.append(text.visible(found.dtype))
    if found.shape is not None:
        parts.append(format_shape(found.shape))
    if found.problem:
        parts.append(found.problem)
    return " · ".join(parts)


def _object(owner: MetaGraph, node_id: int) -> Subject | None:
    objects = owner.objects
    return ObjectSubject(objects, node_id, owner) if objects is not None and 0 <= node_id < len(objects) else None


def keras_lines(owner: MetaGraph, node_id: int, cancel: Cancel) -> list[Line]:
    """What Keras knows of an object of the SavedModel."""
    found = owner.sidecars.keras_object(node_id, cancel)
    if found is None:
        return []
    lines = [
        fact("Keras class", found.class_name or text.decode(found.identifier)),
        *([fact("Keras name", found.name)] if found.name else []),
        *([fact("Keras dtype", found.dtype)] if found.dtype else []),
        *([fact("Keras shape", format_shape(found.shape))] if found.shape is not None else []),
    ]
    return [*lines, fact("Keras metadata", found.problem)] if found.problem else lines


# -- debug info --


def _debug_info(sidecars: Sidecars, cancel: Cancel) -> list[Block]:
    found, damaged = sidecars.debug_info(cancel)
    lines = [] if found is None else [fact("names with a stack", f"{len(found):,}")]
    return [*block("debug info", lines), *block("problems", _sentences(damaged))]


def definition_blocks(owner: MetaGraph, node: str, function: str | None, cancel: Cancel) -> list[Block]:
    """Where in the source a node was made, where the model keeps that."""
    try:
        frames = owner.sidecars.defined_at(node, function, cancel)
    except ModelError as error:
        return block("defined at", _sentences([str(error)]))
    lines = (
        Line(
            text.label(text.decode(frame.function)),
            f"{'(unknown file)' if frame.file is None else text.label(text.decode(frame.file))}:{frame.line}"
            + (f"  {text.visible(text.decode(frame.code))}" if frame.code else ""),
        )
        for frame in frames or ()
    )
    return block("defined at", lines)


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {FileSubject: file}
