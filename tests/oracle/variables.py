"""Variables, and the join variable - checkpoint key: as stored, as restored by TensorFlow's graph, as loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

from oracle.checkpoints import same_bits
from oracle.protos import rows, shape_of
from oracle.sheet import Sheet, Tally, first_line
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import Model
from tfexplore.core.variables import Variable
from tfexplore.formats import dtypes

_VARIABLE_OPS = ("VarHandleOp", "VariableV2", "Variable", "TemporaryVariable", "AutoReloadVariable")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_PASSED_ON = ("Identity", "Reshape", "Cast")
_COLLECTIONS = ("variables", "trainable_variables", "local_variables", "model_variables", "moving_average_variables")


def compare_stored_variables(sheet: Sheet, model: Model, ours: MetaGraph, theirs: Any, tf: Any) -> None:
    """The SavedVariables of the object graph as TensorFlow parsed it (TensorFlow 2)."""
    graph = theirs.object_graph_def
    captured: dict[int, list[str]] = {}
    for name, function in graph.concrete_functions.items():
        for node_id in function.bound_inputs:
            captured.setdefault(node_id, []).append(name)
    expected = {
        node_id: node.variable for node_id, node in enumerate(graph.nodes) if node.WhichOneof("kind") == "variable"
    }
    found = {variable.object_id: variable for variable in ours.variables}
    tally = sheet["variables"]
    tally.same("objects that are variables", [variable.object_id for variable in ours.variables], list(expected))
    for node_id, message in expected.items():
        variable, where = found.get(node_id), f"variable object {node_id}"
        if variable is None:
            continue
        tally.same(f"name of {where}", variable.name, message.name)
        tally.same(f"dtype of {where}", dtypes.name(variable.dtype), tf.dtypes.as_dtype(message.dtype).name)
        tally.same(f"shape of {where}", _listed(variable), shape_of(message.shape))
        tally.same(f"trainable of {where}", variable.trainable, message.trainable)
        tally.same(f"functions that capture {where}", sorted(variable.functions), sorted(captured.get(node_id, [])))
    listed = [(row["name"], row["dtype"], row["trainable"]) for row in rows(model, ours, "variables")]
    shown = [(message.name, tf.dtypes.as_dtype(message.dtype).name, message.trainable) for message in expected.values()]
    tally.same("variables that are shown", sorted(listed), sorted(shown))


def _listed(variable: Variable) -> list[int | None] | None:
    return None if variable.shape is None else list(variable.shape)


# -- what the graph restores --


def compare_restored(
    sheet: Sheet, ours: MetaGraph, theirs: Any, imported: Any, bodies: dict[str, Any], path: str, tf: Any
) -> None:
    """Our key of each variable node of the main graph, against the key that the graph's own RestoreV2 gives it.

    Args:
        imported: the main graph as TensorFlow holds it.
        bodies: what `graphs.import_functions` gave.
        path: the SavedModel's folder.
    """
    handles = {op.name: op.name for op in imported.get_operations() if op.type in _VARIABLE_OPS}
    expected: dict[str, tuple[str, str]] = {}
    _restored(imported.get_operations(), handles, bodies, expected)
    if ours.objects is not None:
        # A TensorFlow 2 export: through our join node - object - variable.
        by_id = {variable.object_id: variable for variable in ours.variables}
        found = {name: by_id[node_id] for name, node_id in ours.joins.main_nodes.items() if node_id in by_id}
    else:
        found = {variable.name: variable for variable in ours.variables}
    bound = _bound_nodes(imported, theirs) if ours.objects is not None else {}
    for node in handles:
        variable = found.get(node)
        mine = (variable.key, variable.slice_spec or "") if variable is not None else (None, "")
        key, spec = expected.get(node, (None, ""))
        if node in bound:
            mine_id = variable.object_id if variable is not None else None
            sheet["joins"].holds(
                f"object {mine_id} at node {node}", mine_id in bound[node], f"TensorFlow: {bound[node]}"
            )
            if key is None:
                # tf.saved_model.save of a Keras 3 model: a session leaves what the calls take without a value,
                # tf.saved_model.load does not. `compare_loaded_variables` sees to the key.
                continue
            if key != mine[0] and _are_twins(ours, mine[0], key, path, tf):
                # Keras 3 stores each variable twice: a function's bound_inputs name one, and the restore gives
                # the node that the function is called with the other's key. Name and value are the same.
                continue
        sheet["joins"].same(f"key of node {node}", mine, (key, spec.rpartition(" ")[2]))


def _bound_nodes(imported: Any, theirs: Any) -> dict[str, set[int]]:
    """Object ids by the variable nodes that calls of concrete functions pass as captures."""
    graph, found = theirs.object_graph_def, {}
    for op in imported.get_operations():
        function = op.get_attr("f").name if op.type in _CALLS else ""
        if function in graph.concrete_functions:
            ids = graph.concrete_functions[function].bound_inputs
            for tensor, node_id in zip(op.inputs[len(op.inputs) - len(ids) :], ids, strict=True):
                if graph.nodes[node_id].WhichOneof("kind") == "variable":
                    found.setdefault(tensor.op.name, set()).add(node_id)
    return found


def _are_twins(ours: MetaGraph, one: str | None, other: str | None, path: str, tf: Any) -> bool:
    names = [variable.name for variable in ours.variables if variable.key in (one, other)]
    if not one or not other or len(names) != 2 or names[0] != names[1]:
        return False
    reader = tf.train.load_checkpoint(_prefix(path))
    return same_bits(Tally(), "value", reader.get_tensor(one), reader.get_tensor(other))


def _prefix(path: str) -> str:
    from tensorflow.python.saved_model import path_helpers

    return str(path_helpers.get_variables_path(path))


def _restored(
    operations: Iterable[Any], handles: dict[str, str], bodies: dict[str, Any], found: dict[str, tuple[str, str]]
) -> None:
    """Follows RestoreV2 -> Assign in a graph and in the functions that it calls.

    Args:
        handles: variable nodes of the main graph, by the names of the operations here that stand for them.
    """
    for op in operations:
        if op.type == "RestoreV2":
            keys, specs = _strings(op.inputs[1].op), _strings(op.inputs[2].op)
            for key, spec, tensor in zip(keys, specs, op.outputs, strict=True):
                for target in _assigned(tensor):
                    if target in handles:
                        found[handles[target]] = (key, spec)
        elif op.type in _CALLS:
            body = bodies.get(op.get_attr("f").name)
            if body is not None and not isinstance(body, str):
                passed = {
                    argument.op.name: handles[source.op.name]
                    for argument, source in zip(body[0].inputs, op.inputs, strict=True)
                    if source.op.name in handles
                }
                _restored(body[0].get_operations(), passed, bodies, found)


def _strings(op: Any) -> list[str]:
    import tensorflow

    return [part.decode() for part in tensorflow.make_ndarray(op.get_attr("value")).reshape(-1).tolist()]


def _assigned(tensor: Any) -> Iterator[str]:
    for op in tensor.consumers():
        if op.type in ("Assign", "AssignVariableOp"):
            yield op.inputs[0].op.name
        elif op.type in _PASSED_ON:
            yield from _assigned(op.outputs[0])


# -- values in a session --


def compare_session(sheet: Sheet, ours: MetaGraph, theirs: Any, path: str, tf: Any) -> None:
    """The collections, and the values in a session, after TensorFlow 1's loader made the graph and restored it."""
    from tensorflow.python.saved_model import loader_impl

    v1 = tf.compat.v1
    # Operations that this machine cannot run (another device, a removed kernel) stay out of the way of the restore.
    options = v1.GraphOptions(place_pruned_graph=True)
    config = v1.ConfigProto(allow_soft_placement=True, graph_options=options)
    with tf.Graph().as_default() as graph, v1.Session(graph=graph, config=config) as session:
        try:
            loader = loader_impl.SavedModelLoader(path)
            saver, _ = loader.load_graph(graph, list(theirs.meta_info_def.tags))
        except Exception as error:
            for what in ("variable values",) if ours.objects is not None else ("variables", "variable values"):
                sheet[what].skip(f"the TensorFlow 1 loader: {first_line(error)}")
            return
        nodes = [op for op in graph.get_operations() if op.type in _VARIABLE_OPS]
        if ours.objects is None:
            _compare_collections(sheet, ours, graph, nodes)
            by_node = {variable.name: variable for variable in ours.variables}
        else:
            by_id = {variable.object_id: variable for variable in ours.variables}
            by_node = {name: by_id[node_id] for name, node_id in ours.joins.main_nodes.items()}
        # All operations before the first run: a session that must take in a grown graph again is slow.
        read, initialized = {}, {}
        for op in nodes:
            handle = op.outputs[0]
            if op.type == "VarHandleOp":
                read[op.name] = tf.raw_ops.ReadVariableOp(resource=handle, dtype=op.get_attr("dtype"))
                initialized[op.name] = tf.raw_ops.VarIsInitializedOp(resource=handle)
            else:
                read[op.name] = tf.raw_ops.Identity(input=handle)
                initialized[op.name] = tf.raw_ops.IsVariableInitialized(ref=handle)
        try:
            # Not the init op: it may give variables other values than the stored ones.
            loader.restore_variables(session, saver)
        except Exception as error:
            sheet["variable values"].skip(f"the TensorFlow 1 loader: {first_line(error)}")
            return
        # Those that are not restored: `compare_restored` sees that we say so too.
        restored = [name for name, found in session.run(initialized).items() if found]
        for name, value in session.run({name: read[name] for name in restored}).items():
            variable = by_node.get(name)
            if variable is not None and variable.key is not None:
                same_bits(sheet["variable values"], f"value of {name}", value_of(ours.checkpoint, variable), value)


def _compare_collections(sheet: Sheet, ours: MetaGraph, graph: Any, nodes: list[Any]) -> None:
    tally = sheet["variables"]
    loaded = {variable.op.name: variable for name in _COLLECTIONS for variable in graph.get_collection(name)}
    trainable = {variable.op.name for variable in graph.get_collection("trainable_variables")}
    found = {variable.name: variable for variable in ours.variables}
    tally.same("variables are listed once", len(ours.variables), len(found))
    tally.same("names of variables", sorted(found), sorted({op.name for op in nodes} | set(loaded)))
    for op in nodes:
        variable = found.get(op.name)
        if variable is None:
            continue
        shape = shape_of(op.get_attr("shape"))
        tally.same(f"dtype of {op.name}", dtypes.name(variable.dtype), op.get_attr("dtype").name)
        tally.same(f"shape of {op.name}", _listed(variable), shape)
        # Only the collections mark a variable: without any nobody knows.
        tally.same(f"trainable of {op.name}", variable.trainable, op.name in trainable if loaded else None)
    for name, known in loaded.items():
        variable = found.get(name)
        if variable is not None:
            tally.same(f"dtype of loaded {name}", dtypes.name(variable.dtype), known.dtype.base_dtype.name)
            tally.same(f"shape of loaded {name}", _listed(variable), known.shape.as_list())


def value_of(checkpoint: Checkpoint | None, variable: Variable | None) -> Any:
    """The value that our join gives a variable: its key's, or the part that its slice specification names."""
    assert checkpoint is not None
    assert variable is not None
    assert variable.key is not None
    value = checkpoint.bundle.read(checkpoint.entry(variable.key)).array
    if variable.slice_spec is None:
        return value
    parts = []
    for extent in variable.slice_spec.split(":"):
        start, _, length = extent.partition(",")
        parts.append(slice(None) if extent == "-" else slice(int(start), int(start) + int(length)))
    return value[tuple(parts)]


# -- values in tf.saved_model.load --


def load_objects(path: str, tags: list[str], tf: Any) -> Any:
    """TensorFlow's own loader after `tf.saved_model.load`: its objects by node id; or the reason why it fails."""
    from tensorflow.python.saved_model import load

    made: list[Any] = []

    class Recorded(load.Loader):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **options)

    try:
        with mock.patch.object(load, "Loader", Recorded):
            root = tf.saved_model.load(path, tags=tags)
    except Exception as error:
        return first_line(error)
    made[0].kept = root
    return made[0]


def compare_loaded_variables(sheet: Sheet, ours: MetaGraph, loader: Any, path: str) -> None:
    """The variables that `tf.saved_model.load` made: names, dtypes, shapes, keys and values."""
    tally = sheet["variables"]
    keys = _keys_by_object(loader, path)
    for variable in ours.variables:
        loaded = loader.get(variable.object_id)
        where = f"loaded variable {variable.name} (object {variable.object_id})"
        # An unnamed variable gets the name that TensorFlow gives any.
        tally.same(f"name of {where}", variable.name or "Variable", loaded.name.removesuffix(":0"))
        tally.same(f"dtype of {where}", dtypes.name(variable.dtype), loaded.dtype.name)
        tally.same(
            f"shape of {where}", _listed(variable), None if loaded.shape.rank is None else loaded.shape.as_list()
        )
        tally.same(f"trainable of {where}", variable.trainable, loaded.trainable)
        sheet["joins"].same(f"key of {where}", variable.key, keys.get(id(loaded)))
        if variable.key is not None and ours.checkpoint is not None:
            same_bits(
                sheet["variable values"],
                f"value of {where}",
                value_of(ours.checkpoint, variable),
                loaded.numpy(),
            )


def _keys_by_object(loader: Any, path: str) -> dict[int, str]:
    """The checkpoint key of each loaded variable, by `id`, as TensorFlow's restore matches them."""
    from tensorflow.python.checkpoint import checkpoint, graph_view

    status = checkpoint.TrackableSaver(graph_view.ObjectGraphView(loader.get(0))).restore(_prefix(path))
    restored = status._checkpoint
    found = {}
    for proto_id, trackable in restored.object_by_proto_id.items():
        for part in restored.object_graph_proto.nodes[proto_id].attributes:
            if part.name == "VARIABLE_VALUE":
                found[id(trackable)] = part.checkpoint_key
    return found


# -- function captures --


def compare_arguments(sheet: Sheet, ours: MetaGraph, theirs: Any, loader: Any, bodies: dict[str, Any]) -> None:
    """Which variables arrive at which function's arguments: from the captures of the loaded concrete functions
    (of the parsed ones where loading fails), followed through TensorFlow's own graphs of the functions.

    Args:
        loader: what `load_objects` gave.
        bodies: what `graphs.import_functions` gave.
    """
    graph = theirs.object_graph_def
    broken = [reason for reason in bodies.values() if isinstance(reason, str)]
    if broken:
        sheet["joins"].skip(f"arguments of functions; a function cannot be imported: {broken[0]}")
        return
    expected: dict[tuple[str, str], set[int]] = {}
    queue = []
    for name, function in graph.concrete_functions.items():
        body = bodies[name][0]
        captured = _captured(name, function, graph, loader)
        for argument, node_id in zip(body.inputs[len(body.inputs) - len(captured) :], captured, strict=True):
            if node_id is not None:
                expected.setdefault((name, argument.op.name), set()).add(node_id)
        queue.append(name)
    while queue:
        name = queue.pop()
        for op in bodies[name][0].get_operations():
            for target, sources in _calls(op, bodies):
                for source, argument in zip(sources, bodies[target][0].inputs, strict=True):
                    ids = expected.get((name, source.op.name), set())
                    known = expected.setdefault((target, argument.op.name), set()) if ids else ids
                    if ids - known:
                        known |= ids
                        queue.append(target)
    sheet["joins"].same_mapping(
        "variables at",
        {"/".join(key): sorted(ids) for key, ids in ours.joins.arguments.items()},
        {"/".join(key): sorted(ids) for key, ids in expected.items()},
    )


def _captured(name: str, function: Any, graph: Any, loader: Any) -> list[int | None]:
    """Object ids of what a concrete function captures; None for what is no variable."""
    if isinstance(loader, str):
        return [
            node_id if graph.nodes[node_id].WhichOneof("kind") == "variable" else None
            for node_id in function.bound_inputs
        ]
    by_handle = {
        id(loader.get(node_id).handle): node_id
        for node_id, node in enumerate(graph.nodes)
        if node.WhichOneof("kind") == "variable"
    }
    return [by_handle.get(id(tensor)) for tensor in loader._concrete_functions[name].captured_inputs]


def _calls(op: Any, bodies: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The functions that an operation calls, each with the tensors for its arguments."""
    for attr in op.op_def.attr:
        if attr.type not in ("func", "list(func)"):
            continue
        value = op.get_attr(attr.name)
        for target in [value] if attr.type == "func" else value:
            if target.name not in bodies:
                continue
            # If and Case take what they decide on first; loops and calls take the arguments alone.
            wanted = len(bodies[target.name][0].inputs)
            sources = list(op.inputs)
            if op.type in ("If", "StatelessIf", "Case", "StatelessCase"):
                sources = sources[1:]
            if len(sources) == wanted:
                yield target.name, sources
