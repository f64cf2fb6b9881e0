"""Removes what a run has on the engine, whatever its contestant made of its volumes."""

from __future__ import annotations

from functools import partial

from runner.build.images import image_tag
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.errors import EngineError
from runner.records.layout import container_name
from runner.sandbox import emptying

EMPTYING_SECONDS = 600.0


def remove_run(engine: Engine, run_id: str, *, volumes: bool = True) -> int:
    """Remove every container of a run, its networks, and its volumes unless told otherwise.

    Returns:
        How many containers and volumes there were.

    Raises:
        EngineError: something could not be removed.
    """
    count = _remove_containers(engine, run_id)
    for network in engine.networks(run_id):  # made for a container that never was
        _remove_network(engine, run_id, network)
    present = engine.volumes(run_id) if volumes else []
    for volume in present:
        _remove_volume(engine, run_id, volume.name)
    return count + len(present)


def _remove_containers(engine: Engine, run_id: str) -> int:
    containers = engine.containers(run_id)
    for state in containers:
        engine.remove(state.id)
    return len(containers)


# A container that a killed runner ordered may be made only now, and hold a network or a volume.


def _remove_network(engine: Engine, run_id: str, name: str) -> None:
    try:
        engine.remove_network(name)
    except EngineError:
        _remove_containers(engine, run_id)
        engine.remove_network(name)


def _remove_volume(engine: Engine, run_id: str, name: str) -> None:
    clearing = (partial(_remove_containers, engine, run_id), partial(_empty, engine, run_id, name))
    for clear in clearing:
        try:
            engine.remove_volume(name)
        except EngineError:
            clear()
        else:
            return
    engine.remove_volume(name)


def _empty(engine: Engine, run_id: str, volume: str) -> None:
    """Empty a volume from the inside.

    The engine cannot remove a volume whose folders are nested deeper than it can open files.

    Raises:
        EngineError: the engine refused, or the image does not exist.
    """
    spec = ContainerSpec(
        container_name(run_id, "cleanup"), image_tag("base"), run_id, "cleanup",
        mounts=(Mount(volume, "/volume"),),
    )  # fmt: skip
    one_off.run_module(engine, spec, emptying, "/volume", timeout_seconds=EMPTYING_SECONDS)
