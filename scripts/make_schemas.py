"""Compiles formats/proto/*.proto to the descriptor sets that the package ships.

Run it after a change to a .proto file: `make schemas`. A test checks that the two agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tfexplore" / "formats" / "proto"


def compile_schema(source: Path) -> bytes:
    """The serialized FileDescriptorSet of one .proto file that imports nothing."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "out.desc"
        # In a process of its own: beside TensorFlow's protobuf in one process the compiler crashes.
        compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={source.parent}"]
        if subprocess.run([*compiler, f"--descriptor_set_out={target}", source.name], check=False).returncode:
            sys.exit(f"{source.name}: protoc failed")
        return target.read_bytes()


if __name__ == "__main__":
    for proto in sorted(FOLDER.glob("*.proto")):
        proto.with_suffix(".desc").write_bytes(compile_schema(proto))
