"""A study in a PostgreSQL database that several runs share, each with its own trials.

Invariant: a run asks, tells and repeats its own trials alone, and its sampler sees those of all.
A trial bears the mark of its run from the moment it is in the database, so that no death leaves one
whose run is unknown. Asks of the runs take turns: no two of them have the same number in mind, and
only one asks for trial 0.

A database that is away is waited for, without an end: only a budget ends a run. A loss in the
middle of an operation ends this process, and the next one finds in the database how far it got.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psycopg
import sqlalchemy
from messages import Problem, Started
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage  # as get_storage() makes one
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from pid1 import say, send
from sqlalchemy.exc import OperationalError
from start_config import SharedStudy
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

SOCKET_FOLDER = "/run/storage"
RUN = "bakeoff.run"  # attribute of a trial: whose it is
COMPARED = "bakeoff.compared"  # attribute of a study: what its values depend on
MARK = "run"  # a file in the state directory
CONNECT_SECONDS = 20
LONGEST_PAUSE_SECONDS = 15.0
# A run whose container is frozen while it asks lets the others wait for so long, at each ask.
TURN_TIMEOUT = "60s"
OPENING = 0x6261_6B65  # "bake": the key of the lock under which tables and studies are made
# What a server that will answer soon says in place of a refusal.
SOON = (
    "starting up", "not yet accepting", "shutting down", "recovery mode", "too many",
    "connection slots",
)  # fmt: skip
REFUSALS = ("FATAL:", "no password supplied")


class SharedStudyError(Exception):
    """The study in the database cannot be this run's; the text says why."""


class OwnTrials(_CachedStorage):
    """A study's storage as one run uses it: what it makes is marked, what others queue is left.

    Args:
        backend: the database.
        mark: this run's, which no other run has.
    """

    def __init__(self, backend: RDBStorage, mark: str) -> None:
        super().__init__(backend)
        self.mark = mark

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial that is this run's from its first moment."""
        marked = template_trial or create_trial(state=TrialState.RUNNING)
        marked.user_attrs = {**marked.user_attrs, RUN: self.mark}
        return int(super().create_new_trial(study_id, marked))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials; where those that wait are looked for, only this run's of them."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        if states is None or TrialState.WAITING not in states:
            return list(trials)
        return [t for t in trials if t.state != TrialState.WAITING or self.is_mine(t)]

    def is_mine(self, trial: FrozenTrial) -> bool:
        """Whether this run asked for the trial."""
        return bool(trial.user_attrs.get(RUN) == self.mark)


@dataclass(frozen=True)
class Database:
    """The way to a study in a database.

    Attributes:
        study: the study, whose storage is `own`.
        own: its storage.
    """

    study: optuna.Study
    own: OwnTrials

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other runs of the study from asking meanwhile.

        A turn that does not come within `TURN_TIMEOUT` is not waited for: then two trials may be
        alike, and nothing else is wrong.
        """
        key = int(self.own.get_study_id_from_name(self.study.study_name))
        with self.own._backend.engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{TURN_TIMEOUT}'"))
            try:
                _lock(connection, OPENING + key)
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                    raise
            yield

    def finish_asks(
        self, sampler_of: Callable[[int], BaseSampler], space: dict[str, BaseDistribution]
    ) -> None:
        """Suggest what is missing in asks of this run that a death cut short.

        Args:
            sampler_of: the sampler for a trial's number.
            space: the knobs.
        """
        study_id = self.own.get_study_id_from_name(self.study.study_name)
        begun = (TrialState.WAITING, TrialState.RUNNING)
        for trial in self.own.get_all_trials(study_id, states=begun):
            if not self.own.is_mine(trial) or space.keys() <= trial.params.keys():
                continue
            if trial.state == TrialState.WAITING:
                self.own.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            self.study.sampler = sampler_of(trial.number)
            going_on = Trial(self.study, trial._trial_id)
            for name, distribution in space.items():
                going_on._suggest(name, distribution)


def open_database(
    shared: SharedStudy, state: Path, sampler: BaseSampler, direction: str, space: str
) -> Database:
    """Open the study, and make it if it is not there.

    Args:
        shared: which study, and how to log in.
        state: the run's own directory, which keeps its mark.
        sampler: the study's first sampler.
        direction: "minimize" or "maximize".
        space: the search space, in words.

    Raises:
        SharedStudyError: the study is one of other values, or the database refuses the user.
    """
    creator = _connector(shared)
    digest = hashlib.sha256(space.encode()).hexdigest()[:12]
    compared = f"{direction} {shared.compared}, search space {digest}"
    with _alone(creator):
        backend = RDBStorage(
            "postgresql+psycopg://", engine_kwargs={"creator": creator, "pool_pre_ping": True}
        )
        own = OwnTrials(backend, _mark(state, shared.run_id))
        study = optuna.create_study(
            storage=own, sampler=sampler, study_name=shared.study, load_if_exists=True,
            direction=StudyDirection[direction.upper()],
        )  # fmt: skip
        other = study.user_attrs.get(COMPARED)
        if other is None:
            study.set_user_attr(COMPARED, compared)
        elif other != compared:
            raise SharedStudyError(
                f"the study {shared.study!r} has other values than this run's, so the two cannot "
                f"share it; it has: {other}; this run has: {compared}"
            )
    return Database(study, own)


@contextlib.contextmanager
def _alone(creator: Callable[[], Any]) -> Iterator[None]:
    """Keep all runs of this database from making tables and studies meanwhile."""
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=creator)
    try:
        with engine.connect() as connection:
            _lock(connection, OPENING)
            yield
    finally:
        engine.dispose()


def _lock(connection: sqlalchemy.Connection, key: int) -> None:
    """Take a lock that ends with the connection's transaction."""
    connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _mark(state: Path, run_id: str) -> str:
    """The run's mark: its id, and a number that tells it from a run of that id elsewhere."""
    path = state / MARK
    if not path.exists():
        aside = path.with_suffix(".part")
        aside.write_text(f"{run_id} {uuid.uuid4().hex[:12]}")
        aside.replace(path)
    return path.read_text()


def _connector(shared: SharedStudy) -> Callable[[], Any]:
    """Opens connections, and waits for a database that is away."""

    def connect() -> Any:
        try:
            return psycopg.connect(
                host=SOCKET_FOLDER, user=shared.user, password=shared.password or None,
                dbname=shared.database, connect_timeout=CONNECT_SECONDS,
                application_name=f"bakeoff {shared.run_id}"[:63],
            )  # fmt: skip
        except psycopg.OperationalError as error:
            if _is_refusal(error):
                raise SharedStudyError(_last_line(error)) from None
            raise

    def waiting() -> Any:
        pauses = wait_exponential(multiplier=0.2, max=LONGEST_PAUSE_SECONDS)
        policy = Retrying(retry=retry_if_exception(_is_away), wait=pauses, before_sleep=_say_away)
        connection = policy(connect)
        if policy.statistics["attempt_number"] > 1:
            say("the database answers again")
        return connection

    return waiting


def _is_away(error: BaseException) -> bool:
    return isinstance(error, psycopg.OperationalError)


def _is_refusal(error: psycopg.OperationalError) -> bool:
    """Whether the server said no. libpq gives no code here, only words."""
    said = str(error)
    return any(word in said for word in REFUSALS) and not any(word in said for word in SOON)


def _say_away(state: RetryCallState) -> None:
    """Say why a connection is waited for. Who waits for this process learns that it lives."""
    if state.attempt_number == 1 and state.outcome is not None:
        reason = _last_line(state.outcome.exception())
        send(Started({"waits for": "the database"}))
        send(Problem("connecting to the study's database", f"it is waited for: {reason}"))
        say(f"waiting for the database: {reason}")


def _last_line(error: BaseException | None) -> str:
    """What the server or libpq said, without the way to it."""
    return " ".join(str(error).rpartition("failed: ")[2].split())
