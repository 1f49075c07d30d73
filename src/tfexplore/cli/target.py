"""What a command's PATH means: a model, or the one of a folder that it takes, which it says on standard error."""

from __future__ import annotations

from tfexplore.cli import diagnostics
from tfexplore.core.model import COLLECTION, TRAINING_DIRECTORY, Model
from tfexplore.core.opener import open_model


def open_target(path: str, *, quiet: bool) -> Model:
    """Opens the model at `path`; of a folder the newest version, or the only model below it.

    Returns:
        The model; a collection where several models that are no versions of one lie below.

    Raises:
        ModelError: as `open_model`.
    """
    model = open_model(path)
    if model.kind != COLLECTION:
        return model
    # Imported here: it takes as long as reading a small model, and few paths are folders of models.
    from tfexplore.core.collection import choose

    choice = choose(model)
    if choice is None:
        return model
    for sentence in (*model.notes, choice.sentence):
        diagnostics.note(sentence, quiet=quiet)
    return open_model(choice.path)


def tell_checkpoint(model: Model, *, quiet: bool) -> None:
    """Says which checkpoint of a training directory is shown."""
    if model.kind == TRAINING_DIRECTORY and model.checkpoint is not None:
        latest = any(file.latest and file.prefix == model.checkpoint.prefix for file in model.checkpoint_files)
        which = "the latest checkpoint" if latest else "the newest checkpoint that can be read"
        diagnostics.note(f"showing {which}, {model.checkpoint.prefix}", quiet=quiet)
