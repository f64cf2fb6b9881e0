"""`bakeoff doctor`, and the same checks before each run. Starts nothing, changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.agents import agent_names, load_agent
from runner.engine import Engine
from runner.errors import BakeoffError, HostError, UserError
from runner.images import load_table
from runner.layout import RunDir
from runner.spec import RunSpec

FREE_BYTES = 2 << 30  # of the runner's own disk: records, logs, transcripts
SETUP_BYTES = 12 << 30  # all images and their build


@dataclass(frozen=True)
class Finding:
    """One row of the doctor's table."""

    what: str
    ok: bool
    said: str


def check_new(run_dir: RunDir) -> None:
    """Refuse a run id that is taken.

    Raises:
        UserError: it is; the hint says how to go on or start anew. Nothing is overwritten.
    """
    if run_dir.path.exists():
        run_id = run_dir.path.name
        over = run_dir.result.exists()
        on = "" if over else f"`make resume RUN={run_id}` goes on with it; "
        raise UserError(
            f"starting {run_id}: that run {'is done' if over else 'exists'} ({run_dir.path})",
            hint=f"{on}another SEED makes another run; "
            f"`make clean-runs RUN={run_id}` deletes this one",
        )


def check_unused(run_id: str, engine: Engine) -> None:
    """Refuse a run id under which the engine has something: it may be somebody's live run.

    Raises:
        UserError: there are containers or volumes of that run.
    """
    found = [c.name for c in engine.containers(run_id)] + [v.name for v in engine.volumes(run_id)]
    if found:
        raise UserError(
            f"starting {run_id}: the engine has {len(found)} containers or volumes of a run of "
            f"that name, such as {found[0]}",
            hint="another SEED makes another run; if nobody runs it any more, "
            f"`make clean-runs RUN={run_id}` removes them",
        )


def check_disk(folder: Path) -> None:
    """Refuse to start where the records would not fit.

    Raises:
        HostError: less than `FREE_BYTES` are free.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if free < FREE_BYTES:
        raise HostError(
            f"starting a run: {free / 1e9:.1f} GB are free at {folder}",
            hint=f"a run wants {FREE_BYTES / 1e9:.0f} GB for its records: make room first",
        )


def check_gpu(spec: RunSpec, engine: Engine) -> None:
    """Refuse a GPU that the engine cannot hand out.

    Raises:
        UserError: GPU is set and the engine has no nvidia runtime.
    """
    if spec.gpu is not None and not engine.info().gpus:
        raise UserError(
            f"taking GPU={spec.gpu}: the engine has no GPU runtime",
            hint="install the NVIDIA container toolkit, or leave GPU out to train on the CPU",
        )


def doctor(env: Mapping[str, str], runs: Path) -> list[Finding]:
    """Everything that a run needs, looked at; no row raises."""
    rows = [_finding("disk for records", lambda: _disk(runs))]
    try:
        engine = Engine.connect()
    except BakeoffError as error:
        none = Finding("engine", False, f"{error.message}; {error.hint}")
        return [*rows, none, *_key_rows(env)]
    try:
        rows += _engine_rows(engine)
    finally:
        engine.close()
    return rows + _key_rows(env)


def _engine_rows(engine: Engine) -> list[Finding]:
    info = engine.info()
    size = f"{info.cpus} CPUs, {info.memory_bytes / 1e9:.0f} GB"
    rows = [
        Finding("engine", True, f"Docker {info.version}, {size}"),
        Finding("GPU", True, "the engine has a GPU runtime" if info.gpus else "none: CPU training"),
    ]
    for name, image in load_table().items():
        if image.for_tests:
            continue
        there = engine.image_labels(image.tag) is not None
        said = image.tag if there else f"{image.tag} is not built (`make images`, or at first use)"
        rows.append(Finding(f"image {name}", True, said))
    return rows


def _key_rows(env: Mapping[str, str]) -> list[Finding]:
    names: dict[str, None] = {}
    for agent in agent_names():
        names.update(dict.fromkeys(load_agent(agent).spec.key_variables))
    return [
        Finding(name, True, "is set" if env.get(name) else "not set (REHEARSAL=1 needs none)")
        for name in names
    ]


def _disk(folder: Path) -> str:
    check_disk(folder)
    free = shutil.disk_usage(_existing(folder)).free
    room = "" if free >= SETUP_BYTES else "; building all images wants about 12 GB"
    return f"{free / 1e9:.0f} GB free{room}"


def _finding(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except BakeoffError as error:
        return Finding(what, False, f"{error.message}; {error.hint}")


def _existing(folder: Path) -> Path:
    return next(p for p in (folder, *folder.parents) if p.exists())
