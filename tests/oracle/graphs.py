"""Graphs: nodes, ops, attributes, constants, tensors, shapes and edges, of the main graph and of every function.

TensorFlow imports the graph into a fresh `tf.Graph`, and each FunctionDef into a FuncGraph, where
the function's arguments are Placeholders.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from oracle.checkpoints import same_bits
from oracle.protos import rows, shape_of
from oracle.sheet import Sheet, first_line
from tfexplore.core.functions import Function
from tfexplore.core.graph import Graph, Input, Tensor
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import Model
from tfexplore.errors import UnsupportedError
from tfexplore.formats import dtypes, tensor_proto


def compare_graphs(
    sheet: Sheet, model: Model, ours: MetaGraph, theirs: Any, imported: Any, bodies: dict[str, Any], tf: Any
) -> None:
    """The main graph and all functions of one MetaGraph.

    Args:
        theirs: the MetaGraphDef as TensorFlow parsed it.
        imported: what `import_main_graph` gave.
        bodies: what `import_functions` gave.
    """
    graph_def = theirs.graph_def
    _compare_nodes(sheet, model, ours, ours.graph, None, graph_def.node, tf)
    if isinstance(imported, str):
        for what in ("tensors", "edges", "shapes"):
            sheet[what].skip(f"the main graph cannot be imported: {imported}")
    else:
        _compare_imported(sheet, "main graph", ours.graph, imported.get_operations(), {}, tf)
        _compare_tensor_rows(sheet, rows(model, ours, "tensors"), imported.get_operations(), {})
    _compare_functions(sheet, model, ours, graph_def.library, bodies, tf)


def import_main_graph(graph_def: Any, tf: Any) -> Any:
    """The graph as TensorFlow holds it, or the reason why it refuses to."""
    graph = tf.Graph()
    with graph.as_default():
        try:
            # A copy: the import writes default attributes into what it is given.
            tf.import_graph_def(copy.deepcopy(graph_def), name="")
        except Exception as error:
            return first_line(error)
    return graph


def import_functions(library: Any, tf: Any) -> dict[str, Any]:
    """For each function its FuncGraph and the flat names of its tensors, or the reason why it cannot be imported."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.framework import function_def_to_graph

    found: dict[str, Any] = {}
    outer = tf.Graph()
    with outer.as_default():
        try:
            # The bodies call each other: TensorFlow looks for them in the outer graph.
            tf.import_graph_def(graph_pb2.GraphDef(library=copy.deepcopy(library)), name="")
        except Exception as error:
            return {function.signature.name: first_line(error) for function in library.function}
        for function in copy.deepcopy(library).function:
            try:
                flat = function_def_to_graph.function_def_to_graph_def(function)[1]
                body = function_def_to_graph.function_def_to_graph(function)
            except Exception as error:
                found[function.signature.name] = first_line(error)
            else:
                found[function.signature.name] = (body, flat)
    return found


# -- functions --


def _compare_functions(
    sheet: Sheet, model: Model, ours: MetaGraph, library: Any, bodies: dict[str, Any], tf: Any
) -> None:
    tally = sheet["functions"]
    tally.same("names of functions", ours.functions.names, [found.signature.name for found in library.function])
    tally.same("damaged functions", ours.functions.damaged, [])
    tally.same(
        "nodes of all functions", ours.functions.num_nodes, sum(len(found.node_def) for found in library.function)
    )
    listed = {row["name"]: row for row in rows(model, ours, "functions")}
    for definition in library.function:
        name = definition.signature.name
        function = ours.functions.get(name)
        if function is None:
            continue
        _compare_nodes(sheet, model, ours, function.graph, name, definition.node_def, tf)
        _compare_signature(sheet, function, definition, listed[name], tf)
        body = bodies[name]
        if isinstance(body, str):
            for what in ("tensors", "edges", "shapes"):
                sheet[what].skip(f"a function cannot be imported: {body}")
            continue
        graph, flat = body
        operations = graph.get_operations()
        arguments = {tensor.op.name: tensor for tensor in graph.inputs}
        _compare_imported(sheet, f"function {name}", function.graph, operations, arguments, tf)
        _compare_tensor_rows(sheet, rows(model, ours, "tensors", name), operations, arguments)
        # The names that the function's own nodes use, and what TensorFlow makes of them.
        sheet["tensors"].same_mapping(
            f"full name in function {name},",
            {tensor.arg or "": tensor.name for tensor in function.graph.iter_tensors()},
            {full: short for full, short in flat.items() if not full.startswith("^")},
        )
        tally.same(
            f"what function {name} returns",
            [function.graph.resolve(output.returns or "").tensor.name for output in function.outputs],
            [tensor.name for tensor in graph.outputs],
        )
        tally.same(
            f"control outputs of function {name}",
            sorted(function.control_outputs),
            sorted(found.name for found in graph.control_outputs),
        )


def _compare_signature(sheet: Sheet, function: Function, definition: Any, row: dict[str, Any], tf: Any) -> None:
    tally, where = sheet["functions"], f"function {function.name}"
    signature = definition.signature
    for side, arguments in (("inputs", signature.input_arg), ("outputs", signature.output_arg)):
        tally.same_items(
            f"{side} of {where}",
            [(found["name"], found["dtype"]) for found in row[side]],
            [(found.name, tf.dtypes.as_dtype(found.type).name if found.type else "invalid") for found in arguments],
        )
    tally.same(f"nodes of {where}", row["nodes"], len(definition.node_def))
    tally.same(f"state of {where}", function.is_stateful, signature.is_stateful)
    tally.same(f"returns of {where}", {found.name: found.returns for found in function.outputs}, dict(definition.ret))
    for number, argument in enumerate(function.inputs):
        # `arg_attr` wins over the function's `_input_shapes`, as in TensorFlow's own import.
        stored = definition.arg_attr[number].attr if number in definition.arg_attr else {}
        if "_output_shapes" in stored:
            value = stored["_output_shapes"]
            shape = value.list.shape[0] if value.WhichOneof("value") == "list" else value.shape
        elif number < len(definition.attr["_input_shapes"].list.shape if "_input_shapes" in definition.attr else ()):
            shape = definition.attr["_input_shapes"].list.shape[number]
            if shape.unknown_rank:
                # Written for every resource there, so it says nothing: stored or not is the same.
                sheet["shapes"].same(f"shape of {argument.name} of {where}", argument.shape, None)
                continue
        else:
            sheet["shapes"].same(f"stored shape of {argument.name} of {where}", argument.shape_stored, False)
            continue
        sheet["shapes"].same(f"stored shape of {argument.name} of {where}", _stored(argument), (True, shape_of(shape)))


# -- nodes --


def _compare_nodes(
    sheet: Sheet, model: Model, ours: MetaGraph, graph: Graph, function: str | None, theirs: Any, tf: Any
) -> None:
    """Names, op types, inputs, devices and attributes as stored, and the constants' values."""
    where = f"function {function}" if function else "main graph"
    sheet["nodes"].same_items(
        f"nodes of the {where}",
        rows(model, ours, "nodes", function),
        [
            {"name": node.name, "op": node.op, "inputs": list(node.input), "device": node.device}
            for node in theirs
        ],
    )  # fmt: skip
    sheet["ops"].same_mapping(
        f"nodes in the {where} of op",
        {row["op"]: row["count"] for row in rows(model, ours, "ops", function)},
        Counter(node.op for node in theirs),
    )
    from tensorflow.core.framework import attr_value_pb2

    for position, message in enumerate(theirs):
        if position >= len(graph):
            break
        node = graph.node(position)
        sheet["attributes"].same(
            f"attributes of {node.name} in the {where}", sorted(node.raw_attrs), sorted(message.attr)
        )
        for name, value in message.attr.items():
            # As bytes: a NaN in an AttrValue does not equal itself.
            raw = attr_value_pb2.AttrValue.FromString(node.raw_attrs.get(name, b""))
            sheet["attributes"].same(
                f"attribute {name} of {node.name} in the {where}",
                raw.SerializeToString(deterministic=True),
                value.SerializeToString(deterministic=True),
            )
        if message.op == "Const" and message.attr["value"].HasField("tensor"):
            stored = tensor_proto.decode_tensor(node.attr("value").tensor, path="")
            try:
                value = tensor_proto.to_array(stored, path="")
            except UnsupportedError as error:  # variants, and what no memory holds
                sheet["constants"].skip(f"neither side can expand it: {error.what}")
            else:
                same_bits(
                    sheet["constants"],
                    f"constant {node.name} in the {where}",
                    value,
                    _constant(message.attr["value"].tensor, tf),
                )
        _compare_stored_shapes(sheet, graph, position, message, where)


def _constant(proto: Any, tf: Any) -> Any:
    """The value of a TensorProto. Strings by TensorFlow's core: in Python it knows them in one of two forms only."""
    if proto.dtype == tf.string.as_datatype_enum:
        return tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy()
    return tf.make_ndarray(proto)


def _compare_stored_shapes(sheet: Sheet, graph: Graph, position: int, message: Any, where: str) -> None:
    """Where a node stores its outputs' shapes, they are ours; where it does not, we claim none."""
    if "_output_shapes" in message.attr:
        stored = [shape_of(shape) for shape in message.attr["_output_shapes"].list.shape]
    elif message.op == "Const":
        stored = [shape_of(message.attr["value"].tensor.tensor_shape)]
    elif message.op in ("Placeholder", "VariableV2", "Variable", "PlaceholderWithDefault") and "shape" in message.attr:
        stored = [shape_of(message.attr["shape"].shape)]
    else:
        stored = []
    for number, tensor in enumerate(graph.outputs(position)):
        theirs = (True, stored[number]) if number < len(stored) else (False, None)
        sheet["shapes"].same(f"stored shape of {tensor.name} in the {where}", _stored(tensor), theirs)


def _stored(found: Any) -> tuple[bool, list[int | None] | None]:
    return found.shape_stored, None if found.shape is None else list(found.shape)


# -- what the import knows --


def _compare_tensor_rows(sheet: Sheet, ours: list[dict[str, Any]], operations: Any, arguments: dict[str, Any]) -> None:
    """Names, ops and dtypes of all tensors as `show` lists them; TensorFlow sorts them by dependency, we do not."""
    theirs = {
        tensor.name: ("_Arg" if op.name in arguments else op.type, tensor.dtype.name)
        for op in operations
        for tensor in op.values()
    }
    sheet["tensors"].same("tensors", len(ours), len(theirs))
    sheet["tensors"].same_mapping("tensor", {row["name"]: (row["op"], row["dtype"]) for row in ours}, theirs)


def _compare_imported(
    sheet: Sheet, where: str, graph: Graph, operations: Any, arguments: dict[str, Any], tf: Any
) -> None:
    """Ops and edges as TensorFlow holds them, and the shapes that it infers."""
    inside = [op for op in operations if op.name not in arguments]
    sheet["nodes"].same(f"ops of the {where}", sorted(zip(graph.names, graph.ops, strict=True)), sorted(
        (op.name, op.type) for op in inside
    ))  # fmt: skip
    uses = _uses(graph)
    for op in operations:
        if op.name in arguments:
            used = Counter(graph.names[use.node] for use in graph.argument_consumers(op.name) if not use.control)
            _compare_output(sheet, where, op.outputs[0], graph.argument(op.name), used, tf)
            continue
        position = graph.find(op.name)
        if position is None:
            continue  # already a difference among the ops
        node = graph.node(position)
        inputs = graph.inputs(node)
        sheet["edges"].same(
            f"inputs of {op.name} in the {where}",
            [found.tensor.name if found.tensor else None for found in inputs if not found.control],
            [tensor.name for tensor in op.inputs],
        )
        # A set: TensorFlow keeps a control input that is named twice once.
        sheet["edges"].same(
            f"control inputs of {op.name} in the {where}",
            {_control_source(graph, found) for found in inputs if found.control},
            {found.name for found in op.control_inputs},
        )
        sheet["edges"].same(
            f"control outputs of {op.name} in the {where}",
            {graph.names[use.node] for use in graph.consumers(position) if use.control},
            {found.name for found in op._control_outputs},
        )
        for tensor, mine in zip(op.outputs, graph.outputs(position), strict=False):
            _compare_output(sheet, where, tensor, mine, uses.get(tensor.name, Counter()), tf)


def _control_source(graph: Graph, found: Input) -> str | None:
    """The node, or the function's argument, that a control input waits for."""
    if found.producer is not None:
        return graph.names[found.producer]
    return found.name.removeprefix("^") if found.argument else None


def _uses(graph: Graph) -> dict[str, Counter[str]]:
    """Which nodes take each tensor, and how often, by our `consumers`."""
    found: dict[str, Counter[str]] = {}
    for position in range(len(graph)):
        for use in graph.consumers(position):
            tensor = None if use.control else graph.resolve(use.name).tensor
            if tensor is not None:
                found.setdefault(tensor.name, Counter())[graph.names[use.node]] += 1
    return found


def _compare_output(sheet: Sheet, where: str, theirs: Any, ours: Tensor | None, used: Counter[str], tf: Any) -> None:
    if not sheet["tensors"].holds(f"{theirs.name} in the {where}", ours is not None, "we do not list it"):
        return
    sheet["tensors"].same(f"dtype of {theirs.name} in the {where}", dtypes.name(ours.dtype), theirs.dtype.name)
    sheet["edges"].same(
        f"consumers of {theirs.name} in the {where}", used, Counter(op.name for op in theirs.consumers())
    )
    if ours.shape_stored:
        shape = tf.TensorShape(ours.shape)
        sheet["shapes"].holds(
            f"shape of {theirs.name} in the {where}",
            shape.is_compatible_with(theirs.shape),
            f"{shape} is not compatible with TensorFlow's {theirs.shape}",
        )
