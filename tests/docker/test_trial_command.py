"""The `trial` command, from an agent's shell to the runner's answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from runner.wire.messages import (
    CHECK,
    MAX_TRAIN_PY_BYTES,
    Stop,
    Stopped,
    TrialAccepted,
    TrialFinished,
    TrialLog,
    TrialRefused,
    TrialRequested,
)
from tests.docker.agent_box import FILES, AgentBox, agent_box

TRACEBACK = ["Traceback (most recent call last):", "ZeroDivisionError: division by zero"]


@pytest.fixture(scope="module")
def box(engine: Engine) -> Iterator[AgentBox]:
    """One container for all tests of this module: trials are numbered on, as in a run."""
    with agent_box(engine) as made:
        made.start()
        yield made


def accept(box: AgentBox, trial: int) -> TrialRequested:
    """Take the next request as that trial."""
    request = box.wait_for(TrialRequested)
    box.send(TrialAccepted(request.request, trial))
    return request


def finish(box: AgentBox, request: TrialRequested, trial: int, value: float = 1.25) -> None:
    """Tell that the trial went well."""
    summary = {"val_bpb": value, "num_steps": 40}
    box.send(
        TrialFinished(
            request.request, trial, "ok", value, 5.0, summary, "", "5 trials left", metric="val_bpb"
        )
    )


def test_a_trial_round_trip(box: AgentBox) -> None:
    """The runner gets text, digest, commit and hypothesis; the agent gets log, result, code 0."""
    head = box.shell("git rev-parse HEAD").strip()
    box.begin("trial --hypothesis 'fewer layers' --category architecture; echo code $?")
    request = accept(box, 1)
    assert box.read(request.path).encode() == FILES["train.py"]
    assert request.sha256 == hashlib.sha256(FILES["train.py"]).hexdigest()
    assert (request.commit, request.hypothesis, request.category) == (
        head, "fewer layers", "architecture",
    )  # fmt: skip
    box.send(TrialLog(request.request, "progress: step=1 train_seconds=0.5 loss=7.1"))
    finish(box, request, 1)
    printed = box.end()[1]
    assert printed.splitlines() == [
        "trial 1 accepted (pick it up with `trial wait 1`)",
        "progress: step=1 train_seconds=0.5 loss=7.1",
        "=== trial 1: ok",
        "val_bpb: 1.25",
        "num_steps: 40",
        "budget: 5 trials left",
        "code 0",
    ]


def test_a_crash_shows_where_it_crashed(box: AgentBox) -> None:
    """However much was printed before; the full output is one command away."""
    box.begin("trial; echo code $?")
    request = accept(box, 2)
    for line in [*(f"noise {number}" for number in range(1000)), *TRACEBACK]:
        box.send(TrialLog(request.request, line))
    box.send(TrialFinished(request.request, 2, "crash", None, 0.5, {}, "exit code 1"))
    printed = box.end()[1].splitlines()
    assert len(printed) < 250
    assert printed[-5:] == [
        *TRACEBACK, "=== trial 2: crash (exit code 1)", "full output: trial log 2", "code 1",
    ]  # fmt: skip
    assert box.shell("trial log 2 | wc -l; trial log 2 | tail -1") == f"1002\n{TRACEBACK[-1]}\n"


def test_a_check_is_no_trial(box: AgentBox) -> None:
    """It says whether train.py runs, has no number and no value, and its log is kept."""
    box.begin("trial --check; echo code $?")
    request = accept(box, CHECK)
    assert request.check
    box.send(TrialLog(request.request, "step 3"))
    box.send(TrialFinished(request.request, CHECK, "ok", None, 2.5, {}, "", "7 trials left"))
    assert box.end()[1].splitlines() == [
        "check accepted", "step 3", "=== check: ok", "budget: 7 trials left", "code 0",
    ]  # fmt: skip
    assert "\ncheck  ok" in "\n" + box.shell("trial list")


def test_trials_of_an_earlier_container_are_known(box: AgentBox) -> None:
    """The runner tells a new container of them: one that ended, and one that is run again."""
    summary = {"val_bpb": 1.71}
    box.send(
        TrialFinished(
            "r-old", 90, "ok", 1.71, 5.0, summary, metric="val_bpb", hypothesis="as it is"
        )
    )
    box.send(TrialAccepted("r-cut", 91, "a deeper model"))
    listed = [" ".join(line.split()) for line in box.shell("trial list").splitlines()]
    assert "90 ok val_bpb 1.710000 as it is" in listed
    assert "91 running or queued a deeper model" in listed
    known = box.shell("trial wait 90; echo code $?").splitlines()
    assert known[1:] == ["=== trial 90: ok", "val_bpb: 1.71", "code 0"]
    box.begin("trial wait 91; echo code $?; trial log 91")
    box.send(TrialLog("r-cut", "step 1"))
    box.send(TrialFinished("r-cut", 91, "ok", 1.6, 5.0, {"val_bpb": 1.6}, metric="val_bpb"))
    printed = box.end()[1].splitlines()
    assert printed[-4:] == ["=== trial 91: ok", "val_bpb: 1.6", "code 0", "step 1"]
    assert box.stderr.count("trial 90 ended: ok, val_bpb 1.71") == 0


def test_a_failed_check_says_what_failed(box: AgentBox) -> None:
    """The error of train.py, its exit code, and where the whole output is."""
    box.begin("trial --check; echo code $?")
    request = accept(box, CHECK)
    for line in TRACEBACK:
        box.send(TrialLog(request.request, line))
    box.send(TrialFinished(request.request, CHECK, "crash", None, 0.5, {}, TRACEBACK[-1]))
    assert box.end()[1].splitlines() == [
        "check accepted", *TRACEBACK, f"=== check: crash ({TRACEBACK[-1]})",
        "full output: trial log 0", "code 1",
    ]  # fmt: skip
    assert box.shell("trial log 0") == "\n".join(TRACEBACK) + "\n"


@pytest.mark.parametrize(("final", "code"), [(False, 3), (True, 4)])
def test_a_refusal_is_told_with_its_hint(box: AgentBox, final: bool, code: int) -> None:
    """Its exit code says whether asking again can help."""
    box.begin("trial; echo code $?")
    request = box.wait_for(TrialRequested)
    box.send(TrialRefused(request.request, "does not parse", "run python3 -m py_compile", final))
    assert box.end()[1].splitlines() == [
        "trial refused: does not parse", "hint: run python3 -m py_compile", f"code {code}",
    ]  # fmt: skip


def test_a_detached_trial_is_waited_for_later(box: AgentBox) -> None:
    """Even in another turn than the one that asked."""
    box.begin("trial --detach; echo code $?")
    request = accept(box, 3)
    assert box.end()[1].endswith("(pick it up with `trial wait 3`)\ncode 0\n")
    box.begin("trial wait 3; echo code $?")
    finish(box, request, 3, 1.125)
    assert "val_bpb: 1.125\n" in box.end()[1]
    assert "val_bpb: 1.125\n" in box.shell("trial wait 003")


def test_a_killed_command_kills_no_trial(box: AgentBox) -> None:
    """A shell that times out, and kills it as it goes on, loses nothing."""
    box.begin(
        "trial > /tmp/out & until grep -qs 'still running' /tmp/out; do sleep 0.05; done\n"
        "kill -KILL $!; wait $!; echo $? > killed; trial wait 4; echo code $?"
    )
    request = accept(box, 4)
    box.send(TrialLog(request.request, "still running"))
    until_killed = box.wait_for_file("/workspace/killed")
    finish(box, request, 4)
    printed = box.end()[1]
    assert until_killed == "137\n"
    assert "=== trial 4: ok\n" in printed
    assert printed.endswith("code 0\n")


def test_any_bytes_may_be_a_hypothesis(box: AgentBox) -> None:
    """And an endless one is cut; the list still works."""
    text = r"$'a \xff \n\x1b[2J b'$(head -c 100000 /dev/zero | tr '\0' x)"
    box.begin(f"trial --detach --hypothesis {text}")
    request = box.wait_for(TrialRequested)
    box.send(TrialRefused(request.request, "only looking"))
    box.end()
    assert request.hypothesis.startswith("a ? \n\x1b[2J bxxx")
    assert len(request.hypothesis) == 2000
    assert "a ? ?[2J bxxx" in box.shell("trial list")


def test_the_list_shows_every_trial(box: AgentBox) -> None:
    """By number, with its value or what became of it."""
    box.begin(
        "trial --detach --hypothesis 'wider'; trial --detach --hypothesis 'deeper'; trial --detach"
    )
    finish(box, accept(box, 11), 11)
    box.send(TrialFinished(accept(box, 12).request, 12, "crash", None, 0.5))
    box.send(TrialRefused(box.wait_for(TrialRequested).request, "does not parse"))
    box.end()
    lines = box.shell("trial list").splitlines()
    assert ["11", "ok", "val_bpb", "1.250000", "wider"] in [line.split() for line in lines]
    assert ["12", "crash", "deeper"] in [line.split() for line in lines]
    assert any("refused: does not parse" in line for line in lines)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        ("true", "/tmp/x/train.py is not there; run `trial` in /workspace or name the file"),
        ("head -c 1048577 /dev/zero | tr '\\0' x > train.py", "more than 1048576 bytes"),
        ("printf 'x = 1\\n\\377' > train.py", "is not UTF-8 text: byte 6"),
        ("echo > train.py", "is empty"),
        ("mkdir train.py", "is not there"),
    ],
)
def test_a_train_py_that_cannot_be_taken(box: AgentBox, make: str, complaint: str) -> None:
    """One line that says why; nothing reaches the runner; exit code 2."""
    before = len(box.messages)
    where = "rm -rf /tmp/x && mkdir /tmp/x && cd /tmp/x"
    printed = box.shell(f"{where} && {make} && (trial /tmp/x/train.py 2>&1; echo code $?)")
    assert complaint in printed
    assert printed.splitlines()[1:] == ["code 2"]
    assert len(box.messages) == before + 1  # the turn's own end


def test_the_largest_train_py_is_taken(box: AgentBox) -> None:
    """Exactly the limit, and only the file named."""
    script = (
        f"head -c {MAX_TRAIN_PY_BYTES} /dev/zero | tr '\\0' '#' > big.py; trial --detach big.py"
    )
    box.begin(script)
    request = accept(box, 5)
    assert box.read(request.path) == "#" * MAX_TRAIN_PY_BYTES
    box.end()
    finish(box, request, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        "--category magic",
        "--check --detach",
        "wait",
        "wait 1 2",
        "log ../../x",
        "list all",
        "a.py b.py",
        "--no",
    ],
)
def test_wrong_usage_is_exit_code_2(box: AgentBox, arguments: str) -> None:
    """And says what is right."""
    printed = box.shell(f"trial {arguments} 2>&1; echo code $?")
    assert printed.endswith("code 2\n")
    assert "usage" in printed


def test_help_says_what_an_agent_must_know(box: AgentBox) -> None:
    """How to ask, how to pick up a trial, and what the exit codes mean."""
    printed = box.shell("trial --help")
    for word in (
        "--hypothesis",
        "--check",
        "trial wait",
        "trial log",
        "trial list",
        "exit codes",
        "val_bpb",
    ):
        assert word in printed
    assert "\nlower val_bpb is better." in printed


def test_an_unknown_trial_is_refused(box: AgentBox) -> None:
    """With the command that names them."""
    assert "trial list" in box.shell("trial wait 77; true")


def test_a_flood_of_requests_stops_at_the_desk(box: AgentBox) -> None:
    """The runner hears of eight that it has not answered, not of thirty."""
    before = len(box.messages)
    box.begin(
        "for i in $(seq 30); do trial > out$i 2>&1 & done\n"
        "until [ $(grep -l 'too many trials asked for at once' out* | wc -l) -eq 22 ]; do\n"
        "    sleep 0.1\n"
        "done; rm -f out*"
    )
    finished, printed = box.end(120)  # thirty starts of Python
    assert finished.exit_code == 0, (finished, printed)
    requests = [m for m in box.messages[before:] if isinstance(m, TrialRequested)]
    assert len(requests) == 8
    for request in requests:
        box.send(TrialRefused(request.request, "not now"))


def test_of_a_flood_of_refusals_the_last_are_remembered(box: AgentBox) -> None:
    """To ask costs nothing, so what is kept of refused requests is bounded."""
    box.begin(
        "python3 - <<'END'\n"
        "import socket\n"
        "for _ in range(70):\n"
        "    with socket.socket(socket.AF_UNIX) as client:\n"
        "        client.connect('\\0bakeoff-trial')\n"
        '        client.sendall(b\'{"do": "request"}\\n\')\n'
        "        client.recv(4096)\n"
        "END\n"
    )
    for _ in range(70):
        box.send(TrialRefused(box.wait_for(TrialRequested).request, "not now"))
    finished, printed = box.end()
    assert finished.exit_code == 0, (finished, printed)
    assert box.shell("trial list").count("refused: ") == 50


def test_garbage_on_its_socket_does_no_harm(box: AgentBox) -> None:
    """Any bytes, endless lines, clients that say nothing: `trial` works on."""
    box.shell(
        "python3 - <<'END'\n"
        "import os, socket\n"
        "flood = os.urandom(300000)\n"
        "for data in (b'', b'\\n', b'[]\\n', b'{\"do\": 7}\\n', flood, b'[' * 70000):\n"
        "    with socket.socket(socket.AF_UNIX) as client:\n"
        "        client.connect('\\0bakeoff-trial')\n"
        "        try:\n"
        "            client.sendall(data)\n"
        "        except ConnectionError:\n"
        "            pass\n"
        "END"
    )
    assert box.shell("trial list")


def test_after_stop_no_trial_is_taken(box: AgentBox) -> None:
    """A client whose request was not taken is told at once; the runner is not asked again."""
    box.begin("trial; echo code $?")
    box.wait_for(TrialRequested)
    box.send(Stop("20 US dollars are spent", 60))
    printed = box.end()[1]
    assert "20 US dollars are spent" in printed
    assert printed.endswith("code 4\n")
    before = len(box.messages)
    box.begin("trial; echo code $?")
    assert box.end()[1] == printed
    assert not [m for m in box.messages[before:] if isinstance(m, TrialRequested)]
    assert box.wait_for(Stopped).reason == "stop"
