"""What the commands that run a model have in common: trust, the child's options, progress on standard error."""

from __future__ import annotations

import argparse

from tfexplore.cli import diagnostics
from tfexplore.cli.progress import Redrawn
from tfexplore.core import text
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.plan import Target, target
from tfexplore.errors import UsageError
from tfexplore.runtime.records import About, Event, Log, Options, Progress

FOUND = 1


def tags(options: argparse.Namespace) -> tuple[str, ...] | None:
    """The tag-set that was asked for."""
    return None if options.tag_set is None else tuple(filter(None, options.tag_set.split(",")))


def runnable(model: Model, options: argparse.Namespace) -> tuple[MetaGraph, Target]:
    """The MetaGraph to run, and what the child loads.

    Raises:
        UsageError: the model holds nothing that could be run.
    """
    if model.kind == COLLECTION:
        from tfexplore.core.collection import several

        raise UsageError(several(model))
    if not model.meta_graphs:
        raise UsageError(f"{model.path}: a {model.kind_name} holds values, nothing that could be run")
    meta_graph = model.meta_graph(tags(options))
    return meta_graph, target(model, meta_graph)


def is_trusted(model: Model, options: argparse.Namespace) -> bool:
    """Whether the model may be run; where not, says why and what to do."""
    if options.trust:
        return True
    from tfexplore.core.trust import distrusted, sentence

    found = distrusted(model)
    if not found:
        return True
    diagnostics.error(
        f"{model.path} is not run: {sentence(found)}; `tfexplore scan` tells all, --trust runs it in the sandbox"
    )
    return False


def child_options(options: argparse.Namespace) -> Options:
    """How the child is run."""
    return Options(
        python=options.tf_python,
        device=options.device,
        threads=options.threads,
        memory=options.memory,
        imports=tuple(options.imports),
        op_libraries=tuple(options.op_libraries),
    )


class ProgressLine(Redrawn):
    """One line of standard error that tells what is going on, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._quiet = quiet

    def __call__(self, event: Event) -> None:
        """Draws the line anew, or prints what the child has to say."""
        if isinstance(event, Log):
            self.clear()
            diagnostics.note(event.text, quiet=self._quiet)
        elif isinstance(event, Progress) and self.shown:
            share = f" {event.done:,} of {event.total:,}" if event.total and event.total > 1 else ""
            self.draw(f"{text.visible(event.what)}{share} …")


def tell_sandbox(about: About, *, quiet: bool) -> None:
    """Says before a model is loaded where the kernel cannot hold it."""
    if not about.sandbox.whole:
        diagnostics.note(about.sandbox.sentence(), quiet=quiet)
