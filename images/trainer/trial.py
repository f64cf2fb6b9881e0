"""PID 1 of a trial: it runs one submitted train.py, forwards its output, and ends its processes.

The text comes from a contestant and may fork, sleep, flood the output or forge messages. Invariant:
this program ends by its deadline, no process that the text started outlives it, no line of the
text's output is taken for a message, and the last message is `trial.exited`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import cgroup
import gpu
import pid1
import steady_clock
from config_reader import read_config
from counters import Counters, open_io
from disk_use import DiskBound, limit_files, measure
from forward import Forwarder
from judge_terms import JUDGE_SOCKET
from messages import MAX_TRAIN_PY_BYTES, Problem, Ready, Start, Started, TrialExited
from pid1 import say, send
from protocol import ProtocolError, unpack_text
from start_config import TrialConfig

TRAINER = Path("/opt/trainer")
TRIAL = Path("/trial")
HAND_OUT = Path("/handout/model.pt")  # on a volume, which outlives this container
# train.py writes to tmpfs, which is bounded, and to the volume of the model that it hands out.
HANDED_OUT = DiskBound(max_bytes=1 << 30, max_files=256)
LOOK_SECONDS = 1.0  # from one look at that volume to the next
POLL_SECONDS = 0.2
REAP_SECONDS = 3.0
OPENING_SECONDS = 5.0  # an exec takes microseconds, but it may wait on a busy machine
EXIT_DONE, EXIT_BAD_CONFIG, EXIT_DEADLINE = 0, 2, 3
# Settings of the libraries that make training on a CPU fast; see docs/performance.md.
QUICK = {
    # Threads wait for each other by spinning a few microseconds, then sleep. Sleeping at once
    # halves the speed. Spinning longer (the default) makes a step many times longer when other
    # processes need a core.
    "GOMP_SPINCOUNT": "2000",
    # Tensors are made and dropped all the time. Keep their memory: if it went back to the kernel,
    # 5,000 pages would have to be cleared again in every step.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    # On a GPU, blocks of memory that can grow, so that less of it is lost between blocks. Source:
    # karpathy/autoresearch, train.py.
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}


class TerminatedError(Exception):
    """SIGTERM arrived before the trial began."""


@dataclass
class Ending:
    """How train.py ended: exited, timeout, output, disk, signal or stopped."""

    cause: str
    exit_code: int


def main() -> None:
    """Wait for `start`, run the trial, and report how it ended."""
    io = open_io()
    pid1.close_to_others()
    pid1.on_sigterm(_terminate)
    send(Ready("trial"))
    say("ready, waiting for start")
    pid1.end_in(pid1.WAIT_FOR_START_SECONDS, _end_at_deadline)
    try:
        start = next(m for m in pid1.messages(_ignore) if isinstance(m, Start))
        try:
            config = read_config(TrialConfig, start.config)
            text = unpack_text(config.train_py_gz, MAX_TRAIN_PY_BYTES)
        except ValueError as error:
            send(Problem("reading the start message", str(error)))
            sys.exit(EXIT_BAD_CONFIG)
        pid1.end_in(config.deadline_seconds, _end_at_deadline)
        run(config, text, io)
    except TerminatedError:
        sys.exit(EXIT_DONE)


def run(config: TrialConfig, text: bytes, io: BinaryIO | None) -> None:
    """Run one trial of a train.py, from writing its file to `trial.exited`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # `_told_to_end` takes it up
    counters = Counters(now=steady_clock.now, io=io, gpu=gpu.find_gpu(), cores=cgroup.own_cores())
    (TRIAL / "train.py").write_bytes(text)
    began, began_at = time.monotonic(), steady_clock.now()
    at = {"began_at": began_at, "monotonic": steady_clock.monotonic(began_at)}
    send(Started({"bytes": len(text), **at}))
    say(f"training for {config.train_seconds:g} s, {config.limit_seconds:g} s at most")
    forwarder = Forwarder(config.output_bytes)
    volume = [str(HAND_OUT.parent)] if config.hand_out else []
    limit = began + config.limit_seconds
    ending = watch(spawn(config, forwarder), forwarder, limit, counters, volume)
    end_all()
    forwarder.drain()
    seconds = time.monotonic() - began
    say(f"{ending.cause}, exit code {ending.exit_code}, after {seconds:.1f} s")
    memory, kills = cgroup.peak_memory_bytes(), cgroup.oom_kills()
    send(
        TrialExited(
            ending.exit_code, ending.cause, round(seconds, 3), memory, kills, counters.measured()
        )
    )  # fmt: skip


def spawn(config: TrialConfig, forwarder: Forwarder) -> subprocess.Popen[bytes]:
    """Start train.py in a session of its own, with its output in the forwarder's pipe."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(TRAINER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",  # a tmpfs of this container alone
        "BAKEOFF_DATA": "/data",
        "BAKEOFF_TRAIN_SECONDS": f"{config.train_seconds:g}",
        "OMP_NUM_THREADS": str(config.threads),
        "BAKEOFF_JUDGE": JUDGE_SOCKET,
        "BAKEOFF_JUDGE_TOKEN": config.judge_token,
        **_optional(config),
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
        preexec_fn=_become_trial,
    )
    forwarder.close_writer()
    offer_to_oom_killer(child)
    return child


def _optional(config: TrialConfig) -> dict[str, str]:
    """The variables that only some trials have."""
    asked = {
        "BAKEOFF_SEED": config.seed,
        "BAKEOFF_MAX_STEPS": config.max_steps,
        "BAKEOFF_HAND_OUT": HAND_OUT if config.hand_out else None,
        "BAKEOFF_ESTIMATE_AT": " ".join(map(str, config.estimate_at)) or None,
    }
    return {name: str(value) for name, value in asked.items() if value is not None}


def offer_to_oom_killer(child: subprocess.Popen[bytes]) -> None:
    """Make the kernel kill the training, not this program, when memory runs out.

    The child inherits `pid1.close_to_others`. Until shortly after its exec, which a busy machine
    can delay, and again once it has ended, the file belongs to root and cannot be written.

    Raises:
        PermissionError: the file could still not be written after `OPENING_SECONDS`.
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


def watch(
    child: subprocess.Popen[bytes],
    forwarder: Forwarder,
    limit: float,
    counters: Counters,
    volumes: Sequence[str] = (),
) -> Ending:
    """Forward the output, and count, until train.py ends or must end."""
    next_look = time.monotonic()
    while True:
        left = limit - time.monotonic()
        if left <= 0:
            return Ending("timeout", 128 + signal.SIGKILL)
        forwarder.forward(min(left, POLL_SECONDS))
        counters.look()
        if forwarder.overflowed:
            return Ending("output", 128 + signal.SIGKILL)
        if volumes and time.monotonic() >= next_look:
            if not measure(volumes, HANDED_OUT).whole:
                return Ending("disk", 128 + signal.SIGKILL)
            next_look = time.monotonic() + LOOK_SECONDS
        if _told_to_end():
            return Ending("stopped", 128 + signal.SIGTERM)
        if (status := child.poll()) is not None:
            return Ending("exited", status) if status >= 0 else Ending("signal", 128 - status)
        pid1.reap_all_but(child.pid)


def _told_to_end() -> bool:
    """SIGTERM has come from outside the container.

    The attack that this stops: a train.py that dislikes its score so far and has itself stopped as
    if by the host, so that it is run again without charge.
    """
    found = signal.sigtimedwait({signal.SIGTERM}, 0)
    return found is not None and pid1.is_from_outside(found)


def _become_trial() -> None:
    """Undo what only PID 1 does with signals, and bound each file of train.py's own."""
    pid1.undo_in_child()
    limit_files(HANDED_OUT.max_bytes)


def end_all() -> None:
    """Kill every other process of the container, in rounds until none is left.

    A fork bomb may start new processes during a round; each round kills all that it finds.
    """
    until = time.monotonic() + REAP_SECONDS
    while time.monotonic() < until:
        pid1.kill_others()
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _end_at_deadline() -> NoReturn:
    """End this program now, even if it waits for a host that no longer reads."""
    pid1.kill_others()
    os._exit(EXIT_DEADLINE)  # when PID 1 exits, the kernel ends every process that is left


def _terminate() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TerminatedError


def _ignore(error: ProtocolError) -> None:
    """Ignore a line that looks like a message but is not one."""
    say(f"ignored: {error}")


if __name__ == "__main__":
    main()
