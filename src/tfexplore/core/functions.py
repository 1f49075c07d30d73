"""The function library of a graph: FunctionDefs by name, each with a graph of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import shapes, text
from tfexplore.core.shapes import Shape
from tfexplore.errors import CorruptError
from tfexplore.formats import dtypes
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.salvage import salvage

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.op_defs import OpDefs


class Argument(NamedTuple):
    """An input or output argument of a function.

    Attributes:
        dtype: 0 where an attribute of the caller decides it.
        shape: from the argument's `_output_shapes` or the function's `_input_shapes` where stored.
        returns: for an output, the tensor in the body that it returns (`node:arg:0`).
    """

    name: str
    dtype: int
    shape: Shape = None
    shape_stored: bool = False
    returns: str | None = None


class Function:
    """One FunctionDef.

    Args:
        raw: the serialized FunctionDef.
        name: from its signature.
        op_defs: gives the place where the OpDefs of its nodes are looked up.
        path: the file, for errors.
    """

    def __init__(self, raw: bytes, name: str, op_defs: Callable[[], OpDefs], *, path: str) -> None:
        self._raw = raw
        self.name = name
        self._op_defs = op_defs
        self._path = path

    @property
    def serialized(self) -> bytes:
        """The FunctionDef's bytes."""
        return self._raw

    @cached_property
    def _read(self) -> tuple[Any, tuple[CorruptError, ...]]:
        return salvage(lean("FunctionDef"), self._raw, path=self._path, what="FunctionDef", offset=None)

    @property
    def _message(self) -> Any:
        return self._read[0]

    @property
    def damage(self) -> tuple[str, ...]:
        """A sentence for each part of it that cannot be read."""
        return tuple(map(str, self._read[1]))

    @cached_property
    def inputs(self) -> tuple[Argument, ...]:
        """The input arguments, in order."""
        stored = self._argument_shapes()
        return tuple(
            Argument(text.decode(arg.name), _argument_dtype(arg), *stored.get(position, (None, False)))
            for position, arg in enumerate(self._message.signature.input_arg)
        )

    @cached_property
    def outputs(self) -> tuple[Argument, ...]:
        """The output arguments, in order, with what each returns."""
        returns = {entry.key: text.decode(entry.value) for entry in self._message.ret}
        found = []
        for arg in self._message.signature.output_arg:
            source = returns.get(arg.name)
            tensor = self.graph.resolve(source).tensor if source is not None else None
            shape, stored = (tensor.shape, tensor.shape_stored) if tensor is not None else (None, False)
            found.append(Argument(text.decode(arg.name), _argument_dtype(arg), shape, stored, source))
        return tuple(found)

    @cached_property
    def graph(self) -> Graph:
        """The function's body."""
        from tfexplore.core.graph import Graph

        arguments = [(arg.name, arg.dtype, arg.shape, arg.shape_stored) for arg in self.inputs]
        return Graph(self._message.node_def, self._op_defs(), path=self._path, arguments=arguments, is_function=True)

    @property
    def attrs(self) -> dict[str, bytes]:
        """The function's own attributes, serialized AttrValues by name."""
        return {text.decode(entry.key): entry.value for entry in self._message.attr}

    @property
    def control_outputs(self) -> tuple[str, ...]:
        """Names of the nodes that must have run before the function returns."""
        return tuple(text.decode(entry.value) for entry in self._message.control_ret)

    @property
    def is_stateful(self) -> bool:
        """Whether its signature is marked stateful."""
        return bool(self._message.signature.is_stateful)

    def _argument_shapes(self) -> dict[int, tuple[Shape, bool]]:
        """Shapes by argument position: from `arg_attr` (map<uint32, ArgAttrs>), else from `_input_shapes`.

        TensorFlow's function_def_to_graph.py takes them in that order.
        """
        found: dict[int, tuple[Shape, bool]] = {}
        for entry in self._message.attr:
            if entry.key == b"_input_shapes":
                found.update((position, (shape, True)) for position, shape in enumerate(_listed_shapes(entry.value)))
        entry_class, attrs_class = lean("ArgAttrEntry"), lean("ArgAttrs")
        for raw in self._message.arg_attr:
            try:
                argument = entry_class.FromString(raw)
                attrs = attrs_class.FromString(argument.value).attr
            except DecodeError:
                continue
            for attr in attrs:
                if attr.key == b"_output_shapes":
                    for shape in _listed_shapes(attr.value)[:1]:
                        found[argument.key] = (shape, True)
        return found


def _listed_shapes(raw: bytes) -> list[Shape]:
    """The shapes in a serialized AttrValue, which holds a list or a single one; none where its bytes are damaged."""
    try:
        value = lean("AttrValue").FromString(raw)
    except DecodeError:
        return []
    if value.WhichOneof("value") == "shape":
        return [shapes.from_proto(value.shape)]
    return [shapes.from_proto(shape) for shape in value.list.shape]


def _argument_dtype(arg: Any) -> int:
    dtype: int = arg.type
    return dtype + dtypes.REF if arg.is_ref and 0 < dtype < dtypes.REF else dtype


def _rest(raw: bytes, path: str) -> Any | None:
    """What can be read of a damaged FunctionDef; None where its name cannot."""
    try:
        message, _ = salvage(lean("FunctionDef"), raw, path=path, what="FunctionDef", offset=None)
    except CorruptError:
        return None
    return message if message.signature.name else None


class Functions:
    """The function library: names at once, bodies on demand.

    Args:
        raw: serialized FunctionDefs, in file order.
        op_defs: gives the place where OpDefs are looked up; asked when a body is.
        path: the file, for errors.

    Attributes:
        damaged: a sentence for each FunctionDef that cannot be decoded; one whose name can be read is listed.
        num_nodes: how many nodes all functions have together.
        signatures: the functions' signatures (OpDef messages) by name.
    """

    def __init__(self, raw: Sequence[bytes], op_defs: Callable[[], OpDefs], *, path: str) -> None:
        head = lean("FunctionHead").FromString
        self._by_name: dict[str, Function] = {}
        self.damaged: list[str] = []
        self.num_nodes = 0
        self.signatures: dict[str, Any] = {}
        for position, function in enumerate(raw):
            try:
                message = head(function)
            except DecodeError:
                where = f"{path}: function {position:,} of the library"
                message = _rest(function, path)
                if message is None:
                    self.damaged.append(f"{where} is no readable FunctionDef")
                    continue
                name = text.label(text.decode(message.signature.name))
                self.damaged.append(f"{where}, {name}, is a damaged FunctionDef: parts of it are missing")
            name = text.decode(message.signature.name)
            self._by_name.setdefault(name, Function(function, name, op_defs, path=path))
            self.num_nodes += len(message.node_def)
            self.signatures.setdefault(name, message.signature)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> list[str]:
        """The functions' names, in file order."""
        return list(self._by_name)

    def get(self, name: str) -> Function | None:
        """The function of that name, or None."""
        return self._by_name.get(name)
