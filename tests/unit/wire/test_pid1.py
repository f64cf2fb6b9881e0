"""What every PID 1 does alike, seen from outside on real processes."""

from __future__ import annotations

import re
import signal

import pid1
import pytest

from runner.wire.messages import Problem, Ready, Start, Stop, Stopped

from .program import Program

ECHO = """
import pid1
from messages import Ready, Stop, Stopped
pid1.send(Ready("test"))
for message in pid1.messages():
    pid1.say(f"got {message.event}")
    if isinstance(message, Stop):
        break
pid1.send(Stopped("told to"))
"""


def test_messages_go_both_ways() -> None:
    """It says `ready`, reads two messages, answers, and ends; people read a line for each."""
    with Program(ECHO) as program:
        assert program.next() == Ready("test")
        program.send(Start({"a": 1}))
        program.send(Stop("over", 1.0))
        assert program.next() == Stopped("told to")
        code, _, said = program.end()
    assert code == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d got start\n\d\d:\d\d:\d\d got stop\n", said)


def test_what_is_no_message_is_passed_over_and_reported() -> None:
    """Text is passed over; a broken message and an endless line are reported; the rest arrives."""
    with Program(ECHO) as program:
        program.next()
        program.send(b"hello\n\n\xff\xfe\n" + b'{"event":"nonsense"}\n' + b"x" * 300_000 + b"\n")
        problem = program.next()
        assert isinstance(problem, Problem)
        assert "nonsense" in problem.message
        program.send(b'{"event":"start",' + b" " * 300_000 + b"\n")
        problem = program.next()
        assert isinstance(problem, Problem)
        assert "at most" in problem.message
        program.send(Stop("over", 1.0))
        assert isinstance(program.next(), Stopped)


def test_a_program_that_holds_a_secret_reports_in_its_own_words() -> None:
    """Given `on_error`, nothing of the broken line is in the report."""
    text = ECHO.replace("messages()", "messages(lambda error: pid1.say('a broken line'))")
    with Program(text) as program:
        program.next()
        program.send(b'{"event":"start","config":"sk-secret\n')
        program.send(Stop("over", 1.0))
        assert isinstance(program.next(), Stopped)
        _, rest, said = program.end()
    assert "a broken line" in said
    assert "sk-secret" not in rest + said


def test_an_end_of_input_is_no_end() -> None:
    """Its runner has left: it stays, and its deadline ends it."""
    text = """
import os, pid1
pid1.end_in(0.3, lambda: os._exit(7))
list(pid1.messages())
"""
    with Program(text) as program:
        assert program.process.stdin is not None
        program.process.stdin.close()
        program.process.stdin = None
        assert program.end()[0] == 7


def test_a_later_deadline_replaces_the_one_before() -> None:
    """The second action is called, even for no time at all, and the seconds left are told."""
    text = """
import os, pid1
assert pid1.seconds_left() == 0
pid1.end_in(600, lambda: os._exit(1))
assert 590 < pid1.seconds_left() <= 600
pid1.end_in(0, lambda: os._exit(7))
list(pid1.messages())
"""
    with Program(text) as program:
        assert program.end()[0] == 7


def test_an_alarm_that_comes_too_early_is_no_deadline() -> None:
    """Whoever sends SIGALRM changes nothing: the action is called at its time, and once."""
    text = """
import os, pid1, signal, time
began = time.monotonic()
pid1.end_in(0.4, lambda: print(time.monotonic() - began >= 0.4, flush=True))
for _ in range(3):
    os.kill(os.getpid(), signal.SIGALRM)
    time.sleep(0.01)
time.sleep(0.6)
"""
    with Program(text) as program:
        assert program.end()[:2] == (0, "True\n")


def test_only_a_plain_signal_of_no_process_is_from_outside() -> None:
    """A sender in the container has a number, or a code that is not that of kill(2)."""
    text = """
import os, pid1, signal
class Received:
    def __init__(self, si_pid, si_code):
        self.si_pid, self.si_code = si_pid, si_code
print([pid1.is_from_outside(Received(*it)) for it in ((0, 0), (7, 0), (0, -1), (0, -6), (0, 1))])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
print(pid1.is_from_outside(signal.sigwaitinfo({signal.SIGTERM})))
"""
    with Program(text) as program:
        assert program.end()[1] == "[True, False, False, False, False]\nFalse\n"


def test_a_child_has_signals_as_everywhere() -> None:
    """SIGTERM reaches it, SIGINT ends it, and the signals that may wait for it are bounded."""
    text = """
import pid1, resource, signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
pid1.close_to_others()
print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL, flush=True)
shown = "import resource as r, signal as s\\n" \
    "print(s.pthread_sigmask(s.SIG_BLOCK, ()), s.getsignal(s.SIGINT).__name__)\\n" \
    "print(r.getrlimit(r.RLIMIT_SIGPENDING))\\n"
own = resource.getrlimit(resource.RLIMIT_SIGPENDING)[0]
half = pid1.MANY_SIGNALS if own == resource.RLIM_INFINITY else own // 2
print((half, half), flush=True)
subprocess.run([sys.executable, "-c", shown], preexec_fn=pid1.undo_in_child, check=True)
"""
    with Program(text) as program:
        default, expected, signals, limits = program.end()[1].splitlines()
    assert (default, signals) == ("True", "set() default_int_handler")
    assert limits == expected


def test_sigterm_is_answered_while_it_reads() -> None:
    """The action runs in the main thread, in the middle of a read, and may end the process."""
    text = """
import os, pid1, threading
from messages import Ready
def end():
    pid1.say(f"ended in {threading.current_thread().name}")
    os._exit(7)
pid1.on_sigterm(end)
pid1.send(Ready("test"))
list(pid1.messages())
"""
    with Program(text) as program:
        program.next()
        program.process.send_signal(signal.SIGTERM)
        code, _, said = program.end()
    assert code == 7
    assert said.endswith(" ended in MainThread\n")


def test_its_memory_and_its_cores_are_closed_to_others() -> None:
    """The kernel says that it is not dumpable, and that it may write no core."""
    text = """
import ctypes, pid1, resource
pid1.close_to_others()
print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE))
"""
    with Program(text) as program:
        assert program.end()[:2] == (0, "0 (0, 0)\n")


def test_the_kernel_reaps_for_a_program_without_children_of_its_own() -> None:
    """A child that has ended leaves no zombie to wait for."""
    text = """
import os, pid1
pid1.let_kernel_reap()
child = os.fork()
if child == 0:
    os._exit(0)
try:
    os.waitpid(child, 0)
except ChildProcessError:
    print("gone")
"""
    with Program(text) as program:
        assert program.end()[1] == "gone\n"


def test_orphans_are_reaped_and_the_child_is_left() -> None:
    """Of two that ended, the named one keeps its exit code for who started it."""
    text = """
import os, pid1
def ended(code):
    child = os.fork()
    if child == 0:
        os._exit(code)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return child
orphan = ended(3)
child = ended(5)
pid1.reap_all_but(child)
try:
    os.waitpid(orphan, 0)
except ChildProcessError:
    print("orphan reaped,", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with Program(text) as program:
        assert program.end()[1] == "orphan reaped, 5\n"


def test_only_pid_1_may_kill_everything() -> None:
    """On a host it would end every process of the user: it refuses."""
    with pytest.raises(RuntimeError, match="only PID 1"):
        pid1.kill_others()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a  b\n c", "a b c"),
        ("red \x1b[31m", "red ?[31m"),
        ("x" * 5000, "x" * 2000),
        ("lone \udc80", "lone ?"),
    ],
)
def test_a_line_for_people_is_short_and_harmless(text: str, line: str) -> None:
    """One line, printable, bounded, with the time in front."""
    assert re.fullmatch(rb"\d\d:\d\d:\d\d " + re.escape(line.encode()) + rb"\n", pid1.as_line(text))


def test_a_lost_stderr_is_survived() -> None:
    """A person's line that nobody can read costs no message."""
    text = "import os, pid1\nos.close(2)\npid1.say('x')\nprint('on')"
    with Program(text) as program:
        assert program.end()[:2] == (0, "on\n")


def test_ready_waits_for_no_slow_import() -> None:
    """Before `ready`, neither asyncio nor networking nor the configs are loaded."""
    with Program("import sys, pid1\nprint(*sorted(sys.modules))") as program:
        loaded = program.end()[1].split()
    assert not {"asyncio", "socket", "ssl", "start_config"} & set(loaded)
