"""A run's containers and volumes, opened together and closed together.

The attack that this stops: an agent that tries to get out. Its container has no interface but
loopback. The one thing that it shares with the gateway is a volume with a socket in it, mounted
read-only. The provider's key goes to the gateway alone, over its stdin. Everything carries the
run's label, so a later command finds whatever is left.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.limits import limits
from runner.records.layout import container_name, volume_name
from runner.sandbox.heartbeats import Heartbeats
from runner.sandbox.peer import Inbox, Peer, Show, Take
from runner.sandbox.removal import remove_run

TERM_SECONDS = {"gateway": 2}  # from SIGTERM to SIGKILL: it settles what is open
SHORT_TERM_SECONDS = 1  # of all others: whoever has something to close was told before


@dataclass(frozen=True)
class ContainerPlan:
    """One long-lived container to open.

    Attributes:
        role: what it is in the run; `runner/limits.toml` has a table for it.
        image: a tag or a content id.
        config: what `start` tells its PID 1.
        volumes: the purpose of a volume → (path inside, whether it is read-only).
        files: folder → the files to put there before it starts, relative path → content.
        network: "none", or "bridge" for a role that may have one (`lockdown.py`).
        command: what PID 1 is; the image's own where it is None.
        data: a volume that outlives the run → the path inside, where it is read-only.
        writable_data: likewise, but writable.
        take: takes messages of the container past the run's inbox, as `Peer` says.
        runtime: what makes the container; None for the engine's own.
    """

    role: str
    image: str
    config: Mapping[str, Any] = field(repr=False)  # may hold the provider's key
    volumes: Mapping[str, tuple[str, bool]]
    files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    network: str = lockdown.NO_NETWORK
    command: list[str] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    writable_data: Mapping[str, str] = field(default_factory=dict)
    take: Take | None = None
    runtime: str | None = None


class Sandbox:
    """All long-lived containers and volumes of one run; a context manager.

    Args:
        engine: where they are.
        run_id: the run that they belong to.
        plans: the containers to open, in order; the last one is the contestant.
        inbox: gets the containers' messages.
        show: is called with (role, line) for each line that they print for people.
    """

    def __init__(
        self, engine: Engine, run_id: str, plans: list[ContainerPlan], inbox: Inbox, show: Show
    ) -> None:
        self._engine = engine
        self._run_id = run_id
        self._peers = [self._peer(plan, inbox, show) for plan in plans]
        told = (plan.config.get("orphan_seconds") for plan in plans)
        self._heartbeats = Heartbeats(self._peers, [seconds for seconds in told if seconds])
        self._purposes = sorted({purpose for plan in plans for purpose in plan.volumes})
        self.keep_volumes = False

    @property
    def peers(self) -> list[Peer]:
        """All containers of the run, in the order in which they were opened."""
        return list(self._peers)

    @property
    def contestant(self) -> Peer:
        return self._peers[-1]

    @property
    def judge(self) -> Peer:
        """The judge, which every run has."""
        return next(peer for peer in self._peers if peer.spec.role == "judge")

    def peer(self, role: str) -> Peer | None:
        """The container with this role, or None when the run has none."""
        return next((peer for peer in self._peers if peer.spec.role == role), None)

    def __enter__(self) -> Sandbox:
        """Open everything in order; each container answers `started` before the next one starts."""
        self._heartbeats.begin()
        try:
            for purpose in self._purposes:
                name = volume_name(self._run_id, purpose)
                self._engine.create_volume(name, run_id=self._run_id)
            for peer in self._peers:
                peer.open()
                peer.wait_started()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def end(self) -> None:
        """Stop every container, and wait until all that they said is in the inbox.

        Nothing runs afterwards, and files can still be read. The contestant ends before the
        gateway, so that none of its requests is open when the gateway settles; the others end
        last, together. Whatever state they are in, it takes no longer than all their
        `TERM_SECONDS` and what the engine needs.
        """
        gateway = [peer for peer in self._peers if peer.spec.role == "gateway"]
        others = [peer for peer in self._peers[:-1] if peer not in gateway]
        for row in ([self.contestant], gateway, others):
            _together(partial(_end, peer) for peer in row)

    def close(self) -> None:
        """Remove every container of the run, and its volumes unless `keep_volumes` is set.

        Raises:
            EngineError: something could not be removed; everything else was.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(remove_run, self._engine, self._run_id, volumes=not self.keep_volumes)
            stack.callback(_together, [peer.close for peer in self._peers])
            stack.callback(self._heartbeats.end)
            self.end()

    def _peer(self, plan: ContainerPlan, inbox: Inbox, show: Show) -> Peer:
        mounts = tuple(
            Mount(volume_name(self._run_id, purpose), path, read_only)
            for purpose, (path, read_only) in plan.volumes.items()
        )
        mounts += tuple(Mount(volume, path, read_only=True) for volume, path in plan.data.items())
        mounts += tuple(Mount(volume, path) for volume, path in plan.writable_data.items())
        spec = ContainerSpec(
            name=container_name(self._run_id, plan.role),
            image=plan.image,
            run_id=self._run_id,
            role=plan.role,
            command=plan.command,
            mounts=mounts,
            network=plan.network,
            runtime=plan.runtime,
            **lockdown.sizes(limits()[plan.role], self._engine.info()),
        )
        return Peer(self._engine, spec, plan.config, inbox, show, plan.files, plan.take)


def _end(peer: Peer) -> None:
    peer.end(TERM_SECONDS.get(peer.spec.role, SHORT_TERM_SECONDS))


def _together(actions: Iterable[Callable[[], None]]) -> None:
    """Do all of them at once, each whatever becomes of the others.

    Raises:
        EngineError: what the first of them that failed raised.
    """
    with ThreadPoolExecutor(thread_name_prefix="sandbox") as pool:
        done = [pool.submit(action) for action in actions]
    for one in done:
        one.result()


def new_token() -> str:
    """A token that only this run's gateway accepts; it is worth nothing anywhere else."""
    return f"bakeoff-{secrets.token_urlsafe(24)}"
