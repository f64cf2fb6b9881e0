"""What the proposals of a baseline's model cost, by the gateway's records of the run alone."""

from __future__ import annotations

from runner.records.schema import TrialRecord
from runner.run.settlement import UsageLog
from runner.trials.ledger import Ledger


class ProposalCosts:
    """Completes the records of trials with what their proposals cost.

    A request that the gateway did not settle is left out of a record. What one cost counts for the
    first trial that names it, so the dollars of all trials are never more than the run's.

    Args:
        usage: the settled requests of the run.
        ledger: the trials that have ended.
    """

    def __init__(self, usage: UsageLog, ledger: Ledger) -> None:
        self._usage = usage
        self._counted = {
            name
            for record in ledger.records
            for name in (record.proposal.requests if record.proposal else ())
        }

    def priced(self, record: TrialRecord) -> TrialRecord:
        """The record, with the dollars and tokens of the requests that its proposal names."""
        if record.proposal is None:
            return record
        names = tuple(name for name in record.proposal.requests if self._usage.has(name))
        new = [name for name in names if name not in self._counted]
        self._counted.update(new)
        costs = [self._usage.cost_of(name) for name in new]
        paid = {
            "requests": names,
            "usd": sum(one.usd for one in costs),
            "tokens": sum(one.tokens for one in costs),
        }
        return record.model_copy(update={"proposal": record.proposal.model_copy(update=paid)})
