"""What the executor makes of a trial that runs late or talks twice, on a scripted engine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runner.engine import lockdown
from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, EngineInfo
from runner.limits import limits
from runner.metrics import VAL_BPB
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.spec import Budget, RunSpec
from runner.timing.findings import Allowances
from runner.timing.instants import Instant
from runner.trials import executor
from runner.trials.events import Watch
from runner.trials.executor import ENDED_FROM_OUTSIDE, Executor
from runner.trials.judging import Judging
from runner.trials.lease import DeviceLease
from runner.trials.orders.order import TrialOrder
from runner.trials.outcome import Seen, record_fields
from runner.trials.terms import Trainer
from runner.wire.judge_terms import UNSCORED
from runner.wire.messages import Message, ScoreClose, ScoreFinished, Started, TrialExited
from runner.wire.protocol import encode

SOON = 10.0
LIMIT_SECONDS = 0.01
CRASHED = TrialExited(1, "exited", 1.0, 1 << 20, 0)


class ScriptedTrials(Engine):
    """An engine whose trials say what they are to say; one that does not end waits to be ended."""

    def __init__(self, status: str, *attempts: list[Message]) -> None:
        self.did: list[str] = []
        self._status = status
        self._attempts = list(attempts)
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []

    def create(self, spec: ContainerSpec) -> str:
        return spec.name

    def attach(self, container: str) -> Channel:  # noqa: ARG002 # Engine's
        ours, theirs = socket.socketpair()
        self._sockets += [ours, theirs]
        return Channel(ours, self._frames(self._attempts.pop(0)))

    def _frames(self, messages: list[Message]) -> Iterator[tuple[int, bytes]]:
        for message in messages:
            yield 1, encode(message)
        assert CRASHED in messages or self._ended.wait(SOON)

    def start(self, container: str) -> None:
        pass

    def remove(self, container: str) -> None:
        pass

    def inspect(self, container: str) -> ContainerState | None:
        return self._state(container, self._status)

    def kill(self, container: str) -> None:  # noqa: ARG002 # Engine's
        self.did.append("kill")
        self._ended.set()

    def stop(self, container: str, timeout_seconds: int = 5) -> None:  # noqa: ARG002 # Engine's
        self.did.append("stop")
        self._ended.set()

    def wait_exit(self, container: str, timeout_seconds: float) -> ContainerState | None:  # noqa: ARG002
        return self._state(container, "exited")

    def _state(self, container: str, status: str) -> ContainerState:
        return ContainerState(container, container, "x", "trial", status, 137, oom_killed=False)

    def close(self) -> None:
        for one in self._sockets:
            one.close()


class Judge:
    """A judge whose only word is that nothing was to be scored."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        judging.connect(self)

    def send(self, message: Message) -> bool:
        if isinstance(message, ScoreClose):
            self._judging.take(ScoreFinished(message.session, "failed", UNSCORED, 0.0))
        return True

    def reopen(self) -> None:
        pass

    def give_up(self) -> None:
        pass

    def has_news(self, within_seconds: float) -> bool:  # noqa: ARG002 # JudgeContainer's
        return True

    def wait_started(self) -> None:
        pass


def run(
    run_dir: RunDir, engine: ScriptedTrials, limit_seconds: float, repeats: list[str]
) -> TrialRecord:
    """Run one trial to its record."""
    judging = Judging()
    Judge(judging)
    spec = RunSpec(
        run_id="random-s1", kind="baseline", contestant="random", seed=1, task="pystdlib",
        metric=VAL_BPB, budget=Budget(trials=1), trial_seconds=1,
    )  # fmt: skip
    sizes = lockdown.sizes(limits()["trial"], EngineInfo("", "", 1, 1 << 28, gpus=False))
    trainer = Trainer("image", "data", limit_seconds, limit_seconds, Allowances(1), 1 << 20, sizes)
    lease = DeviceLease("nobody", ("cpu",), run_dir.path / "leases")
    runs = Executor(engine, spec, run_dir, trainer, lease, judging)
    watch = Watch(lambda: None, lambda: None, lambda _: None, repeats.append)
    try:
        return runs.run(TrialOrder(1, "sampler", "r", "DEPTH = 4\n", None, ""), watch)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("status", "did", "why", "ended"),
    [
        ("paused", ["kill"], [ENDED_FROM_OUTSIDE], "crash"),
        ("running", ["stop"], [], "timeout"),
    ],
)
def test_a_trial_that_was_paused_by_hand_is_no_timeout(
    run_dir: RunDir, status: str, did: list[str], why: list[str], ended: str
) -> None:
    """No text can pause its container: it is ended, and the trial runs again without charge."""
    engine, repeats = ScriptedTrials(status, [Started()], [CRASHED]), list[str]()
    record = run(run_dir, engine, LIMIT_SECONDS, repeats)
    assert (engine.did, repeats, record.status) == (did, why, ended)


def test_a_trial_begins_once(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under gVisor a contestant can say again that it has just begun, so as to be charged less."""
    said: list[Message] = [Started({"began_at": at, "monotonic": at}) for at in (1000.0, 1060.0)]
    began = list[Instant | None]()

    def fields(seen: Seen, *rest: Any) -> dict[str, Any]:
        began.append(seen.began)
        return record_fields(seen, *rest)

    monkeypatch.setattr(executor, "record_fields", fields)
    assert run(run_dir, ScriptedTrials("running", [*said, CRASHED]), SOON, []).status == "crash"
    assert [one.at for one in began if one is not None] == [1000.0]
