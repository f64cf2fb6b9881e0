"""The trainer image in its lock: its own tests, and trials that behave badly.

Every trial must end with `trial.exited` and leave no process, whatever its train.py does.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import re
import textwrap
import time
import zlib
from typing import Any

import pytest

from benchmarks.trainer import harness
from runner import task_data
from runner.build import images
from runner.build.images import image_tag
from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import Mount
from runner.tasks import load_task
from runner.wire.messages import Problem, Ready, Started, TrialExited
from runner.wire.protocol import encode

from .trainer_rig import IMAGE, MEGABYTE, TEST_IMAGE, run, spec, start, trial

SLEEPY = "import os, time\nos.write(1, b'asleep\\n')\ntime.sleep(1000)\n"
# What trial.py does with its child, over and over, and with one that has ended already.
OFFER = """
import os, subprocess, sys
sys.path.insert(0, "/opt/bakeoff")
import pid1, trial
pid1.close_to_others()
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
    images.ensure(engine, ["trainer", "trainer-test", "data"])


@pytest.mark.timeout(1500)
def test_the_trainers_own_tests_pass_in_its_image(engine: Engine) -> None:
    """The tests in tests/trainer need torch: they run in the image, locked as a trial is."""
    ran = run(
        engine,
        spec(TEST_IMAGE, tmpfs={"/tmp": 1024 * MEGABYTE}, memory_bytes=3072 * MEGABYTE, cpus=2.0),
        within_seconds=1400,
    )
    text = "\n".join(ran.lines)
    assert ran.state.exit_code == 0, text
    assert re.search(r"^\d{3} passed in ", text, re.M), text


def test_the_image_holds_what_it_promises(engine: Engine) -> None:
    """The image's own `verify` finds no broken promise."""
    ran = run(engine, spec(IMAGE, command=["python", "/opt/bakeoff/verify"]))
    assert ran.state.exit_code == 0, ran.notes


def test_a_trial_is_told_what_it_needs(engine: Engine) -> None:
    """Its environment names the judge and its token, and what only some trials have."""
    show = "import os\nprint({k: v for k, v in os.environ.items() if k.startswith('BAKEOFF')})\n"
    plain = {
        "BAKEOFF_DATA": "/data",
        "BAKEOFF_TRAIN_SECONDS": "2",
        "BAKEOFF_JUDGE": "/run/judge/judge.sock",
        "BAKEOFF_JUDGE_TOKEN": "a token",
    }
    asked = {
        "BAKEOFF_SEED": "7", "BAKEOFF_MAX_STEPS": "3", "BAKEOFF_HAND_OUT": "/handout/model.pt",
        "BAKEOFF_ESTIMATE_AT": "0.1 0.25",
    }  # fmt: skip
    (line,) = trial(engine, show, judge_token="a token").lines
    assert ast.literal_eval(line) == plain
    more: dict[str, Any] = {
        "seed": 7, "max_steps": 3, "hand_out": True, "estimate_at": (0.1, 0.25),
    }  # fmt: skip
    (line,) = trial(engine, show, judge_token="a token", **more).lines
    assert ast.literal_eval(line) == plain | asked


PROBE = """
import torch
seen = []
torch.nn.functional.rms_norm = lambda x, *_args: seen.append(torch.is_autocast_enabled("cpu"))
for prepare in (lambda: None, norm_in_the_type_of_its_input):
    prepare()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.nn.functional.rms_norm(torch.ones(2, 8), (8,))
        assert torch.is_autocast_enabled("cpu")
print(seen)
"""


def test_a_peers_norm_is_not_cast(engine: Engine) -> None:
    """In the benchmark no autocast is on while a peer's norm runs; it is on before and after."""
    program = inspect.getsource(harness.norm_in_the_type_of_its_input) + PROBE
    ran = run(engine, spec(IMAGE, command=["python", "-c", "from typing import Any\n" + program]))
    assert ran.lines == ["[True, False]"], ran.notes


def test_a_gpus_memory_is_taken_in_blocks_that_can_grow(engine: Engine) -> None:
    """train.py has the allocator's setting of the public original."""
    ran = trial(engine, "import os\nprint(os.environ['PYTORCH_ALLOC_CONF'])\n")
    assert ran.lines == ["expandable_segments:True"]
    assert ran.exited.exit_code == 0


def test_a_trial_says_when_it_began_and_how_long_it_took(engine: Engine) -> None:
    """The beginning at once, in seconds since 1970 by the engine's clock; then the seconds."""
    before = time.time()
    ran = trial(engine, "import time\ntime.sleep(0.5)\n")
    started = ran.messages[1]
    assert isinstance(started, Started)
    after = time.time()
    assert before - 60 < started.details["began_at"] < after + 60  # an engine may be elsewhere
    assert 0.5 <= ran.exited.seconds <= after - before
    assert ran.exited.peak_memory_bytes > MEGABYTE
    assert ran.exited.oom_kills == 0
    assert ran.state.exit_code == 0
    assert any("ready" in note for note in ran.notes)  # docker logs tell a person


def test_a_trial_of_a_text_that_does_not_parse(engine: Engine) -> None:
    """The last line is Python's SyntaxError, and the exit code is 1."""
    ran = trial(engine, "def train(:\n")
    assert (ran.exited.cause, ran.exited.exit_code) == ("exited", 1)
    assert "SyntaxError" in ran.lines[-1]


def test_a_sleeper_is_ended_at_its_limit(engine: Engine) -> None:
    """Its limit holds even if it ignores every signal that it can."""
    stubborn = "import signal\nfor n in set(signal.Signals) - {9, 19}: signal.signal(n, 1)\n"
    ran = trial(engine, stubborn + SLEEPY, limit_seconds=6)
    assert ran.exited.cause == "timeout"
    assert 6 <= ran.exited.seconds < 30
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
    """Processes that fork up to the lock's limit are all killed at the trial's limit."""
    bomb = (
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    )
    ran = trial(engine, bomb, limit_seconds=3)
    assert ran.exited.cause == "timeout"
    assert ran.exited.seconds < 20
    assert ran.state.exit_code == 0


@pytest.mark.parametrize("piece", ["'x' * 100 + chr(10)", "'x' * 100000", "chr(10) * 1000"])
def test_a_flood_is_cut_off(engine: Engine, piece: str) -> None:
    """Many lines, one endless line or empty lines: the output and each line are bounded."""
    ran = trial(engine, f"import sys\nwhile True:\n    sys.stdout.write({piece})\n")
    assert ran.exited.cause == "output"
    assert sum(len(line) + 1 for line in ran.lines) < 1.1 * MEGABYTE
    assert max(map(len, ran.lines)) <= 8192


def test_nothing_that_a_trial_prints_is_taken_for_a_message(engine: Engine) -> None:
    """A forged message stays text, also after a carriage return or where a long line is cut."""
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
    engine: Engine,
) -> None:
    """It has only loopback, and the trainer, the root and the data are read-only."""
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
    data = task_data.ensure(engine, image_tag("data"), load_task("pystdlib"), [], print)
    mounts = (Mount(data, "/data", read_only=True),)
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


def test_stopping_the_container_ends_a_trial(engine: Engine) -> None:
    """On SIGTERM everything is killed and `trial.exited` is said, or the engine would kill it."""

    def answer(channel: Channel, container: str, line: str) -> None:
        if line.startswith('{"event":"ready"'):
            channel.send(encode(start(SLEEPY)))
        if line == "asleep":
            engine.stop(container, 60)

    ran = run(engine, spec(IMAGE), answer)
    assert (ran.exited.cause, ran.exited.exit_code) == ("stopped", 143)
    assert ran.state.exit_code == 0


def test_a_text_cannot_stop_its_own_container(engine: Engine) -> None:
    """SIGTERM and SIGKILL to PID 1 from inside do nothing; its own SIGTERM is its own end."""
    text = """
        import os, signal, time
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            os.kill(1, number)
            time.sleep(0.5)
        print("still there", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    ran = trial(engine, textwrap.dedent(text))
    assert "still there" in ran.lines
    assert (ran.exited.cause, ran.exited.exit_code) == ("signal", 143)


def test_a_trial_ends_itself_when_its_host_is_gone(engine: Engine) -> None:
    """Nobody reads its output and nobody kills it: it exits at its deadline."""
    container = engine.create(spec(IMAGE))
    try:
        channel = engine.attach(container)
        engine.start(container)
        next(line for _, line in channel.lines() if line.startswith('{"event":"ready"'))
        channel.send(encode(start(SLEEPY, limit_seconds=1000, deadline_seconds=3)))
        assert channel.drain(30)
        channel.close()
        state = engine.wait_exit(container, 60)
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
    """It ends with a `problem` and exit code 2; a text of megabytes is not unpacked."""
    ran = trial(engine, "", **broken)
    assert isinstance(ran.messages[-1], Problem)
    assert ran.state.exit_code == 2


def test_the_log_of_a_trial_is_json_safe(engine: Engine) -> None:
    """Bytes that are no UTF-8 and control characters come through as text."""
    ran = trial(engine, "import os\nos.write(1, b'\\xff\\xfe\\x00\\x1b[31m caf\\xe9\\n')\n")
    assert json.loads(json.dumps(ran.lines)) == ran.lines
    assert "caf" in ran.lines[0]


def test_a_child_is_offered_to_the_oom_killer_however_young(engine: Engine) -> None:
    """PID 1 waits while its child is closed to it, between its fork and its first instruction."""
    ran = run(engine, spec(IMAGE, command=["python", "-c", OFFER]))
    assert ran.lines == ["offered"], ran.notes
    assert ran.state.exit_code == 0
