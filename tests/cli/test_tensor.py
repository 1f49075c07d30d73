"""`tfexplore tensor` and `tfexplore stats`: text, documents, files, exit codes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from cli.conftest import Run, on_pty, process
from core.saved_model_writer import attr, meta_graph, node, tensor, write_saved_model
from formats.table_writer import strings, write_bundle
from tfexplore import __version__, demo

KEY = "dense_1/kernel"
BIAS = "net/dense_1/bias/.ATTRIBUTES/VARIABLE_VALUE"
TENSOR_FIELDS = [
    "schema", "tfexplore", "path", "kind", "command", "name", "dtype", "shape", "bytes", "stored", "checksum", "min",
    "max", "mean", "std", "zeros", "nan", "inf", "positive_inf", "negative_inf", "of", "strings", "percentiles",
    "percentile_error", "histogram", "slice", "values",
]  # fmt: skip


@pytest.fixture
def beside_demo(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is the demo's, so that the output names no path of this machine."""
    monkeypatch.chdir(demo.FOLDER)
    return demo.FOLDER


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Values of many kinds, NaN and infinities among them."""
    wild = np.array([[np.nan, 1], [np.inf, -np.inf], [0, 2]], np.float32)
    complex_values: Any = np.array([3 + 4j])
    write_bundle(
        tmp_path / "ckpt",
        {
            b"a/fine": np.arange(6, dtype=np.int64).reshape(2, 3) - 2,
            b"b/inf": np.array([1, np.inf]),
            b"c/wild": wild,
            b"d/strings": strings(b"", b"ab", b"\xff"),
            b"e/bfloat16": np.array([1, np.nan], ml_dtypes.bfloat16),
            b"f/complex": complex_values,
            b"g/empty": np.zeros((0, 2), np.float32),
            b"h/large": np.linspace(0, 1, 60 * 50).reshape(60, 50),
            b"i/scalar": np.array(True),
        },
    )
    return tmp_path / "ckpt"


def rounded(words: str) -> str:
    """Sums differ in their last digits from processor to processor."""
    return re.sub(r"-?\d+\.\d{6,}(?:e-?\d+)?", lambda found: f"{float(found[0]):.9g}", words)


def document(found: Any) -> dict[str, Any]:
    return dict(json.loads(found.out))


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


# -- tensor --


@pytest.mark.parametrize(
    ("name", "words"),
    [("tensor-kernel", ["ranker", KEY]), ("tensor-bias", ["training", BIAS, "--slice", "::-4"])],
)
def test_golden(run: Run, golden: Callable[[str, str], None], beside_demo: Path, name: str, words: list[str]) -> None:
    found = run("tensor", *words)
    assert found.code == 0
    golden(f"{name}.tsv", rounded(found.out))
    found = run("tensor", *words, "--json")
    assert list(document(found)) == TENSOR_FIELDS
    golden(f"{name}.json", rounded(found.out.replace(f'"tfexplore": "{__version__}"', '"tfexplore": "VERSION"')))
    code, out, _ = on_pty("tensor", *words, cwd=beside_demo)
    assert code == 0
    golden(f"{name}.txt", out.decode().replace("\r\n", "\n"))


def test_every_kind_of_value(run: Run, prefix: Path) -> None:
    wild = document(run("tensor", prefix, "c/wild", "--json"))
    assert wild["values"] == [["NaN", 1.0], ["Infinity", "-Infinity"], [0.0, 2.0]]
    assert [wild[field] for field in ("min", "max", "mean", "zeros", "nan", "inf", "negative_inf")] == [
        0.0, 2.0, 1.0, 1, 1, 2, 1,
    ]  # fmt: skip
    assert (wild["checksum"], wild["slice"]) == ("good", None)
    words = document(run("tensor", prefix, "d/strings", "--json"))
    assert words["values"] == ["", "ab", {"b64": "/w=="}]
    assert words["strings"] == {"empty": 1, "shortest": 0, "longest": 2, "total": 3, "distinct": 3}
    assert (words["min"], words["nan"], words["histogram"]) == (None, None, None)
    number = document(run("tensor", prefix, "f/complex", "--json"))
    assert (number["of"], number["min"], number["values"]) == ("magnitudes", 5.0, [[3.0, 4.0]])
    empty = document(run("tensor", prefix, "g/empty", "--json"))
    assert (empty["values"], empty["min"], empty["zeros"], empty["checksum"]) == ([], None, 0, "good")
    scalar = document(run("tensor", prefix, "i/scalar", "--json"))
    assert (scalar["values"], scalar["min"], scalar["shape"]) == (True, 1, [])
    assert document(run("tensor", prefix, "e/bfloat16", "--json"))["values"] == [1.0, "NaN"]


@pytest.mark.parametrize("name", ["a/fine", "b/inf", "c/wild", "d/strings", "e/bfloat16", "f/complex", "g/empty"])
def test_text_of_every_kind(run: Run, prefix: Path, name: str) -> None:
    found = run("tensor", prefix, name)
    assert found.code == 0
    lines = [line.split("\t") for line in found.out.splitlines()]
    assert ["name", name] in lines
    assert ["checksum", "good"] in lines
    code, out, _ = on_pty("tensor", prefix, name)
    assert code == 0
    assert b"\x1b" not in out


def test_a_slice(run: Run, prefix: Path) -> None:
    array = np.linspace(0, 1, 60 * 50).reshape(60, 50)
    found = document(run("tensor", prefix, "h/large", "--slice", "-2:, ::-20", "--json"))
    assert found["values"] == array[-2:, ::-20].tolist()
    assert (found["slice"], found["min"], found["max"]) == ("58:60, 49::-20", 0.0, 1.0)
    cut = run("tensor", prefix, "h/large")
    assert "64 of 3,000 values read" in cut.err
    assert "values\t[7, :]" in cut.out
    assert "values\t[8, :]" not in cut.out
    code, out, said = on_pty("tensor", prefix, "h/large", "--slice", ":")
    assert (code, len(out.splitlines()) > 60) == (0, True)
    assert b"960 of 3,000 values shown; --slice chooses" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["h/large", "--slice", "0:x"], "where a whole number is expected"),
        (["h/large", "--slice", "60"], "index 60 of axis 0, which has 60 elements"),
        (["h/larg"], "the nearest: h/large"),
        (["h/large", "--overwrite"], "--overwrite goes with --npy FILE"),
        (["d/strings", "--npy", "x.npy"], "which no .npy file holds"),
        (["h/large", "--tag-set", "serve"], "holds no graph"),
        ([], "the following arguments are required"),
    ],
)
def test_wrong_usage(run: Run, prefix: Path, words: list[str], why: str) -> None:
    found = run("tensor", prefix, *words)
    assert (found.code, found.out) == (2, "")
    assert why in found.err


def test_npy(run: Run, prefix: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.npy"
    found = run("tensor", prefix, "h/large", "--npy", path)
    assert found.code == 0
    assert f"saved {path}" in found.err
    array = np.linspace(0, 1, 60 * 50).reshape(60, 50)
    assert np.array_equal(np.load(path, allow_pickle=False), array)
    again = run("tensor", prefix, "h/large", "--npy", path)
    assert (again.code, again.out) == (2, "")
    assert "exists already" in again.err
    assert run("tensor", prefix, "h/large", "--npy", path, "--overwrite", "--slice", "3:5").code == 0
    assert np.array_equal(np.load(path, allow_pickle=False), array[3:5])


def test_a_large_tensor_is_not_read_unasked(run: Run, prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfexplore.cli.tensor._SMALL", 100)
    found = run("tensor", prefix, "h/large")
    assert "\nmin\t" not in found.out
    assert "checksum\tunverified" in found.out
    assert "--stats does" in found.err
    found = run("tensor", prefix, "h/large", "--stats")
    assert "\nmin\t0.0" in found.out
    assert "checksum\tgood" in found.out


def test_a_flipped_byte(run: Run, prefix: Path, tmp_path: Path) -> None:
    flip(Path(f"{prefix}.data-00000-of-00001"), 3)
    found = run("tensor", prefix, "a/fine", "--json")
    assert (found.code, document(found)["checksum"]) == (3, "bad")
    assert document(found)["values"] is not None
    assert "do not match their checksum" in found.err
    assert "checksum\tBAD" in run("tensor", prefix, "a/fine").out
    assert run("tensor", prefix, "c/wild").code == 0
    saved = run("tensor", prefix, "a/fine", "--npy", tmp_path / "x.npy")
    assert (saved.code, saved.out, (tmp_path / "x.npy").exists()) == (3, "", False)


def test_values_that_are_not_there(run: Run, prefix: Path) -> None:
    Path(f"{prefix}.data-00000-of-00001").unlink()
    found = run("tensor", prefix, "a/fine", "--json")
    assert found.code == 3
    assert (document(found)["shape"], document(found)["values"]) == ([2, 3], None)
    assert "there is no such file" in document(found)["problem"]
    assert "there is no such file" in found.err


def test_a_constant(run: Run, tmp_path: Path) -> None:
    value = attr(tensor=tensor(1, [2, 2], float_val=[1.0, 2.0]))
    folder = write_saved_model(tmp_path / "m", meta_graph(nodes=[node(b"c", b"Const", value=value)]))
    found = document(run("tensor", folder, "c:0", "--json"))
    assert (found["values"], found["checksum"], found["stored"]) == ([[1.0, 2.0], [2.0, 2.0]], "unverified", None)
    assert (found["max"], found["bytes"]) == (2.0, 16)
    assert "checksum\tnone is stored" in run("tensor", folder, "c").out
    every = document(run("stats", folder, "--json"))
    assert [item["name"] for item in every["items"]] == ["c"]


# -- stats --


@pytest.mark.parametrize("path", ["ranker", "training"])
def test_golden_stats(run: Run, golden: Callable[[str, str], None], beside_demo: Path, path: str) -> None:
    found = run("stats", path)
    assert found.code == 0
    golden(f"stats-{path}.tsv", rounded(found.out))
    found = run("stats", path, "--json")
    golden(f"stats-{path}.json", rounded(found.out.replace(f'"tfexplore": "{__version__}"', '"tfexplore": "VERSION"')))
    code, out, _ = on_pty("stats", path, "--no-color", cwd=beside_demo, columns=160)
    assert code == 0
    golden(f"stats-{path}.txt", out.decode().replace("\r\n", "\n"))


def test_what_is_not_finite_comes_first(run: Run, prefix: Path) -> None:
    found = run("stats", prefix, "--json")
    assert found.code == 0
    items = document(found)["items"]
    assert [item["name"][0] for item in items] == list("ceb" + "adfghi")
    assert (document(found)["nan"], document(found)["inf"]) == (2, 3)
    lines = [line.split("\t") for line in run("stats", prefix).out.splitlines()]
    assert {len(line) for line in lines} == {12}
    assert lines[0][:3] == ["c/wild", "float32", "[3, 2]"]
    assert lines[0][7:10] == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--fail-on", "nan"], 1),
        (["--fail-on", "inf"], 1),
        (["--fail-on", "nan", "--match", "^b/"], 0),
        (["--fail-on", "inf", "--match", "^b/"], 1),
        (["--fail-on", "nan", "--fail-on", "inf", "--match", "^b/"], 1),
        (["--fail-on", "nan", "--match", "fine"], 0),
        (["--fail-on", "zeros"], 2),
        (["--match", "("], 2),
    ],
)
def test_exit_codes(run: Run, prefix: Path, words: list[str], code: int) -> None:
    assert run("stats", prefix, *words).code == code


def test_limit_and_nothing(run: Run, prefix: Path) -> None:
    found = run("stats", prefix, "--limit", "2", "--fail-on", "inf")
    assert (found.code, len(found.out.splitlines())) == (1, 2)
    assert "2 of 9 shown; --limit 9 shows all" in found.err
    assert "nothing matches" in run("stats", prefix, "--match", "zzz").err
    assert run("stats", prefix, "--quiet").err == ""


def test_a_flipped_byte_in_stats(run: Run, prefix: Path) -> None:
    flip(Path(f"{prefix}.data-00000-of-00001"), 3)
    found = run("stats", prefix, "--json")
    assert found.code == 3
    checksums = {item["name"]: item["checksum"] for item in document(found)["items"]}
    assert checksums.pop("a/fine") == "bad"
    assert set(checksums.values()) == {"good"}
    assert "1 tensor do not match" in found.err or "a/fine the first" in found.err
    assert [line.split("\t")[0] for line in run("stats", prefix).out.splitlines()][3] == "a/fine"


def test_a_missing_shard_hides_nothing_else(run: Run, tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt", {b"a": np.ones(3), b"b": np.ones(3)}, shards=2)
    (tmp_path / "ckpt.data-00001-of-00002").unlink()
    found = run("stats", tmp_path / "ckpt", "--json")
    assert found.code == 3
    rows = {item["name"]: item for item in document(found)["items"]}
    assert (rows["a"]["mean"], rows["a"]["checksum"]) == (1.0, "good")
    assert (rows["b"]["mean"], rows["b"]["shape"]) == (None, [3])
    assert "no such file" in rows["b"]["problem"]


def test_a_folder_of_models_is_refused(run: Run, prefix: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(demo.FOLDER / "ranker", tmp_path / "both" / name)
    for words in (["stats"], ["tensor"]):
        found = run(*words, tmp_path / "both", *(["x"] if words == ["tensor"] else []))
        assert (found.code, found.out) == (2, "")


def test_progress_is_for_terminals_only(prefix: Path) -> None:
    found = process("stats", prefix)
    assert found.returncode == 0
    assert b"\r" not in found.stderr


def test_looking_imports_no_tensorflow(prefix: Path) -> None:
    program = (
        "import sys; from tfexplore.cli import main; "
        f"main(['stats', {str(prefix)!r}, '--quiet']); "
        "print([name for name in ('tensorflow', 'textual', 'asyncio', 'pandas') if name in sys.modules])"
    )
    import subprocess
    import sys

    from cli.conftest import environment

    found = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_hostile_names(prefix: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bad", {b"\x1b]0;x\x07": np.ones(1), b"\xe2\x80\xaea": strings(b"\x1b[2J")})
    for words in (["stats", tmp_path / "bad"], ["tensor", tmp_path / "bad", "\u202ea"]):
        code, out, said = on_pty(*words, "--no-color") if words[0] == "stats" else on_pty(*words)
        assert code == 0
        assert not re.search(b"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xe2\x80\xae", out + said)
