"""The container of a proof: the given one, but for its name, its program and what it may write.

Invariant: nothing of a run is touched. A volume that the given container may write, or that is not
there yet, has a new one in its place; all of them and the container are removed at the end,
whatever happens, and carry the run's label until then.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, Mount
from runner.errors import EngineError

SUFFIX = "proof"
ENDING_SECONDS = 10.0  # from the end of the output to that of the container


@dataclass(frozen=True)
class Prepared:
    """A container of a proof, and the volumes that were named for it."""

    spec: ContainerSpec
    volumes: tuple[str, ...]


def prepared(given: ContainerSpec, there: Collection[str], purpose: str = SUFFIX) -> Prepared:
    """The container with volumes of the proof's own; nothing is made yet.

    Args:
        given: a container of a run.
        there: the names of all volumes of ours that the engine has.
        purpose: what its name ends with.
    """
    mounts: list[Mount] = []
    own: list[str] = []
    for mount in given.mounts:
        if mount.read_only and mount.volume in there:
            mounts.append(mount)
            continue
        name = f"{given.name}-{purpose}-{len(own)}"
        own.append(name)
        mounts.append(replace(mount, volume=name))
    spec = replace(given, name=f"{given.name}-{purpose}", mounts=tuple(mounts))
    return Prepared(spec, tuple(own))


@contextlib.contextmanager
def opened(engine: Engine, box: Prepared) -> Iterator[Running]:
    """The container, started. It and its volumes are removed at the end.

    Raises:
        EngineError: the engine refused, or something could not be removed.
    """
    spec = box.spec
    with contextlib.ExitStack() as stack:
        engine.remove(spec.name)  # left by a runner that was killed
        for volume in box.volumes:
            stack.callback(engine.remove_volume, volume)
            engine.create_volume(volume, run_id=spec.run_id)
        stack.callback(engine.remove, spec.name)
        container = engine.create(spec)
        channel = engine.attach(container)
        stack.callback(channel.close)
        engine.start(container)
        yield Running(engine, container, channel)


@dataclass(frozen=True)
class Running:
    """A started container of a proof."""

    engine: Engine
    container: str
    channel: Channel

    def lines(self, count: int, timeout_seconds: float) -> list[str]:
        """What it prints on stdout: at most `count` lines, and until its end.

        Args:
            count: how many lines are wanted.
            timeout_seconds: the container is ended then.
        """
        over = threading.Timer(timeout_seconds, self._kill)
        over.start()
        try:
            found: list[str] = []
            for is_stdout, line in self.channel.lines():
                if is_stdout:
                    found.append(line)
                if len(found) >= count:
                    break
            return found
        finally:
            over.cancel()

    def ended(self, timeout_seconds: float = ENDING_SECONDS) -> ContainerState | None:
        """The container after its end; None where it did not end by itself, and is ended now."""
        state = self.engine.wait_exit(self.container, timeout_seconds)
        if state is None:
            self._kill()
            self.engine.wait_exit(self.container, ENDING_SECONDS)
        return state

    def _kill(self) -> None:
        with contextlib.suppress(EngineError):  # it is removed in any case
            self.engine.kill(self.container)
