"""One agent's run and one baseline's, to which everything happens that happens in a night."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.survival.__main__ import engine_socket
from benchmarks.survival.engine_gate import EngineGate
from benchmarks.survival.faults import KINDS, faults_of
from benchmarks.survival.measure import survive
from runner.engine.client import Engine
from runner.sandbox.removal import remove_run

from .commands import a_seed

# The aim is two seconds, which `make bench-survival` measures on an idle machine. Here other tests
# run beside it, and the journal, by which it is measured from outside, comes later.
BUSY_SECONDS = 6.0


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_survives_every_fault_in_turn(kind: str, engine: Engine, tmp_path: Path) -> None:
    """It ends by its budget, with every trial in the ledger once, and its sums are exact."""
    seed = a_seed()
    try:
        with EngineGate(tmp_path / "engine.sock", engine_socket()) as gate:
            faults = faults_of(kind, gate)
            came_to = survive(kind, tmp_path, engine, gate.address, faults, seed=seed)
    finally:
        for name in ("gpt", "random"):
            remove_run(engine, f"{name}-s{seed}")
    assert came_to.ended_by == "trials"
    assert came_to.trials == 2 * len(came_to.faults) + 1
    assert (came_to.lost, came_to.counted_twice, came_to.left) == (0, 0, [])
    assert came_to.wall_error_seconds <= BUSY_SECONDS
    assert came_to.training_error_seconds <= 0.1
    assert came_to.usd_error <= 1e-6
