"""From the variables of a restored model to checkpoint keys: what an export takes.

What restores the model (`tf.saved_model.load`, a session) knows a variable by its way through the objects or by its
name; the checkpoint knows it by a key, and a part of a partitioned one by a key and a slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.objects import ROOT
from tfexplore.core.variables import Variable
from tfexplore.errors import CorruptError, ModelError, UsageError
from tfexplore.formats.bundle import Bundle

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_MAX_WAYS = 10_000


def variable_at(meta_graph: MetaGraph, path: str | Sequence[str]) -> Variable:
    """The variable that a way through the objects leads to (TensorFlow 2).

    Args:
        path: attributes from the root on; or joined by `.`, as `MetaGraph.object_path` gives them, but any way will do.

    Raises:
        UsageError: it leads to no variable.
    """
    wanted = path if isinstance(path, str) else ".".join(path)
    by_id = {variable.object_id: variable for variable in meta_graph.variables if variable.object_id is not None}
    for node_id in _ends(meta_graph, path):
        if node_id in by_id:
            return by_id[node_id]
    raise UsageError(f"{meta_graph.path}: no variable lies at {text.label(wanted)}")


def _ends(meta_graph: MetaGraph, path: str | Sequence[str]) -> Iterator[int]:
    """Ids of the objects that a way leads to: attributes may hold dots, so a string may name several."""
    objects = meta_graph.objects
    if objects is None or not len(objects):
        return
    if path in (ROOT, "", ()):
        yield 0
        return
    names = path.split(".") if isinstance(path, str) else list(path)
    waiting = [(0, 0)]
    seen = set(waiting)
    while waiting and len(seen) < _MAX_WAYS:
        node_id, done = waiting.pop()
        if done == len(names):
            yield node_id
            continue
        ahead = {names[done]: done + 1}
        if isinstance(path, str):
            ahead = {".".join(names[done:end]): end for end in range(done + 1, len(names) + 1)}
        for name, child in objects.object(node_id).children:
            step = (child, ahead.get(name, 0))
            if step[1] and step not in seen:
                seen.add(step)
                waiting.append(step)


def variable_named(meta_graph: MetaGraph, name: str) -> Variable:
    """The variable of that name, with `:0` behind it or without; of several the one that functions use.

    Raises:
        UsageError: there is none, or none that can be told from the others.
    """
    plain = name.removesuffix(":0")
    found = [variable for variable in meta_graph.variables if variable.name == plain]
    if not found:
        raise UsageError(f"{meta_graph.path}: no variable is named {text.label(plain)}")
    used = [variable for variable in found if meta_graph.is_used(variable) is not False]
    if len(found) > 1 and len(used) != 1:
        raise UsageError(
            f"{meta_graph.path}: {len(found)} variables are named {text.label(plain)}; name the way to the one meant"
        )
    return used[0] if used else found[0]


def copies_of(meta_graph: MetaGraph, variable: Variable) -> tuple[Variable, ...]:
    """The other variables in which the model stores the same value again, and which nothing uses.

    Keras 3 exports store each variable so, under two keys and one name. A copy has the name, dtype, shape and
    checksum of the one variable of that name that functions use.
    """
    named = [one for one in meta_graph.variables if one.name == variable.name]
    return _copies(meta_graph, variable, named)


def _copies(meta_graph: MetaGraph, variable: Variable, named: Sequence[Variable]) -> tuple[Variable, ...]:
    """`copies_of`, among all variables of that name."""
    bundle = _checkpoint(meta_graph).bundle
    if meta_graph.is_used(variable) is not True or variable.key is None or not isinstance(bundle, Bundle):
        return ()
    same = [one for one in named if one.key not in (None, variable.key)]
    if any(meta_graph.is_used(one) is not False for one in same):
        return ()

    def facts(key: str | None) -> object:
        try:
            entry = bundle.entry(key or "")
        except ModelError:
            return None
        return None if entry.slices else (entry.dtype, entry.shape, entry.crc32c)

    wanted = facts(variable.key)
    return tuple([one for one in same if wanted is not None and facts(one.key) == wanted])


def values_by_key(
    meta_graph: MetaGraph, values: Iterable[tuple[Variable, Array]], *, copies: bool = True
) -> dict[str, Array]:
    """The values of variables, by the keys under which the checkpoint stores them.

    Parts of a partitioned variable are put together; parts that are not given keep what is stored.

    Args:
        copies: unused copies of a variable get its new value too, see `copies_of`.

    Raises:
        UsageError: a variable has no key or is given twice; a part does not fit.
        ModelError: the stored value of a partitioned variable cannot be read.
    """
    found: dict[str, Array] = {}
    given: set[tuple[str, str | None]] = set()
    for variable, value in values:
        what = f"{meta_graph.path}: the variable {text.label(variable.name)}"
        if variable.key is None:
            raise UsageError(f"{what} has no value in the checkpoint, so it cannot be given a new one")
        if (variable.key, variable.slice_spec) in given:
            raise UsageError(f"{what} is given twice, or another stands for the same key")
        given.add((variable.key, variable.slice_spec))
        if variable.slice_spec is None:
            found[variable.key] = value
            continue
        if variable.key not in found:
            found[variable.key] = _stored(meta_graph, variable.key)
        whole = found[variable.key]
        box = _box(variable.slice_spec, whole.shape, what)
        if whole[box].shape != value.shape or whole.dtype != value.dtype:
            part = f"{whole.dtype.name} {list(whole[box].shape)}"
            raise UsageError(f"{what} is {part}, and {value.dtype.name} {list(value.shape)} cannot take its place")
        whole[box] = value
    if copies:
        by_name: dict[str, list[Variable]] = {}
        for variable in meta_graph.variables:
            by_name.setdefault(variable.name, []).append(variable)
        for variable in meta_graph.variables:
            if variable.key in found and variable.slice_spec is None:
                for copy in _copies(meta_graph, variable, by_name[variable.name]):
                    found.setdefault(copy.key or "", found[variable.key])
    return found


def _checkpoint(meta_graph: MetaGraph) -> Checkpoint:
    if meta_graph.checkpoint is None:
        raise UsageError(f"{meta_graph.path}: there are no variables")
    return meta_graph.checkpoint


def _stored(meta_graph: MetaGraph, key: str) -> Array:
    value = _checkpoint(meta_graph).read(key)
    if value.checksum == "bad":
        raise CorruptError(
            f"the stored value of {text.label(key)} does not match its checksum", path=_checkpoint(meta_graph).prefix
        )
    return value.array


def _box(spec: str, shape: tuple[int, ...], what: str) -> tuple[slice, ...]:
    """The part that a slice specification names: `0,2:-`."""
    parts = spec.split(":") if spec else []
    box = []
    try:
        for part in parts:
            start, _, length = part.partition(",")
            box.append(slice(None) if part == "-" else slice(int(start), int(start) + int(length)))
    except ValueError:
        box = []
    whole = all((one.start or 0) >= 0 and (one.stop or 0) <= dim for one, dim in zip(box, shape, strict=False))
    if len(box) != len(shape) or not whole:
        raise UsageError(f"{what} is said to be the part {text.label(spec)} of {list(shape)}, which it cannot be")
    return tuple(box)
