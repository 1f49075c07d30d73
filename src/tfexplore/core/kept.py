"""What was found out by reading all values of a key, kept while the files stay what they were."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Protocol


class _Files(Protocol):
    def replaced(self) -> bool: ...


class Kept:
    """Findings by kind and key, each with the files that it stands on; the oldest go where they become too many.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, str], tuple[_Files, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, files: _Files, kind: str, key: str, value: Any) -> None:
        """Keeps a finding."""
        with self._lock:
            self._found[kind, key] = files, value
            self._found.move_to_end((kind, key))
            if len(self._found) > self._most:
                self._found.popitem(last=False)

    def get(self, files: _Files, kind: str, key: str) -> Any | None:
        """The finding, where it stands on these files and nobody wrote to them since; else None."""
        with self._lock:
            found = self._found.get((kind, key))
        if found is None or found[0] is not files or files.replaced():
            return None
        return found[1]

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._found.clear()
