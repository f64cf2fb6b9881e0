"""The one executor of trials: a fresh, locked, sibling container for each, whoever asked.

A trial gets the pristine prepare.py of its image and the submitted train.py as data; it holds the
device lease while it runs, and every way in which it can end is a status in its record.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from runner.channel import Channel
from runner.containers import ContainerSpec, ContainerState, Mount
from runner.engine import Engine
from runner.errors import EngineError
from runner.layout import RunDir, trial_container_name
from runner.protocol import Message, ProtocolError, Ready, Start, TrialExited, decode, encode
from runner.records import TrialRecord, TrialSource, TrialStatus, explained, now
from runner.spec import Limit, RunSpec
from runner.trials.lease import DeviceLease, LeaseAbandonedError
from runner.trials.output import TrialOutput

HOST_MARGIN_SECONDS = 30.0  # beyond the limit that PID 1 itself enforces
STOP_SECONDS = 15.0
TRIAL_FILES_BYTES = 256 << 20
MAX_DIFF_LINES = 3000
OOM_WORDS = ("OutOfMemoryError", "CUDA out of memory", "MemoryError", "can't allocate memory")


@dataclass(frozen=True)
class Trainer:
    """What all trials of a run share. Times in seconds."""

    image: str
    data_volume: str
    train_seconds: float
    allowance_seconds: float
    limit: Limit
    memory_bytes: int
    cpus: float
    gpu: str | None

    @property
    def limit_seconds(self) -> float:
        """When a trial is ended: its training time and the allowance for all the rest."""
        return self.train_seconds + self.allowance_seconds


@dataclass(frozen=True)
class Watch:
    """What a trial's watcher is told as it happens, in the trial's thread.

    `on_wait` when it begins to wait for its device, `on_start` when it has it, `on_line` for each
    line that it prints.
    """

    on_wait: Callable[[], None]
    on_start: Callable[[], None]
    on_line: Callable[[str], None]


@dataclass(frozen=True)
class TrialOrder:
    """One trial to run: the number, who asks, the text, and what the contestant said of it."""

    trial: int
    source: TrialSource
    request: str
    train_py: str
    parent: int | None
    parent_train_py: str
    sha256: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = ""
    knobs: dict[str, Any] = field(default_factory=dict)
    knobs_changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    other_changes: bool = False
    queued_at: str = ""


@dataclass
class _Watched:
    """What was seen of one running trial."""

    output: TrialOutput = field(default_factory=TrialOutput)
    exited: TrialExited | None = None
    state: ContainerState | None = None
    overran: bool = False
    began_at: str = ""
    began: float = 0.0
    seconds: float = 0.0


class Executor:
    """Runs trials of one run, one call each; calls may come from worker threads.

    Args:
        engine: where containers run.
        spec: the run.
        run_dir: where train.py, diff.patch and train.log of each trial go.
        trainer: what all trials share.
        lease: the device's lease.
    """

    def __init__(
        self, engine: Engine, spec: RunSpec, run_dir: RunDir, trainer: Trainer, lease: DeviceLease
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._run_dir = run_dir
        self._trainer = trainer
        self._lease = lease
        self._abandon = threading.Event()
        self._running: set[str] = set()

    def abandon(self) -> None:
        """End what runs and let nothing start any more; each such trial is recorded as killed."""
        self._abandon.set()
        for container in list(self._running):
            with contextlib.suppress(EngineError):  # its own deadline ends it
                self._engine.kill(container)

    def run(self, order: TrialOrder, watch: Watch) -> TrialRecord:
        """Run the trial to its end and return its record; only a broken engine or disk raises.

        Raises:
            EngineError: the engine failed; the trial is nobody's fault and has no record.
            HostError: the trial's files could not be written.
        """
        with explained(self._run_dir.trial(order.trial)):
            folder = self._keep_submission(order)
        watch.on_wait()
        try:
            with self._lease.held(self._abandon) as waited:
                watch.on_start()
                watched = self._watch(order, folder / "train.log", watch.on_line)
        except LeaseAbandonedError:
            return self._record(order, "killed", "the run ended before its device was free")
        return self._judged(order, watched, waited)

    def _keep_submission(self, order: TrialOrder) -> Path:
        folder = self._run_dir.trial(order.trial)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.py").write_text(order.train_py, encoding="utf-8", newline="")
        (folder / "diff.patch").write_text(_patch(order), encoding="utf-8", newline="")
        return folder

    def _container(self, order: TrialOrder) -> ContainerSpec:
        trainer = self._trainer
        return ContainerSpec(
            name=trial_container_name(self._spec.run_id, order.trial),
            image=trainer.image,
            run_id=self._spec.run_id,
            role="trial",
            mounts=(Mount(trainer.data_volume, "/data", read_only=True),),
            tmpfs={"/trial": TRIAL_FILES_BYTES, "/tmp": trainer.limit.tmp_mb << 20},
            memory_bytes=trainer.memory_bytes,
            cpus=trainer.cpus,
            pids=trainer.limit.pids,
            shm_bytes=trainer.limit.shm_mb << 20,
            gpu=trainer.gpu,
        )

    def _config(self, order: TrialOrder) -> dict[str, Any]:
        trainer = self._trainer
        return {
            "train_py_gz": packed(order.train_py),
            "train_seconds": trainer.train_seconds,
            "limit_seconds": trainer.limit_seconds,
            "output_bytes": trainer.limit.output_mb << 20,
            "threads": max(1, int(trainer.cpus)),
            "deadline_seconds": trainer.limit_seconds + HOST_MARGIN_SECONDS,
        }

    def _watch(self, order: TrialOrder, log: Path, on_line: Callable[[str], None]) -> _Watched:
        watched = _Watched(began_at=now(), began=time.monotonic())
        with self._started(order) as (container, channel):
            limit = self._trainer.limit_seconds + HOST_MARGIN_SECONDS
            overrun = threading.Timer(limit, self._overrun, (container, channel, watched))
            overrun.start()
            try:
                with explained(log), log.open("wb") as file:
                    self._read(order, channel, watched, file, on_line)
                watched.state = self._engine.wait_exit(container, STOP_SECONDS)
            finally:
                overrun.cancel()
        if watched.state is None and not watched.overran:
            raise EngineError(f"watching trial {order.trial}: the engine's connection was lost")
        watched.seconds = time.monotonic() - watched.began
        return watched

    @contextlib.contextmanager
    def _started(self, order: TrialOrder) -> Iterator[tuple[str, Channel]]:
        spec = self._container(order)
        self._engine.remove(spec.name)  # left by an earlier life of this run
        container = self._engine.create(spec)
        self._running.add(container)
        try:
            channel = self._engine.attach(container)
            try:
                self._engine.start(container)
                if self._abandon.is_set():  # set while this one was being made
                    self._engine.kill(container)
                yield container, channel
            finally:
                channel.close()
        finally:
            self._running.discard(container)
            self._engine.remove(container)

    def _overrun(self, container: str, channel: Channel, watched: _Watched) -> None:
        """The host's own time limit, should PID 1 or the connection to it fail."""
        watched.overran = True
        with contextlib.suppress(EngineError):
            self._engine.kill(container)
        channel.close()

    def _read(
        self,
        order: TrialOrder,
        channel: Channel,
        watched: _Watched,
        log: IO[bytes],
        on_line: Callable[[str], None],
    ) -> None:
        room = self._trainer.limit.output_mb << 20
        for is_stdout, line in channel.lines():
            message = _message(line) if is_stdout else None
            if isinstance(message, Ready):
                with contextlib.suppress(EngineError):  # it died: the stream's end tells
                    channel.send(encode(Start(self._config(order))))
            elif isinstance(message, TrialExited):
                watched.exited = message
            elif is_stdout and message is None:
                watched.output.take(line)
                on_line(line)
                raw = line.encode() + b"\n"
                log.write(raw[:room])
                room = max(0, room - len(raw))

    def _judged(self, order: TrialOrder, watched: _Watched, waited: float) -> TrialRecord:
        status, reason = self._status(watched)
        exited = watched.exited
        return self._record(
            order,
            status,
            reason,
            val_bpb=watched.output.val_bpb if status == "ok" else None,
            started_at=watched.began_at,
            lease_wait_seconds=round(waited, 3),
            train_seconds=round(self._seconds_trained(watched), 3),
            wall_seconds=round(watched.seconds, 3),
            exit_code=exited.exit_code if exited else None,
            peak_memory_bytes=exited.peak_memory_bytes if exited else 0,
            summary=watched.output.summary,
            estimates=watched.output.estimates,
        )

    def _seconds_trained(self, watched: _Watched) -> float:
        """Training seconds to charge: as printed, within what the runner saw.

        A trial that printed less than its time without the task's allowance for start-up and
        evaluation is charged the difference: a clock of its own gets it no free training.
        """
        exited = watched.exited
        seen = exited.seconds if exited else watched.seconds
        return max(watched.output.seconds_trained(seen), seen - self._trainer.allowance_seconds)

    def _status(self, watched: _Watched) -> tuple[TrialStatus, str]:
        """The trial's status and why; the order of the questions is the order of the evidence."""
        exited, output = watched.exited, watched.output
        if self._abandon.is_set() and (exited is None or exited.exit_code != 0):
            return "killed", "the run ended while the trial ran"
        if watched.overran or (exited and exited.cause == "timeout"):
            return "timeout", f"not done after {self._trainer.limit_seconds:.0f} s"
        if exited and exited.cause == "output":
            return "killed", f"wrote more than {self._trainer.limit.output_mb} MB of output"
        if _out_of_memory(watched):
            return "oom", "out of memory"
        if exited is None:
            code = "" if watched.state is None else f", exit code {watched.state.exit_code}"
            return "crash", f"the trial's container ended by itself{code}"
        if exited.exit_code != 0 or output.failed:
            return "crash", _last_line(output) or f"exit code {exited.exit_code}"
        if output.val_bpb is None:
            said = output.summary.get("val_bpb")
            return "crash", "printed no val_bpb" if said is None else f"val_bpb is {said}"
        return "ok", ""

    def _record(
        self, order: TrialOrder, status: TrialStatus, reason: str, **measured: Any
    ) -> TrialRecord:
        return TrialRecord(
            trial=order.trial,
            source=order.source,
            request=order.request,
            status=status,
            reason=reason,
            parent=order.parent,
            sha256=order.sha256,
            commit=order.commit,
            hypothesis=order.hypothesis,
            category=order.category,
            knobs=order.knobs,
            knobs_changed=order.knobs_changed,
            other_changes=order.other_changes,
            queued_at=order.queued_at,
            ended_at=now(),
            rehearsed=self._spec.rehearsed,
            **measured,
        )


def _patch(order: TrialOrder) -> str:
    """The change against the parent; comparing is more than linear, so its size is bounded."""
    before = "pristine" if order.parent is None else f"trial {order.parent}"
    old = order.parent_train_py.splitlines(keepends=True)
    new = order.train_py.splitlines(keepends=True)
    if max(len(old), len(new)) > MAX_DIFF_LINES:
        return f"over {MAX_DIFF_LINES} lines: compare train.py with that of {before} yourself\n"
    names = f"train.py ({before})", f"train.py (trial {order.trial})"
    return "".join(difflib.unified_diff(old, new, *names))


def packed(train_py: str) -> str:
    """The text as `start.config.train_py_gz` carries it: base64 of zlib."""
    return base64.b64encode(zlib.compress(train_py.encode(), 9)).decode()


def _message(line: str) -> Message | None:
    with contextlib.suppress(ProtocolError):
        return decode(line)
    return None


def _out_of_memory(watched: _Watched) -> bool:
    exited = watched.exited
    if exited is not None and exited.exit_code == 0:
        return False
    killed = (watched.state is not None and watched.state.oom_killed) or (
        exited is not None and exited.oom_kills > 0
    )
    return killed or any(word in line for line in watched.output.tail for word in OOM_WORDS)


def _last_line(output: TrialOutput) -> str:
    return output.tail[-1].strip()[:200] if output.tail else ""
