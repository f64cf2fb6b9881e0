"""The `bakeoff` command as a user runs it, in a process of its own, its runs in a test's folder."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.engine.client import Engine
from runner.options import REHEARSAL_KEY
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.schema import Event, RunResult, TrialRecord
from runner.sandbox.removal import remove_run

BAKEOFF = Path(sys.executable).with_name("bakeoff")
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
TOKEN = re.compile(rb"bakeoff-[A-Za-z0-9_-]{32}")  # as new_token makes them
TRIAL_SECONDS = "1"
LONG_SECONDS = 400.0


def a_seed() -> int:
    """A seed that no run of a person has, so that names on the engine never meet."""
    return random.SystemRandom().randrange(10**6, 10**9)


class Commands:
    """Runs commands and remembers what they started, to clear it away whatever happens."""

    def __init__(self, engine: Engine, here: Path) -> None:
        self.engine = engine
        self.here = here
        self.runs = here / "runs"
        self._processes: list[subprocess.Popen[str]] = []
        self._run_ids: list[str] = []

    def __call__(
        self, *arguments: str, seconds: float = LONG_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._argv(arguments), cwd=self.here, env=self._environment(), capture_output=True,
            text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its output goes to a file in the test's folder."""
        log = (self.here / f"command-{len(self._processes)}.log").open("w")
        with log:
            process = subprocess.Popen(
                self._argv(arguments), cwd=self.here, env=self._environment(), text=True,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def run_dir(self, run_id: str) -> RunDir:
        self._run_ids.append(run_id)
        return RunDir(self.runs / run_id)

    def result(self, run_id: str) -> RunResult:
        return RunResult.model_validate_json(self.run_dir(run_id).result.read_text())

    def left(self, run_id: str) -> list[str]:
        """Names of the containers, volumes and networks that the run has on the engine."""
        containers = [state.name for state in self.engine.containers(run_id)]
        volumes = [volume.name for volume in self.engine.volumes(run_id)]
        return [*containers, *volumes, *self.engine.networks(run_id)]

    def clear(self) -> None:
        """End what still runs and remove what it left."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for run_id in set(self._run_ids):
            remove_run(self.engine, run_id)

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(BAKEOFF), "--runs", str(self.runs), *arguments]

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in KEYS}
        return {**own, "COLUMNS": "200"}


@contextlib.contextmanager
def commands(engine: Engine, here: Path) -> Iterator[Commands]:
    """Commands that leave nothing behind."""
    made = Commands(engine, here)
    try:
        yield made
    finally:
        made.clear()


def rehearsed(agent: str, seed: int, *options: str) -> tuple[str, ...]:
    """The command line of a short rehearsed run."""
    common = (
        "--seed", str(seed), "--rehearsal", "--trial-seconds", TRIAL_SECONDS, "--verify", "none",
    )  # fmt: skip
    return ("run", agent, *common, *options)


def events(run_dir: RunDir, name: str) -> list[Event]:
    return [event for event in read_lines(run_dir.events, Event) if event.event == name]


def trials(run_dir: RunDir) -> list[TrialRecord]:
    return list(read_lines(run_dir.trials, TrialRecord))


def recorded_models(run_dir: RunDir) -> set[str]:
    """The models of all requests that a run recorded, each body read and without a secret.

    A model that is named in the path of a request, not in its body, counts as "".
    """
    files = sorted(run_dir.records.iterdir())
    bodies = {path.name: gzip.decompress(path.read_bytes()) for path in files}
    requests = [name for name in bodies if name.endswith(".request.json.gz")]
    assert requests
    assert any(name.endswith(".response.gz") and body for name, body in bodies.items())
    for name, body in bodies.items():
        assert REHEARSAL_KEY.encode() not in body, name
        assert not TOKEN.search(body), name
    return {json.loads(bodies[name]).get("model", "") for name in requests}


def wait_for(
    condition: Callable[[], object], what: str, process: subprocess.Popen[str], log: Path
) -> None:
    """Wait until the condition holds, while the process lives.

    Raises:
        AssertionError: the process ended or the time was up before; with the end of its log.
    """
    until = time.monotonic() + LONG_SECONDS
    while not condition():
        said = log.read_text()[-3000:]
        assert process.poll() is None, f"it ended before {what}:\n{said}"
        assert time.monotonic() < until, f"waited in vain for {what}:\n{said}"
        time.sleep(0.1)
