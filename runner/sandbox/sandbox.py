"""A run's containers and volumes, opened at once and closed together.

The attack that this stops: an agent that tries to get out. Its container has no interface but
loopback. The one thing that it shares with the gateway is a volume with a socket in it, mounted
read-only. The provider's key goes to the gateway alone, over its stdin, and only once the lock is
proved. Everything carries the run's label, so a later command finds whatever is left.
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
from runner.engine.containers import ContainerSpec, EngineInfo, Mount
from runner.limits import limits, volume_bytes
from runner.records.layout import container_name, volume_name
from runner.sandbox.heartbeats import Heartbeats
from runner.sandbox.opening import Opening, Order, Proof
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
        network: "none", or "own" for a role that may have one (`lockdown.py`).
        command: what PID 1 is; the image's own where it is None.
        data: a volume that outlives the run → the path inside, where it is read-only.
        writable_data: likewise, but writable.
        take: takes messages of the container past the run's inbox, as `Peer` says.
        awaits_proof: it gets no `start` before the lock is proved; nor does the contestant, unless
            the sandbox opens early.
        needed_late: nobody needs it before another container has said something.
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
    awaits_proof: bool = False
    needed_late: bool = False
    runtime: str | None = None


class Sandbox:
    """All long-lived containers and volumes of one run; a context manager.

    Args:
        engine: where they are.
        run_id: the run that they belong to.
        plans: the containers to open; the last one is the contestant.
        inbox: gets the containers' messages.
        show: is called with (role, line) for each line that they print for people.
        prove: is entered with role → container while they open, as `Opening` says; what it raises
            closes the sandbox.
        opened: is called when the sandbox is open, in some thread.
        early: the contestant has written nothing yet, so the context is entered as soon as it can
            begin, and the lock is proved meanwhile. What goes wrong with that comes into the inbox,
            as `NotOpened`.
    """

    def __init__(
        self,
        engine: Engine,
        run_id: str,
        plans: list[ContainerPlan],
        inbox: Inbox,
        show: Show,
        prove: Proof = lambda _: contextlib.nullcontext(),
        opened: Callable[[], None] = lambda: None,
        *,
        early: bool = False,
    ) -> None:
        self._engine = engine
        self._run_id = run_id
        machine = engine.info()
        self._opening = Opening(inbox, prove, opened, early=early)
        self._plans = plans
        waiting = [plan.awaits_proof for plan in plans[:-1]] + [not early]
        self._peers = [
            self._peer(plan, machine, inbox, show, waits=waits)
            for plan, waits in zip(plans, waiting, strict=True)
        ]
        told = (plan.config.get("orphan_seconds") for plan in plans)
        self._heartbeats = Heartbeats(self._peers, [seconds for seconds in told if seconds])
        self._purposes = sorted({purpose for plan in plans for purpose in plan.volumes})
        self.keep_volumes = False

    @property
    def peers(self) -> list[Peer]:
        """All containers of the run, the contestant last."""
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

    @property
    def is_opening(self) -> bool:
        """Whether it is not known yet that the sandbox is open, or will never be."""
        return not self._opening.is_over

    def wait_open(self) -> None:
        """Block until the sandbox is open.

        Raises:
            BakeoffError: why it will never be.
        """
        self._opening.wait()

    def __enter__(self) -> Sandbox:
        """Open everything, and wait until it is open; if early, until the contestant can begin.

        Raises:
            BakeoffError: the first of what failed; everything is closed then.
        """
        self._heartbeats.begin()
        try:
            self._open()
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
            stack.callback(self._remove)
            stack.callback(_together, [peer.close for peer in self._peers])
            stack.callback(self._opening.close, self._peers)
            stack.callback(self._heartbeats.end)
            self.end()

    def _remove(self) -> None:
        remove_run(self._engine, self._run_id, volumes=not self.keep_volumes)

    def _open(self) -> None:
        _together(partial(self._create_volume, purpose) for purpose in self._purposes)
        planned = list(zip(self._peers[:-1], self._plans[:-1], strict=True))
        self._opening.begin(
            Order(
                contestant=self.contestant,
                held=[peer for peer, plan in planned if plan.awaits_proof],
                late=[peer for peer, plan in planned if plan.needed_late],
                others=[p for p, plan in planned if not (plan.awaits_proof or plan.needed_late)],
            )
        )

    def _create_volume(self, purpose: str) -> None:
        name = volume_name(self._run_id, purpose)
        self._engine.create_volume(name, run_id=self._run_id, size_bytes=volume_bytes(purpose))

    def _peer(
        self, plan: ContainerPlan, machine: EngineInfo, inbox: Inbox, show: Show, *, waits: bool
    ) -> Peer:
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
            **lockdown.sizes(limits()[plan.role], machine),
        )
        return Peer(
            self._engine, spec, plan.config, inbox, show, plan.files,
            self._opening.taking(plan.take), waits=waits,
        )  # fmt: skip


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
