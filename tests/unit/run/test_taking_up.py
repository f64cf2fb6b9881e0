"""A resumed run: what its dead runner left is taken up first, and what is spent stays spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from runner.errors import EngineError, SuspendedError
from runner.records.clock import kept_reading
from runner.records.layout import RunDir
from runner.records.schema import Spent
from runner.run.loop_parts import SIGN_OF_LIFE_SECONDS, TICK_SECONDS
from runner.run.spent import last_spent
from runner.spec import Budget
from runner.wire.messages import TrialAccepted, TrialFinished
from tests.unit.run.loop_rig import TRAIN_SECONDS, LoopRig

Lives = Callable[..., LoopRig]


@pytest.fixture
def life(run_dir: RunDir) -> Iterator[Lives]:
    """Makes the loop of one life of a run, on what the lives before it recorded."""
    made: list[LoopRig] = []

    def make(role: str = "optimizer", before: Spent | None = None, **budget: float) -> LoopRig:
        made.append(LoopRig(run_dir, Budget.model_validate(budget), role, before))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


def break_under_trials(rig: LoopRig, trials: int) -> None:
    """Let the engine fail under the first of so many trials, which breaks the run."""
    rig.executor.broken, rig.executor.held = {1}, {2}
    for _ in range(trials - 1):
        rig.ask()
    with pytest.raises(EngineError, match="trial 1"):
        rig.run()
    assert rig.trials() == []


def test_every_trial_is_in_the_ledger_once(life: Lives, run_dir: RunDir) -> None:
    """One was under way, one was queued; both run again, and the optimizer asks for both again."""
    break_under_trials(life(trials=3), 2)
    again = life(trials=3, before=last_spent(run_dir))
    assert again.run().ended_by == "trials"
    assert again.trials() == [(1, "ok"), (2, "ok"), (3, "ok")]
    assert [order.request for order in again.executor.ran] == ["r-1", "r-2", "r-3"]
    assert [fields["trial"] for fields in again.said("trial.taken_up")] == [1, 2]
    assert again.clock.spent().train_seconds == 3 * TRAIN_SECONDS
    answers = [m.request for m in again.contestant.told if isinstance(m, TrialFinished)]
    assert sorted(set(answers)) == ["r-1", "r-2", "r-3"]


def test_an_agents_turn_begins_after_the_trials_that_were_taken_up(
    life: Lives, run_dir: RunDir
) -> None:
    """It is told of them before anything else, and its session goes on when they have ended."""
    first = life("agent", trials=1)
    first.ask()
    break_under_trials(first, 1)
    again = life("agent", trials=2, hours=0.05, before=last_spent(run_dir))
    with pytest.raises(SuspendedError, match="no trial"):
        again.run()
    kinds = [message.event for message in again.contestant.told]
    assert kinds[:4] == ["trial.accepted", "trial.log", "trial.finished", "turn.start"]
    assert again.contestant.told[0] == TrialAccepted("r-1", 1)
    assert again.trials() == [(1, "ok")]
    assert [fields["prompt"] for fields in again.said("turn.started")][:2] == ["first", "nudge"]


def test_a_budget_that_is_spent_already_pays_for_no_turn(life: Lives, run_dir: RunDir) -> None:
    """It ends the run at once; a trial that was under way is on record as killed."""
    first = life("agent", trials=1)
    first.ask()
    break_under_trials(first, 1)
    before = Spent(wall_seconds=3600.0, elapsed_seconds=3600.0, turns=1)
    again = life("agent", hours=1, before=before)
    again.executor.held = {1}
    ending = again.run()
    assert (ending.ended_by, ending.cause) == ("hours", "budget")
    assert "turn.start" not in [message.event for message in again.contestant.told]
    assert again.trials() == [(1, "killed")]
    assert again.clock.spent().train_seconds <= TRAIN_SECONDS
    assert again.hands.at <= 2 * TICK_SECONDS


def test_a_sign_of_life_is_never_old(life: Lives, run_dir: RunDir) -> None:
    """Whenever the runner is killed, no more than a second or so of its time is not on record."""
    rig = life("agent", hours=0.02)
    rig.contestant.answers = rig.think
    gaps = []

    def note() -> bool:
        reading = kept_reading(run_dir)
        gaps.append(rig.hands.at - (reading.spent.elapsed_seconds if reading else 0.0))
        return False

    rig.inbox.will_speak = note
    rig.run()
    assert len(gaps) > 0.02 * 3600
    assert max(gaps) <= SIGN_OF_LIFE_SECONDS + TICK_SECONDS
