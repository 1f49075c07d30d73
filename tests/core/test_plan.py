"""What is to be called, and with what: chosen and checked without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.opening import bundle
from core.saved_model_writer import (
    attr,
    function,
    identity,
    info,
    meta_graph,
    node,
    placeholder,
    signature,
    tensor,
    write_saved_model,
)
from tfexplore import demo
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.plan import (
    Given,
    callable_signatures,
    choose_signature,
    defaults,
    plan_fetches,
    plan_signature,
    target,
)
from tfexplore.core.requests import parse_request
from tfexplore.errors import UsageError


def split_node(name: bytes, source: bytes) -> bytes:
    """A node with three outputs."""
    return node(name, b"Split", [b"axis", source], num_split=attr(i=3), T=attr(type=1))


AXIS = node(b"axis", b"Const", value=attr(tensor=tensor(3, (), int_val=[1])), dtype=attr(type=3))
BODY = [identity(b"inner", b"x"), split_node(b"cut", b"inner:output:0"), AXIS]


def write(folder: Path, signatures: dict[bytes, bytes], *, functions: Sequence[bytes] = ()) -> Path:
    nodes = [placeholder(b"x"), placeholder(b"scale", ()), AXIS, split_node(b"cut", b"x"), identity(b"y", b"cut:1")]
    nodes.append(node(b"own", b"MyOwnOp", [b"x"]))
    nodes.append(node(b"nothing", b"NoOp"))
    return write_saved_model(folder, meta_graph(nodes=nodes, signatures=signatures, functions=functions))


def one(name: bytes = b"serving_default", **more: Any) -> dict[bytes, bytes]:
    return {name: signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")}, **more)}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Writes a model of these signatures and functions, and opens it."""
    models: list[Model] = []

    def open_it(signatures: dict[bytes, bytes] | None = None, functions: Sequence[bytes] = ()) -> Model:
        path = write(tmp_path / str(len(models)), one() if signatures is None else signatures, functions=functions)
        models.append(open_model(str(path)))
        return models[-1]

    yield open_it
    for model in models:
        model.close()


def refused(call: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(UsageError) as found:
        call(*args, **more)
    sentence = str(found.value)
    assert "\n" not in sentence
    return sentence


# -- what is loaded --


def test_what_the_child_loads(opened: Any, tmp_path: Path) -> None:
    model = opened()
    assert target(model, model.meta_graph()) == (str(tmp_path / "0"), "saved_model", ("serve",), None)


def test_a_saved_model_under_another_name_is_no_folder_that_tensorflow_finds(opened: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "m", one()) / "saved_model.pb"
    other = path.rename(tmp_path / "other.pb")
    with open_model(str(other)) as model:
        sentence = refused(target, model, model.meta_graph())
    assert sentence == f"{other}: TensorFlow loads a SavedModel only from a folder that holds saved_model.pb"


def test_graph_files(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("w", initializer=2.0, use_resource=False)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "training"))
        (tmp_path / "graph.pb").write_bytes(session.graph_def.SerializeToString())
        assert w is not None
    with open_model(str(tmp_path / "graph.pb")) as model:
        assert target(model, model.meta_graph()) == (str(tmp_path / "graph.pb"), "graph_def", None, None)
    with open_model(str(tmp_path / "training.meta")) as model:
        expected = (str(tmp_path / "training.meta"), "meta_graph", None, str(tmp_path / "training"))
        assert target(model, model.meta_graph()) == expected


# -- the signature --


def test_the_signature_that_is_meant(opened: Any) -> None:
    both = opened({**one(), **one(b"other"), **one(b"__saved_model_init_op")}).meta_graph()
    assert [found.name for found in callable_signatures(both)] == ["serving_default", "other"]
    assert choose_signature(both, None).name == "serving_default"
    assert choose_signature(both, "other").name == "other"
    only = opened(one(b"only")).meta_graph()
    assert choose_signature(only, None).name == "only"


def test_no_such_signature(opened: Any) -> None:
    several = opened({**one(b"predict"), **one(b"embed")}).meta_graph()
    assert refused(choose_signature, several, None) == (
        "several signatures: choose one with --signature NAME (embed, predict)"
    )
    assert refused(choose_signature, several, "predct") == ("there is no signature predct; did you mean predict?")
    assert refused(choose_signature, several, "zzz") == "there is no signature zzz; there is: embed, predict"
    none = opened({}).meta_graph()
    assert refused(choose_signature, none, "x") == "there is no signature x; the model has none"
    sentence = refused(choose_signature, none, None)
    assert sentence.startswith(f"{none.path} has no signature: call a function of the object graph with --call PATH")


def test_init_ops_are_called_by_nobody(opened: Any) -> None:
    model = opened({**one(b"only"), **one(b"__saved_model_init_op")}).meta_graph()
    assert "there is no signature" in refused(choose_signature, model, "__saved_model_init_op")


def test_a_signature_without_shapes_has_those_of_the_graph(opened: Any) -> None:
    """TensorFlow 1.0 wrote no shapes, which reads as scalars, and any dtype."""
    given = {b"x": info(b"x:0", dtype=7, sizes=()), b"scale": info(b"scale:0", sizes=())}
    lost = {b"lost": info(b"nowhere:0", sizes=()), b"blank": info(b"", sizes=())}
    meta = opened({b"serving_default": signature({**given, **lost}, {})}).meta_graph()
    for found in (choose_signature(meta, None), callable_signatures(meta)[0]):
        assert {one.name: (one.dtype, one.shape) for one in found.inputs} == {
            "x": (1, (None, 3)),
            "scale": (1, ()),
            "lost": (1, ()),
            "blank": (1, ()),
        }


def test_a_request_names_its_signature(opened: Any) -> None:
    meta = opened({**one(), **one(b"other")}).meta_graph()
    request = parse_request('{"signature_name": "other", "inputs": [[1, 2, 3]]}', "r.json")
    plan = plan_signature(meta, None, Given(request=request))
    assert plan.signature == "other"
    assert plan.arrays["x"].dtype == np.float32
    assert plan.arrays["x"].tolist() == [[1, 2, 3]]
    sentence = refused(plan_signature, meta, "serving_default", Given(request=request))
    assert sentence == "the request is for the signature other, --signature names serving_default"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the input x (float32 [?, 3]) is missing: give --input x=VALUE"),
        (["z=[[1, 2, 3]]"], "the signature serving_default has no input z; there is: x"),
        (["x=[[1, 2]]"], "the input x (float32 [?, 3]): dimension 1 is 2, not 3 (the shape is [1, 2])"),
        (["x=[1, 2, 3]"], "the input x (float32 [?, 3]): expected 2 dimensions, got 1 (the shape [3])"),
        (['x=[["a", "b", "c"]]'], 'the input x (float32 [?, 3]): expected a number, got the string "a"'),
        (["x=ones", "x=zeros"], "the input x (float32 [?, 3]) is given twice"),
    ],
)
def test_inputs_that_do_not_fit(opened: Any, words: list[str], sentence: str) -> None:
    assert refused(plan_signature, opened().meta_graph(), None, Given(words)) == sentence


def test_defaults_of_a_signature(opened: Any) -> None:
    given = {b"x": info(b"x:0"), b"scale": info(b"scale:0", sizes=())}
    default = {b"scale": tensor(1, (), float_val=[2.5])}
    meta = opened({b"serving_default": signature(given, {b"y": info(b"y:0")}, default)}).meta_graph()
    plan = plan_signature(meta, None, Given(["x=ones"]))
    assert {name: array.tolist() for name, array in plan.arrays.items()} == {"x": [[1, 1, 1]], "scale": 2.5}
    plan = plan_signature(meta, None, Given(["x=ones", "scale=7"]))
    assert plan.arrays["scale"].tolist() == 7
    assert plan.arrays["scale"].dtype == np.float32
    assert defaults(meta.signatures[0], "p", {"scale": np.array(1)}) == {}


def test_a_default_that_cannot_be_read(opened: Any) -> None:
    given = {b"x": info(b"x:0"), b"scale": info(b"scale:0", sizes=())}
    for broken in (b"\x0a\x7f\x00", tensor(1, (1 << 40,), tensor_content=b"abcd"), tensor(20, ())):
        found = {b"serving_default": signature(given, {b"y": info(b"y:0")}, {b"scale": broken})}
        meta = opened(found).meta_graph()
        sentence = refused(plan_signature, meta, None, Given(["x=ones"]))
        assert sentence.startswith("the default of the input scale cannot be read: "), broken
        assert plan_signature(meta, None, Given(["x=ones", "scale=1"])).arrays["scale"].tolist() == 1


# -- tensors by name --


def fetched(model: Model, fetches: Sequence[str], feeds: Sequence[str] = (), **more: Any) -> Any:
    return plan_fetches(model, model.meta_graph(), fetches, feeds, **more)


def test_tensors_of_the_main_graph(opened: Any) -> None:
    model = opened()
    plan = fetched(model, ["y", "cut:2"], ["x=[[1, 2, 3]]"])
    assert (plan.signature, plan.function, plan.fetches, plan.body) == (None, None, ("y", "cut:2"), None)
    assert {name: array.tolist() for name, array in plan.arrays.items()} == {"x:0": [[1, 2, 3]]}
    assert list(fetched(model, ["y:0"], ["x:0=ones", "cut:1=[[5]]"]).arrays) == ["x:0", "cut:1"]


def test_an_op_that_nobody_here_knows_is_left_to_tensorflow(opened: Any) -> None:
    assert fetched(opened(), ["own:7"], ["x=ones"]).fetches == ("own:7",)


@pytest.mark.parametrize(
    ("fetches", "feeds", "sentence"),
    [
        (["yy"], [], "the main graph has no tensor yy; did you mean y?"),
        (["y", "z:0"], [], "the main graph has no tensor z:0"),
        (["y:1"], [], "y in the main graph has no output 1: it has 1 output"),
        (["cut:3"], [], "cut in the main graph has no output 3: it has 3 outputs"),
        (["cut:99999999999999999999"], [], "cut in the main graph has no output 99999999999999999999: it has 3"),
        (["cut:sum"], [], "cut in the main graph has no output sum: it has 3 outputs"),
        (["cut:-1"], [], "cut in the main graph has no output -1"),
        (["y:"], [], "y: names no tensor: write y or y:0"),
        (["nothing"], [], "nothing in the main graph has no output 0: it has 0 outputs"),
        (["^y"], [], "the main graph has no tensor ^y"),
        ([""], [], "the main graph has no tensor"),
        (["y"], ["x"], "--feed x: write TENSOR=VALUE"),
        (["y"], ["nope=1"], "the main graph has no tensor nope"),
        (["y"], ["x=ones", "x:0=zeros"], "x:0 is fed twice"),
        (["y"], ["x=[[1, 2]]"], "the input x:0 (float32 [?, 3]): dimension 1 is 2, not 3"),
        (["y"], ["own=1"], "the input own:0"),
    ],
)
def test_tensors_that_do_not_fit(opened: Any, fetches: list[str], feeds: list[str], sentence: str) -> None:
    assert refused(fetched, opened(), fetches, feeds).startswith(sentence)


def test_the_inputs_of_a_signature_are_given_beside_fetches(opened: Any) -> None:
    plan = fetched(opened(), ["cut:1"], given=Given(["[[1, 2, 3]]"]))
    assert (plan.signature, list(plan.arrays)) == ("serving_default", ["x"])
    plan = fetched(opened(), ["cut:1"], ["cut:0=[[1]]"], given=Given(["x=ones"]))
    assert list(plan.arrays) == ["x", "cut:0"]


def test_tensors_in_a_function(opened: Any) -> None:
    model = opened(functions=[function(b"f", [b"x"], {}, BODY)])
    plan = fetched(model, ["inner", "cut:1", "cut:output:2", "x"], given=Given(["x=ones"]))
    assert plan.body == "f"
    assert plan.signature == "serving_default"
    assert plan.fetches == ("inner", "cut:1", "cut:output:2", "x")
    named = fetched(model, ["inner:output:0"], function="f", given=Given(["x=ones"]))
    assert named.body == "f"
    assert refused(fetched, model, ["inner:1"], given=Given(["x=ones"])) == (
        "inner in the function f has no output 1: it has 1 output"
    )
    assert refused(fetched, model, ["inner", "y"], given=Given(["x=ones"])).startswith("the function f has no tensor y")
    assert refused(fetched, model, ["inner"], function="ff") == "there is no function ff; did you mean f?"
    assert "the input x (float32 [?, 3]) is missing" in refused(fetched, model, ["inner"])


def test_a_placeholder_that_is_fed_needs_no_input(opened: Any) -> None:
    model = opened(functions=[function(b"f", [b"x"], {}, BODY)])
    assert list(fetched(model, ["inner"], ["x=ones"]).arrays) == ["x:0"]
    assert refused(fetched, model, ["inner"], ["x:0=ones"], given=Given(["x=ones"])) == (
        "the input x and the tensor x:0 that it feeds are both given"
    )


def test_several_functions_have_the_tensor(opened: Any) -> None:
    body = [identity(b"inner", b"x")]
    bodies = [function(name, [b"x"], {}, body) for name in (b"f", b"g")]
    model = opened(functions=[*bodies, function(b"h", [b"x"], {}, [*body, identity(b"last", b"x")])])
    given = Given(["x=ones"])
    assert refused(fetched, model, ["inner"], given=given) == (
        "several functions have a node inner: choose one with --function NAME (f, g, h)"
    )
    assert fetched(model, ["inner"], function="g", given=given).body == "g"
    # Only one of them has all that was asked for.
    assert fetched(model, ["inner", "last"], given=given).body == "h"
    many = opened(functions=[function(b"f%d" % number, [b"x"], {}, body) for number in range(8)])
    assert refused(fetched, many, ["inner"], given=given).endswith("(f0, f1, f2, f3, f4 and 3 more)")


def test_a_function_with_damaged_nodes_is_passed_over(opened: Any) -> None:
    broken = function(b"bad", [b"x"], {}, [b"\x0a\x7f\x00"])
    model = opened(functions=[broken, function(b"f", [b"x"], {}, BODY)])
    assert fetched(model, ["inner"], given=Given(["x=ones"])).body == "f"


def test_hostile_names_are_visible_in_sentences(opened: Any) -> None:
    evil = b"\x1b[31m\xff\n"
    model = opened({evil: signature({evil: info(b"x:0")}, {})})
    for sentence in (
        refused(choose_signature, model.meta_graph(), "\x1b[2J"),
        refused(plan_signature, model.meta_graph(), None, Given()),
        refused(fetched, model, ["\x1b[2J"]),
        refused(fetched, model, ["y"], ["\x1b[2J"]),
    ):
        assert "\x1b" not in sentence


def test_the_demo(tmp_path: Path) -> None:
    row = dict.fromkeys(("gid", "cid1", "cid2", "cid3", "brand", "merchant"), "11")
    with open_model(str(demo.FOLDER / "ranker")) as model:
        plan = plan_signature(model.meta_graph(), None, Given(example=json.dumps(row)))
        assert (plan.signature, plan.arrays["examples"].shape) == ("serving_default", (1,))
    bundle(tmp_path / "c" / "ckpt")
    with open_model(str(tmp_path / "c" / "ckpt")) as checkpoint:
        assert not checkpoint.meta_graphs
