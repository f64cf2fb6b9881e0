"""What follows for a contestant whose volumes pass their bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.errors import SuspendedError
from runner.records.layout import RunDir
from runner.run.drivers.baseline_driver import OptimizerDriver
from runner.run.drivers.disk_policy import MAX_TURNS, DiskPolicy
from runner.wire.disk_use import Exceeded
from runner.wire.messages import DiskExceeded, Message, TurnFinished, TurnStart
from tests.unit.run.loop_rig import Rigs
from tests.unit.run.rig import AgentRig, Hands, ScriptedPeer

MB = 1 << 20
SEEN = Exceeded(
    "/workspace", 9000 * MB, 40, 8192 * MB, 500_000, 8900 * MB, 39, turn=1,
    largest=("/workspace/large (8000 MB)", "evil\nname"),
)  # fmt: skip


def exceeded(said: Exceeded = SEEN) -> DiskExceeded:
    return DiskExceeded({**vars(said), "largest": list(said.largest)})


@pytest.fixture
def rig(run_dir: RunDir) -> AgentRig:
    return AgentRig(run_dir)


def ends(rig: AgentRig, *, over: bool) -> None:
    """A turn ends, over the bound or not, and the next one begins."""
    rig.driver.handle_trial_accepted()
    if over:
        rig.driver.handle_message(exceeded())
    rig.turn_ends()
    rig.tick_after(200)


def test_the_next_turn_is_told_what_happened(rig: AgentRig) -> None:
    """What was there, what may be there, and what could be deleted; one that kept to it is not."""
    ends(rig, over=True)
    for words in ("was ended", "9000 MB", "8192 MB", "8900 MB in 39 files", "/workspace/large"):
        assert words in rig.prompt()
    assert "evil?name" in rig.prompt()
    ends(rig, over=False)
    assert "MB" not in rig.prompt()
    events = [event for event in rig.journal.events() if event.event == "disk.exceeded"]
    assert [event.fields["bytes"] for event in events] == [9000 * MB]
    assert events[0].fields["path"] == "/workspace"


def test_a_turn_that_left_too_much_is_told_so(rig: AgentRig) -> None:
    """It ended by itself, so nobody ended it."""
    rig.driver.handle_message(exceeded(replace(SEEN, cut=False)))
    rig.turn_ends()
    rig.tick_after(200)
    assert "was ended" not in rig.prompt()
    assert "After your last turn" in rig.prompt()


def test_three_turns_in_a_row_are_enough(rig: AgentRig) -> None:
    """The cause is the disk, and the hint says where its bound is."""
    for _ in range(MAX_TURNS - 1):
        ends(rig, over=True)
        assert rig.driver.gave_up() is None
    rig.driver.handle_message(exceeded())
    assert rig.driver.gave_up() is None, "its turn has not ended yet"
    rig.turn_ends()
    found = rig.driver.gave_up()
    assert found is not None
    assert (found.by, found.why) == ("disk", "disk")
    assert "3 turns in a row" in found.reason
    assert "runner/limits.toml" in found.reason
    assert found.explained(500) == found


def test_a_turn_within_the_bound_begins_the_count_again(rig: AgentRig) -> None:
    """Only turns in a row count."""
    for _ in range(3):
        for _ in range(MAX_TURNS - 1):
            ends(rig, over=True)
        ends(rig, over=False)
    assert rig.driver.gave_up() is None


def test_a_lost_turn_leaves_nothing_to_the_next_one(rig: AgentRig) -> None:
    """Its container died over the bound, before the turn could end; the next one kept to it."""
    rig.driver.handle_message(exceeded())
    rig.driver.container_died()
    rig.driver.container_restarted()
    rig.tick_after(200)
    assert "9000 MB" in rig.prompt()
    ends(rig, over=False)
    assert "MB" not in rig.prompt()


def test_a_resumed_run_is_told_of_the_turn_before(rig: AgentRig, run_dir: RunDir) -> None:
    """And has all its turns again in which to clear up."""
    ends(rig, over=True)
    rig.driver.handle_message(exceeded())
    rig.turn_ends()
    later = AgentRig(run_dir, resumed=True)
    assert "9000 MB" in later.prompt()
    ends(later, over=True)
    assert later.driver.gave_up() is None
    ends(later, over=False)
    assert "MB" not in AgentRig(run_dir, resumed=True).prompt()


def test_a_word_that_cannot_be_read_is_journalled(rig: AgentRig) -> None:
    """It counts for nothing."""
    rig.driver.handle_message(DiskExceeded({"path": 7}))
    rig.turn_ends()
    assert rig.driver.gave_up() is None
    problems = [event for event in rig.journal.events() if event.event == "container.problem"]
    assert [event.fields["during"] for event in problems] == ["disk.exceeded"]


def test_an_optimiser_is_given_up_at_once(rig: AgentRig) -> None:
    """It has nothing to delete."""
    disk = DiskPolicy(rig.journal, "optimizer", times=1)
    driver = OptimizerDriver(ScriptedPeer(), Hands(), disk=disk)
    assert driver.gave_up() is None
    driver.handle_message(exceeded(Exceeded("/state", 3000 * MB, 2, 2048 * MB, 20_000)))
    found = driver.gave_up()
    assert found is not None
    assert (found.by, found.why) == ("disk", "disk")
    assert "[optimizer]" in found.reason


def test_a_run_is_suspended_with_the_cause(make: Rigs) -> None:
    """The loop ends, and what it raises names the disk."""
    loop = make("agent", trials=6)

    def answers(message: Message) -> list[Message]:
        if not isinstance(message, TurnStart):
            return []
        return [exceeded(), TurnFinished(message.turn, -9, 1.0, "/transcript")]

    loop.contestant.answers = answers
    with pytest.raises(SuspendedError) as suspended:
        loop.run()
    assert (suspended.value.why, suspended.value.by) == ("disk", "disk")
