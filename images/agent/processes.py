"""Processes of the container: started, reaped and killed by PID 1.

Invariant: this module alone waits for children, so that an exit code is never lost to another
waiter, and after `kill_everything` no process but PID 1 is left. The attacks it stops: a daemon
that outlives its turn by leaving its process group, a fork bomb, and a SIGTERM to PID 1 from
inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

import pid1
from disk_use import limit_files

KILL_ROUNDS = 250
KILL_ROUND_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """A child in a session of its own; `exit` resolves to its code, negative for a signal."""

    pid: int
    exit: asyncio.Future[int]
    stdout: int
    stderr: int

    def terminate(self) -> None:
        """SIGTERM to the whole process group; no error when it is gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)


class Reaper:
    """Starts children and collects every exit code, those of adopted orphans included."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._children: dict[int, tuple[subprocess.Popen[bytes], asyncio.Future[int]]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(
        self, argv: list[str], *, cwd: str, env: Mapping[str, str], file_bytes: int | None = None
    ) -> Process:
        """Start `argv` with empty standard input and piped output.

        The caller owns the two pipe ends in the result and closes them. No file that it writes gets
        larger than `file_bytes`.

        Raises:
            OSError: the program is not there or cannot be executed.
        """

        def prepare() -> None:
            _accept_sigterm()
            if file_bytes is not None:
                limit_files(file_bytes)

        popen = subprocess.Popen(
            argv, cwd=cwd, env=dict(env), start_new_session=True, preexec_fn=prepare,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        exit_code: asyncio.Future[int] = self._loop.create_future()
        self._children[popen.pid] = (popen, exit_code)
        return Process(popen.pid, exit_code, _detach(popen.stdout), _detach(popen.stderr))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                popen, exit_code = self._children.pop(pid)
                popen.returncode = os.waitstatus_to_exitcode(status)
                if not exit_code.done():
                    exit_code.set_result(popen.returncode)


def _detach(stream: IO[bytes] | None) -> int:
    """A descriptor of our own for the pipe, so that the Popen object no longer owns it."""
    if stream is None:
        raise ValueError("spawned without a pipe")
    with stream:
        return os.dup(stream.fileno())


def _accept_sigterm() -> None:
    """Undo in the child, before exec, that PID 1 blocks SIGTERM and ignores SIGINT."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def kill_everything() -> bool:
    """SIGKILL every process of the container but PID 1; True when none is left.

    Raises:
        RuntimeError: not PID 1; on a host the same call would end every process of the user.
    """
    for _ in range(KILL_ROUNDS):
        if not pid1.kill_others():
            return True
        await asyncio.sleep(KILL_ROUND_SECONDS)
    return False


def watch_sigterm(loop: asyncio.AbstractEventLoop, on_sigterm: Callable[[], None]) -> None:
    """Call `on_sigterm` for a SIGTERM from outside the container; ignore those from inside.

    The kernel hides a sender outside the PID namespace as process 0. Signals must be blocked
    (`block_signals`) before any thread starts.
    """

    def wait() -> None:
        while True:
            if signal.sigwaitinfo({signal.SIGTERM}).si_pid == 0:
                loop.call_soon_threadsafe(on_sigterm)
                return

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def block_signals() -> None:
    """Keep SIGTERM for `watch_sigterm`, and let nobody inside raise KeyboardInterrupt."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
