"""A contestant that fills the disk is ended near its bound, and is told."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from runner.wire.config_reader import read_config
from runner.wire.disk_use import STILL_OPEN, Exceeded
from runner.wire.messages import DiskExceeded, TurnFinished
from tests.docker.agent_box import AgentBox, agent_box

MB = 1 << 20
BOUND = {"max_bytes": 256 * MB, "max_files": 5_000}
OVERSHOOT = 400 * MB  # of a writer that is slowed to 160 MB a second
SECONDS = 120.0
WRITE = """
import time
from pathlib import Path
{before}
for number in range(1_000_000):
    {step}
"""
BYTES = WRITE.format(
    before="", step="Path(f'x{number}').write_bytes(bytes(8 << 20)); time.sleep(0.05)"
)
FILES = WRITE.format(
    before="Path('many').mkdir(exist_ok=True)",
    step="Path(f'many/{number}-{time.time_ns()}').touch(); time.sleep(0.0002)",
)
UNLINKED = WRITE.format(
    before="kept = []",
    step=(
        "f = open('gone', 'wb'); f.write(bytes(8 << 20)); f.flush(); kept.append(f); "
        "Path('gone').unlink(); time.sleep(0.05)"
    ),
)
# Its size counts, and not what it takes: so it stays far below the bound of the volume.
ONE_FILE = "truncate -s 255M large; cat /dev/zero >> large; echo ended $?; stat -c %s large"


@pytest.fixture(scope="module")
def box(engine: Engine) -> Iterator[AgentBox]:
    """An agent's container whose volumes have a small bound."""
    with agent_box(engine) as made:
        made.start(disk=BOUND)
        yield made


@pytest.fixture(autouse=True)
def tidy(box: AgentBox) -> Iterator[None]:
    """Each test leaves as much as it found."""
    yield
    box.begin("rm -rf /workspace/x* /workspace/many /workspace/large ~/x*")
    box.end_of_turn(60)


def told(box: AgentBox) -> tuple[Exceeded, TurnFinished]:
    """What agentd says of the disk, and then of the turn's end."""
    said = read_config(Exceeded, box.wait_for(DiskExceeded, SECONDS).found)
    return said, box.end_of_turn(60)


@pytest.mark.parametrize("home", [False, True])
def test_a_turn_that_writes_without_end_is_ended(box: AgentBox, home: bool) -> None:
    """Near its bound; its files are left to it, and the largest are named."""
    place = "/home/agent" if home else "/workspace"
    turn = box.begin(f"cd {place}; python3 -c {BYTES!r}".replace("\\n", "\n"))
    said, finished = told(box)
    assert (said.turn, said.cut, said.path) == (turn, True, place)
    assert BOUND["max_bytes"] < said.bytes < BOUND["max_bytes"] + OVERSHOOT
    assert said.left_bytes >= said.bytes
    assert f"{place}/x" in said.largest[0]
    assert finished.exit_code == -9


def test_files_without_end_are_ended_too(box: AgentBox) -> None:
    """They are empty, so only their number tells; the folder that has them is named."""
    box.begin_turn(["python3", "-c", FILES])
    said, _ = told(box)
    assert said.files > BOUND["max_files"]
    assert said.bytes < BOUND["max_bytes"]
    assert any(phrase.startswith("/workspace/many (") for phrase in said.largest)


def test_deleted_files_that_stay_open_are_counted(box: AgentBox) -> None:
    """No name leads to them, and they are gone with the turn."""
    box.begin_turn(["python3", "-c", UNLINKED])
    said, _ = told(box)
    assert said.path == STILL_OPEN
    assert said.bytes > BOUND["max_bytes"]
    assert said.left_bytes < 64 * MB


def test_what_a_turn_left_running_is_ended(box: AgentBox) -> None:
    """A writer in a session of its own ends with the turn, and no further turn is cut for it."""
    box.begin_turn(["bash", "-c", 'setsid python3 -c "$PROGRAM" & sleep 600'], {"PROGRAM": BYTES})
    said, _ = told(box)
    assert said.cut
    assert box.shell("rm -f x*; sleep 2; ls x* 2>/dev/null | wc -l") == "0\n"


def test_one_file_has_a_bound_of_its_own(box: AgentBox) -> None:
    """The kernel ends whoever writes past it, however fast that is; the turn goes on."""
    box.begin(f"({ONE_FILE}) 2>/dev/null")
    printed = box.end(60)[1]
    assert "ended 153" in printed, "128 + SIGXFSZ"
    assert str(BOUND["max_bytes"]) in printed


def test_no_room_is_taken_without_writing(box: AgentBox) -> None:
    """One call would take the whole disk; what a program asks of the C library is written."""
    taking = (
        "import ctypes, os\n"
        "file = os.open('large', os.O_CREAT | os.O_RDWR)\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.fallocate(file, 1, ctypes.c_long(0), ctypes.c_long(1 << 40))\n"  # keeps the size
        "print(os.strerror(ctypes.get_errno()))\n"
        "os.posix_fallocate(file, 0, 1 << 20)\n"
        "print(os.fstat(file).st_blocks * 512)\n"
    )
    printed = box.shell(f"python3 -c {shlex.quote(taking)}")
    assert printed.splitlines() == ["Operation not supported", str(1 << 20)]


def test_what_the_agents_own_programs_write_after_a_turn_is_bounded(box: AgentBox) -> None:
    """Its login shell's files run when its sandbox is looked after, and are ended like a turn."""
    writing = "python3 -c " + shlex.quote(BYTES.replace("x{", "xprofile{"))
    box.begin(f"cat > ~/.bash_profile <<'END'\n{writing}\nEND\ncd ~")
    said, finished = told(box)
    assert (said.cut, finished.exit_code) == (True, 0)
    assert said.bytes < BOUND["max_bytes"] + OVERSHOOT
    box.begin("rm -rf ~/.bash_profile ~/x* /workspace/x*")
    box.end_of_turn(60)


def test_a_turn_after_that_has_room_to_clear_up(box: AgentBox) -> None:
    """It may write a sixteenth of the bound more, and what it leaves over the bound is told."""
    box.begin_turn(["python3", "-c", BYTES])
    first, _ = told(box)
    box.begin("head -c 4M /dev/zero > xtra; sync xtra; sleep 5; echo done")
    second, finished = told(box)
    assert (second.cut, finished.exit_code) == (False, 0)
    assert second.bytes >= first.left_bytes
    box.begin_turn(["python3", "-c", BYTES.replace("x{", "xy{")])
    third, _ = told(box)
    assert third.cut
    assert third.bytes < second.bytes + OVERSHOOT
    assert box.shell("rm -f x*; echo cleared") == "cleared\n"
