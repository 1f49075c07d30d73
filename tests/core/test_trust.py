"""Which models need trust before they are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.saved_model_writer import attr, info, meta_graph, node, placeholder, signature, tensor, write_saved_model
from tfexplore import demo
from tfexplore.core.opener import open_model
from tfexplore.core.trust import distrusted, sentence


def const(name: bytes, value: bytes) -> bytes:
    return node(name, b"Const", value=attr(tensor=tensor(7, (), string_val=[value])))


def model_of(folder: Path, *nodes: bytes) -> Path:
    signatures = {b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"last:0")})}
    return write_saved_model(folder, meta_graph(nodes=[placeholder(b"x"), *nodes], signatures=signatures))


def test_the_demo_needs_none() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        assert distrusted(model) == []


def test_a_write_needs_trust_and_says_what_it_writes(tmp_path: Path) -> None:
    write = node(b"last", b"WriteFile", [b"path", b"x"])
    with open_model(str(model_of(tmp_path / "m", const(b"path", b"/tmp/\x1b[31mout"), write))) as model:
        found = distrusted(model)
        assert [one.op for one in found] == ["WriteFile"]
        assert sentence(found) == (
            'the scan has 1 finding of level high: WriteFile writes a file ("/tmp/\\x1b[31mout")'
        )
        assert sentence(found * 3).startswith("the scan has 3 findings of level high: WriteFile writes a file (")


def test_a_long_literal_is_cut(tmp_path: Path) -> None:
    write = node(b"last", b"WriteFile", [b"path", b"x"])
    with open_model(str(model_of(tmp_path / "m", const(b"path", b"/tmp/" + b"n" * 5000), write))) as model:
        assert len(sentence(distrusted(model))) < 200


def test_levels_below_high_need_none(tmp_path: Path) -> None:
    with open_model(str(model_of(tmp_path / "m", node(b"last", b"Print", [b"x", b"x"])))) as model:
        assert distrusted(model) == []


RISKY = [
    "abort", "alloc", "call_write", "cond_write", "dbg_grpc", "dstfr", "load_write", "print_write", "read_file",
    "restore", "save_write", "summary", "table", "while_write",
]  # fmt: skip


@pytest.mark.parametrize("name", RISKY)
def test_the_risky_models(corpus: Path, name: str) -> None:
    with open_model(str(corpus / "hostile" / "risky" / name)) as model:
        found = distrusted(model)
        assert all(one.phase != "save" and one.level == "high" for one in found)
        # A table is read when the model is loaded, from its own assets.
        assert bool(found) == (name != "table")
        if found:
            assert sentence(found).startswith("the scan has ")
