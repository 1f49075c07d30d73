"""A model's variables by their checkpoint keys, and their values as they were loaded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

_ATTRIBUTES = "/.ATTRIBUTES/"
_ESCAPE = re.compile(r"\.(.)")


class Tuned(NamedTuple):
    """One variable of the model.

    Attributes:
        key: what the explorer calls it by: its checkpoint key, for TensorFlow 1 its name.
        train: whether steps shall change it.
        hold: whether nothing shall, not even the function itself.
    """

    key: str
    variable: Any
    train: bool
    hold: bool


def children(value: Any) -> dict[str, Any]:
    """All that a restored object depends on, by name."""
    listed = getattr(value, "_trackable_children", None)  # from TensorFlow 2.9 on
    try:
        if listed is not None:
            return dict(listed())
        return {one.name: one.ref for one in getattr(value, "_checkpoint_dependencies", ())}
    except Exception:  # an object whose children cannot be listed has none
        return {}


def find(root: Any, keys: Iterable[str]) -> dict[str, Any]:
    """The variables of these keys, as far as the model has them.

    Args:
        keys: of the object graph (`a/b/.ATTRIBUTES/VARIABLE_VALUE`), or names of variables of TensorFlow 1.
    """
    named = {}
    for variable in getattr(root, "variables", ()) or ():
        if hasattr(variable, "handle"):
            named[variable.name.partition(":")[0]] = variable
    seen: dict[tuple[int, str], Any] = {}
    kept = {id(root): (root, children(root))}
    found = {}
    for key in keys:
        path, cut, _ = key.partition(_ATTRIBUTES)
        value = root
        for part in path.split("/") if cut else ():
            name = _ESCAPE.sub(lambda match: "/" if match.group(1) == "S" else match.group(1), part)
            step = (id(value), name)
            if step not in seen:
                if id(value) not in kept:
                    kept[id(value)] = (value, children(value))
                seen[step] = kept[id(value)][1].get(name)
            value = seen[step]
            if value is None:
                break
        if not cut:
            value = named.get(key)
        if isinstance(value, tf.Variable) and hasattr(value, "handle"):
            found[key] = value
    return found


def is_trained_by_gradients(variable: Any) -> bool:
    """Whether its dtype has gradients."""
    dtype = variable.dtype.base_dtype
    return bool(dtype.is_floating or dtype.is_complex)


class Loaded:
    """Values to go back to.

    Args:
        variables: those with a value are kept.

    Attributes:
        nbytes: of all values.
    """

    def __init__(self, variables: Iterable[Any]) -> None:
        self._kept: list[tuple[Any, Any]] = []
        for variable in variables:
            # One without a value is left out.
            with contextlib.suppress(tf.errors.OpError, NotImplementedError, ValueError):
                # A copy: what is read of a variable may be the variable's own memory.
                array = np.array(variable.numpy())
                self._kept.append((variable, tf.constant(array, dtype=variable.dtype.base_dtype)))
        self._by_id = {id(variable): kept for variable, kept in self._kept}
        self.nbytes = sum(kept.dtype.size * int(np.prod(kept.shape.as_list())) for _, kept in self._kept)

    def has(self, variable: Any) -> bool:
        """Whether it had a value."""
        return id(variable) in self._by_id

    def put_back(self) -> None:
        """Gives all variables their values back."""
        for variable, kept in self._kept:
            variable.assign(kept)

    def moved(self) -> list[Any]:
        """The variables whose bits are no longer the same."""
        return [variable for variable, kept in self._kept if not _same_bits(variable, kept)]

    def change(self, variable: Any) -> float:
        """The L2 norm of one's change: 0 only where no bit has changed; of strings 1 where one has."""
        kept = self._by_id.get(id(variable))
        if kept is None:
            return 0.0
        if kept.dtype in (tf.float32, tf.float64):
            found = float(tf.sqrt(2.0 * tf.nn.l2_loss(variable - kept)).numpy())
            if found > 0.0 and np.isfinite(found):
                return found
        return 0.0 if _same_bits(variable, kept) else _distance(variable.numpy(), kept.numpy())


def _same_bits(variable: Any, kept: Any) -> bool:
    now, before = np.asarray(variable.numpy()), np.asarray(kept.numpy())
    if now.dtype.kind in "OSU":
        return bool(np.array_equal(now, before))
    return bool(np.array_equal(_raw(now), _raw(before)))


def _raw(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _distance(now: Any, before: Any) -> float:
    now, before = np.asarray(now), np.asarray(before)
    if now.dtype.kind in "OSU":
        return 1.0
    wide = "complex128" if now.dtype.kind == "c" else "float64"
    difference = (now.astype(wide) - before.astype(wide)).reshape(-1)
    return float(np.sqrt(np.vdot(difference, difference).real)) or float(np.finfo("float64").tiny)
