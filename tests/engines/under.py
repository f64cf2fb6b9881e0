"""What the tests of this folder run under: an engine of some kind, and a runtime.

`make test-engines` names the engine by DOCKER_HOST, and gVisor's runtime by BAKEOFF_TEST_RUNTIME.
Where an engine differs from Docker's with runc, `differences.py` says how and why.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from runner.engine.client import Engine

RUNTIME = os.environ.get("BAKEOFF_TEST_RUNTIME") or None
Name = Literal["docker", "podman", "gvisor"]


@dataclass(frozen=True)
class Under:
    """What the tests run under.

    Attributes:
        name: what `differences.py` calls it.
        runtime: what the contestant's containers ask for.
        bounds_hold: memory and processes are bounded, by what the engine says of its runtime.
    """

    name: Name
    runtime: str | None
    bounds_hold: bool

    @classmethod
    def of(cls, engine: Engine) -> Under:
        machine = engine.info()
        used = machine.runtime(RUNTIME)
        name: Name = "gvisor" if used.name == "runsc" else machine.kind
        return cls(name, RUNTIME, used.bounds_hold)
