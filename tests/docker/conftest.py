"""The real engine for all tests here, and the proof that they leave nothing on it."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from filelock import FileLock, Timeout

from runner.engine.client import Engine
from runner.records import layout
from runner.records.layout import ROOT

from .optimizer_rig import Make, optimizers
from .trial_rig import TrialRig

# Modules that take minutes. One that begins last would keep a single worker busy at the end.
LONGEST = (
    "test_faults", "test_hard_sessions", "test_run", "test_survival", "test_time_travel",
    "test_baseline", "test_hostile_volumes", "test_upkeep", "test_optimizer_parallel",
    "test_executor", "test_executor_life", "test_trainer",
)  # fmt: skip
ATTACK_TABLE = "attack table"  # the section of a test's report that holds it
LEAVING_SECONDS = 60.0  # for what is being removed at this moment
SESSIONS = Path(tempfile.gettempdir()) / "bakeoff-test-sessions"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `docker`; what takes longest comes first."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the attack table of the proof (test_proof.py), whatever the tests said."""
    sections = [
        text
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "sections", ())
        if ATTACK_TABLE in name
    ]
    for text in dict.fromkeys(sections):
        terminalreporter.write_sep("-", ATTACK_TABLE)
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The real engine; none is a failure and no reason to skip."""
    connected = Engine.connect()
    yield connected
    connected.close()


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    """The engine's own client, for what belongs to no run or what the runner would not ask for."""
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture
def run_id(engine: Engine) -> Iterator[str]:
    """A run of this test's own; its containers and volumes are removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for state in engine.containers(name):
        engine.remove(state.id)
    for volume in engine.volumes(name):
        engine.remove_volume(volume.name)


@pytest.fixture
def make_optimizer(engine: Engine) -> Iterator[Make]:
    """Makes optimizers, each with a state volume; removes them at the end."""
    with optimizers(engine) as made:
        yield made


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialRig]:
    """An executor of trials and a judge, for all tests of a module that do not disturb another."""
    made = TrialRig(engine, tmp_path_factory.mktemp("runs"))
    yield made
    made.remove()


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left(engine: Engine) -> Iterator[None]:
    """Fail when one container, volume or network of ours is there that was not there before.

    The data volumes of tasks are kept on purpose. What a real run or a benchmark of this checkout
    made meanwhile is its own affair, and so is what another session of these tests has there.
    """
    SESSIONS.mkdir(exist_ok=True)
    with FileLock(SESSIONS / f"{os.getpid()}.lock"):
        before = _ours(engine)
        yield
        until = time.monotonic() + LEAVING_SECONDS
        while (left := _ours(engine) - before) and time.monotonic() < until:
            if _another_session():
                return
            time.sleep(1.0)
        assert not left, f"left on the engine by tests: {sorted(left)}"


def _ours(engine: Engine) -> set[str]:
    """Containers, volumes and networks of Bakeoff's that belong to no run of this checkout."""
    runs = {path.name for path in layout.run_folders(ROOT / "runs")}

    def is_ours(run_id: str) -> bool:
        return run_id not in runs and not run_id.startswith("bench-")

    containers = {c.name for c in engine.containers() if is_ours(c.run_id)}
    volumes = {v.name for v in engine.volumes() if is_ours(v.run_id) and not v.data}
    client = docker.from_env()
    try:
        names = {str(network.name) for network in client.networks.list()}
    finally:
        client.close()
    return containers | volumes | {name for name in names if name.startswith("bakeoff")}


def _another_session() -> bool:
    """Whether another process runs these tests now: it holds a lock that is not ours."""
    for path in SESSIONS.glob("*.lock"):
        if path.stem == str(os.getpid()):
            continue
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            return True
    return False
