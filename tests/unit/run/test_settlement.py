"""What is settled with a gateway at the end: its own book, against what the run knows."""

from __future__ import annotations

import dataclasses

import pytest

from runner.budget_clock import BudgetClock
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.metrics import VAL_BPB
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.schema import UsageRecord
from runner.run.context import RunContext, open_context
from runner.run.settlement import UsageLog, settle, settle_abandoned
from runner.run.spent import last_spent
from runner.spec import Budget, Proposer, RunSpec
from runner.tasks import load_task
from tests.unit.run.gateway_book import BookEngine, book, reserved, settled


def context(
    run_dir: RunDir, engine: Engine, contestant: str = "gpt", *, record: bool = False
) -> RunContext:
    spec = RunSpec(
        run_id="gpt-s1", kind="agent" if contestant == "gpt" else "baseline",
        contestant=contestant, seed=1, task="pystdlib", metric=VAL_BPB,
        budget=Budget(usd=5), trial_seconds=1, record=record,
    )  # fmt: skip
    return open_context(spec, engine, run_dir, load_task(spec.task), "", lambda *_: None)


def usage_log(of: RunContext) -> tuple[UsageLog, BudgetClock]:
    clock = BudgetClock(of.spec.budget, last_spent(of.run_dir))
    return UsageLog(of.run_dir, of.journal, clock), clock


def test_what_the_run_does_not_know_is_taken_up(run_dir: RunDir) -> None:
    """Each request once, in usage.jsonl and on the clock; a second settlement changes nothing."""
    run = context(run_dir, BookEngine(book(settled("1", 0.25), settled("2", 0.5))))
    usage, clock = usage_log(run)
    usage.add(settled("1", 0.25))
    for _ in range(2):
        assert settle(run, usage, "gateway") == []
        assert [r.request for r in read_lines(run_dir.usage, UsageRecord)] == ["1", "2"]
        spent = clock.spent()
        assert (spent.usd, spent.tokens, spent.requests) == (0.75, 20, 2)


def test_an_abandoned_run_counts_the_same(run_dir: RunDir) -> None:
    """Another process settles, with what the first one left on record."""
    run = context(run_dir, BookEngine(book(settled("1", 0.25), settled("2", 0.5))))
    usage_log(run)[0].add(settled("1", 0.25))
    usage, clock = usage_log(run)
    assert settle(run, usage, "gateway") == []
    assert clock.spent().usd == 0.75
    assert last_spent(run_dir).usd == 0.75


def test_a_killed_gateway_has_its_open_requests_charged(run_dir: RunDir) -> None:
    """By their reservations, once each; what was settled, or was told to the runner, stays."""
    opened = tuple(reserved(name, "1.5") for name in ("1", "2", "3"))
    run = context(run_dir, BookEngine(book(settled("2", 0.5), reservations=opened)))
    usage, clock = usage_log(run)
    usage.add(settled("1", 0.25))
    usage.take_up(run.engine, "gateway")
    assert clock.spent().usd == 0.75, "a gateway that is resumed charges them itself"
    for _ in range(2):
        assert settle_abandoned(run, usage, lambda: "gateway") == []
        assert clock.spent().usd == 2.25
    last = list(read_lines(run_dir.usage, UsageRecord))[-1]
    assert (last.request, last.status, last.tokens) == ("3", 0, 0)
    assert (last.charged_by, last.path) == ("reservation", "/v1/responses")


def test_a_record_that_cannot_be_read_hides_no_other(run_dir: RunDir) -> None:
    """It is told of in the result and in the journal, and the rest is counted."""
    wrong = settled("1", 0.25, model=None)
    run = context(run_dir, BookEngine(book(wrong, settled("2", 0.5))))
    usage, clock = usage_log(run)
    (problem,) = settle(run, usage, "gateway")
    assert "1 of the requests" in problem
    assert clock.spent().usd == 0.5
    assert [e.event for e in run.journal.events()] == ["gateway.usage_unreadable"]


def test_an_engine_that_does_not_answer_closes_no_run(run_dir: RunDir) -> None:
    """The error leaves, so the volumes with the gateway's book are kept for a resume."""
    run = context(run_dir, BookEngine(None))
    usage, clock = usage_log(run)
    usage.add(settled("1", 0.25))
    with pytest.raises(EngineError, match="does not answer"):
        settle(run, usage, "gateway")
    assert clock.spent().usd == 0.25


def test_an_abandoned_run_is_closed_without_what_the_engine_does_not_give(run_dir: RunDir) -> None:
    """The user ends it for good: what was known is counted, what is missing is a problem."""
    run = context(run_dir, BookEngine(None))
    usage, clock = usage_log(run)
    usage.add(settled("1", 0.25))
    (problem,) = settle_abandoned(run, usage, lambda: "gateway")
    assert "does not answer" in problem
    assert clock.spent().usd == 0.25


def test_what_an_abandoned_run_recorded_is_named_when_it_is_lost(run_dir: RunDir) -> None:
    """With RECORD=1 the problem says that the recorded requests are missing too."""
    run = context(run_dir, BookEngine(None), record=True)
    (problem,) = settle_abandoned(run, usage_log(run)[0], lambda: "gateway")
    assert "its recorded requests" in problem


def test_records_that_the_engine_does_not_give_are_one_sentence(run_dir: RunDir) -> None:
    """The book was read, so the run ends; the sentence and an event say what is missing."""
    run = context(run_dir, BookEngine(book()), record=True)
    (problem,) = settle(run, usage_log(run)[0], "gateway")
    assert problem.startswith("records: not all could be fetched")
    assert [e.event for e in run.journal.events()] == ["records.unreadable"]


def test_a_baseline_that_used_a_model_is_settled_like_an_agent(run_dir: RunDir) -> None:
    """Its gateway has a book, whoever ends the run."""
    run = context(run_dir, BookEngine(book(settled("1", 0.25))), "centaur")
    asked = Proposer(method="centaur", provider="openai", model="m")
    run = dataclasses.replace(run, spec=run.spec.model_copy(update={"proposer": asked}))
    usage, clock = usage_log(run)
    assert settle_abandoned(run, usage, lambda: "gateway") == []
    assert clock.spent().usd == 0.25
    assert usage.cost_of("1").tokens == 10


@pytest.mark.parametrize(("contestant", "gateway"), [("gpt", ""), ("random", "gateway")])
def test_without_a_gateway_nothing_is_settled(
    run_dir: RunDir, contestant: str, gateway: str
) -> None:
    """An agent's run whose gateway left nothing, and a baseline, which never had one."""
    run = context(run_dir, BookEngine(None), contestant)
    assert settle_abandoned(run, usage_log(run)[0], lambda: gateway) == []
