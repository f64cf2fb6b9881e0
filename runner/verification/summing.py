"""Sums up the referee's trials of one text. Pure: records in, `Verified` out."""

from __future__ import annotations

from collections.abc import Sequence

from runner.metrics import Metric
from runner.records.schema import TrialRecord, Verdict
from runner.records.verification import Memory, Scores, Verified
from runner.referee.gain import gain_of_mean
from runner.referee.noise import NoiseFloor
from runner.referee.statistics import Sample

JUDGED, VAL, TEST = "judged", "val", "test"


def summed(
    trial: TrialRecord,
    own: TrialRecord | None,
    held_out: Sequence[tuple[int, TrialRecord]],
    memory: Memory,
    noise: NoiseFloor | None,
    metric: Metric,
) -> Verified:
    """What the referee's trials of a text come to.

    Args:
        trial: the contestant's trial of the text.
        own: the referee's trial with the task's own seed, if it has ended.
        held_out: its trials with held-out seeds, as (training seed, record).
        memory: what the comparison without memory found.
        noise: the task's noise under the run's conditions, where it is known.
        metric: what the run measures.
    """
    scores = tuple(_scores(seed, record, metric) for seed, record in held_out)
    judged = [one.judged for one in scores if one.judged is not None]
    tested = [one.test for one in scores if one.test is not None]
    sample = Sample.of(judged) if judged else None
    measured = trial.value if trial.value is not None else float("nan")
    probes = _probes([trial, own, *(record for _, record in held_out)], memory)
    read = [verdict for verdict in trial.verdicts if verdict.by == "read"]
    sd = noise.sd if noise else None
    gap = None if sample is None or sd is None else metric.gain(sample.mean, measured) / sd
    gained = (
        gain_of_mean(noise, metric, measured, sample.mean, sample.count, probes) if sample else None
    )
    return Verified(
        trial=trial.trial,
        sha256=trial.sha256,
        measured=measured,
        own_seed=_scores(None, own, metric) if own else None,
        held_out=scores,
        mean=sample.mean if sample else None,
        sd=sample.sd if sample else None,
        test_mean=Sample.of(tested).mean if tested else None,
        sigmas=gap,
        standing=gained.standing if gained else None,
        memory=memory,
        verdicts=(*probes, *read),
        problems=_problems(own, held_out, memory),
    )


def _scores(seed: int | None, record: TrialRecord, metric: Metric) -> Scores:
    found = {name: metric.measured(record.values.get(name)) for name in (JUDGED, VAL, TEST)}
    scored = record.status == "ok"
    return Scores(seed=seed, **found) if scored else Scores(seed=seed)


def _probes(records: Sequence[TrialRecord | None], memory: Memory) -> list[Verdict]:
    """What was measured in all trials of the text, once for each kind."""
    found = [v for record in records if record for v in record.verdicts if v.by == "probe"]
    if memory.verdict is not None:
        found.append(memory.verdict)
    return list({verdict.name: verdict for verdict in reversed(found)}.values())


def _problems(
    own: TrialRecord | None, held_out: Sequence[tuple[int, TrialRecord]], memory: Memory
) -> tuple[str, ...]:
    trials = [("its own training seed", own), *((f"training seed {s}", r) for s, r in held_out)]
    ended = [
        f"with {name}: {record.status}: {record.reason}"
        for name, record in trials
        if record is not None and record.status != "ok"
    ]
    why = []
    if memory.state == "not handed out":
        why = [f"its model was not handed out, so hidden rows alone verify it: {memory.why}"]
    elif memory.state == "not done" and memory.why:
        why = [memory.why]
    return (*ended, *why)
