"""From a function to its callers and back, and from a tensor to the variable behind it; TensorFlow is the oracle."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from core.saved_model_writer import attr, function, function_name, identity, meta_graph, node, placeholder
from tfexplore.core.describe import describe
from tfexplore.core.detail import Detail, Line
from tfexplore.core.functions import Function
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.opener import open_model
from tfexplore.core.origins import Origins, arrivals, maker
from tfexplore.core.passing import callers, graph_of, passed
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    NodeSubject,
    TensorInfoSubject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.errors import Cancelled


def of(**fields: Any) -> MetaGraph:
    return MetaGraph(meta_graph(**fields), path="m", folder=None, checkpoint=None)


@pytest.fixture(scope="module")
def walked(tf: Any, made_models: Path) -> tuple[MetaGraph, Any]:
    """A model with a loop, branches, calls and data sets that all take one kernel; and TensorFlow's own objects."""

    class Model(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(tf.ones([3, 3]), name="kernel")
            self.bias = tf.Variable(tf.ones([3]), name="bias")

        @tf.function
        def cell(self, x: Any, kernel: Any) -> Any:
            return tf.matmul(x, kernel, name="inner")

        @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            read = tf.identity(self.kernel, name="read")
            looped = tf.while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, self.cell(y, read)), [0, x])[1]
            chosen = tf.cond(tf.reduce_sum(x) > 0, lambda: looped + self.bias, lambda: looped)
            case = tf.switch_case(tf.cast(tf.reduce_sum(x), tf.int32), [lambda: chosen * 2.0, lambda: chosen + read[0]])
            data = tf.data.Dataset.range(3).map(lambda n: tf.cast(n, tf.float32) * read[0, 0])
            return {"y": case, "s": data.reduce(tf.constant(0.0), lambda a, b: a + b * read[1, 1])}

    model = Model()
    folder = made_models / "walked"
    tf.saved_model.save(model, str(folder), signatures=model.serve)
    opened = open_model(str(folder))
    return opened.meta_graphs[0], tf.saved_model.load(str(folder))


def nodes(owner: MetaGraph, op: str) -> list[NodeSubject]:
    found = []
    for name in owner.functions.names:
        body = owner.functions.get(name)
        assert body is not None
        found += [NodeSubject(owner, body.graph, name, position) for position in body.graph.nodes_by_op(op)]
    return found


def lines(detail: Detail, title: str) -> list[Line]:
    return [line for block in detail.blocks if block.title == title for line in block.lines]


def test_inputs_of_calls_arrive_at_arguments_of_the_same_dtype(walked: tuple[MetaGraph, Any]) -> None:
    owner, _ = walked
    ops = set()
    for name in owner.functions.names:
        callee = owner.functions.get(name)
        assert callee is not None
        for number, argument in enumerate(callee.inputs):
            for found in passed(owner, name, number, 50):
                graph = graph_of(owner, found.call.function)
                assert graph is not None
                ops.add(graph.ops[found.call.position])
                tensor = graph.resolve(found.name).tensor
                if tensor is not None:
                    assert tensor.dtype == argument.dtype, (name, argument, found)
    assert {"While", "If", "Case", "MapDataset", "ReduceDataset", "StatefulPartitionedCall"} <= ops | {
        "While" if "StatelessWhile" in ops else "", "If" if "StatelessIf" in ops else "",
        "Case" if "StatelessCase" in ops else "",
    }  # fmt: skip


def test_the_variable_behind_the_product_in_the_loop(walked: tuple[MetaGraph, Any]) -> None:
    owner, _ = walked
    products = [found for found in nodes(owner, "MatMul") if found.graph.names[found.position] == "inner"]
    called = [found for found in products if callers(owner, found.function or "")]
    assert called
    for product in called:
        found = Origins(owner).variables(product.function, product.graph.node(product.position).inputs[1])
        assert [variable.name for variable in found] == ["kernel"]
        # What changes each time round has no variable behind it, though its first value may.
        assert Origins(owner).variables(product.function, product.graph.node(product.position).inputs[0]) == []


def test_a_loop_leads_to_its_kernel_and_the_kernel_to_the_loop(walked: tuple[MetaGraph, Any]) -> None:
    owner, _ = walked
    loop = next(iter([*nodes(owner, "StatelessWhile"), *nodes(owner, "While")]))
    detail = describe(loop)
    kernel = next(line for line in detail.lines() if isinstance(line.subject, VariableSubject))
    assert kernel.value.startswith("kernel  float32 [3, 3]")
    bodies = [line.subject for line in lines(detail, "") if isinstance(line.subject, FunctionSubject)]
    body = next(found for found in bodies if "body" in found.name)
    called_by = lines(describe(body), "called by")
    assert [line.subject for line in called_by] == [loop]
    arguments = [line for line in lines(describe(body), "inputs") if line.value.endswith("  kernel")]
    assert len(arguments) == 1
    argument = describe(arguments[0].subject)  # type: ignore[arg-type]
    way = {line.label.split()[0]: line.subject for line in lines(argument, "passed by")}
    assert way["input"] == loop
    assert isinstance(way["next"], ArgumentSubject)
    inside = lines(argument, "used by")
    assert inside
    assert isinstance(inside[0].subject, NodeSubject)
    assert inside[0].subject.function == body.name


def test_outputs_of_a_call_are_those_of_the_function(walked: tuple[MetaGraph, Any]) -> None:
    owner, _ = walked
    for call in nodes(owner, "StatefulPartitionedCall"):
        for tensor in call.graph.outputs(call.position):
            number = int(tensor.name.rpartition(":")[2])
            detail = describe(TensorSubject(owner, call.graph, call.function, call.position, number))
            returned = [line.subject for line in detail.lines() if line.label == "returned by"]
            assert len(returned) == 1
            assert isinstance(returned[0], ArgumentSubject)
            assert returned[0].argument.dtype == tensor.dtype
            given = [line.subject for line in lines(describe(returned[0]), "given to")]
            assert TensorSubject(owner, call.graph, call.function, call.position, number) in given


def test_signatures_lead_into_the_functions(walked: tuple[MetaGraph, Any]) -> None:
    owner, _ = walked
    signature = next(one for one in owner.signatures if one.name == "serving_default")
    made = {}
    for info in signature.outputs:
        detail = describe(TensorInfoSubject(owner, signature, info, False))
        line = next(line for line in detail.lines() if line.label == "made by")
        assert isinstance(line.subject, NodeSubject)
        made[info.name] = line.subject.graph.ops[line.subject.position]
    assert made["s"] == "ReduceDataset"
    assert made["y"].endswith("Case")
    arriving = arrivals(owner, signature.inputs[0].tensor or "")
    ops = {graph.ops[spot.position] for spot in arriving if (graph := graph_of(owner, spot.function)) is not None}
    assert "Sum" in ops
    assert all(spot.function is not None for spot in arriving)


def test_uses_of_tensors_are_those_that_tensorflow_knows(walked: tuple[MetaGraph, Any], tf: Any) -> None:
    owner, _ = walked
    with tf.Graph().as_default() as whole:
        tf.compat.v1.import_graph_def(saved_graph(tf, owner.path), name="")
    compared = 0
    for position, name in enumerate(owner.graph.names):
        subject = NodeSubject(owner, owner.graph, None, position)
        expected = [
            sorted(f"{use.name}" for use in output.consumers()) for output in whole.get_operation_by_name(name).outputs
        ]
        for number, uses in enumerate(expected):
            detail = describe(TensorSubject(owner, owner.graph, None, position, number))
            told = sorted({
                line.subject.graph.names[line.subject.position]
                for line in lines(detail, "used by")
                if isinstance(line.subject, NodeSubject)
            })  # fmt: skip
            assert told == sorted(set(uses)), name
            compared += 1
        control = [
            line.subject.graph.names[line.subject.position]
            for line in lines(describe(subject), "control outputs")
            if isinstance(line.subject, NodeSubject)
        ]
        assert sorted(control) == sorted(op.name for op in whole.get_operation_by_name(name)._control_outputs)
    assert compared > 10


def saved_graph(tf: Any, path: str) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString(Path(path).read_bytes())
    return message.meta_graphs[0].graph_def


# Without TensorFlow


def test_who_calls_a_function_by_its_name_or_by_any_attribute() -> None:
    owner = of(
        nodes=[
            placeholder(b"x"),
            node(b"by_name", b"f", [b"x"]),
            node(b"by_attr", b"PartitionedCall", [b"x"], f=attr(func=function_name(b"f"))),
            node(b"unknown", b"NobodyKnows", [b"x"], whatever=attr(func=function_name(b"f"))),
        ],
        functions=[function(b"f", [b"x"], {b"y": b"i:output:0"}, [identity(b"i", b"x")])],
    )
    assert [(owner.graph.names[call.position], call.attr) for call in callers(owner, "f")] == [
        ("by_name", ""),
        ("by_attr", "f"),
        ("unknown", "whatever"),
    ]
    # Nothing tells which inputs of an unknown op arrive.
    assert [found.call.attr for found in passed(owner, "f", 0, 10)] == ["", "f"]
    assert list(passed(owner, "gone", 0, 10)) == []
    assert callers(owner, "gone") == []


def test_functions_that_call_each_other_end() -> None:
    def calling(name: bytes, other: bytes) -> bytes:
        body = node(b"call", b"PartitionedCall", [b"x"], f=attr(func=function_name(other)), Tout=b"\x0a\x02\x32\x00")
        return function(name, [b"x"], {b"y": b"call:output:0"}, [body])

    owner = of(
        nodes=[placeholder(b"x"), node(b"start", b"PartitionedCall", [b"x"], f=attr(func=function_name(b"a")))],
        functions=[calling(b"a", b"b"), calling(b"b", b"a")],
    )
    assert Origins(owner).variables("a", "x") == []
    assert arrivals(owner, "x:0") == []
    maker(owner, None, "start:0")
    for name in ("a", "b"):
        describe(FunctionSubject(owner, name))
        body = owner.functions.get(name)
        assert isinstance(body, Function)
        for argument in (*body.inputs, *body.outputs):
            describe(ArgumentSubject(owner, name, argument, argument in body.inputs))


def test_a_cancelled_look_for_callers_is_asked_again() -> None:
    owner = of(
        nodes=[placeholder(b"x"), node(b"call", b"f", [b"x"])],
        functions=[function(b"f", [b"x"], {b"y": b"x"})],
    )
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        callers(owner, "f", cancel)
    assert len(callers(owner, "f")) == 1
