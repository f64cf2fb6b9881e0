"""Makes the loops of runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.records.layout import RunDir
from runner.recovery import supervisor
from runner.spec import Budget
from tests.unit.run.loop_rig import LoopRig, Rigs


@pytest.fixture
def make(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rigs]:
    """Makes the loop of a run with that budget; dead parts are started again at once."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    made: list[LoopRig] = []

    def make(role: str = "optimizer", **budget: float) -> LoopRig:
        made.append(LoopRig(run_dir, Budget.model_validate(budget), role))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
