"""Details of a function and of its arguments: who calls it, what callers pass, which variables that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tfexplore.core import text
from tfexplore.core.detail import MAX_LINES, Block, Detail, Line, attr_lines, block, fact, shape_text, tensor_text
from tfexplore.core.detail_node import INPUTS, OUTPUTS, USED_BY, input_line, use_lines, variable_line
from tfexplore.core.functions import Argument, Function
from tfexplore.core.graph import Tensor
from tfexplore.core.items import Cancel
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.origins import Origins, given_to
from tfexplore.core.passing import Call, callers, graph_of, is_body, passed
from tfexplore.core.shapes import format_shape
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    RestSubject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.core.variables import Variable
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node

CALLED_BY, PASSED_BY = "called by", "passed by"
# Callers whose arguments are shown one by one.
_MAX_SHOWN = 20


def function(subject: FunctionSubject, cancel: Cancel) -> Detail:
    """A function: arguments, size, attributes, who calls it."""
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
    num_callers = len(callers(owner, subject.name, cancel))
    blocks = [
        Block("", tuple(lines)),
        *block(INPUTS, argument_lines(subject, True, 0, MAX_LINES, cancel), len(found.inputs), _rest(subject, INPUTS)),
        *block(
            OUTPUTS, argument_lines(subject, False, 0, MAX_LINES, cancel), len(found.outputs), _rest(subject, OUTPUTS)
        ),
        *block(CALLED_BY, caller_lines(subject, 0, MAX_LINES, cancel), num_callers, _rest(subject, CALLED_BY)),
        *block(
            "captures", (fact("variable", variable.name, VariableSubject(owner, variable)) for variable in captured)
        ),
        *block("attributes", attr_lines(attr_messages, owner.path)),
        *block("notes", [Line("", text.visible(sentence)) for sentence in found.damage]),
    ]
    return Detail(text.label(subject.name), "Function", tuple(blocks))


def _rest(subject: FunctionSubject | ArgumentSubject, title: str) -> RestSubject:
    return RestSubject(subject, title, MAX_LINES)


def argument_lines(subject: FunctionSubject, is_input: bool, start: int, count: int, cancel: Cancel) -> Iterator[Line]:
    """Some arguments of a function; with the variable where all callers pass the same one."""
    owner = subject.meta_graph
    found = owner.functions.get(subject.name)
    if found is None:
        return
    origins = Origins(owner, cancel) if is_input and owner.variables else None
    for one in (found.inputs if is_input else found.outputs)[start : start + count]:
        dtype = dtypes.name(one.dtype) if one.dtype else "(the caller's dtype)"
        tensor = None if is_input else _returned(found, one)
        value = tensor_text(dtype, one.shape, one.shape_stored)
        if tensor is not None and tensor.inferred:
            value = f"{dtype} {shape_text(tensor)}"
        variables = origins.variables(subject.name, one.name) if origins is not None else []
        if variables:
            more = f" and {len(variables) - 1} more" if len(variables) > 1 else ""
            value += f"  {text.label(variables[0].name)}{more}"
        yield Line(text.label(one.name), value, ArgumentSubject(owner, subject.name, one, is_input))


def _returned(found: Function, argument: Argument) -> Tensor | None:
    return found.graph.resolve(argument.returns).tensor if argument.returns is not None else None


def caller_lines(subject: FunctionSubject, start: int, count: int, cancel: Cancel) -> Iterator[Line]:
    """Some of the nodes that call a function."""
    owner = subject.meta_graph
    for call in callers(owner, subject.name, cancel)[start : start + count]:
        yield _caller_line(owner, call.attr or "op", call)


def _caller_line(owner: MetaGraph, label: str, call: Call) -> Line:
    graph = graph_of(owner, call.function)
    assert graph is not None  # it was found there
    value = f"{text.label(graph.names[call.position])}  {text.label(graph.ops[call.position])}"
    if call.function is not None:
        value += f"  in {text.label(call.function)}"
    return Line(text.label(label), value, NodeSubject(owner, graph, call.function, call.position))


# -- arguments --


def argument(subject: ArgumentSubject, cancel: Cancel) -> Detail:
    """An argument of a function: what callers pass and which nodes use it, or what it returns and to whom."""
    owner, found = subject.meta_graph, subject.argument
    body = owner.functions.get(subject.function)
    tensor = _returned(body, found) if body is not None and not subject.is_input else None
    shape = format_shape(found.shape) if found.shape_stored else "not stored"
    lines = [
        fact("dtype", dtypes.name(found.dtype) if found.dtype else "(the caller decides)"),
        Line("shape", shape_text(tensor) if tensor is not None and tensor.inferred else shape),
        fact("function", subject.function, FunctionSubject(owner, subject.function)),
    ]
    blocks: list[Block] = []
    if body is not None and subject.is_input:
        lines += [variable_line(owner, "variable", one) for one in _variables(subject, cancel)]
        rest = RestSubject(subject, USED_BY, MAX_LINES)
        blocks = [
            *block(PASSED_BY, _passed_lines(subject, body, cancel)),
            *block(USED_BY, argument_uses(subject, 0, None, cancel), rest=rest),
        ]
    elif body is not None and found.returns is not None:
        producer = body.graph.resolve(found.returns)
        lines.append(input_line(owner, body.graph, subject.function, producer, "returns"))
        blocks = block("given to", _given_lines(subject, body, cancel))
    kind = "Function input" if subject.is_input else "Function output"
    return Detail(text.label(found.name), kind, (Block("", tuple(lines)), *blocks))


def _variables(subject: ArgumentSubject, cancel: Cancel) -> list[Variable]:
    owner = subject.meta_graph
    try:
        return Origins(owner, cancel).variables(subject.function, subject.argument.name) if owner.variables else []
    except ModelError:  # a damaged function hides no other
        return []


def argument_uses(subject: ArgumentSubject, start: int, count: int | None, cancel: Cancel) -> Iterator[Line]:
    """Some of the nodes of the body that use an argument."""
    body = subject.meta_graph.functions.get(subject.function)
    if body is not None:
        uses = body.graph.argument_consumers(subject.argument.name, cancel)
        stop = None if count is None else start + count
        yield from use_lines(subject.meta_graph, body.graph, subject.function, uses[start:stop])


def _number(arguments: Iterable[Argument], wanted: Argument) -> int | None:
    return next((number for number, one in enumerate(arguments) if one.name == wanted.name), None)


def _passed_lines(subject: ArgumentSubject, body: Function, cancel: Cancel) -> Iterator[Line]:
    """Of each caller the node, what it passes, and of a loop what the next round gets."""
    owner = subject.meta_graph
    number = _number(body.inputs, subject.argument)
    if number is None:
        return
    for found in passed(owner, subject.function, number, _MAX_SHOWN, cancel):
        graph = graph_of(owner, found.call.function)
        assert graph is not None  # it was found there
        yield _caller_line(owner, f"input {found.slot} of", found.call)
        yield input_line(owner, graph, found.call.function, graph.resolve(found.name), "which is")
        if is_body(graph.ops[found.call.position], found.call.attr) and number < len(body.outputs):
            output = body.outputs[number]
            value = f"output {text.label(output.name)} of this function"
            yield Line("next round", value, ArgumentSubject(owner, subject.function, output, False))
    left = len(callers(owner, subject.function, cancel)) - _MAX_SHOWN
    if left > 0:
        target = RestSubject(FunctionSubject(owner, subject.function), CALLED_BY, _MAX_SHOWN)
        yield Line("", f"… {left:,} more callers", target)


def _given_lines(subject: ArgumentSubject, body: Function, cancel: Cancel) -> Iterator[Line]:
    """The outputs of calling nodes that an output of a function becomes."""
    owner = subject.meta_graph
    number = _number(body.outputs, subject.argument)
    if number is None:
        return
    for call in given_to(owner, subject.function, MAX_LINES, cancel):
        graph = graph_of(owner, call.function)
        assert graph is not None  # it was found there
        place = f"  in {text.label(call.function)}" if call.function is not None else ""
        value = f"{text.label(graph.names[call.position])}:{number}  {text.label(graph.ops[call.position])}{place}"
        yield Line(f"output {number} of", value, TensorSubject(owner, graph, call.function, call.position, number))
        if is_body(graph.ops[call.position], call.attr) and number < len(body.inputs):
            target = ArgumentSubject(owner, subject.function, body.inputs[number], True)
            yield Line("next round", f"input {text.label(body.inputs[number].name)} of this function", target)


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {FunctionSubject: function, ArgumentSubject: argument}
