"""Who holds a run, how it is asked to stop, and what its journal says it had spent."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runner import run_lock
from runner.errors import UserError
from runner.metrics import VAL_BPB
from runner.records.files import append_line
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Event, Spent, TrialRecord, UsageRecord
from runner.run.spent import last_spent
from runner.spec import Budget, RunSpec, read_spec
from tests.unit.run.rig import Hands


def spec() -> RunSpec:
    return RunSpec(
        run_id="gpt-s1", kind="agent", contestant="gpt", seed=1, task="pystdlib", metric=VAL_BPB,
        budget=Budget(trials=1), trial_seconds=5,
    )  # fmt: skip


def test_a_run_is_held_by_one_runner(run_dir: RunDir) -> None:
    """A second runner is refused while the first has it, and not afterwards."""
    assert not run_lock.alive(run_dir)
    with run_lock.held(run_dir):
        assert run_lock.alive(run_dir)
        with pytest.raises(UserError, match="a runner has it") as caught, run_lock.held(run_dir):
            pass
        assert "make stop RUN=gpt-s1" in caught.value.hint
    assert not run_lock.alive(run_dir)


def test_a_run_is_known_to_be_held_from_another_folder(run_dir: RunDir, tmp_path: Path) -> None:
    """Its containers would be taken for a dead run's by whoever looks at one folder alone."""
    elsewhere = RunDir(tmp_path / "elsewhere" / run_dir.path.name)
    assert not run_lock.held_anywhere(run_dir.path.name)
    with run_lock.held(run_dir):
        assert not run_lock.alive(elsewhere)
        assert run_lock.held_anywhere(run_dir.path.name)
    assert not run_lock.held_anywhere(run_dir.path.name)


def test_a_live_run_is_asked_to_stop(run_dir: RunDir) -> None:
    """The request reaches the runner that holds the run, and says whose it was."""
    with run_lock.held(run_dir), run_lock.stop_signals(run_dir) as asked:
        assert asked() is None
        assert run_lock.request_stop(run_dir.path.parent, "gpt-s1")
        assert asked() == "`bakeoff stop`"


def test_a_dead_run_is_not_asked(run_dir: RunDir) -> None:
    """Nobody would read the request, so none is left for a later life of the run."""
    assert not run_lock.request_stop(run_dir.path.parent, "gpt-s1")
    assert list(run_dir.path.iterdir()) == []


def test_an_unknown_run_cannot_be_stopped(tmp_path: Path) -> None:
    """A run that is not there is an error, and no directory is made for it."""
    with pytest.raises(UserError, match="no such run"):
        run_lock.request_stop(tmp_path, "gpt-s9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_once_and_insists_the_second_time(
    run_dir: RunDir, number: signal.Signals
) -> None:
    """The first Ctrl-C ends the run gracefully, the second one at once; then all is as before."""
    before = signal.getsignal(number)
    hands = Hands(100.0)
    with run_lock.stop_signals(run_dir, hands) as asked:
        os.kill(os.getpid(), number)
        assert asked() == f"{number.name} to the runner"
        hands.at += run_lock.INSIST_SECONDS
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_wish_that_arrives_twice_is_one_wish(run_dir: RunDir) -> None:
    """A terminal that closes, and make beside its child, send the same signal two times."""
    hands = Hands(100.0)
    with run_lock.stop_signals(run_dir, hands) as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        hands.at += 0.9 * run_lock.INSIST_SECONDS
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == "SIGTERM to the runner"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_comes_before_a_run_is_interrupted_at_once(number: signal.Signals) -> None:
    """The first signal ends it as Ctrl-C does; then all is as before."""
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), run_lock.interrupted_by_signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_closed_terminal_changes_nothing(run_dir: RunDir) -> None:
    """What a referee does, and what comes before a run, outlives its terminal."""
    before = signal.getsignal(signal.SIGHUP)
    with run_lock.stop_signals(run_dir) as asked:
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked() is None
    with run_lock.interrupted_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is before


def test_what_was_ignored_before_stays_ignored(run_dir: RunDir) -> None:
    """A shell starts a command in the background so that Ctrl-C is not for it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with run_lock.stop_signals(run_dir) as asked:
            os.kill(os.getpid(), signal.SIGINT)
            assert asked() is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_spec_is_read_back(run_dir: RunDir) -> None:
    """What was written is what is read."""
    run_dir.spec.write_text(spec().model_dump_json())
    assert read_spec(run_dir.path.parent, "gpt-s1") == spec()


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"run_id": 1}'])
def test_a_broken_spec_is_an_error(run_dir: RunDir, text: str) -> None:
    """A spec that was cut or edited is named, not guessed at."""
    run_dir.spec.write_text(text)
    with pytest.raises(UserError, match=r"reading .*spec\.json"):
        read_spec(run_dir.path.parent, "gpt-s1")


def test_a_missing_spec_is_an_error(tmp_path: Path) -> None:
    """The error says where it was looked for and how to see what there is."""
    with pytest.raises(UserError, match="gpt-s7") as caught:
        read_spec(tmp_path, "gpt-s7")
    assert "make ps" in caught.value.hint


def write_at(run_dir: RunDir, second: int, event: str, **fields: object) -> None:
    """One event of the journal, at that second of a fixed minute."""
    at = f"2026-01-01T00:00:{second:02d}.000Z"
    append_line(run_dir.events, Event(at=at, event=event, fields=fields))


def test_time_goes_on_from_the_last_reading_to_the_last_event(run_dir: RunDir) -> None:
    """A life's time counts to its last sign; the time in which no runner lived does not."""
    assert last_spent(run_dir) == Spent()
    write_at(run_dir, 10, "clock.read", **Spent(wall_seconds=9, elapsed_seconds=12).model_dump())
    write_at(run_dir, 14, "trial.started")
    assert last_spent(run_dir) == Spent(wall_seconds=13, elapsed_seconds=16)
    write_at(run_dir, 50, "run.resumed")
    assert last_spent(run_dir).wall_seconds == 13


@pytest.mark.parametrize("event", ["engine.failed", "run.suspended"])
def test_waiting_for_an_engine_is_no_time_of_the_run(run_dir: RunDir, event: str) -> None:
    """It was gone for the night, and the run was suspended in the morning."""
    write_at(run_dir, 10, "clock.read", **Spent(wall_seconds=9, elapsed_seconds=9).model_dump())
    write_at(run_dir, 12, "trial.log")
    write_at(run_dir, 50, event)
    write_at(run_dir, 55, "run.suspended")
    assert last_spent(run_dir).wall_seconds == 11


def test_trials_and_money_are_counted_from_their_records(run_dir: RunDir) -> None:
    """What was recorded after the last reading of the clock counts too."""
    journal = Journal(run_dir)
    journal.write("clock.read", **Spent().model_dump())
    append_line(
        run_dir.trials,
        TrialRecord(trial=1, source="agent", request="r-1", status="ok", train_seconds=5.0),
    )
    for number in ("1", "2"):
        append_line(
            run_dir.usage,
            UsageRecord(
                at="", request=number, provider="openai", model="m", output_tokens=7, cost_usd=0.5
            ),
        )
    spent = last_spent(run_dir)
    assert (spent.trials, spent.train_seconds) == (1, 5.0)
    assert (spent.usd, spent.tokens, spent.requests) == (1.0, 14, 2)


def test_a_journal_goes_on_where_it_was_cut(run_dir: RunDir) -> None:
    """A reading that a crash tore is not believed; the one before it is."""
    journal = Journal(run_dir)
    journal.write("clock.read", **Spent(outage_seconds=1).model_dump())
    journal.write("clock.read", **Spent(outage_seconds=2).model_dump())
    whole = run_dir.events.read_bytes()
    run_dir.events.write_bytes(whole[:-20])
    assert last_spent(run_dir).outage_seconds == 1
    journal.write("run.resumed")
    assert [event.event for event in journal.events()] == ["clock.read", "run.resumed"]


def test_a_name_is_held_for_the_whole_machine(run_dir: RunDir, tmp_path: Path) -> None:
    """A run of the same id in another folder would have the same containers, so it has to wait."""
    elsewhere = RunDir(tmp_path / "elsewhere" / run_dir.path.name)
    elsewhere.path.mkdir(parents=True)
    with (
        run_lock.held(run_dir),
        pytest.raises(UserError, match="a runner has it"),
        run_lock.held(elsewhere),
    ):
        pass
    with run_lock.held(elsewhere):
        assert run_lock.alive(elsewhere)
