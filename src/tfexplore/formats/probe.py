"""What a file is, by its content: one that tfexplore reads, or any other, in a sentence with the next step."""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from tfexplore.errors import ModelError, NotAModelError
from tfexplore.formats import checkpoint_v1
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.probe_message import FINGERPRINT, KERAS_METADATA, ONNX, message_kind, text_kind
from tfexplore.formats.table import crc32c, is_table, mask

HEAD = 1 << 16

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
_DOWNLOAD = "download the file itself"

# (offset, bytes, what it is, what to do)
_SIGNATURES: tuple[tuple[int, bytes, str, str | None], ...] = (
    (0, bytes.fromhex("83af70d10d884a3f"), "a SavedModel or GraphDef in chunked form (.cpb)",
     "save it unchunked: tf.saved_model.save without experimental_image_format"),
    (4, b"TFL3", "a TensorFlow Lite model", "open the SavedModel that it was converted from"),
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer in place of the file",
     "run: git lfs pull"),
    (0, b"\x93NUMPY", "a NumPy array (.npy)", _OTHER_TOOL),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", _OTHER_TOOL),
    (0, b"\xff\xd8\xff", "a JPEG picture", _OTHER_TOOL),
    (0, b"GIF8", "a GIF picture", _OTHER_TOOL),
    (0, b"%PDF-", "a PDF document", _OTHER_TOOL),
    (0, b"RIFF", "a sound or video file (RIFF)", _OTHER_TOOL),
    (0, b"\x7fELF", "a program or library (ELF)", "if it holds custom ops, it is loaded beside a model, not opened"),
    (0, b"MZ", "a Windows program or library", _OTHER_TOOL),
    (0, b"GGUF", "a GGUF model", _OTHER_TOOL),
    (0, b"PAR1", "a Parquet file", _OTHER_TOOL),
    (0, b"SQLite format 3\x00", "an SQLite database", _OTHER_TOOL),
    (0, b"BZh", "a file packed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ\x00", "a file packed with xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a file packed with zstd", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "a file packed with lz4", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (257, b"ustar", "a tar archive", "unpack it (tar xf) and open the folder inside"),
    (0, b"\xff\xfe", "text in UTF-16", "write it in UTF-8"),
    (0, b"\xfe\xff", "text in UTF-16", "write it in UTF-8"),
)  # fmt: skip
_PARTS = {
    ONNX: ("an ONNX model", "open the SavedModel that it was converted from, or look at it in netron"),
    FINGERPRINT: ("a SavedModel's fingerprint", "open the SavedModel's folder"),
    KERAS_METADATA: ("what Keras keeps beside a SavedModel", "open the SavedModel's folder"),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
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
    """What an open file is; reads its beginning and its end.

    Raises:
        ModelError: it cannot be read.
    """
    size = file.size
    if size == 0:
        return _foreign("an empty file (0 bytes)", "export, save or copy the model again")
    head = file.pread(0, min(size, HEAD))
    if head.startswith(b"\x1f\x8b"):
        return _gzipped(head)
    if is_table(file):
        return Probed(CHECKPOINT_V1 if checkpoint_v1.is_v1(file) else INDEX)
    for offset, signature, what, hint in _SIGNATURES:
        if head.startswith(signature, offset):
            return _foreign(what, hint)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(file, head)
    if head.startswith(_HDF5) or any(head.startswith(_HDF5, offset) for offset in (512, 1024, 2048, 4096)):
        return _hdf5(head)
    return _of_content(head, size)


def _of_content(head: bytes, size: int) -> Probed:
    """Messages, records and texts, which have no signature of their own."""
    kind = message_kind(head, size)
    if kind in _PARTS:
        return _foreign(*_PARTS[kind])
    if kind is not None:
        return Probed(kind)
    if _is_record(head):
        events = b"brain.Event:" in head[:64]
        return _foreign(
            "TensorBoard's events" if events else "a TFRecord file",
            "open it with tensorboard --logdir" if events else "it holds examples, not a model",
        )
    if len(head) > 10 and head[8:10] in (b'{"', b"{ ", b"{\n") and int.from_bytes(head[:8], "little") < 100 << 20:
        return _foreign("weights in the safetensors format", _OTHER_TOOL)
    if _PICKLE.match(head):
        return _foreign("a Python pickle", "it runs code when it is loaded: tfexplore opens none")
    return _text(head, size)


def _is_record(head: bytes) -> bool:
    """Whether a TFRecord begins: the length of a record, and the masked checksum of these eight bytes."""
    return len(head) >= 12 and struct.unpack_from("<I", head, 8)[0] == mask(crc32c(head[:8]))


def _gzipped(head: bytes) -> Probed:
    try:
        inside = zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        return _foreign("a damaged gzip file", "copy or download it again")
    if not inside:
        return _foreign("a gzip file with nothing in it", "copy or download it again")
    # How long it is unpacked is not known before all of it is.
    found = _of_content(inside, 1 << 62)
    if found.kind in (FOREIGN, CHECKPOINT_STATE):
        tar = inside.startswith(b"ustar", 257)
        what = found.sentence or "a checkpoint state file"
        if what.startswith(UNKNOWN):
            what = f"something inside that tfexplore does not know{what.removeprefix(UNKNOWN)}"
        return _foreign("a packed tar archive (.tar.gz)" if tar else f"a gzip file with {what}", _UNPACK)
    return found._replace(gzipped=True)


# -- archives --


def _zip(file: RandomAccessFile, head: bytes) -> Probed:
    names = _zip_names(file) or _local_names(head)
    if any(name in names for name in (b"config.json", b"metadata.json", b"model.weights.h5")):
        return _foreign("a Keras archive (.keras)", f"load it in Keras, then {_EXPORT}")
    if any(name.endswith(b"data.pkl") for name in names):
        return _foreign("a PyTorch archive", _OTHER_TOOL)
    if names and all(name.endswith(b".npy") for name in names):
        return _foreign("an archive of NumPy arrays (.npz)", _OTHER_TOOL)
    return _foreign("a zip archive", _UNPACK)


def _zip_names(file: RandomAccessFile) -> list[bytes]:
    """The names in a zip archive's central directory, as far as its last 64 KiB tell."""
    size = min(file.size, HEAD)
    tail = file.pread(file.size - size, size)
    names = []
    position = tail.find(b"PK\x01\x02")
    while 0 <= position <= len(tail) - 46:
        length, extra, comment = struct.unpack_from("<HHH", tail, position + 28)
        names.append(tail[position + 46 : position + 46 + length])
        position += 46 + length + extra + comment
        if tail[position : position + 4] != b"PK\x01\x02":
            break
    return names


def _local_names(head: bytes) -> list[bytes]:
    """The name of the first member: all that a cut-off archive tells."""
    if len(head) < 30:
        return []
    length = struct.unpack_from("<H", head, 26)[0]
    return [head[30 : 30 + length]]


def _hdf5(head: bytes) -> Probed:
    if b"model_config" in head or b"training_config" in head or b"keras_version" in head:
        return _foreign("a Keras model in HDF5 (.h5)", f"load it in Keras, then {_EXPORT}")
    return _foreign("an HDF5 file (.h5), as Keras writes weights", f"load it in Keras, then {_EXPORT}")


# -- text --


def _text(head: bytes, size: int) -> Probed:
    stripped = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = stripped[:256].lower()
    kind = text_kind(head)
    if kind is not None:
        return Probed(kind + TEXT)
    if lower.startswith((b"<!doctype html", b"<html", b"<head")):
        return _foreign("an HTML page, perhaps a failed download", _DOWNLOAD)
    if lower.startswith((b"<?xml", b"<svg")):
        return _foreign("an XML file", _OTHER_TOOL)
    if b"/annex/objects/" in stripped[:256]:
        return _foreign("a git-annex pointer in place of the file", "run: git annex get")
    if re.match(rb"(all_)?model_checkpoint_path(s)?\s*:", stripped):
        return Probed(CHECKPOINT_STATE)
    if not _is_text(head, size):
        return _foreign(f"{UNKNOWN}: its first bytes are {head[:8].hex(' ')}", _OTHER_TOOL)
    if stripped.startswith((b"{", b"[")):
        return _json(head)
    if re.search(rb"^(import|from|def|class) ", stripped[:4096], re.M):
        return _foreign("a Python source file", _OTHER_TOOL)
    return _foreign("a text file", _OTHER_TOOL)


def _is_text(head: bytes, size: int) -> bool:
    try:
        words = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if size <= len(head) or error.start < len(head) - 4:
            return False
        words = head[: error.start].decode("utf-8")
    return not any(character < " " and character not in "\t\n\r\f" for character in words)


def _json(head: bytes) -> Probed:
    if b'"graph-model"' in head or b'"layers-model"' in head or b'"modelTopology"' in head:
        return _foreign("a TensorFlow.js model", "open the SavedModel that it was converted from")
    if b'"weight_map"' in head:
        return _foreign("the map of a model's sharded weights", f"load them in Keras, then {_EXPORT}")
    return _foreign("a JSON file", _OTHER_TOOL)


def refusal(found: Probed, path: str) -> ModelError:
    """The error for a foreign file."""
    return NotAModelError(f"this is {found.sentence}", path=path, hint=found.hint)
