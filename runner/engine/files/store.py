"""The files and folders of a container, as the engine's archive API gives and takes them.

The attack that this stops: an archive of a hostile container. Nothing of it is unpacked, and no
more of it is read than was asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import docker.errors
import requests

from runner.engine import lockdown
from runner.engine.api import API_TIMEOUT_SECONDS, translated
from runner.engine.files import archives
from runner.errors import EngineError, PathError

ARCHIVE_CHUNK_BYTES = 1 << 16


class FileStore:
    """The part of `Engine` that reads and writes files of containers."""

    _api: Any  # docker-py's connection to the engine

    def put_files(self, container: str, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files (relative path → content) below a folder of the container, as uid 1000."""
        self.put_archive(container, folder, archives.tar_archive(files, lockdown.UID))

    def put_archive(self, container: str, folder: str, archive: bytes | Iterable[bytes]) -> None:
        """Unpack a tar archive of ours into a folder of the container."""
        with translated(f"writing files into {container[:12]}:{folder}"):
            self._api.put_archive(container, folder, archive)

    def get_file(self, container: str, path: str, max_bytes: int) -> bytes | None:
        """The content of one regular file, or None when there is none.

        The archive is not to be trusted: only its first member is read, only when that is a regular
        file, and never more than `max_bytes` of it (a longer file comes back cut).

        Raises:
            PathError: the engine answers, but cannot read this path: links that lead in a circle,
                a file in the place of a folder, a file that shrinks while it is read.
            EngineError: the engine does not answer.
        """
        try:
            with contextlib.closing(self.get_archive(container, path)) as chunks:
                return archives.first_file(chunks, max_bytes)
        except EngineError as error:
            if not self._serves_files(container):
                raise
            raise PathError(error.message) from error

    def _serves_files(self, container: str) -> bool:
        """Whether the engine can read `/` of this container, which no code in it can change."""
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{container}/archive"
        try:
            answer = self._api.head(url, params={"path": "/"}, timeout=API_TIMEOUT_SECONDS)
        except (docker.errors.DockerException, requests.RequestException, OSError):
            return False
        return bool(answer.ok)

    def get_archive(self, container: str, path: str) -> Generator[bytes]:
        """A tar archive of a file or folder, in pieces; empty when the path does not exist.

        The caller closes it, or the connection stays open.
        """
        with translated(f"reading {path} of {container[:12]}"):
            try:
                chunks, _ = self._api.get_archive(container, path, chunk_size=ARCHIVE_CHUNK_BYTES)
            except docker.errors.NotFound:
                return
            with contextlib.closing(chunks):
                yield from chunks
