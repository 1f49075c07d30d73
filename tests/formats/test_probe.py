"""What a file is, by its content: each kind, each foreign file in its exact sentence, anything else without harm."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import function, identity, info, meta_graph, node, placeholder, signature
from formats.table_writer import write_bundle
from formats.v1_writer import write_v1
from tfexplore.errors import NotAModelError
from tfexplore.formats import probe
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.probe import CHECKPOINT_STATE, CHECKPOINT_V1, FOREIGN, INDEX, Probed
from tfexplore.formats.proto import lean
from tfexplore.formats.table import crc32c, mask

# From here on no real beginning of a message is taken for anything else.
RECOGNISED = 9

READS = "tfexplore reads SavedModels, GraphDefs, MetaGraphs and checkpoints"
EXPORT = "export the model with model.export(FOLDER) and open the folder"
UNPACK = "unpack it and open what is inside"


def messages() -> dict[str, bytes]:
    graph = meta_graph(
        nodes=[placeholder(b"x"), identity(b"y", b"x")],
        functions=[function(b"f", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x")])],
        signatures={b"s": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})},
    )
    saved = lean("SavedModel")(saved_model_schema_version=1, meta_graphs=[graph])
    return {
        "saved_model": bytes(saved.SerializeToString()),
        "meta_graph": bytes(graph.SerializeToString()),
        "graph_def": bytes(graph.graph_def.SerializeToString()),
    }


MESSAGES = messages()
TEXTS = {
    "saved_model": b"saved_model_schema_version: 1\nmeta_graphs { }",
    "meta_graph": b"# A comment\nmeta_info_def { tags: 'serve' }",
    "graph_def": b"\xef\xbb\xbfnode <\n name: 'x' >",
}


def probed(path: Path, data: bytes) -> Probed:
    path.write_bytes(data)
    with RandomAccessFile(str(path)) as file:
        return probe.probe(file)


# -- what is read --


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_known_in_each_form(tmp_path: Path, kind: str, packed: bool) -> None:
    for data, found in ((MESSAGES[kind], kind), (TEXTS[kind], f"{kind}_text")):
        stored = gzip.compress(data) if packed else data
        assert probed(tmp_path / "f", stored) == Probed(found, packed)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_known_wherever_it_is_cut_off(tmp_path: Path, kind: str, packed: bool) -> None:
    data = MESSAGES[kind]
    for size in range(RECOGNISED, len(data)):
        cut = gzip.compress(data[:size]) if packed else data[:size]
        assert probed(tmp_path / "f", cut).kind == kind, size


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_packed_message_is_known_where_the_packing_is_cut_off(tmp_path: Path, kind: str) -> None:
    packed = gzip.compress(MESSAGES[kind], compresslevel=0)
    for size in range(len(packed) - len(MESSAGES[kind]) + RECOGNISED, len(packed)):
        assert probed(tmp_path / "f", packed[:size]) == Probed(kind, True), size


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("basic_pitch_nmp/saved_model.pb", "saved_model"),
        ("tf-simple_v1/saved_model.pb", "saved_model"),
        ("tfx-keras/saved_model.pb", "saved_model"),
        ("tf-ckpt_profiler/ckpt.meta", "meta_graph"),
        ("serving-session_bundle_v1ckpt/00000123/export.meta", "meta_graph"),
        ("dl4j-frozen/lenet_frozen.pb", "graph_def"),
        ("tf-proto_splitter_cpb/function-large-nodes.pb", "graph_def"),
        ("rust-graphdefs/addition.pb", "graph_def"),
    ],
)
def test_real_messages_are_known_wherever_they_are_cut_off(corpus: Path, tmp_path: Path, name: str, kind: str) -> None:
    data = (corpus / "models" / name).read_bytes()
    for size in range(40, min(len(data), 1500)):
        assert probed(tmp_path / "f", data[:size]).kind == kind, size


def test_checkpoints_are_told_apart(tmp_path: Path) -> None:
    value = np.float32([1, 2])
    write_bundle(tmp_path / "v2", {b"v": value})
    write_v1(tmp_path / "v1", {b"v": value})
    assert probed(tmp_path / "f", (tmp_path / "v2.index").read_bytes()).kind == INDEX
    assert probed(tmp_path / "f", (tmp_path / "v1").read_bytes()).kind == CHECKPOINT_V1
    for field in (b"model_checkpoint_path", b"all_model_checkpoint_paths"):
        assert probed(tmp_path / "f", field + b': "ckpt-1"\n').kind == CHECKPOINT_STATE


def backwards(data: bytes) -> bytes:
    """A message of numbers and bytes with its fields in the opposite order, as some writers put them."""
    fields, position = [], 0
    while position < len(data):
        start = position
        tag, position = varint(data, position)
        value, position = varint(data, position)
        position += value if tag & 7 == 2 else 0
        fields.append(data[start:position])
    return b"".join(fields[::-1])


def varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def part(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    sizes = bytearray()
    for value in (number << 3 | 2, len(data)):
        while value > 0x7F:
            sizes.append(value & 0x7F | 0x80)
            value >>= 7
        sizes.append(value)
    return bytes(sizes) + data


NODE = identity(b"y", b"x")
GRAPH = MESSAGES["graph_def"]
FUNCTIONS_ONLY = part(2, part(1, function(b"f", [b"x"], {b"out": b"i:output:0"}, [NODE])))
ODD = part(1, b"a") + part(2, "Öp\x1b".encode())
# Larger than the part of a file that is read at once.
LARGE = 3 << 20
ORDERS = {
    "an empty library first": (part(2, b"") + part(1, NODE), "graph_def"),
    "nodes backwards": (part(1, backwards(NODE)) + part(1, backwards(NODE)), "graph_def"),
    "a node without attributes": (part(1, node(b"a")), "graph_def"),
    "a function's call": (part(1, node(b"a", b"__inference_f_12")), "graph_def"),
    "a device before name and op": (part(1, part(4, b"/cpu:0") + node(b"a")), "graph_def"),
    "a name of any bytes": (part(1, node(b"\xff\x1b[31m", b"Const")), "graph_def"),
    "an op that is no identifier": (part(1, ODD), "graph_def"),
    "an op that is not UTF-8": (part(1, node(b"a", b"\xff\xfe!")), "graph_def"),
    "an op that is no identifier, within": (part(2, part(1, ODD)), "meta_graph"),
    "a node that a TensorFlow Lite model begins like": (part(1, node(b"TFL3")), "graph_def"),
    "functions only": (FUNCTIONS_ONLY, "graph_def"),
    "functions only, backwards": (part(2, part(1, backwards(function(b"f", [b"x"], {}, [NODE])))), "graph_def"),
    "gradients, then nodes": (part(2, part(2, part(1, b"f") + part(2, b"g"))) + part(1, NODE), "graph_def"),
    "versions only": (b"\x22\x03\x08\xa1\x08", "graph_def"),
    "a version, then nodes": (b"\x18\x05" + part(1, NODE), "graph_def"),
    "a large function first": (part(2, part(1, part(3, NODE) * 9_000 + part(1, part(1, b"f")))), "graph_def"),
    "a large value before the name": (part(1, part(5, part(1, b"v") + part(2, bytes(LARGE))) + node(b"a")),
                                      "graph_def"),
    "a graph only": (part(2, GRAPH), "meta_graph"),
    "functions only, in a MetaGraph": (part(2, FUNCTIONS_ONLY), "meta_graph"),
    "signatures only": (part(5, part(1, b"s") + part(2, signature({b"x": info(b"x:0")}, {}))), "meta_graph"),
    "large objects first": (part(7, bytes(LARGE)) + part(2, GRAPH), "meta_graph"),
    "many large parts first": (part(4, bytes(70_000)) * 100 + part(2, GRAPH), "meta_graph"),
    "a large MetaInfoDef": (part(1, part(2, part(1, part(1, b"Op") + part(6, b"." * LARGE)))) + part(2, GRAPH),
                            "meta_graph"),
    "no schema version": (part(2, MESSAGES["meta_graph"]), "saved_model"),
    "large objects first, within": (b"\x08\x01" + part(2, part(7, bytes(LARGE)) + part(2, GRAPH)), "saved_model"),
    "no MetaGraphs": (b"\x08\x01", "saved_model"),
    "an empty MetaGraph": (b"\x08\x01\x12\x00", "saved_model"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_no_order_of_fields_and_no_size_of_parts_is_relied_on(tmp_path: Path, name: str) -> None:
    data, kind = ORDERS[name]
    assert probed(tmp_path / "f", data).kind == kind
    assert probed(tmp_path / "f", backwards(data)).kind == kind
    assert probed(tmp_path / "f", gzip.compress(data, 1)) == Probed(kind, True)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_known_backwards(tmp_path: Path, kind: str) -> None:
    assert probed(tmp_path / "f", backwards(MESSAGES[kind])).kind == kind


@pytest.mark.parametrize("kind", MESSAGES)
def test_flipped_bits_further_on_change_nothing(tmp_path: Path, kind: str) -> None:
    data = MESSAGES[kind]
    for position in range(48, len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = data[:position] + bytes((data[position] ^ flip,)) + data[position + 1 :]
            assert probed(tmp_path / "f", damaged).kind == kind, position


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"node [ { name: 'a' }, { name: 'b' } ]\nversions { producer: 27 }", "graph_def_text"),
        (b"node: [ < name: 'a' > ]", "graph_def_text"),
        (b"node [ ]\nlibrary { }", "graph_def_text"),
        (b"version: 21\n# c\nnode: { name: 'x' }", "graph_def_text"),
        (b"saver_def {}\ngraph_def: < node { name: 'a' } >", "meta_graph_text"),
        (b"meta_graphs [ { }, { } ]", "saved_model_text"),
        (b'node { name: "\xff\xfe" op: "Const" }\n', "graph_def_text"),
    ],
)
def test_texts_are_known_in_each_form(tmp_path: Path, text: bytes, kind: str) -> None:
    assert probed(tmp_path / "f", text) == Probed(kind)
    assert probed(tmp_path / "f", gzip.compress(text)) == Probed(kind, True)


@pytest.mark.parametrize(
    "text", [b"node: 3\n", b"node 3", b"node: [1, 2]", b"a node { of a tree", b"Note: node { }", b"entry: {", b"node"]
)
def test_a_text_with_the_names_of_fields_is_no_graph(tmp_path: Path, text: bytes) -> None:
    assert probed(tmp_path / "f", text) == Probed(FOREIGN, False, "a text file", READS)


# Other messages, of which the parts that look like a graph's hold something else.
OTHERS = {
    "a configuration for serving": part(1, part(1, part(1, part(1, b"placeholder") + part(2, b"model_name"))) + part(
        2, part(2, part(1, b"placeholder") + part(2, b"\x18\x64")))) + part(
        2, part(1, part(1, b"type.googleapis.com/t.T") + part(2, part(1, b"test config"))) + b"\x18\x01"),
    "a list of names": part(1, part(1, b"label")) * 3,
    "names within": part(2, part(1, part(1, b"label"))) * 3,
    "a map of messages": part(5, part(1, b"key") + part(2, b"\x08\x01")) * 3,
    "numbers and a name": b"\x08\x02\x10\x01\x18\x00" + part(7, b"header"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_message_is_no_graph(tmp_path: Path, name: str) -> None:
    what = "no file that tfexplore knows: a protobuf message that is no SavedModel, MetaGraph or GraphDef"
    assert probed(tmp_path / "f", OTHERS[name]) == Probed(FOREIGN, False, what, READS)


def test_a_configuration_for_serving_is_refused(corpus: Path) -> None:
    path = corpus / "models/serving-half_plus_two_config/00000123/assets.extra/saved_model_config.pb"
    with RandomAccessFile(str(path)) as file:
        assert "no SavedModel, MetaGraph or GraphDef" in probe.probe(file).sentence


# -- what is not --


def zipped(*names: bytes, whole: bool = True) -> bytes:
    """A zip archive of empty members, or the beginning of one."""
    local = b"".join(b"PK\x03\x04" + bytes(22) + struct.pack("<HH", len(name), 0) + name for name in names)
    central = b"".join(b"PK\x01\x02" + bytes(24) + struct.pack("<H", len(name)) + bytes(16) + name for name in names)
    end = b"PK\x05\x06" + bytes(8) + struct.pack("<2LH", len(central), len(local), 0)
    return local + central + end if whole else local


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", mask(crc32c(length))) + data + bytes(4)


HDF5 = b"\x89HDF\r\n\x1a\n"
# The file, what is said of it, and what to do.
FOREIGN_FILES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "an empty file (0 bytes)", "export, save or copy the model again"),
    "cpb": (bytes.fromhex("83af70d10d884a3f") + bytes(60), "a SavedModel or GraphDef in chunked form (.cpb)",
            "save it unchunked: tf.saved_model.save without experimental_image_format"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "a TensorFlow Lite model",
               "open the SavedModel that it was converted from"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer in place of the file",
            "run: git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s5--00\n", "a git-annex pointer in place of the file", "run: git annex get"),
    "npy": (b"\x93NUMPY\x01\x00", "a NumPy array (.npy)", "look at it with numpy.load(FILE, mmap_mode='r')"),
    "png": (b"\x89PNG\r\n\x1a\n", "a PNG picture", READS),
    "jpeg": (b"\xff\xd8\xff\xe0", "a JPEG picture", READS),
    "gif": (b"GIF89a", "a GIF picture", READS),
    "pdf": (b"%PDF-1.7", "a PDF document", READS),
    "wav": (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a WAV recording", READS),
    "webp": (b"RIFF\x00\x00\x00\x00WEBP", "a WebP picture", READS),
    "avi": (b"RIFF\x00\x00\x00\x00AVI LIST", "an AVI video", READS),
    "riff": (b"RIFF\x00\x00\x00\x00CDXA", "a sound or video file (RIFF)", READS),
    "elf": (b"\x7fELF\x02", "a program or library (ELF)",
            "if it holds custom ops, it is loaded beside a model, not opened"),
    "mach-o": (b"\xcf\xfa\xed\xfe\x07", "a program or library (Mach-O)",
               "if it holds custom ops, it is loaded beside a model, not opened"),
    "exe": (b"MZ\x90\x00", "a Windows program or library", READS),
    "gguf": (b"GGUF\x03\x00\x00\x00", "a GGUF model", "look at it with gguf-dump"),
    "parquet": (b"PAR1\x15\x04", "a Parquet file", "it holds data, not a model"),
    "sqlite": (b"SQLite format 3\x00", "an SQLite database", "it holds data, not a model"),
    "bz2": (b"BZh91AY&SY", "a file packed with bzip2", UNPACK),
    "xz": (b"\xfd7zXZ\x00\x00", "a file packed with xz", UNPACK),
    "zstd": (b"\x28\xb5\x2f\xfd\x00", "a file packed with zstd", UNPACK),
    "lz4": (b"\x04\x22\x4d\x18\x00", "a file packed with lz4", UNPACK),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    "rar": (b"Rar!\x1a\x07\x01\x00", "a RAR archive", UNPACK),
    "tar": (b"a".ljust(257, b"\0") + b"ustar\x00", "a tar archive", "unpack it (tar xf) and open the folder inside"),
    "utf16 le": (b"\xff\xfen\x00", "text in UTF-16", "write it in UTF-8"),
    "utf16 be": (b"\xfe\xff\x00n", "text in UTF-16", "write it in UTF-8"),
    "keras": (zipped(b"metadata.json", b"config.json"), "a Keras archive (.keras)", f"load it in Keras, then {EXPORT}"),
    "keras, cut off": (zipped(b"config.json", whole=False), "a Keras archive (.keras)",
                       f"load it in Keras, then {EXPORT}"),
    "pytorch": (zipped(b"archive/data.pkl"), "a PyTorch archive", f"load it in PyTorch: {READS}"),
    "pytorch, old": (bytes.fromhex("80028a0a6cfc9c46f9206aa8501951"),
                     "a PyTorch file of the old kind, which is a Python pickle",
                     "it runs code when it is loaded: tfexplore opens none"),
    "zip of a SavedModel": (zipped(b"m/variables/", b"m/saved_model.pb"), "a zip archive with a SavedModel inside",
                            "unzip it first and open the folder inside"),
    "zip of very many": (zipped(*(b"%d" % name for name in range(3_000)), b"saved_model.pb"),
                         "a zip archive with a SavedModel inside", "unzip it first and open the folder inside"),
    "zip with its end cut off": (zipped(b"m/saved_model.pb")[:-22], "a zip archive with a SavedModel inside",
                                 "unzip it first and open the folder inside"),
    "npz": (zipped(b"a.npy", b"b.npy"), "an archive of NumPy arrays (.npz)", "look at it with numpy.load(FILE)"),
    "zip": (zipped(b"a.npy", b"b.txt"), "a zip archive", UNPACK),
    "zip of nothing": (zipped(), "a zip archive", UNPACK),
    "h5 model": (HDF5 + bytes(90) + b"model_config", "a Keras model in HDF5 (.h5)", f"load it in Keras, then {EXPORT}"),
    "h5": (HDF5 + bytes(90), "an HDF5 file (.h5), as Keras writes weights", f"load it in Keras, then {EXPORT}"),
    "h5 behind a user block": (bytes(512) + HDF5, "an HDF5 file (.h5), as Keras writes weights",
                               f"load it in Keras, then {EXPORT}"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x032.1:\x04\x0a\x02\x0a\x00", "an ONNX model",
             "open the SavedModel that it was converted from, or look at it in netron"),
    "fingerprint": (b"\x08\xfb\x01\x10\x02\x18\x03\x20\x04\x28\x05", "a SavedModel's fingerprint",
                    "open the SavedModel's folder"),
    "keras_metadata": (b"\x0a\x1e\x08\x01\x12\x04root\x22\x14_tf_keras_sequential",
                       "what Keras keeps beside a SavedModel", "open the SavedModel's folder"),
    "debug info": (b"\x0a\x0b/tmp/run.py\x12\x00", "a SavedModel's debug information", "open the SavedModel's folder"),
    "events": (record(b"\x09\x00\x00\x00\x00\x00\x00\x00\x00\x1a\x0dbrain.Event:2"), "TensorBoard's events",
               "open it with tensorboard --logdir"),
    "records": (record(b"\x00\x01\x02"), "a TFRecord file", "it holds examples, not a model"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}', "weights in the safetensors format",
                    "it holds weights and no graph: load it where it was saved from"),
    "pickle": (b"\x80\x04\x95\x00", "a Python pickle", "it runs code when it is loaded: tfexplore opens none"),
    "html": (b"\n<!DOCTYPE HTML><p>", "an HTML page, perhaps a failed download", "download the file itself"),
    "xml": (b"<?xml version='1.0'?>", "an XML file", READS),
    "tfjs": (b'{"format": "graph-model"}', "a TensorFlow.js model", "open the SavedModel that it was converted from"),
    "weight map": (b'{"weight_map": {}}', "the map of a model's sharded weights", f"load them in Keras, then {EXPORT}"),
    "keras config": (b'{"class_name": "Sequential", "config": {}}',
                     "a Keras model's configuration (JSON), without its weights",
                     f"build the model in Keras, load its weights, then {EXPORT}"),
    "json": (b"[1, 2]", "a JSON file", READS),
    "python": (b"# Model\nimport os\n", "a Python source file", READS),
    "csv": (b"a,b\n1,2\n3,4\n", "a table in a text file (CSV)", "it holds data, not a model"),
    "tsv": (b"a\tb\n1\t2", "a table in a text file (CSV)", "it holds data, not a model"),
    "mediapipe": (b'# c\ninput_stream: "a"\nnode {\n  calculator: "C"\n}', "a MediaPipe graph", READS),
    "prose": (b"One, two.\nAnd three.\n", "a text file", READS),
    "text that a program begins like": (b"MZ, BZh\n", "a text file", READS),
    "text that a field begins like": (b'"' + b"a" * 34 + b'"\n', "a text file", READS),
    "zeros": (bytes(99), "a file that begins with zeros only, as a broken copy leaves it", "copy or download it again"),
    "text": ("Grüße".encode(), "a text file", READS),
    "unknown": (b"\x00\x01\x02\xff" * 9,
                "no file that tfexplore knows: its first bytes are 00 01 02 ff 00 01 02 ff", READS),
    "gzip, damaged": (b"\x1f\x8b" + bytes(50), "a damaged gzip file", "copy or download it again"),
    "gzip of nothing": (gzip.compress(b""), "a gzip file with nothing in it", "copy or download it again"),
    "gzip of text": (gzip.compress(b"hello"), "a gzip file with a text file", UNPACK),
    "gzip of anything": (gzip.compress(b"\x00\x01\x02\xff"), "a gzip file with something inside that tfexplore does "
                         "not know: its first bytes are 00 01 02 ff", UNPACK),
    "tar.gz": (gzip.compress(b"a".ljust(257, b"\0") + b"ustar\x00"), "a packed tar archive (.tar.gz)", UNPACK),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN_FILES)
def test_a_foreign_file_has_its_sentence(tmp_path: Path, name: str) -> None:
    data, sentence, hint = FOREIGN_FILES[name]
    assert probed(tmp_path / "f", data) == Probed(FOREIGN, False, sentence, hint)


def test_each_signature_has_a_file_here() -> None:
    said = {sentence for _, sentence, _ in FOREIGN_FILES.values()}
    assert {what for signatures in probe._SIGNATURES.values() for _, what in signatures} <= said


def test_a_packed_state_file_says_what_it_is(tmp_path: Path) -> None:
    found = probed(tmp_path / "f", gzip.compress(b'model_checkpoint_path: "ckpt-1"\n'))
    assert found == Probed(FOREIGN, False, "a gzip file with a checkpoint state file", UNPACK)


def test_zeros_behind_a_version_are_no_onnx_model(tmp_path: Path) -> None:
    for data in (b"\x08\x01\x12" + bytes(5000), b"\x08\x01\x12\x05" + bytes(5000)):
        assert "ONNX" not in probed(tmp_path / "f", data).sentence


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("gs://b/m", "copy it here first: gcloud storage cp -r gs://b/m ."),
        ("s3://b/m", "copy it here first: aws s3 cp --recursive s3://b/m ."),
        ("s3a://b/m", "copy it here first: aws s3 cp --recursive s3a://b/m ."),
        ("hdfs://h/m", "copy it here first: hdfs dfs -get hdfs://h/m ."),
        ("HTTPS://h/m", "download it first"),
        ("http://h/m", "download it first"),
        ("file:///m", "give the path without file://"),
        ("ftp+x://h/{}", "copy it here first"),
    ],
)
def test_an_address_is_refused_with_the_next_step(address: str, hint: str) -> None:
    with pytest.raises(NotAModelError) as caught:
        probe.check_address(address)
    assert caught.value.hint == hint
    assert str(caught.value).startswith(f"{address}: this is an address")


@pytest.mark.parametrize("path", ["gs:/b/m", "a/b://c", "://x", "1gs://x", "model", ""])
def test_a_path_is_no_address(path: str) -> None:
    probe.check_address(path)


# -- anything --

SEEDS = [
    *MESSAGES.values(),
    *(data for data, _ in ORDERS.values() if len(data) < 999),
    *OTHERS.values(),
    *TEXTS.values(),
    *(data for data, _, _ in FOREIGN_FILES.values()),
]
ANYTHING = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANYTHING
@given(st.binary(max_size=400))
def test_arbitrary_bytes_have_an_answer(tmp_path: Path, data: bytes) -> None:
    found = probed(tmp_path / "f", data)
    assert (found.kind == FOREIGN) == bool(found.sentence)


@ANYTHING
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=6),
    st.integers(0, 500),
    st.booleans(),
)
def test_damaged_files_have_an_answer(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, int]], size: int, packed: bool
) -> None:
    data = bytearray(seed)
    for place, value in edits:
        if place < len(data):
            data[place] = value
    found = probed(tmp_path / "f", gzip.compress(data[:size]) if packed else bytes(data[:size]))
    assert (found.kind == FOREIGN) == bool(found.sentence)


@pytest.mark.parametrize(
    "head",
    [b"", b"{", b"[" * 5000, zipped(b"config.json", whole=False), b"\x1f\x8b\x08" + bytes(7), b"node {",
     b"\x08\x01\x12\xff\xff\xff\x7f", gzip.compress(bytes(64 * MEGABYTE)), b"PK\x01\x02" * 9000, b"#" * 70_000,
     b"\x0a\x0a\x0a\x08\x0a\x06\x0a\x04\x0a\x02\x08\x01" * 5_000, part(9, bytes(5_000)) * 10_000,
     (b"\x0a\x02\x08\x01" * 999 + b"\x12\x00") * 20],
    ids=["zeros", "json", "deep json", "zip", "gzip", "text", "length", "bomb", "zip names", "comment",
         "messages", "large fields", "small fields"],
)  # fmt: skip
def test_a_large_hostile_file_costs_nothing(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(200 * MEGABYTE)
    code = """
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.probe import probe
with RandomAccessFile(sys.argv[1]) as file:
    probe(file)
"""
    assert peak_memory(code, path) < 64 * MEGABYTE
