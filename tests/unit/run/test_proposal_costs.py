"""What proposals cost, by the gateway's records of a run and never by the contestant's word."""

from __future__ import annotations

from runner.budget_clock import BudgetClock
from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.proposal import Proposal
from runner.records.schema import TrialRecord
from runner.run.proposal_costs import ProposalCosts
from runner.run.result import proposal_fields
from runner.run.settlement import UsageLog
from runner.spec import Budget
from runner.trials.ledger import Ledger
from tests.unit.run.gateway_book import settled


def usage_of(run_dir: RunDir, *records: dict[str, object]) -> UsageLog:
    usage = UsageLog(run_dir, Journal(run_dir), BudgetClock(Budget(usd=5)))
    for record in records:
        usage.add(record)
    return usage


def trial(number: int, *requests: str, by: str = "model") -> TrialRecord:
    return TrialRecord(
        trial=number, source="sampler", request=f"ask-{number}", status="ok",
        proposal=Proposal(by=by, requests=requests, usd=99.0, tokens=99),
    )  # fmt: skip


def test_a_trial_costs_what_its_requests_cost(run_dir: RunDir) -> None:
    """Requests that the gateway does not know are left out."""
    usage = usage_of(run_dir, settled("1", 0.25), settled("2", 0.5, output_tokens=5))
    costs = ProposalCosts(usage, Ledger(run_dir, VAL_BPB))
    priced = costs.priced(trial(1, "1", "2", "made-up")).proposal
    assert priced == Proposal(by="model", requests=("1", "2"), usd=0.75, tokens=25)
    assert costs.priced(trial(2)).proposal == Proposal(by="model")


def test_a_request_is_paid_by_the_first_trial_that_names_it(run_dir: RunDir) -> None:
    """Also by one of an earlier life; so all trials together cost no more than the run."""
    ledger = Ledger(run_dir, VAL_BPB)
    usage = usage_of(run_dir, settled("1", 0.25), settled("2", 0.5))
    ledger.append(ProposalCosts(usage, ledger).priced(trial(1, "1")))
    second = ProposalCosts(usage_of(run_dir), Ledger(run_dir, VAL_BPB)).priced(trial(2, "1", "2"))
    assert second.proposal is not None
    assert (second.proposal.requests, second.proposal.usd) == (("1", "2"), 0.5)


def test_a_trial_without_a_proposal_stays_as_it_is(run_dir: RunDir) -> None:
    """A classical sampler's, or an agent's."""
    record = TrialRecord(trial=1, source="sampler", request="r", status="ok")
    assert ProposalCosts(usage_of(run_dir), Ledger(run_dir, VAL_BPB)).priced(record) is record


def test_a_result_counts_sources_fallbacks_and_failed_requests(run_dir: RunDir) -> None:
    """A request failed if its status or the provider's own word says so, and it could be taken."""
    usage_of(
        run_dir, settled("1", 0.1), settled("2", 0.0, status=529), settled("3", 0.0, status=0),
        settled("4", 0.1, failure="overloaded"), settled("5", 0.0, status=400),
        settled("6", 0.0, status=422), settled("7", 0.0, status=401),
    )  # fmt: skip
    ledger = Ledger(run_dir, VAL_BPB)
    for number, by in enumerate(("default", "model", "fallback", "cmaes", "model"), start=1):
        ledger.append(trial(number, by=by))
    fields = proposal_fields(run_dir, ledger)
    assert list(fields["proposals"].items()) == [
        ("default", 1), ("cmaes", 1), ("model", 2), ("fallback", 1),
    ]  # fmt: skip
    assert (fields["fallbacks"], fields["model_failures"]) == (1, 4)
