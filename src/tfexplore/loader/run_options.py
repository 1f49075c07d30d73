"""How the person wants models to be run, as the command line said."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tfexplore.runtime.records import Options


class RunOptions(NamedTuple):
    """For every model of a session.

    Attributes:
        child: how the child is run; None for the defaults.
        trust: whether models are run although a scan finds something of level high.
        timeout: seconds for loading, and for a call.
        script: what to start in place of the child, for tests.
    """

    child: Options | None = None
    trust: bool = False
    timeout: float | None = None
    script: str | None = None
