"""The Docker engine: one connection to it, and everything that the runner does through it.

The Docker API alone is used: create, attach, logs, put and get archive, wait, kill. No bind mounts,
no published ports and no exec, so a remote `DOCKER_HOST` serves as well as a local one. Errors of
docker-py and of the HTTP library under it leave this folder as `EngineError`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

import docker
import docker.errors
import requests
from docker.utils.socket import frames_iter

from runner.engine import lockdown, quotas
from runner.engine.address import engine_address, machine_address, unreachable
from runner.engine.api import (
    API_TIMEOUT_SECONDS,
    QUICK_TIMEOUT_SECONDS,
    IsolatedApi,
    IsolatedClient,
    translated,
)
from runner.engine.channel import Channel
from runner.engine.containers import (
    ContainerSpec,
    ContainerState,
    EngineInfo,
    EngineKind,
    VolumeState,
)
from runner.engine.files.store import FileStore
from runner.engine.images import ImageStore
from runner.engine.kinds import check_version, engine_info, engine_kind
from runner.engine.networks import BRIDGE, NetworkStore
from runner.records.layout import LABEL_DATA, LABEL_ROLE, LABEL_RUN

STOP_GRACE_SECONDS = 5  # between SIGTERM and SIGKILL; every PID 1 of ours needs less
ENDED = ("exited", "dead")  # states of a container


class Engine(ImageStore, NetworkStore, FileStore):
    """One connection to one Docker engine. Make it with `Engine.connect`.

    Args:
        client: docker-py's.
        quick: likewise, for calls that take the engine no time: looking at a container, pausing
            and ending it. A run's end must not wait for an engine that hangs.
        kind: of the engine.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        quick: docker.APIClient | None = None,
        kind: EngineKind = "docker",
    ) -> None:
        super().__init__(client.api)
        self._kind = kind
        self._client = client
        self._quick = quick or client.api
        self._quotas = quotas.Quotas(client.api)

    @classmethod
    def connect(cls) -> Engine:
        """Connect to the engine that DOCKER_HOST names, else the Docker CLI's context.

        Raises:
            EngineError: no engine answers, or its API is older than ours needs.
        """
        where, options = engine_address()
        try:
            client = IsolatedClient(timeout=API_TIMEOUT_SECONDS, max_pool_size=32, **options)
            quick = IsolatedApi(timeout=QUICK_TIMEOUT_SECONDS, max_pool_size=32, **options)
            answer = client.version()
            kind = engine_kind(answer)
        except (
            docker.errors.DockerException,
            requests.RequestException,
            OSError,
            ValueError,
        ) as error:
            raise unreachable(where, error) from error
        check_version(answer)
        return cls(client, quick, kind)

    def close(self) -> None:
        self._client.close()
        self._quick.close()

    def info(self) -> EngineInfo:
        with translated("asking the engine what it is"):
            return engine_info(self._kind, self._client.info())

    def host_address(self) -> str:
        """How a container with a network calls the engine's own machine; "" when it cannot.

        It is the address of the engine's own bridge, which containers of all networks reach.
        """
        with translated("asking the engine for the address of its machine"):
            return machine_address(self._client.info(), self._api.inspect_network(BRIDGE))

    def network_addresses(self) -> list[str]:
        """The IPv4 addresses of the engine's bridges and of the containers that run, once each."""
        with translated("asking the engine for its networks"):
            networks, running = self._api.networks(), self._api.containers()
        found = [machine_address({}, body) for body in networks if body["IPAM"]["Config"]]
        for body in running:
            ends = (body.get("NetworkSettings") or {}).get("Networks") or {}
            found += [end.get("IPAddress", "") for end in ends.values()]
        return [address for address in dict.fromkeys(found) if address]

    # --- containers ---------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> str:
        """Create the container, locked as `lockdown.py` says but not started; returns its id.

        A network of its own, if it has one, is created with it.

        Raises:
            SandboxError: the container asks for a network that its role may not have.
            ImageError: the image does not exist.
            EngineError: the engine refused.
        """
        granted = lockdown.host_config(spec, self._kind)
        with contextlib.ExitStack() as undo:
            if (network := granted["network_mode"]) != lockdown.NO_NETWORK:
                self.make_network(network, spec.run_id)
                undo.callback(self.remove_network, network)
            with translated(f"creating container {spec.name}"):
                created = self._api.create_container(
                    image=spec.image,
                    command=spec.command,
                    entrypoint=spec.entrypoint,
                    name=spec.name,
                    labels={LABEL_RUN: spec.run_id, LABEL_ROLE: spec.role},
                    host_config=self._api.create_host_config(**granted),
                    **lockdown.process_config(spec),
                )
            undo.pop_all()
        return str(created["Id"])

    def attach(self, container: str) -> Channel:
        """Attach to PID 1's stdio. Attached before `start`, it misses nothing of the output."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with translated(f"attaching to {container[:12]}"):
            stream = self._api.attach_socket(container, params=params)
            return Channel(stream, frames_iter(stream, tty=False))  # type: ignore[no-untyped-call]

    def start(self, container: str) -> None:
        with translated(f"starting container {container[:12]}"):
            self._api.start(container)

    def inspect(self, container: str) -> ContainerState | None:
        """The container's state, or None when there is no such container."""
        with translated(f"inspecting container {container[:12]}"):
            try:
                body = self._quick.inspect_container(container)
            except docker.errors.NotFound:
                return None
        labels = body["Config"].get("Labels") or {}
        return ContainerState(
            id=body["Id"],
            name=body["Name"].lstrip("/"),
            run_id=labels.get(LABEL_RUN, ""),
            role=labels.get(LABEL_ROLE, ""),
            status=body["State"]["Status"],
            exit_code=int(body["State"]["ExitCode"]),
            oom_killed=bool(body["State"]["OOMKilled"]),
            started_at=str(body["State"].get("StartedAt", "")),
        )

    def wait_exit(self, container: str, timeout_seconds: float) -> ContainerState | None:
        """The state of the container after its end; None when it still runs at the time-out.

        The state is polled, because the engine's own wait call loses its connection when it waits
        for long.
        """
        deadline = time.monotonic() + timeout_seconds
        pause = 0.01
        while True:
            state = self.inspect(container)
            if state is not None and state.status in ENDED:
                return state
            if state is None or time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def kill(self, container: str) -> None:
        """Send SIGKILL to everything in the container; one that does not run is left as it is."""
        with (
            translated(f"killing container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            try:
                self._unpaused(container, self._quick.kill)
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict and self._may_run(container):
                    raise

    def _may_run(self, container: str) -> bool:
        """Whether the container is there and not known to have ended.

        Podman answers 500, and not 409 as Docker's engine does, when there is nothing to kill.
        """
        state = self.inspect(container)
        return state is not None and state.status not in ENDED

    def pause(self, container: str) -> None:
        """Freeze every process of the container."""
        with translated(f"pausing container {container[:12]}"):
            self._api.pause(container)

    def unpause(self, container: str) -> None:
        """Let a paused container go on."""
        with translated(f"going on with container {container[:12]}"):
            self._api.unpause(container)

    def stop(self, container: str, timeout_seconds: int = STOP_GRACE_SECONDS) -> None:
        """Send SIGTERM, then SIGKILL at the time-out; a missing container is no error.

        A paused container is ended too.
        """
        with (
            translated(f"stopping container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            self._unpaused(container, partial(self._quick.stop, timeout=timeout_seconds))

    def _unpaused(self, container: str, do: Callable[[str], object]) -> None:
        """Do something to a container, which goes on first if the engine refuses it while paused.

        Docker's engine does that by itself.
        """
        try:
            do(container)
        except docker.errors.APIError as refusal:
            state = self.inspect(container)
            if state is None or state.status != "paused":
                raise
            try:
                self._quick.unpause(container)
            except docker.errors.APIError as error:
                raise refusal from error
            do(container)

    def remove(self, container: str) -> None:
        """Remove the container, running or not, and its own network.

        One that is gone or going already is no error.
        """
        state = self.inspect(container)
        with (
            translated(f"removing container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            remove = partial(self._api.remove_container, force=True, v=True)
            try:
                self._unpaused(container, remove)
            except docker.errors.APIError as error:
                is_going = error.status_code == requests.codes.conflict
                may_end = self._kind == "podman" or not is_going
                # Podman refuses one that is ending at this moment, and Docker's engine one that it
                # killed while gVisor had it paused.
                if may_end and self.wait_exit(container, STOP_GRACE_SECONDS):
                    remove(container)
                elif not is_going:
                    raise
                else:
                    return
        if state is None or state.role in lockdown.NETWORK_ROLES:
            self.remove_network(lockdown.own_network(container if state is None else state.name))

    def logs(self, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """The container's stdout and stderr in their order, as far as the engine kept them."""
        with translated(f"reading the log of {container[:12]}"):
            yield from self._api.logs(container, stream=True, follow=follow)

    def containers(self, run_id: str | None = None) -> list[ContainerState]:
        """All containers of ours, running or not, of one run or of all."""
        label = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        with translated("listing containers"):
            found = self._api.containers(all=True, filters={"label": label})
        states = (self.inspect(body["Id"]) for body in found)
        return [state for state in states if state is not None]

    # --- volumes ------------------------------------------------------------------------------

    def create_volume(
        self, name: str, *, run_id: str = "", data: str = "", size_bytes: int | None = None
    ) -> None:
        """Create the volume of a run, or of the data of the task `data`; labelled accordingly.

        It has a quota of `size_bytes` where the engine has quotas, and else no bound.
        """
        labels = {LABEL_RUN: run_id} if run_id else {LABEL_DATA: data}
        self._quotas.create(name, labels, size_bytes)

    def volume_quotas(self) -> quotas.Found:
        """Whether the engine can bound its volumes, and on which file system they lie."""
        return self._quotas.found()

    def remove_volume(self, name: str) -> None:
        """Remove the volume; a missing one is no error.

        Raises:
            EngineError: a container still uses it.
        """
        with translated(f"removing volume {name}"), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_volume(name)

    def volumes(self, run_id: str | None = None) -> list[VolumeState]:
        """All volumes of ours: those of one run, or every run's and every task's data."""
        labels = [f"{LABEL_RUN}={run_id}"] if run_id else [LABEL_RUN, LABEL_DATA]
        states: list[VolumeState] = []
        for label in labels:
            with translated("listing volumes"):
                found = self._api.volumes(filters={"label": label})["Volumes"] or []
            for body in found:
                own = body.get("Labels") or {}
                states.append(
                    VolumeState(body["Name"], own.get(LABEL_RUN, ""), own.get(LABEL_DATA, ""))
                )
        return states
