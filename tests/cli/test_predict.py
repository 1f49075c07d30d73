"""`tfexplore predict`: what it answers is what TensorFlow answers, and what is wrong is said before it is asked."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Kept, Ran, Run, command, environment, on_pty, process
from cli.hostile import COLOURS, EVIL, FORBIDDEN
from runtime.conftest import is_there
from tfexplore import __version__, demo
from tfexplore.core.opener import open_model

RANKER = demo.FOLDER / "ranker"
ROW = '{"gid": "135415", "cid1": "11", "cid2": "11", "cid3": "2860", "brand": "11", "merchant": "11"}'
SEVERAL = [
    word for given in ("inputs_a=[1, 2]", "inputs_b_0=3", "inputs_b_1=word", "scale=2") for word in ("--input", given)
]
KERNEL = np.array([[1, 2], [3, 4]], "float32")

pytestmark = pytest.mark.usefixtures("tf")


@pytest.fixture
def predict(run: Run, one_child: Kept) -> Callable[..., Ran]:
    return lambda *words: run("predict", *words)


@pytest.fixture
def functions(small_models: Path) -> Path:
    return small_models / "functions"


def answer(found: Ran) -> dict[str, Any]:
    """The outputs' values of a document."""
    assert found.code == 0, found.err
    return {name: one["values"] for name, one in json.loads(found.out)["outputs"].items()}


def relu(x: Any) -> Any:
    return np.maximum(np.asarray(x, "float32") @ KERNEL, 0).tolist()


# -- what it answers --


def test_the_demo(predict: Any, tf: Any) -> None:
    example = tf.train.Example()
    for name, value in json.loads(ROW).items():
        example.features.feature[name].bytes_list.value.append(value.encode())
    call = tf.saved_model.load(str(RANKER)).signatures["serving_default"]
    expected = call(examples=tf.constant([example.SerializeToString()]))
    found = json.loads(predict(RANKER, "--example", ROW, "--json").out)
    assert (found["schema"], found["tfexplore"], found["kind"]) == (1, __version__, "saved_model")
    assert (found["command"], found["signature"]) == ("predict", "serving_default")
    assert set(found["outputs"]) == {"scores", "probabilities"}
    for name, one in found["outputs"].items():
        assert (one["dtype"], one["shape"]) == ("float32", [1])
        assert np.array(one["values"], "float32").tobytes() == expected[name].numpy().tobytes()


def test_the_demo_in_a_golden_file(
    predict: Any, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.FOLDER)
    document = json.loads(predict("ranker", "--example", ROW, "--repeat", 3, "--json").out)
    assert all(value > 0 for value in document["latency_ms"].values())
    document["latency_ms"] = dict.fromkeys(document["latency_ms"], "MILLISECONDS")
    document["tfexplore"] = "VERSION"
    # TensorFlow's kernels differ in the last bits from one processor to another.
    for one in document["outputs"].values():
        one["values"] = [round(value, 4) for value in one["values"]]
    golden("ranker-predict.json", json.dumps(document, indent=1) + "\n")
    lines = predict("ranker", "--example", ROW)
    golden("ranker-predict.tsv", re.sub(r"(0\.\d{4})\d+", r"\1", lines.out))
    assert re.fullmatch(r"tfexplore: first call \d+\.\d ms\n", lines.err)


def test_records_and_rows(predict: Any, tf: Any, tmp_path: Path) -> None:
    from tfexplore.core.given import given_arrays

    with open_model(str(RANKER)) as model:
        rows = given_arrays(model.meta_graph(), model.meta_graph().signatures[0], example=f"@{demo.FOLDER}/rows.jsonl")
    with tf.io.TFRecordWriter(str(tmp_path / "rows")) as writer:
        for row in rows["examples"]:
            writer.write(row)
    of_rows = answer(predict(RANKER, "--example", f"@{demo.FOLDER}/rows.jsonl", "--json"))["scores"]
    of_records = answer(predict(RANKER, "--tfrecord", f"{tmp_path}/rows:7", "--json"))["scores"]
    assert len(of_rows) == 300
    assert np.allclose(of_records, of_rows[:7], rtol=1e-5)


def test_inputs_of_every_kind(predict: Any, functions: Path, tmp_path: Path) -> None:
    x = np.array([[1, -9], [0.5, 2]], "float32")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "wide.npy", x.astype("float64"))
    np.savez(tmp_path / "x.npz", first=x, second=x + 1)
    (tmp_path / "x.json").write_text(json.dumps(x.tolist()))
    (tmp_path / "r.json").write_text(json.dumps({"instances": [{"x": row} for row in x.tolist()]}))
    (tmp_path / "c.json").write_text(json.dumps({"signature_name": "serving_default", "inputs": x.tolist()}))
    for words in (
        ("--input", f"x={x.tolist()}"),
        ("--input", f"{x.tolist()}"),
        ("--input", f"x=@{tmp_path}/x.npy"),
        ("--input", f"@{tmp_path}/wide.npy"),
        ("--input", f"x=@{tmp_path}/x.npz:first"),
        ("--input", f"x=@{tmp_path}/x.json"),
        ("--request", tmp_path / "r.json"),
        ("--request", tmp_path / "c.json"),
    ):
        assert answer(predict(functions, *words, "--json")) == {"y": relu(x)}, words
    assert answer(predict(functions, "--input", "zeros", "--json")) == {"y": [[0, 0]]}
    assert answer(predict(functions, "--input", "x=ones", "--json")) == {"y": relu([[1, 1]])}
    seeded = [answer(predict(functions, "--input", f"random{seed}", "--json"))["y"] for seed in ("", ":0", ":7")]
    assert seeded[0] == seeded[1] != seeded[2]


def test_functions_of_the_object_graph(predict: Any, functions: Path) -> None:
    found = predict(functions, "--call", "encoder.__call__", "--input", "x=[[1, 2]]", "--json")
    assert json.loads(found.out)["call"] == "encoder.__call__"
    assert "signature" not in json.loads(found.out)
    assert answer(found) == {"output": [[7, 10]]}
    found = predict(functions, "--call", "encoder.several", *SEVERAL, "--json")
    assert answer(found) == {"sum": [8, 10], "pair/0": [4, 5], "pair/1": "word"}
    found = predict(functions, "--call", "split", "--input", '["a b", "c"]', "--json")
    assert answer(found) == {"output.values": ["a", "b", "c"], "output.row_splits": [0, 2, 3]}


def test_functions_that_are_not_there_or_do_not_fit(predict: Any, functions: Path, small_models: Path) -> None:
    for words, sentence in (
        (("nope",), "there is no function nope to call; there is: encoder.__call__, encoder.several, layers.0"),
        (("encoder.__cal__",), "there is no function encoder.__cal__ to call; did you mean encoder.__call__?"),
        (("encoder.__call__", "--input", "x=[1]"), "no trace of encoder.__call__ takes this (the input x (float32"),
        (("split",), "the input words (string [?]) is missing: give --input words=VALUE"),
    ):
        found = predict(functions, "--call", *words)
        assert (found.code, found.out) == (2, "")
        assert found.err.startswith(f"tfexplore: error: {sentence}"), found.err
    found = predict(small_models / "graph.pb", "--call", "f", "--input", "x=1")
    assert (found.code, found.out) == (2, "")
    assert "there is no function f to call; the model has none" in found.err


def test_tensors_of_tensorflow_1(predict: Any, small_models: Path) -> None:
    fetch = ("--fetch", "y", "--fetch", "w:0", "--feed", "x=[1, 2]", "--json")
    assert answer(predict(small_models / "session", *fetch)) == {"y": [3, 5], "w:0": 2}
    found = predict(small_models / "session", "--fetch", "y:0", "--input", "x=[1, 2]", "--json")
    assert answer(found) == {"y:0": [3, 5]}
    assert {name: json.loads(found.out)[name] for name in ("signature", "fetches", "function")} == {
        "signature": "serving_default",
        "fetches": ["y:0"],
        "function": None,
    }
    for graph in ("graph.pb", "graph.pbtxt"):
        assert answer(predict(small_models / graph, "--fetch", "y", "--feed", "x:0=[4]", "--json")) == {"y": [9]}
    assert answer(predict(small_models / "training.meta", *fetch)) == {"y": [3, 5], "w:0": 2}
    # A tensor in the middle may be fed too.
    assert answer(predict(small_models / "graph.pb", "--fetch", "y", "--feed", "mul:0=[10]", "--json")) == {"y": [11]}


def test_an_export_without_shapes(predict: Any, corpus: Path) -> None:
    model = corpus / "models" / "serving-half_plus_three" / "00000123"
    found = predict(model, "--input", "x=[[2], [4]]", "--json", "--quiet")
    assert answer(found) == {"y": [[4], [5]]}


def test_inner_tensors_of_tensorflow_2(predict: Any, functions: Path, tf: Any, tmp_path: Path) -> None:
    found = predict(functions, "--fetch", "head/relu", "--input", "x=[[1, 2]]", "--json")
    assert answer(found) == {"head/relu": relu([[1, 2]])}
    assert json.loads(found.out)["function"].startswith("__inference_serve_")

    class Dense(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(tf.random.stateless_normal([3, 4], [1, 2]), name="kernel")

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
        def serve(self, x: Any) -> Any:
            with tf.name_scope("dense"):
                product = tf.matmul(x, self.kernel, name="MatMul")
            return {"y": tf.nn.softmax(tf.nn.relu(product))}

    dense = Dense()
    tf.saved_model.save(dense, str(tmp_path / "dense"), signatures=dense.serve)
    x = np.arange(6, dtype="float32").reshape(2, 3) / 7
    np.save(tmp_path / "x.npy", x)
    words = ("--fetch", "dense/MatMul:0", "--input", f"x=@{tmp_path}/x.npy", "--outdir", tmp_path / "out", "--quiet")
    assert predict(tmp_path / "dense", *words).code == 0
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "dense_MatMul_0.npy"
    expected = tf.function(lambda x: tf.matmul(x, dense.kernel))(x).numpy()
    assert np.load(file).tobytes() == expected.tobytes()


def test_repeat(predict: Any, functions: Path) -> None:
    found = predict(functions, "--input", "ones", "--repeat", 20)
    assert re.fullmatch(
        r"tfexplore: first call [\d.]+ ms; the others: p50 [\d.]+ ms, p90 .* ms, max .* ms\n", found.err
    )
    latency = json.loads(predict(functions, "--input", "ones", "--repeat", 20, "--json").out)["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["max"]
    once = json.loads(predict(functions, "--input", "ones", "--json").out)["latency_ms"]
    assert once.pop("first") > 0
    assert once == {"p50": None, "p90": None, "max": None}


def test_lines_for_programs(predict: Any, functions: Path) -> None:
    words = ("--call", "split", "--input", '["a\\tb \\u001b[31m", "c"]', "--quiet")
    found = predict(functions, *words)
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        'output.values\tstring\t[4]\t0\t["a", "b", "\\x1b[31m", "c"]\noutput.row_splits\tint64\t[3]\t0\t[0, 3, 4]\n'
    )


def test_outdir(predict: Any, functions: Path, tmp_path: Path) -> None:
    words = (functions, "--input", "[[1, 2]]", "--outdir", tmp_path / "out")
    found = predict(*words)
    assert found.code == 0
    assert f"tfexplore: saved {tmp_path}/out/y.npy\n" in found.err
    assert np.load(tmp_path / "out" / "y.npy").tolist() == relu([[1, 2]])
    again = predict(*words)
    assert again.code == 2
    assert f"{tmp_path}/out/y.npy exists already; --overwrite replaces it" in again.err
    assert predict(*words, "--overwrite").code == 0


def test_expect(predict: Any, functions: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    golden.write_text(predict(functions, "--input", "[[1, 2]]", "--json").out)
    same = predict(functions, "--input", "[[1, 2]]", "--expect", golden)
    assert same.code == 0
    other = predict(functions, "--input", "[[1, 2.001]]", "--expect", golden)
    assert other.code == 1
    assert "tfexplore: y differs in 2 of 2 elements; the first at [0, 0]: 7.003, expected 7\n" in other.err
    assert predict(functions, "--input", "[[1, 2.001]]", "--expect", golden, "--rtol", "0.01").code == 0
    assert predict(functions, "--input", "[[1, 2.001]]", "--expect", golden, "--atol", "0.01").code == 0
    quiet = predict(functions, "--input", "[[1, 3]]", "--expect", golden, "--quiet")
    assert (quiet.code, "differs" in quiet.err) == (1, True)
    golden.write_text('{"y": [[7, 10]], "z": 1}')
    missing = predict(functions, "--input", "[[1, 2]]", "--expect", golden)
    assert (missing.code, "z is missing" in missing.err) == (1, True)


# -- the same in other words --


def printed(script: str) -> str:
    """What a script prints, run in this process, which has TensorFlow already."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(script, "script.py", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?![\w.])", text)]


def test_the_python_runs_as_it_stands(predict: Any, tf: Any, small_models: Path, functions: Path) -> None:
    for words, expected in (
        ((functions, "--input", "x=[[1, 2]]"), [[7, 10]]),
        ((functions, "--call", "encoder.__call__", "--input", "x=[[1, 2]]"), [[7, 10]]),
        ((functions, "--call", "layers.0.__call__", "--input", "x=[[1, 2]]"), [[7, 10]]),
        ((functions, "--call", "named.first.__call__", "--input", "x=[[1, 2]]"), [[7, 10]]),
        ((functions, "--call", "encoder.several", *SEVERAL), [4, 5, 8, 10]),
        ((functions, "--fetch", "StatefulPartitionedCall:0", "--feed", "serving_default_x=[[1, 2]]"), [[7, 10]]),
        ((small_models / "session", "--input", "x=[1, 2]"), [3, 5]),
        ((small_models / "session", "--fetch", "y", "--input", "x=[1, 2]"), [3, 5]),
        ((small_models / "session", "--fetch", "y:0", "--feed", "x=[1, 2]"), [3, 5]),
        ((small_models / "graph.pb", "--fetch", "y", "--feed", "x=[1, 2]"), [3, 5]),
        ((small_models / "graph.pbtxt", "--fetch", "y", "--feed", "x=[1, 2]"), [3, 5]),
        ((small_models / "training.meta", "--fetch", "y", "--feed", "x=[1, 2]"), [3, 5]),
    ):
        script = predict(*words, "--as", "python")
        assert script.code == 0, script.err
        out = printed(script.out)
        if "--call" not in words:  # a line of name and dtype comes first
            out = out.partition("\n")[2]
        assert numbers(out) == np.ravel(expected).tolist(), (words, script.out, out)


def test_the_python_of_the_demo_as_a_process(predict: Any, tmp_path: Path) -> None:
    script = predict(RANKER, "--example", ROW, "--as", "python").out
    (tmp_path / "script.py").write_text(script)
    ran = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment()
    )
    scores = answer(predict(RANKER, "--example", ROW, "--json"))
    found = dict(re.findall(r"(\w+) float32 \[1\]\n\[(.*)\]", ran.stdout))
    assert set(found) == {"scores", "probabilities"}
    for name, value in found.items():
        assert np.float32(value) == np.float32(scores[name][0])


def test_saved_model_cli_gives_the_same(predict: Any, small_models: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).parent / "saved_model_cli"
    if not tool.exists():
        pytest.skip("no saved_model_cli beside this Python")
    line = predict(RANKER, "--example", ROW, "--as", "saved_model_cli").out
    words = shlex.split(line)
    assert words[0] == "saved_model_cli"
    ran = subprocess.run(
        [tool, *words[1:], "--outdir", str(tmp_path)], capture_output=True, text=True, check=True, env=environment()
    )
    assert "Result for output key scores" in ran.stdout
    scores = answer(predict(RANKER, "--example", ROW, "--json"))["scores"]
    assert np.allclose(np.load(tmp_path / "scores.npy"), scores, rtol=1e-6)


def test_the_body_of_curl_is_a_request(predict: Any, functions: Path, tmp_path: Path) -> None:
    for words in ((RANKER, "--example", ROW), (functions, "--input", "random")):
        line = shlex.split(predict(*words, "--as", "curl").out)
        body = json.loads(line[line.index("-d") + 1])
        (tmp_path / "body.json").write_text(json.dumps(body))
        again = predict(words[0], "--request", tmp_path / "body.json", "--json")
        assert answer(again) == answer(predict(*words, "--json"))


# -- said before TensorFlow is asked --


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--input", "z=1"), "the signature serving_default has no input z; there is: x"),
        ((), "the input x (float32 [?, 2]) is missing: give --input x=VALUE"),
        (("--input", 'x=[["a", "b"]]'), 'the input x (float32 [?, 2]): expected a number, got the string "a"'),
        (("--input", "x=[[1, 2, 3]]"), "the input x (float32 [?, 2]): dimension 1 is 3, not 2"),
        (("--input", "x=[1"), "the input x (float32 [?, 2]): [1 is neither JSON nor @FILE nor one of zeros"),
        (("--input", "x=@/nowhere.npy"), "/nowhere.npy"),
        (("--signature", "nope", "--input", "x=ones"), "there is no signature nope; there is: serving_default"),
        (("--fetch", "nope"), "the main graph has no tensor nope"),
        (("--fetch", "NoOp:3"), "NoOp in the main graph has no output 3: it has 0 outputs"),
        (("--fetch", "x", "--feed", "nope=1"), "several functions have"),
        (("--call", "f", "--fetch", "x"), "--call calls a function by its path, and --fetch belongs to another"),
        (("--call", "f", "--signature", "x"), "--call calls a function by its path, and --signature belongs"),
        (("--feed", "x=1"), "--feed goes with --fetch TENSOR"),
        (("--function", "f", "--input", "ones"), "--function goes with --fetch TENSOR"),
        (("--overwrite", "--input", "ones"), "--overwrite goes with --outdir"),
        (("--as", "curl", "--input", "ones", "--repeat", "3"), "--as prints the call instead of running it, so"),
        (("--as", "curl", "--fetch", "serving_default_x"), "--as curl calls signatures; --as python writes any call"),
        (("--as", "python", "--json", "--input", "ones"), "--as prints the call instead of running it, so --json"),
        (("--input", "ones", "--expect", "/nowhere.json"), "/nowhere.json"),
        (("--input", "ones", "--timeout", "0"), "argument --timeout: '0' is no time in seconds"),
        (("--input", "ones", "--repeat", "0"), "argument --repeat: '0' is no number from 1 on"),
        (("--input", "ones", "--memory", "lots"), "argument --memory: 'lots' is no size"),
        (("--input", "ones", "--rtol", "nan"), "argument --rtol: 'nan' is no tolerance"),
        (("--example", "{}"), "the signature serving_default has no input of strings, so it takes no Examples"),
        (("--request", "/nowhere.json"), "/nowhere.json"),
        (("--tag-set", "gpu", "--input", "ones"), "gpu"),
    ],
)
def test_wrong_usage(run: Run, no_child: list[Any], functions: Path, words: tuple[str, ...], sentence: str) -> None:
    found = run("predict", functions, *words)
    assert (found.code, found.out) == (2, ""), found.err
    assert sentence in found.err
    assert found.err.startswith("tfexplore: error: ")
    assert found.err.count("\n") == 1
    assert not no_child


def test_models_that_hold_nothing_to_run(run: Run, no_child: list[Any], small_models: Path, tmp_path: Path) -> None:
    for path, code, sentence in (
        (small_models / "training.index", 2, "a checkpoint holds values, nothing that could be run"),
        (small_models, 2, "a training directory holds values, nothing that could be run"),
        (tmp_path / "nowhere", 3, "nowhere"),
        (small_models / "graph.pb", 2, "has no signature: call a function of the object graph with --call PATH"),
    ):
        found = run("predict", path, "--input", "ones")
        assert (found.code, found.out) == (code, ""), found.err
        assert sentence in found.err
    assert not no_child


def test_what_outdir_would_replace_is_refused_before_the_run(
    run: Run, no_child: list[Any], functions: Path, tmp_path: Path
) -> None:
    (tmp_path / "y.npy").write_text("mine")
    found = run("predict", functions, "--input", "ones", "--outdir", tmp_path)
    assert (found.code, found.err) == (
        2, f"tfexplore: error: {tmp_path}/y.npy exists already; --overwrite replaces it\n"
    )  # fmt: skip
    assert not no_child


def test_a_risky_model_needs_trust(run: Run, no_child: list[Any], corpus: Path) -> None:
    path = corpus / "hostile" / "risky" / "call_write"
    for words in (("--input", "ones"), ("--call", "f", "--input", "ones")):
        found = run("predict", path, *words)
        assert (found.code, found.out) == (1, "")
        assert found.err == (
            f"tfexplore: error: {path} is not run: the scan has 2 findings of level high: WriteFile writes a file "
            '("/tmp/tfexplore-canary/call_write"); `tfexplore scan` tells all, --trust runs it in the sandbox\n'
        )
    assert not no_child


# -- what goes wrong in the child --


def test_with_trust_it_is_contained(corpus: Path) -> None:
    from tfexplore.runtime.child import sandbox

    if sandbox.landlock_abi() is None:
        pytest.skip("this kernel has no Landlock")
    canary = Path("/tmp/tfexplore-canary")
    if (canary / "call_write").exists():
        pytest.skip(f"{canary}/call_write is there already")
    path = corpus / "hostile" / "risky" / "call_write"
    found = process("predict", path, "--trust", "--input", "ones")
    said = found.stderr.decode()
    assert (found.returncode, found.stdout) == (4, b""), said
    assert f"the sandbox refused {canary}" in said
    assert not (canary / "call_write").exists()


def test_an_op_that_nobody_registered(predict: Any, small_models: Path) -> None:
    found = predict(small_models / "unregistered.pb", "--fetch", "y")
    assert (found.code, found.out) == (4, "")
    assert found.err == (
        "tfexplore: error: this TensorFlow has no op Sentencepiece4Tokens, which comes with tensorflow-text; install "
        "tensorflow-text beside TensorFlow and add --import tensorflow_text\n"
    )


def test_a_placeholder_that_nobody_feeds(predict: Any, small_models: Path) -> None:
    found = predict(small_models / "graph.pb", "--fetch", "y")
    assert (found.code, found.out) == (4, "")
    assert "must feed a value for placeholder tensor 'x'" in found.err


def test_a_loop_is_stopped(predict: Any, small_models: Path) -> None:
    words = (small_models / "loops", "--signature", "forever", "--input", "1", "--timeout", "0.5")
    found = predict(*words)
    assert (found.code, found.out) == (4, "")
    assert found.err == "tfexplore: error: it was stopped after 0.5 s; --timeout allows more\n"


def test_a_python_without_tensorflow(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    python = bare / "bin" / "python"
    found = process("predict", RANKER, "--example", ROW, "--tf-python", python)
    said = found.stderr.decode()
    assert (found.returncode, found.stdout) == (4, b""), said
    assert f"{python} has no tensorflow; install it (pip install 'tfexplore[tf-cpu]')" in said
    assert said.count("\n") == 1
    missing = process("predict", RANKER, "--example", ROW, "--tf-python", tmp_path / "nowhere")
    assert missing.returncode == 4
    assert "nowhere" in missing.stderr.decode()


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                parents[int(entry)] = int(stat[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child not in found]
    return found[1:]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_it_and_leaves_no_process(small_models: Path, number: int, code: int) -> None:
    words = ["predict", small_models / "loops", "--signature", "forever", "--input", "1"]
    # Its progress on a pty tells when the call has begun.
    master, slave = os.openpty()
    with subprocess.Popen(
        command(words), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave
    ) as child:
        os.close(slave)
        said = b""
        end = time.monotonic() + 60
        while b"first call" not in said and time.monotonic() < end:
            with contextlib.suppress(OSError):
                said += os.read(master, 4096)
        assert b"first call" in said, said
        started = descendants(child.pid)
        assert started
        child.send_signal(number)
        out, _ = child.communicate(timeout=30)
        os.close(master)
    assert (child.returncode, out) == (code, b"")
    while any(map(is_there, started)):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.02)


def test_a_pipe_whose_reader_goes_away(functions: Path) -> None:
    words = command(["predict", functions, "--input", "ones", "--quiet"])
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        words, env=environment(), stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (found.returncode, found.stderr) == (0, b"")


def test_standard_output_that_is_closed(functions: Path) -> None:
    words = command(["predict", functions, "--input", "ones"])
    shell = 'exec "$@" >&-'
    found = subprocess.run(
        ["sh", "-c", shell, "sh", *words],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (found.returncode, found.stderr) == (2, b"tfexplore: error: standard output is closed\n")


# -- on a terminal --


def test_hostile_names_on_a_pty(hostile: Path) -> None:
    code, out, said = on_pty("predict", hostile, "--input", '[[1, "NaN", "Infinity"]]')
    assert code == 0, said
    found = COLOURS.sub("", out.decode("utf-8")).replace("\r\n", "\n")
    assert FORBIDDEN.search(found) is None
    assert FORBIDDEN.search(said.decode("utf-8")) is None
    assert r"\x1b]0;owned\x07  float32 [1, 3]" in found
    assert "1 NaN and 1 infinite of 3" in found
    assert "é日本" in found
    assert '"\\x1b[2J"' in found


def test_hostile_names_for_programs(predict: Any, hostile: Path) -> None:
    words = (hostile, "--input", "ones")
    lines = predict(*words)
    assert lines.code == 0, lines.err
    assert FORBIDDEN.search(lines.out.replace("\t", "")) is None
    assert lines.out.count("\n") == len(EVIL) + 1
    document = predict(*words, "--json").out
    assert document.isascii()
    found = json.loads(document)
    assert found["signature"] == EVIL[0]
    assert set(found["outputs"]) == {*EVIL, "words"}
    assert found["outputs"]["words"]["values"] == EVIL


def test_aligned_on_a_terminal(golden: Callable[[str, str], None]) -> None:
    code, out, said = on_pty("predict", "ranker", "--example", ROW, "--no-color", cwd=demo.FOLDER)
    assert code == 0, said
    golden("ranker-predict.txt", re.sub(r"(0\.\d{4})\d+", r"\1", out.decode("utf-8").replace("\r\n", "\n")))
