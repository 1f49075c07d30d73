"""Steps without a screen, of what the Fine-tune tab's form holds at first: `python benchmarks/screen_steps.py`.

`… write FOLDER` writes a dense model with rows beside it; `… run MODEL STEPS` takes steps twice, and prints the seconds
of the second run: by then all is compiled.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tfexplore.core import data_peek, finetune_form, finetune_made
from tfexplore.core.opener import open_model
from tfexplore.core.plan import target
from tfexplore.loader.running import Runner
from tfexplore.loader.tuning import Tuner
from tfexplore.runtime.records import Options


async def seconds(path: str, steps: int) -> float:
    with open_model(path) as model:
        found = finetune_form.choices(model)
        number = finetune_form.first_choice(found)
        choice, labels = found[number], finetune_form.labels(model, found)
        seen = finetune_form.see(model, choice)
        peeked = data_peek.peek(seen.beside or "")
        form = finetune_form.make_form(labels, choice, labels[number], seen, {}, peeked)
        made = finetune_made.make(form, {}, finetune_made.all_variables(choice.meta_graph))
        assert made.plan is not None, made.errors
        assert made.stretch is not None
        runner = Runner(target(model, choice.meta_graph), Options())
        tuner = Tuner(runner, made.plan, lambda report: None)
        try:
            await tuner.prepare()
            await tuner.run(steps, learning_rate=made.stretch.learning_rate)
            return (await tuner.run(steps, learning_rate=made.stretch.learning_rate)).seconds
        finally:
            await runner.close()


def main() -> None:
    if sys.argv[1] == "write":
        import tuning_steps

        folder = Path(sys.argv[2])
        tuning_steps.write_dense(folder)
        tuning_steps.write_rows("dense", folder)
    else:
        print(asyncio.run(seconds(sys.argv[2], int(sys.argv[3]))))


if __name__ == "__main__":
    main()
