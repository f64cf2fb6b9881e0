"""Fixtures of the trainer's own tests, which need torch and run in `bakeoff/trainer-test`.

`tests/docker/test_trainer.py` runs them there. On a host without torch, pytest collects none.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import importlib.util
import os
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from judge_rig import Chain, Judge
    from text_rig import Prepare, Prepared

    JudgeOf = Callable[..., Judge]

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

settings.register_profile("trainer", deadline=None, print_blob=True, max_examples=50)
settings.load_profile("trainer")

SOME_MODULES = ("argparse.py", "ast.py", "inspect.py", "typing.py", "tarfile.py", "doctest.py")


@pytest.fixture(scope="session")
def some_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with about 500 kB of real text in six files."""
    folder = tmp_path_factory.mktemp("text")
    for name in SOME_MODULES:
        source = Path(sysconfig.get_path("stdlib")) / name
        (folder / name).write_bytes(source.read_bytes())
    return folder


@pytest.fixture(scope="session")
def prepared(some_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of the task `text`, its validation split too, from `some_text`."""
    import prepare

    folder = tmp_path_factory.mktemp("data")
    where = ["--data", str(folder), "--heldout", str(folder), "--test-data", f"{folder}-test"]
    assert prepare.main(["--task", "text", *where, "--input", str(some_text)]) == 0
    return folder


@pytest.fixture
def data(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The prepared folder, in the place where a trial looks for it."""
    monkeypatch.setenv("BAKEOFF_DATA", str(prepared))
    monkeypatch.setenv("BAKEOFF_TEST_DATA", f"{prepared}-test")
    for name in ("BAKEOFF_SEED", "BAKEOFF_MAX_STEPS", "BAKEOFF_JUDGE"):
        monkeypatch.delenv(name, raising=False)
    return prepared


@pytest.fixture
def prepare_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Prepare:
    """Runs the program for the task `text`, and checks that a refusal leaves no files."""
    import prepare
    from text_rig import Prepared

    def _prepare(source: Path) -> Prepared:
        data = tmp_path / "out" / "data"
        where = ["--data", str(data), "--heldout", str(data), "--test-data", f"{data}-test"]
        code = prepare.main(["--task", "text", *where, "--input", str(source)])
        said, wrong = capfd.readouterr()
        error, hint = [*wrong.splitlines(), "", ""][:2]
        assert "Traceback" not in wrong
        if code:
            assert error.startswith("error: preparing text: "), wrong
            assert hint.startswith("hint: "), wrong
            assert [path for path in data.rglob("*") if path.is_file()] == []
        return Prepared(code, said, error, hint.removeprefix("hint: "), data)

    return _prepare


@pytest.fixture
def train_module() -> ModuleType:
    """The imported train.py."""
    import train

    module: ModuleType = train
    return module


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Limits torch's threads, because the tensors are small and the machine has other work."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Text of a Markov chain as validation data, and its best model."""
    from judge_rig import make_chain

    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def judge_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeOf]:
    """Opens a session on a folder's data, for whoever asks for a score in this process."""
    import uuid

    import judge_rig

    opened: list[Judge] = []

    def _judge_of(folder: Path, **fields: Any) -> Judge:
        judge = judge_rig.Judge(folder, judge_rig.setup_of(folder, **fields))
        opened.append(judge)
        judge.open(tmp_path / f"{uuid.uuid4().hex[:8]}.sock")
        monkeypatch.setenv("BAKEOFF_JUDGE", str(judge.path))
        monkeypatch.setenv("BAKEOFF_JUDGE_TOKEN", uuid.uuid4().hex)
        return judge

    yield _judge_of
    for judge in opened:
        judge.close()
