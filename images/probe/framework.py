"""How a probe is written, run and told of.

A probe is an attack and an allowed twin. The attack is a function that tries something: it returns
what it gained, in words, or raises the `OSError` with which the kernel refused. The twin does
something allowed by the same means; it must work, or else the attack's failure shows nothing:

    @attack("kernel interfaces", "userfaultfd", twin=twins.system_call)
    def userfaultfd(box):
        os.close(call("userfaultfd", 0))
        return "page faults can be handled"

Invariant: every probe that was chosen prints exactly one line. Probes run in a child. If one of
them ends that child, this is said of it, and another child goes on with the next one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

# What the kernel answers to what it does not allow. Any other error means that the probe is wrong.
REFUSALS = frozenset(
    {
        errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH,
        errno.ENETDOWN, errno.EOPNOTSUPP,
    }
)  # fmt: skip
# One probe that says nothing for so long is given up; a loaded machine needs some of it.
SLOWEST_SECONDS = {"quick": 10.0, "all": 240.0, "bombs": 240.0}
# Exit codes of a child: an attack has changed its process, or a probe is wrong.
CHANGED, BROKEN = 3, 4


class Box(NamedTuple):
    """What the container is, as the host says; see `runner/proof/program.py`."""

    role: str
    network: bool
    part: str
    targets: tuple[tuple[str, int], ...] = ()
    writable: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    tmpfs: tuple[tuple[str, int], ...] = ()
    shm_bytes: int = 0
    memory_bytes: int = 0
    cpus: float = 0.0
    cpu_weight: int = 0
    cpuset: str = ""
    pids: int = 0
    core_bytes: int = 0  # the hard limit with which PID 1 began
    gpu: bool = False
    gateway: bool = False
    runtime: str = ""


Attack = Callable[[Box], str]
Twin = Callable[[Box], object]


class Probe(NamedTuple):
    """One attack on one thing.

    Attributes:
        kind: the class of docs/threat-model.md.
        name: one of its kind within the class.
        run: the attack.
        twin: what must work.
        part: `quick`, `all`, or `bombs` (which run in a container of their own).
        applies: whether it has a meaning in a container.
        refusals: the errors that are a refusal.
        changes: whether its success changes the process, so that the next one needs another.
        ends: whether its success ends the container; it runs after all others.
    """

    kind: str
    name: str
    run: Attack
    twin: Twin
    part: str
    applies: Callable[[Box], bool]
    refusals: frozenset[int]
    changes: bool = False
    ends: bool = False


PROBES: list[Probe] = []


def always(_box: Box) -> bool:
    return True


def without_network(box: Box) -> bool:
    """Whether the container has no interface but loopback."""
    return not box.network


def attack(
    kind: str,
    name: str,
    *,
    twin: Twin,
    part: str = "quick",
    applies: Callable[[Box], bool] = always,
    also: tuple[int, ...] = (),
    changes: bool = False,
    ends: bool = False,
) -> Callable[[Attack], Attack]:
    """Make a probe of an attack.

    Args:
        kind: the class of docs/threat-model.md.
        name: what is tried, one of its kind within the class.
        twin: what is allowed and must work.
        part: `quick`, `all` or `bombs`.
        applies: whether it has a meaning in a container; it may ask for the network, the gateway
            and the runtime (`DECISIVE` in runner/proof/program.py).
        also: errors that are a refusal here, besides `REFUSALS`.
        changes: its success changes the process that runs it.
        ends: its success ends the container, so that it must hide no other probe.
    """

    def add(run: Attack) -> Attack:
        refusals = REFUSALS | set(also)
        PROBES.append(Probe(kind, name, run, twin, part, applies, refusals, changes, ends))
        return run

    return add


def act_of(name: str, act: Callable[[], object], passed: tuple[int, ...]) -> Attack:
    """An attack that is one act.

    Args:
        name: of the act, for people.
        act: succeeds by returning.
        passed: errors of the act that come only after the right to it was checked: a success too.
    """

    def run(_box: Box) -> str:
        try:
            act()
        except OSError as error:
            if error.errno in passed:
                return f"{name} was allowed, though it failed ({error})"
            raise
        return f"{name} was done"

    return run


def chosen(box: Box) -> list[Probe]:
    """The probes for a container, in the order in which they run."""
    parts = {"quick": {"quick"}, "all": {"quick", "all"}, "bombs": {"bombs"}}[box.part]
    found = [probe for probe in PROBES if probe.part in parts and probe.applies(box)]
    return sorted(found, key=lambda probe: probe.ends)


# --- one probe ------------------------------------------------------------------------------------


def tried(probe: Probe, box: Box) -> tuple[bool | None, str]:
    """Whether the attack succeeded, and what was seen; None where it says nothing."""
    try:
        gained = probe.run(box)
    except OSError as error:
        words = f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error}"
        return (False if error.errno in probe.refusals else None), words
    except Exception as error:  # noqa: BLE001 - a probe that is wrong must not hide the others
        return None, f"{type(error).__name__}: {error}"
    return bool(gained), gained


def twin_works(probe: Probe, box: Box, known: dict[Twin, str]) -> str:
    """Why the twin does not work, "" where it does; each twin is tried once."""
    if probe.twin not in known:
        try:
            known[probe.twin] = "" if probe.twin(box) else "it gave nothing"
        except Exception as error:  # noqa: BLE001 - whatever it is, the twin did not work
            known[probe.twin] = f"{type(error).__name__}: {error}"
    return known[probe.twin]


def line_of(probe: Probe, succeeded: bool | None, twin: str, seen: str, seconds: float) -> bytes:
    """What the host reads of a probe."""
    detail = seen if not twin else f"{seen}; its twin failed: {twin}"
    said = {
        "attack": probe.kind, "probe": probe.name, "succeeded": succeeded, "twin": not twin,
        "detail": detail[:500], "seconds": round(seconds, 4),
    }  # fmt: skip
    return json.dumps(said).encode() + b"\n"


# --- all of them ----------------------------------------------------------------------------------


def run_all(box: Box, prepare_child: Callable[[], object]) -> Iterator[bytes]:
    """Run the probes of a container, and yield a line for each, in their order.

    Args:
        box: the container.
        prepare_child: makes a child what a contestant's process is.
    """
    probes = chosen(box)
    for ends in (False, True):  # what was found is said before the container may end
        yield from _run_group([one for one in probes if one.ends == ends], box, prepare_child)


def _run_group(left: list[Probe], box: Box, prepare_child: Callable[[], object]) -> Iterator[bytes]:
    while left:
        reader, child = _in_child(left, box, prepare_child)
        said = 0
        for line in _lines(reader, SLOWEST_SECONDS[box.part]):
            said += 1
            yield line
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if said < len(left) and os.waitstatus_to_exitcode(status) != CHANGED:
            yield _ended(left[said], status)
            said += 1
        left = left[said:]


def _in_child(
    probes: list[Probe], box: Box, prepare_child: Callable[[], object]
) -> tuple[int, int]:
    """Start a child that runs them; the end of the pipe with its lines, and its number."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return reader, child
    try:
        os.close(reader)
        prepare_child()
        os._exit(_run(probes, box, writer))
    finally:
        os._exit(BROKEN)


def _run(probes: list[Probe], box: Box, writer: int) -> int:
    """Run the probes in this process; its exit code."""
    known: dict[Twin, str] = {}
    for probe in probes:
        began = time.perf_counter()
        twin = twin_works(probe, box, known)
        succeeded, seen = tried(probe, box)
        os.write(writer, line_of(probe, succeeded, twin, seen, time.perf_counter() - began))
        if succeeded and probe.changes:
            return CHANGED
    return 0


def _lines(reader: int, patience_seconds: float) -> Iterator[bytes]:
    """Each whole line of the pipe, until it ends or is silent for too long."""
    rest = b""
    while select.select([reader], [], [], patience_seconds)[0]:
        piece = os.read(reader, 1 << 16)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"


def _ended(probe: Probe, status: int) -> bytes:
    """What is said of the probe that ended its child, or that was given up."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS:
        return line_of(probe, False, "", "the kernel ended the process for this call", 0.0)
    return line_of(probe, None, "", f"it ended its process or gave no answer ({status})", 0.0)
