"""The child with TensorFlow: loaders, calls of every kind, and what is said when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from runtime import models
from runtime.calls import floats, outputs, strings
from runtime.conftest import until
from tfexplore.core.opener import open_model
from tfexplore.core.sections import Options as Sections
from tfexplore.core.sections import section
from tfexplore.errors import Cancelled, ChildDied, RunFailed, RuntimeFailed, TensorFlowMissing, TimedOut
from tfexplore.runtime import arrays
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.protocol import ITEM_SIZES, Tensor
from tfexplore.runtime.records import Call, Event, Log, Options, Progress

pytestmark = [pytest.mark.tensorflow, pytest.mark.asyncio(loop_scope="session")]

DEMO = Path(__file__).resolve().parents[2] / "src" / "tfexplore" / "demo" / "ranker"


async def failed(runtime: Runtime, call: Call, **more: Any) -> RuntimeFailed:
    with pytest.raises(RuntimeFailed) as found:
        await runtime.call(call, **more)
    return found.value


async def test_the_demo_gives_what_tensorflow_gives(shared: Runtime, tf: Any) -> None:
    features = dict.fromkeys(("gid", "cid1", "cid2", "cid3", "brand", "merchant"), "11")
    example = tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
                for name, value in features.items()
            }
        )
    ).SerializeToString()
    loaded = await shared.load(str(DEMO))
    assert loaded == {"loader": "v2", "because": None, "signatures": ["embed", "serving_default"], "notes": []}
    model = tf.saved_model.load(str(DEMO))
    for name in loaded["signatures"]:
        result = await shared.call(Call(signature=name, inputs=(strings("examples", [example, b""]),), repeat=3))
        expected = model.signatures[name](examples=tf.constant([example, b""]))
        assert {tensor.name for tensor in result.tensors} == set(expected)
        for tensor in result.tensors:
            assert bytes(tensor.data) == expected[tensor.name].numpy().tobytes()
            assert list(tensor.shape) == expected[tensor.name].shape.as_list()
        assert result.value["latency_ms"]["first"] > 0
        assert len(result.value["latency_ms"]["repeats"]) == 3


async def test_progress(shared: Runtime) -> None:
    events: list[Event] = []
    await shared.load(str(DEMO), on_event=events.append)
    await shared.call(Call("embed", inputs=(strings("examples", [b""]),)), on_event=events.append)
    assert [event.what for event in events if isinstance(event, Progress)] == ["loading the model", "first call"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (Call("nope"), "there is no signature nope, only: embed, serving_default"),
        (Call("embed"), "the input examples is missing"),
        (Call("embed", inputs=(strings("x", [b""]),)), "there is no input x, only: examples"),
        (Call("embed", inputs=(floats("examples", [1]),)), "the input examples is float32, not string"),
        (Call("embed", inputs=(strings("examples", b""),)), "the input examples has the shape [], not [?]"),
        (Call(function="nope.f"), "the model has no child nope"),
        (Call(fetches=("nope:0",)), "the graph has no tensor nope:0"),
        (Call(fetches=("nope",), body="nope"), "there is no function nope"),
    ],
)
async def test_wrong_requests(shared: Runtime, call: Call, sentence: str) -> None:
    await shared.load(str(DEMO))
    assert str(await failed(shared, call)) == sentence


async def test_what_can_be_called(shared: Runtime, small_models: Path) -> None:
    await shared.load(str(small_models / "functions"))
    found = await shared.describe()
    spec = {"dtype": "float32", "shape": [None, 2]}
    assert found["signatures"] == {"serving_default": {"inputs": {"x": spec}, "outputs": {"y": spec}}}
    traces = {one["path"]: one["traces"] for one in found["functions"]}
    assert sorted(traces) == [
        "encoder.__call__", "encoder.several", "layers.0.__call__", "named.first.__call__", "serve", "split",
    ]  # fmt: skip
    x = {"tensor": {"name": "x", **spec}}
    assert [one["args"] for one in traces["encoder.__call__"]] == [[x, {"value": False}], [x, {"value": True}]]
    (several,) = traces["encoder.several"]
    assert several["args"][0]["dict"]["b"]["list"][1]["tensor"]["dtype"] == "string"
    assert set(several["outputs"]["dict"]) == {"sum", "pair"}


async def test_functions_of_the_object_graph(shared: Runtime, small_models: Path) -> None:
    await shared.load(str(small_models / "functions"))
    x = floats("x", [[1, 2]])

    async def call(path: str, args: list[Any], **kwargs: Any) -> dict[str, Any]:
        inputs: list[Tensor] = []
        packed = [arrays.pack(one, inputs) for one in args]
        named = {name: arrays.pack(one, inputs) for name, one in kwargs.items()}
        result = await shared.call(Call(function=path, inputs=tuple(inputs), args=packed, kwargs=named))
        return outputs(result)

    assert await call("encoder.__call__", [x]) == {"output": [[7, 10]]}
    assert await call("encoder.__call__", [x], training=True) == {"output": [[8, 11]]}
    three = arrays.to_tensor("b", np.array(3, dtype=np.int32))
    structured = {"a": floats("a", [1, 2]), "b": [three, strings("c", b"word")]}
    assert await call("encoder.several", [structured, floats("s", 2)]) == {
        "pair/0": [4, 5],
        "pair/1": b"word",
        "sum": [8, 10],
    }
    assert await call("split", [strings("w", [b"a b", b"c"])]) == {
        "output.values": [b"a", b"b", b"c"],
        "output.row_splits": [0, 2, 3],
    }
    with pytest.raises(RunFailed, match="no trace of this function takes such arguments") as wrong:
        await call("encoder.__call__", [floats("x", [1])])
    assert "Option 2" in str(wrong.value.detail["reason"])


@pytest.mark.parametrize("dtype", models.DTYPES)
async def test_every_dtype_there_and_back(shared: Runtime, small_models: Path, dtype: str) -> None:
    await shared.load(str(small_models / "types"))
    if dtype == "string":
        sent = strings("x", [b"\xff\x00", b""])
    else:
        sent = Tensor("x", dtype, (2,), bytes([0, 1] * ITEM_SIZES[dtype]) if dtype != "bool" else bytes([0, 1]))
    (got,) = (await shared.call(Call(function="same", inputs=(sent,), args=[{"tensor": 0}]))).tensors
    assert (got.dtype, got.shape, bytes(got.data)) == (dtype, (2,), bytes(sent.data))


async def test_tensors_by_name_in_a_tensorflow_2_model(shared: Runtime, small_models: Path) -> None:
    await shared.load(str(small_models / "functions"))
    fed = (floats("serving_default_x:0", [[1, -9]]),)
    result = await shared.call(Call(inputs=fed, fetches=("StatefulPartitionedCall:0", "serving_default_x")))
    assert outputs(result) == {"StatefulPartitionedCall:0": [[0, 0]], "serving_default_x": [[1, -9]]}


def functions_of(model: Path) -> dict[str, Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((model / "saved_model.pb").read_bytes())
    return {one.signature.name: one for one in proto.meta_graphs[0].graph_def.library.function}


async def test_inner_tensors_of_a_tensorflow_2_model(shared: Runtime, small_models: Path) -> None:
    model = small_models / "functions"
    library = functions_of(model)
    (serve,) = [name for name in library if name.startswith("__inference_serve_")]
    inner = [name for name in library if name.startswith("__inference___call__")]
    await shared.load(str(model))
    fed = (floats("x", [[1, -9]]),)
    result = await shared.call(Call("serving_default", inputs=fed, fetches=("head/relu:0", "x:0"), body=serve))
    assert outputs(result) == {"head/relu:0": [[0, 0]], "x:0": [[1, -9]]}
    found, refused = [], []
    for name in inner:
        call = Call("serving_default", inputs=fed, fetches=("product:product:0", "product:0"), body=name)
        try:
            found.append(outputs(await shared.call(call)))
        except RunFailed as error:
            refused.append(str(error))
    assert found == [{"product:product:0": [[-26, -34]], "product:0": [[-26, -34]]}]
    assert len(refused) == len(inner) - 1
    assert all("does not call" in one and "outside of loops and branches" in one for one in refused)
    wrong = await failed(shared, Call("serving_default", inputs=fed, fetches=("nope:0",), body=serve))
    assert str(wrong) == f"{serve} has no tensor nope:0"


async def test_every_inner_tensor_of_the_demo(shared: Runtime) -> None:
    await shared.load(str(DEMO))
    inputs = (strings("examples", [b"", b""]),)
    scores = outputs(await shared.call(Call("serving_default", inputs=inputs)))["scores"]
    reached, same = 0, 0
    refused: list[str] = []
    with open_model(str(DEMO)) as model:
        for function in [row["name"] for row in section(model, "functions")]:
            rows = section(model, "tensors", Sections(function=function))
            names = tuple(row["name"] for row in rows if row["dtype"] not in ("resource", "variant"))
            if not names:
                continue
            call = Call("serving_default", inputs=inputs, fetches=names, body=function)
            try:
                found = outputs(await shared.call(call))
            except RunFailed as error:
                refused.append(str(error))
                continue
            assert set(found) == set(names)
            reached += 1
            same += scores in found.values()
    assert all("does not call" in one for one in refused)
    assert reached > 3
    assert same > 1


@pytest.mark.parametrize("loader", ["auto", "v1"])
async def test_a_tensorflow_1_model(shared: Runtime, small_models: Path, loader: str) -> None:
    loaded = await shared.load(str(small_models / "session"), loader=loader)
    assert loaded["loader"] == ("v2" if loader == "auto" else "v1")
    called = await shared.call(Call("serving_default", inputs=(floats("x", [1, 2]),), repeat=2))
    assert outputs(called) == {"y": [3, 5]}
    fetched = await shared.call(Call(inputs=(floats("x:0", [1, 2]),), fetches=("y:0", "w")))
    assert outputs(fetched) == {"y:0": [3, 5], "w": 2}
    unfed = await failed(shared, Call(fetches=("y:0",)))
    assert unfed.kind == "invalid_argument"
    assert "must feed a value for placeholder tensor 'x'" in str(unfed)


async def test_graphs(shared: Runtime, small_models: Path) -> None:
    for name in ("graph.pb", "graph.pbtxt"):
        await shared.load(str(small_models / name), form="graph_def")
        result = await shared.call(Call(inputs=(floats("x", [1, 2]),), fetches=("y",)))
        assert outputs(result) == {"y": [3, 5]}
    with pytest.raises(RunFailed, match="checkpoint holds no GraphDef"):
        await shared.load(str(small_models / "checkpoint"), form="graph_def")


async def test_a_meta_graph_with_and_without_its_checkpoint(shared: Runtime, small_models: Path) -> None:
    call = Call(inputs=(floats("x", [1, 2]),), fetches=("y",))
    meta = str(small_models / "training.meta")
    loaded = await shared.load(meta, form="meta_graph")
    assert loaded["notes"] == ["no checkpoint was given, so no variable has a value"]
    assert (await failed(shared, call)).kind == "failed_precondition"
    await shared.load(meta, form="meta_graph", checkpoint=str(small_models / "training"))
    assert outputs(await shared.call(call)) == {"y": [3, 5]}


async def test_an_op_that_is_not_registered(shared: Runtime, small_models: Path) -> None:
    with pytest.raises(RunFailed) as found:
        await shared.load(str(small_models / "unregistered.pb"), form="graph_def")
    assert str(found.value) == (
        "this TensorFlow has no op Sentencepiece4Tokens, which comes with tensorflow-text; install tensorflow-text "
        "beside TensorFlow and add --import tensorflow_text"
    )
    assert found.value.detail["op"] == "Sentencepiece4Tokens"


async def test_what_the_sandbox_refused_is_named(shared: Runtime, small_models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    await shared.load(str(small_models / "files"))
    assert shared.sandbox is not None
    if shared.sandbox.landlock is None:
        pytest.skip(shared.sandbox.sentence())
    for name, path in (("read", tmp_path / "secret"), ("write", tmp_path / "new")):
        refused = await failed(shared, Call(name, inputs=(strings("path", str(path).encode()),)))
        assert (refused.kind, refused.detail["path"]) == ("permission_denied", str(path))
        assert str(refused) == f"the sandbox refused {path} to the model"
    assert not (tmp_path / "new").exists()
    link = small_models / "link"
    link.symlink_to(tmp_path / "secret")
    refused = await failed(shared, Call("read", inputs=(strings("path", str(link).encode()),)))
    assert str(refused) == f"the sandbox refused {link}, a link to {tmp_path / 'secret'}, to the model"


async def test_an_endless_loop_is_stopped(shared: Runtime, small_models: Path) -> None:
    await shared.load(str(small_models / "loops"))
    with pytest.raises(TimedOut, match=r"it was stopped after 0\.5 s"):
        await shared.call(Call("forever", inputs=(floats("x", 1),)), timeout=0.5)
    by_name = Call(inputs=(floats("forever_x:0", 1),), fetches=("PartitionedCall:0",))
    with pytest.raises(TimedOut, match=r"it was stopped after 0\.5 s"):
        await shared.call(by_name, timeout=0.5)
    # The model is there again, whether the child had to be ended or not.
    small = arrays.to_tensor("n", np.array(4, dtype=np.int64))
    assert 0 <= outputs(await shared.call(Call("large", inputs=(small,))))["y"] <= 4


async def test_the_first_loader_fails_and_the_second_takes_over(shared: Runtime, corpus: Path) -> None:
    events: list[Event] = []
    model = corpus / "models" / "serving-half_plus_three" / "00000123"
    loaded = await shared.load(str(model), on_event=events.append)
    assert loaded["loader"] == "v1"
    assert loaded["because"].startswith("ValueError: Shape")
    (log,) = [event.text for event in events if isinstance(event, Log)]
    assert log.startswith("TensorFlow 2 cannot load it (ValueError: Shape")
    assert log.endswith("so TensorFlow 1's loader takes over")
    result = await shared.call(Call(inputs=(floats("x:0", [[2]]),), fetches=("y:0",)))
    assert outputs(result) == {"y:0": [[4]]}


async def test_no_model_and_no_file(shared: Runtime, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="nowhere is not there"):
        await shared.load(str(tmp_path / "nowhere"))


@pytest_asyncio.fixture(loop_scope="session")
async def own(small_models: Path) -> AsyncIterator[Any]:
    """Makes runtimes with TensorFlow and options of their own."""
    made: list[Runtime] = []

    def one(**options: Any) -> Runtime:
        made.append(Runtime(Options(reads=(str(small_models),), **options)))
        return made[-1]

    yield one
    for runtime in made:
        await runtime.close()


async def test_memory_is_limited_and_own_modules_are_imported(own: Any, small_models: Path, tmp_path: Path) -> None:
    module = tmp_path / "my_ops.py"
    module.write_text("import sys\nsys.stderr.write('my ops are here\\n')\n")
    runtime = own(memory=8 << 30, imports=(str(module),), threads=1)
    await runtime.load(str(small_models / "loops"))
    assert "my ops are here" in runtime.last_words()
    many = arrays.to_tensor("n", np.array(4 << 30, dtype=np.int64))
    with pytest.raises((RunFailed, ChildDied)) as found:
        await runtime.call(Call("large", inputs=(many,)))
    if isinstance(found.value, RunFailed):
        assert found.value.kind == "resource_exhausted"
        assert "there is not enough memory for it" in str(found.value)
        assert "--memory allows more" in str(found.value)
    few = arrays.to_tensor("n", np.array(4, dtype=np.int64))
    assert 0 <= outputs(await runtime.call(Call("large", inputs=(few,))))["y"] <= 4


async def test_cancelled_while_tensorflow_is_imported(own: Any) -> None:
    states: list[str] = []
    runtime = own()
    runtime._on_state = states.append
    starting = asyncio.ensure_future(runtime.start())
    await until(lambda: "importing" in states)
    runtime.cancel()
    with pytest.raises(Cancelled):
        await starting
    assert runtime.state == "dead"
    assert (await runtime.start()).tensorflow


async def test_a_module_and_a_library_that_are_not_there(own: Any, tmp_path: Path) -> None:
    with pytest.raises(TensorFlowMissing, match="no_such_ops cannot be imported: No module named 'no_such_ops'"):
        await own(imports=("no_such_ops",)).start()
    with pytest.raises(TensorFlowMissing, match=r"none\.so cannot be loaded"):
        await own(op_libraries=(str(tmp_path / "none.so"),)).start()


async def test_a_file_beside_the_model_shadows_nothing(own: Any, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("json", "numpy", "tensorflow", "site"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    runtime = Runtime(Options(reads=(str(tmp_path),)))
    assert (await runtime.start()).tensorflow
    await runtime.close()
