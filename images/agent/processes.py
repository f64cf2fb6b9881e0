"""Processes of the container: started, reaped and killed by PID 1.

Invariant: this module alone waits for children, so that an exit code is never lost to another
waiter, and after `kill_everything` no process but PID 1 is left. The attacks it stops: a daemon
that outlives its turn by leaving its process group, a fork bomb, a SIGTERM to PID 1 from inside,
and lines in a turn's transcript that its CLI did not write.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        """Start `argv` with empty standard input, its output in two sockets.

        A pipe can be opened again by every process of the user, as /proc/<pid>/fd/1; a socket
        cannot (ENXIO, fs/open.c and net/socket.c: `sock_no_open`). The caller owns the two
        descriptors in the result and closes them. No file that it writes gets larger than
        `file_bytes`.

        Raises:
            OSError: the program is not there or cannot be executed.
        """

        def prepare() -> None:
            pid1.undo_in_child()
            if file_bytes is not None:
                limit_files(file_bytes)

        with contextlib.ExitStack() as stack:
            outputs = [socket.socketpair() for _ in range(2)]
            for end in (end for pair in outputs for end in pair):
                stack.enter_context(end)
            (stdout, its_stdout), (stderr, its_stderr) = outputs
            popen = subprocess.Popen(
                argv, cwd=cwd, env=dict(env), start_new_session=True,
                preexec_fn=prepare,
                stdin=subprocess.DEVNULL, stdout=its_stdout.fileno(), stderr=its_stderr.fileno(),
            )  # fmt: skip
            exit_code: asyncio.Future[int] = self._loop.create_future()
            self._children[popen.pid] = (popen, exit_code)
            return Process(popen.pid, exit_code, stdout.detach(), stderr.detach())

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

    Signals must be blocked (`block_signals`) before any thread starts.
    """

    def wait() -> None:
        while True:
            if pid1.is_from_outside(signal.sigwaitinfo({signal.SIGTERM})):
                loop.call_soon_threadsafe(on_sigterm)
                return

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def block_signals() -> None:
    """Keep SIGTERM for `watch_sigterm`, and let nobody inside raise KeyboardInterrupt."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
