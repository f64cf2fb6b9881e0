"""The trainer image in its lock: its own tests, preparing data, and trials that behave badly.

Containers are made as the runner makes them. Every trial must end with `trial.exited` and leave no
process, whatever its train.py does.
"""

from __future__ import annotations

import base64
import json
import re
import sysconfig
import tomllib
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner import images
from runner.channel import Channel
from runner.containers import ContainerSpec, ContainerState, Mount
from runner.engine import Engine
from runner.layout import ROOT
from runner.protocol import Message, Problem, Ready, Start, Started, TrialExited, decode, encode
from trainer import constants

IMAGE, TEST_IMAGE = "bakeoff/trainer:0.1.0", "bakeoff/trainer-test:0.1.0"
MEGABYTE = 1 << 20
SLEEPY = "import os, time\nos.write(1, b'asleep\\n')\ntime.sleep(1000)\n"


# What trial.py does with its child, over and over, and with one that has ended already.
OFFER = """
import ctypes, os, subprocess, sys
sys.path.insert(0, "/opt/bakeoff")
import trial
ctypes.CDLL(None).prctl(trial.PR_SET_DUMPABLE, 0, 0, 0, 0)
for _ in range(200):
    child = subprocess.Popen(["/bin/sleep", "100"])
    trial.offer_to_oom_killer(child)
    assert open(f"/proc/{child.pid}/oom_score_adj").read() == "1000\\n"
    child.kill()
    child.wait()
child = subprocess.Popen(["/bin/true"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
trial.offer_to_oom_killer(child)
print("offered")
"""


@pytest.fixture(scope="module", autouse=True)
def _built(engine: Engine) -> None:
    images.ensure(engine, ["trainer", "trainer-test"])


@dataclass
class Ran:
    """What a container printed, and its end."""

    state: ContainerState
    lines: list[str]
    messages: list[Message] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exited(self) -> TrialExited:
        """The last message, which is how the trial ended."""
        assert isinstance(self.messages[-1], TrialExited), self.messages
        return self.messages[-1]


def spec(image: str, **fields: Any) -> ContainerSpec:
    """A container with the limits of a trial, of a run of its own."""
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    given: dict[str, Any] = {
        "role": "trial",
        "tmpfs": {"/trial": 64 * MEGABYTE, "/tmp": 256 * MEGABYTE},
        "memory_bytes": 2048 * MEGABYTE,
        "cpus": 1.0,
        "pids": 64,
    }
    role = fields.get("role", "trial")
    name = f"bakeoff-{run_id}-{role}"
    return ContainerSpec(name=name, image=image, run_id=run_id, **{**given, **fields})


def run(
    engine: Engine,
    wanted: ContainerSpec,
    on_line: Callable[[Channel, str, str], None] | None = None,
    within_seconds: float = 120,
) -> Ran:
    """Runs a container to its end; `on_line` sees each line with the channel and the container."""
    container = engine.create(wanted)
    lines: list[str] = []
    messages: list[Message] = []
    notes: list[str] = []
    try:
        channel = engine.attach(container)
        try:
            engine.start(container)
            for is_stdout, line in channel.lines():
                message = decode(line) if is_stdout else None
                if message:
                    messages.append(message)
                else:
                    (lines if is_stdout else notes).append(line)
                if on_line:
                    on_line(channel, container, line)
        finally:
            channel.close()
        state = engine.wait_exit(container, within_seconds)
        assert state is not None, "the container still runs"
        return Ran(state, lines, messages, notes)
    finally:
        engine.remove(container)


def start(train_py: str, **config: Any) -> Start:
    """What the runner answers to `ready`."""
    packed = base64.b64encode(zlib.compress(train_py.encode())).decode()
    given: dict[str, Any] = {
        "train_py_gz": packed,
        "train_seconds": 2,
        "limit_seconds": 30,
        "output_bytes": MEGABYTE,
        "threads": 1,
        "deadline_seconds": 60,
    }
    return Start({**given, **config})


def trial(
    engine: Engine, train_py: str, *, limits: dict[str, Any] | None = None, **config: Any
) -> Ran:
    """One trial of a text."""

    def answer(channel: Channel, _container: str, line: str) -> None:
        if line.startswith('{"event":"ready"'):
            channel.send(encode(start(train_py, **config)))

    ran = run(engine, spec(IMAGE, **(limits or {})), answer)
    assert isinstance(ran.messages[0], Ready)
    return ran


# --- the trainer's own tests ---


def test_the_trainers_own_tests_pass_in_its_image(engine: Engine) -> None:
    """Those in tests/trainer, which need torch, in the lock of a trial."""
    ran = run(
        engine,
        spec(TEST_IMAGE, tmpfs={"/tmp": 1024 * MEGABYTE}, memory_bytes=3072 * MEGABYTE, cpus=2.0),
        within_seconds=500,
    )
    text = "\n".join(ran.lines)
    assert ran.state.exit_code == 0, text
    assert re.search(r"^\d{3} passed in ", text, re.M), text


def test_the_image_holds_what_it_promises(engine: Engine) -> None:
    """Its own verify, run as a user would."""
    ran = run(engine, spec(IMAGE, command=["python", "/opt/bakeoff/verify"]))
    assert ran.state.exit_code == 0, ran.notes


# --- preparing ---


@dataclass
class Volume:
    """A volume that is removed in the end."""

    engine: Engine
    name: str

    def prepare(self, *more: str, **fields: Any) -> Ran:
        """Runs prepare.py on it."""
        task = ["python", "/opt/trainer/prepare.py", *more]
        mounts = (Mount(self.name, "/data"),)
        wanted = spec(IMAGE, role="prepare", command=task, mounts=mounts, cpus=2.0, **fields)
        return run(self.engine, wanted)

    def files(self) -> list[str]:
        """The names of all files in it."""
        show = ["python", "-c", "import os; print(*sorted(os.listdir('/data')), sep='\\n')"]
        return run(
            self.engine, spec(IMAGE, command=show, mounts=(Mount(self.name, "/data"),))
        ).lines


@pytest.fixture(scope="module")
def volumes(engine: Engine) -> Iterator[Callable[[], Volume]]:
    made: list[str] = []

    def _make() -> Volume:
        made.append(f"bakeoff-test-{uuid.uuid4().hex[:12]}-data")
        engine.create_volume(made[-1], run_id=made[-1])
        return Volume(engine, made[-1])

    yield _make
    for name in made:
        engine.remove_volume(name)


@pytest.fixture(scope="module")
def pystdlib(volumes: Callable[[], Volume]) -> Volume:
    """The data of the default task, prepared offline in a volume."""
    volume = volumes()
    ran = volume.prepare("--task", "pystdlib", "--data", "/data")
    assert ran.state.exit_code == 0, ran.notes
    return volume


def test_the_default_task_is_prepared_offline(pystdlib: Volume) -> None:
    """From the image's own standard library; the test split stays out of a trial's data."""
    expected = ["task.json", "token_bytes.npy", "tokenizer.json", "train.bin", "val.bin"]
    assert pystdlib.files() == expected
    again = pystdlib.prepare("--task", "pystdlib", "--data", "/data")
    assert again.state.exit_code == 0
    assert "nothing to do" in again.lines[-1]


def test_a_full_disk_leaves_nothing_that_looks_whole(engine: Engine) -> None:
    """Out of space in the middle: one error, and no task.json."""
    script = (
        "import subprocess, sys, os\n"
        "command = [sys.executable, '/opt/trainer/prepare.py', '--task', 'pystdlib']\n"
        "code = subprocess.run([*command, '--data', '/data']).returncode\n"
        "print('left:', os.listdir('/data'), 'code:', code)\n"
    )
    wanted = spec(IMAGE, command=["python", "-c", script], tmpfs={"/data": MEGABYTE})
    ran = run(engine, wanted)
    assert ran.lines[-1] == "left: [] code: 2"
    assert ran.notes[0].startswith("error: preparing pystdlib: ")
    assert "No space left on device" in ran.notes[0]
    assert ran.notes[1].startswith("hint: ")


def test_a_users_text_is_prepared_from_its_volume(
    engine: Engine, volumes: Callable[[], Volume]
) -> None:
    """A real text, put there as the runner does it."""
    data, inbox = volumes(), volumes()
    text = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_bytes()
    mounts = (Mount(data.name, "/data"), Mount(inbox.name, "/input"))
    command = ["python", "/opt/trainer/prepare.py", "--task", "text", "--data", "/data"]
    container = engine.create(spec(IMAGE, role="prepare", command=command, mounts=mounts))
    try:
        engine.put_files(container, "/input", {"novel.txt": text})
        engine.start(container)
        state = engine.wait_exit(container, 120)
        said = b"".join(engine.logs(container)).decode()
    finally:
        engine.remove(container)
    assert state is not None
    assert state.exit_code == 0, said
    assert "task.json" in data.files()


# --- trials ---


def small_train_py(**knobs: Any) -> str:
    """The starting text of the default task, made smaller so that a second teaches it something."""
    table = tomllib.loads((ROOT / "trainer/tasks/pystdlib.toml").read_text())["knobs"]
    small = {"DEPTH": 2, "TOTAL_BATCH_SIZE": 1024, "DEVICE_BATCH_SIZE": 4}
    source = (ROOT / "trainer/train.py").read_text()
    return constants.rewrite(source, {**table, **small, **knobs})


def test_a_trial_trains(engine: Engine, pystdlib: Volume) -> None:
    """The real train.py on the real task: it learns, within its time, in the whole lock."""
    mounts = (Mount(pystdlib.name, "/data", read_only=True),)
    patient = {"limit_seconds": 90, "deadline_seconds": 150}  # for importing torch, and evaluating
    ran = trial(engine, small_train_py(), train_seconds=3, limits={"mounts": mounts}, **patient)
    text = "\n".join(ran.lines)
    assert ran.exited.exit_code == 0, text
    assert ran.exited.cause == "exited"
    assert isinstance(ran.messages[1], Started)
    assert ran.exited.peak_memory_bytes > 50 * MEGABYTE
    assert ran.exited.oom_kills == 0
    assert re.search(r"^progress: step=\d+ train_seconds=\S+ loss=\S+$", text, re.M)
    assert len(re.findall(r"^val_estimate: fraction=", text, re.M)) == 3
    found = re.search(r"^---\nval_bpb: +(\S+)$", text, re.M)
    assert found, text
    assert 1 < float(found[1]) < 4.5  # about 4.7 untrained
    assert ran.state.exit_code == 0
    assert any("ready" in note for note in ran.notes)  # docker logs tell a person


def test_a_trial_of_a_text_that_does_not_parse(engine: Engine) -> None:
    """Python's own words, and exit code 1."""
    ran = trial(engine, "def train(:\n")
    assert (ran.exited.cause, ran.exited.exit_code) == ("exited", 1)
    assert "SyntaxError" in ran.lines[-1]


def test_a_sleeper_is_ended_at_its_limit(engine: Engine) -> None:
    """Also one that ignores every signal that it can."""
    stubborn = "import signal\nfor n in set(signal.Signals) - {9, 19}: signal.signal(n, 1)\n"
    ran = trial(engine, stubborn + SLEEPY, limit_seconds=2)
    assert ran.exited.cause == "timeout"
    assert 2 <= ran.exited.seconds < 10
    assert "asleep" in ran.lines


def test_what_a_trial_leaves_behind_ends_with_it(engine: Engine) -> None:
    """A daemon of its own session that holds the output open does not hold the trial up."""
    text = f"""
import os
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {"; ".join(SLEEPY.splitlines())}
        os._exit(0)
os.write(1, b"gone\\n")
"""
    ran = trial(engine, text)
    assert (ran.exited.cause, ran.exited.exit_code) == ("exited", 0)
    assert ran.exited.seconds < 10
    assert "gone" in ran.lines


def test_a_fork_bomb_ends_with_its_trial(engine: Engine) -> None:
    """As many processes as the lock allows, each making more."""
    bomb = (
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    )
    ran = trial(engine, bomb, limit_seconds=3)
    assert ran.exited.cause == "timeout"
    assert ran.exited.seconds < 20
    assert ran.state.exit_code == 0


@pytest.mark.parametrize("piece", ["'x' * 100 + chr(10)", "'x' * 100000", "chr(10) * 1000"])
def test_a_flood_is_cut_off(engine: Engine, piece: str) -> None:
    """Many lines, one endless line, empty lines: bounded in bytes, and each line in length."""
    ran = trial(engine, f"import sys\nwhile True:\n    sys.stdout.write({piece})\n")
    assert ran.exited.cause == "output"
    assert sum(len(line) + 1 for line in ran.lines) < 1.1 * MEGABYTE
    assert max(map(len, ran.lines)) <= 8192


def test_nothing_that_a_trial_prints_is_taken_for_a_message(engine: Engine) -> None:
    """Neither a line of its own, nor behind a carriage return, nor where a long line is cut."""
    fake = encode(TrialExited(0, "exited", 1.0)).decode().strip()
    text = f"""
import os, sys
fake = {fake!r}
print(fake)
print("\\r" + fake)
print("x" * 8192 + fake)
print(fake, file=sys.stderr)
sys.stdout.write(fake)
sys.exit(3)
"""
    ran = trial(engine, text)
    assert [type(m) for m in ran.messages] == [Ready, Started, TrialExited]
    assert ran.exited.exit_code == 3
    assert sum(fake in line for line in ran.lines) == 5


def test_a_trial_cannot_reach_pid_1s_output(engine: Engine) -> None:
    """Its descriptors, memory and environment are closed to processes of the same user."""
    text = """
import os, signal
for path in ("/proc/1/fd/1", "/proc/1/mem", "/proc/1/environ"):
    try:
        os.close(os.open(path, os.O_RDWR if path != "/proc/1/environ" else os.O_RDONLY))
        print("opened", path)
    except PermissionError:
        print("closed", path)
os.kill(1, signal.SIGKILL)  # not from inside its own namespace
print("still here", os.getuid())
"""
    ran = trial(engine, text)
    assert [line.split()[0] for line in ran.lines] == ["closed", "closed", "closed", "still"]
    assert ran.lines[-1] == "still here 1000"
    assert ran.exited.cause == "exited"


def test_a_trial_has_no_network_and_cannot_change_what_it_is_measured_with(
    engine: Engine, pystdlib: Volume
) -> None:
    """Only loopback; the trainer, the root and the data are read-only."""
    text = """
import os, socket
print([name for _, name in socket.if_nameindex()])
for path in ("/opt/trainer/prepare.py", "/data/val.bin", "/etc/passwd", "/opt/bakeoff/trial.py"):
    try:
        open(path, "ab").close()
        print("opened", path)
    except OSError:
        print("refused", path)
import prepare
print(prepare.__file__)
"""
    mounts = (Mount(pystdlib.name, "/data", read_only=True),)
    ran = trial(engine, text, limits={"mounts": mounts})
    assert ran.lines[0] == "['lo']"
    assert [line.split()[0] for line in ran.lines[1:5]] == ["refused"] * 4
    assert ran.lines[5] == "/opt/trainer/prepare.py"


def test_memory_without_end_kills_the_training_and_is_told(engine: Engine) -> None:
    """The kernel takes train.py, not PID 1, which lives to count it."""
    text = "x = []\nwhile True:\n    x.append(bytearray(1 << 24))\n"
    ran = trial(engine, text, limits={"memory_bytes": 256 * MEGABYTE})
    assert (ran.exited.cause, ran.exited.exit_code) == ("signal", 137)
    assert ran.exited.oom_kills >= 1
    assert ran.exited.peak_memory_bytes > 200 * MEGABYTE


def test_stopping_the_container_ends_a_trial_in_time(engine: Engine) -> None:
    """SIGTERM: everything is killed, and its end is told, within five seconds."""

    def answer(channel: Channel, container: str, line: str) -> None:
        if line.startswith('{"event":"ready"'):
            channel.send(encode(start(SLEEPY)))
        if line == "asleep":
            engine.stop(container, 5)

    ran = run(engine, spec(IMAGE), answer)
    assert ran.exited.cause == "signal"
    assert ran.state.exit_code == 0


def test_a_trial_ends_itself_when_its_host_is_gone(engine: Engine) -> None:
    """Nobody reads and nobody kills: the deadline does."""
    container = engine.create(spec(IMAGE))
    try:
        channel = engine.attach(container)
        engine.start(container)
        next(line for _, line in channel.lines() if line.startswith('{"event":"ready"'))
        channel.send(encode(start(SLEEPY, limit_seconds=1000, deadline_seconds=3)))
        channel.close()
        state = engine.wait_exit(container, 30)
    finally:
        engine.remove(container)
    assert state is not None
    assert state.exit_code == 3


def test_an_end_of_stdin_is_no_end(engine: Engine) -> None:
    """The runner may leave before `start` and come back with it."""
    container = engine.create(spec(IMAGE))
    try:
        first = engine.attach(container)
        engine.start(container)
        next(line for _, line in first.lines() if line.startswith('{"event":"ready"'))
        first.close()
        second = engine.attach(container)
        second.send(encode(start("print('trained')\n")))
        said = [line for is_stdout, line in second.lines() if is_stdout]
        second.close()
    finally:
        engine.remove(container)
    assert "trained" in said


@pytest.mark.parametrize(
    "broken",
    [
        {"train_py_gz": "no base64!"},
        {"train_py_gz": base64.b64encode(b"no zlib").decode()},
        {"train_py_gz": base64.b64encode(zlib.compress(b" " * (4 << 20))).decode()},
        {"limit_seconds": "soon"},
    ],
)
def test_a_start_that_makes_no_sense_is_a_problem(engine: Engine, broken: dict[str, Any]) -> None:
    """Said in a message, and exit code 2; a text that unpacks to megabytes is not unpacked."""
    ran = trial(engine, "", **broken)
    assert isinstance(ran.messages[-1], Problem)
    assert ran.state.exit_code == 2


def test_the_log_of_a_trial_is_json_safe(engine: Engine) -> None:
    """Bytes that are no UTF-8 and control characters come through as text."""
    ran = trial(engine, "import os\nos.write(1, b'\\xff\\xfe\\x00\\x1b[31m caf\\xe9\\n')\n")
    assert json.loads(json.dumps(ran.lines)) == ran.lines
    assert "caf" in ran.lines[0]


def test_a_child_is_offered_to_the_oom_killer_however_young(engine: Engine) -> None:
    """Between its fork and its first instruction it is closed to PID 1: that is waited for."""
    ran = run(engine, spec(IMAGE, command=["python", "-c", OFFER]))
    assert ran.lines == ["offered"], ran.notes
    assert ran.state.exit_code == 0
