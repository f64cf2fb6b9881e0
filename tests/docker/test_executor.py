"""Every way in which a train.py can end is a status in a record, and the run goes on.

The texts are a contestant's at its worst; each runs in the real trainer image, in its lock.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from runner.wire.messages import TrialExited
from runner.wire.protocol import encode
from tests.corpora import pristine

from .trial_rig import BLOCK, FOREVER, PRISTINE, SCORED, TrialRig, scored

FORGED = encode(TrialExited(0, "exited", 0.1)).decode().strip()
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
can("write /run/judge:", lambda: open("/run/judge/x", "w"))
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
LOOKS_AHEAD = scored("torch.nn.functional.one_hot(tokens.roll(-1, 1), task.vocabulary) * 20.0")
MUCH = r"""
import sys
bars, table, bold = b"\r 10%\r 90%\r---\r\n", b"|---|---|\n", b"\x1b[1m---\x1b[0m\n"
sys.stdout.buffer.write(bars + b"\xff\x00\n" + table + bold + b"val_bpb: best\n")
print("x" * 100_000, *(f"key_{n}: {n}" for n in range(3000)), "val_bpb: 0.5 or so", sep="\n")
"""

# name: (text, limits, status, what the reason says)
ENDINGS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "good": (SCORED, {}, "ok", ""),
    "does not parse": ("def f(:\n", {}, "crash", "SyntaxError"),
    "nothing at all": ("", {}, "crash", "unscored"),
    "prints a value without a score": (BLOCK, {}, "crash", "unscored"),
    "logits of NaN": (scored("torch.full((*tokens.shape, 1024), torch.nan)"), {}, "rejected", ""),
    "logits of another shape": (scored("torch.zeros(3, 5)"), {}, "rejected", ""),
    "looks ahead": (LOOKS_AHEAD, {}, "rejected", ""),
    "its model fails": (scored("1 / 0"), {}, "crash", "ZeroDivisionError (train.py, line 9)"),
    "leaves while it is scored": (
        scored(before="import os; os._exit(0)"), {}, "crash", "scoring failed",
    ),
    "is scored for ever": (
        scored(before="import time; time.sleep(60)"), {"limit_seconds": 60, "train_seconds": 56},
        "timeout", "scoring not",
    ),
    "says FAIL": ('print("FAIL")\n', {}, "crash", "FAIL"),
    "says FAIL after its score": (f'{SCORED}print("FAIL")\n', {}, "crash", "it printed FAIL"),
    "raises": ('raise ValueError("no such shape")\n', {}, "crash", "ValueError: no such shape"),
    "raises after a good block": (f"{SCORED}raise SystemExit(3)\n", {}, "crash", "exit code 3"),
    "kills itself": ("import os\nos.kill(os.getpid(), 9)\n", {}, "crash", "exit code 137"),
    "kills PID 1": (
        f"import os\nos.kill(1, 9)\nprint('tried', flush=True)\n{SCORED}", {}, "ok", "",
    ),
    "sleeps for ever": (FOREVER, {"limit_seconds": 2}, "timeout", "not scored after 2 s"),
    "ignores SIGTERM": (
        f"import signal\nsignal.signal(15, signal.SIG_IGN)\n{FOREVER}",
        {"limit_seconds": 2}, "timeout", "not scored after 2 s",
    ),
    "fork bomb": (FORK_BOMB, {"limit_seconds": 3, "pids": 64}, "timeout", "not scored after 3 s"),
    "prints much around the block": (f"{MUCH}{SCORED}{MUCH}", {}, "ok", ""),
    "leaves a daemon": (f"{DAEMON}{SCORED}", {}, "ok", ""),
    "floods stdout": (
        "while True:\n    print('x' * 60000)\n", {"output_mb": 1}, "killed", "more than 1 MB",
    ),
    "floods with empty lines": (
        "import sys\nwhile True:\n    sys.stdout.write('\\n' * 65536)\n",
        {"output_mb": 1}, "killed", "more than 1 MB",
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
        f"import sys\nsys.stdout.buffer.write(b'\\xff\\0\\r\\x1b[2J\\n')\n{SCORED}", {}, "ok", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_is_a_status(rig: TrialRig, name: str) -> None:
    """The record has the right status and reason, and a value only when it is ok."""
    text, limits, status, reason = ENDINGS[name]
    record = rig.run(text, **limits)
    assert record.status == status, (record, rig.lines[-5:])
    assert reason in record.reason
    assert (record.value is not None) == (status == "ok")
    assert record.value is None or 4.0 < record.value < 7.0  # 10 bits a token
    assert 0 <= record.train_seconds <= record.wall_seconds
    assert record.rehearsed
    assert record.started_at <= record.ended_at
    assert (rig.run_dir.trial(record.trial) / "train.py").read_bytes() == text.encode()
    assert len(rig.log(record.trial)) <= (2 << 20)


def test_after_all_that_a_good_trial_is_still_a_good_trial(rig: TrialRig) -> None:
    """The executor that saw the worst goes on: value, estimates, lines and files are kept."""
    executor = rig.executor(limit_seconds=120)
    assert rig.run("raise SystemExit(1)", executor).status == "crash"
    text = f'{PRISTINE}print("training")\n{scored(estimate=True)}'
    record = rig.run(text, executor)
    assert record.status == "ok", (record, rig.judge_said)
    assert record.judged
    assert record.judge_seed is not None
    assert record.exit_code == 0
    assert record.summary == {"training_seconds": 0.01, "num_steps": 3.0}
    (estimate,) = record.estimates
    assert estimate["fraction"] == 0.5
    assert 0 < estimate["train_seconds"] < record.wall_seconds
    assert estimate["val_bpb"] == pytest.approx(record.value, rel=0.2)
    assert record.declared_seconds == 0.01
    assert 0 < record.scoring_seconds < record.wall_seconds
    assert set(record.audit) >= {"hidden rows", "look-ahead", "batch dependence"}
    assert record.peak_memory_bytes > 1 << 20
    assert record.hypothesis == "a try"
    log = rig.log(record.trial).decode().splitlines()
    assert log == ["training", "---", "val_bpb: 1.5", "training_seconds: 0.01", "num_steps: 3"]
    assert rig.lines == ["training", "training_seconds: 0.01", "num_steps: 3"]
    patch = (rig.run_dir.trial(record.trial) / "diff.patch").read_text()
    assert patch.startswith("--- train.py (pristine)\n+++ train.py (trial ")
    assert '+print("---' in patch


def test_the_real_train_py_learns_and_is_scored(rig: TrialRig) -> None:
    """The default task's own text, made smaller: it learns, is estimated on the way, and scored."""
    executor = rig.executor(train_seconds=8, limit_seconds=188, memory_bytes=2 << 30, cpus=2.0)
    record = rig.run(pristine(), executor)
    assert record.status == "ok", (record, rig.lines[-5:])
    assert record.value is not None
    assert 1 < record.value < 4.7  # about 4.9 untrained
    fractions = [estimate["fraction"] for estimate in record.estimates]
    assert fractions == sorted(set(fractions))
    assert set(fractions) <= {0.25, 0.5, 0.75}  # a long step may pass one
    assert fractions
    assert all(1 < estimate["val_bpb"] < 5.5 for estimate in record.estimates)
    assert record.declared_seconds is not None
    assert record.declared_seconds >= 8
    assert any(line.startswith("progress: step=") for line in rig.lines)
    assert not any(line.startswith("val_bpb") for line in rig.lines)
    told = {"training_seconds", "total_seconds", "num_steps", "num_params_M", "depth"}
    assert set(record.summary) >= told


def test_nothing_that_it_is_scored_on_gets_into_the_log(rig: TrialRig) -> None:
    """A model that prints its inputs has them in the log for people, and nowhere else."""
    told = "print('tok', *tokens[0].tolist(), flush=True)"
    record = rig.run(f"print('before')\n{scored(before=told)}")
    assert record.status == "ok", record
    assert rig.log(record.trial).count(b"tok") > 1
    assert rig.lines == ["before", "training_seconds: 0.01", "num_steps: 3"]
    assert record.reason == ""
    crash = rig.run(scored(before="raise ValueError(tokens[0].tolist())"))
    assert (crash.status, rig.lines) == ("crash", [])
    assert re.fullmatch(r"ValueError \(train\.py, line \d+\)", crash.reason)


def test_processes_of_a_trial_are_bounded(rig: TrialRig) -> None:
    """A text that forks gets as many processes as the limit says; and no error from us."""
    record = rig.run(f"{COUNT_FORKS}", pids=40, limit_seconds=30)
    assert (record.status, record.reason) == ("crash", "unscored")
    (count,) = (int(line.split()[1]) for line in rig.lines if line.startswith("children:"))
    assert 10 < count < 40


def test_what_a_trial_can_and_cannot_touch(rig: TrialRig) -> None:
    """Its own folder and /tmp are its own; data, evaluation, PID 1 and the world are not."""
    assert rig.run(LOOK_AROUND).reason == "unscored"
    said = dict(line.split(": ", 1) for line in rig.lines if ": " in line)
    assert said["write /trial"] == "yes"
    assert said["write /tmp"] == "yes"
    for forbidden in (
        "write /data", "write /run/judge", "write /opt/trainer", "write /etc",
        "read the runner's words", "write PID 1's stdout", "reach out",
    ):  # fmt: skip
        assert said[forbidden].startswith("no"), forbidden
    assert said["interfaces"] == "['lo']"
    assert said["uid"] == "1000"
    assert said["told"] == "1 /data"
    assert "CapEff: 0000000000000000" in rig.lines
    assert "NoNewPrivs: 1" in rig.lines
