"""Details of what was found in a folder, and of the folder: what its names tell, without opening anything."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tfexplore.core import text
from tfexplore.core.collection import DEPTH, base_of_versions
from tfexplore.core.collection_tree import nothing_found
from tfexplore.core.detail import Block, Detail, Line, block, fact
from tfexplore.core.items import Cancel
from tfexplore.core.model import KIND_NAMES
from tfexplore.core.subjects import FolderSubject, FoundSubject
from tfexplore.core.summary import timestamp


def found(subject: FoundSubject, cancel: Cancel) -> Detail:
    """A model that has not been opened."""
    model = subject.found
    kind = KIND_NAMES.get(model.kind, model.kind)
    lines = [fact("kind", kind), fact("path", subject.path)]
    if model.version is not None:
        place = subject.versions.index(model.version) if model.version in subject.versions else 0
        count = len(subject.versions)
        which = "the only one" if count == 1 else f"the newest of {count:,}" if not place else f"of {count:,}"
        lines.append(fact("version", f"{model.version}, {which}"))
    lines.append(fact("size", f"{text.size(model.nbytes)} on disk"))
    if model.modified is not None:
        ago = text.age(time.time() - model.modified)
        when = timestamp(model.modified)
        lines.append(fact("modified", when if ago == "now" or when is None else f"{when} ({ago} ago)"))
    problem = [] if subject.problem is None else [Line("", text.visible(subject.problem))]
    blocks = (*block("it could not be opened", problem), Block("", tuple(lines)))
    name = os.path.basename(subject.path)
    return Detail(text.label(name), kind, blocks if problem else (Block("", tuple(lines)),))


def folder(subject: FolderSubject, cancel: Cancel) -> Detail:
    """A folder: how many models of which kind lie below."""
    models = subject.found
    lines = [fact("path", subject.path)]
    if base_of_versions(models) is not None:
        versions = [str(model.version) for model in models]
        more = f" and {len(versions) - 20:,} more" if len(versions) > 20 else ""
        lines += [
            fact("is", "a serving base directory"),
            fact("versions", f"{', '.join(versions[:20])}{more} (newest first)"),
        ]
    elif models:
        lines.append(fact("models", text.count(len(models))))
    if models:
        lines.append(fact("size", f"{text.size(sum(model.nbytes for model in models))} on disk"))
    sentences = list(subject.notes)
    if subject.searching:
        sentences.append(f"The folders here, up to {DEPTH} levels down, are being looked into. Escape ends that.")
    elif not models:
        sentences.insert(0, nothing_found(subject.path))
    kinds = Counter(KIND_NAMES.get(model.kind, model.kind) for model in models)
    blocks = (
        Block("", tuple(lines)),
        *block("kinds", (fact(kind, text.count(count)) for kind, count in kinds.most_common())),
        *block("notes", (Line("", text.visible(sentence)) for sentence in sentences)),
    )
    return Detail(text.label(os.path.basename(subject.path) or subject.path), "Folder", blocks)


DESCRIBERS: dict[type, Callable[[Any, Cancel], Detail]] = {FolderSubject: folder, FoundSubject: found}
