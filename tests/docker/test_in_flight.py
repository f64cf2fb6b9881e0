"""What is in flight when the runner is killed: every trial is in the ledger exactly once."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.prompts import read_prompts
from runner.records.schema import Event
from runner.trials.lease import DeviceLease
from tests.docker.commands import Commands, a_seed, commands, events, trials, wait_for

SECONDS = "3"  # of each trial: long enough to be killed under


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path) -> Iterator[Commands]:
    with commands(engine, tmp_path) as made:
        yield made


class Live:
    """A run in a process of its own, whose runner is killed and resumed."""

    def __init__(self, bakeoff: Commands, *words: str) -> None:
        seed = a_seed()
        self.bakeoff = bakeoff
        self.run_id = f"{words[1]}-s{seed}"
        self.run_dir = bakeoff.run_dir(self.run_id)
        common = ("--seed", str(seed), "--trial-seconds", SECONDS, "--verify", "none")
        self.process = bakeoff.start(*words, *common)
        self.log = bakeoff.here / "command-0.log"

    def resume(self) -> None:
        """Begin the next life, in a process of its own."""
        name = f"command-{len(list(self.bakeoff.here.glob('command-*.log')))}.log"
        self.process = self.bakeoff.start("resume", self.run_id)
        self.log = self.bakeoff.here / name

    def until_began(self, trial: int) -> None:
        """Wait until that trial trains."""
        self._wait(lambda: trial in numbers(self.run_dir, "trial.started"), f"trial {trial}")

    def until_taken_up(self, trial: int) -> None:
        """Wait until that trial is queued again."""
        self._wait(lambda: trial in numbers(self.run_dir, "trial.taken_up"), f"trial {trial}")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def end(self) -> None:
        """Wait for the command's own end, which must be a success."""
        assert self.process.wait(400) == 0, self.log.read_text()[-3000:]
        assert self.bakeoff.left(self.run_id) == []

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        wait_for(condition, what, self.process, self.log)


def numbers(run_dir: RunDir, event: str) -> list[int]:
    """The trials that the events of that name are about, in order."""
    return [e.fields["trial"] for e in events(run_dir, event)]


def kept(run_dir: RunDir, trial: int) -> dict[str, object]:
    """What was on the disk of a trial before anything came of it."""
    fields = json.loads((run_dir.trial(trial) / "order.json").read_text())
    assert isinstance(fields, dict)
    return fields


def test_a_baseline_loses_no_trial(bakeoff: Commands, engine: Engine) -> None:
    """Killed while a trial trains, and again while it is queued: the study asks for no more."""
    live = Live(bakeoff, "baseline", "random", "--trials", "4")
    live.until_began(2)
    live.kill()
    assert [trial.trial for trial in trials(live.run_dir)] == [1]
    order = kept(live.run_dir, 2)
    with DeviceLease.of_trials(engine.info()).held(threading.Event()):
        live.resume()
        live.until_taken_up(2)
        live.kill()
    live.resume()
    live.end()
    records = trials(live.run_dir)
    assert [trial.trial for trial in records] == [1, 2, 3, 4]
    assert [trial.request for trial in records] == ["ask-0", "ask-1", "ask-2", "ask-3"]
    assert len({str(sorted(trial.knobs.items())) for trial in records}) == 4
    assert records[1].knobs == order["knobs"]
    assert numbers(live.run_dir, "trial.taken_up") == [2, 2]
    result = bakeoff.result(live.run_id)
    assert (result.ended_by, result.spent.trials) == ("trials", 4)
    assert result.spent.train_seconds == pytest.approx(sum(t.train_seconds for t in records))
    assert events(live.run_dir, "trial.lost") == []


def test_an_agent_keeps_its_baseline_measurement(bakeoff: Commands) -> None:
    """Killed while its very first trial trains: it is measured all the same, and the agent knows.

    Without it, the first change would be the first "keep", however bad it is.
    """
    live = Live(bakeoff, "run", "gpt", "--rehearsal", "--trials", "3")
    live.until_began(1)
    live.kill()
    assert trials(live.run_dir) == []
    live.resume()
    live.end()
    records = trials(live.run_dir)
    assert [trial.trial for trial in records] == [1, 2, 3]
    assert len({trial.request for trial in records}) == 3
    first = records[0]
    assert (first.status, first.parent, first.knobs_changed) == ("ok", None, {})
    assert (live.run_dir.trial(1) / "train.py").read_text() == live.run_dir.pristine.read_text()
    best = bakeoff.result(live.run_id).best_measured
    assert best is not None
    assert first.value is not None
    assert best.value <= first.value
    told = [prompt.text for prompt in read_prompts(live.run_dir) if prompt.name == "nudge"]
    assert f"- trial 1: ok, val_bpb {first.value:.6f}" in told[0]
    began = numbers_of_turns(live.run_dir, "turn.started")
    assert began == sorted(set(began)), "each turn has a number of its own"
    assert numbers_of_turns(live.run_dir, "transcript.collected") == began
    assert live.run_dir.transcript.read_bytes()


def numbers_of_turns(run_dir: RunDir, event: str) -> list[int]:
    return [e.fields["turn"] for e in events(run_dir, event)]


def test_a_dead_run_is_closed_with_all_that_it_had(bakeoff: Commands) -> None:
    """Its trial is on record as killed, its time ends with its runner, its commits are there."""
    live = Live(bakeoff, "run", "gpt", "--rehearsal", "--trials", "4")
    live.until_began(2)
    live.kill()
    killed_at = time.time()
    began = datetime.fromisoformat(events(live.run_dir, "run.started")[0].at).timestamp()
    stopped = bakeoff("stop", live.run_id)
    assert stopped.returncode == 0, stopped.stderr[-3000:]
    result = bakeoff.result(live.run_id)
    assert [(t.trial, t.status) for t in trials(live.run_dir)][1:] == [(2, "killed")]
    assert "the runner died" in trials(live.run_dir)[1].reason
    assert result.trials_by_status["killed"] == 1
    lived = killed_at - began  # it is written down each second, or later on a busy machine
    assert lived - 20 < result.spent.elapsed_seconds < lived + 1
    assert result.problems == []
    bundle = live.run_dir.artifacts / "repo.bundle"
    assert bundle.read_bytes().startswith(b"# v")
    last = list(read_lines(live.run_dir.events, Event))[-1]
    assert last.event == "run.finished"
    assert bakeoff.left(live.run_id) == []
