"""The one loop: parts that die, what suspends a run, and what does not end it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import pytest

from runner.cli.printing import ORDERLY_CAUSES
from runner.errors import EngineError, SandboxError, SuspendedError
from runner.records.schema import SPACE
from runner.recovery.supervisor import MAX_DEATHS, STEADY_SECONDS
from runner.recovery.wishes import Wish
from runner.run.drivers.baseline_driver import OPTIMIZER_GRACE_SECONDS
from runner.run.drivers.turn_policy import MAX_TURNS_WITHOUT_TRIAL
from runner.run.loop import CUT_SECONDS, RunLoop
from runner.sandbox.peer import ContainerExited
from runner.sandbox.sandbox import SHORT_TERM_SECONDS
from runner.wire.messages import (
    Message,
    Problem,
    Stop,
    Stopped,
    TrialAccepted,
    TrialFinished,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
)
from runner.wire.model_config import GAVE_UP
from runner.wire.space import EVERY_SETTING_TRIED
from tests.unit.run.gateway_book import BookEngine, book, settled
from tests.unit.run.loop_rig import STOP, SUSPEND, Rigs


@pytest.mark.parametrize("role", ["agent", "gateway"])
def test_a_part_that_dies_is_started_again(make: Rigs, role: str) -> None:
    """The run goes on to its budget, and both are on record."""
    rig = make("agent", hours=0.02)
    rig.contestant.answers = rig.think
    rig.inbox.put(ContainerExited(role, 137, "out of memory"))
    rig.wish = lambda: None if rig.said("part.restarted") else rig.wait_for_an_event()
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == ("hours", "budget")
    (died,) = rig.said("part.died")
    assert (died["role"], died["exit_code"], died["last_lines"]) == (role, 137, "out of memory")
    assert [fields["role"] for fields in rig.said("part.restarted")] == [role]
    restarted = rig.contestant if role == "agent" else rig.gateway
    assert restarted.opened == 1


def test_an_agent_that_died_goes_on_with_its_session(make: Rigs) -> None:
    """Its turn was cut: the next one is a nudge, as soon as its container is back."""
    rig = make("agent", hours=1)
    rig.contestant.answers = lambda _: ()
    rig.inbox.put(ContainerExited("agent", 137, "none"))
    rig.wish = lambda: (
        STOP
        if len(rig.said("turn.started")) == 2
        else None
        if rig.said("part.restarted")
        else rig.wait_for_an_event()
    )
    rig.run()
    prompts = [fields["prompt"] for fields in rig.said("turn.started")]
    assert prompts[:2] == ["first", "nudge"]
    assert [fields["turn"] for fields in rig.said("turn.lost")] == [1]


def test_a_part_that_dies_again_and_again_suspends_the_run(make: Rigs) -> None:
    """Its last words are in the reason; one that lived for a while begins to count anew."""
    rig = make("agent", hours=100)
    rig.contestant.answers = rig.think
    deaths = 0

    def die_again() -> None:
        nonlocal deaths
        if deaths == len(rig.said("part.restarted")):
            deaths += 1
            if deaths == 3:
                rig.hands.at += STEADY_SECONDS
            rig.inbox.put(ContainerExited("gateway", 1, f"no space left, {deaths}"))
        rig.wait_for_an_event()

    rig.wish = die_again
    with pytest.raises(SuspendedError, match=f"no space left, {MAX_DEATHS + 2}") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("gateway_died", "sandbox")
    in_a_row = [fields["deaths_in_a_row"] for fields in rig.said("part.died")]
    assert in_a_row == [1, 2, *range(1, MAX_DEATHS + 1)]


def test_a_part_that_cannot_be_started_again_counts_as_dead(make: Rigs) -> None:
    """What the engine refuses breaks the run; a container that ends at once is tried again."""
    rig = make("agent", hours=1)
    rig.contestant.answers = rig.think
    rig.gateway.unstartable = SandboxError("starting the gateway: it ended")
    rig.wish = rig.wait_for_an_event
    rig.inbox.put(ContainerExited("gateway", 1, "none"))
    with pytest.raises(SuspendedError, match="starting the gateway: it ended"):
        rig.run()
    rig = make("agent", hours=1)
    rig.contestant.answers = rig.think
    rig.gateway.unstartable = EngineError("creating the gateway: the engine is gone")
    rig.wish = rig.wait_for_an_event
    rig.inbox.put(ContainerExited("gateway", 1, "none"))
    with pytest.raises(EngineError, match="the engine is gone"):
        rig.run()


def test_what_a_dead_gateway_settled_is_counted_once(make: Rigs) -> None:
    """Its book has what it could not tell any more, and what it tells once it is back."""
    rig = make("agent", hours=0.02)
    rig.contestant.answers = rig.think
    rig.settle_a_request(request="r-1", cost_usd=0.25)
    rig.book_engine = BookEngine(book(settled("r-1", 0.25), settled("r-2", 0.5)))
    rig.loop = RunLoop(dataclasses.replace(rig.parts, engine=rig.book_engine))
    rig.inbox.put(ContainerExited("gateway", 137, "none"))
    rig.wish = lambda: None if rig.said("part.restarted") else rig.wait_for_an_event()
    rig.run()
    rig.settle_a_request(request="r-2", cost_usd=0.5)
    rig.loop.drain()
    assert [record.request for record in rig.usage()] == ["r-1", "r-2"]
    assert rig.clock.spent().usd == 0.75


def test_a_run_that_is_over_starts_nothing_again(make: Rigs) -> None:
    """The contestant's death after the end is its end."""
    rig = make("agent", hours=1)
    rig.wish = lambda: STOP

    def exit_at_the_stop(message: Message) -> Iterable[Message]:
        if isinstance(message, Stop):
            rig.inbox.put(ContainerExited("agent", 0, "none"))
        return ()

    rig.contestant.answers = exit_at_the_stop
    assert rig.run().ended_by == "stopped"
    assert rig.said("part.died") == []
    assert rig.contestant.opened == 0


def test_a_run_is_suspended(make: Rigs) -> None:
    """The gateway is told to take no request, the turn is cut, the trial is not on record."""
    rig = make("agent", hours=1)
    rig.contestant.answers = rig.think
    rig.executor.held = {1}
    rig.ask()
    rig.wish = lambda: SUSPEND if rig.executor.holds else None
    with pytest.raises(SuspendedError, match="a test") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("asked", "user")
    assert [message for message in rig.gateway.told if isinstance(message, Stop)]
    assert [message for message in rig.contestant.told if isinstance(message, TurnInterrupt)]
    assert [message for message in rig.contestant.told if isinstance(message, Stop)] == []
    assert len(rig.said("turn.finished")) == 1
    assert rig.trials() == []
    assert rig.said("run.ending") == []
    assert rig.said("clock.read") != []


def test_a_suspension_costs_no_time(make: Rigs) -> None:
    """Its seconds are nobody's, however long the agent takes to leave its turn."""
    rig, wished = make("agent", hours=1), list[float]()

    def wish() -> Wish | None:
        if rig.hands.at < 20:
            return None
        wished.append(rig.hands.at)
        return SUSPEND

    rig.contestant.answers, rig.wish = lambda _: (), wish
    with pytest.raises(SuspendedError, match="a test"):
        rig.run()
    assert rig.hands.at >= wished[-1] + CUT_SECONDS
    assert rig.said("clock.read")[-1]["wall_seconds"] == wished[-1]


def test_a_suspended_agent_is_charged_what_it_asked_for(make: Rigs) -> None:
    """Its turn has ended at once, and its gateway settles the open answers later."""
    rig = make("agent", hours=1)
    rig.contestant.answers = rig.think
    rig.gateway.answers = lambda _: ()
    rig.wish = lambda: SUSPEND
    waited = itertools.count()

    def settle_late() -> bool:
        if next(waited) != 3:
            return False
        rig.settle_a_request(cost_usd=0.25)
        rig.gateway.say(Stopped("a test"))
        return True

    rig.inbox.will_speak = settle_late
    with pytest.raises(SuspendedError, match="a test"):
        rig.run()
    assert [record.cost_usd for record in rig.usage()] == [0.25]


def test_a_suspended_optimiser_gets_the_answers_that_are_paid_for(make: Rigs) -> None:
    """It is left to work until the gateway has given the last of them and stopped."""
    rig = make(trials=9)
    rig.loop = RunLoop(dataclasses.replace(rig.parts, gateway=rig.gateway))
    rig.executor.held = {1}
    rig.wish = lambda: SUSPEND if rig.executor.holds else None
    trial_speaks, told = rig.inbox.will_speak, list[float]()

    def hear_stop(message: Message) -> Iterable[Message]:
        told.extend([rig.hands.at] if isinstance(message, Stop) else [])
        return ()

    def answer_late() -> bool:
        if not told:
            return trial_speaks()
        if rig.hands.at < told[0] + 3:
            return False
        rig.settle_a_request(cost_usd=0.25)
        rig.gateway.say(Stopped("a test"))
        return True

    rig.gateway.answers, rig.inbox.will_speak = hear_stop, answer_late
    with pytest.raises(SuspendedError, match="a test"):
        rig.run()
    assert [record.cost_usd for record in rig.usage()] == [0.25]
    assert [message for message in rig.contestant.told if isinstance(message, Stop)] == []
    (stop,) = [message for message in rig.gateway.told if isinstance(message, Stop)]
    assert stop.grace_seconds > CUT_SECONDS + SHORT_TERM_SECONDS, "it ends after the optimiser"


def test_a_run_that_ends_is_suspended_too(make: Rigs) -> None:
    """A machine that shuts down does not wait for a grace period; the end is on record."""
    rig = make("agent", hours=0.01)
    rig.contestant.answers = rig.think
    rig.wish = lambda: SUSPEND if rig.said("run.ending") else None
    with pytest.raises(SuspendedError, match="a test"):
        rig.run()
    assert [fields["ended_by"] for fields in rig.said("run.ending")] == ["hours"]
    assert rig.hands.at < 40


def test_a_judge_that_ends_ends_no_run(make: Rigs) -> None:
    """Its sessions are lost, it is journalled, and the trials of the run go on."""
    rig = make(trials=2)
    lost: list[str] = []
    with rig.judging.session(on_lost=lambda: lost.append("lost")) as session:
        rig.inbox.put(ContainerExited("judge", 137, "out of memory"))
        ending = rig.run()
    assert ending.ended_by == "trials"
    assert session.lost
    assert lost == ["lost"]
    (said,) = rig.said("judge.ended")
    assert (said["exit_code"], said["last_lines"]) == (137, "out of memory")


def test_an_optimiser_whose_model_is_of_no_use_is_suspended_by_its_provider(make: Rigs) -> None:
    """Not as a death of its container; the trial under way is run again when the run goes on."""
    rig = make(trials=9)
    rig.executor.held.add(1)

    def give_up(message: Message) -> Iterable[Message]:
        yield from rig.work(message)
        if isinstance(message, TrialAccepted):
            yield Problem("asking the model", "11 of 20 answers were of no use")
            yield Stopped(f"{GAVE_UP}11 of 20 answers were of no use")
            rig.inbox.put(ContainerExited("optimizer", 0, "stopped"))

    rig.contestant.answers = give_up
    with pytest.raises(SuspendedError, match="11 of 20") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("gave_up", "provider")
    assert rig.said("part.died") == []
    assert rig.said("container.problem")[0]["during"] == "asking the model"
    assert rig.trials() == []


def test_an_agent_that_asks_for_no_trial_gives_up(make: Rigs) -> None:
    """Its turns are busy, and none of them asks for anything."""
    rig = make("agent", hours=100)
    with pytest.raises(SuspendedError, match=f"no trial in {MAX_TURNS_WITHOUT_TRIAL}") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("gave_up", "agent")
    assert rig.clock.turns == MAX_TURNS_WITHOUT_TRIAL


def test_a_provider_that_refuses_is_named_when_the_agent_gives_up(make: Rigs) -> None:
    """The status of its last answer explains the turns that came to nothing."""
    rig = make("agent", hours=100)
    rig.settle_a_request(status=401)
    with pytest.raises(SuspendedError, match="HTTP 401") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("gave_up", "provider")


def test_a_provider_that_knows_nothing_is_given_up_after_a_turn(make: Rigs) -> None:
    """Every request of a whole turn got 404: the address or the model's name is wrong."""
    rig = make("agent", hours=100)

    def ask_in_vain(message: Message) -> Iterable[Message]:
        if isinstance(message, TurnStart):
            rig.settle_a_request(status=404)
            return [TurnFinished(message.turn, 1, 1.0, "/transcript")]
        return rig.take_turns(message)

    rig.contestant.answers = ask_in_vain
    with pytest.raises(SuspendedError, match="404") as caught:
        rig.run()
    assert (caught.value.why, caught.value.by) == ("gave_up", "provider")
    assert rig.clock.turns == 1


def test_a_search_that_has_tried_every_setting_ends_its_run(make: Rigs) -> None:
    """Its container's end is no death: the run is complete, long before its budget is spent."""
    rig = make(trials=9, hours=1)

    def try_all(message: Message) -> Iterable[Message]:
        if isinstance(message, TrialFinished):
            if len(rig.trials()) < 2:
                rig.ask()
            else:
                rig.contestant.say(Stopped(EVERY_SETTING_TRIED))
                rig.inbox.put(ContainerExited("optimizer", 0, "stopped"))
        return ()

    rig.contestant.answers = try_all
    began = rig.hands.at
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == (SPACE, SPACE)
    assert ending.cause in ORDERLY_CAUSES
    assert [status for _, status in rig.trials()] == ["ok", "ok"]
    assert [fields["ended_by"] for fields in rig.said("run.ending")] == [SPACE]
    assert rig.said("part.died") == []
    assert rig.hands.at - began < OPTIMIZER_GRACE_SECONDS
