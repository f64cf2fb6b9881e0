"""Makes the content of a run's `result.json`."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from runner.budget_clock import BudgetClock
from runner.claims import reader as claims
from runner.metrics import Metric
from runner.records.containment import is_unsafe
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.proposal import FALLBACK, counts
from runner.records.schema import Best, Event, RunResult, UsageRecord, now
from runner.run.context import RunContext
from runner.run.loop_parts import Ending
from runner.run.model_use import in_turns_without_trial, since_last_trial
from runner.trials.ledger import Ledger

NOT_TAKEN = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)  # a request as it stands


def run_result(
    context: RunContext, clock: BudgetClock, ending: Ending, problems: list[str]
) -> RunResult:
    """The result of a run, from its records and its clock.

    Args:
        context: the run.
        clock: what it has spent.
        ending: why it ended.
        problems: what went wrong when the run was collected, a phrase each.
    """
    spec = context.spec
    claimed, doubts = best_claimed(context.run_dir.experiments, spec.metric)
    for doubt in doubts:
        context.journal.write("artifact.doubted", problem=doubt)
    events, spent = context.journal.events(), clock.spent()
    is_agent = spec.kind == "agent"
    return RunResult(
        run_id=spec.run_id,
        contestant=spec.contestant,
        kind=spec.kind,
        seed=spec.seed,
        task=spec.task,
        metric=spec.metric,
        rehearsed=spec.rehearsed,
        unsafe=is_unsafe(context.run_dir),
        ended_by=ending.ended_by,
        cause=ending.cause,
        detail=ending.detail,
        began_at=events[0].at if events else now(),
        ended_at=now(),
        budget=spec.budget.as_dict(),
        spent=spent,
        since_last_trial=since_last_trial(events, spent) if is_agent else None,
        in_turns_without_trial=in_turns_without_trial(events, spent) if is_agent else None,
        trials_by_status=context.ledger.by_status(),
        **({} if spec.proposer is None else proposal_fields(context.run_dir, context.ledger)),
        best_measured=context.ledger.best_measured(),
        best_claimed=claimed,
        problems=[*doubts, *lost_in_words(events), *problems],
    )


def proposal_fields(run_dir: RunDir, ledger: Ledger) -> dict[str, Any]:
    """Who proposed the trials of a baseline that uses a model, and how often its model failed.

    A request that was refused as it stood (400, 422) is no failure: the optimiser learns from it
    what the model takes, such as no temperature. What it cannot mend shows as a fallback.
    """
    found = counts(record.proposal for record in ledger.records)
    asked = read_lines(run_dir.usage, UsageRecord)
    return {
        "proposals": found,
        "fallbacks": found.get(FALLBACK, 0),
        "model_failures": sum(bool(one.failure) or has_failed(one.status) for one in asked),
    }


def has_failed(status: int) -> bool:
    """Whether an HTTP status says that a well-formed request got no answer; 0 stands for none."""
    is_answer = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return not is_answer and status not in NOT_TAKEN


def lost_in_words(events: Iterable[Event]) -> list[str]:
    """What no later life of the run could read any more, a phrase each."""
    lost = []
    for event in events:
        if event.event == "trial.lost":
            trial, reason = event.fields.get("trial"), event.fields.get("reason")
            lost.append(f"trial {trial}: lost when the runner died: {reason}")
        elif event.event == "transcript.lost":
            turn = event.fields.get("turn")
            lost.append(f"transcript.jsonl: what turn {turn} printed is lost, because it was cut")
    return lost


def best_claimed(experiments: Path, metric: Metric) -> tuple[Best | None, list[str]]:
    """The best row of an agent's `experiments.csv`, and what is wrong with the file."""
    if not experiments.exists():
        return None, []
    said = claims.read(experiments.read_bytes(), metric)
    problems = [f"experiments.csv: {problem}" for problem in said.problems]
    best = said.best(metric)
    value = best.value(metric) if best else None
    if best is None or value is None:
        return None, problems
    return Best(value=value, row=best.row), problems
