"""Makes screenshots/*.svg from the explorer on the demo model: `make screenshots`."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

SHOTS = {
    # name: (model, size, keys)
    "explorer": ("ranker", (120, 36), [*"jjjjjjjj", "enter", "j", "enter", "j", "j", "enter"]),
    "training": ("training", (80, 24), ["end", "enter", "j", "enter", "j", "enter"]),
    "graph": ("ranker", (120, 36), ["t", "slash", *"op:MatMul", "enter"]),
    "neighbours": ("ranker", (120, 36), ["slash", *"op:MatMul", "enter", "h"]),
    "values": ("ranker", (120, 36), ["colon", *"dense_1/kernel", "enter", "v", "x"]),
    "finetune": ("ranker", (120, 36), ["3"]),
}
# Textual's SVG names web fonts by address; a viewer's own monospaced font does as well.
_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


async def shoot(name: str) -> None:
    """Opens the demo, presses the keys and writes the screen."""
    from tfexplore.demo import FOLDER
    from tfexplore.tui.app import ExplorerApp

    model, size, keys = SHOTS[name]
    app = ExplorerApp(str(FOLDER / model))
    async with app.run_test(size=size) as pilot:

        async def settled() -> None:
            deadline, quiet = time.monotonic() + 20, 0
            while quiet < 20:
                await pilot.pause(0.01)
                waits = app.session.loader.tasks.running or app.session.status or app.session.model is None
                quiet = 0 if waits else quiet + 1
                if time.monotonic() > deadline:
                    sys.exit(f"{name}: the explorer did not settle")

        await settled()
        for key in keys:
            await pilot.press(key)
            await settled()
        picture = _FONT_FACE.sub("", app.export_screenshot(title="tfexplore"))
    (ROOT / "screenshots" / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    for shot in SHOTS:
        asyncio.run(shoot(shot))
