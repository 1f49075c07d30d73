"""The scan: when what is found runs, and by which way; savers are silent, unless they do more."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.saved_model_writer import (
    attr,
    concrete_function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    user_object,
)
from core.scanning import (
    bodies,
    call,
    const,
    found,
    func,
    function_object,
    graph_def,
    one,
    resource,
    saved,
    saver_functions,
    serving,
    with_saver,
    write,
)
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import HIGH, MEDIUM
from tfexplore.core.scan import scan
from tfexplore.formats.proto import lean

# -- ways and phases --


@pytest.mark.parametrize(
    ("caller", "step"),
    [
        (node(b"c", b"If", [b"x", b"x"], then_branch=func(b"safe"), else_branch=func(b"g")), "node c (else_branch)"),
        (node(b"c", b"While", [b"x"], cond=func(b"safe"), body=func(b"g")), "node c (body)"),
        (node(b"c", b"Case", [b"x"], branches=attr(list={"func": [function_name(b"g")]})), "node c (branches)"),
        (node(b"c", b"MapDataset", [b"x"], f=func(b"g")), "node c"),
        (node(b"c", b"VendorOp", [b"x"], anything=attr(s=b"g")), "node c (anything)"),
        (node(b"c", b"g", [b"x"]), "node c"),
        (
            node(
                b"c",
                b"PartitionedCall",
                [b"x"],
                f=attr(
                    func=lean("NameAttrList")(
                        name=b"safe", attr=[lean("Entry")(key=b"inner", value=attr(func=function_name(b"g")))]
                    )
                ),
            ),
            None,
        ),
    ],
)
def test_functions_are_found_through_every_attribute(tmp_path: Path, caller: bytes, step: str | None) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[bodies(caller), bodies(*write(), name=b"g"), bodies(identity(b"i", b"x"), name=b"safe")],
        signatures=serving(),
    )
    finding = next(finding for finding in found(tmp_path, graph) if finding.op == "WriteFile")
    between = () if step is None else (step,)
    assert finding.path == (
        *("signature serving_default", "node call", "function f"),
        *(*between, "function g", "node w"),
    )
    assert (finding.phase, finding.level) == ("call", HIGH)


def test_an_attribute_that_only_looks_like_a_functions_name_calls_nothing(tmp_path: Path) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[
            bodies(node(b"n", b"Identity", [b"x"], _class=attr(s=b"g"), api_implements=attr(s=b"g"))),
            bodies(*write(), name=b"g"),
        ],
        signatures=serving(),
    )
    assert one(found(tmp_path, graph)).phase == "unreached"


def with_attr(serialized: bytes, **attrs: bytes) -> bytes:
    message = lean("FunctionDef").FromString(serialized)
    for key, value in attrs.items():
        message.attr.add(key=key.encode(), value=value)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("key", ["api_implements", "backward_function_name", "gradient", "registered"])
def test_functions_that_stand_in_for_others_are_reached(tmp_path: Path, key: str) -> None:
    plain, bad = bodies(identity(b"i", b"x")), bodies(*write(), name=b"g")
    if key == "api_implements":
        plain, bad = (with_attr(part, api_implements=attr(s=b"same")) for part in (plain, bad))
    elif key == "backward_function_name":
        plain = with_attr(plain, backward_function_name=attr(s=b"g"))
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")], functions=[plain, bad], signatures=serving()
    )
    if key == "gradient":
        pair = lean("Entry")(key=b"f", value=b"g")  # GradientDef: function_name = 1, gradient_func = 2
        graph.graph_def.library.gradient.append(pair.SerializeToString())
    elif key == "registered":
        pair = lean("Entry")(key=b"g", value=b"SomeOp")  # RegisteredGradient: gradient_func = 1, registered_op_type = 2
        graph.graph_def.library.registered_gradients.append(pair.SerializeToString())
    finding = one(found(tmp_path, graph))
    assert (finding.phase, finding.level) == ("call", HIGH)


def test_the_main_graph_is_reached_by_inputs_and_control_inputs_but_not_behind_what_is_fed(tmp_path: Path) -> None:
    nodes = [
        const(b"path", b"/tmp/x"),
        placeholder(b"p"),
        node(b"behind", b"WriteFile", [b"path", b"p"]),
        node(b"x", b"Identity", [b"p", b"^behind"]),
        node(b"reached", b"WriteFile", [b"path", b"x"]),
        node(b"y", b"Identity", [b"x", b"^reached"]),
        node(b"beside", b"WriteFile", [b"path", b"x"]),
    ]
    graph = meta_graph(nodes=nodes, signatures=serving(b"y:0"))
    phases = {finding.node: (finding.phase, finding.level, finding.path[0]) for finding in found(tmp_path, graph)}
    assert phases == {
        "behind": ("unreached", MEDIUM, "main graph"),
        "reached": ("call", HIGH, "signature serving_default"),
        "beside": ("unreached", MEDIUM, "main graph"),
    }


def collection(*names: bytes) -> bytes:
    message = lean("CollectionDef")()
    message.node_list.value.extend(names)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("entry", ["saved_model_main_op", "legacy_init_op", "__saved_model_init_op", "init_op"])
def test_init_ops_run_at_load(tmp_path: Path, entry: str) -> None:
    nodes = [const(b"path", b"/tmp/x"), node(b"w", b"WriteFile", [b"path", b"path"]), node(b"init", b"NoOp", [b"^w"])]
    signatures = serving(b"x:0")
    collections = {}
    if entry.startswith("__"):
        signatures[entry.encode()] = signature({}, {b"op": info(b"init")})
    else:
        collections = {entry.encode(): collection(b"init")}
    graph = meta_graph(nodes=[placeholder(b"x"), *nodes], signatures=signatures, collections=collections)
    finding = one(found(tmp_path, graph))
    assert finding.phase == ("call" if entry == "init_op" else "load")  # that one is run by who trains on
    assert finding.path[0].endswith("init")
    assert finding.level == HIGH


@pytest.mark.parametrize("name", [b"_initialize", b"_create_resource", b"_destroy_resource", b"other"])
def test_functions_of_objects(tmp_path: Path, name: bytes) -> None:
    objects = object_graph(
        [user_object([(b"r", 1)]), resource([(name, 2)]), function_object(b"g")], {b"g": concrete_function([])}
    )
    graph = meta_graph(functions=[bodies(*write(), name=b"g")], objects=objects)
    finding = one(found(tmp_path, graph))
    assert finding.phase == ("call" if name == b"other" else "load")
    assert finding.path == (f"object r.{name.decode()}", "function g", "node w")


def test_functions_that_save_and_restore_an_object(tmp_path: Path) -> None:
    owner = user_object([(b"save", 1), (b"restore", 2)])
    owner.saveable_objects.add(key=b"x", value=b"\x10\x01\x18\x02")
    objects = object_graph([owner, function_object(b"g"), function_object(b"h")])
    graph = meta_graph(
        functions=[bodies(*write(), name=b"g"), bodies(*write(), name=b"h")],
        objects=objects,
    )
    assert {finding.function: finding.phase for finding in found(tmp_path, graph)} == {"g": "save", "h": "load"}


def test_a_function_that_nothing_names_is_unreached(tmp_path: Path) -> None:
    graph = meta_graph(nodes=[placeholder(b"x")], functions=[bodies(*write(), name=b"g")], signatures=serving(b"x:0"))
    finding = one(found(tmp_path, graph))
    assert (finding.phase, finding.level, finding.path) == ("unreached", MEDIUM, ("function g", "node w"))


def test_functions_in_a_circle_are_looked_at(tmp_path: Path) -> None:
    functions = [bodies(call(b"c", b"h", b"x"), *write(), name=b"g"), bodies(call(b"c", b"g", b"x"), name=b"h")]
    finding = one(found(tmp_path, meta_graph(functions=functions, signatures=serving())))
    assert finding.phase == "unreached"


def test_a_long_chain_of_calls_is_cut_in_the_middle_of_the_way(tmp_path: Path) -> None:
    length = 3000
    functions = [
        bodies(call(b"c", f"f{place + 1}".encode(), b"x"), name=f"f{place}".encode()) for place in range(length)
    ]
    functions.append(bodies(*write(), name=f"f{length}".encode()))
    graph = meta_graph(nodes=[placeholder(b"x"), call(b"call", b"f0", b"x")], functions=functions, signatures=serving())
    finding = one(found(tmp_path, graph))
    assert finding.path[:2] == ("signature serving_default", "…")
    assert finding.path[-2:] == (f"function f{length}", "node w")
    assert len(finding.path) < 50


# -- savers --


def test_saving_and_restoring_as_every_export_does_is_silent(tmp_path: Path) -> None:
    assert found(tmp_path, saved(saver_functions())) == []


def test_a_saver_with_a_name_of_its_own_is_found(tmp_path: Path) -> None:
    findings = {finding.op: finding for finding in found(tmp_path, saved(saver_functions(b"fixed:output:0")))}
    assert {op: (finding.phase, finding.level) for op, finding in findings.items()} == {
        "SaveV2": ("save", HIGH),
        "MergeV2Checkpoints": ("save", HIGH),
        "RestoreV2": ("load", HIGH),
    }
    assert findings["SaveV2"].path[0] == "saving, to_save:0"
    assert findings["RestoreV2"].path[0] == "restoring, to_restore"


def test_a_saver_that_a_signature_calls_is_found(tmp_path: Path) -> None:
    findings = found(tmp_path, saved(saver_functions(), served=b"to_save:0"))
    assert {(finding.op, finding.phase) for finding in findings} == {
        ("SaveV2", "call"),
        ("MergeV2Checkpoints", "call"),
    }


def test_a_saver_that_writes_something_else_too_is_found(tmp_path: Path) -> None:
    functions = saver_functions()
    message = lean("FunctionDef").FromString(functions[0])
    message.node_def.extend(write(path=b"path"))
    finding = one(found(tmp_path, saved([message.SerializeToString(), functions[1]])))
    assert (finding.op, finding.phase, finding.level) == ("WriteFile", "save", HIGH)


def tf1_saver(scope: bytes, filename: bytes = b"model") -> list[bytes]:
    def named(last: bytes) -> bytes:
        return scope + b"/" + last

    return [
        const(named(b"filename/input"), filename),
        node(named(b"filename"), b"PlaceholderWithDefault", [named(b"filename/input")]),
        node(named(b"Const"), b"PlaceholderWithDefault", [named(b"filename")]),
        const(named(b"names"), b"v"),
        node(named(b"SaveV2"), b"SaveV2", [named(b"Const"), named(b"names"), named(b"names"), b"x"]),
        node(named(b"save"), b"Identity", [named(b"Const"), b"^" + named(b"SaveV2")]),
        node(named(b"RestoreV2"), b"RestoreV2", [named(b"Const"), named(b"names"), named(b"names")]),
        node(named(b"restore_all"), b"NoOp", [b"^" + named(b"RestoreV2")]),
    ]


@pytest.mark.parametrize(("filename", "ops"), [(b"model", set()), (b"/etc/x", {"SaveV2", "RestoreV2"})])
def test_a_saver_in_a_lone_graph_is_silent_with_the_usual_name(tmp_path: Path, filename: bytes, ops: set[str]) -> None:
    (tmp_path / "graph.pb").write_bytes(graph_def(placeholder(b"x"), *tf1_saver(b"save", filename)))
    with open_model(str(tmp_path / "graph.pb")) as model:
        assert {finding.op for finding in scan(model)} == ops


def test_the_savers_of_tensorflow_1_and_those_left_over_are_silent(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), *tf1_saver(b"save"), *tf1_saver(b"save_1"), node(b"y", b"Identity", [b"x"])]
    graph = with_saver(
        meta_graph(nodes=nodes, signatures=serving(b"y:0")), b"save_1/Const:0", b"save_1/save:0", b"save_1/restore_all"
    )
    assert found(tmp_path / "a", graph) == []
    graph = with_saver(
        meta_graph(nodes=nodes, signatures=serving(b"save/save:0")), b"save/Const:0", b"save/save:0", b""
    )
    assert [(finding.op, finding.phase) for finding in found(tmp_path / "b", graph)] == [("SaveV2", "call")]
