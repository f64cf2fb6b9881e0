"""Results of runs, as tests want them."""

from __future__ import annotations

from typing import Any

from runner.metrics import VAL_BPB
from runner.records.schema import RunResult, Spent

WHEN = "2026-01-01T00:00:00.000Z"


def run_result(run_id: str, **fields: Any) -> RunResult:
    """The result of a run that its budget of trials ended; any field may be given."""
    contestant, _, seed = run_id.rpartition("-s")
    usual: dict[str, Any] = {
        "run_id": run_id, "contestant": contestant, "kind": "agent", "seed": int(seed),
        "task": "pystdlib", "metric": VAL_BPB, "rehearsed": False, "ended_by": "trials",
        "cause": "budget", "began_at": WHEN, "ended_at": WHEN, "budget": {}, "spent": Spent(),
    }  # fmt: skip
    return RunResult(**(usual | fields))
