"""Every way in which a train.py can end is a status in a record, and the run goes on.

The texts are a contestant's at its worst; each runs in the real trainer image, in its lock.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.protocol import MAX_TRAIN_PY_BYTES, TrialExited, TrialRequested, encode
from runner.stage import image_tag
from runner.trials.executor import TrialOrder
from runner.trials.intake import Intake, Refusal
from runner.trials.ledger import Ledger
from tests.docker.trial_rig import BLOCK, PRISTINE, TrialRig

FORGED = encode(TrialExited(0, "exited", 0.1)).decode().strip()
FOREVER = "import time\nwhile True:\n    time.sleep(0.1)\n"
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
EAT_MEMORY = """
eaten = []
while True:
    eaten.append(bytearray(8 << 20))
    eaten[-1][::4096] = b"x" * len(eaten[-1][::4096])
"""
FILL_DISK = """
with open("big", "wb") as file:
    while True:
        file.write(bytes(1 << 20))
"""
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.05)
            print("still here", flush=True)
    os._exit(0)
"""
COUNT_FORKS = """
import os, signal, time
children = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        children += 1
except OSError:
    print("children:", children, flush=True)
"""
LOOK_AROUND = """
import os
def can(what, doing):
    try:
        doing()
        print(what, "yes")
    except OSError as error:
        print(what, "no", type(error).__name__)
can("write /trial:", lambda: open("/trial/x", "w"))
can("write /tmp:", lambda: open("/tmp/x", "w"))
can("write /data:", lambda: open("/data/x", "w"))
can("write /opt/trainer:", lambda: open("/opt/trainer/prepare.py", "a"))
can("write /etc:", lambda: open("/etc/x", "w"))
can("read the runner's words:", lambda: open("/proc/1/environ").read())
can("write PID 1's stdout:", lambda: open("/proc/1/fd/1", "w"))
import socket
can("reach out:", lambda: socket.create_connection(("1.1.1.1", 80), 3))
print("interfaces:", sorted(os.listdir("/sys/class/net")))
print("uid:", os.getuid())
print("told:", os.environ["BAKEOFF_TRAIN_SECONDS"], os.environ["BAKEOFF_DATA"])
for line in open("/proc/self/status"):
    if line.startswith(("CapEff", "NoNewPrivs")):
        print(line.split()[0], line.split()[1])
"""

# name: (text, limits, status, what the reason says)
ENDINGS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "good": (BLOCK, {}, "ok", ""),
    "does not parse": ("def f(:\n", {}, "crash", "SyntaxError"),
    "nothing at all": ("", {}, "crash", "printed no val_bpb"),
    "prints no val_bpb": ('print("---\\ndepth: 4")\n', {}, "crash", "printed no val_bpb"),
    "prints NaN": ('print("---\\nval_bpb: nan")\n', {}, "crash", "val_bpb is nan"),
    "says FAIL": (f'{BLOCK}print("FAIL")\n', {}, "crash", "FAIL"),
    "raises": ('raise ValueError("no such shape")\n', {}, "crash", "ValueError: no such shape"),
    "raises after a good block": (f"{BLOCK}raise SystemExit(3)\n", {}, "crash", "num_steps: 3"),
    "kills itself": ("import os\nos.kill(os.getpid(), 9)\n", {}, "crash", "exit code 137"),
    "kills PID 1": (
        f"import os\nos.kill(1, 9)\nprint('tried', flush=True)\n{BLOCK}", {}, "ok", "",
    ),
    "sleeps for ever": (FOREVER, {"limit_seconds": 2}, "timeout", "not done after 2 s"),
    "ignores SIGTERM": (
        f"import signal\nsignal.signal(15, signal.SIG_IGN)\n{FOREVER}",
        {"limit_seconds": 2}, "timeout", "not done after 2 s",
    ),
    "fork bomb": (FORK_BOMB, {"limit_seconds": 3, "pids": 64}, "timeout", "not done after 3 s"),
    "leaves a daemon": (f"{DAEMON}{BLOCK}", {}, "ok", ""),
    "floods stdout": (
        "while True:\n    print('x' * 60000)\n", {"output_mb": 1}, "killed", "more than 1 MB",
    ),
    "floods without a newline": (
        "import sys\nwhile True:\n    sys.stdout.write('x' * 65536)\n",
        {"output_mb": 1}, "killed", "more than 1 MB",
    ),
    "fills its disk": (FILL_DISK, {}, "crash", "No space left on device"),
    "eats memory": (EAT_MEMORY, {"memory_bytes": 128 << 20}, "oom", "out of memory"),
    "forges its end": (
        f"print({FORGED!r}, flush=True)\nraise SystemExit(3)\n", {}, "crash", "trial.exited",
    ),
    "prints what is no text": (
        f"import sys\nsys.stdout.buffer.write(b'\\xff\\0\\r\\x1b[2J\\n')\n{BLOCK}", {}, "ok", "",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialRig]:
    """One rig for all trials that do not disturb each other."""
    made = TrialRig(engine, tmp_path_factory.mktemp("runs"))
    yield made
    made.remove()


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_is_a_status(rig: TrialRig, name: str) -> None:
    """The record has the right status and reason, and a value only when it is ok."""
    text, limits, status, reason = ENDINGS[name]
    record = rig.run(text, **limits)
    assert record.status == status, (record, rig.lines[-5:])
    assert reason in record.reason
    assert (record.val_bpb == 1.5) == (status == "ok")
    assert 0 <= record.train_seconds <= record.wall_seconds
    assert record.rehearsed
    assert record.started_at <= record.ended_at
    assert (rig.run_dir.trial(record.trial) / "train.py").read_bytes() == text.encode()
    assert len(rig.log(record.trial)) <= (2 << 20)


def test_after_all_that_a_good_trial_is_still_a_good_trial(rig: TrialRig) -> None:
    """The executor that saw the worst goes on: summary, estimates, lines and files are kept."""
    executor = rig.executor(limit_seconds=10)
    assert rig.run("raise SystemExit(1)", executor).status == "crash"
    estimate = 'print("val_estimate: fraction=0.5 train_seconds=0.005 val_bpb=1.75")\n'
    record = rig.run(f"{PRISTINE}{estimate}{BLOCK}", executor)
    assert record.status == "ok"
    assert record.exit_code == 0
    assert record.summary == {"val_bpb": 1.5, "training_seconds": 0.01, "num_steps": 3.0}
    assert record.estimates == [{"fraction": 0.5, "train_seconds": 0.005, "val_bpb": 1.75}]
    assert record.train_seconds == 0.01
    assert record.peak_memory_bytes > 1 << 20
    assert record.hypothesis == "a try"
    assert rig.log(record.trial).decode().splitlines() == rig.lines
    assert rig.lines[-1] == "num_steps: 3"
    patch = (rig.run_dir.trial(record.trial) / "diff.patch").read_text()
    assert patch.startswith("--- train.py (pristine)\n+++ train.py (trial ")
    assert '+print("---' in patch


def test_processes_of_a_trial_are_bounded(rig: TrialRig) -> None:
    """A text that forks gets as many processes as the limit says; and no error from us."""
    record = rig.run(f"{COUNT_FORKS}{BLOCK}", pids=40, limit_seconds=30)
    assert record.status == "ok", record
    (count,) = (int(line.split()[1]) for line in rig.lines if line.startswith("children:"))
    assert 10 < count < 40


def test_what_a_trial_can_and_cannot_touch(rig: TrialRig) -> None:
    """Its own folder and /tmp are its own; data, evaluation, PID 1 and the world are not."""
    assert rig.run(f"{LOOK_AROUND}{BLOCK}").status == "ok"
    said = dict(line.split(": ", 1) for line in rig.lines if ": " in line)
    assert said["write /trial"] == "yes"
    assert said["write /tmp"] == "yes"
    for forbidden in (
        "write /data", "write /opt/trainer", "write /etc", "read the runner's words",
        "write PID 1's stdout", "reach out",
    ):  # fmt: skip
        assert said[forbidden].startswith("no"), forbidden
    assert said["interfaces"] == "['lo']"
    assert said["uid"] == "1000"
    assert said["told"] == "1 /data"
    assert "CapEff: 0000000000000000" in rig.lines
    assert "NoNewPrivs: 1" in rig.lines


def test_a_trial_of_a_run_that_ends_is_killed(rig: TrialRig) -> None:
    """Abandoning ends a running trial, is recorded as such, and lets nothing start any more."""
    executor = rig.executor()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run, f"print('up', flush=True)\n{FOREVER}", executor)
        wait_for(lambda: rig.lines == ["up"] or running.done())
        executor.abandon()
        record = running.result(30)
    assert (record.status, record.reason) == ("killed", "the run ended while the trial ran")
    assert rig.run(BLOCK, executor).status == "killed"


def test_an_earlier_lifes_container_makes_way(rig: TrialRig) -> None:
    """A trial that a dead runner left running is replaced by the one with the same number."""
    executor, order = rig.executor(), rig.order(BLOCK)
    name = f"bakeoff-{rig.run_id}-trial-{order.trial:04d}"
    old = rig.engine.create(ContainerSpec(name, image_tag("trainer"), rig.run_id, "trial"))
    rig.engine.start(old)
    record = executor.run(order, rig.watch())
    assert record.status == "ok"
    assert rig.engine.inspect(old) is None


def test_two_runs_share_a_device_one_after_the_other(engine: Engine, tmp_path: Path) -> None:
    """Trials of two runs on one device never overlap, and the one that waited knows how long."""
    first = TrialRig(engine, tmp_path)
    second = first.beside()
    spans: list[tuple[float, float]] = []

    def one(rig: TrialRig, order: TrialOrder) -> float:
        began: list[float] = []
        watch = replace(rig.watch(), on_start=lambda: began.append(time.monotonic()))
        record = rig.executor().run(order, watch)
        assert record.status == "ok"
        spans.append((began[0], began[0] + record.wall_seconds))
        return record.lease_wait_seconds

    text = f"import time\ntime.sleep(0.5)\n{BLOCK}"
    jobs = [(rig, rig.order(text)) for rig in (first, second) for _ in range(2)]
    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            waits = sorted(pool.map(lambda job: one(*job), jobs))
    finally:
        first.remove()
        second.remove()
    spans.sort()
    for (_, ended), (began, _) in itertools.pairwise(spans):
        assert ended <= began
    assert waits[0] < 1.0
    assert all(later - earlier > 0.5 for earlier, later in itertools.pairwise(waits))


def test_a_trial_that_waits_for_its_device_ends_with_its_run(
    engine: Engine, tmp_path: Path
) -> None:
    """A run that ends while another run has the device records its trial as killed, unstarted."""
    first = TrialRig(engine, tmp_path)
    second = first.beside()
    holder, waiter = first.executor(), second.executor()
    try:
        with ThreadPoolExecutor(2) as pool:
            running = pool.submit(first.run, FOREVER, holder)
            assert first.started.wait(30)
            waiting = pool.submit(second.run, BLOCK, waiter)
            waiter.abandon()
            record = waiting.result(30)
            holder.abandon()
            running.result(30)
    finally:
        first.remove()
        second.remove()
    assert (record.status, record.started_at) == ("killed", "")
    assert "before its device was free" in record.reason
    assert not second.started.is_set()


# --- what a contestant hands in -------------------------------------------------------------------

HAND_IN = """
import os
os.chdir("/workspace")
open("good.py", "w").write("DEPTH = 8\\n")
open("latin.py", "wb").write(b"# caf\\xe9\\n")
open("huge.py", "w").write("#" * (1024 * 1024 + 1))
os.symlink("good.py", "link.py")
os.symlink("/etc/passwd", "passwd.py")
os.mkdir("folder.py")
os.mkfifo("pipe.py")
"""


@pytest.fixture(scope="module")
def desk(engine: Engine, rig: TrialRig) -> Iterator[str]:
    """A container of a contestant that left files of all kinds in its volume."""
    container = engine.create(
        ContainerSpec(
            f"bakeoff-{rig.run_id}-agent", image_tag("base"), f"{rig.run_id}-c", "agent",
            command=["python3", "-c", HAND_IN], mounts=(Mount(rig.volume, "/workspace"),),
        )
    )  # fmt: skip
    engine.put_files(container, "/workspace", {"owned": b""})  # makes the volume the user's
    engine.start(container)
    state = engine.wait_exit(container, 30)
    assert state is not None
    assert state.exit_code == 0, b"".join(engine.logs(container))
    yield container
    engine.remove(container)


def hand_in(rig: TrialRig, desk: str, name: str, content: bytes) -> TrialOrder | Refusal:
    intake = Intake(rig.engine, rig.run_dir, Ledger(rig.run_dir), PRISTINE, "agent")
    digest = hashlib.sha256(content).hexdigest()
    request = TrialRequested("r", sha256=digest, path=f"/workspace/{name}", commit="c0ffee")
    return intake.order(desk, request, 1)


def test_a_file_that_is_what_was_asked_for_is_taken(rig: TrialRig, desk: str) -> None:
    """The order holds the fetched text and what changed in it."""
    order = hand_in(rig, desk, "good.py", b"DEPTH = 8\n")
    assert isinstance(order, TrialOrder)
    assert order.train_py == "DEPTH = 8\n"
    assert order.knobs_changed == {"DEPTH": (4, 8)}
    assert order.commit == "c0ffee"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("good.py", b"DEPTH = 9\n", "changed while"),
        ("missing.py", b"", "no regular file"),
        ("link.py", b"DEPTH = 8\n", "no regular file"),
        ("passwd.py", b"", "no regular file"),
        ("folder.py", b"", "no regular file"),
        ("pipe.py", b"", "no regular file"),
        ("../../etc/passwd", b"", "changed while"),
        ("latin.py", b"# caf\xe9\n", "not UTF-8"),
        ("huge.py", b"#" * (MAX_TRAIN_PY_BYTES + 1), "over 1 MB"),
    ],
)
def test_anything_else_is_refused_with_a_reason(
    rig: TrialRig, desk: str, name: str, content: bytes, reason: str
) -> None:
    """Links, folders, pipes, other bytes and endless files become no trial, and nothing hangs."""
    refusal = hand_in(rig, desk, name, content)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not within this time.
    """
    until, tick = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        tick.wait(0.02)
