"""Details of what a MetaGraph holds: signatures, nodes, functions, variables, assets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import Block, Detail, Line, block, fact, tensor_text
from tfexplore.core.detail_stored import INFERRED, slot_blocks, stored_blocks
from tfexplore.core.feature_spec import default_text, input_specs
from tfexplore.core.items import Cancel
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.origins import arrivals, maker
from tfexplore.core.passing import graph_of
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import TensorInfo
from tfexplore.core.slots import slots
from tfexplore.core.subjects import (
    AssetSubject,
    FunctionSubject,
    KeySubject,
    MetaGraphSubject,
    NodeSubject,
    ObjectSubject,
    SignatureSubject,
    TensorInfoSubject,
    VariableSubject,
)
from tfexplore.core.summary import notes
from tfexplore.core.variables import Variable
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import split_input

# More variables than this behind one node (a call of the whole model) get a block of their own.
_FEW = 2
# More functions than this (the branches of a Case) get one too.
MAX_LISTED_CALLS = 4


def meta_graph(subject: MetaGraphSubject, cancel: Cancel) -> Detail:
    """A MetaGraph: tags, writer, counts."""
    found = subject.meta_graph
    lines = [
        fact("tag-set", ", ".join(found.tags) or "(no tags)"),
        fact("written by", f"TensorFlow {found.tensorflow_version}" if found.tensorflow_version else "not stored"),
        fact("signatures", f"{len(found.signatures):,}"),
        fact("variables", f"{len(found.variables):,}"),
        fact("nodes", f"{len(found.raw_nodes):,}"),
        fact("functions", f"{len(found.functions):,} with {text.plural(found.functions.num_nodes, 'node')}"),
        fact("assets", f"{len(found.assets):,}"),
    ]
    remarks = [Line("", text.visible(sentence)) for sentence in notes(subject.model, found)]
    return Detail(text.label(",".join(found.tags)), "MetaGraph", (Block("", tuple(lines)), *block("notes", remarks)))


# -- signatures --


def _info_lines(infos: Iterable[TensorInfo], owner: SignatureSubject, is_input: bool) -> Iterable[Line]:
    for info in infos:
        subject = TensorInfoSubject(owner.meta_graph, owner.signature, info, is_input)
        value = tensor_text(dtypes.name(info.dtype), info.shape, True) if info.dtype else "an operation, no value"
        yield Line(text.label(info.name), value, subject)


def signature(subject: SignatureSubject, cancel: Cancel) -> Detail:
    """A signature: what goes in and comes out."""
    found = subject.signature
    blocks = [
        Block("", (fact("method", found.method_name or "(none)"),)),
        *block("inputs", _info_lines(found.inputs, subject, True)),
        *block("outputs", _info_lines(found.outputs, subject, False)),
        *block("defaults", (fact(name, "stored") for name in found.defaults)),
    ]
    return Detail(text.label(found.name), "Signature", tuple(blocks))


def tensor_of_signature(subject: TensorInfoSubject, cancel: Cancel) -> Detail:
    """One input or output of a signature, and the node behind it."""
    info, owner = subject.info, subject.meta_graph
    lines = [
        *_info_facts(info),
        fact("signature", subject.signature.name, SignatureSubject(owner, subject.signature)),
    ]
    names = [("tensor", info.tensor)] if info.tensor is not None else []
    if info.sparse is not None:
        lines.append(fact("encoding", "sparse"))
        names += list(zip(("values", "indices", "dense_shape"), info.sparse, strict=True))
    if info.components is not None:
        lines.append(fact("encoding", "composite"))
        names += [(f"component {place}", name) for place, name in enumerate(info.components)]
    for label, name in names:
        target = _main_node(owner, name or "")
        lines.append(fact(label, name if target else f"{name} (not in the graph)", target))
        lines += _ends(subject, name or "", cancel)
    kind = "Signature input" if subject.is_input else "Signature output"
    return Detail(text.label(info.name), kind, (Block("", tuple(lines)), *_feature_blocks(subject, cancel)))


def _ends(subject: TensorInfoSubject, name: str, cancel: Cancel) -> list[Line]:
    """Inside the functions that are called: the node that makes an output, the nodes at which an input arrives."""
    owner = subject.meta_graph
    try:
        if subject.is_input:
            spots, label = arrivals(owner, name, cancel), "arrives at"
        else:
            spots, label = [spot for spot in [maker(owner, None, name)] if spot is not None], "made by"
    except ModelError:  # a damaged function hides no other
        return []
    lines = []
    for spot in spots:
        graph = graph_of(owner, spot.function)
        if graph is None or (spot.function is None and graph.names[spot.position] == split_input(name)[0]):
            continue
        value = f"{text.label(graph.names[spot.position])}  {text.label(graph.ops[spot.position])}"
        value += f"  input {spot.slot}" if subject.is_input else ""
        value += f"  in {text.label(spot.function)}" if spot.function is not None else ""
        lines.append(Line(label, value, NodeSubject(owner, graph, spot.function, spot.position)))
    return lines


def _feature_blocks(subject: TensorInfoSubject, cancel: Cancel) -> Iterable[Block]:
    """What the Examples that an input takes must hold."""
    if not subject.is_input or dtypes.base(subject.info.dtype) != dtypes.STRING:
        return
    signature = subject.signature._replace(inputs=(subject.info,))
    for spec in input_specs(subject.meta_graph, signature, cancel):
        lines = [
            Line(
                text.label(feature.name),
                f"{feature.kind} {tensor_text(dtypes.name(feature.dtype), feature.shape, True)}"
                f" · {default_text(feature)}",
            )
            for feature in spec.features
        ]
        lines += [Line("", text.visible(problem)) for problem in spec.problems]
        yield from block("features of its Examples", lines)
        if spec.image_ops:
            yield Block("images", (Line("decoded by", ", ".join(map(text.label, spec.image_ops))),))


def _info_facts(info: TensorInfo) -> list[Line]:
    if not info.dtype:  # how TensorFlow 2 names its initializer
        return [Line("value", "none: an operation to run")]
    return [fact("dtype", dtypes.name(info.dtype)), fact("shape", format_shape(info.shape))]


def _main_node(owner: MetaGraph, tensor: str) -> NodeSubject | None:
    position = owner.graph.find(split_input(tensor)[0])
    return None if position is None else NodeSubject(owner, owner.graph, None, position)


# -- variables, assets --


def variable(subject: VariableSubject, cancel: Cancel) -> Detail:
    """A variable: dtype, shape, whether it trains, its key and where its value lies, who captures it."""
    owner, found = subject.meta_graph, subject.variable
    trainable = {True: "yes", False: "no", None: "not stored"}[found.trainable]
    lines = [
        fact("shape", format_shape(found.shape)),
        fact("dtype", dtypes.name(found.dtype)),
        fact("bytes", None if found.nbytes is None else text.size(found.nbytes)),
        fact("trainable", trainable),
    ]
    if found.slice_spec is not None:
        lines.append(fact("slice", found.slice_spec))
    path, name = owner.object_path(found), owner.node_of(found)
    if path is not None and owner.objects is not None and found.object_id is not None:
        lines.append(fact("object", path, ObjectSubject(owner.objects, found.object_id, owner)))
    if name is not None:
        lines.append(fact("node", name, _main_node(owner, name)))
    if owner.checkpoint is None:
        lines.append(fact("key", "none: the model's variables are missing or cannot be read"))
    elif found.key is None:
        lines.append(fact("key", "none: the checkpoint holds no value for it"))
    else:
        lines.append(fact("key", found.key, KeySubject(owner.checkpoint, found.key, owner)))
    blocks = [*_stored(owner, found, cancel), *_slots(owner, found)]
    blocks += block("captured by", (fact("function", name, FunctionSubject(owner, name)) for name in found.functions))
    return Detail(text.label(found.name), "Variable", (Block("", tuple(lines)), *blocks))


def _stored(owner: MetaGraph, found: Variable, cancel: Cancel) -> list[Block]:
    if owner.checkpoint is None or found.key is None:
        return []
    try:
        return stored_blocks(owner.checkpoint, found.key, cancel)
    except ModelError as error:
        return [Block("value", (Line("", text.visible(str(error))),))]


def _slots(owner: MetaGraph, found: Variable) -> list[Block]:
    """Slots by the SavedModel's own object graph, else by that of the checkpoint."""
    if owner.objects is not None and found.object_id is not None:
        by_object = {variable.object_id: variable for variable in owner.variables}
        known = slots(owner.objects)
        lines = [
            Line(
                f"{text.label(slot.name)}{INFERRED if slot.inferred else ''}", text.label(other.name), _to(owner, other)
            )
            for slot in known.of.get(found.object_id, ())
            if (other := by_object.get(slot.slot)) is not None
        ]
        slot = known.owner.get(found.object_id)
        if slot is not None and (other := by_object.get(slot.original)) is not None:
            lines.append(Line(f"slot of{INFERRED if slot.inferred else ''}", text.label(other.name), _to(owner, other)))
        if lines:
            return block("slot variables", lines)
    if owner.checkpoint is None or found.key is None:
        return []
    return slot_blocks(owner.checkpoint, found.key, owner)


def _to(owner: MetaGraph, variable: Variable) -> VariableSubject:
    return VariableSubject(owner, variable)


def asset(subject: AssetSubject, cancel: Cancel) -> Detail:
    """An asset: where it lies, how large it is, which tensor is fed its path."""
    found = subject.asset
    lines = [fact("bytes", "missing" if found.nbytes is None else text.size(found.nbytes))]
    if found.path is None:
        lines.append(Line("path", "leads out of the assets folder; not followed"))
    else:
        lines.append(fact("path", found.path))
    if found.tensor is not None:
        lines.append(fact("tensor", found.tensor, _main_node(subject.meta_graph, found.tensor)))
    return Detail(text.label(found.name), "Asset", (Block("", tuple(lines)),))


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {
    MetaGraphSubject: meta_graph,
    SignatureSubject: signature,
    TensorInfoSubject: tensor_of_signature,
    VariableSubject: variable,
    AssetSubject: asset,
}
