"""Whatever a trial sends, the judge names it, goes on, and takes little memory and time.

The judge is the program itself, with its children; each test speaks the wire by hand.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import frames
import messages
import protocol
import pytest
import torch
from judge_rig import JUDGE, Chain, make_chain, scored
from messages import Problem, ScoreClose, ScoreFinished, ScoreOpen
from sessions import MAX_CONNECTIONS

if TYPE_CHECKING:
    from conftest import JudgeOf

SILENCE = 2.0
MEGABYTE = 1 << 20


@dataclass
class Program:
    """A judge that serves on a socket."""

    process: subprocess.Popen[bytes]
    path: Path
    chain: Chain

    def say(self, message: messages.Message) -> None:
        """Sends a message of the runner's."""
        assert self.process.stdin is not None
        self.process.stdin.write(protocol.encode(message))
        self.process.stdin.flush()

    def heard(self, kind: type[Any]) -> Any:
        """The next message of a kind; others are passed over."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = protocol.decode(line, messages.MESSAGES)
            if isinstance(message, kind):
                return message
        raise AssertionError("the judge has ended")

    def open(self, **fields: Any) -> str:
        """Opens a session; its token. The name of the session is the token's first half."""
        token = uuid.uuid4().hex
        wanted = ScoreOpen(token[:16], token, **{"mode": "trial", "seed": 5, **fields})
        self.say(wanted)
        self.say(wanted)  # that it is open already is the sign that it is open
        assert "is open already" in self.heard(Problem).message
        return token

    def connect(self) -> socket.socket:
        """A connection to the judge."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.path))
        connection.settimeout(60)
        return connection

    def hello(self, token: str, **fields: Any) -> socket.socket:
        """A connection that said its hello."""
        connection = self.connect()
        given = {"hello": 1, "token": token, "purpose": "final", "rows": 8, **fields}
        frames.send_json(connection, given)
        return connection

    def batch(self, connection: socket.socket) -> torch.Tensor:
        """The next batch, once the number of rows is known."""
        kind, length = frames.receive_header(connection)
        content = bytearray(length)
        frames.receive_into(connection, memoryview(content))
        assert kind == frames.TOKENS, content
        return torch.frombuffer(content, dtype=torch.int32).view(-1, 32).long()

    def finished(self, token: str) -> ScoreFinished:
        """How a session ended; the judge must still serve others."""
        found: ScoreFinished = self.heard(ScoreFinished)
        assert found.session == token[:16]
        return found

    def score(self, token: str) -> float:
        """The score of an honest trial with this token; the judge's last word is taken."""
        with contextlib.closing(self.hello(token)) as connection:
            assert frames.receive_json(connection) == {"rows": 8}
            while True:
                kind, length = frames.receive_header(connection)
                content = bytearray(length)
                frames.receive_into(connection, memoryview(content))
                if kind == frames.JSON:
                    break
                tokens = torch.frombuffer(content, dtype=torch.int32).view(-1, 32).long()
                logits = self.chain.honest(tokens)
                answer(connection, list(logits.shape), logits.numpy().tobytes())
        value = json.loads(content)["value"]
        assert value > 0
        found = self.finished(token)
        assert (found.status, found.values["val"]) == ("scored", value)
        return float(value)

    def scores(self) -> None:
        """Checks that an honest trial is scored."""
        token = self.open()
        self.score(token)
        self.say(ScoreClose(token[:16]))

    def child(self) -> int:
        """The process that scores the only open session."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        (pid,) = [int(word) for task in tasks for word in task.read_text().split()]
        return pid

    def memory_bytes(self) -> int:
        """The most that the judge's child had in use."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.child()}/status").read_text())
        assert found
        return int(found[1]) * 1024


def answer(connection: socket.socket, shape: Any, content: bytes, dtype: Any = "float32") -> None:
    """Sends logits in one piece."""
    frames.send_json(connection, {"dtype": dtype, "shape": shape})
    frames.send_frame(connection, frames.LOGITS, content)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A judge as a program of its own."""
    chain = make_chain(tmp_path_factory.mktemp("chain"))
    path = tmp_path_factory.mktemp("socket") / "judge.sock"
    command = [
        sys.executable, str(JUDGE), "serve", "--data", str(chain.folder), "--socket", str(path),
        "--threads", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"serving")
    yield Program(process, path, chain)
    process.send_signal(signal.SIGTERM)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def first_batch(program: Program, **fields: Any) -> tuple[str, socket.socket, torch.Tensor]:
    """A session's first batch."""
    token = program.open(**fields)
    connection = program.hello(token)
    assert frames.receive_json(connection) == {"rows": 8}
    return token, connection, program.batch(connection)


ZEROS = bytes(8 * 32 * 48 * 4)
INFINITE = b"\x00\x00\x80\x7f" * (8 * 32 * 48)
BAD_ANSWERS = {
    "a million outputs": (lambda c: answer(c, [8, 32, 10**6], b"0"), "wrong shape"),
    "fewer rows": (lambda c: answer(c, [7, 32, 48], b"0"), "wrong shape"),
    "a shape that is none": (lambda c: answer(c, {"8": 32}, b"0"), "wrong shape"),
    "another dtype": (lambda c: answer(c, [8, 32, 48], b"0", "int8"), "wrong dtype"),
    "a dtype that is none": (lambda c: answer(c, [8, 32, 48], b"0", ["float32"]), "wrong dtype"),
    "not a number": (lambda c: answer(c, [8, 32, 48], b"\xff" * len(ZEROS)), "not finite"),
    "infinity": (lambda c: answer(c, [8, 32, 48], INFINITE), "not finite"),
    "more than the batch": (lambda c: answer(c, [8, 32, 48], ZEROS + b"0000"), "bad frame"),
    "an empty piece": (lambda c: answer(c, [8, 32, 48], b""), "bad frame"),
    "another frame": (lambda c: frames.send_frame(c, b"T", b"1234"), "bad frame"),
    "a frame of 4 GiB": (lambda c: c.sendall(frames.HEADER.pack(b"J", 2**32 - 1)), "bad frame"),
    "random bytes": (lambda c: c.sendall(random.Random(1).randbytes(4096)), "bad frame"),
    "JSON that nests": (lambda c: frames.send_frame(c, b"J", b"[" * 60_000), "bad frame"),
    "JSON with NaN": (lambda c: frames.send_frame(c, b"J", b'{"dtype": NaN}'), "bad frame"),
    "silence": (lambda _: None, "stalled"),
    "half of the logits": (lambda c: answer(c, [8, 32, 48], ZEROS[:100]), "stalled"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_has_a_name(name: str, chain: Chain, judge_of: JudgeOf) -> None:
    """The trial is rejected by name and has no value; one that sends nothing, after a while."""
    send, reason = BAD_ANSWERS[name]
    quick = {"silence_seconds": SILENCE} if reason == "stalled" else {}
    judge = judge_of(chain.folder, **quick)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(str(judge.path))
        connection.settimeout(60)
        frames.send_json(connection, {"hello": 1, "token": "", "purpose": "final", "rows": 8})
        assert frames.receive_json(connection) == {"rows": 8}
        send(connection)  # type: ignore[no-untyped-call]
        found = judge.finished
    assert (found["status"], found["reason"], found["values"]) == ("rejected", reason, {})


def test_the_judge_itself_rejects_and_goes_on(program: Program) -> None:
    """A rejected trial hears that it has no value, and an honest one is then scored."""
    token, connection, _ = first_batch(program)
    with contextlib.closing(connection):
        answer(connection, [8, 32, 48], INFINITE)
        assert frames.receive_json(connection) == {"done": True, "value": None}
    found = program.finished(token)
    assert (found.status, found.reason, found.values) == ("rejected", "not finite", {})
    with contextlib.closing(program.hello(token)) as again:
        assert frames.receive_json(again) == {"done": True, "value": None}
    program.say(ScoreClose(token[:16]))
    program.scores()


def test_memory_does_not_grow_with_what_a_trial_sends(program: Program) -> None:
    """A batch whose logits come seven bytes at a time costs the judge's child under 64 MiB."""
    token, connection, _ = first_batch(program)
    before = program.memory_bytes()
    frames.send_json(connection, {"dtype": "float32", "shape": [8, 32, 48]})
    for place in range(0, len(ZEROS), 7):
        frames.send_frame(connection, frames.LOGITS, ZEROS[place : place + 7])
    program.batch(connection)
    assert program.memory_bytes() - before < 64 * MEGABYTE
    connection.close()
    assert program.finished(token).reason == "the trial went away"
    program.say(ScoreClose(token[:16]))


@pytest.mark.parametrize(
    "fields",
    [{"rows": 0}, {"rows": True}, {"purpose": ["final"]}, {"fraction": 2}],
)
def test_a_bad_hello_rejects(fields: dict[str, Any], program: Program) -> None:
    """A hello with the trial's token that makes no sense is the trial's fault."""
    token = program.open()
    with contextlib.closing(program.hello(token, **fields)):
        found = program.finished(token)
    assert (found.status, found.reason) == ("rejected", "bad hello")
    program.say(ScoreClose(token[:16]))


def test_who_has_no_token_is_refused_and_harms_nobody(program: Program) -> None:
    """Wrong tokens of all kinds, and connections that say nothing or nonsense."""
    silent = [program.connect() for _ in range(100)]  # the oldest make room for others
    for said in ("", "wrong", 7, None, "é\ud800"):
        connection = program.hello(said)  # type: ignore[arg-type]
        assert "refused" in frames.receive_json(connection)
        connection.close()
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 10, frames.HEADER.pack(b"J", 2**31)):
        connection = program.connect()
        connection.sendall(nonsense)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()
    program.scores()
    for connection in silent:
        connection.close()


def test_a_third_connection_at_once_rejects(program: Program) -> None:
    """Two are served; a third one ends the trial's session."""
    token = program.open()
    three = [program.hello(token, purpose="estimate", fraction=0.1) for _ in range(3)]
    found = program.finished(token)
    assert (found.status, found.reason) == ("rejected", "too many connections at once")
    for connection in three:
        connection.close()
    program.say(ScoreClose(token[:16]))


def test_a_trial_that_asks_a_thousand_times(program: Program) -> None:
    """It is scored once; its other calls get that score, up to 100 connections, and then none."""
    token = program.open()
    value = program.score(token)
    answers = []
    for _ in range(1000):
        with contextlib.closing(program.hello(token)) as again:
            answers.append(frames.receive_json(again)["value"])
    assert answers == [value] * (MAX_CONNECTIONS - 1) + [None] * (1001 - MAX_CONNECTIONS)
    program.say(ScoreClose(token[:16]))
    program.scores()  # whose end is the next that the judge tells


def test_two_sessions_are_served_at_once(program: Program) -> None:
    """The batches of two trials cross, and each gets its own end."""
    (one, first, _), (other, second, _) = first_batch(program), first_batch(program)
    frames.send_json(second, {"error": "ValueError at line 3"})
    found = program.finished(other)
    assert (found.status, found.reason) == ("failed", "model error")
    assert found.audit == {"model error": {"type": "ValueError at line 3"}}
    frames.send_json(first, {"error": "some text of the trial's own"})
    assert program.finished(one).audit == {"model error": {"type": "an error"}}
    first.close()
    second.close()
    for token in (one, other):
        program.say(ScoreClose(token[:16]))


def test_a_session_always_has_an_end(program: Program) -> None:
    """Closed before it was asked, or in the middle of it: failed, with a reason."""
    token = program.open()
    program.say(ScoreClose(token[:16]))
    found = program.finished(token)
    assert (found.status, found.reason) == ("failed", "unscored")
    token, connection, _ = first_batch(program)
    program.say(ScoreClose(token[:16]))
    found = program.finished(token)
    assert (found.status, found.reason) == ("failed", "the trial went away")
    connection.close()


def test_a_child_that_is_killed_is_the_judges_own_death(program: Program) -> None:
    """Nobody's fault: the session fails by that name, and the judge serves on."""
    token, connection, _ = first_batch(program)
    os.kill(program.child(), signal.SIGKILL)
    found = program.finished(token)
    assert (found.status, found.reason) == ("failed", "judge died")
    connection.close()
    program.say(ScoreClose(token[:16]))
    program.scores()


def test_run_scores_a_command_and_prints_what_was_found(program: Program, tmp_path: Path) -> None:
    """`judge.py run` gives the command its judge, and tells its end as JSON."""
    text = "import prepare, torch\ntask = prepare.load_task()\n" + (
        "predict = lambda t: torch.zeros(*t.shape, task.vocabulary)\n"
        "print('value', prepare.evaluate_bpb(predict, task, 4, torch.device('cpu')))\n"
    )
    ran, found = scored(text, program.chain.folder, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == found
    (end,) = found["score.finished"]
    assert ran.stdout.startswith(f"value {end['values']['val']}")
    ran, found = scored("import sys; sys.exit(3)", program.chain.folder, tmp_path)
    assert (ran.returncode, found["exit_code"]) == (3, 3)
    assert found["score.finished"][0]["reason"] == "unscored"
    assert asdict(ScoreFinished("run", "failed", "unscored", 0)).keys() == end.keys()
