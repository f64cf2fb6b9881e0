"""`bakeoff doctor`, and the same checks before each run. They start and change nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.agents import agent_names, load_agent
from runner.build.images import load_table
from runner.devices.names import core_sets, cores_left
from runner.engine.client import Engine
from runner.errors import BakeoffError, HostError, UserError
from runner.limits import limits
from runner.preflight import runtimes
from runner.records.layout import RunDir
from runner.spec import RunSpec

FREE_BYTES = 2 << 30  # on the runner's disk, for records, logs and transcripts
SETUP_BYTES = 12 << 30  # for all images and their builds


@dataclass(frozen=True)
class Finding:
    """One row of the doctor's table."""

    subject: str
    ok: bool
    detail: str


def check_new(run_dir: RunDir) -> None:
    """Refuse a run id that is taken, so that no run is overwritten.

    Raises:
        UserError: it is taken; the hint says how to resume that run or to start another.
    """
    if run_dir.path.exists():
        run_id = run_dir.path.name
        finished = run_dir.result.exists()
        resume = "" if finished else f"`make resume RUN={run_id}` continues it; "
        raise UserError(
            f"starting {run_id}: that run {'is done' if finished else 'exists'} ({run_dir.path})",
            hint=f"{resume}another SEED makes another run; "
            f"`make clean-runs RUN={run_id}` deletes this one",
        )


def check_unused(run_id: str, engine: Engine) -> None:
    """Refuse a run id that containers or volumes on the engine carry: that run may be alive.

    Raises:
        UserError: there are containers or volumes of that run.
    """
    found = [c.name for c in engine.containers(run_id)] + [v.name for v in engine.volumes(run_id)]
    if found:
        raise UserError(
            f"starting {run_id}: the engine has {len(found)} containers or volumes of a run of "
            f"that name, such as {found[0]}",
            hint="another SEED makes another run; if that run is not running anywhere, "
            f"`make clean-runs RUN={run_id}` removes them",
        )


def check_disk(folder: Path) -> None:
    """Refuse to start where the records may not fit on the disk.

    Raises:
        HostError: less than `FREE_BYTES` are free.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if free < FREE_BYTES:
        raise HostError(
            f"starting a run: {free / 1e9:.1f} GB are free at {folder}",
            hint=f"make room first: a run needs {FREE_BYTES / 1e9:.0f} GB for its records",
        )


def check_devices(spec: RunSpec, engine: Engine) -> str:
    """Refuse devices that the engine cannot give to containers.

    Returns:
        What people should know of how the cores are divided; "" if that is nothing.

    Raises:
        UserError: GPU is set and the engine has no nvidia runtime, or there are too few cores.
    """
    machine, named = engine.info(), ",".join(spec.all_gpus)
    if named and not machine.gpus:
        variable = "GPUS" if spec.gpus else "GPU"
        raise UserError(
            f"checking {variable}={named}: the engine has no GPU runtime",
            hint=f"install the NVIDIA container toolkit, or unset {variable} to train on the CPU",
        )
    sets = spec.cpu_sets
    if named or sets == 1:
        return ""
    core_sets(machine.cpus, sets)
    idle = cores_left(machine.cpus, sets)
    said = f"{sets} trials at a time may train, on {machine.cpus // sets} of {machine.cpus} cores"
    return f"{said} each" + (f"; {idle} of them stay idle" if idle else "")


def check_runtime(spec: RunSpec, engine: Engine) -> str:
    """Refuse a runtime that the engine cannot give to the run's containers.

    Returns:
        What people should know of it; "" if that is nothing.

    Raises:
        UserError: RUNTIME names one that the engine does not have.
    """
    return runtimes.check(spec.runtime, engine.info())


def doctor(env: Mapping[str, str], runs: Path) -> list[Finding]:
    """Check everything that a run needs. A check that fails is a row and raises nothing.

    Args:
        env: the environment, in which keys are looked for.
        runs: the folder of the runs' records.
    """
    rows = [_finding("disk for records", lambda: _disk(runs))]
    try:
        engine = Engine.connect()
    except BakeoffError as error:
        return [*rows, _failed("engine", error), *_key_rows(env)]
    try:
        rows += _engine_rows(engine)
    finally:
        engine.close()
    return rows + _key_rows(env)


def _engine_rows(engine: Engine) -> list[Finding]:
    info = engine.info()
    size = f"{info.cpus} CPUs, {info.memory_bytes / 1e9:.0f} GB"
    rootless = ", rootless" if info.rootless else ""
    rows = [
        Finding("engine", True, f"{info.kind.capitalize()} {info.version}{rootless}, {size}"),
        Finding("runtimes", info.runtime(None).bounds_hold, runtimes.in_words(info)),
        Finding("seccomp", bool(info.seccomp), runtimes.seccomp_in_words(info)),
        Finding("GPU", True, "the engine has a GPU runtime" if info.gpus else "none: CPU training"),
        _finding("volumes", lambda: _volumes(engine)),
    ]
    for name, image in load_table().items():
        if image.for_tests:
            continue
        detail = image.tag
        if engine.image_labels(image.tag) is None:
            detail += " is not built yet; `make images` builds it, or the first run that needs it"
        rows.append(Finding(f"image {name}", True, detail))
    return rows


def _key_rows(env: Mapping[str, str]) -> list[Finding]:
    names: dict[str, None] = {}
    for agent in agent_names():
        names.update(dict.fromkeys(load_agent(agent).spec.key_variables))
    return [
        Finding(name, True, "is set" if env.get(name) else "is not set (REHEARSAL=1 needs none)")
        for name in names
    ]


def _volumes(engine: Engine) -> str:
    """Who bounds what contestants write."""
    found, agent = engine.volume_quotas(), limits()["agent"]
    who = "quota by the engine" if found.quota else "measured by the containers"
    return f"{who} ({found.file_system}); an agent may take {agent.disk_mb or 0} MB"


def _disk(folder: Path) -> str:
    check_disk(folder)
    free = shutil.disk_usage(_existing(folder)).free
    setup = "" if free >= SETUP_BYTES else "; building all images needs about 12 GB"
    return f"{free / 1e9:.0f} GB free{setup}"


def _finding(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, check())
    except BakeoffError as error:
        return _failed(subject, error)


def _failed(subject: str, error: BakeoffError) -> Finding:
    return Finding(subject, False, f"{error.message}; {error.hint}")


def _existing(folder: Path) -> Path:
    return next(p for p in (folder, *folder.parents) if p.exists())
