"""The scan: the risky models of the corpus are found, real exports are silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.scanning import one
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import HIGH, MEDIUM, NOTE
from tfexplore.core.scan import scan
from tfexplore.errors import TfexploreError

# -- the corpus --

# Model: (op, phase, the way's beginning and end, one argument); each must be found, and nothing else above a note.
RISKY: dict[str, list[tuple[str, str, str, str, str | None]]] = {
    "risky/abort": [("Abort", "call", "signature serving_default", "node Abort", "bye")],
    "risky/alloc": [("Fill", "call", "signature serving_default", "node Fill", None)],
    "risky/call_write": [
        ("WriteFile", "call", "signature serving_default", "node WriteFile", "/tmp/tfexplore-canary/call_write")
    ],
    "risky/cond_write": [
        ("WriteFile", "call", "signature serving_default", "node cond/WriteFile", "/tmp/tfexplore-canary/cond_write")
    ],
    "risky/dbg_grpc": [
        ("DebugIdentity", "call", "signature serving_default", "node DebugIdentity", "grpc://127.0.0.1:45991")
    ],
    "risky/dstfr": [
        (
            "DatasetToTFRecord",
            "call",
            "signature serving_default",
            "node DatasetToTFRecord",
            "/tmp/tfexplore-canary/tfrec",
        )
    ],
    "risky/load_write": [("WriteFile", "load", "init op NoOp", "node WriteFile", "/tmp/tfexplore-canary/load_write")],
    "risky/print_write": [
        ("PrintV2", "call", "signature serving_default", "node PrintV2", "file:///tmp/tfexplore-canary/print_write")
    ],
    "risky/read_file": [
        ("ReadFile", "call", "signature serving_default", "node ReadFile", "/tmp/tfexplore-canary/secret"),
        ("MatchingFiles", "call", "signature serving_default", "node MatchingFiles", "/tmp/tfexplore-canary/*"),
        ("ImmutableConst", "call", "signature serving_default", "node ImmutableConst", "/tmp/tfexplore-canary/secret"),
    ],
    "risky/restore": [
        ("RestoreV2", "call", "signature serving_default", "node RestoreV2", "/tmp/tfexplore-canary/obj/ckpt-1")
    ],
    "risky/save_write": [
        ("SaveV2", "call", "signature serving_default", "node SaveV2", "/tmp/tfexplore-canary/savev2")
    ],
    "risky/summary": [
        (
            *("CreateSummaryFileWriter", "call", "signature serving_default", "node CreateSummaryFileWriter"),
            "/tmp/tfexplore-canary/summ",
        )
    ],
    "risky/table": [],
    "risky/while_write": [
        ("WriteFile", "call", "signature serving_default", "node while/WriteFile", "/tmp/tfexplore-canary/while_write")
    ],
    "mal-graph_py_func/py_func.pb": [
        ("PyFunc", "call", "main graph", "node py", "pyfunc_0"),
        ("EagerPyFunc", "call", "main graph", "node eager", "pyfunc_1"),
        ("MatchingFiles", "call", "main graph", "node ls", None),
        ("VendorPrivateOp", "call", "main graph", "node custom", None),
    ],
    "mal-sm_file_ops": [
        ("WriteFile", "call", "signature serving_default", "node WriteFile", "/tmp/corpus-canary/called.txt"),
        ("ReadFile", "call", "signature serving_default", "node ReadFile", "/tmp/corpus-canary/input.txt"),
    ],
    "mal-sm_init_op_writes": [
        ("WriteFile", "load", "saved_model_main_op init", "node WriteFile", "/tmp/corpus-canary/loaded.txt")
    ],
}


def test_every_risky_model_has_a_row(corpus: Path) -> None:
    hostile = corpus / "hostile"
    names = {f"risky/{path.name}" for path in (hostile / "risky").iterdir()}
    names |= {path.name for path in hostile.glob("mal-*")}
    assert names == {name.removesuffix("/py_func.pb") for name in RISKY}


@pytest.mark.parametrize("name", RISKY)
def test_the_risky_models_are_found(corpus: Path, name: str) -> None:
    with open_model(str(corpus / "hostile" / name)) as model:
        findings = list(scan(model))
    for op, phase, begin, end, value in RISKY[name]:
        matching = [
            finding
            for finding in findings
            if (finding.op, finding.phase, finding.path[0], finding.path[-1]) == (op, phase, begin, end)
        ]
        finding = one(matching)
        assert finding.level == (HIGH if op not in ("VendorPrivateOp",) and (value or op == "Fill") else MEDIUM)
        values = {found for argument in finding.arguments for found in argument.values or ()}
        assert value is None or value in values
    ops = {row[0] for row in RISKY[name]}
    assert {finding.op for finding in findings if finding.level != NOTE} == ops


def test_the_table_of_the_corpus_is_filled_from_its_own_asset_at_load(corpus: Path) -> None:
    with open_model(str(corpus / "hostile" / "risky" / "table")) as model:
        finding = one(list(scan(model)))
    assert (finding.op, finding.level, finding.phase) == ("InitializeTableFromTextFileV2", NOTE, "load")
    assert finding.arguments[0].values == ("assets/secret",)


# Real exports that do reach out, each looked at: what is found above a note, and no more.
KNOWN = {
    "tfdf-adult_rf": {
        "SimpleMLCreateModelResource",
        "SimpleMLLoadModelFromPathWithHandle",
        "SimpleMLInferenceOpWithHandle",
    },
    "tf-trt_2shards": {"TRTEngineOp"},
}


def test_real_exports_are_silent(corpus: Path) -> None:
    looked = 0
    for file in sorted((corpus / "models").rglob("saved_model.pb*")):
        name = file.relative_to(corpus / "models").parts[0]
        try:
            model = open_model(str(file.parent))
        except TfexploreError:
            continue
        with model:
            assert {finding.op for finding in scan(model) if finding.level != NOTE} == KNOWN.get(name, set()), file
        looked += 1
    assert looked > 30
