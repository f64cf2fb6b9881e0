"""What the engine is asked when it refuses to end a container because that is paused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest
import requests
from docker.errors import APIError

from runner.engine import client
from runner.engine.client import Engine
from runner.engine.containers import EngineKind
from runner.errors import EngineError


def refused(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("cannot do that", response, "the container is paused")


class StrictApi:
    """An engine that ends no paused container, as Podman's does not."""

    def __init__(self, status: str, refusal: int = 500) -> None:
        self.status = status
        self.refusal = refusal
        self.asked: list[str] = []

    def inspect_container(self, container: str) -> dict[str, Any]:
        state = {"Status": self.status, "ExitCode": 0, "OOMKilled": False}
        return {"Id": container, "Name": container, "Config": {}, "State": state}

    def unpause(self, _container: str) -> None:
        self.asked.append("unpause")
        self.status = "running"

    def _end(self, what: str) -> None:
        self.asked.append(what)
        if self.status != "gone" and self.asked.count("unpause") == 0:
            raise refused(self.refusal)
        self.status = "gone"

    def stop(self, _container: str, timeout: int) -> None:
        self._end(f"stop {timeout}")

    def kill(self, _container: str) -> None:
        self._end("kill")

    def remove_container(self, _container: str, **_: bool) -> None:
        self._end("remove")


def engine_on(api: StrictApi) -> Engine:
    return Engine(cast("docker.DockerClient", SimpleNamespace(api=api)))


@pytest.mark.parametrize("refusal", [409, 500])
def test_a_paused_container_goes_on_before_it_is_ended(refusal: int) -> None:
    """Stopped, killed or removed: it is unpaused once the engine refuses, and then ended."""
    ways: list[tuple[Callable[[Engine], None], str]] = [
        (lambda engine: engine.stop("c", 2), "stop 2"),
        (lambda engine: engine.kill("c"), "kill"),
        (lambda engine: engine.remove("c"), "remove"),
    ]
    for do, word in ways:
        api = StrictApi("paused", refusal)
        do(engine_on(api))
        assert api.asked == [word, "unpause", word]


def test_a_container_that_is_not_paused_is_left_as_it_is() -> None:
    """The engine's refusal is told as it is."""
    api = StrictApi("running")
    with pytest.raises(EngineError, match="stopping container c: the engine refused"):
        engine_on(api).stop("c", 2)
    assert api.asked == ["stop 2"]


class EndingApi(StrictApi):
    """An engine that answers as Podman does about a container that has ended, or ends just now."""

    def kill(self, _container: str) -> None:
        self.asked.append("kill")
        raise refused(500)

    def remove_container(self, _container: str, **_: bool) -> None:
        self.asked.append("remove")
        if self.asked.count("remove") == 1:
            raise refused(500)


def test_killing_what_has_ended_is_no_error_whatever_the_engine_answers() -> None:
    """Podman answers 500, and not 409; for one that still runs its answer is an error."""
    engine_on(EndingApi("exited")).kill("c")
    with pytest.raises(EngineError, match="killing container c: the engine refused"):
        engine_on(EndingApi("running")).kill("c")


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_what_is_ending_is_removed_once_it_has_ended(kind: EngineKind) -> None:
    """Podman refuses it at that moment, and Docker's engine where gVisor had it paused."""
    api = EndingApi("exited")
    asked = cast("docker.DockerClient", SimpleNamespace(api=api))
    Engine(asked, kind=kind).remove("c")
    assert api.asked == ["remove", "remove"]


def test_what_does_not_end_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's refusal is told as it is."""
    monkeypatch.setattr(client, "STOP_GRACE_SECONDS", 0.05)
    with pytest.raises(EngineError, match="removing container c: the engine refused"):
        engine_on(EndingApi("running")).remove("c")
