"""The bounded part of the campaigns: every byte of small models cut at and flipped, and some of each other damage.

`make fuzz` runs the long part.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from campaign import running
from campaign.fixtures import TARGETS
from campaign.looking import look
from campaign.mutants import MUTATIONS
from campaign.running import Result, campaigns, run, table

COUNT = 60  # of each kind of damage that is not exhaustive


@pytest.mark.parametrize(("target", "mutation"), campaigns())
def test_no_damage_gets_through(target: str, mutation: str, tmp_path: Path) -> None:
    exhaustive = MUTATIONS[mutation].exhaustive
    found = run(target, mutation, tmp_path, seed=3, count=1 << 20 if exhaustive else COUNT)
    assert found.failures == []
    assert found.mutants == found.clean + found.told + found.refused
    assert found.mutants > 15


def test_mutants_are_repeatable() -> None:
    data = bytes(range(256)) * 4
    for name in ("flip", "truncate", "flip bit", "scramble", "edit protobuf", "edit text"):
        make = MUTATIONS[name].make
        assert [make(data, number, 5) for number in range(20)] == [make(data, number, 5) for number in range(20)]
        assert len({make(data, number, 5) for number in range(20)}) > 10


@pytest.mark.parametrize("target", TARGETS)
def test_models_are_whole_before_they_are_damaged(target: str, tmp_path: Path) -> None:
    TARGETS[target].write(tmp_path)
    assert look(str(tmp_path / TARGETS[target].opened)).verdict == "clean"


# -- the campaigns notice what they are for --


BAD = """
import os, sys, time
import campaign.worker as worker
from campaign.looking import Looked
number = -2
def look(path, whole=None):
    global number
    number += 1
    if number == 2: raise ValueError("not ours")
    if number == 4: os.abort()
    if number == 6: bytearray(400 << 20)
    if number == 8: time.sleep(30)
    return Looked("clean", "the value of 'x' is wrong and called good" if number == 3 else "")
worker.look = look
worker.main()
"""


def test_failures_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad_worker.py").write_text(BAD)
    monkeypatch.setattr(running, "HANG_SECONDS", 2.0)
    monkeypatch.setattr(running, "WORKER", [str(tmp_path / "bad_worker.py")])
    found = run("data", "flip bit", tmp_path, seed=1, count=9)
    assert found.mutants == 9
    assert [failure.partition(":")[0] for failure in found.failures[:3]] == ["2", "3", "4"]
    said = "\n".join(found.failures)
    assert "ValueError: not ours (bad_worker.py" in said
    assert "wrong and called good" in said
    assert "the process ended with -6" in said
    report = table([found])
    assert "| data | flip bit | 9 |" in report
    assert json.dumps(len(found.failures)) in report


def test_a_table_of_nothing() -> None:
    assert "0 mutants, 0 failures" in table([Result("data", "flip")][:0])
