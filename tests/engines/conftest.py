"""The engine that `make test-engines` names, and the proof that the tests leave nothing on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engine.client import Engine
from tests.docker.conftest import _nothing_is_left, engine, run_id
from tests.engines.under import Under

__all__ = ["_nothing_is_left", "engine", "pytest_collection_modifyitems", "run_id", "under"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `docker`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def under(engine: Engine) -> Under:
    """What the tests run under."""
    return Under.of(engine)
