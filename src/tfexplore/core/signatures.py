"""SignatureDefs: what a MetaGraph takes and gives, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tfexplore.core import shapes, text
from tfexplore.core.natural import NaturalKey, natural_key
from tfexplore.core.shapes import Shape
from tfexplore.errors import CorruptError
from tfexplore.formats import parts
from tfexplore.formats.proto import lean


class TensorInfo(NamedTuple):
    """One input or output of a signature.

    Attributes:
        tensor: the tensor's name in the main graph (`serving_default_x:0`); None for a sparse or composite one.
        sparse: for a SparseTensor, the names of its values, indices and dense_shape tensors.
        components: for any other composite (a ragged one), the names of its parts.
    """

    name: str
    tensor: str | None
    dtype: int
    shape: Shape
    sparse: tuple[str, str, str] | None = None
    components: tuple[str, ...] | None = None


class Signature(NamedTuple):
    """One SignatureDef; `defaults` are serialized TensorProtos by input name.

    `what` is what sentences call it: a function's trace is looked at as if it were one.
    """

    name: str
    method_name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    defaults: dict[str, bytes]
    what: str = "signature"

    @property
    def called(self) -> str:
        """What a sentence calls it: `the signature embed`."""
        return f"the {self.what} {text.label(self.name)}"


def _components(info: Any) -> Iterable[str]:
    for part in info.composite_tensor.components:
        if part.WhichOneof("encoding") == "composite_tensor":
            yield from _components(part)
        else:
            yield text.decode(part.name)


def tensor_info(name: str, info: Any) -> TensorInfo:
    """The record of a lean TensorInfo message."""
    shape = shapes.from_proto(info.tensor_shape)
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        coo = info.coo_sparse
        names = (coo.values_tensor_name, coo.indices_tensor_name, coo.dense_shape_tensor_name)
        values, indices, dense_shape = map(text.decode, names)
        return TensorInfo(name, None, info.dtype, shape, sparse=(values, indices, dense_shape))
    if encoding == "composite_tensor":
        return TensorInfo(name, None, info.dtype, shape, components=tuple(_components(info)))
    return TensorInfo(name, text.decode(info.name), info.dtype, shape)


def _infos(entries: Any, path: str, where: str, damaged: list[str]) -> tuple[TensorInfo, ...]:
    found: dict[str, TensorInfo] = {}
    for entry in entries:
        name = text.decode(entry.key)
        try:
            message = parts.decode(lean("TensorInfo"), entry.value, path=path, what="TensorInfo", offset=None)
        except CorruptError as error:
            damaged.append(f"{where}, {text.label(name)}: {error}")
            continue
        found[name] = tensor_info(name, message)
    return tuple(sorted(found.values(), key=lambda info: natural_key(info.name)))


def signatures(entries: Any, *, path: str) -> tuple[tuple[Signature, ...], tuple[str, ...]]:
    """All signatures of a MetaGraph: `serving_default`, the others in natural order, then TensorFlow's own (`__…`).

    Of entries with one name the last counts, as in a map.

    Returns:
        The signatures that can be read, and a sentence for each part that cannot.
    """
    found: dict[str, Signature] = {}
    damaged: list[str] = []
    for entry in entries:
        name = text.decode(entry.key)
        where = f"signature {text.label(name)}"
        try:
            message = parts.decode(lean("SignatureDef"), entry.value, path=path, what="SignatureDef", offset=None)
        except CorruptError as error:
            damaged.append(f"{where}: {error}")
            continue
        found[name] = Signature(
            name,
            text.decode(message.method_name),
            _infos(message.inputs, path, where, damaged),
            _infos(message.outputs, path, where, damaged),
            {text.decode(default.key): default.value for default in message.defaults},
        )
    return tuple(sorted(found.values(), key=_order)), tuple(damaged)


def _order(signature: Signature) -> tuple[bool, bool, NaturalKey]:
    return signature.name.startswith("__"), signature.name != "serving_default", natural_key(signature.name)
