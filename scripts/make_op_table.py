"""Makes the table of TensorFlow's ops that the package ships: `make optable` (needs TensorFlow).

For each registered op its arguments and attribute defaults, which tell how many outputs a node has
and of which dtypes, and the attributes that name functions. Used where a MetaGraph carries no list
of its own (GraphDefs).
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "tfexplore" / "core" / "op_table.bin"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(ROOT / "src"))


def op_table() -> bytes:
    """The zlib-compressed lean OpList of every op that TensorFlow has registered, by name."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    from tfexplore.formats.proto import lean

    assert tf.__version__
    buffer = pywrap_tf_session.TF_GetAllOpList()
    registered = op_def_pb2.OpList()
    registered.ParseFromString(pywrap_tf_session.TF_GetBuffer(buffer))
    table = lean("OpList")()
    for op in sorted(registered.op, key=lambda op: op.name):
        kept = lean("OpDef").FromString(op.SerializeToString())
        kept.DiscardUnknownFields()
        kept.summary = b""
        functions = (b"func", b"list(func)")
        attrs = [attr for attr in kept.attr if attr.HasField("default_value") or attr.type in functions]
        del kept.attr[:]
        kept.attr.extend(attrs)
        table.op.append(kept)
    return zlib.compress(table.SerializeToString(deterministic=True), 9)


if __name__ == "__main__":
    TARGET.write_bytes(op_table())
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size:,} bytes")
