"""The Docker engine: the only module that imports docker.

Everything the runner does to a container goes through here and the Docker API alone: create,
attach, logs, put and get archive, wait, kill. No bind mounts, no published ports, no exec, so a
remote `DOCKER_HOST` serves as well as a local one. Errors of docker-py and of the HTTP library
under it leave this module as `EngineError`.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import IO, Any

import docker
import docker.errors
import docker.types
import requests
import urllib3
from docker.utils import kwargs_from_env
from docker.utils.socket import frames_iter

from runner import archives
from runner.channel import Channel
from runner.containers import ContainerSpec, ContainerState, EngineInfo, VolumeState
from runner.errors import EngineError, ImageError
from runner.layout import LABEL_DATA, LABEL_ROLE, LABEL_RUN

MINIMUM_VERSION = (20, 10)
API_TIMEOUT_SECONDS = 120
UID = 1000  # the user `bakeoff` of every image
LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}  # json-file has no bound of its own


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn every exception of docker-py and its transport into an `EngineError`."""
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ImageError(
            f"{doing}: the image is not there: {error.explanation or error}",
            hint="build it with `make images`",
        ) from error
    except docker.errors.APIError as error:
        raise EngineError(f"{doing}: the engine refused: {error.explanation or error}") from error
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise EngineError(f"{doing}: the engine did not answer: {error}") from error


class Engine:
    """One connection to one Docker engine. Make it with `Engine.connect`."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client
        self._api: Any = client.api

    @classmethod
    def connect(cls) -> Engine:
        """Connect to the engine that DOCKER_HOST names, or the local one.

        Raises:
            EngineError: no engine answers, or it is older than `MINIMUM_VERSION`.
        """
        try:
            client = docker.from_env(timeout=API_TIMEOUT_SECONDS, max_pool_size=32)
            version = str(client.version()["Version"])
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            where = kwargs_from_env().get("base_url", "the local socket")
            raise EngineError(
                f"connecting to the Docker engine: none answers at {where}",
                hint="start it (`make setup` installs and starts one on Debian and Ubuntu, as "
                "root), or point DOCKER_HOST at one",
            ) from error
        check_version(version)
        return cls(client)

    def close(self) -> None:
        self._client.close()

    def info(self) -> EngineInfo:
        with _translated("asking the engine what it is"):
            info = self._client.info()
        return EngineInfo(
            id=str(info.get("ID", "")),
            version=str(info.get("ServerVersion", "")),
            cpus=int(info["NCPU"]),
            memory_bytes=int(info["MemTotal"]),
            gpus="nvidia" in info.get("Runtimes", {}),
        )

    # --- containers ---------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> str:
        """Create the container, not started, and return its id.

        `detach=True` matters: without it docker-py closes PID 1's stdin with its first client.
        """
        tmpfs = {
            path: f"rw,exec,nosuid,nodev,size={size},uid={UID},gid={UID},mode=0700"
            if path != "/tmp"
            else f"rw,exec,nosuid,nodev,size={size},mode=1777"
            for path, size in spec.tmpfs.items()
        }
        gpu: dict[str, Any] = {}
        if spec.gpu is not None:
            gpu["device_requests"] = [
                docker.types.DeviceRequest(device_ids=[spec.gpu], capabilities=[["gpu"]])
            ]
        with _translated(f"creating container {spec.name}"):
            host_config = self._api.create_host_config(
                network_mode=spec.network,
                mounts=[
                    docker.types.Mount(m.target, m.volume, type="volume", read_only=m.read_only)
                    for m in spec.mounts
                ],
                tmpfs=tmpfs,
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                pids_limit=spec.pids,
                mem_limit=spec.memory_bytes,
                memswap_limit=spec.memory_bytes,
                nano_cpus=int(spec.cpus * 1e9),
                cpu_shares=spec.cpu_weight,
                shm_size=spec.shm_bytes,
                log_config=docker.types.LogConfig(type="json-file", config=LOG_OPTIONS),
                **gpu,
            )
            created = self._api.create_container(
                image=spec.image,
                command=spec.command,
                name=spec.name,
                hostname=spec.role,
                user=f"{UID}:{UID}",
                environment=dict(spec.environment),
                labels={LABEL_RUN: spec.run_id, LABEL_ROLE: spec.role},
                stdin_open=True,
                detach=True,
                host_config=host_config,
            )
        return str(created["Id"])

    def attach(self, container: str) -> Channel:
        """Attach to PID 1's stdio; done before `start`, nothing it says is lost."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with _translated(f"attaching to {container[:12]}"):
            stream = self._api.attach_socket(container, params=params)
            return Channel(stream, frames_iter(stream, tty=False))  # type: ignore[no-untyped-call]

    def start(self, container: str) -> None:
        with _translated(f"starting container {container[:12]}"):
            self._api.start(container)

    def inspect(self, container: str) -> ContainerState | None:
        """The container's state, or None when there is no such container."""
        with _translated(f"looking at container {container[:12]}"):
            try:
                body = self._api.inspect_container(container)
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
            image=body["Config"]["Image"],
            created=body["Created"],
        )

    def wait_exit(self, container: str, timeout_seconds: float) -> ContainerState | None:
        """The state after the container ended; None when it still runs at the time-out.

        Polls the state: the engine's own wait call loses its connection on long waits.
        """
        deadline = time.monotonic() + timeout_seconds
        pause = 0.01
        while True:
            state = self.inspect(container)
            if state is not None and state.status in ("exited", "dead"):
                return state
            if state is None or time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def kill(self, container: str) -> None:
        """SIGKILL everything in the container; not running is fine."""
        with (
            _translated(f"killing container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            try:
                self._api.kill(container)
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def stop(self, container: str, timeout_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the time-out; no such container is fine."""
        with (
            _translated(f"stopping container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            self._api.stop(container, timeout=timeout_seconds)

    def remove(self, container: str) -> None:
        """Remove the container, running or not; gone, or being removed already, is fine."""
        with (
            _translated(f"removing container {container[:12]}"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            try:
                self._api.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise

    def logs(
        self, container: str, *, tail: int | str = "all", follow: bool = False
    ) -> Iterator[bytes]:
        """The container's stdout and stderr in order, as the engine kept them."""
        with _translated(f"reading the log of {container[:12]}"):
            yield from self._api.logs(container, stream=True, follow=follow, tail=tail)

    def containers(self, run_id: str | None = None) -> list[ContainerState]:
        """All containers of ours, running or not, of one run or of all."""
        label = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        with _translated("listing containers"):
            found = self._api.containers(all=True, filters={"label": label})
        states = (self.inspect(body["Id"]) for body in found)
        return [state for state in states if state is not None]

    # --- volumes and files --------------------------------------------------------------------

    def create_volume(self, name: str, *, run_id: str = "", data: str = "") -> None:
        labels = {LABEL_RUN: run_id} if run_id else {LABEL_DATA: data}
        with _translated(f"creating volume {name}"):
            self._api.create_volume(name, labels=labels)

    def remove_volume(self, name: str) -> None:
        """Remove the volume; no such volume is fine.

        Raises:
            EngineError: a container still uses it.
        """
        with _translated(f"removing volume {name}"), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_volume(name)

    def volumes(self, run_id: str | None = None) -> list[VolumeState]:
        """All volumes of ours: those of one run, or every run's and every task's data."""
        labels = [f"{LABEL_RUN}={run_id}"] if run_id else [LABEL_RUN, LABEL_DATA]
        states: list[VolumeState] = []
        for label in labels:
            with _translated("listing volumes"):
                found = self._api.volumes(filters={"label": label})["Volumes"] or []
            for body in found:
                own = body.get("Labels") or {}
                states.append(
                    VolumeState(body["Name"], own.get(LABEL_RUN, ""), own.get(LABEL_DATA, ""))
                )
        return states

    def put_files(self, container: str, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files (relative path → content) below a folder of the container, as uid 1000."""
        self.put_archive(container, folder, archives.packed(files, UID))

    def put_archive(self, container: str, folder: str, archive: bytes | Iterable[bytes]) -> None:
        """Unpack a tar archive of ours into a folder of the container."""
        with _translated(f"writing files into {container[:12]}:{folder}"):
            self._api.put_archive(container, folder, archive)

    def get_file(self, container: str, path: str, max_bytes: int) -> bytes | None:
        """The content of one regular file, or None when there is none.

        The archive is a stranger's: only its first member is looked at, only when it is a regular
        file, and never more than `max_bytes` of it are read (a longer file comes back cut).
        """
        with contextlib.closing(self.get_archive(container, path)) as chunks:
            return archives.first_file(chunks, max_bytes)

    def get_archive(self, container: str, path: str) -> Generator[bytes]:
        """A tar archive of a file or folder in pieces, to be closed; empty when there is none."""
        with _translated(f"reading {path} of {container[:12]}"):
            try:
                chunks, _ = self._api.get_archive(container, path, chunk_size=1 << 16)
            except docker.errors.NotFound:
                return
            with contextlib.closing(chunks):
                yield from chunks

    # --- images -------------------------------------------------------------------------------

    def image_labels(self, tag: str) -> dict[str, str] | None:
        """The image's labels, or None when there is no such image."""
        body = self._image(tag)
        return None if body is None else dict(body["Config"].get("Labels") or {})

    def image_digest(self, tag: str) -> str:
        """The image's content id (sha256:…), or "" when there is no such image."""
        body = self._image(tag)
        return "" if body is None else str(body["Id"])

    def image_origin(self, tag: str) -> str:
        """By what an image can be had again: its registry's digest, or its content id."""
        body = self._image(tag)
        return "" if body is None else str(next(iter(body.get("RepoDigests") or ()), body["Id"]))

    def _image(self, tag: str) -> Any:
        with _translated(f"looking at image {tag}"):
            try:
                return self._api.inspect_image(tag)
            except docker.errors.ImageNotFound:
                return None

    def build_image(
        self,
        context: IO[bytes],
        *,
        dockerfile: str,
        tag: str,
        buildargs: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[str]:
        """Build an image from a tar context and yield the log's lines.

        Raises:
            ImageError: a step failed; the message is the engine's.
        """
        with _translated(f"building {tag}"):
            stream = self._api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                tag=tag,
                buildargs=dict(buildargs),
                labels=dict(labels),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=3600,
            )
            failure = ""
            for step in stream:  # to its end, or its connection stays open
                failure = failure or str(step.get("error", "")).strip()
                yield from str(step.get("stream", "")).splitlines()
            if failure:
                raise ImageError(f"building {tag}: {failure}")

    def pull(self, reference: str) -> None:
        """Pull an image from its registry.

        Raises:
            EngineError: no registry can be reached or it has no such image.
        """
        with _translated(f"pulling {reference}"):
            repository, _, tag = reference.partition(":")
            self._api.pull(repository, tag=tag or "latest")
            if self._image(reference) is None:
                raise EngineError(f"pulling {reference}: no registry gave it")

    def remove_image(self, reference: str) -> None:
        """Remove an image that no container and no other image stands on; else leave it."""
        with _translated(f"removing image {reference[:19]}"):
            try:
                self._api.remove_image(reference)
            except docker.errors.APIError as error:
                if error.status_code not in (requests.codes.not_found, requests.codes.conflict):
                    raise

    def prune_images(self, label: str) -> None:
        """Remove the untagged images with this label: stages of builds that are over."""
        with _translated("removing build stages"):
            self._api.prune_images(filters={"dangling": True, "label": label})

    def import_image(self, archive: IO[bytes] | Iterable[bytes], tag: str, label: str) -> None:
        """Make an image of one layer, with a label, from a tar archive of a root file system."""
        repository, _, version = tag.partition(":")
        with _translated(f"importing {tag}"):
            answer = self._api.import_image_from_stream(
                archive, repository=repository, tag=version, changes=[f"LABEL {label}"]
            )
        for line in str(answer).splitlines():
            step = json.loads(line)
            if "error" in step:
                raise ImageError(f"importing {tag}: {step['error']}")


def check_version(version: str) -> None:
    """Refuse an engine older than `MINIMUM_VERSION`; a version that cannot be read passes.

    Raises:
        EngineError: the engine is too old.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < MINIMUM_VERSION:
        raise EngineError(
            f"connecting to the Docker engine: it is version {version}",
            hint="Bakeoff needs {}.{} or newer".format(*MINIMUM_VERSION),
        )
