"""Details of a node, an op and a tensor: what goes in, what comes out, which variables and functions belong to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import (
    MAX_LINES,
    Block,
    Detail,
    Line,
    attr_lines,
    block,
    fact,
    shape_text,
    tensor_facts,
    tensor_text,
)
from tfexplore.core.detail_files import definition_blocks
from tfexplore.core.detail_values import statistics_block
from tfexplore.core.edges import Consumer
from tfexplore.core.graph import Graph, Input, Tensor
from tfexplore.core.items import Cancel
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.op_meanings import meaning
from tfexplore.core.origins import Origins, callees
from tfexplore.core.rows import argument_subject
from tfexplore.core.shapes import num_elements
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    OpSubject,
    RestSubject,
    Subject,
    TensorInfoSubject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.core.tensor_source import const_source
from tfexplore.core.variables import Variable
from tfexplore.core.wiring import output_number
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node, called_functions, split_input

INPUTS, OUTPUTS, USED_BY = "inputs", "outputs", "used by"
CONTROL_INPUTS, CONTROL_OUTPUTS = "control inputs", "control outputs"
# More variables than this behind one node get a block of their own.
_FEW = 2
# More functions than this (the branches of a Case) get one too.
MAX_LISTED_CALLS = 4
# Uses of a node among which those of one output are looked for.
_MAX_USES = 20_000


def node(subject: NodeSubject, cancel: Cancel) -> Detail:
    """A node: op, outputs, inputs, who uses it, the variables behind it, functions, attributes."""
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
        lines += [fact("dtype", dtypes.name(outputs[0].dtype)), Line("shape", shape_text(outputs[0]))]
        lines += _bytes(outputs[0])
    elif graph.output_args(found) is None:
        lines.append(fact("outputs", f"not known: nothing tells what the op {found.op} puts out"))
    lines.append(fact("device", found.device or "any"))
    if subject.function is not None:
        lines.append(fact("function", subject.function, FunctionSubject(owner, subject.function)))
    behind = _variables(subject, found, cancel)
    variables = [*variable_lines(owner, subject.function, found, behind)]
    if len(variables) <= _FEW:
        lines += [_inline(line) for line in variables]
    links = _calls(owner, found)
    if len(links) <= MAX_LISTED_CALLS:
        lines += links
    values = {name: found.attr(name) for name in found.raw_attrs}
    num_outputs = graph.num_outputs(found)
    blocks = [
        Block("", tuple(lines)),
        *(block("variables", variables) if len(variables) > _FEW else []),
        *(
            block(OUTPUTS, output_lines(subject, outputs), num_outputs, RestSubject(subject, OUTPUTS, MAX_LINES))
            if len(outputs) > 1
            else []
        ),
        *_inputs(subject, found, behind, cancel),
        *_used_by(subject, found),
        *(block("calls", links) if len(links) > MAX_LISTED_CALLS else []),
        *definition_blocks(owner, found.name, subject.function, cancel),
        *_constant(subject, cancel),
        *block("attributes", _attributes(owner, found, values, ("_output_shapes",) if outputs else ())),
    ]
    return Detail(text.label(found.name), "Node", tuple(blocks))


def _constant(subject: NodeSubject, cancel: Cancel) -> list[Block]:
    """Statistics of a Const node; its value is among the attributes."""
    try:
        source = const_source(subject)
    except ModelError:  # the attribute says so
        return []
    return [] if source is None else statistics_block(source, cancel)


def _calls(owner: MetaGraph, found: Node) -> list[Line]:
    # Whatever names functions leads to them: If and While, map and reduce of data sets, gradients.
    calls = [*dict.fromkeys(called_functions(found, tuple(found.raw_attrs)))]
    if owner.functions.get(found.op) is not None:
        calls.insert(0, found.op)
    links = [fact("calls", name, FunctionSubject(owner, name)) for name in calls if owner.functions.get(name)]
    return links + [fact("calls", f"{name} (missing)") for name in calls if not owner.functions.get(name)]


def _attributes(owner: MetaGraph, found: Node, values: dict[str, Any], hidden: Iterable[str]) -> Iterator[Line]:
    """The attributes; one that names a function leads to it."""
    names = sorted(name for name in values if name not in hidden)
    for name, line in zip(names, attr_lines(values, owner.path, hidden), strict=True):
        called = called_functions(found, (name,))
        one = len(called) == 1 and owner.functions.get(called[0]) is not None
        yield Line(line.label, line.value, FunctionSubject(owner, called[0])) if one else line


def op(subject: OpSubject, cancel: Cancel) -> Detail:
    """An op type: what it does, how many nodes have it, and the first of them."""
    graph, owner = subject.graph, subject.meta_graph
    graph.load(cancel)
    positions = graph.nodes_by_op(subject.op)
    said = meaning(subject.op, owner.op_defs.find(subject.op))
    lines = [Line("does", said or "not known: no OpDef describes it"), fact("nodes", f"{len(positions):,}")]
    if subject.function is not None:
        lines.append(fact("function", subject.function, FunctionSubject(owner, subject.function)))
    listed = block(
        "nodes", nodes_of_op(subject, 0, MAX_LINES + 1), len(positions), RestSubject(subject, "nodes", MAX_LINES)
    )
    return Detail(text.label(subject.op), "Op", (Block("", tuple(lines)), *listed))


def nodes_of_op(subject: OpSubject, start: int, count: int) -> Iterator[Line]:
    """Some of the nodes of an op."""
    graph = subject.graph
    for position in graph.nodes_by_op(subject.op)[start : start + count]:
        yield fact("", graph.names[position], NodeSubject(subject.meta_graph, graph, subject.function, position))


def _bytes(tensor: Tensor) -> list[Line]:
    elements = num_elements(tensor.shape) if tensor.shape_stored or tensor.inferred else None
    itemsize = dtypes.itemsize(tensor.dtype)
    return [Line("bytes", text.size(elements * itemsize))] if elements is not None and itemsize else []


# -- what goes in --


def _inputs(subject: NodeSubject, found: Node, behind: dict[int, list[Variable]], cancel: Cancel) -> list[Block]:
    total = len(found.inputs)
    lines = [*input_lines(subject, found, 0, MAX_LINES, cancel, behind)]
    control = [line for line, is_control in lines if is_control]
    data = [line for line, is_control in lines if not is_control]
    if total > MAX_LINES:  # control inputs come last
        (control if control else data).append(_more(total - MAX_LINES, RestSubject(subject, INPUTS, MAX_LINES)))
    return [*_block(INPUTS, data), *_block(CONTROL_INPUTS, control)]


def _block(title: str, lines: list[Line]) -> list[Block]:
    return [Block(title, tuple(lines))] if lines else []


def _more(count: int, rest: Subject) -> Line:
    return Line("", f"… {count:,} more", rest)


def input_lines(
    subject: NodeSubject,
    found: Node,
    start: int,
    count: int,
    cancel: Cancel,
    behind: Mapping[int, Sequence[Variable]] | None = None,
) -> Iterator[tuple[Line, bool]]:
    """Some of a node's inputs, each with whether it is a control input; named after the variable that it hands on."""
    some = found._replace(inputs=found.inputs[start : start + count])
    for place, one in enumerate(subject.graph.inputs(some, None, cancel), start):
        line = input_line(subject.meta_graph, subject.graph, subject.function, one, str(place))
        variables = behind.get(place, ()) if behind is not None else ()
        if len(variables) == 1:
            line = Line(line.label, f"{line.value}  {text.label(variables[0].name)}", line.subject)
        yield line, one.control


def input_line(owner: MetaGraph, graph: Graph, function: str | None, found: Input, label: str) -> Line:
    """What arrives somewhere in a graph: a node's output, an argument, or nothing."""
    target: Subject | None = None
    if found.producer is not None:
        target = NodeSubject(owner, graph, function, found.producer)
    elif found.argument and function is not None:
        target = argument_subject(owner, function, split_input(found.name)[0])
    value = text.label(found.name.removeprefix("^"))
    if found.tensor is not None:
        value += f"  {tensor_facts(found.tensor)}"
    elif target is None:
        value += "  (missing: no such node)"
    elif found.producer is not None:
        value += f"  {text.label(graph.ops[found.producer])}"
    return Line("" if found.control else label, value, target)


# -- what comes out --


def _outputs(subject: NodeSubject, outputs: Sequence[Tensor], total: int | None) -> list[Block]:
    """The outputs, where there is more than one: of a single one the first lines tell all."""
    if len(outputs) < 2:
        return []
    return block(OUTPUTS, output_lines(subject, outputs), total, RestSubject(subject, OUTPUTS, MAX_LINES))


def output_lines(subject: NodeSubject, outputs: Iterable[Tensor]) -> Iterator[Line]:
    """Each output; it leads to what is known of it."""
    for number, tensor in enumerate(outputs):
        target = TensorSubject(subject.meta_graph, subject.graph, subject.function, subject.position, number)
        yield Line(text.label(tensor.arg or tensor.name), tensor_facts(tensor), target)


def _used_by(subject: NodeSubject, found: Node) -> list[Block]:
    graph = subject.graph
    total = graph.num_consumers(subject.position)
    uses = graph.consumers(subject.position, MAX_LINES)
    lines = [*_returned(subject, found, None)]
    lines += use_lines(subject.meta_graph, graph, subject.function, (use for use in uses if not use.control))
    control = [*use_lines(subject.meta_graph, graph, subject.function, (use for use in uses if use.control))]
    if total > MAX_LINES:
        (lines if lines else control).append(_more(total - MAX_LINES, RestSubject(subject, USED_BY, MAX_LINES)))
    if not lines:
        lines.append(Line("", "no node of this graph takes its value" if control else "no node of this graph"))
    return [*_block(USED_BY, lines), *_block(CONTROL_OUTPUTS, control)]


def _returned(subject: NodeSubject, found: Node, number: int | None) -> Iterator[Line]:
    """The outputs of the function, or the signatures, that give a node's value; `number` is that of one output."""
    owner, graph = subject.meta_graph, subject.graph
    if subject.function is None:
        for signature in owner.signatures:
            for infos, is_input in ((signature.inputs, True), (signature.outputs, False)):
                for info in infos:
                    if _is_output(graph, found.name, number, info.tensor):
                        side = "input" if is_input else "output"
                        target = TensorInfoSubject(owner, signature, info, is_input)
                        value = f"{side} {text.label(info.name)} of the signature {text.label(signature.name)}"
                        yield Line("signature", value, target)
        return
    function = owner.functions.get(subject.function)
    for argument in function.outputs if function is not None else ():
        if _is_output(graph, found.name, number, argument.returns):
            returned = ArgumentSubject(owner, subject.function, argument, False)
            yield Line("returned as", text.label(argument.name), returned)


def _is_output(graph: Graph, name: str, number: int | None, spelled: str | None) -> bool:
    if spelled is None or split_input(spelled)[0] != name:
        return False
    return number is None or output_number(graph, spelled) == number


def use_lines(owner: MetaGraph, graph: Graph, function: str | None, uses: Iterable[Consumer]) -> Iterator[Line]:
    """Who uses something in a graph: which of its inputs it is, name, op, and what it makes of it."""
    for use in uses:
        label = "control" if use.control else f"input {use.slot}"
        value = f"{text.label(graph.names[use.node])}  {text.label(graph.ops[use.node])}"
        if graph.output_count(use.node) == 1:
            value += f"  {tensor_facts(graph.output(use.node, 0))}"
        yield Line(label, value, NodeSubject(owner, graph, function, use.node))


def tensor(subject: TensorSubject, cancel: Cancel) -> Detail:
    """One output of a node: dtype and shape, what a called function returns there, who uses it."""
    graph, owner, number = subject.graph, subject.meta_graph, subject.number
    graph.load(cancel)
    graph.load_edges(cancel, of=subject.position)
    found, made = graph.node(subject.position), graph.output(subject.position, subject.number)
    of_node = NodeSubject(owner, graph, subject.function, subject.position)
    lines = [
        fact("dtype", dtypes.name(made.dtype)),
        Line("shape", shape_text(made)),
        *_bytes(made),
        Line("node", f"{text.label(found.name)}  {text.label(found.op)}", of_node),
    ]
    if made.arg is not None:
        lines.append(fact("in edges", made.arg))
    for name in callees(owner, found)[:MAX_LISTED_CALLS]:
        called = owner.functions.get(name)
        if called is not None and number < len(called.outputs):
            argument = called.outputs[number]
            value = f"{text.label(argument.name)} of {text.label(name)}"
            lines.append(Line("returned by", value, ArgumentSubject(owner, name, argument, False)))
    total = graph.num_consumers(subject.position)
    uses = [
        use
        for use in graph.consumers(subject.position, _MAX_USES)
        if not use.control and output_number(graph, use.name) == number
    ]
    taken = [*_returned(of_node, found, number)]
    taken += use_lines(owner, graph, subject.function, uses[:MAX_LINES])
    if total > _MAX_USES or len(uses) > MAX_LINES:
        taken.append(Line("", "… more: all uses of the node", RestSubject(of_node, USED_BY, 0)))
    blocks = (Block("", tuple(lines)), *_block(USED_BY, taken or [Line("", "no node of this graph")]))
    return Detail(text.label(made.name), "Tensor", blocks)


# -- variables --


def _variables(subject: NodeSubject, found: Node, cancel: Cancel) -> dict[int, list[Variable]]:
    """The variables that arrive at each input, whatever hands them on."""
    owner = subject.meta_graph
    behind: dict[int, list[Variable]] = {}
    if owner.variables:
        origins = Origins(owner, cancel)
        try:
            for slot, name in enumerate(found.inputs[:MAX_LINES]):
                behind[slot] = origins.variables(subject.function, name)
        except ModelError:  # a damaged function hides no other
            pass
    return behind


def variable_lines(
    owner: MetaGraph, function: str | None, found: Node, behind: dict[int, list[Variable]]
) -> Iterator[Line]:
    """The variables that a node is, or that arrive at its inputs."""
    for variable in _itself(owner, function, found):
        yield variable_line(owner, "variable", variable)
    for slot, variables in behind.items():
        for variable in variables:
            yield variable_line(owner, f"input {slot}", variable)


def _itself(owner: MetaGraph, function: str | None, found: Node) -> list[Variable]:
    if function is not None:
        return []
    if owner.objects is None:
        return [variable for variable in owner.variables if variable.node == found.name]
    known = owner.joins.main_nodes.get(found.name)
    return [variable for variable in owner.variables if variable.object_id == known and known is not None]


def _inline(line: Line) -> Line:
    """A variable's line among the facts of its node, where a label tells what the line is about."""
    if line.label == "variable":
        return line
    return Line("variable", f"{line.value}  at {line.label}", line.subject)


def variable_line(owner: MetaGraph, label: str, variable: Variable) -> Line:
    """A variable with its dtype and shape."""
    facts = tensor_text(dtypes.name(variable.dtype), variable.shape, True)
    return Line(label, f"{text.label(variable.name)}  {facts}", VariableSubject(owner, variable))


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {NodeSubject: node, OpSubject: op, TensorSubject: tensor}
