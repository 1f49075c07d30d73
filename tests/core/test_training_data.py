"""Training data: each format gives the arrays that were written; what does not fit is named by its place."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import struct
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore import demo
from tfexplore.core import examples
from tfexplore.core.feature_ops import Feature
from tfexplore.core.feature_spec import InputSpec, input_specs
from tfexplore.core.opener import open_model
from tfexplore.core.signatures import TensorInfo
from tfexplore.core.training_data import Dataset, open_data
from tfexplore.errors import Cancelled, UsageError
from tfexplore.formats.proto import lean
from tfexplore.formats.table import crc32c, mask

FLOAT, DOUBLE, INT32, STRING, INT64, BOOL = 1, 2, 3, 7, 9, 10


def tensor(name: str, dtype: int = FLOAT, shape: tuple[int | None, ...] | None = (None,)) -> TensorInfo:
    return TensorInfo(name, f"{name}:0", dtype, shape)


X = tensor("x", FLOAT, (None, 2))
LABEL = tensor("target", FLOAT, (None, 1))


def record(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", mask(crc32c(head))) + data + struct.pack("<I", mask(crc32c(data)))


def example(**features: Any) -> bytes:
    return examples.build(features, None)


def write(path: Path, content: str | bytes | list[Any]) -> str:
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def npz(path: Path, **found: Any) -> str:
    np.savez(path, **found)
    return str(path)


def refused(path: str, inputs: list[TensorInfo], **more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        open_data(path, inputs, **more)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 900
    return said.replace(str(Path(path).parent) + "/", "")


def same(found: Dataset, x: Any, target: Any) -> None:
    assert found.columns["x"].dtype == "float32"
    assert found.columns["x"].tolist() == x
    assert (None if found.target is None else found.target.tolist()) == target
    assert found.rows == len(x)


ROWS = [{"x": [1, 2.5], "y": 1}, {"x": [3, 4], "y": 0}, {"x": [-5, 6], "y": 1}]
WANTED = [[1, 2.5], [3, 4], [-5, 6]], [[1], [0], [1]]


def files(folder: Path) -> list[str]:
    """The same rows in every format."""
    xs, ys = [row["x"] for row in ROWS], [row["y"] for row in ROWS]
    vectors = "\ufeff x[0],y,x[1]\r\n1,1,2.5\r\n\r\n3,0,4\r\n-5,1,6"
    records = b"".join(record(example(x=[float(part) for part in row["x"]], y=row["y"])) for row in ROWS)
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress("\n\n".join(map(json.dumps, ROWS)).encode()))
    (folder / "rows.csv.gz").write_bytes(gzip.compress(vectors.encode()))
    (folder / "records.gz").write_bytes(gzip.compress(records))
    return [
        npz(folder / "a.npz", x=np.array(xs), y=np.array(ys)),
        npz(folder / "b.npz", x=np.array(xs, ">f4"), y=np.array(ys, bool)),
        write(folder / "rows.jsonl", ROWS),
        write(folder / "rows.json", json.dumps(ROWS)),
        write(folder / "rows", ROWS),
        write(folder / "truth.jsonl", [{**row, "y": bool(row["y"])} for row in ROWS]),
        write(folder / "vectors.csv", vectors),
        write(folder / "lists.csv", 'x,y\n"[1, 2.5]",true\n"[3,4]",false\n"[-5,6]",True\n'),
        write(folder / "semicolons.csv", "y;x[1];x[0]\n1;2.5;1\n0;4;3\n1;6;-5\n"),
        write(folder / "tabs.tsv", "y\tx[0]\tx[1]\n1.0\t1\t2.5\n0\t3\t4e0\n1\t-5\t6.\n"),
        write(folder / "r.tfrecord", records),
        str(folder / "rows.jsonl.gz"),
        str(folder / "rows.csv.gz"),
        str(folder / "records.gz"),
    ]


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    for path in files(tmp_path):
        told: list[int] = []
        found = open_data(path, [X], target="y", target_info=LABEL, progress=told.append)
        same(found, *WANTED)
        assert found.target is not None
        assert found.target.dtype == "float32"
        assert found.columns["x"].flags.c_contiguous
        # One input is left, and one column.
        other = open_data(path, [X._replace(name="features")], target="y")
        assert other.columns["features"].tolist() == WANTED[0]
        assert other.target is not None
        assert other.target.reshape(-1).tolist() == [1, 0, 1]
        assert other.target.dtype in ("int64", "float32")
        # By its name on purpose, and the target's column as an input.
        if path.endswith(("b.npz", "truth.jsonl", "lists.csv")):
            said = refused(path, [tensor("a"), X], mapping={"a": "y"})
            assert "the values are bool" in said or "expected a number, got" in said
        else:
            both = open_data(path, [tensor("a"), X], mapping={"a": "y"})
            assert list(both.columns) == ["a", "x"]
            assert both.columns["a"].tolist() == [1, 0, 1]


def test_npy(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6).reshape(3, 2))
    same(open_data(str(path), [X]), [[0, 1], [2, 3], [4, 5]], None)
    assert "holds one array without a name" in refused(str(path), [X], target="y")
    assert "holds one array without a name" in refused(str(path), [X, tensor("z")])
    assert "dimension 1 is 2, not 3" in refused(str(path), [tensor("x", FLOAT, (None, 3))])


def test_shapes_and_dtypes(tmp_path: Path) -> None:
    rows = [
        {
            "s": "ä",
            "b": {"b64": base64.b64encode(b"\xff\0").decode()},
            "m": [[1, 2], [3, 4]],
            "t": True,
            "u": [1, 2, 3],
        },
        {"s": "", "b": "x", "m": [5, 6, 7, 8], "t": False, "u": [4, 5, 6]},
    ]
    inputs = [
        tensor("s", STRING), tensor("b", STRING, (None, 1)), tensor("m", INT32, (None, 2, 2)), tensor("t", BOOL),
        tensor("u", DOUBLE, None), tensor("v", INT64, (32, None)),
    ]  # fmt: skip
    found = open_data(write(tmp_path / "r.jsonl", rows), inputs, mapping={"v": "u"})
    assert found.columns["s"].tolist() == ["ä".encode(), b""]
    assert found.columns["b"].tolist() == [[b"\xff\0"], [b"x"]]
    assert found.columns["m"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert found.columns["m"].dtype == "int32"
    assert found.columns["t"].tolist() == [True, False]
    assert found.columns["u"].dtype == "float64"
    assert found.columns["u"].tolist() == found.columns["v"].tolist() == [[1, 2, 3], [4, 5, 6]]
    raw = b"".join(
        record(example(s=row["s"], b=row["b"], m=np.reshape(row["m"], -1).tolist(), u=row["u"])) for row in rows
    )
    again = open_data(
        write(tmp_path / "r.tfrecord", raw), [one for one in inputs if one.name != "t"], mapping={"v": "u"}
    )
    for name, column in again.columns.items():
        assert column.tolist() == found.columns[name].tolist()
        assert column.dtype == found.columns[name].dtype


def test_rows_beyond_one_chunk(tmp_path: Path) -> None:
    count = 5_000
    path = write(
        tmp_path / "r.jsonl", [{"x": [row, -row], "y": row if row < 4_000 else row + 0.5} for row in range(count)]
    )
    told: list[int] = []
    found = open_data(path, [X], target="y", progress=told.append)
    assert found.columns["x"].tolist() == [[row, -row] for row in range(count)]
    assert found.target is not None
    assert found.target.dtype == "float32"
    assert found.target[3_999:4_001].tolist() == [3_999, 4_000.5]
    assert told == [2_048, 4_096]
    write(tmp_path / "r.jsonl", [{"x": [row, 1] if row != 4_321 else [row, "1"]} for row in range(count)])
    assert refused(path, [X]) == 'r.jsonl, line 4,322, the column x: expected a number, got the string "1"'


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (['{"x": [1, 2]}', '{"x": [1]}'], "line 2, the column x: dimension 0 is 1, not 2"),
        (['{"x": [1, 2]}', '{"z": [1, 2]}'], "line 2: the column x is missing; there is: z"),
        (['{"x": [1, 2]}', "[1, 2]"], "line 2: expected a JSON object with a value for each column, got a list of 2"),
        (['{"x": [1, 2]}', "", '{"x": [1, 2}'], "line 3 is no JSON"),
        (['{"x": [1, "NaNa"]}'], 'line 1, the column x: expected a number, got the string "NaNa"'),
        (['{"x": [1, null]}'], "line 1, the column x: expected a number, got null"),
        (['{"x": [1, true]}'], "line 1, the column x: expected a number, got true"),
        (['{"x": [1, [2]]}'], "the number 1 beside a list of 1"),
        (['{"x": [1, 1e39]}'], "line 1, the column x: the number 1e+39 does not fit into float32"),
        (['{"x": [1, 2], "y": "a"}'], 'column y, for the target: expected a number, got the string "a"'),
        (['{"xx": [1, 2], "y": 1, "z": 1}'], "no column is named like the input x (float32 [?, 2]); did you mean xx?"),
        (['{"x": ' + "[" * 5_000 + "]" * 5_000 + "}"], "nests too deep"),
        (['{"x": ' + "[" * 70 + "]" * 70 + "}"], "nest deeper than the 64"),
        (['{"x": [1, ' + "9" * 5_000 + "]}"], "too many digits"),
        (["\x00"], "line 1 is no JSON"),
        ([], "there is no row in it"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, rows: list[str], words: str) -> None:
    more = {"target": "y"} if '"y"' in "".join(rows) else {}
    said = refused(write(tmp_path / "r.jsonl", "\n".join(rows)), [X], **more)
    assert said.startswith("r.jsonl")
    assert words in said


def test_a_line_that_is_too_long(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", '{"x": [1, 2]}\n{"x": [1, ' + " " * (10 << 20) + "2]}")
    assert refused(path, [X]) == "r.jsonl, line 2 has over 4,194,304 bytes"
    write(tmp_path / "r.csv", 'x\n"' + "1" * (10 << 20))
    assert refused(str(tmp_path / "r.csv"), [tensor("x")]) == "r.csv, line 2 has over 4,194,304 bytes"
    write(tmp_path / "r.csv", 'x\n"' + "1\n" * (5 << 20))
    assert "line 2: the row has over 4,194,304 bytes, perhaps for a quote" in refused(
        str(tmp_path / "r.csv"), [tensor("x")]
    )


def test_nan_is_a_number_where_it_is_written(tmp_path: Path) -> None:
    for name, content in {
        "r.jsonl": '{"x": NaN}\n{"x": "NaN"}\n{"x": "Infinity"}\n{"x": -Infinity}\n',
        "r.csv": "x\nnan\nNaN\ninf\n-Infinity\n",
    }.items():
        found = open_data(write(tmp_path / name, content), [tensor("x")]).columns["x"]
        assert np.array_equal(found, [np.nan, np.nan, np.inf, -np.inf], equal_nan=True)
        assert "line" in refused(str(tmp_path / name), [tensor("x", INT64)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x,y\n1,2\n3\n", "r.csv, line 3: the row has 1 cell where the header has 2"),
        ("x,y\n1,2\n\n\n,1\n", "r.csv, line 5, the column x: expected a number, got an empty cell"),
        ('x,y\n"a\nb",2\n', 'r.csv, line 2, the column x: expected a number, got the string "a\\nb"'),
        ('x,y\n"1"2,2\n', "r.csv, line 2: no readable row of CSV"),
        ('x,y\n1,2\n"1,2\n', "r.csv, line 3: no readable row of CSV"),
        ("x,y\n1_0,2\n", "expected a number, got"),
        ("x,y\n0x10,2\n", "expected a number, got"),
        ("x,y\n1e999,2\n", "expected a number, got"),
        ("x,x,y\n1,1,2\n", "there are several columns x"),
        ("a,b,y\n1,2,3\n", "no column is named like the input x (float32 [?]); there is: a, b; write --map x=COLUMN"),
        ("1,2,3\n4,5,6\n", "the first line must be a header row with the columns' names"),
        ("x,z\n1,2\n", "there is no column y; there is: x, z"),
        ("", "expected a header row"),
        ("x,y\n", "there is no row in it below the header"),
        ("x,y\n[1,2\n", "line 2, the column x is no JSON"),
        ('x,y\n"[1",2\n', "line 2, the column x is no JSON"),
    ],
)
def test_bad_rows_of_csv_are_named(tmp_path: Path, content: str, words: str) -> None:
    assert words in refused(write(tmp_path / "r.csv", content), [tensor("x")], target="y")


def test_csv_that_is_not_utf8(tmp_path: Path) -> None:
    assert "r.csv, line 2: byte 1 of it is not UTF-8" in refused(
        write(tmp_path / "r.csv", b"x\n1\xff\n"), [tensor("x")]
    )
    assert "r.csv, line 1: byte 0" in refused(write(tmp_path / "r.csv", "x\n1\n".encode("utf-16")), [tensor("x")])


def test_headers_and_rows_that_are_too_much(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "x\n" + '"\n",' * (2 << 20))
    assert "line 2: the row has over 4,194,304 bytes" in refused(path, [tensor("x")])
    path = write(tmp_path / "r.csv", ",".join(map(str, range(100_001))) + "\n")
    assert "there are 100,001 columns" in refused(path, [tensor("x")])
    assert "several columns x[1]" in refused(write(tmp_path / "r.csv", "x[0],x[1],x[1]\n1,2,3\n"), [X])
    said = refused(write(tmp_path / "r.csv", "id,n,n,w\na,1,1,2\n"), [EXAMPLES], specs=[SPEC])
    assert "several columns n" in said
    cell = json.dumps([0.5] * 60_000)
    found = open_data(write(tmp_path / "r.csv", f'x\n"{cell}"\n'), [tensor("x", FLOAT, (None, None))])
    assert found.columns["x"].shape == (1, 60_000)


def test_incomplete_vectors_are_columns_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "x[0],x[2]\n1,2\n")
    assert "no column is named like" in refused(path, [X])
    assert open_data(path, [tensor("x")], mapping={"x": "x[2]"}).columns["x"].tolist() == [2]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.tuples(cells, st.floats(width=32), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8))
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["s", "f", "i"])
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    found = open_data(str(path), [tensor("s", STRING), tensor("f", FLOAT)], target="i")
    assert [part.decode() for part in found.columns["s"]] == [row[0] for row in rows]
    assert np.array_equal(found.columns["f"], np.array([row[1] for row in rows], "float32"), equal_nan=True)
    assert found.target is not None
    assert found.target.tolist() == [row[2] for row in rows]


# -- NumPy's files --


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    path = npz(tmp_path / "r.npz", x=np.zeros((3, 2)), y=np.zeros(4), s=np.array(["a"] * 3), n=np.float32(1))
    assert refused(path, [X], target="y") == "r.npz, the array y has 4 rows, and x has 3"
    assert "the target: the values are strings" in refused(path, [X], target="s", target_info=LABEL)
    assert "has no dimensions" in refused(path, [X], target="n")
    assert "there is no column z; there is: x, y, s, n" in refused(path, [X], target="z")
    assert "--map: there is no input q; there is: x" in refused(path, [X], mapping={"q": "x"})
    assert "expected 2 dimensions, got 1" in refused(path, [tensor("x", FLOAT, (None, 5))], mapping={"x": "y"})
    assert "takes one value and no rows" in refused(path, [tensor("x", FLOAT, ())])
    strings = open_data(path, [tensor("s", STRING, (None, 1))]).columns["s"]
    assert strings.tolist() == [[b"a"]] * 3


def test_pickles_and_bombs(tmp_path: Path) -> None:
    path = npz(tmp_path / "r.npz", x=np.array([{}, {}], object))
    assert "pickle" in refused(path, [X])
    assert "save the arrays with numpy.savez" in refused(write(tmp_path / "r.pkl", b"\x80\x04N."), [X])
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (50000000, 1), }"
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(200_000_000))
    assert "has over 134,217,728 bytes" in refused(str(tmp_path / "bomb.npz"), [tensor("x", FLOAT, (None, 1))])
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b'{"x": [1, 2]}\n' * 10 + b" " * (300 << 20)))
    assert "line 11 has over 4,194,304 bytes" in refused(str(tmp_path / "bomb.jsonl.gz"), [X])


def test_the_limit_is_kept(tmp_path: Path) -> None:
    for path in files(tmp_path):
        assert open_data(path, [X], limit=24).rows == 3
        assert "its rows take over 23 bytes in memory" in refused(path, [X], limit=23)
    path = write(tmp_path / "s.jsonl", [{"x": "a" * 1_000}] * 10)
    assert "its rows take over 10,000 bytes" in refused(path, [tensor("x", STRING)], limit=10_000)


def test_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    for path in files(tmp_path):
        if not path.endswith(".json"):
            with pytest.raises(Cancelled):
                open_data(path, [X], cancel=cancel)


def test_cancelled_on_the_way(tmp_path: Path) -> None:
    rows = [{"x": [row, 0.5], "more": "-" * 200} for row in range(9_000)]
    raw = b"".join(record(example(**row)) for row in rows)
    csv_rows = "".join(f'"[{row}, 0.5]",{"-" * 200}\n' for row in range(9_000))
    for path in (
        write(tmp_path / "r.jsonl", rows),
        write(tmp_path / "r.csv", "x,more\n" + csv_rows),
        write(tmp_path / "r.tfrecord", raw),
    ):
        cancel = threading.Event()
        told: list[int] = []

        def stop(count: int, cancel: threading.Event = cancel, told: list[int] = told) -> None:
            told.append(count)
            cancel.set()

        with pytest.raises(Cancelled):
            open_data(path, [X], cancel=cancel, progress=stop)
        assert max(told) < 9_000


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_numbers_come_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("bits")
    wanted = np.array(rows, "float32")
    for path in (
        npz(folder / "r.npz", x=wanted),
        write(folder / "r.jsonl", [{"x": row} for row in rows]),
        write(folder / "r.csv", "x[0],x[1],x[2]\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)),
        write(folder / "r.tfrecord", b"".join(record(example(x=row)) for row in rows)),
    ):
        found = open_data(path, [tensor("x", FLOAT, (None, 3))]).columns["x"]
        assert np.array_equal(found, wanted, equal_nan=True)
        assert np.array_equal(np.signbit(found), np.signbit(wanted)) or np.isnan(wanted).any()


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "there is no such file" in refused(str(tmp_path / "none.csv"), [X])
    assert "this is a folder" in refused(str(tmp_path), [X])
    assert "expected rows as" in refused(write(tmp_path / "r.txt", "abc"), [X])
    assert "no TFRecord file" in refused(write(tmp_path / "r.tfrecord", "abc"), [X])
    assert "no .npy file"[3:] in refused(write(tmp_path / "r.npy", "abc"), [X])
    assert "zip archive" in refused(write(tmp_path / "r.npz", "PK\3\4abc"), [X])
    assert "" in refused(write(tmp_path / "r.csv", ""), [X])


@pytest.mark.parametrize("kind", ["a.npz", "rows.jsonl", "vectors.csv", "lists.csv", "r.tfrecord", "rows.csv.gz"])
def test_cut_at_every_byte(tmp_path: Path, kind: str) -> None:
    (path,) = (path for path in files(tmp_path) if path.endswith("/" + kind))
    whole = Path(path).read_bytes()
    for end in range(len(whole)):
        Path(path).write_bytes(whole[:end])
        try:
            found = open_data(path, [X], target="y", target_info=LABEL)
        except UsageError:
            continue
        assert found.columns["x"].tolist() == WANTED[0][: found.rows] or kind.endswith("csv")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_flipped_bytes(tmp_path_factory: pytest.TempPathFactory, at: int, bits: int) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    for path in files(folder):
        raw = bytearray(Path(path).read_bytes())
        raw[at % len(raw)] ^= bits
        Path(path).write_bytes(raw)
        try:
            found = open_data(path, [X], target="y", target_info=LABEL, limit=1 << 20)
        except UsageError:
            continue
        assert found.rows == len(found.columns["x"])


# -- Examples --


def feature(name: str, dtype: int, shape: tuple[int | None, ...] = (), kind: str = "fixed") -> Feature:
    return Feature(name, "example", kind, dtype, shape, None, kind == "fixed")


def parsing(*features: Feature, base64: bool = False) -> InputSpec:
    return InputSpec("serving_default", None, "examples", False, True, base64, features, ())


SPEC = parsing(
    feature("id", STRING), feature("n", INT64), feature("w", FLOAT, (2,)), feature("v", INT64, (None,), "variable")
)
EXAMPLES = tensor("examples", STRING)
EXAMPLE_ROWS = [
    {"id": "007", "n": 3, "w": [0.5, 1], "v": [1, 2, 3], "label": 1, "more": "x"},
    {"id": "ä", "n": -3, "w": [2, 4.25], "v": [], "label": 0, "more": "y"},
]


def parse(tf: Any, serialized: Any) -> dict[str, Any]:
    found = tf.io.parse_example(
        tf.constant(serialized),
        {
            "id": tf.io.FixedLenFeature([], tf.string),
            "n": tf.io.FixedLenFeature([], tf.int64),
            "w": tf.io.FixedLenFeature([2], tf.float32),
            "v": tf.io.RaggedFeature(tf.int64),
        },
    )
    return {name: value.to_list() if name == "v" else value.numpy().tolist() for name, value in found.items()}


def test_rows_become_examples_that_tensorflow_parses(tf: Any, tmp_path: Path) -> None:
    lines = ["id,n,w,v,label,more"] + [",".join(f'"{part}"' for part in row.values()) for row in EXAMPLE_ROWS]
    raw = b"".join(record(example(**row)) for row in EXAMPLE_ROWS)
    for path in (
        write(tmp_path / "r.jsonl", EXAMPLE_ROWS),
        write(tmp_path / "r.csv", "\n".join(lines)),
        write(tmp_path / "r.tfrecord", raw),
    ):
        found = open_data(path, [EXAMPLES], target="label", target_info=LABEL, specs=[SPEC])
        assert found.target is not None
        assert found.target.tolist() == [[1], [0]]
        column = found.columns["examples"]
        assert column.shape == (2,)
        if path.endswith("tfrecord"):
            assert column.tolist() == [example(**row) for row in EXAMPLE_ROWS]
        assert parse(tf, column) == {
            "id": [b"007", "ä".encode()], "n": [3, -3], "w": [[0.5, 1], [2, 4.25]], "v": [[1, 2, 3], []],
        }  # fmt: skip
        coded = open_data(path, [EXAMPLES], specs=[SPEC._replace(base64=True)]).columns["examples"]
        assert [base64.urlsafe_b64decode(part) for part in coded] == column.tolist()
        # Without a spec the input is fed by a column.
        assert open_data(path, [EXAMPLES], mapping={"examples": "id"}).columns["examples"].tolist()[0] == b"007"


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=6),
            st.integers(-(2**63), 2**63 - 1),
            st.tuples(*[st.floats(width=32, allow_nan=False)] * 3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_features_are_read_as_tensorflow_parses_them(
    tf: Any, tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    serialized = []
    for name, number, weights in rows:
        made = tf.train.Example()
        made.features.feature["s"].bytes_list.value.append(name)
        made.features.feature["n"].int64_list.value.append(number)
        made.features.feature["w"].float_list.value.extend(weights)
        serialized.append(made.SerializeToString())
    path = tmp_path_factory.mktemp("records") / "r"
    path.write_bytes(b"".join(map(record, serialized)))
    found = open_data(
        str(path), [tensor("w", FLOAT, (None, 3)), tensor("s", STRING, (None, 1)), tensor("n", INT64)], target="w"
    )
    parsed = tf.io.parse_example(
        serialized,
        {
            "s": tf.io.FixedLenFeature([1], tf.string),
            "n": tf.io.FixedLenFeature([], tf.int64),
            "w": tf.io.FixedLenFeature([3], tf.float32),
        },
    )
    for name, column in found.columns.items():
        assert column.tolist() == parsed[name].numpy().tolist()
    assert found.target is not None
    assert found.target.tobytes() == parsed["w"].numpy().tobytes()


def test_of_two_features_with_one_name_the_last_counts(tf: Any, tmp_path: Path) -> None:
    raw = example(a=1) + example(a=2)
    path = write(tmp_path / "r", record(raw))
    parsed = tf.io.parse_single_example(raw, {"a": tf.io.FixedLenFeature([], tf.int64)})
    assert open_data(path, [tensor("a", INT64)]).columns["a"].tolist() == [parsed["a"].numpy()] == [2]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"x": [1.0, 2.0, 3.0]}, "the column x: expected 2 values, got 3"),
        ({"x": ["a", "b"]}, "the column x: expected float32, got strings"),
        ({"x": []}, "the column x is missing"),
        ({"y": 1}, "the column x is missing; there is: y"),
    ],
)
def test_bad_records_are_named(tmp_path: Path, second: dict[str, Any], words: str) -> None:
    first = record(example(x=[1.0, 2.0]))
    said = refused(write(tmp_path / "r", first + record(example(**second))), [X])
    assert said.startswith(f"r, record 2 (at byte {len(first)})")
    assert words in said


def test_damaged_records_are_named_by_their_byte(tmp_path: Path) -> None:
    first, second = record(example(x=[1.0, 2.0])), bytearray(record(example(x=[1.0, 2.0])))
    second[-1] ^= 1
    path = write(tmp_path / "r", first + second)
    assert refused(path, [X]) == f"r: a record does not match its checksum at byte {len(first)}"
    assert f"at byte {len(first)}" in refused(write(tmp_path / "r", first + second[:-3]), [X])
    assert "no readable Example" in refused(write(tmp_path / "r", first + record(b"\x0a\x05abc")), [X])
    feature = lean("Example")()
    feature.features.feature.add(key=b"x", value=b"\x0a\xff")
    assert "no readable Feature" in refused(write(tmp_path / "r", record(feature.SerializeToString())), [X])


def test_what_examples_lack_is_said(tmp_path: Path) -> None:
    rows = [EXAMPLE_ROWS[0], {key: value for key, value in EXAMPLE_ROWS[1].items() if key != "n"}]
    said = refused(write(tmp_path / "r.jsonl", rows), [EXAMPLES], specs=[SPEC])
    assert said.startswith("r.jsonl, line 2: the feature n (int64 []) is missing")
    said = refused(write(tmp_path / "r.csv", "id,n,w\na,,1\n"), [EXAMPLES], specs=[SPEC])
    assert said.startswith("r.csv, line 2: the feature n (int64 []) is missing")
    said = refused(write(tmp_path / "r.csv", 'id,n,w\na,b,"[1,2]"\n'), [EXAMPLES], specs=[SPEC])
    assert said == 'r.csv, line 2, the column n: expected a number, got the string "b"'
    one = [TensorInfo("examples", "e:0", STRING, ())]
    assert "takes no list of serialized Examples" in refused(write(tmp_path / "r.jsonl", rows), one, specs=[SPEC])


def test_the_rows_of_the_demo() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        meta_graph = model.meta_graphs[0]
        signature = meta_graph.signatures[0]
        specs = input_specs(meta_graph, signature)
    path = str(demo.FOLDER / "rows.jsonl")
    found = open_data(path, signature.inputs, target="label", target_info=LABEL, specs=specs)
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert found.rows == len(rows)
    assert found.target is not None
    assert found.target.reshape(-1).tolist() == [row["label"] for row in rows]
    ((name, column),) = found.columns.items()
    assert name == signature.inputs[0].name
    assert column.tolist() == [examples.build(row, specs[0], extra=True) for row in rows]
