"""What a file is, by its content: one that tfexplore reads, or any other, in a sentence with the next step."""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from tfexplore.errors import ModelError, NotAModelError
from tfexplore.formats import checkpoint_v1
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.probe_message import (
    DEBUG_INFO,
    FINGERPRINT,
    GRAPH_DEF,
    KERAS_METADATA,
    META_GRAPH,
    ONNX,
    OTHER,
    SAVED_MODEL,
    message_kind,
)
from tfexplore.formats.probe_wire import Source, Unpacked
from tfexplore.formats.table import crc32c, is_table, mask

HEAD = 1 << 16
_MOST_UNPACKED = 8 << 20

# What tfexplore reads: a kind of `probe_message`, the same with TEXT behind it, or one of these.
TEXT = "_text"
INDEX = "checkpoint_index"
CHECKPOINT_V1 = "checkpoint_v1"
CHECKPOINT_STATE = "checkpoint_state"
FOREIGN = "foreign"
UNKNOWN = "no file that tfexplore knows"


class Probed(NamedTuple):
    """What a file is.

    Attributes:
        kind: `saved_model`, `meta_graph`, `graph_def`, each also with `_text`; `checkpoint_index`, `checkpoint_v1`,
            `checkpoint_state`; or `foreign`.
        gzipped: whether that is what it is once it is unpacked.
        sentence: of a foreign file what it is.
        hint: and what to do about it.
    """

    kind: str
    gzipped: bool = False
    sentence: str = ""
    hint: str | None = None


def _foreign(sentence: str, hint: str | None = None) -> Probed:
    return Probed(FOREIGN, False, sentence, hint)


_EXPORT = "export the model with model.export(FOLDER) and open the folder"
_UNPACK = "unpack it and open what is inside"
_OTHER_TOOL = "tfexplore reads SavedModels, GraphDefs, MetaGraphs and checkpoints"
_CONVERTED = "open the SavedModel that it was converted from"
_DOWNLOAD = "download the file itself"
_DATA = "it holds data, not a model"
_WEIGHTS = "it holds weights and no graph: load it where it was saved from"

# What a file begins with, and what it is; by what to do about it.
_SIGNATURES: dict[str, tuple[tuple[bytes, str], ...]] = {
    "save it unchunked: tf.saved_model.save without experimental_image_format": (
        (bytes.fromhex("83af70d10d884a3f"), "a SavedModel or GraphDef in chunked form (.cpb)"),
    ),
    "run: git lfs pull": ((b"version https://git-lfs.github.com/spec/", "a Git LFS pointer in place of the file"),),
    "if it holds custom ops, it is loaded beside a model, not opened": (
        (b"\x7fELF", "a program or library (ELF)"),
        (b"\xcf\xfa\xed\xfe", "a program or library (Mach-O)"),
    ),
    "look at it with numpy.load(FILE, mmap_mode='r')": ((b"\x93NUMPY", "a NumPy array (.npy)"),),
    "look at it with gguf-dump": ((b"GGUF", "a GGUF model"),),
    "it runs code when it is loaded: tfexplore opens none": (
        # A number that PyTorch writes first, pickled.
        (bytes.fromhex("80028a0a6cfc9c46f920"), "a PyTorch file of the old kind, which is a Python pickle"),
    ),
    _DATA: ((b"PAR1", "a Parquet file"), (b"SQLite format 3\x00", "an SQLite database")),
    _UNPACK: (
        *((b"BZh%d1AY&SY" % level, "a file packed with bzip2") for level in range(1, 10)),
        (b"\xfd7zXZ\x00", "a file packed with xz"),
        (b"\x28\xb5\x2f\xfd", "a file packed with zstd"),
        (b"\x04\x22\x4d\x18", "a file packed with lz4"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
    ),
    "write it in UTF-8": ((b"\xff\xfe", "text in UTF-16"), (b"\xfe\xff", "text in UTF-16")),
    _OTHER_TOOL: (
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"%PDF-", "a PDF document"),
        (b"MZ\x90\x00", "a Windows program or library"),
    ),
}
_RIFF = {b"WAVE": "a WAV recording", b"WEBP": "a WebP picture", b"AVI ": "an AVI video"}
_PARTS = {
    ONNX: ("an ONNX model", f"{_CONVERTED}, or look at it in netron"),
    FINGERPRINT: ("a SavedModel's fingerprint", "open the SavedModel's folder"),
    KERAS_METADATA: ("what Keras keeps beside a SavedModel", "open the SavedModel's folder"),
    DEBUG_INFO: ("a SavedModel's debug information", "open the SavedModel's folder"),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ROOTS = {"SavedModel": SAVED_MODEL, "MetaGraphDef": META_GRAPH, "GraphDef": GRAPH_DEF}
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_COPY = {
    "gs": "copy it here first: gcloud storage cp -r {} .",
    "s3": "copy it here first: aws s3 cp --recursive {} .",
    "s3a": "copy it here first: aws s3 cp --recursive {} .",
    "hdfs": "copy it here first: hdfs dfs -get {} .",
    "http": "download it first",
    "https": "download it first",
    "file": "give the path without file://",
}


def check_address(path: str) -> None:
    """Refuses the address of a file on another machine, and says how to get it.

    Raises:
        NotAModelError: `path` is one.
    """
    found = _ADDRESS.match(path)
    if found is not None:
        hint = _COPY.get(found.group(1).lower(), "copy it here first")
        raise NotAModelError(
            "this is an address, and tfexplore reads files on this machine only", path=path, hint=hint.format(path)
        )


def probe(file: RandomAccessFile) -> Probed:
    """What an open file is; reads its beginning, its end and little between, whatever it claims.

    Raises:
        ModelError: it cannot be read.
    """
    if file.size == 0:
        return _foreign("an empty file (0 bytes)", "export, save or copy the model again")
    head = file.pread(0, min(file.size, HEAD))
    if head.startswith(b"\x1f\x8b"):
        return _gzipped(file, head)
    if is_table(file):
        return Probed(CHECKPOINT_V1 if checkpoint_v1.is_v1(file) else INDEX)
    for hint, signatures in _SIGNATURES.items():
        for signature, what in signatures:
            if head.startswith(signature):
                return _foreign(what, hint)
    if head.startswith(b"RIFF"):
        return _foreign(_RIFF.get(head[8:12], "a sound or video file (RIFF)"), _OTHER_TOOL)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from tfexplore.formats.probe_zip import zip_names

        return _zip(zip_names(file, head))
    return _of_content(file, head)


def _of_content(source: Source, head: bytes, *, cut: bool = False) -> Probed:
    """Messages, records and texts, which have no signature at their beginning.

    Args:
        source: the bytes.
        head: the first of them.
        cut: whether they are the first of more that is not known.
    """
    kind = message_kind(source, head)
    if kind in _PARTS:
        return _foreign(*_PARTS[kind])
    if kind is not None and kind != OTHER:
        return Probed(kind)
    if head.startswith(b"TFL3", 4):
        return _foreign("a TensorFlow Lite model", _CONVERTED)
    if head.startswith(b"ustar", 257):
        return _foreign("a tar archive", "unpack it (tar xf) and open the folder inside")
    if any(head.startswith(_HDF5, offset) for offset in (0, 512, 1024, 2048, 4096)):
        return _hdf5(head)
    if _is_record(head):
        events = b"brain.Event:" in head[:64]
        return _foreign(
            "TensorBoard's events" if events else "a TFRecord file",
            "open it with tensorboard --logdir" if events else "it holds examples, not a model",
        )
    if len(head) > 10 and head[8:10] in (b'{"', b"{ ", b"{\n") and int.from_bytes(head[:8], "little") < 100 << 20:
        return _foreign("weights in the safetensors format", _WEIGHTS)
    if head.startswith(_PICKLES):
        return _foreign("a Python pickle", "it runs code when it is loaded: tfexplore opens none")
    if len(head) >= 8 and not any(head):
        return _foreign("a file that begins with zeros only, as a broken copy leaves it", "copy or download it again")
    return _text(head, cut or source.size > len(head), is_message=kind == OTHER)


def _is_record(head: bytes) -> bool:
    """Whether a TFRecord begins: the length of a record, and the masked checksum of these eight bytes."""
    return len(head) >= 12 and struct.unpack_from("<I", head, 8)[0] == mask(crc32c(head[:8]))


def _gzipped(file: RandomAccessFile, head: bytes) -> Probed:
    try:
        found, inside = _of_unpacked(head, HEAD)
        if found.sentence.startswith(UNKNOWN) and len(inside) == HEAD:
            # What tells a message apart may lie behind a large part of it.
            more, _ = _of_unpacked(file.pread(0, min(file.size, _MOST_UNPACKED)), _MOST_UNPACKED)
            found = more if more.kind != FOREIGN else found
    except zlib.error:
        return _foreign("a damaged gzip file", "copy or download it again")
    if not inside:
        return _foreign("a gzip file with nothing in it", "copy or download it again")
    if found.kind in (FOREIGN, CHECKPOINT_STATE):
        tar = inside.startswith(b"ustar", 257)
        what = found.sentence or "a checkpoint state file"
        if what.startswith(UNKNOWN):
            what = f"something inside that tfexplore does not know{what.removeprefix(UNKNOWN)}"
        return _foreign("a packed tar archive (.tar.gz)" if tar else f"a gzip file with {what}", _UNPACK)
    return found._replace(gzipped=True)


def _of_unpacked(packed: bytes, most: int) -> tuple[Probed, bytes]:
    """What is packed, and its first bytes, `most` at most.

    Raises:
        zlib.error: the packing is damaged before these.
    """
    unpacker = zlib.decompressobj(31)
    inside = unpacker.decompress(packed, most)
    return _of_content(Unpacked(inside), inside[:HEAD], cut=not unpacker.eof), inside


# -- archives --


def _zip(names: list[bytes]) -> Probed:
    last = {name.rpartition(b"/")[2] for name in names}
    if not last.isdisjoint((b"saved_model.pb", b"saved_model.pbtxt")):
        return _foreign("a zip archive with a SavedModel inside", "unzip it first and open the folder inside")
    if any(name in names for name in (b"config.json", b"metadata.json", b"model.weights.h5")):
        return _foreign("a Keras archive (.keras)", f"load it in Keras, then {_EXPORT}")
    if any(name.endswith(b"data.pkl") for name in last):
        return _foreign("a PyTorch archive", f"load it in PyTorch: {_OTHER_TOOL}")
    if names and all(name.endswith(b".npy") for name in names):
        return _foreign("an archive of NumPy arrays (.npz)", "look at it with numpy.load(FILE)")
    return _foreign("a zip archive", _UNPACK)


def _hdf5(head: bytes) -> Probed:
    if b"model_config" in head or b"training_config" in head or b"keras_version" in head:
        return _foreign("a Keras model in HDF5 (.h5)", f"load it in Keras, then {_EXPORT}")
    return _foreign("an HDF5 file (.h5), as Keras writes weights", f"load it in Keras, then {_EXPORT}")


# -- text --


def _text(head: bytes, cut: bool, *, is_message: bool) -> Probed:
    """Texts, and what is nothing that is known."""
    stripped = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = stripped[:256].lower()
    if re.match(rb"(all_)?model_checkpoint_path(s)?\s*:", stripped):
        return Probed(CHECKPOINT_STATE)
    if stripped[:1].isalpha() or stripped.startswith((b"_", b"#")):
        from tfexplore.formats.text_root import text_root

        root = text_root(stripped)
        if root == "GraphDef" and re.search(rb"\bcalculator ?:", stripped[:4096]):
            return _foreign("a MediaPipe graph", _OTHER_TOOL)
        if root is not None:
            return Probed(_ROOTS[root] + TEXT)
    if lower.startswith((b"<!doctype html", b"<html", b"<head")):
        return _foreign("an HTML page, perhaps a failed download", _DOWNLOAD)
    if lower.startswith((b"<?xml", b"<svg")):
        return _foreign("an XML file", _OTHER_TOOL)
    if b"/annex/objects/" in stripped[:256]:
        return _foreign("a git-annex pointer in place of the file", "run: git annex get")
    if not _is_text(head, cut):
        message = "a protobuf message that is no SavedModel, MetaGraph or GraphDef"
        what = message if is_message else f"its first bytes are {head[:8].hex(' ')}"
        return _foreign(f"{UNKNOWN}: {what}", _OTHER_TOOL)
    if stripped.startswith((b"{", b"[")):
        return _json(head)
    if re.search(rb"^(import|from|def|class) ", stripped[:4096], re.M):
        return _foreign("a Python source file", _OTHER_TOOL)
    if _is_table_of_text(head, cut):
        return _foreign("a table in a text file (CSV)", _DATA)
    return _foreign("a text file", _OTHER_TOOL)


def _is_table_of_text(head: bytes, cut: bool) -> bool:
    """Whether each of the first lines has the same number of the same delimiter."""
    lines = head[:HEAD].splitlines()
    lines = (lines[:-1] if cut else lines)[:20]
    counts = ({line.count(delimiter) for line in lines} for delimiter in (b",", b"\t", b";"))
    return len(lines) > 1 and any(len(found) == 1 and found != {0} for found in counts)


def _is_text(head: bytes, cut: bool) -> bool:
    try:
        words = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if not cut or error.start < len(head) - 4:
            return False
        words = head[: error.start].decode("utf-8")
    return not any(character < " " and character not in "\t\n\r\f" for character in words)


def _json(head: bytes) -> Probed:
    if b'"graph-model"' in head or b'"layers-model"' in head or b'"modelTopology"' in head:
        return _foreign("a TensorFlow.js model", _CONVERTED)
    if b'"weight_map"' in head:
        return _foreign("the map of a model's sharded weights", f"load them in Keras, then {_EXPORT}")
    if b'"class_name"' in head and b'"config"' in head:
        return _foreign(
            "a Keras model's configuration (JSON), without its weights",
            f"build the model in Keras, load its weights, then {_EXPORT}",
        )
    return _foreign("a JSON file", _OTHER_TOOL)


def refusal(found: Probed, path: str) -> ModelError:
    """The error for a foreign file."""
    return NotAModelError(f"this is {found.sentence}", path=path, hint=found.hint)
