"""What the trainer's own tests share. They need torch and run in the image `bakeoff/trainer-test`.

`tests/docker/test_trainer.py` runs them there. On a host without torch nothing here is collected.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import importlib.util
import os
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

settings.register_profile("trainer", deadline=None, print_blob=True, max_examples=50)
settings.load_profile("trainer")

SOME_MODULES = ("argparse.py", "ast.py", "inspect.py", "typing.py", "tarfile.py", "doctest.py")


@pytest.fixture(scope="session")
def some_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some 500 kB of real text, in six files."""
    folder = tmp_path_factory.mktemp("text")
    for name in SOME_MODULES:
        source = Path(sysconfig.get_path("stdlib")) / name
        (folder / name).write_bytes(source.read_bytes())
    return folder


@pytest.fixture(scope="session")
def prepared(some_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the task `text` prepared of `some_text`."""
    import prepare

    folder = tmp_path_factory.mktemp("data")
    where = ["--data", str(folder), "--input", str(some_text), "--test-data", f"{folder}-test"]
    assert prepare.main(["--task", "text", *where]) == 0
    return folder


@pytest.fixture
def data(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The prepared folder, where a trial would find it."""
    monkeypatch.setenv("BAKEOFF_DATA", str(prepared))
    monkeypatch.setenv("BAKEOFF_TEST_DATA", f"{prepared}-test")
    for name in ("BAKEOFF_SEED", "BAKEOFF_EVAL_SPLIT", "BAKEOFF_MAX_STEPS"):
        monkeypatch.delenv(name, raising=False)
    return prepared


@pytest.fixture
def train_module() -> ModuleType:
    """train.py, imported."""
    import train

    module: ModuleType = train
    return module


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tests of small tensors on a machine that has other work."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
