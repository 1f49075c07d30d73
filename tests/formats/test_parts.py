"""Files of hardly anything but empty parts: refused before they are decoded, and no file of a model's is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import node
from tfexplore.core.objects import saved_object_graph, trackable_object_graph
from tfexplore.errors import CorruptError
from tfexplore.formats.framing import LIGHT
from tfexplore.formats.graph_file import salvaged
from tfexplore.formats.parts import check_parts
from tfexplore.formats.proto import lean
from tfexplore.formats.text_proto import read_text

WORDS = "has over a million parts of hardly any bytes"
MANY = 2_000_000

IMPORTS = """
from tfexplore.core.opener import open_model
from tfexplore.core.summary import summary
import tfexplore.core.graph_files, tfexplore.core.graph, tfexplore.formats.text_proto
from tfexplore.errors import ModelError
"""
OPEN = f"""{IMPORTS}
try:
    model = open_model(sys.argv[1])
    summary(model, None, linted=True)
except ModelError as error:
    assert "hardly any bytes" in str(error), error
"""


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


NODE = field(1, node(b"x"))
FUNCTION_HEAD = field(1, field(1, b"f"))

GRAPHS = {
    "nodes": NODE + b"\x0a\x00" * MANY,
    "functions": NODE + field(2, b"\x0a\x00" * MANY),
    "inputs of a node": NODE + field(1, node(b"y") + b"\x1a\x00" * MANY),
    "attributes of a node": NODE + field(1, node(b"y") + b"\x2a\x00" * MANY),
    "nodes of a function": NODE + field(2, field(1, FUNCTION_HEAD + b"\x1a\x00" * MANY)),
    "nodes behind a damaged one": NODE + field(1, b"\x0a\x7f") + b"\x0a\x00" * MANY,
}
META_GRAPHS = {
    "signatures": b"\x2a\x00" * MANY,
    "assets": b"\x32\x00" * MANY,
    "collections": b"\x22\x00" * MANY,
    "ops": field(1, field(2, b"\x0a\x00" * MANY)),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_a_graph_of_empty_parts_is_refused(case: str) -> None:
    with pytest.raises(CorruptError, match=WORDS):
        salvaged("GraphDef", GRAPHS[case], path="graph.pb")


@pytest.mark.parametrize("case", META_GRAPHS)
def test_a_meta_graph_of_empty_parts_is_refused(case: str) -> None:
    with pytest.raises(CorruptError, match=WORDS):
        salvaged("MetaGraphDef", field(2, NODE) + META_GRAPHS[case], path="model.meta")


def test_object_graphs_of_empty_objects_are_refused() -> None:
    for read in (saved_object_graph, trackable_object_graph):
        with pytest.raises(CorruptError, match=WORDS):
            read(b"\x0a\x00" * MANY, path="saved_model.pb")


def test_text_of_empty_messages_is_refused_where_it_is_noticed() -> None:
    with pytest.raises(CorruptError, match=f"the text, up to line 1, {WORDS}"):
        read_text([b"node{}" * 100_000] * 40, "GraphDef", path="graph.pbtxt")


def test_what_tensorflow_writes_is_read_however_much_of_it_there_is() -> None:
    element = field(1, b"\x08\x05\x12\x01" + b"0")  # an element of a list, the least part that there are many of
    objects = field(1, element * 1_500_000)
    check_parts("SavedObjectGraph", objects, path="saved_model.pb")
    assert len(trackable_object_graph(objects, path="saved_model.pb")) == 1

    few = field(1, node(b"ab", b"NoOp")) * 1_200_000
    message, damage = salvaged("GraphDef", few, path="graph.pb")
    assert len(message.node) == 1_200_000
    assert damage == ()

    dims = lean("TensorShapeProto")(dim=[{"size": 7}] * 1_000_000).SerializeToString()
    assert len(dims) > LIGHT
    check_parts("TensorShapeProto", dims, path="graph.pb")


def test_memory_stays_within_its_bound(tmp_path: Path) -> None:
    baseline = peak_memory(IMPORTS)
    (tmp_path / "model").mkdir()
    cases = {
        "nodes.pb": NODE + b"\x0a\x00" * (10 << 20),
        "unnoticed.pb": NODE + b"\x0a\x00" * 990_000,
        "inputs.pb": NODE + field(1, node(b"y") + b"\x1a\x00" * (10 << 20)),
        "model/saved_model.pb": field(2, field(2, NODE) + field(7, b"\x0a\x00" * (10 << 20))),
        "text.gz": gzip.compress(b"node{}" * (8 << 20)),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        path = tmp_path / name.removesuffix("/saved_model.pb")
        assert peak_memory(OPEN, path) - baseline < 256 * MEGABYTE, name
