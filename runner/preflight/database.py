"""Checks before a run whether the database of its study can be reached from its relay.

A wrong password or a database that is not there is found by the optimizer, which alone logs in.
"""

from __future__ import annotations

from runner.engine.client import Engine
from runner.errors import UserError
from runner.preflight import reach
from runner.spec import RunSpec
from runner.storage import read_storage


def check_address(spec: RunSpec, engine: Engine) -> None:
    """Refuse a STORAGE whose host is the relay's own container (localhost and its like).

    Raises:
        UserError: it is; the hint has the address of the engine's machine instead.
    """
    if spec.storage is None:
        return
    place = read_storage(spec.storage)
    if reach.means_itself(place.host):
        machine = engine.host_address() or "this machine's address in its network"
        raise UserError(
            f"checking STORAGE={spec.storage}: it is called from a container, where {place.host} "
            "means that container and not this machine",
            hint=f"use {machine} in its place; the database must listen on that address, not on "
            "localhost alone",
        )


def check(engine: Engine, image: str, spec: RunSpec) -> None:
    """Refuse to start a run whose database cannot be reached.

    Args:
        engine: where the run will be.
        image: the relay's image.
        spec: the run.

    Raises:
        UserError: nothing answers at its address.
    """
    if spec.storage is None:
        return
    place = read_storage(spec.storage)
    reason = reach.failure(engine, image, spec.run_id, place.host, place.port)
    if reason:
        machine = engine.host_address()
        where = f"; containers reach the engine's machine at {machine}" if machine else ""
        raise UserError(
            f"calling STORAGE={spec.storage} from the relay's container: {reason}",
            hint=f"check that the database runs and listens on more than localhost{where}",
        )
