"""A run that is followed: its trials, budgets, turns and states, as its files grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.records.layout import RunDir
from runner.records.schema import UsageRecord
from runner.run_lock import held
from runner.watch.followed import Followed
from tests.run_results import WHEN, add_lines, event, made_run, made_trial, run_result

START = datetime(2026, 1, 1, tzinfo=UTC)
QUEUED = event(60, "trial.queued", trial=2, request="r2", hypothesis="half the depth")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run with one trial that has ended."""
    events = [event(0, "run.started"), event(1, "turn.started", turn=1)]
    return made_run(tmp_path, events=events, trials=[made_trial(1, 2.5)])


def test_a_trial_is_followed_to_its_end(run_dir: RunDir) -> None:
    """Asked for, started, its progress and estimates as they come, then a line of the ledger."""
    run = Followed(run_dir)
    with held(run_dir):
        run.look(at(2))
        assert (run.kind, run.under_way(), len(run.trials)) == ("running", None, 1)
        add_lines(run_dir.events, [QUEUED])
        run.look(at(3))
        waiting = run.under_way()
        assert waiting is not None
        assert (waiting.number, waiting.started_at, waiting.hypothesis) == (
            *(2, None),
            "half the depth",
        )
        add_lines(run_dir.events, [event(70, "trial.started", trial=2)])
        log = run_dir.trial(2) / "train.log"
        log.parent.mkdir(parents=True)
        log.write_text(
            "compiling\nprogress: step=5 train_seconds=15.00 loss=2.1\nprogress: step=6 tr"
        )
        add_lines(run_dir.events, [event(80, "trial.estimated", fraction=0.25, value=2.2)])
        run.look(at(81))
        assert run.training is not None
        assert (run.training.part(60.0), run.training.line) == (0.25, "compiling")
        assert waiting.estimates == [(0.25, 2.2)]
        add_lines(run_dir.events, [event(82, "trial.repeated", trial=2, reason="the judge ended")])
        run.look(at(83))
        assert (waiting.estimates, waiting.repeated) == ([], "the judge ended")
        add_lines(run_dir.trials, [made_trial(2, 2.4)])
        add_lines(run_dir.events, [event(120, "trial.finished", trial=2)])
        run.look(at(121))
    assert run.under_way() is None
    assert (run.values, run.best) == ([2.5, 2.4], run.trials[1])


def test_the_states_of_a_run(run_dir: RunDir) -> None:
    """Running, its runner dead, suspended, ended; the lock of a run that lives is let alone."""
    run = Followed(run_dir)

    def state(seconds: float) -> str:
        run.look(at(seconds))
        return run.state

    assert state(61) == "running"  # its last sign of life is a second old
    assert state(90).startswith("its runner died")
    with held(run_dir):
        assert state(100) == "running"
    add_lines(run_dir.events, [event(101, "run.suspended", why="asked", detail="SIGTERM")])
    assert state(101) == "suspended (SIGTERM): `make resume RUN=gpt-s1`"
    run_dir.result.write_text(run_result("gpt-s1").model_dump_json())
    assert state(110) == "ended by trials"


def test_a_provider_that_fails_is_counted_until_it_answers(run_dir: RunDir) -> None:
    """Errors in a row; one good answer ends them."""
    run = Followed(run_dir)
    for status, failures in ((200, 0), (529, 1), (500, 2), (200, 0)):
        usage = UsageRecord(at=WHEN, request="r", provider="openai", model="m", status=status)
        add_lines(run_dir.usage, [usage])
        run.look(at(5))
        assert (run.failures, run.last_status) == (failures, status)


@pytest.mark.parametrize(
    "fields", [{}, {"trial": "x"}, {"trial": None}, {"trial": 2, "fraction": "a"}, {"value": []}]
)
def test_no_event_stops_the_following(run_dir: RunDir, fields: dict[str, object]) -> None:
    """Events of other versions may lack anything."""
    names = ("queued", "started", "repeated", "finished", "estimated", "taken_up")
    add_lines(run_dir.events, [event(5, f"trial.{name}", **fields) for name in names])
    add_lines(run_dir.events, [event(6, "clock.read", wall_seconds="x"), event(7, "turn.finished")])
    run = Followed(run_dir)
    run.look(at(8))
    assert run.spent(at(8)) is None


def test_what_happens_is_kept_without_what_is_told_elsewhere(run_dir: RunDir) -> None:
    """Outages and deaths are listed; readings of the clock and trials are not."""
    add_lines(
        run_dir.events,
        [event(2, "clock.read"), QUEUED, event(9, "gateway.outage_ended", seconds=30.0)],
    )
    run = Followed(run_dir)
    run.look(at(10))
    assert [each.event for each in run.happened] == ["run.started", "gateway.outage_ended"]
