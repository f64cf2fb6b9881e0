"""A run whose engine went away: how long it waits, and when it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.errors import BakeoffError, EngineError, HostError, ImageError, SandboxError
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.recovery.engine_loss import MAX_FAILURES, STEADY_SECONDS, EngineLoss
from runner.recovery.wishes import Kind, Wish
from tests.unit.run.rig import Hands

LOST = EngineError("reading of the agent: the engine does not answer")


class ReturningEngine(Engine):
    """An engine that answers from a moment of a test's clock on."""

    def __init__(self, hands: Hands, back_at: float) -> None:
        self._hands = hands
        self._back_at = back_at

    def info(self) -> EngineInfo:
        if self._hands.at < self._back_at:
            raise LOST
        return EngineInfo(id="e", version="20.10", cpus=2, memory_bytes=1, gpus=False)


class Rig:
    """A run on an engine that is back at a moment."""

    def __init__(self, run_dir: RunDir, back_at: float = 0.0) -> None:
        self.hands = Hands()
        self.journal = Journal(run_dir)
        self.wish: Wish | None = None
        self.trials = 0
        engine = ReturningEngine(self.hands, back_at)
        self.loss = EngineLoss(engine, self.journal, self.hands, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.hands.at += seconds

    def wait(self, error: BakeoffError = LOST) -> Wish | None:
        return self.loss.wait(error, lambda: self.wish, self.trials)

    def said(self) -> Iterator[str]:
        return (event.event for event in self.journal.events())


def test_an_engine_is_waited_for(run_dir: RunDir) -> None:
    """However long it takes: an upgrade at night is over in the morning."""
    rig = Rig(run_dir, back_at=4 * 3600)
    assert rig.wait() is None
    assert 4 * 3600 <= rig.hands.at < 4 * 3600 + 5
    assert list(rig.said()) == ["engine.failed", "engine.answered"]


def test_a_person_need_not_wait(run_dir: RunDir) -> None:
    """A wish ends the waiting at once."""
    rig = Rig(run_dir, back_at=4 * 3600)
    rig.wish = Wish(Kind.SUSPEND, "SIGTERM to the runner")
    assert rig.wait() == rig.wish
    assert rig.hands.at == 0.0


@pytest.mark.parametrize("error", [HostError("the disk is full"), ImageError("gone")])
def test_what_another_life_does_not_mend_is_not_waited_for(
    run_dir: RunDir, error: BakeoffError
) -> None:
    """The disk of the host, and an image that is gone."""
    rig = Rig(run_dir)
    with pytest.raises(type(error)):
        rig.wait(error)
    assert rig.hands.at == 0.0


def test_an_engine_that_fails_again_and_again_is_given_up(run_dir: RunDir) -> None:
    """It answers, and each life ends soon: the error is what the user sees."""
    rig = Rig(run_dir)
    for _ in range(MAX_FAILURES):
        rig.loss.life_begins()
        rig.loss.life_opened()
        rig.hands.at += STEADY_SECONDS / 2
        assert rig.wait(SandboxError("starting the judge: it ended")) is None
    with pytest.raises(SandboxError, match="starting the judge"):
        rig.wait(SandboxError("starting the judge: it ended"))


def test_a_sandbox_that_fails_again_and_again_is_given_up(run_dir: RunDir) -> None:
    """However long each life lasts: without a trial on record it gets nowhere."""
    rig = Rig(run_dir)
    error = SandboxError("running trial 1: its container ended 4 times")

    def live() -> None:
        rig.loss.life_begins()
        rig.loss.life_opened()
        rig.hands.at += STEADY_SECONDS
        assert rig.wait(error) is None

    for _ in range(MAX_FAILURES):
        live()
    rig.trials = 1
    for _ in range(MAX_FAILURES):
        live()
    with pytest.raises(SandboxError, match="4 times"):
        live()


def test_a_life_that_lasted_makes_good_for_failures(run_dir: RunDir) -> None:
    """An engine that is restarted every hour ends no run."""
    rig = Rig(run_dir)
    for _ in range(3 * MAX_FAILURES):
        rig.loss.life_begins()
        rig.loss.life_opened()
        rig.hands.at += STEADY_SECONDS
        assert rig.wait() is None


def test_a_life_that_never_opened_has_not_lasted(run_dir: RunDir) -> None:
    """However long the engine took to refuse: nothing but a sandbox that was open makes good."""
    rig = Rig(run_dir)
    rig.loss.life_begins()
    rig.loss.life_opened()
    for _ in range(MAX_FAILURES):
        rig.loss.life_begins()
        assert not rig.loss.was_open
        rig.hands.at += 2 * STEADY_SECONDS
        assert rig.wait() is None
    with pytest.raises(EngineError, match="does not answer"):
        rig.wait()
