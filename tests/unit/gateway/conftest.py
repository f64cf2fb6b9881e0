"""Gateways for tests; those without a configuration of their own share one a dialect."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .process import ROOT, Process
from .rig import APIS, Background, Live

Make = Callable[..., Live]
Spawn = Callable[..., Process]


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.fixture
def make(background: Background, tmp_path: Path) -> Iterator[Make]:
    """Makes gateways; `make("anthropic", caps={"usd": 1})`."""
    made: list[Live] = []
    numbers = itertools.count()

    def _make(api: str = "anthropic", **config: Any) -> Live:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        made.append(Live(background, folder, APIS[api], config).up())
        return made[-1]

    yield _make
    for live in made:
        live.down()


@pytest.fixture(params=sorted(APIS))
def live(request: pytest.FixtureRequest, make: Make) -> Live:
    """A gateway of each dialect in turn."""
    return make(request.param)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Starts gateway processes that share one folder, as one volume."""
    made: list[Process] = []
    folder = tmp_path / "volume"
    folder.mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "protocol.py").write_bytes((ROOT / "runner/protocol.py").read_bytes())

    def _spawn(**environment: str) -> Process:
        made.append(Process(folder, shared, environment))
        return made[-1]

    yield _spawn
    for process in made:
        process.close()
