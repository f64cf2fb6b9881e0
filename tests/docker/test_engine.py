"""Docker through `Engine`: what is read of it is bounded, and what it raises is our own error."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.errors import EngineError, ImageError

from .container_log import container_log

ECHO = "import sys\nfor line in sys.stdin:\n    print('heard', line.strip(), flush=True)\n"
LEAVE_THINGS = """
import os
os.chdir("/inside/put")
open("text.txt", "w").write("0123456789")
os.symlink("text.txt", "link.txt")
os.symlink("/etc/passwd", "passwd")
os.mkdir("folder")
os.mkfifo("pipe")
print(open("/inside/put/deep/file.txt").read(), os.stat("/inside/put/deep").st_uid)
"""
Make = Callable[..., str]


@pytest.fixture
def make(engine: Engine, run_id: str) -> Make:
    """Makes containers of the base image that run a Python program."""

    def _make(program: str, **fields: object) -> str:
        spec = {
            "name": f"bakeoff-{run_id}-{uuid.uuid4().hex[:6]}", "image": image_tag("base"),
            "run_id": run_id, "role": "agent", "command": ["python3", "-uc", program], **fields,
        }  # fmt: skip
        return engine.create(ContainerSpec(**spec))  # type: ignore[arg-type]

    return _make


def test_a_container_can_be_attached_to_again(engine: Engine, make: Make) -> None:
    """Lines go both ways; after one client has closed, the next one talks with the same program."""
    container = make(ECHO)
    for number, word in enumerate(("one", "two")):
        channel = engine.attach(container)
        if number == 0:
            engine.start(container)
        channel.send(f"{word}\n".encode())
        assert next(channel.lines()) == (True, f"heard {word}")
        channel.close()
    assert container_log(engine, container, "heard two\n") == "heard one\nheard two\n"


def test_writing_to_a_container_that_has_ended_is_an_error(engine: Engine, make: Make) -> None:
    """The error is an `EngineError`."""
    channel = engine.attach(make("pass"))
    channel.close()
    with pytest.raises(EngineError, match="it is gone"):
        channel.send(b"anybody?\n")


def test_files_go_in_and_regular_ones_come_out(engine: Engine, make: Make, run_id: str) -> None:
    """What is put in belongs to the container's user; links, folders and pipes stay inside."""
    volume = f"bakeoff-{run_id}-work"
    engine.create_volume(volume, run_id=run_id)
    container = make(LEAVE_THINGS, mounts=(Mount(volume, "/inside"),))
    engine.put_files(container, "/inside", {"put/deep/file.txt": b"put in"})
    engine.start(container)
    state = engine.wait_exit(container, 30)
    assert state is not None
    assert b"".join(engine.logs(container)) == b"put in 1000\n"
    assert engine.get_file(container, "/inside/put/text.txt", 100) == b"0123456789"
    assert engine.get_file(container, "/inside/put/text.txt", 4) == b"0123"
    for path in ("link.txt", "passwd", "folder", "pipe", "missing", "folder/missing"):
        assert engine.get_file(container, f"/inside/put/{path}", 100) is None, path


def test_waiting_for_an_exit_has_a_time_limit(engine: Engine, make: Make) -> None:
    """It returns the exit code of a container that ended, and None for one that still runs."""
    ended, runs = make("raise SystemExit(7)"), make("import time\ntime.sleep(1000)")
    for container in (ended, runs):
        engine.start(container)
    state = engine.wait_exit(ended, 30)
    assert state is not None
    assert (state.status, state.exit_code) == ("exited", 7)
    assert engine.wait_exit(runs, 0.2) is None
    engine.kill(runs)
    killed = engine.wait_exit(runs, 30)
    assert killed is not None
    assert killed.exit_code == 137


def test_killing_stopping_and_removing_may_be_repeated(engine: Engine, make: Make) -> None:
    """For a container that has ended or is missing they do nothing."""
    container = make("pass")
    engine.start(container)
    assert engine.wait_exit(container, 30)
    for _ in range(2):
        engine.kill(container)
        engine.stop(container, 1)
        engine.remove(container)
    assert engine.inspect(container) is None
    assert engine.wait_exit(container, 1) is None
    engine.remove_volume("bakeoff-test-no-such-volume")


def test_what_a_run_has_is_found_by_its_id(engine: Engine, make: Make, run_id: str) -> None:
    """Containers and volumes are listed for one run, and for all runs together."""
    container = make("pass", role="trial")
    engine.create_volume(f"bakeoff-{run_id}-home", run_id=run_id)
    (state,) = engine.containers(run_id)
    assert (state.id, state.run_id, state.role, state.status) == (
        container, run_id, "trial", "created",
    )  # fmt: skip
    assert [volume.name for volume in engine.volumes(run_id)] == [f"bakeoff-{run_id}-home"]
    assert container in [each.id for each in engine.containers()]
    assert f"bakeoff-{run_id}-home" in [each.name for each in engine.volumes()]
    assert engine.containers("test-nobody") == []


def test_a_volume_in_use_is_not_removed(engine: Engine, make: Make, run_id: str) -> None:
    """The engine's refusal becomes an `EngineError`, and the volume stays."""
    volume = f"bakeoff-{run_id}-used"
    engine.create_volume(volume, run_id=run_id)
    make("pass", mounts=(Mount(volume, "/inside"),))
    with pytest.raises(EngineError, match="the engine refused"):
        engine.remove_volume(volume)
    assert [each.name for each in engine.volumes(run_id)] == [volume]


def test_a_missing_image_is_an_error_with_a_hint(engine: Engine, make: Make) -> None:
    """The error names the container that needs it, the hint says how to build it."""
    with pytest.raises(ImageError, match="creating container") as caught:
        make("pass", image="bakeoff/no-such-image:0")
    assert "make images" in caught.value.hint
    assert engine.image_labels("bakeoff/no-such-image:0") is None
    assert engine.image_digest("bakeoff/no-such-image:0") == ""


def test_an_engine_reports_its_machine(engine: Engine) -> None:
    """Limits are computed from the size of the machine."""
    info = engine.info()
    assert info.id
    assert info.version
    assert info.cpus >= 1
    assert info.memory_bytes > 1 << 30


def test_a_line_without_an_end_stays_bounded(engine: Engine, make: Make) -> None:
    """It comes in pieces, and closing the channel ends the reading."""
    container = make("import sys\nwhile True:\n    sys.stdout.write('x' * 65536)")
    channel = engine.attach(container)
    engine.start(container)
    lines = channel.lines()
    pieces = [next(lines) for _ in range(3)]
    channel.close()
    engine.kill(container)
    assert all(set(text) == {"x"} and len(text) <= 2 << 20 for _, text in pieces)
