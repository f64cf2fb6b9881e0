"""The live view fits terminals of any size, and shows strangers' text as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from runner.devices.queue import Entry
from runner.devices.queue_folder import FOLDER, QueueFolder
from runner.devices.signs import Sign
from runner.records.layout import RunDir, make_shared, shared_path
from runner.records.schema import Spent, UsageRecord
from runner.run_lock import held
from runner.watch.followed import Followed
from runner.watch.live import OneRun, RunningRuns, show, show_once
from runner.watch.panels import overview, plain, view
from tests.run_results import WHEN, add_lines, event, made_run, made_trial, run_result

NOW = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=2460)
HOSTILE = "[red]x[/] :smile: \x1b[2J\x1b]0;t\x07 \u202e \u200b \r\n 中中中 " + "w" * 900
SPENT = Spent(wall_seconds=1800.0, train_seconds=200.0, trials=40, usd=1.25, requests=3)
HAPPENED = [
    event(0, "run.started"),
    event(2, "turn.started", turn=3),
    event(900, "gateway.outage_ended", seconds=34.0, reason=HOSTILE),
    event(2410, "trial.queued", trial=41, hypothesis=HOSTILE),
    event(2420, "trial.started", trial=41),
    event(2440, "trial.estimated", fraction=0.25, value=2.2134),
    event(2450, "clock.read", **SPENT.model_dump()),
]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run of forty trials, with one under way, all texts of which are hostile."""
    trials = [
        made_trial(n, None if n % 7 == 0 else 3 - n / 50, hypothesis=HOSTILE, reason="")
        for n in range(1, 41)
    ]
    budget = {"hours": 1.0, "trials": 50, "usd": 5.0}
    run_dir = made_run(tmp_path, events=HAPPENED, trials=trials, budget=budget, rehearsed=True)
    log = run_dir.trial(41) / "train.log"
    log.parent.mkdir(parents=True)
    log.write_text("progress: step=300 train_seconds=37.21 loss=2.1345\n")
    return run_dir


def shown(run_dir: RunDir, width: int, height: int, words: list[str]) -> list[str]:
    """The lines of the view, as a terminal of that size shows them."""
    run = Followed(run_dir)
    with held(run_dir):
        run.look(NOW)
    console = Console(width=width, height=height, record=True, force_terminal=False, emoji=False)
    with console.capture() as captured:
        console.print(view(run, words, NOW, width, height))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
@pytest.mark.parametrize("height", [1, 5, 24, 60])
def test_the_view_fits_any_terminal(run_dir: RunDir, width: int, height: int) -> None:
    """No line is wider and no view higher than the terminal, and nothing steers it."""
    lines = shown(run_dir, width, height, [HOSTILE] * 30)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert all(char.isprintable() for line in lines for char in line)


@pytest.mark.parametrize("width", [80, 200])
def test_the_view_tells_all_about_a_run(run_dir: RunDir, width: int) -> None:
    """State, best, budgets, the trial under way, the curve, trials, words, what happened."""
    text = "\n".join(shown(run_dir, width, 40, ["model: I halve the depth"]))
    for words in (
        "gpt-s1  pystdlib  running  turn 3  seen 10 s ago",
        "best val_bpb 2.2000 (trial 40)   40 trials, 5 failed   $1.25 rehearsed",
        "trials ████████████████░░░░  80%  40 of 50 trials",
        "usd    █████░░░░░░░░░░░░░░░  25%  1.25 of 5 usd",
        "trial 41 ████████████░░░░░░░░ 62%  37 of 60 s  step 300  loss 2.1345",
        "began 40 s ago  estimate 2.2134 at 25%",
        "[red]x[/] :smile:",
        "2.2000 │",
        "   40     2.2000*     5 s",
        "   35      crash      5 s",
        "  model: I halve the depth",
        "gateway.outage_ended  seconds=34.0",
    ):
        assert words in text, words


def test_a_pruned_trial_is_no_failure(run_dir: RunDir) -> None:
    """It is counted by itself, and its value, low as it is, is not the best."""
    add_lines(run_dir.trials, [made_trial(n, 0.5, status="pruned") for n in (42, 43)])
    text = "\n".join(shown(run_dir, 80, 40, []))
    assert "best val_bpb 2.2000 (trial 40)   42 trials, 5 failed, 2 pruned" in text


def test_pauses_and_failures_of_the_provider_are_told(run_dir: RunDir) -> None:
    """Why nothing happens: the next turn is waited for, and the provider answers with errors."""
    pause = {"turn": 3, "error": "overloaded [b]", "next_turn_in_seconds": 60.0}
    add_lines(run_dir.events, [event(2455, "turn.finished", **pause)])
    usage = UsageRecord(at=WHEN, request="r", provider="openai", model="m", status=529)
    add_lines(run_dir.usage, [usage, usage])
    text = "\n".join(shown(run_dir, 80, 40, []))
    assert "the provider fails: the last 2 answers, HTTP 529" in text
    assert "pause: the next turn comes in 55 s: overloaded [b]" in text
    add_lines(run_dir.events, [event(2400, "engine.failed", error="x", in_a_row=1)])
    assert "the engine failed 60 s ago; the runner waits for it" in "\n".join(
        shown(run_dir, 80, 40, [])
    )
    add_lines(run_dir.events, [event(2457, "engine.answered", waited_seconds=57.0)])
    assert "the engine failed" not in "\n".join(shown(run_dir, 80, 40, []))


def test_a_trial_that_waits_says_behind_whom(run_dir: RunDir) -> None:
    """The queue of this machine knows who has the device."""
    add_lines(run_dir.events, [event(2456, "trial.finished", trial=41)])
    add_lines(run_dir.events, [event(2456, "trial.queued", trial=42, hypothesis="half")])
    folder = shared_path(FOLDER)
    make_shared(folder)
    queue = QueueFolder(folder)
    held_by = Entry(ticket=f"{1:032x}", wants=("e/cpu",), run="gp-s1", trial=3, device="e/cpu")
    wanted_by = Entry(ticket=f"{2:032x}", wants=("e/cpu",), run="gpt-s1", trial=42)
    queue.change(lambda before: before.put(held_by).put(wanted_by))
    signs = [Sign(folder, entry.ticket) for entry in (held_by, wanted_by)]
    text = "\n".join(shown(run_dir, 80, 40, []))
    for sign in signs:
        sign.close()
    queue.change(lambda before: before.without(held_by.ticket, wanted_by.ticket))
    assert "trial 42 waits for its device behind gp-s1 trial 3, since 4 s" in text


def test_a_run_that_says_nothing_has_a_view(tmp_path: Path) -> None:
    """A directory that is empty, and one of garbage."""
    for name in ("a-s1", "b-s1"):
        (tmp_path / name).mkdir()
    for name in ("spec.json", "events.jsonl", "trials.jsonl", "usage.jsonl"):
        (tmp_path / "b-s1" / name).write_bytes(b"\xff\x00[[[\n{}\n")
    for name in ("a-s1", "b-s1"):
        assert shown(RunDir(tmp_path / name), 80, 24, [])[0].startswith(f"{name}  ?  running")


def test_many_runs_have_a_few_lines_each(run_dir: RunDir) -> None:
    """Those for which there is no room are counted."""
    run = Followed(run_dir)
    with held(run_dir):
        run.look(NOW)
    console = Console(width=80, height=20, force_terminal=False)
    with console.capture() as captured:
        console.print(overview([run] * 9, NOW, 80, 20))
    lines = captured.get().splitlines()
    assert len(lines) <= 20
    assert sum(line.startswith("gpt-s1") for line in lines) == 3
    assert lines[-1] == "and 6 more: `make ps` lists all"


def test_all_running_runs_are_found(run_dir: RunDir, tmp_path: Path) -> None:
    """One of them has the whole view, two share it, and an ended one is not there."""
    made_run(tmp_path, "tpe-s1", events=HAPPENED[:1], result=run_result("tpe-s1"))
    other = made_run(tmp_path, "gp-s1", events=HAPPENED[:1])
    console = Console(width=80, height=30, force_terminal=False)

    def drawn(at: datetime) -> str:
        with console.capture() as captured:
            console.print(RunningRuns(tmp_path).draw(at, 80, 30))
        return captured.get()

    assert "no run is running" in drawn(NOW + timedelta(minutes=5))
    with held(run_dir), held(other):
        both = drawn(NOW)
    assert "gp-s1" in both
    assert "gpt-s1" in both
    assert "tpe-s1" not in both


def test_without_a_terminal_the_view_is_printed_once(run_dir: RunDir) -> None:
    """A pipe gets the state as it is, and the command ends."""
    console = Console(width=80, height=30, force_terminal=False, record=True)
    show_once(console, OneRun(run_dir))
    assert console.export_text().count("gpt-s1  pystdlib") == 1


def test_a_view_ends_with_its_run(run_dir: RunDir) -> None:
    """A terminal is left with the last state of a run that has ended."""
    run_dir.result.write_text(run_result("gpt-s1").model_dump_json())
    console = Console(width=80, height=30, force_terminal=True, record=True)
    show(console, OneRun(run_dir), lambda: False)
    assert "ended by trials" in console.export_text()


def test_plain_text_is_one_printable_line() -> None:
    """Nothing of a stranger's text is obeyed by a terminal."""
    assert plain(HOSTILE).isprintable()
    assert plain("a\tb\nc") == "a b c"
