"""Details of what is stored: the model as a whole, scopes, objects, checkpoint keys and checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint, checkpoint_info
from tfexplore.core.detail import Block, Detail, Line, block, fact
from tfexplore.core.detail_files import keras_lines
from tfexplore.core.detail_values import statistics_block
from tfexplore.core.items import Cancel
from tfexplore.core.shapes import format_shape
from tfexplore.core.slots import named_slots, slots, value_key
from tfexplore.core.subjects import (
    CheckpointSubject,
    FunctionSubject,
    KeySubject,
    ModelSubject,
    NodeSubject,
    NoteSubject,
    ObjectSubject,
    ScopeSubject,
    SectionSubject,
    VariableSubject,
)
from tfexplore.core.summary import summary, timestamp
from tfexplore.core.tensor_source import KeySource
from tfexplore.core.values import format_rows
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.formats.bundle_values import TensorValue

# A tensor of up to this many bytes is read as a whole for its preview, and so checked.
_WHOLE = 1 << 20
_ROWS, _COLUMNS = 8, 5
# Behind what order and shape tell, where no reference does.
INFERRED = " (inferred)"


def model(subject: ModelSubject, cancel: Cancel) -> Detail:
    """The model as a whole."""
    found = subject.model
    # What takes time to find stands under the heading Notes.
    facts = summary(found, linted=False, cancel=cancel)
    lines = [fact("path", found.path), fact("kind", found.kind_name)]
    if found.meta_graphs:
        lines += [
            fact("written by", f"TensorFlow {facts['writer']}" if facts["writer"] else "not stored"),
            fact("tag-sets", "; ".join(",".join(tags) or "(no tags)" for tags in facts["tag_sets"])),
            fact("signatures", f"{facts['signatures']:,}"),
        ]
    lines += [
        fact("variables", f"{facts['variables']:,}"),
        fact("parameters", f"{facts['parameters']:,}"),
        fact("bytes", text.size(facts["bytes"])),
    ]
    if found.meta_graphs:
        lines.append(fact("nodes", f"{facts['nodes']:,}"))
        lines.append(fact("functions", f"{facts['functions']:,} with {text.plural(facts['function_nodes'], 'node')}"))
    sizes = (
        Line(text.label(scope["name"]), f"{scope['parameters']:,} · {text.size(scope['bytes'])}")
        for scope in facts["scopes"]
    )
    remarks = (Line("", text.visible(sentence)) for sentence in facts["notes"])
    name = os.path.basename(os.path.abspath(found.path))
    blocks = (Block("", tuple(lines)), *block("notes", remarks), *block("parameters by scope", sizes))
    return Detail(text.label(name), found.kind_name, blocks)


def section(subject: SectionSubject, cancel: Cancel) -> Detail:
    """A heading of the tree."""
    return Detail(text.label(subject.name), "Section", (Block("", (Line("", subject.sentence),)),))


def scope(subject: ScopeSubject, cancel: Cancel) -> Detail:
    """A scope: how much lies below."""
    lines = [fact("below", text.plural(subject.count, subject.what))]
    if subject.parameters is not None and subject.nbytes is not None:
        lines += [fact("parameters", text.count(subject.parameters)), fact("bytes", text.size(subject.nbytes))]
    return Detail(text.label(subject.name), "Scope", (Block("", tuple(lines)),))


def note(subject: NoteSubject, cancel: Cancel) -> Detail:
    """A sentence about the model."""
    return Detail("Note", "Note", (Block("", (Line("", text.visible(subject.sentence)),)),))


# -- checkpoint keys --


def key(subject: KeySubject, cancel: Cancel) -> Detail:
    """A checkpoint key: dtype, shape, place on disk, the object that keeps it, a corner of its values."""
    checkpoint = subject.checkpoint
    stored = checkpoint.stored(subject.key)
    lines = [
        fact("shape", format_shape(stored.shape)),
        fact("dtype", dtypes.name(stored.dtype)),
        fact("bytes", text.size(stored.nbytes)),
    ]
    if subject.meta_graph is not None:
        owner = subject.meta_graph
        for variable in owner.variables:
            if variable.key == subject.key:
                lines.append(fact("variable", variable.name, VariableSubject(owner, variable)))
                lines += _node_lines(owner, owner.node_of(variable))
    try:
        objects = checkpoint.objects
        node_id = checkpoint.object_of_key.get(subject.key)
    except ModelError:
        objects, node_id = None, None
    if objects is not None and node_id is not None:
        lines.append(fact("object", objects.path(node_id), ObjectSubject(objects, node_id, checkpoint=checkpoint)))
    blocks = (
        Block("", tuple(lines)),
        *stored_blocks(checkpoint, subject.key, cancel),
        *slot_blocks(checkpoint, subject.key, subject.meta_graph),
    )
    return Detail(text.label(subject.key), "Checkpoint key", blocks)


def _node_lines(owner: MetaGraph, name: str | None) -> list[Line]:
    """The node of a variable in the main graph."""
    if name is None:
        return []
    position = owner.graph.find(name)
    return [fact("node", name, None if position is None else NodeSubject(owner, owner.graph, None, position))]


def slot_blocks(checkpoint: Checkpoint, key: str, meta_graph: MetaGraph | None) -> list[Block]:
    """What optimizers keep about the variable of a key, or whose slot it holds; what no reference tells is marked."""
    lines: list[Line] = []

    def add(label: str, other: str | None, inferred: bool) -> None:
        if other is not None and checkpoint.has(other):
            label = f"{text.label(label)}{INFERRED if inferred else ''}"
            lines.append(Line(label, text.label(other), KeySubject(checkpoint, other, meta_graph)))

    try:
        objects = checkpoint.objects
        if objects is None:
            for name, other in named_slots(checkpoint, key):
                add(name, other, True)
        elif (node_id := checkpoint.object_of_key.get(key)) is not None:
            known = slots(objects, checkpoint)
            for slot in known.of.get(node_id, ()):
                add(slot.name, value_key(objects, slot.slot), slot.inferred)
            if (owner := known.owner.get(node_id)) is not None:
                add("slot of", value_key(objects, owner.original), owner.inferred)
    except ModelError:  # a note says what is damaged
        return []
    return block("slot variables", lines)


def stored_blocks(checkpoint: Checkpoint, name: str, cancel: Cancel) -> list[Block]:
    """Where a key's value lies, its statistics, and a corner of it with the state of its checksum.

    Raises:
        CorruptError: the key's entry is damaged.
    """
    stored = checkpoint.stored(name)
    num_shards = checkpoint.bundle.num_shards
    places = (
        Line(
            f"slice {spec}" if spec else "shard",
            f"shard {shard} of {num_shards}, {text.size(nbytes)} at byte {offset:,}" if spec
            else f"{shard} of {num_shards}, {nbytes:,} bytes at byte {offset:,}",
        )
        for spec, shard, offset, nbytes in stored.parts
    )  # fmt: skip
    value = _value_block(checkpoint, name)  # first: it says where the files are others by now
    statistics = statistics_block(KeySource(checkpoint, name), cancel)
    return [*block("on disk", places, len(stored.parts)), *statistics, value]


def _value_block(checkpoint: Checkpoint, name: str) -> Block:
    restarts = before = checkpoint.restarts
    while True:
        try:
            value, whole = _corner(checkpoint, name)
            break
        except ModelError as error:
            return Block("value", (Line("", text.visible(str(error))),))
        except UsageError:
            # The files were rewritten under the box, and the value has another shape now.
            if checkpoint.restarts == before:
                raise
            before = checkpoint.restarts
    rows = format_rows(value.array, rows=_ROWS, columns=_COLUMNS)
    lines = [Line("checksum", _checksum_text(value.checksum, whole))]
    if checkpoint.restarts != restarts:
        lines.append(Line("", "The checkpoint was rewritten since it was opened: this is its value now."))
    return Block("value", (*lines, *(Line("", row, columns=True) for row in rows)))


def _corner(checkpoint: Checkpoint, name: str) -> tuple[TensorValue, bool]:
    """A small value, or a corner of a large one; and whether it is the whole value."""
    stored = checkpoint.stored(name)
    if stored.nbytes <= _WHOLE:
        return checkpoint.read(name, limit=4 * _WHOLE), True
    rank = len(stored.shape)
    counts = [1] * max(0, rank - 2) + [_ROWS + 1, _COLUMNS + 1][max(0, 2 - rank) :]
    counts = [min(count, size) for count, size in zip(counts, stored.shape, strict=True)]
    return checkpoint.read(name, [0] * rank, counts, limit=4 * _WHOLE), False


def _checksum_text(checksum: str, whole: bool) -> str:
    if checksum == "bad":
        return "BAD: the stored bytes are not what was written"
    if checksum == "unverified":
        return "unverified: its place in the index is damaged" if whole else "unverified: only this corner was read"
    return checksum


# -- objects and checkpoints --


def object_(subject: ObjectSubject, cancel: Cancel) -> Detail:
    """An object: kind, attributes, values, slot variables."""
    objects = subject.objects
    found = objects.object(subject.node_id)

    def to(node_id: int) -> ObjectSubject:
        return ObjectSubject(objects, node_id, subject.meta_graph, subject.checkpoint)

    lines = [fact("kind", found.kind.replace("_", " ")), fact("id", found.id)]
    if found.label:
        lines.append(fact("is", found.label))
    owner = subject.meta_graph
    if owner is not None:
        lines += keras_lines(owner, found.id, cancel)
        variables = (variable for variable in owner.variables if variable.object_id == found.id)
        lines += [fact("variable", variable.name, VariableSubject(owner, variable)) for variable in variables]
        if found.kind == "function":
            names = found.label.split(", ")
            lines += [
                fact("function", name, FunctionSubject(owner, name)) for name in names if owner.functions.get(name)
            ]
    checkpoint = subject.checkpoint
    values = []
    for part in found.tensors:
        if checkpoint is not None and checkpoint.has(part.key):
            values.append(fact(part.name, part.key, KeySubject(checkpoint, part.key)))
        else:
            values.append(fact(part.name, f"{part.key} (not in this checkpoint)"))
    children = (fact(name, objects.object(child).kind.replace("_", " "), to(child)) for name, child in found.children)
    dangling = (
        fact(ref.name, f"object {ref.target:,}, which does not exist") for ref in objects.iter_dangling(found.id)
    )
    slots = (
        Line(text.label(slot.name), f"of {text.label(objects.path(slot.original) or '?')}", to(slot.slot))
        for slot in found.slots
    )
    blocks = (
        Block("", tuple(lines)),
        *block("values", values),
        *block("slot variables", slots),
        *block("attributes", children),
        *block("attributes that lead nowhere", dangling),
    )
    return Detail(text.label(objects.path(found.id) or f"object {found.id}"), "Object", blocks)


def checkpoint(subject: CheckpointSubject, cancel: Cancel) -> Detail:
    """One checkpoint of a training directory: step, time, size."""
    file = subject.file
    info = checkpoint_info(file.prefix, latest=file.latest, saved_at=file.saved_at)
    lines = [
        fact("prefix", info.prefix),
        fact("step", "not in the name" if info.step is None else f"{info.step:,}"),
        fact("saved at", timestamp(info.saved_at)),
        fact("latest", "yes" if info.latest else "no"),
    ]
    if info.problem is not None:
        lines.append(Line("", text.visible(info.problem)))
    if info.keys is not None:
        lines += [
            fact("keys", f"{info.keys:,}"),
            fact("bytes", None if info.nbytes is None else text.size(info.nbytes)),
            fact("shards", f"{info.shards:,}"),
        ]
    if info.missing_shards:
        lines.append(fact("missing", ", ".join(f"shard {shard}" for shard in info.missing_shards[:20])))
    return Detail(text.label(os.path.basename(info.prefix)), "Checkpoint", (Block("", tuple(lines)),))


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {
    ModelSubject: model,
    SectionSubject: section,
    ScopeSubject: scope,
    NoteSubject: note,
    KeySubject: key,
    ObjectSubject: object_,
    CheckpointSubject: checkpoint,
}
