"""Search over the names of a model: hits in batches, as they are found.

Names are made visible and joined some thousands at a time, and searched as one text: no index is
built and none is kept.
Filters (`op:`, `dtype:`, `shape:`, `attr:`) look only at what has a fitting name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tfexplore.core.natural import natural_key
from tfexplore.core.pattern import joined
from tfexplore.core.query import Facts, Like, Query, Value
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.graph import Graph, Tensor
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.core.objects import ObjectGraph

T = TypeVar("T")

SIGNATURE, VARIABLE, KEY, FUNCTION, OBJECT = "signature", "variable", "key", "function", "object"
NODE, TENSOR = "node", "tensor"
KINDS = (SIGNATURE, VARIABLE, KEY, FUNCTION, OBJECT, NODE, TENSOR)
# A tensor's name is its node's and a number: both would be found.
WHAT = KINDS[:-1]

EXACT, COMPONENT, PREFIX, ELSEWHERE = range(4)
_BATCH = 4096
# Names of megabytes are searched fewer at a time.
_MAX_CHARACTERS = 4 << 20
_MAX_HITS = 1000
_SECONDS = 0.05
# Producers that are followed from level to level of `A > B > C`.
_MAX_LEVEL = 1000
_VALUE_SUFFIX = "/.attributes/variable_value"


class Hit(NamedTuple):
    """Something whose name fits.

    Attributes:
        kind: one of `KINDS`.
        name: as stored; of a tensor with its number.
        rank: `EXACT`, `COMPONENT` (the last part of the name begins so), `PREFIX` or `ELSEWHERE`.
        function: the function in whose body a node or tensor is; None for the main graph.
        ref: where it is: the position of a node (of a tensor its producer, -1 for a function's argument), of a
            signature, variable, key or function in its list, the id of an object.
    """

    kind: str
    name: str
    rank: int
    function: str | None
    ref: int


class _Source(NamedTuple):
    """Things of one kind: (names, refs) in chunks, and what filters look at."""

    kind: str
    chunks: Iterable[tuple[Sequence[str], Sequence[int]]]
    facts: Callable[[int, str], Facts] | None = None
    function: str | None = None
    ops: Sequence[str] | None = None


def search(
    model: Model,
    query: Query,
    *,
    what: Collection[str] = WHAT,
    tag_set: tuple[str, ...] | None = None,
    function: str | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[list[Hit]]:
    """What fits, the best of each batch first; a batch has up to about a thousand hits, and comes after 50 ms.

    Args:
        what: which kinds of things; of nodes and tensors those in functions' bodies follow the main graph's.
        tag_set: which MetaGraph; see `Model.meta_graph`.
        function: only nodes and tensors in the body of this one.
        cancel: ends it.

    Raises:
        UsageError: there is no such tag-set or function.
        Cancelled: `cancel` was set.
    """
    if query.is_empty:
        return
    hits: list[Hit] = []
    told = time.monotonic()
    for source in _sources(model, query, what, tag_set, function, cancel):
        for found in _hits_of(source, query, cancel):
            hits += found
            now = time.monotonic()
            if len(hits) >= _MAX_HITS or (hits and now - told > _SECONDS):
                hits.sort(key=lambda hit: hit.rank)
                for start in range(0, len(hits), _MAX_HITS):
                    yield hits[start : start + _MAX_HITS]
                hits, told = [], time.monotonic()
    if hits:
        hits.sort(key=lambda hit: hit.rank)
        yield hits


def _hits_of(source: _Source, query: Query, cancel: threading.Event | None) -> Iterator[list[Hit]]:
    if query.has_filters and source.facts is None:
        return
    kind, function, ops, facts = source.kind, source.function, source.ops, source.facts
    wanted_ops: set[str] | None = None
    if query.ops and ops is not None:
        wanted_ops = {op for op in set(ops) if all(like.accepts(op) for like in query.ops)}
    rank = _ranking(query)
    for names, refs in source.chunks:
        check_cancel(cancel)
        numbers: Iterable[int] = fitting(query, names)
        if wanted_ops is not None and ops is not None:
            numbers = [number for number in numbers if refs[number] >= 0 and ops[refs[number]] in wanted_ops]
        if facts is not None and query.has_filters:
            numbers = _filtered(query, facts, names, refs, numbers, cancel)
        found = [Hit(kind, names[number], rank(names[number]), function, refs[number]) for number in numbers]
        yield found


def _filtered(
    query: Query,
    facts: Callable[[int, str], Facts],
    names: Sequence[str],
    refs: Sequence[int],
    numbers: Iterable[int],
    cancel: threading.Event | None,
) -> Iterator[int]:
    for number in numbers:
        check_cancel(cancel)
        if query.accepts(facts(refs[number], names[number])):
            yield number


def fitting(query: Query, names: Sequence[str]) -> Sequence[int]:
    """The places of the names that a query's words and patterns find; the filters are not asked."""
    if not query.words and not query.patterns:
        return range(len(names))
    if len(names) > 1 and sum(map(len, names)) > _MAX_CHARACTERS:
        half = len(names) // 2
        return [*fitting(query, names[:half]), *(half + number for number in fitting(query, names[half:]))]
    return query.lines(joined(names), len(names))


def matching(
    items: Iterable[T], query: Query, name: Callable[[T], str], facts: Callable[[T], Facts] | None = None
) -> Iterator[T]:
    """The items that fit, in their order."""
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        for number in fitting(query, list(map(name, batch))):
            if facts is None or query.accepts(facts(batch[number])):
                yield batch[number]


def _ranking(query: Query) -> Callable[[str], int]:
    """How well a name fits, by the first word; without words all fit alike."""
    if not query.words:
        return lambda name: ELSEWHERE
    word, exact = query.words[0]

    def rank(name: str) -> int:
        if not exact:
            name = name.casefold()
        if name == word:
            return EXACT
        if name.startswith(word, name.rfind("/") + 1):
            return COMPONENT
        if name.startswith(word):
            return PREFIX
        return ELSEWHERE

    def rank_of_key(name: str) -> int:
        return rank(name[: -len(_VALUE_SUFFIX)] if name[-len(_VALUE_SUFFIX) :].casefold() == _VALUE_SUFFIX else name)

    return rank_of_key


# -- what is searched --


def _chunks(names: Sequence[str], refs: Sequence[int] | None = None) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        yield part, range(start, start + len(part)) if refs is None else refs[start : start + _BATCH]


def _sources(
    model: Model,
    query: Query,
    what: Collection[str],
    tag_set: tuple[str, ...] | None,
    function: str | None,
    cancel: threading.Event | None,
) -> Iterator[_Source]:
    owner = model.meta_graph(tag_set) if model.meta_graphs else None
    checkpoint = model.checkpoint
    if function is not None:
        if owner is None or owner.functions.get(function) is None:
            raise UsageError(f"{model.path}: there is no function of that name")
        yield from _graph_sources(owner, function, what, cancel)
        return
    if owner is not None:
        if SIGNATURE in what:
            yield _signatures(owner)
        if VARIABLE in what:
            yield _variables(owner)
    if checkpoint is not None and KEY in what:
        yield _keys(checkpoint, query, cancel)
    if owner is not None and FUNCTION in what:
        yield _Source(FUNCTION, _chunks(owner.functions.names))
    if OBJECT in what:
        yield from _objects(owner, checkpoint)
    if owner is not None and (NODE in what or TENSOR in what):
        yield from _graph_sources(owner, None, what, cancel)
        for name in sorted(owner.functions.names, key=natural_key):
            yield from _graph_sources(owner, name, what, cancel)


def _signatures(owner: MetaGraph) -> _Source:
    found = owner.signatures

    def facts(ref: int, _: str) -> Facts:
        infos = (*found[ref].inputs, *found[ref].outputs)
        return Facts(values=lambda: [Value(info.dtype, info.shape) for info in infos])

    return _Source(SIGNATURE, _chunks([signature.name for signature in found]), facts)


def _variables(owner: MetaGraph) -> _Source:
    found = owner.variables

    def facts(ref: int, _: str) -> Facts:
        return Facts(values=lambda: [Value(found[ref].dtype, found[ref].shape)])

    return _Source(VARIABLE, _chunks([variable.name for variable in found]), facts)


def key_facts(checkpoint: Checkpoint, key: str) -> Facts:
    """Dtype and shape of a checkpoint key, which a damaged entry does not tell."""

    def values() -> Iterable[Value]:
        try:
            stored = checkpoint.stored(key)
        except ModelError:
            return ()
        return (Value(stored.dtype, stored.shape),)

    return Facts(values=values)


def _keys(checkpoint: Checkpoint, query: Query, cancel: threading.Event | None) -> _Source:
    if not query.asks_values:
        checkpoint.bundle.load(cancel)
        return _Source(KEY, _chunks(checkpoint.keys), lambda _, key: key_facts(checkpoint, key))
    # The columns of a block tell dtypes and shapes a hundred times faster than entries asked for one by one.
    heads: dict[int, Any] = {}

    def chunks() -> Iterator[tuple[Sequence[str], Sequence[int]]]:
        before = 0
        for batch in checkpoint.iter_batches(cancel):
            for start in range(0, len(batch.keys), _BATCH):
                part = batch.keys[start : start + _BATCH]
                refs = range(before + start, before + start + len(part))
                heads.clear()
                heads.update(zip(refs, batch.heads[start : start + _BATCH], strict=True))
                yield part, refs
            before += len(batch.keys)

    def facts(ref: int, key: str) -> Facts:
        head = heads[ref]
        if head is None:
            return key_facts(checkpoint, key)
        return Facts(values=lambda: (Value(head.dtype, head.shape),))

    return _Source(KEY, chunks(), facts)


def _objects(owner: MetaGraph | None, checkpoint: Checkpoint | None) -> Iterator[_Source]:
    objects: ObjectGraph | None = None
    if owner is not None:
        objects = owner.objects
    elif checkpoint is not None:
        try:
            objects = checkpoint.objects
        except ModelError:  # a note says so
            return
    if objects is None:
        return
    ids, place = objects.everything, objects.place

    def chunks() -> Iterator[tuple[Sequence[str], Sequence[int]]]:
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            yield list(map(place, part)), part

    yield _Source(OBJECT, chunks())


def node_facts(graph: Graph, position: int, number: int | None = None) -> Facts:
    """Of a node, or of its output `number`."""

    def values() -> Iterable[Value]:
        outputs = graph.outputs(position) if number is None else [graph.output(position, number)]
        return [Value(tensor.dtype, tensor.shape, tensor.shape_stored) for tensor in outputs]

    def follows(ops: Sequence[Like]) -> bool:
        return _follows(graph, position, ops)

    return Facts(graph.ops[position], values, lambda: graph.node_or_blank(position), follows)


def _follows(graph: Graph, position: int, ops: Sequence[Like]) -> bool:
    """Whether edges lead to a node from nodes of these ops, the nearest first."""
    level = {position}
    for like in ops:
        before: set[int] = set()
        for at in level:
            for name in graph.node_or_blank(at).inputs:
                found = graph.resolve(name) if not name.startswith("^") else None
                producer = found.producer if found is not None else None
                if producer is not None and like.accepts(graph.ops[producer]):
                    before.add(producer)
            if len(before) > _MAX_LEVEL:
                break
        level = before
        if not level:
            return False
    return True


def _graph_sources(
    owner: MetaGraph, function: str | None, what: Collection[str], cancel: threading.Event | None
) -> Iterator[_Source]:
    if function is None:
        graph = owner.graph
    else:
        found = owner.functions.get(function)
        if found is None:
            return
        try:
            graph = found.graph
        except ModelError:  # a note says so
            return
    graph.load(cancel)
    if NODE in what:
        yield _Source(NODE, _chunks(graph.names), lambda ref, _: node_facts(graph, ref), function, graph.ops)
    if TENSOR in what:
        yield _Source(TENSOR, tensor_chunks(graph), lambda ref, name: _output_facts(graph, ref, name), function)


def tensor_chunks(graph: Graph) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
    """Names of a graph's tensors, with the positions of their producers; -1 for the arguments, which come first."""
    names = [f"{name}:0" for name in graph.argument_names]
    refs = [-1] * len(names)
    count = graph.output_count
    for position, node in enumerate(graph.names):
        outputs = count(position)
        if outputs == 1:
            names.append(f"{node}:0")
            refs.append(position)
        elif outputs:
            names += [f"{node}:{number}" for number in range(outputs)]
            refs += [position] * outputs
        if len(names) >= _BATCH:
            yield names, refs
            names, refs = [], []
    if names:
        yield names, refs


def _output_facts(graph: Graph, ref: int, name: str) -> Facts:
    if ref >= 0:
        return node_facts(graph, ref, int(name.rpartition(":")[2]))
    tensor = graph.argument(name.removesuffix(":0"))
    return Facts() if tensor is None else tensor_facts(graph, tensor)


def tensor_facts(graph: Graph, tensor: Tensor) -> Facts:
    """Of a tensor of that graph: its producer's op and attributes, and what it is itself."""
    position = tensor.node
    node = None if position is None else lambda: graph.node_or_blank(position)
    return Facts(tensor.op, lambda: (Value(tensor.dtype, tensor.shape, tensor.shape_stored),), node)
