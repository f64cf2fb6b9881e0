"""Gateways for tests; those without a configuration of their own share one a dialect."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .process import Process
from .rig import APIS, Background, RunningGateway

Make = Callable[..., RunningGateway]
Spawn = Callable[..., Process]


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.fixture
def make(background: Background, tmp_path: Path) -> Iterator[Make]:
    """Makes gateways; `make("anthropic", caps={"usd": 1})`."""
    made: list[RunningGateway] = []
    numbers = itertools.count()

    def _make(api: str = "anthropic", **config: Any) -> RunningGateway:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        made.append(RunningGateway(background, folder, APIS[api], config).start())
        return made[-1]

    yield _make
    for gateway in made:
        gateway.stop()


@pytest.fixture(params=sorted(APIS))
def gateway(request: pytest.FixtureRequest, make: Make) -> RunningGateway:
    """A gateway of each dialect in turn."""
    return make(request.param)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Starts gateway processes that share one folder, as one volume."""
    made: list[Process] = []
    folder = tmp_path / "volume"
    folder.mkdir()

    def _spawn(**environment: str) -> Process:
        made.append(Process(folder, environment))
        return made[-1]

    yield _spawn
    for process in made:
        process.close()
