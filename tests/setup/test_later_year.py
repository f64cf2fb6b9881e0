"""The project's own locks in a later year: the host still gets exactly what they name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from runner.records.layout import ROOT
from tests import time_travel
from tests.time_travel import LATER, locked

LIMIT_SECONDS = 500
COPIED = ("scripts", "runner", "trainer", "pyproject.toml", "README.md")
OF_A_VENV = {"pip", "setuptools", "bakeoff"}  # what is there beside what a lock names


@pytest.fixture(scope="module")
def later_year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which pip finds a newer release of every pinned package."""
    folder = tmp_path_factory.mktemp("index")
    time_travel.write(time_travel.index_of(time_travel.pinned_names(ROOT)), folder)
    with time_travel.served(folder) as address:
        yield {**os.environ, "PIP_EXTRA_INDEX_URL": address, "PYTHON": sys.executable}


def installed(venv: Path) -> dict[str, str]:
    """Package → version."""
    command = [str(venv / "bin/python"), "-I", "-m", "pip", "list", "--format=json"]
    done = subprocess.run(command, capture_output=True, check=True)
    return {canonicalize_name(one["name"]): one["version"] for one in json.loads(done.stdout)}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(LIMIT_SECONDS)
def test_set_up_takes_the_lock(later_year: dict[str, str], tmp_path: Path) -> None:
    """A fresh checkout gets exactly the packages and versions of its lock."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy(lock, tmp_path / lock.name)
    run(["scripts/setup", "run"], tmp_path, later_year)
    expected = locked([(ROOT / "requirements.lock").read_text()])
    found = installed(tmp_path / ".venv")
    assert {k: v for k, v in found.items() if k not in OF_A_VENV - expected.keys()} == expected


@pytest.mark.timeout(LIMIT_SECONDS)
def test_a_benchmarks_peer_is_what_its_lock_names(
    later_year: dict[str, str], tmp_path: Path
) -> None:
    """The environment of `make bench-gateway` gets exactly its lock too."""
    lock = ROOT / "benchmarks/gateway/litellm.lock"
    command = [sys.executable, "scripts/make_venv.py", str(tmp_path / "venv"), str(lock)]
    run(command, ROOT, later_year)
    expected = locked([lock.read_text()])
    found = installed(tmp_path / "venv")
    assert {k: v for k, v in found.items() if k not in OF_A_VENV - expected.keys()} == expected


def test_who_resolves_takes_a_later_release(later_year: dict[str, str], tmp_path: Path) -> None:
    """The newer releases can be installed, so the tests above are able to fail."""
    wheels = ["-m", "pip", "download", "--no-deps", "--dest", str(tmp_path), "idna"]
    run([sys.executable, *wheels], tmp_path, later_year)
    assert [path.name for path in tmp_path.iterdir()] == [f"idna-{LATER}-py3-none-any.whl"]
