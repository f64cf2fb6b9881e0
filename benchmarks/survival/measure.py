"""One run that all faults are done to in turn, and what it came to."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from benchmarks.survival.faults import Fault
from benchmarks.survival.live_run import LiveRun
from runner.engine.client import Engine
from runner.records.journal import Journal
from runner.records.schema import Event

TRIAL_SECONDS = 2.0
LIFE = ("run.started", "run.resumed")
AFTER_A_LIFE = ("engine.failed", "engine.answered", "run.suspended", "run.finished")
WRONG = (
    "part.died", "judge.ended", "engine.failed", "trial.repeated", "container.problem",
    "gateway.request_denied", "run.suspended",
)  # fmt: skip
ABOUT = ("role", "reason", "error", "detail")  # of them, whichever says what it was
MAX_NAMED_CHARS = 160
LAST_SECONDS = 1200.0  # for what is left of the run after the last fault
LATEST_SECONDS = 3.0  # from a trial's start to the fault, at most
COMMANDS = {"agent": ("run", "gpt", "--rehearsal"), "baseline": ("baseline", "random")}
NAMES = {"agent": "gpt", "baseline": "random"}


@dataclass(frozen=True)
class Outcome:
    """What a run came to that all faults were done to.

    Attributes:
        kind: agent or baseline.
        faults: what was done to it, in order.
        ended_by: the budget that ended it.
        trials: lines of its ledger.
        lost: trials that were accepted and have no line.
        counted_twice: numbers or requests with more than one line.
        left: containers and volumes that are still there.
        wall_error_seconds: how far the wall time that the run says is from the time that a runner
            lived and an engine answered.
        training_error_seconds: likewise for the training time, against the ledger.
        usd_error: likewise for the dollars, against usage.jsonl.
        last_process_seconds: from the end of its budget to its last container's end.
        seconds: of the whole.
        named: what the journal says between a fault and the next one, of what went wrong.
    """

    kind: str
    faults: list[str] = field(default_factory=list)
    ended_by: str = ""
    trials: int = 0
    lost: int = 0
    counted_twice: int = 0
    left: list[str] = field(default_factory=list)
    wall_error_seconds: float = 0.0
    training_error_seconds: float = 0.0
    usd_error: float = 0.0
    last_process_seconds: float = 0.0
    seconds: float = 0.0
    named: dict[str, list[str]] = field(default_factory=dict)


def survive(
    kind: str,
    here: Path,
    engine: Engine,
    address: str,
    faults: Mapping[str, Fault],
    *,
    seed: int,
    rounds: int = 1,
    show: Callable[[str], None] = print,
) -> Outcome:
    """Do every fault to one run, each while a trial is under way, and see it to its end.

    Args:
        kind: agent or baseline.
        here: an empty folder.
        engine: to see its containers with.
        address: by which the run reaches the engine.
        faults: what is done to it, by name.
        seed: of the run, and of the moments of the faults.
        rounds: how often each fault is done.
        show: is told what is done.

    Raises:
        RuntimeError: the run did not go on.
    """
    began, moments = time.monotonic(), random.Random(seed)
    order, done = list(faults) * rounds, []
    run = LiveRun(here, f"{NAMES[kind]}-s{seed}", engine, address)
    try:
        run.start(
            *COMMANDS[kind], "--seed", str(seed), "--verify", "none",
            "--trial-seconds", f"{TRIAL_SECONDS:g}", "--trials", str(2 * len(order) + 1),
        )  # fmt: skip
        for number, name in enumerate(order):
            _wait_for_a_trial(run, number)
            time.sleep(moments.uniform(0.0, LATEST_SECONDS))
            show(f"{kind}: {number + 1}/{len(order)} {name}")
            done.append((name, time.time()))
            faults[name](run)
        if run.ended(LAST_SECONDS) != 0:
            raise RuntimeError(f"{run.run_id} did not end by its budget\n{run.output()}")
        outcome = _outcome(kind, run, order, time.monotonic() - began)
        return replace(outcome, named=_named(Journal(run.run_dir).events(), done))
    finally:
        run.kill()


def _wait_for_a_trial(run: LiveRun, before: int) -> None:
    """Wait until a trial trains, and at least so many have ended."""
    run.until(
        lambda: len(run.trials()) >= before and run.container("trial") is not None,
        f"a trial after {before} others",
    )


def _outcome(kind: str, run: LiveRun, faults: Sequence[str], seconds: float) -> Outcome:
    result, trials = run.result(), run.trials()
    events = Journal(run.run_dir).events()
    accepted = {event.fields["trial"] for event in events if event.event == "trial.queued"}
    numbers = Counter(trial.trial for trial in trials)
    requests = Counter(trial.request for trial in trials)
    spent = result.spent
    return Outcome(
        kind=kind,
        faults=list(faults),
        ended_by=result.ended_by,
        trials=len(trials),
        lost=len(accepted - set(numbers)),
        counted_twice=sum(n > 1 for n in (*numbers.values(), *requests.values())),
        left=run.left(),
        wall_error_seconds=round(abs(spent.elapsed_seconds - _lived(events, run.killed_at)), 2),
        training_error_seconds=round(
            abs(spent.train_seconds - sum(trial.train_seconds for trial in trials)), 2
        ),
        usd_error=abs(spent.usd - run.dollars()),
        last_process_seconds=round(_moment(events[-1]) - _moment(_the(events, "run.ending")), 2),
        seconds=round(seconds, 1),
    )


def _named(events: list[Event], done: list[tuple[str, float]]) -> dict[str, list[str]]:
    """For each fault, what the journal says went wrong until the next one, each once."""
    found: dict[str, list[str]] = {}
    for (name, began), (_, ended) in itertools.pairwise([*done, ("", math.inf)]):
        said = found.setdefault(name, [])
        for event in events:
            if began <= _moment(event) < ended and _is_wrong(event):
                about = next((event.fields[key] for key in ABOUT if key in event.fields), "")
                text = " ".join(f"{event.event} {about}".split())[:MAX_NAMED_CHARS]
                said += [] if text in said else [text]
    return found


def _is_wrong(event: Event) -> bool:
    if event.event == "trial.finished":
        return bool(event.fields["status"] != "ok")
    return event.event in WRONG or (event.event == "turn.finished" and not event.fields["good"])


def _lived(events: list[Event], killed_at: list[float]) -> float:
    """The seconds in which a runner lived and an engine answered.

    A life begins with `run.started` or `run.resumed` in the journal. It ends when its process is
    killed; otherwise with the last event before the next life, or, if the engine ended it, with the
    last reading of its clock.
    """
    begun = [at for at, event in enumerate(events) if event.event in LIFE]
    total = 0.0
    for at, after in itertools.zip_longest(begun, begun[1:]):
        life = [event for event in events[at:after] if event.event not in AFTER_A_LIFE]
        began, ended = _moment(life[0]), _moment(life[-1])
        until = math.inf if after is None else _moment(events[after])
        total += max([ended, *(kill for kill in killed_at if ended < kill < until)]) - began
    return total


def _the(events: list[Event], name: str) -> Event:
    return next(event for event in events if event.event == name)


def _moment(event: Event) -> float:
    return datetime.fromisoformat(event.at).timestamp()
