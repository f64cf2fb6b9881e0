"""The budgets of the clock: which one is spent, what is left, and what a model may still cost."""

from __future__ import annotations

import pytest

from runner.budget_clock import BudgetClock
from runner.records.schema import Spent, UsageRecord
from runner.spec import Budget
from tests.unit.run.rig import Hands


@pytest.mark.parametrize(
    ("budget", "spent"),
    [
        (Budget(hours=2), Spent(wall_seconds=7200)),
        (Budget(train_hours=0.5), Spent(train_seconds=1800)),
        (Budget(trials=3), Spent(trials=3)),
        (Budget(usd=1.5), Spent(usd=1.5)),
        (Budget(tokens=10), Spent(tokens=10)),
    ],
)
def test_a_budget_is_spent_when_it_is_used_up(budget: Budget, spent: Spent) -> None:
    """Each budget ends the run at its bound and not before, under its own name."""
    (name,) = (name for name, bound in budget.as_dict().items() if bound is not None)
    less = Spent.model_validate(
        {
            k: v * 0.5 if isinstance(v, float) else max(0, v - 1)
            for k, v in spent.model_dump(exclude={"schema_version"}).items()
        }
    )
    assert BudgetClock(budget, spent, Hands()).spent_budget() == name
    assert BudgetClock(budget, less, Hands()).spent_budget() is None


def test_what_is_left_is_said_in_words() -> None:
    """Every bound that is set is in the sentence, never below zero, and no other."""
    budget = Budget(hours=2, train_hours=1, trials=3, usd=2.5, tokens=1000)
    spent = Spent(wall_seconds=1800, train_seconds=7200, trials=1, usd=0.5, tokens=400)
    left = BudgetClock(budget, spent, Hands()).left()
    assert left == ("2 trials, 1.50 hours, 0.00 training hours, 2.00 US dollars, 600 tokens")
    assert BudgetClock(Budget(trials=2), Spent(trials=5), Hands()).left() == "0 trials"
    total = Budget(total_usd=3, compute_usd_per_hour=4)
    left = BudgetClock(total, Spent(usd=0.5, device_seconds=900), Hands()).left()
    assert left == "1.50 US dollars for model and devices together"


def test_a_total_counts_the_model_and_the_devices() -> None:
    """Half a dollar for the model, half for a trial's device, and the trial under way goes on."""
    hands = Hands(0.0)
    clock = BudgetClock(Budget(total_usd=2, compute_usd_per_hour=3600), now=hands)
    assert clock.usd_cap() == 2
    clock.count_trial(0.25, 0.5)
    assert (clock.usd_cap(), clock.spent().device_seconds) == (1.5, 0.5)
    clock.lease_wait_began(2, 0.0)
    hands.at = 30.0
    assert clock.usd_cap() == 1.5  # a wait for a device costs nothing
    clock.lease_wait_ended(2, 30.0)
    clock.attempt_began(2, 30.0)
    hands.at = 31.25
    assert (clock.usd_cap(), clock.spent_budget()) == (0.25, None)
    clock.count_request(UsageRecord(at="", request="1", provider="", model="", cost_usd=0.25))
    assert clock.spent_budget() == "total_usd"
    clock.attempt_ended(2, 31.25)
    clock.count_trial(1.0, 1.25)
    assert (clock.spent().device_seconds, clock.spent_budget()) == (1.75, "total_usd")
    clock.count_check(5.0)
    assert (clock.spent().device_seconds, clock.usd_cap()) == (6.75, 0.0)


@pytest.mark.parametrize(
    ("bounds", "device_seconds", "cap", "named"),
    [
        ({"usd": 1.0}, 0.0, 1.0, "usd"),
        ({"usd": 1.0, "total_usd": 3.0}, 0.0, 1.0, "usd"),
        ({"usd": 1.0, "total_usd": 3.0}, 1800.0, 1.0, "usd"),
        ({"usd": 1.0, "total_usd": 3.0}, 1900.0, pytest.approx(0.8888889), "total_usd"),
        ({"total_usd": 3.0}, 0.0, 3.0, "total_usd"),
        ({"tokens": 9}, 0.0, None, "usd"),
    ],
)
def test_the_tighter_bound_is_the_models_cap(
    bounds: dict[str, float], device_seconds: float, cap: float | None, named: str
) -> None:
    """It is that of the model alone or what devices have left of all, and it has its name."""
    budget = Budget(**bounds, compute_usd_per_hour=4.0)  # type: ignore[arg-type]
    clock = BudgetClock(budget, Spent(device_seconds=device_seconds), Hands())
    assert (clock.usd_cap(), clock.cap_named("usd")) == (cap, named)
    assert clock.cap_named("tokens") == "tokens"
