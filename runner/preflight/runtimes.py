"""Whether the engine has the runtime that a run asks for, and what the doctor says of its runtimes.

The invariant: a run under another runtime than the machine's usual one says so, and one that the
engine cannot give is refused before anything is made.
"""

from __future__ import annotations

from runner.engine.containers import EngineInfo
from runner.errors import UserError

GVISOR = "runsc"
UNBOUNDED = ", whose options keep it from bounding memory, processes and processors"


def check(asked: str | None, machine: EngineInfo) -> str:
    """Refuse a runtime that the engine cannot give to the containers of a run.

    Args:
        asked: RUNTIME; None for the engine's own.
        machine: what the engine is.

    Returns:
        What people should know of the runtime of contestant, trials and judge; "" if that is
        nothing.

    Raises:
        UserError: RUNTIME names one that the engine does not have, or that it takes from its own
            configuration alone.
    """
    if asked is not None and asked not in [runtime.name for runtime in machine.runtimes]:
        raise _refusal(asked, machine)
    used = machine.runtime(asked)
    if used.is_native and used.bounds_hold:
        return ""
    return f"contestant, trials and judge run under {used.name}" + UNBOUNDED * (
        not used.bounds_hold
    )


def _refusal(asked: str, machine: EngineInfo) -> UserError:
    if machine.kind == "podman":
        return UserError(
            f"checking RUNTIME={asked}: Podman takes no runtime from a request; all its containers "
            f"have {machine.default_runtime}",
            hint=f'write `runtime = "{asked}"` below [engine] in containers.conf and start '
            "Podman's service again, or leave RUNTIME out",
        )
    known = ", ".join(runtime.name for runtime in machine.runtimes) or "none that it names"
    return UserError(
        f"checking RUNTIME={asked}: the engine has no runtime of that name, only {known}",
        hint="install it, and give it an entry below `runtimes` in the engine's daemon.json; "
        "docs/engines.md has that of runsc",
    )


def in_words(machine: EngineInfo) -> str:
    """The runtimes of an engine for the doctor; gVisor's is named also where it is not there."""
    default = machine.runtime(None)
    others = [one.name for one in machine.runtimes if one.name != default.name]
    said = [f"{default.name or 'the engine names none'} by default"]
    if others:
        said.append(f"RUNTIME can be {', '.join(others)}")
    if GVISOR not in [runtime.name for runtime in machine.runtimes]:
        said.append(f"no {GVISOR} (gVisor): docs/engines.md says how to get it")
    said += [f"{one.name}{UNBOUNDED}" for one in machine.runtimes if not one.bounds_hold]
    return "; ".join(said)


def seccomp_in_words(machine: EngineInfo) -> str:
    """Which filter of system calls the engine gives containers that bring none."""
    if not machine.seccomp:
        return "the engine has no filter of system calls: its kernel or its build lacks it"
    return f"the engine has filters of system calls, its own is {machine.seccomp}"
