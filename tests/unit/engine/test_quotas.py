"""What the engine is asked for a volume with a bound, as its answers allow."""

from __future__ import annotations

from typing import Any, cast

import docker
import pytest
import requests
from docker.errors import APIError

from runner.engine.quotas import Found, Quotas


class VolumesApi:
    """An engine on some file system, with or without project quotas."""

    def __init__(self, file_system: str, *, quota: bool) -> None:
        self._file_system = file_system
        self._quota = quota
        self.made: dict[str, dict[str, str] | None] = {}
        self.asked = 0

    def info(self) -> dict[str, Any]:
        self.asked += 1
        return {"DriverStatus": [["Backing Filesystem", self._file_system], ["Odd"]]}

    def create_volume(
        self, name: str, labels: dict[str, str], driver_opts: dict[str, str] | None
    ) -> None:
        assert labels
        if driver_opts and not self._quota:
            response = requests.Response()
            response.status_code = 400
            raise APIError("refused", response, "quota size requested but no quota support")
        self.made[name] = driver_opts

    def remove_volume(self, name: str) -> None:
        del self.made[name]


@pytest.mark.parametrize(
    ("file_system", "quota", "options"),
    [("xfs", True, {"size": "4096"}), ("xfs", False, None), ("extfs", False, None)],
)
def test_a_volume_is_bounded_where_the_engine_can(
    file_system: str, quota: bool, options: dict[str, str] | None
) -> None:
    """It is found out once, and a volume without a bound is made everywhere."""
    api = VolumesApi(file_system, quota=quota)
    quotas = Quotas(cast("docker.APIClient", api))
    quotas.create("bounded", {"a": "b"}, 4096)
    quotas.create("again", {"a": "b"}, 4096)
    quotas.create("free", {"a": "b"}, None)
    assert api.made == {"bounded": options, "again": options, "free": None}
    assert api.asked == 1
    assert quotas.found() == Found(quota, file_system)
