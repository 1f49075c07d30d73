"""Keeps which actions the tests of the explorer have had done, for the test that asks whether it was all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.dom import DOMNode

from tui.driving import DONE

LAST = "test_every_action_was_done_by_a_test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test that asks for all actions is the last of all."""
    items.sort(key=lambda item: item.name == LAST)


@pytest.fixture(autouse=True, scope="session")
def _recorded() -> Iterator[None]:
    original = App._dispatch_action

    async def recording(self: App[Any], namespace: DOMNode, action_name: str, params: Any) -> bool:
        DONE.add((type(namespace), action_name, tuple(params)))
        return await original(self, namespace, action_name, params)

    App._dispatch_action = recording  # type: ignore[method-assign]
    yield
    App._dispatch_action = original  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def whole_run(request: pytest.FixtureRequest) -> None:
    """Skips unless every file of these tests takes part."""
    folder = Path(__file__).parent
    taken = {Path(item.path) for item in request.session.items}
    missing = sorted(path.name for path in folder.glob("test_*.py") if path not in taken)
    if missing or request.config.option.keyword:
        pytest.skip(f"only with all tests of the explorer: without {', '.join(missing) or 'a choice of names'}")
