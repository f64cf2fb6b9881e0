"""A run of the `bakeoff` command that faults are done to, and what is seen of it from outside."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from runner.engine.client import Engine
from runner.proof.container import SUFFIX as PROOF_SUFFIX
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import RunResult, TrialRecord, UsageRecord

BAKEOFF = Path(sys.executable).with_name("bakeoff")
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 400.0


class LiveRun:
    """One run, in as many processes as it takes.

    Args:
        here: a folder of its own; the runs are in `runs/` below it.
        run_id: as the command will name it.
        engine: to see and end its containers with.
        docker_host: what the command gets as DOCKER_HOST; None for this process's own.
    """

    def __init__(self, here: Path, run_id: str, engine: Engine, docker_host: str | None) -> None:
        self.run_id = run_id
        self.run_dir = RunDir(here / "runs" / run_id)
        self.engine = engine
        self.killed_at: list[float] = []  # when a process of it was killed, seconds since 1970
        self._here = here
        self._docker_host = docker_host
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start a process of the run: `run`, `baseline` or `resume` with its arguments."""
        host = {} if self._docker_host is None else {"DOCKER_HOST": self._docker_host}
        with (self._here / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(BAKEOFF), "--runs", str(self.run_dir.path.parent), *arguments],
                env={**os.environ, **host}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last.

        Raises:
            RuntimeError: none was started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.run_id} was not started")
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of the process; its exit code.

        Raises:
            RuntimeError: it goes on for longer.
        """
        if self._process is None:
            raise RuntimeError(f"{self.run_id} was not started")
        try:
            return self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.run_id} goes on\n{self.output()}") from None

    def until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until something is seen of the run.

        Raises:
            RuntimeError: it was not seen within `PATIENCE_SECONDS`, or the process has ended.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while not seen():
            over = self._process is not None and self._process.poll() is not None
            if over or time.monotonic() > until:
                raise RuntimeError(f"{self.run_id}: {what} was not seen\n{self.output()}")
            time.sleep(LOOK_SECONDS)

    def count(self, event: str) -> int:
        """How many events of that name its journal has."""
        return sum(one.event == event for one in Journal(self.run_dir).events())

    def container(self, role: str) -> str | None:
        """The running container with this role, in which the run itself works."""
        for state in self.engine.containers(self.run_id):
            is_proof = state.name.endswith(f"-{PROOF_SUFFIX}")
            if state.role == role and not is_proof and state.status in ("running", "paused"):
                return state.id
        return None

    def trials(self) -> list[TrialRecord]:
        return list(read_lines(self.run_dir.trials, TrialRecord))

    def dollars(self) -> float:
        """What its recorded requests to a model cost."""
        return math.fsum(one.cost_usd for one in read_lines(self.run_dir.usage, UsageRecord))

    def result(self) -> RunResult:
        return RunResult.model_validate_json(self.run_dir.result.read_text(encoding="utf-8"))

    def left(self) -> list[str]:
        """Names of what the run has on the engine."""
        containers = [state.name for state in self.engine.containers(self.run_id)]
        return containers + [volume.name for volume in self.engine.volumes(self.run_id)]

    def output(self) -> str:
        """The end of what its processes printed."""
        with contextlib.suppress(OSError):
            return (self._here / "output.log").read_text(errors="replace")[-3000:]
        return ""

    def kill(self) -> None:
        """End the process at once, if one runs."""
        if self._process is not None:
            if self._process.poll() is None:
                self.killed_at.append(time.time())
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
