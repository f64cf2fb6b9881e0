"""The scripted engine of the tests of a sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.sandbox.scripted_engine import ScriptedEngine


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    made = ScriptedEngine()
    yield made
    for container in made.containers_by_name.values():
        container.channel.close()  # one that was given up early was never attached to
        container.theirs.close()
