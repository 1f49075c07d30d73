"""Marks in the text output: what is unverified, in slices, damaged, or may be missing from a damaged file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cli.conftest import Run
from core.opening import bundle
from core.saved_model_writer import (
    info,
    meta_graph,
    object_graph,
    placeholder,
    signature,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import Partition, write_bundle


def test_a_partitioned_variable_has_no_single_place(run: Run, tmp_path: Path) -> None:
    value = np.arange(12, dtype=np.float32).reshape(4, 3)
    parts = [[(0, 2), (0, None)], [(2, 2), (0, None)]]
    write_bundle(tmp_path / "c", {b"p": Partition(value, parts)}, shards=2)
    assert run("show", tmp_path / "c", "keys").out == "p\tfloat32\t[4, 3]\t48\t2 slices\t-\n"
    (row,) = json.loads(run("show", tmp_path / "c", "keys", "--json").out)["items"]
    assert (row["shard"], row["offset"], [part["shard"] for part in row["slices"]]) == (None, None, [0, 1])


def test_keys_of_a_damaged_block_are_marked(run: Run, tmp_path: Path) -> None:
    bundle(tmp_path / "c", b"a", b"b")
    index = bytearray((tmp_path / "c.index").read_bytes())
    index[3] ^= 1  # within the first block: its checksum no longer matches
    (tmp_path / "c.index").write_bytes(bytes(index))
    for name in ("keys", "variables"):
        lines = run("show", tmp_path / "c", name).out.splitlines()
        assert lines
        assert all("float32 (unverified)" in line or "damaged" in line for line in lines), lines
        assert all(row["problem"] for row in json.loads(run("show", tmp_path / "c", name, "--json").out)["items"])


def test_why_a_checkpoint_cannot_be_read_stands_in_its_line(run: Run, tmp_path: Path) -> None:
    for step in (1, 2):
        bundle(tmp_path / f"ckpt-{step}")
    (tmp_path / "ckpt-2.index").write_bytes(b"")
    lines = run("show", tmp_path, "checkpoints").out.splitlines()
    assert lines[0].startswith("ckpt-1\t1\t")
    assert lines[1].startswith("ckpt-2\t2\t")
    assert "ckpt-2.index" in lines[1].rpartition("\t")[2]
    found = run("show", tmp_path, "keys")
    assert found.out.startswith("w\t")
    assert "showing the newest checkpoint that can be read" in found.err


def test_of_a_damaged_file_nobody_says_that_there_was_nothing(run: Run, tmp_path: Path) -> None:
    objects = object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2])])
    signatures = {b"serve": signature({b"x": info(b"x:0")}, {b"y": info(b"x:0")})}
    nodes = [placeholder(b"x%d" % number) for number in range(40)]
    folder = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures=signatures, objects=objects))
    assert "this model has no assets" in run("show", folder, "assets").err
    data = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(data[: len(data) // 2])
    for name in ("signatures", "objects", "assets", "functions"):
        found = run("show", folder, name)
        assert (found.code, found.out) == (0, "")
        assert f"no {name} can be read: the file is damaged, and they may be among what is missing" in found.err


def test_missing_variables_are_said_to_be_missing(run: Run, tmp_path: Path) -> None:
    objects = object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2])])
    folder = write_saved_model(tmp_path / "m", meta_graph(nodes=[placeholder(b"x")], objects=objects))
    assert "variables/variables.index is missing" in run("show", folder, "keys").err
