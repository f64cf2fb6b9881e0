"""The one loop: what ends a run, what it makes of what it hears, and what it leaves on record."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import pytest

from runner.errors import EngineError, SandboxError, SuspendedError
from runner.records.layout import RunDir
from runner.recovery import supervisor
from runner.recovery.supervisor import MAX_DEATHS, STEADY_SECONDS
from runner.recovery.wishes import Kind, Wish
from runner.run.drivers.turn_policy import MAX_TURNS_WITHOUT_TRIAL
from runner.run.loop import READING_SECONDS, RunLoop
from runner.run.loop_parts import Ending
from runner.sandbox.peer import ConnectionLost, ContainerExited, MessageReceived
from runner.spec import Budget
from runner.wire.messages import (
    CapReached,
    Denied,
    Message,
    Outage,
    Problem,
    Stop,
    TrialFinished,
    TrialRefused,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
)
from tests.unit.run.gateway_book import BookEngine, book, settled
from tests.unit.run.loop_rig import TRAIN_SECONDS, USAGE, LoopRig

Rigs = Callable[..., LoopRig]
STOP, SUSPEND = Wish(Kind.STOP, "a test"), Wish(Kind.SUSPEND, "a test")


@pytest.fixture
def make(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rigs]:
    """Makes the loop of a run with that budget; dead parts are started again at once."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    made: list[LoopRig] = []

    def make(role: str = "optimizer", **budget: float) -> LoopRig:
        made.append(LoopRig(run_dir, Budget.model_validate(budget), role))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


# --- what ends a run ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "trials"),
    [({"trials": 3}, 3), ({"train_hours": 2 * TRAIN_SECONDS / 3600}, 2)],
)
def test_a_budget_of_trials_ends_a_run(make: Rigs, budget: dict[str, float], trials: int) -> None:
    """Each trial runs to its end, is on record, and is answered; the last answer says so."""
    rig = make(**budget)
    (name,) = budget
    left = f"left: {rig.clock.left()}"
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == (name, "budget")
    assert ending.detail != left
    assert rig.trials() == [(number, "ok") for number in range(1, trials + 1)]
    answers = [m for m in rig.contestant.told if isinstance(m, TrialFinished)]
    assert [answer.last for answer in answers] == [False] * (trials - 1) + [True]
    stops = [m.reason for m in rig.contestant.told if isinstance(m, Stop)]
    assert stops == [f"the budget is spent: {name}"]
    assert [fields["ended_by"] for fields in rig.said("run.ending")] == [name]
    assert rig.clock.spent().train_seconds == trials * TRAIN_SECONDS


def test_the_hours_end_a_run_and_kill_its_trial(make: Rigs) -> None:
    """A trial under way when they are over is killed, and on record as killed."""
    rig = make(hours=0.5)
    rig.executor.held = {1}
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == ("hours", "budget")
    assert rig.trials() == [(1, "killed")]
    assert 1800 <= rig.hands.at < 1801
    assert rig.clock.spent().wall_seconds == pytest.approx(rig.hands.at)


@pytest.mark.parametrize(
    ("budget", "request_fields"),
    [({"usd": 0.5}, {"cost_usd": 0.25}), ({"tokens": 2000}, {"output_tokens": 1000})],
)
def test_what_a_model_costs_ends_a_run(
    make: Rigs, budget: dict[str, float], request_fields: dict[str, object]
) -> None:
    """Two requests of half the budget each."""
    rig = make("agent", **budget)
    rig.settle_a_request(request="r-1", **request_fields)
    rig.settle_a_request(request="r-2", **request_fields)
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == (next(iter(budget)), "budget")
    assert [record.request for record in rig.usage()] == ["r-1", "r-2"]
    assert "closing" not in [fields["prompt"] for fields in rig.said("turn.started")]


def test_a_cap_that_the_gateway_reached_ends_a_run(make: Rigs) -> None:
    """No further request fits, though the budget is not quite spent."""
    rig = make("agent", usd=5)
    rig.inbox.put(
        MessageReceived("gateway", CapReached("usd", "the next request costs up to 1 dollar"))
    )
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == ("usd", "budget")
    assert [fields["budget"] for fields in rig.said("gateway.cap_reached")] == ["usd"]


def test_a_person_ends_a_run(make: Rigs) -> None:
    """Whoever asked is named; an agent gets its closing turn, because its model still answers."""
    rig = make("agent", hours=1)
    rig.wish = lambda: STOP if rig.hands.at >= 60 else None
    rig.contestant.answers = rig.think
    ending = rig.run()
    assert ending == Ending("stopped", "user", "a test")
    assert [fields["prompt"] for fields in rig.said("turn.started")][-1] == "closing"


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


def test_a_silent_contestant_does_not_hold_up_the_end(make: Rigs) -> None:
    """One that never says that it has stopped is given up when its grace is over."""
    rig = make(trials=1)
    rig.contestant.answers = lambda _: ()
    assert rig.run().ended_by == "trials"
    assert 0 < rig.hands.at < 60


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


# --- trials in flight -----------------------------------------------------------------------------


def test_a_killed_trial_is_waited_for_before_the_run_is_over(make: Rigs) -> None:
    """The run ends under two trials: both are on record before the loop returns."""
    rig = make(hours=1)
    rig.executor.held = {1}
    rig.ask()
    rig.contestant.answers = lambda _: ()
    rig.wish = lambda: STOP if rig.parts.trials.in_flight() == 2 else None
    assert rig.run().ended_by == "stopped"
    assert rig.trials() == [(1, "killed"), (2, "killed")]
    assert rig.parts.trials.in_flight() == 0


def test_a_run_that_is_over_takes_no_trial(make: Rigs) -> None:
    """A request that comes after the end is refused for good, with what ended the run."""
    rig = make(hours=1)
    rig.wish = lambda: STOP

    def ask_again(message: Message) -> Iterable[Message]:
        if isinstance(message, Stop):
            rig.ask()
        return ()

    rig.contestant.answers = ask_again
    rig.executor.held = {1}
    rig.run()
    refused = [m for m in rig.contestant.told if isinstance(m, TrialRefused)]
    assert [(r.request, r.reason, r.final) for r in refused] == [
        ("r-2", "the run is over: stopped", True)
    ]


def test_a_broken_engine_under_a_trial_breaks_the_run(make: Rigs) -> None:
    """The trial has no record, the trial behind it neither: the run can be resumed."""
    rig = make(hours=1)
    rig.executor.broken, rig.executor.held = {1}, {2}
    rig.ask()
    with pytest.raises(EngineError, match="trial 1"):
        rig.run()
    assert rig.trials() == []
    assert rig.said("run.ending") == []


def test_an_engine_that_is_lost_breaks_the_run(make: Rigs) -> None:
    """A trial that was killed for that is no trial of the run; a settled request is one of it."""
    rig = make("agent", hours=1)
    rig.executor.held = {1}
    rig.ask()
    lost = EngineError("reading of the agent: the engine does not answer")
    rig.contestant.answers = lambda _: ()
    rig.wish = lambda: (
        rig.inbox.put(ConnectionLost(lost, rig.hands.at - 40)) if rig.executor.holds else None
    )
    rig.hands.at = 100.0
    with pytest.raises(EngineError, match="does not answer"):
        rig.run()
    rig.settle_a_request()
    rig.loop.drain()
    assert rig.trials() == []
    assert len(rig.usage()) == 1
    assert rig.clock.spent().wall_seconds == 60, "the 40 s without an engine are given back"


# --- what it makes of what it hears ---------------------------------------------------------------


def test_the_clock_is_on_record_again_and_again(make: Rigs) -> None:
    """From the beginning and every few seconds, so that a restart goes on from there."""
    rig = make("agent", hours=0.05)
    rig.contestant.answers = rig.think
    rig.run()
    readings = [fields["wall_seconds"] for fields in rig.said("clock.read")]
    assert readings[0] < 1
    gaps = [after - before for before, after in itertools.pairwise(readings)]
    assert max(gaps) <= READING_SECONDS + 1
    assert readings[-1] == rig.clock.spent().wall_seconds


def test_a_request_is_counted_and_on_record(make: Rigs) -> None:
    """Its dollars and tokens, its line of usage.jsonl; one that nobody can read is neither."""
    rig = make("agent", hours=1)
    rig.settle_a_request(cost_usd=0.25, input_tokens=7, output_tokens=3)
    rig.settle_a_request(model=None)
    rig.loop.drain()
    spent = rig.clock.spent()
    assert (spent.usd, spent.tokens, spent.requests) == (0.25, 10, 1)
    assert [record.cost_usd for record in rig.usage()] == [0.25]
    assert len(rig.said("gateway.usage_unreadable")) == 1


def test_what_was_said_before_the_end_is_taken_up(make: Rigs) -> None:
    """The gateway settles a request while the contestant stops: it is counted."""
    rig = make(trials=1)

    def settle_late(message: Message) -> Iterable[Message]:
        answers = list(rig.work(message))
        if isinstance(message, Stop):
            for answer in answers:
                rig.contestant.say(answer)
            rig.settle_a_request(cost_usd=0.5)
            return ()
        return answers

    rig.contestant.answers = settle_late
    rig.run()
    assert rig.clock.spent().usd == 0.5
    assert len(rig.usage()) == 1


@pytest.mark.parametrize(
    ("role", "seconds", "ended_by"), [("agent", 0.0, "stopped"), ("gateway", 100.0, "usd")]
)
def test_only_the_gateway_is_believed_about_money_and_outages(
    make: Rigs, role: str, seconds: float, ended_by: str
) -> None:
    """A contestant that says the same gets no time back and ends nothing."""
    rig = make("agent", hours=1)
    rig.hands.at = 500.0
    for message in (Outage(0.0, 100.0, "unreachable"), CapReached("usd")):
        rig.inbox.put(MessageReceived(role, message))
    rig.wish = lambda: STOP if rig.inbox.empty() else None
    assert rig.run().ended_by == ended_by
    assert rig.clock.spent().outage_seconds == seconds
    assert len(rig.said("gateway.cap_reached")) == (role == "gateway")


def test_a_refusal_is_told_to_the_driver(make: Rigs) -> None:
    """A session whose history is refused is left behind; the reason is on record, shortened."""
    rig = make("agent", hours=1)

    def be_refused(message: Message) -> Iterable[Message]:
        if isinstance(message, TurnStart) and message.turn == 2:
            for _ in range(2):
                rig.inbox.put(MessageReceived("gateway", Denied("policy", "x" * 9000)))
            return [TurnFinished(message.turn, 1, 1.0, "/transcript")]
        return rig.take_turns(message)

    rig.contestant.answers = be_refused
    with pytest.raises(SuspendedError, match="no trial"):
        rig.run()
    assert [fields["prompt"] for fields in rig.said("turn.started")][:3] == [
        "first", "nudge", "fresh",
    ]  # fmt: skip
    denied = rig.said("gateway.request_denied")
    assert [fields["reason"] for fields in denied] == ["policy", "policy"]
    assert len(denied[0]["detail"]) == 500


def test_a_problem_is_on_record_with_its_container(make: Rigs) -> None:
    """Of any role, bounded; the run goes on."""
    rig = make(trials=1)
    for role in ("gateway", "optimizer", "rehearsal"):
        rig.inbox.put(MessageReceived(role, Problem("writing", "x" * 9000)))
    assert rig.run().ended_by == "trials"
    problems = rig.said("container.problem")
    assert [fields["role"] for fields in problems] == ["gateway", "optimizer", "rehearsal"]
    assert {len(fields["message"]) for fields in problems} == {1000}


# --- time that a trial waits ----------------------------------------------------------------------


def test_a_settled_request_takes_its_time_from_a_trials_wait(make: Rigs) -> None:
    """While a trial waited for its device the agent's model answered: it did not wait then."""
    rig = make("agent", hours=1)
    rig.clock.lease_wait_began(1, 100.0)
    rig.hands.at = 400.0
    rig.settle_a_request(latency_seconds=60.0)
    rig.loop.drain()
    rig.hands.at = 500.0
    assert rig.clock.spent().requests == 1
    assert rig.clock.spent().lease_wait_seconds == 340.0
    assert rig.clock.spent().wall_seconds == 160.0


def test_a_request_that_is_booked_late_takes_no_time(make: Rigs) -> None:
    """What the gateway settled while nobody listened was not asked for just now."""
    rig = make("agent", hours=1)
    rig.clock.lease_wait_began(1, 100.0)
    rig.hands.at = 400.0
    rig.parts.usage.add({**USAGE, "request": "q", "latency_seconds": 60.0})
    assert rig.clock.spent().requests == 1
    assert rig.clock.spent().lease_wait_seconds == 300.0
