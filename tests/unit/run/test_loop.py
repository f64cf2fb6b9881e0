"""The one loop: what ends a run, what it makes of what it hears, and what it leaves on record."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from runner.errors import EngineError, SuspendedError
from runner.recovery.wishes import Wish
from runner.run.loop import READING_SECONDS
from runner.run.loop_parts import TICK_SECONDS, Ending
from runner.sandbox.peer import ConnectionLost, MessageReceived
from runner.wire.messages import (
    CapReached,
    Denied,
    Heartbeat,
    Message,
    Outage,
    Problem,
    Stop,
    TrialFinished,
    TrialRefused,
    TrialRequested,
    TurnFinished,
    TurnStart,
)
from tests.unit.run.loop_rig import STOP, TRAIN_SECONDS, USAGE, Rigs

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


def test_a_silent_contestant_does_not_hold_up_the_end(make: Rigs) -> None:
    """One that never says that it has stopped is given up when its grace is over."""
    rig = make(trials=1)
    rig.contestant.answers = lambda _: ()
    assert rig.run().ended_by == "trials"
    assert 0 < rig.hands.at < 60


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
    assert readings[0] <= TICK_SECONDS
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


def test_an_outage_is_given_back_while_it_lasts(make: Rigs) -> None:
    """No hours end the run in the midst of it, and it is one line of the journal at its end."""
    rig = make("agent", hours=100 / 3600)
    rig.contestant.answers = rig.think
    slices = [Outage(at, at + 60.0, "status 529", 0.0) for at in (0.0, 60.0, 120.0, 180.0)]
    slices.append(Outage(240.0, 300.0, "status 529", 300.0))

    def time_passes() -> Wish | None:
        if slices and rig.inbox.empty():
            rig.hands.at += 60.0
            rig.inbox.put(MessageReceived("gateway", slices.pop(0)))
        return STOP if rig.inbox.empty() else None

    rig.wish = time_passes
    assert rig.run().ended_by == "stopped"
    assert rig.clock.spent().outage_seconds == 300.0
    assert [said["seconds"] for said in rig.said("gateway.outage_ended")] == [300.0]


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


def test_devices_and_model_end_a_run_together(make: Rigs) -> None:
    """The gateway is told what is left for the model, and the clock names the budget."""
    rig = make("agent", total_usd=1.0, compute_usd_per_hour=3600.0)
    rig.contestant.answers = lambda message: (
        rig.take_turns(message) if not isinstance(message, TurnStart) else ()
    )
    rig.executor.held.add(1)
    rig.contestant.say(TrialRequested("r-1", knobs={"DEPTH": 1}))
    rig.settle_a_request(cost_usd=0.4)
    ending = rig.run()
    assert (ending.ended_by, ending.cause) == ("total_usd", "budget")
    assert rig.trials() == [(1, "killed")]
    caps = [told.usd_cap for told in rig.gateway.told if isinstance(told, Heartbeat)]
    assert caps[0] == 1.0
    assert all(cap is not None for cap in caps)
    assert "closing" not in [fields["prompt"] for fields in rig.said("turn.started")]


def test_a_cap_of_the_gateways_is_that_of_all_where_devices_lowered_it(make: Rigs) -> None:
    """No further request fits in what the devices have left."""
    rig = make("agent", total_usd=5, compute_usd_per_hour=1.0)
    rig.inbox.put(MessageReceived("gateway", CapReached("usd", "too much")))
    assert rig.run().ended_by == "total_usd"


def test_a_gateway_without_a_common_budget_hears_of_no_cap(make: Rigs) -> None:
    """Its own cap, which `start` told it, holds."""
    rig = make("agent", usd=0.5, compute_usd_per_hour=9.0)
    rig.settle_a_request(cost_usd=0.5)
    assert rig.run().ended_by == "usd"
    assert not [told for told in rig.gateway.told if isinstance(told, Heartbeat)]
