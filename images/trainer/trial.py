"""PID 1 of a trial: runs one submitted train.py, forwards what it prints, and ends all it started.

The text comes from a contestant and may fork, sleep, flood or fake. Invariant: whatever it does,
this program ends by its deadline, nothing that the text started outlives it, no line of its output
is taken for a message, and its last message is `trial.exited`.
"""

from __future__ import annotations

import base64
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import cgroup
import protocol
from forward import Forwarder

TRAINER = Path("/opt/trainer")
TRIAL = Path("/trial")
PR_SET_DUMPABLE = 4
POLL_SECONDS = 0.2
REAP_SECONDS = 3.0
OPENING_SECONDS = 5.0  # an exec takes microseconds, and as long as the machine lets it wait
COULD_NOT_START, ENDED_BY_DEADLINE = 2, 3
# What a training on a CPU needs of its libraries; measured in docs/performance.md.
QUICK = {
    # Threads spin a few microseconds for each other, then sleep. Sleeping at once costs half of
    # the speed; spinning on (the default) makes a step many times longer when others want a core.
    "GOMP_SPINCOUNT": "2000",
    # Tensors are made and dropped all the time: keep their memory instead of giving it back to
    # the kernel and having it cleared again, 5,000 pages a step.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


class TerminatedError(Exception):
    """SIGTERM came: the runner wants the trial's end."""


@dataclass(frozen=True)
class Config:
    """What `start` asks for; times in seconds."""

    train_py: bytes
    train_seconds: float
    limit_seconds: float
    output_bytes: int
    threads: int
    deadline_seconds: float


@dataclass
class Ending:
    """How train.py ended: exited, timeout, output or signal."""

    cause: str
    exit_code: int


def main() -> None:
    """Wait for `start`, run the trial, say how it ended."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, _terminate)
    send(protocol.Ready("trial"))
    note("ready, waiting for start")
    try:
        hard_deadline(protocol.START_SECONDS)
        config = read_config(wait_for_start())
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        send(protocol.Problem("reading start", repr(error)))
        sys.exit(COULD_NOT_START)
    except TerminatedError:
        sys.exit(0)
    hard_deadline(config.deadline_seconds)
    try:
        run(config)
    except TerminatedError:
        sys.exit(0)


def run(config: Config) -> None:
    """One trial, from writing its file to `trial.exited`."""
    (TRIAL / "train.py").write_bytes(config.train_py)
    began = time.monotonic()
    send(protocol.Started({"bytes": len(config.train_py)}))
    note(f"training for {config.train_seconds:g} s, {config.limit_seconds:g} s at most")
    forwarder = Forwarder(config.output_bytes)
    ending = watch(spawn(config, forwarder), forwarder, began + config.limit_seconds)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end has begun; it takes its few seconds
    end_all()
    forwarder.drain()
    seconds = time.monotonic() - began
    note(f"{ending.cause}, exit code {ending.exit_code}, after {seconds:.1f} s")
    memory, kills = cgroup.peak_memory_bytes(), cgroup.oom_kills()
    send(protocol.TrialExited(ending.exit_code, ending.cause, round(seconds, 3), memory, kills))


def spawn(config: Config, forwarder: Forwarder) -> subprocess.Popen[bytes]:
    """train.py in a session of its own, its output into the forwarder's pipe."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(TRAINER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",  # a tmpfs of this container alone
        "BAKEOFF_DATA": "/data",
        "BAKEOFF_TRAIN_SECONDS": f"{config.train_seconds:g}",
        "OMP_NUM_THREADS": str(config.threads),
        **QUICK,
    }
    child = subprocess.Popen(
        [sys.executable, "-u", "train.py"],
        cwd=TRIAL,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=forwarder.writer,
        stderr=forwarder.writer,
        start_new_session=True,
    )
    forwarder.close_writer()
    offer_to_oom_killer(child)
    return child


def offer_to_oom_killer(child: subprocess.Popen[bytes]) -> None:
    """When memory runs out the kernel shall take the training, not this program.

    The file belongs to root, so that writing is denied, while the child is as closed to others as
    this program made itself (`PR_SET_DUMPABLE`): until a moment after its exec, which a busy
    machine can draw out, and again once it has ended.
    """
    until = time.monotonic() + OPENING_SECONDS
    while child.poll() is None:
        try:
            Path(f"/proc/{child.pid}/oom_score_adj").write_text("1000")
            return
        except ProcessLookupError:
            return
        except PermissionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.001)


def watch(child: subprocess.Popen[bytes], forwarder: Forwarder, limit: float) -> Ending:
    """Forwards until train.py ends or must end."""
    try:
        while True:
            left = limit - time.monotonic()
            if left <= 0:
                return Ending("timeout", 128 + signal.SIGKILL)
            forwarder.forward(min(left, POLL_SECONDS))
            if forwarder.overflowed:
                return Ending("output", 128 + signal.SIGKILL)
            status = child.poll()
            reap_orphans(child)
            if status is not None:
                return Ending("exited", status) if status >= 0 else Ending("signal", 128 - status)
    except TerminatedError:
        return Ending("signal", 128 + signal.SIGTERM)


def reap_orphans(child: subprocess.Popen[bytes]) -> None:
    """Buries processes whose parents died, but leaves train.py itself to its `poll`."""
    while child.returncode is None:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None or found.si_pid == child.pid:
            return
        os.waitpid(found.si_pid, 0)


def end_all() -> None:
    """Kills every process of the container but this one, again until none is left.

    A fork bomb may make new ones while the first round goes; each round takes all that it finds.
    """
    until = time.monotonic() + REAP_SECONDS
    while time.monotonic() < until:
        kill_everything()
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def kill_everything() -> None:
    """SIGKILL to all other processes of the PID namespace, of which this must be the first."""
    if os.getpid() != 1:
        raise RuntimeError("not PID 1: this would kill the user's own processes")
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return


def hard_deadline(seconds: float) -> None:
    """Ends this program then, even while it waits for a host that no longer reads."""
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _give_up(_signal: int, _frame: FrameType | None) -> NoReturn:
    kill_everything()
    os._exit(ENDED_BY_DEADLINE)  # the kernel ends what is left with PID 1


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TerminatedError


def wait_for_start() -> dict[str, Any]:
    """The `config` of the first `start`. The end of stdin is none: the runner may attach again."""
    for line in sys.stdin:
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError as error:
            note(f"ignored: {error}")
            continue
        if isinstance(message, protocol.Start):
            return message.config
    while True:
        signal.pause()


def read_config(raw: dict[str, Any]) -> Config:
    """The config with its text unpacked, which may be no larger than a train.py may be.

    Raises:
        KeyError, TypeError, ValueError, zlib.error: it is not what docs/architecture.md says.
    """
    text = raw.get("train_py", "").encode()
    if "train_py_gz" in raw:
        unpacker = zlib.decompressobj()
        packed = base64.b64decode(raw["train_py_gz"], validate=True)
        text = unpacker.decompress(packed, protocol.MAX_TRAIN_PY_BYTES)
        if not unpacker.eof:
            raise ValueError(f"train.py of over {protocol.MAX_TRAIN_PY_BYTES} bytes")
    return Config(
        text,
        float(raw["train_seconds"]),
        float(raw["limit_seconds"]),
        int(raw["output_bytes"]),
        max(1, int(raw["threads"])),
        float(raw["deadline_seconds"]),
    )


def send(message: protocol.Message) -> None:
    """One message line on stdout."""
    sys.stdout.buffer.write(protocol.encode(message))
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """One line for a person who reads `docker logs`."""
    print(f"trial: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
