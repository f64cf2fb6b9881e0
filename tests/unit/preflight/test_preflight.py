"""The checks before a run: each finding is true, and nothing is started or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engine.address import machine_address
from runner.engine.client import Engine
from runner.errors import EngineError, HostError, UserError
from runner.preflight import checks
from runner.records.layout import RunDir

NOWHERE = "tcp://127.0.0.1:1"


def test_a_new_run_passes(tmp_path: Path) -> None:
    """Checking an id that is free does not take it."""
    checks.check_new(RunDir(tmp_path / "gpt-s1"))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_not_overwritten(run_dir: RunDir) -> None:
    """The hint says how to resume it, how to start another and how to delete it."""
    with pytest.raises(UserError, match="gpt-s1: that run exists") as caught:
        checks.check_new(run_dir)
    for way in ("make resume RUN=gpt-s1", "another SEED", "make clean-runs RUN=gpt-s1"):
        assert way in caught.value.hint


def test_a_finished_run_is_not_overwritten(run_dir: RunDir) -> None:
    """The hint does not offer to resume a run that is done."""
    run_dir.result.write_text("{}")
    with pytest.raises(UserError, match="that run is done") as caught:
        checks.check_new(run_dir)
    assert "resume" not in caught.value.hint
    assert run_dir.result.read_text() == "{}"


def test_free_space_is_checked_where_the_runs_will_be(tmp_path: Path) -> None:
    """For a folder that does not exist yet, that is the disk that it would be on."""
    checks.check_disk(tmp_path / "not" / "there" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused() -> None:
    """No run starts there: /proc is a file system without free space."""
    with pytest.raises(HostError, match=r"0\.0 GB are free") as caught:
        checks.check_disk(Path("/proc/runs"))
    assert "make room" in caught.value.hint


@pytest.mark.parametrize(
    ("info", "ranges", "address"),
    [
        ({"OperatingSystem": "Debian GNU/Linux 12"}, [{"Gateway": "172.17.0.1"}], "172.17.0.1"),
        ({"OperatingSystem": "Debian GNU/Linux 12"}, [{"Subnet": "172.17.0.0/16"}], "172.17.0.1"),
        ({"OperatingSystem": "Debian GNU/Linux 12"}, [{"Subnet": "fd00::/64"}, {}], ""),
        (
            {"OperatingSystem": "Fedora"},
            [{"Gateway": "fd00::1"}, {"Gateway": "10.1.0.1"}],
            "10.1.0.1",
        ),
        ({"OperatingSystem": "Docker Desktop"}, [], "host.docker.internal"),
        ({"OperatingSystem": "Ubuntu", "Name": "colima"}, [], "host.docker.internal"),
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, [{"Gateway": "172.17.0.1"}], ""),
        ({"SecurityOptions": None}, [], ""),
    ],
)
def test_the_engines_machine_has_the_address_that_its_kind_gives_it(
    info: dict[str, object], ranges: list[dict[str, str]], address: str
) -> None:
    """The bridge's gateway, a name in a virtual machine, and nothing for a rootless engine."""
    assert machine_address(info, {"IPAM": {"Config": ranges}}) == address


def test_the_doctor_says_that_there_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing engine is a finding with a hint, and not an error of the doctor."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    found = {row.subject: row for row in checks.doctor({"OPENAI_API_KEY": "sk-secret"}, tmp_path)}
    assert found["disk for records"].ok
    assert not found["engine"].ok
    assert "DOCKER_HOST" in found["engine"].detail


def test_an_engine_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint says how to get an engine."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    with pytest.raises(EngineError, match="none answers") as caught:
        Engine.connect()
    assert "make setup" in caught.value.hint
