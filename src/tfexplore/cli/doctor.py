"""`tfexplore doctor`: what is here: TensorFlow, its interpreter, the sandbox, GPUs, the terminal, the clipboard."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output, terminal
from tfexplore.core import text

if TYPE_CHECKING:
    from tfexplore.runtime.look import Here


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns 0, whatever is missing: it only looks."""
    from tfexplore.errors import TensorFlowMissing
    from tfexplore.runtime.look import look

    here: Here | None = None
    problem: str | None = None
    try:
        here = look(options.tf_python)
        if here.tensorflow is None:
            from tfexplore.runtime.process import INSTALL

            problem = f"not installed for {here.executable}; {INSTALL}"
    except TensorFlowMissing as error:
        problem = str(error)
    seen = terminal.look()
    if options.json:
        output.write(output.json_text(_document(here, problem, seen)))
        return diagnostics.DONE
    for name, line in _lines(here, problem, seen):
        output.write(
            f"{name}\t{text.visible(line)}" if not output.is_terminal() else f"{name:<12} {text.visible(line)}"
        )
    return diagnostics.DONE


def _lines(here: Here | None, problem: str | None, seen: terminal.Terminal) -> list[tuple[str, str]]:
    lines = []
    if here is None or here.tensorflow is None:
        lines.append(("tensorflow", problem or ""))
    else:
        also = "".join(f", {name} {version}" for name, version in here.packages.items())
        lines.append(("tensorflow", f"{here.tensorflow} ({here.distribution}){also}"))
    if here is not None:
        lines.append(("interpreter", f"Python {here.python}, {here.executable}"))
        lines.append(("sandbox", here.sandbox.sentence()))
        gpu = f"{here.gpus} of NVIDIA; hidden from models but with --device gpu" if here.gpus else "none"
        lines.append(("gpu", f"{gpu} ({here.driver})" if here.driver else gpu))
    lines.append(("terminal", terminal.sentence(seen)))
    lines.append(("clipboard", terminal.clipboard(seen)))
    lines.append(("settings", terminal.settings()))
    lines.append(("tfexplore", __version__))
    return lines


def _document(here: Here | None, problem: str | None, seen: terminal.Terminal) -> dict[str, Any]:
    head: dict[str, Any] = {"schema": 1, "tfexplore": __version__, "path": None, "kind": None, "command": "doctor"}
    found: dict[str, Any] = {"tensorflow": None, "interpreter": None, "sandbox": None, "gpu": None}
    if here is not None:
        if here.tensorflow is not None:
            packages = dict(here.packages)
            found["tensorflow"] = {"version": here.tensorflow, "distribution": here.distribution, "packages": packages}
        found["interpreter"] = {"path": here.executable, "python": here.python}
        held = here.sandbox
        found["sandbox"] = {
            "landlock": held.landlock,
            "network": list(held.network),
            "whole": held.whole,
            "sentence": held.sentence(),
        }
        found["gpu"] = {"nvidia": here.gpus, "driver": here.driver}
    return {
        **head,
        **found,
        "problem": problem,
        "terminal": seen._asdict() if seen.columns else None,
        "clipboard": terminal.clipboard(seen),
        "settings": terminal.settings(),
    }
