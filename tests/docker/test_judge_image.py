"""PID 1 of the judge in its lock: its start, its size, what it keeps, and its end.

tests/trainer holds what it computes; the tests of the executor hold whole trials with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from runner.build import images
from runner.configs import as_config
from runner.engine.client import Engine
from runner.engine.containers import Mount
from runner.wire.messages import (
    Problem,
    ReferenceKeep,
    ScoreBegin,
    ScoreClose,
    ScoreFinished,
    ScoreOpen,
    ScoreRequested,
    Start,
    Started,
    Stop,
    Stopped,
)
from runner.wire.protocol import encode
from runner.wire.start_config import JudgeConfig

from .program_end import ProgramEnd
from .trainer_rig import IMAGE, run, spec

PROGRAM = ["python", "/opt/judge/judge.py"]
LENGTH, VOCABULARY, ROWS = 16, 32, 200
# Writes a held-out volume of random rows, in the trainer image.
WRITE = f"""
import dataclasses, json
import numpy as np
from catalog import named_task
task = dataclasses.replace(named_task("text"), sequence_tokens={LENGTH}, vocabulary={VOCABULARY})
json.dump(dataclasses.asdict(task), open("/heldout/task.json", "w"))
chance = np.random.default_rng(1)
chance.integers(0, {VOCABULARY}, ({ROWS}, {LENGTH + 1})).astype("<u2").tofile("/heldout/val.bin")
np.save("/heldout/token_bytes.npy", np.ones({VOCABULARY}, np.int32))
"""
# A trial without training: every token is as likely as any other.
ASK = """
import catalog, dataclasses, prepare, torch
task = dataclasses.replace(catalog.named_task("text"), sequence_tokens=16, vocabulary=32)
predict = lambda tokens: torch.zeros(*tokens.shape, 32)
print(prepare.evaluate_bpb(predict, task, 8, torch.device("cpu")))
"""
SHOW = """
import json
import numpy as np
print(np.load("/heldout/reference-key-1.npy").shape)
print(json.load(open("/heldout/calibration-key-1.json")))
"""


@pytest.fixture(scope="module", autouse=True)
def _built(engine: Engine) -> None:
    images.ensure(engine, ["trainer"])


@pytest.fixture
def volumes(engine: Engine) -> Iterator[tuple[str, str]]:
    """A volume with held-out rows, and one for the socket."""
    names = [f"bakeoff-test-{uuid.uuid4().hex[:12]}-{what}" for what in ("heldout", "judge")]
    for name in names:
        engine.create_volume(name, run_id=name)
    try:
        mounts = (Mount(names[0], "/heldout"),)
        ran = run(engine, spec(IMAGE, command=["python", "-c", WRITE], mounts=mounts))
        assert ran.state.exit_code == 0, ran.notes
        yield names[0], names[1]
    finally:
        for name in names:
            engine.remove_volume(name)


@pytest.fixture
def judge(engine: Engine, volumes: tuple[str, str]) -> Iterator[ProgramEnd]:
    """A judge that waits for `start`. Its held-out volume is writable, for the reference."""
    mounts = (Mount(volumes[0], "/heldout"), Mount(volumes[1], "/run/judge"))
    container = engine.create(spec(IMAGE, command=PROGRAM, mounts=mounts))
    program = ProgramEnd(engine, container)
    try:
        yield program
    finally:
        program.hang_up()
        engine.remove(container)


def config(**fields: Any) -> dict[str, Any]:
    """What the judge is told."""
    given = JudgeConfig(deadline_seconds=300, judged_tokens=640, estimate_tokens=64, threads=1)
    return as_config(given) | fields


def ask(engine: Engine, socket_volume: str, token: str) -> list[str]:
    """What a trial prints that asks for its score; it has no network and no writable socket."""
    environment = ["BAKEOFF_JUDGE=/run/judge/judge.sock", f"BAKEOFF_JUDGE_TOKEN={token}"]
    mounts = (Mount(socket_volume, "/run/judge", read_only=True),)
    command = ["env", *environment, "python", "-c", ASK]
    ran = run(engine, spec(IMAGE, command=command, mounts=mounts))
    return [*ran.lines, *ran.notes]


def test_a_trial_in_another_container_is_scored(
    engine: Engine, judge: ProgramEnd, volumes: tuple[str, str]
) -> None:
    """Only `score.begin` lets rows out; the score is 5 bits a byte, because nothing is known."""
    judge.start(config())
    judge.next(Started)
    token = uuid.uuid4().hex
    judge.say(ScoreOpen("one", token, "trial", 7))
    judge.say(ScoreBegin("one"))
    printed = ask(engine, volumes[1], token)
    asked = judge.next(ScoreRequested)
    found = judge.next(ScoreFinished)
    assert (asked.session, asked.purpose) == ("one", "final")
    assert found.status == "scored", found
    assert found.values["val"] == pytest.approx(5)
    assert float(printed[0]) == pytest.approx(5)
    assert asked.at <= found.ended_at
    judge.say(ScoreClose("one"))
    judge.say(Stop("over", 5))
    assert judge.next(Stopped).reason == "over"
    assert judge.end().exit_code == 0


def test_a_reference_is_kept_and_found_again(
    engine: Engine, judge: ProgramEnd, volumes: tuple[str, str]
) -> None:
    """Its losses and facts lie in the held-out volume; the next judge compares with them."""
    judge.start(config())
    judge.next(Started)
    judge.say(ReferenceKeep("nobody", "key-1", {}))
    assert "nobody" in judge.next(Problem).message
    token = uuid.uuid4().hex
    judge.say(ScoreOpen("ref", token, "reference", 7))
    judge.say(ScoreBegin("ref"))
    ask(engine, volumes[1], token)
    judge.next(ScoreRequested)
    assert judge.next(ScoreFinished).status == "scored"
    judge.say(ScoreClose("ref"))
    judge.say(ReferenceKeep("ref", "key-1", {"scoring_seconds": 2.5}))
    assert judge.next(Stopped).reason == "the reference is kept"
    assert judge.end().exit_code == 0
    judge.start(config(reference="key-1"))
    judge.next(Started)
    judge.say(ScoreOpen("one", token, "trial", 7))
    judge.say(ScoreBegin("one"))
    ask(engine, volumes[1], token)
    judge.next(ScoreRequested)
    assert judge.next(ScoreFinished).audit["hidden rows"]["referenced"] is True
    mounts = (Mount(volumes[0], "/heldout", read_only=True),)
    ran = run(engine, spec(IMAGE, command=["python", "-c", SHOW], mounts=mounts))
    assert ran.lines == [f"({ROWS}, {LENGTH})", "{'scoring_seconds': 2.5}"]


def test_an_idle_judge_is_small(engine: Engine, volumes: tuple[str, str]) -> None:
    """Under 40 MB before and after a session: torch is in a child."""
    opened, closed = encode(ScoreOpen("one", "t", "trial", 7)), encode(ScoreClose("one"))
    measure = f"""
import json, subprocess
judge = subprocess.Popen({PROGRAM}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def resident():
    status = open(f"/proc/{{judge.pid}}/status").read()
    print(status.split("VmRSS:")[1].split()[0])
judge.stdin.write({encode(Start(config()))!r}); judge.stdin.flush()
judge.stdout.readline(), judge.stdout.readline()
resident()
judge.stdin.write({opened!r} + {closed!r}); judge.stdin.flush()
assert b"unscored" in judge.stdout.readline()
resident()
judge.terminate()
"""
    mounts = (Mount(volumes[0], "/heldout"), Mount(volumes[1], "/run/judge"))
    ran = run(engine, spec(IMAGE, command=["python", "-c", measure], mounts=mounts))
    assert len(ran.lines) == 2, ran.notes
    assert all(0 < int(kilobytes) < 40_000 for kilobytes in ran.lines), ran.lines


def test_a_judge_ends_in_time(engine: Engine, judge: ProgramEnd) -> None:
    """On SIGTERM with an open session, and at its deadline without a host."""
    judge.start(config())
    judge.next(Started)
    judge.say(ScoreOpen("one", "token", "trial", 7))
    engine.stop(judge.container, 60)
    assert judge.next(Stopped).reason == "SIGTERM"
    assert judge.end().exit_code == 143
    judge.start(config(deadline_seconds=1))
    judge.hang_up()
    assert judge.end(30).exit_code == 0


def test_a_start_that_makes_no_sense_is_a_problem(engine: Engine) -> None:
    """No data, and no whole config: it ends with a sentence and exit code 2."""
    for given in (config(), {"threads": 0}):
        container = engine.create(spec(IMAGE, command=PROGRAM))
        program = ProgramEnd(engine, container)
        try:
            program.start(given)
            assert program.next(Problem).during == "reading the start message"
            assert program.end().exit_code == 2
        finally:
            program.hang_up()
            engine.remove(container)
