"""`tfexplore smoke`: every signature with made-up inputs, and what becomes of each."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Kept, Ran, Run, on_pty
from cli.hostile import COLOURS, EVIL, FORBIDDEN
from tfexplore import demo

pytestmark = pytest.mark.usefixtures("tf")


@pytest.fixture
def smoke(run: Run, one_child: Kept) -> Callable[..., Ran]:
    return lambda *words: run("smoke", *words)


@pytest.fixture(scope="module")
def mixed(tf: Any, small_models: Path) -> Path:
    """Signatures that pass, fail, give NaN, want an input that nobody can make up, or end the process."""
    folder = small_models / "mixed"
    if folder.exists():
        return folder

    def spec(shape: Any, dtype: Any = tf.float32, name: str = "x") -> Any:
        return tf.TensorSpec(shape, dtype, name=name)

    class Mixed(tf.Module):
        @tf.function(input_signature=[spec([], tf.int32)])
        def abort(self, x: Any) -> Any:
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="bye", exit_without_error=False)]):
                return {"y": x + 1}

        @tf.function(input_signature=[spec([], tf.int32)])
        def assertion(self, x: Any) -> Any:
            with tf.control_dependencies([tf.debugging.Assert(x > 0, ["the sky is falling", x])]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[spec([None, None, None, 3], name="image")])
        def convolution(self, image: Any) -> Any:
            return {"y": tf.nn.conv2d(image, tf.ones([7, 7, 3, 1]), 1, "VALID")}

        @tf.function(input_signature=[spec([None], tf.string, "pictures")])
        def decode(self, pictures: Any) -> Any:
            return {"y": tf.map_fn(lambda one: tf.io.decode_png(one, 3), pictures, fn_output_signature=tf.uint8)}

        @tf.function(input_signature=[spec([None], tf.int64, "ids")])
        def lookup(self, ids: Any) -> Any:
            with tf.device("cpu"):
                return {"y": tf.gather(tf.constant([1.0, 2.0]), ids - 5)}

        @tf.function(input_signature=[spec([None, 2])])
        def nan(self, x: Any) -> Any:
            return {"good": x, "y": (x - x) / (x - x)}

        @tf.function(input_signature=[spec([None], tf.string, "serialized")])
        def parse(self, serialized: Any) -> Any:
            features = {"a": tf.io.FixedLenFeature([2], tf.float32), "b": tf.io.VarLenFeature(tf.string)}
            found = tf.io.parse_example(serialized, features)
            return {"y": found["a"], "count": tf.shape(found["b"].values)}

        @tf.function(input_signature=[spec([None, 3])])
        def zz_last(self, x: Any) -> Any:
            return {"y": 2 * x}

    model = Mixed()
    names = ("abort", "assertion", "convolution", "decode", "lookup", "nan", "parse", "zz_last")
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return folder


def rows(found: Ran) -> dict[str, dict[str, Any]]:
    return {row["signature"]: row for row in json.loads(found.out)["items"]}


def test_every_status(smoke: Any, mixed: Path) -> None:
    found = smoke(mixed, "--trust", "--json")
    assert found.code == 1
    document = json.loads(found.out)
    assert {name: document[name] for name in ("schema", "command", "kind", "path", "total", "shown")} == {
        "schema": 1, "command": "smoke", "kind": "saved_model", "path": str(mixed), "total": 8, "shown": 8,
    }  # fmt: skip
    items = rows(found)
    assert {name: row["status"] for name, row in items.items()} == {
        "abort": "failed",
        "assertion": "failed",
        "convolution": "passed",
        "decode": "passed",
        "lookup": "skipped",
        "nan": "nan",
        "parse": "passed",
        "zz_last": "passed",
    }
    for row in items.values():
        assert set(row) == {"signature", "status", "reason", "inputs", "latency_ms", "outputs"}
        assert (row["latency_ms"] is None) == (row["status"] in ("failed", "skipped"))
        assert bool(row["outputs"]) == (row["status"] in ("passed", "nan"))
        assert bool(row["reason"]) == (row["status"] != "passed")
        assert "\n" not in row["reason"]
    assert "SIGABRT" in items["abort"]["reason"]
    assert "the sky is falling" in items["assertion"]["reason"]
    assert items["assertion"]["inputs"] == "x int32 [] zeros"
    assert items["convolution"]["inputs"] == "unknown dimensions 32: image float32 [1, 32, 32, 3] random"
    assert items["convolution"]["outputs"] == {"y": {"dtype": "float32", "shape": [1, 26, 26, 1], "nan": 0, "inf": 0}}
    assert items["decode"]["outputs"]["y"]["shape"] == [1, 1, 1, 3]
    assert items["lookup"]["reason"].startswith("needs input: ")
    assert items["nan"]["reason"] == "2 NaN in y"
    assert items["nan"]["outputs"]["good"]["nan"] == 0
    assert items["nan"]["outputs"]["y"]["nan"] == 2
    assert items["parse"]["outputs"]["count"]["shape"] == [1]
    assert items["zz_last"]["latency_ms"]["first"] > 0
    assert items["zz_last"]["latency_ms"]["p50"] is None
    assert found.err.endswith("tfexplore: 8 signatures: 4 passed, 2 failed, 1 nan, 1 skipped\n")


def test_lines_for_programs(smoke: Any, mixed: Path) -> None:
    found = smoke(mixed, "--trust", "--signature", "nan")
    assert found.code == 1
    assert re.fullmatch(r"nan\tnan\t[\d.]+ ms\t2 NaN in y\n", found.out)
    assert found.err == (
        "tfexplore: nan was called with unknown dimensions 1: x float32 [1, 2] random\ntfexplore: 1 signature: 1 nan\n"
    )
    found = smoke(mixed, "--trust", "--signature", "lookup", "--quiet")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("lookup\tskipped\t-\tneeds input: ")


def test_codes_and_repeat(smoke: Any, mixed: Path) -> None:
    found = smoke(mixed, "--trust", "--signature", "zz_last", "--repeat", "5", "--json")
    assert found.code == 0
    latency = rows(found)["zz_last"]["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["max"]
    demo_found = smoke(demo.FOLDER / "ranker", "--json")
    assert demo_found.code == 0
    assert {name: row["status"] for name, row in rows(demo_found).items()} == {
        "serving_default": "passed", "embed": "passed",
    }  # fmt: skip
    seeded = [rows(smoke(mixed, "--trust", "--signature", "nan", "--seed", seed, "--json")) for seed in (1, 2)]
    assert all(row["nan"]["status"] == "nan" for row in seeded)


def test_tensorflow_1_and_graphs(smoke: Any, small_models: Path) -> None:
    found = smoke(small_models / "session", "--json")
    assert (found.code, rows(found)["serving_default"]["status"]) == (0, "passed")
    none = smoke(small_models / "graph.pb")
    assert (none.code, none.out) == (2, "")
    assert "has no signature to try; `tfexplore predict --fetch` runs tensors" in none.err
    unknown = smoke(small_models / "session", "--signature", "nope")
    assert (unknown.code, unknown.out) == (2, "")
    assert "there is no signature nope; there is: serving_default" in unknown.err


def test_a_loop_is_that_row(smoke: Any, small_models: Path) -> None:
    found = smoke(small_models / "loops", "--timeout", "1", "--json")
    items = rows(found)
    assert found.code == 1
    assert items["forever"]["status"] == "failed"
    assert items["forever"]["reason"].startswith("it was stopped after 1 s")
    assert items["large"]["status"] == "passed"


def test_a_model_that_cannot_be_loaded(smoke: Any, small_models: Path) -> None:
    broken = small_models / "no-variables"
    if not broken.exists():
        shutil.copytree(small_models / "functions", broken)
        shutil.rmtree(broken / "variables")
    found = smoke(broken)
    assert (found.code, found.out) == (4, ""), found
    note, error = found.err.splitlines()
    assert note.startswith("tfexplore: TensorFlow 2 cannot load it (FileNotFoundError: ")
    assert note.endswith("so TensorFlow 1's loader takes over")
    assert error.startswith("tfexplore: error: FileNotFoundError: ")


def test_a_risky_model_needs_trust(run: Run, no_child: list[Any], corpus: Path, mixed: Path) -> None:
    for path in (corpus / "hostile" / "risky" / "while_write", mixed):
        found = run("smoke", path)
        assert (found.code, found.out) == (1, "")
        assert "is not run: the scan has " in found.err
    assert not no_child


def test_on_a_terminal(hostile: Path) -> None:
    code, out, said = on_pty("smoke", hostile)
    assert code == 0, said
    text = out.decode("utf-8")
    assert re.match(r"\x1b\[32mpassed  \x1b\[0m +[\d.]+ ms  ", text)
    found = COLOURS.sub("", text).replace("\r\n", "\n")
    assert FORBIDDEN.search(found) is None
    assert FORBIDDEN.search(said.decode("utf-8")) is None
    assert found.count("\n") == 1
    assert EVIL[0] not in found


def test_predict_says_how_the_process_ended(run: Run, one_child: Kept, mixed: Path) -> None:
    words = ("predict", mixed, "--trust", "--signature", "abort", "--input", "0")
    found = run(*words)
    assert (found.code, found.out) == (4, "")
    assert found.err.count("\n") == 1
    assert found.err.startswith("tfexplore: error: ")
    assert "SIGABRT" in found.err
    # The next one starts another.
    assert run("predict", mixed, "--trust", "--signature", "zz_last", "--input", "ones").code == 0
