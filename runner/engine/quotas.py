"""Volumes with a quota, where the engine has quotas; everywhere else, volumes without.

The engine's `local` driver bounds a volume (`size`) where its data lies on xfs with project quotas,
and refuses the option elsewhere (moby, volume/local/local_unix.go). What the engine bounds needs no
watch; what it does not, PID 1 of the container measures (`runner/wire/disk_watch.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import docker
from docker.errors import APIError

from runner.engine.api import translated
from runner.records.layout import LABEL_DATA

ONLY_ON = "xfs"
SMALLEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Found:
    """Whether the engine has quotas, and the file system under its data, as it names it."""

    quota: bool
    file_system: str


class Quotas:
    """Creates volumes, and remembers whether the engine can bound them. Any thread may call it.

    Args:
        api: docker-py's low-level client.
    """

    def __init__(self, api: docker.APIClient) -> None:
        self._api = api
        self._found: Found | None = None

    def create(self, name: str, labels: Mapping[str, str], size_bytes: int | None) -> None:
        """Create a volume, bounded if it should and can be.

        Raises:
            EngineError: the engine refused.
        """
        bounded = size_bytes is not None and self.found().quota
        options = {"size": str(size_bytes)} if bounded else None
        with translated(f"creating volume {name}"):
            self._api.create_volume(name, labels=dict(labels), driver_opts=options)

    def found(self) -> Found:
        """What the engine has: where it may have quotas, that is tried once.

        Raises:
            EngineError: the engine does not answer.
        """
        if self._found is None:
            file_system = self._file_system()
            quota = file_system == ONLY_ON and self._takes_a_size()
            self._found = Found(quota, file_system)
        return self._found

    def _file_system(self) -> str:
        with translated("asking the engine for its file system"):
            rows = self._api.info().get("DriverStatus") or []
        said = {str(row[0]): str(row[1]) for row in rows if len(row) > 1}
        return said.get("Backing Filesystem", "unknown")

    def _takes_a_size(self) -> bool:
        """Whether the engine makes a volume with a quota; it is removed at once."""
        name = f"bakeoff-quota-{secrets.token_hex(4)}"
        options = {"size": str(SMALLEST_BYTES)}
        with translated("trying a volume with a quota"):
            try:
                self._api.create_volume(name, labels={LABEL_DATA: "quota"}, driver_opts=options)
            except APIError:  # it says no; for want of a quota no run fails
                return False
            self._api.remove_volume(name)
        return True
