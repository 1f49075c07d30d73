"""Details of what a MetaGraph holds: signatures, nodes, functions, variables, assets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import MAX_LINES, Block, Detail, Line, attr_lines, block, fact, tensor_text
from tfexplore.core.detail_files import definition_blocks
from tfexplore.core.detail_stored import INFERRED, slot_blocks, stored_blocks
from tfexplore.core.edges import Consumer
from tfexplore.core.feature_spec import default_text, input_specs
from tfexplore.core.functions import Function
from tfexplore.core.graph import Graph, Input, Tensor
from tfexplore.core.items import Cancel
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.op_meanings import meaning
from tfexplore.core.rows import argument_subject
from tfexplore.core.shapes import format_shape, num_elements
from tfexplore.core.signatures import TensorInfo
from tfexplore.core.slots import slots
from tfexplore.core.subjects import (
    ArgumentSubject,
    AssetSubject,
    FunctionSubject,
    KeySubject,
    MetaGraphSubject,
    NodeSubject,
    ObjectSubject,
    OpSubject,
    SignatureSubject,
    Subject,
    TensorInfoSubject,
    VariableSubject,
)
from tfexplore.core.summary import notes
from tfexplore.core.variables import Variable
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node, called_functions, split_input

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
    kind = "Signature input" if subject.is_input else "Signature output"
    return Detail(text.label(info.name), kind, (Block("", tuple(lines)), *_feature_blocks(subject, cancel)))


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


# -- nodes --


def node(subject: NodeSubject, cancel: Cancel) -> Detail:
    """A node: op, outputs, inputs, who uses it, the variable behind it, attributes."""
    graph, owner = subject.graph, subject.meta_graph
    graph.load(cancel)
    graph.load_edges(cancel, of=subject.position)
    found = graph.node(subject.position)
    lines = [fact("op", found.op, OpSubject(owner, graph, subject.function, found.op))]
    said = meaning(found.op, owner.op_defs.find(found.op))
    if said is not None:
        lines.append(Line("does", said))
    outputs = graph.outputs(subject.position)
    if len(outputs) == 1:
        lines += [fact("dtype", dtypes.name(outputs[0].dtype)), Line("shape", _shape(outputs[0]))]
        lines += _bytes(outputs[0])
    elif graph.output_args(found) is None:
        lines.append(fact("outputs", f"not known: nothing tells what the op {found.op} puts out"))
    lines.append(fact("device", found.device or "any"))
    if subject.function is not None:
        lines.append(fact("function", subject.function, FunctionSubject(owner, subject.function)))
    variables = _variable_lines(owner, subject.function, found)
    if len(variables) <= _FEW:
        lines += variables
    # Whatever names functions leads to them: If and While, map and reduce of data sets, gradients.
    calls = [*dict.fromkeys(called_functions(found, tuple(found.raw_attrs)))]
    if owner.functions.get(found.op) is not None:
        calls.insert(0, found.op)
    links = [fact("calls", name, FunctionSubject(owner, name)) for name in calls if owner.functions.get(name)]
    links += [fact("calls", f"{name} (missing)") for name in calls if not owner.functions.get(name)]
    if len(links) <= MAX_LISTED_CALLS:
        lines += links
    values = {name: found.attr(name) for name in found.raw_attrs}
    num_outputs = graph.num_outputs(found)
    blocks = [
        Block("", tuple(lines)),
        *(block("outputs", _output_lines(outputs), num_outputs) if len(outputs) > 1 else []),
        *block("inputs", _input_lines(subject, graph.inputs(found, MAX_LINES, cancel)), len(found.inputs)),
        *_used_by(subject),
        *(block("variables", variables) if len(variables) > _FEW else []),
        *(block("calls", links) if len(links) > MAX_LISTED_CALLS else []),
        *definition_blocks(owner, found.name, subject.function, cancel),
        *block("attributes", attr_lines(values, owner.path, ("_output_shapes",) if outputs else ())),
    ]
    return Detail(text.label(found.name), "Node", tuple(blocks))


def op(subject: OpSubject, cancel: Cancel) -> Detail:
    """An op type: what it does, how many nodes have it, and the first of them."""
    graph, owner = subject.graph, subject.meta_graph
    graph.load(cancel)
    positions = graph.nodes_by_op(subject.op)
    op_def = owner.op_defs.find(subject.op)
    lines = [fact("nodes", f"{len(positions):,}")]
    said = meaning(subject.op, op_def)
    lines.insert(0, Line("does", said or "not known: no OpDef describes it"))
    if subject.function is not None:
        lines.append(fact("function", subject.function, FunctionSubject(owner, subject.function)))
    listed = (
        fact("", graph.names[position], NodeSubject(owner, graph, subject.function, position))
        for position in positions[: MAX_LINES + 1]
    )
    return Detail(text.label(subject.op), "Op", (Block("", tuple(lines)), *block("nodes", listed, len(positions))))


def _shape(tensor: Tensor) -> str:
    return format_shape(tensor.shape) if tensor.shape_stored else "not stored"


def _bytes(tensor: Tensor) -> list[Line]:
    elements = num_elements(tensor.shape) if tensor.shape_stored else None
    itemsize = dtypes.itemsize(tensor.dtype)
    return [Line("bytes", text.size(elements * itemsize))] if elements is not None and itemsize else []


def _output_lines(outputs: Iterable[Tensor]) -> Iterable[Line]:
    for tensor in outputs:
        yield Line(
            text.label(tensor.arg or tensor.name),
            tensor_text(dtypes.name(tensor.dtype), tensor.shape, tensor.shape_stored),
        )


def _input_lines(subject: NodeSubject, inputs: Iterable[Input]) -> Iterable[Line]:
    for place, found in enumerate(inputs):
        label = "control" if found.control else str(place)
        target: Subject | None = None
        if found.producer is not None:
            target = NodeSubject(subject.meta_graph, subject.graph, subject.function, found.producer)
        elif found.argument and subject.function is not None:
            target = argument_subject(subject.meta_graph, subject.function, split_input(found.name)[0])
        value = text.label(found.name.removeprefix("^"))
        if found.tensor is not None:
            value += f"  {tensor_text(dtypes.name(found.tensor.dtype), found.tensor.shape, found.tensor.shape_stored)}"
        elif target is None:
            value += "  (missing: no such node)"
        yield Line(label, value, target)


def _used_by(subject: NodeSubject) -> list[Block]:
    graph = subject.graph
    total = graph.num_consumers(subject.position)
    uses = graph.consumers(subject.position, MAX_LINES)
    found = block("used by", _use_lines(subject.meta_graph, graph, subject.function, uses), total)
    return found or [Block("used by", (Line("", "no node of this graph"),))]


def _use_lines(owner: MetaGraph, graph: Graph, function: str | None, uses: Iterable[Consumer]) -> Iterable[Line]:
    for use in uses:
        label = "control" if use.control else f"input {use.slot}"
        value = f"{text.label(graph.names[use.node])}  {text.label(graph.ops[use.node])}"
        yield Line(label, value, NodeSubject(owner, graph, function, use.node))


def _variable_lines(owner: MetaGraph, function: str | None, found: Node) -> list[Line]:
    """The variables that a node is or reads."""
    if owner.objects is None:
        ids: set[Any] = {found.name, *(split_input(name)[0] for name in found.inputs)} if function is None else set()
        variables = [variable for variable in owner.variables if variable.node in ids]
    else:
        ids = set(owner.joins.variables_of(function, found))
        variables = [variable for variable in owner.variables if variable.object_id in ids]
    return [fact("variable", variable.name, VariableSubject(owner, variable)) for variable in variables]


# -- functions --


def function(subject: FunctionSubject, cancel: Cancel) -> Detail:
    """A function: arguments, size, attributes, who may call it."""
    owner = subject.meta_graph
    found = owner.functions.get(subject.name)
    if found is None:
        line = Line("", "The function library has no function of this name.")
        return Detail(text.label(subject.name), "Function", (Block("", (line,)),))
    lines = [
        fact("nodes", f"{len(found.graph):,}"),
        fact("stateful", "yes" if found.is_stateful else "no"),
    ]
    alias = owner.function_aliases.get(subject.name)
    if alias is not None:
        lines.append(fact("alias", alias))
    captured = [variable for variable in owner.variables if subject.name in variable.functions]
    attr_messages = {name: Node("", "", (), "", found.attrs).attr(name) for name in found.attrs}
    blocks = [
        Block("", tuple(lines)),
        *block("inputs", _argument_lines(subject, found, True)),
        *block("outputs", _argument_lines(subject, found, False)),
        *block(
            "captures", (fact("variable", variable.name, VariableSubject(owner, variable)) for variable in captured)
        ),
        *block("attributes", attr_lines(attr_messages, owner.path)),
        *block("notes", [Line("", text.visible(sentence)) for sentence in found.damage]),
    ]
    return Detail(text.label(subject.name), "Function", tuple(blocks))


def _argument_lines(subject: FunctionSubject, found: Function, is_input: bool) -> Iterable[Line]:
    for argument in found.inputs if is_input else found.outputs:
        target = ArgumentSubject(subject.meta_graph, subject.name, argument, is_input)
        dtype = dtypes.name(argument.dtype) if argument.dtype else "(the caller's dtype)"
        yield Line(text.label(argument.name), tensor_text(dtype, argument.shape, argument.shape_stored), target)


def argument(subject: ArgumentSubject, cancel: Cancel) -> Detail:
    """An argument of a function: what uses it, or what it returns."""
    owner, found = subject.meta_graph, subject.argument
    lines = [
        fact("dtype", dtypes.name(found.dtype) if found.dtype else "(the caller decides)"),
        Line("shape", format_shape(found.shape) if found.shape_stored else "not stored"),
        fact("function", subject.function, FunctionSubject(owner, subject.function)),
    ]
    body = owner.functions.get(subject.function)
    blocks: list[Block] = []
    if body is not None and subject.is_input:
        ids = owner.joins.arguments.get((subject.function, found.name), frozenset())
        variables = (variable for variable in owner.variables if variable.object_id in ids and ids)
        lines += [fact("variable", variable.name, VariableSubject(owner, variable)) for variable in variables]
        uses = body.graph.argument_consumers(found.name, cancel)
        blocks = block("used by", _use_lines(owner, body.graph, subject.function, uses))
    elif body is not None and found.returns is not None:
        producer = body.graph.resolve(found.returns).producer
        target = None if producer is None else NodeSubject(owner, body.graph, subject.function, producer)
        lines.append(fact("returns", found.returns, target))
    kind = "Function input" if subject.is_input else "Function output"
    return Detail(text.label(found.name), kind, (Block("", tuple(lines)), *blocks))


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
    blocks = [*_stored(owner, found), *_slots(owner, found)]
    blocks += block("captured by", (fact("function", name, FunctionSubject(owner, name)) for name in found.functions))
    return Detail(text.label(found.name), "Variable", (Block("", tuple(lines)), *blocks))


def _stored(owner: MetaGraph, found: Variable) -> list[Block]:
    if owner.checkpoint is None or found.key is None:
        return []
    try:
        return stored_blocks(owner.checkpoint, found.key)
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
    NodeSubject: node,
    OpSubject: op,
    FunctionSubject: function,
    ArgumentSubject: argument,
    VariableSubject: variable,
    AssetSubject: asset,
}
