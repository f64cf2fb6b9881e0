"""Trials that a killed runner left: found again on the disk, run again, and none lost unsaid.

The queue and the executor are real; the engine does not answer, so no trial gets anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.engine.client import Engine
from runner.metrics import VAL_BPB
from runner.records.clock import keep_reading
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import ClockReading, Spent, TrialRecord, TrialSource
from runner.trials.events import TrialEnded, TrialWaits
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.pending import (
    MAX_TOLD,
    cut_trials,
    end_pending,
    highest_queued,
    in_words,
    keep_order,
    pending_orders,
)
from runner.wire.messages import TrialAccepted, TrialFinished, TrialRequested
from tests.unit.trials.test_queue import PRISTINE, QueueRig

Rigs = Callable[[], QueueRig]


@pytest.fixture
def live(engine: Engine, run_dir: RunDir) -> Iterator[Rigs]:
    """Makes one more life of a run: a queue on the records of the lives before it, now dead."""
    run_dir.pristine.write_text(PRISTINE)
    lives: list[QueueRig] = []

    def make() -> QueueRig:
        for dead in lives:
            dead.queue.close()
        lives.append(QueueRig(engine, run_dir, trials=8))
        return lives[-1]

    yield make
    for life in lives:
        life.queue.close()


def order_of(trial: int, source: TrialSource = "agent", text: str = "DEPTH = 5\n") -> TrialOrder:
    return TrialOrder(
        trial=trial, source=source, request=f"r-{trial}", train_py=text, parent=None,
        parent_train_py=PRISTINE, sha256=hashlib.sha256(text.encode()).hexdigest(), commit="abc123",
        hypothesis=f"deeper is better, {trial}", category="architecture",
        knobs_changed={"DEPTH": (4, 5)}, queued_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


def ended(order: TrialOrder, status: str = "ok", value: float | None = 2.5) -> TrialRecord:
    return order.record(status=status, value=value, train_seconds=2.0)


def found(run_dir: RunDir) -> list[TrialOrder]:
    return pending_orders(run_dir, Ledger(run_dir, VAL_BPB), Journal(run_dir))


def said(run_dir: RunDir, name: str) -> list[dict[str, Any]]:
    return [event.fields for event in Journal(run_dir).events() if event.event == name]


# --- on the disk ----------------------------------------------------------------------------------


def test_an_order_is_found_as_it_was_kept(run_dir: RunDir) -> None:
    """Text, parent, hypothesis, knobs, number and request: nothing is missing after a kill."""
    run_dir.pristine.write_text(PRISTINE)
    order = order_of(3)
    keep_order(run_dir, Journal(run_dir), order)
    assert found(run_dir) == [order]


def test_strange_texts_are_found_as_they_were(run_dir: RunDir) -> None:
    """Line ends, NULs and half characters of an agent's words change nothing and break nothing."""
    run_dir.pristine.write_text(PRISTINE)
    order = order_of(1, text="DEPTH = 5\r\n# \u2028 é \0\n")
    words = TrialOrder(**{**vars(order), "hypothesis": "half a character: \ud800"})
    keep_order(run_dir, Journal(run_dir), words)
    (again,) = found(run_dir)
    assert again.train_py == order.train_py
    assert again.hypothesis == "half a character: ?"


def test_only_trials_without_an_end_are_pending(run_dir: RunDir) -> None:
    """One that the end of a run killed has its line, and is not run again."""
    ledger, journal = Ledger(run_dir, VAL_BPB), Journal(run_dir)
    for trial in (3, 1, 4, 2):
        keep_order(run_dir, journal, order_of(trial))
    ledger.append(ended(order_of(1)))
    ledger.append(ended(order_of(4), "killed", None))
    assert [order.trial for order in found(run_dir)] == [2, 3]
    assert highest_queued(journal.events()) == 4


def test_a_text_whose_line_was_not_written_is_no_trial(run_dir: RunDir) -> None:
    """The runner was killed between the two: nobody was told of a trial."""
    keep_order(run_dir, Journal(run_dir), order_of(1))
    run_dir.events.unlink()
    assert found(run_dir) == []
    assert said(run_dir, "trial.lost") == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_a_link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def _say_another_trial(path: Path) -> None:
    path.write_text(path.read_text().replace('"r-2"', '"r-9"').replace("DEPTH = 5", "DEPTH = 6"))


SPOILT: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "cut": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "too large": lambda path: path.write_bytes(b" " * (2 << 20)),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a folder": _replace_by_a_folder,
    "a pipe": _replace_by_a_pipe,
    "a link": _replace_by_a_link,
    "another": _say_another_trial,
}


@pytest.mark.parametrize("name", ["train.py", "order.json"])
@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_trial_is_reported_once_and_the_others_go_on(
    run_dir: RunDir, name: str, how: str
) -> None:
    """Torn or hostile files cost that one trial, which is named with the reason."""
    for trial in (1, 2, 3):
        keep_order(run_dir, Journal(run_dir), order_of(trial))
    SPOILT[how](run_dir.trial(2) / name)
    assert [order.trial for order in found(run_dir)] == [1, 3]
    assert [order.trial for order in found(run_dir)] == [1, 3]
    (lost,) = said(run_dir, "trial.lost")
    assert (lost["trial"], lost["request"]) == (2, "r-2")
    assert lost["reason"]


def test_a_run_of_an_earlier_version_loses_its_trial_aloud(run_dir: RunDir) -> None:
    """It kept no order: that is said, and does not stop the resume."""
    Journal(run_dir).write("trial.queued", trial=2, request="r-2", hypothesis="")
    Journal(run_dir).write("trial.queued", request="no number")
    assert found(run_dir) == []
    assert [fields["trial"] for fields in said(run_dir, "trial.lost")] == [2]


def test_a_request_that_was_answered_under_another_number_is_not_pending(run_dir: RunDir) -> None:
    """An optimizer asked again for what was lost: that is the same trial."""
    Journal(run_dir).write("trial.queued", trial=1, request="r-2")
    keep_order(run_dir, Journal(run_dir), order_of(2))
    Ledger(run_dir, VAL_BPB).append(ended(order_of(2)))
    assert found(run_dir) == []
    assert said(run_dir, "trial.lost") == []


def test_a_run_that_nobody_goes_on_with_has_its_trials_killed(run_dir: RunDir) -> None:
    """Each has its line, with the reason and without a charge; a second time there is nothing."""
    ledger, journal = Ledger(run_dir, VAL_BPB), Journal(run_dir)
    for trial in (1, 2):
        keep_order(run_dir, journal, order_of(trial))
    records = end_pending(ledger, journal, "the runner died", rehearsed=True)
    assert [(r.trial, r.status, r.reason, r.train_seconds) for r in records] == [
        (1, "killed", "the runner died", 0.0), (2, "killed", "the runner died", 0.0),
    ]  # fmt: skip
    assert Ledger(run_dir, VAL_BPB).records == records
    assert [fields["trial"] for fields in said(run_dir, "trial.finished")] == [1, 2]
    assert end_pending(ledger, journal, "again", rehearsed=True) == []


# --- taken up -------------------------------------------------------------------------------------


def test_a_pending_trial_runs_again_under_its_number(live: Rigs, run_dir: RunDir) -> None:
    """It is journalled, counts as under way, and the next request gets the next number."""
    first = live()
    first.ask("a")
    first.ask("b")
    second = live()
    second.queue.take_up()
    assert second.queue.in_flight() == 2
    assert second.event(TrialWaits).order.trial == 1
    taken = said(run_dir, "trial.taken_up")
    assert taken == [{"trial": 1, "request": "a"}, {"trial": 2, "request": "b"}]
    assert second.ask("c", DEPTH=7)
    assert second.told == [TrialAccepted("c", 3)], "an optimizer asks by itself"


def test_an_optimizer_that_asks_again_makes_no_second_trial(live: Rigs, run_dir: RunDir) -> None:
    """It repeats its request after a restart; the answer comes once, when the trial has ended."""
    live().ask("ask-0")
    second = live()
    second.queue.take_up()
    assert not second.ask("ask-0")
    assert second.told == []
    second.ends(second.event(TrialWaits).order, "ok", 2.5)
    (answer,) = second.told
    assert isinstance(answer, TrialFinished)
    assert (answer.request, answer.trial, answer.value) == ("ask-0", 1, 2.5)
    third = live()
    third.queue.take_up()
    assert third.queue.in_flight() == 0
    assert [record.trial for record in third.ledger.records] == [1]


def test_a_new_container_of_an_agent_is_told_of_every_trial(live: Rigs, run_dir: RunDir) -> None:
    """Those that ended with their values, then those that are run again, with their hypotheses."""
    journal = Journal(run_dir)
    for trial in (1, 2, 3):
        keep_order(run_dir, journal, order_of(trial))
    Ledger(run_dir, VAL_BPB).append(ended(order_of(1), value=4.32))
    Ledger(run_dir, VAL_BPB).append(ended(order_of(2), "crash", None))
    life = live()
    life.queue.take_up()
    one, two, three = life.told
    assert isinstance(one, TrialFinished)
    assert isinstance(two, TrialFinished)
    assert (one.trial, one.value, one.hypothesis) == (1, 4.32, "deeper is better, 1")
    assert (two.trial, two.status, two.value) == (2, "crash", None)
    assert three == TrialAccepted("r-3", 3, "deeper is better, 3")
    assert not any(isinstance(m, TrialFinished) and m.last for m in life.told)


def test_the_baseline_measurement_of_an_agent_survives_a_kill(live: Rigs, run_dir: RunDir) -> None:
    """Lost, it made a bad change the first "keep": best 4.32 where the pristine text has 1.71."""
    keep_order(run_dir, Journal(run_dir), order_of(1, text=PRISTINE))
    life = live()
    life.queue.take_up()
    baseline = life.event(TrialWaits).order
    assert (baseline.trial, baseline.train_py, baseline.parent) == (1, PRISTINE, None)
    life.queue.handle_event(TrialEnded(baseline, ended(baseline, value=1.71), None, 0.0))
    assert life.ask("worse")
    worse = life.event(TrialWaits).order
    assert (worse.trial, worse.parent) == (2, 1)
    life.queue.handle_event(TrialEnded(worse, ended(worse, value=4.32), None, 0.0))
    best = Ledger(run_dir, VAL_BPB).best_measured()
    assert best is not None
    assert (best.trial, best.value) == (1, 1.71)


def test_a_broken_attempt_costs_no_time(live: Rigs, run_dir: RunDir) -> None:
    """Its wall time is given back, and no training is charged for it."""
    keep_order(run_dir, Journal(run_dir), order_of(1))
    keep_reading(run_dir, ClockReading(spent=Spent(), trial=1, attempt_seconds=40.0))
    life = live()
    life.queue.take_up()
    spent = life.clock.spent()
    assert spent.lease_wait_seconds == pytest.approx(40.0)
    assert spent.wall_seconds == pytest.approx(-40.0, abs=5.0)
    assert (spent.trials, spent.train_seconds) == (0, 0.0)


def test_of_several_broken_attempts_the_longest_is_given_back(live: Rigs, run_dir: RunDir) -> None:
    """They ran side by side until the runner died, and all of them run again."""
    for number in (1, 2, 3):
        keep_order(run_dir, Journal(run_dir), order_of(number))
    Ledger(run_dir, VAL_BPB).append(ended(order_of(3)))
    keep_reading(run_dir, ClockReading(spent=Spent(), attempts={1: 40.0, 2: 30.0, 3: 10.0}))
    life = live()
    life.queue.take_up()
    assert life.queue.in_flight() == 2
    taken = [e.fields["trial"] for e in life.journal.events() if e.event == "trial.taken_up"]
    assert taken == [1, 2]
    assert life.clock.spent().lease_wait_seconds == pytest.approx(30.0)  # trial 3 counts


def test_an_attempt_of_a_trial_that_ended_is_not_given_back(live: Rigs, run_dir: RunDir) -> None:
    """Its line in the ledger came after the last reading of the clock."""
    keep_order(run_dir, Journal(run_dir), order_of(1))
    Ledger(run_dir, VAL_BPB).append(ended(order_of(1)))
    keep_reading(run_dir, ClockReading(spent=Spent(), trial=1, attempt_seconds=40.0))
    life = live()
    life.queue.take_up()
    assert life.clock.spent().lease_wait_seconds == 0.0


def test_a_check_under_a_kill_is_reported_and_does_not_count(live: Rigs, run_dir: RunDir) -> None:
    """There are two checks again; a resume that follows says nothing more of it."""
    knobs = {"DEPTH": 5}
    first = live()
    first.queue.request("", TrialRequested("c", knobs=knobs, check=True), None)
    for _ in range(2):
        life = live()
        life.queue.take_up()
        assert life.queue.in_flight() == 0
    assert [fields["request"] for fields in said(run_dir, "check.lost")] == ["c"]
    for name in ("d", "e"):
        life.queue.request("", TrialRequested(name, knobs=knobs, check=True), None)
        assert life.told[-1] == TrialAccepted(name, 0)


# --- what the agent is told of it -----------------------------------------------------------------


def test_the_next_prompt_says_how_the_trials_ended(live: Rigs, run_dir: RunDir) -> None:
    """Those of the turn that was cut off and those that were run again; it is said once."""
    journal = Journal(run_dir)
    journal.write("turn.started", turn=1)
    keep_order(run_dir, journal, order_of(1))
    journal.write("turn.finished", turn=1)
    journal.write("turn.started", turn=2)
    for trial in (2, 3, 4):
        keep_order(run_dir, journal, order_of(trial))
    for trial in (1, 2):
        Ledger(run_dir, VAL_BPB).append(ended(order_of(trial), value=2.5))
    (run_dir.trial(4) / "train.py").unlink()
    life = live()
    life.queue.take_up()
    taken = life.event(TrialWaits).order
    life.queue.handle_event(TrialEnded(taken, ended(taken, "crash", None), None, 0.0))
    lines = life.queue.ended_meanwhile().splitlines()
    assert "interrupted" in lines[0]
    assert lines[1:] == [
        "- trial 2: ok, val_bpb 2.500000",
        "- trial 3: crash",
        "- trial 4: lost, so hand it in again",
    ]
    assert life.queue.ended_meanwhile() == ""


def test_a_first_life_has_nothing_to_say(live: Rigs) -> None:
    """Nothing is taken up, nobody is told anything, and the prompt has no word of it."""
    life = live()
    life.queue.take_up()
    assert (life.told, life.queue.in_flight(), life.queue.ended_meanwhile()) == ([], 0, "")


def test_a_prompt_names_the_last_of_many_trials(run_dir: RunDir) -> None:
    """It stays short, however many a turn had asked for."""
    ledger = Ledger(run_dir, VAL_BPB)
    words = in_words(range(1, 500), ledger, Journal(run_dir))
    assert len(words.splitlines()) == MAX_TOLD + 1
    assert words.endswith("- trial 499: not over yet")


def test_trials_of_a_turn_that_ended_were_seen(run_dir: RunDir) -> None:
    """Only those of a turn whose end nobody saw are told again."""
    journal = Journal(run_dir)
    journal.write("turn.started", turn=1)
    journal.write("trial.queued", trial=1, request="r-1")
    assert cut_trials(journal.events()) == {1}
    journal.write("turn.finished", turn=1)
    assert cut_trials(journal.events()) == set()


def test_the_order_is_for_people_too(run_dir: RunDir) -> None:
    """It is indented JSON with the names of the ledger."""
    keep_order(run_dir, Journal(run_dir), order_of(1))
    text = (run_dir.trial(1) / "order.json").read_text()
    assert text.startswith("{\n")
    assert json.loads(text)["hypothesis"] == "deeper is better, 1"
