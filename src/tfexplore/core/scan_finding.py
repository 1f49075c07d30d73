"""What a scan finds."""

from __future__ import annotations

from typing import NamedTuple

from tfexplore.core.risky_ops import MEDIUM, NOT_SCANNED

# When something happens: while the model is loaded, called, saved, or never unless somebody fetches it by name.
LOAD, CALL, SAVE, UNREACHED = "load", "call", "save", "unreached"


class Argument(NamedTuple):
    """A path, an address or the like that an op is given; `values` are None where they are no constants."""

    name: str
    values: tuple[str, ...] | None


class Finding(NamedTuple):
    """One thing that a model can do, or that could not be looked at.

    Attributes:
        level: `high`, `medium` or `note`, see `risky_ops`.
        op: the op's type; None for what is no op.
        kind: its class: `writes files`, …
        what: the same in one phrase.
        phase: `load`, `call`, `save` or `unreached`.
        path: from where the model is entered to the node: `signature serving_default`, `function f`, `node WriteFile`.
        node: the node's name; None for what is no node.
        function: the function whose body the node is in; None for the main graph.
        nested: whether the node is in a graph that lies in a constant, where no pane leads.
        tag_set: of the MetaGraph.
        arguments: what paths and addresses the node is given.
    """

    level: str
    op: str | None
    kind: str
    what: str
    phase: str
    path: tuple[str, ...] = ()
    node: str | None = None
    function: str | None = None
    nested: bool = False
    tag_set: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()


def not_scanned(sentence: str, path: tuple[str, ...] = (), tag_set: tuple[str, ...] = ()) -> Finding:
    """Something that could not be looked at: it may do anything."""
    return Finding(MEDIUM, None, NOT_SCANNED, f"not scanned: {sentence}", UNREACHED, path, tag_set=tag_set)
