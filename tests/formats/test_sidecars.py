"""The files beside `saved_model.pb`: what they say, against TensorFlow's own reading, and what damage hides."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from tfexplore import demo
from tfexplore.errors import Cancelled, CorruptError, ModelError, NotFoundError
from tfexplore.formats import fields, fingerprint, keras_metadata
from tfexplore.formats.debug_info import DebugInfo, Frame
from tfexplore.formats.fields import Bytes, iter_fields
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.proto import lean

RANKER = demo.FOLDER / "ranker"


def damaged(whole: bytes) -> Iterator[bytes]:
    """The file cut at every byte, and with each of its bytes changed in several ways."""
    for place in range(len(whole)):
        yield whole[:place]
        for change in (0x01, 0x80, 0xFF):
            yield whole[:place] + bytes((whole[place] ^ change,)) + whole[place + 1 :]


# -- fields --


@given(st.lists(st.tuples(st.sampled_from([1, 2, 5]), st.binary(max_size=300)), max_size=40))
def test_fields_come_in_order_with_their_places(parts: list[tuple[int, bytes]]) -> None:
    message = b""
    for number, data in parts:
        length = len(data)
        size = bytes((length,)) if length < 128 else bytes((length & 127 | 128, length >> 7))
        message += bytes((number << 3 | 2,)) + size + data + b"\x48\x05"  # field 9, a number: passed over
    found = list(iter_fields(Bytes("m", message), "message"))
    assert [(field.number, field.data) for field in found] == parts
    assert all(message[field.start : field.start + field.length] == field.data for field in found)


def test_a_long_message_is_read_in_windows(tmp_path: Path) -> None:
    entries = [bytes((place % 256,)) * (place * 37 % 3000) for place in range(1000)]
    path = tmp_path / "m"
    path.write_bytes(lean("NodeEdges")(input=entries, name=b"n" * (fields.MAX_FIELD + 1)).SerializeToString())
    with RandomAccessFile(str(path)) as file:
        found = list(iter_fields(file, "message"))
    assert [field.data for field in found if field.number == 3] == entries
    assert [(field.length, field.data) for field in found if field.number == 1] == [(fields.MAX_FIELD + 1, None)]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x0a\x05ab", "claims 5 bytes"),
        (b"\x0a\x00\x0a", "does not end"),
        (b"\x02\x00", "number 0 and the wire type 2"),
        (b"\x0b\x0c", "number 1 and the wire type 3"),
        (b"\x8f\x01", "number 17 and the wire type 7"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x0d\x00\x00", "claims 4 bytes"),
    ],
)
def test_a_message_that_breaks_off_names_the_byte(raw: bytes, says: str) -> None:
    with pytest.raises(CorruptError, match=says) as caught:
        list(iter_fields(Bytes("m", raw), "Thing"))
    assert caught.value.offset is not None
    assert caught.value.offset < len(raw)


# -- fingerprint --


def fingerprint_bytes(**hashes: int) -> bytes:
    message = lean("FingerprintDef")(uuid=b"u\xff", **hashes)
    message.version.producer = 4
    return bytes(message.SerializeToString())


def test_a_fingerprint_says_what_tensorflow_reads(tf: Any) -> None:
    found = fingerprint.read_fingerprint(str(RANKER / "fingerprint.pb"))
    theirs = tf.saved_model.experimental.read_fingerprint(str(RANKER))
    assert found.hashes == {name: getattr(theirs, name) for name in fingerprint.HASHES}
    assert all(found.hashes.values())
    assert (found.producer, found.uuid.isdigit()) == (4, True)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 16, 17, 32, 33, 64, 65, 1000, 5000])
def test_the_hash_is_tensorflows(tf: Any, tmp_path: Path, size: int) -> None:
    data = bytes(place * 31 % 251 for place in range(size))
    (tmp_path / "f").write_bytes(data)
    theirs = tf.fingerprint([data]).numpy().tobytes()
    assert fingerprint.fingerprint64(str(tmp_path / "f")) == struct.unpack("<Q", theirs)[0]


def test_a_damaged_fingerprint_is_refused_or_read(tmp_path: Path) -> None:
    path = tmp_path / "fingerprint.pb"
    outcomes = set()
    for raw in damaged(fingerprint_bytes(saved_model_checksum=2**63 + 5, checkpoint_hash=7)):
        path.write_bytes(raw)
        try:
            found = fingerprint.read_fingerprint(str(path))
            assert all(0 <= value < 2**64 for value in found.hashes.values())
            outcomes.add("read")
        except CorruptError as error:
            outcomes.add(error.path)
    assert outcomes == {"read", str(path)}


def test_a_large_file_is_no_fingerprint_and_not_hashed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(fingerprint.MAX_HASHED + 1)
    assert fingerprint.fingerprint64(str(path)) is None
    with pytest.raises(CorruptError, match="more than"):
        fingerprint.read_fingerprint(str(path))
    with pytest.raises(NotFoundError):
        fingerprint.read_fingerprint(str(tmp_path / "none"))


# -- Keras metadata --


def keras_bytes(*objects: tuple[int, bytes]) -> bytes:
    message = lean("SavedMetadata")()
    for node_id, metadata in objects:
        message.nodes.add(
            node_id=node_id, node_path=b"root.l%d" % node_id, identifier=b"_tf_keras_layer", metadata=metadata
        )
    return bytes(message.SerializeToString())


def read_keras(tmp_path: Path, raw: bytes) -> keras_metadata.KerasMetadata:
    path = tmp_path / "keras_metadata.pb"
    path.write_bytes(raw)
    return keras_metadata.read_keras_metadata(str(path))


def test_keras_metadata_of_the_corpus_is_what_keras_reads(tf: Any, corpus: Path) -> None:
    from tensorflow.python.keras.protobuf import saved_metadata_pb2

    seen = 0
    for path in (corpus / "models").rglob("keras_metadata.pb"):
        theirs = saved_metadata_pb2.SavedMetadata.FromString(path.read_bytes()).nodes
        found = keras_metadata.read_keras_metadata(str(path))
        assert found.damaged == ()
        assert [(each.node_id, each.path.decode(), each.identifier.decode()) for each in found.objects] == [
            (each.node_id, each.node_path, each.identifier) for each in theirs
        ]
        for ours, each in zip(found.objects, theirs, strict=True):
            facts = json.loads(each.metadata)
            assert (ours.class_name, ours.name, ours.dtype) == (facts["class_name"], facts["name"], facts["dtype"])
            seen += 1
    assert seen >= 4


def test_facts_of_a_keras_object(tmp_path: Path) -> None:
    facts = {
        "class_name": "Dense",
        "name": "d\ud800",
        "trainable": False,
        "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}},
        "build_input_shape": {"class_name": "TensorShape", "items": [None, 10]},
    }
    found = read_keras(tmp_path, keras_bytes((3, json.dumps(facts).encode())))
    assert found.objects[0][:4] == (3, b"root.l3", b"_tf_keras_layer", "Dense")
    assert found.objects[0][4:] == ("d?", "mixed_float16", (None, 10), False, "")


HOSTILE_JSON = {
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "number": b'{"name": "n", "shape": [' + b"9" * 300_000 + b"]}",
    "list": b"[1]",
    "cut": b'{"name": "n',
    "not UTF-8": b'{"name": "\xff"}',
    "types": b'{"name": 3, "class_name": [], "dtype": {"config": 1}, "shape": [true], "trainable": "yes"}',
    "large": b'"' + b"x" * keras_metadata.MAX_JSON + b'"',
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_hides_no_other_object(tmp_path: Path, name: str) -> None:
    good = b'{"name": "good"}'
    found = read_keras(tmp_path, keras_bytes((1, good), (2, HOSTILE_JSON[name]), (3, good)))
    assert [each.name for each in found.objects if each.node_id != 2] == ["good", "good"]
    bad = [each for each in found.objects if each.node_id == 2]
    if name == "large":
        assert bad == []
        assert len(found.damaged) == 1
    else:
        assert bool(bad[0].problem) == (name not in ("number", "types"))
        assert (bad[0].shape, bad[0].trainable, bad[0].class_name) in (((None,), None, ""), (None, None, ""))


def test_damaged_keras_metadata_keeps_what_comes_before(tmp_path: Path) -> None:
    whole = keras_bytes((1, b'{"name": "a"}'), (2, b'{"name": "b"}'))
    first = len(keras_bytes((1, b'{"name": "a"}')))
    for place in range(len(whole)):
        found = read_keras(tmp_path, whole[:place])
        assert len(found.objects) == (place >= first)
        assert bool(found.damaged) == (place not in (0, first))
        for change in (0x01, 0x80, 0xFF):
            flipped = whole[:place] + bytes((whole[place] ^ change,)) + whole[place + 1 :]
            found = read_keras(tmp_path, flipped)
            if place >= first:
                assert found.objects[0].name == "a"


def test_a_damaged_keras_object_hides_no_other(tmp_path: Path) -> None:
    whole = keras_bytes((1, b"{}")) + b"\x0a\x03\x1a\x7f\x00" + keras_bytes((2, b"{}"))
    found = read_keras(tmp_path, whole)
    assert [each.node_id for each in found.objects] == [1, 2]
    assert len(found.damaged) == 1
    assert "at byte" in found.damaged[0]


# -- debug info --


def debug_message() -> Any:
    """Both generations at once: `new` by ids, `old` by name, `both` in each."""
    message = lean("GraphDebugInfo")(files=[b"a.py", b"b\xff.py"])
    for key, (file, line) in {2**63 + 9: (0, 3), 5: (1, 7), 6: (9, 1)}.items():
        frame = message.frames_by_id.add(key=key).value
        frame.file_index, frame.line, frame.func, frame.code = file, line, b"f%d" % line, b"code()"
    message.traces_by_id.add(key=2**64 - 1).value.frame_id.extend([2**63 + 9, 5, 6, 77])
    message.name_to_trace_id.add(key=b"new@g", value=2**64 - 1)
    message.name_to_trace_id.add(key=b"both@g", value=2**64 - 1)
    message.name_to_trace_id.add(key=b"lost@g", value=4)
    for name in (b"old@g", b"both@g", b"main@"):
        message.traces.add(key=name).value.file_line_cols.add(file_index=0, line=1, func=b"h")
    return message


NEW = (Frame(b"a.py", 3, b"f3", b"code()"), Frame(b"b\xff.py", 7, b"f7", b"code()"), Frame(None, 1, b"f1", b"code()"))
OLD = (Frame(b"a.py", 1, b"h", b""),)


def test_both_generations_of_debug_info() -> None:
    source = Bytes("d", debug_message().SerializeToString())
    info = DebugInfo(source)
    assert info.damaged == ()
    found = {name: info.trace(source, name) for name in (b"new@g", b"old@g", b"both@g", b"main@", b"lost@g", b"x")}
    assert found == {b"new@g": NEW, b"old@g": OLD, b"both@g": OLD, b"main@": OLD, b"lost@g": None, b"x": None}
    assert len(info) == 5


def traces_of_tensorflow(raw: bytes) -> dict[str, list[tuple[str, int, str, str]]]:
    from tensorflow.core.framework import graph_debug_info_pb2
    from tensorflow.python.util import tf_stack

    found = tf_stack.LoadTracesFromDebugInfo(graph_debug_info_pb2.GraphDebugInfo.FromString(raw))
    return {
        name: [(frame.filename, frame.lineno, frame.name, frame.line) for frame in trace]
        for name, trace in found.items()
    }


def test_debug_info_says_what_tensorflow_reads(tf: Any, tmp_path: Path) -> None:
    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(tf.ones([3, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def __call__(self, x: Any) -> Any:
            y = tf.matmul(x, self.w)
            return tf.nn.relu(y + 1.0) if tf.reduce_sum(y) > 0 else y

    tf.saved_model.save(Module(), str(tmp_path), options=tf.saved_model.SaveOptions(save_debug_info=True))
    path = tmp_path / "debug" / "saved_model_debug_info.pb"
    theirs = traces_of_tensorflow(path.read_bytes())
    with RandomAccessFile(str(path)) as file:
        info = DebugInfo(file)
        assert info.damaged == ()
        assert len(info) == len(theirs) > 20
        for name, trace in theirs.items():
            found = info.trace(file, name.encode())
            assert found is not None
            assert [
                (frame.file.decode() if frame.file else None, frame.line, frame.function.decode(), frame.code.decode())
                for frame in found
            ] == trace
    assert any("test_sidecars" in frame[0] for trace in theirs.values() for frame in trace)


def test_the_older_generation_is_read_as_tensorflow_does(tf: Any) -> None:
    message = debug_message()
    message.files[1] = b"b.py"
    del message.frames_by_id[2]
    del message.traces_by_id[0].value.frame_id[2:]
    del message.name_to_trace_id[2]
    raw = message.SerializeToString()
    source = Bytes("d", raw)
    info = DebugInfo(source)
    theirs = traces_of_tensorflow(raw)
    assert set(theirs) == {"new@g", "old@g", "both@g", "main@"}
    for name, trace in theirs.items():
        found = info.trace(source, name.encode())
        assert found is not None
        assert [(str(frame.file, "ascii"), frame.line, str(frame.function, "ascii")) for frame in found] == [
            frame[:3] for frame in trace
        ]


def test_damaged_debug_info_is_named_and_what_comes_before_is_read() -> None:
    whole = debug_message().SerializeToString()
    told = 0
    for raw in damaged(whole):
        source = Bytes("d", raw)
        info = DebugInfo(source)
        told += bool(info.damaged)
        for name in (b"new@g", b"old@g", b"both@g", b"main@"):
            info.trace(source, name)
    assert told > len(whole)
    info = DebugInfo(Bytes("d", whole + b"\x0a\x7f"))
    assert len(info.damaged) == 1
    assert info.trace(Bytes("d", whole), b"new@g") == NEW


def test_a_damaged_entry_hides_no_other() -> None:
    source = Bytes("d", b"\x12\x03\x0a\x7f\x00" + debug_message().SerializeToString())
    info = DebugInfo(source)
    assert len(info.damaged) == 1
    assert "at byte 2" in info.damaged[0]
    assert info.trace(source, b"old@g") == OLD


class Counted(NamedTuple):
    """Bytes that note what is read of them."""

    path: str
    data: bytes
    reads: list[int]

    @property
    def size(self) -> int:
        return len(self.data)

    def pread(self, offset: int, length: int) -> bytes:
        self.reads.append(length)
        return self.data[offset : offset + length]


def test_a_frame_that_occurs_often_is_read_once_and_a_stack_is_bounded() -> None:
    message = lean("GraphDebugInfo")(files=[b"f" * 1000, b"g" * 900_000])
    for key, file in ((1, 0), (2, 1)):
        message.frames_by_id.add(key=key).value.file_index = file
        message.traces_by_id.add(key=key).value.frame_id.extend([key] * 1000)
        message.name_to_trace_id.add(key=b"n%d" % key, value=key)
    source = Counted("d", message.SerializeToString(), [])
    info = DebugInfo(source)
    source.reads.clear()
    assert info.trace(source, b"n1") == (Frame(b"f" * 1000, 0, b"", b""),) * 1000
    assert len(source.reads) == 4
    assert info.trace(source, b"n2") == (Frame(b"g" * 900_000, 0, b"", b""),) * 4
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        info.trace(source, b"n1", cancel)


def test_a_file_that_became_shorter_is_told() -> None:
    whole = debug_message().SerializeToString()
    info = DebugInfo(Bytes("d", whole))
    with pytest.raises(ModelError):
        info.trace(Bytes("d", whole[:20]), b"new@g")


@pytest.mark.parametrize("entry", ["0a00", "1200", "2200", "0900000000000000", "12040a024040"])
def test_millions_of_tiny_entries_take_little_memory(tmp_path: Path, entry: str) -> None:
    for name in ("debug_info", "keras"):
        (tmp_path / name).write_bytes(bytes.fromhex(entry) * (24 * MEGABYTE // (len(entry) // 2)))
    code = """
from tfexplore.formats.debug_info import DebugInfo
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.keras_metadata import read_keras_metadata
with RandomAccessFile(sys.argv[1] + "/debug_info") as file:
    assert DebugInfo(file).damaged or sys.argv[2].startswith("09")
read_keras_metadata(sys.argv[1] + "/keras")
"""
    assert peak_memory(code, tmp_path, entry) < 256 * MEGABYTE
