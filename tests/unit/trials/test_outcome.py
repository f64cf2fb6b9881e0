"""How a trial ended: one status, one reason, a value only when the judge has measured it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner.engine import lockdown
from runner.engine.containers import ContainerState, EngineInfo
from runner.limits import limits
from runner.metrics import VAL_BPB
from runner.timing.findings import Allowances
from runner.timing.instants import Instant
from runner.trials.judging import Session
from runner.trials.outcome import Overrun, Seen, record_fields, starved
from runner.trials.output import TrialOutput
from runner.trials.terms import CHECK, CONTESTANT, Trainer
from runner.wire.messages import ScoreEstimated, ScoreFinished, TrialExited

SIZES = lockdown.sizes(limits()["trial"], EngineInfo("", "", 1, 1 << 28, gpus=False))
TRAINER = Trainer("image", "data", 60.0, 30.0, Allowances(10.0), 1 << 20, SIZES)
BEGAN = 1000.0
TEXT = "DEPTH = 4\n" * 100


def scored(status: str = "scored", reason: str = "", value: Any = 1.5) -> ScoreFinished:
    return ScoreFinished(
        "s", status, reason, BEGAN + 75.0, values={"val": value}, audit={"look-ahead": {"z": 9.0}}
    )


def instant(at: float) -> Instant:
    return Instant(at, at - BEGAN + 1.0, at - BEGAN + 2.0)


def seen(
    finished: ScoreFinished | None = None,
    *,
    requested_at: float | None = BEGAN + 70.0,
    exit_code: int = 0,
    cause: str = "exited",
    overran: Overrun = "",
    lines: tuple[str, ...] = ("training_seconds: 60.0",),
) -> Seen:
    """A trial that ran for 80 s, asked to be scored after 70 and was done after 75."""
    requested = None if requested_at is None else instant(requested_at)
    session = Session("s", "token", 7, lambda: None, lambda: None, requested=requested)
    session.finished = finished
    output = TrialOutput(scoring=requested_at is not None)
    for line in lines:
        output.read_line(line)
    exited = TrialExited(exit_code, cause, 80.0, 1 << 20, 0)
    state = ContainerState("id", "name", "run", "trial", "exited", 0, oom_killed=False)
    return Seen(
        session,
        output,
        instant(BEGAN),
        exited,
        state,
        overran,
        started_at="then",
        wall_seconds=82.0,
    )


def fields(trial: Seen) -> dict[str, Any]:
    return record_fields(trial, TRAINER, VAL_BPB, TEXT)


def charged(trial: Seen) -> float:
    seconds: float = fields(trial)["train_seconds"]
    return seconds


@pytest.mark.parametrize(
    ("cause", "exit_code", "state", "from_outside"),
    [
        ("exited", 0, {}, False),
        ("signal", 143, {}, False),
        ("stopped", 143, {}, True),
        (None, 0, {"exit_code": 137}, True),
        (None, 0, {"exit_code": 0}, True),
        (None, 0, {"exit_code": 1}, False),
        (None, 0, {"exit_code": 137, "oom_killed": True}, False),
        (None, 0, None, True),
        ("exited", 0, None, False),
        ("exited", 1, None, False),
        ("stopped", 143, None, True),
    ],
)
def test_who_ended_a_trials_container(
    cause: str | None, exit_code: int, state: dict[str, Any] | None, *, from_outside: bool
) -> None:
    """Its PID 1 says so, or could say nothing: killed, removed, or stopped before it began."""
    trial = seen(exit_code=exit_code, cause=cause or "")
    if cause is None:
        trial.exited = None
    assert trial.state is not None
    trial.state = None if state is None else replace(trial.state, **state)
    assert trial.ended_from_outside is from_outside
    trial.overran = "all"
    assert not trial.ended_from_outside, "the runner itself ended it"


def test_a_scored_trial_has_the_judges_value() -> None:
    """Value, seed, audit and times come from the judge and the clock of its machine."""
    trial = seen(scored())
    trial.session.estimates.append(ScoreEstimated("s", 0.25, 2.5, BEGAN + 20.0))
    trial.session.estimates.append(ScoreEstimated("s", 0.5, float("nan"), BEGAN + 40.0))
    got = fields(trial)
    assert (got["status"], got["reason"], got["value"]) == ("ok", "", 1.5)
    assert (got["judged"], got["judge_seed"]) == (True, 7)
    assert got["audit"] == {"look-ahead": {"z": 9.0}}
    assert (got["scoring_seconds"], got["declared_seconds"]) == (5.0, 60.0)
    assert got["estimates"] == [{"fraction": 0.25, "train_seconds": 20.0, "val_bpb": 2.5}]


def test_a_printed_value_counts_for_nothing() -> None:
    """A trial that was never scored has no value, whatever it printed."""
    lines = ("---", "val_bpb: 0.42", "training_seconds: 60.0")
    got = fields(seen(scored("failed", "unscored"), requested_at=None, lines=lines))
    assert (got["status"], got["reason"], got["value"]) == ("crash", "unscored", None)
    assert "val_bpb" not in got["summary"]
    assert fields(seen(None, requested_at=None))["reason"] == "unscored"


ENDINGS: dict[str, tuple[Seen, str, str]] = {
    "rejected by the audit": (
        seen(scored("rejected", "look-ahead")), "rejected", "look-ahead: z 9",
    ),
    "rejected, then crashed": (
        seen(scored("rejected", "look-ahead"), exit_code=1), "rejected", "look-ahead: z 9",
    ),
    "rejected, then too late": (
        seen(scored("rejected", "look-ahead"), overran="scoring"), "rejected", "look-ahead: z 9",
    ),
    "rejected for a fault": (seen(scored("rejected", "stalled")), "rejected", "stalled"),
    "its model failed": (
        seen(scored("failed", "the model failed")), "crash", "scoring failed: the model failed",
    ),
    "scored, then crashed": (seen(scored(), exit_code=3), "crash", "exit code 3"),
    "scored, then FAIL": (seen(scored(), lines=("FAIL",)), "crash", "it printed FAIL"),
    "an impossible score": (seen(scored(value=1e9)), "crash", "no val_bpb that the task can have"),
    "a score that is no number": (
        seen(scored(value="low")), "crash", "no val_bpb that the task can have",
    ),
    "trains for ever": (
        seen(None, requested_at=None, overran="training"), "timeout", "not scored after 90 s",
    ),
    "is scored for ever": (
        seen(scored("failed"), overran="scoring"), "timeout", "scoring not done after 30 s",
    ),
    "PID 1's own limit": (seen(None, cause="timeout"), "timeout", "not done after 120 s"),
    "prints for ever": (
        seen(scored(), cause="output"), "killed",
        "wrote more than 1 MB of output, or too many lines",
    ),
    "no memory": (
        seen(None, exit_code=1, lines=("torch.OutOfMemoryError: x",)), "oom", "out of memory",
    ),
    "the run ended": (
        replace(seen(None, exit_code=143), abandoned=True),
        "killed", "the run ended while the trial ran",
    ),
    "the run ended, but it was done": (replace(seen(scored()), abandoned=True), "ok", ""),
    "ended the judge once": (replace(seen(scored()), judge_deaths=1), "ok", ""),
    "ended the judge twice": (
        replace(seen(None), judge_deaths=2), "rejected", "its logits ended the judge twice",
    ),
    "its container vanished": (
        replace(seen(None), exited=None), "crash",
        "the trial's container ended by itself, exit code 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_is_a_status(name: str) -> None:
    """The strongest evidence decides; a value stands beside ok alone, the audit beside all."""
    trial, status, reason = ENDINGS[name]
    got = fields(trial)
    assert (got["status"], got["reason"]) == (status, reason)
    assert (got["value"] is None) == (status != "ok")
    assert bool(got["audit"]) == (trial.finished is not None)


@pytest.mark.parametrize(
    ("declared", "seconds"),
    [
        ("60.0", 60.0),  # as the host saw it, less the allowance
        ("0.001", 60.0),  # too little: 70 s until scored, less 10
        ("65.5", 65.5),  # more than the host can prove
        ("1e9", 70.0),  # more than there was
        ("-5", 70.0),
        ("nan", 70.0),
    ],
)
def test_training_is_charged_by_the_hosts_clock(declared: str, seconds: float) -> None:
    """What was declared counts within what was seen up to the request for the score."""
    trial = seen(scored(), lines=(f"training_seconds: {declared}",))
    assert charged(trial) == pytest.approx(seconds)


def test_a_trial_that_was_never_scored_is_charged_to_its_end() -> None:
    """Without a request, all of its time was training; without a start, its wall time."""
    trial = seen(None, requested_at=None, lines=())
    assert charged(trial) == 80.0
    assert charged(replace(trial, exited=None, began=None)) == 82.0
    assert charged(replace(trial, wall_seconds=82.0, exited=None)) == 82.0


def test_a_clock_that_goes_back_charges_nothing_negative() -> None:
    """Times of two clocks that disagree stay within what the host's own clock saw."""
    early = seen(scored(), requested_at=BEGAN - 50.0, lines=("training_seconds: 60",))
    assert charged(early) == 0.0
    late = seen(scored(), requested_at=BEGAN + 5000.0, lines=("training_seconds: 1",))
    assert charged(late) == 72.0
    assert fields(late)["scoring_seconds"] == 0.0


@pytest.mark.parametrize(
    ("peak_share", "kills", "exit_code", "is_starved"),
    [(0.2, 1, 137, True), (0.95, 1, 137, False), (0.2, 0, 1, False), (0.2, 1, 0, False)],
)
def test_the_machines_memory_is_not_the_trials(
    peak_share: float, kills: int, exit_code: int, is_starved: bool
) -> None:
    """Killed for want of memory that it did not hold: the machine had none left."""
    trial = seen(None)
    peak = int(peak_share * SIZES["memory_bytes"])
    trial.exited = TrialExited(exit_code, "signal", 80.0, peak, kills)
    assert starved(trial, TRAINER) is is_starved
    status, reason = fields(trial)["status"], fields(trial)["reason"]
    assert (status == "oom") is (kills > 0 and exit_code != 0)
    assert ("the machine's memory" in reason) is is_starved


@pytest.mark.parametrize("clock", ["at", "monotonic", "heard"])
@pytest.mark.parametrize("error", [-3600.0, -20.0, 20.0, 3600.0])
def test_one_wrong_clock_changes_no_charge(clock: str, error: float) -> None:
    """The time of day is set, kernels are not shared, or the runner was stopped: two agree."""
    trial = seen(scored())
    right = fields(trial)
    asked = instant(BEGAN + 70.0)
    trial.session.requested = replace(asked, **{clock: getattr(asked, clock) + error})
    got = fields(trial)
    assert got["train_seconds"] == right["train_seconds"]
    assert got["training_seconds"] == right["training_seconds"] == 70.0


def test_without_a_second_clock_the_time_of_day_counts() -> None:
    """An image of an earlier version says only that."""
    trial = seen(scored())
    trial.began = Instant(BEGAN, 0.0, 5.0)
    trial.session.requested = Instant(BEGAN + 70.0, 0.0, 500.0)
    assert fields(trial)["training_seconds"] == 70.0


def test_far_too_long_a_training_costs_the_score() -> None:
    """A slowed clock trains for longer than it says: rejected by the host's clock, and charged."""
    trial = seen(scored(), requested_at=BEGAN + 160.0)
    trial.wall_seconds = 170.0
    trial.exited = TrialExited(0, "exited", 165.0, 1 << 20, 0)
    got = fields(trial)
    assert (got["status"], got["value"], got["train_seconds"]) == ("rejected", None, 150.0)
    assert got["reason"].startswith("overtime: ")
    assert [verdict.name for verdict in got["verdicts"]] == ["declared time", "overtime"]


def test_what_the_kernel_counted_is_recorded() -> None:
    """With what it counted until the request for the score; samples stay out of the ledger."""
    trial = seen(scored())
    rows = [[BEGAN, 0, 0, 0, 0, 0], [BEGAN + 80.0, 100, 40, 80, 0, 2]]
    counted = {"cpu_seconds": 100.0, "read_bytes": 7, "gpu_seconds": None, "samples": rows}
    trial.exited = TrialExited(0, "exited", 80.0, 0, 0, counted)
    got = fields(trial)
    measured = got["measured"]
    assert (measured.cpu_seconds, measured.cpu_seconds_training) == (100.0, 87.5)
    assert (measured.lost_seconds, measured.read_bytes) == (35.0, 7)
    assert (got["disturbed"], got["training_seconds"]) == (True, 70.0)
    trial.exited = TrialExited(0, "exited", 80.0, measured={"cpu_seconds": "much", "samples": 1})
    assert fields(trial)["measured"].cpu_seconds is None


def test_a_check_needs_no_score() -> None:
    """Its one batch of random rows has none; its limits are those of a check."""
    trial = seen(ScoreFinished("s", "scored", "", BEGAN + 75.0))
    assert fields(trial)["status"] == "crash"
    trial.terms = CHECK
    assert (fields(trial)["status"], fields(trial)["value"]) == ("ok", None)
    assert TRAINER.on(CHECK).training_limit == 25.0
    assert TRAINER.on(CHECK).whole_limit == 40.0
    assert TRAINER.on(CONTESTANT) == TRAINER
