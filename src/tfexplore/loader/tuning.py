"""Fine-tunes a model in the child: what `finetune` and the Fine-tune tab await.

    tuner = Tuner(runner, plan, on_report)
    prepared = await tuner.prepare()          # which variables get a gradient; nothing is changed
    ran = await tuner.run(50, directory=directory, save_every=10)   # a second run goes on from the first
    await tuner.roll_back()

The requests to the child, with what they take and give; all need a model that TensorFlow 2's loader restored:

tune_data      tensors: rows of columns, named; `first` begins anew, `last` ends. Gives `rows`.
tune_prepare   tensors: the constants. `signature` or `function`; `args`, `kwargs`: nests in which {"tensor": n} is the
               n-th constant, and from the number of constants on the n-th of `columns` (names of data); `target` (a
               column, null), `batch`, `seed`, `drop_short`, `eager`; `loss`: {"kind", "from_logits", "output",
               "program"}; `optimizer`: {"kind", "settings"}; `variables`: [{"key", "train", "hold"}]. Goes on at the
               step and row where the one before was; an optimizer of the same kind for the same variables keeps its
               slots. Gives `step`, `row`, `rows`, `batch`, `loss` (before any step), `variables`: [{"key", "name",
               "dtype", "shape", "trainable", "trained", "gradient", "why", "gradient_norm", "moved"}].
tune_run       `steps`, `learning_rate`. Progress with `figures` [[step, loss, gradient norm, seconds], …] and now and
               then `changes` [[key, L2], …]. The message `stop` ends it after the step under way. Gives `why` (done,
               stopped, nan), `nan` ({"step", "loss", "gradients": keys}), `done`, `step`, `row`, `figures` (those that
               were not told yet), `changes` (of all), `seconds`, `reporting` (of them, for progress).
tune_rollback  Gives `step`, `row`, `changes`.
tune_save      Writes a checkpoint to the scratch folder. Gives `step`, `files` [[name, bytes], …]; `tune_piece`
               (`name`, `offset`, `size`) gives the tensor `piece`; `tune_saved` takes it away.
tune_file      Appends the bytes of its tensor to the file `name`; `first` begins anew. `tune_restore` (`prefix`) then
               restores from those files. Gives `step`, `row`, `seed`, `matched`, `missing`, `unused`, `optimizer`,
               `whole`, `changes`.
tune_values    `keys`. Gives a tensor each.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.errors import ChildDied, RunFailed
from tfexplore.loader.tuning_records import Figures, NotFinite, Prepared, Ran, Reach, Report, Restored, Saved
from tfexplore.runtime.arrays import to_array, to_tensor
from tfexplore.runtime.failures import changes as checked_changes
from tfexplore.runtime.failures import figures as checked_figures
from tfexplore.runtime.protocol import Tensor
from tfexplore.runtime.records import About, Event, Progress, Result

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.checkpoint_saving import CheckpointDirectory
    from tfexplore.core.export import Exported
    from tfexplore.core.finetune_plan import FinetunePlan, TuneVariable
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.loader.running import Runner

PIECE = 64 << 20  # bytes in one message
_MAX_LIST = 1_000_000
_MOST_VALUES, _MOST_BESIDES = 16, 1 << 30


class Tuner:
    """One tuning.

    Args:
        runner: whose model is tuned; another tuner of it goes on where this one was. Where its child has died, all but
            `prepare` raise ChildDied; that one begins anew with the weights as loaded.
        plan: what is tuned, how.
        on_report: told what the steps give, up to ten times a second.
        on_event: told of other progress and logs.

    Attributes:
        step: how many steps were taken since the weights were loaded.
        changes: as the last run, roll-back or restoring told.
    """

    def __init__(
        self,
        runner: Runner,
        plan: FinetunePlan,
        on_report: Callable[[Report], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.plan = plan
        self.step = 0
        self.changes: dict[str, float] = {}
        self.prepared: Prepared | None = None
        self._runner = runner
        self._on_report = on_report
        self._on_event = on_event
        self._stopping = False
        self._by_key = {one.key: one for one in plan.variables}
        self._learning_rate = plan.optimizer.learning_rate
        self._about: About | None = None

    async def _ask(
        self,
        method: str,
        params: dict[str, Any],
        tensors: Sequence[Tensor] = (),
        *,
        timeout: float | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        runtime = self._runner.runtime
        if self._about is not None and (runtime.about is not self._about or runtime.state in ("off", "dead")):
            raise runtime.why or ChildDied(
                "the process that was tuning has ended, with what it had learnt", kind="died"
            )
        return await runtime.ask(method, params, tuple(tensors), timeout=timeout, on_event=on_event or self._on_event)

    async def prepare(self, timeout: float | None = None) -> Prepared:
        """Sends the data, calls the function once, and says which variables get a gradient. Changes nothing.

        Args:
            timeout: seconds, for loading and for this.

        Raises:
            RunFailed: the function cannot be called so, or no chosen variable gets a gradient.
            RuntimeFailed, Cancelled: as `Runner.load`.
        """
        self._about = None
        await self._runner.load(timeout)
        await self._runner.runtime.start(self._on_event)
        # A child that comes after this one knows nothing of it.
        self._about = self._runner.runtime.about
        plan = self.plan
        if plan.data is not None:
            await self._send_data(plan)
        names = {name: number for number, name in enumerate([*plan.constants, *plan.columns])}
        args, kwargs = plan.arguments
        params = {
            "signature": plan.signature,
            "function": plan.function,
            "args": [_nest(part, names) for part in args],
            "kwargs": {name: _nest(part, names) for name, part in kwargs.items()},
            "columns": [f"input {number}" for number in range(len(plan.columns))],
            "target": "target" if plan.data is not None and plan.data.target is not None else None,
            "batch": plan.batch,
            "seed": plan.seed,
            "drop_short": plan.drop_short,
            "eager": plan.eager,
            "loss": {
                "kind": plan.loss.kind,
                "from_logits": plan.loss.from_logits,
                "output": plan.loss.output,
                "program": plan.loss.expression.program if plan.loss.expression is not None else None,
            },
            "optimizer": {"kind": plan.optimizer.kind, "settings": plan.optimizer.settings},
            "variables": [{"key": one.key, "train": one.train, "hold": one.hold} for one in plan.variables],
        }
        constants = [to_tensor(name, array) for name, array in plan.constants.items()]
        found = (await self._ask("tune_prepare", params, constants, timeout=timeout)).value
        reached = [self._reach(one) for one in _list(found, "variables")]
        self.prepared = Prepared(
            _whole(found, "step"),
            _whole(found, "row"),
            _whole(found, "rows"),
            _whole(found, "batch"),
            _number(found.get("loss")),
            tuple(one for one in reached if one is not None),
        )
        self.step = self.prepared.step
        return self.prepared

    async def _send_data(self, plan: FinetunePlan) -> None:
        assert plan.data is not None
        columns = {f"input {number}": array for number, array in enumerate(plan.data.columns.values())}
        if plan.data.target is not None:
            columns["target"] = plan.data.target
        pieces = [(name, part) for name, array in columns.items() for part in _pieces(array)]
        for number, (name, part) in enumerate(pieces):
            params = {"first": number == 0, "last": number == len(pieces) - 1}
            await self._ask("tune_data", params, [to_tensor(name, part)])

    def _reach(self, found: Any) -> Reach | None:
        tuned = self._by_key.get(str(found.get("key"))) if isinstance(found, dict) else None
        if tuned is None:
            return None
        return Reach(
            tuned,
            found.get("trainable") is True,
            found.get("trained") is True,
            found.get("gradient") is True,
            str(found.get("why"))[:1000],
            _number(found.get("gradient_norm")),
            found.get("moved") is True,
        )

    # -- steps --

    async def run(
        self,
        steps: int,
        *,
        learning_rate: float | None = None,
        directory: CheckpointDirectory | None = None,
        save_every: int | None = None,
    ) -> Ran:
        """Takes steps, from where the last run ended.

        Args:
            learning_rate: from here on; None for what it was.
            directory: where checkpoints go, after every `save_every` steps and at the end.

        Raises:
            RuntimeFailed, Cancelled: as `Runner.load`; the steps until then were taken, unless the child has died.
            UsageError: a checkpoint cannot be written.
        """
        if learning_rate is not None:
            self._learning_rate = learning_rate
        self._stopping = False
        figures: list[Figures] = []
        saved: list[Saved] = []
        why, done, seconds, reporting = "done", 0, 0.0, 0.0
        not_finite = None
        while done < steps and why == "done":
            share = steps - done
            if directory is not None and save_every:
                share = min(share, save_every - self.step % save_every)
            found = await self._run_some(share, done, steps, figures)
            done += _whole(found, "done")
            why = str(found.get("why"))
            seconds += _number(found.get("seconds"))
            reporting += _number(found.get("reporting"))
            not_finite = self._not_finite(found.get("nan"))
            if self._stopping and why == "done" and done < steps:
                why = "stopped"
            if directory is not None and save_every and not self.step % save_every and why == "done":
                saved.append(await self.save(directory))
        if directory is not None and why != "nan" and done and not (saved and saved[-1].step == self.step):
            saved.append(await self.save(directory))
        return Ran(why, done, self.step, tuple(figures), self.changes, not_finite, tuple(saved), seconds, reporting)

    async def _run_some(self, steps: int, before: int, total: int, figures: list[Figures]) -> dict[str, Any]:
        def hear(event: Event) -> None:
            if isinstance(event, Progress) and event.figures:
                new = tuple(Figures(*one) for one in event.figures)
                figures.extend(new)
                if event.changes is not None:
                    self.changes = {**self.changes, **dict(event.changes)}
                if self._on_report is not None:
                    changes = None if event.changes is None else dict(event.changes)
                    self._on_report(Report(new, before + event.done, total, changes))
            elif self._on_event is not None:
                self._on_event(event)

        params = {"steps": steps, "learning_rate": self._learning_rate, "eager": self.plan.eager}
        found = (await self._ask("tune_run", params, on_event=hear)).value
        last = tuple(Figures(*one) for one in checked_figures(found.get("figures")))
        figures.extend(last)
        self._took(found)
        if self._on_report is not None:
            self._on_report(Report(last, before + _whole(found, "done"), total, self.changes))
        return found

    def _took(self, found: dict[str, Any]) -> None:
        self.step = _whole(found, "step")
        self.changes = dict(checked_changes(found.get("changes")))

    def _not_finite(self, found: Any) -> NotFinite | None:
        if not isinstance(found, dict):
            return None
        labels = [self._by_key[key].label for key in _list(found, "gradients") if key in self._by_key]
        return NotFinite(_whole(found, "step"), found.get("loss") is True, tuple(labels))

    async def stop(self) -> None:
        """Ends a run after the step under way; it returns what it has done, and another goes on from there."""
        self._stopping = True
        await self._runner.runtime.stop()

    async def roll_back(self) -> None:
        """Gives every variable its bits as loaded, and makes the optimizer as new; step and row are 0.

        Raises:
            RuntimeFailed, Cancelled: as `Runner.load`.
        """
        self._took((await self._ask("tune_rollback", {})).value)

    # -- checkpoints --

    async def save(self, directory: CheckpointDirectory) -> Saved:
        """Saves a checkpoint: `tf.train.Checkpoint(step, optimizer, net, data)`.

        Raises:
            UsageError: it cannot be written.
            RuntimeFailed, Cancelled: as `Runner.load`; then nothing of it is left.
        """
        found = (await self._ask("tune_save", {})).value
        files = [one for one in _list(found, "files") if isinstance(one, list) and len(one) == 2]
        step = _whole(found, "step")
        names = [str(name) for name, _ in files]
        # Slots and the model's own values, with room for names; a child may say anything.
        most = _MOST_VALUES * sum(one.variable.nbytes or 0 for one in self.plan.variables) + _MOST_BESIDES
        if not all(type(size) is int and 0 < size <= most for _, size in files):
            raise RunFailed("the child has written a checkpoint of a size that cannot be", kind="protocol")
        with await asyncio.to_thread(directory.begin, step, names) as new:
            for name, size in files:
                offset = 0
                while offset < size:
                    params = {"name": name, "offset": offset, "size": PIECE}
                    piece = (await self._ask("tune_piece", params)).tensors
                    if len(piece) != 1 or not 0 < len(piece[0].data) <= PIECE:
                        raise RunFailed("the child sent a checkpoint that ends early", kind="protocol")
                    await asyncio.to_thread(new.write, str(name), piece[0].data)
                    offset += len(piece[0].data)
            prefix, removed = await asyncio.to_thread(new.commit)
        await self._ask("tune_saved", {})
        return Saved(prefix, step, tuple(removed))

    async def restore(self, prefix: str) -> Restored:
        """Restores a checkpoint: one of such a run whole, of any other what fits the model's variables.

        Raises:
            ModelError, UsageError: it cannot be read.
            RunFailed: nothing of it fits, or a value has another shape.
            RuntimeFailed, Cancelled: as `Runner.load`.
        """
        from tfexplore.core.checkpoint_saving import WRITTEN_AS, files_of, iter_pieces

        first = True
        for name, path, _ in await asyncio.to_thread(files_of, prefix):
            for piece in iter_pieces(path, PIECE):
                tensor = Tensor("piece", "uint8", (len(piece),), piece)
                await self._ask("tune_file", {"name": name, "first": first}, [tensor])
                first = False
        found = (await self._ask("tune_restore", {"prefix": WRITTEN_AS})).value
        self._took(found)
        keys = {name: tuple(map(str, _list(found, name))) for name in ("matched", "missing", "unused")}
        return Restored(
            prefix,
            self.step,
            _whole(found, "row"),
            keys["matched"],
            keys["missing"],
            keys["unused"],
            found.get("optimizer") is True,
            found.get("whole") is True,
            self.changes,
        )

    # -- values --

    async def values(self, variables: Iterable[TuneVariable] | None = None) -> list[tuple[TuneVariable, np.ndarray]]:
        """What variables hold now; without a choice all that were found.

        Raises:
            RuntimeFailed, Cancelled: as `Runner.load`.
        """
        if variables is None:
            assert self.prepared is not None
            variables = [one.tuned for one in self.prepared.variables]
        found: list[tuple[TuneVariable, np.ndarray]] = []
        for group in _groups(list(variables)):
            tensors = (await self._ask("tune_values", {"keys": [one.key for one in group]})).tensors
            if [one.name for one in tensors] != [one.key for one in group]:
                raise RunFailed("the child sent other values than were asked for", kind="protocol")
            found += [(one, to_array(tensor)) for one, tensor in zip(group, tensors, strict=True)]
        return found

    async def export(self, model: Model, meta_graph: MetaGraph, directory: str, *, overwrite: bool = False) -> Exported:
        """Writes a copy of the model with the values that changed.

        Raises:
            UsageError, ModelError: as `core.export.export`.
            RuntimeFailed, Cancelled: as `Runner.load`.
        """
        from tfexplore.core.export import export
        from tfexplore.core.export_keys import values_by_key

        assert self.prepared is not None
        changed = [
            one.tuned
            for one in self.prepared.variables
            if one.trained or one.moved or self.changes.get(one.tuned.key) != 0.0
        ]
        values = [(one.variable, array) for one, array in await self.values(changed)]

        def write() -> Exported:
            return export(model, values_by_key(meta_graph, values), directory, overwrite=overwrite)

        return await asyncio.to_thread(write)


def _nest(part: Any, names: dict[str, int]) -> Any:
    """A nest of arguments as the child takes it, with the tensors by their numbers."""
    from tfexplore.core.traces import Slot

    if isinstance(part, Slot):
        return {"tensor": names[part.name]}
    if isinstance(part, list | tuple):
        return {"list" if isinstance(part, list) else "tuple": [_nest(one, names) for one in part]}
    if isinstance(part, dict):
        return {"dict": {str(name): _nest(one, names) for name, one in part.items()}}
    return {"value": part}


def _pieces(array: np.ndarray) -> list[np.ndarray]:
    """A column in pieces that one message carries."""
    if array.dtype.kind == "O":
        size = sum(len(one) for one in array.reshape(-1).tolist()) + 8 * array.size
    else:
        size = array.nbytes
    rows = max(1, math.floor(len(array) * PIECE / size)) if size > PIECE else len(array)
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def _groups(variables: list[TuneVariable]) -> list[list[TuneVariable]]:
    """Variables whose values one message carries."""
    found: list[list[TuneVariable]] = []
    room = 0
    for one in variables:
        size = one.variable.nbytes or 0
        if not found or size > room:
            found.append([])
            room = 4 * PIECE
        found[-1].append(one)
        room -= size
    return found


# What a child says is not trusted.


def _whole(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    return value if type(value) is int and 0 <= value < 1 << 62 else 0


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and abs(value) != math.inf else math.nan


def _list(found: dict[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    return value[:_MAX_LIST] if isinstance(value, list) else []
