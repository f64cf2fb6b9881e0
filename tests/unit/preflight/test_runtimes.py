"""A runtime that the engine does not have is refused, and one that is unlike others is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.engine.containers import EngineInfo, Runtime
from runner.errors import UserError
from runner.preflight import runtimes

RUNC, RUNSC = Runtime("runc"), Runtime("runsc", ("--platform=ptrace",))
IGNORING = Runtime("runsc", ("--ignore-cgroups",))
MACHINE = EngineInfo(
    id="x", version="27.0", cpus=8, memory_bytes=10 << 30, gpus=False,
    runtimes=(RUNC, RUNSC), default_runtime="runc", seccomp="default",
)  # fmt: skip
PODMAN = replace(MACHINE, kind="podman", runtimes=(RUNC,))


def test_a_runtime_that_the_engine_has_passes() -> None:
    """The usual one needs no word; gVisor's is named."""
    assert runtimes.check(None, MACHINE) == ""
    assert runtimes.check("runc", MACHINE) == ""
    assert runtimes.check("runsc", MACHINE) == "contestant, trials and judge run under runsc"
    assert runtimes.check("runc", PODMAN) == ""


def test_bounds_that_do_not_hold_are_said() -> None:
    """An entry that ignores control groups is told at each run, also where it is the default."""
    ignoring = replace(MACHINE, runtimes=(RUNC, IGNORING))
    assert "bounding memory" in runtimes.check("runsc", ignoring)
    assert "bounding memory" in runtimes.check(None, replace(ignoring, default_runtime="runsc"))


def test_a_runtime_that_is_not_there_is_refused() -> None:
    """The error names those that there are, the hint where an entry belongs."""
    with pytest.raises(UserError, match=r"RUNTIME=kata.*runc, runsc") as caught:
        runtimes.check("kata", MACHINE)
    assert "daemon.json" in caught.value.hint


def test_podman_takes_no_runtime_from_a_request() -> None:
    """It would ignore the wish without a word, so the hint names its configuration."""
    with pytest.raises(UserError, match="Podman takes no runtime") as caught:
        runtimes.check("runsc", PODMAN)
    assert "containers.conf" in caught.value.hint


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (MACHINE, ["runc by default", "RUNTIME can be runsc"]),
        (PODMAN, ["runc by default", "no runsc (gVisor)"]),
        (replace(MACHINE, runtimes=(RUNC, IGNORING)), ["runsc, whose options keep it from"]),
        (replace(MACHINE, runtimes=(), default_runtime=""), ["the engine names none"]),
    ],
)
def test_the_doctor_names_the_runtimes(machine: EngineInfo, words: list[str]) -> None:
    """The default, the others, whether gVisor is there, and whose bounds do not hold."""
    said = runtimes.in_words(machine)
    assert all(word in said for word in words), said


def test_the_doctor_names_the_filter_of_system_calls() -> None:
    """The engine's own, or that there is none."""
    assert "its own is default" in runtimes.seccomp_in_words(MACHINE)
    assert "no filter" in runtimes.seccomp_in_words(replace(MACHINE, seccomp=""))
