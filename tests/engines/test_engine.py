"""What the runner does through the engine: attach, files, ends, labels, volumes, pauses."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from tests.docker.container_log import container_log
from tests.docker.test_engine import ECHO, LEAVE_THINGS
from tests.engines.differences import expected
from tests.engines.under import RUNTIME, Under

Make = Callable[..., str]
ALIVE = "import time\nwhile True:\n    print('alive', flush=True)\n    time.sleep(0.1)\n"


@pytest.fixture
def make(engine: Engine, run_id: str) -> Make:
    """Makes containers of the base image that run a Python program, as a contestant's are made."""

    def _make(program: str, **fields: object) -> str:
        spec = {
            "name": f"bakeoff-{run_id}-{uuid.uuid4().hex[:6]}", "image": image_tag("base"),
            "run_id": run_id, "role": "agent", "command": ["python3", "-uc", program],
            "runtime": RUNTIME, **fields,
        }  # fmt: skip
        return engine.create(ContainerSpec(**spec))  # type: ignore[arg-type]

    return _make


def test_lines_go_both_ways(engine: Engine, make: Make) -> None:
    """Attached before the start, a client misses nothing, and PID 1 hears it."""
    container = make(ECHO)
    channel = engine.attach(container)
    engine.start(container)
    channel.send(b"one\n")
    assert next(channel.lines()) == (True, "heard one")
    channel.close()


def test_a_second_client_talks_with_pid_1(engine: Engine, make: Make, under: Under) -> None:
    """After a detach PID 1 goes on, and whoever attaches is heard; or it has ended."""
    container = make(ECHO)
    first = engine.attach(container)
    engine.start(container)
    first.send(b"one\n")
    assert next(first.lines()) == (True, "heard one")
    first.close()
    if expected(under.name, "a second client talks", True):
        second = engine.attach(container)
        second.send(b"two\n")
        assert next(second.lines()) == (True, "heard two")
        second.close()
        assert container_log(engine, container, "heard two\n") == "heard one\nheard two\n"
    else:
        ended = engine.wait_exit(container, 30)
        assert ended is not None
        assert ended.exit_code == 0


def test_files_go_in_and_regular_ones_come_out(
    engine: Engine, make: Make, run_id: str, under: Under
) -> None:
    """What is put in is the user's; folders, pipes and links out of the volume give nothing."""
    volume = f"bakeoff-{run_id}-work"
    engine.create_volume(volume, run_id=run_id)
    container = make(LEAVE_THINGS, mounts=(Mount(volume, "/inside"),))
    engine.put_files(container, "/inside", {"put/deep/file.txt": b"put in"})
    engine.start(container)
    assert engine.wait_exit(container, 60) is not None
    assert b"".join(engine.logs(container)) == b"put in 1000\n"
    assert engine.get_file(container, "/inside/put/text.txt", 100) == b"0123456789"
    assert engine.get_file(container, "/inside/put/text.txt", 4) == b"0123"
    for path in ("link.txt", "passwd", "folder", "pipe", "missing", "folder/missing"):
        found = engine.get_file(container, f"/inside/put/{path}", 100)
        assert found == expected(under.name, path, None), path


def test_ends_are_seen_and_may_be_asked_for_again(engine: Engine, make: Make) -> None:
    """The exit code is the program's or 137; to end what has ended, or is gone, does nothing."""
    ended, runs = make("raise SystemExit(7)"), make(ALIVE)
    for container in (ended, runs):
        engine.start(container)
    state = engine.wait_exit(ended, 60)
    assert state is not None
    assert (state.status, state.exit_code) == ("exited", 7)
    assert engine.wait_exit(runs, 0.2) is None
    for _ in range(2):
        engine.kill(runs)
        killed = engine.wait_exit(runs, 60)
        assert killed is not None
        assert killed.exit_code == 137
    for _ in range(2):
        engine.stop(runs, 1)
        engine.remove(runs)
    assert engine.inspect(runs) is None


def test_a_paused_container_can_be_ended(engine: Engine, make: Make) -> None:
    """Frozen, it says nothing more; it goes on, and is removed while it is frozen again."""
    container = make(ALIVE)
    engine.start(container)
    engine.pause(container)
    state = engine.inspect(container)
    assert state is not None
    assert state.status == "paused"
    engine.unpause(container)
    engine.pause(container)
    engine.remove(container)
    assert engine.inspect(container) is None


def test_what_a_run_has_is_found_by_its_id(engine: Engine, make: Make, run_id: str) -> None:
    """Containers and volumes carry labels, by which they are listed for one run."""
    container = make("pass", role="trial")
    engine.create_volume(f"bakeoff-{run_id}-home", run_id=run_id)
    (state,) = engine.containers(run_id)
    assert (state.id, state.run_id, state.role) == (container, run_id, "trial")
    assert [volume.name for volume in engine.volumes(run_id)] == [f"bakeoff-{run_id}-home"]


def test_the_engine_is_the_same_machine_at_each_call(engine: Engine) -> None:
    """A calibration and the noise of a task belong to a machine, by its id."""
    assert engine.info().id
    assert engine.info().id == engine.info().id
