"""What TensorFlow keeps silent about: a model that loads, or half loads, though something in it leads nowhere.

Every sentence says what, how many, and the first of them, with names as they are stored.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.graph_lint import Flaws, GraphLint, Tally, short
from tfexplore.core.node_outputs import UNDESCRIBED, Nodes, Op
from tfexplore.core.op_defs import TABLE_VERSION, is_tensorflows
from tfexplore.core.shapes import Shape, format_shape
from tfexplore.core.value_lint import value_notes
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.graph_def import split_input
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.objects import ObjectGraph
    from tfexplore.core.signatures import TensorInfo
    from tfexplore.core.variables import Variable

_Cancel = threading.Event | None


def lint(meta_graph: MetaGraph, cancel: _Cancel = None) -> list[str]:
    """Sentences about what leads nowhere in one MetaGraph and in the files that belong to it; none for a good one.

    Takes time that grows with the graph: 1 to 2 µs a node, three times that
    where the nodes stand in no order in which they could run.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    found: list[str] = []
    for check in _CHECKS:
        try:
            found.extend(check(meta_graph, cancel))
        except ModelError:  # the damage has a sentence of its own, in `MetaGraph.damage` or its heading
            continue
    return found


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


# -- graphs --


def _graphs(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    functions, op_defs = meta_graph.functions, meta_graph.op_defs

    def has_function(name: str) -> bool:
        # SymbolicGradient and its like may name an op in place of a function.
        return functions.get(name) is not None or op_defs.find(name) is not None

    graph_lint = GraphLint(op_defs.find, has_function, cancel)
    main, inside, unreadable = Flaws(), Flaws(), Tally()
    # First, so that the main graph's names are given up before the functions' are read.
    missing = _missing_tensors(meta_graph, graph_lint.look(meta_graph.raw_nodes, main))
    decode = lean("FunctionDef").FromString
    for name in functions.names:
        function = functions.get(name)
        try:
            message = decode(function.serialized if function is not None else b"")
        except DecodeError:
            unreadable.add(short(name))
            continue
        graph_lint.look(
            message.node_def,
            inside,
            function=name,
            arguments=[arg.name for arg in message.signature.input_arg],
            returns=[entry.value for entry in message.ret],
            control_returns=[entry.value for entry in message.control_ret],
        )
    yield from _flaws(main, "of the main graph", "no node")
    if unreadable.count:
        yield f"{text.plural(unreadable.count, 'function')} cannot be read: {unreadable}"
    yield from _flaws(inside, "in functions", "neither node nor argument")
    calls = Tally()
    calls.add_all(main.calls)
    calls.add_all(inside.calls)
    if calls.count:
        yield f"{text.plural(calls.count, 'call')} of a function that the library does not have: {calls}"
    yield from _ops(meta_graph, graph_lint.ops)
    if missing.count:
        yield (
            f"{text.plural(missing.count, 'tensor')} that signatures name {_is(missing.count)} not in the graph: "
            f"{missing}"
        )


def _flaws(flaws: Flaws, where: str, nothing: str) -> Iterator[str]:
    if flaws.unreadable.count:
        yield f"{text.plural(flaws.unreadable.count, 'node')} {where} cannot be read: {flaws.unreadable}"
    if flaws.missing.count:
        verb = "names" if flaws.missing.count == 1 else "name"
        yield f"{text.plural(flaws.missing.count, 'input')} {where} {verb} {nothing}: {flaws.missing}"
    if flaws.outputs.count == 1:
        yield f"1 input {where} names an output that its node does not have: {flaws.outputs}"
    elif flaws.outputs.count:
        count = text.plural(flaws.outputs.count, "input")
        yield f"{count} {where} name outputs that their nodes do not have: {flaws.outputs}"
    if flaws.duplicates.count:
        verb = "occurs" if flaws.duplicates.count == 1 else "occur"
        yield f"{text.plural(flaws.duplicates.count, 'name')} {where} {verb} more than once: {flaws.duplicates}"
    if flaws.cycles:
        verb = "lies" if flaws.on_cycles.count == 1 else "lie"
        ways = "a cycle" if flaws.cycles == 1 else f"{flaws.cycles:,} cycles"
        yield f"{text.plural(flaws.on_cycles.count, 'node')} {where} {verb} on {ways}, so cannot run: {flaws.on_cycles}"


def _ops(meta_graph: MetaGraph, ops: dict[bytes, Op]) -> Iterator[str]:
    foreign, unknown = Tally(), Tally()
    for op in sorted(ops):
        name = text.decode(op)
        if ops[op] is UNDESCRIBED:
            unknown.add(short(name))
        elif meta_graph.functions.get(name) is None and not is_tensorflows(name):
            foreign.add(short(name))
    if foreign.count:
        yield (
            f"{text.plural(foreign.count, 'op')} {_is(foreign.count)} not among those of TensorFlow {TABLE_VERSION} "
            f"for CPUs: to run they need the library, the version or the build that has them: {foreign}"
        )
    if unknown.count:
        yield (
            f"{text.plural(unknown.count, 'op')} {_is(unknown.count)} known neither to TensorFlow {TABLE_VERSION} "
            f"for CPUs nor to the model's own list of ops: {unknown}"
        )


# -- signatures --


def _missing_tensors(meta_graph: MetaGraph, nodes: Nodes) -> Tally:
    """What signatures name and the main graph does not have."""
    missing = Tally()

    def has(tensor: str) -> bool:
        name, output, _ = split_input(tensor)
        position = nodes.find(text.encode(name))
        if position is None or not output.isdecimal() or len(output) > 9:
            return position is not None
        count = nodes.total(position)
        return count is None or int(output) < count

    for signature in meta_graph.signatures:
        for info in (*signature.inputs, *signature.outputs):
            for tensor in _tensors(info):
                if not has(tensor):
                    missing.add(f"{short(signature.name)}: {short(info.name)} is {short(tensor)}")
    return missing


def _tensors(info: TensorInfo) -> tuple[str, ...]:
    return info.sparse or info.components or ((info.tensor,) if info.tensor is not None else ())


# -- variables --


def _variables(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    checkpoint = meta_graph.checkpoint
    # With a damaged index any key may be missing; a sentence says so already.
    if checkpoint is None or checkpoint.bundle.damage:
        return
    if meta_graph.objects is not None and checkpoint.objects is None:
        return  # saved by names: nothing tells which key is whose
    without = [variable for variable in meta_graph.variables if variable.key is None]
    if meta_graph.objects is None and without:
        made = _made_on_loading(meta_graph, cancel)
        without = [variable for variable in without if variable.node is not None and variable.node not in made]
    if without:
        verb = "has" if len(without) == 1 else "have"
        yield f"{text.plural(len(without), 'variable')} {verb} no value in the checkpoint: {_first(without)}"
    different = Tally()

    @cache  # several variables may have one key
    def entry(key: str) -> tuple[int, tuple[int, ...], bool]:
        found = checkpoint.entry(key)
        return found.dtype, found.shape, bool(found.slices)

    @cache
    def beginning(dtype: int, shape: Shape) -> bytes:
        """Of an entry with that dtype and shape, as every writer makes it."""
        expected = lean("BundleEntryProto")(dtype=dtype)
        expected.shape.SetInParent()
        for size in shape or ():
            expected.shape.dim.add(size=-1 if size is None else size)
        return bytes(expected.SerializeToString())

    for variable in meta_graph.variables:
        shape, bundle = variable.shape, checkpoint.bundle
        if variable.key is not None and shape is not None and isinstance(bundle, Bundle):
            with suppress(ModelError):
                if bundle.starts_with(variable.key, beginning(variable.dtype % dtypes.REF, shape)):
                    continue
        case = _difference(variable, entry)
        if case:
            different.add(case)
    if different.count:
        verb = "differs" if different.count == 1 else "differ"
        yield f"{text.plural(different.count, 'variable')} {verb} from what the checkpoint holds: {different}"


def _first(variables: list[Variable]) -> Tally:
    found = Tally()
    for variable in variables:
        found.add(short(variable.name))
    return found


def _difference(variable: Variable, entry: Callable[[str], tuple[int, tuple[int, ...], bool]]) -> str:
    """How a variable's dtype or shape differs from its key's; empty where it does not, or nothing tells."""
    if variable.key is None or variable.slice_spec is not None or not variable.dtype:
        return ""
    try:
        dtype, shape, sliced = entry(variable.key)
    except ModelError:
        return ""
    if sliced or (dtype == variable.dtype % dtypes.REF and _fits(variable.shape, shape)):
        return ""
    ours = f"{dtypes.name(variable.dtype)} {format_shape(variable.shape)}"
    return f"{short(variable.name)} is {ours}, its key {dtypes.name(dtype)} {format_shape(shape)}"


def _fits(shape: Shape, stored: tuple[int, ...]) -> bool:
    if shape is None:
        return True
    return shape == stored or (
        len(shape) == len(stored)
        and all(size is None or size == found for size, found in zip(shape, stored, strict=True))
    )


def _made_on_loading(meta_graph: MetaGraph, cancel: _Cancel) -> set[str]:
    """Variable nodes of a TensorFlow 1 graph that need no value: local ones, and what the init op leads back to."""
    found: set[str] = set()
    local = meta_graph.collections.get("local_variables")
    decode = lean("VariableDef").FromString
    for raw in local.bytes_list.value if local is not None and local.WhichOneof("kind") == "bytes_list" else ():
        try:
            found.add(text.decode(decode(raw).variable_name).partition(":")[0])
        except DecodeError:
            continue
    graph = meta_graph.graph
    pending = [split_input(name)[0] for name in _init_ops(meta_graph)]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        position = graph.find(name)
        if position is not None:
            pending += [split_input(source)[0] for source in graph.node_or_blank(position).inputs]
    return found | seen | {graph.names[position] for position in graph.nodes_by_op("TemporaryVariable")}


def _init_ops(meta_graph: MetaGraph) -> Iterator[str]:
    """What TensorFlow's loader runs after it has restored the variables."""
    for signature in meta_graph.signatures:
        if signature.name == "__saved_model_init_op":
            yield from (info.tensor for info in signature.outputs if info.tensor)
    for name in ("saved_model_main_op", "legacy_init_op"):
        collection = meta_graph.collections.get(name)
        if collection is not None and collection.WhichOneof("kind") == "node_list":
            yield from map(text.decode, collection.node_list.value)


# -- what else belongs to it --


def _fingerprint(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    sidecars = meta_graph.sidecars
    if sidecars.fingerprint_problem:
        yield f"the fingerprint cannot be read: {sidecars.fingerprint_problem}"
    elif sidecars.fingerprint is not None and sidecars.checkpoint_check.matches is False:
        yield (
            "fingerprint.pb does not match variables.index: the variables are not those that were saved with the model"
        )


def _objects(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    if meta_graph.objects is not None:
        yield from _dangling(meta_graph.objects, "the object graph")
    stored = meta_graph.checkpoint.objects if meta_graph.checkpoint is not None else None
    if stored is not None:
        yield from _dangling(stored, "the checkpoint's object graph")


def _dangling(objects: ObjectGraph, where: str) -> Iterator[str]:
    if not objects.dangling:
        return
    named = Tally()
    for ref in objects.first_dangling:
        owner = short(objects.path(ref.owner) or f"object {ref.owner:,}")
        named.add(f"{short(ref.name)} of {owner} to object {ref.target:,}")
    if objects.dangling > named.count:
        named.add("", objects.dangling - named.count)
    verb = "leads" if objects.dangling == 1 else "lead"
    count = text.plural(objects.dangling, "reference")
    yield f"{count} of {where} {verb} to objects that do not exist: {named}"


def _assets(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    if meta_graph.sidecars.folder is None:
        return
    missing, outside = Tally(), Tally()
    for asset in meta_graph.assets:
        if asset.path is None:
            outside.add(short(asset.name))
        elif asset.nbytes is None or not os.path.isfile(asset.path):
            missing.add(short(asset.name))
    if missing.count:
        yield f"{text.plural(missing.count, 'asset')} {_is(missing.count)} missing: {missing}"
    if outside.count:
        verb = "leads" if outside.count == 1 else "lead"
        yield f"{text.plural(outside.count, 'asset name')} {verb} out of the assets folder: {outside}"


def _values(meta_graph: MetaGraph, cancel: _Cancel) -> Iterator[str]:
    if meta_graph.checkpoint is not None:
        yield from value_notes(meta_graph.checkpoint, cancel)


_CHECKS: tuple[Callable[[Any, _Cancel], Iterator[str]], ...] = (
    _graphs,
    _variables,
    _values,
    _fingerprint,
    _objects,
    _assets,
)
