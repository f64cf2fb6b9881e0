"""Results of runs, as tests want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.metrics import VAL_BPB
from runner.records.files import to_json
from runner.records.layout import RunDir
from runner.records.schema import Event, Record, RunResult, Spent, TrialRecord
from runner.spec import Budget, RunSpec

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


def at(seconds: float) -> str:
    """A moment so many seconds after `WHEN`."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(seconds: float, name: str, /, **fields: Any) -> Event:
    """An event of a journal, so many seconds after `WHEN`."""
    return Event(at=at(seconds), event=name, fields=fields)


def made_trial(number: int, value: float | None, **fields: Any) -> TrialRecord:
    """A line of the ledger, a minute for each trial; without a value, of a crashed trial."""
    usual: dict[str, Any] = {
        "source": "agent", "status": "crash" if value is None else "ok", "judged": True,
        "train_seconds": 5.0, "ended_at": at(60 * number), "hypothesis": f"idea {number}",
    }  # fmt: skip
    return TrialRecord(trial=number, request=f"r{number}", value=value, **(usual | fields))


def made_run(
    folder: Path,
    run_id: str = "gpt-s1",
    *,
    events: Iterable[Event] = (),
    trials: Iterable[TrialRecord] = (),
    budget: Mapping[str, float] = {"trials": 10},
    result: RunResult | None = None,
    **asked: Any,
) -> RunDir:
    """The directory of a run as its runner writes it; `asked` are fields of its spec."""
    contestant, _, seed = run_id.rpartition("-s")
    usual: dict[str, Any] = {
        "run_id": run_id, "kind": "agent", "contestant": contestant, "seed": int(seed),
        "task": "pystdlib", "metric": VAL_BPB, "budget": Budget.model_validate(budget),
        "trial_seconds": 60.0,
    }  # fmt: skip
    run_dir = RunDir(folder / run_id)
    run_dir.path.mkdir(parents=True)
    run_dir.spec.write_text(RunSpec(**(usual | asked)).model_dump_json())
    add_lines(run_dir.events, events)
    add_lines(run_dir.trials, trials)
    if result is not None:
        run_dir.result.write_text(to_json(result))
    return run_dir


def add_lines(path: Path, records: Iterable[Record]) -> None:
    """Append records to a file; none make no file."""
    lines = [record.model_dump_json() + "\n" for record in records]
    if lines:
        with path.open("a") as file:
            file.writelines(lines)
