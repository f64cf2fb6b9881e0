"""Which contestants may begin before the lock is proved, and what lives that fail cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner import options
from runner.budget_clock import BudgetClock
from runner.errors import EngineError, SuspendedError
from runner.options import RunOptions
from runner.records.layout import RunDir
from runner.records.schema import Spent, UsageRecord
from runner.recovery.engine_loss import EngineLoss
from runner.run import lives
from runner.run.context import RunContext
from runner.run.lives import begins_early, see_through
from runner.spec import Budget
from tests.unit.run.loop_rig import USAGE
from tests.unit.run.rig import Hands
from tests.unit.run.test_container_plan import context_of


def test_only_an_agent_that_has_written_nothing_begins_early(run_dir: RunDir) -> None:
    """A resumed one has, and so may one whose runner was killed after the proof."""
    asked = RunOptions(rehearsal=True)
    made = context_of(options.agent_run("gpt", asked, Budget(trials=1), {}), run_dir)
    made.journal.write("run.started")
    assert begins_early(made)
    assert not begins_early(replace(made, resumed=True))
    made.journal.write("containment.proved", probes=1, slow_probes=0)
    assert not begins_early(made)


def test_no_baseline_begins_early(run_dir: RunDir) -> None:
    """Its sampler may be a stranger's, and needs no model."""
    spec = options.baseline_run("random", RunOptions(), Budget(trials=1), {})
    assert not begins_early(context_of(spec, run_dir))


def test_a_life_that_never_opens_costs_no_time(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that refuses to open the sandbox is nobody's time; a request that is found is paid.

    A life that was open is charged for what it lasted.
    """
    hands = Hands()

    def pass_by(seconds: float) -> None:
        hands.at += seconds

    monkeypatch.setattr(
        lives, "BudgetClock", lambda budget, before: BudgetClock(budget, before, hands)
    )
    monkeypatch.setattr(
        lives, "EngineLoss", lambda engine, journal: EngineLoss(engine, journal, hands, pass_by)
    )
    monkeypatch.setattr(lives, "remove_run", lambda *_, **__: None)
    opens, spent = [True, False, True], list[Spent]()

    def live(
        context: RunContext, clock: BudgetClock, _wishes: object, _prove: object,
        life_opened: Callable[[], None],
    ) -> None:  # fmt: skip
        spent.append(clock.spent())
        if opens.pop(0):
            life_opened()
            context.journal.write(lives.OPENED)
        clock.count_request(UsageRecord.model_validate({**USAGE, "request": "q", "cost_usd": 0.5}))
        pass_by(100.0)
        if opens:
            raise EngineError("opening: the engine does not answer")
        raise SuspendedError("enough", why="asked", by="user")

    monkeypatch.setattr(lives, "_live", live)
    spec = options.baseline_run("random", RunOptions(), Budget(hours=1), {})
    with pytest.raises(SuspendedError, match="enough"):
        see_through(context_of(spec, run_dir), Spent())
    assert [(one.wall_seconds, one.usd) for one in spent] == [(0, 0), (100, 0.5), (100, 1.0)]
