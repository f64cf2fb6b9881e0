"""What the tables say of a run beside its records: its cost so far, what was kept, its budget."""

from __future__ import annotations

from runner.results.reading import Run


class CostSoFar:
    """What a run had spent on its model by a moment, in US dollars; moments come in order."""

    def __init__(self, run: Run) -> None:
        self.requests = sorted((one.at, one.cost_usd) for one in run.usage)
        self.at, self.spent = 0, 0.0

    def until(self, moment: str) -> float:
        """The sum by a moment, ISO 8601."""
        while self.at < len(self.requests) and self.requests[self.at][0] <= moment:
            self.spent += self.requests[self.at][1]
            self.at += 1
        return self.spent


def kept_by_row(run: Run) -> dict[int, bool]:
    """Trial → whether the agent's own log says that its change was kept."""
    fidelity = run.fidelity
    if fidelity is None or run.claims is None:
        return {}
    outcomes = {row.row: row.outcome for row in run.claims.rows}
    return {
        found.trial: outcomes.get(found.row) == "keep"
        for found in fidelity.findings
        if found.trial is not None and found.row is not None and outcomes.get(found.row)
    }


def budget_share(run: Run) -> float | None:
    """The largest share of a budget that was used, at most 1; None if no budget is known."""
    spent = run.result.spent if run.result else None
    if spent is None:
        return None
    used = {
        "hours": spent.elapsed_seconds / 3600,
        "train_hours": spent.train_seconds / 3600,
        "trials": spent.trials,
        "usd": spent.usd,
        "tokens": spent.tokens,
        "total_usd": spent.usd + (run.compute_usd or 0.0),
    }
    shares = [
        used[name] / amount for name, amount in run.budget.items() if name in used and amount > 0
    ]
    return min(1.0, max(shares)) if shares else None
