"""What tfexplore says about each model is what TensorFlow says: the corpus, and models made here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oracle import made, report
from oracle.compare import compare, find_models

# TensorFlow's own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")

_OPS = {"tensors", "edges", "shapes", "joins", "variables", "variable values"}
_SLOTS = {"variables", "variable values", "joins"}
_IMPORTED = {"tensors", "edges", "shapes"}
# For which kinds of facts TensorFlow 2.21 gives no answer, or not a full one; all else it must answer.
NOT_ANSWERED = {
    "tf-trt_2shards": _OPS,  # TRTEngineOp is not registered
    "tfdf-adult_rf": _OPS,  # nor are the ops of TensorFlow Decision Forests
    "basic_pitch_nmp": _SLOTS,  # tf.saved_model.load: add_slot
    "tfx-keras": _SLOTS,
    "module-with-slots": _SLOTS,
    "gen-ckpt_all_dtypes/all": {"values"},  # variants
    "gen-ckpt_object_adam/ckpt-2": {"values"},
    "gen-ckpt_object_adam/ckpt-3": {"values"},
    "serving-session_bundle_v1ckpt/00000123/export.meta": {"variables"},  # the version of its writer: '0.12.head'
    "tf-chunked_cpb/chunked_model": _SLOTS,  # its variables are missing
    # Variants, and constants that no memory holds.
    "tf-graphdef_roundtrip/large_constants.pbtxt": {"constants", *_IMPORTED},
    "tf-graphdef_roundtrip/test23.pbtxt": {"constants"},
    # Ops that are not registered, names and functions that `import_graph_def` refuses.
    "litert-graphdef_end2end/custom_opdef.pbtxt": _IMPORTED,
    "tf-graphdef_gnmt_gz/opens2s_gnmt_mixed_precision.pbtxt.gz": _IMPORTED,
    "tf-graphdef_keras_imagenet/keras_imagenet_main_graph_mode.pbtxt": _IMPORTED,
    **dict.fromkeys(
        (
            f"tf-graphdef_roundtrip/{name}.pbtxt"
            for name in (
                "arg-control-dep", "empty-value-attr", "graph-custom-operation", "import_legacy_call_as_generic_func",
                "switch_n", "test15", "test16", "test18", "test25", "test27",
            )
        ),
        _IMPORTED,
    ),
    # A splitter's test data: Consts without a dtype.
    **dict.fromkeys(
        (
            f"tf-proto_splitter_cpb/{name}"
            for name in (
                "function-large-nodes.pb", "function-lots-of-nodes.pb", "graph-def-and-function.pb",
                "split-large-constant.pb", "split-large-constant.pbtxt", "split-large-nodes.pb",
                "split-large-nodes.pbtxt", "split-lots-nodes.pb", "split-lots-nodes.pbtxt", "split-standard.pb",
                "split-standard.pbtxt",
            )
        ),
        _IMPORTED,
    ),
}  # fmt: skip
# Chunked form, which TensorFlow from PyPI does not read either.
MAY_BE_UNREAD = {"odd-sm_cpb_only"}
OF_A_FILE = {"MetaGraphs", "tags", "signatures", "functions"}
OF_A_SAVED_MODEL = {"MetaGraphs", "tags", "signatures", "objects", "assets", "nodes", "ops", "attributes", "functions"}


def _corpus_models() -> list[str]:
    """Names of the corpus's models; none where it is missing, and then the `corpus` fixture skips."""
    folder = report.corpus_models()
    return [os.path.relpath(path, folder).replace(os.sep, "/") for path in find_models(folder)]


@pytest.mark.parametrize("name", _corpus_models() or [""])
def test_corpus(name: str, corpus: Path, tf: Any) -> None:
    assert name, f"no models at {corpus}"
    _check(name, os.path.join(report.corpus_models(), name), tf)


@pytest.mark.parametrize("name", made.NAMES)
def test_made_here(name: str, made_models: Path, tf: Any) -> None:
    path = made.make(name, str(made_models), tf)
    checks = _check(name, path, tf)
    if name.startswith("checkpoint"):
        assert checks["values"].compared >= 12
    elif name != "session-no-variables":
        assert checks["joins"].compared >= 4
        assert checks["variable values"].compared >= 4


def _check(name: str, path: str, tf: Any) -> dict[str, Any]:
    checks = {check.what: check for check in compare(path, tf, name=name)}
    differing = [f"{check.what}: {check.detail}" for check in checks.values() if not check.equal]
    assert not differing, "\n".join(differing)
    skipped = {check.what for check in checks.values() if check.not_compared}
    if skipped == {"MetaGraphs"} and name in MAY_BE_UNREAD:
        pytest.skip(f"{name}: {checks['MetaGraphs'].not_compared[0][0]}; what else there is, is equal")
    reasons = [check.not_compared for check in checks.values() if check.not_compared]
    assert skipped == NOT_ANSWERED.get(name, set()), reasons
    needed = {"keys", "checksums", "values"}
    if os.path.isdir(path):
        needed = OF_A_SAVED_MODEL
    elif os.path.isfile(path) and "MetaGraphs" in checks:
        needed = OF_A_FILE
    assert {what for what, check in checks.items() if check.compared} >= needed
    return checks


# -- the comparison itself: what it must notice --


def _node(graph: Any, op: str) -> Any:
    return next(node for node in graph.node if node.op == op)


def _swap_children(meta_graph: Any) -> None:
    """Two variables of one shape and dtype change places: only their values and keys can tell."""
    nodes = meta_graph.object_graph_def.nodes
    pair = next(node for node in nodes if [child.local_name for child in node.children] == ["0", "1"]
                and nodes[node.children[0].node_id].variable.name == "twin")  # fmt: skip
    first, second = pair.children
    first.node_id, second.node_id = second.node_id, first.node_id


def _swap_captures(meta_graph: Any) -> None:
    twins = {n for n, node in enumerate(meta_graph.object_graph_def.nodes) if node.variable.name == "twin"}
    function = next(
        function
        for function in meta_graph.object_graph_def.concrete_functions.values()
        if twins <= {*function.bound_inputs}
    )
    one, other = (place for place, node_id in enumerate(function.bound_inputs) if node_id in twins)
    bound = function.bound_inputs
    bound[one], bound[other] = bound[other], bound[one]


def _first_variable(meta_graph: Any) -> Any:
    return next(node.variable for node in meta_graph.object_graph_def.nodes if node.HasField("variable"))


def _body(meta_graph: Any) -> Any:
    return max(meta_graph.graph_def.library.function, key=lambda function: len(function.node_def))


def _set(get: Callable[[Any], Any], field: str, value: Any) -> Callable[[Any], None]:
    return lambda meta_graph: setattr(get(meta_graph), field, value)


def _twice(get: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Names the first of some inputs twice."""
    return lambda meta_graph: get(meta_graph).append(get(meta_graph)[0])


EDITS: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "tags": (lambda meta: meta.meta_info_def.tags.append("more"), {"tags"}),
    "method": (_set(lambda meta: meta.signature_def["words"], "method_name", "other"), {"signatures"}),
    "signature tensor": (_set(lambda meta: meta.signature_def["words"].inputs["words"], "name", "x:0"), {"signatures"}),
    "signature dtype": (_set(lambda meta: meta.signature_def["words"].inputs["words"], "dtype", 1), {"signatures"}),
    "object kind": (lambda meta: meta.object_graph_def.nodes[1].asset.SetInParent(), {"objects"}),
    "asset": (_set(lambda meta: meta.asset_file_def[0], "filename", "other"), {"assets"}),
    "node name": (_set(lambda meta: _node(meta.graph_def, "Placeholder"), "name", "other"),
        {"nodes", "tensors", "edges"}),
    "device": (_set(lambda meta: _node(meta.graph_def, "Placeholder"), "device", "/gpu:0"), {"nodes"}),
    "op": (_set(lambda meta: _node(meta.graph_def, "NoOp"), "op", "Abort"), {"nodes", "ops"}),
    "input": (_twice(lambda meta: _node(meta.graph_def, "StatefulPartitionedCall").input), {"nodes", "edges"}),
    "attribute": (lambda meta: _node(meta.graph_def, "Placeholder").attr["dtype"].CopyFrom(
        _node(meta.graph_def, "StatefulPartitionedCall").attr["f"]), {"attributes", "tensors"}),
    "stored shape": (lambda meta: _node(meta.graph_def, "Placeholder").attr["_output_shapes"].list.shape[0].dim.add(
        size=3), {"shapes", "attributes"}),
    "function name": (lambda meta: setattr(_body(meta).signature, "name", "other"), {"functions"}),
    "function argument": (_set(lambda meta: _body(meta).signature.input_arg[0], "type", 9), {"functions", "tensors"}),
    "function node": (lambda meta: _body(meta).node_def.pop(), {"functions", "nodes"}),
    "variable name": (_set(_first_variable, "name", "other"), {"variables"}),
    "trainable": (lambda meta: setattr(_first_variable(meta), "trainable", not _first_variable(meta).trainable),
        {"variables"}),
    "swapped variables": (_swap_children, {"objects", "joins", "variable values"}),
    "swapped captures": (_swap_captures, {"objects", "joins"}),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_notices_an_edited_saved_model(edit: str, made_models: Path, tmp_path: Path, tf: Any) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = made.make("module", str(made_models), tf)
    other = tmp_path / "edited"
    shutil.copytree(path, other)
    message = saved_model_pb2.SavedModel.FromString((other / "saved_model.pb").read_bytes())
    change, expected = EDITS[edit]
    change(message.meta_graphs[0])
    (other / "saved_model.pb").write_bytes(message.SerializeToString())
    differing = {check.what for check in compare(path, tf, ours=str(other)) if not check.equal}
    assert expected <= differing


def test_notices_one_bit_of_a_value(tmp_path: Path, tf: Any) -> None:
    import numpy as np

    prefixes = []
    for number, last in enumerate((0x7FC00000, 0x7FC00001)):  # both are NaN
        prefixes.append(str(tmp_path / f"ckpt-{number}"))
        values = tf.constant(np.array([0x3F800000, last], np.uint32).view(np.float32))
        tf.raw_ops.SaveV2(
            prefix=prefixes[-1],
            tensor_names=["x", "s"],
            shape_and_slices=["", ""],
            tensors=[values, tf.constant(b"a\0")],
        )
    assert all(check.equal for check in compare(prefixes[0], tf))
    differing = {check.what: check.detail for check in compare(prefixes[0], tf, ours=prefixes[1]) if not check.equal}
    assert set(differing) == {"values"}
    assert "1 of 2 elements differ, the first at flat index 1" in differing["values"]


def test_hostile_models_are_left_out(tmp_path: Path) -> None:
    for folder in ("hostile/model", "good", "good/variables", "other/hostile"):
        (tmp_path / folder).mkdir(parents=True)
    models = ["hostile/model/saved_model.pb", "good/saved_model.pb", "good/variables/variables.index"]
    for file in [*models, "other/a.index", "other/hostile/b.index"]:
        (tmp_path / file).touch()
    assert find_models(str(tmp_path)) == [str(tmp_path / "good"), str(tmp_path / "other" / "a")]
    assert find_models(str(tmp_path / "hostile")) == find_models(str(tmp_path / "hostile" / "model")) == []


def test_report(made_models: Path, tmp_path: Path, tf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.make("checkpoint-shards", str(made_models), tf)
    out = tmp_path / "report.md"
    assert report.main([str(Path(path).parent), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "sharded" in shown
    assert "1 model: 1 equal; " in shown
    assert "| sharded | equal |" in out.read_text(encoding="utf-8")
