"""Nothing of a run is left on the engine, whatever its contestant made of its volumes."""

from __future__ import annotations

import uuid

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import container_name, volume_name
from runner.sandbox.removal import remove_run

AGENT_IMAGE = "bakeoff/agent-gemini:0.61.0"
# Folders in one another, more of them than the engine can open at once.
NEST = """
import os
os.chdir("/workspace")
os.makedirs("shut/inner")
os.symlink("/etc/passwd", "shut/inner/.emptying-1-1")
os.chmod("shut/inner", 0)
os.chmod("shut", 0)
for level in range(60_000):
    os.mkdir("a")
    os.chdir("a")
"""


def test_a_volume_of_very_deep_folders_is_removed(engine: Engine) -> None:
    """The engine alone fails on it with too many open files."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    volume = volume_name(run_id, "workspace")
    engine.create_volume(volume, run_id=run_id)
    spec = ContainerSpec(
        container_name(run_id, "agent"), AGENT_IMAGE, run_id, "agent",
        entrypoint=["python3", "-c", NEST], mounts=(Mount(volume, "/workspace"),),
    )  # fmt: skip
    container = engine.create(spec)
    engine.start(container)
    ended = engine.wait_exit(container, 500)
    assert ended is not None
    assert ended.exit_code == 0
    assert remove_run(engine, run_id) == 2
    assert (engine.containers(run_id), engine.volumes(run_id)) == ([], [])
