"""The requests of a fine-tuning, whose names begin with `tune_`; `loader/tuning.py` says what they take and give."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from . import tensors
from .serve import Answer, Refused, Request
from .tuning import Tuning
from .tuning_data import Data
from .tuning_files import Files
from .tuning_variables import Loaded, Tuned, find


class Tunings:
    """What is tuned of one loaded model; its weights as loaded are kept from the first `tune_prepare` on.

    Args:
        root: the restored objects.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._data = Data()
        self._files = Files()
        self._variables: dict[str, Any] = {}
        self._loaded: Optional[Loaded] = None
        self._tuning: Optional[Tuning] = None

    def answer(self, request: Request) -> Answer:
        """Does what the request asks for.

        Raises:
            Refused: it cannot be done.
            Exception: whatever TensorFlow raises.
        """
        method, params = request.method, request.params
        if method == "tune_data":
            return self._take_data(request)
        if method == "tune_prepare":
            request.progress("looking which variables get a gradient")
            return self._prepare(request), []
        if method == "tune_file":
            return self._files.take(request)
        if method == "tune_saved":
            self._files.clear()
            return {}, []
        if method == "tune_values":
            return self._values(request)
        tuning = self._tuning
        if tuning is None:
            raise Refused("no_tuning", "nothing has been prepared to be tuned")
        if method == "tune_run":
            request.progress("compiling the step" if not params.get("eager") else "first step")
            return tuning.run(request)
        if method == "tune_rollback":
            tuning.roll_back()
            return {"step": tuning.step, "row": tuning.row, "changes": tuning.changes()}, []
        if method == "tune_save":
            request.progress("saving a checkpoint")
            return self._files.save(tuning)
        if method == "tune_piece":
            return self._files.read(request)
        if method == "tune_restore":
            request.progress("restoring the checkpoint")
            value, _ = self._files.restore(request, tuning)
            return {**value, "changes": tuning.changes()}, []
        raise Refused("protocol", f"there is no request {method!r}")

    def _take_data(self, request: Request) -> Answer:
        if request.params.get("first"):
            self._data = Data()
        self._data.add(request.tensors)
        if request.params.get("last"):
            self._data.finish()
        return {"rows": self._data.rows}, []

    def _prepare(self, request: Request) -> dict[str, Any]:
        params = request.params
        given = [one for one in params.get("variables") or () if isinstance(one, dict)]
        keys = [str(one.get("key")) for one in given]
        if self._loaded is None:
            self._variables = find(self._root, keys)
            self._loaded = Loaded(self._variables.values())
        variables = []
        taken = set()
        for one in given:
            key = str(one.get("key"))
            variable = self._variables.get(key)
            # A key without a variable that has a value here: nothing that could be tuned.
            if variable is None or not self._loaded.has(variable) or id(variable) in taken:
                continue
            taken.add(id(variable))
            variables.append(Tuned(key, variable, bool(one.get("train")), bool(one.get("hold"))))
        if not variables:
            raise Refused(
                "no_variables",
                "TensorFlow 2 has no variable of this model that can be tuned: an old export's reference variables",
            )
        before = self._tuning
        self._tuning = Tuning(self._root, params, request.tensors, self._data, variables, self._loaded, before)
        return self._tuning.about()

    def _values(self, request: Request) -> Answer:
        sent = []
        for key in request.params.get("keys") or ():
            variable = self._variables.get(str(key))
            if variable is None:
                raise Refused("wrong_input", f"the model has no variable {key}", tensor=str(key))
            array = np.asarray(variable.numpy())
            sent.append(tensors.from_array(str(key), variable.dtype.base_dtype, array))
        return {}, sent
