"""The program that tries the lock, from inside: PID 1 of a container that is configured as a run's.

The host passes the text of these modules and the parameters as arguments (`runner/proof/program.py`
says how), so no image holds them. It prints one JSON line a probe, and before that one about the
machine. PID 1 closes itself to others as each PID 1 of ours does; the probes run in its children.

Parameters (JSON): the fields of `Box`; `list`: print the names of the probes instead of running
them; `leave`: a writable folder, in which what is to be found by the host is left at the end;
`log_megabytes`: print so much at the end.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import framework
import leaving
from framework import Box

ATTACKS = (
    "network", "sockets", "engine_sockets", "kernel_files", "namespaces", "init_process",
    "privileges", "kernel_interfaces", "places", "shares", "held_out_data", "model_gateway",
    "bombs",
)  # fmt: skip
DUTIES = "/opt/bakeoff"  # where an image has `pid1`
PR_SET_DUMPABLE = 4


def box_of(parameters: dict[str, Any]) -> Box:
    """The container that the host describes."""
    known = {name: parameters[name] for name in Box._fields if name in parameters}
    for name in ("targets", "tmpfs"):
        known[name] = tuple(tuple(pair) for pair in parameters.get(name, ()))
    for name in ("writable", "read_only"):
        known[name] = tuple(parameters.get(name, ()))
    return Box(**known)


def close_to_others() -> None:
    """What each PID 1 of ours does first, by its own program where the image has it."""
    sys.path.append(DUTIES)
    try:
        importlib.import_module("pid1").close_to_others()
    except ModuleNotFoundError:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Of this signal it is asked who may send it. Where PID 1 would end of it, the answer were lost.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def become_contestant() -> None:
    """A contestant's process is started anew, which opens it again; a child of ours is not."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def machine() -> dict[str, str]:
    """The kernel and the boot of the engine's machine, as they are seen from inside."""
    about = os.uname()
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "kernel": f"{about.release} {about.version} {about.machine}",
        "boot": boot.read_text().strip() if boot.exists() else "",
    }


def leave(folder: str) -> None:
    """Leave a daemon and artefacts, as a contestant's process."""
    child = os.fork()
    if not child:
        become_contestant()
        leaving.leave_artefacts(folder)
        leaving.leave_daemon(folder)
        leaving.wait_for_beats(folder)
        os._exit(0)
    os.waitpid(child, 0)


def main(parameters: dict[str, Any]) -> None:
    """Run the probes that the parameters ask for."""
    box = box_of(parameters)
    for name in ATTACKS:
        importlib.import_module(name)
    if parameters.get("list"):
        names = [[one.kind, one.name, one.part] for one in framework.chosen(box)]
        say(json.dumps(names).encode() + b"\n")
        return
    _, core_bytes = resource.getrlimit(resource.RLIMIT_CORE)
    close_to_others()
    say(json.dumps({"machine": machine()}).encode() + b"\n")
    for line in framework.run_all(box._replace(core_bytes=core_bytes), become_contestant):
        say(line)
    if parameters.get("leave"):
        leave(str(parameters["leave"]))
    if parameters.get("log_megabytes"):
        importlib.import_module("bombs").print_without_end(int(parameters["log_megabytes"]))
