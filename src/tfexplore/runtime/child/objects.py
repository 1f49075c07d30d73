"""The object graph of a restored model: the functions in it, and what they take and give."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from . import tensors
from .serve import Refused

MAX_FUNCTIONS = 10_000
# What a restored object has besides its children.
_NOT_CHILDREN = ("signatures", "keras_api")


def _is_function(value: Any) -> bool:
    return hasattr(value, "concrete_functions") and callable(value)


def children(value: Any) -> dict[str, Any]:
    """The children of a restored object that are objects or functions, by name."""
    found = {
        name: part
        for name, part in list(getattr(value, "__dict__", {}).items())
        if _is_function(part) or (not name.startswith("_") and hasattr(part, "_trackable_children"))
    }
    list_children = getattr(value, "_trackable_children", None)  # from TensorFlow 2.9 on
    try:
        if list_children is not None:
            found.update(list_children())
        else:
            found.update({one.name: one.ref for one in getattr(value, "_checkpoint_dependencies", ())})
    except Exception:  # an object whose children cannot be listed has those of its attributes
        pass
    return {name: part for name, part in found.items() if name not in _NOT_CHILDREN and not _is_variable(part)}


def _is_variable(value: Any) -> bool:
    return isinstance(value, tf.Variable)


def iter_functions(root: Any) -> Iterator[tuple[str, Any]]:
    """Every function once, by its shortest path, `encoder.__call__`."""
    seen = {id(root)}
    waiting: deque[tuple[str, Any]] = deque([("", root)])
    count = 0
    while waiting:
        prefix, value = waiting.popleft()
        for name, part in sorted(children(value).items()):
            if id(part) in seen:
                continue
            seen.add(id(part))
            path = f"{prefix}.{name}" if prefix else name
            if _is_function(part):
                yield path, part
                count += 1
                if count == MAX_FUNCTIONS:
                    return
            else:
                waiting.append((path, part))


def function_at(root: Any, path: str) -> Any:
    """The function of a path.

    Raises:
        Refused: there is none.
    """
    value = root
    done: list[str] = []
    for name in path.split("."):
        part = children(value).get(name)
        if part is None:
            where = f"{'.'.join(done)} has" if done else "the model has"
            raise Refused("no_function", f"{where} no child {name}", path=path)
        value = part
        done.append(name)
    if not _is_function(value):
        raise Refused("no_function", f"{path} is no function", path=path)
    return value


def traces(function: Any) -> list[dict[str, Any]]:
    """The traces of a function, each with its arguments and outputs as nests."""
    concrete = getattr(function, "concrete_functions", ())
    found = []
    for one in concrete() if callable(concrete) else concrete:
        args, kwargs = one.structured_input_signature
        found.append(
            {
                "args": [tensors.nest_of_specs(part) for part in args],
                "kwargs": {name: tensors.nest_of_specs(part) for name, part in kwargs.items()},
                "outputs": tensors.nest_of_specs(one.structured_outputs),
            }
        )
    return found
