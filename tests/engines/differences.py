"""Where an engine or a runtime differs from Docker's engine with runc: what is so there, and why.

Nothing is left out because of a difference: the tests assert what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.engines.under import Name


@dataclass(frozen=True)
class Difference:
    """What a test finds there, and why that is so."""

    found: Any
    why: str


_USUAL_STATUS = {"CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16}
DIFFERENCES: Mapping[tuple[Name, str], Difference] = {
    ("gvisor", "status"): Difference(
        _USUAL_STATUS | {"Seccomp": "0"},
        "gVisor has no line for NoNewPrivs, and uses no profile of the engine's: what reaches the "
        "machine's kernel is filtered by a profile of its own, around the whole sandbox",
    ),
    ("gvisor", "open of pid 1"): Difference(
        ["environ", "stdin", "stdout"],
        "this gVisor gives whoever has PID 1's user its files in /proc, dumpable or not, and lets "
        "it be killed from inside; its memory and ptrace are closed. So a contestant can end its "
        "own container, and write what looks like a word of its PID 1",
    ),
    ("gvisor", "too many processes"): Difference(
        "ended",
        "the bound counts gVisor's own threads as well, and at it the whole sandbox ends",
    ),
    ("gvisor", "node"): Difference(
        True, "a node can be made in a tmpfs, but no driver is behind it: opening it is ENXIO"
    ),
    ("podman", "a second client talks"): Difference(
        False,
        "conmon closes PID 1's stdin when the client leaves (it is started without "
        "--leave-stdin-open), so PID 1 ends as after `stop`; a runner that comes back opens the "
        "containers anew anyway, on the same volumes",
    ),
    ("podman", "link.txt"): Difference(
        b"0123456789",
        "the last link of a path is followed, within the volume only: what comes out is another "
        "file that the container's user wrote",
    ),
}


def expected(name: Name, fact: str, usual: Any) -> Any:
    """What is so there: what is usual, unless a difference is listed."""
    difference = DIFFERENCES.get((name, fact))
    return usual if difference is None else difference.found
