"""What the header says of a model: kind, tag-set, how much it holds."""

from __future__ import annotations

from tfexplore.core import text
from tfexplore.core.model import Model
from tfexplore.errors import ModelError


def header_facts(model: Model) -> list[str]:
    """Kind, tag-set, variables and sizes; what they need the tree's first level has read already."""
    parts = [model.kind_name]
    if len(model.meta_graphs) == 1:
        meta_graph = model.meta_graphs[0]
        if not meta_graph.is_lone_graph:
            parts.append(text.visible(",".join(meta_graph.tags)) or "(no tags)")
        try:
            parameters = sum(variable.parameters for variable in meta_graph.counted_variables)
            used, stored = len(meta_graph.counted_variables), len(meta_graph.variables)
            counted = text.plural(stored, "variable") if used == stored else f"{used:,} of {stored:,} variables used"
            parts.append(f"{counted}, {text.short_count(parameters)} parameters")
        except ModelError:  # the tree says so in the heading's place
            parts.append("variables cannot be read")
    elif model.meta_graphs:
        parts.append(text.plural(len(model.meta_graphs), "MetaGraph"))
    elif model.checkpoint is not None and model.checkpoint.bundle.loaded:
        parts.append(text.plural(len(model.checkpoint.keys), "key"))
    if model.checkpoint_files:
        parts.append(text.plural(len(model.checkpoint_files), "checkpoint"))
    if model.meta_graphs:
        parts.append(text.size(model.file_bytes))
    return parts
