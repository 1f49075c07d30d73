"""Files beside the graph that lead a reader out of the model's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tfexplore.core.model import TRAINING_DIRECTORY, Model
from tfexplore.core.risky_ops import HIGH, MEDIUM, NOTE, OUTSIDE
from tfexplore.core.scan_finding import CALL, LOAD, Argument, Finding
from tfexplore.core.scan_values import leads_out
from tfexplore.errors import ModelError
from tfexplore.formats.checkpoint_state import STATE_FILE, read_checkpoint_state, resolve_prefix


def findings(model: Model) -> Iterator[Finding]:
    """Asset names and links that lead out of a SavedModel's folder, a `checkpoint` file that leads out of its own."""
    for meta_graph in model.meta_graphs:
        for asset in meta_graph.assets:
            path = (f"asset {asset.name}",)
            given = (Argument("filename", (asset.name,)),)
            if leads_out(asset.name):
                what = "an asset whose name leads out of the assets folder"
                yield Finding(HIGH, None, OUTSIDE, what, LOAD, path, tag_set=meta_graph.tags, arguments=given)
            elif asset.path is not None and _leaves(asset.path, meta_graph.sidecars.folder):
                # Where the model's own file is a link, links are how the whole folder is stored.
                level = NOTE if os.path.islink(meta_graph.path) else MEDIUM
                what = "an asset that is a link out of the model's folder"
                yield Finding(level, None, OUTSIDE, what, LOAD, path, tag_set=meta_graph.tags, arguments=given)
    if model.kind == TRAINING_DIRECTORY:
        yield from _state(model)


def _leaves(path: str, folder: str | None) -> bool:
    """Whether what lies at `path` lies outside `folder` in truth."""
    if folder is None:
        return False
    try:
        real, root = os.path.realpath(path), os.path.realpath(folder)
    except (OSError, ValueError):
        return True
    return os.path.lexists(path) and os.path.commonpath((real, root)) != root


def _state(model: Model) -> Iterator[Finding]:
    folder = model.path if os.path.isdir(model.path) else os.path.dirname(model.path) or "."
    try:
        state = read_checkpoint_state(os.path.join(folder, STATE_FILE))
    except ModelError:  # a folder need not have one; of a damaged one the notes tell
        return
    latest = state.model_checkpoint_path
    if latest and resolve_prefix(folder, latest).outside:
        what = "the checkpoint file leads out of its folder to what TensorFlow takes for the latest checkpoint"
        given = (Argument("model_checkpoint_path", (latest,)),)
        # Trainers write the absolute paths of their own machine, which lead nowhere on another.
        harmless = os.path.isabs(latest) and ".." not in latest.split("/") and not _exists(latest)
        yield Finding(NOTE if harmless else MEDIUM, None, OUTSIDE, what, CALL, (f"file {STATE_FILE}",), arguments=given)


def _exists(prefix: str) -> bool:
    try:
        return any(os.path.lexists(f"{prefix}{end}") for end in ("", ".index"))
    except ValueError:
        return False
