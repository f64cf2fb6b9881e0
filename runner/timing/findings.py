"""What a trial's time tells: what it is charged, and what is found about it.

Nothing here is train.py's word but `declared_seconds`. The start and the end of its process are
seen by PID 1 of its container, the first request for the final score by the judge, and all three
are moments on the clock of the engine's machine. Processor time is what the kernel counted
(images/trainer/counters.py).

All functions are pure. What a pristine train.py takes on this machine is in `Allowances`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.records.schema import Verdict
from runner.timing.counts import Count, count_at, is_disturbed, lost_seconds, read_counts

SLOW_SCORING = 3.0  # times the pristine train.py's scoring; what is beyond counts as training
OVERTIME_SHARE = 0.25  # of the training time, beyond the allowance: more of it costs the score
# A single step and the estimates of a large model can take this long, however short the training.
OVERTIME_SECONDS = 10.0
CROWDED_SHARE = 0.2  # of the scoring in which more threads computed than scoring needs
CROWDED_SECONDS = 0.4  # two looks of PID 1: a shorter time may be chance


@dataclass(frozen=True)
class Allowances:
    """What the pristine train.py takes on this machine, in seconds; see runner/calibration/.

    Attributes:
        start_seconds: all that a trial may take until it asks for its final score, beyond what its
            training is charged: start, compiling, estimates, and a margin.
        scoring_seconds: from that request to the end of its process; None if nothing was measured.
        lost_share: the share of its processor time that it was kept from (`lost_share`).
    """

    start_seconds: float
    scoring_seconds: float | None = None
    lost_share: float = 0.0


@dataclass(frozen=True)
class Moments:
    """When it happened, in seconds since 1970 by the clock of the engine's machine.

    Attributes:
        began: the process of train.py began.
        asked: the judge got the first request for the final score; None if there was none.
        ended: the process ended.
    """

    began: float
    asked: float | None
    ended: float

    @property
    def training_seconds(self) -> float:
        """From the start to the first request for the final score, or to the end."""
        return max(0.0, (self.ended if self.asked is None else self.asked) - self.began)

    @property
    def scoring_seconds(self) -> float:
        """From the first request for the final score to the end."""
        return 0.0 if self.asked is None else max(0.0, self.ended - self.asked)


@dataclass(frozen=True)
class Found:
    """What the time of a trial tells.

    Attributes:
        charged_seconds: the training seconds that the trial costs.
        cpu_seconds_training: processor time until the first request for the final score; None if
            it was not counted.
        lost_seconds: processor time that its training needed and other load had, or None.
        disturbed: other work kept the trial from processor time that it needed.
        verdicts: what is said about it.
    """

    charged_seconds: float
    cpu_seconds_training: float | None
    lost_seconds: float | None
    disturbed: bool
    verdicts: list[Verdict]


def judge_time(
    moments: Moments,
    declared_seconds: float | None,
    train_seconds: float,
    threads: int,
    measured: Mapping[str, Any],
    allowances: Allowances,
) -> Found:
    """All that the time of one trial tells.

    Args:
        moments: when it began, asked to be scored, and ended.
        declared_seconds: the training seconds that it printed; None if it printed none.
        train_seconds: the training seconds that it was given.
        threads: how many threads it was told to use.
        measured: `TrialExited.measured`.
        allowances: what the pristine train.py takes.
    """
    counts = read_counts(measured)
    asked = moments.asked
    before = None if not counts else count_at(counts, moments.ended if asked is None else asked)
    disturbed = before is not None and is_disturbed(
        counts[0], before, moments.training_seconds, allowances.lost_share
    )
    lost = None if before is None else lost_seconds(counts[0], before)
    crowded = crowded_scoring(counts, asked, threads)
    verdicts = [
        declared_time(moments, declared_seconds, allowances),
        overtime(moments, train_seconds, allowances, (lost or 0.0) / max(1, threads)),
        slow_scoring(moments, allowances),
        crowded,
    ]
    return Found(
        charged_seconds=charged(moments, declared_seconds, allowances, crowded is not None),
        cpu_seconds_training=None if before is None else round(before.cpu_seconds, 3),
        lost_seconds=None if lost is None else round(lost, 3),
        disturbed=disturbed,
        verdicts=[verdict for verdict in verdicts if verdict is not None],
    )


# --- what is charged ------------------------------------------------------------------------------


def charged(
    moments: Moments,
    declared_seconds: float | None,
    allowances: Allowances,
    computed_while_scored: bool = False,
) -> float:
    """The training seconds to charge.

    They are what the host saw less the allowance, and at least what was declared, as far as it was
    seen. A trial that declares nothing is charged for all that was seen. Scoring that takes over
    `SLOW_SCORING` times the pristine train.py's counts as training beyond that. A trial that went
    on computing while it was scored is charged for all of it.
    """
    seen = moments.training_seconds
    says_nothing = declared_seconds is None or declared_seconds <= 0
    claimed = seen if says_nothing else min(declared_seconds or 0.0, seen)
    training = max(seen - allowances.start_seconds, claimed)
    if computed_while_scored:
        return training + moments.scoring_seconds
    return training + max(0.0, moments.scoring_seconds - _longest_scoring(allowances))


def _longest_scoring(allowances: Allowances) -> float:
    scoring = allowances.scoring_seconds
    return math.inf if scoring is None else SLOW_SCORING * scoring


# --- verdicts -------------------------------------------------------------------------------------


def declared_time(
    moments: Moments, declared_seconds: float | None, allowances: Allowances
) -> Verdict | None:
    """Says that a trial declared another training time than it took, beyond the allowance."""
    seen = moments.training_seconds
    if declared_seconds is None or moments.asked is None:
        return None
    least = seen - allowances.start_seconds
    if least <= declared_seconds <= seen + allowances.start_seconds:
        return None
    return Verdict(
        name="declared time",
        by="probe",
        text=f"It said that it trained for {declared_seconds:.1f} s. From its start to the first "
        f"request for its score it took {seen:.1f} s, of which {allowances.start_seconds:.1f} s "
        "are allowed for anything but training.",
        numbers={
            "declared_seconds": round(declared_seconds, 3),
            "measured_seconds": round(seen, 3),
            "allowance_seconds": round(allowances.start_seconds, 3),
        },
    )


def overtime(
    moments: Moments, train_seconds: float, allowances: Allowances, lost_seconds: float = 0.0
) -> Verdict | None:
    """Says that a trial trained for longer than it may; far longer costs it its score.

    Args:
        moments: when it began and asked to be scored.
        train_seconds: the training seconds that it was given.
        allowances: what the pristine train.py takes.
        lost_seconds: what other load cost it, for each of its threads. That much more is its due,
            and no more, because a contestant can make its own trial disturbed.
    """
    over = moments.training_seconds - allowances.start_seconds - train_seconds - lost_seconds
    most = max(OVERTIME_SHARE * train_seconds, allowances.start_seconds, OVERTIME_SECONDS)
    if moments.asked is None or over <= most:
        return None
    return Verdict(
        name="overtime",
        by="probe",
        rejects=True,
        text=f"It had {train_seconds:g} s to train, and {allowances.start_seconds:.1f} s for "
        f"anything else before its score. It took {moments.training_seconds:.1f} s.",
        numbers={
            "measured_seconds": round(moments.training_seconds, 3),
            "train_seconds": train_seconds,
            "allowance_seconds": round(allowances.start_seconds, 3),
        },
    )


def slow_scoring(moments: Moments, allowances: Allowances) -> Verdict | None:
    """Says that a trial's scoring took so long that a part of it is charged as training."""
    most = _longest_scoring(allowances)
    if moments.scoring_seconds <= most:
        return None
    return Verdict(
        name="slow scoring",
        by="probe",
        text=f"From the request for its score to its end it took {moments.scoring_seconds:.1f} s, "
        f"the pristine train.py {allowances.scoring_seconds or 0:.1f} s. What is beyond "
        f"{SLOW_SCORING:g} times that is charged as training.",
        numbers={
            "scoring_seconds": round(moments.scoring_seconds, 3),
            "pristine_seconds": round(allowances.scoring_seconds or 0.0, 3),
        },
    )


def crowded_scoring(counts: Sequence[Count], asked: float | None, threads: int) -> Verdict | None:
    """Says that more threads computed while a trial was scored than scoring needs.

    Scoring needs the threads that the trial was told to use, or as many as its training had: the
    number that no more than a tenth of the training's samples exceeded.
    """
    if asked is None:
        return None
    spans = [(later.at - max(sooner.at, asked), later)
             for sooner, later in itertools.pairwise(counts)
             if later.at > asked]  # fmt: skip
    training = sorted(count.busy_threads for count in counts if count.at <= asked)
    usual = training[int(0.9 * (len(training) - 1))] if training else 0
    needed = max(threads, usual)
    crowded = sum(seconds for seconds, count in spans if count.busy_threads > needed)
    whole = sum(seconds for seconds, _ in spans)
    if crowded < max(CROWDED_SECONDS, CROWDED_SHARE * whole):
        return None
    gained = counts[-1].cpu_seconds - count_at(counts, asked).cpu_seconds
    most = max(count.busy_threads for _, count in spans)
    return Verdict(
        name="computing during scoring",
        by="probe",
        text=f"In {crowded:.1f} s of the {whole:.1f} s of its scoring, up to {most} threads of it "
        f"computed, where {needed} are enough. All of its scoring is charged as training.",
        numbers={
            "cpu_seconds": round(gained, 3),
            "crowded_seconds": round(crowded, 3),
            "scoring_seconds": round(whole, 3),
            "threads": float(most),
            "threads_needed": float(needed),
        },
    )
