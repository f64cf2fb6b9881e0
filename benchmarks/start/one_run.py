"""One rehearsed run, in a process of its own that whoever measures it ends: see `start_of_run`.

python -m benchmarks.start.one_run RUNS RUN_ID AGENT proved|unproved
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from runner import options
from runner.engine.client import Engine
from runner.options import RunOptions
from runner.run import lifecycle
from runner.run.lock_proof import prove_lock
from runner.spec import Budget

PROVED = "proved"


def main(runs: str, run_id: str, agent: str, lock: str) -> None:
    """See the run through, with the proof of its lock or without it."""
    asked = RunOptions(seed=1, rehearsal=True, verify="none", unsafe=True)
    spec = options.agent_run(agent, asked, Budget(hours=1), {})
    spec = spec.model_copy(update={"run_id": run_id})
    prove = prove_lock if lock == PROVED else lambda *_: nullcontext()
    lifecycle.start(spec, Engine.connect(), Path(runs), lambda *_: None, prove)


if __name__ == "__main__":
    main(*sys.argv[1:])
