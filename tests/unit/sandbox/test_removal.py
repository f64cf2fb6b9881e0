"""What is removed of a run whose runner was killed while the engine still made something of it."""

from __future__ import annotations

import pytest

from runner.engine.containers import ContainerState, VolumeState
from runner.errors import EngineError
from runner.sandbox.removal import remove_run
from tests.unit.sandbox.scripted_engine import ScriptedEngine

LATE = ContainerState("late", "bakeoff-x-judge", "x", "judge", "created", 0, oom_killed=False)


class LateEngine(ScriptedEngine):
    """An engine that makes a container once the others were listed; it holds what it uses."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = 0
        self.left = {"late", "network", "volume"}

    def containers(self, run_id: str | None = None) -> list[ContainerState]:  # noqa: ARG002
        self.listed += 1
        return [LATE] if self.listed > 1 and "late" in self.left else []

    def networks(self, run_id: str | None = None) -> dict[str, str]:  # noqa: ARG002
        return dict.fromkeys(self.left & {"network"}, "x")

    def volumes(self, run_id: str | None = None) -> list[VolumeState]:  # noqa: ARG002
        return [VolumeState(name, "x", "") for name in self.left & {"volume"}]

    def remove(self, container: str) -> None:
        self.left.discard(container)

    def remove_network(self, name: str) -> None:
        self._release(name)

    def remove_volume(self, name: str) -> None:
        self._release(name)

    def _release(self, name: str) -> None:
        if "late" in self.left:
            raise EngineError(f"removing {name}: it is in use")
        self.left.discard(name)


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_a_container_that_is_made_late_is_removed_too(kind: str) -> None:
    """With the network and the volume that it holds."""
    engine = LateEngine()
    engine.left = {"late", kind}
    remove_run(engine, "x")
    assert engine.left == set()
