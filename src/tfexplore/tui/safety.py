"""The state of the Safety tab: what the scan of one model has found so far, and where the cursor stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tfexplore.core import text
from tfexplore.core.model import Model
from tfexplore.core.scan_finding import Finding
from tfexplore.core.subjects import FindingSubject, SectionSubject, Subject
from tfexplore.errors import Cancelled, TfexploreError
from tfexplore.loader import Loader, Progress

LEVELS = ("high", "medium", "note")
SCAN = "scan"
_WHAT = (
    "Every node of every graph is looked at, in functions and in constants too: what could touch files, the network "
    "or other code, when, and with which arguments. Nothing of the model is run."
)


class Safety:
    """One model's scan.

    Args:
        model: what is scanned.
        loader: scans for it.
        tell: called in the event loop after a change.

    Attributes:
        findings: in the order of the scan, the worst first once it has ended.
        cursor: the number of the finding that is looked at.
        state: `waiting` before the scan, `running`, `done`, `cancelled`, or `failed`.
        progress: how much has been looked at, in words.
        problem: why it failed.
    """

    def __init__(self, model: Model, loader: Loader, tell: Callable[[], None]) -> None:
        self.model = model
        self.findings: list[Finding] = []
        self.cursor = 0
        self.state = "waiting"
        self.progress = ""
        self.problem = ""
        self._loader = loader
        self._tell = tell

    async def scan(self) -> None:
        """Scans the model, unless that is done or under way; a scan that was cancelled begins anew."""
        if self.state in ("running", "done"):
            return
        self.findings, self.cursor, self.state, self.problem = [], 0, "running", ""
        self._tell()
        try:
            async for batch in self._loader.findings(self.model, on_progress=self._progressed, channel=SCAN):
                self.findings += batch
                self._tell()
            self.findings.sort(key=lambda found: LEVELS.index(found.level))
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except TfexploreError as error:
            self.state, self.problem = "failed", text.visible(str(error))
        finally:
            if self.state == "running":
                self.state = "cancelled"
            self._tell()

    def _progressed(self, progress: Progress) -> None:
        share = f" {100 * progress.done // progress.total} %" if progress.total else ""
        self.progress = progress.what + share
        self._tell()

    @property
    def level(self) -> str | None:
        """The worst level found so far; None where nothing was."""
        return next((level for level in LEVELS if any(found.level == level for found in self.findings)), None)

    @property
    def sentence(self) -> str:
        """What there is to say beside the list: how far it is, how much was found."""
        counts = Counter(found.level for found in self.findings)
        counted = ", ".join(f"{text.count(counts[level])} {level}" for level in LEVELS if counts[level])
        if self.state == "running":
            return f"scanning ({self.progress or 'it begins'})" + (f": {counted} so far" if counted else "")
        if self.state == "failed":
            return f"not scanned: {self.problem}"
        if self.state == "cancelled":
            return f"cancelled after {counted or 'nothing'}: r scans again"
        if self.state == "waiting":
            return "not scanned yet"
        return counted or "nothing found: no file, network or foreign code beyond the model's own"

    @property
    def subject(self) -> Subject:
        """What the detail pane shows of it: the finding under the cursor, or what a scan looks for."""
        if self.cursor < len(self.findings):
            return FindingSubject(self.model, self.findings[self.cursor])
        return SectionSubject("Safety", f"{_WHAT} {self.sentence[:1].upper()}{self.sentence[1:]}.")

    def move_to(self, line: int) -> bool:
        """Moves the cursor; tells whether it moved."""
        line = max(0, min(line, len(self.findings) - 1))
        if line == self.cursor:
            return False
        self.cursor = line
        return True
