"""The explorer, which notes each run of the Fine-tune tab: `python benchmarks/screen_app.py MODEL STEPS NOTES`.

A line a run: the steps, the seconds that they took, and the processor time that the explorer took meanwhile. The form's
row `steps` holds STEPS.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tfexplore.core import finetune_form
from tfexplore.tui.app import run_app
from tfexplore.tui.finetune import Finetune


def main() -> None:
    model, steps, notes = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    finetune_form.STEPS = steps
    told, taken = Finetune._ran, Finetune._steps
    began = 0.0

    async def timing(self: Finetune, stretch: Any) -> None:
        nonlocal began
        began = time.process_time()
        await taken(self, stretch)

    def noting(self: Finetune, ran: Any, steps: int) -> None:
        told(self, ran, steps)
        with notes.open("a") as file:
            file.write(f"{ran.done} {ran.seconds} {time.process_time() - began}\n")

    Finetune._ran, Finetune._steps = noting, timing  # type: ignore[method-assign]
    run_app(model)


if __name__ == "__main__":
    main()
