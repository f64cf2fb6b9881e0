"""The runner's side of the judge: a session for each trial that is to be scored.

What the judge says is taken up in the thread that reads its container, so that neither a score nor
the end of a training waits for the run's loop. The attack that this stops: a trial that prints the
tokens on which it is scored. The judge sends none of them before `Session.on_request` has returned.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from runner.errors import BakeoffError
from runner.timing.instants import Instant
from runner.wire.judge_terms import SCORER_DIED
from runner.wire.messages import (
    Message,
    ScoreBegin,
    ScoreClose,
    ScoreEstimated,
    ScoreFinished,
    ScoreOpen,
    ScoreRequested,
)

FINISH_SECONDS = 60.0  # from the end of a trial to the judge's last word about it
LAST_WORD_SECONDS = 1.0  # likewise, once the run ends
POLL_SECONDS = 0.1
MAX_ESTIMATES = 64  # of one session that are kept, whatever the judge says
SEEDS = 2**31
FINAL = "final"

OnEstimate = Callable[[ScoreEstimated], None]


class JudgeAbandonedError(Exception):
    """The run ended while a trial still waited for the judge to open."""


class JudgeContainer(Protocol):
    """The judge's container: a `Peer`."""

    def send(self, message: Message) -> bool:
        """Send a message; False when the container is gone."""

    def reopen(self) -> None:
        """Make the container anew and wait until it has started.

        Raises:
            BakeoffError: it cannot be started.
        """

    def give_up(self) -> None:
        """Open it no further: whoever does gets an error at once."""

    def has_news(self, within_seconds: float) -> bool:
        """Whether it has started or ended by then; it may still be opened."""

    def wait_started(self) -> None:
        """Wait until it has started.

        Raises:
            BakeoffError: it did not start.
        """


@dataclass
class Session:
    """One trial before the judge. Times are seconds since 1970 on the engine's clock.

    Attributes:
        name: the session's name in the messages.
        token: what the trial presents to the judge.
        seed: decides the order of the rows and the audit.
        on_request: called once, when the trial first asks for its final score.
        on_lost: called once, when the judge has ended before the session did.
        on_finish: called once, at the judge's last word.
        on_estimate: called with each score on the way.
        asked: the trial asked for anything, so that the judge has worked for it.
        requested: when it first asked for its final score.
        estimates: the scores on the way.
        estimating_seconds: how long it was estimated, from its requests to the scores.
        estimating_since: when it asked for the score that is on its way.
        finished: the judge's last word.
        lost: the judge, or the part of it that scored this trial, has ended or does not answer.
        settled: set once `finished` or `lost` is.
        closed: the judge was told that the trial has ended.
        trial: the trial's number.
    """

    name: str
    token: str = field(repr=False)
    seed: int
    on_request: Callable[[], None]
    on_lost: Callable[[], None]
    on_finish: Callable[[], None] = lambda: None
    on_estimate: OnEstimate = lambda _: None
    asked: bool = False
    requested: Instant | None = None
    estimates: list[ScoreEstimated] = field(default_factory=list)
    estimating_seconds: float = 0.0
    estimating_since: float | None = None
    finished: ScoreFinished | None = None
    lost: bool = False
    settled: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    trial: int = 0


class Judging:
    """All sessions of one judge. Any thread may call any method.

    Args:
        finish_seconds: how long the judge may take for its last word about a trial.

    Attributes:
        on_estimate: is called with each score on the way, in the thread that reads the judge.
    """

    def __init__(self, finish_seconds: float = FINISH_SECONDS) -> None:
        self.on_estimate: OnEstimate = lambda _: None
        self._finish_seconds = finish_seconds
        self._container: JudgeContainer | None = None
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._reopening = threading.Lock()
        self._reopens = False
        self._down = False
        self._hurried_at: float | None = None

    def connect(self, container: JudgeContainer) -> None:
        """Name the judge's container, which may still be opened; a session waits for that."""
        self._container = container

    @contextlib.contextmanager
    def session(
        self,
        on_request: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
        on_finish: Callable[[], None] = lambda: None,
        on_estimate: OnEstimate = lambda _: None,
        *,
        mode: str = "trial",
        splits: tuple[str, ...] = ("val",),
        hidden: int = 0,
        cores: str | None = None,
        trial: int = 0,
    ) -> Iterator[Session]:
        """A session for one trial; within it, its token is good.

        A judge that has ended is opened again first.

        Args:
            on_request: called when the trial first asks for its final score.
            on_lost: called when the judge ends before the session does.
            on_finish: called at the judge's last word.
            on_estimate: called with each score on the way.
            mode: as in `ScoreOpen`, and so are the next two.
            splits: what is scored.
            hidden: how many hidden rows.
            cores: those on which the judge is to score; None: all.
            trial: the trial's number.

        Raises:
            BakeoffError: the judge ended, and cannot be started again.
            JudgeAbandonedError: the run ends, and the judge has not opened yet.
        """
        seed = secrets.randbelow(SEEDS)
        name, token = f"s-{secrets.token_hex(8)}", secrets.token_urlsafe(24)
        session = Session(
            name, token, seed, on_request, on_lost, on_finish, on_estimate, trial=trial
        )
        self._have_judge()
        with self._lock:
            self._sessions[name] = session
        self._send(ScoreOpen(name, token, mode, seed, list(splits), hidden, cores or ""))
        try:
            yield session
        finally:
            self._close(session)
            with self._lock:
                self._sessions.pop(name, None)

    def trial_of(self, session: str) -> int:
        """The number of the trial of an open session; 0 where there is none of that name."""
        with self._lock:
            found = self._sessions.get(session)
        return found.trial if found is not None else 0

    def open_sessions(self) -> list[Session]:
        """The sessions that are open now."""
        with self._lock:
            return list(self._sessions.values())

    def begin_again(self, session: Session) -> None:
        """Let one more final call of a session of the mode `fresh` be answered."""
        self._send(ScoreBegin(session.name))

    def finish(self, session: Session) -> None:
        """Wait for the judge's last word about a trial that has ended; without it, it is lost."""
        self._close(session)
        until = time.monotonic() + self._finish_seconds
        while not session.settled.wait(POLL_SECONDS):
            hurried_at = self._hurried_at
            if hurried_at is not None:
                until = min(until, hurried_at + LAST_WORD_SECONDS)
            if time.monotonic() >= until:
                self._down = True
                self._lose(session)
                return

    def hurry(self) -> None:
        """The run ends: from now on, a judge that says nothing is not waited for."""
        self._hurried_at = time.monotonic()
        if self._reopens and self._container is not None:
            self._container.give_up()

    def take(self, message: Message) -> bool:
        """Take up what the judge says; False for what is not about a session."""
        match message:
            case ScoreRequested():
                self._request(message)
            case ScoreEstimated(session=name):
                with self._lock:
                    session = self._sessions.get(name)
                if session is not None and len(session.estimates) < MAX_ESTIMATES:
                    _keep_estimate(session, message)
                    self.on_estimate(message)
                    session.on_estimate(message)
            case ScoreFinished(session=name):
                with self._lock:
                    session = self._sessions.get(name)
                if session is not None and message.reason == SCORER_DIED:
                    self._lose(session)
                elif session is not None and session.finished is None:
                    session.finished = message
                    session.settled.set()
                    session.on_finish()
            case _:
                return False
        return True

    def gone(self) -> None:
        """The judge has ended: its sessions are lost, and the next one opens it again."""
        self._down = True
        for session in self.open_sessions():
            self._lose(session)

    def _request(self, message: ScoreRequested) -> None:
        with self._lock:
            session = self._sessions.get(message.session)
            if session is None:
                return
            session.asked = True
            session.estimating_since = None if message.purpose == FINAL else message.at
            first = message.purpose == FINAL and session.requested is None
            if first:
                session.requested = Instant(message.at, message.monotonic, time.monotonic())
        if first:
            session.on_request()
            self._send(ScoreBegin(session.name))

    def _lose(self, session: Session) -> None:
        """Mark a session as lost, unless the judge has had its last word."""
        with self._lock:
            if session.settled.is_set():
                return
            session.lost = True
            session.settled.set()
        session.on_lost()

    def _close(self, session: Session) -> None:
        if not session.closed:
            session.closed = True
            self._send(ScoreClose(session.name))

    def _have_judge(self) -> None:
        with self._reopening:
            if self._container is None:
                return
            if self._down:
                self._reopen(self._container)
                return
            while not self._container.has_news(POLL_SECONDS):
                if self._hurried_at is not None:
                    raise JudgeAbandonedError
            self._container.wait_started()

    def _reopen(self, container: JudgeContainer) -> None:
        """Open the judge again; whichever of this and `hurry` comes second sees the other."""
        self._reopens = True
        try:
            if self._hurried_at is not None:
                raise JudgeAbandonedError
            container.reopen()
            self._down = False
        except BakeoffError:
            if self._hurried_at is not None:
                raise JudgeAbandonedError from None
            raise
        finally:
            self._reopens = False

    def _send(self, message: Message) -> None:
        if self._container is not None:
            self._container.send(message)


def _keep_estimate(session: Session, estimate: ScoreEstimated) -> None:
    """Keep a score on the way, and how long it took."""
    session.estimates.append(estimate)
    if session.estimating_since is not None:
        session.estimating_seconds += max(0.0, estimate.at - session.estimating_since)
        session.estimating_since = None
