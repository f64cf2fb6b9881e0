"""What the tests of trials share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from tests.unit.silent_engine import silent_engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    silent = silent_engine()
    yield silent
    silent.close()
