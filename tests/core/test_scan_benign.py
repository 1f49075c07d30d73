"""The scan is silent on what people export: fifty models made here with tf.Module and Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.benign_exports import KERAS, MODULES
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import NOTE
from tfexplore.core.scan import scan
from tfexplore.core.scan_finding import Finding

# What a benign model may be noted for, by op: tables and reads of its own assets.
NOTED = {"table_from_an_asset": {"InitializeTableFromTextFileV2"}, "reads_an_asset": {"ReadFile"}}


def above_a_note(folder: Path) -> tuple[list[Finding], set[str | None]]:
    with open_model(str(folder)) as model:
        findings = list(scan(model))
    return [finding for finding in findings if finding.level != NOTE], {finding.op for finding in findings}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_silent(tf: Any, tmp_path: Path, name: str) -> None:
    made, signatures = MODULES[name](tf, tmp_path)
    tf.saved_model.save(made, str(tmp_path / "export"), signatures=signatures)
    findings, ops = above_a_note(tmp_path / "export")
    assert findings == []
    assert ops == NOTED.get(name, set())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KERAS)
def test_a_keras_model_is_silent(tf: Any, tmp_path: Path, name: str) -> None:
    model = KERAS[name](tf.keras, tmp_path)
    model.export(str(tmp_path / "export"), verbose=False)
    findings, _ = above_a_note(tmp_path / "export")
    assert findings == []


@pytest.mark.filterwarnings("ignore")
def test_an_export_of_tensorflow_1_is_silent(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        y = x @ v1.get_variable("w", [4, 2]) + v1.get_variable("b", [2], use_resource=True)
        v1.train.Saver()
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "export"), {"x": x}, {"y": y})
        v1.train.Saver().save(session, str(tmp_path / "run" / "model"), global_step=1)
    assert above_a_note(tmp_path / "export") == ([], set())
    assert above_a_note(tmp_path / "run" / "model-1.meta") == ([], set())


def test_there_are_fifty() -> None:
    assert len(MODULES) + len(KERAS) + 1 >= 50
