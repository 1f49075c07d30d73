"""Where the values of a tensor come from: a checkpoint key, a Const node, an output of a prediction.

One surface for all of them: a box of the values, or all of them piece by piece.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.subjects import ArgumentSubject, KeySubject, NodeSubject, Subject, TensorSubject, VariableSubject
from tfexplore.errors import CorruptError, UnsupportedError, UsageError
from tfexplore.formats import dtypes, tensor_proto
from tfexplore.formats.bundle_entry import named
from tfexplore.formats.graph_def import split_input
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.formats.bundle_values import Checksum, TensorValue

Progress = Callable[[int, int], None]
Room = Callable[[int], "np.ndarray"]

# The most bytes that one `read` may take in memory.
MAX_READ = 64 << 20
# Bytes of a piece of a value that is in memory already, and of all that a constant may claim to be.
_PIECE = 1 << 20
_MAX_CONSTANT = 1 << 28
# How many names are looked at for the nearest one, how many are compared letter by letter, and how many letters.
_MAX_SEARCHED, _MAX_NEAR, _MAX_COMPARED = 200_000, 500, 200


class TensorSource(Protocol):
    """The values of one tensor.

    Attributes:
        name: as stored, not made visible.
        dtype: the DataType as stored.
        shape: of the whole tensor.
        nbytes: bytes that the values take where they are stored; None where that is not known.
        checksum: `good` or `bad` once all values were read, while the files stay what they were; else `unverified`,
            as always where no checksum is stored (graphs, predictions).
    """

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def nbytes(self) -> int | None: ...
    @property
    def checksum(self) -> Checksum: ...

    def read(
        self,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        """The box of the values that begins at `starts` and has the shape `counts`; without them all.

        Raises:
            ModelError: the values cannot be read, or take more than MAX_READ bytes.
            UsageError: the box does not lie within the tensor.
            Cancelled: `cancel` was set.
        """
        ...

    def pieces(
        self,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        room: Room | None = None,
    ) -> Iterator[np.ndarray]:
        """All values in flat pieces of at most 8 MiB (but for one long string), in C order.

        When the last has been taken, `checksum` tells what the stored checksum says.

        Args:
            progress: called with the bytes done and the bytes in all.
            room: gives memory (uint8) for so many bytes of a piece, called in the thread that takes the piece; what it
                gave before may be written over. Without it each piece has its own.

        Raises:
            ModelError: the values cannot be read; ChangedError: the files were replaced meanwhile, begin again.
            Cancelled: `cancel` was set.
        """
        ...


class KeySource:
    """The value of a checkpoint key.

    Raises:
        ModelError: there is no such key, or its entry is damaged.
    """

    def __init__(self, checkpoint: Checkpoint, key: str) -> None:
        self.checkpoint = checkpoint
        self.name = self.key = key
        stored = checkpoint.stored(key)
        self.dtype, self.shape, self.nbytes = stored.dtype, stored.shape, stored.nbytes

    @property
    def checksum(self) -> Checksum:
        return self.checkpoint.checksum_of(self.key)

    def read(
        self,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        return self.checkpoint.read(self.key, starts, counts, limit=MAX_READ, cancel=cancel)

    def pieces(
        self,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        room: Room | None = None,
    ) -> Iterator[np.ndarray]:
        yield from self.checkpoint.stream(self.key, cancel, progress, room)


class ArraySource:
    """Values that are in memory: an output of a prediction.

    Args:
        array: in C order; strings as `bytes` in an object array.
        dtype: the DataType; without one it is told by the array.
    """

    checksum: Checksum = "unverified"

    def __init__(self, name: str, array: np.ndarray, dtype: int | None = None) -> None:
        self.name = name
        self.array = array
        self.dtype = dtypes.of_numpy(array.dtype) if dtype is None else dtype
        self.shape: tuple[int, ...] = array.shape
        self.nbytes = None if array.dtype == object else array.nbytes

    def read(
        self,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        from tfexplore.formats.bundle_values import TensorValue

        first, sizes = _box(self, starts, counts)
        box = tuple([slice(start, start + size) for start, size in zip(first, sizes, strict=True)])
        return TensorValue(self.array[box or ...], "unverified", self.dtype, self.shape, first)

    def pieces(
        self,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        room: Room | None = None,
    ) -> Iterator[np.ndarray]:
        flat = self.array.reshape(-1)
        size = max(1, _PIECE // max(1, flat.itemsize))
        for start in range(0, flat.size, size):
            check_cancel(cancel)
            yield flat[start : start + size]
            if progress is not None:
                progress(min(start + size, flat.size) * flat.itemsize, flat.size * flat.itemsize)


class ConstSource:
    """The value of a Const node; a value that few stored elements stand for is not expanded.

    Args:
        name: of the tensor.
        message: its TensorProto.
        path: the file it is in, for errors.

    Raises:
        CorruptError, UnsupportedError: it is no complete value of a dtype that can be shown.
    """

    checksum: Checksum = "unverified"

    def __init__(self, name: str, message: Any, *, path: str) -> None:
        self.name = name
        self.path = path
        self.dtype: int = message.dtype
        shape = tensor_proto.dims(message)
        if shape is None:
            raise CorruptError(f"the constant {named(name)} has no complete shape", path=path)
        self.shape = shape
        self._total = math.prod(shape)
        self.nbytes = self._total * dtypes.itemsize(message.dtype) or message.ByteSize()
        number = dtypes.base(message.dtype)
        if not dtypes.is_known(number) or number in (dtypes.RESOURCE, dtypes.VARIANT):
            raise UnsupportedError(f"a constant of dtype {dtypes.name(number)} holds no values to show", path=path)
        if len(shape) > tensor_proto.MAX_DIMS or math.prod(filter(None, shape)) >= 1 << 59:
            raise UnsupportedError("a constant's dimensions are larger than can be shown", path=path)
        if message.tensor_content or not self._total:
            self._stored = tensor_proto.to_array(message, path=path).reshape(-1)
            return
        self._stored = tensor_proto.stored(message, number, path)
        if len(self._stored) > self._total:
            raise CorruptError(
                f"a constant holds {len(self._stored):,} values where its shape asks for {self._total:,}", path=path
            )
        if not len(self._stored):  # nothing stored means zeros, or empty strings
            import numpy as np

            self._stored = np.full(1, b"" if number == dtypes.STRING else 0, self._stored.dtype)

    def read(
        self,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        import numpy as np

        from tfexplore.formats.bundle_values import TensorValue

        first, sizes = _box(self, starts, counts)
        box = tuple([slice(start, start + size) for start, size in zip(first, sizes, strict=True)])
        if len(self._stored) == self._total:
            array = self._stored.reshape(self.shape)[box or ...]
        else:
            if math.prod(sizes) * max(8, self._stored.itemsize) > MAX_READ:
                raise UnsupportedError(
                    f"{math.prod(sizes):,} elements are more than are read at once",
                    path=self.path,
                    hint="read a slice of it",
                )
            places = np.zeros(sizes, np.int64)
            stride = self._total
            for axis, (start, size, dim) in enumerate(zip(first, sizes, self.shape, strict=True)):
                stride //= max(dim, 1)
                along = [1] * len(sizes)
                along[axis] = size
                places += (np.arange(start, start + size, dtype=np.int64) * stride).reshape(along)
            array = self._stored[np.minimum(places, len(self._stored) - 1)]
        return TensorValue(array, "unverified", self.dtype, self.shape, first)

    def pieces(
        self,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        room: Room | None = None,
    ) -> Iterator[np.ndarray]:
        import numpy as np

        itemsize = dtypes.itemsize(self.dtype) or 16
        if self._total * itemsize > max(_MAX_CONSTANT, self._stored.nbytes):
            raise UnsupportedError(
                f"the constant {named(self.name)} claims {self._total:,} elements, too many to go through",
                path=self.path,
                hint="read a slice of it",
            )
        size = _PIECE // itemsize
        for start in range(0, self._total, size):
            check_cancel(cancel)
            count = min(size, self._total - start)
            piece = self._stored[start : start + count]
            if len(piece) < count:
                last = np.full(count - len(piece), self._stored[-1], self._stored.dtype)
                piece = np.concatenate((piece, last))
            yield piece
            if progress is not None:
                progress((start + count) * itemsize, self._total * itemsize)


def _box(
    source: TensorSource, starts: Sequence[int] | None, counts: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    from tfexplore.formats.bundle_entry import BundleEntry
    from tfexplore.formats.bundle_values import box_of

    box = box_of(BundleEntry(source.name, source.dtype, source.shape, 0, 0, 0, 0, ()), starts, counts)
    return box.starts, box.counts


def source_of(subject: Subject) -> TensorSource | None:
    """The values of what a row of the tree stands for; None where it has none.

    Raises:
        ModelError: there should be some, but they cannot be read.
    """
    if isinstance(subject, KeySubject):
        return KeySource(subject.checkpoint, subject.key)
    if isinstance(subject, VariableSubject):
        checkpoint, key = subject.meta_graph.checkpoint, subject.variable.key
        return None if checkpoint is None or key is None else KeySource(checkpoint, key)
    if isinstance(subject, NodeSubject | TensorSubject):
        name = subject.graph.names[subject.position]
        return const_source(subject) or _variable_behind(subject.meta_graph, subject.function, name)
    if isinstance(subject, ArgumentSubject) and subject.is_input:
        return _variable_behind(subject.meta_graph, subject.function, subject.argument.name)
    return None


def _variable_behind(owner: MetaGraph, function: str | None, spelled: str) -> TensorSource | None:
    """The stored value of the one variable whose value or handle a tensor is."""
    from tfexplore.core.origins import Origins

    found = Origins(owner).variables(function, spelled)
    return source_of(VariableSubject(owner, found[0])) if len(found) == 1 else None


def const_source(subject: NodeSubject | TensorSubject) -> ConstSource | None:
    """The value of a Const node; None for any other node.

    Raises:
        ModelError: its value cannot be read.
    """
    graph = subject.graph
    if graph.ops[subject.position] != "Const":
        return None
    value = graph.node(subject.position).attr("value")
    if value is None or value.WhichOneof("value") != "tensor":
        return None
    path = subject.meta_graph.path
    message = tensor_proto.decode_tensor(value.tensor, path=path)
    return ConstSource(graph.names[subject.position], message, path=path)


# -- by name --


def find_tensor(
    model: Model, name: str, *, tags: Sequence[str] | None = None, function: str | None = None
) -> TensorSource:
    """The tensor that a person names: a checkpoint key, a variable, or a constant as `x` or `x:0`, in that order.

    Args:
        tags: the MetaGraph; None for the one that is shown by default.
        function: a function whose constants are meant in place of those of the main graph.

    Raises:
        UsageError: there is none, says which names come near; or no such tag-set or function.
        ModelError: it is there, but cannot be read.
    """
    if model.kind == COLLECTION:
        from tfexplore.core.collection import several

        raise UsageError(several(model))
    owner = model.meta_graph(tags) if model.meta_graphs or tags is not None else None
    checkpoint = model.checkpoint
    if function is None:
        if checkpoint is not None and checkpoint.has(name):
            return KeySource(checkpoint, name)
        found = None if owner is None else _variable_source(owner, name)
        if found is not None:
            return found
    constant = None if owner is None else _named_constant(owner, name, function)
    if constant is not None:
        return constant
    raise UsageError(_not_found(model, owner, name, function))


def _variable_source(owner: MetaGraph, name: str) -> TensorSource | None:
    """The value of the variable of that name; `v:0` is `v`."""
    bare = name.removesuffix(":0")
    found = [variable for variable in owner.variables if variable.name in (name, bare)]
    if not found:
        return None
    keys = {variable.key: None for variable in found if variable.key is not None}
    if len(keys) > 1:
        listed = ", ".join(text.label(key) for key in [*keys][:3])
        raise UsageError(f"{len(keys):,} variables are named {named(name)}; name the key: {listed}")
    if not keys or owner.checkpoint is None:
        raise UsageError(f"the variable {named(name)} has no value: its checkpoint is missing or holds none")
    return KeySource(owner.checkpoint, next(iter(keys)))


def _named_constant(owner: MetaGraph, name: str, function: str | None) -> TensorSource | None:
    graph = owner.graph
    if function is not None:
        body = owner.functions.get(function)
        if body is None:
            raise UsageError(f"there is no function {named(function)}; `show PATH functions` lists them")
        graph = body.graph
    node, output, control = split_input(name)
    position = None if control else graph.find(node)
    if position is None:
        return None
    found = const_source(NodeSubject(owner, graph, function, position))
    if found is None:
        raise UsageError(
            f"{named(node)} is a node of the op {graph.ops[position]}, whose value is not stored; "
            "checkpoint keys, variables and constants have values"
        )
    if output.rpartition(":")[2] not in ("", "0"):
        raise UsageError(f"{named(node)} is a constant and has only the output 0, not {named(name)}")
    return found


def _not_found(model: Model, owner: MetaGraph | None, name: str, function: str | None) -> str:
    near: list[str] = []
    if function is None and model.checkpoint is not None:
        near += _near(name, model.checkpoint.keys)
    if function is None and owner is not None:
        near += _near(name, [variable.name for variable in owner.variables])
    if owner is not None:
        body = owner.functions.get(function) if function is not None else None
        graph = owner.graph if body is None else body.graph
        near += _near(name.partition(":")[0], [graph.names[place] for place in graph.nodes_by_op("Const")])
    near = list(dict.fromkeys(near))[:3]
    hint = f"the nearest: {', '.join(map(text.label, near))}" if near else "`show PATH keys` lists what has values"
    return f"{model.path} has no checkpoint key, variable or constant {named(name)}; {hint}"


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Up to three of the first names that are like `name`; those that hold it, or its last part, come first."""
    import difflib

    wanted = name[:_MAX_COMPARED]
    last = wanted.rpartition("/")[2]
    holding = [other for other in known[:_MAX_SEARCHED] if wanted in other or (last and last in other)]
    pool = [other[:_MAX_COMPARED] for other in (*holding[:_MAX_NEAR], *known[:_MAX_NEAR])]
    return difflib.get_close_matches(wanted, list(dict.fromkeys(pool)), 3, 0.4) or holding[:3]
