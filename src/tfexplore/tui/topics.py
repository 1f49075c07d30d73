"""What may be shown, and what may have changed."""

from __future__ import annotations

from enum import Enum


class Tab(Enum):
    """A tab of the explorer."""

    EXPLORE = "explore"
    PREDICT = "predict"
    FINETUNE = "finetune"
    SAFETY = "safety"


class Topic(Enum):
    """What has changed, told to whoever draws it."""

    HEADER = "header"
    LIST = "list"
    ROWS = "rows"
    FLAT = "flat"
    FLAT_ROWS = "flat rows"
    CURSOR = "cursor"
    DETAIL = "detail"
    PREDICT = "predict"
    FINETUNE = "finetune"
    SAFETY = "safety"
    TAB = "tab"
