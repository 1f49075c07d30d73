"""A SavedModel's folder: `saved_model.pb` and what lies beside it.

Layout: tensorflow/cc/saved_model/README.md; field numbers: saved_model.proto, meta_graph.proto.
"""

from __future__ import annotations

import os

FILE_NAME = "saved_model.pb"
TEXT_NAME = "saved_model.pbtxt"
CHUNKED_NAME = "saved_model.cpb"
VARIABLES_PREFIX = os.path.join("variables", "variables")
ASSETS_FOLDER = "assets"

# protobuf itself refuses messages of 2 GiB and more.
MAX_BYTES = 2**31 - 1


def asset_path(folder: str, filename: str) -> str | None:
    """Where an asset lies, or None where its name leads out of the assets folder."""
    root = os.path.join(folder, ASSETS_FOLDER)
    if not filename or "\0" in filename or os.path.isabs(filename):
        return None
    if os.pardir in filename.split("/"):
        return None
    return os.path.join(root, filename)
