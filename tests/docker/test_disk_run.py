"""A whole run whose agent fills its disk turn after turn is suspended, and can be resumed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.prompts import read_prompts
from runner.records.schema import Event
from runner.sandbox.removal import remove_run
from tests.docker.commands import a_seed
from tests.docker.whole_runs import copy_checkout

LIMITS = "runner/limits.toml"
USUAL, SMALL_MB = "disk_mb = 8192", 384
RUN_SECONDS = 800.0
MB = 1 << 20
# In a process of its own, from a copy of the checkout whose limits are lower.
PROGRAM = """
import sys
from pathlib import Path
from runner import options
from runner.engine.client import Engine
from runner.errors import SuspendedError
from runner.options import RunOptions
from runner.run import lifecycle
from runner.spec import Budget, read_spec

runs, run_id, engine = Path(sys.argv[1]), sys.argv[2], Engine.connect()
asked = RunOptions(seed=1, trial_seconds=1.0, rehearsal=True)
spec = options.agent_run("gpt", asked, Budget(trials=1), {})
# A turn may begin several before it is ended.
spec = spec.model_copy(update={"run_id": run_id, "rehearsal_plan": ("flood",) * 12})
try:
    lifecycle.start(spec, engine, runs, lambda *_: None)
except SuspendedError as suspended:
    print("suspended:", suspended.why, suspended.by)
plan = ("tidy", *("baseline",) * 14)
key = spec.api_key
spec = read_spec(runs, run_id).model_copy(update={"rehearsal_plan": plan, "api_key": key})
result = lifecycle.resume(spec, engine, runs, lambda *_: None)
print("ended:", result.ended_by)
"""


def test_a_run_that_fills_its_disk_is_suspended_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    """Three turns are ended, each later one is told, and the resumed run clears up and works."""
    checkout, runs = tmp_path / "checkout", tmp_path / "runs"
    copy_checkout(checkout)
    limits = (checkout / LIMITS).read_text()
    assert limits.count(USUAL) == 1
    (checkout / LIMITS).write_text(limits.replace(USUAL, f"disk_mb = {SMALL_MB}"))
    run_id = f"test-disk-s{a_seed()}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(runs), run_id], cwd=checkout,
            capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
    finally:
        left = remove_run(engine, run_id)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "suspended: disk disk\n" in done.stdout
    assert "ended: trials\n" in done.stdout
    assert left == 0, "something was left on the engine"
    _check_journal(list(read_lines(RunDir(runs / run_id).events, Event)))
    _check_prompts(RunDir(runs / run_id))


def _check_journal(events: list[Event]) -> None:
    """The bound was passed in each of the three turns, and the suspension has its cause."""
    passed = [event.fields for event in events if event.event == "disk.exceeded"]
    assert [fields["turn"] for fields in passed[:3]] == [1, 2, 3]
    assert all(fields["cut"] and fields["bytes"] > SMALL_MB * MB for fields in passed[:3])
    suspended = next(event.fields for event in events if event.event == "run.suspended")
    assert (suspended["why"], suspended["cause"]) == ("disk", "disk")
    assert "runner/limits.toml" in suspended["detail"]


def _check_prompts(run_dir: RunDir) -> None:
    """What the later turns began with is kept with the run, and names what to delete."""
    told = [one.text for one in read_prompts(run_dir) if "ballast-" in one.text]
    assert len(told) >= 3
    assert all(f"may hold {SMALL_MB} MB" in text for text in told)
