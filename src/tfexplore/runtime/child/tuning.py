"""Fine-tuning: steps of an optimizer on a function of the loaded model.

A step: rows are gathered out of the data, the function is called, the loss and its gradients are taken; where all of
them are finite the optimizer is applied, else nothing is. What is compiled is the whole step; without that (`eager`)
the same code runs as it stands.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

import numpy as np
import tensorflow as tf

from . import loss, objects, tensors
from .batches import Batches
from .serve import Answer, Cancelled, Refused, Request
from .tuning_data import Data
from .tuning_optimizers import Optimizer
from .tuning_variables import Loaded, Tuned, is_trained_by_gradients

REPORT_SECONDS = 0.1
# Changes are looked at so rarely that they take a hundredth of the time.
_CHANGES_SHARE = 100.0
_LOOK_SECONDS_A_BYTE = 2e-9
_MAX_STEPS = 1_000_000_000


class Tuning:
    """What is tuned, how, and how far it is.

    Args:
        root: the restored objects.
        params: of the request `tune_prepare`, see `loader.tuning`.
        constants: its tensors.
        variables: the model's.
        loaded: their values before any step.
        before: what was tuned before this; steps and rows are counted on from there.

    Raises:
        Refused: the function cannot be called so, or no variable gets a gradient.
    """

    def __init__(
        self,
        root: Any,
        params: dict[str, Any],
        constants: tuple[Any, ...],
        data: Data,
        variables: list[Tuned],
        loaded: Loaded,
        before: Optional[Tuning],
    ) -> None:
        self.root = root
        self.variables = variables
        self.loaded = loaded
        self.step: int = before.step if before is not None else 0
        self._params = params
        self._constants = [tensors.to_constant(one) for one in constants]
        self._columns = [self._column(data, name) for name in params.get("columns") or ()]
        self._target = self._column(data, params["target"]) if params.get("target") is not None else None
        self._function = _function(root, params)
        rows = data.rows if self._columns or self._target is not None else 0
        self.batches: Optional[Batches] = None
        if rows:
            place = before.row if before is not None else 0
            size = min(int(params.get("batch") or 1), rows)
            drop = bool(params.get("drop_short"))
            self.batches = Batches(rows, size, params.get("seed"), drop_short=drop, place=place)
        self._eager = bool(params.get("eager"))
        self._checked_loss = _loss_of(params.get("loss"))
        self._reach = self._probe()
        self.trained = [one for one in variables if one.train and self._reach[one.key][0]]
        if not self.trained:
            raise Refused("no_gradient", self._no_gradient())
        chosen = [one.variable for one in self.trained]
        optimizer: dict[str, Any] = params.get("optimizer") or {}
        self.optimizer_params = optimizer
        if before is not None and before.optimizer_params == optimizer and before.tunes(chosen):
            self.optimizer: Optimizer = before.optimizer
        else:
            self.optimizer = Optimizer(str(optimizer.get("kind")), dict(optimizer.get("settings") or {}), chosen)
        self._to_hold = [one for one in variables if one.hold and one.key in self.moved_by_function]
        self._held = [(one.variable, tf.Variable(one.variable, trainable=False)) for one in self._to_hold]
        self._moving = [one.variable for one in variables if not one.hold and one.key in self.moved_by_function]
        if params.get("seed") is not None:
            tf.random.set_seed(int(params["seed"]))
        self._compiled: dict[int, Callable[[Any], Any]] = {}

    @property
    def row(self) -> int:
        """How many rows were drawn since the beginning; 0 where the inputs are constants."""
        return self.batches.place if self.batches is not None else 0

    def _rows(self) -> Any:
        """The next batch."""
        return self.batches.next() if self.batches is not None else np.zeros(0, np.int64)

    def _one(self, rows: Any) -> Any:
        """One step, compiled for as many rows."""
        if self._eager:
            return self._take(tf.constant(rows))
        compiled = self._compiled.get(len(rows))
        if compiled is None:
            # Nothing in it is for AutoGraph, whose import and conversion take seconds.
            function = tf.function(self._take, autograph=False)
            compiled = function.get_concrete_function(tf.TensorSpec([len(rows)], tf.int64))
            self._compiled[len(rows)] = compiled
        return compiled(tf.constant(rows))

    def tunes(self, chosen: list[Any]) -> bool:
        """Whether these are the variables that it changes."""
        return list(map(id, chosen)) == [id(one.variable) for one in self.trained]

    @staticmethod
    def _column(data: Data, name: str) -> Any:
        if name not in data.columns:
            raise Refused("wrong_input", f"there is no column {name} in the data")
        return data.columns[name]

    def _go_to(self, place: int) -> None:
        if self.batches is not None:
            self.batches.place = place

    def resume(self, step: int, row: int, seed: Optional[int]) -> None:
        """Goes on from where another run was, whose values are here already."""
        self.step = step
        if self.batches is not None:
            size, drop = self.batches.size, self.batches.drop_short
            self.batches = Batches(self.batches.rows, size, seed, drop_short=drop, place=row)
        self.hold()

    def hold(self) -> None:
        """What is held, is held as it is now."""
        for variable, kept in self._held:
            kept.assign(variable)

    # -- one step --

    def _forward(self, rows: Any) -> Any:
        values = [*self._constants, *(tf.gather(column, rows) for column in self._columns)]
        outputs = self._function(self._params, values)
        target = None if self._target is None else tf.gather(self._target, rows)
        found = self._checked_loss(outputs, target)
        if found.shape.rank != 0:
            found = tf.reduce_mean(found)
        return found

    def _gradients(self, rows: Any, chosen: list[Any]) -> tuple[Any, list[Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in chosen:
                tape.watch(variable)
            found = self._forward(rows)
        return found, tape.gradient(found, chosen)

    def _take(self, rows: Any) -> Any:
        """One step; the loss and the norm of each gradient, float64."""
        chosen = [one.variable for one in self.trained]
        before = [variable.read_value() for variable in self._moving]
        found, gradients = self._gradients(rows, chosen)
        figures = tf.stack([tf.cast(tf.math.real(found), tf.float64), *map(_norm, gradients)])
        finite = tf.reduce_all(tf.math.is_finite(figures))

        def update() -> Any:
            self.optimizer.apply(gradients, chosen)
            return tf.constant(True)

        def undo() -> Any:
            for variable, value in zip(self._moving, before):
                variable.assign(value)
            return tf.constant(False)

        tf.cond(finite, update, undo)
        for variable, value in self._held:
            variable.assign(value)
        return figures

    # -- before the first step --

    def _probe(self) -> dict[str, tuple[bool, str, float]]:
        """For each variable whether this loss gives it a gradient, why not, and its norm; changes nothing."""
        before = Loaded(one.variable for one in self.variables)
        able = [one for one in self.variables if is_trained_by_gradients(one.variable)]
        place = self.row
        rows = tf.constant(self._rows())
        self._go_to(place)
        reached: list[Tuned] = []

        def look(rows: Any) -> Any:
            found, gradients = self._gradients(rows, [one.variable for one in able])
            pairs = [(one, gradient) for one, gradient in zip(able, gradients) if gradient is not None]
            reached[:] = [one for one, _ in pairs]
            return tf.stack([tf.cast(tf.math.real(found), tf.float64), *(_norm(gradient) for _, gradient in pairs)])

        # An eager call of the function under a tape would make later compiled ones slower by a tenth.
        if not self._eager:
            look = tf.function(look, autograph=False)
        try:
            with _explained(self._params):
                figures = look(rows).numpy()
        finally:
            moved = {id(one) for one in before.moved()}
            if moved:
                before.put_back()
        self.first_loss = float(figures[0])
        self.moved_by_function: set[str] = {one.key for one in self.variables if id(one.variable) in moved}
        used = self._captured()
        reach = {}
        for one in self.variables:
            why = "the function does not use it" if id(one.variable.handle) not in used else "no gradient leads to it"
            reach[one.key] = (False, why, 0.0)
            if not is_trained_by_gradients(one.variable):
                reach[one.key] = (False, f"{one.variable.dtype.base_dtype.name} has no gradient", 0.0)
        for one, norm in zip(reached, figures[1:].tolist()):
            reach[one.key] = (True, "its gradient is zero on the first batch" if norm == 0.0 else "", norm)
        return reach

    def _captured(self) -> set[int]:
        """The handles that the function holds, by `id`."""
        function = _resolve(self.root, self._params)
        concrete = getattr(function, "concrete_functions", None)
        if concrete is None:
            concrete = [function]
        elif callable(concrete):
            concrete = concrete()
        return {id(handle) for one in concrete for handle in getattr(one, "captured_inputs", ())}

    def _no_gradient(self) -> str:
        chosen = [one for one in self.variables if one.train]
        if not chosen:
            return "no variable was chosen to be tuned"
        reasons = sorted({self._reach[one.key][1] for one in chosen})
        return f"none of the {len(chosen):,} chosen variables gets a gradient from this loss: {'; '.join(reasons)}"

    def about(self) -> dict[str, Any]:
        """What `tune_prepare` answers."""
        trained = {one.key for one in self.trained}
        return {
            "step": self.step,
            "row": self.row,
            "rows": self.batches.rows if self.batches is not None else 0,
            "batch": self.batches.size if self.batches is not None else 0,
            "loss": self.first_loss,
            "variables": [
                {
                    "key": one.key,
                    "name": str(one.variable.name).partition(":")[0],
                    "dtype": one.variable.dtype.base_dtype.name,
                    "shape": tensors.dims(one.variable.shape),
                    "trainable": bool(one.variable.trainable),
                    "trained": one.key in trained,
                    "gradient": self._reach[one.key][0],
                    "why": self._reach[one.key][1],
                    "gradient_norm": self._reach[one.key][2],
                    "moved": one.key in self.moved_by_function,
                }
                for one in self.variables
            ],
        }

    # -- steps --

    def run(self, request: Request) -> Answer:
        """Takes steps until they are done, the explorer says stop, or a figure is not finite."""
        steps = min(int(request.params.get("steps") or 0), _MAX_STEPS)
        rate = request.params.get("learning_rate")
        if rate is not None:
            self.optimizer.learning_rate.assign(float(rate))
        figures: list[list[float]] = []
        why, nan = "done", None
        began = told = time.perf_counter()
        # Before the first look: two passes over memory, at the least.
        looked, cost, reporting = began, self.loaded.nbytes * _LOOK_SECONDS_A_BYTE, 0.0
        done = 0
        with _explained(self._params):
            while done < steps:
                if request.cancelled.is_set():
                    raise Cancelled
                if request.stopping.is_set():
                    why = "stopped"
                    break
                started = time.perf_counter()
                place = self.row
                found = self._one(self._rows()).numpy()
                now = time.perf_counter()
                norm = float(np.sqrt(np.dot(found[1:], found[1:])))
                figures.append([self.step + 1, float(found[0]), norm, now - started])
                if not np.isfinite(found).all():
                    why, nan = "nan", self._not_finite(found)
                    self._go_to(place)
                    break
                self.step += 1
                done += 1
                if now - told >= REPORT_SECONDS:
                    changes = None
                    if now - looked >= cost * _CHANGES_SHARE:
                        changes = self._changes()
                        looked = time.perf_counter()
                        cost = looked - now
                    request.figures(done, steps, figures, changes)
                    figures = []
                    told = now
                    reporting += time.perf_counter() - now
        return {
            "why": why,
            "nan": nan,
            "done": done,
            "step": self.step,
            "row": self.row,
            "figures": figures,
            "changes": self._changes(whole=True),
            "seconds": time.perf_counter() - began,
            "reporting": reporting,
        }, []

    def _changes(self, whole: bool = False) -> list[list[Any]]:
        """The keys of variables and the L2 norms of their changes since they were loaded."""
        trained = {one.key for one in self.trained}
        looked_at = [one for one in self.variables if whole or one.key in trained or one.key in self.moved_by_function]
        return [[one.key, self.loaded.change(one.variable)] for one in looked_at]

    def _not_finite(self, found: Any) -> dict[str, Any]:
        bad = [one.key for one, norm in zip(self.trained, found[1:]) if not np.isfinite(norm)]
        return {"step": self.step + 1, "loss": not np.isfinite(found[0]), "gradients": bad}

    def roll_back(self) -> None:
        """The weights as they were loaded, the optimizer as new, and step and row 0."""
        self.loaded.put_back()
        self.optimizer.reset([one.variable for one in self.trained])
        self.hold()
        self.step = 0
        self._go_to(0)

    def changes(self) -> list[list[Any]]:
        """As `tune_run` ends with."""
        return self._changes(whole=True)


def _norm(gradient: Any) -> Any:
    """The L2 norm of a gradient as float64, rows that occur twice added up."""
    values = gradient
    if isinstance(gradient, tf.IndexedSlices):
        unique, places = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(unique))
    if values.dtype.is_complex:
        values = tf.abs(values)
    if values.dtype in (tf.float16, tf.bfloat16):
        values = tf.cast(values, tf.float32)
    return tf.sqrt(2.0 * tf.cast(tf.nn.l2_loss(values), tf.float64))


def _resolve(root: Any, params: dict[str, Any]) -> Any:
    """The signature or function that is meant."""
    if params.get("function") is not None:
        return objects.function_at(root, str(params["function"]))
    known = getattr(root, "signatures", {})
    name = params.get("signature")
    if name not in known:
        raise Refused("no_signature", f"there is no signature {name}, only: {', '.join(sorted(known)) or 'none'}")
    return known[name]


def _function(root: Any, params: dict[str, Any]) -> Callable[[dict[str, Any], list[Any]], Any]:
    function = _resolve(root, params)

    def call(params: dict[str, Any], values: list[Any]) -> Any:
        args = [tensors.unnest(part, values) for part in params.get("args") or ()]
        kwargs = {str(name): tensors.unnest(part, values) for name, part in (params.get("kwargs") or {}).items()}
        return function(*args, **kwargs)

    return call


@contextlib.contextmanager
def _explained(params: dict[str, Any]) -> Iterator[None]:
    """Says in one sentence that no trace takes what was given."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if "matching concrete function" not in str(error):
            raise
        what = params.get("function") or params.get("signature")
        raise Refused("wrong_input", f"no trace of {what} takes such arguments", reason=str(error)) from error


def _loss_of(given: Any) -> Callable[[Any, Any], Any]:
    """The loss, of outputs and a target.

    Args:
        given: `{"kind": …, "from_logits": …, "output": …}`, or with the kind `expression` its `program`.
    """
    given = given if isinstance(given, dict) else {}
    kind, output = given.get("kind"), given.get("output")
    if kind != "expression" and kind not in loss.LOSSES:
        raise Refused("wrong_input", f"there is no loss {kind}, only: expression, {', '.join(loss.LOSSES)}")

    def calculated(outputs: Any, target: Any) -> Any:
        y = _chosen(outputs, output, whole=kind == "expression")
        if kind == "expression":
            names = {"y": y} if target is None else {"y": y, "target": target}
            return loss.evaluate(given.get("program"), names)
        if target is None:
            raise Refused("wrong_input", f"the loss {kind} compares with a target, and none is given")
        more = {"from_logits": bool(given.get("from_logits"))} if kind in loss.CROSSENTROPIES else {}
        return loss.LOSSES[kind](target, y, **more)

    return calculated


def _chosen(outputs: Any, output: Optional[str], whole: bool) -> Any:
    """The output of that name, or the only one; with `whole` else all of them by name."""
    named = dict(tensors.flatten(outputs))
    if output is not None:
        if output not in named:
            raise Refused("wrong_input", f"there is no output {output}, only: {', '.join(named) or 'none'}")
        return named[output]
    if len(named) == 1:
        return next(iter(named.values()))
    if whole and named:
        return outputs if isinstance(outputs, Mapping) else named
    raise Refused(
        "wrong_input",
        f"there are {len(named):,} outputs, choose one: {', '.join(named) or 'none'}",
        hint="--output NAME",
    )
