"""Opens a run's containers at once, and has the lock proved meanwhile.

Invariant: a container that awaits the proof gets no `start`, and so no key, before the lock is
proved. Nor does the contestant, unless the opening is early: that is for a contestant which has
written nothing yet, so that its program, an agent's CLI, starts while the lock is proved. Its model
gives no answer until then.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from runner.engine.containers import ContainerSpec
from runner.errors import SandboxError
from runner.sandbox.peer import Inbox, Peer, Take
from runner.wire.messages import Message

Proof = Callable[[Mapping[str, ContainerSpec]], AbstractContextManager[None]]


@dataclass(frozen=True)
class NotOpened:
    """The sandbox could not be opened; the contestant may have begun in it already."""

    error: BaseException


@dataclass(frozen=True)
class Order:
    """All containers of a sandbox, and which of them wait for what.

    Attributes:
        contestant: where the contestant works.
        others: opened beside it.
        held: opened beside it, and told to begin once the lock is proved.
        late: opened beside it as well, unless the opening is early: then at the first word of any
            container.
    """

    contestant: Peer
    others: Sequence[Peer]
    held: Sequence[Peer]
    late: Sequence[Peer]

    @property
    def peers(self) -> list[Peer]:
        return [*self.others, *self.held, *self.late, self.contestant]


class Opening:
    """One opening of all containers of a sandbox.

    Args:
        inbox: gets `NotOpened`.
        prove: is entered with role → container while they open, in a thread of its own, and left
            at once. The lock is proved when it has been entered.
        opened: is called when all is open, in some thread; never if something has failed.
        early: the contestant may begin before the lock is proved.
    """

    def __init__(
        self, inbox: Inbox, prove: Proof, opened: Callable[[], None], *, early: bool
    ) -> None:
        self._inbox = inbox
        self._prove_lock, self._opened = prove, opened
        self._early = early
        self._late: list[Peer] = []  # not opened yet
        self._lock = threading.Lock()  # of that list
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="opening")
        self._made: Future[None] = Future()  # the contestant's container
        self._begun: Future[None] = Future()  # what runs in it
        self._proof: Future[None] = Future()
        self._whole: Future[None] = Future()

    @property
    def is_over(self) -> bool:
        """Whether all is open but for what comes late, or will never be."""
        return self._whole.done()

    def wait(self) -> None:
        """Block until all is open but for what comes late.

        Raises:
            BakeoffError: why it will never be.
        """
        self._whole.result()

    def begin(self, order: Order) -> None:
        """Open all containers, and wait until they are open; if early, until the contestant begins.

        No more order is needed: whoever connects to another's socket does so when it is asked for
        something, and no agent is asked for anything before its container has started.

        Raises:
            BakeoffError: the first of what failed.
        """
        self._late = list(order.late) if self._early else []
        self._threads.submit(self._prove, {peer.spec.role: peer.spec for peer in order.peers})
        self._threads.submit(self._open_all, order)
        if self._early:
            wait([self._begun, self._whole], return_when=FIRST_COMPLETED)
        if not self._early or self.is_over:
            self.wait()

    def taking(self, take: Take | None) -> Take:
        """Takes a container's messages as `take` does; the first of all opens what comes late."""
        return partial(self._hear, take)

    def close(self, peers: Sequence[Peer]) -> None:
        """Open nothing any more, and wait until nothing is being opened."""
        with self._lock:
            self._late = []
        self._give_up(peers)
        self._threads.shutdown()

    def _prove(self, specs: Mapping[str, ContainerSpec]) -> None:
        """Prove the lock. What is left of the proof after that is removed with the run."""
        try:
            self._made.result()
            with self._prove_lock(specs):
                self._proof.set_result(None)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the proof raises it
            if not self._proof.done():
                self._proof.set_exception(error)

    def _open_all(self, order: Order) -> None:
        if not self._early:
            self._made.set_result(None)
        beside = [*order.others, *([] if self._early else order.late)]
        actions: list[Callable[[], None]] = [
            partial(self._open_contestant, order.contestant),
            *(partial(_open, peer) for peer in beside),
            *(partial(self._open_held, peer) for peer in order.held),
            self._proof.result,
        ]
        refuse = partial(self._refuse, order.peers)
        try:
            _all_or_none(actions, refuse)
            _admit(order.held)
            if not self._early:
                _admit([order.contestant])
            self._opened()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the sandbox raises it
            refuse(error)
        else:
            self._whole.set_result(None)

    def _open_contestant(self, contestant: Peer) -> None:
        contestant.open()
        if self._early:
            self._made.set_result(None)
            contestant.wait_started()
            self._begun.set_result(None)

    def _open_held(self, peer: Peer) -> None:
        self._made.result()
        peer.open()

    def _hear(self, take: Take | None, message: Message) -> bool:
        with self._lock:
            late, self._late = self._late, []
            if late:
                self._threads.submit(self._open_late, late)
        return take is not None and take(message)

    def _open_late(self, peers: Sequence[Peer]) -> None:
        def refuse(error: BaseException) -> None:
            self._inbox.put(NotOpened(error))
            self._give_up(peers)

        with contextlib.suppress(Exception):  # the run's loop raises it
            _all_or_none([partial(_open, peer) for peer in peers], refuse)

    def _refuse(self, peers: Sequence[Peer], error: BaseException) -> None:
        """Tell why the sandbox will not be open, before others are given up and fail as well."""
        with contextlib.suppress(InvalidStateError):  # the first error counts
            self._whole.set_exception(error)
            self._inbox.put(NotOpened(error))
        self._give_up(peers)

    def _give_up(self, peers: Sequence[Peer]) -> None:
        unwanted = SandboxError("opening the sandbox: it is not wanted any more")
        with contextlib.suppress(InvalidStateError):
            self._made.set_exception(unwanted)
        for peer in peers:
            peer.give_up()


def _open(peer: Peer) -> None:
    peer.open()
    peer.wait_started()


def _admit(peers: Sequence[Peer]) -> None:
    for peer in peers:
        peer.admit()
    for peer in peers:
        peer.wait_started()


def _all_or_none(
    actions: Sequence[Callable[[], None]], refuse: Callable[[BaseException], None]
) -> None:
    """Do all of them at once; when one fails, `refuse` gives the others up, and they are awaited.

    Raises:
        BakeoffError: what the first of them that failed raised.
    """
    with ThreadPoolExecutor(len(actions), thread_name_prefix="opening") as pool:
        running = [pool.submit(action) for action in actions]
        try:
            ended, _ = wait(running, return_when=FIRST_EXCEPTION)
            for one in running:
                if one in ended:
                    one.result()
        except BaseException as error:
            refuse(error)
            raise
