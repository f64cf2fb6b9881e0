"""The program of probes, as text that a container is given: no image holds it.

Invariant: what runs is what lies in `images/probe/`, and the names of the probes that must answer
come from the same text, read on the host. A probe that says nothing is therefore noticed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from runner.engine.containers import ContainerSpec
from runner.errors import SandboxError
from runner.records.layout import ROOT

FOLDER = ROOT / "images" / "probe"
PYTHON = "/usr/bin/python3"  # of Debian, which every image stands on
LISTING_SECONDS = 60.0
# What decides which probes have a meaning in a container. They are few, so that a run whose
# containers are alike lists its probes once.
DECISIVE = ("part", "network", "gateway", "runtime")
Chosen = Literal["quick", "all", "bombs"]
Name = tuple[str, str]  # the class of an attack, and what is tried

# Imports the modules from its first argument, and gives the second one to `main`.
LOADER = """
import base64, json, sys, zlib
from importlib.machinery import ModuleSpec
texts = json.loads(zlib.decompress(base64.b64decode(sys.argv[1])))
class Texts:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in texts else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        code = compile(texts[module.__name__], module.__name__ + ".py", "exec")
        exec(code, module.__dict__)
sys.meta_path.insert(0, Texts())
import main
main.main(json.loads(sys.argv[2]))
"""


@cache
def packed_modules() -> str:
    """All modules of the program in one argument; Linux allows an argument of 128 KiB."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    return base64.b64encode(zlib.compress(json.dumps(texts).encode(), 9)).decode()


def parameters(
    spec: ContainerSpec,
    part: Chosen,
    targets: Iterable[tuple[str, int]] = (),
    *,
    gateway: bool = False,
) -> dict[str, Any]:
    """What the program is told of its container.

    Args:
        spec: the container.
        part: which probes run.
        targets: addresses (host, port) that it tries to reach.
        gateway: a gateway of the container's run listens now.
    """
    return {
        "role": spec.role,
        "network": spec.network != "none",
        "part": part,
        "targets": list(targets),
        "writable": [mount.target for mount in spec.mounts if not mount.read_only],
        "read_only": [mount.target for mount in spec.mounts if mount.read_only],
        "tmpfs": sorted(spec.tmpfs.items()),
        "shm_bytes": spec.shm_bytes,
        "memory_bytes": spec.memory_bytes,
        "cpus": spec.cpus,
        "cpu_weight": spec.cpu_weight,
        "cpuset": spec.cpuset or "",
        "pids": spec.pids,
        "gpu": spec.gpu is not None,
        "gateway": gateway,
        "runtime": spec.runtime or "",
    }


def argv(told: Mapping[str, Any], python: str = PYTHON) -> list[str]:
    """The command line of the program; `-I` keeps the container's own modules out."""
    return [python, "-I", "-c", LOADER, packed_modules(), json.dumps(told)]


def with_program(spec: ContainerSpec, told: Mapping[str, Any]) -> ContainerSpec:
    """The container with the program of probes as its PID 1."""
    return replace(spec, entrypoint=argv(told), command=None)


def begin_listing(runtime: str | None) -> None:
    """List the probes of a run's containers, in a thread, before they are asked for.

    Whatever goes wrong is told to whoever asks for them.
    """
    told = {"part": "quick", "network": False, "gateway": False, "runtime": runtime or ""}
    threading.Thread(target=_ignoring_errors, args=(told,), name="listing", daemon=True).start()


def _ignoring_errors(told: Mapping[str, Any]) -> None:
    with contextlib.suppress(SandboxError):
        expected(told)


def expected(told: Mapping[str, Any]) -> list[Name]:
    """The probes that must answer in this container, in their order.

    Raises:
        SandboxError: the program cannot be read by this machine's Python.
    """
    decisive = {name: told[name] for name in DECISIVE}
    return list(_listed(json.dumps({**decisive, "role": "", "list": True})))


@cache
def _listed(told: str) -> tuple[Name, ...]:
    try:
        listed = subprocess.run(
            argv(json.loads(told), sys.executable),
            capture_output=True, text=True, check=True, timeout=LISTING_SECONDS,
        )  # fmt: skip
        return tuple((kind, name) for kind, name, _ in json.loads(listed.stdout))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise SandboxError(
            f"listing the probes of {FOLDER}: {str(said).strip()[-300:]}",
            hint="this is a defect in images/probe/, or a Python older than 3.11",
        ) from error
