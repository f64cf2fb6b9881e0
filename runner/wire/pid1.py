"""What every PID 1 does alike: closed to its neighbours, reaping, ending in time, and talking.

Standard library only, and quick to import: this file is copied into every image and loaded before
`ready` is said. The attacks that it stops: a process of the same user that traces PID 1, reads its
memory for a key, or writes messages of its own to PID 1's stdout through /proc; one that signals
PID 1, so that it ends as if the runner or its deadline had ended it; a core dump that holds a key;
a container that outlives its run because its host is gone.

The kernel drops a signal from inside the container to PID 1, unless PID 1 handles or blocks it. So
those have a check: SIGALRM of the time (`end_in`), SIGTERM of its sender (`is_from_outside`).
Nothing else is handled but SIGCHLD, which makes PID 1 look for children, and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from messages import MESSAGES, Message, Problem
from protocol import MAX_LINE_BYTES, ProtocolError, decode, encode

WAIT_FOR_START_SECONDS = 600.0  # a container that got no `start` by then ends: its runner has died
RUNNER_GONE_SECONDS = 0.5  # how often to look whether somebody attached again after an EOF
SHORTEST_SECONDS = 0.01  # an interval timer of zero never rings
LAST_RESORT_SECONDS = 90.0
MAX_SAID_CHARS = 2000
PR_SET_DUMPABLE = 4  # linux/prctl.h
MANY_SIGNALS = 1 << 15  # may wait for a user where there is no limit
SI_USER = 0  # asm-generic/siginfo.h: a signal of kill(2)

Action = Callable[[], None]


# --- processes ----------------------------------------------------------------------------------


def close_to_others() -> None:
    """Make this process opaque to others of its user: no ptrace, no /proc/1/fd, no core dump.

    SIGINT does what the kernel does by default, which for PID 1 is nothing. Python would raise
    KeyboardInterrupt, whoever sent it.

    Raises:
        OSError: the kernel refused.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def undo_in_child() -> None:
    """Undo in a child, before its exec, what only PID 1 does with signals.

    How many signals may wait is counted for all processes of a user, in all containers, and
    compared with the limit of the one that is signalled. Beyond it the kernel drops who sent a
    signal, and SIGTERM looks as if it came from outside. So a child has half of PID 1's limit:
    whatever waits for children, there is room for the signals of PID 1.

    Source: kernel/signal.c, __sigqueue_alloc and __send_signal_locked.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    limit = resource.getrlimit(resource.RLIMIT_SIGPENDING)[0]
    half = MANY_SIGNALS if limit == resource.RLIM_INFINITY else limit // 2
    if half != limit:  # gVisor counts no signals: it shows a limit of 0, which nobody can set
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (half, half))


def let_kernel_reap() -> None:
    """Leave no zombie of an orphan; for a program that waits for no child of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def reap_all_but(pid: int) -> None:
    """Reap every process that has ended but the child `pid`, whose exit code somebody else reads.

    Raises:
        ChildProcessError: there is no child at all.
    """
    while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
        if found.si_pid == pid:
            return
        os.waitpid(found.si_pid, 0)


def kill_others() -> bool:
    """Send SIGKILL to every process of the container but this one; False when there is none.

    kill(-1) reaches all processes of the PID namespace under one kernel lock, so that a process
    cannot escape by forking while it is looked for.

    Raises:
        RuntimeError: not PID 1; on a host the same call would end every process of the user.
    """
    if os.getpid() != 1:
        raise RuntimeError("only PID 1 of a container may kill everything")
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


# --- the end ------------------------------------------------------------------------------------


def on_sigterm(action: Action) -> None:
    """Call `action` in the main thread when SIGTERM comes; it may raise or exit.

    It is called whoever sent the signal, so this is for a container in which nothing of a
    contestant's runs, or not yet. Others block SIGTERM and ask `is_from_outside`.
    """
    signal.signal(signal.SIGTERM, _handler(action))


def is_from_outside(received: signal.struct_siginfo) -> bool:
    """Whether a SIGTERM that was waited for came from outside the container.

    The kernel shows a sender outside the PID namespace as process 0. A sender inside may claim to
    be process 0 (rt_sigqueueinfo, F_SETSIG), but not by a signal of kill(2): that code is the
    kernel's own to give. `undo_in_child` says how the kernel could come to forget both.

    Source: kernel/signal.c, do_rt_sigqueueinfo and __send_signal_locked; fs/fcntl.c,
    send_sigio_to_task.
    """
    return received.si_pid == 0 and received.si_code == SI_USER


def end_in(seconds: float, action: Action) -> None:
    """Call `action` in the main thread after `seconds`, in place of any action set before.

    It interrupts whatever the main thread does, a read of stdin too, and may raise or exit. A
    SIGALRM that somebody in the container sends before that time changes nothing.
    """
    due = time.monotonic() + max(seconds, SHORTEST_SECONDS)

    def ring() -> None:
        left = due - time.monotonic()
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, left)
        else:
            action()

    signal.signal(signal.SIGALRM, _handler(ring))
    signal.setitimer(signal.ITIMER_REAL, max(seconds, SHORTEST_SECONDS))


def seconds_left() -> float:
    """Seconds until the action of `end_in`; 0 when none is set."""
    return signal.getitimer(signal.ITIMER_REAL)[0]


def exit_if_stuck(deadline_seconds: float) -> None:
    """Exit `LAST_RESORT_SECONDS` after the deadline, even if the event loop hangs."""
    faulthandler.dump_traceback_later(deadline_seconds + LAST_RESORT_SECONDS, exit=True)


def _handler(action: Action) -> Callable[[int, FrameType | None], None]:
    return lambda _number, _frame: action()


# --- messages -----------------------------------------------------------------------------------


def send(message: Message) -> None:
    """Write one message to the runner, past any buffer.

    Nothing is lost when the process then ends itself from a signal handler.
    """
    write_all(1, encode(message))


def say(text: str) -> None:
    """Write one short line for a person who reads `docker logs`."""
    with contextlib.suppress(OSError):
        write_all(2, as_line(text))


def as_line(text: str) -> bytes:
    """`text` as one line with the time of day, at most `MAX_SAID_CHARS` printable characters."""
    flat = " ".join(text.split())[:MAX_SAID_CHARS]
    clean = "".join(char if char.isprintable() else "?" for char in flat)
    return f"{time.strftime('%H:%M:%S', time.gmtime())} {clean}\n".encode("utf-8", "replace")


def messages(on_error: Callable[[ProtocolError], None] | None = None) -> Iterator[Message]:
    """Yield every message of the runner, for ever. Make one iterator and keep it: it reads ahead.

    Text is passed over. An EOF means that the runner is gone, not that the run is over: the runner
    may attach again.

    Args:
        on_error: is given what looks like a message and is none. By default the runner is told, in
            words that may quote the line; a program that is sent a secret passes its own.
    """
    with os.fdopen(0, "rb", closefd=False) as lines:
        while True:
            line = lines.readline(MAX_LINE_BYTES + 1)
            if not line:
                time.sleep(RUNNER_GONE_SECONDS)
                continue
            try:
                message = decode(line, MESSAGES)
            except ProtocolError as error:
                (on_error or _tell)(error)
                continue
            if message is not None:
                yield message


def write_all(descriptor: int, data: bytes) -> None:
    """Write `data` whole, past any buffer."""
    while data:
        data = data[os.write(descriptor, data) :]


def _tell(error: ProtocolError) -> None:
    send(Problem("reading a message", str(error)))
