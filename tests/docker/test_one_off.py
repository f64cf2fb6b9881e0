"""A container that answers one question is bounded, and gone as soon as it has answered."""

from __future__ import annotations

import threading
import time

from runner.build.images import image_tag
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.engine.one_off import MAX_OUTPUT_BYTES, Bounds, Finished

READ = "print(open('/inside/note.txt').read()); raise SystemExit(3)"
FLOOD = "for n in range(40_000): print(n)\nprint('the end')"
FOREVER = "import time; time.sleep(600)"


def spec(run_id: str, program: str, *mounts: Mount) -> ContainerSpec:
    """A container of the base image that runs a program."""
    return ContainerSpec(
        name=f"bakeoff-{run_id}-once", image=image_tag("base"), run_id=run_id, role="fresh",
        entrypoint=["python3", "-c", program], mounts=mounts,
    )  # fmt: skip


def test_files_are_there_and_the_exit_code_comes_back(engine: Engine, run_id: str) -> None:
    """They are written to a volume before the program starts; nothing of the container is left."""
    volume = f"bakeoff-{run_id}-work"
    engine.create_volume(volume, run_id=run_id)
    asked = spec(run_id, READ, Mount(volume, "/inside"))
    for word in (b"first", b"second"):
        ran = one_off.run(engine, asked, Bounds(60), {"/inside": {"note.txt": word}})
        assert ran == Finished(3, word.decode())
        assert not engine.containers(run_id)


def test_only_the_end_of_a_flood_is_kept(engine: Engine, run_id: str) -> None:
    """What a contestant's code prints takes no more memory here than it may."""
    ran = one_off.run(engine, spec(run_id, FLOOD), Bounds(60))
    assert ran.exit_code == 0
    assert ran.output.endswith("39999\nthe end")
    assert len(ran.output) <= MAX_OUTPUT_BYTES


def test_a_program_that_does_not_end_is_ended(engine: Engine, run_id: str) -> None:
    """At its time-out, and before that once nobody waits for it any more."""
    assert one_off.run(engine, spec(run_id, FOREVER), Bounds(2)).exit_code is None
    assert not engine.containers(run_id)
    abandon, began = threading.Event(), time.monotonic()

    def abandon_it() -> None:
        while not any(state.status == "running" for state in engine.containers(run_id)):
            time.sleep(0.05)
        abandon.set()

    threading.Thread(target=abandon_it, daemon=True).start()
    ran = one_off.run(engine, spec(run_id, FOREVER), Bounds(300, abandon))
    assert ran.exit_code is None
    assert abandon.is_set()
    assert time.monotonic() - began < 120
    assert not engine.containers(run_id)
