"""What can be copied of a subject: its name, path, shape, dtype, a small value, and the Python that fetches it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from tfexplore.core import fetching
from tfexplore.core.copied import DTYPE, LINE, NAME, PATH, PYTHON, SHAPE, VALUE, Copy, of_text
from tfexplore.core.items import Cancel
from tfexplore.core.model import CHECKPOINT, COLLECTION, TRAINING_DIRECTORY
from tfexplore.core.plan import INIT_OPS
from tfexplore.core.shapes import Shape, format_shape, num_elements
from tfexplore.core.subjects import (
    ArgumentSubject,
    AssetSubject,
    CheckpointSubject,
    FileSubject,
    FindingSubject,
    FolderSubject,
    FoundSubject,
    FunctionSubject,
    KeySubject,
    MetaGraphSubject,
    ModelSubject,
    NodeSubject,
    NoteSubject,
    ObjectSubject,
    OpSubject,
    PathSubject,
    RestSubject,
    ScopeSubject,
    SectionSubject,
    SignatureSubject,
    Subject,
    TensorInfoSubject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes

# A value of more elements, or a string of more bytes, is to be read from its file.
MAX_ELEMENTS = 64
_MAX_STRINGS = 4096


def copies(subject: Subject, cancel: Cancel = None) -> tuple[Copy, ...]:
    """What can be copied of a subject, the most wanted first; empty texts are left out.

    Raises:
        ModelError: the part of the model that it stands for cannot be read.
        Cancelled: `cancel` was set.
    """
    return tuple(one for one in _COPIERS[type(subject)](subject, cancel) if one.text)


def _python(script: str | None) -> Iterator[Copy]:
    if script is not None:
        yield Copy(PYTHON, script)


def _tensor(dtype: int, shape: Shape, known: bool = True) -> Iterator[Copy]:
    if known:
        yield Copy(SHAPE, format_shape(shape))
    yield Copy(DTYPE, dtypes.name(dtype))


def _model(subject: ModelSubject, cancel: Cancel) -> Iterator[Copy]:
    model = subject.model
    path = os.path.abspath(model.path)
    yield of_text(NAME, os.path.basename(path))
    yield of_text(PATH, path)
    if len(model.meta_graphs) == 1:
        yield from _python(fetching.model(model.meta_graphs[0]))
    elif model.checkpoint is not None and model.kind in (CHECKPOINT, TRAINING_DIRECTORY):
        yield from _python(fetching.checkpoint(model.checkpoint.prefix))


def _meta_graph(subject: MetaGraphSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, ",".join(subject.meta_graph.tags))
    yield of_text(PATH, os.path.abspath(subject.meta_graph.path))
    yield from _python(fetching.model(subject.meta_graph))


def _section(subject: SectionSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.name)
    yield of_text(LINE, subject.sentence)


def _signature(subject: SignatureSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.signature.name)
    if subject.signature.name not in INIT_OPS:
        yield from _python(fetching.signature(subject.meta_graph, subject.signature.name))


def _signature_tensor(subject: TensorInfoSubject, cancel: Cancel) -> Iterator[Copy]:
    info, owner = subject.info, subject.meta_graph
    yield of_text(NAME, info.name)
    if info.tensor is not None:
        yield of_text(PATH, info.tensor)
    yield from _tensor(info.dtype, info.shape)
    name = subject.signature.name
    if name not in INIT_OPS and subject.signature in owner.signatures:  # a trace is looked at as if it were one
        yield from _python(fetching.signature_tensor(owner, name, info.name, is_input=subject.is_input))


def _scope(subject: ScopeSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.name)


def _variable(subject: VariableSubject, cancel: Cancel) -> Iterator[Copy]:
    owner, found = subject.meta_graph, subject.variable
    yield of_text(NAME, found.name)
    if found.key is not None:
        yield of_text(PATH, found.key)
    yield from _tensor(found.dtype, found.shape)
    if owner.checkpoint is not None and found.key is not None:
        yield from _value(KeySubject(owner.checkpoint, found.key), cancel)
        yield from _python(fetching.value(owner.checkpoint, found.key))


def _key(subject: KeySubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.key)
    yield of_text(PATH, os.path.abspath(subject.checkpoint.prefix))
    try:
        entry = subject.checkpoint.stored(subject.key)
    except ModelError:  # its details say why
        return
    yield from _tensor(entry.dtype, entry.shape)
    yield from _value(subject, cancel)
    yield from _python(fetching.value(subject.checkpoint, subject.key))


def _value(subject: KeySubject, cancel: Cancel) -> Iterator[Copy]:
    """The value of a key where it is small, and its checksum good."""
    try:
        entry = subject.checkpoint.stored(subject.key)
        if entry.elements is None or entry.elements > MAX_ELEMENTS or entry.nbytes > _MAX_STRINGS:
            return
        found = subject.checkpoint.read(subject.key, cancel=cancel)
    except ModelError:
        return
    if found.checksum == "good":
        yield from _array(found.array)


def _array(array: Any) -> Iterator[Copy]:
    value = array.tolist()
    written = repr(value)
    # Integers and floats of numpy, strings as bytes; what has no literal of its own is not copied.
    if array.dtype.kind in "biufc" or _is_bytes(value):
        yield Copy(VALUE, written)
    elif array.dtype.kind == "V":  # bfloat16, float8 and the like
        import numpy as np

        yield Copy(VALUE, repr(array.astype(np.float32).tolist()))


def _is_bytes(value: Any) -> bool:
    return all(map(_is_bytes, value)) if isinstance(value, list) else isinstance(value, bytes)


def _node(subject: NodeSubject, cancel: Cancel) -> Iterator[Copy]:
    graph, owner, position = subject.graph, subject.meta_graph, subject.position
    name = graph.names[position]
    yield of_text(NAME, name)
    outputs = graph.output_count(position)
    if not outputs:
        yield from _python(fetching.operation(owner, subject.function, name))
        return
    first = graph.output(position, 0)
    yield of_text(PATH, f"{name}:0")
    yield from _tensor(first.dtype, first.shape, first.shape_stored)
    yield from _constant(subject)
    yield from _python(fetching.tensor(owner, subject.function, f"{name}:0"))


def _output(subject: TensorSubject, cancel: Cancel) -> Iterator[Copy]:
    name = f"{subject.graph.names[subject.position]}:{subject.number}"
    found = subject.graph.output(subject.position, subject.number)
    yield of_text(NAME, name)
    yield of_text(PATH, name)
    yield from _tensor(found.dtype, found.shape, found.shape_stored)
    yield from _python(fetching.tensor(subject.meta_graph, subject.function, name))


def _rest(subject: RestSubject, cancel: Cancel) -> Iterator[Copy]:
    yield from copies(subject.of, cancel)


def _path(subject: PathSubject, cancel: Cancel) -> Iterator[Copy]:
    names = subject.graph.names
    yield of_text(LINE, f"{names[subject.first]} > {names[subject.second]}")


def _constant(subject: NodeSubject) -> Iterator[Copy]:
    """The value of a Const."""
    if subject.graph.ops[subject.position] != "Const":
        return
    shape = subject.graph.output(subject.position, 0).shape
    elements = num_elements(shape)
    if elements is None or elements > MAX_ELEMENTS:
        return
    from tfexplore.formats.tensor_proto import decode_tensor, to_array

    path = subject.meta_graph.path
    try:
        value = subject.graph.node(subject.position).attr("value")
        if value is None:
            return
        array = to_array(decode_tensor(value.tensor, path=path), path=path, limit=_MAX_STRINGS)
    except ModelError:
        return
    if array.dtype.kind != "O" or sum(map(len, array.reshape(-1))) <= _MAX_STRINGS:
        yield from _array(array)


def _op(subject: OpSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.op)
    yield from _python(fetching.operations(subject.meta_graph, subject.function, subject.op))


def _argument(subject: ArgumentSubject, cancel: Cancel) -> Iterator[Copy]:
    argument, owner = subject.argument, subject.meta_graph
    yield of_text(NAME, argument.name)
    yield of_text(PATH, argument.returns or f"{argument.name}:0")
    yield from _tensor(argument.dtype, argument.shape, argument.shape_stored)
    if subject.is_input:
        yield from _python(fetching.tensor(owner, subject.function, f"{argument.name}:0"))
        return
    function = owner.functions.get(subject.function)
    names = [one.name for one in function.outputs] if function is not None else []
    if argument.name in names:
        yield from _python(fetching.returned(owner, subject.function, names.index(argument.name)))


def _function(subject: FunctionSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.name)
    yield from _python(fetching.graph(subject.meta_graph, subject.name))


def _object(subject: ObjectSubject, cancel: Cancel) -> Iterator[Copy]:
    steps = subject.objects.steps(subject.node_id)
    place = subject.objects.place(subject.node_id)
    yield of_text(NAME, steps[-1] if steps else place)
    yield of_text(PATH, place)
    if steps is not None and subject.meta_graph is not None:
        yield from _python(fetching.object_(subject.meta_graph, steps))


def _asset(subject: AssetSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.asset.name)
    if subject.asset.path is not None:
        yield of_text(PATH, os.path.abspath(subject.asset.path))
        yield from _python(fetching.file(subject.asset.path))


def _file(subject: FileSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, subject.file.name)
    yield of_text(PATH, os.path.abspath(subject.file.path))
    if not subject.file.problem:
        yield from _python(fetching.file(subject.file.path))


def _checkpoint(subject: CheckpointSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, os.path.basename(subject.file.prefix))
    yield of_text(PATH, os.path.abspath(subject.file.prefix))
    yield from _python(fetching.checkpoint(subject.file.prefix))


def _finding(subject: FindingSubject, cancel: Cancel) -> Iterator[Copy]:
    found = subject.finding
    yield of_text(NAME, found.node or found.op or found.what)
    yield of_text(PATH, " > ".join(found.path))
    yield of_text(LINE, f"{found.level}: {found.op}: {found.what}" if found.op else f"{found.level}: {found.what}")
    owner = next((one for one in subject.model.meta_graphs if one.tags == found.tag_set), None)
    if owner is not None and found.node is not None and not found.nested:
        yield from _python(fetching.operation(owner, found.function, found.node))


def _folder(subject: FolderSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(NAME, os.path.basename(os.path.abspath(subject.path)))
    yield of_text(PATH, os.path.abspath(subject.path))


def _found(subject: FoundSubject, cancel: Cancel) -> Iterator[Copy]:
    path = os.path.abspath(subject.path)
    yield of_text(NAME, os.path.basename(path))
    yield of_text(PATH, path)
    if subject.found.kind == "saved_model":
        yield from _python(fetching.saved_model(path))
    elif subject.found.kind not in (COLLECTION, "graph_def", "meta_graph"):
        yield from _python(fetching.checkpoint(path) if subject.found.kind == CHECKPOINT else None)


def _note(subject: NoteSubject, cancel: Cancel) -> Iterator[Copy]:
    yield of_text(LINE, subject.sentence)


_COPIERS: dict[type, Callable[[Any, Cancel], Iterator[Copy]]] = {
    ModelSubject: _model,
    MetaGraphSubject: _meta_graph,
    SectionSubject: _section,
    SignatureSubject: _signature,
    TensorInfoSubject: _signature_tensor,
    ScopeSubject: _scope,
    VariableSubject: _variable,
    KeySubject: _key,
    NodeSubject: _node,
    TensorSubject: _output,
    RestSubject: _rest,
    PathSubject: _path,
    OpSubject: _op,
    ArgumentSubject: _argument,
    FunctionSubject: _function,
    ObjectSubject: _object,
    AssetSubject: _asset,
    FileSubject: _file,
    CheckpointSubject: _checkpoint,
    FindingSubject: _finding,
    FolderSubject: _folder,
    FoundSubject: _found,
    NoteSubject: _note,
}
