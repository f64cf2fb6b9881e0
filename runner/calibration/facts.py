"""What was measured of the pristine train.py on a machine, and the key under which it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from runner.spec import RunSpec
from runner.timing.findings import Allowances
from runner.wire.judge_terms import OF_A_TRIAL
from runner.wire.messages import ScoreFinished

GOOD_ENOUGH = 0.5  # of the training that is wanted: a reference that had less is made again
MOST_MEASUREMENTS = 3  # a machine that is always busy is not measured at each of its runs
MARGIN_SECONDS, MARGIN = 2.0, 1.5  # the allowance is the pristine train.py's time × 1.5 + 2 s


class Facts(BaseModel):
    """What was measured, as `calibration-<key>.json` beside the reference holds it.

    That file, and a run's `spec.json`, may be of another version, which knew other facts as well.

    Args:
        train_seconds: the training that the pristine train.py was given.
        overhead_seconds: from its start to its first request for the final score, beyond the
            training that it said.
        scoring_seconds: what the scoring of one trial takes, by the rows that it sends.
        lost_share: the share of the processor time it needed that other load had.
        disturbed: other load slowed it.
        measurements: how often it was measured in a row because other load had slowed it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    train_seconds: float
    overhead_seconds: float
    scoring_seconds: float
    lost_share: float | None = Field(default=None, ge=0, le=1)
    disturbed: bool = False
    measurements: int = 1

    def allowances(self, longest_seconds: float) -> Allowances:
        """What a trial is allowed, given the task's own limit on what it may take.

        The times of one measurement vary, so there is a margin. What the machine's usual other
        load costs the pristine train.py is taken off a trial's own loss, unless that was disturbed.
        """
        start = min(self.overhead_seconds * MARGIN + MARGIN_SECONDS, longest_seconds)
        lost = 0.0 if self.disturbed else self.lost_share or 0.0
        return Allowances(start, self.scoring_seconds, lost)


@dataclass(frozen=True)
class Calibration:
    """A measurement of the pristine train.py, and the key under which it is kept."""

    key: str
    facts: Facts

    def as_version(self) -> dict[str, Any]:
        """What `versions` in spec.json says of it, so that a resumed run has the same."""
        return {"key": self.key, "facts": self.facts.model_dump()}

    @classmethod
    def of(cls, spec: RunSpec) -> Calibration | None:
        """The calibration that a run began with; None in a run of before there was one."""
        kept = spec.versions.get("calibration")
        return None if kept is None else cls(kept["key"], Facts.model_validate(kept["facts"]))


def key_of(
    image: str,
    pristine: str,
    machine: str,
    gpu: str | None,
    threads: int,
    runtime: str = "",
) -> str:
    """The key of what decides a measurement, 16 hex digits; `runtime` is a `RuntimeRecord.key`."""
    decisive = [image, pristine, machine, str(gpu), str(threads)]
    if runtime:
        decisive.append(runtime)
    return hashlib.sha256("\0".join(decisive).encode()).hexdigest()[:16]


def will_do(facts: Facts, train_seconds: float) -> bool:
    """Whether a kept measurement serves a run that would train for so long."""
    undisturbed = not facts.disturbed or facts.measurements >= MOST_MEASUREMENTS
    return undisturbed and facts.train_seconds >= GOOD_ENOUGH * train_seconds


def scored_share(reference: ScoreFinished) -> float:
    """What a trial is sent to be scored, as a share of what was sent for the reference.

    The judge has counted both: final and hidden rows, probes, the batch that is sent again, and
    what fills the last batch.
    """
    counted = reference.audit.get(OF_A_TRIAL)
    tokens = counted.get("tokens") if isinstance(counted, Mapping) else None
    if not isinstance(tokens, int) or reference.tokens < 1:
        return 1.0
    return min(1.0, tokens / reference.tokens)
