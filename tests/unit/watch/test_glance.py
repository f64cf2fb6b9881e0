"""A run at a glance: its state in words, its budgets, its last sign of life."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from runner import ps
from runner.cli.terminal import print_table
from runner.records.clock import keep_reading
from runner.records.schema import Best, ClockReading, Spent
from runner.run_lock import held
from runner.watch import ages
from runner.watch.budgets import bar
from runner.watch.glance import glance
from tests.run_results import event, made_run, made_trial, run_result

NOW = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=200)
SPENT = Spent(wall_seconds=150.0, train_seconds=10.0, trials=2, usd=1.25, tokens=900)
READING = event(150, "clock.read", **SPENT.model_dump())
BUDGET = {"hours": 1.0, "trials": 3, "usd": 5.0}


def test_a_running_run(tmp_path: Path) -> None:
    """Time goes on since the clock was read; the budget that is nearest to its end comes first."""
    run_dir = made_run(
        tmp_path, events=[event(0, "run.started"), READING], budget=BUDGET,
        trials=[made_trial(1, 2.5), made_trial(2, 2.3, ended_at=event(170, "").at)],
    )  # fmt: skip
    with held(run_dir):
        run = glance(run_dir, NOW)
    assert (run.kind, run.state, run.trials, run.best) == ("running", "running", 2, 2.3)
    assert [(share.name, share.percent) for share in run.shares] == [
        ("trials", "66%"), ("usd", "25%"), ("hours", "5%"),
    ]  # fmt: skip
    assert run.spent is not None
    assert (run.usd, run.spent.wall_seconds) == ("$1.25", 200.0)
    assert ages.seconds_since(run.seen_at, NOW) == 30.0


def test_the_clocks_file_is_a_sign_of_life(tmp_path: Path) -> None:
    """It is replaced each second, also while nothing happens that the journal would tell."""
    run_dir = made_run(tmp_path, events=[event(0, "run.started"), READING])
    keep_reading(run_dir, ClockReading(spent=Spent()))
    moment = NOW.timestamp() - 1.0
    os.utime(run_dir.clock, (moment, moment))
    with held(run_dir):
        assert ages.seconds_since(glance(run_dir, NOW).seen_at, NOW) == 1.0


@pytest.mark.parametrize(
    ("events", "kind", "words"),
    [
        (["run.started", "clock.read"], "died", "its runner died: `make resume RUN=gpt-s1`"),
        (["run.started", "run.suspended"], "suspended", "suspended (no reason given): `make"),
        (["run.started", "run.suspended", "run.resumed"], "died", "its runner died"),
        ([], "died", "its runner died"),
    ],
)
def test_a_run_without_a_runner(tmp_path: Path, events: list[str], kind: str, words: str) -> None:
    """How its last life ended says what it is, and what to do."""
    run_dir = made_run(tmp_path, events=[event(n, name) for n, name in enumerate(events)])
    run = glance(run_dir, NOW)
    assert run.kind == kind
    assert run.state.startswith(words)


def test_an_ended_run(tmp_path: Path) -> None:
    """Its result counts, and time stands still."""
    result = run_result(
        "gpt-s1", spent=SPENT, rehearsed=True, best_verified=Best(value=2.4, trial=1)
    )
    run_dir = made_run(tmp_path, events=[READING], budget=BUDGET, result=result, rehearsed=True)
    run = glance(run_dir, NOW)
    assert (run.kind, run.state, run.usd) == ("ended", "ended by trials", "$1.25*")
    assert (run.verified, run.spent) == (2.4, SPENT)
    run_dir.spec.unlink()
    assert glance(run_dir, NOW).usd == "$1.25*"
    run_dir.result.write_text("{")
    assert glance(run_dir, NOW).state == "ended; result.json is unreadable"


def test_a_directory_of_garbage_is_a_row(tmp_path: Path) -> None:
    """No content of a directory stops the list of all runs."""
    for name in ("spec.json", "trials.jsonl", "events.jsonl", "result.json"):
        (tmp_path / "a-s1" / name).mkdir(parents=True)
        (tmp_path / "b-s1").mkdir(exist_ok=True)
        (tmp_path / "b-s1" / name).write_bytes(b'{"budget": 1}\n\xff\x00[[[\n')
    table = ps.runs_table(tmp_path, NOW)
    assert list(table.columns[0].cells) == ["a-s1", "b-s1"]
    assert list(table.columns[6].cells) == ["–", "–"]


@pytest.mark.parametrize("width", [90, 200])
def test_a_hostile_name_is_text(tmp_path: Path, width: int) -> None:
    """What ended a run is printed as it is: no markup, no control characters."""
    hostile = "[red]x[/]\x1b[2J\x9b2J"
    made_run(tmp_path, result=run_result("gpt-s1", ended_by=hostile))
    console = Console(width=width, record=True, force_terminal=False)
    console.print(ps.runs_table(tmp_path, NOW))
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "[red]x[/]" in shown.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("part", "shown"), [(0, "░░░░"), (0.01, "█░░░"), (0.5, "██░░"), (0.99, "███░"), (1, "████")]
)
def test_a_bar_is_full_at_the_end_only(part: float, shown: str) -> None:
    """Nobody takes a budget for spent that is not, or for untouched."""
    assert bar(part, 4) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7300, "2 h"), (200_000, "2 d")],
)
def test_ages_are_short(seconds: float | None, words: str) -> None:
    """Two digits and a unit."""
    assert ages.in_words(seconds) == words


def test_sixty_runs_are_listed_at_once(tmp_path: Path) -> None:
    """60 runs with 174 trials each and long journals: the aim is 0.3 s; five times that is held."""
    trials = [made_trial(number, 3 - number / 1000) for number in range(1, 175)]
    events = [event(15 * n, "clock.read", **SPENT.model_dump()) for n in range(500)]
    for seed in range(1, 61):
        made_run(tmp_path, f"gpt-s{seed}", trials=trials, events=events)
    began = time.process_time()
    table = ps.runs_table(tmp_path, NOW)
    assert time.process_time() - began < 1.5
    assert table.row_count == 60


def test_a_narrow_terminal_gets_paragraphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 40 columns nothing is cut off."""
    monkeypatch.setenv("COLUMNS", "40")
    made_run(tmp_path, "gemini-s12", events=[READING], budget=BUDGET)
    print_table(ps.runs_table(tmp_path, NOW))
    shown = capsys.readouterr().out
    assert "gemini-s12" in shown
    assert "make stop RUN=gemini-s12" in " ".join(shown.split())


def test_devices_with_a_price_are_in_what_is_spent(tmp_path: Path) -> None:
    """Beside the model's dollars of an agent, and alone of a baseline; the total has its bar."""
    spent = SPENT.model_copy(update={"device_seconds": 1800.0})
    result = run_result("gpt-s1", spent=spent)
    budget = {"total_usd": 4.5, "compute_usd_per_hour": 2.0}
    agent = glance(made_run(tmp_path, events=[READING], budget=budget, result=result), NOW)
    assert agent.usd == "$1.25 + $1.00 compute"
    assert [(share.name, share.percent) for share in agent.shares] == [("total_usd", "50%")]
    assert agent.shares[0].bar(4).startswith("total ")
