"""Decides from what was seen of a trial: its status, its reason, its value, and its times.

Everything here is a pure function of `Seen`. What the judge and the trainer's PID 1 said is
believed; what the trial printed is a claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from runner.engine.containers import ContainerState
from runner.metrics import Metric
from runner.records.schema import Measured, TrialStatus
from runner.timing.findings import Found, Moments, judge_time
from runner.timing.instants import Instant, seconds_between
from runner.trials.estimates import estimates_of, step_of, trained_seconds
from runner.trials.judging import Session
from runner.trials.output import TrialOutput
from runner.trials.terms import CONTESTANT, Terms, Trainer
from runner.wire.judge_terms import UNSCORED
from runner.wire.messages import ScoreFinished, TrialExited

Overrun = Literal["", "training", "scoring", "all", "pruned"]

SPLIT = "val"
# Of a PID 1 that could not say how train.py ended: stopped before it began, or killed.
EXIT_CODES_FROM_OUTSIDE = (0, 128 + 9)
NEAR_LIMIT = 0.9  # of its memory: a process that the kernel kills below that had not used it up
MAX_REASON_CHARS = 200
TWICE = "its logits ended the judge twice"


@dataclass
class Seen:
    """What was seen of one trial. Times are in seconds.

    Attributes:
        session: the trial before the judge.
        output: what it printed.
        began: when train.py's process began; None until its PID 1 has said so.
        exited: the last word of its PID 1.
        state: its container, once it had ended; None if it is gone, or not known to have ended.
        overran: which limit the host ended it for, or that its optimizer gave it up.
        abandoned: the run ended.
        started_at: ISO 8601.
        wall_seconds: from the making of its container to the judge's last word.
        judge_deaths: how often the judge ended while it worked for this text.
        terms: how it runs and is scored.
    """

    session: Session
    output: TrialOutput = field(default_factory=TrialOutput)
    began: Instant | None = None
    exited: TrialExited | None = None
    state: ContainerState | None = None
    overran: Overrun = ""
    abandoned: bool = False
    started_at: str = ""
    wall_seconds: float = 0.0
    judge_deaths: int = 0
    terms: Terms = CONTESTANT

    @property
    def finished(self) -> ScoreFinished | None:
        """The judge's last word."""
        return self.session.finished

    @property
    def pruned(self) -> bool:
        """It was given up, and did not end by itself in the same moment."""
        by_itself = self.exited is not None and self.exited.cause != "stopped"
        return self.overran == "pruned" and not by_itself

    @property
    def ended_from_outside(self) -> bool:
        """Somebody outside ended, restarted or removed its container.

        Neither its own text can do that, nor is it what the runner or the lack of memory did. What
        its PID 1 said counts, also where the engine is too slow to say that the container ended.
        """
        if self.overran or self.session.lost:
            return False
        if self.exited is not None:
            return self.exited.cause == "stopped"
        if self.state is None:  # somebody removed it, or the connection broke
            return True
        return self.state.exit_code in EXIT_CODES_FROM_OUTSIDE and not self.state.oom_killed

    @property
    def seconds(self) -> float:
        """From the start of train.py's process to its end."""
        if self.exited is not None:
            return max(0.0, self.exited.seconds)
        return self.wall_seconds

    @property
    def moments(self) -> Moments:
        """When train.py's process began, asked for its final score, and ended.

        What its PID 1 could not say is made of what the host saw, and nothing is later than the
        host saw it: a clock that was set back or forth in between charges nothing that was not.
        """
        if self.began is None:
            return Moments(0.0, None, self.seconds)
        began, asked = self.began.at, None
        if self.session.requested is not None:
            until_then = seconds_between(self.began, self.session.requested)
            asked = began + min(max(until_then, 0.0), self.wall_seconds)
        return Moments(began, asked, began + self.seconds)


def record_fields(seen: Seen, trainer: Trainer, metric: Metric, train_py: str) -> dict[str, Any]:
    """The fields of `TrialRecord` that say how a trial ended and what was measured."""
    status, reason = _status(seen, trainer, metric, train_py)
    finished, exited = seen.finished, seen.exited
    declared = seen.output.declared_seconds
    found = _time_of(seen, trainer)
    estimates = estimates_of(seen.session, None if seen.began is None else seen.began.at, metric)
    rejecting = next((verdict for verdict in found.verdicts if verdict.rejects), None)
    if status == "ok" and rejecting is not None:
        status, reason = "rejected", f"{rejecting.name}: {rejecting.text}"
    counted = exited.measured if exited else {}
    return {
        "status": status,
        "reason": reason[:MAX_REASON_CHARS],
        "value": _value_by_status(status, finished, estimates, metric),
        "judged": True,
        "judge_seed": seen.session.seed,
        "values": _values(finished, metric),
        "started_at": seen.started_at,
        "train_seconds": round(found.charged_seconds, 3),
        "training_seconds": round(seen.moments.training_seconds, 3),
        "declared_seconds": None if declared is None else round(declared, 3),
        "scoring_seconds": round(scoring_seconds(seen), 3),
        "wall_seconds": round(seen.wall_seconds, 3),
        "exit_code": exited.exit_code if exited else None,
        "peak_memory_bytes": exited.peak_memory_bytes if exited else 0,
        "summary": seen.output.summary,
        "estimates": estimates,
        "audit": dict(finished.audit) if finished else {},
        "disturbed": found.disturbed,
        "measured": _measured(counted, found),
        "verdicts": found.verdicts,
    }


def _time_of(seen: Seen, trainer: Trainer) -> Found:
    """What the trial's time tells.

    Who was told to have itself estimated is not charged for the time that the judge took for that.
    """
    allowances, declared = trainer.allowances, seen.output.declared_seconds
    if trainer.on(seen.terms).estimate_at:
        start = allowances.start_seconds + seen.session.estimating_seconds
        allowances = replace(allowances, start_seconds=start)
    if seen.pruned:
        declared = trained_seconds(seen.session, seen.moments, trainer.train_seconds, declared)
    return judge_time(
        seen.moments,
        declared,
        trainer.train_seconds,
        trainer.threads,
        seen.exited.measured if seen.exited else {},
        allowances,
    )


def _measured(counted: Mapping[str, Any], found: Found) -> Measured:
    """What the kernel counted, if that can be read; it comes from PID 1 and is believed."""
    own = {
        "cpu_seconds_training": found.cpu_seconds_training,
        "lost_seconds": found.lost_seconds,
    }
    try:
        return Measured.model_validate({**counted, **own})
    except ValidationError:
        return Measured.model_validate(own)


def scoring_seconds(seen: Seen) -> float:
    """From the first request for the final score to the judge's last word; 0 without a request."""
    requested, finished = seen.session.requested, seen.finished
    if requested is None or finished is None:
        return 0.0
    return max(0.0, finished.ended_at - requested.at)


def _status(seen: Seen, trainer: Trainer, metric: Metric, train_py: str) -> tuple[TrialStatus, str]:
    """The trial's status and its reason; the strongest evidence is asked for first."""
    exited, finished = seen.exited, seen.finished
    if seen.judge_deaths > 1:
        return "rejected", TWICE
    if finished is not None and finished.status == "rejected":
        return "rejected", _why_rejected(finished)
    if seen.pruned:
        return "pruned", f"given up after {step_of(seen.session.estimates[-1])} % of its training"
    if seen.abandoned and (exited is None or exited.exit_code != 0):
        return "killed", "the run ended while the trial ran"
    late = _late(seen, trainer)
    if late:
        return "timeout", late
    if exited and exited.cause == "output":
        most = f"{trainer.output_bytes >> 20} MB of output"
        return "killed", f"wrote more than {most}, or too many lines"
    if exited and exited.cause == "disk":
        return "killed", "disk: wrote more to its volume than a model may take"
    if starved(seen, trainer):
        return "oom", "the machine's memory ran out under it twice"
    if _out_of_memory(seen):
        return "oom", "out of memory"
    if exited is None:
        code = "" if seen.state is None else f", exit code {seen.state.exit_code}"
        return "crash", f"the trial's container ended by itself{code}"
    if exited.exit_code != 0 or seen.output.failed:
        lines = train_py.count("\n") + 1
        what = f"exit code {exited.exit_code}" if exited.exit_code else "it printed FAIL"
        return "crash", seen.output.why_failed(lines) or what
    return _scored(seen, metric)


def _why_rejected(finished: ScoreFinished) -> str:
    """The name of the audit or the fault, and the audit's numbers."""
    numbers = finished.audit.get(finished.reason)
    if not isinstance(numbers, dict):
        return finished.reason or "no reason given"
    shown = ", ".join(
        f"{name} {value:.4g}"
        for name, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return f"{finished.reason}: {shown}" if shown else finished.reason


def _scored(seen: Seen, metric: Metric) -> tuple[TrialStatus, str]:
    """The status of a trial that went through to its end without an error."""
    finished = seen.finished
    if finished is None or (seen.session.requested is None and finished.status != "scored"):
        return "crash", UNSCORED
    if finished.status != "scored":
        return "crash", f"scoring failed: {finished.reason}"
    if seen.terms.is_check:  # its one batch has no score
        return "ok", ""
    if _value(finished, metric) is None:
        return "crash", f"no {metric.name} that the task can have"
    return "ok", ""


def _late(seen: Seen, trainer: Trainer) -> str:
    """Which limit the trial ran over, in words; "" for none."""
    by_pid1 = seen.exited is not None and seen.exited.cause == "timeout"
    if seen.overran == "training":
        return f"not scored after {trainer.training_limit:.0f} s"
    if seen.overran == "scoring":
        return f"scoring not done after {trainer.limit_seconds:.0f} s"
    too_long = seen.overran == "all" or by_pid1
    return f"not done after {trainer.whole_limit:.0f} s" if too_long else ""


def _value_by_status(
    status: TrialStatus,
    finished: ScoreFinished | None,
    estimates: list[dict[str, float]],
    metric: Metric,
) -> float | None:
    """What a whole trial measured, or the last estimate of a pruned one."""
    if status == "pruned" and estimates:
        return estimates[-1][metric.name]
    return _value(finished, metric) if status == "ok" else None


def _value(finished: ScoreFinished | None, metric: Metric) -> float | None:
    value = finished.values.get(SPLIT) if finished else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return metric.measured(float(value)) if is_number and value is not None else None


def _values(finished: ScoreFinished | None, metric: Metric) -> dict[str, float]:
    """All scores of the judge, by what was scored."""
    found = finished.values if finished else {}
    numbers = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {name: value for name, value in numbers.items() if metric.measured(value) is not None}


def starved(seen: Seen, trainer: Trainer) -> bool:
    """The machine's memory ran out: the kernel killed it far below what it may have."""
    exited = seen.exited
    if exited is None or exited.exit_code == 0 or not exited.oom_kills:
        return False
    return exited.peak_memory_bytes < NEAR_LIMIT * trainer.sizes["memory_bytes"]


def _out_of_memory(seen: Seen) -> bool:
    exited = seen.exited
    if exited is not None and exited.exit_code == 0:
        return False
    killed = (seen.state is not None and seen.state.oom_killed) or (
        exited is not None and exited.oom_kills > 0
    )
    return killed or seen.output.out_of_memory
