"""The agent image in its lock: what an agent can do, what it cannot, and how PID 1 lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from runner.wire.messages import (
    Problem,
    Ready,
    Start,
    Stop,
    Stopped,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
)
from tests.docker.agent_box import AgentBox, agent_box

BASE = "bakeoff/base:0.1.0"
LOOSE_PROCESSES = """
for i in $(seq 20); do
    (setsid nohup bash -c 'trap "" TERM HUP INT; sleep 1000 & wait' >/dev/null 2>&1 &)
done
until [ $(pgrep -c sleep) -ge 20 ]; do :; done
echo started
"""
FORK_BOMB = """
import os
first = os.getpid()
while True:
    try:
        os.fork()
    except OSError:
        if os.getpid() == first:
            print("full")
            break
"""
FORGED = '{"event":"stopped","reason":"forged"}'
ECHO_GATEWAY = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        length = 0
        while (line := self.rfile.readline().strip()):
            name, _, value = line.lower().partition(b":")
            length = int(value) if name == b"content-length" else length
        body = self.rfile.read(length)[::-1]
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
socketserver.ThreadingUnixStreamServer("/run/gateway/llm.sock", Echo).serve_forever()
"""
ASK_GATEWAY = """
import urllib.request
answer = urllib.request.urlopen("http://127.0.0.1:8080/v1/x", b"abc" * 100000)
print(answer.read() == b"cba" * 100000)
"""
FIND_A_WAY_OUT = """
import socket
for host, port in (("1.1.1.1", 443), ("172.17.0.1", 22), ("169.254.169.254", 80)):
    try:
        socket.create_connection((host, port), 2)
        print("reached", host)
    except OSError as error:
        print(error.errno)
try:
    print("resolved", socket.getaddrinfo("example.org", 443))
except OSError:
    print("no name")
"""


@pytest.fixture
def box(engine: Engine) -> Iterator[AgentBox]:
    """An agent's container that has taken `start`."""
    with agent_box(engine) as made:
        made.start()
        yield made


def test_the_workspace_is_a_repository_with_one_commit(box: AgentBox) -> None:
    """On the run's branch, clean, by an author of its own."""
    printed = box.shell("git log --format='%an|%s'; git branch --show-current; git status --short")
    assert printed == f"bakeoff|Start of the run\nbakeoff/{box.run_id}\n"
    assert box.shell("cat train.py program.md") == "print('training')\nRead me first.\n"


def test_there_is_no_interface_but_loopback(box: AgentBox) -> None:
    """No route, no name, no metadata service, no host: nothing to be filtered."""
    assert box.shell("ls /sys/class/net").split() == ["lo"]
    printed = box.shell(f"python3 - <<'END'\n{FIND_A_WAY_OUT}\nEND").split("\n")
    assert printed == ["101", "101", "101", "no name", ""]  # 101: network is unreachable


def test_the_agent_has_no_power_over_the_container(box: AgentBox) -> None:
    """Not root, no capability, nothing to gain, a root file system that cannot be written."""
    printed = box.shell("id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status")
    assert printed.split() == [
        "1000", "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1",
    ]  # fmt: skip
    for path in ("/etc/x", "/opt/bakeoff/x", "/usr/local/bin/x", "/run/gateway/x", "/opt/agent/x"):
        assert box.shell(f"touch {path} 2>/dev/null && echo written || true") == ""
    for path in ("/workspace/x", "/home/agent/x", "/tmp/x"):
        assert box.shell(f"touch {path} && echo written") == "written\n"


def test_a_gateway_in_another_container_answers(box: AgentBox) -> None:
    """Through the relay and the shared socket, though neither container has a network."""
    gateway = box.add("gateway", BASE, ["python3", "-c", ECHO_GATEWAY], "/run/gateway")
    box.begin(f"python3 - <<'END'\n{ASK_GATEWAY}\nEND")  # it may come first: the relay waits
    box.engine.start(gateway)
    assert box.end()[1] == "True\n"


def test_nothing_survives_its_turn(box: AgentBox) -> None:
    """Not twenty daemons in sessions of their own that ignore SIGTERM."""
    assert box.shell(LOOSE_PROCESSES) == "started\n"
    assert box.shell("ps -eo comm=; true").split() == ["python3", "bash", "ps"]


def test_a_fork_bomb_ends_with_its_turn(box: AgentBox) -> None:
    """The limit on processes holds it while it runs, and not one is left."""
    box.begin(f"exec python3 -c '{FORK_BOMB}'")
    assert box.end(60)[1] == "full\n"
    assert box.shell("ps -eo comm=; true").split() == ["python3", "bash", "ps"]


def test_a_turn_that_eats_all_memory_kills_only_itself(box: AgentBox) -> None:
    """PID 1 is small; the kernel takes the largest process."""
    box.begin("python3 -c 'x = [bytearray(1 << 26) for _ in range(64)]'; echo code $?")
    assert box.end(60)[1] == "code 137\n"
    assert box.shell("echo alive") == "alive\n"


def test_an_interrupted_turn_ends_though_it_will_not(box: AgentBox) -> None:
    """SIGTERM first, SIGKILL after some seconds; the next turn runs as usual."""
    box.begin("trap '' TERM; echo up; while :; do sleep 0.1; done")
    box.send(TurnInterrupt("the test says so"))
    finished, _ = box.end(20)
    assert finished.exit_code < 0
    assert finished.seconds < 15
    assert box.shell("echo alive") == "alive\n"


def test_an_interrupted_turn_may_tidy_up(box: AgentBox) -> None:
    """A CLI that listens to SIGTERM ends by its own word."""
    box.begin("trap 'echo tidy; exit 7' TERM; touch up; while :; do sleep 0.05; done")
    box.send(TurnInterrupt("the test says so"))
    finished, printed = box.end(20)
    assert (finished.exit_code, printed) in ((7, "tidy\n"), (-15, ""))  # -15: before its trap


def test_what_cannot_be_started_is_told(box: AgentBox) -> None:
    """As a shell would: exit code 127 and a reason."""
    box.begin_turn(["no-such-cli"])
    finished, printed = box.end()
    assert (finished.exit_code, printed) == (127, "")
    assert "no-such-cli" in finished.stderr_tail


def test_two_turns_at_once_are_refused(box: AgentBox) -> None:
    """The first goes on; the second is a problem for the journal."""
    first = box.begin("until [ -e go ]; do sleep 0.05; done; echo one")
    box.send(TurnStart(99, ["true"]))
    assert "99" in box.wait_for(Problem).message
    box.engine.put_files(box.container, "/workspace", {"go": b""})
    finished, printed = box.end()
    assert (finished.turn, printed) == (first, "one\n")


def test_no_signal_from_inside_ends_pid_1(box: AgentBox) -> None:
    """Nor stops it: it answers as before."""
    signals = "KILL STOP TERM INT HUP QUIT USR1 SEGV ALRM TSTP"
    box.shell(f"for s in {signals}; do kill -$s 1 || true; done; pkill -KILL python3 || true")
    assert box.shell("echo alive") == "alive\n"


def test_nobody_inside_can_write_or_read_through_pid_1(box: AgentBox) -> None:
    """No message is forged, neither through /proc nor by a link where PID 1 will write."""
    assert box.shell(f"echo '{FORGED}' 2>/dev/null >/proc/1/fd/1 || echo denied") == "denied\n"
    assert box.shell("cat /proc/1/environ 2>/dev/null || echo denied") == "denied\n"
    box.shell("cd ~/.bakeoff; for i in $(seq 20); do ln -s /proc/1/fd/1 transcript-$i.jsonl; done")
    assert box.shell(f"echo '{FORGED}'") == f"{FORGED}\n"
    box.begin("rm -rf ~/.bakeoff; ln -s /proc/1/fd ~/.bakeoff")
    box.wait_for(TurnFinished)
    assert box.shell(f"echo '{FORGED}'") == f"{FORGED}\n"
    assert not [message for message in box.messages if isinstance(message, Stopped)]


def test_a_flood_of_output_is_bounded(box: AgentBox) -> None:
    """The beginning and the end of 80 MB are kept; the end is where results stand."""
    box.begin("echo first; head -c 80000000 /dev/zero | tr '\\0' 'x'; echo; echo last")
    finished, printed = box.end(60)
    assert finished.exit_code == 0
    assert printed.startswith("first\nxxx")
    assert printed.endswith("xxx\nlast\n")
    assert '{"type":"bakeoff.skipped","bytes":' in printed
    assert len(printed) < 50 << 20


def test_a_runner_may_leave_and_come_back(box: AgentBox) -> None:
    """The turn goes on meanwhile, and its end is in the log."""
    box.begin("until [ -e go ]; do sleep 0.05; done; echo done")
    box.leave()
    box.come_back()
    box.engine.put_files(box.container, "/workspace", {"go": b""})
    assert box.end()[1] == "done\n"
    box.log('{"event":"turn.finished"')


def test_the_deadline_holds_without_a_host(engine: Engine) -> None:
    """A container whose runner is gone ends itself, and what runs in it."""
    with agent_box(engine) as box:
        box.start(deadline_seconds=10)
        box.begin("trap '' TERM; while :; do sleep 1; done")
        box.leave()
        assert box.exited(60).exit_code == 0
        box.log('{"event":"stopped","reason":"deadline"}')


def test_sigterm_from_outside_ends_it_in_time(box: AgentBox) -> None:
    """`docker stop` needs no SIGKILL, though a turn runs that will not end."""
    box.begin("trap '' TERM; echo up > up; while :; do sleep 1; done")
    box.wait_for_file("/workspace/up")  # the order to begin and the signal come by different ways
    box.engine.stop(box.container, 10)
    state = box.exited()
    assert state.exit_code == 0
    assert box.wait_for(TurnFinished).exit_code == -9
    assert box.wait_for(Stopped).reason == "SIGTERM"


def test_the_end_of_a_run(box: AgentBox) -> None:
    """After `stop` no trial is taken, one closing turn runs, and the repository is packed."""
    box.send(Stop("8 hours are spent", 60))
    box.begin("trial; echo code $?; echo done > STATUS.md; git add -A; git commit -qm Closing")
    _, printed = box.end()
    assert "8 hours are spent" in printed
    assert printed.endswith("code 4\n")
    assert box.wait_for(Stopped).reason == "stop"
    assert box.exited().exit_code == 0
    assert box.read("/home/agent/.bakeoff/repo.bundle").startswith("# v")
    assert box.read("/workspace/STATUS.md") == "done\n"


def test_a_stop_without_grace_ends_at_once(box: AgentBox) -> None:
    """And so does the end of the grace period, for a turn that will not end."""
    box.begin("trap '' TERM; while :; do sleep 1; done")
    box.send(Stop("no more", 1))
    assert box.wait_for(Stopped, 40).reason == "end of grace"


def test_a_restarted_container_takes_up_its_repository(box: AgentBox) -> None:
    """The commits stay; nothing is committed anew."""
    box.shell("echo x > x; git add x; git commit -qm Mine")
    box.engine.kill(box.container)
    box.exited()
    box.come_back()
    box.engine.start(box.container)
    box.start()
    assert box.shell("git log --format=%s") == "Mine\nStart of the run\n"


def test_its_log_is_for_people(box: AgentBox) -> None:
    """Short lines say what happened; what an agent prints cannot spoil a terminal."""
    said = '{"type":"message","role":"assistant","content":"I \\u001b[2J try"}'  # Gemini CLI's form
    box.shell(f"echo '{said}'")
    box.send(Start({}))  # a second start changes nothing
    box.send(Stop("the test is over", 0))
    box.exited()
    people = [line for line in box.log().splitlines() if not line.startswith('{"event":')]
    assert any("model: I ?[2J try" in line for line in people)
    assert any("turn 1 started: bash" in line for line in people)
    assert any("the run is over: the test is over" in line for line in people)
    assert all(line.isprintable() and len(line) < 250 for line in people)


def test_a_start_that_cannot_be_used_ends_it(engine: Engine) -> None:
    """The problem names the field, nothing is run, and the exit code is 2."""
    with agent_box(engine) as box:
        box.wait_for(Ready)
        box.send(Start({"run_id": box.run_id, "branch": "bakeoff/test"}))
        assert box.wait_for(Problem).message == "deadline_seconds is missing"
        assert box.wait_for(Stopped).reason == "the start message cannot be used"
        assert box.exited().exit_code == 2
