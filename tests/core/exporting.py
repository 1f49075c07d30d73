"""A small SavedModel with everything that an export copies, written without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.saved_model_writer import attr, meta_graph, node, shape, write_saved_model
from formats.table_writer import Partition, write_bundle
from tfexplore.formats.fingerprint import fingerprint64
from tfexplore.formats.proto import lean

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)


def variable(name: bytes, sizes: tuple[int, ...]) -> bytes:
    return node(name, b"VarHandleOp", dtype=attr(type=1), shape=attr(shape=shape(sizes)), shared_name=attr(s=name))


def write_model(folder: Path, *, shards: int = 2) -> Path:
    """Two variables, one of them in two slices; assets, an empty folder, a fingerprint with a field nobody knows."""
    write_saved_model(folder, meta_graph(nodes=[variable(b"w", (2, 3)), variable(b"rows", (4, 2))]))
    for name in ("variables", "assets/deep", "assets.extra"):
        (folder / name).mkdir(parents=True)
    rows = Partition(ROWS, [[(0, 1), (0, None)], [(1, 3), (0, None)]])
    write_bundle(folder / "variables" / "variables", {b"w": WEIGHTS, b"rows": rows}, shards=shards)
    (folder / "assets" / "words.txt").write_bytes(b"hello\n" * 100)
    (folder / "assets" / "deep" / "empty").write_bytes(b"")
    (folder / "README.md").write_text("of the author")
    index = fingerprint64(str(folder / "variables" / "variables.index"))
    hashed = lean("FingerprintDef")(saved_model_checksum=7, checkpoint_hash=index, uuid=b"abc")
    # Field 99, and one that comes before field 1 in the file.
    (folder / "fingerprint.pb").write_bytes(b"\x9a\x06\x02hi" + hashed.SerializeToString() + b"\x98\x06\x05")
    return folder


def files_of(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: a file's bytes, None for a folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}
