"""What the child holds between requests: TensorFlow set up, and one model."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any, Optional

import tensorflow as tf

from . import calling, faults, inner, loading, objects, shapes, signatures
from .serve import Answer, Refused, Request

# What SavedModel keeps among the signatures and no person calls.
_NO_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")


class Session:
    """Answers `load`, `describe`, `call`, `infer_shapes`, and what begins with `tune_`.

    Args:
        params: `gpu`, `threads`, `imports`, `op_libraries`.

    Raises:
        Refused: a module or library with custom ops cannot be had.
    """

    def __init__(self, params: dict[str, Any]) -> None:
        tf.get_logger().setLevel("ERROR")
        self._threads: Optional[int] = params.get("threads")
        if self._threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(self._threads)
            tf.config.threading.set_inter_op_parallelism_threads(self._threads)
        if params.get("gpu"):
            for device in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(device, True)
        for module in params.get("imports") or ():
            try:
                _import(module)
            except Exception as error:
                raise Refused("import_failed", f"{module} cannot be imported: {faults.sentence(str(error))}") from error
        for library in params.get("op_libraries") or ():
            try:
                tf.load_op_library(library)
            except Exception as error:
                raise Refused("import_failed", f"{library} cannot be loaded: {faults.sentence(str(error))}") from error
        self._where: Optional[loading.Place] = None
        self._objects: Any = None
        self._in_session: Optional[loading.InSession] = None
        self._tunings: Any = None
        self._read_for_shapes: dict[Any, Any] = {}

    def about(self) -> dict[str, Any]:
        """What runs here."""
        gpus = [str(device.name) for device in tf.config.list_physical_devices("GPU")]
        return {"tensorflow": tf.__version__, "python": sys.version.split()[0], "gpus": gpus}

    def answer(self, request: Request) -> Answer:
        """Does what the request asks for.

        Raises:
            Refused: it cannot be done.
            Exception: whatever TensorFlow raises.
        """
        if request.method == "load":
            return self._load(request), []
        if request.method == "infer_shapes":  # of the file as it lies there: no model has to be loaded
            return shapes.infer(request, self._read_for_shapes)
        if self._where is None:
            raise Refused("no_model", "no model has been loaded")
        if request.method == "describe":
            return self._describe(request), []
        if str(request.method).startswith("tune_"):
            return self._tune(request)
        if request.method == "call":
            try:
                return self._call(request)
            finally:
                if request.cancelled.is_set():  # which closes a session that runs; the next call loads it again
                    self._in_session = None
        raise Refused("protocol", f"there is no request {request.method!r}")

    # -- load --

    def _load(self, request: Request) -> dict[str, Any]:
        where = loading.place(request.params)
        self._forget()
        because = None
        if where.form == "saved_model" and where.loader != "v1":
            request.progress("loading the model")
            try:
                self._objects = loading.load_v2(where)
            except Exception as error:
                because = faults.failure(error)
                if where.loader == "v2" or because["kind"] in ("resource_exhausted", "permission_denied"):
                    raise
        if self._objects is None:
            request.progress("loading the graph with TensorFlow 1's loader" if because else "loading the graph")
            if because is not None:
                request.log(f"TensorFlow 2 cannot load it ({because['message']}), so TensorFlow 1's loader takes over")
            try:
                self._in_session = loading.load_session(where, self._threads, request)
            except Exception as error:
                if because is not None and faults.failure(error)["kind"] != "unregistered_op":
                    raise Refused(because["kind"], because["message"], **because["detail"]) from error
                raise
        self._where = where
        return {
            "loader": "v2" if self._objects is not None else "v1",
            "because": because["message"] if because is not None else None,
            "signatures": sorted(self._signatures()),
            "notes": [] if self._in_session is None else list(self._in_session.notes),
        }

    def _forget(self) -> None:
        if self._in_session is not None:
            self._in_session.session.close()
        self._where = self._objects = self._in_session = self._tunings = None

    def _signatures(self) -> dict[str, Any]:
        if self._objects is not None:
            named = dict(getattr(self._objects, "signatures", {}))
        else:
            assert self._in_session is not None
            named = self._in_session.signatures
        return {name: one for name, one in named.items() if name not in _NO_SIGNATURES}

    def _graph(self, request: Request) -> loading.InSession:
        """The main graph in a session, beside the restored objects where there are some."""
        if self._in_session is None:
            assert self._where is not None
            request.progress("loading the graph, to run it by tensor name")
            self._in_session = loading.load_session(self._where, self._threads, request)
        return self._in_session

    # -- describe --

    def _describe(self, request: Request) -> dict[str, Any]:
        if self._objects is None:
            graph = self._graph(request).session.graph
            named = {name: signatures.of_def(one, graph) for name, one in self._signatures().items()}
            return {"signatures": named, "functions": []}
        functions: list[dict[str, Any]] = []
        for path, function in objects.iter_functions(self._objects):
            try:
                found = objects.traces(function)
            except Exception as error:
                functions.append({"path": path, "traces": [], "problem": faults.sentence(str(error))})
            else:
                if found:
                    functions.append({"path": path, "traces": found})
        return {
            "signatures": {name: signatures.of_function(one) for name, one in self._signatures().items()},
            "functions": functions,
        }

    # -- tune --

    def _tune(self, request: Request) -> Answer:
        if self._objects is None:
            raise Refused("no_gradient", "TensorFlow 1's loader gives a graph without gradients, which cannot be tuned")
        if self._tunings is None:
            from . import tuning_requests

            self._tunings = tuning_requests.Tunings(self._objects)
        found: Answer = self._tunings.answer(request)
        return found

    # -- call --

    def _call(self, request: Request) -> Answer:
        params = request.params
        if params.get("fetches"):
            return self._fetch(request)
        if params.get("function") is not None:
            if self._objects is None:
                raise Refused("no_function", "this model was loaded as a graph, which has no functions to call by path")
            function = objects.function_at(self._objects, str(params["function"]))
            return calling.call_function(request, function, params)
        name = params.get("signature")
        graph = self._graph(request) if self._objects is None else None
        known = self._signatures()
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise Refused("no_signature", f"there is no signature {name}, only: {listed}")
        if graph is None:
            return calling.call_signature(request, known[name])
        return calling.run_signature(request, graph, known[name])

    def _fetch(self, request: Request) -> Answer:
        params = request.params
        graph = self._graph(request)
        wanted = [str(name) for name in params["fetches"]]
        with graph.session.graph.as_default():
            found = inner.fetched(graph, params.get("body"), wanted, params.get("signature"))
        feeds = calling.feeds(graph, request.tensors, params.get("signature"))
        return calling.run_session(request, graph.session, feeds, found)


def _import(module: str) -> None:
    """Imports a module by its name, or by the path of its file."""
    if not module.endswith(".py"):
        importlib.import_module(module)
        return
    name = os.path.basename(module)[: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, module)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
