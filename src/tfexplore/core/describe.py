"""From a subject to its detail: the one way in for both faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfexplore.core import (
    detail_edges,
    detail_files,
    detail_found,
    detail_function,
    detail_graph,
    detail_node,
    detail_scan,
    detail_stored,
)
from tfexplore.core.detail import Detail
from tfexplore.core.items import Cancel
from tfexplore.core.subjects import Subject

_DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {
    **detail_graph.DESCRIBERS,
    **detail_node.DESCRIBERS,
    **detail_function.DESCRIBERS,
    **detail_edges.DESCRIBERS,
    **detail_stored.DESCRIBERS,
    **detail_found.DESCRIBERS,
    **detail_files.DESCRIBERS,
    **detail_scan.DESCRIBERS,
}


def describe(subject: Subject, cancel: Cancel = None) -> Detail:
    """The detail of a subject.

    Raises:
        ModelError: the part of the model that it stands for cannot be read.
        Cancelled: `cancel` was set.
    """
    return _DESCRIBERS[type(subject)](subject, cancel)
