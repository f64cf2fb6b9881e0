"""How an optimiser is driven to its end, against a scripted container."""

from __future__ import annotations

from runner.run.drivers.baseline_driver import (
    EXIT_SECONDS,
    OPTIMIZER_GRACE_SECONDS,
    OptimizerDriver,
)
from runner.run.drivers.driver import Closing
from runner.wire.messages import Stop, Stopped, TrialEstimated
from runner.wire.model_config import GAVE_UP
from tests.unit.run.rig import Hands, ScriptedPeer


def test_an_optimiser_is_told_and_closes() -> None:
    """A sampler is sent one stop and is closed by its answer."""
    peer = ScriptedPeer()
    driver = OptimizerDriver(peer, Hands())
    driver.begin()
    driver.handle_trial_accepted()
    driver.tick(0)
    assert peer.told == []
    assert driver.gave_up() is None
    driver.close(Closing("trials", told=True, can_think=False))
    assert peer.kinds() == ["stop"]
    assert not driver.closed()
    driver.handle_message(Stopped("stop"))
    assert driver.closed()


def test_a_sampler_that_stops_and_does_not_exit_gives_up() -> None:
    """Its reason is named once its exit is overdue."""
    hands = Hands(100.0)
    driver = OptimizerDriver(ScriptedPeer(), hands)
    driver.handle_message(Stopped("the disk is full"))
    assert driver.gave_up() is None
    hands.at += EXIT_SECONDS
    gave_up = driver.gave_up()
    assert gave_up is not None
    assert "the disk is full" in gave_up.reason
    assert gave_up.by == "sandbox"
    assert gave_up.explained(400) == gave_up, "a refusal of the provider's explains nothing here"
    driver.container_died()
    assert driver.gave_up() is None


def test_a_sampler_that_was_down_when_the_run_ended_is_told() -> None:
    """The first stop went to a container that was gone."""
    hands = Hands(100.0)
    peer = ScriptedPeer()
    driver = OptimizerDriver(peer, hands)
    driver.container_died()
    driver.close(Closing("trials", told=True, can_think=False))
    hands.at += 4
    driver.container_restarted()
    assert isinstance(peer.told[-1], Stop)
    assert peer.told[-1].grace_seconds == OPTIMIZER_GRACE_SECONDS - 4


def test_a_silent_optimiser_does_not_hold_up_the_end() -> None:
    """It answers no stop: it is given up when its grace period is over."""
    hands = Hands(100.0)
    driver = OptimizerDriver(ScriptedPeer(), hands)
    driver.close(Closing("trials", told=True, can_think=False))
    hands.at += OPTIMIZER_GRACE_SECONDS - 1
    assert not driver.closed()
    hands.at += 1
    assert driver.closed()


def test_an_estimate_that_comes_back_gives_its_trial_up() -> None:
    """The request and the step of the estimate name what is given up, and why."""
    given_up: list[tuple[str, int]] = []
    driver = OptimizerDriver(ScriptedPeer(), Hands(), lambda *what: given_up.append(what))
    driver.handle_message(TrialEstimated("ask-4", 30, 2.5))
    assert given_up == [("ask-4", 30)]
    assert not driver.closed()


def test_an_optimiser_whose_model_is_of_no_use_gives_up_at_once() -> None:
    """The provider has to act, and what it says is bounded; its container need not end first."""
    driver = OptimizerDriver(ScriptedPeer(), Hands())
    driver.handle_message(Stopped(f"{GAVE_UP}11 of 20 answers were of no use {'x' * 9000}"))
    gave_up = driver.gave_up()
    assert gave_up is not None
    assert gave_up.by == "provider"
    assert gave_up.reason.startswith("11 of 20")
    assert gave_up.explained(400) == gave_up
    assert len(gave_up.reason) == 500


def test_a_suspended_optimiser_works_while_answers_come() -> None:
    """It keeps each of them at once, and the rest is in its journal already."""
    driver = OptimizerDriver(ScriptedPeer(), Hands())
    driver.interrupt("a test")
    assert not driver.interrupted(answers_come=True)
    assert driver.interrupted(answers_come=False)
