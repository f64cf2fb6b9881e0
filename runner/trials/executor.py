"""The one executor of trials: whoever asked, each runs in a fresh, locked container of its own.

A trial gets the pristine prepare.py of its image, and the submitted train.py as data. It holds the
device lease while it runs, and the judge scores it. Every way in which it can end is a status in
its record.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from runner.configs import as_config, known_config
from runner.devices.names import cpuset_of
from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.errors import EngineError, SandboxError
from runner.records.files import explained, write_whole
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord, now
from runner.records.visible import visible_line
from runner.referee import verdicts
from runner.spec import RunSpec
from runner.timing.instants import Instant
from runner.trials.estimates import step_of
from runner.trials.events import Watch
from runner.trials.judging import JudgeAbandonedError, Judging, Session
from runner.trials.lease import DeviceLease, Held, Holder, LeaseAbandonedError, still_trains
from runner.trials.orders.order import TrialOrder
from runner.trials.outcome import Overrun, Seen, record_fields, starved
from runner.trials.terms import CONTESTANT, Trainer
from runner.trials.timers import Timers
from runner.wire.messages import MESSAGES, Message, Ready, Start, Started, TrialExited
from runner.wire.protocol import ProtocolError, decode, encode, pack_text
from runner.wire.start_config import TrialConfig

HOST_MARGIN_SECONDS = 30.0  # beyond the limits, for a PID 1 or a connection that fails
STOP_SECONDS = 15.0
DEATHS_TO_REJECT = 2  # of the judge, at the same text
MAX_ATTEMPTS = 4
JUDGE_ENDED = "the judge ended"
ENDED_FROM_OUTSIDE = "its container was ended from outside"
DISTURBED = "other load disturbed it"
STARVED = "the machine's memory ran out"


class Executor:
    """Runs trials of one run, one call each; calls may come from worker threads.

    Args:
        engine: where containers run.
        spec: the run.
        run_dir: where train.py, diff.patch and train.log of each trial go.
        trainer: what all trials share.
        lease: the lease of the devices.
        judging: the sessions of the judge.
    """

    def __init__(
        self,
        engine: Engine,
        spec: RunSpec,
        run_dir: RunDir,
        trainer: Trainer,
        lease: DeviceLease,
        judging: Judging,
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._run_dir = run_dir
        self._trainer = trainer
        self._lease = lease
        self._judging = judging
        self._abandon = threading.Event()
        self._running: set[str] = set()
        self._under_way: dict[int, tuple[Session, Timers]] = {}

    def abandon(self) -> None:
        """Kill what runs and let nothing start any more; each such trial is recorded as killed."""
        self._abandon.set()
        self._judging.hurry()
        for container in list(self._running):
            self._kill(container)

    def prune(self, trial: int, step: int) -> None:
        """End a trial that its optimizer gives up by the estimate at that percent of its training.

        An attempt without that estimate goes on: an earlier one of the trial was given up.
        """
        attempt = self._under_way.get(trial)
        if attempt is not None and step in map(step_of, attempt[0].estimates):
            attempt[1].prune()

    def run(self, order: TrialOrder, watch: Watch) -> TrialRecord:
        """Run the trial to its end and return its record, however it ended.

        Raises:
            EngineError: the engine failed. That is not the trial's fault, so it has no record.
            SandboxError: the judge ended again and again, or cannot be started.
            HostError: the trial's files could not be written.
        """
        with explained(self._folder(order)):
            folder = self._keep_submission(order)
        holder = Holder(self._spec.run_id, order.trial, still_trains(self._engine))
        measured = partial(self._measured, order, folder / "train.log", watch)
        try:
            fields, waited = self._lease.use(self._abandon, holder, watch, measured)
        except LeaseAbandonedError:
            reason = "the run ended before its device was free"
            return self._record(order, status="killed", reason=reason)
        except JudgeAbandonedError:
            reason = "the run ended before the judge was open"
            return self._record(order, status="killed", reason=reason)
        record = self._record(order, lease_wait_seconds=round(waited, 3), **fields)
        return verdicts.added(record, order.train_py, self._pristine(order))

    def _pristine(self, order: TrialOrder) -> str:
        """The task's own train.py, with which the run began."""
        kept = self._run_dir.pristine
        return kept.read_text(encoding="utf-8") if kept.exists() else order.parent_train_py

    def _measured(self, order: TrialOrder, log: Path, watch: Watch, held: Held) -> dict[str, Any]:
        """Run the trial, and once more if other load disturbed it and the run is to repeat such.

        The record of the first attempt is kept in that of the second, and its log beside it.
        """
        fields = self._fields(order, self._attempts(order, log, watch, held), held)
        contestants = order.terms == CONTESTANT and self._spec.retry_disturbed
        if not (contestants and fields["disturbed"]) or self._abandon.is_set():
            return fields
        first = self._record(order, **fields)
        with explained(log):
            log.replace(log.with_name("first.log"))
        watch.on_repeat(DISTURBED)
        again = self._fields(order, self._attempts(order, log, watch, held), held)
        if first.status == "ok" and again["status"] != "ok":
            reason = f"the repetition ended as {again['status']}; this is the first attempt"
            return {**fields, "reason": reason}
        return {**again, "first_attempt": first}

    def _fields(self, order: TrialOrder, seen: Seen, held: Held) -> dict[str, Any]:
        trainer = self._trainer.on(order.terms)
        fields = record_fields(seen, trainer, self._spec.metric, order.train_py)
        return {**fields, "device": held.device}

    def _folder(self, order: TrialOrder) -> Path:
        """Where the trial's files go; of checks, only the last one's are kept."""
        if order.terms.is_check:
            return self._run_dir.last_check
        return self._run_dir.trial(order.trial)

    def _keep_submission(self, order: TrialOrder) -> Path:
        folder = self._folder(order)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "train.py", order.train_py)  # a resumed run may need it
        (folder / "diff.patch").write_text(order.patch(), encoding="utf-8", newline="")
        return folder

    def _attempts(self, order: TrialOrder, log: Path, watch: Watch, held: Held) -> Seen:
        """Run the trial, and again when it was cut short, which is nobody's fault.

        The judge ended under it, somebody ended its container, or the machine had no memory left. A
        text during whose scoring the judge ended twice is to blame for that, and one under which
        the memory ran out twice as well.
        """
        deaths = starved_before = 0
        for _ in range(MAX_ATTEMPTS):
            seen = self._attempt(order, log, watch, held)
            deaths += seen.session.lost and seen.session.asked
            seen.judge_deaths = deaths
            is_starved = starved(seen, self._trainer)
            starved_before += is_starved
            once = is_starved and starved_before == 1
            cut_short = seen.session.lost or seen.ended_from_outside or once
            if not cut_short or deaths >= DEATHS_TO_REJECT or self._abandon.is_set():
                seen.abandoned = self._abandon.is_set()
                return seen
            why = ENDED_FROM_OUTSIDE if seen.ended_from_outside else STARVED
            watch.on_repeat(JUDGE_ENDED if seen.session.lost else why)
        raise SandboxError(
            f"running trial {order.trial}: the judge or its container ended {MAX_ATTEMPTS} times",
            hint="`bakeoff --verbose` prints all that the containers say",
        )

    def _attempt(self, order: TrialOrder, log: Path, watch: Watch, held: Held) -> Seen:
        """One run of the trial, to the judge's last word about it.

        Raises:
            EngineError: the connection to the engine was lost.
            LeaseLostError: the device was lost before its container was started.
        """
        began, started_at = time.monotonic(), now()
        with contextlib.ExitStack() as stack:
            timers = Timers(self._trainer.on(order.terms), HOST_MARGIN_SECONDS)
            stack.callback(timers.close)
            ended: list[Callable[[], None]] = []

            def on_request() -> None:
                # From here on nothing of its log is passed on. A check is sent random rows.
                seen.output.scoring = not order.terms.is_check
                timers.scoring_began()

            def on_lost() -> None:
                for end in ended:
                    end()

            terms = order.terms
            session = stack.enter_context(
                self._judging.session(
                    on_request, on_lost, timers.scoring_ended, watch.on_estimate,
                    mode=terms.mode, splits=terms.splits, hidden=terms.hidden,
                    cores=cpuset_of(held.device), trial=order.trial,
                )
            )  # fmt: skip
            seen = Seen(session, started_at=started_at, terms=terms)
            with self._started(order, session, held) as (container, channel):

                def overrun(which: Overrun) -> None:
                    before, seen.overran = seen.overran, seen.overran or which
                    paused = which != "pruned" and self._is_paused(container)
                    if paused:  # by somebody outside, whose end of it this is
                        seen.overran = before
                    if which == "all" or paused:
                        self._kill(container)
                        channel.close()  # it may be the connection that fails
                    else:
                        with contextlib.suppress(EngineError):
                            self._engine.stop(container)

                ended.append(lambda: self._kill(container))
                timers.begin(overrun)
                self._under_way[order.trial] = session, timers
                stack.callback(self._under_way.pop, order.trial)
                with explained(log), log.open("wb", buffering=0) as file:  # it is watched
                    self._read(order, session, channel, seen, timers, file, watch.on_line)
                seen.state = self._engine.wait_exit(container, STOP_SECONDS)
            self._judging.finish(session)
        seen.wall_seconds = time.monotonic() - began
        return seen

    def _config(self, order: TrialOrder, session: Session) -> TrialConfig:
        trainer = self._trainer.on(order.terms)
        return TrialConfig(
            train_py_gz=pack_text(order.train_py),
            train_seconds=trainer.train_seconds,
            limit_seconds=trainer.whole_limit,
            output_bytes=trainer.output_bytes,
            threads=trainer.threads,
            deadline_seconds=trainer.whole_limit + HOST_MARGIN_SECONDS,
            judge_token=session.token,
            seed=order.terms.seed,
            max_steps=order.terms.max_steps,
            hand_out=bool(order.terms.hand_out),
            estimate_at=trainer.estimate_at,
        )

    @contextlib.contextmanager
    def _started(
        self, order: TrialOrder, session: Session, held: Held
    ) -> Iterator[tuple[str, Channel]]:
        spec = self._trainer.container(
            self._spec.run_id, order.trial, held.device, order.terms.hand_out
        )
        self._engine.remove(spec.name)  # an earlier life of this run may have left it
        container = self._engine.create(spec)
        self._running.add(container)
        try:
            channel = self._engine.attach(container)
            try:
                held.start(self._engine, container)
                if self._abandon.is_set() or session.lost:  # since this container is being made
                    self._engine.kill(container)
                yield container, channel
            finally:
                channel.close()
        finally:
            self._running.discard(container)
            self._engine.remove(container)

    def _is_paused(self, container: str) -> bool:
        with contextlib.suppress(EngineError):
            state = self._engine.inspect(container)
            return state is not None and state.status == "paused"
        return False

    def _kill(self, container: str) -> None:
        with contextlib.suppress(EngineError):  # the container's own deadline ends it
            self._engine.kill(container)

    def _read(
        self,
        order: TrialOrder,
        session: Session,
        channel: Channel,
        seen: Seen,
        timers: Timers,
        log: IO[bytes],
        on_line: Callable[[str], object],
    ) -> None:
        room = self._trainer.output_bytes
        for is_stdout, line in channel.lines():
            message = _message(line) if is_stdout else None
            if isinstance(message, Ready):
                with contextlib.suppress(EngineError):  # it died, and its stream ends next
                    config = as_config(self._config(order, session))
                    channel.send(encode(Start(known_config(config, message.version))))
            elif isinstance(message, Started):
                if seen.began is None:  # under gVisor a contestant can send another one
                    seen.began = _instant(message.details)
                timers.training_began()
            elif isinstance(message, TrialExited):
                seen.exited = message
            elif is_stdout and message is None:
                passed_on = seen.output.read_line(line)
                if passed_on is not None:
                    on_line(passed_on)
                raw = visible_line(line).encode() + b"\n"  # a person will `cat` it
                log.write(raw[:room])
                room = max(0, room - len(raw))

    def _record(self, order: TrialOrder, **measured: Any) -> TrialRecord:
        return order.record(rehearsed=self._spec.rehearsed, **measured)


def _message(line: str) -> Message | None:
    with contextlib.suppress(ProtocolError):
        return decode(line, MESSAGES)
    return None


def _instant(details: Mapping[str, Any]) -> Instant | None:
    """When train.py began, as its PID 1 says and the runner has just heard."""
    at, monotonic = details.get("began_at"), details.get("monotonic", 0.0)
    if not isinstance(at, int | float) or not isinstance(monotonic, int | float):
        return None
    return Instant(float(at), float(monotonic), time.monotonic())
