"""A loss that a person writes, `(10. - y) ** 2`, as a program of a few known steps; nothing is evaluated here.

The text is parsed into Python's syntax tree, of which a whitelist is taken over. A program is nested lists, so that
it travels as JSON; `runtime/child/loss.py` evaluates it, each step by the operator of Python or the function of
TensorFlow that the text names, so that numbers and dtypes come out as in a script:

    ["number", 10.0]                        an int stays an int, a float a float
    ["name", "y"]
    ["item", PROGRAM, "scores"]             y["scores"], of several outputs
    ["index", PROGRAM, [PART, …]]           y[0], y[:, 1]; a PART: an int, "...", or ["slice", START, STOP, STEP], each
                                            of them an int or null
    ["unary", "neg", PROGRAM]
    ["binary", OPERATOR, PROGRAM, PROGRAM]  add, sub, mul, div, floordiv, mod, pow
    ["compare", OPERATOR, PROGRAM, PROGRAM] lt, le, gt, ge, eq, ne
    ["call", NAME, [PROGRAM, …], {OPTION: LITERAL}]
                                            one of `loss_calls.CALLS`: its values in order, and what options are given;
                                            a LITERAL: a number, true or false, null, a list of ints, a dtype's name
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from typing import Any, NamedTuple

from tfexplore.core import json_values, text
from tfexplore.core.loss_calls import AXIS, CALLS, DTYPE, DTYPES, FLAG, INT, INTS, MEANT, NUMBER, Call
from tfexplore.errors import UsageError

NAMES = ("y", "target")
MAX_TEXT, MAX_STEPS, MAX_DEPTH = 2_000, 300, 60
# Of a whole number, and of the exponent that one is raised to.
_MAX_INT, _MAX_POWER = 2**63, 64
_MAX_AXES = 8
_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow",
}  # fmt: skip
_COMPARE = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}
_OF_NUMBERS: dict[str, Any] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
}  # fmt: skip
_ALLOWED = "numbers, + - * / // % **, comparisons, y['name'], y[:, 0] and functions like tf.reduce_mean(…)"

Program = list[Any]


class LossExpr(NamedTuple):
    """A loss that was understood.

    Attributes:
        text: as it was given.
        program: see above.
        names: what of `y` and `target` it uses, sorted.
        python: the same expression as a script writes it, with `tf.` before the functions.
    """

    text: str
    program: Program
    names: tuple[str, ...]
    python: str

    def outputs(self) -> set[str | None]:
        """The names that it takes out of `y`, as in `y["scores"]`; None for `y` as it is."""
        found: set[str | None] = set()
        pending: list[Any] = [self.program]
        while pending:
            part = pending.pop()
            if part == ["name", NAMES[0]]:
                found.add(None)
            elif isinstance(part, list) and part[:2] == ["item", ["name", NAMES[0]]]:
                found.add(part[2])
            elif isinstance(part, list):
                pending += part
        return found


def parse(source: str, names: tuple[str, ...] = NAMES) -> LossExpr:
    """What a loss expression says.

    Args:
        source: arithmetic, comparisons, `y['name']`, slices and calls of `loss_calls.CALLS`, written as `tf.math.abs`,
            `tf.abs` or `abs`. It may go over several lines.
        names: the tensors that it may use; the first one it must use.

    Raises:
        UsageError: it is something else; names the column, counted from 1.
    """
    if len(source) > MAX_TEXT:
        raise UsageError(
            f"the loss expression has {len(source):,} characters, more than the {MAX_TEXT:,} that are read"
        )
    line = "".join(" " if character in "\r\n\t\f" else character for character in source)
    start = len(line) - len(line.lstrip(" "))
    line = line.strip(" ")
    if not line:
        raise UsageError("the loss expression is empty: write one like (10. - y) ** 2")
    if "\\" in line:
        raise _wrong(start + line.index("\\") + 1, "a backslash has no place in it")
    reader = _Reader(line, start, names)
    program, _ = reader.step(reader.tree.body, 0)
    if names[0] not in reader.used:
        raise UsageError(f"the loss expression does not use {names[0]}, what the model gives, so nothing can be learnt")
    return LossExpr(source, program, tuple(sorted(reader.used)), python(program))


def _wrong(column: int, what: str) -> UsageError:
    return UsageError(f"the loss expression, column {column}: {what}")


def _tree(line: str, start: int) -> ast.Expression:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Python may refuse one day
            return ast.parse(line, mode="eval")
    except SyntaxError as error:
        column = min(error.offset or len(line) + 1, len(line) + 1)  # 0: at its end
        raise _wrong(start + column, f"{text.visible(error.msg)}; it takes {_ALLOWED}") from None
    except (ValueError, RecursionError, MemoryError):
        raise UsageError(f"the loss expression is no Python expression; it takes {_ALLOWED}") from None


class _Reader:
    """One text's way into a program. A step comes with its value where it is a number: Python's own arithmetic."""

    def __init__(self, line: str, start: int, names: tuple[str, ...]) -> None:
        self.tree = _tree(line, start)
        self.used: set[str] = set()
        self._encoded = line.encode("utf-8", "surrogatepass")
        self._start = start
        self._names = names
        self._steps = 0

    def _wrong(self, node: Any, what: str) -> UsageError:
        before = self._encoded[: getattr(node, "col_offset", 0)]
        return _wrong(self._start + len(before.decode("utf-8", "surrogatepass")) + 1, what)

    def step(self, node: ast.expr, depth: int) -> tuple[Program, int | float | None]:
        """The program of an expression, and the number that it is, if it is one."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self._wrong(node, f"it has more than {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            raise self._wrong(node, f"it nests deeper than {MAX_DEPTH}")
        if isinstance(node, ast.Constant):
            number = self._number(node)
            return ["number", number], number
        if isinstance(node, ast.Name):
            if node.id not in self._names:
                near = json_values.near(node.id, list(self._names))
                if node.id in CALLS:
                    near = f"; a function needs its arguments: write {node.id}(…)"
                raise self._wrong(node, f"there is no {text.label(node.id[:80])}{near}")
            self.used.add(node.id)
            return ["name", node.id], None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
            inner, value = self.step(node.operand, depth + 1)
            if isinstance(node.op, ast.UAdd):
                return inner, value
            return ["unary", "neg", inner], None if value is None else -value
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self._binary(node, depth)
        if isinstance(node, ast.Compare):
            return self._compare(node, depth), None
        if isinstance(node, ast.Subscript):
            return self._subscript(node, depth), None
        if isinstance(node, ast.Call):
            return self._call(node, depth), None
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self._names:
                whose = node.value.id
                raise self._wrong(node, f"write {whose}['{text.visible(node.attr[:80])}'] for one of several outputs")
            raise self._wrong(node, f"a dot stands in functions like tf.math.abs(y) only; it takes {_ALLOWED}")
        raise self._wrong(node, f"this is nothing that a loss may be made of; it takes {_ALLOWED}")

    def _number(self, node: ast.Constant) -> int | float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(node, f"expected a number, got {text.visible(repr(value)[:40])}")
        return self._bounded(node, value)

    def _bounded(self, node: Any, value: Any) -> int | float:
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, int) and abs(value) < _MAX_INT:
            return value
        raise self._wrong(
            node, "the number is too large" if isinstance(value, (int, float)) else "the number is complex"
        )

    def _binary(self, node: ast.BinOp, depth: int) -> tuple[Program, int | float | None]:
        name = _BINARY[type(node.op)]
        (left, one), (right, other) = self.step(node.left, depth + 1), self.step(node.right, depth + 1)
        value = None
        if one is not None and other is not None:
            if name == "pow" and isinstance(one, int) and isinstance(other, int) and abs(other) > _MAX_POWER:
                raise self._wrong(node.right, f"a whole number is raised to {other}, more than {_MAX_POWER}")
            try:
                value = self._bounded(node, _OF_NUMBERS[name](one, other))
            except ZeroDivisionError:
                raise self._wrong(node, "this divides by zero") from None
            except OverflowError:
                raise self._wrong(node, "the number is too large") from None
        return ["binary", name, left, right], value

    def _compare(self, node: ast.Compare, depth: int) -> Program:
        if len(node.ops) != 1:
            raise self._wrong(node, "compare two things at a time")
        name = _COMPARE.get(type(node.ops[0]))
        if name is None:
            raise self._wrong(node, f"only < <= > >= == and != compare; it takes {_ALLOWED}")
        (left, one), (right, other) = self.step(node.left, depth + 1), self.step(node.comparators[0], depth + 1)
        if one is not None and other is not None:
            raise self._wrong(node, "this compares two numbers")
        return ["compare", name, left, right]

    def _subscript(self, node: ast.Subscript, depth: int) -> Program:
        inner, value = self.step(node.value, depth + 1)
        if value is not None:
            raise self._wrong(node, "a number has no parts")
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return ["item", inner, node.slice.value]
        given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not 0 < len(given) <= _MAX_AXES:
            raise self._wrong(node.slice, f"expected one to {_MAX_AXES} indices")
        return ["index", inner, [self._part(part) for part in given]]

    def _part(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and node.value is ...:
            return "..."
        if isinstance(node, ast.Slice):
            ends = (node.lower, node.upper, node.step)
            return ["slice", *(None if end is None else self._whole(end) for end in ends)]
        return self._whole(node)

    # -- calls --

    def _called(self, node: ast.Call) -> tuple[str, Call]:
        parts: list[str] = []
        inner: ast.expr = node.func
        while isinstance(inner, ast.Attribute) and len(parts) < 8:
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self._wrong(node, f"only a function by its name can be called; it takes {_ALLOWED}")
        *home, name = [inner.id, *reversed(parts)]
        written = ".".join((*home, name))
        shown = text.label(written[:80])
        call = CALLS.get(name)
        if call is None:
            meant = f"; write {MEANT[name]}" if name in MEANT else json_values.near(name, list(CALLS))
            raise self._wrong(node, f"there is no function {shown} for a loss{meant}")
        if home and ".".join(home) not in call.homes:
            raise self._wrong(node, f"there is no function {shown}; write {call.python}")
        return name, call

    def _call(self, node: ast.Call, depth: int) -> Program:
        name, call = self._called(node)
        order = [*call.values, *call.options]
        given: dict[str, ast.expr] = {}
        for place, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred):
                raise self._wrong(argument, "a star stands before no argument")
            if call.by_name:
                raise self._wrong(
                    argument, f"{name} takes its arguments by name: {', '.join(f'{part}=…' for part in order)}"
                )
            if place >= len(order):
                raise self._wrong(argument, f"{name} takes {text.plural(len(order), 'argument')}: {', '.join(order)}")
            given[order[place]] = argument
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._wrong(keyword, "two stars stand before no argument")
            if keyword.arg not in order:
                near = json_values.near(keyword.arg, order)
                raise self._wrong(keyword, f"{name} takes no argument {text.label(keyword.arg[:80])}{near}")
            if keyword.arg in given:
                raise self._wrong(keyword, f"the argument {keyword.arg} of {name} is given twice")
            given[keyword.arg] = keyword.value
        required = [*call.values, *(option for option, what in call.options.items() if what.required)]
        missing = [argument for argument in required if argument not in given]
        if missing:
            raise self._wrong(node, f"{name} lacks its argument {missing[0]}; it takes {', '.join(order)}")
        values = [self.step(given[argument], depth + 1)[0] for argument in call.values]
        options = {
            option: self._option(given[option], what.kind, option)
            for option, what in call.options.items()
            if option in given
        }
        return ["call", name, values, options]

    def _option(self, node: ast.expr, kind: str, name: str) -> Any:
        if kind == INT:
            return self._whole(node)
        if kind == NUMBER:
            negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
            inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
            if isinstance(inner, ast.Constant):
                number = self._number(inner)
                return -number if negative else number
            raise self._wrong(node, f"expected a number for {name}")
        if kind == FLAG:
            if isinstance(node, ast.Constant) and isinstance(node.value, bool):
                return node.value
            raise self._wrong(node, f"expected True or False for {name}")
        if kind == DTYPE:
            return self._dtype(node)
        assert kind in (AXIS, INTS)
        if isinstance(node, (ast.List, ast.Tuple)):
            if len(node.elts) > _MAX_AXES:
                raise self._wrong(node, f"expected at most {_MAX_AXES} numbers for {name}")
            return [self._whole(part) for part in node.elts]
        if kind == AXIS:
            return None if isinstance(node, ast.Constant) and node.value is None else self._whole(node)
        raise self._wrong(node, f"expected a list of whole numbers for {name}")

    def _whole(self, node: ast.expr) -> int:
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        value = inner.value if isinstance(inner, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, int) or value >= 2**31:
            raise self._wrong(node, "expected a whole number here, as it stands")
        return -value if negative else value

    def _dtype(self, node: ast.expr) -> str:
        name: Any = None
        if isinstance(node, ast.Constant):
            name = node.value
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tf":
            name = node.attr
        if name not in DTYPES:
            raise self._wrong(node, f"expected a dtype: tf.{', tf.'.join(DTYPES)}")
        return str(name)


# -- back --

_OPERATORS: dict[str, Any] = {name: kind for kind, name in (*_BINARY.items(), *_COMPARE.items())}


def python(program: Program) -> str:
    """A program as the expression that a script writes; `tf` is TensorFlow."""
    return ast.unparse(_expression(program))


def _expression(program: Program) -> ast.expr:
    kind = program[0]
    if kind == "number":
        return ast.Constant(program[1])
    if kind == "name":
        return ast.Name(program[1])
    if kind == "item":
        return ast.Subscript(_expression(program[1]), ast.Constant(program[2]))
    if kind == "index":
        parts = [_index(part) for part in program[2]]
        return ast.Subscript(_expression(program[1]), parts[0] if len(parts) == 1 else ast.Tuple(parts))
    if kind == "unary":
        return ast.UnaryOp(ast.USub(), _expression(program[2]))
    if kind == "binary":
        return ast.BinOp(_expression(program[2]), _OPERATORS[program[1]](), _expression(program[3]))
    if kind == "compare":
        return ast.Compare(_expression(program[2]), [_OPERATORS[program[1]]()], [_expression(program[3])])
    _, name, values, options = program
    call = CALLS[name]
    given = list(map(_expression, values))
    named = [ast.keyword(argument, value) for argument, value in zip(call.values, given, strict=True) if call.by_name]
    for option, value in options.items():
        literal = _dotted(f"tf.{value}") if call.options[option].kind == DTYPE else _literal(value)
        named.append(ast.keyword(option, literal))
    return ast.Call(_dotted(call.python), [] if call.by_name else given, named)


def _dotted(name: str) -> ast.expr:
    first, *rest = name.split(".")
    found: ast.expr = ast.Name(first)
    for part in rest:
        found = ast.Attribute(found, part)
    return found


def _literal(value: Any) -> ast.expr:
    return ast.List([ast.Constant(part) for part in value]) if isinstance(value, list) else ast.Constant(value)


def _index(part: Any) -> ast.expr:
    if part == "...":
        return ast.Constant(...)
    if isinstance(part, list):
        return ast.Slice(*(None if end is None else ast.Constant(end) for end in part[1:]))
    return ast.Constant(part)
