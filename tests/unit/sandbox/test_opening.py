"""What opens when, beside the proof of the lock, on an engine that is scripted."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from runner.engine.containers import ContainerSpec
from runner.errors import HostError, LockError, SandboxError
from runner.sandbox.opening import NotOpened, Proof
from runner.sandbox.peer import ContainerExited, Inbox, MessageReceived
from runner.wire.messages import Start
from tests.unit.sandbox.scripted_engine import (
    ROLES,
    SOON,
    ScriptedEngine,
    container,
    order,
    sandbox_on,
)

Specs = Mapping[str, ContainerSpec]


class HeldProof:
    """A proof that has begun and is not through before the test lets it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began, self.may_end, self.is_left = (threading.Event() for _ in range(3))
        self.specs: list[str] = []
        self._error = error

    @contextlib.contextmanager
    def __call__(self, specs: Specs) -> Iterator[None]:
        self.specs = list(specs)
        self.began.set()
        assert self.may_end.wait(SOON)
        if self._error is not None:
            raise self._error
        yield
        self.is_left.set()


def proof_that(does: object) -> Proof:
    """A proof that is through when this returns, and raises what it raises."""

    @contextlib.contextmanager
    def prove(specs: Specs) -> Iterator[None]:
        assert callable(does)
        does(specs)
        yield

    return prove


def is_silent(engine: ScriptedEngine, role: str) -> bool:
    """Whether a container has heard nothing by now."""
    theirs = container(engine, role).theirs
    theirs.settimeout(0.1)
    try:
        return not theirs.recv(1)
    except TimeoutError:
        return True


def test_all_containers_open_at_once(engine: ScriptedEngine) -> None:
    """Each is started while the others are, and while the lock is proved."""
    together = threading.Barrier(len(ROLES) + 1)
    engine.starting = lambda _role: together.wait(SOON)
    seen: list[str] = []

    def meet(specs: Specs) -> None:
        together.wait(SOON)
        seen.extend(specs)

    with sandbox_on(engine, prove=proof_that(meet)):
        assert set(seen) == set(ROLES)


def test_one_that_does_not_start_gives_up_the_others(engine: ScriptedEngine) -> None:
    """Its own error is told, and all are removed; nobody waits for one that would take long."""
    given_up = threading.Event()
    engine.broken = {"rehearsal"}

    def slowly(role: str) -> None:
        if role == "agent":
            assert given_up.wait(SOON)

    engine.starting = slowly
    sandbox = sandbox_on(engine)
    give_up = sandbox.peers[-1].give_up

    def noted() -> None:
        give_up()
        given_up.set()

    sandbox.peers[-1].give_up = noted  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(SandboxError, match="bakeoff-x-rehearsal: it ended"):
        sandbox.__enter__()
    assert time.monotonic() - began < SOON
    assert set(order(engine, "remove")) == set(ROLES)


def test_a_failed_proof_refuses_the_sandbox(engine: ScriptedEngine) -> None:
    """Its error is told, every container is removed, and the sandbox was never open."""
    opened: list[bool] = []

    def refuse(_specs: Specs) -> None:
        raise LockError("it does not hold")

    sandbox = sandbox_on(engine, prove=proof_that(refuse), opened=lambda: opened.append(True))
    with pytest.raises(LockError, match="it does not hold"):
        sandbox.__enter__()
    assert set(order(engine, "remove")) == set(ROLES)
    assert opened == []


def test_the_contestant_is_told_last(engine: ScriptedEngine) -> None:
    """Until all else has started and the lock is proved, it hears nothing: it may have a past."""
    heard: list[bool] = []

    def listen(_specs: Specs) -> None:
        while len(engine.containers_by_name) < len(ROLES):
            time.sleep(0.001)
        heard.append(not is_silent(engine, "agent"))

    with sandbox_on(engine, prove=proof_that(listen)):
        assert container(engine, "agent").heard() == Start({})
        assert heard == [False]


def test_an_early_contestant_begins_before_the_proof_is_through(engine: ScriptedEngine) -> None:
    """The gateway is made meanwhile and told nothing, above all no key, until it is."""
    proof, opened = HeldProof(), threading.Event()
    with sandbox_on(engine, prove=proof, opened=opened.set, early=True) as sandbox:
        assert container(engine, "agent").heard() == Start({})
        assert proof.began.wait(SOON)
        while "gateway" not in {one.role for one in engine.containers_by_name.values()}:
            time.sleep(0.001)
        assert is_silent(engine, "gateway")
        assert sandbox.is_opening
        proof.may_end.set()
        sandbox.wait_open()
        assert container(engine, "gateway").heard() == Start({})
        assert opened.is_set()
        assert proof.is_left.wait(SOON), "what it made is removed while the run goes on"
    assert set(proof.specs) == set(ROLES)


def test_what_is_needed_late_opens_at_the_first_word(engine: ScriptedEngine) -> None:
    """Not before the contestant or its model has said something, and then once."""
    inbox: Inbox = queue.Queue()
    with sandbox_on(engine, inbox, early=True) as sandbox:
        sandbox.wait_open()
        assert "bakeoff-x-judge" not in engine.containers_by_name
        agent = container(engine, "agent")
        agent.speaks()
        agent.speaks()
        sandbox.judge.wait_started()
        heard = [inbox.get(timeout=SOON) for _ in range(2)]
        assert all(isinstance(one, MessageReceived) for one in heard)
    assert [role for what, role in engine.did if what == "create"].count("judge") == 1


def test_an_early_sandbox_says_that_it_was_refused(engine: ScriptedEngine) -> None:
    """The run's loop, which goes on already, is told why, and so is whoever waits."""
    inbox: Inbox = queue.Queue()
    proof, opened = HeldProof(LockError("it does not hold")), list[bool]()
    sandbox = sandbox_on(engine, inbox, prove=proof, opened=lambda: opened.append(True), early=True)
    with sandbox:
        proof.may_end.set()
        told = inbox.get(timeout=SOON)
        assert isinstance(told, NotOpened)
        assert isinstance(told.error, LockError)
        with pytest.raises(LockError, match="it does not hold"):
            sandbox.wait_open()
    assert opened == []
    assert set(order(engine, "remove")) == set(ROLES)


def test_what_fails_last_is_told_as_well(engine: ScriptedEngine) -> None:
    """What `opened` raises, a full disk say, is why the sandbox was not open."""
    inbox: Inbox = queue.Queue()

    def opened() -> None:
        raise HostError("writing events.jsonl: no space left")

    with sandbox_on(engine, inbox, opened=opened, early=True) as sandbox:
        with pytest.raises(HostError, match="no space left"):
            sandbox.wait_open()
        assert isinstance(inbox.get(timeout=SOON), NotOpened)


def test_the_cause_is_told_before_others_are_given_up(engine: ScriptedEngine) -> None:
    """The loop of a run that began early acts on the first word that it gets."""
    proof, inbox = HeldProof(), queue.Queue[object]()
    engine.broken = {"rehearsal"}
    engine.starting = lambda role: role != "rehearsal" or proof.began.wait(SOON)
    with sandbox_on(engine, inbox, prove=proof, early=True) as sandbox:
        told = [inbox.get(timeout=SOON) for _ in range(2)]
        assert [type(one) for one in told] in (
            [ContainerExited, NotOpened], [NotOpened, ContainerExited],
        )  # fmt: skip
        assert not sandbox.is_opening, "before the proof is through"
        proof.may_end.set()
        with pytest.raises(SandboxError, match="bakeoff-x-rehearsal: it ended"):
            sandbox.wait_open()


def test_a_sandbox_that_closes_gives_up_what_is_opened_late(engine: ScriptedEngine) -> None:
    """The judge, which would take long, is not waited for."""
    closing = threading.Event()
    engine.starting = lambda role: role != "judge" or closing.wait(SOON)
    began = time.monotonic()
    with sandbox_on(engine, early=True) as sandbox:
        sandbox.wait_open()
        container(engine, "agent").speaks()
        while "bakeoff-x-judge" not in engine.containers_by_name:
            time.sleep(0.001)
        give_up = sandbox.judge.give_up

        def noted() -> None:
            give_up()
            closing.set()

        sandbox.judge.give_up = noted  # type: ignore[method-assign]
    assert time.monotonic() - began < SOON
    assert "judge" in order(engine, "remove")


def test_an_early_contestant_that_does_not_start_closes_the_sandbox(
    engine: ScriptedEngine,
) -> None:
    """The proof, which has not begun by then, is not waited for."""
    engine.broken = {"agent"}
    proof = HeldProof()
    proof.may_end.set()
    with pytest.raises(SandboxError, match="bakeoff-x-agent: it ended"):
        sandbox_on(engine, prove=proof, early=True).__enter__()
    assert set(order(engine, "remove")) == set(ROLES)


def test_a_sandbox_that_is_closed_early_waits_for_the_proof(engine: ScriptedEngine) -> None:
    """The proof makes containers of the run, and nothing of the run is left."""
    inbox: Inbox = queue.Queue()
    proof = HeldProof()
    closed = threading.Event()

    def close() -> None:
        with sandbox_on(engine, inbox, prove=proof, early=True):
            pass
        closed.set()

    thread = threading.Thread(target=close)
    thread.start()
    assert proof.began.wait(SOON)
    assert not closed.wait(0.1)
    proof.may_end.set()
    assert closed.wait(SOON)
    thread.join(SOON)
    assert proof.is_left.is_set()
    assert engine.did[-1] == ("list", "volumes"), "the run's volumes come last"
